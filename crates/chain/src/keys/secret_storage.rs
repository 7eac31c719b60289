//! Version 3 of the Web3 Secret Storage Definition: the "Ethereum keystore" that geth, ethers, Foundry and others
//! write.
//!
//! A key derived from the password (scrypt of RFC 7914, or PBKDF2-HMAC-SHA256 of RFC 8018) encrypts the secret with
//! AES-128-CTR; `mac = keccak256(derived[16..32] ‖ ciphertext)` tells a wrong password.
//!
//! # Differences from the definition
//!
//! - `address` is always written, as geth does, so that keys can be listed without a password.
//! - Costs beyond 1 GiB of memory or 10 million iterations are refused: a file could ask for years.

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::{B256, FixedBytes, hex, keccak256};
use counterweight_primitives::Address;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::LocalKey;

type Cipher = ctr::Ctr128BE<aes::Aes128>;

const CIPHER: &str = "aes-128-ctr";
const VERSION: u8 = 3;
const DERIVED_BYTES: usize = 32;
/// Of scrypt, which needs `128 * n * r` bytes.
const MOST_MEMORY: u64 = 1 << 30;
const MOST_ITERATIONS: u32 = 10_000_000;
const LONGEST_SALT: usize = 1_024;

/// What a guess at the password costs whoever finds the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCost {
    /// scrypt with `n = 2^17`, `r = 8`, `p = 1`: 128 MiB and a few tenths of a second for each guess.
    Standard,
    /// scrypt with `n = 2^12`, `r = 8`, `p = 1`: for tests, and for passwords that are long random strings.
    Light,
}

impl PasswordCost {
    fn n(self) -> u64 {
        match self {
            Self::Standard => 1 << 17,
            Self::Light => 1 << 12,
        }
    }
}

/// Why a secret stayed closed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DecryptError {
    WrongPassword,
    Malformed(String),
}

/// A key file as it arrived. Members that others add are passed over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SecretFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    crypto: Crypto,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    version: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParameters,
    ciphertext: String,
    #[serde(flatten)]
    derivation: Derivation,
    mac: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct CipherParameters {
    iv: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Derivation {
    Scrypt {
        dklen: usize,
        n: u64,
        p: u32,
        r: u32,
        salt: String,
    },
    Pbkdf2 {
        c: u32,
        dklen: usize,
        prf: String,
        salt: String,
    },
}

impl SecretFile {
    /// Encrypts a key. Salt and initialisation vector come from the system's random numbers.
    pub(super) fn encrypt(key: &LocalKey, password: &str, cost: PasswordCost) -> Self {
        let salt = B256::random();
        let iv = FixedBytes::<16>::random();
        let derivation = Derivation::Scrypt {
            dklen: DERIVED_BYTES,
            n: cost.n(),
            p: 1,
            r: 8,
            salt: hex::encode(salt),
        };
        let derived = derivation
            .derive(password)
            .expect("our own costs and salt are in range");
        let mut ciphertext = key.0.to_bytes().0;
        apply(&derived, &iv, &mut ciphertext);
        Self {
            address: Some(hex::encode(key.account().0)),
            crypto: Crypto {
                cipher: CIPHER.to_owned(),
                cipherparams: CipherParameters { iv: hex::encode(iv) },
                ciphertext: hex::encode(ciphertext),
                derivation,
                mac: hex::encode(mac(&derived, &ciphertext)),
            },
            id: Some(random_uuid()),
            version: VERSION,
        }
    }

    pub(super) fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers are always JSON");
        text.push('\n');
        text
    }

    pub(super) fn from_json(text: &str) -> Result<Self, String> {
        let file: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if file.version != VERSION {
            return Err(format!("it is of version {}, expected {VERSION}", file.version));
        }
        if file.crypto.cipher != CIPHER {
            return Err(format!(
                "its cipher is {:?}, expected {CIPHER:?}",
                file.crypto.cipher
            ));
        }
        Ok(file)
    }

    /// The account, as the file says.
    pub(super) fn account(&self) -> Option<Address> {
        bytes(self.address.as_ref()?, "address").ok().map(Address)
    }

    pub(super) fn decrypt(&self, password: &str) -> Result<LocalKey, DecryptError> {
        let malformed = DecryptError::Malformed;
        let iv: [u8; 16] = bytes(&self.crypto.cipherparams.iv, "iv").map_err(malformed)?;
        let ciphertext: [u8; 32] = bytes(&self.crypto.ciphertext, "ciphertext").map_err(malformed)?;
        let expected: [u8; 32] = bytes(&self.crypto.mac, "mac").map_err(malformed)?;
        let derived = self.crypto.derivation.derive(password).map_err(malformed)?;
        if mac(&derived, &ciphertext) != expected {
            return Err(DecryptError::WrongPassword);
        }
        let mut secret = Zeroizing::new(ciphertext);
        apply(&derived, &FixedBytes(iv), secret.as_mut_slice());
        let key = LocalKey::from_bytes(&secret)
            .map_err(|_| malformed("what it holds is no secret key".to_owned()))?;
        match self.account() {
            Some(account) if account != key.account() => Err(malformed(format!(
                "it says {account} and holds the key of {}",
                key.account()
            ))),
            _ => Ok(key),
        }
    }
}

