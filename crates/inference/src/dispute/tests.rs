use std::sync::Arc;

use counterweight_primitives::UnixSeconds;
use counterweight_primitives::architecture::{
    Architecture, Bias, Layer, Node, Output, Padding, Requantise, Shape, Step, Window,
};
use counterweight_testkit::numbers;
use proptest::prelude::*;

use super::tree::LEAF_BYTES;
use super::*;
use crate::Network;

mod referee;

use referee::{End, Referee};

/// The network of an architecture whose weights and biases follow from a seed.
fn network(architecture: Architecture, seed: u64) -> Network {
    let weights = numbers(seed, architecture.weights());
    let mut digits = numbers(!seed, 3 * architecture.biases()).into_iter();
    let mut biases = Vec::new();
    for step in architecture.steps() {
        let form = step.layer().bias().unwrap_or_default();
        for _ in step.biases() {
            let row: Vec<i8> = digits.by_ref().take(usize::from(form.digits)).collect();
            biases.push(form.from_digits(&row) as i32);
        }
    }
    Network::new(architecture, weights, biases).unwrap()
}

fn requantise(shift: u8) -> Requantise {
    Requantise { shift, relu: false }
}

fn window(side: u8) -> Window {
    Window {
        height: side,
        width: side,
        stride_y: side,
        stride_x: side,
    }
}

fn conv(input: u8, channels: u16) -> Layer {
    Layer::Conv {
        input: Node(input),
        channels,
        window: Window {
            stride_y: 1,
            stride_x: 1,
            ..window(3)
        },
        padding: Padding {
            top: 1,
            left: 1,
            bottom: 1,
            right: 1,
        },
        bias: Bias { digits: 2, shift: 1 },
        output: Output::Requantise(requantise(9)),
    }
}

fn dense(input: u8, outputs: u16, output: Output) -> Layer {
    Layer::Dense {
        input: Node(input),
        outputs,
        bias: Bias { digits: 3, shift: 0 },
        output,
    }
}

/// Every kind of layer.
fn every_kind() -> Network {
    let layers = vec![
        conv(0, 4),
        Layer::MaxPool {
            input: Node(1),
            window: window(2),
        },
        conv(2, 4),
        Layer::Add {
            left: Node(2),
            right: Node(3),
            left_multiplier: 3,
            right_multiplier: 2,
            output: requantise(2),
        },
        Layer::AveragePool {
            input: Node(4),
            window: window(4),
            multiplier: 5,
            output: requantise(4),
        },
        dense(5, 10, Output::Raw),
    ];
    network(
        Architecture::new(Shape::new(2, 8, 8).unwrap(), layers).unwrap(),
        7,
    )
}

/// A layer of several blocks, then rows of several tiles, through weights and through an average pool.
fn large() -> Network {
    let layers = vec![
        Layer::Conv {
            input: Node(0),
            channels: 3,
            window: Window {
                stride_y: 1,
                stride_x: 1,
                ..window(1)
            },
            padding: Padding::default(),
            bias: Bias::default(),
            output: Output::Requantise(requantise(6)),
        },
        Layer::AveragePool {
            input: Node(1),
            window: window(120),
            multiplier: 1,
            output: requantise(14),
        },
        dense(2, 2, Output::Requantise(requantise(16))),
        dense(1, 2, Output::Requantise(requantise(16))),
        Layer::Add {
            left: Node(3),
            right: Node(4),
            left_multiplier: 1,
            right_multiplier: 1,
            output: requantise(1),
        },
    ];
    network(
        Architecture::new(Shape::new(1, 120, 120).unwrap(), layers).unwrap(),
        3,
    )
}

fn model(network: Network) -> Arc<CommittedModel> {
    Arc::new(CommittedModel::new(network))
}

fn honest(model: &CommittedModel) -> CommittedTrace {
    let elements = model.network().architecture().input().elements();
    model.trace(&numbers(11, elements)).unwrap()
}

