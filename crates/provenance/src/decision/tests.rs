//! Decisions recorded, shown, erased, in one folder on disk.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterweight_primitives::UnixMillis;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    profile::tests::{loan, loans},
    *,
};
use crate::log::{note::NoteSigner, receipt::UncheckedReceipt};

pub(super) fn signer() -> NoteSigner {
    NoteSigner::from_secret("example.com/decisions", &[7; 32]).unwrap()
}

pub(super) fn open(folder: &Path, seed: u8) -> DecisionBook {
    let random = Box::new(ChaCha20Rng::from_seed([seed; 32]));
    DecisionBook::open(folder, signer(), SecretKey::new([3; 32]), random).unwrap()
}

/// Adds the profile that the decisions below are made under.
pub(super) fn with_loans(book: &mut DecisionBook) -> Arc<Profile> {
    let profile = Arc::into_inner(loans()).unwrap();
    book.add_profile(profile).unwrap()
}

fn batch(profile: &Arc<Profile>, subjects: &[&str], ages: std::ops::Range<i64>) -> Vec<CheckedDecision> {
    let subjects = subjects.iter().cycle();
    ages.zip(subjects)
        .map(|(age, subject)| profile.check(loan(subject, age)).unwrap())
        .collect()
}

fn verify(bytes: &[u8]) -> Result<Disclosure, DisclosureError> {
    UncheckedDisclosure::decode(bytes)?.verify(Trust::Key(signer().verifier()))
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
fn chosen_fields_of_a_decision_are_shown_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path(), 1);
    let profile = with_loans(&mut book);
    let recorded = book
        .record(&batch(&profile, &["Ada Lovelace", "Robert Kahn"], 30..40))
        .unwrap();
    assert_eq!(recorded.len(), 10);
    let index = recorded[4].index;
    let chosen = Chosen::new(["score".to_owned(), "contribution:income".to_owned()]);
    let bytes = book.disclose(index, |field| chosen.has(field), false).unwrap();
    let shown = verify(&bytes).unwrap();
    let names: Vec<_> = shown
        .shown()
        .map(|(field, _)| (field.role, field.name.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            (Role::Output, "score"),
            (Role::Base, "score"),
            (Role::Contribution, "income")
        ]
    );
    assert_eq!((shown.receipt().index(), shown.hidden()), (index, 6));
    assert_eq!(shown.entry(), &recorded[4].entry);
    let text = String::from_utf8(bytes).unwrap();
    for hidden in ["employer of Ada", "1234.5", "\"34\"", "Ada Lovelace"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}

#[test]
fn an_auditor_recomputes_the_explanation() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path(), 1);
    let profile = with_loans(&mut book);
    let recorded = book.record(&batch(&profile, &["Ada Lovelace"], 30..31)).unwrap();
    let show = |parameters| book.disclose(recorded[0].index, |_| true, parameters).unwrap();
    assert_eq!(verify(&show(true)).unwrap().contributions(), (2, 2));
    assert_eq!(verify(&show(false)).unwrap().contributions(), (2, 0));
    let text = String::from_utf8(show(true)).unwrap();
    let other = text.replace("\\\"0.02\\\"", "\\\"0.03\\\"");
    assert_ne!(text, other);
    assert!(matches!(
        verify(other.as_bytes()),
        Err(DisclosureError::Profile(_))
    ));
}

