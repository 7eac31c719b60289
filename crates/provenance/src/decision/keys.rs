//! The keys of subjects: the only thing here that is ever deleted.
//!
//! A subject has a random key and a slot, a number that nobody else ever gets. On disk the key is wrapped under the key of
//! an *epoch*, and that under the operator's master key. Erasing subjects begins a new epoch: the keys that stay are wrapped
//! again under a fresh epoch key in a new file, and the file `epoch` moves to it by one rename, which is the moment of
//! erasure. Copies of old key files (backups) open with no key that is left, as long as `epoch` itself was kept out of
//! them. A subject's name is on no disk: it is found by a keyed hash.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use rand_core::CryptoRng;

use super::secret::{SecretKey, unwrap, wrap};
use crate::durable::{sync_folder, write_file};

const EPOCH_TAG: &[u8; 4] = b"CWE1";
const STORE_TAG: &[u8; 4] = b"CWK1";

/// Tag, epoch, first slot that was never given.
const STORE_HEAD: usize = 20;

/// Slot, tag of the subject, wrapped key.
const RECORD: usize = 8 + 32 + 48;

/// Tag, epoch, nonce, wrapped key.
const EPOCH_HEAD: usize = 4 + 8 + 12 + 48;

/// Why keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A file could not be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The master key is another, or the file was changed.
    #[error("{} does not open under this master key", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// A file that is not what it must be.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// Which one.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// An erasure failed half-way: open the log again.
    #[error("an earlier erasure failed: open the log again")]
    Poisoned,
}

/// The keys of all subjects, open.
pub(super) struct KeyStore {
    folder: PathBuf,
    master: SecretKey,
    tag_key: SecretKey,
    epoch: u64,
    epoch_key: SecretKey,
    file: File,
    /// End of the records that are on disk.
    length: u64,
    /// Slot and key of each subject, by tag.
    subjects: HashMap<[u8; 32], (u64, SecretKey)>,
    /// Tag of each slot whose key is there.
    tags: HashMap<u64, [u8; 32]>,
    /// The first slot that was never given.
    next: u64,
    /// Records of subjects that are new and not on disk yet.
    fresh: Vec<u8>,
    poisoned: bool,
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyStore")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// What an erasure left to be said in the log.
pub(super) type Pending = Option<Vec<u8>>;

impl KeyStore {
    /// Opens the keys in a folder, or begins them; gives an erasure that is not in the log yet, if there is one.
    pub(super) fn open(
        folder: &Path,
        master: SecretKey,
        random: &mut dyn CryptoRng,
    ) -> Result<(Self, Pending), KeyError> {
        fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
        let tag_key = derived("counterweight decision 2026-11 subject tag v1", &master);
        let path = folder.join("epoch");
        if !path.try_exists().map_err(|e| failed(&path, e))? {
            if has_store(folder)? {
                // A new epoch here would orphan every key there is.
                let reason = "it is missing, and there are keys that only it opens";
                return Err(KeyError::Damaged { path, reason });
            }
            let key = fresh_key(random);
            write_store(folder, 0, &key, 0, [])?;
            write_epoch(folder, 0, &master, &key, &[], random)?;
        }
        let (epoch, epoch_key, pending) = read_epoch(&path, &master)?;
        remove_others(folder, epoch)?;
        let path = store_path(folder, epoch);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| failed(&path, e))?;
        let mut store = Self {
            folder: folder.to_owned(),
            master,
            tag_key,
            epoch,
            epoch_key,
            length: 0,
            subjects: HashMap::new(),
            tags: HashMap::new(),
            next: 0,
            fresh: Vec::new(),
            poisoned: false,
            file: file.try_clone().map_err(|e| failed(&path, e))?,
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| failed(&path, e))?;
        store.load(&path, &bytes)?;
        // A torn end is of subjects whose first decision was never acknowledged.
        store.file.set_len(store.length).map_err(|e| failed(&path, e))?;
        Ok((store, pending))
    }

