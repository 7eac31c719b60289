//! Either side of a challenge: told what happened, it says what to do.

use std::sync::Arc;

use counterweight_primitives::UnixSeconds;
use counterweight_primitives::architecture::{Layer, Node, Output, Step};

use super::commitment::{CommittedModel, CommittedTrace};
use super::layout::{self, BLOCK_BYTES};
use super::tree::{LEAF_BYTES, Opening, Root, open_in_block};

/// Who a player plays for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who made the claim.
    Claimant,
    /// Who challenged it.
    Challenger,
}

/// Which move is due. The claimant's: publish, split, reveal, sum. The challenger's: name, pick, point, tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Publish the block that was asked for.
    Publish,
    /// Name the first wrong layer.
    Name,
    /// Split a long layer into blocks.
    Split,
    /// Pick a wrong block.
    Pick,
    /// Reveal the layer, or the block.
    Reveal,
    /// Show that an element is wrong, or point at it if its accumulator has several tiles.
    Point,
    /// Say what each tile sums to.
    Sum,
    /// Show that the sum of a tile is wrong.
    Tile,
}

/// What a move is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The claim's input.
    Input,
    /// A layer, counted from 0: its weights in [`Phase::Publish`], otherwise its output.
    Layer(usize),
}

/// Where a challenge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The move that is due.
    pub phase: Phase,
    /// Its last second.
    pub deadline: UnixSeconds,
    /// What it is about.
    pub target: Target,
    /// The block it is about.
    pub part: usize,
}

/// What a player is told, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A move is due.
    Due(Situation),
    /// Bytes were published or revealed.
    Shown(Vec<u8>),
    /// The claimant split a layer into blocks with these nodes above them.
    Split(Vec<[u8; 32]>),
    /// The challenger pointed at an element.
    Pointed(usize),
    /// The claimant said what each tile sums to.
    Summed(Vec<i32>),
    /// The challenge ended.
    Ended,
    /// Nothing but time passed.
    Tick,
}

/// A move, with everything its call needs beside the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are those of docs/spec/dispute.md under the same names"
)]
pub enum Move {
    /// Publishes the block that was asked for.
    Publish { data: Vec<u8>, siblings: Vec<[u8; 32]> },
    /// Names the first wrong layer.
    Name { layer: usize },
    /// Splits a layer.
    Split { tops: Vec<[u8; 32]> },
    /// Picks a wrong block.
    Pick { part: usize },
    /// Reveals a layer or block.
    Reveal { data: Vec<u8>, siblings: Vec<[u8; 32]> },
    /// Shows that an element is wrong.
    Step {
        element: usize,
        output: Opening,
        input: Opening,
        other: Opening,
    },
    /// Points at a wrong element.
    Point { element: usize },
    /// Says what each tile sums to.
    Sum {
        element: usize,
        sums: Vec<i32>,
        output: Opening,
        bias: Opening,
    },
    /// Shows that the sum of a tile is wrong.
    Tile {
        element: usize,
        sums: Vec<i32>,
        tile: usize,
        input: Opening,
        weights: Opening,
    },
    /// Ends the challenge, as the other side was silent.
    Settle,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make this move, at the latest in the second given.
    Make(Move, UnixSeconds),
    /// Nothing before this second; then ask again.
    WaitUntil(UnixSeconds),
    /// A move is due that cannot be made: what was claimed, or the challenge, is wrong.
    Concede,
    /// It was our move, and it is too late.
    Overdue,
    /// The challenge is over.
    Done,
}

/// One side of one challenge.
#[derive(Debug, Clone)]
pub struct Player {
    side: Side,
    model: Arc<CommittedModel>,
    trace: Arc<CommittedTrace>,
    roots: Vec<Root>,
    situation: Option<Situation>,
    tops: Vec<[u8; 32]>,
    shown: Vec<u8>,
    element: usize,
    sums: Vec<i32>,
    over: bool,
}

impl Side {
    fn moves_in(self, phase: Phase) -> bool {
        let claimant = matches!(phase, Phase::Publish | Phase::Split | Phase::Reveal | Phase::Sum);
        claimant == (self == Self::Claimant)
    }
}

impl Player {
    /// Begins to play. A claimant's trace is what he claimed, a challenger's is his own run; `roots` are the claim's.
    #[must_use]
    pub fn new(side: Side, model: Arc<CommittedModel>, trace: Arc<CommittedTrace>, roots: Vec<Root>) -> Self {
        Self {
            side,
            model,
            trace,
            roots,
            situation: None,
            tops: Vec::new(),
            shown: Vec::new(),
            element: 0,
            sums: Vec::new(),
            over: false,
        }
    }

    /// The layer to challenge; nothing if the claim's roots are those of our own run.
    #[must_use]
    pub fn accuses(&self) -> Option<usize> {
        self.trace.first_difference(&self.roots)
    }

    /// Takes in what happened and says what to do. The same events at the same times give the same moves.
    #[must_use]
    pub fn step(mut self, event: Event, now: UnixSeconds) -> (Self, Action) {
        match event {
            Event::Due(situation) => self.situation = Some(situation),
            Event::Shown(data) => self.shown = data,
            Event::Split(tops) => self.tops = tops,
            Event::Pointed(element) => self.element = element,
            Event::Summed(sums) => self.sums = sums,
            Event::Ended => self.over = true,
            Event::Tick => {}
        }
        let action = self.action(now);
        (self, action)
    }

