//! Studies, kept by `TrainingRounds`.

use alloy_primitives::B256;
use alloy_sol_types::SolEvent as _;
use counterweight_federated::ledger::masking::{MaskLedger, MaskReader};
use counterweight_federated::ledger::standing::{StandingLedger, StandingReader};
use counterweight_federated::ledger::{
    FinishRecord, LedgerError, MemberState, Phase, RoundClosing, RoundRecord, StudyLedger, StudyReader,
    StudyState, StudyTerms,
};
use counterweight_federated::privacy::MicroEpsilon;
use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, StudyId, UnixSeconds,
};

use super::{ContractLedger, Failure, decode, is, topic};
use crate::address::{from_evm, to_evm};
use crate::contracts::ITrainingRounds;

/// What to register as the model of a finished study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPublication {
    /// Digest of its bytes.
    pub content: ContentDigest,
    /// Digest of its canonical manifest.
    pub manifest: ContentDigest,
    /// The version it replaces.
    pub previous: Option<AssetId>,
    /// ERC-2981 royalty on resale of the token, in ten-thousandths.
    pub resale_royalty_bps: u16,
    /// Where the manifest may be found.
    pub uri: String,
}

/// What to register as the collection of eight members' datasets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionPublication {
    /// Members `8 * group` to `8 * group + 7`.
    pub group: u8,
    /// Digest of its canonical manifest.
    pub manifest: ContentDigest,
    /// Where the manifest may be found.
    pub uri: String,
}

impl<S> ContractLedger<S> {
    /// How many studies were opened: their numbers go from 1 to this.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn study_count(&self) -> Result<u64, LedgerError> {
        Ok(self.ask(
            self.deployment.training_rounds,
            &ITrainingRounds::studyCountCall {},
        )?)
    }

    /// The collections published for a study, with the group of members that each stands for.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn collections(&self, study: StudyId) -> Result<Vec<(u8, AssetId)>, LedgerError> {
        type Event = ITrainingRounds::CollectionPublished;
        let contract = self.deployment.training_rounds;
        let logs = self.events(contract, &[Event::SIGNATURE_HASH], Some(topic(study.0)))?;
        let read = |log| {
            let event: Event = decode(log)?;
            Ok((event.group, AssetId(event.asset)))
        };
        logs.iter().map(read).collect()
    }

    fn member(&self, study: StudyId, index: u8) -> Result<MemberState, Failure> {
        let rounds = self.deployment.training_rounds;
        let member = self.ask(
            rounds,
            &ITrainingRounds::memberCall {
                studyId: study.0,
                memberIndex: index,
            },
        )?;
        let reward = self.ask(
            rounds,
            &ITrainingRounds::rewardOfCall {
                studyId: study.0,
                memberIndex: index,
            },
        )?;
        Ok(MemberState {
            account: from_evm(member.account),
            dataset: AssetId(member.dataset),
            consent_epoch: member.consentEpoch,
            survived: member.survived,
            contribution: share(member.contributionPpm)?,
            reward: Amount(reward),
            claimed: member.claimed,
        })
    }

    fn study_events(
        &self,
        study: StudyId,
        signatures: &[B256],
    ) -> Result<Vec<crate::network::EventLog>, Failure> {
        self.events(self.deployment.training_rounds, signatures, Some(topic(study.0)))
    }
}

fn share(millionths: u32) -> Result<Ppm, Failure> {
    Ppm::new(millionths).map_err(|e| Failure::malformed(e.to_string()))
}

fn digest(word: B256) -> ContentDigest {
    ContentDigest(word.0)
}

fn asset(id: u64) -> Option<AssetId> {
    (id != 0).then_some(AssetId(id))
}

fn phase(phase: ITrainingRounds::Phase) -> Result<Phase, Failure> {
    match phase {
        ITrainingRounds::Phase::Enrolling => Ok(Phase::Enrolling),
        ITrainingRounds::Phase::Running => Ok(Phase::Running),
        ITrainingRounds::Phase::Finished => Ok(Phase::Finished),
        ITrainingRounds::Phase::Cancelled => Ok(Phase::Cancelled),
        ITrainingRounds::Phase::Abandoned => Ok(Phase::Abandoned),
        other => Err(Failure::malformed(format!(
            "phase {other:?} of a study that exists"
        ))),
    }
}

