//! `cw log`: append to a log, prove what it holds, check all of it, serve it, witness those of others.

mod check;
mod serve;
mod write;

pub(super) use check::prove;
pub(super) use write::{owner, sign_for_chain};

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use counterweight_primitives::Address;
use counterweight_provenance::log::{LogReader, note::VerifierKey};

use super::Context;
use crate::{
    error::{CliError, Code},
    metrics::MetricsAddress,
    output::Answer,
    project::Project,
    session::choose,
    training::log_key_file,
};

/// What to do with a log.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Append files to a log of your own, each as one entry, safe on disk before it is acknowledged
    Append {
        /// Files to append; each has at most 65,535 bytes
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Folder of the log, begun where there is none
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
        /// First line of its checkpoints, such as example.com/log; needed to begin one
        #[arg(long, value_name = "NAME")]
        origin: Option<String>,
        /// Append only if the log has so many entries now
        #[arg(long, value_name = "N")]
        at: Option<u64>,
    },
    /// Print the proof that an entry is in a log: C2SP tlog-proof, checkable offline
    Prove {
        /// The entry, counted from 0
        index: u64,
        /// Folder of the log [default: the project's]
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
    },
    /// Check offline that a proof shows an entry in a log that a policy trusts: C2SP tlog-policy
    Verify {
        /// The proof, as cw log prove prints it
        proof: PathBuf,
        /// The entry
        #[arg(long, value_name = "FILE")]
        entry: PathBuf,
        /// The logs that are trusted, and the witnesses that must have cosigned
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
    },
    /// Rebuild a log from its files and name each file that is wrong
    Fsck {
        /// Folder of the log [default: the project's]
        #[arg(long, value_name = "DIR", conflicts_with = "url")]
        log: Option<PathBuf>,
        /// Address of a log that is served
        #[arg(long, value_name = "URL", requires = "vkey")]
        url: Option<String>,
        /// The log's key: name+id+key [default: the one beside the folder]
        #[arg(long, value_name = "KEY")]
        vkey: Option<String>,
    },
    /// Serve a log over HTTP until Ctrl-C: C2SP tlog-tiles
    Serve {
        /// Folder of the log [default: the project's]
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
        /// Where to listen
        #[command(flatten)]
        listen: Listen,
        #[command(flatten)]
        metrics: MetricsAddress,
    },
    /// Cosign the checkpoints of others, or have yours cosigned: C2SP tlog-witness
    #[command(subcommand)]
    Witness(Witness),
}

/// What to do as a witness or with one.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Witness {
    /// Cosign the checkpoints of logs, as long as each extends the last, until Ctrl-C
    Start {
        /// Name to cosign under, such as example.com/witness
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Folder in which the last checkpoints are kept
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Key of a log to watch, name+id+key; may be given several times
        #[arg(long, value_name = "KEY", required = true)]
        watch: Vec<String>,
        /// Where to listen
        #[command(flatten)]
        listen: Listen,
    },
    /// Have the newest checkpoint of a log of your own cosigned
    Ask {
        /// Address of the witness
        url: String,
        /// The witness's key: name+id+key
        #[arg(long, value_name = "KEY")]
        witness: String,
        /// Folder of the log
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
    },
}

/// Where to listen.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Listen {
    /// Port to listen on; 0 for any free one
    #[arg(long, value_name = "N", default_value_t = 7421)]
    port: u16,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    host: IpAddr,
}

/// Does it.
///
/// # Errors
/// Those of logs, keys and files.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    match command {
        Command::Append {
            files,
            log,
            origin,
            at,
        } => write::append(files, log, origin.as_deref(), *at, context),
        Command::Prove { index, log } => check::prove(*index, &Place::find(log.as_deref(), context)?),
        Command::Verify { proof, entry, policy } => check::verify(proof, entry, policy),
        Command::Fsck { log, url, vkey } => {
            check::fsck(log.as_deref(), url.as_deref(), vkey.as_deref(), context)
        }
        Command::Serve { log, listen, metrics } => {
            serve::log(&Place::find(log.as_deref(), context)?, *listen, *metrics, context)
        }
        Command::Witness(Witness::Start {
            name,
            data,
            watch,
            listen,
        }) => serve::witness(name, data, watch, *listen, context),
        Command::Witness(Witness::Ask { url, witness, log }) => write::ask(url, witness, log, context),
    }
}

