//! Witnesses: they cosign a checkpoint only if it extends the last one they cosigned (C2SP tlog-witness).
//!
//! [`Witness`] answers requests and [`request_cosignatures`] makes them; how bytes travel is left to others
//! ([`super::http`] has the one way there is).
//!
//! # Differences from the specification
//!
//! - `sign-subtree` is left out, as it may be.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use counterweight_primitives::{Sha256Digest, UnixSeconds};

use super::{
    cosignature::{Cosigner, CosignerKey},
    note::{Checkpoint, Note, NoteError, NoteSignature, SignedCheckpoint, VerifierKey},
    proof::verify_consistency,
    reader::{LogReader, ReadError},
    tree::empty_root,
};
use crate::durable::{sync_folder, write_file};

/// Most hashes of a consistency proof in a request.
const MOST_HASHES: usize = 63;

/// Most bytes of a request: the hashes, and a checkpoint with 64 signatures.
pub const REQUEST_BYTES: usize = 1 << 20;

/// A request for cosignatures: `add-checkpoint`. Anyone may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the last tree that the witness cosigned, as the log knows it.
    pub old_size: u64,
    /// RFC 6962 consistency proof from there.
    pub proof: Vec<Sha256Digest>,
    /// The checkpoint as the log signed it.
    pub checkpoint: Note,
}

impl AddCheckpoint {
    /// Reads a body; none where it has another form.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (request, note) = text.split_once("\n\n")?;
        let mut lines = request.split('\n');
        let digits = lines.next()?.strip_prefix("old ")?;
        let old_size = digits.parse().ok().filter(|n: &u64| n.to_string() == digits)?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MOST_HASHES {
                return None;
            }
            proof.push(Sha256Digest(BASE64.decode(line).ok()?.try_into().ok()?));
        }
        Some(Self {
            old_size,
            proof,
            checkpoint: Note::parse(note).ok()?,
        })
    }

    /// Its body.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            text += &BASE64.encode(hash.0);
            text.push('\n');
        }
        format!("{text}\n{}", self.checkpoint)
    }
}

/// Why a witness does not cosign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessRefusal {
    /// The body has another form.
    #[error("the body is no add-checkpoint request")]
    Malformed,
    /// The old size is larger than the new one.
    #[error("the old size {old} is larger than the checkpoint's {new}")]
    Shrunk {
        /// Old size of the request.
        old: u64,
        /// Size of the checkpoint.
        new: u64,
    },
    /// Not a log that this witness watches.
    #[error("the log {origin:?} is not watched here")]
    UnknownLog {
        /// Origin of the checkpoint.
        origin: String,
    },
    /// No key of the log signed, or a signature does not hold.
    #[error("the checkpoint is not signed by its log")]
    NotSigned(#[source] NoteError),
    /// The old size is not that of the last cosigned checkpoint.
    #[error("the last cosigned checkpoint has size {current}")]
    Conflict {
        /// Its size.
        current: u64,
    },
    /// The checkpoint does not extend the last cosigned one.
    #[error("the checkpoint does not extend the last cosigned one")]
    Inconsistent,
    /// The witness's own files cannot be read or written.
    #[error("the witness cannot keep what it saw in {}", path.display())]
    Storage {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl WitnessRefusal {
    /// The HTTP status that says so.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed | Self::Shrunk { .. } => 400,
            Self::NotSigned(_) => 403,
            Self::UnknownLog { .. } => 404,
            Self::Conflict { .. } => 409,
            Self::Inconsistent => 422,
            Self::Storage { .. } => 500,
        }
    }
}

/// A witness: its keys, the logs it watches, and a folder in which the last checkpoint of each is kept.
#[derive(Debug)]
pub struct Witness {
    folder: PathBuf,
    cosigners: Vec<Cosigner>,
    logs: BTreeMap<String, Vec<VerifierKey>>,
    /// Held from looking at the last checkpoint until the next one is on disk: otherwise a slow request would take the
    /// witness back behind a fast one.
    turn: Mutex<()>,
    /// Unlocked when it is closed, also by the end of the process.
    _lock: File,
}

