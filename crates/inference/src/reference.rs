//! One output element at a time, written as docs/spec/arithmetic.md writes it, in 64-bit integers. Slow, and what the fast
//! path is compared with; a dispute's last step recomputes one element like this.

use counterweight_primitives::architecture::{Architecture, Layer, Node, Output, Padding, Step, Window};

use crate::{Network, Trace};

/// One output element of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its accumulator; of a max pool, the largest input.
    pub accumulator: i64,
    /// What is in the layer's output: an int8, or the accumulator if the output is raw.
    pub output: i64,
}

/// Recomputes output element `index` (row-major) of a layer from the layer's inputs: two for an addition, otherwise one.
/// Nothing if the index or an input's length is not the layer's.
#[must_use]
pub fn element(network: &Network, step: &Step, inputs: &[&[i8]], index: usize) -> Option<Element> {
    let shapes = step.input_shapes();
    let fits = inputs.len() == shapes.len()
        && inputs
            .iter()
            .zip(shapes)
            .all(|(input, shape)| input.len() == shape.elements());
    let output = step.output_shape();
    if !fits || index >= output.elements() {
        return None;
    }
    let (channel, place) = (index / output.plane(), index % output.plane());
    let (y, x) = (place / output.width(), place % output.width());
    let input = inputs[0];
    let accumulator = match *step.layer() {
        Layer::Dense { .. } => bias(network, step, channel) + dot(row(network, step, channel), input),
        Layer::Conv { window, padding, .. } => {
            let mut patch = Vec::with_capacity(step.terms());
            for c in 0..shapes[0].channels() {
                patch.extend(in_window(step, window, padding, input, [c, y, x]));
            }
            bias(network, step, channel) + dot(row(network, step, channel), &patch)
        }
        Layer::AveragePool {
            window, multiplier, ..
        } => {
            let values = in_window(step, window, Padding::default(), input, [channel, y, x]);
            i64::from(multiplier) * values.into_iter().map(i64::from).sum::<i64>()
        }
        Layer::Add {
            left_multiplier,
            right_multiplier,
            ..
        } => {
            i64::from(left_multiplier) * i64::from(input[index])
                + i64::from(right_multiplier) * i64::from(inputs[1][index])
        }
        Layer::MaxPool { window, .. } => {
            let values = in_window(step, window, Padding::default(), input, [channel, y, x]);
            i64::from(values.into_iter().max()?)
        }
    };
    let output = match step.layer().output() {
        Some(Output::Requantise(requantise)) => i64::from(requantise.apply(i32::try_from(accumulator).ok()?)),
        Some(Output::Raw) | None => accumulator,
    };
    Some(Element { accumulator, output })
}

/// Whether every number of a trace is what the layer before gives.
#[must_use]
pub fn is_trace(network: &Network, trace: &Trace) -> bool {
    network
        .architecture()
        .steps()
        .iter()
        .all(|step| is_step(network, step, trace))
}

fn is_step(network: &Network, step: &Step, trace: &Trace) -> bool {
    let inputs: Vec<&[i8]> = step
        .layer()
        .inputs()
        .map(|node| trace.activations(node))
        .collect();
    let accumulators = trace.accumulators(step.index());
    let is_raw = step.layer().output() == Some(Output::Raw);
    let activations = trace.activations(step.node());
    (0..step.output_shape().elements()).all(|index| {
        element(network, step, &inputs, index).is_some_and(|element| {
            let in_sum = step.layer().output().is_none()
                || accumulators.get(index).map(|value| i64::from(*value)) == Some(element.accumulator);
            let in_output =
                is_raw || activations.get(index).map(|value| i64::from(*value)) == Some(element.output);
            in_sum && in_output
        })
    })
}

/// The whole network, element by element: the last node's elements as numbers. Nothing if the input has another length than
/// the network's.
#[must_use]
pub fn run(network: &Network, input: &[i8]) -> Option<Vec<i64>> {
    let architecture: &Architecture = network.architecture();
    if input.len() != architecture.input().elements() {
        return None;
    }
    let mut nodes: Vec<Vec<i64>> = vec![input.iter().map(|value| i64::from(*value)).collect()];
    for step in architecture.steps() {
        let inputs: Vec<Vec<i8>> = step
            .layer()
            .inputs()
            .map(|Node(node)| {
                nodes[usize::from(node)]
                    .iter()
                    .map(|value| *value as i8)
                    .collect()
            })
            .collect();
        let inputs: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
        let elements = (0..step.output_shape().elements())
            .map(|index| element(network, step, &inputs, index).map(|element| element.output))
            .collect::<Option<Vec<i64>>>()?;
        nodes.push(elements);
    }
    nodes.pop()
}

fn row<'a>(network: &'a Network, step: &Step, channel: usize) -> &'a [i8] {
    &network.layer_weights(step)[channel * step.terms()..][..step.terms()]
}

fn bias(network: &Network, step: &Step, channel: usize) -> i64 {
    network
        .layer_biases(step)
        .get(channel)
        .map_or(0, |bias| i64::from(*bias))
}

fn dot(weights: &[i8], values: &[i8]) -> i64 {
    weights
        .iter()
        .zip(values)
        .map(|(weight, value)| i64::from(*weight) * i64::from(*value))
        .sum()
}

fn in_window(step: &Step, window: Window, padding: Padding, input: &[i8], [c, y, x]: [usize; 3]) -> Vec<i8> {
    let shape = step.input_shape();
    let mut values = Vec::with_capacity(window.elements());
    for u in 0..usize::from(window.height) {
        for v in 0..usize::from(window.width) {
            let row = (y * usize::from(window.stride_y) + u).checked_sub(usize::from(padding.top));
            let column = (x * usize::from(window.stride_x) + v).checked_sub(usize::from(padding.left));
            values.push(match (row, column) {
                (Some(row), Some(column)) if row < shape.height() && column < shape.width() => {
                    input[c * shape.plane() + row * shape.width() + column]
                }
                _ => 0,
            });
        }
    }
    values
}