/// Reads a file that the command line names.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    fs::read(path).map_err(|error| {
        CliError::new(Code::FileUnreadable, format!("{} cannot be read", path.display()))
            .fact("system", error.to_string())
            .fix("check its name and permissions")
    })
}

/// Where a log is, and where its public key.
pub(super) struct Place {
    folder: PathBuf,
    key_file: PathBuf,
}

impl Place {
    /// A folder that was named; the key is beside it.
    pub(super) fn at(folder: &Path) -> Self {
        let mut key_file = folder.as_os_str().to_owned();
        key_file.push(".pub");
        Self {
            folder: folder.to_owned(),
            key_file: key_file.into(),
        }
    }

    /// The folder that was named, or that of the project's log on the chosen network.
    fn find(folder: Option<&Path>, context: &Context) -> Result<Self, CliError> {
        if let Some(folder) = folder {
            return Ok(Self::at(folder));
        }
        let project = Project::open(&context.global)?;
        let network = choose(&context.global, Some(&project))?;
        let folder = project.folders().log(&network.name);
        Ok(Self {
            key_file: log_key_file(&folder),
            folder,
        })
    }

    /// Whether there is a log.
    pub(super) fn is_begun(&self) -> bool {
        self.folder.join("checkpoint").exists()
    }

    /// The log's origin: the one it has, or the one given for a log that is to begin. `missing` says what is not there yet,
    /// `fix` how it begins.
    pub(super) fn origin(&self, given: Option<&str>, missing: &str, fix: &str) -> Result<String, CliError> {
        match (self.is_begun(), given) {
            (true, _) => Ok(self.key()?.name().to_owned()),
            (false, Some(origin)) => Ok(origin.to_owned()),
            (false, None) => Err(CliError::new(Code::AnswerNeeded, missing)
                .why("a log's first line names it for ever")
                .fix(fix)),
        }
    }

    /// Puts the public key of a log that was begun, and its owner, where others find them.
    pub(super) fn write_key(&self, key: &str, owner: Address) -> Result<(), CliError> {
        fs::write(&self.key_file, format!("{key}\n{owner}\n")).map_err(|error| {
            CliError::new(Code::FileUnreadable, "the log's public key cannot be written")
                .fact("system", error.to_string())
                .fix("check the folder's permissions and the disk's free space")
        })
    }

    /// Its public key.
    pub(super) fn key(&self) -> Result<VerifierKey, CliError> {
        if !self.is_begun() {
            return Err(CliError::new(
                Code::NothingYet,
                format!("there is no log in {}", self.folder.display()),
            )
            .fix("cw log append FILE --log DIR --origin NAME begins one"));
        }
        let text = fs::read_to_string(&self.key_file).map_err(|error| {
            CliError::new(Code::FileUnreadable, "the log's public key cannot be read")
                .fact("file", self.key_file.display().to_string())
                .fact("system", error.to_string())
                .fix("put the key, name+id+key, into that file")
        })?;
        parse_key(text.lines().next().unwrap_or_default())
    }

    /// The account that owns it: the line below its public key.
    pub(super) fn owner(&self) -> Result<Address, CliError> {
        let owner = fs::read_to_string(&self.key_file)
            .ok()
            .and_then(|text| text.lines().nth(1)?.parse().ok());
        owner.ok_or_else(|| {
            CliError::new(Code::FileUnreadable, "it is not known whose log this is")
                .fact("file", self.key_file.display().to_string())
                .fix("put the account that owns it into the second line of that file, below the log's key")
        })
    }

    /// Reads it.
    pub(super) fn reader(&self) -> Result<LogReader, CliError> {
        Ok(LogReader::new(&self.folder, self.key()?))
    }
}

/// Reads a key of a log or witness.
pub(super) fn parse_key<K: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<K, CliError> {
    text.parse().map_err(|error: K::Err| {
        CliError::new(Code::BadValue, "this is no key of a log or witness")
            .why(error.to_string())
            .fix("give it as its owner published it: name+id+key")
    })
}