    fn load(&mut self, path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
        let damaged = |reason| KeyError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let head = |bytes: &[u8]| {
            let rest = bytes.strip_prefix(STORE_TAG)?;
            let (epoch, rest) = rest.split_first_chunk()?;
            let (next, records) = rest.split_first_chunk()?;
            Some((
                u64::from_be_bytes(*epoch),
                u64::from_be_bytes(*next),
                records.to_vec(),
            ))
        };
        let (epoch, next, records) = head(bytes).ok_or_else(|| damaged("it is no key file"))?;
        if epoch != self.epoch {
            return Err(damaged("it is of another epoch"));
        }
        self.length = STORE_HEAD as u64;
        let mut broken = false;
        for record in records.chunks_exact(RECORD) {
            match self.read_record(record) {
                Some(_) if broken => return Err(damaged("a key in the middle does not open")),
                Some((slot, tag, key)) => {
                    self.put(slot, tag, key)
                        .ok_or_else(|| damaged("a slot or a subject stands twice"))?;
                    self.length += RECORD as u64;
                }
                None => broken = true,
            }
        }
        self.next = self.next.max(next);
        Ok(())
    }

    fn read_record(&self, record: &[u8]) -> Option<(u64, [u8; 32], SecretKey)> {
        let (head, sealed) = record.split_first_chunk::<40>()?;
        let (slot, tag) = head.split_first_chunk()?;
        let slot = u64::from_be_bytes(*slot);
        let key = unwrap(&self.epoch_key, slot_nonce(slot), head, sealed.try_into().ok()?)?;
        Some((slot, tag.try_into().ok()?, key))
    }

    fn put(&mut self, slot: u64, tag: [u8; 32], key: SecretKey) -> Option<()> {
        // Slots are given one after another, and an erasure keeps their order.
        if slot < self.next || self.subjects.insert(tag, (slot, key)).is_some() {
            return None;
        }
        self.tags.insert(slot, tag);
        self.next = slot.checked_add(1)?;
        Some(())
    }

