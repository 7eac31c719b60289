//! Receipts: what a requester holds from the moment of a decision on, and takes to a contract if the decision is left out.
//!
//! A receipt promises that an entry will be in the tree of a checkpoint anchored by a deadline, at a given place. It is
//! EIP-712 (domain `EIP712Domain(string name,string version)` with `Counterweight decision receipt` and `1`), so that a
//! contract recovers the signer: neither chain nor contract is in the domain, because a promise is a promise anywhere.
//!
//! One signature covers all receipts of a batch: the account signs the root of a Merkle tree (Keccak-256 over sorted pairs,
//! as OpenZeppelin's `MerkleProof` folds them) whose leaves are the receipts' struct hashes. A receipt that was signed
//! alone has an empty path. A struct hash is over 224 bytes and a node over 64, so neither passes for the other.

use counterweight_primitives::{
    Address, CanonicalError, Sha256Digest, UnixSeconds, from_canonical_json, to_canonical_json,
};
use serde::{Deserialize, Serialize};
use sha3::{Digest as _, Keccak256};

use crate::{
    canonical_form::check_same,
    ledger::LogId,
    signature::{Signature, SignatureError, Signer, recover_hash},
};

/// The format's name.
pub const RECEIPT_FORMAT: &str = "counterweight/decision-receipt/v1";

/// EIP-712 type of what is promised.
pub const RECEIPT_TYPE: &str =
    "DecisionReceipt(bytes32 log,bytes32 endpoint,uint64 counter,uint64 index,bytes32 leaf,uint64 deadline)";

/// EIP-712 type of what is signed: the root over a batch of promises.
pub const RECEIPTS_TYPE: &str = "DecisionReceipts(bytes32 root)";

/// Longest path of a receipt: batches have at most 65,536 decisions.
pub const MOST_PATH: usize = 16;

/// Longest document read.
const MOST_BYTES: usize = 4096;

/// Why a receipt is not valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not canonical, too long, or not of this form.
    #[error("not a receipt of a decision")]
    Encoding(#[source] CanonicalError),
    /// Another format or version.
    #[error("the format is \"{got}\", expected \"{RECEIPT_FORMAT}\"")]
    Format {
        /// What was found.
        got: String,
    },
    /// The path is longer than a batch can make it.
    #[error("the path has {got} hashes, at most {MOST_PATH} are read")]
    Path {
        /// How many.
        got: usize,
    },
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature(#[source] SignatureError),
    /// The signer did not sign.
    #[error("the receipt cannot be signed")]
    Signing(#[source] SignatureError),
}

/// What is promised: `DecisionReceipt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The log: SHA-256 of its origin.
    pub log: LogId,
    /// The endpoint: SHA-256 of its name.
    pub endpoint: Sha256Digest,
    /// Which decision of the endpoint, counted from 0 without gaps.
    pub counter: u64,
    /// Place of the entry in the log, counted from 0.
    pub index: u64,
    /// RFC 6962 leaf hash of the entry.
    pub leaf: Sha256Digest,
    /// Second (Unix time) by which a checkpoint that holds the entry is anchored.
    pub deadline: UnixSeconds,
}

impl Promise {
    /// The EIP-712 struct hash: the leaf of a batch's tree.
    #[must_use]
    pub fn struct_hash(&self) -> [u8; 32] {
        keccak(&[
            &keccak(&[RECEIPT_TYPE.as_bytes()]),
            &self.log.0.0,
            &self.endpoint.0,
            &word(self.counter),
            &word(self.index),
            &self.leaf.0,
            &word(self.deadline.0),
        ])
    }
}

/// What is signed for a batch of promises with a Merkle root.
#[must_use]
pub fn batch_hash(root: &[u8; 32]) -> [u8; 32] {
    let domain = keccak(&[
        &keccak(&[b"EIP712Domain(string name,string version)"]),
        &keccak(&[b"Counterweight decision receipt"]),
        &keccak(&[b"1"]),
    ]);
    let message = keccak(&[&keccak(&[RECEIPTS_TYPE.as_bytes()]), root]);
    keccak(&[b"\x19\x01", &domain, &message])
}

/// Signs promises together: one signature, and a path for each.
///
/// # Errors
/// [`ReceiptError::Signing`].
pub fn sign_all(
    origin: &str,
    promises: &[Promise],
    signer: &dyn Signer,
) -> Result<Vec<DecisionReceipt>, ReceiptError> {
    if promises.is_empty() {
        return Ok(Vec::new());
    }
    let mut paths = vec![Vec::new(); promises.len()];
    let mut level: Vec<[u8; 32]> = promises.iter().map(Promise::struct_hash).collect();
    // Place of each promise's ancestor in the level at hand.
    let mut places: Vec<usize> = (0..promises.len()).collect();
    while level.len() > 1 {
        for (place, path) in places.iter_mut().zip(&mut paths) {
            // A node without a partner rises as it is, and nothing joins its path.
            path.extend(level.get(*place ^ 1));
            *place /= 2;
        }
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node(left, right),
                lone => lone.first().copied().unwrap_or_default(),
            })
            .collect();
    }
    let root = level.first().copied().unwrap_or_default();
    let signature = Signature(
        signer
            .sign_hash(batch_hash(&root))
            .map_err(ReceiptError::Signing)?,
    );
    Ok(promises
        .iter()
        .zip(paths)
        .map(|(promise, path)| DecisionReceipt {
            origin: origin.to_owned(),
            promise: *promise,
            path,
            signature,
            signer: signer.address(),
        })
        .collect())
}

