//! `cw verify bundle`: check a file that says everything, with no chain and no network.

pub(crate) mod decision;
pub(crate) mod exports;

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterweight_chain::{
    deploy::Deployment,
    evidence::{Evidence, RecordedChain},
    ledger::ContractReader,
    network::Network as _,
};
use counterweight_federated::{audit::Verdict, blobs::Blobs, study::FileFormat};
use counterweight_primitives::{Address, ContentDigest};
use counterweight_provenance::{
    blobs::BlobError,
    bundle::{Bundle, ChainPoint, Subject},
    ledger::AssetKind,
};
use counterweight_standards::export::LogEntry;

use super::{Check, Holdout, Sources, answer, model_checks};
use crate::{
    error::{CliError, Code, with_causes},
    output::Answer,
    session::{Asset, Assets},
    training::{LogCheck, is_anchored, read_statement},
};

/// Largest bundle that is read: it is held in memory.
pub(crate) const BUNDLE_BYTES: usize = 1 << 30;

/// Names of files in a bundle.
pub(crate) mod name {
    pub(crate) const HEADERS: &str = "chain/headers";
    pub(crate) const RECEIPTS: &str = "chain/receipts";
    pub(crate) const STATE: &str = "chain/state";
    pub(crate) const CODE: &str = "chain/code";
    pub(crate) const DEPLOYMENT: &str = "chain/deployment.json";
    pub(crate) const ENTRY: &str = "log/entry";
    pub(crate) const PROOF: &str = "log/proof";
    pub(crate) const POLICY: &str = "log/policy";
    pub(crate) const HOLDOUT_CSV: &str = "holdout.csv";
    pub(crate) const HOLDOUT_PARQUET: &str = "holdout.parquet";
    pub(crate) const DISCLOSURE: &str = "decision/disclosure.json";
    pub(crate) const DECISION_POLICY: &str = "decision/policy";
    pub(crate) const RECEIPT: &str = "decision/receipt.json";
    pub(crate) const ANCHOR_PATH: &str = "decision/anchor-path";
    /// Before the digits of a blob's digest.
    pub(crate) const BLOBS: &str = "blobs/";
}

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Hash of the block that it must stand on, as block:HASH, from a source you trust
    #[arg(long, value_name = "block:HASH")]
    block: Option<String>,
    /// Account that must answer for it: the log's owner, or whoever registered the model
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,
}

/// What whoever asks trusts already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trusted {
    /// Hash of the block.
    pub(crate) block: Option<String>,
    /// Who answers for it.
    pub(crate) owner: Option<Address>,
}

/// Checks a bundle.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::BadValue`]; whatever is wrong with the file itself is an answer.
pub(super) fn run(arguments: &Arguments) -> Result<Answer, CliError> {
    let trusted = Trusted {
        block: arguments.block.as_deref().map(block_hash).transpose()?,
        owner: arguments.owner,
    };
    let bytes = read(&arguments.file)?;
    let verified = verify(&bytes, &trusted);
    let mut answer = answer(&verified.subject, &verified.checks, &verified.assumed);
    for missing in &verified.missing {
        answer = answer.line(format!("missing: {missing}"));
    }
    Ok(answer
        .json("digest", ContentDigest::of(&bytes).to_string())
        .json("missing", verified.missing.as_slice()))
}

fn read(file: &Path) -> Result<Vec<u8>, CliError> {
    let unreadable = |error: std::io::Error| {
        CliError::new(Code::FileUnreadable, format!("{} cannot be read", file.display()))
            .fact("system", error.to_string())
            .fix("check its name and permissions")
    };
    // Looked at before it is read: the file may be anybody's.
    let size = fs::metadata(file).map_err(unreadable)?.len();
    if size > BUNDLE_BYTES as u64 {
        return Err(
            CliError::new(Code::BadValue, format!("{} is too large", file.display()))
                .why(format!("{size} bytes, at most {BUNDLE_BYTES} are read"))
                .fix("ask for a bundle of one model"),
        );
    }
    fs::read(file).map_err(unreadable)
}

