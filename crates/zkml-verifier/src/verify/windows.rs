//! What a layer reads of its input, as a functional of the input's cells.

use counterweight_primitives::architecture::{Padding, Window};

use crate::field::{Field, Fr, from_i64};
use crate::multilinear::{eq_index, eq_table, truncated_eq};
use crate::plan::{Layout, WeightBlock, split};

/// How one side of a window moves along one side of a plane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// Places it takes: cells of the output's side.
    pub(super) outputs: usize,
    /// Cells of the input's side.
    pub(super) inputs: usize,
    /// Cells from one place to the next.
    pub(super) stride: usize,
    /// Zeros before the first cell.
    pub(super) before: usize,
}

impl Axis {
    /// Rows and columns of a window over an input.
    pub(super) fn pair(window: Window, padding: Padding, input: &Layout, output: &Layout) -> [Self; 2] {
        let (from, to) = (input.shape(), output.shape());
        [
            Self {
                outputs: to.height(),
                inputs: from.height(),
                stride: usize::from(window.stride_y),
                before: usize::from(padding.top),
            },
            Self {
                outputs: to.width(),
                inputs: from.width(),
                stride: usize::from(window.stride_x),
                before: usize::from(padding.left),
            },
        ]
    }

    /// The input cell that offset `offset` of the window looks at from place `place`, if it is not padding.
    fn cell(&self, place: usize, offset: usize) -> Option<usize> {
        (place * self.stride + offset)
            .checked_sub(self.before)
            .filter(|cell| *cell < self.inputs)
    }

    /// For each place, `Σ_offset weight · eq(point, cell)`.
    pub(super) fn seen(&self, weights: &[Fr], point: &[Fr]) -> Vec<Fr> {
        let table = eq_table(point);
        let seen_from = |place: usize| {
            weights
                .iter()
                .enumerate()
                .filter_map(|(offset, weight)| Some(*weight * table.get(self.cell(place, offset)?)?))
                .sum()
        };
        (0..self.outputs).map(seen_from).collect()
    }

    /// For each input cell, the sum of `eq(place_point, place) · weight` over the places and offsets that look at it.
    fn spread(&self, weights: &[Fr], place_point: &[Fr]) -> Vec<Fr> {
        let mut cells = vec![Fr::ZERO; self.inputs];
        for (place, of_place) in eq_table(place_point).iter().enumerate().take(self.outputs) {
            for (offset, weight) in weights.iter().enumerate() {
                if let Some(cell) = self.cell(place, offset).and_then(|cell| cells.get_mut(cell)) {
                    *cell += *of_place * weight;
                }
            }
        }
        cells
    }
}

/// `Σ_{row, column} eq(point, (row, column)) rows[row] columns[column]` over an output's plane; `point` without the channel.
pub(super) fn over_plane(output: &Layout, point: &[Fr], rows: &[Fr], columns: &[Fr]) -> Fr {
    let plane = output
        .dimensions()
        .split_first()
        .map_or(&[][..], |(_, plane)| plane);
    let dot = |left: &[Fr], right: &[Fr]| {
        left.iter()
            .zip(right)
            .map(|(left, right)| *left * right)
            .sum::<Fr>()
    };
    let mut parts = split(plane, point).map(|(_, part)| eq_table(part));
    match (output.is_spatial(), parts.next(), parts.next()) {
        (true, Some(of_rows), Some(of_columns)) => dot(&of_rows, rows) * dot(&of_columns, columns),
        (false, Some(positions), None) => positions
            .chunks(columns.len().max(1))
            .zip(rows)
            .map(|(of_row, row)| *row * dot(of_row, columns))
            .sum(),
        _ => Fr::ZERO,
    }
}

/// `point` over an output's block, cut into channel and plane.
pub(super) fn channel_and_plane<'a>(layout: &Layout, point: &'a [Fr]) -> (&'a [Fr], &'a [Fr]) {
    let bits = layout.dimensions().first().map_or(0, |channels| channels.bits);
    point.split_at_checked(bits).unwrap_or((point, &[]))
}

/// The functional of a pool or of one cell of its window: channels equal, places of the plane seen through the window.
/// `weights` are of rows and columns.
pub(super) fn pool_at(
    layouts: (&Layout, &Layout),
    axes: &[Axis; 2],
    weights: [&[Fr]; 2],
    t: &[Fr],
    within: &[Fr],
) -> Fr {
    let (input, output) = layouts;
    let (t_channel, t_plane) = channel_and_plane(output, t);
    let mut parts = split(input.dimensions(), within).map(|(_, part)| part);
    let (Some(channel), Some(row), Some(column)) = (parts.next(), parts.next(), parts.next()) else {
        return Fr::ZERO;
    };
    let [rows, columns] = axes;
    let [row_weights, column_weights] = weights;
    truncated_eq(input.shape().channels(), t_channel, channel)
        * over_plane(
            output,
            t_plane,
            &rows.seen(row_weights, row),
            &columns.seen(column_weights, column),
        )
}

