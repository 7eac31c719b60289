//! Single transactions: sent, and looked up.

use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes};

use crate::rpc::{
    dispatch::Dispatcher,
    format,
    message::{Answer, Params, answer},
};

pub(crate) fn by_hash(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let hash: B256 = params.required("transaction hash")?;
    params.end()?;
    let included = node
        .chain
        .transaction(hash)?
        .and_then(|place| format::transaction(&place.block, place.index));
    answer(&included.or_else(|| {
        let (transaction, sender) = node.chain.pooled(hash)?;
        Some(format::pending_transaction(transaction, sender))
    }))
}

pub(crate) fn raw_by_hash(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let hash: B256 = params.required("transaction hash")?;
    params.end()?;
    let raw = match node.chain.transaction(hash)? {
        Some(place) => place
            .block
            .transactions
            .get(place.index)
            .map(Encodable2718::encoded_2718),
        None => node
            .chain
            .pooled(hash)
            .map(|(transaction, _)| transaction.encoded_2718()),
    };
    answer(&raw.map(Bytes::from))
}

pub(crate) fn receipt(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let hash: B256 = params.required("transaction hash")?;
    params.end()?;
    let place = node.chain.transaction(hash)?;
    answer(&place.and_then(|place| {
        let first_log = place.block.first_log_index(place.index);
        format::receipt(&place.block, place.index, first_log)
    }))
}

pub(crate) fn send_raw(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let transaction: Bytes = params.required("transaction")?;
    params.end()?;
    answer(&node.chain.submit(transaction)?)
}
