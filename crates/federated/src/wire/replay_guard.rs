//! Turns away requests that were seen before.

use std::collections::{BTreeMap, BTreeSet};

use counterweight_primitives::{Address, UnixMillis};

use super::Nonce;

/// How far the time of a request may be from ours, in milliseconds.
pub const WINDOW_MS: u64 = 300_000;

/// Requests of one account remembered at once. A member sends a few in a round, and retries seconds apart.
const REQUESTS_MAX: usize = 1_024;

/// Remembers the requests of the last minutes. Older ones are refused by their time, so memory stays bounded: ask
/// only about accounts of members, of which there are at most 64.
///
/// It forgets everything in a restart. What could then be replayed changes nothing: an update is counted once for its
/// member and round however often it comes, and a member that committed cannot be made to decline.
#[derive(Debug, Default)]
pub struct ReplayGuard {
    seen: BTreeMap<Address, BTreeSet<(UnixMillis, Nonce)>>,
}

/// Why a request is turned away.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayGuardError {
    /// Its time is too far from ours: an old request, or a clock that is wrong.
    #[error("the request was made at {got} ms, it is {now} ms here: more than {WINDOW_MS} ms apart")]
    OutOfWindow {
        /// Our time.
        now: u64,
        /// Its time.
        got: u64,
    },
    /// It came before.
    #[error("the request was sent before")]
    Repeated,
    /// Its account sends too much.
    #[error("more than {REQUESTS_MAX} requests in {WINDOW_MS} ms")]
    TooMany,
}

impl ReplayGuard {
    /// Lets a request pass once.
    ///
    /// # Errors
    /// [`ReplayGuardError`].
    pub fn admit(
        &mut self,
        signer: Address,
        time: UnixMillis,
        nonce: Nonce,
        now: UnixMillis,
    ) -> Result<(), ReplayGuardError> {
        if time.0.abs_diff(now.0) > WINDOW_MS {
            return Err(ReplayGuardError::OutOfWindow {
                now: now.0,
                got: time.0,
            });
        }
        let seen = self.seen.entry(signer).or_default();
        let oldest = UnixMillis(now.0.saturating_sub(WINDOW_MS));
        *seen = seen.split_off(&(oldest, Nonce([0; 16])));
        if seen.contains(&(time, nonce)) {
            return Err(ReplayGuardError::Repeated);
        }
        if seen.len() >= REQUESTS_MAX {
            return Err(ReplayGuardError::TooMany);
        }
        seen.insert((time, nonce));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(10_000_000);
    const SIGNER: Address = Address([1; 20]);

    #[test]
    fn a_request_passes_once() {
        let mut guard = ReplayGuard::default();
        guard.admit(SIGNER, NOW, Nonce([1; 16]), NOW).unwrap();
        assert_eq!(
            guard.admit(SIGNER, NOW, Nonce([1; 16]), NOW),
            Err(ReplayGuardError::Repeated)
        );
        guard.admit(SIGNER, NOW, Nonce([2; 16]), NOW).unwrap();
        guard.admit(Address([2; 20]), NOW, Nonce([1; 16]), NOW).unwrap();
    }

    #[test]
    fn what_is_forgotten_is_too_old_to_pass() {
        let mut guard = ReplayGuard::default();
        guard.admit(SIGNER, NOW, Nonce([1; 16]), NOW).unwrap();
        for later in [0, 1, WINDOW_MS, WINDOW_MS + 1, 2 * WINDOW_MS] {
            let now = UnixMillis(NOW.0 + later);
            guard.admit(SIGNER, now, Nonce([9; 16]), now).unwrap();
            assert!(guard.admit(SIGNER, NOW, Nonce([1; 16]), now).is_err(), "{later}");
        }
    }

    #[test]
    fn times_far_from_ours_are_refused() {
        let mut guard = ReplayGuard::default();
        for time in [0, NOW.0 - WINDOW_MS - 1, NOW.0 + WINDOW_MS + 1, u64::MAX] {
            let refused = guard.admit(SIGNER, UnixMillis(time), Nonce([1; 16]), NOW);
            assert!(matches!(refused, Err(ReplayGuardError::OutOfWindow { .. })));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut guard = ReplayGuard::default();
        let mut last = Ok(());
        for number in 0..2_000_u128 {
            last = guard.admit(SIGNER, NOW, Nonce(number.to_le_bytes()), NOW);
        }
        assert_eq!(last, Err(ReplayGuardError::TooMany));
        assert_eq!(guard.seen[&SIGNER].len(), REQUESTS_MAX);
    }
}
