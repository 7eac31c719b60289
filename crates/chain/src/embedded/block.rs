//! What a block is made of and what is kept of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use alloy_consensus::{Header, Sealed, TxEnvelope, TxType};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, Log};

/// Which block a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockTag {
    /// The newest block.
    #[default]
    Latest,
    /// The next block, as it would be if it were made now without transactions.
    Pending,
    /// The first block.
    Earliest,
    /// By height.
    Number(u64),
    /// By hash.
    Hash(B256),
}

/// What the maker of a block decides. Everything else in the header follows from execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInput {
    /// Seconds since 1970; not below the parent's.
    pub timestamp: u64,
    /// Who gets the priority fees.
    pub beneficiary: Address,
    /// Gas the block may use.
    pub gas_limit: u64,
    /// The beacon's randomness (EIP-4399).
    pub prev_randao: B256,
    /// Root of the parent beacon block (EIP-4788), zero where there is no beacon chain.
    pub parent_beacon_block_root: B256,
    /// At most 32 bytes of anything.
    pub extra_data: Bytes,
    /// Signed transactions (EIP-2718) in order.
    pub transactions: Vec<Bytes>,
}

/// A transaction given to the executor that could not be part of the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedTransaction {
    /// Keccak-256 of the transaction as given.
    pub hash: B256,
    /// Why.
    pub reason: String,
}

/// A block built from a [`BlockInput`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedBlock {
    /// The block.
    pub block: Arc<StoredBlock>,
    /// Transactions of the input that are not in it.
    pub skipped: Vec<SkippedTransaction>,
}

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionReceipt {
    /// Its type (EIP-2718).
    pub tx_type: TxType,
    /// Whether it ran to its end; its fee is paid either way.
    pub succeeded: bool,
    /// Gas it used.
    pub gas_used: u64,
    /// Gas used in the block up to and with it.
    pub cumulative_gas_used: u64,
    /// Wei paid for each unit of gas.
    pub effective_gas_price: u128,
    /// The contract it created, if it was to create one and succeeded.
    pub created: Option<Address>,
    /// Bloom filter of its logs.
    pub logs_bloom: Bloom,
    /// What it logged.
    pub logs: Vec<Log>,
}

/// A block with everything that happened in it. The three lists run in parallel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Header and hash.
    pub header: Sealed<Header>,
    /// Transactions in order.
    pub transactions: Vec<TxEnvelope>,
    /// Who signed each.
    pub senders: Vec<Address>,
    /// What each did.
    pub receipts: Vec<TransactionReceipt>,
}

impl StoredBlock {
    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.header.hash()
    }

    /// Its height, the genesis block being 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// The nonce field of a block after the merge, always zero.
    #[must_use]
    pub fn nonce(&self) -> B64 {
        self.header.nonce
    }

    /// Place of the first log of a transaction among the logs of the block, counted from 0.
    #[must_use]
    pub fn first_log_index(&self, transaction: usize) -> u64 {
        self.receipts
            .iter()
            .take(transaction)
            .map(|receipt| receipt.logs.len() as u64)
            .sum()
    }
}

/// Where a transaction is.
#[derive(Debug, Clone)]
pub struct TransactionPlace {
    /// The block it is in.
    pub block: Arc<StoredBlock>,
    /// Its place in the block, counted from 0.
    pub index: usize,
}

/// Which logs are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// First block.
    pub from: u64,
    /// Last block, taken as the newest where it is above it.
    pub to: u64,
    /// Only from one of these contracts; empty for any.
    pub addresses: BTreeSet<Address>,
    /// For each place, the values allowed; an empty list allows any.
    pub topics: Vec<Vec<B256>>,
}

/// A log with its place on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// What was logged.
    pub log: Log,
    /// Height of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Timestamp of its block.
    pub block_timestamp: u64,
    /// Transaction it belongs to.
    pub transaction_hash: B256,
    /// Place of the transaction in the block, counted from 0.
    pub transaction_index: u64,
    /// Place in the block, counted from 0.
    pub log_index: u64,
}
