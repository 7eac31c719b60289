//! Transactions that wait for a block.
//!
//! Those of an account go in the order of their nonces; among accounts the higher tip goes first, then the earlier
//! arrival. Everything is bounded, because anyone may send.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::{Arc, LazyLock};

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_primitives::map::HashMap;
use alloy_primitives::{Address, B256, U256};
use revm::context_interface::cfg::GasParams;

use super::executor::TransactionSource;
use super::rules;
use super::transaction::RecoveredTransaction;
use super::{Config, SubmitError};

/// What the pool needs to know of an account.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sender {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    /// Whether its code forbids it to send (EIP-3607); a delegation (EIP-7702) does not.
    pub(crate) is_contract: bool,
}

struct Waiting {
    transaction: Arc<RecoveredTransaction>,
    arrival: u64,
}

struct Queue {
    sender: Sender,
    waiting: BTreeMap<u64, Waiting>,
    /// Nonce after those that follow on from the account's without a gap.
    ready_until: u64,
}

impl Queue {
    fn new(sender: Sender) -> Self {
        Self {
            ready_until: sender.nonce,
            sender,
            waiting: BTreeMap::new(),
        }
    }

    /// Transactions that follow on from the account's nonce without a gap.
    fn ready(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting
            .range(self.sender.nonce..self.ready_until)
            .map(|(_, waiting)| waiting)
    }

    fn ready_count(&self) -> usize {
        usize::try_from(self.ready_until - self.sender.nonce).unwrap_or(usize::MAX)
    }

    fn extend_ready(&mut self) {
        while self.waiting.contains_key(&self.ready_until) {
            self.ready_until += 1;
        }
    }
}

/// What the next block would be, as far as taking a transaction depends on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook {
    pub(crate) chain_id: u64,
    pub(crate) gas_limit: u64,
    pub(crate) base_fee: u64,
    /// Whether a transaction below the base fee is refused instead of kept for a cheaper block.
    pub(crate) base_fee_required: bool,
}

/// Transactions that wait for a block.
pub(crate) struct Pool {
    limit: usize,
    queued_per_account: usize,
    queues: HashMap<Address, Queue>,
    by_hash: HashMap<B256, Arc<RecoveredTransaction>>,
    arrivals: u64,
    refused: VecDeque<(B256, String)>,
}

/// How many refusals are remembered for those who wait for an answer.
const REFUSALS: usize = 1024;

/// A replacement has to pay this many percent more.
const REPLACEMENT_PERCENT: u128 = 10;

