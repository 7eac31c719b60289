//! `cw train`: the main job.
//!
//! With `--listen` the members are processes of their own; otherwise all of them are simulated here. Both leave the
//! same model for the same configuration.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::PathBuf,
    time::{Duration, Instant},
};

use counterweight_federated::{
    clock::SystemClock,
    coordinator::StudyOutcome,
    http::{HttpMembers, HttpServerOptions},
    ledger::{Phase, StudyReader as _},
    study::terms::{CommittedFiles, PublicTerms},
    table::HoldoutRows,
};
use counterweight_primitives::{Address, AssetId, StudyId};
use counterweight_provenance::signature::Signer;
use serde_json::{Value, json};

use super::Context;
use crate::{
    error::{CliError, Code},
    metrics::MetricsAddress,
    output::{Answer, Cell, Table},
    project::Project,
    session::{Assets, Contracts, Session},
    training::{
        Comparison, Membership, Opened, RunSummary, Stewarded, Watcher, amount, check_trainers, compare,
        coordinator_options, join_all, keep_start, member_key, open_or_resume, prepare, publish,
        read_holdout, read_start, record_consents, run_rounds, simulate, sponsor_key,
    },
};

/// How to train.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the project [default: the nearest one with a counterweight.toml]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Rounds to train, instead of those configured
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Wait at this address for members in processes of their own, instead of simulating them here
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Without TLS: behind a proxy that adds it, or to look at what is said
    #[arg(long, requires = "listen")]
    plain: bool,
    /// Where the embedded chain is served to those members
    #[arg(long, value_name = "ADDR", requires = "listen",
          default_value_t = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8545)))]
    rpc: SocketAddr,
    #[command(flatten)]
    metrics: MetricsAddress,
    /// Leave an interrupted run as it is and open a new study
    #[arg(long)]
    fresh: bool,
}

/// Trains, and publishes the model.
///
/// # Errors
/// Whatever stops a run; running it again takes it up where it stopped.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open_to_train(arguments.folder.as_deref(), arguments.rounds, &context.global)?;
    let (outcome, session, contracts, trained) = if context.global.dry_run {
        return plan(&project, context);
    } else {
        let mut session = Session::begin(&project, context)?;
        arguments.metrics.watch(&mut session, context)?;
        let (contracts, trained) = train(&session, arguments, context)?;
        (
            trained.outcome,
            session,
            contracts,
            (
                trained.opened,
                trained.comparison,
                trained.left_out,
                trained.seconds,
            ),
        )
    };
    let (opened, comparison, left_out, seconds) = trained;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let summary = RunSummary::read(&session, &contracts, &assets, opened.study)?;
    Ok(answer(
        &summary,
        &contracts,
        &outcome,
        comparison.as_ref(),
        &left_out,
        seconds,
        &command_here(arguments, context),
    ))
}

/// How the command is called to act on the same project and network again.
fn command_here(arguments: &Arguments, context: &Context) -> String {
    let mut text = "cw".to_owned();
    if let Some(folder) = arguments.folder.as_ref().or(context.global.project.as_ref()) {
        text.push_str(&format!(" --project {}", folder.display()));
    }
    if let Some(network) = &context.global.network {
        text.push_str(&format!(" --network {network}"));
    }
    text
}

struct Trained {
    opened: Opened,
    outcome: StudyOutcome,
    comparison: Option<Comparison>,
    left_out: Vec<(String, CliError)>,
    seconds: f64,
}

