//! `cw decision`: record decisions of models, prove them, show chosen fields, erase people, receive from elsewhere.

mod chain;
mod check;
mod dispute;
mod serve;
mod write;

pub(super) use dispute::signed as signed_receipt;
pub(super) use write::{Choice, disclosed};

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterweight_chain::keys::LocalKey;
use counterweight_primitives::{Address, ContentDigest, UnixMillis};
use counterweight_provenance::{
    decision::{
        DecisionBook, Profile, ProfileDraft, SecretKey,
        http::{Listen, MOST_CLIENTS},
    },
    log::LogReader,
    signature,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

use super::{
    Context,
    log::{Place, owner},
};
use crate::{
    arguments::Seconds,
    error::{CliError, Code, with_causes},
    metrics::{MetricsAddress, serve_log_metrics},
    output::Answer,
    training::log_signer,
};

/// What is signed to make the key that subjects' keys are wrapped under.
const MASTER_DOMAIN: &str = "counterweight/decision-master/v1";

/// Seconds within which a checkpoint is promised to be anchored, unless said otherwise.
const MERGE_DELAY: &str = "24h";

/// What to do with decisions.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Record decisions, one JSON object a line, each safe on disk before it is acknowledged
    Record {
        /// Decisions; `-` for standard input
        #[arg(default_value = "-", value_name = "FILE")]
        decisions: PathBuf,
        /// Folder of the decisions, begun where there is none
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
        /// First line of the log's checkpoints, such as example.com/decisions; needed to begin one
        #[arg(long, value_name = "NAME")]
        origin: Option<String>,
        /// What endpoint, model and fields they have; needed once for each
        #[arg(long, value_name = "FILE")]
        endpoint: Vec<PathBuf>,
        /// Write a signed receipt for each decision into this file, one a line
        #[arg(long, value_name = "FILE")]
        receipts: Option<PathBuf>,
        /// Promise in receipts that a checkpoint is anchored within this time
        #[arg(long, value_name = "TIME", default_value = MERGE_DELAY)]
        merge_delay: Seconds,
    },
    /// Print the proof that a decision is in the log: C2SP tlog-proof, checkable offline
    Prove {
        /// The decision's entry, counted from 0
        index: u64,
        /// Folder of the decisions
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
    },
    /// Write a file that shows chosen fields of a decision and nothing of the others
    Disclose {
        /// The decision's entry, counted from 0
        index: u64,
        /// Folder of the decisions
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
        /// A field to show: its name, or role:name, such as contribution:age; may be given several times
        #[arg(long, value_name = "NAME", required_unless_present = "all")]
        field: Vec<String>,
        /// Show all fields
        #[arg(long, conflicts_with = "field")]
        all: bool,
        /// Add the parameters of the explanation, so that it can be recomputed
        #[arg(long)]
        parameters: bool,
        /// Add the explanation that was made later: its entry
        #[arg(long, value_name = "N", requires = "model", conflicts_with = "parameters")]
        explanation: Option<u64>,
        /// The tree ensemble of that explanation, as LightGBM saved it, or XGBoost as JSON
        #[arg(long, value_name = "FILE", requires = "explanation")]
        model: Option<PathBuf>,
        /// Where to write it
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Explain a decision of a tree ensemble, and record the explanation
    Explain {
        /// The decision's entry, counted from 0
        index: u64,
        /// Folder of the decisions
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
        /// The tree ensemble that the endpoint names, as LightGBM saved it, or XGBoost as JSON
        #[arg(long, value_name = "FILE")]
        model: PathBuf,
    },
    /// Record a decision that replaces an earlier one about the same person; the earlier one stays
    Correct {
        /// Entry of what it replaces, counted from 0
        index: u64,
        /// The decision as it should have been: one JSON object
        decision: PathBuf,
        /// Folder of the decisions
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
        /// What endpoint, model and fields it has, where they changed
        #[arg(long, value_name = "FILE")]
        endpoint: Option<PathBuf>,
    },
    /// Check a disclosure, or a receipt against a proof: yes, no or unknown
    Verify {
        /// The disclosure or the receipt
        file: PathBuf,
        /// The log's key: name+id+key
        #[arg(long, value_name = "KEY", required_unless_present = "policy")]
        vkey: Option<String>,
        /// Trust the logs and witnesses of this file instead: C2SP tlog-policy
        #[arg(long, value_name = "FILE", conflicts_with = "vkey")]
        policy: Option<PathBuf>,
        /// Account that signs the log's receipts
        #[arg(long, value_name = "ADDRESS")]
        owner: Option<Address>,
        /// Proof that the decision of the receipt is in the log: `cw decision prove`
        #[arg(long, value_name = "FILE", requires = "owner")]
        proof: Option<PathBuf>,
        /// The decision's entry in hexadecimal, as it was answered with the receipt
        #[arg(long, value_name = "HEX", requires = "proof")]
        entry: Option<String>,
    },
    /// Delete the keys of people for good: what was decided about them cannot be opened any more, and every proof holds
    Erase {
        /// Whom, by the name that decisions gave; may be given several times
        #[arg(long, value_name = "NAME", required = true)]
        subject: Vec<String>,
        /// Legal ground, as the log is to say it
        #[arg(long, value_name = "TEXT")]
        ground: String,
        /// Folder of the decisions
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
    },
    /// Anchor the log on the chain, which takes it only as a continuation of what was anchored before
    Anchor(chain::Anchor),
    /// The bond behind the receipts of a log
    #[command(subcommand)]
    Bond(chain::Bond),
    /// Receipts that were not kept: show it, ask for the proof, answer, settle
    #[command(subcommand)]
    Dispute(dispute::Command),
    /// Receive decisions over HTTP, and OpenTelemetry spans of models, until Ctrl-C
    Serve {
        /// Folder of the decisions, begun where there is none
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
        /// First line of the log's checkpoints; needed to begin one
        #[arg(long, value_name = "NAME")]
        origin: Option<String>,
        /// What endpoint, model and fields decisions have; may be given several times
        #[arg(long, value_name = "FILE", required = true)]
        endpoint: Vec<PathBuf>,
        /// How long the first decision of a batch waits for others
        #[arg(long, value_name = "TIME", default_value = "100ms")]
        delay: Seconds,
        /// Most decisions that wait at one time; more are refused
        #[arg(long, value_name = "N", default_value_t = 131_072)]
        queue: usize,
        /// Promise in receipts that a checkpoint is anchored within this time
        #[arg(long, value_name = "TIME", default_value = MERGE_DELAY)]
        merge_delay: Seconds,
        /// Take decisions only from those who have a bearer token of this file, one a line
        #[arg(long, value_name = "FILE")]
        tokens: Option<PathBuf>,
        /// Certificates in PEM, the server's first: decisions are then taken over TLS only
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_cert: Option<PathBuf>,
        /// Private key of the first of them, in PEM
        #[arg(long, value_name = "FILE", requires = "tls_cert")]
        tls_key: Option<PathBuf>,
        /// Most connections at one time; whoever comes then waits
        #[arg(long, value_name = "N", default_value_t = MOST_CLIENTS)]
        clients: usize,
        /// Port to listen on; 0 for any free one
        #[arg(long, value_name = "N", default_value_t = 7422)]
        port: u16,
        /// Address to listen on
        #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
        host: IpAddr,
        #[command(flatten)]
        metrics: MetricsAddress,
    },
}

/// Does it.
///
/// # Errors
/// [`Code::DecisionUnfit`], [`Code::NoDecision`], [`Code::Erased`], [`Code::RecordsDamaged`], and those of logs, keys and
/// files.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    match command {
        Command::Record {
            decisions,
            log,
            origin,
            endpoint,
            receipts,
            merge_delay,
        } => {
            let mut open = Open::new(log, origin.as_deref(), endpoint, context)?;
            write::record(decisions, &mut open, receipts.as_deref(), *merge_delay, log)
        }
        Command::Prove { index, log } => check::prove(*index, log),
        Command::Disclose {
            index,
            log,
            field,
            all,
            parameters,
            explanation,
            model,
            output,
        } => {
            let open = Open::new(log, None, &[], context)?;
            let choice = write::Choice {
                fields: (!all).then_some(field.as_slice()),
                parameters: *parameters,
                explanation: explanation.zip(model.as_deref()),
            };
            write::disclose(&open, *index, &choice, output, context)
        }
        Command::Explain { index, log, model } => {
            let mut open = Open::new(log, None, &[], context)?;
            write::explain(&mut open, *index, model, log)
        }
        Command::Correct {
            index,
            decision,
            log,
            endpoint,
        } => {
            let mut open = Open::new(log, None, endpoint.as_slice(), context)?;
            write::correct(&mut open, *index, decision, log)
        }
        Command::Verify {
            file,
            vkey,
            policy,
            owner,
            proof,
            entry,
        } => check::verify(
            file,
            vkey.as_deref(),
            policy.as_deref(),
            &check::Promised {
                owner: *owner,
                proof: proof.as_deref(),
                entry: entry.as_deref(),
            },
        ),
        Command::Erase { subject, ground, log } => {
            let mut open = Open::new(log, None, &[], context)?;
            write::erase(&mut open, subject, ground, context)
        }
        Command::Anchor(arguments) => chain::anchor(arguments, context),
        Command::Bond(command) => chain::bond(command, context),
        Command::Dispute(command) => dispute::run(command, context),
        Command::Serve {
            log,
            origin,
            endpoint,
            delay,
            queue,
            merge_delay,
            tokens,
            tls_cert,
            tls_key,
            clients,
            port,
            host,
            metrics,
        } => {
            let access = serve::access(tokens.as_deref())?;
            let certified = tls_cert.as_deref().zip(tls_key.as_deref());
            let listen = Listen {
                address: (*host, *port).into(),
                clients: *clients,
                tls: certified
                    .map(|(certificates, key)| serve::tls(certificates, key))
                    .transpose()?,
            };
            let open = Open::new(log, origin.as_deref(), endpoint, context)?;
            let batching = serve::Batching {
                delay: delay.0,
                queue: *queue,
                merge_delay: merge_delay.0.as_secs(),
            };
            serve_log_metrics(*metrics, log.join("log"), context)?;
            serve::run(open, batching, access, listen, context)
        }
    }
}

