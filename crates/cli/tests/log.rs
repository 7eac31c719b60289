//! `cw log`: from an append to a check from afar and a cosignature.

mod support;

use std::fs;

use support::{Project, free_port, wait_for_metric};

#[test]
fn a_log_is_written_proved_checked_served_and_witnessed() {
    let project = Project::new();
    for name in ["a", "b", "c"] {
        fs::write(project.path().join(name), format!("entry {name}")).unwrap();
    }
    assert_eq!(
        project.error(&["log", "append", "a", "--log", "mine"], 2)["code"],
        "CW1008"
    );
    let origin = ["--log", "mine", "--origin", "example.com/log"];
    let appended = project.json(&[&["log", "append", "a", "b"][..], &origin].concat());
    assert_eq!(
        (appended["first"].as_u64(), appended["size"].as_u64()),
        (Some(0), Some(2))
    );
    // Whoever looked before and goes on from there is told that somebody else was faster.
    assert_eq!(
        project.error(&["log", "append", "c", "--log", "mine", "--at", "1"], 3)["code"],
        "CW1013"
    );
    project.json(&["log", "append", "c", "--log", "mine", "--at", "2"]);

    let unseen = project
        .run(&["log", "prove", "1", "--log", "mine"])
        .ends(0)
        .stdout;
    let proof = unseen.as_str();
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\nindex 1\n"), "{proof}");
    let checkpoint = fs::read_to_string(project.path().join("mine/checkpoint")).unwrap();
    assert!(proof.ends_with(&checkpoint));
    // The log's own signature, and the one for contracts.
    assert_eq!(checkpoint.matches("\u{2014} example.com/log ").count(), 2);
    assert_eq!(
        project.error(&["log", "prove", "3", "--log", "mine"], 2)["code"],
        "CW1006"
    );

    let key = fs::read_to_string(project.path().join("mine.pub")).unwrap();
    let key = key.lines().next().unwrap().to_owned();
    let port = free_port();
    let metrics = format!("127.0.0.1:{port}");
    let serve = [
        "log",
        "serve",
        "--log",
        "mine",
        "--port",
        "0",
        "--metrics",
        &metrics,
    ];
    let (_server, url) = project.start(&serve);
    wait_for_metric(port, "cw_log_entries 3");
    let afar = ["log", "fsck", "--url", url.as_str(), "--vkey", key.as_str()];
    assert_eq!(project.json(&afar)["size"], 3);

    let witness = [
        "log",
        "witness",
        "start",
        "--name",
        "example.com/witness",
        "--data",
        "seen",
        "--port",
        "0",
        "--watch",
        key.as_str(),
        "--json",
        "--key",
        "dev-3",
    ];
    let (_witness, line) = project.start(&witness);
    let started: serde_json::Value = serde_json::from_str(&line).unwrap();
    let (witness_url, witness_key) = (
        started["url"].as_str().unwrap().to_owned(),
        started["vkey"].as_str().unwrap().to_owned(),
    );
    let ask = |log: &str| {
        let ask = [
            "log",
            "witness",
            "ask",
            &witness_url,
            "--witness",
            &witness_key,
            "--log",
            log,
        ];
        project.run(&ask)
    };
    ask("mine").ends(0);
    let checkpoint = fs::read_to_string(project.path().join("mine/checkpoint")).unwrap();
    assert_eq!(checkpoint.matches("\u{2014} example.com/witness ").count(), 1);
    // The proof holds offline, for whoever trusts the log and the witness; and for that entry only.
    let seen = project
        .run(&["log", "prove", "1", "--log", "mine"])
        .ends(0)
        .stdout;
    fs::write(project.path().join("proof"), seen).unwrap();
    let policy = format!("log {key}\nwitness w {witness_key}\nquorum w\n");
    fs::write(project.path().join("policy"), &policy).unwrap();
    let verify =
        |entry: &str| project.run(&["log", "verify", "proof", "--entry", entry, "--policy", "policy"]);
    let yes = verify("b").ends(0).stdout;
    assert_eq!(yes, "yes  entry 1 of 3 in example.com/log, cosigned by w\n");
    verify("a").ends(1);
    // A checkpoint that the witness has not seen.
    fs::write(project.path().join("proof"), &unseen).unwrap();
    verify("b").ends(1);
    // Another history under the same name and key is not cosigned.
    project.json(&[
        "log",
        "append",
        "b",
        "a",
        "c",
        "--log",
        "fork",
        "--origin",
        "example.com/log",
    ]);
    ask("fork").ends(3);

    let tile = project.path().join("mine/tile/entries/000.p/3");
    let mut bytes = fs::read(&tile).unwrap();
    bytes[3] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let told = project.run(&["log", "fsck", "--log", "mine"]).ends(1).stdout;
    assert_eq!(
        told,
        "no   tile/entries/000.p/3: entry 0 is not the one in the tree\n"
    );
    project.run(&afar).ends(1);
}
