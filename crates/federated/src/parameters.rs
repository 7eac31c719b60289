//! A model's numbers, and the bytes that name them.
//!
//! Stored form: `docs/spec/model-file.md`, a safetensors file with one possible sequence of bytes for each model.

use counterweight_primitives::{ContentDigest, to_canonical_json};
use rand_chacha::{ChaCha20Rng, rand_core::RngCore, rand_core::SeedableRng};
use serde_json::{Map, Value, json};

use crate::architecture::{Architecture, ArchitectureError, Tensors};

/// Names the form and version of a model file.
pub const FORMAT: &str = "counterweight/model/v1";

/// Longest model file there is: 2^24 numbers of four bytes, and room for its header. Updates are no longer.
pub const MODEL_BYTES_MAX: u64 = 65 << 20;

/// Longest header read: the most tensors with the longest names need less. Nine layers need less than 2 KiB.
pub const MOST_HEADER_BYTES: usize = 1 << 19;

/// A model: its shape and its finite numbers. Built-in ones have them layer by layer, biases before weights, weights
/// one row an output; others tensor by tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    architecture: Architecture,
    values: Vec<f32>,
}

/// Why bytes or numbers are not the parameters of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// Not a safetensors file of ours.
    #[error("not a model file: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The architecture is not one we build.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// Another number of values than the architecture has.
    #[error("{got} parameters, the architecture has {expected}")]
    Count {
        /// Parameters of the architecture.
        expected: usize,
        /// Parameters given.
        got: usize,
    },
    /// A value is NaN or infinite.
    #[error("parameter {index} is not a finite number")]
    NotFinite {
        /// Counted from 0.
        index: usize,
    },
    /// The file holds another architecture than the study's.
    #[error("the model has {got} parameters in another architecture than the study's, which has {expected}")]
    OtherArchitecture {
        /// Parameters of the study's architecture.
        expected: usize,
        /// Parameters of the file's.
        got: usize,
    },
}

impl Parameters {
    /// Parameters from flat values.
    ///
    /// # Errors
    /// [`ParametersError::Architecture`], [`ParametersError::Count`] or [`ParametersError::NotFinite`].
    pub fn new(architecture: Architecture, values: Vec<f32>) -> Result<Self, ParametersError> {
        architecture.check()?;
        let expected = architecture.parameters();
        if values.len() != expected {
            return Err(ParametersError::Count {
                expected,
                got: values.len(),
            });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(ParametersError::NotFinite { index });
        }
        Ok(Self { architecture, values })
    }

    /// Seeded start: uniform in ±1/sqrt(inputs of the layer), biases and weights alike, which is what PyTorch's
    /// linear layers start from. Of a custom model, tensors of two dimensions or more, with the product of all but the
    /// first for the inputs; what has fewer is 0. `architecture` must have been checked.
    #[must_use]
    pub fn initial(architecture: &Architecture, seed: u64) -> Self {
        let mut text = b"counterweight/initial/v1".to_vec();
        text.extend_from_slice(&seed.to_le_bytes());
        let mut random = ChaCha20Rng::from_seed(ContentDigest::of(&text).0);
        let mut values = Vec::with_capacity(architecture.parameters());
        let mut draw = |values: &mut Vec<f32>, count: usize, inputs: f64| {
            let bound = 1.0 / inputs.sqrt();
            values.extend((0..count).map(|_| {
                // 24 bits: every value is exact, below 1 after the scaling.
                let unit = f64::from(random.next_u32() >> 8) / f64::from(1 << 24);
                ((2.0 * unit - 1.0) * bound) as f32
            }));
        };
        match architecture {
            Architecture::BuiltIn(layered) => {
                for layer in layered.layers() {
                    draw(&mut values, layer.end() - layer.start, layer.inputs as f64);
                }
            }
            Architecture::Custom(Tensors { tensors }) => {
                for tensor in tensors {
                    let numbers = tensor.numbers();
                    match tensor.shape.as_slice() {
                        [] | [_] => values.resize(values.len() + numbers, 0.0),
                        [first, ..] => draw(&mut values, numbers, (numbers / *first as usize) as f64),
                    }
                }
            }
        }
        Self {
            architecture: architecture.clone(),
            values,
        }
    }