fn train(
    session: &Session<'_>,
    arguments: &Arguments,
    context: &Context,
) -> Result<(Contracts, Trained), CliError> {
    let console = &context.console;
    let project = session.project;
    // Before anything is spent, everything that can be wrong with the files is found.
    let holdout = read_holdout(project)?;
    let start = read_start(project)?;
    let key = sponsor_key(session, context.global.key.as_ref())?;
    let known = session.deployment()?.is_some();
    let contracts = session.deploy(&key)?;
    let head = session.network.head()?;
    console.did(
        if known { "Opened" } else { "Deployed" },
        format!(
            "contracts on {}, chain id {}, block {}",
            session.chosen.describe(),
            session.network.chain_id(),
            head.number
        ),
    );
    let sponsor = contracts.acting_for(&key);
    let rows = holdout.as_ref().map(|(rows, _)| rows);
    let start = keep_start(session, &contracts, start.as_ref())?;
    let terms = project.config.study.public_terms(CommittedFiles {
        holdout: holdout.as_ref().map(|(_, digest)| *digest),
        start: start.map(|start| start.digest),
    });
    let base = start.and_then(|start| start.base);
    if let Some(address) = arguments.listen {
        let trained = listen(
            session,
            &contracts,
            &key,
            address,
            arguments,
            (rows, terms, base),
            context,
        )?;
        return Ok((contracts, trained));
    }
    let members = prepare(session, &contracts, rows)?;
    let new = members.iter().filter(|member| member.registered).count();
    console.did(
        "Registered",
        format!("{new} of {} datasets, the others were known", members.len()),
    );
    let stewarded: Vec<Stewarded> = members.iter().map(Stewarded::of).collect();
    record_consents(session, &key, &sponsor, &stewarded)?;
    enough_members(project, &members)?;
    check_trainers(project, &members, &terms, context)?;
    let started = Instant::now();
    let invited: Vec<Address> = members.iter().map(|member| member.key.account()).collect();
    let opened = open_or_resume(
        session,
        &contracts,
        &sponsor,
        terms,
        base,
        invited,
        members.len(),
        arguments.fresh,
        context,
    )?;
    let verb = if opened.resumed { "Resumed" } else { "Opened" };
    console.did(
        verb,
        format!(
            "run {} of {}, {} rounds",
            opened.study, opened.terms.study, opened.terms.rounds
        ),
    );
    let left_out = join_all(session, &contracts, opened.study, &members, context)?;
    let outcome = simulate(session, &contracts, &sponsor, &opened, &members, rows, context)?;
    let seconds = started.elapsed().as_secs_f64();
    console.did(
        "Trained",
        format!(
            "{} rounds in {seconds:.1} s",
            outcome.rounds.len().max(outcome.state.closed_rounds as usize)
        ),
    );
    let taking_part = taking_part(&outcome, &members);
    let comparison = compare(session, &outcome.model, &opened.terms, &taking_part, rows)?;
    let owned: Vec<Membership> = members;
    publish(
        session,
        &contracts,
        &key,
        &sponsor,
        &opened,
        &outcome,
        &owned,
        Some(&comparison),
    )?;
    Ok((
        contracts,
        Trained {
            opened,
            outcome,
            comparison: Some(comparison),
            left_out,
            seconds,
        },
    ))
}

fn taking_part<'a>(outcome: &StudyOutcome, members: &'a [Membership]) -> Vec<&'a Membership> {
    let joined = outcome.state.members.iter();
    joined
        .filter_map(|joined| members.iter().find(|member| member.asset == joined.dataset))
        .collect()
}

/// Before a study is opened and its budget deposited: would enough members be let in?
fn enough_members(project: &Project, members: &[Membership]) -> Result<(), CliError> {
    let allowed = members.iter().filter(|member| member.allowed).count();
    let needed = usize::from(project.config.study.training.quorum);
    if allowed >= needed {
        return Ok(());
    }
    let missing: Vec<&str> = members
        .iter()
        .filter(|member| !member.allowed)
        .map(|member| member.entry.name.as_str())
        .collect();
    Err(CliError::new(
        Code::TooFewMembers,
        format!("{allowed} members may take part, {needed} are needed"),
    )
    .fact("purpose", project.config.study.study.purpose.clone())
    .fact("not allowed by", missing.join(", "))
    .why("the stewards' consent does not cover the study's purpose")
    .fix("cw consent list; their stewards decide with cw consent grant"))
}

