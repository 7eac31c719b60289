//! What was done, said under signature in the project's log, whose root is anchored on the chain.

use std::{
    fs,
    path::{Path, PathBuf},
};

use counterweight_chain::{
    keys::LocalKey,
    ledger::{ContractLedger, ContractReader},
};
use counterweight_primitives::{Address, ContentDigest, UnixSeconds};
use counterweight_provenance::{
    ledger::{AnchorLedger as _, AnchorReader as _, LogId},
    log::{
        Log, LogReader,
        note::{NoteSigner, VerifierKey},
        policy::Policy,
        receipt::{Receipt, UncheckedReceipt},
        tree::{empty_root, leaf_hash},
    },
    signature,
    statement::{Statement, UncheckedStatement},
};

use serde_json::Value;

use crate::{
    error::{CliError, Code, with_causes},
    session::{Contracts, Session},
};

/// Longest statement that is read back.
const STATEMENT_BYTES: usize = 1 << 16;
/// What is signed to make the log's own key.
const KEY_DOMAIN: &str = "counterweight/log-key/v1";

/// The log of a network: its first line names both, so that no two histories go by one name.
pub(crate) fn origin(session: &Session<'_>) -> String {
    format!("{}/{}", session.project.config.log_origin, session.chosen.name)
}

fn folder(session: &Session<'_>) -> PathBuf {
    session.folders.log(&session.chosen.name)
}

fn key_file(session: &Session<'_>) -> PathBuf {
    log_key_file(&folder(session))
}

/// Where the public key of a project's log is: beside its folder, which holds nothing but what is served.
pub(crate) fn log_key_file(folder: &Path) -> PathBuf {
    folder.with_extension("pub")
}

/// The log's key follows from its owner's: the signature is deterministic (RFC 6979) and never shown, so that there
/// is no second secret to keep.
pub(crate) fn signer(owner: &LocalKey, origin: &str) -> Result<NoteSigner, CliError> {
    let signature = signature::sign(owner, KEY_DOMAIN, &ContentDigest::of(origin.as_bytes()))
        .map_err(|error| CliError::new(Code::Fault, with_causes(&error)))?;
    let secret = ContentDigest::of(&signature.0);
    NoteSigner::from_secret(origin, &secret.0).map_err(|error| {
        CliError::new(Code::BadValue, format!("\"{origin}\" is no name for a log"))
            .why(error.to_string())
            .fix("choose an origin without spaces and + in [log]")
    })
}

/// Appends what is not in the log yet and anchors its root.
///
/// # Errors
/// [`Code::LogDiffers`] where the log is damaged, and those of the chain.
pub(crate) fn record(
    session: &Session<'_>,
    owner: &LocalKey,
    ledger: &ContractLedger,
    statements: Vec<(Statement, &LocalKey)>,
) -> Result<(), CliError> {
    let origin = origin(session);
    let mut log = Log::open(folder(session), signer(owner, &origin)?)?;
    fs::write(
        key_file(session),
        format!("{}\n{}\n", signer(owner, &origin)?.verifier(), owner.account()),
    )
    .map_err(|error| {
        CliError::new(Code::FileUnreadable, "the log's public key cannot be written")
            .fact("system", error.to_string())
            .fix("check the folder's permissions and the disk's free space")
    })?;
    let known: Vec<Statement> = read_all(&log.reader())?
        .into_iter()
        .map(|(_, statement)| statement)
        .collect();
    let mut entries = Vec::new();
    for (statement, key) in statements {
        let said = |known: &Statement| {
            known.predicate_type == statement.predicate_type
                && known.predicate == statement.predicate
                && known.subjects == statement.subjects
                && known.issuer == statement.issuer
        };
        if !known.iter().any(said) {
            entries.push(statement.sign(key)?.encode()?);
        }
    }
    log.append(&entries)?;
    let head = log.checkpoint().checkpoint();
    let id = LogId::of_origin(&origin);
    let anchored = ledger.anchored_head(ledger.account(), id)?;
    let (size, root) = anchored.map_or((0, empty_root()), |head| (head.size, head.root));
    if head.size > size {
        let proof = log.reader().consistency(size, &root, log.checkpoint())?;
        ledger.anchor(id, head.size, head.root, &proof)?;
    }
    Ok(())
}

