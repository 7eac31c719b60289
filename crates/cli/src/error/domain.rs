//! What the domain crates answer, in our words.

use counterweight_federated::{
    coordinator::CoordinatorError,
    http::HttpServerError,
    journal::JournalError,
    member::{ClientError, MemberError, TrainerError},
    table::TableError,
    training::TrainingError,
    update::UpdateError,
};
use counterweight_provenance::{
    blobs::BlobError,
    decision::{DecisionError, KeyError, SegmentError},
    lineage::LineageError,
    log::{LogError, ReadError},
    manifest::ManifestError,
    purpose::PurposeError,
    statement::StatementError,
};

use super::{CliError, Code, with_causes};
use crate::nearest::nearest;

impl From<BlobError> for CliError {
    fn from(error: BlobError) -> Self {
        let told = |code| Self::new(code, error.to_string());
        match &error {
            BlobError::Missing { .. } => told(Code::BytesMissing)
                .why("the chain names the bytes, and they are not in this project's store")
                .fix("get them from whoever published them into .counterweight/blobs"),
            BlobError::Corrupted { path, .. } => told(Code::ContentDiffers)
                .why("the bytes were changed after they were stored")
                .fix(format!("restore {} from a copy", path.display())),
            BlobError::Io { source, .. } => told(Code::FileUnreadable)
                .fact("system", source.to_string())
                .fix("check the folder's permissions and the disk's free space"),
            _ => told(Code::ContentDiffers),
        }
    }
}

impl From<DecisionError> for CliError {
    fn from(error: DecisionError) -> Self {
        let told = |code| Self::new(code, with_causes(&error));
        match error {
            DecisionError::Log(error) => error.into(),
            DecisionError::Read(error) => error.into(),
            DecisionError::Inaccurate { .. } => told(Code::DecisionUnfit)
                .why("what the model gives for these inputs is not the output that was recorded")
                .fix("give the model that decided, and record its output without rounding"),
            DecisionError::Profile(_) | DecisionError::BatchTooLong { .. } => {
                told(Code::DecisionUnfit).fix("correct the profile or the decision")
            }
            DecisionError::Keys(KeyError::Locked { .. }) => told(Code::RecordsDamaged)
                .why("the keys of people open under the key of the account that began the log")
                .fix("choose it with --key, or restore the file from a copy that is as old as the last erasure"),
            DecisionError::Erased { .. } => told(Code::Erased)
                .why("the key of the person it was about was deleted, and it cannot be brought back")
                .fix("cw decision prove shows that the decision was made, and nothing of what it was"),
            DecisionError::UnknownSubject => told(Code::NoDecision)
                .why("nothing was recorded about them, or they were erased")
                .fix("give the name as decisions have it"),
            DecisionError::NotCorrected { .. } => told(Code::DecisionUnfit)
                .fix("name the newest entry of the chain of corrections, and the same subject and endpoint"),
            DecisionError::NoDecision { .. } | DecisionError::NotExplained { .. } => {
                told(Code::NoDecision).fix("give the number that recording it answered")
            }
            DecisionError::Io { .. }
            | DecisionError::Keys(KeyError::Io { .. })
            | DecisionError::Segments(SegmentError::Io { .. }) => {
                told(Code::FileUnreadable).fix("check the folder's permissions and the disk's free space")
            }
            _ => told(Code::RecordsDamaged)
                .why("the log is sound, and what is kept beside it is not what was recorded")
                .fix("restore sealed and profiles from a copy; never keys/epoch, which would undo erasures"),
        }
    }
}

impl From<ManifestError> for CliError {
    fn from(error: ManifestError) -> Self {
        Self::new(Code::BadValue, format!("the manifest cannot be written: {error}"))
            .fix("correct what the message names in counterweight.toml")
    }
}

impl From<PurposeError> for CliError {
    fn from(error: PurposeError) -> Self {
        Self::new(Code::BadValue, error.to_string())
            .why("purposes are those of docs/spec/purposes.md, so that everybody means the same by them")
            .fix("choose one of the known purposes, such as research")
    }
}

impl From<LineageError> for CliError {
    fn from(error: LineageError) -> Self {
        Self::new(Code::LineageDiffers, error.to_string())
            .why("the chain's own records contradict each other")
            .fix("cw doctor")
    }
}