#[test]
fn a_disclosure_with_anything_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path(), 1);
    let profile = with_loans(&mut book);
    book.record(&batch(&profile, &["Ada Lovelace", "Robert Kahn"], 30..40))
        .unwrap();
    let bytes = book
        .disclose(3, |field| field.role == Role::Output, true)
        .unwrap();
    verify(&bytes).unwrap();
    let mut accepted = Vec::new();
    for place in 0..bytes.len() {
        let mut spoiled = bytes.clone();
        spoiled[place] ^= 1;
        if verify(&spoiled).is_ok() {
            accepted.push(place);
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
    let text = String::from_utf8(bytes).unwrap();
    let field = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        verify(text.replacen(from, to, 1).as_bytes()).unwrap_err()
    };
    assert!(matches!(
        field("[{\"digest\"", "[{\"digest\":\"00\"},{\"digest\""),
        DisclosureError::FieldCount { .. }
    ));
    assert!(matches!(
        field("disclosure/v1", "disclosure/v2"),
        DisclosureError::Format { .. }
    ));
    let other = NoteSigner::from_secret("example.com/decisions", &[8; 32]).unwrap();
    let stranger = UncheckedDisclosure::decode(text.as_bytes())
        .unwrap()
        .verify(Trust::Key(other.verifier()));
    assert!(matches!(stranger, Err(DisclosureError::Proof(_))));
}

#[test]
fn numbers_of_an_endpoint_have_no_gaps_whoever_opens_the_book() {
    let folder = tempfile::tempdir().unwrap();
    let mut numbers = Vec::new();
    for round in 0..4 {
        let mut book = open(folder.path(), round);
        let profile = with_loans(&mut book);
        let recorded = book.record(&batch(&profile, &["Ada Lovelace"], 0..3)).unwrap();
        numbers.extend(recorded.iter().map(|r| match r.entry.kind {
            entry::EntryKind::Decision { counter } => counter,
            _ => u64::MAX,
        }));
        assert!(book.record(&[]).unwrap().is_empty());
        book.check().unwrap();
    }
    assert!(numbers.into_iter().eq(0..12));
}

#[test]
fn a_correction_replaces_a_decision_once_and_both_stay_provable() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path(), 1);
    let profile = with_loans(&mut book);
    let people = ["Ada Lovelace", "Robert Kahn"];
    let recorded = book.record(&batch(&profile, &people, 30..34)).unwrap();
    let first = recorded[0].index;
    let [correct, other] = [40..41, 41..42].map(|ages| batch(&profile, &people[..1], ages).remove(0));
    let stranger = batch(&profile, &["Robert Kahn"], 40..41).remove(0);
    assert!(matches!(
        book.correct(first, &stranger),
        Err(DecisionError::NotCorrected { newer: None, .. })
    ));
    assert!(
        matches!(book.correct(0, &correct), Err(DecisionError::NoDecision { .. })),
        "a profile"
    );
    assert_eq!(book.replaced_by(first).unwrap(), None);
    let corrected = book.correct(first, &correct).unwrap();
    assert_eq!(
        corrected.entry.kind,
        entry::EntryKind::Correction { replaces: first }
    );
    assert_eq!(book.replaced_by(first).unwrap(), Some(corrected.index));
    // Once: what comes later replaces the correction.
    assert!(matches!(
        book.correct(first, &other),
        Err(DecisionError::NotCorrected { newer: Some(newer), .. }) if newer == corrected.index
    ));
    let again = book.correct(corrected.index, &other).unwrap();
    assert_eq!(book.replaced_by(corrected.index).unwrap(), Some(again.index));
    // It takes no number, and opens as any decision does; what it replaces opens too.
    assert_eq!(book.next_number(profile.endpoint()), 4);
    for index in [first, corrected.index, again.index] {
        verify(&book.disclose(index, |_| true, true).unwrap()).unwrap();
    }
    assert_eq!(book.decisions_about("Ada Lovelace").unwrap().len(), 4);
    drop(book);
    let mut book = open(folder.path(), 2);
    book.check().unwrap();
    book.erase(&["Ada Lovelace"], "asked", UnixMillis(7)).unwrap();
    for index in [first, corrected.index, again.index] {
        assert!(matches!(
            book.disclose(index, |_| true, true),
            Err(DecisionError::Erased { .. })
        ));
        book.prove(index).unwrap();
    }
    assert!(matches!(
        book.correct(again.index, &other),
        Err(DecisionError::NotCorrected { .. })
    ));
}

