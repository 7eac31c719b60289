//! A bundle says everything: it is checked where there is no project, no chain and no network.

mod support;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use support::Project;

/// Runs `cw` in an empty folder, with a home that does not exist.
fn elsewhere(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cw"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CW_")) {
        command.env_remove(name);
    }
    let output = command
        .env("CW_HOME", folder.join("no-home"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .args(arguments)
        .arg("--json")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answer = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output.status.code().unwrap(), answer)
}

fn verdicts(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = answer["checks"].as_array().unwrap().iter();
    checks
        .map(|check| (text(&check["check"]), text(&check["verdict"])))
        .collect()
}

#[test]
fn a_bundle_of_a_trained_model_verifies_in_an_empty_folder() {
    let project = Project::new();
    project.edit("rounds = 3", "rounds = 2");
    project.json(&["train"]);
    let made = project.json(&["audit", "bundle", "tumour@1", "--output", "tumour.bundle"]);
    assert_eq!(made["verdict"], "yes", "{made:#}");
    assert_eq!(
        project.error(&["audit", "bundle", "tumour@1", "-o", "tumour.bundle"], 2)["code"],
        "CW1010"
    );

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tumour.bundle");
    fs::copy(project.path().join("tumour.bundle"), &file).unwrap();
    drop(project);
    let name = file.to_str().unwrap();

    let (status, answer) = elsewhere(folder.path(), &["verify", "bundle", name]);
    assert_eq!((status, &answer["verdict"]), (0, &"yes".into()), "{answer:#}");
    assert_eq!(answer["subject"], "model tumour@1");
    assert_eq!(answer["assumed"].as_array().unwrap().len(), 1);
    assert_eq!(answer["digest"], made["digest"]);
    let checked: Vec<String> = verdicts(&answer).into_iter().map(|(check, _)| check).collect();
    for check in [
        "file",
        "contracts",
        "weights",
        "manifest",
        "run manifest",
        "datasets",
        "terms",
        "commitments",
        "updates",
        "aggregation",
        "results",
        "contributions",
        "payment",
        "consent",
        "model",
        "lineage",
        "log",
    ] {
        assert!(
            checked.iter().any(|found| found == check),
            "{check} in {checked:?}"
        );
    }

    let assumed = answer["assumed"][0].as_str().unwrap();
    let hash = assumed
        .split_whitespace()
        .find(|word| word.starts_with("0x"))
        .unwrap()
        .trim_end_matches(':');
    let hash = &format!("block:{hash}");
    let (status, answer) = elsewhere(folder.path(), &["verify", "bundle", name, "--block", hash]);
    assert_eq!(status, 0, "{answer:#}");
    assert_eq!(answer["assumed"].as_array().unwrap().len(), 0);
    let other = format!("block:0x{}", "00".repeat(32));
    let (status, answer) = elsewhere(folder.path(), &["verify", "bundle", name, "--block", &other]);
    assert_eq!((status, &answer["codes"][0]), (1, &"CW5403".into()), "{answer:#}");

    // Any `tar` unpacks it.
    let listed = Command::new("tar").arg("-tf").arg(&file).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.lines().next(), Some("bundle.json"));
    assert!(listed.lines().any(|line| line == "chain/headers"), "{listed}");

    let good = fs::read(&file).unwrap();
    for cut in [0, 1, 511, 512, good.len() / 2, good.len() - 1] {
        fs::write(&file, &good[..cut]).unwrap();
        let (status, answer) = elsewhere(folder.path(), &["verify", "bundle", name]);
        assert_eq!(
            (status, &answer["verdict"]),
            (1, &"no".into()),
            "cut to {cut}: {answer:#}"
        );
    }
}

