//! The rules of a configuration, each named by its key.

use std::collections::BTreeSet;

use crate::{
    architecture::{MOST_HIDDEN_LAYERS, MOST_PARAMETERS},
    study::{
        Family, FileFormat, MOST_MEMBERS, MOST_MEMBERS_WITH_BASE, StudyConfig, StudyConfigError,
        privacy::{Privacy, PromiseError, Unit},
        schema::{DataSection, LabelTest, MissingRule, Role, Standardise},
        standing,
    },
    update::LARGEST_CLIP,
};

/// Most columns of a table.
const MOST_COLUMNS: usize = 4096;
/// Most levels of a column, and most classes.
const MOST_LEVELS: usize = 1024;

type Checked = Result<(), StudyConfigError>;

fn refuse(key: impl Into<String>, problem: impl Into<String>) -> Checked {
    Err(StudyConfigError {
        key: key.into(),
        problem: problem.into(),
    })
}

/// `value` unless it is inside; bounds are included.
fn within<T: PartialOrd + std::fmt::Display>(key: &str, value: T, least: T, most: T) -> Checked {
    if value >= least && value <= most {
        Ok(())
    } else {
        refuse(key, format!("{value} is not from {least} to {most}"))
    }
}

fn name(key: impl Into<String>, name: &str) -> Checked {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts && name.len() <= 64 && name.chars().all(allowed) {
        return Ok(());
    }
    refuse(
        key,
        format!(
            "\"{name}\" is not a name: up to 64 lower-case letters, digits, '-', '_' and '.', starting with a letter or digit"
        ),
    )
}

pub(super) fn check(config: &StudyConfig) -> Checked {
    name("study.name", &config.study.name)?;
    name("model.name", &config.model.name)?;
    if let Some(base) = &config.model.base {
        let (model, version) = base.split_once('@').unwrap_or((base, "1"));
        name("model.base", model)?;
        let most = usize::from(MOST_MEMBERS_WITH_BASE);
        if config.datasets.len() > most {
            return refuse(
                "dataset",
                format!(
                    "{} datasets, at most {most} members can join a study with a base model",
                    config.datasets.len()
                ),
            );
        }
        if !version.parse::<u32>().is_ok_and(|version| version > 0) {
            return refuse(
                "model.base",
                format!("\"{version}\" is no version: write {model}@1, or {model} for the newest"),
            );
        }
    }
    if config.study.purpose.is_empty() {
        return refuse("study.purpose", "it is empty: name what the data are used for");
    }
    let cap = config.study.member_cap.get();
    if !(cap > 0.0 && cap <= 1.0) {
        return refuse("study.member-cap", format!("{cap} is not above 0 and at most 1"));
    }
    within("study.lineage-share", config.study.lineage_share.get(), 0.0, 1.0)?;
    training(config)?;
    data(&config.data)?;
    model(config)?;
    privacy(config)?;
    match &config.holdout {
        Some(holdout) if holdout.format == Some(FileFormat::Parquet) => {
            refuse(
                "holdout.format",
                "\"parquet\" is for members only: everyone reads the hold-out, as CSV",
            )?;
        }
        None if config.data.standardise == Standardise::Holdout => {
            refuse("data.standardise", "\"holdout\" needs a [holdout] table")?;
        }
        _ => {}
    }
    datasets(config)
}

fn training(config: &StudyConfig) -> Checked {
    let training = &config.training;
    within("training.rounds", training.rounds, 1, 100_000)?;
    within("training.quorum", training.quorum, 1, MOST_MEMBERS)?;
    if let Some(members) = training.members_per_round {
        within("training.members-per-round", members, 1, MOST_MEMBERS)?;
        if members < training.quorum {
            return refuse(
                "training.quorum",
                format!(
                    "{} is more than the {members} members asked in a round",
                    training.quorum
                ),
            );
        }
    }
    match (training.local_steps, training.local_epochs) {
        (None, None) => refuse("training", "one of local-steps and local-epochs must be given")?,
        (Some(_), Some(_)) => refuse("training.local-epochs", "local-steps is given too: leave one out")?,
        (Some(steps), None) => within("training.local-steps", steps, 1, 1_000_000)?,
        (None, Some(epochs)) => within("training.local-epochs", epochs, 1, 10_000)?,
    }
    within("training.batch", training.batch, 1, 1 << 20)?;
    let lr = training.lr.get();
    if !(lr > 0.0 && lr <= 1000.0) {
        return refuse("training.lr", format!("{lr} is not above 0 and at most 1000"));
    }
    within("training.proximal", training.proximal.get(), 0.0, 1000.0)?;
    let clip = training.clip.get();
    if !(clip > 0.0 && clip <= LARGEST_CLIP) {
        return refuse(
            "training.clip",
            format!("{clip} is not above 0 and at most {LARGEST_CLIP}"),
        );
    }
    if let Err((setting, expected)) = training.aggregation.check() {
        return refuse(
            format!("training.aggregation.{setting}"),
            format!("it must be {expected}"),
        );
    }
    if let Some(rule) = training.aggregation.combination {
        let needed = rule.fewest_rows();
        if training.masking.is_none() && usize::from(training.quorum) < needed {
            return refuse(
                "training.quorum",
                format!(
                    "{} is less than the {needed} updates that {} needs",
                    training.quorum,
                    rule.name()
                ),
            );
        }
        if rule.needs_root() && config.holdout.is_none() {
            return refuse("training.aggregation.rule", "\"fltrust\" needs a [holdout] table");
        }
    }
    masking(config)?;
    if let Err((key, problem)) = standing::check(config) {
        return refuse(format!("training.{key}"), problem);
    }
    for (key, time) in [
        ("training.round-timeout", training.round_timeout),
        ("training.close-timeout", training.close_timeout),
    ] {
        // A year; the contract counts seconds in 32 bits.
        if time.0 == 0 || time.0 > 366 * 86_400 {
            return refuse(key, format!("{} s is not from 1 s to a year", time.0));
        }
    }
    Ok(())
}