/// The trace with one wrong element, and everything after it computed from there.
fn lie(model: &CommittedModel, layer: usize, element: usize) -> CommittedTrace {
    let network = model.network();
    let steps = network.architecture().steps();
    let trace = honest(model);
    let mut nodes: Vec<Vec<u8>> = (0..=steps.len())
        .map(|node| trace.node(Node(node as u8)).unwrap().data().to_vec())
        .collect();
    let raw = |step: &Step| step.layer().output() == Some(Output::Raw);
    let last = &mut nodes[layer + 1];
    let place = if raw(&steps[layer]) {
        4 * element + 3
    } else {
        element
    };
    last[place] ^= 1;
    for step in &steps[layer + 1..] {
        let signed = |node: Node| -> Vec<i8> {
            nodes[usize::from(node.0)]
                .iter()
                .map(|byte| byte.cast_signed())
                .collect()
        };
        let inputs: Vec<Vec<i8>> = step.layer().inputs().map(signed).collect();
        let inputs: Vec<&[i8]> = inputs.iter().map(Vec::as_slice).collect();
        let values = (0..step.output_shape().elements()).map(|element| {
            let value = crate::reference::element(network, step, &inputs, element).unwrap();
            (value.accumulator, value.output)
        });
        nodes[step.index() + 1] = if raw(step) {
            values
                .flat_map(|(accumulator, _)| (accumulator as i32).to_be_bytes())
                .collect()
        } else {
            values.map(|(_, output)| output as u8).collect()
        };
    }
    CommittedTrace::from_nodes(nodes).unwrap()
}

// Trees

proptest! {
    /// What a tree opens belongs to it, at these places and for this length only.
    #[test]
    fn a_tree_opens_what_it_holds(length in 1_usize..1200, chosen in any::<u64>(), spoilt in any::<usize>()) {
        let data: Vec<u8> = numbers(chosen, length).into_iter().map(i8::cast_unsigned).collect();
        let tree = ByteTree::new(data).unwrap();
        let width = length.div_ceil(LEAF_BYTES);
        let mut indices: Vec<usize> = (0..width).filter(|index| chosen >> (index % 64) & 1 == 1).collect();
        indices.push(width);
        indices.pop();
        if indices.is_empty() {
            indices.push(spoilt % width);
        }
        let opening = tree.open(&indices);
        let root = tree.root();
        prop_assert!(root.has(length, &indices, &opening));
        prop_assert!(!root.has(length + 1, &indices, &opening));
        let mut wrong = opening.clone();
        let at = spoilt % wrong.leaves.len();
        wrong.leaves[at] ^= 1;
        prop_assert!(!root.has(length, &indices, &wrong));
        if !opening.siblings.is_empty() {
            let mut wrong = opening.clone();
            let at = spoilt % wrong.siblings.len();
            wrong.siblings[at][spoilt % 32] ^= 1;
            prop_assert!(!root.has(length, &indices, &wrong));
            wrong.siblings.truncate(at);
            prop_assert!(!root.has(length, &indices, &wrong));
        }
        let mut wrong = opening.clone();
        wrong.siblings.push([0; 32]);
        prop_assert!(!root.has(length, &indices, &wrong));
        let mut moved = indices.clone();
        *moved.last_mut().unwrap() += 1;
        prop_assert!(!root.has(length, &moved, &opening));
    }

    /// Blocks and the nodes above them make the root, each in its place only.
    #[test]
    fn blocks_belong_to_their_tree(length in 1_usize..100_000, index in 0_usize..7, leaf in any::<usize>()) {
        let data: Vec<u8> = numbers(length as u64, length).into_iter().map(i8::cast_unsigned).collect();
        let tree = ByteTree::new(data).unwrap();
        let (root, tops) = (tree.root(), tree.tops());
        prop_assert!(root.has_tops(length, tops));
        prop_assert!(!root.has_tops(length + BLOCK_BYTES, tops));
        let index = index % tops.len();
        let (bytes, siblings) = tree.block(index).unwrap();
        prop_assert!(root.has_block(length, index, bytes, &siblings));
        prop_assert!(!root.has_block(length, index + 1, bytes, &siblings));
        let mut wrong = bytes.to_vec();
        wrong[leaf % bytes.len()] ^= 0x80;
        prop_assert!(!root.has_block(length, index, &wrong, &siblings));
        let leaf = index * (BLOCK_BYTES / LEAF_BYTES) + leaf % bytes.len().div_ceil(LEAF_BYTES);
        let opening = tree::open_in_block(bytes.to_vec(), index, tops, leaf).unwrap();
        prop_assert!(root.has(length, &[leaf], &opening));
    }
}

