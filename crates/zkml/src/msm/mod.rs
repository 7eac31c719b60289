//! Sums of many multiples of the set-up's points.
//!
//! Pippenger's buckets, with three things that a fixed set of points allows or a commitment wants:
//!
//! - **A table** of `2^(spacing · j) · P_i`: all windows of a scalar fall into one set of buckets, so windows can be wide and
//!   nothing is doubled ([`table`]).
//! - **Affine additions in batches**, six field multiplications each where the complete projective formulas take
//!   eleven ([`groups`]). Buckets are weighted by row and column sums, so that this step adds in batches too.
//! - **Small numbers** (bytes to 32 bits) fall into buckets by magnitude, few windows or one; zeros cost nothing.
//!
//! Time and memory access depend on the scalars: a prover whose neighbours can measure its caches is out of scope.

mod groups;
mod table;

use counterweight_zkml_verifier::curve::{Curve as _, G1, Group as _};
use counterweight_zkml_verifier::field::PrimeField as _;
use counterweight_zkml_verifier::{Fr, G1Affine};

use groups::{Entry, sum_groups};
pub(crate) use table::Table;

/// Entries that are put into buckets at a time: bounds memory, at 32 bytes each and 64 for each second one.
const ENTRIES_AT_ONCE: usize = 1 << 18;

/// `Σ scalar_i · P_i` over the first points of the table.
///
/// # Panics
///
/// Where there are more scalars than points.
pub(crate) fn large(table: &Table, scalars: &[Fr]) -> G1 {
    assert!(scalars.len() <= table.length(), "a row longer than the set-up's");
    let window = best_window(table, scalars.len());
    let windows = Fr::NUM_BITS as usize / window + 1;
    let mut digits = vec![0_i16; windows * scalars.len()];
    for (index, scalar) in scalars.iter().enumerate() {
        let mut limbs = [0_u64; 5];
        for (limb, bytes) in limbs.iter_mut().zip(scalar.to_repr().as_ref().as_chunks::<8>().0) {
            *limb = u64::from_le_bytes(*bytes);
        }
        let mut carry = 0;
        for (number, place) in digits.iter_mut().skip(index).step_by(scalars.len()).enumerate() {
            let (limb, shift) = (number * window / 64, number * window % 64);
            let bits = limbs[limb] >> shift | limbs[limb + 1].checked_shl(64 - shift as u32).unwrap_or(0);
            let digit = (bits & ((1 << window) - 1)) as i32 + carry;
            carry = i32::from(digit >= 1 << (window - 1));
            // From -2^(w-1) to 2^(w-1) - 1, and w is at most 16.
            *place = (digit - (carry << window)) as i16;
        }
    }
    let passes = table.spacing() / window;
    let chosen: Vec<Vec<(usize, &[i16])>> = (0..passes)
        .map(|pass| {
            let windows = digits
                .chunks_exact(scalars.len().max(1))
                .enumerate()
                .skip(pass)
                .step_by(passes);
            windows
                .map(|(number, digits)| (number / passes, digits))
                .collect()
        })
        .collect();
    windows_sum(table, window, 1 << (window - 1), &chosen, |digit| {
        i32::from(*digit)
    })
}

/// `Σ number_i · P_i` over the first points of the table, for numbers below 2^32 in magnitude.
///
/// # Panics
///
/// Where there are more numbers than points, or one is too large.
pub(crate) fn small(table: &Table, numbers: &[i64]) -> G1 {
    assert!(numbers.len() <= table.length(), "a row longer than the set-up's");
    let largest = numbers
        .iter()
        .map(|number| number.unsigned_abs())
        .max()
        .unwrap_or(0);
    assert!(largest < 1 << 32, "not a small number");
    let bits = (u64::BITS - largest.leading_zeros()) as usize;
    if bits == 0 {
        return G1::identity();
    }
    let used = numbers.iter().filter(|number| **number != 0).count();
    let cost = |window: usize| bits.div_ceil(window) * (used + (4 << window));
    let window = (1..=16).min_by_key(|window| cost(*window)).unwrap_or(8);
    let mask = (1_i64 << window) - 1;
    let digits: Vec<Vec<i32>> = (0..bits.div_ceil(window))
        .map(|number| {
            let digit = |value: &i64| (((value.abs() >> (number * window)) & mask) * value.signum()) as i32;
            numbers.iter().map(digit).collect()
        })
        .collect();
    let chosen: Vec<Vec<(usize, &[i32])>> =
        digits.iter().map(|digits| vec![(0, digits.as_slice())]).collect();
    windows_sum(table, window, (1 << window) - 1, &chosen, |digit| *digit)
}

