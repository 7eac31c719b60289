#!/usr/bin/env python3
"""Writes the small networks of this folder, and what ONNX Runtime answers to one input each (answers.json).

    pip install numpy onnx onnxruntime; python3 testdata/onnx/make_networks.py

Weights come from one seed. `refused-*` are networks that integer arithmetic cannot follow, or that are no networks at all.
"""

import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(20260301)
ANSWERS = {}


def weights(*sides):
    return (RNG.normal(size=sides) / np.sqrt(np.prod(sides[1:]) or 1)).astype(np.float32)


def save(name, nodes, constants, sides, opset=17, outputs=("out",), inputs=("in",), run=True, change=None):
    constants = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info(key, TensorProto.FLOAT, sides) for key in inputs],
        [helper.make_tensor_value_info(key, TensorProto.INT64 if key == "class" else TensorProto.FLOAT, None)
         for key in outputs], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="")
    model.ir_version = 8
    if change:
        change(model)
    data = model.SerializeToString()
    (HERE / f"{name}.onnx").write_bytes(data)
    if run:
        # What stands at the end changes no answer and is left off, so the logits before it are compared.
        value = RNG.uniform(-1, 1, [1 if side is None or isinstance(side, str) else side for side in sides])
        value = value.astype(np.float32)
        logits = [node for node in nodes if node.op_type not in ("Softmax", "LogSoftmax", "Sigmoid", "ArgMax")]
        model.graph.ClearField("output")
        model.graph.output.append(helper.make_tensor_value_info(logits[-1].output[0], TensorProto.FLOAT, None))
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        answer = session.run(None, {"in": value})[0]
        ANSWERS[name] = {"input": value.ravel().tolist(), "output": answer.ravel().tolist()}


def node(operator, inputs, output, name=None, **attributes):
    return helper.make_node(operator, inputs, [output], name=name or f"{operator.lower()}_{output}", **attributes)