#[test]
fn nothing_has_no_tree() {
    assert_eq!(ByteTree::new(Vec::new()), None);
}

#[test]
fn roots_and_ids_are_pinned() {
    let tree = ByteTree::new((0..100).collect()).unwrap();
    assert_hex(
        &tree.root().0,
        "e9b6c6ae281e0a608c531a50f33686a6790091204ea796625622b9d6c43d3283",
    );
    assert_hex(
        &model(every_kind()).id().0,
        "cab1ab1bc74d04192c51be43cfecbd19c6fa82d18421e96b8852ba7627c3853d",
    );
}

fn assert_hex(bytes: &[u8; 32], expected: &str) {
    assert_eq!(hex::encode(bytes), expected);
}

// One element

/// Over all architectures of the shared vectors, with weights of our own: 10,000 layers and more.
#[test]
fn recomputing_agrees_with_the_executor_on_ten_thousand_layers() {
    let file = include_str!("../../../../testdata/arithmetic-v1.json");
    let vectors: serde_json::Value = serde_json::from_str(file).unwrap();
    let mut layers = 0;
    for (case, vector) in vectors["networks"].as_array().unwrap().iter().enumerate() {
        let bytes = hex::decode(vector["architecture"].as_str().unwrap()).unwrap();
        let architecture = Architecture::decode(&bytes).unwrap();
        let runs = 10_000 / 125 / architecture.steps().len() + 1;
        for run in 0..runs {
            let seed = (case * 1000 + run) as u64;
            let model = CommittedModel::new(network(architecture.clone(), seed));
            let input = numbers(seed + 7, architecture.input().elements());
            let own = model.network().trace(&input).unwrap();
            let trace = CommittedTrace::of(model.network(), &own);
            for step in architecture.steps() {
                layers += 1;
                let element = (seed as usize * 31 + layers) % step.output_shape().elements();
                let expected = match step.layer().output() {
                    Some(Output::Raw) => own.accumulators(step.index())[element],
                    _ => i32::from(own.activations(step.node())[element]),
                };
                assert_eq!(
                    opened(&model, &trace, step, element),
                    Ok(expected),
                    "case {case}, {step:?}"
                );
            }
        }
    }
    assert!(layers >= 10_000, "{layers}");
}

fn opened(
    model: &CommittedModel,
    trace: &CommittedTrace,
    step: &Step,
    element: usize,
) -> Result<i32, OpeningError> {
    assert_eq!(tiles(step), 1);
    let mut inputs = step.layer().inputs().map(|node| trace.node(node).unwrap());
    let input = inputs.next().unwrap();
    let (other_root, other) = match step.layer() {
        Layer::Add { .. } => {
            let right = inputs.next().unwrap();
            (right.root(), right.open(&[element / LEAF_BYTES]))
        }
        _ => {
            let row = 0..step.terms() + layout::digits(step);
            (
                model.weight_roots()[step.index()],
                model.open_row(step, element, row),
            )
        }
    };
    let leaves = layout::window_leaves(step, element, 0..step.terms());
    recompute(
        step,
        element,
        [input.root(), other_root],
        &input.open(&leaves),
        &other,
    )
}

// Games

const RESPONSE: u64 = 100;

