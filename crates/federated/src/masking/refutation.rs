//! What shows a ledger that a posted sum is wrong: shares that open the seeds of the masks left in it, and one block.
//!
//! Everything is taken from public records and ordered as the contract `SumDisputes` reads it
//! (`docs/spec/masked-rounds.md`).

use std::collections::{BTreeMap, BTreeSet};

use counterweight_primitives::Sha256Digest;
use counterweight_provenance::log::proof::{Nodes, ProofError, inclusion_path};
use counterweight_provenance::log::tree::{leaf_hashes, root};

use super::{
    group::{Group, Place},
    member::{Announcement, Dealing, Unmasking},
    recovery::{RecoverError, recover, right_shares},
    roots::{BLOCK_WORDS, shares_leaves, vector_leaves},
    sharing::Kind,
};

/// A share, with what shows that it was dealt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedShare {
    /// Whose share it is.
    pub place: Place,
    /// The share, a canonical scalar.
    pub share: [u8; 32],
    /// The digests of its other two shares, in the order key, seed, blind.
    pub others: [[u8; 32]; 2],
    /// From the leaf of its place to the root of the dealing's shares.
    pub path: Vec<Sha256Digest>,
}

/// A secret's shares, as many as the threshold, in order of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedSecret {
    /// Who dealt it.
    pub dealer: Place,
    /// The dealt points: of the key, the seed and the blind.
    pub points: [[u8; 32]; 3],
    /// From the leaf of the dealer's place to the root.
    pub path: Vec<Sha256Digest>,
    /// The shares.
    pub shares: Vec<OpenedShare>,
}

/// One block of a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedBlock {
    /// Its words, little endian.
    pub words: [u8; 4 * BLOCK_WORDS],
    /// From its leaf to the vector's root.
    pub path: Vec<Sha256Digest>,
}

/// What refutes a posted sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refutation {
    /// What opens the self-mask of each survivor.
    pub seeds: Vec<OpenedSecret>,
    /// What opens the key of each member that took part and dropped out.
    pub keys: Vec<OpenedSecret>,
    /// Places of the survivors, in order.
    pub survivors: Vec<Place>,
    /// The first wrong block, counted from 0.
    pub number: u32,
    /// That block of the posted sum.
    pub posted: OpenedBlock,
    /// That block of each survivor's vector, in order of places.
    pub masked: Vec<OpenedBlock>,
}

/// Recomputes a sum from public messages and gives what refutes the posted one, if it is wrong.
///
/// # Errors
/// [`RecoverError`] where there is no sum to compare with: nothing can be shown then.
pub fn refute(
    group: &Group,
    announced: &[Announcement],
    dealings: &[Dealing],
    masked: &BTreeMap<Place, Vec<u32>>,
    unmaskings: &[Unmasking],
    posted: &[i32],
) -> Result<Option<Refutation>, RecoverError> {
    let right = recover(group, announced, dealings, masked, unmaskings)?;
    let wrong = right
        .iter()
        .zip(posted)
        .position(|(right, posted)| right != posted);
    let Some(at) = wrong else {
        return Ok(None);
    };
    // A vector's length is at most 2^32 words on the ledger.
    let number = (at / BLOCK_WORDS) as u32;
    let shown = open_block(posted, number);
    refute_block(group, dealings, masked, unmaskings, number, shown).map(Some)
}

/// What refutes a sum of which one wrong block is known.
///
/// # Errors
/// [`RecoverError::TooFewShares`].
pub fn refute_block(
    group: &Group,
    dealings: &[Dealing],
    masked: &BTreeMap<Place, Vec<u32>>,
    unmaskings: &[Unmasking],
    number: u32,
    posted: OpenedBlock,
) -> Result<Refutation, RecoverError> {
    let survivors: BTreeSet<Place> = masked.keys().copied().collect();
    let (mut seeds, mut keys) = (Vec::new(), Vec::new());
    let mut dealings: Vec<_> = dealings.iter().collect();
    dealings.sort_by_key(|dealing| dealing.from);
    for dealing in dealings {
        if survivors.contains(&dealing.from) {
            seeds.push(open(group, dealing, Kind::Seed, unmaskings)?);
        } else {
            keys.push(open(group, dealing, Kind::Key, unmaskings)?);
        }
    }
    Ok(Refutation {
        seeds,
        keys,
        survivors: survivors.into_iter().collect(),
        number,
        posted,
        masked: masked.values().map(|vector| block(vector, number)).collect(),
    })
}

/// A block of a sum with its path, as a demand for it is answered.
#[must_use]
pub fn open_block(sum: &[i32], number: u32) -> OpenedBlock {
    block(&bits(sum), number)
}

