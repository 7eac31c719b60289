//! The rules themselves: who may do what, and when.

mod masking;
mod standing;

use std::collections::BTreeMap;

use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, StudyId, UnixSeconds,
};

use counterweight_provenance::{
    ledger::{ConsentChange, ConsentEpoch, Position, consent_at},
    purpose::PURPOSE_BITS,
};

use crate::{
    ledger::{
        FinishRecord, LedgerError, MemberState, Phase, RoundClosing, RoundRecord, StudyState, StudyTerms,
        masking::{MaskRound, MaskSetting},
        standing::{Proposal, StandingSetting},
    },
    member_set::{MEMBERS_MAX, MemberSet},
    privacy::MicroEpsilon,
};

/// Longest a study may last, in seconds: ten years.
const LONGEST_STUDY: u64 = 3_650 * 86_400;

/// Everything recorded.
#[derive(Default)]
pub(super) struct Rules {
    datasets: BTreeMap<AssetId, Dataset>,
    studies: Vec<Study>,
}

struct Dataset {
    owner: Address,
    epochs: Vec<ConsentEpoch>,
}

pub(super) struct Study {
    terms: StudyTerms,
    pub(super) state: StudyState,
    pub(super) rounds: Vec<RoundRecord>,
    pub(super) finish: Option<FinishRecord>,
    pub(super) mask_setting: Option<MaskSetting>,
    pub(super) mask_rounds: Vec<MaskRound>,
    pub(super) standing_setting: Option<StandingSetting>,
    pub(super) proposals: Vec<Proposal>,
    budget_returned: bool,
}

/// A refusal under the name of the contract's error.
fn refused(name: &str, values: impl std::fmt::Display) -> LedgerError {
    LedgerError::Refused {
        name: name.to_owned(),
        reason: format!("{name}({values})"),
    }
}

fn check(holds: bool, refusal: impl FnOnce() -> LedgerError) -> Result<(), LedgerError> {
    if holds { Ok(()) } else { Err(refusal()) }
}

impl Rules {
    pub(super) fn study(&self, study: StudyId) -> Result<&Study, LedgerError> {
        let place = study
            .0
            .checked_sub(1)
            .and_then(|place| usize::try_from(place).ok());
        place
            .and_then(|place| self.studies.get(place))
            .ok_or_else(|| refused("UnknownStudy", format_args!("study: {study}")))
    }

    fn study_mut(&mut self, study: StudyId) -> Result<&mut Study, LedgerError> {
        self.study(study)?;
        Ok(&mut self.studies[study.0 as usize - 1])
    }

    pub(super) fn register_dataset(&mut self, owner: Address) -> AssetId {
        let id = AssetId(self.datasets.len() as u64 + 1);
        self.datasets.insert(
            id,
            Dataset {
                owner,
                epochs: Vec::new(),
            },
        );
        id
    }

    pub(super) fn change_consent(
        &mut self,
        steward: Address,
        dataset: AssetId,
        change: ConsentChange,
        now: UnixSeconds,
    ) -> Result<u32, LedgerError> {
        let found = self
            .datasets
            .get_mut(&dataset)
            .filter(|found| found.owner == steward);
        let epochs = &mut found
            .ok_or_else(|| LedgerError::Refused {
                name: "NotSteward".to_owned(),
                reason: format!("NotSteward(datasetId: {dataset}, caller: {steward})"),
            })?
            .epochs;
        let epoch = epochs.len() as u32 + 1;
        epochs.push(ConsentEpoch {
            epoch,
            steward,
            change,
            at: now,
            // No blocks here: the time and the number tell the order as well.
            position: Position {
                block: now.0,
                index: u64::from(epoch),
            },
        });
        Ok(epoch)
    }

    pub(super) fn consent_history(&self, dataset: AssetId) -> Vec<ConsentEpoch> {
        self.datasets
            .get(&dataset)
            .map(|found| found.epochs.clone())
            .unwrap_or_default()
    }

