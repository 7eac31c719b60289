//! What anybody can check, with no key but public ones.

use std::path::Path;

use counterweight_primitives::Address;
use counterweight_provenance::{
    decision::{
        Disclosure, Trust, UncheckedDisclosure,
        entry::{DecisionEntry, EntryKind},
        receipt::UncheckedDecisionReceipt,
    },
    log::{note::VerifierKey, policy::Policy, receipt::UncheckedReceipt, tree::leaf_hash},
};
use serde_json::json;

use crate::{
    commands::log::{Place, parse_key, prove as prove_entry, read},
    error::{CliError, Code, Status, with_causes},
    output::{Answer, Cell, Table},
};

/// Prints the proof of a decision.
pub(super) fn prove(index: u64, folder: &Path) -> Result<Answer, CliError> {
    let place = Place::at(&folder.join("log"));
    let reader = place.reader()?;
    let checkpoint = reader.checkpoint()?;
    let entry = reader.entries(&checkpoint, index, 1)?.pop();
    let entry = entry.and_then(|(_, bytes)| DecisionEntry::decode(&bytes));
    let entry = entry.ok_or_else(|| {
        CliError::new(
            Code::NoDecision,
            format!("entry {index} is no decision of this log"),
        )
        .fact("entries", checkpoint.checkpoint().size.to_string())
        .fix("give the number that recording it answered")
    })?;
    let bytes = hex::encode(entry.encode());
    Ok(prove_entry(index, &place)?.json("entry", bytes))
}

/// What a receipt is held against.
pub(super) struct Promised<'a> {
    pub(super) owner: Option<Address>,
    pub(super) proof: Option<&'a Path>,
    pub(super) entry: Option<&'a str>,
}

/// Checks a disclosure or a receipt.
pub(super) fn verify(
    file: &Path,
    vkey: Option<&str>,
    policy: Option<&Path>,
    promised: &Promised<'_>,
) -> Result<Answer, CliError> {
    let bytes = read(file)?;
    let key: Option<VerifierKey> = vkey.map(parse_key).transpose()?;
    let policy = policy.map(read_policy).transpose()?;
    let trust = match (&key, &policy) {
        (_, Some(policy)) => Trust::Policy(policy),
        (Some(key), None) => Trust::Key(key),
        (None, None) => return Err(CliError::fault("neither key nor policy, though one is required")),
    };
    let bytes = bytes.trim_ascii_end();
    // Which of the two it is shows in the one member that both have.
    let document: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let format = document
        .as_ref()
        .and_then(|document| document.get("format")?.as_str());
    if format.is_some_and(|format| format.starts_with("counterweight/decision-receipt/")) {
        return receipt(bytes, trust, promised);
    }
    match UncheckedDisclosure::decode(bytes).and_then(|disclosure| disclosure.verify(trust)) {
        Ok(disclosure) => Ok(shown(&disclosure)),
        Err(error) => Err(
            CliError::new(Code::DisclosureRefused, "the disclosure does not hold")
                .fact("file", file.display().to_string())
                .why(with_causes(&error))
                .fix("ask whoever gave it for another, made by cw decision disclose"),
        ),
    }
}

