//! The first block: who holds what before anything happens.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner};

/// The chain id development chains use. Only there are development accounts funded.
pub const DEVELOPMENT_CHAIN_ID: u64 = 31_337;

/// The mnemonic every Ethereum development tool knows. Its keys are public: never send anything of value to them.
pub const DEVELOPMENT_MNEMONIC: &str = "test test test test test test test test test test test junk";

/// How many accounts of [`DEVELOPMENT_MNEMONIC`] are funded.
pub const DEVELOPMENT_ACCOUNTS: u32 = 10;

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
    /// The ten accounts of [`DEVELOPMENT_MNEMONIC`].
    #[must_use]
    pub fn all() -> Vec<Self> {
        (0..DEVELOPMENT_ACCOUNTS).map(Self::nth).collect()
    }

    /// One account of [`DEVELOPMENT_MNEMONIC`].
    #[must_use]
    pub fn nth(index: u32) -> Self {
        let signer = MnemonicBuilder::english()
            .phrase(DEVELOPMENT_MNEMONIC)
            .index(index)
            .and_then(|builder| builder.build())
            .expect("the phrase is a constant with a valid checksum, and every index gives a key");
        Self { index, signer }
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
        Self {
            accounts: DevelopmentAccount::all()
                .iter()
                .map(|account| {
                    (
                        account.address(),
                        GenesisAccount {
                            balance,
                            ..GenesisAccount::default()
                        },
                    )
                })
                .collect(),
            ..Self::empty(DEVELOPMENT_CHAIN_ID)
        }
    }

    /// A chain where nobody holds anything yet. The caller adds who does.
    #[must_use]
    pub fn empty(chain_id: u64) -> Self {
        Self {
            chain_id,
            timestamp: 1_735_689_600,
            gas_limit: 60_000_000,
            base_fee_per_gas: 1_000_000_000,
            extra_data: Bytes::new(),
            accounts: BTreeMap::new(),
        }
    }
}
