//! Studies that promise privacy: what they learn with it, what they record of it, and when they stop.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use counterweight_federated::{
    audit::{CheckKind, Verdict},
    blobs::Blobs as _,
    clock::ManualClock,
    coordinator::{Delivery, Members, Notice, StudyEvent, StudyOutcome},
    journal::MemoryJournal,
    ledger::{Phase, StudyReader as _, masking::MaskReader as _},
    masked::{record::MaskRecord, vector::WordFormat},
    member::{Assignment, BuiltIn, MaskedMove, Member, MemberError},
    parameters::Parameters,
    privacy::MicroEpsilon,
    study::{
        masking::Masking,
        privacy::{Privacy, PrivacySection, Spending, Unit},
    },
    training::evaluate,
};
use counterweight_primitives::{MemberIndex, Round};

use crate::{
    audit::with_private_rows,
    crowd::{Crowd, Deed},
    masked_audit::{Record, audit_of, named, record_of},
    support::{START, Shape, World, public_terms, rows},
};

fn section(epsilon: &str, noise: Option<&str>) -> PrivacySection {
    PrivacySection {
        unit: Unit::Member,
        epsilon: epsilon.parse().unwrap(),
        delta: "0.00001".parse().unwrap(),
        noise: noise.map(|noise| noise.parse().unwrap()),
        row_clip: None,
        sample: None,
        honest: None,
    }
}

/// Two groups of ten members each, of which at least nine survive.
fn groups() -> Masking {
    Masking {
        group_size: 10,
        threshold_percent: 60,
        fewest_survivors: 9,
        most_examples: 1,
        dispute_seconds: 60,
    }
}

/// A study that promises privacy to its twenty members, or to its four where it does not mask.
fn world(section: &PrivacySection, masking: Option<Masking>, rounds: u32) -> World {
    let shape = Shape {
        members: if masking.is_some() { 20 } else { 4 },
        min_members: 3,
        rounds,
        masking,
        aggregation: Default::default(),
        ..Shape::default()
    };
    let mut terms = public_terms(&shape);
    terms.clip = "1".parse().unwrap();
    terms.local.steps = Some(40);
    terms.privacy = Some(section.planned(&terms.privacy_setting(), rounds).unwrap());
    World::with_terms(&shape, Arc::new(ManualClock::at(START)), terms)
}

fn run(world: &World) -> (StudyOutcome, Vec<StudyEvent>) {
    let mut seen = Vec::new();
    let outcome = world.run_with(
        &mut world.in_process(0..world.datasets.len() as u8),
        &world.ledger,
        &world.blobs,
        &mut MemoryJournal::default(),
        &mut |event| seen.push(event.clone()),
    );
    (outcome.unwrap(), seen)
}

fn privacy_holds(world: &World) -> String {
    let report = audit_of(world, &record_of(world));
    for check in &report.checks {
        match check.check {
            CheckKind::Model | CheckKind::Lineage => {}
            _ => assert_eq!(check.verdict, Verdict::Yes, "{check:#?}"),
        }
    }
    let check = report
        .checks
        .iter()
        .find(|check| check.check == CheckKind::Privacy);
    check.unwrap().sentence.clone()
}

#[test]
fn a_masked_study_learns_at_an_epsilon_of_six_for_each_member_and_an_audit_recomputes_it() {
    let world = world(&section("6", None), Some(groups()), 4);
    let (outcome, _) = run(&world);
    assert_eq!(outcome.state.phase, Phase::Finished);
    assert_eq!(outcome.rounds.len(), 4);
    let accuracy = evaluate(&outcome.model, &rows(99, 400)).unwrap().accuracy;
    assert!(accuracy > 0.8, "{accuracy}");
    // Planned for nine survivors of a group; ten add more noise, and spend less.
    let spent = outcome.state.spent_epsilon;
    assert!(
        spent > MicroEpsilon(5_000_000) && spent < MicroEpsilon(6_000_000),
        "{spent}"
    );
    assert_eq!(outcome.rounds.last().unwrap().spent, Some(spent));
    assert!(privacy_holds(&world).contains("of the 6 promised for each member"));
    // All count the same: what is summed tells no number of rows.
    assert!(outcome.rounds.iter().all(|round| round.examples == 20));
}