fn privacy(config: &StudyConfig) -> Checked {
    let promise = match config.promise() {
        None => return Ok(()),
        Some(Ok(promise)) => promise,
        Some(Err(error @ PromiseError::Weights { .. })) => {
            return refuse("training.masking.most-examples", error.to_string());
        }
        Some(Err(error)) => return refuse("training.privacy", error.to_string()),
    };
    // Whatever a member does with its own rows is in its update, which is clipped and noised as a whole.
    let Privacy::Row(_) = promise else {
        return Ok(());
    };
    // What a member's rows share with each other would tell of them beside the noise.
    if config.data.standardise == Standardise::Member {
        let problem = "\"member\" tells of rows beside the noise: \"holdout\" or \"none\" with training.privacy of rows";
        return refuse("data.standardise", problem);
    }
    let mean = |column: &crate::study::schema::Column| column.missing == MissingRule::Mean;
    if let Some(index) = config.data.columns.iter().position(mean) {
        let problem = "\"mean\" tells of rows beside the noise: a number, \"drop-row\" or \"refuse\" with training.privacy of rows";
        return refuse(format!("data.columns[{index}].missing"), problem);
    }
    Ok(())
}

fn masking(config: &StudyConfig) -> Checked {
    let training = &config.training;
    let Some(section) = &training.masking else {
        return Ok(());
    };
    if let Err((setting, problem)) = section.masking().check(training.clip.get()) {
        return refuse(format!("training.masking.{setting}"), problem);
    }
    let asked = training.members_per_round.map(usize::from);
    let own = (!config.datasets.is_empty()).then_some(config.datasets.len());
    let (size, asked) = (
        usize::from(section.group_size),
        asked.into_iter().chain(own).min(),
    );
    if let Some(asked) = asked.filter(|asked| *asked < size) {
        return refuse(
            "training.masking.group-size",
            format!("{size} is more than the {asked} members of a round"),
        );
    }
    let Some(rule) = training.aggregation.combination else {
        return Ok(());
    };
    if rule.bucket() > 1 {
        let problem = "groups are buckets already: leave it out with training.masking";
        return refuse("training.aggregation.bucket", problem);
    }
    // The rule sees one row a group; with fewer groups than it needs, no round could close.
    let (groups, needed) = (asked.map(|asked| asked / size), rule.fewest_rows());
    if let Some(groups) = groups.filter(|groups| *groups < needed) {
        let problem = format!("{groups} groups, {} needs {needed}: smaller groups", rule.name());
        return refuse("training.masking.group-size", problem);
    }
    Ok(())
}

