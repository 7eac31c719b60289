//! Whole rounds, with members lost at each step and liars.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use super::{
    Announcement, Dealing, Group, GroupError, MaskError, Member, Place, PublicKey, RecoverError, Unmasking,
    fraction_bits, recover,
    sharing::{Kind, share_digest},
};

const COORDINATES: usize = 37;

fn group(size: u16, degree: u16) -> Group {
    let neighbours = degree.min(size - 1);
    Group {
        context: [3; 32],
        size,
        degree,
        threshold: neighbours / 2 + 1,
        fewest_survivors: 3,
        coordinates: COORDINATES,
    }
}

fn vector(of: Place) -> Vec<i32> {
    let mut random = ChaCha20Rng::seed_from_u64(1000 + u64::from(of.0));
    (0..COORDINATES)
        .map(|_| (random.next_u32() as i32) >> 6)
        .collect()
}

fn plain(of: &BTreeSet<Place>) -> Vec<i32> {
    (0..COORDINATES)
        .map(|at| of.iter().map(|place| vector(*place)[at]).sum())
        .collect()
}

/// Places that leave before each step.
#[derive(Debug, Clone, Default)]
struct Lost {
    announcing: BTreeSet<u16>,
    dealing: BTreeSet<u16>,
    uploading: BTreeSet<u16>,
    unmasking: BTreeSet<u16>,
}

/// A round as far as it came.
struct Run {
    group: Group,
    announced: Vec<Announcement>,
    dealings: Vec<Dealing>,
    masked: BTreeMap<Place, Vec<u32>>,
    unmaskings: Vec<Unmasking>,
    members: BTreeMap<Place, Member>,
}

impl Run {
    fn recover(&self) -> Result<Vec<i32>, RecoverError> {
        recover(
            &self.group,
            &self.announced,
            &self.dealings,
            &self.masked,
            &self.unmaskings,
        )
    }

    fn survivors(&self) -> BTreeSet<Place> {
        self.masked.keys().copied().collect()
    }
}

fn run(group: &Group, lost: &Lost) -> Result<Run, MaskError> {
    let mut random = ChaCha20Rng::seed_from_u64(7);
    let mut members = BTreeMap::new();
    for place in group.places().filter(|place| !lost.announcing.contains(&place.0)) {
        members.insert(place, Member::new(group, place, &mut random)?);
    }
    let announced: Vec<_> = members.values().map(Member::announcement).collect();
    let mut dealings = Vec::new();
    members.retain(|place, _| !lost.dealing.contains(&place.0));
    for member in members.values_mut() {
        dealings.push(member.share(&announced, &mut random)?);
    }
    let mut masked = BTreeMap::new();
    members.retain(|place, _| !lost.uploading.contains(&place.0));
    for (place, member) in &mut members {
        masked.insert(*place, member.mask(&vector(*place), &dealings)?);
    }
    let survivors: BTreeSet<Place> = masked.keys().copied().collect();
    let mut unmaskings = Vec::new();
    for (place, member) in &mut members {
        if !lost.unmasking.contains(&place.0) {
            unmaskings.push(member.unmask(&survivors)?);
        }
    }
    Ok(Run {
        group: group.clone(),
        announced,
        dealings,
        masked,
        unmaskings,
        members,
    })
}

fn complete() -> Run {
    run(&group(7, 16), &Lost::default()).unwrap()
}

