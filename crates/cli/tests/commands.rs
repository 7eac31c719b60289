//! Each command by itself: what it prints, in every form.

mod support;

use support::Project;

#[test]
fn every_error_code_is_explained() {
    let project = Project::new();
    let codes = project.run(&["explain", "-q"]).ends(0).stdout;
    assert!(codes.lines().count() >= 50);
    let page = project.run(&["explain", "cw2107"]).ends(0).stdout;
    assert!(page.starts_with("# CW2107: "), "{page}");
}

#[test]
fn help_is_grouped_and_completions_are_made() {
    let project = Project::new();
    let help = project.run(&["--help"]).ends(0).stdout;
    for group in ["Train:", "Lend data:", "Check:", "Operate:"] {
        assert!(help.contains(group), "{help}");
    }
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(
            project
                .run(&["completions", shell])
                .ends(0)
                .stdout
                .contains("consent")
        );
    }
    project.run(&["key"]).ends(2);
}

#[test]
fn a_template_makes_a_project_that_can_be_planned() {
    let project = Project::new();
    project.json(&["new", "fresh"]);
    let plan = project.json(&["train", "fresh", "--dry-run"]);
    assert_eq!(plan["members"].as_array().unwrap().len(), 4);
    assert!(!project.path().join("fresh/.counterweight").exists());
    assert_eq!(project.error(&["new", "fresh"], 2)["code"], "CW1010");
    project.json(&["new", "hearts", "--template", "heart-disease"]);
}

#[test]
fn keys_are_kept_encrypted_and_only_listed_by_name() {
    let project = Project::new();
    assert_eq!(project.error(&["key", "new", "alice"], 2)["code"], "CW1008");
    std::fs::write(project.path().join("password"), "correct horse battery staple\n").unwrap();
    let made = project.json(&["key", "new", "alice", "--password-file", "password"]);
    let secret = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    std::fs::write(project.path().join("secret"), secret).unwrap();
    let imported = project.json(&[
        "key",
        "import",
        "bob",
        "--file",
        "secret",
        "--password-file",
        "password",
    ]);
    assert_eq!(imported["account"], "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23");
    let listed = project.run(&["key", "list"]).ends(0).stdout;
    assert!(listed.contains(made["account"].as_str().unwrap()));
    assert!(!listed.contains(secret));
    assert_eq!(
        project.error(&["key", "new", "alice", "--password-file", "password"], 2)["code"],
        "CW1010"
    );
}

#[test]
fn a_dataset_is_added_only_where_it_can_be_read() {
    let project = Project::new();
    let copy = project.path().join("data/clinic-e.csv");
    std::fs::copy(project.path().join("data/clinic-d.csv"), copy).unwrap();
    let added = project.json(&[
        "dataset",
        "add",
        "clinic-e",
        "data/clinic-e.csv",
        "--licence",
        "CC-BY-4.0",
    ]);
    assert_eq!(added["rows"], 44);
    assert_eq!(
        project
            .run(&["dataset", "list", "-q"])
            .ends(0)
            .stdout
            .lines()
            .count(),
        5
    );
    let before = std::fs::read_to_string(project.path().join("counterweight.toml")).unwrap();
    project.error(
        &[
            "dataset",
            "add",
            "clinic-f",
            "data/README.md",
            "--licence",
            "CC-BY-4.0",
        ],
        2,
    );
    assert_eq!(
        std::fs::read_to_string(project.path().join("counterweight.toml")).unwrap(),
        before
    );
}

#[test]
fn every_reading_command_has_a_json_form() {
    let project = Project::new();
    project.json(&["train"]);
    for arguments in [
        &["status"][..],
        &["doctor"],
        &["dataset", "list"],
        &["dataset", "show", "clinic-a"],
        &["model", "list"],
        &["model", "show", "tumour@1"],
        &["run", "list"],
        &["run", "show", "1"],
        &["consent", "list"],
        &["network", "list"],
        &["key", "list"],
        &["explain"],
        &[],
    ] {
        project.json(arguments);
        let text = project.run(arguments).ends(0).stdout;
        assert!(
            !text.is_empty() && !text.contains('\u{1b}'),
            "{arguments:?}: a pipe gets no colour"
        );
    }
}
