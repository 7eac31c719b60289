//! Datasets as Croissant 1.1 with the responsible-AI vocabulary 1.0 (MLCommons).
//!
//! # Differences from the text
//!
//! - A dataset stays with its steward, so `url` is the asset's name on the chain, and the file is described only where it is at
//!   hand: its validator wants a SHA-256 of each file, which the ledger does not hold.
//! - Use terms are an ODRL offer with DUO terms, as 1.1 foresees; what is allowed is decided by the chain.

use counterweight_primitives::{ContentDigest, Sha256Digest};
use counterweight_provenance::{
    manifest::{ColumnKind, ColumnRole},
    purpose::Purpose,
};
use serde_json::{Map, Value, json};

use super::{Dossier, ExportError, dossier::full_name, text::date};

/// The dataset's file, where it is at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetFile {
    /// Its name, relative to where the description will lie.
    pub name: String,
    /// BLAKE3 of its bytes; must be the one registered.
    pub digest: ContentDigest,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Digest,
    /// Its media type, `text/csv`.
    pub media_type: String,
}

/// Names of the context of Croissant 1.1, word for word: another one is refused by some readers.
const CONTEXT: &[(&str, &str)] = &[
    ("@language", "en"),
    ("@vocab", "https://schema.org/"),
    ("arrayShape", "cr:arrayShape"),
    ("citeAs", "cr:citeAs"),
    ("column", "cr:column"),
    ("conformsTo", "dct:conformsTo"),
    ("containedIn", "cr:containedIn"),
    ("cr", "http://mlcommons.org/croissant/"),
    ("rai", "http://mlcommons.org/croissant/RAI/"),
    ("dct", "http://purl.org/dc/terms/"),
    ("equivalentProperty", "cr:equivalentProperty"),
    ("extract", "cr:extract"),
    ("field", "cr:field"),
    ("fileProperty", "cr:fileProperty"),
    ("fileObject", "cr:fileObject"),
    ("fileSet", "cr:fileSet"),
    ("format", "cr:format"),
    ("includes", "cr:includes"),
    ("isArray", "cr:isArray"),
    ("isLiveDataset", "cr:isLiveDataset"),
    ("jsonPath", "cr:jsonPath"),
    ("key", "cr:key"),
    ("md5", "cr:md5"),
    ("odrl", "http://www.w3.org/ns/odrl/2/"),
    ("parentField", "cr:parentField"),
    ("path", "cr:path"),
    ("prov", "http://www.w3.org/ns/prov#"),
    ("recordSet", "cr:recordSet"),
    ("references", "cr:references"),
    ("regex", "cr:regex"),
    ("repeated", "cr:repeated"),
    ("replace", "cr:replace"),
    ("samplingRate", "cr:samplingRate"),
    ("sc", "https://schema.org/"),
    ("separator", "cr:separator"),
    ("source", "cr:source"),
    ("subField", "cr:subField"),
    ("transform", "cr:transform"),
];

fn context() -> Value {
    let mut context: Map<String, Value> = CONTEXT
        .iter()
        .map(|(name, id)| ((*name).to_owned(), json!(id)))
        .collect();
    for (name, described) in [
        ("data", json!({"@id": "cr:data", "@type": "@json"})),
        ("dataType", json!({"@id": "cr:dataType", "@type": "@vocab"})),
        ("description", json!({"@container": "@language"})),
        ("examples", json!({"@id": "cr:examples", "@type": "@json"})),
        ("name", json!({"@container": "@language"})),
        ("usageInfo", json!({"@id": "https://schema.org/usageInfo"})),
    ] {
        context.insert(name.to_owned(), described);
    }
    Value::Object(context)
}

