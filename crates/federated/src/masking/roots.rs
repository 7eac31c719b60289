//! Roots by which a dispute opens one block of a vector or one share's digest: trees of RFC 6962 with SHA-256.

use counterweight_primitives::Sha256Digest;
use counterweight_provenance::log::tree::{leaf_hashes, root};

use super::{Place, Sharing};

/// Words of one leaf of a vector: what one block of ChaCha20 masks.
pub const BLOCK_WORDS: usize = 16;

/// Root over a vector's blocks of 16 little-endian words, the last one padded with zeros. A sum's signed words are taken
/// by their bits.
#[must_use]
pub fn vector_root(words: &[u32]) -> Sha256Digest {
    root(&leaf_hashes(&vector_leaves(words)))
}

/// The leaves of [`vector_root`].
#[must_use]
pub fn vector_leaves(words: &[u32]) -> Vec<[u8; 4 * BLOCK_WORDS]> {
    let leaf = |block: &[u32]| {
        let mut leaf = [0; 4 * BLOCK_WORDS];
        for (bytes, word) in leaf.as_chunks_mut::<4>().0.iter_mut().zip(block) {
            *bytes = word.to_le_bytes();
        }
        leaf
    };
    words.chunks(BLOCK_WORDS).map(leaf).collect()
}

/// Root over what a dealing is bound to, one leaf for each place of the group: the place (2 big-endian bytes), then the
/// digests of its three shares, or at the dealer's own place the dealt points. Without the points there, a dealer and a
/// neighbour in league could open a second secret against an honest sum.
#[must_use]
pub fn shares_root(dealer: Place, sharing: &Sharing) -> Sha256Digest {
    root(&leaf_hashes(&shares_leaves(dealer, sharing)))
}

/// The leaves of [`shares_root`].
#[must_use]
pub fn shares_leaves(dealer: Place, sharing: &Sharing) -> Vec<[u8; 98]> {
    let mut places = sharing.digests.clone();
    places.insert(dealer, sharing.points);
    let leaf = |(place, values): (&Place, &[[u8; 32]; 3])| {
        let mut leaf = [0; 98];
        leaf[..2].copy_from_slice(&place.0.to_be_bytes());
        leaf[2..].copy_from_slice(values.as_flattened());
        leaf
    };
    places.iter().map(leaf).collect()
}
