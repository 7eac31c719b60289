//! Digests of files and folders.
//!
//! A file's content digest is the BLAKE3 of its bytes. A folder's is the BLAKE3 of its [`Listing`], a text with one line
//! for each file. Page: `docs/spec/content-digest.md`.
//!
//! Files are memory-mapped and hashed on all cores. A file that shrinks while it is mapped ends the process with
//! SIGBUS, as with every reader that maps files; a file that changes otherwise gives a digest of some mixture.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use counterweight_primitives::{ContentDigest, Sha256Digest};
use rayon::prelude::*;
use sha2::Digest as _;

/// First line of a listing.
const LISTING_DOMAIN: &str = "counterweight/folder/v1";

/// Most files in a folder.
const MOST_FILES: usize = 1_000_000;

/// Deepest folder below the one listed.
const DEEPEST: usize = 64;

/// Longest name in bytes, folders included.
const LONGEST_NAME: usize = 1024;

/// Bytes read at a time where memory is not mapped.
const READ_BYTES: usize = 4 << 20;

/// Why a file or folder has no digest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Could not be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A symbolic link: what it leads to may be outside the folder, or change with the place.
    #[error("{} is a symbolic link: replace it with what it leads to", path.display())]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// A device, socket or pipe.
    #[error("{} is neither a file nor a folder", path.display())]
    NotAFile {
        /// What it is called.
        path: PathBuf,
    },
    /// A name that other systems cannot hold, or that could pass for another line of the listing.
    #[error("the name {name:?} cannot be listed: {reason}")]
    Name {
        /// The name, bytes that are not UTF-8 replaced.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Too many files, or folders in folders.
    #[error("{} has more than {limit} {what}", path.display())]
    TooLarge {
        /// The folder.
        path: PathBuf,
        /// What there is too much of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A listing that does not follow the format.
    #[error("line {line} of the listing: {reason}")]
    Listing {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Which digests to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hashes {
    /// BLAKE3, as fast as the disk on most machines.
    #[default]
    Content,
    /// SHA-256 as well, in the same pass, for formats that ask for it. One core for each file.
    ContentAndSha256,
}

/// Digest and size of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest {
    /// BLAKE3 of its bytes.
    pub digest: ContentDigest,
    /// SHA-256 of its bytes, where asked for.
    pub sha256: Option<Sha256Digest>,
    /// Number of bytes.
    pub size: u64,
}

/// The digest of a file, following a symbolic link given as `path` itself.
///
/// # Errors
/// [`ContentError::Io`].
pub fn digest_file(path: &Path, hashes: Hashes) -> Result<FileDigest, ContentError> {
    let failed = |source| ContentError::Io {
        path: path.to_owned(),
        source,
    };
    let mut blake3 = blake3::Hasher::new();
    if hashes == Hashes::Content {
        blake3.update_mmap_rayon(path).map_err(failed)?;
        let digest = ContentDigest(*blake3.finalize().as_bytes());
        return Ok(FileDigest {
            digest,
            sha256: None,
            size: blake3.count(),
        });
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut sha256 = sha2::Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        let Some(bytes) = buffer.get(..read).filter(|b| !b.is_empty()) else {
            break;
        };
        rayon::join(|| blake3.update_rayon(bytes), || sha256.update(bytes));
    }
    Ok(FileDigest {
        digest: ContentDigest(*blake3.finalize().as_bytes()),
        sha256: Some(Sha256Digest(sha256.finalize().into())),
        size: blake3.count(),
    })
}

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One file.
    File(FileDigest),
    /// A folder and what is in it.
    Folder(Listing),
}

impl Content {
    /// Reads a file or folder.
    ///
    /// # Errors
    /// Every variant of [`ContentError`] except [`ContentError::Listing`].
    pub fn read(path: &Path, hashes: Hashes) -> Result<Self, ContentError> {
        let kind = fs::metadata(path).map_err(|source| ContentError::Io {
            path: path.to_owned(),
            source,
        })?;
        if kind.is_dir() {
            Listing::read(path, hashes).map(Self::Folder)
        } else if kind.is_file() {
            digest_file(path, hashes).map(Self::File)
        } else {
            Err(ContentError::NotAFile {
                path: path.to_owned(),
            })
        }
    }

    /// The content digest.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        match self {
            Self::File(file) => file.digest,
            Self::Folder(listing) => listing.digest(),
        }
    }

    /// Bytes in all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size,
            Self::Folder(listing) => listing.size(),
        }
    }
}

