//! Both schemes, prover against verifier.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use counterweight_zkml_verifier::curve::{Curve as _, PointError, PrimeCurveAffine as _};
use counterweight_zkml_verifier::encoding::EncodingError;
use counterweight_zkml_verifier::field::{Field as _, ORDER};
use counterweight_zkml_verifier::opening::{OpeningClaim, OpeningError, verify};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::random;

const SCHEMES: [Scheme; 2] = [Scheme::Mercury, Scheme::HyperKzg];

/// The development set-up, made once for each length.
fn srs(variables: usize) -> Srs {
    static MADE: LazyLock<Mutex<BTreeMap<usize, Srs>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().expect("no test panics while it makes a set-up");
    made.entry(variables)
        .or_insert_with(|| Srs::development(variables).expect("a length in range"))
        .clone()
}

/// A row opened at a point, with everything a verifier gets.
struct Opened {
    srs: Srs,
    scheme: Scheme,
    commitment: G1Affine,
    row: Vec<Fr>,
    point: Vec<Fr>,
    value: Fr,
    proof: Vec<u8>,
}

impl Opened {
    fn new(scheme: Scheme, variables: usize) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(variables as u64);
        let row = random::scalars(&mut rng, 1 << variables);
        Self::of(scheme, row, random::scalars(&mut rng, variables))
    }

    fn of(scheme: Scheme, row: Vec<Fr>, point: Vec<Fr>) -> Self {
        let srs = srs(point.len());
        let commitment = unblinded(&srs, &row).to_affine();
        let value = evaluate_row(&row, &point);
        let mut transcript = Transcript::new("test");
        let proof = open(&srs, scheme, &mut transcript, &commitment, &row, &point, &value).expect("opens");
        Self {
            srs,
            scheme,
            commitment,
            row,
            point,
            value,
            proof,
        }
    }

    fn verify(&self) -> Result<(), OpeningError> {
        self.verify_in(&mut Transcript::new("test"))
    }

    fn verify_in(&self, transcript: &mut Transcript) -> Result<(), OpeningError> {
        let commitment = [(Fr::ONE, self.commitment)];
        let claim = OpeningClaim {
            commitment: &commitment,
            point: &self.point,
            value: self.value,
        };
        verify(self.srs.verifier(), self.scheme, transcript, &claim, &self.proof)
    }

    /// Where the proof's points start.
    fn points(&self) -> Vec<usize> {
        let variables = self.point.len();
        match self.scheme {
            Scheme::Mercury => vec![0, 64, 128, 192, 256, 512, 576, 640],
            Scheme::HyperKzg => {
                let folds = (0..variables - 1).map(|fold| 64 * fold);
                folds
                    .chain((0..3).map(|last| self.proof.len() - 192 + 64 * last))
                    .collect()
            }
        }
    }

    /// Where the proof's scalars start.
    fn scalars(&self) -> Vec<usize> {
        let points = self.points();
        let words = (0..self.proof.len()).step_by(32);
        words
            .filter(|place| !points.iter().any(|point| (*point..point + 64).contains(place)))
            .collect()
    }
}

#[test]
fn rows_of_each_length_open_at_random_points() {
    for scheme in SCHEMES {
        for variables in 4..=9 {
            let opened = Opened::new(scheme, variables);
            assert_eq!(opened.verify(), Ok(()), "{scheme}, {variables} variables");
            assert_eq!(opened.proof.len(), scheme.proof_bytes(variables));
        }
    }
}

#[test]
fn both_sides_go_on_from_one_transcript() {
    for scheme in SCHEMES {
        let opened = Opened::new(scheme, 5);
        let (mut prover, mut verifier) = (Transcript::new("both"), Transcript::new("both"));
        let Opened {
            srs,
            commitment,
            row,
            point,
            value,
            ..
        } = &opened;
        let proof = open(srs, scheme, &mut prover, commitment, row, point, value).unwrap();
        assert_eq!(
            Opened {
                proof,
                ..Opened::new(scheme, 5)
            }
            .verify_in(&mut verifier),
            Ok(())
        );
        assert_eq!(prover.challenge(), verifier.challenge());
    }
}

#[test]
fn a_zero_row_is_committed_to_by_infinity_and_opens() {
    for scheme in SCHEMES {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let opened = Opened::of(scheme, vec![Fr::ZERO; 32], random::scalars(&mut rng, 5));
        assert_eq!(opened.commitment, G1Affine::identity());
        assert_eq!(opened.verify(), Ok(()));
    }
}

