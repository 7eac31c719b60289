//! Manifest of a training run.

use counterweight_primitives::{Address, AssetId, ContentDigest, MemberIndex, Ppm, Round, StudyId};
use serde::{Deserialize, Serialize};

use super::{
    ManifestError,
    rules::{broken, check_count},
};

/// Most members of a study, as in the contract.
const MOST_MEMBERS: usize = 64;

/// Most rounds of a run.
const MOST_ROUNDS: usize = 10_000;

/// How a model was trained: `counterweight/run/v1`. Everything in it is also on the chain or follows from what is;
/// gathered here, it tells an auditor which blobs to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunManifest {
    /// Chain id (EIP-155).
    pub chain: u64,
    /// The contract `TrainingRounds` there.
    pub contract: Address,
    /// The study.
    pub study: StudyId,
    /// Digest of the canonical study terms.
    pub terms: ContentDigest,
    /// Members in the order of joining.
    pub members: Vec<RunMember>,
    /// Rounds that closed, in order.
    pub rounds: Vec<RunRound>,
    /// Digest of the contribution report.
    pub evidence: ContentDigest,
    /// Digest of the last parameters.
    pub result: ContentDigest,
}

/// A member of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunMember {
    /// Who committed and is paid.
    pub account: Address,
    /// Its dataset.
    pub dataset: AssetId,
    /// Digest of the dataset's manifest.
    pub manifest: ContentDigest,
    /// Epoch of the consent it joined under.
    pub consent_epoch: u32,
    /// What it contributed.
    pub contribution: Ppm,
}

/// A closed round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRound {
    /// Its number, counted from 1.
    pub round: Round,
    /// Digest of the parameters it started from.
    pub base: ContentDigest,
    /// Updates that were committed, in ascending order of member.
    pub updates: Vec<RunUpdate>,
    /// Digest of the parameters after it.
    pub result: ContentDigest,
}

/// A committed update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunUpdate {
    /// Who committed it.
    pub member: MemberIndex,
    /// Digest of the update.
    pub update: ContentDigest,
    /// Whether it was aggregated.
    pub aggregated: bool,
}

impl RunManifest {
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        check_count("members", self.members.len(), MOST_MEMBERS)?;
        check_count("rounds", self.rounds.len(), MOST_ROUNDS)?;
        let sum: u32 = self.members.iter().map(|m| m.contribution.millionths()).sum();
        if sum > 1_000_000 {
            return Err(broken(
                "members",
                format!("must contribute at most 1000000 together, not {sum}"),
            ));
        }
        let mut previous: Option<&RunRound> = None;
        for (index, round) in self.rounds.iter().enumerate() {
            let field = |name: &str| format!("rounds[{index}].{name}");
            if usize::try_from(round.round.0) != Ok(index + 1) {
                return Err(broken(
                    field("round"),
                    format!("must be {}, not {}", index + 1, round.round),
                ));
            }
            if let Some(previous) = previous.filter(|p| p.result != round.base) {
                return Err(broken(
                    field("base"),
                    format!("must be the result before it, {}", previous.result),
                ));
            }
            let members = || round.updates.iter().map(|u| usize::from(u.member.0));
            if members().zip(members().skip(1)).any(|(a, b)| a >= b) {
                return Err(broken(
                    field("updates"),
                    "must be in strictly ascending order of member",
                ));
            }
            if members().any(|member| member >= self.members.len()) {
                return Err(broken(field("updates"), "must name members of this run"));
            }
            previous = Some(round);
        }
        if previous.is_some_and(|last| last.result != self.result) {
            return Err(broken("result", "must be the result of the last round"));
        }
        Ok(())
    }
}
