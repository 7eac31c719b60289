//! The public layout of a proof: where every value is, from the architecture alone.
//!
//! Prover, this verifier and the contract derive the same plan; nothing of it is read from a proof. Specified in
//! `docs/spec/zkml.md`, section 2.

mod layout;
mod slots;
mod vectors;
mod weights;

use counterweight_primitives::architecture::{Architecture, Layer, Node};

pub(crate) use layout::split;
pub use layout::{Dimension, Layout};
pub use slots::{COLUMN_BITS, COLUMNS, Column, NodePlan, SlotBlock, SlotKind};
pub use vectors::{MASK_BITS, ROUND_DEGREE, Segment, Vector, mask_coefficients};
pub use weights::{Joint, WeightBlock};

use crate::table::TABLE_BITS;
use slots::pack;

/// Fewest bits of a row's index.
pub const FEWEST_ROW_BITS: usize = 11;
/// Most bits of a row's index.
pub const MOST_ROW_BITS: usize = 18;
/// Most bits of a slot's index.
pub const MOST_SLOT_BITS: usize = 22;
/// Most rows that commit to the weights.
pub const MOST_WEIGHT_ROWS: usize = 1 << 12;
/// Cells at the end of the weights vector that mask its registration.
pub const REGISTRATION_MASKS: usize = 4;

/// Whether the verifier sees the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// The input is part of the statement.
    Public,
    /// Only a hiding commitment to it is.
    Private,
}

/// Why an architecture cannot be proven with these rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The row length is outside what commitments are made for.
    #[error("rows of 2^{got} cells: expected 2^{FEWEST_ROW_BITS} to 2^{MOST_ROW_BITS}")]
    RowBits {
        /// Bits given.
        got: usize,
    },
    /// The input goes to a layer without weights.
    #[error(
        "layer {layer} reads the network's input and has no weights: only dense and convolution layers can"
    )]
    InputLayer {
        /// Index of the layer.
        layer: usize,
    },
    /// Too many values in between.
    #[error(
        "the network's hidden values take 2^{got} slots: at most 2^{MOST_SLOT_BITS} can be proven at once"
    )]
    Slots {
        /// Bits needed.
        got: usize,
    },
    /// Too many rows for this row length.
    #[error(
        "the weights take {got} rows of 2^{row_bits} cells: at most {MOST_WEIGHT_ROWS}; choose longer rows"
    )]
    Rows {
        /// Rows needed.
        got: usize,
        /// Bits of a row's index.
        row_bits: usize,
    },
    /// Too many masked values.
    #[error("{got} mask cells needed, and there are {}", 1 << MASK_BITS)]
    Masks {
        /// Cells needed.
        got: usize,
    },
}

/// Where the weights are: all that a commitment to them depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightPlan {
    /// Bits of a row's index.
    pub row_bits: usize,
    /// The layout of each node, node 0 first.
    pub layouts: Vec<Layout>,
    /// Each weighted layer's block, in the order of layers; mask cells not yet given.
    pub blocks: Vec<WeightBlock>,
    /// Rows of the weights vector. Its last [`REGISTRATION_MASKS`] cells belong to no block.
    pub rows: usize,
}

/// Where everything in a proof of inference is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The layers, as in the architecture.
    pub layers: Vec<Layer>,
    /// Bits of a row's index.
    pub row_bits: usize,
    /// Each node's layout and slots, node 0 first.
    pub nodes: Vec<NodePlan>,
    /// Each weighted layer's block, in the order of layers.
    pub weights: Vec<WeightBlock>,
    /// Rows of the weights vector.
    pub weight_rows: usize,
    /// Bits of a slot's index; the last slot is the mask slot.
    pub slot_bits: usize,
    /// Columns, multiplicities and masks.
    pub first: Vector,
    /// Inverses of slots and table.
    pub second: Vector,
    /// Rows of the committed input; zero for a public one.
    pub input_rows: usize,
    /// Rounds of the first sum-check.
    pub rounds: usize,
    /// Length of the zero-check's point.
    pub tau_bits: usize,
}

