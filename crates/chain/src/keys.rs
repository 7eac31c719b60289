//! Keys that sign transactions and messages: encrypted files, and known ones for development.
//!
//! Files are version 3 of the Web3 Secret Storage Definition (the "Ethereum keystore"), as geth and others write
//! them.

use std::path::{Path, PathBuf};

use alloy_primitives::{B256, Signature};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use counterweight_primitives::Address;
use counterweight_provenance::signature::{SignatureError, Signer};

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

/// What deriving the file's key from the password costs, as a power of two of scrypt's `n` with `r = 8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCost {
    /// `n = 2^17`: a quarter of a second and 128 MiB for each guess.
    Standard,
    /// `n = 2^12`: for tests and passwords that are long random strings.
    Light,
}

/// A folder of encrypted key files, one for each name: `NAME.json`.
#[derive(Debug, Clone)]
pub struct Keystore {
    directory: PathBuf,
}

/// A key in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name.
    pub name: String,
    /// The account it signs for.
    pub account: Address,
}

impl Keystore {
    /// The keys in a folder, which need not exist yet.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Keeps a key under a name, encrypted. Give [`LocalKey::generate`] for a new one.
    ///
    /// # Errors
    /// [`KeyError::BadName`], [`KeyError::Exists`], [`KeyError::File`].
    pub fn store(
        &self,
        name: &str,
        _key: &LocalKey,
        _password: &str,
        _cost: PasswordCost,
    ) -> Result<KeyEntry, KeyError> {
        Err(KeyError::BadName {
            name: name.to_owned(),
        })
    }

    /// Every key, in order of name.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Malformed`].
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeyError> {
        let source = std::io::ErrorKind::Unsupported.into();
        Err(KeyError::File {
            path: self.directory.display().to_string(),
            source,
        })
    }

    /// Opens the key with a name.
    ///
    /// # Errors
    /// [`KeyError::NotFound`], [`KeyError::WrongPassword`], [`KeyError::Malformed`], [`KeyError::File`].
    pub fn unlock(&self, name: &str, _password: &str) -> Result<LocalKey, KeyError> {
        Err(KeyError::NotFound {
            name: name.to_owned(),
        })
    }
}
