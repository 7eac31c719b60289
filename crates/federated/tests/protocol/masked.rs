//! Whole masked studies in one process: dropouts at every step, crashes, liars, and sums that are the unmasked ones.

use std::sync::{Arc, Mutex};

use counterweight_federated::{
    blobs::Blobs as _,
    coordinator::{CoordinatorError, StudyEvent, StudyOutcome},
    journal::MemoryJournal,
    ledger::{
        Phase, StudyReader as _,
        masking::{MaskReader as _, MaskRound},
    },
    masked::{
        recompute::recompute,
        record::MaskRecord,
        turn::DrawnGroup,
        vector::{WordFormat, masked_words},
    },
    member::MaskedMove,
    member_set::MemberSet,
    parameters::Parameters,
    round::Absence,
    study::masking::Masking,
    update::{MOST_EXAMPLES, Update, UpdateRules},
};
use counterweight_primitives::{MemberIndex, Round};

use crate::{
    crowd::{Crowd, Deed},
    faults::{Faults, FaultyBlobs, FaultyJournal, FaultyLedger, When},
    support::{Shape, World, rows},
};

/// Two groups, of five and four members: one may drop out of each.
pub(crate) fn shape() -> Shape {
    Shape {
        members: 9,
        min_members: 3,
        rounds: 2,
        masking: Some(Masking {
            group_size: 4,
            threshold_percent: 60,
            fewest_survivors: 3,
            most_examples: 100,
            dispute_seconds: 60,
        }),
        ..Shape::default()
    }
}

fn mask_round(world: &World, round: u32) -> MaskRound {
    world
        .ledger
        .mask_round(world.study, Round(round))
        .unwrap()
        .unwrap()
}

fn drawn(world: &World, record: &MaskRound) -> Vec<DrawnGroup> {
    let setting = world.ledger.mask_setting(world.study).unwrap().unwrap();
    let domain = world.ledger.mask_domain().unwrap();
    DrawnGroup::of_round(world.study, record, &setting, &domain).unwrap()
}

/// Compares each group's sum, recovered from public records, with the sum of its survivors' quantised updates, which
/// this test computes from their data. Groups of those who invent their vectors are left out.
pub(crate) fn sums_are_the_unmasked_ones(world: &World, inventing: MemberSet) {
    let masking = world.terms.masking.unwrap();
    for record in world.ledger.rounds(world.study).unwrap() {
        let Some(closing) = &record.closed else { continue };
        let masked = mask_round(world, record.round.0);
        let survivors = MemberSet(closing.survivors);
        assert_eq!(masked.survivors, Some(survivors));
        let groups = drawn(world, &masked);
        let outcomes = recompute(&groups, &masked, &record.commitments, survivors, &world.blobs);
        assert!(!outcomes.is_empty());
        for outcome in outcomes {
            if outcome.survivors.iter().any(|member| inventing.contains(*member)) {
                continue;
            }
            let mut expected = vec![0_i32; world.terms.architecture.parameters() + 1];
            for member in outcome.survivors {
                let words = words(world, record.round, member, &record.base, &masking);
                expected
                    .iter_mut()
                    .zip(words)
                    .for_each(|(sum, word)| *sum += word);
            }
            assert_eq!(outcome.sum.unwrap(), expected, "round {}", record.round);
        }
    }
}

/// What a member masks: trained again from its data.
fn words(
    world: &World,
    round: Round,
    member: MemberIndex,
    base: &counterweight_primitives::ContentDigest,
    masking: &Masking,
) -> Vec<i32> {
    use counterweight_federated::training::{ShuffleSeed, train};
    let setup = world.setup(member.0);
    let rows = rows(member.0, 20 + 10 * usize::from(member.0));
    let parameters = Parameters::from_safetensors(&world.blobs.get(base, 1 << 20).unwrap()).unwrap();
    let seed = ShuffleSeed::derive(world.terms.seed, round.0, &setup.data.0);
    let trained = train(&parameters, &rows, &world.terms.local, seed).unwrap();
    let rules = UpdateRules {
        study: world.study,
        round,
        base: *base,
        coordinates: parameters.values().len(),
        clip: world.terms.clip.get(),
        most_examples: MOST_EXAMPLES,
    };
    let examples = rows.len() as u32;
    let update = Update::of_training(&rules, member, &parameters, &trained, examples).unwrap();
    masked_words(&update, &WordFormat::plain(masking, world.terms.clip.get()))
}