#[test]
fn with_none_one_and_the_most_losses_at_each_step_the_sum_is_the_plain_one_bit_for_bit() {
    // Complete: of 9, thresholds of 5 neighbours leave room for 3 losses while six remain. Ring: 14 with 6 neighbours.
    for (group, most) in [(group(9, 16), 3), (group(14, 6), 2)] {
        for count in [0, 1, most] {
            // On the ring two next to each other hurt most.
            let leave: BTreeSet<u16> = (0..count).map(|at| 2 + at).collect();
            for step in 0..4 {
                let mut lost = Lost::default();
                let at = [
                    &mut lost.announcing,
                    &mut lost.dealing,
                    &mut lost.uploading,
                    &mut lost.unmasking,
                ];
                *at.into_iter().nth(step).unwrap() = leave.clone();
                let run = run(&group, &lost).unwrap_or_else(|error| panic!("{step} {count}: {error}"));
                let expected = if step == 3 { group.size } else { group.size - count };
                assert_eq!(run.masked.len(), usize::from(expected));
                assert_eq!(
                    run.recover(),
                    Ok(plain(&run.survivors())),
                    "{step} {count} {}",
                    group.size
                );
            }
        }
    }
}

#[test]
fn one_loss_more_than_the_most_aborts_and_opens_nothing() {
    // Complete of 9 with threshold 5: a member that stays needs 5 staying neighbours, so at most 3 may leave.
    let group = group(9, 16);
    let leave: BTreeSet<u16> = (0..4).collect();
    let few = MaskError::TooFewNeighbours { needed: 5, got: 4 };
    let at = |change: &dyn Fn(&mut Lost)| {
        let mut lost = Lost::default();
        change(&mut lost);
        run(&group, &lost)
    };
    assert_eq!(
        at(&|lost| lost.announcing = leave.clone()).err(),
        Some(few.clone())
    );
    assert_eq!(at(&|lost| lost.dealing = leave.clone()).err(), Some(few.clone()));
    assert_eq!(at(&|lost| lost.uploading = leave.clone()).err(), Some(few));
    // At the last step five answers open everything about those who answered four times only.
    let run = at(&|lost| lost.unmasking = (0..5).collect()).unwrap();
    assert!(matches!(
        run.recover(),
        Err(RecoverError::TooFewShares { needed: 5, .. })
    ));
}

#[test]
fn fewer_members_than_the_group_allows_abort() {
    let mut group = group(9, 16);
    group.fewest_survivors = 8;
    let lost = Lost {
        uploading: BTreeSet::from([1, 2]),
        ..Lost::default()
    };
    assert_eq!(
        run(&group, &lost).err(),
        Some(MaskError::TooFewMembers { needed: 8, got: 7 })
    );
    let mut run = run(&group, &Lost::default()).unwrap();
    run.masked.retain(|place, _| place.0 > 1);
    assert_eq!(
        run.recover(),
        Err(RecoverError::TooFewSurvivors { needed: 8, got: 7 })
    );
}

#[test]
fn a_masked_vector_is_not_the_vector_and_two_rounds_share_no_mask() {
    let group = group(5, 16);
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let mut upload = |context| {
        let group = Group {
            context: [context; 32],
            ..group.clone()
        };
        let mut members: Vec<_> = group
            .places()
            .map(|place| Member::new(&group, place, &mut random).unwrap())
            .collect();
        let announced: Vec<_> = members.iter().map(Member::announcement).collect();
        let dealings: Vec<_> = members
            .iter_mut()
            .map(|member| member.share(&announced, &mut random).unwrap())
            .collect();
        members[0].mask(&[0; COORDINATES], &dealings).unwrap()
    };
    let (one, other) = (upload(1), upload(2));
    let same = |a: &[u32], b: &[u32]| a.iter().zip(b).filter(|(a, b)| a == b).count();
    assert!(same(&one, &[0; COORDINATES]) < 2 && same(&one, &other) < 2);
}

