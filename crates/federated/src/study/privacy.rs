//! `training.privacy`: what may be told of a row, or of a whole member, and what a study has spent of it.

pub mod member;
pub mod row;
pub mod spending;

use serde::{Deserialize, Serialize};

pub use self::{member::MemberPrivacy, row::RowPrivacy, spending::Spending};
use super::masking::Masking;
use crate::{
    decimal::Decimal,
    privacy::{Accountant, Budget, PrivacyError, noise::ReleaseError},
    training::LocalTraining,
};

/// Whose privacy is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Each row of each member.
    #[default]
    Row,
    /// Each member with all it has.
    Member,
}

/// `[training.privacy]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrivacySection {
    /// Whose.
    #[serde(default)]
    pub unit: Unit,
    /// ε that all rounds together may spend.
    pub epsilon: Decimal,
    /// δ, below one over the number of rows or members.
    #[serde(default = "hundred_thousandth")]
    pub delta: Decimal,
    /// Standard deviation of the noise over the sensitivity; the least that pays for all rounds if absent.
    pub noise: Option<Decimal>,
    /// Of rows: largest norm of one row's gradient, above 0 to 127.
    pub row_clip: Option<Decimal>,
    /// Of rows: chance of each to be in a step; 1 if absent.
    pub sample: Option<Decimal>,
    /// Of members that mask: how many of the fewest survivors of a group are counted on to add their noise and to keep it
    /// to themselves; all of them if absent.
    pub honest: Option<u8>,
}

fn hundred_thousandth() -> Decimal {
    "0.00001".parse().expect("a literal")
}

fn whole() -> Decimal {
    Decimal::from(1)
}

/// What the terms of a study promise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Privacy {
    /// To each row of each member.
    Row(RowPrivacy),
    /// To each member.
    Member(MemberPrivacy),
}

/// What of a study's terms its privacy depends on.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// What a member does in a round.
    pub local: &'a LocalTraining,
    /// Largest norm of an update.
    pub clip: f64,
    /// Parameters of the model.
    pub coordinates: usize,
    /// How updates are masked, if they are.
    pub masking: Option<&'a Masking>,
}

/// Why a promise of privacy cannot be made or kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PromiseError {
    /// The accountant refuses.
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
    /// A clip or noise out of range.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// Training that clips no rows.
    #[error("rows are private only with local-steps, the optimiser \"sgd\" and no proximal term")]
    Training,
    /// More steps than are counted.
    #[error("{rounds} rounds of {steps} steps are more than can be accounted for")]
    Steps {
        /// Rounds.
        rounds: u32,
        /// Steps of each.
        steps: u32,
    },
    /// The noise is too little.
    #[error("{rounds} rounds spend an epsilon of {spent:.4}, {promised} is promised")]
    Overspent {
        /// Rounds.
        rounds: u32,
        /// What they spend.
        spent: f64,
        /// What the terms promise.
        promised: f64,
    },
    /// A setting out of range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Given.
        value: f64,
        /// Its range.
        expected: &'static str,
    },
    /// A setting of one unit in a promise to the other.
    #[error("{setting} is for {of}, the unit is {unit}")]
    OtherUnit {
        /// Which.
        setting: &'static str,
        /// What it is for.
        of: &'static str,
        /// What is promised.
        unit: &'static str,
    },
    /// A setting without which nothing can be promised.
    #[error("{setting} is missing: {expected}")]
    Missing {
        /// Which.
        setting: &'static str,
        /// What it says.
        expected: &'static str,
    },
    /// Members that do not count the same.
    #[error(
        "most-examples of the masking is {got}: 1 with the unit \"member\", since how many rows a member has is among what is kept private"
    )]
    Weights {
        /// Given.
        got: u32,
    },
    /// Words of a masked sum cannot hold the noise.
    #[error(
        "sums of {members} updates with this noise do not fit 32 bits: less noise, a smaller clip or smaller groups"
    )]
    Words {
        /// Members of the largest group.
        members: u16,
    },
}

