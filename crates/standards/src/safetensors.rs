//! What is in a safetensors file of anybody: its tensors, and an identity for each.
//!
//! The format: 8 bytes of length, little endian, a JSON header of that length, then the tensors' bytes. Our own models are
//! files of this format of which there is exactly one each (`docs/spec/model-file.md`); this reads all others. A tensor's
//! identity names its type, shape and bytes, so that what two versions of a model share is found without comparing them.
//! Page: `docs/spec/tensor-identity.md`.
//!
//! # Differences from the format
//!
//! - At most [`MOST_TENSORS`] tensors of at most [`MOST_DIMENSIONS`] dimensions.
//! - The header may begin with spaces nowhere and end with them, as its reference implementation writes.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
};

use counterweight_primitives::ContentDigest;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};

/// Longest header, as in the reference implementation.
pub const HEADER_BYTES: u64 = 100_000_000;

/// Most tensors.
pub const MOST_TENSORS: usize = 1 << 20;

/// Most dimensions of a tensor.
pub const MOST_DIMENSIONS: usize = 32;

/// Longest name of a tensor in bytes.
const LONGEST_NAME: usize = 4096;

/// Bytes read at a time.
const READ_BYTES: usize = 1 << 20;

/// Why bytes are no safetensors file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// Could not be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    /// The header is longer than the file or than is allowed.
    #[error("the header has {got} bytes, at most {limit} are possible")]
    HeaderTooLong {
        /// What the file says.
        got: u64,
        /// What it can be.
        limit: u64,
    },
    /// The header is no JSON of the right shape.
    #[error("the header cannot be read")]
    Header(#[source] serde_json::Error),
    /// A tensor breaks a rule of the format.
    #[error("tensor {name:?} {rule}")]
    Tensor {
        /// Its name, shortened.
        name: String,
        /// What it must be and is not.
        rule: String,
    },
    /// Bytes that belong to no tensor, or to two.
    #[error("the tensors must lie one after the other: {what}")]
    Layout {
        /// Where they do not.
        what: String,
    },
}

/// Type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[expect(non_camel_case_types, reason = "as they are written in the header")]
pub enum DataType {
    /// Truth values, a byte each.
    BOOL,
    /// Four bits of floating point.
    F4,
    /// Six bits, two of them mantissa.
    F6_E2M3,
    /// Six bits, three of them exponent.
    F6_E3M2,
    /// Unsigned, 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Eight bits, two of them mantissa.
    F8_E5M2,
    /// Eight bits, three of them mantissa.
    F8_E4M3,
    /// Eight bits of exponent alone.
    F8_E8M0,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 16 bits.
    U16,
    /// IEEE 754 half.
    F16,
    /// Brain floating point.
    BF16,
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 32 bits.
    U32,
    /// IEEE 754 single.
    F32,
    /// Two singles.
    C64,
    /// IEEE 754 double.
    F64,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 64 bits.
    U64,
}

