//! Verifiable sharing of two scalars at once, after Baghery's Π (PKC 2025, ePrint 2023/1669) with hashes as commitments.
//!
//! The dealer draws polynomials whose values at 0 are the secrets, and a third one that blinds. Of every share there is a
//! digest, so that anyone, a contract too, tells a right share from a wrong one by one hash. That the shares lie on
//! polynomials is shown by one random combination of the three, which each neighbour checks at its seat; that the values
//! at 0 are the published points, by the same combination at 0. Points are compared after multiplication by the cofactor,
//! so that a part of small order in one, which no honest one has, changes no answer.

use std::collections::BTreeMap;

use curve25519_dalek::{
    Scalar,
    edwards::{CompressedEdwardsY, EdwardsPoint},
    traits::{IsIdentity as _, VartimeMultiscalarMul as _},
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::group::{Group, Place, Seat};

/// Which of the three polynomials a share is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of the member's key.
    Key = 1,
    /// Of the seed of its self-mask.
    Seed = 2,
    /// Of nothing: it hides the other two in their combination.
    Blind = 3,
}

/// What a dealer publishes beside the encrypted shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// The points of the values at 0: of the key, the seed and the blind.
    pub points: [[u8; 32]; 3],
    /// For each neighbour, in order of places, the digests of its shares.
    pub digests: BTreeMap<Place, [[u8; 32]; 3]>,
    /// Coefficients of blind + d key + d² seed, lowest first, for the challenge d that all the above decides.
    pub combination: Vec<[u8; 32]>,
}

/// A sharing that was read: its points and its combination are what they should be in form.
pub(super) struct Checked {
    points: [EdwardsPoint; 3],
    combination: Polynomial,
    challenge: Scalar,
}

/// A neighbour's two shares: of the key and of the seed.
pub(super) type Shares = [Zeroizing<Scalar>; 2];

struct Polynomial(Zeroizing<Vec<Scalar>>);

/// A uniform scalar.
pub(super) fn random_scalar(random: &mut dyn RngCore) -> Zeroizing<Scalar> {
    let mut wide = Zeroizing::new([0_u8; 64]);
    random.fill_bytes(&mut *wide);
    Zeroizing::new(Scalar::from_bytes_mod_order_wide(&wide))
}

impl Polynomial {
    fn new(at_zero: &Scalar, threshold: u16, random: &mut dyn RngCore) -> Self {
        let mut coefficients = Zeroizing::new(vec![*at_zero]);
        coefficients.extend((1..threshold).map(|_| *random_scalar(random)));
        Self(coefficients)
    }

    fn at(&self, seat: Seat) -> Zeroizing<Scalar> {
        let x = Scalar::from(seat.0);
        let coefficients = self.0.iter().rev();
        Zeroizing::new(coefficients.fold(Scalar::ZERO, |value, coefficient| value * x + coefficient))
    }
}

/// The digest of a share, 45 bytes in one block of SHA-256.
pub(super) fn share_digest(kind: Kind, dealer: Place, to: Place, share: &Scalar) -> [u8; 32] {
    let mut text = Zeroizing::new([0_u8; 45]);
    text[..8].copy_from_slice(b"cw/share");
    text[8] = kind as u8;
    text[9..11].copy_from_slice(&dealer.0.to_be_bytes());
    text[11..13].copy_from_slice(&to.0.to_be_bytes());
    text[13..].copy_from_slice(share.as_bytes());
    Sha256::digest(*text).into()
}