/// A reader of the project's log, if there is one.
///
/// # Errors
/// [`Code::LogDiffers`] where the key beside it cannot be read.
pub(crate) fn log_reader(session: &Session<'_>) -> Result<Option<LogReader>, CliError> {
    if !folder(session).join("checkpoint").exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(key_file(session)).map_err(|error| {
        CliError::new(Code::LogDiffers, "the log's public key cannot be read")
            .fact("system", error.to_string())
    })?;
    let key: VerifierKey = text.lines().next().unwrap_or_default().parse().map_err(|error| {
        CliError::new(
            Code::LogDiffers,
            format!("the log's public key cannot be used: {error}"),
        )
    })?;
    Ok(Some(LogReader::new(folder(session), key)))
}

/// The account that anchors the project's log, if there is one: beside the log's key, since it is as public.
pub(crate) fn log_owner(session: &Session<'_>) -> Option<Address> {
    let text = fs::read_to_string(key_file(session)).ok()?;
    text.lines().nth(1)?.parse().ok()
}

fn read_all(reader: &LogReader) -> Result<Vec<(u64, Statement)>, CliError> {
    let read = |(index, bytes): (u64, Vec<u8>)| {
        let statement = UncheckedStatement::decode(&bytes, STATEMENT_BYTES)?.verify()?;
        Ok((index, statement.statement().clone()))
    };
    read_entries(reader)?.into_iter().map(read).collect()
}

fn read_entries(reader: &LogReader) -> Result<Vec<(u64, Vec<u8>)>, CliError> {
    let checkpoint = reader.checkpoint()?;
    Ok(reader.entries(&checkpoint, 0, checkpoint.checkpoint().size)?)
}

/// Every signed statement of the project's log with its bytes, in order; none where there is no log.
pub(super) fn all_statements(session: &Session<'_>) -> Result<Vec<(Vec<u8>, Statement)>, CliError> {
    let Some(reader) = log_reader(session)? else {
        return Ok(Vec::new());
    };
    read_entries(&reader)?
        .into_iter()
        .map(|(_, bytes)| {
            let statement = UncheckedStatement::decode(&bytes, STATEMENT_BYTES)?.verify()?;
            Ok((bytes, statement.statement().clone()))
        })
        .collect()
}

/// What the log says about some bytes.
#[derive(Debug, Clone)]
pub(crate) struct LogCheck {
    /// Its place, where it is in the log.
    pub(crate) index: Option<u64>,
    /// Number of entries of the checkpoint.
    pub(crate) size: u64,
    /// Whether the chain holds a root that covers it.
    pub(crate) anchored: bool,
    /// What the statement says, where there is one.
    pub(crate) said: Option<Value>,
}

/// A statement in a log: everything that shows it is there.
pub(crate) struct FoundStatement {
    /// The entry.
    pub(crate) entry: Vec<u8>,
    /// That the log holds it.
    pub(crate) receipt: Receipt,
    /// The log's key.
    pub(crate) key: VerifierKey,
}

impl FoundStatement {
    /// What it says. Its signature was checked when it was found.
    pub(crate) fn said(&self) -> Option<Value> {
        let statement = UncheckedStatement::decode(&self.entry, STATEMENT_BYTES).ok()?;
        Some(statement.verify().ok()?.statement().predicate.clone())
    }
}

