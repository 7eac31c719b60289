//! What travels in a masked round: `docs/spec/masked-studies.md`.
//!
//! Each record names the group's context and the sender's place, so that it means nothing in another opening. Decoders
//! take the group, whose sizes bound what is read.

use std::collections::BTreeMap;

use crate::masking::{Dealing, Group, Place, Sharing, Unmasking};

/// Which record of a member's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaskRecord {
    /// Its secrets, dealt to its neighbours.
    Dealing,
    /// Its masked vector.
    Upload,
    /// The shares it opens.
    Unmasking,
}

impl MaskRecord {
    /// All of them, in the order of their steps.
    pub const ALL: [Self; 3] = [Self::Dealing, Self::Upload, Self::Unmasking];

    /// Its name in paths and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dealing => "dealing",
            Self::Upload => "upload",
            Self::Unmasking => "unmasking",
        }
    }

    fn magic(self) -> [u8; 8] {
        match self {
            Self::Dealing => *b"cwmaskdl",
            Self::Upload => *b"cwmaskup",
            Self::Unmasking => *b"cwmaskum",
        }
    }

    /// Longest record of a group, in bytes.
    #[must_use]
    pub fn bytes_max(self, group: &Group) -> u64 {
        let (members, threshold) = (u64::from(group.size), u64::from(group.threshold));
        HEADER_BYTES as u64
            + match self {
                Self::Dealing => 96 + members * 162 + threshold * 32,
                Self::Upload => 4 * group.coordinates as u64,
                Self::Unmasking => members * 35,
            }
    }
}

/// Version of the records.
const VERSION: u16 = 1;
/// Bytes before what a record holds: magic, version, place, context and a count.
const HEADER_BYTES: usize = 8 + 2 + 2 + 32 + 4;

/// Why bytes are no record of a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {} of place {place} in its group: {what}", match record { MaskRecord::Upload => "a masked vector", MaskRecord::Dealing => "a dealing", MaskRecord::Unmasking => "opened shares" })]
pub struct RecordError {
    /// What was expected.
    pub record: MaskRecord,
    /// Whose.
    pub place: u16,
    /// What is wrong.
    pub what: &'static str,
}

/// Bytes of a masked vector.
#[must_use]
pub fn encode_upload(group: &Group, from: Place, words: &[u32]) -> Vec<u8> {
    let mut bytes = header(MaskRecord::Upload, group, from, words.len());
    words
        .iter()
        .for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes
}

/// Bytes of a dealing.
#[must_use]
pub fn encode_dealing(group: &Group, dealing: &Dealing) -> Vec<u8> {
    let Dealing {
        from,
        sharing,
        shares,
    } = dealing;
    let mut bytes = header(MaskRecord::Dealing, group, *from, shares.len());
    bytes.extend_from_slice(sharing.points.as_flattened());
    for ((place, share), digests) in shares.iter().zip(sharing.digests.values()) {
        bytes.extend_from_slice(&place.0.to_le_bytes());
        bytes.extend_from_slice(digests.as_flattened());
        bytes.extend_from_slice(share);
    }
    bytes.extend_from_slice(sharing.combination.as_flattened());
    bytes
}

/// Bytes of opened shares.
#[must_use]
pub fn encode_unmasking(group: &Group, unmasking: &Unmasking) -> Vec<u8> {
    let Unmasking { from, seeds, keys } = unmasking;
    let mut bytes = header(MaskRecord::Unmasking, group, *from, seeds.len() + keys.len());
    for (kind, shares) in [(1_u8, keys), (2, seeds)] {
        for (place, share) in shares {
            bytes.push(kind);
            bytes.extend_from_slice(&place.0.to_le_bytes());
            bytes.extend_from_slice(share);
        }
    }
    bytes
}

