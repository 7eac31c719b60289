//! Imports a model that was trained by this project's studies: docs/spec/model-file.md.

use counterweight_primitives::{CanonicalError, architecture::Shape, from_canonical_json, to_canonical_json};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{FloatError, FloatLayer, FloatNetwork, Imported, Operator, Task};

/// Longest header of a model file.
const MOST_HEADER: usize = 16_384;
/// Most parameters of a model file.
const MOST_PARAMETERS: usize = 1 << 24;
const MOST_HIDDEN: usize = 8;
const FORMAT: &str = "counterweight/model/v1";

/// Why a model file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// The header is missing, too long, or not JSON of a model.
    #[error("the bytes are not a model file: {reason}")]
    Header {
        /// What is wrong.
        reason: &'static str,
    },
    /// The architecture in the header cannot be read.
    #[error("the model's architecture cannot be read")]
    Architecture(#[source] CanonicalError),
    /// An architecture outside the format's limits.
    #[error("the model's architecture is outside the format's limits")]
    Limits,
    /// A header other than the one that the architecture implies.
    #[error("the header is not the one that the architecture implies")]
    Implied,
    /// Bytes are missing, or follow the end.
    #[error("the parameters have {expected} bytes, there are {got}")]
    Length {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// An activation that integer networks do not have.
    #[error(
        "the model's activation is {activation}; an integer network can only have relu, so train with `activation = \"relu\"`"
    )]
    Activation {
        /// Its name.
        activation: String,
    },
    /// The layers are no integer network.
    #[error("the layers are refused")]
    Network(#[source] FloatError),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    inputs: usize,
    hidden: Vec<usize>,
    activation: String,
    outputs: usize,
}

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Texts,
}

#[derive(Deserialize)]
struct Texts {
    architecture: String,
}

