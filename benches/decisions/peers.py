"""One peer: python peers.py PEER FOLDER DECISIONS. Prints CPU seconds and bytes on disk as JSON.

Every peer gets the decisions ours gets: 16 inputs, a threshold, the score, and the explanation (base value and 16
contributions). Making the rows is not timed. The plain file and SQLite sync once for each 65,536 decisions, as ours
does; MLflow stores a trace for each decision in its SQLite store and is waited for at the end.
"""

import json
import os
import pathlib
import random
import resource
import sys

BATCH, INPUTS = 65_536, 16
WEIGHTS = [((i * 37 % 19) - 9.0) * 0.03125 for i in range(INPUTS)]
MEANS = [((i * 37 % 19) - 9.0) * 0.5 for i in range(INPUTS)]
BIAS = -0.75
BASE = BIAS + sum(w * m for w, m in zip(WEIGHTS, MEANS))


def rows(count: int) -> list[list[float]]:
    source = random.Random(42)
    return [[source.uniform(-5, 5) for _ in range(INPUTS)] for _ in range(min(count, BATCH))]


def decide(row: list[float]) -> tuple[float, list[float]]:
    score = BIAS + sum(w * x for w, x in zip(WEIGHTS, row))
    return score, [w * (x - m) for w, x, m in zip(WEIGHTS, row, MEANS)]


def batches(count: int, made: list[list[float]]):
    for start in range(0, count, BATCH):
        yield start, made[: min(BATCH, count - start)]


def json_lines(folder: pathlib.Path, count: int, made: list[list[float]]) -> None:
    with open(folder / "decisions.jsonl", "ab") as file:
        for start, batch in batches(count, made):
            lines = []
            for at, row in enumerate(batch, start):
                score, phi = decide(row)
                lines.append(json.dumps({
                    "index": at, "time": at, "model": "bench", "subject": f"subject {at % 1024}", "inputs": row,
                    "threshold": 0.5, "score": score, "base": BASE, "contributions": phi, "reviewer": None,
                }))
            file.write(("\n".join(lines) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())


def sqlite(folder: pathlib.Path, count: int, made: list[list[float]]) -> None:
    import sqlite3

    names = [f"input_{i}" for i in range(INPUTS)] + ["threshold", "score", "base"] + [f"phi_{i}" for i in range(INPUTS)]
    database = sqlite3.connect(folder / "decisions.db")
    database.execute("PRAGMA journal_mode=WAL")
    # As durable as ours: the write-ahead log is synced at each commit.
    database.execute("PRAGMA synchronous=FULL")
    columns = ", ".join(f"{name} REAL" for name in names)
    database.execute(f"CREATE TABLE decisions (id INTEGER PRIMARY KEY, time INTEGER, model TEXT, subject TEXT, {columns}, reviewer TEXT)")
    marks = ", ".join("?" * (len(names) + 5))
    for start, batch in batches(count, made):
        values = []
        for at, row in enumerate(batch, start):
            score, phi = decide(row)
            values.append((at, at, "bench", f"subject {at % 1024}", *row, 0.5, score, BASE, *phi, None))
        with database:
            database.executemany(f"INSERT INTO decisions VALUES ({marks})", values)
    database.close()


def mlflow(folder: pathlib.Path, count: int, made: list[list[float]]) -> None:
    import logging

    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    # Otherwise spans go to a folder below the one that this was started in.
    if mlflow.get_experiment_by_name("decisions") is None:
        mlflow.create_experiment("decisions", artifact_location=(folder / "mlruns").as_uri())
    mlflow.set_experiment("decisions")
    for start, batch in batches(count, made):
        for at, row in enumerate(batch, start):
            score, phi = decide(row)
            with mlflow.start_span(name="decision") as span:
                span.set_inputs({"inputs": row, "threshold": 0.5, "subject": f"subject {at % 1024}"})
                span.set_outputs({"score": score})
                span.set_attributes({"base": BASE, "contributions": phi, "model": "bench"})
    mlflow.flush_trace_async_logging()


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    peer, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    folder = pathlib.Path(name)
    made = rows(count)
    run = {"json-lines": json_lines, "sqlite": sqlite, "mlflow": mlflow}[peer]
    if peer == "mlflow":
        # Importing it and making its tables is not what is compared.
        run(folder, 5, made)
    before = cpu_seconds()
    run(folder, count, made)
    spent = cpu_seconds() - before
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(json.dumps({"decisions": count, "cpu_s": spent, "bytes": size}))


if __name__ == "__main__":
    main()
