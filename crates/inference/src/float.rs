//! A network in floating point, as it was trained: what is imported, calibrated and compared with.

mod execute;

pub(crate) use execute::before_relu;

use counterweight_primitives::architecture::{
    Architecture, ArchitectureError, Bias, Layer, MOST_SHIFT, Node, Output, Padding, Problem, Requantise,
    Shape, Window,
};

/// A network in floating point. Its layers are those that an integer network can have, so it can be quantised as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatNetwork {
    /// Shapes and order; its shifts are only the least ones that the bounds allow.
    outline: Architecture,
    layers: Vec<FloatLayer>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatLayer {
    /// Name for messages.
    pub name: String,
    /// What it computes.
    pub operator: Operator,
    /// Nodes it reads: 0 is the input, `i + 1` the output of layer `i`. Two for an addition, otherwise one.
    pub inputs: Vec<u8>,
    /// Whether negative results become 0. Not on a max pool.
    pub relu: bool,
}

/// What a layer computes. Weights are in the order of docs/spec/arithmetic.md.
#[derive(Debug, Clone, PartialEq)]
pub enum Operator {
    /// Sums over the whole input; as many outputs as biases.
    Dense {
        /// Rows, one for each output.
        weights: Vec<f32>,
        /// One for each output.
        biases: Vec<f32>,
    },
    /// Sums over a moving window; as many output channels as biases.
    Conv {
        /// The window.
        window: Window,
        /// Zeros around each plane.
        padding: Padding,
        /// Rows, one for each output channel.
        weights: Vec<f32>,
        /// One for each output channel.
        biases: Vec<f32>,
    },
    /// Means over a moving window.
    AveragePool {
        /// The window.
        window: Window,
    },
    /// Sum of two tensors.
    Add,
    /// Largest elements of a moving window.
    MaxPool {
        /// The window.
        window: Window,
    },
}

/// Why layers are not a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FloatError {
    /// No integer network has this architecture.
    #[error("no integer network has this architecture{}", .name.as_ref().map(|name| format!(" (node \"{name}\")")).unwrap_or_default())]
    Architecture {
        /// The layer that the rule is about.
        name: Option<String>,
        /// The rule.
        #[source]
        source: ArchitectureError,
    },
    /// A tensor is too large.
    #[error("a tensor is refused")]
    Shape(#[source] Problem),
    /// Another number of weights than the shapes give.
    #[error("node \"{name}\" has {got} weights, its input and outputs make {expected}")]
    Weights {
        /// The layer.
        name: String,
        /// Weights that the shapes give.
        expected: usize,
        /// Weights found.
        got: usize,
    },
    /// An infinity or NaN among the weights.
    #[error("node \"{name}\" has a weight or bias that is not finite")]
    NotFinite {
        /// The layer.
        name: String,
    },
    /// Nodes read do not match the operator, or relu stands on a max pool.
    #[error("node \"{name}\" reads {got} tensors, or rectifies what it cannot")]
    Inputs {
        /// The layer.
        name: String,
        /// Nodes it reads.
        got: usize,
    },
    /// More outputs than a layer can have.
    #[error("node \"{name}\" has {got} outputs or channels, from 1 to 65,535 are allowed")]
    Outputs {
        /// The layer.
        name: String,
        /// Outputs.
        got: usize,
    },
    /// An input scaling with another length, on a network whose first layer reads a plane, or not finite.
    #[error(
        "inputs can be scaled one by one, by {expected} finite numbers each, where only dense layers read them"
    )]
    Standardise {
        /// Elements of the input.
        expected: usize,
    },
}

impl FloatNetwork {
    /// Checks layers given in topological order.
    ///
    /// # Errors
    /// [`FloatError`].
    pub fn new(input: Shape, layers: Vec<FloatLayer>) -> Result<Self, FloatError> {
        let outlines = layers
            .iter()
            .map(FloatLayer::outline)
            .collect::<Result<Vec<_>, _>>()?;
        let outline = least_shifts(input, outlines).map_err(|source| {
            let name = match &source {
                ArchitectureError::Layer { index, .. } => layers.get(*index).map(|layer| layer.name.clone()),
                _ => None,
            };
            FloatError::Architecture { name, source }
        })?;
        for (step, layer) in outline.steps().iter().zip(&layers) {
            if let Some((weights, biases)) = layer.operator.parameters() {
                if weights.len() != step.weights().len() {
                    return Err(FloatError::Weights {
                        name: layer.name.clone(),
                        expected: step.weights().len(),
                        got: weights.len(),
                    });
                }
                if !weights.iter().chain(biases).all(|value| value.is_finite()) {
                    return Err(FloatError::NotFinite {
                        name: layer.name.clone(),
                    });
                }
            }
        }
        Ok(Self { outline, layers })
    }

    /// Shapes, order and sizes; the shifts mean nothing.
    #[must_use]
    pub fn outline(&self) -> &Architecture {
        &self.outline
    }

