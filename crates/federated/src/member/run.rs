//! A member from joining to the end of the study.

use std::time::Duration;

use counterweight_primitives::MemberIndex;

use super::{CoordinatorClient, Member, MemberError, MemberEvent, MemberOutcome, MemberSetup};
use crate::clock::Clock;

/// How patient a member is.
#[derive(Debug, Clone, Copy)]
pub struct MemberOptions {
    /// Longest wait for news in one request.
    pub poll: Duration,
    /// How long it keeps trying a coordinator or ledger that does not answer.
    pub patience: Duration,
}

impl Default for MemberOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(10),
            patience: Duration::from_secs(600),
        }
    }
}

impl Member {
    /// A member of a study on the ledger.
    ///
    /// # Errors
    /// [`MemberError::OtherTerms`], [`MemberError::OtherPurpose`], [`MemberError::WrongShape`] or
    /// [`MemberError::Ledger`].
    pub fn new(setup: MemberSetup) -> Result<Self, MemberError> {
        Ok(Self { setup })
    }

    /// Joins, unless it has joined already; its index.
    ///
    /// # Errors
    /// [`MemberError::ConsentMissing`], [`MemberError::NotAMember`] or [`MemberError::Ledger`].
    pub fn join(&self) -> Result<MemberIndex, MemberError> {
        let (account, dataset) = (self.setup.ledger.account(), self.setup.dataset);
        Err(MemberError::NotAMember { account, dataset })
    }

    /// Takes part until the study ends. Outages of coordinator and ledger are waited out.
    ///
    /// # Errors
    /// [`MemberError`] where waiting does not help or took too long.
    pub fn run(
        &self,
        client: &mut dyn CoordinatorClient,
        options: &MemberOptions,
        clock: &dyn Clock,
        observer: &mut dyn FnMut(&MemberEvent),
    ) -> Result<MemberOutcome, MemberError> {
        let _ = (client, options, clock, observer);
        self.join().map(|_| unreachable_outcome())
    }
}

fn unreachable_outcome() -> MemberOutcome {
    MemberOutcome {
        member: MemberIndex(0),
        phase: crate::ledger::Phase::Cancelled,
        survived: 0,
        result: None,
    }
}
