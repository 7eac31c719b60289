//! The witness holds what the executor computes, to the bit, and what the vectors that Solidity reads too say.
//!
//! A witness is read as the constraints of docs/spec/zkml.md read it, cell by cell: sums from the committed weights and the slots
//! below, requantisation from bytes and table, and how often each entry of the table is looked up.

use std::collections::BTreeMap;

use counterweight_inference::{Answer, Network, Trace};
use counterweight_primitives::architecture::{Architecture, Layer, Node, Output, Requantise, Window};
use counterweight_testkit::{numbers, seeds};
use counterweight_zkml_verifier::plan::{Column, Plan, SlotKind, Visibility, WeightPlan};
use counterweight_zkml_verifier::table::{self, TABLE_USED};
use serde_json::Value;

use super::rng;
use crate::witness::{PackedWeights, SlotMasks, Witness};

const ROW_BITS: usize = 11;

/// A witness and all else that the constraints are about.
struct Reader<'a> {
    plan: &'a Plan,
    weights: PackedWeights,
    witness: Witness,
    input: &'a [i8],
    tuples: &'a BTreeMap<[i64; 4], usize>,
    lookups: Vec<u32>,
}

impl<'a> Reader<'a> {
    fn new(
        plan: &'a Plan,
        network: &Network,
        input: &'a [i8],
        trace: &Trace,
        tuples: &'a BTreeMap<[i64; 4], usize>,
    ) -> Self {
        let weights = WeightPlan::new(network.architecture(), ROW_BITS).unwrap();
        Self {
            plan,
            weights: PackedWeights::new(&weights, network, &mut rng(1)),
            witness: Witness::new(plan, trace, SlotMasks::draw(256, &mut rng(1))),
            input,
            tuples,
            lookups: vec![0; 1 << table::TABLE_BITS],
        }
    }

    fn column(&self, column: Column, slot: usize) -> i64 {
        i64::from(self.witness.column(self.plan, column as usize)[slot])
    }

    /// A value as the layers above read it; zero outside, as padding is.
    fn value(&self, node: Node, [channel, row, column]: [usize; 3]) -> i64 {
        let planned = &self.plan.nodes[usize::from(node.0)];
        let shape = planned.layout.shape();
        if row >= shape.height() || column >= shape.width() {
            return 0;
        }
        match &planned.slots {
            Some(slots) => self.column(
                Column::Value,
                slots.offset + planned.layout.cell(channel, row, column),
            ),
            None => i64::from(self.input[(channel * shape.height() + row) * shape.width() + column]),
        }
    }

    fn weight(&self, layer: usize, output: usize, cell: usize) -> i64 {
        let block = self
            .plan
            .weights
            .iter()
            .find(|block| block.layer == layer)
            .unwrap();
        i64::from(self.weights.cells[block.offset + (output << block.joint.bits()) + cell])
    }

    fn bias(&self, layer: usize, output: usize) -> i64 {
        let block = self
            .plan
            .weights
            .iter()
            .find(|block| block.layer == layer)
            .unwrap();
        (0..block.joint.digits())
            .map(|digit| {
                let constant = 1_i64 << (usize::from(block.joint.bias.shift) + 8 * digit);
                constant * self.weight(layer, output, block.joint.base + digit)
            })
            .sum()
    }

    /// The sum behind one element of a layer's output.
    fn accumulator(&self, layer: usize, [channel, row, column]: [usize; 3]) -> i64 {
        let read = |node: Node| &self.plan.nodes[usize::from(node.0)].layout;
        match self.plan.layers[layer] {
            Layer::Dense { input, .. } => {
                let places = places(read(input).shape());
                let products = places.map(|[c, y, x]| {
                    self.weight(layer, channel, read(input).cell(c, y, x)) * self.value(input, [c, y, x])
                });
                products.sum::<i64>() + self.bias(layer, channel)
            }
            Layer::Conv {
                input,
                window,
                padding,
                ..
            } => {
                let block = self
                    .plan
                    .weights
                    .iter()
                    .find(|block| block.layer == layer)
                    .unwrap();
                let mut sum = self.bias(layer, channel);
                for c in 0..read(input).shape().channels() {
                    for (ky, kx) in within(window) {
                        // Left of and above the input, this wraps to far outside of it.
                        let y =
                            (row * usize::from(window.stride_y) + ky).wrapping_sub(usize::from(padding.top));
                        let x = (column * usize::from(window.stride_x) + kx)
                            .wrapping_sub(usize::from(padding.left));
                        let weight = self.weight(layer, channel, block.joint.cell(&[c, ky, kx]));
                        sum += weight * self.value(input, [c, y, x]);
                    }
                }
                sum
            }
            Layer::AveragePool {
                input,
                window,
                multiplier,
                ..
            } => {
                let values = self.window(input, window, [channel, row, column]);
                i64::from(multiplier) * values.into_iter().sum::<i64>()
            }
            Layer::Add {
                left,
                right,
                left_multiplier,
                right_multiplier,
                ..
            } => {
                let place = [channel, row, column];
                i64::from(left_multiplier) * self.value(left, place)
                    + i64::from(right_multiplier) * self.value(right, place)
            }
            Layer::MaxPool { .. } => panic!("a max pool has no sum"),
        }
    }

