//! Univariate polynomials as slices of coefficients, constant first.

use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::field::{Field, PrimeField};
use halo2curves::fft::best_fft;

/// The value at `x`.
pub(super) fn evaluate(coefficients: &[Fr], x: &Fr) -> Fr {
    coefficients
        .iter()
        .rev()
        .fold(Fr::ZERO, |value, coefficient| value * x + coefficient)
}

/// The quotient by `X - root`; the remainder, the value at `root`, is dropped.
pub(super) fn divide_by_linear(mut coefficients: Vec<Fr>, root: &Fr) -> Vec<Fr> {
    let mut carried = Fr::ZERO;
    for coefficient in coefficients.iter_mut().rev() {
        let quotient = carried;
        carried = *coefficient + carried * root;
        *coefficient = quotient;
    }
    coefficients.pop();
    coefficients
}

/// The product with `X - root`.
pub(super) fn multiply_by_linear(coefficients: &[Fr], root: &Fr) -> Vec<Fr> {
    let mut product = Vec::with_capacity(coefficients.len() + 1);
    let mut previous = Fr::ZERO;
    for coefficient in coefficients {
        product.push(previous - *coefficient * root);
        previous = *coefficient;
    }
    product.push(previous);
    product
}

/// Adds `weight · other` to `sum`, which grows where it is shorter.
pub(super) fn add_scaled(sum: &mut Vec<Fr>, other: &[Fr], weight: &Fr) {
    if sum.len() < other.len() {
        sum.resize(other.len(), Fr::ZERO);
    }
    for (entry, addend) in sum.iter_mut().zip(other) {
        *entry += *addend * weight;
    }
}

/// `eq(i, point)` for each `i`, the point's first coordinate as the most significant bit of `i`.
pub(super) fn equality_row(point: &[Fr]) -> Vec<Fr> {
    let mut row = vec![Fr::ONE];
    for coordinate in point {
        row = row
            .iter()
            .flat_map(|entry| {
                let high = *entry * coordinate;
                [*entry - high, high]
            })
            .collect();
    }
    row
}

/// The sum of products of entries at the same place.
pub(super) fn inner_product(left: &[Fr], right: &[Fr]) -> Fr {
    left.iter().zip(right).map(|(a, b)| *a * b).sum()
}

/// `Σ_t weight_t · left_t(X) · X^(b-1) right_t(1/X)`, all factors with fewer than `b = 2^log_length + 1` coefficients: the
/// coefficient of `X^(b-1+j)` is the sum over `i` of `left_(i+j) right_i`.
pub(super) fn weighted_correlation(terms: &[(Fr, &[Fr], &[Fr])], log_length: u32) -> Vec<Fr> {
    let log_size = log_length + 1;
    let size = 1_usize << log_size;
    let half = size / 2;
    let root = (log_size..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square());
    let transform = |values: &mut Vec<Fr>| {
        values.resize(size, Fr::ZERO);
        best_fft(values, root, log_size);
    };
    let mut sum = vec![Fr::ZERO; size];
    for (weight, left, right) in terms {
        let mut left = left.to_vec();
        transform(&mut left);
        let mut reversed = vec![Fr::ZERO; half];
        for (entry, source) in reversed.iter_mut().rev().zip(*right) {
            *entry = *source;
        }
        transform(&mut reversed);
        for ((sum, left), right) in sum.iter_mut().zip(left).zip(reversed) {
            *sum += left * right * weight;
        }
    }
    let inverse = |value: Fr| {
        value
            .invert()
            .expect("a root of unity and a power of two are not zero")
    };
    best_fft(&mut sum, inverse(root), log_size);
    let scale = inverse(Fr::from(size as u64));
    sum.iter_mut().for_each(|entry| *entry *= scale);
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scalars(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Fr>> {
        proptest::collection::vec(any::<[u64; 4]>().prop_map(Fr::from_raw), length)
    }

    proptest! {
        #[test]
        fn dividing_undoes_multiplying(coefficients in scalars(1..40), root in any::<[u64; 4]>()) {
            let root = Fr::from_raw(root);
            let mut product = multiply_by_linear(&coefficients, &root);
            prop_assert_eq!(evaluate(&product, &root), Fr::ZERO);
            product[0] += Fr::from(9);
            prop_assert_eq!(divide_by_linear(product, &root), coefficients);
        }

        #[test]
        fn correlation_by_transforms_is_the_plain_sum(values in scalars(32..33), weight in any::<u64>()) {
            let (left, right) = values.split_at(16);
            let weight = Fr::from(weight);
            let sum = weighted_correlation(&[(weight, left, right), (Fr::ONE, right, right)], 4);
            for shift in 0..16 {
                let plain = |left: &[Fr], right: &[Fr]| inner_product(&left[shift..], right);
                prop_assert_eq!(sum[15 + shift], weight * plain(left, right) + plain(right, right));
            }
        }
    }
}
