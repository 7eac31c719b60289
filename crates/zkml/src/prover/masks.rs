//! The mask of the first sum-check: a sum of univariate polynomials, as in Xie, Zhang, Zhang, Papamanthou and Song,
//! "Libra" (CRYPTO 2019), section 4.1.

use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::plan::{ROUND_DEGREE, mask_coefficients};

use super::polynomial::{Rounds, horner, power_of_two};

/// `p(x) = p_0 + Σ_i Σ_d p_{i,d} x_i^d`.
pub(crate) struct RoundMask {
    /// `p_0` and what the rounds so far add to it.
    bound: Fr,
    /// The coefficients of each round to come, from the linear on.
    rounds: Vec<[Fr; ROUND_DEGREE]>,
    done: usize,
}

impl RoundMask {
    /// Takes its coefficients from the mask segment, `p_0` first.
    pub(crate) fn new(segment: &[Fr], rounds: usize) -> Self {
        let (constant, rest) = segment
            .split_first()
            .map_or((Fr::ZERO, segment), |(first, rest)| (*first, rest));
        let (coefficients, _) = rest.as_chunks::<ROUND_DEGREE>();
        Self {
            bound: constant,
            rounds: coefficients.iter().take(rounds).copied().collect(),
            done: 0,
        }
    }

    /// Its sum over the cube.
    pub(crate) fn sum(&self) -> Fr {
        let all: Fr = self.rounds.iter().flatten().sum();
        power_of_two(self.rounds.len()) * self.bound + power_of_two(self.rounds.len().saturating_sub(1)) * all
    }
}

impl Rounds for RoundMask {
    fn add_round(&mut self, weight: Fr, coefficients: &mut [Fr]) {
        let Some((own, later)) = self.rounds[self.done..].split_first() else {
            return;
        };
        let scale = weight * power_of_two(later.len());
        let rest: Fr = later.iter().flatten().sum();
        coefficients[0] += scale * self.bound;
        if let Some(fewer) = later.len().checked_sub(1) {
            coefficients[0] += weight * power_of_two(fewer) * rest;
        }
        for (coefficient, own) in coefficients[1..].iter_mut().zip(own) {
            *coefficient += scale * own;
        }
    }

    fn bind(&mut self, at: Fr) {
        if let Some(own) = self.rounds.get(self.done) {
            self.bound += at * horner(own, at);
            self.done += 1;
        }
    }
}

/// The functional that takes the mask segment to the mask's value at a point.
pub(crate) fn value_functional(point: &[Fr]) -> Vec<Fr> {
    let mut functional = Vec::with_capacity(mask_coefficients(point.len()));
    functional.push(Fr::ONE);
    for x in point {
        let mut power = *x;
        for _ in 0..ROUND_DEGREE {
            functional.push(power);
            power *= x;
        }
    }
    functional
}

/// The functional that takes the mask segment to the mask's sum over the cube.
pub(crate) fn sum_functional(rounds: usize) -> Vec<Fr> {
    let mut functional = vec![power_of_two(rounds.saturating_sub(1)); mask_coefficients(rounds)];
    functional[0] = power_of_two(rounds);
    functional
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn rounds_lead_from_the_sum_to_the_value(
            segment in proptest::collection::vec(any::<[u64; 4]>().prop_map(Fr::from_raw), 19),
            point in proptest::collection::vec(any::<[u64; 4]>().prop_map(Fr::from_raw), 3),
        ) {
            let dot = |functional: Vec<Fr>| functional.iter().zip(&segment).map(|(a, b)| *a * b).sum::<Fr>();
            let mut mask = RoundMask::new(&segment, 3);
            let mut claim = mask.sum();
            prop_assert_eq!(claim, dot(sum_functional(3)));
            for x in &point {
                let mut coefficients = [Fr::ZERO; 7];
                mask.add_round(Fr::ONE, &mut coefficients);
                prop_assert_eq!(claim, horner(&coefficients, Fr::ZERO) + horner(&coefficients, Fr::ONE));
                claim = horner(&coefficients, *x);
                mask.bind(*x);
            }
            prop_assert_eq!(claim, dot(value_functional(&point)));
        }
    }
}
