//! A chain whose calls are counted and timed, for whoever watches a process that depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256};
use parking_lot::Mutex;

use crate::network::{
    At, BlockRef, Call, ChainError, EventLog, Inclusion, LogQuery, Network, TransactionSigner,
};

/// Upper bounds of the classes that durations are counted in, in milliseconds; the last class has none.
pub const CLASSES_MS: [u64; 8] = [5, 20, 100, 500, 2_000, 10_000, 30_000, 120_000];

/// How calls of one kind went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallReport {
    /// Calls that were answered, a revert being an answer.
    pub answered: u64,
    /// Calls that were not: nobody answered, or not in time, or nonsense.
    pub failed: u64,
    /// Time they took together.
    pub time: Duration,
    /// Calls in each class of [`CLASSES_MS`], and in the one above.
    pub classes: [u64; CLASSES_MS.len() + 1],
}

impl CallReport {
    fn count(&mut self, took: Duration, answered: bool) {
        match answered {
            true => self.answered += 1,
            false => self.failed += 1,
        }
        self.time += took;
        let class = CLASSES_MS.partition_point(|bound| u128::from(*bound) < took.as_millis());
        self.classes[class] += 1;
    }
}

/// Counts of calls, by kind: `call`, `send`, `logs` and so on.
#[derive(Debug, Default)]
pub struct CallCounts(Mutex<BTreeMap<&'static str, CallReport>>);

impl CallCounts {
    /// As they are now.
    #[must_use]
    pub fn report(&self) -> BTreeMap<&'static str, CallReport> {
        self.0.lock().clone()
    }
}

/// A chain behind its counts.
pub struct Metered {
    network: Arc<dyn Network>,
    counts: Arc<CallCounts>,
}

impl Metered {
    /// Counts what is asked of `network` into `counts`.
    #[must_use]
    pub fn new(network: Arc<dyn Network>, counts: Arc<CallCounts>) -> Self {
        Self { network, counts }
    }

    fn count<T>(
        &self,
        kind: &'static str,
        ask: impl FnOnce(&dyn Network) -> Result<T, ChainError>,
    ) -> Result<T, ChainError> {
        let started = Instant::now();
        let answer = ask(&*self.network);
        let answered = match &answer {
            Ok(_) => true,
            Err(error) => matches!(
                error,
                ChainError::Reverted { .. } | ChainError::Rejected { .. } | ChainError::StateMissing { .. }
            ),
        };
        let mut counts = self.counts.0.lock();
        counts.entry(kind).or_default().count(started.elapsed(), answered);
        answer
    }
}

impl Network for Metered {
    fn chain_id(&self) -> u64 {
        self.network.chain_id()
    }

    fn head(&self) -> Result<BlockRef, ChainError> {
        self.count("head", |network| network.head())
    }

    fn block(&self, number: u64) -> Result<Option<BlockRef>, ChainError> {
        self.count("block", |network| network.block(number))
    }

    fn call(&self, from: Address, call: &Call, at: At) -> Result<Bytes, ChainError> {
        self.count("call", |network| network.call(from, call, at))
    }

    fn estimate_gas(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        self.count("estimate", |network| network.estimate_gas(from, call))
    }

    fn balance(&self, account: Address, at: At) -> Result<U256, ChainError> {
        self.count("balance", |network| network.balance(account, at))
    }

    fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.count("nonce", |network| network.nonce(account))
    }

    fn code(&self, account: Address, at: At) -> Result<Bytes, ChainError> {
        self.count("code", |network| network.code(account, at))
    }

    fn transact(&self, signer: &dyn TransactionSigner, call: &Call) -> Result<Inclusion, ChainError> {
        self.count("send", |network| network.transact(signer, call))
    }

    fn inclusion(&self, transaction: B256) -> Result<Option<Inclusion>, ChainError> {
        self.count("inclusion", |network| network.inclusion(transaction))
    }

    fn logs(&self, query: &LogQuery) -> Result<Vec<EventLog>, ChainError> {
        self.count("logs", |network| network.logs(query))
    }

    fn header(&self, number: u64) -> Result<Option<Bytes>, ChainError> {
        self.count("header", |network| network.header(number))
    }

    fn receipts(&self, number: u64) -> Result<Vec<Bytes>, ChainError> {
        self.count("receipts", |network| network.receipts(number))
    }

    fn prove(&self, account: Address, slots: &[B256], number: u64) -> Result<Vec<Bytes>, ChainError> {
        self.count("prove", |network| network.prove(account, slots, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{Config, EmbeddedChain, Genesis};
    use crate::keys::development_key;

    #[test]
    fn calls_are_counted_by_kind_and_a_refusal_is_an_answer() {
        let chain = EmbeddedChain::in_memory(Genesis::development(), Config::default()).unwrap();
        let counts = Arc::new(CallCounts::default());
        let metered = Metered::new(Arc::new(chain), Arc::clone(&counts));
        metered.head().unwrap();
        metered.head().unwrap();
        let key = development_key(0, metered.chain_id()).unwrap();
        let account = TransactionSigner::address(&key);
        let payment = |value| Call {
            to: Some(account),
            value,
            ..Call::default()
        };
        metered.transact(&key, &payment(U256::from(1))).unwrap();
        metered.transact(&key, &payment(U256::MAX)).unwrap_err();
        let report = counts.report();
        assert_eq!((report["head"].answered, report["head"].failed), (2, 0));
        let sent = report["send"];
        assert_eq!((sent.answered, sent.failed), (2, 0));
        assert_eq!(sent.classes.iter().sum::<u64>(), 2);
        assert!(sent.time > Duration::ZERO);
    }

    #[test]
    fn a_duration_is_in_the_class_whose_bound_it_does_not_pass() {
        let mut report = CallReport::default();
        for millis in [0, 5, 6, 120_000, 120_001] {
            report.count(Duration::from_millis(millis), false);
        }
        assert_eq!(report.classes, [2, 1, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(report.failed, 5);
    }
}
