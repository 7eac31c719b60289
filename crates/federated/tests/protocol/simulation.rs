//! Whole studies in one process: crashes at every step, lost members, liars, and the same model every time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use counterweight_federated::{
    coordinator::{
        Answer, Content, Delivery, Members, Notice, StudyEvent, StudyOutcome, in_process::InProcess,
    },
    journal::MemoryJournal,
    ledger::{LedgerError, Phase, StudyLedger as _, StudyReader as _},
    round::{Absence, Refusal},
};
use counterweight_primitives::{MemberIndex, Round};
use counterweight_provenance::{ledger::ConsentLedger as _, purpose::PurposeSet};

use crate::{
    faults::{Faults, FaultyBlobs, FaultyJournal, FaultyLedger, SilentLedger, When},
    support::{Shape, World},
};

pub(crate) fn reference() -> StudyOutcome {
    let world = World::new(&Shape::default());
    world.run(&mut world.in_process(0..4)).unwrap()
}

#[test]
fn a_study_runs_to_its_end_and_its_record_says_so() {
    let outcome = reference();
    assert_eq!(outcome.state.phase, Phase::Finished);
    assert_eq!(outcome.state.result, Some(outcome.result));
    assert_eq!(outcome.model.digest(), outcome.result);
    assert_eq!(outcome.rounds.len(), 3);
    assert!(
        outcome
            .rounds
            .iter()
            .all(|round| round.survivors.len() == 4 && round.absent.is_empty())
    );
    assert!(
        outcome
            .contributions
            .iter()
            .any(|(share, _)| share.millionths() > 0)
    );
    let losses: Vec<_> = outcome
        .rounds
        .iter()
        .map(|r| r.value.as_ref().unwrap().loss_nano)
        .collect();
    assert!(losses[2] < losses[0], "{losses:?}");
}

#[test]
fn the_order_of_joining_and_of_arrival_changes_nothing() {
    let expected = reference();
    for order in [[3, 1, 0, 2], [2, 3, 1, 0]] {
        let world = World::new(&Shape::default());
        let outcome = world.run(&mut world.in_process(order)).unwrap();
        assert_eq!(outcome.result, expected.result, "{order:?}");
    }
}

/// Runs a study that dies at one call, and again without faults; what it comes to, and how many calls the first made.
fn killed_at(call: u64, when: When) -> (StudyOutcome, u64) {
    let world = World::new(&Shape::default());
    let journal = Arc::new(Mutex::new(MemoryJournal::default()));
    let faults = Faults::at(call, when);
    let run = |faults: Arc<Faults>| {
        let ledger = FaultyLedger {
            inner: world.ledger.clone(),
            faults: faults.clone(),
        };
        let blobs = FaultyBlobs {
            inner: world.blobs.clone(),
            faults: faults.clone(),
        };
        let mut notes = FaultyJournal::new(journal.clone(), faults);
        world.run_with(
            &mut world.in_process(0..4),
            &ledger,
            &blobs,
            &mut notes,
            &mut |_| (),
        )
    };
    let first = run(faults.clone());
    let calls = faults.calls();
    match first {
        Ok(outcome) => (outcome, calls),
        Err(_) => (run(Faults::at(u64::MAX, When::Before)).unwrap(), calls),
    }
}

#[test]
fn a_coordinator_killed_at_any_step_resumes_to_the_same_model() {
    let expected = reference();
    let (_, calls) = killed_at(u64::MAX, When::Before);
    assert!(calls > 30, "{calls} calls");
    for call in 0..calls {
        for when in [When::Before, When::After] {
            let (outcome, _) = killed_at(call, when);
            assert_eq!(outcome.result, expected.result, "call {call} {when:?}");
            assert_eq!(outcome.evidence, expected.evidence, "call {call} {when:?}");
            assert_eq!(
                outcome.contributions, expected.contributions,
                "call {call} {when:?}"
            );
        }
    }
}

/// Members of which some say nothing, or lie.
pub(crate) struct Tampered<F> {
    inner: InProcess,
    tamper: F,
    queue: Vec<Delivery>,
    answers: Arc<Mutex<Vec<(MemberIndex, Answer)>>>,
}

impl<F: FnMut(Delivery) -> Vec<Delivery>> Tampered<F> {
    pub(crate) fn new(inner: InProcess, tamper: F) -> Self {
        Self {
            inner,
            tamper,
            queue: Vec::new(),
            answers: Arc::default(),
        }
    }

    fn refusals(&self) -> Vec<(u8, Refusal)> {
        let answers = self.answers.lock().unwrap();
        let refused = answers.iter().filter_map(|(member, answer)| match answer {
            Answer::Refused(refusal) => Some((member.0, refusal.clone())),
            _ => None,
        });
        refused.collect()
    }
}

