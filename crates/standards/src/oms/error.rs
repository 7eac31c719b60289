//! What can be wrong with a signature, a key or a model's files.

use std::{io, path::PathBuf};

use counterweight_sha256::FileError;

/// Why a model was not signed, or its signature not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OmsError {
    /// A key file that holds no P-256 key.
    #[error("{expected} was expected in the key file: {reason}")]
    Key {
        /// What should be there.
        expected: &'static str,
        /// What is there instead.
        reason: String,
    },
    /// Longer than any signature over as many files as are allowed.
    #[error("a signature has at most {limit} bytes, this one has {got}")]
    TooLong {
        /// Bytes found.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not the JSON that it should be.
    #[error("the {what} cannot be read")]
    Json {
        /// Bundle or statement.
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A field says something else than it must.
    #[error("{field} must be {expected}, not {got}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// Signed in a way that is not read here.
    #[error("{what} are not read here")]
    Unsupported {
        /// What it is signed with.
        what: &'static str,
    },
    /// The signature is for another key.
    #[error("signed with the key {got}, the key given is {expected}")]
    OtherKey {
        /// Hint of the key given.
        expected: String,
        /// Hint in the signature.
        got: String,
    },
    /// The numbers are no signature by this key over this statement.
    #[error("the signature does not hold: the statement or the signature was changed, or another key signed")]
    SignatureWrong,
    /// The files' digests do not hash to the digest of the subject.
    #[error("the statement contradicts itself: its files hash to {got}, it says {said}")]
    Inconsistent {
        /// What the subject says.
        said: String,
        /// What the files give.
        got: String,
    },
    /// A name that is no relative path, or is there twice.
    #[error("the name {name:?} cannot be signed: {reason}")]
    Name {
        /// The name, bytes that are not UTF-8 replaced.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A symbolic link, where links are not followed.
    #[error("{} is a symbolic link", path.display())]
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
    /// A file or folder could not be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl OmsError {
    /// Whether the answer is that the signature does not hold, rather than that there is none to judge.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::OtherKey { .. } | Self::SignatureWrong | Self::Inconsistent { .. }
        )
    }
}

impl From<FileError> for OmsError {
    fn from(FileError { path, source }: FileError) -> Self {
        Self::Io { path, source }
    }
}
