//! Logs by query, and filters that are polled.

use std::time::Instant;

use alloy_primitives::U64;
use alloy_rpc_types_eth::{BlockNumberOrTag, Filter, FilterBlockOption, Log};
use tokio::sync::broadcast::error::TryRecvError;

use super::tag;
use crate::{
    embedded::{BlockTag, LogFilter},
    rpc::{
        dispatch::Dispatcher,
        error::{NOT_FOUND, RpcError},
        filters::{LogSelection, Polled},
        format,
        message::{Answer, Params, answer},
    },
};

/// Hashes one poll of a block filter gives; the rest comes with the next poll.
const POLLED_BLOCKS: u64 = 10_000;

pub(crate) fn get_logs(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let filter: Filter = params.required("filter")?;
    params.end()?;
    let selection = LogSelection::of(&filter, &node.options().limits)?;
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let number = node.chain.block_number(BlockTag::Hash(hash))?;
            let number = number.ok_or_else(|| RpcError::new(NOT_FOUND, "unknown block"))?;
            (number, number)
        }
        FilterBlockOption::Range { from_block, to_block } => {
            if let (Some(BlockNumberOrTag::Number(from)), Some(BlockNumberOrTag::Number(to))) =
                (from_block, to_block)
                && from > to
            {
                return Err(RpcError::invalid_params(
                    "invalid block range params: fromBlock is above toBlock",
                ));
            }
            let (from, to) = (
                height(node, from_block.unwrap_or_default()),
                height(node, to_block.unwrap_or_default()),
            );
            (from, to)
        }
    };
    answer(&query(node, selection, from, to)?)
}

/// Height a block of a range stands for; a number may lie above the newest block.
fn height(node: &Dispatcher, block: BlockNumberOrTag) -> u64 {
    match tag(block) {
        BlockTag::Number(number) => number,
        BlockTag::Earliest => 0,
        _ => node.chain.head().number(),
    }
}

fn query(node: &Dispatcher, selection: LogSelection, from: u64, to: u64) -> Result<Vec<Log>, RpcError> {
    let limits = &node.options().limits;
    let to = to.min(node.chain.head().number());
    if from > to {
        return Ok(Vec::new());
    }
    if to - from >= limits.log_blocks {
        return Err(RpcError::limit(format!(
            "query spans more than {} blocks, narrow the block range",
            limits.log_blocks
        )));
    }
    let filter = LogFilter {
        from,
        to,
        addresses: selection.addresses,
        topics: selection.topics,
    };
    let logs = node.chain.logs(&filter)?;
    if logs.len() > limits.logs {
        return Err(RpcError::limit(format!(
            "query returned more than {} results, narrow the block range",
            limits.logs
        )));
    }
    Ok(logs.into_iter().map(format::log).collect())
}

pub(crate) fn new_filter(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let filter: Filter = params.required("filter")?;
    params.end()?;
    install(
        node,
        Polled::logs(&filter, &node.options().limits, node.chain.head().number() + 1)?,
    )
}

pub(crate) fn new_block_filter(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    params.end()?;
    install(
        node,
        Polled::Blocks {
            next: node.chain.head().number() + 1,
        },
    )
}

pub(crate) fn new_pending_transaction_filter(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let whole: Option<bool> = params.optional("whole transactions")?;
    params.end()?;
    if whole == Some(true) {
        return Err(RpcError::invalid_params(
            "only hashes of pending transactions can be polled",
        ));
    }
    install(
        node,
        Polled::Pending {
            hashes: node.chain.subscribe_pending(),
        },
    )
}

fn install(node: &Dispatcher, polled: Polled) -> Answer {
    answer(&U64::from(node.filters.lock().install(polled, Instant::now())?))
}

pub(crate) fn filter_changes(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let id: u64 = params.required::<U64>("filter id")?.to();
    params.end()?;
    let head = node.chain.head().number();
    let mut filters = node.filters.lock();
    match filters.get(id, Instant::now())? {
        Polled::Blocks { next } => {
            let end = (head + 1).min(*next + POLLED_BLOCKS);
            let from = std::mem::replace(next, end.max(*next));
            drop(filters);
            let mut hashes = Vec::new();
            for number in from..end {
                hashes.extend(
                    node.chain
                        .header(BlockTag::Number(number))?
                        .map(|header| header.hash()),
                );
            }
            answer(&hashes)
        }
        Polled::Pending { hashes } => {
            let mut news = Vec::new();
            loop {
                match hashes.try_recv() {
                    Ok(hash) => news.push(hash),
                    Err(TryRecvError::Lagged(_)) => {}
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            answer(&news)
        }
        Polled::Logs {
            selection,
            range,
            next,
        } => {
            let (selection, range) = (selection.clone(), *range);
            let from = std::mem::replace(next, (head + 1).max(*next));
            // The query runs outside the lock: it may take long, and others poll.
            drop(filters);
            let wanted_from = match range.0 {
                BlockNumberOrTag::Number(number) => number.max(from),
                _ => from,
            };
            let to = match range.1 {
                BlockNumberOrTag::Number(number) => number.min(head),
                BlockNumberOrTag::Earliest => 0,
                _ => head,
            };
            let logs = query(node, selection, wanted_from, to);
            if logs.is_err()
                && let Ok(Polled::Logs { next, .. }) = node.filters.lock().get(id, Instant::now())
            {
                // Not told after all.
                *next = (*next).min(from);
            }
            answer(&logs?)
        }
    }
}

pub(crate) fn filter_logs(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let id: u64 = params.required::<U64>("filter id")?.to();
    params.end()?;
    let (selection, range) = match node.filters.lock().get(id, Instant::now())? {
        Polled::Logs { selection, range, .. } => (selection.clone(), *range),
        Polled::Blocks { .. } | Polled::Pending { .. } => {
            return Err(RpcError::invalid_params("the filter is not one for logs"));
        }
    };
    let (from, to) = (height(node, range.0), height(node, range.1));
    answer(&query(node, selection, from, to)?)
}

pub(crate) fn uninstall_filter(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let id: u64 = params.required::<U64>("filter id")?.to();
    params.end()?;
    answer(&node.filters.lock().uninstall(id))
}
