//! What is registered on the chain, by the names its manifests give.
//!
//! Nothing about assets is kept in a file of ours: the chain says what there is, and a manifest that has the
//! registered digest says what it is called.

use counterweight_chain::ledger::ContractReader;
use counterweight_federated::blobs::Blobs;
use counterweight_primitives::{AssetId, ContentDigest};
use counterweight_provenance::{
    blobs::BlobStore,
    ledger::{AssetKind, AssetReader as _, AssetRecord},
    lineage::LineageGraph,
    manifest::{MANIFEST_BYTES, Manifest},
};

use super::Contracts;
use crate::{
    error::{CliError, Code},
    nearest::nearest,
};

/// A registered asset with its manifest, where the bytes are at hand and right.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    /// As registered.
    pub(crate) record: AssetRecord,
    /// What it is.
    pub(crate) manifest: Option<Manifest>,
}

/// Everything registered on a chain.
#[derive(Debug)]
pub(crate) struct Assets(Vec<Asset>);

impl Asset {
    /// What people call it, without its version.
    pub(crate) fn name(&self) -> String {
        let name = self.manifest.as_ref().and_then(Manifest::name);
        name.map_or_else(|| format!("asset-{}", self.record.id), str::to_owned)
    }

    /// What people call it, with its version: can be typed wherever a name is asked for.
    pub(crate) fn full_name(&self) -> String {
        format!("{}@{}", self.name(), self.record.asset.version)
    }
}

impl Assets {
    /// Reads everything registered.
    ///
    /// # Errors
    /// Those of the chain.
    pub(crate) fn read(contracts: &Contracts, blobs: &BlobStore) -> Result<Self, CliError> {
        Self::read_from(&contracts.reader, blobs)
    }

    /// Reads everything registered, from wherever contracts and blobs are.
    ///
    /// # Errors
    /// Those of the chain.
    pub(crate) fn read_from(reader: &ContractReader, blobs: &dyn Blobs) -> Result<Self, CliError> {
        let records = reader.asset_records()?;
        Ok(Self(
            records
                .into_iter()
                .map(|record| {
                    let digest = record.asset.manifest;
                    let bytes = blobs.get(&digest, MANIFEST_BYTES as u64).ok();
                    let manifest = bytes
                        .and_then(|bytes| Manifest::decode_expected(&bytes, &digest).ok())
                        .filter(|manifest| manifest.asset_kind() == Some(record.asset.kind));
                    Asset { record, manifest }
                })
                .collect(),
        ))
    }

    /// All of them, in order of registration: parents before children.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Asset> {
        self.0.iter()
    }

    /// Those of a kind, in order of registration.
    pub(crate) fn of_kind(&self, kind: AssetKind) -> impl DoubleEndedIterator<Item = &Asset> {
        self.all().filter(move |asset| asset.record.asset.kind == kind)
    }

    /// The asset with a number.
    pub(crate) fn by_id(&self, id: AssetId) -> Option<&Asset> {
        self.0.iter().find(|asset| asset.record.id == id)
    }

    /// What `text` means: `name` (its newest version), `name@2`, the first six or more digits of a content digest, or
    /// a whole digest.
    ///
    /// # Errors
    /// [`Code::UnknownName`] with the nearest name, [`Code::Ambiguous`].
    pub(crate) fn find(&self, kind: AssetKind, text: &str) -> Result<&Asset, CliError> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => {
                let version: u32 = version.parse().map_err(|_| {
                    CliError::new(Code::BadValue, format!("\"{version}\" is no version"))
                        .fix(format!("write {name}@1, or {name} alone for its newest version"))
                })?;
                (name, Some(version))
            }
            None => (text, None),
        };
        let right = |asset: &&Asset| version.is_none_or(|version| asset.record.asset.version == version);
        let found = self
            .of_kind(kind)
            .filter(right)
            .rfind(|asset| asset.name() == name);
        if let Some(asset) = found {
            return Ok(asset);
        }
        let digits = text.strip_prefix("blake3:").unwrap_or(text).to_ascii_lowercase();
        if digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let matching: Vec<&Asset> = self
                .of_kind(kind)
                .filter(|asset| asset.record.asset.content.to_hex().starts_with(&digits))
                .collect();
            match matching.as_slice() {
                [asset] => return Ok(asset),
                [] => {}
                // The same bytes may be registered again as a new version; the newest is meant.
                several
                    if several
                        .iter()
                        .all(|a| a.record.asset.content == several[0].record.asset.content) =>
                {
                    return Ok(several[several.len() - 1]);
                }
                several => {
                    let names: Vec<String> = several.iter().map(|asset| asset.full_name()).collect();
                    return Err(CliError::new(
                        Code::Ambiguous,
                        format!("{text} fits several {}s", kind.name()),
                    )
                    .fact("fits", names.join(", "))
                    .fix("give more digits, or the name"));
                }
            }
        }
        let error = CliError::new(
            Code::UnknownName,
            format!("there is no {} \"{text}\"", kind.name()),
        );
        let names: Vec<String> = self
            .of_kind(kind)
            .flat_map(|asset| [asset.name(), asset.full_name()])
            .collect();
        let error = match nearest(text, names.iter().map(String::as_str)) {
            Some(near) => error.fact("nearest", near),
            None => error,
        };
        Err(error.fix(format!("cw {} list", kind.name())))
    }

    /// The lineage graph.
    ///
    /// # Errors
    /// [`Code::LineageDiffers`] where the chain's records contradict each other.
    pub(crate) fn lineage(&self) -> Result<LineageGraph, CliError> {
        let bytes = |digest: &ContentDigest| {
            let asset = self
                .0
                .iter()
                .find(|asset| asset.record.asset.manifest == *digest)?;
            asset.manifest.as_ref()?.encode().ok()
        };
        Ok(LineageGraph::build(
            self.0.iter().map(|asset| asset.record.clone()),
            bytes,
        )?)
    }

    /// The newest asset of a kind, owner and name.
    pub(crate) fn newest(
        &self,
        kind: AssetKind,
        owner: counterweight_primitives::Address,
        name: &str,
    ) -> Option<&Asset> {
        self.of_kind(kind)
            .rfind(|asset| asset.record.owner == owner && asset.name() == name)
    }
}
