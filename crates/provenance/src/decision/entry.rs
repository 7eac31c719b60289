//! What stands in the log for a decision: 86 bytes, from which nothing about the person can be learnt.

use counterweight_primitives::{Sha256Digest, UnixMillis};

/// First bytes of every entry.
const TAG: &[u8; 4] = b"CWD1";

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = 86;

/// What an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A decision.
    Decision {
        /// Its number at its endpoint, counted from 0 without gaps.
        counter: u64,
    },
    /// An explanation that was asked for later.
    Explanation {
        /// Place in the log of the decision.
        decision: u64,
    },
    /// A decision that replaces an earlier one, which stays.
    Correction {
        /// Place in the log of what it replaces: a decision, or a correction.
        replaces: u64,
    },
}

impl EntryKind {
    /// Whether it has the fields of a decision.
    #[must_use]
    pub fn decides(self) -> bool {
        !matches!(self, Self::Explanation { .. })
    }
}

/// What is told of a decision in public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// A person looked at it.
    pub reviewed: bool,
    /// A person decided otherwise than the model.
    pub overridden: bool,
    /// The output is generated content.
    pub generated: bool,
}

impl Flags {
    fn to_byte(self) -> u8 {
        u8::from(self.reviewed) | u8::from(self.overridden) << 1 | u8::from(self.generated) << 2
    }

    fn from_byte(byte: u8) -> Option<Self> {
        (byte < 8).then_some(Self {
            reviewed: byte & 1 != 0,
            overridden: byte & 2 != 0,
            generated: byte & 4 != 0,
        })
    }
}

/// An entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionEntry {
    /// What it records.
    pub kind: EntryKind,
    /// What is told in public.
    pub flags: Flags,
    /// When, by the clock of whoever recorded it.
    pub time: UnixMillis,
    /// SHA-256 of the profile's entry.
    pub profile: Sha256Digest,
    /// What commits to the fields.
    pub commitment: Sha256Digest,
}

impl DecisionEntry {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let (kind, number) = match self.kind {
            EntryKind::Decision { counter } => (1, counter),
            EntryKind::Explanation { decision } => (2, decision),
            EntryKind::Correction { replaces } => (3, replaces),
        };
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..4].copy_from_slice(TAG);
        bytes[4] = kind;
        bytes[5] = self.flags.to_byte();
        bytes[6..14].copy_from_slice(&number.to_be_bytes());
        bytes[14..22].copy_from_slice(&self.time.0.to_be_bytes());
        bytes[22..54].copy_from_slice(&self.profile.0);
        bytes[54..].copy_from_slice(&self.commitment.0);
        bytes
    }

    /// Reads an entry; none where the bytes are of another kind of entry, or no entry of ours has them.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ENTRY_BYTES] = bytes.try_into().ok()?;
        let rest = bytes.strip_prefix(TAG)?;
        let ([kind, flags], rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (profile, rest) = rest.split_first_chunk()?;
        let number = u64::from_be_bytes(*number);
        let kind = match kind {
            1 => EntryKind::Decision { counter: number },
            2 => EntryKind::Explanation { decision: number },
            3 => EntryKind::Correction { replaces: number },
            _ => return None,
        };
        Some(Self {
            kind,
            flags: Flags::from_byte(*flags)?,
            time: UnixMillis(u64::from_be_bytes(*time)),
            profile: Sha256Digest(*profile),
            commitment: Sha256Digest(rest.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_read_back_and_bytes_have_one_reading(
            number: u64, time: u64, flags in 0_u8..8, kind in 0_u8..3, profile: [u8; 32], commitment: [u8; 32],
        ) {
            let kind = match kind {
                0 => EntryKind::Decision { counter: number },
                1 => EntryKind::Explanation { decision: number },
                _ => EntryKind::Correction { replaces: number },
            };
            let entry = DecisionEntry {
                kind,
                flags: Flags::from_byte(flags).unwrap(),
                time: UnixMillis(time),
                profile: Sha256Digest(profile),
                commitment: Sha256Digest(commitment),
            };
            prop_assert_eq!(DecisionEntry::decode(&entry.encode()), Some(entry));
        }

        #[test]
        fn other_bytes_are_no_entry(mut bytes in proptest::collection::vec(any::<u8>(), ENTRY_BYTES), cut in 0..ENTRY_BYTES) {
            prop_assert_eq!(DecisionEntry::decode(&bytes[..cut]), None);
            bytes[..6].copy_from_slice(b"CWD1\x04\x00");
            prop_assert_eq!(DecisionEntry::decode(&bytes), None);
            bytes[..6].copy_from_slice(b"CWD1\x01\x08");
            prop_assert_eq!(DecisionEntry::decode(&bytes), None);
            bytes.push(0);
            prop_assert_eq!(DecisionEntry::decode(&bytes), None);
        }
    }
}