/// Reads a masked vector.
///
/// # Errors
/// [`RecordError`].
pub fn decode_upload(group: &Group, from: Place, bytes: &[u8]) -> Result<Vec<u32>, RecordError> {
    let mut reading = Reading::start(MaskRecord::Upload, group, from, bytes)?;
    if reading.count != group.coordinates {
        return Err(reading.wrong("another number of words than the group sums"));
    }
    let words = reading.parts::<4>(reading.count)?;
    reading.end()?;
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

/// Reads a dealing. Whether it is right, its neighbours check.
///
/// # Errors
/// [`RecordError`].
pub fn decode_dealing(group: &Group, from: Place, bytes: &[u8]) -> Result<Dealing, RecordError> {
    let mut reading = Reading::start(MaskRecord::Dealing, group, from, bytes)?;
    let neighbours = group.neighbours(from);
    if reading.count != neighbours.len() {
        return Err(reading.wrong("another number of shares than it has neighbours"));
    }
    let points = [reading.part()?, reading.part()?, reading.part()?];
    let (mut digests, mut shares) = (BTreeMap::new(), BTreeMap::new());
    for expected in neighbours {
        let place = Place(u16::from_le_bytes(reading.part()?));
        if place != expected {
            return Err(reading.wrong("its neighbours are not each there once, in order of places"));
        }
        digests.insert(place, [reading.part()?, reading.part()?, reading.part()?]);
        shares.insert(place, reading.part()?);
    }
    let combination = reading.parts::<32>(group.threshold.into())?;
    reading.end()?;
    let sharing = Sharing {
        points,
        digests,
        combination,
    };
    Ok(Dealing {
        from,
        sharing,
        shares,
    })
}

/// Reads opened shares. Whether they are right, their digests tell.
///
/// # Errors
/// [`RecordError`].
pub fn decode_unmasking(group: &Group, from: Place, bytes: &[u8]) -> Result<Unmasking, RecordError> {
    let mut reading = Reading::start(MaskRecord::Unmasking, group, from, bytes)?;
    if reading.count > group.size.into() {
        return Err(reading.wrong("more shares than the group has members"));
    }
    let (mut keys, mut seeds) = (BTreeMap::new(), BTreeMap::new());
    let mut last = None;
    for _ in 0..reading.count {
        let [kind] = reading.part()?;
        let place = Place(u16::from_le_bytes(reading.part()?));
        let share = reading.part()?;
        if place.0 >= group.size || place == from || last >= Some((kind, place)) {
            return Err(reading.wrong("its shares are not in order, each of one neighbour"));
        }
        last = Some((kind, place));
        // Both shares of one neighbour would open its vector: no member publishes them.
        let of_other_kind = keys.contains_key(&place);
        match kind {
            1 => keys.insert(place, share),
            2 if !of_other_kind => seeds.insert(place, share),
            2 => return Err(reading.wrong("both shares of one neighbour")),
            _ => return Err(reading.wrong("a share is of a key or of a seed")),
        };
    }
    reading.end()?;
    Ok(Unmasking { from, seeds, keys })
}

fn header(record: MaskRecord, group: &Group, from: Place, count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::try_from(record.bytes_max(group)).unwrap_or(0));
    bytes.extend_from_slice(&record.magic());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&from.0.to_le_bytes());
    bytes.extend_from_slice(&group.context);
    let count = u32::try_from(count).expect("a vector has at most 2^24 words and one");
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes
}

struct Reading<'a> {
    record: MaskRecord,
    from: Place,
    count: usize,
    rest: &'a [u8],
}

impl<'a> Reading<'a> {
    fn start(record: MaskRecord, group: &Group, from: Place, bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut reading = Self {
            record,
            from,
            count: 0,
            rest: bytes,
        };
        if bytes.len() as u64 > record.bytes_max(group) {
            return Err(reading.wrong("longer than the group allows"));
        }
        if reading.part()? != record.magic() {
            return Err(reading.wrong("its first bytes are others"));
        }
        if u16::from_le_bytes(reading.part()?) != VERSION {
            return Err(reading.wrong("its version is not 1"));
        }
        if u16::from_le_bytes(reading.part()?) != from.0 {
            return Err(reading.wrong("it names another place"));
        }
        if reading.part::<32>()? != group.context {
            return Err(reading.wrong("it belongs to another group, round or opening"));
        }
        reading.count = u32::from_le_bytes(reading.part()?) as usize;
        Ok(reading)
    }

    fn wrong(&self, what: &'static str) -> RecordError {
        RecordError {
            record: self.record,
            place: self.from.0,
            what,
        }
    }

