//! Runs a network in floating point.

use counterweight_primitives::architecture::{Padding, Step, Window};

use super::{FloatLayer, FloatNetwork, Operator};
use crate::{InputError, execute::in_windows};

impl FloatNetwork {
    /// Every node's elements, from the input on, in single precision. Not the same bits everywhere, and not meant to be.
    ///
    /// # Errors
    /// [`InputError`] unless the input has the network's length.
    pub fn trace(&self, input: &[f32]) -> Result<Vec<Vec<f32>>, InputError> {
        let expected = self.outline.input().elements();
        if input.len() != expected {
            return Err(InputError {
                expected,
                got: input.len(),
            });
        }
        let mut nodes = vec![input.to_vec()];
        for (step, layer) in self.outline.steps().iter().zip(&self.layers) {
            let mut output = before_relu(step, layer, &nodes);
            if layer.relu {
                output.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            nodes.push(output);
        }
        Ok(nodes)
    }

    /// The network's output.
    ///
    /// # Errors
    /// As [`trace`](Self::trace).
    pub fn run(&self, input: &[f32]) -> Result<Vec<f32>, InputError> {
        Ok(self.trace(input)?.pop().unwrap_or_default())
    }
}

/// A layer's output before negative results become 0.
pub(crate) fn before_relu(step: &Step, layer: &FloatLayer, nodes: &[Vec<f32>]) -> Vec<f32> {
    let read = |at: usize| {
        let node = layer.inputs.get(at).copied().unwrap_or_default();
        nodes[usize::from(node)].as_slice()
    };
    let input = read(0);
    match &layer.operator {
        Operator::Dense { weights, biases } => weights
            .chunks_exact(step.terms())
            .zip(biases)
            .map(|(row, bias)| bias + dot(row, input))
            .collect(),
        Operator::Conv {
            window,
            padding,
            weights,
            biases,
        } => {
            let (terms, output) = (step.terms(), step.output_shape());
            let mut result = vec![0.0; output.elements()];
            // One window at a time: all of them together could be far larger than input and output.
            let mut patch = Vec::with_capacity(terms);
            for place in 0..output.plane() {
                gather(step, *window, *padding, input, place, &mut patch);
                for (channel, (row, bias)) in weights.chunks_exact(terms).zip(biases).enumerate() {
                    result[channel * output.plane() + place] = bias + dot(row, &patch);
                }
            }
            result
        }
        Operator::AveragePool { window } => {
            let count = window.elements() as f32;
            in_windows(step, *window, input, |values| values.sum::<f32>() / count)
        }
        Operator::MaxPool { window } => in_windows(step, *window, input, |values| {
            values.fold(f32::NEG_INFINITY, f32::max)
        }),
        Operator::Add => input
            .iter()
            .zip(read(1))
            .map(|(left, right)| left + right)
            .collect(),
    }
}

/// Sums in eight lanes, which processors do at once and compilers may not introduce by themselves.
fn dot(row: &[f32], input: &[f32]) -> f32 {
    let (row_blocks, row_rest) = row.as_chunks::<8>();
    let (input_blocks, input_rest) = input.as_chunks::<8>();
    let mut lanes = [0.0_f32; 8];
    for (left, right) in row_blocks.iter().zip(input_blocks) {
        for lane in 0..8 {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = row_rest
        .iter()
        .zip(input_rest)
        .map(|(left, right)| left * right)
        .sum();
    lanes.iter().sum::<f32>() + rest
}

/// What the window shows at one place, channel by channel; zeros outside the plane.
fn gather(step: &Step, window: Window, padding: Padding, input: &[f32], place: usize, patch: &mut Vec<f32>) {
    let (shape, output) = (step.input_shape(), step.output_shape());
    let top = place / output.width() * usize::from(window.stride_y);
    let left = place % output.width() * usize::from(window.stride_x);
    patch.clear();
    for plane in input.chunks_exact(shape.plane()) {
        for u in 0..usize::from(window.height) {
            let row = (top + u).wrapping_sub(usize::from(padding.top));
            for v in 0..usize::from(window.width) {
                let column = (left + v).wrapping_sub(usize::from(padding.left));
                let is_inside = row < shape.height() && column < shape.width();
                patch.push(if is_inside {
                    plane[row * shape.width() + column]
                } else {
                    0.0
                });
            }
        }
    }
}
