//! Sealed records on disk: frames, one for each batch, in files that only grow.
//!
//! A frame is written and synced before the entries of its batch are appended to the log, so that every entry there has
//! its record. What a crash leaves beyond the log is cut off when the files are opened.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use counterweight_primitives::Sha256Digest;

use crate::durable::sync_folder;

const TAG: &[u8; 4] = b"CWS1";

/// Tag, first index, count, number of endpoints, body bytes, nonce, digest of the entries.
const HEAD: usize = 4 + 8 + 4 + 2 + 8 + 16 + 32;

/// Endpoint, next number.
const COUNTER: usize = 40;

/// End of the sealed bytes, slot.
const PLACE: usize = 12;

const CHECKSUM: usize = 32;

/// A file takes no more frames beyond this.
const FILE_BYTES: u64 = 1 << 28;

/// Why sealed records cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// A file could not be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A frame that is not what it must be, below the end of the log.
    #[error("{}, byte {offset}: {reason}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the frame begins.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// An earlier write failed: open the log again.
    #[error("an earlier write failed: open the log again")]
    Poisoned,
}

/// A batch to be written.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) first: u64,
    pub(super) nonce: [u8; 16],
    /// Next number of each endpoint that the batch has decisions of.
    pub(super) counters: Vec<(Sha256Digest, u64)>,
    /// BLAKE3 of the entries, one after another.
    pub(super) entries: [u8; 32],
    /// Slot of each record's subject.
    pub(super) slots: Vec<u64>,
    /// Where each record ends among the sealed bytes.
    pub(super) ends: Vec<u32>,
    pub(super) sealed: Vec<u8>,
}

/// What is known of a frame without reading its body.
#[derive(Debug, Clone)]
struct Known {
    first: u64,
    count: u32,
    file: usize,
    /// Where the frame begins.
    offset: u64,
    /// Where its body begins.
    body: u64,
    /// Where the frame ends, checksum included.
    end: u64,
    nonce: [u8; 16],
    entries: [u8; 32],
    counters: Vec<(Sha256Digest, u64)>,
}

/// What the files are held against when they are opened.
pub(super) trait Entries {
    type Error: From<SegmentError>;

    /// BLAKE3 of `count` entries of the log from `first` on, one after another.
    fn digest(&self, first: u64, count: u32) -> Result<[u8; 32], Self::Error>;

    /// Whether the log has decisions at `from` or behind it.
    fn has_decisions(&self, from: u64) -> Result<bool, Self::Error>;
}

/// A sealed record.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) nonce: [u8; 16],
    pub(super) slot: u64,
    pub(super) sealed: Vec<u8>,
}

/// The files of a log's sealed records, open for appending.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    /// First index of each file, which is its name.
    files: Vec<u64>,
    current: Option<File>,
    frames: Vec<Known>,
    poisoned: bool,
}

impl Segments {
    /// Opens the files in a folder and finds every frame.
    pub(super) fn open(folder: &Path) -> Result<Self, SegmentError> {
        fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(|e| failed(folder, e))? {
            let name = entry.map_err(|e| failed(folder, e))?.file_name();
            let first: Option<u64> = name
                .to_str()
                .and_then(|name| name.strip_suffix(".sealed")?.parse().ok());
            files.extend(first);
        }
        files.sort_unstable();
        let mut segments = Self {
            folder: folder.to_owned(),
            files,
            current: None,
            frames: Vec::new(),
            poisoned: false,
        };
        for place in 0..segments.files.len() {
            segments.scan(place)?;
        }
        Ok(segments)
    }

    fn scan(&mut self, place: usize) -> Result<(), SegmentError> {
        let path = self.path(place);
        let mut file = File::open(&path).map_err(|e| failed(&path, e))?;
        let length = file.metadata().map_err(|e| failed(&path, e))?.len();
        let mut offset = 0;
        while offset < length {
            match read_head(&mut file, place, offset, length).map_err(|e| failed(&path, e))? {
                Some(known) => {
                    offset = known.end;
                    self.frames.push(known);
                }
                // The last frame of the last file may be torn; whether it is one that was acknowledged is seen by the
                // size of the log.
                None if place + 1 == self.files.len() => break,
                None => return Err(damaged(&path, offset, "a frame is cut off, and others follow")),
            }
        }
        Ok(())
    }

