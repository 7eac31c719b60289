//! Feldman's verifiable sharing of a scalar.
//!
//! The dealer commits to each coefficient of a polynomial whose value at 0 is the secret; a share is its value at a
//! seat, counted from 1. Points are compared after multiplication by the cofactor, so that a part of small order in a
//! commitment, which no honest one has, changes no answer.

use curve25519_dalek::{
    Scalar,
    edwards::{CompressedEdwardsY, EdwardsPoint},
    traits::{IsIdentity as _, VartimeMultiscalarMul as _},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng as _};
use zeroize::Zeroizing;

use super::group::Seat;

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

    pub(super) fn share(&self, seat: Seat) -> Scalar {
        let x = Scalar::from(seat.0);
        let coefficients = self.0.iter().rev();
        coefficients.fold(Scalar::ZERO, |value, coefficient| value * x + coefficient)
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

    /// The commitment to the share of a seat.
    pub(super) fn at(&self, seat: Seat) -> EdwardsPoint {
        let x = seat.0;
        let times = |point: EdwardsPoint| {
            // Seats are small: doubling and adding by their few bits beats a multiplication by a whole scalar.
            let below_top = 0..x.max(1).ilog2();
            below_top.rev().fold(point, |sum, bit| {
                let doubled = sum + sum;
                if x >> bit & 1 == 1 {
                    doubled + point
                } else {
                    doubled
                }
            })
        };
        let points = self.0.iter().rev().copied();
        points
            .reduce(|value, point| times(value) + point)
            .unwrap_or_default()
    }
}

/// Whether a share is the one committed to.
pub(super) fn holds(commitment: &EdwardsPoint, share: &Scalar) -> bool {
    (EdwardsPoint::mul_base(share) - commitment)
        .mul_by_cofactor()
        .is_identity()
}

/// Whether all of them are, all at once: with weights of 128 bits that no dealer can know, wrong ones cancel with a
/// chance of 2^-128.
pub(super) fn all_hold(claims: &[(EdwardsPoint, Zeroizing<Scalar>)], secret: &[u8; 32]) -> bool {
    let mut random = ChaCha20Rng::from_seed(*secret);
    let mut weight = || Scalar::from(u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()));
    let weights: Vec<Scalar> = claims.iter().map(|_| weight()).collect();
    let terms = weights
        .iter()
        .zip(claims)
        .map(|(weight, (_, share))| weight * **share);
    let sum = Zeroizing::new(terms.sum::<Scalar>());
    let points = claims.iter().map(|(commitment, _)| commitment);
    holds(&EdwardsPoint::vartime_multiscalar_mul(&weights, points), &sum)
}

/// Whether a secret is the one that the first commitment is to.
pub(super) fn opens(published: &Published, secret: &Scalar) -> bool {
    let first = published
        .first()
        .and_then(|bytes| CompressedEdwardsY(*bytes).decompress());
    first.is_some_and(|point| {
        (EdwardsPoint::mul_base(secret) - point)
            .mul_by_cofactor()
            .is_identity()
    })
}

/// The secret, from shares at different seats; as many as the threshold give the dealt one.
pub(super) fn combine(shares: &[(Seat, Scalar)]) -> Scalar {
    let points: Vec<Scalar> = shares.iter().map(|(seat, _)| Scalar::from(seat.0)).collect();
    let product = |index: usize, factor: &dyn Fn(&Scalar) -> Scalar| {
        let others = points.iter().enumerate().filter(|(other, _)| *other != index);
        others.fold(Scalar::ONE, |product, (_, other)| product * factor(other))
    };
    let above = |index| product(index, &|other| *other);
    let mut inverse_below: Vec<Scalar> = (0..points.len())
        .map(|index| product(index, &|other| other - points[index]))
        .collect();
    Scalar::batch_invert(&mut inverse_below);
    let terms = shares.iter().zip(inverse_below).enumerate();
    terms
        .map(|(index, ((_, share), below))| above(index) * below * share)
        .sum()
}

/// A canonical scalar.
pub(super) fn read_scalar(bytes: [u8; 32]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(bytes).into_option()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_threshold_of_shares_gives_the_secret_and_fewer_do_not() {
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let secret = random_scalar(&mut random);
        let polynomial = Polynomial::new(&secret, 3, &mut random);
        let shares: Vec<_> = (1..7)
            .map(Seat)
            .map(|seat| (seat, polynomial.share(seat)))
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
        assert!(opens(&published, &secret) && !opens(&published, &(*secret + Scalar::ONE)));
        let commitments = Commitments::read(&published, 4).unwrap();
        for seat in [1, 2, 3, 41, 1000].map(Seat) {
            let share = polynomial.share(seat);
            assert!(holds(&commitments.at(seat), &share));
            assert!(!holds(&commitments.at(Seat(seat.0 + 1)), &share));
            assert!(!holds(&commitments.at(seat), &(share + Scalar::ONE)));
        }
    }

    #[test]
    fn one_wrong_share_among_many_is_noticed() {
        let mut random = ChaCha20Rng::seed_from_u64(4);
        let mut claims = Vec::new();
        for seat in (1..30).map(Seat) {
            let polynomial = Polynomial::new(&random_scalar(&mut random), 5, &mut random);
            let commitments = Commitments::read(&polynomial.publish(), 5).unwrap();
            claims.push((commitments.at(seat), Zeroizing::new(polynomial.share(seat))));
        }
        assert!(all_hold(&claims, &[1; 32]) && all_hold(&[], &[1; 32]));
        // Two errors that cancel in a plain sum.
        *claims[3].1 += Scalar::ONE;
        assert!(!all_hold(&claims, &[1; 32]));
        *claims[4].1 -= Scalar::ONE;
        assert!(!all_hold(&claims, &[1; 32]));
    }

    #[test]
    fn other_numbers_of_commitments_and_no_points_are_refused() {
        let mut random = ChaCha20Rng::seed_from_u64(3);
        let published = Polynomial::new(&random_scalar(&mut random), 4, &mut random).publish();
        assert!(Commitments::read(&published, 5).is_none() && Commitments::read(&published, 3).is_none());
        // About half of all strings of 32 bytes are no points.
        let refused = (0..=255).filter(|byte| {
            let mut spoilt = published.clone();
            spoilt[1][0] = *byte;
            Commitments::read(&spoilt, 4).is_none()
        });
        assert!((64..192).contains(&refused.count()));
    }
}
