//! Both schemes, prover against verifier.

use counterweight_zkml_verifier::curve::Curve as _;
use counterweight_zkml_verifier::field::Field as _;
use counterweight_zkml_verifier::opening::{OpeningClaim, OpeningError, verify};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::random;

const SCHEMES: [Scheme; 2] = [Scheme::Mercury, Scheme::HyperKzg];

/// A row opened at a point, with everything a verifier gets.
struct Opened {
    srs: Srs,
    scheme: Scheme,
    commitment: G1Affine,
    point: Vec<Fr>,
    value: Fr,
    proof: Vec<u8>,
}

impl Opened {
    fn new(scheme: Scheme, variables: usize, seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let row = random::scalars(&mut rng, 1 << variables);
        Self::of(scheme, row, random::scalars(&mut rng, variables))
    }

    fn of(scheme: Scheme, row: Vec<Fr>, point: Vec<Fr>) -> Self {
        let srs = Srs::development(point.len()).expect("a length in range");
        let commitment = unblinded(&srs, &row).to_affine();
        let value = evaluate_row(&row, &point);
        let mut transcript = Transcript::new("test");
        let proof = open(&srs, scheme, &mut transcript, &commitment, &row, &point, &value).expect("opens");
        Self {
            srs,
            scheme,
            commitment,
            point,
            value,
            proof,
        }
    }

    fn verify(&self) -> Result<(), OpeningError> {
        self.verify_as("test", self.scheme, &self.proof)
    }

    fn verify_as(&self, label: &str, scheme: Scheme, proof: &[u8]) -> Result<(), OpeningError> {
        let commitment = [(Fr::ONE, self.commitment)];
        let claim = OpeningClaim {
            commitment: &commitment,
            point: &self.point,
            value: self.value,
        };
        verify(
            self.srs.verifier(),
            scheme,
            &mut Transcript::new(label),
            &claim,
            proof,
        )
    }
}

#[test]
fn rows_of_each_length_open_at_random_points() {
    for scheme in SCHEMES {
        for variables in 4..=9 {
            let opened = Opened::new(scheme, variables, variables as u64);
            assert_eq!(opened.verify(), Ok(()), "{scheme}, {variables} variables");
            assert_eq!(opened.proof.len(), scheme.proof_bytes(variables));
        }
    }
}