/// What to do about a posted root that is not the right sum's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// Demand this block: what was shown does not tell yet which one is wrong.
    Demand(u32),
    /// This block was shown and is wrong.
    Refute {
        /// The block, counted from 0.
        number: u32,
        /// As it was shown.
        posted: OpenedBlock,
    },
    /// Everything that differs was shown, and no coordinate is wrong: only what fills up the last block is.
    Nothing,
}

/// Decides from the right sum and the blocks that were shown so far. Each shown block tells the roots of all the others, so a
/// wrong block among n is found with at most about log2 n demands.
#[must_use]
pub fn next_step(right: &[i32], shown: &BTreeMap<u32, OpenedBlock>) -> NextStep {
    let words = bits(right);
    let leaves = vector_leaves(&words);
    let hashes = leaf_hashes(&leaves);
    for (number, posted) in shown {
        let from = *number as usize * BLOCK_WORDS;
        let coordinates = right.len().saturating_sub(from).min(BLOCK_WORDS) * 4;
        let own = leaves.get(*number as usize);
        if own.is_some_and(|own| own[..coordinates] != posted.words[..coordinates]) {
            return NextStep::Refute {
                number: *number,
                posted: posted.clone(),
            };
        }
    }
    // Before anything was shown any block may be wrong; afterwards one behind a hash that is.
    let mut candidates = Vec::new();
    if shown.is_empty() {
        candidates.push((0, hashes.len()));
    }
    for (number, posted) in shown {
        let ranges = sibling_ranges(*number as usize, hashes.len());
        let differing = ranges.into_iter().zip(&posted.path).filter(|((from, to), hash)| {
            let part = hashes.get(*from..*to);
            part.is_some_and(|part| root(part) != **hash)
        });
        candidates.extend(differing.map(|(range, _)| range));
    }
    // The smallest part first: each demand in it at least halves what is left.
    candidates.sort_by_key(|(from, to)| to - from);
    // A vector's length is at most 2^32 words on the ledger.
    let hidden = |(from, to): (usize, usize)| {
        (from..to)
            .map(|number| number as u32)
            .find(|number| !shown.contains_key(number))
    };
    let next = candidates.into_iter().find_map(hidden);
    next.map_or(NextStep::Nothing, NextStep::Demand)
}

/// Which leaves stand behind each hash of a path, from the leaf up.
fn sibling_ranges(index: usize, size: usize) -> Vec<(usize, usize)> {
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - start > 1 {
        let middle = start + (end - start).next_power_of_two() / 2;
        if index < middle {
            ranges.push((middle, end));
            end = middle;
        } else {
            ranges.push((start, middle));
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

fn bits(sum: &[i32]) -> Vec<u32> {
    sum.iter().map(|word| *word as u32).collect()
}

fn open(
    group: &Group,
    dealing: &Dealing,
    kind: Kind,
    unmaskings: &[Unmasking],
) -> Result<OpenedSecret, RecoverError> {
    let dealer = dealing.from;
    let mut leaves = Leaves(leaf_hashes(&shares_leaves(dealer, &dealing.sharing)));
    let shares = right_shares(group, dealing, kind, unmaskings)?
        .into_iter()
        .filter_map(|(place, (_, share))| {
            let [key, seed, blind] = *dealing.sharing.digests.get(&place)?;
            Some(OpenedShare {
                place,
                share: share.to_bytes(),
                others: [if kind == Kind::Key { seed } else { key }, blind],
                path: leaves.path(usize::from(place.0)),
            })
        })
        .take(usize::from(group.threshold))
        .collect();
    Ok(OpenedSecret {
        dealer,
        points: dealing.sharing.points,
        path: leaves.path(usize::from(dealer.0)),
        shares,
    })
}

fn block(words: &[u32], number: u32) -> OpenedBlock {
    let leaves = vector_leaves(words);
    let number = number as usize;
    OpenedBlock {
        words: leaves.get(number).copied().unwrap_or([0; 4 * BLOCK_WORDS]),
        path: Leaves(leaf_hashes(&leaves)).path(number),
    }
}

/// A tree of RFC 6962 by its leaves' hashes.
struct Leaves(Vec<Sha256Digest>);

impl Leaves {
    /// Nothing for a leaf that is not there: no proof, rather than a panic.
    fn path(&mut self, index: usize) -> Vec<Sha256Digest> {
        let size = self.0.len() as u64;
        inclusion_path(self, index as u64, size).unwrap_or_default()
    }
}

impl Nodes for Leaves {
    type Error = ProofError;

    fn node(&mut self, height: u32, index: u64) -> Result<Sha256Digest, ProofError> {
        let from = (index << height) as usize;
        let size = self.0.len() as u64;
        let part = self.0.get(from..from + (1 << height));
        Ok(root(part.ok_or(ProofError::BeyondTree { index, size })?))
    }
}

#[cfg(test)]
mod tests;
