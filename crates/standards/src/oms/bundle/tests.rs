use std::{collections::BTreeSet, fs, path::Path, sync::LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::oms::{Difference, FileHash, Selection};

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

/// A folder in which the two orders of names differ, with an empty file, a name that is not ASCII and git's own files.
fn model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("a/x", &b"1"[..]),
        ("a.b/y", b"2"),
        ("a-z", b"3"),
        ("é", b"4"),
        (".hidden", b""),
        (".git/config", b"not signed"),
        (".gitignore", b"not signed"),
        ("a/.gitignore", b"signed"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn selection(folder: &Path) -> Selection {
    Selection::for_signature(folder, &folder.join("model.sig"))
}

fn signed(folder: &Path) -> Vec<u8> {
    sign(&ModelFiles::read(folder, &selection(folder)).unwrap(), &key()).unwrap()
}

fn verify(bytes: &[u8]) -> Result<SignedFiles, OmsError> {
    UncheckedSignature::read(bytes)?.verify(&key().verifying_key())
}

/// Signs a changed statement, as somebody with the key could.
fn resigned(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut bundle: Value = serde_json::from_slice(bytes).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let mut statement: Value = serde_json::from_slice(&BASE64_STANDARD.decode(payload).unwrap()).unwrap();
    change(&mut statement);
    let payload = serde_json::to_vec(&statement).unwrap();
    bundle["dsseEnvelope"]["payload"] = json!(BASE64_STANDARD.encode(&payload));
    bundle["dsseEnvelope"]["signatures"][0]["sig"] =
        json!(BASE64_STANDARD.encode(key().sign(&pre_authentication(&payload))));
    serde_json::to_vec(&bundle).unwrap()
}

#[test]
fn what_was_signed_is_what_is_there() {
    let folder = model();
    let bytes = signed(folder.path());
    let signed_files = verify(&bytes).unwrap();
    let names: Vec<&str> = signed_files.files.keys().map(String::as_str).collect();
    assert_eq!(names, [".hidden", "a-z", "a.b/y", "a/.gitignore", "a/x", "é"]);
    fs::write(folder.path().join("model.sig"), &bytes).unwrap();
    let found = ModelFiles::read(folder.path(), &selection(folder.path()).as_signed(&signed_files)).unwrap();
    assert_eq!(signed_files.differences(&found), []);
    assert_eq!(
        Some(signed_files.name.as_str()),
        folder.path().file_name().unwrap().to_str()
    );
}

#[test]
fn files_hashed_with_blake3_are_compared_so() {
    let folder = model();
    let mut rules = selection(folder.path());
    rules.hash = FileHash::Blake3;
    let files = ModelFiles::read(folder.path(), &rules).unwrap();
    assert_eq!(files.files["a/x"], *blake3::hash(b"1").as_bytes());
    let signed_files = verify(&sign(&files, &key()).unwrap()).unwrap();
    fs::write(folder.path().join("a-z"), "other").unwrap();
    let found = ModelFiles::read(folder.path(), &selection(folder.path()).as_signed(&signed_files)).unwrap();
    let name = "a-z".to_owned();
    assert_eq!(signed_files.differences(&found), [Difference::Changed { name }]);
}

#[test]
fn the_same_model_has_one_signature() {
    let folder = model();
    assert_eq!(signed(folder.path()), signed(folder.path()));
}

#[test]
fn each_way_to_differ_is_told() {
    let folder = model();
    let signed_files = verify(&signed(folder.path())).unwrap();
    fs::write(folder.path().join("a-z"), "other").unwrap();
    fs::write(folder.path().join("new"), "").unwrap();
    fs::remove_file(folder.path().join("a/x")).unwrap();
    let rules = selection(folder.path()).as_signed(&signed_files);
    let name = |name: &str| name.to_owned();
    let found = ModelFiles::read(folder.path(), &rules).unwrap();
    let expected = [
        Difference::Changed { name: name("a-z") },
        Difference::Missing { name: name("a/x") },
        Difference::Unsigned { name: name("new") },
    ];
    assert_eq!(signed_files.differences(&found), expected);
    // Only what was signed is looked at: the new file is passed over, nothing else is.
    let only = Selection {
        only: Some(signed_files.files.keys().cloned().collect()),
        ..rules
    };
    let found = ModelFiles::read(folder.path(), &only).unwrap();
    assert_eq!(signed_files.differences(&found), expected[..2]);
}

#[test]
fn a_single_file_is_a_model_too() {
    let folder = model();
    let file = folder.path().join("a-z");
    let rules = Selection::for_signature(&file, &folder.path().join("a-z.sig"));
    let files = ModelFiles::read(&file, &rules).unwrap();
    let signed_files = verify(&sign(&files, &key()).unwrap()).unwrap();
    assert_eq!(signed_files.name, "a-z");
    assert_eq!(signed_files.differences(&files), []);
}

/// The tool lists by path components, the text by whole names: the subject's digest differs, and both are accepted.
#[test]
fn both_orders_of_names_are_accepted() {
    let folder = model();
    let bytes = signed(folder.path());
    let reordered = resigned(&bytes, |statement| {
        let resources = statement["predicate"]["resources"].as_array_mut().unwrap();
        resources.sort_by_key(|resource| {
            let name = resource["name"].as_str().unwrap();
            name.split('/').map(str::to_owned).collect::<Vec<_>>()
        });
        let digests: Vec<u8> = resources
            .iter()
            .flat_map(|resource| hex::decode(resource["digest"].as_str().unwrap()).unwrap())
            .collect();
        use sha2::{Digest as _, Sha256};
        statement["subject"][0]["digest"]["sha256"] = json!(hex::encode(Sha256::digest(digests)));
    });
    let (one, other) = (verify(&bytes).unwrap(), verify(&reordered).unwrap());
    assert_ne!(one.subject, other.subject);
    assert_eq!(one.files, other.files);
}

#[test]
fn links_are_refused_unless_they_are_followed() {
    let folder = model();
    std::os::unix::fs::symlink("a-z", folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink("a", folder.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("/nowhere", folder.path().join(".git/dangling")).unwrap();
    let mut rules = selection(folder.path());
    assert!(matches!(
        ModelFiles::read(folder.path(), &rules),
        Err(OmsError::SymbolicLink { .. })
    ));
    rules.follow_links = true;
    let files = ModelFiles::read(folder.path(), &rules).unwrap();
    assert_eq!(files.files["link"], files.files["a-z"]);
    assert!(!files.files.contains_key("folder/x"));
    assert!(verify(&sign(&files, &key()).unwrap()).unwrap().follow_links);
}

#[test]
fn another_key_is_told_apart_from_a_changed_signature() {
    let folder = model();
    let bytes = signed(folder.path());
    let other = SigningKey::from_bytes(&[8; 32]).unwrap().verifying_key();
    let unchecked = UncheckedSignature::read(&bytes).unwrap();
    assert!(matches!(unchecked.verify(&other), Err(OmsError::OtherKey { .. })));
    let mut bundle: Value = serde_json::from_slice(&bytes).unwrap();
    // Signatures of old have no hint: the key alone decides.
    bundle["verificationMaterial"]["publicKey"] = json!({});
    let bytes = serde_json::to_vec(&bundle).unwrap();
    assert!(verify(&bytes).is_ok());
    let unchecked = UncheckedSignature::read(&bytes).unwrap();
    assert!(matches!(unchecked.verify(&other), Err(OmsError::SignatureWrong)));
}

#[test]
fn statements_that_break_a_rule_are_refused_though_signed() {
    let folder = model();
    let bytes = signed(folder.path());
    let refused = |change: fn(&mut Value)| verify(&resigned(&bytes, change)).unwrap_err().to_string();
    for (change, said) in [
        ((|s| s["_type"] = json!("x")) as fn(&mut Value), "_type must be"),
        (|s| s["predicateType"] = json!("x"), "predicateType must be"),
        (
            |s| s["predicateType"] = json!("https://model_signing/Digests/v0.1"),
            "0.x",
        ),
        (|s| s["subject"] = json!([]), "one model"),
        (
            |s| s["subject"][0]["digest"]["sha256"] = json!("00"),
            "64 hexadecimal",
        ),
        (
            |s| s["subject"][0]["digest"]["sha256"] = json!("0".repeat(64)),
            "contradicts itself",
        ),
        (
            |s| s["predicate"]["serialization"]["method"] = json!("shards"),
            "method must be",
        ),
        (
            |s| s["predicate"]["serialization"]["hash_type"] = json!("md5"),
            "hash_type must be",
        ),
        (
            |s| s["predicate"]["serialization"]["hash_type"] = json!("blake3"),
            "algorithm must be",
        ),
        (
            |s| s["predicate"]["resources"][0]["algorithm"] = json!("md5"),
            "algorithm must be",
        ),
        (
            |s| s["predicate"]["resources"][0]["name"] = json!("../a"),
            "cannot be signed",
        ),
        (
            |s| s["predicate"]["resources"][0]["name"] = json!("/etc/passwd"),
            "cannot be signed",
        ),
        (|s| s["predicate"]["resources"][0]["name"] = json!("a-z"), "twice"),
        (
            |s| s["predicate"]["resources"][0]["name"] = json!("a\u{0}"),
            "zero byte",
        ),
        (|s| s["predicate"]["resources"] = json!(7), "cannot be read"),
    ] {
        let got = refused(change);
        assert!(got.contains(said), "{got}");
    }
    // Members that a later version may add are no reason to refuse.
    assert!(verify(&resigned(&bytes, |s| s["predicate"]["later"] = json!(1))).is_ok());
}

#[test]
fn bundles_of_other_kinds_are_refused() {
    let folder = model();
    let bytes = signed(folder.path());
    let changed = |change: fn(&mut Value)| {
        let mut bundle: Value = serde_json::from_slice(&bytes).unwrap();
        change(&mut bundle);
        verify(&serde_json::to_vec(&bundle).unwrap())
            .unwrap_err()
            .to_string()
    };
    for (change, said) in [
        (
            (|b| b["mediaType"] = json!("text/html")) as fn(&mut Value),
            "mediaType must be",
        ),
        (
            |b| b["verificationMaterial"] = json!({"x509CertificateChain": {}}),
            "certificates",
        ),
        (
            |b| b["dsseEnvelope"]["payloadType"] = json!("x"),
            "payloadType must be",
        ),
        (
            |b| b["dsseEnvelope"]["payload"] = json!("%"),
            "payload must be base64",
        ),
        (|b| b["dsseEnvelope"]["signatures"] = json!([]), "one signature"),
        (
            |b| b["dsseEnvelope"]["signatures"][0]["sig"] = json!("AAAA"),
            "does not hold",
        ),
        (|b| b["dsseEnvelope"] = json!(null), "cannot be read"),
    ] {
        let got = changed(change);
        assert!(got.contains(said), "{got}");
    }
    assert!(UncheckedSignature::read(b"").is_err());
}

#[test]
fn what_is_ignored_is_said_in_the_signature() {
    let folder = model();
    let mut rules = selection(folder.path());
    rules.ignored.insert("a".to_owned());
    let files = ModelFiles::read(folder.path(), &rules).unwrap();
    let signed_files = verify(&sign(&files, &key()).unwrap()).unwrap();
    let ignored: BTreeSet<&str> = signed_files.ignored.iter().map(String::as_str).collect();
    assert_eq!(
        ignored,
        [
            ".git",
            ".gitattributes",
            ".github",
            ".gitignore",
            "a",
            "model.sig"
        ]
        .into()
    );
    assert!(!signed_files.files.contains_key("a/x"));
}

proptest! {
    /// No byte of the payload can be changed.
    #[test]
    fn a_flipped_bit_of_the_file_is_never_accepted_as_other_files(at in any::<prop::sample::Index>(), bit in 0..8) {
        static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| signed(model().path()));
        let bytes = &*SIGNED;
        let expected = verify(bytes).unwrap();
        let mut spoiled = bytes.clone();
        let at = at.index(bytes.len());
        spoiled[at] ^= 1_u8 << bit;
        // A bit of an unread member, such as `keyid`, may change nothing; what is read never does.
        if let Ok(read) = verify(&spoiled) {
            prop_assert_eq!(read.files, expected.files);
        }
    }
}