impl Pool {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            limit: config.pool_transactions,
            queued_per_account: config.pool_queued_per_account,
            queues: HashMap::default(),
            by_hash: HashMap::default(),
            arrivals: 0,
            refused: VecDeque::new(),
        }
    }

    /// Takes a transaction. `account` is asked for its sender where the pool holds nothing of that sender yet.
    pub(crate) fn insert(
        &mut self,
        transaction: Arc<RecoveredTransaction>,
        outlook: &Outlook,
        account: impl FnOnce(Address) -> Result<Sender, SubmitError>,
    ) -> Result<(), SubmitError> {
        let hash = transaction.hash();
        if self.by_hash.contains_key(&hash) {
            return Err(SubmitError::AlreadyKnown { hash });
        }
        check_alone(&transaction, outlook)?;
        let address = transaction.sender();
        let sender = match self.queues.get(&address) {
            Some(queue) => queue.sender,
            None => account(address)?,
        };
        check_sender(&transaction, &sender)?;
        let nonce = transaction.nonce();
        let queue = self.queues.get(&address);
        match queue.and_then(|queue| queue.waiting.get(&nonce)) {
            Some(waiting) if !pays_more(transaction.envelope(), waiting.transaction.envelope()) => {
                return Err(SubmitError::ReplacementUnderpriced);
            }
            Some(_) => {}
            None => {
                if self.by_hash.len() >= self.limit {
                    return Err(SubmitError::PoolFull);
                }
                let follows = queue.map_or(sender.nonce, |queue| queue.ready_until);
                let queued = queue.map_or(0, |queue| queue.waiting.len() - queue.ready_count());
                if nonce > follows && queued >= self.queued_per_account {
                    return Err(SubmitError::NonceTooHigh {
                        tx: nonce,
                        state: sender.nonce,
                        limit: self.queued_per_account,
                    });
                }
            }
        }
        let queue = self.queues.entry(address).or_insert_with(|| Queue::new(sender));
        self.arrivals += 1;
        let waiting = Waiting {
            transaction: Arc::clone(&transaction),
            arrival: self.arrivals,
        };
        if let Some(replaced) = queue.waiting.insert(nonce, waiting) {
            self.by_hash.remove(&replaced.transaction.hash());
        }
        queue.extend_ready();
        self.by_hash.insert(hash, transaction);
        Ok(())
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<&Arc<RecoveredTransaction>> {
        self.by_hash.get(hash)
    }

    /// Why a transaction that the pool had taken was dropped.
    pub(crate) fn refusal(&self, hash: &B256) -> Option<&str> {
        self.refused
            .iter()
            .rev()
            .find(|(refused, _)| refused == hash)
            .map(|(_, reason)| reason.as_str())
    }

    /// Nonce after the transactions of an account that could be included now; `None` where it has none here.
    pub(crate) fn next_nonce(&self, address: &Address) -> Option<u64> {
        Some(self.queues.get(address)?.ready_until)
    }

    /// How many could be included now, and how many wait for an earlier nonce.
    pub(crate) fn size(&self) -> (usize, usize) {
        let ready = self.queues.values().map(Queue::ready_count).sum::<usize>();
        (ready, self.by_hash.len() - ready)
    }

    /// What a block with this base fee takes from here, best first.
    pub(crate) fn select(&self, base_fee: u64) -> Selection {
        let mut selection = Selection {
            base_fee,
            queues: Vec::new(),
            heads: BinaryHeap::new(),
            given: None,
            dropped: Vec::new(),
        };
        for queue in self.queues.values() {
            let ready: VecDeque<_> = queue
                .ready()
                .map(|waiting| (Arc::clone(&waiting.transaction), waiting.arrival))
                .collect();
            if !ready.is_empty() {
                selection.queues.push(ready);
                selection.offer(selection.queues.len() - 1);
            }
        }
        selection
    }

    /// Drops transactions that execution refused, and remembers why.
    pub(crate) fn drop_refused(&mut self, dropped: Vec<(Arc<RecoveredTransaction>, String)>) {
        for (transaction, reason) in dropped {
            self.remove(&transaction);
            if self.refused.len() == REFUSALS {
                self.refused.pop_front();
            }
            self.refused.push_back((transaction.hash(), reason));
        }
    }

    fn remove(&mut self, transaction: &RecoveredTransaction) {
        self.by_hash.remove(&transaction.hash());
        let address = transaction.sender();
        if let Some(queue) = self.queues.get_mut(&address) {
            if queue
                .waiting
                .get(&transaction.nonce())
                .is_some_and(|w| w.transaction.hash() == transaction.hash())
            {
                queue.waiting.remove(&transaction.nonce());
                queue.ready_until = queue.ready_until.min(transaction.nonce()).max(queue.sender.nonce);
            }
            if queue.waiting.is_empty() {
                self.queues.remove(&address);
            }
        }
    }

    /// Brings the accounts up to date after a block; `account` says what became of those that changed.
    pub(crate) fn advance(&mut self, account: impl Fn(&Address) -> Option<Sender>) {
        let by_hash = &mut self.by_hash;
        self.queues.retain(|address, queue| {
            if let Some(sender) = account(address) {
                queue.sender = sender;
                while let Some(first) = queue.waiting.first_entry()
                    && *first.key() < sender.nonce
                {
                    by_hash.remove(&first.remove().transaction.hash());
                }
                queue.ready_until = queue.ready_until.max(sender.nonce);
                queue.extend_ready();
            }
            !queue.waiting.is_empty()
        });
    }
}

fn pays_more(new: &TxEnvelope, old: &TxEnvelope) -> bool {
    let raised = |old: u128| {
        old.saturating_add(old.saturating_mul(REPLACEMENT_PERCENT).div_ceil(100))
            .max(1)
    };
    let tip = |transaction: &TxEnvelope| {
        transaction
            .max_priority_fee_per_gas()
            .unwrap_or_else(|| transaction.max_fee_per_gas())
    };
    new.max_fee_per_gas() >= raised(old.max_fee_per_gas())
        && tip(new) >= if tip(old) == 0 { 0 } else { raised(tip(old)) }
}