#[test]
fn what_a_crash_left_before_the_log_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path(), 1);
    let profile = with_loans(&mut book);
    book.record(&batch(&profile, &["Ada Lovelace"], 0..3)).unwrap();
    drop(book);
    let sealed: Vec<_> = {
        let mut found = Vec::new();
        files(&folder.path().join("sealed"), &mut found);
        found
    };
    let whole = fs::read(&sealed[0]).unwrap();
    // A frame of a batch whose entries never got to the log: the first frame again, at another place.
    let mut twice = whole.clone();
    let mut again = whole.clone();
    again[11] = 4;
    twice.extend(&again);
    fs::write(&sealed[0], &twice).unwrap();
    let mut book = open(folder.path(), 2);
    let recorded = book.record(&batch(&profile, &["Robert Kahn"], 5..6)).unwrap();
    assert_eq!(recorded[0].entry.kind, entry::EntryKind::Decision { counter: 3 });
    book.disclose(recorded[0].index, |_| true, true).unwrap();
    drop(book);
    // Damage to what was acknowledged is told, and nothing is cut off.
    let mut spoiled = fs::read(&sealed[0]).unwrap();
    spoiled[0] ^= 1;
    fs::write(&sealed[0], &spoiled).unwrap();
    let random = Box::new(ChaCha20Rng::from_seed([1; 32]));
    let opened = DecisionBook::open(folder.path(), signer(), SecretKey::new([3; 32]), random);
    assert!(matches!(
        opened,
        Err(DecisionError::Segments(SegmentError::Damaged { .. }))
    ));
    assert_eq!(fs::read(&sealed[0]).unwrap(), spoiled);
}

#[test]
fn after_an_erasure_no_file_opens_and_every_proof_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = open(folder.path(), 1);
    let profile = with_loans(&mut book);
    let recorded = book
        .record(&batch(
            &profile,
            &["Ada Lovelace", "Robert Kahn", "Cyd Charisse"],
            30..60,
        ))
        .unwrap();
    let about: Vec<u64> = book.decisions_about("Robert Kahn").unwrap();
    assert_eq!(about.len(), 10);
    let (key, wrapped) = book.secrets_of("Robert Kahn");
    let before: Vec<_> = recorded.iter().map(|r| book.prove(r.index).unwrap()).collect();
    let kept = book.disclose(about[0], |_| true, true).unwrap();
    let (at, erasure) = book
        .erase(&["Robert Kahn"], "GDPR 17(1)(b)", UnixMillis(5))
        .unwrap();
    assert_eq!((erasure.subjects, erasure.decisions), (1, 10));
    let check = |book: &DecisionBook| {
        for (recorded, (entry, receipt)) in recorded.iter().zip(&before) {
            let shown = book.disclose(recorded.index, |_| true, false);
            if about.contains(&recorded.index) {
                assert!(matches!(shown, Err(DecisionError::Erased { .. })));
            } else {
                verify(&shown.unwrap()).unwrap();
            }
            // Proofs from before hold, and new ones are made.
            assert_eq!(book.prove(recorded.index).unwrap().0, *entry);
            let old = UncheckedReceipt::from_text(&receipt.to_text()).unwrap();
            old.verify(&entry.encode(), signer().verifier()).unwrap();
        }
        assert!(matches!(
            book.decisions_about("Robert Kahn"),
            Err(DecisionError::UnknownSubject)
        ));
        let said = book
            .log()
            .reader()
            .entries(book.log().checkpoint(), at, 1)
            .unwrap();
        assert_eq!(Erasure::decode(&said[0].1).unwrap(), erasure);
        book.check().unwrap();
    };
    check(&book);
    drop(book);
    check(&open(folder.path(), 9));
    // Whoever kept a disclosure still has it.
    verify(&kept).unwrap();
    // Neither name, nor values, nor the key, wrapped or not, in any file; and what is sealed opens under no key that is there.
    let mut found = Vec::new();
    files(folder.path(), &mut found);
    let secrets: [&[u8]; 6] = [
        b"Robert Kahn",
        b"Ada Lovelace",
        b"employer",
        &1234.5_f64.to_bits().to_be_bytes(),
        &key,
        &wrapped,
    ];
    for path in &found {
        let bytes = fs::read(path).unwrap();
        for secret in secrets {
            let is_profile = path
                .components()
                .any(|part| part.as_os_str() == "profiles" || part.as_os_str() == "log");
            // The profile names its fields.
            if secret == b"employer" && is_profile {
                continue;
            }
            let there = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!there, "{} holds {secret:02x?}", path.display());
        }
    }
    assert!(found.len() > 6);
}

