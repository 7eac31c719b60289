//! Layers with weights.

use counterweight_primitives::architecture::{Padding, Step, Window};
use rayon::prelude::*;

use super::{
    WORTH_THREADS,
    dot::{LANES, add_rows},
};

pub(super) fn dense(step: &Step, weights: &[i8], biases: &[i32], input: &[i8]) -> Vec<i32> {
    let outputs = step.output_shape().elements();
    let mut sums = if biases.is_empty() {
        vec![0; outputs]
    } else {
        biases.to_vec()
    };
    if weights.len() < WORTH_THREADS {
        add_rows(weights, input, &mut sums);
    } else {
        // Pieces of half the threshold: enough to balance threads, too few to notice their cost.
        let rows = (WORTH_THREADS / 2).div_ceil(step.terms()).max(1);
        sums.par_chunks_mut(rows)
            .zip(weights.par_chunks(rows * step.terms()))
            .for_each(|(sums, weights)| add_rows(weights, input, sums));
    }
    sums
}

pub(super) fn conv(
    step: &Step,
    window: Window,
    padding: Padding,
    weights: &[i8],
    biases: &[i32],
    input: &[i8],
) -> Vec<i32> {
    let (terms, output) = (step.terms(), step.output_shape());
    let (channels, width) = (output.channels(), output.width());
    // Rows of weights and patches are padded with zeros to whole vectors.
    let padded = terms.next_multiple_of(LANES);
    let mut rows = vec![0_i8; channels * padded];
    for (place, row) in rows.chunks_exact_mut(padded).zip(weights.chunks_exact(terms)) {
        place[..terms].copy_from_slice(row);
    }
    let line = |y: usize| {
        let mut patch = vec![0_i8; padded];
        let mut sums = vec![0_i32; width * channels];
        for (x, sums) in sums.chunks_exact_mut(channels).enumerate() {
            gather(step, window, padding, input, y, x, &mut patch);
            if !biases.is_empty() {
                sums.copy_from_slice(biases);
            }
            add_rows(&rows, &patch, sums);
        }
        sums
    };
    let lines: Vec<Vec<i32>> = if weights.len() * output.plane() < WORTH_THREADS {
        (0..output.height()).map(line).collect()
    } else {
        (0..output.height()).into_par_iter().map(line).collect()
    };
    // From (row, column, channel) to (channel, row, column).
    let mut sums = vec![0; output.elements()];
    for (y, line) in lines.iter().enumerate() {
        for (x, values) in line.chunks_exact(channels).enumerate() {
            for (channel, value) in values.iter().enumerate() {
                sums[channel * output.plane() + y * width + x] = *value;
            }
        }
    }
    sums
}

/// Copies what the window shows at one place, channel by channel; zeros outside the plane.
fn gather(step: &Step, window: Window, padding: Padding, input: &[i8], y: usize, x: usize, patch: &mut [i8]) {
    let shape = step.input_shape();
    let (rows, columns) = (usize::from(window.height), usize::from(window.width));
    let top = y * usize::from(window.stride_y);
    let left = x * usize::from(window.stride_x);
    // Columns of the window that lie inside the plane; padding is smaller than the window, so there are some unless the
    // plane itself is narrower than the padding on the other side.
    let first = usize::from(padding.left).saturating_sub(left).min(columns);
    let after = (shape.width() + usize::from(padding.left))
        .saturating_sub(left)
        .min(columns)
        .max(first);
    let mut places = patch.chunks_exact_mut(columns);
    for plane in input.chunks_exact(shape.plane()) {
        for u in 0..rows {
            let Some(place) = places.next() else { return };
            place.fill(0);
            let row = (top + u).wrapping_sub(usize::from(padding.top));
            if row < shape.height() && first < after {
                let start = row * shape.width() + left + first - usize::from(padding.left);
                place[first..after].copy_from_slice(&plane[start..][..after - first]);
            }
        }
    }
}