    /// Slot and key of a subject, who gets them if they are new: [`KeyStore::sync`] makes them safe.
    pub(super) fn subject(
        &mut self,
        name: &str,
        random: &mut dyn CryptoRng,
    ) -> Result<(u64, &SecretKey), KeyError> {
        if self.poisoned {
            return Err(KeyError::Poisoned);
        }
        let tag = self.tag(name);
        let held = match self.subjects.entry(tag) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(place) => {
                let slot = self.next;
                let key = fresh_key(random);
                let record = record(&self.epoch_key, slot, &tag, &key).ok_or_else(|| KeyError::Damaged {
                    path: store_path(&self.folder, self.epoch),
                    reason: "a key could not be wrapped",
                })?;
                self.fresh.extend(record);
                self.tags.insert(slot, tag);
                self.next += 1;
                place.insert((slot, key))
            }
        };
        Ok((held.0, &held.1))
    }

    /// The slot of a subject who has one.
    pub(super) fn find(&self, subject: &str) -> Option<u64> {
        self.subjects.get(&self.tag(subject)).map(|(slot, _)| *slot)
    }

    /// The key of a slot; none where it was erased.
    pub(super) fn key(&self, slot: u64) -> Option<&SecretKey> {
        self.subjects.get(self.tags.get(&slot)?).map(|(_, key)| key)
    }

    /// Puts new keys on disk.
    pub(super) fn sync(&mut self) -> Result<(), KeyError> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        if self.poisoned {
            return Err(KeyError::Poisoned);
        }
        let path = store_path(&self.folder, self.epoch);
        // Until the last write held, the disk may have some of these slots, which must not be given twice.
        self.poisoned = true;
        self.file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(&self.fresh))
            .and_then(|()| self.file.sync_data())
            .map_err(|e| failed(&path, e))?;
        self.poisoned = false;
        self.length += self.fresh.len() as u64;
        self.fresh.clear();
        Ok(())
    }

    /// Deletes the keys of slots for good, and keeps `pending` until [`KeyStore::settle`].
    pub(super) fn erase(
        &mut self,
        slots: &[u64],
        pending: &[u8],
        random: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        self.sync()?;
        if self.poisoned {
            return Err(KeyError::Poisoned);
        }
        self.poisoned = true;
        let key = fresh_key(random);
        let epoch = self.epoch + 1;
        let mut stays: Vec<_> = self
            .subjects
            .iter()
            .map(|(tag, (slot, key))| (*slot, *tag, key))
            .filter(|(slot, ..)| !slots.contains(slot))
            .collect();
        stays.sort_unstable_by_key(|(slot, ..)| *slot);
        let length = write_store(&self.folder, epoch, &key, self.next, stays)?;
        // Held open across the rename, so that its wrapped key can be overwritten where it lies.
        let epoch_path = self.folder.join("epoch");
        let old = OpenOptions::new().write(true).open(&epoch_path);
        write_epoch(&self.folder, epoch, &self.master, &key, pending, random)?;
        // From here on no file opens the keys of these slots. What follows is for whoever reads the disk beneath the files:
        // it helps on file systems that write in place, and nothing depends on it.
        let _ = old.and_then(|mut old| old.write_all(&[0; EPOCH_HEAD]).and_then(|()| old.sync_data()));
        let _ = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| io::copy(&mut io::repeat(0).take(self.length), &mut self.file))
            .and_then(|_| self.file.sync_data());
        remove_others(&self.folder, epoch)?;
        let path = store_path(&self.folder, epoch);
        self.file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| failed(&path, e))?;
        (self.epoch, self.epoch_key, self.length) = (epoch, key, length);
        for slot in slots {
            if let Some(tag) = self.tags.remove(slot) {
                self.subjects.remove(&tag);
            }
        }
        self.poisoned = false;
        Ok(())
    }

    /// Forgets what was pending: the log has it.
    pub(super) fn settle(&mut self, random: &mut dyn CryptoRng) -> Result<(), KeyError> {
        write_epoch(
            &self.folder,
            self.epoch,
            &self.master,
            &self.epoch_key,
            &[],
            random,
        )
    }

    #[cfg(test)]
    pub(super) fn secrets_of(&self, subject: &str) -> ([u8; 32], Vec<u8>) {
        let tag = self.tag(subject);
        let (slot, key) = &self.subjects[&tag];
        let record = record(&self.epoch_key, *slot, &tag, key).unwrap();
        assert!(
            fs::read(store_path(&self.folder, self.epoch))
                .unwrap()
                .windows(RECORD)
                .any(|window| window == record),
            "the bytes to look for are those on disk"
        );
        (key.0, record[40..].to_vec())
    }

    fn tag(&self, subject: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.tag_key.0, subject.as_bytes()).as_bytes()
    }
}

fn fresh_key(random: &mut dyn CryptoRng) -> SecretKey {
    let mut bytes = [0; 32];
    random.fill_bytes(&mut bytes);
    SecretKey(bytes)
}

fn derived(context: &str, master: &SecretKey) -> SecretKey {
    SecretKey(blake3::derive_key(context, &master.0))
}

fn slot_nonce(slot: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&slot.to_be_bytes());
    nonce
}

fn record(epoch_key: &SecretKey, slot: u64, tag: &[u8; 32], key: &SecretKey) -> Option<[u8; RECORD]> {
    let mut record = [0; RECORD];
    let (head, sealed) = record.split_at_mut(40);
    head[..8].copy_from_slice(&slot.to_be_bytes());
    head[8..].copy_from_slice(tag);
    sealed.copy_from_slice(&wrap(epoch_key, slot_nonce(slot), head, key)?);
    Some(record)
}

fn store_path(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("store.{epoch}"))
}

/// Writes a whole key file; gives its length. Its name is safe once the folder is synced.
fn write_store<'a>(
    folder: &Path,
    epoch: u64,
    key: &SecretKey,
    next: u64,
    keys: impl IntoIterator<Item = (u64, [u8; 32], &'a SecretKey)>,
) -> Result<u64, KeyError> {
    let path = store_path(folder, epoch);
    let mut bytes = [&STORE_TAG[..], &epoch.to_be_bytes(), &next.to_be_bytes()].concat();
    for (slot, tag, subject) in keys {
        let record = record(key, slot, &tag, subject).ok_or_else(|| KeyError::Damaged {
            path: path.clone(),
            reason: "a key could not be wrapped",
        })?;
        bytes.extend(record);
    }
    write_file(&path, &folder.join("temporary"), &bytes)
        .and_then(|()| sync_folder(folder))
        .map_err(|e| failed(&path, e))?;
    Ok(bytes.len() as u64)
}

