//! Merkle trees over byte strings, docs/spec/dispute.md: leaves of 32 bytes, the length bound into the root.

use std::fmt;

use sha3::{Digest as _, Keccak256};

use super::BLOCK_BYTES;

/// Bytes of a leaf.
pub(super) const LEAF_BYTES: usize = 32;
/// Level of the nodes above blocks.
const BLOCK_LEVEL: usize = (BLOCK_BYTES / LEAF_BYTES).trailing_zeros() as usize;

const DOMAIN: &[u8] = b"counterweight/inference/bytes/v1";

/// Root of the tree over some bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Root(pub [u8; 32]);

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Leaves of a tree with what ties them to its root. Which leaves they are follows from the question.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opening {
    /// 32 bytes each, in order.
    pub leaves: Vec<u8>,
    /// Nodes that cannot be computed: level by level from the leaves up, from left to right.
    pub siblings: Vec<[u8; 32]>,
}

/// The tree over some bytes, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteTree {
    data: Vec<u8>,
    /// From the leaves' hashes up to the top.
    levels: Vec<Vec<[u8; 32]>>,
}

pub(super) fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Keccak256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

fn leaf(data: &[u8], index: usize) -> [u8; LEAF_BYTES] {
    let mut leaf = [0; LEAF_BYTES];
    let from = index * LEAF_BYTES;
    let bytes = &data[from..data.len().min(from + LEAF_BYTES)];
    leaf[..bytes.len()].copy_from_slice(bytes);
    leaf
}

fn above(level: &[[u8; 32]]) -> Vec<[u8; 32]> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => keccak(&[left, right]),
            // The last node of a level of odd width rises as it is.
            _ => pair[0],
        })
        .collect()
}

fn root(length: usize, top: &[u8; 32]) -> Root {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&(length as u64).to_be_bytes());
    Root(keccak(&[&keccak(&[DOMAIN]), &word, top]))
}

impl ByteTree {
    /// The tree over some bytes; nothing for none.
    #[must_use]
    pub fn new(data: Vec<u8>) -> Option<Self> {
        if data.is_empty() {
            return None;
        }
        let leaves = (0..data.len().div_ceil(LEAF_BYTES))
            .map(|index| keccak(&[&leaf(&data, index)]))
            .collect();
        let mut levels: Vec<Vec<[u8; 32]>> = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            levels.push(above(level));
        }
        Some(Self { data, levels })
    }

    /// Its root.
    #[must_use]
    pub fn root(&self) -> Root {
        let top = self.levels.last().and_then(|level| level.first());
        root(self.data.len(), top.unwrap_or(&[0; 32]))
    }

    /// The bytes it is over.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Opens leaves, given in increasing order; those that are not there are left out.
    #[must_use]
    pub fn open(&self, leaves: &[usize]) -> Opening {
        let mut known: Vec<usize> = leaves.to_vec();
        known.retain(|index| *index < self.levels[0].len());
        known.dedup();
        let bytes = known.iter().flat_map(|index| leaf(&self.data, *index)).collect();
        let mut siblings = Vec::new();
        for level in &self.levels[..self.levels.len() - 1] {
            let mut next = Vec::with_capacity(known.len());
            for index in &known {
                let sibling = index ^ 1;
                if known.binary_search(&sibling).is_err()
                    && let Some(node) = level.get(sibling)
                {
                    siblings.push(*node);
                }
                if next.last() != Some(&(index / 2)) {
                    next.push(index / 2);
                }
            }
            known = next;
        }
        Opening {
            leaves: bytes,
            siblings,
        }
    }

    /// The bytes of a block and the nodes from it to the top; nothing if it is not there.
    #[must_use]
    pub fn block(&self, index: usize) -> Option<(&[u8], Vec<[u8; 32]>)> {
        let bytes = self.data.chunks(BLOCK_BYTES).nth(index)?;
        let mut at = index;
        let mut siblings = Vec::new();
        for level in self.levels.iter().skip(BLOCK_LEVEL) {
            siblings.extend(level.get(at ^ 1).filter(|_| level.len() > 1));
            at /= 2;
        }
        Some((bytes, siblings))
    }

    /// The node above each block; the top where there is one block.
    #[must_use]
    pub fn tops(&self) -> &[[u8; 32]] {
        let level = BLOCK_LEVEL.min(self.levels.len() - 1);
        &self.levels[level]
    }
}

