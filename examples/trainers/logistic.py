"""Trains a logistic model without any package: `cw member start … --trainer "python3 logistic.py --label diagnosis=malignant"`.

Speaks the contract of docs/spec/trainer.md in the plainest way there is, to be read before writing one in another language.
"""

import argparse
import csv
import json
import math
import random
import struct
import sys
from pathlib import Path

CONTRACT = "counterweight/trainer/v1"


def read_model(path):
    """Names, shapes and numbers of a safetensors file."""
    data = Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    model = {}
    for name, tensor in header.items():
        start, end = tensor["data_offsets"]
        numbers = struct.unpack(f"<{(end - start) // 4}f", data[8 + length + start : 8 + length + end])
        model[name] = (tensor["shape"], list(numbers))
    return model


def write_model(path, model):
    header, body = {}, b""
    for name, (shape, numbers) in model.items():
        start = len(body)
        body += struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(body)]}
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def read_rows(path, label):
    """Rows of a CSV file and whether the label column has the wanted value."""
    column, wanted = label.split("=")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    labels = [1.0 if row.pop(column) == wanted else 0.0 for row in rows]
    return [[float(value) for value in row.values()] for row in rows], labels


def scaled(rows, by):
    """Rows in deviations from the mean of the rows in `by`."""
    result = [[] for _ in rows]
    for place in range(len(by[0])):
        column = [row[place] for row in by]
        mean = sum(column) / len(column)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in column) / max(1, len(column) - 1))
        for row, out in zip(rows, result):
            out.append((row[place] - mean) / deviation if deviation else 0.0)
    return result


def probability(bias, weights, row):
    logit = bias + sum(w * x for w, x in zip(weights, row))
    return 1 / (1 + math.exp(-max(-60.0, min(60.0, logit))))


def train(request, rows, labels):
    model = read_model(request["parameters"])
    bias, weights = model["layers.0.bias"][1], model["layers.0.weight"][1]
    order = random.Random(request["seed"])
    local = request["local"]
    # Fractions are texts, so that they are the same number for everybody.
    lr, batch = float(local["lr"]), local["batch"]
    for _ in range(local["epochs"] or 1):
        places = list(range(len(rows)))
        order.shuffle(places)
        for start in range(0, len(places), batch):
            chosen = places[start : start + batch]
            slope, slopes = 0.0, [0.0] * len(weights)
            for place in chosen:
                error = probability(bias[0], weights, rows[place]) - labels[place]
                slope += error
                slopes = [s + error * x for s, x in zip(slopes, rows[place])]
            bias[0] -= lr * slope / len(chosen)
            weights[:] = [w - lr * s / len(chosen) for w, s in zip(weights, slopes)]
    write_model(request["result"], model)
    return {"examples": len(rows)}


def evaluate(request, rows, labels):
    model = read_model(request["parameters"])
    bias, weights = model["layers.0.bias"][1][0], model["layers.0.weight"][1]
    likely = [probability(bias, weights, row) for row in rows]
    loss = -sum(math.log(p if label else 1 - p) for p, label in zip(likely, labels)) / len(rows)
    right = sum((p > 0.5) == bool(label) for p, label in zip(likely, labels))
    return {"loss": loss, "examples": len(rows), "metrics": {"accuracy": right / len(rows)}}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--label", required=True, help="column=value of the rows that are a yes")
    parser.add_argument("--scale-by", help="file whose rows say mean and deviation; the dataset's own if absent")
    options = parser.parse_args()
    for line in sys.stdin:
        request = json.loads(line)
        rows, labels = read_rows(request["data"], options.label)
        by = read_rows(options.scale_by, options.label)[0] if options.scale_by else rows
        task = train if request["task"] == "train" else evaluate
        answer = task(request, scaled(rows, by), labels)
        # stdout holds answers only: whatever is said besides goes to stderr.
        print(f"{request['task']} in round {request['round']}: {answer}", file=sys.stderr)
        print(json.dumps({"contract": CONTRACT, **answer}), flush=True)


if __name__ == "__main__":
    main()
