//! Bundles of a small study, spoilt in every way.

use std::{ffi::OsString, fs, path::Path, sync::LazyLock};

use counterweight_federated::audit::Verdict;
use counterweight_primitives::Address;
use counterweight_provenance::bundle::{Bundle, Subject};

use super::{BUNDLE_BYTES, Trusted, Verified, name, verify};
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

/// A copy of the example that is trained for one round.
fn study(folder: &Path) -> String {
    let project = folder.join("study");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer"),
        &project,
    );
    let config = project.join("counterweight.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen("rounds = 15", "rounds = 1", 1)).unwrap();
    project.to_str().unwrap().to_owned()
}

/// The bundle of the example's model.
static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let project = study(folder.path());
    let file = folder.path().join("model.bundle");
    run(&["cw", "--project", &project, "train"]);
    run(&[
        "cw",
        "--project",
        &project,
        "audit",
        "bundle",
        "tumour@1",
        "-o",
        file.to_str().unwrap(),
    ]);
    fs::read(file).unwrap()
});

/// The bundle of a decision: with its receipt, anchored, by a model that is registered nowhere; and the same without a chain.
static DECISION: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let project = study(folder.path());
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let profile = r#"{"endpoint": "loans", "model": "blake3:0101010101010101010101010101010101010101010101010101010101010101",
        "inputs": [{"name": "age", "type": "integer"}, {"name": "income", "type": "number"}], "outputs": [{"name": "score", "type": "number"}],
        "linear": {"explains": "score", "link": "identity", "bias": 1.0, "features": [{"input": "age", "weight": 2.0, "mean": 3.0}]}}"#;
    fs::write(place("loans.json"), profile).unwrap();
    let line = r#"{"subject": "Ada", "inputs": {"age": 5, "income": 7.5}, "outputs": {"score": 11.0}}"#;
    fs::write(place("new.jsonl"), format!("{line}\n")).unwrap();
    let (log, receipt) = (place("decisions"), place("receipt.json"));
    run(&[
        "cw",
        "decision",
        "record",
        &place("new.jsonl"),
        "--log",
        &log,
        "--origin",
        "example.com/decisions",
        "--endpoint",
        &place("loans.json"),
        "--receipts",
        &receipt,
    ]);
    run(&["cw", "--project", &project, "decision", "anchor", "--log", &log]);
    [
        (project.as_str(), "with"),
        (folder.path().to_str().unwrap(), "without"),
    ]
    .map(|(project, name)| {
        let file = place(name);
        run(&[
            "cw",
            "--project",
            project,
            "audit",
            "bundle",
            "--decision",
            "1",
            "--log",
            &log,
            "--field",
            "age",
            "--field",
            "score",
            "--parameters",
            "--receipt",
            &receipt,
            "-o",
            &file,
        ]);
        fs::read(file).unwrap()
    })
});

fn decode(bytes: &[u8]) -> Bundle {
    Bundle::decode(bytes, BUNDLE_BYTES).unwrap()
}

fn verdict(verified: &Verified) -> Verdict {
    verified.checks.iter().map(|check| check.verdict).max().unwrap()
}

/// What whoever made a bundle would give: the hash of its block, and its owner.
fn trust(bytes: &[u8]) -> Trusted {
    let bundle = decode(bytes);
    Trusted {
        block: bundle.chain.map(|point| point.hash),
        owner: match bundle.subject {
            Subject::Model { .. } => None,
            Subject::Decision { owner, .. } => Some(owner),
        },
    }
}

/// The good bundles that are spoilt below.
fn good() -> [&'static [u8]; 2] {
    [MODEL.as_slice(), DECISION[0].as_slice()]
}

#[test]
fn the_bundles_that_are_spoilt_below_hold() {
    for (good, assumed) in good().into_iter().zip([1, 2]) {
        let verified = verify(good, &trust(good));
        assert_eq!(verdict(&verified), Verdict::Yes, "{:?}", verified.checks);
        assert!(verified.assumed.is_empty());
        assert_eq!(verify(good, &Trusted::default()).assumed.len(), assumed);
    }
}

#[test]
fn a_decision_without_a_chain_is_checked_as_far_as_it_goes() {
    let verified = verify(&DECISION[1], &trust(&DECISION[1]));
    assert_eq!(verdict(&verified), Verdict::Unknown, "{:?}", verified.checks);
    let open: Vec<_> = verified
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Yes)
        .map(|check| check.check.as_str())
        .collect();
    assert_eq!(open, ["anchor"]);
    assert!(DECISION[1].len() < 32_768, "{} bytes", DECISION[1].len());
    for place in 0..DECISION[1].len() {
        let mut bytes = DECISION[1].clone();
        bytes[place] ^= 1 << (place % 8);
        assert_eq!(
            verdict(&verify(&bytes, &trust(&DECISION[1]))),
            Verdict::No,
            "byte {place}"
        );
    }
}

