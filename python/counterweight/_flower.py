"""Flower's ``NumPyClient`` as a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from counterweight._client import (
    Client,
    EvaluateConfig,
    EvaluateResult,
    FitConfig,
    FitResult,
    Parameters,
)

Arrays = list[npt.NDArray[Any]]


class NumPyClient(Protocol):
    """The part of ``flwr.client.NumPyClient`` that is called. Flower itself is not needed."""

    def get_parameters(self, config: dict[str, Any]) -> Arrays: ...

    def fit(self, parameters: Arrays, config: dict[str, Any]) -> tuple[Arrays, int, dict[str, Any]]: ...

    def evaluate(self, parameters: Arrays, config: dict[str, Any]) -> tuple[float, int, dict[str, Any]]: ...


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Flower's metrics may be texts and bytes too, which are nobody's business here."""
    return {name: float(value) for name, value in metrics.items() if isinstance(value, (bool, int, float, np.number))}


class _Wrapped(Client):
    def __init__(self, client: NumPyClient, names: list[str] | None) -> None:
        self._client = client
        self._names = names
        self._dtypes: list[np.dtype[Any]] | None = None

    def _named(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        # Flower's arrays have a place and no name; as many digits as keep their order when sorted.
        names = self._names or [f"array.{place:04}" for place in range(len(arrays))]
        if len(names) != len(arrays):
            raise ValueError(f"the client gave {len(arrays)} arrays, the model has {len(names)}")
        return dict(zip(names, (np.asarray(array) for array in arrays), strict=True))

    def _listed(self, parameters: Parameters) -> Arrays:
        if self._names is None:
            arrays: Arrays = list(parameters.values())
        else:
            arrays = [parameters[name] for name in self._names]
        if self._dtypes is None:
            return arrays
        # What counts batches is no float to PyTorch: each array goes back as the kind it came as.
        return [array.astype(dtype) for array, dtype in zip(arrays, self._dtypes, strict=True)]

    def _config(self, config: FitConfig | EvaluateConfig) -> dict[str, Any]:
        return {
            "server_round": config.round,
            "local_epochs": config.local_epochs,
            "batch_size": config.batch,
            "lr": config.lr,
            **config.config,
        }

    def parameters(self) -> dict[str, npt.NDArray[Any]]:
        arrays = [np.asarray(array) for array in self._client.get_parameters({})]
        if not arrays:
            raise ValueError("the client's get_parameters() gives no arrays: use simulate(…, initial=…)")
        self._dtypes = [array.dtype for array in arrays]
        return self._named(arrays)

    def fit(self, parameters: Parameters, config: FitConfig) -> FitResult:
        trained, examples, metrics = self._client.fit(self._listed(parameters), self._config(config))
        return FitResult(self._named(trained), examples, _numbers(metrics))

    def evaluate(self, parameters: Parameters, config: EvaluateConfig) -> EvaluateResult | None:
        loss, examples, metrics = self._client.evaluate(self._listed(parameters), self._config(config))
        # Flower's own default, where a client does not judge.
        if examples == 0:
            return None
        return EvaluateResult(float(loss), examples, _numbers(metrics))


def wrap(numpy_client: NumPyClient, names: list[str] | None = None) -> Client:
    """Makes a client of an existing Flower ``NumPyClient``, unchanged.

    ``config`` holds what Flower's servers usually send (``server_round``, ``local_epochs``, ``batch_size``, ``lr``) and whatever
    :func:`counterweight.simulate` was given. ``names`` are those of the study's tensors, in the order of the client's
    arrays; in a simulation they may be left out.
    """
    return _Wrapped(numpy_client, names)