    fn window(&self, input: Node, window: Window, [channel, row, column]: [usize; 3]) -> Vec<i64> {
        within(window)
            .map(|(ky, kx)| {
                let y = row * usize::from(window.stride_y) + ky;
                let x = column * usize::from(window.stride_x) + kx;
                self.value(input, [channel, y, x])
            })
            .collect()
    }

    fn look_up(&mut self, tuple: [i64; 4]) {
        let entry = self.tuples.get(&tuple);
        self.lookups[*entry.unwrap_or_else(|| panic!("{tuple:?} is not in the table"))] += 1;
    }

    fn check_requantised(&mut self, slot: usize, rule: Requantise, accumulator: i64) -> i64 {
        let [high, low, rest0, rest1, inside, middle, saturated, value] = [
            Column::High,
            Column::Low,
            Column::Remainder0,
            Column::Remainder1,
            Column::Inside,
            Column::Middle,
            Column::Saturated,
            Column::Value,
        ]
        .map(|column| self.column(column, slot));
        let half = if rule.shift == 0 { 0 } else { 1 << (rule.shift - 1) };
        assert_eq!(
            accumulator + half + (32_896 << rule.shift),
            ((256 * high + low) << rule.shift) + 256 * rest1 + rest0
        );
        assert_eq!(value, inside * middle + saturated);
        let [tag0, tag1] = table::tags_remainder(rule.shift);
        self.look_up([table::tag_high(rule.relu) as i64, high, inside, saturated]);
        self.look_up([table::tag_low(rule.relu) as i64, low, middle, 0]);
        self.look_up([tag0 as i64, rest0, 0, 0]);
        self.look_up([tag1 as i64, rest1, 0, 0]);
        value
    }

    fn check_pooled(&mut self, slot: usize, values: &[i64]) -> i64 {
        let value = self.column(Column::Value, slot);
        let columns = [Column::High, Column::Low, Column::Remainder0, Column::Remainder1];
        let differences = columns.map(|column| self.column(column, slot));
        for (k, difference) in differences.into_iter().enumerate() {
            assert_eq!(difference, value - values[k.min(values.len() - 1)]);
            self.look_up([table::TAG_BYTE as i64, difference, 0, 0]);
        }
        assert_eq!(differences.into_iter().product::<i64>(), 0);
        value
    }

    /// A layer's output, after every constraint about it held.
    fn check_layer(&mut self, layer: usize) -> Vec<i32> {
        let plan = self.plan;
        let node = &plan.nodes[layer + 1];
        let shape = node.layout.shape();
        let values = places(shape).map(|place @ [channel, row, column]| {
            let slot = |offset| offset + node.layout.cell(channel, row, column);
            let value = match (&node.slots, plan.layers[layer]) {
                (None, _) => self.accumulator(layer, place),
                (Some(slots), Layer::MaxPool { input, window }) => {
                    let values = self.window(input, window, place);
                    self.check_pooled(slot(slots.offset), &values)
                }
                (Some(slots), _) => {
                    let SlotKind::Requantised(rule) = slots.kind else {
                        panic!("{:?}", slots.kind)
                    };
                    let accumulator = self.accumulator(layer, place);
                    self.check_requantised(slot(slots.offset), rule, accumulator)
                }
            };
            i32::try_from(value).unwrap()
        });
        values.collect()
    }

    /// That a private input is what was asked.
    fn check_input(&mut self) {
        let node = &self.plan.nodes[0];
        let Some(slots) = &node.slots else { return };
        let offset = slots.offset;
        for (cell, expected) in node.layout.cells().zip(self.input) {
            let value = self.column(Column::Value, offset + cell);
            assert_eq!(value, i64::from(*expected));
            self.look_up([table::TAG_BYTE as i64, value + 128, 0, 0]);
        }
    }
}

fn places(shape: counterweight_primitives::architecture::Shape) -> impl Iterator<Item = [usize; 3]> {
    (0..shape.channels()).flat_map(move |channel| {
        (0..shape.height()).flat_map(move |row| (0..shape.width()).map(move |column| [channel, row, column]))
    })
}

