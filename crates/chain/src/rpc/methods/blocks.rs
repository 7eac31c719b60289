//! The chain and its blocks.

use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::{BlockId, BlockNumberOrTag};

use super::{block_tag, tag};
use crate::{
    embedded::BlockTag,
    rpc::{
        dispatch::Dispatcher,
        error::RpcError,
        format,
        message::{Answer, Params, answer},
    },
};

pub(crate) fn chain_id(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    params.end()?;
    answer(&U64::from(node.chain.chain_id()))
}

pub(crate) fn net_version(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    params.end()?;
    // Decimal, unlike every other number of this interface.
    answer(&node.chain.chain_id().to_string())
}

pub(crate) fn client_version(params: &mut Params<'_>) -> Answer {
    params.end()?;
    answer(concat!("Counterweight/v", env!("CARGO_PKG_VERSION")))
}

pub(crate) fn syncing(params: &mut Params<'_>) -> Answer {
    params.end()?;
    answer(&false)
}

pub(crate) fn block_number(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    params.end()?;
    answer(&U64::from(node.chain.head().number()))
}

pub(crate) fn block_by_number(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let at: BlockNumberOrTag = params.required("block")?;
    block(node, params, tag(at))
}

pub(crate) fn block_by_hash(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let hash: B256 = params.required("block hash")?;
    block(node, params, BlockTag::Hash(hash))
}

fn block(node: &Dispatcher, params: &mut Params<'_>, at: BlockTag) -> Answer {
    let whole: bool = params.optional("whole transactions")?.unwrap_or_default();
    params.end()?;
    answer(&node.chain.block(at)?.map(|block| format::block(&block, whole)))
}

pub(crate) fn block_receipts(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let at: BlockId = params.required("block")?;
    params.end()?;
    answer(
        &node
            .chain
            .block(block_tag(at))?
            .map(|block| format::receipts(&block)),
    )
}

pub(crate) fn transaction_count_by_number(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let at: BlockNumberOrTag = params.required("block")?;
    transaction_count(node, params, tag(at))
}

pub(crate) fn transaction_count_by_hash(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let hash: B256 = params.required("block hash")?;
    transaction_count(node, params, BlockTag::Hash(hash))
}

fn transaction_count(node: &Dispatcher, params: &mut Params<'_>, at: BlockTag) -> Answer {
    params.end()?;
    answer(
        &node
            .chain
            .block(at)?
            .map(|block| U64::from(block.transactions.len())),
    )
}

pub(crate) fn transaction_by_number_and_index(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let at: BlockNumberOrTag = params.required("block")?;
    transaction_by_index(node, params, tag(at))
}

pub(crate) fn transaction_by_hash_and_index(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let hash: B256 = params.required("block hash")?;
    transaction_by_index(node, params, BlockTag::Hash(hash))
}

fn transaction_by_index(node: &Dispatcher, params: &mut Params<'_>, at: BlockTag) -> Answer {
    let index: U64 = params.required("index")?;
    params.end()?;
    let index = usize::try_from(index).map_err(|_| RpcError::invalid_params("the index is too large"))?;
    answer(
        &node
            .chain
            .block(at)?
            .and_then(|block| format::transaction(&block, index)),
    )
}
