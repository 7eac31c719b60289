//! Checking what is stored against itself, from the first block to the newest state.

use alloy_consensus::{ReceiptEnvelope, proofs};
use alloy_primitives::{B256, U256};
use alloy_trie::TrieAccount;
use redb::ReadableTable;

use super::{codec, damaged, storage, tables};
use crate::embedded::EmbeddedError;
use crate::embedded::executor::receipt_envelope;

const CHECKING: &str = "checking them";

impl super::Store {
    /// Recomputes every block's hash and roots, and the newest state root from all accounts and slots, with code that
    /// shares nothing with what maintains them. Takes some 2 µs per slot and 5 µs per transaction.
    pub(crate) fn check(&self) -> Result<(), EmbeddedError> {
        let view = self.view()?;
        let newest = view.newest()?.ok_or_else(|| damaged("there is no block"))?;
        let mut parent: Option<B256> = None;
        let mut state_root = B256::ZERO;
        for number in 0..=newest {
            let block = view
                .block(number)?
                .ok_or_else(|| damaged(format!("block {number} is missing")))?;
            let header = &block.header;
            let receipts: Vec<ReceiptEnvelope> = block.receipts.iter().map(receipt_envelope).collect();
            let wrong = [
                ("number", header.number != number),
                ("hash", header.hash_slow() != block.hash()),
                (
                    "parent",
                    parent.is_some_and(|parent| parent != header.parent_hash),
                ),
                (
                    "transactions root",
                    proofs::calculate_transaction_root(&block.transactions) != header.transactions_root,
                ),
                (
                    "receipts root",
                    proofs::calculate_receipt_root(&receipts) != header.receipts_root,
                ),
                (
                    "gas used",
                    block.receipts.last().map_or(0, |last| last.cumulative_gas_used) != header.gas_used,
                ),
                ("place by hash", view.height(&block.hash())? != Some(number)),
            ];
            if let Some((what, _)) = wrong.iter().find(|(_, wrong)| *wrong) {
                return Err(damaged(format!("block {number} has a wrong {what}")));
            }
            for (index, transaction) in (0u32..).zip(&block.transactions) {
                if view.place(transaction.tx_hash())? != Some((number, index)) {
                    return Err(damaged(format!(
                        "transaction {} is not found",
                        transaction.tx_hash()
                    )));
                }
            }
            parent = Some(block.hash());
            state_root = header.state_root;
        }
        let recomputed = self.recomputed_state_root()?;
        if recomputed != state_root {
            return Err(damaged(format!(
                "the state's root is {recomputed}, block {newest} says {state_root}"
            )));
        }
        Ok(())
    }

    fn recomputed_state_root(&self) -> Result<B256, EmbeddedError> {
        use redb::ReadableDatabase;
        let transaction = self.database.begin_read().map_err(storage(CHECKING))?;
        let accounts = transaction
            .open_table(tables::ACCOUNTS)
            .map_err(storage(CHECKING))?;
        let slots = transaction.open_table(tables::SLOTS).map_err(storage(CHECKING))?;
        let mut leaves: Vec<(B256, TrieAccount)> = Vec::new();
        let mut last = None;
        for entry in accounts.iter().map_err(storage(CHECKING))? {
            let (key, value) = entry.map_err(storage(CHECKING))?;
            let address = B256::from_slice(&key.value()[..32]);
            // The first version met is the newest.
            if last.replace(address) == Some(address) {
                continue;
            }
            let Some(account) = codec::decode_account(value.value())? else {
                continue;
            };
            let mut values: Vec<(B256, U256)> = Vec::new();
            let mut last_slot = None;
            let (from, to) = ([address.0, [0; 32]].concat(), [address.0, [0xff; 32]].concat());
            let (mut low, mut high) = ([0; 72], [0xff; 72]);
            low[..64].copy_from_slice(&from);
            high[..64].copy_from_slice(&to);
            for entry in slots
                .range::<&[u8; 72]>(&low..=&high)
                .map_err(storage(CHECKING))?
            {
                let (key, value) = entry.map_err(storage(CHECKING))?;
                let slot = B256::from_slice(&key.value()[32..64]);
                if last_slot.replace(slot) == Some(slot) {
                    continue;
                }
                let value = codec::decode_slot(value.value())?;
                if !value.is_zero() {
                    values.push((slot, value));
                }
            }
            let storage_root = alloy_trie::root::storage_root(values);
            if storage_root != account.storage_root {
                return Err(damaged(format!("the storage root of account {address} is wrong")));
            }
            leaves.push((
                address,
                TrieAccount::new(account.nonce, account.balance, storage_root, account.code_hash),
            ));
        }
        Ok(alloy_trie::root::state_root(leaves))
    }
}
