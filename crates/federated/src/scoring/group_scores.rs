//! Values of groups, and what they say of members.

use rayon::prelude::*;

use super::Grouping;
use crate::{
    aggregate::WeightedSum,
    contribution::{ContributionError, nano},
    parameters::Parameters,
    rules::{GroupMeans, Inputs, Rows, Rule},
    server_optimiser::ServerOptimiser,
    table::Dataset,
    training::evaluate,
};

/// Hold-out loss after a round, and for each group how much higher it is without it, in units of 10^-9: the round is made
/// again from the groups' means under the rule, with everyone and without each.
///
/// # Errors
/// [`ContributionError`].
pub fn leave_one_group_out(
    base: &Parameters,
    optimiser: &ServerOptimiser,
    rule: &Rule,
    inputs: &Inputs<'_>,
    groups: &GroupMeans,
    holdout: &Dataset,
) -> Result<(i64, Vec<i64>), ContributionError> {
    let rows = groups.rows();
    let loss_after = |sum: Option<&WeightedSum>| -> Result<i64, ContributionError> {
        // Without the only group nothing would have moved.
        let loss = match sum {
            None => evaluate(base, holdout)?.loss,
            Some(sum) => evaluate(&optimiser.clone().step(base, sum)?, holdout)?.loss,
        };
        Ok(nano(loss))
    };
    let loss = loss_after(Some(&rule.combine(&Rows::new(rows.clone())?, inputs)?))?;
    let values = (0..rows.len())
        .into_par_iter()
        .map(|left_out| {
            let mut others = rows.clone();
            others.remove(left_out);
            let sum = match others.is_empty() {
                true => None,
                false => Some(rule.combine_few(&Rows::new(others)?, inputs)?),
            };
            Ok(loss_after(sum.as_ref())? - loss)
        })
        .collect::<Result<_, ContributionError>>()?;
    Ok((loss, values))
}

/// Scores of members from values of groups.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupScores {
    scores: Vec<f64>,
    rounds: Vec<u32>,
    totals_nano: Vec<i64>,
}

/// What remains of a score after a round.
const DECAY: f64 = 0.9;

impl GroupScores {
    /// Before the first round of so many members.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self {
            scores: vec![0.0; members],
            rounds: vec![0; members],
            totals_nano: vec![0; members],
        }
    }

    /// Takes in one round: the values of its groups in the order of the grouping. Members that are none of these, and
    /// groups without a value, are left out.
    ///
    /// The score of everyone in a group moves a tenth of the way to the group's standard score in this round. All
    /// arithmetic is that of IEEE 754 in a fixed order, so everyone gets the same bits.
    pub fn observe(&mut self, groups: &Grouping, values_nano: &[i64]) {
        let count = values_nano.len().min(groups.len());
        let values: Vec<f64> = values_nano.iter().map(|value| *value as f64).collect();
        let values = &values[..count];
        let mean = values.iter().sum::<f64>() / count.max(1) as f64;
        let squares = values.iter().map(|value| (value - mean) * (value - mean));
        let deviation = (squares.sum::<f64>() / count.max(1) as f64).sqrt();
        for (group, (value, nano)) in groups.iter().zip(values.iter().zip(values_nano)) {
            let standard = if deviation > 0.0 {
                (value - mean) / deviation
            } else {
                0.0
            };
            let share = nano / i64::try_from(group.len().max(1)).unwrap_or(i64::MAX);
            for member in group {
                let at = *member as usize;
                if at >= self.scores.len() {
                    continue;
                }
                self.scores[at] = DECAY * self.scores[at] + (1.0 - DECAY) * standard;
                self.rounds[at] += 1;
                self.totals_nano[at] = self.totals_nano[at].saturating_add(share);
            }
        }
    }

    /// Each member's score: about zero for the crowd, in standard deviations of groups.
    #[must_use]
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// Rounds in which each member was scored.
    #[must_use]
    pub fn rounds(&self) -> &[u32] {
        &self.rounds
    }

    /// Each member's part of its groups' values over the rounds, in units of 10^-9 of loss: what contributions are
    /// made from.
    #[must_use]
    pub fn totals_nano(&self) -> &[i64] {
        &self.totals_nano
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        architecture::Architecture, rules::GroupSum, scoring::draw_groups, server_optimiser::Aggregation,
    };

    const UNIT: i64 = 1 << 24;

    fn holdout() -> Dataset {
        Dataset::new(1, vec![1.0, 2.0, -1.0, -2.0], vec![1, 1, 0, 0]).unwrap()
    }

    fn values(groups: &[GroupSum]) -> (i64, Vec<i64>) {
        let base = Parameters::new(Architecture::logistic(1), vec![0.0; 2]).unwrap();
        let optimiser = ServerOptimiser::new(Aggregation::default(), 2);
        let means = GroupMeans::of_sums(groups, 100.0).unwrap();
        let rule = Rule::ClippedMean {
            norm: "100".parse().unwrap(),
        };
        leave_one_group_out(&base, &optimiser, &rule, &Inputs::default(), &means, &holdout()).unwrap()
    }

    fn group(members: u32, weight: i64) -> GroupSum {
        GroupSum {
            members,
            sums: vec![0, weight],
        }
    }

    #[test]
    fn a_group_that_helps_has_a_value_and_one_that_harms_a_negative_one() {
        let (loss, values) = values(&[group(2, 2 * UNIT), group(2, -2 * UNIT), group(2, 2 * UNIT)]);
        assert!(loss > 0 && values[0] > 0 && values[1] < 0);
        assert_eq!(values[0], values[2]);
    }

    #[test]
    fn the_only_group_is_worth_what_the_round_won() {
        let (loss, values) = values(&[group(2, 2 * UNIT)]);
        let before = nano(std::f64::consts::LN_2);
        assert_eq!(values, [before - loss]);
    }

    /// One of nine does harm: whatever company it keeps, its groups are worth less.
    #[test]
    fn who_harms_ends_below_everyone_it_was_grouped_with() {
        let mut scores = GroupScores::new(9);
        for round in 0..20 {
            let groups = draw_groups(&[4; 32], round, &(0..9).collect::<Vec<_>>(), 3).unwrap();
            let sums: Vec<_> = groups
                .iter()
                .map(|group_of| {
                    let bad = group_of.contains(&5);
                    group(3, if bad { UNIT } else { 3 * UNIT })
                })
                .collect();
            scores.observe(&groups, &values(&sums).1);
        }
        let worst = scores.scores()[5];
        assert!((0..9).all(|member| member == 5 || scores.scores()[member] > worst));
        assert_eq!(scores.rounds(), [20; 9]);
        assert!((0..9).all(|member| member == 5 || scores.totals_nano()[member] > scores.totals_nano()[5]));
    }

    #[test]
    fn groups_of_equal_value_move_nobody_and_strangers_are_left_out() {
        let mut scores = GroupScores::new(2);
        scores.observe(&vec![vec![0], vec![1], vec![7]], &[5, 5, 5]);
        assert_eq!(scores.scores(), [0.0, 0.0]);
        scores.observe(&vec![vec![0], vec![1], vec![7]], &[5]);
        assert_eq!(scores.rounds(), [2, 1]);
        assert_eq!(scores.totals_nano(), [10, 5]);
    }
}
