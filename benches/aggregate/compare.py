"""Run both sides on the same updates and compare: python compare.py OUR_PROGRAM."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
COUNT, COORDINATES = 100, 2_500_000
# One thread on both sides: NumPy's linear algebra would otherwise use several where it can.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}


def make_updates(folder: pathlib.Path) -> None:
    """Normal noise around a common direction, as updates are; every fifth one is turned around and longer."""
    random = np.random.default_rng(42)
    common = random.standard_normal(COORDINATES, np.float32) * np.float32(0.001)
    for at in range(COUNT):
        update = common + random.standard_normal(COORDINATES, np.float32) * np.float32(0.002)
        (-3 * update if at % 5 == 0 else update).tofile(folder / f"{at}.f32")


def run(command: list[str]) -> dict:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    program = sys.argv[1]
    ours, flower, apart = {}, {}, {}
    with tempfile.TemporaryDirectory(prefix="cw-aggregate-") as name:
        folder = pathlib.Path(name)
        make_updates(folder)
        for rule in ("krum", "median"):
            arguments = [name, rule, str(COUNT), str(COORDINATES)]
            ours[rule] = run([program, *arguments])
            flower[rule] = run([sys.executable, str(HERE / "flower_rules.py"), *arguments])
            mine, theirs = (np.fromfile(folder / f"{side}-{rule}.f32", np.float32) for side in ("ours", "flower"))
            apart[rule] = float(np.abs(mine - theirs).max())
        for rule in ("trimmed-mean", "geometric-median", "centred-clipping"):
            ours[rule] = run([program, name, rule, str(COUNT), str(COORDINATES)])
    updates_mib = COUNT * COORDINATES * 4 / 2**20
    print(f"{COUNT} updates of {COORDINATES:,} coordinates, {updates_mib:.0f} MiB together, one thread")
    print(f"{'':22}{'ours':>12}{'Flower 1.41.0':>16}{'ratio':>10}{'ours, MiB':>12}{'Flower, MiB':>14}{'apart':>10}")
    for rule, mine in ours.items():
        line = f"{rule:22}{mine['cpu_s']:>10.2f} s"
        if rule in flower:
            theirs = flower[rule]
            ratio = theirs["cpu_s"] / mine["cpu_s"]
            line += f"{theirs['cpu_s']:>14.2f} s{ratio:>9.1f}x{mine['peak_mib']:>12.0f}{theirs['peak_mib']:>14.0f}{apart[rule]:>10.1e}"
        else:
            line += f"{'':26}{mine['peak_mib']:>12.0f}"
        print(line)
    print("CPU seconds of the rule alone; memory is the peak of the whole process, updates included.")
    ratios = {f"{rule}_cpu": round(flower[rule]["cpu_s"] / ours[rule]["cpu_s"], 1) for rule in ("krum", "median")}
    memory = max(ours[rule]["peak_mib"] for rule in ("krum", "median")) / updates_mib
    passed = True
    for claim, holds in (
        ("Krum in at most a tenth of Flower's CPU seconds", ratios["krum_cpu"] >= 10),
        ("median in at most a third", ratios["median_cpu"] >= 3),
        ("peak memory under 1.2 times the updates", memory < 1.2),
        # A unit of our updates is 2^-24, and a mean of two adds half of one.
        ("the same results", max(apart.values()) < 2**-23),
    ):
        print("yes" if holds else "no ", claim)
        passed &= holds
    figures = {f"{rule.replace('-', '_')}_cpu_s": round(mine["cpu_s"], 3) for rule, mine in ours.items()}
    figures |= {f"flower_{rule}_cpu_s": round(theirs["cpu_s"], 2) for rule, theirs in flower.items()}
    figures |= {"memory_factor": round(memory, 3)}
    figures |= {f"flower_{rule}_peak_mib": round(theirs["peak_mib"]) for rule, theirs in flower.items()}
    print(json.dumps({"bench": "aggregate", "figures": figures, "ratios": ratios}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
