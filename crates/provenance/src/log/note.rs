//! Checkpoints as signed notes.
//!
//! A note is text with signatures below it (C2SP signed-note, Ed25519 signatures, type `0x01`); a checkpoint is a note
//! that says how many entries a log has and what their root is (C2SP tlog-checkpoint).
//!
//! # Differences from the specifications
//!
//! - A log's own signature is Ed25519; others are passed over here, as unknown keys must be ([`super::cosignature`] has
//!   those of witnesses).
//! - Checkpoints that we write have no extension lines. Those we read may: they are signed and passed over.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use counterweight_primitives::Sha256Digest;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Type byte of Ed25519 keys and signatures.
const ED25519: u8 = 1;

/// Most bytes of a note, enough for 64 signatures of 8 KiB.
const MOST_BYTES: usize = 512 << 10;

/// Most signatures looked at; the specification asks for 16 at least.
const MOST_SIGNATURES: usize = 64;

/// Why a note or checkpoint is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Empty, or with a space or plus.
    #[error("the key name {name:?} is empty or holds a space or plus")]
    KeyName {
        /// What was given.
        name: String,
    },
    /// Not `name+id+key`, another type, or an id that does not fit.
    #[error("\"{text}\" is no Ed25519 verifier key (name+id+key)")]
    Key {
        /// What was given.
        text: String,
    },
    /// Not a text, a blank line and signature lines.
    #[error("the note is malformed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: &'static str,
    },
    /// The key did not sign.
    #[error("the note is not signed by {key}")]
    NotSigned {
        /// Whose signature was looked for.
        key: String,
    },
    /// The key's signature does not hold.
    #[error("the signature of {key} under the note does not hold")]
    BadSignature {
        /// Whose.
        key: String,
    },
    /// The note's text is no checkpoint.
    #[error("the note is no checkpoint: {reason}")]
    NotACheckpoint {
        /// What is wrong.
        reason: &'static str,
    },
    /// A checkpoint of another log.
    #[error("the checkpoint is of log {got:?}, expected {expected:?}")]
    Origin {
        /// Log looked for.
        expected: String,
        /// Log found.
        got: String,
    },
}

/// A signature below a note: whose it says it is, and its bytes. Not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// From its parts.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn new(name: &str, id: [u8; 4], bytes: Vec<u8>) -> Result<Self, NoteError> {
        check_key_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            id,
            bytes,
        })
    }

    /// Reads a line, without its newline.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let malformed = |reason| NoteError::Malformed { reason };
        let parts = line
            .strip_prefix("\u{2014} ")
            .and_then(|rest| rest.split_once(' '));
        let (name, encoded) = parts.ok_or(malformed("a signature line is not \u{2014}, name, signature"))?;
        check_key_name(name).map_err(|_| malformed("a key name holds a plus or is empty"))?;
        let bytes = BASE64
            .decode(encoded)
            .map_err(|_| malformed("a signature is not base64"))?;
        let (id, signature) = bytes
            .split_first_chunk::<4>()
            .ok_or(malformed("a signature has no key id"))?;
        Ok(Self {
            name: name.to_owned(),
            id: *id,
            bytes: signature.to_vec(),
        })
    }

    /// Name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the key.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// What the algorithm made.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The line, without a newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.id[..], &self.bytes].concat();
        write!(f, "\u{2014} {} {}", self.name, BASE64.encode(bytes))
    }
}

/// A note as it arrived, taken apart. Nothing in it is checked but its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl Note {
    /// Takes a note apart.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let malformed = |reason| NoteError::Malformed { reason };
        if note.len() > MOST_BYTES {
            return Err(malformed("it is longer than 512 KiB"));
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(malformed("it holds a control character"));
        }
        let split = note.rfind("\n\n").ok_or(malformed("it has no blank line"))?;
        let (text, signatures) = (note.get(..=split), note.get(split + 2..));
        let (text, lines) = text.zip(signatures).ok_or(malformed("it has no blank line"))?;
        if lines.is_empty() || !lines.ends_with('\n') {
            return Err(malformed("it does not end with signature lines"));
        }
        let mut signatures = Vec::new();
        for line in lines.lines() {
            if signatures.len() == MOST_SIGNATURES {
                return Err(malformed("it has more than 64 signatures"));
            }
            signatures.push(NoteSignature::parse(line)?);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// What is signed, the last newline included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature, unless it is there.
    pub fn add(&mut self, signature: NoteSignature) {
        if !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
    }
}