fn write_epoch(
    folder: &Path,
    epoch: u64,
    master: &SecretKey,
    key: &SecretKey,
    pending: &[u8],
    random: &mut dyn CryptoRng,
) -> Result<(), KeyError> {
    let path = folder.join("epoch");
    let mut nonce = [0; 12];
    random.fill_bytes(&mut nonce);
    let wrapping = derived("counterweight decision 2026-11 epoch key v1", master);
    let data = [&EPOCH_TAG[..], &epoch.to_be_bytes(), pending].concat();
    let sealed = wrap(&wrapping, nonce, &data, key).ok_or_else(|| KeyError::Damaged {
        path: path.clone(),
        reason: "the epoch's key could not be wrapped",
    })?;
    let bytes = [&EPOCH_TAG[..], &epoch.to_be_bytes(), &nonce, &sealed, pending].concat();
    write_file(&path, &folder.join("temporary"), &bytes)
        .and_then(|()| sync_folder(folder))
        .map_err(|e| failed(&path, e))
}

fn read_epoch(path: &Path, master: &SecretKey) -> Result<(u64, SecretKey, Pending), KeyError> {
    let bytes = fs::read(path).map_err(|e| failed(path, e))?;
    let parts = |bytes: &[u8]| {
        let rest = bytes.strip_prefix(EPOCH_TAG)?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (sealed, pending) = rest.split_first_chunk()?;
        Some((*epoch, *nonce, *sealed, pending.to_vec()))
    };
    let (epoch, nonce, sealed, pending) = parts(&bytes).ok_or_else(|| KeyError::Damaged {
        path: path.to_owned(),
        reason: "it is no epoch file",
    })?;
    let wrapping = derived("counterweight decision 2026-11 epoch key v1", master);
    let data = [&EPOCH_TAG[..], &epoch, &pending].concat();
    let key = unwrap(&wrapping, nonce, &data, &sealed).ok_or_else(|| KeyError::Locked {
        path: path.to_owned(),
    })?;
    let pending = (!pending.is_empty()).then_some(pending);
    Ok((u64::from_be_bytes(epoch), key, pending))
}

