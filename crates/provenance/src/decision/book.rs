//! Recording decisions, and erasing those whom they are about.
//!
//! A batch goes in this order: keys of new subjects, synced; the frame of sealed records, synced; the entries, appended to
//! the log, whose checkpoint then covers them; and only then it is acknowledged. So every entry of the log has its record and
//! every record its key, whenever the process dies.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use counterweight_primitives::{CanonicalError, Sha256Digest, UnixMillis};
use rand_core::CryptoRng;

use super::{
    commitment::{commit_all, field_block},
    entry::{DecisionEntry, EntryKind, Flags},
    erasure::Erasure,
    keys::{KeyError, KeyStore},
    linear::{LinearParameters, MOST_BYTES as MOST_PARAMETERS},
    profile::{CheckedDecision, Explanation, Profile, ProfileError},
    receipt::Promise,
    secret::{RecordSecrets, SecretKey},
    segment::{Entries, Frame, SegmentError, Segments},
    trees::{TreeEnsemble, explanation_of, is_explained},
    value::Value,
};
use crate::{
    durable::{sync_folder, write_file},
    ledger::LogId,
    log::{
        Log, LogError, LogReader, ReadError,
        note::{NoteSigner, SignedCheckpoint},
        tree::leaf_hashes,
    },
};

/// Most decisions of a batch.
pub const MOST_BATCH: usize = 1 << 16;

/// Records that are committed to at once: what they need stays in the processor's cache.
const STRIDE: usize = 64;

/// Why decisions cannot be recorded, read or erased.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionError {
    /// The log.
    #[error("the log of decisions")]
    Log(#[from] LogError),
    /// Reading the log.
    #[error("the log of decisions cannot be read")]
    Read(#[from] ReadError),
    /// The keys of subjects.
    #[error("the keys of subjects")]
    Keys(#[from] KeyError),
    /// The sealed records.
    #[error("the sealed records")]
    Segments(#[from] SegmentError),
    /// A profile.
    #[error("the profile")]
    Profile(#[from] ProfileError),
    /// A file could not be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A document of ours has no canonical form.
    #[error("a document has no canonical form")]
    Encoding(#[source] CanonicalError),
    /// Too many decisions at once.
    #[error("a batch has at most {MOST_BATCH} decisions, this one {got}")]
    BatchTooLong {
        /// How many.
        got: usize,
    },
    /// The profile was not added to this log.
    #[error("the profile {id} is not in this log")]
    UnknownProfile {
        /// Which one.
        id: Sha256Digest,
    },
    /// The entry is no decision, or its record is not here.
    #[error("entry {index} is no decision of this log")]
    NoDecision {
        /// Which entry.
        index: u64,
    },
    /// The subject's key was deleted.
    #[error("what entry {index} was about was erased")]
    Erased {
        /// Which entry.
        index: u64,
    },
    /// The sealed record and the entry do not belong together.
    #[error("the sealed record of entry {index} does not lead to its commitment")]
    Differs {
        /// Which entry.
        index: u64,
    },
    /// Nobody of this name has a key here.
    #[error("nobody of this name is in the log")]
    UnknownSubject,
    /// The explanation does not add up to the output: the model is another, or there are several outputs.
    #[error("the explanation of entry {index} does not add up to its one output")]
    Inaccurate {
        /// Which entry.
        index: u64,
    },
    /// What is to replace a decision is about somebody else, of another endpoint, or comes too late.
    #[error(
        "entry {index} cannot be replaced by this: {}",
        newer.map_or_else(
            || "it is about somebody else, or of another endpoint".to_owned(),
            |newer| format!("entry {newer} replaced it already"),
        )
    )]
    NotCorrected {
        /// Which entry.
        index: u64,
        /// What replaced it, if that is why.
        newer: Option<u64>,
    },
    /// The decision was made under a profile that does not name this model, or lacks inputs.
    #[error(
        "entry {index} cannot be explained by this model: its profile names another, or inputs are missing"
    )]
    NotExplained {
        /// Which entry.
        index: u64,
    },
}

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

/// A record that was opened, with its salts.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) entry: DecisionEntry,
    pub(super) profile: Arc<Profile>,
    pub(super) values: Vec<Value>,
    pub(super) salts: Vec<super::commitment::Salt>,
    pub(super) slot: u64,
}

