//! Who masks with whom.

use std::collections::BTreeSet;

/// A member's place in its group, counted from 0, as the group's beacon dealt it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u16);

/// Where a dealer's polynomial is evaluated for a neighbour, counted from 1: a small number, and another one for each
/// neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat(pub(super) u32);

/// A group in one round: what every message of it is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Names the study, round and group, so that no mask is used twice: a digest over them.
    pub context: [u8; 32],
    /// Members.
    pub size: u16,
    /// Neighbours of each, an even number; all others where it is as many or more.
    pub degree: u16,
    /// Shares that open a secret: more than half the neighbours.
    pub threshold: u16,
    /// Fewest survivors whose sum a member helps to open.
    pub fewest_survivors: u16,
    /// Length of a vector.
    pub coordinates: usize,
}

/// Why a group cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Fewer than three members: two would know each other's vectors from the sum.
    #[error("a group of {size} hides nothing, at least 3 members are needed")]
    TooSmall {
        /// Members.
        size: u16,
    },
    /// An odd number of neighbours below all others, or none.
    #[error("{degree} neighbours in a group of {size}: an even number above 0, or all others")]
    Degree {
        /// Neighbours.
        degree: u16,
        /// Members.
        size: u16,
    },
    /// A threshold that two halves of the neighbours could both reach, or that all together cannot.
    #[error(
        "a threshold of {threshold} is not more than half of {neighbours} neighbours and at most all of them"
    )]
    Threshold {
        /// Shares.
        threshold: u16,
        /// Neighbours.
        neighbours: u16,
    },
    /// Fewer survivors than three or more than members.
    #[error("{fewest} survivors at least, expected from 3 to {size}")]
    Survivors {
        /// Given.
        fewest: u16,
        /// Members.
        size: u16,
    },
}

impl Group {
    /// Whether it holds together.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn check(&self) -> Result<(), GroupError> {
        let (size, degree) = (self.size, self.degree);
        if size < 3 {
            return Err(GroupError::TooSmall { size });
        }
        if degree == 0 || (degree + 1 < size && degree % 2 == 1) {
            return Err(GroupError::Degree { degree, size });
        }
        let neighbours = degree.min(size - 1);
        let threshold = self.threshold;
        if 2 * u32::from(threshold) <= u32::from(neighbours) || threshold > neighbours {
            return Err(GroupError::Threshold {
                threshold,
                neighbours,
            });
        }
        let fewest = self.fewest_survivors;
        if fewest < 3 || fewest > size {
            return Err(GroupError::Survivors { fewest, size });
        }
        Ok(())
    }

    /// Every place.
    pub fn places(&self) -> impl Iterator<Item = Place> + use<> {
        (0..self.size).map(Place)
    }

    /// The seat of a neighbour in what a place deals: steps up the ring, or half the neighbours and steps down it; in a
    /// complete group its place, counted from 1 without the dealer. Nothing for who is no neighbour.
    pub(super) fn seat(&self, dealer: Place, of: Place) -> Option<Seat> {
        let (size, from, to) = (u32::from(self.size), u32::from(dealer.0), u32::from(of.0));
        if from == to || to >= size || from >= size {
            return None;
        }
        if u32::from(self.degree) + 1 >= size {
            return Some(Seat(if to < from { to + 1 } else { to }));
        }
        let half = u32::from(self.degree / 2);
        let up = (to + size - from) % size;
        let down = size - up;
        if up <= half {
            Some(Seat(up))
        } else {
            (down <= half).then_some(Seat(half + down))
        }
    }

    /// Those a place masks and shares with: the nearest ones on the ring of places, half on each side.
    #[must_use]
    pub fn neighbours(&self, of: Place) -> BTreeSet<Place> {
        let size = u32::from(self.size);
        if u32::from(self.degree) + 1 >= size {
            return self.places().filter(|place| *place != of).collect();
        }
        let half = u32::from(self.degree / 2);
        (1..=half)
            .flat_map(|step| [step, size - step])
            .map(|step| Place(((u32::from(of.0) + step) % size) as u16))
            .collect()
    }
}

/// Bits after the binary point, at most 24, at which the sum of so many vectors, each of coordinates up to `largest` in
/// magnitude, fits 32 signed bits; none where not even whole numbers do.
#[must_use]
pub fn fraction_bits(largest: f64, members: u16) -> Option<u32> {
    // One unit each for rounding.
    let fits =
        |bits: u32| (largest * f64::from(1_u32 << bits) + 1.0) * f64::from(members) < f64::from(i32::MAX);
    (0..=24).rev().find(|bits| fits(*bits))
}
