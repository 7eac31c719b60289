//! Receipts of decisions that were not kept, and what their signer answers.

use std::path::{Path, PathBuf};

use counterweight_chain::ledger::{ContractLedger, ReceiptState};
use counterweight_federated::ledger::StudyReader as _;
use counterweight_primitives::{Address, Sha256Digest, UnixSeconds};
use counterweight_provenance::{
    decision::receipt::{DecisionReceipt, Promise, UncheckedDecisionReceipt},
    ledger::{AnchorReader as _, AnchoredHead, LogId},
};
use serde_json::json;

use super::chain::{OwnLog, Whose};
use crate::{
    arguments::Coins,
    commands::{
        Context,
        log::{Place, read},
    },
    error::{CliError, Code, Status, with_causes},
    output::{Answer, Cell, Table},
    project::Project,
    session::{Session, development_name},
};

/// What to do about receipts that were not kept.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Take a receipt to the contract: show that it was not kept, or ask its signer for the proof against a deposit
    Open {
        /// The receipt, one document
        receipt: PathBuf,
        /// Account that signed it
        #[arg(long, value_name = "ADDRESS")]
        owner: Address,
        /// A copy of the log: where another entry stands at the receipt's place, that is shown
        #[arg(long, value_name = "DIR")]
        log: Option<PathBuf>,
        /// Another receipt, which contradicts this one
        #[arg(long, value_name = "FILE", conflicts_with = "log")]
        contradicts: Option<PathBuf>,
    },
    /// Answer every dispute about your log with the proof, within a day of its opening
    Answer {
        /// Folder of the decisions
        #[arg(long, value_name = "DIR")]
        log: PathBuf,
    },
    /// End a dispute that was not answered within a day: the promise counts as broken
    Settle {
        /// The receipt
        receipt: PathBuf,
        /// Account that signed it
        #[arg(long, value_name = "ADDRESS")]
        owner: Address,
    },
    /// Show where the dispute about a receipt stands
    Show {
        /// The receipt
        receipt: PathBuf,
        /// Account that signed it
        #[arg(long, value_name = "ADDRESS")]
        owner: Address,
    },
    /// List the disputes that were opened about a log
    List {
        /// Whose log
        #[command(flatten)]
        whose: Whose,
    },
    /// Take what disputes and bonds credited to your account
    Claim,
}

/// Does it.
///
/// # Errors
/// [`Code::DisclosureRefused`] for a receipt that does not hold, [`Code::ContractRefuses`], and those of chain and log.
pub(super) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    if let Command::Answer { log } = command {
        return answer(&OwnLog::open(log, &project, context)?, context);
    }
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let acting = || {
        let name = context.global.key.as_ref();
        let key = session
            .keys
            .open(&name.map_or_else(|| development_name(0), |name| name.0.clone()))?;
        Ok::<_, CliError>(contracts.acting_for(&key))
    };
    match command {
        Command::Open {
            receipt,
            owner,
            log,
            contradicts,
        } => {
            let receipt = signed(receipt, *owner)?;
            let other = contradicts
                .as_deref()
                .map(|file| signed(file, *owner))
                .transpose()?;
            open(&acting()?, &receipt, log.as_deref(), other.as_ref(), context)
        }
        Command::Settle { receipt, owner } => {
            let receipt = signed(receipt, *owner)?;
            let ledger = acting()?;
            if !context.global.dry_run {
                ledger.settle_dispute(*owner, receipt.promise())?;
            }
            told(&ledger, &receipt, "settled")
        }
        Command::Show { receipt, owner } => told(&contracts.reader, &signed(receipt, *owner)?, "looked at"),
        Command::List { whose } => {
            let (owner, origin) = whose.name()?;
            list(&contracts.reader, owner, &origin)
        }
        Command::Claim => {
            let ledger = acting()?;
            let credit = ledger.receipt_credit(ledger.account())?;
            if credit.0 == 0 {
                return Err(CliError::new(Code::NothingToClaim, "there is nothing to claim")
                    .fact("account", ledger.account().to_string())
                    .fix("choose another account with --key"));
            }
            if !context.global.dry_run {
                ledger.claim_receipt_credit()?;
            }
            Ok(Answer::new("decision-claim/1")
                .json("account", ledger.account().to_string())
                .json("wei", credit.0.to_string())
                .line(format!("{} to {}", Coins(credit.0), ledger.account()))
                .id(credit.0.to_string()))
        }
        Command::Answer { .. } => Err(CliError::fault("answered above")),
    }
}

