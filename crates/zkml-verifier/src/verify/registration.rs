//! Checking, once for a model, that what is committed are int8 weights: `docs/spec/zkml.md`, section 7.

use counterweight_primitives::architecture::Architecture;

use super::claims::table_inverse_at;
use super::lookups::{entries_at, inverse_holds};
use super::{
    Challenges, Claims, RowCoefficients, VerifyError, mask_functional, point_in_vector, reduce, transcript,
};
use crate::field::{Fr, Word, eq_at};
use crate::model::Model;
use crate::multilinear::{bits_for, eq_index, eq_table, truncated_eq, truncated_sum};
use crate::plan::{MASK_BITS, PlanError, REGISTRATION_MASKS, Segment, Vector, WeightPlan};
use crate::proof::{Proof, ProofShape};
use crate::srs::VerifierSrs;
use crate::table::{TABLE_BITS, TAG_BYTE};
use crate::transcript::Transcript;

const SUM: usize = 1;
const LAST: usize = 2;
const BALANCE: usize = 3;
const WEIGHT: usize = 4;
const SLOT_INVERSE: usize = WEIGHT + REGISTRATION_MASKS;
const TABLE_INVERSE: usize = SLOT_INVERSE + 1;
const MULTIPLICITY: usize = TABLE_INVERSE + 1;
/// Bits of a weight's number within a slot.
const LANE_BITS: usize = 2;

/// Where everything in a registration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationPlan {
    /// Bits of a row's index.
    pub row_bits: usize,
    /// Rows of the weights.
    pub weight_rows: usize,
    /// Slots, four weights each; the last is the mask slot.
    pub slots: usize,
    /// Bits of a slot's index.
    pub slot_bits: usize,
    /// Multiplicities and masks.
    pub first: Vector,
    /// Rows of the slots' inverses; one row with the table's follows them.
    pub inverse_rows: usize,
    /// Rounds of the first sum-check, and length of the zero-check's point.
    pub rounds: usize,
}

impl RegistrationPlan {
    /// Lays out the registration of a model of this architecture.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(architecture: &Architecture, row_bits: usize) -> Result<Self, PlanError> {
        let weight_rows = WeightPlan::new(architecture, row_bits)?.rows;
        let slots = weight_rows << (row_bits - LANE_BITS);
        let slot_bits = bits_for(slots);
        Ok(Self {
            row_bits,
            weight_rows,
            slots,
            slot_bits,
            first: Vector::new(&[TABLE_BITS, MASK_BITS], row_bits),
            inverse_rows: slots.div_ceil(1 << row_bits),
            rounds: slot_bits.max(TABLE_BITS),
        })
    }

    /// The slot whose four weights are masks.
    #[must_use]
    pub fn mask_slot(&self) -> usize {
        self.slots.saturating_sub(1)
    }

    /// Slots whose weights are shown to be int8: all before the mask slot.
    #[must_use]
    pub fn active(&self) -> usize {
        self.mask_slot()
    }
}

/// How many of each thing a registration holds. It does not repeat the weights' rows.
#[must_use]
pub fn registration_shape(plan: &RegistrationPlan, model: &Model) -> ProofShape {
    ProofShape {
        weight_rows: 0,
        input_rows: 0,
        first_rows: plan.first.rows,
        second_rows: plan.inverse_rows + 1,
        rounds: plan.rounds,
        evaluations: REGISTRATION_MASKS + 3,
        row_bits: plan.row_bits,
        opening: model.commitment.scheme.proof_bytes(plan.row_bits),
    }
}

/// Where both sides of a registration start.
#[must_use]
pub fn registration_transcript(model_id: Word) -> Transcript {
    transcript(2, model_id, [[0; 32]; 3])
}

/// Checks that all weights behind a model's commitment are int8.
///
/// # Errors
/// [`VerifyError`].
pub fn verify_registration(srs: &VerifierSrs, model: &Model, proof: &[u8]) -> Result<(), VerifyError> {
    let plan = RegistrationPlan::new(&model.architecture, model.commitment.row_bits)?;
    let shape = registration_shape(&plan, model);
    if proof.len() != shape.bytes() {
        return Err(VerifyError::Length {
            expected: shape.bytes(),
            got: proof.len(),
        });
    }
    let proof = Proof::decode(&shape, proof)?;
    let scheme = model.commitment.scheme;
    let reduced = reduce(
        srs,
        registration_transcript(model.id(srs.id())),
        &model.commitment.rows,
        &proof,
        plan.rounds,
        |challenges| RegistrationClaims::new(&plan, challenges, &proof),
    );
    reduced.check(srs, scheme, proof.opening)
}

