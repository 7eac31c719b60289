//! What a verifier sees says nothing of the weights beyond the answer: `docs/spec/zkml.md`, section 6.
//!
//! With challenges held fixed, every value sent is an affine function of masks that are used once. The tests invert it: what was
//! seen with one set of weights is what would have been seen with another and other masks.

use counterweight_inference::Network;
use counterweight_primitives::architecture::{Architecture, Node, Output, Shape};
use counterweight_zkml_verifier::curve::{Curve, G1, G1Affine, encode_g1};
use counterweight_zkml_verifier::field::{Field, from_i64, to_word};
use counterweight_zkml_verifier::multilinear::{eq_index, eq_table};
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::plan::{COLUMNS, Column, Plan, Visibility, mask_coefficients};
use counterweight_zkml_verifier::proof::Proof;
use counterweight_zkml_verifier::table::TABLE_BITS;
use counterweight_zkml_verifier::verify::{inference_shape, reduce_inference};
use counterweight_zkml_verifier::{Fr, InputStatement, Statement, Transcript};

use rayon::prelude::*;

use super::networks::{dense, requantise};
use super::{CONTEXT, rng, srs};
use crate::prover::{FoldedLayer, Interference, RowMasks};
use crate::srs::Srs;
use crate::witness::Witness;
use crate::{Input, ProvenAnswer, SecretModel, commit, opening, random};

