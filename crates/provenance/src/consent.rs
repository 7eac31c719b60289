//! Consent as something that can be shown: what stewards signed, what runs used, what was withdrawn.
//!
//! The chain decides what is allowed ([`crate::ledger::ConsentReader`]). Here is what follows from its events and can be
//! carried away: each grant and withdrawal as a signed statement ([`ConsentEntry`]), the consents that a run used
//! ([`ConsentSet`]), and a map of every consent that ended ([`EndedConsents`]) with proofs that others did not.
//! Page: `docs/spec/consent.md`.

mod ended;
mod entry;
mod history;
mod map;
mod set;

pub use ended::{Cause, ConsentId, EndedConsents, Ending, Registry};
pub use entry::{CONSENT_GRANTED, CONSENT_WITHDRAWN, ConsentEntry, ConsentEntryError};
pub use history::{ConsentUse, NotAllowed, granted_for};
pub use map::{MapProof, MapProofError};
pub use set::{CONSENT_SET_BYTES, ConsentSet, ConsentSetError, MapHead, UsedConsent, used_consents};

#[cfg(test)]
mod tests;
