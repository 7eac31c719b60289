//! What the coordinator decided, written down before it acts.
//!
//! Nearly everything a coordinator knows can be read again from the ledger and the blobs. What cannot is its own
//! choice of survivors while it is not on the ledger yet; without a note, a coordinator that was killed just before
//! closing a round could choose others and reach another model. So a decision is appended here, and synced, before
//! the ledger hears of it. The other notes tell a person what happened when.
//!
//! The file is a header and records of `docs/spec/journal.md`. Each record's check value covers the one before it,
//! so that records cannot be dropped, repeated or reordered unnoticed. A last record that is not whole is what a
//! crash leaves behind: it is cut off. Damage before that is reported and nothing is cut.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use counterweight_primitives::{
    CanonicalError, ContentDigest, Round, StudyId, UnixSeconds, from_canonical_json, to_canonical_json,
};
use serde::{Deserialize, Serialize};

/// First bytes of a journal.
const MAGIC: &[u8; 8] = b"cwjrnl\x01\n";
/// Bytes of a record's length: itself and its complement. Without the latter, a changed length that points beyond the
/// end would look like a record that a crash cut off.
const LENGTH_BYTES: usize = 8;
/// Bytes of a record's check value.
const CHECK_BYTES: usize = 16;
/// Longest record: an entry holds a few digests and one line of text.
const RECORD_MAX: usize = 1 << 16;
/// Longest journal read: rounds are few and entries short.
const JOURNAL_MAX: u64 = 1 << 28;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "entry",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
#[non_exhaustive]
pub enum Entry {
    /// A coordinator took the study up, for the first time or again.
    Resumed {
        /// The study.
        study: StudyId,
        /// Digest of its terms.
        terms: ContentDigest,
        /// When.
        at: UnixSeconds,
    },
    /// A round was seen open on the ledger.
    RoundOpened {
        /// The round.
        round: Round,
        /// Parameters it starts from.
        base: ContentDigest,
        /// When the ledger opened it: a round that expires and opens again has another.
        opened_at: UnixSeconds,
    },
    /// An update counts; its bytes are among the blobs.
    UpdateStored {
        /// The round.
        round: Round,
        /// Its digest.
        update: ContentDigest,
    },
    /// A round will be closed with these survivors.
    RoundDecided {
        /// The round.
        round: Round,
        /// When the ledger opened it.
        opened_at: UnixSeconds,
        /// Bit i: member i's update was aggregated. In hexadecimal, as it may exceed what JSON numbers hold.
        survivors: String,
        /// What came out.
        result: ContentDigest,
    },
    /// A round was seen closed on the ledger.
    RoundClosed {
        /// The round.
        round: Round,
        /// What came out.
        result: ContentDigest,
    },
    /// A member opens shares for these survivors of its group, and for no others in this round: noted before they leave.
    SurvivorsAnswered {
        /// The study.
        study: StudyId,
        /// Digest of its terms, which tells apart studies of the same number on two chains.
        terms: ContentDigest,
        /// The round.
        round: Round,
        /// Last second of its members' time, which names the opening.
        commit_by: UnixSeconds,
        /// Bit i: member i. In hexadecimal, as it may exceed what JSON numbers hold.
        survivors: String,
    },
    /// A member sends this update with noise, and no other in this round: noted before it is committed.
    UpdateReleased {
        /// The study.
        study: StudyId,
        /// Digest of its terms.
        terms: ContentDigest,
        /// The round.
        round: Round,
        /// Digest of the update with its noise.
        update: ContentDigest,
    },
    /// The study was seen finished on the ledger.
    Finished {
        /// Digest of the last parameters.
        result: ContentDigest,
        /// Digest of the contribution report.
        evidence: ContentDigest,
    },
}

/// Why a journal could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file could not be used.
    #[error("{} cannot be used", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process writes to it.
    #[error("{} is in use: another coordinator runs this study", path.display())]
    InUse {
        /// Which one.
        path: PathBuf,
    },
    /// The file is not a journal, or was changed.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// Which one.
        path: PathBuf,
        /// Where, counted from 0.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The entry has no canonical form.
    #[error(transparent)]
    Entry(#[from] CanonicalError),
}

/// Notes of one study.
pub trait Journal: Send {
    /// Everything noted so far, in order.
    fn entries(&self) -> &[Entry];