/// The note as it is stored and sent.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Checks notes: a name and an Ed25519 public key, written `name+id+key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Its name; for a log the origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of the key, whatever its name.
    #[must_use]
    pub fn key_bytes(&self) -> Vec<u8> {
        self.key.as_bytes().to_vec()
    }

    /// First bytes of the SHA-256 of name and key: tells keys of one name apart.
    fn id(&self) -> [u8; 4] {
        key_id(&self.name, ED25519, self.key.as_bytes())
    }

    /// Checks a note and gives its text, the last newline included.
    ///
    /// # Errors
    /// [`NoteError::Malformed`], [`NoteError::NotSigned`] or [`NoteError::BadSignature`].
    pub fn verify<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let parsed = Note::parse(note)?;
        self.check(&parsed)?;
        // The parsed text is the beginning of the note.
        Ok(note.get(..parsed.text.len()).unwrap_or_default())
    }

    /// Checks that the key signed a note.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`], or [`NoteError::BadSignature`] where any signature by the key does not hold.
    pub fn check(&self, note: &Note) -> Result<(), NoteError> {
        let mut signed = false;
        for line in &note.signatures {
            if line.name != self.name || line.id != self.id() {
                continue;
            }
            let holds = Signature::from_slice(&line.bytes)
                .is_ok_and(|signature| self.key.verify_strict(note.text.as_bytes(), &signature).is_ok());
            if !holds {
                return Err(NoteError::BadSignature {
                    key: self.name.clone(),
                });
            }
            signed = true;
        }
        if signed {
            Ok(())
        } else {
            Err(NoteError::NotSigned {
                key: self.to_string(),
            })
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, ED25519, self.key.as_bytes()))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoteError::Key {
            text: text.to_owned(),
        };
        let (name, kind, key) = parse_key_text(text)?;
        let key = key.as_slice().try_into().ok().filter(|_| kind == ED25519);
        let key = VerifyingKey::from_bytes(key.ok_or_else(wrong)?).map_err(|_| wrong())?;
        Ok(Self { name, key })
    }
}

/// First bytes of the SHA-256 of name, type and key.
pub(super) fn key_id(name: &str, kind: u8, key: &[u8]) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', kind])
        .chain_update(key)
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// A key as it is handed out: `name+id+base64(type ‖ key)`.
pub(super) fn key_text(name: &str, kind: u8, key: &[u8]) -> String {
    let id = hex::encode(key_id(name, kind, key));
    let typed = [&[kind], key].concat();
    format!("{name}+{id}+{}", BASE64.encode(typed))
}

/// Takes a key as it is handed out apart: name, type, key. Its id must be theirs.
pub(super) fn parse_key_text(text: &str) -> Result<(String, u8, Vec<u8>), NoteError> {
    let wrong = || NoteError::Key {
        text: text.to_owned(),
    };
    let (name, rest) = text.split_once('+').ok_or_else(wrong)?;
    let (_, encoded) = rest.split_once('+').ok_or_else(wrong)?;
    check_key_name(name)?;
    let bytes = BASE64.decode(encoded).map_err(|_| wrong())?;
    let (kind, key) = bytes.split_first().ok_or_else(wrong)?;
    // Holds the id to the key, and the text to its one form.
    if key_text(name, *kind, key) != text {
        return Err(wrong());
    }
    Ok((name.to_owned(), *kind, key.to_vec()))
}

