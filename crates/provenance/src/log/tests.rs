//! Writer and reader together, on real folders.

use std::{fs, path::Path};

use counterweight_primitives::Sha256Digest;
use proptest::prelude::*;

use super::{
    Log, LogError, LogReader, ReadError,
    note::{Checkpoint, NoteSigner},
    proof::{ProofError, verify_consistency, verify_inclusion},
    receipt::UncheckedReceipt,
    tree::{Frontier, leaf_hash},
};

const ORIGIN: &str = "example.com/log";

fn signer() -> NoteSigner {
    NoteSigner::from_secret(ORIGIN, &[7; 32]).unwrap()
}

fn open(folder: &Path) -> Result<Log, LogError> {
    Log::open(folder, signer())
}

fn entries(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(|i| format!("entry {i}").into_bytes()).collect()
}

/// Root by appending leaf hashes one by one.
fn expected_root(size: u64) -> Sha256Digest {
    let mut frontier = Frontier::default();
    entries(0..size)
        .iter()
        .for_each(|entry| frontier.push(leaf_hash(entry)));
    frontier.root()
}

fn log_of(size: u64) -> (tempfile::TempDir, LogReader) {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path()).unwrap();
    log.append(&entries(0..size)).unwrap();
    let reader = log.reader();
    (folder, reader)
}

/// What is anchored is a beginning of the log, whose newest checkpoint may be larger.
#[test]
fn any_beginning_can_be_anchored_and_proven_in() {
    let (_folder, reader) = log_of(600);
    let checkpoint = reader.checkpoint().unwrap();
    for (old, size) in [(0, 1), (1, 256), (255, 512), (300, 599), (512, 600), (600, 600)] {
        let (root, proof) = reader
            .anchor(old, &expected_root(old), size, &checkpoint)
            .unwrap();
        assert_eq!(root, expected_root(size), "{size}");
        verify_consistency(old, &expected_root(old), size, &root, &proof).unwrap();
        for index in [0, size / 2, size - 1] {
            let (leaf, path) = reader.inclusion_at(index, size, &checkpoint).unwrap();
            assert_eq!(leaf, leaf_hash(format!("entry {index}").as_bytes()));
            verify_inclusion(&root, size, index, &leaf, &path).unwrap();
        }
        assert!(reader.inclusion_at(size, size, &checkpoint).is_err());
    }
    let refused = |old, root: &Sha256Digest, size| reader.anchor(old, root, size, &checkpoint).is_err();
    assert!(refused(0, &expected_root(0), 601), "beyond the log");
    assert!(refused(300, &expected_root(300), 299), "shrunk");
    assert!(refused(300, &expected_root(299), 600), "another history");
}

#[test]
fn tile_boundaries_are_crossed_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut size = 0;
    for next in [0, 1, 2, 255, 256, 257, 511, 512, 600] {
        // Opened anew each time, so that the edge is read from the files.
        let mut log = open(folder.path()).unwrap();
        assert_eq!(log.append(&entries(size..next)).unwrap(), size);
        size = next;
        let checkpoint = log.reader().audit().unwrap();
        assert_eq!(checkpoint.checkpoint().size, size);
        assert_eq!(checkpoint.checkpoint().root, expected_root(size), "size {size}");
        for index in 0..size {
            let (entry, receipt) = log.reader().receipt(&checkpoint, index).unwrap();
            assert_eq!(entry, format!("entry {index}").as_bytes());
            assert_eq!(receipt.index(), index);
        }
    }
}

#[test]
fn a_third_level_begins_after_65_536_entries() {
    let size = 65_536 + 300;
    let (folder, reader) = log_of(size);
    let mut log = open(folder.path()).unwrap();
    let old = log.checkpoint().clone();
    assert_eq!(old.checkpoint().root, expected_root(size));
    for path in [
        "tile/0/256",
        "tile/0/257.p/44",
        "tile/1/000",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/entries/256",
        "tile/entries/257.p/44",
    ] {
        assert!(folder.path().join(path).is_file(), "{path}");
    }
    log.append(&entries(size..size + 1)).unwrap();
    let new = reader.audit().unwrap();
    for index in [0, 255, 256, 65_535, 65_536, size - 1, size] {
        let (entry, receipt) = reader.receipt(&new, index).unwrap();
        let text = receipt.to_text();
        UncheckedReceipt::from_text(&text)
            .unwrap()
            .verify(&entry, signer().verifier())
            .unwrap();
    }
    reader.consistency(size, &old.checkpoint().root, &new).unwrap();
    reader.consistency(65_536, &expected_root(65_536), &new).unwrap();
    let error = reader
        .consistency(65_536, &expected_root(65_535), &new)
        .unwrap_err();
    assert!(matches!(error, ReadError::Proof(ProofError::Root { .. })));
}

