//! Members that train with programs of their own, beside members with the training that is built in.

mod support;

use std::{fs, path::Path};

use serde_json::Value;
use support::{Project, Running, free_port};

const PYTHON: &str = "python3 logistic.py --label diagnosis=malignant --scale-by data/holdout.csv";

/// The example with the trainers of `examples/trainers` in its folder.
fn project() -> Project {
    let project = Project::new();
    let trainers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/trainers");
    for name in ["logistic.py", "stay.sh"] {
        fs::copy(trainers.join(name), project.path().join(name)).unwrap();
    }
    project
}

fn accuracy(trained: &Value) -> f64 {
    let scores = trained["accuracy"].as_array().unwrap();
    let holdout = scores.iter().find(|score| score["on"] == "hold-out").unwrap();
    holdout["together"].as_f64().unwrap()
}

fn start(project: &Project, ports: &(String, String), clinic: &str, more: &[&str]) -> Running {
    let (coordinator, chain) = (format!("https://{}", ports.0), format!("http://{}", ports.1));
    let mut arguments = vec![
        "member",
        "start",
        "--coordinator",
        &coordinator,
        "--network",
        &chain,
    ];
    arguments.extend(["--dataset", clinic, "--json"]);
    arguments.extend(more);
    project.spawn(&arguments)
}

#[test]
fn a_program_without_any_package_trains_with_members_that_are_built_in() {
    let project = project();
    project.edit(
        "description = \"A general hospital: 180 biopsies\"",
        &format!("trainer = {PYTHON:?}"),
    );
    let trained = project.json(&["train"]);
    assert!(accuracy(&trained) > 0.9, "{trained}");
    project.run(&["verify", "model", "tumour@1"]).ends(0);
    let members = trained["members"].as_array().unwrap();
    assert!(members.iter().all(|member| member["survived"] == 3), "{trained}");
}

#[test]
fn processes_with_and_without_programs_end_with_one_model() {
    let project = project();
    let address = || format!("127.0.0.1:{}", free_port());
    let ports = (address(), address());
    let coordinator = project.spawn(&["train", "--listen", &ports.0, "--rpc", &ports.1, "--json"]);
    let members = [
        start(&project, &ports, "clinic-a", &["--trainer", PYTHON, "--judge"]),
        start(&project, &ports, "clinic-b", &["--judge"]),
        start(&project, &ports, "clinic-c", &[]),
        start(&project, &ports, "clinic-d", &["--trainer", "sh stay.sh"]),
    ];
    let trained = coordinator.finish().ends(0).json();
    for (place, member) in members.into_iter().enumerate() {
        let ran = member.finish().ends(0);
        assert_eq!(ran.json()["result"], trained["result"]);
        assert_eq!(ran.json()["survived"], 3, "{ran:?}");
        // What a program writes to stderr is passed on, under the member's name.
        assert_eq!(
            ran.stderr.contains("clinic-a: train in round 3"),
            place == 0,
            "{ran:?}"
        );
        assert_eq!(ran.stderr.contains("Judged"), place < 2, "{ran:?}");
    }
    project.run(&["verify", "model", "tumour@1"]).ends(0);
}

#[test]
fn a_program_that_fails_sits_the_round_out_and_says_why() {
    let project = project();
    project.edit(
        "description = \"A general hospital: 180 biopsies\"",
        "trainer = \"sh -c 'echo no licence for the model >&2; exit 7'\"",
    );
    let ran = project.run(&["train", "--json"]).ends(0);
    assert!(ran.stderr.contains("no licence for the model"), "{ran:?}");
    assert!(ran.stderr.contains("went on without"), "{ran:?}");
    assert!(ran.stderr.contains("exit status: 7"), "{ran:?}");
}

#[test]
fn a_custom_model_is_trained_by_programs_and_by_nothing_else() {
    let project = project();
    project.edit(
        "architecture = \"logistic\"",
        "architecture = \"custom\"\ntensors = [{ name = \"w\", shape = [4, 3] }, { name = \"b\", shape = [4] }]",
    );
    let ran = project.run(&["train", "--json"]).ends(2);
    assert!(
        ran.stdout.contains("can be judged by its members' programs only"),
        "{ran:?}"
    );
    project.edit("[holdout]                         # public rows nobody trains on; contributions are judged by them\npath = \"data/holdout.csv\"", "");
    project.edit(
        "standardise = \"holdout\"           # everyone scales by the public rows",
        "",
    );
    let ran = project.run(&["train", "--json"]).ends(2);
    assert!(ran.stdout.contains("CW3201"), "{ran:?}");
    for description in [
        "description = \"A general hospital: 180 biopsies\"",
        "description = \"A screening centre, few cases: 140 biopsies\"",
        "description = \"An oncology referral centre, mostly cases: 105 biopsies\"",
        "description = \"A small practice: 44 biopsies\"",
    ] {
        project.edit(description, "trainer = \"sh stay.sh\"");
    }
    let trained = project.json(&["train"]);
    assert_eq!(trained["rounds"]["closed"], 3, "{trained}");
    project.run(&["verify", "model", "tumour@1"]).ends(0);
    let ran = project.run(&["model", "show", "tumour@1", "--json"]).ends(0);
    assert_eq!(ran.json()["card"]["architecture"]["family"], "custom", "{ran:?}");
}
