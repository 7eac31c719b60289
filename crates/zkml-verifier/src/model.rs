//! A model as everybody knows it: its architecture and the commitment to its weights.

use crate::transcript::keccak256;
use counterweight_primitives::architecture::Architecture;

use crate::curve::{G1_BYTES, G1Affine, encode_g1};
use crate::encoding::{EncodingError, ProofReader};
use crate::field::Word;
use crate::opening::Scheme;
use crate::plan::{PlanError, WeightPlan};
use crate::srs::SrsId;

/// Bytes before the rows of an encoded commitment.
const HEADER_BYTES: usize = 2;

/// Hiding commitments to the rows of a model's weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightCommitment {
    /// Bits of a row's index.
    pub row_bits: usize,
    /// How rows are opened.
    pub scheme: Scheme,
    /// One commitment for each row.
    pub rows: Vec<G1Affine>,
}

/// Why bytes do not commit to weights of an architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitmentError {
    /// The architecture does not fit rows of this length.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No opening has this number.
    #[error("opening scheme {got}: known are 1 (Mercury) and 2 (HyperKZG)")]
    Scheme {
        /// The number found.
        got: u8,
    },
    /// The rows are not as many as the architecture takes.
    #[error("the commitment has {got} bytes, the architecture takes {expected}")]
    Length {
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        got: usize,
    },
    /// A row is no point.
    #[error("the commitment does not decode")]
    Encoding(#[from] EncodingError),
}

impl WeightCommitment {
    /// Reads the commitment to weights of an architecture: the bits of a row's index, the number of the opening scheme, the rows.
    ///
    /// # Errors
    /// [`CommitmentError`].
    pub fn decode(architecture: &Architecture, bytes: &[u8]) -> Result<Self, CommitmentError> {
        let short = CommitmentError::Length {
            expected: HEADER_BYTES + G1_BYTES,
            got: bytes.len(),
        };
        let Some(([row_bits, scheme], rows)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(short);
        };
        let row_bits = usize::from(*row_bits);
        let scheme = Scheme::from_number(*scheme).ok_or(CommitmentError::Scheme { got: *scheme })?;
        let plan = WeightPlan::new(architecture, row_bits)?;
        let expected = HEADER_BYTES + G1_BYTES * plan.rows;
        if bytes.len() != expected {
            return Err(CommitmentError::Length {
                expected,
                got: bytes.len(),
            });
        }
        let mut reader = ProofReader::new(rows);
        let rows = (0..plan.rows).map(|_| reader.point()).collect::<Result<_, _>>()?;
        Ok(Self {
            row_bits,
            scheme,
            rows,
        })
    }

    /// Its bytes, as [`decode`](Self::decode) reads them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // A checked commitment has fewer than 256 bits.
        let mut bytes = vec![self.row_bits as u8, self.scheme as u8];
        bytes.extend(encode_rows(&self.rows));
        bytes
    }

    /// keccak256 of its bytes.
    #[must_use]
    pub fn hash(&self) -> Word {
        keccak256(&self.encode())
    }
}

/// Row commitments one after the other.
#[must_use]
pub fn encode_rows(rows: &[G1Affine]) -> Vec<u8> {
    rows.iter().flat_map(encode_g1).collect()
}

/// A model whose proofs can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// All of it but the weights.
    pub architecture: Architecture,
    /// What hides and fixes the weights.
    pub commitment: WeightCommitment,
}

impl Model {
    /// The id under which the contract registers it, under a set-up.
    #[must_use]
    pub fn id(&self, srs: SrsId) -> Word {
        keccak256(&[srs.0, self.architecture.hash().0, self.commitment.hash()].concat())
    }
}
