"""scikit-learn's linear classifiers as clients.

Their coefficients are the tensors of the models that are built in (``logistic`` for two classes, ``softmax`` for more), so
that such a client trains in one study with members that use the built-in training.

    client = counterweight.sklearn.LinearClient(SGDClassifier(loss="log_loss"), rows, labels)
    counterweight.serve(client)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import log_loss

from counterweight._client import (
    Client,
    EvaluateConfig,
    EvaluateResult,
    FitConfig,
    FitResult,
    Parameters,
)

BIAS, WEIGHT = "layers.0.bias", "layers.0.weight"
"""Tensors of a linear model that is built in."""


class LinearClient(Client):
    """Trains an estimator with ``coef_``, ``intercept_`` and ``partial_fit``, such as ``SGDClassifier``, or with ``fit`` and
    ``warm_start``, such as ``LogisticRegression``."""

    def __init__(
        self,
        estimator: Any,
        rows: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        classes: npt.ArrayLike | None = None,
        test: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    ) -> None:
        """``classes`` are all there are, in the study's order, where this client's rows have fewer."""
        self.estimator = estimator
        self.rows = np.asarray(rows, dtype=np.float64)
        self.labels = np.asarray(labels)
        self.classes = np.unique(self.labels) if classes is None else np.asarray(classes)
        self.test = test
        if not hasattr(estimator, "partial_fit") and not getattr(estimator, "warm_start", False):
            raise ValueError(f"{type(estimator).__name__} starts afresh each time: give warm_start=True")

    @property
    def _outputs(self) -> int:
        return 1 if len(self.classes) == 2 else len(self.classes)

    def parameters(self) -> Parameters:
        """Zeros, which is where scikit-learn starts too."""
        return {
            BIAS: np.zeros(self._outputs, np.float32),
            WEIGHT: np.zeros((self._outputs, self.rows.shape[1]), np.float32),
        }

    def _load(self, parameters: Parameters) -> None:
        # Float64, since scikit-learn's compiled loops take no other.
        self.estimator.coef_ = parameters[WEIGHT].astype(np.float64)
        self.estimator.intercept_ = parameters[BIAS].astype(np.float64)
        self.estimator.classes_ = self.classes

    def fit(self, parameters: Parameters, config: FitConfig) -> FitResult:
        settable = self.estimator.get_params()
        wanted = {"random_state": config.seed % (1 << 32), "eta0": config.lr, "learning_rate": "constant"}
        # An estimator with a schedule of its own keeps it; SGD's is the study's learning rate.
        fitting = {name: value for name, value in wanted.items() if name in settable}
        if "eta0" not in settable:
            fitting.pop("learning_rate", None)
        self.estimator.set_params(**fitting)
        if hasattr(self.estimator, "partial_fit"):
            # Makes the estimator's inner state for these classes; what it learnt is then replaced.
            if not hasattr(self.estimator, "coef_"):
                self.estimator.partial_fit(self.rows[:1], self.labels[:1], classes=self.classes)
            self._load(parameters)
            for _ in range(config.local_epochs):
                self.estimator.partial_fit(self.rows, self.labels)
        else:
            self._load(parameters)
            self.estimator.fit(self.rows, self.labels)
        trained = {BIAS: self.estimator.intercept_, WEIGHT: self.estimator.coef_}
        return FitResult(trained, len(self.labels), {"accuracy": self.estimator.score(self.rows, self.labels)})

    def evaluate(self, parameters: Parameters, config: EvaluateConfig) -> EvaluateResult | None:
        if self.test is None:
            return None
        rows, labels = np.asarray(self.test[0], np.float64), np.asarray(self.test[1])
        self._load(parameters)
        loss = log_loss(labels, self.estimator.predict_proba(rows), labels=self.classes)
        return EvaluateResult(float(loss), len(labels), {"accuracy": self.estimator.score(rows, labels)})
