//! Which groups a beacon draws, and what names them: the same on every machine and in `MaskedRounds`.

use counterweight_primitives::{MemberIndex, Round, StudyId, UnixSeconds};
use sha3::{Digest as _, Keccak256};

use crate::{ledger::masking::MaskDomain, member_set::MemberSet};

/// Groups of about `group_size`, in order of places: the announced members, in ascending order, shuffled after Fisher
/// and Yates with draws from the beacon, and cut into ⌊n / size⌋ consecutive parts of which the first n mod ⌊n / size⌋
/// have one more. None where fewer than a group announced.
///
/// For i from n − 1 down to 1, place i is swapped with place keccak256(beacon ‖ i) mod (i + 1), where i is 32 big-endian
/// bytes and so is the hash.
#[must_use]
pub fn draw(beacon: &[u8; 32], announced: MemberSet, group_size: u8) -> Vec<Vec<MemberIndex>> {
    let mut order: Vec<MemberIndex> = announced.iter().collect();
    for last in (1..order.len()).rev() {
        order.swap(last, draw_below(beacon, last));
    }
    let count = order.len() / usize::from(group_size.max(1));
    if count == 0 {
        return Vec::new();
    }
    let (size, longer) = (order.len() / count, order.len() % count);
    let mut rest = order.as_slice();
    (0..count)
        .map(|group| {
            let (part, after) = rest.split_at(size + usize::from(group < longer));
            rest = after;
            part.to_vec()
        })
        .collect()
}

/// keccak256(beacon ‖ last) mod (last + 1).
fn draw_below(beacon: &[u8; 32], last: usize) -> usize {
    let hash: [u8; 32] = Keccak256::new()
        .chain_update(beacon)
        .chain_update(word(last as u64))
        .finalize()
        .into();
    let modulus = last as u64 + 1;
    // At most 64 members, so nothing overflows.
    let rest = hash
        .iter()
        .fold(0_u64, |rest, byte| (rest << 8 | u64::from(*byte)) % modulus);
    rest as usize
}

/// Most members a group of this setting can have: one more member would make two groups.
#[must_use]
pub fn largest_group(group_size: u8) -> u8 {
    group_size.saturating_mul(2).saturating_sub(1).min(64)
}

/// What every message of a group is bound to: keccak256 of `abi.encode(keccak256("counterweight/masked-round/v1"),
/// chainid, contract, study, round, commitBy, group, beacon)`.
#[must_use]
pub fn context(
    domain: &MaskDomain,
    study: StudyId,
    round: Round,
    commit_by: UnixSeconds,
    group: u8,
    beacon: &[u8; 32],
) -> [u8; 32] {
    let name: [u8; 32] = Keccak256::digest(b"counterweight/masked-round/v1").into();
    let mut contract = [0; 32];
    contract[12..].copy_from_slice(&domain.contract.0);
    Keccak256::new()
        .chain_update(name)
        .chain_update(word(domain.chain))
        .chain_update(contract)
        .chain_update(word(study.0))
        .chain_update(word(u64::from(round.0)))
        .chain_update(word(commit_by.0))
        .chain_update(word(u64::from(group)))
        .chain_update(beacon)
        .finalize()
        .into()
}

fn word(value: u64) -> [u8; 32] {
    let mut word = [0; 32];
    word[24..].copy_from_slice(&value.to_be_bytes());
    word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Everyone announced is in one group, no group is smaller than asked or larger than the largest.
        #[test]
        fn a_draw_parts_the_announced(members in any::<u64>(), size in 3_u8..16, beacon in any::<[u8; 32]>()) {
            let announced = MemberSet(members);
            let groups = draw(&beacon, announced, size);
            if announced.len() < usize::from(size) {
                prop_assert!(groups.is_empty());
            } else {
                let drawn: MemberSet = groups.iter().flatten().copied().collect();
                prop_assert_eq!(drawn, announced);
                prop_assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), announced.len());
                let sizes = usize::from(size)..=usize::from(largest_group(size));
                prop_assert!(groups.iter().all(|group| sizes.contains(&group.len())));
            }
        }
    }

    #[test]
    fn another_beacon_draws_other_groups() {
        let drawn = |byte| draw(&[byte; 32], MemberSet::first(12), 4);
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