/// Runs the study with members that come over HTTP.
fn listen(
    session: &Session<'_>,
    contracts: &Contracts,
    key: &std::sync::Arc<counterweight_chain::keys::LocalKey>,
    address: SocketAddr,
    arguments: &Arguments,
    (rows, terms, base): (Option<&HoldoutRows>, PublicTerms, Option<AssetId>),
    context: &Context,
) -> Result<Trained, CliError> {
    let console = &context.console;
    let datasets = &session.project.config.study.datasets;
    let sponsor = contracts.acting_for(key);
    let server = session.serve(arguments.rpc)?;
    let chain_url = match &server {
        Some(server) => server.url(),
        None => session.chosen.endpoint.clone().unwrap_or_default(),
    };
    // Accounts of members elsewhere may not be known here: then whoever has a consented dataset may join.
    let known: Result<Vec<Address>, CliError> = datasets
        .iter()
        .map(|entry| member_key(session, entry).map(|key| key.account()))
        .collect();
    let invited = known.unwrap_or_default();
    let started = Instant::now();
    let opened = open_or_resume(
        session,
        contracts,
        &sponsor,
        terms,
        base,
        invited,
        datasets.len(),
        arguments.fresh,
        context,
    )?;
    let options = HttpServerOptions::at(address);
    let signer: &dyn Signer = key.as_ref();
    let mut transport = HttpMembers::start(
        options,
        (!arguments.plain).then_some(signer),
        std::sync::Arc::clone(&session.blobs) as _,
        std::sync::Arc::new(SystemClock),
    )?;
    if let Some(metrics) = &session.metrics {
        metrics.watch_traffic(transport.traffic());
    }
    let verb = if opened.resumed { "Resumed" } else { "Opened" };
    console.did(
        verb,
        format!(
            "run {} of {}, {} rounds",
            opened.study, opened.terms.study, opened.terms.rounds
        ),
    );
    console.did(
        "Listening",
        format!("for {} members at {}", datasets.len(), transport.url()),
    );
    for entry in datasets {
        console.note(format!(
            "             cw member start --coordinator {} --network {chain_url} --dataset {}",
            transport.url(),
            entry.name
        ));
    }
    let names = datasets.iter().map(|entry| entry.name.clone()).collect();
    let options = coordinator_options(datasets.len(), Duration::from_millis(20), context);
    let outcome = run_rounds(
        session,
        &sponsor,
        &opened,
        rows,
        &mut transport,
        options,
        Watcher::new(names, context),
        context,
    )?;
    let seconds = started.elapsed().as_secs_f64();
    let comparison = compare(session, &outcome.model, &opened.terms, &[], rows)?;
    publish(
        session,
        contracts,
        key,
        &sponsor,
        &opened,
        &outcome,
        &[],
        Some(&comparison),
    )?;
    // Members learn from the notice that it is over; give them the time to ask.
    std::thread::sleep(Duration::from_millis(500));
    drop(transport);
    if let Some(server) = server {
        server.shutdown();
    }
    Ok(Trained {
        opened,
        outcome,
        comparison: Some(comparison),
        left_out: Vec::new(),
        seconds,
    })
}

fn answer(
    summary: &RunSummary,
    contracts: &Contracts,
    outcome: &StudyOutcome,
    comparison: Option<&Comparison>,
    left_out: &[(String, CliError)],
    seconds: f64,
    cw: &str,
) -> Answer {
    let model = summary.model.clone().unwrap_or_default();
    let mut answer = summary.show(Answer::new("train/1"), contracts);
    answer = answer
        .json("seconds", (seconds * 1000.0).round() / 1000.0)
        .json("evidence", outcome.evidence.to_string())
        .json(
            "left_out",
            left_out
                .iter()
                .map(|(name, error)| json!({"name": name, "reason": error.reason()}))
                .collect::<Vec<Value>>(),
        );
    if let Some(comparison) = comparison.filter(|comparison| !comparison.scores.is_empty()) {
        let mut table = Table::new([
            "accuracy on",
            "rows",
            "local only",
            "together",
            "all data in one place",
        ]);
        for score in &comparison.scores {
            table.push([
                Cell::text(&score.on),
                Cell::number(score.rows),
                Cell::number(
                    score
                        .local_only
                        .map_or_else(|| "-".to_owned(), |local| format!("{local:.3}")),
                ),
                Cell::number(format!("{:.3}", score.together)),
                Cell::number(format!("{:.3}", score.one_place)),
            ]);
        }
        let scores: Vec<Value> = comparison
            .scores
            .iter()
            .map(|score| {
                json!({
                    "on": score.on, "rows": score.rows, "local_only": score.local_only,
                    "together": score.together, "one_place": score.one_place,
                })
            })
            .collect();
        answer = answer.json("accuracy", scores).table(table).gap();
    }
    let budget = amount(contracts, summary.state.budget);
    let mut next = vec![format!("{cw} verify model {model}")];
    if let Some(member) = summary.members.first() {
        next.push(format!("{cw} consent revoke {}", member.name));
    }
    if let Some(member) = summary
        .members
        .iter()
        .find(|member| !member.claimed && member.reward.0 > 0)
    {
        next.push(format!("{cw} claim {}", member.name));
    }
    let masks = summary
        .terms
        .as_ref()
        .is_some_and(|terms| terms.masking.is_some());
    if masks && summary.state.bond.0 > 0 {
        next.push(format!("{cw} run guard {}", summary.study));
    }
    let answer = answer.table(summary.table(contracts)).gap().fields([
        ("model", Cell::text(model)),
        ("digest", Cell::Digest(outcome.result)),
        ("run", Cell::text(summary.study.to_string())),
        (
            "budget",
            Cell::text(format!("{budget} {}", contracts.money.symbol)),
        ),
    ]);
    next.into_iter().fold(answer, Answer::next)
}

