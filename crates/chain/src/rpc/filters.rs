//! Filters: what a client polls for, and how far it has been told.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Log};
use alloy_rpc_types_eth::{BlockNumberOrTag, Filter, FilterBlockOption};
use tokio::sync::broadcast;

use super::{Limits, error::RpcError};

/// Logs by contract and topics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogSelection {
    /// Any of these contracts; empty for all.
    pub(crate) addresses: BTreeSet<Address>,
    /// For each place, any of these values; empty for all.
    pub(crate) topics: Vec<Vec<B256>>,
}

impl LogSelection {
    /// Takes the selection out of a request.
    pub(crate) fn of(filter: &Filter, limits: &Limits) -> Result<Self, RpcError> {
        let limit = limits.log_alternatives;
        if filter.address.len() > limit || filter.topics.iter().any(|topic| topic.len() > limit) {
            return Err(RpcError::limit(format!(
                "at most {limit} addresses, and as many values for each topic"
            )));
        }
        let mut topics: Vec<Vec<B256>> = filter
            .topics
            .iter()
            .map(|topic| topic.iter().copied().collect())
            .collect();
        while topics.last().is_some_and(Vec::is_empty) {
            topics.pop();
        }
        topics.iter_mut().for_each(|values| values.sort_unstable());
        Ok(Self {
            addresses: filter.address.iter().copied().collect(),
            topics,
        })
    }

    /// Whether a log is selected. A log with fewer topics than places that ask for something is not.
    pub(crate) fn matches(&self, log: &Log) -> bool {
        let values = log.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.iter().enumerate().all(|(place, allowed)| {
                allowed.is_empty() || values.get(place).is_some_and(|value| allowed.contains(value))
            })
    }
}

/// What a filter collects.
#[derive(Debug)]
pub(crate) enum Polled {
    /// Logs in blocks of the range.
    Logs {
        /// Which.
        selection: LogSelection,
        /// First and last block.
        range: (BlockNumberOrTag, BlockNumberOrTag),
        /// First block not told of.
        next: u64,
    },
    /// Hashes of blocks.
    Blocks {
        /// First block not told of.
        next: u64,
    },
    /// Hashes of transactions taken into the pool.
    Pending {
        /// Those not told of. Bounded by the channel: whoever polls too seldom misses the oldest.
        hashes: broadcast::Receiver<B256>,
    },
}

impl Polled {
    /// A filter for logs as asked for, `next` being the first block whose logs are news.
    pub(crate) fn logs(filter: &Filter, limits: &Limits, next: u64) -> Result<Self, RpcError> {
        let FilterBlockOption::Range { from_block, to_block } = filter.block_option else {
            return Err(RpcError::invalid_params(
                "a filter cannot be bound to one block hash; use eth_getLogs",
            ));
        };
        let range = (from_block.unwrap_or_default(), to_block.unwrap_or_default());
        Ok(Self::Logs {
            selection: LogSelection::of(filter, limits)?,
            range,
            next,
        })
    }
}

struct Installed {
    polled: Polled,
    asked: Instant,
}

/// The filters of all clients.
pub(crate) struct Filters {
    installed: BTreeMap<u64, Installed>,
    ids: Ids,
    limit: usize,
    idle: Duration,
}

impl Filters {
    /// Holds at most `limit` filters and drops those not asked for `idle`.
    pub(crate) fn new(limit: usize, idle: Duration) -> Self {
        Self {
            installed: BTreeMap::new(),
            ids: Ids::default(),
            limit,
            idle,
        }
    }

    pub(crate) fn install(&mut self, polled: Polled, now: Instant) -> Result<u64, RpcError> {
        self.installed
            .retain(|_, filter| now.duration_since(filter.asked) < self.idle);
        if self.installed.len() >= self.limit {
            return Err(RpcError::limit(format!(
                "{} filters are installed, uninstall some",
                self.limit
            )));
        }
        let id = self.ids.next();
        self.installed.insert(id, Installed { polled, asked: now });
        Ok(id)
    }

    pub(crate) fn get(&mut self, id: u64, now: Instant) -> Result<&mut Polled, RpcError> {
        match self.installed.get_mut(&id) {
            Some(filter) if now.duration_since(filter.asked) < self.idle => {
                filter.asked = now;
                Ok(&mut filter.polled)
            }
            _ => Err(RpcError::new(super::error::SERVER_ERROR, "filter not found")),
        }
    }

    pub(crate) fn uninstall(&mut self, id: u64) -> bool {
        self.installed.remove(&id).is_some()
    }
}

/// Identifiers that cannot be guessed from others: a keyed hash of a counter. Whoever knew another client's could
/// drain its filter.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    key: RandomState,
    count: u64,
}

impl Ids {
    pub(crate) fn next(&mut self) -> u64 {
        self.count += 1;
        self.key.hash_one(self.count)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, b256};

    use super::*;

    const A: B256 = b256!("00000000000000000000000000000000000000000000000000000000000000aa");
    const B: B256 = b256!("00000000000000000000000000000000000000000000000000000000000000bb");

    fn log(topics: &[B256]) -> Log {
        Log::new_unchecked(Address::repeat_byte(1), topics.to_vec(), Bytes::new())
    }

    #[test]
    fn places_are_joined_by_and_and_their_values_by_or() {
        let any_then_b = LogSelection {
            topics: vec![vec![], vec![B]],
            ..LogSelection::default()
        };
        assert!(any_then_b.matches(&log(&[A, B])));
        assert!(!any_then_b.matches(&log(&[B, A])));
        assert!(!any_then_b.matches(&log(&[A])));
        let either = LogSelection {
            topics: vec![vec![A, B]],
            ..LogSelection::default()
        };
        assert!(either.matches(&log(&[B])));
        assert!(!either.matches(&log(&[])));
        assert!(LogSelection::default().matches(&log(&[])));
        let elsewhere = LogSelection {
            addresses: [Address::ZERO].into(),
            ..LogSelection::default()
        };
        assert!(!elsewhere.matches(&log(&[A])));
    }

    #[test]
    fn filters_are_limited_and_idle_ones_make_room() {
        let mut filters = Filters::new(2, Duration::from_secs(10));
        let start = Instant::now();
        let first = filters.install(Polled::Blocks { next: 0 }, start).unwrap();
        let second = filters.install(Polled::Blocks { next: 0 }, start).unwrap();
        assert_ne!(first, second);
        assert!(filters.install(Polled::Blocks { next: 0 }, start).is_err());
        filters.get(second, start + Duration::from_secs(9)).unwrap();
        filters
            .install(Polled::Blocks { next: 0 }, start + Duration::from_secs(11))
            .unwrap();
        assert!(filters.get(first, start + Duration::from_secs(11)).is_err());
        assert!(filters.uninstall(second));
        assert!(!filters.uninstall(second));
    }
}
