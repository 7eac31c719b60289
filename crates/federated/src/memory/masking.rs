//! Masked rounds in memory, by the rules of the contract `MaskedRounds`.

use counterweight_primitives::{Address, ContentDigest, MemberIndex, Round, Sha256Digest, StudyId};

use super::MemoryLedger;
use crate::{
    ledger::{
        LedgerError,
        masking::{MaskDealing, MaskDomain, MaskLedger, MaskReader, MaskRound, MaskSetting},
    },
    masking::PublicKey,
    member_set::MemberSet,
};

impl MaskReader for MemoryLedger {
    fn mask_setting(&self, study: StudyId) -> Result<Option<MaskSetting>, LedgerError> {
        Ok(self.rules().study(study)?.mask_setting)
    }

    fn mask_round(&self, study: StudyId, round: Round) -> Result<Option<MaskRound>, LedgerError> {
        let rounds = self.mask_rounds(study)?;
        Ok(rounds.into_iter().find(|record| record.round == round))
    }

    fn mask_rounds(&self, study: StudyId) -> Result<Vec<MaskRound>, LedgerError> {
        Ok(self.rules().study(study)?.mask_rounds.clone())
    }

    fn mask_domain(&self) -> Result<MaskDomain, LedgerError> {
        // Of no chain: what is masked here unmasks nothing elsewhere.
        Ok(MaskDomain {
            chain: 0,
            contract: Address::ZERO,
        })
    }
}

impl MaskLedger for MemoryLedger {
    fn configure_masking(&self, study: StudyId, setting: &MaskSetting) -> Result<(), LedgerError> {
        self.rules().configure_masking(self.account, study, setting)
    }

    fn announce_key(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        key: &PublicKey,
    ) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .announce_key(self.account, study, round, (member, *key), now)
    }

    fn draw_groups(&self, study: StudyId, round: Round) -> Result<(), LedgerError> {
        let now = self.seconds();
        let domain = self.mask_domain()?;
        self.rules().draw_groups(self.account, study, round, &domain, now)
    }

    fn commit_dealing(&self, study: StudyId, round: Round, dealing: &MaskDealing) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .commit_dealing(self.account, study, round, *dealing, now)
    }

    fn commit_upload(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        root: Sha256Digest,
    ) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .commit_upload(self.account, study, round, (member, root), now)
    }

    fn fix_survivors(&self, study: StudyId, round: Round, survivors: MemberSet) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .fix_survivors(self.account, study, round, survivors, now)
    }

    fn commit_unmasking(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        unmasking: ContentDigest,
    ) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules()
            .commit_unmasking(self.account, study, round, (member, unmasking), now)
    }

    fn post_sums(&self, study: StudyId, round: Round, roots: &[Sha256Digest]) -> Result<(), LedgerError> {
        let now = self.seconds();
        self.rules().post_sums(self.account, study, round, roots, now)
    }
}
