//! As much of the contract ABI's encoding as a few fixed calls need: words, and byte strings at the end.

use sha3::{Digest as _, Keccak256};

/// A value among arguments.
pub(super) enum Value<'a> {
    /// 32 bytes as they are: numbers, addresses, digests.
    Word([u8; 32]),
    /// Bytes or a text of any length.
    Bytes(&'a [u8]),
    /// A tuple that holds something of any length.
    Tuple(&'a [Value<'a>]),
}

/// A number as a word.
pub(super) fn number(value: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&value.to_be_bytes());
    word
}

/// An address as a word.
pub(super) fn address(value: &[u8; 20]) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(value);
    word
}

pub(super) fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// A call: the first four bytes of the signature's hash, then the arguments.
pub(super) fn call(signature: &str, arguments: &[Value<'_>]) -> Vec<u8> {
    let mut data = keccak(signature.as_bytes())[..4].to_vec();
    data.extend(encode(arguments));
    data
}

/// Arguments, or the members of a tuple: each word in its place, and for each longer value where it lies.
pub(super) fn encode(values: &[Value<'_>]) -> Vec<u8> {
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    for value in values {
        let rest = match value {
            Value::Word(word) => {
                head.extend(word);
                continue;
            }
            Value::Bytes(bytes) => {
                let mut rest = number(bytes.len() as u64).to_vec();
                rest.extend(*bytes);
                rest.resize(rest.len().next_multiple_of(32), 0);
                rest
            }
            Value::Tuple(values) => encode(values),
        };
        head.extend(number((values.len() * 32 + tail.len()) as u64));
        tail.extend(rest);
    }
    head.extend(tail);
    head
}
