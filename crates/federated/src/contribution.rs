//! What each member's updates were worth on the hold-out.
//!
//! Leave-one-out, round by round: a round is made again from the public updates with everyone and, for each survivor,
//! without it; its value is how much lower the hold-out loss is with it. Values add up over the rounds. A member's
//! contribution is the positive part of its total as a part of all positive totals, rounded down to a millionth and
//! capped.
//!
//! What a cap cuts off stays with the sponsor. Sharing it among the others would pay a member for another one's
//! excess and reward splitting into two identities.
//!
//! Stored form: `docs/spec/contribution-report.md`. Losses are exact to the bit on every machine, then rounded to
//! 10^-9, so the report is the same wherever it is made.

use counterweight_primitives::{
    CanonicalError, ContentDigest, MemberIndex, Ppm, Round, from_canonical_json, to_canonical_json,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    aggregate::WeightedSum,
    parameters::Parameters,
    rules::{RuleError, Survivors},
    scoring::{Participation, shares},
    server_optimiser::{ServerError, ServerOptimiser},
    study::{MOST_MEMBERS, Scoring},
    table::Dataset,
    training::{TrainingError, evaluate},
    update::CheckedUpdate,
};

/// Names the form and version of the report.
pub const SCHEMA: &str = "counterweight/contribution-report/v1";

/// Largest report read: 64 members in 10,000 rounds.
pub const MOST_BYTES: usize = 32 << 20;

/// Collects the value of each member over the rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Valuation {
    members: usize,
    rounds: Vec<RoundValue>,
    /// Where members are scored by it.
    participation: Option<Participation>,
}

/// Values of one round in units of 10^-9 of hold-out loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RoundValue {
    /// The round.
    pub round: Round,
    /// Hold-out loss after it.
    pub loss_nano: i64,
    /// For each survivor: loss without it minus loss with everyone.
    pub values: Vec<MemberValue>,
}

/// A member's value in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MemberValue {
    /// The member.
    pub member: MemberIndex,
    /// In units of 10^-9 of loss.
    pub value_nano: i64,
}

/// The contribution report: `docs/spec/contribution-report.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ContributionReport {
    /// Always `counterweight/contribution-report/v1`.
    pub schema: String,
    /// Digest of the hold-out file; of no bytes where there is none and each round survived counts the same.
    pub holdout: ContentDigest,
    /// Cap of one member.
    pub member_cap: Ppm,
    /// How members are told apart; left out where each round is made again without a member or group.
    #[serde(default, skip_serializing_if = "Scoring::is_default")]
    pub scoring: Scoring,
    /// Scored rounds without which a member contributes nothing; left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub vesting_rounds: u32,
    /// Each round's values, in order.
    pub rounds: Vec<RoundValue>,
    /// Sum of each member's values; by participation, what a round wins more with it.
    pub totals_nano: Vec<i64>,
    /// Each member's contribution, in the order of members.
    pub contributions: Vec<Ppm>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(rounds: &u32) -> bool {
    *rounds == 0
}