/// `scalar_i · point` for each scalar.
pub(crate) fn multiples(point: &G1Affine, scalars: &[Fr]) -> Vec<G1Affine> {
    // All multiples of the point by a byte at each of its 32 places: a multiple is the sum of at most 32 of them.
    let mut multiples = Vec::with_capacity(32 * 256);
    let mut base = G1::from(*point);
    for _ in 0..32 {
        let mut multiple = G1::identity();
        for _ in 0..256 {
            multiples.push(multiple);
            multiple += base;
        }
        base = multiple;
    }
    let mut table = vec![G1Affine::default(); multiples.len()];
    G1::batch_normalize(&multiples, &mut table);
    scalars
        .chunks(ENTRIES_AT_ONCE / 32)
        .flat_map(|scalars| {
            let mut entries = Vec::with_capacity(32 * scalars.len());
            let mut ends = Vec::with_capacity(scalars.len());
            for scalar in scalars {
                let repr = scalar.to_repr();
                let digits = repr.as_ref().iter().enumerate().filter(|(_, digit)| **digit != 0);
                entries.extend(
                    digits.map(|(place, digit)| Entry::new(place * 256 + usize::from(*digit), false)),
                );
                ends.push(entries.len() as u32);
            }
            sum_groups(&table, &entries, &ends)
        })
        .collect()
}

/// The window, a divisor of the table's spacing, that takes the fewest additions for this many scalars.
fn best_window(table: &Table, scalars: usize) -> usize {
    let spacing = table.spacing();
    let additions = |window: usize| {
        let windows = Fr::NUM_BITS as usize / window + 1;
        // Two additions for each bucket, and a few hundred that are not batched for each pass.
        windows * scalars + spacing / window * ((2 << (window - 1)) + 4 * (1 << window.div_ceil(2)))
    };
    (2..=16.min(spacing))
        .filter(|window| spacing.is_multiple_of(*window))
        .min_by_key(|window| additions(*window))
        .unwrap_or(2)
}

/// `Σ_pass 2^(window · pass) Σ digit · table[column][i]`, digits of magnitude up to `buckets`.
fn windows_sum<D>(
    table: &Table,
    window: usize,
    buckets: usize,
    passes: &[Vec<(usize, &[D])>],
    value: impl Fn(&D) -> i32,
) -> G1 {
    let entries_of = |pass: &[(usize, &[D])]| pass.iter().map(|(_, digits)| digits.len()).sum::<usize>();
    let largest = passes
        .iter()
        .map(|pass| entries_of(pass))
        .max()
        .unwrap_or(0)
        .max(1);
    let at_once = (ENTRIES_AT_ONCE / largest).max(1);
    let mut sums = Vec::with_capacity(passes.len());
    for passes in passes.chunks(at_once) {
        let mut ends = vec![0_u32; passes.len() * buckets + 1];
        let digits = || {
            passes.iter().enumerate().flat_map(|(pass, columns)| {
                columns
                    .iter()
                    .map(move |(column, digits)| (pass * buckets, *column, *digits))
            })
        };
        for (base, _, digits) in digits() {
            for digit in digits.iter().map(&value).filter(|digit| *digit != 0) {
                ends[base + digit.unsigned_abs() as usize] += 1;
            }
        }
        for index in 1..ends.len() {
            ends[index] += ends[index - 1];
        }
        // Entry by entry, `ends[bucket]` moves from the start of the bucket to its end.
        let mut entries = vec![Entry::default(); ends.last().map_or(0, |total| *total as usize)];
        for (base, column, digits) in digits() {
            for (index, digit) in digits
                .iter()
                .map(&value)
                .enumerate()
                .filter(|(_, digit)| *digit != 0)
            {
                let end = &mut ends[base + digit.unsigned_abs() as usize - 1];
                entries[*end as usize] = Entry::new(table.index(column, index), digit < 0);
                *end += 1;
            }
        }
        ends.pop();
        let bucket_sums = sum_groups(table.points(), &entries, &ends);
        sums.extend(bucket_sums.chunks(buckets).map(weighted_sum));
    }
    sums.iter().rev().fold(G1::identity(), |sum, pass| {
        (0..if bool::from(sum.is_identity()) { 0 } else { window }).fold(sum, |sum, _| sum.double()) + pass
    })
}

/// `Σ_k (k + 1) · points_k`. The weight of place `w i + j` is split into `w i` and `j + 1`.
fn weighted_sum(points: &[G1Affine]) -> G1 {
    if points.len() <= 64 {
        return plain_weighted_sum(points, 1);
    }
    let width = 1 << points.len().ilog2().div_ceil(2);
    let height = points.len().div_ceil(width);
    let mut entries = Vec::with_capacity(2 * points.len());
    let mut ends = Vec::with_capacity(width + height);
    for row in 0..height {
        entries
            .extend((row * width..points.len().min((row + 1) * width)).map(|place| Entry::new(place, false)));
        ends.push(entries.len() as u32);
    }
    for column in 0..width {
        entries.extend(
            (column..points.len())
                .step_by(width)
                .map(|place| Entry::new(place, false)),
        );
        ends.push(entries.len() as u32);
    }
    let sums = sum_groups(points, &entries, &ends);
    let (rows, columns) = sums.split_at(height);
    let rows = plain_weighted_sum(rows, 0);
    (0..width.ilog2()).fold(rows, |sum, _| sum.double()) + plain_weighted_sum(columns, 1)
}

/// `Σ_k (k + first) · points_k`, for `first` zero or one.
fn plain_weighted_sum(points: &[G1Affine], first: usize) -> G1 {
    let (mut running, mut sum) = (G1::identity(), G1::identity());
    for (index, point) in points.iter().enumerate().rev() {
        running += point;
        if index + first > 0 {
            sum += running;
        }
    }
    sum
}

#[cfg(test)]
mod tests;