/// Checks that need nothing but the transaction.
fn check_alone(transaction: &RecoveredTransaction, outlook: &Outlook) -> Result<(), SubmitError> {
    static GAS: LazyLock<GasParams> = LazyLock::new(|| GasParams::new_spec(rules::SPEC));
    let envelope = transaction.envelope();
    if let Some(got) = envelope.chain_id()
        && got != outlook.chain_id
    {
        return Err(SubmitError::WrongChainId {
            got,
            expected: outlook.chain_id,
        });
    }
    let fee = envelope.max_fee_per_gas();
    let tip = envelope.max_priority_fee_per_gas().unwrap_or_default();
    if tip > fee {
        return Err(SubmitError::TipAboveFee { tip, fee });
    }
    if outlook.base_fee_required && fee < u128::from(outlook.base_fee) {
        return Err(SubmitError::FeeTooLow {
            fee,
            base_fee: outlook.base_fee,
        });
    }
    let got = envelope.gas_limit();
    if got > outlook.gas_limit {
        return Err(SubmitError::ExceedsBlockGasLimit {
            got,
            limit: outlook.gas_limit,
        });
    }
    if got > rules::TRANSACTION_GAS_CAP {
        return Err(SubmitError::ExceedsTransactionGasCap {
            got,
            cap: rules::TRANSACTION_GAS_CAP,
        });
    }
    if envelope.is_create() && envelope.input().len() > rules::INIT_CODE_BYTES {
        return Err(SubmitError::InitCodeTooLarge {
            got: envelope.input().len(),
            limit: rules::INIT_CODE_BYTES,
        });
    }
    let (accounts, slots) = envelope.access_list().map_or((0, 0), |list| {
        (
            list.len() as u64,
            list.iter()
                .map(|item| item.storage_keys.len() as u64)
                .sum::<u64>(),
        )
    });
    let authorizations = envelope.authorization_list().map_or(0, |list| list.len() as u64);
    if envelope.is_eip7702() && authorizations == 0 {
        return Err(SubmitError::Refused {
            reason: "EIP-7702 transaction with empty auth list".to_owned(),
        });
    }
    let gas = GAS.initial_tx_gas(
        envelope.input(),
        envelope.is_create(),
        accounts,
        slots,
        authorizations,
        None,
    );
    let expected = gas.initial_total_gas().max(gas.floor_gas());
    if got < expected {
        return Err(SubmitError::IntrinsicGasTooLow { got, expected });
    }
    Ok(())
}

/// Checks against the account that signed it.
fn check_sender(transaction: &RecoveredTransaction, sender: &Sender) -> Result<(), SubmitError> {
    let envelope = transaction.envelope();
    if sender.is_contract {
        return Err(SubmitError::SenderIsContract {
            address: transaction.sender(),
        });
    }
    if transaction.nonce() < sender.nonce {
        return Err(SubmitError::NonceTooLow {
            tx: transaction.nonce(),
            state: sender.nonce,
        });
    }
    let cost = U256::from(envelope.max_fee_per_gas())
        .saturating_mul(U256::from(envelope.gas_limit()))
        .saturating_add(envelope.value());
    if sender.balance < cost {
        return Err(SubmitError::InsufficientFunds {
            address: transaction.sender(),
            balance: sender.balance,
            cost,
        });
    }
    Ok(())
}

/// Transactions for one block, taken from the pool as it was when it began.
pub(crate) struct Selection {
    base_fee: u64,
    queues: Vec<VecDeque<(Arc<RecoveredTransaction>, u64)>>,
    heads: BinaryHeap<(u128, Reverse<u64>, usize)>,
    given: Option<usize>,
    pub(crate) dropped: Vec<(Arc<RecoveredTransaction>, String)>,
}

impl Selection {
    /// Puts the first of a queue among the heads, unless it cannot pay the base fee.
    fn offer(&mut self, queue: usize) {
        if let Some((transaction, arrival)) = self.queues[queue].front()
            && let Some(tip) = transaction.envelope().effective_tip_per_gas(self.base_fee)
        {
            self.heads.push((tip, Reverse(*arrival), queue));
        }
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
}

impl TransactionSource for Selection {
    fn next(&mut self, gas_left: u64) -> Option<Arc<RecoveredTransaction>> {
        if let Some(queue) = self.given.take() {
            self.offer(queue);
        }
        while let Some((_, _, queue)) = self.heads.pop() {
            // What does not fit ends its account's turn: later nonces cannot go before it.
            if self.queues[queue]
                .front()
                .is_some_and(|(transaction, _)| transaction.gas_limit() <= gas_left)
            {
                self.given = Some(queue);
                return self.queues[queue].pop_front().map(|(transaction, _)| transaction);
            }
        }
        None
    }

    fn skipped(&mut self, transaction: &Arc<RecoveredTransaction>, reason: &str, later: bool) {
        self.given = None;
        if !later {
            self.dropped.push((Arc::clone(transaction), reason.to_owned()));
        }
    }
}
