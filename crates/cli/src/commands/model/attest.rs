//! `cw model attest`: what the ledger knows about a model as an attestation of the Ethereum Attestation Service.

use std::path::PathBuf;

use counterweight_federated::ledger::StudyReader as _;
use counterweight_primitives::Address;
use counterweight_provenance::ledger::AssetKind;
use counterweight_standards::attest::eas::{
    AssetAttestation, SCHEMA, Service, register_schema_call, schema_id,
};
use serde_json::json;

use super::pretty;
use crate::{
    arguments::ThingName,
    commands::{Context, export},
    error::{CliError, Code, with_causes},
    inference::hex_word,
    output::Answer,
    project::Project,
    session::{Assets, Session},
    training::sponsor_key,
};

/// What to attest, and for which service.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model, `name` or `name@2`
    name: ThingName,
    /// Address of the EAS contract on this chain
    #[arg(long, value_name = "ADDRESS")]
    eas: Address,
    /// What the contract's version() says
    #[arg(long, value_name = "VERSION", default_value = "1.4.0")]
    eas_version: String,
    /// The file to write; `-` for standard output [default: NAME-VERSION.eas.json]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Signs off the chain, and makes the calls that do the same on it. Nothing is sent.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::DevelopmentKey`], those of chain and files.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let asset = assets.find(AssetKind::Model, &arguments.name.0)?;
    let graph = assets.lineage()?;
    let dossier = export::dossier(&session, &contracts, &graph, asset, context)?;
    let key = sponsor_key(&session, context.global.key.as_ref())?;
    let service = Service {
        chain: session.network.chain_id(),
        contract: arguments.eas,
        version: arguments.eas_version.clone(),
    };
    let attestation = AssetAttestation::of(&dossier);
    let signed = attestation
        .sign(&service, contracts.reader.now()?.0, &*key)
        .map_err(|error| {
            CliError::new(Code::SigningKeyUnusable, with_causes(&error)).fix("choose another key with --key")
        })?;
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    let document = json!({
        "attestation": signed,
        "schema": {"text": SCHEMA, "id": hex_word(&schema_id()), "register_call": hex(&register_schema_call())},
        "on_chain": {"to": arguments.eas.to_string(), "data": hex(&attestation.on_chain_call())},
    });
    let name = format!("{}-{}.eas.json", asset.name(), asset.record.asset.version);
    let path = arguments.output.clone().unwrap_or_else(|| PathBuf::from(name));
    export::write("model-attest/1", &pretty(&document)?, &path, true, context)
}
