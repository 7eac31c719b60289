//! Multiples of a fixed set of points by powers of two.

use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::G1Affine;
use counterweight_zkml_verifier::curve::{Curve as _, G1, Group as _};
use counterweight_zkml_verifier::field::PrimeField as _;
use rayon::prelude::*;

/// Bytes that a table may take in memory.
const MAX_BYTES: usize = 1 << 26;

/// `2^(spacing · column) · P_i`, column by column.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    length: usize,
    spacing: usize,
    points: Vec<G1Affine>,
}

/// Scalars and a carry: what all columns together must cover.
const BITS: usize = Fr::NUM_BITS as usize + 1;

/// The distance between columns for this many points: the widest window that pays, then wider while the table is
/// too large.
pub(crate) fn spacing(length: usize) -> usize {
    let mut spacing: usize = match length {
        0..256 => 8,
        256..8192 => 12,
        8192..32768 => 14,
        _ => 16,
    };
    while BITS.div_ceil(spacing) * length * size_of::<G1Affine>() > MAX_BYTES && spacing < 256 {
        spacing *= 2;
    }
    spacing
}

/// How many columns a table of points with this distance has.
pub(crate) fn columns(spacing: usize) -> usize {
    BITS.div_ceil(spacing)
}

impl Table {
    /// The table of these points.
    pub(crate) fn new(points: &[G1Affine]) -> Self {
        let (length, spacing) = (points.len(), spacing(points.len()));
        let mut table = points.to_vec();
        let mut column = points.to_vec();
        for _ in 1..columns(spacing) {
            column.par_chunks_mut(256).for_each(|chunk| {
                let doubled: Vec<G1> = chunk
                    .iter()
                    .map(|point| (0..spacing).fold(G1::from(*point), |multiple, _| multiple.double()))
                    .collect();
                G1::batch_normalize(&doubled, chunk);
            });
            table.extend_from_slice(&column);
        }
        Self {
            length,
            spacing,
            points: table,
        }
    }

    /// The table with these points in all its columns, or `None` where their number is wrong.
    pub(crate) fn from_parts(length: usize, points: Vec<G1Affine>) -> Option<Self> {
        let spacing = spacing(length);
        (points.len() == length * columns(spacing)).then_some(Self {
            length,
            spacing,
            points,
        })
    }

    /// How many points it has multiples of.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn spacing(&self) -> usize {
        self.spacing
    }

    /// All columns, one after the other: the first is the points themselves.
    pub(crate) fn points(&self) -> &[G1Affine] {
        &self.points
    }

    pub(super) fn index(&self, column: usize, point: usize) -> usize {
        column * self.length + point
    }
}
