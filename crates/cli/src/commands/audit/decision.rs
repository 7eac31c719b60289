//! What goes into the bundle of a decision.

use std::path::PathBuf;

use counterweight_primitives::Address;
use counterweight_provenance::{
    bundle::{Bundle, Subject},
    decision::{Trust, UncheckedDisclosure},
    ledger::{AnchorReader as _, LogId},
    log::policy::Policy,
};

use super::{Recording, put};
use crate::{
    commands::{
        Context,
        decision::{Choice, Open, disclosed, signed_receipt},
        verify::{DecisionFiles, bundle_name as name, decision_anchor, decision_exports, decision_model},
    },
    error::{CliError, Code, with_causes},
    session::{Assets, Session},
};

/// Which decision, and what of it to show.
#[derive(Debug, clap::Args)]
pub(crate) struct DecisionArguments {
    /// A decision in place of a model: its entry, counted from 0
    #[arg(long, value_name = "N", requires = "log")]
    pub(super) decision: Option<u64>,
    /// Folder of the decisions
    #[arg(long, value_name = "DIR", requires = "decision")]
    log: Option<PathBuf>,
    /// A field to show: its name, or role:name, such as contribution:age; may be given several times
    #[arg(long, value_name = "NAME", requires = "decision")]
    field: Vec<String>,
    /// Show all fields
    #[arg(long, conflicts_with = "field", requires = "decision")]
    all: bool,
    /// Add the parameters of the explanation, so that it can be recomputed
    #[arg(long, requires = "decision")]
    parameters: bool,
    /// Add the explanation that was made later: its entry
    #[arg(long, value_name = "N", requires = "model", conflicts_with = "parameters")]
    explanation: Option<u64>,
    /// The tree ensemble of that explanation
    #[arg(long, value_name = "FILE", requires = "explanation")]
    model: Option<PathBuf>,
    /// The receipt that whoever asked was given
    #[arg(long, value_name = "FILE", requires = "decision")]
    receipt: Option<PathBuf>,
}

/// Puts the decision in, with the chain that it is anchored on and the model's part where that is registered. `session` is none
/// where there is no chain.
///
/// # Errors
/// Those of the decisions, the chain and the model.
pub(super) fn record(
    arguments: &DecisionArguments,
    index: u64,
    session: Option<&Session<'_>>,
    context: &Context,
) -> Result<Bundle, CliError> {
    let folder = arguments.log.as_deref().unwrap_or(std::path::Path::new("."));
    let open = Open::new(folder, None, &[], context)?;
    let choice = Choice {
        fields: (!arguments.all).then_some(arguments.field.as_slice()),
        parameters: arguments.parameters,
        explanation: arguments.explanation.zip(arguments.model.as_deref()),
    };
    let shown = disclosed(&open, index, &choice)?;
    let (origin, owner) = (open.origin(), open.account());
    let policy = format!("log {}\nquorum none\n", open.key());
    let mut bundle = Bundle::new(
        Subject::Decision {
            index,
            origin: origin.to_owned(),
            owner,
        },
        None,
    );
    let mut files = DecisionFiles {
        disclosure: checked(&shown, &policy)?,
        receipt: None,
        path: None,
    };
    put(&mut bundle, name::DISCLOSURE, shown)?;
    put(&mut bundle, name::DECISION_POLICY, policy.into_bytes())?;
    if let Some(file) = &arguments.receipt {
        let receipt = signed_receipt(file, owner)?;
        let bytes = receipt
            .encode()
            .map_err(|error| CliError::fault(with_causes(&error)))?;
        put(&mut bundle, name::RECEIPT, bytes)?;
        files.receipt = Some(receipt);
    }
    let exports = decision_exports(&files.disclosure, owner)?;
    for (name, bytes) in exports {
        put(&mut bundle, name, bytes)?;
    }
    if let Some(session) = session {
        on_chain(&mut bundle, &open, (index, owner), &mut files, session)?;
    }
    Ok(bundle)
}

fn checked(shown: &[u8], policy: &str) -> Result<counterweight_provenance::decision::Disclosure, CliError> {
    let policy = Policy::parse(policy).map_err(|error| CliError::fault(error.to_string()))?;
    UncheckedDisclosure::decode(shown)
        .and_then(|disclosure| disclosure.verify(Trust::Policy(&policy)))
        .map_err(|error| CliError::new(Code::RecordsDamaged, with_causes(&error)).fix("cw log fsck"))
}

/// Asks the chain what a reader of the bundle will ask.
fn on_chain(
    bundle: &mut Bundle,
    open: &Open,
    (index, owner): (u64, Address),
    files: &mut DecisionFiles,
    session: &Session<'_>,
) -> Result<(), CliError> {
    let recording = Recording::begin(session)?;
    let head = recording
        .reader
        .anchored_head(owner, LogId::of_origin(open.origin()))?
        .filter(|head| !head.forked && head.size > index);
    if let Some(head) = head {
        let reader = open.log();
        let (_, path) = reader.inclusion_at(index, head.size, &reader.checkpoint()?)?;
        let bytes: Vec<u8> = path.iter().flat_map(|hash| hash.0).collect();
        put(bundle, name::ANCHOR_PATH, bytes)?;
        files.path = Some(path);
    }
    let named = crate::commands::verify::NamedDecision {
        index,
        origin: open.origin(),
        owner,
    };
    decision_anchor(&recording.reader, named, files)?;
    let assets = Assets::read_from(&recording.reader, &recording.blobs)?;
    if let Some(model) = decision_model(&assets, named, &files.disclosure) {
        recording.model(bundle, session, &assets, model)?;
    }
    recording.finish(bundle)
}
