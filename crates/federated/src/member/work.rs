//! What a member computes in a round.

use counterweight_primitives::{ContentDigest, MemberIndex, Round};

/// An update ready to be committed and handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedUpdate {
    /// The round it is for.
    pub round: Round,
    /// Whose it is.
    pub member: MemberIndex,
    /// Digest of its bytes.
    pub digest: ContentDigest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}
