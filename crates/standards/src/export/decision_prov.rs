//! A decision that was shown, as PROV-JSON.
//!
//! The decision is an entity, made by an activity that used the model, for the account that owns the log. Of the fields those that
//! are shown are there, each with its role.

use counterweight_primitives::Address;
use counterweight_provenance::{
    decision::{Disclosure, entry::EntryKind},
    log::tree::leaf_hash,
};
use serde_json::{Map, Value, json};

/// A decision and what it was made with as one document.
#[must_use]
pub fn decision_prov(disclosure: &Disclosure, owner: Address) -> Value {
    let entry = disclosure.entry();
    let profile = disclosure.profile();
    let leaf = leaf_hash(&entry.encode()).to_hex();
    let (decision, activity) = (format!("decision:{leaf}"), format!("inference:{leaf}"));
    let account = format!("account:{owner}");
    let time = entry.time.seconds().to_rfc3339();
    let mut described = json!({
        "prov:label": format!("decision of {}", profile.endpoint()),
        "prov:type": {"$": "cw:decision", "type": "prov:QUALIFIED_NAME"},
        "cw:endpoint": profile.endpoint(),
        "cw:profile": entry.profile.to_string(),
        "cw:commitment": entry.commitment.to_string(),
        "cw:logOrigin": disclosure.receipt().checkpoint().checkpoint().origin,
        "cw:logEntry": disclosure.receipt().index(),
        "cw:reviewed": entry.flags.reviewed,
        "cw:overridden": entry.flags.overridden,
        "cw:generated": entry.flags.generated,
    });
    match entry.kind {
        EntryKind::Decision { counter } => described["cw:number"] = json!(counter),
        EntryKind::Explanation { decision } => described["cw:explains"] = json!(decision),
        EntryKind::Correction { replaces } => described["cw:replaces"] = json!(replaces),
    }
    let shown: Vec<Value> = disclosure
        .shown()
        .map(|(field, value)| json!(format!("{}:{} = {value}", field.role, field.name)))
        .collect();
    if !shown.is_empty() {
        described["cw:shown"] = json!(shown);
    }
    let mut entities = Map::new();
    entities.insert(decision.clone(), described);
    let model = format!("blake3:{}", profile.model().to_hex());
    entities.insert(model.clone(), json!({"prov:label": "the model"}));
    let mut used = Map::new();
    used.insert(
        "_:used0".to_owned(),
        json!({"prov:activity": activity, "prov:entity": model}),
    );
    if let Some(policy) = profile.policy() {
        let policy = format!("blake3:{}", policy.to_hex());
        let relation = json!({"prov:activity": activity, "prov:entity": policy});
        entities.insert(policy, json!({"prov:label": "the policy"}));
        used.insert("_:used1".to_owned(), relation);
    }
    let mut document = json!({
        "prefix": {
            "cw": "urn:counterweight:vocabulary:",
            "decision": "urn:counterweight:leaf:",
            "inference": "urn:counterweight:inference:",
            "account": "urn:counterweight:account:",
            "blake3": "urn:blake3:",
        },
        "entity": entities,
        "used": used,
        "wasGeneratedBy": {"_:made0": {"prov:entity": decision, "prov:activity": activity, "prov:time": time}},
        "wasAttributedTo": {"_:by0": {"prov:entity": decision, "prov:agent": account}},
        "wasAssociatedWith": {"_:with0": {"prov:activity": activity, "prov:agent": account}},
    });
    document["activity"][&activity] = json!({"prov:startTime": time, "prov:endTime": time});
    document["agent"][&account] = json!({"prov:type": {"$": "prov:Agent", "type": "prov:QUALIFIED_NAME"}});
    document
}
