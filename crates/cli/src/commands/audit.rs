//! `cw audit`: hand someone everything they need to check a claim.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use counterweight_chain::{evidence::RecordedChain, ledger::ContractReader, network::Network as _};
use counterweight_federated::{blobs::Blobs, study::FileFormat};
use counterweight_primitives::ContentDigest;
use counterweight_provenance::{
    blobs::{BlobError, BlobStore},
    bundle::{Bundle, BundleError, ChainPoint, Subject},
    ledger::AssetKind,
};

use super::{
    Context,
    verify::{Sources, answer, bundle_name as name, dataset_file, model_checks, read_holdout, verify_bundle},
};
use crate::{
    arguments::ThingName,
    error::{CliError, Code, with_causes},
    output::Answer,
    project::Project,
    session::{Assets, Session},
    training::{LogCheck, find_statement, is_anchored},
};

/// What to hand over.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Write one file with which anyone can check a model, with no chain and no network: cw verify bundle
    Bundle {
        /// The model, `name` or `name@2`
        name: ThingName,
        /// The file to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

/// Writes the file, and answers what it says when it is checked.
///
/// # Errors
/// Those of the chain; [`Code::AlreadyThere`].
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let Command::Bundle { name, output } = command;
    if output.exists() && !context.global.yes {
        return Err(CliError::new(
            Code::AlreadyThere,
            format!("{} is there already", output.display()),
        )
        .why("a bundle may be the only copy of what it proves")
        .fix("choose another name, or replace it with --yes"));
    }
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let bundle = record(&session, &name.0)?;
    let bytes = bundle.encode().map_err(|error| unfit(&error))?;
    let digest = ContentDigest::of(&bytes);
    // Read back as a stranger would read it.
    let verified = verify_bundle(&bytes, None);
    if context.global.dry_run {
        context.console.note("Nothing was written: --dry-run");
    } else {
        fs::write(output, &bytes).map_err(|error| {
            CliError::new(
                Code::FileUnreadable,
                format!("{} cannot be written", output.display()),
            )
            .fact("system", error.to_string())
            .fix("check the folder's permissions and the disk's free space")
        })?;
    }
    Ok(answer(&verified.subject, &verified.checks, &verified.assumed)
        .json("file", output.display().to_string())
        .json("bytes", bytes.len())
        .json("digest", digest.to_string())
        .json("missing", verified.missing.as_slice())
        .next(format!(
            "cw verify bundle {} --block block:{}",
            output.display(),
            bundle.chain.hash
        )))
}

fn unfit(error: &BundleError) -> CliError {
    CliError::new(Code::Fault, with_causes(error))
}

/// Runs the checks on a record of the chain, and keeps whatever they read.
fn record(session: &Session<'_>, wanted: &str) -> Result<Bundle, CliError> {
    let deployment = session.contracts()?.reader.deployment().clone();
    let chain = Arc::new(RecordedChain::begin(
        Arc::clone(&session.network),
        deployment.block,
    )?);
    deployment.check(&*chain)?;
    let reader = ContractReader::read_only(Arc::clone(&chain) as _, deployment.clone());
    let blobs = Kept::new(&session.blobs);
    let assets = Assets::read_from(&reader, &blobs)?;
    let model = assets.find(AssetKind::Model, wanted)?;

    let statement = Mutex::new(None);
    let dataset = |name: &str| dataset_file(session, name);
    let log = |issuer, kind: &str, about| {
        let (found, size) = find_statement(session, issuer, kind, about)?;
        let Some(found) = found else {
            return Ok(LogCheck {
                index: None,
                size,
                anchored: false,
            });
        };
        let check = LogCheck {
            index: Some(found.receipt.index()),
            size,
            anchored: is_anchored(&reader, issuer, &found)?,
        };
        *statement.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(check)
    };
    let sources = Sources {
        reader: &reader,
        blobs: &blobs,
        holdout: read_holdout(session),
        dataset: &dataset,
        log: &log,
    };
    model_checks(&sources, &assets, model)?;

    let head = chain.head()?;
    let point = ChainPoint {
        id: session.network.chain_id(),
        block: head.number,
        hash: format!("{:#x}", head.hash),
    };
    let mut bundle = Bundle::new(
        Subject::Model {
            asset: model.record.id,
        },
        point,
    );
    let mut put = |name: &str, bytes| bundle.put(name, bytes).map_err(|error| unfit(&error));
    let evidence = chain.evidence();
    put(name::HEADERS, evidence.encode_headers())?;
    put(name::RECEIPTS, evidence.encode_receipts())?;
    put(name::STATE, evidence.encode_nodes())?;
    put(name::CODE, evidence.encode_codes())?;
    let text =
        serde_json::to_vec(&deployment).map_err(|error| CliError::new(Code::Fault, error.to_string()))?;
    put(name::DEPLOYMENT, text)?;
    for (digest, bytes) in blobs.take() {
        put(&format!("{}{}", name::BLOBS, digest.to_hex()), bytes)?;
    }
    if let Some(holdout) = sources.holdout {
        let name = match holdout.format {
            FileFormat::Parquet => name::HOLDOUT_PARQUET,
            _ => name::HOLDOUT_CSV,
        };
        put(name, holdout.bytes)?;
    }
    if let Some(found) = statement.into_inner().unwrap_or_else(PoisonError::into_inner) {
        put(name::ENTRY, found.entry)?;
        put(name::PROOF, found.receipt.to_text().into_bytes())?;
        put(
            name::POLICY,
            format!("log {}\nquorum none\n", found.key).into_bytes(),
        )?;
    }
    Ok(bundle)
}

/// The project's blobs, and those of them that were asked for.
struct Kept<'a> {
    store: &'a BlobStore,
    kept: Mutex<BTreeMap<ContentDigest, Vec<u8>>>,
}

impl<'a> Kept<'a> {
    fn new(store: &'a BlobStore) -> Self {
        Self {
            store,
            kept: Mutex::default(),
        }
    }

    fn take(&self) -> BTreeMap<ContentDigest, Vec<u8>> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Blobs for Kept<'_> {
    fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
        self.store.put(bytes)
    }

    fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
        let bytes = self.store.get(digest, limit)?;
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(*digest, bytes.clone());
        Ok(bytes)
    }
}
