//! A chain of our own: one deterministic executor, durable state, one sequencer.
//!
//! The executor turns a parent block, the state after it and a [`BlockInput`] into a block and a change
//! set, and nothing else: no clock, no pool, no files. The sequencer of this module feeds it from a pool; a
//! consensus engine feeds it the same way through [`EmbeddedChain::apply`]. Rules are those of Ethereum's Osaka
//! fork; `docs/spec/embedded-chain.md` lists what is stored and what differs from mainnet.

mod block;
mod call;
mod chain;
mod clock;
mod config;
mod error;
mod executor;
mod genesis;
mod logs;
mod network;
mod ordered;
mod pool;
mod rules;
mod sequencer;
mod simulate;
mod state;
mod store;
mod transaction;
mod trie;

pub use block::{
    AppliedBlock, BlockInput, BlockTag, LogFilter, LogRecord, SkippedTransaction, StoredBlock,
    TransactionPlace, TransactionReceipt,
};
pub use call::{AccountOverride, CallOutcome, CallRequest, CallResult, GasEstimate};
pub use chain::{AccountProof, EmbeddedChain, SlotProof};
pub use config::{Config, Mining};
pub use error::{EmbeddedError, SubmitError};
pub use genesis::{
    DEVELOPMENT_ACCOUNTS, DEVELOPMENT_CHAIN_ID, DEVELOPMENT_MNEMONIC, DevelopmentAccount, Genesis,
    GenesisAccount,
};
pub(crate) use rules::{configuration, environment as call_environment};

#[cfg(test)]
mod tests;
