//! The linear claims of an inference, each a functional of a committed vector: `docs/spec/zkml.md`, section 5.
//!
//! Values of claims are for the verifier: an honest prover's functionals have them.

use counterweight_primitives::architecture::{Layer, Window};
use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::plan::{COLUMNS, Column, NodePlan, Plan, SlotKind};
use counterweight_zkml_verifier::table::{TABLE_BITS, TABLE_USED};

use super::layers::{FoldedLayer, SharedRows, conv_functional};
use super::masks::{sum_functional, value_functional};
use super::polynomial::{power_of_two, scaled_eq};
use super::rows::Term;
use crate::witness::{PackedWeights, multipliers, window_cell};

/// Powers of the batching challenge, one for each claim, from the first on.
pub(crate) struct Weights {
    gamma: Fr,
    next: Fr,
}

impl Weights {
    pub(crate) fn new(gamma: Fr) -> Self {
        Self { gamma, next: gamma }
    }

    pub(crate) fn next(&mut self) -> Fr {
        let weight = self.next;
        self.next *= self.gamma;
        weight
    }
}

/// Everything fixed when claims are batched.
pub(crate) struct Settled<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) tau: &'a [Fr],
    pub(crate) lambda: Fr,
    pub(crate) point: &'a [Fr],
    /// Slots that a constraint looks at.
    pub(crate) active: &'a [usize],
    /// The extended input of each weighted layer, at the point.
    pub(crate) inputs: &'a [Fr],
}

/// Functionals of the committed vectors, claims added up.
pub(crate) struct Functionals {
    pub(crate) first: Vec<Fr>,
    pub(crate) second: Vec<Fr>,
    pub(crate) input: Vec<Fr>,
    slot_bits: usize,
    columns: usize,
}

pub(crate) fn suffix(point: &[Fr], bits: usize) -> &[Fr] {
    &point[point.len() - bits..]
}

impl Settled<'_> {
    /// `eq(t, ·)` over the cells of a node, `t` being where its layer is checked.
    fn at_node(&self, node: &NodePlan) -> Vec<Fr> {
        scaled_eq(suffix(self.tau, node.layout.bits()), Fr::ONE)
    }
}

impl Functionals {
    fn new(plan: &Plan) -> Self {
        let length = |rows: usize| vec![Fr::ZERO; rows << plan.row_bits];
        Self {
            first: length(plan.first.rows),
            second: length(plan.second.rows),
            input: length(plan.input_rows),
            slot_bits: plan.slot_bits,
            columns: plan.first.segments[0].offset,
        }
    }

    /// Adds `scale · weights[cell]` for each valid cell of a node to a column.
    fn add(&mut self, column: Column, node: &NodePlan, weights: &[Fr], scale: Fr) {
        self.add_column(column as usize, node, weights, scale);
    }

    fn add_column(&mut self, column: usize, node: &NodePlan, weights: &[Fr], scale: Fr) {
        let Some(slots) = &node.slots else { return };
        let start = self.columns + (column << self.slot_bits) + slots.offset;
        for cell in node.layout.cells() {
            self.first[start + cell] += scale * weights[cell];
        }
    }

    /// Adds `scale · acc(weights)`: the accumulator from the bytes of the slots.
    fn add_accumulator(&mut self, node: &NodePlan, weights: &[Fr], scale: Fr) {
        let Some(SlotKind::Requantised(rule)) = node.slots.as_ref().map(|slots| slots.kind) else {
            return;
        };
        let unit = scale * power_of_two(usize::from(rule.shift));
        let byte = Fr::from(256);
        self.add(Column::High, node, weights, unit * byte);
        self.add(Column::Low, node, weights, unit);
        self.add(Column::Remainder1, node, weights, scale * byte);
        self.add(Column::Remainder0, node, weights, scale);
    }

    /// The functionals of all claims, and the terms of the weights.
    pub(crate) fn of_inference(
        settled: &Settled<'_>,
        folded: Vec<FoldedLayer>,
        weights: &PackedWeights,
        gamma: Fr,
    ) -> (Self, Vec<Term>) {
        let plan = settled.plan;
        let mut all = Self::new(plan);
        let mut gamma = Weights::new(gamma);
        let mut terms = Vec::new();
        let (sum, last, balance) = (gamma.next(), gamma.next(), gamma.next());
        all.masks(plan, settled.point, (sum, last));
        let mut shared = SharedRows::default();
        let mut batch = settled.lambda.square();
        for ((block, layer), input) in plan.weights.iter().zip(folded).zip(settled.inputs) {
            if let Some(made) = plan.made_by(block.layer) {
                let scale = sum * batch * power_of_two(plan.rounds - block.joint.bits());
                all.add_accumulator(made, &settled.at_node(made), scale);
            }
            let point = suffix(settled.point, block.joint.bits());
            layer.claim(
                (point, last * batch * input),
                plan.row_bits,
                &mut terms,
                &mut shared,
            );
            batch *= settled.lambda;
        }
        terms.extend(shared.terms(weights, plan.row_bits));

        let [slots, table] = [&plan.second.segments[0], &plan.second.segments[1]];
        for slot in settled.active {
            all.second[slots.offset + slot] += balance;
        }
        for entry in 1..TABLE_USED {
            all.second[table.offset + entry] -= balance;
        }
        let at_slots = scaled_eq(suffix(settled.point, plan.slot_bits), Fr::ONE);
        let mut add_all = |target: &mut [Fr], weights: &[Fr]| {
            let scale = gamma.next();
            target
                .iter_mut()
                .zip(weights)
                .for_each(|(place, weight)| *place += scale * weight);
        };
        for column in 0..COLUMNS {
            add_all(
                &mut all.first[all.columns + (column << plan.slot_bits)..],
                &at_slots,
            );
        }
        add_all(&mut all.second[slots.offset..], &at_slots);
        let at_table = scaled_eq(suffix(settled.point, TABLE_BITS), Fr::ONE);
        add_all(&mut all.second[table.offset..], &at_table);
        add_all(&mut all.first[plan.first.segments[1].offset..], &at_table);

        all.hidden_inputs(settled, &mut gamma);
        all.other_layers(settled, &mut gamma);
        (all, terms)
    }