/// A receipt as it arrived: anyone may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncheckedDecisionReceipt {
    /// First line of the log's checkpoints.
    origin: String,
    promise: Promise,
    path: Vec<[u8; 32]>,
    signature: Signature,
}

impl UncheckedDecisionReceipt {
    /// Reads the document.
    ///
    /// # Errors
    /// [`ReceiptError::Encoding`], [`ReceiptError::Format`] or [`ReceiptError::Path`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let document: Document = from_canonical_json(bytes, MOST_BYTES).map_err(ReceiptError::Encoding)?;
        let written = to_canonical_json(&document).map_err(ReceiptError::Encoding)?;
        check_same(bytes, &written).map_err(ReceiptError::Encoding)?;
        if document.format != RECEIPT_FORMAT {
            return Err(ReceiptError::Format { got: document.format });
        }
        if document.path.len() > MOST_PATH {
            return Err(ReceiptError::Path {
                got: document.path.len(),
            });
        }
        Ok(Self {
            promise: Promise {
                log: LogId::of_origin(&document.origin),
                endpoint: document.endpoint,
                counter: document.counter,
                index: document.index,
                leaf: document.leaf,
                deadline: document.deadline,
            },
            path: document.path.iter().map(|hash| hash.0).collect(),
            origin: document.origin,
            signature: document.signature,
        })
    }

    /// Checks who signed.
    ///
    /// # Errors
    /// [`ReceiptError::Signature`].
    pub fn verify(self, owner: Address) -> Result<DecisionReceipt, ReceiptError> {
        let root = self
            .path
            .iter()
            .fold(self.promise.struct_hash(), |hash, other| node(&hash, other));
        let got = recover_hash(batch_hash(&root), &self.signature).map_err(ReceiptError::Signature)?;
        if got != owner {
            let expected = owner;
            return Err(ReceiptError::Signature(SignatureError::WrongSigner {
                expected,
                got,
            }));
        }
        Ok(DecisionReceipt {
            origin: self.origin,
            promise: self.promise,
            path: self.path,
            signature: self.signature,
            signer: owner,
        })
    }
}

/// A receipt whose signature held. Made only by [`sign_all`] and [`UncheckedDecisionReceipt::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionReceipt {
    origin: String,
    promise: Promise,
    path: Vec<[u8; 32]>,
    signature: Signature,
    signer: Address,
}

impl DecisionReceipt {
    /// First line of the log's checkpoints.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What is promised.
    #[must_use]
    pub fn promise(&self) -> &Promise {
        &self.promise
    }

    /// From the struct hash to the root that was signed.
    #[must_use]
    pub fn path(&self) -> &[[u8; 32]] {
        &self.path
    }

