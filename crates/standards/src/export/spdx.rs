//! A model or a dataset as SPDX 3.0.1, profiles AI and Dataset, in JSON-LD.
//!
//! Assets are packages named by their URN, accounts are agents, the arrows of the lineage are relationships: `trainedOn` from a model to
//! a dataset, `descendantOf` to anything else.
//!
//! # Differences from what the profiles foresee
//!
//! - Nothing is concluded about licences: the declared one is what the publisher wrote, as text, and the concluded one is
//!   `NoAssertion`.
//! - The download location is the URN: the ledger knows digests and no places.
//! - A dataset was built by the time it was registered; when exactly is not on the ledger.

use counterweight_primitives::Address;
use counterweight_provenance::{
    ledger::AssetKind,
    lineage::LineageNode,
    manifest::{Manifest, ModelManifest},
};
use serde_json::{Value, json};

use super::{Dossier, ExportError, dossier::full_name};

/// Version of the specification.
const VERSION: &str = "3.0.1";

/// Where all elements say when and by whom they were made.
const CREATION: &str = "_:creation";

/// An asset with all that it came from.
///
/// # Errors
/// [`ExportError::NoManifest`] where what is described is neither a model nor a dataset whose manifest is at hand.
pub fn spdx(dossier: &Dossier<'_>) -> Result<Value, ExportError> {
    if dossier.model().is_err() {
        dossier.dataset()?;
    }
    let subject = dossier.subject;
    let root = dossier.urn(subject.record.id);
    let mut elements: Vec<Value> = dossier
        .accounts()
        .into_iter()
        .map(|account| agent(dossier, account))
        .collect();
    for node in dossier.nodes() {
        elements.push(package(dossier, node));
        elements.extend(licences(dossier, node));
        elements.extend(lineage(dossier, node));
    }
    // Each element once, in order, so that the document names them all.
    let names: Vec<Value> = elements.iter().map(|element| element["spdxId"].clone()).collect();
    let mut graph = vec![
        json!({
            "type": "CreationInfo",
            "@id": CREATION,
            "specVersion": VERSION,
            "created": subject.record.registered_at.to_rfc3339(),
            "createdBy": [dossier.account_urn(subject.record.registered_to)],
        }),
        json!({
            "type": "SpdxDocument",
            "spdxId": format!("{root}:spdx"),
            "creationInfo": CREATION,
            "name": full_name(subject),
            "profileConformance": ["core", "software", "simpleLicensing", "ai", "dataset"],
            "rootElement": [root],
            "element": names,
        }),
    ];
    graph.extend(elements);
    Ok(json!({
        "@context": format!("https://spdx.org/rdf/{VERSION}/spdx-context.jsonld"),
        "@graph": graph,
    }))
}

fn agent(dossier: &Dossier<'_>, account: Address) -> Value {
    let name = dossier.account_urn(account);
    json!({
        "type": "Agent",
        "spdxId": name,
        "creationInfo": CREATION,
        "name": account.to_string(),
    })
}

fn package(dossier: &Dossier<'_>, node: &LineageNode) -> Value {
    let (record, asset) = (&node.record, &node.record.asset);
    let name = dossier.urn(record.id);
    let mut package = json!({
        "spdxId": name,
        "creationInfo": CREATION,
        "name": node.manifest.as_ref().and_then(Manifest::name).map_or_else(|| full_name(node), str::to_owned),
        "suppliedBy": dossier.account_urn(record.owner),
        "originatedBy": [dossier.account_urn(record.registered_to)],
        "builtTime": record.registered_at.to_rfc3339(),
        "releaseTime": record.registered_at.to_rfc3339(),
        "software_packageVersion": asset.version.to_string(),
        "software_downloadLocation": name,
        "verifiedUsing": [{"type": "Hash", "algorithm": "blake3", "hashValue": asset.content.to_hex()}],
        "comment": format!("The manifest that was registered has the digest {}.", asset.manifest),
    });
    match &node.manifest {
        Some(Manifest::Model(model)) => describe_model(&mut package, dossier, node, model),
        Some(Manifest::Dataset(dataset)) => {
            package["type"] = json!("dataset_DatasetPackage");
            package["description"] = json!(dataset.description);
            package["software_primaryPurpose"] = json!("data");
            package["dataset_datasetType"] = json!(["structured"]);
            package["dataset_datasetSize"] = json!(dataset.content.size);
            package["dataset_intendedUse"] = json!(dataset.purposes.names().join(", "));
            package["dataset_datasetAvailability"] = json!("registration");
        }
        _ if asset.kind == AssetKind::Model => {
            package["type"] = json!("ai_AIPackage");
            package["software_primaryPurpose"] = json!("model");
        }
        _ => {
            package["type"] = json!("dataset_DatasetPackage");
            package["software_primaryPurpose"] = json!("data");
            package["dataset_datasetType"] = json!(["noAssertion"]);
        }
    }
    package
}

