"""Run both sides and compare: python compare.py OUR_PROGRAM, with DATA in the environment or not."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
# The rounds after the first are compared, since Flower starts Ray in the first.
CASES = {10: 20, 1000: 3}


def digits() -> pathlib.Path:
    given = os.environ.get("DATA", "")
    if given and pathlib.Path(given).is_file():
        return pathlib.Path(given)
    if given and (pathlib.Path(given) / "data.csv").is_file():
        return pathlib.Path(given) / "data.csv"
    path = HERE / ".venv" / "digits.csv"
    if not path.exists():
        from sklearn.datasets import load_digits

        source = load_digits()
        lines = [",".join([f"pixel_{n}" for n in range(64)] + ["digit"])]
        lines += [",".join(f"{v:.0f}" for v in [*row, digit]) for row, digit in zip(source.data, source.target)]
        path.write_text("\n".join(lines) + "\n")
    return path


def tree(root: int) -> list[int]:
    """Processes below and including one."""
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        try:
            for task in pathlib.Path(f"/proc/{process}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            pass
    return found


def proportional_kib(root: int) -> int:
    """Memory of a process tree, pages shared by several processes counted once (PSS)."""
    total = 0
    for process in tree(root):
        try:
            for line in pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


def run(command: list[str], watch: bool) -> dict:
    """Seconds from the start of the process to its first round, seconds of each round, accuracy, peak memory."""
    peak = [0]
    started = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        environment = os.environ | {"RAY_DEDUP_LOGS": "0", "FLWR_TELEMETRY_ENABLED": "0", "RAY_USAGE_STATS_ENABLED": "0"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        done = threading.Event()

        def follow() -> None:
            while not done.wait(1.0):
                peak[0] = max(peak[0], proportional_kib(process.pid))

        watcher = threading.Thread(target=follow)
        if watch:
            watcher.start()
        first, rounds, result = None, [], {}
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            document = json.loads(line)
            if "round" in document:
                first = first if first is not None else time.monotonic() - started
                rounds.append(document["seconds"])
            else:
                result = document
        process.wait()
        done.set()
        if watch:
            watcher.join()
        if process.returncode != 0 or "accuracy" not in result:
            errors.seek(0)
            sys.stderr.write(errors.read().decode(errors="replace")[-4000:])
            raise SystemExit(f"{command[0]} ended with status {process.returncode}")
    # A single process knows its own peak, which sampling would miss.
    kib = peak[0] if watch else result["peak_kib"]
    return {"start": first, "rounds": rounds, "accuracy": result["accuracy"], "peak_mib": kib / 1024}


def main() -> int:
    program, data = sys.argv[1], str(digits())
    ours, flower = {}, {}
    for clients, rounds in CASES.items():
        ours[clients] = run([program, data, str(clients), str(rounds)], watch=False)
        print(f"ours, {clients} clients: done", file=sys.stderr)
        script = [sys.executable, str(HERE / "flower_clients.py"), data, str(clients), str(rounds)]
        flower[clients] = run(script, watch=True)
        print(f"Flower, {clients} clients: done", file=sys.stderr)
    # Against us: our slowest later round beside Flower's fastest.
    round_ours = {clients: max(ours[clients]["rounds"][1:]) for clients in CASES}
    round_flower = {clients: min(flower[clients]["rounds"][1:]) for clients in CASES}
    print("Digits, softmax regression, FedAvg, every client in every round, one pass in batches of 16, rate 0.5")
    print(f"{'':34}{'ours':>14}{'Flower 1.41.0':>16}{'ratio':>10}")

    def row(name: str, mine: float, theirs: float, unit: str, digits: int = 3) -> None:
        print(f"{name:34}{mine:>10.{digits}f} {unit:3}{theirs:>12.{digits}f} {unit:3}{theirs / mine:>9.1f}x")

    for clients in CASES:
        row(f"{clients} clients: start to first round", ours[clients]["start"], flower[clients]["start"], "s")
        row(f"{clients} clients: a later round", round_ours[clients], round_flower[clients], "s", 5)
        row(f"{clients} clients: peak memory", ours[clients]["peak_mib"], flower[clients]["peak_mib"], "MiB", 1)
        mine, theirs = ours[clients]["accuracy"], flower[clients]["accuracy"]
        print(f"{f'{clients} clients: accuracy, {CASES[clients]} rounds':34}{mine:>14.4f}{theirs:>16.4f}")
    print("Rounds: our slowest, Flower's fastest, of those after the first. Memory: ours resident, Flower's whole process")
    print("tree with shared pages counted once, sampled each second. Both start from zero; shuffles differ.")

    ratio = round_flower[1000] / round_ours[1000]
    peak = max(case["peak_mib"] for case in ours.values())
    start = ours[10]["start"]
    passed = True
    for claim, holds in (
        ("a round of 1,000 clients at least 20 times as fast", ratio >= 20),
        ("10 clients: start to first round under 0.5 s", start < 0.5),
        ("peak memory under 150 MiB", peak < 150),
        ("both learn the same", all(abs(ours[n]["accuracy"] - flower[n]["accuracy"]) < 0.02 for n in CASES)),
    ):
        print("yes" if holds else "no ", claim)
        passed &= holds
    figures = {
        "start_10_s": round(start, 4),
        "round_1000": round(round_ours[1000], 5),
        "flower_round_1000": round(round_flower[1000], 2),
        "flower_start_10_s": round(flower[10]["start"], 2),
        "peak_mib": round(peak, 1),
        "flower_peak_mib": round(max(case["peak_mib"] for case in flower.values()), 1),
    }
    ratios = {"round_1000": round(ratio, 1), "start_10": round(flower[10]["start"] / start, 1)}
    print(json.dumps({"bench": "federated", "figures": figures, "ratios": ratios}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