/// The functional by which a weighted layer reads its hidden input: `aext` without bias and mask cells, at `within` the
/// input's block. `r` is the point over `j`.
pub(super) fn reads_at(
    block: &WeightBlock,
    layouts: (&Layout, &Layout),
    t: &[Fr],
    r: &[Fr],
    within: &[Fr],
) -> Fr {
    let (input, output) = layouts;
    let (place, parts) = block.joint.split(r);
    let Some((window, padding)) = block.window else {
        let cells = split(input.dimensions(), within)
            .zip(parts)
            .map(|((dimension, within), r)| truncated_eq(dimension.size, r, within));
        return place * cells.product::<Fr>();
    };
    let ([channel, row, column], [at_channel, at_row, at_column]) = (
        three(parts.into_iter()),
        three(split(input.dimensions(), within).map(|(_, part)| part)),
    );
    let [rows, columns] = Axis::pair(window, padding, input, output);
    let (_, t_plane) = channel_and_plane(output, t);
    let seen_rows = rows.seen(&first(eq_table(row), window.height), at_row);
    let seen_columns = columns.seen(&first(eq_table(column), window.width), at_column);
    place
        * truncated_eq(input.shape().channels(), channel, at_channel)
        * over_plane(output, t_plane, &seen_rows, &seen_columns)
}

/// The same on an input that everybody sees, given row-major.
pub(super) fn reads_public(
    block: &WeightBlock,
    layouts: (&Layout, &Layout),
    t: &[Fr],
    r: &[Fr],
    values: &[i8],
) -> Fr {
    let (input, output) = layouts;
    let shape = input.shape();
    let Some((window, padding)) = block.window else {
        let (place, within) = block.joint.enter(r);
        let table = eq_table(within);
        let cells = input.cells().zip(values);
        return place
            * cells
                .filter_map(|(cell, value)| Some(*table.get(cell)? * from_i64(i64::from(*value))))
                .sum::<Fr>();
    };
    let (place, parts) = block.joint.split(r);
    let [channel, row, column] = three(parts.into_iter());
    let [rows, columns] = Axis::pair(window, padding, input, output);
    let (_, t_plane) = channel_and_plane(output, t);
    let plane = output
        .dimensions()
        .split_first()
        .map_or(&[][..], |(_, plane)| plane);
    let mut t_parts = split(plane, t_plane).map(|(_, part)| part);
    let (t_row, t_column) = (
        t_parts.next().unwrap_or_default(),
        t_parts.next().unwrap_or_default(),
    );
    let row_weights = rows.spread(&first(eq_table(row), window.height), t_row);
    let column_weights = columns.spread(&first(eq_table(column), window.width), t_column);
    let of_plane = |plane: &[i8]| {
        plane
            .chunks(shape.width())
            .zip(&row_weights)
            .map(|(row, weight)| {
                let seen = row
                    .iter()
                    .zip(&column_weights)
                    .map(|(value, weight)| from_i64(i64::from(*value)) * weight);
                *weight * seen.sum::<Fr>()
            })
            .sum::<Fr>()
    };
    let planes = values.chunks(shape.plane()).enumerate();
    place
        * planes
            .map(|(index, plane)| eq_index(channel, index) * of_plane(plane))
            .sum::<Fr>()
}

/// What each constant on a bias cell is weighed by: one for a dense layer, the weight of the whole plane for a convolution,
/// which adds its bias at every place.
pub(super) fn bias_weight(block: &WeightBlock, output: &Layout, t: &[Fr]) -> Fr {
    if block.window.is_none() {
        return Fr::ONE;
    }
    let (_, t_plane) = channel_and_plane(output, t);
    let plane = output
        .dimensions()
        .split_first()
        .map_or(&[][..], |(_, plane)| plane);
    split(plane, t_plane)
        .map(|(side, part)| crate::multilinear::truncated_sum(side.size, part))
        .product()
}

fn first(mut table: Vec<Fr>, count: u8) -> Vec<Fr> {
    table.truncate(usize::from(count));
    table
}

fn three<'a>(mut parts: impl Iterator<Item = &'a [Fr]>) -> [&'a [Fr]; 3] {
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
