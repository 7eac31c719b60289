//! The state trie, updated a block at a time.
//!
//! This is the secure Merkle Patricia trie of the Yellow Paper, appendix D, with 32-byte keys, so that no branch
//! holds a value. Only branches are stored, each under its full path and with the references of its children, so an
//! update reads and writes the branches on the way to what changed, once for all changes of a block. Values of leaves are
//! in the state tables; an extension follows from the distance between a branch and its parent.
//!
//! # Differences from the textbook
//!
//! - A branch remembers the whole key of each leaf below it and the path of each branch, so that a branch left with
//!   one child folds away without searching for that child.
//! - Nothing is stored for a trie but its branches and one root record under [`ROOT_PATH`].

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, keccak256};
use alloy_trie::nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode};
use alloy_trie::{Nibbles, TrieMask};

use super::EmbeddedError;

/// What a trie is updated from.
pub(crate) trait TrieReader {
    /// A stored record.
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EmbeddedError>;
    /// RLP of the value under a key of the trie, as it was before the update.
    fn leaf(&self, trie: &B256, key: &B256) -> Result<Option<Vec<u8>>, EmbeddedError>;
}

/// A key and the RLP of its new value, `None` to remove it.
pub(crate) type Change = (B256, Option<Vec<u8>>);

/// Records to write, `None` to remove.
pub(crate) type NodeWrites = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Takes the place of a path in the key of a trie's root record; no nibble has this value.
const ROOT_PATH: u8 = 0xff;

/// Leading nibbles of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Path {
    key: B256,
    len: usize,
}

fn nibble(key: &B256, at: usize) -> usize {
    let byte = key.0[at / 2];
    usize::from(if at.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 0xf
    })
}

fn common_prefix(a: &B256, b: &B256) -> usize {
    match a.0.iter().zip(&b.0).position(|(a, b)| a != b) {
        None => 64,
        Some(byte) => 2 * byte + usize::from(a.0[byte] >> 4 == b.0[byte] >> 4),
    }
}

/// What hangs below a place in the trie.
#[derive(Clone, Debug)]
enum Child {
    Empty,
    /// A leaf; the reference is of the leaf node as it hangs at this place.
    Leaf {
        key: B256,
        reference: RlpNode,
    },
    /// A branch, possibly further down; the reference is of the branch itself, without an extension.
    Branch {
        path: Path,
        reference: RlpNode,
    },
}

impl Child {
    /// The node a parent at `depth - 1` refers to.
    fn reference_at(&self, depth: usize, buffer: &mut Vec<u8>) -> Option<RlpNode> {
        match self {
            Self::Empty => None,
            Self::Leaf { reference, .. } => Some(reference.clone()),
            Self::Branch { path, reference } if path.len == depth => Some(reference.clone()),
            Self::Branch { path, reference } => {
                let between = Nibbles::unpack_array(&path.key.0).slice(depth..path.len);
                buffer.clear();
                Some(ExtensionNodeRef::new(&between, reference).rlp(buffer))
            }
        }
    }
}

fn node_key(trie: &B256, path: &Path) -> Vec<u8> {
    let mut key = Vec::with_capacity(33 + path.len);
    key.extend_from_slice(trie.as_slice());
    key.extend((0..path.len).map(|at| nibble(&path.key, at) as u8));
    key
}

fn root_key(trie: &B256) -> Vec<u8> {
    let mut key = Vec::with_capacity(33);
    key.extend_from_slice(trie.as_slice());
    key.push(ROOT_PATH);
    key
}

/// Kinds of children in a record.
const LEAF: u8 = 1;
const BRANCH: u8 = 2;

fn write_child(out: &mut Vec<u8>, place: u8, child: &Child) {
    let (kind, key, len, reference) = match child {
        Child::Empty => return,
        Child::Leaf { key, reference } => (LEAF, key, 64, reference),
        Child::Branch { path, reference } => (BRANCH, &path.key, path.len, reference),
    };
    out.extend_from_slice(&[place, kind, len as u8]);
    out.extend_from_slice(&key.0[..len.div_ceil(2)]);
    out.push(reference.len() as u8);
    out.extend_from_slice(reference);
}

fn damaged() -> EmbeddedError {
    EmbeddedError::Damaged {
        what: "a record of the state trie cannot be read".to_owned(),
    }
}

