//! Running the rounds, and saying how they go.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use counterweight_chain::ledger::ContractLedger;
use counterweight_federated::{
    clock::SystemClock,
    coordinator::{
        Coordinator, CoordinatorOptions, Environment, Members, StudyEvent, StudyOutcome, StudyPlan,
        in_process::InProcess,
    },
    journal::{FileJournal, Journal},
    member::{Member, MemberSetup},
    study::{privacy::Privacy, terms::PublicTerms},
    table::{Dataset, HoldoutRows},
};
use counterweight_primitives::{MemberIndex, StudyId};

use super::{Membership, Opened, guard_of, keep_guard, trainers::trainer_of};
use crate::{
    commands::Context,
    error::{CliError, Code},
    output::Bar,
    session::{Contracts, Session},
};

/// Names what a member's key gives for the noise of private training.
pub(crate) const ROW_NOISE: &str = "counterweight/row-noise";

/// How patient the coordinator is.
pub(crate) fn coordinator_options(members: usize, poll: Duration, context: &Context) -> CoordinatorOptions {
    let defaults = CoordinatorOptions::default();
    CoordinatorOptions {
        members_expected: Some(members),
        poll,
        patience: context
            .global
            .timeout
            .map_or(defaults.patience, |timeout| timeout.0),
        ..defaults
    }
}

/// What a member noted of whom it helped to open and what it sent with noise; studies that neither mask nor promise privacy
/// of members need no notes.
///
/// # Errors
/// [`Code::FileUnreadable`], and those of the journal.
pub(crate) fn member_notes(
    session: &Session<'_>,
    terms: &PublicTerms,
    study: StudyId,
    dataset: &str,
) -> Result<Option<Arc<Mutex<dyn Journal>>>, CliError> {
    let of_members = terms.privacy.as_ref().and_then(Privacy::of_member);
    if terms.masking.is_none() && of_members.is_none() {
        return Ok(None);
    }
    let path = runs_folder(session)?.join(format!("study-{study}-{dataset}.journal"));
    Ok(Some(Arc::new(Mutex::new(FileJournal::open(&path)?))))
}

fn runs_folder(session: &Session<'_>) -> Result<PathBuf, CliError> {
    let folder = session.folders.runs(&session.chosen.name);
    fs::create_dir_all(&folder).map_err(|error| {
        CliError::new(
            Code::FileUnreadable,
            format!("{} cannot be made", folder.display()),
        )
        .fact("system", error.to_string())
        .fix("check the folder's permissions and the disk's free space")
    })?;
    Ok(folder)
}

/// Runs a study whose members are all in this process.
///
/// # Errors
/// Those of coordinator and members.
pub(crate) fn simulate(
    session: &Session<'_>,
    contracts: &Contracts,
    sponsor: &ContractLedger,
    opened: &Opened,
    members: &[Membership],
    holdout: Option<&HoldoutRows>,
    context: &Context,
) -> Result<StudyOutcome, CliError> {
    let joined = joined_members(contracts, opened.study, members)?;
    let built = joined
        .iter()
        .map(|member| {
            let ledger = Arc::new(contracts.acting_for(&member.key));
            Member::new(MemberSetup {
                study: opened.study,
                dataset: member.asset,
                terms: opened.terms.clone(),
                trainer: trainer_of(session.project, &member.entry, &member.data.rows, None, context)?,
                data: member.data.content,
                ledger: Arc::clone(&ledger) as _,
                consent: ledger,
                secret: member.key.derive(ROW_NOISE),
                notes: member_notes(session, &opened.terms, opened.study, &member.entry.name)?,
            })
            .map_err(CliError::from)
        })
        .collect::<Result<Vec<_>, CliError>>()?;
    let mut transport = InProcess::new(built, Arc::clone(&session.blobs) as _, Arc::new(SystemClock));
    let names = joined.iter().map(|member| member.entry.name.clone()).collect();
    let options = coordinator_options(joined.len(), Duration::from_millis(1), context);
    run(
        session,
        sponsor,
        opened,
        holdout,
        &mut transport,
        options,
        Watcher::new(names, context),
        context,
    )
}

