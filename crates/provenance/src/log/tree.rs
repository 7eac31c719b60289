//! The Merkle tree of RFC 6962, section 2.1.
//!
//! Leaves hash as `SHA-256(0x00 ‖ entry)`, inner nodes as `SHA-256(0x01 ‖ left ‖ right)`, so that no entry can pass for
//! a node. The root of an empty tree is the digest of nothing.

use counterweight_primitives::Sha256Digest;
use counterweight_sha256::{digest_all, node_all};
use sha2::{Digest as _, Sha256};

/// Hash of an entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Sha256Digest {
    Sha256Digest(
        Sha256::new()
            .chain_update([0])
            .chain_update(entry)
            .finalize()
            .into(),
    )
}

/// Hashes of entries, side by side: many at once cost a fraction of as many calls of [`leaf_hash`].
#[must_use]
pub fn leaf_hashes<E: AsRef<[u8]>>(entries: &[E]) -> Vec<Sha256Digest> {
    let digests = digest_all(&[0], entries);
    digests.into_iter().map(Sha256Digest).collect()
}

/// Hash of a node over its two children.
#[must_use]
pub fn node_hash(left: &Sha256Digest, right: &Sha256Digest) -> Sha256Digest {
    Sha256Digest(
        Sha256::new()
            .chain_update([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// Root of a tree without entries.
#[must_use]
pub fn empty_root() -> Sha256Digest {
    Sha256Digest::of(b"")
}

/// Root of the tree over these leaf hashes (or over the roots of equal full subtrees). Takes one hash for each leaf, side
/// by side within a level.
#[must_use]
pub fn root(leaves: &[Sha256Digest]) -> Sha256Digest {
    match leaves {
        [] => return empty_root(),
        [leaf] => return *leaf,
        [left, right] => return node_hash(left, right),
        _ => {}
    }
    // Pairs from the left on, and a last one without a partner rises: the same tree as by splitting at the largest power
    // of two, level by level.
    let mut level: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.0).collect();
    while level.len() > 1 {
        let lone = if level.len().is_multiple_of(2) {
            None
        } else {
            level.last().copied()
        };
        level = node_all(1, &level);
        level.extend(lone);
    }
    level.first().map_or_else(empty_root, |root| Sha256Digest(*root))
}

/// Root of a tree of which each level's last tile is given, where that is not full: its hashes are smaller subtrees right
/// of those of the level above.
#[must_use]
pub fn edge_root(levels: &[Vec<Sha256Digest>]) -> Sha256Digest {
    let mut right: Option<Sha256Digest> = None;
    for hashes in levels {
        let mut peaks = Vec::new();
        let mut rest = hashes.as_slice();
        while !rest.is_empty() {
            // The largest power of two that fits.
            let (peak, after) = rest.split_at(split(rest.len() as u64 + 1) as usize);
            peaks.push(root(peak));
            rest = after;
        }
        for left in peaks.iter().rev() {
            right = Some(right.map_or(*left, |right| node_hash(left, &right)));
        }
    }
    right.unwrap_or_else(empty_root)
}

/// Number of leaves on the left of the root of a tree with `size` leaves, at least 2: the largest power of two
/// below `size`.
pub(crate) fn split(size: u64) -> u64 {
    1 << (63 - size.saturating_sub(1).max(1).leading_zeros())
}

/// The roots of the full subtrees that a tree consists of, largest first: all that is needed to append.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Sha256Digest>,
}

impl Frontier {
    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Sha256Digest) {
        let mut node = leaf;
        // Each trailing 1 of the old size is a peak as high as the node carried up.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        // A log of 2^64 entries cannot be filled: at a billion entries a second that takes 584 years.
        self.size += 1;
    }

    /// Root of the tree so far.
    #[must_use]
    pub fn root(&self) -> Sha256Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Entries and roots of the tests of Certificate Transparency's first implementation, which every later one repeats.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let entries = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(
            frontier.root().to_hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for (entry, expected) in entries.iter().zip(roots) {
            frontier.push(leaf_hash(&hex::decode(entry).unwrap()));
            assert_eq!(frontier.root().to_hex(), expected);
        }
    }

    #[test]
    fn the_left_side_is_the_largest_power_of_two_below() {
        for (size, left) in [
            (2, 1),
            (3, 2),
            (4, 2),
            (5, 4),
            (8, 4),
            (9, 8),
            (u64::MAX, 1 << 63),
        ] {
            assert_eq!(split(size), left);
        }
    }

    /// Section 2.1 of the RFC, word for word.
    fn by_definition(leaves: &[Sha256Digest]) -> Sha256Digest {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
                node_hash(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn roots_by_levels_are_those_by_definition() {
        let leaves: Vec<_> = (0..300_u32).map(|i| leaf_hash(&i.to_be_bytes())).collect();
        for size in 0..=leaves.len() {
            assert_eq!(root(&leaves[..size]), by_definition(&leaves[..size]), "{size}");
        }
        let entries: Vec<_> = (0..300_u32).map(u32::to_be_bytes).collect();
        assert_eq!(leaf_hashes(&entries), leaves);
    }

    proptest! {
        #[test]
        fn appending_gives_the_root_by_definition(size in 0_u64..600) {
            let leaves: Vec<_> = (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let mut frontier = Frontier::default();
            leaves.iter().for_each(|leaf| frontier.push(*leaf));
            prop_assert_eq!(frontier.size(), size);
            prop_assert_eq!(frontier.root(), root(&leaves));
        }
    }
}
