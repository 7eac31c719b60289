//! `cw model publish`: commit to a network's weights and register the commitment, so that its answers can be proven.

use counterweight_chain::ledger::disputes::{DisputeContracts, Disputes};
use counterweight_inference::{compare, dispute::CommittedModel};
use counterweight_primitives::Address;
use counterweight_provenance::ledger::AssetKind;
use counterweight_zkml::{SecretModel, default_row_bits};
use counterweight_zkml_verifier::{Scheme, file::ModelKey};

use crate::{
    arguments::ThingName,
    commands::Context,
    error::{CliError, Code, with_causes},
    inference::{
        Store, chosen_setup, development_warning, from_asset, hex_word, quantised_model, randomness, report,
    },
    output::{Answer, Cell},
    project::Project,
    session::{Assets, Contracts, Session},
    training::sponsor_key,
};

/// What to publish.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The network: one that was imported, or a model trained here, `name` or `name@2`
    name: ThingName,
    /// How rows are opened
    #[arg(long, value_enum, default_value_t)]
    opening: Opening,
    /// Bits of a row's index, 11 to 18: shorter rows are faster to prove with and cost more gas [default: by size]
    #[arg(long, value_name = "BITS")]
    row_bits: Option<usize>,
    /// Commit here and tell no chain
    #[arg(long)]
    offline: bool,
    /// Hide nothing: register a hash of the weights, which everybody is to have, so that answers can be disputed
    #[arg(long, conflicts_with_all = ["opening", "row_bits", "offline"])]
    open: bool,
}

/// How rows are opened.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
pub(crate) enum Opening {
    /// 704 bytes whatever the size
    #[default]
    Mercury,
    /// Simpler and older; longer proofs, slower
    Hyperkzg,
}

impl From<Opening> for Scheme {
    fn from(opening: Opening) -> Self {
        match opening {
            Opening::Mercury => Self::Mercury,
            Opening::Hyperkzg => Self::HyperKzg,
        }
    }
}

/// Commits, once; registers where that was not done.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::NetworkUnusable`], those of the chain.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let store = Store::of(&project);
    let session = if arguments.offline && store.has(&arguments.name.0) {
        None
    } else if store.has(&arguments.name.0) {
        Some(Session::begin(&project, context)?)
    } else {
        Some(Session::open(&project, context)?)
    };
    let mut answer = Answer::new("model-publish/1");
    let name = match &session {
        Some(session) if !store.has(&arguments.name.0) => {
            let (name, told) = quantise_trained(&project, session, &store, arguments, context, answer)?;
            answer = told;
            name
        }
        _ => arguments.name.0.clone(),
    };
    if let (Some(session), true) = (&session, arguments.open) {
        return register_open(session, &store, &name, answer, context);
    }
    let key = match store.is_committed(&name) {
        true => store.key(&name)?,
        false => commit(&store, &name, arguments, context)?,
    };
    let id = hex_word(&key.id());
    answer = answer
        .json("name", name.as_str())
        .json("model_id", id.as_str())
        .json("rows", key.model.commitment.rows.len())
        .json("key_file", store.key_file(&name).display().to_string())
        .heading(format!("{name} is committed to"))
        .fields([
            ("model id", Cell::text(&id)),
            ("rows", Cell::number(key.model.commitment.rows.len())),
            ("set-up", Cell::text(key.srs.to_string())),
            (
                "public key",
                Cell::text(store.key_file(&name).display().to_string()),
            ),
        ]);
    if let (Some(session), false) = (&session, arguments.offline || context.global.dry_run) {
        answer = register(session, &key, answer, context)?;
    }
    Ok(answer.id(id).next(format!("cw prove {name} --input row.json")))
}

