//! Recording decisions, and erasing those whom they are about.
//!
//! A batch goes in this order: keys of new subjects, synced; the frame of sealed records, synced; the entries, appended to
//! the log, whose checkpoint then covers them; and only then it is acknowledged. So every entry of the log has its record and
//! every record its key, whenever the process dies.

mod error;
mod following;
mod opened;
mod profiles;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use counterweight_primitives::{Sha256Digest, UnixMillis};
use rand_core::CryptoRng;

pub use self::error::DecisionError;
pub(super) use self::opened::Opened;
use self::profiles::Profiles;
use super::{
    commitment::{commit_all, field_block},
    entry::{DecisionEntry, EntryKind},
    erasure::Erasure,
    keys::KeyStore,
    profile::{CheckedDecision, Profile},
    receipt::Promise,
    secret::{RecordSecrets, SecretKey},
    segment::{Entries, Frame, Segments},
    value::Value,
};
use crate::{
    ledger::LogId,
    log::{
        Log, LogReader,
        note::{NoteSigner, SignedCheckpoint},
        tree::leaf_hashes,
    },
};

/// Most decisions of a batch.
pub const MOST_BATCH: usize = 1 << 16;

/// Records that are committed to at once: what they need stays in the processor's cache.
const STRIDE: usize = 64;

/// What is answered for a decision that is safe on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Place of its entry in the log, counted from 0.
    pub index: u64,
    /// Its entry.
    pub entry: DecisionEntry,
    /// Leaf hash of the entry.
    pub leaf: Sha256Digest,
    /// The endpoint: SHA-256 of its name.
    pub endpoint: Sha256Digest,
}

impl Recorded {
    /// What a receipt promises for it, by a deadline. Only decisions have numbers, and so receipts.
    #[must_use]
    pub fn promise(&self, log: LogId, deadline: counterweight_primitives::UnixSeconds) -> Promise {
        let counter = match self.entry.kind {
            EntryKind::Decision { counter } => counter,
            EntryKind::Explanation { .. } | EntryKind::Correction { .. } => 0,
        };
        Promise {
            log,
            endpoint: self.endpoint,
            counter,
            index: self.index,
            leaf: self.leaf,
            deadline,
        }
    }
}

/// A log of decisions, open for recording: one at a time in the whole system.
///
/// Its folder holds `log` (the tiled log), `sealed`, `keys` and `profiles`.
pub struct DecisionBook {
    folder: PathBuf,
    log: Log,
    keys: KeyStore,
    segments: Segments,
    profiles: Profiles,
    /// Next number of each endpoint.
    counters: HashMap<Sha256Digest, u64>,
    random: Box<dyn CryptoRng + Send>,
}

