//! Logits of a model, its loss on rows, and the loss's gradient.

use crate::{
    architecture::{Activation, Layer, Layered},
    table::Dataset,
};

use super::linear::{add_scaled, dot};

/// A model's shape with room for the values of one row.
pub(super) struct Network {
    layers: Vec<Layer>,
    activation: Activation,
    /// What each layer gives for the row at hand; logits last.
    outputs: Vec<Vec<f32>>,
    /// Slope of the loss by what each layer gives, before its activation.
    slopes: Vec<Vec<f32>>,
}

impl Network {
    pub(super) fn new(architecture: &Layered) -> Self {
        let layers = architecture.layers();
        let room: Vec<Vec<f32>> = layers.iter().map(|layer| vec![0.0; layer.outputs]).collect();
        Self {
            layers,
            activation: architecture.activation,
            outputs: room.clone(),
            slopes: room,
        }
    }

    /// Logits for one row.
    pub(super) fn logits(&mut self, values: &[f32], row: &[f32]) -> &[f32] {
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers.iter().enumerate() {
            let (before, after) = self.outputs.split_at_mut(index);
            let input = before.last().map_or(row, Vec::as_slice);
            let biases = &values[layer.start..layer.weights()];
            let weights = values[layer.weights()..layer.end()].chunks_exact(layer.inputs);
            for ((out, bias), weights) in after[0].iter_mut().zip(biases).zip(weights) {
                let sum = bias + dot(weights, input);
                *out = match self.activation {
                    _ if index == last => sum,
                    Activation::Relu => sum.max(0.0),
                    Activation::Tanh => libm::tanhf(sum),
                };
            }
        }
        &self.outputs[last]
    }

    /// Adds the gradient of the mean loss over the chosen rows.
    pub(super) fn add_gradient(
        &mut self,
        values: &[f32],
        rows: &Dataset,
        chosen: &[u32],
        gradient: &mut [f32],
    ) {
        let share = 1.0 / chosen.len() as f32;
        for row in chosen {
            let (input, class) = rows.row(*row as usize);
            self.logits(values, input);
            self.loss_slopes(class, share);
            self.add_row_gradient(values, input, gradient);
        }
    }

    /// Slopes of cross-entropy by the logits: probability minus target, for one logit as for many.
    fn loss_slopes(&mut self, class: u32, share: f32) {
        let last = self.layers.len() - 1;
        let (logits, slopes) = (&self.outputs[last], &mut self.slopes[last]);
        if let ([logit], [slope]) = (logits.as_slice(), slopes.as_mut_slice()) {
            *slope = share * (sigmoid(*logit) - class as f32);
            return;
        }
        let highest = highest(logits);
        let mut sum = 0.0;
        for (slope, logit) in slopes.iter_mut().zip(logits) {
            *slope = libm::expf(logit - highest);
            sum += *slope;
        }
        for (index, slope) in slopes.iter_mut().enumerate() {
            let target = if index == class as usize { 1.0 } else { 0.0 };
            *slope = share * (*slope / sum - target);
        }
    }

    fn add_row_gradient(&mut self, values: &[f32], row: &[f32], gradient: &mut [f32]) {
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let (before, after) = self.slopes.split_at_mut(index);
            let slopes = &after[0];
            let input = index.checked_sub(1).map_or(row, |below| &self.outputs[below]);
            let (biases, weights) = gradient[layer.start..layer.end()].split_at_mut(layer.outputs);
            add_scaled(biases, 1.0, slopes);
            for (weights, slope) in weights.chunks_exact_mut(layer.inputs).zip(slopes) {
                add_scaled(weights, *slope, input);
            }
            let Some(below) = before.last_mut() else { continue };
            below.fill(0.0);
            let weights = values[layer.weights()..layer.end()].chunks_exact(layer.inputs);
            for (weights, slope) in weights.zip(slopes) {
                add_scaled(below, *slope, weights);
            }
            for (slope, out) in below.iter_mut().zip(input) {
                *slope *= match self.activation {
                    Activation::Relu => f32::from(*out > 0.0),
                    Activation::Tanh => 1.0 - out * out,
                };
            }
        }
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-logit))
}