/// The sums differ from the updates' own by the noise that is accounted for.
#[test]
fn what_is_opened_has_the_noise_that_is_accounted_for() {
    let noisy = world(&section("6", None), Some(groups()), 4);
    let release = noisy.terms.release().unwrap().unwrap();
    let format = noisy.terms.word_format().unwrap().unwrap();
    assert_eq!(format, WordFormat::noisy(release));
    let outcome = |world: &World| {
        let first = world
            .ledger
            .rounds(world.study)
            .unwrap()
            .remove(0)
            .closed
            .unwrap();
        let bytes = world.blobs.get(&first.result, 1 << 20).unwrap();
        Parameters::from_safetensors(&bytes).unwrap()
    };
    let mut squares = 0.0;
    let mut count = 0.0;
    // One study each with other secrets, against the same study without noise.
    let quiet = {
        let mut terms = noisy.terms.clone();
        terms.privacy = None;
        let shape = Shape {
            members: 20,
            rounds: 4,
            ..Shape::default()
        };
        World::with_terms(&shape, Arc::new(ManualClock::at(START)), terms)
    };
    run(&quiet);
    run(&noisy);
    let (with, without) = (outcome(&noisy), outcome(&quiet));
    for (with, without) in with.values().iter().zip(without.values()) {
        squares += f64::from(with - without).powi(2);
        count += 1.0;
    }
    let unit = f64::from(1_u32 << release.bits);
    // Twenty parts of noise in the mean of twenty.
    let accounted = release.deviation().unwrap() / unit / 20_f64.sqrt();
    let measured: f64 = (squares / count).sqrt();
    // Four coordinates: a factor of three either way happens in one of some hundred thousand.
    assert!(
        measured > accounted / 3.0 && measured < accounted * 3.0,
        "{measured} {accounted}"
    );
}

#[test]
fn a_study_of_members_stops_before_the_round_that_could_overspend() {
    // Two rounds spend an epsilon of 5.5, three one of 7.
    let world = world(&section("6", Some("1.27")), Some(groups()), 5);
    let (outcome, seen) = run(&world);
    assert_eq!(outcome.state.phase, Phase::Finished);
    let closed = outcome.state.closed_rounds;
    assert!((1..5).contains(&closed), "{closed}");
    assert!(outcome.state.spent_epsilon <= MicroEpsilon(6_000_000));
    let event = seen.iter().find_map(|event| match event {
        StudyEvent::BudgetSpent {
            closed,
            rounds,
            after,
            budget,
            ..
        } => Some((*closed, *rounds, *after > *budget)),
        _ => None,
    });
    assert_eq!(event, Some((closed, 5, true)));
    let paid: u32 = outcome
        .contributions
        .iter()
        .map(|(share, _)| share.millionths())
        .sum();
    assert!(paid > 0);
    privacy_holds(&world);
}

#[test]
fn a_study_of_rows_stops_before_the_round_that_could_overspend() {
    let shape = Shape {
        rounds: 9,
        ..Shape::default()
    };
    let mut terms = public_terms(&shape);
    with_private_rows(&mut terms);
    let planned = match terms.privacy.as_mut().unwrap() {
        Privacy::Row(row) => row,
        Privacy::Member(_) => unreachable!(),
    };
    // What pays for nine rounds, and half of that.
    planned.noise = counterweight_federated::decimal::Decimal::new(planned.noise.get() * 0.6).unwrap();
    let world = World::with_terms(&shape, Arc::new(ManualClock::at(START)), terms);
    let (outcome, seen) = run(&world);
    assert!(
        (1..9).contains(&outcome.state.closed_rounds),
        "{:?}",
        outcome.state
    );
    assert!(
        seen.iter()
            .any(|event| matches!(event, StudyEvent::BudgetSpent { .. }))
    );
    assert_eq!(outcome.state.phase, Phase::Finished);
}

#[test]
fn public_updates_have_noise_of_their_own_and_a_member_sends_one_a_round() {
    let world = world(&section("40", Some("0.8")), None, 2);
    let (outcome, _) = run(&world);
    assert_eq!(outcome.state.phase, Phase::Finished);
    privacy_holds(&world);
    let base = Parameters::initial(&world.terms.architecture, world.terms.seed);
    let assignment = Assignment {
        round: Round(1),
        member: MemberIndex(0),
        base: base.digest(),
        committed: None,
    };
    let made = |setup| {
        let member = Member::new(setup).unwrap();
        let prepared = member.prepare(&assignment, &base.to_safetensors()).unwrap();
        (member, prepared)
    };
    // Started again it makes the same, and with other rows it is refused by its own notes.
    let (_, again) = made(world.setup(0));
    let record = world.ledger.rounds(world.study).unwrap().remove(0);
    assert!(record.commitments.contains(&(MemberIndex(0), again.digest)));
    let mut changed = world.setup(0);
    changed.trainer = Arc::new(BuiltIn::new(rows(50, 20)));
    let (member, other) = made(changed);
    assert!(matches!(
        member.commit(&other),
        Err(MemberError::CommittedOther { .. })
    ));
    let mut forgetful = world.setup(0);
    forgetful.notes = None;
    let (member, _) = made(forgetful);
    let refused = member.commit(&again).unwrap_err().to_string();
    assert!(refused.contains("no notes are kept"), "{refused}");
}

