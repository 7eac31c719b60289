//! `cw member`: take part with data that stays here.
//!
//! The coordinator is asked for bytes and told about updates; what it says is held against the chain. Only the
//! digest of the data, its manifest and the updates leave this machine.

use std::sync::Arc;

use counterweight_federated::{
    clock::{Clock, SystemClock},
    http::{HttpClientOptions, HttpCoordinator},
    ledger::{StudyReader as _, standing::ProposalState},
    member::{CoordinatorClient as _, Member, MemberEvent, MemberOptions, MemberSetup},
    study::terms::{CommittedFiles, MOST_BYTES, PublicTerms},
    table::HoldoutRows,
};
use counterweight_primitives::{ContentDigest, UnixSeconds};
use serde_json::json;

use super::{Context, run::standing::in_words};
use crate::{
    error::{CliError, Code},
    nearest::nearest,
    output::{Answer, Cell},
    project::Project,
    session::{Assets, Session},
    training::{
        ROW_NOISE, figures, fund, member_key, member_notes, read_holdout, read_local, register, trainer_of,
    },
};

/// What to do as a member.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Join a coordinator's study and answer its rounds until it ends
    Start {
        /// Address of the coordinator, https://host:port
        #[arg(long, value_name = "URL")]
        coordinator: String,
        /// The dataset of this project to train on
        #[arg(long, value_name = "NAME")]
        dataset: String,
        /// Train with this program, "python3 train.py", or server, http://127.0.0.1:port/path, instead of the built-in
        /// training
        #[arg(long, value_name = "PROGRAM")]
        trainer: Option<String>,
        /// Say how each round's model does on this member's own test rows
        #[arg(long)]
        judge: bool,
    },
}

