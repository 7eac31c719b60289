//! Ranks of each coordinate's values, found by a sorting network over many columns at once.
//!
//! The network is Batcher's merge exchange (Knuth, The Art of Computer Programming 3, algorithm 5.2.2M), less the
//! comparisons that no wanted rank depends on. It compares the same places whatever the values, so columns go through
//! it side by side in vector registers: no branch and no transposed copy of the rows.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::Rows;
use crate::aggregate::WeightedSum;

/// Columns side by side: 100 rows of them stay in the first cache of a core.
const COLUMNS: usize = 64;
/// Columns of a task.
const SPAN: usize = 64 * COLUMNS;

/// Per coordinate the sum of the values with these ranks, counted from 0 at the lowest, over their number.
pub(super) fn sum_of_ranks(rows: &Rows<'_>, ranks: Range<usize>) -> WeightedSum {
    let vectors = rows.vectors();
    let network = network(vectors.len(), &ranks);
    let mut sums = vec![0_i64; rows.coordinates()];
    sums.par_chunks_mut(SPAN).enumerate().for_each(|(span, sums)| {
        let mut block = vec![[0_i32; COLUMNS]; vectors.len()];
        for (at, sums) in sums.chunks_mut(COLUMNS).enumerate() {
            let start = span * SPAN + at * COLUMNS;
            for (values, vector) in block.iter_mut().zip(&vectors) {
                values[..sums.len()].copy_from_slice(&vector[start..start + sums.len()]);
            }
            Arch::new().dispatch(Sort {
                block: &mut block,
                network: &network,
            });
            for values in &block[ranks.clone()] {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += i64::from(*value);
                }
            }
        }
    });
    WeightedSum {
        sums,
        examples: ranks.len() as u64,
    }
}

/// Pairs of places to compare and exchange so that the wanted ranks are in their places.
fn network(count: usize, wanted: &Range<usize>) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let top = count.next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            pairs.extend(
                (0..count.saturating_sub(d))
                    .filter(|i| i & p == r)
                    .map(|i| (i, i + d)),
            );
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
    let mut live: Vec<bool> = (0..count).map(|place| wanted.contains(&place)).collect();
    let mut kept: Vec<_> = pairs
        .into_iter()
        .rev()
        .filter(|(low, high)| {
            let needed = live[*low] || live[*high];
            if needed {
                (live[*low], live[*high]) = (true, true);
            }
            needed
        })
        .collect();
    kept.reverse();
    kept
}

struct Sort<'a> {
    block: &'a mut [[i32; COLUMNS]],
    network: &'a [(usize, usize)],
}

impl NullaryFnOnce for Sort<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for &(low, high) in self.network {
            let (before, from) = self.block.split_at_mut(high);
            let (lower, higher) = (&mut before[low], &mut from[0]);
            for (a, b) in lower.iter_mut().zip(higher) {
                (*a, *b) = ((*a).min(*b), (*a).max(*b));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the 0-1 principle a network that sorts all zeros and ones sorts everything.
    #[test]
    fn the_network_puts_every_wanted_rank_in_its_place() {
        for count in 1..=12_usize {
            for low in 0..count {
                for high in low + 1..=count {
                    let network = network(count, &(low..high));
                    for bits in 0_u32..1 << count {
                        let mut values: Vec<bool> = (0..count).map(|at| bits >> at & 1 == 1).collect();
                        let mut sorted = values.clone();
                        sorted.sort_unstable();
                        for &(a, b) in &network {
                            (values[a], values[b]) = (values[a] & values[b], values[a] | values[b]);
                        }
                        assert_eq!(
                            values[low..high],
                            sorted[low..high],
                            "{count} {low}..{high} {bits:b}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_median_needs_fewer_comparisons_than_sorting() {
        assert!(network(100, &(49..51)).len() < network(100, &(0..100)).len());
    }
}
