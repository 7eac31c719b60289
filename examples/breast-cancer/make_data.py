"""Write the example's five files from scikit-learn's copy of Breast Cancer Wisconsin (diagnostic).

The measurements are the public ones; **the split among four clinics is ours**. A row goes where a fixed rule sends
it: rows of each diagnosis are ordered by the SHA-256 of their number, and dealt out in the counts below, so that
clinics differ in size and in case mix. No random generator is involved, so every machine writes the same bytes.

    python make_data.py           writes data/*.csv
    python make_data.py --check   compares instead, exit status 1 if a file differs
"""

import csv
import hashlib
import io
import pathlib
import sys

from sklearn.datasets import load_breast_cancer

# (malignant, benign) rows of each file: 212 and 357 in all.
COUNTS = {
    "holdout": (37, 63),  # the mix of the whole set; nobody trains on it
    "clinic-a": (60, 120),  # a general hospital
    "clinic-b": (20, 120),  # a screening centre: few cases
    "clinic-c": (80, 25),  # an oncology referral centre: mostly cases
    "clinic-d": (15, 29),  # a small practice
}
DIAGNOSES = ("malignant", "benign")
FOLDER = pathlib.Path(__file__).resolve().parent / "data"


def place(row: int) -> bytes:
    return hashlib.sha256(f"counterweight/breast-cancer/{row}".encode()).digest()


def files() -> dict[str, str]:
    source = load_breast_cancer()
    names = [name.replace(" ", "_") for name in source.feature_names]
    assert [str(name) for name in source.target_names] == list(DIAGNOSES)
    waiting = {
        diagnosis: sorted((row for row, target in enumerate(source.target) if target == code), key=place)
        for code, diagnosis in enumerate(DIAGNOSES)
    }
    written = {}
    for name, counts in COUNTS.items():
        rows = []
        for diagnosis, count in zip(DIAGNOSES, counts, strict=True):
            taken, waiting[diagnosis] = waiting[diagnosis][:count], waiting[diagnosis][count:]
            assert len(taken) == count
            rows += [(row, diagnosis) for row in taken]
        # Mixed, so that a file's order says nothing about the diagnosis.
        rows.sort(key=lambda item: place(item[0]))
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow([*names, "diagnosis"])
        for row, diagnosis in rows:
            table.writerow([*(repr(float(value)) for value in source.data[row]), diagnosis])
        written[f"{name}.csv"] = text.getvalue()
    assert not any(waiting.values()), "every biopsy is in one file"
    return written


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        print(__doc__, file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    differing = []
    for name, text in files().items():
        path = FOLDER / name
        if check:
            if not path.exists() or path.read_bytes() != text.encode():
                differing.append(name)
        else:
            path.write_bytes(text.encode())
    for name in differing:
        print(f"{name} is not what the script writes", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
