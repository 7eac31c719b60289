//! Digests that name bytes.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDigestError {
    /// The text does not start with the name of the hash function.
    #[error("the digest must start with \"{expected}:\"")]
    Prefix {
        /// Name of the hash function.
        expected: &'static str,
    },
    /// Not 64 hexadecimal digits after the prefix.
    #[error("a digest has 64 hexadecimal digits after its prefix")]
    NotHexadecimal,
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// Its 64 hexadecimal digits, without the name of the hash function.
            #[must_use]
            pub fn to_hex(&self) -> String {
                hex::encode(self.0)
            }

            /// For people: first and last four digits, `51de…0b42`.
            #[must_use]
            pub fn short(&self) -> String {
                let digits = self.to_hex();
                format!("{}…{}", &digits[..4], &digits[60..])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, ":{}"), self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let digits = text
                    .strip_prefix(concat!($prefix, ":"))
                    .ok_or(ParseDigestError::Prefix { expected: $prefix })?;
                let mut bytes = [0; 32];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseDigestError::NotHexadecimal)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest! {
    /// BLAKE3 digest, our own way to address content. Written `blake3:` and 64 hexadecimal digits.
    ContentDigest, "blake3"
}

digest! {
    /// SHA-256 digest, where a standard asks for one. Written `sha256:` and 64 hexadecimal digits.
    Sha256Digest, "sha256"
}

impl ContentDigest {
    /// Digest of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl Sha256Digest {
    /// Digest of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_nothing_are_the_published_ones() {
        assert_eq!(
            ContentDigest::of(b"").to_string(),
            "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(
            Sha256Digest::of(b"").to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_digest_of_one_kind_is_not_read_as_the_other() {
        let text = Sha256Digest::of(b"").to_string();
        assert_eq!(
            text.parse::<ContentDigest>(),
            Err(ParseDigestError::Prefix { expected: "blake3" })
        );
        assert_eq!(
            "blake3:12".parse::<ContentDigest>(),
            Err(ParseDigestError::NotHexadecimal)
        );
    }
}
