//! Why an architecture is refused.

use super::{
    MOST_BIAS_DIGITS, MOST_ELEMENTS, MOST_LAYERS, MOST_POOLED, MOST_SHIFT, MOST_SHIFTED, MOST_WEIGHTS, Shape,
};

/// Why an architecture is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// Not the length that its count of layers gives.
    #[error("an architecture of {layers} layers has {expected} bytes, there are {got}")]
    Length {
        /// Layers announced.
        layers: usize,
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// Does not begin as an architecture does.
    #[error("the bytes do not begin with the header of an architecture")]
    Header,
    /// No layers, or too many.
    #[error("there are {got} layers, from 1 to {MOST_LAYERS} are allowed")]
    Layers {
        /// Layers given.
        got: usize,
    },
    /// The input has a shape that no tensor can have.
    #[error("input: {0}")]
    Input(#[source] Problem),
    /// A layer breaks a rule.
    #[error("layer {index}: {problem}")]
    Layer {
        /// The layer, counted from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        problem: Problem,
    },
    /// No layer reads this node, so it would not bear on the output.
    #[error("no layer reads node {node}")]
    Unused {
        /// The node: 0 is the input, i + 1 the output of layer i.
        node: usize,
    },
    /// No layer has weights.
    #[error("no layer has weights")]
    NoWeights,
}

/// What is wrong with a layer or a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A side is 0 or does not fit, or the tensor is too large.
    #[error(
        "a tensor has sides from 1 to 65,535 and at most {MOST_ELEMENTS} elements, this is {channels}x{height}x{width}"
    )]
    Shape {
        /// Channels given.
        channels: usize,
        /// Height given.
        height: usize,
        /// Width given.
        width: usize,
    },
    /// A record's kind, form of output or unused byte has no meaning.
    #[error("byte {at} of the record is {got}, which has no meaning there")]
    Byte {
        /// Offset in the record.
        at: usize,
        /// Value found.
        got: u8,
    },
    /// A record's shape is not what the layer gives.
    #[error("the record says that the output is {got}, the layer gives {expected}")]
    RecordedShape {
        /// Shape the layer gives.
        expected: Shape,
        /// Shape in the record.
        got: Shape,
    },
    /// Reads a node that does not come before it.
    #[error("it reads node {node}, only nodes below {limit} come before it")]
    Order {
        /// The node.
        node: u8,
        /// Nodes before the layer.
        limit: usize,
    },
    /// The two summands have different shapes.
    #[error("it adds {left} to {right}")]
    Summands {
        /// Left shape.
        left: Shape,
        /// Right shape.
        right: Shape,
    },
    /// A side or a stride of a window is 0.
    #[error("a window's sides and strides are at least 1")]
    EmptyWindow,
    /// The window is larger than what it moves over.
    #[error("a window of {height}x{width} does not fit into {rows}x{columns}, padding included")]
    Window {
        /// Rows of the window.
        height: u8,
        /// Columns of the window.
        width: u8,
        /// Rows it moves over.
        rows: usize,
        /// Columns it moves over.
        columns: usize,
    },
    /// As much padding as the window is wide.
    #[error("padding must be smaller than the window on each side")]
    Padding,
    /// A max pool over too many elements.
    #[error("a max pool compares at most {MOST_POOLED} elements, this one {got}")]
    Pooled {
        /// Elements of the window.
        got: usize,
    },
    /// A multiplier of 0.
    #[error("a multiplier is at least 1")]
    Multiplier,
    /// Too many bias digits, too large a shift, or a shift without digits.
    #[error(
        "biases have at most {MOST_BIAS_DIGITS} digits and a shift below 31 only with digits; these have {digits} and {shift}"
    )]
    Bias {
        /// Digits given.
        digits: u8,
        /// Shift given.
        shift: u8,
    },
    /// The requantising shift is too large.
    #[error("the shift is at most {MOST_SHIFT}, this is {got}")]
    Shift {
        /// Shift given.
        got: u8,
    },
    /// Raw accumulators anywhere but at the end.
    #[error("only the last layer's output may be raw")]
    Raw,
    /// Accumulators could leave 32 bits.
    #[error("an accumulator could reach {bound}, it must stay below 2^31")]
    Accumulator {
        /// Largest absolute value.
        bound: i64,
    },
    /// After the shift, the accumulator could still be too large.
    #[error(
        "an accumulator could reach {bound} and {shifted} after the shift by {shift}; at most {MOST_SHIFTED} is allowed"
    )]
    Shifted {
        /// Largest absolute value before the shift.
        bound: i64,
        /// Largest value after it.
        shifted: i64,
        /// The shift.
        shift: u8,
    },
    /// Too many weights up to and with this layer.
    #[error("there are {got} weights up to here, at most {MOST_WEIGHTS} are allowed")]
    Weights {
        /// Weights so far.
        got: u64,
    },
}