/// `block:`, `0x` and 64 digits, which come back in lower case. The name in front tells it from a private key.
fn block_hash(text: &str) -> Result<String, CliError> {
    let hash = text.strip_prefix("block:").unwrap_or_default();
    let digits = hash.strip_prefix("0x").unwrap_or(hash).to_ascii_lowercase();
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(CliError::new(Code::BadValue, "this is no hash of a block")
            .why("it is written block:0x and 64 hexadecimal digits")
            .fix("copy it from a block explorer or a node of your own: eth_getBlockByNumber"));
    }
    Ok(format!("0x{digits}"))
}

/// What was found.
pub(crate) struct Verified {
    /// What it is about.
    pub(crate) subject: String,
    /// Each question and its answer.
    pub(crate) checks: Vec<Check>,
    /// What the answers rest on besides.
    pub(crate) assumed: Vec<String>,
    /// What is not in the file and was not looked at.
    pub(crate) missing: Vec<String>,
}

/// Checks the bytes of a bundle. Nothing is trusted but what `trusted` says; without it hash and owner are assumed.
pub(crate) fn verify(bytes: &[u8], trusted: &Trusted) -> Verified {
    let mut verified = Verified {
        subject: "a bundle".to_owned(),
        checks: Vec::new(),
        assumed: Vec::new(),
        missing: Vec::new(),
    };
    let bundle = match Bundle::decode(bytes, BUNDLE_BYTES) {
        Ok(bundle) => bundle,
        Err(error) => {
            verified
                .checks
                .push(no("file", Code::BundleDiffers, with_causes(&error)));
            return verified;
        }
    };
    verified.checks.push(Check::new(
        "file",
        Verdict::Yes,
        Code::BundleDiffers,
        format!(
            "{} files, each as listed, and nothing else",
            bundle.files().count()
        ),
    ));
    verified.subject = match &bundle.subject {
        Subject::Model { asset } => format!("asset {asset}"),
        Subject::Decision { index, origin, .. } => format!("entry {index} of {origin}"),
    };
    if let Err(check) = inside(&bundle, trusted, &mut verified) {
        verified.checks.push(check);
    }
    verified
}

fn no(check: &str, code: Code, sentence: impl Into<String>) -> Check {
    Check::new(check, Verdict::No, code, sentence)
}

fn unknown(check: &str, sentence: impl Into<String>) -> Check {
    Check::new(check, Verdict::Unknown, Code::CheckUnknown, sentence)
}

/// The error of a chain that is a file: what it cannot tell is unknown, whatever it would mean of a living one.
fn untold(check: &str) -> impl Fn(CliError) -> Check {
    move |error| unknown(check, error.message())
}

/// All checks after the file's own; the first that nothing can go on without is given back.
fn inside(bundle: &Bundle, trusted: &Trusted, verified: &mut Verified) -> Result<(), Check> {
    check_names(bundle)?;
    let held = match &bundle.subject {
        Subject::Model { .. } => None,
        Subject::Decision { index, origin, owner } => {
            let named = decision::Named {
                index: *index,
                origin,
                owner: *owner,
            };
            answers(*owner, "the log", trusted, verified)?;
            Some((named, decision::files(bundle, named, verified)?))
        }
    };
    let Some(point) = &bundle.chain else {
        let sentence =
            "there is no chain in the bundle: whoever keeps the log could show others another history";
        verified.checks.push(unknown("anchor", sentence));
        if let Some((named, files)) = &held {
            let expected = exports::of_decision(&files.disclosure, named.owner).map_err(untold("exports"))?;
            verified.checks.push(exports::check(bundle, &expected));
        }
        return Ok(());
    };
    let reader = contracts(bundle, point, trusted, verified)?;
    let blobs = Files(bundle);
    let assets = Assets::read_from(&reader, &blobs).map_err(untold("registry"))?;
    let mut expected = Vec::new();
    let model = match (&bundle.subject, &held) {
        (_, Some((named, files))) => {
            let anchor = decision::anchor(&reader, *named, files).map_err(untold("anchor"))?;
            verified.checks.push(anchor);
            expected = exports::of_decision(&files.disclosure, named.owner).map_err(untold("exports"))?;
            decision::model(&assets, *named, &files.disclosure)
        }
        (Subject::Model { asset }, _) => {
            let model = assets
                .by_id(*asset)
                .filter(|model| model.record.asset.kind == AssetKind::Model)
                .ok_or_else(|| {
                    let sentence = format!("asset {asset} is no model there");
                    no("registry", Code::EvidenceDiffers, sentence)
                })?;
            verified.subject = format!("model {}", model.full_name());
            if trusted.owner.is_some() {
                answers(model.record.registered_to, "the model", trusted, verified)?;
            }
            Some(model)
        }
        (Subject::Decision { .. }, None) => None,
    };
    match model {
        Some(model) => {
            verified
                .missing
                .push("files of datasets: they stay with their stewards".to_owned());
            let logged = model_part(bundle, &reader, &assets, model, verified)?;
            match exports::of_model(&reader, &blobs, &assets, model, logged) {
                Ok(more) => expected.extend(more),
                Err(error) => verified.checks.push(unknown("exports", error.message())),
            }
        }
        None => verified
            .missing
            .push("the model's lineage: its bytes are registered on this chain by nobody".to_owned()),
    }
    verified.checks.push(exports::check(bundle, &expected));
    Ok(())
}

