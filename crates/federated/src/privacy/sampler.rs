//! Exact draws: the discrete Gaussian, and rounding without bias.
//!
//! Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (NeurIPS 2020, arXiv:2004.00010),
//! algorithms 1, 2 and 3, in integers alone: no floating-point number can leak through the low bits of the noise
//! (Mironov 2012). How long a draw takes depends on what is drawn, and not on what it is added to.

use rand_core::RngCore;

/// Largest variance: a standard deviation of 2^28 units, 16 in ones.
pub const LARGEST_VARIANCE: u64 = 1 << 56;

/// A draw from the discrete Gaussian of an integer variance, at most [`LARGEST_VARIANCE`]: the integer x with
/// probability proportional to exp(−x² / 2 variance). Zero for a variance of zero.
pub fn discrete_gaussian(variance: u64, random: &mut dyn RngCore) -> i64 {
    let variance = variance.min(LARGEST_VARIANCE);
    if variance == 0 {
        return 0;
    }
    let scale = variance.isqrt() + 1;
    loop {
        let draw = discrete_laplace(scale, random);
        // exp(−(|y| − variance / scale)² / (2 variance)) as a fraction: (|y| scale − variance)² / (2 variance scale²).
        let distance = u128::from(draw.unsigned_abs()) * u128::from(scale);
        let Some(square) = distance.abs_diff(variance.into()).checked_pow(2) else {
            // A draw beyond 60 scales, which comes with a probability below 2^-80, and stays with one below 2^-1000.
            continue;
        };
        let denominator = 2 * u128::from(variance) * u128::from(scale) * u128::from(scale);
        if bernoulli_exp(square, denominator, random) {
            return draw;
        }
    }
}

/// A draw with probability proportional to exp(−|x| / scale); a scale of at most 2^28 + 1.
fn discrete_laplace(scale: u64, random: &mut dyn RngCore) -> i64 {
    loop {
        let low = below(scale.into(), random);
        if !bernoulli_exp(low, scale.into(), random) {
            continue;
        }
        let mut high = 0_u64;
        while bernoulli_exp(1, 1, random) {
            high += 1;
        }
        let magnitude = low as i64 + (scale * high) as i64;
        let negative = random.next_u32() & 1 == 1;
        if !(negative && magnitude == 0) {
            return if negative { -magnitude } else { magnitude };
        }
    }
}

/// True with probability exp(−a / b), for b of at most 2^114 and any a.
fn bernoulli_exp(a: u128, b: u128, random: &mut dyn RngCore) -> bool {
    for _ in 0..a / b {
        if !bernoulli_exp_of_part(1, 1, random) {
            return false;
        }
    }
    bernoulli_exp_of_part(a % b, b, random)
}

/// The same for a at most b: von Neumann's series.
fn bernoulli_exp_of_part(a: u128, b: u128, random: &mut dyn RngCore) -> bool {
    let mut k = 1;
    // The chance to get as far as k is below 1 / k!, so b · k stays far below 2^128.
    while below(b * k, random) < a {
        k += 1;
    }
    k % 2 == 1
}

/// A uniform integer below a bound above zero.
fn below(bound: u128, random: &mut dyn RngCore) -> u128 {
    if bound == 1 {
        return 0;
    }
    let bits = 128 - (bound - 1).leading_zeros();
    loop {
        let draw = if bits <= 64 {
            u128::from(random.next_u64() >> (64 - bits))
        } else {
            (u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())) >> (128 - bits)
        };
        if draw < bound {
            return draw;
        }
    }
}

/// A number rounded up or down so that its expectation is the number itself, to 2^-53; a finite one below 2^52.
pub fn round_without_bias(value: f64, random: &mut dyn RngCore) -> i64 {
    let low = value.floor();
    let toss = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    low as i64 + i64::from(toss < value - low)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;

    fn draws(variance: u64, count: usize) -> Vec<i64> {
        let mut random = ChaCha20Rng::seed_from_u64(variance);
        (0..count)
            .map(|_| discrete_gaussian(variance, &mut random))
            .collect()
    }

    /// Pearson's statistic against the exact probabilities; 30 cells at most have a value beyond 73 once in 100,000.
    #[test]
    fn draws_have_the_probabilities_of_the_definition() {
        for variance in [1_u64, 4, 20] {
            let count = 40_000;
            let reach = 3 * variance.isqrt() as i64 + 1;
            let weight = |x: i64| libm::exp(-((x * x) as f64) / (2.0 * variance as f64));
            let total: f64 = (-200..=200).map(weight).sum();
            let draws = draws(variance, count);
            let statistic: f64 = (-reach..=reach)
                .map(|x| {
                    let expected = weight(x) / total * count as f64;
                    let seen = draws.iter().filter(|draw| **draw == x).count() as f64;
                    (seen - expected).powi(2) / expected
                })
                .sum();
            assert!(statistic < 73.0, "variance {variance}: {statistic}");
        }
    }

    #[test]
    fn large_variances_are_met_too() {
        for variance in [1_u64 << 40, LARGEST_VARIANCE] {
            let count = 4_000;
            let draws = draws(variance, count);
            let mean = draws.iter().map(|draw| *draw as f64).sum::<f64>() / count as f64;
            let square = draws.iter().map(|draw| (*draw as f64).powi(2)).sum::<f64>() / count as f64;
            let deviation = (variance as f64).sqrt();
            assert!(mean.abs() < 5.0 * deviation / (count as f64).sqrt());
            assert!(
                (square / variance as f64 - 1.0).abs() < 0.15,
                "{}",
                square / variance as f64
            );
        }
        assert_eq!(draws(0, 3), [0; 3]);
    }

    #[test]
    fn rounding_keeps_the_expectation_and_integers() {
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let mean = |value: f64, random: &mut ChaCha20Rng| {
            (0..40_000)
                .map(|_| round_without_bias(value, random) as f64)
                .sum::<f64>()
                / 40_000.0
        };
        for value in [0.25, -0.75, 3.5, -1e6 + 0.1] {
            assert!((mean(value, &mut random) - value).abs() < 0.015, "{value}");
        }
        assert_eq!(round_without_bias(-3.0, &mut random), -3);
    }

    #[test]
    fn seeds_repeat_and_the_stream_is_pinned() {
        assert_eq!(draws(1 << 20, 6), draws(1 << 20, 6));
        assert_eq!(draws(1 << 20, 6), [92, 157, -348, 1235, 1591, 512]);
    }
}