pub(super) fn check_key_name(name: &str) -> Result<(), NoteError> {
    if name.is_empty()
        || name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
    {
        return Err(NoteError::KeyName {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// Signs notes. The secret is neither printed nor serialised, and cleared when dropped.
pub struct NoteSigner {
    key: SigningKey,
    verifier: VerifierKey,
}

impl NoteSigner {
    /// From 32 secret bytes. `name` is the origin of the log it signs for.
    ///
    /// # Errors
    /// [`NoteError::KeyName`].
    pub fn from_secret(name: &str, secret: &[u8; 32]) -> Result<Self, NoteError> {
        check_key_name(name)?;
        let key = SigningKey::from_bytes(secret);
        let verifier = VerifierKey {
            name: name.to_owned(),
            key: key.verifying_key(),
        };
        Ok(Self { key, verifier })
    }

    /// What others check its notes with.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The note with this text, which must end with a newline.
    fn sign(&self, text: &str) -> String {
        let mut signature = self.verifier.id().to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!(
            "{text}\n\u{2014} {} {}\n",
            self.verifier.name,
            BASE64.encode(signature)
        )
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner")
            .field("verifier", &self.verifier)
            .finish_non_exhaustive()
    }
}

/// What a log says it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Names the log.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Their root.
    pub root: Sha256Digest,
}

impl Checkpoint {
    /// Signs it; the log's name must be the key's.
    ///
    /// # Errors
    /// [`NoteError::Origin`].
    pub fn sign(self, signer: &NoteSigner) -> Result<SignedCheckpoint, NoteError> {
        if self.origin != signer.verifier.name {
            return Err(NoteError::Origin {
                expected: signer.verifier.name.clone(),
                got: self.origin,
            });
        }
        let text = format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.0));
        Ok(SignedCheckpoint {
            note: signer.sign(&text),
            checkpoint: self,
        })
    }

    /// Reads the text of a note. Nothing is said about who signed it.
    ///
    /// # Errors
    /// [`NoteError::NotACheckpoint`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let bad = |reason| NoteError::NotACheckpoint { reason };
        let mut lines = text.lines();
        let origin = lines
            .next()
            .filter(|l| !l.is_empty())
            .ok_or(bad("it has no origin"))?;
        let line = lines.next().ok_or(bad("it has no size"))?;
        let size: u64 = line.parse().map_err(|_| bad("its size is no number"))?;
        if size.to_string() != line {
            return Err(bad("its size is not in its shortest form"));
        }
        let root = lines
            .next()
            .and_then(|l| BASE64.decode(l).ok())
            .ok_or(bad("it has no root"))?;
        let root = root.try_into().map_err(|_| bad("its root has not 32 bytes"))?;
        if lines.any(str::is_empty) {
            return Err(bad("it has an empty extension line"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root: Sha256Digest(root),
        })
    }
}

/// A checkpoint whose signature held. Made only by [`Checkpoint::sign`] and [`SignedCheckpoint::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

impl SignedCheckpoint {
    /// Checks a note as it arrived: the log's signature, and that it is a checkpoint of that log.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn verify(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let checkpoint = Checkpoint::parse(key.verify(note)?)?;
        if checkpoint.origin != key.name {
            return Err(NoteError::Origin {
                expected: key.name.clone(),
                got: checkpoint.origin,
            });
        }
        Ok(Self {
            checkpoint,
            note: note.to_owned(),
        })
    }

    /// What was signed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, as it is stored and sent.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The same checkpoint with more signatures below it, which nobody has checked.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] where there are too many.
    pub fn with(&self, signatures: &[NoteSignature]) -> Result<Self, NoteError> {
        let mut note = Note::parse(&self.note)?;
        signatures.iter().for_each(|line| note.add(line.clone()));
        let note = note.to_string();
        Note::parse(&note)?;
        Ok(Self {
            checkpoint: self.checkpoint.clone(),
            note,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of Go's package `golang.org/x/mod/sumdb/note`, where the format comes from.
    const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn signer() -> NoteSigner {
        NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap()
    }

    fn signed() -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            origin: "example.com/log".to_owned(),
            size: 70_000,
            root: Sha256Digest([9; 32]),
        };
        checkpoint.sign(&signer()).unwrap()
    }

    #[test]
    fn accepts_the_published_note_and_key() {
        let key: VerifierKey = GO_KEY.parse().unwrap();
        assert_eq!(key.to_string(), GO_KEY);
        assert!(key.verify(GO_NOTE).unwrap().ends_with("problem is.\n"));
    }

    #[test]
    fn a_checkpoint_reads_back() {
        let read = SignedCheckpoint::verify(signed().note(), signer().verifier()).unwrap();
        assert_eq!(read, signed());
    }

    #[test]
    fn strangers_signatures_are_passed_over_and_ours_must_hold() {
        let stranger = NoteSigner::from_secret("witness.example", &[8; 32]).unwrap();
        let (text, ours) = signed()
            .note()
            .rsplit_once("\n\n")
            .map(|(t, s)| (format!("{t}\n"), s.to_owned()))
            .unwrap();
        let theirs = stranger.sign(&text).rsplit_once("\n\n").unwrap().1.to_owned();
        let verify = |lines: &str| SignedCheckpoint::verify(&format!("{text}\n{lines}"), signer().verifier());
        verify(&format!("{theirs}{ours}")).unwrap();
        assert!(matches!(verify(&theirs), Err(NoteError::NotSigned { .. })));
        // Same name, another key: another id, so it is a stranger.
        let namesake = NoteSigner::from_secret("example.com/log", &[8; 32]).unwrap();
        let lines = namesake.sign(&text).rsplit_once("\n\n").unwrap().1.to_owned();
        assert!(matches!(verify(&lines), Err(NoteError::NotSigned { .. })));
    }

    #[test]
    fn every_spoiled_part_of_a_note_is_refused() {
        let note = signed().note().to_owned();
        let verify = |note: &str| SignedCheckpoint::verify(note, signer().verifier()).unwrap_err();
        assert!(matches!(
            verify(&note.replace("70000", "70001")),
            NoteError::BadSignature { .. }
        ));
        assert!(matches!(verify(note.trim_end()), NoteError::Malformed { .. }));
        assert!(matches!(
            verify(&note.replace("\n\n", "\n")),
            NoteError::Malformed { .. }
        ));
        assert!(matches!(
            verify(&note.replace('\u{2014}', "-")),
            NoteError::Malformed { .. }
        ));
        assert!(matches!(
            verify(&note.replace("70000", "7\r0")),
            NoteError::Malformed { .. }
        ));
        assert!(matches!(verify(""), NoteError::Malformed { .. }));
        assert!(matches!(verify("\n\n"), NoteError::Malformed { .. }));
        let many = note.clone() + &"\u{2014} a AAAAAAAA\n".repeat(64);
        assert!(matches!(verify(&many), NoteError::Malformed { .. }));
    }

    #[test]
    fn signed_texts_that_are_no_checkpoints_are_refused() {
        let root = BASE64.encode([9; 32]);
        for text in [
            "example.com/log\n".to_owned(),
            format!("example.com/log\n01\n{root}\n"),
            format!("example.com/log\n+1\n{root}\n"),
            format!("example.com/log\n-1\n{root}\n"),
            "example.com/log\n1\nAAAA\n".to_owned(),
            format!("\n1\n{root}\n"),
            format!("example.com/log\n18446744073709551616\n{root}\n"),
        ] {
            let error = SignedCheckpoint::verify(&signer().sign(&text), signer().verifier()).unwrap_err();
            assert!(
                matches!(error, NoteError::NotACheckpoint { .. }),
                "{text}: {error}"
            );
        }
        let other = signer().sign(&format!("example.com/other\n1\n{root}\n"));
        let error = SignedCheckpoint::verify(&other, signer().verifier()).unwrap_err();
        assert!(matches!(error, NoteError::Origin { .. }));
        let extended = signer().sign(&format!("example.com/log\n1\n{root}\nextension\n"));
        assert_eq!(
            SignedCheckpoint::verify(&extended, signer().verifier())
                .unwrap()
                .checkpoint()
                .size,
            1
        );
    }

    #[test]
    fn keys_in_another_form_are_refused() {
        for text in [
            "",
            "a+b",
            &GO_KEY.replace("c74f20a3", "c74f20a4"),
            &GO_KEY.replace("PeterNeumann", "Peter Neumann"),
            &GO_KEY.replace("c74f20a3", "C74F20A3"),
            &GO_KEY.replace("ARpc", "AhpC"),
        ] {
            assert!(text.parse::<VerifierKey>().is_err(), "{text}");
        }
        assert!(NoteSigner::from_secret("a+b", &[1; 32]).is_err());
        assert!(!format!("{:?}", signer()).contains("0707"));
    }

    proptest! {
        #[test]
        fn no_flipped_bit_passes(index in any::<proptest::sample::Index>(), bit in 0_u32..8) {
            let mut bytes = signed().note().as_bytes().to_vec();
            let at = index.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            if let Ok(note) = std::str::from_utf8(&bytes) {
                prop_assert!(SignedCheckpoint::verify(note, signer().verifier()).is_err());
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            let _ = SignedCheckpoint::verify(&text, signer().verifier());
            let _ = text.parse::<VerifierKey>();
            let _ = Checkpoint::parse(&text);
        }
    }
}
