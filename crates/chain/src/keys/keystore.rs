//! A folder of encrypted keys.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use counterweight_primitives::Address;

use super::secret_storage::{DecryptError, SecretFile};
use super::{KeyError, LocalKey, PasswordCost};

/// Largest file that is taken for a key.
const LARGEST_FILE: u64 = 64 << 10;

/// A folder of encrypted key files, one for each name: `NAME.json`.
#[derive(Debug, Clone)]
pub struct Keystore {
    directory: PathBuf,
}

/// A key in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name.
    pub name: String,
    /// The account it signs for, as the file says; only [`Keystore::unlock`] proves it.
    pub account: Address,
}

impl Keystore {
    /// The keys in a folder, which need not exist yet.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Keeps a key under a name, encrypted. Give [`LocalKey::generate`] for a new one. The file is readable by its
    /// owner only, and is there wholly or not at all.
    ///
    /// # Errors
    /// [`KeyError::BadName`], [`KeyError::Exists`], [`KeyError::File`].
    pub fn store(
        &self,
        name: &str,
        key: &LocalKey,
        password: &str,
        cost: PasswordCost,
    ) -> Result<KeyEntry, KeyError> {
        let path = self.path(name)?;
        let exists = || KeyError::Exists {
            name: name.to_owned(),
        };
        if path.exists() {
            return Err(exists());
        }
        let text = SecretFile::encrypt(key, password, cost).to_json();
        let temporary = self.directory.join(format!(".{name}.new"));
        let written = (|| {
            create_private_directory(&self.directory)?;
            // Left behind by a crash: its name cannot be a key's.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = create_private_file(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // Unlike a rename, a link never replaces a key that somebody stored meanwhile.
            fs::hard_link(&temporary, &path)?;
            fs::remove_file(&temporary)
        })();
        match written {
            Ok(()) => Ok(KeyEntry {
                name: name.to_owned(),
                account: key.account(),
            }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(exists()),
            Err(error) => Err(file_error(&path, error)),
        }
    }

    /// Every key, in order of name. Files that are not called `NAME.json` are passed over.
    ///
    /// # Errors
    /// [`KeyError::File`], [`KeyError::Malformed`].
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeyError> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| file_error(&self.directory, e))?,
        };
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| file_error(&self.directory, e))?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let (Some(name), Some("json")) = (stem, path.extension().and_then(|e| e.to_str())) else {
                continue;
            };
            if !is_name(name) {
                continue;
            }
            let account = read(&path)?.account().ok_or_else(|| KeyError::Malformed {
                path: path.display().to_string(),
                reason: "it names no address; import it to give it one".to_owned(),
            })?;
            keys.push(KeyEntry {
                name: name.to_owned(),
                account,
            });
        }
        keys.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(keys)
    }

    /// Opens the key with a name.
    ///
    /// # Errors
    /// [`KeyError::NotFound`], [`KeyError::BadName`], [`KeyError::WrongPassword`], [`KeyError::Malformed`],
    /// [`KeyError::File`].
    pub fn unlock(&self, name: &str, password: &str) -> Result<LocalKey, KeyError> {
        let path = self.path(name)?;
        if !path.exists() {
            return Err(KeyError::NotFound {
                name: name.to_owned(),
            });
        }
        open(&path, name, password)
    }

    /// Opens a key file of another tool, wherever it is. Give it to [`Keystore::store`] to keep it here.
    ///
    /// # Errors
    /// As [`Keystore::unlock`].
    pub fn open_file(path: &Path, password: &str) -> Result<LocalKey, KeyError> {
        open(path, &path.display().to_string(), password)
    }

    fn path(&self, name: &str) -> Result<PathBuf, KeyError> {
        if is_name(name) {
            Ok(self.directory.join(format!("{name}.json")))
        } else {
            Err(KeyError::BadName {
                name: name.to_owned(),
            })
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(is_letter)
}

fn open(path: &Path, name: &str, password: &str) -> Result<LocalKey, KeyError> {
    read(path)?.decrypt(password).map_err(|error| match error {
        DecryptError::WrongPassword => KeyError::WrongPassword {
            name: name.to_owned(),
        },
        DecryptError::Malformed(reason) => malformed(path, reason),
    })
}

fn read(path: &Path) -> Result<SecretFile, KeyError> {
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|e| file_error(path, e))?;
    file.take(LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(|e| file_error(path, e))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(malformed(path, format!("it is longer than {LARGEST_FILE} bytes")));
    }
    SecretFile::from_json(&text).map_err(|reason| malformed(path, reason))
}

