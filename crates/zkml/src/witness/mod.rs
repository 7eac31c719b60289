//! What a proof commits to: the weights as one vector, and what an execution puts into the slots.

mod columns;
mod committed;
mod weights;

pub(crate) use columns::{SlotMasks, Witness, window_cell};
pub(crate) use committed::{Committed, commit_dense, commit_mixed, commit_small, commit_sparse};
pub(crate) use weights::{PackedWeights, input_cells, multipliers};
