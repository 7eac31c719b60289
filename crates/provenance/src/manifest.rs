//! What an asset or a run is, in words and digests that others can check.
//!
//! A manifest is canonical JSON (`docs/spec/canonical-json.md`) whose `format` names its kind and version; the chain
//! holds its BLAKE3 digest. Page: `docs/spec/manifest.md`.

mod collection;
mod dataset;
mod decimal;
mod model;
mod rules;
mod run;

use counterweight_primitives::{CanonicalError, ContentDigest, from_canonical_json, to_canonical_json};
use serde::{Deserialize, Serialize};

pub use collection::CollectionManifest;
pub use dataset::{Column, ColumnKind, ColumnRole, DatasetManifest};
pub use decimal::{Decimal, ParseDecimalError};
pub use model::{Architecture, Metric, ModelManifest};
pub use rules::MOST_PARENTS;
pub use run::{RunManifest, RunMember, RunRound, RunUpdate};

use crate::{canonical_form::check_same, ledger::AssetKind};

/// Most bytes of a manifest: 64 members and some 2,000 rounds.
pub const MANIFEST_BYTES: usize = 16 << 20;

/// Why bytes are no manifest, or a manifest cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not canonical, too long, an unknown format or field, or a value of another type.
    #[error("not a manifest")]
    Encoding(#[source] CanonicalError),
    /// A field breaks a rule of its format.
    #[error("{field} {rule}")]
    Field {
        /// Which one, `columns[3].name`.
        field: String,
        /// What it must be and is not.
        rule: String,
    },
    /// Another digest than expected: not the manifest that was registered.
    #[error("the manifest has digest {got}, expected {expected}")]
    Digest {
        /// What was registered.
        expected: ContentDigest,
        /// What was found.
        got: ContentDigest,
    },
}

/// What an asset or a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format")]
pub enum Manifest {
    /// Data that somebody stewards.
    #[serde(rename = "counterweight/dataset/v1")]
    Dataset(DatasetManifest),
    /// How a model was trained.
    #[serde(rename = "counterweight/run/v1")]
    Run(RunManifest),
    /// Trained parameters.
    #[serde(rename = "counterweight/model/v1")]
    Model(ModelManifest),
    /// Several assets held together.
    #[serde(rename = "counterweight/collection/v1")]
    Collection(CollectionManifest),
}

/// Where bytes are what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentRef {
    /// Content digest of the file or folder.
    pub digest: ContentDigest,
    /// Bytes in all files.
    pub size: u64,
}

impl Manifest {
    /// Its canonical bytes.
    ///
    /// # Errors
    /// [`ManifestError::Field`] or [`ManifestError::Encoding`].
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let bytes = to_canonical_json(self).map_err(ManifestError::Encoding)?;
        if bytes.len() > MANIFEST_BYTES {
            let (got, limit) = (bytes.len(), MANIFEST_BYTES);
            return Err(ManifestError::Encoding(CanonicalError::TooLong { got, limit }));
        }
        Ok(bytes)
    }

    /// Reads canonical bytes and checks every rule of the format.
    ///
    /// # Errors
    /// [`ManifestError::Encoding`] or [`ManifestError::Field`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = from_canonical_json(bytes, MANIFEST_BYTES).map_err(ManifestError::Encoding)?;
        // Serde reads an absent field and `null` alike: only the one that is written has the digest.
        check_same(bytes, &manifest.encode()?).map_err(ManifestError::Encoding)?;
        Ok(manifest)
    }

    /// Reads the manifest with a digest.
    ///
    /// # Errors
    /// Every variant of [`ManifestError`].
    pub fn decode_expected(bytes: &[u8], expected: &ContentDigest) -> Result<Self, ManifestError> {
        let got = ContentDigest::of(bytes);
        if got != *expected {
            return Err(ManifestError::Digest {
                expected: *expected,
                got,
            });
        }
        Self::decode(bytes)
    }

    /// The digest that the chain holds.
    ///
    /// # Errors
    /// As [`Manifest::encode`].
    pub fn digest(&self) -> Result<ContentDigest, ManifestError> {
        self.encode().map(|bytes| ContentDigest::of(&bytes))
    }

    /// The kind of asset it describes; none for a run, which is no asset of its own.
    #[must_use]
    pub fn asset_kind(&self) -> Option<AssetKind> {
        match self {
            Self::Dataset(_) => Some(AssetKind::Dataset),
            Self::Model(_) => Some(AssetKind::Model),
            Self::Collection(_) => Some(AssetKind::Collection),
            Self::Run(_) => None,
        }
    }

    /// What people call it; none for a run.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Dataset(dataset) => Some(&dataset.name),
            Self::Model(model) => Some(&model.name),
            Self::Collection(collection) => Some(&collection.name),
            Self::Run(_) => None,
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        match self {
            Self::Dataset(dataset) => dataset.check(),
            Self::Run(run) => run.check(),
            Self::Model(model) => model.check(),
            Self::Collection(collection) => collection.check(),
        }
    }
}

#[cfg(test)]
mod tests;