/// Why a value could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContributionError {
    /// The updates could not be combined.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The replayed step failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The hold-out does not fit the model.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// Two updates of one member in a round.
    #[error("two updates of member {member}")]
    Twice {
        /// The member.
        member: MemberIndex,
    },
    /// An update of a member that the study does not have.
    #[error("member {member} is none of the study's {members}, counted from 0")]
    UnknownMember {
        /// The member.
        member: MemberIndex,
        /// Members of the study.
        members: usize,
    },
    /// The report has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl Valuation {
    /// Before the first round of a study with so many members.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self {
            members,
            rounds: Vec::new(),
            participation: None,
        }
    }

    /// As [`Valuation::new`], of members that are told apart as a study's terms say.
    #[must_use]
    pub fn by(scoring: Scoring, members: usize) -> Self {
        let participation = match scoring {
            Scoring::LeaveOneOut => None,
            Scoring::Participation => Some(Participation::new(members)),
        };
        Self {
            participation,
            ..Self::new(members)
        }
    }

    /// Values one closed round, given where it started: parameters and server optimiser as they were before it, and
    /// what its updates gave together.
    ///
    /// # Errors
    /// [`ContributionError`].
    pub fn observe(
        &mut self,
        round: Round,
        base: &Parameters,
        optimiser: &ServerOptimiser,
        all: &Survivors<'_>,
        holdout: &Dataset,
    ) -> Result<&RoundValue, ContributionError> {
        let updates = all.updates();
        let mut seen = 0_u64;
        for update in updates {
            let member = update.get().member;
            if usize::from(member.0) >= self.members || member.0 >= MOST_MEMBERS {
                return Err(ContributionError::UnknownMember {
                    member,
                    members: self.members,
                });
            }
            if seen & 1 << member.0 != 0 {
                return Err(ContributionError::Twice { member });
            }
            seen |= 1 << member.0;
        }
        let loss_after = |sum: Option<&WeightedSum>| loss_after(base, optimiser, sum, holdout);
        let loss_nano = loss_after(Some(all.sum()))?;
        let mut values: Vec<MemberValue> = updates
            .par_iter()
            .enumerate()
            .map(|(index, update)| {
                let without = all.sum_without(index)?;
                Ok(MemberValue {
                    member: update.get().member,
                    value_nano: loss_after(without.as_ref())? - loss_nano,
                })
            })
            .collect::<Result<_, ContributionError>>()?;
        values.sort_unstable_by_key(|value| value.member);
        self.rounds.push(RoundValue {
            round,
            loss_nano,
            values,
        });
        Ok(self.rounds.last().expect("just pushed"))
    }

    /// Values one closed round of which only groups are known: a group's value is how much higher the loss is without it,
    /// and each of its members gets an equal part, towards zero.
    ///
    /// # Errors
    /// [`ContributionError`].
    #[expect(
        clippy::too_many_arguments,
        reason = "a round before and after, and each is used once"
    )]
    pub fn observe_groups(
        &mut self,
        round: Round,
        base: &Parameters,
        optimiser: &ServerOptimiser,
        all: &WeightedSum,
        groups: &[Vec<MemberIndex>],
        without: impl Fn(usize) -> Result<Option<WeightedSum>, RuleError> + Sync,
        holdout: &Dataset,
    ) -> Result<&RoundValue, ContributionError> {
        let members = self.members;
        let mut seen = 0_u64;
        for member in groups.iter().flatten().copied() {
            if usize::from(member.0) >= members || member.0 >= MOST_MEMBERS {
                return Err(ContributionError::UnknownMember { member, members });
            }
            if seen & 1 << member.0 != 0 {
                return Err(ContributionError::Twice { member });
            }
            seen |= 1 << member.0;
        }
        let loss_nano = loss_after(base, optimiser, Some(all), holdout)?;
        if let Some(participation) = &mut self.participation {
            let won_nano = loss_after(base, optimiser, None, holdout)? - loss_nano;
            let survivors = groups.iter().flatten();
            // Before the first turn there is no beacon, and everyone was asked: that round tells nobody from the others.
            if round.0 > 1 {
                participation.observe(survivors.clone().map(|member| member.0.into()), won_nano);
            }
            let won = |member: &MemberIndex| MemberValue {
                member: *member,
                value_nano: won_nano,
            };
            let mut values: Vec<MemberValue> = survivors.map(won).collect();
            values.sort_unstable_by_key(|value| value.member);
            self.rounds.push(RoundValue {
                round,
                loss_nano,
                values,
            });
            return Ok(self.rounds.last().expect("just pushed"));
        }
        let values = groups
            .par_iter()
            .enumerate()
            .map(|(index, group)| {
                let sum = without(index)?;
                let value = loss_after(base, optimiser, sum.as_ref(), holdout)? - loss_nano;
                let value_nano = value / i64::try_from(group.len().max(1)).unwrap_or(i64::MAX);
                let part = |member: &MemberIndex| MemberValue {
                    member: *member,
                    value_nano,
                };
                Ok(group.iter().map(part).collect::<Vec<_>>())
            })
            .collect::<Result<Vec<_>, ContributionError>>()?;
        let mut values = values.concat();
        values.sort_unstable_by_key(|value| value.member);
        self.rounds.push(RoundValue {
            round,
            loss_nano,
            values,
        });
        Ok(self.rounds.last().expect("just pushed"))
    }

    /// Counts one closed round of a study without a hold-out: every survivor is worth the same.
    pub fn count(&mut self, round: Round, updates: &[CheckedUpdate]) {
        self.count_members(round, updates.iter().map(|update| update.get().member));
    }

    /// As [`Valuation::count`], of members.
    pub fn count_members(&mut self, round: Round, survivors: impl IntoIterator<Item = MemberIndex>) {
        let mut values: Vec<MemberValue> = survivors
            .into_iter()
            .map(|member| MemberValue {
                member,
                value_nano: 1,
            })
            .filter(|value| usize::from(value.member.0) < self.members)
            .collect();
        values.sort_unstable_by_key(|value| value.member);
        self.rounds.push(RoundValue {
            round,
            loss_nano: 0,
            values,
        });
    }

    /// The report over all rounds observed; members that were scored in fewer rounds than it takes to vest contribute nothing.
    #[must_use]
    pub fn report(&self, holdout: ContentDigest, member_cap: Ppm, vesting_rounds: u32) -> ContributionReport {
        let totals = self.totals_nano();
        ContributionReport {
            schema: SCHEMA.to_owned(),
            holdout,
            member_cap,
            scoring: match self.participation {
                None => Scoring::LeaveOneOut,
                Some(_) => Scoring::Participation,
            },
            vesting_rounds,
            rounds: self.rounds.clone(),
            contributions: shares(&totals, &self.scored_rounds(), vesting_rounds, member_cap),
            totals_nano: totals,
        }
    }

    /// Rounds in which each member was scored.
    #[must_use]
    pub fn scored_rounds(&self) -> Vec<u32> {
        let mut scored = vec![0; self.members];
        for value in self.rounds.iter().flat_map(|round| &round.values) {
            scored[usize::from(value.member.0)] += 1;
        }
        scored
    }

    /// What contributions are made from: the sum of each member's values, or what rounds win more with it.
    #[must_use]
    pub fn totals_nano(&self) -> Vec<i64> {
        match &self.participation {
            Some(participation) => participation.values_nano().into_iter().map(whole).collect(),
            None => {
                let totals = self.sums_nano(self.rounds.len());
                totals.into_iter().map(|total| total.unwrap_or(0)).collect()
            }
        }
    }

    /// Each member's value as it is compared for exclusions: over the last so many rounds, or by participation over all of them;
    /// none where it was in none.
    #[must_use]
    pub fn compared_nano(&self, last: usize) -> Vec<Option<i64>> {
        let sums = self.sums_nano(last);
        match &self.participation {
            None => sums,
            Some(participation) => {
                let values = participation.values_nano().into_iter().map(whole);
                sums.into_iter()
                    .zip(values)
                    .map(|(there, value)| there.map(|_| value))
                    .collect()
            }
        }
    }

    fn sums_nano(&self, last: usize) -> Vec<Option<i64>> {
        let mut sums = vec![None; self.members];
        let rounds = &self.rounds[self.rounds.len().saturating_sub(last)..];
        for value in rounds.iter().flat_map(|round| &round.values) {
            let sum: &mut Option<i64> = &mut sums[usize::from(value.member.0)];
            *sum = Some(sum.unwrap_or(0).saturating_add(value.value_nano));
        }
        sums
    }
}

