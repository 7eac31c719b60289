//! Which bytes an element comes from.

use counterweight_primitives::architecture::{Layer, Padding, Step, Window};

use super::tree::LEAF_BYTES;

/// Bytes shown at once at most: a subtree of 512 leaves.
pub const BLOCK_BYTES: usize = 16_384;

/// An accumulator is summed in tiles of at most this many terms, and at most this many rows of a window.
const TILE_TERMS: usize = 4096;
const TILE_ROWS: usize = 256;

/// Terms of each tile of the layer's accumulators but the last.
#[must_use]
pub fn tile_terms(step: &Step) -> usize {
    match *step.layer() {
        Layer::Dense { .. } => TILE_TERMS,
        Layer::Add { .. } => 2,
        Layer::Conv { window, .. } | Layer::AveragePool { window, .. } | Layer::MaxPool { window, .. } => {
            let width = usize::from(window.width).max(1);
            width * (TILE_TERMS / width).min(TILE_ROWS)
        }
    }
}

/// How many tiles the layer's accumulators have.
#[must_use]
pub fn tiles(step: &Step) -> usize {
    step.terms().div_ceil(tile_terms(step))
}

/// Terms of a tile.
pub(super) fn tile(step: &Step, tile: usize) -> std::ops::Range<usize> {
    let from = (tile * tile_terms(step)).min(step.terms());
    from..(from + tile_terms(step)).min(step.terms())
}

/// Number of bias digits of the layer.
pub(super) fn digits(step: &Step) -> usize {
    step.layer().bias().map_or(0, |bias| usize::from(bias.digits))
}

/// Bytes of a row in the tree of the layer's weights: weights, bias digits, zeros up to whole leaves.
pub(super) fn row_bytes(step: &Step) -> usize {
    (step.terms() + digits(step)).next_multiple_of(LEAF_BYTES)
}

/// Bytes of the layer's weights' tree; 0 for a layer without.
pub(super) fn weight_bytes(step: &Step) -> usize {
    match step.layer() {
        Layer::Dense { .. } | Layer::Conv { .. } => step.output_shape().channels() * row_bytes(step),
        _ => 0,
    }
}

/// The output channel of an element.
pub(super) fn channel(step: &Step, element: usize) -> usize {
    element / step.output_shape().plane()
}

/// Leaves that hold some bytes.
pub(super) fn leaves(bytes: std::ops::Range<usize>) -> Vec<usize> {
    (bytes.start / LEAF_BYTES..bytes.end.div_ceil(LEAF_BYTES)).collect()
}

/// Leaves of the layer's weights that hold bytes `range` of the row of an element.
pub(super) fn row_leaves(step: &Step, element: usize, range: std::ops::Range<usize>) -> Vec<usize> {
    let start = channel(step, element) * row_bytes(step);
    leaves(start + range.start..start + range.end)
}

/// Where terms `range` of an element are in the layer's input, in order; nothing where the window is over padding. The terms
/// of an addition are not in one tensor: each is the element itself.
pub(super) fn positions(step: &Step, element: usize, range: std::ops::Range<usize>) -> Vec<Option<usize>> {
    let (window, padding) = match *step.layer() {
        Layer::Dense { .. } => return range.map(Some).collect(),
        Layer::Add { .. } => return vec![Some(element)],
        Layer::Conv { window, padding, .. } => (window, padding),
        Layer::AveragePool { window, .. } | Layer::MaxPool { window, .. } => (window, Padding::default()),
    };
    range
        .map(|term| in_window(step, window, padding, element, term))
        .collect()
}

fn in_window(step: &Step, window: Window, padding: Padding, element: usize, term: usize) -> Option<usize> {
    let (input, output) = (step.input_shape(), step.output_shape());
    let (height, width) = (usize::from(window.height), usize::from(window.width));
    let place = element % output.plane();
    let padded_y = place / output.width() * usize::from(window.stride_y) + term / width % height;
    let padded_x = place % output.width() * usize::from(window.stride_x) + term % width;
    let y = padded_y.checked_sub(usize::from(padding.top))?;
    let x = padded_x.checked_sub(usize::from(padding.left))?;
    let plane = match step.layer() {
        Layer::Conv { .. } => term / (width * height),
        _ => channel(step, element),
    };
    (y < input.height() && x < input.width()).then(|| (plane * input.height() + y) * input.width() + x)
}

/// Leaves of the layer's input that hold terms `range` of an element.
pub(super) fn window_leaves(step: &Step, element: usize, range: std::ops::Range<usize>) -> Vec<usize> {
    // Positions increase, so equal leaves are neighbours.
    let mut leaves: Vec<usize> = positions(step, element, range)
        .into_iter()
        .flatten()
        .map(|position| position / LEAF_BYTES)
        .collect();
    leaves.dedup();
    leaves
}