#[test]
fn a_decision_of_trees_is_explained_when_asked_and_anybody_computes_it_again() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/tree-shap.json");
    let vectors: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let model = case["model"].as_str().unwrap();
        let ensemble = TreeEnsemble::read(model).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut book = open(folder.path(), 1);
        let field = |name: &str, role| profile::tests::field(name, role, ValueType::Number);
        let mut fields: Vec<_> = ensemble
            .features()
            .iter()
            .map(|name| field(name, Role::Input))
            .collect();
        fields.push(field("score", Role::Output));
        let model_id = counterweight_primitives::ContentDigest([4; 32]);
        let profile = Profile::of_trees("trees.example", model_id, None, fields, ensemble.digest()).unwrap();
        let profile = book.add_profile(profile).unwrap();
        let row = &case["rows"][0];
        let mut values: Vec<f64> = row["x"]
            .as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect();
        let raw = ensemble.raw(&values).unwrap();
        values.push(match ensemble.link() {
            Link::Identity => raw,
            Link::Logistic => 1.0 / (1.0 + libm::exp(-raw)),
        });
        let decision = |values: &[f64]| {
            let decision = Decision {
                subject: "Ada Lovelace".to_owned(),
                time: UnixMillis(5),
                flags: entry::Flags::default(),
                values: values.iter().copied().map(Value::Number).collect(),
            };
            profile.check(decision).unwrap()
        };
        let mut wrong = values.clone();
        *wrong.last_mut().unwrap() += 0.01;
        let recorded = book.record(&[decision(&values), decision(&wrong)]).unwrap();
        let index = recorded[0].index;
        let explained = book.explain(index, &ensemble, UnixMillis(6)).unwrap();
        assert_eq!(
            explained.entry.kind,
            entry::EntryKind::Explanation { decision: index }
        );
        assert!(matches!(
            book.explain(recorded[1].index, &ensemble, UnixMillis(6)),
            Err(DecisionError::Inaccurate { .. })
        ));
        let bytes = book
            .disclose_explained(index, |_| true, explained.index, model)
            .unwrap();
        let shown = verify(&bytes).unwrap();
        assert_eq!(shown.contributions(), (6, 6));
        assert_eq!(shown.explanation_index(), Some(explained.index));
        // Without the inputs the contributions are shown, and nobody can compute them.
        let bytes = book
            .disclose_explained(index, |field| field.role != Role::Input, explained.index, model)
            .unwrap();
        assert_eq!(verify(&bytes).unwrap().contributions(), (6, 0));
        let text = String::from_utf8(bytes)
            .unwrap()
            .replace("leaf_count=", "leaf_count=1");
        assert!(matches!(
            verify(text.as_bytes()),
            Err(DisclosureError::Parameters)
        ));
        // Erased with its subject.
        book.erase(&["Ada Lovelace"], "asked", UnixMillis(7)).unwrap();
        let gone = book.disclose_explained(index, |_| true, explained.index, model);
        assert!(matches!(gone, Err(DecisionError::Erased { .. })));
        book.prove(explained.index).unwrap();
    }
}
