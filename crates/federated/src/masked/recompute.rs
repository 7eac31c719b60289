//! The sums of a round from its public records, and who broke which rule: the same for coordinator and auditor.

use std::collections::{BTreeMap, BTreeSet};

use counterweight_primitives::{ContentDigest, MemberIndex};
use counterweight_provenance::blobs::BlobError;

use super::{
    groups::{MaskedGroup, MaskedGroups},
    record::{MaskRecord, RecordError, decode_dealing, decode_unmasking, decode_upload},
    turn::DrawnGroup,
    vector::WordFormat,
};
use crate::{
    blobs::Blobs,
    ledger::masking::MaskRound,
    masking::{
        Announcement, Dealing, Group, Place, RecoverError, Unmasking, recover,
        roots::{shares_root, vector_root},
        wrong_shares,
    },
    member_set::MemberSet,
};

/// What is wrong with a member's part in a round.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A digest that should be on the ledger is not.
    #[error("recorded no {}", record.name())]
    NotRecorded {
        /// Which.
        record: MaskRecord,
    },
    /// Bytes are not there, or others than their digest says.
    #[error("its {} cannot be read: {problem}", record.name())]
    Blob {
        /// Which.
        record: MaskRecord,
        /// Digest of the bytes.
        digest: ContentDigest,
        /// Whether they are missing rather than wrong.
        missing: bool,
        /// Why.
        problem: String,
    },
    /// Bytes are no record of the group.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The root on the ledger is of other bytes.
    #[error("its {} has another root than the one it recorded", record.name())]
    OtherRoot {
        /// Which.
        record: MaskRecord,
    },
    /// A dealing of another key than the announced one.
    #[error("dealt another key than it announced")]
    OtherKey,
    /// Shares that are not those dealt to it.
    #[error("opened wrong shares of members {of:?}")]
    WrongShares {
        /// Whose secrets.
        of: Vec<u8>,
    },
    /// Not one share of each neighbour that dealt, of the right kind.
    #[error("opened other shares than the survivors ask for")]
    OtherShares,
}

/// What came of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOutcome {
    /// Its place in the draw.
    pub index: u8,
    /// Its survivors, in order of their places.
    pub survivors: Vec<MemberIndex>,
    /// The sum of their vectors; why there is none.
    pub sum: Result<Vec<i32>, RecoverError>,
    /// Who broke which rule.
    pub faults: Vec<(MemberIndex, Fault)>,
}

/// A member's record, read from `blobs` and checked against the ledger.
///
/// # Errors
/// [`Fault`].
pub fn read_dealing(
    drawn: &DrawnGroup,
    record: &MaskRound,
    member: MemberIndex,
    bytes: &[u8],
) -> Result<Dealing, Fault> {
    let kind = MaskRecord::Dealing;
    let recorded = record.dealings.iter().find(|dealing| dealing.member == member);
    let recorded = recorded.ok_or(Fault::NotRecorded { record: kind })?;
    let place = drawn
        .place_of(member)
        .ok_or(Fault::NotRecorded { record: kind })?;
    let dealing = decode_dealing(&drawn.group, place, bytes)?;
    if shares_root(dealing.from, &dealing.sharing) != recorded.shares_root {
        return Err(Fault::OtherRoot { record: kind });
    }
    let announced = record.announced.iter().find(|(other, _)| *other == member);
    let fits = announced.is_some_and(|(_, key)| {
        Announcement {
            from: place,
            key: *key,
        }
        .is_dealt_by(&dealing)
    });
    if fits { Ok(dealing) } else { Err(Fault::OtherKey) }
}

/// As [`read_dealing`], of a masked vector.
///
/// # Errors
/// [`Fault`].
pub fn read_upload(
    drawn: &DrawnGroup,
    record: &MaskRound,
    member: MemberIndex,
    bytes: &[u8],
) -> Result<Vec<u32>, Fault> {
    let kind = MaskRecord::Upload;
    let root = record.uploads.iter().find(|(other, _)| *other == member);
    let (_, root) = root.ok_or(Fault::NotRecorded { record: kind })?;
    let place = drawn
        .place_of(member)
        .ok_or(Fault::NotRecorded { record: kind })?;
    let words = decode_upload(&drawn.group, place, bytes)?;
    match vector_root(&words) == *root {
        true => Ok(words),
        false => Err(Fault::OtherRoot { record: kind }),
    }
}

