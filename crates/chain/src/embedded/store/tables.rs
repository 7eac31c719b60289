//! Names and types of the tables.

use redb::TableDefinition;

/// Format, identity and the oldest block whose state is kept.
pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const IDENTITY_KEY: &str = "identity";
pub(super) const OLDEST_STATE_KEY: &str = "oldest-state";

/// Height → hash and header.
pub(super) const HEADERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("headers");
/// Height → transactions, senders, receipts.
pub(super) const BODIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("bodies");
/// Block hash → height.
pub(super) const HEIGHTS: TableDefinition<'_, &[u8; 32], u64> = TableDefinition::new("heights");
/// Transaction hash → height and place.
pub(super) const PLACES: TableDefinition<'_, &[u8; 32], (u64, u32)> = TableDefinition::new("places");

/// Hashed address, inverted height → the account from that height on.
pub(super) const ACCOUNTS: TableDefinition<'_, &[u8; 40], &[u8]> = TableDefinition::new("accounts");
/// Hashed address, hashed slot, inverted height → the value from that height on.
pub(super) const SLOTS: TableDefinition<'_, &[u8; 72], &[u8]> = TableDefinition::new("slots");
/// Code hash → code.
pub(super) const CODES: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("codes");
/// Trie and path → branch.
pub(super) const NODES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("nodes");
/// Height → keys that got another version there, kept only where old state is dropped.
pub(super) const TOUCHED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("touched");

/// The key of an account's version. Heights are inverted so that newer versions come first.
pub(super) fn account_key(address: &[u8; 32], height: u64) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(address);
    key[32..].copy_from_slice(&(!height).to_be_bytes());
    key
}

/// The key of a slot's version.
pub(super) fn slot_key(address: &[u8; 32], slot: &[u8; 32], height: u64) -> [u8; 72] {
    let mut key = [0; 72];
    key[..32].copy_from_slice(address);
    key[32..64].copy_from_slice(slot);
    key[64..].copy_from_slice(&(!height).to_be_bytes());
    key
}
