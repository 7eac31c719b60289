//! Checkpoints signed by the account that owns a log, so that a contract can check them.
//!
//! No chain verifies Ed25519 cheaply, so the owner signs each checkpoint once more: EIP-712, type
//! `Checkpoint(bytes32 log,uint64 size,bytes32 root)`, domain `EIP712Domain(string name,string version)` with
//! `Counterweight log` and `1`. Whoever holds two such signatures that contradict each other takes them to `LogAnchor`,
//! on whichever chain a bond stands: neither chain nor contract is in the domain, because two histories are a fault
//! anywhere.
//!
//! On a note the signature is a line of type `0xff` with the identifier [`IDENTIFIER`], which readers that don't know it
//! pass over: its blob is `r ‖ s ‖ v`, 65 bytes.

use counterweight_primitives::{Address, Sha256Digest};
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

use super::note::{Checkpoint, NoteError, NoteSignature};
use crate::{
    ledger::LogId,
    signature::{Signature, SignatureError, Signer, recover_hash},
};

/// What follows the type byte `0xff` in the key id: C2SP signed-note asks for something that is not met by chance.
pub const IDENTIFIER: &[u8] = b"counterweight/eip712-checkpoint/v1";

/// Type byte of signatures that the specification gives no byte of their own.
const OTHER: u8 = 0xff;

/// What the owner of a log signs for a checkpoint: `ILogAnchor.checkpointHash`.
#[must_use]
pub fn checkpoint_hash(log: LogId, size: u64, root: &Sha256Digest) -> [u8; 32] {
    let keccak = |parts: &[&[u8]]| -> [u8; 32] {
        let hash = parts
            .iter()
            .fold(Keccak256::new(), |hash, part| hash.chain_update(part));
        hash.finalize().into()
    };
    let domain = keccak(&[
        &keccak(&[b"EIP712Domain(string name,string version)"]),
        &keccak(&[b"Counterweight log"]),
        &keccak(&[b"1"]),
    ]);
    let mut padded_size = [0; 32];
    padded_size[24..].copy_from_slice(&size.to_be_bytes());
    let message = keccak(&[
        &keccak(&[b"Checkpoint(bytes32 log,uint64 size,bytes32 root)"]),
        &log.0.0,
        &padded_size,
        &root.0,
    ]);
    keccak(&[b"\x19\x01", &domain, &message])
}

/// A checkpoint as its owner's account signed it: `ILogAnchor.SignedCheckpoint`. Made only by
/// [`AccountCheckpoint::sign`] and [`AccountCheckpoint::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountCheckpoint {
    owner: Address,
    log: LogId,
    size: u64,
    root: Sha256Digest,
    signature: Signature,
}

impl AccountCheckpoint {
    /// Signs a checkpoint.
    ///
    /// # Errors
    /// As [`Signer::sign_hash`].
    pub fn sign(checkpoint: &Checkpoint, signer: &dyn Signer) -> Result<Self, SignatureError> {
        let log = LogId::of_origin(&checkpoint.origin);
        let hash = checkpoint_hash(log, checkpoint.size, &checkpoint.root);
        Ok(Self {
            owner: signer.address(),
            log,
            size: checkpoint.size,
            root: checkpoint.root,
            signature: Signature(signer.sign_hash(hash)?),
        })
    }

    /// Checks a signature as it arrived.
    ///
    /// # Errors
    /// [`SignatureError::WrongSigner`], or as [`recover_hash`].
    pub fn verify(
        checkpoint: &Checkpoint,
        owner: Address,
        signature: Signature,
    ) -> Result<Self, SignatureError> {
        let log = LogId::of_origin(&checkpoint.origin);
        let hash = checkpoint_hash(log, checkpoint.size, &checkpoint.root);
        let got = recover_hash(hash, &signature)?;
        if got != owner {
            return Err(SignatureError::WrongSigner { expected: owner, got });
        }
        Ok(Self {
            owner,
            log,
            size: checkpoint.size,
            root: checkpoint.root,
            signature,
        })
    }

    /// Who signed.
    #[must_use]
    pub fn owner(&self) -> Address {
        self.owner
    }

    /// Which log.
    #[must_use]
    pub fn log(&self) -> LogId {
        self.log
    }

