//! Metadata of an asset's token as wallets and galleries read it.
//!
//! The JSON of ERC-721's metadata extension (`name`, `description`, `image`) with the `attributes` that galleries show and the
//! `properties` of ERC-1155's schema for programs. The image is inside, so that one file is all there is to serve or pin.
//! Page: `docs/spec/token-metadata.md`.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use counterweight_primitives::AssetId;
use counterweight_provenance::{
    lineage::{LineageError, LineageGraph, LineageNode},
    manifest::Manifest,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Dossier, ExportError, dossier::full_name, picture::lineage_picture};

/// Longest description, in characters: galleries cut longer ones.
const DESCRIPTION: usize = 1_000;

/// Largest file that is one block of IPFS, whose name is then the hash of its bytes.
const IPFS_BLOCK: usize = 262_144;

/// Most versions listed.
const MOST_VERSIONS: usize = 100;

/// The metadata of an asset's token.
///
/// # Errors
/// [`ExportError::Lineage`].
pub fn token_metadata(dossier: &Dossier<'_>, graph: &LineageGraph) -> Result<Value, ExportError> {
    let record = &dossier.subject.record;
    let picture = lineage_picture(graph, record.id)?;
    let parents = parents(dossier, graph)?;
    let versions = versions(graph, dossier.subject)?;
    let replaced_by = replacement(graph, record.id);
    let mut properties = json!({
        "chain": dossier.chain,
        "registry": dossier.registry,
        "asset": record.id,
        "kind": record.asset.kind.name(),
        "content": record.asset.content,
        "manifest": record.asset.manifest,
        "parents": parents,
        "versions": versions,
    });
    if let Some(run) = &dossier.run {
        properties["run"] = json!({
            "training": run.manifest.contract,
            "study": run.manifest.study,
            "manifest": run.digest,
        });
    }
    if let Some(logged) = &dossier.logged {
        properties["log"] = json!({"origin": logged.origin, "entry": logged.index});
    }
    if let Some(next) = replaced_by {
        properties["replaced_by"] = json!(next.record.id);
    }
    Ok(json!({
        "name": plain(&full_name(dossier.subject)),
        "description": description(dossier),
        "image": format!("data:image/svg+xml;base64,{}", BASE64.encode(picture)),
        "attributes": attributes(dossier, replaced_by),
        "properties": properties,
    }))
}

/// Where IPFS has a file of these bytes: the version 1 identifier of one raw block. None for a file of several blocks, whose name
/// depends on how it is cut.
#[must_use]
pub fn ipfs_address(bytes: &[u8]) -> Option<String> {
    if bytes.len() > IPFS_BLOCK {
        return None;
    }
    // Version 1, raw, SHA-256 of 32 bytes.
    let mut identifier = vec![0x01, 0x55, 0x12, 0x20];
    identifier.extend_from_slice(&Sha256::digest(bytes));
    Some(format!("ipfs://b{}", base32(&identifier)))
}

/// RFC 4648 in lower case without padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::new();
    let (mut held, mut bits) = (0u32, 0);
    let mut push = |held: u32| text.push(char::from(LETTERS[(held & 31) as usize]));
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(held >> bits);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        push(held << (5 - bits));
    }
    text
}

