//! Exports in a bundle: for readers who know other formats. All of them follow from what the bundle proves, so each is written
//! anew and compared.

use counterweight_chain::ledger::ContractReader;
use counterweight_federated::{audit::Verdict, blobs::Blobs};
use counterweight_primitives::Address;
use counterweight_provenance::{
    bundle::Bundle,
    decision::Disclosure,
    manifest::{MANIFEST_BYTES, Manifest},
};
use counterweight_standards::{
    export::{BomVersion, Dossier, LogEntry, Run, annex_iv, decision_prov, ml_bom, model_card, prov},
    record_keeping::article_12,
};
use serde_json::json;

use super::super::Check;
use crate::{
    commands::model::pretty,
    error::{CliError, Code},
    session::{Asset, Assets},
};

/// Before the name of an export.
pub(crate) const FOLDER: &str = "exports/";

/// Files and their bytes.
pub(crate) type Exports = Vec<(&'static str, Vec<u8>)>;

/// A model's: card, bill of materials, lineage, Annex IV.
///
/// # Errors
/// Those of lineage and manifests.
pub(crate) fn of_model(
    reader: &ContractReader,
    blobs: &dyn Blobs,
    assets: &Assets,
    model: &Asset,
    logged: Option<LogEntry>,
) -> Result<Exports, CliError> {
    let graph = assets.lineage()?;
    let digest = match &model.manifest {
        Some(Manifest::Model(manifest)) => manifest.run,
        _ => None,
    };
    let run = digest.and_then(|digest| {
        let bytes = blobs.get(&digest, MANIFEST_BYTES as u64).ok()?;
        match Manifest::decode_expected(&bytes, &digest) {
            Ok(Manifest::Run(manifest)) => Some(Run { digest, manifest }),
            _ => None,
        }
    });
    let deployment = reader.deployment();
    let place = (deployment.chain_id, deployment.asset_registry);
    let dossier = Dossier::gather(&graph, model.record.id, place, run, logged)?;
    let annex = annex_iv(&dossier)?;
    Ok(vec![
        ("exports/annex-iv.json", pretty(&annex)?),
        ("exports/annex-iv.md", annex.to_markdown().into_bytes()),
        ("exports/lineage.prov.json", pretty(&prov(&dossier))?),
        (
            "exports/ml-bom.cdx.json",
            pretty(&ml_bom(&dossier, BomVersion::V1_6)?)?,
        ),
        ("exports/model-card.md", model_card(&dossier)?.into_bytes()),
    ])
}

/// A decision's: what its profile keeps of Article 12, and where it came from.
///
/// # Errors
/// [`Code::Fault`].
pub(crate) fn of_decision(disclosure: &Disclosure, owner: Address) -> Result<Exports, CliError> {
    let profile = disclosure.profile();
    let record_keeping = json!({
        "endpoint": profile.endpoint(),
        "profile": profile.id().to_string(),
        "points": article_12(profile, false),
    });
    Ok(vec![
        ("exports/article-12.json", pretty(&record_keeping)?),
        (
            "exports/decision.prov.json",
            pretty(&decision_prov(disclosure, owner))?,
        ),
    ])
}

/// Compares what is in a bundle with what follows from it.
pub(super) fn check(bundle: &Bundle, expected: &Exports) -> Check {
    let check = |verdict, code, sentence: String| Check::new("exports", verdict, code, sentence);
    for (name, bytes) in expected {
        match bundle.file(name) {
            None => {
                let sentence = format!("{name} is not in the bundle");
                return check(Verdict::Unknown, Code::CheckUnknown, sentence);
            }
            Some(found) if found != bytes => {
                let sentence = format!("{name} says something else than the rest of the bundle");
                return check(Verdict::No, Code::BundleDiffers, sentence);
            }
            Some(_) => {}
        }
    }
    let more = bundle
        .files()
        .map(|(name, _)| name)
        .find(|name| name.starts_with(FOLDER) && expected.iter().all(|(known, _)| known != name));
    if let Some(name) = more {
        return check(
            Verdict::No,
            Code::BundleDiffers,
            format!("{name} has no place in a bundle"),
        );
    }
    check(
        Verdict::Yes,
        Code::BundleDiffers,
        format!(
            "{} documents say what the rest of the bundle does, byte for byte",
            expected.len()
        ),
    )
}
