//! Disputes of the sums of masked rounds, decided by `SumDisputes`.
//!
//! What refutes a sum is made from public records ([`counterweight_federated::masking::refutation`]); here it is sent, one
//! transaction for each secret and one for the block. Rules: `docs/spec/masked-rounds.md`.

use alloy_primitives::B256;
use alloy_sol_types::SolEvent as _;
use counterweight_federated::ledger::LedgerError;
use counterweight_federated::ledger::masking::{MaskDraw, MaskReader as _, MaskRound};
use counterweight_federated::masking::Place;
use counterweight_federated::masking::refutation::{OpenedBlock, OpenedSecret, Refutation};
use counterweight_primitives::{Address, Amount, MemberIndex, Round, Sha256Digest, StudyId, UnixSeconds};

use super::{ContractLedger, Failure, decode, is, topic};
use crate::address::{from_evm, to_evm};
use crate::contracts::{IMaskUser, IMaskedRounds, ISumDisputes as Contract};

/// How a sum was refuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SumRefuted {
    /// The wrong block, counted from 0.
    pub number: u32,
    /// What the challenger was paid.
    pub reward: Amount,
    /// What was burnt of the bond.
    pub burnt: Amount,
}

/// A demand to show a block of a posted sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDemand {
    /// The round.
    pub round: Round,
    /// The group.
    pub group: u8,
    /// The block, counted from 0.
    pub number: u32,
    /// Who demands it.
    pub challenger: Address,
    /// Last second to show it.
    pub answer_by: UnixSeconds,
    /// Whether it waits for an answer.
    pub open: bool,
    /// The block, if it was shown.
    pub shown: Option<OpenedBlock>,
}

impl<S> ContractLedger<S> {
    /// Every block of a study's sums that was ever demanded, in order.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn block_demands(&self, study: StudyId) -> Result<Vec<BlockDemand>, LedgerError> {
        let disputes = self.sum_disputes()?;
        let signatures = [
            Contract::BlockDemanded::SIGNATURE_HASH,
            Contract::BlockShown::SIGNATURE_HASH,
        ];
        let mut demands: Vec<BlockDemand> = Vec::new();
        for log in &self.events(disputes, &signatures, Some(topic(study.0)))? {
            if is::<Contract::BlockDemanded>(log) {
                let event: Contract::BlockDemanded = decode(log)?;
                let call = Contract::demandOfCall {
                    study: study.0,
                    round: event.round,
                    group: event.group,
                    number: event.number,
                };
                let state = self.ask(disputes, &call)?.state;
                demands.push(BlockDemand {
                    round: Round(event.round),
                    group: event.group,
                    number: event.number,
                    challenger: from_evm(event.challenger),
                    answer_by: UnixSeconds(event.answerBy),
                    open: state == Contract::DemandState::Open,
                    shown: None,
                });
            } else {
                let event: Contract::BlockShown = decode(log)?;
                let demanded = demands.iter_mut().find(|demand| {
                    (demand.round.0, demand.group, demand.number) == (event.round, event.group, event.number)
                });
                let demanded = demanded.ok_or_else(|| Failure::malformed("a block that nobody demanded"))?;
                let mut words = [0; 64];
                for (half, word) in words.chunks_exact_mut(32).zip(&event.words) {
                    half.copy_from_slice(word.as_slice());
                }
                demanded.shown = Some(OpenedBlock {
                    words,
                    path: event.path.iter().map(|hash| Sha256Digest(hash.0)).collect(),
                });
            }
        }
        Ok(demands)
    }

    /// `SumDisputes` of this deployment.
    pub(super) fn sum_disputes(&self) -> Result<Address, LedgerError> {
        Ok(from_evm(
            self.ask(self.masked_rounds()?, &IMaskUser::disputesCall {})?,
        ))
    }

    /// A group as it was recorded, with the hashes of all groups of its round.
    fn recorded_group(
        &self,
        study: StudyId,
        round: &MaskRound,
        index: usize,
    ) -> Result<Contract::Group, LedgerError> {
        let (Some(drawn), Some(sums)) = (&round.drawn, &round.sums) else {
            return Err(Failure::malformed("a round without groups or sums").into());
        };
        let disputes = self.sum_disputes()?;
        let mut hashes = Vec::new();
        for group in 0..drawn.groups.len() {
            let group = group_of(study, round, drawn, sums, group)?;
            hashes.push(self.ask(disputes, &Contract::hashOfCall { group })?);
        }
        let mut group = group_of(study, round, drawn, sums, index)?;
        group.groups = hashes;
        Ok(group)
    }

    fn is_open(&self, group: &Contract::Group, low: Place, high: Place) -> Result<bool, LedgerError> {
        let call = Contract::seedOfCall {
            context: group.context,
            low: place(low)?,
            high: place(high)?,
        };
        Ok(self.ask(self.sum_disputes()?, &call)? != B256::ZERO)
    }
}

