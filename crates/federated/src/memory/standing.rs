//! Exclusions in memory, by the rules of the contract `MemberStanding`.

use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId};

use super::MemoryLedger;
use crate::ledger::{
    LedgerError,
    standing::{Proposal, StandingLedger, StandingReader, StandingSetting},
};

impl StandingReader for MemoryLedger {
    fn standing_setting(&self, study: StudyId) -> Result<Option<StandingSetting>, LedgerError> {
        Ok(self.rules().study(study)?.standing_setting)
    }

    fn proposals(&self, study: StudyId) -> Result<Vec<Proposal>, LedgerError> {
        Ok(self.rules().study(study)?.proposals.clone())
    }
}

impl StandingLedger for MemoryLedger {
    fn configure_standing(&self, study: StudyId, setting: &StandingSetting) -> Result<(), LedgerError> {
        self.rules().configure_standing(self.account, study, setting)
    }

    fn propose_exclusion(
        &self,
        study: StudyId,
        member: MemberIndex,
        round: Round,
        evidence: ContentDigest,
    ) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .propose_exclusion(self.account, study, (member, round, evidence), now)
    }

    fn appeal_exclusion(
        &self,
        study: StudyId,
        member: MemberIndex,
        reason: ContentDigest,
    ) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .appeal_exclusion(self.account, study, member, reason, now)
    }

    fn decide_appeal(&self, study: StudyId, member: MemberIndex, uphold: bool) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .decide_appeal(self.account, study, member, uphold, now)
    }
}
