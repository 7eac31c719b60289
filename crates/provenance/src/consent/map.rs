//! A sparse Merkle map from 256-bit keys to values, with proofs of what is in it and of what is not.
//!
//! A perfect binary tree of depth 256 in which almost every leaf is empty. An empty subtree has the hash of 32 zero bytes
//! at every height, so that only paths to values are ever hashed, and a proof carries only the siblings that are not
//! empty. Leaf: SHA-256(0x02 ‖ key ‖ value). Node: SHA-256(0x03 ‖ left ‖ right), unless both are empty. The prefixes
//! are not those of the log's tree, so that no hash means something in both.

use counterweight_primitives::Sha256Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Depth of the tree: bits of a key.
const DEPTH: u16 = 256;

/// Hash of a subtree without values. Nobody knows bytes with this SHA-256.
const EMPTY: Sha256Digest = Sha256Digest([0; 32]);

/// Why a proof shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapProofError {
    /// Levels and siblings do not pair up, or levels do not ascend below 256.
    #[error("the proof has {siblings} hashes for {levels} levels, or levels out of order")]
    Malformed {
        /// Hashes given.
        siblings: usize,
        /// Levels given.
        levels: usize,
    },
    /// It leads elsewhere.
    #[error("the proof leads to the root {got}, expected {expected}")]
    OtherRoot {
        /// The root asked for.
        expected: Sha256Digest,
        /// Where it leads.
        got: Sha256Digest,
    },
}

/// The siblings on the way from the root to a key that are not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapProof {
    /// How far below the root each sibling's parent is, from 0, ascending.
    pub levels: Vec<u16>,
    /// The siblings, in the same order.
    pub siblings: Vec<Sha256Digest>,
}

fn leaf(key: &[u8; 32], value: &[u8]) -> Sha256Digest {
    let hash = Sha256::new()
        .chain_update([2])
        .chain_update(key)
        .chain_update(value);
    Sha256Digest(hash.finalize().into())
}

fn node(left: &Sha256Digest, right: &Sha256Digest) -> Sha256Digest {
    if *left == EMPTY && *right == EMPTY {
        return EMPTY;
    }
    let hash = Sha256::new()
        .chain_update([3])
        .chain_update(left.0)
        .chain_update(right.0);
    Sha256Digest(hash.finalize().into())
}

/// The bit of a key at a level: the highest bit of the first byte is that at level 0.
fn goes_right(key: &[u8; 32], level: u16) -> bool {
    let byte = key.get(usize::from(level / 8)).copied().unwrap_or_default();
    byte >> (7 - level % 8) & 1 == 1
}

fn join(key: &[u8; 32], level: u16, own: &Sha256Digest, sibling: &Sha256Digest) -> Sha256Digest {
    if goes_right(key, level) {
        node(sibling, own)
    } else {
        node(own, sibling)
    }
}

/// Leaves of a map in ascending order of key, each key once.
#[derive(Debug, Clone, Default)]
pub(super) struct Leaves(Vec<([u8; 32], Sha256Digest)>);

impl Leaves {
    /// Hashes values. Keys must ascend.
    pub(super) fn of<'a>(values: impl IntoIterator<Item = (&'a [u8; 32], Vec<u8>)>) -> Self {
        Self(
            values
                .into_iter()
                .map(|(key, value)| (*key, leaf(key, &value)))
                .collect(),
        )
    }

    /// The root. Takes some 256 hashes for each value.
    pub(super) fn root(&self) -> Sha256Digest {
        subtree(&self.0, 0)
    }

    /// The proof for a key, whether or not it is there.
    pub(super) fn prove(&self, key: &[u8; 32]) -> MapProof {
        let mut proof = MapProof::default();
        let mut rest = self.0.as_slice();
        for level in 0..DEPTH {
            if rest.is_empty() {
                break;
            }
            let (left, right) = rest.split_at(rest.partition_point(|(other, _)| !goes_right(other, level)));
            let (own, sibling) = if goes_right(key, level) {
                (right, left)
            } else {
                (left, right)
            };
            if !sibling.is_empty() {
                proof.levels.push(level);
                proof.siblings.push(subtree(sibling, level + 1));
            }
            rest = own;
        }
        proof
    }
}

/// The hash of the subtree at a level that holds these leaves.
fn subtree(leaves: &[([u8; 32], Sha256Digest)], level: u16) -> Sha256Digest {
    match leaves {
        [] => EMPTY,
        [(key, hash)] => (level..DEPTH)
            .rev()
            .fold(*hash, |own, level| join(key, level, &own, &EMPTY)),
        // Two keys differ in one of their 256 bits, so this ends before the last level.
        _ => {
            let (left, right) = leaves.split_at(leaves.partition_point(|(key, _)| !goes_right(key, level)));
            node(&subtree(left, level + 1), &subtree(right, level + 1))
        }
    }
}

impl MapProof {
    /// Checks that a key has a value under a root, or none where `value` is none.
    ///
    /// # Errors
    /// [`MapProofError`].
    pub fn verify(
        &self,
        root: &Sha256Digest,
        key: &[u8; 32],
        value: Option<&[u8]>,
    ) -> Result<(), MapProofError> {
        let ascending = self.levels.is_sorted_by(|a, b| a < b);
        if self.levels.len() != self.siblings.len()
            || !ascending
            || self.levels.last().is_some_and(|level| *level >= DEPTH)
        {
            return Err(MapProofError::Malformed {
                siblings: self.siblings.len(),
                levels: self.levels.len(),
            });
        }
        let mut given = self.levels.iter().zip(&self.siblings).rev().peekable();
        let mut own = value.map_or(EMPTY, |value| leaf(key, value));
        for level in (0..DEPTH).rev() {
            let sibling = given
                .next_if(|(at, _)| **at == level)
                .map_or(&EMPTY, |(_, sibling)| sibling);
            own = join(key, level, &own, sibling);
        }
        if own != *root {
            return Err(MapProofError::OtherRoot {
                expected: *root,
                got: own,
            });
        }
        Ok(())
    }
}