/// What is revealed of the weights and lookups after the first sum-check.
struct Revealed {
    weights: [Fr; REGISTRATION_MASKS],
    slot_inverse: Fr,
    table_inverse: Fr,
    multiplicity: Fr,
}

struct RegistrationClaims<'a> {
    plan: &'a RegistrationPlan,
    challenges: Challenges,
    value: Fr,
}

impl<'a> RegistrationClaims<'a> {
    fn new(plan: &'a RegistrationPlan, challenges: Challenges, proof: &Proof<'_>) -> Self {
        let mut values = proof.evaluations.iter().copied();
        let mut next = || values.next().unwrap_or_default();
        let revealed = Revealed {
            weights: std::array::from_fn(|_| next()),
            slot_inverse: next(),
            table_inverse: next(),
            multiplicity: next(),
        };
        let selected = truncated_eq(
            plan.active(),
            challenges.tau(plan.slot_bits),
            challenges.point(plan.slot_bits),
        );
        let looked_up = revealed
            .weights
            .map(|weight| challenges.alpha + Fr::from(TAG_BYTE) + challenges.beta * (weight + Fr::from(128)));
        let slots = selected * inverse_holds(revealed.slot_inverse, looked_up);
        let entries = entries_at(&challenges, revealed.table_inverse, revealed.multiplicity);
        let mut value = challenges.weight(SUM) * proof.sum
            + challenges.weight(LAST) * (challenges.last - slots - challenges.lambda * entries)
            + challenges.weight(SLOT_INVERSE) * revealed.slot_inverse
            + challenges.weight(TABLE_INVERSE) * revealed.table_inverse
            + challenges.weight(MULTIPLICITY) * revealed.multiplicity;
        for (lane, weight) in revealed.weights.iter().enumerate() {
            value += challenges.weight(WEIGHT + lane) * weight;
        }
        Self {
            plan,
            challenges,
            value,
        }
    }

    fn weights_at(&self, point: &[Fr]) -> Fr {
        let (slot, lane) = point
            .split_at_checked(self.plan.slot_bits)
            .unwrap_or((point, &[]));
        let lanes = (0..REGISTRATION_MASKS)
            .map(|index| self.challenges.weight(WEIGHT + index) * eq_index(lane, index));
        eq_at(self.challenges.point(self.plan.slot_bits), slot) * lanes.sum::<Fr>()
    }

    fn first_at(&self, masks: &[Fr], point: &[Fr]) -> Fr {
        let [multiplicities, mask] = self.plan.first.segments.as_slice() else {
            return Fr::from(0);
        };
        let (place, within) = multiplicities.enter(point);
        let multiplicity =
            self.challenges.weight(MULTIPLICITY) * eq_at(self.challenges.point(TABLE_BITS), within);
        let (mask_place, mask_within) = mask.enter(point);
        let masked = eq_table(mask_within)
            .iter()
            .zip(masks)
            .map(|(weight, mask)| *weight * mask)
            .sum::<Fr>();
        place * multiplicity + mask_place * masked
    }

    fn inverses_at(&self, point: &[Fr]) -> Fr {
        let slots = Segment {
            offset: 0,
            bits: self.plan.slot_bits,
        };
        let (place, within) = slots.enter(point);
        let same = eq_at(self.challenges.point(self.plan.slot_bits), within);
        place
            * (self.challenges.weight(SLOT_INVERSE) * same
                + self.challenges.weight(BALANCE) * truncated_sum(self.plan.active(), within))
    }

    fn table_at(&self, row_point: &[Fr]) -> Fr {
        let table = Segment {
            offset: 0,
            bits: TABLE_BITS,
        };
        let (place, within) = table.enter(row_point);
        place * table_inverse_at(&self.challenges, TABLE_INVERSE, BALANCE, within)
    }
}

impl Claims for RegistrationClaims<'_> {
    fn value(&self) -> Fr {
        self.value
    }

    fn coefficients(&self, row_point: &[Fr]) -> RowCoefficients {
        let rows = |rows: usize, at: &dyn Fn(&[Fr]) -> Fr| -> Vec<Fr> {
            (0..rows)
                .map(|row| at(&point_in_vector(row, rows, row_point)))
                .collect()
        };
        let challenges = &self.challenges;
        let masks = mask_functional(&challenges.point, challenges.weight(SUM), challenges.weight(LAST));
        let mut second = rows(self.plan.inverse_rows, &|point| self.inverses_at(point));
        second.push(self.table_at(row_point));
        RowCoefficients {
            weights: rows(self.plan.weight_rows, &|point| self.weights_at(point)),
            input: Vec::new(),
            first: rows(self.plan.first.rows, &|point| self.first_at(&masks, point)),
            second,
        }
    }
}
