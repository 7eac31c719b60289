//! Squared distances between all pairs of rows, exactly.
//!
//! One pass over the rows gives the matrix of inner products, and that every distance: n²/2 products a coordinate, and
//! no row is read more than once from memory. Coordinates are shifted by 2^31 to be unsigned, since every processor
//! multiplies 32-bit unsigned numbers in vectors, and sums are taken modulo 2^64. That loses nothing: the norms of rows
//! are below 2^31 units, so every inner product is below 2^62, and its residue tells it.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

/// Columns at a time: 100 rows of them stay in the second cache of a core.
const STRIP: usize = 256;
/// Columns of a task.
const SPAN: usize = 64 * STRIP;
/// Rows and columns of products computed together, so that loaded values are used more than once.
const TILE: usize = 3;
/// What makes a coordinate unsigned.
const SHIFT: u64 = 1 << 31;

/// Squared distances between rows, in units of 2^-48.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Distances {
    rows: usize,
    squares: Vec<u128>,
}

impl Distances {
    /// Of rows of one length with norms below 2^31 units.
    pub(super) fn between(rows: &[&[i32]]) -> Self {
        let products = inner_products(rows);
        let count = rows.len();
        let product = |i: usize, j: usize| i128::from(products[i.min(j) * count + i.max(j)]);
        let square = |i, j| product(i, i) + product(j, j) - 2 * product(i, j);
        let squares = (0..count * count).map(|at| square(at / count, at % count).unsigned_abs());
        Self {
            rows: count,
            squares: squares.collect(),
        }
    }

    /// From one row to all, itself among them.
    pub(super) fn from(&self, row: usize) -> &[u128] {
        &self.squares[row * self.rows..][..self.rows]
    }

    /// Them as doubles.
    pub(super) fn to_f64(&self) -> Vec<Vec<f64>> {
        let row = |row| self.from(row).iter().map(|square| *square as f64).collect();
        (0..self.rows).map(row).collect()
    }
}

/// The upper triangle of the matrix of inner products, row after row.
fn inner_products(rows: &[&[i32]]) -> Vec<i64> {
    let count = rows.len();
    let padded = count.next_multiple_of(TILE);
    let columns = rows.first().map_or(0, |row| row.len());
    let empty = || Partial {
        products: vec![0; padded * padded],
        sums: vec![0; padded],
        columns: 0,
    };
    let whole = (0..columns.div_ceil(SPAN))
        .into_par_iter()
        .fold(empty, |mut partial, span| {
            let start = span * SPAN;
            let end = columns.min(start + SPAN);
            let mut strip = vec![[SHIFT; STRIP]; padded];
            for start in (start..end).step_by(STRIP) {
                let end = end.min(start + STRIP);
                partial.take(rows, start, end, &mut strip);
            }
            partial
        })
        .reduce(empty, Partial::add);
    let all = (whole.columns as u64).wrapping_mul(SHIFT * SHIFT);
    let mut products = vec![0_i64; count * count];
    for i in 0..count {
        for j in i..count {
            let shifted = SHIFT.wrapping_mul(whole.sums[i].wrapping_add(whole.sums[j]));
            let residue = whole.products[i * padded + j]
                .wrapping_sub(shifted)
                .wrapping_add(all);
            products[i * count + j] = residue as i64;
        }
    }
    products
}

/// Sums over some of the columns, modulo 2^64.
struct Partial {
    /// Of products of shifted coordinates.
    products: Vec<u64>,
    /// Of shifted coordinates.
    sums: Vec<u64>,
    /// Columns so far, those that only fill up a strip among them.
    columns: usize,
}

