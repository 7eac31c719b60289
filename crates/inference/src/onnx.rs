//! Imports networks from ONNX files.
//!
//! Only what integer networks can have is read; anything else is refused by the name of the node. Softmax, sigmoid and argmax
//! at the end are left off: they change no answer, and they stay outside the proof. Batch normalisation and multiplications by
//! constants are folded into the layers around them.

mod attributes;
mod file;
mod graph;
mod operators;
mod protobuf;
mod tensors;

use counterweight_primitives::architecture::Problem;

pub use self::tensors::{OnnxTensor, onnx_tensors};
use crate::{FloatError, FloatNetwork, Task};

/// Longest file read.
pub const MOST_ONNX_BYTES: usize = 512 << 20;
/// Versions of the standard operators that are read.
pub const OPSETS: std::ops::RangeInclusive<i64> = 7..=25;

/// A network read from an ONNX file.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The network, without what was left off at its end.
    pub network: FloatNetwork,
    /// What its output means.
    pub task: Task,
    /// Name of what was left off at the end: `Softmax`, `LogSoftmax`, `Sigmoid`, `ArgMax`.
    pub left_off: Vec<String>,
}

/// Why an ONNX file is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// Too long a file.
    #[error("the file has {got} bytes, at most {MOST_ONNX_BYTES} are read")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// Not Protocol Buffers, or not a model.
    #[error("the bytes are not an ONNX model")]
    Malformed,
    /// Too many of something.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are read.
        limit: usize,
    },
    /// Operators of a version that is not known.
    #[error("the operators are of version {got}, versions {} to {} are read", OPSETS.start(), OPSETS.end())]
    Opset {
        /// Version; 0 if the file names none.
        got: i64,
    },
    /// A sparse constant.
    #[error("sparse constants are not read")]
    SparseConstant,
    /// A constant that lies in another file.
    #[error("constant \"{name}\" lies in another file; save the model as one file")]
    ExternalData {
        /// The constant.
        name: String,
    },
    /// A constant with elements of another type than expected.
    #[error(
        "constant \"{name}\" has elements of ONNX type {got}, expected 1 (float) or 11 (double), 7 (int64) for sides"
    )]
    ConstantType {
        /// The constant.
        name: String,
        /// ONNX's number of the type.
        got: i64,
    },
    /// A constant whose elements are not as many as its sides make.
    #[error("constant \"{name}\" has {got} elements, which its sides do not make")]
    ConstantLength {
        /// The constant.
        name: String,
        /// Elements found.
        got: usize,
    },
    /// Not one input of floats.
    #[error("a network has one input, of floats; the graph has {got}")]
    Inputs {
        /// Inputs found, described.
        got: String,
    },
    /// An input that is neither rows nor pictures.
    #[error(
        "input \"{name}\" has sides {sides}; expected [batch, features] or [batch, channels, height, width], each known but the batch, which is 1 if it is known"
    )]
    InputShape {
        /// The input.
        name: String,
        /// Its sides, described.
        sides: String,
    },
    /// Not one output.
    #[error("a network has one output, the graph has {got}")]
    Outputs {
        /// Outputs found.
        got: usize,
    },
    /// An operator that integer networks do not have.
    #[error("node \"{node}\": operator {operator} is not supported")]
    Operator {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
    },
    /// An operator used in a way that integer networks cannot follow.
    #[error("node \"{node}\" ({operator}): {reason}")]
    Unsupported {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What is in the way.
        reason: String,
    },
    /// A node reads what nothing before it makes.
    #[error("node \"{node}\" reads \"{value}\", which nothing before it makes")]
    Missing {
        /// The node, or `output` for the graph's.
        node: String,
        /// The value.
        value: String,
    },
    /// A node that the output does not depend on.
    #[error("node \"{node}\" does not lead to the output")]
    DeadEnd {
        /// The node.
        node: String,
    },
    /// A tensor that is too large.
    #[error("a tensor is refused")]
    Shape(#[source] Problem),
    /// The layers are no network.
    #[error("the layers are refused")]
    Network(#[source] FloatError),
}

/// Reads a network from the bytes of an ONNX file. Memory stays in proportion to the bytes given.
///
/// # Errors
/// [`OnnxError`].
pub fn import_onnx(bytes: &[u8]) -> Result<Imported, OnnxError> {
    if bytes.len() > MOST_ONNX_BYTES {
        return Err(OnnxError::TooLong { got: bytes.len() });
    }
    let file = file::File::read(bytes)?;
    if !OPSETS.contains(&file.opset) {
        return Err(OnnxError::Opset { got: file.opset });
    }
    graph::import(&file.graph, file.opset)
}
