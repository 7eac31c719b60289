//! What can go wrong on the embedded chain.

use alloy_primitives::{Address, B256, U256};

/// Why the chain could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// Another process has the directory open.
    #[error(
        "the chain in {path} is in use by another process; stop that one, or talk to it with --network and its URL"
    )]
    Locked {
        /// The directory.
        path: String,
    },
    /// The directory holds another chain than the one asked for.
    #[error("the chain in {path} has genesis {got}, {expected} was expected; use another directory")]
    GenesisMismatch {
        /// The directory.
        path: String,
        /// Hash of the genesis block asked for.
        expected: B256,
        /// Hash of the genesis block found.
        got: B256,
    },
    /// The files were written by another version of this program.
    #[error("the chain in {path} has format {got}, this program reads format {expected}")]
    FormatMismatch {
        /// The directory.
        path: String,
        /// Format this program reads.
        expected: u32,
        /// Format found.
        got: u32,
    },
    /// The files could not be read or written.
    #[error("the chain's files cannot be used while {doing}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the files hold contradicts itself.
    #[error("the chain's files are damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// There is no such block.
    #[error("there is no block {block}")]
    UnknownBlock {
        /// Number, hash or tag asked for.
        block: String,
    },
    /// The state of that block is no longer kept.
    #[error("the state of block {number} is not kept, the oldest kept is {oldest}")]
    StateMissing {
        /// Height asked for.
        number: u64,
        /// The oldest height whose state is kept.
        oldest: u64,
    },
    /// A block cannot be built on its parent from this input.
    #[error("the block input is invalid: {what}")]
    InvalidBlock {
        /// What is wrong.
        what: String,
    },
    /// A call cannot run at all, for example because its fee is below the base fee.
    #[error("{reason}")]
    InvalidCall {
        /// Why, in the words other clients use.
        reason: String,
    },
    /// A time asked for lies before the newest block.
    #[error("timestamp {asked} is lower than the previous block's {previous}")]
    TimestampTooLow {
        /// Seconds since 1970 asked for.
        asked: u64,
        /// The newest block's.
        previous: u64,
    },
    /// A log query spans more blocks, or matches more logs, than is allowed.
    #[error("query returned more than {limit} {what}, narrow the block range")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
}

/// Why a transaction was not taken into the pool. The words are geth's, because clients match on them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// Not an encoded transaction.
    #[error("rlp: {reason}")]
    Undecodable {
        /// What is wrong.
        reason: String,
    },
    /// Larger than the pool takes.
    #[error("oversized data: transaction size {got}, limit {limit}")]
    Oversized {
        /// Bytes it has.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A type this chain does not have, such as blob transactions (EIP-4844).
    #[error("transaction type not supported: {what}")]
    TypeNotSupported {
        /// Which type.
        what: &'static str,
    },
    /// The signature does not recover to an account.
    #[error("invalid sender")]
    InvalidSender,
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {got} want {expected}")]
    WrongChainId {
        /// Chain it was signed for.
        got: u64,
        /// This chain.
        expected: u64,
    },
    /// Already included or in the pool.
    #[error("already known")]
    AlreadyKnown {
        /// The transaction.
        hash: B256,
    },
    /// The account has sent a transaction with this nonce before.
    #[error("nonce too low: next nonce {state}, tx nonce {tx}")]
    NonceTooLow {
        /// The transaction's.
        tx: u64,
        /// The next one of the account.
        state: u64,
    },
    /// The account has as many transactions waiting for an earlier nonce as are allowed.
    #[error("nonce too high: next nonce {state}, tx nonce {tx}, {limit} transactions may wait")]
    NonceTooHigh {
        /// The transaction's.
        tx: u64,
        /// The next one of the account.
        state: u64,
        /// How many may wait.
        limit: usize,
    },
    /// The account cannot pay for gas and value.
    #[error("insufficient funds for gas * price + value: address {address} have {balance} want {cost}")]
    InsufficientFunds {
        /// The account.
        address: Address,
        /// Wei it has.
        balance: U256,
        /// Wei it may have to pay.
        cost: U256,
    },
    /// Less gas than the transaction costs before it runs.
    #[error("intrinsic gas too low: have {got}, want {expected}")]
    IntrinsicGasTooLow {
        /// Gas limit given.
        got: u64,
        /// Gas needed.
        expected: u64,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit: tx {got}, block {limit}")]
    ExceedsBlockGasLimit {
        /// Gas limit given.
        got: u64,
        /// Gas a block has.
        limit: u64,
    },
    /// More gas than the fork allows a transaction (EIP-7825).
    #[error("transaction gas limit too high (cap: {cap}, tx: {got})")]
    ExceedsTransactionGasCap {
        /// Gas limit given.
        got: u64,
        /// Gas allowed.
        cap: u64,
    },
    /// The tip is above the fee.
    #[error("max priority fee per gas higher than max fee per gas: tip {tip}, fee {fee}")]
    TipAboveFee {
        /// Wei of tip.
        tip: u128,
        /// Wei in all.
        fee: u128,
    },
    /// The fee is below the next block's base fee, and blocks are only made for transactions that can pay.
    #[error("max fee per gas less than block base fee: maxFeePerGas: {fee}, baseFee: {base_fee}")]
    FeeTooLow {
        /// Wei offered.
        fee: u128,
        /// Wei needed.
        base_fee: u64,
    },
    /// Creation code longer than allowed (EIP-3860).
    #[error("max initcode size exceeded: code size {got}, limit {limit}")]
    InitCodeTooLarge {
        /// Bytes it has.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The account is a contract (EIP-3607).
    #[error("sender not an eoa: address {address}")]
    SenderIsContract {
        /// The account.
        address: Address,
    },
    /// A transaction of the account with the same nonce waits, and this one does not pay 10 % more.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The pool holds as many transactions as it may.
    #[error("txpool is full")]
    PoolFull,
    /// Execution refused it after the pool had taken it.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The chain itself does not work.
    #[error(transparent)]
    Chain(#[from] EmbeddedError),
}
