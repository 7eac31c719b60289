//! Looks after the bond behind a masked study's sums.
//!
//! Whoever posted sums must show any block of them that is demanded, until the time to dispute them is over; then the bond is
//! there to be taken back. A [`SumGuard`] does both, one [`look`](SumGuard::look) after the other. It keeps nothing: what is to be done
//! is on the chain, and what it is done with among the blobs, so one that is killed is started again, and two do not harm each
//! other. Rules: `docs/spec/masked-rounds.md`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use counterweight_federated::blobs::Blobs;
use counterweight_federated::ledger::masking::MaskReader as _;
use counterweight_federated::ledger::{LedgerError, StudyReader as _};
use counterweight_federated::masked::recompute::GroupRecords;
use counterweight_federated::masked::turn::DrawnGroup;
use counterweight_federated::masking::refutation::open_block;
use counterweight_federated::masking::roots::vector_root;
use counterweight_primitives::{Amount, Round, StudyId, UnixSeconds};

use crate::ledger::{BlockDemand, ContractLedger, SumBond};

/// Longest pause between two looks: a block or so on most chains.
const LOOK_AT_MOST: Duration = Duration::from_secs(12);

/// What a look came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardStep {
    /// A demanded block was shown.
    Shown {
        /// The round.
        round: Round,
        /// The group.
        group: u8,
        /// The block, counted from 0.
        number: u32,
    },
    /// A demand cannot be answered from what is kept here. Unless somebody else answers, the bond is lost with it.
    NotShown {
        /// The demand.
        demand: BlockDemand,
        /// Why not.
        why: Unanswerable,
    },
    /// The bond is back with who posted it.
    Released {
        /// How much.
        amount: Amount,
    },
}

/// Why a demanded block is not shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswerable {
    /// The records do not give a sum.
    #[error("the records here give no sum: {problem}")]
    NoSum {
        /// Why not.
        problem: String,
    },
    /// They give another one.
    #[error("the records here give another sum than the one that was posted")]
    OtherSum,
    /// It was not answered in time.
    #[error("the time to answer is over")]
    TooLate,
    /// The chain takes no answer.
    #[error("the chain takes no answer: {reason}")]
    Refused {
        /// In its words.
        reason: String,
    },
}

/// Why a look came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// There is nothing to look after.
    #[error("no bond stands behind the sums of study {study}")]
    NoBond {
        /// The study.
        study: StudyId,
    },
    /// The chain does not answer, or not as our contracts do.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What a guard saw and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardLook {
    /// The bond as it is now.
    pub bond: SumBond,
    /// What was done, in order.
    pub steps: Vec<GuardStep>,
    /// The chain's time.
    pub now: UnixSeconds,
}

/// Looks after one study's bond.
pub struct SumGuard {
    ledger: ContractLedger,
    blobs: Arc<dyn Blobs>,
    study: StudyId,
}

impl SumGuard {
    /// Answers and takes back with the account of `ledger`, whoever posted the bond: the contract pays who did.
    #[must_use]
    pub fn new(ledger: ContractLedger, blobs: Arc<dyn Blobs>, study: StudyId) -> Self {
        Self { ledger, blobs, study }
    }

    /// Shows what is demanded, and takes the bond back if it is free at `now`, the guard's own clock: a chain without new
    /// blocks stands still, and its next block will not.
    ///
    /// # Errors
    /// [`GuardError`]. Steps that were taken before stay taken; the next look goes on.
    pub fn look(&self, now: UnixSeconds) -> Result<GuardLook, GuardError> {
        let mut steps = Vec::new();
        let mut bond = self.bond()?;
        if bond.open_demands > 0 {
            self.answer_demands(&mut steps)?;
            bond = self.bond()?;
        }
        let chain = self.ledger.now()?;
        if bond.is_free(now.max(chain)) {
            match self.ledger.release_mask_bond(self.study) {
                Ok(()) => steps.push(GuardStep::Released { amount: bond.amount }),
                // The chain's clock is behind, a demand was faster, or another guard was: seen at the next look.
                Err(LedgerError::Refused { name, .. }) if name == "BondHeld" => {}
                Err(error) => return Err(error.into()),
            }
            bond = self.bond()?;
        }
        Ok(GuardLook {
            bond,
            steps,
            now: chain,
        })
    }

    /// How long until the next look at the latest: a demand then has most of its time left.
    #[must_use]
    pub fn pause(bond: &SumBond) -> Duration {
        let share = Duration::from_secs(bond.dispute_seconds.into()) / 8;
        share.clamp(Duration::from_millis(100), LOOK_AT_MOST)
    }

