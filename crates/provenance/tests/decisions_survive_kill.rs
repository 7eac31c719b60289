//! A process that records decisions and erases subjects is killed at any moment: nothing it acknowledged is lost, nothing
//! erased comes back, the log does not fork, and every receipt it gave can be proven.

use std::{io::Write, path::Path, sync::Arc, time::Duration};

use counterweight_primitives::{ContentDigest, Sha256Digest, UnixMillis, UnixSeconds};
use counterweight_provenance::{
    decision::{
        Decision, DecisionBook, DecisionError, Field, Profile, Role, SecretKey, Trust, UncheckedDisclosure,
        Value, ValueType,
        entry::{EntryKind, Flags},
        receipt::{UncheckedDecisionReceipt, sign_all},
    },
    ledger::LogId,
    log::note::NoteSigner,
    signature::{MemorySigner, Signer as _},
};
use counterweight_testkit::{Victim, repetitions};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

const FOLDER: &str = "CW_TEST_DECISIONS_FOLDER";
const ORIGIN: &str = "example.com/decisions";

fn open(folder: &Path) -> DecisionBook {
    let signer = NoteSigner::from_secret(ORIGIN, &[7; 32]).unwrap();
    // Seeded by the clock: two processes that reused a random number would hide a key that is used twice.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&now.as_nanos().to_le_bytes());
    DecisionBook::open(
        folder,
        signer,
        SecretKey::new([3; 32]),
        Box::new(ChaCha20Rng::from_seed(seed)),
    )
    .unwrap()
}

fn profile(book: &mut DecisionBook) -> Arc<Profile> {
    let field = |name: &str, role| Field {
        name: name.to_owned(),
        role,
        kind: ValueType::Integer,
    };
    let fields = vec![field("question", Role::Input), field("answer", Role::Output)];
    let profile = Profile::new("kill.example", ContentDigest([1; 32]), None, fields, None).unwrap();
    book.add_profile(profile).unwrap()
}

fn owner() -> MemorySigner {
    MemorySigner::from_secret(&[5; 32]).unwrap()
}

/// What is recorded at a number of the endpoint: whoever looks at it later knows what it must be.
fn decision(number: u64) -> Decision {
    Decision {
        subject: format!("subject {}", number % 50),
        time: UnixMillis(number),
        flags: Flags::default(),
        values: vec![Value::Integer(number as i64), Value::Integer(-(number as i64))],
    }
}