/// Reads a receipt and checks its signature.
pub(crate) fn signed(file: &Path, owner: Address) -> Result<DecisionReceipt, CliError> {
    let bytes = read(file)?;
    UncheckedDecisionReceipt::decode(bytes.trim_ascii_end())
        .and_then(|receipt| receipt.verify(owner))
        .map_err(|error| {
            CliError::new(
                Code::DisclosureRefused,
                format!("{} is no receipt that {owner} signed", file.display()),
            )
            .why(with_causes(&error))
            .fix("give one receipt, a line of what recording it wrote, and the account that owns the log")
        })
}

/// What an anchored head says about the place of a promise.
enum Shown {
    /// The head does not reach the place after the deadline, or there is none.
    Absent,
    /// Another leaf stands there.
    Other(Sha256Digest, Vec<Sha256Digest>),
    /// The leaf stands there.
    Kept,
    /// Nothing that can be shown from here.
    Nothing,
}

fn look(
    head: Option<&AnchoredHead>,
    promise: &Promise,
    now: UnixSeconds,
    log: Option<&Path>,
) -> Result<Shown, CliError> {
    let Some(head) = head.filter(|head| !head.forked && head.size > promise.index) else {
        return Ok(if now > promise.deadline {
            Shown::Absent
        } else {
            Shown::Nothing
        });
    };
    let Some(folder) = log else {
        return Ok(Shown::Nothing);
    };
    let reader = Place::at(&folder.join("log")).reader()?;
    let (leaf, path) = reader.inclusion_at(promise.index, head.size, &reader.checkpoint()?)?;
    Ok(if leaf == promise.leaf {
        Shown::Kept
    } else {
        Shown::Other(leaf, path)
    })
}

/// Takes the shortest way that is open: what can be shown ends at once.
fn open(
    ledger: &ContractLedger,
    receipt: &DecisionReceipt,
    log: Option<&Path>,
    other: Option<&DecisionReceipt>,
    context: &Context,
) -> Result<Answer, CliError> {
    let promise = receipt.promise();
    let send = !context.global.dry_run;
    if let Some(other) = other {
        if !receipt.contradicts(other) {
            return Err(CliError::new(Code::BadValue, "the receipts do not contradict each other")
                .why("two contradict that promise different entries for one place, or for one number of an endpoint")
                .fix("cw decision verify shows what each promises"));
        }
        if send {
            ledger.report_contradiction(receipt, other)?;
        }
        return told(ledger, receipt, "shown to contradict another");
    }
    let now = ledger.now()?;
    let head = ledger.anchored_head(receipt.signer(), promise.log)?;
    match look(head.as_ref(), promise, now, log)? {
        Shown::Kept => Ok(told(ledger, receipt, "kept: the entry is where it was promised")?
            .json("kept", true)
            .status(Status::No)),
        Shown::Absent => {
            if send {
                ledger.report_absent(receipt)?;
            }
            told(ledger, receipt, "shown to be absent")
        }
        Shown::Other(leaf, path) => {
            if send {
                ledger.report_other(receipt, leaf, &path)?;
            }
            told(ledger, receipt, "shown to be another entry")
        }
        Shown::Nothing if now <= promise.deadline => Err(CliError::new(
            Code::ContractRefuses,
            "it is too early: the promise may still be kept",
        )
        .fact("deadline", promise.deadline.to_rfc3339())
        .fact("chain's time", now.to_rfc3339())
        .why("before the deadline only another entry at its place, or a receipt that contradicts it, is a fault")
        .fix("give a copy of the log with --log, or wait for the deadline")),
        Shown::Nothing => {
            let deposit = ledger.receipt_deposit(receipt.signer(), promise.log)?;
            if send {
                ledger.open_dispute(receipt)?;
            }
            Ok(told(ledger, receipt, "asked for")?.json("deposit_wei", deposit.0.to_string()))
        }
    }
}

