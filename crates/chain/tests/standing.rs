//! Exclusions are recorded on every chain, and a study on the embedded one excludes a member that flips its labels.

mod support;

use std::sync::Arc;

use counterweight_chain::ledger::ContractLedger;
use counterweight_federated::architecture::Architecture;
use counterweight_federated::attack::DataAttack;
use counterweight_federated::audit::{Audit, CheckKind, HoldoutFile, Verdict};
use counterweight_federated::blobs::MemoryBlobs;
use counterweight_federated::clock::ManualClock;
use counterweight_federated::coordinator::in_process::InProcess;
use counterweight_federated::coordinator::{
    Coordinator, CoordinatorOptions, Environment, StudyEvent, StudyOutcome, StudyPlan,
};
use counterweight_federated::journal::MemoryJournal;
use counterweight_federated::ledger::standing::{
    ProposalState, StandingLedger as _, StandingReader as _, StandingSetting,
};
use counterweight_federated::ledger::{StudyLedger as _, StudyReader as _, StudyTerms};
use counterweight_federated::member::{BuiltIn, Member, MemberSetup};
use counterweight_federated::privacy::MicroEpsilon;
use counterweight_federated::server_optimiser::Aggregation;
use counterweight_federated::study::schema::DataSection;
use counterweight_federated::study::standing::{Exclusion, Standing};
use counterweight_federated::study::terms::{PublicTerms, SCHEMA};
use counterweight_federated::study::{FileFormat, Scoring};
use counterweight_federated::table::{Dataset, Source, holdout_rows};
use counterweight_federated::training::{LocalTraining, OptimiserKind};
use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, StudyId, UnixSeconds,
};
use counterweight_provenance::ledger::{
    AssetKind, AssetLedger as _, ConsentLedger as _, LedgerError, Registration,
};
use counterweight_provenance::purpose::PurposeSet;
use support::{Deployed, Embedded, TestChain, key};

on_every_chain! {
    proposals_appeals_and_decisions_are_read_back_with_their_times
}

/// Members are the development accounts 1 to 4; account 0 sponsors and coordinates, account 7 decides.
const MEMBERS: u8 = 4;
const ARBITER: u32 = 7;
const FLIPPER: MemberIndex = MemberIndex(3);
const BOND: Amount = Amount(77);
const WINDOW: u32 = 1_000;

fn digest(text: &str) -> ContentDigest {
    ContentDigest::of(text.as_bytes())
}