impl std::fmt::Debug for DecisionBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionBook")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl DecisionBook {
    /// Opens the decisions in a folder, or begins them. What an interrupted process left is completed or cut off.
    ///
    /// # Errors
    /// [`DecisionError`] of the log, the keys, the records or the profiles.
    pub fn open(
        folder: impl Into<PathBuf>,
        signer: NoteSigner,
        master: SecretKey,
        mut random: Box<dyn CryptoRng + Send>,
    ) -> Result<Self, DecisionError> {
        let folder = folder.into();
        // First, since its lock keeps everybody else out of the other folders too.
        let log = Log::open(folder.join("log"), signer)?;
        let (keys, pending) = KeyStore::open(&folder.join("keys"), master, &mut *random)?;
        let mut segments = Segments::open(&folder.join("sealed"))?;
        let size = log.checkpoint().checkpoint().size;
        let reader = log.reader();
        let view = View {
            reader: &reader,
            checkpoint: log.checkpoint(),
        };
        segments.cut(size, &view)?;
        let counters = segments.counters().collect();
        let mut book = Self {
            profiles: Profiles::open(folder.join("profiles"))?,
            folder,
            log,
            keys,
            segments,
            counters,
            random,
        };
        if let Some(pending) = pending {
            book.complete_erasure(&pending)?;
        }
        Ok(book)
    }

    /// Adds a profile, so that decisions can be made under it. One that is there already is left as it is.
    ///
    /// # Errors
    /// [`DecisionError::Log`] or [`DecisionError::Io`].
    pub fn add_profile(&mut self, profile: Profile) -> Result<Arc<Profile>, DecisionError> {
        if let Ok(known) = self.profiles.get(profile.id()) {
            return Ok(Arc::clone(known));
        }
        self.profiles.write_parameters(&profile)?;
        let index = self.log.append(&[profile.bytes()])?;
        // The file says where the entry is; without it the next process appends the profile once more, which does no harm.
        self.profiles.insert(profile, index)
    }

    /// The profiles that decisions can be made under.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.all()
    }

    /// Place of a profile's entry in the log.
    pub(super) fn profile_index(&self, id: Sha256Digest) -> Result<u64, DecisionError> {
        self.profiles.index_of(id)
    }

    /// The number that an endpoint's next decision gets: how many it has.
    #[must_use]
    pub fn next_number(&self, endpoint: &str) -> u64 {
        let id = Sha256Digest::of(endpoint.as_bytes());
        self.counters.get(&id).copied().unwrap_or_default()
    }

    /// Records decisions in their order. When this returns they are safe from a crash and covered by the log's checkpoint.
    ///
    /// # Errors
    /// [`DecisionError::BatchTooLong`], [`DecisionError::UnknownProfile`], and those of keys, records and log, after which
    /// the book must be opened again.
    pub fn record(&mut self, batch: &[CheckedDecision]) -> Result<Vec<Recorded>, DecisionError> {
        if batch.len() > MOST_BATCH {
            return Err(DecisionError::BatchTooLong { got: batch.len() });
        }
        // All but never more than one.
        let mut counters: Vec<(Sha256Digest, u64)> = Vec::new();
        let mut entries = Vec::with_capacity(batch.len());
        let mut endpoints = Vec::with_capacity(batch.len());
        for decision in batch {
            let (profile, endpoint) = (decision.profile.id(), decision.profile.endpoint_id());
            let known = entries
                .last()
                .is_some_and(|last: &DecisionEntry| last.profile == profile);
            if !known {
                self.profiles.get(profile)?;
            }
            let place = match counters.iter().rposition(|(id, _)| *id == endpoint) {
                Some(place) => place,
                None => {
                    counters.push((
                        endpoint,
                        self.counters.get(&endpoint).copied().unwrap_or_default(),
                    ));
                    counters.len() - 1
                }
            };
            let mut counter = 0;
            if let Some((_, next)) = counters.get_mut(place) {
                counter = *next;
                *next += 1;
            }
            entries.push(DecisionEntry {
                kind: EntryKind::Decision { counter },
                flags: decision.flags,
                time: decision.time,
                profile,
                commitment: Sha256Digest([0; 32]),
            });
            endpoints.push(endpoint);
        }
        let records = batch.iter().map(|decision| Unsealed {
            subject: Subject::Named(&decision.subject),
            values: &decision.values,
            kept: decision.profile.given().len(),
        });
        let recorded = self.write(records, entries, &endpoints, counters)?;
        Ok(recorded)
    }

    /// Seals records, commits to them and appends their entries.
    fn write<'a>(
        &mut self,
        records: impl ExactSizeIterator<Item = Unsealed<'a>>,
        mut entries: Vec<DecisionEntry>,
        endpoints: &[Sha256Digest],
        counters: Vec<(Sha256Digest, u64)>,
    ) -> Result<Vec<Recorded>, DecisionError> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.log.checkpoint().checkpoint().size;
        let mut frame = Frame {
            first,
            counters,
            ..Frame::default()
        };
        self.random.fill_bytes(&mut frame.nonce);
        frame.slots.reserve_exact(records.len());
        frame.ends.reserve_exact(records.len());
        let mut secrets = RecordSecrets::default();
        let mut blocks = Vec::new();
        let mut counts = Vec::with_capacity(STRIDE);
        let mut commitments = Vec::with_capacity(records.len());
        for (record, index) in records.zip(first..) {
            let (slot, key) = match record.subject {
                Subject::Named(name) => self.keys.subject(name, &mut *self.random)?,
                Subject::Slot(slot) => match self.keys.key(slot) {
                    Some(key) => (slot, key),
                    None => return Err(DecisionError::Erased { index }),
                },
            };
            secrets.derive(key, &frame.nonce, index, record.values.len());
            let fields = secrets.salts().iter().zip(record.values).zip(0_u16..);
            blocks.extend(fields.map(|((salt, value), id)| field_block(salt, id, value)));
            counts.push(record.values.len());
            let from = frame.sealed.len();
            for value in record.values.iter().take(record.kept) {
                value.write(&mut frame.sealed);
            }
            secrets.seal(&mut frame.sealed, from);
            frame.slots.push(slot);
            frame
                .ends
                .push(u32::try_from(frame.sealed.len()).map_err(|_| too_long(entries.len()))?);
            if counts.len() == STRIDE {
                commitments.extend(commit_all(&blocks, &counts));
                blocks.clear();
                counts.clear();
            }
        }
        commitments.extend(commit_all(&blocks, &counts));
        for (entry, commitment) in entries.iter_mut().zip(commitments) {
            entry.commitment = commitment;
        }
        let encoded: Vec<_> = entries.iter().map(DecisionEntry::encode).collect();
        frame.entries = *blake3::hash(encoded.as_flattened()).as_bytes();
        self.keys.sync()?;
        self.segments.append(&frame)?;
        self.log.append_at(first, &encoded)?;
        self.counters.extend(frame.counters);
        let leaves = leaf_hashes(&encoded);
        let recorded = entries.into_iter().zip(leaves).zip(endpoints).zip(first..);
        Ok(recorded
            .map(|(((entry, leaf), endpoint), index)| Recorded {
                index,
                entry,
                leaf,
                endpoint: *endpoint,
            })
            .collect())
    }

    /// Deletes the keys of subjects for good: none of their decisions can be opened again by anyone, and every proof
    /// still holds. The log says when, why and how many decisions, never whose.
    ///
    /// # Errors
    /// [`DecisionError::UnknownSubject`] where one of them has no key, and nothing was erased; and those of keys, records
    /// and log, after which the book must be opened again.
    pub fn erase(
        &mut self,
        subjects: &[&str],
        ground: &str,
        now: UnixMillis,
    ) -> Result<(u64, Erasure), DecisionError> {
        let slots: Option<BTreeSet<u64>> = subjects.iter().map(|subject| self.keys.find(subject)).collect();
        let slots: Vec<u64> = slots.ok_or(DecisionError::UnknownSubject)?.into_iter().collect();
        let mut decisions = 0;
        for slot in &slots {
            decisions += self.segments.of_slot(*slot)?.len() as u64;
        }
        let mut id = [0; 16];
        self.random.fill_bytes(&mut id);
        let erasure = Erasure::new(id, ground, slots.len() as u64, decisions, now);
        let bytes = erasure.encode().map_err(DecisionError::Encoding)?;
        self.keys.erase(&slots, &bytes, &mut *self.random)?;
        let index = self.complete_erasure(&bytes)?;
        Ok((index, erasure))
    }

    /// Says an erasure in the log, unless that was done before the process died.
    fn complete_erasure(&mut self, bytes: &[u8]) -> Result<u64, DecisionError> {
        let size = self.log.checkpoint().checkpoint().size;
        // Nothing is recorded between an erasure and its entry, so if it's there it is the last.
        let from = size.saturating_sub(1);
        let last = self.log.reader().entries(self.log.checkpoint(), from, 1)?;
        let index = match last.first() {
            Some((index, entry)) if entry == bytes => *index,
            _ => self.log.append(&[bytes])?,
        };
        self.keys.settle(&mut *self.random)?;
        Ok(index)
    }

    /// Places of the entries about a subject.
    ///
    /// # Errors
    /// [`DecisionError::UnknownSubject`], [`DecisionError::Segments`].
    pub fn decisions_about(&self, subject: &str) -> Result<Vec<u64>, DecisionError> {
        let slot = self.keys.find(subject).ok_or(DecisionError::UnknownSubject)?;
        Ok(self.segments.of_slot(slot)?)
    }

    /// Holds everything that is private against its checksums, and the log against its tiles.
    ///
    /// # Errors
    /// [`DecisionError::Segments`] or [`DecisionError::Read`].
    pub fn check(&self) -> Result<SignedCheckpoint, DecisionError> {
        self.segments.check()?;
        Ok(self.log.reader().audit()?)
    }

    /// A subject's key, and its bytes on disk.
    #[cfg(test)]
    pub(super) fn secrets_of(&self, subject: &str) -> ([u8; 32], Vec<u8>) {
        self.keys.secrets_of(subject)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The tiled log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The tiled log, to put signatures of witnesses or of the owner's account below its checkpoint.
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }
}