/// Plays a game between what the claimant claims and what the challenger finds, each second of it. `silent_at` is a phase in which
/// nobody answers. Gives the end and the moves made.
fn play(
    model: &Arc<CommittedModel>,
    claimed: CommittedTrace,
    own: CommittedTrace,
    first: Phase,
    target: Target,
    silent_at: Option<Phase>,
) -> (End, Vec<Phase>) {
    let roots = claimed.roots();
    let mut referee = Referee::new(Arc::clone(model), roots.clone(), first, target, RESPONSE);
    let player = |side, trace| Player::new(side, Arc::clone(model), Arc::new(trace), roots.clone());
    let mut players = [player(Side::Claimant, claimed), player(Side::Challenger, own)];
    let mut made = Vec::new();
    let mut events = vec![referee.due()];
    for now in 0..2000 {
        let now = UnixSeconds(now);
        let told = if events.is_empty() {
            vec![Event::Tick]
        } else {
            std::mem::take(&mut events)
        };
        let mut moves = Vec::new();
        for player in &mut players {
            let mut action = Action::Done;
            for event in &told {
                (*player, action) = player.clone().step(event.clone(), now);
            }
            if let Action::Make(made, until) = action {
                assert!(now <= until);
                moves.push(made);
            }
        }
        for next in moves {
            if silent_at == Some(referee.phase()) && next != Move::Settle {
                continue;
            }
            made.push(referee.phase());
            match referee.take(next, now) {
                Ok(happened) => events.extend(happened),
                Err(end) => return (end, made),
            }
        }
    }
    panic!("the game did not end");
}

fn first_phase(model: &CommittedModel, layer: usize) -> Phase {
    let shape = model.network().architecture().steps()[layer].output_shape();
    if shape.elements() > BLOCK_BYTES {
        Phase::Split
    } else {
        Phase::Reveal
    }
}

#[test]
fn a_lie_in_any_layer_loses() {
    for network in [every_kind(), large()] {
        let model = model(network);
        for step in model.network().architecture().steps() {
            let layer = step.index();
            for element in [0, step.output_shape().elements() - 1] {
                let claimed = lie(&model, layer, element);
                let own = honest(&model);
                assert_eq!(own.first_difference(&claimed.roots()), Some(layer));
                let (end, made) = play(
                    &model,
                    claimed,
                    own,
                    first_phase(&model, layer),
                    Target::Layer(layer),
                    None,
                );
                // Where there are tiles, a liar has no sums to give, and falls silent.
                assert_eq!(
                    end,
                    End::ChallengerWon,
                    "layer {layer}, element {element}, {made:?}"
                );
            }
        }
    }
}

#[test]
fn the_truth_wins_against_any_accusation() {
    for network in [every_kind(), large()] {
        let model = model(network);
        for step in model.network().architecture().steps() {
            let layer = step.index();
            // A challenger whose own run is wrong.
            let own = lie(&model, layer, 0);
            let (end, made) = play(
                &model,
                honest(&model),
                own,
                first_phase(&model, layer),
                Target::Layer(layer),
                None,
            );
            assert_eq!(end, End::ClaimantWon, "layer {layer}, {made:?}");
        }
    }
}

#[test]
fn a_claim_that_is_true_is_not_accused() {
    let model = model(every_kind());
    let player = Player::new(
        Side::Challenger,
        Arc::clone(&model),
        Arc::new(honest(&model)),
        honest(&model).roots(),
    );
    assert_eq!(player.accuses(), None);
}

#[test]
fn who_is_silent_loses_at_every_move() {
    let model = model(large());
    // Layer 0 is split, layer 3 has tiles; both from a demand on.
    for (layer, phases) in [
        (
            0,
            vec![
                Phase::Publish,
                Phase::Name,
                Phase::Split,
                Phase::Pick,
                Phase::Reveal,
                Phase::Point,
            ],
        ),
        (
            3,
            vec![
                Phase::Publish,
                Phase::Name,
                Phase::Reveal,
                Phase::Point,
                Phase::Sum,
            ],
        ),
    ] {
        for silent_at in phases {
            let (claimed, own) = if silent_at == Phase::Sum {
                (honest(&model), lie(&model, layer, 0))
            } else {
                (lie(&model, layer, 1), honest(&model))
            };
            let (end, made) = play(
                &model,
                claimed,
                own,
                Phase::Publish,
                Target::Layer(0),
                Some(silent_at),
            );
            let claimant = matches!(
                silent_at,
                Phase::Publish | Phase::Split | Phase::Reveal | Phase::Sum
            );
            let expected = if claimant {
                End::ChallengerWon
            } else {
                End::ClaimantWon
            };
            assert_eq!(end, expected, "{silent_at:?}: {made:?}");
            assert_eq!(made.last(), Some(&silent_at));
        }
    }
}