/// The files of a folder with their digests: names are relative, with forward slashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    files: BTreeMap<String, FileDigest>,
}

/// How a folder differs from its listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Listed and not there.
    Missing {
        /// Its name.
        name: String,
    },
    /// There and not listed.
    Unlisted {
        /// Its name.
        name: String,
    },
    /// Other bytes than listed.
    Changed {
        /// Its name.
        name: String,
        /// What was listed.
        listed: ContentDigest,
        /// What is there.
        found: ContentDigest,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(f, "{name} is missing"),
            Self::Unlisted { name } => write!(f, "{name} is not listed"),
            Self::Changed { name, listed, found } => {
                write!(f, "{name} has digest {found}, {listed} is listed")
            }
        }
    }
}

impl Listing {
    /// Lists a folder. Files whose names start with a point are listed; empty folders leave no trace.
    ///
    /// # Errors
    /// Every variant of [`ContentError`] except [`ContentError::Listing`].
    pub fn read(folder: &Path, hashes: Hashes) -> Result<Self, ContentError> {
        let mut found = BTreeMap::new();
        let mut open = vec![(folder.to_owned(), String::new(), 0)];
        while let Some((path, prefix, depth)) = open.pop() {
            let failed = |source| ContentError::Io {
                path: path.clone(),
                source,
            };
            for entry in fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                let name = format!("{prefix}{}", component(&entry.file_name())?);
                check_name(&name)?;
                if kind.is_dir() {
                    if depth == DEEPEST {
                        let (path, what, limit) = (folder.to_owned(), "folders in folders", DEEPEST);
                        return Err(ContentError::TooLarge { path, what, limit });
                    }
                    open.push((entry.path(), format!("{name}/"), depth + 1));
                } else if kind.is_file() {
                    found.insert(name, entry.path());
                } else if kind.is_symlink() {
                    return Err(ContentError::SymbolicLink { path: entry.path() });
                } else {
                    return Err(ContentError::NotAFile { path: entry.path() });
                }
                if found.len() > MOST_FILES {
                    let (path, what, limit) = (folder.to_owned(), "files", MOST_FILES);
                    return Err(ContentError::TooLarge { path, what, limit });
                }
            }
        }
        let files: Result<Vec<_>, _> = found
            .into_par_iter()
            .map(|(name, path)| digest_file(&path, hashes).map(|digest| (name, digest)))
            .collect();
        Ok(Self {
            files: files?.into_iter().collect(),
        })
    }

    /// Its files in the order of their names' bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, &FileDigest)> {
        self.files.iter().map(|(name, file)| (name.as_str(), file))
    }

    /// Bytes in all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files
            .values()
            .fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// The folder's content digest.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(self.to_text().as_bytes())
    }

    /// The listing as it is hashed and stored: the domain, then digest, size and name of each file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{LISTING_DOMAIN}\n");
        for (name, file) in &self.files {
            text.push_str(&format!("{} {} {name}\n", file.digest.to_hex(), file.size));
        }
        text
    }

    /// Reads a listing back. SHA-256 digests are not part of it.
    ///
    /// # Errors
    /// [`ContentError::Listing`] or [`ContentError::Name`].
    pub fn from_text(text: &str) -> Result<Self, ContentError> {
        let mut lines = text.split_inclusive('\n').enumerate();
        let at = |line: usize, reason| ContentError::Listing {
            line: line + 1,
            reason,
        };
        if lines
            .next()
            .is_none_or(|(_, line)| line.strip_suffix('\n') != Some(LISTING_DOMAIN))
        {
            return Err(at(0, "must be counterweight/folder/v1"));
        }
        let mut files: BTreeMap<String, FileDigest> = BTreeMap::new();
        for (number, line) in lines {
            let line = line.strip_suffix('\n').ok_or(at(number, "does not end"))?;
            let mut parts = line.splitn(3, ' ');
            let (digest, size, name) = (parts.next(), parts.next(), parts.next());
            let (Some(digest), Some(size), Some(name)) = (digest, size, name) else {
                return Err(at(number, "must have a digest, a size and a name"));
            };
            let parsed: ContentDigest = format!("blake3:{digest}")
                .parse()
                .map_err(|_| at(number, "has no digest of 64 digits"))?;
            let bytes: u64 = size.parse().map_err(|_| at(number, "has no size"))?;
            if parsed.to_hex() != digest || bytes.to_string() != size {
                return Err(at(
                    number,
                    "writes its digest or size in another way than it is hashed",
                ));
            }
            check_name(name)?;
            if files
                .last_key_value()
                .is_some_and(|(last, _)| last.as_str() >= name)
            {
                return Err(at(number, "is not in the order of the names"));
            }
            if number > MOST_FILES {
                return Err(at(number, "is beyond the most files"));
            }
            files.insert(
                name.to_owned(),
                FileDigest {
                    digest: parsed,
                    sha256: None,
                    size: bytes,
                },
            );
        }
        Ok(Self { files })
    }

    /// How a folder differs from this listing, in the order of names; empty if it does not.
    ///
    /// # Errors
    /// As [`Listing::read`].
    pub fn differences(&self, folder: &Path) -> Result<Vec<Difference>, ContentError> {
        let found = Self::read(folder, Hashes::Content)?;
        let mut names: Vec<&String> = self.files.keys().chain(found.files.keys()).collect();
        names.sort_unstable();
        names.dedup();
        let compare = |name: &String| match (self.files.get(name), found.files.get(name)) {
            (Some(listed), Some(found)) if listed.digest == found.digest => None,
            (Some(listed), Some(found)) => Some(Difference::Changed {
                name: name.clone(),
                listed: listed.digest,
                found: found.digest,
            }),
            (Some(_), None) => Some(Difference::Missing { name: name.clone() }),
            (None, _) => Some(Difference::Unlisted { name: name.clone() }),
        };
        Ok(names.into_iter().filter_map(compare).collect())
    }
}

