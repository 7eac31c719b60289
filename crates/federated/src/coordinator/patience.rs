//! Asking and changing the ledger, which may be silent for a while.

use std::time::Duration;

use counterweight_primitives::UnixSeconds;

use super::{Coordinator, CoordinatorError, StudyEvent};
use crate::{
    journal::Entry,
    ledger::{LedgerError, StudyLedger, StudyState},
};

/// Longest pause between two attempts at the ledger.
const PAUSE_MAX: Duration = Duration::from_secs(5);

impl Coordinator<'_> {
    pub(super) fn tell(&mut self, event: &StudyEvent) {
        (self.environment.observer)(event);
    }

    pub(super) fn note(&mut self, entry: Entry) -> Result<(), CoordinatorError> {
        Ok(self.environment.journal.append(entry)?)
    }

    pub(super) fn state(&mut self, doing: &'static str) -> Result<StudyState, CoordinatorError> {
        let study = self.plan.study;
        self.ask(doing, |ledger| ledger.study(study))
    }

    /// The later of the chain's clock and ours: a chain without new blocks stands still, and its next block will not.
    pub(super) fn now(&mut self) -> Result<UnixSeconds, CoordinatorError> {
        let chain = self.ask("reading the time", |ledger| ledger.now())?;
        Ok(chain.max(self.environment.clock.now().seconds()))
    }

    pub(super) fn waited(&self, since: u64) -> Duration {
        Duration::from_millis(self.environment.clock.now().0.saturating_sub(since))
    }

    /// Reads from the ledger, waiting out its silence.
    pub(super) fn ask<T>(
        &mut self,
        doing: &'static str,
        question: impl Fn(&dyn StudyLedger) -> Result<T, LedgerError>,
    ) -> Result<T, CoordinatorError> {
        let since = self.environment.clock.now().0;
        let mut pause = self.options.poll;
        loop {
            match question(self.environment.ledger) {
                Ok(answer) => return Ok(answer),
                Err(source) if source.is_retryable() && self.waited(since) < self.options.patience => {
                    let silent_ms = self.waited(since).as_millis() as u64;
                    self.tell(&StudyEvent::LedgerSilent { doing, silent_ms });
                    self.environment.clock.pause(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(source) => return Err(CoordinatorError::Ledger { doing, source }),
            }
        }
    }

    /// Does something on the ledger once. A call that got no answer, or was refused, may have taken effect all the
    /// same, or an earlier one may have: so the ledger is looked at before it is tried again.
    pub(super) fn act(
        &mut self,
        doing: &'static str,
        action: impl Fn(&dyn StudyLedger) -> Result<(), LedgerError>,
        done: impl Fn(&StudyState) -> bool,
    ) -> Result<(), CoordinatorError> {
        let since = self.environment.clock.now().0;
        let mut pause = self.options.poll;
        loop {
            if done(&self.state(doing)?) {
                return Ok(());
            }
            let Err(source) = action(self.environment.ledger) else {
                return Ok(());
            };
            if done(&self.state(doing)?) {
                return Ok(());
            }
            if !source.is_retryable() || self.waited(since) >= self.options.patience {
                return Err(CoordinatorError::Ledger { doing, source });
            }
            let silent_ms = self.waited(since).as_millis() as u64;
            self.tell(&StudyEvent::LedgerSilent { doing, silent_ms });
            self.environment.clock.pause(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
