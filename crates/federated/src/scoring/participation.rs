//! Values of few members, from rounds that some of them sat out.

use crate::member_set::MEMBERS_MAX;

/// What each round won, and who was part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Participation {
    members: usize,
    /// Left and right side of the normal equations over the turns that are over.
    normal: Vec<Vec<f64>>,
    /// The rounds of the turn that is not over.
    turn: Vec<(u64, f64)>,
}

/// Weight of the assumption that nobody is worth anything, in rounds: what holds the values where a member was part of
/// all rounds, or of none.
const RIDGE: f64 = 0.1;

/// Stands for nobody in a draw of turns.
const NOBODY: u32 = u32::MAX;

/// Who sits out each round of a turn: everyone once, and nobody once, in an order that the beacon draws.
///
/// Were one out in every round, only differences between members would be known, and paying for what is above their mean would
/// leave half of the helpful unpaid. The round with everyone tells what each is worth by itself.
#[must_use]
pub fn draw_turns(beacon: &[u8; 32], first_round: u32, members: &[u32]) -> Vec<Option<u32>> {
    let mut turns = members.to_vec();
    turns.push(NOBODY);
    let order = super::draw_groups(beacon, first_round, &turns, 1).unwrap_or_default();
    let drawn = order.into_iter().flatten();
    drawn.map(|member| (member != NOBODY).then_some(member)).collect()
}

impl Participation {
    /// Before the first round of at most 64 members; where they fill two groups, groups tell better of them.
    #[must_use]
    pub fn new(members: usize) -> Self {
        let members = members.min(MEMBERS_MAX);
        let mut normal = vec![vec![0.0; members + 1]; members];
        for (at, row) in normal.iter_mut().enumerate() {
            row[at] = RIDGE;
        }
        Self {
            members,
            normal,
            turn: Vec::new(),
        }
    }

    /// Takes in one round: who was part of it, and by how much the hold-out loss fell, in units of 10^-9.
    pub fn observe(&mut self, took_part: impl IntoIterator<Item = u32>, won_nano: i64) {
        let members = took_part
            .into_iter()
            .filter(|member| (*member as usize) < self.members)
            .fold(0_u64, |members, member| members | 1 << member);
        self.turn.push((members, won_nano as f64));
        if self.turn.len() > self.members {
            let turn = std::mem::take(&mut self.turn);
            add_turn(&mut self.normal, &turn);
        }
    }

    /// What a round wins more with each member than without it, in units of 10^-9 of loss: least squares over the rounds
    /// seen, after taking away, from as many rounds in turn as there are members and one, what they have in common, as early
    /// rounds win most.
    ///
    /// Gauss's elimination in a fixed order: everyone gets the same bits.
    #[must_use]
    pub fn values_nano(&self) -> Vec<f64> {
        let mut normal = self.normal.clone();
        if !self.turn.is_empty() {
            add_turn(&mut normal, &self.turn);
        }
        solve(normal)
    }
}

fn add_turn(normal: &mut [Vec<f64>], turn: &[(u64, f64)]) {
    let n = normal.len();
    let there = |members: u64, member: usize| f64::from(u8::from(members >> member & 1 == 1));
    let size = turn.len() as f64;
    let usual: Vec<f64> = (0..n)
        .map(|member| {
            turn.iter()
                .map(|(members, _)| there(*members, member))
                .sum::<f64>()
                / size
        })
        .collect();
    let mean = turn.iter().map(|(_, won)| won).sum::<f64>() / size;
    for (members, won) in turn {
        let x: Vec<f64> = (0..n)
            .map(|member| there(*members, member) - usual[member])
            .collect();
        for (row, left) in normal.iter_mut().zip(&x) {
            for (cell, right) in row.iter_mut().zip(&x) {
                *cell += left * right;
            }
            row[n] += left * (won - mean);
        }
    }
}

/// Solves a positive definite system; the last column is the right side.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    for pivot in 0..n {
        let (above, below) = rows.split_at_mut(pivot + 1);
        let lead = &above[pivot];
        for row in below {
            let factor = row[pivot] / lead[pivot];
            for (cell, value) in row.iter_mut().zip(lead).skip(pivot) {
                *cell -= factor * value;
            }
        }
    }
    let mut solution = vec![0.0; n];
    for pivot in (0..n).rev() {
        let known: f64 = (pivot + 1..n).map(|at| rows[pivot][at] * solution[at]).sum();
        solution[pivot] = (rows[pivot][n] - known) / rows[pivot][pivot];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four members worth 40, 30, 0 and −20; rounds win less and less.
    fn observed(rounds: u32) -> Participation {
        let worth = [40.0, 30.0, 0.0, -20.0];
        let mut seen = Participation::new(4);
        for turn in 0..rounds / 5 {
            for out in draw_turns(&[9; 32], 2 + 5 * turn, &[0, 1, 2, 3]) {
                let part: Vec<u32> = (0..4).filter(|member| Some(*member) != out).collect();
                let won: f64 = part.iter().map(|member| worth[*member as usize]).sum();
                let trend = 5000.0 / f64::from(turn + 1);
                seen.observe(part, (won + trend) as i64);
            }
        }
        seen
    }

    #[test]
    fn values_are_what_rounds_win_more_with_a_member() {
        let values = observed(1000).values_nano();
        for (value, worth) in values.iter().zip([40.0, 30.0, 0.0, -20.0]) {
            assert!((value - worth).abs() < 1.0, "{values:?}");
        }
    }

    /// Three copies: with two of them out of three a round wins as much as with all, so none is worth anything.
    #[test]
    fn copies_that_nobody_misses_earn_less_than_one_member_alone() {
        let mut seen = Participation::new(5);
        for turn in 0..20 {
            for out in draw_turns(&[4; 32], 2 + 6 * turn, &[0, 1, 2, 3, 4]) {
                let part: Vec<u32> = (0..5).filter(|member| Some(*member) != out).collect();
                let won = 50 * part.iter().filter(|member| **member < 2).count() as i64 + 50;
                seen.observe(part, won);
            }
        }
        let values = seen.values_nano();
        assert!(values[0] > 45.0 && values[1] > 45.0, "{values:?}");
        assert!(values[2..].iter().all(|value| value.abs() < 2.0), "{values:?}");
    }

    #[test]
    fn everyone_sits_out_once_a_turn_and_nobody_once_in_an_order_of_the_beacon() {
        let members: Vec<u32> = (0..5).collect();
        let mut orders = std::collections::BTreeSet::new();
        for turn in 0..10 {
            let order = draw_turns(&[2; 32], 2 + 6 * turn, &members);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [None, Some(0), Some(1), Some(2), Some(3), Some(4)]);
            orders.insert(order);
        }
        assert!(orders.len() > 5);
        assert_ne!(
            draw_turns(&[3; 32], 2, &members),
            draw_turns(&[2; 32], 2, &members)
        );
        assert_eq!(draw_turns(&[3; 32], 2, &[]), [None]);
    }

    #[test]
    fn without_rounds_or_members_nobody_is_worth_anything() {
        assert_eq!(Participation::new(3).values_nano(), [0.0; 3]);
        assert!(Participation::new(0).values_nano().is_empty());
        let mut always = Participation::new(2);
        always.observe([0, 1, 60], 100);
        always.observe([0, 1], 10);
        assert_eq!(always.values_nano(), [0.0; 2]);
    }
}
