//! Feldman's verifiable sharing of a scalar.
//!
//! The dealer commits to each coefficient of a polynomial whose value at 0 is the secret; a share is its value at a
//! place, counted from 1. Points are compared after multiplication by the cofactor, so that a part of small order in a
//! commitment, which no honest one has, changes no answer.

use curve25519_dalek::{
    Scalar,
    edwards::{CompressedEdwardsY, EdwardsPoint},
    traits::{Identity as _, IsIdentity as _},
};
use rand_core::RngCore;
use zeroize::Zeroizing;

use super::group::Place;

/// Commitments to the coefficients, as they are published.
pub(super) type Published = Vec<[u8; 32]>;

/// Commitments that are points.
#[derive(Clone)]
pub(super) struct Commitments(Vec<EdwardsPoint>);

pub(super) struct Polynomial(Zeroizing<Vec<Scalar>>);

/// A uniform scalar.
pub(super) fn random_scalar(random: &mut dyn RngCore) -> Zeroizing<Scalar> {
    let mut wide = Zeroizing::new([0_u8; 64]);
    random.fill_bytes(&mut *wide);
    Zeroizing::new(Scalar::from_bytes_mod_order_wide(&wide))
}

fn at(place: Place) -> u32 {
    u32::from(place.0) + 1
}

impl Polynomial {
    pub(super) fn new(secret: &Scalar, threshold: u16, random: &mut dyn RngCore) -> Self {
        let mut coefficients = Zeroizing::new(vec![*secret]);
        coefficients.extend((1..threshold).map(|_| *random_scalar(random)));
        Self(coefficients)
    }

    pub(super) fn publish(&self) -> Published {
        let commit = |coefficient| EdwardsPoint::mul_base(coefficient).compress().0;
        self.0.iter().map(commit).collect()
    }

    pub(super) fn share(&self, place: Place) -> Scalar {
        let x = Scalar::from(at(place));
        self.0
            .iter()
            .rev()
            .fold(Scalar::ZERO, |value, coefficient| value * x + coefficient)
    }
}

impl Commitments {
    /// Nothing where there are not as many as the threshold, or one is no point.
    pub(super) fn read(published: &Published, threshold: u16) -> Option<Self> {
        if published.len() != usize::from(threshold) {
            return None;
        }
        let point = |bytes: &[u8; 32]| CompressedEdwardsY(*bytes).decompress();
        published.iter().map(point).collect::<Option<_>>().map(Self)
    }

    /// The commitment to the secret.
    pub(super) fn secret(&self) -> EdwardsPoint {
        self.0[0]
    }

    pub(super) fn opens(&self, secret: &Scalar) -> bool {
        (EdwardsPoint::mul_base(secret) - self.secret())
            .mul_by_cofactor()
            .is_identity()
    }

    pub(super) fn holds(&self, place: Place, share: &Scalar) -> bool {
        let x = at(place);
        let times = |point: EdwardsPoint| {
            // Places are small: doubling and adding by their few bits beats a multiplication by a whole scalar.
            (0..u32::BITS - x.leading_zeros())
                .rev()
                .fold(EdwardsPoint::identity(), |sum, bit| {
                    let doubled = sum + sum;
                    if x >> bit & 1 == 1 {
                        doubled + point
                    } else {
                        doubled
                    }
                })
        };
        let expected = self
            .0
            .iter()
            .rev()
            .fold(EdwardsPoint::identity(), |value, point| times(value) + point);
        (EdwardsPoint::mul_base(share) - expected)
            .mul_by_cofactor()
            .is_identity()
    }
}

/// The secret, from shares at different places; as many as the threshold give the dealt one.
pub(super) fn combine(shares: &[(Place, Scalar)]) -> Scalar {
    let points: Vec<Scalar> = shares.iter().map(|(place, _)| Scalar::from(at(*place))).collect();
    let weight = |index: usize| {
        let others = points.iter().enumerate().filter(|(other, _)| *other != index);
        let (above, below) = others.fold((Scalar::ONE, Scalar::ONE), |(above, below), (_, other)| {
            (above * other, below * (other - points[index]))
        });
        above * below.invert()
    };
    shares
        .iter()
        .enumerate()
        .map(|(index, (_, share))| weight(index) * share)
        .sum()
}

/// A canonical scalar.
pub(super) fn read_scalar(bytes: [u8; 32]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(bytes).into_option()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn any_threshold_of_shares_gives_the_secret_and_fewer_do_not() {
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let secret = random_scalar(&mut random);
        let polynomial = Polynomial::new(&secret, 3, &mut random);
        let shares: Vec<_> = (0..6)
            .map(Place)
            .map(|place| (place, polynomial.share(place)))
            .collect();
        for chosen in [[0, 1, 2], [5, 0, 3], [4, 2, 1]] {
            let chosen: Vec<_> = chosen.iter().map(|at| shares[*at]).collect();
            assert_eq!(combine(&chosen), *secret);
        }
        assert_eq!(combine(&shares), *secret);
        assert_ne!(combine(&shares[..2]), *secret);
    }

    #[test]
    fn commitments_tell_right_shares_from_wrong_ones() {
        let mut random = ChaCha20Rng::seed_from_u64(2);
        let secret = random_scalar(&mut random);
        let polynomial = Polynomial::new(&secret, 4, &mut random);
        let published = polynomial.publish();
        let commitments = Commitments::read(&published, 4).unwrap();
        assert!(commitments.opens(&secret) && !commitments.opens(&(*secret + Scalar::ONE)));
        for place in [0, 1, 40, 999].map(Place) {
            let share = polynomial.share(place);
            assert!(commitments.holds(place, &share));
            assert!(!commitments.holds(Place(place.0 + 1), &share));
            assert!(!commitments.holds(place, &(share + Scalar::ONE)));
        }
        assert!(Commitments::read(&published, 5).is_none());
        let mut spoilt = published;
        // No point has this encoding.
        spoilt[1] = [2; 32];
        spoilt[1][31] = 0x7f;
        assert!(
            Commitments::read(&spoilt, 4).is_none() || CompressedEdwardsY(spoilt[1]).decompress().is_some()
        );
    }
}
