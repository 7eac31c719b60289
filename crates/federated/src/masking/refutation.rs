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
    let number = at / BLOCK_WORDS;
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
    let posted: Vec<u32> = posted.iter().map(|word| *word as u32).collect();
    Ok(Some(Refutation {
        seeds,
        keys,
        survivors: survivors.into_iter().collect(),
        // A vector's length is at most 2^32 words on the ledger.
        number: number as u32,
        posted: block(&posted, number),
        masked: masked.values().map(|vector| block(vector, number)).collect(),
    }))
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

fn block(words: &[u32], number: usize) -> OpenedBlock {
    let leaves = vector_leaves(words);
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
