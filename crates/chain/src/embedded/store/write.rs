//! Writing a block: all of it in one transaction.

use alloy_primitives::{B256, Bytes};
use redb::WriteTransaction;

use super::tables::{self, account_key, slot_key};
use super::{Identity, Store, codec, storage};
use crate::embedded::state::ChangeSet;
use crate::embedded::trie::NodeWrites;
use crate::embedded::{EmbeddedError, StoredBlock};

const WRITING: &str = "writing a block";

/// Opening a table in a write transaction makes it, so that readers find all of them.
pub(super) fn create_tables(write: &WriteTransaction) -> Result<(), EmbeddedError> {
    let doing = "making their tables";
    write.open_table(tables::HEADERS).map_err(storage(doing))?;
    write.open_table(tables::BODIES).map_err(storage(doing))?;
    write.open_table(tables::HEIGHTS).map_err(storage(doing))?;
    write.open_table(tables::PLACES).map_err(storage(doing))?;
    write.open_table(tables::ACCOUNTS).map_err(storage(doing))?;
    write.open_table(tables::SLOTS).map_err(storage(doing))?;
    write.open_table(tables::CODES).map_err(storage(doing))?;
    write.open_table(tables::NODES).map_err(storage(doing))?;
    write.open_table(tables::TOUCHED).map_err(storage(doing))?;
    Ok(())
}

/// A block and everything that has to be written with it.
pub(crate) struct BlockWrite<'a> {
    pub(crate) block: &'a StoredBlock,
    pub(crate) raws: &'a [Bytes],
    pub(crate) hashes: &'a [B256],
    pub(crate) changes: &'a ChangeSet,
    pub(crate) nodes: NodeWrites,
    /// Given with the first block.
    pub(crate) identity: Option<Identity>,
}

/// What to do while the disk is waited for: called again and again until it says that there is nothing left.
pub(crate) type Meanwhile<'a> = Option<&'a dyn Fn() -> bool>;

impl Store {
    /// Writes a block durably. When this returns it survives a crash; until then nothing of it does.
    pub(crate) fn write(
        &self,
        mut block: BlockWrite<'_>,
        meanwhile: Meanwhile<'_>,
    ) -> Result<(), EmbeddedError> {
        let number = block.block.number();
        let write = self.database.begin_write().map_err(storage(WRITING))?;
        {
            let mut headers = write.open_table(tables::HEADERS).map_err(storage(WRITING))?;
            headers
                .insert(number, codec::encode_header(&block.block.header).as_slice())
                .map_err(storage(WRITING))?;
            let mut bodies = write.open_table(tables::BODIES).map_err(storage(WRITING))?;
            bodies
                .insert(number, codec::encode_body(block.raws, block.block).as_slice())
                .map_err(storage(WRITING))?;
            let mut heights = write.open_table(tables::HEIGHTS).map_err(storage(WRITING))?;
            heights
                .insert(&block.block.hash().0, number)
                .map_err(storage(WRITING))?;
        }
        {
            let mut places = write.open_table(tables::PLACES).map_err(storage(WRITING))?;
            let mut sorted: Vec<_> = block.hashes.iter().zip(0u32..).collect();
            sorted.sort_unstable();
            for (hash, index) in sorted {
                places
                    .insert(&hash.0, (number, index))
                    .map_err(storage(WRITING))?;
            }
        }
        write_state(&write, number, block.changes)?;
        {
            let mut nodes = write.open_table(tables::NODES).map_err(storage(WRITING))?;
            block.nodes.sort_unstable();
            for (key, record) in &block.nodes {
                match record {
                    Some(record) => drop(
                        nodes
                            .insert(key.as_slice(), record.as_slice())
                            .map_err(storage(WRITING))?,
                    ),
                    None => drop(nodes.remove(key.as_slice()).map_err(storage(WRITING))?),
                }
            }
        }
        if let Some(identity) = block.identity {
            let mut value = identity.chain_id.to_be_bytes().to_vec();
            value.extend_from_slice(identity.genesis.as_slice());
            let mut meta = write.open_table(tables::META).map_err(storage(WRITING))?;
            meta.insert(tables::IDENTITY_KEY, value.as_slice())
                .map_err(storage(WRITING))?;
        }
        if let Some(depth) = self.history_blocks {
            write_touched(&write, number, block.changes)?;
            drop_old_state(&write, number.saturating_sub(depth))?;
        }
        commit(write, meanwhile).map_err(storage(WRITING))
    }
}

