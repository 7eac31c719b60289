//! The first block: who holds what before anything happens.

use std::{collections::BTreeMap, sync::LazyLock};

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_consensus::{Header, Sealable, Sealed};
use alloy_primitives::{Address, B256, Bytes, U256, address, bytes, keccak256};
use alloy_signer_local::{
    PrivateKeySigner,
    coins_bip39::{English, Mnemonic},
};
use coins_bip32::{ecdsa::SigningKey, prelude::Parent as _, xkeys::XPriv};

use super::executor::{ExecutedBlock, update_tries};
use super::rules;
use super::state::{Account, AccountChange, ChangeSet};
use super::trie::{NodeWrites, TrieReader};
use super::{EmbeddedError, StoredBlock};

/// The chain id development chains use. Only there are development accounts funded.
pub const DEVELOPMENT_CHAIN_ID: u64 = 31_337;

/// The mnemonic every Ethereum development tool knows. Its keys are public: never send anything of value to them.
pub const DEVELOPMENT_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// How many accounts of [`DEVELOPMENT_MNEMONIC`] are funded.
pub const DEVELOPMENT_ACCOUNTS: u32 = 20;

/// The contract that deploys others at addresses known beforehand, where every development tool looks for it.
const CREATE2_DEPLOYER: Address = address!("4e59b44847b379578588920ca78fbf26c0b4956c");
const CREATE2_DEPLOYER_CODE: Bytes = bytes!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// An account before the first block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Wei it holds.
    pub balance: U256,
    /// Transactions it is taken to have sent.
    pub nonce: u64,
    /// Its code.
    pub code: Bytes,
    /// Its storage.
    pub storage: BTreeMap<B256, B256>,
}

/// Everything the first block follows from. Two chains with equal values have the same genesis hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Gas every block may use.
    pub gas_limit: u64,
    /// Wei per unit of gas in the first block.
    pub base_fee_per_gas: u64,
    /// At most 32 bytes of anything.
    pub extra_data: Bytes,
    /// Accounts.
    pub accounts: BTreeMap<Address, GenesisAccount>,
}

/// One of the development accounts.
#[derive(Debug, Clone)]
pub struct DevelopmentAccount {
    /// Its place in the mnemonic's path `m/44'/60'/0'/0/…`.
    pub index: u32,
    /// Its key, known to everybody.
    pub signer: PrivateKeySigner,
}

impl DevelopmentAccount {
    /// The first accounts of [`DEVELOPMENT_MNEMONIC`].
    #[must_use]
    pub fn all() -> &'static [Self] {
        static ALL: LazyLock<Vec<DevelopmentAccount>> =
            LazyLock::new(|| (0..DEVELOPMENT_ACCOUNTS).map(DevelopmentAccount::nth).collect());
        &ALL
    }

    /// One account of [`DEVELOPMENT_MNEMONIC`].
    #[must_use]
    pub fn nth(index: u32) -> Self {
        // The 2,048 hashes from phrase to seed (BIP-39) are the same for all of them.
        static PARENT: LazyLock<XPriv> = LazyLock::new(|| {
            Mnemonic::<English>::new_from_phrase(DEVELOPMENT_MNEMONIC)
                .and_then(|mnemonic| mnemonic.derive_key("m/44'/60'/0'/0", None))
                .expect("the phrase is a constant with a valid checksum")
        });
        let child = PARENT.derive_child(index).expect("an index below 2^31");
        let key: &SigningKey = child.as_ref();
        Self {
            index,
            signer: PrivateKeySigner::from_signing_key(key.clone()),
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signer.address()
    }
}

impl Default for Genesis {
    /// The development chain: [`DEVELOPMENT_CHAIN_ID`] with its funded accounts.
    fn default() -> Self {
        Self::development()
    }
}

impl Genesis {
    /// The development chain, 10,000 ether on each development account.
    #[must_use]
    pub fn development() -> Self {
        let balance = U256::from(10_000u64) * U256::from(10u64).pow(U256::from(18u64));
        let mut genesis = Self::empty(DEVELOPMENT_CHAIN_ID);
        for account in DevelopmentAccount::all() {
            genesis.accounts.insert(
                account.address(),
                GenesisAccount {
                    balance,
                    ..GenesisAccount::default()
                },
            );
        }
        genesis
    }

