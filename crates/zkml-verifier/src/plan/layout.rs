//! Where the cells of a tensor are in a vector whose sides are powers of two.

use counterweight_primitives::architecture::Shape;

use crate::field::Fr;
use crate::multilinear::{bits_for, truncated_eq, truncated_sum};

/// One dimension of a padded block: `size` cells, indexed by `bits` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimension {
    /// Cells that hold something.
    pub size: usize,
    /// Bits of the index, at least `log2(size)`.
    pub bits: usize,
}

impl Dimension {
    /// With the fewest bits.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            size,
            bits: bits_for(size),
        }
    }
}

/// How a tensor's cells are indexed: a product of dimensions, the first most significant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    shape: Shape,
    is_spatial: bool,
    dimensions: Vec<Dimension>,
}

impl Layout {
    /// Channel, row, column. What windows slide over.
    #[must_use]
    pub fn spatial(shape: Shape) -> Self {
        let dimensions = [shape.channels(), shape.height(), shape.width()]
            .map(Dimension::new)
            .to_vec();
        Self {
            shape,
            is_spatial: true,
            dimensions,
        }
    }

    /// Channel, position `row * width + column`. Pads less.
    #[must_use]
    pub fn flat(shape: Shape) -> Self {
        let dimensions = [shape.channels(), shape.plane()].map(Dimension::new).to_vec();
        Self {
            shape,
            is_spatial: false,
            dimensions,
        }
    }

    /// The tensor's shape.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether rows and columns have bits of their own.
    #[must_use]
    pub fn is_spatial(&self) -> bool {
        self.is_spatial
    }

    /// The dimensions, most significant first.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// Bits of an index.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.dimensions.iter().map(|dimension| dimension.bits).sum()
    }

    /// The index of an element given by its channel, row and column.
    #[must_use]
    pub fn cell(&self, channel: usize, row: usize, column: usize) -> usize {
        let inner = match self.dimensions.as_slice() {
            [_, rows, columns] => (rows.bits + columns.bits, (row << columns.bits) | column),
            [_, positions] => (positions.bits, row * self.shape.width() + column),
            _ => (0, 0),
        };
        (channel << inner.0) | inner.1
    }

    /// The index of each element, in the tensor's row-major order.
    pub fn cells(&self) -> impl Iterator<Item = usize> + '_ {
        let shape = self.shape;
        (0..shape.channels()).flat_map(move |channel| {
            (0..shape.height())
                .flat_map(move |row| (0..shape.width()).map(move |column| self.cell(channel, row, column)))
        })
    }

    /// `Σ eq(left, cell) eq(right, cell)` over the tensor's cells.
    #[must_use]
    pub fn truncated_eq(&self, left: &[Fr], right: &[Fr]) -> Fr {
        truncated_eq_over(&self.dimensions, left, right)
    }

    /// `Σ eq(point, cell)` over the tensor's cells.
    #[must_use]
    pub fn truncated_sum(&self, point: &[Fr]) -> Fr {
        split(&self.dimensions, point)
            .map(|(dimension, part)| truncated_sum(dimension.size, part))
            .product()
    }
}

/// `Σ eq(left, cell) eq(right, cell)` over the product of dimensions.
pub(crate) fn truncated_eq_over(dimensions: &[Dimension], left: &[Fr], right: &[Fr]) -> Fr {
    split(dimensions, left)
        .zip(split(dimensions, right))
        .map(|((dimension, left), (_, right))| truncated_eq(dimension.size, left, right))
        .product()
}

/// A point cut into the parts of each dimension.
pub(crate) fn split<'a>(
    dimensions: &'a [Dimension],
    mut point: &'a [Fr],
) -> impl Iterator<Item = (Dimension, &'a [Fr])> {
    dimensions.iter().map(move |dimension| {
        let (part, rest) = point.split_at_checked(dimension.bits).unwrap_or((point, &[]));
        point = rest;
        (*dimension, part)
    })
}
