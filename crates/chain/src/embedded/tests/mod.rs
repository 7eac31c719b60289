//! The chain as a whole.

mod blocks;
mod calls;
mod crash;
mod state;
mod submission;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use alloy_signer::SignerSync;

use super::*;

/// A contract without a compiler: creation code that returns `runtime`.
pub(super) fn creation(runtime: &[u8]) -> Bytes {
    let len = u8::try_from(runtime.len()).unwrap();
    let mut code = vec![0x60, len, 0x60, 0x0b, 0x5f, 0x39, 0x60, len, 0x5f, 0xf3, 0x00];
    code.extend_from_slice(runtime);
    code.into()
}

/// Stores the second word of calldata in the slot the first names, and logs the slot as a topic.
pub(super) const SETTER: [u8; 12] = hex!("6020355f35555f355f5fa100");

/// Reverts with its calldata.
pub(super) const REVERTER: [u8; 7] = hex!("365f5f37365ffd");

pub(super) fn chain() -> EmbeddedChain {
    EmbeddedChain::in_memory(Genesis::development(), Config::default()).unwrap()
}

pub(super) fn manual() -> EmbeddedChain {
    let config = Config {
        mining: Mining::Manual,
        ..Config::default()
    };
    EmbeddedChain::in_memory(Genesis::development(), config).unwrap()
}

pub(super) fn account(index: u32) -> DevelopmentAccount {
    DevelopmentAccount::nth(index)
}

pub(super) fn template(nonce: u64, to: TxKind, input: Bytes) -> TxEip1559 {
    TxEip1559 {
        chain_id: DEVELOPMENT_CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to,
        value: U256::ZERO,
        access_list: Default::default(),
        input,
    }
}

pub(super) fn sign(from: &DevelopmentAccount, transaction: TxEip1559) -> Bytes {
    let signature = from.signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
    TxEnvelope::from(transaction.into_signed(signature))
        .encoded_2718()
        .into()
}

pub(super) fn payment(from: &DevelopmentAccount, nonce: u64, to: Address, value: u64) -> Bytes {
    let transaction = TxEip1559 {
        gas_limit: 21_000,
        value: U256::from(value),
        ..template(nonce, TxKind::Call(to), Bytes::new())
    };
    sign(from, transaction)
}

/// Calldata of [`SETTER`].
pub(super) fn set(slot: u64, value: u64) -> Bytes {
    [
        U256::from(slot).to_be_bytes::<32>(),
        U256::from(value).to_be_bytes::<32>(),
    ]
    .concat()
    .into()
}

/// Deploys [`SETTER`] from an account's first transaction.
pub(super) fn deploy_setter(chain: &EmbeddedChain, from: &DevelopmentAccount) -> Address {
    chain
        .submit(sign(from, template(0, TxKind::Create, creation(&SETTER))))
        .unwrap();
    if chain.config().mining == Mining::Manual {
        chain.mine().unwrap();
    }
    from.address().create(0)
}