#[test]
fn one_process_appends_while_others_read() {
    let (folder, reader) = log_of(3);
    let log = open(folder.path()).unwrap();
    assert!(matches!(open(folder.path()), Err(LogError::Locked { .. })));
    assert_eq!(reader.checkpoint().unwrap(), *log.checkpoint());
    drop(log);
    open(folder.path()).unwrap();
}

#[test]
fn an_old_checkpoint_can_be_read_after_its_partial_tiles_are_gone() {
    let (folder, reader) = log_of(200);
    let old = reader.checkpoint().unwrap();
    open(folder.path()).unwrap().append(&entries(200..256)).unwrap();
    assert!(!folder.path().join("tile/0/000.p").exists());
    assert_eq!(reader.receipt(&old, 199).unwrap().0, b"entry 199");
    let read: Vec<u64> = reader
        .entries(&old, 198, 10)
        .unwrap()
        .into_iter()
        .map(|(i, _)| i)
        .collect();
    assert_eq!(read, [198, 199]);
    let error = reader.receipt(&old, 200).unwrap_err();
    assert!(matches!(
        error,
        ReadError::Proof(ProofError::BeyondTree {
            index: 200,
            size: 200
        })
    ));
}

#[test]
fn an_entry_too_long_leaves_the_log_as_it_was() {
    let (folder, _) = log_of(1);
    let mut log = open(folder.path()).unwrap();
    let error = log.append(&[vec![0; 65_535], vec![0; 65_536]]).unwrap_err();
    assert!(matches!(
        error,
        LogError::EntryTooLong {
            position: 1,
            got: 65_536
        }
    ));
    assert_eq!(log.append(&[vec![0; 65_535]]).unwrap(), 1);
    assert_eq!(log.append::<Vec<u8>>(&[]).unwrap(), 2);
    log.reader().audit().unwrap();
}

/// Flips a bit in the last byte of one file of an otherwise sound log and gives what an audit says.
fn audit_after_spoiling(size: u64, file: &str) -> ReadError {
    let (folder, reader) = log_of(size);
    reader.audit().unwrap();
    let path = folder.path().join(file);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    reader.audit().unwrap_err()
}

#[test]
fn an_audit_names_the_spoiled_file() {
    let named = |error: ReadError| match error {
        ReadError::Tile { name, .. } => name,
        error => panic!("{error}"),
    };
    assert_eq!(named(audit_after_spoiling(600, "tile/0/001")), "tile/0/001");
    assert_eq!(
        named(audit_after_spoiling(600, "tile/0/002.p/88")),
        "tile/0/002.p/88"
    );
    assert_eq!(
        named(audit_after_spoiling(600, "tile/1/000.p/2")),
        "tile/1/000.p/2"
    );
    // A changed entry no longer has the hash in its tile.
    assert_eq!(named(audit_after_spoiling(600, "tile/entries/001")), "tile/0/001");
    assert!(matches!(
        audit_after_spoiling(600, "checkpoint"),
        ReadError::Checkpoint(_)
    ));
}

#[test]
fn missing_and_cut_files_are_named() {
    let (folder, reader) = log_of(300);
    let path = folder.path().join("tile/0/000");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let ReadError::Tile { name, .. } = reader.audit().unwrap_err() else {
        panic!()
    };
    assert_eq!(name, "tile/0/000");
    fs::remove_file(&path).unwrap();
    assert!(matches!(reader.audit().unwrap_err(), ReadError::Io { path: p, .. } if p == path));
}

