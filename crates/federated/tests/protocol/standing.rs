//! Members are proposed for exclusion by the rule, appeal, stay or go; few members are scored by participation; an audit names
//! whoever departs from either.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use counterweight_federated::{
    asking::Asking,
    attack::DataAttack,
    audit::{AuditReport, CheckKind, Verdict},
    clock::ManualClock,
    coordinator::{CoordinatorError, StudyEvent, StudyOutcome, in_process::InProcess},
    journal::MemoryJournal,
    ledger::{
        FinishRecord, LedgerError, RoundRecord, StudyLedger as _, StudyReader, StudyState,
        masking::MaskReader,
        standing::{Proposal, ProposalState, StandingLedger as _, StandingReader, StandingSetting},
    },
    member::{BuiltIn, Member},
    member_set::MemberSet,
    memory::MemoryLedger,
    server_optimiser::Aggregation,
    study::{
        Scoring,
        standing::{Exclusion, Standing},
    },
};
use counterweight_primitives::{ContentDigest, MemberIndex, Ppm, Round, StudyId, UnixSeconds};

use crate::{
    masked,
    support::{COORDINATOR, START, Shape, World, account, rows},
};

/// Who decides appeals.
const ARBITER: u8 = 201;
/// The member that flips its labels.
const FLIPPER: u8 = 5;
/// Seconds that pass between two rounds; the time to appeal is longer.
const BETWEEN: u64 = 60;

fn exclusion() -> Exclusion {
    Exclusion {
        outlier: 3.into(),
        patience: 3,
        appeal_seconds: 100,
        arbiter: Some(account(ARBITER)),
    }
}

fn shape(rounds: u32) -> Shape {
    Shape {
        members: 6,
        rounds,
        aggregation: Aggregation::default(),
        standing: Some(Standing {
            vesting_rounds: 4,
            exclusion: Some(exclusion()),
        }),
        ..Shape::default()
    }
}

/// Six members that are told apart by who takes part: they fill one group of four, and never two.
fn few(rounds: u32) -> Shape {
    Shape {
        members: 6,
        rounds,
        aggregation: Aggregation::default(),
        scoring: Scoring::Participation,
        ..masked::shape()
    }
}

fn members(world: &World, flipper: Option<u8>) -> InProcess {
    let member = |number| {
        let mut setup = world.setup(number);
        // As many rows each, so that nobody is an outlier for the size of its data.
        let own = rows(number, 60);
        let own = match flipper == Some(number) {
            true => DataAttack::LabelFlip { classes: 2 }.spoil(&own).unwrap(),
            false => own,
        };
        setup.trainer = Arc::new(BuiltIn::new(own));
        Member::new(setup).unwrap()
    };
    let members = (0..world.datasets.len() as u8).map(member).collect();
    InProcess::new(members, Arc::new(world.blobs.clone()), world.clock.clone())
}

/// Runs a study in which a minute passes after each round, and something is done at every proposal.
fn run(
    world: &World,
    flipper: Option<u8>,
    proposed: &mut dyn FnMut(MemberIndex),
) -> Result<StudyOutcome, CoordinatorError> {
    let clock = Arc::clone(&world.clock);
    world.run_with(
        &mut members(world, flipper),
        &world.ledger,
        &world.blobs,
        &mut MemoryJournal::default(),
        &mut |event| match event {
            StudyEvent::RoundClosed(_) => clock.pause(Duration::from_secs(BETWEEN)),
            StudyEvent::ExclusionProposed { member, .. } => proposed(*member),
            _ => {}
        },
    )
}

fn counted(outcome: &StudyOutcome, member: u8) -> Vec<u32> {
    let with = |round: &&counterweight_federated::coordinator::RoundSummary| {
        round.survivors.contains(&MemberIndex(member))
    };
    outcome
        .rounds
        .iter()
        .filter(with)
        .map(|round| round.round.0)
        .collect()
}

/// What a ledger says, which a test may change.
#[derive(Clone)]
struct Told {
    inner: MemoryLedger,
    rounds: Vec<RoundRecord>,
    finish: FinishRecord,
    setting: Option<StandingSetting>,
    proposals: Vec<Proposal>,
}

impl Told {
    fn of(world: &World) -> Self {
        let (inner, study) = (world.ledger.clone(), world.study);
        Self {
            rounds: inner.rounds(study).unwrap(),
            finish: inner.finish_record(study).unwrap().unwrap(),
            setting: inner.standing_setting(study).unwrap(),
            proposals: inner.proposals(study).unwrap(),
            inner,
        }
    }