impl Witness {
    /// Opens the witness in a folder: one at a time in the whole system.
    ///
    /// # Errors
    /// An I/O error; of kind `WouldBlock` where another process has it.
    pub fn open(
        folder: impl Into<PathBuf>,
        cosigners: Vec<Cosigner>,
        logs: impl IntoIterator<Item = VerifierKey>,
    ) -> io::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::from(io::ErrorKind::WouldBlock),
            TryLockError::Error(error) => error,
        })?;
        let mut by_origin: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
        for key in logs {
            by_origin.entry(key.name().to_owned()).or_default().push(key);
        }
        Ok(Self {
            folder,
            cosigners,
            logs: by_origin,
            turn: Mutex::new(()),
            _lock: lock,
        })
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &CosignerKey> {
        self.cosigners.iter().map(Cosigner::key)
    }

    /// Answers `add-checkpoint`: checks the checkpoint, keeps it, and gives the cosignatures. When this returns, no
    /// checkpoint that does not extend this one will be cosigned, whatever happens to the process.
    ///
    /// # Errors
    /// [`WitnessRefusal`].
    pub fn add_checkpoint(&self, body: &str, now: UnixSeconds) -> Result<Vec<NoteSignature>, WitnessRefusal> {
        let request = AddCheckpoint::from_text(body).ok_or(WitnessRefusal::Malformed)?;
        let new = Checkpoint::parse(request.checkpoint.text()).map_err(|_| WitnessRefusal::Malformed)?;
        let Some(keys) = self.logs.get(&new.origin) else {
            return Err(WitnessRefusal::UnknownLog { origin: new.origin });
        };
        check_signed(keys, &request.checkpoint)?;
        if request.old_size > new.size {
            return Err(WitnessRefusal::Shrunk {
                old: request.old_size,
                new: new.size,
            });
        }
        // What it guards is on disk, so a panic elsewhere leaves nothing half done.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, root) = match self.last(&new.origin)? {
            Some(last) => (last.size, last.root),
            None => (0, empty_root()),
        };
        if request.old_size != size {
            return Err(WitnessRefusal::Conflict { current: size });
        }
        verify_consistency(size, &root, new.size, &new.root, &request.proof)
            .map_err(|_| WitnessRefusal::Inconsistent)?;
        let lines: Result<Vec<_>, _> = self
            .cosigners
            .iter()
            .map(|cosigner| cosigner.cosign(&request.checkpoint, now))
            .collect();
        let lines = lines.map_err(|_| WitnessRefusal::Malformed)?;
        let mut note = request.checkpoint;
        lines.iter().for_each(|line| note.add(line.clone()));
        self.keep(&new.origin, &note.to_string())?;
        Ok(lines)
    }

    /// The last cosigned checkpoint of the log whose origin has this SHA-256, as it is served below
    /// `<hash>/checkpoint`.
    ///
    /// # Errors
    /// [`WitnessRefusal::Storage`].
    pub fn checkpoint(&self, origin_hash: &Sha256Digest) -> Result<Option<String>, WitnessRefusal> {
        let path = self.folder.join(origin_hash.to_hex()).join("checkpoint");
        match fs::read_to_string(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(WitnessRefusal::Storage { path, source }),
        }
    }

    fn last(&self, origin: &str) -> Result<Option<Checkpoint>, WitnessRefusal> {
        let hash = Sha256Digest::of(origin.as_bytes());
        let Some(note) = self.checkpoint(&hash)? else {
            return Ok(None);
        };
        // Damage must not read as "nothing seen": that would let the log start over.
        let damaged = || WitnessRefusal::Storage {
            path: self.folder.join(hash.to_hex()).join("checkpoint"),
            source: io::ErrorKind::InvalidData.into(),
        };
        let note = Note::parse(&note).map_err(|_| damaged())?;
        let last = Checkpoint::parse(note.text()).map_err(|_| damaged())?;
        if last.origin == origin {
            Ok(Some(last))
        } else {
            Err(damaged())
        }
    }

    fn keep(&self, origin: &str, note: &str) -> Result<(), WitnessRefusal> {
        let folder = self.folder.join(Sha256Digest::of(origin.as_bytes()).to_hex());
        let path = folder.join("checkpoint");
        let write = || {
            fs::create_dir_all(&folder)?;
            write_file(&path, &self.folder.join("temporary"), note.as_bytes())?;
            sync_folder(&folder)?;
            sync_folder(&self.folder)
        };
        write().map_err(|source| WitnessRefusal::Storage {
            path: path.clone(),
            source,
        })
    }
}