impl DataType {
    fn bits(self) -> u64 {
        match self {
            Self::F4 => 4,
            Self::F6_E2M3 | Self::F6_E3M2 => 6,
            Self::BOOL | Self::U8 | Self::I8 | Self::F8_E5M2 | Self::F8_E4M3 | Self::F8_E8M0 => 8,
            Self::I16 | Self::U16 | Self::F16 | Self::BF16 => 16,
            Self::I32 | Self::U32 | Self::F32 => 32,
            Self::C64 | Self::F64 | Self::I64 | Self::U64 => 64,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Type of its numbers.
    pub data_type: DataType,
    /// Its dimensions.
    pub shape: Vec<u64>,
    /// Its size in bytes.
    pub size: u64,
    /// What it is: type, shape and bytes.
    pub identity: ContentDigest,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorFile {
    /// Texts in the header.
    pub metadata: BTreeMap<String, String>,
    /// Its tensors, in the order of their bytes.
    pub tensors: Vec<Tensor>,
    /// BLAKE3 of the whole file.
    pub content: ContentDigest,
    /// Its size in bytes.
    pub size: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: DataType,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

#[derive(Default)]
struct Header {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Entry>,
}

/// A name twice is refused: readers disagree about which one counts.
impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut header, mut metadata) = (Header::default(), false);
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        if metadata {
                            return Err(de::Error::custom("__metadata__ is there twice"));
                        }
                        metadata = true;
                        header.metadata = map.next_value()?;
                        continue;
                    }
                    if name.len() > LONGEST_NAME || header.tensors.len() == MOST_TENSORS {
                        return Err(de::Error::custom("too many tensors, or a name that is too long"));
                    }
                    if header.tensors.contains_key(&name) {
                        return Err(de::Error::custom("a tensor is there twice"));
                    }
                    header.tensors.insert(name, map.next_value()?);
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads a file of `size` bytes once, holding the header and a megabyte at a time.
///
/// # Errors
/// Every variant of [`SafetensorsError`].
pub fn read_tensors(source: &mut dyn Read, size: u64) -> Result<TensorFile, SafetensorsError> {
    let mut whole = blake3::Hasher::new();
    let mut length = [0; 8];
    source.read_exact(&mut length)?;
    whole.update(&length);
    let length = u64::from_le_bytes(length);
    // Compared before anything is reserved: the length is a stranger's.
    let limit = HEADER_BYTES.min(size.saturating_sub(8));
    if length > limit {
        return Err(SafetensorsError::HeaderTooLong { got: length, limit });
    }
    let mut header = Vec::new();
    source.take(length).read_to_end(&mut header)?;
    whole.update(&header);
    let header: Header = serde_json::from_slice(&header).map_err(SafetensorsError::Header)?;
    let mut entries: Vec<(String, Entry)> = header.tensors.into_iter().collect();
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut at = 0;
    for (name, entry) in &entries {
        check(name, entry)?;
        let [begin, end] = entry.data_offsets;
        if begin != at {
            let what = format!("one begins at {begin}, the one before it ends at {at}");
            return Err(SafetensorsError::Layout { what });
        }
        at = end;
    }
    let data = size - 8 - length;
    if at != data {
        let what = format!("they end at {at}, the data at {data}");
        return Err(SafetensorsError::Layout { what });
    }
    let mut buffer = vec![0; READ_BYTES];
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let [begin, end] = entry.data_offsets;
        let mut hash = blake3::Hasher::new();
        hash.update(domain(entry.dtype, &entry.shape).as_bytes());
        let mut left = end - begin;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES);
            let part = &mut buffer[..count];
            source.read_exact(part)?;
            hash.update(part);
            whole.update(part);
            left -= count as u64;
        }
        tensors.push(Tensor {
            name,
            data_type: entry.dtype,
            shape: entry.shape,
            size: end - begin,
            identity: ContentDigest(*hash.finalize().as_bytes()),
        });
    }
    Ok(TensorFile {
        metadata: header.metadata,
        tensors,
        content: ContentDigest(*whole.finalize().as_bytes()),
        size,
    })
}

/// What is hashed before a tensor's bytes.
fn domain(data_type: DataType, shape: &[u64]) -> String {
    let shape: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("counterweight/tensor/v1\n{data_type} {}\n", shape.join(","))
}

