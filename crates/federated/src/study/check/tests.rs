use super::*;
use crate::{
    rules::Rule,
    server_optimiser::Aggregation,
    study::{
        AggregationSetting,
        terms::{CommittedFiles, PublicTerms},
    },
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
    assert!(matches!(study.training.aggregation.server, Aggregation::Fedyogi { lr, .. } if lr.get() == 0.02));
    let terms = study.public_terms(CommittedFiles::default());
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
    let terms = study.public_terms(CommittedFiles::default());
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
    let terms = study.public_terms(CommittedFiles::default());
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
    let terms = study.public_terms(CommittedFiles::default());
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
    let terms = parse(STUDY).public_terms(CommittedFiles::default());
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
    assert_eq!(
        parse(&text).public_terms(CommittedFiles::default()),
        parse(STUDY).public_terms(CommittedFiles::default())
    );
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
