//! Where a weighted layer's weights are, and what they meet.
//!
//! A layer's block is indexed by output channel, then by `j`: the cells of the input it looks at, then, in cells that
//! are otherwise padding, the digits of its bias (which meet constants) and one cell that stays zero (which meets a
//! mask, so that the extension of a hidden input at one point says nothing).

use counterweight_primitives::architecture::{Bias, Layer, Padding, Window};

use super::layout::{Dimension, Layout, split, truncated_eq_over};
use super::slots::enter;
use crate::field::{Field, Fr};
use crate::multilinear::{bits_for, eq_index, truncated_eq};

/// One layer's part of the weights vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightBlock {
    /// Index of the layer, counted from 0 over all layers.
    pub layer: usize,
    /// Node it reads.
    pub input: usize,
    /// Output channels.
    pub outputs: Dimension,
    /// The cells an output looks at.
    pub joint: Joint,
    /// Index of the first cell, a multiple of the block's padded size.
    pub offset: usize,
    /// The window it slides, for a convolution.
    pub window: Option<(Window, Padding)>,
    /// Cell of its input mask in the mask segment, where its input is hidden.
    pub mask_cell: Option<usize>,
}

/// The index `j` of a weights block: dimensions of the input, then bias and mask cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    /// Bits above those of the dimensions; zero for input cells.
    pub extra_bits: usize,
    /// The input's dimensions, or channel and window.
    pub dimensions: Vec<Dimension>,
    /// Index of the first bias digit; the mask cell follows the last.
    pub base: usize,
    /// The bias's form.
    pub bias: Bias,
}

impl Joint {
    /// Places bias and mask cells: behind the innermost dimension if there is room, otherwise in channels of their own.
    fn new(dimensions: Vec<Dimension>, bias: Bias) -> Self {
        let cells = usize::from(bias.digits) + 1;
        if let Some(inner) = dimensions.last()
            && (1 << inner.bits) - inner.size >= cells
        {
            let base = inner.size;
            return Self {
                extra_bits: 0,
                dimensions,
                base,
                bias,
            };
        }
        let (channels, channel_bits) = dimensions
            .first()
            .map_or((1, 0), |first| (first.size, first.bits));
        let within: usize = dimensions.iter().skip(1).map(|dimension| dimension.bits).sum();
        let base = channels << within;
        let extra_bits = bits_for(base + cells).saturating_sub(channel_bits + within);
        Self {
            extra_bits,
            dimensions,
            base,
            bias,
        }
    }

    /// What a layer looks at; `None` for a layer without weights.
    pub(crate) fn of(layer: &Layer, input: &Layout) -> Option<Self> {
        match layer {
            Layer::Dense { bias, .. } => Some(Self::new(input.dimensions().to_vec(), *bias)),
            Layer::Conv { bias, window, .. } => {
                let sides = [
                    input.shape().channels(),
                    usize::from(window.height),
                    usize::from(window.width),
                ];
                Some(Self::new(sides.map(Dimension::new).to_vec(), *bias))
            }
            _ => None,
        }
    }

    /// Bits of `j`.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.extra_bits
            + self
                .dimensions
                .iter()
                .map(|dimension| dimension.bits)
                .sum::<usize>()
    }

    /// The digits of the bias.
    #[must_use]
    pub fn digits(&self) -> usize {
        usize::from(self.bias.digits)
    }

    /// The cell that meets the mask.
    #[must_use]
    pub fn mask_cell(&self) -> usize {
        self.base + self.digits()
    }

    /// The cell of input cell `(first, …)`, one index for each dimension.
    #[must_use]
    pub fn cell(&self, indices: &[usize]) -> usize {
        self.dimensions
            .iter()
            .zip(indices)
            .fold(0, |cell, (dimension, index)| (cell << dimension.bits) | index)
    }

    /// Constant that digit `digit` of the bias meets.
    #[must_use]
    pub fn constant(&self, digit: usize) -> Fr {
        Fr::from(2).pow([u64::from(self.bias.shift) + 8 * digit as u64])
    }

    /// `point` cut into `eq(extra bits, 0)` and the parts of the dimensions.
    pub(crate) fn enter<'a>(&self, point: &'a [Fr]) -> (Fr, &'a [Fr]) {
        enter(0, self.bits() - self.extra_bits, point)
    }

    /// The parts of `point` that belong to the dimensions, with `eq(extra bits, 0)`.
    pub(crate) fn split<'a>(&'a self, point: &'a [Fr]) -> (Fr, Vec<&'a [Fr]>) {
        let (factor, within) = self.enter(point);
        (
            factor,
            split(&self.dimensions, within).map(|(_, part)| part).collect(),
        )
    }

    /// `Σ eq(left, j) eq(right, j)` over input cells and bias cells.
    #[must_use]
    pub fn valid_eq(&self, left: &[Fr], right: &[Fr]) -> Fr {
        let ((left_place, left_within), (right_place, right_within)) = (self.enter(left), self.enter(right));
        let cells = left_place * right_place * truncated_eq_over(&self.dimensions, left_within, right_within);
        let digits = (0..self.digits())
            .map(|digit| eq_index(left, self.base + digit) * eq_index(right, self.base + digit))
            .sum::<Fr>();
        cells + digits
    }

    /// `Σ_digits eq(point, cell) · constant`: what the bias cells contribute to the input's extension.
    #[must_use]
    pub fn bias_at(&self, point: &[Fr]) -> Fr {
        (0..self.digits())
            .map(|digit| eq_index(point, self.base + digit) * self.constant(digit))
            .sum()
    }
}

impl WeightBlock {
    /// Bits of an index within the block.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.outputs.bits + self.joint.bits()
    }

    /// The functional `eq(t, i) [i < outputs] · eq(r, j) [j valid]` extended to `point` over the whole weights vector.
    #[must_use]
    pub fn functional_at(&self, t: &[Fr], r: &[Fr], point: &[Fr]) -> Fr {
        let (place, within) = enter(self.offset, self.bits(), point);
        if bool::from(place.is_zero()) {
            return Fr::ZERO;
        }
        let (output, joint) = within
            .split_at_checked(self.outputs.bits)
            .unwrap_or((&[], within));
        place * truncated_eq(self.outputs.size, t, output) * self.joint.valid_eq(r, joint)
    }
}
