//! How the vectors of a round become one, with liars among them.
//!
//! A [`Rule`] takes [`Rows`], the updates of members or the means of masked groups, and gives a
//! [`WeightedSum`]: integers over one integer divisor, as the plain mean does. Ranks, distances and sums are exact
//! integers; what needs a square root or a quotient (weights of rows, never coordinates) uses IEEE 754 doubles on
//! rows in a canonical order. So neither the order of rows nor the number of threads changes a bit, and everyone
//! recomputes the same result. Stored form of a rule: `docs/spec/aggregation-rules.md`.
//!
//! | rule | source |
//! |---|---|
//! | clipped mean | Sun et al., "Can You Really Backdoor Federated Learning?" (2019, arXiv:1911.07963) |
//! | median, trimmed mean | Yin et al., "Byzantine-Robust Distributed Learning" (ICML 2018, arXiv:1803.01498), Definitions 1, 2 |
//! | Krum, multi-Krum | Blanchard et al., "Machine Learning with Adversaries" (NeurIPS 2017, arXiv:1703.02757), section 4 |
//! | geometric median | Pillutla et al., "Robust Aggregation for Federated Learning" (2019, arXiv:1912.13445), algorithm 2 |
//! | centred clipping | Karimireddy et al., "Learning from History" (ICML 2021, arXiv:2012.10333), algorithm 2 |
//! | FLTrust | Cao et al. (NDSS 2021, arXiv:2012.13995), section IV |
//! | bucketing | Karimireddy et al. (ICLR 2022, arXiv:2006.09365), algorithm 1 |
//!
//! # Differences from the papers
//!
//! - Only the clipped mean weighs rows by examples: the count is the member's own claim, so for the other rules every
//!   row counts the same.
//! - `trim` counts values cut from each end, where Yin et al. give a fraction.
//! - Krum breaks ties by the rows' contents.
//! - Centred clipping starts from the aggregate of the round before, and zero in the first; momentum is the members'
//!   affair.
//! - The trusted update of FLTrust is trained on the hold-out, which everyone has, so it is no secret.

mod clipping;
mod distances;
mod geometric;
mod groups;
mod krum;
mod linear;
mod order;
mod round;
mod rows;
mod setting;
mod trust;

#[cfg(test)]
mod laws;

pub use self::{
    groups::{GroupMeans, GroupSum},
    round::{RoundRule, Survivors},
    rows::{Row, Rows},
    setting::Rule,
};
use crate::aggregate::{AggregateError, WeightedSum};

/// What a rule may need besides the rows of a round.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inputs<'a> {
    /// Aggregate of the round before, for centred clipping; absent for zero.
    pub centre: Option<&'a [i32]>,
    /// The trusted update, for FLTrust.
    pub root: Option<&'a [i32]>,
    /// Shuffles rows into buckets.
    pub seed: [u8; 32],
}

/// Why rows could not be combined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No row.
    #[error("no update to aggregate")]
    Empty,
    /// A row has another length than the first.
    #[error("row {index} has {got} coordinates, expected {expected}")]
    ShapeMismatch {
        /// Counted from 0, as given.
        index: usize,
        /// Coordinates of the first row.
        expected: usize,
        /// Coordinates of this one.
        got: usize,
    },
    /// A row has a norm of 2^31 units or more, which exact distances cannot hold.
    #[error("row {index} is longer than 128, the most that is compared")]
    TooLong {
        /// Counted from 0, as given.
        index: usize,
    },
    /// Fewer rows than the rule can work with.
    #[error("{rule} needs {needed} updates, {got} came")]
    TooFew {
        /// Name of the rule.
        rule: &'static str,
        /// Rows needed.
        needed: usize,
        /// Rows given.
        got: usize,
    },
    /// FLTrust without its trusted update.
    #[error("fltrust needs the hold-out, which is not at hand")]
    NoRoot,
    /// The plain mean could not be made.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
}

impl Rule {
    /// Combines the rows of a round.
    ///
    /// # Errors
    /// [`RuleError::TooFew`], [`RuleError::NoRoot`], or a shape that does not fit.
    pub fn combine(&self, rows: &Rows<'_>, inputs: &Inputs<'_>) -> Result<WeightedSum, RuleError> {
        let (needed, got) = (self.fewest_rows(), rows.len());
        if got < needed {
            return Err(RuleError::TooFew {
                rule: self.name(),
                needed,
                got,
            });
        }
        self.combine_few(rows, inputs)
    }

    /// As [`Rule::combine`], but of fewer rows than the rule asks for it cuts, or takes for liars, as many as it can.
    /// That is how a round is made again without one of its members.
    ///
    /// # Errors
    /// [`RuleError::NoRoot`], or a shape that does not fit.
    pub fn combine_few(&self, rows: &Rows<'_>, inputs: &Inputs<'_>) -> Result<WeightedSum, RuleError> {
        let bucket = usize::from(self.bucket());
        if bucket > 1 {
            let buckets = rows.bucket_means(bucket, &inputs.seed);
            let averaged = Rows::new(buckets.rows())?;
            return self.combine_rows(&averaged, inputs);
        }
        self.combine_rows(rows, inputs)
    }

    fn combine_rows(&self, rows: &Rows<'_>, inputs: &Inputs<'_>) -> Result<WeightedSum, RuleError> {
        let count = rows.len();
        Ok(match *self {
            Self::ClippedMean { norm } => clipping::clipped_mean(rows, norm.get()),
            Self::Median { .. } => order::sum_of_ranks(rows, (count - 1) / 2..count / 2 + 1),
            Self::TrimmedMean { trim, .. } => {
                let trim = usize::from(trim).min((count - 1) / 2);
                order::sum_of_ranks(rows, trim..count - trim)
            }
            Self::Krum { faulty, .. } => krum::krum(rows, faulty.into(), 1),
            Self::MultiKrum { faulty, keep, .. } => {
                let keep = keep.map_or_else(|| count.saturating_sub(usize::from(faulty) + 2), usize::from);
                krum::krum(rows, faulty.into(), keep.clamp(1, count))
            }
            Self::GeometricMedian { iterations, .. } => geometric::geometric_median(rows, iterations),
            Self::CentredClipping {
                radius, iterations, ..
            } => clipping::centred(rows, inputs.centre, radius.get(), iterations)?,
            Self::Fltrust { .. } => trust::trusted(rows, inputs.root.ok_or(RuleError::NoRoot)?)?,
        })
    }
}
