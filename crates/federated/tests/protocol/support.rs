//! A study in memory that tests can run, break and run again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use counterweight_federated::{
    architecture::Architecture,
    audit::{Audit, HoldoutFile},
    blobs::{Blobs, MemoryBlobs},
    clock::{Clock, ManualClock},
    coordinator::{
        Coordinator, CoordinatorError, CoordinatorOptions, Environment, Members, StudyEvent, StudyOutcome,
        StudyPlan, in_process::InProcess,
    },
    journal::{Journal, MemoryJournal},
    ledger::{StudyLedger, StudyReader, StudyTerms},
    member::{BuiltIn, Member, MemberSetup},
    memory::MemoryLedger,
    privacy::MicroEpsilon,
    server_optimiser::Aggregation,
    study::{
        FileFormat, Scoring, masking::Masking, schema::DataSection, standing::Standing, terms::PublicTerms,
    },
    table::{Dataset, Source, holdout_rows},
    training::{LocalTraining, OptimiserKind},
};
use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, Ppm, PurposeIndex, StudyId, UnixMillis, UnixSeconds,
};
use counterweight_provenance::{
    ledger::ConsentLedger as _,
    purpose::PurposeSet,
    signature::{MemorySigner, Signer as _},
};

pub(crate) const INPUTS: usize = 3;
pub(crate) const START: UnixMillis = UnixMillis(1_795_000_000_000);

/// A study on a ledger in memory, with as many clinics as wanted.
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ledger: MemoryLedger,
    pub(crate) blobs: MemoryBlobs,
    pub(crate) study: StudyId,
    pub(crate) terms: PublicTerms,
    pub(crate) holdout: Vec<u8>,
    pub(crate) poll: Duration,
    pub(crate) datasets: Vec<AssetId>,
    /// What members noted, which outlives them.
    pub(crate) notes: Vec<Arc<Mutex<MemoryJournal>>>,
}

pub(crate) struct Shape {
    pub(crate) members: u8,
    pub(crate) min_members: u8,
    pub(crate) rounds: u32,
    pub(crate) aggregation: Aggregation,
    pub(crate) round_seconds: u32,
    pub(crate) masking: Option<Masking>,
    pub(crate) members_per_round: Option<u8>,
    pub(crate) scoring: Scoring,
    pub(crate) standing: Option<Standing>,
}

impl Default for Shape {
    fn default() -> Self {
        let decimal = |text: &str| text.parse().unwrap();
        Self {
            members: 4,
            min_members: 2,
            rounds: 3,
            aggregation: Aggregation::Fedyogi {
                lr: decimal("0.1"),
                beta1: decimal("0.9"),
                beta2: decimal("0.99"),
                tau: decimal("0.001"),
            },
            round_seconds: 60,
            masking: None,
            members_per_round: None,
            scoring: Scoring::LeaveOneOut,
            standing: None,
        }
    }
}

pub(crate) fn key(number: u8) -> MemorySigner {
    let mut secret = [7; 32];
    secret[31] = number;
    MemorySigner::from_secret(&secret).unwrap()
}

pub(crate) fn account(number: u8) -> Address {
    key(number).address()
}

/// Account of the coordinator, who is the sponsor too.
pub(crate) const COORDINATOR: u8 = 200;

/// Rows that a line separates, a little differently in each clinic.
pub(crate) fn rows(seed: u8, count: usize) -> Dataset {
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
        labels.push(u32::from(
            row[0] - row[1] + 0.1 * f32::from(seed % 3) + 0.3 * next() > 0.0,
        ));
        features.extend(row);
    }
    Dataset::new(INPUTS, features, labels).unwrap()
}

/// The hold-out as a file.
pub(crate) fn holdout_file() -> Vec<u8> {
    let rows = rows(99, 40);
    let mut text = "x0,x1,x2,y\n".to_owned();
    for (row, label) in rows.features().chunks(INPUTS).zip(rows.labels()) {
        text += &format!("{},{},{},{label}\n", row[0], row[1], row[2]);
    }
    text.into_bytes()
}

pub(crate) fn public_terms(shape: &Shape) -> PublicTerms {
    let decimal = |text: &str| text.parse().unwrap();
    let columns: Vec<String> = (0..INPUTS).map(|index| format!("\"x{index}\"")).collect();
    let data: DataSection = serde_json::from_str(&format!(
        "{{\"columns\":[{}],\"label\":\"y\"}}",
        columns.join(",")
    ))
    .unwrap();
    PublicTerms {
        schema: counterweight_federated::study::terms::SCHEMA.to_owned(),
        study: "test".to_owned(),
        purpose: "research".to_owned(),
        model: "test".to_owned(),
        architecture: Architecture::logistic(INPUTS as u32),
        start: None,
        data,
        holdout: Some(ContentDigest::of(&holdout_file())),
        rounds: shape.rounds,
        members_per_round: shape.members_per_round,
        quorum: 1,
        combination: None,
        aggregation: shape.aggregation,
        local: LocalTraining {
            steps: Some(10),
            epochs: None,
            batch: 4,
            optimiser: OptimiserKind::Sgd,
            lr: decimal("0.5"),
            proximal: decimal("0"),
        },
        clip: decimal("10"),
        privacy: None,
        masking: shape.masking,
        scoring: shape.scoring,
        standing: shape.standing,
        seed: 42,
    }
}

impl World {
    pub(crate) fn new(shape: &Shape) -> Self {
        Self::with_clock(shape, Arc::new(ManualClock::at(START)))
    }

