//! Where a project keeps its networks: one folder each under `.counterweight/inference`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use counterweight_inference::{MOST_MODEL_BYTES, Model};
use counterweight_provenance::durable::{Readers, replace_file};
use counterweight_zkml::SecretModel;
use counterweight_zkml_verifier::file::{MOST_FILE_BYTES, ModelKey, ProvenAnswer};

use crate::{
    error::{CliError, Code, with_causes},
    nearest::nearest,
    project::Project,
};

/// Largest secret file that is read: a network with a blinding for each row.
const MOST_SECRET_BYTES: u64 = MOST_MODEL_BYTES + (1 << 24);

/// The networks of a project.
pub(crate) struct Store(PathBuf);

impl Store {
    /// The project's; made with the first network.
    pub(crate) fn of(project: &Project) -> Self {
        Self(project.folders().inference())
    }

    /// Names of all networks, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok);
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path().join("network.cwm").exists())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether there is a network with this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        is_name(name) && self.network_file(name).exists()
    }

    /// Whether a network was committed to.
    pub(crate) fn is_committed(&self, name: &str) -> bool {
        is_name(name) && self.secret_file(name).exists() && self.key_file(name).exists()
    }

    /// A network's file.
    pub(crate) fn network_file(&self, name: &str) -> PathBuf {
        self.0.join(name).join("network.cwm")
    }

    /// A network's public key.
    pub(crate) fn key_file(&self, name: &str) -> PathBuf {
        self.0.join(name).join("model.cwk")
    }

    /// Where the proof behind a claim is kept until somebody asks for it. No network's name begins with a point.
    fn claim_file(&self, claim: &[u8; 32]) -> PathBuf {
        self.0.join(".claims").join(format!("{}.cwp", hex::encode(claim)))
    }

    /// Keeps the proof behind a claim.
    ///
    /// # Errors
    /// [`Code::FileUnreadable`].
    pub(crate) fn keep_proof(&self, claim: &[u8; 32], proven: &ProvenAnswer) -> Result<(), CliError> {
        write_secret(&self.claim_file(claim), &proven.to_bytes())
    }

    /// The proof behind a claim, if it was kept here.
    pub(crate) fn kept_proof(&self, claim: &[u8; 32]) -> Option<PathBuf> {
        Some(self.claim_file(claim)).filter(|file| file.exists())
    }

    fn secret_file(&self, name: &str) -> PathBuf {
        self.0.join(name).join("secret.cws")
    }

    /// Keeps a network.
    ///
    /// # Errors
    /// [`Code::BadValue`] for a name that is none, [`Code::FileUnreadable`].
    pub(crate) fn put(&self, name: &str, model: &Model) -> Result<(), CliError> {
        if !is_name(name) {
            return Err(CliError::new(Code::BadValue, format!("\"{name}\" cannot name a network"))
                .why("names have 1 to 64 of a-z, A-Z, 0-9, dot, dash, underscore and @, and start with a letter or digit")
                .fix("choose another with --name"));
        }
        write_file(&self.network_file(name), &model.to_bytes())
    }

    /// A network.
    ///
    /// # Errors
    /// [`Code::UnknownName`], [`Code::FileUnreadable`], [`Code::NetworkUnusable`] where the file was changed.
    pub(crate) fn model(&self, name: &str) -> Result<Model, CliError> {
        if !self.has(name) {
            return Err(self.unknown(name));
        }
        let file = self.network_file(name);
        Model::from_bytes(&read_file(&file, MOST_MODEL_BYTES)?).map_err(|error| {
            CliError::new(Code::NetworkUnusable, format!("{} is no network", file.display()))
                .why(with_causes(&error))
                .fix("import it again")
        })
    }

    /// Keeps what hides a network's weights, for its owner alone, and the key that everybody gets.
    ///
    /// # Errors
    /// [`Code::FileUnreadable`].
    pub(crate) fn put_committed(
        &self,
        name: &str,
        secret: &SecretModel,
        key: &ModelKey,
    ) -> Result<(), CliError> {
        write_secret(&self.secret_file(name), &secret.to_bytes())?;
        write_file(&self.key_file(name), &key.to_bytes())
    }

    /// A network that was committed to.
    ///
    /// # Errors
    /// [`Code::NothingYet`] where it was not, [`Code::FileUnreadable`], [`Code::NetworkUnusable`].
    pub(crate) fn secret(&self, name: &str) -> Result<SecretModel, CliError> {
        if !self.has(name) {
            return Err(self.unknown(name));
        }
        if !self.is_committed(name) {
            return Err(
                CliError::new(Code::NothingYet, format!("nothing commits to {name} yet"))
                    .why("a proof is about a commitment to the weights, which is made once")
                    .fix(format!("cw model publish {name}")),
            );
        }
        let file = self.secret_file(name);
        SecretModel::from_bytes(&read_file(&file, MOST_SECRET_BYTES)?).map_err(|error| {
            CliError::new(
                Code::NetworkUnusable,
                format!("{} is no committed network", file.display()),
            )
            .why(with_causes(&error))
            .fix("restore it from a copy; committing again gives the model another id")
        })
    }

    /// The public key of a network that was committed to.
    ///
    /// # Errors
    /// [`Code::FileUnreadable`], [`Code::ProofUnreadable`].
    pub(crate) fn key(&self, name: &str) -> Result<ModelKey, CliError> {
        read_key(&self.key_file(name))
    }

    /// The name and key of the network with an id, where it was committed to here.
    pub(crate) fn with_id(&self, id: &[u8; 32]) -> Option<(String, ModelKey)> {
        self.names().into_iter().find_map(|name| {
            let key = self.key(&name).ok()?;
            (key.id() == *id).then_some((name, key))
        })
    }

    fn unknown(&self, name: &str) -> CliError {
        let error = CliError::new(Code::UnknownName, format!("there is no network \"{name}\" here"));
        let names = self.names();
        let error = match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => error.fact("nearest", near),
            None => error,
        };
        error.fix("cw model import FILE.onnx --calibrate ROWS.csv, or cw model publish NAME for a model trained here")
    }
}

