//! What the referee computes.

use counterweight_primitives::architecture::{Layer, Output, Step};

use super::layout;
use super::tree::{LEAF_BYTES, Opening, Root};

/// An opening that does not belong to its tree, or a question that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The leaves or siblings are not those of the tree.
    #[error("the opening does not belong to the tree {root:?}")]
    OtherTree {
        /// The tree.
        root: Root,
    },
    /// No such element.
    #[error("layer {layer} gives {count} elements, not element {element}")]
    NoElement {
        /// The layer.
        layer: usize,
        /// Elements of its output.
        count: usize,
        /// The element asked for.
        element: usize,
    },
}

/// What a layer gives at an element, from openings alone. `other` opens the row of weights of a weighted layer, the right
/// summand of an addition, and is empty for a pool. The contract does the same for accumulators of one tile.
///
/// # Errors
/// [`OpeningError`].
pub fn recompute(
    step: &Step,
    element: usize,
    [input_root, other_root]: [Root; 2],
    input: &Opening,
    other: &Opening,
) -> Result<i32, OpeningError> {
    let count = step.output_shape().elements();
    if element >= count {
        return Err(OpeningError::NoElement {
            layer: step.index(),
            count,
            element,
        });
    }
    let elements = step.input_shape().elements();
    let terms = gather(step, element, input_root, elements, input)?;
    let sum = |terms: &[i8]| terms.iter().map(|term| i64::from(*term)).sum::<i64>();
    let accumulator = match *step.layer() {
        Layer::MaxPool { .. } => {
            return Ok(terms.iter().copied().map(i32::from).max().unwrap_or(-128));
        }
        Layer::AveragePool { multiplier, .. } => i64::from(multiplier) * sum(&terms),
        Layer::Add {
            left_multiplier,
            right_multiplier,
            ..
        } => {
            let right = gather(step, element, other_root, elements, other)?;
            i64::from(left_multiplier) * sum(&terms) + i64::from(right_multiplier) * sum(&right)
        }
        Layer::Dense { bias, .. } | Layer::Conv { bias, .. } => {
            let end = step.terms() + layout::digits(step);
            let leaves = layout::row_leaves(step, element, 0..end);
            check(other_root, layout::weight_bytes(step), &leaves, other)?;
            let row: Vec<i8> = other.leaves[..end]
                .iter()
                .map(|byte| byte.cast_signed())
                .collect();
            let (weights, digits) = row.split_at(step.terms());
            let products = terms.iter().zip(weights);
            let sum: i64 = products.map(|(a, w)| i64::from(*a) * i64::from(*w)).sum();
            sum + bias.from_digits(digits)
        }
    };
    // Inside 32 bits by the architecture's bound.
    let accumulator = accumulator as i32;
    Ok(match step.layer().output() {
        Some(Output::Requantise(rule)) => i32::from(rule.apply(accumulator)),
        _ => accumulator,
    })
}

fn check(root: Root, length: usize, leaves: &[usize], opening: &Opening) -> Result<(), OpeningError> {
    if root.has(length, leaves, opening) {
        Ok(())
    } else {
        Err(OpeningError::OtherTree { root })
    }
}

/// The terms of an element from the leaves they are in; zeros for padding.
fn gather(
    step: &Step,
    element: usize,
    root: Root,
    length: usize,
    opening: &Opening,
) -> Result<Vec<i8>, OpeningError> {
    let all = 0..step.terms();
    let leaves = layout::window_leaves(step, element, all.clone());
    check(root, length, &leaves, opening)?;
    let byte = |position: usize| {
        let leaf = leaves.binary_search(&(position / LEAF_BYTES)).ok()?;
        opening
            .leaves
            .get(leaf * LEAF_BYTES + position % LEAF_BYTES)
            .copied()
    };
    let positions = layout::positions(step, element, all);
    Ok(positions
        .into_iter()
        .map(|position| position.and_then(byte).unwrap_or_default().cast_signed())
        .collect())
}
