//! Cosignatures: another party saw a checkpoint and that it extends what it saw before (C2SP tlog-cosignature).
//!
//! Two types: Ed25519 (`0x04`), which signs the text of the checkpoint, and ML-DSA-44 (`0x06`), which signs origin, size
//! and root and the cosigner's name, and withstands quantum computers. A log may sign with the second type too.
//!
//! # Differences from the specification
//!
//! - Only whole trees are cosigned: a subtree that does not begin with the first entry has no checkpoint.

use std::{fmt, str::FromStr};

use counterweight_primitives::UnixSeconds;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use ml_dsa::{EncodedVerifyingKey, MlDsa44};

use super::note::{Checkpoint, Note, NoteError, NoteSignature, key_id, key_text, parse_key_text};

/// Type byte of Ed25519 cosignatures.
const ED25519: u8 = 4;

/// Type byte of ML-DSA-44 cosignatures.
const ML_DSA_44: u8 = 6;

/// Bytes of a time before each signature.
const TIME_BYTES: usize = 8;

/// A party that cosigns: a name and a key, written `name+id+key`.
#[derive(Debug, Clone, PartialEq)]
pub struct CosignerKey {
    name: String,
    key: Key,
}

#[derive(Debug, Clone, PartialEq)]
enum Key {
    Ed25519(VerifyingKey),
    /// Boxed: decoded it takes many kilobytes.
    MlDsa44(Box<ml_dsa::VerifyingKey<MlDsa44>>),
}

impl CosignerKey {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> u8 {
        match self.key {
            Key::Ed25519(_) => ED25519,
            Key::MlDsa44(_) => ML_DSA_44,
        }
    }

    /// The bytes of the key, whatever its name.
    #[must_use]
    pub fn key_bytes(&self) -> Vec<u8> {
        match &self.key {
            Key::Ed25519(key) => key.as_bytes().to_vec(),
            Key::MlDsa44(key) => key.encode().to_vec(),
        }
    }

    fn id(&self) -> [u8; 4] {
        key_id(&self.name, self.kind(), &self.key_bytes())
    }

    /// Whether a signature says that it is by this key. It is not checked.
    #[must_use]
    pub fn is_by(&self, line: &NoteSignature) -> bool {
        line.name() == self.name && line.id() == self.id()
    }

    /// The time of the newest cosignature by this key on a checkpoint; none where it has none.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] where any by this key does not hold, [`NoteError::NotACheckpoint`].
    pub fn find(&self, note: &Note) -> Result<Option<UnixSeconds>, NoteError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let mut newest = None;
        for line in note.signatures().iter().filter(|line| self.is_by(line)) {
            let time = self
                .check(note.text(), &checkpoint, line.bytes())
                .ok_or_else(|| NoteError::BadSignature {
                    key: self.name.clone(),
                })?;
            newest = newest.max(Some(time));
        }
        Ok(newest)
    }

    /// The time of a cosignature, where it holds.
    fn check(&self, text: &str, checkpoint: &Checkpoint, bytes: &[u8]) -> Option<UnixSeconds> {
        let (time, signature) = bytes.split_first_chunk::<TIME_BYTES>()?;
        let time = UnixSeconds(u64::from_be_bytes(*time));
        if i64::try_from(time.0).is_err() {
            return None;
        }
        let holds = match &self.key {
            Key::Ed25519(key) => {
                let signature = Signature::from_slice(signature).ok()?;
                key.verify_strict(&text_message(text, time), &signature).is_ok()
            }
            Key::MlDsa44(key) => {
                let encoded = ml_dsa::EncodedSignature::<MlDsa44>::try_from(signature).ok()?;
                let signature = ml_dsa::Signature::<MlDsa44>::decode(&encoded)?;
                let message = tree_message(&self.name, checkpoint, time)?;
                key.verify_with_context(&message, &[], &signature)
            }
        };
        holds.then_some(time)
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.kind(), &self.key_bytes()))
    }
}

