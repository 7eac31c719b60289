"""What Google's dp-accounting says about a grid of mechanisms: testdata/privacy-v1.json.

    make_vectors.sh            writes the file
    make_vectors.sh --check    compares the committed file with what would be written
"""

import functools
import itertools
import json
import math
import pathlib
import sys

import dp_accounting as dp
import mpmath
import numpy as np
from dp_accounting.rdp import RdpAccountant, rdp_privacy_accountant

FILE = pathlib.Path(__file__).resolve().parents[2] / "testdata" / "privacy-v1.json"
NOISES = [0.3, 0.6, 1.0, 1.7, 4.0, 12.0]
COUNTS = [1, 15, 1000]
DELTAS = [1e-4, 1e-5, 1e-9]


@functools.cache
def forward_differences(rate: float) -> tuple[float, ...]:
    """Logarithms of the forward differences of exp(rate k (k - 1)) at 0, the first order first."""
    with mpmath.workdps(600):
        values = [mpmath.exp(mpmath.mpf(rate) * k * (k - 1)) for k in range(260)]
        logarithms = []
        while len(values) > 1:
            values = [after - before for before, after in itertools.pairwise(values)]
            logarithms.append(float(mpmath.log(abs(values[0]))) if values[0] else -math.inf)
        return tuple(logarithms)


def exact_differences(log_of, count: int):
    """As dp-accounting's function of this place, whose doubles lose all digits where much noise makes the function flat."""
    # Its argument is x (x + 1) / (2 sigma^2): the rate is half of its value at 1.
    logarithms = np.array(forward_differences(log_of(1.0) / 2)[: count + 2])
    return logarithms, np.ones(len(logarithms), dtype=bool)


rdp_privacy_accountant._get_forward_diffs = exact_differences


def case(sampling: dict, event: dp.DpEvent, relation: dp.NeighboringRelation, count: int) -> dict:
    accountant = RdpAccountant(neighboring_relation=relation)
    accountant.compose(event, count)
    return {
        **sampling,
        "count": count,
        "epsilons": [{"delta": delta, "epsilon": float(accountant.get_epsilon(delta))} for delta in DELTAS],
    }


def cases() -> list[dict]:
    either, replaced = dp.NeighboringRelation.ADD_OR_REMOVE_ONE, dp.NeighboringRelation.REPLACE_ONE
    out = []
    for noise, count in itertools.product(NOISES, COUNTS):
        gaussian = dp.GaussianDpEvent(noise)
        out.append(case({"noise": noise, "sampling": "all"}, gaussian, either, count))
        for probability in (0.001, 0.01, 0.1, 0.5, 0.9):
            event = dp.PoissonSampledDpEvent(probability, gaussian)
            out.append(case({"noise": noise, "sampling": "poisson", "probability": probability}, event, either, count))
        for sample, of in ((1, 1000), (8, 199), (4, 30), (10, 20)):
            event = dp.SampledWithoutReplacementDpEvent(of, sample, gaussian)
            named = {"noise": noise, "sampling": "fixed", "sample": sample, "of": of}
            out.append(case(named, event, replaced, count))
    for rho, count in itertools.product((0.001, 0.05, 0.5), COUNTS):
        out.append(case({"sampling": "zcdp", "rho": rho}, dp.ZCDpEvent(rho), either, count))
    return out


def same(committed: list[dict], made: list[dict]) -> bool:
    """The same mechanisms, and the same epsilons but for the last digits, which differ between machines."""
    strip = lambda case: {key: value for key, value in case.items() if key != "epsilons"}
    return len(committed) == len(made) and all(
        strip(a) == strip(b)
        and all(
            x["delta"] == y["delta"] and math.isclose(x["epsilon"], y["epsilon"], rel_tol=1e-9, abs_tol=1e-12)
            for x, y in zip(a["epsilons"], b["epsilons"], strict=True)
        )
        for a, b in zip(committed, made)
    )


def main() -> int:
    made = cases()
    if "--check" in sys.argv:
        if same(json.loads(FILE.read_text())["cases"], made):
            print(f"{len(made)} mechanisms: the committed file is what dp-accounting says")
            return 0
        print(f"{FILE.name} is not what dp-accounting says: run tests/privacy/make_vectors.sh", file=sys.stderr)
        return 1
    lines = ",\n".join(json.dumps(case) for case in made)
    FILE.write_text('{"source": "dp-accounting 0.6.0, RdpAccountant with its default orders and exact forward differences", "cases": [\n' + lines + "\n]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
