//! What stewards allow, kept by `ConsentRegistry`.

use alloy_primitives::aliases::U160;
use alloy_sol_types::SolEvent as _;
use counterweight_primitives::{AssetId, PurposeIndex, UnixSeconds};
use counterweight_provenance::ledger::{
    Consent, ConsentChange, ConsentEpoch, ConsentLedger, ConsentReader, LedgerError,
};
use counterweight_provenance::purpose::PurposeSet;

use super::{ContractLedger, decode, is, topic};
use crate::address::from_evm;
use crate::contracts::IConsentRegistry;

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
        let contract = self.deployment.consent_registry;
        let mut times = self.times();
        let mut history = Vec::new();
        for log in &self.events(contract, &signatures, Some(topic(dataset.0)))? {
            let at = times.of(log)?;
            history.push(if is::<IConsentRegistry::ConsentGranted>(log) {
                let event: IConsentRegistry::ConsentGranted = decode(log)?;
                let change = ConsentChange::Granted {
                    purposes: purposes(event.purposes),
                    expiry: expiry(event.expiry),
                };
                ConsentEpoch {
                    epoch: event.epoch,
                    steward: from_evm(event.steward),
                    change,
                    at,
                }
            } else {
                let event: IConsentRegistry::ConsentRevoked = decode(log)?;
                let change = ConsentChange::Revoked {
                    purposes: purposes(event.purposes),
                };
                ConsentEpoch {
                    epoch: event.epoch,
                    steward: from_evm(event.steward),
                    change,
                    at,
                }
            });
        }
        Ok(history)
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
