//! Looking a key up in a state trie of which only some nodes are at hand.
//!
//! Nodes are found by their hash, so a wrong one is a missing one. The trie is that of the Yellow Paper, appendix D, with keys
//! of 32 bytes.

use std::collections::BTreeMap;

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable as _;
use alloy_trie::Nibbles;
use alloy_trie::nodes::{RlpNode, TrieNode};

/// Why a key could not be looked up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LookupError {
    /// A node on the way is not at hand.
    #[error("the node {hash} of the state is not at hand")]
    Missing { hash: B256 },
    /// A node on the way is none, which no chain has in its state.
    #[error("a node of the state cannot be read: {reason}")]
    Malformed { reason: String },
}

/// The value under a key, or that there is none.
pub(super) fn lookup(
    nodes: &BTreeMap<B256, Bytes>,
    root: &B256,
    key: &B256,
) -> Result<Option<Vec<u8>>, LookupError> {
    if *root == EMPTY_ROOT_HASH {
        return Ok(None);
    }
    let key = Nibbles::unpack(key);
    let mut node = RlpNode::word_rlp(root);
    let mut depth = 0;
    // Every node takes at least one nibble of the key or ends the way, and the last may take none.
    for _ in 0..=key.len() {
        let bytes = match node.as_hash() {
            Some(hash) => nodes.get(&hash).ok_or(LookupError::Missing { hash })?.to_vec(),
            // Shorter than a hash: it stands within its parent.
            None => node.to_vec(),
        };
        match TrieNode::decode(&mut bytes.as_slice()).map_err(malformed)? {
            TrieNode::EmptyRoot => return Ok(None),
            TrieNode::Leaf(leaf) => {
                return Ok((leaf.key == key.slice(depth..)).then_some(leaf.value));
            }
            TrieNode::Extension(extension) => {
                if extension.key.is_empty() {
                    return Err(malformed("an extension without a key"));
                }
                if !key.slice(depth..).starts_with(&extension.key) {
                    return Ok(None);
                }
                depth += extension.key.len();
                node = extension.child;
            }
            TrieNode::Branch(branch) => {
                let place = key
                    .get(depth)
                    .ok_or_else(|| malformed("a branch below a whole key"))?;
                if !branch.state_mask.is_bit_set(place) {
                    return Ok(None);
                }
                let before = (0..place)
                    .filter(|other| branch.state_mask.is_bit_set(*other))
                    .count();
                depth += 1;
                node = branch
                    .stack
                    .get(before)
                    .cloned()
                    .ok_or_else(|| malformed("a branch without its child"))?;
            }
        }
    }
    Err(malformed("a way longer than its key"))
}

fn malformed(reason: impl std::fmt::Display) -> LookupError {
    LookupError::Malformed {
        reason: reason.to_string(),
    }
}