#[test]
fn never_both_kinds_of_share_for_one_peer() {
    let group = group(9, 16);
    let lost = Lost {
        uploading: BTreeSet::from([4]),
        ..Lost::default()
    };
    let mut run = run(&group, &lost).unwrap();
    for one in &run.unmaskings {
        assert!(one.seeds.keys().all(|place| !one.keys.contains_key(place)));
        assert_eq!(one.keys.keys().copied().collect::<Vec<_>>(), [Place(4)]);
    }
    // A second set of survivors, larger or smaller, is never answered; the first one is, with the same shares.
    let survivors = run.survivors();
    let first = run.unmaskings[0].clone();
    let member = run.members.get_mut(&first.from).unwrap();
    for change in [&[4][..], &[]] {
        let mut other: BTreeSet<Place> = survivors
            .iter()
            .copied()
            .chain(change.iter().copied().map(Place))
            .collect();
        if change.is_empty() {
            other.remove(&Place(8));
        }
        assert_eq!(member.unmask(&other), Err(MaskError::AnsweredBefore));
    }
    assert_eq!(member.unmask(&survivors), Ok(first));
}

#[test]
fn who_uploaded_does_not_help_to_be_counted_out_nor_strangers_in() {
    let group = group(7, 16);
    let lost = Lost {
        dealing: BTreeSet::from([6]),
        unmasking: (0..7).collect(),
        ..Lost::default()
    };
    let mut run = run(&group, &lost).unwrap();
    let survivors = run.survivors();
    let member = run.members.get_mut(&Place(0)).unwrap();
    let without: BTreeSet<Place> = survivors.iter().copied().filter(|place| place.0 != 0).collect();
    assert_eq!(
        member.unmask(&without),
        Err(MaskError::Survivors {
            place: 0,
            took_part: true
        })
    );
    let with: BTreeSet<Place> = survivors.iter().copied().chain([Place(6)]).collect();
    assert_eq!(
        member.unmask(&with),
        Err(MaskError::Survivors {
            place: 6,
            took_part: false
        })
    );
    assert!(member.unmask(&survivors).is_ok());
}

#[test]
fn steps_out_of_turn_are_refused() {
    let group = group(4, 16);
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let mut member = Member::new(&group, Place(0), &mut random).unwrap();
    assert_eq!(
        member.mask(&[0; COORDINATES], &[]),
        Err(MaskError::OutOfTurn { step: "masking" })
    );
    assert_eq!(
        member.unmask(&BTreeSet::new()),
        Err(MaskError::OutOfTurn { step: "unmasking" })
    );
    let mut run = run(&group, &Lost::default()).unwrap();
    let member = run.members.get_mut(&Place(0)).unwrap();
    assert_eq!(
        member.share(&run.announced, &mut random),
        Err(MaskError::OutOfTurn { step: "sharing" })
    );
    assert_eq!(
        member.mask(&vector(Place(0)), &run.dealings),
        Err(MaskError::OutOfTurn { step: "masking" })
    );
}