    pub(crate) fn with_clock(shape: &Shape, clock: Arc<dyn Clock>) -> Self {
        Self::with_terms(shape, clock, public_terms(shape))
    }

    pub(crate) fn with_terms(shape: &Shape, clock: Arc<dyn Clock>, terms: PublicTerms) -> Self {
        let budget = terms.epsilon_budget();
        Self::with_budget(shape, clock, terms, budget)
    }

    /// On a ledger that keeps to this budget of privacy, whatever the terms say.
    pub(crate) fn with_budget(
        shape: &Shape,
        clock: Arc<dyn Clock>,
        terms: PublicTerms,
        epsilon_budget: Option<MicroEpsilon>,
    ) -> Self {
        let ledger = MemoryLedger::new(clock.clone(), account(COORDINATOR));
        let now = clock.now().seconds();
        let study = ledger
            .open_study(&StudyTerms {
                coordinator: account(COORDINATOR),
                token: Address([9; 20]),
                budget: Amount(1_000_000_007),
                bond: Amount(50),
                purpose: PurposeIndex(0),
                base_model: None,
                terms: ContentDigest::of(&terms.to_bytes().unwrap()),
                min_members: shape.min_members,
                max_members: shape.members,
                rounds: shape.rounds,
                round_seconds: shape.round_seconds,
                close_seconds: shape.round_seconds,
                enrol_until: UnixSeconds(now.0 + 1_000),
                finish_by: UnixSeconds(now.0 + 1_000_000),
                member_cap: Ppm::new(600_000).unwrap(),
                lineage_share: Ppm::new(300_000).unwrap(),
                epsilon_budget,
                invited: Vec::new(),
            })
            .unwrap();
        let datasets = (0..shape.members)
            .map(|number| {
                let steward = ledger.acting_for(account(number));
                let dataset = steward.register_dataset();
                steward
                    .grant(dataset, PurposeSet::from_names(["research"]).unwrap(), None)
                    .unwrap();
                dataset
            })
            .collect();
        Self {
            clock,
            ledger,
            blobs: MemoryBlobs::default(),
            study,
            terms,
            holdout: holdout_file(),
            poll: Duration::from_millis(500),
            notes: (0..shape.members).map(|_| Arc::default()).collect(),
            datasets,
        }
    }

    pub(crate) fn setup(&self, number: u8) -> MemberSetup {
        let ledger = self.ledger.acting_for(account(number));
        MemberSetup {
            study: self.study,
            dataset: self.datasets[usize::from(number)],
            terms: self.terms.clone(),
            trainer: Arc::new(BuiltIn::new(rows(number, 20 + 10 * usize::from(number)))),
            data: ContentDigest::of(&[number]),
            ledger: Arc::new(ledger.clone()),
            consent: Arc::new(ledger),
            secret: [number; 32].into(),
            notes: Some(self.notes[usize::from(number)].clone() as _),
        }
    }

    pub(crate) fn member(&self, number: u8) -> Member {
        Member::new(self.setup(number)).unwrap()
    }

    pub(crate) fn in_process(&self, numbers: impl IntoIterator<Item = u8>) -> InProcess {
        let members = numbers.into_iter().map(|number| self.member(number)).collect();
        InProcess::new(members, Arc::new(self.blobs.clone()), self.clock.clone())
    }

    pub(crate) fn plan(&self) -> StudyPlan {
        let source = Source {
            name: "holdout.csv",
            bytes: &self.holdout,
            format: FileFormat::Csv,
        };
        StudyPlan {
            study: self.study,
            terms: self.terms.clone(),
            holdout: Some(holdout_rows(source, &self.terms.data).unwrap().rows),
        }
    }

    /// An audit with the hold-out and without a model.
    pub(crate) fn audit<'a>(&'a self, ledger: &'a dyn StudyReader, blobs: &'a dyn Blobs) -> Audit<'a> {
        Audit {
            study: self.study,
            ledger,
            consent: Some(&self.ledger),
            blobs,
            holdout: Some(HoldoutFile {
                name: "holdout.csv",
                bytes: &self.holdout,
                format: FileFormat::Csv,
            }),
            model: None,
        }
    }

    pub(crate) fn run(&self, members: &mut dyn Members) -> Result<StudyOutcome, CoordinatorError> {
        self.run_with(
            members,
            &self.ledger,
            &self.blobs,
            &mut MemoryJournal::default(),
            &mut |_| (),
        )
    }

    pub(crate) fn run_with(
        &self,
        members: &mut dyn Members,
        ledger: &dyn StudyLedger,
        blobs: &dyn Blobs,
        journal: &mut dyn Journal,
        observer: &mut dyn FnMut(&StudyEvent),
    ) -> Result<StudyOutcome, CoordinatorError> {
        let environment = Environment {
            ledger,
            blobs,
            journal,
            clock: self.clock.as_ref(),
            observer,
        };
        let options = CoordinatorOptions {
            members_expected: Some(self.datasets.len()),
            poll: self.poll,
            patience: Duration::from_secs(20),
            ..CoordinatorOptions::default()
        };
        Coordinator::new(self.plan(), options, environment).run(members)
    }
}

/// A clock that moves only when a test says so, while threads that wait really do.
pub(crate) struct HeldClock(pub(crate) ManualClock);

impl Clock for HeldClock {
    fn now(&self) -> UnixMillis {
        self.0.now()
    }
    fn pause(&self, duration: Duration) {
        std::thread::sleep(duration.min(Duration::from_millis(5)));
    }
}
