//! `cw verify bundle`: check a file that says everything, with no chain and no network.

use std::{
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
    bundle::{Bundle, Subject},
    ledger::AssetKind,
};

use super::{Check, Holdout, Sources, answer, model_checks};
use crate::{
    error::{CliError, Code, with_causes},
    output::Answer,
    session::Assets,
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
}

/// Checks a bundle.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::BadValue`]; whatever is wrong with the file itself is an answer.
pub(super) fn run(arguments: &Arguments) -> Result<Answer, CliError> {
    let trusted = arguments.block.as_deref().map(block_hash).transpose()?;
    let bytes = read(&arguments.file)?;
    let verified = verify(&bytes, trusted.as_deref());
    Ok(answer(&verified.subject, &verified.checks, &verified.assumed)
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

/// Checks the bytes of a bundle. Nothing is trusted but `trusted`, the hash of a block; without it that hash is assumed.
pub(crate) fn verify(bytes: &[u8], trusted: Option<&str>) -> Verified {
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
    let Subject::Model { asset } = bundle.subject;
    verified.subject = format!("asset {asset}");
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
fn inside(bundle: &Bundle, trusted: Option<&str>, verified: &mut Verified) -> Result<(), Check> {
    check_names(bundle)?;
    let chain = Arc::new(chain(bundle)?);
    let head = chain
        .head()
        .map_err(|error| no("block", Code::EvidenceDiffers, error.to_string()))?;
    let hash = format!("{:#x}", head.hash);
    if hash != bundle.chain.hash || head.number != bundle.chain.block {
        let sentence = format!(
            "the headers lead to block {} with hash {hash}, the bundle names {} and {}",
            head.number, bundle.chain.block, bundle.chain.hash
        );
        return Err(no("block", Code::EvidenceDiffers, sentence));
    }
    let id = bundle.chain.id;
    match trusted {
        Some(trusted) if trusted != hash => {
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

    let reader = ContractReader::read_only(chain, deployment);
    let blobs = Files(bundle);
    let assets = Assets::read_from(&reader, &blobs).map_err(untold("registry"))?;
    let Subject::Model { asset } = bundle.subject;
    let model = assets
        .by_id(asset)
        .filter(|model| model.record.asset.kind == AssetKind::Model)
        .ok_or_else(|| {
            no(
                "registry",
                Code::EvidenceDiffers,
                format!("asset {asset} is no model there"),
            )
        })?;
    verified.subject = format!("model {}", model.full_name());
    verified
        .missing
        .push("files of datasets: they stay with their stewards".to_owned());
    let log = |issuer, kind: &str, about| statement(bundle, &reader, issuer, kind, about);
    let sources = Sources {
        reader: &reader,
        blobs: &blobs,
        holdout: holdout(bundle),
        dataset: &|_| None,
        log: &log,
    };
    verified
        .checks
        .extend(model_checks(&sources, &assets, model).map_err(untold("model"))?);
    Ok(())
}

/// Files that nobody asks for would be said to be fine unread.
fn check_names(bundle: &Bundle) -> Result<(), Check> {
    const KNOWN: [&str; 10] = [
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
    ];
    for (name, bytes) in bundle.files() {
        let known = match name.strip_prefix(name::BLOBS) {
            Some(digits) => ContentDigest::of(bytes).to_hex() == digits,
            None => KNOWN.contains(&name),
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

fn chain(bundle: &Bundle) -> Result<RecordedChain, Check> {
    let differs = |error| no("block", Code::EvidenceDiffers, with_causes(&error));
    let evidence = Evidence::decode(
        file(bundle, name::HEADERS)?,
        file(bundle, name::RECEIPTS)?,
        file(bundle, name::STATE)?,
        file(bundle, name::CODE)?,
    )
    .map_err(differs)?;
    RecordedChain::replay(bundle.chain.id, evidence).map_err(differs)
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
    issuer: Address,
    kind: &str,
    about: ContentDigest,
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
        });
    };
    let found = read_statement(entry.to_vec(), proof, policy, (issuer, kind, about))?;
    Ok(LogCheck {
        index: Some(found.receipt.index()),
        size: found.receipt.checkpoint().checkpoint().size,
        anchored: is_anchored(reader, issuer, &found)?,
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
