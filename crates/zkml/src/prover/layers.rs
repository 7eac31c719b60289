//! Weighted layers: the weights folded by a point of the outputs, and what they meet.
//!
//! A layer says `acc(t) = Σ_j u(j) a(j)` with `u(j) = Σ_i eq(t, i) W(i, j)`. The second sum-check later needs
//! `<eq(t, i) eq(r, j), W>`, where the functional of every row is a multiple of one row: the same fold of the rows serves both,
//! so weights are read once, as bytes, and no table as long as the weights is ever made.

use counterweight_inference::Trace;
use counterweight_primitives::architecture::Node;
use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::field::{Field, from_i64};
use counterweight_zkml_verifier::multilinear::truncated_sum;
use counterweight_zkml_verifier::plan::{NodePlan, Plan, WeightBlock};
use rayon::prelude::*;

use super::polynomial::scaled_eq;
use super::rows::{Rows, Term};
use crate::witness::{PackedWeights, input_cells};

/// Cells of a fold that one task does: few enough to stay in the cache, enough to be worth the table of multiples.
const FOLD_CHUNK: usize = 1 << 11;

/// A layer's weights after the fold of its outputs.
pub(crate) struct FoldedLayer {
    /// `u`: zero where no weight or bias digit can be.
    pub(crate) folded: Vec<Fr>,
    /// Cells that weights or bias digits can be in.
    valid: Vec<bool>,
    parts: Vec<Part>,
}

/// Rows whose functionals are multiples of one row.
struct Part {
    /// The rows, each with its factor.
    rows: Vec<(usize, Fr)>,
    /// The sum of the rows times their factors; `None` where several layers share the row.
    sum: Option<Vec<Fr>>,
    shape: PartShape,
}

enum PartShape {
    /// The functional is a stretch of the one over `j`.
    Stretch { from: usize },
    /// The functional is `factors ⊗` the one over `j`, from a cell of the row on.
    Product { factors: Vec<Fr>, at: usize },
}

/// Adds `factor · entry` for each entry.
fn add_multiple(sum: &mut [Fr], row: &[i8], factor: Fr) {
    let mut multiples = [Fr::ZERO; 256];
    let mut multiple = Fr::ZERO;
    for value in 0..128_usize {
        multiples[value] = multiple;
        multiple += factor;
        multiples[(256 - value - 1) & 255] = -multiple;
    }
    for (sum, entry) in sum.iter_mut().zip(row) {
        if *entry != 0 {
            *sum += multiples[usize::from(*entry as u8)];
        }
    }
}

/// The sum of stretches of weights, given by where each starts, times factors.
fn fold(cells: &[i8], stretches: &[(usize, Fr)], length: usize) -> Vec<Fr> {
    let mut sum = vec![Fr::ZERO; length];
    sum.par_chunks_mut(FOLD_CHUNK)
        .enumerate()
        .for_each(|(chunk, sum)| {
            for (start, factor) in stretches {
                add_multiple(sum, &cells[start + chunk * FOLD_CHUNK..], *factor);
            }
        });
    sum
}