/// A record before it is sealed.
struct Unsealed<'a> {
    subject: Subject<'a>,
    values: &'a [Value],
    /// How many of the values are kept; the others follow from them.
    kept: usize,
}

enum Subject<'a> {
    Named(&'a str),
    Slot(u64),
}

/// The log as the sealed records are held against it.
struct View<'a> {
    reader: &'a LogReader,
    checkpoint: &'a SignedCheckpoint,
}

impl Entries for View<'_> {
    type Error = DecisionError;

    fn digest(&self, first: u64, count: u32) -> Result<[u8; 32], DecisionError> {
        let mut hasher = blake3::Hasher::new();
        for (_, entry) in self.reader.entries(self.checkpoint, first, count.into())? {
            hasher.update(&entry);
        }
        Ok(*hasher.finalize().as_bytes())
    }

    fn has_decisions(&self, from: u64) -> Result<bool, DecisionError> {
        let size = self.checkpoint.checkpoint().size;
        // In pieces: a log may have had many entries of other kinds before its first decision.
        for first in (from..size).step_by(MOST_BATCH) {
            let entries = self.reader.entries(self.checkpoint, first, MOST_BATCH as u64)?;
            if entries
                .iter()
                .any(|(_, entry)| DecisionEntry::decode(entry).is_some())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn too_long(got: usize) -> DecisionError {
    DecisionError::BatchTooLong { got }
}
