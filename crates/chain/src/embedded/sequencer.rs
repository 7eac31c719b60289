//! The block source of this chain: it orders what the pool holds and has the executor make a block of it.
//!
//! Three locks, always taken in this order: the engine (one block at a time), the pool, the head. Senders are
//! recovered before any of them is taken.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use parking_lot::{Condvar, Mutex, RwLock};
use rayon::prelude::*;
use tokio::sync::broadcast;

use super::clock::{Clock, machine_seconds};
use super::executor::{ExecutedBlock, TransactionSource, execute};
use super::ordered::in_order;
use super::pool::{Outlook, Pool, Sender};
use super::rules;
use super::state::{StateCache, StateReader};
use super::store::{BlockWrite, Identity, Meanwhile, StateView, Store};
use super::transaction::RecoveredTransaction;
use super::{
    AppliedBlock, BlockInput, Config, EmbeddedError, Genesis, Mining, SkippedTransaction, StoredBlock,
    SubmitError,
};

/// Blocks a subscriber may fall behind.
const SUBSCRIPTION: usize = 1_024;

/// Transactions in the blocks kept decoded.
const RECENT_TRANSACTIONS: usize = 4_096;

/// Up to this many transactions are recovered before the first of them is executed.
const SMALL_BATCH: usize = 64;

/// A batch is executed once it has this many blocks' worth of gas limits, because limits exceed what is used.
const BLOCKS_AHEAD: u64 = 2;

/// Domain of [`prev_randao`].
const RANDAO_DOMAIN: &[u8] = b"counterweight/chain/randao/v1";

/// Everything a chain is.
pub(super) struct Sequencer {
    pub(super) genesis: Genesis,
    pub(super) config: Config,
    pub(super) store: Store,
    engine: Mutex<StateCache>,
    pub(super) pool: Mutex<Pool>,
    head: RwLock<Arc<StoredBlock>>,
    recent: Mutex<VecDeque<Arc<StoredBlock>>>,
    pub(super) clock: Mutex<Clock>,
    pub(super) blocks: broadcast::Sender<Arc<StoredBlock>>,
    pub(super) pending: broadcast::Sender<B256>,
    made: Condvar,
    /// Held while a nonce is chosen and its transaction sent, so that two threads do not choose the same.
    pub(super) sending: Mutex<()>,
}

/// Number used as randomness. Whoever orders the blocks knows it beforehand: nothing of value may hang on it.
fn prev_randao(parent: B256) -> B256 {
    keccak256([RANDAO_DOMAIN, parent.as_slice()].concat())
}

impl Sequencer {
    pub(super) fn start(
        store: Store,
        directory: &Path,
        genesis: Genesis,
        config: Config,
    ) -> Result<Arc<Self>, EmbeddedError> {
        let mut first = genesis.execute()?;
        let expected = Identity {
            chain_id: genesis.chain_id,
            genesis: first.block.hash(),
        };
        match store.identity()? {
            None => store.write(block_write(&mut first, Some(expected)), None)?,
            Some(found) if found == expected => {}
            Some(found) => {
                return Err(EmbeddedError::GenesisMismatch {
                    path: directory.display().to_string(),
                    expected: expected.genesis,
                    got: found.genesis,
                });
            }
        }
        let newest = store.view()?.newest()?.unwrap_or_default();
        let head = store.block(newest)?.ok_or_else(|| EmbeddedError::Damaged {
            what: format!("block {newest} is missing"),
        })?;
        let clock = Clock::resume(head.header.timestamp, machine_seconds());
        let sequencer = Arc::new(Self {
            engine: Mutex::new(StateCache::default()),
            pool: Mutex::new(Pool::new(&config)),
            head: RwLock::new(head),
            recent: Mutex::new(VecDeque::new()),
            clock: Mutex::new(clock),
            blocks: broadcast::channel(SUBSCRIPTION).0,
            pending: broadcast::channel(SUBSCRIPTION).0,
            made: Condvar::new(),
            sending: Mutex::new(()),
            genesis,
            config,
            store,
        });
        if let Mining::Interval(every) = sequencer.config.mining {
            let weak = Arc::downgrade(&sequencer);
            std::thread::Builder::new()
                .name("sequencer".to_owned())
                .spawn(move || mine_every(&weak, every))
                .map_err(super::store::storage("starting the sequencer"))?;
        }
        Ok(sequencer)
    }

