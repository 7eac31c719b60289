//! What the rounds of a masked study must have recorded beside `ledger`'s: `IMaskedRounds`.
//!
//! A round opens, updates are committed and it closes as in every study. In between, members announce keys, groups are
//! drawn from a beacon, members deal their secrets and upload masked vectors, the survivors are fixed, members publish
//! shares and the coordinator the roots of the sums. Each step is taken in its time ([`MaskDeadlines`]) and by who
//! may take it; a round that expires and is opened again starts with announcements, under other contexts.

use counterweight_primitives::{
    Address, Amount, ContentDigest, MemberIndex, Round, Sha256Digest, StudyId, UnixSeconds,
};

use super::LedgerError;
use crate::{masking::PublicKey, member_set::MemberSet};

/// How a study masks: `IMaskedRounds.Setting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskSetting {
    /// Members of a group; what is left over joins the first groups.
    pub group_size: u8,
    /// From 51 to 100: the part of a member's neighbours, in percent, that are not enough to open its secrets.
    pub threshold_percent: u8,
    /// Fewest survivors of a group whose sum is opened, at least 3.
    pub fewest_survivors: u8,
    /// Words of a masked vector, the weight's included.
    pub coordinates: u32,
    /// ERC-20 of the coordinator's bond.
    pub bond_token: Address,
    /// What the coordinator loses to whoever refutes a sum.
    pub bond: Amount,
    /// How long a sum can be refuted after the study has ended.
    pub dispute_seconds: u32,
}

impl MaskSetting {
    /// Shares that open a secret in a group of so many: min(n − 1, ⌊(n − 1) · percent / 100⌋ + 1).
    #[must_use]
    pub fn threshold(&self, members: usize) -> usize {
        let neighbours = members.saturating_sub(1);
        neighbours.min(neighbours * usize::from(self.threshold_percent) / 100 + 1)
    }

    /// Survivors without which a group of so many is left out whole: the fewest allowed, and enough that each has as
    /// many surviving neighbours as open its secrets.
    #[must_use]
    pub fn survivors_needed(&self, members: usize) -> usize {
        usize::from(self.fewest_survivors).max(self.threshold(members) + 1)
    }
}

/// The last second of each step of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskDeadlines {
    /// For announcements; from then on anyone may draw.
    pub announce_by: UnixSeconds,
    /// For dealings. From then on, or when all of a group dealt, who takes part in it is settled.
    pub deal_by: UnixSeconds,
    /// For commitments and roots of masked vectors: the round's own.
    pub commit_by: UnixSeconds,
    /// For the survivors.
    pub fix_by: UnixSeconds,
    /// For published shares.
    pub unmask_by: UnixSeconds,
    /// For roots of sums: the round's own.
    pub close_by: UnixSeconds,
}

impl MaskDeadlines {
    /// Of a round that was opened then: a quarter and a half of the members' time for announcements and dealings, a
    /// quarter and three quarters of the coordinator's for survivors and shares.
    #[must_use]
    pub fn of(opened_at: UnixSeconds, commit_by: UnixSeconds, close_by: UnixSeconds) -> Self {
        let members = commit_by.0.saturating_sub(opened_at.0);
        let closing = close_by.0.saturating_sub(commit_by.0);
        Self {
            announce_by: UnixSeconds(opened_at.0 + members / 4),
            deal_by: UnixSeconds(opened_at.0 + members / 2),
            commit_by,
            fix_by: UnixSeconds(commit_by.0 + closing / 4),
            unmask_by: UnixSeconds(commit_by.0 + closing * 3 / 4),
            close_by,
        }
    }
}

/// Who is in which group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskDraw {
    /// What it was drawn from.
    pub beacon: [u8; 32],
    /// The members of each group, in order of their places ([`crate::masking::draw`]).
    pub groups: Vec<Vec<MemberIndex>>,
    /// What every message of each group is bound to.
    pub contexts: Vec<[u8; 32]>,
}

/// What a member recorded of its dealing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskDealing {
    /// Who dealt.
    pub member: MemberIndex,
    /// Digest of the dealing's record.
    pub record: ContentDigest,
    /// Root over the digests of its shares ([`crate::masking::roots::shares_root`]).
    pub shares_root: Sha256Digest,
}

/// A round's masking as it was recorded, of its last opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskRound {
    /// Its number.
    pub round: Round,
    /// Names the opening: the last second of its members' time.
    pub commit_by: UnixSeconds,
    /// Keys, in the order in which they were announced.
    pub announced: Vec<(MemberIndex, PublicKey)>,
    /// The groups, once they are drawn.
    pub drawn: Option<MaskDraw>,
    /// Dealings, in the order in which they were recorded.
    pub dealings: Vec<MaskDealing>,
    /// Roots of masked vectors ([`crate::masking::roots::vector_root`]), in the order in which they were recorded.
    pub uploads: Vec<(MemberIndex, Sha256Digest)>,
    /// Whose vectors are summed, once that is fixed.
    pub survivors: Option<MemberSet>,
    /// Digests of records of published shares.
    pub unmaskings: Vec<(MemberIndex, ContentDigest)>,
    /// The root of each group's sum, once posted; zeros for a group that is left out.
    pub sums: Option<Vec<Sha256Digest>>,
    /// Groups whose posted sums were refuted on the ledger.
    pub refuted: Vec<u8>,
    /// Of each earlier opening of this round whose survivors were fixed, how many each group had: what was opened of them
    /// does not come back with the round.
    pub fixed_before: Vec<Vec<u8>>,
}

