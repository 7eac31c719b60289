//! A chain that runs our contracts: the one seam between everything above and the EVM below.
//!
//! Calls block until they are answered. What is asked for is the same on the embedded chain and on a remote
//! node, so one test suite runs on both.

use alloy_primitives::{Address, B256, Bytes, U256};

/// What a call or transaction does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    /// Who is called; absent to deploy `data`.
    pub to: Option<Address>,
    /// Calldata, or creation code with constructor arguments.
    pub data: Bytes,
    /// Wei sent along.
    pub value: U256,
}

/// Which state a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// The newest block.
    #[default]
    Latest,
    /// The state after this block.
    Block(u64),
}

/// A block's place and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Height, the genesis block being 0.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// A transaction that was included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// Its hash.
    pub transaction: B256,
    /// The block it is in.
    pub block: BlockRef,
    /// Gas it used.
    pub gas_used: u64,
    /// Wei paid for each unit of gas.
    pub effective_gas_price: u128,
    /// The contract it created.
    pub created: Option<Address>,
    /// What it logged.
    pub logs: Vec<EventLog>,
}

/// An event as logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLog {
    /// Contract that logged it.
    pub address: Address,
    /// Indexed values, the first being the event's signature.
    pub topics: Vec<B256>,
    /// The rest, ABI-encoded.
    pub data: Bytes,
    /// Height of its block.
    pub block: u64,
    /// Place in the block, counted from 0.
    pub index: u64,
    /// Transaction it belongs to.
    pub transaction: B256,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Only from this contract.
    pub address: Option<Address>,
    /// For each place, the values allowed; empty for any.
    pub topics: Vec<Vec<B256>>,
    /// First block.
    pub from: u64,
    /// Last block; absent for the newest.
    pub to: Option<u64>,
}

/// Why a chain did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The contract reverted; `data` holds its error, ABI-encoded.
    #[error("the contract reverted ({} bytes of data)", data.len())]
    Reverted {
        /// Revert data.
        data: Bytes,
    },
    /// The chain refused the transaction before running it: no funds, a used nonce, too much gas.
    #[error("the chain refuses the transaction: {reason}")]
    Rejected {
        /// The chain's own words.
        reason: String,
    },
    /// Nobody answers.
    #[error("no chain answers at {endpoint}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not included, or not deep enough, in the time allowed.
    #[error("transaction {transaction} was not confirmed within {seconds} s")]
    TimedOut {
        /// The transaction; it may still be included.
        transaction: B256,
        /// How long was waited.
        seconds: u64,
    },
    /// Another chain than expected answers.
    #[error("chain id {got} answers, {expected} was expected")]
    WrongChain {
        /// Configured id.
        expected: u64,
        /// Answered id.
        got: u64,
    },
    /// The state of that block is not kept.
    #[error("the state of block {number} is not kept")]
    StateMissing {
        /// Height asked for.
        number: u64,
    },
    /// The files of the embedded chain could not be read or written.
    #[error("the chain's files cannot be used: {reason}")]
    Storage {
        /// What went wrong.
        reason: String,
    },
    /// The answer could not be understood.
    #[error("the chain gave an answer that cannot be read: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
}

impl ChainError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }
}

/// A chain that runs our contracts.
///
/// Methods fail with [`ChainError`]; each may be [`ChainError::Unreachable`] or [`ChainError::Malformed`].
pub trait Network: Send + Sync {
    /// The chain's id (EIP-155).
    fn chain_id(&self) -> u64;

    /// The newest block.
    fn head(&self) -> Result<BlockRef, ChainError>;

    /// A block by height, if there is one.
    fn block(&self, number: u64) -> Result<Option<BlockRef>, ChainError>;

    /// Runs a call without keeping what it changes. [`ChainError::Reverted`] where the contract reverts.
    fn call(&self, from: Address, call: &Call, at: At) -> Result<Bytes, ChainError>;

    /// Gas a transaction needs. [`ChainError::Reverted`] where the contract reverts.
    fn estimate_gas(&self, from: Address, call: &Call) -> Result<u64, ChainError>;

    /// Wei an account holds.
    fn balance(&self, account: Address, at: At) -> Result<U256, ChainError>;

    /// Transactions an account has sent.
    fn nonce(&self, account: Address) -> Result<u64, ChainError>;

    /// Code of a contract, empty for other accounts.
    fn code(&self, account: Address, at: At) -> Result<Bytes, ChainError>;

    /// Signs and sends a transaction from `signer` and waits until it is included as deep as configured. Nonce,
    /// gas and fees are chosen here. [`ChainError::Reverted`] where it was included and reverted, or would be.
    fn transact(&self, signer: &dyn TransactionSigner, call: &Call) -> Result<Inclusion, ChainError>;

    /// A transaction that was included, if it was.
    fn inclusion(&self, transaction: B256) -> Result<Option<Inclusion>, ChainError>;

    /// Events in the order they were logged.
    fn logs(&self, query: &LogQuery) -> Result<Vec<EventLog>, ChainError>;

    /// A block's header in RLP, whose Keccak-256 is the block's hash. [`ChainError::Rejected`] where this chain gives no
    /// evidence; so for the two below.
    fn header(&self, number: u64) -> Result<Option<Bytes>, ChainError> {
        Err(no_evidence(number))
    }

    /// The receipts of a block in order, each as EIP-2718 has it: the leaves under the header's receipts root.
    fn receipts(&self, number: u64) -> Result<Vec<Bytes>, ChainError> {
        Err(no_evidence(number))
    }

    /// Nodes of the state trie after a block, in RLP and any order, that lead to an account and to slots of it, or show that
    /// there are none.
    fn prove(&self, account: Address, slots: &[B256], number: u64) -> Result<Vec<Bytes>, ChainError> {
        let _ = (account, slots);
        Err(no_evidence(number))
    }
}

fn no_evidence(number: u64) -> ChainError {
    ChainError::Rejected {
        reason: format!("no evidence of block {number} is given here"),
    }
}

/// Signs hashes for one account: a key in memory, a keystore, or an external signer.
pub trait TransactionSigner: Send + Sync {
    /// The account.
    fn address(&self) -> Address;

    /// Signs a 32-byte hash.
    ///
    /// # Errors
    /// [`ChainError::Rejected`] where the signer refuses.
    fn sign_hash(&self, hash: B256) -> Result<alloy_primitives::Signature, ChainError>;
}
