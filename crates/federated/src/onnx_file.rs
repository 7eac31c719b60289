//! A built-in model as an ONNX file: what other programs run.
//!
//! IR version 8 and the standard operators of version 17 (`onnx.proto3` of ONNX 1.12), which runtimes of 2022 and later read.
//! One model has exactly one file. It gives probabilities: a sigmoid or softmax follows the logits of the model file.

use crate::{
    architecture::{Activation, ArchitectureError, Layer, Layered},
    parameters::Parameters,
};

const IR_VERSION: u64 = 8;
const OPERATORS: u64 = 17;
/// `TensorProto.DataType.FLOAT`.
const FLOAT: u64 = 1;
/// `AttributeProto.AttributeType.INT`.
const INTEGER: u64 = 2;

/// Name of the input, `[batch, inputs]` of `f32`: rows scaled as the study's terms say.
pub const INPUT: &str = "rows";
/// Name of the output, `[batch, outputs]` of `f32`: the probability of class 1 where there is one output, else of each class.
pub const OUTPUT: &str = "probabilities";

/// The model as ONNX, under a name for whoever opens it.
///
/// # Errors
/// [`ArchitectureError::NotBuiltIn`]: of other models only the tensors are known, not what is done with them.
pub fn to_onnx(model: &Parameters, name: &str) -> Result<Vec<u8>, ArchitectureError> {
    let layered = model.architecture().built_in()?;
    let mut file = Message::default();
    file.integer(1, IR_VERSION);
    file.text(2, "counterweight");
    file.text(3, env!("CARGO_PKG_VERSION"));
    file.message(7, graph(layered, model.values(), name));
    let mut operators = Message::default();
    operators.integer(2, OPERATORS);
    file.message(8, operators);
    let mut content = Message::default();
    content.text(1, "counterweight/content");
    content.text(2, &model.digest().to_string());
    file.message(14, content);
    Ok(file.0)
}

fn graph(layered: &Layered, values: &[f32], name: &str) -> Message {
    let mut graph = Message::default();
    let layers = layered.layers();
    let mut before = INPUT.to_owned();
    for (index, _) in layers.iter().enumerate() {
        let sums = format!("layers.{index}");
        let [weight, bias] = names(index);
        let mut dense = node("Gemm", &[&before, &weight, &bias], &sums);
        // Rows of weights belong to outputs.
        dense.message(5, integer_attribute("transB", 1));
        graph.message(1, dense);
        before = sums;
        if index + 1 < layers.len() {
            let operator = match layered.activation {
                Activation::Relu => "Relu",
                Activation::Tanh => "Tanh",
            };
            let values = format!("layers.{index}.active");
            graph.message(1, node(operator, &[&before], &values));
            before = values;
        }
    }
    graph.message(
        1,
        if layered.outputs == 1 {
            node("Sigmoid", &[&before], OUTPUT)
        } else {
            let mut softmax = node("Softmax", &[&before], OUTPUT);
            softmax.message(5, integer_attribute("axis", 1));
            softmax
        },
    );
    graph.text(2, name);
    for (index, layer) in layers.iter().enumerate() {
        let Layer {
            inputs,
            outputs,
            start,
        } = *layer;
        let [weight, bias] = names(index);
        let (biases, weights) = (start..layer.weights(), layer.weights()..layer.end());
        graph.message(5, tensor(&weight, &[outputs, inputs], &values[weights]));
        graph.message(5, tensor(&bias, &[outputs], &values[biases]));
    }
    graph.message(11, batch_of(INPUT, layered.inputs));
    graph.message(12, batch_of(OUTPUT, layered.outputs));
    graph
}

/// Weight and bias of a layer, as in the model file.
fn names(layer: usize) -> [String; 2] {
    ["weight", "bias"].map(|part| format!("layers.{layer}.{part}"))
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Message {
    let mut node = Message::default();
    for input in inputs {
        node.text(1, input);
    }
    node.text(2, output);
    node.text(3, output);
    node.text(4, operator);
    node
}

fn integer_attribute(name: &str, value: u64) -> Message {
    let mut attribute = Message::default();
    attribute.text(1, name);
    attribute.integer(3, value);
    attribute.integer(20, INTEGER);
    attribute
}

fn tensor(name: &str, sides: &[usize], values: &[f32]) -> Message {
    let mut tensor = Message::default();
    for side in sides {
        tensor.integer(1, *side as u64);
    }
    tensor.integer(2, FLOAT);
    tensor.text(8, name);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor.bytes(9, &bytes);
    tensor
}

/// `[batch, width]` of `f32`, with a batch of any size.
fn batch_of(name: &str, width: u32) -> Message {
    let mut batch = Message::default();
    batch.text(2, "batch");
    let mut side = Message::default();
    side.integer(1, width.into());
    let mut shape = Message::default();
    shape.message(1, batch);
    shape.message(1, side);
    let mut tensor = Message::default();
    tensor.integer(1, FLOAT);
    tensor.message(2, shape);
    let mut kind = Message::default();
    kind.message(1, tensor);
    let mut value = Message::default();
    value.text(1, name);
    value.message(2, kind);
    value
}

/// A message of Protocol Buffers' wire format, as it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn integer(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: Self) {
        self.bytes(field, &message.0);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Architecture, Tensor};

    #[test]
    fn a_model_has_one_file_that_holds_its_parameters() {
        let model = Parameters::initial(&Architecture::logistic(3), 7);
        let file = to_onnx(&model, "tumour@1").unwrap();
        assert_eq!(file, to_onnx(&model, "tumour@1").unwrap());
        let weights: Vec<u8> = model.values()[1..]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        assert!(file.windows(weights.len()).any(|bytes| bytes == weights));
        assert_eq!(file[..2], [0x08, 8]);
    }

    #[test]
    fn numbers_are_written_seven_bits_a_byte() {
        let mut message = Message::default();
        message.integer(20, 300);
        assert_eq!(message.0, [0xa0, 0x01, 0xac, 0x02]);
    }

    #[test]
    fn a_model_that_is_not_built_in_has_no_graph() {
        let shape = Architecture::custom([Tensor {
            name: "w".to_owned(),
            shape: vec![2],
        }]);
        let model = Parameters::initial(&shape, 1);
        assert_eq!(to_onnx(&model, "own"), Err(ArchitectureError::NotBuiltIn));
    }
}