impl MaskRound {
    /// A round that was just opened.
    #[must_use]
    pub fn opened(round: Round, commit_by: UnixSeconds) -> Self {
        Self {
            round,
            commit_by,
            announced: Vec::new(),
            drawn: None,
            dealings: Vec::new(),
            uploads: Vec::new(),
            survivors: None,
            unmaskings: Vec::new(),
            sums: None,
            refuted: Vec::new(),
            fixed_before: Vec::new(),
        }
    }

    /// The same round opened again after this opening expired.
    #[must_use]
    pub fn opened_again(&self, commit_by: UnixSeconds) -> Self {
        let mut fixed_before = self.fixed_before.clone();
        fixed_before.extend(self.fixed());
        Self {
            fixed_before,
            ..Self::opened(self.round, commit_by)
        }
    }

    /// How many survivors each group has, once they are fixed.
    #[must_use]
    pub fn fixed(&self) -> Option<Vec<u8>> {
        let survivors = self.survivors?;
        let groups = self.drawn.iter().flat_map(|drawn| &drawn.groups);
        // At most 64 members.
        let count = |group: &Vec<MemberIndex>| {
            group.iter().filter(|member| survivors.contains(**member)).count() as u8
        };
        Some(groups.map(count).collect())
    }

    /// Who announced a key.
    #[must_use]
    pub fn announced_set(&self) -> MemberSet {
        self.announced.iter().map(|(member, _)| *member).collect()
    }

    /// Who dealt.
    #[must_use]
    pub fn dealt_set(&self) -> MemberSet {
        self.dealings.iter().map(|dealing| dealing.member).collect()
    }

    /// Who recorded the root of a masked vector.
    #[must_use]
    pub fn uploaded_set(&self) -> MemberSet {
        self.uploads.iter().map(|(member, _)| *member).collect()
    }

    /// Who published shares.
    #[must_use]
    pub fn unmasked_set(&self) -> MemberSet {
        self.unmaskings.iter().map(|(member, _)| *member).collect()
    }
}

/// Reading how a study masks.
pub trait MaskReader {
    /// How it masks, if it does.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn mask_setting(&self, study: StudyId) -> Result<Option<MaskSetting>, LedgerError>;

    /// The last opening of a round; nothing where the round was never opened or the study does not mask.
    fn mask_round(&self, study: StudyId, round: Round) -> Result<Option<MaskRound>, LedgerError>;

    /// The last opening of every round, in order.
    fn mask_rounds(&self, study: StudyId) -> Result<Vec<MaskRound>, LedgerError>;

    /// What the contexts of a study's groups are bound to ([`crate::masking::draw::context`]): the chain and the
    /// contract.
    fn mask_domain(&self) -> Result<MaskDomain, LedgerError>;
}

/// Where a context holds: no two ledgers share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskDomain {
    /// EIP-155 id of the chain.
    pub chain: u64,
    /// The contract.
    pub contract: Address,
}

/// Acting on masked rounds for one account. Every call returns once it is recorded for good.
pub trait MaskLedger: MaskReader {
    /// Says how a study masks, once, as its coordinator or sponsor and before it starts; deposits the bond, approving
    /// it first where needed.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn configure_masking(&self, study: StudyId, setting: &MaskSetting) -> Result<(), LedgerError>;
    /// Step 1 of a member: its key of this opening.
    fn announce_key(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        key: &PublicKey,
    ) -> Result<(), LedgerError>;
    /// Draws groups from who announced: the coordinator at any time, anyone once the time of announcements is over.
    fn draw_groups(&self, study: StudyId, round: Round) -> Result<(), LedgerError>;
    /// Step 2 of a member, if it is in a group.
    fn commit_dealing(&self, study: StudyId, round: Round, dealing: &MaskDealing) -> Result<(), LedgerError>;
    /// Step 3 of a member that dealt: the root of its masked vector, beside the commitment to its record by
    /// `StudyLedger::commit_update`.
    fn commit_upload(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        root: Sha256Digest,
    ) -> Result<(), LedgerError>;
    /// Fixes, as the coordinator, whose vectors are summed: who dealt, uploaded and committed, and of each group either
    /// nobody or as many as [`MaskSetting::survivors_needed`].
    fn fix_survivors(&self, study: StudyId, round: Round, survivors: MemberSet) -> Result<(), LedgerError>;
    /// Step 4 of a surviving member: the digest of its published shares.
    fn commit_unmasking(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        unmasking: ContentDigest,
    ) -> Result<(), LedgerError>;
    /// Posts, as the coordinator, the root of each group's sum; zeros for a group that is left out.
    fn post_sums(&self, study: StudyId, round: Round, roots: &[Sha256Digest]) -> Result<(), LedgerError>;
}