#[test]
fn a_commitment_may_come_as_a_sum_with_its_blinding_taken_off() {
    for scheme in SCHEMES {
        let opened = Opened::new(scheme, 5);
        let blinding = Fr::from(12_345);
        let hiding = crate::commit::row(&opened.srs, &opened.row, &blinding);
        let check = |blinding: Fr| {
            let terms = [
                (Fr::ONE, hiding),
                (-blinding, *opened.srs.verifier().blinding_generator()),
            ];
            let claim = OpeningClaim {
                commitment: &terms,
                point: &opened.point,
                value: opened.value,
            };
            verify(
                opened.srs.verifier(),
                scheme,
                &mut Transcript::new("test"),
                &claim,
                &opened.proof,
            )
        };
        assert_eq!(check(blinding), Ok(()));
        assert!(check(blinding + Fr::ONE).is_err());
    }
}

#[test]
fn another_claim_is_refused() {
    for scheme in SCHEMES {
        let mut opened = Opened::new(scheme, 5);
        opened.value += Fr::ONE;
        assert!(opened.verify().is_err(), "value");
        for coordinate in 0..5 {
            let mut opened = Opened::new(scheme, 5);
            opened.point[coordinate] += Fr::ONE;
            assert!(opened.verify().is_err(), "coordinate {coordinate}");
        }
        let mut opened = Opened::new(scheme, 5);
        opened.commitment = G1Affine::generator();
        assert!(opened.verify().is_err(), "commitment");
        let opened = Opened::new(scheme, 5);
        assert!(
            opened.verify_in(&mut Transcript::new("other")).is_err(),
            "transcript"
        );
        let mut transcript = Transcript::new("test");
        transcript.absorb_u64(0);
        assert!(opened.verify_in(&mut transcript).is_err(), "one word more");
    }
}

#[test]
fn another_set_up_is_refused() {
    use counterweight_zkml_verifier::{G2Affine, VerifierSrs};
    for scheme in SCHEMES {
        let opened = Opened::new(scheme, 4);
        let other = VerifierSrs::new((G2Affine::generator() * Fr::from(2)).to_affine()).unwrap();
        let commitment = [(Fr::ONE, opened.commitment)];
        let claim = OpeningClaim {
            commitment: &commitment,
            point: &opened.point,
            value: opened.value,
        };
        let result = verify(
            &other,
            scheme,
            &mut Transcript::new("test"),
            &claim,
            &opened.proof,
        );
        assert_eq!(result, Err(OpeningError::Pairing));
    }
}

#[test]
fn every_byte_flipped_is_refused() {
    for (scheme, variables) in [(Scheme::Mercury, 4), (Scheme::Mercury, 5), (Scheme::HyperKzg, 4)] {
        let mut opened = Opened::new(scheme, variables);
        for place in 0..opened.proof.len() {
            let flip = 1 << (place % 8);
            opened.proof[place] ^= flip;
            assert!(opened.verify().is_err(), "{scheme}, byte {place}");
            opened.proof[place] ^= flip;
        }
        assert_eq!(opened.verify(), Ok(()));
    }
}

#[test]
fn a_second_encoding_of_a_scalar_is_refused() {
    for scheme in SCHEMES {
        let opened = Opened::new(scheme, 5);
        for offset in opened.scalars() {
            let mut spoilt = Opened::new(scheme, 5);
            // Adds the group order, byte by byte from the last; fits because scalars are below 2^254.
            let mut carry = 0;
            for (byte, order) in spoilt.proof[offset..offset + 32].iter_mut().zip(ORDER).rev() {
                carry += u16::from(*byte) + u16::from(order);
                *byte = carry as u8;
                carry >>= 8;
            }
            let expected = EncodingError::ScalarNotCanonical { offset };
            assert_eq!(spoilt.verify(), Err(OpeningError::Encoding(expected)));
        }
    }
}

#[test]
fn a_point_off_the_curve_is_refused() {
    for scheme in SCHEMES {
        for offset in Opened::new(scheme, 5).points() {
            let mut spoilt = Opened::new(scheme, 5);
            spoilt.proof[offset..offset + 64].fill(0);
            spoilt.proof[offset + 63] = 1;
            let result = spoilt.verify();
            let off_curve = EncodingError::Point {
                offset,
                source: PointError::OffCurve,
            };
            // A fold's evaluations are judged before the last points are read.
            let fold = matches!(result, Err(OpeningError::Fold { .. }));
            assert!(
                fold || result == Err(OpeningError::Encoding(off_curve)),
                "{scheme}, {offset}: {result:?}"
            );
        }
    }
}

