//! The constants of an ONNX file by name, whatever is done with them.

use super::{MOST_ONNX_BYTES, OnnxError, file::File};

/// A constant of floats.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxTensor {
    /// Its name. Exporters keep a weight's, unless they change the weight.
    pub name: String,
    /// Sides; none for a single number.
    pub sides: Vec<u32>,
    /// Elements, row-major, as many as the sides make.
    pub values: Vec<f32>,
}

/// Reads the constants of floats, in single or double precision, in the order of the file. Others are passed over. Memory stays in
/// proportion to the bytes given.
///
/// # Errors
/// [`OnnxError`], but none for what the network does.
pub fn onnx_tensors(bytes: &[u8]) -> Result<Vec<OnnxTensor>, OnnxError> {
    if bytes.len() > MOST_ONNX_BYTES {
        return Err(OnnxError::TooLong { got: bytes.len() });
    }
    let file = File::read(bytes)?;
    let floats = file.graph.constants.iter().filter(|tensor| tensor.holds_floats());
    floats
        .map(|tensor| {
            let values = tensor.floats()?;
            let sides = tensor.sides.iter().map(|side| u32::try_from(*side));
            Ok(OnnxTensor {
                name: tensor.name.to_owned(),
                sides: sides
                    .collect::<Result<_, _>>()
                    .map_err(|_| OnnxError::Malformed)?,
                values,
            })
        })
        .collect()
}