impl<S> StudyReader for ContractLedger<S> {
    fn study(&self, study: StudyId) -> Result<StudyState, LedgerError> {
        let state = self.ask(
            self.deployment.training_rounds,
            &ITrainingRounds::studyCall { studyId: study.0 },
        )?;
        let members = (0..state.memberCount)
            .map(|index| self.member(study, index))
            .collect::<Result<_, _>>()?;
        Ok(StudyState {
            phase: phase(state.phase)?,
            sponsor: from_evm(state.sponsor),
            coordinator: from_evm(state.coordinator),
            token: from_evm(state.token),
            budget: Amount(state.budget),
            bond: Amount(state.bond),
            purpose: PurposeIndex(state.purpose),
            terms: digest(state.termsDigest),
            round: Round(state.round),
            round_open: state.roundOpen,
            closed_rounds: state.closedRounds,
            rounds: state.rounds,
            committed: state.committed,
            commit_by: UnixSeconds(state.commitBy),
            close_by: UnixSeconds(state.closeBy),
            min_members: state.minMembers,
            base_model: asset(state.baseModel),
            result: (!state.result.is_zero()).then_some(digest(state.result)),
            member_cap: share(state.memberCapPpm)?,
            lineage_share: share(state.lineageSharePpm)?,
            epsilon_budget: (state.epsilonBudget != 0).then_some(MicroEpsilon(state.epsilonBudget)),
            spent_epsilon: MicroEpsilon(state.spentEpsilon),
            model: asset(state.model),
            members,
        })
    }

    fn rounds(&self, study: StudyId) -> Result<Vec<RoundRecord>, LedgerError> {
        let signatures = [
            ITrainingRounds::RoundOpened::SIGNATURE_HASH,
            ITrainingRounds::UpdateCommitted::SIGNATURE_HASH,
            ITrainingRounds::RoundClosed::SIGNATURE_HASH,
        ];
        let mut times = self.times();
        let mut rounds: Vec<RoundRecord> = Vec::new();
        for log in &self.study_events(study, &signatures)? {
            if is::<ITrainingRounds::RoundOpened>(log) {
                let event: ITrainingRounds::RoundOpened = decode(log)?;
                // Opened again after it expired: what was committed before counts for nothing.
                rounds.pop_if(|last| last.round.0 == event.round);
                rounds.push(RoundRecord {
                    round: Round(event.round),
                    base: digest(event.base),
                    opened_at: times.of(log)?,
                    commitments: Vec::new(),
                    closed: None,
                });
            } else if is::<ITrainingRounds::UpdateCommitted>(log) {
                let event: ITrainingRounds::UpdateCommitted = decode(log)?;
                let commitment = (MemberIndex(event.member), digest(event.update));
                opened(&mut rounds, event.round)?.commitments.push(commitment);
            } else {
                let event: ITrainingRounds::RoundClosed = decode(log)?;
                let closing = RoundClosing {
                    survivors: event.survivors,
                    result: digest(event.result),
                    spent: MicroEpsilon(event.spentEpsilon),
                    closed_at: times.of(log)?,
                };
                opened(&mut rounds, event.round)?.closed = Some(closing);
            }
        }
        for (round, number) in rounds.iter().zip(1..) {
            if round.round.0 != number {
                let what = format!(
                    "study {study}: round {} was opened after round {}",
                    round.round,
                    number - 1
                );
                return Err(LedgerError::Malformed { what });
            }
        }
        Ok(rounds)
    }

