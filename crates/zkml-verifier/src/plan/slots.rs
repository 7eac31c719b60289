//! The slots: one for each hidden int8 value, in aligned blocks.

use counterweight_primitives::architecture::{Layer, Output, Requantise};

use super::layout::Layout;
use crate::field::Fr;
use crate::multilinear::eq_index;

/// Columns of a slot, in the order in which they are committed and opened.
pub const COLUMNS: usize = 8;
/// Bits of a column's number.
pub const COLUMN_BITS: usize = 3;

/// A column of the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Column {
    /// High byte of the shifted quotient; difference 0 of a max pool.
    High = 0,
    /// Low byte of the shifted quotient; difference 1.
    Low = 1,
    /// Low byte of the remainder; difference 2.
    Remainder0 = 2,
    /// High byte of the remainder; difference 3.
    Remainder1 = 3,
    /// One where the quotient is inside int8.
    Inside = 4,
    /// What the value is if it is inside.
    Middle = 5,
    /// What the value is if it is not.
    Saturated = 6,
    /// The value itself.
    Value = 7,
}

/// What holds in a block's slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// An accumulator, requantised.
    Requantised(Requantise),
    /// The greatest of up to four values.
    Pooled,
    /// A private input.
    Input,
}

impl SlotKind {
    /// What a layer's output slots hold; `None` for a raw output, which has none.
    #[must_use]
    pub fn of(layer: &Layer) -> Option<Self> {
        match layer.output() {
            None => Some(Self::Pooled),
            Some(Output::Requantise(requantise)) => Some(Self::Requantised(requantise)),
            Some(Output::Raw) => None,
        }
    }
}

/// The slots of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotBlock {
    /// What the slots hold.
    pub kind: SlotKind,
    /// Index of the first slot, a multiple of the block's padded size.
    pub offset: usize,
    /// Bits of an index within the block.
    pub bits: usize,
}

impl SlotBlock {
    /// `point` cut into `eq` of the block's place and the point within the block.
    #[must_use]
    pub fn enter<'a>(&self, point: &'a [Fr]) -> (Fr, &'a [Fr]) {
        enter(self.offset, self.bits, point)
    }
}

/// `point` over a vector cut into `eq` of the place of an aligned block and the point within it.
pub(crate) fn enter(offset: usize, bits: usize, point: &[Fr]) -> (Fr, &[Fr]) {
    let (place, within) = point
        .split_at_checked(point.len().saturating_sub(bits))
        .unwrap_or((&[], point));
    (eq_index(place, offset >> bits), within)
}

/// Places blocks of the given numbers of bits: greatest first, ties in the order given, so each is aligned to its size.
/// Gives each block's offset, in the order given, and the end.
pub(crate) fn pack(bits: &[usize]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..bits.len()).collect();
    order.sort_by_key(|block| std::cmp::Reverse(bits.get(*block).copied()));
    let mut offsets = vec![0; bits.len()];
    let mut end = 0;
    for block in order {
        if let (Some(offset), Some(bits)) = (offsets.get_mut(block), bits.get(block)) {
            *offset = end;
            end += 1 << bits;
        }
    }
    (offsets, end)
}

/// A node's layout and slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePlan {
    /// How its cells are indexed.
    pub layout: Layout,
    /// Its slots; `None` where its values are public.
    pub slots: Option<SlotBlock>,
}
