//! Provers that break one rule and do everything else as well as they can, and proofs with one thing spoilt.

use counterweight_inference::Network;
use counterweight_primitives::architecture::{Architecture, Shape};
use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::model::Model;
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::plan::{Column, Plan, SlotKind, Visibility, WeightPlan};
use counterweight_zkml_verifier::{Fr, InputStatement, Statement, VerifyError, verify_inference};
use counterweight_zkml_verifier::{OpeningError, table, verify_registration};
use rayon::prelude::*;

use super::networks::{Example, dense, examples, random, requantise};
use super::{CONTEXT, check, rng, srs};
use crate::prover::{FoldedLayer, Interference};
use crate::srs::Srs;
use crate::witness::Witness;
use crate::{Input, InputCommitment, ProvenAnswer, SecretModel};

const REFUSED: Result<(), VerifyError> = Err(VerifyError::Opening(OpeningError::Pairing));

/// Changes the witness by a function.
struct Spoil<F>(F);

impl<F: FnMut(&Plan, &mut Witness, &mut Vec<u8>)> Interference for Spoil<F> {
    fn witness(&mut self, plan: &Plan, witness: &mut Witness, output: &mut Vec<u8>) {
        self.0(plan, witness, output);
    }
}

/// Changes the layers by a function.
struct SpoilLayers<F>(F);

impl<F: FnMut(&Plan, &mut [(FoldedLayer, Vec<Fr>)])> Interference for SpoilLayers<F> {
    fn layers(&mut self, plan: &Plan, layers: &mut [(FoldedLayer, Vec<Fr>)]) {
        self.0(plan, layers);
    }
}

fn example(name: &str) -> Example {
    examples()
        .into_iter()
        .find(|example| example.name == name)
        .unwrap()
}

fn commit(srs: &Srs, network: Network) -> SecretModel {
    SecretModel::commit(network, srs, Scheme::Mercury, &mut rng(2)).unwrap()
}

fn prove_with(
    srs: &Srs,
    secret: &SecretModel,
    input: &[i8],
    interference: &mut impl Interference,
) -> ProvenAnswer {
    let input = Input::Public(input);
    secret
        .prove_with(
            srs,
            input,
            CONTEXT,
            &mut rng(3),
            (None, interference),
            &mut |_| {},
        )
        .unwrap()
}

/// The slot of the first element of a node.
fn slot(plan: &Plan, node: usize) -> usize {
    plan.nodes[node].slots.as_ref().unwrap().offset
}

fn get(plan: &Plan, witness: &Witness, column: Column, slot: usize) -> i64 {
    i64::from(witness.column(plan, column as usize)[slot])
}

/// Adds to a cell.
fn add(plan: &Plan, witness: &mut Witness, column: Column, slot: usize, by: i64) {
    let value = get(plan, witness, column, slot) + by;
    witness.set(plan, column, slot, value);
}

/// Moves a lookup from one entry of the table to another.
fn relocate(witness: &mut Witness, from: usize, to: usize) {
    witness.multiplicities[from] -= 1;
    witness.multiplicities[to] += 1;
}

fn refuses(name: &str, what: &str, spoil: impl FnMut(&Plan, &mut Witness, &mut Vec<u8>)) {
    let srs = srs();
    let Example { network, input, .. } = example(name);
    let secret = commit(&srs, network);
    let answer = prove_with(&srs, &secret, &input, &mut Spoil(spoil));
    assert_eq!(
        check(&srs, &secret, InputStatement::Public(&input), &answer),
        REFUSED,
        "{what}"
    );
}

const PERCEPTRON: &str = "multilayer perceptron";
const POOLED: &str = "convolution and max pool";
const ADDED: &str = "average pool and addition";

#[test]
fn a_wrong_remainder_is_refused() {
    refuses(PERCEPTRON, "within its range", |plan, witness, _| {
        let slot = slot(plan, 1);
        let rest = get(plan, witness, Column::Remainder0, slot);
        let other = rest ^ 1;
        witness.set(plan, Column::Remainder0, slot, other);
        relocate(
            witness,
            table::index_below(8, rest as u8),
            table::index_below(8, other as u8),
        );
    });
}

#[test]
fn a_remainder_past_its_range_is_refused() {
    // One less of the low byte and 2^s more of the remainder say the same accumulator.
    refuses(
        PERCEPTRON,
        "the remainder takes over from the quotient",
        |plan, witness, _| {
            let SlotKind::Requantised(rule) = plan.nodes[2].slots.as_ref().unwrap().kind else {
                panic!()
            };
            let offset = slot(plan, 2);
            let slot = (offset..offset + 8)
                .find(|slot| get(plan, witness, Column::Low, *slot) > 0)
                .unwrap();
            let low = get(plan, witness, Column::Low, slot) as usize;
            let entry = 1024;
            relocate(witness, entry + low, entry + low - 1);
            add(plan, witness, Column::Low, slot, -1);
            add(plan, witness, Column::Remainder0, slot, 1 << rule.shift);
            let inside = get(plan, witness, Column::Inside, slot);
            add(plan, witness, Column::Middle, slot, -1);
            add(plan, witness, Column::Value, slot, -inside);
        },
    );
}

