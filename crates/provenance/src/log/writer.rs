//! Appending to a log so that nothing acknowledged is lost and no two checkpoints disagree.
//!
//! An append writes bundles and tiles, syncs them, writes and syncs the signed checkpoint under the name
//! `checkpoint.next`, syncs the folder, and only then renames it to `checkpoint`. Whoever has seen a checkpoint has
//! therefore seen one that survives a power cut: after a crash `checkpoint.next`, if it is whole, is put in place
//! rather than replaced by another tree of the same size.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use counterweight_primitives::Sha256Digest;

use super::{
    note::{Checkpoint, NoteError, NoteSignature, NoteSigner, SignedCheckpoint},
    reader::{CHECKPOINT, LogReader, ReadError, failed},
    register::{Head, HeadRegister},
    tile::{ENTRY_BYTES, TILE_WIDTH, TileKind, TileName, decode_entries, encode_hashes, push_entry},
    tree::{edge_root, empty_root, leaf_hashes, root},
};
use crate::durable::{SYNCS_FILE_SYSTEM, sync_file_system, sync_folder, write_file, write_unsynced};

/// The checkpoint that an unfinished append is about to publish.
const NEXT: &str = "checkpoint.next";

/// Held by the one process that appends.
const LOCK: &str = "lock";

/// From so many files on they are synced together. Fewer are not worth a wait for what others write to the disk.
const MANY: usize = 16;

/// Where files are written before they get their names.
const TEMPORARY: &str = "temporary";

