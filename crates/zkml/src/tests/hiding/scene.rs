//! One model proven with fixed challenges and chosen masks, and the masks with which it shows what another showed.

use counterweight_inference::Network;
use counterweight_primitives::architecture::{Architecture, Output, Shape};
use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::multilinear::eq_index;
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::plan::{COLUMNS, Plan, Visibility, mask_coefficients};
use counterweight_zkml_verifier::proof::Proof;
use counterweight_zkml_verifier::table::TABLE_BITS;
use counterweight_zkml_verifier::verify::inference_shape;
use counterweight_zkml_verifier::{Fr, Transcript};

use rayon::prelude::*;

use super::super::networks::{dense, requantise};
use super::super::{CONTEXT, rng, srs};
use crate::prover::{FoldedLayer, Interference, RowMasks};
use crate::srs::Srs;
use crate::witness::Witness;
use crate::{Input, ProvenAnswer, SecretModel, random};

/// Two sets of weights that answer `INPUT` alike: the first layer's outputs change places, and the second's inputs with them.
pub(super) fn pair() -> [Network; 2] {
    let layers = vec![dense(0, 4, requantise(8, true)), dense(1, 3, Output::Raw)];
    let architecture = Architecture::new(Shape::vector(5).unwrap(), layers).unwrap();
    let mut rng = rng(11);
    let weights = |count: usize, rng: &mut _| -> Vec<i8> {
        (0..count)
            .map(|_| rand_core::RngCore::next_u32(rng) as i8)
            .collect()
    };
    let (first, second) = (weights(20, &mut rng), weights(12, &mut rng));
    let biases: Vec<i32> = (1..=7).map(|bias| 2 * bias).collect();
    let order = [2, 0, 3, 1];
    let moved_first = order.iter().flat_map(|output| first[5 * output..][..5].to_vec());
    let moved_second = second.chunks(4).flat_map(|row| order.map(|input| row[input]));
    let moved_biases = order
        .iter()
        .map(|output| biases[*output])
        .chain(biases[4..].iter().copied());
    let moved = Network::new(
        architecture.clone(),
        moved_first.chain(moved_second).collect(),
        moved_biases.collect(),
    );
    let plain = Network::new(architecture, [first, second].concat(), biases.clone());
    [plain.unwrap(), moved.unwrap()]
}

pub(super) const INPUT: [i8; 5] = [100, -3, 77, 12, -128];

/// Everything a proof is masked with.
#[derive(Clone, Default)]
pub(super) struct Masks {
    pub(super) columns: [Fr; COLUMNS],
    pub(super) multiplicity: Fr,
    pub(super) slot_inverse: Fr,
    pub(super) table_inverse: Fr,
    pub(super) segment: Vec<Fr>,
    pub(super) rounds: [Vec<Fr>; 2],
    pub(super) row: Vec<Fr>,
    pub(super) blinding: Fr,
}

/// Replaces the masks, and keeps the row that is opened.
pub(super) struct Remask {
    pub(super) masks: Masks,
    pub(super) opened: Vec<Fr>,
    pub(super) layers: Vec<(Vec<Fr>, Vec<Fr>)>,
    pub(super) multiplicities: Vec<u32>,
}

impl Interference for Remask {
    fn witness(&mut self, _: &Plan, witness: &mut Witness, _: &mut Vec<u8>) {
        self.multiplicities = witness.multiplicities.clone();
        let masks = &mut witness.masks;
        masks.columns = self.masks.columns;
        masks.multiplicity = self.masks.multiplicity;
        masks.slot_inverse = self.masks.slot_inverse;
        masks.table_inverse = self.masks.table_inverse;
        masks.segment = self.masks.segment.clone();
    }

    fn row_masks(&mut self, masks: &mut RowMasks) {
        for (cells, values) in masks.rounds.iter_mut().zip(&self.masks.rounds) {
            cells
                .iter_mut()
                .zip(values)
                .for_each(|((_, cell), value)| *cell = *value);
        }
        masks.row = self.masks.row.clone();
        masks.row_blinding = self.masks.blinding;
    }

    fn layers(&mut self, _: &Plan, layers: &mut [(FoldedLayer, Vec<Fr>)]) {
        self.layers = layers
            .iter()
            .map(|(folded, input)| (folded.folded.clone(), input.clone()))
            .collect();
    }

    fn opened(&mut self, row: &[Fr]) {
        self.opened = row.to_vec();
    }
}

/// Challenges as the protocol draws them, chosen beforehand.
pub(super) struct Challenges {
    pub(super) all: Vec<Fr>,
    pub(super) tau: std::ops::Range<usize>,
    pub(super) lambda: usize,
    pub(super) rounds: std::ops::Range<usize>,
    pub(super) row_rounds: std::ops::Range<usize>,
}

