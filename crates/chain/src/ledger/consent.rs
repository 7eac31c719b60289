//! What stewards allow, kept by `ConsentRegistry`.

use alloy_primitives::aliases::U160;
use alloy_sol_types::SolEvent as _;
use counterweight_primitives::{AssetId, PurposeIndex, UnixSeconds};
use counterweight_provenance::ledger::{
    Consent, ConsentChange, ConsentEpoch, ConsentLedger, ConsentReader, LedgerError,
};
use counterweight_provenance::purpose::PurposeSet;

use super::{ContractLedger, Failure, decode, is, topic};
use crate::address::from_evm;
use crate::contracts::{IConsentRegistry, IERC721};
use crate::network::EventLog;

fn purposes(bits: U160) -> PurposeSet {
    PurposeSet::from_be_bytes(bits.to_be_bytes())
}

fn bits(purposes: PurposeSet) -> U160 {
    U160::from_be_bytes(purposes.to_be_bytes())
}

fn expiry(second: u64) -> Option<UnixSeconds> {
    (second != 0).then_some(UnixSeconds(second))
}

impl<S> ConsentReader for ContractLedger<S> {
    fn consent(&self, dataset: AssetId) -> Result<Consent, LedgerError> {
        let call = IConsentRegistry::consentCall { datasetId: dataset.0 };
        let consent = self.ask(self.deployment.consent_registry, &call)?;
        Ok(Consent {
            purposes: purposes(consent.purposes),
            expiry: expiry(consent.expiry),
            epoch: consent.epoch,
        })
    }

    fn is_allowed(&self, dataset: AssetId, purpose: PurposeIndex) -> Result<bool, LedgerError> {
        let call = IConsentRegistry::isAllowedCall {
            datasetId: dataset.0,
            purpose: purpose.0,
        };
        Ok(self.ask(self.deployment.consent_registry, &call)?)
    }

    fn consent_history(&self, dataset: AssetId) -> Result<Vec<ConsentEpoch>, LedgerError> {
        let signatures = [
            IConsentRegistry::ConsentGranted::SIGNATURE_HASH,
            IConsentRegistry::ConsentRevoked::SIGNATURE_HASH,
        ];
        let mut logs = self.events(
            self.deployment.consent_registry,
            &signatures,
            Some(topic(dataset.0)),
        )?;
        // A transfer ends what the former owner allowed; the consent registry logs nothing of its own for it.
        logs.extend(self.transfers(dataset)?);
        logs.sort_by_key(|log| (log.block, log.index));
        let mut times = self.times();
        let mut history: Vec<ConsentEpoch> = Vec::new();
        for log in &logs {
            let (epoch, steward, change) = if is::<IConsentRegistry::ConsentGranted>(log) {
                let event: IConsentRegistry::ConsentGranted = decode(log)?;
                let change = ConsentChange::Granted {
                    purposes: purposes(event.purposes),
                    expiry: expiry(event.expiry),
                };
                (event.epoch, event.steward, change)
            } else if is::<IConsentRegistry::ConsentRevoked>(log) {
                let event: IConsentRegistry::ConsentRevoked = decode(log)?;
                let change = ConsentChange::Revoked {
                    purposes: purposes(event.purposes),
                };
                (event.epoch, event.steward, change)
            } else {
                let event: IERC721::Transfer = decode(log)?;
                let epoch = history.last().map_or(0, |last| last.epoch);
                (epoch, event.to, ConsentChange::Transferred)
            };
            let at = times.of(log)?;
            history.push(ConsentEpoch {
                epoch,
                steward: from_evm(steward),
                change,
                at,
            });
        }
        Ok(history)
    }
}

impl<S> ContractLedger<S> {
    /// Transfers of an asset's token, without the one that registration makes.
    fn transfers(&self, asset: AssetId) -> Result<Vec<EventLog>, Failure> {
        let signature = vec![IERC721::Transfer::SIGNATURE_HASH];
        let topics = vec![signature, Vec::new(), Vec::new(), vec![topic(asset.0)]];
        let mut logs = self.logs(self.deployment.asset_registry, topics)?;
        logs.retain(|log| log.topics.get(1).is_some_and(|from| !from.is_zero()));
        Ok(logs)
    }
}

impl ConsentLedger for ContractLedger {
    fn grant(
        &self,
        dataset: AssetId,
        purposes: PurposeSet,
        expiry: Option<UnixSeconds>,
    ) -> Result<u32, LedgerError> {
        let call = IConsentRegistry::grantCall {
            datasetId: dataset.0,
            purposes: bits(purposes),
            expiry: expiry.map_or(0, |second| second.0),
        };
        let event: IConsentRegistry::ConsentGranted =
            self.send_for(self.deployment.consent_registry, &call)?;
        Ok(event.epoch)
    }

    fn revoke(&self, dataset: AssetId, purposes: PurposeSet) -> Result<u32, LedgerError> {
        let call = IConsentRegistry::revokeCall {
            datasetId: dataset.0,
            purposes: bits(purposes),
        };
        let event: IConsentRegistry::ConsentRevoked =
            self.send_for(self.deployment.consent_registry, &call)?;
        Ok(event.epoch)
    }
}