fn attributes(dossier: &Dossier<'_>, replaced_by: Option<&LineageNode>) -> Vec<Value> {
    let record = &dossier.subject.record;
    let mut attributes = Vec::new();
    let mut text =
        |name: &str, value: &str| attributes.push(json!({"trait_type": name, "value": plain(value)}));
    text("Kind", record.asset.kind.name());
    match &dossier.subject.manifest {
        Some(Manifest::Model(model)) => {
            text("Architecture", &model.architecture.family);
            text("Licence", &model.licence);
            for purpose in model.purposes.names() {
                text("Purpose", &purpose);
            }
        }
        Some(Manifest::Dataset(dataset)) => {
            text("Licence", &dataset.licence);
            for purpose in dataset.purposes.names() {
                text("Purpose", &purpose);
            }
        }
        _ => {}
    }
    if let Some(next) = replaced_by {
        text("Replaced by", &full_name(next));
    }
    let mut number = |name: String, value: Value| {
        attributes.push(json!({"trait_type": plain(&name), "display_type": "number", "value": value}));
    };
    number("Version".to_owned(), json!(record.asset.version));
    number("Parents".to_owned(), json!(record.parents.len()));
    number("Ancestors".to_owned(), json!(dossier.ancestors.len()));
    match &dossier.subject.manifest {
        Some(Manifest::Model(model)) => {
            number("Parameters".to_owned(), json!(model.architecture.parameters));
            for metric in &model.metrics {
                number(
                    format!("{} on {}", metric.name, metric.data),
                    json!(metric.value.to_f64()),
                );
            }
        }
        Some(Manifest::Dataset(dataset)) => {
            number("Rows".to_owned(), json!(dataset.rows));
            number("Columns".to_owned(), json!(dataset.columns.len()));
        }
        _ => {}
    }
    attributes.push(json!({
        "trait_type": "Registered", "display_type": "date", "value": record.registered_at.0,
    }));
    attributes
}

fn parents(dossier: &Dossier<'_>, graph: &LineageGraph) -> Result<Vec<Value>, LineageError> {
    let parents = dossier.subject.record.parents.iter();
    parents
        .map(|parent| {
            let node = graph.node(parent.asset)?;
            Ok(json!({
                "asset": parent.asset,
                "kind": node.record.asset.kind.name(),
                "name": plain(&full_name(node)),
                "share_ppm": parent.share,
            }))
        })
        .collect()
}

/// The version that replaced an asset.
fn replacement(graph: &LineageGraph, id: AssetId) -> Option<&LineageNode> {
    graph.nodes().find(|node| node.record.asset.previous == Some(id))
}

/// Every version of an asset, the first one first; the newest where there are more than are listed.
fn versions(graph: &LineageGraph, subject: &LineageNode) -> Result<Vec<Value>, LineageError> {
    let next: BTreeMap<AssetId, AssetId> = graph
        .nodes()
        .filter_map(|node| Some((node.record.asset.previous?, node.record.id)))
        .collect();
    let mut chain = vec![subject];
    while let Some(previous) = chain.last().and_then(|node| node.record.asset.previous) {
        chain.push(graph.node(previous)?);
    }
    chain.reverse();
    // A version is newer than what it replaces, so neither walk comes back.
    while let Some(newer) = chain.last().and_then(|node| next.get(&node.record.id)) {
        chain.push(graph.node(*newer)?);
    }
    let skipped = chain.len().saturating_sub(MOST_VERSIONS);
    let versions = chain.iter().skip(skipped).map(|node| {
        json!({
            "asset": node.record.id,
            "version": node.record.asset.version,
            "content": node.record.asset.content,
            "manifest": node.record.asset.manifest,
            "registered_at": node.record.registered_at.to_rfc3339(),
        })
    });
    Ok(versions.collect())
}

fn description(dossier: &Dossier<'_>) -> String {
    let record = &dossier.subject.record;
    let said = match &dossier.subject.manifest {
        Some(Manifest::Model(model)) => model.card.as_str(),
        Some(Manifest::Dataset(dataset)) => dataset.description.as_str(),
        _ => "",
    };
    let ours = format!(
        "A {} registered with Counterweight as asset {} on chain {}. The token commits to {}; income is shared with what it \
         came from, as the picture shows.",
        record.asset.kind.name(),
        record.id,
        dossier.chain,
        record.asset.content
    );
    let said: String = plain(said)
        .chars()
        .take(DESCRIPTION - ours.chars().count() - 2)
        .collect();
    if said.trim().is_empty() {
        return ours;
    }
    format!("{}\n\n{ours}", said.trim())
}

/// A stranger's text for readers that may take it for Markdown or HTML: no tag, no link, nothing that hides or turns text.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '<' => '‹',
            '>' => '›',
            '[' => '(',
            ']' => ')',
            '`' => '\'',
            '\n' => '\n',
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') =>
            {
                ' '
            }
            c => c,
        })
        .collect()
}
