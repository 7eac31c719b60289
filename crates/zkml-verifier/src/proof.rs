//! What a prover sends, read against the plan that fixes every length.

use crate::curve::G1Affine;
use crate::encoding::{EncodingError, ProofReader};
use crate::field::{Field, Fr};
use crate::plan::{COLUMNS, ROUND_DEGREE};

/// Coefficients of a round of the first sum-check: all but the linear one, which the claim gives.
pub type FirstRound = [Fr; ROUND_DEGREE];
/// Constant and quadratic coefficient of a round of the second.
pub type SecondRound = [Fr; 2];

/// How many of each thing a proof holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofShape {
    /// Rows that commit to the weights.
    pub weight_rows: usize,
    /// Rows that commit to a private input.
    pub input_rows: usize,
    /// Rows of the first witness vector.
    pub first_rows: usize,
    /// Rows of the second.
    pub second_rows: usize,
    /// Rounds of the first sum-check.
    pub rounds: usize,
    /// Values revealed after it.
    pub evaluations: usize,
    /// Bits of a row's index, which are the rounds of the second.
    pub row_bits: usize,
    /// Bytes of the opening.
    pub opening: usize,
}

impl ProofShape {
    /// Rows that mask the second sum-check and the opening.
    const MASK_ROWS: usize = 3;

    /// Exactly how many bytes such a proof has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let points =
            self.weight_rows + self.input_rows + self.first_rows + Self::MASK_ROWS + self.second_rows;
        let scalars = 1 + ROUND_DEGREE * self.rounds + self.evaluations + 1 + 2 * self.row_bits + 2;
        64 * points + 32 * scalars + self.opening
    }
}

/// A proof, decoded and nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof<'a> {
    /// Commitments to the rows of the weights.
    pub weights: Vec<G1Affine>,
    /// Commitments to the rows of a private input.
    pub input: Vec<G1Affine>,
    /// Commitments to the rows of the first witness vector.
    pub first: Vec<G1Affine>,
    /// The two rows that mask the second sum-check.
    pub round_masks: [G1Affine; 2],
    /// The uniform row that masks the opening.
    pub row_mask: G1Affine,
    /// Commitments to the rows of the second witness vector.
    pub second: Vec<G1Affine>,
    /// Claimed sum of the first sum-check.
    pub sum: Fr,
    /// Its rounds.
    pub rounds: Vec<FirstRound>,
    /// Values revealed after it.
    pub evaluations: Vec<Fr>,
    /// What the masks of the second sum-check add up to.
    pub mask_sum: Fr,
    /// Its rounds.
    pub row_rounds: Vec<SecondRound>,
    /// The row mask's value at the last point.
    pub mask_value: Fr,
    /// The combined blinding of everything opened.
    pub blinding: Fr,
    /// The opening.
    pub opening: &'a [u8],
}

impl<'a> Proof<'a> {
    /// Reads a proof of a known shape. Nothing is reserved on the proof's word: the shape comes from a checked plan.
    ///
    /// # Errors
    /// [`EncodingError`].
    pub fn decode(shape: &ProofShape, bytes: &'a [u8]) -> Result<Self, EncodingError> {
        let mut reader = ProofReader::new(bytes);
        let points = |reader: &mut ProofReader<'a>, count: usize| {
            (0..count).map(|_| reader.point()).collect::<Result<Vec<_>, _>>()
        };
        let proof = Self {
            weights: points(&mut reader, shape.weight_rows)?,
            input: points(&mut reader, shape.input_rows)?,
            first: points(&mut reader, shape.first_rows)?,
            round_masks: [reader.point()?, reader.point()?],
            row_mask: reader.point()?,
            second: points(&mut reader, shape.second_rows)?,
            sum: reader.scalar()?,
            rounds: (0..shape.rounds)
                .map(|_| reader.scalars())
                .collect::<Result<_, _>>()?,
            evaluations: (0..shape.evaluations)
                .map(|_| reader.scalar())
                .collect::<Result<_, _>>()?,
            mask_sum: reader.scalar()?,
            row_rounds: (0..shape.row_bits)
                .map(|_| reader.scalars())
                .collect::<Result<_, _>>()?,
            mask_value: reader.scalar()?,
            blinding: reader.scalar()?,
            opening: reader.bytes(shape.opening)?,
        };
        reader.finish()?;
        Ok(proof)
    }
}

/// Values revealed after the first sum-check of an inference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Revealed<'a> {
    /// The slots' columns.
    pub(crate) columns: [Fr; COLUMNS],
    /// The slots' inverse.
    pub(crate) slot_inverse: Fr,
    /// The table's inverse.
    pub(crate) table_inverse: Fr,
    /// The table's multiplicity.
    pub(crate) multiplicity: Fr,
    /// The extended input of each weighted layer that reads a hidden node.
    pub(crate) inputs: &'a [Fr],
}

impl<'a> Revealed<'a> {
    /// Names the values in the order in which they come. Their number was fixed when the proof was read.
    pub(crate) fn new(evaluations: &'a [Fr]) -> Self {
        let (columns, rest) = evaluations
            .split_first_chunk::<COLUMNS>()
            .unwrap_or((&[Fr::ZERO; COLUMNS], &[]));
        let (others, inputs) = rest.split_first_chunk::<3>().unwrap_or((&[Fr::ZERO; 3], &[]));
        let [slot_inverse, table_inverse, multiplicity] = *others;
        Self {
            columns: *columns,
            slot_inverse,
            table_inverse,
            multiplicity,
            inputs,
        }
    }
}
