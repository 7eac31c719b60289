//! Scalars from a source of randomness.

use counterweight_zkml_verifier::Fr;
use halo2curves::ff::FromUniformBytes;
use rand_core::RngCore;

/// A scalar whose distance from uniform is below 2^-256.
pub fn scalar(rng: &mut impl RngCore) -> Fr {
    let mut bytes = [0; 64];
    rng.fill_bytes(&mut bytes);
    Fr::from_uniform_bytes(&bytes)
}

/// `count` scalars, as [`scalar`] draws them.
pub fn scalars(rng: &mut impl RngCore, count: usize) -> Vec<Fr> {
    (0..count).map(|_| scalar(rng)).collect()
}
