//! What each export says about a hostile dossier; the tools of the formats judge real ones (`tests/standards`).

use std::collections::BTreeMap;

use counterweight_primitives::{
    Address, AssetId, ContentDigest, MemberIndex, Ppm, Round, Sha256Digest, StudyId, UnixSeconds,
};
use counterweight_provenance::{
    ledger::{Asset, AssetKind, AssetRecord, Parent},
    lineage::LineageGraph,
    manifest::{
        Architecture, Column, ColumnKind, ColumnRole, ContentRef, DatasetManifest, Manifest, Metric,
        ModelManifest, RunManifest, RunMember, RunRound, RunUpdate,
    },
    purpose::PurposeSet,
};
use serde_json::Value;

use super::*;

/// Ends a YAML text, a front matter, a table, a list and a link, and is a script.
const HOSTILE: &str = "x\"'--- : [a](javascript:1) |<script>alert(1)</script>`*_{}&#\u{2028}\u{202e}é";

fn digest(text: &str) -> ContentDigest {
    ContentDigest::of(text.as_bytes())
}

fn manifests() -> (Manifest, Manifest, RunManifest) {
    let content = |text: &str| ContentRef {
        digest: digest(text),
        size: text.len() as u64,
    };
    let research = PurposeSet::from_names(["research", "education"]).unwrap();
    let dataset = DatasetManifest {
        name: HOSTILE.to_owned(),
        description: format!("{HOSTILE}\n---\nlicense: mit\n"),
        content: content("rows"),
        rows: 12,
        columns: vec![Column {
            name: HOSTILE.to_owned(),
            kind: ColumnKind::Number,
            role: ColumnRole::Feature,
        }],
        licence: HOSTILE.to_owned(),
        purposes: research,
        steward: Address([1; 20]),
    };
    let run = RunManifest {
        chain: 31337,
        contract: Address([9; 20]),
        study: StudyId(1),
        terms: digest("terms"),
        members: vec![RunMember {
            account: Address([1; 20]),
            dataset: AssetId(1),
            manifest: digest("manifest"),
            consent_epoch: 1,
            contribution: Ppm::WHOLE,
        }],
        rounds: vec![RunRound {
            round: Round(1),
            base: digest("base"),
            updates: vec![RunUpdate {
                member: MemberIndex(0),
                update: digest("update"),
                aggregated: true,
            }],
            result: digest("weights"),
        }],
        evidence: digest("evidence"),
        result: digest("weights"),
    };
    let model = ModelManifest {
        name: HOSTILE.to_owned(),
        content: content("weights"),
        architecture: Architecture {
            family: HOSTILE.to_owned(),
            parameters: 31,
            settings: BTreeMap::from([(HOSTILE.to_owned(), HOSTILE.to_owned())]),
        },
        run: Some(Manifest::Run(run.clone()).digest().unwrap()),
        parents: vec![Parent {
            asset: AssetId(1),
            share: Ppm::WHOLE,
        }],
        metrics: vec![Metric {
            name: "accuracy".to_owned(),
            data: HOSTILE.to_owned(),
            rows: 5,
            value: "0.95".parse().unwrap(),
        }],
        licence: HOSTILE.to_owned(),
        purposes: research,
        card: format!("# {HOSTILE}\n---\n"),
    };
    (Manifest::Dataset(dataset), Manifest::Model(model), run)
}

fn graph() -> LineageGraph {
    let (dataset, model, _) = manifests();
    let record = |id, kind, manifest: &Manifest, content: &str, parents| AssetRecord {
        id: AssetId(id),
        asset: Asset {
            kind,
            content: digest(content),
            manifest: manifest.digest().unwrap(),
            previous: None,
            version: 1,
        },
        registered_to: Address([1; 20]),
        owner: Address([2; 20]),
        registered_at: UnixSeconds(1_700_000_000),
        uri: String::new(),
        parents,
    };
    let parents = vec![Parent {
        asset: AssetId(1),
        share: Ppm::WHOLE,
    }];
    let records = vec![
        record(1, AssetKind::Dataset, &dataset, "rows", vec![]),
        record(2, AssetKind::Model, &model, "weights", parents),
    ];
    let all = [dataset.encode().unwrap(), model.encode().unwrap()];
    LineageGraph::build(records, |digest| {
        all.iter()
            .find(|bytes| ContentDigest::of(bytes) == *digest)
            .cloned()
    })
    .unwrap()
}

