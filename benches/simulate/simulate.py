"""python simulate.py OUR_PROGRAM, with DATA in the environment or not."""

import json
import pathlib
import sys

PEER = pathlib.Path(__file__).resolve().parent.parent / "federated"
sys.path.insert(0, str(PEER))
from compare import digits, run  # noqa: E402

MEMBERS, ROUNDS = 100_000, 5


def main() -> int:
    program, data = sys.argv[1], str(digits())
    ours = run([program, data, "1000", "3"], watch=False)
    flower = run([sys.executable, str(PEER / "flower_clients.py"), data, "1000", "3"], watch=True)
    many = run([program, data, str(MEMBERS), str(ROUNDS), "streamed"], watch=False)
    # Against us: our slowest later round beside Flower's fastest.
    mine, theirs = max(ours["rounds"][1:]), min(flower["rounds"][1:])
    ratio = theirs / mine
    slowest = max(many["rounds"])
    print("Digits, softmax regression, FedAvg, every member in every round, one pass in batches of 16, rate 0.5")
    print(f"1,000 members, a later round: ours {mine:.5f} s, Flower 1.41.0 {theirs:.2f} s: {ratio:.0f}x")
    print(f"1,000 members, peak memory: ours {ours['peak_mib']:.1f} MiB, Flower {flower['peak_mib']:.0f} MiB")
    print(f"{MEMBERS:,} members, 12 rows each: {ROUNDS} rounds, the slowest in {slowest:.2f} s, {many['peak_mib']:.1f} MiB, "
          f"accuracy {many['accuracy']:.4f}")
    passed = True
    for claim, holds in (
        ("a round of 1,000 members at least 40 times as fast as Flower's simulation", ratio >= 40),
        ("100,000 members complete", len(many["rounds"]) == ROUNDS and many["accuracy"] > 0.8),
    ):
        print("yes" if holds else "no ", claim)
        passed &= holds
    figures = {
        "round_1000_s": round(mine, 5),
        "flower_round_1000_s": round(theirs, 2),
        "members_100k_s": round(slowest, 3),
        "members_100k_mib": round(many["peak_mib"], 1),
    }
    print(json.dumps({"bench": "simulate", "figures": figures, "ratios": {"round_1000": round(ratio, 1)}}))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