/// Reads a public key.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::ProofUnreadable`].
pub(crate) fn read_key(file: &Path) -> Result<ModelKey, CliError> {
    ModelKey::from_bytes(&read_file(file, MOST_FILE_BYTES as u64)?).map_err(|error| {
        CliError::new(
            Code::ProofUnreadable,
            format!("{} is no model key", file.display()),
        )
        .why(with_causes(&error))
        .fix("ask the model's owner for its key again")
    })
}

/// Reads a file of bounded length; `-` is standard input.
///
/// # Errors
/// [`Code::FileUnreadable`].
pub(crate) fn read_file(file: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    use io::Read as _;
    let read = |source: &mut dyn io::Read| {
        let mut bytes = Vec::new();
        source.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::Error::other(format!("it is longer than {most} bytes")));
        }
        Ok(bytes)
    };
    let bytes = if file == Path::new("-") {
        read(&mut io::stdin().lock())
    } else {
        fs::File::open(file).and_then(|mut opened| read(&mut opened))
    };
    bytes.map_err(|error| {
        CliError::new(Code::FileUnreadable, format!("{} cannot be read", file.display()))
            .fact("system", error.to_string())
            .fix("check the name, and that the file is there and belongs to you")
    })
}

/// Writes a file whole or not at all.
///
/// # Errors
/// [`Code::FileUnreadable`].
pub(crate) fn write_file(file: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write(file, bytes, Readers::Anyone)
}

/// As [`write_file`], for nobody else to read.
///
/// # Errors
/// [`Code::FileUnreadable`].
pub(crate) fn write_secret(file: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write(file, bytes, Readers::Owner)
}

fn write(file: &Path, bytes: &[u8], readers: Readers) -> Result<(), CliError> {
    replace_file(file, bytes, readers).map_err(|error| {
        CliError::new(
            Code::FileUnreadable,
            format!("{} cannot be written", file.display()),
        )
        .fact("system", error.to_string())
        .fix("check the folder's permissions and the disk's free space")
    })
}

/// Whether a name can be a folder's everywhere.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte);
    (1..=64).contains(&name.len())
        && name.bytes().all(is_plain)
        && name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_folder() {
        for name in ["tumour@1", "mnist-mlp", "a", "0.5"] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            ".hidden",
            "-x",
            "ä",
            &"x".repeat(65),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_file_beyond_its_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep/er/file");
        write_secret(&file, &[7; 10]).unwrap();
        assert_eq!(read_file(&file, 10).unwrap(), [7; 10]);
        assert_eq!(read_file(&file, 9).unwrap_err().code(), Code::FileUnreadable);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