    fn require_consent(
        &self,
        dataset: AssetId,
        purpose: PurposeIndex,
        now: UnixSeconds,
    ) -> Result<u32, LedgerError> {
        let consent = consent_at(&self.consent_history(dataset), now, None);
        check(consent.allows(purpose, now), || {
            refused(
                "ConsentMissing",
                format_args!(
                    "datasetId: {dataset}, purpose: {purpose}, epoch: {}",
                    consent.epoch
                ),
            )
        })?;
        Ok(consent.epoch)
    }

    pub(super) fn open_study(
        &mut self,
        sponsor: Address,
        terms: &StudyTerms,
        now: UnixSeconds,
    ) -> Result<StudyId, LedgerError> {
        let fields = [
            ("coordinator", terms.coordinator != Address::ZERO),
            ("bond", terms.budget.checked_add(terms.bond).is_some()),
            ("purpose", terms.purpose.0 < PURPOSE_BITS),
            ("termsDigest", terms.terms != ContentDigest([0; 32])),
            ("maxMembers", usize::from(terms.max_members) <= MEMBERS_MAX),
            (
                "minMembers",
                terms.min_members >= 1 && terms.min_members <= terms.max_members,
            ),
            ("rounds", (1..=u32::from(u16::MAX)).contains(&terms.rounds)),
            ("roundSeconds", terms.round_seconds > 0),
            ("closeSeconds", terms.close_seconds > 0),
            ("enrolUntil", terms.enrol_until > now),
            (
                "finishBy",
                terms.finish_by > terms.enrol_until && terms.finish_by.0 <= now.0 + LONGEST_STUDY,
            ),
            ("memberCapPpm", terms.member_cap > Ppm::ZERO),
            ("invited", terms.invited.len() <= MEMBERS_MAX),
        ];
        for (field, holds) in fields {
            check(holds, || refused("InvalidTerms", format_args!("field: {field}")))?;
        }
        let state = StudyState {
            phase: Phase::Enrolling,
            sponsor,
            coordinator: terms.coordinator,
            token: terms.token,
            budget: terms.budget,
            bond: terms.bond,
            purpose: terms.purpose,
            terms: terms.terms,
            round: Round(0),
            round_open: false,
            closed_rounds: 0,
            rounds: terms.rounds,
            committed: 0,
            commit_by: UnixSeconds(0),
            close_by: UnixSeconds(0),
            min_members: terms.min_members,
            base_model: terms.base_model,
            result: None,
            member_cap: terms.member_cap,
            lineage_share: terms.lineage_share,
            epsilon_budget: terms.epsilon_budget,
            spent_epsilon: MicroEpsilon::ZERO,
            model: None,
            members: Vec::new(),
        };
        let study = Study {
            terms: terms.clone(),
            state,
            rounds: Vec::new(),
            finish: None,
            mask_setting: None,
            mask_rounds: Vec::new(),
            standing_setting: None,
            proposals: Vec::new(),
            budget_returned: false,
        };
        self.studies.push(study);
        Ok(StudyId(self.studies.len() as u64))
    }

    pub(super) fn join(
        &mut self,
        account: Address,
        study: StudyId,
        dataset: AssetId,
        now: UnixSeconds,
    ) -> Result<MemberIndex, LedgerError> {
        let found = self.study(study)?;
        found.phase(study, Phase::Enrolling)?;
        check(now < found.terms.enrol_until, || {
            too_late(now, found.terms.enrol_until)
        })?;
        let invited = &found.terms.invited;
        check(invited.is_empty() || invited.contains(&account), || {
            refused("NotInvited", format_args!("study: {study}, account: {account}"))
        })?;
        let owner = self.datasets.get(&dataset).map(|known| known.owner);
        check(owner == Some(account), || {
            refused(
                "NotDatasetOwner",
                format_args!("dataset: {dataset}, account: {account}"),
            )
        })?;
        let members = &found.state.members;
        check(members.iter().all(|member| member.dataset != dataset), || {
            refused(
                "DatasetAlreadyMember",
                format_args!("study: {study}, dataset: {dataset}"),
            )
        })?;
        let limit = found.terms.max_members;
        check(members.len() < usize::from(limit), || {
            refused("StudyFull", format_args!("study: {study}, limit: {limit}"))
        })?;
        let consent_epoch = self.require_consent(dataset, found.state.purpose, now)?;
        let members = &mut self.study_mut(study)?.state.members;
        let index = MemberIndex(members.len() as u8);
        members.push(MemberState {
            account,
            dataset,
            consent_epoch,
            survived: 0,
            contribution: Ppm::ZERO,
            reward: Amount::ZERO,
            claimed: false,
        });
        Ok(index)
    }

