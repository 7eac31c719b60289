//! `cw audit`: hand someone everything they need to check a claim.

mod decision;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use counterweight_chain::{
    deploy::Deployment, evidence::RecordedChain, ledger::ContractReader, network::Network as _,
};
use counterweight_federated::{blobs::Blobs, study::FileFormat};
use counterweight_primitives::ContentDigest;
use counterweight_provenance::{
    blobs::{BlobError, BlobStore},
    bundle::{Bundle, BundleError, ChainPoint, Subject},
    ledger::AssetKind,
};
use counterweight_standards::export::LogEntry;

use super::{
    Context,
    verify::{
        Sources, Trusted, answer, bundle_name as name, dataset_file, model_checks, model_exports,
        read_holdout, verify_bundle,
    },
};
use crate::{
    arguments::ThingName,
    error::{CliError, Code, with_causes},
    output::Answer,
    project::Project,
    session::{Asset, Assets, Session},
    training::{LogCheck, find_statement, is_anchored},
};

/// What to hand over.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Write one file with which anyone can check a model or a decision, with no chain and no network: cw verify bundle
    Bundle(Box<Arguments>),
}

/// Which bundle.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model, `name` or `name@2`
    #[arg(required_unless_present = "decision", conflicts_with = "decision")]
    name: Option<ThingName>,
    #[command(flatten)]
    decision: decision::DecisionArguments,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Writes the file, and answers what it says when it is checked.
///
/// # Errors
/// Those of the chain; [`Code::AlreadyThere`].
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let Command::Bundle(arguments) = command;
    let output = &arguments.output;
    if output.exists() && !context.global.yes {
        return Err(CliError::new(
            Code::AlreadyThere,
            format!("{} is there already", output.display()),
        )
        .why("a bundle may be the only copy of what it proves")
        .fix("choose another name, or replace it with --yes"));
    }
    let bundle = match (arguments.decision.decision, &arguments.name) {
        (Some(index), _) => decision_bundle(&arguments.decision, index, context)?,
        (None, Some(name)) => {
            let project = Project::open(&context.global)?;
            model_bundle(&Session::open(&project, context)?, &name.0)?
        }
        (None, None) => {
            return Err(CliError::fault(
                "neither a model nor a decision, though one is required",
            ));
        }
    };
    let bytes = bundle.encode().map_err(|error| unfit(&error))?;
    let digest = ContentDigest::of(&bytes);
    // Read back as a stranger would read it.
    let verified = verify_bundle(&bytes, &Trusted::default());
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
    let mut next = format!("cw verify bundle {}", output.display());
    if let Some(point) = &bundle.chain {
        next.push_str(&format!(" --block block:{}", point.hash));
    }
    if let Subject::Decision { owner, .. } = &bundle.subject {
        next.push_str(&format!(" --owner {owner}"));
    }
    Ok(answer(&verified.subject, &verified.checks, &verified.assumed)
        .json("file", output.display().to_string())
        .json("bytes", bytes.len())
        .json("digest", digest.to_string())
        .json("missing", verified.missing.as_slice())
        .next(next))
}

fn unfit(error: &BundleError) -> CliError {
    CliError::new(Code::Fault, with_causes(error))
}

fn put(bundle: &mut Bundle, name: &str, bytes: Vec<u8>) -> Result<(), CliError> {
    bundle.put(name, bytes).map_err(|error| unfit(&error))
}

/// A decision needs no chain: where there is none, the bundle says so.
fn decision_bundle(
    arguments: &decision::DecisionArguments,
    index: u64,
    context: &Context,
) -> Result<Bundle, CliError> {
    let project = Project::open(&context.global)
        .map(Some)
        .or_else(|error| chainless(error, context))?;
    let session = match &project {
        Some(project) => Session::open(project, context)
            .and_then(|session| session.contracts().map(|_| Some(session)))
            .or_else(|error| chainless(error, context))?,
        None => None,
    };
    decision::record(arguments, index, session.as_ref(), context)
}

/// Goes on without what is not there; another error is one.
fn chainless<T>(error: CliError, context: &Context) -> Result<Option<T>, CliError> {
    match error.code() {
        Code::NoProject | Code::NothingYet | Code::NotDeployed => {
            context
                .console
                .note(format!("{}: the bundle goes without a chain", error.message()));
            Ok(None)
        }
        _ => Err(error),
    }
}