#[test]
fn a_quotient_outside_the_table_is_refused() {
    refuses(
        PERCEPTRON,
        "the low byte takes over from the high byte",
        |plan, witness, _| {
            let slot = slot(plan, 1);
            add(plan, witness, Column::High, slot, -1);
            add(plan, witness, Column::Low, slot, 256);
        },
    );
}

#[test]
fn a_value_that_does_not_follow_from_its_quotient_is_refused() {
    refuses(PERCEPTRON, "value", |plan, witness, _| {
        add(plan, witness, Column::Value, slot(plan, 1), 1)
    });
    refuses(PERCEPTRON, "inside", |plan, witness, _| {
        let slot = slot(plan, 1);
        let inside = get(plan, witness, Column::Inside, slot);
        witness.set(plan, Column::Inside, slot, 1 - inside);
    });
    refuses(PERCEPTRON, "saturated", |plan, witness, _| {
        let slot = slot(plan, 1);
        add(plan, witness, Column::Saturated, slot, 1);
        add(plan, witness, Column::Value, slot, 1);
    });
}

#[test]
fn a_wrong_multiplicity_is_refused() {
    for entry in [1, 300, 1535] {
        refuses(PERCEPTRON, "multiplicity", move |_, witness, _| {
            witness.multiplicities[entry] += 1
        });
    }
}

#[test]
fn a_wrong_maximum_is_refused() {
    // Greater than all four: every difference is in range and none is zero.
    refuses(POOLED, "greater", |plan, witness, _| {
        let slot = slot(plan, 2);
        for k in 0..4 {
            let column = [Column::High, Column::Low, Column::Remainder0, Column::Remainder1][k];
            let difference = get(plan, witness, column, slot) as u8;
            relocate(
                witness,
                table::index_below(8, difference),
                table::index_below(8, difference.wrapping_add(1)),
            );
            add(plan, witness, column, slot, 1);
        }
        add(plan, witness, Column::Value, slot, 1);
    });
    // Less than one of them: that difference is negative.
    refuses(POOLED, "less", |plan, witness, _| {
        let slot = slot(plan, 2);
        for column in [Column::High, Column::Low, Column::Remainder0, Column::Remainder1] {
            add(plan, witness, column, slot, -1);
        }
        add(plan, witness, Column::Value, slot, -1);
    });
    refuses(POOLED, "differences of nothing", |plan, witness, _| {
        let slot = slot(plan, 4);
        add(plan, witness, Column::High, slot, 1);
    });
}

#[test]
fn sums_pools_and_outputs_are_tied_to_their_inputs() {
    for (node, what) in [
        (1, "convolution"),
        (3, "addition"),
        (4, "average pool"),
        (5, "output"),
    ] {
        // A quotient one higher in all that follows from it: only the accumulator tells.
        refuses(ADDED, what, move |plan, witness, _| {
            let SlotKind::Requantised(rule) = plan.nodes[node].slots.as_ref().unwrap().kind else {
                panic!()
            };
            let offset = slot(plan, node);
            let slot = offset;
            let base = 1024 + if rule.relu { 256 } else { 0 };
            let low = get(plan, witness, Column::Low, slot);
            let other = if low == 255 { 254 } else { low + 1 };
            let middle = table::entry(base + other as usize)[2];
            relocate(witness, base + low as usize, base + other as usize);
            witness.set(plan, Column::Low, slot, other);
            witness.set(plan, Column::Middle, slot, middle);
            let value = get(plan, witness, Column::Inside, slot) * middle;
            let saturated = get(plan, witness, Column::Saturated, slot);
            witness.set(plan, Column::Value, slot, value + saturated);
        });
    }
    refuses(ADDED, "another int8 output", |_, _, output| output[0] ^= 1);
    refuses(PERCEPTRON, "another raw output", |_, _, output| output[3] ^= 1);
}

#[test]
fn an_extended_input_other_than_the_slots_is_refused() {
    let srs = srs();
    for name in [PERCEPTRON, POOLED] {
        let Example { network, input, .. } = example(name);
        let secret = commit(&srs, network);
        let mut spoil =
            SpoilLayers(|_: &Plan, layers: &mut [(FoldedLayer, Vec<Fr>)]| layers[1].1[0] += Fr::ONE);
        let answer = prove_with(&srs, &secret, &input, &mut spoil);
        assert_eq!(
            check(&srs, &secret, InputStatement::Public(&input), &answer),
            REFUSED,
            "{name}"
        );
    }
}

