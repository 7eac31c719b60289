"""Flower's side: python flower_rules.py FOLDER RULE COUNT COORDINATES

Prints one line of JSON: CPU seconds of the rule alone, peak resident memory, and what came out, for comparison.
"""

import json
import pathlib
import resource
import sys
import time

import numpy as np
from flwr.server.strategy.aggregate import aggregate_krum, aggregate_median

FOLDER, RULE, COUNT, COORDINATES = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
FAULTY = 20


def main() -> None:
    results = [([np.fromfile(FOLDER / f"{at}.f32", np.float32, COORDINATES)], 1) for at in range(COUNT)]
    started = time.process_time()
    if RULE == "krum":
        combined = aggregate_krum(results, FAULTY, 0)[0]
    else:
        combined = aggregate_median(results)[0]
    seconds = time.process_time() - started
    np.asarray(combined, np.float32).tofile(FOLDER / f"flower-{RULE}.f32")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": seconds, "peak_mib": peak}))


if __name__ == "__main__":
    main()
