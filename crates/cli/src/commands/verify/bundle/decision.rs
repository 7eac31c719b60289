//! What a bundle of a decision shows: its files alone, and its files against a chain.

use counterweight_chain::ledger::ContractReader;
use counterweight_federated::audit::Verdict;
use counterweight_primitives::{Address, Sha256Digest};
use counterweight_provenance::{
    bundle::Bundle,
    decision::{
        Disclosure, Trust, UncheckedDisclosure,
        entry::EntryKind,
        receipt::{DecisionReceipt, UncheckedDecisionReceipt},
    },
    ledger::{AnchorReader as _, AssetKind, LogId},
    log::{account_signature::AccountCheckpoint, note::Note, policy::Policy, tree::leaf_hash},
};

use super::{super::Check, Verified, file, name, no, unknown};
use crate::{
    error::{CliError, Code, with_causes},
    session::{Asset, Assets},
};

/// Longest path: a tree has at most 2^64 leaves.
const LONGEST_PATH: usize = 64;

/// What a bundle says it is about.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) index: u64,
    pub(crate) origin: &'a str,
    pub(crate) owner: Address,
}

/// Its files, checked.
pub(crate) struct Files {
    pub(crate) disclosure: Disclosure,
    pub(crate) receipt: Option<DecisionReceipt>,
    /// From the entry to the root that is anchored, if it is.
    pub(crate) path: Option<Vec<Sha256Digest>>,
}

/// Checks the files: log, owner, decision, fields, explanation, receipt.
pub(super) fn files(bundle: &Bundle, named: Named<'_>, verified: &mut Verified) -> Result<Files, Check> {
    let differs = |sentence: String| no("decision", Code::DisclosureRefused, sentence);
    let policy = std::str::from_utf8(file(bundle, name::DECISION_POLICY)?)
        .map_err(|error| differs(error.to_string()))
        .and_then(|text| Policy::parse(text).map_err(|error| differs(with_causes(&error))))?;
    let disclosure = UncheckedDisclosure::decode(file(bundle, name::DISCLOSURE)?)
        .and_then(|disclosure| disclosure.verify(Trust::Policy(&policy)))
        .map_err(|error| differs(with_causes(&error)))?;
    let tree = disclosure.receipt().checkpoint().checkpoint();
    let (index, origin) = (disclosure.receipt().index(), tree.origin.as_str());
    if index != named.index || origin != named.origin {
        return Err(differs(format!(
            "it is entry {index} of {origin}, the bundle names entry {} of {}",
            named.index, named.origin
        )));
    }
    let profile = disclosure.profile();
    verified.subject = format!("decision {index} of {origin}");
    let entry = disclosure.entry();
    let what = match entry.kind {
        EntryKind::Decision { counter } => format!("number {counter}"),
        EntryKind::Correction { replaces } => format!("in place of entry {replaces}"),
        EntryKind::Explanation { decision } => format!("about entry {decision}"),
    };
    let mut yes = |check: &str, sentence: String| {
        verified
            .checks
            .push(Check::new(check, Verdict::Yes, Code::DisclosureRefused, sentence));
    };
    yes(
        "decision",
        format!(
            "entry {index} of {}: {what} of {}, {}",
            tree.size,
            profile.endpoint(),
            entry.time.seconds().to_rfc3339()
        ),
    );
    yes(
        "fields",
        format!(
            "{} shown, {} hidden; all lead to the entry",
            disclosure.shown().count(),
            disclosure.hidden()
        ),
    );
    match disclosure.contributions() {
        (0, _) => verified
            .missing
            .push("an explanation: no contributions are shown".to_owned()),
        (shown, held) if shown == held => {
            yes(
                "explanation",
                format!("{held} contributions recomputed bit for bit"),
            );
        }
        (shown, held) => verified.checks.push(unknown(
            "explanation",
            format!("{held} of {shown} contributions recomputed: the others lack input or parameters"),
        )),
    }
    verified.checks.push(signature(&disclosure, named.owner));
    let witnesses = disclosure
        .trusted()
        .map_or(0, |trusted| trusted.witnesses().len());
    if witnesses == 0 {
        verified
            .missing
            .push("cosignatures: the policy in the bundle asks for no witness".to_owned());
    }
    let receipt = receipt(bundle, &disclosure, named, verified)?;
    let path = bundle.file(name::ANCHOR_PATH).map(path).transpose()?;
    Ok(Files {
        disclosure,
        receipt,
        path,
    })
}