    /// Cuts off what is beyond a log of `size` entries: a frame whose batch never got there, or half of one.
    pub(super) fn cut<L: Entries>(&mut self, size: u64, log: &L) -> Result<(), L::Error> {
        while let Some(last) = self.frames.last() {
            let inside = last
                .first
                .checked_add(last.count.into())
                .is_some_and(|end| end <= size);
            if inside && log.digest(last.first, last.count)? == last.entries {
                break;
            }
            self.frames.pop();
        }
        let covered = self
            .frames
            .last()
            .map_or(0, |last| last.first + u64::from(last.count));
        // A frame that was acknowledged and rotted must not be taken for one that was never finished.
        if log.has_decisions(covered)? {
            let place = self.frames.last().map_or(0, |last| last.file);
            let offset = self.frames.last().map_or(0, |last| last.end);
            let reason = "the log has decisions whose sealed records are damaged or missing";
            return Err(damaged(&self.path(place), offset, reason).into());
        }
        let (keep, end) = self
            .frames
            .last()
            .map_or((0, 0), |last| (last.file + 1, last.end));
        for place in (keep..self.files.len()).rev() {
            let path = self.path(place);
            fs::remove_file(&path).map_err(|e| failed(&path, e))?;
        }
        self.files.truncate(keep);
        if let Some(place) = keep.checked_sub(1) {
            let path = self.path(place);
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .open(&path)
                .map_err(|e| failed(&path, e))?;
            file.set_len(end)
                .and_then(|()| file.seek(SeekFrom::End(0)))
                .and_then(|_| file.sync_all())
                .map_err(|e| failed(&path, e))?;
            self.current = Some(file);
        }
        sync_folder(&self.folder).map_err(|e| failed(&self.folder, e))?;
        Ok(())
    }

    /// Next number of every endpoint, from all frames.
    pub(super) fn counters(&self) -> impl Iterator<Item = (Sha256Digest, u64)> {
        // Later frames come later.
        self.frames
            .iter()
            .flat_map(|frame| frame.counters.iter().copied())
    }

    /// Appends a frame and syncs it.
    pub(super) fn append(&mut self, frame: &Frame) -> Result<(), SegmentError> {
        if self.poisoned {
            return Err(SegmentError::Poisoned);
        }
        self.poisoned = true;
        let last = self.frames.last().map_or(0, |last| last.end);
        if self.current.is_none() || last >= FILE_BYTES {
            self.begin(frame.first)?;
        }
        let file_place = self.files.len().saturating_sub(1);
        let offset = self
            .frames
            .last()
            .filter(|last| last.file == file_place)
            .map_or(0, |last| last.end);
        let path = self.path(file_place);
        let bytes = frame.encode();
        let file = self.current.as_mut().ok_or(SegmentError::Poisoned)?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_data())
            .map_err(|e| failed(&path, e))?;
        self.frames.push(Known {
            first: frame.first,
            count: frame.slots.len() as u32,
            file: file_place,
            offset,
            body: offset + (HEAD + COUNTER * frame.counters.len()) as u64,
            end: offset + bytes.len() as u64,
            nonce: frame.nonce,
            entries: frame.entries,
            counters: frame.counters.clone(),
        });
        self.poisoned = false;
        Ok(())
    }

    fn begin(&mut self, first: u64) -> Result<(), SegmentError> {
        self.files.push(first);
        let path = self.path(self.files.len() - 1);
        let file = File::create_new(&path).map_err(|e| failed(&path, e))?;
        sync_folder(&self.folder).map_err(|e| failed(&self.folder, e))?;
        self.current = Some(file);
        Ok(())
    }

    /// The sealed record of an entry; none where the entry has none.
    pub(super) fn record(&self, index: u64) -> Result<Option<Record>, SegmentError> {
        let after = self.frames.partition_point(|frame| frame.first <= index);
        let Some(frame) = after.checked_sub(1).and_then(|place| self.frames.get(place)) else {
            return Ok(None);
        };
        let within = index - frame.first;
        if within >= frame.count.into() {
            return Ok(None);
        }
        let path = self.path(frame.file);
        let mut file = File::open(&path).map_err(|e| failed(&path, e))?;
        let mut read = |at: u64, bytes: &mut [u8]| {
            file.seek(SeekFrom::Start(frame.body + at))
                .and_then(|_| file.read_exact(bytes))
                .map_err(|e| failed(&path, e))
        };
        let mut end = |place: u64| {
            let mut bytes = [0; PLACE];
            read(place * PLACE as u64, &mut bytes)?;
            let (end, slot) = bytes.split_at(4);
            let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
            Ok((number(end), number(slot)))
        };
        let start = match within.checked_sub(1) {
            Some(before) => end(before)?.0,
            None => 0,
        };
        let (end, slot) = end(within)?;
        let table = u64::from(frame.count) * PLACE as u64;
        let room = (frame.end - frame.body).saturating_sub(table + CHECKSUM as u64);
        let length = end
            .checked_sub(start)
            .filter(|_| end <= room)
            .ok_or_else(|| damaged(&path, frame.offset, "a record is not where it should be"))?;
        let mut sealed = vec![0; length as usize];
        read(table + start, &mut sealed)?;
        Ok(Some(Record {
            nonce: frame.nonce,
            slot,
            sealed,
        }))
    }

    /// How many records a slot has, and the places of their entries. Reads the tables of all frames.
    pub(super) fn of_slot(&self, slot: u64) -> Result<Vec<u64>, SegmentError> {
        let mut found = Vec::new();
        for frame in &self.frames {
            let path = self.path(frame.file);
            let mut table = vec![0; frame.count as usize * PLACE];
            let mut file = File::open(&path).map_err(|e| failed(&path, e))?;
            file.seek(SeekFrom::Start(frame.body))
                .and_then(|_| file.read_exact(&mut table))
                .map_err(|e| failed(&path, e))?;
            let places = table.as_chunks::<PLACE>().0.iter().zip(frame.first..);
            found.extend(
                places
                    .filter(|(place, _)| place[4..] == slot.to_be_bytes())
                    .map(|(_, index)| index),
            );
        }
        Ok(found)
    }

    /// Reads everything and holds it against the checksums.
    pub(super) fn check(&self) -> Result<(), SegmentError> {
        for frame in &self.frames {
            let path = self.path(frame.file);
            let mut bytes = vec![0; (frame.end - frame.offset) as usize];
            let mut file = File::open(&path).map_err(|e| failed(&path, e))?;
            file.seek(SeekFrom::Start(frame.offset))
                .and_then(|_| file.read_exact(&mut bytes))
                .map_err(|e| failed(&path, e))?;
            let (frame_bytes, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
            if blake3::hash(frame_bytes).as_bytes() != checksum {
                return Err(damaged(&path, frame.offset, "its checksum is another"));
            }
        }
        Ok(())
    }

    fn path(&self, place: usize) -> PathBuf {
        let first = self.files.get(place).copied().unwrap_or_default();
        self.folder.join(format!("{first:020}.sealed"))
    }
}

