//! The linear claims of an inference: `docs/spec/zkml.md`, section 5.
//!
//! Every claim says what a known functional of a committed vector is. Here are their values, and their functionals
//! extended to the point at which rows are opened.

use counterweight_primitives::architecture::{Layer, Padding, Requantise, Window};

use super::lookups::{entries_at, slots_at};
use super::windows::{Axis, bias_weight, channel_and_plane, pool_at, reads_at, reads_public};
use super::{Challenges, Claims, RowCoefficients, mask_functional, point_in_vector};
use crate::field::{Field, Fr, eq_at, from_i64};
use crate::multilinear::{eq_index, eq_table, truncated_sum};
use crate::plan::{COLUMN_BITS, COLUMNS, Column, NodePlan, Plan, Segment, SlotKind};
use crate::proof::Revealed;
use crate::table::{TABLE_BITS, TABLE_USED};

/// Claim that the first sum-check's sum is right.
const SUM: usize = 1;
/// Claim that its last value is.
const LAST: usize = 2;
/// Claim that inverses of slots and of the table add up to the same.
const BALANCE: usize = 3;
/// First of the claims on what the slots' columns are at the last point.
const COLUMN: usize = 4;
/// Claim on the slots' inverse there.
const SLOT_INVERSE: usize = COLUMN + COLUMNS;
/// Claim on the table's inverse there.
const TABLE_INVERSE: usize = SLOT_INVERSE + 1;
/// Claim on the table's multiplicity there.
const MULTIPLICITY: usize = TABLE_INVERSE + 1;
/// First claim whose meaning depends on the layers.
const LAYERS: usize = MULTIPLICITY + 1;

/// What the bytes of a shifted quotient are offset by: it makes every quotient that a checked architecture allows positive.
const QUOTIENT_OFFSET: u64 = 32_896;

/// The claims of one inference.
pub(super) struct InferenceClaims<'a> {
    plan: &'a Plan,
    challenges: Challenges,
    value: Fr,
    /// For each weighted layer: what its weights are weighed by in claim [`LAST`], and the claim on its hidden input.
    weighted: Vec<Weighted>,
    /// For each layer that only moves values: its first claim.
    moved: Vec<(usize, usize)>,
    /// The claim on an int8 output.
    output_claim: Option<usize>,
    /// The claim that ties slots to a committed input.
    input_claim: Option<usize>,
}

struct Weighted {
    /// `λ^(l+2) · aext_l`.
    last: Fr,
    /// `λ^(l+2) · 2^(rounds - bits of j)`.
    sum: Fr,
    /// The claim on the extended input, where it is hidden.
    input_claim: Option<usize>,
}

/// Each node's a-value in claims that read it, and its digits in claims on its accumulator.
struct AtSlot {
    columns: [Fr; COLUMNS],
    inverse: Fr,
}

impl<'a> InferenceClaims<'a> {
    /// `output` has as many values as the architecture's output, `public_input` as its input where that is public.
    pub(super) fn new(
        plan: &'a Plan,
        challenges: Challenges,
        revealed: Revealed<'_>,
        sum: Fr,
        public_input: &[i8],
        output: &[i32],
    ) -> Self {
        let mut claims = Self {
            plan,
            challenges,
            value: Fr::ZERO,
            weighted: Vec::new(),
            moved: Vec::new(),
            output_claim: None,
            input_claim: None,
        };
        let outputs = claims.output_at(output);
        let next = claims.weighted_layers(&revealed, sum, public_input, outputs);
        claims.other_layers(next, outputs);

        let challenges = &claims.challenges;
        let mut value = claims.value;
        value += challenges.weight(LAST)
            * (challenges.last
                - slots_at(plan, challenges, &revealed)
                - challenges.lambda * entries_at(challenges, revealed.table_inverse, revealed.multiplicity));
        for (column, evaluation) in revealed.columns.iter().enumerate() {
            value += challenges.weight(COLUMN + column) * evaluation;
        }
        value += challenges.weight(SLOT_INVERSE) * revealed.slot_inverse;
        value += challenges.weight(TABLE_INVERSE) * revealed.table_inverse;
        value += challenges.weight(MULTIPLICITY) * revealed.multiplicity;
        claims.value = value;
        claims
    }

    /// The point at which a node's layer was checked.
    fn t(&self, node: &NodePlan) -> &[Fr] {
        self.challenges.tau(node.layout.bits())
    }

    /// The output's extension at its layer's point.
    fn output_at(&self, output: &[i32]) -> Fr {
        let Some(node) = self.plan.output() else {
            return Fr::ZERO;
        };
        let table = eq_table(self.t(node));
        let cells = node.layout.cells().zip(output);
        cells
            .filter_map(|(cell, value)| Some(*table.get(cell)? * from_i64(i64::from(*value))))
            .sum()
    }

