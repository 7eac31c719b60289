//! A whole study in one process: the coordinator, the record in memory, and members that are functions of Python's.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use counterweight_federated::{
    architecture::{Architecture, MOST_PARAMETERS},
    blobs::{Blobs as _, MemoryBlobs},
    clock::{Clock as _, ManualClock},
    coordinator::{
        Coordinator, CoordinatorOptions, Delivery, Environment, Members, Notice, StudyPlan,
        in_process::InProcess,
    },
    journal::MemoryJournal,
    ledger::{StudyLedger as _, StudyTerms},
    member::{Member, MemberSetup},
    memory::MemoryLedger,
    study::{
        StudyConfig,
        terms::{CommittedFiles, PublicTerms},
    },
    tensor_file,
    update::Update,
};
use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, Ppm, StudyId, UnixMillis, UnixSeconds,
};
use counterweight_provenance::{
    ledger::ConsentLedger as _,
    purpose::{Purpose, PurposeSet},
};
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    StudyError,
    client::{PythonTrainer, Raised},
};

/// When simulated studies begin: a time like any other, so that their records repeat.
const START: UnixMillis = UnixMillis(1_795_000_000_000);

/// Longest a simulated study may take by its own clock, which moves only where something is waited for.
const FINISH_SECONDS: u64 = 300_000_000;

/// What a study gives.
pub(crate) struct Outcome {
    pub(crate) model: Vec<u8>,
    pub(crate) digest: String,
    pub(crate) contributions: Vec<u32>,
    pub(crate) terms: String,
}

/// Thrown through the coordinator where a client raised: there is nobody a simulated study could go on for.
struct Stopped;

/// Members in this process that stop the study when one of them raised.
struct Watched {
    members: InProcess,
    blobs: MemoryBlobs,
    raised: Raised,
    on_round: Option<Py<PyAny>>,
    told: u32,
}

impl Watched {
    fn stop_if_raised(&self) {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        if raised.is_some() {
            drop(raised);
            resume_unwind(Box::new(Stopped));
        }
    }

    /// Signals reach Python on its main thread only while it is attached, so each announcement attaches once.
    fn tell(&mut self, notice: &Notice) -> PyResult<()> {
        Python::attach(|py| {
            py.check_signals()?;
            let (Some(round), Some(tell)) = (notice.round, &self.on_round) else {
                return Ok(());
            };
            if round.round.0 <= self.told {
                return Ok(());
            }
            self.told = round.round.0;
            let model = self
                .blobs
                .get(&round.base, u64::MAX)
                .map_err(|error| StudyError::new_err(error.to_string()))?;
            tell.bind(py)
                .call1((round.round.0 - 1, PyBytes::new(py, &model)))
                .map(drop)
        })
    }
}

impl Members for Watched {
    fn announce(&mut self, notice: &Notice) {
        if let Err(error) = self.tell(notice) {
            let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
            raised.get_or_insert(error);
        }
        self.stop_if_raised();
        self.members.announce(notice);
        self.stop_if_raised();
    }

    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        self.members.next(wait)
    }

    fn may_grow(&self) -> bool {
        self.members.may_grow()
    }
}

/// The coordinator's with 0, clients' from 1 on. None is the zero address, which acts for nobody.
fn account(place: usize) -> Address {
    let mut bytes = [1; 20];
    bytes[12..].copy_from_slice(&(place as u64).to_be_bytes());
    Address(bytes)
}

fn refused(error: impl std::fmt::Display) -> PyErr {
    StudyError::new_err(error.to_string())
}

/// Runs a study; Python's lock is free but for the calls of clients.
pub(crate) fn run(
    py: Python<'_>,
    study: &str,
    start: &[u8],
    clients: Vec<Py<PyAny>>,
    on_round: Option<Py<PyAny>>,
) -> PyResult<Outcome> {
    let config: StudyConfig = serde_json::from_str(study).map_err(refused)?;
    config.check().map_err(refused)?;
    let architecture = config.architecture().map_err(refused)?;
    let start = tensor_file::read(start, &architecture).map_err(refused)?;
    let blobs = MemoryBlobs::default();
    let terms = config.public_terms(CommittedFiles {
        holdout: None,
        start: Some(blobs.put(&start.to_safetensors()).map_err(refused)?),
    });
    let terms_bytes = terms.to_bytes().map_err(refused)?;
    let clock = Arc::new(ManualClock::at(START));
    let sponsor = MemoryLedger::new(clock.clone(), account(0));
    let id = open(&sponsor, &terms, &terms_bytes, clients.len(), &clock).map_err(refused)?;
    let raised = Raised::default();
    let members = clients
        .into_iter()
        .enumerate()
        .map(|(place, call)| {
            let trainer = PythonTrainer {
                place,
                call,
                raised: Arc::clone(&raised),
            };
            member(&sponsor, id, &terms, place, trainer)
        })
        .collect::<Result<Vec<_>, String>>()
        .map_err(refused)?;
    let count = members.len();
    let mut watched = Watched {
        members: InProcess::new(members, Arc::new(blobs.clone()), clock.clone()).in_turn(),
        blobs: blobs.clone(),
        raised: Arc::clone(&raised),
        on_round,
        told: 0,
    };
    let plan = StudyPlan {
        study: id,
        terms,
        holdout: None,
    };
    let options = CoordinatorOptions {
        members_expected: Some(count),
        ..CoordinatorOptions::default()
    };
    let ran = py.detach(|| {
        // Dropping the clients wants Python's lock, which the closure does not hold: they go with `watched`, later.
        catch_unwind(AssertUnwindSafe(|| {
            let environment = Environment {
                ledger: &sponsor,
                blobs: &blobs,
                journal: &mut MemoryJournal::default(),
                clock: &*clock,
                observer: &mut |_| (),
            };
            Coordinator::new(plan, options, environment).run(&mut watched)
        }))
    });
    if let Some(error) = raised.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error);
    }
    let outcome = match ran {
        Ok(ran) => ran.map_err(|error| refused(with_causes(&error)))?,
        // Only `Stopped` is thrown on purpose, and then an exception was taken above.
        Err(thrown) => resume_unwind(thrown),
    };
    Ok(Outcome {
        model: outcome.model.to_safetensors(),
        digest: outcome.result.to_string(),
        contributions: outcome
            .contributions
            .iter()
            .map(|(share, _)| share.millionths())
            .collect(),
        terms: String::from_utf8_lossy(&terms_bytes).into_owned(),
    })
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

