//! Manifest of a dataset.

use std::collections::BTreeSet;

use counterweight_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{
    ContentRef, ManifestError,
    rules::{broken, check_count, check_name, check_text},
};
use crate::purpose::PurposeSet;

/// Most columns.
const MOST_COLUMNS: usize = 4096;

/// Data that somebody stewards: `counterweight/dataset/v1`. It names columns and counts rows; no value of the data,
/// and no statistic over them, is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetManifest {
    /// What people call it.
    pub name: String,
    /// What it holds, for people.
    pub description: String,
    /// Its bytes.
    pub content: ContentRef,
    /// Rows, the header not counted.
    pub rows: u64,
    /// Its columns, in the order of the file.
    pub columns: Vec<Column>,
    /// SPDX licence expression, or a name where SPDX has none.
    pub licence: String,
    /// Purposes the steward meant to allow when this was written. What is allowed is decided by the chain.
    pub purposes: PurposeSet,
    /// Who answers for it.
    pub steward: Address,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// What its cells hold.
    pub kind: ColumnKind,
    /// What it is used for.
    pub role: ColumnRole,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Numbers.
    Number,
    /// One of a few texts.
    Category,
    /// Any text.
    Text,
}

/// What a column is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnRole {
    /// A model may see it.
    Feature,
    /// A model learns to tell it.
    Target,
    /// Left out of training.
    Ignored,
}

impl DatasetManifest {
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        check_name("name", &self.name)?;
        check_text("description", &self.description)?;
        check_name("licence", &self.licence)?;
        check_count("columns", self.columns.len(), MOST_COLUMNS)?;
        let mut seen = BTreeSet::new();
        for (index, column) in self.columns.iter().enumerate() {
            let field = format!("columns[{index}].name");
            check_name(&field, &column.name)?;
            if !seen.insert(&column.name) {
                return Err(broken(field, format!("must not repeat \"{}\"", column.name)));
            }
        }
        Ok(())
    }
}
