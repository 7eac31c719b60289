//! Bytes kept in a folder under the digest that names them.
//!
//! A blob with digest `blake3:51de…` is the file `51/de….` (two digits, then the other 62). It is written to a
//! temporary file, synced, renamed into place and the folder synced, so that after a crash a blob is there whole or
//! not at all, and any number of processes may write the same one. Bytes are hashed again whenever they are read:
//! a disk or a person that changed them is found out and the blob is named.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use counterweight_primitives::ContentDigest;

use crate::durable::sync_folder;

/// Why a blob could not be kept or given back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// No such blob.
    #[error("{digest} is not in the store")]
    Missing {
        /// What was asked for.
        digest: ContentDigest,
    },
    /// The bytes on disk are not the ones that were put there.
    #[error("{digest} was changed on disk: its bytes now have digest {got} ({})", path.display())]
    Corrupted {
        /// What was asked for.
        digest: ContentDigest,
        /// What the bytes hash to.
        got: ContentDigest,
        /// Where they are.
        path: PathBuf,
    },
    /// Larger than the caller reads.
    #[error("{digest} has {got} bytes, at most {limit} are read")]
    TooLarge {
        /// What was asked for.
        digest: ContentDigest,
        /// Its size in bytes.
        got: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// A file or folder of the store could not be used.
    #[error("{} cannot be used", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A content-addressed store in a folder. Cheap to clone; safe to use from many threads and processes at once.
#[derive(Debug, Clone)]
pub struct BlobStore {
    folder: PathBuf,
}

/// Tells temporary files of one process apart.
static NEXT_TEMPORARY: AtomicU64 = AtomicU64::new(0);

impl BlobStore {
    /// Opens the store in a folder, making it where needed.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let folder = folder.into();
        let incoming = folder.join(INCOMING);
        fs::create_dir_all(&incoming).map_err(|e| failed(&incoming, e))?;
        Ok(Self { folder })
    }

    /// Where a blob is kept. The file may be read; writing to it destroys it.
    #[must_use]
    pub fn path(&self, digest: &ContentDigest) -> PathBuf {
        let digits = digest.to_hex();
        self.folder.join(&digits[..2]).join(&digits[2..])
    }

    /// Keeps bytes and gives their digest. They're safe from a crash when this returns.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
        let digest = ContentDigest::of(bytes);
        if self.is_intact(&digest)? {
            return Ok(digest);
        }
        let mut incoming = self.incoming()?;
        incoming.write(bytes)?;
        self.admit(incoming, &digest)?;
        Ok(digest)
    }

    /// Keeps a copy of a file and gives its digest and size. What is kept is what was hashed, even if somebody
    /// writes to the file meanwhile.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn put_file(&self, path: &Path) -> Result<(ContentDigest, u64), BlobError> {
        let mut source = File::open(path).map_err(|e| failed(path, e))?;
        let mut incoming = self.incoming()?;
        let mut hasher = blake3::Hasher::new();
        let mut size = 0;
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let read = source.read(&mut buffer).map_err(|e| failed(path, e))?;
            if read == 0 {
                break;
            }
            hasher.update_rayon(&buffer[..read]);
            incoming.write(&buffer[..read])?;
            size += read as u64;
        }
        let digest = ContentDigest(*hasher.finalize().as_bytes());
        if !self.is_intact(&digest)? {
            self.admit(incoming, &digest)?;
        }
        Ok((digest, size))
    }

    /// The bytes of a blob of at most `limit` bytes, checked against its digest.
    ///
    /// # Errors
    /// Every variant of [`BlobError`].
    pub fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        let file = File::open(&path).map_err(|e| missing_or(digest, &path, e))?;
        let size = file.metadata().map_err(|e| failed(&path, e))?.len();
        if size > limit {
            return Err(BlobError::TooLarge {
                digest: *digest,
                got: size,
                limit,
            });
        }
        // One more than the size, so that a file which grew since is noticed without reading all of it.
        let mut bytes = Vec::new();
        file.take(size.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|e| failed(&path, e))?;
        let got = ContentDigest::of(&bytes);
        if got == *digest {
            Ok(bytes)
        } else {
            Err(BlobError::Corrupted {
                digest: *digest,
                got,
                path,
            })
        }
    }

    /// Whether a blob is there. Its bytes are not read.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn has(&self, digest: &ContentDigest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        path.try_exists().map_err(|e| failed(&path, e))
    }

    /// Size of a blob in bytes.
    ///
    /// # Errors
    /// [`BlobError::Missing`] or [`BlobError::Io`].
    pub fn size(&self, digest: &ContentDigest) -> Result<u64, BlobError> {
        let path = self.path(digest);
        fs::metadata(&path)
            .map(|m| m.len())
            .map_err(|e| missing_or(digest, &path, e))
    }

    /// Checks the bytes of a blob of any size without keeping them in memory.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Corrupted`] or [`BlobError::Io`].
    pub fn check(&self, digest: &ContentDigest) -> Result<(), BlobError> {
        let path = self.path(digest);
        let mut hasher = blake3::Hasher::new();
        hasher
            .update_mmap_rayon(&path)
            .map_err(|e| missing_or(digest, &path, e))?;
        let got = ContentDigest(*hasher.finalize().as_bytes());
        if got == *digest {
            Ok(())
        } else {
            Err(BlobError::Corrupted {
                digest: *digest,
                got,
                path,
            })
        }
    }

    /// Every blob, in ascending order of digest. Files that are none of ours are passed over.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn list(&self) -> Result<Vec<ContentDigest>, BlobError> {
        let mut digests = Vec::new();
        for shelf in entries(&self.folder)? {
            let Some(first) = shelf
                .file_name()
                .and_then(|n| n.to_str())
                .filter(|n| n.len() == 2)
            else {
                continue;
            };
            if !shelf.is_dir() {
                continue;
            }
            for file in entries(&shelf)? {
                let rest = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                digests.extend(format!("blake3:{first}{rest}").parse::<ContentDigest>());
            }
        }
        digests.sort_unstable();
        Ok(digests)
    }

    /// Removes a blob; whether it was there.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn remove(&self, digest: &ContentDigest) -> Result<bool, BlobError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed(&path, e)),
        }
    }

    /// Whether the blob is there and whole: a damaged one is written again.
    fn is_intact(&self, digest: &ContentDigest) -> Result<bool, BlobError> {
        match self.check(digest) {
            Ok(()) => Ok(true),
            Err(BlobError::Missing { .. } | BlobError::Corrupted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn incoming(&self) -> Result<Incoming, BlobError> {
        loop {
            let number = NEXT_TEMPORARY.fetch_add(1, Ordering::Relaxed);
            let path = self
                .folder
                .join(INCOMING)
                .join(format!("{}-{number}", std::process::id()));
            match File::create_new(&path) {
                Ok(file) => {
                    return Ok(Incoming {
                        path,
                        file,
                        admitted: false,
                    });
                }
                // Left by a crashed process, or in use by one in another container: both are left alone.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(&path, e)),
            }
        }
    }

    fn admit(&self, mut incoming: Incoming, digest: &ContentDigest) -> Result<(), BlobError> {
        incoming.file.sync_all().map_err(|e| failed(&incoming.path, e))?;
        let path = self.path(digest);
        let shelf = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(shelf).map_err(|e| failed(shelf, e))?;
        fs::rename(&incoming.path, &path).map_err(|e| failed(&path, e))?;
        incoming.admitted = true;
        sync_folder(shelf).map_err(|e| failed(shelf, e))?;
        sync_folder(&self.folder).map_err(|e| failed(&self.folder, e))
    }
}

/// Folder for files that are being written.
const INCOMING: &str = "incoming";

/// Bytes copied at a time: enough for BLAKE3 to use every core.
const COPY_BYTES: usize = 4 << 20;

/// A file being written, removed if it is not admitted.
struct Incoming {
    path: PathBuf,
    file: File,
    admitted: bool,
}

impl Incoming {
    fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.file.write_all(bytes).map_err(|e| failed(&self.path, e))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.admitted {
            // Nothing depends on it: a leftover costs disk space only.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, BlobError> {
    let read = fs::read_dir(folder).map_err(|e| failed(folder, e))?;
    read.map(|entry| entry.map(|e| e.path()).map_err(|e| failed(folder, e)))
        .collect()
}

fn failed(path: &Path, source: io::Error) -> BlobError {
    BlobError::Io {
        path: path.to_owned(),
        source,
    }
}

fn missing_or(digest: &ContentDigest, path: &Path, error: io::Error) -> BlobError {
    if error.kind() == io::ErrorKind::NotFound {
        BlobError::Missing { digest: *digest }
    } else {
        failed(path, error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn store() -> (tempfile::TempDir, BlobStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(folder.path().join("blobs")).unwrap();
        (folder, store)
    }

    #[test]
    fn bytes_and_files_come_back_under_the_same_digest() {
        let (folder, store) = store();
        let file = folder.path().join("file");
        fs::write(&file, "hello").unwrap();
        let digest = store.put(b"hello").unwrap();
        assert_eq!(store.put_file(&file).unwrap(), (digest, 5));
        assert_eq!(store.get(&digest, 5).unwrap(), b"hello");
        assert_eq!(
            (store.size(&digest).unwrap(), store.has(&digest).unwrap()),
            (5, true)
        );
        assert_eq!(store.list().unwrap(), [digest]);
        assert_eq!(
            fs::read_dir(folder.path().join("blobs/incoming"))
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn what_is_not_there_or_too_large_is_said_so() {
        let (_folder, store) = store();
        let digest = ContentDigest::of(b"hello");
        assert!(matches!(store.get(&digest, 9), Err(BlobError::Missing { .. })));
        assert!(matches!(store.check(&digest), Err(BlobError::Missing { .. })));
        assert!(matches!(store.size(&digest), Err(BlobError::Missing { .. })));
        assert!(!store.has(&digest).unwrap());
        assert!(!store.remove(&digest).unwrap());
        store.put(b"hello").unwrap();
        assert!(matches!(
            store.get(&digest, 4),
            Err(BlobError::TooLarge { got: 5, limit: 4, .. })
        ));
        assert!(store.remove(&digest).unwrap());
        assert_eq!(store.list().unwrap(), []);
    }

    #[test]
    fn a_changed_blob_is_found_named_and_mended() {
        let (_folder, store) = store();
        let digest = store.put(b"hello").unwrap();
        for damage in [&b"hellp"[..], b"hell", b"hello!", b""] {
            fs::write(store.path(&digest), damage).unwrap();
            let error = store.get(&digest, 100).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{digest} was changed on disk")),
                "{error}"
            );
            assert!(matches!(store.check(&digest), Err(BlobError::Corrupted { .. })));
            assert_eq!(store.put(b"hello").unwrap(), digest);
            assert_eq!(store.get(&digest, 100).unwrap(), b"hello");
        }
    }

    #[test]
    fn strange_files_in_the_folder_are_passed_over() {
        let (folder, store) = store();
        let digest = store.put(b"hello").unwrap();
        fs::write(folder.path().join("blobs/README"), "").unwrap();
        fs::write(folder.path().join("blobs/ab"), "").unwrap();
        fs::create_dir(folder.path().join("blobs/cd")).unwrap();
        fs::write(folder.path().join("blobs/cd/short"), "").unwrap();
        assert_eq!(store.list().unwrap(), [digest]);
    }

    #[test]
    fn threads_that_put_the_same_blobs_do_not_disturb_each_other() {
        let (_folder, store) = store();
        let blob = |i: u8| vec![i; 1000 + usize::from(i)];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for i in 0..20 {
                        let digest = store.put(&blob(i)).unwrap();
                        assert_eq!(store.get(&digest, 2000).unwrap(), blob(i));
                    }
                });
            }
        });
        assert_eq!(store.list().unwrap().len(), 20);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_blob_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let (_folder, store) = store();
            let digest = store.put(&bytes).unwrap();
            prop_assert_eq!(digest, ContentDigest::of(&bytes));
            prop_assert_eq!(store.get(&digest, bytes.len() as u64).unwrap(), bytes);
        }
    }
}
