//! What a member looks up of its own standing.

use counterweight_primitives::MemberIndex;

use super::{Member, MemberError};
use crate::{
    ledger::{
        StudyState,
        standing::{Proposal, ProposalState},
    },
    standing::StandingRecord,
};

impl Member {
    /// Whether the ledger decides exclusions as the terms say: whoever takes part relies on the time to appeal.
    pub(super) fn check_exclusion(&self, state: &StudyState) -> Result<(), MemberError> {
        let Some(rule) = self.setup.terms.exclusion() else {
            return Ok(());
        };
        let record = self.standing_record()?;
        let agrees = |record: &StandingRecord| {
            rule.agrees_with(&record.setting)
                && (rule.arbiter.is_some() || record.setting.arbiter == state.sponsor)
        };
        match record {
            Some(record) if agrees(&record) => Ok(()),
            _ => Err(MemberError::Terms {
                problem: "the ledger does not decide exclusions as they say".to_owned(),
            }),
        }
    }

    /// The newest proposal to exclude this member, and where it stands by the ledger's clock.
    ///
    /// # Errors
    /// [`MemberError::Ledger`].
    pub fn proposed_exclusion(
        &self,
        member: MemberIndex,
    ) -> Result<Option<(Proposal, ProposalState)>, MemberError> {
        if self.setup.terms.exclusion().is_none() {
            return Ok(None);
        }
        let Some(record) = self.standing_record()? else {
            return Ok(None);
        };
        let now = self.chain_time()?;
        let newest = record.newest(member).copied();
        Ok(newest.map(|proposal| (proposal, proposal.state(&record.setting, now))))
    }

    fn standing_record(&self) -> Result<Option<StandingRecord>, MemberError> {
        let read = StandingRecord::read(&*self.setup.ledger, self.setup.study);
        read.map_err(|source| MemberError::Ledger {
            doing: "reading who is proposed for exclusion",
            source,
        })
    }
}
