//! A process that appends is killed at any moment: nothing it acknowledged is lost, and no two of its checkpoints
//! disagree.

use std::{io::Write, path::Path, time::Duration};

use counterweight_primitives::Sha256Digest;
use counterweight_provenance::log::{Log, note::NoteSigner, register::FileRegister};
use counterweight_testkit::{Victim, repetitions};

const FOLDER: &str = "CW_TEST_LOG_FOLDER";

/// With a register of its heads, so that it is killed between moving that and publishing too.
fn open(folder: &Path) -> Log {
    let signer = NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap();
    let register = FileRegister(folder.with_extension("head"));
    Log::open_registered(folder, signer, Box::new(register)).unwrap()
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
    let mut out = std::io::stderr();
    loop {
        log.append(&batch(log.checkpoint().checkpoint().size)).unwrap();
        let tree = log.checkpoint().checkpoint();
        writeln!(out, "acknowledged {} {}", tree.size, tree.root).unwrap();
    }
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged_and_forks_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("log");
    let mut acknowledged: Vec<(u64, Sha256Digest)> = Vec::new();
    for round in 0..repetitions(12, 250) {
        let victim = Victim::start("append_until_killed", FOLDER, &folder, "acknowledged ");
        // The next append is under way when it dies.
        let announced = victim.kill_after(1 + round as usize % 5, Duration::ZERO);
        acknowledged.extend(announced.iter().map(|line| {
            let (size, root) = line.split_once(' ').unwrap();
            (size.parse().unwrap(), root.parse().unwrap())
        }));

        let log = open(&folder);
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