impl From<StatementError> for CliError {
    fn from(error: StatementError) -> Self {
        Self::new(Code::LogDiffers, with_causes(&error)).fix("cw verify log")
    }
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        Self::new(Code::LogDiffers, with_causes(&error))
            .why("the log's files contradict its checkpoint")
            .fix("compare .counterweight/log with another copy; see cw explain CW2108")
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Locked { .. } => {
                Self::new(Code::ProjectBusy, error.to_string()).fix("wait for the other program, or stop it")
            }
            LogError::HeadMoved { .. } => Self::new(Code::ProjectBusy, error.to_string())
                .why("somebody else appended meanwhile")
                .fix("look at the log again, then append to what it holds now"),
            LogError::Io { ref source, .. } => Self::new(Code::FileUnreadable, error.to_string())
                .fact("system", source.to_string())
                .fix("check the folder's permissions and the disk's free space"),
            _ => Self::new(Code::LogDiffers, with_causes(&error))
                .fix("compare .counterweight/log with another copy; see cw explain CW2108"),
        }
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        Self::new(Code::FileUnreadable, with_causes(&error))
            .why("the notes of the run are needed to go on exactly where it stopped")
            .fix("check .counterweight/runs; cw train --fresh leaves the run and opens a new one")
    }
}

impl From<TrainingError> for CliError {
    fn from(error: TrainingError) -> Self {
        match &error {
            TrainingError::Diverged { .. } => Self::new(Code::BadValue, error.to_string())
                .why("the numbers grew without bound")
                .fix("lower lr in [training]"),
            TrainingError::Empty => Self::new(Code::EmptyData, error.to_string())
                .fix("check the datasets' files and test-fraction"),
            _ => Self::new(Code::WrongShape, error.to_string())
                .fix("every member must train with the same [data] and [model]"),
        }
    }
}

fn of_update(error: &UpdateError) -> CliError {
    let told = |code| CliError::new(code, error.to_string());
    match error {
        UpdateError::ShapeMismatch { .. } => {
            told(Code::WrongShape).fix("every member must train with the same [data] and [model]")
        }
        UpdateError::NotFinite { .. } => {
            told(Code::NotFinite).fix("lower lr in [training]; check the member's data")
        }
        _ => told(Code::UpdateDiffers),
    }
}

impl From<CoordinatorError> for CliError {
    fn from(error: CoordinatorError) -> Self {
        match error {
            CoordinatorError::Ledger { doing, source } => Self::from(source).fact("while", doing),
            CoordinatorError::OtherTerms { .. } => Self::new(Code::RunDiffers, error.to_string())
                .fix("restore counterweight.toml, or cw train --fresh"),
            CoordinatorError::OtherCoordinator { .. } => Self::new(Code::UnknownName, error.to_string())
                .fix("use the key that opened the study, with --key"),
            CoordinatorError::TooFewMembers { .. } | CoordinatorError::NoQuorum { .. } => {
                Self::new(Code::TooFewMembers, error.to_string())
                    .fix("cw status shows which members are ready; run cw train again to go on")
            }
            CoordinatorError::BudgetSpent { .. } => Self::new(Code::PrivacySpent, error.to_string())
                .fix("open a study with more noise or a larger epsilon: cw train --fresh"),
            CoordinatorError::Blob(error) => error.into(),
            CoordinatorError::Journal(error) => error.into(),
            CoordinatorError::Replay(_) => Self::new(Code::ResultDiffers, with_causes(&error))
                .why("a resumed run is recomputed from the stored updates, and one of them is not as committed")
                .fix("restore .counterweight/blobs from a copy, or cw train --fresh"),
            _ => Self::new(Code::DataUnusable, with_causes(&error)).fix("see cw run show"),
        }
    }
}

impl From<MemberError> for CliError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Ledger { doing, source } => Self::from(source).fact("while", doing),
            MemberError::Consent { source, .. } => source.into(),
            MemberError::ConsentMissing { .. } => Self::new(Code::NoConsent, error.to_string())
                .fix("cw consent grant DATASET, by the dataset's steward"),
            MemberError::OtherStart { .. } => Self::new(Code::RunDiffers, error.to_string())
                .why("a coordinator could choose a first model that draws members' rows out of their updates")
                .fix("ask the coordinator; take no part until they agree"),
            MemberError::OtherTerms { .. } | MemberError::OtherPurpose { .. } => {
                Self::new(Code::RunDiffers, error.to_string())
                    .why("the coordinator gives other terms than those on the chain")
                    .fix("ask the coordinator; take no part until they agree")
            }
            MemberError::Trainer(error) => error.into(),
            MemberError::Update(ref error) => of_update(error),
            MemberError::CommittedOther { .. } => Self::new(Code::Replayed, error.to_string())
                .why("the data or the program changed within a round")
                .fix("restore the data, or wait for the next round"),
            MemberError::RoundNotOpen { .. } => {
                Self::new(Code::TooLate, error.to_string()).fix("wait for the next round; see cw run show")
            }
            MemberError::Refused { ref refusal, .. } => Self::new(refusal_code(refusal), error.to_string())
                .fix("cw explain says what the rule is for"),
            MemberError::NotAMember { .. } => Self::new(Code::TooLate, error.to_string())
                .fix("join the next run while it enrols; check --key and --dataset"),
            MemberError::Client(error) => error.into(),
            MemberError::Masked { .. } => Self::new(Code::MaskingRefused, error.to_string())
                .fix("wait for the next round; see cw run show"),
            MemberError::BudgetSpent { .. } => Self::new(Code::PrivacySpent, error.to_string())
                .fix("take no further part; cw run show says what was spent"),
            MemberError::Notes(error) => error.into(),
            _ => Self::new(Code::DataUnusable, with_causes(&error)).fix("see cw run show"),
        }
    }
}