#[test]
fn infinity_or_another_point_in_place_of_one_is_refused() {
    for scheme in SCHEMES {
        for offset in Opened::new(scheme, 5).points() {
            for other in [G1Affine::identity(), G1Affine::generator()] {
                let mut spoilt = Opened::new(scheme, 5);
                spoilt.proof[offset..offset + 64].copy_from_slice(&encode_g1(&other));
                let result = spoilt.verify();
                let refused = matches!(result, Err(OpeningError::Pairing | OpeningError::Fold { .. }));
                assert!(refused, "{scheme}, {offset}: {result:?}");
            }
        }
    }
}

#[test]
fn a_proof_of_another_length_is_refused() {
    for scheme in SCHEMES {
        for change in [-64, -32, -1, 1, 32, 64] {
            let mut opened = Opened::new(scheme, 5);
            let length = opened.proof.len().strict_add_signed(change);
            opened.proof.resize(length, 0);
            let refused = matches!(opened.verify(), Err(OpeningError::Length { got, .. }) if got == length);
            assert!(refused, "{scheme}, {change}");
        }
        let mut opened = Opened::new(scheme, 5);
        opened.proof.clear();
        assert!(matches!(
            opened.verify(),
            Err(OpeningError::Length { got: 0, .. })
        ));
    }
}

#[test]
fn points_of_too_few_or_too_many_coordinates_are_refused() {
    for variables in [0, 1, 3, 21, 1000] {
        let mut opened = Opened::new(Scheme::Mercury, 4);
        opened.point.resize(variables, Fr::ONE);
        assert_eq!(opened.verify(), Err(OpeningError::Variables { got: variables }));
    }
}

#[test]
fn the_prover_refuses_what_is_not_so() {
    for scheme in SCHEMES {
        let Opened {
            srs,
            commitment,
            row,
            point,
            value,
            ..
        } = Opened::new(scheme, 4);
        let open = |row: &[Fr], point: &[Fr], value: &Fr| {
            open(
                &srs,
                scheme,
                &mut Transcript::new("test"),
                &commitment,
                row,
                point,
                value,
            )
        };
        assert_eq!(open(&row, &point, &(value + Fr::ONE)), Err(OpenError::Value));
        assert!(matches!(
            open(&row[1..], &point, &value),
            Err(OpenError::Shape { row: 15, .. })
        ));
        assert!(matches!(
            open(&row, &point[1..], &value),
            Err(OpenError::Shape { variables: 3, .. })
        ));
    }
}

/// Entries and coordinates as they come up: random ones, and the special values zero, one and minus one.
fn scalar() -> impl Strategy<Value = Fr> {
    prop_oneof![
        4 => any::<[u64; 4]>().prop_map(Fr::from_raw),
        1 => Just(Fr::ZERO),
        1 => Just(Fr::ONE),
        1 => Just(-Fr::ONE),
        1 => any::<u8>().prop_map(|small| Fr::from(u64::from(small))),
    ]
}

fn row_and_point() -> impl Strategy<Value = (Vec<Fr>, Vec<Fr>)> {
    (4..8_usize).prop_flat_map(|variables| {
        let row = proptest::collection::vec(scalar(), 1 << variables);
        (row, proptest::collection::vec(scalar(), variables))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_row_opens_at_any_point((row, point) in row_and_point(), mercury: bool) {
        let scheme = if mercury { Scheme::Mercury } else { Scheme::HyperKzg };
        let opened = Opened::of(scheme, row, point);
        prop_assert_eq!(opened.verify(), Ok(()));
    }

    #[test]
    fn at_a_vertex_a_row_has_the_value_of_its_entry(seed: u64, index in 0..64_usize) {
        let row = random::scalars(&mut ChaCha20Rng::seed_from_u64(seed), 64);
        let vertex: Vec<Fr> = (0..6).rev().map(|bit| Fr::from((index >> bit & 1) as u64)).collect();
        prop_assert_eq!(evaluate_row(&row, &vertex), row[index]);
    }

    /// Whatever the bytes, an answer comes back, and it is no.
    #[test]
    fn bytes_that_are_no_proof_are_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..1000),
        whole: bool,
        zeros in proptest::collection::vec((0..20_usize, any::<bool>()), 0..20),
        mercury: bool,
    ) {
        let scheme = if mercury { Scheme::Mercury } else { Scheme::HyperKzg };
        let mut opened = Opened::new(scheme, 4);
        if whole {
            bytes.resize(opened.proof.len(), 7);
        }
        // Words below both primes and pairs of zero words get past decoding.
        for word in bytes.as_chunks_mut::<32>().0 {
            word[0] &= 0x1f;
        }
        for (place, pair) in zeros {
            let end = bytes.len().min(place * 32 + if pair { 64 } else { 32 });
            bytes.get_mut(place * 32..end).unwrap_or_default().fill(0);
        }
        opened.proof = bytes;
        prop_assert!(opened.verify().is_err());
    }
}