impl Challenges {
    pub(super) fn draw(plan: &Plan, seed: u64) -> Self {
        let tau = 2..2 + plan.tau_bits;
        let lambda = tau.end;
        let rounds = lambda + 2..lambda + 2 + plan.rounds;
        let row_rounds = rounds.end + plan.row_bits + 1..rounds.end + 2 * plan.row_bits + 1;
        let all = random::scalars(&mut rng(seed), row_rounds.end + 1);
        Self {
            all,
            tau,
            lambda,
            rounds,
            row_rounds,
        }
    }

    pub(super) fn transcript(&self) -> Transcript {
        Transcript::programmed("hiding", &self.all)
    }

    /// The point of the first sum-check, over its last coordinates.
    pub(super) fn point(&self, bits: usize) -> &[Fr] {
        &self.all[self.rounds.end - bits..self.rounds.end]
    }

    pub(super) fn tau(&self, bits: usize) -> &[Fr] {
        &self.all[self.tau.end - bits..self.tau.end]
    }
}

/// One model with its plan and set-up, and fixed challenges.
pub(super) struct Scene {
    pub(super) srs: Srs,
    pub(super) plan: Plan,
    pub(super) secret: SecretModel,
    pub(super) challenges: Challenges,
}

/// The scalars of a proof, in order, and the row that was opened.
pub(super) struct Seen {
    pub(super) scalars: Vec<Fr>,
    pub(super) opened: Vec<Fr>,
    pub(super) layers: Vec<(Vec<Fr>, Vec<Fr>)>,
    pub(super) multiplicities: Vec<u32>,
    pub(super) answer: ProvenAnswer,
}

impl Scene {
    pub(super) fn new(network: Network) -> Self {
        let srs = srs();
        let plan = Plan::new(network.architecture(), 11, Visibility::Public).unwrap();
        let secret = SecretModel::commit(network, &srs, Scheme::Mercury, &mut rng(12)).unwrap();
        let challenges = Challenges::draw(&plan, 13);
        Self {
            srs,
            plan,
            secret,
            challenges,
        }
    }

    pub(super) fn zero_masks(&self) -> Masks {
        let hidden = self
            .plan
            .weights
            .iter()
            .filter(|block| block.mask_cell.is_some())
            .count();
        Masks {
            segment: vec![Fr::ZERO; mask_coefficients(self.plan.rounds) + hidden],
            rounds: [vec![Fr::ZERO; 12], vec![Fr::ZERO; 12]],
            row: vec![Fr::ZERO; 1 << 11],
            ..Masks::default()
        }
    }

    pub(super) fn draw_masks(&self, seed: u64) -> Masks {
        let mut rng = rng(seed);
        let mut masks = self.zero_masks();
        masks
            .columns
            .iter_mut()
            .for_each(|mask| *mask = random::scalar(&mut rng));
        masks.multiplicity = random::scalar(&mut rng);
        masks.slot_inverse = random::scalar(&mut rng);
        masks.table_inverse = random::scalar(&mut rng);
        masks.blinding = random::scalar(&mut rng);
        let [first, second] = &mut masks.rounds;
        for mask in masks
            .segment
            .iter_mut()
            .chain(first)
            .chain(second)
            .chain(&mut masks.row)
        {
            *mask = random::scalar(&mut rng);
        }
        masks
    }

    pub(super) fn shape(&self) -> counterweight_zkml_verifier::proof::ProofShape {
        inference_shape(&self.plan, &self.secret.key().model)
    }

    /// Proves with these masks and the fixed challenges. Blindings of witness rows come from one seed.
    pub(super) fn see(&self, masks: &Masks) -> Seen {
        self.see_input(masks, &INPUT)
    }

    pub(super) fn see_input(&self, masks: &Masks, input: &[i8]) -> Seen {
        let mut remask = Remask {
            masks: masks.clone(),
            opened: Vec::new(),
            layers: Vec::new(),
            multiplicities: Vec::new(),
        };
        let transcript = Some(self.challenges.transcript());
        let answer = self
            .secret
            .prove_with(
                &self.srs,
                Input::Public(input),
                CONTEXT,
                &mut rng(14),
                (transcript, &mut remask),
                &mut |_| {},
            )
            .unwrap();
        let proof = Proof::decode(&self.shape(), &answer.proof).unwrap();
        let mut scalars = vec![proof.sum];
        scalars.extend(proof.rounds.iter().flatten());
        scalars.extend(&proof.evaluations);
        scalars.push(proof.mask_sum);
        scalars.extend(proof.row_rounds.iter().flatten());
        scalars.extend([proof.mask_value, proof.blinding]);
        Seen {
            scalars,
            opened: remask.opened,
            layers: remask.layers,
            multiplicities: remask.multiplicities,
            answer,
        }
    }

    /// Where the scalars of each message are.
    pub(super) fn first_rounds(&self) -> std::ops::Range<usize> {
        0..1 + 6 * self.plan.rounds
    }

    pub(super) fn evaluations(&self) -> std::ops::Range<usize> {
        let start = self.first_rounds().end;
        start..start + self.plan.evaluations()
    }

    pub(super) fn second_rounds(&self) -> std::ops::Range<usize> {
        let start = self.evaluations().end;
        start..start + 1 + 2 * self.plan.row_bits
    }

