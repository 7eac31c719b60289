//! Models as a machine-learning bill of materials: CycloneDX 1.6 or 1.7 (ECMA-424).
//!
//! The model is the described component; what it came from are components of type `data` or `machine-learning-model`, and
//! the arrows of the lineage are `dependencies`. Settings, parameters and rounds that the format has no member for are
//! properties whose names begin with `counterweight:`.

use counterweight_primitives::ContentDigest;
use counterweight_provenance::{
    ledger::AssetKind,
    lineage::LineageNode,
    manifest::{Manifest, ModelManifest},
};
use serde_json::{Value, json};

use super::{Dossier, ExportError, dossier::full_name};

/// Version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BomVersion {
    /// 1.6, which most readers know.
    #[default]
    V1_6,
    /// 1.7.
    V1_7,
}

impl BomVersion {
    fn as_str(self) -> &'static str {
        match self {
            Self::V1_6 => "1.6",
            Self::V1_7 => "1.7",
        }
    }
}

/// A model as a bill of materials.
///
/// # Errors
/// [`ExportError::NoManifest`].
pub fn ml_bom(dossier: &Dossier<'_>, version: BomVersion) -> Result<Value, ExportError> {
    let model = dossier.model()?;
    let version = version.as_str();
    let components: Vec<Value> = dossier
        .ancestors
        .iter()
        .map(|node| component(dossier, node, None))
        .collect();
    let dependencies: Vec<Value> = dossier
        .nodes()
        .map(|node| {
            let parents = node.record.parents.iter().map(|parent| dossier.urn(parent.asset));
            json!({"ref": dossier.urn(node.record.id), "dependsOn": parents.collect::<Vec<_>>()})
        })
        .collect();
    Ok(json!({
        "$schema": format!("http://cyclonedx.org/schema/bom-{version}.schema.json"),
        "bomFormat": "CycloneDX",
        "specVersion": version,
        "serialNumber": serial(&dossier.subject.record.asset.manifest),
        "version": 1,
        "metadata": {
            "timestamp": dossier.subject.record.registered_at.to_rfc3339(),
            "component": component(dossier, dossier.subject, Some(model)),
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

/// The same model has one number: a UUID of version 8 (RFC 9562, what it holds is ours) from its manifest's digest.
fn serial(digest: &ContentDigest) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.0[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

fn component(dossier: &Dossier<'_>, node: &LineageNode, model: Option<&ModelManifest>) -> Value {
    let asset = &node.record.asset;
    let mut properties = vec![
        property("asset", dossier.urn(node.record.id)),
        property("kind", asset.kind.name()),
        property("owner", node.record.owner),
        property("manifest", asset.manifest),
    ];
    for parent in &node.record.parents {
        let share = format!("{} {}", dossier.urn(parent.asset), parent.share.millionths());
        properties.push(property("parent-share-millionths", share));
    }
    let mut component = json!({
        "bom-ref": dossier.urn(node.record.id),
        "name": node.manifest.as_ref().and_then(Manifest::name).map_or_else(|| full_name(node), str::to_owned),
        "version": asset.version.to_string(),
        "hashes": [{"alg": "BLAKE3", "content": asset.content.to_hex()}],
    });
    match &node.manifest {
        Some(Manifest::Dataset(dataset)) => {
            component["type"] = json!("data");
            component["description"] = json!(dataset.description);
            component["licenses"] = licence(&dataset.licence);
            component["data"] = json!([{
                "type": "dataset",
                "name": dataset.name,
                "classification": "confidential",
                "governance": {"custodians": [{"organization": {"name": dataset.steward.to_string()}}]},
            }]);
            properties.push(property("rows", dataset.rows));
            properties.push(property("purposes", dataset.purposes.names().join(", ")));
        }
        Some(Manifest::Model(manifest)) => {
            component["type"] = json!("machine-learning-model");
            component["licenses"] = licence(&manifest.licence);
            component["modelCard"] = card(dossier, manifest, model.is_some());
            properties.push(property("parameters", manifest.architecture.parameters));
            properties.push(property("purposes", manifest.purposes.names().join(", ")));
            for (name, value) in &manifest.architecture.settings {
                properties.push(property(&format!("architecture:{name}"), value));
            }
        }
        _ => {
            component["type"] = json!(if asset.kind == AssetKind::Model {
                "machine-learning-model"
            } else {
                "data"
            });
        }
    }
    if model.is_some() {
        if let Some(run) = &dossier.run {
            properties.push(property("run", run.digest));
            properties.push(property("rounds", run.manifest.rounds.len()));
            properties.push(property("members", run.manifest.members.len()));
        }
        if let Some(logged) = &dossier.logged {
            properties.push(property("log-origin", &logged.origin));
            properties.push(property("log-entry", logged.index));
        }
    }
    component["properties"] = json!(properties);
    component
}

fn property(name: &str, value: impl ToString) -> Value {
    json!({"name": format!("counterweight:{name}"), "value": value.to_string()})
}

/// Free names go where names go: an `id` that SPDX does not have is refused.
fn licence(name: &str) -> Value {
    json!([{"license": {"name": name}}])
}

fn card(dossier: &Dossier<'_>, model: &ModelManifest, subject: bool) -> Value {
    let mut parameters = json!({
        "task": "classification",
        "architectureFamily": model.architecture.family,
        "approach": {"type": "supervised"},
    });
    if subject {
        let datasets: Vec<Value> = dossier
            .datasets()
            .map(|(node, _)| json!({"ref": dossier.urn(node.record.id)}))
            .collect();
        parameters["datasets"] = json!(datasets);
    }
    let metrics: Vec<Value> = model
        .metrics
        .iter()
        .map(|metric| {
            json!({
                "type": metric.name,
                "value": metric.value.to_string(),
                "slice": format!("{} ({} rows)", metric.data, metric.rows),
            })
        })
        .collect();
    json!({
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {"useCases": model.purposes.names()},
    })
}
