//! Say what the ledger knows in formats that others read, and read theirs.
//!
//! | Format | Version | Module |
//! |---|---|---|
//! | OpenSSF Model Signing | 1.0 | [`oms`] |
//! | Croissant with RAI, CycloneDX ML-BOM, SPDX, PROV-JSON, Hugging Face model card, EU AI Act Annex IV | 1.1 and 1.0, 1.6 and 1.7, 3.0.1, 2013, –, 2024/1689 | [`export`] |
//! | Ethereum Attestation Service, ERC-7007 | off-chain format 2, Final | [`attest`] |
//! | Hugging Face cards, safetensors | – | [`card`], [`safetensors`] |
//! | C2PA: what our assertion says | 2.x | [`c2pa`] |
//! | EU AI Act, Article 12 | 2024/1689 | [`record_keeping`] |
//!
//! Nothing here adds to what the ledger proves: an export repeats it in another's words, and what is read from others is
//! a claim of theirs. Page: `docs/reference/standards.md`.

#![forbid(unsafe_code)]

pub mod attest;
pub mod c2pa;
pub mod card;
pub mod export;
pub mod oms;
pub mod record_keeping;
pub mod safetensors;
