//! Runs a study from enrolment to the recorded contributions.
//!
//! A [`Coordinator`] looks at the ledger first and acts second: whatever was recorded is taken as it is, whatever is
//! missing is done. So one that was killed at any moment is started again with the same arguments and reaches the
//! same result. What it cannot read back, its choice of survivors, it notes in the [`Journal`] before it acts.
//!
//! Members are behind the trait [`Members`]: [`in_process::InProcess`] for a simulation, `http::HttpMembers` for
//! processes of their own. The parameters that come out depend on the terms and on which updates survived, and on
//! nothing else: not on order, transport, time or restarts.

pub mod in_process;
mod masked;
mod patience;
mod replay;
mod round;
mod run;
mod standing;

use std::time::Duration;

use counterweight_primitives::{
    Address, Amount, ContentDigest, MemberIndex, Ppm, Round, StudyId, UnixSeconds,
};
use counterweight_provenance::blobs::BlobError;

pub(crate) use self::masked::sum_root;
pub use self::replay::{Replay, ReplayError, first_parameters};
use crate::{
    blobs::Blobs,
    clock::Clock,
    contribution::{ContributionError, ContributionReport, RoundValue},
    journal::{Journal, JournalError},
    ledger::{LedgerError, Phase, StudyLedger, StudyState},
    masked::record::MaskRecord,
    parameters::Parameters,
    privacy::MicroEpsilon,
    round::{Absence, Refusal},
    study::terms::PublicTerms,
    table::Dataset,
};

/// What is to be run. The same plan gives the same model.
#[derive(Debug, Clone)]
pub struct StudyPlan {
    /// The study on the ledger.
    pub study: StudyId,
    /// Its terms; their digest must be the one on the ledger.
    pub terms: PublicTerms,
    /// Rows by which contributions are judged. Without them every survivor of a round counts the same.
    pub holdout: Option<Dataset>,
}

/// How patient a coordinator is.
#[derive(Debug, Clone, Copy)]
pub struct CoordinatorOptions {
    /// Starts once so many joined; absent for the fewest that the study needs.
    pub members_expected: Option<usize>,
    /// From then on it starts with those who joined, if they are enough; absent to wait without end.
    pub enrol_until: Option<UnixSeconds>,
    /// How often it looks at ledger and clock while it waits.
    pub poll: Duration,
    /// How long it keeps trying a ledger that does not answer.
    pub patience: Duration,
    /// How often a round may expire before the study is given up.
    pub expiries_allowed: u32,
}

impl Default for CoordinatorOptions {
    fn default() -> Self {
        Self {
            members_expected: None,
            enrol_until: None,
            poll: Duration::from_millis(200),
            patience: Duration::from_secs(120),
            expiries_allowed: 3,
        }
    }
}

/// What a coordinator works with.
pub struct Environment<'a> {
    /// Acts for the coordinator's account.
    pub ledger: &'a dyn StudyLedger,
    /// Where updates, parameters and reports are kept.
    pub blobs: &'a dyn Blobs,
    /// The notes of this study.
    pub journal: &'a mut dyn Journal,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Hears what happens.
    pub observer: &'a mut dyn FnMut(&StudyEvent),
}

/// Where a study stands, for members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The study.
    pub study: StudyId,
    /// Digest of its terms, by which they can be fetched.
    pub terms: ContentDigest,
    /// Its phase.
    pub phase: Phase,
    /// The open round, if one is open.
    pub round: Option<RoundNotice>,
    /// Accounts of the members, in the order of their indices.
    pub members: Vec<Address>,
}

/// An open round, for members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundNotice {
    /// Its number.
    pub round: Round,
    /// Digest of the parameters it starts from, by which they can be fetched.
    pub base: ContentDigest,
    /// Last second for commitments.
    pub commit_by: UnixSeconds,
    /// Last second for uploads.
    pub upload_by: UnixSeconds,
}

/// Something a member sent, its signature checked.
pub struct Delivery {
    /// The account that signed.
    pub from: Address,
    /// The member it speaks for.
    pub member: MemberIndex,
    /// The round it means.
    pub round: Round,
    /// What it sent.
    pub content: Content,
    /// Takes the answer.
    pub answer: Box<dyn FnOnce(Answer) + Send>,
}