/// Two sets of weights that answer `INPUT` alike: the first layer's outputs change places, and the second's inputs with them.
fn pair() -> [Network; 2] {
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

const INPUT: [i8; 5] = [100, -3, 77, 12, -128];

/// Everything a proof is masked with.
#[derive(Clone, Default)]
struct Masks {
    columns: [Fr; COLUMNS],
    multiplicity: Fr,
    slot_inverse: Fr,
    table_inverse: Fr,
    segment: Vec<Fr>,
    rounds: [Vec<Fr>; 2],
    row: Vec<Fr>,
    blinding: Fr,
}

/// Replaces the masks, and keeps the row that is opened.
struct Remask {
    masks: Masks,
    opened: Vec<Fr>,
    layers: Vec<(Vec<Fr>, Vec<Fr>)>,
    multiplicities: Vec<u32>,
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
struct Challenges {
    all: Vec<Fr>,
    tau: std::ops::Range<usize>,
    lambda: usize,
    rounds: std::ops::Range<usize>,
    row_rounds: std::ops::Range<usize>,
}

impl Challenges {
    fn draw(plan: &Plan, seed: u64) -> Self {
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

    fn transcript(&self) -> Transcript {
        Transcript::programmed("hiding", &self.all)
    }

    /// The point of the first sum-check, over its last coordinates.
    fn point(&self, bits: usize) -> &[Fr] {
        &self.all[self.rounds.end - bits..self.rounds.end]
    }

    fn tau(&self, bits: usize) -> &[Fr] {
        &self.all[self.tau.end - bits..self.tau.end]
    }
}

/// One model with its plan and set-up, and fixed challenges.
struct Scene {
    srs: Srs,
    plan: Plan,
    secret: SecretModel,
    challenges: Challenges,
}

/// The scalars of a proof, in order, and the row that was opened.
struct Seen {
    scalars: Vec<Fr>,
    opened: Vec<Fr>,
    layers: Vec<(Vec<Fr>, Vec<Fr>)>,
    multiplicities: Vec<u32>,
    answer: ProvenAnswer,
}

impl Scene {
    fn new(network: Network) -> Self {
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

    fn zero_masks(&self) -> Masks {
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

    fn draw_masks(&self, seed: u64) -> Masks {
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

    fn shape(&self) -> counterweight_zkml_verifier::proof::ProofShape {
        inference_shape(&self.plan, &self.secret.key().model)
    }

    /// Proves with these masks and the fixed challenges. Blindings of witness rows come from one seed.
    fn see(&self, masks: &Masks) -> Seen {
        self.see_input(masks, &INPUT)
    }

    fn see_input(&self, masks: &Masks, input: &[i8]) -> Seen {
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
    fn first_rounds(&self) -> std::ops::Range<usize> {
        0..1 + 6 * self.plan.rounds
    }

    fn evaluations(&self) -> std::ops::Range<usize> {
        let start = self.first_rounds().end;
        start..start + self.plan.evaluations()
    }

    fn second_rounds(&self) -> std::ops::Range<usize> {
        let start = self.evaluations().end;
        start..start + 1 + 2 * self.plan.row_bits
    }

    /// Masks with which this model shows what `target` is.
    fn masks_for(&self, target: &Seen) -> Masks {
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
fn solve(columns: Vec<Vec<Fr>>, target: Vec<Fr>) -> (usize, Vec<Fr>) {
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

#[test]
fn the_two_models_answer_alike_with_other_weights() {
    let [plain, moved] = pair();
    assert_ne!(plain.weights(), moved.weights());
    assert_eq!(plain.run(&INPUT), moved.run(&INPUT));
}

#[test]
fn what_one_model_shows_another_shows_with_other_masks() {
    let [plain, moved] = pair().map(Scene::new);
    let target = plain.see(&plain.draw_masks(20));
    let masks = moved.masks_for(&target);
    let seen = moved.see(&masks);
    assert_eq!(seen.scalars, target.scalars);
    assert_eq!(seen.opened, target.opened);
    assert_ne!(masks.row, plain.draw_masks(20).row);
}

/// `<eq(t, i) eq(r, j), W>` for each layer: what the last relation is about.
fn evaluations_of_weights(scene: &Scene, seen: &Seen) -> Vec<Fr> {
    let layers = scene.plan.weights.iter().zip(&seen.layers);
    layers
        .map(|(block, (folded, _))| {
            let at = eq_table(scene.challenges.point(block.joint.bits()));
            folded
                .iter()
                .zip(&at)
                .map(|(value, weight)| *value * weight)
                .sum()
        })
        .collect()
}

#[test]
fn no_evaluation_of_the_weights_is_sent() {
    let scene = Scene::new(pair()[0].clone());
    let seen = scene.see(&scene.draw_masks(21));
    let values = evaluations_of_weights(&scene, &seen);
    let sums = seen
        .layers
        .iter()
        .map(|(folded, input)| folded.iter().zip(input).map(|(a, b)| *a * b).sum::<Fr>());
    for value in values.into_iter().chain(sums) {
        let word = to_word(&value);
        assert!(!seen.scalars.contains(&value));
        assert!(!seen.answer.proof.windows(32).any(|window| window == word));
    }
}

/// Each mask is needed: without it, something linear in the weights or in hidden values can be read off the proof.
#[test]
fn without_the_first_mask_the_sum_tells_accumulators() {
    let scene = Scene::new(pair()[0].clone());
    let mut masks = scene.draw_masks(22);
    let coefficients = mask_coefficients(scene.plan.rounds);
    masks.segment[..coefficients].fill(Fr::ZERO);
    let seen = scene.see(&masks);
    // From the weights alone, and the public input: λ^2 2^(k - b) Σ_j u(j) a(j), and the second layer's public part.
    let lambda = scene.challenges.all[scene.challenges.lambda];
    let mut weight = lambda.square();
    let mut expected = Fr::ZERO;
    for (block, (folded, input)) in scene.plan.weights.iter().zip(&seen.layers) {
        let scale = (block.joint.bits()..scene.plan.rounds).fold(Fr::ONE, |power, _| power.double());
        expected += weight * scale * folded.iter().zip(input).map(|(a, b)| *a * b).sum::<Fr>();
        weight *= lambda;
    }
    assert_eq!(seen.scalars[0], expected);
    assert_ne!(scene.see(&scene.draw_masks(22)).scalars[0], expected);
    // A hidden accumulator by itself, since the raw output is public.
    let [first, second] = [&scene.plan.weights[0], &scene.plan.weights[1]];
    let output: Vec<Fr> = seen
        .answer
        .output
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| from_i64(i64::from(i32::from_be_bytes(*word))))
        .collect();
    let t = eq_table(scene.challenges.tau(scene.plan.nodes[2].layout.bits()));
    let public: Fr = output.iter().zip(&t).map(|(value, weight)| *value * weight).sum();
    let power = |bits: usize| (bits..scene.plan.rounds).fold(Fr::ONE, |power, _| power.double());
    let rest = seen.scalars[0] - lambda.square() * lambda * power(second.joint.bits()) * public;
    let told = rest * (lambda.square() * power(first.joint.bits())).invert().unwrap();
    let trace = scene.secret.network().trace(&INPUT).unwrap();
    let t = eq_table(scene.challenges.tau(scene.plan.nodes[1].layout.bits()));
    let hidden = trace.accumulators(0).iter().zip(&t);
    assert_eq!(
        told,
        hidden
            .map(|(value, weight)| from_i64(i64::from(*value)) * weight)
            .sum::<Fr>()
    );
}

#[test]
fn without_a_columns_mask_its_evaluation_tells_hidden_values() {
    let scene = Scene::new(pair()[0].clone());
    let trace = scene.secret.network().trace(&INPUT).unwrap();
    let node = &scene.plan.nodes[1];
    let at = eq_table(scene.challenges.point(scene.plan.slot_bits));
    let offset = node.slots.as_ref().unwrap().offset;
    let cells = node.layout.cells().zip(trace.activations(Node(1)));
    let hidden: Fr = cells
        .map(|(cell, value)| at[offset + cell] * from_i64(i64::from(*value)))
        .sum();
    let place = scene.evaluations().start + Column::Value as usize;
    let mut masks = scene.draw_masks(23);
    assert_ne!(scene.see(&masks).scalars[place], hidden);
    masks.columns[Column::Value as usize] = Fr::ZERO;
    assert_eq!(scene.see(&masks).scalars[place], hidden);
}

#[test]
fn without_an_inputs_mask_its_evaluation_tells_hidden_values() {
    let scene = Scene::new(pair()[0].clone());
    let block = &scene.plan.weights[1];
    let mut masks = scene.draw_masks(24);
    let place = scene.evaluations().start + COLUMNS + 3;
    masks.segment[block.mask_cell.unwrap()] = Fr::ZERO;
    let trace = scene.secret.network().trace(&INPUT).unwrap();
    let at = eq_table(scene.challenges.point(block.joint.bits()));
    let values: Fr = trace
        .activations(Node(1))
        .iter()
        .zip(&at)
        .map(|(v, w)| from_i64(i64::from(*v)) * w)
        .sum();
    let told =
        scene.see(&masks).scalars[place] - block.joint.bias_at(scene.challenges.point(block.joint.bits()));
    assert_eq!(told, values);
}

#[test]
fn without_the_uniform_row_the_opened_row_tells_ratios_of_weights() {
    let layers = vec![dense(0, 8, requantise(10, true)), dense(1, 3, Output::Raw)];
    let example = super::networks::random("opened row", Shape::vector(40).unwrap(), layers);
    let scene = Scene::new(example.network);
    assert_eq!(scene.plan.weight_rows, 1);
    // Cells that neither columns, masks nor inverses reach: behind the columns, where no entry is looked up.
    let [columns, ..] = scene.plan.first.segments.as_slice() else {
        panic!()
    };
    let from = (columns.offset + (1 << columns.bits)) % (1 << 11);
    let cells = &scene.secret.weights.cells;
    let ratios = |masks: &Masks| {
        let seen = scene.see_input(masks, &example.input);
        let free = (from..512).filter(|cell| cells[*cell] != 0 && seen.multiplicities[*cell] == 0);
        let values = free.map(|cell| (seen.opened[cell], from_i64(i64::from(cells[cell]))));
        let values: Vec<(Fr, Fr)> = values.collect();
        assert!(values.len() > 20);
        values
            .windows(2)
            .filter(|pair| pair[0].0 * pair[1].1 == pair[1].0 * pair[0].1)
            .count()
            + 1
            == values.len()
    };
    let mut masks = scene.draw_masks(25);
    assert!(!ratios(&masks));
    masks.row.fill(Fr::ZERO);
    assert!(ratios(&masks));
}

#[test]
fn without_their_masks_the_second_rounds_tell_the_models_apart() {
    let [plain, moved] = pair().map(Scene::new);
    let mut masks = plain.masks_for(&plain.see(&plain.draw_masks(27)));
    masks
        .rounds
        .iter_mut()
        .flatten()
        .for_each(|mask| *mask = Fr::ZERO);
    // All before is alike by the choice of masks; then the rounds are a function of secrets.
    let target = plain.see(&masks);
    let mut other = moved.masks_for(&target);
    assert_eq!(
        moved.see(&other).scalars[moved.second_rounds()],
        target.scalars[plain.second_rounds()]
    );
    other
        .rounds
        .iter_mut()
        .flatten()
        .for_each(|mask| *mask = Fr::ZERO);
    assert_eq!(
        moved.see(&other).scalars[moved.evaluations()],
        target.scalars[plain.evaluations()]
    );
    assert_ne!(
        moved.see(&other).scalars[moved.second_rounds()],
        target.scalars[plain.second_rounds()]
    );
}

/// The simulator: from the public statement alone, with challenges chosen first, a proof that the verifier's equations accept.
#[test]
fn a_simulator_without_weights_convinces_a_programmed_oracle() {
    let srs = srs();
    let [network, _] = pair();
    let secret = SecretModel::commit(network, &srs, Scheme::Mercury, &mut rng(30)).unwrap();
    let output = secret.network().run(&INPUT).unwrap().to_bytes();
    // From here on, only what is public.
    let model = secret.key().model.clone();
    drop(secret);
    let mut rng = rng(31);
    let plan = Plan::new(&model.architecture, 11, Visibility::Public).unwrap();
    let shape = inference_shape(&plan, &model);
    let challenges = Challenges::draw(&plan, 32);
    let point = |rng: &mut _| (G1Affine::generator() * random::scalar(rng)).to_affine();

    let weights: Vec<u8> = model.commitment.rows.iter().flat_map(encode_g1).collect();
    let first: Vec<u8> = (0..shape.first_rows + 2)
        .flat_map(|_| encode_g1(&point(&mut rng)))
        .collect();
    let second: Vec<u8> = (0..shape.second_rows)
        .flat_map(|_| encode_g1(&point(&mut rng)))
        .collect();
    let sent = 1 + 6 * shape.rounds + shape.evaluations + 1 + 2 * shape.row_bits;
    let scalars: Vec<u8> = random::scalars(&mut rng, sent).iter().flat_map(to_word).collect();
    let blinding = random::scalar(&mut rng);
    let assemble = |row: &[u8], mask_value: Fr, opening: &[u8]| {
        [
            &weights,
            &first,
            row,
            &second,
            &scalars,
            &to_word(&mask_value)[..],
            &to_word(&blinding),
            opening,
        ]
        .concat()
    };
    let statement = Statement {
        context: CONTEXT,
        input: InputStatement::Public(&INPUT),
        output: &output,
    };
    let reduce = |proof: &[u8]| {
        reduce_inference(srs.verifier(), &model, &statement, proof, challenges.transcript()).unwrap()
    };

    // With no row and no value yet, what is left is what they must make up for.
    let draft = reduce(&assemble(&[0; 64], Fr::ZERO, &vec![0; shape.opening]));
    assert_eq!(draft.point, &challenges.all[challenges.row_rounds.clone()]);
    let row = random::scalars(&mut rng, srs.row_length());
    let mask_value = opening::evaluate_row(&row, &draft.point) - draft.value;
    let others = counterweight_zkml_verifier::curve::combine(&draft.commitment);
    let committed = commit::row(&srs, &row, &Fr::ZERO);
    let row_mask = (G1::from(committed) - others).to_affine();

    let draft = assemble(&encode_g1(&row_mask), mask_value, &vec![0; shape.opening]);
    let reduced = reduce(&draft);
    assert_eq!(reduced.value, opening::evaluate_row(&row, &reduced.point));
    assert_eq!(
        counterweight_zkml_verifier::curve::combine(&reduced.commitment).to_affine(),
        committed
    );
    let mut transcript = reduced.transcript.clone();
    let opened = opening::open(
        &srs,
        Scheme::Mercury,
        &mut transcript,
        &committed,
        &row,
        &reduced.point,
        &reduced.value,
    )
    .unwrap();
    let claim = counterweight_zkml_verifier::OpeningClaim {
        commitment: &reduced.commitment,
        point: &reduced.point,
        value: reduced.value,
    };
    let mut transcript = reduced.transcript.clone();
    let verdict = counterweight_zkml_verifier::opening::verify(
        srs.verifier(),
        Scheme::Mercury,
        &mut transcript,
        &claim,
        &opened,
    );
    assert_eq!(verdict, Ok(()));
    // The real oracle is not convinced.
    let proof = assemble(&encode_g1(&row_mask), mask_value, &opened);
    let verdict = counterweight_zkml_verifier::verify_inference(srs.verifier(), &model, &statement, &proof);
    assert!(verdict.is_err());
}
