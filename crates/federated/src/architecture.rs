//! Shapes of models: those that are built in, and any other as named tensors.

use std::collections::BTreeSet;

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

/// Most tensors of a custom model.
pub const MOST_TENSORS: usize = 1024;

/// Most dimensions of a tensor.
pub const MOST_DIMENSIONS: usize = 8;

/// Longest name of a tensor, in bytes.
pub const MOST_NAME_BYTES: usize = 128;

/// A model's shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Architecture {
    /// One that is trained and judged here.
    BuiltIn(Layered),
    /// One whose members train it with programs of their own. Here it is summed, stored and checked, never run.
    Custom(Tensors),
}

/// Layers of sums, with an activation between them. Logistic and softmax regression have no hidden layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Layered {
    /// Number of inputs.
    pub inputs: u32,
    /// Width of each hidden layer; empty for a linear model.
    pub hidden: Vec<u32>,
    /// After each hidden layer.
    pub activation: Activation,
    /// 1: one logit for yes against no. More: one logit for each class.
    pub outputs: u32,
}

/// The numbers of a model that is not built in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tensors {
    /// In the order of the model file's data.
    pub tensors: Vec<Tensor>,
}

/// A named tensor of `f32`, row-major.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tensor {
    /// Its name, `encoder.0.weight`.
    pub name: String,
    /// Its dimensions; none for a single number.
    pub shape: Vec<u32>,
}

impl Tensor {
    /// How many numbers it has; the largest count there is where they are more.
    #[must_use]
    pub fn numbers(&self) -> usize {
        let sides = self.shape.iter();
        sides.fold(1_usize, |product, side| product.saturating_mul(*side as usize))
    }
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
    /// A custom model of no tensors, or of more than [`MOST_TENSORS`].
    #[error("{got} tensors, from 1 to {limit} are allowed")]
    TensorCount {
        /// Tensors listed.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// A tensor whose name or shape is not allowed, or whose name is listed twice.
    #[error("tensor {index} {problem}")]
    Tensor {
        /// Counted from 0.
        index: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Training or judging a model that is not built in.
    #[error("the model is not built in: only a member's own program can train or judge it")]
    NotBuiltIn,
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
        Self::BuiltIn(Layered {
            inputs,
            hidden: Vec::new(),
            activation: Activation::default(),
            outputs: classes,
        })
    }

    /// A model that is not built in.
    #[must_use]
    pub fn custom(tensors: impl IntoIterator<Item = Tensor>) -> Self {
        Self::Custom(Tensors {
            tensors: tensors.into_iter().collect(),
        })
    }

    /// Holds it to the limits. Everything else in this crate expects that it was checked.
    ///
    /// # Errors
    /// [`ArchitectureError`].
    pub fn check(&self) -> Result<(), ArchitectureError> {
        match self {
            Self::BuiltIn(layered) => layered.check(),
            Self::Custom(tensors) => tensors.check(),
        }
    }

    /// The layers of a model that can be trained and judged here.
    ///
    /// # Errors
    /// [`ArchitectureError::NotBuiltIn`].
    pub fn built_in(&self) -> Result<&Layered, ArchitectureError> {
        match self {
            Self::BuiltIn(layered) => Ok(layered),
            Self::Custom(_) => Err(ArchitectureError::NotBuiltIn),
        }
    }

    /// How many numbers it has.
    #[must_use]
    pub fn parameters(&self) -> usize {
        match self {
            Self::BuiltIn(layered) => layered.parameters(),
            Self::Custom(Tensors { tensors }) => tensors.iter().map(Tensor::numbers).sum(),
        }
    }

    /// Its tensors, in the order of the model file's data.
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        match self {
            Self::BuiltIn(layered) => layered.tensors(),
            Self::Custom(Tensors { tensors }) => tensors.clone(),
        }
    }
}

