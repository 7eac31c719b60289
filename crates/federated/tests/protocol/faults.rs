//! Ledger, blobs and journal that fail on purpose: once and for good, as a process does that is killed, or now and then.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use counterweight_federated::{
    blobs::{Blobs, MemoryBlobs},
    journal::{Entry, Journal, JournalError, MemoryJournal},
    ledger::{
        FinishRecord, LedgerError, RoundRecord, StudyLedger, StudyReader, StudyState, StudyTerms,
        masking::{MaskDealing, MaskDomain, MaskLedger, MaskReader, MaskRound, MaskSetting},
    },
    masking::PublicKey,
    member_set::MemberSet,
    memory::MemoryLedger,
    privacy::MicroEpsilon,
};
use counterweight_primitives::{
    Address, Amount, AssetId, ContentDigest, MemberIndex, Ppm, Round, Sha256Digest, StudyId, UnixSeconds,
};
use counterweight_provenance::blobs::BlobError;

/// Counts every call that changes something outside, across all the traits a coordinator is given, and fails one.
#[derive(Default)]
pub(crate) struct Faults {
    calls: AtomicU64,
    fail_at: Mutex<Option<(u64, When)>>,
}

/// Whether a failing call takes effect before it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

impl Faults {
    pub(crate) fn at(call: u64, when: When) -> Arc<Self> {
        Arc::new(Self {
            calls: AtomicU64::new(0),
            fail_at: Mutex::new(Some((call, when))),
        })
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Runs one call, or fails it if its turn has come. After a failure every later call fails too: the process is
    /// as good as dead.
    fn guard<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match *self.fail_at.lock().unwrap() {
            Some((at, When::Before)) if number >= at => None,
            Some((at, When::After)) if number == at => {
                act();
                None
            }
            Some((at, When::After)) if number > at => None,
            _ => Some(act()),
        }
    }
}

fn crash() -> LedgerError {
    LedgerError::Malformed {
        what: "the process is dead".to_owned(),
    }
}

/// A ledger whose changes can fail.
pub(crate) struct FaultyLedger {
    pub(crate) inner: MemoryLedger,
    pub(crate) faults: Arc<Faults>,
}

impl StudyReader for FaultyLedger {
    fn mask_reader(&self) -> Option<&dyn MaskReader> {
        Some(self)
    }
    fn study(&self, study: StudyId) -> Result<StudyState, LedgerError> {
        self.inner.study(study)
    }
    fn rounds(&self, study: StudyId) -> Result<Vec<RoundRecord>, LedgerError> {
        self.inner.rounds(study)
    }
    fn finish_record(&self, study: StudyId) -> Result<Option<FinishRecord>, LedgerError> {
        self.inner.finish_record(study)
    }
    fn now(&self) -> Result<UnixSeconds, LedgerError> {
        self.inner.now()
    }
}

impl FaultyLedger {
    fn guard<T>(&self, act: impl FnOnce(&MemoryLedger) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.faults
            .guard(|| act(&self.inner))
            .unwrap_or_else(|| Err(crash()))
    }
}

impl MaskReader for FaultyLedger {
    fn mask_setting(&self, study: StudyId) -> Result<Option<MaskSetting>, LedgerError> {
        self.inner.mask_setting(study)
    }
    fn mask_round(&self, study: StudyId, round: Round) -> Result<Option<MaskRound>, LedgerError> {
        self.inner.mask_round(study, round)
    }
    fn mask_rounds(&self, study: StudyId) -> Result<Vec<MaskRound>, LedgerError> {
        self.inner.mask_rounds(study)
    }
    fn mask_domain(&self) -> Result<MaskDomain, LedgerError> {
        self.inner.mask_domain()
    }
}

