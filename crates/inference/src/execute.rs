//! The fast path: exact, and the same on every machine, since integer sums do not depend on their order.

mod dot;
mod weighted;

use counterweight_primitives::architecture::{Layer, Node, Output, Requantise, Step, Window};
use rayon::prelude::*;

use crate::{Answer, Network};

/// Sums from which a layer's work is worth spreading over threads.
const WORTH_THREADS: usize = 1 << 18;

/// An input of another length than the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the network reads {expected} elements, the input has {got}")]
pub struct InputError {
    /// Elements of the network's input.
    pub expected: usize,
    /// Elements given.
    pub got: usize,
}

/// Every number of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Node by node, from the input on; a raw output is empty.
    nodes: Vec<Vec<i8>>,
    /// Layer by layer; empty for a max pool.
    accumulators: Vec<Vec<i32>>,
    answer: Answer,
}

impl Trace {
    /// Elements of a node: 0 is the input, `i + 1` what layer `i` gave. Empty for a raw output, which has no int8, and for a
    /// node that is not there.
    #[must_use]
    pub fn activations(&self, node: Node) -> &[i8] {
        self.nodes.get(usize::from(node.0)).map_or(&[], Vec::as_slice)
    }

    /// Accumulators of a layer, one for each output element. Empty for a max pool, and for a layer that is not there.
    #[must_use]
    pub fn accumulators(&self, layer: usize) -> &[i32] {
        self.accumulators.get(layer).map_or(&[], Vec::as_slice)
    }

    /// The network's answer.
    #[must_use]
    pub fn answer(&self) -> &Answer {
        &self.answer
    }
}

impl Network {
    /// Answers an input, in row-major order.
    ///
    /// # Errors
    /// [`InputError`] unless it has the network's length.
    pub fn run(&self, input: &[i8]) -> Result<Answer, InputError> {
        self.trace(input).map(|trace| trace.answer)
    }

    /// Answers many inputs, on all threads.
    ///
    /// # Errors
    /// [`InputError`] of the first input that has not the network's length.
    pub fn run_batch<I: AsRef<[i8]> + Sync>(&self, inputs: &[I]) -> Result<Vec<Answer>, InputError> {
        inputs.par_iter().map(|input| self.run(input.as_ref())).collect()
    }

    /// Answers an input and keeps every number on the way.
    ///
    /// # Errors
    /// [`InputError`] unless it has the network's length.
    pub fn trace(&self, input: &[i8]) -> Result<Trace, InputError> {
        let expected = self.architecture().input().elements();
        if input.len() != expected {
            return Err(InputError {
                expected,
                got: input.len(),
            });
        }
        let steps = self.architecture().steps();
        let mut trace = Trace {
            nodes: Vec::with_capacity(steps.len() + 1),
            accumulators: Vec::with_capacity(steps.len()),
            answer: Answer::Int8(Vec::new()),
        };
        trace.nodes.push(input.to_vec());
        for step in steps {
            let mut read = step.layer().inputs().map(|node| trace.activations(node));
            let left = read.next().unwrap_or_default();
            let right = read.next().unwrap_or_default();
            let (accumulators, activations) = match *step.layer() {
                Layer::MaxPool { window, .. } => (Vec::new(), max_pool(step, window, left)),
                _ => {
                    let weights = self.layer_weights(step);
                    let accumulators =
                        accumulate(step, step.layer(), weights, self.layer_biases(step), left, right);
                    let activations = match step.layer().output() {
                        Some(Output::Requantise(rule)) => requantise(rule, &accumulators),
                        _ => Vec::new(),
                    };
                    (accumulators, activations)
                }
            };
            trace.nodes.push(activations);
            trace.accumulators.push(accumulators);
        }
        trace.answer = if self.architecture().is_raw() {
            Answer::Raw(trace.accumulators.last().cloned().unwrap_or_default())
        } else {
            Answer::Int8(trace.nodes.last().cloned().unwrap_or_default())
        };
        Ok(trace)
    }
}

/// Accumulators of a layer that has them. The layer has the step's shapes; its multipliers may be others.
pub(crate) fn accumulate(
    step: &Step,
    layer: &Layer,
    weights: &[i8],
    biases: &[i32],
    left: &[i8],
    right: &[i8],
) -> Vec<i32> {
    match *layer {
        Layer::Dense { .. } => weighted::dense(step, weights, biases, left),
        Layer::Conv { window, padding, .. } => weighted::conv(step, window, padding, weights, biases, left),
        Layer::AveragePool {
            window, multiplier, ..
        } => {
            let sum = |values: &mut dyn Iterator<Item = i8>| values.map(i32::from).sum::<i32>();
            in_windows(step, window, left, |values| i32::from(multiplier) * sum(values))
        }
        Layer::Add {
            left_multiplier,
            right_multiplier,
            ..
        } => left
            .iter()
            .zip(right)
            .map(|(a, b)| {
                i32::from(left_multiplier) * i32::from(*a) + i32::from(right_multiplier) * i32::from(*b)
            })
            .collect(),
        Layer::MaxPool { .. } => Vec::new(),
    }
}

/// Largest elements of a max pool's windows.
pub(crate) fn max_pool(step: &Step, window: Window, input: &[i8]) -> Vec<i8> {
    in_windows(step, window, input, |values| values.max().unwrap_or_default())
}

/// Int8 from accumulators.
pub(crate) fn requantise(rule: Requantise, accumulators: &[i32]) -> Vec<i8> {
    accumulators
        .iter()
        .map(|accumulator| rule.apply(*accumulator))
        .collect()
}

/// Applies a function to each window of each channel.
pub(crate) fn in_windows<V: Copy, T>(
    step: &Step,
    window: Window,
    input: &[V],
    mut function: impl FnMut(&mut dyn Iterator<Item = V>) -> T,
) -> Vec<T> {
    let (shape, output) = (step.input_shape(), step.output_shape());
    let (rows, columns) = (usize::from(window.height), usize::from(window.width));
    let mut results = Vec::with_capacity(output.elements());
    for plane in input.chunks_exact(shape.plane()) {
        for y in 0..output.height() {
            for x in 0..output.width() {
                let (top, left) = (y * usize::from(window.stride_y), x * usize::from(window.stride_x));
                let mut values = (top..top + rows)
                    .flat_map(|row| plane[row * shape.width() + left..][..columns].iter().copied());
                results.push(function(&mut values));
            }
        }
    }
    results
}

#[cfg(test)]
mod tests;
