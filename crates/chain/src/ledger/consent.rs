//! What stewards allow, kept by `ConsentRegistry`.

use std::collections::BTreeMap;

use alloy_primitives::aliases::U160;
use alloy_sol_types::SolEvent as _;
use counterweight_primitives::{Address, AssetId, MemberIndex, PurposeIndex, Round, StudyId, UnixSeconds};
use counterweight_provenance::consent::ConsentUse;
use counterweight_provenance::ledger::{
    Consent, ConsentChange, ConsentEpoch, ConsentLedger, ConsentReader, LedgerError, Position,
};
use counterweight_provenance::purpose::PurposeSet;

use super::{ContractLedger, Failure, decode, is, topic};
use crate::address::from_evm;
use crate::contracts::{IConsentRegistry, IERC721, ITrainingRounds};
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
        Ok(self
            .histories(Some(dataset))?
            .remove(&dataset)
            .unwrap_or_default())
    }
}

impl<S> ContractLedger<S> {
    /// Every grant, revocation and transfer of every dataset that ever had consent, in order.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn consent_histories(&self) -> Result<BTreeMap<AssetId, Vec<ConsentEpoch>>, LedgerError> {
        Ok(self.histories(None)?)
    }

    /// Each moment at which a study relied on a dataset's consent, in order: joinings and commitments, also those of rounds
    /// that expired.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn consent_uses(&self, study: StudyId) -> Result<Vec<ConsentUse>, LedgerError> {
        let signatures = [
            ITrainingRounds::MemberJoined::SIGNATURE_HASH,
            ITrainingRounds::UpdateCommitted::SIGNATURE_HASH,
        ];
        let mut times = self.times();
        let mut members: Vec<(Address, AssetId)> = Vec::new();
        let mut uses = Vec::new();
        let logs = self.events(self.deployment.training_rounds, &signatures, Some(topic(study.0)))?;
        for log in &logs {
            let (member, round, epoch) = if is::<ITrainingRounds::MemberJoined>(log) {
                let event: ITrainingRounds::MemberJoined = decode(log)?;
                if usize::from(event.member) != members.len() {
                    let what = format!("study {study}: member {} joined out of order", event.member);
                    return Err(LedgerError::Malformed { what });
                }
                members.push((from_evm(event.account), AssetId(event.dataset)));
                (event.member, None, event.consentEpoch)
            } else {
                let event: ITrainingRounds::UpdateCommitted = decode(log)?;
                (event.member, Some(Round(event.round)), event.consentEpoch)
            };
            let (account, dataset) = members.get(usize::from(member)).copied().ok_or_else(|| {
                Failure::malformed(format!(
                    "study {study}: member {member} committed and never joined"
                ))
            })?;
            uses.push(ConsentUse {
                member: MemberIndex(member),
                account,
                dataset,
                round,
                epoch,
                at: times.of(log)?,
                position: position(log),
            });
        }
        Ok(uses)
    }

    /// Histories of one dataset, or of all that have one.
    fn histories(&self, dataset: Option<AssetId>) -> Result<BTreeMap<AssetId, Vec<ConsentEpoch>>, Failure> {
        let signatures = [
            IConsentRegistry::ConsentGranted::SIGNATURE_HASH,
            IConsentRegistry::ConsentRevoked::SIGNATURE_HASH,
        ];
        let subject = dataset.map(|dataset| topic(dataset.0));
        let mut logs = self.events(self.deployment.consent_registry, &signatures, subject)?;
        // A transfer ends what the former owner allowed; the consent registry logs nothing of its own for it.
        logs.extend(self.transfers(dataset)?);
        logs.sort_by_key(|log| (log.block, log.index));
        let mut times = self.times();
        let mut histories: BTreeMap<AssetId, Vec<ConsentEpoch>> = BTreeMap::new();
        for log in &logs {
            let (dataset, epoch, steward, change) = if is::<IConsentRegistry::ConsentGranted>(log) {
                let event: IConsentRegistry::ConsentGranted = decode(log)?;
                let change = ConsentChange::Granted {
                    purposes: purposes(event.purposes),
                    expiry: expiry(event.expiry),
                };
                (event.datasetId, Some(event.epoch), event.steward, change)
            } else if is::<IConsentRegistry::ConsentRevoked>(log) {
                let event: IConsentRegistry::ConsentRevoked = decode(log)?;
                let change = ConsentChange::Revoked {
                    purposes: purposes(event.purposes),
                };
                (event.datasetId, Some(event.epoch), event.steward, change)
            } else {
                let event: IERC721::Transfer = decode(log)?;
                let id = u64::try_from(event.tokenId)
                    .map_err(|_| Failure::malformed(format!("an asset with id {}", event.tokenId)))?;
                (id, None, event.to, ConsentChange::Transferred)
            };
            let history = histories.entry(AssetId(dataset)).or_default();
            let epoch = epoch.unwrap_or_else(|| history.last().map_or(0, |last| last.epoch));
            history.push(ConsentEpoch {
                epoch,
                steward: from_evm(steward),
                change,
                at: times.of(log)?,
                position: position(log),
            });
        }
        Ok(histories)
    }

    /// Transfers of an asset's token, or of all, without those that registrations make.
    fn transfers(&self, asset: Option<AssetId>) -> Result<Vec<EventLog>, Failure> {
        let mut topics = vec![vec![IERC721::Transfer::SIGNATURE_HASH]];
        if let Some(asset) = asset {
            topics.extend([Vec::new(), Vec::new(), vec![topic(asset.0)]]);
        }
        let mut logs = self.logs(self.deployment.asset_registry, topics)?;
        logs.retain(|log| log.topics.get(1).is_some_and(|from| !from.is_zero()));
        Ok(logs)
    }
}

fn position(log: &EventLog) -> Position {
    Position {
        block: log.block,
        index: log.index,
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
