//! Keys that sign transactions and messages: encrypted files, and known ones for development.
//!
//! Passwords arrive as arguments: this crate neither asks for them nor prints, logs or keeps them.

mod keystore;
mod secret_storage;

use alloy_primitives::{B256, Signature, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use counterweight_primitives::Address;
use counterweight_provenance::signature::{SignatureError, Signer};
use zeroize::Zeroizing;

pub use keystore::{KeyEntry, Keystore};
pub use secret_storage::PasswordCost;

use crate::embedded::{DEVELOPMENT_ACCOUNTS, DEVELOPMENT_CHAIN_ID, DevelopmentAccount};
use crate::network::{ChainError, TransactionSigner};

/// A secp256k1 key in memory. Its secret is erased when it is dropped and never printed.
#[derive(Clone)]
pub struct LocalKey(PrivateKeySigner);

/// Why a key could not be made, kept or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a secret key.
    #[error("a secret key is 64 hexadecimal digits below the order of secp256k1")]
    NotASecret,
    /// Development keys are public: anyone can spend what they hold.
    #[error("development keys may be used on chain 31337 only, this is chain {got}")]
    DevelopmentOnly {
        /// The chain asked for.
        got: u64,
    },
    /// Only so many development keys exist.
    #[error("development key {index} was asked for, there are {count}")]
    NoSuchDevelopmentKey {
        /// Asked for, counted from 0.
        index: u32,
        /// How many there are.
        count: u32,
    },
    /// No key of that name or address.
    #[error("no key is called {name}")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// The name is taken.
    #[error("a key called {name} exists already")]
    Exists {
        /// The name.
        name: String,
    },
    /// The name would make a strange file name.
    #[error("\"{name}\" is no name for a key: use 1 to 64 letters, digits, - and _")]
    BadName {
        /// The name.
        name: String,
    },
    /// The password does not open the file, or the file was changed.
    #[error("the password does not open the key {name}")]
    WrongPassword {
        /// Name of the key.
        name: String,
    },
    /// The file is not a keystore.
    #[error("{path} is not a key file: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The file could not be read or written.
    #[error("{path} cannot be used")]
    File {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LocalKey({})", self.account())
    }
}

impl LocalKey {
    /// A new key from the system's random numbers.
    #[must_use]
    pub fn generate() -> Self {
        Self(PrivateKeySigner::random())
    }

    /// Reads a secret, 64 hexadecimal digits with or without `0x`.
    ///
    /// # Errors
    /// [`KeyError::NotASecret`].
    pub fn from_hex(secret: &str) -> Result<Self, KeyError> {
        secret.trim().parse().map(Self).map_err(|_| KeyError::NotASecret)
    }

    /// From the 32 secret bytes.
    ///
    /// # Errors
    /// [`KeyError::NotASecret`].
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, KeyError> {
        PrivateKeySigner::from_slice(secret)
            .map(Self)
            .map_err(|_| KeyError::NotASecret)
    }

    /// A secret of this key's holder for one purpose, which tells nothing of the key or of what it signs: the Keccak-256
    /// digest of the label, a zero byte and the key.
    #[must_use]
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        let mut text = Zeroizing::new(label.as_bytes().to_vec());
        text.push(0);
        text.extend_from_slice(&Zeroizing::new(self.0.to_bytes().0)[..]);
        Zeroizing::new(keccak256(&*text).0)
    }

    /// The account it signs for.
    #[must_use]
    pub fn account(&self) -> Address {
        Address(self.0.address().into_array())
    }
}

impl TransactionSigner for LocalKey {
    fn address(&self) -> alloy_primitives::Address {
        self.0.address()
    }

    fn sign_hash(&self, hash: B256) -> Result<Signature, ChainError> {
        self.0.sign_hash_sync(&hash).map_err(|e| ChainError::Rejected {
            reason: e.to_string(),
        })
    }
}

/// A development key: account `index` of the phrase "test test test test test test test test test test test junk",
/// path `m/44'/60'/0'/0/index`, as other development chains have them.
///
/// # Errors
/// [`KeyError::DevelopmentOnly`] unless `chain_id` is 31337, [`KeyError::NoSuchDevelopmentKey`].
pub fn development_key(index: u32, chain_id: u64) -> Result<LocalKey, KeyError> {
    if chain_id != DEVELOPMENT_CHAIN_ID {
        return Err(KeyError::DevelopmentOnly { got: chain_id });
    }
    if index >= DEVELOPMENT_ACCOUNTS {
        return Err(KeyError::NoSuchDevelopmentKey {
            index,
            count: DEVELOPMENT_ACCOUNTS,
        });
    }
    Ok(LocalKey(DevelopmentAccount::nth(index).signer))
}

impl Signer for LocalKey {
    fn address(&self) -> Address {
        self.account()
    }

    fn sign_hash(&self, hash: [u8; 32]) -> Result<[u8; 65], SignatureError> {
        self.0
            .sign_hash_sync(&B256::from(hash))
            .map(|signature| signature.as_bytes())
            .map_err(|e| SignatureError::Refused {
                address: self.account(),
                reason: e.to_string(),
            })
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::ContentDigest;
    use counterweight_provenance::signature;

    use super::*;

    #[test]
    fn development_keys_are_the_known_ones_and_stay_on_their_chain() {
        let key = development_key(0, 31_337).unwrap();
        assert_eq!(
            key.account().to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        let key = development_key(9, 31_337).unwrap();
        assert_eq!(
            key.account().to_string(),
            "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
        );
        assert!(matches!(
            development_key(20, 31_337),
            Err(KeyError::NoSuchDevelopmentKey { index: 20, count: 20 })
        ));
        assert!(matches!(
            development_key(0, 1),
            Err(KeyError::DevelopmentOnly { got: 1 })
        ));
    }

    #[test]
    fn one_key_signs_transactions_and_messages() {
        let key = LocalKey::generate();
        let digest = ContentDigest::of(b"x");
        let signature = signature::sign(&key, "counterweight/test/v1", &digest).unwrap();
        signature::verify(key.account(), "counterweight/test/v1", &digest, &signature).unwrap();
        let hash = B256::repeat_byte(7);
        let signature = TransactionSigner::sign_hash(&key, hash).unwrap();
        assert_eq!(
            signature.recover_address_from_prehash(&hash).unwrap(),
            key.0.address()
        );
    }

    #[test]
    fn what_is_no_secret_is_refused_and_never_printed() {
        for text in ["", "0x12", &"0".repeat(64), &"f".repeat(64), &"g".repeat(64)] {
            assert!(
                matches!(LocalKey::from_hex(text), Err(KeyError::NotASecret)),
                "{text}"
            );
        }
        let secret = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let key = LocalKey::from_hex(secret).unwrap();
        assert_eq!(
            key.account(),
            LocalKey::from_hex(&format!("0x{secret}\n")).unwrap().account()
        );
        assert!(!format!("{key:?}").contains("ac0974"));
    }
}
