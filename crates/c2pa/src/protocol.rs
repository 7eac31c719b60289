//! What is asked and what is answered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest request in bytes: certificates and an assertion, no media.
pub const MOST_REQUEST: u64 = 1 << 20;

/// Label of our assertion in a manifest.
pub const ASSERTION_LABEL: &str = "org.counterweight.generated";

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Put a manifest into a file.
    Sign(Box<SignRequest>),
    /// Read and check a file's manifest.
    Read(ReadRequest),
    /// Make a credential for tries.
    Credential(CredentialRequest),
}

/// What to sign.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// The media as generated.
    pub input: PathBuf,
    /// Where the signed file goes.
    pub output: PathBuf,
    /// What the manifest calls it.
    pub title: String,
    /// Name and version of the program that asks.
    pub generator: Generator,
    /// What made the media, as the action says it.
    pub software: Generator,
    /// Our assertion, word for word.
    pub assertion: Value,
    /// Certificates in PEM, the signer's first, its authority's last.
    pub certificates: String,
    /// The signer's private key, PKCS#8 in PEM.
    pub key: String,
    /// What was edited to make it.
    #[serde(default)]
    pub parent: Option<PathBuf>,
    /// What else went into it.
    #[serde(default)]
    pub inputs: Vec<PathBuf>,
}

/// A program.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What to read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadRequest {
    /// The file.
    pub input: PathBuf,
    /// Authorities that are trusted, in PEM.
    #[serde(default)]
    pub trust: Option<String>,
}

/// What to make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialRequest {
    /// Whom it names.
    pub name: String,
    /// When it begins, seconds since 1970.
    pub now: u64,
}

/// What is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The file is signed.
    Signed(Signed),
    /// What was found.
    Read(Box<Found>),
    /// The credential.
    Credential(Credential),
    /// It could not be done.
    Error(Failure),
}

/// A file that was signed.
#[derive(Debug, Serialize)]
pub struct Signed {
    /// Its media type.
    pub format: String,
    /// Bytes of the manifest store.
    pub manifest_bytes: u64,
    /// Bytes of the whole file.
    pub bytes: u64,
    /// With what it was signed: `es256`.
    pub algorithm: String,
}

/// How far a manifest holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The file has none.
    Absent,
    /// It cannot be read.
    Unreadable,
    /// It does not hold.
    Invalid,
    /// It holds; nobody that is trusted vouches for the signer.
    Valid,
    /// It holds, and a trusted authority vouches for the signer.
    Trusted,
}

/// A file's manifest, as far as there is one.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Its media type.
    pub format: String,
    /// How far the manifest holds.
    pub state: State,
    /// Why it cannot be read.
    pub reason: Option<String>,
    /// Whether a hash over the file's bytes is in the manifest and holds.
    pub is_bound: bool,
    /// What does not hold.
    pub failures: Vec<Status>,
    /// What is worth knowing: parts of the file that no hash covers, among others.
    pub remarks: Vec<Status>,
    /// Who signed.
    pub signer: Option<Signer>,
    /// Its certificates in PEM.
    pub certificates: String,
    /// What was done to make the file, in order.
    pub actions: Vec<Action>,
    /// Our assertion; none where there is none, or several.
    pub assertion: Option<Value>,
    /// How many assertions of ours there are.
    pub assertions: usize,
    /// What it was made from.
    pub ingredients: Vec<Ingredient>,
    /// The label of the manifest that counts.
    pub label: Option<String>,
    /// All manifests, as crate `c2pa` prints them.
    pub report: Value,
}

/// A validation status of the C2PA specification.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Its code: `assertion.dataHash.mismatch`.
    pub code: String,
    /// More about it.
    pub explanation: Option<String>,
}

/// Who signed.
#[derive(Debug, Serialize)]
pub struct Signer {
    /// Organisation of the certificate.
    pub organisation: Option<String>,
    /// Name of the certificate.
    pub name: Option<String>,
    /// Algorithm of the signature.
    pub algorithm: Option<String>,
    /// When, if a time-stamp authority says so.
    pub time: Option<String>,
}

/// Something done to make a file.
#[derive(Debug, Serialize)]
pub struct Action {
    /// What: `c2pa.created`.
    pub action: String,
    /// From what: an IPTC digital source type.
    pub source: Option<String>,
    /// With what.
    pub software: Option<String>,
}

/// What a file was made from.
#[derive(Debug, Serialize)]
pub struct Ingredient {
    /// What it is called.
    pub title: Option<String>,
    /// `parentOf`, `inputTo` or `componentOf`.
    pub relationship: String,
    /// Whether it has a manifest of its own.
    pub has_manifest: bool,
}

/// A credential for tries.
#[derive(Debug, Serialize)]
pub struct Credential {
    /// Certificate of the authority that was made for it, in PEM.
    pub authority: String,
    /// The signer's certificate and its authority's, in PEM.
    pub certificates: String,
    /// The signer's key, PKCS#8 in PEM.
    pub key: String,
}

/// Why something was not done.
#[derive(Debug, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Of what kind it is.
    pub kind: ErrorKind,
    /// In words.
    pub message: String,
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request makes no sense.
    Request,
    /// A file cannot be read or written.
    File,
    /// The file is no media of a kind that is signed here, or a damaged one.
    Media,
    /// Certificates and key are not what is needed.
    Credential,
    /// A fault here.
    Fault,
}

impl Failure {
    /// Of a kind, with a message.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message }
    }
}
