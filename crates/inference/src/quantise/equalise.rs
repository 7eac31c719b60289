//! Moves scale between the channels of layers that follow each other: with relu or without, a channel may be multiplied before a
//! pool and divided after it. Afterwards one unit serves all channels of a tensor better.

use super::rows::Rows;
use crate::{FloatNetwork, Scaling, float::Operator};

/// What channels are made equal by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// The largest weights of a channel, going in and coming out.
    Weights,
    /// The largest value of a channel on the calibration rows.
    Activations,
}

pub(super) const METHODS: [Method; 2] = [Method::Weights, Method::Activations];

/// Most that a channel is multiplied or divided by.
const MOST: f32 = 16.0;

/// The same function with equalised channels; nothing if no two layers could be equalised.
pub(super) fn equalise(
    network: &FloatNetwork,
    rows: &[&[f64]],
    scaling: &Scaling,
    unit: f64,
    method: Method,
) -> Option<FloatNetwork> {
    let mut equal = network.clone();
    let mut is_changed = false;
    let rows = Rows::new(network, rows, scaling, unit).ok()?;
    for first in 0..network.layers().len() {
        let Some(second) = follower(network, first) else {
            continue;
        };
        let channels = network.outline().steps()[first].output_shape().channels();
        let (Some((before, _)), Some((after, _))) = (
            equal.layers()[first].operator.parameters(),
            equal.layers()[second].operator.parameters(),
        ) else {
            continue;
        };
        let into = largest_of_rows(before, channels);
        let factors: Vec<f32> = match method {
            Method::Weights => {
                let out = largest_of_columns(&equal, second, after, channels);
                into.iter()
                    .zip(&out)
                    .map(|(into, out)| (out / into).sqrt())
                    .collect()
            }
            Method::Activations => {
                let reach = rows.largest_of_channels(first + 1, channels);
                let most = reach.iter().copied().fold(0.0, f32::max);
                // Halfway: the weights that lead into a channel grow as much as the channel does.
                reach.iter().map(|reach| (most / reach).sqrt()).collect()
            }
        };
        let factors: Vec<f32> = factors
            .into_iter()
            .map(|factor| {
                if factor.is_finite() && factor > 0.0 {
                    factor.clamp(1.0 / MOST, MOST)
                } else {
                    1.0
                }
            })
            .collect();
        multiply(&mut equal, first, second, &factors);
        is_changed = true;
    }
    is_changed.then_some(equal)
}

/// The weighted layer that alone reads what a weighted layer gives, perhaps through pools that nobody else reads.
fn follower(network: &FloatNetwork, first: usize) -> Option<usize> {
    network.layers()[first].operator.parameters()?;
    let mut at = first;
    loop {
        let node = u8::try_from(at + 1).ok()?;
        let mut readers =
            (0..network.layers().len()).filter(|reader| network.layers()[*reader].inputs.contains(&node));
        let reader = readers.next()?;
        if readers.next().is_some() {
            return None;
        }
        match network.layers()[reader].operator {
            Operator::MaxPool { .. } | Operator::AveragePool { .. } => at = reader,
            Operator::Dense { .. } | Operator::Conv { .. } => return Some(reader),
            Operator::Add => return None,
        }
    }
}

fn largest_of_rows(weights: &[f32], rows: usize) -> Vec<f32> {
    weights
        .chunks_exact(weights.len() / rows)
        .map(|row| row.iter().fold(0.0_f32, |most, weight| most.max(weight.abs())))
        .collect()
}

/// Largest weight that reads each input channel of a layer.
fn largest_of_columns(network: &FloatNetwork, layer: usize, weights: &[f32], channels: usize) -> Vec<f32> {
    let each = network.outline().steps()[layer].terms() / channels;
    let mut most = vec![0.0_f32; channels];
    for row in weights.chunks_exact(each * channels) {
        for (most, column) in most.iter_mut().zip(row.chunks_exact(each)) {
            *most = column.iter().fold(*most, |most, weight| most.max(weight.abs()));
        }
    }
    most
}

fn multiply(network: &mut FloatNetwork, first: usize, second: usize, factors: &[f32]) {
    let each = network.outline().steps()[second].terms() / factors.len();
    if let Some((weights, biases)) = network
        .layer_mut(first)
        .and_then(|layer| layer.operator.parameters_mut())
    {
        let terms = weights.len() / factors.len();
        for ((row, bias), factor) in weights.chunks_exact_mut(terms).zip(biases).zip(factors) {
            row.iter_mut().for_each(|weight| *weight *= factor);
            *bias *= factor;
        }
    }
    if let Some((weights, _)) = network
        .layer_mut(second)
        .and_then(|layer| layer.operator.parameters_mut())
    {
        for row in weights.chunks_exact_mut(each * factors.len()) {
            for (column, factor) in row.chunks_exact_mut(each).zip(factors) {
                column.iter_mut().for_each(|weight| *weight /= factor);
            }
        }
    }
}
