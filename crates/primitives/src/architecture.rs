//! Architecture of an integer network: all of it but the weights.
//!
//! The one semantics of these networks, and the bytes of an [`Architecture`], are docs/spec/arithmetic.md. Executor,
//! prover, verifiers and contracts read the same bytes. An [`Architecture`] exists only if it was checked: shapes fit, and a
//! bound that holds for any weights keeps every accumulator inside what a proof can show.

mod bytes;
mod check;
mod error;
mod layer;
mod shape;

pub use bytes::{ArchitectureHash, RECORD_BYTES};
pub use error::{ArchitectureError, Problem};
pub use layer::{Bias, Layer, Node, Output, Padding, Requantise, Window};
pub use shape::Shape;

use std::ops::Range;

/// Most layers.
pub const MOST_LAYERS: usize = 64;
/// Most elements in one tensor.
pub const MOST_ELEMENTS: usize = 1 << 20;
/// Most weights in all layers together.
pub const MOST_WEIGHTS: usize = 1 << 26;
/// Largest requantising shift.
pub const MOST_SHIFT: u8 = 16;
/// Most int8 digits in a bias.
pub const MOST_BIAS_DIGITS: u8 = 3;
/// Largest result of a requantising shift before it is clamped: 32,767 - 128, so that it and its distance to the clamped
/// value fit a table of 2^16 rows.
pub const MOST_SHIFTED: i64 = 32_639;
/// Most inputs that one output of a max pool looks at.
pub const MOST_POOLED: usize = 4;

/// A checked architecture.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Architecture {
    input: Shape,
    steps: Vec<Step>,
    weights: usize,
    biases: usize,
}

/// A layer in its place in an architecture, with what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Step {
    index: usize,
    layer: Layer,
    inputs: [Shape; 2],
    output: Shape,
    terms: usize,
    bound: i64,
    weights: Range<usize>,
    biases: Range<usize>,
}

impl Architecture {
    /// Checks layers given in topological order: layer `i`, counted from 0, makes node `i + 1`, and node 0 is the input.
    ///
    /// # Errors
    /// [`ArchitectureError`] with the first layer that breaks a rule of docs/spec/arithmetic.md.
    pub fn new(input: Shape, layers: Vec<Layer>) -> Result<Self, ArchitectureError> {
        check::check(input, layers)
    }

    /// Shape of the input, node 0.
    #[must_use]
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Shape of the output, the last node.
    #[must_use]
    pub fn output(&self) -> Shape {
        self.steps.last().map_or(self.input, |step| step.output)
    }

    /// Whether the output is the last layer's accumulators.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.steps
            .last()
            .is_some_and(|step| step.layer.output() == Some(Output::Raw))
    }

    /// Layers in topological order, with what follows from each. At least one.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Shape of a node: 0 is the input, `i + 1` what layer `i` gives.
    #[must_use]
    pub fn shape(&self, node: Node) -> Option<Shape> {
        match usize::from(node.0).checked_sub(1) {
            None => Some(self.input),
            Some(layer) => self.steps.get(layer).map(Step::output_shape),
        }
    }

    /// Weights of all layers together, biases not counted. At least one.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.weights
    }

    /// Biases of all layers together.
    #[must_use]
    pub fn biases(&self) -> usize {
        self.biases
    }
}

impl Step {
    /// Index of the layer, counted from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The layer.
    #[must_use]
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// The node it makes.
    #[must_use]
    pub fn node(&self) -> Node {
        Node((self.index + 1) as u8)
    }

    /// Shape of its input, the left one of an addition.
    #[must_use]
    pub fn input_shape(&self) -> Shape {
        self.inputs[0]
    }

    /// Shapes of its inputs: two for an addition, otherwise one.
    #[must_use]
    pub fn input_shapes(&self) -> &[Shape] {
        &self.inputs[..self.layer.inputs().count()]
    }

    /// Shape of its output.
    #[must_use]
    pub fn output_shape(&self) -> Shape {
        self.output
    }

    /// Input elements that one accumulator sums over (padding included), without bias: a row of weights of a weighted layer
    /// has this length. For a max pool, the elements it compares.
    #[must_use]
    pub fn terms(&self) -> usize {
        self.terms
    }

    /// Largest absolute value an accumulator of the layer can take, whatever weights, biases and inputs are. 128 for a max
    /// pool, which has none.
    #[must_use]
    pub fn bound(&self) -> i64 {
        self.bound
    }

    /// Where the layer's weights are among all weights; empty for a layer without. Row-major: output channel, then the
    /// input's channel, row and column (of the window, for a convolution).
    #[must_use]
    pub fn weights(&self) -> Range<usize> {
        self.weights.clone()
    }

    /// Where the layer's biases are among all biases, one for each output channel; empty for a layer without.
    #[must_use]
    pub fn biases(&self) -> Range<usize> {
        self.biases.clone()
    }
}

#[cfg(test)]
mod tests;