/// Each spoils one message in an otherwise valid round, and the member names its sender.
#[test]
fn a_spoilt_message_is_refused_and_named() {
    let group = group(5, 16);
    let mut random = ChaCha20Rng::seed_from_u64(9);
    let mut members: Vec<_> = group
        .places()
        .map(|place| Member::new(&group, place, &mut random).unwrap())
        .collect();
    let announced: Vec<_> = members.iter().map(Member::announcement).collect();
    let shared = |change: &dyn Fn(&mut Vec<Announcement>)| {
        let mut random = ChaCha20Rng::seed_from_u64(9);
        let mut member = Member::new(&group, Place(0), &mut random).unwrap();
        let mut announced = announced.clone();
        change(&mut announced);
        member.share(&announced, &mut random).err()
    };
    assert_eq!(shared(&|_| ()), None);
    assert_eq!(
        shared(&|all| all[2].key = PublicKey([0; 32])),
        Some(MaskError::WeakKey { place: 2 })
    );
    assert_eq!(
        shared(&|all| all[0].key = all[1].key),
        Some(MaskError::OtherMessage { place: 0 })
    );
    assert_eq!(
        shared(&|all| all.push(all[3])),
        Some(MaskError::OtherMessage { place: 3 })
    );
    assert_eq!(
        shared(&|all| all[4].from = Place(5)),
        Some(MaskError::NoSuchPlace { place: 5, size: 5 })
    );
    assert_eq!(
        shared(&|all| all.truncate(2)),
        Some(MaskError::TooFewMembers { needed: 3, got: 2 })
    );

    let dealings: Vec<_> = members
        .iter_mut()
        .map(|member| member.share(&announced, &mut random).unwrap())
        .collect();
    let mut member = members.remove(0);
    let wrong = Some(MaskError::WrongDealing { place: 2 });
    let mut masked = |change: &dyn Fn(&mut Vec<Dealing>)| {
        let mut dealings = dealings.clone();
        change(&mut dealings);
        member.mask(&[0; COORDINATES], &dealings).err()
    };
    assert_eq!(
        masked(&|all| all[2].shares.get_mut(&Place(0)).unwrap()[5] ^= 1),
        wrong
    );
    assert_eq!(
        masked(&|all| all[2].shares.get_mut(&Place(0)).unwrap()[40] ^= 1),
        wrong
    );
    assert_eq!(
        masked(&|all| assert!(all[2].shares.remove(&Place(0)).is_some())),
        wrong
    );
    for which in 0..3 {
        assert_eq!(
            masked(&|all| all[2].sharing.points[which] = all[1].sharing.points[which]),
            wrong
        );
        assert_eq!(
            masked(&|all| all[2].sharing.digests.get_mut(&Place(0)).unwrap()[which][9] ^= 1),
            wrong
        );
    }
    for coefficient in 0..3 {
        assert_eq!(
            masked(&|all| all[2].sharing.combination[coefficient][3] ^= 1),
            wrong
        );
    }
    assert_eq!(
        masked(&|all| assert!(all[2].sharing.combination.pop().is_some())),
        wrong
    );
    assert_eq!(
        masked(&|all| all[0].sharing.combination.swap(0, 1)),
        Some(MaskError::OtherMessage { place: 0 })
    );
    assert_eq!(
        masked(&|all| all.push(all[1].clone())),
        Some(MaskError::OtherMessage { place: 1 })
    );
    // What is spoilt for another member only is that member's to find.
    assert_eq!(
        masked(&|all| all[2].shares.get_mut(&Place(1)).unwrap()[5] ^= 1),
        None
    );
}

#[test]
fn wrong_shares_are_left_out_and_named_where_too_few_remain() {
    let mut run = complete();
    let expected = plain(&run.survivors());
    let spoil = |run: &mut Run, count: usize| {
        for one in &mut run.unmaskings[..count] {
            one.seeds.values_mut().for_each(|share| share[0] ^= 1);
        }
    };
    // Of six shares of each seed four are needed.
    spoil(&mut run, 2);
    assert_eq!(run.recover(), Ok(expected));
    run = complete();
    spoil(&mut run, 3);
    let Err(RecoverError::TooFewShares {
        needed: 4,
        got,
        wrong,
        ..
    }) = run.recover()
    else {
        panic!()
    };
    assert!(got < 4 && !wrong.is_empty() && wrong.iter().all(|place| *place < 3));
}

/// A dealer and a neighbour in league: the digest is of the share, the share is off the polynomial.
#[test]
fn a_dealer_whose_published_shares_give_another_secret_is_named() {
    let mut run = complete();
    let (dealer, friend) = (Place(5), Place(1));
    let share = run.unmaskings[1].seeds.get_mut(&dealer).unwrap();
    share[0] ^= 1;
    let off = super::sharing::read_scalar(*share).unwrap();
    let digests = run.dealings[5].sharing.digests.get_mut(&friend).unwrap();
    digests[1] = share_digest(Kind::Seed, dealer, friend, &off);
    assert_eq!(run.recover(), Err(RecoverError::NotDealt { place: 5 }));
}

