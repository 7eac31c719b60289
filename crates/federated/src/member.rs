//! A member's side of a study: train on rows that stay here, commit to the update, hand it over.
//!
//! A [`Member`] trusts the ledger and its own files. It takes terms and base parameters from anyone, since both are
//! checked against digests on the ledger; it trains only while its steward's consent allows the purpose, and it
//! commits at most one digest a round. The update depends on the terms, the round, the base, its own data and its secret
//! alone, so a member that was restarted makes the same one again.

mod masked;
pub mod outside;
mod patience;
mod run;
mod standing;
pub mod trainer;
mod work;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use counterweight_primitives::{Address, AssetId, ContentDigest, MemberIndex, Round, StudyId};
use counterweight_provenance::{blobs::BlobError, ledger::ConsentReader};

use zeroize::Zeroizing;

use self::trainer::{Evaluated, Metrics};
pub use self::{
    masked::{Fetch, MaskedMove, MaskedOpening},
    outside::{Outside, OutsideSetup},
    run::MemberOptions,
    trainer::{BuiltIn, Trainer, TrainerError},
    work::{Assignment, PreparedUpdate},
};
use crate::{
    coordinator::{Answer, Notice},
    journal::{Journal, JournalError},
    ledger::{LedgerError, Phase, StudyLedger, standing::ProposalState},
    masked::record::MaskRecord,
    parameters::ParametersError,
    round::Refusal,
    study::terms::PublicTerms,
    update::UpdateError,
};

/// What a member brings to a study.
pub struct MemberSetup {
    /// The study on the ledger.
    pub study: StudyId,
    /// Its dataset in the registry.
    pub dataset: AssetId,
    /// The study's terms; their digest must be the one on the ledger.
    pub terms: PublicTerms,
    /// What trains on its rows.
    pub trainer: Arc<dyn Trainer>,
    /// Digest of the file they came from. With the study's seed it decides the order in which rows are visited, so
    /// that neither the order of joining nor the machine does.
    pub data: ContentDigest,
    /// Acts for the member's account.
    pub ledger: Arc<dyn StudyLedger + Send + Sync>,
    /// What its steward allows.
    pub consent: Arc<dyn ConsentReader + Send + Sync>,
    /// Where the noise of private training and the keys of masked rounds come from, known to nobody else and the same
    /// after a restart.
    pub secret: Zeroizing<[u8; 32]>,
    /// Where it notes whom it helped to open and what it sent with noise of its own, which studies that mask and those that
    /// promise privacy of members ask for. Kept for as long as the study runs.
    pub notes: Option<Arc<Mutex<dyn Journal>>>,
}

/// One member of one study.
pub struct Member {
    setup: MemberSetup,
}

/// Something that happened, for whoever watches.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MemberEvent {
    /// It is a member.
    Joined {
        /// Its index.
        member: MemberIndex,
    },
    /// It trains.
    Training {
        /// The round.
        round: Round,
    },
    /// Its update is on the ledger.
    Committed {
        /// The round.
        round: Round,
        /// Digest of the update.
        update: ContentDigest,
    },
    /// The coordinator has the update.
    Uploaded {
        /// The round.
        round: Round,
    },
    /// It has trained, and says how it went.
    Trained {
        /// The round.
        round: Round,
        /// Rows it trained on.
        examples: u32,
        /// Of the trainer.
        metrics: Metrics,
    },
    /// It has judged the model that a round starts from.
    Judged {
        /// The round.
        round: Round,
        /// How the model does on the member's own rows.
        evaluated: Evaluated,
    },
    /// It could not judge that model.
    NotJudged {
        /// The round.
        round: Round,
        /// Why.
        reason: String,
    },
    /// The coordinator has a record of a masked round.
    HandedOver {
        /// The round.
        round: Round,
        /// Which record.
        record: MaskRecord,
    },
    /// It is proposed for exclusion, or that went on.
    Proposed {
        /// Its index.
        member: MemberIndex,
        /// The round after which it was proposed.
        round: Round,
        /// Digest of the values it was proposed by.
        evidence: ContentDigest,
        /// Where that stands.
        state: ProposalState,
    },
    /// It takes no part in a round.
    SatOut {
        /// The round.
        round: Round,
        /// Why.
        reason: String,
    },
    /// Coordinator or ledger do not answer; trying again.
    Retrying {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        reason: String,
        /// How long it waits before it tries again.
        wait: Duration,
    },
}

/// How a study went for a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberOutcome {
    /// Its index.
    pub member: MemberIndex,
    /// How the study ended.
    pub phase: Phase,
    /// Rounds in which its update was aggregated.
    pub survived: u32,
    /// Digest of the trained model, if the study finished.
    pub result: Option<ContentDigest>,
}

