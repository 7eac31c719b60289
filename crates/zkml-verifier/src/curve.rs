//! The groups of BN254, encoded as the EVM's precompiles take them, and the pairing check.
//!
//! A point of G1 is 64 bytes (EIP-196): `x` and `y`, each 32 bytes big endian and less than the field prime, zeros
//! for the point at infinity. A point of G2 is 128 bytes (EIP-197): the imaginary part of `x`, its real part, then
//! those of `y`. Decoding checks range and curve equation, and for G2 the subgroup; G1 is its own only subgroup.

use halo2curves::CurveAffine;
use halo2curves::bn256::{Bn256, Fq, Fq2};
pub use halo2curves::bn256::{G1, G1Affine, G2, G2Affine};
use halo2curves::ff::{Field, PrimeField};
pub use halo2curves::group::prime::PrimeCurveAffine;
pub use halo2curves::group::{Curve, Group};
use halo2curves::pairing::{MillerLoopResult, MultiMillerLoop};

use crate::field::{Fr, Word};

/// Bytes of an encoded point of G1.
pub const G1_BYTES: usize = 64;
/// Bytes of an encoded point of G2.
pub const G2_BYTES: usize = 128;

/// Why bytes are no point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointError {
    /// A coordinate is not less than the prime of the field.
    #[error("a coordinate is not less than the field prime")]
    NotCanonical,
    /// The coordinates do not satisfy the curve equation.
    #[error("the point is not on the curve")]
    OffCurve,
    /// A point of the twist that lies outside the group of order `r`.
    #[error("the point is not in the subgroup")]
    OutsideSubgroup,
}

fn coordinate(word: &Word) -> Result<Fq, PointError> {
    let mut repr = *word;
    repr.reverse();
    Fq::from_repr(repr.into())
        .into_option()
        .ok_or(PointError::NotCanonical)
}

fn word_of(coordinate: &Fq) -> Word {
    let mut word = coordinate.to_repr();
    word.as_mut().reverse();
    word.into()
}

/// The 64 bytes of a point.
#[must_use]
pub fn encode_g1(point: &G1Affine) -> [u8; G1_BYTES] {
    let mut bytes = [0; G1_BYTES];
    // In this crate's affine form infinity has zero coordinates, as in EIP-196.
    for (place, coordinate) in bytes.as_chunks_mut::<32>().0.iter_mut().zip([&point.x, &point.y]) {
        *place = word_of(coordinate);
    }
    bytes
}

/// The point of 64 bytes; zeros are the point at infinity.
///
/// # Errors
///
/// [`PointError::NotCanonical`] and [`PointError::OffCurve`].
pub fn decode_g1(bytes: &[u8; G1_BYTES]) -> Result<G1Affine, PointError> {
    let mut words = bytes.as_chunks::<32>().0.iter();
    let (Some(x), Some(y)) = (words.next(), words.next()) else {
        return Err(PointError::NotCanonical);
    };
    // The crate takes (0, 0) for infinity and as on the curve.
    G1Affine::from_xy(coordinate(x)?, coordinate(y)?)
        .into_option()
        .ok_or(PointError::OffCurve)
}

/// The 128 bytes of a point of G2.
#[must_use]
pub fn encode_g2(point: &G2Affine) -> [u8; G2_BYTES] {
    let mut bytes = [0; G2_BYTES];
    let coordinates = [point.x.c1(), point.x.c0(), point.y.c1(), point.y.c0()];
    for (place, coordinate) in bytes.as_chunks_mut::<32>().0.iter_mut().zip(coordinates) {
        *place = word_of(coordinate);
    }
    bytes
}

/// The point of 128 bytes; zeros are the point at infinity.
///
/// # Errors
///
/// Each variant of [`PointError`].
pub fn decode_g2(bytes: &[u8; G2_BYTES]) -> Result<G2Affine, PointError> {
    let mut parts = [Fq::ZERO; 4];
    for (part, word) in parts.iter_mut().zip(bytes.as_chunks::<32>().0) {
        *part = coordinate(word)?;
    }
    let [x1, x0, y1, y0] = parts;
    let point = G2Affine::from_xy(Fq2::new(x0, x1), Fq2::new(y0, y1))
        .into_option()
        .ok_or(PointError::OffCurve)?;
    if is_in_group(&point) {
        Ok(point)
    } else {
        Err(PointError::OutsideSubgroup)
    }
}

/// Whether a point of the twist has order `r`: `(r - 1) P = -P`. The crate's own faster check writes to standard output.
fn is_in_group(point: &G2Affine) -> bool {
    *point * -Fr::ONE == -point.to_curve()
}