fn shown(disclosure: &Disclosure) -> Answer {
    let entry = disclosure.entry();
    let profile = disclosure.profile();
    let tree = disclosure.receipt().checkpoint().checkpoint();
    let (contributions, recomputed) = disclosure.contributions();
    let mut table = Table::new(["field", "role", "value"]);
    let mut fields = Vec::new();
    for (field, value) in disclosure.shown() {
        table.push([
            Cell::text(&field.name),
            Cell::text(field.role.to_string()),
            Cell::text(value.to_string()),
        ]);
        fields.push(json!({"name": field.name, "role": field.role, "value": value.to_json()}));
    }
    let (counter, what) = match entry.kind {
        EntryKind::Decision { counter } => (Some(counter), format!("number {counter}")),
        EntryKind::Correction { replaces } => (None, format!("in place of entry {replaces}")),
        EntryKind::Explanation { decision } => (None, format!("about entry {decision}")),
    };
    let witnesses = disclosure.trusted().map_or_else(
        || "unknown  witnesses    only the log's own key was asked for".to_owned(),
        |trusted| {
            format!(
                "yes  witnesses    {} cosigned the checkpoint",
                trusted.witnesses().len()
            )
        },
    );
    let explanation = match (contributions, recomputed) {
        (0, _) => "unknown  explanation  no contributions are shown".to_owned(),
        (shown, held) if shown == held => {
            format!("yes  explanation  {held} contributions recomputed bit for bit")
        }
        (shown, held) => format!(
            "unknown  explanation  {held} of {shown} contributions recomputed: the others lack input or parameters"
        ),
    };
    Answer::new("decision-verify/1")
        .json("holds", true)
        .json("index", disclosure.receipt().index())
        .json("origin", tree.origin.as_str())
        .json("size", tree.size)
        .json("endpoint", profile.endpoint())
        .json("counter", counter)
        .json(
            "replaces",
            match entry.kind {
                EntryKind::Correction { replaces } => Some(replaces),
                _ => None,
            },
        )
        .json("time", entry.time.seconds().to_rfc3339())
        .json("model", profile.model().to_string())
        .json("reviewed", entry.flags.reviewed)
        .json("overridden", entry.flags.overridden)
        .json("generated", entry.flags.generated)
        .json("fields", fields)
        .json("hidden", disclosure.hidden())
        .json("contributions", contributions)
        .json("recomputed", recomputed)
        .line(format!(
            "yes  log          entry {} of {} in {}",
            disclosure.receipt().index(),
            tree.size,
            tree.origin
        ))
        .line(format!(
            "yes  decision     {what} of {}, {}",
            profile.endpoint(),
            entry.time.seconds().to_rfc3339()
        ))
        .line(format!("yes  model        {}", profile.model()))
        .line(format!(
            "yes  fields       {} shown, {} hidden",
            disclosure.shown().count(),
            disclosure.hidden()
        ))
        .line(witnesses)
        .line(explanation)
        .gap()
        .table(table)
}

fn receipt(bytes: &[u8], trust: Trust<'_>, promised: &Promised<'_>) -> Result<Answer, CliError> {
    let owner = promised.owner.ok_or_else(|| {
        CliError::new(Code::AnswerNeeded, "this is a receipt, and nobody said whose")
            .fix("give the account that owns the log with --owner")
    })?;
    let refused = |error: &dyn std::error::Error| {
        CliError::new(Code::DisclosureRefused, "the receipt does not hold")
            .why(with_causes(error))
            .fix("keep it: whoever gave it did not sign this")
    };
    let receipt = UncheckedDecisionReceipt::decode(bytes)
        .and_then(|receipt| receipt.verify(owner))
        .map_err(|error| refused(&error))?;
    let promise = receipt.promise();
    let answer = Answer::new("decision-receipt/1")
        .json("origin", receipt.origin())
        .json("endpoint", promise.endpoint.to_string())
        .json("counter", promise.counter)
        .json("index", promise.index)
        .json("leaf", promise.leaf.to_string())
        .json("deadline", promise.deadline.to_rfc3339())
        .line(format!("yes  signature  {owner}"))
        .line(format!(
            "yes  promise    entry {} of {} by {}",
            promise.index,
            receipt.origin(),
            promise.deadline.to_rfc3339()
        ));
    let (Some(proof), Some(entry)) = (promised.proof, promised.entry) else {
        return Ok(answer
            .json("kept", serde_json::Value::Null)
            .line("unknown  kept       give --proof and --entry")
            .status(Status::No));
    };
    let entry = hex::decode(entry).map_err(|_| {
        CliError::new(Code::BadValue, "the entry is not hexadecimal")
            .fix("give it as it came with the receipt")
    })?;
    let text = String::from_utf8_lossy(&read(proof)?).into_owned();
    let included = UncheckedReceipt::from_text(&text).and_then(|proof| match trust {
        Trust::Key(key) => proof.verify(&entry, key),
        Trust::Policy(policy) => proof.verify_under(&entry, policy).map(|(receipt, _)| receipt),
    });
    let reason = match included {
        Err(error) => Some(with_causes(&error)),
        Ok(proof) if proof.checkpoint().checkpoint().origin != receipt.origin() => {
            Some("the proof is of another log".to_owned())
        }
        Ok(proof) if proof.index() != promise.index => Some(format!("the entry stands at {}", proof.index())),
        Ok(_) if leaf_hash(&entry) != promise.leaf => Some("the receipt is of another entry".to_owned()),
        Ok(_) => None,
    };
    Ok(match reason {
        None => answer
            .json("kept", true)
            .line("yes  kept       the entry is where it was promised"),
        Some(reason) => answer
            .json("kept", false)
            .line(format!("no   kept       {reason}"))
            .status(Status::No),
    })
}

fn read_policy(path: &Path) -> Result<Policy, CliError> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Policy::parse(&text).map_err(|error| {
        CliError::new(Code::BadValue, "this is no policy")
            .why(error.to_string())
            .fix("write it as C2SP tlog-policy says; see docs/spec/log.md")
    })
}