fn commit(write: WriteTransaction, meanwhile: Meanwhile<'_>) -> Result<(), redb::CommitError> {
    let Some(meanwhile) = meanwhile else {
        return write.commit();
    };
    std::thread::scope(|scope| {
        let commit = scope.spawn(move || write.commit());
        while !commit.is_finished() && meanwhile() {}
        commit
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn write_state(write: &WriteTransaction, number: u64, changes: &ChangeSet) -> Result<(), EmbeddedError> {
    let mut accounts = write.open_table(tables::ACCOUNTS).map_err(storage(WRITING))?;
    let mut slots = write.open_table(tables::SLOTS).map_err(storage(WRITING))?;
    for change in &changes.accounts {
        let key = account_key(&change.address.0, number);
        match &change.after {
            Some(account) => {
                accounts
                    .insert(&key, codec::encode_account(account).as_slice())
                    .map_err(storage(WRITING))?;
            }
            None => {
                accounts.insert(&key, &[][..]).map_err(storage(WRITING))?;
            }
        }
        for (slot, value) in &change.slots {
            slots
                .insert(
                    &slot_key(&change.address.0, &slot.0, number),
                    value.to_be_bytes_trimmed_vec().as_slice(),
                )
                .map_err(storage(WRITING))?;
        }
    }
    let mut codes = write.open_table(tables::CODES).map_err(storage(WRITING))?;
    for (hash, code) in &changes.codes {
        codes.insert(&hash.0, code.as_ref()).map_err(storage(WRITING))?;
    }
    Ok(())
}

/// Notes which keys got a new version, so that the versions before can be dropped once nobody may ask for them.
fn write_touched(write: &WriteTransaction, number: u64, changes: &ChangeSet) -> Result<(), EmbeddedError> {
    let mut keys = Vec::new();
    for change in &changes.accounts {
        keys.extend_from_slice(change.address.as_slice());
        keys.extend_from_slice(&(change.slots.len() as u32).to_be_bytes());
        for (slot, _) in &change.slots {
            keys.extend_from_slice(slot.as_slice());
        }
    }
    let mut touched = write.open_table(tables::TOUCHED).map_err(storage(WRITING))?;
    touched
        .insert(number, keys.as_slice())
        .map_err(storage(WRITING))?;
    Ok(())
}

/// Blocks whose old state one block may drop, so that turning a limit on does not stall the chain.
const DROPPED_PER_BLOCK: usize = 16;

/// Drops every version that only blocks before `oldest` could see.
fn drop_old_state(write: &WriteTransaction, oldest: u64) -> Result<(), EmbeddedError> {
    let mut touched = write.open_table(tables::TOUCHED).map_err(storage(WRITING))?;
    let mut due = Vec::new();
    for entry in touched
        .extract_from_if(..=oldest, |_, _| true)
        .map_err(storage(WRITING))?
        .take(DROPPED_PER_BLOCK)
    {
        let (height, keys) = entry.map_err(storage(WRITING))?;
        due.push((height.value(), keys.value().to_vec()));
    }
    let Some((last, _)) = due.last() else {
        return Ok(());
    };
    let last = *last;
    let mut accounts = write.open_table(tables::ACCOUNTS).map_err(storage(WRITING))?;
    let mut slots = write.open_table(tables::SLOTS).map_err(storage(WRITING))?;
    for (height, keys) in &due {
        let Some(before) = height.checked_sub(1) else {
            continue;
        };
        let mut keys = keys.as_slice();
        while let Some((address, rest)) = keys.split_first_chunk::<32>() {
            let Some((count, rest)) = rest.split_first_chunk::<4>() else {
                break;
            };
            keys = rest;
            let range = account_key(address, before)..=account_key(address, 0);
            accounts
                .retain_in::<&[u8; 40], _>(range.start()..=range.end(), |_, _| false)
                .map_err(storage(WRITING))?;
            for _ in 0..u32::from_be_bytes(*count) {
                let Some((slot, rest)) = keys.split_first_chunk::<32>() else {
                    break;
                };
                keys = rest;
                let range = slot_key(address, slot, before)..=slot_key(address, slot, 0);
                slots
                    .retain_in::<&[u8; 72], _>(range.start()..=range.end(), |_, _| false)
                    .map_err(storage(WRITING))?;
            }
        }
    }
    let mut meta = write.open_table(tables::META).map_err(storage(WRITING))?;
    meta.insert(tables::OLDEST_STATE_KEY, &last.to_be_bytes()[..])
        .map_err(storage(WRITING))?;
    Ok(())
}