fn check(name: &str, entry: &Entry) -> Result<(), SafetensorsError> {
    let broken = |rule: String| SafetensorsError::Tensor {
        name: name.chars().take(80).collect(),
        rule,
    };
    if entry.shape.len() > MOST_DIMENSIONS {
        return Err(broken(format!("must have at most {MOST_DIMENSIONS} dimensions")));
    }
    let bits = entry
        .shape
        .iter()
        .try_fold(entry.dtype.bits(), |bits, dimension| bits.checked_mul(*dimension))
        .filter(|bits| bits % 8 == 0)
        .ok_or_else(|| broken("must have a whole number of bytes, and fewer than 2^61".to_owned()))?;
    let [begin, end] = entry.data_offsets;
    if end.checked_sub(begin) != Some(bits / 8) {
        return Err(broken(format!(
            "must have {} bytes, as its shape and type say",
            bits / 8
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    fn read(bytes: &[u8]) -> Result<TensorFile, SafetensorsError> {
        read_tensors(&mut &bytes[..], bytes.len() as u64)
    }

    const GOOD: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]},"a":{"dtype":"U8","shape":[2,1],"data_offsets":[0,2]}}  "#;

    #[test]
    fn tensors_come_in_the_order_of_their_bytes_with_identities() {
        let bytes = file(GOOD, &[1, 2, 3, 4, 5, 6]);
        let found = read(&bytes).unwrap();
        assert_eq!(found.content, ContentDigest::of(&bytes));
        assert_eq!(found.metadata["format"], "pt");
        let [a, b] = found.tensors.as_slice() else {
            panic!()
        };
        assert_eq!((a.name.as_str(), b.name.as_str(), b.size), ("a", "b", 4));
        assert_eq!(
            a.identity,
            ContentDigest::of(b"counterweight/tensor/v1\nU8 2,1\n\x01\x02")
        );
        assert_eq!(
            b.identity,
            ContentDigest::of(b"counterweight/tensor/v1\nF32 1\n\x03\x04\x05\x06")
        );
    }

    #[test]
    fn the_same_bytes_in_another_shape_are_another_tensor() {
        let one = read(&file(
            r#"{"a":{"dtype":"U8","shape":[2,1],"data_offsets":[0,2]}}"#,
            &[1, 2],
        ))
        .unwrap();
        let other = read(&file(
            r#"{"x":{"dtype":"U8","shape":[1,2],"data_offsets":[0,2]}}"#,
            &[1, 2],
        ))
        .unwrap();
        assert_ne!(one.tensors[0].identity, other.tensors[0].identity);
    }

    /// The example's model as the ledger stores it.
    #[test]
    fn an_empty_tensor_and_an_empty_file_are_read() {
        assert!(read(&file("{}", &[])).unwrap().tensors.is_empty());
        let empty = read(&file(
            r#"{"a":{"dtype":"F16","shape":[0,7],"data_offsets":[0,0]}}"#,
            &[],
        ))
        .unwrap();
        assert_eq!(empty.tensors[0].size, 0);
    }

    #[test]
    fn headers_of_hostile_lengths_reserve_nothing() {
        for length in [u64::MAX, 1 << 40, 100_000_001, 7] {
            let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
            assert!(
                matches!(read(&bytes), Err(SafetensorsError::HeaderTooLong { got, .. }) if got == length)
            );
        }
        assert!(matches!(read(&[1, 2]), Err(SafetensorsError::Io(_))));
    }

    #[test]
    fn headers_that_break_a_rule_are_refused() {
        let tensor = |text: &str| format!("{{\"a\":{text}}}");
        for (header, said) in [
            ("[]".to_owned(), "cannot be read"),
            ("{".to_owned(), "cannot be read"),
            (tensor(r#"{"dtype":"F33","shape":[],"data_offsets":[0,4]}"#), "cannot be read"),
            (tensor(r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#), "cannot be read"),
            (tensor(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}"#), "cannot be read"),
            (tensor(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#), "must have 8 bytes"),
            (tensor(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,0]}"#), "must have 4 bytes"),
            (tensor(r#"{"dtype":"F4","shape":[1],"data_offsets":[0,1]}"#), "whole number of bytes"),
            (tensor(r#"{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,4]}"#), "fewer than 2^61"),
            (tensor(r#"{"dtype":"U8","shape":[3],"data_offsets":[1,4]}"#), "begins at 1"),
            (tensor(r#"{"dtype":"U8","shape":[3],"data_offsets":[0,3]}"#), "end at 3"),
            (format!(r#"{{"a":{0},"a":{0}}}"#, r#"{"dtype":"U8","shape":[4],"data_offsets":[0,4]}"#), "cannot be read"),
            (r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#.to_owned(), "begins at 0"),
            (format!("{{\"a\":{}", "[".repeat(10_000)), "cannot be read"),
        ] {
            let error = read(&file(&header, &[0; 4])).unwrap_err().to_string();
            assert!(error.contains(said), "{header}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(header: String, data in proptest::collection::vec(any::<u8>(), 0..64), at in 0_usize..200, byte: u8) {
            let _ = read(&file(&header, &data));
            let mut bytes = file(GOOD, &[1, 2, 3, 4, 5, 6]);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = read(&bytes);
        }
    }
}