impl Root {
    /// Whether these are the nodes above the blocks of the `length` bytes behind this root.
    #[must_use]
    pub fn has_tops(self, length: usize, tops: &[[u8; 32]]) -> bool {
        if length == 0 || tops.len() != length.div_ceil(BLOCK_BYTES) {
            return false;
        }
        let mut level = tops.to_vec();
        while level.len() > 1 {
            level = above(&level);
        }
        root(length, &level[0]) == self
    }

    /// Whether `data` is block `index` of the `length` bytes behind this root.
    #[must_use]
    pub fn has_block(self, length: usize, mut index: usize, data: &[u8], siblings: &[[u8; 32]]) -> bool {
        let mut width = length.div_ceil(BLOCK_BYTES);
        if index >= width || data.len() != BLOCK_BYTES.min(length - index * BLOCK_BYTES) {
            return false;
        }
        let Some(tree) = Self::top_of(data) else {
            return false;
        };
        let mut node = tree;
        let mut siblings = siblings.iter();
        while width > 1 {
            if index % 2 == 1 || index + 1 < width {
                let Some(sibling) = siblings.next() else {
                    return false;
                };
                node = if index % 2 == 1 {
                    keccak(&[sibling, &node])
                } else {
                    keccak(&[&node, sibling])
                };
            }
            index /= 2;
            width = width.div_ceil(2);
        }
        siblings.next().is_none() && root(length, &node) == self
    }

    /// Whether `opening` has the leaves at `indices`, which increase strictly, of the `length` bytes behind this root.
    #[must_use]
    pub fn has(self, length: usize, indices: &[usize], opening: &Opening) -> bool {
        let mut width = length.div_ceil(LEAF_BYTES);
        let increases = indices.windows(2).all(|pair| pair[0] < pair[1]);
        if !increases
            || indices.last().is_none_or(|last| *last >= width)
            || opening.leaves.len() != indices.len() * LEAF_BYTES
        {
            return false;
        }
        let leaves = opening.leaves.chunks(LEAF_BYTES).map(|leaf| keccak(&[leaf]));
        let mut nodes: Vec<(usize, [u8; 32])> = indices.iter().copied().zip(leaves).collect();
        let mut siblings = opening.siblings.iter();
        while width > 1 {
            let mut next: Vec<(usize, [u8; 32])> = Vec::with_capacity(nodes.len());
            let mut rest = nodes.iter().peekable();
            while let Some((index, node)) = rest.next() {
                let joined = if index % 2 == 1 {
                    let Some(left) = siblings.next() else { return false };
                    keccak(&[left, node])
                } else if index + 1 == width {
                    *node
                } else if let Some((_, right)) = rest.next_if(|(following, _)| *following == index + 1) {
                    keccak(&[node, right])
                } else {
                    let Some(right) = siblings.next() else {
                        return false;
                    };
                    keccak(&[node, right])
                };
                next.push((index / 2, joined));
            }
            nodes = next;
            width = width.div_ceil(2);
        }
        siblings.next().is_none() && nodes.first().is_some_and(|(_, top)| root(length, top) == self)
    }

    fn top_of(data: &[u8]) -> Option<[u8; 32]> {
        let tree = ByteTree::new(data.to_vec())?;
        tree.levels.last()?.first().copied()
    }
}

/// Opens a leaf of a longer string of which one block and the tops of all blocks are known. `leaf` counts from the string's start.
pub(super) fn open_in_block(block: Vec<u8>, index: usize, tops: &[[u8; 32]], leaf: usize) -> Option<Opening> {
    let within = leaf.checked_sub(index * (BLOCK_BYTES / LEAF_BYTES))?;
    let tree = ByteTree::new(block)?;
    if within >= tree.levels[0].len() {
        return None;
    }
    let mut opening = tree.open(&[within]);
    let mut at = index;
    let mut level = tops.to_vec();
    while level.len() > 1 {
        opening.siblings.extend(level.get(at ^ 1));
        level = above(&level);
        at /= 2;
    }
    Some(opening)
}
