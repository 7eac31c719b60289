//! What gas costs, and what it did cost.

use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::{BlockNumberOrTag, FeeHistory};

use super::tag;
use crate::{
    embedded::StoredBlock,
    rpc::{
        dispatch::Dispatcher,
        error::RpcError,
        message::{Answer, Params, answer},
    },
};

/// Wei per unit of gas suggested as a tip. Nothing competes for room in blocks here; it is 1 gwei because that is what
/// other development nodes suggest and what clients assume where they do not ask.
pub(super) const SUGGESTED_TIP: u64 = 1_000_000_000;

/// Percentiles in one question.
const PERCENTILES: usize = 100;

pub(crate) fn gas_price(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    params.end()?;
    answer(&U256::from(node.chain.next_base_fee()).saturating_add(U256::from(SUGGESTED_TIP)))
}

pub(crate) fn max_priority_fee(params: &mut Params<'_>) -> Answer {
    params.end()?;
    answer(&U64::from(SUGGESTED_TIP))
}

pub(crate) fn fee_history(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let count: U64 = params.required("block count")?;
    let newest: BlockNumberOrTag = params.required("newest block")?;
    let percentiles: Option<Vec<f64>> = params.optional("reward percentiles")?;
    params.end()?;
    if percentiles
        .as_ref()
        .is_some_and(|percentiles| percentiles.len() > PERCENTILES)
    {
        return Err(RpcError::limit(format!("at most {PERCENTILES} percentiles")));
    }
    let ascending = percentiles.as_deref().is_none_or(|percentiles| {
        percentiles
            .iter()
            .all(|percentile| (0.0..=100.0).contains(percentile))
            && percentiles.is_sorted()
    });
    if !ascending {
        return Err(RpcError::invalid_params("reward percentiles go up from 0 to 100"));
    }
    let Some(newest) = node.chain.block(tag(newest))? else {
        return Err(RpcError::new(
            crate::rpc::error::SERVER_ERROR,
            "request beyond head block",
        ));
    };
    let count = count
        .saturating_to::<u64>()
        .min(node.options().limits.fee_history_blocks)
        .min(newest.number() + 1);
    let mut history = FeeHistory {
        oldest_block: newest.number() + 1 - count,
        ..FeeHistory::default()
    };
    let mut rewards = Vec::new();
    for number in history.oldest_block..=newest.number() {
        // Heads only move forwards, so a block below one that was there is there.
        let Some(block) = node.chain.block(crate::embedded::BlockTag::Number(number))? else {
            break;
        };
        let header = block.header.inner();
        history
            .base_fee_per_gas
            .push(header.base_fee_per_gas.unwrap_or_default().into());
        history
            .gas_used_ratio
            .push(ratio(header.gas_used, header.gas_limit));
        history.base_fee_per_blob_gas.push(
            header
                .blob_fee(alloy_eips::eip7840::BlobParams::osaka())
                .unwrap_or_default(),
        );
        history.blob_gas_used_ratio.push(0.0);
        if let Some(percentiles) = &percentiles {
            rewards.push(tips_at(&block, percentiles));
        }
    }
    if count > 0 {
        let next = newest
            .header
            .next_block_base_fee(BaseFeeParams::ethereum())
            .unwrap_or_default();
        history.base_fee_per_gas.push(next.into());
        history
            .base_fee_per_blob_gas
            .push(history.base_fee_per_blob_gas.last().copied().unwrap_or_default());
    }
    history.reward = percentiles.map(|_| rewards);
    answer(&history)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio of gas to look at, which is below 2^53"
)]
fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 {
        0.0
    } else {
        used as f64 / limit as f64
    }
}

/// The tips below which the given shares of the block's gas paid, as go-ethereum counts them: the first transaction, by
/// tip, at which the gas so far reaches the share.
fn tips_at(block: &StoredBlock, percentiles: &[f64]) -> Vec<u128> {
    let base_fee = u128::from(block.header.base_fee_per_gas.unwrap_or_default());
    let mut paid: Vec<(u128, u64)> = block
        .receipts
        .iter()
        .map(|receipt| {
            (
                receipt.effective_gas_price.saturating_sub(base_fee),
                receipt.gas_used,
            )
        })
        .collect();
    paid.sort_by_key(|(tip, _)| *tip);
    let mut so_far = 0_u64;
    let mut place = paid.iter().map(|(tip, gas)| {
        so_far = so_far.saturating_add(*gas);
        (*tip, so_far)
    });
    let Some(mut current) = place.next() else {
        return vec![0; percentiles.len()];
    };
    percentiles
        .iter()
        .map(|percentile| {
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of the block's gas, between 0 and a number below 2^53"
            )]
            let threshold = (block.header.gas_used as f64 * percentile / 100.0) as u64;
            while current.1 < threshold {
                match place.next() {
                    Some(next) => current = next,
                    None => break,
                }
            }
            current.0
        })
        .collect()
}
