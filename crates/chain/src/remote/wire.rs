//! The members of JSON-RPC objects that are used. Others are passed over: every network adds its own.

use alloy_primitives::{Address, B256, Bytes, U64, U128};
use serde::Deserialize;

use crate::network::{BlockRef, ChainError, EventLog};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    pub(super) number: U64,
    pub(super) hash: B256,
    pub(super) timestamp: U64,
    /// Absent before EIP-1559.
    pub(super) base_fee_per_gas: Option<U128>,
}

impl Header {
    pub(super) fn block_ref(&self) -> BlockRef {
        BlockRef {
            number: self.number.to(),
            hash: self.hash,
            timestamp: self.timestamp.to(),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) transaction_hash: B256,
    pub(super) block_hash: B256,
    pub(super) block_number: U64,
    pub(super) gas_used: U64,
    #[serde(default)]
    pub(super) effective_gas_price: U128,
    pub(super) contract_address: Option<Address>,
    pub(super) status: U64,
    pub(super) logs: Vec<Log>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
    log_index: Option<U64>,
    transaction_hash: Option<B256>,
    /// Taken back by a reorganisation.
    #[serde(default)]
    pub(super) removed: bool,
}

impl Log {
    pub(super) fn read(self) -> Result<EventLog, ChainError> {
        let (Some(block), Some(index), Some(transaction)) =
            (self.block_number, self.log_index, self.transaction_hash)
        else {
            return Err(ChainError::Malformed {
                reason: "an event without its place in a block".to_owned(),
            });
        };
        Ok(EventLog {
            address: self.address,
            topics: self.topics,
            data: self.data,
            block: block.to(),
            index: index.to(),
            transaction,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Proof {
    pub(super) account_proof: Vec<Bytes>,
    pub(super) storage_proof: Vec<SlotProof>,
}

#[derive(Debug, Deserialize)]
pub(super) struct SlotProof {
    pub(super) proof: Vec<Bytes>,
}