fn malformed(path: &Path, reason: String) -> KeyError {
    KeyError::Malformed {
        path: path.display().to_string(),
        reason,
    }
}

fn file_error(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File {
        path: path.display().to_string(),
        source,
    }
}

fn create_private_file(path: &Path) -> std::io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create_private_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> (tempfile::TempDir, Keystore, LocalKey) {
        let directory = tempfile::tempdir().unwrap();
        let keystore = Keystore::new(&directory.path().join("keys"));
        let key = LocalKey::generate();
        keystore
            .store("north", &key, "correct horse", PasswordCost::Light)
            .unwrap();
        (directory, keystore, key)
    }

    #[test]
    fn what_is_stored_is_listed_and_opened() {
        let (_directory, keystore, key) = stored();
        let south = LocalKey::generate();
        keystore
            .store("a-south", &south, "", PasswordCost::Light)
            .unwrap();
        let names: Vec<_> = keystore
            .list()
            .unwrap()
            .into_iter()
            .map(|k| (k.name, k.account))
            .collect();
        assert_eq!(
            names,
            [
                ("a-south".to_owned(), south.account()),
                ("north".to_owned(), key.account())
            ]
        );
        assert_eq!(
            keystore.unlock("north", "correct horse").unwrap().account(),
            key.account()
        );
    }

    #[test]
    fn a_wrong_password_opens_nothing() {
        let (_directory, keystore, _) = stored();
        let error = keystore.unlock("north", "correct house").unwrap_err();
        assert!(matches!(&error, KeyError::WrongPassword { name } if name == "north"));
        assert!(!error.to_string().contains("correct"));
    }

    #[test]
    fn a_key_is_never_replaced() {
        let (_directory, keystore, key) = stored();
        let other = keystore.store("north", &LocalKey::generate(), "x", PasswordCost::Light);
        assert!(matches!(other, Err(KeyError::Exists { .. })));
        assert_eq!(
            keystore.unlock("north", "correct horse").unwrap().account(),
            key.account()
        );
    }

    #[test]
    fn names_stay_inside_the_folder() {
        let (_directory, keystore, key) = stored();
        for name in ["", "../north", "a/b", "a.b", "ä", &"a".repeat(65)] {
            let stored = keystore.store(name, &key, "x", PasswordCost::Light);
            assert!(matches!(stored, Err(KeyError::BadName { .. })), "{name}");
            assert!(
                matches!(keystore.unlock(name, "x"), Err(KeyError::BadName { .. })),
                "{name}"
            );
        }
        assert!(matches!(
            keystore.unlock("south", "x"),
            Err(KeyError::NotFound { .. })
        ));
    }

    #[test]
    fn a_folder_that_is_not_there_holds_no_key() {
        assert_eq!(Keystore::new(Path::new("/nonexistent/keys")).list().unwrap(), []);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_a_key_file() {
        use std::os::unix::fs::PermissionsExt as _;

        let (directory, ..) = stored();
        let file = fs::metadata(directory.path().join("keys/north.json")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_too_long_or_no_text_is_refused() {
        let (directory, keystore, _) = stored();
        let path = directory.path().join("keys/big.json");
        fs::write(&path, vec![b' '; 70_000]).unwrap();
        assert!(matches!(
            keystore.unlock("big", "x"),
            Err(KeyError::Malformed { .. })
        ));
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(keystore.unlock("big", "x"), Err(KeyError::File { .. })));
    }
}
