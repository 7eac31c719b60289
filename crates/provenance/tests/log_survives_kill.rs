//! A process that appends is killed at any moment: nothing it acknowledged is lost, and no two of its checkpoints
//! disagree.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use counterweight_primitives::Sha256Digest;
use counterweight_provenance::log::{Log, note::NoteSigner};

const FOLDER: &str = "CW_TEST_LOG_FOLDER";

fn open(folder: &Path) -> Log {
    Log::open(
        folder,
        NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap(),
    )
    .unwrap()
}

fn batch(first: u64) -> Vec<Vec<u8>> {
    // Sizes that cross tiles now and then.
    (first..first + 1 + first * 7 % 90)
        .map(|i| format!("entry {i}").into_bytes())
        .collect()
}

/// Runs only in the process that the test below starts.
#[test]
fn append_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut log = open(Path::new(&folder));
    let mut out = std::io::stdout();
    loop {
        log.append(&batch(log.checkpoint().checkpoint().size)).unwrap();
        let tree = log.checkpoint().checkpoint();
        writeln!(out, "\nacknowledged {} {}", tree.size, tree.root).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged_and_forks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let long = std::env::var_os("CW_TEST_LONG").is_some();
    let mut acknowledged: Vec<(u64, Sha256Digest)> = Vec::new();
    for round in 0..if long { 200 } else { 12 } {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "append_until_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.map_while(Result::ok) {
            let Some(rest) = line.strip_prefix("acknowledged ") else {
                continue;
            };
            let (size, root) = rest.split_once(' ').unwrap();
            acknowledged.push((size.parse().unwrap(), root.parse().unwrap()));
            seen += 1;
            // The next append is under way by now.
            if seen == 1 + round % 5 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen > 0);

        let log = open(folder.path());
        let reader = log.reader();
        let checkpoint = reader.audit().unwrap();
        let size = checkpoint.checkpoint().size;
        for (old, root) in &acknowledged {
            reader.consistency(*old, root, &checkpoint).unwrap();
        }
        for (place, entry) in reader.entries(&checkpoint, 0, size).unwrap() {
            assert_eq!(entry, format!("entry {place}").into_bytes());
        }
    }
}