/// One key of the log must have signed, and none that signed may have signed badly.
fn check_signed(keys: &[VerifierKey], note: &Note) -> Result<(), WitnessRefusal> {
    let mut missing = None;
    let mut signed = false;
    for key in keys {
        match key.check(note) {
            Ok(()) => signed = true,
            Err(error @ NoteError::NotSigned { .. }) => missing = Some(error),
            Err(error) => return Err(WitnessRefusal::NotSigned(error)),
        }
    }
    match missing {
        Some(error) if !signed => Err(WitnessRefusal::NotSigned(error)),
        _ => Ok(()),
    }
}

/// What a witness answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessAnswer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// Takes a request to a witness.
pub trait WitnessTransport {
    /// Why it could not be taken there.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Posts a body to `add-checkpoint`.
    ///
    /// # Errors
    /// As the type says.
    fn add_checkpoint(&self, body: &str) -> Result<WitnessAnswer, Self::Error>;
}

/// Why a witness gave no cosignature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError<E: std::error::Error + 'static> {
    /// It could not be reached.
    #[error("the witness cannot be reached")]
    Transport(#[source] E),
    /// The log cannot prove what the witness asks for.
    #[error("the log cannot prove that it extends what the witness saw")]
    Log(#[source] Box<ReadError>),
    /// It refused.
    #[error("the witness answered {status}: {reason:?}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The first of its own words.
        reason: String,
    },
    /// Its answer holds no cosignature by its key, or one that does not hold.
    #[error("the witness's answer does not hold")]
    Answer(#[source] NoteError),
    /// It answered without a cosignature by its key.
    #[error("the witness's answer has no cosignature by {key}")]
    NoCosignature {
        /// Its key.
        key: String,
    },
}

/// Asks a witness to cosign a checkpoint. Where the witness remembers another size than `seen`, it is asked once more
/// with the proof from there. Gives the cosignatures by `key`, checked.
///
/// # Errors
/// [`WitnessError`].
pub fn request_cosignatures<T: WitnessTransport>(
    transport: &T,
    key: &CosignerKey,
    reader: &LogReader,
    checkpoint: &SignedCheckpoint,
    seen: u64,
) -> Result<Vec<NoteSignature>, WitnessError<T::Error>> {
    let note = Note::parse(checkpoint.note()).map_err(WitnessError::Answer)?;
    let size = checkpoint.checkpoint().size;
    let ask = |old_size| {
        let proof = reader
            .growth(old_size, checkpoint)
            .map_err(|error| WitnessError::Log(Box::new(error)))?;
        let request = AddCheckpoint {
            old_size,
            proof,
            checkpoint: note.clone(),
        };
        transport
            .add_checkpoint(&request.to_text())
            .map_err(WitnessError::Transport)
    };
    let mut answer = ask(seen.min(size))?;
    if answer.status == 409 {
        let current: Option<u64> = answer
            .body
            .strip_suffix('\n')
            .and_then(|digits| digits.parse().ok());
        if let Some(current) = current.filter(|current| *current <= size) {
            answer = ask(current)?;
        }
    }
    if answer.status != 200 {
        return Err(WitnessError::Refused {
            status: answer.status,
            reason: answer.body.chars().take(200).collect(),
        });
    }
    let mut cosigned = note.clone();
    for line in answer.body.lines() {
        cosigned.add(NoteSignature::parse(line).map_err(WitnessError::Answer)?);
    }
    // Lines by other keys are passed over, and not taken into our checkpoint.
    if key.find(&cosigned).map_err(WitnessError::Answer)?.is_none() {
        return Err(WitnessError::NoCosignature { key: key.to_string() });
    }
    let theirs = cosigned.signatures().iter().filter(|line| key.is_by(line));
    Ok(theirs.cloned().collect())
}

/// Where a witness's folder keeps the last checkpoint of a log.
#[must_use]
pub fn checkpoint_path(folder: &Path, origin: &str) -> PathBuf {
    folder
        .join(Sha256Digest::of(origin.as_bytes()).to_hex())
        .join("checkpoint")
}

#[cfg(test)]
mod tests;
