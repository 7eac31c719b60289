//! A rule with its settings, as terms and configuration hold it.

use serde::{Deserialize, Serialize};

use crate::{decimal::Decimal, update::LARGEST_CLIP};

/// Most passes of a rule that iterates.
const MOST_ITERATIONS: u16 = 1000;

/// A rule that combines the vectors of a round, with its settings. The exact weighted mean is no rule of these: it is
/// what a study without one uses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "rule", deny_unknown_fields)]
pub enum Rule {
    /// The mean by examples of updates scaled down to a norm.
    ClippedMean {
        /// Largest norm of an update in the mean.
        norm: Decimal,
    },
    /// The middle value of each coordinate, or the mean of the two middle ones.
    Median {
        /// Updates averaged before the rule.
        #[serde(default = "one")]
        bucket: u8,
    },
    /// The mean of each coordinate's values without the lowest and highest.
    TrimmedMean {
        /// Values cut from each end.
        trim: u8,
        /// Updates averaged before the rule.
        #[serde(default = "one")]
        bucket: u8,
    },
    /// The update nearest to its neighbours.
    Krum {
        /// Members that may lie.
        faulty: u8,
        /// Updates averaged before the rule.
        #[serde(default = "one")]
        bucket: u8,
    },
    /// The mean of the updates nearest to their neighbours.
    MultiKrum {
        /// Members that may lie.
        faulty: u8,
        /// Updates kept; all but `faulty` and 2 if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<u8>,
        /// Updates averaged before the rule.
        #[serde(default = "one")]
        bucket: u8,
    },
    /// The point with the least sum of distances to the updates (RFA).
    GeometricMedian {
        /// Steps of Weiszfeld's algorithm.
        #[serde(default = "thirty_two")]
        iterations: u16,
        /// Updates averaged before the rule.
        #[serde(default = "one")]
        bucket: u8,
    },
    /// The mean of steps from the aggregate before, each scaled down to a radius.
    CentredClipping {
        /// Longest step.
        radius: Decimal,
        /// Passes, each from the point the last one reached.
        #[serde(default = "three")]
        iterations: u16,
        /// Updates averaged before the rule.
        #[serde(default = "one")]
        bucket: u8,
    },
    /// Updates weighted by their angle to one trained on the hold-out, and scaled to its length.
    Fltrust {
        /// Updates averaged before the rule.
        #[serde(default = "one")]
        bucket: u8,
    },
}

fn one() -> u8 {
    1
}
fn three() -> u16 {
    3
}
fn thirty_two() -> u16 {
    32
}

impl Rule {
    /// Names of all rules.
    pub const NAMES: [&str; 8] = [
        "clipped-mean",
        "median",
        "trimmed-mean",
        "krum",
        "multi-krum",
        "geometric-median",
        "centred-clipping",
        "fltrust",
    ];

    /// Its name in configuration and terms.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ClippedMean { .. } => "clipped-mean",
            Self::Median { .. } => "median",
            Self::TrimmedMean { .. } => "trimmed-mean",
            Self::Krum { .. } => "krum",
            Self::MultiKrum { .. } => "multi-krum",
            Self::GeometricMedian { .. } => "geometric-median",
            Self::CentredClipping { .. } => "centred-clipping",
            Self::Fltrust { .. } => "fltrust",
        }
    }

    /// Updates averaged before the rule; 1 for none.
    #[must_use]
    pub fn bucket(&self) -> u8 {
        match *self {
            Self::ClippedMean { .. } => 1,
            Self::Median { bucket }
            | Self::TrimmedMean { bucket, .. }
            | Self::Krum { bucket, .. }
            | Self::MultiKrum { bucket, .. }
            | Self::GeometricMedian { bucket, .. }
            | Self::CentredClipping { bucket, .. }
            | Self::Fltrust { bucket } => bucket,
        }
    }

    /// Fewest updates it works with: 2 trim + 1 for the trimmed mean, 2 faulty + 3 for Krum, and as many as fill so
    /// many buckets.
    #[must_use]
    pub fn fewest_rows(&self) -> usize {
        let vectors = match *self {
            Self::TrimmedMean { trim, .. } => 2 * usize::from(trim) + 1,
            Self::Krum { faulty, .. } => 2 * usize::from(faulty) + 3,
            Self::MultiKrum { faulty, keep, .. } => {
                (2 * usize::from(faulty) + 3).max(usize::from(faulty) + usize::from(keep.unwrap_or(0)))
            }
            _ => 1,
        };
        (vectors - 1) * usize::from(self.bucket().max(1)) + 1
    }

    /// Whether it needs an update trained on the hold-out.
    #[must_use]
    pub fn needs_root(&self) -> bool {
        matches!(self, Self::Fltrust { .. })
    }

    /// Whether it starts from the aggregate of the round before.
    #[must_use]
    pub fn needs_centre(&self) -> bool {
        matches!(self, Self::CentredClipping { .. })
    }

    /// Whether each setting is in its range; otherwise the setting and the range.
    ///
    /// # Errors
    /// The setting's key and what is expected of it.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let length = |value: Decimal| value.get() > 0.0 && value.get() <= LARGEST_CLIP;
        let passes = |count: u16| (1..=MOST_ITERATIONS).contains(&count);
        match *self {
            Self::ClippedMean { norm } if !length(norm) => {
                return Err(("norm", "above 0 and at most 127"));
            }
            Self::MultiKrum { keep: Some(0), .. } => return Err(("keep", "at least 1")),
            Self::CentredClipping { radius, .. } if !length(radius) => {
                return Err(("radius", "above 0 and at most 127"));
            }
            Self::GeometricMedian { iterations, .. } | Self::CentredClipping { iterations, .. }
                if !passes(iterations) =>
            {
                return Err(("iterations", "from 1 to 1000"));
            }
            _ => {}
        }
        if !(1..=16).contains(&self.bucket()) {
            return Err(("bucket", "from 1 to 16"));
        }
        // Sixty-four members at most: what cannot be met is better refused before anybody joins.
        if self.fewest_rows() > 64 {
            let setting = match self {
                Self::TrimmedMean { .. } => "trim",
                _ => "faulty",
            };
            return Err((setting, "so low that 64 members are enough"));
        }
        Ok(())
    }
}