impl FromStr for CosignerKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoteError::Key {
            text: text.to_owned(),
        };
        let (name, kind, bytes) = parse_key_text(text)?;
        let key = match kind {
            ED25519 => {
                let bytes = bytes.as_slice().try_into().map_err(|_| wrong())?;
                Key::Ed25519(VerifyingKey::from_bytes(bytes).map_err(|_| wrong())?)
            }
            ML_DSA_44 => {
                let encoded =
                    EncodedVerifyingKey::<MlDsa44>::try_from(bytes.as_slice()).map_err(|_| wrong())?;
                Key::MlDsa44(Box::new(ml_dsa::VerifyingKey::decode(&encoded)))
            }
            _ => return Err(wrong()),
        };
        Ok(Self { name, key })
    }
}

/// Cosigns checkpoints. The secret is neither printed nor serialised.
pub struct Cosigner {
    secret: Secret,
    key: CosignerKey,
}

enum Secret {
    Ed25519(Box<SigningKey>),
    MlDsa44(Box<ml_dsa::SigningKey<MlDsa44>>),
}

impl Cosigner {
    /// An Ed25519 cosigner from 32 secret bytes. They must be used for nothing else: what is signed does not name the
    /// cosigner.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn ed25519(name: &str, secret: &[u8; 32]) -> Result<Self, NoteError> {
        super::note::check_key_name(name)?;
        let secret = Box::new(SigningKey::from_bytes(secret));
        let key = CosignerKey {
            name: name.to_owned(),
            key: Key::Ed25519(secret.verifying_key()),
        };
        Ok(Self {
            secret: Secret::Ed25519(secret),
            key,
        })
    }

    /// An ML-DSA-44 cosigner from a seed of 32 secret bytes (FIPS 204, algorithm 6).
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn ml_dsa_44(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        super::note::check_key_name(name)?;
        let secret = ml_dsa::SigningKey::<MlDsa44>::from_seed(&(*seed).into());
        let key = CosignerKey {
            name: name.to_owned(),
            key: Key::MlDsa44(Box::new(secret.expanded_key().verifying_key())),
        };
        Ok(Self {
            secret: Secret::MlDsa44(Box::new(secret)),
            key,
        })
    }

    /// What others check its cosignatures with.
    #[must_use]
    pub fn key(&self) -> &CosignerKey {
        &self.key
    }

    /// Cosigns a checkpoint at a time. Whoever calls this has checked that the checkpoint extends all that this key has
    /// cosigned before.
    ///
    /// # Errors
    /// [`NoteError::NotACheckpoint`] where the note's text is none, or has an origin longer than 255 bytes.
    pub fn cosign(&self, note: &Note, now: UnixSeconds) -> Result<NoteSignature, NoteError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        let signature = match &self.secret {
            Secret::Ed25519(secret) => secret.sign(&text_message(note.text(), now)).to_bytes().to_vec(),
            Secret::MlDsa44(secret) => {
                let long = || NoteError::NotACheckpoint {
                    reason: "its origin or the cosigner's name is longer than 255 bytes",
                };
                let message = tree_message(&self.key.name, &checkpoint, now).ok_or_else(long)?;
                let signature = secret.expanded_key().sign_deterministic(&message, &[]);
                signature.map_err(|_| long())?.encode().to_vec()
            }
        };
        let bytes = [&now.0.to_be_bytes()[..], &signature].concat();
        NoteSignature::new(&self.key.name, self.key.id(), bytes)
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cosigner")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What Ed25519 signs.
fn text_message(text: &str, time: UnixSeconds) -> Vec<u8> {
    format!("cosignature/v1\ntime {}\n{text}", time.0).into_bytes()
}

