//! Bundles of a small study, spoilt in every way.

use std::{ffi::OsString, fs, path::Path, sync::LazyLock};

use counterweight_federated::audit::Verdict;
use counterweight_provenance::bundle::Bundle;

use super::{BUNDLE_BYTES, Verified, name, verify};
use crate::{
    arguments::{Arguments, Parsed, parse},
    commands::{self, Context},
    output::{ColorChoice, Console, Form, Loudness, Surface},
};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if !entry.file_type().unwrap().is_dir() {
            fs::copy(entry.path(), target).unwrap();
        } else if entry.file_name() != ".counterweight" {
            copy(&entry.path(), &target);
        }
    }
}

fn run(words: &[&str]) {
    let words = words.iter().map(OsString::from).collect::<Vec<_>>();
    let Ok(Parsed::Run(arguments)) = parse(words, false) else {
        panic!("a command line");
    };
    let Arguments { global, command } = *arguments;
    let surface = Surface::stdout(ColorChoice::Never);
    let context = Context {
        global,
        console: Console::new(Surface::stderr(ColorChoice::Never), Loudness::Quiet),
        form: Form::Json,
        surface,
    };
    if let Err(error) = commands::run(command.as_ref(), &context) {
        panic!("{}", error.to_json());
    }
}

/// The bundle of the example's model, trained for one round.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("study");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer"),
        &project,
    );
    let config = project.join("counterweight.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen("rounds = 15", "rounds = 1", 1)).unwrap();
    let (project, file) = (project.to_str().unwrap(), folder.path().join("model.bundle"));
    run(&["cw", "--project", project, "train"]);
    run(&[
        "cw",
        "--project",
        project,
        "audit",
        "bundle",
        "tumour@1",
        "-o",
        file.to_str().unwrap(),
    ]);
    fs::read(file).unwrap()
});

fn good() -> Bundle {
    Bundle::decode(&GOOD, BUNDLE_BYTES).unwrap()
}

fn verdict(verified: &Verified) -> Verdict {
    verified.checks.iter().map(|check| check.verdict).max().unwrap()
}

/// What is found under the hash that the good bundle has.
fn found(bytes: &[u8]) -> Verdict {
    verdict(&verify(bytes, Some(&good().chain.hash)))
}

#[test]
fn the_bundle_that_is_spoilt_below_holds() {
    let verified = verify(&GOOD, Some(&good().chain.hash));
    assert_eq!(verdict(&verified), Verdict::Yes, "{:?}", verified.checks);
    assert!(verified.assumed.is_empty());
    assert_eq!(verify(&GOOD, None).assumed.len(), 1);
}

/// Each byte of the list and of every header; of what files hold, every byte with `CW_TEST_LONG` and some otherwise.
#[test]
fn no_flipped_byte_gives_a_yes() {
    let long = std::env::var_os("CW_TEST_LONG").is_some();
    let list = 512 + GOOD[512..].iter().position(|byte| *byte == 0).unwrap();
    let mut bytes = GOOD.clone();
    let mut flipped = 0;
    for place in 0..bytes.len() {
        let header = bytes[place - place % 512..].get(257..262) == Some(b"ustar");
        if !(long || place < list || header || place % 211 == 0) {
            continue;
        }
        bytes[place] ^= 1 << (place % 8);
        assert_ne!(found(&bytes), Verdict::Yes, "byte {place} of {}", bytes.len());
        bytes[place] ^= 1 << (place % 8);
        flipped += 1;
    }
    assert!(flipped > list);
}

/// The same with a list that fits: whoever spoils a file can write the list anew.
#[test]
fn no_file_can_be_missing_or_another() {
    for (gone, _) in good().files() {
        let mut less = Bundle::new(good().subject, good().chain);
        let mut other = less.clone();
        for (name, bytes) in good().files() {
            let mut spoilt = bytes.to_vec();
            if name == gone {
                let middle = spoilt.len() / 2;
                spoilt[middle] ^= 1;
            } else {
                less.put(name, bytes.to_vec()).unwrap();
            }
            other.put(name, spoilt).unwrap();
        }
        assert_ne!(found(&less.encode().unwrap()), Verdict::Yes, "without {gone}");
        assert_ne!(
            found(&other.encode().unwrap()),
            Verdict::Yes,
            "with another {gone}"
        );
    }
}

#[test]
fn nothing_can_be_added() {
    for added in ["notes", "blobs/00", "log/other", "chain/headers2"] {
        let mut more = good();
        more.put(added, b"anything".to_vec()).unwrap();
        assert_eq!(found(&more.encode().unwrap()), Verdict::No, "{added}");
    }
}

/// A chain of one's own making answers whatever it likes: only its last hash tells.
#[test]
fn another_chain_is_told_by_its_hash() {
    let mut shorter = Bundle::new(good().subject, good().chain);
    for (name, bytes) in good().files() {
        let kept = if name == name::HEADERS {
            &bytes[..bytes.len() / 2]
        } else {
            bytes
        };
        shorter.put(name, kept.to_vec()).unwrap();
    }
    assert_eq!(found(&shorter.encode().unwrap()), Verdict::No);
    let mut named = good();
    named.chain.hash = format!("0x{}", "11".repeat(32));
    assert_eq!(verdict(&verify(&named.encode().unwrap(), None)), Verdict::No);
    named.chain = good().chain;
    named.chain.id = 1;
    assert_eq!(verdict(&verify(&named.encode().unwrap(), None)), Verdict::No);
}