impl Partial {
    fn take(&mut self, rows: &[&[i32]], start: usize, end: usize, strip: &mut [[u64; STRIP]]) {
        for ((shifted, row), sum) in strip.iter_mut().zip(rows).zip(&mut self.sums) {
            let (filled, rest) = shifted.split_at_mut(end - start);
            for (shifted, coordinate) in filled.iter_mut().zip(&row[start..end]) {
                *shifted = u64::from(*coordinate as u32 ^ SHIFT as u32);
            }
            // Zero, shifted.
            rest.fill(SHIFT);
            *sum = shifted.iter().fold(*sum, |sum, value| sum.wrapping_add(*value));
        }
        self.columns += STRIP;
        Arch::new().dispatch(Tiles {
            strip,
            products: &mut self.products,
        });
    }

    fn add(mut self, other: Self) -> Self {
        for (sum, part) in self.products.iter_mut().zip(&other.products) {
            *sum = sum.wrapping_add(*part);
        }
        for (sum, part) in self.sums.iter_mut().zip(&other.sums) {
            *sum = sum.wrapping_add(*part);
        }
        self.columns += other.columns;
        self
    }
}

/// Adds the products of a strip, compiled once for every kind of vector unit.
struct Tiles<'a> {
    strip: &'a [[u64; STRIP]],
    products: &'a mut [u64],
}

impl NullaryFnOnce for Tiles<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let padded = self.strip.len();
        let (blocks, _) = self.strip.as_chunks::<TILE>();
        for (i, left) in blocks.iter().enumerate() {
            for (j, right) in blocks.iter().enumerate().skip(i) {
                let sums = tile(left, right);
                for (row, sums) in (TILE * i..).zip(sums) {
                    for (column, sum) in (TILE * j..).zip(sums) {
                        let product = &mut self.products[row * padded + column];
                        *product = product.wrapping_add(sum);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn tile(left: &[[u64; STRIP]; TILE], right: &[[u64; STRIP]; TILE]) -> [[u64; TILE]; TILE] {
    // The mask changes nothing and tells the compiler that the upper halves are zero.
    const LOW: u64 = 0xffff_ffff;
    let mut sums = [[0_u64; TILE]; TILE];
    for k in 0..STRIP {
        for i in 0..TILE {
            for j in 0..TILE {
                sums[i][j] = sums[i][j].wrapping_add((left[i][k] & LOW) * (right[j][k] & LOW));
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(left: &[i32], right: &[i32]) -> u128 {
        let difference = |(a, b): (&i32, &i32)| (i128::from(*a) - i128::from(*b)).pow(2);
        left.iter().zip(right).map(difference).sum::<i128>() as u128
    }

    proptest! {
        #[test]
        fn distances_are_those_of_wider_integers(
            rows in (1_usize..700).prop_flat_map(|columns| {
                let largest = 1 << 24;
                proptest::collection::vec(proptest::collection::vec(-largest..=largest, columns), 1..9)
            }),
        ) {
            let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
            let distances = Distances::between(&rows);
            for (i, left) in rows.iter().enumerate() {
                for (j, right) in rows.iter().enumerate() {
                    prop_assert_eq!(distances.from(i)[j], plain(left, right));
                }
            }
        }
    }

    #[test]
    fn the_longest_rows_do_not_overflow() {
        let longest = 127 << 24;
        let rows: [&[i32]; 2] = [&[longest, 0], &[-longest, 0]];
        let square = (2 * u128::from(longest.unsigned_abs())).pow(2);
        assert_eq!(Distances::between(&rows).squares, [0, square, square, 0]);
    }

    #[test]
    fn more_columns_than_a_task_takes_and_any_number_of_threads() {
        let row = |seed: u32| -> Vec<i32> {
            let value = |at: u32| (at.wrapping_mul(2_654_435_761).wrapping_add(seed) as i32) >> 16;
            (0..SPAN as u32 + 777).map(value).collect()
        };
        let rows: Vec<Vec<i32>> = (0..4).map(|at| row(at * 77)).collect();
        let rows: Vec<&[i32]> = rows.iter().map(Vec::as_slice).collect();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| Distances::between(&rows))
        };
        assert_eq!(with(1), with(3));
        assert_eq!(with(1).from(1)[3], plain(rows[1], rows[3]));
    }
}