    fn audit(&self, world: &World) -> AuditReport {
        world.audit(self, &world.blobs).run()
    }
}

impl StudyReader for Told {
    fn study(&self, study: StudyId) -> Result<StudyState, LedgerError> {
        self.inner.study(study)
    }
    fn rounds(&self, _: StudyId) -> Result<Vec<RoundRecord>, LedgerError> {
        Ok(self.rounds.clone())
    }
    fn finish_record(&self, _: StudyId) -> Result<Option<FinishRecord>, LedgerError> {
        Ok(Some(self.finish.clone()))
    }
    fn now(&self) -> Result<UnixSeconds, LedgerError> {
        self.inner.now()
    }
    fn mask_reader(&self) -> Option<&dyn MaskReader> {
        self.inner.mask_reader()
    }
    fn standing_reader(&self) -> Option<&dyn StandingReader> {
        Some(self)
    }
}

impl StandingReader for Told {
    fn standing_setting(&self, _: StudyId) -> Result<Option<StandingSetting>, LedgerError> {
        Ok(self.setting)
    }
    fn proposals(&self, _: StudyId) -> Result<Vec<Proposal>, LedgerError> {
        Ok(self.proposals.clone())
    }
}

fn holds(report: &AuditReport) {
    for check in &report.checks {
        match check.check {
            CheckKind::Model | CheckKind::Lineage => {}
            _ => assert_eq!(check.verdict, Verdict::Yes, "{check:#?}"),
        }
    }
}

/// Round and member that a check names.
fn named(report: &AuditReport, kind: CheckKind, words: &str) -> (Option<u32>, Option<u8>) {
    let check = report.checks.iter().find(|check| check.check == kind).unwrap();
    assert_eq!(check.verdict, Verdict::No, "{check:#?}");
    let found = check.findings.iter().find(|found| found.problem.contains(words));
    let found = found.unwrap_or_else(|| panic!("{words}: {check:#?}"));
    (found.round, found.member)
}

#[test]
fn a_member_that_flips_labels_is_proposed_excluded_and_earns_nothing_more() {
    let world = World::new(&shape(10));
    let mut proposed = Vec::new();
    let outcome = run(&world, Some(FLIPPER), &mut |member| proposed.push(member.0)).unwrap();
    assert_eq!(proposed, [FLIPPER]);
    // Proposed after round 3; the time to appeal is over before round 5 opens.
    assert_eq!(counted(&outcome, FLIPPER), [1, 2, 3, 4]);
    assert!((0..5).all(|member| counted(&outcome, member).len() == 10));
    assert_eq!(outcome.report.contributions[usize::from(FLIPPER)], Ppm::ZERO);
    assert!(
        outcome.report.contributions[..5]
            .iter()
            .any(|share| *share > Ppm::ZERO)
    );
    let state = world.ledger.study(world.study).unwrap();
    let own = &state.members[usize::from(FLIPPER)];
    assert_eq!(own.survived, 4);
    // Its bond is its own.
    let paid = world.ledger.claim(world.study, MemberIndex(FLIPPER)).unwrap();
    assert_eq!(paid, state.bond);
    let report = Told::of(&world).audit(&world);
    holds(&report);
    let standing = report.standing.unwrap();
    assert_eq!(standing[usize::from(FLIPPER)].scored_rounds, 4);
    assert!(standing[usize::from(FLIPPER)].total_nano < 0);
}

/// A study in which the flipper appeals and the arbiter upholds the appeal, rejects it, or says nothing.
fn appealed(decision: Option<bool>) -> (World, StudyOutcome) {
    let world = World::new(&shape(8));
    let (study, ledger) = (world.study, world.ledger.clone());
    let outcome = run(&world, Some(FLIPPER), &mut |member| {
        let own = ledger.acting_for(account(member.0));
        own.appeal_exclusion(study, member, ContentDigest::of(b"our patients differ"))
            .unwrap();
        if let Some(uphold) = decision {
            let arbiter = ledger.acting_for(account(ARBITER));
            arbiter.decide_appeal(study, member, uphold).unwrap();
        }
    })
    .unwrap();
    holds(&Told::of(&world).audit(&world));
    (world, outcome)
}

