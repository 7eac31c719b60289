//! Why something could not be committed to or proven.

use counterweight_inference::InputError;
use counterweight_zkml_verifier::plan::PlanError;
use counterweight_zkml_verifier::srs::SrsId;

use crate::opening::OpenError;

/// Why something could not be committed to or proven.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The architecture does not fit rows of this length, or cannot be proven.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The input does not have the network's shape.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The set-up has another row length than the model was committed to with.
    #[error("the model was committed to in rows of 2^{expected} cells, the set-up is for rows of 2^{got}")]
    RowBits {
        /// The model's.
        expected: usize,
        /// The set-up's.
        got: usize,
    },
    /// The set-up is another than the model was committed to under.
    #[error("the model was committed to under set-up {expected}, this is {got}")]
    OtherSrs {
        /// The model's.
        expected: SrsId,
        /// The one given.
        got: SrsId,
    },
    /// A challenge fell on a value that the lookups cannot be proven for (chance below 2^-230).
    #[error("a challenge makes a denominator zero: prove again")]
    DegenerateChallenge,
    /// The row could not be opened.
    #[error("the combined row could not be opened")]
    Open(#[from] OpenError),
}