impl PrivacySection {
    /// What the terms say: with the noise given, which must pay for one round, or else the least that pays for so many.
    ///
    /// # Errors
    /// [`PromiseError`].
    pub fn planned(&self, setting: &Setting<'_>, rounds: u32) -> Result<Privacy, PromiseError> {
        let noise = self.noise.unwrap_or_else(whole);
        let planned = match self.unit {
            Unit::Row => {
                for (setting, given) in [("honest", self.honest.is_some())] {
                    if given {
                        let (of, unit) = ("members that mask", "row");
                        return Err(PromiseError::OtherUnit { setting, of, unit });
                    }
                }
                Privacy::Row(RowPrivacy {
                    epsilon: self.epsilon,
                    delta: self.delta,
                    row_clip: self.row_clip.ok_or(PromiseError::Missing {
                        setting: "row-clip",
                        expected: "the largest norm of one row's gradient",
                    })?,
                    sample: self.sample.unwrap_or_else(whole),
                    noise,
                })
            }
            Unit::Member => {
                for (setting, given) in [
                    ("row-clip", self.row_clip.is_some()),
                    ("sample", self.sample.is_some()),
                ] {
                    if given {
                        let (of, unit) = ("rows", "member");
                        return Err(PromiseError::OtherUnit { setting, of, unit });
                    }
                }
                Privacy::Member(MemberPrivacy {
                    epsilon: self.epsilon,
                    delta: self.delta,
                    noise,
                    honest: self.honest,
                })
            }
        };
        if self.noise.is_some() {
            planned.check(setting, 1)?;
            return Ok(planned);
        }
        let planned = match planned {
            Privacy::Row(row) => Privacy::Row(row.with_least_noise(setting, rounds)?),
            Privacy::Member(member) => Privacy::Member(member.with_least_noise(setting, rounds)?),
        };
        planned.check(setting, rounds)?;
        Ok(planned)
    }
}

impl Privacy {
    /// What may be spent.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let (epsilon, delta) = match self {
            Self::Row(row) => (row.epsilon, row.delta),
            Self::Member(member) => (member.epsilon, member.delta),
        };
        Budget {
            epsilon: epsilon.get(),
            delta: delta.get(),
        }
    }

    /// Whose privacy it is, for people.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Row(_) => "row",
            Self::Member(_) => "member",
        }
    }

    /// The promise to whole members, if that is what is promised.
    #[must_use]
    pub fn of_member(&self) -> Option<&MemberPrivacy> {
        match self {
            Self::Row(_) => None,
            Self::Member(member) => Some(member),
        }
    }

    /// What a round costs at most: with the fewest survivors that one can have.
    pub(super) fn costliest_round(&self, setting: &Setting<'_>) -> Result<Accountant, PromiseError> {
        match self {
            Self::Row(row) => row.round(setting),
            Self::Member(member) => member.round(setting, member.fewest(setting)),
        }
    }

    /// ε spent at the terms' δ by so many rounds, each at its costliest.
    ///
    /// # Errors
    /// [`PromiseError`].
    pub fn spent_at_most(&self, setting: &Setting<'_>, rounds: u32) -> Result<f64, PromiseError> {
        let budget = self.budget();
        budget.check()?;
        let mut spent = Accountant::new();
        let round = self.costliest_round(setting)?;
        // One by one, as rounds are counted later: a plan that just fits must not fail by the last bit.
        for _ in 0..rounds {
            spent.add(&round, 1);
        }
        Ok(spent.epsilon(budget.delta))
    }

    /// Whether so many rounds keep the promise, whoever survives them.
    ///
    /// # Errors
    /// [`PromiseError`].
    pub fn check(&self, setting: &Setting<'_>, rounds: u32) -> Result<(), PromiseError> {
        let (spent, promised) = (self.spent_at_most(setting, rounds)?, self.budget().epsilon);
        if spent <= promised {
            return Ok(());
        }
        Err(PromiseError::Overspent {
            rounds,
            spent,
            promised,
        })
    }
}

/// The promise as it is written in terms: rows are not named, as in the terms of studies that know no other unit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Unit>,
    epsilon: Decimal,
    delta: Decimal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    row_clip: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<Decimal>,
    noise: Decimal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    honest: Option<u8>,
}

impl From<Privacy> for Written {
    fn from(privacy: Privacy) -> Self {
        match privacy {
            Privacy::Row(row) => Self {
                unit: None,
                epsilon: row.epsilon,
                delta: row.delta,
                row_clip: Some(row.row_clip),
                sample: Some(row.sample),
                noise: row.noise,
                honest: None,
            },
            Privacy::Member(member) => Self {
                unit: Some(Unit::Member),
                epsilon: member.epsilon,
                delta: member.delta,
                row_clip: None,
                sample: None,
                noise: member.noise,
                honest: member.honest,
            },
        }
    }
}

impl TryFrom<Written> for Privacy {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written {
            unit,
            epsilon,
            delta,
            row_clip,
            sample,
            noise,
            honest,
        } = written;
        match (unit, row_clip, sample) {
            (None, Some(row_clip), Some(sample)) if honest.is_none() => Ok(Self::Row(RowPrivacy {
                epsilon,
                delta,
                row_clip,
                sample,
                noise,
            })),
            (Some(Unit::Member), None, None) => Ok(Self::Member(MemberPrivacy {
                epsilon,
                delta,
                noise,
                honest,
            })),
            _ => Err("privacy is of rows, with row-clip and sample, or has the unit \"member\" and neither"),
        }
    }
}
