//! Files of a log: tiles of hashes and bundles of entries (C2SP tlog-tiles).
//!
//! A tile at level `l` holds up to 256 hashes, each the root of a full subtree of `256^l` entries. Tiles that are not
//! full exist for sizes that had a checkpoint, and are not hashed upward.

use counterweight_primitives::Sha256Digest;

/// Hashes of a full tile, entries of a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Most bytes of an entry: its length is stored in 16 bits.
pub const ENTRY_BYTES: usize = u16::MAX as usize;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TileKind {
    /// Hashes of subtrees of `256^level` entries.
    Hashes {
        /// Level, counted from the entries up.
        level: u8,
    },
    /// Entries.
    Entries,
}

/// Names a tile or bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileName {
    /// What it holds.
    pub kind: TileKind,
    /// Place in its level, counted from 0.
    pub index: u64,
    /// Hashes or entries in it, 1 to 256.
    pub width: u16,
}

impl TileName {
    /// The tile with an index in a log of `size` entries; none where such a log has no such tile.
    #[must_use]
    pub fn in_log(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let level = match kind {
            TileKind::Hashes { level } => level,
            TileKind::Entries => 0,
        };
        // Beyond level 7 there is not one full subtree, whatever the size.
        let items = if level < 8 { size >> (8 * level) } else { 0 };
        let items_here = items.checked_sub(index.checked_mul(TILE_WIDTH)?)?.min(TILE_WIDTH);
        (items_here > 0).then_some(Self {
            kind,
            index,
            width: items_here as u16,
        })
    }

    /// Whether it is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        u64::from(self.width) == TILE_WIDTH
    }

    /// The same tile once it is full.
    #[must_use]
    pub fn full(&self) -> Self {
        Self {
            width: TILE_WIDTH as u16,
            ..*self
        }
    }

    /// Its path below the log: `tile/0/x001/234.p/5`.
    #[must_use]
    pub fn path(&self) -> String {
        let full = self.full_path();
        if self.is_full() {
            full
        } else {
            format!("{full}.p/{}", self.width)
        }
    }

    /// The name that has this path; none where a path has another form. Each name has one path.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match level {
            "entries" => TileKind::Entries,
            digits => TileKind::Hashes {
                level: digits.parse().ok().filter(|level| *level < 64)?,
            },
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, digits)) => (groups, digits.parse().ok()?),
            None => (rest, TILE_WIDTH as u16),
        };
        let mut index = 0_u64;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let name = Self { kind, index, width };
        // Holds the text to its one form, and the width to 1 to 256.
        let wide = (1..=TILE_WIDTH).contains(&u64::from(width));
        (wide && name.path() == path).then_some(name)
    }

    /// The folder of its partial forms.
    #[must_use]
    pub fn partial_folder(&self) -> String {
        format!("{}.p", self.full_path())
    }

    fn full_path(&self) -> String {
        let mut path = match self.kind {
            TileKind::Hashes { level } => format!("tile/{level}"),
            TileKind::Entries => "tile/entries".to_owned(),
        };
        // Groups of three digits; all but the last begin with x.
        let digits = self.index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for start in (0..digits.len()).step_by(3) {
            let last = start + 3 == digits.len();
            path.push_str(if last { "/" } else { "/x" });
            path.push_str(&digits[start..start + 3]);
        }
        path
    }
}

