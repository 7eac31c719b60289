//! A log of decisions on a chain: its anchor, and the bond behind its receipts.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use counterweight_chain::{keys::LocalKey, ledger::ContractLedger};
use counterweight_primitives::{Address, Amount};
use counterweight_provenance::{
    ledger::{AnchorLedger as _, AnchorReader as _, LogId, anchor_size},
    log::{Log, LogError, LogReader, tree::empty_root},
};

use crate::{
    arguments::{Coins, Seconds},
    commands::{
        Context,
        log::{Place, sign_for_chain},
    },
    error::{CliError, Code},
    output::{Answer, Cell},
    project::Project,
    session::{Session, development_name},
    training::log_signer,
};

/// What to anchor.
#[derive(Debug, clap::Args)]
pub(crate) struct Anchor {
    /// Folder of the decisions
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// Anchor every entry, which costs more gas than a size that is rounded down; for a log that rests
    #[arg(long)]
    whole: bool,
    /// Go on until Ctrl-C, and anchor what is new each time
    #[arg(long, value_name = "TIME")]
    every: Option<Seconds>,
}

/// What to do with the bond behind receipts.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bond {
    /// Add to the bond, a tenth of which is lost for each receipt that is not kept
    Post {
        /// How much, with its unit: 0.5eth
        amount: Coins,
        /// Folder of the decisions
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
    },
    /// Ask for the bond back; seven days later, take it
    Withdraw {
        /// Folder of the decisions
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
    },
    /// Show the bond of a log
    Show {
        /// Whose log
        #[command(flatten)]
        whose: Whose,
    },
}

/// A log, by its folder or by its name.
#[derive(Debug, clap::Args)]
pub(crate) struct Whose {
    /// Folder of the decisions
    #[arg(long, value_name = "DIR", required_unless_present = "owner", conflicts_with_all = ["owner", "origin"])]
    log: Option<PathBuf>,
    /// Account that owns the log
    #[arg(long, value_name = "ADDRESS", requires = "origin")]
    owner: Option<Address>,
    /// First line of its checkpoints
    #[arg(long, value_name = "NAME", requires = "owner")]
    origin: Option<String>,
}

impl Whose {
    /// Owner and origin.
    pub(super) fn name(&self) -> Result<(Address, String), CliError> {
        match (&self.log, self.owner, &self.origin) {
            (_, Some(owner), Some(origin)) => Ok((owner, origin.clone())),
            (Some(folder), ..) => {
                let place = Place::at(&folder.join("log"));
                Ok((place.owner()?, place.key()?.name().to_owned()))
            }
            _ => Err(CliError::fault(
                "neither a folder nor an owner, though one is required",
            )),
        }
    }
}

/// The owner's side of a log: where it is, whose it is, and the chain it is anchored on.
pub(super) struct OwnLog<'a> {
    session: Session<'a>,
    pub(super) key: Arc<LocalKey>,
    pub(super) reader: LogReader,
    origin: String,
    pub(super) id: LogId,
    folder: PathBuf,
}

impl<'a> OwnLog<'a> {
    /// Opens the log's files for reading, so that whoever records into it goes on, and the chain.
    pub(super) fn open(folder: &Path, project: &'a Project, context: &Context) -> Result<Self, CliError> {
        let place = Place::at(&folder.join("log"));
        let reader = place.reader()?;
        let owner = place.owner()?;
        let session = Session::begin(project, context)?;
        let name = context.global.key.as_ref();
        let key = session
            .keys
            .open(&name.map_or_else(|| development_name(0), |name| name.0.clone()))?;
        if key.account() != owner {
            return Err(
                CliError::new(Code::BadValue, "the log belongs to another account")
                    .fact("log", owner.to_string())
                    .fact("key", key.account().to_string())
                    .why("on the chain a log goes by its owner's account")
                    .fix("choose the key that the log was begun with: --key NAME"),
            );
        }
        let origin = reader.key().name().to_owned();
        Ok(Self {
            id: LogId::of_origin(&origin),
            folder: folder.join("log"),
            session,
            key,
            reader,
            origin,
        })
    }

    /// The contracts, deployed first where a development chain has none.
    pub(super) fn ledger(&self) -> Result<ContractLedger, CliError> {
        Ok(self.session.deploy(&self.key)?.acting_for(&self.key))
    }