/// To the nearest integer, half to even, within what a canonical document can hold.
fn whole(value: f64) -> i64 {
    const MOST: f64 = (1_u64 << 53) as f64 - 1.0;
    value.round_ties_even().clamp(-MOST, MOST) as i64
}

/// The positive part of each total as a part of all of them, rounded down, at most the cap each.
pub(crate) fn contributions(totals_nano: &[i64], cap: Ppm) -> Vec<Ppm> {
    let positive = |total: &i64| u128::try_from(*total).unwrap_or(0);
    let whole: u128 = totals_nano.iter().map(positive).sum();
    totals_nano
        .iter()
        .map(|total| {
            let share = (positive(total) * u128::from(Ppm::WHOLE.millionths()))
                .checked_div(whole)
                .unwrap_or(0);
            let share = u32::try_from(share).ok().and_then(|share| Ppm::new(share).ok());
            share.expect("a part is at most the whole").min(cap)
        })
        .collect()
}

/// Hold-out loss after a step with a sum, or without a step where nobody is left to make one, in units of 10^-9.
pub(crate) fn loss_after(
    base: &Parameters,
    optimiser: &ServerOptimiser,
    sum: Option<&WeightedSum>,
    holdout: &Dataset,
) -> Result<i64, ContributionError> {
    let loss = match sum {
        None => evaluate(base, holdout)?.loss,
        Some(sum) => evaluate(&optimiser.clone().step(base, sum)?, holdout)?.loss,
    };
    Ok(nano(loss))
}

/// In units of 10^-9, half to even. A loss above 2^35 units, some 34 nats, counts as that: a hundred thousand rounds of
/// it still add up to an integer that a canonical document can hold.
pub(crate) fn nano(loss: f64) -> i64 {
    const MOST: f64 = (1_u64 << 35) as f64;
    let scaled = (loss * 1e9).round_ties_even();
    // A loss is never below zero; one of infinity or NaN counts as the largest.
    if scaled < MOST { scaled as i64 } else { MOST as i64 }
}

