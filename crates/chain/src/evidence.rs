//! A chain's past as a file: enough of it to answer questions with nobody to ask.
//!
//! [`RecordedChain`] is a [`Network`](crate::network::Network) whose every answer follows from the hash of one block. Headers
//! hang together by their hashes; receipts hash to a header's receipts root, and a header's bloom filter tells which blocks have
//! nothing to say; accounts and slots lie under the last header's state root, and calls run on them. So whoever
//! trusts that hash trusts no file, no node and not whoever made the record.
//!
//! A record is made by asking: [`RecordedChain::begin`] answers from a live chain and keeps what it was asked for, no more.
//! [`Evidence`] is what is kept. Format: `docs/spec/bundle.md`.

mod recorded;
mod trie;

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Decodable as _;

pub use recorded::RecordedChain;

/// Most headers of one record: more would be a chain, not a file.
pub const MOST_HEADERS: usize = 1 << 18;

/// Why evidence is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Bytes that are not what they should be.
    #[error("{what} cannot be read: {reason}")]
    Encoding {
        /// Which part.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no header.
    #[error("there is no header")]
    Empty,
    /// A header names another parent than the one before it.
    #[error("block {number} is not the child of the block before it")]
    Unlinked {
        /// Its height.
        number: u64,
    },
    /// Receipts do not hash to what their header says.
    #[error("the receipts of block {number} are others than its header commits to")]
    Receipts {
        /// Its height.
        number: u64,
    },
    /// Too many headers.
    #[error("{got} headers, at most {MOST_HEADERS} are taken")]
    TooLong {
        /// How many.
        got: usize,
    },
}

/// What is kept of a chain. Nothing in it is believed before [`RecordedChain::replay`] took it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Headers in RLP, in order of height.
    pub headers: Vec<Bytes>,
    /// Receipts by height, each as EIP-2718 has it.
    pub receipts: BTreeMap<u64, Vec<Bytes>>,
    /// Nodes of the state trie after the last block, in RLP.
    pub nodes: BTreeMap<B256, Bytes>,
    /// Code of contracts.
    pub codes: BTreeMap<B256, Bytes>,
}

impl Evidence {
    /// The headers one after another.
    #[must_use]
    pub fn encode_headers(&self) -> Vec<u8> {
        self.headers
            .iter()
            .flat_map(|header| header.iter().copied())
            .collect()
    }

    /// RLP list of `[height, [receipt, …]]`, in order of height.
    #[must_use]
    pub fn encode_receipts(&self) -> Vec<u8> {
        let blocks: Vec<BlockReceipts> = self
            .receipts
            .iter()
            .map(|(number, receipts)| BlockReceipts {
                number: *number,
                receipts: receipts.clone(),
            })
            .collect();
        alloy_rlp::encode(blocks)
    }

    /// RLP list of nodes, in order of their hashes.
    #[must_use]
    pub fn encode_nodes(&self) -> Vec<u8> {
        alloy_rlp::encode(self.nodes.values().cloned().collect::<Vec<Bytes>>())
    }

    /// RLP list of codes, in order of their hashes.
    #[must_use]
    pub fn encode_codes(&self) -> Vec<u8> {
        alloy_rlp::encode(self.codes.values().cloned().collect::<Vec<Bytes>>())
    }

