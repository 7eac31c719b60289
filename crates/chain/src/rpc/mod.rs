//! Ethereum's JSON-RPC over the embedded chain: what wallets, ethers, viem, cast and alloy expect of a node.
//!
//! [`serve`] starts a server on a thread of its own. [`Options`] says who may ask and how much; the methods are listed
//! in `dispatch.rs`. Formats are those of the Ethereum execution API specification, through alloy's types.
//!
//! # Differences from a public node
//!
//! - `safe` and `finalized` are the newest block: one sequencer never takes a block back.
//! - `pending` in block queries is the newest block. In `eth_call` it is the next block's environment; in
//!   `eth_getTransactionCount` it counts what the pool holds.
//! - `eth_estimateGas` without a block, or at `latest`, runs in the next block's environment: that is where the
//!   transaction would run, and on an idle chain the newest block may be hours old.
//! - `eth_getProof` knows the newest state only: nodes of older tries are not kept.
//! - Blob transactions, `eth_createAccessList` and `eth_fillTransaction` are refused with -32601, upon
//!   which clients fall back to what there is.

mod dispatch;
mod error;
mod filters;
mod format;
mod message;
mod methods;
mod options;
mod server;
mod websocket;

#[cfg(test)]
mod tests;

pub use options::{Limits, Options};
pub use server::{RunningServer, ServeError, serve};