/// Killed after it recorded its vector and before it sent it, a member makes the same one again, noise and all.
#[test]
fn a_member_that_is_killed_sends_the_noise_it_committed_to() {
    let world = world(&section("6", None), Some(groups()), 1);
    let mut made: Vec<Vec<u8>> = Vec::new();
    let outcome = {
        let mut crowd = Crowd::new(&world, |member, _, next| {
            let mut deed = Deed::honest(next);
            if let MaskedMove::Record { kind, bytes, .. } = next
                && (*kind, member.0) == (MaskRecord::Upload, 3)
            {
                made.push(bytes.clone());
                if made.len() == 1 {
                    (deed.sent, deed.killed, deed.content) = (Vec::new(), true, false);
                }
            }
            deed
        });
        world.run(&mut crowd).unwrap()
    };
    assert!(
        made.len() >= 2 && made.windows(2).all(|pair| pair[0] == pair[1]),
        "{}",
        made.len()
    );
    assert_eq!(outcome.rounds[0].survivors.len(), 20);
    assert_eq!(outcome.rounds.len(), 1);
}

/// What was opened in an opening that expired is spent, and the opening after it has other noise.
#[test]
fn an_opening_that_was_fixed_and_expired_is_counted() {
    let world = world(&section("9", None), Some(groups()), 2);
    let uploads: Mutex<Vec<Vec<u8>>> = Mutex::default();
    let crowd = Crowd::new(&world, |member, round, next| {
        if let MaskedMove::Record { kind, bytes, .. } = next
            && *kind == MaskRecord::Upload
            && member.0 == 0
            && round == 1
        {
            uploads.lock().unwrap().push(bytes.clone());
        }
        Deed::honest(next)
    });
    let outcome = world.run(&mut GoneAfterUploads { world: &world, crowd });
    // The vector of the second opening is another, under another mask and with other noise.
    let uploads = uploads.lock().unwrap();
    assert_ne!(uploads.first(), uploads.last());
    // Two rounds were planned for, and now one opening more is spent than rounds are closed.
    let state = world.ledger.study(world.study).unwrap();
    let masked = world.ledger.mask_rounds(world.study).unwrap();
    assert_eq!(masked[0].fixed_before.len(), 1, "{outcome:?}");
    let spending = Spending::after(&world.terms, state.closed_rounds, &masked)
        .unwrap()
        .unwrap();
    assert_eq!(state.spent_epsilon, spending.recorded());
    let once = {
        let mut once = masked.clone();
        once[0].fixed_before.clear();
        Spending::after(&world.terms, state.closed_rounds, &once)
            .unwrap()
            .unwrap()
    };
    assert!(once.epsilon() < spending.epsilon(), "{outcome:?} {masked:?}");
    assert!(uploads.len() >= 2);
}

#[test]
fn members_stay_out_of_a_round_that_their_budget_does_not_pay_for() {
    // The coordinator's own count would stop it before: the terms are another's.
    let world = world(&section("6", Some("1.27")), None, 5);
    let base = Parameters::initial(&world.terms.architecture, world.terms.seed);
    let member = world.member(0);
    let prepare = |round| {
        let assignment = Assignment {
            round: Round(round),
            member: MemberIndex(0),
            base: base.digest(),
            committed: None,
        };
        member.prepare(&assignment, &base.to_safetensors())
    };
    world.run(&mut world.in_process(0..4)).unwrap();
    prepare(1).unwrap();
    assert!(matches!(
        prepare(5),
        Err(MemberError::BudgetSpent { round: Round(5), .. })
    ));
}