    /// Values of the claims [`SUM`] and on extended inputs; the next claim.
    fn weighted_layers(
        &mut self,
        revealed: &Revealed<'_>,
        sum: Fr,
        public_input: &[i8],
        outputs: Fr,
    ) -> usize {
        let plan = self.plan;
        let (mut next, mut inputs) = (LAYERS, revealed.inputs.iter());
        let mut sum_value = sum;
        let mut value = Fr::ZERO;
        let mut weighted = Vec::with_capacity(plan.weights.len());
        let mut batch = self.challenges.lambda.square();
        for block in &plan.weights {
            let (Some(input), Some(made)) = (plan.nodes.get(block.input), plan.made_by(block.layer)) else {
                continue;
            };
            let t = self.t(made);
            let r = self.challenges.point(block.joint.bits());
            let bias = block.joint.bias_at(r) * bias_weight(block, &made.layout, t);
            let (extended, input_claim) = if block.mask_cell.is_some() {
                let extended = inputs.next().copied().unwrap_or_default();
                let claim = next;
                next += 1;
                value += self.challenges.weight(claim) * (extended - bias);
                (extended, Some(claim))
            } else {
                (
                    bias + reads_public(block, (&input.layout, &made.layout), t, r, public_input),
                    None,
                )
            };
            let scale = batch * Fr::from(2).pow([(plan.rounds - block.joint.bits()) as u64]);
            sum_value += scale
                * match made.slots.as_ref().map(|slots| slots.kind) {
                    Some(SlotKind::Requantised(requantise)) => {
                        offset(requantise) * made.layout.truncated_sum(t)
                    }
                    _ => -outputs,
                };
            weighted.push(Weighted {
                last: batch * extended,
                sum: scale,
                input_claim,
            });
            batch *= self.challenges.lambda;
        }
        self.value += value + self.challenges.weight(SUM) * sum_value;
        self.weighted = weighted;
        next
    }

    /// Values of the claims on layers without weights, on an int8 output and on a committed input.
    fn other_layers(&mut self, mut next: usize, outputs: Fr) {
        let plan = self.plan;
        for (index, layer) in plan.layers.iter().enumerate() {
            if let (Layer::AveragePool { output, .. } | Layer::Add { output, .. }, Some(made)) =
                (layer, plan.made_by(index))
            {
                let weight = self.challenges.weight(next);
                self.value += weight * offset(*output) * made.layout.truncated_sum(self.t(made));
                self.moved.push((index, next));
                next += 1;
            }
        }
        for (index, layer) in plan.layers.iter().enumerate() {
            if matches!(layer, Layer::MaxPool { .. }) {
                self.moved.push((index, next));
                next += 4;
            }
        }
        if plan.output().is_some_and(|node| node.slots.is_some()) {
            self.value += self.challenges.weight(next) * outputs;
            self.output_claim = Some(next);
            next += 1;
        }
        if plan.input_rows > 0 {
            self.input_claim = Some(next);
        }
    }

