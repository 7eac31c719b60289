//! The prover: `docs/spec/zkml.md`, sections 3 to 6.

mod claims;
mod layers;
mod lookup;
mod masks;
mod polynomial;
pub(crate) mod registration;
mod rows;
mod slots;

use counterweight_inference::Trace;
use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::plan::{COLUMNS, Plan, ROUND_DEGREE, Vector};
use counterweight_zkml_verifier::table::TABLE_BITS;
use counterweight_zkml_verifier::{Fr, G1Affine};
use rand_core::RngCore;
use rayon::prelude::*;

use crate::conversation::Conversation;
use crate::error::ProveError;
use crate::random;
use crate::srs::Srs;
use crate::witness::{Committed, PackedWeights, Witness, commit_mixed, commit_sparse};
use claims::{Functionals, Settled, suffix};
pub(crate) use layers::FoldedLayer;
use layers::extended_input;
use masks::RoundMask;
use polynomial::{Instance, Rounds, power_of_two, scaled_eq};
pub(crate) use rows::RowMasks;
use rows::{Reduction, Rows, Term};
use slots::{LookupChallenges, SlotTables};

/// A phase of proving that has just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The network was run and the slots filled.
    Witness,
    /// The first witness vector and the masks were committed to.
    FirstCommitment,
    /// The lookups were inverted and committed to.
    SecondCommitment,
    /// The weights were folded, and the first sum-check ran.
    FirstSumcheck,
    /// Claims were batched, and the second sum-check ran.
    SecondSumcheck,
    /// The combined row was opened.
    Opening,
}

impl Phase {
    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Witness => "witness",
            Self::FirstCommitment => "first commitment",
            Self::SecondCommitment => "second commitment",
            Self::FirstSumcheck => "first sum-check",
            Self::SecondSumcheck => "second sum-check",
            Self::Opening => "opening",
        }
    }
}

/// Everything secret and public that one proof is made of.
pub(crate) struct Job<'a> {
    pub(crate) srs: &'a Srs,
    pub(crate) scheme: Scheme,
    pub(crate) plan: &'a Plan,
    pub(crate) weights: &'a PackedWeights,
    pub(crate) weight_blindings: &'a [Fr],
    pub(crate) input_blindings: &'a [Fr],
    pub(crate) trace: &'a Trace,
}

/// Where a test of soundness or of hiding changes what an honest prover would do. An honest one does nothing.
pub(crate) trait Interference {
    /// Once the witness is filled and masks are drawn.
    fn witness(&mut self, _plan: &Plan, _witness: &mut Witness, _output: &mut Vec<u8>) {}
    /// Once the masks of the second sum-check and of the opening are drawn.
    fn row_masks(&mut self, _masks: &mut RowMasks) {}
    /// Once weights are folded and inputs extended: for each weighted layer.
    fn layers(&mut self, _plan: &Plan, _layers: &mut [(FoldedLayer, Vec<Fr>)]) {}
    /// Which scalar to send as one more than it is.
    #[cfg(test)]
    fn lie(&self) -> Option<usize> {
        None
    }
    /// The row that is opened, before the opening.
    fn opened(&mut self, _row: &[Fr]) {}
}

/// Interferes with nothing.
pub(crate) struct Honest;

impl Interference for Honest {}