impl Frame {
    fn encode(&self) -> Vec<u8> {
        let table = PLACE * self.slots.len();
        let body = table + self.sealed.len();
        let mut bytes = Vec::with_capacity(HEAD + COUNTER * self.counters.len() + body + CHECKSUM);
        bytes.extend(TAG);
        bytes.extend(self.first.to_be_bytes());
        bytes.extend((self.slots.len() as u32).to_be_bytes());
        bytes.extend((self.counters.len() as u16).to_be_bytes());
        bytes.extend((body as u64).to_be_bytes());
        bytes.extend(self.nonce);
        bytes.extend(self.entries);
        for (endpoint, next) in &self.counters {
            bytes.extend(endpoint.0);
            bytes.extend(next.to_be_bytes());
        }
        for (end, slot) in self.ends.iter().zip(&self.slots) {
            bytes.extend(end.to_be_bytes());
            bytes.extend(slot.to_be_bytes());
        }
        bytes.extend(&self.sealed);
        let checksum = *blake3::hash(&bytes).as_bytes();
        bytes.extend(checksum);
        bytes
    }
}

/// Reads the head of the frame at `offset`; none where the file ends before the frame does, or no frame begins there.
fn read_head(file: &mut File, place: usize, offset: u64, length: u64) -> io::Result<Option<Known>> {
    if length - offset < (HEAD + CHECKSUM) as u64 {
        return Ok(None);
    }
    let mut head = [0; HEAD];
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut head)?;
    let parse = |head: &[u8]| {
        let rest = head.strip_prefix(TAG)?;
        let (first, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (endpoints, rest) = rest.split_first_chunk()?;
        let (body, rest) = rest.split_first_chunk()?;
        let (nonce, entries) = rest.split_first_chunk()?;
        let table = COUNTER * usize::from(u16::from_be_bytes(*endpoints));
        let start = offset + (HEAD + table) as u64;
        let end = start
            .checked_add(u64::from_be_bytes(*body))?
            .checked_add(CHECKSUM as u64)
            .filter(|end| *end <= length)?;
        let count = u32::from_be_bytes(*count);
        let fits = u64::from_be_bytes(*body) >= u64::from(count) * PLACE as u64;
        let known = Known {
            first: u64::from_be_bytes(*first),
            count,
            file: place,
            offset,
            body: start,
            end,
            nonce: *nonce,
            entries: entries.try_into().ok()?,
            counters: Vec::new(),
        };
        fits.then_some((known, table))
    };
    let Some((mut known, table)) = parse(&head) else {
        return Ok(None);
    };
    let mut counters = vec![0; table];
    file.read_exact(&mut counters)?;
    for counter in counters.as_chunks::<COUNTER>().0 {
        let (endpoint, next) = counter.split_at(32);
        let mut id = [0; 32];
        id.copy_from_slice(endpoint);
        let next = next.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        known.counters.push((Sha256Digest(id), next));
    }
    Ok(Some(known))
}