/// Runs a study to its end with members behind `transport`. Demands for blocks of its sums are answered meanwhile.
///
/// # Errors
/// Those of the coordinator.
#[expect(
    clippy::too_many_arguments,
    reason = "each is used once, and a struct for them would be made only here"
)]
pub(crate) fn run(
    session: &Session<'_>,
    sponsor: &ContractLedger,
    opened: &Opened,
    holdout: Option<&HoldoutRows>,
    transport: &mut dyn Members,
    options: CoordinatorOptions,
    mut watcher: Watcher<'_>,
    context: &Context,
) -> Result<StudyOutcome, CliError> {
    let mut journal =
        FileJournal::open(&runs_folder(session)?.join(format!("study-{}.journal", opened.study)))?;
    let plan = StudyPlan {
        study: opened.study,
        terms: opened.terms.clone(),
        holdout: holdout.map(|holdout| holdout.rows.clone()),
    };
    let environment = Environment {
        ledger: sponsor,
        blobs: &*session.blobs,
        journal: &mut journal,
        clock: &SystemClock,
        observer: &mut |event| {
            watcher.see(event);
            if let Some(metrics) = &session.metrics {
                metrics.see(event);
            }
        },
    };
    let coordinator = Coordinator::new(plan, options, environment);
    let metrics = session.metrics.as_deref();
    std::thread::scope(|scope| {
        // Dropped when the study is through, which ends those who watch it.
        let mut stops: Vec<Sender<()>> = Vec::new();
        let mut stop = || {
            let (stop, stopped) = channel();
            stops.push(stop);
            stopped
        };
        if opened.terms.masking.is_some() {
            // From the first posted sum on, blocks may be demanded, and silence costs the bond.
            let (guard, stopped) = (guard_of(session, sponsor, opened.study), stop());
            scope.spawn(move || keep_guard(&guard, &stopped, metrics, context));
        }
        if let Some(metrics) = metrics {
            let stopped = stop();
            scope.spawn(move || metrics.look(sponsor, opened.study, &stopped));
        }
        let outcome = coordinator.run(transport);
        drop(stops);
        Ok(outcome?)
    })
}

/// Those that joined, in the order of their indices.
fn joined_members<'a>(
    contracts: &Contracts,
    study: StudyId,
    members: &'a [Membership],
) -> Result<Vec<&'a Membership>, CliError> {
    use counterweight_federated::ledger::StudyReader as _;
    let state = contracts.reader.study(study)?;
    Ok(state
        .members
        .iter()
        .filter_map(|joined| members.iter().find(|member| member.asset == joined.dataset))
        .collect())
}

/// Says how a run goes: a bar on a terminal, else a line for each phase.
pub(crate) struct Watcher<'a> {
    names: Vec<String>,
    context: &'a Context,
    bar: Option<Bar>,
}

impl<'a> Watcher<'a> {
    /// A watcher of members with these names, in the order of their indices.
    pub(crate) fn new(names: Vec<String>, context: &'a Context) -> Self {
        Self {
            names,
            context,
            bar: None,
        }
    }

    fn name(&self, member: MemberIndex) -> String {
        let name = self.names.get(usize::from(member.0));
        name.cloned().unwrap_or_else(|| format!("member {member}"))
    }

    fn absent(&self, absent: &[(MemberIndex, counterweight_federated::round::Absence)]) -> String {
        let list: Vec<String> = absent
            .iter()
            .map(|(member, why)| format!("{} {why}", self.name(*member)))
            .collect();
        list.join("; ")
    }

