"""Flower's clients, unchanged."""

from typing import Any

import numpy as np
import pytest
from flwr.client import NumPyClient
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import counterweight as cw


# From here to the next line of dashes: as Flower's own scikit-learn example writes a client, and knowing nothing of us.
# ----------------------------------------------------------------------------------------------------------------------
def get_model_params(model: LogisticRegression) -> list[np.ndarray]:
    return [model.coef_, model.intercept_]


def set_model_params(model: LogisticRegression, params: list[np.ndarray]) -> LogisticRegression:
    model.coef_ = params[0]
    model.intercept_ = params[1]
    return model


class FlowerClient(NumPyClient):
    def __init__(self, model: LogisticRegression, x: np.ndarray, y: np.ndarray) -> None:
        self.model, self.x, self.y = model, x, y

    def get_parameters(self, config: dict[str, Any]) -> list[np.ndarray]:
        return get_model_params(self.model)

    def fit(self, parameters: list[np.ndarray], config: dict[str, Any]) -> tuple[list[np.ndarray], int, dict]:
        set_model_params(self.model, parameters)
        self.model.fit(self.x, self.y)
        return get_model_params(self.model), len(self.x), {"site": "somewhere", "round": config["server_round"]}

    def evaluate(self, parameters: list[np.ndarray], config: dict[str, Any]) -> tuple[float, int, dict]:
        set_model_params(self.model, parameters)
        loss = log_loss(self.y, self.model.predict_proba(self.x))
        return loss, len(self.x), {"accuracy": self.model.score(self.x, self.y)}


# ----------------------------------------------------------------------------------------------------------------------


def flower_clients() -> list[FlowerClient]:
    rows, labels = load_breast_cancer(return_X_y=True)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    clients = []
    for part in range(3):
        model = LogisticRegression(C=0.1, max_iter=5, warm_start=True)
        model.classes_ = np.array([0, 1])
        model.coef_, model.intercept_ = np.zeros((1, 30)), np.zeros(1)
        clients.append(FlowerClient(model, rows[part::3], labels[part::3]))
    return clients


@pytest.mark.filterwarnings("ignore")
def test_an_unmodified_numpy_client_trains_in_a_study() -> None:
    result = cw.simulate([cw.wrap(client) for client in flower_clients()], rounds=5)
    last = result.history.rounds[-1]
    assert last.metrics["accuracy"] > 0.95
    assert last.loss < result.history.losses[0] / 3
    assert last.fit_metrics == {"round": 5.0}
    assert [array.shape for array in result.parameters.values()] == [(1, 30), (1,)]


def test_arrays_go_back_as_the_kind_they_came_as() -> None:
    seen: list[list[np.dtype]] = []

    class Counts(NumPyClient):
        def get_parameters(self, config: dict[str, Any]) -> list[np.ndarray]:
            return [np.zeros((2, 2), np.float64), np.array(3, np.int64)]

        def fit(self, parameters: list[np.ndarray], config: dict[str, Any]) -> tuple[list[np.ndarray], int, dict]:
            seen.append([array.dtype for array in parameters])
            return [parameters[0], parameters[1] + 1], 1, {}

    result = cw.simulate([cw.wrap(Counts())], rounds=2)
    assert seen == [[np.dtype("float64"), np.dtype("int64")]] * 2
    assert result.parameters["array.0001"] == 5


def test_a_client_with_another_number_of_arrays_is_told() -> None:
    class Short(NumPyClient):
        def get_parameters(self, config: dict[str, Any]) -> list[np.ndarray]:
            return [np.zeros(2), np.zeros(2)]

        def fit(self, parameters: list[np.ndarray], config: dict[str, Any]) -> tuple[list[np.ndarray], int, dict]:
            return [parameters[0]], 1, {}

    with pytest.raises(cw.StudyError, match="no tensor"):
        cw.simulate([cw.wrap(Short())], rounds=1)
    with pytest.raises(ValueError, match="gives no arrays"):
        cw.simulate([cw.wrap(NumPyClient())], rounds=1)
