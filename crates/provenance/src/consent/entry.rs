//! Grants and withdrawals as signed statements.

use counterweight_primitives::{Address, AssetId, PurposeIndex, UnixSeconds};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Registry, history::name};
use crate::{
    ledger::{ConsentChange, ConsentEpoch},
    purpose::{PURPOSE_BITS, Purpose, PurposeError, PurposeSet},
    statement::{Statement, Subject},
};

/// Type of the statement by which a steward allows purposes.
pub const CONSENT_GRANTED: &str = "counterweight/consent-granted/v1";

/// Type of the statement by which a steward withdraws purposes.
pub const CONSENT_WITHDRAWN: &str = "counterweight/consent-withdrawn/v1";

/// Why a statement is no entry about consent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentEntryError {
    /// Another type of statement.
    #[error("a statement of type \"{got}\" says nothing about consent")]
    Type {
        /// What was found.
        got: String,
    },
    /// A member is missing, unknown or of another type.
    #[error("the entry cannot be read")]
    Predicate(#[source] serde_json::Error),
    /// A purpose that does not exist.
    #[error("the entry names a purpose that there is not")]
    Purpose(#[source] PurposeError),
    /// Purposes twice or out of order, or terms other than the table's.
    #[error("the permissions of the entry are not those of its purposes")]
    Terms,
    /// Not one subject.
    #[error("an entry is about one dataset, this one about {got}")]
    Subjects {
        /// How many.
        got: usize,
    },
    /// It contradicts the chain.
    #[error("the entry says {what} {got}, the chain {expected}")]
    Differs {
        /// What differs.
        what: &'static str,
        /// What the chain says.
        expected: String,
        /// What the entry says.
        got: String,
    },
}

/// A grant or withdrawal as its steward signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentEntry {
    /// Where the epoch was counted.
    pub registry: Registry,
    /// The dataset.
    pub dataset: AssetId,
    /// Its name and content digest.
    pub subject: Subject,
    /// Number of the epoch.
    pub epoch: u32,
    /// Who signs.
    pub steward: Address,
    /// When the epoch began: the block's time.
    pub at: UnixSeconds,
    /// Purposes allowed, or withdrawn.
    pub purposes: PurposeSet,
    /// Whether they are withdrawn; allowed otherwise.
    pub is_withdrawal: bool,
    /// From when on nothing is allowed; absent for no end.
    pub expiry: Option<UnixSeconds>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    asset: AssetId,
    chain: u64,
    contract: Address,
    epoch: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry: Option<UnixSeconds>,
    permissions: Vec<Permission>,
}

/// A purpose, with what other vocabularies call it.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Permission {
    purpose: String,
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duo: Option<String>,
}

impl Permission {
    fn of(purpose: PurposeIndex) -> Self {
        let known = Purpose::by_index(purpose);
        Self {
            purpose: name(purpose),
            action: known.map_or("odrl:use", |known| known.action).to_owned(),
            duo: known.and_then(|known| known.duo).map(str::to_owned),
        }
    }
}

/// The set with a name, also of a bit that the table does not name yet.
fn index(name: &str) -> Result<PurposeIndex, ConsentEntryError> {
    let number = name
        .strip_prefix("purpose-")
        .and_then(|number| number.parse().ok());
    match number {
        Some(number) if number < PURPOSE_BITS && Purpose::by_index(PurposeIndex(number)).is_none() => {
            Ok(PurposeIndex(number))
        }
        _ => Purpose::by_name(name)
            .map(|known| known.index)
            .map_err(ConsentEntryError::Purpose),
    }
}

impl ConsentEntry {
    /// What the steward of an epoch signs about it; nothing for a transfer, which is no word about consent.
    #[must_use]
    pub fn of(registry: Registry, dataset: AssetId, subject: Subject, epoch: &ConsentEpoch) -> Option<Self> {
        let (purposes, is_withdrawal, expiry) = match epoch.change {
            ConsentChange::Granted { purposes, expiry } => (purposes, false, expiry),
            ConsentChange::Revoked { purposes } => (purposes, true, None),
            ConsentChange::Transferred => return None,
        };
        Some(Self {
            registry,
            dataset,
            subject,
            epoch: epoch.epoch,
            steward: epoch.steward,
            at: epoch.at,
            purposes,
            is_withdrawal,
            expiry,
        })
    }