    /// Puts the account's signature below the newest checkpoint. Who records meanwhile does so when it ends.
    fn sign(&self, context: &Context) -> Result<(), CliError> {
        match Log::open(&self.folder, log_signer(&self.key, &self.origin)?) {
            Ok(mut log) => sign_for_chain(&mut log, &self.key),
            Err(LogError::Locked { .. }) => {
                context.console.detail(
                    "The log is being recorded into: its checkpoint gets the account's signature at the end",
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Anchors what is new, once or again and again.
///
/// # Errors
/// [`Code::LogDiffers`] where the log is not what was anchored before, and those of the chain.
pub(super) fn anchor(arguments: &Anchor, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let own = OwnLog::open(&arguments.log, &project, context)?;
    let ledger = own.ledger()?;
    let Some(every) = arguments.every else {
        return anchor_once(&own, &ledger, arguments.whole, context);
    };
    loop {
        match anchor_once(&own, &ledger, arguments.whole, context) {
            Ok(answer) => context.emit(&answer)?,
            // A log that is not what was anchored stays so; a chain that is silent answers again.
            Err(error) if error.code() == Code::LogDiffers => return Err(error),
            Err(error) => context.console.warn(error.message()),
        }
        thread::sleep(every.0);
    }
}

fn anchor_once(
    own: &OwnLog<'_>,
    ledger: &ContractLedger,
    whole: bool,
    context: &Context,
) -> Result<Answer, CliError> {
    if !context.global.dry_run {
        own.sign(context)?;
    }
    let checkpoint = own.reader.checkpoint()?;
    let entries = checkpoint.checkpoint().size;
    let head = ledger.anchored_head(ledger.account(), own.id)?;
    let (before, old_root) = head.map_or((0, empty_root()), |head| (head.size, head.root));
    let size = if whole { entries } else { anchor_size(entries) };
    let answer = Answer::new("decision-anchor/1")
        .json("origin", own.origin.as_str())
        .json("owner", ledger.account().to_string())
        .json("entries", entries)
        .json("before", before);
    if size <= before {
        // What is anchored must still be a beginning of the log: a log that was restored from a copy is told here.
        own.reader.consistency(before, &old_root, &checkpoint)?;
        return Ok(answer.json("size", before).json("anchored", false).line(format!(
            "{before} of {entries} entries are anchored; nothing is new"
        )));
    }
    let (root, proof) = own.reader.anchor(before, &old_root, size, &checkpoint)?;
    let answer = answer.json("size", size).json("root", root.to_string());
    if context.global.dry_run {
        return Ok(answer.json("anchored", false).line(format!(
            "{size} of {entries} entries would be anchored; nothing was sent"
        )));
    }
    ledger.anchor(own.id, size, root, &proof)?;
    Ok(answer.json("anchored", true).line(format!(
        "{size} of {entries} entries of {} are anchored by {}",
        own.origin,
        ledger.account()
    )))
}

/// Posts, takes back or shows a bond.
///
/// # Errors
/// [`Code::ContractRefuses`] and those of the chain.
pub(super) fn bond(command: &Bond, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    match command {
        Bond::Post { amount, log } => {
            let own = OwnLog::open(log, &project, context)?;
            if context.global.dry_run {
                return Ok(Answer::new("decision-bond/1")
                    .line(format!("{amount} would be added to the bond of {}", own.origin)));
            }
            let ledger = own.ledger()?;
            ledger.post_receipt_bond(own.id, Amount(amount.0))?;
            shown(&ledger, ledger.account(), &own.origin)
        }
        Bond::Withdraw { log } => {
            let own = OwnLog::open(log, &project, context)?;
            let ledger = own.ledger()?;
            withdraw(&own, &ledger, context)?;
            shown(&ledger, ledger.account(), &own.origin)
        }
        Bond::Show { whose } => {
            let session = Session::open(&project, context)?;
            let (owner, origin) = whose.name()?;
            shown(&session.contracts()?.reader, owner, &origin)
        }
    }
}

/// The step that is due: to ask, or after the wait to take.
fn withdraw(own: &OwnLog<'_>, ledger: &ContractLedger, context: &Context) -> Result<(), CliError> {
    use counterweight_federated::ledger::StudyReader as _;

    let bond = ledger.receipt_bond(ledger.account(), own.id)?;
    let due = bond
        .withdrawable_at
        .is_some_and(|due| ledger.now().is_ok_and(|now| due <= now));
    if context.global.dry_run {
        context.console.note("Nothing was sent: --dry-run");
    } else if due {
        ledger.withdraw_receipt_bond(own.id)?;
        ledger.claim_receipt_credit()?;
    } else if bond.withdrawable_at.is_none() {
        ledger.request_receipt_withdrawal(own.id)?;
    }
    Ok(())
}

fn shown<S>(ledger: &ContractLedger<S>, owner: Address, origin: &str) -> Result<Answer, CliError> {
    let id = LogId::of_origin(origin);
    let bond = ledger.receipt_bond(owner, id)?;
    let deposit = ledger.receipt_deposit(owner, id)?;
    let head = ledger.anchored_head(owner, id)?;
    let anchored = head.map_or_else(
        || "nothing".to_owned(),
        |head| format!("{} entries at {}", head.size, head.anchored_at.to_rfc3339()),
    );
    let returns = bond
        .withdrawable_at
        .map_or_else(|| "not asked for".to_owned(), |due| due.to_rfc3339());
    Ok(Answer::new("decision-bond/1")
        .json("origin", origin)
        .json("owner", owner.to_string())
        .json("bond_wei", bond.amount.0.to_string())
        .json(
            "withdrawable_at",
            bond.withdrawable_at.map(|due| due.to_rfc3339()),
        )
        .json("open_disputes", bond.open)
        .json("deposit_wei", deposit.0.to_string())
        .json("anchored", head.map(|head| head.size))
        .json("forked", head.is_some_and(|head| head.forked))
        .fields([
            ("log", Cell::text(origin)),
            ("owner", Cell::text(owner.to_string())),
            ("bond", Cell::text(Coins(bond.amount.0).to_string())),
            ("withdrawal", Cell::text(returns)),
            ("disputes", Cell::text(format!("{} open", bond.open))),
            ("anchored", Cell::text(anchored)),
        ])
        .id(bond.amount.0.to_string()))
}
