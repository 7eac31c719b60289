//! Descriptions of assets for readers who know nothing of the ledger.
//!
//! Each takes a [`Dossier`] and adds nothing to it: what the ledger does not hold is left out, or named as a gap where the
//! format has a place for gaps. All of them are deterministic, dates included, which are those of registration.

mod annex_iv;
mod card;
mod croissant;
mod decision_prov;
mod dossier;
mod ml_bom;
mod nft;
mod picture;
mod prov;
mod spdx;
mod text;

pub use annex_iv::{AnnexIv, annex_iv};
pub use card::model_card;
pub use croissant::{DatasetFile, croissant};
pub use decision_prov::decision_prov;
pub use dossier::{Dossier, ExportError, LogEntry, Run};
pub use ml_bom::{BomVersion, ml_bom};
pub use nft::{ipfs_address, token_metadata};
pub use picture::lineage_picture;
pub use prov::prov;
pub use spdx::spdx;

#[cfg(test)]
mod tests;
