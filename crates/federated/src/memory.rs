//! A record of studies in memory that follows the rules of the contract `TrainingRounds`.
//!
//! For simulations and tests: it answers in microseconds, and its clock is an argument. The names of its refusals
//! are those of the contract's errors, and the suite that runs on the contract runs on it too.

mod masking;
mod rules;
mod standing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, MemberIndex, Ppm, PurposeIndex, Round, StudyId, UnixSeconds,
};
use counterweight_provenance::{
    ledger::{Consent, ConsentChange, ConsentEpoch, ConsentLedger, ConsentReader, consent_at},
    purpose::PurposeSet,
};

use self::rules::Rules;
use crate::{
    clock::Clock,
    ledger::{
        FinishRecord, LedgerError, RoundRecord, StudyLedger, StudyReader, StudyState, StudyTerms,
        masking::{MaskLedger, MaskReader},
        standing::{StandingLedger, StandingReader},
    },
    privacy::MicroEpsilon,
};

/// A record in memory, acting for one account. Clones and [`MemoryLedger::acting_for`] share the record.
#[derive(Clone)]
pub struct MemoryLedger {
    rules: Arc<Mutex<Rules>>,
    clock: Arc<dyn Clock>,
    account: Address,
}

impl MemoryLedger {
    /// An empty record whose deadlines go by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, account: Address) -> Self {
        Self {
            rules: Arc::default(),
            clock,
            account,
        }
    }

    /// The same record, acting for another account.
    #[must_use]
    pub fn acting_for(&self, account: Address) -> Self {
        Self {
            account,
            ..self.clone()
        }
    }

    /// Registers a dataset that belongs to this account.
    #[must_use]
    pub fn register_dataset(&self) -> AssetId {
        self.rules().register_dataset(self.account)
    }

    /// Calls off a study that has not started.
    ///
    /// # Errors
    /// [`LedgerError::Refused`], as the contract's `cancel`.
    pub fn cancel(&self, study: StudyId) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules().cancel(self.account, study, now)
    }

    fn seconds(&self) -> UnixSeconds {
        self.clock.now().seconds()
    }

    /// A panic elsewhere leaves the record as it was: every rule checks before it writes.
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StudyReader for MemoryLedger {
    fn study(&self, study: StudyId) -> Result<StudyState, LedgerError> {
        Ok(self.rules().study(study)?.state.clone())
    }

    fn rounds(&self, study: StudyId) -> Result<Vec<RoundRecord>, LedgerError> {
        Ok(self.rules().study(study)?.rounds.clone())
    }

    fn finish_record(&self, study: StudyId) -> Result<Option<FinishRecord>, LedgerError> {
        Ok(self.rules().study(study)?.finish.clone())
    }

    fn now(&self) -> Result<UnixSeconds, LedgerError> {
        Ok(self.seconds())
    }

    fn mask_reader(&self) -> Option<&dyn MaskReader> {
        Some(self)
    }

    fn standing_reader(&self) -> Option<&dyn StandingReader> {
        Some(self)
    }
}

impl StudyLedger for MemoryLedger {
    fn account(&self) -> Address {
        self.account
    }

    fn masking(&self) -> Option<&dyn MaskLedger> {
        Some(self)
    }

    fn standing(&self) -> Option<&dyn StandingLedger> {
        Some(self)
    }

    fn open_study(&self, terms: &StudyTerms) -> Result<StudyId, LedgerError> {
        let now = self.seconds();
        self.rules().open_study(self.account, terms, now)
    }

    fn join(&self, study: StudyId, dataset: AssetId) -> Result<MemberIndex, LedgerError> {
        let now = self.seconds();
        self.rules().join(self.account, study, dataset, now)
    }

    fn start(&self, study: StudyId) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules().start(self.account, study, now)
    }

    fn open_round(&self, study: StudyId, base: ContentDigest) -> Result<Round, LedgerError> {
        let now = self.seconds();
        self.rules().open_round(self.account, study, base, now)
    }

    fn commit_update(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        update: ContentDigest,
    ) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .commit_update(self.account, study, round, member, update, now)
    }

    fn close_round(
        &self,
        study: StudyId,
        round: Round,
        survivors: u64,
        result: ContentDigest,
        spent: MicroEpsilon,
    ) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .close_round(self.account, study, round, (survivors, result, spent), now)
    }

    fn expire_round(&self, study: StudyId) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules().expire_round(study, now)
    }

    fn finish(
        &self,
        study: StudyId,
        contributions: &[Ppm],
        evidence: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.rules().finish(self.account, study, contributions, evidence)
    }

    fn abandon(&self, study: StudyId) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules().abandon(study, now)
    }

    fn claim(&self, study: StudyId, member: MemberIndex) -> Result<Amount, LedgerError> {
        self.rules().claim(study, member)
    }

    fn return_budget(&self, study: StudyId) -> Result<Amount, LedgerError> {
        self.rules().return_budget(study)
    }
}

impl ConsentReader for MemoryLedger {
    fn consent(&self, dataset: AssetId) -> Result<Consent, LedgerError> {
        Ok(consent_at(
            &self.rules().consent_history(dataset),
            self.seconds(),
            None,
        ))
    }

    fn is_allowed(&self, dataset: AssetId, purpose: PurposeIndex) -> Result<bool, LedgerError> {
        Ok(self.consent(dataset)?.allows(purpose, self.seconds()))
    }

    fn consent_history(&self, dataset: AssetId) -> Result<Vec<ConsentEpoch>, LedgerError> {
        Ok(self.rules().consent_history(dataset))
    }
}

impl ConsentLedger for MemoryLedger {
    fn grant(
        &self,
        dataset: AssetId,
        purposes: PurposeSet,
        expiry: Option<UnixSeconds>,
    ) -> Result<u32, LedgerError> {
        let change = ConsentChange::Granted { purposes, expiry };
        let now = self.seconds();
        self.rules().change_consent(self.account, dataset, change, now)
    }

    fn revoke(&self, dataset: AssetId, purposes: PurposeSet) -> Result<u32, LedgerError> {
        let change = ConsentChange::Revoked { purposes };
        let now = self.seconds();
        self.rules().change_consent(self.account, dataset, change, now)
    }
}
