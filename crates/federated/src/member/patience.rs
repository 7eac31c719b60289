//! Pauses between attempts: growing, never shorter than the coordinator asks for, and of another length for every member, so that
//! those who were sent away together do not come back together.

use std::time::Duration;

use counterweight_primitives::{ContentDigest, UnixMillis};

/// First pause after a failure, and the longest.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Attempts at one thing.
#[derive(Debug)]
pub(super) struct Patience {
    since: UnixMillis,
    longest: Duration,
    next: Duration,
    attempts: u64,
    /// Tells this one's pauses from others'.
    salt: [u8; 32],
}

impl Patience {
    /// Begins now and ends after `longest`. Of two with another `who`, or another time, no pauses are the same.
    pub(super) fn begin(since: UnixMillis, longest: Duration, who: &[u8]) -> Self {
        let salt = [
            b"counterweight/member-pause/v1".as_slice(),
            &since.0.to_le_bytes(),
            who,
        ]
        .concat();
        Self {
            since,
            longest,
            next: PAUSES.0,
            attempts: 0,
            salt: ContentDigest::of(&salt).0,
        }
    }

    /// The pause before the next attempt; nothing once it took too long.
    pub(super) fn pause(&mut self, now: UnixMillis, asked: Option<Duration>) -> Option<Duration> {
        if Duration::from_millis(now.0.saturating_sub(self.since.0)) >= self.longest {
            return None;
        }
        let least = self.next.max(asked.unwrap_or_default());
        self.next = (self.next * 2).min(PAUSES.1);
        let part = self.part();
        self.attempts += 1;
        // Up to half as long again.
        Some(least + (least / 2).mul_f64(part))
    }

    /// From 0 to below 1, another one for each attempt.
    fn part(&self) -> f64 {
        let text = [self.salt.as_slice(), &self.attempts.to_le_bytes()].concat();
        let digest = ContentDigest::of(&text).0;
        let [a, b, c, d, ..] = digest;
        f64::from(u32::from_le_bytes([a, b, c, d])) / 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: UnixMillis = UnixMillis(1_000);

    fn pauses(who: u8) -> Vec<Duration> {
        let mut patience = Patience::begin(START, Duration::from_secs(600), &[who]);
        (0..8).filter_map(|_| patience.pause(START, None)).collect()
    }

    #[test]
    fn pauses_grow_to_a_longest_and_end_with_patience() {
        let got = pauses(1);
        assert!(got[0] >= PAUSES.0 && got[0] < PAUSES.0 * 3 / 2);
        assert!(got[7] >= PAUSES.1 && got[7] < PAUSES.1 * 3 / 2);
        let mut patience = Patience::begin(START, Duration::from_secs(5), &[1]);
        assert!(patience.pause(UnixMillis(START.0 + 4_999), None).is_some());
        assert_eq!(patience.pause(UnixMillis(START.0 + 5_000), None), None);
    }

    #[test]
    fn members_that_were_sent_away_together_come_back_at_other_times() {
        let firsts: std::collections::BTreeSet<_> = (0..64).map(|who| pauses(who)[0]).collect();
        assert_eq!(firsts.len(), 64);
        // And each at the same ones, should it be played again.
        assert_eq!(pauses(7), pauses(7));
    }

    proptest! {
        #[test]
        fn no_pause_is_shorter_than_the_one_asked_for(asked in 0_u64..100_000, attempts in 1_usize..10) {
            let asked = Duration::from_millis(asked);
            let mut patience = Patience::begin(START, Duration::MAX, b"who");
            for _ in 0..attempts {
                let pause = patience.pause(START, Some(asked)).unwrap();
                prop_assert!(pause >= asked);
                prop_assert!(pause < asked.max(PAUSES.1) * 3 / 2);
            }
        }
    }
}
