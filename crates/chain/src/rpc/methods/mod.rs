//! The methods, by what they are about. Each takes its parameters in order and gives its serialised result.

pub(super) mod blocks;
pub(super) mod calls;
pub(super) mod development;
pub(super) mod fees;
pub(super) mod logs;
pub(super) mod proofs;
pub(super) mod subscriptions;
pub(super) mod transactions;

use alloy_rpc_types_eth::{BlockId, BlockNumberOrTag};

use super::error::{INTERNAL_ERROR, LIMIT_EXCEEDED, RpcError, SERVER_ERROR};
use crate::embedded::{BlockTag, EmbeddedError, SubmitError};

/// A block as a client names it. One sequencer never takes a block back, so the newest is safe and final.
fn tag(block: BlockNumberOrTag) -> BlockTag {
    match block {
        BlockNumberOrTag::Latest | BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized => BlockTag::Latest,
        BlockNumberOrTag::Pending => BlockTag::Pending,
        BlockNumberOrTag::Earliest => BlockTag::Earliest,
        BlockNumberOrTag::Number(number) => BlockTag::Number(number),
    }
}

/// A block by number, tag or hash (EIP-1898). Every block kept here is canonical, so `requireCanonical` asks nothing more.
fn block_tag(block: BlockId) -> BlockTag {
    match block {
        BlockId::Number(number) => tag(number),
        BlockId::Hash(hash) => BlockTag::Hash(hash.block_hash),
    }
}

impl From<EmbeddedError> for RpcError {
    fn from(error: EmbeddedError) -> Self {
        let code = match &error {
            EmbeddedError::TooMany { .. } => LIMIT_EXCEEDED,
            EmbeddedError::Storage { .. } | EmbeddedError::Damaged { .. } => INTERNAL_ERROR,
            EmbeddedError::UnknownBlock { .. } => return Self::new(SERVER_ERROR, "header not found"),
            _ => SERVER_ERROR,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SubmitError> for RpcError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Chain(error) => error.into(),
            error => Self::new(SERVER_ERROR, error.to_string()),
        }
    }
}