impl<F: FnMut(Delivery) -> Vec<Delivery>> Members for Tampered<F> {
    fn announce(&mut self, notice: &Notice) {
        self.inner.announce(notice);
    }
    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        if self.queue.is_empty() {
            let delivery = self.inner.next(wait)?;
            self.queue = (self.tamper)(delivery);
            self.queue.reverse();
        }
        let delivery = self.queue.pop()?;
        let (answers, member) = (self.answers.clone(), delivery.member);
        let answer = Box::new(move |answer| answers.lock().unwrap().push((member, answer)));
        Some(Delivery { answer, ..delivery })
    }
    fn may_grow(&self) -> bool {
        self.inner.may_grow()
    }
}

fn copy(delivery: &Delivery) -> Delivery {
    Delivery {
        from: delivery.from,
        member: delivery.member,
        round: delivery.round,
        content: delivery.content.clone(),
        answer: Box::new(|_| ()),
    }
}

#[test]
fn a_member_that_falls_silent_is_left_out_at_the_deadline_and_named() {
    let world = World::new(&Shape::default());
    let mut members = Tampered::new(world.in_process(0..4), |delivery| {
        let lost = delivery.member.0 == 2 && delivery.round == Round(2);
        if lost { Vec::new() } else { vec![delivery] }
    });
    let outcome = world.run(&mut members).unwrap();
    assert_eq!(
        outcome.rounds[1].absent,
        [(MemberIndex(2), Absence::NeverUploaded)]
    );
    assert_eq!(outcome.rounds[1].survivors, [0, 1, 3].map(MemberIndex));
    assert_eq!(outcome.rounds[2].survivors.len(), 4);
    assert_eq!(outcome.state.members[2].survived, 2);
}

#[test]
fn a_round_without_a_quorum_expires_and_is_opened_again() {
    let world = World::new(&Shape {
        min_members: 4,
        ..Shape::default()
    });
    let mut lost = 1;
    let mut members = Tampered::new(world.in_process(0..4), |delivery| {
        if delivery.member.0 == 2 && delivery.round == Round(2) && lost > 0 {
            lost -= 1;
            return Vec::new();
        }
        vec![delivery]
    });
    let mut expired = Vec::new();
    let outcome = world
        .run_with(
            &mut members,
            &world.ledger,
            &world.blobs,
            &mut MemoryJournal::default(),
            &mut |event| {
                if let StudyEvent::RoundExpired { round, absent } = event {
                    expired.push((*round, absent.clone()));
                }
            },
        )
        .unwrap();
    assert_eq!(
        expired,
        [(Round(2), vec![(MemberIndex(2), Absence::NeverUploaded)])]
    );
    assert_eq!(outcome.result, reference().result);
}

#[test]
fn duplicates_replays_and_garbled_updates_change_nothing() {
    let world = World::new(&Shape::default());
    let mut first_round = Vec::new();
    let mut members = Tampered::new(world.in_process(0..4), |delivery| {
        let mut all = Vec::new();
        if delivery.round == Round(1) {
            first_round.push(copy(&delivery));
        }
        if delivery.round == Round(2) {
            // A replay as it was, and one that claims the open round.
            let old = &first_round[usize::from(delivery.member.0)];
            all.push(copy(old));
            all.push(Delivery {
                round: Round(2),
                ..copy(old)
            });
            // Garbled on the way, cut off, and in another member's name.
            let Content::Update(bytes) = &delivery.content else {
                panic!("an update")
            };
            let mut garbled = bytes.clone();
            let last = garbled.len() - 1;
            garbled[last] ^= 1;
            all.push(Delivery {
                content: Content::Update(garbled),
                ..copy(&delivery)
            });
            all.push(Delivery {
                content: Content::Update(bytes[..last].to_vec()),
                ..copy(&delivery)
            });
            all.push(Delivery {
                member: MemberIndex((delivery.member.0 + 1) % 4),
                ..copy(&delivery)
            });
            all.push(Delivery {
                member: MemberIndex(9),
                ..copy(&delivery)
            });
        }
        all.push(copy(&delivery));
        all.push(delivery);
        all
    });
    let outcome = world.run(&mut members).unwrap();
    assert_eq!(outcome.result, reference().result);
    let refusals = members.refusals();
    // The ninth is the duplicate of the last update of round 1, which comes when that round is over.
    let count = |wanted: fn(&Refusal) -> bool| refusals.iter().filter(|(_, refusal)| wanted(refusal)).count();
    assert_eq!(
        count(|r| matches!(r, Refusal::WrongRound { expected: 2, got: 1 })),
        9,
        "{refusals:?}"
    );
    assert_eq!(
        count(|r| matches!(r, Refusal::NotTheCommitted { .. })),
        8,
        "{refusals:?}"
    );
    assert_eq!(
        count(|r| matches!(r, Refusal::NotAMember { .. })),
        8,
        "{refusals:?}"
    );
}

