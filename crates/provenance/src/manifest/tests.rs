use counterweight_primitives::{Address, AssetId, MemberIndex, Ppm, Round, StudyId};
use serde_json::{Value, json};

use super::*;
use crate::{ledger::Parent, purpose::PurposeSet};

fn digest(text: &str) -> ContentDigest {
    ContentDigest::of(text.as_bytes())
}

fn dataset() -> Manifest {
    Manifest::Dataset(DatasetManifest {
        name: "clinic-a".to_owned(),
        description: "Biopsies.\nOne row for each.".to_owned(),
        content: ContentRef {
            digest: digest("rows"),
            size: 1234,
        },
        rows: 120,
        columns: vec![
            Column {
                name: "radius".to_owned(),
                kind: ColumnKind::Number,
                role: ColumnRole::Feature,
            },
            Column {
                name: "malignant".to_owned(),
                kind: ColumnKind::Category,
                role: ColumnRole::Target,
            },
        ],
        licence: "CC-BY-4.0".to_owned(),
        purposes: PurposeSet::from_names(["research", "quality-improvement"]).unwrap(),
        steward: Address([0xaa; 20]),
    })
}

fn run() -> Manifest {
    let member = |dataset: u64, share| RunMember {
        account: Address([dataset as u8; 20]),
        dataset: AssetId(dataset),
        manifest: digest("manifest"),
        consent_epoch: 1,
        contribution: Ppm::new(share).unwrap(),
    };
    let update = |member, aggregated| RunUpdate {
        member: MemberIndex(member),
        update: digest(&format!("update {member}")),
        aggregated,
    };
    Manifest::Run(RunManifest {
        chain: 31_337,
        contract: Address([0xbb; 20]),
        study: StudyId(1),
        terms: digest("terms"),
        members: vec![member(1, 600_000), member(2, 400_000)],
        rounds: vec![
            RunRound {
                round: Round(1),
                base: digest("base"),
                updates: vec![update(0, true), update(1, true)],
                result: digest("first"),
            },
            RunRound {
                round: Round(2),
                base: digest("first"),
                updates: vec![update(0, true), update(1, false)],
                result: digest("second"),
            },
        ],
        evidence: digest("evidence"),
        result: digest("second"),
    })
}

fn model() -> Manifest {
    let parent = |id, share| Parent {
        asset: AssetId(id),
        share: Ppm::new(share).unwrap(),
    };
    Manifest::Model(ModelManifest {
        name: "breast-cancer".to_owned(),
        content: ContentRef {
            digest: digest("second"),
            size: 456,
        },
        architecture: Architecture {
            family: "logistic-regression".to_owned(),
            parameters: 31,
            settings: [("classes".to_owned(), "2".to_owned())].into(),
        },
        run: Some(run().digest().unwrap()),
        parents: vec![parent(1, 180_000), parent(2, 120_000)],
        metrics: vec![Metric {
            name: "accuracy".to_owned(),
            data: "hold-out".to_owned(),
            rows: 114,
            value: "0.9561".parse().unwrap(),
        }],
        licence: "Apache-2.0".to_owned(),
        purposes: PurposeSet::from_names(["research"]).unwrap(),
        card: "# Breast cancer\n".to_owned(),
    })
}

fn collection() -> Manifest {
    Manifest::Collection(CollectionManifest {
        name: "clinics 9 to 16".to_owned(),
        study: Some(StudyId(1)),
        run: None,
        parents: vec![Parent {
            asset: AssetId(9),
            share: Ppm::WHOLE,
        }],
    })
}

