//! Values of groups, and what they say of members.

use rayon::prelude::*;

use super::Grouping;
use crate::{
    aggregate::WeightedSum,
    contribution::{ContributionError, loss_after},
    parameters::Parameters,
    rules::{GroupMeans, Inputs, Rows, Rule},
    server_optimiser::ServerOptimiser,
    table::Dataset,
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
    let loss_after = |sum: Option<&WeightedSum>| loss_after(base, optimiser, sum, holdout);
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

/// Values of members, from values of groups over the rounds.
///
/// Values are added up as they are, so that rounds in which much was won count for more. Standard scores of each round, with
/// or without a decay, tell free riders from honest members less well (`benches/valuation`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupScores {
    rounds: Vec<Vec<Option<i64>>>,
    members: usize,
}

impl GroupScores {
    /// Before the first round of so many members.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self {
            rounds: Vec::new(),
            members,
        }
    }

    /// Takes in one round: the values of its groups in the order of the grouping, divided among their members, towards
    /// zero. Members that are none of these, and groups without a value, are left out.
    pub fn observe(&mut self, groups: &Grouping, values_nano: &[i64]) {
        let mut round = vec![None; self.members];
        for (group, value) in groups.iter().zip(values_nano) {
            let share = value / i64::try_from(group.len().max(1)).unwrap_or(i64::MAX);
            for member in group {
                if let Some(own) = round.get_mut(*member as usize) {
                    *own = Some(share);
                }
            }
        }
        self.rounds.push(round);
    }

    /// Members that are scored.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members
    }

    /// Rounds in which each member was scored.
    #[must_use]
    pub fn rounds(&self) -> Vec<u32> {
        let scored = |member: usize| self.rounds.iter().filter(|round| round[member].is_some()).count();
        (0..self.members).map(|member| scored(member) as u32).collect()
    }

    /// What each member's groups were worth over the rounds, its part of it, in units of 10^-9 of loss: what contributions
    /// are made from.
    #[must_use]
    pub fn totals_nano(&self) -> Vec<i64> {
        self.last_nano(self.rounds.len())
    }

    /// The same over the last so many rounds.
    #[must_use]
    pub fn last_nano(&self, rounds: usize) -> Vec<i64> {
        let last = &self.rounds[self.rounds.len().saturating_sub(rounds)..];
        let total = |member: usize| {
            let values = last.iter().filter_map(|round| round[member]);
            values.fold(0_i64, i64::saturating_add)
        };
        (0..self.members).map(total).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        architecture::Architecture, contribution::nano, rules::GroupSum, scoring::draw_groups,
        server_optimiser::Aggregation,
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
        let totals = scores.totals_nano();
        assert!((0..9).all(|member| member == 5 || totals[member] > totals[5]));
        assert_eq!(scores.rounds(), [20; 9]);
        assert_eq!(scores.last_nano(20), totals);
        assert_ne!(scores.last_nano(3), totals);
    }

    #[test]
    fn strangers_and_groups_without_a_value_are_left_out() {
        let mut scores = GroupScores::new(3);
        scores.observe(&vec![vec![0, 2], vec![1], vec![7]], &[-7, 5, 5]);
        scores.observe(&vec![vec![0], vec![1], vec![7]], &[5]);
        assert_eq!(scores.rounds(), [2, 1, 1]);
        assert_eq!(scores.totals_nano(), [2, 5, -3]);
    }
}