/// The sum of `scalar · point` over the terms.
#[must_use]
pub fn combine(terms: &[(Fr, G1Affine)]) -> G1 {
    // Interleaved windows of four bits: one chain of doublings for all terms.
    const WINDOW: usize = 4;
    let tables: Vec<([G1; 1 << WINDOW], [u8; 32])> = terms
        .iter()
        .map(|(scalar, point)| {
            let mut table = [G1::identity(); 1 << WINDOW];
            let mut multiple = G1::identity();
            for entry in table.iter_mut().skip(1) {
                multiple += point;
                *entry = multiple;
            }
            (table, crate::field::to_word(scalar))
        })
        .collect();
    let mut sum = G1::identity();
    for byte in 0..32 {
        for shift in [WINDOW, 0] {
            if !bool::from(sum.is_identity()) {
                for _ in 0..WINDOW {
                    sum = sum.double();
                }
            }
            for (table, word) in &tables {
                let digit = word.get(byte).map_or(0, |bits| usize::from(bits >> shift) & 0xf);
                if let Some(multiple) = table.get(digit).filter(|_| digit != 0) {
                    sum += multiple;
                }
            }
        }
    }
    sum
}

/// Whether `Π e(P_i, Q_i)` is one: what precompile 8 of the EVM answers.
#[must_use]
pub fn pairing_is_one(pairs: &[(G1Affine, G2Affine)]) -> bool {
    let pairs: Vec<_> = pairs.iter().map(|(left, right)| (left, right)).collect();
    bool::from(
        <Bn256 as MultiMillerLoop>::multi_miller_loop(&pairs)
            .final_exponentiation()
            .is_identity(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn multiple(limbs: [u64; 4]) -> G1Affine {
        (G1::generator() * Fr::from_raw(limbs)).to_affine()
    }

    #[test]
    fn the_generators_are_those_of_the_precompiles() {
        let mut expected = [0; 64];
        (expected[31], expected[63]) = (1, 2);
        assert_eq!(encode_g1(&G1Affine::generator()), expected);
        assert_eq!(
            hex::encode(encode_g2(&G2Affine::generator())),
            "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2\
             1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed\
             090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b\
             12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa"
        );
    }

    #[test]
    fn zeros_are_the_point_at_infinity() {
        assert_eq!(decode_g1(&[0; 64]), Ok(G1Affine::identity()));
        assert_eq!(decode_g2(&[0; 128]), Ok(G2Affine::identity()));
        assert_eq!(encode_g1(&G1Affine::identity()), [0; 64]);
    }

    #[test]
    fn a_coordinate_beyond_the_prime_is_refused() {
        let prime =
            hex::decode("30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47").expect("hex");
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&prime);
        // The prime is zero in the field: without the check this would be a second infinity.
        assert_eq!(decode_g1(&bytes), Err(PointError::NotCanonical));
        assert_eq!(decode_g1(&[0xff; 64]), Err(PointError::NotCanonical));
        assert_eq!(decode_g2(&[0xff; 128]), Err(PointError::NotCanonical));
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut bytes = encode_g1(&G1Affine::generator());
        bytes[63] = 3;
        assert_eq!(decode_g1(&bytes), Err(PointError::OffCurve));
        let mut bytes = encode_g2(&G2Affine::generator());
        bytes[127] ^= 1;
        assert_eq!(decode_g2(&bytes), Err(PointError::OffCurve));
    }

    #[test]
    fn a_point_of_the_twist_outside_the_subgroup_is_refused() {
        let mut x = Fq2::ONE;
        let outside = loop {
            let square = x.square() * x + G2Affine::b();
            if let Some(y) = square.sqrt().into_option() {
                let point = G2Affine { x, y };
                if !is_in_group(&point) {
                    break point;
                }
            }
            x += Fq2::ONE;
        };
        assert_eq!(decode_g2(&encode_g2(&outside)), Err(PointError::OutsideSubgroup));
    }

    #[test]
    fn the_pairing_is_bilinear() {
        let (g1, g2) = (G1Affine::generator(), G2Affine::generator());
        let five = (g1 * Fr::from(5)).to_affine();
        let minus_five = (g2 * -Fr::from(5)).to_affine();
        assert!(pairing_is_one(&[(five, g2), (g1, minus_five)]));
        assert!(!pairing_is_one(&[(five, g2), (g1, g2)]));
        assert!(pairing_is_one(&[]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn points_survive_their_encoding(limbs in any::<[u64; 4]>()) {
            let point = multiple(limbs);
            prop_assert_eq!(decode_g1(&encode_g1(&point)), Ok(point));
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(bytes in any::<[u8; 64]>()) {
            if let Ok(point) = decode_g1(&bytes) {
                prop_assert_eq!(encode_g1(&point), bytes);
            }
        }

        #[test]
        fn combining_is_adding_multiples(terms in proptest::collection::vec((any::<[u64; 4]>(), any::<[u64; 4]>()), 0..5)) {
            let terms: Vec<_> = terms.into_iter().map(|(s, p)| (Fr::from_raw(s), multiple(p))).collect();
            let plain: G1 = terms.iter().map(|(scalar, point)| *point * scalar).sum();
            prop_assert_eq!(combine(&terms), plain);
        }
    }
}