impl Tensors {
    fn check(&self) -> Result<(), ArchitectureError> {
        let Self { tensors } = self;
        if tensors.is_empty() || tensors.len() > MOST_TENSORS {
            return Err(ArchitectureError::TensorCount {
                got: tensors.len(),
                limit: MOST_TENSORS,
            });
        }
        let mut names = BTreeSet::new();
        let mut got = 0_u64;
        for (index, tensor) in tensors.iter().enumerate() {
            let refuse = |problem| Err(ArchitectureError::Tensor { index, problem });
            // What any safetensors reader takes, less what would need escaping in JSON.
            let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            if tensor.name.is_empty() || tensor.name.len() > MOST_NAME_BYTES {
                return refuse("needs a name of 1 to 128 bytes");
            }
            if !tensor.name.bytes().all(plain) || tensor.name == "__metadata__" {
                return refuse(
                    "needs a name of visible ASCII without quotes and backslashes, other than __metadata__",
                );
            }
            if !names.insert(&tensor.name) {
                return refuse("has the name of an earlier one");
            }
            if tensor.shape.len() > MOST_DIMENSIONS {
                return refuse("has more than 8 dimensions");
            }
            if tensor.shape.contains(&0) {
                return refuse("has a dimension of 0");
            }
            got = got.saturating_add(tensor.numbers() as u64);
        }
        if got > MOST_PARAMETERS as u64 {
            return Err(ArchitectureError::TooLarge {
                got,
                limit: MOST_PARAMETERS,
            });
        }
        Ok(())
    }
}

impl Layered {
    fn check(&self) -> Result<(), ArchitectureError> {
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

    fn parameters(&self) -> usize {
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

    fn tensors(&self) -> Vec<Tensor> {
        let named = |(index, pair): (usize, &[u32])| {
            let (bias, weight) = (vec![pair[1]], vec![pair[1], pair[0]]);
            [("bias", bias), ("weight", weight)].map(|(part, shape)| Tensor {
                name: format!("layers.{index}.{part}"),
                shape,
            })
        };
        let widths: Vec<u32> = self.widths().collect();
        widths.windows(2).enumerate().flat_map(named).collect()
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
        let mlp = Layered {
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
        let with = |hidden: Vec<u32>| {
            Architecture::BuiltIn(Layered {
                inputs: 1000,
                hidden,
                activation: Activation::Relu,
                outputs: 1,
            })
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

    fn tensor(name: &str, shape: &[u32]) -> Tensor {
        Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn a_custom_model_has_the_numbers_of_its_tensors() {
        let model = Architecture::custom([
            tensor("conv.weight", &[4, 3, 2, 2]),
            tensor("conv.bias", &[4]),
            tensor("temperature", &[]),
        ]);
        assert_eq!((model.check(), model.parameters()), (Ok(()), 48 + 4 + 1));
        assert_eq!(model.built_in(), Err(ArchitectureError::NotBuiltIn));
    }

    #[test]
    fn a_built_in_model_names_its_tensors_as_its_file_does() {
        let names: Vec<_> = Architecture::softmax(3, 2).tensors();
        assert_eq!(
            names,
            [tensor("layers.0.bias", &[2]), tensor("layers.0.weight", &[2, 3])]
        );
    }

    #[test]
    fn refuses_tensors_that_a_model_file_cannot_hold() {
        let refused = |tensors: Vec<Tensor>, wanted: &str| {
            let error = Architecture::custom(tensors).check().unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        };
        let good = tensor("w", &[2]);
        refused(vec![], "0 tensors");
        refused(vec![tensor("w", &[1]); 1025], "1025 tensors");
        refused(vec![good.clone(), tensor("", &[2])], "tensor 1 needs a name");
        refused(
            vec![good.clone(), tensor(&"n".repeat(129), &[2])],
            "tensor 1 needs a name",
        );
        for name in ["a b", "a\"b", "a\\b", "ä", "__metadata__"] {
            refused(vec![good.clone(), tensor(name, &[2])], "visible ASCII");
        }
        refused(vec![good.clone(), good.clone()], "earlier one");
        refused(vec![tensor("w", &[1; 9])], "8 dimensions");
        refused(vec![tensor("w", &[3, 0])], "dimension of 0");
        refused(vec![tensor("w", &[u32::MAX; 8])], "at most 16777216");
    }
}