    /// Notes something; it is safe when this returns.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    fn append(&mut self, entry: Entry) -> Result<(), JournalError>;
}

/// Notes in memory, for simulations and tests.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal(Vec<Entry>);

impl Journal for MemoryJournal {
    fn entries(&self) -> &[Entry] {
        &self.0
    }

    fn append(&mut self, entry: Entry) -> Result<(), JournalError> {
        self.0.push(entry);
        Ok(())
    }
}

/// Notes in a file. Locked while open: two coordinators of one study would contradict each other.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
    last_check: [u8; CHECK_BYTES],
    /// Bytes known to be whole. After a failed write, the next one starts here again.
    whole: u64,
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        // Closing alone leaves the lock with a program that is being started, which has a copy of the file until it runs.
        let _ = self.file.unlock();
    }
}

impl FileJournal {
    /// Opens a journal, making it where needed, and cuts off what a crash left of a last record.
    ///
    /// # Errors
    /// [`JournalError::InUse`], [`JournalError::Damaged`] or [`JournalError::Io`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::InUse {
                path: path.to_owned(),
            },
            TryLockError::Error(source) => failed(source),
        })?;
        let mut bytes = Vec::new();
        (&mut file)
            .take(JOURNAL_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > JOURNAL_MAX {
            let what = format!("longer than {JOURNAL_MAX} bytes");
            return Err(JournalError::Damaged {
                path: path.to_owned(),
                offset: JOURNAL_MAX,
                what,
            });
        }
        let read = read(&bytes).map_err(|(offset, what)| JournalError::Damaged {
            path: path.to_owned(),
            offset,
            what,
        })?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            entries: read.entries,
            last_check: read.last_check,
            whole: read.whole,
        };
        if journal.whole == 0 {
            journal.write_at_end(MAGIC)?;
            // Without this a crash may forget that the file is in the folder at all.
            if let Some(folder) = path.parent() {
                File::open(folder)
                    .and_then(|folder| folder.sync_all())
                    .map_err(failed)?;
            }
        }
        Ok(journal)
    }

    /// Writes after the last whole record, over whatever a failed attempt left there.
    fn write_at_end(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let written = self
            .file
            .set_len(self.whole)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.whole)))
            .and_then(|_| self.file.write_all(bytes))
            .and_then(|()| self.file.sync_data());
        written.map_err(|source| JournalError::Io {
            path: self.path.clone(),
            source,
        })?;
        self.whole += bytes.len() as u64;
        Ok(())
    }
}

impl Journal for FileJournal {
    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn append(&mut self, entry: Entry) -> Result<(), JournalError> {
        let payload = to_canonical_json(&entry)?;
        let check = check_value(&self.last_check, &payload);
        let mut record = Vec::with_capacity(LENGTH_BYTES + payload.len() + CHECK_BYTES);
        // Entries are a few hundred bytes: digests, numbers and fixed names.
        let length = payload.len() as u32;
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&(!length).to_le_bytes());
        record.extend_from_slice(&payload);
        record.extend_from_slice(&check);
        self.write_at_end(&record)?;
        self.last_check = check;
        self.entries.push(entry);
        Ok(())
    }
}

struct Contents {
    entries: Vec<Entry>,
    last_check: [u8; CHECK_BYTES],
    whole: u64,
}

/// Reads whole records; a last one that is not whole is passed over.
fn read(bytes: &[u8]) -> Result<Contents, (u64, String)> {
    let mut contents = Contents {
        entries: Vec::new(),
        last_check: [0; CHECK_BYTES],
        whole: 0,
    };
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return match MAGIC.starts_with(bytes) {
            true => Ok(contents),
            false => Err((0, "not a journal".to_owned())),
        };
    };
    contents.whole = MAGIC.len() as u64;
    while let Some((length, after)) = rest.split_first_chunk::<LENGTH_BYTES>() {
        let [a, b, c, d, complement @ ..] = *length;
        let length = u32::from_le_bytes([a, b, c, d]);
        let sound = !length == u32::from_le_bytes(complement);
        let length = length as usize;
        // A file system may lengthen a file before it writes what belongs there.
        if rest.iter().all(|byte| *byte == 0) {
            break;
        }
        if !sound || length > RECORD_MAX {
            return Err((contents.whole, "the length of a record cannot be".to_owned()));
        }
        let Some((payload, after)) = after.split_at_checked(length) else {
            break;
        };
        let Some((check, after)) = after.split_first_chunk::<CHECK_BYTES>() else {
            break;
        };
        let expected = check_value(&contents.last_check, payload);
        if *check != expected {
            if after.is_empty() {
                break;
            }
            return Err((
                contents.whole,
                "the record does not match its check value".to_owned(),
            ));
        }
        let entry = from_canonical_json(payload, RECORD_MAX)
            .map_err(|error| (contents.whole, format!("the record is no entry: {error}")))?;
        contents.entries.push(entry);
        contents.last_check = expected;
        contents.whole += (LENGTH_BYTES + length + CHECK_BYTES) as u64;
        rest = after;
    }
    Ok(contents)
}