#[test]
fn a_member_whose_appeal_is_upheld_stays_and_its_rounds_are_counted_afresh() {
    let (world, outcome) = appealed(Some(true));
    assert_eq!(counted(&outcome, FLIPPER).len(), 8);
    let proposals = world.ledger.proposals(world.study).unwrap();
    let rounds: Vec<u32> = proposals.iter().map(|proposal| proposal.round.0).collect();
    assert_eq!(rounds, [3, 6]);
}

#[test]
fn an_appeal_that_is_rejected_excludes_at_once_and_silence_keeps_the_member() {
    let (_, rejected) = appealed(Some(false));
    assert_eq!(counted(&rejected, FLIPPER), [1, 2, 3]);
    let (world, silent) = appealed(None);
    assert_eq!(counted(&silent, FLIPPER).len(), 8);
    let proposals = world.ledger.proposals(world.study).unwrap();
    let setting = world.ledger.standing_setting(world.study).unwrap().unwrap();
    assert!(matches!(proposals[0].end(&setting), ProposalState::Kept { .. }));
}

#[test]
fn each_lie_about_standing_is_named() {
    let world = World::new(&shape(10));
    run(&world, Some(FLIPPER), &mut |_| ()).unwrap();
    let honest = Told::of(&world);
    let lie = |change: &dyn Fn(&mut Told)| {
        let mut told = honest.clone();
        change(&mut told);
        told.audit(&world)
    };
    use CheckKind::{Aggregation, Contributions, Standing};
    let accused = lie(&|told| {
        told.proposals.push(Proposal {
            member: MemberIndex(1),
            round: Round(7),
            ..told.proposals[0]
        });
    });
    let words = "the rule does not give that";
    assert_eq!(named(&accused, Standing, words), (Some(7), Some(1)));
    let early = lie(&|told| told.proposals[0].round = Round(2));
    assert_eq!(named(&early, Standing, words), (Some(2), Some(FLIPPER)));
    let spared = lie(&|told| told.proposals.clear());
    assert_eq!(named(&spared, Standing, "was spared"), (Some(3), Some(FLIPPER)));
    let other = lie(&|told| told.proposals[0].evidence = ContentDigest([9; 32]));
    assert_eq!(
        named(&other, Standing, "by other values"),
        (Some(3), Some(FLIPPER))
    );
    let judge = lie(&|told| told.setting.as_mut().unwrap().arbiter = account(COORDINATOR));
    assert_eq!(named(&judge, Standing, "against its own proposals"), (None, None));
    let window = lie(&|told| told.setting.as_mut().unwrap().appeal_seconds = 1);
    named(&window, Standing, "otherwise than the terms say");
    let none = lie(&|told| told.setting = None);
    named(&none, Standing, "does not say how");
    let counts = lie(&|told| told.rounds[7].closed.as_mut().unwrap().survivors |= 1 << FLIPPER);
    assert_eq!(
        named(&counts, Aggregation, "is counted and was excluded"),
        (Some(8), Some(FLIPPER))
    );
    let leaves = lie(&|told| told.rounds[4].closed.as_mut().unwrap().survivors &= !(1 << 2));
    assert_eq!(named(&leaves, Standing, "was left out"), (Some(5), Some(2)));
    let pays = lie(&|told| told.finish.contributions[usize::from(FLIPPER)].0 = Ppm::new(9).unwrap());
    assert_eq!(named(&pays, Contributions, "recorded is"), (None, Some(FLIPPER)));
}

#[test]
fn the_arbiter_is_never_the_coordinator() {
    let mut shape = shape(10);
    shape
        .standing
        .as_mut()
        .unwrap()
        .exclusion
        .as_mut()
        .unwrap()
        .arbiter = None;
    // Its sponsor, who would be the arbiter, coordinates it too.
    let world = World::new(&shape);
    let error = run(&world, None, &mut |_| ()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("ArbiterIsCoordinator"), "{source}");
}

#[test]
fn members_without_enough_scored_rounds_are_not_paid_and_that_stays_with_the_sponsor() {
    let mut shape = Shape {
        members: 4,
        rounds: 5,
        standing: Some(Standing {
            vesting_rounds: 3,
            exclusion: None,
        }),
        ..Shape::default()
    };
    shape.min_members = 1;
    let mut terms = crate::support::public_terms(&shape);
    terms.members_per_round = Some(2);
    let world = World::with_terms(&shape, Arc::new(ManualClock::at(START)), terms);
    let outcome = run(&world, None, &mut |_| ()).unwrap();
    let mut unvested = 0;
    for (member, share) in (0_u8..).zip(&outcome.report.contributions) {
        if counted(&outcome, member).len() < 3 {
            assert_eq!(*share, Ppm::ZERO);
            unvested += 1;
        }
    }
    assert!(unvested > 0);
    assert_eq!(outcome.report.vesting_rounds, 3);
    holds(&Told::of(&world).audit(&world));
}

