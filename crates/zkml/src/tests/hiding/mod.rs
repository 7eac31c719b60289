//! What a verifier sees says nothing of the weights beyond the answer: `docs/spec/zkml.md`, section 6.
//!
//! With challenges held fixed, every value sent is an affine function of masks that are used once. The tests invert it: what was
//! seen with one set of weights is what would have been seen with another and other masks.

mod scene;

use counterweight_primitives::architecture::{Node, Output, Shape};
use counterweight_zkml_verifier::curve::{Curve, G1, G1Affine, encode_g1};
use counterweight_zkml_verifier::field::{Field, from_i64, to_word};
use counterweight_zkml_verifier::multilinear::eq_table;
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::plan::{COLUMNS, Column, Plan, Visibility, mask_coefficients};
use counterweight_zkml_verifier::verify::{inference_shape, reduce_inference};
use counterweight_zkml_verifier::{Fr, InputStatement, Statement};

use scene::{Challenges, INPUT, Masks, Scene, Seen, pair};

use super::networks::{dense, requantise};
use super::{CONTEXT, rng, srs};
use crate::{SecretModel, commit, opening, random};

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
