"""Run all sides on the same decisions and compare: python compare.py OUR_PROGRAM."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INPUTS = 16
RUNS = 3
COUNTS = {"ours": 1_000_000, "receipts": 500_000, "wide": 300_000, "json-lines": 200_000, "sqlite": 200_000, "mlflow": 300}
# One thread on all sides.
ENVIRONMENT = os.environ | {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "true",
                            "MLFLOW_DISABLE_TELEMETRY": "true"}


def run(root: pathlib.Path, label: str, command: list[str]) -> dict:
    # A folder of its own for each run, none removed before the end: ext4 slows down where inodes were just freed.
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{label}-", dir=root))
    done = subprocess.run([part.replace("FOLDER", str(folder / "here")) for part in command],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"{command[0]} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def best(results: list[dict]) -> dict:
    """The run that other load on the machine disturbed least."""
    return min(results, key=lambda result: result["cpu_s"])


def main() -> int:
    program = sys.argv[1]
    root = pathlib.Path(tempfile.mkdtemp(prefix="cw-decisions-", dir=os.environ.get("TMPDIR")))
    try:
        def ours(label: str, inputs: int, receipts: str) -> list[str]:
            return [program, "FOLDER", str(COUNTS[label]), str(inputs), receipts]

        def peer(name: str) -> list[str]:
            script = (
                "import pathlib, runpy, sys; pathlib.Path(sys.argv[2]).mkdir(parents=True); "
                f"sys.path.insert(0, {str(HERE)!r}); import peers; peers.main()"
            )
            return [sys.executable, "-c", script, name, "FOLDER", str(COUNTS[name])]

        measured = {
            "ours": best([run(root, "ours", ours("ours", INPUTS, "none")) for _ in range(RUNS)]),
            "receipts": best([run(root, "receipts", ours("receipts", INPUTS, "receipts")) for _ in range(RUNS)]),
            "wide": best([run(root, "wide", ours("wide", 36, "none")) for _ in range(RUNS)]),
        }
        for name in ("json-lines", "sqlite"):
            measured[name] = best([run(root, name, peer(name)) for _ in range(RUNS)])
        measured["mlflow"] = run(root, "mlflow", peer("mlflow"))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    rate = {name: result["decisions"] / result["cpu_s"] for name, result in measured.items()}
    size = {name: result["bytes"] / result["decisions"] for name, result in measured.items()}
    titles = {
        "ours": "ours, 36 fields", "receipts": "ours, a receipt for each", "wide": "ours, 36 inputs (76 fields)",
        "json-lines": "plain file, JSON lines", "sqlite": "SQLite, WAL", "mlflow": "MLflow tracing",
    }
    print("decisions with exact linear explanations, on disk before they are acknowledged")
    print(f"{'':30}{'per core-second':>18}{'bytes each':>12}{'ratio':>10}")
    for name, title in titles.items():
        print(f"{title:30}{rate[name]:>18,.0f}{size[name]:>12,.0f}{rate['ours'] / rate[name]:>9,.1f}x")
    print("CPU seconds of the process, user and system; best of three but for MLflow. Only ours commits, seals and proves.")
    ratios = {name.replace("-", "_"): round(rate["ours"] / rate[name], 2) for name in ("json-lines", "sqlite", "mlflow")}
    figures = {
        "per_core_second": round(rate["ours"]), "bytes_per_decision": round(size["ours"], 1),
        "with_receipts_per_core_second": round(rate["receipts"]), "inputs_36_per_core_second": round(rate["wide"]),
        "json_lines_per_core_second": round(rate["json-lines"]), "sqlite_per_core_second": round(rate["sqlite"]),
        "mlflow_per_core_second": round(rate["mlflow"], 1),
    }
    print(json.dumps({"bench": "decisions", "figures": figures, "ratios": ratios}))
    return 0 if rate["ours"] >= 200_000 else 1


if __name__ == "__main__":
    sys.exit(main())
