//! Signatures by chain accounts, over texts that no chain takes for a transaction.
//!
//! A signature is secp256k1 ECDSA with recovery over the EIP-191 personal message hash (version byte `0x45`):
//! `keccak256("\x19Ethereum Signed Message:\n" ‖ decimal length ‖ message)`, so that wallets and ERC-1271 contracts
//! can make and check it too. What is signed is always a [`tagged_message`]: a domain, and the digest of what is
//! meant, so that a signature for one use says nothing in another. Page: `docs/spec/signature.md`.
//!
//! # Differences from `eth_sign` in the wild
//!
//! - `v` is 27 or 28, never 0 or 1.
//! - `s` in the upper half of the group order is refused (EIP-2), so each message has one signature per nonce
//!   and a stranger cannot make a second one from the first.

use std::{fmt, str::FromStr};

use counterweight_primitives::{Address, ContentDigest};
use k256::ecdsa::{RecoveryId, Signature as EcdsaSignature, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha3::{Digest as _, Keccak256};

/// A recoverable signature: `r`, `s`, `v` of 32, 32 and 1 bytes. Anyone may have written it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 65]);

/// Why a signature is not valid, could not be read, or was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not `0x` and 130 hexadecimal digits.
    #[error("a signature is 0x and 130 hexadecimal digits")]
    Text,
    /// The last byte is neither 27 nor 28.
    #[error("the last byte of a signature is 27 or 28, this one is {got}")]
    RecoveryByte {
        /// Byte found.
        got: u8,
    },
    /// `s` is in the upper half of the group order: a changed copy of another signature.
    #[error("s is in the upper half of the group order")]
    HighS,
    /// No key has made these numbers.
    #[error("no key made this signature")]
    NoKey,
    /// Made by another account.
    #[error("signed by {got}, expected {expected}")]
    WrongSigner {
        /// Whose signature was needed.
        expected: Address,
        /// Whose it is.
        got: Address,
    },
    /// 32 bytes that are no secret key: zero, or at least the group order.
    #[error("these 32 bytes are no secp256k1 secret key")]
    NotASecret,
    /// A keystore or device did not sign.
    #[error("the signer for {address} refuses: {reason}")]
    Refused {
        /// Account it signs for.
        address: Address,
        /// Its own words.
        reason: String,
    },
}

/// Signs hashes for one account.
pub trait Signer: Send + Sync {
    /// The account.
    fn address(&self) -> Address;

    /// Signs a 32-byte hash: `r`, `s` in the lower half, `v` 27 or 28.
    ///
    /// # Errors
    /// [`SignatureError::Refused`].
    fn sign_hash(&self, hash: [u8; 32]) -> Result<[u8; 65], SignatureError>;
}

/// A secret key in memory. Neither printed nor serialised; `k256` clears it when it is dropped.
pub struct MemorySigner {
    key: SigningKey,
    address: Address,
}

impl MemorySigner {
    /// From the 32 secret bytes.
    ///
    /// # Errors
    /// [`SignatureError::NotASecret`].
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, SignatureError> {
        let key = SigningKey::from_slice(secret).map_err(|_| SignatureError::NotASecret)?;
        let address = address_of(key.verifying_key());
        Ok(Self { key, address })
    }
}

impl fmt::Debug for MemorySigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySigner")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Signer for MemorySigner {
    fn address(&self) -> Address {
        self.address
    }

    fn sign_hash(&self, hash: [u8; 32]) -> Result<[u8; 65], SignatureError> {
        let refused = |e: k256::ecdsa::Error| SignatureError::Refused {
            address: self.address,
            reason: e.to_string(),
        };
        // Deterministic nonce (RFC 6979); `k256` gives the lower s.
        let (signature, recovery) = self.key.sign_prehash_recoverable(&hash).map_err(refused)?;
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = 27 + recovery.to_byte();
        Ok(bytes)
    }
}

/// The EIP-191 hash of a personal message.
#[must_use]
pub fn personal_message_hash(message: &[u8]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    hash.update(b"\x19Ethereum Signed Message:\n");
    hash.update(message.len().to_string());
    hash.update(message);
    hash.finalize().into()
}

/// The text that is signed for `digest` in `domain`, such as `counterweight/statement/v1`: the domain, a newline, and
/// the digest as it prints. A wallet shows both lines to the person who signs.
#[must_use]
pub fn tagged_message(domain: &str, digest: &ContentDigest) -> Vec<u8> {
    format!("{domain}\n{digest}").into_bytes()
}

/// Signs `digest` in `domain`.
///
/// # Errors
/// As [`Signer::sign_hash`].
pub fn sign(signer: &dyn Signer, domain: &str, digest: &ContentDigest) -> Result<Signature, SignatureError> {
    signer
        .sign_hash(personal_message_hash(&tagged_message(domain, digest)))
        .map(Signature)
}

/// Who signed a personal message.
///
/// # Errors
/// [`SignatureError::RecoveryByte`], [`SignatureError::HighS`] or [`SignatureError::NoKey`].
pub fn recover(message: &[u8], signature: &Signature) -> Result<Address, SignatureError> {
    recover_hash(personal_message_hash(message), signature)
}

