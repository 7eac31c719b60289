//! Values of few members, from rounds that some of them sat out.

/// What each round won, and who was part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Participation {
    members: usize,
    rounds: Vec<(u64, f64)>,
}

/// Most members.
const MOST_MEMBERS: usize = 16;

/// Weight of the assumption that nobody is worth anything, in rounds: what holds the values where a member was part of
/// all rounds, or of none.
const RIDGE: f64 = 0.1;

impl Participation {
    /// Before the first round of at most 16 members; more are not valued, as groups tell better of them.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self {
            members: members.min(MOST_MEMBERS),
            rounds: Vec::new(),
        }
    }

    /// Who sits out a round: everyone once in every `members` rounds, in an order that the beacon draws anew each time.
    ///
    /// # Errors
    /// [`super::GroupingError`] where there is nobody.
    pub fn sits_out(&self, beacon: &[u8; 32], round: u32) -> Result<u32, super::GroupingError> {
        let members: Vec<u32> = (0..).take(self.members).collect();
        let count = u32::try_from(self.members.max(1)).unwrap_or(1);
        let order = super::draw_groups(beacon, round / count, &members, 1)?;
        Ok(order[(round % count) as usize][0])
    }

    /// Takes in one round: who was part of it, and by how much the hold-out loss fell, in units of 10^-9.
    pub fn observe(&mut self, took_part: impl IntoIterator<Item = u32>, won_nano: i64) {
        let members = took_part
            .into_iter()
            .filter(|member| (*member as usize) < self.members)
            .fold(0_u64, |members, member| members | 1 << member);
        self.rounds.push((members, won_nano as f64));
    }

    /// What a round wins more with each member than without it, in units of 10^-9 of loss: least squares over the rounds
    /// seen, after taking away, from every `members` rounds in turn, what they have in common, as early rounds win most.
    ///
    /// Gauss's elimination in a fixed order: everyone gets the same bits.
    #[must_use]
    pub fn values_nano(&self) -> Vec<f64> {
        let n = self.members;
        let mut normal = vec![vec![0.0; n + 1]; n];
        for (at, row) in normal.iter_mut().enumerate() {
            row[at] = RIDGE;
        }
        for block in self.rounds.chunks(n.max(1)) {
            let there = |members: u64, member: usize| f64::from(u8::from(members >> member & 1 == 1));
            let size = block.len() as f64;
            let usual: Vec<f64> = (0..n)
                .map(|member| {
                    block
                        .iter()
                        .map(|(members, _)| there(*members, member))
                        .sum::<f64>()
                        / size
                })
                .collect();
            let mean = block.iter().map(|(_, won)| won).sum::<f64>() / size;
            for (members, won) in block {
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
        solve(normal)
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
        for round in 0..rounds {
            let out = seen.sits_out(&[9; 32], round).unwrap();
            let part: Vec<u32> = (0..4).filter(|member| *member != out).collect();
            let won: f64 = part.iter().map(|member| worth[*member as usize]).sum();
            let trend = 5000.0 / f64::from(round / 4 + 1);
            seen.observe(part, (won + trend) as i64);
        }
        seen
    }

    #[test]
    fn values_are_what_rounds_win_more_with_a_member_up_to_what_all_share() {
        let values = observed(400).values_nano();
        for (at, difference) in [(0, 60.0), (1, 50.0), (2, 20.0)] {
            assert!((values[at] - values[3] - difference).abs() < 1.0, "{values:?}");
        }
    }

    #[test]
    fn everyone_sits_out_once_in_as_many_rounds_as_there_are_members() {
        let seen = Participation::new(5);
        for turn in 0..10 {
            let mut out: Vec<u32> = (0..5)
                .map(|at| seen.sits_out(&[2; 32], 5 * turn + at).unwrap())
                .collect();
            out.sort_unstable();
            assert_eq!(out, [0, 1, 2, 3, 4]);
        }
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
