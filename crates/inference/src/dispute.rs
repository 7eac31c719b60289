//! Dispute a claim about an inference: commit to every layer, find the first wrong one, open one element of it.
//!
//! Formats and moves are docs/spec/dispute.md; the referee is a contract. Nothing here knows a chain: a [`Player`] is told what
//! happened and when, and says which [`Move`] to make. [`recompute`] is what the referee computes, from openings alone.

mod commitment;
mod layout;
mod player;
mod recompute;
mod tree;

pub use commitment::{CommittedModel, CommittedTrace, OpenModelId};
pub use layout::{BLOCK_BYTES, tile_terms, tiles};
pub use player::{Action, Event, Move, Phase, Player, Side, Situation, Target};
pub use recompute::{OpeningError, recompute};
pub use tree::{ByteTree, Opening, Root};

#[cfg(test)]
mod tests;
