//! A model that was trained here, as a network that can be quantised.

use counterweight_federated::{
    parameters::MODEL_BYTES_MAX,
    study::schema::{LabelRule, Role, Standardise},
};
use counterweight_inference::{Description, FloatNetwork, Imported, import_model_file};

use crate::{
    error::{CliError, Code, with_causes},
    project::Project,
    session::{Asset, Session},
    training::read_holdout,
};

/// A trained model in floating point, with rows to calibrate it on.
pub(crate) struct Trained {
    /// The network; it reads rows as they are in the files, not standardised ones, where everyone scales alike.
    pub(crate) network: FloatNetwork,
    /// The hold-out's rows.
    pub(crate) rows: Vec<Vec<f64>>,
    /// Their classes.
    pub(crate) labels: Vec<usize>,
    /// What is said of it.
    pub(crate) description: Description,
}

/// The model of a published asset, calibrated on the study's hold-out.
///
/// # Errors
/// [`Code::BytesMissing`], [`Code::NetworkUnusable`] for what cannot be quantised, [`Code::NothingYet`] without a hold-out.
pub(crate) fn from_asset(
    project: &Project,
    session: &Session<'_>,
    asset: &Asset,
) -> Result<Trained, CliError> {
    let name = asset.full_name();
    let unusable = |why: String| {
        CliError::new(
            Code::NetworkUnusable,
            format!("{name} cannot be made an integer network"),
        )
        .why(why)
    };
    let bytes = session.blobs.get(&asset.record.asset.content, MODEL_BYTES_MAX)?;
    let Imported { network, task, .. } = import_model_file(&bytes).map_err(|error| {
        unusable(with_causes(&error)).fix("train it with activation = \"relu\" in [model]")
    })?;

    let Some((holdout, _)) = read_holdout(project)? else {
        return Err(CliError::new(Code::NothingYet, "the study has no hold-out to calibrate on")
            .why("quantising needs rows that are like those the model will be asked about")
            .fix("add a [holdout] to counterweight.toml, or export the model and import it with --calibrate"));
    };
    let inputs = holdout.rows.inputs();
    let (means, deviations) = (holdout.scaling.means(), holdout.scaling.deviations());
    let data = &project.config.study.data;
    // Rows were scaled as they were read, unless the study takes numbers as they are.
    let is_scaled = data.standardise != Standardise::None;
    let raw = |(index, value): (usize, &f32)| {
        let value = f64::from(*value);
        if is_scaled {
            value * deviations[index] + means[index]
        } else {
            value
        }
    };
    let rows = holdout.rows.features().chunks_exact(inputs.max(1));
    let rows = rows
        .map(|row| row.iter().enumerate().map(raw).collect())
        .collect();
    // Where each member scales by its own rows, nobody outside knows how: the hold-out's scale stands for all.
    let network = if is_scaled {
        // What never varied says nothing, as in training.
        let factors: Vec<f64> = deviations
            .iter()
            .map(|deviation| if *deviation > 0.0 { 1.0 / deviation } else { 0.0 })
            .collect();
        network.unstandardised(means, &factors).map_err(|error| {
            unusable(with_causes(&error)).fix("check that the configuration is that of the model")
        })?
    } else {
        network
    };
    let features: Vec<String> = data
        .columns
        .iter()
        .filter(|column| column.role == Role::Feature && column.levels.is_none())
        .map(|column| column.name.clone())
        .collect();
    Ok(Trained {
        network,
        rows,
        labels: holdout
            .rows
            .labels()
            .iter()
            .map(|label| *label as usize)
            .collect(),
        description: Description {
            name,
            // A column of names becomes several inputs, which have no names of their own.
            features: if features.len() == inputs {
                features
            } else {
                Vec::new()
            },
            task,
            labels: labels(&data.label, &data.classes),
        },
    })
}

/// Names of the classes: those listed, or the rule and its opposite.
fn labels(rule: &LabelRule, classes: &[String]) -> Vec<String> {
    if !classes.is_empty() {
        return classes.to_vec();
    }
    let rule = rule.to_string();
    vec![format!("not {rule}"), rule]
}