/// Registers the weights of a network as public.
fn register_open(
    session: &Session<'_>,
    store: &Store,
    name: &str,
    answer: Answer,
    context: &Context,
) -> Result<Answer, CliError> {
    let model = CommittedModel::new(store.model(name)?.network().clone());
    let id = hex_word(&model.id().0);
    let file = store.network_file(name).display().to_string();
    let answer = answer
        .json("name", name)
        .json("open_model", id.as_str())
        .json("network_file", file.as_str())
        .heading(format!("{name}, with public weights"))
        .fields([
            ("open model", Cell::text(&id)),
            ("for everybody", Cell::text(file)),
        ])
        .id(id)
        .next(format!("cw dispute claim {name} --input row.json"));
    if context.global.dry_run {
        return Ok(answer);
    }
    let signer = sponsor_key(session, context.global.key.as_ref())?;
    let contracts = session.deploy(&signer)?;
    let places = DisputeContracts::of(contracts.reader.deployment()).ok_or_else(|| {
        CliError::new(Code::NotDeployed, "no contract decides disputes on this network")
            .why("it was deployed before there were disputes")
            .fix("choose another with --network; see cw explain CW5005")
    })?;
    let party = Disputes::new(contracts.acting_for(&signer), places);
    let before = party.is_registered(model.id().0)?;
    if !before {
        party.register(&model)?;
    }
    Ok(answer.json("registered", !before).line(if before {
        "Registered before."
    } else {
        "Registered: whoever has the file can recompute claims about it."
    }))
}

/// A model trained here, as integers.
fn quantise_trained(
    project: &Project,
    session: &Session<'_>,
    store: &Store,
    arguments: &Arguments,
    context: &Context,
    answer: Answer,
) -> Result<(String, Answer), CliError> {
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let asset = assets.find(AssetKind::Model, &arguments.name.0)?;
    let name = asset.full_name();
    if store.has(&name) {
        return Ok((name, answer));
    }
    let trained = from_asset(project, session, asset)?;
    let (model, quantised) = quantised_model(&trained.network, &trained.rows, trained.description)?;
    let comparison = compare(&trained.network, &model, &trained.rows, &trained.labels);
    if !context.global.dry_run {
        store.put(&name, &model)?;
    }
    Ok((name, report(answer, &quantised, Some(&comparison))))
}

fn commit(store: &Store, name: &str, arguments: &Arguments, context: &Context) -> Result<ModelKey, CliError> {
    let model = store.model(name)?;
    let refused = |error: &dyn std::error::Error| {
        CliError::new(Code::NetworkUnusable, format!("{name} cannot be proven"))
            .why(with_causes(error))
            .fix("choose other --row-bits, or another architecture; disputes need no proof")
    };
    let row_bits = match arguments.row_bits {
        Some(bits) => bits,
        None => default_row_bits(model.network().architecture()).map_err(|error| refused(&error))?,
    };
    let srs = chosen_setup(row_bits)?;
    development_warning(srs.verifier(), context);
    let mut random = randomness(context.global.seed)?;
    let secret = SecretModel::commit(
        model.network().clone(),
        &srs,
        arguments.opening.into(),
        &mut random,
    )
    .map_err(|error| refused(&error))?;
    let mut key = secret.key().clone();
    key.card = model.card().to_bytes();
    if !context.global.dry_run {
        store.put_committed(name, &secret, &key)?;
    }
    Ok(key)
}

fn register(
    session: &Session<'_>,
    key: &ModelKey,
    answer: Answer,
    context: &Context,
) -> Result<Answer, CliError> {
    let signer = sponsor_key(session, context.global.key.as_ref())?;
    let contracts = session.deploy(&signer)?;
    let verifier = inference_verifier(&contracts)?;
    let registered = contracts.acting_for(&signer).register_inference_model(
        &key.model.architecture.encode(),
        &key.model.commitment.encode(),
        &key.registration,
    )?;
    if registered.model != key.id() {
        return Err(CliError::fault(
            "the contract gave the model another id than we do",
        ));
    }
    Ok(answer
        .json("verifier", verifier.to_string())
        .json("registered", registered.gas_used.is_some())
        .json("gas", registered.gas_used)
        .line(match registered.gas_used {
            Some(gas) => format!(
                "Registered with {verifier} for {gas} gas: the chain checked that all weights are int8."
            ),
            None => format!("Registered with {verifier} before."),
        }))
}

/// The contract that checks proofs.
///
/// # Errors
/// [`Code::NotDeployed`].
pub(crate) fn inference_verifier(contracts: &Contracts) -> Result<Address, CliError> {
    contracts.reader.inference_verifier().ok_or_else(|| {
        CliError::new(Code::NotDeployed, "no contract checks proofs on this network")
            .why("our contracts were deployed there before there were proofs, or before a set-up was chosen")
            .fix("cw proof setup --powers-of-tau FILE, then a deployment of its own: cw train --network with a new name")
    })
}
