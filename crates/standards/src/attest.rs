//! What other contracts and their tools take: attestations of EAS, and content of ERC-7007 tokens.
//!
//! [`eas`] signs what the ledger knows about an asset for readers of the Ethereum Attestation Service, off the chain or as a call;
//! [`erc7007`] makes the call that binds a proven answer to a token. Neither is relied on by anything here: they carry the
//! ledger's word to where others look. Page: `docs/spec/attestations.md`.

mod abi;
pub mod eas;
pub mod erc7007;
