//! Receipts: an entry is in a log, checkable offline.
//!
//! The text is C2SP tlog-proof: `c2sp.org/tlog-proof@v1`, the index, the inclusion path and a checkpoint. An `extra`
//! line of others is kept as it is and means nothing here: nobody signed it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use counterweight_primitives::Sha256Digest;

use super::{
    note::{NoteError, SignedCheckpoint, VerifierKey},
    policy::{Policy, TrustedCheckpoint, UntrustedError},
    proof::{ProofError, verify_inclusion},
    tree::leaf_hash,
};

/// First line.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Most hashes of a path: a tree has at most 2^64 leaves.
const LONGEST_PATH: usize = 64;

/// Why a receipt is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not of the format.
    #[error("line {line} of the receipt: {reason}")]
    Malformed {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The checkpoint in it does not hold.
    #[error("the checkpoint of the receipt does not hold")]
    Checkpoint(#[source] NoteError),
    /// The checkpoint in it is not valid under the policy.
    #[error("the checkpoint of the receipt is not to be trusted")]
    Untrusted(#[source] UntrustedError),
    /// The path does not lead from the entry to the checkpoint.
    #[error("the entry is not where the receipt says")]
    Proof(#[source] ProofError),
}

/// A receipt as it arrived: anyone may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncheckedReceipt {
    extra: Option<Vec<u8>>,
    index: u64,
    path: Vec<Sha256Digest>,
    note: String,
}

impl UncheckedReceipt {
    /// Puts together what a log gives out.
    pub(super) fn new(index: u64, path: Vec<Sha256Digest>, checkpoint: &SignedCheckpoint) -> Self {
        Self {
            extra: None,
            index,
            path,
            note: checkpoint.note().to_owned(),
        }
    }

    /// Reads the text of a receipt.
    ///
    /// # Errors
    /// [`ReceiptError::Malformed`].
    pub fn from_text(text: &str) -> Result<Self, ReceiptError> {
        let bad = |line, reason| ReceiptError::Malformed { line, reason };
        let (proof, note) = text
            .split_once("\n\n")
            .ok_or(bad(1, "there is no blank line after the path"))?;
        let mut lines = proof.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(bad(1, "it must be c2sp.org/tlog-proof@v1"));
        }
        let mut line = lines.next().unwrap_or_default();
        let mut at = 2;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = Some(
                BASE64
                    .decode(encoded)
                    .map_err(|_| bad(2, "its extra data is not base64"))?,
            );
            line = lines.next().unwrap_or_default();
            at = 3;
        }
        let digits = line
            .strip_prefix("index ")
            .ok_or(bad(at, "it must be the index"))?;
        let index: u64 = digits.parse().map_err(|_| bad(at, "its index is no number"))?;
        if index.to_string() != digits {
            return Err(bad(at, "its index is not in its shortest form"));
        }
        let mut path = Vec::new();
        for line in lines {
            let number = path.len() + at + 1;
            if path.len() == LONGEST_PATH {
                return Err(bad(number, "the path is longer than 64 hashes"));
            }
            let bytes = BASE64.decode(line).map_err(|_| bad(number, "it is not base64"))?;
            path.push(Sha256Digest(
                bytes.try_into().map_err(|_| bad(number, "it has not 32 bytes"))?,
            ));
        }
        Ok(Self {
            extra,
            index,
            path,
            note: note.to_owned(),
        })
    }

    /// Its text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = &self.extra {
            text += &format!("extra {}\n", BASE64.encode(extra));
        }
        text += &format!("index {}\n", self.index);
        for hash in &self.path {
            text.push_str(&BASE64.encode(hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.note);
        text
    }

    /// Checks that the log of `key` holds `entry` where the receipt says.
    ///
    /// # Errors
    /// [`ReceiptError::Checkpoint`] or [`ReceiptError::Proof`].
    pub fn verify(self, entry: &[u8], key: &VerifierKey) -> Result<Receipt, ReceiptError> {
        let checkpoint = SignedCheckpoint::verify(&self.note, key).map_err(ReceiptError::Checkpoint)?;
        self.included(entry, checkpoint)
    }

    /// Checks that a log of the policy holds `entry` where the receipt says, and that the policy's witnesses saw it.
    ///
    /// # Errors
    /// [`ReceiptError::Untrusted`] or [`ReceiptError::Proof`].
    pub fn verify_under(
        self,
        entry: &[u8],
        policy: &Policy,
    ) -> Result<(Receipt, TrustedCheckpoint), ReceiptError> {
        let trusted = policy.check(&self.note).map_err(ReceiptError::Untrusted)?;
        let receipt = self.included(entry, trusted.checkpoint().clone())?;
        Ok((receipt, trusted))
    }

    fn included(self, entry: &[u8], checkpoint: SignedCheckpoint) -> Result<Receipt, ReceiptError> {
        let tree = checkpoint.checkpoint();
        verify_inclusion(&tree.root, tree.size, self.index, &leaf_hash(entry), &self.path)
            .map_err(ReceiptError::Proof)?;
        Ok(Receipt {
            receipt: self,
            checkpoint,
        })
    }
}