/// Reads a network from the bytes of a model file. It reads inputs as the study trained on them: where they were standardised,
/// [`FloatNetwork::unstandardised`] makes it read them as they were before.
///
/// # Errors
/// [`ModelFileError`].
pub fn import_model_file(bytes: &[u8]) -> Result<Imported, ModelFileError> {
    let header_error = |reason| ModelFileError::Header { reason };
    let (length, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or(header_error("it is too short"))?;
    let length = usize::try_from(u64::from_le_bytes(*length))
        .ok()
        .filter(|length| *length <= MOST_HEADER);
    let length = length.ok_or(header_error("its header is too long"))?;
    let (header, data) = rest
        .split_at_checked(length)
        .ok_or(header_error("it is too short"))?;
    let found: Header = serde_json::from_slice(header).map_err(|_| header_error("its header is another"))?;
    let text = found.metadata.architecture;
    let described: Described =
        from_canonical_json(text.as_bytes(), MOST_HEADER).map_err(ModelFileError::Architecture)?;
    let widths = widths(&described)?;
    if header != implied_header(&text, &widths)? {
        return Err(ModelFileError::Implied);
    }
    let expected = 4 * parameters(&widths);
    if data.len() != expected {
        return Err(ModelFileError::Length {
            expected,
            got: data.len(),
        });
    }
    if described.activation != "relu" {
        return Err(ModelFileError::Activation {
            activation: described.activation,
        });
    }
    let (words, _) = data.as_chunks::<4>();
    let mut numbers = words.iter().map(|word| f32::from_le_bytes(*word));
    let last = widths.len() - 2;
    let layers = widths
        .windows(2)
        .enumerate()
        .map(|(index, pair)| FloatLayer {
            name: format!("layers.{index}"),
            operator: {
                let biases = numbers.by_ref().take(pair[1]).collect();
                let weights = numbers.by_ref().take(pair[0] * pair[1]).collect();
                Operator::Dense { weights, biases }
            },
            inputs: vec![index as u8],
            relu: index < last,
        })
        .collect();
    let refused = |source| ModelFileError::Network(FloatError::Shape(source));
    let input = Shape::vector(widths[0]).map_err(refused)?;
    let network = FloatNetwork::new(input, layers).map_err(ModelFileError::Network)?;
    Ok(Imported {
        network,
        task: if described.outputs == 1 {
            Task::Binary
        } else {
            Task::Classes
        },
        left_off: Vec::new(),
    })
}

fn widths(described: &Described) -> Result<Vec<usize>, ModelFileError> {
    let mut widths = vec![described.inputs];
    widths.extend(&described.hidden);
    widths.push(described.outputs);
    // Each width below 2^24 keeps the products below 2^48 and their sum in 64 bits.
    let is_inside = described.hidden.len() <= MOST_HIDDEN
        && widths.iter().all(|width| (1..=MOST_PARAMETERS).contains(width))
        && parameters(&widths) <= MOST_PARAMETERS;
    if is_inside {
        Ok(widths)
    } else {
        Err(ModelFileError::Limits)
    }
}

fn parameters(widths: &[usize]) -> usize {
    widths.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
}

/// The one header that a model of these widths has.
fn implied_header(architecture: &str, widths: &[usize]) -> Result<Vec<u8>, ModelFileError> {
    let mut header = serde_json::Map::new();
    header.insert(
        "__metadata__".to_owned(),
        json!({ "format": FORMAT, "architecture": architecture }),
    );
    let mut at = 0;
    for (index, pair) in widths.windows(2).enumerate() {
        let mut tensor = |name: &str, shape: serde_json::Value, elements: usize| {
            let end = at + 4 * elements;
            let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [at, end] });
            header.insert(format!("layers.{index}.{name}"), entry);
            at = end;
        };
        tensor("bias", json!([pair[1]]), pair[1]);
        tensor("weight", json!([pair[1], pair[0]]), pair[0] * pair[1]);
    }
    let mut bytes = to_canonical_json(&header).map_err(ModelFileError::Architecture)?;
    bytes.resize(bytes.len().next_multiple_of(8), b' ');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(hidden: &[usize], activation: &str) -> Vec<u8> {
        let described = Described {
            inputs: 3,
            hidden: hidden.to_vec(),
            activation: activation.to_owned(),
            outputs: 1,
        };
        let text = String::from_utf8(to_canonical_json(&described).unwrap()).unwrap();
        let widths = widths(&described).unwrap();
        let header = implied_header(&text, &widths).unwrap();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        for number in 0..parameters(&widths) {
            bytes.extend((number as f32).to_le_bytes());
        }
        bytes
    }

    #[test]
    fn reads_a_linear_model_and_one_with_hidden_layers() {
        let linear = import_model_file(&file(&[], "relu")).unwrap();
        assert_eq!(linear.task, Task::Binary);
        // Bias 0, weights 1, 2, 3.
        assert_eq!(linear.network.run(&[1.0, 10.0, 100.0]).unwrap(), [321.0]);
        let deep = import_model_file(&file(&[2, 4], "relu")).unwrap();
        assert_eq!(deep.network.outline().weights(), 6 + 8 + 4);
        assert!(deep.network.layers()[1].relu && !deep.network.layers()[2].relu);
    }

    #[test]
    fn standardisation_goes_into_the_first_layer() {
        let network = import_model_file(&file(&[], "relu")).unwrap().network;
        let raw = network
            .clone()
            .unstandardised(&[5.0, -1.0, 0.0], &[2.0, 0.5, 1.0])
            .unwrap();
        let standardised = network.run(&[(7.0 - 5.0) * 2.0, (3.0 + 1.0) * 0.5, 4.0]).unwrap();
        assert_eq!(raw.run(&[7.0, 3.0, 4.0]).unwrap(), standardised);
        assert!(network.unstandardised(&[0.0; 2], &[1.0; 2]).is_err());
    }

    #[test]
    fn refuses_other_files() {
        let tanh = import_model_file(&file(&[2], "tanh")).unwrap_err();
        assert!(tanh.to_string().contains("tanh"));
        let bytes = file(&[2], "relu");
        for length in 0..bytes.len() {
            assert!(import_model_file(&bytes[..length]).is_err());
        }
        for at in 0..bytes.len() - 4 * parameters(&[3, 2, 1]) {
            let mut spoilt = bytes.clone();
            spoilt[at] ^= 1;
            assert!(import_model_file(&spoilt).is_err(), "byte {at}");
        }
        let mut infinite = bytes;
        let end = infinite.len();
        infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(matches!(
            import_model_file(&infinite),
            Err(ModelFileError::Network(FloatError::NotFinite { .. }))
        ));
    }
}
