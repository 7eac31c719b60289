//! The chain as its users see it.

use std::path::Path;
use std::sync::Arc;

use alloy_consensus::{Header, Sealed, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use tokio::sync::broadcast;

use super::clock::machine_seconds;
use super::rules;
use super::sequencer::Sequencer;
use super::simulate::{Simulator, code_of};
use super::state::StateReader;
use super::store::{StateView, Store};
use super::trie;
use super::{
    AppliedBlock, BlockInput, BlockTag, CallRequest, CallResult, Config, EmbeddedError, GasEstimate, Genesis,
    LogFilter, LogRecord, StoredBlock, SubmitError, TransactionPlace,
};

/// An account with the nodes of the state trie that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountProof {
    /// Transactions it sent, or contracts it made; of an account that is not there: 0, and so on.
    pub nonce: u64,
    /// Wei it holds.
    pub balance: U256,
    /// Keccak-256 of its code.
    pub code_hash: B256,
    /// Root of its storage.
    pub storage_root: B256,
    /// Nodes from the state root down.
    pub nodes: Vec<Bytes>,
    /// The slots that were asked for, in order.
    pub slots: Vec<SlotProof>,
}

/// A slot with the nodes of the storage trie that prove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotProof {
    /// The slot.
    pub slot: B256,
    /// What it holds.
    pub value: U256,
    /// Nodes from the account's storage root down.
    pub nodes: Vec<Bytes>,
}

/// A chain in this process. Clones share it; it may be used from any thread, and every method blocks.
#[derive(Clone)]
pub struct EmbeddedChain {
    pub(super) sequencer: Arc<Sequencer>,
}

impl std::fmt::Debug for EmbeddedChain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = self.sequencer.head();
        formatter
            .debug_struct("EmbeddedChain")
            .field("chain_id", &self.chain_id())
            .field("head", &head.number())
            .finish_non_exhaustive()
    }
}

impl EmbeddedChain {
    /// Opens the chain kept in a directory, or begins one there.
    ///
    /// # Errors
    /// [`EmbeddedError::Locked`] where another process has it open, [`EmbeddedError::GenesisMismatch`] where it is
    /// another chain, [`EmbeddedError::FormatMismatch`], [`EmbeddedError::Storage`], [`EmbeddedError::Damaged`].
    pub fn open(directory: &Path, genesis: Genesis, config: Config) -> Result<Self, EmbeddedError> {
        let store = Store::open(directory, config.cache_bytes, config.history_blocks)?;
        Ok(Self {
            sequencer: Sequencer::start(store, directory, genesis, config)?,
        })
    }

    /// Begins a chain that is gone when the last clone is.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`], [`EmbeddedError::InvalidBlock`] for a genesis that breaks a rule.
    pub fn in_memory(genesis: Genesis, config: Config) -> Result<Self, EmbeddedError> {
        let store = Store::in_memory(config.cache_bytes, config.history_blocks)?;
        Ok(Self {
            sequencer: Sequencer::start(store, Path::new("memory"), genesis, config)?,
        })
    }

    /// The chain's id.
    #[must_use]
    pub fn chain_id(&self) -> u64 {
        self.sequencer.genesis.chain_id
    }