    fn finish_record(&self, study: StudyId) -> Result<Option<FinishRecord>, LedgerError> {
        let signatures = [
            ITrainingRounds::StudyFinished::SIGNATURE_HASH,
            ITrainingRounds::ContributionRecorded::SIGNATURE_HASH,
        ];
        let mut finished = None;
        let mut contributions = Vec::new();
        for log in &self.study_events(study, &signatures)? {
            if is::<ITrainingRounds::StudyFinished>(log) {
                finished = Some(decode::<ITrainingRounds::StudyFinished>(log)?);
            } else {
                let event: ITrainingRounds::ContributionRecorded = decode(log)?;
                if usize::from(event.member) != contributions.len() {
                    let what = format!(
                        "study {study}: contribution of member {} out of order",
                        event.member
                    );
                    return Err(LedgerError::Malformed { what });
                }
                contributions.push((share(event.contributionPpm)?, Amount(event.reward)));
            }
        }
        Ok(finished.map(|event| FinishRecord {
            result: digest(event.result),
            evidence: digest(event.evidence),
            contributions,
        }))
    }

    fn now(&self) -> Result<UnixSeconds, LedgerError> {
        let head = self.network.head().map_err(Failure::from)?;
        Ok(UnixSeconds(head.timestamp))
    }

    fn mask_reader(&self) -> Option<&dyn MaskReader> {
        self.deployment.masked_rounds.map(|_| self as &dyn MaskReader)
    }

    fn standing_reader(&self) -> Option<&dyn StandingReader> {
        self.deployment
            .member_standing
            .map(|_| self as &dyn StandingReader)
    }
}

fn opened(rounds: &mut [RoundRecord], number: u32) -> Result<&mut RoundRecord, Failure> {
    rounds
        .last_mut()
        .filter(|round| round.round.0 == number)
        .ok_or_else(|| Failure::malformed(format!("an event of round {number}, which is not open")))
}

impl StudyLedger for ContractLedger {
    fn account(&self) -> Address {
        Self::account(self)
    }

    fn masking(&self) -> Option<&dyn MaskLedger> {
        self.deployment.masked_rounds.map(|_| self as &dyn MaskLedger)
    }

    fn standing(&self) -> Option<&dyn StandingLedger> {
        self.deployment
            .member_standing
            .map(|_| self as &dyn StandingLedger)
    }

    fn open_study(&self, terms: &StudyTerms) -> Result<StudyId, LedgerError> {
        let rounds = self.deployment.training_rounds;
        self.approve(terms.token, rounds, terms.budget)?;
        let terms = ITrainingRounds::Terms {
            token: to_evm(terms.token),
            coordinator: to_evm(terms.coordinator),
            budget: terms.budget.0,
            bond: terms.bond.0,
            purpose: terms.purpose.0,
            baseModel: terms.base_model.map_or(0, |id| id.0),
            termsDigest: terms.terms.0.into(),
            minMembers: terms.min_members,
            maxMembers: terms.max_members,
            rounds: terms.rounds,
            roundSeconds: terms.round_seconds,
            closeSeconds: terms.close_seconds,
            enrolUntil: terms.enrol_until.0,
            finishBy: terms.finish_by.0,
            memberCapPpm: terms.member_cap.millionths(),
            lineageSharePpm: terms.lineage_share.millionths(),
            epsilonBudget: terms.epsilon_budget.map_or(0, |budget| budget.0),
            invited: terms.invited.iter().copied().map(to_evm).collect(),
        };
        let event: ITrainingRounds::StudyOpened =
            self.send_for(rounds, &ITrainingRounds::openCall { terms })?;
        Ok(StudyId(event.study))
    }

    fn join(&self, study: StudyId, dataset: AssetId) -> Result<MemberIndex, LedgerError> {
        let rounds = self.deployment.training_rounds;
        let terms = self.ask(rounds, &ITrainingRounds::studyCall { studyId: study.0 })?;
        self.approve(from_evm(terms.token), rounds, Amount(terms.bond))?;
        let call = ITrainingRounds::joinCall {
            studyId: study.0,
            dataset: dataset.0,
        };
        let event: ITrainingRounds::MemberJoined = self.send_for(rounds, &call)?;
        Ok(MemberIndex(event.member))
    }

    fn start(&self, study: StudyId) -> Result<(), LedgerError> {
        self.send_to_rounds(&ITrainingRounds::startCall { studyId: study.0 })
    }

    fn open_round(&self, study: StudyId, base: ContentDigest) -> Result<Round, LedgerError> {
        let call = ITrainingRounds::openRoundCall {
            studyId: study.0,
            base: base.0.into(),
        };
        let event: ITrainingRounds::RoundOpened = self.send_for(self.deployment.training_rounds, &call)?;
        Ok(Round(event.round))
    }