#[test]
fn a_false_sum_is_found() {
    let model = model(large());
    let step = &model.network().architecture().steps()[3];
    let claimed = lie(&model, 3, 0);
    let roots = claimed.roots();
    let mut referee = Referee::new(
        Arc::clone(&model),
        roots.clone(),
        Phase::Reveal,
        Target::Layer(3),
        RESPONSE,
    );
    let own = Arc::new(honest(&model));
    let mut challenger = Player::new(Side::Challenger, Arc::clone(&model), own, roots);
    let now = UnixSeconds(5);
    let node = claimed.node(step.node()).unwrap();
    let (data, siblings) = node.block(0).unwrap();
    let reveal = Move::Reveal {
        data: data.to_vec(),
        siblings,
    };
    let mut action = Action::Done;
    for event in referee.take(reveal, now).unwrap() {
        (challenger, action) = challenger.step(event, now);
    }
    let Action::Make(point, _) = action else {
        panic!("no point")
    };
    referee.take(point, now).unwrap();
    // Sums that make the false element: the true ones, and enough more in one tile.
    let honest = Player::new(
        Side::Claimant,
        Arc::clone(&model),
        Arc::new(honest(&model)),
        vec![],
    );
    let (_, truth) = {
        let (player, _) = honest.step(Event::Pointed(0), now);
        player.step(
            Event::Due(Situation {
                phase: Phase::Sum,
                deadline: UnixSeconds(999),
                target: Target::Layer(3),
                part: 0,
            }),
            now,
        )
    };
    let Action::Make(
        Move::Sum {
            element,
            mut sums,
            bias,
            ..
        },
        _,
    ) = truth
    else {
        panic!("{truth:?}")
    };
    let up = node.data()[0].cast_signed() > own_element(&model, 3);
    sums[2] += if up { 1 << 16 } else { -(1 << 16) };
    let sum = Move::Sum {
        element,
        sums,
        output: node.open(&[0]),
        bias,
    };
    action = Action::Done;
    for event in referee.take(sum, now).unwrap() {
        (challenger, action) = challenger.step(event, now);
    }
    let Action::Make(tile @ Move::Tile { tile: 2, .. }, _) = action else {
        panic!("no tile")
    };
    assert_eq!(referee.take(tile, now), Err(End::ChallengerWon));
}

fn own_element(model: &CommittedModel, layer: u8) -> i8 {
    honest(model).node(Node(layer + 1)).unwrap().data()[0].cast_signed()
}

#[test]
fn moves_wait_for_their_turn_and_their_time() {
    let model = model(every_kind());
    let trace = Arc::new(honest(&model));
    let claimant = Player::new(
        Side::Claimant,
        Arc::clone(&model),
        Arc::clone(&trace),
        trace.roots(),
    );
    let due = |phase| {
        Event::Due(Situation {
            phase,
            deadline: UnixSeconds(50),
            target: Target::Layer(0),
            part: 0,
        })
    };
    let act = |event, now| claimant.clone().step(event, UnixSeconds(now)).1;
    assert!(matches!(
        act(due(Phase::Reveal), 50),
        Action::Make(Move::Reveal { .. }, UnixSeconds(50))
    ));
    assert_eq!(act(due(Phase::Reveal), 51), Action::Overdue);
    assert_eq!(act(due(Phase::Point), 50), Action::WaitUntil(UnixSeconds(51)));
    assert!(matches!(
        act(due(Phase::Point), 51),
        Action::Make(Move::Settle, _)
    ));
    assert_eq!(act(Event::Tick, 3), Action::WaitUntil(UnixSeconds(3)));
    assert_eq!(act(Event::Ended, 3), Action::Done);
}