#[test]
fn a_vector_of_somebody_who_dealt_nothing_or_of_another_length_is_no_part_of_a_sum() {
    let mut run = complete();
    run.dealings.remove(3);
    assert_eq!(run.recover(), Err(RecoverError::NotDealt { place: 3 }));
    let mut run = complete();
    run.masked.get_mut(&Place(1)).unwrap().pop();
    let expected = RecoverError::ShapeMismatch {
        place: 1,
        expected: COORDINATES,
        got: COORDINATES - 1,
    };
    assert_eq!(run.recover(), Err(expected));
    let mut run = complete();
    run.masked.get_mut(&Place(1)).unwrap()[0] ^= 1;
    assert_ne!(run.recover(), Ok(plain(&run.survivors())));
}

#[test]
fn groups_that_hide_nothing_or_cannot_open_are_none() {
    let base = group(10, 4);
    let check = |change: &dyn Fn(&mut Group)| {
        let mut group = base.clone();
        change(&mut group);
        group.check()
    };
    assert_eq!(check(&|_| ()), Ok(()));
    assert_eq!(
        check(&|group| group.size = 2),
        Err(GroupError::TooSmall { size: 2 })
    );
    assert_eq!(
        check(&|group| group.degree = 3),
        Err(GroupError::Degree { degree: 3, size: 10 })
    );
    assert_eq!(
        check(&|group| group.degree = 0),
        Err(GroupError::Degree { degree: 0, size: 10 })
    );
    for threshold in [2, 5] {
        let expected = GroupError::Threshold {
            threshold,
            neighbours: 4,
        };
        assert_eq!(check(&|group| group.threshold = threshold), Err(expected));
    }
    for fewest in [2, 11] {
        let expected = GroupError::Survivors { fewest, size: 10 };
        assert_eq!(check(&|group| group.fewest_survivors = fewest), Err(expected));
    }
}

#[test]
fn neighbours_are_mutual_and_as_many_as_asked() {
    for (size, degree) in [(10, 4), (5, 16), (100, 20), (7, 6)] {
        let group = group(size, degree);
        for place in group.places() {
            let neighbours = group.neighbours(place);
            assert_eq!(neighbours.len(), usize::from(degree.min(size - 1)));
            assert!(!neighbours.contains(&place));
            // Seats are 1 to as many, one each, and only neighbours have one.
            let seats = group
                .places()
                .filter_map(|other| Some((group.seat(place, other)?.0, other)));
            let seats: BTreeMap<u32, Place> = seats.collect();
            assert!(seats.keys().copied().eq(1..=u32::from(degree.min(size - 1))));
            assert_eq!(seats.into_values().collect::<BTreeSet<_>>(), neighbours);
            assert!(
                neighbours
                    .iter()
                    .all(|other| group.neighbours(*other).contains(&place))
            );
        }
    }
}

#[test]
fn as_many_fraction_bits_as_the_sum_has_room_for() {
    assert_eq!(fraction_bits(1.0, 1), Some(24));
    assert_eq!(fraction_bits(10.0, 32), Some(22));
    assert_eq!(fraction_bits(127.0, 64), Some(18));
    assert_eq!(fraction_bits(f64::MAX, 64), None);
    assert_eq!(fraction_bits(f64::NAN, 64), None);
}

proptest! {
    /// Whoever leaves whenever: either the plain sum of those who uploaded, or an error, and never another sum.
    #[test]
    fn any_losses_give_the_plain_sum_or_none(
        size in 4_u16..9,
        ring in any::<bool>(),
        lost in proptest::collection::vec((0_u16..9, 0_u8..8), 0..4),
    ) {
        let group = group(size, if ring { 4 } else { 16 });
        let mut all = Lost::default();
        for (place, step) in lost {
            match step {
                0 => all.announcing.insert(place),
                1 => all.dealing.insert(place),
                2 => all.uploading.insert(place),
                3 => all.unmasking.insert(place),
                _ => false,
            };
        }
        if let Ok(run) = run(&group, &all) && let Ok(sum) = run.recover() {
            prop_assert_eq!(sum, plain(&run.survivors()));
        }
    }
}