fn read_child(record: &[u8]) -> Result<(u8, Child, &[u8]), EmbeddedError> {
    let (&[place, kind, len], rest) = record.split_first_chunk::<3>().ok_or_else(damaged)?;
    let len = usize::from(len);
    let (head, rest) = rest.split_at_checked(len.div_ceil(2)).ok_or_else(damaged)?;
    let mut key = B256::ZERO;
    key.0
        .get_mut(..head.len())
        .ok_or_else(damaged)?
        .copy_from_slice(head);
    let (&reference_len, rest) = rest.split_first().ok_or_else(damaged)?;
    let (reference, rest) = rest
        .split_at_checked(usize::from(reference_len))
        .ok_or_else(damaged)?;
    let reference = RlpNode::from_raw(reference).ok_or_else(damaged)?;
    let child = match kind {
        LEAF if len == 64 => Child::Leaf { key, reference },
        BRANCH if len < 64 => Child::Branch {
            path: Path { key, len },
            reference,
        },
        _ => return Err(damaged()),
    };
    Ok((place, child, rest))
}

type Children = [Child; 16];

fn no_children() -> Children {
    [const { Child::Empty }; 16]
}

fn read_branch(mut record: &[u8]) -> Result<Children, EmbeddedError> {
    let mut children = no_children();
    while !record.is_empty() {
        let (place, child, rest) = read_child(record)?;
        *children.get_mut(usize::from(place)).ok_or_else(damaged)? = child;
        record = rest;
    }
    Ok(children)
}

struct Update<'a, R> {
    reader: &'a R,
    trie: &'a B256,
    changes: &'a [Change],
    writes: &'a mut NodeWrites,
    buffer: Vec<u8>,
}

/// Applies changes, sorted by key and each key once, to a trie and says its new root. What must be stored for it is
/// added to `writes`.
pub(crate) fn update<R: TrieReader>(
    reader: &R,
    trie: &B256,
    changes: &[Change],
    writes: &mut NodeWrites,
) -> Result<B256, EmbeddedError> {
    let root_key = root_key(trie);
    let before = match reader.node(&root_key)? {
        None => Child::Empty,
        Some(record) => read_child(&record)?.1,
    };
    let mut update = Update {
        reader,
        trie,
        changes,
        writes,
        buffer: Vec::with_capacity(600),
    };
    let after = update.apply(0, before, changes)?;
    let root = match after.reference_at(0, &mut update.buffer) {
        None => EMPTY_ROOT_HASH,
        // A node shorter than 32 bytes stands for itself within others, yet the root is always a hash.
        Some(reference) => reference.as_hash().unwrap_or_else(|| keccak256(&reference)),
    };
    let record = match after {
        Child::Empty => None,
        child => {
            let mut record = Vec::with_capacity(70);
            write_child(&mut record, 0, &child);
            Some(record)
        }
    };
    writes.push((root_key, record));
    Ok(root)
}

/// The nodes on the way to a key, from the root down: to its leaf, or to where the way ends without it. Those that stand within
/// their parents are left out.
pub(crate) fn prove<R: TrieReader>(
    reader: &R,
    trie: &B256,
    key: &B256,
    nodes: &mut Vec<alloy_primitives::Bytes>,
) -> Result<(), EmbeddedError> {
    let mut child = match reader.node(&root_key(trie))? {
        None => return Ok(()),
        Some(record) => read_child(&record)?.1,
    };
    let mut depth = 0;
    let mut buffer = Vec::with_capacity(600);
    let mut keep = |depth: usize, node: &mut Vec<u8>| {
        // The root is referred to by its hash, however short it is.
        if node.len() >= 32 || depth == 0 {
            nodes.push(node.clone().into());
        }
        node.clear();
    };
    loop {
        let path = match child {
            Child::Empty => return Ok(()),
            Child::Leaf { key: found, .. } => {
                let value = reader.leaf(trie, &found)?.ok_or_else(damaged)?;
                let suffix = Nibbles::unpack_array(&found.0).slice(depth..);
                LeafNodeRef::new(&suffix, &value).rlp(&mut buffer);
                keep(depth, &mut buffer);
                return Ok(());
            }
            Child::Branch { path, reference } => {
                if path.len > depth {
                    let between = Nibbles::unpack_array(&path.key.0).slice(depth..path.len);
                    ExtensionNodeRef::new(&between, &reference).rlp(&mut buffer);
                    keep(depth, &mut buffer);
                    if common_prefix(key, &path.key) < path.len {
                        return Ok(());
                    }
                }
                path
            }
        };
        let record = reader.node(&node_key(trie, &path))?.ok_or_else(damaged)?;
        let mut children = read_branch(&record)?;
        let mut stack = Vec::with_capacity(16);
        let mut mask = TrieMask::default();
        for (place, below) in (0..16).zip(&children) {
            if let Some(reference) = below.reference_at(path.len + 1, &mut buffer) {
                stack.push(reference);
                mask.set_bit(place);
            }
        }
        buffer.clear();
        BranchNodeRef::new(&stack, mask).rlp(&mut buffer);
        keep(path.len, &mut buffer);
        depth = path.len + 1;
        child = std::mem::replace(&mut children[nibble(key, path.len)], Child::Empty);
    }
}

