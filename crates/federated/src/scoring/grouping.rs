//! Who is in which group.

use counterweight_primitives::ContentDigest;

/// Members of a round by group: indices of members, each group in the order it was drawn.
pub type Grouping = Vec<Vec<u32>>;

/// Why groups cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupingError {
    /// A group of nobody.
    #[error("a group has at least one member")]
    Empty,
    /// Fewer members than a group asks for.
    #[error("{members} members do not fill a group of {size}")]
    TooFew {
        /// Members of the round.
        members: usize,
        /// Of a group.
        size: usize,
    },
}

/// Groups of `size` members, drawn by the BLAKE3 digests of beacon, round and member, so that nobody chooses its company.
/// What does not fill a group joins the first ones, one each: no group is smaller than asked for, as it would hide less.
///
/// # Errors
/// [`GroupingError`].
pub fn draw_groups(
    beacon: &[u8; 32],
    round: u32,
    members: &[u32],
    size: usize,
) -> Result<Grouping, GroupingError> {
    if size == 0 {
        return Err(GroupingError::Empty);
    }
    let count = members.len() / size;
    if count == 0 {
        let members = members.len();
        return Err(GroupingError::TooFew { members, size });
    }
    let lot = |member: &u32| {
        let mut text = b"counterweight/group/v1".to_vec();
        text.extend_from_slice(beacon);
        text.extend_from_slice(&round.to_le_bytes());
        text.extend_from_slice(&member.to_le_bytes());
        ContentDigest::of(&text)
    };
    let mut lots: Vec<_> = members.iter().map(|member| (lot(member), *member)).collect();
    lots.sort_unstable();
    let mut groups = vec![Vec::with_capacity(size + 1); count];
    for (at, (_, member)) in lots.into_iter().enumerate() {
        // The first count * size fill the groups one after the other, the rest go round.
        let group = if at < count * size {
            at / size
        } else {
            (at - count * size) % count
        };
        groups[group].push(member);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn everyone_is_in_one_group_and_none_is_too_small(count in 1_u32..70, size in 1_usize..9, round: u32) {
            let members: Vec<u32> = (0..count).collect();
            let drawn = draw_groups(&[1; 32], round, &members, size);
            prop_assume!(members.len() >= size);
            let groups = drawn.unwrap();
            let everyone: BTreeSet<u32> = groups.iter().flatten().copied().collect();
            prop_assert!(everyone.into_iter().eq(members));
            prop_assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), count as usize);
            let (least, most) = (groups.iter().map(Vec::len).min(), groups.iter().map(Vec::len).max());
            prop_assert!(least >= Some(size) && most < Some(2 * size));
        }
    }

    #[test]
    fn another_round_or_beacon_draws_other_groups_in_whatever_order_members_come() {
        let members: Vec<u32> = (0..20).collect();
        let draw = |beacon, round| draw_groups(&[beacon; 32], round, &members, 4).unwrap();
        assert_ne!(draw(1, 1), draw(1, 2));
        assert_ne!(draw(1, 1), draw(2, 1));
        let backwards: Vec<u32> = (0..20).rev().collect();
        assert_eq!(draw_groups(&[1; 32], 1, &backwards, 4).unwrap(), draw(1, 1));
    }

    #[test]
    fn refuses_groups_of_nobody_and_of_more_than_there_are() {
        assert_eq!(draw_groups(&[0; 32], 1, &[1, 2], 0), Err(GroupingError::Empty));
        let few = GroupingError::TooFew { members: 2, size: 3 };
        assert_eq!(draw_groups(&[0; 32], 1, &[1, 2], 3), Err(few));
    }
}