impl MaskLedger for FaultyLedger {
    fn configure_masking(&self, study: StudyId, setting: &MaskSetting) -> Result<(), LedgerError> {
        self.guard(|inner| inner.configure_masking(study, setting))
    }
    fn announce_key(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        key: &PublicKey,
    ) -> Result<(), LedgerError> {
        self.guard(|inner| inner.announce_key(study, round, member, key))
    }
    fn draw_groups(&self, study: StudyId, round: Round) -> Result<(), LedgerError> {
        self.guard(|inner| inner.draw_groups(study, round))
    }
    fn commit_dealing(&self, study: StudyId, round: Round, dealing: &MaskDealing) -> Result<(), LedgerError> {
        self.guard(|inner| inner.commit_dealing(study, round, dealing))
    }
    fn commit_upload(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        root: Sha256Digest,
    ) -> Result<(), LedgerError> {
        self.guard(|inner| inner.commit_upload(study, round, member, root))
    }
    fn fix_survivors(&self, study: StudyId, round: Round, survivors: MemberSet) -> Result<(), LedgerError> {
        self.guard(|inner| inner.fix_survivors(study, round, survivors))
    }
    fn commit_unmasking(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        unmasking: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.guard(|inner| inner.commit_unmasking(study, round, member, unmasking))
    }
    fn post_sums(&self, study: StudyId, round: Round, roots: &[Sha256Digest]) -> Result<(), LedgerError> {
        self.guard(|inner| inner.post_sums(study, round, roots))
    }
}

impl StudyLedger for FaultyLedger {
    fn account(&self) -> Address {
        self.inner.account()
    }
    fn masking(&self) -> Option<&dyn MaskLedger> {
        Some(self)
    }
    fn open_study(&self, terms: &StudyTerms) -> Result<StudyId, LedgerError> {
        self.guard(|inner| inner.open_study(terms))
    }
    fn join(&self, study: StudyId, dataset: AssetId) -> Result<MemberIndex, LedgerError> {
        self.guard(|inner| inner.join(study, dataset))
    }
    fn start(&self, study: StudyId) -> Result<(), LedgerError> {
        self.guard(|inner| inner.start(study))
    }
    fn open_round(&self, study: StudyId, base: ContentDigest) -> Result<Round, LedgerError> {
        self.guard(|inner| inner.open_round(study, base))
    }
    fn commit_update(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        update: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.guard(|inner| inner.commit_update(study, round, member, update))
    }
    fn close_round(
        &self,
        study: StudyId,
        round: Round,
        survivors: u64,
        result: ContentDigest,
        spent: MicroEpsilon,
    ) -> Result<(), LedgerError> {
        self.guard(|inner| inner.close_round(study, round, survivors, result, spent))
    }
    fn expire_round(&self, study: StudyId) -> Result<(), LedgerError> {
        self.guard(|inner| inner.expire_round(study))
    }
    fn finish(
        &self,
        study: StudyId,
        contributions: &[Ppm],
        evidence: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.guard(|inner| inner.finish(study, contributions, evidence))
    }
    fn abandon(&self, study: StudyId) -> Result<(), LedgerError> {
        self.guard(|inner| inner.abandon(study))
    }
    fn claim(&self, study: StudyId, member: MemberIndex) -> Result<Amount, LedgerError> {
        self.guard(|inner| inner.claim(study, member))
    }
    fn return_budget(&self, study: StudyId) -> Result<Amount, LedgerError> {
        self.guard(|inner| inner.return_budget(study))
    }
}

/// A store whose writes can fail.
pub(crate) struct FaultyBlobs {
    pub(crate) inner: MemoryBlobs,
    pub(crate) faults: Arc<Faults>,
}

impl Blobs for FaultyBlobs {
    fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
        let failed = || BlobError::Io {
            path: "memory".into(),
            source: std::io::Error::other("dead"),
        };
        self.faults
            .guard(|| self.inner.put(bytes))
            .unwrap_or_else(|| Err(failed()))
    }
    fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
        self.inner.get(digest, limit)
    }
}

/// Notes that can fail. What was noted outlives it.
pub(crate) struct FaultyJournal {
    pub(crate) inner: Arc<Mutex<MemoryJournal>>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) faults: Arc<Faults>,
}

impl FaultyJournal {
    pub(crate) fn new(inner: Arc<Mutex<MemoryJournal>>, faults: Arc<Faults>) -> Self {
        let entries = inner.lock().unwrap().entries().to_vec();
        Self {
            inner,
            entries,
            faults,
        }
    }
}

