//! A witness and a log that asks it.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;
use crate::log::{Log, note::NoteSigner};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

struct Direct<'a>(&'a Witness);

impl WitnessTransport for Direct<'_> {
    type Error = Infallible;

    fn add_checkpoint(&self, body: &str) -> Result<WitnessAnswer, Infallible> {
        Ok(match self.0.add_checkpoint(body, NOW) {
            Ok(lines) => WitnessAnswer {
                status: 200,
                body: lines.iter().map(|line| format!("{line}\n")).collect(),
            },
            Err(WitnessRefusal::Conflict { current }) => WitnessAnswer {
                status: 409,
                body: format!("{current}\n"),
            },
            Err(refusal) => WitnessAnswer {
                status: refusal.status(),
                body: refusal.to_string(),
            },
        })
    }
}

fn signer() -> NoteSigner {
    NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap()
}

fn cosigners() -> Vec<Cosigner> {
    vec![
        Cosigner::ed25519("witness.example", &[1; 32]).unwrap(),
        Cosigner::ml_dsa_44("witness.example", &[2; 32]).unwrap(),
    ]
}

fn open(folder: &Path) -> Witness {
    Witness::open(folder, cosigners(), [signer().verifier().clone()]).unwrap()
}

fn log_of(folder: &Path, size: u64, word: &str) -> Log {
    let mut log = Log::open(folder, signer()).unwrap();
    let entries: Vec<_> = (0..size).map(|i| format!("{word} {i}")).collect();
    log.append(&entries).unwrap();
    log
}

/// A request that the witness would grant.
fn request(log: &Log, old: u64) -> AddCheckpoint {
    AddCheckpoint {
        old_size: old,
        proof: log.reader().growth(old, log.checkpoint()).unwrap(),
        checkpoint: Note::parse(log.checkpoint().note()).unwrap(),
    }
}

#[test]
fn a_growing_log_is_cosigned_with_every_key() {
    let folder = tempfile::tempdir().unwrap();
    let witness = open(&folder.path().join("witness"));
    let mut log = log_of(&folder.path().join("log"), 5, "entry");
    let mut seen = 0;
    for more in [0, 300, 1] {
        let entries: Vec<_> = (0..more).map(|i| format!("more {i}")).collect();
        log.append(&entries).unwrap();
        for cosigner in cosigners() {
            let lines = request_cosignatures(
                &Direct(&witness),
                cosigner.key(),
                &log.reader(),
                log.checkpoint(),
                seen,
            )
            .unwrap();
            assert_eq!(lines.len(), 1);
            log.add_signatures(&lines).unwrap();
            let note = Note::parse(log.checkpoint().note()).unwrap();
            assert_eq!(cosigner.key().find(&note), Ok(Some(NOW)));
        }
        seen = log.checkpoint().checkpoint().size;
        let kept = witness.checkpoint(&Sha256Digest::of(b"example.com/log")).unwrap();
        let kept = SignedCheckpoint::verify(&kept.unwrap(), signer().verifier()).unwrap();
        assert_eq!(kept.checkpoint(), log.checkpoint().checkpoint());
    }
    // The cosignatures are on disk, and a log that is opened anew keeps them.
    let note = log.checkpoint().note().to_owned();
    drop(log);
    let log = Log::open(folder.path().join("log"), signer()).unwrap();
    assert_eq!(log.checkpoint().note(), note);
    assert_eq!(Note::parse(&note).unwrap().signatures().len(), 3);
}

#[test]
fn a_log_that_forgot_what_the_witness_saw_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let witness = open(&folder.path().join("witness"));
    let mut log = log_of(&folder.path().join("log"), 5, "entry");
    let key = cosigners()[0].key().clone();
    let ask = |log: &Log, seen| {
        request_cosignatures(&Direct(&witness), &key, &log.reader(), log.checkpoint(), seen)
    };
    ask(&log, 0).unwrap();
    log.append(&["more"]).unwrap();
    // It remembers 5 and is asked from 0, then from 5.
    ask(&log, 0).unwrap();
    let stale = request(&log, 0).to_text();
    let refusal = witness.add_checkpoint(&stale, NOW).unwrap_err();
    assert!(matches!(refusal, WitnessRefusal::Conflict { current: 6 }));
    assert_eq!(refusal.status(), 409);
}