/// As [`read_dealing`], of opened shares: one of each neighbour that dealt, of its seed where it survived, else of its
/// key.
///
/// # Errors
/// [`Fault`].
pub fn read_unmasking(
    drawn: &DrawnGroup,
    record: &MaskRound,
    member: MemberIndex,
    bytes: &[u8],
) -> Result<Unmasking, Fault> {
    let kind = MaskRecord::Unmasking;
    let place = drawn
        .place_of(member)
        .ok_or(Fault::NotRecorded { record: kind })?;
    let unmasking = decode_unmasking(&drawn.group, place, bytes)?;
    let survivors = record.survivors.unwrap_or_default();
    let places = |of: MemberSet| -> BTreeSet<Place> {
        let others = of.iter().filter(|other| *other != member);
        others.filter_map(|other| drawn.place_of(other)).collect()
    };
    let dropped = places(MemberSet(record.dealt_set().0 & !survivors.0));
    let right =
        unmasking.seeds.keys().copied().eq(places(survivors)) && unmasking.keys.keys().copied().eq(dropped);
    if right {
        Ok(unmasking)
    } else {
        Err(Fault::OtherShares)
    }
}

/// The digest that the ledger has for a member's record.
#[must_use]
pub fn recorded_digest(
    record: &MaskRound,
    commitments: &[(MemberIndex, ContentDigest)],
    member: MemberIndex,
    kind: MaskRecord,
) -> Option<ContentDigest> {
    let find = |pairs: &[(MemberIndex, ContentDigest)]| {
        let found = pairs.iter().find(|(other, _)| *other == member);
        found.map(|(_, digest)| *digest)
    };
    match kind {
        MaskRecord::Dealing => {
            let dealing = record.dealings.iter().find(|dealing| dealing.member == member);
            dealing.map(|dealing| dealing.record)
        }
        MaskRecord::Upload => find(commitments),
        MaskRecord::Unmasking => find(&record.unmaskings),
    }
}

/// What came of each group with survivors.
#[must_use]
pub fn recompute(
    groups: &[DrawnGroup],
    record: &MaskRound,
    commitments: &[(MemberIndex, ContentDigest)],
    survivors: MemberSet,
    blobs: &dyn Blobs,
) -> Vec<GroupOutcome> {
    groups
        .iter()
        .filter(|drawn| drawn.members.iter().any(|member| survivors.contains(*member)))
        .map(|drawn| {
            let records = GroupRecords::read(drawn, record, commitments, survivors, blobs);
            GroupOutcome {
                index: drawn.index,
                sum: records.sum(&drawn.group),
                survivors: records.survivors,
                faults: records.faults,
            }
        })
        .collect()
}

/// The groups that count, from what came of each; nothing where a sum is missing. The second value names the groups
/// whose weights no members can have.
#[must_use]
pub fn groups_of(
    outcomes: &[GroupOutcome],
    format: &WordFormat,
    coordinates: usize,
) -> Option<(MaskedGroups, Vec<u8>)> {
    let (mut groups, mut lies) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        let sum = outcome.sum.as_ref().ok()?;
        match MaskedGroup::of_sum(outcome.survivors.clone(), sum, format) {
            Some(group) => groups.push(group),
            None => lies.push(outcome.index),
        }
    }
    Some((MaskedGroups::new(groups, coordinates), lies))
}

/// What is public of a group in a round, read and checked against the ledger.
#[derive(Debug, Clone)]
pub struct GroupRecords {
    /// Keys, by place.
    pub announced: Vec<Announcement>,
    /// Dealings that hold.
    pub dealings: Vec<Dealing>,
    /// The survivors' vectors that hold.
    pub masked: BTreeMap<Place, Vec<u32>>,
    /// What survivors published.
    pub unmaskings: Vec<Unmasking>,
    /// The group's survivors, in order of their places.
    pub survivors: Vec<MemberIndex>,
    /// Who broke which rule.
    pub faults: Vec<(MemberIndex, Fault)>,
    /// A member whose dealing is on the ledger and does not hold, or is not there: whoever masked with it has masks in the sum
    /// that nobody can take away.
    undealt: Option<Place>,
}

