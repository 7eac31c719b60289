//! `cw model sign`: a signature over a model's files that OpenSSF's tools check too.

use std::path::{Path, PathBuf};

use counterweight_chain::{embedded::DEVELOPMENT_CHAIN_ID, keys::LocalKey};
use counterweight_primitives::ContentDigest;
use counterweight_provenance::signature;
use counterweight_standards::oms::{FileHash, ModelFiles, OmsError, Selection, SigningKey, sign};

use crate::{
    commands::Context,
    error::{CliError, Code, with_causes},
    inference::{read_file, write_file},
    output::{Answer, Cell},
    session::Keyring,
};

/// Domain in which an account signs to make its signing key.
const KEY_DOMAIN: &str = "counterweight/model-signing-key/v1";

/// Largest key file.
pub(crate) const KEY_BYTES: u64 = 64 << 10;

/// What to sign.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model: a folder or a file
    #[arg(value_name = "PATH")]
    model: PathBuf,
    /// A P-256 private key in PEM, as openssl writes it [default: one that follows from --key]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The signature to write [default: PATH.sig]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A name below PATH to leave out, with all below it; may be given several times
    #[arg(long, value_name = "NAME")]
    ignore: Vec<String>,
    /// How files are hashed. blake3 takes a third less work; the command of model-signing checks sha256 only, its
    /// library both
    #[arg(long, value_name = "HASH", value_parser = ["sha256", "blake3"], default_value = "sha256")]
    hash: String,
    /// Follow symbolic links to files instead of refusing them
    #[arg(long)]
    follow_links: bool,
}

/// Hashes, signs, writes the signature and the public key beside it.
///
/// # Errors
/// [`Code::SigningKeyUnusable`], [`Code::ModelUnsignable`], [`Code::FileUnreadable`], [`Code::AlreadyThere`].
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let key = key(arguments, context)?;
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => beside(&arguments.model, "sig"),
    };
    let public = beside(&output, "pub");
    for file in [&output, &public] {
        if file.exists() && !context.global.yes {
            return Err(
                CliError::new(Code::AlreadyThere, format!("{} exists already", file.display()))
                    .fix("choose another name with --output, or add --yes to replace it"),
            );
        }
    }
    let mut selection = Selection::for_signature(&arguments.model, &output);
    selection
        .ignored
        .extend(Selection::for_signature(&arguments.model, &public).ignored);
    selection.ignored.extend(arguments.ignore.iter().cloned());
    selection.follow_links = arguments.follow_links;
    selection.hash = FileHash::named(&arguments.hash).unwrap_or_default();
    let files = ModelFiles::read(&arguments.model, &selection)?;
    let bytes = sign(&files, &key)?;
    if !context.global.dry_run {
        write_file(&output, &bytes)?;
        write_file(&public, key.verifying_key().to_pem().as_bytes())?;
    }
    let hint = key.verifying_key().hint();
    Ok(Answer::new("model-sign/1")
        .json("model", files.name.as_str())
        .json("files", files.files.len())
        .json("signature", output.display().to_string())
        .json("public_key", public.display().to_string())
        .json("hint", hint.as_str())
        .fields([
            ("model", Cell::text(&files.name)),
            ("files", Cell::text(files.files.len().to_string())),
            ("signature", Cell::text(output.display().to_string())),
            ("public key", Cell::text(public.display().to_string())),
            ("hint", Cell::text(hint)),
        ])
        .id(output.display().to_string())
        .next(format!(
            "cw verify signature {} --signature {} --key-file {}",
            arguments.model.display(),
            output.display(),
            public.display()
        )))
}

/// `PATH.EXTENSION`, also where the path has an extension or ends in a slash.
pub(crate) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.components().as_path().as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn key(arguments: &Arguments, context: &Context) -> Result<SigningKey, CliError> {
    if let Some(file) = &arguments.key_file {
        let text = String::from_utf8_lossy(&read_file(file, KEY_BYTES)?).into_owned();
        return Ok(SigningKey::from_pem(&text)?);
    }
    let Some(name) = &context.global.key else {
        return Err(
            CliError::new(Code::SigningKeyUnusable, "there is no key to sign with")
                .why("a model is signed with a P-256 key: one in a file, or the one that follows from an account's key")
                .fix("add --key NAME, a name of cw key list, or --key-file FILE"),
        );
    };
    if name.0.starts_with("dev-") {
        context
            .console
            .warn("everybody has this development account: the signature says nothing to others");
    }
    account_key(&*Keyring::new(DEVELOPMENT_CHAIN_ID).open(&name.0)?)
}

/// The signing key that follows from an account's: its signature over the domain is deterministic (RFC 6979) and never
/// shown, so there is no second secret to keep.
pub(crate) fn account_key(account: &LocalKey) -> Result<SigningKey, CliError> {
    let signed = signature::sign(account, KEY_DOMAIN, &ContentDigest::of(b""))
        .map_err(|error| CliError::new(Code::SigningKeyUnusable, with_causes(&error)))?;
    SigningKey::from_bytes(&ContentDigest::of(&signed.0).0)
        .ok_or_else(|| CliError::fault("an account's key gives no signing key"))
}

impl From<OmsError> for CliError {
    fn from(error: OmsError) -> Self {
        let told = |code| Self::new(code, with_causes(&error));
        match &error {
            OmsError::Key { .. } => told(Code::SigningKeyUnusable)
                .fix("openssl ecparam -name prime256v1 -genkey -noout -out key.pem; openssl ec -in key.pem -pubout"),
            OmsError::OtherKey { .. } | OmsError::SignatureWrong | OmsError::Inconsistent { .. } => {
                told(Code::SignatureRefused).fix("ask whoever signed for the model, the signature and the key again")
            }
            OmsError::SymbolicLink { .. } => told(Code::ModelUnsignable)
                .why("a link leads to other bytes on another machine")
                .fix("replace it with what it leads to, leave it out with --ignore, or add --follow-links"),
            OmsError::Name { .. } | OmsError::NotAFile { .. } | OmsError::TooLarge { .. } => {
                told(Code::ModelUnsignable).fix("remove or rename it, or leave it out with --ignore")
            }
            OmsError::Io { .. } => {
                told(Code::FileUnreadable).fix("check the name, and that the file is there and belongs to you")
            }
            _ => told(Code::SignatureUnreadable).fix("docs/spec/model-signature.md says what is read here"),
        }
    }
}
