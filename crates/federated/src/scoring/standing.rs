//! Who is paid, and who must go.

use counterweight_primitives::Ppm;

use super::GroupScores;
use crate::contribution::contributions;

/// When a member is paid, and when it is shut out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StandingRules {
    /// Largest share of one member.
    pub cap: Ppm,
    /// Scored rounds before a share is paid.
    pub vesting_rounds: u32,
    /// Values below this, counted in deviations from the members' median, are an outlier's.
    pub outlier: f64,
    /// The rounds whose values are compared, and so many outlying ones in a row propose an exclusion.
    pub patience: u32,
    /// Rounds in which a proposed exclusion can be appealed against.
    pub appeal: u32,
}

impl Default for StandingRules {
    fn default() -> Self {
        Self {
            cap: Ppm::WHOLE,
            vesting_rounds: 10,
            outlier: -2.0,
            patience: 20,
            appeal: 10,
        }
    }
}

/// Where each member stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    rules: StandingRules,
    members: Vec<MemberStanding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct MemberStanding {
    outlying: u32,
    appeal_left: Option<u32>,
    excluded: bool,
}

impl Standing {
    /// Before the first round of so many members.
    #[must_use]
    pub fn new(rules: StandingRules, members: usize) -> Self {
        Self {
            rules,
            members: vec![MemberStanding::default(); members],
        }
    }

    /// After a round: counts outliers among the values of the last rounds, by their distance from the median in units of
    /// 1.4826 times the median absolute deviation, which liars below a half cannot move far. An exclusion that was
    /// proposed, and no appeal upheld, holds when the time for appeals is over.
    pub fn observe(&mut self, scores: &GroupScores) {
        let values = scores.last_nano(self.rules.patience as usize);
        let values: Vec<f64> = values.into_iter().map(|value| value as f64).collect();
        let (centre, deviation) = median_and_deviation(&values);
        for (standing, score) in self.members.iter_mut().zip(&values) {
            let outlying = deviation > 0.0 && (score - centre) / deviation < self.rules.outlier;
            standing.outlying = if outlying { standing.outlying + 1 } else { 0 };
            standing.appeal_left = match standing.appeal_left {
                Some(0 | 1) => {
                    standing.excluded = true;
                    None
                }
                Some(left) => Some(left - 1),
                None if standing.outlying >= self.rules.patience && !standing.excluded => {
                    Some(self.rules.appeal)
                }
                None => None,
            };
        }
    }

    /// An appeal that was upheld in time: the member stays, and its outlying rounds are counted afresh. Whether there was
    /// anything to appeal against.
    pub fn uphold_appeal(&mut self, member: usize) -> bool {
        let standing = self.members.get_mut(member);
        standing.is_some_and(|standing| {
            standing.outlying = 0;
            standing.appeal_left.take().is_some()
        })
    }

    /// Whether a member's exclusion is proposed and can be appealed against.
    #[must_use]
    pub fn is_proposed(&self, member: usize) -> bool {
        self.members
            .get(member)
            .is_some_and(|standing| standing.appeal_left.is_some())
    }

    /// Whether a member is shut out.
    #[must_use]
    pub fn is_excluded(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|standing| standing.excluded)
    }

    /// Each member's share: the positive part of what its groups were worth as a part of everyone's, rounded down, at most
    /// the cap; none before it is vested or once it is excluded. What is cut off stays with the sponsor.
    #[must_use]
    pub fn shares(&self, scores: &GroupScores) -> Vec<Ppm> {
        let totals = scores.totals_nano().into_iter().zip(&self.members);
        let payable: Vec<i64> = totals
            .map(|(total, standing)| if standing.excluded { 0 } else { total })
            .collect();
        let shares = contributions(&payable, self.rules.cap);
        let vested = scores
            .rounds()
            .into_iter()
            .map(|rounds| rounds >= self.rules.vesting_rounds);
        shares
            .into_iter()
            .zip(vested)
            .map(|(share, vested)| if vested { share } else { Ppm::ZERO })
            .collect()
    }
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
    use super::*;

    fn rules() -> StandingRules {
        StandingRules {
            vesting_rounds: 3,
            patience: 4,
            appeal: 2,
            ..StandingRules::default()
        }
    }

    /// Six members alone in their groups; the last one is worth much less than the others.
    fn round(scores: &mut GroupScores, standing: &mut Standing) {
        let groups = (0..6).map(|member| vec![member]).collect();
        scores.observe(&groups, &[100, 110, 95, 105, 90, -400]);
        standing.observe(scores);
    }

    fn after(rounds: u32) -> (GroupScores, Standing) {
        let (mut scores, mut standing) = (GroupScores::new(6), Standing::new(rules(), 6));
        for _ in 0..rounds {
            round(&mut scores, &mut standing);
        }
        (scores, standing)
    }

    #[test]
    fn a_lasting_outlier_is_proposed_then_excluded_and_nobody_else() {
        for (rounds, proposed, excluded) in [
            (3, false, false),
            (4, true, false),
            (5, true, false),
            (6, false, true),
        ] {
            let (_, standing) = after(rounds);
            assert_eq!(
                (standing.is_proposed(5), standing.is_excluded(5)),
                (proposed, excluded),
                "{rounds}"
            );
            assert!((0..5).all(|member| !standing.is_proposed(member) && !standing.is_excluded(member)));
        }
        assert!(!after(6).1.is_excluded(77));
    }

    #[test]
    fn an_appeal_in_time_starts_the_count_afresh_and_one_too_late_does_nothing() {
        let (mut scores, mut standing) = after(5);
        assert!(standing.uphold_appeal(5) && !standing.is_proposed(5));
        for _ in 0..3 {
            round(&mut scores, &mut standing);
            assert!(!standing.is_proposed(5) && !standing.is_excluded(5));
        }
        round(&mut scores, &mut standing);
        assert!(standing.is_proposed(5));
        let (_, mut late) = after(6);
        assert!(!late.uphold_appeal(5) && late.is_excluded(5));
        assert!(!late.uphold_appeal(99));
    }

    #[test]
    fn shares_wait_for_vesting_and_go_to_whoever_helped() {
        let (scores, standing) = after(2);
        assert_eq!(standing.shares(&scores), [Ppm::ZERO; 6]);
        let (scores, standing) = after(3);
        let shares: Vec<u32> = standing
            .shares(&scores)
            .iter()
            .map(|share| share.millionths())
            .collect();
        assert_eq!(shares, [200_000, 220_000, 190_000, 210_000, 180_000, 0]);
    }

    #[test]
    fn a_cap_holds_and_whoever_is_excluded_earns_nothing() {
        let (mut scores, _) = after(3);
        let capped = StandingRules {
            cap: Ppm::new(200_000).unwrap(),
            ..rules()
        };
        let shares = Standing::new(capped, 6).shares(&scores);
        assert!(shares.iter().all(|share| share.millionths() <= 200_000));
        let groups = vec![vec![5]];
        scores.observe(&groups, &[1_000_000]);
        let mut excluded = Standing::new(rules(), 6);
        excluded.members[5].excluded = true;
        assert_eq!(excluded.shares(&scores)[5], Ppm::ZERO);
    }
}