/// Follows the protocol on from the statement.
pub(crate) fn infer(
    job: &Job<'_>,
    interference: &mut impl Interference,
    witness: &Witness,
    conversation: &mut Conversation,
    rng: &mut impl RngCore,
    observe: &mut dyn FnMut(Phase),
) -> Result<(), ProveError> {
    let Job { srs, plan, .. } = *job;
    #[cfg(test)]
    {
        conversation.until_lie = interference.lie();
    }
    let mut row_masks = RowMasks::draw(srs, rng);
    interference.row_masks(&mut row_masks);
    let first_blindings = random::scalars(rng, plan.first.rows);
    let second_blindings = random::scalars(rng, plan.second.rows);

    let first = FirstVector::new(plan, witness);
    let committed = first.commit(srs, first_blindings);
    committed
        .points
        .iter()
        .for_each(|point| conversation.point(point));
    row_masks.commit(srs, conversation);
    observe(Phase::FirstCommitment);

    let challenges = LookupChallenges {
        alpha: conversation.challenge(),
        beta: conversation.challenge(),
    };
    let slots = SlotTables::new(plan, witness, challenges).ok_or(ProveError::DegenerateChallenge)?;
    let table_inverses = lookup::inverses(&witness.multiplicities, witness.masks.table_inverse, challenges)
        .ok_or(ProveError::DegenerateChallenge)?;
    let mut second = vec![Fr::ZERO; plan.second.rows << plan.row_bits];
    place(&mut second, &plan.second, 0, &slots.inverses);
    place(&mut second, &plan.second, 1, &table_inverses);
    let second_committed = commit_large(srs, plan.row_bits, &second, second_blindings);
    second_committed
        .points
        .iter()
        .for_each(|point| conversation.point(point));
    observe(Phase::SecondCommitment);

    let tau = conversation.challenges(plan.tau_bits);
    let (lambda, eta) = (conversation.challenge(), conversation.challenge());
    let mut layers: Vec<(FoldedLayer, Vec<Fr>)> = plan
        .weights
        .iter()
        .filter_map(|block| {
            let made = plan.made_by(block.layer)?;
            let output = suffix(&tau, made.layout.bits());
            let channels = &output[..made.layout.dimensions().first()?.bits];
            let folded = FoldedLayer::new(plan, block, job.weights, channels);
            let mask = block.mask_cell.map(|cell| witness.masks.segment[cell]);
            Some((folded, extended_input(plan, block, job.trace, output, mask)))
        })
        .collect();
    interference.layers(plan, &mut layers);
    let mut batch = Batch::new(plan.rounds);
    for instance in slots.instances(plan, challenges, &tau, eta) {
        batch.push(Fr::ONE, Fr::ZERO, instance);
    }
    let multiplicities = lookup::multiplicities(&witness.multiplicities, witness.masks.multiplicity);
    let on_table = lookup::instance(
        table_inverses.clone(),
        multiplicities.clone(),
        challenges,
        &tau,
        plan.rounds,
    );
    batch.push(lambda, Fr::ZERO, on_table);
    let mut weight = lambda.square();
    let first_layer = batch.len();
    for (folded, input) in &layers {
        let sum: Fr = folded.folded.par_iter().zip(input).map(|(a, b)| *a * b).sum();
        let bits = input.len().trailing_zeros() as usize;
        let tables = [folded.folded.clone(), input.clone()];
        let instance = Instance::<2, 2, _>::new(tables, sum, plan.rounds, |[a, b]: &[Fr; 2]| *a * b);
        batch.push(weight, sum * power_of_two(plan.rounds - bits), Box::new(instance));
        weight *= lambda;
    }
    let mask = RoundMask::new(&witness.masks.segment, plan.rounds);
    batch.push(Fr::ONE, mask.sum(), Box::new(mask));
    let (point, values) = batch.run(conversation);
    let inputs: Vec<Fr> = values[first_layer..][..layers.len()]
        .iter()
        .map(|values| values[1])
        .collect();

    let at_slots = scaled_eq(suffix(&point, plan.slot_bits), Fr::ONE);
    let at_table = scaled_eq(suffix(&point, TABLE_BITS), Fr::ONE);
    for column in 0..COLUMNS {
        conversation.scalar(&dot(&at_slots, slots.column(column)));
    }
    conversation.scalar(&dot(&at_slots, &slots.inverses));
    conversation.scalar(&dot(&at_table, &table_inverses));
    conversation.scalar(&dot(&at_table, &multiplicities));
    for (block, input) in plan.weights.iter().zip(&inputs) {
        if block.mask_cell.is_some() {
            conversation.scalar(input);
        }
    }
    let active: Vec<usize> = slots.active().collect();
    drop((slots, multiplicities, table_inverses));
    observe(Phase::FirstSumcheck);

    let blindings = |kind: Rows, row: usize| match kind {
        Rows::Weights => job.weight_blindings[row],
        Rows::Input => job.input_blindings[row],
        Rows::First => committed.blindings[row],
        Rows::Second => second_committed.blindings[row],
        Rows::RoundMasks => Fr::ZERO,
    };
    let reduction = Reduction {
        srs,
        scheme: job.scheme,
        masks: row_masks,
        blindings: &blindings,
    };
    let mut terms = reduction.mask_terms(conversation);
    let gamma = conversation.challenge();
    let settled = Settled {
        plan,
        tau: &tau,
        lambda,
        point: &point,
        active: &active,
        inputs: &inputs,
    };
    let folded = layers.into_iter().map(|(folded, _)| folded).collect();
    let (functionals, weight_terms) = Functionals::of_inference(&settled, folded, job.weights, gamma);
    terms.extend(weight_terms);
    terms.extend(Term::of_rows(
        Rows::First,
        plan.row_bits,
        &functionals.first,
        &first.cells(),
    ));
    terms.extend(Term::of_rows(
        Rows::Second,
        plan.row_bits,
        &functionals.second,
        &second,
    ));
    terms.extend(Term::of_rows(
        Rows::Input,
        plan.row_bits,
        &functionals.input,
        &input_cells(plan, job.trace),
    ));
    reduction.finish(conversation, terms, &mut |row| interference.opened(row), observe)
}

/// Instances of the first sum-check with their weights.
struct Batch<'a> {
    rounds: usize,
    sum: Fr,
    instances: Vec<(Fr, Box<dyn Rounds + 'a>)>,
}

