//! Checking a marked file.
//!
//! Yes takes a manifest that holds, over all of the file, that says a model made it, which model, and comes from a key that
//! somebody the asker trusts answers for: an authority of `--trust`, or the account that owns the model on the chain.

use std::{path::PathBuf, sync::Arc};

use counterweight_chain::ledger::ContractReader;
use counterweight_federated::audit::Verdict;
use counterweight_primitives::Address;
use counterweight_provenance::{
    decision::{Trust, UncheckedDisclosure},
    ledger::{AssetKind, AssetReader as _, LedgerError},
    log::{note::VerifierKey, policy::Policy},
};
use counterweight_standards::c2pa::{Generated, PromptOpening, first_certificate};

use super::{
    TEXT_BYTES,
    helper::{self, Found, State},
    text,
};
use crate::{
    commands::{
        Context,
        log::parse_key,
        verify::{Check, answer as summarise},
    },
    error::{CliError, Code, with_causes},
    inference::read_file,
    output::Answer,
    project::Project,
    session::{choose, open_chain},
};

/// Failures that are named; more are counted.
const MOST_NAMED: usize = 20;

/// The status that says only that no trusted authority answers for the signer.
const UNTRUSTED: &str = "signingCredential.untrusted";

/// What to check, and whom to trust.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file
    file: PathBuf,
    /// Certificates of authorities that you trust, in PEM
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The registry that you know to be the right one [default: the project's, else the one that the file names]
    #[arg(long, value_name = "ADDRESS")]
    registry: Option<Address>,
    /// Key of the log that the decision is in: name+id+key
    #[arg(long, value_name = "KEY", conflicts_with = "policy")]
    vkey: Option<String>,
    /// Trust the logs and witnesses of this file instead: C2SP tlog-policy
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// What opens the commitment to the prompt
    #[arg(long, value_name = "FILE")]
    prompt_opening: Option<PathBuf>,
    /// The file as it was before it was marked
    #[arg(long, value_name = "FILE")]
    original: Option<PathBuf>,
}

/// What was found, and what is taken for granted.
#[derive(Default)]
struct Verified {
    checks: Vec<Check>,
    assumed: Vec<String>,
}

impl Verified {
    fn yes(&mut self, check: &str, sentence: impl Into<String>) {
        self.checks
            .push(Check::new(check, Verdict::Yes, Code::MarkRefused, sentence));
    }

    fn no(&mut self, check: &str, sentence: impl Into<String>) {
        self.checks
            .push(Check::new(check, Verdict::No, Code::MarkRefused, sentence));
    }

    fn unknown(&mut self, check: &str, sentence: impl Into<String>) {
        self.checks
            .push(Check::new(check, Verdict::Unknown, Code::CheckUnknown, sentence));
    }
}

/// What the chain says of the model that a file names.
struct OnChain {
    owner: Address,
}

/// Checks and answers; exit status 0 only where every answer is yes.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let trust = arguments.trust.as_deref().map(text).transpose()?;
    let found = helper::read(&arguments.file, trust.as_deref())?;
    let mut verified = Verified::default();
    let holds = manifest(&found, &mut verified);
    // Of a manifest that does not hold, nothing else is worth asking.
    let generated = if holds {
        assertion(&found, &mut verified)
    } else {
        None
    };
    let on_chain = match &generated {
        Some(generated) => model(generated, arguments, context, &mut verified)?,
        None => None,
    };
    if holds {
        credential(&found, generated.as_ref(), on_chain.as_ref(), &mut verified);
        made_by_a_model(&found, &mut verified);
        ingredients(&found, &mut verified);
    }
    if let Some(generated) = &generated {
        decision(generated, arguments, &mut verified)?;
        prompt(generated, arguments, &mut verified)?;
        original(generated, arguments, &mut verified)?;
    }
    let subject = format!("mark on {}", arguments.file.display());
    Ok(summarise(&subject, &verified.checks, &verified.assumed)
        .json("format", found.format.as_str())
        .json("state", found.state.word())
        .json("generated", found.assertion.unwrap_or_default()))
}

/// Whether the manifest holds, over the file's bytes.
fn manifest(found: &Found, verified: &mut Verified) -> bool {
    match found.state {
        State::Absent => {
            verified.unknown(
                "manifest",
                "the file has none: many programs strip them, so this says nothing about who made it",
            );
            false
        }
        State::Unreadable => {
            let reason = found.reason.as_deref().unwrap_or("it is damaged");
            verified.no("manifest", format!("it cannot be read: {reason}"));
            false
        }
        State::Invalid => {
            let failures: Vec<_> = found
                .failures
                .iter()
                .filter(|status| status.code != UNTRUSTED)
                .collect();
            let mut check = Check::new("manifest", Verdict::No, Code::MarkRefused, "it does not hold");
            check.findings = failures
                .iter()
                .take(MOST_NAMED)
                .map(|status| match &status.explanation {
                    Some(explanation) => format!("{}: {explanation}", status.code),
                    None => status.code.clone(),
                })
                .collect();
            if failures.len() > MOST_NAMED {
                check
                    .findings
                    .push(format!("and {} more", failures.len() - MOST_NAMED));
            }
            verified.checks.push(check);
            false
        }
        State::Valid | State::Trusted => {
            verified.yes("manifest", "its signature and every hash in it hold");
            let open: Vec<_> = found
                .remarks
                .iter()
                .filter(|status| status.code.contains("xclusion"))
                .collect();
            if !found.is_bound {
                verified.no("bytes", "no hash in the manifest is over the file");
            } else if open.is_empty() {
                verified.yes("bytes", "the file has the bytes that were signed");
            } else {
                verified.unknown(
                    "bytes",
                    "the hash leaves out more of the file than the manifest itself",
                );
            }
            true
        }
    }
}

