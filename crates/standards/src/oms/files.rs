//! Which files a signature covers, and their digests.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use counterweight_sha256::digest_files;
use rayon::prelude::*;

use super::{IGNORED_BY_DEFAULT, OmsError, SignedFiles};

/// How files are hashed: `hash_type` of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileHash {
    /// What every tool of the format checks.
    #[default]
    Sha256,
    /// A third less work for a model in sixteen files (`benches/signing`). Of `model-signing` the library checks it
    /// and the command does not.
    Blake3,
}

impl FileHash {
    /// Its name in a signature.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }

    /// The hash of that name, if it is read here.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Blake3]
            .into_iter()
            .find(|hash| hash.name() == name)
    }
}

/// Most files in a model.
const MOST_FILES: usize = 1_000_000;

/// Deepest folder below the model's.
const DEEPEST: usize = 64;

/// Longest name in bytes, folders included.
const LONGEST_NAME: usize = 4096;

/// Files hashed side by side on one core: as many as the widest vector has lanes.
const SIDE_BY_SIDE: usize = 16;

/// Which files of a folder are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Names to leave out, with all below them, relative to the folder.
    pub ignored: BTreeSet<String>,
    /// Whether links to files are followed. Links to folders never are.
    pub follow_links: bool,
    /// Nothing but these names, where given.
    pub only: Option<BTreeSet<String>>,
    /// How they are hashed.
    pub hash: FileHash,
}

impl Selection {
    /// What a signature covers in `folder`: without what the tool leaves out and without the signature file itself,
    /// where it lies in the folder.
    #[must_use]
    pub fn for_signature(folder: &Path, signature: &Path) -> Self {
        let mut ignored: BTreeSet<String> = IGNORED_BY_DEFAULT.map(str::to_owned).into();
        ignored.extend(inside(folder, signature));
        Self {
            ignored,
            ..Self::default()
        }
    }

    /// The same for checking: without what the signer left out too, with links followed where the signer did, and hashed as
    /// the signer did.
    #[must_use]
    pub fn as_signed(mut self, signed: &SignedFiles) -> Self {
        self.ignored.extend(signed.ignored.iter().cloned());
        self.follow_links = signed.follow_links;
        self.hash = signed.hash;
        self
    }

    fn leaves_out(&self, name: &str) -> bool {
        self.ignored.contains(name) || self.ignored.contains(".")
    }
}

/// The name of a file relative to a folder that it lies in, even where one of the two is written through links or dots.
fn inside(folder: &Path, file: &Path) -> Option<String> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
    let folder = folder.canonicalize().ok()?;
    let place = parent.join(file.file_name()?);
    let parts = place.strip_prefix(folder).ok()?.components();
    let names: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
    names
        .filter(|names| !names.is_empty())
        .map(|names| names.join("/"))
}

/// The files of a model with their digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// The folder's own name.
    pub name: String,
    /// Each file by its name below the folder, with `/` between its parts; `.` where the model is one file.
    pub files: BTreeMap<String, [u8; 32]>,
    /// How they were hashed.
    pub hash: FileHash,
    /// What was left out.
    pub ignored: BTreeSet<String>,
    /// Whether links were followed.
    pub follow_links: bool,
}

impl ModelFiles {
    /// Reads and hashes a folder, or a single file.
    ///
    /// # Errors
    /// [`OmsError::Io`], [`OmsError::Name`], [`OmsError::SymbolicLink`], [`OmsError::NotAFile`], [`OmsError::TooLarge`].
    pub fn read(model: &Path, selection: &Selection) -> Result<Self, OmsError> {
        let found = list(model, selection)?;
        let (names, paths): (Vec<String>, Vec<PathBuf>) = found.into_iter().unzip();
        Ok(Self {
            name: own_name(model)?,
            files: names.into_iter().zip(hash(&paths, selection.hash)?).collect(),
            hash: selection.hash,
            ignored: selection.ignored.clone(),
            follow_links: selection.follow_links,
        })
    }
}

fn hash(paths: &[PathBuf], hash: FileHash) -> Result<Vec<[u8; 32]>, OmsError> {
    match hash {
        // On as many cores as the lanes of one do not take: sixteen shards are one core's work.
        FileHash::Sha256 => {
            let cores = rayon::current_num_threads().max(1);
            let together = paths.len().div_ceil(cores).max(SIDE_BY_SIDE);
            let parts: Result<Vec<_>, _> = paths.par_chunks(together).map(digest_files).collect();
            Ok(parts?.into_iter().flatten().collect())
        }
        // One file fills all lanes of all cores.
        FileHash::Blake3 => paths
            .iter()
            .map(|path| {
                let mut hasher = blake3::Hasher::new();
                let hashed = hasher.update_mmap_rayon(path);
                hashed.map_err(|source| failed(path, source))?;
                Ok(hasher.finalize().into())
            })
            .collect(),
    }
}

