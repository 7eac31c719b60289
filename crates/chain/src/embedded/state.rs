//! Accounts and slots as execution sees them, and what a block changed.

use alloy_consensus::constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};

use super::EmbeddedError;

/// An account that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
    pub(crate) storage_root: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            nonce: 0,
            balance: U256::ZERO,
            code_hash: KECCAK_EMPTY,
            storage_root: EMPTY_ROOT_HASH,
        }
    }
}

/// The state after some block. Accounts and slots go by the Keccak-256 of their key, as in the state trie.
pub(crate) trait StateReader {
    /// An account, if it exists.
    fn account(&self, address: &B256) -> Result<Option<Account>, EmbeddedError>;
    /// A slot, zero where never written.
    fn slot(&self, address: &B256, slot: &B256) -> Result<U256, EmbeddedError>;
    /// Code by its hash.
    fn code(&self, hash: &B256) -> Result<Bytes, EmbeddedError>;
    /// Hash of one of the last 256 blocks.
    fn block_hash(&self, number: u64) -> Result<B256, EmbeddedError>;
}

/// An account after a block that changed it.
#[derive(Debug, Clone)]
pub(crate) struct AccountChange {
    pub(crate) address: B256,
    /// `None` where it is gone. Its storage root is the one before the block until the trie sets the new one.
    pub(crate) after: Option<Account>,
    /// Slots that changed, by hash.
    pub(crate) slots: Vec<(B256, U256)>,
}

/// Everything a block changed, in the order of hashes.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChangeSet {
    pub(crate) accounts: Vec<AccountChange>,
    pub(crate) codes: Vec<(B256, Bytes)>,
}

/// Account as the cache holds it.
#[derive(Debug, Clone)]
pub(crate) struct CachedAccount {
    pub(crate) hash: B256,
    pub(crate) before: Option<Account>,
    pub(crate) now: Option<Account>,
    pub(crate) changed: bool,
}

/// Slot as the cache holds it.
#[derive(Debug, Clone)]
pub(crate) struct CachedSlot {
    pub(crate) hash: B256,
    pub(crate) before: U256,
    pub(crate) now: U256,
    pub(crate) changed: bool,
}

/// What was read and written of the newest state. It outlives a block, so that hot accounts are read once, and is
/// emptied when it holds more than [`StateCache::LIMIT`] entries.
#[derive(Debug, Default)]
pub(crate) struct StateCache {
    pub(crate) accounts: HashMap<Address, CachedAccount>,
    pub(crate) slots: HashMap<(Address, U256), CachedSlot>,
    pub(crate) codes: HashMap<B256, revm::state::Bytecode>,
    changed_accounts: Vec<Address>,
    changed_slots: Vec<(Address, U256)>,
    new_codes: Vec<(B256, Bytes)>,
}

impl StateCache {
    /// Accounts and slots kept, about 15 MiB of them.
    const LIMIT: usize = 65_536;
    /// Contracts whose code is kept, at most 24 KiB each.
    const CODES: usize = 256;

