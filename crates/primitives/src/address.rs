//! Account addresses, written with the mixed-case checksum of EIP-55.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha3::{Digest as _, Keccak256};

/// The 20 bytes that name an account on an EVM chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Address(pub [u8; 20]);

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// Not `0x` and 40 hexadecimal digits.
    #[error("an address is 0x and 40 hexadecimal digits, this has {got} characters")]
    Length {
        /// Characters found.
        got: usize,
    },
    /// A character that is no hexadecimal digit.
    #[error("an address has only hexadecimal digits after 0x")]
    NotHexadecimal,
    /// Mixed case that does not match the EIP-55 checksum: most likely a typing error.
    #[error("the address's upper and lower case letters do not match its checksum (EIP-55)")]
    Checksum,
}

impl Address {
    /// The address of nobody.
    pub const ZERO: Self = Self([0; 20]);

    /// The address of an uncompressed secp256k1 public key, its 64 bytes without the leading `04`.
    #[must_use]
    pub fn from_public_key(key: &[u8; 64]) -> Self {
        let mut bytes = [0; 20];
        bytes.copy_from_slice(&Keccak256::digest(key)[12..]);
        Self(bytes)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = hex::encode(self.0).into_bytes();
        let checksum = Keccak256::digest(&text);
        for (index, letter) in text.iter_mut().enumerate() {
            let nibble = checksum[index / 2] >> (4 * (1 - index % 2)) & 0xf;
            if nibble >= 8 {
                letter.make_ascii_uppercase();
            }
        }
        f.write_str("0x")?;
        f.write_str(std::str::from_utf8(&text).expect("hexadecimal is ASCII"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 40 || !text.starts_with("0x") {
            return Err(ParseAddressError::Length {
                got: text.chars().count(),
            });
        }
        let mut bytes = [0; 20];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| ParseAddressError::NotHexadecimal)?;
        let address = Self(bytes);
        let mixed =
            digits.bytes().any(|b| b.is_ascii_lowercase()) && digits.bytes().any(|b| b.is_ascii_uppercase());
        if mixed && address.to_string() != text {
            return Err(ParseAddressError::Checksum);
        }
        Ok(address)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of EIP-55.
    #[test]
    fn writes_the_checksum_of_eip_55() {
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
            assert_eq!(text.to_lowercase().parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_a_wrong_checksum() {
        let text = "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(text.parse::<Address>(), Err(ParseAddressError::Checksum));
    }

    #[test]
    fn refuses_a_private_key_in_its_place() {
        let text = format!("0x{}", "1".repeat(64));
        assert_eq!(
            text.parse::<Address>(),
            Err(ParseAddressError::Length { got: 66 })
        );
    }
}