/// Whether the account that answers for something is the one that is trusted; assumed where none is given.
fn answers(owner: Address, what: &str, trusted: &Trusted, verified: &mut Verified) -> Result<(), Check> {
    match trusted.owner {
        Some(given) if given != owner => {
            let sentence = format!("account {owner} answers for {what}, you trust {given}");
            Err(no("owner", Code::OtherOwner, sentence))
        }
        Some(_) => {
            let sentence = format!("account {owner}, which you gave, answers for {what}");
            verified
                .checks
                .push(Check::new("owner", Verdict::Yes, Code::OtherOwner, sentence));
            Ok(())
        }
        None => {
            verified.assumed.push(format!(
                "account {owner} answers for {what}: compare, or give whom you trust with --owner ADDRESS"
            ));
            Ok(())
        }
    }
}

/// The contracts in a bundle, under the hash of its block.
fn contracts(
    bundle: &Bundle,
    point: &ChainPoint,
    trusted: &Trusted,
    verified: &mut Verified,
) -> Result<ContractReader, Check> {
    let chain = Arc::new(chain(bundle, point.id)?);
    let head = chain
        .head()
        .map_err(|error| no("block", Code::EvidenceDiffers, error.to_string()))?;
    let hash = format!("{:#x}", head.hash);
    if hash != point.hash || head.number != point.block {
        let sentence = format!(
            "the headers lead to block {} with hash {hash}, the bundle names {} and {}",
            head.number, point.block, point.hash
        );
        return Err(no("block", Code::EvidenceDiffers, sentence));
    }
    let id = point.id;
    match &trusted.block {
        Some(trusted) if *trusted != hash => {
            let sentence = format!("block {} has hash {hash}, you trust {trusted}", head.number);
            return Err(no("block", Code::OtherBlock, sentence));
        }
        Some(_) => verified.checks.push(Check::new(
            "block",
            Verdict::Yes,
            Code::OtherBlock,
            format!(
                "everything stands on block {} of chain {id}, whose hash you gave",
                head.number
            ),
        )),
        None => verified.assumed.push(format!(
            "block {} of chain {id} has hash {hash}: compare, or give what you trust with --block block:HASH",
            head.number
        )),
    }

    let deployment: Deployment = serde_json::from_slice(file(bundle, name::DEPLOYMENT)?)
        .map_err(|error| no("contracts", Code::BundleDiffers, error.to_string()))?;
    if deployment.chain_id != id {
        let sentence = format!("they are on chain {}, the bundle names {id}", deployment.chain_id);
        return Err(no("contracts", Code::EvidenceDiffers, sentence));
    }
    deployment
        .check(&*chain)
        .map_err(|error| match CliError::from(error) {
            error if error.code() == Code::NotDeployed => no("contracts", Code::NotDeployed, error.message()),
            error => unknown("contracts", error.message()),
        })?;
    verified.checks.push(Check::new(
        "contracts",
        Verdict::Yes,
        Code::NotDeployed,
        "their code is what this program was built with, and they name each other",
    ));
    Ok(ContractReader::read_only(chain, deployment))
}

/// Everything about a model; where its publication is logged.
fn model_part(
    bundle: &Bundle,
    reader: &ContractReader,
    assets: &Assets,
    model: &Asset,
    verified: &mut Verified,
) -> Result<Option<LogEntry>, Check> {
    let logged = RefCell::new(None);
    let log = |issuer, kind: &str, about| statement(bundle, reader, &logged, (issuer, kind, about));
    let sources = Sources {
        reader,
        blobs: &Files(bundle),
        holdout: holdout(bundle),
        dataset: &|_| None,
        log: &log,
    };
    verified
        .checks
        .extend(model_checks(&sources, assets, model).map_err(untold("model"))?);
    Ok(logged.into_inner())
}

