//! `cw decision` as the guide shows it: recorded, proven, shown, checked, erased, received.

mod support;

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
};

use support::{Project, free_port, wait_for_metric};

fn guide() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/log-decisions.md");
    fs::read_to_string(file).unwrap()
}

/// A project with the guide's two files.
fn project() -> Project {
    let project = Project::new();
    let guide = guide();
    let mut blocks = guide
        .split("```json\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    fs::write(project.path().join("loans.json"), blocks.next().unwrap()).unwrap();
    let decisions = blocks.next().unwrap().replace("Ada Lovelace", "Ada-Lovelace");
    fs::write(project.path().join("decisions.jsonl"), decisions).unwrap();
    project
}

fn run(project: &Project, line: &str) -> serde_json::Value {
    let words: Vec<_> = line.split_whitespace().collect();
    project.json(&words)
}

fn vkey(project: &Project) -> String {
    let text = fs::read_to_string(project.path().join("decisions/log.pub")).unwrap();
    text.lines().next().unwrap().to_owned()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_guides_commands_record_prove_show_and_erase() {
    let project = project();
    let commands: Vec<String> = guide()
        .lines()
        .filter_map(|line| line.strip_prefix("$ cw "))
        .map(str::to_owned)
        .collect();
    assert_eq!(commands.len(), 5);

    let recorded = run(&project, &commands[0]);
    assert_eq!(
        (recorded["first"].as_u64(), recorded["decisions"].as_u64()),
        (Some(1), Some(2))
    );
    let receipts = fs::read_to_string(project.path().join("receipts.jsonl")).unwrap();
    assert_eq!(receipts.lines().count(), 2);

    let proven = run(&project, &commands[1]);
    assert!(
        proven["proof"]
            .as_str()
            .unwrap()
            .starts_with("c2sp.org/tlog-proof@v1\nindex 1\n")
    );

    run(&project, &commands[2]);
    let verify = commands[3].replace("VKEY", &vkey(&project));
    let shown = run(&project, &verify);
    assert_eq!(
        (shown["index"].as_u64(), shown["counter"].as_u64()),
        (Some(1), Some(0))
    );
    assert_eq!(
        (&shown["reviewed"], &shown["endpoint"]),
        (&true.into(), &"loans.example/score".into())
    );
    let names: Vec<_> = shown["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["role"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["output", "base", "contribution"]);
    let text = fs::read_to_string(project.path().join("shown.json")).unwrap();
    assert!(!text.contains("Grace") && !text.contains("2000"));

    // The receipt, against the proof of a log that went on.
    fs::write(
        project.path().join("receipt.json"),
        receipts.lines().next().unwrap(),
    )
    .unwrap();
    fs::write(
        project.path().join("proof.txt"),
        proven["proof"].as_str().unwrap(),
    )
    .unwrap();
    let owner = fs::read_to_string(project.path().join("decisions/log.pub")).unwrap();
    let owner = owner.lines().nth(1).unwrap();
    let entry = proven["entry"].as_str().unwrap();
    let kept = format!(
        "decision verify receipt.json --vkey {} --owner {owner} --proof proof.txt --entry {entry}",
        vkey(&project)
    );
    assert_eq!(run(&project, &kept)["kept"], true);
    let other = kept.replace(entry, &entry.replacen("435744", "435745", 1));
    let words: Vec<_> = other.split_whitespace().collect();
    assert_eq!(project.run(&words).ends(1).status, 1);

    // Nothing is erased without a yes.
    let unsure = commands[4].replace(" --yes", "");
    let words: Vec<_> = unsure.split_whitespace().collect();
    assert_eq!(project.error(&words, 2)["code"], "CW1008");
    let erased = run(&project, &commands[4]);
    assert_eq!(erased["decisions"], 1);
    let disclose = commands[2].replace("shown.json", "again.json");
    let words: Vec<_> = disclose.split_whitespace().collect();
    assert_eq!(project.error(&words, 4)["code"], "CW5202");
    // What was shown before, and the proof, still hold; the other decision still opens.
    run(&project, &verify);
    run(&project, &commands[1]);
    run(&project, &disclose.replace("disclose 1", "disclose 2"));
    // Neither name nor values are in any file of the log, its keys or its records.
    let mut found = Vec::new();
    files(&project.path().join("decisions"), &mut found);
    assert!(found.len() >= 8, "{found:?}");
    for path in found {
        let bytes = fs::read(&path).unwrap();
        for secret in ["Ada-Lovelace", "Alan Turing", "Grace Hopper", "Leeds"] {
            let there = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!there, "{} holds {secret}", path.display());
        }
        for number in [2000.0_f64, 1.5] {
            let secret = number.to_bits().to_be_bytes();
            assert!(
                !bytes.windows(8).any(|window| window == secret),
                "{} holds {number}",
                path.display()
            );
        }
    }
}

#[test]
fn what_does_not_fit_or_hold_is_told() {
    let project = project();
    let record = "decision record decisions.jsonl --log decisions --endpoint loans.json";
    let error = |line: &str, status| {
        let words: Vec<_> = line.split_whitespace().collect();
        project.error(&words, status)
    };
    assert_eq!(error(record, 2)["code"], "CW1008");
    run(&project, &format!("{record} --origin loans.example/decisions"));
    let wrong = fs::read_to_string(project.path().join("decisions.jsonl"))
        .unwrap()
        .replace("0.32", "0.33");
    fs::write(project.path().join("wrong.jsonl"), wrong).unwrap();
    let told = error("decision record wrong.jsonl --log decisions", 2);
    assert_eq!(
        (&told["code"], &told["facts"]["line"]),
        (&"CW5201".into(), &"2".into())
    );
    assert_eq!(error("decision prove 0 --log decisions", 2)["code"], "CW5205");
    assert_eq!(
        error("decision disclose 1 --log decisions --field scroe --output x", 2)["code"],
        "CW1006"
    );
    assert_eq!(
        error(
            "decision erase --subject nobody --ground x --log decisions --yes",
            2
        )["code"],
        "CW5205"
    );
    assert_eq!(
        error(
            "decision disclose 1 --log decisions --all --output x --key dev-1",
            1
        )["code"],
        "CW2108"
    );
    run(
        &project,
        "decision disclose 1 --log decisions --all --parameters --output shown.json",
    );
    let verify = format!("decision verify shown.json --vkey {}", vkey(&project));
    let shown = run(&project, &verify);
    assert_eq!(
        (shown["contributions"].as_u64(), shown["recomputed"].as_u64()),
        (Some(2), Some(2))
    );
    let text = fs::read_to_string(project.path().join("shown.json"))
        .unwrap()
        .replace("\"1.5\"", "\"2.5\"");
    fs::write(project.path().join("shown.json"), text).unwrap();
    assert_eq!(error(&verify, 1)["code"], "CW5203");
}

#[test]
fn decisions_are_received_until_it_is_stopped() {
    let project = project();
    let port = free_port();
    let (server, url) = project.start(&[
        "decision",
        "serve",
        "--metrics",
        &format!("127.0.0.1:{port}"),
        "--log",
        "decisions",
        "--origin",
        "loans.example/decisions",
        "--endpoint",
        "loans.json",
        "--port",
        "0",
        "--delay",
        "5ms",
    ]);
    let line = fs::read_to_string(project.path().join("decisions.jsonl")).unwrap();
    let body = line.lines().next().unwrap();
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST /v1/decisions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("decision-receipt/v1"), "{answer}");
    // The profile and the decision.
    wait_for_metric(port, "cw_log_entries 2");
    drop(server);
    // It was killed, not asked: what it answered is there all the same.
    let recorded = run(&project, "decision record decisions.jsonl --log decisions");
    assert_eq!(recorded["first"], 2);
}