/// The cell that meets the mask may hold a weight (it is committed, nobody can tell), but it must not count.
#[test]
fn a_weight_in_the_mask_cell_does_not_count() {
    let srs = srs();
    let Example { network, input, .. } = example(PERCEPTRON);
    let mut secret = commit(&srs, network);
    let plan = WeightPlan::new(secret.network().architecture(), 11).unwrap();
    let block = &plan.blocks[1];
    let cell = block.offset + block.joint.mask_cell();
    secret.weights.cells[cell] = 77;
    secret.recommit(&srs);
    let answer = prove_with(&srs, &secret, &input, &mut crate::prover::Honest);
    assert_eq!(
        check(&srs, &secret, InputStatement::Public(&input), &answer),
        Ok(())
    );

    let mut spoil = SpoilLayers(|plan: &Plan, layers: &mut [(FoldedLayer, Vec<Fr>)]| {
        let cell = plan.weights[1].joint.mask_cell();
        layers[1].0.count_anyway(cell, Fr::from(77));
    });
    let answer = prove_with(&srs, &secret, &input, &mut spoil);
    assert_eq!(
        check(&srs, &secret, InputStatement::Public(&input), &answer),
        REFUSED
    );
}

#[test]
fn a_private_input_is_the_committed_one() {
    let srs = srs();
    let Example { network, input, .. } = example(PERCEPTRON);
    let secret = commit(&srs, network);
    let mut rng = rng(4);
    let architecture = secret.network().architecture();
    let mut other = input.clone();
    other[5] ^= 3;
    let committed = InputCommitment::commit(&srs, architecture, &other, &mut rng).unwrap();
    let answer = secret
        .prove(
            &srs,
            Input::Private(&committed.claiming(&input)),
            CONTEXT,
            &mut rng,
        )
        .unwrap();
    assert_eq!(
        check(
            &srs,
            &secret,
            InputStatement::Committed(committed.hash()),
            &answer
        ),
        REFUSED
    );
    // The honest one, so that the above is refused for its input alone; and claimed of another commitment.
    let answer = secret
        .prove(&srs, Input::Private(&committed), CONTEXT, &mut rng)
        .unwrap();
    assert_eq!(
        check(
            &srs,
            &secret,
            InputStatement::Committed(committed.hash()),
            &answer
        ),
        Ok(())
    );
    let again = InputCommitment::commit(&srs, architecture, &other, &mut rng).unwrap();
    let refused = check(&srs, &secret, InputStatement::Committed(again.hash()), &answer);
    assert_eq!(refused, Err(VerifyError::OtherInput));
}

#[test]
fn other_weights_swapped_layers_and_replays_are_refused() {
    let srs = srs();
    let shape = Shape::vector(12).unwrap();
    let layers = || {
        vec![
            dense(0, 12, requantise(8, true)),
            dense(1, 12, requantise(8, true)),
        ]
    };
    let Example { network, input, .. } = random("two layers alike", shape, layers());
    let secret = commit(&srs, network.clone());
    let half = network.weights().len() / 2;
    let swapped = [&network.weights()[half..], &network.weights()[..half]].concat();
    let biases = [&network.biases()[12..], &network.biases()[..12]].concat();
    let other = Network::new(network.architecture().clone(), swapped, biases).unwrap();
    let mut impostor = commit(&srs, other.clone());

    let honest = prove_with(&srs, &impostor, &input, &mut crate::prover::Honest);
    let statement = InputStatement::Public(&input);
    assert_eq!(
        check(&srs, &secret, statement, &honest),
        Err(VerifyError::OtherWeights)
    );
    // The weights of one model behind the commitment of the other.
    impostor.key.model.commitment = secret.key.model.commitment.clone();
    let lie = prove_with(&srs, &impostor, &input, &mut crate::prover::Honest);
    assert_eq!(check(&srs, &secret, statement, &lie), REFUSED);

    let answer = prove_with(&srs, &secret, &input, &mut crate::prover::Honest);
    assert_eq!(check(&srs, &secret, statement, &answer), Ok(()));
    let elsewhere = Statement {
        context: [8; 32],
        input: statement,
        output: &answer.output,
    };
    let model = &secret.key().model;
    assert_eq!(
        verify_inference(srs.verifier(), model, &elsewhere, &answer.proof),
        REFUSED
    );
    // The same weights and blindings in another architecture: other shifts.
    let architecture = Architecture::new(
        shape,
        vec![
            dense(0, 12, requantise(9, true)),
            dense(1, 12, requantise(8, true)),
        ],
    )
    .unwrap();
    let other = Model {
        architecture,
        commitment: model.commitment.clone(),
    };
    let statement = Statement {
        context: CONTEXT,
        input: statement,
        output: &answer.output,
    };
    assert_eq!(
        verify_inference(srs.verifier(), &other, &statement, &answer.proof),
        REFUSED
    );
}

