//! The time of coming blocks: this machine's, moved ahead where asked.

use std::time::{SystemTime, UNIX_EPOCH};

/// Decides timestamps. Blocks never go back in time, whatever this machine's clock does.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead: u64,
    next: Option<u64>,
}

/// Seconds since 1970 by this machine's clock.
pub(crate) fn machine_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl Clock {
    /// A clock that goes on where a chain left off, should that be ahead of this machine's.
    pub(crate) fn resume(newest: u64, machine: u64) -> Self {
        Self {
            ahead: newest.saturating_sub(machine),
            next: None,
        }
    }

    /// Moves ahead and says how far it now is.
    pub(crate) fn increase(&mut self, seconds: u64) -> u64 {
        self.ahead = self.ahead.saturating_add(seconds);
        self.ahead
    }

    /// The next block's timestamp. Later ones follow on from it.
    pub(crate) fn set_next(&mut self, timestamp: u64) {
        self.next = Some(timestamp);
    }

    /// Timestamp a block made now would have.
    pub(crate) fn peek(&self, parent: u64, machine: u64) -> u64 {
        self.next
            .unwrap_or_else(|| machine.saturating_add(self.ahead))
            .max(parent)
    }

    /// A block with this timestamp was made.
    pub(crate) fn made(&mut self, timestamp: u64, machine: u64) {
        if self.next.take().is_some() {
            self.ahead = timestamp.saturating_sub(machine);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_goes_back_behind_the_parent() {
        assert_eq!(Clock::default().peek(100, 50), 100);
    }

    #[test]
    fn later_blocks_follow_on_from_a_set_time() {
        let mut clock = Clock::default();
        clock.set_next(1_000);
        assert_eq!(clock.peek(10, 50), 1_000);
        clock.made(1_000, 50);
        assert_eq!(clock.peek(1_000, 53), 1_003);
    }

    #[test]
    fn increases_add_up_and_saturate() {
        let mut clock = Clock::resume(80, 50);
        assert_eq!(clock.increase(10), 40);
        assert_eq!(clock.peek(80, 50), 90);
        assert_eq!(clock.increase(u64::MAX), u64::MAX);
        assert_eq!(clock.peek(80, 50), u64::MAX);
    }
}