    /// Number of entries.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Their root.
    #[must_use]
    pub fn root(&self) -> Sha256Digest {
        self.root
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Its line below a note.
    ///
    /// # Errors
    /// [`NoteError::KeyName`] where the origin cannot name a key.
    pub fn to_line(&self, origin: &str) -> Result<NoteSignature, NoteError> {
        NoteSignature::new(origin, key_id(origin, self.owner), self.signature.0.to_vec())
    }

    /// The owner's signature on a note; none where the note has none.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] where it has one that does not hold.
    pub fn find(
        checkpoint: &Checkpoint,
        signatures: &[NoteSignature],
        owner: Address,
    ) -> Result<Option<Self>, NoteError> {
        let id = key_id(&checkpoint.origin, owner);
        let mut found = None;
        for line in signatures {
            if line.name() != checkpoint.origin || line.id() != id {
                continue;
            }
            let bytes: Option<[u8; 65]> = line.bytes().try_into().ok();
            let held = bytes.and_then(|bytes| Self::verify(checkpoint, owner, Signature(bytes)).ok());
            found = Some(held.ok_or_else(|| NoteError::BadSignature {
                key: format!("{} ({owner})", checkpoint.origin),
            })?);
        }
        Ok(found)
    }
}

/// First bytes of the SHA-256 of name, type, identifier and account.
fn key_id(name: &str, owner: Address) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', OTHER])
        .chain_update(IDENTIFIER)
        .chain_update(owner.0)
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        log::note::{Note, NoteSigner},
        signature::MemorySigner,
    };

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "example.com/log".to_owned(),
            size: 70_000,
            root: Sha256Digest([9; 32]),
        }
    }

    fn owner() -> MemorySigner {
        MemorySigner::from_secret(&[5; 32]).unwrap()
    }

    /// What `testdata/checkpoint-signature.json` holds; the contract's tests read the same file.
    fn cases() -> Value {
        let signed = AccountCheckpoint::sign(&checkpoint(), &owner()).unwrap();
        let hash = checkpoint_hash(signed.log(), signed.size(), &signed.root());
        let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
        let bytes = signed.signature().0;
        let (numbers, v) = bytes.split_at(64);
        json!({"cases": [{
            "log": hex(&signed.log().0.0), "size": signed.size(), "root": hex(&signed.root().0),
            "hash": hex(&hash), "owner": hex(&signed.owner().0),
            "r": hex(&numbers[..32]), "s": hex(&numbers[32..]), "v": v[0],
        }]})
    }

    /// `CW_WRITE_FIXTURES=1 cargo test -p counterweight-provenance` writes the file anew.
    #[test]
    fn the_shared_signature_vector_is_the_generated_one() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/checkpoint-signature.json"
        );
        if std::env::var_os("CW_WRITE_FIXTURES").is_some() {
            std::fs::write(path, format!("{}\n", cases())).unwrap();
        }
        let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(vectors, cases());
    }

    #[test]
    fn a_signature_for_anything_else_is_refused() {
        let signed = AccountCheckpoint::sign(&checkpoint(), &owner()).unwrap();
        let verify = |checkpoint: &Checkpoint| {
            AccountCheckpoint::verify(checkpoint, owner().address(), signed.signature())
        };
        assert_eq!(verify(&checkpoint()).unwrap(), signed);
        for other in [
            Checkpoint {
                size: 70_001,
                ..checkpoint()
            },
            Checkpoint {
                root: Sha256Digest([8; 32]),
                ..checkpoint()
            },
            Checkpoint {
                origin: "example.com/other".to_owned(),
                ..checkpoint()
            },
        ] {
            assert!(matches!(verify(&other), Err(SignatureError::WrongSigner { .. })));
        }
    }

    #[test]
    fn it_travels_on_a_note_and_does_not_disturb_readers_who_do_not_know_it() {
        let log = NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap();
        let signed = AccountCheckpoint::sign(&checkpoint(), &owner()).unwrap();
        let line = signed.to_line("example.com/log").unwrap();
        let mut note = Note::parse(checkpoint().sign(&log).unwrap().note()).unwrap();
        let find = |note: &Note| AccountCheckpoint::find(&checkpoint(), note.signatures(), owner().address());
        assert_eq!(find(&note), Ok(None));
        note.add(line.clone());
        assert_eq!(find(&note), Ok(Some(signed)));
        log.verifier().verify(&note.to_string()).unwrap();
        let mut bytes = line.bytes().to_vec();
        bytes[3] ^= 1;
        note.add(NoteSignature::new(line.name(), line.id(), bytes).unwrap());
        assert!(matches!(find(&note), Err(NoteError::BadSignature { .. })));
    }
}
