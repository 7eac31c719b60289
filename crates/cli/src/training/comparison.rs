//! How good the model is, beside what each member could do alone and what all data in one place could.
//!
//! Rows are scaled as the study says, for all three alike. Each is trained for the same number of rounds from the
//! same first parameters; all data in one place makes as many steps as all members together.

use counterweight_federated::{
    coordinator::{CoordinatorError, first_parameters},
    parameters::Parameters,
    study::terms::PublicTerms,
    table::{Dataset, HoldoutRows},
    training::{LocalTraining, ShuffleSeed, evaluate, train},
};

use super::{Membership, rounds::together};
use crate::{error::CliError, session::Session};

/// Accuracies on one set of rows.
#[derive(Debug, Clone)]
pub(crate) struct Score {
    /// Whose rows.
    pub(crate) on: String,
    /// How many.
    pub(crate) rows: usize,
    /// Of the member's own model; the average of all members' own models where no member is meant.
    pub(crate) local_only: Option<f64>,
    /// Of the model that was trained together.
    pub(crate) together: f64,
    /// Of a model trained on all rows in one place.
    pub(crate) one_place: f64,
}

/// Accuracies everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    /// Each member, then all of them, then the hold-out.
    pub(crate) scores: Vec<Score>,
    /// Loss and accuracy on the hold-out with its number of rows, if there is one.
    pub(crate) holdout: Option<(usize, f64, f64)>,
}

/// Judges the model on the test rows of the members that are in this process. One that is not built in is judged nowhere
/// here.
///
/// # Errors
/// Those of training.
pub(crate) fn compare(
    session: &Session<'_>,
    model: &Parameters,
    terms: &PublicTerms,
    members: &[&Membership],
    holdout: Option<&HoldoutRows>,
) -> Result<Comparison, CliError> {
    if model.architecture().built_in().is_err() {
        return Ok(Comparison {
            scores: Vec::new(),
            holdout: None,
        });
    }
    let first = first_parameters(terms, &*session.blobs).map_err(CoordinatorError::from)?;
    let all_train = together(members.iter().map(|member| &member.data.rows.train))?;
    let all_test = together(members.iter().map(|member| &member.data.rows.test))?;
    let mut comparison = Comparison {
        scores: Vec::new(),
        holdout: None,
    };
    let one_place = match &all_train {
        Some(rows) => {
            let factor = u32::try_from(members.len()).unwrap_or(u32::MAX);
            let steps = terms.local.steps.map(|steps| steps.saturating_mul(factor));
            Some(alone(
                &first,
                terms,
                rows,
                &LocalTraining { steps, ..terms.local },
                b"one place",
            )?)
        }
        None => None,
    };
    let accuracy = |model: &Parameters, rows: &Dataset| evaluate(model, rows).map(|metrics| metrics.accuracy);
    let mut push = |on: &str, rows: &Dataset, local: Option<f64>| -> Result<(), CliError> {
        if let (false, Some(one_place)) = (rows.is_empty(), &one_place) {
            comparison.scores.push(Score {
                on: on.to_owned(),
                rows: rows.len(),
                local_only: local,
                together: accuracy(model, rows)?,
                one_place: accuracy(one_place, rows)?,
            });
        }
        Ok(())
    };
    let mut own = Vec::new();
    for member in members {
        let rows = &member.data.rows;
        let model = alone(&first, terms, &rows.train, &terms.local, &member.data.content.0)?;
        if !rows.test.is_empty() {
            push(
                &member.entry.name,
                &rows.test,
                Some(accuracy(&model, &rows.test)?),
            )?;
        }
        own.push(model);
    }
    // Where no member is meant: what a member's own model does on the average.
    let average = |rows: &Dataset| -> Result<Option<f64>, CliError> {
        let each = own
            .iter()
            .map(|model| accuracy(model, rows))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((!each.is_empty()).then(|| each.iter().sum::<f64>() / each.len() as f64))
    };
    if let Some(rows) = &all_test {
        push("pooled", rows, average(rows)?)?;
    }
    if let Some(holdout) = holdout {
        push("hold-out", &holdout.rows, average(&holdout.rows)?)?;
        let metrics = evaluate(model, &holdout.rows)?;
        comparison.holdout = Some((metrics.rows, metrics.loss, metrics.accuracy));
    }
    Ok(comparison)
}

fn alone(
    first: &Parameters,
    terms: &PublicTerms,
    rows: &Dataset,
    local: &LocalTraining,
    who: &[u8],
) -> Result<Parameters, CliError> {
    let mut model = first.clone();
    for round in 1..=terms.rounds {
        model = train(&model, rows, local, ShuffleSeed::derive(terms.seed, round, who))?;
    }
    Ok(model)
}