impl<'a> Batch<'a> {
    fn new(rounds: usize) -> Self {
        Self {
            rounds,
            sum: Fr::ZERO,
            instances: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.instances.len()
    }

    /// Adds an instance that sums to `sum` over the whole cube.
    fn push(&mut self, weight: Fr, sum: Fr, instance: Box<dyn Rounds + 'a>) {
        self.sum += weight * sum;
        self.instances.push((weight, instance));
    }

    /// Sends the sum and the rounds: the point, and each instance's values there.
    fn run(mut self, conversation: &mut Conversation) -> (Vec<Fr>, Vec<Vec<Fr>>) {
        conversation.scalar(&self.sum);
        let mut point = Vec::with_capacity(self.rounds);
        for _ in 0..self.rounds {
            let mut coefficients = [Fr::ZERO; ROUND_DEGREE + 1];
            for (weight, instance) in &mut self.instances {
                instance.add_round(*weight, &mut coefficients);
            }
            let [constant, _, higher @ ..] = &coefficients;
            conversation.scalar(constant);
            higher
                .iter()
                .for_each(|coefficient| conversation.scalar(coefficient));
            let at = conversation.challenge();
            self.instances
                .iter_mut()
                .for_each(|(_, instance)| instance.bind(at));
            point.push(at);
        }
        (
            point,
            self.instances
                .iter()
                .map(|(_, instance)| instance.values())
                .collect(),
        )
    }
}

/// The first witness vector: small numbers, and field elements in the mask cells.
struct FirstVector {
    small: Vec<i32>,
    large: Vec<(usize, Fr)>,
    row_bits: usize,
}

impl FirstVector {
    fn new(plan: &Plan, witness: &Witness) -> Self {
        let mut small = vec![0_i32; plan.first.rows << plan.row_bits];
        let mut large = Vec::new();
        if let [columns, multiplicities, masks] = plan.first.segments.as_slice() {
            for (place, value) in small[columns.offset..].iter_mut().zip(&witness.columns) {
                *place = i32::from(*value);
            }
            for (place, count) in small[multiplicities.offset..]
                .iter_mut()
                .zip(&witness.multiplicities)
            {
                // Four lookups in each of at most 2^22 slots.
                *place = count.cast_signed();
            }
            for (column, mask) in witness.masks.columns.iter().enumerate() {
                large.push((
                    columns.offset + (column << plan.slot_bits) + plan.mask_slot(),
                    *mask,
                ));
            }
            large.push((multiplicities.offset, witness.masks.multiplicity));
            let segment = witness.masks.segment.iter().enumerate();
            large.extend(segment.map(|(cell, mask)| (masks.offset + cell, *mask)));
        }
        Self {
            small,
            large,
            row_bits: plan.row_bits,
        }
    }

    fn commit(&self, srs: &Srs, blindings: Vec<Fr>) -> Committed {
        let length = 1_usize << self.row_bits;
        let points =
            self.small
                .par_chunks(length)
                .zip(&blindings)
                .enumerate()
                .map(|(row, (cells, blinding))| {
                    let own = self.large.iter().filter(|(cell, _)| cell / length == row);
                    let large: Vec<(usize, Fr)> = own.map(|(cell, value)| (cell % length, *value)).collect();
                    commit_mixed(srs, cells, &large, blinding)
                });
        let points = points.collect();
        Committed { blindings, points }
    }

    fn cells(&self) -> Vec<Fr> {
        let mut cells: Vec<Fr> = self
            .small
            .iter()
            .map(|value| {
                if *value == 0 {
                    Fr::ZERO
                } else {
                    counterweight_zkml_verifier::field::from_i64(i64::from(*value))
                }
            })
            .collect();
        for (cell, value) in &self.large {
            cells[*cell] = *value;
        }
        cells
    }
}

/// Commits to rows of field elements, many of them zero.
fn commit_large(srs: &Srs, row_bits: usize, vector: &[Fr], blindings: Vec<Fr>) -> Committed {
    let points = vector
        .par_chunks(1 << row_bits)
        .zip(&blindings)
        .map(|(row, blinding)| {
            let cells: Vec<(usize, Fr)> = row
                .iter()
                .enumerate()
                .filter(|(_, value)| !bool::from(value.is_zero()))
                .map(|(index, value)| (index, *value))
                .collect();
            commit_sparse(srs, &cells, blinding)
        })
        .collect::<Vec<G1Affine>>();
    Committed { blindings, points }
}

/// Copies values to a segment's place.
fn place(vector: &mut [Fr], layout: &Vector, segment: usize, values: &[Fr]) {
    if let Some(segment) = layout.segments.get(segment) {
        vector[segment.offset..][..values.len()].copy_from_slice(values);
    }
}

/// A private input in its node's layout, whole rows.
fn input_cells(plan: &Plan, trace: &Trace) -> Vec<Fr> {
    let mut cells = vec![Fr::ZERO; plan.input_rows << plan.row_bits];
    if plan.input_rows > 0
        && let Some(input) = plan.nodes.first()
    {
        let values = trace.activations(counterweight_primitives::architecture::Node(0));
        for (cell, value) in input.layout.cells().zip(values) {
            cells[cell] = counterweight_zkml_verifier::field::from_i64(i64::from(*value));
        }
    }
    cells
}

fn dot(left: &[Fr], right: &[Fr]) -> Fr {
    let product = |(left, right): (&Fr, &Fr)| {
        if bool::from(right.is_zero()) {
            Fr::ZERO
        } else {
            *left * right
        }
    };
    left.par_iter()
        .zip(right)
        .with_min_len(1 << 10)
        .map(product)
        .sum()
}
