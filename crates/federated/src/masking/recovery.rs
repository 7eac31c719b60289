//! The sum, from public messages alone.

use std::collections::{BTreeMap, BTreeSet};

use curve25519_dalek::Scalar;
use rayon::prelude::*;

use super::{
    group::{Group, GroupError, Place, Seat},
    keys::{PublicKey, agree_recovered, apply_mask, self_seed},
    member::{Announcement, Dealing, Unmasking},
    sharing::{Kind, combine, read_scalar},
};

/// Why there is no sum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// The group is none.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// Fewer vectors than a sum may be opened of.
    #[error("{got} vectors, {needed} are needed")]
    TooFewSurvivors {
        /// The group's fewest.
        needed: u16,
        /// There.
        got: usize,
    },
    /// A vector of a member that dealt nothing, or dealt another key than it announced.
    #[error("place {place} uploaded and dealt no secrets that fit its key")]
    NotDealt {
        /// The place.
        place: u16,
    },
    /// A vector of another length.
    #[error("the vector of place {place} has {got} coordinates, the group sums {expected}")]
    ShapeMismatch {
        /// The place.
        place: u16,
        /// Of the group.
        expected: usize,
        /// Of the vector.
        got: usize,
    },
    /// Too few right shares to open a secret. The wrong ones are named.
    #[error("{got} right shares of place {place}, {needed} are needed; wrong ones from {wrong:?}")]
    TooFewShares {
        /// Whose secret.
        place: u16,
        /// The group's threshold.
        needed: u16,
        /// Right ones.
        got: usize,
        /// Places that published a wrong one.
        wrong: Vec<u16>,
    },
}

/// The sum of the survivors' vectors, read as signed integers. `masked` holds the survivors' vectors, all of them.
///
/// # Errors
/// [`RecoverError`].
pub fn recover(
    group: &Group,
    announced: &[Announcement],
    dealings: &[Dealing],
    masked: &BTreeMap<Place, Vec<u32>>,
    unmaskings: &[Unmasking],
) -> Result<Vec<i32>, RecoverError> {
    group.check()?;
    let needed = group.fewest_survivors;
    if masked.len() < usize::from(needed) {
        return Err(RecoverError::TooFewSurvivors {
            needed,
            got: masked.len(),
        });
    }
    let keys: BTreeMap<Place, PublicKey> = announced.iter().map(|one| (one.from, one.key)).collect();
    let dealt: BTreeMap<Place, &Dealing> = dealings
        .iter()
        .filter(|dealing| {
            let key = keys.get(&dealing.from).copied();
            key.is_some_and(|key| {
                Announcement {
                    from: dealing.from,
                    key,
                }
                .is_dealt_by(dealing)
            })
        })
        .map(|dealing| (dealing.from, dealing))
        .collect();
    for (place, vector) in masked {
        if !dealt.contains_key(place) {
            return Err(RecoverError::NotDealt { place: place.0 });
        }
        if vector.len() != group.coordinates {
            return Err(RecoverError::ShapeMismatch {
                place: place.0,
                expected: group.coordinates,
                got: vector.len(),
            });
        }
    }
    let survivors: BTreeSet<Place> = masked.keys().copied().collect();
    let everyone: Vec<Place> = dealt.keys().copied().collect();
    // Masks are words modulo 2^32: sums of parts, in any order, are the same bits.
    let zero = || vec![0_u32; group.coordinates];
    let masks = everyone
        .par_iter()
        .try_fold(zero, |mut sum, place| {
            let dealing = dealt[place];
            if survivors.contains(place) {
                let secret = open(group, dealing, Kind::Seed, unmaskings)?;
                apply_mask(&mut sum, &self_seed(group, &secret, *place), true);
                return Ok::<_, RecoverError>(sum);
            }
            let staying: Vec<Place> = group
                .neighbours(*place)
                .intersection(&survivors)
                .copied()
                .collect();
            if staying.is_empty() {
                return Ok(sum);
            }
            let secret = open(group, dealing, Kind::Key, unmaskings)?;
            for other in staying {
                let pair = agree_recovered(&secret, &keys[&other])
                    .ok_or(RecoverError::NotDealt { place: other.0 })?;
                // As the other one applied it.
                apply_mask(&mut sum, &pair.mask_seed(group, *place, other), other < *place);
            }
            Ok(sum)
        })
        .try_reduce(zero, |left, right| Ok(added(left, &right)))?;
    let mut total = zero();
    for vector in masked.values() {
        total = added(total, vector);
    }
    Ok(total
        .iter()
        .zip(masks)
        .map(|(sum, mask)| sum.wrapping_sub(mask) as i32)
        .collect())
}

/// Places whose secrets a member opened with a share that was not dealt to it.
#[must_use]
pub fn wrong_shares(group: &Group, dealings: &[Dealing], unmasking: &Unmasking) -> Vec<Place> {
    let dealt: BTreeMap<Place, &Dealing> = dealings.iter().map(|one| (one.from, one)).collect();
    let kinds = [(Kind::Key, &unmasking.keys), (Kind::Seed, &unmasking.seeds)];
    let all = kinds
        .iter()
        .flat_map(|(kind, shares)| shares.iter().map(move |(place, share)| (*kind, place, share)));
    all.filter(|(kind, place, share)| {
        let share = read_scalar(**share);
        let right = |dealing: &&Dealing| {
            share.is_some_and(|share| dealing.sharing.has(*kind, **place, unmasking.from, &share))
        };
        group.seat(**place, unmasking.from).is_none()
            || dealt.get(place).is_some_and(|dealing| !right(dealing))
    })
    .map(|(_, place, _)| *place)
    .collect()
}

fn added(mut left: Vec<u32>, right: &[u32]) -> Vec<u32> {
    for (sum, value) in left.iter_mut().zip(right) {
        *sum = sum.wrapping_add(*value);
    }
    left
}

/// A dealt secret from its published shares.
fn open(
    group: &Group,
    dealing: &Dealing,
    kind: Kind,
    unmaskings: &[Unmasking],
) -> Result<Scalar, RecoverError> {
    let right = right_shares(group, dealing, kind, unmaskings)?;
    let enough: Vec<_> = right.into_values().take(usize::from(group.threshold)).collect();
    let secret = combine(&enough);
    // The digests are the dealer's: shares that fit them and give another secret are what it dealt.
    if dealing.sharing.opens(kind, &secret) {
        Ok(secret)
    } else {
        Err(RecoverError::NotDealt {
            place: dealing.from.0,
        })
    }
}

/// The published shares of a secret that are those of their digests, by place; as many as the threshold or more.
pub(super) fn right_shares(
    group: &Group,
    dealing: &Dealing,
    kind: Kind,
    unmaskings: &[Unmasking],
) -> Result<BTreeMap<Place, (Seat, Scalar)>, RecoverError> {
    let place = dealing.from;
    let mut right = BTreeMap::new();
    let mut wrong = BTreeSet::new();
    for one in unmaskings {
        let shares = if kind == Kind::Key { &one.keys } else { &one.seeds };
        let (Some(seat), Some(bytes)) = (group.seat(place, one.from), shares.get(&place)) else {
            continue;
        };
        match read_scalar(*bytes) {
            Some(share) if dealing.sharing.has(kind, place, one.from, &share) => {
                right.insert(one.from, (seat, share));
            }
            _ => {
                wrong.insert(one.from.0);
            }
        }
    }
    if right.len() < usize::from(group.threshold) {
        return Err(RecoverError::TooFewShares {
            place: place.0,
            needed: group.threshold,
            got: right.len(),
            wrong: wrong.into_iter().collect(),
        });
    }
    Ok(right)
}