    /// Reads the four parts. Hashes are computed here, so nothing stands under a hash that it does not have.
    ///
    /// # Errors
    /// [`EvidenceError::Encoding`], also for what is not as the encoders above write it, and [`EvidenceError::TooLong`].
    pub fn decode(
        headers: &[u8],
        receipts: &[u8],
        nodes: &[u8],
        codes: &[u8],
    ) -> Result<Self, EvidenceError> {
        let mut rest = headers;
        let mut read = Vec::new();
        while !rest.is_empty() {
            let before = rest;
            let header = alloy_rlp::Header::decode(&mut rest).map_err(encoding("a header"))?;
            rest = rest
                .get(header.payload_length..)
                .ok_or(alloy_rlp::Error::InputTooShort)
                .map_err(encoding("a header"))?;
            let length = before.len() - rest.len();
            read.push(Bytes::copy_from_slice(before.get(..length).unwrap_or_default()));
            if read.len() > MOST_HEADERS {
                return Err(EvidenceError::TooLong { got: read.len() });
            }
        }
        let blocks: Vec<BlockReceipts> = list("the receipts", receipts)?;
        let evidence = Self {
            headers: read,
            receipts: blocks
                .into_iter()
                .map(|block| (block.number, block.receipts))
                .collect(),
            nodes: by_hash(list("the nodes of the state", nodes)?),
            codes: by_hash(list("the codes", codes)?),
        };
        // One way to write it: order, repeats and lengths are all settled by writing it again.
        for (what, given, written) in [
            ("the receipts", receipts, evidence.encode_receipts()),
            ("the nodes of the state", nodes, evidence.encode_nodes()),
            ("the codes", codes, evidence.encode_codes()),
        ] {
            if given != written {
                let reason = "it is not in its one order".to_owned();
                return Err(EvidenceError::Encoding { what, reason });
            }
        }
        Ok(evidence)
    }
}

#[derive(alloy_rlp::RlpEncodable, alloy_rlp::RlpDecodable)]
struct BlockReceipts {
    number: u64,
    receipts: Vec<Bytes>,
}

fn by_hash(items: Vec<Bytes>) -> BTreeMap<B256, Bytes> {
    items.into_iter().map(|item| (keccak256(&item), item)).collect()
}

fn list<T: alloy_rlp::Decodable>(what: &'static str, mut bytes: &[u8]) -> Result<Vec<T>, EvidenceError> {
    let items = Vec::<T>::decode(&mut bytes).map_err(encoding(what))?;
    if !bytes.is_empty() {
        let reason = format!("{} bytes follow it", bytes.len());
        return Err(EvidenceError::Encoding { what, reason });
    }
    Ok(items)
}

fn encoding<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> EvidenceError {
    move |error| EvidenceError::Encoding {
        what,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Evidence {
        Evidence {
            headers: vec![alloy_rlp::encode(alloy_consensus::Header::default()).into()],
            receipts: [(7, vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")])].into(),
            nodes: by_hash(vec![Bytes::from_static(b"node"), Bytes::from_static(b"other")]),
            codes: by_hash(vec![Bytes::from_static(b"code")]),
        }
    }

    fn parts(evidence: &Evidence) -> [Vec<u8>; 4] {
        [
            evidence.encode_headers(),
            evidence.encode_receipts(),
            evidence.encode_nodes(),
            evidence.encode_codes(),
        ]
    }

    fn decode(parts: &[Vec<u8>; 4]) -> Result<Evidence, EvidenceError> {
        Evidence::decode(&parts[0], &parts[1], &parts[2], &parts[3])
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(decode(&parts(&sample())), Ok(sample()));
        assert_eq!(decode(&parts(&Evidence::default())), Ok(Evidence::default()));
    }

    #[test]
    fn a_byte_more_or_less_is_refused_or_another_record() {
        let good = parts(&sample());
        for part in 0..4 {
            let mut longer = good.clone();
            longer[part].push(0x80);
            assert_ne!(decode(&longer), Ok(sample()), "part {part}");
            for length in 0..good[part].len() {
                let mut shorter = good.clone();
                shorter[part].truncate(length);
                assert_ne!(decode(&shorter), Ok(sample()), "part {part} cut to {length}");
            }
        }
    }

    #[test]
    fn nodes_out_of_order_are_refused() {
        let mut parts = parts(&sample());
        let mut nodes: Vec<Bytes> = sample().nodes.into_values().collect();
        nodes.reverse();
        parts[2] = alloy_rlp::encode(nodes);
        assert!(matches!(decode(&parts), Err(EvidenceError::Encoding { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            part in 0_usize..4,
        ) {
            let mut parts = parts(&sample());
            parts[part] = bytes;
            if let Ok(evidence) = decode(&parts) {
                RecordedChain::replay(1, evidence).ok();
            }
        }

        #[test]
        fn any_node_is_walked_or_refused(node in prop::collection::vec(any::<u8>(), 0..80), key in any::<[u8; 32]>()) {
            let nodes = by_hash(vec![node.clone().into()]);
            trie::lookup(&nodes, &keccak256(&node), &B256::from(key)).ok();
        }
    }
}
