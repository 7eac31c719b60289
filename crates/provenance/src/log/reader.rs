//! Reading a log that may be growing, and checking all of it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use counterweight_primitives::Sha256Digest;

use super::{
    note::{NoteError, SignedCheckpoint, VerifierKey},
    proof::{
        Nodes, ProofError, consistency_path, inclusion_path, root_of, verify_consistency, verify_inclusion,
    },
    receipt::{Receipt, ReceiptError, UncheckedReceipt},
    tile::{TILE_WIDTH, TileKind, TileName, decode_entries, decode_hashes},
    tree::{edge_root, leaf_hashes, root},
};

/// Name of the file with the newest checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// Why a log could not be read, or is not sound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file could not be read.
    #[error("{} cannot be read", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The checkpoint does not hold.
    #[error("the checkpoint does not hold")]
    Checkpoint(#[source] NoteError),
    /// A tile or bundle that the checkpoint asks for is not what it must be.
    #[error("{name}: {reason}")]
    Tile {
        /// Its path below the log.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What was asked for is beyond the log.
    #[error("the log cannot prove this")]
    Proof(#[from] ProofError),
    /// The log's own proof does not hold: its tiles do not belong to its checkpoint.
    #[error("the tiles do not lead to the checkpoint")]
    Receipt(#[source] ReceiptError),
    /// The entries have another root than the checkpoint says.
    #[error("the entries have root {got}, the checkpoint says {expected}")]
    Root {
        /// Root signed.
        expected: Sha256Digest,
        /// Root of what is there.
        got: Sha256Digest,
    },
}

/// Reads a log's folder. Others may append meanwhile: a question is always about one checkpoint.
#[derive(Debug, Clone)]
pub struct LogReader {
    folder: PathBuf,
    key: VerifierKey,
}

impl LogReader {
    /// A reader of the log in a folder. Nothing is read yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, key: VerifierKey) -> Self {
        Self {
            folder: folder.into(),
            key,
        }
    }

    /// The log's key.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// [`ReadError::Io`] or [`ReadError::Checkpoint`].
    pub fn checkpoint(&self) -> Result<SignedCheckpoint, ReadError> {
        let path = self.folder.join(CHECKPOINT);
        let note = fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
        SignedCheckpoint::verify(&note, &self.key).map_err(ReadError::Checkpoint)
    }

    /// Entries from `start` on, at most `count` and none beyond the checkpoint, each with its place. They're checked
    /// against the tile of their hashes, and that only by [`LogReader::receipt`] or [`LogReader::audit`].
    ///
    /// # Errors
    /// [`ReadError::Io`] or [`ReadError::Tile`].
    pub fn entries(
        &self,
        checkpoint: &SignedCheckpoint,
        start: u64,
        count: u64,
    ) -> Result<Vec<(u64, Vec<u8>)>, ReadError> {
        let size = checkpoint.checkpoint().size;
        let end = start.saturating_add(count).min(size);
        let mut found = Vec::new();
        let mut next = start;
        while next < end {
            let index = next / TILE_WIDTH;
            let first = index * TILE_WIDTH;
            for (entry, place) in self.bundle(index, size)?.into_iter().zip(first..end) {
                if place >= start {
                    found.push((place, entry));
                }
            }
            next = first + TILE_WIDTH;
        }
        Ok(found)
    }

    /// An entry with a receipt that others can check offline, checked before it is given.
    ///
    /// # Errors
    /// Every variant of [`ReadError`] except [`ReadError::Root`].
    pub fn receipt(
        &self,
        checkpoint: &SignedCheckpoint,
        index: u64,
    ) -> Result<(Vec<u8>, Receipt), ReadError> {
        let size = checkpoint.checkpoint().size;
        let path = inclusion_path(&mut self.nodes(size), index, size)?;
        let found = self.entries(checkpoint, index, 1)?.pop();
        let (_, entry) = found.ok_or(ProofError::BeyondTree { index, size })?;
        let receipt = UncheckedReceipt::new(index, path, checkpoint)
            .verify(&entry, &self.key)
            .map_err(ReadError::Receipt)?;
        Ok((entry, receipt))
    }

    /// The proof that the log of `checkpoint` begins with an older one, checked before it is given.
    ///
    /// # Errors
    /// [`ReadError::Proof`] where it does not, [`ReadError::Io`] or [`ReadError::Tile`].
    pub fn consistency(
        &self,
        old_size: u64,
        old_root: &Sha256Digest,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Vec<Sha256Digest>, ReadError> {
        let new = checkpoint.checkpoint();
        let path = consistency_path(&mut self.nodes(new.size), old_size, new.size)?;
        verify_consistency(old_size, old_root, new.size, &new.root, &path)?;
        Ok(path)
    }

    /// The root of the first `size` entries, checked to be a beginning of the log of `checkpoint`.
    ///
    /// # Errors
    /// As [`LogReader::consistency`].
    pub fn root_at(&self, size: u64, checkpoint: &SignedCheckpoint) -> Result<Sha256Digest, ReadError> {
        let new = checkpoint.checkpoint();
        if size > new.size {
            return Err(ProofError::BeyondTree {
                index: size,
                size: new.size,
            }
            .into());
        }
        let root = root_of(&mut self.nodes(new.size), size)?;
        self.consistency(size, &root, checkpoint)?;
        Ok(root)
    }

    /// What an anchor of the first `size` entries needs: their root, and the proof that they begin with an older tree. Both are
    /// checked before they are given.
    ///
    /// # Errors
    /// As [`LogReader::consistency`].
    pub fn anchor(
        &self,
        old_size: u64,
        old_root: &Sha256Digest,
        size: u64,
        checkpoint: &SignedCheckpoint,
    ) -> Result<(Sha256Digest, Vec<Sha256Digest>), ReadError> {
        let root = self.root_at(size, checkpoint)?;
        let path = consistency_path(&mut self.nodes(checkpoint.checkpoint().size), old_size, size)?;
        verify_consistency(old_size, old_root, size, &root, &path)?;
        Ok((root, path))
    }

    /// The leaf hash of an entry with its inclusion path in the tree of the first `size` entries, checked before they are given.
    ///
    /// # Errors
    /// As [`LogReader::consistency`].
    pub fn inclusion_at(
        &self,
        index: u64,
        size: u64,
        checkpoint: &SignedCheckpoint,
    ) -> Result<(Sha256Digest, Vec<Sha256Digest>), ReadError> {
        let root = self.root_at(size, checkpoint)?;
        let mut nodes = self.nodes(checkpoint.checkpoint().size);
        let path = inclusion_path(&mut nodes, index, size)?;
        let leaf = nodes.node(0, index)?;
        verify_inclusion(&root, size, index, &leaf, &path)?;
        Ok((leaf, path))
    }

    /// The proof that the log of `checkpoint` begins with its first `old_size` entries, for somebody who knows their
    /// root.
    ///
    /// # Errors
    /// [`ReadError::Proof`] where it is not so large, [`ReadError::Io`] or [`ReadError::Tile`].
    pub fn growth(
        &self,
        old_size: u64,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Vec<Sha256Digest>, ReadError> {
        let size = checkpoint.checkpoint().size;
        consistency_path(&mut self.nodes(size), old_size, size)
    }

    /// Reads everything: every entry is in its tile, every tile is the root of those below, and the checkpoint's root
    /// is that of the entries. Names the first file that is wrong.
    ///
    /// # Errors
    /// Every variant of [`ReadError`] except [`ReadError::Receipt`].
    pub fn audit(&self) -> Result<SignedCheckpoint, ReadError> {
        let checkpoint = self.checkpoint()?;
        let tree = checkpoint.checkpoint();
        let mut leaves = 0;
        // What each level must hold in the tile that is being filled.
        let mut expected: Vec<Vec<Sha256Digest>> = Vec::new();
        for index in 0..tree.size.div_ceil(TILE_WIDTH) {
            for leaf in leaf_hashes(&self.bundle(index, tree.size)?) {
                leaves += 1;
                self.check_filled(&mut expected, leaf, leaves, tree.size)?;
            }
        }
        for (level, hashes) in expected
            .iter()
            .enumerate()
            .filter(|(_, hashes)| !hashes.is_empty())
        {
            self.check_tile(level, tree.size >> (8 * level) >> 8, tree.size, hashes)?;
        }
        let got = edge_root(&expected);
        if got != tree.root {
            return Err(ReadError::Root {
                expected: tree.root,
                got,
            });
        }
        Ok(checkpoint)
    }

    /// Adds a leaf to the expected tiles, comparing those that it fills.
    fn check_filled(
        &self,
        expected: &mut Vec<Vec<Sha256Digest>>,
        leaf: Sha256Digest,
        leaves: u64,
        size: u64,
    ) -> Result<(), ReadError> {
        let mut hash = leaf;
        for level in 0.. {
            if level == expected.len() {
                expected.push(Vec::new());
            }
            let Some(tile) = expected.get_mut(level) else {
                break;
            };
            tile.push(hash);
            if (tile.len() as u64) < TILE_WIDTH {
                break;
            }
            let full = std::mem::take(tile);
            self.check_tile(level, (leaves >> (8 * level) >> 8).saturating_sub(1), size, &full)?;
            hash = root(&full);
        }
        Ok(())
    }

    fn check_tile(
        &self,
        level: usize,
        index: u64,
        size: u64,
        expected: &[Sha256Digest],
    ) -> Result<(), ReadError> {
        let kind = TileKind::Hashes { level: level as u8 };
        let (name, found) = self.hashes(kind, index, size)?;
        if found == expected {
            return Ok(());
        }
        Err(ReadError::Tile {
            name: name.path(),
            reason: "its hashes are not those of the entries",
        })
    }

    fn bundle(&self, index: u64, size: u64) -> Result<Vec<Vec<u8>>, ReadError> {
        let (name, bytes) = self.tile(TileKind::Entries, index, size)?;
        let entries = decode_entries(&bytes, name.width);
        let entries = entries.ok_or_else(|| damaged(&name, "it is no bundle of so many entries"))?;
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }

    pub(super) fn hashes(
        &self,
        kind: TileKind,
        index: u64,
        size: u64,
    ) -> Result<(TileName, Vec<Sha256Digest>), ReadError> {
        let (name, bytes) = self.tile(kind, index, size)?;
        let hashes = decode_hashes(&bytes, name.width);
        let hashes = hashes.ok_or_else(|| damaged(&name, "it is no tile of so many hashes"))?;
        Ok((name, hashes))
    }

    /// The bytes of a tile of a log of `size` entries. A partial tile may be gone once the full one is there.
    pub(super) fn tile(
        &self,
        kind: TileKind,
        index: u64,
        size: u64,
    ) -> Result<(TileName, Vec<u8>), ReadError> {
        let name = TileName::in_log(kind, index, size).ok_or(ProofError::BeyondTree { index, size })?;
        let path = self.folder.join(name.path());
        match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && !name.is_full() => {
                let full = self.folder.join(name.full().path());
                // The partial tile is what was asked for, so its absence is what is told.
                fs::read(full)
                    .map(|bytes| (name, bytes))
                    .map_err(|_| failed(&path, e))
            }
            read => read.map(|bytes| (name, bytes)).map_err(|e| failed(&path, e)),
        }
    }

    fn nodes(&self, size: u64) -> TileNodes<'_> {
        TileNodes {
            reader: self,
            size,
            tiles: BTreeMap::new(),
        }
    }
}

/// Subtree roots from tiles, each read once.
struct TileNodes<'a> {
    reader: &'a LogReader,
    size: u64,
    tiles: BTreeMap<(u8, u64), Vec<Sha256Digest>>,
}

impl Nodes for TileNodes<'_> {
    type Error = ReadError;

    fn node(&mut self, height: u32, index: u64) -> Result<Sha256Digest, ReadError> {
        // A height is below 64, so its level is below 8.
        let (level, within) = ((height / 8) as u8, height % 8);
        let first = index << within;
        let (tile, offset) = (first / TILE_WIDTH, (first % TILE_WIDTH) as usize);
        if !self.tiles.contains_key(&(level, tile)) {
            let (_, hashes) = self.reader.hashes(TileKind::Hashes { level }, tile, self.size)?;
            self.tiles.insert((level, tile), hashes);
        }
        let hashes = self
            .tiles
            .get(&(level, tile))
            .and_then(|t| t.get(offset..offset + (1 << within)));
        hashes.map(root).ok_or_else(|| {
            ProofError::BeyondTree {
                index: first,
                size: self.size,
            }
            .into()
        })
    }
}

fn damaged(name: &TileName, reason: &'static str) -> ReadError {
    ReadError::Tile {
        name: name.path(),
        reason,
    }
}

pub(super) fn failed(path: &Path, source: io::Error) -> ReadError {
    ReadError::Io {
        path: path.to_owned(),
        source,
    }
}
