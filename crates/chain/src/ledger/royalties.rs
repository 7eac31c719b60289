//! Income of assets, kept by `RoyaltyVault`.

use alloy_sol_types::SolEvent as _;
use counterweight_primitives::{Address, Amount, AssetId};
use counterweight_provenance::ledger::{
    LedgerError, RoyaltyChange, RoyaltyEvent, RoyaltyLedger, RoyaltyReader, Settlement,
};

use super::{ContractLedger, decode, is, topic};
use crate::address::{from_evm, to_evm};
use crate::contracts::IRoyaltyVault;

impl<S> RoyaltyReader for ContractLedger<S> {
    fn pending(&self, asset: AssetId, token: Address) -> Result<Amount, LedgerError> {
        let call = IRoyaltyVault::pendingCall {
            asset: asset.0,
            token: to_evm(token),
        };
        Ok(Amount(self.ask(self.deployment.royalty_vault, &call)?))
    }

    fn claimable(&self, asset: AssetId, token: Address) -> Result<Amount, LedgerError> {
        let call = IRoyaltyVault::claimableCall {
            asset: asset.0,
            token: to_evm(token),
        };
        Ok(Amount(self.ask(self.deployment.royalty_vault, &call)?))
    }

    fn royalty_events(&self, asset: AssetId) -> Result<Vec<RoyaltyEvent>, LedgerError> {
        let signatures = [
            IRoyaltyVault::Paid::SIGNATURE_HASH,
            IRoyaltyVault::Settled::SIGNATURE_HASH,
            IRoyaltyVault::Claimed::SIGNATURE_HASH,
        ];
        let mut times = self.times();
        let mut events = Vec::new();
        for log in &self.events(self.deployment.royalty_vault, &signatures, Some(topic(asset.0)))? {
            let (token, change) = if is::<IRoyaltyVault::Paid>(log) {
                let event: IRoyaltyVault::Paid = decode(log)?;
                let change = RoyaltyChange::Paid {
                    payer: from_evm(event.payer),
                    amount: Amount(event.amount),
                    reference: event.paymentRef.0,
                };
                (event.token, change)
            } else if is::<IRoyaltyVault::Settled>(log) {
                let event: IRoyaltyVault::Settled = decode(log)?;
                (event.token, RoyaltyChange::Settled(settlement(&event)))
            } else {
                let event: IRoyaltyVault::Claimed = decode(log)?;
                let owner = from_evm(event.owner);
                (
                    event.token,
                    RoyaltyChange::Claimed {
                        owner,
                        amount: Amount(event.amount),
                    },
                )
            };
            events.push(RoyaltyEvent {
                asset,
                token: from_evm(token),
                change,
                at: times.of(log)?,
            });
        }
        Ok(events)
    }
}

fn settlement(event: &IRoyaltyVault::Settled) -> Settlement {
    Settlement {
        to_parents: Amount(event.toParents),
        to_owner: Amount(event.toOwner),
    }
}

impl RoyaltyLedger for ContractLedger {
    fn pay(
        &self,
        asset: AssetId,
        token: Address,
        amount: Amount,
        reference: [u8; 32],
    ) -> Result<(), LedgerError> {
        let vault = self.deployment.royalty_vault;
        self.approve(token, vault, amount)?;
        let call = IRoyaltyVault::payCall {
            asset: asset.0,
            token: to_evm(token),
            amount: amount.0,
            paymentRef: reference.into(),
        };
        self.send(vault, &call)?;
        Ok(())
    }

    fn settle(&self, asset: AssetId, token: Address) -> Result<Settlement, LedgerError> {
        let call = IRoyaltyVault::settleCall {
            asset: asset.0,
            token: to_evm(token),
        };
        let event: IRoyaltyVault::Settled = self.send_for(self.deployment.royalty_vault, &call)?;
        Ok(settlement(&event))
    }

    fn settle_path(&self, assets: &[AssetId], token: Address) -> Result<(), LedgerError> {
        let assets = assets.iter().map(|id| id.0).collect();
        let call = IRoyaltyVault::settlePathCall {
            assets,
            token: to_evm(token),
        };
        self.send(self.deployment.royalty_vault, &call)?;
        Ok(())
    }

    fn claim_royalty(&self, asset: AssetId, token: Address) -> Result<Amount, LedgerError> {
        let call = IRoyaltyVault::claimCall {
            asset: asset.0,
            token: to_evm(token),
        };
        let event: IRoyaltyVault::Claimed = self.send_for(self.deployment.royalty_vault, &call)?;
        Ok(Amount(event.amount))
    }
}
