//! Loops over rows of numbers that a compiler turns into vector instructions, with one order of additions.

/// Partial sums of a dot product. Eight fit the vectors of today's machines; the order of additions is the same on a
/// machine with narrower or wider ones.
const LANES: usize = 8;

/// Dot product: lane k sums the products at k, k + 8, k + 16 …; then the lanes are added as a tree; then what is
/// left over the last eighth, in order.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    let mut lanes = [0.0_f32; LANES];
    for (a, b) in left.iter().zip(right) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    let sum = ((a + e) + (c + g)) + ((b + f) + (d + h));
    left_rest
        .iter()
        .zip(right_rest)
        .fold(sum, |sum, (a, b)| sum + a * b)
}

/// `target += factor * source`.
pub(super) fn add_scaled(target: &mut [f32], factor: f32, source: &[f32]) {
    for (t, s) in target.iter_mut().zip(source) {
        *t += factor * s;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_close_to_the_plain_sum(pairs in proptest::collection::vec((-10.0_f32..10.0, -10.0_f32..10.0), 0..70)) {
            let (left, right): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
            let plain: f64 = pairs.iter().map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            prop_assert!((f64::from(dot(&left, &right)) - plain).abs() < 1e-2);
        }
    }
}
