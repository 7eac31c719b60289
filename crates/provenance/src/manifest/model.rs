//! Manifest of a model.

use std::collections::BTreeMap;

use counterweight_primitives::ContentDigest;
use serde::{Deserialize, Serialize};

use super::{
    ContentRef, Decimal, ManifestError,
    rules::{check_count, check_name, check_parents, check_text},
};
use crate::{ledger::Parent, purpose::PurposeSet};

/// Most metrics, and most settings of an architecture.
const MOST_ENTRIES: usize = 1024;

/// Trained parameters: `counterweight/model/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelManifest {
    /// What people call it.
    pub name: String,
    /// Its parameters: one safetensors file.
    pub content: ContentRef,
    /// What the parameters are for.
    pub architecture: Architecture,
    /// Digest of the manifest of the run that made it; absent for a model from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<ContentDigest>,
    /// What it came from, with the shares in its income.
    pub parents: Vec<Parent>,
    /// How good it is.
    pub metrics: Vec<Metric>,
    /// SPDX licence expression, or a name where SPDX has none.
    pub licence: String,
    /// Purposes it was trained for.
    pub purposes: PurposeSet,
    /// Model card in Markdown.
    pub card: String,
}

/// What parameters are for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// Name of the family, `logistic-regression`.
    pub family: String,
    /// Number of parameters.
    pub parameters: u64,
    /// What else is needed to build it, `hidden` and `16,8`.
    pub settings: BTreeMap<String, String>,
}

/// A measure of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// What was measured, `accuracy`.
    pub name: String,
    /// On what, `hold-out` or the name of a dataset.
    pub data: String,
    /// On how many rows.
    pub rows: u64,
    /// What came out.
    pub value: Decimal,
}

impl ModelManifest {
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        check_name("name", &self.name)?;
        check_name("licence", &self.licence)?;
        check_name("architecture.family", &self.architecture.family)?;
        check_count(
            "architecture.settings",
            self.architecture.settings.len(),
            MOST_ENTRIES,
        )?;
        for (name, value) in &self.architecture.settings {
            check_name("architecture.settings", name)?;
            check_text(&format!("architecture.settings.{name}"), value)?;
        }
        check_count("metrics", self.metrics.len(), MOST_ENTRIES)?;
        for (index, metric) in self.metrics.iter().enumerate() {
            check_name(&format!("metrics[{index}].name"), &metric.name)?;
            check_name(&format!("metrics[{index}].data"), &metric.data)?;
        }
        check_text("card", &self.card)?;
        check_parents("parents", &self.parents)
    }
}
