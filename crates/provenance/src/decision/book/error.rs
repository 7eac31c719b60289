//! Why decisions cannot be recorded, read or erased.

use std::{
    io,
    path::{Path, PathBuf},
};

use counterweight_primitives::{CanonicalError, Sha256Digest};

use super::MOST_BATCH;
use crate::{
    decision::{keys::KeyError, profile::ProfileError, segment::SegmentError},
    log::{LogError, ReadError},
};

/// Why decisions cannot be recorded, read or erased.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecisionError {
    /// The log.
    #[error("the log of decisions")]
    Log(#[from] LogError),
    /// Reading the log.
    #[error("the log of decisions cannot be read")]
    Read(#[from] ReadError),
    /// The keys of subjects.
    #[error("the keys of subjects")]
    Keys(#[from] KeyError),
    /// The sealed records.
    #[error("the sealed records")]
    Segments(#[from] SegmentError),
    /// A profile.
    #[error("the profile")]
    Profile(#[from] ProfileError),
    /// A file could not be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A document of ours has no canonical form.
    #[error("a document has no canonical form")]
    Encoding(#[source] CanonicalError),
    /// Too many decisions at once.
    #[error("a batch has at most {MOST_BATCH} decisions, this one {got}")]
    BatchTooLong {
        /// How many.
        got: usize,
    },
    /// The profile was not added to this log.
    #[error("the profile {id} is not in this log")]
    UnknownProfile {
        /// Which one.
        id: Sha256Digest,
    },
    /// The entry is no decision, or its record is not here.
    #[error("entry {index} is no decision of this log")]
    NoDecision {
        /// Which entry.
        index: u64,
    },
    /// The subject's key was deleted.
    #[error("what entry {index} was about was erased")]
    Erased {
        /// Which entry.
        index: u64,
    },
    /// The sealed record and the entry do not belong together.
    #[error("the sealed record of entry {index} does not lead to its commitment")]
    Differs {
        /// Which entry.
        index: u64,
    },
    /// Nobody of this name has a key here.
    #[error("nobody of this name is in the log")]
    UnknownSubject,
    /// The explanation does not add up to the output: the model is another, or there are several outputs.
    #[error("the explanation of entry {index} does not add up to its one output")]
    Inaccurate {
        /// Which entry.
        index: u64,
    },
    /// What is to replace a decision is about somebody else, of another endpoint, or comes too late.
    #[error(
        "entry {index} cannot be replaced by this: {}",
        newer.map_or_else(
            || "it is about somebody else, or of another endpoint".to_owned(),
            |newer| format!("entry {newer} replaced it already"),
        )
    )]
    NotCorrected {
        /// Which entry.
        index: u64,
        /// What replaced it, if that is why.
        newer: Option<u64>,
    },
    /// The decision was made under a profile that does not name this model, or lacks inputs.
    #[error(
        "entry {index} cannot be explained by this model: its profile names another, or inputs are missing"
    )]
    NotExplained {
        /// Which entry.
        index: u64,
    },
}

pub(super) fn failed(path: &Path, source: io::Error) -> DecisionError {
    DecisionError::Io {
        path: path.to_owned(),
        source,
    }
}