/// Answers what can be answered.
fn answer(own: &OwnLog<'_>, context: &Context) -> Result<Answer, CliError> {
    let ledger = own.ledger()?;
    let owner = ledger.account();
    let head = ledger.anchored_head(owner, own.id)?;
    let checkpoint = own.reader.checkpoint()?;
    let mut turns = Vec::new();
    let mut table = Table::new(["entry", "", ""]);
    for logged in ledger.receipt_disputes(owner, own.id)? {
        let promise = &logged.promise;
        if ledger.receipt_dispute(owner, promise)?.state != ReceiptState::Open {
            continue;
        }
        let size = head.as_ref().map_or(0, |head| head.size);
        let said = if size <= promise.index {
            "not anchored: cw decision anchor, then answer again"
        } else {
            match own.reader.inclusion_at(promise.index, size, &checkpoint)? {
                (leaf, _) if leaf != promise.leaf => "another entry stands there: there is no answer",
                (_, path) => {
                    if !context.global.dry_run {
                        ledger.answer_dispute(owner, promise, &path)?;
                    }
                    "answered"
                }
            }
        };
        turns.push(json!({"index": promise.index, "answer_by": logged.answer_by.to_rfc3339(), "said": said}));
        table.push([
            Cell::number(promise.index),
            Cell::text(said),
            Cell::text(format!("due {}", logged.answer_by.to_rfc3339())),
        ]);
    }
    let none = turns.is_empty();
    let answer = Answer::new("decision-answer/1").json("turns", turns);
    Ok(if none {
        answer.line("no dispute is open")
    } else {
        answer.table(table)
    })
}

fn list<S>(ledger: &ContractLedger<S>, owner: Address, origin: &str) -> Result<Answer, CliError> {
    let mut rows = Vec::new();
    let mut table = Table::new(["entry", "state", "answer by", "opened by"]);
    for logged in ledger.receipt_disputes(owner, LogId::of_origin(origin))? {
        let dispute = ledger.receipt_dispute(owner, &logged.promise)?;
        let state = state_name(dispute.state);
        table.push([
            Cell::number(logged.promise.index),
            Cell::text(state),
            Cell::text(logged.answer_by.to_rfc3339()),
            Cell::text(dispute.challenger.to_string()),
        ]);
        rows.push(json!({
            "index": logged.promise.index,
            "counter": logged.promise.counter,
            "leaf": logged.promise.leaf.to_string(),
            "state": state,
            "answer_by": logged.answer_by.to_rfc3339(),
            "challenger": dispute.challenger.to_string(),
        }));
    }
    let none = rows.is_empty();
    let answer = Answer::new("decision-disputes/1")
        .json("origin", origin)
        .json("owner", owner.to_string())
        .json("disputes", rows);
    Ok(if none {
        answer.line("no dispute was opened")
    } else {
        answer.table(table)
    })
}

fn state_name(state: ReceiptState) -> &'static str {
    match state {
        ReceiptState::Undisputed => "undisputed",
        ReceiptState::Open => "open",
        ReceiptState::Kept => "kept",
        ReceiptState::Broken => "broken",
    }
}

/// Where the dispute stands after what was done.
fn told<S>(ledger: &ContractLedger<S>, receipt: &DecisionReceipt, done: &str) -> Result<Answer, CliError> {
    let promise = receipt.promise();
    let dispute = ledger.receipt_dispute(receipt.signer(), promise)?;
    let state = state_name(dispute.state);
    let mut answer = Answer::new("decision-dispute/1")
        .json("origin", receipt.origin())
        .json("owner", receipt.signer().to_string())
        .json("index", promise.index)
        .json("done", done)
        .json("state", state)
        .line(format!(
            "entry {} of {}: {done}; the promise is {state}",
            promise.index,
            receipt.origin()
        ))
        .id(state);
    if dispute.state == ReceiptState::Open {
        answer = answer
            .json("answer_by", dispute.answer_by.to_rfc3339())
            .line(format!(
                "its signer may answer until {}",
                dispute.answer_by.to_rfc3339()
            ));
    }
    Ok(answer)
}
