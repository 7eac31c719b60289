//! The exact mean of updates.
//!
//! FedAvg's weighted mean (McMahan et al., AISTATS 2017, algorithm 1), over fixed-point integers: the sum of
//! coordinates times examples is exact in an `i64`, so neither the order of updates nor the number of threads can
//! change a bit. A checked coordinate is at most 127 * 2^24 < 2^31 in magnitude, since no coordinate exceeds its
//! update's norm; with at most 2^32 examples together every sum stays below 2^63. Sixty-four members of at most 2^26
//! examples each always fit.

use crate::update::{CheckedUpdate, FRACTION_BITS};

/// Most examples together.
pub const MOST_EXAMPLES_TOGETHER: u64 = 1 << 32;

/// Sum of updates weighted by examples: exact, so the order of updates does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedSum {
    pub(crate) sums: Vec<i64>,
    pub(crate) examples: u64,
}

/// Why updates could not be aggregated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AggregateError {
    /// No update, so no mean.
    #[error("no update to aggregate")]
    Empty,
    /// An update has another shape than the others.
    #[error("update {index} has {got} coordinates, the model has {expected}")]
    ShapeMismatch {
        /// Which update, counted from 0.
        index: usize,
        /// Parameters of the model.
        expected: usize,
        /// Coordinates of the update.
        got: usize,
    },
    /// More examples together than the exact sum can hold.
    #[error("{got} examples together, at most {limit} can be summed")]
    TooManyExamples {
        /// Together.
        got: u64,
        /// The limit, 2^32.
        limit: u64,
    },
}

impl WeightedSum {
    /// An empty sum for a model of `coordinates` parameters.
    #[must_use]
    pub fn new(coordinates: usize) -> Self {
        Self {
            sums: vec![0; coordinates],
            examples: 0,
        }
    }