    /// The shape.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The deterministic safetensors bytes.
    #[must_use]
    pub fn to_safetensors(&self) -> Vec<u8> {
        let mut bytes = header(&self.architecture);
        bytes.reserve(4 * self.values.len());
        for value in &self.values {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// Reads those bytes, and no others for the same model.
    ///
    /// # Errors
    /// [`ParametersError`].
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, ParametersError> {
        let malformed = |what| ParametersError::Malformed { what };
        let (length, rest) = bytes
            .split_first_chunk()
            .ok_or(malformed("shorter than 8 bytes"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > MOST_HEADER_BYTES {
            return Err(malformed("the header is longer than 512 KiB"));
        }
        let text = rest.get(..length).ok_or(malformed("the header is cut off"))?;
        let document: Value =
            serde_json::from_slice(text).map_err(|_| malformed("the header is not JSON"))?;
        let architecture: Architecture = document
            .pointer("/__metadata__/architecture")
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or(malformed("the header names no architecture"))?;
        architecture.check()?;
        // The architecture implies the whole header, so comparing it checks names, shapes and offsets at once.
        let expected = header(&architecture);
        let data = bytes
            .strip_prefix(expected.as_slice())
            .ok_or(malformed("the header is not the one of its architecture"))?;
        if data.len() != 4 * architecture.parameters() {
            return Err(ParametersError::Count {
                expected: architecture.parameters(),
                got: data.len() / 4,
            });
        }
        let (values, _) = data.as_chunks::<4>();
        Self::new(
            architecture,
            values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        )
    }

    /// That the model has the study's architecture.
    ///
    /// # Errors
    /// [`ParametersError::OtherArchitecture`].
    pub fn check_architecture(&self, expected: &Architecture) -> Result<(), ParametersError> {
        if self.architecture == *expected {
            Ok(())
        } else {
            Err(ParametersError::OtherArchitecture {
                expected: expected.parameters(),
                got: self.architecture.parameters(),
            })
        }
    }

    /// Digest of the safetensors bytes: the result of a round, the content of a published model.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(&self.to_safetensors())
    }
}

/// Length and header of a model file: all that comes before the numbers.
fn header(architecture: &Architecture) -> Vec<u8> {
    let canonical = |value: &Value| to_canonical_json(value).expect("small integers and strings only");
    let shape = serde_json::to_value(architecture).expect("a plain structure");
    let shape = String::from_utf8(canonical(&shape)).expect("JSON is UTF-8");
    let mut tensors = Map::new();
    tensors.insert(
        "__metadata__".to_owned(),
        json!({ "architecture": shape, "format": FORMAT }),
    );
    let mut start = 0;
    for tensor in architecture.tensors() {
        let end = start + 4 * tensor.numbers();
        let entry = json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end] });
        tensors.insert(tensor.name, entry);
        start = end;
    }
    let mut text = canonical(&Value::Object(tensors));
    // Readers that map the file want the numbers aligned.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::architecture::{Activation, Layered, Tensor};

    fn mlp() -> Architecture {
        Architecture::BuiltIn(Layered {
            inputs: 3,
            hidden: vec![4, 2],
            activation: Activation::Tanh,
            outputs: 3,
        })
    }