    fn masks(&mut self, plan: &Plan, point: &[Fr], (sum, last): (Fr, Fr)) {
        let start = plan.first.segments[2].offset;
        let pairs = sum_functional(plan.rounds)
            .into_iter()
            .zip(value_functional(point));
        for (place, (of_sum, of_value)) in self.first[start..].iter_mut().zip(pairs) {
            *place += sum * of_sum + last * of_value;
        }
    }

    fn hidden_inputs(&mut self, settled: &Settled<'_>, gamma: &mut Weights) {
        let plan = settled.plan;
        for block in &plan.weights {
            let (Some(mask_cell), Some(input), Some(made)) = (
                block.mask_cell,
                plan.nodes.get(block.input),
                plan.made_by(block.layer),
            ) else {
                continue;
            };
            let scale = gamma.next();
            let point = suffix(settled.point, block.joint.bits());
            let joint = scaled_eq(point, Fr::ONE);
            let output = suffix(settled.tau, made.layout.bits());
            if let Some([channels, rows, columns]) = conv_functional(block, input, made, output, point) {
                let mut weights = vec![Fr::ZERO; 1 << input.layout.bits()];
                for (channel, of_channel) in channels.iter().enumerate() {
                    for (row, of_row) in rows.iter().enumerate() {
                        let factor = *of_channel * of_row;
                        for (column, of_column) in columns.iter().enumerate() {
                            weights[input.layout.cell(channel, row, column)] = factor * of_column;
                        }
                    }
                }
                self.add(Column::Value, input, &weights, scale);
            } else {
                // The index of an input cell among the weights is its index in the node: extra bits come above.
                self.add(Column::Value, input, &joint, scale);
            }
            let segment = plan.first.segments[2].offset;
            self.first[segment + mask_cell] += scale * joint[block.joint.mask_cell()];
        }
    }

    fn other_layers(&mut self, settled: &Settled<'_>, gamma: &mut Weights) {
        let plan = settled.plan;
        for (index, layer) in plan.layers.iter().enumerate() {
            let Some(made) = plan.made_by(index) else { continue };
            let [first, second] = multipliers(layer);
            let read = |node: usize| &plan.nodes[node];
            match layer {
                Layer::AveragePool { input, window, .. } => {
                    let scale = gamma.next();
                    let weights = settled.at_node(made);
                    self.add_accumulator(made, &weights, scale);
                    let input = read(usize::from(input.0));
                    let seen = window_weights(made, input, *window, &weights, 0..window.elements());
                    self.add(Column::Value, input, &seen, -scale * Fr::from(u64::from(first)));
                }
                Layer::Add { left, right, .. } => {
                    let scale = gamma.next();
                    let weights = settled.at_node(made);
                    self.add_accumulator(made, &weights, scale);
                    for (input, multiplier) in [(left, first), (right, second)] {
                        let factor = -scale * Fr::from(u64::from(multiplier));
                        self.add(Column::Value, read(usize::from(input.0)), &weights, factor);
                    }
                }
                _ => {}
            }
        }
        for (index, layer) in plan.layers.iter().enumerate() {
            let (Some(made), Layer::MaxPool { input, window }) = (plan.made_by(index), layer) else {
                continue;
            };
            let weights = settled.at_node(made);
            let input = &plan.nodes[usize::from(input.0)];
            for k in 0..4 {
                let scale = gamma.next();
                self.add_column(k, made, &weights, scale);
                self.add(Column::Value, made, &weights, -scale);
                let seen = window_weights(made, input, *window, &weights, k..k + 1);
                self.add(Column::Value, input, &seen, scale);
            }
        }
        if let Some(output) = plan.output().filter(|node| node.slots.is_some()) {
            let scale = gamma.next();
            self.add(Column::Value, output, &settled.at_node(output), scale);
        }
        if plan.input_rows > 0
            && let Some(input) = plan.nodes.first()
        {
            let scale = gamma.next();
            let weights = settled.at_node(input);
            for cell in input.layout.cells() {
                self.input[cell] += scale * weights[cell];
            }
            self.add(Column::Value, input, &weights, -scale);
        }
    }
}

/// Weights over an input's cells: each output's weight, once for each of the given cells of the window it looks at.
fn window_weights(
    made: &NodePlan,
    input: &NodePlan,
    window: Window,
    weights: &[Fr],
    cells: std::ops::Range<usize>,
) -> Vec<Fr> {
    let shape = made.layout.shape();
    let mut seen = vec![Fr::ZERO; 1 << input.layout.bits()];
    for channel in 0..shape.channels() {
        for y in 0..shape.height() {
            for x in 0..shape.width() {
                let weight = weights[made.layout.cell(channel, y, x)];
                for k in cells.clone() {
                    let (row, column) = window_cell(window, y, x, k);
                    seen[input.layout.cell(channel, row, column)] += weight;
                }
            }
        }
    }
    seen
}