/// Looks for the newest statement of a kind about bytes, and proves that it is in the log. Also gives the log's size.
///
/// # Errors
/// [`Code::LogDiffers`] where log, signature and proof contradict each other.
pub(crate) fn find_statement(
    session: &Session<'_>,
    issuer: Address,
    kind: &str,
    about: ContentDigest,
) -> Result<(Option<FoundStatement>, u64), CliError> {
    let Some(reader) = log_reader(session)? else {
        return Ok((None, 0));
    };
    let checkpoint = reader.audit()?;
    let size = checkpoint.checkpoint().size;
    let found = read_all(&reader)?
        .into_iter()
        .rfind(|(_, statement)| says(statement, issuer, kind, about));
    let Some((index, _)) = found else {
        return Ok((None, size));
    };
    let (entry, receipt) = reader.receipt(&checkpoint, index)?;
    let key = reader.key().clone();
    Ok((Some(FoundStatement { entry, receipt, key }), size))
}

fn says(statement: &Statement, issuer: Address, kind: &str, about: ContentDigest) -> bool {
    statement.predicate_type == kind
        && statement.issuer == issuer
        && statement.subjects.iter().any(|subject| subject.digest == about)
}

/// Asks the chain whether it holds the root over a statement that was found, in the log of an account.
///
/// # Errors
/// Those of the chain.
pub(crate) fn is_anchored(
    reader: &ContractReader,
    owner: Address,
    found: &FoundStatement,
) -> Result<bool, CliError> {
    let id = LogId::of_origin(found.key.name());
    let (index, leaf) = (found.receipt.index(), leaf_hash(&found.entry));
    Ok(reader.is_anchored(owner, id, index, leaf, found.receipt.path())?)
}

/// Reads a statement back from what [`FoundStatement`] is kept as, and checks that it says what is asked.
///
/// # Errors
/// [`Code::LogDiffers`] where it does not.
pub(crate) fn read_statement(
    entry: Vec<u8>,
    receipt: &str,
    policy: &str,
    (issuer, kind, about): (Address, &str, ContentDigest),
) -> Result<FoundStatement, CliError> {
    let differs = |why: String| {
        CliError::new(Code::LogDiffers, "the log does not hold the statement")
            .why(why)
            .fix("compare with another copy of the log")
    };
    let policy = Policy::parse(policy).map_err(|error| differs(with_causes(&error)))?;
    let (receipt, _) = UncheckedReceipt::from_text(receipt)
        .and_then(|receipt| receipt.verify_under(&entry, &policy))
        .map_err(|error| differs(with_causes(&error)))?;
    let key = policy
        .logs()
        .map(|(key, _)| key)
        .find(|key| key.name() == receipt.checkpoint().checkpoint().origin)
        .ok_or_else(|| differs("the policy names another log".to_owned()))?
        .clone();
    let statement = UncheckedStatement::decode(&entry, STATEMENT_BYTES)
        .and_then(UncheckedStatement::verify)
        .map_err(|error| differs(with_causes(&error)))?;
    if !says(statement.statement(), issuer, kind, about) {
        return Err(differs("the entry says something else".to_owned()));
    }
    Ok(FoundStatement { entry, receipt, key })
}

/// Looks for the statement of a kind about bytes, proves that it is in the log, and asks the chain about the proof.
///
/// # Errors
/// [`Code::LogDiffers`] where log, signature and proof contradict each other, and those of the chain.
pub(crate) fn check_log(
    session: &Session<'_>,
    contracts: &Contracts,
    issuer: Address,
    kind: &str,
    about: ContentDigest,
) -> Result<LogCheck, CliError> {
    let (found, size) = find_statement(session, issuer, kind, about)?;
    let anchored = match (&found, log_owner(session)) {
        (Some(found), Some(owner)) => is_anchored(&contracts.reader, owner, found)?,
        _ => false,
    };
    Ok(LogCheck {
        said: found.as_ref().and_then(FoundStatement::said),
        index: found.map(|found| found.receipt.index()),
        size,
        anchored,
    })
}

/// The chain's time, or this machine's where the chain does not say.
pub(super) fn now(ledger: &ContractLedger) -> Result<UnixSeconds, CliError> {
    use counterweight_federated::ledger::StudyReader as _;
    Ok(ledger.now()?)
}
