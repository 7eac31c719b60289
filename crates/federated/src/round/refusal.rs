//! Why an update does not count, and why a member did not survive.

use std::fmt;

use counterweight_primitives::ContentDigest;
use serde::{Deserialize, Serialize};

use crate::update::UpdateError;

/// Why an update does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Refusal {
    /// It came when no round was open, or too late in this one.
    #[error("the update came too late: round {round} took updates until second {deadline}")]
    Late {
        /// The round.
        round: u32,
        /// Last second for updates.
        deadline: u64,
    },
    /// It belongs to another study.
    #[error("the update belongs to study {got}, not {expected}")]
    WrongStudy {
        /// This study.
        expected: u64,
        /// Its study.
        got: u64,
    },
    /// It belongs to another round: a replay, or a member behind or ahead.
    #[error("the update belongs to round {got}, not {expected}")]
    WrongRound {
        /// The open round.
        expected: u32,
        /// Its round.
        got: u32,
    },
    /// It names another member than the one that sent it.
    #[error("the update names member {got}, member {expected} sent it")]
    WrongMember {
        /// Who sent it.
        expected: u8,
        /// Whom it names.
        got: u8,
    },
    /// Who sent it is not a member.
    #[error("{sender} is not a member of this study")]
    NotAMember {
        /// Account that signed.
        sender: String,
    },
    /// Its member was not asked in this round.
    #[error("member {member} was not asked for an update in this round")]
    NotAsked {
        /// The member.
        member: u8,
    },
    /// It was fitted from other parameters.
    #[error("the update starts from {got}, the round from {expected}")]
    WrongBase {
        /// Parameters of the round.
        expected: ContentDigest,
        /// Parameters it names.
        got: ContentDigest,
    },
    /// Its member committed nothing.
    #[error("member {member} has committed no update to this round")]
    NotCommitted {
        /// The member.
        member: u8,
    },
    /// It is not what its member committed.
    #[error("the update is {got}, member {member} committed {expected}")]
    NotTheCommitted {
        /// The member.
        member: u8,
        /// Digest on the ledger.
        expected: ContentDigest,
        /// Digest of what came.
        got: ContentDigest,
    },
    /// It cannot be read.
    #[error("the update cannot be read: {reason}")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// It has another shape than the model.
    #[error("the update has {got} coordinates, the model has {expected}")]
    WrongShape {
        /// Coordinates of the model.
        expected: u64,
        /// Coordinates of the update.
        got: u64,
    },
    /// Its norm is beyond the clip.
    #[error("the update has norm {norm}, the clip is {clip}")]
    BeyondClip {
        /// Its norm.
        norm: String,
        /// The clip.
        clip: String,
    },
    /// It claims no examples, or more than allowed.
    #[error("the update claims {got} examples, from 1 to {limit} are allowed")]
    Examples {
        /// Most allowed.
        limit: u32,
        /// Claimed.
        got: u32,
    },
    /// Its member is out of this round.
    #[error("member {member} is out of this round")]
    Excluded {
        /// The member.
        member: u8,
    },
}

/// Why a member did not survive a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "absence", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Absence {
    /// It committed nothing in time.
    NeverCommitted,
    /// It committed and what it committed did not arrive in time.
    NeverUploaded,
    /// It announced no key for a masked round, or dealt nothing in time.
    NeverDealt,
    /// Too few of its group were left to open a sum.
    GroupLeftOut,
    /// What it committed breaks the rules.
    Refused {
        /// Which rule.
        reason: Refusal,
    },
    /// It said itself that it takes no part.
    Declined {
        /// Its own words.
        reason: String,
    },
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverCommitted => f.write_str("committed no update in time"),
            Self::NeverUploaded => f.write_str("committed an update that did not arrive in time"),
            Self::NeverDealt => f.write_str("announced no key or dealt no shares in time"),
            Self::GroupLeftOut => f.write_str("was in a group of which too few were left"),
            Self::Refused { reason } => reason.fmt(f),
            Self::Declined { reason } => write!(f, "took no part: {reason}"),
        }
    }
}

impl From<UpdateError> for Refusal {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::OtherStudy { expected, got } => Self::WrongStudy {
                expected: expected.0,
                got: got.0,
            },
            UpdateError::OtherRound { expected, got } => Self::WrongRound {
                expected: expected.0,
                got: got.0,
            },
            UpdateError::OtherMember { expected, got } => Self::WrongMember {
                expected: expected.0,
                got: got.0,
            },
            UpdateError::OtherBase { expected, got } => Self::WrongBase { expected, got },
            UpdateError::ShapeMismatch { expected, got } => Self::WrongShape {
                expected: expected as u64,
                got: got as u64,
            },
            UpdateError::Examples { limit, got } => Self::Examples { limit, got },
            UpdateError::BeyondClip { norm, clip } => Self::BeyondClip {
                norm: norm.to_string(),
                clip: clip.to_string(),
            },
            error @ (UpdateError::Malformed { .. }
            | UpdateError::NotFinite { .. }
            | UpdateError::ClipRange { .. }) => Self::Unreadable {
                reason: error.to_string(),
            },
        }
    }
}
