//! The bond behind a study's sums: whose it is, until when it is held, what became of it.

use alloy_sol_types::SolEvent as _;
use counterweight_federated::ledger::masking::MaskReader as _;
use counterweight_federated::ledger::{LedgerError, Phase, StudyReader as _};
use counterweight_primitives::{Address, Amount, StudyId, UnixSeconds};

use super::{ContractLedger, topic};
use crate::contracts::{IMaskedRounds, ISumDisputes};

/// What became of a bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BondFate {
    /// The contract has it.
    Held,
    /// Who posted it has it back.
    Released,
    /// A sum was refuted: half went to the challenger, half was burnt.
    Lost,
}

/// What stands behind a study's sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SumBond {
    /// Who posted it, and gets it back.
    pub depositor: Address,
    /// What was posted.
    pub amount: Amount,
    /// ERC-20 it is in.
    pub token: Address,
    /// What became of it.
    pub fate: BondFate,
    /// Whether the study is over, without which it stays.
    pub study_over: bool,
    /// The last second in which it stays because of the last sums; absent while there are none.
    pub held_until: Option<UnixSeconds>,
    /// Demands that wait for an answer, while which it stays.
    pub open_demands: u64,
    /// How long a demand waits.
    pub dispute_seconds: u32,
}

impl SumBond {
    /// Whether the contract gives it back in a block of that time.
    #[must_use]
    pub fn is_free(&self, now: UnixSeconds) -> bool {
        let undisputed = self.held_until.is_none_or(|until| now > until);
        self.fate == BondFate::Held && self.study_over && self.open_demands == 0 && undisputed
    }
}

impl<S> ContractLedger<S> {
    /// What stands behind a study's sums; nothing where it masks nothing or asked for no bond.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn sum_bond(&self, study: StudyId) -> Result<Option<SumBond>, LedgerError> {
        let Some(setting) = self.mask_setting(study)?.filter(|setting| setting.bond.0 > 0) else {
            return Ok(None);
        };
        let masks = self.masked_rounds()?;
        let (depositor, left) = self.mask_bond(study)?;
        let subject = Some(topic(study.0));
        let released = [IMaskedRounds::BondReleased::SIGNATURE_HASH];
        let fate = if left.0 > 0 {
            BondFate::Held
        } else if self.events(masks, &released, subject)?.is_empty() {
            BondFate::Lost
        } else {
            BondFate::Released
        };
        let posted = [IMaskedRounds::SumsPosted::SIGNATURE_HASH];
        let last = self.events(masks, &posted, subject)?;
        let held_until = match last.iter().max_by_key(|log| log.block) {
            None => None,
            Some(log) => {
                let posted_at = self.times().of(log)?;
                Some(UnixSeconds(
                    posted_at.0.saturating_add(setting.dispute_seconds.into()),
                ))
            }
        };
        let phase = self.study(study)?.phase;
        let open = ISumDisputes::openDemandsCall { study: study.0 };
        let open = self.ask(self.sum_disputes()?, &open)?;
        Ok(Some(SumBond {
            depositor,
            amount: setting.bond,
            token: setting.bond_token,
            fate,
            study_over: !matches!(phase, Phase::Enrolling | Phase::Running),
            held_until,
            open_demands: u64::try_from(open).unwrap_or(u64::MAX),
            dispute_seconds: setting.dispute_seconds,
        }))
    }
}
