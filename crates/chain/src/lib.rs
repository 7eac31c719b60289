//! Run the contracts on an embedded chain or any EVM node.

pub mod address;
pub mod contracts;
pub mod deploy;
pub mod embedded;
pub mod evidence;
pub mod guard;
pub mod keys;
pub mod ledger;
pub mod metered;
pub mod network;
pub mod remote;
pub mod rpc;