/// What a run would do, without doing it.
fn plan(project: &Project, context: &Context) -> Result<Answer, CliError> {
    let study = &project.config.study;
    let holdout = read_holdout(project)?;
    let start = read_start(project)?;
    let terms = study.public_terms(CommittedFiles {
        holdout: holdout.as_ref().map(|(_, digest)| *digest),
        start: start.map(|start| start.digest()),
    });
    let chosen = crate::session::choose(&context.global, Some(project))?;
    let bytes = terms.to_bytes().map_err(|error| {
        CliError::new(Code::BadValue, "the study's terms cannot be written").why(error.to_string())
    })?;
    // What a registered model starts from stands on the chain, which is not asked here.
    let digest = (study.model.base.is_none() || study.model.start.is_some())
        .then(|| counterweight_primitives::ContentDigest::of(&bytes));
    let mut table = Table::new(["member", "file", "training rows", "test rows"]);
    let mut members = Vec::new();
    for entry in &study.datasets {
        let data = crate::training::read_local(project, entry, holdout.as_ref().map(|(rows, _)| rows))?;
        table.push([
            Cell::text(&entry.name),
            Cell::text(entry.path.display().to_string()),
            Cell::number(data.rows.train.len()),
            Cell::number(data.rows.test.len()),
        ]);
        members.push(json!({"name": entry.name, "training_rows": data.rows.train.len(), "test_rows": data.rows.test.len()}));
    }
    // Deploying takes some 15 transactions; then for each round one to open, one to close and one for each member.
    let rounds = u64::from(study.training.rounds);
    let count = study.datasets.len() as u64;
    let transactions = rounds * (2 + count) + 5 * count + 5;
    Ok(Answer::new("train-plan/1")
        .json("network", chosen.describe())
        .json("terms", digest.map(|digest| digest.to_string()))
        .json("rounds", study.training.rounds)
        .json("members", members)
        .json("transactions", transactions)
        .line("Nothing was sent: --dry-run")
        .gap()
        .fields([
            ("network", Cell::text(chosen.describe())),
            (
                "terms",
                digest.map_or_else(
                    || Cell::text("complete once the base model is looked up"),
                    Cell::Digest,
                ),
            ),
            ("rounds", Cell::text(study.training.rounds.to_string())),
            (
                "transactions",
                Cell::text(format!(
                    "about {transactions}, and the deployment where it is missing"
                )),
            ),
        ])
        .gap()
        .table(table)
        .next("cw train"))
}

/// Whether a run is over.
pub(super) fn is_over(phase: Phase) -> bool {
    matches!(phase, Phase::Finished | Phase::Cancelled | Phase::Abandoned)
}

/// The run with a number, or the newest.
///
/// # Errors
/// [`Code::NothingYet`], [`Code::UnknownName`].
pub(super) fn wanted_run(contracts: &Contracts, number: Option<u64>) -> Result<StudyId, CliError> {
    let count = contracts.reader.study_count()?;
    match number {
        None if count == 0 => Err(CliError::new(Code::NothingYet, "there is no run yet").fix("cw train")),
        None => Ok(StudyId(count)),
        Some(number) if (1..=count).contains(&number) => {
            contracts.reader.study(StudyId(number))?;
            Ok(StudyId(number))
        }
        Some(number) => Err(
            CliError::new(Code::UnknownName, format!("there is no run {number}"))
                .fact("runs", format!("1 to {count}"))
                .fix("cw run list"),
        ),
    }
}
