//! Who lies far below the others for long, and what members are paid.

use counterweight_primitives::Ppm;

use crate::contribution::contributions;

/// When a member is an outlier, and for how long it may be one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StandingRules {
    /// Values more than so many deviations below the members' median are an outlier's.
    pub outlier: f64,
    /// So many outlying rounds in a row are too many.
    pub patience: u32,
}

impl Default for StandingRules {
    fn default() -> Self {
        Self {
            outlier: 2.0,
            patience: 20,
        }
    }
}

/// For how many rounds in a row each member has been an outlier.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    rules: StandingRules,
    outlying: Vec<u32>,
}

impl Standing {
    /// Before the first round of so many members.
    #[must_use]
    pub fn new(rules: StandingRules, members: usize) -> Self {
        Self {
            rules,
            outlying: vec![0; members],
        }
    }

    /// After a round: counts outliers among the members' values, by their distance from the median in units of 1.4826 times
    /// the median absolute deviation, which liars below a half cannot move far. A member without a value is not compared, and
    /// its count stays: staying away washes nobody clean.
    pub fn observe(&mut self, values: &[Option<i64>]) {
        let compared: Vec<f64> = values.iter().flatten().map(|value| *value as f64).collect();
        let (centre, deviation) = median_and_deviation(&compared);
        for (outlying, value) in self.outlying.iter_mut().zip(values) {
            let Some(value) = value else { continue };
            let far = deviation > 0.0 && (centre - *value as f64) / deviation > self.rules.outlier;
            *outlying = if far { *outlying + 1 } else { 0 };
        }
    }

    /// Rounds in a row in which a member was an outlier.
    #[must_use]
    pub fn outlying(&self, member: usize) -> u32 {
        self.outlying.get(member).copied().unwrap_or(0)
    }

    /// Whether a member has been an outlier for too long.
    #[must_use]
    pub fn is_due(&self, member: usize) -> bool {
        self.outlying(member) >= self.rules.patience.max(1)
    }

    /// Counts a member's outlying rounds afresh, as after an appeal that was upheld.
    pub fn count_afresh(&mut self, member: usize) {
        if let Some(outlying) = self.outlying.get_mut(member) {
            *outlying = 0;
        }
    }
}

/// Each member's share: the positive part of its value as a part of everyone's, rounded down, at most the cap; none for a member
/// that was scored in fewer rounds than it takes to vest. What is cut off stays with the sponsor: sharing it among the others would
/// pay a member for another one's going early.
#[must_use]
pub fn shares(totals_nano: &[i64], scored_rounds: &[u32], vesting_rounds: u32, cap: Ppm) -> Vec<Ppm> {
    let vested = scored_rounds.iter().map(|rounds| *rounds >= vesting_rounds);
    let shares = contributions(totals_nano, cap).into_iter().zip(vested);
    shares
        .map(|(share, vested)| if vested { share } else { Ppm::ZERO })
        .collect()
}

/// The lower median, and 1.4826 times the lower median distance from it, which is the standard deviation of normal values.
fn median_and_deviation(values: &[f64]) -> (f64, f64) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values
            .get(values.len().saturating_sub(1) / 2)
            .copied()
            .unwrap_or(0.0)
    };
    let centre = median(values.to_vec());
    let distances = values.iter().map(|value| (value - centre).abs()).collect();
    (centre, 1.4826 * median(distances))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALUES: [Option<i64>; 6] = [Some(100), Some(110), Some(95), Some(105), Some(90), Some(-400)];

    fn after(rounds: u32, values: &[Option<i64>]) -> Standing {
        let rules = StandingRules {
            patience: 4,
            ..StandingRules::default()
        };
        let mut standing = Standing::new(rules, values.len());
        (0..rounds).for_each(|_| standing.observe(values));
        standing
    }

    #[test]
    fn a_lasting_outlier_is_due_and_nobody_else() {
        assert!(!after(3, &VALUES).is_due(5));
        let standing = after(4, &VALUES);
        assert!(standing.is_due(5) && (0..5).all(|member| !standing.is_due(member)));
        assert!(!standing.is_due(77));
    }

    #[test]
    fn far_above_the_others_is_no_outlier() {
        let mut values = VALUES;
        values[5] = Some(4000);
        assert!(!after(9, &values).is_due(5));
    }

    #[test]
    fn a_round_among_the_others_ends_the_count_and_one_away_does_not() {
        let mut standing = after(3, &VALUES);
        let mut away = VALUES;
        away[5] = None;
        standing.observe(&away);
        assert_eq!(standing.outlying(5), 3);
        let mut back = VALUES;
        back[5] = Some(100);
        standing.observe(&back);
        assert_eq!(standing.outlying(5), 0);
        let mut absolved = after(4, &VALUES);
        absolved.count_afresh(5);
        absolved.count_afresh(99);
        assert!(!absolved.is_due(5));
    }

    #[test]
    fn members_that_are_alike_have_no_outlier() {
        assert!((0..6).all(|member| !after(9, &[Some(7); 6]).is_due(member)));
        assert!(!after(9, &[]).is_due(0));
    }

    proptest! {
        /// Whatever fewer than half of the members are worth, whoever is worth what most are is never due.
        #[test]
        fn liars_below_a_half_cannot_make_an_outlier_of_who_is_like_the_others(
            liars in proptest::collection::vec(-(1_i64 << 50)..1 << 50, 0..4),
        ) {
            let mut values = vec![Some(100), Some(101), Some(99), Some(100), Some(102)];
            values.extend(liars.into_iter().map(Some));
            let standing = after(6, &values);
            prop_assert!(!standing.is_due(0) && !standing.is_due(3));
        }
    }

    #[test]
    fn shares_wait_for_vesting_and_go_to_whoever_helped() {
        let totals = [100, 300, -50, 600];
        let cap = Ppm::new(500_000).unwrap();
        let got = |vesting| -> Vec<u32> {
            let shares = shares(&totals, &[9, 10, 10, 10], vesting, cap);
            shares.iter().map(|share| share.millionths()).collect()
        };
        assert_eq!(got(0), [100_000, 300_000, 0, 500_000]);
        // What does not vest is not shared among the others.
        assert_eq!(got(10), [0, 300_000, 0, 500_000]);
        assert_eq!(got(11), [0; 4]);
    }
}