impl<R: TrieReader> Update<'_, R> {
    /// What hangs at `depth` once `changes`, which all lie below this place, are made.
    fn apply(&mut self, depth: usize, before: Child, changes: &[Change]) -> Result<Child, EmbeddedError> {
        if changes.is_empty() {
            return Ok(before);
        }
        match before {
            Child::Empty => self.build(depth, &live(changes)),
            Child::Leaf { key, reference } => match changes.binary_search_by_key(&key, |(key, _)| *key) {
                Ok(_) => self.build(depth, &live(changes)),
                Err(_) => {
                    let mut items = live(changes);
                    if items.is_empty() {
                        return Ok(Child::Leaf { key, reference });
                    }
                    let value = self.old_value(&key)?;
                    let place = items.partition_point(|(other, _)| *other < key);
                    items.insert(place, (key, &value));
                    self.build(depth, &items)
                }
            },
            Child::Branch { path, reference } => self.apply_to_branch(depth, path, reference, changes),
        }
    }

    fn apply_to_branch(
        &mut self,
        depth: usize,
        path: Path,
        reference: RlpNode,
        changes: &[Change],
    ) -> Result<Child, EmbeddedError> {
        // Removing what lies off the branch's path changes nothing.
        let split = changes
            .iter()
            .filter(|(_, value)| value.is_some())
            .map(|(key, _)| common_prefix(key, &path.key).min(path.len))
            .min()
            .unwrap_or(path.len);
        if split < path.len {
            let mut children = no_children();
            for (place, below) in by_nibble(changes, split, &path.key) {
                let child = if place == nibble(&path.key, split) {
                    Child::Branch {
                        path,
                        reference: reference.clone(),
                    }
                } else {
                    Child::Empty
                };
                children[place] = self.apply(split + 1, child, below)?;
            }
            let own = nibble(&path.key, split);
            if matches!(children[own], Child::Empty) && !touches(changes, split, own, &path.key) {
                children[own] = Child::Branch { path, reference };
            }
            return self.finish(
                depth,
                Path {
                    key: path.key,
                    len: split,
                },
                children,
                false,
            );
        }
        let record = self
            .reader
            .node(&node_key(self.trie, &path))?
            .ok_or_else(damaged)?;
        let mut children = read_branch(&record)?;
        for (place, below) in by_nibble(changes, path.len, &path.key) {
            let child = std::mem::replace(&mut children[place], Child::Empty);
            children[place] = self.apply(path.len + 1, child, below)?;
        }
        self.finish(depth, path, children, true)
    }

    /// A subtree at `depth` from nothing but these items, sorted by key.
    fn build(&mut self, depth: usize, items: &[(B256, &Vec<u8>)]) -> Result<Child, EmbeddedError> {
        let (Some((first, value)), Some((last, _))) = (items.first(), items.last()) else {
            return Ok(Child::Empty);
        };
        if items.len() == 1 {
            return Ok(self.leaf(depth, *first, value));
        }
        let len = common_prefix(first, last);
        let mut children = no_children();
        let mut rest = items;
        while let Some((key, _)) = rest.first() {
            let place = nibble(key, len);
            let (these, others) = rest.split_at(rest.partition_point(|(key, _)| nibble(key, len) == place));
            children[place] = self.build(len + 1, these)?;
            rest = others;
        }
        self.finish(depth, Path { key: *first, len }, children, false)
    }

    fn leaf(&mut self, depth: usize, key: B256, value: &[u8]) -> Child {
        let suffix = Nibbles::unpack_array(&key.0).slice(depth..);
        self.buffer.clear();
        Child::Leaf {
            key,
            reference: LeafNodeRef::new(&suffix, value).rlp(&mut self.buffer),
        }
    }

    /// Value of a leaf that is not changed by this update, or is and keeps on existing.
    fn old_value(&self, key: &B256) -> Result<Vec<u8>, EmbeddedError> {
        if let Ok(at) = self.changes.binary_search_by_key(key, |(key, _)| *key)
            && let Some(value) = &self.changes[at].1
        {
            return Ok(value.clone());
        }
        self.reader.leaf(self.trie, key)?.ok_or_else(damaged)
    }

    /// The branch at `path`, hanging at `depth`, or what is left where it has fewer than two children.
    fn finish(
        &mut self,
        depth: usize,
        path: Path,
        children: Children,
        stored: bool,
    ) -> Result<Child, EmbeddedError> {
        let mut path = path;
        // Bits beyond the path would make equal branches differ as records.
        path.key = masked(&path.key, path.len);
        let count = children
            .iter()
            .filter(|child| !matches!(child, Child::Empty))
            .count();
        if count < 2 {
            if stored {
                self.writes.push((node_key(self.trie, &path), None));
            }
            return match children.into_iter().find(|child| !matches!(child, Child::Empty)) {
                None => Ok(Child::Empty),
                Some(Child::Leaf { key, .. }) => {
                    let value = self.old_value(&key)?;
                    Ok(self.leaf(depth, key, &value))
                }
                Some(branch) => Ok(branch),
            };
        }
        let mut stack = Vec::with_capacity(count);
        let mut mask = TrieMask::default();
        let mut record = Vec::with_capacity(count * 70);
        for (place, child) in children.iter().enumerate() {
            if let Some(reference) = child.reference_at(path.len + 1, &mut self.buffer) {
                stack.push(reference);
                mask.set_bit(place as u8);
                write_child(&mut record, place as u8, child);
            }
        }
        self.buffer.clear();
        let reference = BranchNodeRef::new(&stack, mask).rlp(&mut self.buffer);
        self.writes.push((node_key(self.trie, &path), Some(record)));
        Ok(Child::Branch { path, reference })
    }
}