fn damaged(path: &Path, offset: u64, reason: &'static str) -> SegmentError {
    SegmentError::Damaged {
        path: path.to_owned(),
        offset,
        reason,
    }
}

fn failed(path: &Path, source: io::Error) -> SegmentError {
    SegmentError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u64, count: u64) -> Frame {
        let mut frame = Frame {
            first,
            nonce: [first as u8; 16],
            counters: vec![(Sha256Digest([5; 32]), first + count)],
            entries: [first as u8; 32],
            ..Frame::default()
        };
        for index in first..first + count {
            frame.slots.push(index % 3);
            frame.sealed.extend(format!("record {index}").bytes());
            frame.ends.push(frame.sealed.len() as u32);
        }
        frame
    }

    /// A log whose batches have the digests of the frames above, but for one.
    struct Log {
        decisions: u64,
        other: Option<u64>,
    }

    impl Entries for Log {
        type Error = SegmentError;

        fn digest(&self, first: u64, _: u32) -> Result<[u8; 32], SegmentError> {
            Ok([if self.other == Some(first) {
                99
            } else {
                first as u8
            }; 32])
        }

        fn has_decisions(&self, from: u64) -> Result<bool, SegmentError> {
            Ok(from < self.decisions)
        }
    }

    fn open(folder: &Path, size: u64) -> Segments {
        let mut segments = Segments::open(folder).unwrap();
        let log = Log {
            decisions: 0,
            other: None,
        };
        segments.cut(size, &log).unwrap();
        segments
    }

    fn written(folder: &Path) -> Segments {
        let mut segments = open(folder, 0);
        // The entry at 7 has no record.
        for (first, count) in [(0, 1), (1, 6), (8, 4)] {
            segments.append(&frame(first, count)).unwrap();
        }
        segments
    }

    #[test]
    fn records_are_found_by_place_and_by_slot() {
        let folder = tempfile::tempdir().unwrap();
        for segments in [written(folder.path()), open(folder.path(), 12)] {
            for index in (0..12).filter(|index| *index != 7) {
                let record = segments.record(index).unwrap().unwrap();
                assert_eq!(record.sealed, format!("record {index}").as_bytes());
                assert_eq!(record.slot, index % 3);
            }
            assert!(segments.record(7).unwrap().is_none());
            assert!(segments.record(12).unwrap().is_none());
            assert_eq!(segments.of_slot(1).unwrap(), [1, 4, 10]);
            assert_eq!(segments.counters().last().unwrap().1, 12);
            segments.check().unwrap();
        }
    }

    #[test]
    fn what_the_log_does_not_have_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let path = folder.path().join(format!("{:020}.sealed", 0));
        let whole = fs::read(&path).unwrap();
        let mut segments = open(folder.path(), 11);
        assert!(segments.record(8).unwrap().is_none());
        segments.append(&frame(8, 2)).unwrap();
        assert_eq!(
            open(folder.path(), 10).record(9).unwrap().unwrap().sealed,
            b"record 9"
        );
        // Of another batch than the one the log took.
        fs::write(&path, &whole).unwrap();
        let mut segments = Segments::open(folder.path()).unwrap();
        segments
            .cut(
                12,
                &Log {
                    decisions: 7,
                    other: Some(8),
                },
            )
            .unwrap();
        assert!(segments.record(8).unwrap().is_none());
        for cut in 1..whole.len() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(format!("{:020}.sealed", 0));
            fs::write(&path, &whole[..cut]).unwrap();
            let mut segments = open(folder.path(), 12);
            segments.append(&frame(30, 1)).unwrap();
            segments.check().unwrap();
            // The same, where the log says that it was acknowledged.
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(format!("{:020}.sealed", 0)), &whole[..cut]).unwrap();
            let mut segments = Segments::open(folder.path()).unwrap();
            let error = segments
                .cut(
                    12,
                    &Log {
                        decisions: 12,
                        other: None,
                    },
                )
                .unwrap_err();
            assert!(matches!(error, SegmentError::Damaged { .. }), "{error}");
        }
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let folder = tempfile::tempdir().unwrap();
        written(folder.path());
        let path = folder.path().join(format!("{:020}.sealed", 0));
        let whole = fs::read(&path).unwrap();
        for place in [20, 60, 120, whole.len() - 1] {
            let mut spoiled = whole.clone();
            spoiled[place] ^= 1;
            fs::write(&path, &spoiled).unwrap();
            let found = Segments::open(folder.path()).and_then(|segments| {
                segments.check()?;
                Ok(segments.frames.len())
            });
            assert!(!matches!(found, Ok(3)), "byte {place}");
        }
    }
}
