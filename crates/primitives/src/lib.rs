//! Name, count and encode what the ledger holds.
//!
//! Everything here is a plain value: no I/O, no clock, no randomness.

#![forbid(unsafe_code)]

pub mod architecture;

mod address;
mod amount;
mod canonical;
mod digest;
mod identifier;
mod share;
mod time;

pub use address::{Address, ParseAddressError};
pub use amount::{Amount, ParseAmountError};
pub use canonical::{CanonicalError, from_canonical_json, to_canonical_json};
pub use digest::{ContentDigest, ParseDigestError, Sha256Digest};
pub use identifier::{AssetId, MemberIndex, PurposeIndex, Round, StudyId};
pub use share::{Ppm, ShareError};
pub use time::{UnixMillis, UnixSeconds};