impl ContractLedger {
    /// Demands that a block of a group's posted sum be shown; puts the deposit down, approving it first where needed.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    pub fn demand_block(
        &self,
        study: StudyId,
        round: &MaskRound,
        index: usize,
        number: u32,
    ) -> Result<UnixSeconds, LedgerError> {
        let disputes = self.sum_disputes()?;
        let deposit = self.ask(disputes, &Contract::depositOfCall { study: study.0 })?;
        if let Some(setting) = self.mask_setting(study)? {
            self.approve(setting.bond_token, disputes, Amount(deposit))?;
        }
        let call = Contract::demandCall {
            group: self.recorded_group(study, round, index)?,
            number,
        };
        let event: Contract::BlockDemanded = self.send_for(disputes, &call)?;
        Ok(UnixSeconds(event.answerBy))
    }

    /// Shows a demanded block of a group's posted sum.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn answer_block(
        &self,
        study: StudyId,
        round: &MaskRound,
        index: usize,
        number: u32,
        shown: &OpenedBlock,
    ) -> Result<(), LedgerError> {
        let call = Contract::answerCall {
            group: self.recorded_group(study, round, index)?,
            number,
            part: block(shown),
        };
        self.send(self.sum_disputes()?, &call)?;
        Ok(())
    }

    /// Refutes a sum by a demand that was not answered in time.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn settle_demand(&self, study: StudyId, demand: &BlockDemand) -> Result<(), LedgerError> {
        let call = Contract::settleCall {
            study: study.0,
            round: demand.round.0,
            group: demand.group,
            number: demand.number,
        };
        self.send(self.sum_disputes()?, &call)?;
        Ok(())
    }

    /// Opens what seeds are not open yet and refutes the posted sum of a group.
    ///
    /// # Errors
    /// [`LedgerError`]; what was opened until then stays open, and a second call goes on from there.
    pub fn refute_sum(
        &self,
        study: StudyId,
        round: &MaskRound,
        index: usize,
        refutation: &Refutation,
    ) -> Result<SumRefuted, LedgerError> {
        let disputes = self.sum_disputes()?;
        let group = self.recorded_group(study, round, index)?;
        for opened in &refutation.seeds {
            if !self.is_open(&group, opened.dealer, opened.dealer)? {
                let call = Contract::openSeedCall {
                    group: group.clone(),
                    secret: secret(opened)?,
                };
                self.send(disputes, &call)?;
            }
        }
        for opened in &refutation.keys {
            let mut closed = Vec::new();
            for survivor in &refutation.survivors {
                let (low, high) = (opened.dealer.min(*survivor), opened.dealer.max(*survivor));
                if !self.is_open(&group, low, high)? {
                    closed.push(place(*survivor)?);
                }
            }
            if !closed.is_empty() {
                let call = Contract::openPairsCall {
                    group: group.clone(),
                    secret: secret(opened)?,
                    survivors: closed,
                };
                self.send(disputes, &call)?;
            }
        }
        let call = Contract::disputeSumCall {
            group,
            number: refutation.number,
            posted: block(&refutation.posted),
            masked: refutation.masked.iter().map(block).collect(),
        };
        let inclusion = self.send(disputes, &call)?;
        let masks = to_evm(self.masked_rounds()?);
        let log = inclusion
            .logs
            .iter()
            .find(|log| log.address == masks && is::<IMaskedRounds::SumRefuted>(log))
            .ok_or_else(|| Failure::malformed("a dispute that logged no refutation"))?;
        let event: IMaskedRounds::SumRefuted = decode(log)?;
        Ok(SumRefuted {
            number: event.number,
            reward: Amount(event.reward),
            burnt: Amount(event.burnt),
        })
    }
}

fn group_of(
    study: StudyId,
    round: &MaskRound,
    drawn: &MaskDraw,
    sums: &[Sha256Digest],
    index: usize,
) -> Result<Contract::Group, Failure> {
    let unknown = || Failure::malformed(format!("round {} has no group {index}", round.round));
    let members = drawn.groups.get(index).ok_or_else(unknown)?;
    let survivors = round.survivors.unwrap_or_default();
    let found = |list: &[(MemberIndex, Sha256Digest)], member| {
        let root = list.iter().find(|(from, _)| *from == member);
        root.map_or(B256::ZERO, |(_, root)| root.0.into())
    };
    let dealt: Vec<_> = round
        .dealings
        .iter()
        .map(|one| (one.member, one.shares_root))
        .collect();
    let mut places = 0_u32;
    let mut seats = Vec::new();
    for (place, member) in members.iter().enumerate() {
        let key = round.announced.iter().find(|(from, _)| from == member);
        if survivors.contains(*member) {
            // A group has at most 31 members.
            places |= 1 << place;
        }
        seats.push(Contract::Seat {
            key: key.ok_or_else(unknown)?.1.0.into(),
            digestsRoot: found(&dealt, *member),
            uploadRoot: found(&round.uploads, *member),
        });
    }
    Ok(Contract::Group {
        study: study.0,
        round: round.round.0,
        index: u8::try_from(index).map_err(|_| unknown())?,
        commitBy: round.commit_by.0,
        context: drawn.contexts.get(index).ok_or_else(unknown)?.into(),
        survivors: places,
        sum: sums.get(index).ok_or_else(unknown)?.0.into(),
        seats,
        groups: Vec::new(),
    })
}

fn secret(opened: &OpenedSecret) -> Result<Contract::Secret, Failure> {
    let mut shares = Vec::new();
    for share in &opened.shares {
        shares.push(Contract::Share {
            place: place(share.place)?,
            share: share.share.into(),
            others: share.others.map(B256::from),
            path: path(&share.path),
        });
    }
    Ok(Contract::Secret {
        place: place(opened.dealer)?,
        points: opened.points.map(B256::from),
        path: path(&opened.path),
        shares,
    })
}

fn block(opened: &OpenedBlock) -> Contract::Block {
    let (words, _) = opened.words.as_chunks::<32>();
    let word = |index: usize| words.get(index).copied().unwrap_or_default().into();
    Contract::Block {
        words: [word(0), word(1)],
        path: path(&opened.path),
    }
}

fn path(hashes: &[Sha256Digest]) -> Vec<B256> {
    hashes.iter().map(|hash| hash.0.into()).collect()
}

fn place(place: Place) -> Result<u8, Failure> {
    u8::try_from(place.0).map_err(|_| Failure::malformed(format!("place {} is in no group", place.0)))
}
