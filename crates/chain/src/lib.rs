//! Run the contracts on an embedded chain or any EVM node.

pub mod embedded;
pub mod network;
pub mod rpc;