fn own_name(model: &Path) -> Result<String, OmsError> {
    let whole = match model.components().next_back() {
        Some(Component::Normal(_)) => model.to_owned(),
        _ => model.canonicalize().map_err(|source| failed(model, source))?,
    };
    let name = whole.file_name().unwrap_or_default();
    name.to_str().map(str::to_owned).ok_or_else(|| OmsError::Name {
        name: name.to_string_lossy().into_owned(),
        reason: "it is not UTF-8",
    })
}

fn failed(path: &Path, source: std::io::Error) -> OmsError {
    let path = path.to_owned();
    OmsError::Io { path, source }
}

fn list(model: &Path, selection: &Selection) -> Result<BTreeMap<String, PathBuf>, OmsError> {
    if let Some(only) = &selection.only {
        return named(model, only, selection);
    }
    let itself = fs::metadata(model).map_err(|source| failed(model, source))?;
    if itself.is_file() {
        return Ok(BTreeMap::from([(".".to_owned(), model.to_owned())]));
    }
    let too_large = |what, limit| OmsError::TooLarge {
        path: model.to_owned(),
        what,
        limit,
    };
    let mut found = BTreeMap::new();
    let mut open = vec![(model.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        for entry in fs::read_dir(&folder).map_err(|source| failed(&folder, source))? {
            let entry = entry.map_err(|source| failed(&folder, source))?;
            let own = entry.file_name();
            let own = own.to_str().ok_or_else(|| OmsError::Name {
                name: own.to_string_lossy().into_owned(),
                reason: "it is not UTF-8",
            })?;
            let name = format!("{prefix}{own}");
            if selection.leaves_out(&name) {
                continue;
            }
            check_name(&name)?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|source| failed(&path, source))?;
            if kind.is_dir() {
                if depth == DEEPEST {
                    return Err(too_large("folders in folders", DEEPEST));
                }
                open.push((path, format!("{name}/"), depth + 1));
            } else if is_file(&path, kind, selection.follow_links)? {
                found.insert(name, path);
            }
            if found.len() > MOST_FILES {
                return Err(too_large("files", MOST_FILES));
            }
        }
    }
    Ok(found)
}

/// The files that are there of those that were signed.
fn named(
    model: &Path,
    names: &BTreeSet<String>,
    selection: &Selection,
) -> Result<BTreeMap<String, PathBuf>, OmsError> {
    let mut found = BTreeMap::new();
    for name in names {
        let path = if name == "." {
            model.to_owned()
        } else {
            check_name(name)?;
            model.join(name)
        };
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => {
                if is_file(&path, metadata.file_type(), selection.follow_links)? {
                    found.insert(name.clone(), path);
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) => {}
            Err(source) => return Err(failed(&path, source)),
        }
    }
    Ok(found)
}

/// Whether it is a file to hash; a link to a folder, where links are followed, is passed over.
fn is_file(path: &Path, kind: fs::FileType, follow: bool) -> Result<bool, OmsError> {
    let path = path.to_owned();
    if kind.is_file() {
        return Ok(true);
    }
    if !kind.is_symlink() {
        return Err(OmsError::NotAFile { path });
    }
    if !follow {
        return Err(OmsError::SymbolicLink { path });
    }
    let target = fs::metadata(&path).map_err(|source| failed(&path, source))?;
    if target.is_file() || target.is_dir() {
        Ok(target.is_file())
    } else {
        Err(OmsError::NotAFile { path })
    }
}

/// A name is a relative path of ordinary parts: nothing that leads out of the folder or means another file elsewhere.
pub(super) fn check_name(name: &str) -> Result<(), OmsError> {
    let reason = if name.is_empty() || name.len() > LONGEST_NAME {
        "it must have 1 to 4096 bytes"
    } else if name.contains('\0') {
        "it holds a zero byte"
    } else if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "its parts must not be empty, . or .."
    } else {
        return Ok(());
    };
    Err(OmsError::Name {
        name: name.chars().take(200).collect(),
        reason,
    })
}