    /// The sum of all.
    ///
    /// # Errors
    /// [`AggregateError::ShapeMismatch`] or [`AggregateError::TooManyExamples`].
    pub fn of<'a>(
        coordinates: usize,
        updates: impl IntoIterator<Item = &'a CheckedUpdate>,
    ) -> Result<Self, AggregateError> {
        let mut sum = Self::new(coordinates);
        for (index, update) in updates.into_iter().enumerate() {
            sum.add(index, update)?;
        }
        Ok(sum)
    }

    /// Adds one update; `index` names it in errors, after which the sum is unchanged.
    ///
    /// # Errors
    /// [`AggregateError::ShapeMismatch`] or [`AggregateError::TooManyExamples`].
    pub fn add(&mut self, index: usize, update: &CheckedUpdate) -> Result<(), AggregateError> {
        let update = update.get();
        self.check_shape(index, update.coordinates.len())?;
        self.examples = self.examples_with(update.examples.into())?;
        let weight = i64::from(update.examples);
        for (sum, coordinate) in self.sums.iter_mut().zip(&update.coordinates) {
            *sum += weight * i64::from(*coordinate);
        }
        Ok(())
    }

    /// Adds another sum; `index` names it in errors, after which this sum is unchanged.
    ///
    /// # Errors
    /// [`AggregateError::ShapeMismatch`] or [`AggregateError::TooManyExamples`].
    pub fn merge(&mut self, index: usize, other: &Self) -> Result<(), AggregateError> {
        self.check_shape(index, other.sums.len())?;
        self.examples = self.examples_with(other.examples)?;
        for (sum, part) in self.sums.iter_mut().zip(&other.sums) {
            *sum += part;
        }
        Ok(())
    }

    /// The sum as if `update`, which must be part of it, had not been added.
    #[must_use]
    pub fn without(&self, update: &CheckedUpdate) -> Self {
        let update = update.get();
        let weight = i64::from(update.examples);
        let parts = self.sums.iter().zip(&update.coordinates);
        Self {
            sums: parts
                .map(|(sum, coordinate)| sum - weight * i64::from(*coordinate))
                .collect(),
            examples: self.examples - u64::from(update.examples),
        }
    }

    /// Number of coordinates.
    #[must_use]
    pub fn coordinates(&self) -> usize {
        self.sums.len()
    }

    /// Sum of examples.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The weighted mean: each sum and the divisor, examples times 2^24, to the nearest `f64`; then their quotient.
    ///
    /// # Errors
    /// [`AggregateError::Empty`].
    pub fn mean(&self) -> Result<Vec<f64>, AggregateError> {
        if self.examples == 0 {
            return Err(AggregateError::Empty);
        }
        // At most 2^32 * 2^24: exact.
        let divisor = (self.examples << FRACTION_BITS) as f64;
        Ok(self.sums.iter().map(|sum| *sum as f64 / divisor).collect())
    }

    /// The mean in units of 2^-24, rounded half to even and held to `i32`.
    ///
    /// # Errors
    /// [`AggregateError::Empty`].
    pub fn rounded(&self) -> Result<Vec<i32>, AggregateError> {
        if self.examples == 0 {
            return Err(AggregateError::Empty);
        }
        let divisor = self.examples as i64;
        let rounded = |sum: &i64| {
            let (low, rest) = (sum.div_euclid(divisor), sum.rem_euclid(divisor));
            let up = 2 * rest > divisor || (2 * rest == divisor && low & 1 == 1);
            (low + i64::from(up)).clamp(i32::MIN.into(), i32::MAX.into()) as i32
        };
        Ok(self.sums.iter().map(rounded).collect())
    }

    fn check_shape(&self, index: usize, got: usize) -> Result<(), AggregateError> {
        if got == self.sums.len() {
            return Ok(());
        }
        Err(AggregateError::ShapeMismatch {
            index,
            expected: self.sums.len(),
            got,
        })
    }

    fn examples_with(&self, more: u64) -> Result<u64, AggregateError> {
        let got = self.examples.saturating_add(more);
        if got > MOST_EXAMPLES_TOGETHER {
            return Err(AggregateError::TooManyExamples {
                got,
                limit: MOST_EXAMPLES_TOGETHER,
            });
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId};
    use proptest::prelude::*;

    use super::*;
    use crate::update::{LARGEST_CLIP, MOST_EXAMPLES, Update, UpdateRules};

    fn update(examples: u32, coordinates: Vec<i32>) -> CheckedUpdate {
        let rules = UpdateRules {
            study: StudyId(1),
            round: Round(1),
            base: ContentDigest::of(b"base"),
            coordinates: coordinates.len(),
            clip: LARGEST_CLIP,
            most_examples: MOST_EXAMPLES,
        };
        let update = Update {
            study: rules.study,
            round: rules.round,
            member: MemberIndex(0),
            base: rules.base,
            examples,
            coordinates,
        };
        update.check(&rules, MemberIndex(0)).unwrap()
    }

    fn updates() -> impl Strategy<Value = Vec<CheckedUpdate>> {
        let largest = 127 << (FRACTION_BITS - 2);
        let one = (
            1..=MOST_EXAMPLES,
            proptest::collection::vec(-largest..=largest, 3),
        );
        proptest::collection::vec(
            one.prop_map(|(examples, coordinates)| update(examples, coordinates)),
            1..=64,
        )
    }

    proptest! {
        #[test]
        fn the_sum_is_the_one_of_wider_integers(updates in updates()) {
            let sum = WeightedSum::of(3, &updates).unwrap();
            for index in 0..3 {
                let plain: i128 = updates
                    .iter()
                    .map(|u| i128::from(u.get().examples) * i128::from(u.get().coordinates[index]))
                    .sum();
                prop_assert_eq!(i128::from(sum.sums[index]), plain);
            }
        }

        #[test]
        fn neither_order_nor_grouping_changes_it(updates in updates(), split in 0_usize..64) {
            let (first, second) = updates.split_at(split.min(updates.len()));
            let mut merged = WeightedSum::of(3, second.iter().rev()).unwrap();
            merged.merge(0, &WeightedSum::of(3, first).unwrap()).unwrap();
            prop_assert_eq!(merged, WeightedSum::of(3, &updates).unwrap());
        }

        #[test]
        fn taking_one_out_is_never_having_added_it(updates in updates(), out in 0_usize..64) {
            let out = out % updates.len();
            let others = updates.iter().enumerate().filter(|(index, _)| *index != out).map(|(_, u)| u);
            let expected = WeightedSum::of(3, others).unwrap();
            prop_assert_eq!(WeightedSum::of(3, &updates).unwrap().without(&updates[out]), expected);
        }

        /// A mean cannot leave the range of what it is the mean of.
        #[test]
        fn the_mean_lies_between_the_updates(updates in updates()) {
            let mean = WeightedSum::of(3, &updates).unwrap().mean().unwrap();
            for (index, mean) in mean.iter().enumerate() {
                let of = updates.iter().map(|u| f64::from(u.get().coordinates[index]) / f64::from(1 << FRACTION_BITS));
                let (low, high) = (of.clone().fold(f64::MAX, f64::min), of.fold(f64::MIN, f64::max));
                prop_assert!((low - 1e-9..=high + 1e-9).contains(mean));
            }
        }
    }

    #[test]
    fn the_largest_sum_allowed_does_not_overflow() {
        let largest = (LARGEST_CLIP as i32) << FRACTION_BITS;
        let all = vec![update(MOST_EXAMPLES, vec![largest]); 64];
        let sum = WeightedSum::of(1, &all).unwrap();
        assert_eq!(sum.mean().unwrap(), [LARGEST_CLIP]);
        let mut full = sum.clone();
        assert_eq!(
            full.add(64, &all[0]),
            Err(AggregateError::TooManyExamples {
                got: MOST_EXAMPLES_TOGETHER + u64::from(MOST_EXAMPLES),
                limit: MOST_EXAMPLES_TOGETHER,
            })
        );
        assert_eq!(full, sum);
    }

    #[test]
    fn refuses_another_shape_and_nothing_at_all() {
        let two = [update(1, vec![1, 2]), update(1, vec![1])];
        let expected = AggregateError::ShapeMismatch {
            index: 1,
            expected: 2,
            got: 1,
        };
        assert_eq!(WeightedSum::of(2, &two), Err(expected));
        assert_eq!(WeightedSum::of(2, []).unwrap().mean(), Err(AggregateError::Empty));
    }
}
