//! Blocks, transactions, receipts and logs in the form the execution API gives them.

use alloy_consensus::{
    Block as ConsensusBlock, BlockBody, Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, Sealed,
    Transaction as _, TxEnvelope,
    transaction::{Recovered, TransactionInfo},
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    Block, BlockTransactions, Header as RpcHeader, Log, Transaction, TransactionReceipt,
};

use crate::embedded::{LogRecord, StoredBlock};

/// A block with its transactions, whole or by hash.
pub(crate) fn block(block: &StoredBlock, whole: bool) -> Block {
    let transactions = if whole {
        BlockTransactions::Full(
            (0..block.transactions.len())
                .filter_map(|index| transaction(block, index))
                .collect(),
        )
    } else {
        BlockTransactions::Hashes(
            block
                .transactions
                .iter()
                .map(|transaction| *transaction.tx_hash())
                .collect(),
        )
    };
    let withdrawals = block.header.withdrawals_root.map(|_| Withdrawals::default());
    let body = BlockBody {
        transactions: Vec::<TxEnvelope>::new(),
        ommers: Vec::new(),
        withdrawals: withdrawals.clone(),
    };
    // The size of the RLP list, its transactions being counted without copying them: the empty list is one byte.
    let empty = ConsensusBlock::<TxEnvelope, Header>::rlp_length_for(block.header.inner(), &body);
    let payload: usize = block.transactions.iter().map(Encodable::length).sum();
    let list = alloy_rlp::Header {
        list: true,
        payload_length: payload,
    }
    .length_with_payload();
    let inside = empty - list_prefix(empty) + list - 1;
    let size = alloy_rlp::Header {
        list: true,
        payload_length: inside,
    }
    .length_with_payload();
    Block {
        header: RpcHeader::from_consensus(block.header.clone(), None, Some(U256::from(size))),
        uncles: Vec::new(),
        transactions,
        withdrawals,
    }
}

/// Bytes of the prefix of an RLP list that is `length` bytes long with it.
fn list_prefix(length: usize) -> usize {
    (1..=9)
        .find(|prefix| alloy_rlp::length_of_length(length.saturating_sub(*prefix)) == *prefix)
        .unwrap_or(1)
}

/// A header as subscribers get it.
pub(crate) fn header(header: Sealed<Header>) -> RpcHeader {
    RpcHeader::from_consensus(header, None, None)
}

/// A transaction of a block, by its place.
pub(crate) fn transaction(block: &StoredBlock, index: usize) -> Option<Transaction> {
    let inner = block.transactions.get(index)?.clone();
    let info = TransactionInfo {
        hash: Some(*inner.tx_hash()),
        index: Some(index as u64),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        base_fee: block.header.base_fee_per_gas,
        block_timestamp: Some(block.header.timestamp),
    };
    Some(Transaction::from_transaction(
        Recovered::new_unchecked(inner, *block.senders.get(index)?),
        info,
    ))
}

/// A transaction that is in no block yet.
pub(crate) fn pending_transaction(inner: TxEnvelope, sender: Address) -> Transaction {
    Transaction::from_transaction(
        Recovered::new_unchecked(inner, sender),
        TransactionInfo::default(),
    )
}

/// What a transaction of a block did. `first_log` is the place of its first log in the block.
pub(crate) fn receipt(block: &StoredBlock, index: usize, first_log: u64) -> Option<TransactionReceipt> {
    let (transaction, receipt) = (block.transactions.get(index)?, block.receipts.get(index)?);
    let hash = *transaction.tx_hash();
    let logs = receipt
        .logs
        .iter()
        .zip(first_log..)
        .map(|(log, log_index)| Log {
            inner: log.clone(),
            block_hash: Some(block.hash()),
            block_number: Some(block.number()),
            block_timestamp: Some(block.header.timestamp),
            transaction_hash: Some(hash),
            transaction_index: Some(index as u64),
            log_index: Some(log_index),
            removed: false,
        })
        .collect();
    let inner = Receipt {
        status: receipt.succeeded.into(),
        cumulative_gas_used: receipt.cumulative_gas_used,
        logs,
    };
    Some(TransactionReceipt {
        inner: ReceiptEnvelope::from_typed(receipt.tx_type, ReceiptWithBloom::new(inner, receipt.logs_bloom)),
        transaction_hash: hash,
        transaction_index: Some(index as u64),
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        gas_used: receipt.gas_used,
        effective_gas_price: receipt.effective_gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        from: *block.senders.get(index)?,
        to: transaction.to(),
        contract_address: receipt.created,
    })
}

/// What all transactions of a block did.
pub(crate) fn receipts(block: &StoredBlock) -> Vec<TransactionReceipt> {
    let mut first_log = 0;
    block
        .receipts
        .iter()
        .enumerate()
        .filter_map(|(index, stored)| {
            let formatted = receipt(block, index, first_log);
            first_log += stored.logs.len() as u64;
            formatted
        })
        .collect()
}

/// A log with its place.
pub(crate) fn log(record: LogRecord) -> Log {
    Log {
        inner: record.log,
        block_hash: Some(record.block_hash),
        block_number: Some(record.block_number),
        block_timestamp: Some(record.block_timestamp),
        transaction_hash: Some(record.transaction_hash),
        transaction_index: Some(record.transaction_index),
        log_index: Some(record.log_index),
        removed: false,
    }
}
