//! Reads models that other programs wrote: any safetensors file with the wanted tensors, in any order.
//!
//! The stored form has one sequence of bytes for each model ([`Parameters::to_safetensors`]); what NumPy, PyTorch or R
//! write has others, and is read here into the same [`Parameters`].

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    architecture::{Architecture, Tensor},
    parameters::{MOST_HEADER_BYTES, Parameters, ParametersError},
};

/// Why a file does not hold the wanted tensors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorFileError {
    /// Not a safetensors file.
    #[error("it is not a safetensors file: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// A tensor is not there.
    #[error("it has no tensor \"{name}\"")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A tensor that the model does not have.
    #[error("it has a tensor \"{name}\", the model has none of that name")]
    Unknown {
        /// Its name, cut off after 128 bytes.
        name: String,
    },
    /// A tensor of another shape.
    #[error("tensor \"{name}\" has the shape {got:?}, the model's has {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Dimensions of the model's.
        expected: Vec<u32>,
        /// Dimensions in the file.
        got: Vec<u64>,
    },
    /// Numbers of another kind than `F32` and `F64`.
    #[error("tensor \"{name}\" holds {dtype}, F32 or F64 is needed")]
    Kind {
        /// Its name.
        name: String,
        /// As the file says, cut off after 128 bytes.
        dtype: String,
    },
    /// A number that is not finite, or too large for `f32`.
    #[error("tensor \"{name}\" has a number at {index} that is not finite as f32")]
    NotFinite {
        /// Its name.
        name: String,
        /// Counted from 0.
        index: usize,
    },
    /// What was read is no model.
    #[error(transparent)]
    Parameters(#[from] ParametersError),
}

/// A tensor, as a header describes it.
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (usize, usize),
}

/// The names and entries of a file, and where its data begin.
fn entries(bytes: &[u8]) -> Result<(BTreeMap<String, Entry>, &[u8]), TensorFileError> {
    let malformed = |what| TensorFileError::Malformed { what };
    let (length, rest) = bytes
        .split_first_chunk()
        .ok_or(malformed("it is shorter than 8 bytes"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > MOST_HEADER_BYTES {
        return Err(malformed("its header is longer than 512 KiB"));
    }
    let (text, data) = rest
        .split_at_checked(length)
        .ok_or(malformed("its header is cut off"))?;
    let mut document: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|_| malformed("its header is no JSON object"))?;
    document.remove("__metadata__");
    let entries = serde_json::from_value(document.into())
        .map_err(|_| malformed("its header does not describe tensors"))?;
    Ok((entries, data))
}

/// The tensors a file holds, sorted by name.
///
/// # Errors
/// [`TensorFileError::Malformed`], or [`TensorFileError::Shape`] for dimensions beyond 32 bits.
pub fn tensors_of(bytes: &[u8]) -> Result<Vec<Tensor>, TensorFileError> {
    let (entries, _) = entries(bytes)?;
    let tensor = |(name, entry): (String, Entry)| {
        let shape: Result<Vec<u32>, _> = entry.shape.iter().map(|side| u32::try_from(*side)).collect();
        match shape {
            Ok(shape) => Ok(Tensor { name, shape }),
            Err(_) => Err(TensorFileError::Shape {
                name: short(&name),
                expected: Vec::new(),
                got: entry.shape,
            }),
        }
    };
    entries.into_iter().map(tensor).collect()
}

/// Reads a file with exactly the tensors of `architecture`, which must have been checked.
///
/// # Errors
/// [`TensorFileError`].
pub fn read(bytes: &[u8], architecture: &Architecture) -> Result<Parameters, TensorFileError> {
    let malformed = |what| TensorFileError::Malformed { what };
    let (mut entries, data) = entries(bytes)?;
    let mut values = Vec::with_capacity(architecture.parameters());
    for tensor in architecture.tensors() {
        let numbers = tensor.numbers();
        let Tensor { name, shape } = tensor;
        let Some(entry) = entries.remove(&name) else {
            return Err(TensorFileError::Missing { name });
        };
        if !entry
            .shape
            .iter()
            .copied()
            .eq(shape.iter().map(|side| u64::from(*side)))
        {
            return Err(TensorFileError::Shape {
                name,
                expected: shape,
                got: entry.shape,
            });
        }
        let (start, end) = entry.data_offsets;
        let bytes = data
            .get(start..end)
            .ok_or(malformed("a tensor's offsets are outside of the file"))?;
        let before = values.len();
        match entry.dtype.as_str() {
            "F32" => values.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))),
            "F64" => values.extend(
                bytes
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| f64::from_le_bytes(*b) as f32),
            ),
            other => {
                let dtype = short(other);
                return Err(TensorFileError::Kind { name, dtype });
            }
        }
        let width = if entry.dtype == "F32" { 4 } else { 8 };
        if bytes.len() != numbers * width {
            return Err(malformed("a tensor's offsets do not fit its shape"));
        }
        if let Some(index) = values[before..].iter().position(|value| !value.is_finite()) {
            return Err(TensorFileError::NotFinite { name, index });
        }
    }
    match entries.into_keys().next() {
        Some(name) => Err(TensorFileError::Unknown { name: short(&name) }),
        None => Ok(Parameters::new(architecture.clone(), values)?),
    }
}