fn highest(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Cross-entropy of one row in nats, in `f64` so that the sum over many rows keeps its digits.
pub(super) fn loss(logits: &[f32], class: u32) -> f64 {
    if let [logit] = logits {
        // ln(1 + e^-m) with the margin m, without overflow.
        let margin = if class == 1 {
            f64::from(*logit)
        } else {
            -f64::from(*logit)
        };
        return (-margin).max(0.0) + libm::log1p(libm::exp(-margin.abs()));
    }
    let highest = f64::from(highest(logits));
    let sum: f64 = logits
        .iter()
        .map(|logit| libm::exp(f64::from(*logit) - highest))
        .sum();
    highest + libm::log(sum) - f64::from(logits[class as usize])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{architecture::Architecture, parameters::Parameters};

    fn mean_loss(shape: &Layered, values: &[f32], rows: &Dataset) -> f64 {
        let mut network = Network::new(shape);
        let sum: f64 = (0..rows.len())
            .map(|row| {
                let (input, class) = rows.row(row);
                loss(network.logits(values, input), class)
            })
            .sum();
        sum / rows.len() as f64
    }

    proptest! {
        /// Each slope against the difference of the loss a small step to either side.
        #[test]
        fn gradients_are_the_slopes_of_the_loss(
            seed: u64,
            hidden in proptest::collection::vec(1_u32..6, 0..3),
            outputs in prop_oneof![Just(1_u32), 2_u32..5],
            features in proptest::collection::vec(-1.5_f32..1.5, 12),
            labels in proptest::collection::vec(0_u32..16, 4),
        ) {
            // Tanh only: at a kink of ReLU the two differ rightly.
            let layered = Layered { inputs: 3, hidden, activation: Activation::Tanh, outputs };
            let labels = labels.iter().map(|label| label % layered.classes()).collect();
            let shape = Architecture::BuiltIn(layered.clone());
            let rows = Dataset::new(3, features, labels).unwrap();
            let values = Parameters::initial(&shape, seed).values().to_vec();
            let mut gradient = vec![0.0; values.len()];
            Network::new(&layered).add_gradient(&values, &rows, &[0, 1, 2, 3], &mut gradient);
            for index in 0..values.len() {
                let at = |step: f32| {
                    let mut moved = values.clone();
                    moved[index] += step;
                    (f64::from(moved[index]), mean_loss(&layered, &moved, &rows))
                };
                let ((low, loss_low), (high, loss_high)) = (at(-0.01), at(0.01));
                let slope = (loss_high - loss_low) / (high - low);
                prop_assert!((slope - f64::from(gradient[index])).abs() < 1e-3, "{index}: {slope} {}", gradient[index]);
            }
        }
    }

    #[test]
    fn relu_passes_slopes_where_it_is_above_zero() {
        let shape = Layered {
            inputs: 1,
            hidden: vec![2],
            activation: Activation::Relu,
            outputs: 1,
        };
        // Hidden sums 1 and -1 for the input 1; output weights 2 and 3; logit 2.
        let values = [0.0, 0.0, 1.0, -1.0, 0.0, 2.0, 3.0];
        let rows = Dataset::new(1, vec![1.0], vec![0]).unwrap();
        let mut gradient = [0.0; 7];
        Network::new(&shape).add_gradient(&values, &rows, &[0], &mut gradient);
        let slope = sigmoid(2.0);
        assert_eq!(gradient, [2.0 * slope, 0.0, 2.0 * slope, 0.0, slope, slope, 0.0]);
    }

    #[test]
    fn losses_of_large_logits_are_finite() {
        assert_eq!(loss(&[1000.0], 1), 0.0);
        assert_eq!(loss(&[1000.0], 0), 1000.0);
        assert_eq!(loss(&[1000.0, 0.0], 1), 1000.0);
        assert!((loss(&[0.0], 1) - std::f64::consts::LN_2).abs() < 1e-15);
    }
}