/// Runs only in the process that the test below starts.
#[test]
fn record_and_erase_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut book = open(Path::new(&folder));
    let profile = profile(&mut book);
    let mut out = std::io::stderr();
    let mut next = book.next_number("kill.example");
    loop {
        let size = 1 + next * 7 % 40;
        let batch: Vec<_> = (next..next + size)
            .map(|n| profile.check(decision(n)).unwrap())
            .collect();
        let recorded = book.record(&batch).unwrap();
        let promises: Vec<_> = recorded
            .iter()
            .map(|r| r.promise(LogId::of_origin(ORIGIN), UnixSeconds(1)))
            .collect();
        for receipt in sign_all(ORIGIN, &promises, &owner()).unwrap() {
            writeln!(
                out,
                "acknowledged {}",
                String::from_utf8(receipt.encode().unwrap()).unwrap()
            )
            .unwrap();
        }
        next += size;
        if next % 4 != 3 {
            let subject = format!("subject {}", next % 50);
            writeln!(out, "acknowledged begun {} before {next}", next % 50).unwrap();
            match book.erase(&[&subject], "test", UnixMillis(next)) {
                Ok(_) => writeln!(out, "acknowledged erased {} before {next}", next % 50).unwrap(),
                Err(DecisionError::UnknownSubject) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Kills of one log: each looks at all that came before, so that many logs take less time than a long one.
const KILLS: u64 = 12;

#[test]
fn a_killed_recorder_loses_nothing_and_every_receipt_stays_provable() {
    let kills = repetitions(KILLS, 500);
    for first in (0..kills).step_by(KILLS as usize) {
        kill_again_and_again(first..kills.min(first + KILLS));
    }
}

fn kill_again_and_again(rounds: std::ops::Range<u64>) {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("decisions");
    let mut receipts = Vec::new();
    let mut heads: Vec<(u64, Sha256Digest)> = Vec::new();
    let mut erasures = Erasures {
        begun: [0; 50],
        done: [0; 50],
    };
    let many = rounds.end - rounds.start >= KILLS;
    for round in rounds {
        let victim = Victim::start("record_and_erase_until_killed", FOLDER, &folder, "acknowledged ");
        // Somewhere in the batch or erasure that comes next.
        let delay = Duration::from_micros(round * 7919 % 9000);
        let mut fresh = Vec::new();
        for line in victim.kill_after(1 + round as usize * 13 % 120, delay) {
            let parse = |line: &str| {
                let (subject, before) = line.split_once(" before ").unwrap();
                (subject.parse::<usize>().unwrap(), before.parse().unwrap())
            };
            if let Some(line) = line.strip_prefix("begun ") {
                let (subject, before) = parse(line);
                erasures.begun[subject] = before;
            } else if let Some(line) = line.strip_prefix("erased ") {
                let (subject, before) = parse(line);
                erasures.done[subject] = before;
            } else {
                fresh.push(UncheckedDecisionReceipt::decode(line.as_bytes()).unwrap());
            }
        }
        let book = open(&folder);
        let checkpoint = book.check().unwrap();
        let tree = checkpoint.checkpoint();
        for (size, root) in &heads {
            book.log().reader().consistency(*size, root, &checkpoint).unwrap();
        }
        heads.push((tree.size, tree.root));
        let fresh: Vec<_> = fresh
            .into_iter()
            .map(|r| r.verify(owner().address()).unwrap())
            .collect();
        // Of earlier rounds a few: all of them are looked at in the end.
        let checked = fresh.iter().chain(receipts.iter().rev().step_by(97).take(20));
        for receipt in checked {
            check(&book, receipt, &erasures);
        }
        receipts.extend(fresh);
        // Every number once, in the order of the log.
        let entries = book.log().reader().entries(&checkpoint, 0, tree.size).unwrap();
        let numbers = entries.iter().filter_map(|(_, bytes)| {
            let entry = counterweight_provenance::decision::entry::DecisionEntry::decode(bytes)?;
            match entry.kind {
                EntryKind::Decision { counter } => Some(counter),
                EntryKind::Explanation { .. } | EntryKind::Correction { .. } => None,
            }
        });
        assert!(numbers.eq(0..book.next_number("kill.example")));
    }
    let book = open(&folder);
    for receipt in &receipts {
        check(&book, receipt, &erasures);
    }
    let erased = erasures.done.iter().any(|before| *before > 0);
    assert!(erased || !many, "some were erased");
}

/// For each subject the number below which what is about them was erased, acknowledged or only begun.
struct Erasures {
    begun: [u64; 50],
    done: [u64; 50],
}

/// A receipt is kept: its leaf is in the log at its place, and its decision opens unless its subject was erased.
fn check(
    book: &DecisionBook,
    receipt: &counterweight_provenance::decision::receipt::DecisionReceipt,
    erasures: &Erasures,
) {
    let promise = receipt.promise();
    let (entry, proof) = book.prove(promise.index).unwrap();
    assert_eq!(proof.index(), promise.index);
    let leaf = counterweight_provenance::log::tree::leaf_hash(&entry.encode());
    assert_eq!(leaf, promise.leaf);
    let counter = promise.counter;
    assert_eq!(entry.kind, EntryKind::Decision { counter });
    let shown = book.disclose(promise.index, |_| true, false);
    let subject = (counter % 50) as usize;
    match shown {
        Ok(bytes) => {
            assert!(counter >= erasures.done[subject], "number {counter} was erased");
            let key = NoteSigner::from_secret(ORIGIN, &[7; 32]).unwrap();
            let shown = UncheckedDisclosure::decode(&bytes).unwrap();
            let shown = shown.verify(Trust::Key(key.verifier())).unwrap();
            let values: Vec<_> = shown.shown().map(|(_, value)| value.clone()).collect();
            assert_eq!(values, decision(counter).values);
        }
        // An erasure that was under way when the process died may have happened without being acknowledged.
        Err(DecisionError::Erased { .. }) => {
            assert!(
                counter < erasures.begun[subject],
                "number {counter} was not erased"
            );
        }
        Err(error) => panic!("{error}"),
    }
}
