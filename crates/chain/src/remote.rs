//! A chain somebody else runs, asked over HTTP in Ethereum JSON-RPC.

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::network::{
    At, BlockRef, Call, ChainError, EventLog, Inclusion, LogQuery, Network, TransactionSigner,
};

/// How patient and how careful to be with a remote node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Blocks that must lie on top of a transaction's block before it counts; 0 for "included".
    pub confirmations: u64,
    /// How long to wait for that.
    pub inclusion_timeout: Duration,
    /// How long to wait for one answer.
    pub request_timeout: Duration,
    /// How often to try what is safe to repeat.
    pub attempts: u32,
    /// Time between two looks for a receipt.
    pub poll_interval: Duration,
    /// Most blocks asked for in one query of events.
    pub log_page_blocks: u64,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            confirmations: 0,
            inclusion_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(20),
            attempts: 4,
            poll_interval: Duration::from_millis(250),
            log_page_blocks: 10_000,
        }
    }
}

/// A connection to a node.
#[derive(Debug)]
pub struct RemoteChain {
    endpoint: String,
    chain_id: u64,
}

impl RemoteChain {
    /// Connects to `endpoint`, `http://…` or `https://…`, and asks which chain it is.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`], and [`ChainError::WrongChain`] where `expected` is another chain.
    pub fn connect(
        endpoint: &str,
        expected: Option<u64>,
        _options: RemoteOptions,
    ) -> Result<Self, ChainError> {
        let this = Self {
            endpoint: endpoint.to_owned(),
            chain_id: expected.unwrap_or_default(),
        };
        Err(this.not_connected())
    }

    fn not_connected(&self) -> ChainError {
        ChainError::Unreachable {
            endpoint: self.endpoint.clone(),
            source: "not connected".into(),
        }
    }
}

impl Network for RemoteChain {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }
    fn head(&self) -> Result<BlockRef, ChainError> {
        Err(self.not_connected())
    }
    fn block(&self, _number: u64) -> Result<Option<BlockRef>, ChainError> {
        Err(self.not_connected())
    }
    fn call(&self, _from: Address, _call: &Call, _at: At) -> Result<Bytes, ChainError> {
        Err(self.not_connected())
    }
    fn estimate_gas(&self, _from: Address, _call: &Call) -> Result<u64, ChainError> {
        Err(self.not_connected())
    }
    fn balance(&self, _account: Address, _at: At) -> Result<U256, ChainError> {
        Err(self.not_connected())
    }
    fn nonce(&self, _account: Address) -> Result<u64, ChainError> {
        Err(self.not_connected())
    }
    fn code(&self, _account: Address, _at: At) -> Result<Bytes, ChainError> {
        Err(self.not_connected())
    }
    fn transact(&self, _signer: &dyn TransactionSigner, _call: &Call) -> Result<Inclusion, ChainError> {
        Err(self.not_connected())
    }
    fn inclusion(&self, _transaction: B256) -> Result<Option<Inclusion>, ChainError> {
        Err(self.not_connected())
    }
    fn logs(&self, _query: &LogQuery) -> Result<Vec<EventLog>, ChainError> {
        Err(self.not_connected())
    }
}
