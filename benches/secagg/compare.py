"""Run both sides and compare: python compare.py OUR_PROGRAM."""

import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Members, coordinates, shares of a secret (one's own among them for Flower), threshold. Flower counts a member among its own
# neighbours, we do not: both open a secret with more than half of the neighbours.
CASES = {
    "n10_d100k": (10, 100_000, 10, 6),
    "n30_d100k": (30, 100_000, 30, 16),
    "n100_d10k": (100, 10_000, 21, 11),
    "n10_d1m": (10, 1_000_000, 10, 6),
}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}


def run(command: list) -> dict:
    command = [str(part) for part in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    program = sys.argv[1]
    print(f"{'members x values':22}{'ours':>10}{'Flower 1.41.0':>16}{'ratio':>9}{'1 dropout':>12}{'upload':>10}{'all sent':>10}{'Flower':>9}")
    figures, ratios, uploads, apart = {}, {}, [], []
    for name, (members, values, shares, threshold) in CASES.items():
        degree = shares - 1
        ours = run([program, members, values, degree, threshold, 0])
        dropped = run([program, members, values, degree, threshold, 1])
        flower = run([sys.executable, HERE / "flower_secagg.py", members, values, shares, threshold])
        model = 4 * values
        ratio = flower["cpu_s"] / ours["cpu_s"]
        factor, sent, theirs = (number / model for number in (ours["upload_bytes"], ours["all_bytes"], flower["upload_bytes"]))
        print(
            f"{f'{members} x {values:,}':22}{ours['cpu_s']:>8.3f} s{flower['cpu_s']:>14.2f} s{ratio:>8.1f}x{dropped['cpu_s']:>10.3f} s"
            f"{factor:>9.3f}x{sent:>9.3f}x{theirs:>8.2f}x"
        )
        figures |= {f"{name}_cpu_s": round(ours["cpu_s"], 4), f"{name}_dropout_cpu_s": round(dropped["cpu_s"], 4)}
        figures |= {f"flower_{name}_cpu_s": round(flower["cpu_s"], 3), f"{name}_sent_factor": round(sent, 4)}
        ratios[f"{name}_cpu"] = round(ratio, 1)
        uploads.append(factor)
        apart.append(flower["apart"])
    figures["upload_factor"] = round(max(uploads), 4)
    print("CPU seconds of one round of the protocol, all members and the recovery together, without training, transport or start;")
    print("upload: the masked vector over four bytes a value; all sent: with keys, shares and answers of one member.")
    passed = True
    for claim, holds in (
        ("100 members x 10,000 values: at most a thirtieth of Flower's CPU seconds", ratios["n100_d10k_cpu"] >= 30),
        ("a masked upload of at most 1.05 times the model", figures["upload_factor"] <= 1.05),
        ("our sums are the plain ones to the bit, Flower's to a hundred-thousandth", max(apart) < 1e-4),
    ):
        print("yes" if holds else "no ", claim)
        passed &= holds
    print(json.dumps({"bench": "secagg", "figures": figures, "ratios": ratios}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