    fn custom() -> Architecture {
        let tensor = |name: &str, shape: &[u32]| Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
        };
        // Named so that the header's order is not the data's.
        Architecture::custom([
            tensor("z.weight", &[2, 3, 2]),
            tensor("b.bias", &[2]),
            tensor("a.scale", &[]),
        ])
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seed: u64, inputs in 1_u32..9, hidden in proptest::collection::vec(1_u32..9, 0..4), outputs in 1_u32..5) {
            let shape = Architecture::BuiltIn(Layered { inputs, hidden, activation: Activation::Relu, outputs });
            let model = Parameters::initial(&shape, seed);
            prop_assert_eq!(Parameters::from_safetensors(&model.to_safetensors()), Ok(model));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Parameters::from_safetensors(&bytes);
        }

        #[test]
        fn one_changed_byte_is_another_model_or_none(at in 0_usize..700, flip in 1_u8..) {
            let model = Parameters::initial(&mlp(), 1);
            let mut bytes = model.to_safetensors();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert_ne!(Parameters::from_safetensors(&bytes), Ok(model));
        }
    }

    #[test]
    fn other_readers_of_safetensors_see_the_same_tensors() {
        let model = Parameters::initial(&mlp(), 1);
        let bytes = model.to_safetensors();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.len(), 6);
        let weight = file.tensor("layers.1.weight").unwrap();
        assert_eq!(weight.shape(), [2, 4]);
        let layer = mlp().built_in().unwrap().layers()[1];
        let (values, _) = weight.data().as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
        assert_eq!(values, model.values()[layer.weights()..layer.end()]);
    }

    #[test]
    fn a_seed_gives_the_same_model_everywhere() {
        assert_eq!(
            Parameters::initial(&mlp(), 42).digest().to_string(),
            "blake3:4c0733c3d1f571d70404313d8fdf68fa3d6f05fbd391751867556c3bd5e1571e"
        );
    }

    #[test]
    fn starts_within_the_bound_of_each_layer() {
        let model = Parameters::initial(&mlp(), 7);
        for layer in mlp().built_in().unwrap().layers() {
            let bound = 1.0 / (layer.inputs as f32).sqrt();
            assert!(
                model.values()[layer.start..layer.end()]
                    .iter()
                    .all(|v| v.abs() <= bound)
            );
        }
    }

    #[test]
    fn refuses_a_spoiled_file() {
        let bytes = Parameters::initial(&mlp(), 1).to_safetensors();
        let malformed = |bytes: &[u8], wanted: &str| match Parameters::from_safetensors(bytes) {
            Err(ParametersError::Malformed { what }) => assert_eq!(what, wanted),
            other => panic!("{other:?}"),
        };
        malformed(&bytes[..7], "shorter than 8 bytes");
        malformed(&bytes[..40], "the header is cut off");
        let mut long = bytes.clone();
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        malformed(&long, "the header is longer than 512 KiB");
        let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
        let at = 8 + text.find("layers.1.weight").unwrap();
        let mut renamed = bytes.clone();
        renamed[at] = b'L';
        malformed(&renamed, "the header is not the one of its architecture");

        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(
            Parameters::from_safetensors(&longer),
            Err(ParametersError::Count { .. })
        ));
        let mut shorter = bytes.clone();
        shorter.truncate(bytes.len() - 4);
        assert!(matches!(
            Parameters::from_safetensors(&shorter),
            Err(ParametersError::Count { .. })
        ));
        let mut spoiled = bytes.clone();
        let last = bytes.len() - 4;
        spoiled[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        let index = mlp().parameters() - 1;
        assert_eq!(
            Parameters::from_safetensors(&spoiled),
            Err(ParametersError::NotFinite { index })
        );
    }

    #[test]
    fn refuses_an_architecture_beyond_the_limits_before_taking_memory() {
        let shape = Architecture::BuiltIn(Layered {
            inputs: 1,
            hidden: vec![u32::MAX, u32::MAX],
            activation: Activation::Relu,
            outputs: 1,
        });
        let bytes = {
            let text =
                json!({"__metadata__": {"architecture": serde_json::to_string(&shape).unwrap()}}).to_string();
            let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(text.as_bytes());
            bytes
        };
        assert!(matches!(
            Parameters::from_safetensors(&bytes),
            Err(ParametersError::Architecture(ArchitectureError::TooLarge { .. }))
        ));
    }

    #[test]
    fn a_custom_model_reads_back_and_keeps_the_order_of_its_tensors() {
        let shape = custom();
        let model = Parameters::initial(&shape, 9);
        let bytes = model.to_safetensors();
        assert_eq!(Parameters::from_safetensors(&bytes), Ok(model.clone()));
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let weight = file.tensor("z.weight").unwrap();
        assert_eq!(weight.shape(), [2, 3, 2]);
        let (values, _) = weight.data().as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
        assert_eq!(values, model.values()[..12]);
        let bound = 1.0 / 6_f32.sqrt();
        assert!(values.iter().all(|value| value.abs() <= bound && *value != 0.0));
        assert!(model.values()[12..].iter().all(|value| value.to_bits() == 0));
    }

    #[test]
    fn the_largest_custom_header_is_within_the_limit_of_readers() {
        let tensor = |index: usize| Tensor {
            name: format!("{index:0128}"),
            shape: vec![1; 8],
        };
        let shape = Architecture::custom((0..1024).map(tensor));
        assert_eq!(shape.check(), Ok(()));
        let model = Parameters::initial(&shape, 1);
        assert_eq!(Parameters::from_safetensors(&model.to_safetensors()), Ok(model));
    }

    #[test]
    fn refuses_a_model_of_another_shape() {
        let model = Parameters::initial(&Architecture::logistic(3), 1);
        assert_eq!(
            model.check_architecture(&Architecture::logistic(4)),
            Err(ParametersError::OtherArchitecture { expected: 5, got: 4 })
        );
    }
}
