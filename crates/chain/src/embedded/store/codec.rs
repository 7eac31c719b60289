//! Bytes of what is stored.

use alloy_consensus::{Header, Sealed, Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};

use super::damaged;
use crate::embedded::state::Account;
use crate::embedded::{EmbeddedError, StoredBlock, TransactionReceipt};

/// Bytes of an account that exists.
const ACCOUNT_BYTES: usize = 104;

pub(super) fn encode_account(account: &Account) -> [u8; ACCOUNT_BYTES] {
    let mut out = [0; ACCOUNT_BYTES];
    out[..8].copy_from_slice(&account.nonce.to_be_bytes());
    out[8..40].copy_from_slice(&account.balance.to_be_bytes::<32>());
    out[40..72].copy_from_slice(account.code_hash.as_slice());
    out[72..].copy_from_slice(account.storage_root.as_slice());
    out
}

/// `None` for an account that does not exist, stored as nothing.
pub(super) fn decode_account(bytes: &[u8]) -> Result<Option<Account>, EmbeddedError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let bytes: &[u8; ACCOUNT_BYTES] = bytes
        .try_into()
        .map_err(|_| damaged("an account has another length"))?;
    let mut nonce = [0; 8];
    nonce.copy_from_slice(&bytes[..8]);
    Ok(Some(Account {
        nonce: u64::from_be_bytes(nonce),
        balance: U256::from_be_slice(&bytes[8..40]),
        code_hash: B256::from_slice(&bytes[40..72]),
        storage_root: B256::from_slice(&bytes[72..]),
    }))
}

pub(super) fn decode_slot(bytes: &[u8]) -> Result<U256, EmbeddedError> {
    U256::try_from_be_slice(bytes).ok_or_else(|| damaged("a slot is longer than 32 bytes"))
}

pub(super) fn encode_header(header: &Sealed<Header>) -> Vec<u8> {
    let mut out = header.hash().to_vec();
    header.encode(&mut out);
    out
}

pub(super) fn decode_header(bytes: &[u8]) -> Result<Sealed<Header>, EmbeddedError> {
    let (hash, mut rest) = bytes
        .split_first_chunk::<32>()
        .ok_or_else(|| damaged("a header is cut short"))?;
    let header =
        Header::decode(&mut rest).map_err(|error| damaged(format!("a header cannot be read: {error}")))?;
    Ok(Sealed::new_unchecked(header, B256::from(*hash)))
}

#[derive(RlpEncodable, RlpDecodable)]
struct StoredTransaction {
    raw: Bytes,
    sender: Address,
    succeeded: bool,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
}

/// Transactions are stored as they were signed: what a receipt holds beyond this follows from them and the header.
pub(super) fn encode_body(raws: &[Bytes], block: &StoredBlock) -> Vec<u8> {
    let stored: Vec<_> = raws
        .iter()
        .zip(&block.senders)
        .zip(&block.receipts)
        .map(|((raw, sender), receipt)| StoredTransaction {
            raw: raw.clone(),
            sender: *sender,
            succeeded: receipt.succeeded,
            cumulative_gas_used: receipt.cumulative_gas_used,
            logs: receipt.logs.clone(),
        })
        .collect();
    alloy_rlp::encode(stored)
}

pub(super) fn decode_block(header: Sealed<Header>, mut body: &[u8]) -> Result<StoredBlock, EmbeddedError> {
    let stored = Vec::<StoredTransaction>::decode(&mut body)
        .map_err(|error| damaged(format!("block {} cannot be read: {error}", header.number)))?;
    let mut block = StoredBlock {
        transactions: Vec::with_capacity(stored.len()),
        senders: Vec::with_capacity(stored.len()),
        receipts: Vec::with_capacity(stored.len()),
        header,
    };
    let mut used_before = 0;
    for one in stored {
        let transaction = TxEnvelope::decode_2718_exact(&one.raw).map_err(|error| {
            damaged(format!(
                "a transaction of block {} cannot be read: {error}",
                block.number()
            ))
        })?;
        block.receipts.push(receipt(
            &transaction,
            one.sender,
            one.succeeded,
            used_before,
            one.cumulative_gas_used,
            one.logs,
            block.header.base_fee_per_gas,
        ));
        used_before = one.cumulative_gas_used;
        block.senders.push(one.sender);
        block.transactions.push(transaction);
    }
    Ok(block)
}

/// A receipt from what execution gave.
pub(crate) fn receipt(
    transaction: &TxEnvelope,
    sender: Address,
    succeeded: bool,
    used_before: u64,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
    base_fee: Option<u64>,
) -> TransactionReceipt {
    let mut logs_bloom = Bloom::ZERO;
    for log in &logs {
        logs_bloom.accrue_log(log);
    }
    TransactionReceipt {
        tx_type: transaction.tx_type(),
        succeeded,
        gas_used: cumulative_gas_used.saturating_sub(used_before),
        cumulative_gas_used,
        effective_gas_price: transaction.effective_gas_price(base_fee),
        created: (succeeded && transaction.is_create()).then(|| sender.create(transaction.nonce())),
        logs_bloom,
        logs,
    }
}