/// Shares the two secrets among neighbours: what is published, and each neighbour's shares.
pub(super) fn deal(
    group: &Group,
    dealer: Place,
    secrets: [&Scalar; 2],
    to: &[(Place, Seat)],
    random: &mut dyn RngCore,
) -> (Sharing, Vec<Shares>) {
    let blind = random_scalar(random);
    let polynomials =
        [secrets[0], secrets[1], &*blind].map(|secret| Polynomial::new(secret, group.threshold, random));
    let mut shares = Vec::with_capacity(to.len());
    let mut digests = BTreeMap::new();
    for (place, seat) in to {
        let [key, seed, blind] = [0, 1, 2].map(|which: usize| polynomials[which].at(*seat));
        let kinds = [(Kind::Key, &key), (Kind::Seed, &seed), (Kind::Blind, &blind)];
        digests.insert(
            *place,
            kinds.map(|(kind, share)| share_digest(kind, dealer, *place, share)),
        );
        shares.push([key, seed]);
    }
    let mut sharing = Sharing {
        points: [0, 1, 2].map(|which: usize| EdwardsPoint::mul_base(&polynomials[which].0[0]).compress().0),
        digests,
        combination: Vec::new(),
    };
    let d = sharing.challenge(group, dealer);
    let [key, seed, blind] = &polynomials;
    let coefficients = key.0.iter().zip(seed.0.iter()).zip(blind.0.iter());
    let combine =
        |((key, seed), blind): ((&Scalar, &Scalar), &Scalar)| (blind + d * (key + d * seed)).to_bytes();
    sharing.combination = coefficients.map(combine).collect();
    (sharing, shares)
}

impl Sharing {
    /// The challenge: it binds the round, the dealer, the points and every digest.
    fn challenge(&self, group: &Group, dealer: Place) -> Scalar {
        let mut hash = Sha256::new_with_prefix(b"counterweight/masking/sharing/v1");
        hash.update(group.context);
        hash.update(dealer.0.to_be_bytes());
        self.points.iter().for_each(|point| hash.update(point));
        for (place, digests) in &self.digests {
            hash.update(place.0.to_be_bytes());
            digests.iter().for_each(|digest| hash.update(digest));
        }
        Scalar::from_bytes_mod_order(hash.finalize().into())
    }

    /// Nothing where a point is none, or the combination is not as many canonical scalars as the threshold.
    pub(super) fn check(&self, group: &Group, dealer: Place) -> Option<Checked> {
        if self.combination.len() != usize::from(group.threshold) {
            return None;
        }
        let [key, seed, blind] = self.points.map(|bytes| CompressedEdwardsY(bytes).decompress());
        let scalars = self.combination.iter().map(|bytes| read_scalar(*bytes));
        Some(Checked {
            points: [key?, seed?, blind?],
            combination: Polynomial(Zeroizing::new(scalars.collect::<Option<_>>()?)),
            challenge: self.challenge(group, dealer),
        })
    }

    /// The point of the key, if it is one.
    pub(super) fn key(&self) -> Option<EdwardsPoint> {
        CompressedEdwardsY(self.points[0]).decompress()
    }

    /// Whether a share is the one dealt to a place.
    pub(super) fn has(&self, kind: Kind, dealer: Place, to: Place, share: &Scalar) -> bool {
        let digests = self.digests.get(&to);
        digests.is_some_and(|digests| digests[kind as usize - 1] == share_digest(kind, dealer, to, share))
    }

    /// Whether a secret is the one whose point is published.
    pub(super) fn opens(&self, kind: Kind, secret: &Scalar) -> bool {
        let point = CompressedEdwardsY(self.points[kind as usize - 1]).decompress();
        point.is_some_and(|point| {
            (EdwardsPoint::mul_base(secret) - point)
                .mul_by_cofactor()
                .is_identity()
        })
    }
}

impl Checked {
    /// The point of the key.
    pub(super) fn key(&self) -> &EdwardsPoint {
        &self.points[0]
    }

    /// Whether a neighbour's shares are those of the digests and of the combination at its seat.
    pub(super) fn fits(
        &self,
        sharing: &Sharing,
        dealer: Place,
        (to, seat): (Place, Seat),
        [key, seed]: &Shares,
    ) -> bool {
        let d = &self.challenge;
        let blind = Zeroizing::new(*self.combination.at(seat) - d * (**key + d * **seed));
        sharing.has(Kind::Key, dealer, to, key)
            && sharing.has(Kind::Seed, dealer, to, seed)
            && sharing.has(Kind::Blind, dealer, to, &blind)
    }
}