fn store_names(folder: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| failed(folder, e))? {
        let path = entry.map_err(|e| failed(folder, e))?.path();
        if path.file_stem().is_some_and(|stem| stem == "store") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether there are keys of subjects in a folder.
fn has_store(folder: &Path) -> Result<bool, KeyError> {
    for path in store_names(folder)? {
        let length = fs::metadata(&path).map_err(|e| failed(&path, e))?.len();
        if length > STORE_HEAD as u64 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes key files of other epochs: what an interrupted erasure left, before or after its moment.
fn remove_others(folder: &Path, epoch: u64) -> Result<(), KeyError> {
    let current = store_path(folder, epoch);
    for path in store_names(folder)? {
        if path != current {
            fs::remove_file(&path).map_err(|e| failed(&path, e))?;
        }
    }
    match fs::remove_file(folder.join("temporary")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(folder, e)),
        _ => {}
    }
    sync_folder(folder).map_err(|e| failed(folder, e))
}

fn failed(path: &Path, source: io::Error) -> KeyError {
    KeyError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

    use super::*;

    fn master() -> SecretKey {
        SecretKey([1; 32])
    }

    fn random(seed: u8) -> ChaCha20Rng {
        ChaCha20Rng::from_seed([seed; 32])
    }

    fn open(folder: &Path) -> (KeyStore, Pending) {
        KeyStore::open(folder, master(), &mut random(9)).unwrap()
    }

    /// With the keys of three subjects, synced.
    fn three(folder: &Path) -> KeyStore {
        let (mut store, _) = open(folder);
        for subject in ["ada", "bob", "cyd"] {
            store
                .subject(subject, &mut random(subject.as_bytes()[0]))
                .unwrap();
        }
        store.sync().unwrap();
        store
    }

    #[test]
    fn keys_are_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = three(folder.path());
        let (again, pending) = open(folder.path());
        assert_eq!(pending, None);
        for subject in ["ada", "bob", "cyd"] {
            let slot = store.find(subject).unwrap();
            assert_eq!(again.find(subject), Some(slot));
            assert_eq!(again.key(slot), store.key(slot));
        }
        assert_eq!(again.find("dan"), None);
    }

    #[test]
    fn another_master_key_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        three(folder.path());
        let other = KeyStore::open(folder.path(), SecretKey([2; 32]), &mut random(1));
        assert!(matches!(other, Err(KeyError::Locked { .. })));
    }

    #[test]
    fn an_erased_key_is_gone_and_its_slot_is_never_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = three(folder.path());
        let old = fs::read(store_path(folder.path(), 0)).unwrap();
        let (ada, cyd) = (store.find("ada").unwrap(), store.find("cyd").unwrap());
        let kept = store.key(ada).cloned().unwrap();
        store.erase(&[cyd], b"said", &mut random(7)).unwrap();
        for store in [store, open(folder.path()).0] {
            assert_eq!((store.find("cyd"), store.key(cyd)), (None, None));
            assert_eq!(store.key(ada), Some(&kept));
        }
        let (mut store, pending) = open(folder.path());
        assert_eq!(pending.as_deref(), Some(&b"said"[..]));
        store.settle(&mut random(8)).unwrap();
        let (mut store, pending) = open(folder.path());
        assert_eq!(pending, None);
        assert_eq!(store.subject("cyd", &mut random(8)).unwrap().0, cyd + 1);
        // A backup of the old key file is no use.
        fs::write(store_path(folder.path(), 0), &old).unwrap();
        drop(store);
        assert_eq!(open(folder.path()).0.key(cyd), None);
        assert!(!store_path(folder.path(), 0).exists());
        let current = store_path(folder.path(), 1);
        let forged = [&STORE_TAG[..], &1_u64.to_be_bytes(), &old[12..]].concat();
        fs::write(&current, forged).unwrap();
        assert_eq!(
            open(folder.path()).0.key(cyd),
            None,
            "wrapped under a key that is gone"
        );
    }

    #[test]
    fn an_erasure_cut_off_before_its_moment_did_not_happen() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = three(folder.path());
        let epoch = fs::read(folder.path().join("epoch")).unwrap();
        let kept = fs::read(store_path(folder.path(), 0)).unwrap();
        store.erase(&[0], b"said", &mut random(7)).unwrap();
        fs::write(folder.path().join("epoch"), epoch).unwrap();
        fs::write(store_path(folder.path(), 0), kept).unwrap();
        let (again, pending) = open(folder.path());
        assert!(again.key(0).is_some() && pending.is_none());
        assert!(!store_path(folder.path(), 1).exists());
    }

    #[test]
    fn a_torn_end_is_cut_off_and_damage_elsewhere_is_told() {
        let folder = tempfile::tempdir().unwrap();
        three(folder.path());
        let path = store_path(folder.path(), 0);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(open(folder.path()).0.find("cyd"), None);
        assert_eq!(fs::read(&path).unwrap().len(), whole.len() - RECORD);
        let mut spoiled = whole.clone();
        spoiled[STORE_HEAD + RECORD + 50] ^= 1;
        fs::write(&path, spoiled).unwrap();
        let error = KeyStore::open(folder.path(), master(), &mut random(1)).unwrap_err();
        assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
        fs::write(&path, &whole).unwrap();
        fs::remove_file(folder.path().join("epoch")).unwrap();
        let error = KeyStore::open(folder.path(), master(), &mut random(1)).unwrap_err();
        assert!(matches!(error, KeyError::Damaged { .. }), "{error}");
    }
}
