//! What a study is: the parts of `counterweight.toml` that every party must agree on, and where each member's
//! own rows are.
//!
//! [`StudyConfig`] is read with any serde format; [`StudyConfig::check`] then holds it to its rules and names the key
//! that breaks one. [`terms::PublicTerms`] is what is committed on the chain.

mod aggregation;
mod check;
pub mod keys;
pub mod masking;
pub mod privacy;
pub mod schema;
pub mod standing;
pub mod terms;

use std::path::PathBuf;

use counterweight_primitives::{Amount, ParseAmountError};
use serde::{Deserialize, Deserializer, Serialize, de};

pub use self::aggregation::AggregationSetting;
use crate::{
    architecture::{Activation, Architecture, ArchitectureError, Layered, Tensor},
    decimal::Decimal,
    study::schema::DataSection,
    training::LocalTraining,
};

/// Most members of a study: survivors are a 64-bit set on the chain.
pub const MOST_MEMBERS: u8 = 64;

/// Most members of a study that starts from a registered model: with 64, the groups of members alone fill the places that the
/// new model has for parents.
pub const MOST_MEMBERS_WITH_BASE: u8 = 56;

/// The tables of `counterweight.toml` that describe a study.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StudyConfig {
    /// `[study]`.
    pub study: StudySection,
    /// `[model]`.
    pub model: ModelSection,
    /// `[training]`.
    pub training: TrainingSection,
    /// `[data]`: how a file becomes numbers, the same for every member and the hold-out. A custom model's files are read
    /// by its members' programs alone, and need none.
    #[serde(default)]
    pub data: DataSection,
    /// `[holdout]`.
    pub holdout: Option<HoldoutSection>,
    /// `[[dataset]]`, one for each member; none where members bring their own.
    #[serde(default, rename = "dataset")]
    pub datasets: Vec<DatasetEntry>,
}

/// `[study]`: name, purpose and money.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StudySection {
    /// Short name, `breast-cancer`.
    pub name: String,
    /// What every dataset must allow: a name of `docs/spec/purposes.md`.
    pub purpose: String,
    /// Reward for the whole study, in whole tokens.
    #[serde(default)]
    pub budget: Tokens,
    /// What each member deposits, in whole tokens.
    #[serde(default)]
    pub bond: Tokens,
    /// Largest part of the budget for one member, above 0 to 1.
    #[serde(default = "half")]
    pub member_cap: Decimal,
    /// Part of the model's income that flows to the datasets, 0 to 1.
    #[serde(default = "half")]
    pub lineage_share: Decimal,
}

/// `[model]`: what is trained.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelSection {
    /// Name it is published under.
    pub name: String,
    /// Its family.
    pub architecture: Family,
    /// Widths of hidden layers, for `mlp` only.
    #[serde(default)]
    pub hidden: Vec<u32>,
    /// Between the layers, for `mlp` only.
    pub activation: Option<Activation>,
    /// Names and shapes, for `custom` only.
    #[serde(default)]
    pub tensors: Vec<Tensor>,
    /// A registered model to start from, `name` or `name@2`: it becomes a parent of the new one.
    pub base: Option<String>,
    /// A file with the numbers to start from, safetensors or ONNX, from the project's folder. With `base`, that model's.
    pub start: Option<PathBuf>,
}

/// Families of models: those that are built in, and all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// One linear layer, two classes.
    Logistic,
    /// One linear layer, one output a class.
    Softmax,
    /// Hidden layers; one output for two classes, one a class for more.
    Mlp,
    /// Named tensors that only members' own programs can train and judge.
    Custom,
}

/// `[training]`: rounds and what happens in one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainingSection {
    /// Rounds, 1 to 100,000.
    pub rounds: u32,
    /// Members asked in a round; all of them if absent.
    pub members_per_round: Option<u8>,
    /// Fewest members whose updates make a round.
    #[serde(default = "one")]
    pub quorum: u8,
    /// A rule's name, or a table with its settings.
    #[serde(default)]
    pub aggregation: AggregationSetting,
    /// Steps a member makes in a round; this or `local-epochs`.
    pub local_steps: Option<u32>,
    /// Passes a member makes over its rows in a round.
    pub local_epochs: Option<u32>,
    /// Rows of a step.
    #[serde(default = "batch")]
    pub batch: u32,
    /// The member's optimiser.
    #[serde(default)]
    pub optimiser: crate::training::OptimiserKind,
    /// The member's learning rate.
    pub lr: Decimal,
    /// FedProx's mu; 0 for none.
    #[serde(default)]
    pub proximal: Decimal,
    /// Largest L2 norm of an update, above 0 to 127.
    #[serde(default = "clip")]
    pub clip: Decimal,
    /// What may be told of a row or a member; nothing is promised if absent. Of rows `batch` then says nothing: `sample`
    /// does.
    pub privacy: Option<privacy::PrivacySection>,
    /// Groups whose sums are seen and nothing of a single member; every update is public if absent.
    pub masking: Option<masking::MaskingSection>,
    /// How members are told apart.
    #[serde(default)]
    pub scoring: Scoring,
    /// When members are paid, and who is proposed for exclusion; everyone from the first round and nobody if absent.
    pub standing: Option<standing::StandingSection>,
    /// Time members have to send an update.
    #[serde(default = "minute")]
    pub round_timeout: Seconds,
    /// Time the coordinator then has to close the round.
    #[serde(default = "minute")]
    pub close_timeout: Seconds,
    /// Of the first parameters and of every shuffle.
    #[serde(default)]
    pub seed: u64,
}