/// Whether the combinations of all of them open to their points, all at once: with weights of 128 bits that no dealer
/// can know, wrong ones cancel with a chance of 2^-128.
pub(super) fn all_open(sharings: &[&Checked], secret: &[u8; 32]) -> bool {
    let mut random = ChaCha20Rng::from_seed(*secret);
    let mut sum = Scalar::ZERO;
    let (mut weights, mut points) = (Vec::new(), Vec::<&EdwardsPoint>::new());
    for one in sharings {
        let weight = Scalar::from(u128::from(random.next_u64()) << 64 | u128::from(random.next_u64()));
        sum += weight * one.combination.0[0];
        let d = one.challenge;
        weights.extend([weight * d, weight * d * d, weight]);
        points.extend(&one.points);
    }
    (EdwardsPoint::mul_base(&sum) - EdwardsPoint::vartime_multiscalar_mul(&weights, points))
        .mul_by_cofactor()
        .is_identity()
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

    const DEALER: Place = Place(0);

    fn group() -> Group {
        Group {
            context: [5; 32],
            size: 8,
            degree: 16,
            threshold: 4,
            fewest_survivors: 3,
            coordinates: 1,
        }
    }

    fn neighbours() -> Vec<(Place, Seat)> {
        (1..8).map(|at| (Place(at), Seat(u32::from(at)))).collect()
    }

    fn dealt(seed: u64) -> ([Scalar; 2], Sharing, Vec<Shares>) {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let secrets = [0; 2].map(|_| *random_scalar(&mut random));
        let [key, hidden] = &secrets;
        let (sharing, shares) = deal(&group(), DEALER, [key, hidden], &neighbours(), &mut random);
        (secrets, sharing, shares)
    }

    #[test]
    fn any_threshold_of_shares_gives_the_secrets_and_fewer_do_not() {
        let (secrets, sharing, shares) = dealt(1);
        for (which, kind) in [Kind::Key, Kind::Seed].into_iter().enumerate() {
            let share = |at: usize| (neighbours()[at].1, *shares[at][which]);
            for chosen in [[0, 1, 2, 3], [5, 0, 3, 6], [4, 2, 1, 0]] {
                assert_eq!(combine(&chosen.map(share)), secrets[which]);
            }
            assert_eq!(combine(&[0, 1, 2, 3, 4, 5, 6].map(share)), secrets[which]);
            assert_ne!(combine(&[0, 1, 2].map(share)), secrets[which]);
            assert!(sharing.opens(kind, &secrets[which]));
            assert!(!sharing.opens(kind, &(secrets[which] + Scalar::ONE)));
        }
    }

    #[test]
    fn every_share_fits_and_a_wrong_one_does_not() {
        let (_, sharing, shares) = dealt(2);
        let checked = sharing.check(&group(), DEALER).unwrap();
        assert!(all_open(&[&checked], &[1; 32]) && all_open(&[], &[1; 32]));
        for (own, shares) in neighbours().into_iter().zip(&shares) {
            assert!(checked.fits(&sharing, DEALER, own, shares));
            for which in 0..2 {
                let mut wrong = shares.clone();
                *wrong[which] += Scalar::ONE;
                assert!(!checked.fits(&sharing, DEALER, own, &wrong));
            }
        }
        assert!(!checked.fits(&sharing, DEALER, neighbours()[0], &shares[1]));
    }

    /// A dealer that follows the protocol in all but one thing, with a challenge over what it then publishes.
    fn cheat(
        change: impl Fn(&mut Sharing, &mut Vec<Shares>, &mut [Zeroizing<Scalar>]),
    ) -> (Sharing, Vec<Shares>) {
        let mut random = ChaCha20Rng::seed_from_u64(3);
        let group = group();
        let polynomials =
            [0; 3].map(|_| Polynomial::new(&random_scalar(&mut random), group.threshold, &mut random));
        let at = |which: usize| neighbours().into_iter().map(move |(_, seat)| (which, seat));
        let values: Vec<Vec<_>> = (0..3)
            .map(|which| {
                at(which)
                    .map(|(which, seat)| polynomials[which].at(seat))
                    .collect()
            })
            .collect();
        let mut shares: Vec<Shares> = (0..7)
            .map(|i| [values[0][i].clone(), values[1][i].clone()])
            .collect();
        let mut blinds = values[2].clone();
        let mut sharing = Sharing {
            points: [0, 1, 2]
                .map(|which: usize| EdwardsPoint::mul_base(&polynomials[which].0[0]).compress().0),
            digests: BTreeMap::new(),
            combination: Vec::new(),
        };
        change(&mut sharing, &mut shares, &mut blinds);
        for ((place, _), ([key, seed], blind)) in neighbours().into_iter().zip(shares.iter().zip(&blinds)) {
            let kinds = [(Kind::Key, key), (Kind::Seed, seed), (Kind::Blind, blind)];
            let digests = kinds.map(|(kind, share)| share_digest(kind, DEALER, place, share));
            sharing.digests.insert(place, digests);
        }
        let d = sharing.challenge(&group, DEALER);
        sharing.combination = (0..usize::from(group.threshold))
            .map(|i| {
                let [key, seed, blind] = [0, 1, 2].map(|which: usize| polynomials[which].0[i]);
                (blind + d * (key + d * seed)).to_bytes()
            })
            .collect();
        (sharing, shares)
    }

    fn who_is_refused((sharing, shares): (Sharing, Vec<Shares>)) -> Vec<u16> {
        let checked = sharing.check(&group(), DEALER).unwrap();
        let all = neighbours().into_iter().zip(&shares);
        all.filter(|(own, shares)| !checked.fits(&sharing, DEALER, *own, shares))
            .map(|((place, _), _)| place.0)
            .collect()
    }

    #[test]
    fn shares_off_the_polynomial_are_noticed_by_who_got_them_even_if_their_digests_are_theirs() {
        assert!(who_is_refused(cheat(|_, _, _| ())).is_empty());
        assert_eq!(
            who_is_refused(cheat(|_, shares, _| *shares[2][0] += Scalar::ONE)),
            [3]
        );
        assert_eq!(
            who_is_refused(cheat(|_, shares, _| *shares[6][1] += Scalar::ONE)),
            [7]
        );
        assert_eq!(
            who_is_refused(cheat(|_, _, blinds| *blinds[0] += Scalar::ONE)),
            [1]
        );
        // A blind chosen against one challenge does not fit the one that it leads to.
        let moved = cheat(|_, shares, blinds| {
            *shares[4][0] += Scalar::ONE;
            *blinds[4] -= Scalar::from(12345_u64);
        });
        assert_eq!(who_is_refused(moved), [5]);
    }

    #[test]
    fn points_of_other_secrets_are_noticed_by_everyone() {
        let other = EdwardsPoint::mul_base(&Scalar::from(9_u8)).compress().0;
        for which in 0..3 {
            let (sharing, _) = cheat(|sharing, _, _| sharing.points[which] = other);
            let wrong = sharing.check(&group(), DEALER).unwrap();
            let (right, _) = cheat(|_, _, _| ());
            let right = right.check(&group(), DEALER).unwrap();
            assert!(all_open(&[&right, &right], &[1; 32]));
            assert!(!all_open(&[&right, &wrong], &[1; 32]), "{which}");
        }
    }

    #[test]
    fn a_digest_or_the_context_changes_the_challenge() {
        let (_, sharing, _) = dealt(4);
        let challenge = sharing.challenge(&group(), DEALER);
        let mut spoilt = sharing.clone();
        spoilt.digests.get_mut(&Place(3)).unwrap()[1][0] ^= 1;
        assert_ne!(spoilt.challenge(&group(), DEALER), challenge);
        assert_ne!(sharing.challenge(&group(), Place(1)), challenge);
        let other = Group {
            context: [6; 32],
            ..group()
        };
        assert_ne!(sharing.challenge(&other, DEALER), challenge);
    }

    #[test]
    fn other_lengths_scalars_that_are_not_canonical_and_no_points_are_refused() {
        let (_, sharing, _) = dealt(5);
        let refused = |change: &dyn Fn(&mut Sharing)| {
            let mut spoilt = sharing.clone();
            change(&mut spoilt);
            spoilt.check(&group(), DEALER).is_none()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|spoilt| assert!(spoilt.combination.pop().is_some())));
        assert!(refused(&|spoilt| spoilt.combination.push([0; 32])));
        assert!(refused(&|spoilt| spoilt.combination[1] = [255; 32]));
        // About half of all strings of 32 bytes are no points.
        let refused = (0..=255).filter(|byte| refused(&|spoilt| spoilt.points[1][0] = *byte));
        assert!((64..192).contains(&refused.count()));
    }
}