    pub(super) fn head(&self) -> Arc<StoredBlock> {
        Arc::clone(&self.head.read())
    }

    /// A block by height, from memory where it is recent.
    pub(super) fn block(&self, number: u64) -> Result<Option<Arc<StoredBlock>>, EmbeddedError> {
        let head = self.head();
        if head.number() == number {
            return Ok(Some(head));
        }
        if let Some(block) = self.recent.lock().iter().find(|block| block.number() == number) {
            return Ok(Some(Arc::clone(block)));
        }
        let block = self.store.block(number)?;
        if let Some(block) = &block {
            self.remember(block);
        }
        Ok(block)
    }

    fn remember(&self, block: &Arc<StoredBlock>) {
        let mut recent = self.recent.lock();
        recent.push_back(Arc::clone(block));
        let weight = |block: &Arc<StoredBlock>| block.transactions.len() + 1;
        let mut held: usize = recent.iter().map(weight).sum();
        while held > RECENT_TRANSACTIONS
            && recent.len() > 1
            && let Some(oldest) = recent.pop_front()
        {
            held -= weight(&oldest);
        }
    }

    /// The state after the newest block.
    pub(super) fn newest_state(&self) -> Result<StateView, EmbeddedError> {
        let view = self.store.view()?;
        let newest = view.newest()?.unwrap_or_default();
        view.state(newest)
    }

    fn outlook(&self) -> Outlook {
        let head = self.head();
        Outlook {
            chain_id: self.genesis.chain_id,
            gas_limit: self.genesis.gas_limit,
            base_fee: rules::next_base_fee(&head.header),
            base_fee_required: self.config.mining == Mining::Instant,
        }
    }

    /// The input of a block made now.
    pub(super) fn next_input(&self, parent: &StoredBlock) -> BlockInput {
        BlockInput {
            timestamp: self.clock.lock().peek(parent.header.timestamp, machine_seconds()),
            beneficiary: self.config.beneficiary,
            gas_limit: self.genesis.gas_limit,
            prev_randao: prev_randao(parent.hash()),
            parent_beacon_block_root: B256::ZERO,
            extra_data: Bytes::new(),
            transactions: Vec::new(),
        }
    }

    /// Puts transactions into the pool, one answer for each.
    fn enqueue(
        &self,
        transactions: Vec<Result<RecoveredTransaction, SubmitError>>,
    ) -> (Vec<Result<B256, SubmitError>>, u64) {
        let outlook = self.outlook();
        let mut gas = 0u64;
        let mut pool = self.pool.lock();
        // Taken under the pool's lock, so that a block made meanwhile either is in this view or updates the pool after.
        let state = self.newest_state();
        let answers = transactions
            .into_iter()
            .map(|transaction| {
                let transaction = Arc::new(transaction?);
                let hash = transaction.hash();
                let limit = transaction.gas_limit();
                pool.insert(transaction, &outlook, |address| {
                    sender_of(state.as_ref(), address)
                })?;
                gas = gas.saturating_add(limit);
                // Nobody listening is no error.
                self.pending.send(hash).ok();
                Ok(hash)
            })
            .collect();
        (answers, gas)
    }