/// Who signed a 32-byte hash that has its own domain, such as an EIP-712 hash.
///
/// # Errors
/// [`SignatureError::RecoveryByte`], [`SignatureError::HighS`] or [`SignatureError::NoKey`].
pub fn recover_hash(hash: [u8; 32], signature: &Signature) -> Result<Address, SignatureError> {
    let [numbers @ .., v] = &signature.0;
    let recovery = match v {
        27 => RecoveryId::new(false, false),
        28 => RecoveryId::new(true, false),
        got => return Err(SignatureError::RecoveryByte { got: *got }),
    };
    let ecdsa = EcdsaSignature::from_slice(numbers).map_err(|_| SignatureError::NoKey)?;
    if ecdsa.normalize_s().is_some() {
        return Err(SignatureError::HighS);
    }
    let key =
        VerifyingKey::recover_from_prehash(&hash, &ecdsa, recovery).map_err(|_| SignatureError::NoKey)?;
    Ok(address_of(&key))
}

/// Checks that `signer` signed `digest` in `domain`.
///
/// # Errors
/// [`SignatureError::WrongSigner`], or as [`recover`].
pub fn verify(
    signer: Address,
    domain: &str,
    digest: &ContentDigest,
    signature: &Signature,
) -> Result<(), SignatureError> {
    let got = recover(&tagged_message(domain, digest), signature)?;
    if got == signer {
        Ok(())
    } else {
        Err(SignatureError::WrongSigner {
            expected: signer,
            got,
        })
    }
}

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_encoded_point(false);
    let mut bytes = [0; 64];
    bytes.copy_from_slice(&point.as_bytes()[1..]);
    Address::from_public_key(&bytes)
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").ok_or(SignatureError::Text)?;
        let mut bytes = [0; 65];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| SignatureError::Text)?;
        let signature = Self(bytes);
        // Upper case would be a second text for the same signature.
        if signature.to_string() == text {
            Ok(signature)
        } else {
            Err(SignatureError::Text)
        }
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer() -> MemorySigner {
        // The first development account of every Ethereum tool.
        let secret = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let mut bytes = [0; 32];
        hex::decode_to_slice(secret, &mut bytes).unwrap();
        MemorySigner::from_secret(&bytes).unwrap()
    }

    fn signed() -> Signature {
        Signature(signer().sign_hash(personal_message_hash(b"hello")).unwrap())
    }

    #[test]
    fn the_address_is_the_known_one() {
        assert_eq!(
            signer().address().to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
    }

    /// The example of EIP-191's reference implementation and every wallet: `personal_sign("hello world")` hashes to
    /// a published value.
    #[test]
    fn the_message_hash_is_the_published_one() {
        assert_eq!(
            hex::encode(personal_message_hash(b"hello world")),
            "d9eba16ed0ecae432b71fe008c98cc872bb4cc214d3220a36f365326cf807d68"
        );
    }

    #[test]
    fn a_signature_gives_back_its_signer() {
        assert_eq!(recover(b"hello", &signed()).unwrap(), signer().address());
        assert_ne!(recover(b"hellp", &signed()).ok(), Some(signer().address()));
    }

    #[test]
    fn refuses_an_unusual_recovery_byte() {
        for v in [0, 1, 26, 29, 255] {
            let mut signature = signed();
            signature.0[64] = v;
            let error = recover(b"hello", &signature).unwrap_err();
            assert!(matches!(error, SignatureError::RecoveryByte { got } if got == v));
        }
    }

    /// (r, n - s, flipped v) is the other signature that ECDSA accepts for the same message.
    #[test]
    fn refuses_the_malleated_copy() {
        let signature = signed();
        let ecdsa = EcdsaSignature::from_slice(&signature.0[..64]).unwrap();
        let (r, s) = ecdsa.split_scalars();
        let high = EcdsaSignature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        let mut copy = [0; 65];
        copy[..64].copy_from_slice(&high.to_bytes());
        copy[64] = 27 + 28 - signature.0[64];
        assert!(matches!(
            recover(b"hello", &Signature(copy)),
            Err(SignatureError::HighS)
        ));
    }

    #[test]
    fn refuses_numbers_that_no_key_made() {
        let mut zero = [0; 65];
        zero[64] = 27;
        assert!(matches!(
            recover(b"hello", &Signature(zero)),
            Err(SignatureError::NoKey)
        ));
        let mut above = [0xff; 65];
        above[64] = 27;
        assert!(matches!(
            recover(b"hello", &Signature(above)),
            Err(SignatureError::NoKey)
        ));
    }

    #[test]
    fn refuses_secrets_outside_the_group() {
        assert!(matches!(
            MemorySigner::from_secret(&[0; 32]),
            Err(SignatureError::NotASecret)
        ));
        assert!(matches!(
            MemorySigner::from_secret(&[0xff; 32]),
            Err(SignatureError::NotASecret)
        ));
    }

    #[test]
    fn a_signature_for_one_domain_says_nothing_in_another() {
        let digest = ContentDigest::of(b"x");
        let signature = sign(&signer(), "counterweight/a/v1", &digest).unwrap();
        verify(signer().address(), "counterweight/a/v1", &digest, &signature).unwrap();
        let other = verify(signer().address(), "counterweight/b/v1", &digest, &signature);
        assert!(matches!(other, Err(SignatureError::WrongSigner { .. })));
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert!(!format!("{:?}", signer()).contains("ac0974"));
    }

    proptest! {
        #[test]
        fn text_reads_back_and_no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 65), message: Vec<u8>) {
            let signature = Signature(bytes.try_into().unwrap());
            prop_assert_eq!(signature.to_string().parse::<Signature>().unwrap(), signature);
            let _ = recover(&message, &signature);
        }

        #[test]
        fn a_flipped_bit_is_another_signer_or_an_error(bit in 0_usize..520) {
            let mut signature = signed();
            signature.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(recover(b"hello", &signature).ok(), Some(signer().address()));
        }
    }
}