fn run(world: &World) -> StudyOutcome {
    world.run(&mut world.in_process(0..9)).unwrap()
}

#[test]
fn a_masked_study_runs_to_its_end_and_its_sums_are_the_unmasked_ones() {
    let world = World::new(&shape());
    let outcome = run(&world);
    assert_eq!(outcome.state.phase, Phase::Finished);
    assert!(outcome.rounds.iter().all(|round| round.survivors.len() == 9));
    assert!(
        outcome
            .contributions
            .iter()
            .any(|(share, _)| share.millionths() > 0)
    );
    sums_are_the_unmasked_ones(&world, MemberSet::EMPTY);
}

/// A step at which members fall silent, and take no later one in that round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) enum Step {
    Announce,
    Deal,
    HandOverDealing,
    Commit,
    HandOverVector,
    Unmask,
    HandOverShares,
}

pub(crate) const STEPS: [Step; 7] = [
    Step::Announce,
    Step::Deal,
    Step::HandOverDealing,
    Step::Commit,
    Step::HandOverVector,
    Step::Unmask,
    Step::HandOverShares,
];

pub(crate) fn silenced(step: Step, next: &MaskedMove) -> Deed {
    let (records, sends) = match next {
        MaskedMove::Announce { .. } => (Step::Announce, Step::Announce),
        MaskedMove::Record { kind, .. } => match kind {
            MaskRecord::Dealing => (Step::Deal, Step::HandOverDealing),
            MaskRecord::Upload => (Step::Commit, Step::HandOverVector),
            MaskRecord::Unmasking => (Step::Unmask, Step::HandOverShares),
        },
        _ => return Deed::nothing(),
    };
    let mut deed = Deed::honest(next);
    if records >= step {
        deed.recorded = None;
    }
    if sends >= step {
        deed.sent.clear();
    }
    deed
}

struct Ran {
    world: World,
    outcome: Result<StudyOutcome, CoordinatorError>,
    expired: u32,
}

/// Runs a study with what each member does decided by the test.
fn ran(shape: &Shape, deed: impl FnMut(MemberIndex, u32, &MaskedMove) -> Deed) -> Ran {
    let world = World::new(shape);
    let mut expired = 0;
    let outcome = world.run_with(
        &mut Crowd::new(&world, deed),
        &world.ledger,
        &world.blobs,
        &mut MemoryJournal::default(),
        &mut |event| expired += u32::from(matches!(event, StudyEvent::RoundExpired { .. })),
    );
    Ran {
        world,
        outcome,
        expired,
    }
}

/// One group of six, of which at most two may drop out at any step.
fn one_group() -> Shape {
    Shape {
        members: 6,
        rounds: 1,
        masking: Some(Masking {
            group_size: 6,
            threshold_percent: 51,
            ..shape().masking.unwrap()
        }),
        ..shape()
    }
}

#[test]
fn with_none_one_and_the_most_dropouts_at_each_step_the_sum_is_the_unmasked_one() {
    for step in STEPS {
        // Too few announced keys make no group: there the largest group forms from those who did.
        let most = if step == Step::Announce { 0 } else { 2 };
        for silent in 0..=most {
            // A dealing that is recorded and withheld stops its group, since nobody can mask without it.
            if step == Step::HandOverDealing && silent > 0 {
                continue;
            }
            let Ran {
                world,
                outcome,
                expired,
            } = ran(&one_group(), |member, _, next| match member.0 < silent {
                true => silenced(step, next),
                false => Deed::honest(next),
            });
            let outcome = outcome.unwrap_or_else(|error| panic!("{step:?} {silent}: {error}"));
            let came = if step >= Step::Unmask {
                6
            } else {
                6 - usize::from(silent)
            };
            assert_eq!(outcome.rounds[0].survivors.len(), came, "{step:?} {silent}");
            assert_eq!(expired, 0, "{step:?} {silent}");
            sums_are_the_unmasked_ones(&world, MemberSet::EMPTY);
        }
    }
}

