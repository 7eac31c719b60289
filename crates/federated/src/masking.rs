//! Sums of updates that nobody sees one by one.
//!
//! SecAgg+ (Bell et al., CCS 2020, ePrint 2020/704) after Bonawitz et al. (CCS 2017): members of a [`Group`] mask their
//! vectors so that the masks of everybody who stays cancel in the sum. The ledger is the bulletin board on which
//! everyone reads the same messages, in four steps:
//!
//! 1. [`Member::new`] makes an [`Announcement`]: an ephemeral X25519 key.
//! 2. [`Member::share`] deals its key and the seed of its self-mask to its neighbours: a [`Dealing`].
//! 3. [`Member::mask`] takes the dealings of all who take part and gives the masked vector to upload.
//! 4. [`Member::unmask`] takes the set of survivors and gives, for each neighbour, one share: of the seed if it survived,
//!    of the key if it dropped out. Never both, and never for a second set.
//!
//! From the public messages [`recover`] computes the sum; anyone can do it, and gets the same bits.
//!
//! # Differences from the papers
//!
//! - Shares are verifiable, after Baghery's Π (ePrint 2023/1669): digests tell a wrong share from a right one, one
//!   combination of the polynomials shows each neighbour that its shares are on them and that the key dealt is the one
//!   announced, and anyone checks what was recovered. Threshold and neighbours are the group's.
//! - Shares are published rather than sent to a server. Seeds of survivors' self-masks tell nothing beyond the sum, as
//!   long as the pairwise masks between two honest survivors stay secret.
//! - Masks are words of ChaCha20 under a 256-bit key in Z_2^32; the sum is read as signed.
//! - The consistency round is not needed where everyone reads the survivors from the same ledger. A member believes
//!   what it is handed: it must take keys, dealings and survivors from there and nowhere else.
//!
//! Secrets are erased when dropped. A member that restarts in the middle of a round either stays away from it, or draws
//! the same randomness again and must then send the same messages and no others: the ledger holds it to them.

pub mod draw;
mod group;
mod keys;
mod member;
mod recovery;
pub mod refutation;
pub mod roots;
mod sharing;

#[cfg(test)]
mod tests;

pub use self::{
    group::{Group, GroupError, Place, fraction_bits},
    keys::PublicKey,
    member::{Announcement, Dealing, MaskError, Member, Unmasking, key_of},
    recovery::{RecoverError, recover, wrong_shares},
    sharing::Sharing,
};
