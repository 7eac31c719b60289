//! Inclusion and consistency proofs.
//!
//! Proofs are those of RFC 6962, sections 2.1.1 and 2.1.2, and are checked as RFC 9162, sections 2.1.3.2 and 2.1.4.2
//! say. Verifying takes one hash (inclusion) or two (consistency) for each hash of the proof, and never more than
//! 128; whoever made the proof may be hostile.

use counterweight_primitives::Sha256Digest;

use super::tree::{empty_root, node_hash, split};

/// Why a proof does not hold, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The tree has no such entry.
    #[error("entry {index} is beyond a tree of {size} entries")]
    BeyondTree {
        /// Entry, counted from 0.
        index: u64,
        /// Entries of the tree.
        size: u64,
    },
    /// A tree cannot have grown into a smaller one.
    #[error("a tree of {old} entries cannot have become one of {new}")]
    Shrunk {
        /// Entries before.
        old: u64,
        /// Entries after.
        new: u64,
    },
    /// The proof has too few or too many hashes for these sizes.
    #[error("the proof has {got} hashes, which is not the number that these sizes need")]
    Length {
        /// Hashes found.
        got: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to root {got}, expected {expected}")]
    Root {
        /// Root of the tree.
        expected: Sha256Digest,
        /// Root that the proof leads to.
        got: Sha256Digest,
    },
}

/// Checks that `leaf` (a leaf hash) is entry `index` of the tree of `size` entries with `root`.
///
/// # Errors
/// [`ProofError::BeyondTree`], [`ProofError::Length`] or [`ProofError::Root`].
pub fn verify_inclusion(
    root: &Sha256Digest,
    size: u64,
    index: u64,
    leaf: &Sha256Digest,
    path: &[Sha256Digest],
) -> Result<(), ProofError> {
    let length = || ProofError::Length { got: path.len() };
    let beyond = ProofError::BeyondTree { index, size };
    // The last node of the level we're on, and ours.
    let mut last = size.checked_sub(1).ok_or(beyond.clone())?;
    let mut node = index;
    if node > last {
        return Err(beyond);
    }
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(length());
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A last node without a sibling rises unchanged until it is a right child. Reached only with `last` above
            // zero, and `node` equals it or is odd, so there is a 1 to find.
            let lone = node.trailing_zeros();
            (node, last) = (node >> lone, last >> lone);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(length());
    }
    expect_root(root, hash)
}

