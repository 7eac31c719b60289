//! What the log says of an erasure: when, on what ground, of how many; never of whom.

use counterweight_primitives::{CanonicalError, UnixMillis, from_canonical_json, to_canonical_json};
use serde::{Deserialize, Serialize};

/// The format's name.
pub const ERASURE_FORMAT: &str = "counterweight/decision-erasure/v1";

/// Longest entry read.
const MOST_BYTES: usize = 65_535;

/// Longest ground that is told.
const MOST_GROUND: usize = 200;

/// An erasure's entry in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    format: String,
    /// How many decisions cannot be opened any more.
    pub decisions: u64,
    /// When, in milliseconds since 1970.
    pub erased_at: UnixMillis,
    /// The legal ground, such as "GDPR 17(1)(b)".
    pub ground: String,
    /// A random number, so that two erasures are two.
    pub id: String,
    /// How many subjects.
    pub subjects: u64,
}

impl Erasure {
    pub(super) fn new(id: [u8; 16], ground: &str, subjects: u64, decisions: u64, now: UnixMillis) -> Self {
        Self {
            format: ERASURE_FORMAT.to_owned(),
            decisions,
            erased_at: now,
            ground: ground.chars().take(MOST_GROUND).collect(),
            id: hex::encode(id),
            subjects,
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical_json(self)
    }

    /// Reads an entry; none where it is of another kind.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let read: Self = from_canonical_json(bytes, MOST_BYTES).ok()?;
        (read.format == ERASURE_FORMAT).then_some(read)
    }
}