#[test]
fn members_and_coordinator_refuse_a_ledger_with_another_budget_than_the_terms() {
    for budget in [None, Some(MicroEpsilon(6_000_001))] {
        let shape = Shape {
            members: 20,
            rounds: 2,
            masking: Some(groups()),
            ..Shape::default()
        };
        let mut terms = public_terms(&shape);
        terms.privacy = Some(section("6", None).planned(&terms.privacy_setting(), 2).unwrap());
        let world = World::with_budget(&shape, Arc::new(ManualClock::at(START)), terms, budget);
        let refused = Member::new(world.setup(0)).err().unwrap().to_string();
        assert!(
            refused.contains("a budget of privacy of an epsilon of 6"),
            "{refused}"
        );
        let refused = world.run(&mut Nobody).unwrap_err().to_string();
        assert!(refused.contains("an epsilon of 6 is not exceeded"), "{refused}");
    }
}

#[test]
fn every_lie_about_privacy_spent_is_named() {
    let world = world(&section("6", Some("1.27")), Some(groups()), 5);
    run(&world);
    let honest = record_of(&world);
    let lie = |change: &dyn Fn(&mut Record)| {
        let mut record = honest.clone();
        change(&mut record);
        audit_of(&world, &record)
    };
    // Less than it was.
    let report = lie(&|record| record.rounds[1].closed.as_mut().unwrap().spent.0 -= 1);
    assert_eq!(named(&report, CheckKind::Privacy, "was spent by then").0, Some(2));
    // A round beyond the budget.
    let report = lie(&|record| {
        let last = record.rounds.last().unwrap().clone();
        let masked = record.masked.last().unwrap().clone();
        for _ in 0..2 {
            let round = Round(record.rounds.len() as u32 + 1);
            let (mut more, mut masks) = (last.clone(), masked.clone());
            (more.round, masks.round) = (round, round);
            record.rounds.push(more);
            record.masked.push(masks);
        }
    });
    named(&report, CheckKind::Privacy, "the terms promise 6");
    // Fewer survivors than are recorded as spent for.
    let report = lie(&|record| {
        record.masked[0].fixed_before.push(vec![9, 9]);
    });
    assert_eq!(named(&report, CheckKind::Privacy, "was spent by then").0, Some(1));
    // Another budget than promised.
    let report = lie(&|record| record.state.epsilon_budget = Some(MicroEpsilon(7_000_000)));
    named(
        &report,
        CheckKind::Privacy,
        "keeps to an epsilon of 7, the terms promise 6",
    );
    let report = lie(&|record| record.state.epsilon_budget = None);
    named(&report, CheckKind::Privacy, "keeps to no budget");
    // Ended while the budget paid for more.
    let report = lie(&|record| {
        record.rounds.truncate(1);
        record.masked.truncate(1);
    });
    named(&report, CheckKind::Privacy, "its budget pays for another");
}

#[test]
fn noise_too_small_for_one_round_is_refused_by_members_and_named_by_an_audit() {
    let honest = world(&section("6", None), Some(groups()), 2);
    run(&honest);
    let mut terms = honest.terms.clone();
    let Some(Privacy::Member(member)) = &mut terms.privacy else {
        panic!("{:?}", terms.privacy)
    };
    member.noise = "0.2".parse().unwrap();
    let mut record = record_of(&honest);
    record.state.terms = honest.blobs.put(&terms.to_bytes().unwrap()).unwrap();
    named(
        &audit_of(&honest, &record),
        CheckKind::Privacy,
        "the noise of the terms is too small",
    );
    let shape = Shape {
        members: 20,
        rounds: 2,
        masking: Some(groups()),
        ..Shape::default()
    };
    let world = World::with_terms(&shape, Arc::new(ManualClock::at(START)), terms);
    let refused = Member::new(world.setup(0)).err().unwrap().to_string();
    assert!(refused.contains("6 is promised"), "{refused}");
}

/// Members that are gone in the first opening of the first round, once its survivors are fixed.
struct GoneAfterUploads<'a> {
    world: &'a World,
    crowd: Crowd<'a>,
}

impl Members for GoneAfterUploads<'_> {
    fn announce(&mut self, notice: &Notice) {
        self.crowd.announce(notice);
    }
    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        let first = self.world.ledger.mask_round(self.world.study, Round(1)).unwrap();
        if first.is_some_and(|first| first.survivors.is_some() && first.fixed_before.is_empty()) {
            self.world.clock.pause(wait);
            return None;
        }
        self.crowd.next(wait)
    }
    fn may_grow(&self) -> bool {
        self.crowd.may_grow()
    }
}

/// Members that never come.
struct Nobody;

impl Members for Nobody {
    fn announce(&mut self, _: &Notice) {}
    fn next(&mut self, _: Duration) -> Option<Delivery> {
        None
    }
    fn may_grow(&self) -> bool {
        false
    }
}