    /// A chain where nobody holds anything yet. The caller adds who does. The contracts every block calls
    /// (EIP-2935, EIP-4788) and the usual CREATE2 deployer are there.
    #[must_use]
    pub fn empty(chain_id: u64) -> Self {
        let contract = |code: Bytes| GenesisAccount {
            nonce: 1,
            code,
            ..GenesisAccount::default()
        };
        Self {
            chain_id,
            timestamp: 1_735_689_600,
            gas_limit: 60_000_000,
            base_fee_per_gas: 1_000_000_000,
            extra_data: Bytes::new(),
            accounts: BTreeMap::from([
                (
                    alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS,
                    contract(alloy_eips::eip2935::HISTORY_STORAGE_CODE.clone()),
                ),
                (
                    alloy_eips::eip4788::BEACON_ROOTS_ADDRESS,
                    contract(alloy_eips::eip4788::BEACON_ROOTS_CODE.clone()),
                ),
                (CREATE2_DEPLOYER, contract(CREATE2_DEPLOYER_CODE)),
            ]),
        }
    }

    /// The first block with everything it changes, nothing having been before it.
    pub(super) fn execute(&self) -> Result<ExecutedBlock, EmbeddedError> {
        if self.extra_data.len() > rules::EXTRA_DATA_BYTES {
            return Err(EmbeddedError::InvalidBlock {
                what: "the genesis has too much extra data".to_owned(),
            });
        }
        let mut changes = ChangeSet::default();
        for (address, account) in &self.accounts {
            let code_hash = if account.code.is_empty() {
                KECCAK_EMPTY
            } else {
                keccak256(&account.code)
            };
            if !account.code.is_empty() {
                changes.codes.push((code_hash, account.code.clone()));
            }
            let mut slots: Vec<_> = account
                .storage
                .iter()
                .filter(|(_, value)| !value.is_zero())
                .map(|(slot, value)| (keccak256(slot), U256::from_be_bytes(value.0)))
                .collect();
            slots.sort_unstable_by_key(|(slot, _)| *slot);
            changes.accounts.push(AccountChange {
                address: keccak256(address),
                after: Some(Account {
                    nonce: account.nonce,
                    balance: account.balance,
                    code_hash,
                    ..Account::default()
                }),
                slots,
            });
        }
        changes.accounts.sort_unstable_by_key(|change| change.address);
        let mut nodes = NodeWrites::new();
        let state_root = update_tries(&Nothing, &mut changes, &mut nodes)?;
        let header: Sealed<Header> = Header {
            timestamp: self.timestamp,
            gas_limit: self.gas_limit,
            base_fee_per_gas: Some(self.base_fee_per_gas),
            extra_data: self.extra_data.clone(),
            state_root,
            ..rules::empty_header()
        }
        .seal_slow();
        Ok(ExecutedBlock {
            block: StoredBlock {
                header,
                transactions: Vec::new(),
                senders: Vec::new(),
                receipts: Vec::new(),
            },
            raws: Vec::new(),
            hashes: Vec::new(),
            skipped: Vec::new(),
            changes,
            nodes,
        })
    }
}

/// The tries before the first block.
struct Nothing;

impl TrieReader for Nothing {
    fn node(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, EmbeddedError> {
        Ok(None)
    }

    fn leaf(&self, _trie: &B256, _key: &B256) -> Result<Option<Vec<u8>>, EmbeddedError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_accounts_are_those_every_tool_knows() {
        let accounts = DevelopmentAccount::all();
        assert_eq!(accounts.len(), 20);
        assert_eq!(
            accounts[0].address(),
            address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
        );
        assert_eq!(
            accounts[9].address(),
            address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720")
        );
        assert_eq!(
            accounts[19].address(),
            address!("8626f6940E2eb28930eFb4CeF49B2d1F2C9C1199")
        );
    }

    #[test]
    fn nobody_is_funded_off_the_development_chain() {
        assert!(
            Genesis::empty(1)
                .accounts
                .values()
                .all(|account| account.balance.is_zero())
        );
    }

    #[test]
    fn equal_values_give_the_same_first_block() {
        let hash = |genesis: Genesis| genesis.execute().unwrap().block.hash();
        assert_eq!(hash(Genesis::development()), hash(Genesis::development()));
        let other = Genesis {
            timestamp: 1,
            ..Genesis::development()
        };
        assert_ne!(hash(Genesis::development()), hash(other));
    }
}
