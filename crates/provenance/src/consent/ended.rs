//! Every consent that ended, as a map with one root.

use std::{collections::BTreeMap, fmt};

use counterweight_primitives::{Address, AssetId, PurposeIndex, Sha256Digest, UnixSeconds};
use serde::{Deserialize, Serialize};

use super::map::{Leaves, MapProof, MapProofError};
use crate::ledger::{ConsentChange, ConsentEpoch, Position};

/// What a consent's identifier begins with.
const ID_DOMAIN: &str = "counterweight/consent/v1";

/// The registry of consent on a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registry {
    /// Chain id (EIP-155).
    pub chain: u64,
    /// The contract `ConsentRegistry` there.
    pub contract: Address,
}

/// Names one consent: a purpose allowed for a dataset by one grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsentId(pub [u8; 32]);

impl ConsentId {
    /// The name of the consent for a purpose that the grant with a number gave.
    #[must_use]
    pub fn of(registry: &Registry, dataset: AssetId, grant: u32, purpose: PurposeIndex) -> Self {
        let mut bytes = Vec::with_capacity(72);
        bytes.extend_from_slice(ID_DOMAIN.as_bytes());
        bytes.push(b'\n');
        bytes.extend_from_slice(&registry.chain.to_be_bytes());
        bytes.extend_from_slice(&registry.contract.0);
        bytes.extend_from_slice(&dataset.0.to_be_bytes());
        bytes.extend_from_slice(&grant.to_be_bytes());
        bytes.push(purpose.0);
        Self(Sha256Digest::of(&bytes).0)
    }
}

/// How a consent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Its steward withdrew it.
    Withdrawn,
    /// A later grant left its purpose out.
    Replaced,
    /// The dataset's token was transferred.
    Transferred,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Withdrawn => "was withdrawn",
            Self::Replaced => "was left out of a new grant",
            Self::Transferred => "ended with the transfer of the dataset",
        })
    }
}

/// The end of a consent: the value in the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// How.
    pub cause: Cause,
    /// Number of the epoch that ended it, or during which the token was transferred.
    pub epoch: u32,
    /// When.
    pub at: UnixSeconds,
    /// Where in the chain's history.
    pub position: Position,
}

impl Ending {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![match self.cause {
            Cause::Withdrawn => 1,
            Cause::Replaced => 2,
            Cause::Transferred => 3,
        }];
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&self.at.0.to_be_bytes());
        bytes.extend_from_slice(&self.position.block.to_be_bytes());
        bytes.extend_from_slice(&self.position.index.to_be_bytes());
        bytes
    }
}

/// Every consent of a registry that ended up to some block. Nothing ever leaves the map, so what is not in it had not
/// ended by then.
#[derive(Debug, Clone)]
pub struct EndedConsents {
    endings: BTreeMap<[u8; 32], Ending>,
    leaves: Leaves,
}

impl EndedConsents {
    /// Gathers what ended up to a block, included, from the whole history of every dataset. A withdrawal ends every
    /// grant of its purposes so far: whoever names an old one finds it ended too.
    #[must_use]
    pub fn gather<'a>(
        registry: &Registry,
        histories: impl IntoIterator<Item = (AssetId, &'a [ConsentEpoch])>,
        block: u64,
    ) -> Self {
        let mut endings = BTreeMap::new();
        for (dataset, history) in histories {
            let mut open: Vec<(u32, PurposeIndex)> = Vec::new();
            for entry in history.iter().filter(|entry| entry.position.block <= block) {
                let (cause, ends): (Cause, Box<dyn Fn(PurposeIndex) -> bool>) = match entry.change {
                    ConsentChange::Granted { purposes, .. } => (
                        Cause::Replaced,
                        Box::new(move |purpose| !purposes.contains(purpose)),
                    ),
                    ConsentChange::Revoked { purposes } => (
                        Cause::Withdrawn,
                        Box::new(move |purpose| purposes.contains(purpose)),
                    ),
                    ConsentChange::Transferred => (Cause::Transferred, Box::new(|_| true)),
                };
                let ending = Ending {
                    cause,
                    epoch: entry.epoch,
                    at: entry.at,
                    position: entry.position,
                };
                open.retain(|(grant, purpose)| {
                    let over = ends(*purpose);
                    if over {
                        endings.insert(ConsentId::of(registry, dataset, *grant, *purpose).0, ending);
                    }
                    !over
                });
                if let ConsentChange::Granted { purposes, .. } = entry.change {
                    open.extend(purposes.iter().map(|purpose| (entry.epoch, purpose)));
                }
            }
        }
        let leaves = Leaves::of(endings.iter().map(|(key, ending)| (key, ending.bytes())));
        Self { endings, leaves }
    }

    /// How many ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.endings.len()
    }

    /// Whether none did.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endings.is_empty()
    }

    /// The root over all of them; 32 zero bytes where none ended.
    #[must_use]
    pub fn root(&self) -> Sha256Digest {
        self.leaves.root()
    }

    /// How a consent ended, if it did, with the proof of either.
    #[must_use]
    pub fn prove(&self, consent: &ConsentId) -> (Option<Ending>, MapProof) {
        (
            self.endings.get(&consent.0).copied(),
            self.leaves.prove(&consent.0),
        )
    }
}

impl ConsentId {
    /// Checks that under a root this consent had ended so, or not at all.
    ///
    /// # Errors
    /// [`MapProofError`].
    pub fn verify(
        &self,
        root: &Sha256Digest,
        ending: Option<&Ending>,
        proof: &MapProof,
    ) -> Result<(), MapProofError> {
        let value = ending.map(Ending::bytes);
        proof.verify(root, &self.0, value.as_deref())
    }
}