/// Each byte of the list and of every header; of what files hold, every byte with `CW_TEST_LONG` and some otherwise.
#[test]
fn no_flipped_byte_gives_a_yes() {
    let long = std::env::var_os("CW_TEST_LONG").is_some();
    for good in good() {
        let trusted = trust(good);
        let list = 512 + good[512..].iter().position(|byte| *byte == 0).unwrap();
        let mut bytes = good.to_vec();
        let mut flipped = 0;
        for place in 0..bytes.len() {
            let header = bytes[place - place % 512..].get(257..262) == Some(b"ustar");
            if !(long || place < list || header || place % 211 == 0) {
                continue;
            }
            bytes[place] ^= 1 << (place % 8);
            let found = verdict(&verify(&bytes, &trusted));
            assert_ne!(found, Verdict::Yes, "byte {place} of {}", bytes.len());
            bytes[place] ^= 1 << (place % 8);
            flipped += 1;
        }
        assert!(flipped > list);
    }
}

/// The same with a list that fits: whoever spoils a file can write the list anew.
#[test]
fn no_file_can_be_missing_or_another() {
    for bytes in good() {
        let (good, trusted) = (decode(bytes), trust(bytes));
        let found = |bundle: &Bundle| verify(&bundle.encode().unwrap(), &trusted);
        for (gone, _) in good.files() {
            let mut less = Bundle::new(good.subject.clone(), good.chain.clone());
            let mut other = less.clone();
            for (name, bytes) in good.files() {
                let mut spoilt = bytes.to_vec();
                if name == gone {
                    let middle = spoilt.len() / 2;
                    spoilt[middle] ^= 1;
                } else {
                    less.put(name, bytes.to_vec()).unwrap();
                }
                other.put(name, spoilt).unwrap();
            }
            let without = found(&less);
            if gone == name::RECEIPT {
                // Nobody need have a receipt, and what is not there is said.
                assert_eq!(verdict(&without), Verdict::Yes);
                assert!(without.missing.iter().any(|missing| missing.contains("receipt")));
            } else {
                assert_ne!(verdict(&without), Verdict::Yes, "without {gone}");
            }
            assert_ne!(verdict(&found(&other)), Verdict::Yes, "with another {gone}");
        }
    }
}

#[test]
fn nothing_can_be_added() {
    for bytes in good() {
        let model = matches!(decode(bytes).subject, Subject::Model { .. });
        let more = [
            "notes",
            "blobs/00",
            "log/other",
            "chain/headers2",
            "exports/other.md",
            "decision/other",
        ];
        for added in more.into_iter().chain(model.then_some(name::RECEIPT)) {
            let mut more = decode(bytes);
            more.put(added, b"anything".to_vec()).unwrap();
            let found = verify(&more.encode().unwrap(), &trust(bytes));
            assert_eq!(verdict(&found), Verdict::No, "{added}");
        }
    }
}

/// A bundle that says it is about another entry, log or owner than its files are.
#[test]
fn a_decision_is_the_one_that_is_named() {
    let good = decode(&DECISION[0]);
    let Subject::Decision { index, origin, owner } = good.subject.clone() else {
        panic!("a decision");
    };
    let other = Address([7; 20]);
    for (index, origin, owner) in [
        (index + 1, origin.clone(), owner),
        (index, "example.com/other".to_owned(), owner),
        (index, origin.clone(), other),
    ] {
        let mut named = good.clone();
        named.subject = Subject::Decision { index, origin, owner };
        let found = verify(&named.encode().unwrap(), &Trusted::default());
        assert_ne!(verdict(&found), Verdict::Yes);
    }
    let trusted = Trusted {
        owner: Some(other),
        ..trust(&DECISION[0])
    };
    assert_eq!(verdict(&verify(&DECISION[0], &trusted)), Verdict::No);
}

/// A chain of one's own making answers whatever it likes: only its last hash tells.
#[test]
fn another_chain_is_told_by_its_hash() {
    for bytes in good() {
        let good = decode(bytes);
        let mut shorter = Bundle::new(good.subject.clone(), good.chain.clone());
        for (name, bytes) in good.files() {
            let kept = if name == name::HEADERS {
                &bytes[..bytes.len() / 2]
            } else {
                bytes
            };
            shorter.put(name, kept.to_vec()).unwrap();
        }
        let found = |bundle: &Bundle| verdict(&verify(&bundle.encode().unwrap(), &Trusted::default()));
        assert_eq!(found(&shorter), Verdict::No);
        let mut named = good.clone();
        named.chain.as_mut().unwrap().hash = format!("0x{}", "11".repeat(32));
        assert_eq!(found(&named), Verdict::No);
        named.chain = good.chain;
        named.chain.as_mut().unwrap().id = 1;
        assert_eq!(found(&named), Verdict::No);
        named.chain = None;
        assert_ne!(found(&named), Verdict::Yes, "a chain cannot be left out");
    }
}