impl FoldedLayer {
    /// Folds a block's outputs by the point of the output channels.
    pub(crate) fn new(plan: &Plan, block: &WeightBlock, weights: &PackedWeights, channels: &[Fr]) -> Self {
        let row_bits = plan.row_bits;
        let joint_bits = block.joint.bits();
        let mut outputs = scaled_eq(channels, Fr::ONE);
        outputs.truncate(block.outputs.size);
        let mut valid = vec![false; 1 << joint_bits];
        if let Some(input) = plan.nodes.get(block.input) {
            input_cells(block, &input.layout)
                .into_iter()
                .for_each(|cell| valid[cell] = true);
        }
        valid[block.joint.base..block.joint.mask_cell()].fill(true);

        let first_row = block.offset >> row_bits;
        let mut parts = Vec::new();
        let mut folded;
        if block.bits() <= row_bits {
            let stretches: Vec<(usize, Fr)> = outputs
                .iter()
                .enumerate()
                .map(|(i, factor)| (block.offset + (i << joint_bits), *factor))
                .collect();
            folded = fold(&weights.cells, &stretches, 1 << joint_bits);
            let at = block.offset & ((1 << row_bits) - 1);
            let shape = PartShape::Product {
                factors: outputs.clone(),
                at,
            };
            parts.push(Part {
                rows: vec![(first_row, Fr::ONE)],
                sum: None,
                shape,
            });
        } else if joint_bits >= row_bits {
            let per_output = 1_usize << (joint_bits - row_bits);
            folded = Vec::with_capacity(1 << joint_bits);
            for stretch in 0..per_output {
                let rows: Vec<(usize, Fr)> = outputs
                    .iter()
                    .enumerate()
                    .map(|(i, f)| (first_row + i * per_output + stretch, *f))
                    .collect();
                let sum = fold_rows(weights, &rows, row_bits);
                folded.extend_from_slice(&sum);
                let shape = PartShape::Stretch {
                    from: stretch << row_bits,
                };
                parts.push(Part {
                    rows,
                    sum: Some(sum),
                    shape,
                });
            }
        } else {
            let per_row = 1_usize << (row_bits - joint_bits);
            let (row_point, within) = channels.split_at(channels.len() - (row_bits - joint_bits));
            let row_factors = scaled_eq(row_point, Fr::ONE);
            let factors = scaled_eq(within, Fr::ONE);
            let (whole, rest) = (block.outputs.size / per_row, block.outputs.size % per_row);
            let rows: Vec<(usize, Fr)> = (0..whole)
                .map(|row| (first_row + row, row_factors[row]))
                .collect();
            if !rows.is_empty() {
                let sum = fold_rows(weights, &rows, row_bits);
                let shape = PartShape::Product {
                    factors: factors.clone(),
                    at: 0,
                };
                parts.push(Part {
                    rows,
                    sum: Some(sum),
                    shape,
                });
            }
            if rest > 0 {
                // The last row's functional ends with the last output.
                let rows = vec![(first_row + whole, row_factors[whole])];
                let sum = fold_rows(weights, &rows, row_bits);
                let shape = PartShape::Product {
                    factors: factors[..rest].to_vec(),
                    at: 0,
                };
                parts.push(Part {
                    rows,
                    sum: Some(sum),
                    shape,
                });
            }
            folded = vec![Fr::ZERO; 1 << joint_bits];
            for part in &parts {
                let (PartShape::Product { factors, .. }, Some(sum)) = (&part.shape, &part.sum) else {
                    continue;
                };
                for (factor, stretch) in factors.iter().zip(sum.chunks_exact(1 << joint_bits)) {
                    for (folded, value) in folded.iter_mut().zip(stretch) {
                        *folded += *factor * value;
                    }
                }
            }
        }
        folded
            .iter_mut()
            .zip(&valid)
            .filter(|(_, valid)| !**valid)
            .for_each(|(value, _)| *value = Fr::ZERO);
        Self { folded, valid, parts }
    }

    /// Takes a cell for one that weights can be in.
    #[cfg(test)]
    pub(crate) fn count_anyway(&mut self, cell: usize, folded: Fr) {
        self.valid[cell] = true;
        self.folded[cell] = folded;
    }

    /// Adds the claim `scale · Σ eq(t, i) eq(r, j) W(i, j)` to what the second sum-check sums.
    pub(crate) fn claim(
        self,
        (point, scale): (&[Fr], Fr),
        row_bits: usize,
        terms: &mut Vec<Term>,
        shared: &mut SharedRows,
    ) {
        let mut joint = scaled_eq(point, scale);
        joint
            .iter_mut()
            .zip(&self.valid)
            .filter(|(_, valid)| !**valid)
            .for_each(|(value, _)| *value = Fr::ZERO);
        for part in self.parts {
            let functional = match part.shape {
                PartShape::Stretch { from } => joint[from..from + (1 << row_bits)].to_vec(),
                PartShape::Product { factors, at } => {
                    let mut functional = match part.sum {
                        None => shared.take(part.rows[0].0, row_bits),
                        Some(_) => vec![Fr::ZERO; 1 << row_bits],
                    };
                    for (factor, stretch) in
                        factors.iter().zip(functional[at..].chunks_exact_mut(joint.len()))
                    {
                        for (place, value) in stretch.iter_mut().zip(&joint) {
                            if !bool::from(value.is_zero()) {
                                *place += *factor * value;
                            }
                        }
                    }
                    functional
                }
            };
            match part.sum {
                None => shared.put(part.rows[0].0, functional),
                Some(vector) => terms.push(Term {
                    functional,
                    vector,
                    kind: Rows::Weights,
                    rows: part.rows,
                }),
            }
        }
    }
}

