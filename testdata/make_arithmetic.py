#!/usr/bin/env python3
"""Writes arithmetic-v1.json: an implementation of docs/spec/arithmetic.md of its own, in exact Python integers.

    python3 testdata/make_arithmetic.py [--check]
"""

import hashlib
import json
import pathlib
import random
import struct
import sys

PATH = pathlib.Path(__file__).with_name("arithmetic-v1.json")
DOMAIN = b"counterweight/arithmetic/v1"
ARCHITECTURES, RUNS = 125, 80
DENSE, CONV, AVERAGE, ADD, MAX = 1, 2, 3, 4, 5
NONE, RAW, PLAIN, RELU = 0, 1, 2, 3


def stream(case, run):
    """Bytes SHA-256(domain | case | run | block) for block 0, 1, ...; numbers are four bytes, big endian."""
    block = 0
    while True:
        yield from hashlib.sha256(DOMAIN + struct.pack(">III", case, run, block)).digest()
        block += 1


def signed(byte):
    return byte - 256 if byte > 127 else byte


def clamp(q, relu):
    return min(max(q, 0 if relu else -128), 127)


def requantise(acc, shift, relu):
    # Floor division written without a shift.
    return clamp(acc if shift == 0 else (acc + 2 ** (shift - 1)) // 2**shift, relu)


def places(shape, kernel, stride, pad=(0, 0, 0, 0)):
    return tuple((shape[1 + i] + pad[i] + pad[i + 2] - kernel[i]) // stride[i] + 1 for i in (0, 1))


def size(shape):
    return shape[0] * shape[1] * shape[2]


class Layer:
    def __init__(self, kind, inputs, form=NONE, shift=0, e=0, digits=0, m=0, mr=0, kernel=(0, 0), stride=(0, 0),
                 pad=(0, 0, 0, 0), channels=0):
        self.__dict__.update(locals())

    def place(self, shapes):
        """Says what the layer's output, terms and bound are."""
        shape = shapes[self.inputs[0]]
        self.input = shape
        bias = sum(2 ** (self.e + 8 * k) for k in range(self.digits))
        if self.kind == DENSE:
            self.shape, self.terms = (self.channels, 1, 1), size(shape)
        elif self.kind == CONV:
            self.shape = (self.channels, *places(shape, self.kernel, self.stride, self.pad))
            self.terms = shape[0] * self.kernel[0] * self.kernel[1]
        elif self.kind == ADD:
            self.shape, self.terms = shape, 2
        else:
            self.shape = (shape[0], *places(shape, self.kernel, self.stride))
            self.terms = self.kernel[0] * self.kernel[1]
        self.bound = {
            DENSE: self.terms * 2**14 + 128 * bias,
            CONV: self.terms * 2**14 + 128 * bias,
            AVERAGE: 128 * self.m * self.terms,
            ADD: 128 * (self.m + self.mr),
            MAX: 128,
        }[self.kind]
        self.weights = self.channels * self.terms if self.kind in (DENSE, CONV) else 0
        self.biases = self.channels if self.digits else 0
        return self.shape

    def least_shift(self):
        return next((s for s in range(17) if (self.bound + (2 ** (s - 1) if s else 0)) // 2**s <= 32639), None)

    def record(self):
        left, right = (*self.inputs, 0)[:2]
        return struct.pack(
            ">BBBBBBBBB4B4B9x3H", self.kind, left, right, self.form, self.shift, self.e, self.digits, self.m, self.mr,
            *self.kernel, *self.stride, *self.pad, *self.shape)

    def accumulators(self, nodes, weights, biases):
        a = nodes[self.inputs[0]]
        channels, height, width = self.input

        def at(c, y, x):
            return a[(c * height + y) * width + x] if 0 <= y < height and 0 <= x < width else 0

        if self.kind == DENSE:
            for o in range(self.channels):
                row = weights[o * self.terms:(o + 1) * self.terms]
                yield (biases[o] if biases else 0) + sum(w * v for w, v in zip(row, a))
            return
        if self.kind == ADD:
            for left, right in zip(a, nodes[self.inputs[1]]):
                yield self.m * left + self.mr * right
            return
        (kh, kw), (sy, sx), (top, left, _, _) = self.kernel, self.stride, self.pad
        for o in range(self.shape[0]):
            for y in range(self.shape[1]):
                for x in range(self.shape[2]):
                    if self.kind == CONV:
                        acc = biases[o] if biases else 0
                        for c in range(channels):
                            for u in range(kh):
                                for v in range(kw):
                                    weight = weights[((o * channels + c) * kh + u) * kw + v]
                                    acc += weight * at(c, y * sy + u - top, x * sx + v - left)
                        yield acc
                    else:
                        seen = [at(o, y * sy + u, x * sx + v) for u in range(kh) for v in range(kw)]
                        yield max(seen) if self.kind == MAX else self.m * sum(seen)


class Network:
    def __init__(self, shape, layers):
        self.shapes, self.layers = [shape], layers
        for layer in layers:
            self.shapes.append(layer.place(self.shapes))

    def encode(self):
        head = struct.pack(">4sB21x3H", b"CWA1", len(self.layers), *self.shapes[0])
        return head + b"".join(layer.record() for layer in self.layers)

    def fill(self, case, run):
        """Weights, biases (digits, lowest first) and input, in this order, from the stream."""
        source = stream(case, run)
        weights = [[signed(next(source)) for _ in range(layer.weights)] for layer in self.layers]
        biases = [
            [sum(signed(next(source)) * 2 ** (layer.e + 8 * k) for k in range(layer.digits)) for _ in range(layer.biases)]
            for layer in self.layers
        ]
        return weights, biases, [signed(next(source)) for _ in range(size(self.shapes[0]))]

    def run(self, weights, biases, data):
        nodes, sums = [data], []
        for layer, w, b in zip(self.layers, weights, biases):
            acc = list(layer.accumulators(nodes, w, b))
            assert all(abs(value) <= layer.bound for value in acc)
            sums.append([] if layer.kind == MAX else acc)
            if layer.form in (PLAIN, RELU):
                acc = [requantise(value, layer.shift, layer.form == RELU) for value in acc]
            nodes.append(acc)
        return nodes, sums


def int8_bytes(values):
    return bytes(value & 255 for value in values)


def int32_bytes(values):
    return b"".join(struct.pack(">i", value) for value in values)


def node_bytes(network, nodes, index):
    is_raw = index > 0 and network.layers[index - 1].form == RAW
    return (int32_bytes if is_raw else int8_bytes)(nodes[index])


def random_network(rng):
    """A few layers of any kind, with at least one that has weights, small enough to be followed by a contract."""
    while True:
        shape = (rng.randint(1, 3), rng.randint(1, 7), rng.randint(1, 7))
        layers, shapes = [], [shape]
        for index in range(rng.randint(1, 4)):
            source = index if rng.random() < 0.8 else rng.randrange(index + 1)
            kind = rng.choice([DENSE, CONV, CONV, AVERAGE, ADD, MAX])
            same = [node for node, other in enumerate(shapes) if other == shapes[source]]
            kernel = (rng.randint(1, 3), rng.randint(1, 3))
            digits = rng.choice([0, 1, 2, 2, 3])
            layer = Layer(kind, [source], rng.choice([PLAIN, RELU]))
            if kind in (DENSE, CONV):
                layer.channels, layer.digits = rng.randint(1, 5), digits
                layer.e = rng.randint(0, 2) if digits else 0
            if kind in (CONV, AVERAGE, MAX):
                layer.kernel, layer.stride = kernel, (rng.randint(1, 3), rng.randint(1, 3))
            if kind == CONV:
                layer.pad = tuple(rng.randrange(kernel[i % 2]) for i in range(4))
            if kind == AVERAGE:
                layer.m = rng.randint(1, 255)
            if kind == ADD:
                layer.inputs = [source, rng.choice(same)]
                layer.m, layer.mr = rng.randint(1, 255), rng.randint(1, 255)
            if kind == MAX:
                layer.form = NONE
                if kernel[0] * kernel[1] > 4:
                    break
            if kind in (CONV, AVERAGE, MAX) and min(
                shapes[source][1 + i] + layer.pad[i] + layer.pad[i + 2] - kernel[i] for i in (0, 1)
            ) < 0:
                break
            shapes.append(layer.place(shapes))
            if layer.form != NONE:
                least = layer.least_shift()
                if least is None:
                    break
                layer.shift = rng.randint(least, 16)
            layers.append(layer)
        else:
            read = {node for layer in layers for node in layer.inputs}
            if read != set(range(len(layers))) or not any(layer.weights for layer in layers):
                continue
            if layers[-1].kind in (DENSE, CONV) and layers[-1].bound < 2**31 and rng.random() < 0.5:
                layers[-1].form, layers[-1].shift = RAW, 0
            return Network(shape, layers)


def requantise_cases():
    cases = set()
    for shift in range(17):
        unit = 2**shift
        half = unit // 2
        for quotient in (-32640, -300, -129, -128, -127, -1, 0, 1, 126, 127, 128, 300, 32639):
            for offset in (-half - 1, -half, -half + 1, -1, 0, 1, half - 1, half, half + 1):
                acc = quotient * unit + offset
                if -(2**31) <= acc < 2**31:
                    cases.add((acc, shift))
    cases |= {(acc, shift) for acc in (-(2**31), 2**31 - 1) for shift in range(17)}
    return [
        {"accumulator": acc, "shift": shift, "plain": requantise(acc, shift, False), "relu": requantise(acc, shift, True)}
        for acc, shift in sorted(cases, key=lambda case: (case[1], case[0]))
    ]


def refused_cases():
    """Architectures with one thing spoilt."""
    good = Network((1, 6, 6), [
        Layer(CONV, [0], RELU, shift=9, digits=2, kernel=(3, 3), stride=(1, 1), pad=(1, 1, 1, 1), channels=2),
        Layer(MAX, [1], kernel=(2, 2), stride=(2, 2)),
        Layer(ADD, [2, 2], PLAIN, shift=1, m=1, mr=2),
        Layer(AVERAGE, [3], PLAIN, shift=2, m=1, kernel=(3, 3), stride=(1, 1)),
        Layer(DENSE, [4], RAW, digits=2, channels=3),
    ]).encode()
    head, conv, pool, add, average, dense = range(6)
    spoils = [
        ("another magic", head, 3, 0x32), ("no layers", head, 4, 0), ("more layers than records", head, 4, 6),
        ("fewer layers than records", head, 4, 4), ("a byte of the header that is not zero", head, 10, 1),
        ("an input without channels", head, 27, 0), ("another input shape", head, 29, 7),
        ("an unknown kind", conv, 0, 6), ("kind 0", conv, 0, 0), ("a node that comes later", conv, 1, 1),
        ("a second node where there is one", conv, 2, 1), ("no form of output", conv, 3, 0),
        ("an unknown form of output", conv, 3, 4), ("raw before the end", conv, 3, 1), ("a shift of 17", conv, 4, 17),
        ("a shift too small for the bound", conv, 4, 2), ("a bias shift of 31", conv, 5, 31), ("four digits", conv, 6, 4),
        ("a bias that leaves 32 bits", conv, 5, 30), ("a multiplier in a convolution", conv, 7, 1),
        ("an empty window", conv, 9, 0), ("another window", conv, 9, 2), ("no stride", conv, 11, 0),
        ("padding as large as the window", conv, 13, 3), ("less padding", conv, 15, 0), ("an unused byte", conv, 20, 1),
        ("no output channels", conv, 27, 0), ("another output height", conv, 29, 5), ("another output width", conv, 31, 7),
        ("a max pool that requantises", pool, 3, 2), ("a max pool with a shift", pool, 4, 1),
        ("a max pool with a bias", pool, 6, 1), ("a max pool over six", pool, 9, 3), ("a max pool with padding", pool, 14, 1),
        ("summands of different shapes", add, 2, 1), ("a raw addition", add, 3, 1), ("a multiplier of 0", add, 7, 0),
        ("the other multiplier of 0", add, 8, 0), ("an addition with a window", add, 9, 1),
        ("an average pool without multiplier", average, 7, 0), ("an average pool with a second one", average, 8, 1),
        ("a window that does not fit", average, 9, 4), ("a raw average pool", average, 3, 1),
        ("raw with a shift", dense, 4, 1), ("a bias shift without digits", dense, 6, 0, 5, 1),
        ("a dense layer with a window", dense, 9, 1), ("a dense layer with rows", dense, 29, 2),
        ("a node that nobody reads", dense, 1, 3),
    ]
    cases = []
    for name, record, *changes in spoils:
        bad = bytearray(good)
        for at, value in zip(changes[::2], changes[1::2]):
            assert bad[32 * record + at] != value, name
            bad[32 * record + at] = value
        cases.append({"name": name, "architecture": bad.hex()})
    cases += [
        {"name": "no bytes", "architecture": ""}, {"name": "half a header", "architecture": good[:16].hex()},
        {"name": "a byte too few", "architecture": good[:-1].hex()},
        {"name": "a byte too many", "architecture": (good + b"\0").hex()},
        {"name": "a record too many", "architecture": (good + good[-32:]).hex()},
        {"name": "a record too few", "architecture": good[:-32].hex()},
    ]
    weightless = Network((1, 2, 2), [Layer(MAX, [0], kernel=(2, 2), stride=(1, 1))])
    cases.append({"name": "no weights", "architecture": weightless.encode().hex()})
    wide = Network((60000, 1, 1), [Layer(DENSE, [0], PLAIN, shift=16, channels=1200)])
    cases.append({"name": "more than 2^26 weights", "architecture": wide.encode().hex()})
    large = Network((1025, 32, 32), [Layer(DENSE, [0], RAW, channels=1)])
    cases.append({"name": "an input of more than 2^20 elements", "architecture": large.encode().hex()})
    return {"accepted": good.hex(), "cases": cases}


def document():
    rng = random.Random(20260301)
    networks = []
    for case in range(ARCHITECTURES):
        network = random_network(rng)
        digest = hashlib.sha256()
        for run in range(RUNS):
            weights, biases, data = network.fill(case, run)
            nodes, sums = network.run(weights, biases, data)
            if run == 0:
                first = nodes, sums, weights, biases
            for index, acc in enumerate(sums, 1):
                digest.update(int32_bytes(acc) + node_bytes(network, nodes, index))
        nodes, sums, weights, biases = first
        networks.append({
            "architecture": network.encode().hex(),
            "bounds": [layer.bound for layer in network.layers],
            "weights": int8_bytes(sum(weights, [])).hex(),
            "biases": sum(biases, []),
            "nodes": [node_bytes(network, nodes, index).hex() for index in range(len(nodes))],
            "accumulators": [int32_bytes(acc).hex() for acc in sums],
            "runs": RUNS,
            "digest": digest.hexdigest(),
        })
    layers = sum(len(entry["bounds"]) * entry["runs"] for entry in networks)
    return {
        "about": "docs/spec/arithmetic.md, section Vectors; written by make_arithmetic.py",
        "layers": layers,
        "requantise": requantise_cases(),
        "networks": networks,
        "refused": refused_cases(),
    }


def text():
    """One case a line, so that a change shows as few changed lines."""
    parts = document()
    lines = ["{"]
    for name in ("about", "layers"):
        lines.append(f" {json.dumps(name)}: {json.dumps(parts[name])},")
    lines.append(' "requantise": [')
    lines.append(",\n".join("  " + json.dumps(case) for case in parts["requantise"]))
    lines.append(' ],\n "networks": [')
    lines.append(",\n".join("  " + json.dumps(case) for case in parts["networks"]))
    lines.append(' ],\n "refused": {\n  "accepted": ' + json.dumps(parts["refused"]["accepted"]) + ',\n  "cases": [')
    lines.append(",\n".join("   " + json.dumps(case) for case in parts["refused"]["cases"]))
    lines.append("  ]\n }\n}\n")
    return "\n".join(lines)


def main():
    made = text()
    if "--check" in sys.argv:
        sys.exit(0 if PATH.read_text() == made else f"{PATH.name} is not what this script writes")
    PATH.write_text(made)


if __name__ == "__main__":
    main()
