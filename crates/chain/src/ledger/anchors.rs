//! Checkpoints of logs, kept by `LogAnchor`.

use counterweight_primitives::{Address, Amount, Sha256Digest, UnixSeconds};
use counterweight_provenance::{
    ledger::{AnchorLedger, AnchorReader, AnchoredHead, LedgerError, LogBond, LogId},
    log::account_signature::AccountCheckpoint,
};

use super::ContractLedger;
use crate::address::to_evm;
use crate::contracts::ILogAnchor;

impl<S> AnchorReader for ContractLedger<S> {
    fn anchored_head(&self, owner: Address, log: LogId) -> Result<Option<AnchoredHead>, LedgerError> {
        let call = ILogAnchor::headCall {
            owner: to_evm(owner),
            log: log.0.0.into(),
        };
        let head = self.ask(self.deployment.log_anchor, &call)?;
        Ok((head.size != 0).then_some(AnchoredHead {
            owner,
            anchored_at: UnixSeconds(head.anchoredAt),
            size: head.size,
            root: Sha256Digest(head.root.0),
            forked: head.forked,
        }))
    }

    fn is_anchored(
        &self,
        owner: Address,
        log: LogId,
        index: u64,
        leaf: Sha256Digest,
        path: &[Sha256Digest],
    ) -> Result<bool, LedgerError> {
        let call = ILogAnchor::isAnchoredCall {
            owner: to_evm(owner),
            log: log.0.0.into(),
            index,
            leaf: leaf.0.into(),
            path: path.iter().map(|digest| digest.0.into()).collect(),
        };
        Ok(self.ask(self.deployment.log_anchor, &call)?)
    }

    fn log_bond(&self, owner: Address, log: LogId) -> Result<LogBond, LedgerError> {
        let call = ILogAnchor::bondCall {
            owner: to_evm(owner),
            log: log.0.0.into(),
        };
        let bond = self.ask(self.deployment.log_anchor, &call)?;
        Ok(LogBond {
            amount: Amount(bond.amount),
            withdrawable_at: (bond.withdrawableAt != 0).then_some(UnixSeconds(bond.withdrawableAt)),
        })
    }
}

impl AnchorLedger for ContractLedger {
    fn anchor(
        &self,
        log: LogId,
        size: u64,
        root: Sha256Digest,
        proof: &[Sha256Digest],
    ) -> Result<(), LedgerError> {
        let call = ILogAnchor::anchorCall {
            log: log.0.0.into(),
            size,
            root: root.0.into(),
            proof: proof.iter().map(|digest| digest.0.into()).collect(),
        };
        self.send(self.deployment.log_anchor, &call)?;
        Ok(())
    }

    fn post_log_bond(&self, log: LogId, amount: Amount) -> Result<(), LedgerError> {
        let call = ILogAnchor::postBondCall { log: log.0.0.into() };
        self.send_value(self.deployment.log_anchor, &call, amount)?;
        Ok(())
    }

    fn report_split_view(
        &self,
        one: &AccountCheckpoint,
        other: &AccountCheckpoint,
    ) -> Result<(), LedgerError> {
        let call = ILogAnchor::reportSplitViewCall {
            owner: to_evm(one.owner()),
            log: one.log().0.0.into(),
            one: signed(one),
            other: signed(other),
        };
        self.send(self.deployment.log_anchor, &call)?;
        Ok(())
    }
}

fn signed(checkpoint: &AccountCheckpoint) -> ILogAnchor::SignedCheckpoint {
    let [numbers @ .., v] = checkpoint.signature().0;
    let (halves, _) = numbers.as_chunks::<32>();
    let half = |index: usize| halves.get(index).copied().unwrap_or_default().into();
    ILogAnchor::SignedCheckpoint {
        size: checkpoint.size(),
        root: checkpoint.root().0.into(),
        r: half(0),
        s: half(1),
        v,
    }
}
