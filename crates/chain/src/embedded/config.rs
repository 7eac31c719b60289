//! How an embedded chain is run. Nothing here changes what a block means.

use std::time::Duration;

use alloy_primitives::Address;

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mining {
    /// As soon as a transaction can be included; never without transactions.
    #[default]
    Instant,
    /// Every so often, with or without transactions.
    Interval(Duration),
    /// Only when asked, with or without transactions.
    Manual,
}

/// How an embedded chain is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// When blocks are made.
    pub mining: Mining,
    /// Who gets the priority fees.
    pub beneficiary: Address,
    /// Gas a call or an estimate may use, whatever the fork allows a transaction.
    pub call_gas_limit: u64,
    /// Bytes of database pages kept in memory.
    pub cache_bytes: usize,
    /// Blocks whose state stays readable, counted back from the newest; absent to keep all.
    pub history_blocks: Option<u64>,
    /// Transactions the pool holds.
    pub pool_transactions: usize,
    /// Transactions of one account that wait for an earlier nonce.
    pub pool_queued_per_account: usize,
    /// Bytes of one signed transaction.
    pub transaction_bytes: usize,
    /// Logs one query may return.
    pub logs_per_query: usize,
    /// Blocks one log query may span.
    pub blocks_per_query: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mining: Mining::Instant,
            beneficiary: Address::ZERO,
            call_gas_limit: 100_000_000,
            cache_bytes: 64 << 20,
            history_blocks: None,
            pool_transactions: 16_384,
            pool_queued_per_account: 64,
            transaction_bytes: 128 << 10,
            logs_per_query: 50_000,
            blocks_per_query: 1_000_000,
        }
    }
}
