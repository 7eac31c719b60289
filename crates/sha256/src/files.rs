//! Digests of files, hashed side by side as messages are.
//!
//! Files are mapped into memory: reading them into buffers copied every byte, a quarter of the time that sixteen lanes
//! take. A file that shrinks while it is mapped ends the process with SIGBUS, as with every reader that maps files; a file
//! that changes otherwise gives a digest of some mixture.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use memmap2::{Advice, Mmap};

use crate::digest_all;

/// Files mapped at the same time: systems allow some 65,000 mappings of a process.
const MAPPED_AT_ONCE: usize = 1024;

/// A file that could not be read.
#[derive(Debug)]
pub struct FileError {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cannot be read", self.path.display())
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// SHA-256 digests of files in their order, on this thread alone. Files of about one size fill the lanes best.
///
/// # Errors
/// [`FileError`] for the first file that cannot be opened or mapped.
pub fn digest_files<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<[u8; 32]>, FileError> {
    let mut digests = vec![[0; 32]; paths.len()];
    let mut order = Vec::with_capacity(paths.len());
    for (index, path) in paths.iter().enumerate() {
        let failed = failed(path.as_ref());
        order.push((path.as_ref().metadata().map_err(failed)?.len(), index));
    }
    // The longest first: short ones then fill the lanes beside them, instead of one long one running alone at the end.
    order.sort_unstable_by(|a, b| b.cmp(a));
    for batch in order.chunks(MAPPED_AT_ONCE) {
        let mut mapped = Vec::with_capacity(batch.len());
        for (_, index) in batch {
            let path = paths[*index].as_ref();
            mapped.push(map(path).map_err(failed(path))?);
        }
        for (digest, (_, index)) in digest_all(&[], &mapped).into_iter().zip(batch) {
            digests[*index] = digest;
        }
    }
    Ok(digests)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> FileError + '_ {
    |source| FileError {
        path: path.to_owned(),
        source,
    }
}

fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the map is only read, and only to be hashed. Another program that writes to the file meanwhile makes the
    // digest one of neither content, which is what it deserves; the module says so.
    let map = unsafe { Mmap::map(&file)? };
    if !map.is_empty() {
        // Advice only: a system that does not take it reads as it likes.
        let _ = map.advise(Advice::Sequential);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn files_have_the_digests_of_their_bytes_in_the_order_given() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [
            0, 1, 63, 64, 65, 100_000, 4096, 7, 250_000, 0, 12_345, 70_000, 1, 2, 3, 4, 5, 65_536, 99,
        ];
        let mut paths = Vec::new();
        let mut expected: Vec<[u8; 32]> = Vec::new();
        for (index, size) in sizes.into_iter().enumerate() {
            let bytes: Vec<u8> = (0..size)
                .map(|at: usize| (at * (index + 3)).to_le_bytes()[0])
                .collect();
            let path = folder.path().join(index.to_string());
            std::fs::write(&path, &bytes).unwrap();
            paths.push(path);
            expected.push(Sha256::digest(&bytes).into());
        }
        assert_eq!(digest_files(&paths).unwrap(), expected);
        assert!(digest_files::<PathBuf>(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = digest_files(&["/nowhere/at/all"]).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere/at/all cannot be read");
    }
}