fn open(
    sponsor: &MemoryLedger,
    terms: &PublicTerms,
    terms_bytes: &[u8],
    members: usize,
    clock: &ManualClock,
) -> Result<StudyId, String> {
    let members = u8::try_from(members).unwrap_or(u8::MAX);
    if !(1..=64).contains(&members) {
        return Err(format!("a study has from 1 to 64 clients, not {members}"));
    }
    if terms.quorum > members {
        return Err(format!(
            "a quorum of {} is more than the {members} clients",
            terms.quorum
        ));
    }
    let now = clock.now().seconds();
    let purpose = Purpose::by_name(&terms.purpose).map_err(|error| error.to_string())?;
    let whole = |millionths| Ppm::new(millionths).map_err(|error| error.to_string());
    sponsor
        .open_study(&StudyTerms {
            coordinator: account(0),
            token: account(usize::MAX),
            budget: Amount(0),
            bond: Amount(0),
            purpose: purpose.index,
            base_model: None,
            terms: ContentDigest::of(terms_bytes),
            min_members: terms.quorum,
            max_members: members,
            rounds: terms.rounds,
            round_seconds: 86_400,
            close_seconds: 86_400,
            enrol_until: UnixSeconds(now.0 + 3_600),
            finish_by: UnixSeconds(now.0 + FINISH_SECONDS),
            member_cap: whole(1_000_000)?,
            lineage_share: whole(0)?,
            epsilon_budget: terms.epsilon_budget(),
            invited: Vec::new(),
        })
        .map_err(|error| error.to_string())
}

fn member(
    sponsor: &MemoryLedger,
    study: StudyId,
    terms: &PublicTerms,
    place: usize,
    trainer: PythonTrainer,
) -> Result<Member, String> {
    let ledger = sponsor.acting_for(account(place + 1));
    let dataset: AssetId = ledger.register_dataset();
    let purposes = PurposeSet::from_names([terms.purpose.as_str()]).map_err(|error| error.to_string())?;
    ledger
        .grant(dataset, purposes, None)
        .map_err(|error| error.to_string())?;
    Member::new(MemberSetup {
        study,
        dataset,
        terms: terms.clone(),
        trainer: Arc::new(trainer),
        // Stands for the data in the seeds of a round: clients have no file here, only a place.
        data: ContentDigest::of(&(place as u64).to_le_bytes()),
        ledger: Arc::new(ledger.clone()),
        consent: Arc::new(ledger),
        // Noise of a simulation hides nothing: all its members are in one process, and it repeats.
        secret: [0; 32].into(),
        notes: Some(Arc::new(Mutex::new(MemoryJournal::default()))),
    })
    .map_err(|error| error.with_causes())
}

/// The model file of the tensors in a safetensors file, in the order of `names`.
pub(crate) fn canonical(bytes: &[u8], names: &[String]) -> Result<Vec<u8>, String> {
    let mut tensors = tensor_file::tensors_of(bytes).map_err(|error| error.to_string())?;
    let place = |name: &String| {
        names
            .iter()
            .position(|wanted| wanted == name)
            .unwrap_or(usize::MAX)
    };
    tensors.sort_by_key(|tensor| place(&tensor.name));
    let architecture = Architecture::custom(tensors);
    architecture.check().map_err(|error| error.to_string())?;
    let model = tensor_file::read(bytes, &architecture).map_err(|error| error.to_string())?;
    Ok(model.to_safetensors())
}

/// Whether a leaf is in a log, by RFC 6962.
pub(crate) fn is_included(
    leaf: [u8; 32],
    index: u64,
    size: u64,
    path: Vec<[u8; 32]>,
    root: [u8; 32],
) -> bool {
    use counterweight_primitives::Sha256Digest;
    let path: Vec<Sha256Digest> = path.into_iter().map(Sha256Digest).collect();
    counterweight_provenance::log::proof::verify_inclusion(
        &Sha256Digest(root),
        size,
        index,
        &Sha256Digest(leaf),
        &path,
    )
    .is_ok()
}

/// Study, round, member, digest of the base, examples and coordinates.
pub(crate) type UpdateFacts = (u64, u32, u8, String, u32, Vec<i32>);

/// What an update says.
pub(crate) fn read_update(bytes: &[u8]) -> Result<UpdateFacts, String> {
    let update = Update::decode(bytes, MOST_PARAMETERS).map_err(|error| error.to_string())?;
    Ok((
        update.study.0,
        update.round.0,
        update.member.0,
        update.base.to_string(),
        update.examples,
        update.coordinates,
    ))
}
