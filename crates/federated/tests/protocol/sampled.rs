//! Masked studies that ask a few of many members in each round.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use counterweight_federated::{
    asking::Asking,
    coordinator::{Answer, Content, Delivery, Members, Notice, StudyEvent, in_process::InProcess},
    journal::MemoryJournal,
    ledger::{
        Phase, StudyReader as _,
        masking::{MaskDealing, MaskLedger as _, MaskReader as _},
    },
    masked::{
        record::{MaskRecord, encode_dealing},
        turn::DrawnGroup,
    },
    masking::{Announcement, Member as MaskingMember, Place, roots::shares_root},
    member_set::MemberSet,
    round::Refusal,
    study::masking::Masking,
};
use counterweight_primitives::{ContentDigest, MemberIndex, Round};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use crate::{
    masked::sums_are_the_unmasked_ones,
    support::{Shape, World, account},
};

fn shape(members: u8, asked: u8) -> Shape {
    Shape {
        members,
        min_members: 3,
        rounds: 3,
        masking: Some(Masking {
            group_size: 4,
            threshold_percent: 60,
            fewest_survivors: 3,
            most_examples: 100,
            dispute_seconds: 60,
        }),
        members_per_round: Some(asked),
        ..Shape::default()
    }
}

/// Runs a study; the sizes of the groups of each round, and how many updates were refused.
fn run(world: &World, members: &mut dyn Members) -> (Vec<Vec<usize>>, usize) {
    let (mut sizes, mut refused) = (Vec::new(), 0);
    let mut watch = |event: &StudyEvent| match event {
        StudyEvent::GroupsDrawn { sizes: drawn, .. } => sizes.push(drawn.clone()),
        StudyEvent::UpdateRefused { .. } => refused += 1,
        _ => {}
    };
    let mut journal = MemoryJournal::default();
    let outcome = world.run_with(members, &world.ledger, &world.blobs, &mut journal, &mut watch);
    assert_eq!(outcome.unwrap().state.phase, Phase::Finished);
    (sizes, refused)
}

#[test]
fn sixteen_of_sixty_four_members_are_asked_in_each_round_and_summed_in_groups_of_four() {
    let world = World::new(&shape(64, 16));
    let (sizes, refused) = run(&world, &mut world.in_process(0..64));
    assert_eq!(sizes, vec![vec![4; 4]; 3]);
    assert_eq!(refused, 0);
    sums_are_the_unmasked_ones(&world, MemberSet::EMPTY);
    let state = world.ledger.study(world.study).unwrap();
    let mut took_part = BTreeSet::new();
    for record in world.ledger.rounds(world.study).unwrap() {
        let asked = Asking::default().asked(&world.terms, &state, record.round);
        assert_eq!(asked.len(), 16);
        let survivors = record.closed.unwrap().survivors;
        assert_eq!(MemberSet(survivors), asked);
        // Nobody else said anything, and the beacon alone says who sits with whom.
        let masked = world
            .ledger
            .mask_round(world.study, record.round)
            .unwrap()
            .unwrap();
        assert_eq!(masked.announced_set(), asked);
        assert_eq!(masked.unmasked_set(), asked);
        took_part.insert(survivors);
    }
    assert_eq!(took_part.len(), 3, "each round asks others");
}