#[test]
fn of_few_masked_members_each_sits_out_in_its_turn_and_the_audit_holds() {
    let world = World::new(&few(9));
    let outcome = run(&world, None, &mut |_| ()).unwrap();
    let everyone = MemberSet::first(6);
    let out: Vec<Option<u8>> = outcome
        .rounds
        .iter()
        .map(|round| {
            let there: MemberSet = round.survivors.iter().copied().collect();
            let out: Vec<_> = MemberSet(everyone.0 & !there.0).iter().collect();
            assert!(out.len() <= 1, "{out:?}");
            out.first().map(|member| member.0)
        })
        .collect();
    // The first round has no beacon before it; then each once, and nobody once, in seven rounds.
    assert_eq!(out[0], None);
    let turn: BTreeSet<Option<u8>> = out[1..8].iter().copied().collect();
    assert_eq!(turn.len(), 7, "{out:?}");
    assert_eq!(outcome.report.scoring, Scoring::Participation);
    let told = Told::of(&world);
    holds(&told.audit(&world));
    let asking = Asking::read(&told, &world.terms, world.study, &told.rounds).unwrap();
    let state = told.study(world.study).unwrap();
    for (round, out) in (1..).zip(&out) {
        let asked = asking.asked(&world.terms, &state, Round(round));
        assert_eq!(asked.len(), 6 - out.iter().len());
    }
}

#[test]
fn whoever_sits_out_and_is_counted_all_the_same_is_named_and_so_are_other_contributions() {
    let world = World::new(&few(9));
    let outcome = run(&world, None, &mut |_| ()).unwrap();
    let honest = Told::of(&world);
    let round = outcome
        .rounds
        .iter()
        .find(|round| round.survivors.len() == 5)
        .unwrap();
    let out = (0..6)
        .find(|member| !round.survivors.contains(&MemberIndex(*member)))
        .unwrap();
    let mut told = honest.clone();
    let closing = told.rounds[round.round.0 as usize - 1].closed.as_mut().unwrap();
    closing.survivors |= 1 << out;
    assert_eq!(
        named(&told.audit(&world), CheckKind::Aggregation, "was not asked"),
        (Some(round.round.0), Some(out))
    );
    let mut told = honest.clone();
    let paid = &mut told.finish.contributions[3].0;
    *paid = Ppm::new(paid.millionths() ^ 1).unwrap();
    assert_eq!(
        named(&told.audit(&world), CheckKind::Contributions, "recorded is"),
        (None, Some(3))
    );
}

/// With one group, leaving it out tells nobody from anybody; who sits out does.
#[test]
fn of_few_masked_members_one_that_flips_labels_is_found_and_earns_nothing() {
    let flipper = usize::from(FLIPPER);
    let alike = World::new(&Shape {
        scoring: Scoring::LeaveOneOut,
        ..few(15)
    });
    let outcome = run(&alike, Some(FLIPPER), &mut |_| ()).unwrap();
    let shares: BTreeSet<Ppm> = outcome.report.contributions.iter().copied().collect();
    assert_eq!(shares.len(), 1);
    let world = World::new(&Shape {
        standing: Some(Standing {
            vesting_rounds: 3,
            exclusion: Some(Exclusion {
                outlier: 3.into(),
                patience: 5,
                appeal_seconds: 30,
                arbiter: Some(account(ARBITER)),
            }),
        }),
        ..few(36)
    });
    let outcome = run(&world, Some(FLIPPER), &mut |_| ()).unwrap();
    assert_eq!(outcome.report.contributions[flipper], Ppm::ZERO);
    let totals = &outcome.report.totals_nano;
    assert!(
        (0..5).all(|member| totals[member] > totals[flipper]),
        "{totals:?}"
    );
    let proposals = world.ledger.proposals(world.study).unwrap();
    assert!(
        proposals.iter().any(|proposal| proposal.member.0 == FLIPPER),
        "{proposals:?}"
    );
    holds(&Told::of(&world).audit(&world));
}