/// How members are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scoring {
    /// By what each round loses without a member, or without its group.
    #[default]
    LeaveOneOut,
    /// By what rounds win with a member and without it: each sits out in its turn. For masked studies of a single group.
    Participation,
}

impl Scoring {
    /// Whether it is the one that terms do not name.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// `[holdout]`: rows nobody trains on, public, by which contributions are judged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HoldoutSection {
    /// The file, from the project's folder.
    pub path: PathBuf,
    /// How it is stored, if not as its name ends.
    pub format: Option<FileFormat>,
}

/// `[[dataset]]`: one member's rows and what may be done with them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DatasetEntry {
    /// Name of the dataset, and of the member that holds it.
    pub name: String,
    /// The file, from the project's folder.
    pub path: PathBuf,
    /// SPDX identifier of its licence.
    pub licence: String,
    /// Purposes its steward allows.
    pub consent: Vec<String>,
    /// How it is stored, if not as its name ends.
    pub format: Option<FileFormat>,
    /// Name of the key that signs for it.
    pub steward: Option<String>,
    /// The steward's own words on it.
    pub description: Option<String>,
    /// What trains on it where that is not the training that is built in: a program with its arguments, or an address.
    pub trainer: Option<String>,
}

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// Text, one row a line.
    Csv,
    /// Apache Parquet, flat columns.
    Parquet,
}

/// A number of whole tokens, `"1.5"` or `1000`, kept as text until the token's decimals are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens(String);

/// A length of time, written `90s`, `5m` or `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

/// A rule of the configuration that is broken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct StudyConfigError {
    /// The key, `training.clip` or `dataset[1].name`, counted from 0.
    pub key: String,
    /// What was found and what is expected.
    pub problem: String,
}

fn half() -> Decimal {
    "0.5".parse().expect("a literal")
}
fn one() -> u8 {
    1
}
fn batch() -> u32 {
    16
}
fn clip() -> Decimal {
    Decimal::from(10)
}
fn minute() -> Seconds {
    Seconds(60)
}

impl StudyConfig {
    /// Holds the configuration to its rules. Files are not opened.
    ///
    /// # Errors
    /// [`StudyConfigError`] with the first key that breaks a rule.
    pub fn check(&self) -> Result<(), StudyConfigError> {
        check::check(self)
    }

    /// The shape of the model: inputs from the columns, outputs from the classes.
    ///
    /// # Errors
    /// [`ArchitectureError`].
    pub fn architecture(&self) -> Result<Architecture, ArchitectureError> {
        let shape = self.shape();
        shape.check()?;
        Ok(shape)
    }

    /// What the terms promise of privacy, if `training.privacy` asks for any.
    fn promise(&self) -> Option<Result<privacy::Privacy, privacy::PromiseError>> {
        let section = self.training.privacy.as_ref()?;
        let masking = self.training.masking.map(|section| section.masking());
        let setting = privacy::Setting {
            local: &self.local_training(),
            clip: self.training.clip.get(),
            coordinates: self.shape().parameters(),
            masking: masking.as_ref(),
        };
        Some(section.planned(&setting, self.training.rounds))
    }

    fn shape(&self) -> Architecture {
        if self.model.architecture == Family::Custom {
            return Architecture::custom(self.model.tensors.iter().cloned());
        }
        let inputs: usize = self.data.columns.iter().map(schema::Column::inputs).sum();
        let classes = self.data.classes.len();
        Architecture::BuiltIn(Layered {
            inputs: u32::try_from(inputs).unwrap_or(u32::MAX),
            hidden: self.model.hidden.clone(),
            activation: self.model.activation.unwrap_or_default(),
            outputs: match self.model.architecture {
                Family::Softmax => u32::try_from(classes.max(2)).unwrap_or(u32::MAX),
                _ if classes > 2 => u32::try_from(classes).unwrap_or(u32::MAX),
                _ => 1,
            },
        })
    }

    /// What a member does in a round.
    #[must_use]
    pub fn local_training(&self) -> LocalTraining {
        self.training.local_training()
    }

    /// What is committed on the chain.
    #[must_use]
    pub fn public_terms(&self, files: terms::CommittedFiles) -> terms::PublicTerms {
        terms::PublicTerms::of(self, files)
    }
}

impl TrainingSection {
    /// What a member does in a round.
    #[must_use]
    pub fn local_training(&self) -> LocalTraining {
        LocalTraining {
            steps: self.local_steps,
            epochs: self.local_epochs,
            batch: self.batch,
            optimiser: self.optimiser,
            lr: self.lr,
            proximal: self.proximal,
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self("0".to_owned())
    }
}

impl Tokens {
    /// In the token's smallest unit.
    ///
    /// # Errors
    /// As [`Amount::from_tokens`].
    pub fn to_amount(&self, decimals: u8) -> Result<Amount, ParseAmountError> {
        Amount::from_tokens(&self.0, decimals)
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Tokens;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of tokens, 1000 or \"1.5\"")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tokens, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tokens, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Tokens, E> {
                Amount::from_tokens(text, 18).map_err(E::custom)?;
                Ok(Tokens(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse = || de::Error::custom(format!("\"{text}\" is not a time: write 90s, 5m or 2h"));
        let unit = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            _ => return Err(refuse()),
        };
        let count = &text[..text.len() - 1];
        if !count.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refuse());
        }
        let count: u32 = count.parse().map_err(|_| refuse())?;
        count.checked_mul(unit).map(Self).ok_or_else(refuse)
    }
}