    /// The statement to sign: the same for the same epoch, whoever makes it and whenever.
    #[must_use]
    pub fn statement(&self) -> Statement {
        let predicate = Predicate {
            asset: self.dataset,
            chain: self.registry.chain,
            contract: self.registry.contract,
            epoch: self.epoch,
            expiry: self.expiry,
            permissions: self.purposes.iter().map(Permission::of).collect(),
        };
        let kind = if self.is_withdrawal {
            CONSENT_WITHDRAWN
        } else {
            CONSENT_GRANTED
        };
        Statement::new(
            self.steward,
            self.at,
            vec![self.subject.clone()],
            kind,
            // Texts and numbers only: nothing that JSON cannot hold.
            serde_json::to_value(predicate).unwrap_or_else(|_| json!({})),
        )
    }

    /// Reads a statement. Its signatures are the caller's to check.
    ///
    /// # Errors
    /// Every variant of [`ConsentEntryError`] but [`ConsentEntryError::Differs`].
    pub fn read(statement: &Statement) -> Result<Self, ConsentEntryError> {
        let is_withdrawal = match statement.predicate_type.as_str() {
            CONSENT_GRANTED => false,
            CONSENT_WITHDRAWN => true,
            other => {
                return Err(ConsentEntryError::Type {
                    got: other.to_owned(),
                });
            }
        };
        let [subject] = statement.subjects.as_slice() else {
            return Err(ConsentEntryError::Subjects {
                got: statement.subjects.len(),
            });
        };
        let predicate: Predicate = serde_json::from_value(Value::clone(&statement.predicate))
            .map_err(ConsentEntryError::Predicate)?;
        let mut purposes = PurposeSet::EMPTY;
        for permission in &predicate.permissions {
            let purpose = index(&permission.purpose)?;
            purposes.insert(purpose).map_err(ConsentEntryError::Purpose)?;
        }
        if !purposes.iter().map(Permission::of).eq(predicate.permissions) {
            return Err(ConsentEntryError::Terms);
        }
        Ok(Self {
            registry: Registry {
                chain: predicate.chain,
                contract: predicate.contract,
            },
            dataset: predicate.asset,
            subject: subject.clone(),
            epoch: predicate.epoch,
            steward: statement.issuer,
            at: statement.issued_at,
            purposes,
            is_withdrawal,
            expiry: predicate.expiry,
        })
    }

    /// Checks that the entry says what the chain recorded.
    ///
    /// # Errors
    /// [`ConsentEntryError::Differs`].
    pub fn check(
        &self,
        registry: Registry,
        dataset: AssetId,
        epoch: &ConsentEpoch,
    ) -> Result<(), ConsentEntryError> {
        let Some(expected) = Self::of(registry, dataset, self.subject.clone(), epoch) else {
            return Err(differs("epoch", &"a transfer", &self.epoch));
        };
        if self.registry.chain != registry.chain {
            return Err(differs("chain", &registry.chain, &self.registry.chain));
        }
        if self.registry.contract != registry.contract {
            return Err(differs("registry", &registry.contract, &self.registry.contract));
        }
        if self.dataset != dataset {
            return Err(differs("dataset", &dataset, &self.dataset));
        }
        if self.epoch != expected.epoch {
            return Err(differs("epoch", &expected.epoch, &self.epoch));
        }
        if self.steward != expected.steward {
            return Err(differs("steward", &expected.steward, &self.steward));
        }
        let said = |entry: &Self| {
            let verb = if entry.is_withdrawal {
                "withdrawn"
            } else {
                "allowed"
            };
            let until = entry
                .expiry
                .map_or_else(String::new, |expiry| format!(" until {}", expiry.to_rfc3339()));
            format!("{} {verb}{until}", entry.purposes.names().join(", "))
        };
        if said(self) != said(&expected) {
            return Err(differs("purposes", &said(&expected), &said(self)));
        }
        if self.at != expected.at {
            return Err(differs("time", &expected.at.0, &self.at.0));
        }
        Ok(())
    }
}

fn differs(
    what: &'static str,
    expected: &dyn std::fmt::Display,
    got: &dyn std::fmt::Display,
) -> ConsentEntryError {
    ConsentEntryError::Differs {
        what,
        expected: expected.to_string(),
        got: got.to_string(),
    }
}