    pub(super) fn start(
        &mut self,
        account: Address,
        study: StudyId,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        found.phase(study, Phase::Enrolling)?;
        check(
            account == found.state.coordinator || now >= found.terms.enrol_until,
            || too_early(now, found.terms.enrol_until),
        )?;
        let (count, needed) = (found.state.members.len(), found.state.min_members);
        check(count >= usize::from(needed), || {
            refused("TooFewMembers", format_args!("count: {count}, needed: {needed}"))
        })?;
        found.state.phase = Phase::Running;
        Ok(())
    }

    pub(super) fn open_round(
        &mut self,
        account: Address,
        study: StudyId,
        base: ContentDigest,
        now: UnixSeconds,
    ) -> Result<Round, LedgerError> {
        let found = self.study_mut(study)?;
        found.phase(study, Phase::Running)?;
        found.coordinator(study, account)?;
        check(now < found.terms.finish_by, || {
            too_late(now, found.terms.finish_by)
        })?;
        let state = &mut found.state;
        check(!state.round_open, || {
            refused(
                "RoundStillOpen",
                format_args!("study: {study}, round: {}", state.round),
            )
        })?;
        check(state.closed_rounds < state.rounds, || {
            refused(
                "AllRoundsClosed",
                format_args!("study: {study}, rounds: {}", state.rounds),
            )
        })?;
        check(base != ContentDigest([0; 32]), || refused("DigestMissing", ""))?;
        check(state.result.is_none_or(|result| result == base), || {
            let expected = state.result.unwrap_or(base);
            refused("BaseMismatch", format_args!("expected: {expected}, got: {base}"))
        })?;
        state.round = Round(state.closed_rounds + 1);
        state.round_open = true;
        state.committed = 0;
        state.commit_by = UnixSeconds(now.0 + u64::from(found.terms.round_seconds));
        state.close_by = UnixSeconds(state.commit_by.0 + u64::from(found.terms.close_seconds));
        found.rounds.retain(|record| record.round != state.round);
        found.rounds.push(RoundRecord {
            round: state.round,
            base,
            opened_at: now,
            commitments: Vec::new(),
            closed: None,
        });
        let (round, commit_by) = (state.round, state.commit_by);
        found.open_masking(round, commit_by);
        Ok(round)
    }

    pub(super) fn commit_update(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        update: ContentDigest,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.study(study)?;
        found.phase(study, Phase::Running)?;
        found.open_round_is(study, round)?;
        let state = &found.state;
        check(now <= state.commit_by, || too_late(now, state.commit_by))?;
        let joined = state.members.get(usize::from(member.0));
        let Some(joined) = joined.filter(|joined| joined.account == account) else {
            let values = format!("study: {study}, member: {member}, caller: {account}");
            return Err(refused("NotMember", values));
        };
        check(update != ContentDigest([0; 32]), || refused("DigestMissing", ""))?;
        check(!MemberSet(state.committed).contains(member), || {
            refused(
                "AlreadyCommitted",
                format_args!("study: {study}, round: {round}, member: {member}"),
            )
        })?;
        self.require_consent(joined.dataset, state.purpose, now)?;
        let found = self.study_mut(study)?;
        found.state.committed |= 1 << member.0;
        if let Some(record) = found.rounds.last_mut() {
            record.commitments.push((member, update));
        }
        Ok(())
    }