#[test]
fn an_unsound_edge_is_not_appended_to() {
    for file in [
        "checkpoint",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/001.p/44",
    ] {
        let (folder, _) = log_of(300);
        let path = folder.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(open(folder.path()), Err(LogError::Unsound(_))), "{file}");
    }
    let (folder, _) = log_of(300);
    fs::remove_file(folder.path().join("checkpoint")).unwrap();
    assert!(matches!(
        open(folder.path()),
        Err(LogError::CheckpointMissing { .. })
    ));
    let (folder, _) = log_of(300);
    let other = NoteSigner::from_secret(ORIGIN, &[8; 32]).unwrap();
    assert!(matches!(
        Log::open(folder.path(), other),
        Err(LogError::Unsound(ReadError::Checkpoint(_)))
    ));
}

/// What a crash can leave behind: tiles of a tree that was never signed, and a temporary file.
#[test]
fn leftovers_of_a_crash_before_signing_are_overwritten() {
    let (folder, reader) = log_of(255);
    for file in ["tile/0/000", "tile/entries/000", "tile/1/000.p/1", "temporary"] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "leftover").unwrap();
    }
    let mut log = open(folder.path()).unwrap();
    log.append(&entries(255..257)).unwrap();
    assert_eq!(reader.audit().unwrap().checkpoint().root, expected_root(257));
}

/// Once its checkpoint is signed and synced, an append is completed rather than replaced by another tree.
#[test]
fn a_checkpoint_that_was_about_to_be_published_is_published() {
    let (folder, reader) = log_of(10);
    let old = fs::read(folder.path().join("checkpoint")).unwrap();
    open(folder.path()).unwrap().append(&entries(10..12)).unwrap();
    fs::rename(
        folder.path().join("checkpoint"),
        folder.path().join("checkpoint.next"),
    )
    .unwrap();
    fs::write(folder.path().join("checkpoint"), &old).unwrap();
    let log = open(folder.path()).unwrap();
    assert_eq!(log.checkpoint().checkpoint().size, 12);
    assert_eq!(reader.audit().unwrap().checkpoint().root, expected_root(12));
    drop(log);
    // One that is no newer would take the log back.
    fs::write(folder.path().join("checkpoint.next"), old).unwrap();
    assert_eq!(open(folder.path()).unwrap().checkpoint().checkpoint().size, 12);
}

#[test]
fn after_a_failed_write_the_log_must_be_opened_again() {
    let (folder, _) = log_of(10);
    let mut log = open(folder.path()).unwrap();
    let temporary = folder.path().join("temporary");
    fs::create_dir(&temporary).unwrap();
    assert!(matches!(log.append(&entries(10..11)), Err(LogError::Io { .. })));
    fs::remove_dir(&temporary).unwrap();
    assert!(matches!(log.append(&entries(10..11)), Err(LogError::Poisoned)));
    drop(log);
    let mut log = open(folder.path()).unwrap();
    log.append(&entries(10..11)).unwrap();
    assert_eq!(log.checkpoint().checkpoint().root, expected_root(11));
}

/// The stored form: the checkpoint of three entries by a known key.
#[test]
fn the_stored_form_is_the_one_on_its_page() {
    let (folder, reader) = log_of(3);
    let page = include_str!("../../../../docs/spec/log.md");
    let note = fs::read_to_string(folder.path().join("checkpoint")).unwrap();
    let key = signer().verifier().to_string();
    let checkpoint = reader.checkpoint().unwrap();
    let receipt = reader.receipt(&checkpoint, 2).unwrap().1.to_text();
    assert!(page.contains(&note), "{note}");
    assert!(page.contains(&key), "{key}");
    assert!(page.contains(&receipt), "{receipt}");
    let Checkpoint { origin, .. } = checkpoint.checkpoint();
    assert_eq!(origin, ORIGIN);
    let bundle = fs::read(folder.path().join("tile/entries/000.p/3")).unwrap();
    assert_eq!(bundle, b"\0\x07entry 0\0\x07entry 1\0\x07entry 2");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn how_entries_are_batched_leaves_no_trace(batches in proptest::collection::vec(0_u64..200, 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path()).unwrap();
        let mut size = 0;
        for batch in batches {
            let old = log.checkpoint().clone();
            log.append(&entries(size..size + batch)).unwrap();
            size += batch;
            let tree = old.checkpoint();
            log.reader().consistency(tree.size, &tree.root, log.checkpoint()).unwrap();
        }
        prop_assert_eq!(log.checkpoint().checkpoint().root, expected_root(size));
        log.reader().audit().unwrap();
    }
}
