"""Members in processes of their own, in one study on the embedded chain: PyTorch, scikit-learn and the built-in training."""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import counterweight as cw

ROOT = Path(__file__).parents[2]
CW = os.environ.get("CW_BINARY", str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "cw"))


def address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def torch_python() -> str:
    found = subprocess.run([ROOT / "python/tests/torch.sh"], capture_output=True, text=True, check=False)
    if not found.stdout.strip():
        pytest.skip("no Python here has PyTorch, and this user may not install it: " + found.stderr[-200:])
    return found.stdout.strip()


def test_pytorch_scikit_learn_and_built_in_members_train_one_model(tmp_path: Path) -> None:
    assert shutil.which(CW), f"{CW} is not built: cargo build, or name it in CW_BINARY"
    torch = torch_python()
    project = tmp_path / "study"
    shutil.copytree(ROOT / "examples/breast-cancer", project, ignore=shutil.ignore_patterns(".counterweight"))
    config = project / "counterweight.toml"
    config.write_text(config.read_text().replace("rounds = 15", "rounds = 4"))
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT / "python"),
    }

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [CW, *arguments, "--json"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=project, env=environment, **pipes)

    members_at, chain_at = address(), address()
    here = Path(__file__).parent / "members.py"
    trainers = {
        "clinic-a": ["--trainer", f"'{torch}' '{here}' torch", "--judge"],
        "clinic-b": ["--trainer", f"'{sys.executable}' '{here}' sklearn", "--judge"],
        "clinic-c": [],
        "clinic-d": [],
    }
    running = [start("train", "--listen", members_at, "--rpc", chain_at)]
    for clinic, more in trainers.items():
        place = ["--coordinator", f"https://{members_at}", "--network", f"http://{chain_at}"]
        running.append(start("member", "start", *place, "--dataset", clinic, *more))
    try:
        ended = [process.communicate(timeout=300) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (out, err) in zip(running, ended, strict=True):
        assert process.returncode == 0, out + err
    trained, *members = [json.loads(out) for out, _ in ended]
    assert all(member["result"] == trained["result"] for member in members)
    assert all(member["survived"] == 4 for member in members), ended
    assert all("Judged" in err and "belongs to stderr" in err for _, err in ended[1:3])
    checked = subprocess.run([CW, "verify", "model", "tumour@1"], cwd=project, env=environment, capture_output=True)
    assert checked.returncode == 0, checked
    shown = subprocess.run(
        [CW, "model", "show", "tumour@1", "--json"], cwd=project, env=environment, capture_output=True, check=True
    )
    metrics = {metric["name"]: float(metric["value"]) for metric in json.loads(shown.stdout)["card"]["metrics"]}
    assert metrics["accuracy"] > 0.9


class Doubles(cw.Client):
    def fit(self, parameters: cw.Parameters, config: cw.FitConfig) -> cw.FitResult:
        print("said while training")
        if config.round == 2:
            raise RuntimeError("out of memory")
        return cw.FitResult({name: value * 2 for name, value in parameters.items()}, 3, {"loss": 0.5})


def request(tmp_path: Path, **changes: object) -> str:
    line = {
        "contract": cw.CONTRACT,
        "task": "train",
        "study": 1,
        "round": 1,
        "rounds": 2,
        "member": 0,
        "seed": "ff" * 32,
        "seconds": 60,
        "model": "m",
        "local": {"epochs": 2, "steps": None, "batch": 4, "lr": "0.1"},
        "data": "rows.csv",
        "parameters": str(tmp_path / "base.safetensors"),
        "result": str(tmp_path / "result.safetensors"),
        "something": "new",
    }
    return json.dumps({**line, **changes}) + "\n"


def test_a_served_client_answers_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cw.save_file({"w": np.ones(2)}, tmp_path / "base.safetensors")
    asked = [
        request(tmp_path),
        request(tmp_path, round=2),
        request(tmp_path, task="evaluate"),
        request(tmp_path, task="dance"),
        request(tmp_path, contract="counterweight/trainer/v2"),
        "nonsense\n",
    ]
    answers = io.StringIO()
    cw.serve(Doubles(), io.StringIO("".join(asked)), answers)
    read = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert all(answer.pop("contract") == cw.CONTRACT for answer in read)
    assert read[0] == {"examples": 3, "metrics": {"loss": 0.5}}
    assert cw.load_file(tmp_path / "result.safetensors")["w"].tolist() == [2, 2]
    assert read[1] == {"error": "RuntimeError: out of memory"}
    assert read[2] == {"examples": 0}
    assert [next(iter(answer)) for answer in read[3:]] == ["error"] * 3
    heard = capsys.readouterr()
    assert heard.out == "" and "said while training" in heard.err and "Traceback" in heard.err


def test_scikit_learn_adapters_train_in_a_simulation() -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression, SGDClassifier

    from counterweight.sklearn import LinearClient

    rows, labels = load_breast_cancer(return_X_y=True)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    makes = [lambda: SGDClassifier(loss="log_loss", alpha=0), lambda: LogisticRegression(warm_start=True, max_iter=3)]

    def study() -> cw.Result:
        clients = [
            LinearClient(makes[part % 2](), rows[part::4], labels[part::4], test=(rows[part::4], labels[part::4]))
            for part in range(4)
        ]
        return cw.simulate(clients, rounds=4, lr=0.01, seed=3)

    with pytest.warns(Warning):
        first, second = study(), study()
    assert first.digest == second.digest
    assert first.history.rounds[-1].metrics["accuracy"] > 0.95
    with pytest.raises(ValueError, match="warm_start=True"):
        LinearClient(LogisticRegression(), rows, labels)