    /// Says what an event means.
    pub(crate) fn see(&mut self, event: &StudyEvent) {
        let console = &self.context.console;
        match event {
            StudyEvent::Resumed { closed_rounds } if *closed_rounds > 0 => {
                console.did("Resuming", format!("after round {closed_rounds}"));
            }
            StudyEvent::Enrolling { joined, needed } => {
                console.detail(format!("{joined} of {needed} members have joined"));
            }
            StudyEvent::Started { members } => {
                console.detail(format!("training begins with {members} members"))
            }
            StudyEvent::RoundOpened {
                round,
                rounds,
                resumed,
                ..
            } => {
                let bar = self
                    .bar
                    .get_or_insert_with(|| console.bar("Training", u64::from(*rounds)));
                bar.at(u64::from(round.0.saturating_sub(1)), "");
                if *resumed {
                    console.detail(format!("round {round} was open already"));
                }
            }
            StudyEvent::UpdateStored {
                round,
                member,
                examples,
            } => {
                console.detail(format!(
                    "round {round}: update of {}, {examples} rows",
                    self.name(*member)
                ));
            }
            StudyEvent::UpdateRefused {
                round,
                member,
                refusal,
            } => {
                console.warn(format!(
                    "round {round}: {} is refused: {refusal}",
                    self.name(*member)
                ));
            }
            StudyEvent::GroupsDrawn { round, sizes } => {
                let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
                console.detail(format!("round {round}: groups of {}", sizes.join(", ")));
            }
            StudyEvent::RecordStored {
                round,
                member,
                record,
            } => {
                console.detail(format!(
                    "round {round}: {} of {}",
                    record.name(),
                    self.name(*member)
                ));
            }
            StudyEvent::RoundClosed(summary) => {
                let loss = summary.value.as_ref().map(|value| value.loss_nano as f64 / 1e9);
                let loss = loss.map_or_else(String::new, |loss| format!(", loss {loss:.4}"));
                let asked = summary.survivors.len() + summary.absent.len();
                let spent = summary
                    .spent
                    .map_or_else(String::new, |spent| format!(", epsilon {:.4}", spent.get()));
                let said = format!("{} of {asked} members{loss}{spent}", summary.survivors.len());
                if let Some(bar) = &self.bar {
                    bar.at(u64::from(summary.round.0), &said);
                }
                console.detail(format!("round {} of {}: {said}", summary.round, summary.rounds));
                if !summary.absent.is_empty() {
                    console.warn(format!(
                        "round {} went on without: {}",
                        summary.round,
                        self.absent(&summary.absent)
                    ));
                }
            }
            StudyEvent::RoundExpired { round, absent } => {
                console.warn(format!(
                    "round {round} had too few updates in time: {}",
                    self.absent(absent)
                ));
            }
            StudyEvent::ExclusionProposed {
                round,
                member,
                appeal_seconds,
            } => {
                console.warn(format!(
                    "{} is proposed for exclusion after round {round} and may appeal for {appeal_seconds} s",
                    self.name(*member)
                ));
            }
            StudyEvent::LedgerSilent { doing, silent_ms } => {
                console.warn(format!(
                    "the chain has not answered for {} s while {doing}",
                    silent_ms / 1000
                ));
            }
            StudyEvent::BudgetSpent {
                closed,
                rounds,
                spent,
                after,
                budget,
            } => {
                self.bar = None;
                console.did(
                    "Stopped",
                    format!(
                        "after {closed} of {rounds} rounds: they spent an epsilon of {:.4}, and another could bring it to {:.4}, of {budget} promised",
                        spent.get(),
                        after.get()
                    ),
                );
            }
            StudyEvent::Finished { .. } => self.bar = None,
            _ => {}
        }
    }
}

/// Rows of several datasets as one.
pub(super) fn together<'a>(
    parts: impl IntoIterator<Item = &'a Dataset>,
) -> Result<Option<Dataset>, CliError> {
    let (mut inputs, mut features, mut labels) = (0, Vec::new(), Vec::new());
    for part in parts {
        inputs = part.inputs();
        features.extend_from_slice(part.features());
        labels.extend_from_slice(part.labels());
    }
    if labels.is_empty() {
        return Ok(None);
    }
    Ok(Some(Dataset::new(inputs, features, labels)?))
}
