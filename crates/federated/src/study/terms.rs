//! What the parties of a study agree on, as one document whose digest is committed on the chain.
//!
//! Stored form: `docs/spec/study-terms.md`. Budget, bond, shares and deadlines are in the contract itself; paths and
//! keys are each member's own affair.

use counterweight_primitives::{CanonicalError, ContentDigest, from_canonical_json, to_canonical_json};
use serde::{Deserialize, Serialize};

use crate::{
    architecture::Architecture,
    decimal::Decimal,
    masked::vector::WordFormat,
    parameters::Parameters,
    privacy::{MicroEpsilon, noise::Release},
    rules::Rule,
    server_optimiser::Aggregation,
    study::{
        Scoring, StudyConfig,
        masking::Masking,
        privacy::{Privacy, PromiseError, Setting, member::longest},
        schema::DataSection,
        standing::{Exclusion, Standing},
    },
    training::LocalTraining,
    update::MOST_EXAMPLES,
};

/// Names the form and version of the document.
pub const SCHEMA: &str = "counterweight/study-terms/v1";

/// Largest document read.
pub const MOST_BYTES: usize = 1 << 20;

/// Digests of the files that terms commit to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommittedFiles {
    /// The bytes of the hold-out, if there is one.
    pub holdout: Option<ContentDigest>,
    /// The model file of the first parameters, if they are not seeded.
    pub start: Option<ContentDigest>,
}

/// Public terms of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PublicTerms {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Name of the study.
    pub study: String,
    /// Name of the purpose.
    pub purpose: String,
    /// Name of the model.
    pub model: String,
    /// Its shape.
    pub architecture: Architecture,
    /// Digest of the model file of the first parameters; seeded ones if absent, and then left out of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<ContentDigest>,
    /// How a file becomes numbers.
    pub data: DataSection,
    /// Digest of the hold-out file's bytes.
    pub holdout: Option<ContentDigest>,
    /// Rounds planned.
    pub rounds: u32,
    /// Members asked in a round; all if absent.
    pub members_per_round: Option<u8>,
    /// Fewest survivors of a round.
    pub quorum: u8,
    /// How the updates of a round become one; by the exact mean if absent, and then left out of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combination: Option<Rule>,
    /// How that one changes the model.
    pub aggregation: Aggregation,
    /// What a member does in a round.
    pub local: LocalTraining,
    /// Largest norm of an update.
    pub clip: Decimal,
    /// What is promised of each row or member; nothing if absent, and then left out of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// How updates are masked; not at all if absent, and then left out of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masking: Option<Masking>,
    /// How members are told apart; left out of the document where each round is made again without a member or group.
    #[serde(default, skip_serializing_if = "Scoring::is_default")]
    pub scoring: Scoring,
    /// When members are paid, and who is proposed for exclusion; from the first round and nobody if absent, and then left out
    /// of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Of the first parameters, unless there is a `start`, and of every shuffle; text, since it may be above 2^53.
    #[serde(with = "seed_as_text")]
    pub seed: u64,
}

impl PublicTerms {
    pub(crate) fn of(config: &StudyConfig, files: CommittedFiles) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            study: config.study.name.clone(),
            purpose: config.study.purpose.clone(),
            model: config.model.name.clone(),
            architecture: config.shape(),
            start: files.start,
            data: config.data.clone(),
            holdout: files.holdout,
            rounds: config.training.rounds,
            members_per_round: config.training.members_per_round,
            quorum: config.training.quorum,
            combination: config.training.aggregation.combination,
            aggregation: config.training.aggregation.server,
            local: config.training.local_training(),
            clip: config.training.clip,
            privacy: config
                .promise()
                .map(|promise| promise.expect("a configuration is checked before its terms are made")),
            masking: config.training.masking.map(|section| section.masking()),
            scoring: config.training.scoring,
            standing: config.training.standing.map(|section| section.standing()),
            seed: config.training.seed,
        }
    }

    /// Digest of the parameters before the first round. The architecture must have been checked.
    #[must_use]
    pub fn first_digest(&self) -> ContentDigest {
        self.start
            .unwrap_or_else(|| Parameters::initial(&self.architecture, self.seed).digest())
    }

    /// What the ledger must say of the privacy that all rounds together may spend.
    #[must_use]
    pub fn epsilon_budget(&self) -> Option<MicroEpsilon> {
        let privacy = self.privacy.as_ref()?;
        Some(MicroEpsilon::at_least(privacy.budget().epsilon))
    }

    /// What its privacy depends on.
    #[must_use]
    pub fn privacy_setting(&self) -> Setting<'_> {
        Setting {
            local: &self.local,
            clip: self.clip.get(),
            coordinates: self.architecture.parameters(),
            masking: self.masking.as_ref(),
        }
    }

    /// How a member adds noise to its update, where privacy of members is promised.
    ///
    /// # Errors
    /// [`PromiseError`] where that cannot be kept.
    pub fn release(&self) -> Result<Option<Release>, PromiseError> {
        match &self.privacy {
            Some(Privacy::Member(member)) => member.release(&self.privacy_setting()).map(Some),
            _ => Ok(None),
        }
    }

    /// How updates become words, where they are masked.
    ///
    /// # Errors
    /// As [`release`](Self::release).
    pub fn word_format(&self) -> Result<Option<WordFormat>, PromiseError> {
        let Some(masking) = &self.masking else {
            return Ok(None);
        };
        Ok(Some(match self.release()? {
            Some(release) => WordFormat::noisy(release),
            None => WordFormat::plain(masking, self.clip.get()),
        }))
    }

    /// Largest norm of an update that is sent, and the most examples it may claim: with noise of its member's own it is
    /// longer than the clip, and all members count the same.
    ///
    /// # Errors
    /// As [`release`](Self::release).
    pub fn update_limits(&self) -> Result<(f64, u32), PromiseError> {
        match self.release()? {
            Some(release) if self.masking.is_none() => Ok((longest(&release, 1.0)?, 1)),
            _ => Ok((self.clip.get(), MOST_EXAMPLES)),
        }
    }

    /// Who is proposed for exclusion, if anybody can be.
    #[must_use]
    pub fn exclusion(&self) -> Option<&Exclusion> {
        self.standing.as_ref()?.exclusion.as_ref()
    }

    /// Scored rounds without which a member is not paid.
    #[must_use]
    pub fn vesting_rounds(&self) -> u32 {
        self.standing.map_or(0, |standing| standing.vesting_rounds)
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical_json(self)
    }

    /// Reads the canonical bytes and no other form.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CanonicalError> {
        from_canonical_json(bytes, MOST_BYTES)
    }
}

mod seed_as_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(seed)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