/// What ML-DSA-44 signs: `cosigned_message`. None where a name is empty or too long for it.
fn tree_message(cosigner: &str, checkpoint: &Checkpoint, time: UnixSeconds) -> Option<Vec<u8>> {
    let mut message = b"subtree/v1\n\0".to_vec();
    let mut push = |name: &str| {
        message.push(u8::try_from(name.len()).ok().filter(|length| *length > 0)?);
        message.extend_from_slice(name.as_bytes());
        Some(())
    };
    push(cosigner)?;
    message.extend_from_slice(&time.0.to_be_bytes());
    let origin = &checkpoint.origin;
    message.push(u8::try_from(origin.len()).ok().filter(|length| *length > 0)?);
    message.extend_from_slice(origin.as_bytes());
    message.extend_from_slice(&0_u64.to_be_bytes());
    message.extend_from_slice(&checkpoint.size.to_be_bytes());
    message.extend_from_slice(&checkpoint.root.0);
    Some(message)
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::Sha256Digest;

    use super::*;
    use crate::log::note::NoteSigner;

    const NOW: UnixSeconds = UnixSeconds(1_679_315_147);

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "example.com/behind-the-sofa".to_owned(),
            size: 20_852_163,
            root: Sha256Digest([9; 32]),
        }
    }

    fn note() -> Note {
        let log = NoteSigner::from_secret("example.com/behind-the-sofa", &[7; 32]).unwrap();
        Note::parse(checkpoint().sign(&log).unwrap().note()).unwrap()
    }

    fn cosigners() -> [Cosigner; 2] {
        [
            Cosigner::ed25519("witness.example/w1", &[1; 32]).unwrap(),
            Cosigner::ml_dsa_44("witness.example/w2", &[2; 32]).unwrap(),
        ]
    }

    /// The message that the specification prints, and the layout of the one it defines.
    #[test]
    fn what_is_signed_is_what_the_specification_says() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(
            text_message(text, NOW),
            format!("cosignature/v1\ntime 1679315147\n{text}").as_bytes()
        );
        let message = tree_message("w", &checkpoint(), UnixSeconds(1)).unwrap();
        let origin = b"\x1bexample.com/behind-the-sofa";
        let expected = [
            b"subtree/v1\n\0".as_slice(),
            b"\x01w",
            &1_u64.to_be_bytes(),
            origin,
            &[0; 8],
            &20_852_163_u64.to_be_bytes(),
            &[9; 32],
        ]
        .concat();
        assert_eq!(message, expected);
        let long = "o".repeat(256);
        assert_eq!(tree_message(&long, &checkpoint(), NOW), None);
        assert_eq!(tree_message("", &checkpoint(), NOW), None);
    }

    #[test]
    fn a_cosignature_holds_for_its_checkpoint_and_its_time() {
        for cosigner in cosigners() {
            let mut note = note();
            assert_eq!(cosigner.key().find(&note), Ok(None));
            let line = cosigner.cosign(&note, NOW).unwrap();
            note.add(line.clone());
            let read = Note::parse(&note.to_string()).unwrap();
            assert_eq!(cosigner.key().find(&read), Ok(Some(NOW)));
            for at in [0, 7, 8, 40, line.bytes().len() - 1] {
                let mut bytes = line.bytes().to_vec();
                bytes[at] ^= 1;
                let mut spoiled = self::note();
                spoiled.add(NoteSignature::new(line.name(), line.id(), bytes).unwrap());
                let found = cosigner.key().find(&spoiled);
                assert!(matches!(found, Err(NoteError::BadSignature { .. })), "byte {at}");
            }
            let other = Checkpoint {
                size: 20_852_164,
                ..checkpoint()
            };
            let log = NoteSigner::from_secret("example.com/behind-the-sofa", &[7; 32]).unwrap();
            let mut other = Note::parse(other.sign(&log).unwrap().note()).unwrap();
            other.add(line);
            let found = cosigner.key().find(&other);
            assert!(matches!(found, Err(NoteError::BadSignature { .. })));
        }
    }

    #[test]
    fn keys_read_back_and_those_of_another_type_are_refused() {
        for cosigner in cosigners() {
            let text = cosigner.key().to_string();
            assert_eq!(text.parse::<CosignerKey>().unwrap(), *cosigner.key());
            assert!(text.parse::<crate::log::note::VerifierKey>().is_err());
            assert!(text.replace('1', "2").parse::<CosignerKey>().is_err());
        }
        let log = NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap();
        assert!(log.verifier().to_string().parse::<CosignerKey>().is_err());
    }
}