fn data(data: &DataSection) -> Checked {
    if !data.delimiter.is_ascii() || "\"\r\n".contains(data.delimiter) {
        return refuse(
            "data.delimiter",
            format!("{:?} cannot separate values", data.delimiter),
        );
    }
    within("data.test-fraction", data.test_fraction.get(), 0.0, 0.9)?;
    if data.columns.len() > MOST_COLUMNS {
        return refuse(
            "data.columns",
            format!("{} columns, at most {MOST_COLUMNS}", data.columns.len()),
        );
    }
    let mut seen = BTreeSet::new();
    for (index, column) in data.columns.iter().enumerate() {
        let key = |part: &str| format!("data.columns[{index}]{part}");
        if column.name.is_empty() {
            return refuse(key(".name"), "it is empty");
        }
        if !seen.insert(&column.name) {
            return refuse(key(".name"), format!("\"{}\" is listed twice", column.name));
        }
        let is_label = column.name == data.label.column;
        if is_label && column.role == Role::Feature {
            return refuse(
                key(".role"),
                format!(
                    "\"{}\" is what the label is made from: give it the role \"label\"",
                    column.name
                ),
            );
        }
        if !is_label && column.role == Role::Label {
            return refuse(
                key(".role"),
                format!("the label is made from \"{}\"", data.label.column),
            );
        }
        if is_label && !matches!(column.missing, MissingRule::DropRow | MissingRule::Refuse) {
            return refuse(
                key(".missing"),
                "a label cannot be made up: \"drop-row\" or \"refuse\"",
            );
        }
        match &column.levels {
            None if column.drop_first => return refuse(key(".drop-first"), "it has no levels"),
            None => {}
            Some(levels) => {
                if levels.is_empty() || levels.len() > MOST_LEVELS {
                    return refuse(
                        key(".levels"),
                        format!("{} levels, from 1 to {MOST_LEVELS} are allowed", levels.len()),
                    );
                }
                if levels.iter().collect::<BTreeSet<_>>().len() < levels.len() {
                    return refuse(key(".levels"), "a level is listed twice");
                }
                if column.missing == MissingRule::Mean {
                    return refuse(key(".missing"), "levels have no mean");
                }
            }
        }
    }
    if !data.header && !seen.contains(&data.label.column) {
        return refuse(
            "data.columns",
            format!(
                "without a header they must list every column in order, \"{}\" too, with the role \"label\"",
                data.label.column
            ),
        );
    }
    if data.classes.len() > MOST_LEVELS || data.classes.len() == 1 {
        return refuse(
            "data.classes",
            format!(
                "{} classes, from 2 to {MOST_LEVELS} are allowed",
                data.classes.len()
            ),
        );
    }
    if data.classes.iter().collect::<BTreeSet<_>>().len() < data.classes.len() {
        return refuse("data.classes", "a class is listed twice");
    }
    if !data.classes.is_empty() && data.label.test.is_some() {
        let kind = match data.label.test {
            Some(LabelTest::Text(..)) => "text",
            _ => "number",
        };
        return refuse(
            "data.label",
            format!("it compares with a {kind}, so there can be no classes"),
        );
    }
    Ok(())
}

fn model(config: &StudyConfig) -> Checked {
    let model = &config.model;
    let classes = config.data.classes.len();
    if model.architecture == Family::Custom {
        return custom(config);
    }
    if !model.tensors.is_empty() {
        return refuse("model.tensors", "only a \"custom\" model lists its tensors");
    }
    match model.architecture {
        Family::Mlp if model.hidden.is_empty() => {
            refuse(
                "model.hidden",
                "an mlp needs the width of at least one hidden layer",
            )?;
        }
        Family::Logistic | Family::Softmax if !model.hidden.is_empty() => {
            refuse("model.hidden", "only an mlp has hidden layers")?;
        }
        Family::Logistic | Family::Softmax if model.activation.is_some() => {
            refuse("model.activation", "only an mlp has an activation")?;
        }
        Family::Logistic if classes > 2 => {
            refuse(
                "model.architecture",
                format!("\"logistic\" tells two classes apart, not {classes}"),
            )?;
        }
        _ => {}
    }
    let shape = config.shape();
    if shape.built_in().is_ok_and(|layered| layered.inputs == 0) {
        return refuse("data.columns", "no column is an input of the model");
    }
    if let Err(error) = shape.check() {
        return refuse(
            "model.hidden",
            format!("{error} ({MOST_HIDDEN_LAYERS} layers, {MOST_PARAMETERS} parameters)"),
        );
    }
    Ok(())
}

/// A model that is not built in cannot be judged here, and no promise can be made of how it is trained.
fn custom(config: &StudyConfig) -> Checked {
    let model = &config.model;
    if !model.hidden.is_empty() {
        return refuse("model.hidden", "only an mlp has hidden layers");
    }
    if model.activation.is_some() {
        return refuse("model.activation", "only an mlp has an activation");
    }
    if let Err(error) = config.shape().check() {
        return refuse("model.tensors", error.to_string());
    }
    if config.holdout.is_some() {
        return refuse(
            "holdout",
            "a \"custom\" model can be judged by its members' programs only",
        );
    }
    let unit = config.training.privacy.map(|section| section.unit);
    if unit == Some(Unit::Row) {
        return refuse(
            "training.privacy",
            "rows are promised privacy by the built-in training only, which a \"custom\" model has not",
        );
    }
    Ok(())
}

fn datasets(config: &StudyConfig) -> Checked {
    let datasets = &config.datasets;
    if datasets.len() > usize::from(MOST_MEMBERS) {
        return refuse(
            "dataset",
            format!(
                "{} datasets, at most {MOST_MEMBERS} members can join",
                datasets.len()
            ),
        );
    }
    if !datasets.is_empty() && usize::from(config.training.quorum) > datasets.len() {
        return refuse(
            "training.quorum",
            format!(
                "{} is more than the {} datasets",
                config.training.quorum,
                datasets.len()
            ),
        );
    }
    let mut seen = BTreeSet::new();
    for (index, dataset) in datasets.iter().enumerate() {
        let key = |part: &str| format!("dataset[{index}].{part}");
        name(key("name"), &dataset.name)?;
        if !seen.insert(&dataset.name) {
            return refuse(
                key("name"),
                format!("\"{}\" is the name of two datasets", dataset.name),
            );
        }
        if dataset.licence.trim().is_empty() {
            return refuse(
                key("licence"),
                "it is empty: an SPDX identifier such as \"CC-BY-4.0\"",
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
