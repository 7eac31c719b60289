//! The consents that a run used, committed to with the model.

use std::collections::BTreeMap;

use counterweight_primitives::{
    Address, AssetId, CanonicalError, PurposeIndex, Round, Sha256Digest, StudyId, from_canonical_json,
    to_canonical_json,
};
use serde::{Deserialize, Serialize};

use super::{
    ConsentId, ConsentUse, EndedConsents, Ending, MapProof, MapProofError, NotAllowed, Registry, granted_for,
    history::name,
};
use crate::{
    canonical_form::check_same,
    ledger::{ConsentEpoch, Position},
};

/// What the document's member `format` holds.
const FORMAT: &str = "counterweight/consent-set/v1";

/// Longest document that is read.
pub const CONSENT_SET_BYTES: usize = 16 << 20;

/// Why the consents of a run do not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentSetError {
    /// Not canonical, too long, an unknown member or another format.
    #[error("the set of consents cannot be read")]
    Encoding(#[source] CanonicalError),
    /// A use that was not allowed.
    #[error("{}: {why}", place(used))]
    NotAllowed {
        /// The use.
        used: Box<ConsentUse>,
        /// Why not.
        why: NotAllowed,
    },
    /// It is about something else.
    #[error("the set is about {what} {got}, expected {expected}")]
    Other {
        /// What differs.
        what: &'static str,
        /// What was expected.
        expected: String,
        /// What it says.
        got: String,
    },
    /// It leaves out or invents a use.
    #[error("the set {what} dataset {dataset} under grant {grant}, the chain says otherwise")]
    Uses {
        /// What is wrong: `leaves out`, `invents`, `differs in the rounds of`.
        what: &'static str,
        /// The dataset.
        dataset: AssetId,
        /// The grant.
        grant: u32,
    },
    /// The map of ended consents was closed before the last use.
    #[error(
        "the map of ended consents ends with block {block}, dataset {dataset} was used in block {last_use}"
    )]
    TooEarly {
        /// Last block of the map.
        block: u64,
        /// The dataset.
        dataset: AssetId,
        /// Block of its last use.
        last_use: u64,
    },
    /// The map is not that of the chain.
    #[error(
        "the map of consents that ended up to block {block} has {expected_count} and root {expected}, the set names \
         {got_count} and {got}"
    )]
    Map {
        /// Last block of the map.
        block: u64,
        /// The chain's root.
        expected: Sha256Digest,
        /// The chain's count.
        expected_count: u64,
        /// The root in the set.
        got: Sha256Digest,
        /// The count in the set.
        got_count: u64,
    },
    /// A proof does not lead to the root.
    #[error("the proof for dataset {dataset} under grant {grant} does not hold")]
    Proof {
        /// The dataset.
        dataset: AssetId,
        /// The grant.
        grant: u32,
        /// Why not.
        #[source]
        source: MapProofError,
    },
    /// By its own words a consent had ended before its last use.
    #[error("dataset {dataset}: the consent of grant {grant} {} at epoch {} and was used after that", ending.cause, ending.epoch)]
    EndedBefore {
        /// The dataset.
        dataset: AssetId,
        /// The grant.
        grant: u32,
        /// How it ended.
        ending: Ending,
    },
}

fn place(used: &ConsentUse) -> String {
    let when = used.at.to_rfc3339();
    match used.round {
        Some(round) => format!("round {round} used dataset {} {when}", used.dataset),
        None => format!("dataset {} joined {when}", used.dataset),
    }
}

/// The map of ended consents that a set was checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapHead {
    /// Last block whose events are in it.
    pub block: u64,
    /// How many consents had ended.
    pub count: u64,
    /// The root.
    pub root: Sha256Digest,
}

/// A consent that a run relied on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedConsent {
    /// The dataset.
    pub dataset: AssetId,
    /// Number of the epoch whose grant allowed it.
    pub grant: u32,
    /// Rounds in which it was used, ascending; 0 stands for joining.
    pub rounds: Vec<Round>,
    /// Where in the chain's history it was used last.
    pub last_use: Position,
    /// BLAKE3 digest of the steward's signed grant, where the coordinator had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<counterweight_primitives::ContentDigest>,
    /// How the consent ended after that, if it had by the map's last block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Proof of that, or that it had not.
    pub proof: MapProof,
}