    pub(super) fn close_round(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        (survivors, result, spent): (u64, ContentDigest, MicroEpsilon),
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        found.phase(study, Phase::Running)?;
        found.coordinator(study, account)?;
        found.open_round_is(study, round)?;
        let state = &mut found.state;
        check(now <= state.close_by, || too_late(now, state.close_by))?;
        check(result != ContentDigest([0; 32]), || refused("DigestMissing", ""))?;
        check(MemberSet(survivors).is_subset(MemberSet(state.committed)), || {
            refused(
                "SurvivorsNotCommitted",
                format_args!("survivors: {survivors}, committed: {}", state.committed),
            )
        })?;
        let (count, needed) = (MemberSet(survivors).len(), state.min_members);
        check(count >= usize::from(needed), || {
            refused("TooFewMembers", format_args!("count: {count}, needed: {needed}"))
        })?;
        let before = state.spent_epsilon;
        check(spent >= before, || {
            refused(
                "SpentEpsilonFell",
                format_args!("before: {}, given: {}", before.0, spent.0),
            )
        })?;
        let budget = state.epsilon_budget;
        check(budget.is_none_or(|budget| spent <= budget), || {
            let budget = budget.unwrap_or_default();
            refused(
                "EpsilonBudgetExceeded",
                format_args!("budget: {}, spent: {}", budget.0, spent.0),
            )
        })?;
        state.spent_epsilon = spent;
        for member in MemberSet(survivors).iter() {
            state.members[usize::from(member.0)].survived += 1;
        }
        state.closed_rounds += 1;
        state.result = Some(result);
        found.no_open_round();
        if let Some(record) = found.rounds.last_mut() {
            record.closed = Some(RoundClosing {
                survivors,
                result,
                spent,
                closed_at: now,
            });
        }
        Ok(())
    }

    pub(super) fn expire_round(&mut self, study: StudyId, now: UnixSeconds) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        found.phase(study, Phase::Running)?;
        let state = &found.state;
        check(state.round_open, || {
            refused("RoundNotOpen", format_args!("study: {study}"))
        })?;
        check(now > state.close_by, || {
            too_early(now, UnixSeconds(state.close_by.0 + 1))
        })?;
        found.no_open_round();
        Ok(())
    }

    pub(super) fn finish(
        &mut self,
        account: Address,
        study: StudyId,
        contributions: &[Ppm],
        evidence: ContentDigest,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        found.phase(study, Phase::Running)?;
        found.coordinator(study, account)?;
        let state = &mut found.state;
        let ends_early =
            state.epsilon_budget.is_some() && state.spent_epsilon > MicroEpsilon::ZERO && !state.round_open;
        check(state.closed_rounds == state.rounds || ends_early, || {
            refused(
                "RoundsRemain",
                format_args!(
                    "study: {study}, closed: {}, rounds: {}",
                    state.closed_rounds, state.rounds
                ),
            )
        })?;
        check(contributions.len() == state.members.len(), || {
            refused(
                "ContributionsMismatch",
                format_args!("count: {}, members: {}", contributions.len(), state.members.len()),
            )
        })?;
        let sum: u64 = contributions
            .iter()
            .map(|share| u64::from(share.millionths()))
            .sum();
        check(sum <= u64::from(Ppm::WHOLE.millionths()), || {
            refused("ContributionsExceedWhole", format_args!("sumPpm: {sum}"))
        })?;
        check(evidence != ContentDigest([0; 32]), || {
            refused("DigestMissing", "")
        })?;
        for (member, &contribution) in state.members.iter_mut().zip(contributions) {
            member.contribution = contribution;
            member.reward = contribution.min(state.member_cap).of(state.budget);
        }
        state.phase = Phase::Finished;
        found.finish = Some(FinishRecord {
            result: state.result.unwrap_or(ContentDigest([0; 32])),
            evidence,
            contributions: state
                .members
                .iter()
                .map(|member| (member.contribution, member.reward))
                .collect(),
        });
        Ok(())
    }

    pub(super) fn cancel(
        &mut self,
        account: Address,
        study: StudyId,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        found.phase(study, Phase::Enrolling)?;
        if account != found.state.sponsor {
            check(now >= found.terms.enrol_until, || {
                too_early(now, found.terms.enrol_until)
            })?;
            let (count, needed) = (found.state.members.len(), found.state.min_members);
            check(count < usize::from(needed), || {
                refused("EnoughMembers", format_args!("count: {count}, needed: {needed}"))
            })?;
        }
        found.state.phase = Phase::Cancelled;
        Ok(())
    }

    pub(super) fn abandon(&mut self, study: StudyId, now: UnixSeconds) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        found.phase(study, Phase::Running)?;
        check(now >= found.terms.finish_by, || {
            too_early(now, found.terms.finish_by)
        })?;
        let state = &mut found.state;
        let parts = u128::from(state.rounds) * state.members.len() as u128;
        for member in &mut state.members {
            // The contract multiplies in 256 bits; here a budget that would overflow is divided first.
            let survived = u128::from(member.survived);
            let part = match state.budget.0.checked_mul(survived) {
                Some(product) => product / parts.max(1),
                None => state.budget.0 / parts.max(1) * survived,
            };
            member.reward = Amount(part.min(state.member_cap.of(state.budget).0));
        }
        state.phase = Phase::Abandoned;
        found.no_open_round();
        Ok(())
    }

    pub(super) fn claim(&mut self, study: StudyId, member: MemberIndex) -> Result<Amount, LedgerError> {
        let found = self.study_mut(study)?;
        found.ended(study)?;
        let bond = found.state.bond;
        let joined = found
            .state
            .members
            .get_mut(usize::from(member.0))
            .ok_or_else(|| refused("UnknownMember", format_args!("study: {study}, member: {member}")))?;
        check(!joined.claimed, || {
            refused("AlreadyClaimed", format_args!("study: {study}, member: {member}"))
        })?;
        joined.claimed = true;
        Ok(joined.reward.checked_add(bond).unwrap_or(joined.reward))
    }

    pub(super) fn return_budget(&mut self, study: StudyId) -> Result<Amount, LedgerError> {
        let found = self.study_mut(study)?;
        found.ended(study)?;
        let earned: u128 = found.state.members.iter().map(|member| member.reward.0).sum();
        let rest = found.state.budget.0.saturating_sub(earned);
        check(!found.budget_returned && rest > 0, || {
            refused("NothingToClaim", format_args!("study: {study}"))
        })?;
        found.budget_returned = true;
        Ok(Amount(rest))
    }
}