/// Files that nobody asks for would be said to be fine unread.
fn check_names(bundle: &Bundle) -> Result<(), Check> {
    const KNOWN: [&str; 14] = [
        name::HEADERS,
        name::RECEIPTS,
        name::STATE,
        name::CODE,
        name::DEPLOYMENT,
        name::ENTRY,
        name::PROOF,
        name::POLICY,
        name::HOLDOUT_CSV,
        name::HOLDOUT_PARQUET,
        name::DISCLOSURE,
        name::DECISION_POLICY,
        name::RECEIPT,
        name::ANCHOR_PATH,
    ];
    // Those of a decision are read only where the bundle is about one.
    let decides = matches!(bundle.subject, Subject::Decision { .. });
    for (name, bytes) in bundle.files() {
        let known = match name.strip_prefix(name::BLOBS) {
            Some(digits) => ContentDigest::of(bytes).to_hex() == digits,
            None => {
                let known = KNOWN.contains(&name) && (decides || !name.starts_with("decision/"));
                // Which exports there may be is known once the model is.
                known || name.starts_with(exports::FOLDER)
            }
        };
        if !known {
            return Err(no(
                "file",
                Code::BundleDiffers,
                format!("{name} has no place in a bundle"),
            ));
        }
    }
    Ok(())
}

fn file<'a>(bundle: &'a Bundle, name: &str) -> Result<&'a [u8], Check> {
    bundle
        .file(name)
        .ok_or_else(|| unknown("file", format!("{name} is not in the bundle")))
}

fn chain(bundle: &Bundle, id: u64) -> Result<RecordedChain, Check> {
    let differs = |error| no("block", Code::EvidenceDiffers, with_causes(&error));
    let evidence = Evidence::decode(
        file(bundle, name::HEADERS)?,
        file(bundle, name::RECEIPTS)?,
        file(bundle, name::STATE)?,
        file(bundle, name::CODE)?,
    )
    .map_err(differs)?;
    RecordedChain::replay(id, evidence).map_err(differs)
}

fn holdout(bundle: &Bundle) -> Option<Holdout> {
    let formats = [
        (name::HOLDOUT_CSV, FileFormat::Csv),
        (name::HOLDOUT_PARQUET, FileFormat::Parquet),
    ];
    formats.into_iter().find_map(|(name, format)| {
        Some(Holdout {
            name: name.to_owned(),
            bytes: bundle.file(name)?.to_vec(),
            format,
        })
    })
}

fn statement(
    bundle: &Bundle,
    reader: &ContractReader,
    logged: &RefCell<Option<LogEntry>>,
    (issuer, kind, about): (Address, &str, ContentDigest),
) -> Result<LogCheck, CliError> {
    let text = |name| {
        bundle
            .file(name)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
    };
    let (Some(entry), Some(proof), Some(policy)) =
        (bundle.file(name::ENTRY), text(name::PROOF), text(name::POLICY))
    else {
        return Ok(LogCheck {
            index: None,
            size: 0,
            anchored: false,
            said: None,
        });
    };
    let found = read_statement(entry.to_vec(), proof, policy, (issuer, kind, about))?;
    *logged.borrow_mut() = Some(LogEntry {
        origin: found.key.name().to_owned(),
        index: found.receipt.index(),
    });
    Ok(LogCheck {
        index: Some(found.receipt.index()),
        size: found.receipt.checkpoint().checkpoint().size,
        anchored: is_anchored(reader, issuer, &found)?,
        said: found.said(),
    })
}

/// The blobs of a bundle.
struct Files<'a>(&'a Bundle);

impl Blobs for Files<'_> {
    fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
        // Nothing is kept: a check writes nothing.
        Ok(ContentDigest::of(bytes))
    }

    fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
        let name = format!("{}{}", name::BLOBS, digest.to_hex());
        let bytes = self.0.file(&name).ok_or(BlobError::Missing { digest: *digest })?;
        let got = bytes.len() as u64;
        if got > limit {
            return Err(BlobError::TooLarge {
                digest: *digest,
                got,
                limit,
            });
        }
        Ok(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests;