impl ContributionReport {
    /// Its canonical bytes: the evidence whose digest is recorded.
    ///
    /// # Errors
    /// [`ContributionError::Canonical`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, ContributionError> {
        Ok(to_canonical_json(self)?)
    }

    /// Reads the canonical bytes and no other form. Whether it is right, only recomputing shows.
    ///
    /// # Errors
    /// [`ContributionError::Canonical`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContributionError> {
        Ok(from_canonical_json(bytes, MOST_BYTES)?)
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::StudyId;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        architecture::Architecture,
        rules::RoundRule,
        server_optimiser::Aggregation,
        update::{Update, UpdateRules},
    };

    proptest! {
        #[test]
        fn contributions_are_at_most_the_whole_and_the_cap(
            totals in proptest::collection::vec(-(1_i64 << 53)..1 << 53, 0..64),
            cap in 0_u32..=1_000_000,
        ) {
            let cap = Ppm::new(cap).unwrap();
            let got = contributions(&totals, cap);
            prop_assert!(got.iter().map(|share| share.millionths()).sum::<u32>() <= 1_000_000);
            for (share, total) in got.iter().zip(&totals) {
                prop_assert!(*share <= cap);
                prop_assert!(*total > 0 || *share == Ppm::ZERO);
            }
        }
    }

    fn model(values: [f32; 2]) -> Parameters {
        Parameters::new(Architecture::logistic(1), values.to_vec()).unwrap()
    }

    fn update(member: u8, to: [f32; 2]) -> CheckedUpdate {
        let base = model([0.0; 2]);
        let rules = UpdateRules {
            study: StudyId(1),
            round: Round(1),
            base: base.digest(),
            coordinates: 2,
            clip: 10.0,
            most_examples: 100,
        };
        Update::of_training(&rules, MemberIndex(member), &base, &model(to), 10).unwrap()
    }

    fn holdout() -> Dataset {
        Dataset::new(1, vec![1.0, 2.0, -1.0, -2.0], vec![1, 1, 0, 0]).unwrap()
    }

    fn observe(updates: &[CheckedUpdate]) -> Result<ContributionReport, ContributionError> {
        let mut valuation = Valuation::new(3);
        let optimiser = ServerOptimiser::new(Aggregation::default(), 2);
        let all = RoundRule::mean(2).combine(updates)?;
        valuation.observe(Round(1), &model([0.0; 2]), &optimiser, &all, &holdout())?;
        Ok(valuation.report(ContentDigest::of(b"holdout"), Ppm::new(600_000).unwrap(), 0))
    }

    #[test]
    fn who_helps_is_paid_and_who_harms_is_not() {
        let report = observe(&[
            update(0, [0.0, 1.0]),
            update(2, [0.0, -1.0]),
            update(1, [0.0, 1.0]),
        ])
        .unwrap();
        let members: Vec<u8> = report.rounds[0]
            .values
            .iter()
            .map(|value| value.member.0)
            .collect();
        assert_eq!(members, [0, 1, 2]);
        assert_eq!(report.totals_nano[0], report.totals_nano[1]);
        assert!(report.totals_nano[0] > 0 && report.totals_nano[2] < 0);
        let shares: Vec<u32> = report
            .contributions
            .iter()
            .map(|share| share.millionths())
            .collect();
        assert_eq!(shares, [500_000, 500_000, 0]);
    }

    #[test]
    fn what_the_cap_cuts_off_is_nobodys() {
        let report = observe(&[update(0, [0.0, 1.0]), update(1, [0.0, 0.0])]).unwrap();
        let shares: Vec<u32> = report
            .contributions
            .iter()
            .map(|share| share.millionths())
            .collect();
        assert_eq!(shares, [600_000, 0, 0]);
    }

    #[test]
    fn the_only_survivor_is_worth_what_the_round_won() {
        let report = observe(&[update(0, [0.0, 1.0])]).unwrap();
        let before = nano(evaluate(&model([0.0; 2]), &holdout()).unwrap().loss);
        assert_eq!(report.totals_nano[0], before - report.rounds[0].loss_nano);
    }

    #[test]
    fn the_report_reads_back_and_is_pinned() {
        let report = observe(&[update(0, [0.0, 1.0]), update(1, [0.5, 0.25])]).unwrap();
        let bytes = report.to_bytes().unwrap();
        assert_eq!(ContributionReport::from_bytes(&bytes).unwrap(), report);
        assert_eq!(
            ContentDigest::of(&bytes).to_string(),
            "blake3:1fcff5ff799305cf76b5e268f9dc8212d2efd0060f4d05206cdf7c722fadb17b"
        );
    }

    #[test]
    fn refuses_members_that_are_unknown_or_twice() {
        assert!(matches!(
            observe(&[update(3, [0.0, 1.0])]),
            Err(ContributionError::UnknownMember {
                member: MemberIndex(3),
                members: 3
            })
        ));
        assert!(matches!(
            observe(&[update(1, [0.0, 1.0]), update(1, [0.0, 1.0])]),
            Err(ContributionError::Twice {
                member: MemberIndex(1)
            })
        ));
    }
}
