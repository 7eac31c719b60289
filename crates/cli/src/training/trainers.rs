//! What trains on a dataset: the training that is built in, or the member's own program or server.

use std::{sync::Arc, time::Duration};

use counterweight_federated::{
    member::{
        BuiltIn, Outside, OutsideSetup,
        trainer::{Metrics, Trainer},
    },
    study::{DatasetEntry, terms::PublicTerms},
    table::MemberRows,
};

use super::Membership;
use crate::{commands::Context, error::CliError, project::Project};

/// The trainer of a dataset: `named` on the command line, else in its entry, else the one that is built in.
///
/// # Errors
/// [`crate::error::Code::TrainerUnfit`].
pub(crate) fn trainer_of(
    project: &Project,
    entry: &DatasetEntry,
    rows: &MemberRows,
    named: Option<&str>,
    context: &Context,
) -> Result<Arc<dyn Trainer>, CliError> {
    let Some(trainer) = named.or(entry.trainer.as_deref()) else {
        let built_in = BuiltIn::new(rows.train.clone());
        return Ok(Arc::new(built_in.judging_on(rows.test.clone())));
    };
    let (console, name) = (context.console.clone(), entry.name.clone());
    let outside = Outside::new(OutsideSetup {
        trainer: trainer.to_owned(),
        folder: project.root.clone(),
        work: project.folders().trainers().join(&entry.name),
        data: project.resolve(&entry.path),
        timeout: context
            .global
            .timeout
            .map(|timeout| Duration::from_secs(timeout.0.as_secs().max(1))),
        listener: Box::new(move |line| console.note(format!("{name}: {line}"))),
    })?;
    Ok(Arc::new(outside))
}

/// That every member here can train in the study: found before a study is opened and its budget deposited.
///
/// # Errors
/// [`crate::error::Code::TrainerUnfit`], [`crate::error::Code::WrongShape`].
pub(crate) fn check_trainers(
    project: &Project,
    members: &[Membership],
    terms: &PublicTerms,
    context: &Context,
) -> Result<(), CliError> {
    for member in members {
        trainer_of(project, &member.entry, &member.data.rows, None, context)?.check(terms)?;
    }
    Ok(())
}

/// A trainer's own figures, in words.
pub(crate) fn figures(metrics: &Metrics) -> String {
    let each = metrics.iter().map(|(name, value)| format!(", {name} {value:.4}"));
    each.collect()
}