/// Runs the checks on a record of the chain, and keeps whatever they read.
fn model_bundle(session: &Session<'_>, wanted: &str) -> Result<Bundle, CliError> {
    let recording = Recording::begin(session)?;
    let assets = Assets::read_from(&recording.reader, &recording.blobs)?;
    let model = assets.find(AssetKind::Model, wanted)?;
    let subject = Subject::Model {
        asset: model.record.id,
    };
    let mut bundle = Bundle::new(subject, None);
    recording.model(&mut bundle, session, &assets, model)?;
    recording.finish(&mut bundle)?;
    Ok(bundle)
}

/// A chain that keeps what it is asked, with the blobs that were asked for.
struct Recording<'a> {
    chain: Arc<RecordedChain>,
    deployment: Deployment,
    reader: ContractReader,
    blobs: Kept<'a>,
}

impl<'a> Recording<'a> {
    fn begin(session: &'a Session<'_>) -> Result<Self, CliError> {
        let deployment = session.contracts()?.reader.deployment().clone();
        let chain = Arc::new(RecordedChain::begin(
            Arc::clone(&session.network),
            deployment.block,
        )?);
        deployment.check(&*chain)?;
        let reader = ContractReader::read_only(Arc::clone(&chain) as _, deployment.clone());
        Ok(Self {
            chain,
            deployment,
            reader,
            blobs: Kept::new(&session.blobs),
        })
    }

    /// Puts in what the checks of a model need besides the chain and the blobs.
    fn model(
        &self,
        bundle: &mut Bundle,
        session: &Session<'_>,
        assets: &Assets,
        model: &Asset,
    ) -> Result<(), CliError> {
        let statement = Mutex::new(None);
        let dataset = |name: &str| dataset_file(session, name);
        let log = |issuer, kind: &str, about| {
            let (found, size) = find_statement(session, issuer, kind, about)?;
            let Some(found) = found else {
                return Ok(LogCheck {
                    index: None,
                    size,
                    anchored: false,
                    said: None,
                });
            };
            let check = LogCheck {
                index: Some(found.receipt.index()),
                size,
                anchored: is_anchored(&self.reader, issuer, &found)?,
                said: found.said(),
            };
            *statement.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            Ok(check)
        };
        let sources = Sources {
            reader: &self.reader,
            blobs: &self.blobs,
            holdout: read_holdout(session),
            dataset: &dataset,
            log: &log,
        };
        model_checks(&sources, assets, model)?;
        if let Some(holdout) = sources.holdout {
            let name = match holdout.format {
                FileFormat::Parquet => name::HOLDOUT_PARQUET,
                _ => name::HOLDOUT_CSV,
            };
            put(bundle, name, holdout.bytes)?;
        }
        let mut logged = None;
        if let Some(found) = statement.into_inner().unwrap_or_else(PoisonError::into_inner) {
            logged = Some(LogEntry {
                origin: found.key.name().to_owned(),
                index: found.receipt.index(),
            });
            put(bundle, name::ENTRY, found.entry)?;
            put(bundle, name::PROOF, found.receipt.to_text().into_bytes())?;
            let policy = format!("log {}\nquorum none\n", found.key);
            put(bundle, name::POLICY, policy.into_bytes())?;
        }
        // Without manifests at hand nothing can be written: whoever checks is told so.
        let exports = model_exports(&self.reader, &self.blobs, assets, model, logged).unwrap_or_default();
        for (name, bytes) in exports {
            put(bundle, name, bytes)?;
        }
        Ok(())
    }

    /// Puts in the chain, as far as it was asked, and the blobs.
    fn finish(self, bundle: &mut Bundle) -> Result<(), CliError> {
        let head = self.chain.head()?;
        bundle.chain = Some(ChainPoint {
            id: self.deployment.chain_id,
            block: head.number,
            hash: format!("{:#x}", head.hash),
        });
        let evidence = self.chain.evidence();
        put(bundle, name::HEADERS, evidence.encode_headers())?;
        put(bundle, name::RECEIPTS, evidence.encode_receipts())?;
        put(bundle, name::STATE, evidence.encode_nodes())?;
        put(bundle, name::CODE, evidence.encode_codes())?;
        let text = serde_json::to_vec(&self.deployment)
            .map_err(|error| CliError::new(Code::Fault, error.to_string()))?;
        put(bundle, name::DEPLOYMENT, text)?;
        for (digest, bytes) in self.blobs.take() {
            put(bundle, &format!("{}{}", name::BLOBS, digest.to_hex()), bytes)?;
        }
        Ok(())
    }
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
