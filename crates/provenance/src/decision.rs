//! Decisions of models: who may ask what was decided and why, and how anyone checks that nothing was changed or left out.
//!
//! The page `docs/spec/decision.md` defines every format here.

mod access;
mod book;
pub mod commitment;
mod decimal;
mod disclosure;
mod draft;
pub mod entry;
mod erasure;
#[cfg(feature = "http")]
pub mod http;
mod keys;
mod linear;
#[cfg(feature = "http")]
mod listener;
pub mod otlp;
#[cfg(feature = "http")]
mod otlp_protobuf;
mod profile;
pub mod receipt;
mod recorder;
mod secret;
mod segment;
mod trees;
mod value;

pub use access::{Access, AccessError};
pub use book::{DecisionBook, DecisionError, MOST_BATCH, Recorded};
pub use decimal::Decimal;
pub use disclosure::{
    Chosen, DISCLOSURE_FORMAT, Disclosure, DisclosureError, MOST_DISCLOSURE_BYTES, Trust, UncheckedDisclosure,
};
pub use draft::{DecisionDraft, DraftError, ProfileDraft};
pub use erasure::{ERASURE_FORMAT, Erasure};
pub use keys::KeyError;
pub use linear::{LinearFeature, LinearParameters, Link};
pub use profile::{
    CheckedDecision, Decision, Explanation, Field, MOST_FIELDS, PROFILE_FORMAT, Profile, ProfileError, Role,
};
pub use recorder::{Acknowledged, Clock, Recorder, RecorderError, RecorderOptions, RecorderThread};
pub use secret::SecretKey;
pub use segment::SegmentError;
pub use trees::{MOST_MODEL, TreeEnsemble, TreeError};
pub use value::{MOST_TEXT, Value, ValueType};

#[cfg(test)]
mod tests;