impl Study {
    fn no_open_round(&mut self) {
        let state = &mut self.state;
        state.round_open = false;
        state.round = Round(state.closed_rounds);
        state.committed = 0;
        (state.commit_by, state.close_by) = (UnixSeconds(0), UnixSeconds(0));
    }

    fn phase(&self, study: StudyId, expected: Phase) -> Result<(), LedgerError> {
        let phase = self.state.phase;
        check(phase == expected, || {
            refused("WrongPhase", format_args!("study: {study}, phase: {phase:?}"))
        })
    }

    fn ended(&self, study: StudyId) -> Result<(), LedgerError> {
        let phase = self.state.phase;
        check(!matches!(phase, Phase::Enrolling | Phase::Running), || {
            refused("WrongPhase", format_args!("study: {study}, phase: {phase:?}"))
        })
    }

    fn coordinator(&self, study: StudyId, account: Address) -> Result<(), LedgerError> {
        check(account == self.state.coordinator, || {
            refused(
                "NotCoordinator",
                format_args!("study: {study}, caller: {account}"),
            )
        })
    }

    fn open_round_is(&self, study: StudyId, round: Round) -> Result<(), LedgerError> {
        check(self.state.round_open, || {
            refused("RoundNotOpen", format_args!("study: {study}"))
        })?;
        check(round == self.state.round, || {
            refused(
                "WrongRound",
                format_args!("study: {study}, round: {round}, current: {}", self.state.round),
            )
        })
    }
}

fn too_late(now: UnixSeconds, deadline: UnixSeconds) -> LedgerError {
    refused(
        "TooLate",
        format_args!("nowSeconds: {}, deadline: {}", now.0, deadline.0),
    )
}

fn too_early(now: UnixSeconds, not_before: UnixSeconds) -> LedgerError {
    refused(
        "TooEarly",
        format_args!("nowSeconds: {}, notBefore: {}", now.0, not_before.0),
    )
}
