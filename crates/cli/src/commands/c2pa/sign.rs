//! Marking a file.

use std::path::{Path, PathBuf};

use counterweight_chain::keys::LocalKey;
use counterweight_provenance::{
    decision::{Trust, UncheckedDisclosure},
    ledger::AssetKind,
    log::note::VerifierKey,
};
use counterweight_standards::c2pa::{Generated, ModelReference, PromptOpening, Vouched, first_certificate};
use rand_chacha::rand_core::RngCore as _;
use serde_json::json;

use super::{TEXT_BYTES, helper, text};
use crate::{
    arguments::{KeyName, ThingName},
    commands::{
        Context,
        decision::{Choice, Open, disclosed},
        log::parse_key,
    },
    error::{CliError, Code, with_causes},
    inference::{randomness, read_file, write_secret},
    output::{Answer, Cell},
    project::Project,
    session::{Assets, Session},
};

/// What to mark, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file as the model made it: PNG, JPEG, WAV, MP3 or MP4
    file: PathBuf,
    /// Where the marked file goes
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// The registered model that made it, `name` or `name@2`
    #[arg(long, value_name = "NAME")]
    model: ThingName,
    /// Certificates in PEM, the signer's first
    #[arg(long, value_name = "FILE")]
    certificates: PathBuf,
    /// The signer's private key, PKCS#8 in PEM
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// Account that owns the model, to answer on the chain for the signer's certificate
    #[arg(long, value_name = "NAME")]
    vouch: Option<KeyName>,
    /// What was edited to make the file
    #[arg(long, value_name = "FILE")]
    parent: Option<PathBuf>,
    /// What else went into it; may be given several times
    #[arg(long, value_name = "FILE")]
    ingredient: Vec<PathBuf>,
    /// The decision that is its making: the entry in a log of decisions, counted from 0
    #[arg(long, value_name = "N", requires = "log", requires = "field")]
    decision: Option<u64>,
    /// Folder of the decisions
    #[arg(long, value_name = "DIR", requires = "decision")]
    log: Option<PathBuf>,
    /// The decision's field that holds the file's digest
    #[arg(long, value_name = "NAME", requires = "decision")]
    field: Option<String>,
    /// The prompt, of which only a salted commitment goes along
    #[arg(long, value_name = "FILE", requires = "prompt_opening")]
    prompt: Option<PathBuf>,
    /// Where to keep what opens that commitment; it holds the prompt
    #[arg(long, value_name = "FILE", requires = "prompt")]
    prompt_opening: Option<PathBuf>,
    /// What the manifest calls the file [default: the name of --output]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

/// Gathers what is known, has it signed.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    for file in [Some(&arguments.output), arguments.prompt_opening.as_ref()]
        .into_iter()
        .flatten()
    {
        if file.exists() && !context.global.yes {
            return Err(
                CliError::new(Code::AlreadyThere, format!("{} exists already", file.display()))
                    .fix("choose another name, or add --yes to replace it"),
            );
        }
    }
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let model = assets.find(AssetKind::Model, &arguments.model.0)?;
    let deployment = contracts.reader.deployment();
    let reference = ModelReference::new(
        deployment.chain_id,
        deployment.asset_registry,
        model.record.id,
        model.record.asset.content,
    );
    let original = super::original(&arguments.file)?;
    let digest = original.content;
    let certificates = text(&arguments.certificates)?;
    let mut generated = Generated::new(reference, original);
    if let Some(name) = &arguments.vouch {
        let key = session.keys.open(&name.0)?;
        if key.account() != model.record.owner {
            return Err(
                CliError::new(Code::OtherOwner, format!("{} is not the model's", name.0))
                    .fact("account", key.account().to_string())
                    .fact("owner", model.record.owner.to_string())
                    .fix("name the key of the account that owns the model with --vouch"),
            );
        }
        generated.vouched = Some(vouched(&key, &certificates, &generated.model)?);
    }
    if let (Some(index), Some(log), Some(field)) = (arguments.decision, &arguments.log, &arguments.field) {
        generated.decision = Some(decision(index, log, field, &generated, context)?);
    }
    let opening = arguments
        .prompt
        .as_deref()
        .map(|file| opening(file, context))
        .transpose()?;
    if let Some(opening) = &opening {
        generated.prompt = Some(
            opening
                .commitment()
                .map_err(|error| CliError::fault(with_causes(&error)))?,
        );
    }
    let assertion = generated.to_value().map_err(|error| {
        CliError::new(Code::MediaUnsignable, with_causes(&error))
            .fix("show fewer or shorter fields of the decision")
    })?;
    let answer = Answer::new("c2pa-sign/1")
        .json("model", model.full_name())
        .json("original", digest.to_string())
        .json("file", arguments.output.display().to_string());
    if context.global.dry_run {
        return Ok(answer
            .json("assertion", assertion.clone())
            .line(serde_json::to_string_pretty(&assertion).unwrap_or_default()));
    }
    // Kept before the file is there: a commitment that nobody can open is worth nothing.
    if let (Some(opening), Some(file)) = (&opening, &arguments.prompt_opening) {
        let bytes = serde_json::to_vec_pretty(opening).unwrap_or_default();
        write_secret(file, &bytes)?;
    }
    let title = arguments.title.clone().unwrap_or_else(|| {
        let name = arguments.output.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    });
    let signed: helper::Signed = helper::ask(
        "sign",
        json!({
            "input": arguments.file,
            "output": arguments.output,
            "title": title,
            "generator": {"name": "cw", "version": env!("CARGO_PKG_VERSION")},
            "software": {"name": model.name(), "version": model.record.asset.version.to_string()},
            "assertion": assertion,
            "certificates": certificates,
            "key": text(&arguments.key_file)?,
            "parent": arguments.parent,
            "inputs": arguments.ingredient,
        }),
    )?;
    let file = arguments.output.display().to_string();
    Ok(answer
        .json("format", signed.format.as_str())
        .json("bytes", signed.bytes)
        .json("manifest_bytes", signed.manifest_bytes)
        .json("algorithm", signed.algorithm.as_str())
        .fields([
            ("file", Cell::text(&file)),
            ("model", Cell::text(model.full_name())),
            ("original", Cell::text(digest.to_string())),
            (
                "manifest",
                Cell::text(format!("{} bytes, {}", signed.manifest_bytes, signed.algorithm)),
            ),
        ])
        .id(&file)
        .next(format!("cw c2pa verify {file}")))
}

