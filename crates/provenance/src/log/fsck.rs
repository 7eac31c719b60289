//! Rebuilding a log from its files and naming every file that is wrong.
//!
//! Each tile is held against what is above it (its root is a hash of the tile one level up, and the tiles at the right edge
//! lead to the signed root) and against what is below it (each of its hashes is the root of a tile, or the hash of an
//! entry). What is vouched for from above and denied from below is damaged below; what is denied from above is damaged
//! itself. So one damaged file is named alone, and damage in several places is named in each.

use std::{collections::BTreeMap, fmt, fs, io, path::PathBuf};

use counterweight_primitives::Sha256Digest;

use super::{
    note::{NoteError, SignedCheckpoint, VerifierKey},
    reader::CHECKPOINT,
    tile::{TILE_WIDTH, TileKind, TileName, decode_entries, decode_hashes},
    tree::{edge_root, leaf_hashes, root},
};

/// Where the files of a log are read from.
pub trait LogSource {
    /// The bytes of a file, by its path below the log; none where there is none.
    ///
    /// # Errors
    /// An I/O error where it is not known whether there is one.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// The paths of all partial tiles that are there, where the source can list them.
    ///
    /// # Errors
    /// An I/O error.
    fn partial_tiles(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// A folder.
#[derive(Debug, Clone)]
pub struct FolderSource(
    /// Where the log is.
    pub PathBuf,
);

impl LogSource for FolderSource {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn partial_tiles(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec!["tile".to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(self.0.join(&folder)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for entry in entries {
                let entry = entry?;
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                } else if folder.ends_with(".p") {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Something that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The checkpoint is missing.
    NoCheckpoint,
    /// The checkpoint does not hold.
    Checkpoint(NoteError),
    /// A file that the checkpoint asks for is missing.
    Missing {
        /// Its path.
        path: String,
    },
    /// A file has another form: cut, too long, or not a bundle.
    Malformed {
        /// Its path.
        path: String,
    },
    /// Entries of a bundle were changed: the tree vouches for others.
    Entries {
        /// Path of the bundle.
        path: String,
        /// The first that differs, counted from the beginning of the log.
        first: u64,
    },
    /// Hashes of a tile were changed: neither what is above nor what is below it has them.
    Hashes {
        /// Path of the tile.
        path: String,
    },
    /// A partial tile of an older checkpoint is no beginning of the tile that came after it.
    OldPartial {
        /// Its path.
        path: String,
    },
    /// The files agree with each other, and lead to another root than was signed.
    Root {
        /// Root signed.
        expected: Sha256Digest,
        /// Root of what is there.
        got: Sha256Digest,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCheckpoint => f.write_str("checkpoint: missing"),
            Self::Checkpoint(error) => write!(f, "checkpoint: {error}"),
            Self::Missing { path } => write!(f, "{path}: missing"),
            Self::Malformed { path } => write!(f, "{path}: not a file of this form and size"),
            Self::Entries { path, first } => write!(f, "{path}: entry {first} is not the one in the tree"),
            Self::Hashes { path } => write!(f, "{path}: its hashes are not those of the tree"),
            Self::OldPartial { path } => write!(f, "{path}: does not begin the tile that came after it"),
            Self::Root { expected, got } => {
                write!(f, "the entries have root {got}, the checkpoint says {expected}")
            }
        }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The checkpoint, where it holds.
    pub checkpoint: Option<SignedCheckpoint>,
    /// Files read.
    pub files: u64,
    /// What is wrong, in the order of the tree from the entries up.
    pub findings: Vec<Finding>,
}

/// Reads all of a log and checks it against its checkpoint.
///
/// # Errors
/// An I/O error where a file could not be read; a file that is not there is a finding.
pub fn fsck(source: &dyn LogSource, key: &VerifierKey) -> io::Result<Report> {
    let mut report = Report {
        checkpoint: None,
        files: 0,
        findings: Vec::new(),
    };
    let Some(note) = source.read(CHECKPOINT)? else {
        report.findings.push(Finding::NoCheckpoint);
        return Ok(report);
    };
    report.files += 1;
    let note = String::from_utf8(note).unwrap_or_default();
    let checkpoint = match SignedCheckpoint::verify(&note, key) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            report.findings.push(Finding::Checkpoint(error));
            return Ok(report);
        }
    };
    let tree = checkpoint.checkpoint().clone();
    let mut check = Check {
        source,
        size: tree.size,
        report: &mut report,
    };
    let levels = check.levels()?;
    check.judge(&levels, tree.root);
    check.old_partials()?;
    report.checkpoint = Some(checkpoint);
    Ok(report)
}

/// A tile as it was read, and what is known about it.
struct Tile {
    name: TileName,
    /// Its hashes; recomputed from below where the file is missing or malformed.
    hashes: Option<Vec<Sha256Digest>>,
    /// Whether the hashes are the file's own.
    stored: bool,
    /// First of its hashes that what is below denies.
    denied: Option<u64>,
}

struct Check<'a> {
    source: &'a dyn LogSource,
    size: u64,
    report: &'a mut Report,
}

impl Check<'_> {
    /// Reads all tiles, from the entries up. Of the levels below only the roots of their tiles are kept.
    fn levels(&mut self) -> io::Result<Vec<Vec<Tile>>> {
        let mut levels: Vec<Vec<Tile>> = Vec::new();
        for level in 0..8_u8 {
            let kind = TileKind::Hashes { level };
            if TileName::in_log(kind, 0, self.size).is_none() {
                break;
            }
            let mut tiles = Vec::new();
            for index in 0.. {
                let Some(name) = TileName::in_log(kind, index, self.size) else {
                    break;
                };
                let below = match levels.last() {
                    None => self.leaves(index)?,
                    Some(children) => roots_of(children, index, name.width),
                };
                tiles.push(self.tile(name, below)?);
            }
            levels.push(tiles);
        }
        Ok(levels)
    }

    /// Hashes of the entries of a bundle; none for each where it cannot be read.
    fn leaves(&mut self, index: u64) -> io::Result<Vec<Option<Sha256Digest>>> {
        let Some(name) = TileName::in_log(TileKind::Entries, index, self.size) else {
            return Ok(Vec::new());
        };
        let unknown = vec![None; usize::from(name.width)];
        let Some(bytes) = self.file(&name)? else {
            return Ok(unknown);
        };
        match decode_entries(&bytes, name.width) {
            Some(entries) => Ok(leaf_hashes(&entries).into_iter().map(Some).collect()),
            None => {
                self.report
                    .findings
                    .push(Finding::Malformed { path: name.path() });
                Ok(unknown)
            }
        }
    }

    fn tile(&mut self, name: TileName, below: Vec<Option<Sha256Digest>>) -> io::Result<Tile> {
        let mut stored = None;
        if let Some(bytes) = self.file(&name)? {
            stored = decode_hashes(&bytes, name.width);
            if stored.is_none() {
                self.report
                    .findings
                    .push(Finding::Malformed { path: name.path() });
            }
        }
        let denied = stored.as_ref().and_then(|hashes| {
            let mut pairs = hashes.iter().zip(&below);
            let place = pairs.position(|(hash, below)| below.is_some_and(|below| below != *hash));
            place.map(|place| place as u64)
        });
        Ok(Tile {
            name,
            stored: stored.is_some(),
            hashes: stored.or_else(|| below.into_iter().collect()),
            denied,
        })
    }

    /// A file, or its full form where a partial one is gone; a finding where there is neither.
    fn file(&mut self, name: &TileName) -> io::Result<Option<Vec<u8>>> {
        let mut found = self.source.read(&name.path())?;
        if found.is_none() && !name.is_full() {
            found = self.source.read(&name.full().path())?;
        }
        match &found {
            Some(_) => self.report.files += 1,
            None => self.report.findings.push(Finding::Missing { path: name.path() }),
        }
        Ok(found)
    }

    /// Finds out who is wrong where two files deny each other.
    fn judge(&mut self, levels: &[Vec<Tile>], signed: Sha256Digest) {
        let edge: Option<Vec<Vec<Sha256Digest>>> = levels
            .iter()
            .map(|tiles| match tiles.last() {
                Some(tile) if !tile.name.is_full() => tile.hashes.clone(),
                _ => Some(Vec::new()),
            })
            .collect();
        let got = edge.as_deref().map(edge_root);
        let edge_holds = got == Some(signed);
        let mut named = 0;
        for (level, tiles) in levels.iter().enumerate() {
            for tile in tiles {
                // From above: the hash in the parent, or the signed root for what has no parent yet.
                let vouched = if tile.name.is_full() {
                    let parent = levels
                        .get(level + 1)
                        .and_then(|tiles| tiles.get((tile.name.index / TILE_WIDTH) as usize));
                    let place = (tile.name.index % TILE_WIDTH) as usize;
                    let hash = parent.and_then(|parent| parent.hashes.as_ref()?.get(place).copied());
                    hash.is_none() || hash == tile.hashes.as_deref().map(root)
                } else {
                    edge_holds
                };
                let Some(place) = tile.denied.filter(|_| tile.stored) else {
                    continue;
                };
                let finding = if !vouched {
                    Finding::Hashes {
                        path: tile.name.path(),
                    }
                } else if level == 0 {
                    let bundle = TileName {
                        kind: TileKind::Entries,
                        ..tile.name
                    };
                    Finding::Entries {
                        path: bundle.path(),
                        first: tile.name.index * TILE_WIDTH + place,
                    }
                } else {
                    // The child that is denied is denied from below as well, and named there; where it is not, both it and
                    // all below it were replaced together.
                    let index = tile.name.index * TILE_WIDTH + place;
                    let child = levels.get(level - 1).and_then(|tiles| tiles.get(index as usize));
                    match child.filter(|child| child.denied.is_none()) {
                        Some(child) => Finding::Hashes {
                            path: child.name.path(),
                        },
                        None => continue,
                    }
                };
                named += 1;
                self.report.findings.push(finding);
            }
        }
        // Missing and malformed files have been named; without them all there is leads elsewhere.
        if let Some(got) = got.filter(|_| !edge_holds && named == 0 && self.report.findings.is_empty()) {
            self.report.findings.push(Finding::Root {
                expected: signed,
                got,
            });
        }
    }

    /// Partial tiles that older checkpoints left must begin what came after them.
    fn old_partials(&mut self) -> io::Result<()> {
        let mut current: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        for path in self.source.partial_tiles()? {
            let Some((full, width)) = path.rsplit_once(".p/") else {
                continue;
            };
            if !current.contains_key(full) {
                let newest = self.newest(full)?;
                current.insert(full.to_owned(), newest);
            }
            let Some(newest) = current.get(full).and_then(Option::as_ref) else {
                continue;
            };
            let Some(bytes) = self.source.read(&path)? else {
                continue;
            };
            self.report.files += 1;
            // Files beyond the checkpoint are left from an append that did not end: nobody was told of them.
            let wide = width.parse::<u64>().unwrap_or_default();
            if wide <= self.width_of(full) && !newest.starts_with(&bytes) {
                // Where the newer tile was named already, it is the one that is wrong.
                let told = self.report.findings.iter().any(|told| match told {
                    Finding::Hashes { path: named }
                    | Finding::Malformed { path: named }
                    | Finding::Entries { path: named, .. } => named.split(".p/").next() == Some(full),
                    _ => false,
                });
                if !told {
                    self.report.findings.push(Finding::OldPartial { path });
                }
            }
        }
        Ok(())
    }

    /// Items that the log of the checkpoint has in the tile with this full path.
    fn width_of(&self, full: &str) -> u64 {
        let Some((kind, index)) = parse_full_path(full) else {
            return 0;
        };
        TileName::in_log(kind, index, self.size).map_or(0, |name| u64::from(name.width))
    }

    /// The tile that the checkpoint asks for.
    fn newest(&self, full: &str) -> io::Result<Option<Vec<u8>>> {
        let Some((kind, index)) = parse_full_path(full) else {
            return Ok(None);
        };
        let Some(name) = TileName::in_log(kind, index, self.size) else {
            return Ok(None);
        };
        match self.source.read(&name.path())? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.source.read(&name.full().path()),
        }
    }
}

/// Roots of the children whose hashes a tile holds; none where a child's hashes are not known.
fn roots_of(children: &[Tile], index: u64, width: u16) -> Vec<Option<Sha256Digest>> {
    let first = (index * TILE_WIDTH) as usize;
    let children = children.get(first..).unwrap_or_default();
    children
        .iter()
        .take(usize::from(width))
        .map(|child| child.hashes.as_deref().map(root))
        .collect()
}

/// Kind and index of a tile from its full path.
fn parse_full_path(path: &str) -> Option<(TileKind, u64)> {
    TileName::parse(path).map(|name| (name.kind, name.index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{
        Log,
        note::{Checkpoint, NoteSigner},
        tile::encode_hashes,
        tree::leaf_hash,
    };

    fn signer() -> NoteSigner {
        NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap()
    }

    /// 66,100 entries: three levels, full and partial tiles at the two lower ones; and the partial tiles of an older
    /// checkpoint that came before.
    fn log() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path(), signer()).unwrap();
        for range in [0..66_050, 66_050..66_100] {
            let entries: Vec<_> = range.map(|i| format!("entry {i}")).collect();
            log.append(&entries).unwrap();
        }
        folder
    }

    fn check(folder: &tempfile::TempDir) -> Vec<Finding> {
        fsck(&FolderSource(folder.path().to_owned()), signer().verifier())
            .unwrap()
            .findings
    }

    /// Does something to a file, checks, and puts the file back.
    fn with(folder: &tempfile::TempDir, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Finding> {
        let path = folder.path().join(file);
        let before = fs::read(&path).unwrap();
        let mut bytes = before.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let found = check(folder);
        fs::write(&path, before).unwrap();
        found
    }

    #[test]
    fn each_planted_corruption_is_found_where_it_is() {
        let folder = log();
        let report = fsck(&FolderSource(folder.path().to_owned()), signer().verifier()).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(report.checkpoint.unwrap().checkpoint().size, 66_100);

        // One flipped bit in a tile of every level, full and partial.
        for file in [
            "tile/0/000",
            "tile/0/100",
            "tile/0/257",
            "tile/0/258.p/52",
            "tile/1/000",
            "tile/1/001.p/2",
            "tile/2/000.p/1",
        ] {
            for at in [0, 20] {
                let found = with(&folder, file, |bytes| bytes[at] ^= 4);
                assert_eq!(
                    found,
                    [Finding::Hashes {
                        path: file.to_owned()
                    }]
                );
            }
            let cut = with(&folder, file, |bytes| bytes.truncate(bytes.len() - 1));
            assert_eq!(
                cut,
                [Finding::Malformed {
                    path: file.to_owned()
                }]
            );
        }
        // An entry changed, another length claimed, one left out.
        for (file, first) in [
            ("tile/entries/000", 255),
            ("tile/entries/257", 66_047),
            ("tile/entries/258.p/52", 66_099),
        ] {
            let path = file.to_owned();
            let found = with(&folder, file, |bytes| *bytes.last_mut().unwrap() ^= 1);
            assert_eq!(
                found,
                [Finding::Entries {
                    path: path.clone(),
                    first
                }]
            );
            let found = with(&folder, file, |bytes| bytes[0] ^= 0x80);
            assert_eq!(found, [Finding::Malformed { path: path.clone() }]);
            let found = with(&folder, file, |bytes| {
                bytes.truncate(bytes.len() - 13);
            });
            assert_eq!(found, [Finding::Malformed { path }]);
        }
        // A file taken away.
        for file in [
            "tile/0/100",
            "tile/1/000",
            "tile/2/000.p/1",
            "tile/entries/003",
            "tile/entries/258.p/52",
        ] {
            let path = folder.path().join(file);
            let kept = folder.path().join("kept");
            fs::rename(&path, &kept).unwrap();
            assert_eq!(
                check(&folder),
                [Finding::Missing {
                    path: file.to_owned()
                }]
            );
            fs::rename(&kept, &path).unwrap();
        }
        // A partial tile of the older checkpoint that tells another history.
        let file = "tile/0/258.p/2";
        let found = with(&folder, file, |bytes| bytes[40] ^= 1);
        assert_eq!(
            found,
            [Finding::OldPartial {
                path: file.to_owned()
            }]
        );
        // The checkpoint.
        let found = with(&folder, CHECKPOINT, |bytes| bytes[20] ^= 1);
        assert!(matches!(found.as_slice(), [Finding::Checkpoint(_)]));
        fs::remove_file(folder.path().join(CHECKPOINT)).unwrap();
        assert_eq!(check(&folder), [Finding::NoCheckpoint]);
    }

    #[test]
    fn damage_in_several_places_is_named_in_each() {
        let folder = log();
        for (file, at) in [
            ("tile/0/007", 33),
            ("tile/entries/200", 5),
            ("tile/0/258.p/52", 1),
        ] {
            let path = folder.path().join(file);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at] ^= 1;
            fs::write(path, bytes).unwrap();
        }
        fs::remove_file(folder.path().join("tile/entries/050")).unwrap();
        let mut found: Vec<_> = check(&folder).iter().map(Finding::to_string).collect();
        found.sort();
        assert_eq!(
            found,
            [
                "tile/0/007: its hashes are not those of the tree",
                "tile/0/258.p/52: its hashes are not those of the tree",
                "tile/entries/050: missing",
                "tile/entries/200: entry 51200 is not the one in the tree",
            ]
        );
    }

    /// Tiles and entries replaced together, so that only a higher tile or the signature tells.
    #[test]
    fn a_history_rewritten_with_its_tiles_is_found() {
        let folder = log();
        let path = folder.path().join("tile/entries/009");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        let entries = decode_entries(&bytes, 256).unwrap();
        let hashes: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        fs::write(folder.path().join("tile/0/009"), encode_hashes(&hashes)).unwrap();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(
            check(&folder),
            [Finding::Hashes {
                path: "tile/0/009".to_owned()
            }]
        );

        let small = tempfile::tempdir().unwrap();
        let mut log = Log::open(small.path(), signer()).unwrap();
        log.append(&["one", "two"]).unwrap();
        let other = Checkpoint {
            origin: "example.com/log".to_owned(),
            size: 2,
            root: Sha256Digest([1; 32]),
        };
        let note = other.sign(&signer()).unwrap();
        fs::write(small.path().join(CHECKPOINT), note.note()).unwrap();
        assert!(matches!(check(&small).as_slice(), [Finding::Root { .. }]));
    }
}