    fn action(&self, now: UnixSeconds) -> Action {
        let Some(situation) = self.situation.filter(|_| !self.over) else {
            return if self.over {
                Action::Done
            } else {
                Action::WaitUntil(now)
            };
        };
        let deadline = situation.deadline;
        if !self.side.moves_in(situation.phase) {
            return if now > deadline {
                Action::Make(Move::Settle, UnixSeconds(u64::MAX))
            } else {
                Action::WaitUntil(UnixSeconds(deadline.0.saturating_add(1)))
            };
        }
        if now > deadline {
            return Action::Overdue;
        }
        match self.due(&situation) {
            Some(made) => Action::Make(made, deadline),
            None => Action::Concede,
        }
    }

    fn due(&self, situation: &Situation) -> Option<Move> {
        let part = situation.part;
        if situation.phase == Phase::Publish {
            let tree = match situation.target {
                Target::Input => self.trace.node(Node(0))?,
                Target::Layer(layer) => self.model.weights(layer)?,
            };
            let (data, siblings) = tree.block(part)?;
            return Some(Move::Publish {
                data: data.to_vec(),
                siblings,
            });
        }
        if situation.phase == Phase::Name {
            return Some(Move::Name {
                layer: self.accuses()?,
            });
        }
        let Target::Layer(layer) = situation.target else {
            return None;
        };
        let step = self.model.network().architecture().steps().get(layer)?;
        let node = self.trace.node(step.node())?;
        match situation.phase {
            Phase::Split => Some(Move::Split {
                tops: node.tops().to_vec(),
            }),
            Phase::Reveal => {
                let (data, siblings) = node.block(part)?;
                Some(Move::Reveal {
                    data: data.to_vec(),
                    siblings,
                })
            }
            Phase::Pick => {
                let mut tops = node.tops().iter().zip(&self.tops);
                let part = tops.position(|(own, claimed)| own != claimed)?;
                Some(Move::Pick { part })
            }
            Phase::Point => self.point(step, part),
            Phase::Sum => self.sum(step),
            Phase::Tile => self.tile(step),
            Phase::Publish | Phase::Name => None,
        }
    }

    fn point(&self, step: &Step, part: usize) -> Option<Move> {
        let own = self.trace.node(step.node())?.block(part)?.0;
        let mut bytes = own.iter().zip(&self.shown);
        let place = part * BLOCK_BYTES + bytes.position(|(own, claimed)| own != claimed)?;
        let element = place / width(step);
        if layout::tiles(step) > 1 {
            return Some(Move::Point { element });
        }
        let output = open_in_block(self.shown.clone(), part, &self.tops, place / LEAF_BYTES)?;
        let mut inputs = step.layer().inputs().map(|node| self.trace.node(node));
        let input = inputs.next()??;
        let other = match step.layer() {
            Layer::Add { .. } => inputs.next()??.open(&layout::leaves(element..element + 1)),
            _ => self
                .model
                .open_row(step, element, 0..step.terms() + layout::digits(step)),
        };
        Some(Move::Step {
            element,
            output,
            input: input.open(&layout::window_leaves(step, element, 0..step.terms())),
            other,
        })
    }

    /// Sums of all tiles of an element, from the claimed input: true ones.
    fn sums(&self, step: &Step, element: usize) -> Option<Vec<i32>> {
        let input = self.trace.node(step.layer().inputs().next()?)?.data();
        let row = self
            .model
            .network()
            .layer_weights(step)
            .chunks(step.terms())
            .nth(layout::channel(step, element));
        let term = |(term, position): (usize, Option<usize>)| {
            let value = i32::from(input.get(position?)?.cast_signed());
            Some(match row {
                Some(row) => value * i32::from(*row.get(term)?),
                None => value,
            })
        };
        let sums = (0..layout::tiles(step)).map(|tile| {
            let terms = layout::tile(step, tile);
            let positions = layout::positions(step, element, terms.clone());
            terms.zip(positions).filter_map(term).sum()
        });
        Some(sums.collect())
    }

    fn sum(&self, step: &Step) -> Option<Move> {
        let element = self.element;
        let sums = self.sums(step, element)?;
        let total: i64 = sums.iter().map(|sum| i64::from(*sum)).sum();
        let channel = layout::channel(step, element);
        let bias = self
            .model
            .network()
            .layer_biases(step)
            .get(channel)
            .copied()
            .unwrap_or(0);
        let factor = match *step.layer() {
            Layer::AveragePool { multiplier, .. } => i64::from(multiplier),
            _ => 1,
        };
        let accumulator = i32::try_from(total * factor + i64::from(bias)).ok()?;
        let node = self.trace.node(step.node())?;
        let place = element * width(step);
        let bytes = node.data().get(place..place + width(step))?;
        let is_true = match step.layer().output() {
            Some(Output::Requantise(rule)) => bytes == [rule.apply(accumulator).cast_unsigned()],
            _ => bytes == accumulator.to_be_bytes(),
        };
        let digits = step.terms()..step.terms() + layout::digits(step);
        let bias = if digits.is_empty() {
            Opening::default()
        } else {
            self.model.open_row(step, element, digits)
        };
        is_true.then(|| Move::Sum {
            element,
            sums,
            output: node.open(&[place / LEAF_BYTES]),
            bias,
        })
    }

    fn tile(&self, step: &Step) -> Option<Move> {
        let element = self.element;
        let own = self.sums(step, element)?;
        let mut sums = own.iter().zip(&self.sums);
        let tile = sums.position(|(own, claimed)| own != claimed)?;
        let terms = layout::tile(step, tile);
        let input = self.trace.node(step.layer().inputs().next()?)?;
        Some(Move::Tile {
            element,
            sums: self.sums.clone(),
            tile,
            input: input.open(&layout::window_leaves(step, element, terms.clone())),
            weights: self.model.open_row(step, element, terms),
        })
    }
}

/// Bytes of an element of the layer's output.
fn width(step: &Step) -> usize {
    match step.layer().output() {
        Some(Output::Raw) => 4,
        _ => 1,
    }
}
