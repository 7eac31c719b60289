//! What a member sends in a round.

use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId};

use crate::parameters::Parameters;

/// Bits after the binary point of a coordinate.
pub const FRACTION_BITS: u32 = 24;
/// Largest clip: coordinates of an update within it fit an `i32`.
pub const LARGEST_CLIP: f64 = 127.0;
/// Most examples one update may claim, so that 64 members fit the exact sum.
pub const MOST_EXAMPLES: u32 = 1 << 26;

/// An update as it arrived or was made: anyone may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The study.
    pub study: StudyId,
    /// The round.
    pub round: Round,
    /// Who trained.
    pub member: MemberIndex,
    /// Digest of the parameters that training started from.
    pub base: ContentDigest,
    /// Rows trained on: the weight in the mean.
    pub examples: u32,
    /// Trained minus base, in units of 2^-24.
    pub coordinates: Vec<i32>,
}

/// What an update must fit.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateRules {
    /// The study.
    pub study: StudyId,
    /// The open round.
    pub round: Round,
    /// Digest of the round's base parameters.
    pub base: ContentDigest,
    /// Parameters of the model.
    pub coordinates: usize,
    /// Largest L2 norm.
    pub clip: f64,
    /// Most examples.
    pub most_examples: u32,
}

/// An update that fits the rules of its round. Made only by [`Update::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedUpdate(Update);

/// Why an update is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The bytes are no update record.
    #[error("not an update: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// For another study.
    #[error("the update is for study {got}, expected study {expected}")]
    OtherStudy {
        /// The study it should be for.
        expected: StudyId,
        /// The study it names.
        got: StudyId,
    },
    /// For another round.
    #[error("the update is for round {got}, expected round {expected}")]
    OtherRound {
        /// The open round.
        expected: Round,
        /// The round it names.
        got: Round,
    },
    /// From another member than expected.
    #[error("the update is from member {got}, expected member {expected}")]
    OtherMember {
        /// Who should have sent it.
        expected: MemberIndex,
        /// Who it names.
        got: MemberIndex,
    },
    /// Trained from other parameters.
    #[error("the update started from {got}, the round starts from {expected}")]
    OtherBase {
        /// The round's base.
        expected: ContentDigest,
        /// The update's base.
        got: ContentDigest,
    },
    /// Another model shape.
    #[error("the update has {got} coordinates, the model has {expected}")]
    ShapeMismatch {
        /// Parameters of the model.
        expected: usize,
        /// Coordinates of the update.
        got: usize,
    },
    /// No examples, or more than allowed.
    #[error("the update claims {got} examples, from 1 to {limit} are allowed")]
    Examples {
        /// Most allowed.
        limit: u32,
        /// Claimed.
        got: u32,
    },
    /// L2 norm beyond the clip.
    #[error("the update has norm {norm}, the clip is {clip}")]
    BeyondClip {
        /// Its norm.
        norm: f64,
        /// The clip.
        clip: f64,
    },
    /// Training gave NaN or an infinity.
    #[error("coordinate {index} is not a finite number")]
    NotFinite {
        /// Counted from 0.
        index: usize,
    },
}

impl Update {
    /// Trained minus base, clipped to the rules' norm and rounded to fixed point.
    ///
    /// # Errors
    /// [`UpdateError::ShapeMismatch`], [`UpdateError::NotFinite`], [`UpdateError::Examples`].
    pub fn of_training(
        rules: &UpdateRules,
        member: MemberIndex,
        base: &Parameters,
        trained: &Parameters,
        examples: u32,
    ) -> Result<CheckedUpdate, UpdateError> {
        let _ = (rules, member, base, trained, examples);
        Err(UpdateError::NotFinite { index: 0 })
    }

    /// The bytes of `docs/spec/update.md`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads them; an update of more than `most_coordinates` is refused before memory is taken.
    ///
    /// # Errors
    /// [`UpdateError::Malformed`].
    pub fn decode(bytes: &[u8], most_coordinates: usize) -> Result<Self, UpdateError> {
        let _ = (bytes, most_coordinates);
        Err(UpdateError::Malformed { what: String::new() })
    }

    /// BLAKE3 digest of the bytes: what is committed on the chain.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(&self.encode())
    }

    /// Checks it against the round and the member it came from.
    ///
    /// # Errors
    /// The variant of [`UpdateError`] that names what is wrong.
    pub fn check(self, rules: &UpdateRules, member: MemberIndex) -> Result<CheckedUpdate, UpdateError> {
        let _ = (rules, member);
        Err(UpdateError::Malformed { what: String::new() })
    }
}

impl CheckedUpdate {
    /// What was checked.
    #[must_use]
    pub fn get(&self) -> &Update {
        &self.0
    }
}