/// The consents that a run used: `counterweight/consent-set/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentSet {
    format: String,
    /// Chain id (EIP-155).
    pub chain: u64,
    /// The contract `ConsentRegistry` there.
    pub contract: Address,
    /// The contract `TrainingRounds` there.
    pub training: Address,
    /// The study.
    pub study: StudyId,
    /// Name of the purpose the study asked for.
    pub purpose: String,
    /// What had ended by then.
    pub ended: MapHead,
    /// Each consent, ascending by dataset and grant.
    pub consents: Vec<UsedConsent>,
}

/// Which grants the uses of a study rested on, and which uses rested on none. Ascending by dataset and grant.
#[must_use]
pub fn used_consents(
    histories: &BTreeMap<AssetId, Vec<ConsentEpoch>>,
    uses: &[ConsentUse],
    purpose: PurposeIndex,
) -> (Vec<UsedConsent>, Vec<ConsentSetError>) {
    let mut used: BTreeMap<(AssetId, u32), UsedConsent> = BTreeMap::new();
    let mut refused = Vec::new();
    for one in uses {
        let history = histories.get(&one.dataset).map_or(&[][..], Vec::as_slice);
        let grant = match granted_for(history, one, purpose) {
            Ok(grant) => grant,
            Err(why) => {
                refused.push(ConsentSetError::NotAllowed {
                    used: Box::new(*one),
                    why,
                });
                continue;
            }
        };
        let entry = used.entry((one.dataset, grant)).or_insert_with(|| UsedConsent {
            dataset: one.dataset,
            grant,
            rounds: Vec::new(),
            last_use: one.position,
            entry: None,
            ending: None,
            proof: MapProof::default(),
        });
        entry.rounds.push(one.round.unwrap_or(Round(0)));
        entry.last_use = entry.last_use.max(one.position);
    }
    for entry in used.values_mut() {
        entry.rounds.sort_unstable();
        entry.rounds.dedup();
    }
    (used.into_values().collect(), refused)
}

impl ConsentSet {
    /// Gathers what a study used, from the histories of every dataset up to a block.
    ///
    /// # Errors
    /// [`ConsentSetError::NotAllowed`]: there is nothing to commit to.
    pub fn gather(
        registry: &Registry,
        (training, study, purpose): (Address, StudyId, PurposeIndex),
        histories: &BTreeMap<AssetId, Vec<ConsentEpoch>>,
        uses: &[ConsentUse],
        block: u64,
    ) -> Result<Self, ConsentSetError> {
        let (mut consents, refused) = used_consents(histories, uses, purpose);
        if let Some(first) = refused.into_iter().next() {
            return Err(first);
        }
        let map = gather_map(registry, histories, block);
        for used in &mut consents {
            let id = ConsentId::of(registry, used.dataset, used.grant, purpose);
            (used.ending, used.proof) = map.prove(&id);
        }
        Ok(Self {
            format: FORMAT.to_owned(),
            chain: registry.chain,
            contract: registry.contract,
            training,
            study,
            purpose: name(purpose),
            ended: MapHead {
                block,
                count: map.len() as u64,
                root: map.root(),
            },
            consents,
        })
    }

    /// Its canonical bytes.
    ///
    /// # Errors
    /// [`ConsentSetError::Encoding`].
    pub fn encode(&self) -> Result<Vec<u8>, ConsentSetError> {
        to_canonical_json(self).map_err(ConsentSetError::Encoding)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`ConsentSetError::Encoding`], [`ConsentSetError::Other`] for another format.
    pub fn decode(bytes: &[u8]) -> Result<Self, ConsentSetError> {
        let set: Self = from_canonical_json(bytes, CONSENT_SET_BYTES).map_err(ConsentSetError::Encoding)?;
        check_same(bytes, &set.encode()?).map_err(ConsentSetError::Encoding)?;
        if set.format != FORMAT {
            return Err(other("format", &FORMAT, &set.format));
        }
        Ok(set)
    }

