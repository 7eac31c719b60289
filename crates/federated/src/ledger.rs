//! What a study must have recorded, and what it reads back, whatever keeps the record.
//!
//! The `chain` crate implements these traits on the contract `TrainingRounds` and its neighbours; tests use
//! `memory::MemoryLedger`, which follows the same rules. A value that implements
//! [`StudyLedger`] acts for one account.

pub mod masking;
pub mod standing;

use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, StudyId, UnixSeconds,
};
pub use counterweight_provenance::ledger::LedgerError;

use self::{
    masking::{MaskLedger, MaskReader},
    standing::{StandingLedger, StandingReader},
};
use crate::privacy::MicroEpsilon;

/// What a sponsor offers: `ITrainingRounds.Terms`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyTerms {
    /// Who opens and closes rounds.
    pub coordinator: Address,
    /// ERC-20 in which budget and bonds are held.
    pub token: Address,
    /// Reward for the whole study.
    pub budget: Amount,
    /// What each member deposits and gets back.
    pub bond: Amount,
    /// The purpose that every dataset must allow.
    pub purpose: PurposeIndex,
    /// Model the study starts from.
    pub base_model: Option<AssetId>,
    /// Digest of the canonical study terms (`docs/spec/study-terms.md`).
    pub terms: ContentDigest,
    /// Fewest members to start, and fewest survivors of a round.
    pub min_members: u8,
    /// At most 64.
    pub max_members: u8,
    /// Rounds planned.
    pub rounds: u32,
    /// Time members have to commit.
    pub round_seconds: u32,
    /// Time the coordinator has to close, after that.
    pub close_seconds: u32,
    /// From then on anyone may start or cancel.
    pub enrol_until: UnixSeconds,
    /// From then on anyone may abandon an unfinished study.
    pub finish_by: UnixSeconds,
    /// Largest part of the budget one member may earn.
    pub member_cap: Ppm,
    /// Part of the model's income that flows to the datasets.
    pub lineage_share: Ppm,
    /// Most privacy that all rounds together may spend; none is promised if absent.
    pub epsilon_budget: Option<MicroEpsilon>,
    /// Accounts that may join; empty means anyone.
    pub invited: Vec<Address>,
}

/// `ITrainingRounds.Phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Members join.
    Enrolling,
    /// Rounds open and close.
    Running,
    /// Contributions are recorded; members and sponsor pull what is theirs.
    Finished,
    /// Ended before it started; everything goes back.
    Cancelled,
    /// Ended overdue; members are paid for the rounds they survived.
    Abandoned,
}

/// Where a study stands: `ITrainingRounds.Study`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyState {
    /// Its phase.
    pub phase: Phase,
    /// Who pays.
    pub sponsor: Address,
    /// Who opens and closes rounds.
    pub coordinator: Address,
    /// ERC-20 of budget and bonds.
    pub token: Address,
    /// Reward for the whole study.
    pub budget: Amount,
    /// Deposit of each member.
    pub bond: Amount,
    /// Purpose every dataset must allow.
    pub purpose: PurposeIndex,
    /// Digest of the canonical terms.
    pub terms: ContentDigest,
    /// The open round or the last one opened; 0 before the first.
    pub round: Round,
    /// Whether `round` is open.
    pub round_open: bool,
    /// Rounds closed.
    pub closed_rounds: u32,
    /// Rounds planned.
    pub rounds: u32,
    /// Bit i: member i committed to the open round.
    pub committed: u64,
    /// Last second of the open round for members.
    pub commit_by: UnixSeconds,
    /// Last second of the open round for the coordinator.
    pub close_by: UnixSeconds,
    /// Fewest survivors of a round.
    pub min_members: u8,
    /// The registered model it starts from.
    pub base_model: Option<AssetId>,
    /// Digest of the newest parameters, if a round closed or it starts from a registered model.
    pub result: Option<ContentDigest>,
    /// Largest part of the budget one member may earn.
    pub member_cap: Ppm,
    /// Part of the model's income that flows to the datasets.
    pub lineage_share: Ppm,
    /// Most privacy that all rounds together may spend, where one is promised.
    pub epsilon_budget: Option<MicroEpsilon>,
    /// What the closed rounds spent of it, as the coordinator says.
    pub spent_epsilon: MicroEpsilon,
    /// The published model.
    pub model: Option<AssetId>,
    /// Members, in the order of joining.
    pub members: Vec<MemberState>,
}

/// A member of a study: `ITrainingRounds.Member`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberState {
    /// Who commits and is paid.
    pub account: Address,
    /// Its dataset.
    pub dataset: AssetId,
    /// Epoch of the consent it joined under.
    pub consent_epoch: u32,
    /// Rounds survived.
    pub survived: u32,
    /// Its contribution; zero until the study finishes.
    pub contribution: Ppm,
    /// Its reward; zero until the study ends.
    pub reward: Amount,
    /// Whether reward and bond were paid.
    pub claimed: bool,
}

