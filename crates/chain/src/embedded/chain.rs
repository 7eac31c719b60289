//! The chain as its users see it.

use std::path::Path;
use std::sync::Arc;

use alloy_consensus::{Header, Sealed, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes, U256};
use tokio::sync::broadcast;

use super::{
    BlockInput, BlockTag, CallRequest, CallResult, Config, EmbeddedError, GasEstimate, Genesis, LogFilter,
    LogRecord, SkippedTransaction, StoredBlock, SubmitError, TransactionPlace,
};

/// A chain in this process. Clones share it; it may be used from any thread, and every method blocks.
#[derive(Clone)]
pub struct EmbeddedChain {
    genesis: Arc<Genesis>,
}

fn unfinished<T>() -> Result<T, EmbeddedError> {
    Err(EmbeddedError::InvalidCall {
        reason: "not available yet".to_owned(),
    })
}

impl EmbeddedChain {
    /// Opens the chain kept in a directory, or begins one there.
    ///
    /// # Errors
    /// [`EmbeddedError::Locked`] where another process has it open, [`EmbeddedError::GenesisMismatch`] where it is
    /// another chain, [`EmbeddedError::FormatMismatch`], [`EmbeddedError::Storage`], [`EmbeddedError::Damaged`].
    pub fn open(_directory: &Path, _genesis: Genesis, _config: Config) -> Result<Self, EmbeddedError> {
        unfinished()
    }

    /// Begins a chain that is gone when the last clone is.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn in_memory(_genesis: Genesis, _config: Config) -> Result<Self, EmbeddedError> {
        unfinished()
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.genesis.chain_id
    }

    /// What the first block follows from.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// How it is run.
    #[must_use]
    pub fn config(&self) -> &Config {
        unreachable!()
    }

    /// Takes a signed transaction (EIP-2718). With instant mining it is included when this returns, unless it
    /// waits for an earlier nonce.
    ///
    /// # Errors
    /// [`SubmitError`], in geth's words.
    pub fn submit(&self, _raw: Bytes) -> Result<B256, SubmitError> {
        Ok(unfinished()?)
    }

    /// Takes many signed transactions in order, recovering their senders in parallel with the execution of earlier
    /// ones. With instant mining they go into as few blocks as their gas allows.
    #[must_use]
    pub fn submit_batch(&self, raw: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        raw.into_iter().map(|one| self.submit(one)).collect()
    }

    /// Makes a block now, with what the pool holds, be it nothing.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn mine(&self) -> Result<Arc<StoredBlock>, EmbeddedError> {
        unfinished()
    }

    /// Builds the next block from input somebody else ordered. The pool forgets what was included.
    ///
    /// # Errors
    /// [`EmbeddedError::InvalidBlock`] where the input breaks a rule of blocks; transactions that cannot be
    /// included are skipped and reported instead.
    pub fn apply(
        &self,
        _input: &BlockInput,
    ) -> Result<(Arc<StoredBlock>, Vec<SkippedTransaction>), EmbeddedError> {
        unfinished()
    }

    /// The newest block.
    #[must_use]
    pub fn head(&self) -> Arc<StoredBlock> {
        unreachable!()
    }

    /// Height of a block, [`BlockTag::Pending`] counting as the newest. `None` where there is no such block.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn block_number(&self, _tag: BlockTag) -> Result<Option<u64>, EmbeddedError> {
        unfinished()
    }

    /// A block, [`BlockTag::Pending`] counting as the newest.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn block(&self, _tag: BlockTag) -> Result<Option<Arc<StoredBlock>>, EmbeddedError> {
        unfinished()
    }

    /// The header of a block without the rest, [`BlockTag::Pending`] counting as the newest.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn header(&self, _tag: BlockTag) -> Result<Option<Sealed<Header>>, EmbeddedError> {
        unfinished()
    }

    /// Base fee of the next block.
    #[must_use]
    pub fn next_base_fee(&self) -> u64 {
        0
    }

    /// Where an included transaction is.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn transaction(&self, _hash: B256) -> Result<Option<TransactionPlace>, EmbeddedError> {
        unfinished()
    }

    /// A transaction in the pool and its sender.
    #[must_use]
    pub fn pooled(&self, _hash: B256) -> Option<(TxEnvelope, Address)> {
        None
    }

    /// How many transactions of the pool could be included now, and how many wait for an earlier nonce.
    #[must_use]
    pub fn pool_size(&self) -> (usize, usize) {
        (0, 0)
    }

    /// Wei an account holds.
    ///
    /// # Errors
    /// [`EmbeddedError::UnknownBlock`], [`EmbeddedError::StateMissing`].
    pub fn balance(&self, _address: Address, _at: BlockTag) -> Result<U256, EmbeddedError> {
        unfinished()
    }

    /// Transactions an account has sent; with [`BlockTag::Pending`] including those in the pool that follow on.
    ///
    /// # Errors
    /// [`EmbeddedError::UnknownBlock`], [`EmbeddedError::StateMissing`].
    pub fn nonce(&self, _address: Address, _at: BlockTag) -> Result<u64, EmbeddedError> {
        unfinished()
    }

    /// Code of an account, empty for none.
    ///
    /// # Errors
    /// [`EmbeddedError::UnknownBlock`], [`EmbeddedError::StateMissing`].
    pub fn code(&self, _address: Address, _at: BlockTag) -> Result<Bytes, EmbeddedError> {
        unfinished()
    }

    /// A storage slot, zero where never written.
    ///
    /// # Errors
    /// [`EmbeddedError::UnknownBlock`], [`EmbeddedError::StateMissing`].
    pub fn storage(&self, _address: Address, _slot: U256, _at: BlockTag) -> Result<B256, EmbeddedError> {
        unfinished()
    }

    /// Runs a call on the state after a block, in that block's environment, and forgets what it changed.
    ///
    /// # Errors
    /// [`EmbeddedError::InvalidCall`] where it cannot even begin; how it ends otherwise is in the result.
    pub fn simulate(&self, _request: &CallRequest, _at: BlockTag) -> Result<CallResult, EmbeddedError> {
        unfinished()
    }

    /// Gas limit a transaction needs.
    ///
    /// # Errors
    /// As [`EmbeddedChain::simulate`].
    pub fn estimate_gas(&self, _request: &CallRequest, _at: BlockTag) -> Result<GasEstimate, EmbeddedError> {
        unfinished()
    }

    /// Logs in the order they were made.
    ///
    /// # Errors
    /// [`EmbeddedError::TooMany`] where more blocks or logs are asked for than configured.
    pub fn logs(&self, _filter: &LogFilter) -> Result<Vec<LogRecord>, EmbeddedError> {
        unfinished()
    }

    /// Every block made from now on. A receiver that falls behind by more than 1,024 blocks is told how many it missed.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<StoredBlock>> {
        broadcast::channel(1).1
    }

    /// Hashes of transactions as the pool takes them.
    #[must_use]
    pub fn subscribe_pending(&self) -> broadcast::Receiver<B256> {
        broadcast::channel(1).1
    }

    /// Moves the clock of coming blocks ahead, and says by how many seconds it now runs ahead of this machine's.
    pub fn increase_time(&self, _seconds: u64) -> u64 {
        0
    }

    /// Sets the next block's timestamp, later ones following on from it.
    ///
    /// # Errors
    /// [`EmbeddedError::TimestampTooLow`].
    pub fn set_next_timestamp(&self, _timestamp: u64) -> Result<(), EmbeddedError> {
        unfinished()
    }
}