/// First 16 bytes of the BLAKE3 digest of the check value before and the payload.
fn check_value(before: &[u8; CHECK_BYTES], payload: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = ContentDigest::of(&[b"counterweight/journal/v1".as_slice(), before, payload].concat());
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest.0[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entry(round: u32) -> Entry {
        let result = ContentDigest::of(&round.to_le_bytes());
        Entry::RoundClosed {
            round: Round(round),
            result,
        }
    }

    fn written(count: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/study-1.journal");
        let mut journal = FileJournal::open(&path).unwrap();
        for round in 1..=count {
            journal.append(entry(round)).unwrap();
        }
        (folder, path)
    }

    #[test]
    fn what_was_noted_is_read_back_and_added_to() {
        let (_folder, path) = written(2);
        let mut journal = FileJournal::open(&path).unwrap();
        assert_eq!(journal.entries(), [entry(1), entry(2)]);
        journal.append(entry(3)).unwrap();
        drop(journal);
        assert_eq!(
            FileJournal::open(&path).unwrap().entries(),
            [entry(1), entry(2), entry(3)]
        );
    }

    #[test]
    fn whatever_a_crash_leaves_of_the_last_record_is_cut_off() {
        let (_folder, path) = written(2);
        let whole = fs::read(&path).unwrap();
        let (_other, shorter) = written(1);
        let kept = fs::read(&shorter).unwrap().len();
        for length in kept..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut journal = FileJournal::open(&path).unwrap();
            assert_eq!(journal.entries(), [entry(1)], "{length} bytes");
            journal.append(entry(2)).unwrap();
            drop(journal);
            assert_eq!(fs::read(&path).unwrap(), whole, "{length} bytes");
        }
        for length in 0..MAGIC.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(FileJournal::open(&path).unwrap().entries(), []);
        }
        let mut padded = whole[..kept].to_vec();
        padded.resize(kept + 100, 0);
        fs::write(&path, padded).unwrap();
        assert_eq!(FileJournal::open(&path).unwrap().entries(), [entry(1)]);
    }

    #[test]
    fn damage_before_the_last_record_is_reported_and_nothing_is_cut() {
        let (_folder, path) = written(3);
        let whole = fs::read(&path).unwrap();
        let record = (whole.len() - MAGIC.len()) / 3;
        for offset in 0..whole.len() - record {
            let mut changed = whole.clone();
            changed[offset] ^= 0x10;
            fs::write(&path, &changed).unwrap();
            let read = FileJournal::open(&path);
            assert!(
                matches!(read, Err(JournalError::Damaged { .. })),
                "byte {offset}: {read:?}"
            );
            assert_eq!(fs::read(&path).unwrap(), changed);
        }
    }

    #[test]
    fn records_cannot_be_swapped() {
        let (_folder, path) = written(2);
        let whole = fs::read(&path).unwrap();
        let record = (whole.len() - MAGIC.len()) / 2;
        let (first, second) = whole[MAGIC.len()..].split_at(record);
        fs::write(&path, [MAGIC.as_slice(), second, first].concat()).unwrap();
        assert!(matches!(
            FileJournal::open(&path),
            Err(JournalError::Damaged { offset: 8, .. })
        ));
    }

    #[test]
    fn one_process_writes_at_a_time() {
        let (_folder, path) = written(1);
        let first = FileJournal::open(&path).unwrap();
        assert!(matches!(
            FileJournal::open(&path),
            Err(JournalError::InUse { .. })
        ));
        drop(first);
        FileJournal::open(&path).unwrap();
    }
}