/// A round as it was recorded, from events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRecord {
    /// Its number, counted from 1.
    pub round: Round,
    /// Digest of the parameters it started from.
    pub base: ContentDigest,
    /// When it was opened.
    pub opened_at: UnixSeconds,
    /// Digest of each committed update, with its member.
    pub commitments: Vec<(MemberIndex, ContentDigest)>,
    /// Members whose updates were aggregated and the digest of what came out; absent while open.
    pub closed: Option<RoundClosing>,
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundClosing {
    /// Bit i: member i's update was aggregated.
    pub survivors: u64,
    /// Digest of the parameters after the round.
    pub result: ContentDigest,
    /// Privacy that all rounds up to this one spent, as the coordinator says.
    pub spent: MicroEpsilon,
    /// When it was closed.
    pub closed_at: UnixSeconds,
}

/// How a study finished, from events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishRecord {
    /// Digest of the last parameters.
    pub result: ContentDigest,
    /// Digest of the contribution report.
    pub evidence: ContentDigest,
    /// Each member's contribution and reward.
    pub contributions: Vec<(Ppm, Amount)>,
}

/// Reading a study back.
pub trait StudyReader {
    /// Where a study stands now.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] for an unknown study; otherwise as the trait's type says.
    fn study(&self, study: StudyId) -> Result<StudyState, LedgerError>;

    /// Every round opened so far, in order. A round that expired and was opened again appears once, as its last
    /// opening.
    ///
    /// # Errors
    /// As [`StudyReader::study`].
    fn rounds(&self, study: StudyId) -> Result<Vec<RoundRecord>, LedgerError>;

    /// How it finished, if it did.
    ///
    /// # Errors
    /// As [`StudyReader::study`].
    fn finish_record(&self, study: StudyId) -> Result<Option<FinishRecord>, LedgerError>;

    /// Time of the newest block: the clock that deadlines go by.
    ///
    /// # Errors
    /// [`LedgerError::Unreachable`].
    fn now(&self) -> Result<UnixSeconds, LedgerError>;

    /// The record of masked rounds, where this ledger keeps one.
    fn mask_reader(&self) -> Option<&dyn MaskReader> {
        None
    }

    /// The record of exclusions, where this ledger keeps one.
    fn standing_reader(&self) -> Option<&dyn StandingReader> {
        None
    }
}

/// Acting on a study for one account. Every call returns once it is recorded for good.
pub trait StudyLedger: StudyReader {
    /// The account this value acts for.
    fn account(&self) -> Address;

    /// The record of masked rounds for the same account, where this ledger keeps one.
    fn masking(&self) -> Option<&dyn MaskLedger> {
        None
    }

    /// The record of exclusions for the same account, where this ledger keeps one.
    fn standing(&self) -> Option<&dyn StandingLedger> {
        None
    }

    /// Opens a study; approves the budget first where needed.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn open_study(&self, terms: &StudyTerms) -> Result<StudyId, LedgerError>;
    /// Joins with a dataset; approves the bond first where needed.
    fn join(&self, study: StudyId, dataset: AssetId) -> Result<MemberIndex, LedgerError>;
    /// Ends enrolment.
    fn start(&self, study: StudyId) -> Result<(), LedgerError>;
    /// Opens the next round.
    fn open_round(&self, study: StudyId, base: ContentDigest) -> Result<Round, LedgerError>;
    /// Commits this member's update.
    fn commit_update(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        update: ContentDigest,
    ) -> Result<(), LedgerError>;
    /// Closes the open round. What is spent by then is never less than before, nor more than the study's budget.
    fn close_round(
        &self,
        study: StudyId,
        round: Round,
        survivors: u64,
        result: ContentDigest,
        spent: MicroEpsilon,
    ) -> Result<(), LedgerError>;
    /// Ends an overdue round.
    fn expire_round(&self, study: StudyId) -> Result<(), LedgerError>;
    /// Records contributions, one for each member, and ends the study: after all planned rounds or, under a budget of
    /// privacy of which some is spent, after any.
    fn finish(
        &self,
        study: StudyId,
        contributions: &[Ppm],
        evidence: ContentDigest,
    ) -> Result<(), LedgerError>;
    /// Ends an overdue study.
    fn abandon(&self, study: StudyId) -> Result<(), LedgerError>;
    /// Pays a member its reward and bond; what was paid.
    fn claim(&self, study: StudyId, member: MemberIndex) -> Result<Amount, LedgerError>;
    /// Pays the sponsor what no member earned; what was paid.
    fn return_budget(&self, study: StudyId) -> Result<Amount, LedgerError>;
}