    /// The signature of the root.
    #[must_use]
    pub fn signature(&self) -> Signature {
        self.signature
    }

    /// Who signed.
    #[must_use]
    pub fn signer(&self) -> Address {
        self.signer
    }

    /// The canonical document.
    ///
    /// # Errors
    /// [`ReceiptError::Encoding`] where a number is beyond 2^53 - 1.
    pub fn encode(&self) -> Result<Vec<u8>, ReceiptError> {
        let document = Document {
            format: RECEIPT_FORMAT.to_owned(),
            origin: self.origin.clone(),
            endpoint: self.promise.endpoint,
            counter: self.promise.counter,
            index: self.promise.index,
            leaf: self.promise.leaf,
            deadline: self.promise.deadline,
            path: self.path.iter().copied().map(Word).collect(),
            signature: self.signature,
        };
        to_canonical_json(&document).map_err(ReceiptError::Encoding)
    }

    /// Whether this receipt and another contradict each other: their signer promised two things for one place in a log,
    /// or for one number of an endpoint. Either is a fault by itself, whatever the log holds.
    #[must_use]
    pub fn contradicts(&self, other: &Self) -> bool {
        let (one, two) = (&self.promise, &other.promise);
        let same_place = one.index == two.index;
        let same_number = one.endpoint == two.endpoint && one.counter == two.counter;
        self.signer == other.signer
            && one.log == two.log
            && one.leaf != two.leaf
            && (same_place || same_number)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    origin: String,
    endpoint: Sha256Digest,
    counter: u64,
    index: u64,
    leaf: Sha256Digest,
    deadline: UnixSeconds,
    path: Vec<Word>,
    signature: Signature,
}

/// 32 bytes as contracts write them.
struct Word([u8; 32]);

impl Serialize for Word {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{}", hex::encode(self.0)))
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut word = [0; 32];
        text.strip_prefix("0x")
            .and_then(|digits| hex::decode_to_slice(digits, &mut word).ok())
            .map(|()| Self(word))
            .ok_or_else(|| serde::de::Error::custom("expected 0x and 64 hexadecimal digits"))
    }
}

fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    parts
        .iter()
        .fold(Keccak256::new(), |hash, part| hash.chain_update(part))
        .finalize()
        .into()
}

fn word(number: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&number.to_be_bytes());
    word
}