#[test]
fn beyond_the_most_dropouts_the_round_expires_and_nothing_is_opened() {
    for step in STEPS {
        let silent = match step {
            Step::Announce | Step::HandOverDealing => 1,
            _ => 3,
        };
        let Ran {
            world,
            outcome,
            expired,
        } = ran(&one_group(), |member, _, next| match member.0 < silent {
            true => silenced(step, next),
            false => Deed::honest(next),
        });
        assert!(
            matches!(outcome, Err(CoordinatorError::NoQuorum { .. })),
            "{step:?} {outcome:?}"
        );
        assert!(expired > 3, "{step:?}");
        let state = world.ledger.study(world.study).unwrap();
        assert_eq!((state.phase, state.closed_rounds), (Phase::Running, 0));
        let masked = mask_round(&world, 1);
        assert_eq!(masked.sums, None, "{step:?}");
        if step < Step::Unmask {
            assert!(
                masked.unmaskings.is_empty() && masked.survivors.is_none(),
                "{step:?}"
            );
        }
    }
}

#[test]
fn a_group_that_is_too_small_is_left_out_and_the_other_goes_on() {
    let world = World::new(&shape());
    let mut out = None;
    let outcome = {
        let ledger = world.ledger.clone();
        let study = world.study;
        let mut crowd = Crowd::new(&world, |member, round, next| {
            let dealing = matches!(
                next,
                MaskedMove::Record {
                    kind: MaskRecord::Upload,
                    ..
                }
            );
            if round != 1 || !dealing {
                return Deed::honest(next);
            }
            let masked = ledger.mask_round(study, Round(1)).unwrap().unwrap();
            let group = &masked.drawn.unwrap().groups[1];
            if group[..2].contains(&member) {
                Deed::nothing()
            } else {
                Deed::honest(next)
            }
        });
        world
            .run_with(
                &mut crowd,
                &world.ledger,
                &world.blobs,
                &mut MemoryJournal::default(),
                &mut |event| {
                    if let StudyEvent::RoundClosed(summary) = event {
                        out.get_or_insert(summary.absent.clone());
                    }
                },
            )
            .unwrap()
    };
    assert_eq!(outcome.rounds[0].survivors.len(), 5);
    assert_eq!(outcome.rounds[1].survivors.len(), 9);
    let left_out = out.unwrap();
    let why = |absence: &Absence| left_out.iter().filter(|(_, why)| why == absence).count();
    assert_eq!(
        (why(&Absence::GroupLeftOut), why(&Absence::NeverCommitted)),
        (2, 2)
    );
    sums_are_the_unmasked_ones(&world, MemberSet::EMPTY);
}

#[test]
fn a_member_killed_after_any_step_goes_on_with_the_same_messages() {
    let expected = run(&World::new(&shape())).result;
    for step in 0..4 {
        for keep in [false, true] {
            let mut dead = std::collections::BTreeSet::new();
            let Ran { world, outcome, .. } = ran(&shape(), |member, round, next| {
                let mut deed = Deed::honest(next);
                let at = match next {
                    MaskedMove::Announce { .. } => 0,
                    MaskedMove::Record { kind, .. } => 1 + *kind as usize,
                    _ => return deed,
                };
                // Killed once a round, before or after it hands over what it recorded.
                if member.0 % 3 == 0 && at == step && dead.insert((member, round)) {
                    deed.killed = true;
                    if !keep {
                        deed.sent.clear();
                    }
                }
                deed
            });
            assert_eq!(outcome.unwrap().result, expected, "{step} {keep}");
            sums_are_the_unmasked_ones(&world, MemberSet::EMPTY);
        }
    }
}

/// Runs a study whose coordinator dies at one call, and again without faults.
fn killed_at(call: u64, when: When) -> (World, StudyOutcome, u64) {
    let world = World::new(&shape());
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
            &mut world.in_process(0..9),
            &ledger,
            &blobs,
            &mut notes,
            &mut |_| (),
        )
    };
    let first = run(faults.clone());
    let calls = faults.calls();
    let outcome = first.unwrap_or_else(|_| run(Faults::at(u64::MAX, When::Before)).unwrap());
    (world, outcome, calls)
}

#[test]
fn a_coordinator_killed_at_any_step_of_a_masked_study_resumes_to_the_same_model() {
    let (_, expected, calls) = killed_at(u64::MAX, When::Before);
    assert!(calls > 60, "{calls} calls");
    for call in 0..calls {
        for when in [When::Before, When::After] {
            let (world, outcome, _) = killed_at(call, when);
            assert_eq!(outcome.result, expected.result, "call {call} {when:?}");
            assert_eq!(outcome.evidence, expected.evidence, "call {call} {when:?}");
            drop(world);
        }
    }
}
