//! Calls of ERC-7007 (Final), verifiable AI-generated content tokens.
//!
//! # Differences from the text
//!
//! The prompt is indexed on the chain for good, so nothing of a person may be in it. Here it is 32 bytes: the context that the
//! proof was made for, or the commitment to its input.

use super::abi::{Value, call, number};

/// ERC-165 id of the interface.
pub const INTERFACE_ID: [u8; 4] = [0x70, 0x2c, 0x55, 0xa6];

/// The call `addAigcData`, which binds a proven answer to a token.
#[must_use]
pub fn add_aigc_data(token: u64, prompt: &[u8; 32], answer: &[u8], proof: &[u8]) -> Vec<u8> {
    call(
        "addAigcData(uint256,bytes,bytes,bytes)",
        &[
            Value::Word(number(token)),
            Value::Bytes(prompt),
            Value::Bytes(answer),
            Value::Bytes(proof),
        ],
    )
}

/// The call `verify`, which asks whether a proof holds.
#[must_use]
pub fn verify(prompt: &[u8; 32], answer: &[u8], proof: &[u8]) -> Vec<u8> {
    call(
        "verify(bytes,bytes,bytes)",
        &[Value::Bytes(prompt), Value::Bytes(answer), Value::Bytes(proof)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attest::abi::keccak;

    /// The text: the interface's id is that of its two functions.
    #[test]
    fn the_interface_has_the_published_id() {
        let mut id = [0; 4];
        for signature in [
            "addAigcData(uint256,bytes,bytes,bytes)",
            "verify(bytes,bytes,bytes)",
        ] {
            for (id, byte) in id.iter_mut().zip(keccak(signature.as_bytes())) {
                *id ^= byte;
            }
        }
        assert_eq!(id, INTERFACE_ID);
    }
}
