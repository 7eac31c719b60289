//! Exclusions of members, kept by `MemberStanding`.

use alloy_sol_types::{SolCall, SolEvent as _};
use counterweight_federated::ledger::LedgerError;
use counterweight_federated::ledger::standing::{
    Appeal, Decision, Proposal, StandingLedger, StandingReader, StandingSetting,
};
use counterweight_primitives::{Address, ContentDigest, MemberIndex, Round, StudyId, UnixSeconds};

use super::{ContractLedger, Failure, decode, is, topic};
use crate::address::{from_evm, to_evm};
use crate::contracts::IMemberStanding as Contract;

impl<S> ContractLedger<S> {
    /// `MemberStanding` of this deployment.
    fn member_standing(&self) -> Result<Address, LedgerError> {
        let address = self.deployment.member_standing;
        address.ok_or_else(|| LedgerError::Refused {
            name: "NotDeployed".to_owned(),
            reason: "this deployment has no MemberStanding".to_owned(),
        })
    }
}

/// The newest proposal against a member, which its appeals and decisions are of.
fn newest(proposals: &mut [Proposal], member: u8) -> Result<&mut Proposal, Failure> {
    proposals
        .iter_mut()
        .rfind(|proposal| proposal.member.0 == member)
        .ok_or_else(|| Failure::malformed(format!("member {member} appealed against nothing")))
}

impl<S> StandingReader for ContractLedger<S> {
    fn standing_setting(&self, study: StudyId) -> Result<Option<StandingSetting>, LedgerError> {
        if self.deployment.member_standing.is_none() {
            return Ok(None);
        }
        let setting = self.ask(
            self.member_standing()?,
            &Contract::settingOfCall { study: study.0 },
        )?;
        Ok((setting.appealSeconds != 0).then(|| StandingSetting {
            arbiter: from_evm(setting.arbiter),
            appeal_seconds: setting.appealSeconds,
        }))
    }

    fn proposals(&self, study: StudyId) -> Result<Vec<Proposal>, LedgerError> {
        let mut proposals = Vec::new();
        let Some(setting) = self.standing_setting(study)? else {
            return Ok(proposals);
        };
        let window = u64::from(setting.appeal_seconds);
        let signatures = [
            Contract::ExclusionProposed::SIGNATURE_HASH,
            Contract::ExclusionAppealed::SIGNATURE_HASH,
            Contract::AppealDecided::SIGNATURE_HASH,
        ];
        let mut logs = self.events(self.member_standing()?, &signatures, Some(topic(study.0)))?;
        logs.sort_by_key(|log| (log.block, log.index));
        let mut times = self.times();
        for log in &logs {
            if is::<Contract::ExclusionProposed>(log) {
                let event: Contract::ExclusionProposed = decode(log)?;
                proposals.push(Proposal {
                    member: MemberIndex(event.member),
                    round: Round(event.round),
                    evidence: ContentDigest(event.evidence.0),
                    proposed_at: UnixSeconds(event.appealBy.saturating_sub(window)),
                    appeal: None,
                });
            } else if is::<Contract::ExclusionAppealed>(log) {
                let event: Contract::ExclusionAppealed = decode(log)?;
                newest(&mut proposals, event.member)?.appeal = Some(Appeal {
                    reason: ContentDigest(event.reason.0),
                    at: UnixSeconds(event.decideBy.saturating_sub(window)),
                    decision: None,
                });
            } else {
                let event: Contract::AppealDecided = decode(log)?;
                let at = times.of(log)?;
                let appeal = newest(&mut proposals, event.member)?.appeal.as_mut();
                let appeal = appeal.ok_or_else(|| Failure::malformed("a decision without an appeal"))?;
                appeal.decision = Some(Decision {
                    upheld: event.upheld,
                    at,
                });
            }
        }
        Ok(proposals)
    }
}

impl StandingLedger for ContractLedger {
    fn configure_standing(&self, study: StudyId, setting: &StandingSetting) -> Result<(), LedgerError> {
        self.send_to_standing(&Contract::configureCall {
            study: study.0,
            setting: Contract::Setting {
                arbiter: to_evm(setting.arbiter),
                appealSeconds: setting.appeal_seconds,
            },
        })
    }

    fn propose_exclusion(
        &self,
        study: StudyId,
        member: MemberIndex,
        round: Round,
        evidence: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.send_to_standing(&Contract::proposeCall {
            study: study.0,
            member: member.0,
            round: round.0,
            evidence: evidence.0.into(),
        })
    }

    fn appeal_exclusion(
        &self,
        study: StudyId,
        member: MemberIndex,
        reason: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.send_to_standing(&Contract::appealCall {
            study: study.0,
            member: member.0,
            reason: reason.0.into(),
        })
    }

    fn decide_appeal(&self, study: StudyId, member: MemberIndex, uphold: bool) -> Result<(), LedgerError> {
        self.send_to_standing(&Contract::decideCall {
            study: study.0,
            member: member.0,
            uphold,
        })
    }
}

impl ContractLedger {
    fn send_to_standing<C: SolCall>(&self, call: &C) -> Result<(), LedgerError> {
        self.send(self.member_standing()?, call)?;
        Ok(())
    }
}