impl WeightPlan {
    /// Lays out the weights of an architecture in rows of `2^row_bits` cells.
    ///
    /// # Errors
    /// [`PlanError`]: the row length or the number of rows is out of range.
    pub fn new(architecture: &Architecture, row_bits: usize) -> Result<Self, PlanError> {
        if !(FEWEST_ROW_BITS..=MOST_ROW_BITS).contains(&row_bits) {
            return Err(PlanError::RowBits { got: row_bits });
        }
        let layouts = layouts(architecture);
        let mut blocks: Vec<WeightBlock> = architecture
            .steps()
            .iter()
            .filter_map(|step| {
                let layer = step.layer();
                let input = usize::from(layer.inputs().next()?.0);
                let joint = Joint::of(layer, layouts.get(input)?)?;
                let window = match layer {
                    Layer::Conv { window, padding, .. } => Some((*window, *padding)),
                    _ => None,
                };
                Some(WeightBlock {
                    layer: step.index(),
                    input,
                    outputs: Dimension::new(step.output_shape().channels()),
                    joint,
                    offset: 0,
                    window,
                    mask_cell: None,
                })
            })
            .collect();
        let bits: Vec<usize> = blocks.iter().map(WeightBlock::bits).collect();
        let (offsets, end) = pack(&bits);
        for (block, offset) in blocks.iter_mut().zip(offsets) {
            block.offset = offset;
        }
        let rows = (end + REGISTRATION_MASKS).div_ceil(1 << row_bits);
        if rows > MOST_WEIGHT_ROWS {
            return Err(PlanError::Rows { got: rows, row_bits });
        }
        Ok(Self {
            row_bits,
            layouts,
            blocks,
            rows,
        })
    }
}

impl Plan {
    /// Lays out a proof of inference.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(
        architecture: &Architecture,
        row_bits: usize,
        visibility: Visibility,
    ) -> Result<Self, PlanError> {
        let WeightPlan {
            layouts,
            mut blocks,
            rows: weight_rows,
            ..
        } = WeightPlan::new(architecture, row_bits)?;
        let layers: Vec<Layer> = architecture.steps().iter().map(|step| *step.layer()).collect();
        for (index, layer) in layers.iter().enumerate() {
            if layer.inputs().any(|node| node == Node(0)) && !is_weighted(layer) {
                return Err(PlanError::InputLayer { layer: index });
            }
        }

        let input_kind = (visibility == Visibility::Private).then_some(SlotKind::Input);
        let kinds = std::iter::once(input_kind).chain(layers.iter().map(SlotKind::of));
        let mut nodes: Vec<NodePlan> = layouts
            .into_iter()
            .zip(kinds)
            .map(|(layout, kind)| {
                let slots = kind.map(|kind| SlotBlock {
                    kind,
                    offset: 0,
                    bits: layout.bits(),
                });
                NodePlan { layout, slots }
            })
            .collect();
        let slot_bits = place_slots(&mut nodes);
        if slot_bits > MOST_SLOT_BITS {
            return Err(PlanError::Slots { got: slot_bits });
        }

        let joint_bits = blocks.iter().map(|block| block.joint.bits()).max().unwrap_or(0);
        let rounds = slot_bits.max(TABLE_BITS).max(joint_bits);
        let mut next_mask = mask_coefficients(rounds);
        for block in &mut blocks {
            if nodes.get(block.input).is_some_and(|node| node.slots.is_some()) {
                block.mask_cell = Some(next_mask);
                next_mask += 1;
            }
        }
        if next_mask > 1 << MASK_BITS {
            return Err(PlanError::Masks { got: next_mask });
        }
        let input_rows = match (visibility, nodes.first()) {
            (Visibility::Private, Some(input)) => (1_usize << input.layout.bits()).div_ceil(1 << row_bits),
            _ => 0,
        };
        let output_bits = nodes
            .iter()
            .skip(1)
            .map(|node| node.layout.bits())
            .max()
            .unwrap_or(0);
        Ok(Self {
            layers,
            row_bits,
            nodes,
            weights: blocks,
            weight_rows,
            slot_bits,
            first: Vector::first(slot_bits, row_bits),
            second: Vector::second(slot_bits, row_bits),
            input_rows,
            rounds,
            tau_bits: slot_bits.max(TABLE_BITS).max(output_bits),
        })
    }

    /// The slot that belongs to no block: where columns hold their masks.
    #[must_use]
    pub fn mask_slot(&self) -> usize {
        (1 << self.slot_bits) - 1
    }

    /// The last node: the network's output.
    #[must_use]
    pub fn output(&self) -> Option<&NodePlan> {
        self.nodes.last()
    }

    /// The node that a layer makes.
    #[must_use]
    pub fn made_by(&self, layer: usize) -> Option<&NodePlan> {
        self.nodes.get(layer + 1)
    }

    /// Values revealed after the first sum-check: columns and inverse of the slots, inverse and multiplicity of the table,
    /// then one for each weighted layer with a hidden input.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        COLUMNS
            + 3
            + self
                .weights
                .iter()
                .filter(|block| block.mask_cell.is_some())
                .count()
    }
}

