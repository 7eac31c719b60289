//! `cw verify signature`: are these the files that somebody signed?

use std::path::PathBuf;

use counterweight_chain::embedded::DEVELOPMENT_CHAIN_ID;
use counterweight_federated::audit::Verdict;
use counterweight_standards::oms::{
    IGNORED_BY_DEFAULT, ModelFiles, SIGNATURE_BYTES, Selection, SignedFiles, UncheckedSignature, VerifyingKey,
};

use super::{Check, answer as summarise};
use crate::{
    commands::{
        Context,
        model::{KEY_BYTES, account_key, beside},
    },
    error::{CliError, Code},
    inference::read_file,
    output::Answer,
    session::Keyring,
};

/// Differences that are named; more are counted.
const MOST_NAMED: usize = 20;

/// What to check, and whose signature.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model: a folder or a file
    #[arg(value_name = "PATH")]
    model: PathBuf,
    /// The signature [default: PATH.sig]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The signer's public key in PEM, from somewhere you trust [default: the one that follows from --key]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Pass over files that were not signed
    #[arg(long)]
    ignore_unsigned: bool,
}

/// Checks and answers; exit status 0 only where the files are those that were signed.
///
/// # Errors
/// [`Code::SigningKeyUnusable`], [`Code::SignatureUnreadable`], [`Code::ModelUnsignable`], [`Code::FileUnreadable`].
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let key = key(arguments, context)?;
    let file = arguments
        .signature
        .clone()
        .unwrap_or_else(|| beside(&arguments.model, "sig"));
    let unchecked = UncheckedSignature::read(&read_file(&file, SIGNATURE_BYTES as u64)?)?;
    let subject = format!("signature {}", file.display());
    let no = |check: &str, sentence| Check::new(check, Verdict::No, Code::SignatureRefused, sentence);
    let signed = match unchecked.verify(&key) {
        Ok(signed) => signed,
        Err(error) if error.is_refusal() => {
            return Ok(
                summarise(&subject, &[no("signature", error.to_string())], &[]).json("hint", key.hint())
            );
        }
        Err(error) => return Err(error.into()),
    };
    let yes = |check: &str, sentence| Check::new(check, Verdict::Yes, Code::SignatureRefused, sentence);
    let mut checks = vec![yes(
        "signature",
        format!(
            "{} files of {:?} were signed with the key {}",
            signed.files.len(),
            signed.name,
            &key.hint()[..8]
        ),
    )];
    let mut selection = Selection::for_signature(&arguments.model, &file).as_signed(&signed);
    if arguments.ignore_unsigned {
        selection.only = Some(signed.files.keys().cloned().collect());
    }
    let found = ModelFiles::read(&arguments.model, &selection)?;
    let differences = signed.differences(&found);
    checks.push(if differences.is_empty() {
        yes(
            "files",
            format!(
                "each of {} files has the bytes that were signed",
                found.files.len()
            ),
        )
    } else {
        let mut check = no("files", format!("{} files are not as signed", differences.len()));
        check.findings = differences
            .iter()
            .take(MOST_NAMED)
            .map(ToString::to_string)
            .collect();
        if differences.len() > MOST_NAMED {
            check
                .findings
                .push(format!("and {} more", differences.len() - MOST_NAMED));
        }
        check
    });
    if let Some(left_out) = left_out(&signed) {
        context.console.note(left_out);
    }
    Ok(summarise(&subject, &checks, &[])
        .json("hint", key.hint())
        .json("ignored", serde_json::json!(signed.ignored)))
}

/// What the signer left out besides what everybody does: nothing is said about it, whoever puts it there.
fn left_out(signed: &SignedFiles) -> Option<String> {
    let own: Vec<String> = signed
        .ignored
        .iter()
        .filter(|name| !IGNORED_BY_DEFAULT.contains(&name.as_str()))
        .map(|name| format!("{name:?}"))
        .collect();
    (!own.is_empty()).then(|| format!("the signature says nothing about {}", own.join(", ")))
}

fn key(arguments: &Arguments, context: &Context) -> Result<VerifyingKey, CliError> {
    if let Some(file) = &arguments.key_file {
        let text = String::from_utf8_lossy(&read_file(file, KEY_BYTES)?).into_owned();
        return Ok(VerifyingKey::from_pem(&text)?);
    }
    let Some(name) = &context.global.key else {
        return Err(CliError::new(
            Code::SigningKeyUnusable,
            "there is no key to check the signature with",
        )
        .why("a key that comes with the signature says nothing: whoever changes one changes the other")
        .fix("add --key-file FILE, the signer's public key"));
    };
    Ok(account_key(&*Keyring::new(DEVELOPMENT_CHAIN_ID).open(&name.0)?)?.verifying_key())
}
