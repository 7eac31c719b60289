//! Lineage as PROV-JSON (W3C member submission of 24 April 2013).
//!
//! Assets, updates and results of rounds are entities; runs and rounds are activities; accounts are agents.

use counterweight_primitives::{Address, AssetId, ContentDigest};
use counterweight_provenance::lineage::LineageNode;
use serde_json::{Map, Value, json};

use super::{Dossier, dossier::full_name};

/// An asset and all that it came from as one document.
#[must_use]
pub fn prov(dossier: &Dossier<'_>) -> Value {
    let mut document = Document::default();
    for account in dossier.accounts() {
        let described = json!({"prov:type": {"$": "prov:Agent", "type": "prov:QUALIFIED_NAME"}});
        document.put("agent", agent(account), described);
    }
    for node in dossier.nodes() {
        asset(&mut document, dossier, node);
    }
    if let Some(run) = &dossier.run {
        let manifest = &run.manifest;
        let activity = format!("run:{}", manifest.study);
        let described = json!({
            "prov:label": format!("training run {}", manifest.study),
            "cw:manifest": run.digest.to_string(),
            "cw:terms": manifest.terms.to_string(),
            "cw:rounds": manifest.rounds.len(),
            "cw:evidence": manifest.evidence.to_string(),
        });
        document.put("activity", activity.clone(), described);
        let subject = name(dossier.subject.record.id);
        let made = json!({"prov:entity": subject, "prov:activity": activity});
        document.relate("wasGeneratedBy", made);
        for member in &manifest.members {
            let with = json!({"prov:activity": activity, "prov:agent": agent(member.account)});
            document.relate("wasAssociatedWith", with);
            // What joined and contributed nothing is no ancestor, and was used all the same.
            if !dossier.nodes().any(|node| node.record.id == member.dataset) {
                document.put(
                    "entity",
                    name(member.dataset),
                    json!({"cw:manifest": member.manifest.to_string()}),
                );
            }
            let used = json!({
                "prov:activity": activity,
                "prov:entity": name(member.dataset),
                "cw:consentEpoch": member.consent_epoch,
                "cw:contributionMillionths": member.contribution.millionths(),
            });
            document.relate("used", used);
        }
        for round in &manifest.rounds {
            let step = format!("run:{}-{}", manifest.study, round.round);
            let described = json!({"prov:label": format!("round {} of run {}", round.round, manifest.study)});
            document.put("activity", step.clone(), described);
            document.relate(
                "wasInformedBy",
                json!({"prov:informed": activity, "prov:informant": step}),
            );
            let base = document.bytes(&round.base, "parameters before a round");
            document.relate("used", json!({"prov:activity": step, "prov:entity": base}));
            for update in &round.updates {
                let entity = document.bytes(&update.update, "update of a member");
                if update.aggregated {
                    document.relate("used", json!({"prov:activity": step, "prov:entity": entity}));
                }
                if let Some(member) = manifest.members.get(usize::from(update.member.0)) {
                    let by = json!({"prov:entity": entity, "prov:agent": agent(member.account)});
                    document.relate("wasAttributedTo", by);
                }
            }
            let result = document.bytes(&round.result, "parameters after a round");
            document.relate(
                "wasGeneratedBy",
                json!({"prov:entity": result, "prov:activity": step}),
            );
        }
    }
    let prefixes = json!({
        "cw": "urn:counterweight:vocabulary:",
        "asset": format!("urn:counterweight:eip155:{}:erc721:{}:", dossier.chain, dossier.registry),
        "account": format!("urn:counterweight:eip155:{}:", dossier.chain),
        "run": format!("urn:counterweight:eip155:{}:run:", dossier.chain),
        "blake3": "urn:blake3:",
    });
    document.0.insert("prefix".to_owned(), prefixes);
    Value::Object(document.0)
}

fn asset(document: &mut Document, dossier: &Dossier<'_>, node: &LineageNode) {
    let record = &node.record;
    let mut described = json!({
        "prov:label": full_name(node),
        "prov:type": {"$": format!("cw:{}", record.asset.kind.name()), "type": "prov:QUALIFIED_NAME"},
        "cw:content": record.asset.content.to_string(),
        "cw:manifest": record.asset.manifest.to_string(),
        "cw:registeredAt": record.registered_at.to_rfc3339(),
    });
    if let Some(logged) = dossier
        .logged
        .as_ref()
        .filter(|_| record.id == dossier.subject.record.id)
    {
        described["cw:logOrigin"] = json!(logged.origin);
        described["cw:logEntry"] = json!(logged.index);
    }
    document.put("entity", name(record.id), described);
    let attributed = json!({"prov:entity": name(record.id), "prov:agent": agent(record.registered_to)});
    document.relate("wasAttributedTo", attributed);
    for parent in &record.parents {
        let from = json!({
            "prov:generatedEntity": name(record.id),
            "prov:usedEntity": name(parent.asset),
            "cw:shareMillionths": parent.share.millionths(),
        });
        document.relate("wasDerivedFrom", from);
    }
    if let Some(previous) = record.asset.previous {
        // A version is no ancestor for money, so it may not be in the dossier.
        document.put_if_absent("entity", name(previous), json!({}));
        let revision = json!({
            "prov:generatedEntity": name(record.id),
            "prov:usedEntity": name(previous),
            "prov:type": {"$": "prov:Revision", "type": "prov:QUALIFIED_NAME"},
        });
        document.relate("wasDerivedFrom", revision);
    }
}

fn name(id: AssetId) -> String {
    format!("asset:{id}")
}

fn agent(account: Address) -> String {
    format!("account:{account}")
}

#[derive(Default)]
struct Document(Map<String, Value>);

impl Document {
    fn section(&mut self, kind: &str) -> Option<&mut Map<String, Value>> {
        self.0.entry(kind).or_insert_with(|| json!({})).as_object_mut()
    }

    fn put(&mut self, kind: &str, name: String, described: Value) {
        self.section(kind).map(|section| section.insert(name, described));
    }

    fn put_if_absent(&mut self, kind: &str, name: String, described: Value) {
        self.section(kind)
            .map(|section| section.entry(name).or_insert(described));
    }

    /// Bytes that are no asset, by their digest.
    fn bytes(&mut self, digest: &ContentDigest, label: &str) -> String {
        let name = format!("blake3:{}", digest.to_hex());
        self.put_if_absent("entity", name.clone(), json!({"prov:label": label}));
        name
    }

    fn relate(&mut self, kind: &str, relation: Value) {
        if let Some(section) = self.section(kind) {
            let name = format!("_:{kind}{}", section.len());
            section.insert(name, relation);
        }
    }
}
