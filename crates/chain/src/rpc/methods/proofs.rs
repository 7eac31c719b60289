//! Proofs of state (EIP-1186).

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::BlockId;
use serde::{Deserialize, Serialize};

use super::block_tag;
use crate::{
    embedded::{BlockTag, SlotProof},
    rpc::{
        dispatch::Dispatcher,
        error::RpcError,
        message::{Answer, Params, answer},
    },
};

/// Slots one request may ask for.
const SLOTS_AT_ONCE: usize = 1_024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    nonce: U64,
    storage_hash: B256,
    storage_proof: Vec<Slot>,
}

#[derive(Serialize)]
struct Slot {
    key: Key,
    value: U256,
    proof: Vec<Bytes>,
}

/// A slot as it was asked for, a quantity or 32 bytes: go-ethereum answers in the same form, and so do clients compare it.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(untagged)]
enum Key {
    Whole(#[serde(deserialize_with = "whole")] B256),
    Quantity(U256),
}

impl Key {
    fn slot(self) -> B256 {
        match self {
            Self::Whole(slot) => slot,
            Self::Quantity(slot) => slot.into(),
        }
    }
}

/// Exactly 64 digits, so that a short one is a quantity.
fn whole<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<B256, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_whole = text.len() == 66 && text.starts_with("0x");
    let parsed = is_whole.then(|| text.parse().ok()).flatten();
    parsed.ok_or_else(|| serde::de::Error::custom("not 32 bytes"))
}

/// Answers `eth_getProof`, for the newest state: nodes of older ones are not kept.
pub(crate) fn get_proof(node: &Dispatcher, params: &mut Params<'_>) -> Answer {
    let address: Address = params.required("address")?;
    let keys: Vec<Key> = params.optional("storage slots")?.unwrap_or_default();
    let at: Option<BlockId> = params.optional("block")?;
    params.end()?;
    if keys.len() > SLOTS_AT_ONCE {
        return Err(RpcError::limit(format!("at most {SLOTS_AT_ONCE} slots at once")));
    }
    let number = match at.map_or(BlockTag::Latest, block_tag) {
        BlockTag::Latest | BlockTag::Pending => None,
        tag => {
            let number = node.chain.block_number(tag)?;
            Some(number.ok_or_else(|| RpcError::new(crate::rpc::error::SERVER_ERROR, "header not found"))?)
        }
    };
    let slots: Vec<B256> = keys.iter().map(|key| key.slot()).collect();
    let proof = node.chain.account_proof(address, &slots, number)?;
    let slot = |(key, slot): (Key, SlotProof)| Slot {
        key,
        value: slot.value,
        proof: slot.nodes,
    };
    answer(&Proof {
        address,
        account_proof: proof.nodes,
        balance: proof.balance,
        code_hash: proof.code_hash,
        nonce: U64::from(proof.nonce),
        storage_hash: proof.storage_root,
        storage_proof: keys.into_iter().zip(proof.slots).map(slot).collect(),
    })
}