/// Why a member stopped, or takes no part in a round.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberError {
    /// The ledger refused or did not answer for too long.
    #[error("{doing}")]
    Ledger {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: LedgerError,
    },
    /// Consent could not be read.
    #[error("the consent for dataset {dataset} cannot be read")]
    Consent {
        /// The dataset.
        dataset: AssetId,
        /// Why not.
        #[source]
        source: LedgerError,
    },
    /// The steward does not allow the study's purpose.
    #[error("the steward of dataset {dataset} does not allow {purpose}")]
    ConsentMissing {
        /// The dataset.
        dataset: AssetId,
        /// Name of the purpose.
        purpose: String,
    },
    /// The terms are not those on the ledger.
    #[error("the terms have digest {got}, the study was opened with {expected}")]
    OtherTerms {
        /// On the ledger.
        expected: ContentDigest,
        /// Given.
        got: ContentDigest,
    },
    /// The terms name another purpose than the study on the ledger.
    #[error("the terms name the purpose {terms}, the study on the ledger purpose {ledger}")]
    OtherPurpose {
        /// In the terms.
        terms: String,
        /// On the ledger.
        ledger: u8,
    },
    /// The terms cannot be used.
    #[error("the terms of the study cannot be used: {problem}")]
    Terms {
        /// What is wrong.
        problem: String,
    },
    /// The base parameters are not the ones on the ledger.
    #[error("the base parameters have digest {got}, the round starts from {expected}")]
    OtherBase {
        /// On the ledger.
        expected: ContentDigest,
        /// Received.
        got: ContentDigest,
    },
    /// The first round starts from other parameters than the terms give: ones that were chosen to draw rows out of its members?
    #[error("the first round starts from {got}, the terms give {expected}")]
    OtherStart {
        /// By the terms.
        expected: ContentDigest,
        /// On the ledger.
        got: ContentDigest,
    },
    /// The base parameters cannot be read.
    #[error("the base parameters of round {round} cannot be used")]
    Base {
        /// The round.
        round: Round,
        /// Why.
        #[source]
        source: ParametersError,
    },
    /// Its trainer cannot serve the study, or failed.
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    /// What was trained is no valid update.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// A commitment to another update is on the ledger: the data or the program changed within the round.
    #[error("round {round}: {committed} is committed, the data here give {made}")]
    CommittedOther {
        /// The round.
        round: Round,
        /// On the ledger.
        committed: ContentDigest,
        /// Made here.
        made: ContentDigest,
    },
    /// Taking part could spend more of its privacy than the study promised.
    #[error(
        "round {round}: the rounds before spent an epsilon of {spent:.4}, and with this one it could be {after:.4} where {promised} is promised"
    )]
    BudgetSpent {
        /// The round.
        round: Round,
        /// Spent before it.
        spent: f64,
        /// Spent after it, if the fewest survive.
        after: f64,
        /// What the terms promise.
        promised: f64,
    },
    /// A masked round goes on without this member, or would tell of it.
    #[error("round {round}: {problem}")]
    Masked {
        /// The round.
        round: Round,
        /// Why.
        problem: String,
    },
    /// The member's notes cannot be written.
    #[error(transparent)]
    Notes(#[from] JournalError),
    /// The round is over or has not begun.
    #[error("round {round} is not open")]
    RoundNotOpen {
        /// The round.
        round: Round,
    },
    /// The coordinator refused the update.
    #[error("the coordinator refuses the update of round {round}: {refusal}")]
    Refused {
        /// The round.
        round: Round,
        /// Why.
        refusal: Refusal,
    },
    /// This account is not a member with this dataset, and enrolment is over.
    #[error("account {account} is not a member with dataset {dataset}, and enrolment is over")]
    NotAMember {
        /// The account.
        account: Address,
        /// The dataset.
        dataset: AssetId,
    },
    /// The coordinator could not be reached for too long, or answered nonsense.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Why a coordinator could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers: trying again may help.
    #[error("the coordinator cannot be reached at {endpoint}")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It has no room at present: the same request later will do.
    #[error("the coordinator at {endpoint} is busy: {reason}")]
    Busy {
        /// Where.
        endpoint: String,
        /// In its words.
        reason: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// It refuses the request itself, not an update.
    #[error("the coordinator refuses: {reason} ({code})")]
    Rejected {
        /// The code of `docs/spec/member-protocol.md`, `wrong-signature`.
        code: String,
        /// In words.
        reason: String,
    },
    /// Its answer makes no sense.
    #[error("the coordinator gave an answer that cannot be read: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// A blob could not be given.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The request could not be signed.
    #[error(transparent)]
    Signature(#[from] counterweight_provenance::signature::SignatureError),
}

impl ClientError {
    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Busy { .. })
    }

    /// How long the coordinator asks to wait before that.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl MemberError {
    /// The error and its causes in one line, for those who see no more of it.
    #[must_use]
    pub fn with_causes(&self) -> String {
        run::chain_of(self)
    }

    /// Whether a block later the ledger may take what it refused: its clock was behind.
    #[must_use]
    pub fn is_early(&self) -> bool {
        matches!(self, Self::Ledger { source: LedgerError::Refused { name, .. }, .. } if name == "TooEarly")
    }

    /// How long the coordinator asks to wait.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Client(source) => source.retry_after(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Ledger { source, .. } => source.is_retryable(),
            Self::Consent { source, .. } => source.is_retryable(),
            Self::Client(source) => source.is_retryable(),
            _ => false,
        }
    }
}

/// A coordinator as a member sees it. It is asked for bytes that are then checked, and handed updates; nothing it
/// says is believed.
pub trait CoordinatorClient {
    /// Where the study stands, as the coordinator says: a hint that spares looking at the ledger. Answers at once if
    /// that is news to the caller, otherwise when it changes or after `wait`.
    ///
    /// # Errors
    /// [`ClientError`]; so for all below.
    fn notice(&mut self, wait: Duration) -> Result<Notice, ClientError>;

    /// The bytes behind a digest, at most `limit`.
    fn blob(&mut self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, ClientError>;

    /// Hands over the update of a round.
    fn upload(&mut self, member: MemberIndex, round: Round, update: &[u8]) -> Result<Answer, ClientError>;

    /// Hands over a record of a masked round.
    fn hand_over(
        &mut self,
        member: MemberIndex,
        round: Round,
        record: MaskRecord,
        bytes: &[u8],
    ) -> Result<Answer, ClientError>;

    /// Says that the member takes no part in a round.
    fn decline(&mut self, member: MemberIndex, round: Round, reason: &str) -> Result<Answer, ClientError>;
}