impl Derivation {
    fn derive(&self, password: &str) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, String> {
        let mut derived = Zeroizing::new([0; DERIVED_BYTES]);
        let (Self::Scrypt { dklen, salt, .. } | Self::Pbkdf2 { dklen, salt, .. }) = self;
        if *dklen != DERIVED_BYTES {
            return Err(format!("dklen is {dklen}, expected {DERIVED_BYTES}"));
        }
        if salt.len() > 2 * LONGEST_SALT {
            return Err(format!("the salt is longer than {LONGEST_SALT} bytes"));
        }
        let salt = hex::decode(salt).map_err(|e| format!("salt: {e}"))?;
        match self {
            Self::Scrypt { n, p, r, .. } => {
                let memory = n.saturating_mul(u64::from(*r)).saturating_mul(128);
                if !n.is_power_of_two() || memory > MOST_MEMORY || *p == 0 || *p > 16 || *r == 0 {
                    return Err(format!("scrypt with n = {n}, r = {r}, p = {p} is out of range"));
                }
                let log_n = u8::try_from(n.trailing_zeros()).expect("at most 63");
                let parameters = scrypt::Params::new(log_n, *r, *p).map_err(|e| e.to_string())?;
                scrypt::scrypt(password.as_bytes(), &salt, &parameters, derived.as_mut_slice())
                    .map_err(|e| e.to_string())?;
            }
            Self::Pbkdf2 { c, prf, .. } => {
                if prf != "hmac-sha256" {
                    return Err(format!("its prf is {prf:?}, expected \"hmac-sha256\""));
                }
                if *c == 0 || *c > MOST_ITERATIONS {
                    return Err(format!("{c} iterations are out of range"));
                }
                pbkdf2::pbkdf2::<hmac::Hmac<sha2::Sha256>>(
                    password.as_bytes(),
                    &salt,
                    *c,
                    derived.as_mut_slice(),
                )
                .map_err(|e| e.to_string())?;
            }
        }
        Ok(derived)
    }
}

fn apply(derived: &[u8; DERIVED_BYTES], iv: &FixedBytes<16>, data: &mut [u8]) {
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&derived[..16]);
    Cipher::new((&*key).into(), (&iv.0).into()).apply_keystream(data);
}

fn mac(derived: &[u8; DERIVED_BYTES], ciphertext: &[u8; 32]) -> [u8; 32] {
    let mut message = Zeroizing::new([0; 48]);
    message[..16].copy_from_slice(&derived[16..]);
    message[16..].copy_from_slice(ciphertext);
    keccak256(*message).0
}

fn bytes<const N: usize>(text: &str, what: &str) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|e| format!("{what}: {e}"))?;
    Ok(bytes)
}