/// Checks that the tree of `new` entries with `new_root` begins with the tree of `old` entries with `old_root`.
/// Every tree begins with the empty one, which needs no proof.
///
/// # Errors
/// [`ProofError::Shrunk`], [`ProofError::Length`] or [`ProofError::Root`].
pub fn verify_consistency(
    old: u64,
    old_root: &Sha256Digest,
    new: u64,
    new_root: &Sha256Digest,
    path: &[Sha256Digest],
) -> Result<(), ProofError> {
    let length = || ProofError::Length { got: path.len() };
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    if old == 0 || old == new {
        if !path.is_empty() {
            return Err(length());
        }
        return expect_root(old_root, if old == 0 { empty_root() } else { *new_root });
    }
    // Both trees share the full subtree that ends with the last old entry; where it is the old tree itself, the proof
    // leaves its root out.
    let lone = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> lone, (new - 1) >> lone);
    let (start, path) = if old.is_power_of_two() {
        (*old_root, path)
    } else {
        let (first, rest) = path.split_first().ok_or_else(length)?;
        (*first, rest)
    };
    let (mut old_hash, mut new_hash) = (start, start);
    for sibling in path {
        if last == 0 {
            return Err(length());
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            // As in `verify_inclusion`: `node` is odd, or equals `last`, which is above zero.
            let lone = node.trailing_zeros();
            (node, last) = (node >> lone, last >> lone);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last != 0 {
        return Err(length());
    }
    expect_root(old_root, old_hash)?;
    expect_root(new_root, new_hash)
}

fn expect_root(expected: &Sha256Digest, got: Sha256Digest) -> Result<(), ProofError> {
    if got == *expected {
        Ok(())
    } else {
        Err(ProofError::Root {
            expected: *expected,
            got,
        })
    }
}

/// Roots of full subtrees, wherever they are kept.
pub trait Nodes {
    /// Why a node could not be read.
    type Error: From<ProofError>;

    /// Root of the full subtree over the entries from `index · 2^height` on, `2^height` of them.
    ///
    /// # Errors
    /// As the type says.
    fn node(&mut self, height: u32, index: u64) -> Result<Sha256Digest, Self::Error>;
}

/// The path from entry `index` to the root of the tree of `size` entries, leaf to root.
///
/// # Errors
/// [`ProofError::BeyondTree`], or a node that could not be read.
pub fn inclusion_path<N: Nodes>(nodes: &mut N, index: u64, size: u64) -> Result<Vec<Sha256Digest>, N::Error> {
    if index >= size {
        return Err(ProofError::BeyondTree { index, size }.into());
    }
    let (mut start, mut end) = (0, size);
    let mut path = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range_root(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(nodes, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `new` entries begins with the tree of `old` entries.
///
/// # Errors
/// [`ProofError::Shrunk`], or a node that could not be read.
pub fn consistency_path<N: Nodes>(nodes: &mut N, old: u64, new: u64) -> Result<Vec<Sha256Digest>, N::Error> {
    if old > new {
        return Err(ProofError::Shrunk { old, new }.into());
    }
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(path);
    }
    let (mut start, mut end) = (0, new);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range_root(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(nodes, start, middle)?);
            start = middle;
        }
    }
    // From 0 on it is the old tree itself, whose root the verifier has.
    if start != 0 {
        path.push(range_root(nodes, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Root of the tree of `size` entries.
///
/// # Errors
/// A node that could not be read.
pub fn root_of<N: Nodes>(nodes: &mut N, size: u64) -> Result<Sha256Digest, N::Error> {
    if size == 0 {
        Ok(empty_root())
    } else {
        range_root(nodes, 0, size)
    }
}

/// Root over the entries `start..end`, not empty, where `start` is a multiple of the power of two at or above their
/// number: what splitting a tree leaves.
fn range_root<N: Nodes>(nodes: &mut N, start: u64, end: u64) -> Result<Sha256Digest, N::Error> {
    let size = end - start;
    if size.is_power_of_two() {
        let height = size.trailing_zeros();
        return nodes.node(height, start >> height);
    }
    let middle = start + split(size);
    let left = range_root(nodes, start, middle)?;
    let right = range_root(nodes, middle, end)?;
    Ok(node_hash(&left, &right))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::log::tree::{leaf_hash, root};

    /// Leaf hashes in memory.
    struct Leaves(Vec<Sha256Digest>);

    impl Leaves {
        fn new(size: u64) -> Self {
            Self(
                (0..size)
                    .map(|i| leaf_hash(format!("entry {i}").as_bytes()))
                    .collect(),
            )
        }

        fn root(&self, size: u64) -> Sha256Digest {
            root(&self.0[..size as usize])
        }
    }

    impl Nodes for Leaves {
        type Error = ProofError;

        fn node(&mut self, height: u32, index: u64) -> Result<Sha256Digest, ProofError> {
            let start = (index << height) as usize;
            Ok(root(&self.0[start..start + (1 << height)]))
        }
    }

    const SIZE: u64 = 70;

    #[test]
    fn every_entry_of_every_tree_is_included() {
        let mut leaves = Leaves::new(SIZE);
        for size in 1..=SIZE {
            assert_eq!(root_of(&mut leaves, size).unwrap(), leaves.root(size));
            for index in 0..size {
                let path = inclusion_path(&mut leaves, index, size).unwrap();
                let leaf = leaves.0[index as usize];
                verify_inclusion(&leaves.root(size), size, index, &leaf, &path).unwrap();
            }
        }
    }

    #[test]
    fn every_tree_begins_with_every_smaller_one() {
        let mut leaves = Leaves::new(SIZE);
        for new in 0..=SIZE {
            for old in 0..=new {
                let path = consistency_path(&mut leaves, old, new).unwrap();
                verify_consistency(old, &leaves.root(old), new, &leaves.root(new), &path).unwrap();
            }
        }
    }

    #[test]
    fn sizes_and_indices_beyond_the_tree_are_refused() {
        let leaf = leaf_hash(b"");
        let beyond = |index, size| Err(ProofError::BeyondTree { index, size });
        assert_eq!(verify_inclusion(&leaf, 0, 0, &leaf, &[]), beyond(0, 0));
        assert_eq!(verify_inclusion(&leaf, 1, 1, &leaf, &[]), beyond(1, 1));
        assert_eq!(
            verify_inclusion(&leaf, 5, u64::MAX, &leaf, &[leaf]),
            beyond(u64::MAX, 5)
        );
        let shrunk = Err(ProofError::Shrunk { old: 2, new: 1 });
        assert_eq!(verify_consistency(2, &leaf, 1, &leaf, &[]), shrunk);
        let other = leaf_hash(b"other");
        assert!(verify_consistency(1, &leaf, 1, &other, &[]).is_err());
        assert!(verify_consistency(0, &leaf, 1, &other, &[]).is_err());
    }

    proptest! {
        #[test]
        fn a_flipped_bit_anywhere_breaks_inclusion(
            size in 2_u64..SIZE, pick: proptest::sample::Index, bit in 0_usize..256, part: proptest::sample::Index,
        ) {
            let mut leaves = Leaves::new(SIZE);
            let index = pick.index(size as usize) as u64;
            let mut path = inclusion_path(&mut leaves, index, size).unwrap();
            let (mut root, mut leaf) = (leaves.root(size), leaves.0[index as usize]);
            let spoiled = match part.index(path.len() + 2) {
                0 => &mut root,
                1 => &mut leaf,
                i => &mut path[i - 2],
            };
            spoiled.0[bit / 8] ^= 1 << (bit % 8);
            let result = verify_inclusion(&root, size, index, &leaf, &path);
            prop_assert!(matches!(result, Err(ProofError::Root { .. })), "{:?}", result);
        }

        #[test]
        fn a_flipped_bit_anywhere_breaks_consistency(
            new in 2_u64..SIZE, pick: proptest::sample::Index, bit in 0_usize..256, part: proptest::sample::Index,
        ) {
            let mut leaves = Leaves::new(SIZE);
            let old = 1 + pick.index(new as usize - 1) as u64;
            let mut path = consistency_path(&mut leaves, old, new).unwrap();
            let (mut old_root, mut new_root) = (leaves.root(old), leaves.root(new));
            let spoiled = match part.index(path.len() + 2) {
                0 => &mut old_root,
                1 => &mut new_root,
                i => &mut path[i - 2],
            };
            spoiled.0[bit / 8] ^= 1 << (bit % 8);
            let result = verify_consistency(old, &old_root, new, &new_root, &path);
            prop_assert!(matches!(result, Err(ProofError::Root { .. })), "{:?}", result);
        }

        #[test]
        fn a_hash_too_many_or_too_few_is_noticed(size in 2_u64..SIZE, pick: proptest::sample::Index) {
            let mut leaves = Leaves::new(SIZE);
            let index = pick.index(size as usize) as u64;
            let (root, leaf) = (leaves.root(size), leaves.0[index as usize]);
            let path = inclusion_path(&mut leaves, index, size).unwrap();
            let longer = [path.as_slice(), &[leaf]].concat();
            prop_assert!(verify_inclusion(&root, size, index, &leaf, &longer).is_err());
            prop_assert!(verify_inclusion(&root, size, index, &leaf, &path[..path.len() - 1]).is_err());
        }

        #[test]
        fn nothing_at_all_makes_a_verifier_panic(
            old: u64, new: u64, bytes in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let path: Vec<_> = bytes.into_iter().map(Sha256Digest).collect();
            let root = empty_root();
            prop_assert!(verify_inclusion(&root, new, old, &root, &path).is_err());
            let _ = verify_consistency(old, &root, new, &root, &path);
        }
    }

    /// What `testdata/rfc6962-inclusion.json` holds; the contract's tests read the same file.
    fn inclusion_cases() -> Value {
        let mut leaves = Leaves::new(SIZE);
        let mut cases = Vec::new();
        for size in 1..=SIZE {
            let indices: Vec<u64> = match size {
                1..=9 => (0..size).collect(),
                // The last entry's path is the shortest in a tree that is no power of two.
                _ => vec![size * 37 % size.next_power_of_two() % size, size - 1],
            };
            for index in indices {
                let path = inclusion_path(&mut leaves, index, size).unwrap();
                let (root, leaf) = (leaves.root(size), leaves.0[index as usize]);
                cases.push(case(&root, size, index, &leaf, &path, true));
            }
            // One thing spoiled in an otherwise valid case, another thing for each size.
            let index = size / 3;
            let mut path = inclusion_path(&mut leaves, index, size).unwrap();
            let (mut root, mut leaf) = (leaves.root(size), leaves.0[index as usize]);
            let (mut claimed, mut tree) = (index, size);
            match size % 8 {
                0 => root.0[31] ^= 1,
                1 => leaf.0[0] ^= 0x80,
                2 if size > 2 => path[0].0[16] ^= 4,
                3 => path.push(leaf),
                4 => drop(path.pop()),
                5 => path.swap(0, 1),
                6 => claimed += 1,
                _ => (claimed, tree) = (size, size),
            }
            if size % 16 == 6 {
                (claimed, tree) = (index, size * 4);
            }
            cases.push(case(&root, tree, claimed, &leaf, &path, false));
        }
        json!({ "cases": cases })
    }

    /// What `testdata/rfc6962-consistency.json` holds; the contract's tests read the same file.
    fn consistency_cases() -> Value {
        let mut leaves = Leaves::new(SIZE);
        let mut cases = Vec::new();
        for new in 1..=SIZE {
            let sizes: Vec<u64> = match new {
                1..=9 => (0..=new).collect(),
                // A power of two needs one hash less than its neighbours.
                _ => vec![
                    new / 2,
                    new.next_power_of_two() / 2,
                    new * 37 % new + new / 3,
                    new - 1,
                ],
            };
            for old in sizes {
                let path = consistency_path(&mut leaves, old, new).unwrap();
                cases.push(growth(
                    old,
                    &leaves.root(old),
                    new,
                    &leaves.root(new),
                    &path,
                    true,
                ));
            }
            // One thing spoiled in an otherwise valid case, another thing for each size.
            let old = (new / 3).max(1);
            let mut path = consistency_path(&mut leaves, old, new).unwrap();
            let (mut old_root, mut new_root) = (leaves.root(old), leaves.root(new));
            let (mut before, mut after) = (old, new);
            match new % 8 {
                0 => old_root.0[31] ^= 1,
                1 => new_root.0[0] ^= 0x80,
                2 if new > 2 => path[0].0[16] ^= 4,
                3 => path.push(old_root),
                4 => drop(path.pop()),
                5 => path.reverse(),
                6 => before += 1,
                _ => after = old - 1,
            }
            cases.push(growth(before, &old_root, after, &new_root, &path, false));
        }
        json!({ "cases": cases })
    }

    fn growth(
        old: u64,
        old_root: &Sha256Digest,
        new: u64,
        new_root: &Sha256Digest,
        path: &[Sha256Digest],
        valid: bool,
    ) -> Value {
        let hex = |d: &Sha256Digest| format!("0x{}", d.to_hex());
        let path: Vec<_> = path.iter().map(hex).collect();
        json!({
            "oldSize": old, "oldRoot": hex(old_root), "newSize": new, "newRoot": hex(new_root),
            "path": path, "valid": valid,
        })
    }

    fn case(
        root: &Sha256Digest,
        size: u64,
        index: u64,
        leaf: &Sha256Digest,
        path: &[Sha256Digest],
        valid: bool,
    ) -> Value {
        let hex = |d: &Sha256Digest| format!("0x{}", d.to_hex());
        let path: Vec<_> = path.iter().map(hex).collect();
        json!({"root": hex(root), "size": size, "index": index, "leaf": hex(leaf), "path": path, "valid": valid})
    }

    fn parse(value: &Value) -> Sha256Digest {
        value
            .as_str()
            .unwrap()
            .replacen("0x", "sha256:", 1)
            .parse()
            .unwrap()
    }

    /// Writes a file of vectors anew where `CW_WRITE_FIXTURES=1` asks for it, then reads it.
    fn vectors(name: &str, cases: &Value) -> Value {
        let path = format!("{}/../../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("CW_WRITE_FIXTURES").is_some() {
            let cases: Vec<_> = cases["cases"]
                .as_array()
                .unwrap()
                .iter()
                .map(Value::to_string)
                .collect();
            let text = format!("{{\"cases\":[\n{}\n]}}\n", cases.join(",\n"));
            std::fs::write(&path, text).unwrap();
        }
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn path(case: &Value) -> Vec<Sha256Digest> {
        case["path"].as_array().unwrap().iter().map(parse).collect()
    }

    /// `CW_WRITE_FIXTURES=1 cargo test -p counterweight-provenance` writes the file anew.
    #[test]
    fn the_shared_inclusion_vectors_are_the_generated_ones_and_hold() {
        let vectors = vectors("rfc6962-inclusion.json", &inclusion_cases());
        assert_eq!(vectors, inclusion_cases());
        for case in vectors["cases"].as_array().unwrap() {
            let (size, index) = (case["size"].as_u64().unwrap(), case["index"].as_u64().unwrap());
            let result = verify_inclusion(
                &parse(&case["root"]),
                size,
                index,
                &parse(&case["leaf"]),
                &path(case),
            );
            assert_eq!(result.is_ok(), case["valid"].as_bool().unwrap(), "{case}");
        }
    }

    #[test]
    fn the_shared_consistency_vectors_are_the_generated_ones_and_hold() {
        let vectors = vectors("rfc6962-consistency.json", &consistency_cases());
        assert_eq!(vectors, consistency_cases());
        for case in vectors["cases"].as_array().unwrap() {
            let (old, new) = (
                case["oldSize"].as_u64().unwrap(),
                case["newSize"].as_u64().unwrap(),
            );
            let result = verify_consistency(
                old,
                &parse(&case["oldRoot"]),
                new,
                &parse(&case["newRoot"]),
                &path(case),
            );
            assert_eq!(result.is_ok(), case["valid"].as_bool().unwrap(), "{case}");
        }
    }
}