fn all() -> [(&'static str, Manifest); 4] {
    [
        ("dataset", dataset()),
        ("run", run()),
        ("model", model()),
        ("collection", collection()),
    ]
}

/// `CW_WRITE_FIXTURES=1 cargo test -p counterweight-provenance` writes the files anew. When one changes, manifests that
/// are registered on chains no longer read: make a new version of the format.
#[test]
fn stored_forms_are_pinned() {
    for (name, manifest) in all() {
        let path = format!("{}/fixtures/{name}-v1.json", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("CW_WRITE_FIXTURES").is_some() {
            std::fs::write(&path, manifest.encode().unwrap()).unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest, "{name}");
        assert_eq!(manifest.encode().unwrap(), bytes, "{name}");
    }
}

/// Spoils one thing in an otherwise valid manifest and gives the complaint.
fn spoil(manifest: &Manifest, change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::to_value(manifest).unwrap();
    change(&mut value);
    let error = Manifest::decode(&to_canonical_json(&value).unwrap()).unwrap_err();
    match &error {
        ManifestError::Encoding(source) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

#[test]
fn unknown_formats_fields_and_types_are_refused() {
    for (name, manifest) in all() {
        for change in [
            |v: &mut Value| v["format"] = json!("counterweight/dataset/v2"),
            |v: &mut Value| v["extra"] = json!(1),
            |v: &mut Value| drop(v.as_object_mut().unwrap().remove("format")),
        ] {
            assert!(spoil(&manifest, change).starts_with("not a manifest"), "{name}");
        }
    }
    for field in [
        "name",
        "content",
        "rows",
        "columns",
        "licence",
        "purposes",
        "steward",
        "description",
    ] {
        assert!(
            spoil(&dataset(), |v| v[field] = Value::Null).starts_with("not a manifest"),
            "{field}"
        );
    }
    // An absent field and `null` mean the same to serde; only one form has the digest.
    assert!(spoil(&collection(), |v| v["run"] = Value::Null).contains("canonical"));
    let bytes = model().encode().unwrap();
    assert!(Manifest::decode(&[&bytes[..], b" "].concat()).is_err());
    assert!(Manifest::decode(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn each_rule_of_a_dataset_names_its_field() {
    let check = |change: fn(&mut Value), complaint: &str| assert_eq!(spoil(&dataset(), change), complaint);
    check(|v| v["name"] = json!(""), "name must have 1 to 128 bytes, not 0");
    check(
        |v| v["name"] = json!("a\nb"),
        "name must not start or end with a space or hold a control character",
    );
    check(
        |v| v["columns"][1]["name"] = json!("radius"),
        "columns[1].name must not repeat \"radius\"",
    );
    check(
        |v| v["description"] = json!("\u{1b}[31m"),
        "description must not hold a control character other than newline and tab",
    );
    assert!(spoil(&dataset(), |v| v["purposes"] = json!(["reserch"])).starts_with("not a manifest"));
    assert!(spoil(&dataset(), |v| v["columns"][0]["kind"] = json!("tensor")).starts_with("not a manifest"));
    let columns: Vec<_> = (0..4097)
        .map(|i| json!({"name": i.to_string(), "kind": "text", "role": "ignored"}))
        .collect();
    let complaint = spoil(&dataset(), |v| v["columns"] = json!(columns));
    assert_eq!(complaint, "columns must have at most 4096 items, not 4097");
}

#[test]
fn each_rule_of_a_run_names_its_field() {
    let check = |change: fn(&mut Value), complaint: &str| assert_eq!(spoil(&run(), change), complaint);
    check(
        |v| v["rounds"][1]["round"] = json!(3),
        "rounds[1].round must be 2, not 3",
    );
    check(
        |v| v["rounds"][0]["updates"][1]["member"] = json!(0),
        "rounds[0].updates must be in strictly ascending order of member",
    );
    check(
        |v| v["rounds"][0]["updates"][1]["member"] = json!(2),
        "rounds[0].updates must name members of this run",
    );
    check(
        |v| v["result"] = v["evidence"].clone(),
        "result must be the result of the last round",
    );
    let first = digest("first");
    assert_eq!(
        spoil(&run(), |v| v["rounds"][1]["base"] = v["evidence"].clone()),
        format!("rounds[1].base must be the result before it, {first}")
    );
    check(
        |v| v["members"][0]["contribution"] = json!(600_001),
        "members must contribute at most 1000000 together, not 1000001",
    );
    assert!(spoil(&run(), |v| v["members"][0]["contribution"] = json!(1_000_001)).starts_with("not a"));
}

#[test]
fn each_rule_of_parents_holds_for_models_and_collections() {
    let check = |change: fn(&mut Value), complaint: &str| assert_eq!(spoil(&model(), change), complaint);
    check(
        |v| v["parents"][1]["asset"] = json!(1),
        "parents must be in strictly ascending order of asset",
    );
    check(
        |v| v["parents"][0]["share"] = json!(880_001),
        "parents must have shares of at most 1000000 together, not 1000001",
    );
    let parents: Vec<_> = (1..=9).map(|i| json!({"asset": i, "share": 0})).collect();
    let complaint = spoil(&model(), |v| v["parents"] = json!(parents));
    assert_eq!(complaint, "parents must have at most 8 items, not 9");
    assert_eq!(
        spoil(&collection(), |v| v["parents"] = json!([])),
        "parents must not be empty"
    );
    assert!(spoil(&model(), |v| v["metrics"][0]["value"] = json!("0.50")).starts_with("not a manifest"));
    assert!(spoil(&model(), |v| v["metrics"][0]["value"] = json!("NaN")).starts_with("not a manifest"));
}

#[test]
fn another_manifest_than_the_registered_one_is_refused() {
    let bytes = model().encode().unwrap();
    let expected = model().digest().unwrap();
    assert_eq!(Manifest::decode_expected(&bytes, &expected).unwrap(), model());
    let other = Manifest::decode_expected(&bytes, &digest("other"));
    assert!(matches!(other, Err(ManifestError::Digest { got, .. }) if got == expected));
}
