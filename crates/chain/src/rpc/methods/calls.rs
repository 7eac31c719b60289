//! State, and calls that are run on it.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U64, U256};
use alloy_rpc_types_eth::{BlockId, BlockOverrides, TransactionRequest, state::StateOverride};

use super::block_tag;
use crate::{
    embedded::{AccountOverride, BlockTag, CallOutcome, CallRequest, GasEstimate},
    rpc::{
        dispatch::Dispatcher,
        error::{RpcError, SERVER_ERROR},
        message::{Answer, Params, answer},
    },
};

/// The last parameter of questions about state. Absent, it is the newest block.
fn at(params: &mut Params<'_>) -> Result<BlockTag, RpcError> {
    let at: Option<BlockId> = params.optional("block")?;
    params.end()?;
    Ok(at.map_or(BlockTag::Latest, block_tag))
}

pub(crate) fn balance(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let address: Address = params.required("address")?;
    answer(&node.chain.balance(address, at(params)?)?)
}

pub(crate) fn transaction_count(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let address: Address = params.required("address")?;
    answer(&U64::from(node.chain.nonce(address, at(params)?)?))
}

pub(crate) fn code(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let address: Address = params.required("address")?;
    answer(&node.chain.code(address, at(params)?)?)
}

pub(crate) fn storage_at(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let address: Address = params.required("address")?;
    let slot: U256 = params.required("storage slot")?;
    answer(&node.chain.storage(address, slot, at(params)?)?)
}

pub(crate) fn call(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let (request, at) = question(params)?;
    let result = node.chain.simulate(&request, at.unwrap_or(BlockTag::Latest))?;
    match result.outcome {
        CallOutcome::Success { output, .. } => answer(&output),
        failure => Err(failed(failure)),
    }
}

pub(crate) fn estimate_gas(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let (request, at) = question(params)?;
    // The next block is where the transaction would run; on an idle chain the newest one may be hours old.
    let at = at
        .filter(|at| *at != BlockTag::Latest)
        .unwrap_or(BlockTag::Pending);
    match node.chain.estimate_gas(&request, at)? {
        GasEstimate::Enough(gas) => answer(&U64::from(gas)),
        GasEstimate::Fails(failure) => Err(failed(failure)),
    }
}

pub(super) fn failed(outcome: CallOutcome) -> RpcError {
    match outcome {
        CallOutcome::Reverted { data } => RpcError::reverted(data),
        CallOutcome::Halted { reason } => RpcError::new(SERVER_ERROR, reason),
        CallOutcome::Success { .. } => RpcError::internal("the call succeeded and was taken to have failed"),
    }
}

fn question(params: &mut Params<'_>) -> Result<(CallRequest, Option<BlockTag>), RpcError> {
    let request: TransactionRequest = params.required("transaction")?;
    let at: Option<BlockId> = params.optional("block")?;
    let state: Option<StateOverride> = params.optional("state overrides")?;
    let block: Option<BlockOverrides> = params.optional("block overrides")?;
    params.end()?;
    if block.is_some_and(|block| block != BlockOverrides::default()) {
        return Err(RpcError::invalid_params("block overrides are not supported"));
    }
    let mut request = call_request(request)?;
    request.overrides = overrides(state.unwrap_or_default())?;
    Ok((request, at.map(block_tag)))
}

/// The call a transaction request describes.
pub(crate) fn call_request(request: TransactionRequest) -> Result<CallRequest, RpcError> {
    if request.blob_versioned_hashes.is_some()
        || request.sidecar.is_some()
        || request.max_fee_per_blob_gas.is_some()
    {
        return Err(RpcError::invalid_params("blob transactions are not supported"));
    }
    if request
        .authorization_list
        .as_ref()
        .is_some_and(|list| !list.is_empty())
    {
        return Err(RpcError::invalid_params(
            "authorizations in calls are not supported",
        ));
    }
    if request.gas_price.is_some()
        && (request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some())
    {
        return Err(RpcError::invalid_params(
            "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified",
        ));
    }
    let input = request.input.try_into_unique_input().map_err(|_| {
        RpcError::invalid_params(r#"both "data" and "input" are set and not equal. Please use "input" to pass transaction call data"#)
    })?;
    Ok(CallRequest {
        from: request.from,
        to: request.to.and_then(|to| to.to().copied()),
        value: request.value.unwrap_or_default(),
        input: input.unwrap_or_default(),
        gas: request.gas,
        max_fee_per_gas: request.gas_price.or(request.max_fee_per_gas),
        max_priority_fee_per_gas: request.gas_price.or(request.max_priority_fee_per_gas),
        nonce: request.nonce,
        access_list: request.access_list.unwrap_or_default(),
        overrides: BTreeMap::new(),
    })
}

fn overrides(state: StateOverride) -> Result<BTreeMap<Address, AccountOverride>, RpcError> {
    state
        .into_iter()
        .map(|(address, account)| {
            if account.state.is_some() || account.move_precompile_to.is_some() {
                let message = "state overrides know balance, nonce, code and stateDiff; state and movePrecompileToAddress are not supported";
                return Err(RpcError::invalid_params(message));
            }
            let account = AccountOverride {
                balance: account.balance,
                nonce: account.nonce,
                code: account.code,
                storage: account.state_diff.unwrap_or_default().into_iter().collect(),
            };
            Ok((address, account))
        })
        .collect()
}