    fn part<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(self.wrong("it ends early"))?;
        self.rest = rest;
        Ok(*first)
    }

    fn parts<const N: usize>(&mut self, count: usize) -> Result<Vec<[u8; N]>, RecordError> {
        let length = count.checked_mul(N).filter(|length| *length <= self.rest.len());
        let (parts, rest) = self.rest.split_at(length.ok_or(self.wrong("it ends early"))?);
        self.rest = rest;
        Ok(parts.as_chunks::<N>().0.to_vec())
    }

    fn end(&self) -> Result<(), RecordError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(self.wrong("it goes on after its end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

    use super::*;
    use crate::masking::Member;

    fn group() -> Group {
        Group {
            context: [7; 32],
            size: 4,
            degree: 3,
            threshold: 2,
            fewest_survivors: 3,
            coordinates: 5,
        }
    }

    fn dealing() -> Dealing {
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let mut members: Vec<_> = (0..4)
            .map(|place| Member::new(&group(), Place(place), &mut random).unwrap())
            .collect();
        let announced: Vec<_> = members.iter().map(Member::announcement).collect();
        members[1].share(&announced, &mut random).unwrap()
    }

    fn unmasking() -> Unmasking {
        Unmasking {
            from: Place(1),
            seeds: [(Place(0), [1; 32]), (Place(2), [2; 32])].into(),
            keys: [(Place(3), [3; 32])].into(),
        }
    }

    #[test]
    fn records_read_back() {
        let (group, from) = (group(), Place(1));
        let words = [1, 2, u32::MAX, 4, 5];
        let bytes = encode_upload(&group, from, &words);
        assert_eq!(bytes.len() as u64, MaskRecord::Upload.bytes_max(&group));
        assert_eq!(decode_upload(&group, from, &bytes).unwrap(), words);
        let bytes = encode_dealing(&group, &dealing());
        assert_eq!(decode_dealing(&group, from, &bytes).unwrap(), dealing());
        let bytes = encode_unmasking(&group, &unmasking());
        assert_eq!(decode_unmasking(&group, from, &bytes).unwrap(), unmasking());
    }

    /// The error of each decoder, for bytes in which one thing is spoiled.
    fn spoiled(record: MaskRecord, change: impl Fn(&mut Vec<u8>)) -> Option<&'static str> {
        let (group, from) = (group(), Place(1));
        let mut bytes = match record {
            MaskRecord::Upload => encode_upload(&group, from, &[0; 5]),
            MaskRecord::Dealing => encode_dealing(&group, &dealing()),
            MaskRecord::Unmasking => encode_unmasking(&group, &unmasking()),
        };
        change(&mut bytes);
        let error = match record {
            MaskRecord::Upload => decode_upload(&group, from, &bytes).err(),
            MaskRecord::Dealing => decode_dealing(&group, from, &bytes).err(),
            MaskRecord::Unmasking => decode_unmasking(&group, from, &bytes).err(),
        };
        error.map(|error| error.what)
    }

    #[test]
    fn what_is_spoiled_is_named() {
        for record in MaskRecord::ALL {
            let refused = |change: &dyn Fn(&mut Vec<u8>)| spoiled(record, change).unwrap();
            assert_eq!(refused(&|bytes| bytes[0] ^= 1), "its first bytes are others");
            assert_eq!(refused(&|bytes| bytes[8] = 2), "its version is not 1");
            assert_eq!(refused(&|bytes| bytes[10] = 2), "it names another place");
            let other = "it belongs to another group, round or opening";
            assert_eq!(refused(&|bytes| bytes[20] ^= 1), other);
            refused(&|bytes| bytes.push(0));
            refused(&|bytes| assert!(bytes.pop().is_some()));
            refused(&|bytes| bytes[44..48].fill(255));
            refused(&|bytes| bytes[44] += 1);
            for length in 0..48 {
                refused(&|bytes| bytes.truncate(length));
            }
        }
        let order = "its neighbours are not each there once, in order of places";
        assert_eq!(spoiled(MaskRecord::Dealing, |bytes| bytes[144] = 1), Some(order));
        let kinds = "a share is of a key or of a seed";
        assert_eq!(
            spoiled(MaskRecord::Unmasking, |bytes| bytes[48 + 70] = 3),
            Some(kinds)
        );
        let order = "its shares are not in order, each of one neighbour";
        assert_eq!(spoiled(MaskRecord::Unmasking, |bytes| bytes[49] = 1), Some(order));
        assert_eq!(spoiled(MaskRecord::Unmasking, |bytes| bytes[49] = 4), Some(order));
        let both = "both shares of one neighbour";
        assert_eq!(spoiled(MaskRecord::Unmasking, |bytes| bytes[49] = 0), Some(both));
    }
}