fn refused<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> String {
    match result {
        Err(LedgerError::Refused { reason, .. }) => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

struct Study {
    deployed: Deployed,
    coordinator: ContractLedger,
    members: Vec<ContractLedger>,
    datasets: Vec<AssetId>,
    study: StudyId,
}

impl Study {
    fn open(chain: &dyn TestChain, rounds: u32, terms: ContentDigest) -> Self {
        let deployed = Deployed::on(chain);
        let coordinator = deployed.ledger(0);
        let members: Vec<_> = (1..=u32::from(MEMBERS))
            .map(|index| deployed.ledger(index))
            .collect();
        let now = coordinator.now().unwrap().0;
        let study = coordinator
            .open_study(&StudyTerms {
                coordinator: coordinator.account(),
                token: deployed.deployment.development_token.unwrap(),
                budget: Amount(0),
                bond: BOND,
                purpose: PurposeIndex(0),
                base_model: None,
                terms,
                min_members: 2,
                max_members: MEMBERS,
                rounds,
                round_seconds: 600,
                close_seconds: 300,
                enrol_until: UnixSeconds(now + 1_000),
                finish_by: UnixSeconds(now + 1_000_000),
                member_cap: Ppm::new(500_000).unwrap(),
                lineage_share: Ppm::new(400_000).unwrap(),
                epsilon_budget: None,
                invited: Vec::new(),
            })
            .unwrap();
        let datasets = members
            .iter()
            .zip(0_u8..)
            .map(|(member, number)| {
                coordinator
                    .mint_development_tokens(member.account(), BOND)
                    .unwrap();
                let dataset = register(member, number);
                let purposes = PurposeSet::from_names(["research"]).unwrap();
                member.grant(dataset, purposes, None).unwrap();
                dataset
            })
            .collect();
        Self {
            deployed,
            coordinator,
            members,
            datasets,
            study,
        }
    }

    fn arbiter(&self) -> ContractLedger {
        self.deployed.ledger(ARBITER)
    }
}

fn register(ledger: &ContractLedger, number: u8) -> AssetId {
    let registration = Registration {
        kind: AssetKind::Dataset,
        content: digest(&format!("clinic-{number}")),
        manifest: digest(&format!("manifest of clinic-{number}")),
        previous: None,
        resale_royalty_bps: 0,
        uri: format!("https://example.org/clinic-{number}"),
        parents: Vec::new(),
    };
    ledger.register(ledger.account(), &registration).unwrap()
}

fn proposals_appeals_and_decisions_are_read_back_with_their_times(chain: &dyn TestChain) {
    let s = Study::open(chain, 3, digest("terms"));
    let (study, coordinator) = (s.study, &s.coordinator);
    let setting = StandingSetting {
        arbiter: s.arbiter().account(),
        appeal_seconds: WINDOW,
    };
    assert_eq!(coordinator.standing_setting(study).unwrap(), None);
    // The sponsor coordinates, so nobody but the coordinator would decide.
    let nobody = StandingSetting {
        arbiter: Address::ZERO,
        ..setting
    };
    let reason = refused(coordinator.configure_standing(study, &nobody));
    assert!(reason.starts_with("ArbiterIsCoordinator("), "{reason}");
    coordinator.configure_standing(study, &setting).unwrap();
    assert_eq!(coordinator.standing_setting(study).unwrap(), Some(setting));
    for (member, dataset) in s.members.iter().zip(&s.datasets) {
        member.join(study, *dataset).unwrap();
    }
    coordinator.start(study).unwrap();
    let round = coordinator.open_round(study, digest("base")).unwrap();
    for (index, member) in (0..).zip(&s.members) {
        member
            .commit_update(
                study,
                round,
                MemberIndex(index),
                digest(&format!("update {index}")),
            )
            .unwrap();
    }
    coordinator
        .close_round(study, round, 0b1111, digest("result"), MicroEpsilon::ZERO)
        .unwrap();

    coordinator
        .propose_exclusion(study, FLIPPER, Round(1), digest("values"))
        .unwrap();
    coordinator
        .propose_exclusion(study, MemberIndex(1), Round(1), digest("values"))
        .unwrap();
    let proposed_at = coordinator.proposals(study).unwrap()[0].proposed_at;
    chain.advance(100);
    let reason = refused(s.members[0].appeal_exclusion(study, FLIPPER, digest("reason")));
    assert!(reason.starts_with("NotMember("), "{reason}");
    s.members[3]
        .appeal_exclusion(study, FLIPPER, digest("reason"))
        .unwrap();
    chain.advance(50);
    let reason = refused(coordinator.decide_appeal(study, FLIPPER, false));
    assert!(reason.starts_with("NotArbiter("), "{reason}");
    s.arbiter().decide_appeal(study, FLIPPER, false).unwrap();
    let decided_at = coordinator.now().unwrap();

    let reader = s.members[0].standing_reader().unwrap();
    let proposals = reader.proposals(study).unwrap();
    let members: Vec<u8> = proposals.iter().map(|proposal| proposal.member.0).collect();
    assert_eq!(members, [3, 1]);
    assert_eq!(proposals[0].evidence, digest("values"));
    let appeal = proposals[0].appeal.unwrap();
    assert_eq!(appeal.reason, digest("reason"));
    assert!(appeal.at.0 >= proposed_at.0 + 100);
    assert_eq!(appeal.decision.unwrap().at, decided_at);
    assert_eq!(proposals[0].excluded_since(&setting), Some(decided_at));
    let now = coordinator.now().unwrap();
    assert!(matches!(
        proposals[1].state(&setting, now),
        ProposalState::Open { .. }
    ));
    chain.advance(u64::from(WINDOW) + 1);
    let now = coordinator.now().unwrap();
    assert!(matches!(
        proposals[1].state(&setting, now),
        ProposalState::Excluded { .. }
    ));
}

const INPUTS: usize = 3;

/// Rows that a line separates, a little differently in each clinic.
fn rows(seed: u8, count: usize) -> Dataset {
    let mut state = u64::from(seed) * 2 + 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1_u64 << 24) as f32 - 0.5
    };
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let row: Vec<f32> = (0..INPUTS).map(|_| next()).collect();
        labels.push(u32::from(row[0] - row[1] + 0.3 * next() > 0.0));
        features.extend(row);
    }
    Dataset::new(INPUTS, features, labels).unwrap()
}

fn holdout_file() -> Vec<u8> {
    let rows = rows(99, 60);
    let mut text = "x0,x1,x2,y\n".to_owned();
    for (row, label) in rows.features().chunks(INPUTS).zip(rows.labels()) {
        text += &format!("{},{},{},{label}\n", row[0], row[1], row[2]);
    }
    text.into_bytes()
}