fn within(window: Window) -> impl Iterator<Item = (usize, usize)> {
    (0..usize::from(window.height)).flat_map(move |y| (0..usize::from(window.width)).map(move |x| (y, x)))
}

fn tuples() -> BTreeMap<[i64; 4], usize> {
    (1..TABLE_USED)
        .map(|index| (table::entry(index), index))
        .collect()
}

/// Every node that the witness holds, in the bytes of the arithmetic.
fn nodes_of(
    network: &Network,
    input: &[i8],
    visibility: Visibility,
    tuples: &BTreeMap<[i64; 4], usize>,
) -> Vec<Vec<u8>> {
    let plan = Plan::new(network.architecture(), ROW_BITS, visibility).unwrap();
    let trace = network.trace(input).unwrap();
    let mut reader = Reader::new(&plan, network, input, &trace, tuples);
    reader.check_input();
    let mut nodes = Vec::new();
    for step in network.architecture().steps() {
        let values = reader.check_layer(step.index());
        let answer = if step.layer().output() == Some(Output::Raw) {
            assert_eq!(values, trace.accumulators(step.index()));
            Answer::Raw(values)
        } else {
            let values: Vec<i8> = values
                .into_iter()
                .map(|value| i8::try_from(value).unwrap())
                .collect();
            assert_eq!(values, trace.activations(step.node()));
            Answer::Int8(values)
        };
        nodes.push(answer.to_bytes());
    }
    assert_eq!(reader.lookups, reader.witness.multiplicities);
    nodes
}

/// Architectures of the shared vectors that can be proven, with the number and the vector of each.
fn provable() -> Vec<(usize, Architecture, Value)> {
    let file = include_str!("../../../../testdata/arithmetic-v1.json");
    let vectors: Value = serde_json::from_str(file).unwrap();
    let networks = vectors["networks"]
        .as_array()
        .unwrap()
        .iter()
        .cloned()
        .enumerate();
    networks
        .map(|(case, vector)| {
            let bytes = hex::decode(vector["architecture"].as_str().unwrap()).unwrap();
            (case, Architecture::decode(&bytes).unwrap(), vector)
        })
        .filter(|(_, architecture, _)| Plan::new(architecture, ROW_BITS, Visibility::Private).is_ok())
        .collect()
}

fn random(architecture: &Architecture, seed: u64) -> Network {
    let mut digits = numbers(!seed, 3 * architecture.biases()).into_iter();
    let mut biases = Vec::new();
    for step in architecture.steps() {
        let form = step.layer().bias().unwrap_or_default();
        for _ in step.biases() {
            let row: Vec<i8> = digits.by_ref().take(usize::from(form.digits)).collect();
            biases.push(i32::try_from(form.from_digits(&row)).unwrap());
        }
    }
    Network::new(
        architecture.clone(),
        numbers(seed, architecture.weights()),
        biases,
    )
    .unwrap()
}

#[test]
fn the_witness_holds_the_shared_vectors() {
    let tuples = tuples();
    let provable = provable();
    // The others give their input to a layer without weights.
    assert!(provable.len() >= 80, "{}", provable.len());
    for (case, architecture, vector) in provable {
        let bytes = |value: &Value| hex::decode(value.as_str().unwrap()).unwrap();
        let int8 = |value: &Value| -> Vec<i8> { bytes(value).into_iter().map(u8::cast_signed).collect() };
        let biases = serde_json::from_value(vector["biases"].clone()).unwrap();
        let network = Network::new(architecture, int8(&vector["weights"]), biases).unwrap();
        let expected: Vec<Vec<u8>> = vector["nodes"].as_array().unwrap().iter().map(bytes).collect();
        let input = int8(&vector["nodes"][0]);
        for visibility in [Visibility::Public, Visibility::Private] {
            let nodes = nodes_of(&network, &input, visibility, &tuples);
            assert_eq!(nodes, expected[1..], "case {case}");
        }
    }
}

/// The networks, and more of the same, of which the contract recomputes an element of each layer in the tests of `chain`.
#[test]
fn the_witness_of_ten_thousand_random_layers_is_what_the_executor_computes() {
    let tuples = tuples();
    let provable = provable();
    let mut layers = 0;
    for (case, architecture, _) in &provable {
        for seed in seeds(*case, provable.len(), architecture.steps().len()) {
            let network = random(architecture, seed);
            let input = numbers(seed + 7, architecture.input().elements());
            let visibility = if seed % 2 == 0 {
                Visibility::Public
            } else {
                Visibility::Private
            };
            layers += nodes_of(&network, &input, visibility, &tuples).len();
        }
    }
    assert!(layers >= 10_000, "{layers}");
}