/// A receipt whose checkpoint and path held. Made only by [`UncheckedReceipt::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    receipt: UncheckedReceipt,
    checkpoint: SignedCheckpoint,
}

impl Receipt {
    /// Place of the entry, counted from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.receipt.index
    }

    /// The inclusion path, leaf to root.
    #[must_use]
    pub fn path(&self) -> &[Sha256Digest] {
        &self.receipt.path
    }

    /// The checkpoint it leads to.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Its text.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.receipt.to_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{
        note::{Checkpoint, NoteSigner},
        tree::node_hash,
    };

    fn signer() -> NoteSigner {
        NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap()
    }

    /// Receipt of the second of two entries.
    fn receipt() -> UncheckedReceipt {
        let (first, second) = (leaf_hash(b"first"), leaf_hash(b"second"));
        let origin = "example.com/log".to_owned();
        let checkpoint = Checkpoint {
            origin,
            size: 2,
            root: node_hash(&first, &second),
        };
        UncheckedReceipt::new(1, vec![first], &checkpoint.sign(&signer()).unwrap())
    }

    #[test]
    fn a_receipt_reads_back_and_holds() {
        let read = UncheckedReceipt::from_text(&receipt().to_text()).unwrap();
        assert_eq!(read, receipt());
        assert_eq!(read.verify(b"second", signer().verifier()).unwrap().index(), 1);
    }

    #[test]
    fn every_spoiled_part_is_refused() {
        let verify = |text: &str, entry: &[u8]| {
            UncheckedReceipt::from_text(text)
                .and_then(|r| r.verify(entry, signer().verifier()))
                .unwrap_err()
        };
        let text = receipt().to_text();
        assert!(matches!(
            verify(&text, b"first"),
            ReceiptError::Proof(ProofError::Root { .. })
        ));
        let proof = |e| matches!(e, ReceiptError::Proof(_));
        assert!(proof(verify(&text.replace("index 1", "index 0"), b"second")));
        assert!(proof(verify(&text.replace("index 1", "index 2"), b"second")));
        let hash = BASE64.encode(leaf_hash(b"first").0);
        assert!(proof(verify(&text.replace(&format!("{hash}\n"), ""), b"second")));
        assert!(proof(verify(
            &text.replace(&hash, &format!("{hash}\n{hash}")),
            b"second"
        )));
        assert!(matches!(
            verify(&text.replace("\n2\n", "\n3\n"), b"second"),
            ReceiptError::Checkpoint(_)
        ));
        for (from, to) in [
            ("@v1", "@v2"),
            ("index 1", "index 01"),
            ("index 1", "index +1"),
            ("index 1", "extra *\nindex 1"),
            ("index 1", "extra AAAA\nextra AAAA\nindex 1"),
            ("index 1", "index 1\nextra AAAA"),
            (&hash, "AAAA"),
            (&hash, "*"),
            ("\n\n", "\n"),
        ] {
            let error = verify(&text.replace(from, to), b"second");
            assert!(
                matches!(error, ReceiptError::Malformed { .. }),
                "{from} to {to}: {error}"
            );
        }
        let extra = text.replace("index 1", "extra AAAA\nindex 1");
        let read = UncheckedReceipt::from_text(&extra).unwrap();
        assert_eq!(read.to_text(), extra);
        read.verify(b"second", signer().verifier()).unwrap();
        let long = text.replace(&hash, &[hash.as_str(); 65].join("\n"));
        assert!(matches!(
            verify(&long, b"second"),
            ReceiptError::Malformed { line: 67, .. }
        ));
    }
}