#[test]
fn a_bundle_of_a_decision_by_a_trained_model_verifies_in_an_empty_folder() {
    let project = Project::new();
    project.edit("rounds = 3", "rounds = 1");
    project.json(&["train"]);
    let exported = project.json(&["model", "export", "tumour@1", "--output", "tumour.safetensors"]);
    let profile = format!(
        r#"{{"endpoint": "clinic.example/triage", "model": {},
            "inputs": [{{"name": "radius", "type": "number"}}], "outputs": [{{"name": "malignant", "type": "number"}}],
            "linear": {{"explains": "malignant", "link": "identity", "bias": 0.5, "features": [{{"input": "radius", "weight": 2.0, "mean": 1.0}}]}}}}"#,
        exported["content"]
    );
    fs::write(project.path().join("triage.json"), profile).unwrap();
    let line = |name: &str| {
        format!(
            r#"{{"subject": "{name}", "inputs": {{"radius": 1.25}}, "outputs": {{"malignant": 3.0}}, "reviewer": {{"name": "Dr Curie"}}}}"#
        ) + "\n"
    };
    fs::write(project.path().join("new.jsonl"), line("Ada") + &line("Alan")).unwrap();
    let run = |line: &str| project.json(&line.split_whitespace().collect::<Vec<_>>());
    run(
        "decision record new.jsonl --log decisions --origin clinic.example/decisions --endpoint triage.json --receipts receipts.jsonl",
    );
    let receipts = fs::read_to_string(project.path().join("receipts.jsonl")).unwrap();
    fs::write(
        project.path().join("receipt.json"),
        receipts.lines().nth(1).unwrap(),
    )
    .unwrap();
    run("decision anchor --log decisions");
    let made = run(
        "audit bundle --decision 2 --log decisions --field malignant --field radius --parameters --receipt receipt.json -o decision.bundle",
    );
    assert_eq!(made["verdict"], "yes", "{made:#}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("decision.bundle");
    fs::copy(project.path().join("decision.bundle"), &file).unwrap();
    let owner = fs::read_to_string(project.path().join("decisions/log.pub")).unwrap();
    let owner = owner.lines().nth(1).unwrap().to_owned();
    drop(project);
    let name = file.to_str().unwrap();
    let (status, answer) = elsewhere(folder.path(), &["verify", "bundle", name]);
    assert_eq!((status, &answer["verdict"]), (0, &"yes".into()), "{answer:#}");
    assert_eq!(answer["subject"], "decision 2 of clinic.example/decisions");
    assert_eq!(answer["assumed"].as_array().unwrap().len(), 2);
    assert_eq!(answer["missing"].as_array().unwrap().len(), 2, "{answer:#}");
    let checked: Vec<String> = verdicts(&answer).into_iter().map(|(check, _)| check).collect();
    for check in [
        "file",
        "decision",
        "fields",
        "explanation",
        "signature",
        "receipt",
        "contracts",
        "anchor",
        "weights",
        "updates",
        "aggregation",
        "consent",
        "lineage",
        "log",
        "exports",
    ] {
        assert!(
            checked.iter().any(|found| found == check),
            "{check} in {checked:?}"
        );
    }
    let (status, answer) = elsewhere(folder.path(), &["verify", "bundle", name, "--owner", &owner]);
    assert_eq!(
        (status, answer["assumed"].as_array().unwrap().len()),
        (0, 1),
        "{answer:#}"
    );
    let other = "0x0000000000000000000000000000000000000001";
    let (status, answer) = elsewhere(folder.path(), &["verify", "bundle", name, "--owner", other]);
    assert_eq!((status, &answer["codes"][0]), (1, &"CW5404".into()), "{answer:#}");

    let listed = Command::new("tar").arg("-tf").arg(&file).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for file in [
        "decision/disclosure.json",
        "exports/article-12.json",
        "exports/annex-iv.md",
        "exports/decision.prov.json",
    ] {
        assert!(listed.lines().any(|line| line == file), "{file} in {listed}");
    }
    // What was not chosen is nowhere, whatever the bundle holds besides.
    let bytes = fs::read(&file).unwrap();
    for secret in ["Dr Curie", "Alan"] {
        assert!(
            !bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes()),
            "{secret}"
        );
    }
}