#[test]
fn a_weight_that_is_no_int8_cannot_be_registered() {
    let srs = srs();
    let Example { network, .. } = example("dense");
    let secret = commit(&srs, network);
    // A cell of the padding is as good a place for it as any: all are looked up.
    for (cell, value) in [(0, Fr::from(128)), (3, -Fr::from(129)), (100, Fr::from(1 << 20))] {
        let mut lied = commit(&srs, secret.network().clone());
        lied.weights.cells[cell] = 0;
        let large = [(cell, value)];
        lied.weights.large = large.to_vec();
        lied.recommit(&srs);
        let key = lied.key();
        assert_eq!(
            verify_registration(srs.verifier(), &key.model, &key.registration),
            REFUSED,
            "{value:?}"
        );
    }
    let mut rng = rng(6);
    let again = SecretModel::commit(secret.network().clone(), &srs, Scheme::Mercury, &mut rng).unwrap();
    let swapped = verify_registration(srs.verifier(), &secret.key().model, &again.key().registration);
    assert_eq!(swapped, REFUSED);
}

/// A prover whose every scalar is one more than it should be, one at a time, going on from there.
#[test]
fn every_scalar_sent_matters() {
    let srs = srs();
    let Example { network, input, .. } = example("dense, requantised");
    let secret = commit(&srs, network);
    let scalars = {
        let answer = prove_with(&srs, &secret, &input, &mut crate::prover::Honest);
        let shape = counterweight_zkml_verifier::verify::inference_shape(
            &Plan::new(secret.network().architecture(), 11, Visibility::Public).unwrap(),
            &secret.key().model,
        );
        assert_eq!(answer.proof.len(), shape.bytes());
        1 + 6 * shape.rounds + shape.evaluations + 1 + 2 * shape.row_bits + 2
    };
    (0..scalars).into_par_iter().for_each(|index| {
        struct Lie(usize);
        impl Interference for Lie {
            fn lie(&self) -> Option<usize> {
                Some(self.0)
            }
        }
        let answer = prove_with(&srs, &secret, &input, &mut Lie(index));
        let verdict = check(&srs, &secret, InputStatement::Public(&input), &answer);
        assert_eq!(verdict, REFUSED, "scalar {index} of {scalars}");
    });
}

#[test]
fn every_byte_of_a_proof_and_its_statement_matters() {
    let srs = srs();
    let Example { network, input, .. } = example("dense, requantised");
    let secret = commit(&srs, network);
    let answer = prove_with(&srs, &secret, &input, &mut crate::prover::Honest);
    let model = &secret.key().model;
    let verify = |context: [u8; 32], input: &[i8], output: &[u8], proof: &[u8]| {
        let statement = Statement {
            context,
            input: InputStatement::Public(input),
            output,
        };
        verify_inference(srs.verifier(), model, &statement, proof)
    };
    assert_eq!(verify(CONTEXT, &input, &answer.output, &answer.proof), Ok(()));
    (0..answer.proof.len()).into_par_iter().for_each(|at| {
        let mut proof = answer.proof.clone();
        proof[at] ^= 1 << (at % 8);
        assert!(
            verify(CONTEXT, &input, &answer.output, &proof).is_err(),
            "byte {at}"
        );
    });
    for at in 0..32 {
        let mut context = CONTEXT;
        context[at] ^= 1;
        assert_eq!(verify(context, &input, &answer.output, &answer.proof), REFUSED);
    }
    for at in 0..input.len() {
        let mut input = input.clone();
        input[at] ^= 1;
        assert_eq!(verify(CONTEXT, &input, &answer.output, &answer.proof), REFUSED);
    }
    for at in 0..answer.output.len() {
        let mut output = answer.output.clone();
        output[at] ^= 1;
        assert_eq!(verify(CONTEXT, &input, &output, &answer.proof), REFUSED);
    }
    for length in [0, 31, answer.proof.len() - 1] {
        let refused = verify(CONTEXT, &input, &answer.output, &answer.proof[..length]);
        assert!(matches!(refused, Err(VerifyError::Length { .. })));
    }
    let longer = [&answer.proof[..], &[0; 32]].concat();
    assert!(matches!(
        verify(CONTEXT, &input, &answer.output, &longer),
        Err(VerifyError::Length { .. })
    ));

    let registration = &secret.key().registration;
    let points = 64 * 3;
    (0..registration.len())
        .into_par_iter()
        .filter(|at| at % 7 == 0 || *at < points)
        .for_each(|at| {
            let mut registration = registration.clone();
            registration[at] ^= 1 << (at % 8);
            assert!(
                verify_registration(srs.verifier(), model, &registration).is_err(),
                "byte {at}"
            );
        });
}