fn terms(rounds: u32, arbiter: Address) -> PublicTerms {
    let data: DataSection =
        serde_json::from_str(r#"{"columns":["x0","x1","x2"],"label":"y","standardise":"none"}"#).unwrap();
    PublicTerms {
        schema: SCHEMA.to_owned(),
        study: "test".to_owned(),
        purpose: "research".to_owned(),
        model: "test".to_owned(),
        architecture: Architecture::logistic(INPUTS as u32),
        start: None,
        data,
        holdout: Some(ContentDigest::of(&holdout_file())),
        rounds,
        members_per_round: None,
        quorum: 1,
        combination: None,
        aggregation: Aggregation::default(),
        local: LocalTraining {
            steps: Some(10),
            epochs: None,
            batch: 8,
            optimiser: OptimiserKind::Sgd,
            lr: "0.5".parse().unwrap(),
            proximal: 0.into(),
        },
        clip: 10.into(),
        privacy: None,
        masking: None,
        scoring: Scoring::LeaveOneOut,
        standing: Some(Standing {
            vesting_rounds: 3,
            exclusion: Some(Exclusion {
                outlier: 3.into(),
                patience: 3,
                appeal_seconds: WINDOW,
                arbiter: Some(arbiter),
            }),
        }),
        seed: 42,
    }
}

/// A study on the embedded chain in which account 4 flips its labels; `proposed` is what is done at a proposal.
fn run(rounds: u32, proposed: impl Fn(&Study, MemberIndex)) -> (Study, StudyOutcome) {
    let chain = Embedded::start();
    let arbiter = counterweight_chain::network::TransactionSigner::address(&key(ARBITER));
    let terms = terms(rounds, Address(arbiter.0.0));
    let s = Study::open(&chain, rounds, ContentDigest::of(&terms.to_bytes().unwrap()));
    let (blobs, clock) = (MemoryBlobs::default(), Arc::new(ManualClock::default()));
    let member = |number: u8| {
        let own = rows_of(number);
        let ledger = Arc::new(s.members[usize::from(number)].clone());
        Member::new(MemberSetup {
            study: s.study,
            dataset: s.datasets[usize::from(number)],
            terms: terms.clone(),
            trainer: Arc::new(BuiltIn::new(own)),
            data: ContentDigest::of(&[number]),
            ledger: Arc::clone(&ledger) as _,
            consent: ledger,
            secret: [number; 32].into(),
            notes: None,
        })
        .unwrap()
    };
    let mut members = InProcess::new(
        (0..MEMBERS).map(member).collect(),
        Arc::new(blobs.clone()),
        clock.clone(),
    );
    let holdout = holdout_file();
    let source = Source {
        name: "holdout.csv",
        bytes: &holdout,
        format: FileFormat::Csv,
    };
    let plan = StudyPlan {
        study: s.study,
        terms: terms.clone(),
        holdout: Some(holdout_rows(source, &terms.data).unwrap().rows),
    };
    let environment = Environment {
        ledger: &s.coordinator,
        blobs: &blobs,
        journal: &mut MemoryJournal::default(),
        clock: &*clock,
        observer: &mut |event| match event {
            StudyEvent::RoundClosed(_) => chain.advance(u64::from(WINDOW) / 2),
            StudyEvent::ExclusionProposed { member, .. } => proposed(&s, *member),
            _ => {}
        },
    };
    let options = CoordinatorOptions {
        members_expected: Some(MEMBERS.into()),
        ..CoordinatorOptions::default()
    };
    let outcome = Coordinator::new(plan, options, environment)
        .run(&mut members)
        .unwrap();
    let report = Audit {
        study: s.study,
        ledger: &s.coordinator,
        consent: Some(&s.coordinator),
        blobs: &blobs,
        holdout: Some(HoldoutFile {
            name: "holdout.csv",
            bytes: &holdout,
            format: FileFormat::Csv,
        }),
        model: None,
    }
    .run();
    for check in &report.checks {
        if !matches!(check.check, CheckKind::Model | CheckKind::Lineage) {
            assert_eq!(check.verdict, Verdict::Yes, "{check:#?}");
        }
    }
    assert!(
        report
            .checks
            .iter()
            .any(|check| check.check == CheckKind::Standing)
    );
    (s, outcome)
}

fn rows_of(number: u8) -> Dataset {
    let own = rows(number, 60);
    match MemberIndex(number) == FLIPPER {
        true => DataAttack::LabelFlip { classes: 2 }.spoil(&own).unwrap(),
        false => own,
    }
}

fn counted(outcome: &StudyOutcome) -> Vec<u32> {
    let with = outcome
        .rounds
        .iter()
        .filter(|round| round.survivors.contains(&FLIPPER));
    with.map(|round| round.round.0).collect()
}

#[test]
fn a_member_that_flips_labels_and_does_not_appeal_is_excluded_and_earns_nothing_more() {
    let (s, outcome) = run(9, |_, member| assert_eq!(member, FLIPPER));
    let rounds = counted(&outcome);
    assert!(rounds.len() < 9 && rounds.len() >= 3, "{rounds:?}");
    assert!(rounds.iter().zip(1..).all(|(got, expected)| *got == expected));
    assert_eq!(outcome.report.contributions[usize::from(FLIPPER.0)], Ppm::ZERO);
    assert_eq!(s.members[3].claim(s.study, FLIPPER).unwrap(), BOND);
}

#[test]
fn a_member_whose_appeal_is_upheld_is_counted_to_the_end() {
    let (s, outcome) = run(5, |s, member| {
        s.members[3]
            .appeal_exclusion(s.study, member, digest("our patients differ"))
            .unwrap();
        s.arbiter().decide_appeal(s.study, member, true).unwrap();
    });
    assert_eq!(counted(&outcome), [1, 2, 3, 4, 5]);
    let proposals = s.coordinator.proposals(s.study).unwrap();
    assert!(proposals[0].appeal.unwrap().decision.unwrap().upheld);
}
