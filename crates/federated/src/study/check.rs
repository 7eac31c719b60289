//! The rules of a configuration, each named by its key.

use std::collections::BTreeSet;

use crate::{
    architecture::{MOST_HIDDEN_LAYERS, MOST_PARAMETERS},
    study::{
        Family, FileFormat, MOST_MEMBERS, StudyConfig, StudyConfigError,
        privacy::{Privacy, PromiseError, Unit},
        schema::{DataSection, LabelTest, MissingRule, Role, Standardise},
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
mod tests {
    use super::*;
    use crate::{
        rules::Rule,
        server_optimiser::Aggregation,
        study::{AggregationSetting, terms::PublicTerms},
    };

    const STUDY: &str = r#"
[study]
name = "heart"
purpose = "research"
budget = "1000.5"
bond = 10
member-cap = 0.5
lineage-share = 0.3

[model]
name = "heart-model"
architecture = "mlp"
hidden = [8]
activation = "tanh"

[training]
rounds = 15
members-per-round = 2
quorum = 2
aggregation = { rule = "fedyogi", lr = 0.01 }
local-steps = 100
batch = 4
optimiser = "sgd"
lr = 0.001
proximal = 0.01
clip = 10
round-timeout = "60s"
close-timeout = "2m"
seed = 42

[data]
header = false
delimiter = ","
missing = ["?"]
columns = [
  "age",
  { name = "pain", levels = ["1", "2"], drop-first = true },
  { name = "num", role = "label", missing = "refuse" },
]
label = "num > 0"
standardise = "member"
test-fraction = 0.34

[holdout]
path = "holdout.csv"

[[dataset]]
name = "cleveland"
path = "a.csv"
licence = "CC-BY-4.0"
consent = ["research"]

[[dataset]]
name = "hungary"
path = "b.parquet"
format = "parquet"
licence = "CC-BY-4.0"
consent = []
steward = "hungary"
description = "From Budapest"
"#;

    fn parse(text: &str) -> StudyConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_study_is_read_and_holds() {
        let study = parse(STUDY);
        assert_eq!(study.check(), Ok(()));
        assert_eq!(
            study.study.budget.to_amount(18).unwrap().0,
            1_000_500_000_000_000_000_000
        );
        assert_eq!(study.training.close_timeout.0, 120);
        let shape = study.architecture().unwrap();
        let shape = shape.built_in().unwrap();
        assert_eq!(
            (shape.inputs, shape.hidden.as_slice(), shape.outputs),
            (2, [8].as_slice(), 1)
        );
        let Aggregation::Fedyogi { lr, beta1, .. } = study.training.aggregation.server else {
            panic!()
        };
        assert_eq!((lr.get(), beta1.get()), (0.01, 0.9));
    }

    #[test]
    fn a_rule_can_be_a_name_alone() {
        let text = STUDY.replace("{ rule = \"fedyogi\", lr = 0.01 }", "\"fedavg\"");
        assert_eq!(parse(&text).training.aggregation, AggregationSetting::default());
        let text = STUDY.replace("{ rule = \"fedyogi\", lr = 0.01 }", "\"median\"");
        let setting = parse(&text).training.aggregation;
        assert_eq!(setting.combination, Some(Rule::Median { bucket: 1 }));
        assert_eq!(setting.server, Aggregation::default());
    }

    #[test]
    fn a_rule_that_combines_updates_names_the_servers_step_too() {
        let with = |table: &str| STUDY.replace("{ rule = \"fedyogi\", lr = 0.01 }", table);
        let text = with("{ rule = \"trimmed-mean\", trim = 0, server = { rule = \"fedyogi\", lr = 0.02 } }");
        let study = parse(&text);
        assert_eq!(study.check(), Ok(()));
        assert_eq!(
            study.training.aggregation.combination,
            Some(Rule::TrimmedMean { trim: 0, bucket: 1 })
        );
        assert!(
            matches!(study.training.aggregation.server, Aggregation::Fedyogi { lr, .. } if lr.get() == 0.02)
        );
        let terms = study.public_terms(None);
        assert_eq!(
            PublicTerms::from_bytes(&terms.to_bytes().unwrap()).unwrap(),
            terms
        );
        for (table, key) in [
            ("{ rule = \"trimmed-mean\", trim = 1 }", "training.quorum"),
            ("{ rule = \"krum\", faulty = 1 }", "training.quorum"),
            ("{ rule = \"krum\", faulty = 40 }", "training.aggregation.faulty"),
            (
                "{ rule = \"clipped-mean\", norm = 0 }",
                "training.aggregation.norm",
            ),
            (
                "{ rule = \"multi-krum\", faulty = 0, keep = 0 }",
                "training.aggregation.keep",
            ),
            (
                "{ rule = \"centred-clipping\", radius = 128 }",
                "training.aggregation.radius",
            ),
            (
                "{ rule = \"geometric-median\", iterations = 0 }",
                "training.aggregation.iterations",
            ),
            ("{ rule = \"median\", bucket = 0 }", "training.aggregation.bucket"),
            (
                "{ rule = \"median\", server = { rule = \"fedadam\", tau = 0 } }",
                "training.aggregation.tau",
            ),
        ] {
            assert_eq!(parse(&with(table)).check().unwrap_err().key, key, "{table}");
        }
        let text = with("\"fltrust\"").replace("[holdout]\npath = \"holdout.csv\"", "");
        assert_eq!(parse(&text).check().unwrap_err().key, "training.aggregation.rule");
        for (table, message) in [
            ("\"medain\"", "\"medain\" is no rule"),
            ("{ rule = \"median\", trim = 1 }", "unknown field `trim`"),
            ("{ rule = \"trimmed-mean\" }", "missing field `trim`"),
            (
                "{ rule = \"median\", server = \"median\" }",
                "median is no step of a server",
            ),
            ("{ trim = 1 }", "missing field `rule`"),
        ] {
            let error = toml::from_str::<StudyConfig>(&with(table))
                .unwrap_err()
                .to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn privacy_of_rows_needs_noise_that_can_be_drawn_and_nothing_that_tells_beside_it() {
        let text = STUDY
            .replace(
                "optimiser = \"sgd\"",
                "optimiser = \"sgd\"\nprivacy = { epsilon = 2, row-clip = 0.5, sample = 0.05 }",
            )
            .replace("proximal = 0.01", "")
            .replace("local-steps = 100", "local-steps = 5")
            .replace("standardise = \"member\"", "standardise = \"holdout\"");
        let study = parse(&text);
        assert_eq!(study.check(), Ok(()));
        let terms = study.public_terms(None);
        let privacy = terms.privacy.unwrap();
        let setting = terms.privacy_setting();
        assert!(privacy.check(&setting, 15).is_ok() && privacy.check(&setting, 20).is_err());
        assert!(
            !String::from_utf8(terms.to_bytes().unwrap())
                .unwrap()
                .contains("unit")
        );
        assert_eq!(
            PublicTerms::from_bytes(&terms.to_bytes().unwrap()).unwrap(),
            terms
        );
        for (from, to, key) in [
            ("local-steps = 5", "local-epochs = 5", "training.privacy"),
            ("epsilon = 2", "epsilon = 0", "training.privacy"),
            ("row-clip = 0.5", "row-clip = 100", "training.privacy"),
            (
                "standardise = \"holdout\"",
                "standardise = \"member\"",
                "data.standardise",
            ),
        ] {
            assert!(text.contains(from));
            assert_eq!(parse(&text.replace(from, to)).check().unwrap_err().key, key);
        }
        let with_mean = text.replace("\"age\"", "{ name = \"age\", missing = \"mean\" }");
        assert_eq!(
            parse(&with_mean).check().unwrap_err().key,
            "data.columns[0].missing"
        );
    }

    #[test]
    fn privacy_of_members_asks_for_equal_weights_and_for_nothing_of_rows() {
        let masked = "optimiser = \"sgd\"\nmasking = { group-size = 4, most-examples = 1 }\nprivacy = { unit = \"member\", epsilon = 8, honest = 2 }";
        let text = STUDY.replace("optimiser = \"sgd\"", masked).replace(
            "members-per-round = 2\nquorum = 2",
            "members-per-round = 9\nquorum = 3",
        );
        let text = &text[..text.find("[[dataset]]").unwrap()];
        let study = parse(text);
        assert_eq!(study.check(), Ok(()));
        let terms = study.public_terms(None);
        let bytes = terms.to_bytes().unwrap();
        assert_eq!(PublicTerms::from_bytes(&bytes).unwrap(), terms);
        assert!(String::from_utf8(bytes).unwrap().contains("\"unit\":\"member\""));
        for (from, to, key) in [
            (
                "most-examples = 1 ",
                "most-examples = 2 ",
                "training.masking.most-examples",
            ),
            ("honest = 2", "honest = 0", "training.privacy"),
            ("honest = 2", "honest = 4", "training.privacy"),
            ("honest = 2", "row-clip = 1", "training.privacy"),
            ("honest = 2", "sample = 0.5", "training.privacy"),
            ("honest = 2", "noise = 0.01", "training.privacy"),
            (
                "masking = { group-size = 4, most-examples = 1 }",
                "",
                "training.privacy",
            ),
            ("clip = 10", "clip = 0", "training.clip"),
        ] {
            assert!(text.contains(from), "{from}");
            let error = parse(&text.replace(from, to)).check().unwrap_err();
            assert_eq!(error.key, key, "{to}: {error}");
        }
    }

    #[test]
    fn masking_asks_for_groups_that_members_fill_and_sums_that_fit() {
        let masked = "optimiser = \"sgd\"\nmasking = { group-size = 4, most-examples = 500 }";
        let text = STUDY.replace("optimiser = \"sgd\"", masked).replace(
            "members-per-round = 2\nquorum = 2",
            "members-per-round = 9\nquorum = 3",
        );
        let text = &text[..text.find("[[dataset]]").unwrap()];
        let study = parse(text);
        assert_eq!(study.check(), Ok(()));
        let terms = study.public_terms(None);
        let masking = terms.masking.unwrap();
        assert_eq!(
            (masking.threshold_percent, masking.dispute_seconds),
            (66, 604_800)
        );
        assert_eq!(
            PublicTerms::from_bytes(&terms.to_bytes().unwrap()).unwrap(),
            terms
        );
        for (from, to, key) in [
            ("group-size = 4", "group-size = 2", "training.masking.group-size"),
            ("group-size = 4", "group-size = 10", "training.masking.group-size"),
            (
                "group-size = 4",
                "group-size = 4, threshold-percent = 50",
                "training.masking.threshold-percent",
            ),
            (
                "group-size = 4",
                "group-size = 4, fewest-survivors = 5",
                "training.masking.fewest-survivors",
            ),
            (
                "most-examples = 500",
                "most-examples = 0",
                "training.masking.most-examples",
            ),
            (
                "{ rule = \"fedyogi\", lr = 0.01 }",
                "{ rule = \"median\", bucket = 2 }",
                "training.aggregation.bucket",
            ),
            (
                "{ rule = \"fedyogi\", lr = 0.01 }",
                "{ rule = \"krum\", faulty = 0 }",
                "training.masking.group-size",
            ),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(
                parse(&text.replace(from, to)).check().unwrap_err().key,
                key,
                "{to}"
            );
        }
    }

    #[test]
    fn the_terms_are_public_canonical_and_pinned() {
        let terms = parse(STUDY).public_terms(None);
        let bytes = terms.to_bytes().unwrap();
        assert_eq!(PublicTerms::from_bytes(&bytes).unwrap(), terms);
        let text = String::from_utf8(bytes.clone()).unwrap();
        for private in ["path", "a.csv", "cleveland", "licence", "1000.5", "Budapest"] {
            assert!(!text.contains(private), "{private}");
        }
        assert_eq!(
            counterweight_primitives::ContentDigest::of(&bytes).to_string(),
            "blake3:3afaa0ad941473d182391afc2ba31209e5d990d3221cedc95145f073e5d2675a"
        );
    }

    #[test]
    fn the_same_terms_written_differently_have_one_digest() {
        let text = STUDY
            .replace("0.001", "1e-3")
            .replace("{ rule = \"fedyogi\", lr = 0.01 }", "{ rule = \"fedyogi\" }")
            .replace("\"age\",", "{ name = \"age\" },")
            .replace("\"num > 0\"", "\"num>0\"");
        assert_eq!(parse(&text).public_terms(None), parse(STUDY).public_terms(None));
    }

    /// Each case changes one thing in a study that holds, and is named by its key.
    #[test]
    fn each_broken_rule_is_named_by_its_key() {
        for (from, to, key) in [
            ("name = \"heart\"", "name = \"He art\"", "study.name"),
            ("\"heart-model\"", "\"\"", "model.name"),
            ("purpose = \"research\"", "purpose = \"\"", "study.purpose"),
            ("member-cap = 0.5", "member-cap = 0", "study.member-cap"),
            (
                "lineage-share = 0.3",
                "lineage-share = 1.5",
                "study.lineage-share",
            ),
            ("rounds = 15", "rounds = 0", "training.rounds"),
            ("quorum = 2", "quorum = 0", "training.quorum"),
            ("quorum = 2", "quorum = 3", "training.quorum"),
            (
                "members-per-round = 2",
                "members-per-round = 65",
                "training.members-per-round",
            ),
            (
                "members-per-round = 2\nquorum = 2",
                "quorum = 3",
                "training.quorum",
            ),
            ("local-steps = 100", "", "training"),
            ("local-steps = 100", "local-steps = 0", "training.local-steps"),
            (
                "local-steps = 100",
                "local-steps = 1\nlocal-epochs = 1",
                "training.local-epochs",
            ),
            ("batch = 4", "batch = 0", "training.batch"),
            ("\nlr = 0.001", "\nlr = 0", "training.lr"),
            ("proximal = 0.01", "proximal = -1", "training.proximal"),
            ("clip = 10", "clip = 128", "training.clip"),
            (
                "lr = 0.01 }",
                "lr = 0.01, beta1 = 1.0 }",
                "training.aggregation.beta1",
            ),
            ("\"60s\"", "\"0s\"", "training.round-timeout"),
            ("delimiter = \",\"", "delimiter = \"→\"", "data.delimiter"),
            ("test-fraction = 0.34", "test-fraction = 1", "data.test-fraction"),
            ("\"age\",", "\"age\", \"age\",", "data.columns[1].name"),
            ("\"age\",", "\"\",", "data.columns[0].name"),
            (
                "role = \"label\", missing = \"refuse\"",
                "missing = \"refuse\"",
                "data.columns[2].role",
            ),
            (
                "\"age\",",
                "{ name = \"age\", role = \"label\" },",
                "data.columns[0].role",
            ),
            ("missing = \"refuse\"", "missing = 3", "data.columns[2].missing"),
            (
                "\"age\",",
                "{ name = \"age\", drop-first = true },",
                "data.columns[0].drop-first",
            ),
            ("levels = [\"1\", \"2\"]", "levels = []", "data.columns[1].levels"),
            (
                "levels = [\"1\", \"2\"]",
                "levels = [\"1\", \"1\"]",
                "data.columns[1].levels",
            ),
            (
                "drop-first = true",
                "missing = \"mean\"",
                "data.columns[1].missing",
            ),
            (
                "label = \"num > 0\"",
                "label = \"target\"",
                "data.columns[2].role",
            ),
            (
                "label = \"num > 0\"",
                "label = \"num > 0\"\nclasses = [\"0\", \"1\"]",
                "data.label",
            ),
            (
                "label = \"num > 0\"",
                "label = \"num\"\nclasses = [\"0\"]",
                "data.classes",
            ),
            (
                "label = \"num > 0\"",
                "label = \"num\"\nclasses = [\"0\", \"0\"]",
                "data.classes",
            ),
            ("hidden = [8]", "hidden = []", "model.hidden"),
            ("hidden = [8]", "hidden = [0]", "model.hidden"),
            ("hidden = [8]", "hidden = [60000, 60000]", "model.hidden"),
            ("\"mlp\"", "\"logistic\"", "model.hidden"),
            ("\"mlp\"\nhidden = [8]", "\"logistic\"", "model.activation"),
            (
                "path = \"holdout.csv\"",
                "path = \"holdout\"\nformat = \"parquet\"",
                "holdout.format",
            ),
            ("[holdout]\npath = \"holdout.csv\"", "", "data.standardise"),
            ("name = \"hungary\"", "name = \"cleveland\"", "dataset[1].name"),
            ("licence = \"CC-BY-4.0\"", "licence = \"\"", "dataset[0].licence"),
        ] {
            let mut text = STUDY.replacen(from, to, 1);
            assert_ne!(text, STUDY, "{from}");
            if key == "data.standardise" {
                text = text.replace("standardise = \"member\"", "standardise = \"holdout\"");
            }
            let error = parse(&text).check().unwrap_err();
            assert_eq!(error.key, key, "{error}");
        }
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        for (from, to, message) in [
            ("batch = 4", "bach = 4", "unknown field `bach`"),
            ("role = \"label\"", "rolle = \"label\"", "unknown field `rolle`"),
            ("lr = 0.01 }", "rate = 0.01 }", "unknown field `rate`"),
            ("rounds = 15", "rounds = \"15\"", "invalid type: string"),
            ("\nlr = 0.001", "\nlr = nan", "not a finite decimal number"),
            ("clip = 10", "clip = inf", "not a finite decimal number"),
            ("\"60s\"", "\"60\"", "is not a time: write 90s, 5m or 2h"),
            ("\"60s\"", "\"99999999h\"", "is not a time"),
            ("bond = 10", "bond = -1", "is not a decimal number"),
            ("\"num > 0\"", "\"> 0\"", "is not a label rule"),
            ("\"num > 0\"", "\"num > high\"", "is not a label rule"),
            (
                "missing = \"refuse\"",
                "missing = \"skip\"",
                "invalid value: string \"skip\"",
            ),
            ("\"mlp\"", "\"transformer\"", "unknown variant `transformer`"),
        ] {
            let text = STUDY.replacen(from, to, 1);
            assert_ne!(text, STUDY, "{from}");
            let error = toml::from_str::<StudyConfig>(&text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn the_key_lists_are_those_that_are_read() {
        use crate::study::keys::known_keys;
        for table in ["", "study", "model", "training", "data", "holdout", "dataset"] {
            let (from, to) = match table {
                "" => ("[study]".to_owned(), "nonsense = 1\n[study]".to_owned()),
                "dataset" => ("[[dataset]]".to_owned(), "[[dataset]]\nnonsense = 1".to_owned()),
                table => (format!("[{table}]"), format!("[{table}]\nnonsense = 1")),
            };
            let error = toml::from_str::<StudyConfig>(&STUDY.replacen(&from, &to, 1))
                .unwrap_err()
                .to_string();
            let listed: Vec<String> = known_keys(table)
                .unwrap()
                .iter()
                .map(|key| format!("`{key}`"))
                .collect();
            let expected = error.split_once("expected").unwrap().1;
            for key in &listed {
                assert!(
                    expected.contains(key.as_str()),
                    "{table}: {key} is not read: {error}"
                );
            }
            assert_eq!(
                expected.matches('`').count(),
                2 * listed.len(),
                "{table}: {error}"
            );
        }
    }
}