/// A dataset as a Croissant document.
///
/// # Errors
/// [`ExportError::NoManifest`], [`ExportError::OtherFile`].
pub fn croissant(dossier: &Dossier<'_>, file: Option<&DatasetFile>) -> Result<Value, ExportError> {
    let dataset = dossier.dataset()?;
    let record = &dossier.subject.record;
    let urn = dossier.urn(record.id);
    let date = date(record.registered_at);
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("@context", context());
    put("@type", json!("sc:Dataset"));
    put("@id", json!(urn));
    put(
        "conformsTo",
        json!([
            "http://mlcommons.org/croissant/1.1",
            "http://mlcommons.org/croissant/RAI/1.0"
        ]),
    );
    put("name", json!(dataset.name));
    put("description", json!(dataset.description));
    put("license", json!(licence(&dataset.licence)));
    put("url", json!(urn));
    put("identifier", json!(dataset.content.digest.to_string()));
    put("version", json!(format!("{}.0.0", record.asset.version)));
    put("datePublished", json!(date));
    put(
        "creator",
        json!({"@type": "sc:Organization", "name": dataset.steward.to_string(), "url": dossier.account_urn(dataset.steward)}),
    );
    put(
        "citeAs",
        json!(format!(
            "{} of {}, {date}, {}",
            full_name(dossier.subject),
            dataset.steward,
            dataset.content.digest
        )),
    );
    put("usageInfo", offer(dossier));
    let uses: Vec<String> = purposes(dossier)
        .map(|purpose| format!("{}: {}", purpose.name, purpose.allows))
        .collect();
    put("rai:dataUseCases", json!(uses));
    put(
        "rai:dataReleaseMaintenancePlan",
        json!(
            "The rows stay with their steward and are not released. Consent is recorded on a ledger and may be withdrawn at any \
             time; a training run is refused from then on."
        ),
    );
    put(
        "prov:wasAttributedTo",
        json!({"@id": dossier.account_urn(dataset.steward)}),
    );
    let mut sources: Vec<Value> = record
        .parents
        .iter()
        .map(|parent| json!({"@id": dossier.urn(parent.asset)}))
        .collect();
    sources.extend(
        record
            .asset
            .previous
            .map(|previous| json!({"@id": dossier.urn(previous)})),
    );
    if !sources.is_empty() {
        put("prov:wasDerivedFrom", json!(sources));
    }
    if let Some(file) = file {
        if file.digest != dataset.content.digest {
            let (expected, got) = (dataset.content.digest, file.digest);
            return Err(ExportError::OtherFile { expected, got });
        }
        put(
            "distribution",
            json!([{
                "@type": "cr:FileObject",
                "@id": "file",
                "name": file.name,
                "contentUrl": file.name,
                "contentSize": format!("{} B", dataset.content.size),
                "encodingFormat": file.media_type,
                "sha256": file.sha256.to_hex(),
            }]),
        );
        let fields: Vec<Value> = dataset.columns.iter().enumerate().map(field).collect();
        put(
            "recordSet",
            json!([{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "description": format!("{} rows", dataset.rows), "field": fields}]),
        );
    }
    Ok(Value::Object(document))
}

/// Ids are counted: a column's name may hold anything, and an id must hold no `/` or space.
fn field((index, column): (usize, &counterweight_provenance::manifest::Column)) -> Value {
    let kind = match column.kind {
        ColumnKind::Number => "sc:Float",
        ColumnKind::Category | ColumnKind::Text => "sc:Text",
    };
    let role = match column.role {
        ColumnRole::Feature => "a feature: models may see it",
        ColumnRole::Target => "a target: models learn to tell it",
        ColumnRole::Ignored => "left out of training",
    };
    json!({
        "@type": "cr:Field",
        "@id": format!("rows/{index}"),
        "name": column.name,
        "description": role,
        "dataType": kind,
        "source": {"fileObject": {"@id": "file"}, "extract": {"column": column.name}},
    })
}

fn purposes(dossier: &Dossier<'_>) -> impl Iterator<Item = &'static Purpose> {
    let set = dossier
        .dataset()
        .map(|dataset| dataset.purposes)
        .unwrap_or_default();
    set.iter()
        .filter_map(Purpose::by_index)
        .collect::<Vec<_>>()
        .into_iter()
}

/// What the steward meant to allow, and nothing else. Its target is the dataset that it stands in: naming it here sends
/// `mlcroissant` round in a circle.
fn offer(dossier: &Dossier<'_>) -> Value {
    let permissions: Vec<Value> = purposes(dossier)
        .map(|purpose| {
            let mut operands = vec![json!({"@id": format!("urn:counterweight:purpose:{}", purpose.name)})];
            operands.extend(purpose.duo.map(
                |term| json!({"@id": format!("http://purl.obolibrary.org/obo/{}", term.replace(':', "_"))}),
            ));
            json!({
                "@type": "odrl:Permission",
                "odrl:action": {"@id": purpose.action},
                "odrl:constraint": {
                    "@type": "odrl:Constraint",
                    "odrl:leftOperand": {"@id": "odrl:purpose"},
                    "odrl:operator": {"@id": "odrl:isAnyOf"},
                    "odrl:rightOperand": operands,
                },
            })
        })
        .collect();
    json!({
        "@type": "odrl:Offer",
        "@id": format!("{}:offer", dossier.urn(dossier.subject.record.id)),
        "odrl:assigner": {"@id": dossier.account_urn(dossier.subject.record.owner)},
        "odrl:permission": permissions,
    })
}

/// SPDX identifiers have an address; other names stay as they are.
fn licence(name: &str) -> String {
    let identifier = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-.+".contains(&byte));
    if identifier && !name.starts_with("LicenseRef-") {
        format!("https://spdx.org/licenses/{name}")
    } else {
        name.to_owned()
    }
}