fn masked(key: &B256, len: usize) -> B256 {
    let mut masked = B256::ZERO;
    let whole = len / 2;
    masked.0[..whole].copy_from_slice(&key.0[..whole]);
    if !len.is_multiple_of(2) {
        masked.0[whole] = key.0[whole] & 0xf0;
    }
    masked
}

fn live(changes: &[Change]) -> Vec<(B256, &Vec<u8>)> {
    changes
        .iter()
        .filter_map(|(key, value)| value.as_ref().map(|value| (*key, value)))
        .collect()
}

/// Splits changes that share the first `at` nibbles with `prefix` by the next; others are removals of what is not
/// there, and left out.
fn by_nibble<'c>(
    changes: &'c [Change],
    at: usize,
    prefix: &B256,
) -> impl Iterator<Item = (usize, &'c [Change])> + use<'c> {
    let start = changes.partition_point(|(key, _)| masked(key, at) < masked(prefix, at));
    let end = changes.partition_point(|(key, _)| masked(key, at) <= masked(prefix, at));
    let mut rest = &changes[start..end];
    std::iter::from_fn(move || {
        let place = nibble(&rest.first()?.0, at);
        let (these, others) = rest.split_at(rest.partition_point(|(key, _)| nibble(key, at) == place));
        rest = others;
        Some((place, these))
    })
}

fn touches(changes: &[Change], at: usize, place: usize, prefix: &B256) -> bool {
    by_nibble(changes, at, prefix).any(|(other, _)| other == place)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alloy_trie::HashBuilder;
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Memory {
        nodes: BTreeMap<Vec<u8>, Vec<u8>>,
        leaves: BTreeMap<B256, Vec<u8>>,
    }

    impl TrieReader for Memory {
        fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EmbeddedError> {
            Ok(self.nodes.get(key).cloned())
        }

        fn leaf(&self, _trie: &B256, key: &B256) -> Result<Option<Vec<u8>>, EmbeddedError> {
            Ok(self.leaves.get(key).cloned())
        }
    }

    impl Memory {
        fn update(&mut self, changes: BTreeMap<B256, Option<Vec<u8>>>) -> B256 {
            let changes: Vec<Change> = changes.into_iter().collect();
            let mut writes = NodeWrites::new();
            let root = update(self, &B256::ZERO, &changes, &mut writes).unwrap();
            for (key, record) in writes {
                match record {
                    Some(record) => self.nodes.insert(key, record),
                    None => self.nodes.remove(&key),
                };
            }
            for (key, value) in changes {
                match value {
                    Some(value) => self.leaves.insert(key, value),
                    None => self.leaves.remove(&key),
                };
            }
            root
        }

        fn recomputed(&self) -> B256 {
            let mut builder = HashBuilder::default();
            for (key, value) in &self.leaves {
                builder.add_leaf(Nibbles::unpack(key), value);
            }
            builder.root()
        }
    }

    /// Keys that share long prefixes and differ in few nibbles, so that extensions, splits, folds and nodes short
    /// enough to stand within others all occur.
    fn key() -> impl Strategy<Value = B256> {
        (
            0u8..4,
            0u8..3,
            0u8..4,
            prop::sample::select(vec![0usize, 1, 15, 30]),
        )
            .prop_map(|(a, b, c, place)| {
                let mut key = B256::repeat_byte(0x11);
                key.0[0] = a << 4;
                key.0[place] ^= b;
                key.0[31] = c << 4 | b;
                key
            })
    }

    proptest! {
        /// After any blocks of writes and removals the root is that of a trie built from scratch, and no branch is
        /// left behind.
        #[test]
        fn incremental_root_equals_full_recomputation(
            blocks in prop::collection::vec(
                prop::collection::btree_map(key(), prop::option::of(1u8..200), 0..12),
                1..8,
            ),
        ) {
            let mut memory = Memory::default();
            for block in blocks {
                let changes =
                    block.into_iter().map(|(key, value)| (key, value.map(|value| vec![value; 1 + usize::from(value % 40)])));
                let root = memory.update(changes.collect());
                prop_assert_eq!(root, memory.recomputed());
                let mut fresh = Memory::default();
                fresh.update(memory.leaves.iter().map(|(key, value)| (*key, Some(value.clone()))).collect());
                let kept = |memory: &Memory| -> BTreeMap<_, _> {
                    memory.nodes.iter().map(|(key, record)| (key.clone(), record.clone())).collect()
                };
                prop_assert_eq!(kept(&memory), kept(&fresh));
            }
        }
    }

    #[test]
    fn thousands_of_keys_over_many_blocks_keep_the_root_right() {
        let mut memory = Memory::default();
        let mut state = B256::ZERO;
        for block in 0u64..20 {
            let mut changes = BTreeMap::new();
            for _ in 0..200 {
                state = keccak256(state);
                let mut key = keccak256(state);
                if key.0[1] < 100
                    && let Some(known) = memory.leaves.keys().nth(usize::from(key.0[2]))
                {
                    key = *known;
                }
                changes.insert(
                    key,
                    (state.0[0] > 90).then(|| state.0[..usize::from(state.0[1] % 32) + 1].to_vec()),
                );
            }
            assert_eq!(memory.update(changes), memory.recomputed(), "block {block}");
        }
    }

    #[test]
    fn a_spoilt_record_is_an_error() {
        let mut memory = Memory::default();
        let keys = [B256::ZERO, B256::repeat_byte(0x20), B256::repeat_byte(0x21)];
        memory.update(keys.iter().map(|key| (*key, Some(vec![1]))).collect());
        let change = vec![(keys[1], Some(vec![2]))];
        let stored: Vec<_> = memory.nodes.keys().cloned().collect();
        for key in stored {
            let record = memory.nodes[&key].clone();
            for spoilt in [record[..record.len() - 1].to_vec(), vec![99; 4], vec![0, 7, 64]] {
                memory.nodes.insert(key.clone(), spoilt);
                let result = update(&memory, &B256::ZERO, &change, &mut NodeWrites::new());
                assert!(matches!(result, Err(EmbeddedError::Damaged { .. })));
            }
            memory.nodes.insert(key, record);
        }
    }
}