/// The owner's account answers for the checkpoint, and so for the key that signed it.
fn signature(disclosure: &Disclosure, owner: Address) -> Check {
    let signed = disclosure.receipt().checkpoint();
    let found = Note::parse(signed.note())
        .and_then(|note| AccountCheckpoint::find(signed.checkpoint(), note.signatures(), owner));
    match found {
        Ok(Some(_)) => Check::new(
            "signature",
            Verdict::Yes,
            Code::DisclosureRefused,
            format!("account {owner} signed the checkpoint"),
        ),
        Ok(None) => unknown(
            "signature",
            format!("account {owner} did not sign the checkpoint"),
        ),
        Err(error) => no("signature", Code::DisclosureRefused, with_causes(&error)),
    }
}

fn receipt(
    bundle: &Bundle,
    disclosure: &Disclosure,
    named: Named<'_>,
    verified: &mut Verified,
) -> Result<Option<DecisionReceipt>, Check> {
    let Some(bytes) = bundle.file(name::RECEIPT) else {
        verified
            .missing
            .push("a receipt: the one that whoever asked was given".to_owned());
        return Ok(None);
    };
    let wrong = |sentence: String| no("receipt", Code::DisclosureRefused, sentence);
    let receipt = UncheckedDecisionReceipt::decode(bytes)
        .and_then(|receipt| receipt.verify(named.owner))
        .map_err(|error| wrong(with_causes(&error)))?;
    let promise = receipt.promise();
    let leaf = leaf_hash(&disclosure.entry().encode());
    if receipt.origin() != named.origin || promise.index != named.index || promise.leaf != leaf {
        return Err(wrong(format!(
            "it promises entry {} of {}, another than this",
            promise.index,
            receipt.origin()
        )));
    }
    verified.checks.push(Check::new(
        "receipt",
        Verdict::Yes,
        Code::DisclosureRefused,
        "the entry stands where it was promised",
    ));
    Ok(Some(receipt))
}

fn path(bytes: &[u8]) -> Result<Vec<Sha256Digest>, Check> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() > LONGEST_PATH {
        return Err(no(
            "anchor",
            Code::BundleDiffers,
            "the path is not a list of at most 64 hashes",
        ));
    }
    Ok(hashes.iter().map(|hash| Sha256Digest(*hash)).collect())
}

/// Whether a chain holds a root over the decision, and since when.
///
/// # Errors
/// Those of the chain.
pub(crate) fn anchor(reader: &ContractReader, named: Named<'_>, files: &Files) -> Result<Check, CliError> {
    let log = LogId::of_origin(named.origin);
    let Some(head) = reader.anchored_head(named.owner, log)? else {
        return Ok(unknown("anchor", "the log is not anchored on this chain"));
    };
    if head.forked {
        let sentence = "its owner signed two histories: nothing of it counts as anchored";
        return Ok(no("anchor", Code::LogDiffers, sentence));
    }
    if head.size <= named.index {
        let sentence = format!("{} entries are anchored, and this is a later one", head.size);
        return Ok(unknown("anchor", sentence));
    }
    let Some(path) = &files.path else {
        return Ok(unknown(
            "anchor",
            format!("{} is not in the bundle", name::ANCHOR_PATH),
        ));
    };
    let leaf = leaf_hash(&files.disclosure.entry().encode());
    if !reader.is_anchored(named.owner, log, named.index, leaf, path)? {
        let sentence = "the entry is not under the root that the chain holds";
        return Ok(no("anchor", Code::LogDiffers, sentence));
    }
    let by = head.anchored_at;
    let in_time = match &files.receipt {
        Some(receipt) if by <= receipt.promise().deadline => ", in the time that the receipt promised",
        Some(_) => "; whether by the receipt's deadline cannot be told from the newest anchor",
        None => "",
    };
    Ok(Check::new(
        "anchor",
        Verdict::Yes,
        Code::LogDiffers,
        format!(
            "under the root of {} entries that account {} anchored at {}{in_time}",
            head.size,
            named.owner,
            by.to_rfc3339()
        ),
    ))
}

/// The model that decided, where it is registered: by the log's owner if it is theirs, else whoever was first.
pub(crate) fn model<'a>(assets: &'a Assets, named: Named<'_>, disclosure: &Disclosure) -> Option<&'a Asset> {
    let content = disclosure.profile().model();
    let mut same = assets
        .of_kind(AssetKind::Model)
        .filter(move |asset| asset.record.asset.content == content);
    let first = same.next()?;
    let is_own = |asset: &&Asset| asset.record.registered_to == named.owner;
    [first].into_iter().chain(same).find(is_own).or(Some(first))
}