fn vouched(key: &LocalKey, certificates: &str, model: &ModelReference) -> Result<Vouched, CliError> {
    let certificate = first_certificate(certificates).ok_or_else(|| {
        CliError::new(Code::MediaUnsignable, "there is no certificate to answer for")
            .fix("give certificates in PEM with --certificates")
    })?;
    Vouched::new(key, &certificate, model).map_err(|error| CliError::fault(with_causes(&error)))
}

/// A disclosure of the field that holds the file's digest.
fn decision(
    index: u64,
    log: &Path,
    field: &str,
    generated: &Generated,
    context: &Context,
) -> Result<String, CliError> {
    let digest = generated.original.content.to_string();
    let open = Open::new(log, None, &[], context)?;
    let fields = [field.to_owned()];
    let choice = Choice {
        fields: Some(&fields),
        parameters: false,
        explanation: None,
    };
    let bytes = disclosed(&open, index, &choice)?;
    let key: VerifierKey = parse_key(open.key())?;
    let shown = UncheckedDisclosure::decode(&bytes)
        .and_then(|disclosure| disclosure.verify(Trust::Key(&key)))
        .map_err(|error| CliError::new(Code::RecordsDamaged, with_causes(&error)).fix("cw log fsck"))?;
    let held: Vec<_> = shown.shown().map(|(_, value)| value.to_json()).collect();
    if !held.iter().any(|value| value.as_str() == Some(&digest)) {
        return Err(CliError::new(
            Code::MediaUnsignable,
            format!("the field \"{field}\" of decision {index} does not hold this file's digest"),
        )
        .fact("file", digest)
        .fact("field", serde_json::Value::from(held).to_string())
        .why("a decision that names another file would be put into this one")
        .fix("record the decision with that digest in an output of type text"));
    }
    if shown.profile().model() != generated.model.content {
        return Err(CliError::new(
            Code::MediaUnsignable,
            format!("another model made decision {index}"),
        )
        .fact("decision", shown.profile().model().to_string())
        .fact("model", generated.model.content.to_string())
        .fix("name the model that made it with --model"));
    }
    String::from_utf8(bytes).map_err(|_| CliError::fault("a disclosure is not text"))
}

fn opening(file: &Path, context: &Context) -> Result<PromptOpening, CliError> {
    let prompt = String::from_utf8(read_file(file, TEXT_BYTES)?).map_err(|_| {
        CliError::new(Code::BadValue, format!("{} is not text", file.display()))
            .fix("give the prompt as UTF-8")
    })?;
    let mut salt = [0; 32];
    randomness(context.global.seed)?.fill_bytes(&mut salt);
    Ok(PromptOpening::new(prompt, salt))
}