/// Functionals of weight rows that several small blocks share.
#[derive(Default)]
pub(crate) struct SharedRows {
    rows: std::collections::BTreeMap<usize, Vec<Fr>>,
}

impl SharedRows {
    fn take(&mut self, row: usize, row_bits: usize) -> Vec<Fr> {
        self.rows
            .remove(&row)
            .unwrap_or_else(|| vec![Fr::ZERO; 1 << row_bits])
    }

    fn put(&mut self, row: usize, functional: Vec<Fr>) {
        self.rows.insert(row, functional);
    }

    /// A term for each row.
    pub(crate) fn terms(self, weights: &PackedWeights, row_bits: usize) -> impl Iterator<Item = Term> {
        self.rows.into_iter().map(move |(row, functional)| {
            let rows = vec![(row, Fr::ONE)];
            Term {
                functional,
                vector: fold_rows(weights, &rows, row_bits),
                kind: Rows::Weights,
                rows,
            }
        })
    }
}

/// The sum of weight rows times factors, the registration's mask cells included.
pub(crate) fn fold_rows(weights: &PackedWeights, rows: &[(usize, Fr)], row_bits: usize) -> Vec<Fr> {
    let stretches: Vec<(usize, Fr)> = rows
        .iter()
        .map(|(row, factor)| (row << row_bits, *factor))
        .collect();
    let mut sum = fold(&weights.cells, &stretches, 1 << row_bits);
    let large = weights.large();
    for (row, factor) in rows {
        let own = large.iter().filter(|(cell, _)| cell >> row_bits == *row);
        own.for_each(|(cell, value)| sum[cell & ((1 << row_bits) - 1)] += *factor * value);
    }
    sum
}

/// What a layer's folded weights meet: its input (for a convolution, summed over the places of the window with the weights of
/// the output point), the bias's constants, and the mask of a hidden input.
pub(crate) fn extended_input(
    plan: &Plan,
    block: &WeightBlock,
    trace: &Trace,
    output: &[Fr],
    mask: Option<Fr>,
) -> Vec<Fr> {
    let mut table = vec![Fr::ZERO; 1 << block.joint.bits()];
    let (Some(input), Some(made)) = (plan.nodes.get(block.input), plan.made_by(block.layer)) else {
        return table;
    };
    let values = trace.activations(Node(block.input as u8));
    let places = input_cells(block, &input.layout);
    let mut per_constant = Fr::ONE;
    if let Some(placement) = Placement::new(block, input, made, output) {
        for (place, sum) in places.into_iter().zip(placement.sums(values)) {
            table[place] = sum;
        }
        per_constant = placement.total;
    } else {
        for (place, value) in places.into_iter().zip(values) {
            table[place] = from_i64(i64::from(*value));
        }
    }
    for digit in 0..block.joint.digits() {
        table[block.joint.base + digit] = block.joint.constant(digit) * per_constant;
    }
    if let Some(mask) = mask {
        table[block.joint.mask_cell()] = mask;
    }
    table
}

/// A convolution's window placed by a point of its output plane.
struct Placement {
    shape: [usize; 3],
    /// For each place of the window, weights by input row, and by input column.
    rows: Vec<Vec<(usize, Fr)>>,
    columns: Vec<Vec<(usize, Fr)>>,
    total: Fr,
}

