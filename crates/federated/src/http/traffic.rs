//! What the server carries and refuses: the counters by which it limits itself, and which a person may watch.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a server has carried so far and carries now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficReport {
    /// Connections that are open.
    pub connections: usize,
    /// Requests answered, whatever the answer.
    pub requests: u64,
    /// Bytes of bodies that came, without headers.
    pub bytes_in: u64,
    /// Bytes of bodies that were answered.
    pub bytes_out: u64,
    /// Updates and records in memory: announced, coming in, or waiting for the coordinator.
    pub uploads: usize,
    /// Bytes set aside for them.
    pub upload_bytes: usize,
    /// The most there ever were of those at once.
    pub upload_bytes_peak: usize,
    /// Bytes of blobs that are being given out; one that several ask for counts once.
    pub lent_bytes: usize,
    /// Requests that were not done, by the code of the answer.
    pub refusals: BTreeMap<&'static str, u64>,
}

/// A report that goes on.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<TrafficReport>);

impl Traffic {
    /// As it is now.
    #[must_use]
    pub fn report(&self) -> TrafficReport {
        self.now().clone()
    }

    /// The report, to be changed.
    pub(super) fn now(&self) -> MutexGuard<'_, TrafficReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