    /// All claims on slots, at a point over the slots.
    fn at_slot(&self, point: &[Fr]) -> AtSlot {
        let (plan, challenges) = (self.plan, &self.challenges);
        let same = eq_at(challenges.point(plan.slot_bits), point);
        let mut columns: [Fr; COLUMNS] =
            std::array::from_fn(|column| challenges.weight(COLUMN + column) * same);
        let mut inverse = challenges.weight(SLOT_INVERSE) * same;
        let entered: Vec<(Fr, &[Fr])> = plan
            .nodes
            .iter()
            .map(|node| {
                node.slots
                    .as_ref()
                    .map_or((Fr::ZERO, &[][..]), |slots| slots.enter(point))
            })
            .collect();
        let mut values = Fr::ZERO;
        for (node, (place, within)) in plan.nodes.iter().zip(&entered) {
            inverse += challenges.weight(BALANCE) * place * node.layout.truncated_sum(within);
        }
        let read = |node: usize| {
            plan.nodes
                .get(node)
                .zip(entered.get(node))
                .filter(|(node, _)| node.slots.is_some())
        };

        for (block, weighted) in plan.weights.iter().zip(&self.weighted) {
            let Some(made) = plan.made_by(block.layer) else {
                continue;
            };
            let t = self.t(made);
            if let (Some(claim), Some((input, (place, within)))) = (weighted.input_claim, read(block.input)) {
                let r = challenges.point(block.joint.bits());
                let reads = reads_at(block, (&input.layout, &made.layout), t, r, within);
                values += challenges.weight(claim) * place * reads;
            }
            if let Some((made, (place, within))) = read(block.layer + 1) {
                let weight = challenges.weight(SUM) * weighted.sum;
                add_accumulator(
                    &mut columns,
                    made,
                    weight * place * made.layout.truncated_eq(t, within),
                );
            }
        }
        for (layer, claim) in &self.moved {
            let (Some(layer_kind), Some((made, (place, within)))) =
                (plan.layers.get(*layer), read(layer + 1))
            else {
                continue;
            };
            let t = self.t(made);
            let made_eq = *place * made.layout.truncated_eq(t, within);
            let weight = challenges.weight(*claim);
            let mut inputs = layer_kind.inputs().map(|node| read(usize::from(node.0)));
            match layer_kind {
                Layer::AveragePool {
                    window, multiplier, ..
                } => {
                    add_accumulator(&mut columns, made, weight * made_eq);
                    if let Some(Some((input, (place, within)))) = inputs.next() {
                        let axes = Axis::pair(*window, Padding::default(), &input.layout, &made.layout);
                        let ones = [window.height, window.width].map(|side| vec![Fr::ONE; usize::from(side)]);
                        let seen = pool_at(
                            (&input.layout, &made.layout),
                            &axes,
                            [&ones[0], &ones[1]],
                            t,
                            within,
                        );
                        values -= weight * Fr::from(u64::from(*multiplier)) * place * seen;
                    }
                }
                Layer::Add {
                    left_multiplier,
                    right_multiplier,
                    ..
                } => {
                    add_accumulator(&mut columns, made, weight * made_eq);
                    for (input, multiplier) in inputs.zip([left_multiplier, right_multiplier]) {
                        if let Some((input, (place, within))) = input {
                            let factor = Fr::from(u64::from(*multiplier));
                            values -= weight * factor * place * input.layout.truncated_eq(t, within);
                        }
                    }
                }
                Layer::MaxPool { window, .. } => {
                    let input = inputs.next().flatten();
                    for (difference, cell) in window_cells(*window).into_iter().enumerate() {
                        let weight = challenges.weight(claim + difference);
                        if let Some(column) = columns.get_mut(difference) {
                            *column += weight * made_eq;
                        }
                        values -= weight * made_eq;
                        if let Some((input, (place, within))) = input {
                            let axes = Axis::pair(*window, Padding::default(), &input.layout, &made.layout);
                            let [rows, columns] = cell.map(|offset| {
                                let mut weights = vec![Fr::ZERO; offset];
                                weights.push(Fr::ONE);
                                weights
                            });
                            let seen =
                                pool_at((&input.layout, &made.layout), &axes, [&rows, &columns], t, within);
                            values += weight * place * seen;
                        }
                    }
                }
                Layer::Dense { .. } | Layer::Conv { .. } => {}
            }
        }
        if let (Some(claim), Some((output, (place, within)))) = (self.output_claim, read(plan.layers.len())) {
            values += challenges.weight(claim) * place * output.layout.truncated_eq(self.t(output), within);
        }
        if let (Some(claim), Some((input, (place, within)))) = (self.input_claim, read(0)) {
            values -= challenges.weight(claim) * place * input.layout.truncated_eq(self.t(input), within);
        }
        if let Some(value) = columns.get_mut(Column::Value as usize) {
            *value += values;
        }
        AtSlot { columns, inverse }
    }

    /// The first vector's functional: columns, multiplicities, masks.
    fn first_at(&self, masks: &[Fr], point: &[Fr]) -> Fr {
        let [columns, multiplicities, mask] = self.plan.first.segments.as_slice() else {
            return Fr::ZERO;
        };
        let (place, within) = columns.enter(point);
        let mut sum = Fr::ZERO;
        if !bool::from(place.is_zero()) {
            let (number, slot) = within.split_at_checked(COLUMN_BITS).unwrap_or((&[], within));
            let at_slot = self.at_slot(slot).columns;
            sum += place
                * at_slot
                    .iter()
                    .enumerate()
                    .map(|(column, of)| eq_index(number, column) * of)
                    .sum::<Fr>();
        }
        let (place, within) = multiplicities.enter(point);
        sum +=
            place * self.challenges.weight(MULTIPLICITY) * eq_at(self.challenges.point(TABLE_BITS), within);
        let (place, within) = mask.enter(point);
        if !bool::from(place.is_zero()) {
            sum += place
                * eq_table(within)
                    .iter()
                    .zip(masks)
                    .map(|(weight, mask)| *weight * mask)
                    .sum::<Fr>();
        }
        sum
    }