impl Placement {
    fn new(block: &WeightBlock, input: &NodePlan, made: &NodePlan, output: &[Fr]) -> Option<Self> {
        let (window, padding) = block.window?;
        let [_, rows, columns] = made.layout.dimensions() else {
            return None;
        };
        let plane = output.get(output.len() - rows.bits - columns.bits..)?;
        let (row_point, column_point) = plane.split_at(rows.bits);
        let shape = input.layout.shape();
        let axis = |point: &[Fr], size: usize, length: usize, [kernel, stride, before]: [u8; 3]| {
            let weights = scaled_eq(point, Fr::ONE);
            (0..usize::from(kernel))
                .map(|k| {
                    let places = (0..size).filter_map(|y| {
                        let place = (y * usize::from(stride) + k).checked_sub(usize::from(before))?;
                        (place < length).then_some((place, weights[y]))
                    });
                    places.collect()
                })
                .collect()
        };
        Some(Self {
            shape: [shape.channels(), shape.height(), shape.width()],
            rows: axis(
                row_point,
                rows.size,
                shape.height(),
                [window.height, window.stride_y, padding.top],
            ),
            columns: axis(
                column_point,
                columns.size,
                shape.width(),
                [window.width, window.stride_x, padding.left],
            ),
            total: truncated_sum(rows.size, row_point) * truncated_sum(columns.size, column_point),
        })
    }

    /// `V(c, ky, kx)` in the order of the weights: first along the rows of the plane, then across them.
    fn sums(&self, values: &[i8]) -> Vec<Fr> {
        let [channels, height, width] = self.shape;
        let of_channel = |channel: usize| {
            let plane = &values[channel * height * width..][..height * width];
            let along: Vec<Vec<Fr>> = plane
                .chunks_exact(width)
                .map(|row| {
                    let sum = |places: &Vec<(usize, Fr)>| {
                        let used = places.iter().filter(|(place, _)| row[*place] != 0);
                        used.map(|(place, weight)| *weight * from_i64(i64::from(row[*place])))
                            .sum()
                    };
                    self.columns.iter().map(sum).collect()
                })
                .collect();
            let across = |places: &Vec<(usize, Fr)>| {
                (0..self.columns.len())
                    .map(|column| {
                        places
                            .iter()
                            .map(|(row, weight)| *weight * along[*row][column])
                            .sum::<Fr>()
                    })
                    .collect::<Vec<_>>()
            };
            self.rows.iter().flat_map(across).collect::<Vec<_>>()
        };
        (0..channels).into_par_iter().flat_map_iter(of_channel).collect()
    }
}

/// The functional over a convolution's input that gives its extended input at a point: by channel, row and column.
pub(crate) fn conv_functional(
    block: &WeightBlock,
    input: &NodePlan,
    made: &NodePlan,
    output: &[Fr],
    point: &[Fr],
) -> Option<[Vec<Fr>; 3]> {
    let placement = Placement::new(block, input, made, output)?;
    let (window, _) = block.window?;
    let inner: Vec<usize> = block
        .joint
        .dimensions
        .iter()
        .skip(1)
        .map(|dimension| dimension.bits)
        .collect();
    let [row_bits, column_bits] = inner.as_slice() else {
        return None;
    };
    let (channel_point, rest) = point.split_at(point.len() - row_bits - column_bits);
    let (row_point, column_point) = rest.split_at(*row_bits);
    let mut channels = scaled_eq(channel_point, Fr::ONE);
    channels.truncate(placement.shape[0]);
    let axis = |places: &[Vec<(usize, Fr)>], point: &[Fr], kernel: u8, length: usize| {
        let weights = scaled_eq(point, Fr::ONE);
        let mut sums = vec![Fr::ZERO; length];
        for (k, places) in places.iter().enumerate().take(usize::from(kernel)) {
            for (place, weight) in places {
                sums[*place] += weights[k] * weight;
            }
        }
        sums
    };
    let rows = axis(&placement.rows, row_point, window.height, placement.shape[1]);
    let columns = axis(&placement.columns, column_point, window.width, placement.shape[2]);
    Some([channels, rows, columns])
}
