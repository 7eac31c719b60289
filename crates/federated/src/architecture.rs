//! Shapes of the models that are built in.

use serde::{Deserialize, Serialize};

/// Most numbers a model may hold: 64 MiB of `f32`.
pub const MOST_PARAMETERS: usize = 1 << 24;

/// Most hidden layers.
pub const MOST_HIDDEN_LAYERS: usize = 8;

/// What a hidden layer does to its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x).
    #[default]
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// A model's shape: layers of sums, with an activation between them. Logistic and softmax regression have no
/// hidden layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Architecture {
    /// Number of inputs.
    pub inputs: u32,
    /// Width of each hidden layer; empty for a linear model.
    pub hidden: Vec<u32>,
    /// After each hidden layer.
    pub activation: Activation,
    /// 1: one logit for yes against no. More: one logit for each class.
    pub outputs: u32,
}

/// Why an architecture cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// A layer of no width.
    #[error("layer {layer} has no width")]
    EmptyLayer {
        /// Counted from 0, the inputs.
        layer: usize,
    },
    /// Above [`MOST_PARAMETERS`].
    #[error("the model has {got} parameters, at most {limit} are allowed")]
    TooLarge {
        /// Parameters it would have.
        got: u64,
        /// The limit.
        limit: usize,
    },
    /// More than [`MOST_HIDDEN_LAYERS`].
    #[error("{got} hidden layers, at most {limit} are allowed")]
    TooDeep {
        /// Hidden layers asked for.
        got: usize,
        /// The limit.
        limit: usize,
    },
}

/// Where a layer's numbers are among all of a model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Values it reads.
    pub inputs: usize,
    /// Values it gives.
    pub outputs: usize,
    /// Index of its first number: `outputs` biases, then `outputs` rows of `inputs` weights.
    pub start: usize,
}

impl Layer {
    /// Index of its first weight.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.start + self.outputs
    }

    /// Index after its last weight.
    #[must_use]
    pub fn end(&self) -> usize {
        self.weights() + self.inputs * self.outputs
    }
}

impl Architecture {
    /// A linear model with one logit.
    #[must_use]
    pub fn logistic(inputs: u32) -> Self {
        Self::softmax(inputs, 1)
    }

    /// A linear model with one logit for each class.
    #[must_use]
    pub fn softmax(inputs: u32, classes: u32) -> Self {
        Self {
            inputs,
            hidden: Vec::new(),
            activation: Activation::default(),
            outputs: classes,
        }
    }

    /// Holds it to the limits. Everything else in this crate expects that it was checked.
    ///
    /// # Errors
    /// [`ArchitectureError`].
    pub fn check(&self) -> Result<(), ArchitectureError> {
        if self.hidden.len() > MOST_HIDDEN_LAYERS {
            return Err(ArchitectureError::TooDeep {
                got: self.hidden.len(),
                limit: MOST_HIDDEN_LAYERS,
            });
        }
        let widths: Vec<u64> = self.widths().map(u64::from).collect();
        if let Some(layer) = widths.iter().position(|width| *width == 0) {
            return Err(ArchitectureError::EmptyLayer { layer });
        }
        let got = widths.windows(2).fold(0_u64, |sum, pair| {
            sum.saturating_add((pair[0] + 1).saturating_mul(pair[1]))
        });
        if got > MOST_PARAMETERS as u64 {
            return Err(ArchitectureError::TooLarge {
                got,
                limit: MOST_PARAMETERS,
            });
        }
        Ok(())
    }

    /// Classes it tells apart.
    #[must_use]
    pub fn classes(&self) -> u32 {
        self.outputs.max(2)
    }

    /// How many numbers it has.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.layers().last().map_or(0, Layer::end)
    }

    /// Its layers, from the inputs on.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let widths: Vec<usize> = self.widths().map(|width| width as usize).collect();
        let mut start = 0;
        widths
            .windows(2)
            .map(|pair| {
                let layer = Layer {
                    inputs: pair[0],
                    outputs: pair[1],
                    start,
                };
                start = layer.end();
                layer
            })
            .collect()
    }

    fn widths(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.inputs)
            .chain(self.hidden.iter().copied())
            .chain(std::iter::once(self.outputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_lie_one_after_the_other() {
        let mlp = Architecture {
            inputs: 3,
            hidden: vec![4],
            activation: Activation::Relu,
            outputs: 2,
        };
        let layers = mlp.layers();
        assert_eq!(
            (layers[0].start, layers[0].weights(), layers[0].end()),
            (0, 4, 16)
        );
        assert_eq!(
            (layers[1].start, layers[1].weights(), layers[1].end()),
            (16, 18, 26)
        );
        assert_eq!(mlp.parameters(), 26);
        assert_eq!(Architecture::logistic(13).parameters(), 14);
    }

    #[test]
    fn refuses_empty_deep_and_large_models() {
        let with = |hidden: Vec<u32>| Architecture {
            hidden,
            ..Architecture::logistic(1000)
        };
        assert_eq!(
            with(vec![5, 0]).check(),
            Err(ArchitectureError::EmptyLayer { layer: 2 })
        );
        assert!(matches!(
            with(vec![1; 9]).check(),
            Err(ArchitectureError::TooDeep { got: 9, .. })
        ));
        assert!(matches!(
            with(vec![u32::MAX; 8]).check(),
            Err(ArchitectureError::TooLarge { .. })
        ));
        assert_eq!(with(vec![16; 8]).check(), Ok(()));
    }
}
