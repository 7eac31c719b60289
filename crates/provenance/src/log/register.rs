//! The head of a log, kept where every copy of the log can compare and swap it.
//!
//! The lock on a log's folder keeps two processes from appending to one folder. It does not help where the folder was copied:
//! a backup put back while the old machine still runs would sign a second history. So a writer may be given a register
//! outside the folder, which moves from one head to the next only if nobody moved it before; a checkpoint is published
//! only after the register took it. The register is trusted: whoever can set it back can have two histories signed.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::PathBuf,
};

use counterweight_primitives::Sha256Digest;

use super::note::Checkpoint;
use crate::durable::{sync_folder, write_file};

/// What a register holds: the tree of the newest checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of entries.
    pub size: u64,
    /// Their root.
    pub root: Sha256Digest,
}

impl From<&Checkpoint> for Head {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            size: checkpoint.size,
            root: checkpoint.root,
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.size, self.root)
    }
}

/// One value that all writers of a log share.
pub trait HeadRegister: fmt::Debug + Send {
    /// What it holds; none before the first head.
    ///
    /// # Errors
    /// An I/O error.
    fn head(&self) -> io::Result<Option<Head>>;

    /// Puts `to` in if it holds `from`, and tells whether it did. When this returns true, no other writer can move it from
    /// `from`, whatever happens to this process.
    ///
    /// # Errors
    /// An I/O error; then it is not known whether it was moved.
    fn advance(&self, from: Option<&Head>, to: &Head) -> io::Result<bool>;
}

/// A register in a file, for writers that share a file system which locks files.
#[derive(Debug, Clone)]
pub struct FileRegister(
    /// The file; beside it are its lock and a temporary file.
    pub PathBuf,
);

impl FileRegister {
    fn beside(&self, what: &str) -> PathBuf {
        let mut path = self.0.as_os_str().to_owned();
        path.push(what);
        path.into()
    }
}

impl HeadRegister for FileRegister {
    fn head(&self) -> io::Result<Option<Head>> {
        let text = match fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let parse = || {
            let (size, root) = text.strip_suffix('\n')?.split_once(' ')?;
            Some(Head {
                size: size.parse().ok()?,
                root: root.parse().ok()?,
            })
        };
        // Damage must not read as "nothing there": that would let a second history begin.
        parse().map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn advance(&self, from: Option<&Head>, to: &Head) -> io::Result<bool> {
        let lock = File::create(self.beside(".lock"))?;
        lock.lock()?;
        if self.head()?.as_ref() != from {
            return Ok(false);
        }
        write_file(&self.0, &self.beside(".temporary"), format!("{to}\n").as_bytes())?;
        if let Some(folder) = self.0.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            sync_folder(folder)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Log, LogError, note::NoteSigner, tree::leaf_hash};

    fn signer() -> NoteSigner {
        NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap()
    }

    fn head(size: u64) -> Head {
        Head {
            size,
            root: leaf_hash(&size.to_be_bytes()),
        }
    }

    #[test]
    fn it_moves_only_from_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let register = FileRegister(folder.path().join("head"));
        assert_eq!(register.head().unwrap(), None);
        assert!(!register.advance(Some(&head(1)), &head(2)).unwrap());
        assert!(register.advance(None, &head(1)).unwrap());
        assert!(!register.advance(None, &head(2)).unwrap());
        assert!(register.advance(Some(&head(1)), &head(2)).unwrap());
        assert_eq!(register.head().unwrap(), Some(head(2)));
        fs::write(folder.path().join("head"), "2").unwrap();
        assert!(register.head().is_err());
        assert!(register.advance(None, &head(3)).is_err());
    }

    #[test]
    fn of_many_writers_one_wins_each_step() {
        let folder = tempfile::tempdir().unwrap();
        let register = FileRegister(folder.path().join("head"));
        let wins: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|_| {
                    let register = register.clone();
                    scope.spawn(move || {
                        let steps = (0..20).filter(|size| {
                            let from = size.gt(&0).then(|| head(*size));
                            register.advance(from.as_ref(), &head(size + 1)).unwrap()
                        });
                        steps.count()
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        let reached = register.head().unwrap().map_or(0, |head| head.size);
        assert_eq!(wins as u64, reached);
    }

    /// A folder that was copied, and two machines that append to the copies.
    #[test]
    fn of_two_copies_of_a_log_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let register = || Box::new(FileRegister(folder.path().join("head")));
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        let open = |path| Log::open_registered(path, signer(), register());
        let mut first = open(&one).unwrap();
        first.append(&["a", "b"]).unwrap();
        copy(&one, &other);
        let mut second = open(&other).unwrap();
        first.append(&["c"]).unwrap();
        let error = second.append(&["d"]).unwrap_err();
        assert!(
            matches!(error, LogError::HeadMoved { expected: 2, got: 3 }),
            "{error}"
        );
        assert_eq!(second.reader().checkpoint().unwrap().checkpoint().size, 2);
        drop(second);
        // What the loser had signed is gone, and it cannot go on from what it has.
        let error = open(&other).unwrap_err();
        assert!(
            matches!(error, LogError::HeadMoved { expected: 2, got: 3 }),
            "{error}"
        );
        first.append(&["e"]).unwrap();
        first.reader().audit().unwrap();
    }

    #[test]
    fn an_append_that_was_interrupted_is_ended_as_the_register_says() {
        let folder = tempfile::tempdir().unwrap();
        let register = || Box::new(FileRegister(folder.path().join("head")));
        let path = folder.path().join("log");
        let open = || Log::open_registered(&path, signer(), register());
        open().unwrap().append(&["a"]).unwrap();
        let old = fs::read(path.join("checkpoint")).unwrap();
        let before = fs::read(folder.path().join("head")).unwrap();
        open().unwrap().append(&["b"]).unwrap();
        let back = || {
            fs::rename(path.join("checkpoint"), path.join("checkpoint.next")).unwrap();
            fs::write(path.join("checkpoint"), &old).unwrap();
        };
        // Interrupted after the register was moved.
        back();
        assert_eq!(open().unwrap().checkpoint().checkpoint().size, 2);
        // Interrupted before.
        back();
        fs::write(folder.path().join("head"), before).unwrap();
        assert_eq!(open().unwrap().checkpoint().checkpoint().size, 2);
        assert_eq!(register().head().unwrap().unwrap().size, 2);
        // Another writer was faster: what was signed here is thrown away, unseen.
        back();
        fs::write(folder.path().join("head"), format!("{}\n", head(7))).unwrap();
        assert!(matches!(open(), Err(LogError::HeadMoved { expected: 1, got: 7 })));
        assert!(!path.join("checkpoint.next").exists());
    }

    #[test]
    fn a_log_that_went_on_without_its_register_is_taken_back_if_it_extends_it() {
        let folder = tempfile::tempdir().unwrap();
        let register = || Box::new(FileRegister(folder.path().join("head")));
        let path = folder.path().join("log");
        Log::open_registered(&path, signer(), register())
            .unwrap()
            .append(&["a"])
            .unwrap();
        Log::open(&path, signer()).unwrap().append(&["b"]).unwrap();
        Log::open_registered(&path, signer(), register()).unwrap();
        assert_eq!(register().head().unwrap().unwrap().size, 2);
        fs::write(folder.path().join("head"), format!("{}\n", head(1))).unwrap();
        assert!(Log::open_registered(&path, signer(), register()).is_err());
    }

    fn copy(from: &std::path::Path, to: &std::path::Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}
