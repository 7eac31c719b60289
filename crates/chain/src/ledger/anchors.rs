//! Checkpoints of logs, kept by `LogAnchor`.

use counterweight_primitives::{Address, Sha256Digest, UnixSeconds};
use counterweight_provenance::ledger::{AnchorLedger, AnchorReader, AnchoredHead, LedgerError, LogId};

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
}

impl AnchorLedger for ContractLedger {
    fn anchor(&self, log: LogId, size: u64, root: Sha256Digest) -> Result<(), LedgerError> {
        let call = ILogAnchor::anchorCall {
            log: log.0.0.into(),
            size,
            root: root.0.into(),
        };
        self.send(self.deployment.log_anchor, &call)?;
        Ok(())
    }
}
