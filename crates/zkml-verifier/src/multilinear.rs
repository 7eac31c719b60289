//! Multilinear extensions the verifier evaluates itself: equality, equality below a size, and their sums.
//!
//! A point `(x_1, …, x_b)` is read most significant bit first: the corner with bits `i_1 … i_b` is index `Σ i_k 2^(b-k)`.

use crate::field::{Field, Fr};

/// The least `b` with `2^b >= size`: bits that index `size` cells.
#[must_use]
pub fn bits_for(size: usize) -> usize {
    size.next_power_of_two().trailing_zeros() as usize
}

/// Whether bit `place` of `bits`, counted from the most significant, is set in `index`.
fn bit(index: usize, bits: usize, place: usize) -> bool {
    (index >> (bits - 1 - place)) & 1 == 1
}

/// `eq(point, index)`: the weight of one corner at a point.
#[must_use]
pub fn eq_index(point: &[Fr], index: usize) -> Fr {
    let bits = point.len();
    point
        .iter()
        .enumerate()
        .map(|(place, x)| if bit(index, bits, place) { *x } else { Fr::ONE - x })
        .product()
}

/// `eq(point, i)` for every corner `i`: `2^len` values, so only for points whose length a checked plan bounds.
#[must_use]
pub fn eq_table(point: &[Fr]) -> Vec<Fr> {
    let mut table = vec![Fr::ONE];
    for x in point {
        table = table
            .iter()
            .flat_map(|weight| {
                let high = *weight * x;
                [*weight - high, high]
            })
            .collect();
    }
    table
}

/// `Σ_{i < size} eq(left, i) eq(right, i)` over points of one length `b`, `size <= 2^b`.
///
/// The corners below `size` are, for each set bit of `size`, those that share the bits above it, have a zero there and
/// anything below: a product each.
#[must_use]
pub fn truncated_eq(size: usize, left: &[Fr], right: &[Fr]) -> Fr {
    below(size, left.len(), |place| {
        let (x, y) = (
            left.get(place).copied().unwrap_or_default(),
            right.get(place).copied().unwrap_or_default(),
        );
        let both = x * y;
        [Fr::ONE - x - y + both, both]
    })
}

/// `Σ_{i < size} eq(point, i)`, `size <= 2^len`.
#[must_use]
pub fn truncated_sum(size: usize, point: &[Fr]) -> Fr {
    below(size, point.len(), |place| {
        let x = point.get(place).copied().unwrap_or_default();
        [Fr::ONE - x, x]
    })
}

/// Sum over corners below `size` of the product of `factor(place)[bit]`.
fn below(size: usize, bits: usize, factor: impl Fn(usize) -> [Fr; 2]) -> Fr {
    let factors: Vec<[Fr; 2]> = (0..bits).map(factor).collect();
    if size >> bits > 0 {
        return factors.iter().map(|[zero, one]| *zero + one).product();
    }
    // From the last bit up: `sum` over the corners of the bits so far that lie below the size's bits so far, and `all` of them.
    let (mut sum, mut all) = (Fr::ZERO, Fr::ONE);
    for (place, [zero, one]) in factors.iter().enumerate().rev() {
        sum = if bit(size, bits, place) {
            *zero * all + *one * sum
        } else {
            *zero * sum
        };
        all *= *zero + one;
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn point(bits: usize) -> impl Strategy<Value = Vec<Fr>> {
        proptest::collection::vec(any::<[u64; 4]>().prop_map(Fr::from_raw), bits)
    }

    fn points() -> impl Strategy<Value = (usize, Vec<Fr>, Vec<Fr>)> {
        (0..7_usize).prop_flat_map(|bits| (0..=1_usize << bits, point(bits), point(bits)))
    }

    #[test]
    fn bits_index_every_cell() {
        assert_eq!([1, 2, 3, 4, 5, 128, 129].map(bits_for), [0, 1, 2, 2, 3, 7, 8]);
    }

    proptest! {
        #[test]
        fn sums_below_a_size_are_sums_over_its_corners((size, left, right) in points()) {
            let slow: Fr = (0..size).map(|i| eq_index(&left, i) * eq_index(&right, i)).sum();
            prop_assert_eq!(truncated_eq(size, &left, &right), slow);
            let slow: Fr = (0..size).map(|i| eq_index(&left, i)).sum();
            prop_assert_eq!(truncated_sum(size, &left), slow);
        }

        #[test]
        fn the_table_holds_each_corner((_, left, _) in points()) {
            for (index, weight) in eq_table(&left).into_iter().enumerate() {
                prop_assert_eq!(weight, eq_index(&left, index));
            }
        }
    }
}
