//! What a WebSocket client wants to be told of.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use parking_lot::Mutex;
use serde::Serialize;

use crate::{
    embedded::{BlockTag, StoredBlock},
    rpc::{
        dispatch::Dispatcher,
        error::RpcError,
        filters::{Ids, LogSelection},
        format,
        message::{Answer, Params, answer},
    },
};

/// Notifications made at a time; more follow once these are sent.
const AT_A_TIME: usize = 256;

/// Hashes of pending transactions kept for a client that is slow to take them.
const PENDING_KEPT: usize = 4_096;

/// The subscriptions of one connection.
pub(crate) struct Session {
    state: Mutex<State>,
    limit: usize,
}

#[derive(Default)]
struct State {
    subscriptions: BTreeMap<u64, Subscription>,
    pending: VecDeque<B256>,
    ids: Ids,
}

enum Subscription {
    /// Headers from block `next` on.
    Heads { next: u64 },
    /// Logs from block `next` on.
    Logs { selection: LogSelection, next: u64 },
    /// Pending transactions, whole or by hash.
    Pending { whole: bool },
}

impl Session {
    /// For at most `limit` subscriptions.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            limit,
        }
    }

    /// Whether nobody wants to be told of anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().subscriptions.is_empty()
    }

    /// Keeps a pending transaction if somebody wants to be told of it.
    pub(crate) fn keep_pending(&self, hash: B256) -> bool {
        let mut state = self.state.lock();
        let wanted = state
            .subscriptions
            .values()
            .any(|one| matches!(one, Subscription::Pending { .. }));
        if wanted {
            if state.pending.len() == PENDING_KEPT {
                state.pending.pop_front();
            }
            state.pending.push_back(hash);
        }
        wanted
    }
}

pub(crate) fn subscribe(node: &Dispatcher, session: &Session, params: &mut Params<'_>) -> Answer {
    let kind: String = params.required("kind")?;
    let next = node.chain.head().number() + 1;
    let subscription = match kind.as_str() {
        "newHeads" => Subscription::Heads { next },
        "logs" => {
            let filter: Filter = params.optional("filter")?.unwrap_or_default();
            if matches!(filter.block_option, FilterBlockOption::AtBlockHash(_)) {
                return Err(RpcError::invalid_params(
                    "a subscription is to coming blocks, not to one",
                ));
            }
            Subscription::Logs {
                selection: LogSelection::of(&filter, &node.options().limits)?,
                next,
            }
        }
        "newPendingTransactions" => Subscription::Pending {
            whole: params.optional("whole transactions")?.unwrap_or_default(),
        },
        other => {
            let shown: String = other.chars().take(64).collect();
            return Err(RpcError::method_not_found(&format!("eth_subscribe to {shown}")));
        }
    };
    params.end()?;
    let mut state = session.state.lock();
    if state.subscriptions.len() >= session.limit {
        return Err(RpcError::limit(format!(
            "{} subscriptions are open, close some",
            session.limit
        )));
    }
    let id = state.ids.next();
    state.subscriptions.insert(id, subscription);
    answer(&U64::from(id))
}

pub(crate) fn unsubscribe(session: &Session, params: &mut Params<'_>) -> Answer {
    let id: u64 = params.required::<U64>("subscription id")?.to();
    params.end()?;
    answer(&session.state.lock().subscriptions.remove(&id).is_some())
}

/// Serialised notifications of what is new, in the order it came; empty where nothing is. A block or transaction that
/// cannot be read ends the subscription's news here: the next question about it will say why.
pub(crate) fn notifications(node: &Dispatcher, session: &Session) -> Vec<Vec<u8>> {
    let head = node.chain.head().number();
    let mut out = Vec::new();
    let mut state = session.state.lock();
    let State {
        subscriptions,
        pending,
        ..
    } = &mut *state;
    let taken: Vec<B256> = pending.drain(..).collect();
    for (id, subscription) in subscriptions {
        match subscription {
            Subscription::Heads { next } => {
                while *next <= head && out.len() < AT_A_TIME {
                    let Ok(Some(header)) = node.chain.header(BlockTag::Number(*next)) else {
                        break;
                    };
                    out.extend(notification(*id, &format::header(header)));
                    *next += 1;
                }
            }
            Subscription::Logs { selection, next } => {
                while *next <= head && out.len() < AT_A_TIME {
                    let Ok(Some(block)) = node.chain.block(BlockTag::Number(*next)) else {
                        break;
                    };
                    out.extend(
                        selected(&block, selection)
                            .iter()
                            .filter_map(|log| notification(*id, log)),
                    );
                    *next += 1;
                }
            }
            Subscription::Pending { whole } => {
                for hash in &taken {
                    if *whole {
                        let transaction = pending_or_included(node, *hash);
                        out.extend(transaction.and_then(|transaction| notification(*id, &transaction)));
                    } else {
                        out.extend(notification(*id, hash));
                    }
                }
            }
        }
    }
    out
}

/// With instant mining a transaction may be in a block before anybody was told that it came.
fn pending_or_included(node: &Dispatcher, hash: B256) -> Option<alloy_rpc_types_eth::Transaction> {
    if let Some((transaction, sender)) = node.chain.pooled(hash) {
        return Some(format::pending_transaction(transaction, sender));
    }
    let place = node.chain.transaction(hash).ok()??;
    let (transaction, sender) = (
        place.block.transactions.get(place.index)?,
        place.block.senders.get(place.index)?,
    );
    Some(format::pending_transaction(transaction.clone(), *sender))
}

fn selected(block: &StoredBlock, selection: &LogSelection) -> Vec<Log> {
    let mut log_index = 0;
    let mut logs = Vec::new();
    for (index, (receipt, transaction)) in block.receipts.iter().zip(&block.transactions).enumerate() {
        for log in &receipt.logs {
            if selection.matches(log) {
                logs.push(Log {
                    inner: log.clone(),
                    block_hash: Some(block.hash()),
                    block_number: Some(block.number()),
                    block_timestamp: Some(block.header.timestamp),
                    transaction_hash: Some(*transaction.tx_hash()),
                    transaction_index: Some(index as u64),
                    log_index: Some(log_index),
                    removed: false,
                });
            }
            log_index += 1;
        }
    }
    logs
}

fn notification<T: Serialize>(subscription: u64, result: &T) -> Option<Vec<u8>> {
    #[derive(Serialize)]
    struct Told<'a, T> {
        subscription: U64,
        result: &'a T,
    }
    #[derive(Serialize)]
    struct Notification<'a, T> {
        jsonrpc: &'static str,
        method: &'static str,
        params: Told<'a, T>,
    }
    let params = Told {
        subscription: U64::from(subscription),
        result,
    };
    serde_json::to_vec(&Notification {
        jsonrpc: "2.0",
        method: "eth_subscription",
        params,
    })
    .ok()
}