/// The bytes of a tile of hashes.
#[must_use]
pub fn encode_hashes(hashes: &[Sha256Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The first `width` hashes of a tile; none if there are not so many, or there is part of one.
#[must_use]
pub fn decode_hashes(bytes: &[u8], width: u16) -> Option<Vec<Sha256Digest>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    let wanted = hashes.get(..usize::from(width)).filter(|_| rest.is_empty())?;
    Some(wanted.iter().copied().map(Sha256Digest).collect())
}

/// Adds an entry to a bundle. It must have at most [`ENTRY_BYTES`]; longer ones are not added, and false returned.
#[must_use]
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else {
        return false;
    };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The first `width` entries of a bundle; none if there are not so many, or there is part of one.
#[must_use]
pub fn decode_entries(mut bytes: &[u8], width: u16) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
        if entries.len() as u64 > TILE_WIDTH {
            return None;
        }
    }
    if !bytes.is_empty() || entries.len() < usize::from(width) {
        return None;
    }
    entries.truncate(usize::from(width));
    Some(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(kind: TileKind, index: u64, width: u16) -> TileName {
        TileName { kind, index, width }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let hashes = TileKind::Hashes { level: 0 };
        assert_eq!(name(hashes, 1_234_067, 256).path(), "tile/0/x001/x234/067");
        assert_eq!(name(TileKind::Entries, 0, 256).path(), "tile/entries/000");
        assert_eq!(
            name(TileKind::Hashes { level: 12 }, 999, 17).path(),
            "tile/12/999.p/17"
        );
        assert_eq!(
            name(TileKind::Entries, 1000, 255).path(),
            "tile/entries/x001/000.p/255"
        );
    }

    #[test]
    fn each_name_has_one_path() {
        for path in [
            "tile/0/x001/x234/067",
            "tile/entries/000",
            "tile/12/999.p/17",
            "tile/entries/x001/000.p/255",
            "tile/63/x018/x446/x744/x073/x709/x551/615",
        ] {
            assert_eq!(TileName::parse(path).unwrap().path(), path);
        }
        for path in [
            "tile/0/x000/001",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/0/1",
            "tile/0/0001",
            "tile/00/000",
            "tile/64/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/007",
            "tile/0/000.p/",
            "tile/0/../000",
            "tile/0/+01",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "checkpoint",
            "tile/0",
            "",
        ] {
            assert_eq!(TileName::parse(path), None, "{path}");
        }
    }

    /// The example of the specification: 273 full and one of 112 at level 0, one full and one of 17 at level 1, one of
    /// 1 at level 2.
    #[test]
    fn a_log_of_70_000_has_the_tiles_of_the_specification() {
        let tiles = |level, size| -> Vec<u16> {
            let kind = TileKind::Hashes { level };
            (0..)
                .map_while(|i| TileName::in_log(kind, i, size))
                .map(|t| t.width)
                .collect()
        };
        let level0 = tiles(0, 70_000);
        assert_eq!(level0.len(), 274);
        assert!(level0[..273].iter().all(|w| *w == 256));
        assert_eq!(level0[273], 112);
        assert_eq!(tiles(1, 70_000), [256, 17]);
        assert_eq!(tiles(2, 70_000), [1]);
        assert_eq!(tiles(3, 70_000), [0_u16; 0]);
        assert_eq!((tiles(0, 256), tiles(1, 256)), (vec![256], vec![1]));
        assert_eq!(
            TileName::in_log(TileKind::Hashes { level: 63 }, u64::MAX, u64::MAX),
            None
        );
    }

    proptest! {
        #[test]
        fn bundles_read_back(entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..=256)) {
            let mut bundle = Vec::new();
            for entry in &entries {
                prop_assert!(push_entry(&mut bundle, entry));
            }
            let read = decode_entries(&bundle, entries.len() as u16).unwrap();
            prop_assert_eq!(&read, &entries);
            prop_assert_eq!(decode_entries(&bundle, entries.len() as u16 + 1), None);
            bundle.push(0);
            prop_assert_eq!(decode_entries(&bundle, entries.len() as u16), None);
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes: Vec<u8>, width: u16, path: String) {
            let _ = TileName::parse(&path);
            let _ = TileName::parse(&format!("tile/{path}"));
            let _ = decode_entries(&bytes, width);
            let _ = decode_hashes(&bytes, width);
        }
    }

    #[test]
    fn longer_entries_are_not_added() {
        let mut bundle = Vec::new();
        assert!(push_entry(&mut bundle, &vec![0; ENTRY_BYTES]));
        assert!(!push_entry(&mut bundle, &vec![0; ENTRY_BYTES + 1]));
        assert_eq!(bundle.len(), ENTRY_BYTES + 2);
    }
}