/// What a member sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes of an update.
    Update(Vec<u8>),
    /// The bytes of a record of a masked round.
    Masked(MaskRecord, Vec<u8>),
    /// It takes no part in the round, in its own words.
    Decline(String),
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The update counts and is kept. A declining member gets this too.
    Stored,
    /// The same bytes came before and are kept.
    AlreadyStored,
    /// The update does not count.
    Refused(Refusal),
    /// The coordinator cannot say at present: send it again.
    Unavailable,
}

/// Members as a coordinator sees them.
pub trait Members {
    /// Tells members where the study stands. Returns without waiting for them where they are processes of their own.
    fn announce(&mut self, notice: &Notice);

    /// The next thing a member sent, or nothing after `wait`.
    fn next(&mut self, wait: Duration) -> Option<Delivery>;

    /// Lets members ask for a blob of the coordinator's store.
    fn offer(&mut self, _digest: &ContentDigest) {}

    /// Whether somebody may still join.
    fn may_grow(&self) -> bool {
        true
    }
}

/// Something that happened, for whoever watches.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StudyEvent {
    /// The coordinator took the study up with so many rounds closed.
    Resumed {
        /// Rounds closed before.
        closed_rounds: u32,
    },
    /// Members joined.
    Enrolling {
        /// Members so far.
        joined: usize,
        /// Members to start with.
        needed: usize,
    },
    /// Rounds begin.
    Started {
        /// Members.
        members: usize,
    },
    /// A round takes updates.
    RoundOpened {
        /// Its number.
        round: Round,
        /// Rounds planned.
        rounds: u32,
        /// Members asked.
        asked: usize,
        /// Whether it was open when the coordinator came.
        resumed: bool,
    },
    /// An update counts.
    UpdateStored {
        /// The round.
        round: Round,
        /// Whose.
        member: MemberIndex,
        /// Rows it was fitted on.
        examples: u32,
    },
    /// A record of a masked round is kept.
    RecordStored {
        /// The round.
        round: Round,
        /// Whose.
        member: MemberIndex,
        /// Which.
        record: MaskRecord,
    },
    /// The members of a masked round are in groups.
    GroupsDrawn {
        /// The round.
        round: Round,
        /// Members of each group.
        sizes: Vec<usize>,
    },
    /// An update does not count.
    UpdateRefused {
        /// The round.
        round: Round,
        /// Whose it was said to be.
        member: MemberIndex,
        /// Why.
        refusal: Refusal,
    },
    /// A round is closed on the ledger.
    RoundClosed(RoundSummary),
    /// Too few updates came in time; the round is opened again.
    RoundExpired {
        /// Its number.
        round: Round,
        /// Who was missing, and why.
        absent: Vec<(MemberIndex, Absence)>,
    },
    /// A member is proposed for exclusion, by the rule of the terms.
    ExclusionProposed {
        /// The closed round after which the rule gave it.
        round: Round,
        /// Whom.
        member: MemberIndex,
        /// For how long it may appeal.
        appeal_seconds: u32,
    },
    /// The ledger does not answer; trying again.
    LedgerSilent {
        /// What was being done.
        doing: &'static str,
        /// For how long it has not answered.
        silent_ms: u64,
    },
    /// The budget of privacy does not pay for another round: the study ends with the model so far.
    BudgetSpent {
        /// Rounds closed.
        closed: u32,
        /// Rounds planned.
        rounds: u32,
        /// What they spent.
        spent: MicroEpsilon,
        /// What another round could have brought it to.
        after: MicroEpsilon,
        /// What may be spent.
        budget: MicroEpsilon,
    },
    /// Contributions are recorded and the study is over.
    Finished {
        /// Digest of the last parameters.
        result: ContentDigest,
        /// Digest of the contribution report.
        evidence: ContentDigest,
    },
}