impl Journal for FaultyJournal {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }
    fn append(&mut self, entry: Entry) -> Result<(), JournalError> {
        let failed = || JournalError::Io {
            path: "memory".into(),
            source: std::io::Error::other("dead"),
        };
        let inner = self.inner.clone();
        self.faults
            .guard(|| inner.lock().unwrap().append(entry.clone()))
            .unwrap_or_else(|| Err(failed()))?;
        self.entries.push(entry);
        Ok(())
    }
}

/// A ledger that answers every third call only, so many times, and may have done what it does not answer.
pub(crate) struct SilentLedger {
    inner: MemoryLedger,
    calls: AtomicU64,
    silences: AtomicU64,
}

impl SilentLedger {
    pub(crate) fn new(inner: MemoryLedger, silences: u64) -> Self {
        Self {
            inner,
            calls: AtomicU64::new(0),
            silences: AtomicU64::new(silences),
        }
    }

    fn maybe<T>(&self, act: impl FnOnce(&MemoryLedger) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let left = self.silences.load(Ordering::Relaxed);
        if left == u64::MAX || (left > 0 && call % 3 != 2) {
            let silent = || Err(LedgerError::Unreachable("connection refused".into()));
            if left == u64::MAX {
                return silent();
            }
            self.silences.fetch_sub(1, Ordering::Relaxed);
            if call % 3 == 1 {
                let _ = act(&self.inner);
            }
            return silent();
        }
        act(&self.inner)
    }
}

impl StudyReader for SilentLedger {
    fn study(&self, study: StudyId) -> Result<StudyState, LedgerError> {
        self.inner.study(study)
    }
    fn rounds(&self, study: StudyId) -> Result<Vec<RoundRecord>, LedgerError> {
        self.inner.rounds(study)
    }
    fn finish_record(&self, study: StudyId) -> Result<Option<FinishRecord>, LedgerError> {
        self.inner.finish_record(study)
    }
    fn now(&self) -> Result<UnixSeconds, LedgerError> {
        self.inner.now()
    }
}

impl StudyLedger for SilentLedger {
    fn account(&self) -> Address {
        self.inner.account()
    }
    fn open_study(&self, terms: &StudyTerms) -> Result<StudyId, LedgerError> {
        self.maybe(|inner| inner.open_study(terms))
    }
    fn join(&self, study: StudyId, dataset: AssetId) -> Result<MemberIndex, LedgerError> {
        self.maybe(|inner| inner.join(study, dataset))
    }
    fn start(&self, study: StudyId) -> Result<(), LedgerError> {
        self.maybe(|inner| inner.start(study))
    }
    fn open_round(&self, study: StudyId, base: ContentDigest) -> Result<Round, LedgerError> {
        self.maybe(|inner| inner.open_round(study, base))
    }
    fn commit_update(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        update: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.maybe(|inner| inner.commit_update(study, round, member, update))
    }
    fn close_round(
        &self,
        study: StudyId,
        round: Round,
        survivors: u64,
        result: ContentDigest,
        spent: MicroEpsilon,
    ) -> Result<(), LedgerError> {
        self.maybe(|inner| inner.close_round(study, round, survivors, result, spent))
    }
    fn expire_round(&self, study: StudyId) -> Result<(), LedgerError> {
        self.maybe(|inner| inner.expire_round(study))
    }
    fn finish(
        &self,
        study: StudyId,
        contributions: &[Ppm],
        evidence: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.maybe(|inner| inner.finish(study, contributions, evidence))
    }
    fn abandon(&self, study: StudyId) -> Result<(), LedgerError> {
        self.maybe(|inner| inner.abandon(study))
    }
    fn claim(&self, study: StudyId, member: MemberIndex) -> Result<Amount, LedgerError> {
        self.maybe(|inner| inner.claim(study, member))
    }
    fn return_budget(&self, study: StudyId) -> Result<Amount, LedgerError> {
        self.maybe(|inner| inner.return_budget(study))
    }
}