/// Whether a layer has weights.
fn is_weighted(layer: &Layer) -> bool {
    matches!(layer, Layer::Dense { .. } | Layer::Conv { .. })
}

/// Gives each hidden node its place; the bits of a slot's index, such that one slot more than the blocks need exists.
fn place_slots(nodes: &mut [NodePlan]) -> usize {
    let mut blocks: Vec<&mut SlotBlock> = nodes.iter_mut().filter_map(|node| node.slots.as_mut()).collect();
    let bits: Vec<usize> = blocks.iter().map(|block| block.bits).collect();
    let (offsets, end) = pack(&bits);
    for (block, offset) in blocks.iter_mut().zip(offsets) {
        block.offset = offset;
    }
    crate::multilinear::bits_for(end + 1)
}

/// Which nodes are spatial: what windows slide over, what convolutions make, and what is added to such a node.
fn layouts(architecture: &Architecture) -> Vec<Layout> {
    let mut is_spatial = vec![false; architecture.steps().len() + 1];
    let mark = |node: usize, spatial: &mut Vec<bool>| {
        spatial
            .get_mut(node)
            .is_some_and(|mark| !std::mem::replace(mark, true))
    };
    for step in architecture.steps() {
        let made = step.index() + 1;
        let read = step.layer().inputs().map(|node| usize::from(node.0));
        match step.layer() {
            Layer::Conv { .. } => {
                mark(made, &mut is_spatial);
                read.for_each(|node| _ = mark(node, &mut is_spatial));
            }
            Layer::AveragePool { .. } | Layer::MaxPool { .. } => {
                read.for_each(|node| _ = mark(node, &mut is_spatial))
            }
            Layer::Dense { .. } | Layer::Add { .. } => {}
        }
    }
    // One pass settles what comes after an addition, the next what comes before: at most one for each layer.
    let mut has_changed = true;
    while has_changed {
        has_changed = false;
        for step in architecture.steps() {
            if let Layer::Add { left, right, .. } = step.layer() {
                let three = [usize::from(left.0), usize::from(right.0), step.index() + 1];
                if three.iter().any(|node| is_spatial.get(*node) == Some(&true)) {
                    for node in three {
                        has_changed |= mark(node, &mut is_spatial);
                    }
                }
            }
        }
    }
    let shapes = std::iter::once(architecture.input())
        .chain(architecture.steps().iter().map(|step| step.output_shape()));
    shapes
        .zip(is_spatial)
        .map(|(shape, is_spatial)| {
            if is_spatial {
                Layout::spatial(shape)
            } else {
                Layout::flat(shape)
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
