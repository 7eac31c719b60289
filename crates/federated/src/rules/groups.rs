//! Means of groups: what is known of members whose updates are masked, and what bucketing makes of those that are not.

use rayon::prelude::*;

use super::{Row, RuleError};
use crate::update::{LARGEST_CLIP, rescale, squared_norm};

/// The sum of a group's updates, in units of 2^-24, as secure aggregation reveals it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSum {
    /// Members whose updates are in it.
    pub members: u32,
    /// The sum.
    pub sums: Vec<i64>,
}

/// Means of groups, rounded to units half to even: rows for a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMeans {
    means: Vec<(u32, Vec<i32>)>,
}

impl GroupMeans {
    /// The mean of each group, counted as long as its members' clip allows: nobody sees one masked update's norm, but
    /// the mean of updates within a clip is within it too, so a longer one holds a lie and is scaled down to the clip.
    ///
    /// # Errors
    /// [`RuleError::Empty`] for no group or one without members, [`RuleError::ShapeMismatch`].
    pub fn of_sums(groups: &[GroupSum], clip: f64) -> Result<Self, RuleError> {
        let expected = groups.first().ok_or(RuleError::Empty)?.sums.len();
        let mut means = Vec::with_capacity(groups.len());
        for (index, group) in groups.iter().enumerate() {
            let got = group.sums.len();
            if got != expected {
                return Err(RuleError::ShapeMismatch { index, expected, got });
            }
            if group.members == 0 {
                return Err(RuleError::Empty);
            }
            let mean = group.sums.iter().map(|sum| quotient(*sum, group.members));
            means.push((group.members, rescale(mean, clip.min(LARGEST_CLIP))));
        }
        Ok(Self { means })
    }

    pub(super) fn of_buckets(rows: &[&Row<'_>], size: usize) -> Self {
        let means = rows
            .par_chunks(size.max(1))
            .map(|bucket| {
                let mut sums = vec![0_i64; bucket.first().map_or(0, |row| row.coordinates.len())];
                for row in bucket {
                    for (sum, coordinate) in sums.iter_mut().zip(row.coordinates) {
                        *sum += i64::from(*coordinate);
                    }
                }
                // A bucket holds at most 16 rows of `i32`, so its mean is an `i32` again.
                let count = bucket.len() as u32;
                (
                    count,
                    sums.into_iter().map(|sum| quotient(sum, count) as i32).collect(),
                )
            })
            .collect();
        Self { means }
    }

    /// Them as rows of a rule, each owned by its group, counted from 0, and weighted by its members.
    #[must_use]
    pub fn rows(&self) -> Vec<Row<'_>> {
        self.means
            .iter()
            .zip(0..)
            .map(|((weight, coordinates), owner)| Row {
                owner,
                weight: *weight,
                coordinates,
            })
            .collect()
    }

    /// Length of the longest, for people.
    #[must_use]
    pub fn longest(&self) -> f64 {
        let squares = self.means.iter().map(|(_, mean)| squared_norm(mean));
        (squares.max().unwrap_or(0) as f64).sqrt() / f64::from(1 << crate::update::FRACTION_BITS)
    }
}

/// The nearest integer to a quotient, half to even.
pub(super) fn quotient(sum: i64, divisor: u32) -> i64 {
    let divisor = i64::from(divisor);
    let (low, rest) = (sum.div_euclid(divisor), sum.rem_euclid(divisor));
    match (2 * rest).cmp(&divisor) {
        std::cmp::Ordering::Less => low,
        std::cmp::Ordering::Greater => low + 1,
        std::cmp::Ordering::Equal => low + (low & 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quotient_is_the_nearest_integer_half_to_even(sum in -(1_i64 << 50)..1 << 50, divisor in 1_u32..64) {
            // Exact: both are integers below 2^53, and ties of such a quotient are exact halves.
            let expected = (sum as f64 / f64::from(divisor)).round_ties_even() as i64;
            prop_assert!((quotient(sum, divisor) - expected).abs() <= i64::from(sum.abs() > 1 << 45));
            let twice = 2 * (i128::from(quotient(sum, divisor)) * i128::from(divisor) - i128::from(sum)).abs();
            prop_assert!(twice <= i128::from(divisor));
        }
    }

    #[test]
    fn halves_go_to_the_even_one() {
        let halves: Vec<i64> = [-3, -1, 1, 3, 5].iter().map(|sum| quotient(*sum, 2)).collect();
        assert_eq!(halves, [-2, 0, 0, 2, 2]);
    }

    #[test]
    fn a_group_mean_beyond_the_clip_is_scaled_down_and_one_within_is_left() {
        let unit = 1_i64 << 24;
        let groups = [
            GroupSum {
                members: 2,
                sums: vec![2 * unit, 0],
            },
            GroupSum {
                members: 2,
                sums: vec![60 * unit, 80 * unit],
            },
        ];
        let means = GroupMeans::of_sums(&groups, 1.0).unwrap();
        assert_eq!(means.means[0].1, [1 << 24, 0]);
        let long = &means.means[1].1;
        assert!(squared_norm(long) <= 1 << 48);
        assert!((f64::from(long[0]) / f64::from(long[1]) - 0.75).abs() < 1e-5);
        assert!(means.longest() <= 1.0);
    }

    #[test]
    fn refuses_no_group_an_empty_one_and_another_shape() {
        let group = |members, length| GroupSum {
            members,
            sums: vec![0; length],
        };
        assert_eq!(GroupMeans::of_sums(&[], 1.0), Err(RuleError::Empty));
        assert_eq!(GroupMeans::of_sums(&[group(0, 1)], 1.0), Err(RuleError::Empty));
        let other = GroupMeans::of_sums(&[group(1, 1), group(1, 2)], 1.0);
        assert_eq!(
            other,
            Err(RuleError::ShapeMismatch {
                index: 1,
                expected: 1,
                got: 2
            })
        );
    }
}
