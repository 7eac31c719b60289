//! Files that are there whole after a crash, or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

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