    fn commit_update(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        update: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.send_to_rounds(&ITrainingRounds::commitUpdateCall {
            studyId: study.0,
            round: round.0,
            memberIndex: member.0,
            update: update.0.into(),
        })
    }

    fn close_round(
        &self,
        study: StudyId,
        round: Round,
        survivors: u64,
        result: ContentDigest,
        spent: MicroEpsilon,
    ) -> Result<(), LedgerError> {
        let result = result.0.into();
        self.send_to_rounds(&ITrainingRounds::closeRoundCall {
            studyId: study.0,
            round: round.0,
            survivors,
            result,
            spentEpsilon: spent.0,
        })
    }

    fn expire_round(&self, study: StudyId) -> Result<(), LedgerError> {
        self.send_to_rounds(&ITrainingRounds::expireRoundCall { studyId: study.0 })
    }

    fn finish(
        &self,
        study: StudyId,
        contributions: &[Ppm],
        evidence: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.send_to_rounds(&ITrainingRounds::finishCall {
            studyId: study.0,
            contributionsPpm: contributions.iter().map(|share| share.millionths()).collect(),
            evidence: evidence.0.into(),
        })
    }

    fn abandon(&self, study: StudyId) -> Result<(), LedgerError> {
        self.send_to_rounds(&ITrainingRounds::abandonCall { studyId: study.0 })
    }

    fn claim(&self, study: StudyId, member: MemberIndex) -> Result<Amount, LedgerError> {
        let call = ITrainingRounds::claimCall {
            studyId: study.0,
            memberIndex: member.0,
        };
        let event: ITrainingRounds::Claimed = self.send_for(self.deployment.training_rounds, &call)?;
        let paid = Amount(event.reward).checked_add(Amount(event.bond));
        Ok(paid.ok_or_else(|| Failure::malformed("reward and bond exceed 2^128"))?)
    }

    fn return_budget(&self, study: StudyId) -> Result<Amount, LedgerError> {
        let call = ITrainingRounds::returnBudgetCall { studyId: study.0 };
        let event: ITrainingRounds::BudgetReturned = self.send_for(self.deployment.training_rounds, &call)?;
        Ok(Amount(event.amount))
    }
}

impl ContractLedger {
    /// Ends a study that has not started; everything goes back.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn cancel(&self, study: StudyId) -> Result<(), LedgerError> {
        self.send_to_rounds(&ITrainingRounds::cancelCall { studyId: study.0 })
    }

    /// Registers a collection of members' datasets, for studies of more than eight members.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn publish_collection(
        &self,
        study: StudyId,
        publication: &CollectionPublication,
    ) -> Result<AssetId, LedgerError> {
        let call = ITrainingRounds::publishCollectionCall {
            studyId: study.0,
            group: publication.group,
            manifestDigest: publication.manifest.0.into(),
            uri: publication.uri.clone(),
        };
        let event: ITrainingRounds::CollectionPublished =
            self.send_for(self.deployment.training_rounds, &call)?;
        Ok(AssetId(event.asset))
    }

    /// Registers the trained model, owned by the sponsor, with the contributors' datasets as its parents.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn publish_model(
        &self,
        study: StudyId,
        publication: &ModelPublication,
    ) -> Result<AssetId, LedgerError> {
        let call = ITrainingRounds::publishModelCall {
            studyId: study.0,
            contentDigest: publication.content.0.into(),
            manifestDigest: publication.manifest.0.into(),
            previous: publication.previous.map_or(0, |id| id.0),
            resaleRoyaltyBps: publication.resale_royalty_bps,
            uri: publication.uri.clone(),
        };
        let event: ITrainingRounds::ModelPublished = self.send_for(self.deployment.training_rounds, &call)?;
        Ok(AssetId(event.model))
    }

    fn send_to_rounds<C: alloy_sol_types::SolCall>(&self, call: &C) -> Result<(), LedgerError> {
        self.send(self.deployment.training_rounds, call)?;
        Ok(())
    }
}
