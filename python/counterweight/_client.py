"""What a member does: train, and judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Parameters = dict[str, npt.NDArray[np.float32]]
"""A model: named arrays of float32, in an order that stays."""

Metrics = Mapping[str, float]
"""Figures of a client's own, by name."""


class FitResult(NamedTuple):
    """What training gives. A plain tuple of the same three is as good."""

    parameters: Mapping[str, npt.ArrayLike]
    examples: int
    metrics: Metrics = {}


class EvaluateResult(NamedTuple):
    """How a model does on a client's own rows. A plain tuple of the same three is as good."""

    loss: float
    examples: int
    metrics: Metrics = {}


@dataclass(frozen=True)
class _Task:
    study: int
    round: int
    """Counted from 1."""
    rounds: int
    """How many are planned."""
    member: int
    """Counted from 0."""
    seed: int
    """For everything random: the same for the same study, round and data."""
    model: str
    """Name of the model."""
    local: Mapping[str, Any]
    """What the study asks of a member in a round: ``steps`` or ``epochs``, ``batch``, ``lr``, …"""
    data: str | None = None
    """Path of the dataset's file; none in a simulation."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Whatever :func:`counterweight.simulate` was given as ``config``."""

    @property
    def local_epochs(self) -> int:
        """Passes over all rows; 1 where the study counts steps."""
        return int(self.local.get("epochs") or 1)

    @property
    def batch(self) -> int:
        """Rows of a step."""
        return int(self.local["batch"])

    @property
    def lr(self) -> float:
        """Learning rate."""
        return float(self.local["lr"])


class FitConfig(_Task):
    """What is asked of :meth:`Client.fit`."""


class EvaluateConfig(_Task):
    """What is asked of :meth:`Client.evaluate`."""


class Client:
    """One member of a study. Anything with these methods will do."""

    def parameters(self) -> Mapping[str, npt.ArrayLike]:
        """The model to start from. Only a simulation asks, and only its first client."""
        raise NotImplementedError("give simulate(…, initial=…), or let the first client have parameters()")

    def fit(self, parameters: Parameters, config: FitConfig) -> FitResult | tuple[Mapping[str, npt.ArrayLike], int, Metrics]:
        """Trains from ``parameters``, which are the client's to change."""
        raise NotImplementedError

    def evaluate(self, parameters: Parameters, config: EvaluateConfig) -> EvaluateResult | tuple[float, int, Metrics] | None:
        """Judges ``parameters`` on the client's own rows; nothing where it keeps none for that."""
        return None


def _facts(line: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a task, of a request or of the engine's facts."""
    wanted = ("study", "round", "rounds", "member", "model", "local", "data")
    facts: dict[str, Any] = {name: line[name] for name in wanted if name in line}
    # 63 bits: any generator of random numbers takes so many.
    facts["seed"] = int(line["seed"][:16], 16) >> 1
    facts["config"] = config
    return facts


def _metrics(metrics: Metrics | None) -> str:
    plain = {str(name): float(value) for name, value in (metrics or {}).items()}
    for name, value in plain.items():
        if not np.isfinite(value):
            raise ValueError(f"metric {name!r} is {value}, which is not finite")
    return json.dumps(plain)


def _examples(examples: Any) -> int:
    count = int(examples)
    if not 0 <= count <= 1 << 26:
        raise ValueError(f"{count} examples, at most {1 << 26} are allowed")
    return count
