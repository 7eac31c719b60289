//! Reading what is stored, as it was at one moment.

use std::sync::Arc;

use alloy_consensus::{Header, Sealed};
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::Encodable;
use alloy_trie::TrieAccount;
use redb::{ReadOnlyTable, ReadTransaction};

use super::tables::{self, account_key, slot_key};
use super::{codec, damaged, storage};
use crate::embedded::state::{Account, StateReader};
use crate::embedded::trie::TrieReader;
use crate::embedded::{EmbeddedError, StoredBlock};

const READING: &str = "reading them";

/// All tables as they were at one moment. It stays consistent while blocks are added.
pub(crate) struct View {
    meta: ReadOnlyTable<&'static str, &'static [u8]>,
    headers: ReadOnlyTable<u64, &'static [u8]>,
    bodies: ReadOnlyTable<u64, &'static [u8]>,
    heights: ReadOnlyTable<&'static [u8; 32], u64>,
    places: ReadOnlyTable<&'static [u8; 32], (u64, u32)>,
    accounts: ReadOnlyTable<&'static [u8; 40], &'static [u8]>,
    slots: ReadOnlyTable<&'static [u8; 72], &'static [u8]>,
    codes: ReadOnlyTable<&'static [u8; 32], &'static [u8]>,
    nodes: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl View {
    pub(super) fn new(transaction: &ReadTransaction) -> Result<Self, EmbeddedError> {
        Ok(Self {
            meta: transaction.open_table(tables::META).map_err(storage(READING))?,
            headers: transaction
                .open_table(tables::HEADERS)
                .map_err(storage(READING))?,
            bodies: transaction.open_table(tables::BODIES).map_err(storage(READING))?,
            heights: transaction
                .open_table(tables::HEIGHTS)
                .map_err(storage(READING))?,
            places: transaction.open_table(tables::PLACES).map_err(storage(READING))?,
            accounts: transaction
                .open_table(tables::ACCOUNTS)
                .map_err(storage(READING))?,
            slots: transaction.open_table(tables::SLOTS).map_err(storage(READING))?,
            codes: transaction.open_table(tables::CODES).map_err(storage(READING))?,
            nodes: transaction.open_table(tables::NODES).map_err(storage(READING))?,
        })
    }

    /// Height of the newest block; `None` before the first.
    pub(crate) fn newest(&self) -> Result<Option<u64>, EmbeddedError> {
        let last = self
            .headers
            .range::<u64>(..)
            .map_err(storage(READING))?
            .next_back();
        Ok(last
            .transpose()
            .map_err(storage(READING))?
            .map(|(height, _)| height.value()))
    }

    /// The oldest height whose state is kept.
    pub(crate) fn oldest_state(&self) -> Result<u64, EmbeddedError> {
        let Some(value) = self
            .meta
            .get(tables::OLDEST_STATE_KEY)
            .map_err(storage(READING))?
        else {
            return Ok(0);
        };
        value
            .value()
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| damaged("the oldest height is not 8 bytes"))
    }

    pub(crate) fn header(&self, number: u64) -> Result<Option<Sealed<Header>>, EmbeddedError> {
        self.headers
            .get(number)
            .map_err(storage(READING))?
            .map(|value| codec::decode_header(value.value()))
            .transpose()
    }

    /// Headers from `from` to `to`, both included, in order.
    pub(crate) fn headers(
        &self,
        from: u64,
        to: u64,
    ) -> Result<impl Iterator<Item = Result<Sealed<Header>, EmbeddedError>> + use<>, EmbeddedError> {
        let range = self.headers.range(from..=to).map_err(storage(READING))?;
        Ok(range.map(|entry| codec::decode_header(entry.map_err(storage(READING))?.1.value())))
    }

