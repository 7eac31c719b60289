//! What the contract does, as a model to play against.

use std::sync::Arc;

use counterweight_primitives::UnixSeconds;
use counterweight_primitives::architecture::{Layer, Node, Output, Step};

use super::super::tree::LEAF_BYTES;
use super::super::{
    BLOCK_BYTES, CommittedModel, Event, Move, Opening, Phase, Root, Situation, Target, layout, recompute,
};

/// How a game ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    ChallengerWon,
    ClaimantWon,
    /// The contract would have reverted.
    Refused,
}

pub(super) struct Referee {
    model: Arc<CommittedModel>,
    roots: Vec<Root>,
    situation: Situation,
    response: u64,
    element: usize,
    sums: Vec<i32>,
}

impl Referee {
    pub(super) fn new(
        model: Arc<CommittedModel>,
        roots: Vec<Root>,
        phase: Phase,
        target: Target,
        response: u64,
    ) -> Self {
        let situation = Situation {
            phase,
            deadline: UnixSeconds(response),
            target,
            part: 0,
        };
        Self {
            model,
            roots,
            situation,
            response,
            element: 0,
            sums: Vec::new(),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.situation.phase
    }

    pub(super) fn due(&self) -> Event {
        Event::Due(self.situation)
    }

    fn step(&self) -> Step {
        let Target::Layer(layer) = self.situation.target else {
            panic!("no layer was named")
        };
        self.model.network().architecture().steps()[layer].clone()
    }

    fn root(&self, node: Node) -> Root {
        self.roots[usize::from(node.0)]
    }

    fn next(&mut self, phase: Phase, now: UnixSeconds) -> Event {
        self.situation.phase = phase;
        self.situation.deadline = UnixSeconds(now.0 + self.response);
        self.due()
    }

    fn bytes(step: &Step) -> usize {
        let width = if step.layer().output() == Some(Output::Raw) {
            4
        } else {
            1
        };
        width * step.output_shape().elements()
    }

    fn said(&self, step: &Step, element: usize, output: &Opening) -> i32 {
        let width = Self::bytes(step) / step.output_shape().elements();
        let place = element * width;
        assert!(
            self.root(step.node())
                .has(Self::bytes(step), &[place / LEAF_BYTES], output)
        );
        let bytes = &output.leaves[place % LEAF_BYTES..][..width];
        match *bytes {
            [byte] => i32::from(byte.cast_signed()),
            _ => i32::from_be_bytes(bytes.try_into().unwrap()),
        }
    }

    /// What a move leads to; an end is an error.
    pub(super) fn take(&mut self, made: Move, now: UnixSeconds) -> Result<Vec<Event>, End> {
        let Situation {
            phase,
            deadline,
            target,
            part,
        } = self.situation;
        if made == Move::Settle {
            if now <= deadline {
                return Err(End::Refused);
            }
            let claimant = matches!(phase, Phase::Publish | Phase::Split | Phase::Reveal | Phase::Sum);
            return Err(if claimant {
                End::ChallengerWon
            } else {
                End::ClaimantWon
            });
        }
        if now > deadline {
            return Err(End::Refused);
        }
        match (phase, made) {
            (Phase::Publish, Move::Publish { data, siblings }) => {
                let (root, length) = match target {
                    Target::Input => {
                        let input = self.model.network().architecture().input();
                        (self.roots[0], input.elements())
                    }
                    Target::Layer(layer) => (
                        self.model.weight_roots()[layer],
                        layout::weight_bytes(&self.step()),
                    ),
                };
                if !root.has_block(length, part, &data, &siblings) {
                    return Err(End::Refused);
                }
                Ok(vec![Event::Shown(data), self.next(Phase::Name, now)])
            }
            (Phase::Name, Move::Name { layer }) => {
                self.situation.target = Target::Layer(layer);
                self.situation.part = 0;
                let long = Self::bytes(&self.step()) > BLOCK_BYTES;
                Ok(vec![
                    self.next(if long { Phase::Split } else { Phase::Reveal }, now),
                ])
            }
            (Phase::Split, Move::Split { tops }) => {
                let step = self.step();
                if !self.root(step.node()).has_tops(Self::bytes(&step), &tops) {
                    return Err(End::Refused);
                }
                Ok(vec![Event::Split(tops), self.next(Phase::Pick, now)])
            }
            (Phase::Pick, Move::Pick { part }) => {
                self.situation.part = part;
                Ok(vec![self.next(Phase::Reveal, now)])
            }
            (Phase::Reveal, Move::Reveal { data, siblings }) => {
                let step = self.step();
                if !self
                    .root(step.node())
                    .has_block(Self::bytes(&step), part, &data, &siblings)
                {
                    return Err(End::Refused);
                }
                Ok(vec![Event::Shown(data), self.next(Phase::Point, now)])
            }
            (
                Phase::Point,
                Move::Step {
                    element,
                    output,
                    input,
                    other,
                },
            ) => {
                let step = self.step();
                let said = self.said(&step, element, &output);
                let mut inputs = step.layer().inputs().map(|node| self.root(node));
                let left = inputs.next().unwrap();
                let right = match step.layer() {
                    Layer::Add { .. } => inputs.next().unwrap(),
                    _ => self.model.weight_roots()[step.index()],
                };
                match recompute(&step, element, [left, right], &input, &other) {
                    Ok(value) if value != said => Err(End::ChallengerWon),
                    _ => Err(End::ClaimantWon),
                }
            }
            (Phase::Point, Move::Point { element }) => {
                self.element = element;
                Ok(vec![Event::Pointed(element), self.next(Phase::Sum, now)])
            }
            (
                Phase::Sum,
                Move::Sum {
                    element,
                    sums,
                    output,
                    bias,
                },
            ) => {
                let step = self.step();
                assert_eq!(element, self.element);
                assert_eq!(sums.len(), layout::tiles(&step));
                let said = self.said(&step, element, &output);
                let total: i64 = sums.iter().map(|sum| i64::from(*sum)).sum();
                let value = self.finish(&step, element, total, &bias);
                if value != i64::from(said) {
                    return Err(End::Refused);
                }
                self.sums.clone_from(&sums);
                Ok(vec![Event::Summed(sums), self.next(Phase::Tile, now)])
            }
            (
                Phase::Tile,
                Move::Tile {
                    element,
                    sums,
                    tile,
                    input,
                    weights,
                },
            ) => {
                assert_eq!((element, &sums), (self.element, &self.sums));
                let value = self.tile_sum(&self.step(), tile, &input, &weights);
                Err(if value == sums[tile] {
                    End::ClaimantWon
                } else {
                    End::ChallengerWon
                })
            }
            _ => Err(End::Refused),
        }
    }

    fn finish(&self, step: &Step, element: usize, total: i64, bias: &Opening) -> i64 {
        let digits = step.terms()..step.terms() + layout::digits(step);
        let accumulator = match *step.layer() {
            Layer::AveragePool { multiplier, .. } => total * i64::from(multiplier),
            _ if digits.is_empty() => total,
            _ => {
                let leaves = layout::row_leaves(step, element, digits.clone());
                let root = self.model.weight_roots()[step.index()];
                assert!(root.has(layout::weight_bytes(step), &leaves, bias));
                let start = digits.start % LEAF_BYTES;
                let row: Vec<i8> = bias.leaves[start..][..digits.len()]
                    .iter()
                    .map(|byte| byte.cast_signed())
                    .collect();
                total + step.layer().bias().unwrap().from_digits(&row)
            }
        };
        match step.layer().output() {
            Some(Output::Requantise(rule)) => i64::from(rule.apply(accumulator as i32)),
            _ => accumulator,
        }
    }

    fn tile_sum(&self, step: &Step, tile: usize, input: &Opening, weights: &Opening) -> i32 {
        let terms = layout::tile(step, tile);
        let leaves = layout::window_leaves(step, self.element, terms.clone());
        let root = self.root(step.layer().inputs().next().unwrap());
        assert!(root.has(step.input_shape().elements(), &leaves, input));
        if step.layer().bias().is_some() {
            let rows = layout::row_leaves(step, self.element, terms.clone());
            let root = self.model.weight_roots()[step.index()];
            assert!(root.has(layout::weight_bytes(step), &rows, weights));
        }
        let positions = layout::positions(step, self.element, terms.clone());
        let value = |(index, position): (usize, Option<usize>)| {
            let position = position?;
            let leaf = leaves.binary_search(&(position / LEAF_BYTES)).unwrap();
            let value = input.leaves[leaf * LEAF_BYTES + position % LEAF_BYTES].cast_signed();
            let weight = match step.layer().bias() {
                Some(_) => weights.leaves[terms.start % LEAF_BYTES + index].cast_signed(),
                None => 1,
            };
            Some(i32::from(value) * i32::from(weight))
        };
        positions.into_iter().enumerate().filter_map(value).sum()
    }
}