/// A log of decisions, open for recording: one at a time in the whole system.
///
/// Its folder holds `log` (the tiled log), `sealed`, `keys` and `profiles`.
pub struct DecisionBook {
    folder: PathBuf,
    log: Log,
    keys: KeyStore,
    segments: Segments,
    profiles: BTreeMap<Sha256Digest, Arc<Profile>>,
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
            profiles: read_profiles(&folder.join("profiles"))?,
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
        if let Some(known) = self.profiles.get(&profile.id()) {
            return Ok(Arc::clone(known));
        }
        let folder = self.folder.join("profiles");
        fs::create_dir_all(&folder).map_err(|e| failed(&folder, e))?;
        if let Some(linear) = profile.linear() {
            let bytes = linear.encode().map_err(DecisionError::Encoding)?;
            let name = format!("{}.parameters", Sha256Digest::of(&bytes).to_hex());
            write_file(&folder.join(name), &folder.join("temporary"), &bytes)
                .map_err(|e| failed(&folder, e))?;
        }
        let index = self.log.append(&[profile.bytes()])?;
        // The file says where the entry is; without it the next process appends the profile once more, which does no harm.
        let name = format!("{}.{index}.profile", profile.id().to_hex());
        write_file(&folder.join(name), &folder.join("temporary"), profile.bytes())
            .and_then(|()| sync_folder(&folder))
            .map_err(|e| failed(&folder, e))?;
        let profile = Arc::new(profile);
        self.profiles.insert(profile.id(), Arc::clone(&profile));
        Ok(profile)
    }

    /// The profiles that decisions can be made under.
    pub fn profiles(&self) -> impl Iterator<Item = &Arc<Profile>> {
        self.profiles.values()
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
            if !known && !self.profiles.contains_key(&profile) {
                return Err(DecisionError::UnknownProfile { id: profile });
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

    /// Explains a decision of a tree ensemble, and appends the explanation as an entry of its own that points to it. It is
    /// sealed under the key of the same subject, so that an erasure takes it along.
    ///
    /// # Errors
    /// [`DecisionError::NotExplained`] where the decision's profile does not name this ensemble, or its inputs are not all
    /// there; [`DecisionError::Inaccurate`] where the explanation does not add up to the output; and as
    /// [`DecisionBook::record`].
    pub fn explain(
        &mut self,
        index: u64,
        ensemble: &TreeEnsemble,
        now: UnixMillis,
    ) -> Result<Recorded, DecisionError> {
        let opened = self.open_record(index)?;
        if !opened.entry.kind.decides() {
            return Err(DecisionError::NoDecision { index });
        }
        let shown: Vec<_> = opened.values.into_iter().map(Some).collect();
        let values =
            explanation_of(&opened.profile, ensemble, &shown).ok_or(DecisionError::NotExplained { index })?;
        if !is_explained(&opened.profile, ensemble, &shown, &values) {
            return Err(DecisionError::Inaccurate { index });
        }
        let entry = DecisionEntry {
            kind: EntryKind::Explanation { decision: index },
            flags: Flags::default(),
            time: now,
            profile: opened.profile.id(),
            commitment: Sha256Digest([0; 32]),
        };
        let record = Unsealed {
            subject: Subject::Slot(opened.slot),
            values: &values,
            kept: values.len(),
        };
        let endpoint = opened.profile.endpoint_id();
        let recorded = self.write([record].into_iter(), vec![entry], &[endpoint], Vec::new())?;
        recorded
            .into_iter()
            .next()
            .ok_or(DecisionError::NotExplained { index })
    }

    /// Appends a decision that replaces an earlier one about the same subject at the same endpoint. The earlier one stays, with its
    /// proofs; [`DecisionBook::replaced_by`] leads from it to this. An erasure takes both along.
    ///
    /// # Errors
    /// [`DecisionError::NotCorrected`], [`DecisionError::NoDecision`], and as [`DecisionBook::record`].
    pub fn correct(&mut self, index: u64, decision: &CheckedDecision) -> Result<Recorded, DecisionError> {
        let (profile, endpoint) = (decision.profile.id(), decision.profile.endpoint_id());
        if !self.profiles.contains_key(&profile) {
            return Err(DecisionError::UnknownProfile { id: profile });
        }
        let earlier = self.profile_of(index)?.endpoint_id();
        let none = DecisionError::NoDecision { index };
        let slot = self.segments.record(index)?.ok_or(none)?.slot;
        let newer = self.replaced_by(index)?;
        if newer.is_some() || earlier != endpoint || self.keys.find(&decision.subject) != Some(slot) {
            return Err(DecisionError::NotCorrected { index, newer });
        }
        let entry = DecisionEntry {
            kind: EntryKind::Correction { replaces: index },
            flags: decision.flags,
            time: decision.time,
            profile,
            commitment: Sha256Digest([0; 32]),
        };
        let record = Unsealed {
            subject: Subject::Slot(slot),
            values: &decision.values,
            kept: decision.profile.given().len(),
        };
        let recorded = self.write([record].into_iter(), vec![entry], &[endpoint], Vec::new())?;
        recorded
            .into_iter()
            .next()
            .ok_or(DecisionError::NoDecision { index })
    }

    /// The correction of an entry, if there is one. Reads every later entry.
    ///
    /// # Errors
    /// [`DecisionError::NoDecision`] where the entry decides nothing, [`DecisionError::Read`].
    pub fn replaced_by(&self, index: u64) -> Result<Option<u64>, DecisionError> {
        let reader = self.log.reader();
        let entry = reader.entries(self.log.checkpoint(), index, 1)?.pop();
        entry
            .and_then(|(_, bytes)| DecisionEntry::decode(&bytes))
            .filter(|entry| entry.kind.decides())
            .ok_or(DecisionError::NoDecision { index })?;
        let size = self.log.checkpoint().checkpoint().size;
        for first in (index + 1..size).step_by(MOST_BATCH) {
            for (place, bytes) in reader.entries(self.log.checkpoint(), first, MOST_BATCH as u64)? {
                let kind = DecisionEntry::decode(&bytes).map(|entry| entry.kind);
                if kind == Some(EntryKind::Correction { replaces: index }) {
                    return Ok(Some(place));
                }
            }
        }
        Ok(None)
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

    /// The profile that an entry's decision was made under.
    ///
    /// # Errors
    /// [`DecisionError::NoDecision`], [`DecisionError::UnknownProfile`] or [`DecisionError::Read`].
    pub fn profile_of(&self, index: u64) -> Result<Arc<Profile>, DecisionError> {
        let entry = self.log.reader().entries(self.log.checkpoint(), index, 1)?.pop();
        let entry = entry.and_then(|(_, bytes)| DecisionEntry::decode(&bytes));
        let id = entry.ok_or(DecisionError::NoDecision { index })?.profile;
        let known = self.profiles.get(&id).cloned();
        known.ok_or(DecisionError::UnknownProfile { id })
    }

    /// Opens the record of an entry and holds it against the commitment.
    pub(super) fn open_record(&self, index: u64) -> Result<Opened, DecisionError> {
        let none = DecisionError::NoDecision { index };
        let entry = self.log.reader().entries(self.log.checkpoint(), index, 1)?.pop();
        let Some(entry) = entry.and_then(|(_, bytes)| DecisionEntry::decode(&bytes)) else {
            return Err(none);
        };
        let Some(record) = self.segments.record(index)? else {
            return Err(none);
        };
        let profile = self.profiles.get(&entry.profile).cloned();
        let profile = profile.ok_or(DecisionError::UnknownProfile { id: entry.profile })?;
        let key = self
            .keys
            .key(record.slot)
            .ok_or(DecisionError::Erased { index })?;
        let differs = || DecisionError::Differs { index };
        let mut secrets = RecordSecrets::default();
        // The values say how many salts there are, and the key comes before them.
        secrets.derive(key, &record.nonce, index, 0);
        let bytes = secrets.open(&record.sealed).ok_or_else(differs)?;
        let mut values = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (value, after) = Value::read(rest).ok_or_else(differs)?;
            values.push(value);
            rest = after;
        }
        if entry.kind.decides() {
            values = profile.complete(values).map_err(|_| differs())?;
        }
        secrets.derive(key, &record.nonce, index, values.len());
        let fields = secrets.salts().iter().zip(&values).zip(0_u16..);
        let blocks: Vec<_> = fields
            .map(|((salt, value), id)| field_block(salt, id, value))
            .collect();
        if commit_all(&blocks, &[values.len()]).first() != Some(&entry.commitment) {
            return Err(differs());
        }
        Ok(Opened {
            entry,
            profile,
            salts: secrets.salts().to_vec(),
            values,
            slot: record.slot,
        })
    }

    /// Place of a profile's entry in the log.
    pub(super) fn profile_index(&self, id: Sha256Digest) -> Result<u64, DecisionError> {
        let folder = self.folder.join("profiles");
        for entry in fs::read_dir(&folder).map_err(|e| failed(&folder, e))? {
            let name = entry.map_err(|e| failed(&folder, e))?.file_name();
            let index = name.to_str().and_then(|name| {
                let rest = name.strip_prefix(&id.to_hex())?.strip_prefix('.')?;
                rest.strip_suffix(".profile")?.parse().ok()
            });
            if let Some(index) = index {
                return Ok(index);
            }
        }
        Err(DecisionError::UnknownProfile { id })
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

fn read_profiles(folder: &Path) -> Result<BTreeMap<Sha256Digest, Arc<Profile>>, DecisionError> {
    let mut profiles = BTreeMap::new();
    let names = match fs::read_dir(folder) {
        Ok(names) => names,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(profiles),
        Err(e) => return Err(failed(folder, e)),
    };
    for name in names {
        let path = name.map_err(|e| failed(folder, e))?.path();
        if path.extension().is_none_or(|extension| extension != "profile") {
            continue;
        }
        let bytes = fs::read(&path).map_err(|e| failed(&path, e))?;
        let mut profile = Profile::decode(&bytes, None)?;
        if let Some(Explanation::Linear(digest)) = profile.explanation() {
            let path = folder.join(format!("{}.parameters", digest.to_hex()));
            let parameters = fs::read(&path).map_err(|e| failed(&path, e))?;
            debug_assert!(parameters.len() <= MOST_PARAMETERS);
            let parameters = LinearParameters::decode(&parameters).map_err(DecisionError::Encoding)?;
            profile = Profile::decode(&bytes, parameters)?;
        }
        profiles.insert(profile.id(), Arc::new(profile));
    }
    Ok(profiles)
}

fn too_long(got: usize) -> DecisionError {
    DecisionError::BatchTooLong { got }
}

fn failed(path: &Path, source: io::Error) -> DecisionError {
    DecisionError::Io {
        path: path.to_owned(),
        source,
    }
}
