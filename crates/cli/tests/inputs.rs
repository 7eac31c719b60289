//! Bad input: each slip has its code, its exit status and a fix.

mod support;

use support::{Project, free_port};

fn code(project: &Project, arguments: &[&str], status: i32) -> String {
    project.error(arguments, status)["code"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
    let project = Project::new();
    project.edit("quorum = 2", "qorum = 2");
    let error = project.error(&["train"], 2);
    assert_eq!(error["code"], "CW1002");
    assert_eq!(error["facts"]["nearest"], "quorum");
    assert!(error["message"].as_str().unwrap().contains("counterweight.toml:"));
}

#[test]
fn a_missing_column_is_named_with_the_nearest_one() {
    let project = Project::new();
    project.edit("\"mean_radius\"", "\"mean_radios\"");
    let error = project.error(&["train"], 2);
    assert_eq!(error["code"], "CW3001");
    assert_eq!(error["facts"]["nearest"], "mean_radius");
}

#[test]
fn bad_cells_are_refused_before_anything_is_spent() {
    let project = Project::new();
    let rows = std::fs::read_to_string(project.path().join("data/clinic-b.csv")).unwrap();
    let value = rows.lines().nth(1).unwrap().split(',').next().unwrap().to_owned();
    project.edit_file("data/clinic-b.csv", &value, "tall");
    assert_eq!(code(&project, &["train"], 2), "CW3002");
    project.edit_file("data/clinic-b.csv", "tall", "NaN");
    assert_eq!(code(&project, &["train"], 2), "CW3004");
    let header = rows.lines().next().unwrap();
    std::fs::write(project.path().join("data/clinic-b.csv"), format!("{header}\n")).unwrap();
    assert_eq!(code(&project, &["train"], 2), "CW3003");
    std::fs::remove_file(project.path().join("data/clinic-b.csv")).unwrap();
    assert_eq!(code(&project, &["train"], 3), "CW1012");
}

#[test]
fn a_wrong_value_is_named_with_where_it_came_from() {
    let project = Project::new();
    project.edit("rounds = 3", "rounds = \"many\"");
    let error = project.error(&["train"], 2);
    assert_eq!(error["code"], "CW1004");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("counterweight.toml:")
    );
    let project = Project::new();
    project.edit("consent = [\"research\"]", "consent = [\"reserch\"]");
    assert_eq!(code(&project, &["train"], 2), "CW1004");
}

#[test]
fn a_chain_that_is_down_can_be_tried_again() {
    let project = Project::new();
    let url = format!("http://127.0.0.1:{}", free_port());
    let error = project.error(&["train", "--network", &url, "--timeout", "1s"], 3);
    assert_eq!(error["code"], "CW5004");
    assert_eq!(error["retry"], true);
}

#[test]
fn a_coordinator_that_is_down_can_be_tried_again() {
    let project = Project::new();
    let url = format!("http://127.0.0.1:{}", free_port());
    let arguments = [
        "member",
        "start",
        "--coordinator",
        &url,
        "--dataset",
        "clinic-a",
        "--timeout",
        "300ms",
    ];
    assert_eq!(code(&project, &arguments, 3), "CW3012");
}

#[test]
fn names_get_a_guess() {
    let project = Project::new();
    assert_eq!(
        project.error(&["train", "--network", "anvl"], 2)["facts"]["nearest"],
        "anvil"
    );
    assert_eq!(
        project.error(&["new", "x", "--template", "breast-cancr"], 2)["facts"]["nearest"],
        "breast-cancer"
    );
    assert_eq!(project.error(&["explain", "CW210"], 2)["code"], "CW1006");
    let key = format!("0x{}", "ab".repeat(32));
    let ran = project.run(&["claim", "--key", &key]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("CW1009") && !ran.stderr.contains(&key[2..]));
}

#[test]
fn without_a_project_the_error_says_how_to_make_one() {
    let project = Project::new();
    std::fs::remove_file(project.path().join("counterweight.toml")).unwrap();
    assert_eq!(code(&project, &["train"], 2), "CW1001");
    project.run(&[]).ends(0);
    project.run(&["doctor"]).ends(0);
}