fn short(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn architecture() -> Architecture {
        let tensor = |name: &str, shape: &[u32]| Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
        };
        Architecture::custom([tensor("w", &[2, 2]), tensor("b", &[2])])
    }

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    const HEADER: &str = r#"{"b":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[16,32]},"__metadata__":{"format":"np"}}"#;

    fn data() -> Vec<u8> {
        let mut data: Vec<u8> = [5.0_f64, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        data.extend([1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()));
        data
    }

    #[test]
    fn any_order_and_both_widths_are_read() {
        let read = read(&file(HEADER, &data()), &architecture()).unwrap();
        assert_eq!(read.values(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let names: Vec<_> = tensors_of(&file(HEADER, &data())).unwrap();
        assert_eq!(
            (names[0].name.as_str(), names[1].shape.as_slice()),
            ("b", [2, 2].as_slice())
        );
    }

    #[test]
    fn our_own_files_are_read_too() {
        let model = Parameters::initial(&Architecture::softmax(3, 4), 1);
        assert_eq!(read(&model.to_safetensors(), model.architecture()), Ok(model));
    }

    #[test]
    fn one_thing_wrong_is_named() {
        let refused = |header: String, data: &[u8], wanted: &str| {
            let error = read(&file(&header, data), &architecture())
                .unwrap_err()
                .to_string();
            assert!(error.contains(wanted), "{error}");
        };
        let data = data();
        refused(HEADER.replace("\"w\"", "\"v\""), &data, "no tensor \"w\"");
        refused(
            HEADER.replace("[2,2]", "[4]"),
            &data,
            "has the shape [4], the model's has [2, 2]",
        );
        refused(HEADER.replace("F64", "BF16"), &data, "holds BF16");
        refused(HEADER.replace("F64", "F32"), &data, "do not fit its shape");
        refused(
            HEADER.replace("[16,32]", "[16,28]"),
            &data,
            "do not fit its shape",
        );
        refused(HEADER.replace("[16,32]", "[16,320]"), &data, "outside");
        refused(HEADER.replace("[16,32]", "[32,16]"), &data, "outside");
        refused(
            HEADER.replace(
                "\"__metadata__\":{",
                "\"x\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0],",
            ),
            &data,
            "a tensor \"x\"",
        );
        refused("[]".to_owned(), &data, "no JSON object");
        refused(r#"{"w":1}"#.to_owned(), &data, "does not describe tensors");
        let mut spoiled = data.clone();
        spoiled[..8].copy_from_slice(&1e300_f64.to_le_bytes());
        refused(HEADER.to_owned(), &spoiled, "tensor \"b\" has a number at 0");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes, &architecture());
            let _ = tensors_of(&bytes);
        }
    }
}
