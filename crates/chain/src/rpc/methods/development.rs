//! Methods of development nodes: time, blocks on demand, and accounts whose keys everybody knows.
//!
//! Only behind [`Options::development`](crate::rpc::Options), and the accounts only on chain 31337, where their keys are
//! worth nothing.

use alloy_consensus::{SignableTransaction, TxEnvelope, TypedTransaction};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U64};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use serde::Deserialize;

use super::calls::call_request;
use crate::{
    embedded::{BlockTag, DEVELOPMENT_CHAIN_ID, DevelopmentAccount, GasEstimate},
    rpc::{
        dispatch::Dispatcher,
        error::{RpcError, SERVER_ERROR},
        message::{Answer, Params, answer},
    },
};

/// Blocks one request may make.
const MINED_AT_ONCE: u64 = 10_000;

/// Runs a development method; none where there is no such method.
pub(crate) fn route(
    node: &Dispatcher,
    method: &str,
    params: &mut Params<'_>,
) -> Result<Option<Vec<u8>>, RpcError> {
    let answer = match method {
        "eth_accounts" => accounts(node, params),
        "eth_sendTransaction" => send_transaction(node, params),
        "personal_sign" => personal_sign(node, params),
        "eth_sign" => eth_sign(node, params),
        "evm_mine" => mine_one(node, params),
        "anvil_mine" | "hardhat_mine" => mine_many(node, params),
        "evm_increaseTime" => increase_time(node, params),
        "evm_setNextBlockTimestamp" => set_next_timestamp(node, params),
        _ => return Ok(None),
    };
    answer.map(Some)
}

/// A number as development tools send it: plain or in hexadecimal.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Hexadecimal(U64),
}

impl Number {
    fn get(self) -> u64 {
        match self {
            Self::Plain(number) => number,
            Self::Hexadecimal(number) => number.to(),
        }
    }
}

fn mine_one(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let timestamp: Option<Number> = params.optional("timestamp")?;
    params.end()?;
    if let Some(timestamp) = timestamp {
        node.chain.set_next_timestamp(timestamp.get())?;
    }
    node.chain.mine()?;
    answer("0x0")
}

fn mine_many(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let blocks = params.optional::<Number>("blocks")?.map_or(1, Number::get);
    let interval = params.optional::<Number>("interval in seconds")?.map(Number::get);
    params.end()?;
    if blocks > MINED_AT_ONCE {
        return Err(RpcError::limit(format!("at most {MINED_AT_ONCE} blocks at once")));
    }
    for place in 0..blocks {
        if let Some(seconds) = interval.filter(|_| place > 0) {
            node.chain
                .set_next_timestamp(node.chain.head().header.timestamp.saturating_add(seconds))?;
        }
        node.chain.mine()?;
    }
    answer(&())
}

fn increase_time(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let seconds: Number = params.required("seconds")?;
    params.end()?;
    answer(&U64::from(node.chain.increase_time(seconds.get())))
}

fn set_next_timestamp(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let timestamp: Number = params.required("timestamp")?;
    params.end()?;
    node.chain.set_next_timestamp(timestamp.get())?;
    answer(&())
}

fn known_accounts(node: &Dispatcher) -> &'static [DevelopmentAccount] {
    if node.chain.chain_id() == DEVELOPMENT_CHAIN_ID {
        DevelopmentAccount::all()
    } else {
        &[]
    }
}

fn accounts(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    params.end()?;
    let addresses: Vec<Address> = known_accounts(node)
        .iter()
        .map(DevelopmentAccount::address)
        .collect();
    answer(&addresses)
}

fn account(node: &Dispatcher, address: Address) -> Result<&'static DevelopmentAccount, RpcError> {
    known_accounts(node)
        .iter()
        .find(|account| account.address() == address)
        .ok_or_else(|| RpcError::new(SERVER_ERROR, format!("unknown account {address}")))
}

fn personal_sign(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let message: Bytes = params.required("message")?;
    let address: Address = params.required("address")?;
    // A password, which these keys do not have.
    let _: Option<String> = params.optional("password")?;
    params.end()?;
    sign(node, address, &message)
}

fn eth_sign(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let address: Address = params.required("address")?;
    let message: Bytes = params.required("message")?;
    params.end()?;
    sign(node, address, &message)
}

fn sign(node: &Dispatcher, address: Address, message: &[u8]) -> Answer {
    let signature = account(node, address)?
        .signer
        .sign_message_sync(message)
        .map_err(not_signed)?;
    answer(&Bytes::from(signature.as_bytes().to_vec()))
}

fn not_signed(error: impl std::fmt::Display) -> RpcError {
    RpcError::internal(format!("the key does not sign: {error}"))
}

fn send_transaction(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let mut request: TransactionRequest = params.required("transaction")?;
    params.end()?;
    let from = request
        .from
        .ok_or_else(|| RpcError::invalid_params("missing \"from\""))?;
    let account = account(node, from)?;
    let call = call_request(request.clone())?;
    if request.to.is_none() {
        request.to = Some(TxKind::Create);
    }
    request.input.normalize_input();
    request.chain_id = Some(node.chain.chain_id());
    if request.nonce.is_none() {
        request.nonce = Some(node.chain.nonce(from, BlockTag::Pending)?);
    }
    if request.gas.is_none() {
        request.gas = Some(match node.chain.estimate_gas(&call, BlockTag::Pending)? {
            GasEstimate::Enough(gas) => gas,
            GasEstimate::Fails(failure) => return Err(super::calls::failed(failure)),
        });
    }
    if request.gas_price.is_none() {
        let tip = request
            .max_priority_fee_per_gas
            .unwrap_or(super::fees::SUGGESTED_TIP.into());
        let twice_base = u128::from(node.chain.next_base_fee()).saturating_mul(2);
        let fee = request
            .max_fee_per_gas
            .unwrap_or_else(|| twice_base.saturating_add(tip));
        request.max_fee_per_gas = Some(fee);
        request.max_priority_fee_per_gas = Some(tip.min(fee));
    }
    let transaction: TypedTransaction = request
        .build_typed_tx()
        .map_err(|_| RpcError::invalid_params("the transaction is incomplete"))?;
    let signature = account
        .signer
        .sign_hash_sync(&transaction.signature_hash())
        .map_err(not_signed)?;
    let signed: TxEnvelope = transaction.into_signed(signature).into();
    answer(&node.chain.submit(signed.encoded_2718().into())?)
}