/// Our assertion.
fn assertion(found: &Found, verified: &mut Verified) -> Option<Generated> {
    match (&found.assertion, found.assertions) {
        (_, 0) => verified.unknown("assertion", "the manifest names no model of a ledger"),
        (Some(value), 1) => match Generated::from_value(value.clone()) {
            Ok(generated) => return Some(generated),
            Err(error) => verified.no("assertion", with_causes(&error)),
        },
        (_, count) => verified.no("assertion", format!("the manifest names {count} models")),
    }
    None
}

/// Whether the chain has the model; none where there is no chain to ask.
fn model(
    generated: &Generated,
    arguments: &Arguments,
    context: &Context,
    verified: &mut Verified,
) -> Result<Option<OnChain>, CliError> {
    let named = &generated.model;
    let wrong = |error| CliError::fault(with_causes(&error));
    let (chain_id, id) = (named.chain_id().map_err(wrong)?, named.asset().map_err(wrong)?);
    let place = format!("asset {id} of {} on chain {chain_id}", named.registry);
    let project = Project::open_if_any(&context.global)?;
    let chosen = choose(&context.global, project.as_ref())?;
    let folder = project.as_ref().map(|project| project.folders().chain());
    let is_there = chosen.endpoint.is_some() || folder.as_ref().is_some_and(|folder| folder.exists());
    let chain = folder.unwrap_or_default();
    if !is_there {
        verified.assumed.push(format!(
            "{place} is the model that it says: no chain was asked (--network)"
        ));
        return Ok(None);
    }
    let (network, _) = open_chain(&chosen, &chain, context)?;
    if network.chain_id() != chain_id {
        verified.unknown(
            "model",
            format!(
                "it names {place}; the chain that was asked is {}",
                network.chain_id()
            ),
        );
        return Ok(None);
    }
    match arguments.registry {
        Some(known) if known != named.registry => {
            verified.no("model", format!("it names {place}, not the registry {known}"));
            return Ok(None);
        }
        Some(_) => {}
        None => verified.assumed.push(format!(
            "{} is the registry that you mean (--registry)",
            named.registry
        )),
    }
    let reader = ContractReader::of_registry(Arc::clone(&network), named.registry);
    match reader.asset(id).and_then(|asset| Ok((asset, reader.owner(id)?))) {
        Ok((asset, _)) if asset.kind != AssetKind::Model => {
            verified.no("model", format!("{place} is a {}", asset.kind.name()));
            Ok(None)
        }
        Ok((asset, _)) if asset.content != named.content => {
            verified.no(
                "model",
                format!(
                    "{place} has the content {}, the file says {}",
                    asset.content, named.content
                ),
            );
            Ok(None)
        }
        Ok((asset, owner)) => {
            verified.yes(
                "model",
                format!(
                    "{place} is version {} of a model, with that content",
                    asset.version
                ),
            );
            Ok(Some(OnChain { owner }))
        }
        Err(LedgerError::Refused { .. }) => {
            verified.no("model", format!("{place} does not exist"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Who answers for the key.
fn credential(
    found: &Found,
    generated: Option<&Generated>,
    chain: Option<&OnChain>,
    verified: &mut Verified,
) {
    let signer = found.signer.as_ref();
    let name = signer
        .and_then(|signer| signer.name.as_deref())
        .unwrap_or("somebody without a name");
    let organisation = signer.and_then(|signer| signer.organisation.as_deref());
    let who = match organisation {
        Some(organisation) => format!("{name:?} of {organisation:?}"),
        None => format!("{name:?}"),
    };
    if found.state == State::Trusted {
        verified.yes(
            "credential",
            format!("an authority that you trust answers for {who}"),
        );
        return;
    }
    let vouched = generated.and_then(|generated| Some((generated.vouched.as_ref()?, &generated.model)));
    let Some((vouched, model)) = vouched else {
        verified.unknown(
            "credential",
            format!("nobody that you trust answers for {who} (--trust)"),
        );
        return;
    };
    let certificate = first_certificate(&found.certificates).unwrap_or_default();
    if let Err(error) = vouched.verify(&certificate, model) {
        verified.no("credential", with_causes(&error));
        return;
    }
    let account = vouched.account;
    match chain {
        Some(chain) if chain.owner == account => {
            verified.yes(
                "credential",
                format!("{account}, who owns the model, answers for {who}"),
            );
        }
        Some(chain) => verified.unknown(
            "credential",
            format!("{account} answers for {who}; the model is {}'s now", chain.owner),
        ),
        None => verified.unknown(
            "credential",
            format!("{account} answers for {who}; no chain was asked whether the model is theirs"),
        ),
    }
}

fn made_by_a_model(found: &Found, verified: &mut Verified) {
    let source = found.actions.iter().find_map(|action| {
        let kind = action.source.as_deref()?.rsplit('/').next()?;
        let is_made = matches!(action.action.as_str(), "c2pa.created" | "c2pa.edited");
        is_made.then(|| kind.to_owned())
    });
    match source.as_deref() {
        Some("trainedAlgorithmicMedia") => {
            verified.yes("generated", "it says that a trained model made the file")
        }
        Some("compositeWithTrainedAlgorithmicMedia") => {
            verified.yes(
                "generated",
                "it says that a trained model changed what was there before",
            );
        }
        Some(other) => verified.unknown("generated", format!("it says that the file is {other:?}")),
        None => verified.unknown("generated", "it does not say that a model made the file"),
    }
}

fn ingredients(found: &Found, verified: &mut Verified) {
    for ingredient in &found.ingredients {
        let title = ingredient.title.as_deref().unwrap_or_default();
        let sentence = if ingredient.has_manifest {
            format!("what {title:?} was is as its own manifest says: the signer checked it")
        } else {
            format!("{title:?}, which went into it, has no manifest of its own")
        };
        verified.assumed.push(sentence);
    }
}

fn decision(generated: &Generated, arguments: &Arguments, verified: &mut Verified) -> Result<(), CliError> {
    let is_asked = arguments.vkey.is_some() || arguments.policy.is_some();
    let Some(text) = &generated.decision else {
        if is_asked {
            verified.unknown("decision", "the file names no decision");
        }
        return Ok(());
    };
    let key: Option<VerifierKey> = arguments.vkey.as_deref().map(parse_key).transpose()?;
    let policy = arguments.policy.as_deref().map(policy).transpose()?;
    let trust = match (&key, &policy) {
        (_, Some(policy)) => Trust::Policy(policy),
        (Some(key), None) => Trust::Key(key),
        (None, None) => {
            verified.assumed.push(
                "the decision that it carries is in its log: nobody said whose log to trust (--vkey)".into(),
            );
            return Ok(());
        }
    };
    let shown = UncheckedDisclosure::decode(text.as_bytes()).and_then(|disclosure| disclosure.verify(trust));
    let shown = match shown {
        Ok(shown) => shown,
        Err(error) => {
            verified.no("decision", with_causes(&error));
            return Ok(());
        }
    };
    let wanted = generated.original.content.to_string();
    let names_it = shown
        .shown()
        .any(|(_, value)| value.to_json().as_str() == Some(&wanted));
    let tree = shown.receipt().checkpoint().checkpoint();
    let place = format!("entry {} of {}", shown.receipt().index(), tree.origin);
    if !names_it {
        verified.no("decision", format!("{place} does not name this file"));
    } else if shown.profile().model() != generated.model.content {
        verified.no(
            "decision",
            format!("{place} was made by the model {}", shown.profile().model()),
        );
    } else {
        verified.yes(
            "decision",
            format!(
                "{place}, of {}, names this file and this model",
                shown.entry().time.seconds().to_rfc3339()
            ),
        );
    }
    Ok(())
}

fn policy(file: &std::path::Path) -> Result<Policy, CliError> {
    Policy::parse(&text(file)?).map_err(|error| {
        CliError::new(Code::BadValue, "this is no policy")
            .why(error.to_string())
            .fix("write it as C2SP tlog-policy says; see docs/spec/log.md")
    })
}

fn prompt(generated: &Generated, arguments: &Arguments, verified: &mut Verified) -> Result<(), CliError> {
    let Some(file) = &arguments.prompt_opening else {
        return Ok(());
    };
    let commitment =
        PromptOpening::read(&read_file(file, TEXT_BYTES * 2)?).and_then(|opening| opening.commitment());
    let commitment = commitment.map_err(|error| {
        CliError::new(Code::BadValue, format!("{} opens nothing", file.display()))
            .why(with_causes(&error))
            .fix("give the file that cw c2pa sign --prompt-opening wrote")
    })?;
    match generated.prompt {
        Some(committed) if committed == commitment => {
            verified.yes("prompt", "it is the one that was committed to")
        }
        Some(_) => verified.no("prompt", "it is not the one that was committed to"),
        None => verified.unknown("prompt", "the file commits to no prompt"),
    }
    Ok(())
}

fn original(generated: &Generated, arguments: &Arguments, verified: &mut Verified) -> Result<(), CliError> {
    let Some(file) = &arguments.original else {
        return Ok(());
    };
    if super::original(file)? == generated.original {
        verified.yes("original", "it is the one that the signer had");
    } else {
        verified.no("original", "it is not the one that the signer had");
    }
    Ok(())
}