impl GroupRecords {
    /// Reads them from `blobs`; what is missing or wrong is among the faults.
    #[must_use]
    pub fn read(
        drawn: &DrawnGroup,
        record: &MaskRound,
        commitments: &[(MemberIndex, ContentDigest)],
        survivors: MemberSet,
        blobs: &dyn Blobs,
    ) -> Self {
        Reading {
            drawn,
            record,
            commitments,
            blobs,
            faults: Vec::new(),
        }
        .group(survivors)
    }

    /// The sum of the survivors' vectors.
    ///
    /// # Errors
    /// [`RecoverError`].
    pub fn sum(&self, group: &Group) -> Result<Vec<i32>, RecoverError> {
        if let Some(place) = self.undealt {
            return Err(RecoverError::NotDealt { place: place.0 });
        }
        if self.masked.len() != self.survivors.len() {
            return Err(RecoverError::TooFewSurvivors {
                needed: u16::try_from(self.survivors.len()).unwrap_or(u16::MAX),
                got: self.masked.len(),
            });
        }
        recover(
            group,
            &self.announced,
            &self.dealings,
            &self.masked,
            &self.unmaskings,
        )
    }
}

struct Reading<'a> {
    drawn: &'a DrawnGroup,
    record: &'a MaskRound,
    commitments: &'a [(MemberIndex, ContentDigest)],
    blobs: &'a dyn Blobs,
    faults: Vec<(MemberIndex, Fault)>,
}

impl Reading<'_> {
    fn group(mut self, survivors: MemberSet) -> GroupRecords {
        let (drawn, record) = (self.drawn, self.record);
        let dealt = record.dealt_set();
        let place = |member: MemberIndex| drawn.place_of(member).unwrap_or(Place(u16::MAX));
        let announced: Vec<Announcement> = record
            .announced
            .iter()
            .filter_map(|(member, key)| {
                let from = drawn.place_of(*member)?;
                Some(Announcement { from, key: *key })
            })
            .collect();
        let (mut dealings, mut undealt) = (Vec::new(), None);
        for member in drawn
            .members
            .iter()
            .copied()
            .filter(|member| dealt.contains(*member))
        {
            match self.read(member, MaskRecord::Dealing, read_dealing) {
                Some(dealing) => dealings.push(dealing),
                None => undealt = undealt.or(Some(place(member))),
            }
        }
        let staying: Vec<MemberIndex> = drawn
            .members
            .iter()
            .copied()
            .filter(|member| survivors.contains(*member))
            .collect();
        let (mut masked, mut unmaskings) = (BTreeMap::new(), Vec::new());
        for member in &staying {
            if let Some(words) = self.read(*member, MaskRecord::Upload, read_upload) {
                masked.insert(place(*member), words);
            }
            // Shares that nobody opened are missed by nobody, as long as enough did.
            if record.unmasked_set().contains(*member) {
                unmaskings.extend(self.read(*member, MaskRecord::Unmasking, read_unmasking));
            }
        }
        for one in &unmaskings {
            let of: Vec<u8> = wrong_shares(&drawn.group, &dealings, one)
                .iter()
                .filter_map(|wrong| drawn.members.get(usize::from(wrong.0)))
                .map(|member| member.0)
                .collect();
            if let Some(by) = drawn
                .members
                .get(usize::from(one.from.0))
                .filter(|_| !of.is_empty())
            {
                self.faults.push((*by, Fault::WrongShares { of }));
            }
        }
        GroupRecords {
            announced,
            dealings,
            masked,
            unmaskings,
            survivors: staying,
            faults: self.faults,
            undealt,
        }
    }

    fn read<T>(
        &mut self,
        member: MemberIndex,
        kind: MaskRecord,
        check: impl Fn(&DrawnGroup, &MaskRound, MemberIndex, &[u8]) -> Result<T, Fault>,
    ) -> Option<T> {
        let read = || {
            let digest = recorded_digest(self.record, self.commitments, member, kind)
                .ok_or(Fault::NotRecorded { record: kind })?;
            let bytes = self.blobs.get(&digest, kind.bytes_max(&self.drawn.group));
            let bytes = bytes.map_err(|error| Fault::Blob {
                record: kind,
                digest,
                missing: matches!(error, BlobError::Missing { .. } | BlobError::Io { .. }),
                problem: error.to_string(),
            })?;
            check(self.drawn, self.record, member, &bytes)
        };
        match read() {
            Ok(value) => Some(value),
            Err(fault) => {
                self.faults.push((member, fault));
                None
            }
        }
    }
}
