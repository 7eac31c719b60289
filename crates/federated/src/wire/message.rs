//! JSON bodies.

use counterweight_primitives::{Address, ContentDigest, Round, StudyId, UnixSeconds};
use serde::{Deserialize, Serialize};

use crate::{
    coordinator::{Answer, Notice, RoundNotice},
    ledger::Phase,
    member_set::MEMBERS_MAX,
    round::Refusal,
};

/// Where a study stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NoticeMessage {
    /// Changes whenever the rest does. Sent back as `seen` to wait for the next change.
    pub version: u64,
    /// The study.
    pub study: StudyId,
    /// Digest of its terms.
    pub terms: ContentDigest,
    /// `enrolling`, `running`, `finished`, `cancelled` or `abandoned`.
    pub phase: String,
    /// The open round.
    pub round: Option<RoundMessage>,
    /// Accounts of the members.
    pub members: Vec<Address>,
}

/// An open round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RoundMessage {
    /// Its number.
    pub round: Round,
    /// Digest of the parameters it starts from.
    pub base: ContentDigest,
    /// Last second for commitments.
    pub commit_by: UnixSeconds,
    /// Last second for uploads.
    pub upload_by: UnixSeconds,
}

/// The answer to an update or a decline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AnswerMessage {
    /// `stored` or `already-stored`.
    pub answer: String,
}

/// Why a member takes no part in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeclineMessage {
    /// In its own words, at most 1,000 bytes.
    pub reason: String,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ErrorMessage {
    /// One of the codes in the specification, such as `wrong-signature`.
    pub error: String,
    /// In words.
    pub message: String,
    /// Why the update does not count, where that is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Parts of a body that have not come, where that is the reason; at most 256 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<ContentDigest>,
}

/// A message holds something that is not possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// No such phase.
    #[error("\"{got}\" is no phase of a study")]
    Phase {
        /// What it says.
        got: String,
    },
    /// More members than a study has.
    #[error("{got} members, a study has at most {MEMBERS_MAX}")]
    Members {
        /// How many it lists.
        got: usize,
    },
    /// No such answer.
    #[error("\"{got}\" is no answer")]
    Answer {
        /// What it says.
        got: String,
    },
}

const PHASES: [(&str, Phase); 5] = [
    ("enrolling", Phase::Enrolling),
    ("running", Phase::Running),
    ("finished", Phase::Finished),
    ("cancelled", Phase::Cancelled),
    ("abandoned", Phase::Abandoned),
];

impl NoticeMessage {
    /// The message for a notice.
    #[must_use]
    pub fn new(version: u64, notice: &Notice) -> Self {
        let phase = PHASES
            .iter()
            .find(|(_, phase)| *phase == notice.phase)
            .map_or("", |(name, _)| name);
        Self {
            version,
            study: notice.study,
            terms: notice.terms,
            phase: phase.to_owned(),
            round: notice.round.map(|round| RoundMessage {
                round: round.round,
                base: round.base,
                commit_by: round.commit_by,
                upload_by: round.upload_by,
            }),
            members: notice.members.clone(),
        }
    }

    /// The notice in it.
    ///
    /// # Errors
    /// [`MessageError::Phase`] or [`MessageError::Members`].
    pub fn into_notice(self) -> Result<Notice, MessageError> {
        let Some((_, phase)) = PHASES.iter().find(|(name, _)| *name == self.phase) else {
            return Err(MessageError::Phase { got: self.phase });
        };
        if self.members.len() > MEMBERS_MAX {
            return Err(MessageError::Members {
                got: self.members.len(),
            });
        }
        Ok(Notice {
            study: self.study,
            terms: self.terms,
            phase: *phase,
            round: self.round.map(|round| RoundNotice {
                round: round.round,
                base: round.base,
                commit_by: round.commit_by,
                upload_by: round.upload_by,
            }),
            members: self.members,
        })
    }
}

impl AnswerMessage {
    /// The answer in it.
    ///
    /// # Errors
    /// [`MessageError::Answer`].
    pub fn into_answer(self) -> Result<Answer, MessageError> {
        match self.answer.as_str() {
            "stored" => Ok(Answer::Stored),
            "already-stored" => Ok(Answer::AlreadyStored),
            _ => Err(MessageError::Answer { got: self.answer }),
        }
    }
}