fn node(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    let (low, high) = if one < other { (one, other) } else { (other, one) };
    keccak(&[low, high])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::signature::MemorySigner;

    const ORIGIN: &str = "example.com/log";

    fn owner() -> MemorySigner {
        MemorySigner::from_secret(&[5; 32]).unwrap()
    }

    fn promise(counter: u64) -> Promise {
        Promise {
            log: LogId::of_origin(ORIGIN),
            endpoint: Sha256Digest::of(b"loans.example/score"),
            counter,
            index: 70_000 + counter,
            leaf: Sha256Digest::of(&counter.to_be_bytes()),
            deadline: UnixSeconds(1_795_305_599),
        }
    }

    fn signed(count: u64) -> Vec<DecisionReceipt> {
        let promises: Vec<_> = (0..count).map(promise).collect();
        sign_all(ORIGIN, &promises, &owner()).unwrap()
    }

    /// What `testdata/decision-receipt.json` holds; a contract's tests can read the same file.
    fn cases() -> Value {
        let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
        let case = |receipt: &DecisionReceipt| {
            let promise = receipt.promise();
            let root = receipt
                .path()
                .iter()
                .fold(promise.struct_hash(), |hash, other| node(&hash, other));
            let (numbers, v) = receipt.signature.0.split_at(64);
            json!({
                "log": hex(&promise.log.0.0), "endpoint": hex(&promise.endpoint.0),
                "counter": promise.counter, "index": promise.index, "leaf": hex(&promise.leaf.0),
                "deadline": promise.deadline.0, "structHash": hex(&promise.struct_hash()),
                "path": receipt.path().iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
                "root": hex(&root), "hash": hex(&batch_hash(&root)), "owner": hex(&receipt.signer().0),
                "r": hex(&numbers[..32]), "s": hex(&numbers[32..]), "v": v[0],
                "document": String::from_utf8(receipt.encode().unwrap()).unwrap(),
            })
        };
        let cases: Vec<_> = [1, 2, 3, 7].into_iter().flat_map(signed).collect();
        json!({"cases": cases.iter().map(case).collect::<Vec<_>>()})
    }

    /// `CW_WRITE_FIXTURES=1 cargo test -p counterweight-provenance` writes the file anew.
    #[test]
    fn the_shared_receipt_vectors_are_the_generated_ones() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/decision-receipt.json"
        );
        if std::env::var_os("CW_WRITE_FIXTURES").is_some() {
            std::fs::write(path, format!("{}\n", cases())).unwrap();
        }
        let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(vectors, cases());
    }

    #[test]
    fn every_receipt_of_a_batch_of_any_size_holds() {
        for count in 1..=33 {
            for receipt in signed(count) {
                let read = UncheckedDecisionReceipt::decode(&receipt.encode().unwrap()).unwrap();
                assert_eq!(read.verify(owner().address()).unwrap(), receipt);
            }
        }
        assert!(signed(0).is_empty());
    }

    #[test]
    fn a_receipt_with_any_part_changed_is_refused() {
        let receipt = signed(5).remove(2);
        let refused = |change: &dyn Fn(&mut DecisionReceipt)| {
            let mut spoiled = receipt.clone();
            change(&mut spoiled);
            let read = UncheckedDecisionReceipt::decode(&spoiled.encode().unwrap()).unwrap();
            let error = read.verify(owner().address()).unwrap_err();
            assert!(matches!(error, ReceiptError::Signature(_)), "{error}");
        };
        refused(&|r| r.origin.push('x'));
        refused(&|r| r.promise.endpoint.0[0] ^= 1);
        refused(&|r| r.promise.counter += 1);
        refused(&|r| r.promise.index += 1);
        refused(&|r| r.promise.leaf.0[31] ^= 1);
        refused(&|r| r.promise.deadline.0 += 1);
        refused(&|r| r.path[0][0] ^= 1);
        refused(&|r| r.path.truncate(1));
        refused(&|r| r.signature.0[3] ^= 1);
        let stranger = MemorySigner::from_secret(&[6; 32]).unwrap().address();
        let read = UncheckedDecisionReceipt::decode(&receipt.encode().unwrap()).unwrap();
        assert!(matches!(read.verify(stranger), Err(ReceiptError::Signature(_))));
    }

    #[test]
    fn documents_of_another_form_are_refused() {
        let text = String::from_utf8(signed(2).remove(0).encode().unwrap()).unwrap();
        for (from, to) in [
            ("/v1\"", "/v2\""),
            ("{", "{ "),
            ("\"counter\":0", "\"counter\":-1"),
            ("\"path\":[\"0x", "\"path\":[\"0X"),
            ("\"path\":", "\"more\":1,\"path\":"),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(
                UncheckedDecisionReceipt::decode(text.replacen(from, to, 1).as_bytes()).is_err(),
                "{to}"
            );
        }
        let mut long = signed(1).remove(0);
        long.path = vec![[1; 32]; MOST_PATH + 1];
        let error = UncheckedDecisionReceipt::decode(&long.encode().unwrap()).unwrap_err();
        assert!(matches!(error, ReceiptError::Path { got: 17 }), "{error}");
    }

    #[test]
    fn two_promises_for_one_place_or_one_number_contradict_each_other() {
        let sign = |promise: Promise| sign_all(ORIGIN, &[promise], &owner()).unwrap().remove(0);
        let one = sign(promise(3));
        let leaf = Sha256Digest([9; 32]);
        assert!(!one.contradicts(&one));
        assert!(!one.contradicts(&sign(promise(4))));
        assert!(one.contradicts(&sign(Promise {
            leaf,
            counter: 4,
            ..promise(3)
        })));
        assert!(one.contradicts(&sign(Promise {
            leaf,
            index: 4,
            ..promise(3)
        })));
        let elsewhere = LogId::of_origin("example.com/other");
        assert!(!one.contradicts(&sign(Promise {
            leaf,
            log: elsewhere,
            ..promise(3)
        })));
    }
}
