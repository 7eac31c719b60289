//! Studies that go on from a model which is there already.

use std::sync::Arc;

use counterweight_federated::{
    architecture::Architecture,
    audit::{AuditReport, CheckKind, Verdict},
    blobs::{Blobs, MemoryBlobs},
    clock::ManualClock,
    coordinator::{CoordinatorError, ReplayError},
    ledger::{StudyLedger as _, StudyReader as _},
    member::MemberError,
    parameters::{Parameters, ParametersError},
};
use counterweight_primitives::ContentDigest;

use crate::support::{START, Shape, World, public_terms};

fn starting_from(start: ContentDigest) -> World {
    let shape = Shape::default();
    let mut terms = public_terms(&shape);
    terms.start = Some(start);
    World::with_terms(&shape, Arc::new(ManualClock::at(START)), terms)
}

fn aggregation(report: &AuditReport) -> (Verdict, String) {
    let check = report
        .checks
        .iter()
        .find(|check| check.check == CheckKind::Aggregation);
    let check = check.unwrap();
    (check.verdict, format!("{} {:?}", check.sentence, check.findings))
}

fn blobs_without(blobs: &MemoryBlobs, world: &World, left_out: ContentDigest) -> MemoryBlobs {
    let kept = MemoryBlobs::default();
    let state = world.ledger.study(world.study).unwrap();
    let rounds = world.ledger.rounds(world.study).unwrap();
    let updates = rounds
        .iter()
        .flat_map(|round| round.commitments.iter().map(|(_, update)| *update));
    let results = rounds
        .iter()
        .filter_map(|round| Some(round.closed.as_ref()?.result));
    for digest in updates.chain(results).chain([state.terms]) {
        assert_ne!(digest, left_out);
        kept.put(&blobs.get(&digest, u64::MAX).unwrap()).unwrap();
    }
    kept
}

#[test]
fn a_study_starts_from_the_model_of_its_terms_and_the_audit_follows() {
    let seeded = World::new(&Shape::default());
    let first = seeded.run(&mut seeded.in_process(0..4)).unwrap();

    let world = starting_from(first.result);
    world.blobs.put(&first.model.to_safetensors()).unwrap();
    let second = world.run(&mut world.in_process(0..4)).unwrap();
    let rounds = world.ledger.rounds(world.study).unwrap();
    assert_eq!(rounds[0].base, first.result);
    assert_ne!(second.result, first.result);
    assert_eq!(
        aggregation(&world.audit(&world.ledger, &world.blobs).run()).0,
        Verdict::Yes
    );

    // Nobody can say what came of a model that nobody shows.
    let blobs = blobs_without(&world.blobs, &world, first.result);
    let (verdict, text) = aggregation(&world.audit(&world.ledger, &blobs).run());
    assert_eq!(verdict, Verdict::Unknown);
    assert!(
        text.contains("starts from") && text.contains(&first.result.to_string()),
        "{text}"
    );
}

#[test]
fn without_its_first_model_or_with_one_of_another_shape_a_study_does_not_start() {
    let other = Parameters::initial(&Architecture::logistic(9), 1);
    let world = starting_from(other.digest());
    let refused = world.run(&mut world.in_process(0..4));
    assert!(
        matches!(&refused, Err(CoordinatorError::Replay(ReplayError::NoStart { digest, .. })) if *digest == other.digest()),
        "{refused:?}"
    );
    world.blobs.put(&other.to_safetensors()).unwrap();
    let refused = world.run(&mut world.in_process(0..4));
    assert!(
        matches!(
            refused,
            Err(CoordinatorError::Replay(ReplayError::OtherStart {
                source: ParametersError::OtherArchitecture { .. },
                ..
            }))
        ),
        "{refused:?}"
    );
    let (verdict, text) = aggregation(&world.audit(&world.ledger, &world.blobs).run());
    assert_eq!(verdict, Verdict::No);
    assert!(text.contains("not a model of the study's architecture"), "{text}");

    let nonsense = b"no model".to_vec();
    let world = starting_from(ContentDigest::of(&nonsense));
    world.blobs.put(&nonsense).unwrap();
    let refused = world.run(&mut world.in_process(0..4));
    assert!(
        matches!(
            refused,
            Err(CoordinatorError::Replay(ReplayError::OtherStart {
                source: ParametersError::Malformed { .. },
                ..
            }))
        ),
        "{refused:?}"
    );
}

#[test]
fn a_model_to_start_from_changes_nothing_but_its_own_terms() {
    // Terms from before there was such a key read and hash as they did.
    let terms = public_terms(&Shape::default());
    let bytes = terms.to_bytes().unwrap();
    assert!(!String::from_utf8(bytes).unwrap().contains("\"start\""));
}

#[test]
fn a_member_does_not_train_a_first_model_that_the_terms_do_not_give() {
    let world = World::new(&Shape::default());
    let members: Vec<_> = (0..4).map(|number| world.member(number)).collect();
    for member in &members {
        member.join().unwrap();
    }
    world.ledger.start(world.study).unwrap();
    let architecture = Architecture::logistic(3);
    let crafted = Parameters::new(architecture.clone(), vec![1e6; 4]).unwrap();
    let round = world.ledger.open_round(world.study, crafted.digest()).unwrap();
    let assignment = members[0].assignment(round).unwrap().unwrap();
    let refused = members[0].prepare(&assignment, &crafted.to_safetensors());
    let seeded = Parameters::initial(&architecture, world.terms.seed).digest();
    assert!(
        matches!(&refused, Err(MemberError::OtherStart { expected, got }) if *expected == seeded && *got == crafted.digest()),
        "{refused:?}"
    );
}