    pub(crate) fn block(&self, number: u64) -> Result<Option<Arc<StoredBlock>>, EmbeddedError> {
        let Some(header) = self.header(number)? else {
            return Ok(None);
        };
        let body = self
            .bodies
            .get(number)
            .map_err(storage(READING))?
            .ok_or_else(|| damaged(format!("block {number} has a header and no body")))?;
        codec::decode_block(header, body.value()).map(|block| Some(Arc::new(block)))
    }

    pub(crate) fn height(&self, hash: &B256) -> Result<Option<u64>, EmbeddedError> {
        Ok(self
            .heights
            .get(&hash.0)
            .map_err(storage(READING))?
            .map(|value| value.value()))
    }

    /// Height of the block a transaction is in and its place there.
    pub(crate) fn place(&self, transaction: &B256) -> Result<Option<(u64, u32)>, EmbeddedError> {
        Ok(self
            .places
            .get(&transaction.0)
            .map_err(storage(READING))?
            .map(|value| value.value()))
    }

    /// The state after a block.
    pub(crate) fn state(self, height: u64) -> Result<StateView, EmbeddedError> {
        let oldest = self.oldest_state()?;
        if height < oldest {
            return Err(EmbeddedError::StateMissing {
                number: height,
                oldest,
            });
        }
        Ok(StateView { view: self, height })
    }
}

/// The state after one block.
pub(crate) struct StateView {
    pub(crate) view: View,
    height: u64,
}

impl StateView {
    /// The block it is the state after.
    pub(crate) fn height(&self) -> u64 {
        self.height
    }
}

impl StateReader for StateView {
    fn account(&self, address: &B256) -> Result<Option<Account>, EmbeddedError> {
        let range = account_key(address, self.height)..=account_key(address, 0);
        let newest = self.view.accounts.range::<&[u8; 40]>(range.start()..=range.end());
        match newest
            .map_err(storage(READING))?
            .next()
            .transpose()
            .map_err(storage(READING))?
        {
            None => Ok(None),
            Some((_, value)) => codec::decode_account(value.value()),
        }
    }

    fn slot(&self, address: &B256, slot: &B256) -> Result<U256, EmbeddedError> {
        let range = slot_key(address, slot, self.height)..=slot_key(address, slot, 0);
        let newest = self.view.slots.range::<&[u8; 72]>(range.start()..=range.end());
        match newest
            .map_err(storage(READING))?
            .next()
            .transpose()
            .map_err(storage(READING))?
        {
            None => Ok(U256::ZERO),
            Some((_, value)) => codec::decode_slot(value.value()),
        }
    }

    fn code(&self, hash: &B256) -> Result<Bytes, EmbeddedError> {
        match self.view.codes.get(&hash.0).map_err(storage(READING))? {
            Some(code) => Ok(Bytes::copy_from_slice(code.value())),
            None => Err(damaged(format!("code {hash} is missing"))),
        }
    }

    fn block_hash(&self, number: u64) -> Result<B256, EmbeddedError> {
        Ok(self
            .view
            .header(number)?
            .map(|header| header.hash())
            .unwrap_or_default())
    }
}

impl TrieReader for StateView {
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EmbeddedError> {
        Ok(self
            .view
            .nodes
            .get(key)
            .map_err(storage(READING))?
            .map(|value| value.value().to_vec()))
    }

    fn leaf(&self, trie: &B256, key: &B256) -> Result<Option<Vec<u8>>, EmbeddedError> {
        if *trie == B256::ZERO {
            return Ok(self.account(key)?.map(|account| account_value(&account)));
        }
        let value = self.slot(trie, key)?;
        Ok((!value.is_zero()).then(|| alloy_rlp::encode(value)))
    }
}

/// What the state trie holds under an account.
pub(crate) fn account_value(account: &Account) -> Vec<u8> {
    let mut out = Vec::with_capacity(110);
    TrieAccount::new(
        account.nonce,
        account.balance,
        account.storage_root,
        account.code_hash,
    )
    .encode(&mut out);
    out
}
