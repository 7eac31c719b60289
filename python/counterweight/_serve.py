"""A client as the trainer of a member: docs/spec/trainer.md."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from typing import Any, TextIO

import numpy as np

from counterweight import _safetensors
from counterweight._client import Client, EvaluateConfig, FitConfig, _examples, _facts, _metrics

CONTRACT = "counterweight/trainer/v1"


def _fit(client: Client, request: dict[str, Any]) -> dict[str, Any]:
    base = _safetensors.load_file(request["parameters"])
    parameters, examples, metrics = client.fit(base, FitConfig(**_facts(request, {})))
    _safetensors.save_file(parameters, request["result"])
    return {"examples": _examples(examples), "metrics": json.loads(_metrics(metrics))}


def _evaluate(client: Client, request: dict[str, Any]) -> dict[str, Any]:
    base = _safetensors.load_file(request["parameters"])
    judged = client.evaluate(base, EvaluateConfig(**_facts(request, {})))
    if judged is None:
        return {"examples": 0}
    loss, examples, metrics = judged
    if not np.isfinite(loss):
        raise ValueError(f"the loss is {loss}, which is not finite")
    return {
        "loss": float(loss),
        "examples": _examples(examples),
        "metrics": json.loads(_metrics(metrics)),
    }


def serve(client: Client, requests: TextIO | None = None, answers: TextIO | None = None) -> None:
    """Answers the requests of ``cw member start … --trainer "python this_file.py"`` until the study is over.

    While the client works, what it prints goes to stderr: stdout holds answers only. An exception is told to the
    coordinator in one line, its traceback goes to stderr, and the next round is awaited.
    """
    requests = requests or sys.stdin
    answers = answers or sys.stdout
    for line in iter(requests.readline, ""):
        answer: dict[str, Any]
        with contextlib.redirect_stdout(sys.stderr):
            try:
                request = json.loads(line)
                if request["contract"] != CONTRACT:
                    raise ValueError(f"the request is of {request['contract']!r}, this is {CONTRACT}")
                tasks = {"train": _fit, "evaluate": _evaluate}
                if request["task"] not in tasks:
                    raise ValueError(f"no task is called {request['task']!r}")
                answer = tasks[request["task"]](client, request)
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
            sys.stderr.flush()
        answers.write(json.dumps({"contract": CONTRACT, **answer}) + "\n")
        answers.flush()