/// A file name as text.
fn component(name: &std::ffi::OsStr) -> Result<&str, ContentError> {
    name.to_str().ok_or_else(|| ContentError::Name {
        name: name.to_string_lossy().into_owned(),
        reason: "it is not UTF-8",
    })
}

/// Refuses names that could escape a folder when they're unpacked, or pass for something else.
fn check_name(name: &str) -> Result<(), ContentError> {
    let refuse = |reason| {
        Err(ContentError::Name {
            name: name.to_owned(),
            reason,
        })
    };
    if name.len() > LONGEST_NAME {
        return refuse("it is longer than 1024 bytes");
    }
    if name.chars().any(char::is_control) {
        return refuse("it holds a control character");
    }
    if name.contains('\\') {
        return refuse("it holds a backslash, which separates folders elsewhere");
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("it is not relative to the folder");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn sample() -> tempfile::TempDir {
        // In the order of bytes `-` and `.` come before `/`: sorting by components would give another order.
        folder(&[
            ("a/x", "1"),
            ("a.b/y", "2"),
            ("a-z", "3"),
            (".hidden", ""),
            ("é", "4"),
        ])
    }

    #[test]
    fn a_listing_is_the_text_of_its_page() {
        let folder = sample();
        let listing = Listing::read(folder.path(), Hashes::Content).unwrap();
        let names: Vec<_> = listing.files().map(|(name, _)| name).collect();
        assert_eq!(names, [".hidden", "a-z", "a.b/y", "a/x", "é"]);
        let page = include_str!("../../../docs/spec/content-digest.md");
        assert!(page.contains(&listing.to_text()), "{}", listing.to_text());
        assert!(
            page.contains(&listing.digest().to_string()),
            "{}",
            listing.digest()
        );
    }

    #[test]
    fn a_listing_reads_back() {
        let listing = Listing::read(sample().path(), Hashes::Content).unwrap();
        assert_eq!(Listing::from_text(&listing.to_text()).unwrap(), listing);
        assert_eq!(
            Listing::from_text("counterweight/folder/v1\n").unwrap(),
            Listing::default()
        );
    }

    #[test]
    fn both_ways_to_hash_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        let bytes: Vec<u8> = (0..READ_BYTES * 2 + 17).map(|i| (i * 31 % 251) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let mapped = digest_file(&path, Hashes::Content).unwrap();
        let both = digest_file(&path, Hashes::ContentAndSha256).unwrap();
        assert_eq!(
            (mapped.digest, mapped.size),
            (ContentDigest::of(&bytes), bytes.len() as u64)
        );
        assert_eq!((both.digest, both.size), (mapped.digest, mapped.size));
        assert_eq!(both.sha256, Some(Sha256Digest::of(&bytes)));
    }

    #[test]
    fn differences_name_the_file() {
        let folder = sample();
        let listing = Listing::read(folder.path(), Hashes::Content).unwrap();
        assert_eq!(listing.differences(folder.path()).unwrap(), []);
        fs::write(folder.path().join("a/x"), "one").unwrap();
        fs::remove_file(folder.path().join("a-z")).unwrap();
        fs::write(folder.path().join("b"), "").unwrap();
        let differences: Vec<String> = listing
            .differences(folder.path())
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(differences.len(), 3);
        assert_eq!(differences[0], "a-z is missing");
        assert!(differences[1].starts_with("a/x has digest blake3:"));
        assert_eq!(differences[2], "b is not listed");
    }

    #[cfg(unix)]
    #[test]
    fn links_pipes_and_hostile_names_are_refused() {
        use std::os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener};

        let folder = sample();
        symlink("/etc/passwd", folder.path().join("a/link")).unwrap();
        let error = Listing::read(folder.path(), Hashes::Content).unwrap_err();
        assert!(matches!(error, ContentError::SymbolicLink { path } if path.ends_with("a/link")));

        let folder = sample();
        let _socket = UnixListener::bind(folder.path().join("s")).unwrap();
        let error = Listing::read(folder.path(), Hashes::Content).unwrap_err();
        assert!(matches!(error, ContentError::NotAFile { .. }));

        for name in [&b"new\nline"[..], b"back\\slash", b"\xff\xfe", b"bell\x07"] {
            let folder = sample();
            fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
            let error = Listing::read(folder.path(), Hashes::Content).unwrap_err();
            assert!(matches!(error, ContentError::Name { .. }), "{error}");
        }
    }

    #[test]
    fn listings_in_another_form_are_refused() {
        let line = |name: &str| format!("{} 1 {name}\n", "ab".repeat(32));
        let head = "counterweight/folder/v1\n";
        for text in [
            String::new(),
            "counterweight/folder/v2\n".to_owned(),
            format!("{head}{}", line("b").trim_end()),
            format!("{head}{}{}", line("b"), line("a")),
            format!("{head}{}{}", line("b"), line("b")),
            format!("{head}{}", line("../b")),
            format!("{head}{}", line("/b")),
            format!("{head}{}", line("a//b")),
            format!("{head}{}", line("")),
            format!("{head}{}", line("b").to_uppercase()),
            format!("{head}{}", line("b").replace(" 1 ", " 01 ")),
            format!("{head}{}", line("b").replace(" 1 ", " +1 ")),
            format!("{head}\n"),
        ] {
            assert!(Listing::from_text(&text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_reads_is_written_the_same(text in "counterweight/folder/v1\n([0-9a-f]{64} [0-9]{1,3} [a-c/.]{1,3}\n){0,3}") {
            if let Ok(listing) = Listing::from_text(&text) {
                prop_assert_eq!(listing.to_text(), text);
            }
        }
    }
}