fn describe_model(package: &mut Value, dossier: &Dossier<'_>, node: &LineageNode, model: &ModelManifest) {
    let entry = |key: &str, value: String| json!({"type": "DictionaryEntry", "key": key, "value": value});
    package["type"] = json!("ai_AIPackage");
    package["software_primaryPurpose"] = json!("model");
    package["ai_typeOfModel"] = json!([model.architecture.family]);
    let mut parameters = vec![entry("parameters", model.architecture.parameters.to_string())];
    let settings = model.architecture.settings.iter();
    parameters.extend(settings.map(|(name, value)| entry(name, value.clone())));
    package["ai_hyperparameter"] = json!(parameters);
    let metrics = model.metrics.iter().map(|metric| {
        let name = format!("{} on {} ({} rows)", metric.name, metric.data, metric.rows);
        entry(&name, metric.value.to_string())
    });
    package["ai_metric"] = json!(metrics.collect::<Vec<_>>());
    package["ai_informationAboutApplication"] =
        json!(format!("Trained for: {}.", model.purposes.names().join(", ")));
    if node.record.id == dossier.subject.record.id
        && let Some(run) = &dossier.run
    {
        package["ai_informationAboutTraining"] = json!(format!(
            "Trained by {} members in {} rounds; the manifest of the run has the digest {}.",
            run.manifest.members.len(),
            run.manifest.rounds.len(),
            run.digest
        ));
    }
}

/// The declared licence, where there is one, and that none was concluded.
fn licences(dossier: &Dossier<'_>, node: &LineageNode) -> Vec<Value> {
    let own = dossier.urn(node.record.id);
    let declared = match &node.manifest {
        Some(Manifest::Model(model)) => Some(&model.licence),
        Some(Manifest::Dataset(dataset)) => Some(&dataset.licence),
        _ => None,
    };
    let nothing = "expandedlicensing_NoAssertionLicense";
    let mut elements = Vec::new();
    let target = match declared {
        Some(licence) => {
            let name = format!("{own}:licence");
            // A text, whatever it says: an expression that SPDX does not have is refused.
            elements.push(json!({
                "type": "simplelicensing_SimpleLicensingText",
                "spdxId": name,
                "creationInfo": CREATION,
                "name": licence,
                "simplelicensing_licenseText": licence,
            }));
            name
        }
        None => nothing.to_owned(),
    };
    elements.push(relationship(&own, "hasDeclaredLicense", &[target], "declared"));
    elements.push(relationship(
        &own,
        "hasConcludedLicense",
        &[nothing.to_owned()],
        "concluded",
    ));
    elements
}

/// What it came from.
fn lineage(dossier: &Dossier<'_>, node: &LineageNode) -> Vec<Value> {
    let own = dossier.urn(node.record.id);
    let is_dataset = |asset| {
        let parent = dossier.ancestors.iter().find(|other| other.record.id == asset);
        parent.is_some_and(|parent| parent.record.asset.kind == AssetKind::Dataset)
    };
    let is_model = node.record.asset.kind == AssetKind::Model;
    let parents = node.record.parents.iter().map(|parent| parent.asset);
    let (data, others): (Vec<_>, Vec<_>) = parents.partition(|parent| is_model && is_dataset(*parent));
    [(data, "trainedOn"), (others, "descendantOf")]
        .into_iter()
        .filter(|(parents, _)| !parents.is_empty())
        .map(|(parents, kind)| {
            let parents: Vec<_> = parents.into_iter().map(|parent| dossier.urn(parent)).collect();
            relationship(&own, kind, &parents, kind)
        })
        .collect()
}

fn relationship(from: &str, kind: &str, to: &[String], name: &str) -> Value {
    json!({
        "type": "Relationship",
        "spdxId": format!("{from}:{name}"),
        "creationInfo": CREATION,
        "from": from,
        "to": to,
        "relationshipType": kind,
    })
}