    /// The account, read where it is not held yet.
    pub(crate) fn account<S: StateReader>(
        &mut self,
        state: &S,
        address: Address,
    ) -> Result<&mut CachedAccount, EmbeddedError> {
        use alloy_primitives::map::Entry;
        match self.accounts.entry(address) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let hash = keccak256(address);
                let before = state.account(&hash)?;
                Ok(entry.insert(CachedAccount {
                    hash,
                    before,
                    now: before,
                    changed: false,
                }))
            }
        }
    }

    /// The slot, read where it is not held yet.
    pub(crate) fn slot<S: StateReader>(
        &mut self,
        state: &S,
        address: Address,
        slot: U256,
    ) -> Result<U256, EmbeddedError> {
        if let Some(cached) = self.slots.get(&(address, slot)) {
            return Ok(cached.now);
        }
        let account = self.account(state, address)?;
        let empty = account
            .before
            .is_none_or(|account| account.storage_root == EMPTY_ROOT_HASH);
        let owner = account.hash;
        let hash = keccak256(slot.to_be_bytes::<32>());
        let before = if empty {
            U256::ZERO
        } else {
            state.slot(&owner, &hash)?
        };
        self.slots.insert(
            (address, slot),
            CachedSlot {
                hash,
                before,
                now: before,
                changed: false,
            },
        );
        Ok(before)
    }

    /// Writes an account; `None` removes it.
    pub(crate) fn set_account(&mut self, address: Address, account: Option<Account>) {
        if let Some(cached) = self.accounts.get_mut(&address) {
            cached.now = account;
            if !cached.changed {
                cached.changed = true;
                self.changed_accounts.push(address);
            }
        }
    }

    /// Writes a slot.
    pub(crate) fn set_slot(&mut self, address: Address, slot: U256, before: U256, value: U256) {
        let cached = self.slots.entry((address, slot)).or_insert_with(|| CachedSlot {
            hash: keccak256(slot.to_be_bytes::<32>()),
            before,
            now: before,
            changed: false,
        });
        cached.now = value;
        if !cached.changed {
            cached.changed = true;
            self.changed_slots.push((address, slot));
        }
    }

    /// Zeroes the slots an account wrote in this block, for one that was created and destroyed in it.
    pub(crate) fn clear_slots(&mut self, address: Address) {
        for (owner, slot) in &self.changed_slots {
            if *owner == address
                && let Some(cached) = self.slots.get_mut(&(*owner, *slot))
            {
                cached.now = U256::ZERO;
            }
        }
    }

    /// Adds the code of a new contract.
    pub(crate) fn add_code(&mut self, hash: B256, code: revm::state::Bytecode) {
        if let alloy_primitives::map::Entry::Vacant(entry) = self.codes.entry(hash) {
            self.new_codes.push((hash, code.original_bytes()));
            entry.insert(code);
        }
    }

    /// Whether this is the code of a contract: not of an account without code, nor a delegation (EIP-7702).
    pub(crate) fn is_contract(&self, code_hash: &B256) -> bool {
        *code_hash != KECCAK_EMPTY && !self.codes.get(code_hash).is_some_and(|code| code.is_eip7702())
    }

    /// What changed since the last [`StateCache::settle`], leaving out what ended as it began.
    pub(crate) fn changes(&self) -> ChangeSet {
        let mut accounts: HashMap<Address, AccountChange> = HashMap::default();
        for address in &self.changed_accounts {
            let Some(cached) = self.accounts.get(address) else {
                continue;
            };
            if cached.before != cached.now {
                accounts.insert(*address, change_of(cached));
            }
        }
        for (address, slot) in &self.changed_slots {
            let (Some(cached), Some(account)) =
                (self.slots.get(&(*address, *slot)), self.accounts.get(address))
            else {
                continue;
            };
            if cached.before != cached.now {
                let change = accounts.entry(*address).or_insert_with(|| change_of(account));
                change.slots.push((cached.hash, cached.now));
            }
        }
        let mut accounts: Vec<_> = accounts.into_values().collect();
        accounts.sort_unstable_by_key(|change| change.address);
        for change in &mut accounts {
            change.slots.sort_unstable_by_key(|(hash, _)| *hash);
        }
        let mut codes = self.new_codes.clone();
        codes.sort_unstable_by_key(|(hash, _)| *hash);
        ChangeSet { accounts, codes }
    }

    /// Takes what changed as the new beginning, with the storage roots the trie gave.
    pub(crate) fn settle(&mut self, changes: &ChangeSet) {
        if self.accounts.len() + self.slots.len() > Self::LIMIT || self.codes.len() > Self::CODES {
            *self = Self::default();
            return;
        }
        for address in self.changed_accounts.drain(..) {
            if let Some(cached) = self.accounts.get_mut(&address) {
                // The change set knows the storage root; what ended as it began is not in it.
                if let Ok(at) = changes
                    .accounts
                    .binary_search_by_key(&cached.hash, |change| change.address)
                {
                    cached.now = changes.accounts[at].after;
                }
                cached.before = cached.now;
                cached.changed = false;
            }
        }
        for key in self.changed_slots.drain(..) {
            if let Some(cached) = self.slots.get_mut(&key) {
                cached.before = cached.now;
                cached.changed = false;
            }
        }
        self.new_codes.clear();
    }

    /// Forgets everything, after a block that could not be kept.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn change_of(cached: &CachedAccount) -> AccountChange {
    AccountChange {
        address: cached.hash,
        after: cached.now,
        slots: Vec::new(),
    }
}