    /// What the first block follows from.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.sequencer.genesis
    }

    /// How it is run.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.sequencer.config
    }

    /// Takes a signed transaction (EIP-2718). With instant mining it is included when this returns, unless it
    /// waits for an earlier nonce.
    ///
    /// # Errors
    /// [`SubmitError`], in geth's words.
    pub fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let unanswered = || SubmitError::Refused {
            reason: "no answer for the transaction".to_owned(),
        };
        self.sequencer.submit(vec![raw]).pop().ok_or_else(unanswered)?
    }

    /// Takes many signed transactions in order, recovering their senders in parallel with the execution of earlier
    /// ones. With instant mining they go into as few blocks as their gas allows.
    #[must_use]
    pub fn submit_batch(&self, raw: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        self.sequencer.submit(raw)
    }

    /// Makes a block now, with what the pool holds, be it nothing.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn mine(&self) -> Result<Arc<StoredBlock>, EmbeddedError> {
        self.sequencer.mine()
    }

    /// Builds the next block from input somebody else ordered. The pool forgets what was included.
    ///
    /// # Errors
    /// [`EmbeddedError::InvalidBlock`] where the input breaks a rule of blocks; transactions that cannot be
    /// included are skipped and reported instead.
    pub fn apply(&self, input: &BlockInput) -> Result<AppliedBlock, EmbeddedError> {
        self.sequencer.apply(input)
    }

    /// The newest block.
    #[must_use]
    pub fn head(&self) -> Arc<StoredBlock> {
        self.sequencer.head()
    }

    /// Height of a block, [`BlockTag::Pending`] counting as the newest. `None` where there is no such block.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn block_number(&self, tag: BlockTag) -> Result<Option<u64>, EmbeddedError> {
        let newest = self.sequencer.head().number();
        match tag {
            BlockTag::Latest | BlockTag::Pending => Ok(Some(newest)),
            BlockTag::Earliest => Ok(Some(0)),
            BlockTag::Number(number) => Ok((number <= newest).then_some(number)),
            BlockTag::Hash(hash) => self.sequencer.store.view()?.height(&hash),
        }
    }

    /// A block, [`BlockTag::Pending`] counting as the newest.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn block(&self, tag: BlockTag) -> Result<Option<Arc<StoredBlock>>, EmbeddedError> {
        match self.block_number(tag)? {
            Some(number) => self.sequencer.block(number),
            None => Ok(None),
        }
    }

    /// The header of a block without the rest, [`BlockTag::Pending`] counting as the newest.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn header(&self, tag: BlockTag) -> Result<Option<Sealed<Header>>, EmbeddedError> {
        match self.block_number(tag)? {
            Some(number) => self.sequencer.store.header(number),
            None => Ok(None),
        }
    }

    /// Base fee of the next block.
    #[must_use]
    pub fn next_base_fee(&self) -> u64 {
        rules::next_base_fee(&self.sequencer.head().header)
    }

    /// Where an included transaction is.
    ///
    /// # Errors
    /// [`EmbeddedError::Storage`].
    pub fn transaction(&self, hash: B256) -> Result<Option<TransactionPlace>, EmbeddedError> {
        let Some((number, index)) = self.sequencer.store.view()?.place(&hash)? else {
            return Ok(None);
        };
        let block = self
            .sequencer
            .block(number)?
            .ok_or_else(|| EmbeddedError::Damaged {
                what: format!("block {number} is missing"),
            })?;
        Ok(Some(TransactionPlace {
            block,
            index: index as usize,
        }))
    }

    /// A transaction in the pool and its sender.
    #[must_use]
    pub fn pooled(&self, hash: B256) -> Option<(TxEnvelope, Address)> {
        let pool = self.sequencer.pool.lock();
        pool.get(&hash)
            .map(|transaction| (transaction.envelope().clone(), transaction.sender()))
    }

    /// How many transactions of the pool could be included now, and how many wait for an earlier nonce.
    #[must_use]
    pub fn pool_size(&self) -> (usize, usize) {
        self.sequencer.pool.lock().size()
    }

    fn state(&self, at: BlockTag) -> Result<StateView, EmbeddedError> {
        let number = self
            .block_number(at)?
            .ok_or_else(|| EmbeddedError::UnknownBlock {
                block: format!("{at:?}"),
            })?;
        self.sequencer.store.view()?.state(number)
    }

    /// Wei an account holds.
    ///
    /// # Errors
    /// [`EmbeddedError::UnknownBlock`], [`EmbeddedError::StateMissing`].
    pub fn balance(&self, address: Address, at: BlockTag) -> Result<U256, EmbeddedError> {
        Ok(self
            .state(at)?
            .account(&keccak256(address))?
            .unwrap_or_default()
            .balance)
    }

    /// Transactions an account has sent; with [`BlockTag::Pending`] including those in the pool that follow on.
    ///
    /// # Errors
    /// [`EmbeddedError::UnknownBlock`], [`EmbeddedError::StateMissing`].
    pub fn nonce(&self, address: Address, at: BlockTag) -> Result<u64, EmbeddedError> {
        if at == BlockTag::Pending
            && let Some(nonce) = self.sequencer.pool.lock().next_nonce(&address)
        {
            return Ok(nonce);
        }
        Ok(self
            .state(at)?
            .account(&keccak256(address))?
            .unwrap_or_default()
            .nonce)
    }

    /// Code of an account, empty for none.
    ///
    /// # Errors
    /// [`EmbeddedError::UnknownBlock`], [`EmbeddedError::StateMissing`].
    pub fn code(&self, address: Address, at: BlockTag) -> Result<Bytes, EmbeddedError> {
        code_of(&self.state(at)?, address)
    }

    /// A storage slot, zero where never written.
    ///
    /// # Errors
    /// [`EmbeddedError::UnknownBlock`], [`EmbeddedError::StateMissing`].
    pub fn storage(&self, address: Address, slot: U256, at: BlockTag) -> Result<B256, EmbeddedError> {
        let state = self.state(at)?;
        let value = state.slot(&keccak256(address), &keccak256(slot.to_be_bytes::<32>()))?;
        Ok(value.into())
    }

    /// Runs a call on the state after a block and forgets what it changed. It sees that block's number, time and
    /// base fee; with [`BlockTag::Pending`] those of a block made now, on the newest state.
    ///
    /// # Errors
    /// [`EmbeddedError::InvalidCall`] where it cannot even begin; how it ends otherwise is in the result.
    pub fn simulate(&self, request: &CallRequest, at: BlockTag) -> Result<CallResult, EmbeddedError> {
        let limit = self.config().call_gas_limit;
        self.simulator(request, at)?
            .call(request, request.gas.unwrap_or(limit).min(limit))
    }

    /// Gas limit a transaction needs. [`BlockTag::Pending`] is what a transaction sent now would meet.
    ///
    /// # Errors
    /// As [`EmbeddedChain::simulate`].
    pub fn estimate_gas(&self, request: &CallRequest, at: BlockTag) -> Result<GasEstimate, EmbeddedError> {
        let limit = self.genesis().gas_limit.min(rules::TRANSACTION_GAS_CAP);
        self.simulator(request, at)?
            .estimate(request, request.gas.unwrap_or(limit).min(limit))
    }

    fn simulator(&self, request: &CallRequest, at: BlockTag) -> Result<Simulator<StateView>, EmbeddedError> {
        let state = self.state(at)?;
        let unknown = || EmbeddedError::UnknownBlock {
            block: format!("{at:?}"),
        };
        let environment = if at == BlockTag::Pending {
            let parent = self.sequencer.head();
            let input = self.sequencer.next_input(&parent);
            rules::environment(&rules::begin_header(&parent.header, parent.hash(), &input)?)
        } else {
            let header = self.header(at)?.ok_or_else(unknown)?;
            rules::environment(&header)
        };
        Simulator::new(state, environment, self.chain_id(), request)
    }

    /// Logs in the order they were made.
    ///
    /// # Errors
    /// [`EmbeddedError::TooMany`] where more blocks or logs are asked for than configured.
    pub fn logs(&self, filter: &LogFilter) -> Result<Vec<LogRecord>, EmbeddedError> {
        super::logs::find(&self.sequencer, filter)
    }

    /// Every block made from now on. A receiver that falls behind by more than 1,024 blocks is told how many it
    /// missed.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<StoredBlock>> {
        self.sequencer.blocks.subscribe()
    }

    /// Hashes of transactions as the pool takes them.
    #[must_use]
    pub fn subscribe_pending(&self) -> broadcast::Receiver<B256> {
        self.sequencer.pending.subscribe()
    }

    /// Moves the clock of coming blocks ahead, and says by how many seconds it now runs ahead of this machine's.
    pub fn increase_time(&self, seconds: u64) -> u64 {
        self.sequencer.clock.lock().increase(seconds)
    }

    /// Sets the next block's timestamp, later ones following on from it.
    ///
    /// # Errors
    /// [`EmbeddedError::TimestampTooLow`].
    pub fn set_next_timestamp(&self, timestamp: u64) -> Result<(), EmbeddedError> {
        let previous = self.sequencer.head().header.timestamp;
        if timestamp < previous {
            return Err(EmbeddedError::TimestampTooLow {
                asked: timestamp,
                previous,
            });
        }
        self.sequencer.clock.lock().set_next(timestamp);
        Ok(())
    }

    /// Nodes of the newest state trie that lead to an account and to slots of it, or show that there are none. Nodes of older
    /// states are not kept.
    ///
    /// # Errors
    /// [`EmbeddedError::StateMissing`] where `number` is not the newest block, [`EmbeddedError::Storage`].
    pub fn prove(&self, address: Address, slots: &[B256], number: u64) -> Result<Vec<Bytes>, EmbeddedError> {
        let state = self.sequencer.newest_state()?;
        let newest = state.height();
        if number != newest {
            return Err(EmbeddedError::StateMissing {
                number,
                oldest: newest,
            });
        }
        let owner = keccak256(address);
        let mut nodes = Vec::new();
        trie::prove(&state, &B256::ZERO, &owner, &mut nodes)?;
        for slot in slots {
            trie::prove(&state, &owner, &keccak256(slot), &mut nodes)?;
        }
        Ok(nodes)
    }

    /// The newest state's account and slots of it, each with the nodes from the root down that prove it or prove that it is not
    /// there: what `eth_getProof` gives (EIP-1186).
    ///
    /// # Errors
    /// As [`EmbeddedChain::prove`].
    pub fn account_proof(
        &self,
        address: Address,
        slots: &[B256],
        number: Option<u64>,
    ) -> Result<AccountProof, EmbeddedError> {
        let state = self.sequencer.newest_state()?;
        let newest = state.height();
        if let Some(number) = number.filter(|number| *number != newest) {
            return Err(EmbeddedError::StateMissing {
                number,
                oldest: newest,
            });
        }
        let owner = keccak256(address);
        let account = state.account(&owner)?;
        let mut nodes = Vec::new();
        trie::prove(&state, &B256::ZERO, &owner, &mut nodes)?;
        let slots = slots.iter().map(|slot| {
            let mut nodes = Vec::new();
            let key = keccak256(slot);
            trie::prove(&state, &owner, &key, &mut nodes)?;
            Ok(SlotProof {
                slot: *slot,
                value: state.slot(&owner, &key)?,
                nodes,
            })
        });
        let slots = slots.collect::<Result<_, EmbeddedError>>()?;
        Ok(AccountProof {
            nonce: account.as_ref().map_or(0, |account| account.nonce),
            balance: account.as_ref().map_or(U256::ZERO, |account| account.balance),
            code_hash: account
                .as_ref()
                .map_or(KECCAK256_EMPTY, |account| account.code_hash),
            storage_root: account
                .as_ref()
                .map_or(EMPTY_ROOT_HASH, |account| account.storage_root),
            nodes,
            slots,
        })
    }

    /// Checks everything kept against itself: hashes and roots of every block, and the newest state root recomputed
    /// from all accounts and slots. Reads the whole chain.
    ///
    /// # Errors
    /// [`EmbeddedError::Damaged`] says what is wrong.
    pub fn check(&self) -> Result<(), EmbeddedError> {
        self.sequencer.store.check()
    }

    /// Timestamp a block made now would have.
    #[must_use]
    pub fn next_timestamp(&self) -> u64 {
        self.sequencer
            .clock
            .lock()
            .peek(self.sequencer.head().header.timestamp, machine_seconds())
    }
}