    /// Everything in the set that contradicts what it must be about, or itself: its proofs against its own root. Needs
    /// no chain, and takes the root's word for what had ended.
    #[must_use]
    pub fn check(
        &self,
        registry: &Registry,
        (training, study, purpose): (Address, StudyId, PurposeIndex),
    ) -> Vec<ConsentSetError> {
        let mut wrong = Vec::new();
        if self.chain != registry.chain {
            wrong.push(other("chain", &registry.chain, &self.chain));
        }
        if self.contract != registry.contract {
            wrong.push(other("registry", &registry.contract, &self.contract));
        }
        if self.training != training {
            wrong.push(other("contract", &training, &self.training));
        }
        if self.study != study {
            wrong.push(other("study", &study, &self.study));
        }
        if self.purpose != name(purpose) {
            wrong.push(other("purpose", &name(purpose), &self.purpose));
        }
        for used in &self.consents {
            let (dataset, grant) = (used.dataset, used.grant);
            let id = ConsentId::of(registry, dataset, grant, purpose);
            if let Err(source) = id.verify(&self.ended.root, used.ending.as_ref(), &used.proof) {
                wrong.push(ConsentSetError::Proof {
                    dataset,
                    grant,
                    source,
                });
            }
            if let Some(ending) = used.ending.filter(|ending| ending.position < used.last_use) {
                wrong.push(ConsentSetError::EndedBefore {
                    dataset,
                    grant,
                    ending,
                });
            }
            if used.last_use.block > self.ended.block {
                wrong.push(ConsentSetError::TooEarly {
                    block: self.ended.block,
                    dataset,
                    last_use: used.last_use.block,
                });
            }
        }
        wrong
    }

    /// Everything in the set that contradicts the chain: uses that are left out or invented, and another map than its
    /// events give. Uses that were not allowed are [`used_consents`]' to tell.
    #[must_use]
    pub fn check_against(
        &self,
        registry: &Registry,
        purpose: PurposeIndex,
        histories: &BTreeMap<AssetId, Vec<ConsentEpoch>>,
        uses: &[ConsentUse],
    ) -> Vec<ConsentSetError> {
        let mut wrong = Vec::new();
        let (expected, _) = used_consents(histories, uses, purpose);
        let key = |used: &UsedConsent| (used.dataset, used.grant);
        let by_key: BTreeMap<_, &UsedConsent> = self.consents.iter().map(|used| (key(used), used)).collect();
        let mut problem = |what, (dataset, grant)| {
            wrong.push(ConsentSetError::Uses { what, dataset, grant });
        };
        for used in &expected {
            match by_key.get(&key(used)) {
                None => problem("leaves out", key(used)),
                Some(said) if said.rounds != used.rounds || said.last_use != used.last_use => {
                    problem("differs in the rounds of", key(used));
                }
                Some(_) => {}
            }
        }
        for used in &self.consents {
            if !expected.iter().any(|expected| key(expected) == key(used)) {
                problem("invents", key(used));
            }
        }
        if by_key.len() != self.consents.len() {
            let twice = self.consents.iter().map(key).next().unwrap_or((AssetId(0), 0));
            problem("repeats", twice);
        }
        let map = gather_map(registry, histories, self.ended.block);
        if map.root() != self.ended.root || map.len() as u64 != self.ended.count {
            wrong.push(ConsentSetError::Map {
                block: self.ended.block,
                expected: map.root(),
                expected_count: map.len() as u64,
                got: self.ended.root,
                got_count: self.ended.count,
            });
        }
        wrong
    }
}

fn gather_map(
    registry: &Registry,
    histories: &BTreeMap<AssetId, Vec<ConsentEpoch>>,
    block: u64,
) -> EndedConsents {
    let histories = histories
        .iter()
        .map(|(dataset, history)| (*dataset, history.as_slice()));
    EndedConsents::gather(registry, histories, block)
}

fn other(
    what: &'static str,
    expected: &dyn std::fmt::Display,
    got: &dyn std::fmt::Display,
) -> ConsentSetError {
    ConsentSetError::Other {
        what,
        expected: expected.to_string(),
        got: got.to_string(),
    }
}