def main():
    for old in HERE.glob("*.onnx"):
        old.unlink()
    i64 = lambda *sides: np.array(sides, np.int64)

    save("gemm", [node("Gemm", ["in", "w0", "b0"], "a", transB=1), node("Relu", ["a"], "b"),
                  node("Gemm", ["b", "w1", "b1"], "c", alpha=0.5, beta=2.0), node("Softmax", ["c"], "out")],
         {"w0": weights(12, 9), "b0": weights(12), "w1": weights(12, 4), "b1": weights(1, 4)}, ["N", 9])
    save("matmul", [node("MatMul", ["in", "w0"], "a"), node("Add", ["a", "b0"], "b"), node("Relu", ["b"], "c"),
                    node("Dropout", ["c"], "d"), node("MatMul", ["d", "w1"], "e"), node("Add", ["b1", "e"], "f"),
                    node("LogSoftmax", ["f"], "g"), node("ArgMax", ["g"], "class", axis=1)],
         {"w0": weights(7, 10), "b0": weights(10), "w1": weights(10, 3), "b1": weights(3)}, [None, 7], outputs=("class",))
    save("binary", [node("Gemm", ["in", "w0", "b0"], "a"), node("Sigmoid", ["a"], "out")],
         {"w0": weights(5, 1), "b0": weights(1)}, [1, 5])
    # No strides, no kernel_shape, no pads: all have defaults.
    save("conv-defaults", [node("Conv", ["in", "w0"], "a"), node("Relu", ["a"], "b"), node("Flatten", ["b"], "c"),
                           node("Gemm", ["c", "w1"], "out", transB=1)],
         {"w0": weights(3, 2, 3, 3), "w1": weights(4, 3 * 4 * 5)}, [1, 2, 6, 7])
    save("lenet", [node("Conv", ["in", "w0", "b0"], "a", pads=[2, 2, 2, 2]), node("MaxPool", ["a"], "b", kernel_shape=[2, 2],
                                                                              strides=[2, 2]),
                   node("Relu", ["b"], "c"), node("Conv", ["c", "w1", "b1"], "d", strides=[2, 1]), node("Relu", ["d"], "e"),
                   node("AveragePool", ["e"], "f", kernel_shape=[2, 2], strides=[2, 2]), node("Reshape", ["f", "shape"], "g"),
                   node("Gemm", ["g", "w2", "b2"], "out", transB=1)],
         {"w0": weights(4, 1, 5, 5), "b0": weights(4), "w1": weights(6, 4, 3, 3), "b1": weights(6), "shape": i64(-1, 12),
          "w2": weights(5, 12), "b2": weights(5)}, ["batch", 1, 12, 12])
    save("residual", [node("Conv", ["in", "w0"], "a", pads=[1, 1, 1, 1]),
                      node("BatchNormalization", ["a", "s", "t", "m", "v"], "b"), node("Relu", ["b"], "c"),
                      node("Conv", ["c", "w1"], "d", auto_pad="SAME_UPPER"),
                      node("BatchNormalization", ["d", "s", "t", "m", "v"], "e", epsilon=1e-3), node("Add", ["e", "c"], "f"),
                      node("Relu", ["f"], "g"), node("GlobalAveragePool", ["g"], "h"), node("Flatten", ["h"], "i"),
                      node("Gemm", ["i", "w2", "b2"], "out")],
         {"w0": weights(4, 3, 3, 3), "w1": weights(4, 4, 3, 3), "s": weights(4) + 1, "t": weights(4), "m": weights(4),
          "v": weights(4) ** 2 + 0.5, "w2": weights(4, 3), "b2": weights(3)}, [1, 3, 8, 8])
    # Normalisation that cannot go into the layer before: after a relu, after a pool, and of the input.
    save("pre-activation", [node("Sub", ["in", "mean"], "a"), node("Div", ["a", "deviation"], "b"),
                            node("Conv", ["b", "w0"], "c"), node("Relu", ["c"], "d"),
                            node("BatchNormalization", ["d", "s", "t", "m", "v"], "e"), node("Relu", ["e"], "f"),
                            node("MaxPool", ["f"], "g", kernel_shape=[3, 3], strides=[2, 2]), node("Mul", ["g", "half"], "h"),
                            node("Conv", ["h", "w1", "b1"], "i"), node("ReduceMean", ["i"], "j", axes=[2, 3], keepdims=0),
                            node("Gemm", ["j", "w2"], "out", transB=1)],
         {"mean": weights(2, 1, 1), "deviation": weights(1, 2, 1, 1) ** 2 + 0.5, "w0": weights(4, 2, 2, 2), "s": weights(4),
          "t": weights(4), "m": weights(4), "v": weights(4) ** 2 + 0.5, "half": np.float32(0.5), "w1": weights(5, 4, 2, 2),
          "b1": weights(5), "w2": weights(3, 5)}, [1, 2, 10, 10])
    save("large-pools", [node("MaxPool", ["in"], "a", kernel_shape=[5, 3], strides=[3, 2]),
                         node("Conv", ["a", "w0"], "b", kernel_shape=[1, 1]), node("GlobalMaxPool", ["b"], "c"),
                         node("Flatten", ["c"], "d"), node("Gemm", ["d", "w1"], "out")],
         {"w0": weights(3, 1, 1, 1), "w1": weights(3, 2)}, [1, 1, 17, 14])
    save("reshaped-input", [node("Reshape", ["in", "shape"], "a"), node("Conv", ["a", "w0"], "b"), node("Relu", ["b"], "c"),
                            node("Flatten", ["c"], "d"), node("Gemm", ["d", "w1"], "out")],
         {"shape": i64(0, 1, 6, -1), "w0": weights(2, 1, 3, 3), "w1": weights(2 * 4 * 3, 3)}, ["N", 30], opset=13)
    # A value read twice keeps its sign where it is not rectified.
    save("shared", [node("Gemm", ["in", "w0"], "a"), node("Relu", ["a"], "b"), node("Add", ["a", "b"], "c"),
                    node("Constant", [], "w1", value=numpy_helper.from_array(weights(6, 2))), node("MatMul", ["c", "w1"], "out")],
         {"w0": weights(5, 6)}, [1, 5])

    def refused(name, nodes, constants, sides=(1, 4), **options):
        save(f"refused-{name}", nodes, constants, list(sides), run=False, **options)

    refused("lstm", [node("LSTM", ["in"], "out", name="memory")], {})
    refused("group", [node("Conv", ["in", "w"], "out", name="grouped", group=2)], {"w": weights(4, 2, 1, 1)}, (1, 4, 3, 3))
    refused("dilated", [node("Conv", ["in", "w"], "out", name="wide", dilations=[2, 2])], {"w": weights(4, 4, 2, 2)}, (1, 4, 5, 5))
    refused("padded-pool", [node("MaxPool", ["in"], "out", name="edge", kernel_shape=[2, 2], pads=[1, 1, 1, 1])], {}, (1, 1, 4, 4))
    refused("transposed", [node("Gemm", ["in", "w"], "out", name="flipped", transA=1)], {"w": weights(4, 2)})
    refused("sigmoid-inside", [node("Gemm", ["in", "w"], "a"), node("Sigmoid", ["a"], "b"), node("Gemm", ["b", "v"], "out", name="after")],
            {"w": weights(4, 1), "v": weights(1, 2)})
    refused("computed-weights", [node("MatMul", ["in", "in"], "out", name="squared")], {}, (1, 1))
    refused("unknown-attribute", [node("Relu", ["in"], "out", name="odd", slope=0.1)], {})
    refused("two-outputs", [node("Gemm", ["in", "w"], "out"), node("Relu", ["out"], "more")], {"w": weights(4, 2)}, outputs=("out", "more"))
    refused("two-inputs", [node("Add", ["in", "other"], "out")], {}, inputs=("in", "other"))
    refused("unknown-size", [node("Relu", ["in"], "out")], {}, (1, None))
    refused("batch", [node("Gemm", ["in", "w"], "out")], {"w": weights(4, 2)}, (8, 4))
    refused("dead-end", [node("Gemm", ["in", "w"], "out"), node("MatMul", ["out", "v"], "more", name="unread")],
            {"w": weights(4, 2), "v": weights(2, 2)})
    refused("missing-value", [node("Gemm", ["in", "nowhere"], "out", name="lost")], {})
    refused("old-opset", [node("Relu", ["in"], "out")], {}, opset=6)
    refused("other-domain", [helper.make_node("Gemm", ["in"], ["out"], name="foreign", domain="example.org")], {})

    def elsewhere(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", "../../secret"

    refused("external-data", [node("Gemm", ["in", "w"], "out")], {"w": weights(4, 2)}, change=elsewhere)
    refused("short-constant", [node("Gemm", ["in", "w"], "out")], {"w": weights(4, 2)},
            change=lambda model: model.graph.initializer[0].dims.__setitem__(1, 3))
    refused("huge-constant", [node("Gemm", ["in", "w"], "out")], {"w": weights(4, 2)},
            change=lambda model: model.graph.initializer[0].dims.__setitem__(1, 1 << 62))
    (HERE / "answers.json").write_text(json.dumps(ANSWERS, indent=1) + "\n")


if __name__ == "__main__":
    main()