#[test]
fn a_member_whose_consent_is_withdrawn_sits_out_and_says_why() {
    let world = World::new(&Shape::default());
    let steward = world.ledger.acting_for(crate::support::account(1));
    let dataset = world.datasets[1];
    let mut members = Tampered::new(world.in_process(0..4), |delivery| {
        if delivery.round == Round(1) && delivery.member.0 == 3 {
            steward
                .revoke(dataset, PurposeSet::from_names(["research"]).unwrap())
                .unwrap();
        }
        vec![delivery]
    });
    let outcome = world.run(&mut members).unwrap();
    assert_eq!(outcome.rounds[0].survivors.len(), 4);
    for round in &outcome.rounds[1..] {
        assert_eq!(round.survivors, [0, 2, 3].map(MemberIndex));
        let [(MemberIndex(1), Absence::Declined { reason })] = round.absent.as_slice() else {
            panic!("{:?}", round.absent)
        };
        assert!(reason.contains("does not allow research"), "{reason}");
    }
}

#[test]
fn a_dataset_without_consent_never_joins() {
    let world = World::new(&Shape::default());
    let steward = world.ledger.acting_for(crate::support::account(1));
    steward
        .revoke(world.datasets[1], PurposeSet::from_names(["research"]).unwrap())
        .unwrap();
    let mut members = world.in_process(0..4);
    let outcome = world.run(&mut members).unwrap();
    assert_eq!(outcome.state.members.len(), 3);
    let [(1, refused)] = members.refused() else {
        panic!("{:?}", members.refused())
    };
    assert!(
        refused.to_string().contains("does not allow research"),
        "{refused}"
    );
}

#[test]
fn a_ledger_that_is_down_for_a_while_is_waited_for() {
    let world = World::new(&Shape::default());
    let flaky = SilentLedger::new(world.ledger.clone(), 5);
    let mut silent = 0;
    let outcome = world
        .run_with(
            &mut world.in_process(0..4),
            &flaky,
            &world.blobs,
            &mut MemoryJournal::default(),
            &mut |event| silent += u32::from(matches!(event, StudyEvent::LedgerSilent { .. })),
        )
        .unwrap();
    assert_eq!(outcome.result, reference().result);
    assert!(silent > 0);
}

#[test]
fn a_ledger_that_stays_down_ends_the_run_with_an_error_that_says_so() {
    let world = World::new(&Shape::default());
    let flaky = SilentLedger::new(world.ledger.clone(), u64::MAX);
    let error = world
        .run_with(
            &mut world.in_process(0..4),
            &flaky,
            &world.blobs,
            &mut MemoryJournal::default(),
            &mut |_| (),
        )
        .unwrap_err();
    assert!(error.is_retryable());
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "the ledger cannot be reached");
    let outcome = world.run(&mut world.in_process(0..4)).unwrap();
    assert_eq!(outcome.result, reference().result);
}

#[test]
fn a_finished_study_is_read_back_and_not_run_again() {
    let world = World::new(&Shape::default());
    let first = world.run(&mut world.in_process(0..4)).unwrap();
    struct Nobody;
    impl Members for Nobody {
        fn announce(&mut self, _: &Notice) {}
        fn next(&mut self, _: Duration) -> Option<Delivery> {
            panic!("nothing is left to wait for")
        }
    }
    let again = world.run(&mut Nobody).unwrap();
    assert_eq!((again.result, again.evidence), (first.result, first.evidence));
    assert_eq!(again.rounds.len(), 3);
}

#[test]
fn money_goes_where_the_contributions_say() {
    let world = World::new(&Shape::default());
    let outcome = world.run(&mut world.in_process(0..4)).unwrap();
    let mut paid = 0;
    for (index, (_, reward)) in outcome.contributions.iter().enumerate() {
        let got = world.ledger.claim(world.study, MemberIndex(index as u8)).unwrap();
        assert_eq!(got.0, reward.0 + 50);
        paid += reward.0;
        let again = world.ledger.claim(world.study, MemberIndex(index as u8));
        assert!(matches!(again, Err(LedgerError::Refused { name, .. }) if name == "AlreadyClaimed"));
    }
    let rest = world.ledger.return_budget(world.study).unwrap();
    assert_eq!(paid + rest.0, 1_000_000_007);
    assert_eq!(world.ledger.study(world.study).unwrap().phase, Phase::Finished);
}
