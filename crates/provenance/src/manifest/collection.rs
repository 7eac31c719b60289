//! Manifest of a collection.

use counterweight_primitives::{ContentDigest, StudyId};
use serde::{Deserialize, Serialize};

use super::{
    ManifestError,
    rules::{broken, check_name, check_parents},
};
use crate::ledger::Parent;

/// Several assets held together, such as datasets 9 to 16 of a study: `counterweight/collection/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionManifest {
    /// What people call it.
    pub name: String,
    /// The study that brought them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<StudyId>,
    /// Digest of the run's manifest, if they took part in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<ContentDigest>,
    /// What it holds, with the shares in its income.
    pub parents: Vec<Parent>,
}

impl CollectionManifest {
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        check_name("name", &self.name)?;
        if self.parents.is_empty() {
            return Err(broken("parents", "must not be empty"));
        }
        check_parents("parents", &self.parents)
    }
}
