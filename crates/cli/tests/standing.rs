//! A clinic whose labels are flipped is proposed for exclusion while it trains; it appeals, and the arbiter decides.

mod support;

use std::fs;

use serde_json::Value;
use support::Project;

/// The development account 7.
const ARBITER: &str = "0x14dC79964da2C08b23698B3D3cc7Ca32193d9955";
const LIAR: &str = "clinic-b";

fn project() -> Project {
    let project = Project::new();
    project.edit("rounds = 3", "rounds = 6");
    let configuration = project.path().join("counterweight.toml");
    let standing = format!(
        "\n[training.standing]\nvesting-rounds = 2\noutlier = 2\npatience = 2\nappeal-time = \"72h\"\narbiter = \"{ARBITER}\"\n"
    );
    let text = fs::read_to_string(&configuration).unwrap();
    fs::write(&configuration, text + &standing).unwrap();
    let rows = project.path().join(format!("data/{LIAR}.csv"));
    let text = fs::read_to_string(&rows).unwrap();
    assert!(text.contains("malignant") && text.contains("benign"));
    let flipped = text
        .replace("malignant", "?")
        .replace("benign", "malignant")
        .replace('?', "benign");
    fs::write(&rows, flipped).unwrap();
    project
}

/// What is proposed against each member.
fn states(project: &Project) -> Vec<(String, Value)> {
    let standing = project.json(&["run", "standing"]);
    assert_eq!(standing["arbiter"], ARBITER, "{standing:#}");
    let members = standing["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| {
            let name = member["name"].as_str().unwrap().to_owned();
            (name, member["proposal"]["state"].clone())
        })
        .collect()
}

fn only_the_liar_is(project: &Project, state: &str) {
    for (name, found) in states(project) {
        let expected = if name == LIAR {
            Value::from(state)
        } else {
            Value::Null
        };
        assert_eq!(found, expected, "{name}");
    }
}

fn refusal(project: &Project, arguments: &[&str]) -> String {
    let ran = project.run(&[arguments, &["--json"]].concat());
    assert_ne!(ran.status, 0, "{ran:?}");
    ran.json()["error"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_clinic_with_flipped_labels_is_proposed_appeals_and_is_excluded_by_the_arbiter() {
    let project = project();
    project.json(&["train"]);
    only_the_liar_is(&project, "open");
    assert_eq!(project.json(&["verify", "run", "1"])["verdict"], "yes");

    let decide = |outcome| ["run", "decide", "1", "--member", LIAR, outcome, "--key", "dev-7"];
    assert_eq!(refusal(&project, &decide("--reject")), "CW3402");
    fs::write(project.path().join("reason.txt"), "Our patients were referred.\n").unwrap();
    let appeal = |member| {
        [
            "run",
            "appeal",
            "1",
            "--member",
            member,
            "--reason-file",
            "reason.txt",
        ]
    };
    assert_eq!(refusal(&project, &appeal("clinic-a")), "CW3402");
    project.json(&appeal(LIAR));
    only_the_liar_is(&project, "appealed");
    assert_eq!(refusal(&project, &appeal(LIAR)), "CW3402");

    // The sponsor decides nothing where the terms name somebody else.
    refusal(&project, &["run", "decide", "1", "--member", LIAR, "--reject"]);
    only_the_liar_is(&project, "appealed");
    let decided = project.json(&decide("--reject"));
    assert_eq!(decided["upheld"], false);
    only_the_liar_is(&project, "excluded");
    assert_eq!(project.json(&["verify", "run", "1"])["verdict"], "yes");
}

#[test]
fn an_appeal_that_is_upheld_keeps_the_clinic() {
    let project = project();
    project.json(&["train"]);
    fs::write(project.path().join("reason.txt"), "Our patients were referred.\n").unwrap();
    project.json(&[
        "run",
        "appeal",
        "1",
        "--member",
        LIAR,
        "--reason-file",
        "reason.txt",
    ]);
    let decided = project.json(&[
        "run", "decide", "1", "--member", LIAR, "--uphold", "--key", "dev-7",
    ]);
    assert_eq!(decided["upheld"], true);
    only_the_liar_is(&project, "kept");
}
