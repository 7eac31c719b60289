//! The slots' columns and how often each entry of the table is looked up.

use counterweight_inference::Trace;
use counterweight_primitives::architecture::{Layer, Node, Requantise, Window};
use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::plan::{COLUMNS, Column, Layout, NodePlan, Plan, SlotKind};
use counterweight_zkml_verifier::table::{self, TABLE_BITS};
use rand_core::RngCore;

use crate::random;

/// What makes a quotient positive: 257 · 128, so that its high byte is 128 exactly for an int8.
const LIFT: i64 = 32_896;
/// First entries of the high and the low byte of a quotient, and how far those for ReLU are behind.
const HIGH_BYTES: usize = 512;
const LOW_BYTES: usize = 1024;
const RELU_OFFSET: usize = 256;

/// What is committed to before the lookup challenges.
#[derive(Clone)]
pub(crate) struct Witness {
    /// Column by column, `2^slot_bits` cells each.
    pub(crate) columns: Vec<i16>,
    /// How often each entry of the table is looked up.
    pub(crate) multiplicities: Vec<u32>,
    /// What the mask cells hold.
    pub(crate) masks: SlotMasks,
}

/// Uniform values in cells that no constraint looks at.
#[derive(Clone)]
pub(crate) struct SlotMasks {
    /// The mask slot of each column.
    pub(crate) columns: [Fr; COLUMNS],
    /// Entry 0 of the multiplicities.
    pub(crate) multiplicity: Fr,
    /// The mask segment: the first sum-check's mask, then one for each hidden input of a weighted layer.
    pub(crate) segment: Vec<Fr>,
    /// The mask slot of the slots' inverses.
    pub(crate) slot_inverse: Fr,
    /// Entry 0 of the table's inverses.
    pub(crate) table_inverse: Fr,
}

impl SlotMasks {
    /// Draws every mask, `segment` of them in the mask segment.
    pub(crate) fn draw(segment: usize, rng: &mut impl RngCore) -> Self {
        Self {
            columns: std::array::from_fn(|_| random::scalar(rng)),
            multiplicity: random::scalar(rng),
            segment: random::scalars(rng, segment),
            slot_inverse: random::scalar(rng),
            table_inverse: random::scalar(rng),
        }
    }
}

impl Witness {
    /// Fills the slots with an execution.
    pub(crate) fn new(plan: &Plan, trace: &Trace, masks: SlotMasks) -> Self {
        let mut witness = Self {
            columns: vec![0; COLUMNS << plan.slot_bits],
            multiplicities: vec![0; 1 << TABLE_BITS],
            masks,
        };
        for (index, node) in plan.nodes.iter().enumerate() {
            let Some(slots) = &node.slots else { continue };
            // A plan has at most 65 nodes.
            let values = trace.activations(Node(index as u8));
            let layer = index
                .checked_sub(1)
                .and_then(|layer| Some((layer, plan.layers.get(layer)?)));
            match (slots.kind, layer) {
                (SlotKind::Input, _) => witness.fill_input(plan, node, slots.offset, values),
                (SlotKind::Requantised(rule), Some((layer, _))) => {
                    witness.fill_requantised(plan, node, slots.offset, rule, trace.accumulators(layer));
                }
                (SlotKind::Pooled, Some((_, Layer::MaxPool { input, window }))) => {
                    if let Some(read) = plan.nodes.get(usize::from(input.0)) {
                        let elements = trace.activations(*input);
                        witness.fill_pooled(
                            plan,
                            node,
                            slots.offset,
                            values,
                            (&read.layout, elements, *window),
                        );
                    }
                }
                _ => {}
            }
        }
        witness
    }

    /// Writes one cell.
    pub(crate) fn set(&mut self, plan: &Plan, column: Column, slot: usize, value: i64) {
        // All honest entries are within nine bits and a sign.
        self.columns[((column as usize) << plan.slot_bits) + slot] = value as i16;
    }

    /// One column.
    pub(crate) fn column(&self, plan: &Plan, column: usize) -> &[i16] {
        &self.columns[column << plan.slot_bits..(column + 1) << plan.slot_bits]
    }

    fn fill_input(&mut self, plan: &Plan, node: &NodePlan, offset: usize, values: &[i8]) {
        for (cell, value) in node.layout.cells().zip(values) {
            self.set(plan, Column::Value, offset + cell, i64::from(*value));
            self.multiplicities[table::index_below(8, (*value as u8) ^ 0x80)] += 1;
        }
    }

    fn fill_requantised(
        &mut self,
        plan: &Plan,
        node: &NodePlan,
        offset: usize,
        rule: Requantise,
        accumulators: &[i32],
    ) {
        let relu = usize::from(rule.relu) * RELU_OFFSET;
        let half = if rule.shift == 0 {
            0
        } else {
            1_i64 << (rule.shift - 1)
        };
        for (cell, accumulator) in node.layout.cells().zip(accumulators) {
            let slot = offset + cell;
            let lifted = i64::from(*accumulator) + half + (LIFT << rule.shift);
            let quotient = (lifted >> rule.shift) as usize;
            let remainder = lifted & ((1 << rule.shift) - 1);
            // The architecture's bound keeps the quotient below 2^16.
            let (high, low) = (quotient >> 8, quotient & 255);
            let [_, _, inside, saturated] = table::entry(HIGH_BYTES + relu + high);
            let [_, _, middle, _] = table::entry(LOW_BYTES + relu + low);
            let (rest0, rest1) = (remainder & 255, remainder >> 8);
            for (column, value) in [
                (Column::High, high as i64),
                (Column::Low, low as i64),
                (Column::Remainder0, rest0),
                (Column::Remainder1, rest1),
                (Column::Inside, inside),
                (Column::Middle, middle),
                (Column::Saturated, saturated),
                (Column::Value, inside * middle + saturated),
            ] {
                self.set(plan, column, slot, value);
            }
            for entry in [
                HIGH_BYTES + relu + high,
                LOW_BYTES + relu + low,
                table::index_below(rule.shift.min(8), rest0 as u8),
                table::index_below(rule.shift.saturating_sub(8), rest1 as u8),
            ] {
                self.multiplicities[entry] += 1;
            }
        }
    }

    fn fill_pooled(
        &mut self,
        plan: &Plan,
        node: &NodePlan,
        offset: usize,
        values: &[i8],
        (input, elements, window): (&Layout, &[i8], Window),
    ) {
        let shape = node.layout.shape();
        let positions = (0..shape.channels()).flat_map(|channel| {
            (0..shape.height()).flat_map(move |y| (0..shape.width()).map(move |x| (channel, y, x)))
        });
        for ((channel, y, x), value) in positions.zip(values) {
            let slot = offset + node.layout.cell(channel, y, x);
            self.set(plan, Column::Value, slot, i64::from(*value));
            for k in 0..4 {
                let (row, column) = window_cell(window, y, x, k);
                let index = (channel * input.shape().height() + row) * input.shape().width() + column;
                let difference = i64::from(*value) - i64::from(elements[index]);
                self.columns[(k << plan.slot_bits) + slot] = difference as i16;
                self.multiplicities[table::index_below(8, difference as u8)] += 1;
            }
        }
    }
}

/// Row and column of the `k`-th cell of the window that output `(y, x)` looks at; past the last it is the last.
pub(crate) fn window_cell(window: Window, y: usize, x: usize, k: usize) -> (usize, usize) {
    let k = k.min(window.elements() - 1);
    let (row, column) = (k / usize::from(window.width), k % usize::from(window.width));
    (
        y * usize::from(window.stride_y) + row,
        x * usize::from(window.stride_x) + column,
    )
}
