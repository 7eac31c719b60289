//! Who is asked for an update in a round: everyone, or whom the seed draws, but nobody who is excluded, and where few members
//! are scored by participation, without whoever sits out.
//!
//! Coordinator, members and auditor read the same records and get the same answer, so that nobody is asked or left out as
//! somebody likes.

use counterweight_primitives::{AssetId, ContentDigest, MemberIndex, Round, StudyId, UnixSeconds};

use crate::{
    ledger::{LedgerError, RoundRecord, StudyReader, StudyState},
    member_set::MemberSet,
    scoring::draw_turns,
    study::{Scoring, terms::PublicTerms},
};

/// What of the records decides who is asked.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    /// Excluded members, from when on.
    excluded: Vec<(MemberIndex, UnixSeconds)>,
    /// When each round was opened, in order.
    opened: Vec<UnixSeconds>,
    /// The beacon of each round's groups, where it was drawn.
    beacons: Vec<Option<[u8; 32]>>,
}

/// The first round in which somebody may sit out: its beacon is the one of the round before.
const FIRST_TURN: u32 = 2;

impl Asking {
    /// What the ledger says, beside the rounds that were read from it already.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn read<L: StudyReader + ?Sized>(
        ledger: &L,
        terms: &PublicTerms,
        study: StudyId,
        rounds: &[RoundRecord],
    ) -> Result<Self, LedgerError> {
        let mut asking = Self {
            opened: rounds.iter().map(|record| record.opened_at).collect(),
            ..Self::default()
        };
        if terms.exclusion().is_some()
            && let Some(reader) = ledger.standing_reader()
            && let Some(setting) = reader.standing_setting(study)?
        {
            let proposals = reader.proposals(study)?;
            asking.excluded = proposals
                .iter()
                .filter_map(|proposal| Some((proposal.member, proposal.excluded_since(&setting)?)))
                .collect();
        }
        if terms.scoring == Scoring::Participation
            && let Some(reader) = ledger.mask_reader()
        {
            let masked = reader.mask_rounds(study)?;
            let beacon = |record: &RoundRecord| {
                let masked = masked.iter().find(|masked| masked.round == record.round)?;
                Some(masked.drawn.as_ref()?.beacon)
            };
            asking.beacons = rounds.iter().map(beacon).collect();
        }
        Ok(asking)
    }

    /// Members that are excluded in a round: those that were in the second before it was opened, since nobody can tell what of
    /// one second came first.
    #[must_use]
    pub fn excluded(&self, round: Round) -> MemberSet {
        let Some(opened) = self.opened_at(round.0) else {
            return MemberSet::EMPTY;
        };
        let excluded = self.excluded.iter().filter(|(_, since)| *since < opened);
        excluded.map(|(member, _)| *member).collect()
    }

    /// Members asked for an update in a round that was opened.
    ///
    /// Where the seed draws, it goes by dataset and not by index, so that the order of joining changes nothing: members are
    /// sorted by the BLAKE3 digest of seed, round and dataset, and the first ones are asked.
    #[must_use]
    pub fn asked(&self, terms: &PublicTerms, state: &StudyState, round: Round) -> MemberSet {
        let excluded = self.excluded(round);
        let everyone = MemberSet::first(state.members.len());
        let mut there = MemberSet(everyone.0 & !excluded.0);
        if let Some(out) = self.sits_out(terms, state, round)
            // With one fewer no group could be drawn, or no round closed.
            && there.len() > fewest(terms, state)
        {
            there.remove(out);
        }
        let wanted = terms.members_per_round.map_or(usize::MAX, usize::from);
        if wanted >= there.len() {
            return there;
        }
        let lot = |dataset: AssetId| {
            let mut text = b"counterweight/asked-members/v1".to_vec();
            text.extend_from_slice(&terms.seed.to_le_bytes());
            text.extend_from_slice(&round.0.to_le_bytes());
            text.extend_from_slice(&dataset.0.to_le_bytes());
            ContentDigest::of(&text)
        };
        let mut lots: Vec<_> = there
            .iter()
            .filter_map(|member| Some((lot(state.members.get(usize::from(member.0))?.dataset), member)))
            .collect();
        lots.sort_unstable();
        lots.into_iter().take(wanted).map(|(_, member)| member).collect()
    }

    /// Whose turn it is to sit out: every member once, and nobody once, in as many rounds as there are members and one, in an
    /// order that the beacon of the round before them draws.
    ///
    /// That beacon comes from the hash of a block that ended after the keys of its round were announced, so neither coordinator
    /// nor members choose it.
    fn sits_out(&self, terms: &PublicTerms, state: &StudyState, round: Round) -> Option<MemberIndex> {
        if terms.scoring != Scoring::Participation {
            return None;
        }
        let mut first = FIRST_TURN;
        while first <= round.0 {
            let excluded = self.excluded(Round(first));
            let everyone = MemberSet::first(state.members.len()).iter();
            let there: Vec<u32> = everyone
                .filter(|member| !excluded.contains(*member))
                .map(|member| member.0.into())
                .collect();
            // At most 64 members.
            let turns = there.len() as u32 + 1;
            if round.0 - first >= turns {
                first += turns;
                continue;
            }
            let beacon = self.beacons.get(first as usize - 2).copied().flatten()?;
            let order = draw_turns(&beacon, first, &there);
            let out = order.get((round.0 - first) as usize).copied().flatten()?;
            return u8::try_from(out).ok().map(MemberIndex);
        }
        None
    }

    fn opened_at(&self, round: u32) -> Option<UnixSeconds> {
        let place = usize::try_from(round.checked_sub(1)?).ok()?;
        self.opened.get(place).copied()
    }
}

/// Members without whom a masked round comes to nothing.
fn fewest(terms: &PublicTerms, state: &StudyState) -> usize {
    let group = terms.masking.map_or(1, |masking| masking.group_size);
    usize::from(terms.quorum.max(state.min_members).max(group))
}
