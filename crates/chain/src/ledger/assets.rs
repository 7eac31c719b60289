//! Assets and their lineage, kept by `AssetRegistry`.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use alloy_sol_types::SolEvent as _;
use counterweight_primitives::{Address, AssetId, ContentDigest, Ppm};
use counterweight_provenance::ledger::{
    Asset, AssetKind, AssetLedger, AssetReader, AssetRecord, LedgerError, Parent, Registration,
};

use super::{ContractLedger, Failure, decode, is};
use crate::address::{from_evm, to_evm};
use crate::contracts::{IAssetMetadata, IAssetRegistry, IERC721};

fn kind(kind: IAssetRegistry::Kind) -> Result<AssetKind, Failure> {
    AssetKind::from_code(kind as u8).ok_or_else(|| Failure::malformed(format!("an asset of kind {kind:?}")))
}

fn parent(id: u64, share: u32) -> Result<Parent, Failure> {
    let share = Ppm::new(share).map_err(|e| Failure::malformed(e.to_string()))?;
    Ok(Parent {
        asset: AssetId(id),
        share,
    })
}

impl<S> AssetReader for ContractLedger<S> {
    fn asset(&self, id: AssetId) -> Result<Asset, LedgerError> {
        let asset = self.ask(
            self.deployment.asset_registry,
            &IAssetRegistry::assetCall { id: id.0 },
        )?;
        Ok(Asset {
            kind: kind(asset.kind)?,
            content: ContentDigest(asset.contentDigest.0),
            manifest: ContentDigest(asset.manifestDigest.0),
            previous: (asset.previous != 0).then_some(AssetId(asset.previous)),
            version: asset.version,
        })
    }

    fn parents(&self, id: AssetId) -> Result<Vec<Parent>, LedgerError> {
        let parents = self.ask(
            self.deployment.asset_registry,
            &IAssetRegistry::parentsCall { id: id.0 },
        )?;
        Ok(parents
            .iter()
            .map(|p| parent(p.id, p.sharePpm))
            .collect::<Result<_, _>>()?)
    }

    fn owner(&self, id: AssetId) -> Result<Address, LedgerError> {
        let call = IERC721::ownerOfCall {
            tokenId: U256::from(id.0),
        };
        Ok(from_evm(self.ask(self.deployment.asset_registry, &call)?))
    }

    fn replaced_by(&self, id: AssetId) -> Result<Option<AssetId>, LedgerError> {
        let call = IAssetRegistry::replacedByCall { id: id.0 };
        let next = self.ask(self.deployment.asset_registry, &call)?;
        Ok((next != 0).then_some(AssetId(next)))
    }

    fn asset_count(&self) -> Result<u64, LedgerError> {
        Ok(self.ask(self.deployment.asset_registry, &IAssetRegistry::assetCountCall {})?)
    }

    fn asset_records(&self) -> Result<Vec<AssetRecord>, LedgerError> {
        let signatures = [
            IAssetRegistry::AssetRegistered::SIGNATURE_HASH,
            IAssetRegistry::LineageEdge::SIGNATURE_HASH,
            IERC721::Transfer::SIGNATURE_HASH,
            IAssetMetadata::UriSet::SIGNATURE_HASH,
        ];
        let mut times = self.times();
        let mut records: BTreeMap<u64, AssetRecord> = BTreeMap::new();
        // Edges and transfers of an asset may be logged before its registration, in the same transaction.
        let mut parents: BTreeMap<u64, Vec<Parent>> = BTreeMap::new();
        let mut owners = BTreeMap::new();
        for log in &self.events(self.deployment.asset_registry, &signatures, None)? {
            if is::<IERC721::Transfer>(log) {
                let event: IERC721::Transfer = decode(log)?;
                let id = u64::try_from(event.tokenId)
                    .map_err(|_| Failure::malformed(format!("an asset with id {}", event.tokenId)))?;
                owners.insert(id, from_evm(event.to));
            } else if is::<IAssetMetadata::UriSet>(log) {
                let event: IAssetMetadata::UriSet = decode(log)?;
                if let Some(record) = records.get_mut(&event.id) {
                    record.uri = event.uri;
                }
            } else if is::<IAssetRegistry::LineageEdge>(log) {
                let event: IAssetRegistry::LineageEdge = decode(log)?;
                parents
                    .entry(event.child)
                    .or_default()
                    .push(parent(event.parent, event.sharePpm)?);
            } else {
                let event: IAssetRegistry::AssetRegistered = decode(log)?;
                let version = match event.previous {
                    0 => 1,
                    previous => {
                        let previous = records.get(&previous).ok_or_else(|| {
                            Failure::malformed(format!("asset {} replaces one that is unknown", event.id))
                        })?;
                        previous.asset.version.saturating_add(1)
                    }
                };
                let asset = Asset {
                    kind: kind(event.kind)?,
                    content: ContentDigest(event.contentDigest.0),
                    manifest: ContentDigest(event.manifestDigest.0),
                    previous: (event.previous != 0).then_some(AssetId(event.previous)),
                    version,
                };
                let record = AssetRecord {
                    id: AssetId(event.id),
                    asset,
                    registered_to: from_evm(event.owner),
                    owner: from_evm(event.owner),
                    registered_at: times.of(log)?,
                    uri: event.uri,
                    parents: Vec::new(),
                };
                records.insert(event.id, record);
            }
        }
        for (id, record) in &mut records {
            record.parents = parents.remove(id).unwrap_or_default();
            record.parents.sort_unstable();
            record.owner = owners.get(id).copied().unwrap_or(record.owner);
        }
        Ok(records.into_values().collect())
    }
}

impl ContractLedger {
    /// Names another place for an asset's metadata. Wallets and galleries are told to look again (ERC-4906).
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn set_uri(&self, id: AssetId, uri: &str) -> Result<(), LedgerError> {
        let call = IAssetMetadata::setUriCall {
            id: id.0,
            uri: uri.to_owned(),
        };
        self.send(self.deployment.asset_registry, &call)?;
        Ok(())
    }
}

impl AssetLedger for ContractLedger {
    fn register(&self, owner: Address, registration: &Registration) -> Result<AssetId, LedgerError> {
        let kind = IAssetRegistry::Kind::try_from(registration.kind.code())
            .map_err(|e| Failure::malformed(e.to_string()))?;
        let parents = registration
            .parents
            .iter()
            .map(|p| IAssetRegistry::Parent {
                id: p.asset.0,
                sharePpm: p.share.millionths(),
            })
            .collect();
        let registration = IAssetRegistry::Registration {
            kind,
            contentDigest: registration.content.0.into(),
            manifestDigest: registration.manifest.0.into(),
            previous: registration.previous.map_or(0, |id| id.0),
            resaleRoyaltyBps: registration.resale_royalty_bps,
            uri: registration.uri.clone(),
            parents,
        };
        let call = IAssetRegistry::registerCall {
            owner: to_evm(owner),
            registration,
        };
        let event: IAssetRegistry::AssetRegistered = self.send_for(self.deployment.asset_registry, &call)?;
        Ok(AssetId(event.id))
    }
}
