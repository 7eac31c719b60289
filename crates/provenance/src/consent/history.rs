//! Whether a dataset was allowed a purpose when it was used.

use counterweight_primitives::{Address, AssetId, MemberIndex, PurposeIndex, Round, UnixSeconds};

use crate::{
    consent::Cause,
    ledger::{ConsentChange, ConsentEpoch, Position},
    purpose::{Purpose, PurposeSet},
};

/// A moment at which a study relied on a dataset's consent, as the chain recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsentUse {
    /// The member, counted from 0.
    pub member: MemberIndex,
    /// Who acted.
    pub account: Address,
    /// The dataset.
    pub dataset: AssetId,
    /// The round an update was committed in; none where the dataset joined.
    pub round: Option<Round>,
    /// The epoch that the contract found.
    pub epoch: u32,
    /// When.
    pub at: UnixSeconds,
    /// Where in the chain's history.
    pub position: Position,
}

/// Why a use was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAllowed {
    /// Nobody ever allowed the purpose.
    #[error("{} was never allowed for dataset {dataset}", name(*purpose))]
    NeverGranted {
        /// The dataset.
        dataset: AssetId,
        /// The purpose.
        purpose: PurposeIndex,
    },
    /// It had been allowed, and no longer was.
    #[error("{} for dataset {dataset} {cause} at epoch {epoch}, {}", name(*purpose), at.to_rfc3339())]
    Ended {
        /// The dataset.
        dataset: AssetId,
        /// The purpose.
        purpose: PurposeIndex,
        /// How it ended.
        cause: Cause,
        /// Number of the epoch that ended it, or during which the token was sold.
        epoch: u32,
        /// When it ended.
        at: UnixSeconds,
    },
    /// Its time was over.
    #[error("{} for dataset {dataset} expired {}", name(*purpose), expiry.to_rfc3339())]
    Expired {
        /// The dataset.
        dataset: AssetId,
        /// The purpose.
        purpose: PurposeIndex,
        /// From when on nothing was allowed.
        expiry: UnixSeconds,
    },
    /// The use names another epoch than was in force.
    #[error("it was recorded under epoch {recorded} of dataset {dataset}, epoch {in_force} was in force")]
    OtherEpoch {
        /// The dataset.
        dataset: AssetId,
        /// What the record says.
        recorded: u32,
        /// What the history says.
        in_force: u32,
    },
}

/// A purpose's name; its number where the table has none.
pub(super) fn name(purpose: PurposeIndex) -> String {
    Purpose::by_index(purpose).map_or_else(|| format!("purpose-{purpose}"), |known| known.name.to_owned())
}

/// The number of the grant that allowed a use, from a dataset's whole history in order.
///
/// # Errors
/// [`NotAllowed`]: the first thing that contradicts it.
pub fn granted_for(
    history: &[ConsentEpoch],
    used: &ConsentUse,
    purpose: PurposeIndex,
) -> Result<u32, NotAllowed> {
    let dataset = used.dataset;
    let mut allowed = PurposeSet::EMPTY;
    let (mut expiry, mut granted, mut in_force) = (None, 0, 0);
    let mut ended = None;
    for entry in history.iter().filter(|entry| entry.position < used.position) {
        let before = allowed.contains(purpose);
        let cause = match entry.change {
            ConsentChange::Granted {
                purposes,
                expiry: until,
            } => {
                (allowed, expiry, granted) = (purposes, until, entry.epoch);
                Cause::Replaced
            }
            ConsentChange::Revoked { purposes } => {
                allowed = allowed.without(&purposes);
                Cause::Withdrawn
            }
            ConsentChange::Transferred => {
                (allowed, expiry) = (PurposeSet::EMPTY, None);
                Cause::Transferred
            }
        };
        in_force = entry.epoch;
        if before && !allowed.contains(purpose) {
            ended = Some((cause, entry.epoch, entry.at));
        }
    }
    if !allowed.contains(purpose) {
        return Err(match ended {
            Some((cause, epoch, at)) => NotAllowed::Ended {
                dataset,
                purpose,
                cause,
                epoch,
                at,
            },
            None => NotAllowed::NeverGranted { dataset, purpose },
        });
    }
    if let Some(expiry) = expiry.filter(|expiry| *expiry <= used.at) {
        return Err(NotAllowed::Expired {
            dataset,
            purpose,
            expiry,
        });
    }
    if in_force != used.epoch {
        return Err(NotAllowed::OtherEpoch {
            dataset,
            recorded: used.epoch,
            in_force,
        });
    }
    Ok(granted)
}