/// Takes part until the study ends.
///
/// # Errors
/// [`Code::CoordinatorSilent`], [`Code::NoConsent`], [`Code::WrongShape`], and those of chain and files.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let Command::Start {
        coordinator,
        dataset,
        trainer,
        judge,
    } = command;
    let console = &context.console;
    let project = Project::open(&context.global)?;
    let datasets = &project.config.study.datasets;
    let entry = datasets
        .iter()
        .find(|entry| entry.name == *dataset)
        .ok_or_else(|| {
            let error = CliError::new(Code::UnknownName, format!("no dataset is called \"{dataset}\""));
            let error = match nearest(dataset, datasets.iter().map(|entry| entry.name.as_str())) {
                Some(near) => error.fact("nearest", near),
                None => error,
            };
            error.fix("cw dataset list")
        })?;
    let holdout = read_holdout(&project)?;
    let data = read_local(
        &project,
        entry,
        holdout.as_ref().map(|(rows, _): &(HoldoutRows, _)| rows),
    )?;
    let patience = context.global.timeout.map(|timeout| timeout.0);
    let options = MemberOptions::default();
    let options = MemberOptions {
        patience: patience.unwrap_or(options.patience),
        judge: *judge,
        ..options
    };
    let http = HttpClientOptions::default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let found = retry(options.patience, || {
        HttpCoordinator::discover(coordinator, Arc::clone(&clock), http)
    })?;
    let notice = &found.notice;
    let session = retry_chain(options.patience, || Session::begin(&project, context))?;
    let contracts = session.contracts()?;
    let key = match &context.global.key {
        Some(name) => session.keys.open(&name.0)?,
        None => member_key(&session, entry)?,
    };
    let assets = Assets::read(&contracts, &session.blobs)?;
    let member = register(&session, &contracts, &assets, entry, data, &key)?;
    // The account on the chain decides, and the digest, not what the coordinator says of itself.
    let state = contracts.reader.study(notice.study)?;
    if let Some(account) = found.account.filter(|account| *account != state.coordinator) {
        return Err(CliError::new(
            Code::ContentDiffers,
            "the address is that of another account than the study's coordinator",
        )
        .fact("on the chain", state.coordinator.to_string())
        .fact("at the address", account.to_string())
        .fix("check the address with the coordinator; take no part until they agree"));
    }
    let mut client = HttpCoordinator::new(
        coordinator,
        state.coordinator,
        notice.study,
        notice.terms,
        Arc::clone(&key) as _,
        clock,
        http,
    )?;
    let bytes = client.blob(&state.terms, MOST_BYTES as u64)?;
    if ContentDigest::of(&bytes) != state.terms {
        return Err(CliError::new(
            Code::ContentDiffers,
            "the coordinator gives other terms than those on the chain",
        )
        .fact("on the chain", state.terms.to_string())
        .fix("ask the coordinator; take no part until they agree"));
    }
    let terms = PublicTerms::from_bytes(&bytes).map_err(|error| {
        CliError::new(
            Code::DataUnusable,
            format!("the study's terms cannot be read: {error}"),
        )
        .fix("use the same version of cw as the coordinator")
    })?;
    same_study(&project, &terms)?;
    let ledger = contracts.acting_for(&key);
    fund(&session, &contracts, &ledger, state.bond)?;
    let ledger = Arc::new(ledger);
    let notes = member_notes(&session, &terms, notice.study, dataset)?;
    let running = Member::new(MemberSetup {
        study: notice.study,
        dataset: member.asset,
        terms,
        trainer: trainer_of(&project, entry, &member.data.rows, trainer.as_deref(), context)?,
        data: member.data.content,
        ledger: Arc::clone(&ledger) as _,
        consent: ledger,
        secret: key.derive(ROW_NOISE),
        notes,
    })?;
    let index = running.join()?;
    console.did(
        "Joined",
        format!("run {} as member {index} with {dataset}", notice.study),
    );
    let outcome = running.run(&mut client, &options, &SystemClock, &mut |event| match event {
        MemberEvent::Training { round } => console.detail(format!("round {round}: training")),
        MemberEvent::Trained {
            round,
            examples,
            metrics,
        } => console.detail(format!(
            "round {round}: trained on {examples} rows{}",
            figures(metrics)
        )),
        MemberEvent::Judged { round, evaluated } => console.did(
            "Judged",
            format!(
                "the model of round {round} on {} rows: loss {:.4}{}",
                evaluated.examples,
                evaluated.loss,
                figures(&evaluated.metrics)
            ),
        ),
        MemberEvent::NotJudged { round, reason } => {
            console.warn(format!("round {round}: the model was not judged: {reason}"))
        }
        MemberEvent::Committed { round, update } => {
            console.detail(format!("round {round}: committed {update}"))
        }
        MemberEvent::Uploaded { round } => console.did("Answered", format!("round {round}")),
        MemberEvent::Proposed { round, state, .. } => {
            let run = notice.study;
            let words = in_words(Some(state), true, UnixSeconds(0));
            match state {
                ProposalState::Open { .. } => console.warn(format!(
                    "this member is proposed for exclusion after round {round}: {words}; \
                     cw run appeal {run} --member {dataset} --reason-file FILE"
                )),
                _ => console.warn(format!(
                    "the proposal to exclude this member after round {round}: {words}"
                )),
            }
        }
        MemberEvent::SatOut { round, reason } => {
            console.warn(format!("round {round}: took no part: {reason}"))
        }
        MemberEvent::Retrying { doing, reason, .. } => {
            console.detail(format!("{doing}: {reason}; trying again"))
        }
        _ => {}
    })?;
    let result = outcome.result.map(|result| result.to_string());
    Ok(Answer::new("member/1")
        .json("run", notice.study.0)
        .json("member", outcome.member.0)
        .json("dataset", dataset.as_str())
        .json("survived", outcome.survived)
        .json("result", json!(result))
        .fields([
            ("run", Cell::text(notice.study.to_string())),
            ("rounds counted", Cell::text(outcome.survived.to_string())),
            (
                "model digest",
                outcome.result.map_or_else(|| Cell::text("none"), Cell::Digest),
            ),
        ])
        .id(dataset.as_str())
        .next(format!("cw claim {dataset} --network …")))
}

/// Members must read their files as the study does: a difference shows here, before anything is trained.
fn same_study(project: &Project, terms: &PublicTerms) -> Result<(), CliError> {
    let own = project.config.study.public_terms(CommittedFiles {
        holdout: terms.holdout,
        start: terms.start,
    });
    if own.architecture != terms.architecture || own.data != terms.data {
        return Err(CliError::new(
            Code::WrongShape,
            "this project's [data] or [model] is not the study's",
        )
        .fact("parameters here", own.architecture.parameters().to_string())
        .fact(
            "parameters of the study",
            terms.architecture.parameters().to_string(),
        )
        .why("a model of another shape cannot be added to the others'")
        .fix("take over the study's counterweight.toml"));
    }
    Ok(())
}

fn retry<T>(
    patience: std::time::Duration,
    mut ask: impl FnMut() -> Result<T, counterweight_federated::member::ClientError>,
) -> Result<T, CliError> {
    retry_chain(patience, || ask().map_err(CliError::from))
}

/// Tries again what may succeed later, for as long as the person is patient.
fn retry_chain<T>(
    patience: std::time::Duration,
    mut ask: impl FnMut() -> Result<T, CliError>,
) -> Result<T, CliError> {
    let started = std::time::Instant::now();
    let mut wait = std::time::Duration::from_millis(100);
    loop {
        match ask() {
            Err(error)
                if error.status() == crate::error::Status::Missing && started.elapsed() + wait < patience =>
            {
                std::thread::sleep(wait);
                wait = (wait * 2).min(std::time::Duration::from_secs(5));
            }
            answer => return answer,
        }
    }
}