fn dossier(graph: &LineageGraph, id: u64) -> Dossier<'_> {
    let (_, _, manifest) = manifests();
    let run = Run {
        digest: Manifest::Run(manifest.clone()).digest().unwrap(),
        manifest,
    };
    let logged = LogEntry {
        origin: "example.com/log".to_owned(),
        index: 4,
    };
    Dossier::gather(
        graph,
        AssetId(id),
        (31337, Address([7; 20])),
        Some(run),
        Some(logged),
    )
    .unwrap()
}

#[test]
fn a_hostile_name_stays_a_text_in_the_card() {
    let graph = graph();
    let card = model_card(&dossier(&graph, 2)).unwrap();
    let (front, body) = card.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
    assert!(
        !front
            .lines()
            .any(|line| line.starts_with("---") || line == "license: mit"),
        "{front}"
    );
    assert_eq!(
        front.lines().filter(|line| line.starts_with("license: ")).count(),
        1
    );
    assert!(
        !body.contains("<script") && !body.contains("[a](") && !body.contains('\u{202e}'),
        "{body}"
    );
    assert!(body.contains("> \\# x"), "{body}");
}

#[test]
fn croissant_needs_the_registered_file() {
    let graph = graph();
    let dossier = dossier(&graph, 1);
    let mut file = DatasetFile {
        name: "rows.csv".to_owned(),
        digest: digest("rows"),
        sha256: Sha256Digest([3; 32]),
        media_type: "text/csv".to_owned(),
    };
    let document = croissant(&dossier, Some(&file)).unwrap();
    assert_eq!(
        document["recordSet"][0]["field"][0]["source"]["extract"]["column"],
        HOSTILE
    );
    assert_eq!(
        document["usageInfo"]["odrl:permission"].as_array().unwrap().len(),
        2
    );
    assert!(croissant(&dossier, None).unwrap().get("distribution").is_none());
    file.digest = digest("other rows");
    assert!(matches!(
        croissant(&dossier, Some(&file)),
        Err(ExportError::OtherFile { .. })
    ));
}

#[test]
fn formats_of_models_refuse_datasets_and_the_other_way() {
    let graph = graph();
    let (dataset, model) = (dossier(&graph, 1), dossier(&graph, 2));
    assert!(matches!(
        model_card(&dataset),
        Err(ExportError::NoManifest { .. })
    ));
    assert!(matches!(
        ml_bom(&dataset, BomVersion::V1_6),
        Err(ExportError::NoManifest { .. })
    ));
    assert!(matches!(annex_iv(&dataset), Err(ExportError::NoManifest { .. })));
    assert!(matches!(
        croissant(&model, None),
        Err(ExportError::NoManifest { .. })
    ));
    // A run belongs to the model that names it.
    assert!(dataset.run.is_none() && model.run.is_some());
}

#[test]
fn the_bill_names_every_ancestor_and_every_arrow() {
    let graph = graph();
    let bom = ml_bom(&dossier(&graph, 2), BomVersion::V1_6).unwrap();
    let parent = &bom["components"][0]["bom-ref"];
    assert_eq!(bom["dependencies"][1]["dependsOn"][0], *parent);
    assert_eq!(
        bom["metadata"]["component"]["modelCard"]["modelParameters"]["datasets"][0]["ref"],
        *parent
    );
    assert_eq!(
        bom["metadata"]["component"]["hashes"][0]["content"],
        digest("weights").to_hex()
    );
}

#[test]
fn spdx_relates_only_elements_that_are_there_each_once() {
    let graph = graph();
    for id in [1, 2] {
        let document = spdx(&dossier(&graph, id)).unwrap();
        let elements = document["@graph"].as_array().unwrap();
        let names: Vec<&str> = elements.iter().filter_map(|one| one["spdxId"].as_str()).collect();
        let unique: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), unique.len());
        let relations = elements.iter().filter(|one| one["type"] == "Relationship");
        for relation in relations.clone() {
            let ends = relation["to"]
                .as_array()
                .unwrap()
                .iter()
                .chain([&relation["from"]]);
            for end in ends.filter(|end| **end != "expandedlicensing_NoAssertionLicense") {
                assert!(unique.contains(end.as_str().unwrap()), "{relation}");
            }
        }
        let trained = relations
            .filter(|one| one["relationshipType"] == "trainedOn")
            .count();
        assert_eq!(trained, usize::from(id == 2));
    }
}

