//! P-256 keys in the files that `openssl` writes.

use std::fmt;

use p256::{
    SecretKey,
    ecdsa::{
        Signature, SigningKey as Ecdsa, VerifyingKey as EcdsaVerifying,
        signature::{Signer as _, Verifier as _},
    },
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding,
    },
};
use sha2::{Digest as _, Sha256};

use super::OmsError;

/// A key that signs models. Neither printed nor serialised; `p256` clears it when it is dropped.
pub struct SigningKey(Ecdsa);

impl SigningKey {
    /// From 32 random bytes; none for the few that are no key: zero, or at least the group order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Ecdsa::from_slice(bytes).ok().map(Self)
    }

    /// Reads PKCS#8 (`PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`), not encrypted. Blocks before the key, such as the
    /// `EC PARAMETERS` that `openssl ecparam` writes, are passed over.
    ///
    /// # Errors
    /// [`OmsError::Key`].
    pub fn from_pem(text: &str) -> Result<Self, OmsError> {
        let expected = "an unencrypted P-256 private key in PEM";
        let wrong = |reason: String| OmsError::Key { expected, reason };
        if text.contains("ENCRYPTED") {
            return Err(wrong(
                "the key is encrypted; decrypt it with openssl pkey -in FILE".to_owned(),
            ));
        }
        let secret = if let Some(block) = pem_block(text, "PRIVATE KEY") {
            SecretKey::from_pkcs8_pem(block).map_err(|error| wrong(error.to_string()))?
        } else if let Some(block) = pem_block(text, "EC PRIVATE KEY") {
            SecretKey::from_sec1_pem(block).map_err(|error| wrong(error.to_string()))?
        } else {
            return Err(wrong(
                "there is no block PRIVATE KEY or EC PRIVATE KEY".to_owned(),
            ));
        };
        Ok(Self(Ecdsa::from(secret)))
    }

    /// As PKCS#8 in PEM. It is the secret: write it where only its owner reads.
    ///
    /// # Errors
    /// [`OmsError::Key`] where it cannot be encoded, which does not happen.
    pub fn to_pem(&self) -> Result<String, OmsError> {
        let encoded = SecretKey::from(&self.0).to_pkcs8_pem(LineEnding::LF);
        encoded.map(|pem| pem.to_string()).map_err(|error| OmsError::Key {
            expected: "a private key",
            reason: error.to_string(),
        })
    }

    /// The key that checks its signatures.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(*self.0.verifying_key())
    }

    /// ECDSA with SHA-256 in DER. The nonce comes from key and message (RFC 6979): the same model has one signature.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_der().as_bytes().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey")
            .field(&self.verifying_key().hint())
            .finish()
    }
}

/// A key that checks signatures over models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(EcdsaVerifying);

impl VerifyingKey {
    /// Reads SubjectPublicKeyInfo (`PUBLIC KEY`).
    ///
    /// # Errors
    /// [`OmsError::Key`].
    pub fn from_pem(text: &str) -> Result<Self, OmsError> {
        let wrong = |reason: String| OmsError::Key {
            expected: "a P-256 public key in PEM",
            reason,
        };
        let block =
            pem_block(text, "PUBLIC KEY").ok_or_else(|| wrong("there is no block PUBLIC KEY".to_owned()))?;
        let key = EcdsaVerifying::from_public_key_pem(block).map_err(|error| wrong(error.to_string()))?;
        Ok(Self(key))
    }

    /// As SubjectPublicKeyInfo in PEM: lines of 64 characters, a newline at the end.
    #[must_use]
    pub fn to_pem(&self) -> String {
        // A point of the curve always has an encoding, and an empty text would match no signature's hint.
        self.0.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// What a signature calls the key: the SHA-256 of its PEM text in hexadecimal digits.
    #[must_use]
    pub fn hint(&self) -> String {
        hex::encode(Sha256::digest(self.to_pem()))
    }

    pub(super) fn verify(&self, message: &[u8], der: &[u8]) -> Result<(), OmsError> {
        // A signature with the larger of the two possible numbers holds too: OpenSSL writes either.
        let signature = Signature::from_der(der).map_err(|_| OmsError::SignatureWrong)?;
        self.0
            .verify(message, &signature)
            .map_err(|_| OmsError::SignatureWrong)
    }
}

/// The first PEM block with a label, its lines of dashes included.
fn pem_block<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let start = text.find(&begin)?;
    let length = text.get(start..)?.find(&end)? + end.len();
    text.get(start..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl ecparam -name prime256v1 -genkey`, with its parameters before the key.
    const SEC1: &str = include_str!("../../fixtures/p256.sec1.pem");
    /// `openssl pkcs8 -topk8 -nocrypt` of the same.
    const PKCS8: &str = include_str!("../../fixtures/p256.pkcs8.pem");
    /// `openssl ec -pubout` of the same.
    const PUBLIC: &str = include_str!("../../fixtures/p256.public.pem");

    #[test]
    fn both_kinds_of_private_key_are_read_and_give_the_public_one() {
        for text in [SEC1, PKCS8] {
            let key = SigningKey::from_pem(text).unwrap();
            assert_eq!(key.verifying_key().to_pem(), PUBLIC);
            assert_eq!(key.to_pem().unwrap(), PKCS8);
        }
        assert_eq!(VerifyingKey::from_pem(PUBLIC).unwrap().to_pem(), PUBLIC);
    }

    #[test]
    fn other_key_files_are_refused_with_a_reason() {
        let encrypted = PKCS8.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        for (text, said) in [
            ("", "there is no block"),
            (PUBLIC, "there is no block"),
            (encrypted.as_str(), "decrypt it"),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "",
            ),
            ("-----BEGIN PRIVATE KEY-----", "there is no block"),
        ] {
            let error = SigningKey::from_pem(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        // secp256k1, the chain's curve.
        let other = include_str!("../../fixtures/secp256k1.public.pem");
        assert!(VerifyingKey::from_pem(other).is_err());
        assert!(VerifyingKey::from_pem(PKCS8).is_err());
        assert!(SigningKey::from_bytes(&[0; 32]).is_none());
        assert!(SigningKey::from_bytes(&[0xff; 32]).is_none());
    }

    #[test]
    fn a_secret_is_not_printed() {
        let key = SigningKey::from_bytes(&[7; 32]).unwrap();
        assert_eq!(
            format!("{key:?}"),
            format!("SigningKey({:?})", key.verifying_key().hint())
        );
    }
}