/// A closed round.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundSummary {
    /// Its number.
    pub round: Round,
    /// Rounds planned.
    pub rounds: u32,
    /// Members whose updates were aggregated.
    pub survivors: Vec<MemberIndex>,
    /// Members whose updates were not, and why, as far as this coordinator saw it.
    pub absent: Vec<(MemberIndex, Absence)>,
    /// Rows that the survivors fitted.
    pub examples: u64,
    /// Digest of the parameters after it.
    pub result: ContentDigest,
    /// What it was worth on the hold-out, if there is one.
    pub value: Option<RoundValue>,
    /// Privacy that the rounds up to it spent, where the study promises any.
    pub spent: Option<MicroEpsilon>,
}

/// A finished study.
#[derive(Debug, Clone)]
pub struct StudyOutcome {
    /// The trained model.
    pub model: Parameters,
    /// Its digest: the study's result on the ledger.
    pub result: ContentDigest,
    /// Digest of the contribution report, kept among the blobs.
    pub evidence: ContentDigest,
    /// The report.
    pub report: ContributionReport,
    /// What each member contributed and earned, as recorded.
    pub contributions: Vec<(Ppm, Amount)>,
    /// Every round, in order.
    pub rounds: Vec<RoundSummary>,
    /// Where the study stands on the ledger.
    pub state: StudyState,
}

/// Why a study did not come to its end. Whatever was recorded stays; the same call takes it up again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoordinatorError {
    /// The ledger refused or did not answer for too long.
    #[error("{doing}")]
    Ledger {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: LedgerError,
    },
    /// The terms given are not those on the ledger.
    #[error("the terms have digest {got}, the study was opened with {expected}")]
    OtherTerms {
        /// On the ledger.
        expected: ContentDigest,
        /// Given.
        got: ContentDigest,
    },
    /// The budget of privacy is spent, and no round is closed: there is nothing to finish with.
    #[error(
        "no round is closed, and another opening could bring the privacy spent to an epsilon of {after}, of which {budget} is promised"
    )]
    BudgetSpent {
        /// What another opening could bring it to.
        after: MicroEpsilon,
        /// What may be spent.
        budget: MicroEpsilon,
    },
    /// The ledger names another coordinator.
    #[error("the study's coordinator is {expected}, this is {got}")]
    OtherCoordinator {
        /// On the ledger.
        expected: Address,
        /// This account.
        got: Address,
    },
    /// The study ended without a model.
    #[error("the study was {}", match phase { Phase::Cancelled => "cancelled", _ => "abandoned" })]
    Ended {
        /// Cancelled or abandoned.
        phase: Phase,
    },
    /// Too few members by the end of enrolment.
    #[error("{joined} members joined, {needed} are needed")]
    TooFewMembers {
        /// Members that joined.
        joined: usize,
        /// Members needed.
        needed: usize,
    },
    /// A round expired too often.
    #[error("round {round} expired {times} times with fewer than {quorum} updates")]
    NoQuorum {
        /// The round.
        round: Round,
        /// How often.
        times: u32,
        /// Updates needed.
        quorum: usize,
        /// Who was missing the last time, and why.
        absent: Vec<(MemberIndex, Absence)>,
    },
    /// What was recorded cannot be recomputed from the blobs.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// Blobs could not be kept or read.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Contributions could not be computed.
    #[error(transparent)]
    Contribution(#[from] ContributionError),
    /// The terms cannot be used.
    #[error("the terms of the study cannot be used: {problem}")]
    Terms {
        /// What is wrong.
        problem: String,
    },
}

impl CoordinatorError {
    /// Whether starting again later may help without changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Ledger { source, .. } => source.is_retryable(),
            Self::Blob(BlobError::Io { .. }) | Self::Journal(JournalError::Io { .. }) => true,
            _ => false,
        }
    }
}

/// Runs one study.
pub struct Coordinator<'a> {
    plan: StudyPlan,
    options: CoordinatorOptions,
    environment: Environment<'a>,
}

impl<'a> Coordinator<'a> {
    /// A coordinator for a plan. Nothing happens yet.
    #[must_use]
    pub fn new(plan: StudyPlan, options: CoordinatorOptions, environment: Environment<'a>) -> Self {
        Self {
            plan,
            options,
            environment,
        }
    }
}