#[test]
fn every_relation_of_the_lineage_names_things_that_are_described() {
    let graph = graph();
    let document = prov(&dossier(&graph, 2));
    let known = |kind: &str, name: &Value| document[kind].get(name.as_str().unwrap()).is_some();
    for (relation, ends) in [
        (
            "wasDerivedFrom",
            [("prov:generatedEntity", "entity"), ("prov:usedEntity", "entity")],
        ),
        ("used", [("prov:entity", "entity"), ("prov:activity", "activity")]),
        (
            "wasGeneratedBy",
            [("prov:entity", "entity"), ("prov:activity", "activity")],
        ),
        (
            "wasAttributedTo",
            [("prov:entity", "entity"), ("prov:agent", "agent")],
        ),
        (
            "wasAssociatedWith",
            [("prov:activity", "activity"), ("prov:agent", "agent")],
        ),
    ] {
        for (name, value) in document[relation].as_object().unwrap() {
            for (end, kind) in ends {
                assert!(known(kind, &value[end]), "{name} {value}");
            }
        }
    }
}

#[test]
fn every_item_of_annex_iv_is_filled_or_a_gap() {
    let graph = graph();
    let pack = annex_iv(&dossier(&graph, 2)).unwrap();
    assert_eq!(pack.items.len(), 23);
    assert!(pack.items.iter().all(|item| !item.gap.is_empty()));
    let empty: Vec<&str> = pack.empty().map(|item| item.point).collect();
    assert!(empty.contains(&"5") && !empty.contains(&"2(d)"), "{empty:?}");
    let text = pack.to_markdown();
    assert!(!text.contains("<script") && !text.contains("[a]("), "{text}");
}

#[test]
fn exports_are_the_same_every_time() {
    let graph = graph();
    let (one, other) = (dossier(&graph, 2), dossier(&graph, 2));
    assert_eq!(prov(&one), prov(&other));
    assert_eq!(spdx(&one).unwrap(), spdx(&other).unwrap());
    assert_eq!(
        ml_bom(&one, BomVersion::V1_7).unwrap(),
        ml_bom(&other, BomVersion::V1_7).unwrap()
    );
    assert_eq!(model_card(&one).unwrap(), model_card(&other).unwrap());
}

#[test]
fn a_token_shows_its_picture_its_traits_and_its_versions() {
    let graph = graph();
    let metadata = token_metadata(&dossier(&graph, 2), &graph).unwrap();
    for name in ["name", "description", "image"] {
        assert!(metadata[name].is_string(), "{metadata:#}");
    }
    let image = metadata["image"].as_str().unwrap();
    assert!(image.starts_with("data:image/svg+xml;base64,"));
    let traits = metadata["attributes"].as_array().unwrap();
    let of = |name: &str| {
        traits
            .iter()
            .find(|one| one["trait_type"] == name)
            .map(|one| &one["value"])
    };
    assert_eq!(of("Version"), Some(&Value::from(1)));
    assert_eq!(of("Parents"), Some(&Value::from(1)));
    assert_eq!(metadata["properties"]["versions"][0]["asset"], 2);
    assert_eq!(metadata["properties"]["parents"][0]["share_ppm"], 1_000_000);
    assert_eq!(metadata["properties"]["run"]["study"], 1);
    // No text of a stranger is a tag, a link or turns the direction.
    let text = metadata.to_string();
    assert!(
        !text.contains('<') && !text.contains("[a]") && !text.contains('\u{202e}'),
        "{text}"
    );
    assert_eq!(metadata, token_metadata(&dossier(&graph, 2), &graph).unwrap());
}

#[test]
fn small_files_are_named_as_ipfs_names_them() {
    // `ipfs add --cid-version 1` of nothing, and of "hello world" without a newline.
    let name = |bytes: &[u8]| ipfs_address(bytes).unwrap();
    assert_eq!(
        name(b""),
        "ipfs://bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    );
    assert_eq!(
        name(b"hello world"),
        "ipfs://bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    );
    assert_eq!(ipfs_address(&vec![0; 262_145]), None);
}