#[test]
fn a_second_history_is_never_cosigned() {
    let folder = tempfile::tempdir().unwrap();
    let witness = open(&folder.path().join("witness"));
    let log = log_of(&folder.path().join("log"), 5, "entry");
    witness.add_checkpoint(&request(&log, 0).to_text(), NOW).unwrap();
    for size in [5, 6, 300] {
        let fork = log_of(&folder.path().join(size.to_string()), size, "other");
        let refusal = witness
            .add_checkpoint(&request(&fork, 5).to_text(), NOW)
            .unwrap_err();
        assert!(matches!(refusal, WitnessRefusal::Inconsistent), "{refusal}");
        assert_eq!(refusal.status(), 422);
    }
    // Also not after a restart.
    drop(witness);
    let witness = open(&folder.path().join("witness"));
    let fork = folder.path().join("6");
    let fork = Log::open(fork, signer()).unwrap();
    assert!(witness.add_checkpoint(&request(&fork, 5).to_text(), NOW).is_err());
    let refusal = witness
        .add_checkpoint(&request(&fork, 0).to_text(), NOW)
        .unwrap_err();
    assert!(matches!(refusal, WitnessRefusal::Conflict { current: 5 }));
}

#[test]
fn every_wrong_request_has_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let witness = open(&folder.path().join("witness"));
    let log = log_of(&folder.path().join("log"), 5, "entry");
    let good = request(&log, 0);
    let status = |text: &str| witness.add_checkpoint(text, NOW).unwrap_err().status();
    let text = good.to_text();
    for (from, to) in [
        ("old 0", "old 00"),
        ("old 0", "old"),
        ("old 0", "new 0"),
        ("old 0\n\n", "old 0\n*\n\n"),
        ("old 0\n\n", "old 0\nAAAA\n\n"),
        ("old 0\n\n", "old 0\n"),
        ("\n5\n", "\nfive\n"),
    ] {
        assert_eq!(status(&text.replacen(from, to, 1)), 400, "{from} to {to}");
    }
    let many = vec!["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; 64].join("\n");
    assert_eq!(
        status(&text.replacen("old 0\n", &format!("old 0\n{many}\n"), 1)),
        400
    );
    assert_eq!(status(&text.replacen("old 0", "old 6", 1)), 400);
    assert_eq!(status(&text.replace("example.com/log", "example.com/gol")), 404);
    assert_eq!(status(&text.replacen("\n5\n", "\n6\n", 1)), 403);
    let mut proof = good.clone();
    proof.proof.push(Sha256Digest([1; 32]));
    assert_eq!(status(&proof.to_text()), 422);
    let unsigned = text.replace("\u{2014} example.com/log ", "\u{2014} stranger.example ");
    assert_eq!(status(&unsigned), 403);
    // Nothing of all this was remembered.
    witness.add_checkpoint(&text, NOW).unwrap();
}

#[test]
fn damage_is_not_taken_for_a_new_log() {
    let folder = tempfile::tempdir().unwrap();
    let witness = open(&folder.path().join("witness"));
    let log = log_of(&folder.path().join("log"), 5, "entry");
    let text = request(&log, 0).to_text();
    witness.add_checkpoint(&text, NOW).unwrap();
    let path = checkpoint_path(&folder.path().join("witness"), "example.com/log");
    for damage in [
        "",
        "example.com/gol\n5\n",
        "example.com/log\nx\n\n\u{2014} a AAAAAA==\n",
    ] {
        fs::write(&path, damage).unwrap();
        assert_eq!(witness.add_checkpoint(&text, NOW).unwrap_err().status(), 500);
    }
    assert!(Witness::open(folder.path().join("witness"), cosigners(), []).is_err());
}

proptest! {
    #[test]
    fn requests_read_back_and_no_text_makes_the_reader_panic(text: String, old: u64, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..63)) {
        let _ = AddCheckpoint::from_text(&text);
        let _ = AddCheckpoint::from_text(&format!("old {old}\n{text}\n\n{text}"));
        let folder = tempfile::tempdir().unwrap();
        let log = log_of(folder.path(), 1, "entry");
        let request = AddCheckpoint {
            old_size: old,
            proof: hashes.into_iter().map(Sha256Digest).collect(),
            checkpoint: Note::parse(log.checkpoint().note()).unwrap(),
        };
        prop_assert_eq!(AddCheckpoint::from_text(&request.to_text()), Some(request));
    }
}