    fn bond(&self) -> Result<SumBond, GuardError> {
        let study = self.study;
        self.ledger.sum_bond(study)?.ok_or(GuardError::NoBond { study })
    }

    fn answer_demands(&self, steps: &mut Vec<GuardStep>) -> Result<(), GuardError> {
        let mut open: BTreeMap<(Round, u8), Vec<BlockDemand>> = BTreeMap::new();
        let demands = self.ledger.block_demands(self.study)?;
        for demand in demands.into_iter().filter(|demand| demand.open) {
            open.entry((demand.round, demand.group)).or_default().push(demand);
        }
        // Those that end first are answered first; the sum of a group is made once for all demands of it.
        let mut open: Vec<_> = open.into_values().collect();
        open.sort_by_key(|demands| demands.iter().map(|demand| demand.answer_by).min());
        for demands in open {
            self.answer_group(&demands, steps)?;
        }
        Ok(())
    }

    fn answer_group(&self, demands: &[BlockDemand], steps: &mut Vec<GuardStep>) -> Result<(), GuardError> {
        let Some(first) = demands.first() else {
            return Ok(());
        };
        let record = self.ledger.mask_round(self.study, first.round)?;
        let record = record.ok_or_else(|| LedgerError::Malformed {
            what: format!(
                "a demand for a sum of round {}, which was not opened",
                first.round
            ),
        })?;
        let sum = self.sum(&record, first.group)?;
        for demand in demands {
            let index = usize::from(demand.group);
            let shown = match &sum {
                Err(why) => Err(why.clone()),
                Ok(_) if self.ledger.now()? > demand.answer_by => Err(Unanswerable::TooLate),
                Ok(sum) => {
                    let block = open_block(sum, demand.number);
                    let sent = self
                        .ledger
                        .answer_block(self.study, &record, index, demand.number, &block);
                    match sent {
                        Ok(()) => Ok(true),
                        // Anyone may answer, and somebody did.
                        Err(LedgerError::Refused { name, .. }) if name == "WrongDemand" => Ok(false),
                        Err(LedgerError::Refused { name, .. }) if name == "WrongTime" => {
                            Err(Unanswerable::TooLate)
                        }
                        Err(LedgerError::Refused { reason, .. }) => Err(Unanswerable::Refused { reason }),
                        Err(error) => return Err(error.into()),
                    }
                }
            };
            match shown {
                Ok(true) => steps.push(GuardStep::Shown {
                    round: demand.round,
                    group: demand.group,
                    number: demand.number,
                }),
                Ok(false) => {}
                Err(why) => steps.push(GuardStep::NotShown {
                    demand: demand.clone(),
                    why,
                }),
            }
        }
        Ok(())
    }

    /// The sum that a group's records give, if it is the posted one.
    fn sum(
        &self,
        record: &counterweight_federated::ledger::masking::MaskRound,
        group: u8,
    ) -> Result<Result<Vec<i32>, Unanswerable>, GuardError> {
        let (study, round) = (self.study, record.round);
        let setting = self
            .ledger
            .mask_setting(study)?
            .ok_or(GuardError::NoBond { study })?;
        let domain = self.ledger.mask_domain()?;
        let no_sum = |problem: String| Ok(Err(Unanswerable::NoSum { problem }));
        let groups = match DrawnGroup::of_round(study, record, &setting, &domain) {
            Ok(groups) => groups,
            Err(error) => return no_sum(error.to_string()),
        };
        let posted = record.sums.as_ref();
        let posted = posted.and_then(|sums| sums.get(usize::from(group)).copied());
        let drawn = groups.iter().find(|drawn| drawn.index == group);
        let (Some(posted), Some(drawn), Some(survivors)) = (posted, drawn, record.survivors) else {
            return no_sum(format!("round {round} has no sum of group {group}"));
        };
        let rounds = self.ledger.rounds(study)?;
        let committed = rounds.iter().find(|other| other.round == round);
        let committed = committed.map_or(&[][..], |round| &round.commitments);
        let records = GroupRecords::read(drawn, record, committed, survivors, &self.blobs);
        let sum = match records.sum(&drawn.group) {
            Ok(sum) => sum,
            Err(problem) => {
                let faults = records
                    .faults
                    .iter()
                    .map(|(by, fault)| format!("; member {by}: {fault}"));
                return no_sum(faults.fold(problem.to_string(), |text, fault| text + &fault));
            }
        };
        let words: Vec<u32> = sum.iter().map(|word| *word as u32).collect();
        Ok(match vector_root(&words) == posted {
            true => Ok(sum),
            false => Err(Unanswerable::OtherSum),
        })
    }
}
