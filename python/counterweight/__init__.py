"""Train together: data stays where it is, and anyone can check the result.

A member is a :class:`Client`. :func:`simulate` runs a whole study of them in this process; :func:`serve` lets one take
part in a real study, as the trainer of ``cw member start``; :func:`wrap` makes one of a Flower ``NumPyClient``.
"""

from counterweight._client import (
    Client,
    EvaluateConfig,
    EvaluateResult,
    FitConfig,
    FitResult,
    Metrics,
    Parameters,
)
from counterweight._flower import wrap
from counterweight._safetensors import load, load_file, save, save_file
from counterweight._serve import CONTRACT, serve
from counterweight._simulate import History, Result, Round, StudyError, simulate

__all__ = [
    "CONTRACT",
    "Client",
    "EvaluateConfig",
    "EvaluateResult",
    "FitConfig",
    "FitResult",
    "History",
    "Metrics",
    "Parameters",
    "Result",
    "Round",
    "StudyError",
    "load",
    "load_file",
    "save",
    "save_file",
    "serve",
    "simulate",
    "wrap",
]
