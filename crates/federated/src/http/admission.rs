//! How much the server takes at once.
//!
//! Every update and record has its bytes set aside before the first of them is read, and until the coordinator has answered;
//! what finds no room is told to come back. So memory is bounded whatever members do. Not counted are lists of parts and
//! declines: one of an account at a time, and short.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use counterweight_primitives::{Address, UnixMillis};

use super::traffic::Traffic;

/// What uploads share.
#[derive(Debug)]
pub(super) struct Admission {
    bytes_max: usize,
    uploads_max: usize,
    traffic: Arc<Traffic>,
}

impl Admission {
    pub(super) fn new(bytes_max: usize, uploads_max: usize, traffic: Arc<Traffic>) -> Self {
        Self {
            bytes_max,
            uploads_max,
            traffic,
        }
    }

    /// Sets bytes aside for one upload, if there is room.
    pub(super) fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let mut now = self.traffic.now();
        let total = now.upload_bytes.checked_add(bytes)?;
        if total > self.bytes_max || now.uploads >= self.uploads_max {
            return None;
        }
        now.uploads += 1;
        now.upload_bytes = total;
        now.upload_bytes_peak = now.upload_bytes_peak.max(total);
        drop(now);
        let traffic = Arc::clone(&self.traffic);
        Some(Reserved { traffic, bytes })
    }
}

/// Room for one upload; given back when dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    traffic: Arc<Traffic>,
    bytes: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut now = self.traffic.now();
        now.uploads -= 1;
        now.upload_bytes -= self.bytes;
    }
}

/// How many requests an account may make: a bucket of `burst` that refills at `per_second`.
#[derive(Debug)]
pub(super) struct RequestRate {
    per_second: u32,
    burst: u32,
    /// For each account, thousandths of requests it has left, and when that was.
    left: BTreeMap<Address, (u64, UnixMillis)>,
}

impl RequestRate {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            burst: burst.max(1),
            left: BTreeMap::new(),
        }
    }

    /// Counts a request of a member; how long until there is room for it otherwise. Only members are asked about, so there
    /// are at most as many entries as members.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) fn admit(&mut self, account: Address, now: UnixMillis) -> Result<(), Duration> {
        let full = u64::from(self.burst) * 1_000;
        let (left, since) = self.left.entry(account).or_insert((full, now));
        // A clock that goes back gives nothing.
        let passed = now.0.saturating_sub(since.0);
        *left = full.min(left.saturating_add(passed.saturating_mul(self.per_second.into())));
        *since = now;
        match left.checked_sub(1_000) {
            Some(rest) => {
                *left = rest;
                Ok(())
            }
            None => Err(Duration::from_millis(
                (1_000 - *left).div_ceil(self.per_second.into()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_finds_no_room_is_not_taken_and_what_ends_makes_room() {
        let traffic = Arc::new(Traffic::default());
        let admission = Admission::new(100, 2, Arc::clone(&traffic));
        let first = admission.reserve(60).unwrap();
        assert!(admission.reserve(41).is_none());
        assert!(admission.reserve(usize::MAX).is_none());
        let second = admission.reserve(40).unwrap();
        drop(first);
        let third = admission.reserve(10).unwrap();
        // Two at once, however small.
        assert!(admission.reserve(1).is_none());
        drop((second, third));
        let report = traffic.report();
        assert_eq!((report.uploads, report.upload_bytes), (0, 0));
        assert_eq!(report.upload_bytes_peak, 100);
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_does() {
        let (one, other) = (Address([1; 20]), Address([2; 20]));
        let mut rate = RequestRate::new(2, 3);
        let at = UnixMillis;
        for _ in 0..3 {
            rate.admit(one, at(1_000)).unwrap();
        }
        assert_eq!(rate.admit(one, at(1_000)), Err(Duration::from_millis(500)));
        rate.admit(other, at(1_000)).unwrap();
        assert_eq!(rate.admit(one, at(1_400)), Err(Duration::from_millis(100)));
        rate.admit(one, at(1_500)).unwrap();
        // The clock goes back, and on.
        assert!(rate.admit(one, at(0)).is_err());
        rate.admit(one, at(1_000)).unwrap();
    }

    proptest! {
        /// However requests come, in no span of time more pass than the burst and what refills in it.
        #[test]
        fn no_more_pass_than_burst_and_rate(pauses in prop::collection::vec(0_u64..400, 1..200)) {
            let mut rate = RequestRate::new(10, 5);
            let (mut now, mut passed) = (0, 0);
            for pause in pauses {
                now += pause;
                passed += u64::from(rate.admit(Address([1; 20]), UnixMillis(now)).is_ok());
                prop_assert!(passed <= 5 + now * 10 / 1_000);
            }
        }
    }
}