    /// The second vector's functional: inverses of slots and table.
    fn second_at(&self, point: &[Fr]) -> Fr {
        let [slots, table] = self.plan.second.segments.as_slice() else {
            return Fr::ZERO;
        };
        let (place, within) = slots.enter(point);
        let mut sum = Fr::ZERO;
        if !bool::from(place.is_zero()) {
            sum += place * self.at_slot(within).inverse;
        }
        let (place, within) = table.enter(point);
        sum + place * table_inverse_at(&self.challenges, TABLE_INVERSE, BALANCE, within)
    }

    /// The mask segment's functional, cell by cell.
    fn masks(&self) -> Vec<Fr> {
        let challenges = &self.challenges;
        let mut cells = mask_functional(&challenges.point, challenges.weight(SUM), challenges.weight(LAST));
        for (block, weighted) in self.plan.weights.iter().zip(&self.weighted) {
            if let Some(claim) = weighted.input_claim {
                let r = challenges.point(block.joint.bits());
                cells.push(challenges.weight(claim) * eq_index(r, block.joint.mask_cell()));
            }
        }
        cells
    }

    fn weights_at(&self, point: &[Fr]) -> Fr {
        let (plan, challenges) = (self.plan, &self.challenges);
        let functionals = plan
            .weights
            .iter()
            .zip(&self.weighted)
            .filter_map(|(block, weighted)| {
                let made = plan.made_by(block.layer)?;
                let (channel, _) = channel_and_plane(&made.layout, self.t(made));
                Some(
                    weighted.last * block.functional_at(channel, challenges.point(block.joint.bits()), point),
                )
            });
        challenges.weight(LAST) * functionals.sum::<Fr>()
    }

    fn input_at(&self, point: &[Fr]) -> Fr {
        let (Some(claim), Some(input)) = (self.input_claim, self.plan.nodes.first()) else {
            return Fr::ZERO;
        };
        let block = Segment {
            offset: 0,
            bits: input.layout.bits(),
        };
        let (place, within) = block.enter(point);
        self.challenges.weight(claim) * place * input.layout.truncated_eq(self.t(input), within)
    }
}

impl Claims for InferenceClaims<'_> {
    fn value(&self) -> Fr {
        self.value
    }

    fn coefficients(&self, row_point: &[Fr]) -> RowCoefficients {
        let rows = |rows: usize, at: &dyn Fn(&[Fr]) -> Fr| {
            (0..rows)
                .map(|row| at(&point_in_vector(row, rows, row_point)))
                .collect()
        };
        let masks = self.masks();
        RowCoefficients {
            weights: rows(self.plan.weight_rows, &|point| self.weights_at(point)),
            input: rows(self.plan.input_rows, &|point| self.input_at(point)),
            first: rows(self.plan.first.rows, &|point| self.first_at(&masks, point)),
            second: rows(self.plan.second.rows, &|point| self.second_at(point)),
        }
    }
}

/// The functional of the table's inverse: its value at the last point, and its sum over entries in use on the other side of
/// the balance.
pub(super) fn table_inverse_at(challenges: &Challenges, claim: usize, balance: usize, point: &[Fr]) -> Fr {
    challenges.weight(claim) * eq_at(challenges.point(TABLE_BITS), point)
        - challenges.weight(balance) * (truncated_sum(TABLE_USED, point) - eq_index(point, 0))
}

/// What is added to an accumulator before its bytes are taken.
fn offset(requantise: Requantise) -> Fr {
    let half = (1_u64 << requantise.shift) >> 1;
    Fr::from(half + (QUOTIENT_OFFSET << requantise.shift))
}

/// Adds `weight` times the accumulator, in bytes, to the functionals of the columns that hold them.
fn add_accumulator(columns: &mut [Fr; COLUMNS], made: &NodePlan, weight: Fr) {
    let Some(SlotKind::Requantised(requantise)) = made.slots.as_ref().map(|slots| slots.kind) else {
        return;
    };
    let unit = Fr::from(1_u64 << requantise.shift);
    let byte = Fr::from(256);
    let [high, low, remainder0, remainder1, ..] = columns;
    *high += weight * unit * byte;
    *low += weight * unit;
    *remainder0 += weight;
    *remainder1 += weight * byte;
}

/// Row and column of the four cells that a pool compares: those of its window, the last repeated.
fn window_cells(window: Window) -> [[usize; 2]; 4] {
    let width = usize::from(window.width).max(1);
    let last = window.elements().saturating_sub(1);
    std::array::from_fn(|cell| {
        let cell = cell.min(last);
        [cell / width, cell % width]
    })
}