/// Decisions that are open, with the key of whoever owns them.
pub(super) struct Open {
    book: DecisionBook,
    owner: Arc<LocalKey>,
    origin: String,
    /// The log's public key.
    key: String,
    /// Those that were given, or all there are.
    profiles: Vec<Arc<Profile>>,
}

impl Open {
    /// The log's origin.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// The log's public key.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// The account that owns the log.
    pub(super) fn account(&self) -> Address {
        self.owner.account()
    }

    /// Reads the log.
    pub(super) fn log(&self) -> LogReader {
        self.book.log().reader()
    }

    /// Opens decisions, or begins them where an origin is given.
    ///
    /// # Errors
    /// As [`run`].
    pub(super) fn new(
        folder: &Path,
        origin: Option<&str>,
        profiles: &[PathBuf],
        context: &Context,
    ) -> Result<Self, CliError> {
        let place = Place::at(&folder.join("log"));
        let begun = place.is_begun();
        let missing = format!("there are no decisions in {} yet", folder.display());
        let fix = "cw decision record --log DIR --origin example.com/decisions --endpoint FILE";
        let origin = place.origin(origin, &missing, fix)?;
        let owner = owner(context)?;
        let signer = log_signer(&owner, &origin)?;
        let key = signer.verifier().to_string();
        let random = ChaCha20Rng::try_from_os_rng().map_err(|error| {
            CliError::fault("the system gives no random numbers").fact("system", error.to_string())
        })?;
        let mut book = DecisionBook::open(folder, signer, master(&owner, &origin)?, Box::new(random))?;
        if !begun {
            place.write_key(&key, owner.account())?;
        }
        let mut added = Vec::new();
        for file in profiles {
            let draft = ProfileDraft::read(&super::log::read(file)?).and_then(ProfileDraft::into_profile);
            let profile = draft.map_err(|error| {
                CliError::new(Code::DecisionUnfit, format!("{} is no profile", file.display()))
                    .why(with_causes(&error))
                    .fix("write it as docs/guides/log-decisions.md shows")
            })?;
            added.push(book.add_profile(profile)?);
        }
        if profiles.is_empty() {
            added.extend(book.profiles().cloned());
        }
        Ok(Self {
            book,
            owner,
            origin,
            key,
            profiles: added,
        })
    }
}

/// As the log's key: it follows from its owner's, whose signature is deterministic and never shown.
fn master(owner: &LocalKey, origin: &str) -> Result<SecretKey, CliError> {
    let signed = signature::sign(owner, MASTER_DOMAIN, &ContentDigest::of(origin.as_bytes()))
        .map_err(|error| CliError::new(Code::Fault, with_causes(&error)))?;
    Ok(SecretKey::new(ContentDigest::of(&signed.0).0))
}

fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMillis(since.map_or(0, |since| since.as_millis() as u64))
}
