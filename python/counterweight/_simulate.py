"""Whole studies in this process, by the engine that runs real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from counterweight import _native, _safetensors
from counterweight._client import (
    Client,
    EvaluateConfig,
    FitConfig,
    Parameters,
    _examples,
    _facts,
    _metrics,
)
from counterweight._display import result_html

if TYPE_CHECKING:
    import os

StudyError = _native.StudyError


@dataclass(frozen=True)
class Round:
    """The model after a round, and what clients said of it. Round 0 is the model before the first."""

    round: int
    loss: float | None
    """Mean over clients that judged it, weighted by their rows; none where nobody did."""
    metrics: Mapping[str, float]
    """Means likewise, of those that all of them gave."""
    examples: int
    """Rows it was trained on in this round."""
    fit_metrics: Mapping[str, float]
    """Means over clients that trained, weighted by their rows."""


@dataclass(frozen=True)
class History:
    """All rounds, in order."""

    rounds: Sequence[Round]

    @property
    def losses(self) -> list[float | None]:
        """The loss after each round."""
        return [entry.loss for entry in self.rounds]

    def to_pandas(self) -> Any:
        """A table with a row for each round; pandas must be there."""
        import pandas

        return pandas.DataFrame([{"round": r.round, "loss": r.loss, "examples": r.examples, **r.metrics} for r in self.rounds])


@dataclass(frozen=True)
class Result:
    """What a study gives."""

    parameters: Parameters
    """The model."""
    history: History
    digest: str
    """Digest of the model's file: what a real study would have on the chain."""
    contributions: Sequence[float]
    """Part of the reward that each client would have."""
    model_file: bytes
    """The model as Counterweight stores it."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model's file."""
        with open(path, "wb") as file:
            file.write(self.model_file)

    def _repr_html_(self) -> str:
        return result_html(self)


def _weighted(reports: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    """Means of the figures that all reports have."""
    names = [name for name in reports[0][1] if all(name in figures for _, figures in reports)] if reports else []
    total = sum(examples for examples, _ in reports)
    if total == 0:
        return {}
    return {name: sum(n * figures[name] for n, figures in reports) / total for name in names}


class _Watched:
    """A client as the engine calls it, with what it said of each round."""

    def __init__(self, client: Client, config: Mapping[str, Any]) -> None:
        self.client = client
        self.config = config
        self.fits: dict[int, tuple[int, Mapping[str, float]]] = {}

    def __call__(self, task: str, model: bytes, facts: str) -> object:
        arguments = _facts(json.loads(facts), self.config)
        if task != "train":
            return None
        parameters, examples, metrics = self.client.fit(_safetensors.load(model), FitConfig(**arguments))
        examples = _examples(examples)
        text = _metrics(metrics)
        self.fits[arguments["round"]] = (examples, json.loads(text))
        return _safetensors.save(parameters), examples, text


def simulate(
    clients: Sequence[Client],
    *,
    rounds: int = 10,
    initial: Mapping[str, npt.ArrayLike] | None = None,
    aggregation: str | Mapping[str, Any] = "fedavg",
    clip: float = 100.0,
    quorum: int | None = None,
    members_per_round: int | None = None,
    local_epochs: int = 1,
    batch: int = 16,
    lr: float = 0.01,
    seed: int = 0,
    config: Mapping[str, Any] | None = None,
    evaluate: bool = True,
    on_round: Callable[[Round], None] | None = None,
) -> Result:
    """Runs a study of up to 64 clients in this process: coordinator, record, fixed-point updates and rules as in a real one.

    Clients train one after the other on the caller's thread, so that those which share a generator of random numbers give
    the same result every time. An exception of a client ends the study and is raised as it is.

    Args:
        clients: The members. Their order decides their indices.
        rounds: How many.
        initial: The model to start from; the first client's ``parameters()`` where it is left out.
        aggregation: A rule's name, or a table as in ``[training] aggregation``: ``{"rule": "krum", "faulty": 1}``.
        clip: Largest norm of an update, at most 127; longer ones are shortened.
        quorum: Fewest clients of a round; all of those asked where it is left out.
        members_per_round: Clients asked in a round, drawn by ``seed``; all where it is left out.
        local_epochs: Told to clients, as are ``batch`` and ``lr``.
        seed: Of everything random.
        config: Told to clients as it is.
        evaluate: Whether clients judge the model of each round.
        on_round: Called after each round.
    """
    clients = list(clients)
    if not clients:
        raise ValueError("a study needs at least one client")
    start = dict(initial if initial is not None else clients[0].parameters())
    # A class here, not the caller's arrays: what is float64 or int64 there is float32 in every study.
    arrays = {name: np.asarray(value) for name, value in start.items()}
    asked = members_per_round or len(clients)
    study: dict[str, Any] = {
        "study": {"name": "simulation", "purpose": "research"},
        "model": {
            "name": "model",
            "architecture": "custom",
            "tensors": [{"name": name, "shape": list(array.shape)} for name, array in arrays.items()],
        },
        "training": {
            "rounds": rounds,
            "aggregation": aggregation,
            "clip": clip,
            "quorum": asked if quorum is None else quorum,
            "local-epochs": local_epochs,
            "batch": batch,
            "lr": lr,
            "seed": seed,
        },
    }
    if members_per_round is not None:
        study["training"]["members-per-round"] = members_per_round
    watched = [_Watched(client, dict(config or {})) for client in clients]
    entries: list[Round] = []

    def judged(number: int, model: bytes) -> None:
        reports: list[tuple[int, Mapping[str, float]]] = []
        if evaluate:
            for place, client in enumerate(clients):
                facts = EvaluateConfig(
                    study=1,
                    round=number,
                    rounds=rounds,
                    member=place,
                    seed=seed,
                    model="model",
                    local={"epochs": local_epochs, "batch": batch, "lr": lr},
                    config=dict(config or {}),
                )
                said = client.evaluate(_safetensors.load(model), facts)
                if said is not None:
                    loss, examples, metrics = said
                    figures = json.loads(_metrics(metrics))
                    reports.append((_examples(examples), {**figures, "loss": float(loss)}))
        means = _weighted(reports)
        fits = [client.fits[number] for client in watched if number in client.fits]
        entries.append(
            Round(
                round=number,
                loss=means.pop("loss", None),
                metrics=means,
                examples=sum(examples for examples, _ in fits),
                fit_metrics=_weighted(fits),
            )
        )
        if on_round is not None:
            on_round(entries[-1])

    model, digest, contributions, _terms = _native.run_study(json.dumps(study), _safetensors.save(arrays), list(watched), judged)
    judged(rounds, model)
    return Result(
        parameters=_safetensors.load(model),
        history=History(tuple(entries)),
        digest=digest,
        contributions=tuple(share / 1e6 for share in contributions),
        model_file=model,
    )