/// A member that was not asked and takes part nevertheless: announces, deals as it should, and hands over a vector.
struct Uninvited<'a> {
    world: &'a World,
    members: InProcess,
    number: u8,
    round: Option<Round>,
    dealt: bool,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Uninvited<'_> {
    fn random(&self) -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(self.number.into())
    }

    fn index(&self) -> MemberIndex {
        let state = self.world.ledger.study(self.world.study).unwrap();
        let found = state
            .members
            .iter()
            .position(|it| it.account == account(self.number));
        MemberIndex(found.unwrap() as u8)
    }

    fn send(&self, round: Round, record: MaskRecord, bytes: Vec<u8>) -> Delivery {
        let answers = Arc::clone(&self.answers);
        Delivery {
            from: account(self.number),
            member: self.index(),
            round,
            content: Content::Masked(record, bytes),
            answer: Box::new(move |answer| answers.lock().unwrap().push(answer)),
        }
    }

    /// Once the groups are drawn: its dealing, and bytes in place of a vector.
    fn intrude(&mut self) -> Option<Delivery> {
        let (world, round) = (self.world, self.round?);
        let ledger = world.ledger.acting_for(account(self.number));
        let record = ledger.mask_round(world.study, round).unwrap()?;
        record.drawn.as_ref()?;
        if self.dealt {
            self.round = None;
            return Some(self.send(round, MaskRecord::Upload, b"a vector".to_vec()));
        }
        self.dealt = true;
        let setting = ledger.mask_setting(world.study).unwrap()?;
        let domain = ledger.mask_domain().unwrap();
        let groups = DrawnGroup::of_round(world.study, &record, &setting, &domain).unwrap();
        let index = self.index();
        let drawn = groups
            .iter()
            .find(|drawn| drawn.members.contains(&index))
            .unwrap();
        let announced: Vec<Announcement> = record
            .announced
            .iter()
            .filter_map(|(member, key)| {
                let from = drawn.place_of(*member)?;
                Some(Announcement { from, key: *key })
            })
            .collect();
        let mut random = self.random();
        let place = drawn.place_of(index).unwrap();
        let mut machine = MaskingMember::new(&drawn.group, place, &mut random).unwrap();
        let dealing = machine.share(&announced, &mut random).unwrap();
        let bytes = encode_dealing(&drawn.group, &dealing);
        let commitment = MaskDealing {
            member: index,
            record: ContentDigest::of(&bytes),
            shares_root: shares_root(dealing.from, &dealing.sharing),
        };
        ledger.commit_dealing(world.study, round, &commitment).unwrap();
        Some(self.send(round, MaskRecord::Dealing, bytes))
    }
}

impl Members for Uninvited<'_> {
    fn announce(&mut self, notice: &Notice) {
        self.members.announce(notice);
        let Some(open) = notice.round.filter(|open| open.round == Round(1)) else {
            return;
        };
        let world = self.world;
        let ledger = world.ledger.acting_for(account(self.number));
        let setting = ledger.mask_setting(world.study).unwrap().unwrap();
        let draft = counterweight_federated::masking::Group {
            context: [0; 32],
            size: 4,
            degree: 3,
            threshold: setting.threshold(4) as u16,
            fewest_survivors: 3,
            coordinates: setting.coordinates as usize,
        };
        let machine = MaskingMember::new(&draft, Place(0), &mut self.random()).unwrap();
        let key = machine.announcement().key;
        ledger
            .announce_key(world.study, open.round, self.index(), &key)
            .unwrap();
        self.round = Some(open.round);
    }

    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        self.intrude().or_else(|| self.members.next(wait))
    }

    fn may_grow(&self) -> bool {
        self.members.may_grow()
    }
}

/// The ledger seats whoever announces, so its neighbours need its dealing; nothing else of it counts, and they lose nothing.
#[test]
fn who_was_not_asked_and_takes_part_is_left_out_and_its_neighbours_are_not() {
    let world = World::new(&shape(12, 8));
    // Who will not be asked in the first round follows from the terms and the order of joining, which is that of numbers.
    for number in 0..12 {
        world.member(number).join().unwrap();
    }
    let state = world.ledger.study(world.study).unwrap();
    let asked = Asking::default().asked(&world.terms, &state, Round(1));
    let number = (0..12)
        .find(|index| !asked.contains(MemberIndex(*index)))
        .unwrap();
    let answers = Arc::new(Mutex::new(Vec::new()));
    let mut members = Uninvited {
        world: &world,
        members: world.in_process(0..12),
        number,
        round: None,
        dealt: false,
        answers: Arc::clone(&answers),
    };
    let (sizes, refused) = run(&world, &mut members);
    assert_eq!(sizes[0], [5, 4]);
    assert_eq!(refused, 1);
    let refusal = Refusal::NotAsked { member: number };
    assert_eq!(
        *answers.lock().unwrap(),
        [Answer::Stored, Answer::Refused(refusal)]
    );
    let record = world.ledger.rounds(world.study).unwrap().remove(0);
    assert_eq!(MemberSet(record.closed.unwrap().survivors), asked);
    sums_are_the_unmasked_ones(&world, MemberSet::EMPTY);
}