/// Why a log could not be opened or appended to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Another process appends to it.
    #[error("another process is appending to the log in {}", folder.display())]
    Locked {
        /// Where the log is.
        folder: PathBuf,
    },
    /// Tiles without a checkpoint: it was deleted, and starting over would make a second history.
    #[error("the log in {} has tiles and no checkpoint", folder.display())]
    CheckpointMissing {
        /// Where the log is.
        folder: PathBuf,
    },
    /// What is there could not be read or is not sound.
    #[error("the log cannot be opened")]
    Unsound(#[from] ReadError),
    /// The key cannot sign for this log.
    #[error("the key cannot sign for this log")]
    Key(#[source] NoteError),
    /// An entry longer than the format holds.
    #[error("entry {position} of the batch has {got} bytes, at most {ENTRY_BYTES} fit")]
    EntryTooLong {
        /// Place in the batch, counted from 0.
        position: usize,
        /// Its bytes.
        got: usize,
    },
    /// A file could not be written.
    #[error("{} cannot be written", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody else appended: the log has another size than was expected, or a register holds another head.
    #[error("the log was expected to have {expected} entries, and has {got}")]
    HeadMoved {
        /// Entries expected.
        expected: u64,
        /// Entries there are.
        got: u64,
    },
    /// The register of heads cannot be read or written, or holds a tree that this log does not extend.
    #[error("the register of heads cannot be used")]
    Register(#[source] io::Error),
    /// An append failed before, so that it is not known what is on disk: open the log again.
    #[error("an earlier append failed: open the log again")]
    Poisoned,
}

/// A log open for appending: one at a time in the whole system.
#[derive(Debug)]
pub struct Log {
    folder: PathBuf,
    signer: NoteSigner,
    edge: Edge,
    checkpoint: SignedCheckpoint,
    poisoned: bool,
    /// Moved before each checkpoint is published.
    register: Option<Box<dyn HeadRegister>>,
    /// Unlocked when it is closed, also by the end of the process.
    _lock: File,
}

/// The right edge of a log: all that appending needs.
#[derive(Debug, Clone, Default)]
struct Edge {
    size: u64,
    /// For each level the hashes of its last tile, if that is not full.
    hashes: Vec<Vec<Sha256Digest>>,
    /// The last bundle, if it is not full.
    bundle: Vec<u8>,
}

/// A tile that an append has to write.
type Write = (TileName, Vec<u8>);

impl Log {
    /// Opens the log in a folder, or begins one there. The key's name is the log's origin. The checkpoint is held
    /// against key and right edge; [`LogReader::audit`] checks the rest.
    ///
    /// # Errors
    /// [`LogError::Locked`], [`LogError::CheckpointMissing`], [`LogError::Unsound`], [`LogError::Key`] or
    /// [`LogError::Io`].
    pub fn open(folder: impl Into<PathBuf>, signer: NoteSigner) -> Result<Self, LogError> {
        Self::open_with(folder.into(), signer, None)
    }

    /// As [`Log::open`], for a log of which there may be copies: every checkpoint is published only after the register
    /// moved to it, so that of several writers of one log only one goes on.
    ///
    /// # Errors
    /// As [`Log::open`]; [`LogError::HeadMoved`] where the register is ahead of this copy, [`LogError::Register`].
    pub fn open_registered(
        folder: impl Into<PathBuf>,
        signer: NoteSigner,
        register: Box<dyn HeadRegister>,
    ) -> Result<Self, LogError> {
        Self::open_with(folder.into(), signer, Some(register))
    }

    fn open_with(
        folder: PathBuf,
        signer: NoteSigner,
        register: Option<Box<dyn HeadRegister>>,
    ) -> Result<Self, LogError> {
        fs::create_dir_all(&folder).map_err(|e| unwritable(&folder, e))?;
        let lock_path = folder.join(LOCK);
        let lock = File::create(&lock_path).map_err(|e| unwritable(&lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LogError::Locked { folder }),
            Err(TryLockError::Error(e)) => return Err(unwritable(&lock_path, e)),
        }
        let current = folder.join(CHECKPOINT);
        finish_interrupted(&folder, &signer, register.as_deref())?;
        if !current.try_exists().map_err(|e| unwritable(&current, e))? {
            if folder.join("tile").exists() {
                return Err(LogError::CheckpointMissing { folder });
            }
            let origin = signer.verifier().name().to_owned();
            let empty = Checkpoint {
                origin,
                size: 0,
                root: empty_root(),
            };
            publish(&folder, &empty.sign(&signer).map_err(LogError::Key)?)?;
        }
        let reader = LogReader::new(&folder, signer.verifier().clone());
        let checkpoint = reader.checkpoint()?;
        let edge = Edge::read(&reader, &checkpoint)?;
        if let Some(register) = &register {
            catch_up(&**register, &reader, &checkpoint)?;
        }
        Ok(Self {
            folder,
            signer,
            edge,
            checkpoint,
            poisoned: false,
            register,
            _lock: lock,
        })
    }

    /// Appends entries and gives the place of the first, counted from 0. When this returns they're safe from a crash
    /// and covered by [`Log::checkpoint`]. Nothing is appended if one is too long.
    ///
    /// Costs a file for each 256 entries and level, and at least two files, each of them synced; where there are many, the
    /// file system is synced once for all of them. Append what comes together at once.
    ///
    /// # Errors
    /// [`LogError::EntryTooLong`], [`LogError::HeadMoved`] where a register is ahead, [`LogError::Io`] or
    /// [`LogError::Register`]; and [`LogError::Poisoned`] after any of these but the first.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<u64, LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let long = entries
            .iter()
            .map(|e| e.as_ref().len())
            .enumerate()
            .find(|(_, got)| *got > ENTRY_BYTES);
        if let Some((position, got)) = long {
            return Err(LogError::EntryTooLong { position, got });
        }
        let first = self.edge.size;
        if entries.is_empty() {
            return Ok(first);
        }
        let mut edge = self.edge.clone();
        let mut filled = Vec::new();
        for (entry, hash) in entries.iter().zip(leaf_hashes(entries)) {
            edge.push(entry.as_ref(), hash, &mut filled);
        }
        let origin = self.signer.verifier().name().to_owned();
        let checkpoint = Checkpoint {
            origin,
            size: edge.size,
            root: edge.root(),
        };
        let checkpoint = checkpoint.sign(&self.signer).map_err(LogError::Key)?;
        // Until the last write is known to have held, the disk may have one checkpoint or the other.
        self.poisoned = true;
        let partial = edge.partial();
        let together = SYNCS_FILE_SYSTEM && filled.len() + partial.len() >= MANY;
        let mut folders = BTreeSet::new();
        for (name, bytes) in filled.iter().chain(&partial) {
            self.write(name, bytes, together, &mut folders)?;
        }
        if together {
            sync_file_system(&self.folder).map_err(|e| unwritable(&self.folder, e))?;
        } else {
            for folder in &folders {
                sync_folder(folder).map_err(|e| unwritable(folder, e))?;
            }
        }
        stage(&self.folder, &checkpoint)?;
        self.advance(&checkpoint)?;
        promote(&self.folder)?;
        self.poisoned = false;
        (self.edge, self.checkpoint) = (edge, checkpoint);
        for (name, _) in filled {
            // Full tiles hold what these held. Leftovers would only take space.
            let _ = fs::remove_dir_all(self.folder.join(name.partial_folder()));
        }
        Ok(first)
    }

    /// As [`Log::append`], if the log has `size` entries: for those who looked at it before and go on from there.
    ///
    /// # Errors
    /// [`LogError::HeadMoved`] where it has another size, otherwise as [`Log::append`].
    pub fn append_at<E: AsRef<[u8]>>(&mut self, size: u64, entries: &[E]) -> Result<u64, LogError> {
        if self.edge.size != size {
            return Err(LogError::HeadMoved {
                expected: size,
                got: self.edge.size,
            });
        }
        self.append(entries)
    }

    /// Moves the register, where there is one, from the checkpoint before to a staged one.
    fn advance(&self, next: &SignedCheckpoint) -> Result<(), LogError> {
        let Some(register) = &self.register else {
            return Ok(());
        };
        let from = Head::from(self.checkpoint.checkpoint());
        let to = Head::from(next.checkpoint());
        if register.advance(Some(&from), &to).map_err(LogError::Register)? {
            return Ok(());
        }
        // Nobody saw it, and nobody must: it is of a history that ends here.
        unstage(&self.folder)?;
        let got = register.head().map_err(LogError::Register)?;
        Err(LogError::HeadMoved {
            expected: from.size,
            got: got.map_or(0, |head| head.size),
        })
    }

    /// Puts more signatures below the newest checkpoint: those of witnesses, or of the account that owns the log. They
    /// are kept and served with it until the next append. Whoever calls this has checked them.
    ///
    /// # Errors
    /// [`LogError::Key`] where there are too many, [`LogError::Io`], or [`LogError::Poisoned`].
    pub fn add_signatures(&mut self, signatures: &[NoteSignature]) -> Result<(), LogError> {
        if self.poisoned {
            return Err(LogError::Poisoned);
        }
        let signed = self.checkpoint.with(signatures).map_err(LogError::Key)?;
        // The same tree before and after: a crash in between loses signatures at most.
        publish(&self.folder, &signed)?;
        self.checkpoint = signed;
        Ok(())
    }

    /// The newest checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// A reader of this log.
    #[must_use]
    pub fn reader(&self) -> LogReader {
        LogReader::new(&self.folder, self.signer.verifier().clone())
    }

    fn write(
        &self,
        name: &TileName,
        bytes: &[u8],
        together: bool,
        folders: &mut BTreeSet<PathBuf>,
    ) -> Result<(), LogError> {
        let path = self.folder.join(name.path());
        let parent = path.parent().unwrap_or(&self.folder);
        if !folders.contains(parent) {
            fs::create_dir_all(parent).map_err(|e| unwritable(parent, e))?;
            let above = parent
                .ancestors()
                .take_while(|folder| folder.starts_with(&self.folder));
            folders.extend(above.map(Path::to_owned));
        }
        // No name that a checkpoint covers is written again, so one whose bytes are not safe yet is a leftover at worst.
        let write = if together { write_unsynced } else { write_file };
        write(&path, &self.folder.join(TEMPORARY), bytes).map_err(|e| unwritable(&path, e))
    }
}

impl Edge {
    /// Reads the edge that belongs to a checkpoint and holds it against the root.
    fn read(reader: &LogReader, checkpoint: &SignedCheckpoint) -> Result<Self, ReadError> {
        let tree = checkpoint.checkpoint();
        let mut edge = Self {
            size: tree.size,
            ..Self::default()
        };
        for level in 0..8 {
            let items = tree.size >> (8 * level);
            if items == 0 {
                break;
            }
            edge.hashes.push(if items.is_multiple_of(TILE_WIDTH) {
                Vec::new()
            } else {
                reader
                    .hashes(TileKind::Hashes { level }, items / TILE_WIDTH, tree.size)?
                    .1
            });
        }
        let got = edge.root();
        if got != tree.root {
            return Err(ReadError::Root {
                expected: tree.root,
                got,
            });
        }
        if !tree.size.is_multiple_of(TILE_WIDTH) {
            let (name, bytes) = reader.tile(TileKind::Entries, tree.size / TILE_WIDTH, tree.size)?;
            let entries = decode_entries(&bytes, name.width).unwrap_or_default();
            if edge.hashes.first() != Some(&leaf_hashes(&entries)) {
                let reason = "its entries are not those of the tree";
                return Err(ReadError::Tile {
                    name: name.path(),
                    reason,
                });
            }
            for entry in entries {
                // What was read from a bundle fits one.
                let _ = push_entry(&mut edge.bundle, entry);
            }
        }
        Ok(edge)
    }

    /// Adds an entry of at most [`ENTRY_BYTES`] with its hash; tiles that it fills go to `filled`.
    fn push(&mut self, entry: &[u8], leaf: Sha256Digest, filled: &mut Vec<Write>) {
        let _ = push_entry(&mut self.bundle, entry);
        self.size += 1;
        let full = |kind, items: u64| TileName {
            kind,
            index: (items / TILE_WIDTH).saturating_sub(1),
            width: TILE_WIDTH as u16,
        };
        if self.size.is_multiple_of(TILE_WIDTH) {
            filled.push((
                full(TileKind::Entries, self.size),
                std::mem::take(&mut self.bundle),
            ));
        }
        let mut hash = leaf;
        for level in 0..8_u8 {
            let place = usize::from(level);
            if place == self.hashes.len() {
                self.hashes.push(Vec::new());
            }
            let Some(tile) = self.hashes.get_mut(place) else {
                break;
            };
            tile.push(hash);
            if (tile.len() as u64) < TILE_WIDTH {
                break;
            }
            let hashes = std::mem::take(tile);
            let name = full(TileKind::Hashes { level }, self.size >> (8 * level));
            filled.push((name, encode_hashes(&hashes)));
            hash = root(&hashes);
        }
    }

    /// The tiles at the edge that are not full.
    fn partial(&self) -> Vec<Write> {
        let in_log = |kind, items: u64| TileName::in_log(kind, items / TILE_WIDTH, self.size);
        let bundle = in_log(TileKind::Entries, self.size).map(|name| (name, self.bundle.clone()));
        let tiles = self
            .hashes
            .iter()
            .zip(0_u8..)
            .filter(|(hashes, _)| !hashes.is_empty());
        let tiles = tiles.filter_map(|(hashes, level)| {
            let name = in_log(TileKind::Hashes { level }, self.size >> (8 * level))?;
            Some((name, encode_hashes(hashes)))
        });
        bundle.into_iter().chain(tiles).collect()
    }

    fn root(&self) -> Sha256Digest {
        edge_root(&self.hashes)
    }
}

/// Puts a checkpoint in place whose tiles are synced.
fn publish(folder: &Path, checkpoint: &SignedCheckpoint) -> Result<(), LogError> {
    stage(folder, checkpoint)?;
    promote(folder)
}

/// Writes a checkpoint under the name that a crash finds.
fn stage(folder: &Path, checkpoint: &SignedCheckpoint) -> Result<(), LogError> {
    let next = folder.join(NEXT);
    write_file(&next, &folder.join(TEMPORARY), checkpoint.note().as_bytes())
        .map_err(|e| unwritable(&next, e))?;
    sync_folder(folder).map_err(|e| unwritable(folder, e))
}

/// Gives the staged checkpoint the name that everybody reads.
fn promote(folder: &Path) -> Result<(), LogError> {
    let (next, current) = (folder.join(NEXT), folder.join(CHECKPOINT));
    fs::rename(&next, &current).map_err(|e| unwritable(&current, e))?;
    sync_folder(folder).map_err(|e| unwritable(folder, e))
}

/// Throws the staged checkpoint away.
fn unstage(folder: &Path) -> Result<(), LogError> {
    let next = folder.join(NEXT);
    fs::remove_file(&next).map_err(|e| unwritable(&next, e))?;
    sync_folder(folder).map_err(|e| unwritable(folder, e))
}

/// Completes an append that was interrupted after its checkpoint was written.
fn finish_interrupted(
    folder: &Path,
    signer: &NoteSigner,
    register: Option<&dyn HeadRegister>,
) -> Result<(), LogError> {
    let (next, current) = (folder.join(NEXT), folder.join(CHECKPOINT));
    let note = match fs::read_to_string(&next) {
        Ok(note) => note,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(&next, e).into()),
    };
    // The name exists only once the bytes are synced, so a note that does not hold is damage, not an interruption.
    let staged = SignedCheckpoint::verify(&note, signer.verifier()).map_err(ReadError::Checkpoint)?;
    let staged = Head::from(staged.checkpoint());
    let reader = LogReader::new(folder, signer.verifier().clone());
    let before = if current.exists() {
        Some(Head::from(reader.checkpoint()?.checkpoint()))
    } else {
        None
    };
    // An append leaves a larger one; another was put here by somebody else, and taking it would go back in time.
    let mut taken = before.is_none_or(|before| before.size < staged.size);
    if let Some(register) = register.filter(|_| taken) {
        // Either the register took it before the interruption, or it can still take it, or another writer was faster.
        let held = register.head().map_err(LogError::Register)?;
        taken = held == Some(staged)
            || held == before
                && register
                    .advance(held.as_ref(), &staged)
                    .map_err(LogError::Register)?;
    }
    if taken { promote(folder) } else { unstage(folder) }
}

/// Holds a log against its register, which may be behind where the log was appended to without it.
fn catch_up(
    register: &dyn HeadRegister,
    reader: &LogReader,
    checkpoint: &SignedCheckpoint,
) -> Result<(), LogError> {
    let ours = Head::from(checkpoint.checkpoint());
    let held = register.head().map_err(LogError::Register)?;
    let moved = |got| LogError::HeadMoved {
        expected: ours.size,
        got,
    };
    match held {
        Some(held) if held == ours => return Ok(()),
        Some(held) if held.size > ours.size => return Err(moved(held.size)),
        Some(held) => drop(reader.consistency(held.size, &held.root, checkpoint)?),
        None => {}
    }
    if register
        .advance(held.as_ref(), &ours)
        .map_err(LogError::Register)?
    {
        Ok(())
    } else {
        let head = register.head().map_err(LogError::Register)?;
        Err(moved(head.map_or(0, |head| head.size)))
    }
}

fn unwritable(path: &Path, source: io::Error) -> LogError {
    LogError::Io {
        path: path.to_owned(),
        source,
    }
}