    /// Takes transactions in order; with instant mining they are executed while later ones are still recovered.
    pub(super) fn submit(&self, raws: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        let limit = self.config.transaction_bytes;
        let instant = self.config.mining == Mining::Instant;
        let mut answers = Vec::with_capacity(raws.len());
        let mut failed = None;
        // Gives the gas limits of what the block took, `None` where no block was made.
        let mut mine = |meanwhile: Meanwhile<'_>| {
            if !instant || failed.is_some() {
                return None;
            }
            match self.make_block(&mut self.engine.lock(), false, meanwhile) {
                Ok(block) => block.map(|block| gas_limits(&block)),
                Err(error) => {
                    failed = Some(error.to_string());
                    None
                }
            }
        };
        let recover = |raw: &Bytes| RecoveredTransaction::decode(raw.clone(), limit);
        if raws.len() <= SMALL_BATCH {
            let recovered = match raws.len() {
                0..4 => raws.iter().map(recover).collect(),
                _ => raws.par_iter().map(recover).collect(),
            };
            answers.extend(self.enqueue(recovered).0);
        } else {
            let mut waiting = 0u64;
            in_order(&raws, recover, |recovered, lend_a_hand| {
                let (chunk, gas) = self.enqueue(recovered);
                answers.extend(chunk);
                waiting = waiting.saturating_add(gas);
                while waiting > BLOCKS_AHEAD * self.genesis.gas_limit {
                    waiting = mine(Some(lend_a_hand)).map_or(0, |taken| waiting.saturating_sub(taken));
                }
            });
        }
        while mine(None).is_some() {}
        if instant {
            let pool = self.pool.lock();
            for answer in &mut answers {
                if let Ok(hash) = answer
                    && let Some(reason) = pool.refusal(hash)
                {
                    *answer = Err(SubmitError::Refused {
                        reason: reason.to_owned(),
                    });
                }
            }
        }
        if let Some(reason) = failed {
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(SubmitError::Refused {
                    reason: reason.clone(),
                });
            }
        }
        answers
    }

    /// Makes a block of what the pool holds, be it nothing.
    pub(super) fn mine(&self) -> Result<Arc<StoredBlock>, EmbeddedError> {
        let mut engine = self.engine.lock();
        match self.make_block(&mut engine, true, None)? {
            Some(block) => Ok(block),
            None => Ok(self.head()),
        }
    }

    /// Makes a block of what the pool holds, `None` where none of it can be included and an empty block is not wanted.
    fn make_block(
        &self,
        cache: &mut StateCache,
        even_empty: bool,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Option<Arc<StoredBlock>>, EmbeddedError> {
        let parent = self.head();
        let mut selection = self.pool.lock().select(rules::next_base_fee(&parent.header));
        if selection.is_empty() && !even_empty {
            return Ok(None);
        }
        let input = self.next_input(&parent);
        let made = self.build(cache, &parent, &input, &mut selection, even_empty, meanwhile);
        self.pool
            .lock()
            .drop_refused(std::mem::take(&mut selection.dropped));
        Ok(made?.map(|made| made.block))
    }

    /// Executes and keeps a block. One without transactions is kept only if asked for.
    fn build(
        &self,
        cache: &mut StateCache,
        parent: &StoredBlock,
        input: &BlockInput,
        source: &mut dyn TransactionSource,
        even_empty: bool,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Option<AppliedBlock>, EmbeddedError> {
        let state = self.newest_state()?;
        let kept = execute(
            self.genesis.chain_id,
            &parent.header,
            &state,
            cache,
            input,
            source,
        )
        .and_then(|mut executed| {
            if executed.hashes.is_empty() && !even_empty {
                return Ok(None);
            }
            self.store
                .write(block_write(&mut executed, None), meanwhile)
                .map(|()| Some(executed))
        });
        let executed = match kept {
            Ok(Some(executed)) => executed,
            Ok(None) => {
                cache.clear();
                return Ok(None);
            }
            Err(error) => {
                cache.clear();
                return Err(error);
            }
        };
        {
            let mut pool = self.pool.lock();
            pool.advance(|address| {
                let account = cache.accounts.get(address).filter(|cached| cached.changed)?;
                let now = account.now.unwrap_or_default();
                Some(Sender {
                    nonce: now.nonce,
                    balance: now.balance,
                    is_contract: cache.is_contract(&now.code_hash),
                })
            });
        }
        cache.settle(&executed.changes);
        self.clock.lock().made(input.timestamp, machine_seconds());
        let block = Arc::new(executed.block);
        self.remember(&block);
        {
            let mut head = self.head.write();
            *head = Arc::clone(&block);
        }
        self.made.notify_all();
        self.blocks.send(Arc::clone(&block)).ok();
        Ok(Some(AppliedBlock {
            block,
            skipped: executed.skipped,
        }))
    }

    /// Builds the next block from what somebody else ordered.
    pub(super) fn apply(&self, input: &BlockInput) -> Result<AppliedBlock, EmbeddedError> {
        let limit = rules::BLOCK_TRANSACTION_BYTES;
        let decoded: Vec<_> = input
            .transactions
            .par_iter()
            .map(|raw| {
                RecoveredTransaction::decode(raw.clone(), limit).map_err(|error| SkippedTransaction {
                    hash: keccak256(raw),
                    reason: error.to_string(),
                })
            })
            .collect();
        let mut unreadable = Vec::new();
        let mut readable = Vec::with_capacity(decoded.len());
        for transaction in decoded {
            match transaction {
                Ok(transaction) => readable.push(Arc::new(transaction)),
                Err(skipped) => unreadable.push(skipped),
            }
        }
        let mut engine = self.engine.lock();
        let parent = self.head();
        let made = self.build(&mut engine, &parent, input, &mut readable.into_iter(), true, None)?;
        let made = made.unwrap_or(AppliedBlock {
            block: parent,
            skipped: Vec::new(),
        });
        unreadable.extend(made.skipped);
        Ok(AppliedBlock {
            block: made.block,
            skipped: unreadable,
        })
    }

    /// Waits until a transaction is included, or so long.
    pub(super) fn wait_for(&self, transaction: &B256, timeout: Duration) -> Result<bool, EmbeddedError> {
        let deadline = std::time::Instant::now() + timeout;
        let mut head = self.pool.lock();
        loop {
            if self.store.view()?.place(transaction)?.is_some() {
                return Ok(true);
            }
            if head.get(transaction).is_none() && head.refusal(transaction).is_some() {
                return Ok(false);
            }
            // A block is announced without the pool's lock, so a notice may be missed: look again soon.
            let soon = std::time::Instant::now() + Duration::from_millis(50);
            if self.made.wait_until(&mut head, soon.min(deadline)).timed_out()
                && std::time::Instant::now() >= deadline
            {
                return Ok(false);
            }
        }
    }
}

fn gas_limits(block: &StoredBlock) -> u64 {
    block
        .transactions
        .iter()
        .fold(0, |sum, transaction| sum.saturating_add(transaction.gas_limit()))
}

fn mine_every(sequencer: &Weak<Sequencer>, every: Duration) {
    loop {
        std::thread::sleep(every);
        let Some(sequencer) = sequencer.upgrade() else {
            return;
        };
        // A disk that is full now may not be later: the next round tries again, and submitting says what is wrong.
        sequencer.mine().ok();
    }
}

fn block_write(executed: &mut ExecutedBlock, identity: Option<Identity>) -> BlockWrite<'_> {
    BlockWrite {
        nodes: std::mem::take(&mut executed.nodes),
        block: &executed.block,
        raws: &executed.raws,
        hashes: &executed.hashes,
        changes: &executed.changes,
        identity,
    }
}

fn sender_of(state: Result<&StateView, &EmbeddedError>, address: Address) -> Result<Sender, SubmitError> {
    let state = state.map_err(|error| SubmitError::Refused {
        reason: error.to_string(),
    })?;
    let account = state.account(&keccak256(address))?.unwrap_or_default();
    let is_contract = account.code_hash != alloy_consensus::constants::KECCAK_EMPTY
        && !is_delegation(&state.code(&account.code_hash)?);
    Ok(Sender {
        nonce: account.nonce,
        balance: account.balance,
        is_contract,
    })
}

/// Whether code is a delegation (EIP-7702), whose account may still send.
fn is_delegation(code: &[u8]) -> bool {
    code.len() == 23 && code.starts_with(&[0xef, 0x01, 0x00])
}