impl From<TrainerError> for CliError {
    fn from(error: TrainerError) -> Self {
        match error {
            TrainerError::Training(error) => error.into(),
            TrainerError::WrongShape { .. } => Self::new(Code::WrongShape, error.to_string())
                .why("this member's [data] differs from the study's")
                .fix("take over the study's counterweight.toml; compare the terms that cw run show prints"),
            TrainerError::Unfit { .. } => Self::new(Code::TrainerUnfit, error.to_string())
                .why("a trainer must suit the study's model and what it promises of rows")
                .fix("cw member start … --trainer PROGRAM for a custom model; none where the study promises privacy of rows"),
            TrainerError::Outside { .. } => Self::new(Code::TrainerFailed, error.to_string())
                .fix("read what the program wrote to stderr; docs/spec/trainer.md says what is expected of it"),
            _ => Self::new(Code::DataUnusable, with_causes(&error)).fix("see cw run show"),
        }
    }
}

/// The code of a refused update.
pub(crate) fn refusal_code(refusal: &counterweight_federated::round::Refusal) -> Code {
    use counterweight_federated::round::Refusal;
    match refusal {
        Refusal::Late { .. } => Code::TooLate,
        Refusal::WrongRound { .. } => Code::Replayed,
        _ => Code::UpdateDiffers,
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Unreachable { source, .. } => Self::new(Code::CoordinatorSilent, error.to_string())
                .why(with_causes(source.as_ref()))
                .fix("check the address; the coordinator is started with cw train --listen ADDR"),
            ClientError::Busy { reason, .. } => Self::new(Code::CoordinatorSilent, error.to_string())
                .why(reason.clone())
                .fix("try again in a while, or raise --timeout"),
            ClientError::Rejected { code, .. } => {
                let kind = if code.contains("signature") {
                    Code::SignatureWrong
                } else {
                    Code::CoordinatorSilent
                };
                Self::new(kind, error.to_string()).fix("check --key and the clock of this machine")
            }
            ClientError::Malformed { .. } => Self::new(Code::CoordinatorSilent, error.to_string())
                .why("what answers at that address does not speak the member protocol")
                .fix("check the address; the coordinator is started with cw train --listen ADDR"),
            _ => Self::new(Code::CoordinatorSilent, with_causes(&error)),
        }
    }
}

impl From<HttpServerError> for CliError {
    fn from(error: HttpServerError) -> Self {
        Self::new(Code::PortTaken, with_causes(&error)).fix("choose another address with --listen")
    }
}

impl From<TableError> for CliError {
    fn from(error: TableError) -> Self {
        let told = |code| Self::new(code, error.to_string());
        match &error {
            TableError::Empty { .. } | TableError::NothingLeft { .. } | TableError::AllMissing { .. } => {
                told(Code::EmptyData).fix("check the file and the rule for missing values in [data]")
            }
            TableError::MissingColumn { column, found, .. } => {
                let names = found.split(", ").map(|name| name.trim_matches('"'));
                let told = told(Code::ColumnMissing);
                match nearest(column, names) {
                    Some(near) => told.fact("nearest", near).fix(format!(
                        "write {near} in [data] of counterweight.toml, or correct the file's header"
                    )),
                    None => told.fix("correct [data] in counterweight.toml, or the file's header"),
                }
            }
            TableError::NotANumber { found, .. }
                if found.parse::<f64>().is_ok_and(|value| !value.is_finite()) =>
            {
                told(Code::NotFinite).fix(format!(
                    "correct the row, or add \"{found}\" to missing in [data]"
                ))
            }
            TableError::NotFinite { .. } => {
                told(Code::NotFinite).fix("correct the row that the message names")
            }
            TableError::NotANumber { .. } | TableError::ColumnType { .. } => told(Code::WrongType)
                .fix("correct the file; or list the text in missing, or the column's levels, in [data]"),
            TableError::UnknownLevel { .. } | TableError::UnknownLabel { .. } => {
                told(Code::WrongType).fix("correct the file, or add the value in [data]")
            }
            TableError::Missing { .. } => told(Code::DataUnusable)
                .fix("fill the value, or choose another rule for missing values in [data]"),
            _ => told(Code::DataUnusable).fix("correct the file, or its description in [data]"),
        }
    }
}
