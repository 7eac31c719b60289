//! Files that are there whole after a crash, or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the system's settings let.
    Anyone,
    /// The account that writes it, where the system can tell.
    Owner,
}

/// Writes a file whole, making its folder where needed: beside its place, synced, and then moved there, so that nobody ever reads
/// half of it and a crash leaves the old one or the new one. Not for several writers of one file at the same time.
///
/// # Errors
/// An I/O error; the old file is then as it was.
pub fn replace_file(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    // What a crash left behind may have other rights.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // Not every system can open a folder.
    if cfg!(unix) {
        sync_folder(folder.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Writes a file whole and syncs its bytes. Its name is safe once the folder is synced.
pub(crate) fn write_file(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

/// Writes a file whole and leaves its bytes to [`sync_file_system`].
pub(crate) fn write_unsynced(path: &Path, temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(temporary, bytes)?;
    fs::rename(temporary, path)
}

/// Whether [`sync_file_system`] can be used here.
pub(crate) const SYNCS_FILE_SYSTEM: bool = cfg!(target_os = "linux");

/// Makes everything that was written to a folder's file system safe, bytes and names: for many files one wait for the disk
/// in place of one for each.
#[cfg(target_os = "linux")]
pub(crate) fn sync_file_system(folder: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(folder)?)?)
}

/// As on Linux; never called.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_file_system(folder: &Path) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!("{}", folder.display()),
    ))
}

/// Makes the names in a folder safe.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/where needed");
        replace_file(&path, b"first", Readers::Anyone).unwrap();
        // As a crash leaves it.
        fs::write(folder.path().join("made/where needed.new"), b"hal").unwrap();
        replace_file(&path, b"second", Readers::Owner).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path().join("made")).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(replace_file(&path.join("below a file"), b"x", Readers::Anyone).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }
}