/// A random UUID (RFC 9562, version 4). Nothing depends on it; other tools want one.
fn random_uuid() -> String {
    let mut b = FixedBytes::<16>::random();
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let text = hex::encode(b);
    format!(
        "{}-{}-{}-{}-{}",
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by Foundry's `cast wallet import`, which keeps no address. The definition's own scrypt example has
    /// `r = 1` with `n = 2^18`, beyond what RFC 7914 allows.
    const SCRYPT: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"7c5f565a2ab669e0d50508ccb7c1898d"},
        "ciphertext":"f90a7af5fa136c8231b393ec2e8eb16e7486c9f20d36bf0ba040fc6a63d2c212","kdf":"scrypt",
        "kdfparams":{"dklen":32,"n":8192,"p":1,"r":8,
        "salt":"8b9d2b8c85cc3507a16d2b3c8aff1c31b1212726768423a301d03dc47831fa7b"},
        "mac":"37d7899a928ec612ece4ffe291be3e20c8aa01474020e9b04ae69093793d6f61"},
        "id":"d8bb364a-90a5-4a6e-9836-57e7a4292e53","version":3}"#;
    /// The PBKDF2 example of the Web3 Secret Storage Definition.
    const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
        "kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256",
        "salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
        "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
        "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
    const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

    #[test]
    fn opens_the_files_of_others() {
        let account = LocalKey::from_hex(SECRET).unwrap().account();
        for file in [SCRYPT, PBKDF2] {
            let key = SecretFile::from_json(file)
                .unwrap()
                .decrypt("testpassword")
                .unwrap();
            assert_eq!(key.account(), account);
        }
    }

    #[test]
    fn opens_what_it_wrote_and_never_writes_the_same_twice() {
        let key = LocalKey::generate();
        let [one, two] =
            [(); 2].map(|()| SecretFile::encrypt(&key, "pass wörd", PasswordCost::Light).to_json());
        assert_ne!(one, two);
        let file = SecretFile::from_json(&one).unwrap();
        assert_eq!(file.account(), Some(key.account()));
        assert_eq!(file.decrypt("pass wörd").unwrap().account(), key.account());
        assert_eq!(
            file.decrypt("pass word").unwrap_err(),
            DecryptError::WrongPassword
        );
    }

    #[test]
    fn every_spoilt_file_is_refused() {
        let key = LocalKey::generate();
        let good: serde_json::Value =
            serde_json::from_str(&SecretFile::encrypt(&key, "x", PasswordCost::Light).to_json()).unwrap();
        let other = hex::encode(LocalKey::generate().account().0);
        for (place, value) in [
            ("/version", 1.into()),
            ("/address", other.into()),
            ("/crypto/cipher", "aes-256-ctr".into()),
            ("/crypto/cipherparams/iv", "00".into()),
            ("/crypto/ciphertext", "00".into()),
            ("/crypto/mac", "zz".into()),
            ("/crypto/kdf", "argon2".into()),
            ("/crypto/kdfparams/dklen", 16.into()),
            ("/crypto/kdfparams/n", 0.into()),
            ("/crypto/kdfparams/n", 3.into()),
            ("/crypto/kdfparams/n", (1_u64 << 40).into()),
            ("/crypto/kdfparams/n", u64::MAX.into()),
            ("/crypto/kdfparams/r", 0.into()),
            ("/crypto/kdfparams/r", u32::MAX.into()),
            ("/crypto/kdfparams/p", 0.into()),
            ("/crypto/kdfparams/p", 1_000.into()),
            ("/crypto/kdfparams/salt", "0".into()),
            ("/crypto/kdfparams/salt", "00".repeat(2_000).into()),
        ] {
            let mut file = good.clone();
            *file.pointer_mut(place).unwrap() = value;
            let opened = SecretFile::from_json(&file.to_string())
                .map_err(DecryptError::Malformed)
                .and_then(|file| file.decrypt("x"));
            assert!(matches!(opened, Err(DecryptError::Malformed(_))), "{place}");
        }
        // A changed ciphertext or salt looks like a wrong password: nobody can tell them apart.
        let mut file = good.clone();
        *file.pointer_mut("/crypto/ciphertext").unwrap() = "00".repeat(32).into();
        let opened = SecretFile::from_json(&file.to_string()).unwrap().decrypt("x");
        assert_eq!(opened.unwrap_err(), DecryptError::WrongPassword);
    }
}
