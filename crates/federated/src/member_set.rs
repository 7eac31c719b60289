//! Which members of a study: the bit set that the contract keeps.

use std::fmt;

use counterweight_primitives::MemberIndex;

/// Members a study has at most, since a set of them is 64 bits on the chain.
pub const MEMBERS_MAX: usize = 64;

/// A set of members, bit i standing for member i. Iterates in the order of their indices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MemberSet(pub u64);

impl MemberSet {
    /// No member.
    pub const EMPTY: Self = Self(0);

    /// Members `0..count`; `count` above 64 counts as 64.
    #[must_use]
    pub fn first(count: usize) -> Self {
        match count {
            0 => Self(0),
            1..MEMBERS_MAX => Self((1 << count) - 1),
            _ => Self(u64::MAX),
        }
    }

    /// Whether a member is in it. A member beyond 63 is in no set.
    #[must_use]
    pub fn contains(self, member: MemberIndex) -> bool {
        usize::from(member.0) < MEMBERS_MAX && self.0 >> member.0 & 1 == 1
    }

    /// Adds a member; one beyond 63 is left out.
    pub fn insert(&mut self, member: MemberIndex) {
        if usize::from(member.0) < MEMBERS_MAX {
            self.0 |= 1 << member.0;
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, member: MemberIndex) {
        if usize::from(member.0) < MEMBERS_MAX {
            self.0 &= !(1 << member.0);
        }
    }

    /// Number of members in it.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nobody is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of its members are in `other` too.
    #[must_use]
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Its members, in ascending order.
    pub fn iter(self) -> impl Iterator<Item = MemberIndex> {
        (0..MEMBERS_MAX as u8)
            .map(MemberIndex)
            .filter(move |member| self.contains(*member))
    }
}

impl FromIterator<MemberIndex> for MemberSet {
    fn from_iter<T: IntoIterator<Item = MemberIndex>>(members: T) -> Self {
        let mut set = Self::EMPTY;
        members.into_iter().for_each(|member| set.insert(member));
        set
    }
}

impl fmt::Debug for MemberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|member| member.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in_and_nothing_beyond_sixty_three() {
        let set: MemberSet = [MemberIndex(63), MemberIndex(0), MemberIndex(64)]
            .into_iter()
            .collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [MemberIndex(0), MemberIndex(63)]);
        assert!(!set.contains(MemberIndex(64)));
        assert_eq!((MemberSet::first(64).len(), MemberSet::first(3).0), (64, 7));
        assert!(MemberSet::first(3).is_subset(MemberSet::first(4)));
        assert!(!MemberSet::first(4).is_subset(MemberSet::first(3)));
    }
}