    /// Masks with which this model shows what `target` is.
    pub(super) fn masks_for(&self, target: &Seen) -> Masks {
        let mut masks = self.zero_masks();
        let missing = |masks: &Masks, range: std::ops::Range<usize>| -> Vec<Fr> {
            let seen = self.see(masks);
            seen.scalars[range.clone()]
                .iter()
                .zip(&target.scalars[range])
                .map(|(own, wanted)| *wanted - own)
                .collect()
        };
        // Each evaluation has a cell of its own, which counts by the equality with its index.
        let missing_values = missing(&masks, self.evaluations());
        let at_slots = eq_index(self.challenges.point(self.plan.slot_bits), self.plan.mask_slot());
        let at_table = eq_index(self.challenges.point(TABLE_BITS), 0);
        let over = |value: Fr, coefficient: Fr| value * coefficient.invert().unwrap();
        for (mask, value) in masks.columns.iter_mut().zip(&missing_values) {
            *mask = over(*value, at_slots);
        }
        masks.slot_inverse = over(missing_values[COLUMNS], at_slots);
        masks.table_inverse = over(missing_values[COLUMNS + 1], at_table);
        masks.multiplicity = over(missing_values[COLUMNS + 2], at_table);
        let hidden = self
            .plan
            .weights
            .iter()
            .filter_map(|block| Some((block, block.mask_cell?)));
        for ((block, cell), value) in hidden.zip(&missing_values[COLUMNS + 3..]) {
            let point = self.challenges.point(block.joint.bits());
            masks.segment[cell] = over(*value, eq_index(point, block.joint.mask_cell()));
        }

        let unknowns = mask_coefficients(self.plan.rounds);
        let base = self.see(&masks).scalars;
        let columns = (0..unknowns).into_par_iter().map(|cell| {
            let mut with = masks.clone();
            with.segment[cell] += Fr::ONE;
            self.difference(&with, &base, self.first_rounds())
        });
        let columns = columns.collect();
        let (rank, solution) = solve(columns, missing(&masks, self.first_rounds()));
        assert_eq!(
            rank,
            self.first_rounds().len(),
            "the sum and the rounds take every value"
        );
        masks.segment[..unknowns].copy_from_slice(&solution);

        let base = self.see(&masks).scalars;
        let cells: Vec<(usize, usize)> = (0..2)
            .flat_map(|row| (0..12).map(move |cell| (row, cell)))
            .collect();
        let columns = cells.par_iter().map(|(row, cell)| {
            let mut with = masks.clone();
            with.rounds[*row][*cell] += Fr::ONE;
            self.difference(&with, &base, self.second_rounds())
        });
        let columns = columns.collect();
        let (rank, solution) = solve(columns, missing(&masks, self.second_rounds()));
        assert_eq!(
            rank,
            self.second_rounds().len(),
            "the second sum and its rounds take every value"
        );
        for ((row, cell), value) in cells.into_iter().zip(solution) {
            masks.rounds[row][cell] = value;
        }

        // The opened row is the uniform row and something; the blinding likewise.
        let own = self.see(&masks);
        masks.row = target
            .opened
            .iter()
            .zip(&own.opened)
            .map(|(wanted, own)| *wanted - own)
            .collect();
        masks.blinding = *target.scalars.last().unwrap() - own.scalars.last().unwrap();
        masks
    }

    fn difference(&self, masks: &Masks, base: &[Fr], range: std::ops::Range<usize>) -> Vec<Fr> {
        let seen = self.see(masks).scalars;
        seen[range.clone()]
            .iter()
            .zip(&base[range])
            .map(|(with, without)| *with - without)
            .collect()
    }
}

/// A solution of `Σ x_i column_i = target`, and the rank.
pub(super) fn solve(columns: Vec<Vec<Fr>>, target: Vec<Fr>) -> (usize, Vec<Fr>) {
    let unknowns = columns.len();
    let mut rows: Vec<Vec<Fr>> = (0..target.len())
        .map(|row| {
            columns
                .iter()
                .map(|column| column[row])
                .chain([target[row]])
                .collect()
        })
        .collect();
    let mut pivots = Vec::new();
    for column in 0..unknowns {
        let from = pivots.len();
        let Some(row) = (from..rows.len()).find(|row| !bool::from(rows[*row][column].is_zero())) else {
            continue;
        };
        rows.swap(from, row);
        let inverse = rows[from][column].invert().unwrap();
        rows[from].iter_mut().for_each(|value| *value *= inverse);
        let pivot = rows[from].clone();
        for (index, row) in rows.iter_mut().enumerate().filter(|(index, _)| *index != from) {
            let factor = row[column];
            debug_assert_ne!(index, from);
            row.iter_mut()
                .zip(&pivot)
                .for_each(|(value, pivot)| *value -= factor * pivot);
        }
        pivots.push(column);
    }
    let mut solution = vec![Fr::ZERO; unknowns];
    for (row, column) in pivots.iter().enumerate() {
        solution[*column] = rows[row][unknowns];
    }
    (pivots.len(), solution)
}