    /// Its layers.
    #[must_use]
    pub fn layers(&self) -> &[FloatLayer] {
        &self.layers
    }

    /// The same network for inputs before they were standardised: where it read `(x - offset) * factor`, it now reads `x`.
    /// The layers that read the input take it over.
    ///
    /// # Errors
    /// [`FloatError::Standardise`].
    pub fn unstandardised(mut self, offset: &[f64], factor: &[f64]) -> Result<Self, FloatError> {
        let expected = self.outline.input().elements();
        let fits =
            offset.len() == expected && factor.len() == expected && self.only_dense_layers_read_the_input();
        if !fits || !offset.iter().chain(factor).all(|value| value.is_finite()) {
            return Err(FloatError::Standardise { expected });
        }
        for layer in self.layers.iter_mut().filter(|layer| layer.inputs.contains(&0)) {
            if let Operator::Dense { weights, biases } = &mut layer.operator {
                for (row, bias) in weights.chunks_exact_mut(expected).zip(biases) {
                    let mut sum = f64::from(*bias);
                    for ((weight, offset), factor) in row.iter_mut().zip(offset).zip(factor) {
                        let scaled = f64::from(*weight) * factor;
                        sum -= scaled * offset;
                        *weight = scaled as f32;
                    }
                    *bias = sum as f32;
                }
            }
        }
        Self::new(self.outline.input(), self.layers)
    }

    pub(crate) fn only_dense_layers_read_the_input(&self) -> bool {
        self.layers
            .iter()
            .filter(|layer| layer.inputs.contains(&0))
            .all(|layer| matches!(layer.operator, Operator::Dense { .. }))
    }

    pub(crate) fn layer_mut(&mut self, index: usize) -> Option<&mut FloatLayer> {
        self.layers.get_mut(index)
    }
}

impl FloatLayer {
    fn outline(&self) -> Result<Layer, FloatError> {
        let expected = if self.operator == Operator::Add { 2 } else { 1 };
        let is_max_pool = matches!(self.operator, Operator::MaxPool { .. });
        if self.inputs.len() != expected || (self.relu && is_max_pool) {
            return Err(FloatError::Inputs {
                name: self.name.clone(),
                got: self.inputs.len(),
            });
        }
        let input = Node(self.inputs[0]);
        let output = Requantise {
            shift: 0,
            relu: self.relu,
        };
        // Without digits here: their form is chosen when the network is quantised.
        let bias = Bias::default();
        let count = |biases: &[f32]| {
            u16::try_from(biases.len()).map_err(|_| FloatError::Outputs {
                name: self.name.clone(),
                got: biases.len(),
            })
        };
        Ok(match &self.operator {
            Operator::Dense { biases, .. } => Layer::Dense {
                input,
                outputs: count(biases)?,
                bias,
                output: Output::Requantise(output),
            },
            Operator::Conv {
                window,
                padding,
                biases,
                ..
            } => Layer::Conv {
                input,
                channels: count(biases)?,
                window: *window,
                padding: *padding,
                bias,
                output: Output::Requantise(output),
            },
            Operator::AveragePool { window } => Layer::AveragePool {
                input,
                window: *window,
                multiplier: 1,
                output,
            },
            Operator::Add => Layer::Add {
                left: input,
                right: Node(self.inputs[1]),
                left_multiplier: 1,
                right_multiplier: 1,
                output,
            },
            Operator::MaxPool { window } => Layer::MaxPool {
                input,
                window: *window,
            },
        })
    }
}

impl Operator {
    /// Weights and biases of a weighted layer.
    #[must_use]
    pub fn parameters(&self) -> Option<(&[f32], &[f32])> {
        match self {
            Self::Dense { weights, biases } | Self::Conv { weights, biases, .. } => Some((weights, biases)),
            _ => None,
        }
    }

    pub(crate) fn parameters_mut(&mut self) -> Option<(&mut [f32], &mut [f32])> {
        match self {
            Self::Dense { weights, biases } | Self::Conv { weights, biases, .. } => Some((weights, biases)),
            _ => None,
        }
    }
}

/// Raises shifts from 0 until the bounds hold.
fn least_shifts(input: Shape, mut layers: Vec<Layer>) -> Result<Architecture, ArchitectureError> {
    loop {
        match Architecture::new(input, layers.clone()) {
            Err(ArchitectureError::Layer {
                index,
                problem: Problem::Shifted { shift, .. },
            }) if shift < MOST_SHIFT => set_shift(&mut layers[index], shift + 1),
            other => return other,
        }
    }
}

fn set_shift(layer: &mut Layer, to: u8) {
    match layer {
        Layer::Dense {
            output: Output::Requantise(rule),
            ..
        }
        | Layer::Conv {
            output: Output::Requantise(rule),
            ..
        }
        | Layer::AveragePool { output: rule, .. }
        | Layer::Add { output: rule, .. } => rule.shift = to,
        _ => {}
    }
}
