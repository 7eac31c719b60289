//! Showing chosen fields of one decision to somebody who trusts only the log's key.
//!
//! A disclosure is one file: the entry, the proof that the log has it, the profile with its proof, values and salts of the
//! fields that are shown, and digests of those that are not. Whoever reads it learns nothing of the others but their type,
//! name and that they exist. It stays valid after the subject was erased, where somebody kept it.

use std::collections::BTreeSet;

use counterweight_primitives::{CanonicalError, Sha256Digest, from_canonical_json, to_canonical_json};
use serde::{Deserialize, Serialize};

use super::{
    book::{DecisionBook, DecisionError, Opened},
    commitment::{SALT_BYTES, field_digest, record_commitment},
    entry::{DecisionEntry, EntryKind},
    linear::LinearParameters,
    profile::{Explanation, Field, Profile, ProfileError, Role},
    trees::{TreeEnsemble, explanation_fields, explanation_of, is_explained},
    value::Value,
};
use crate::{
    canonical_form::check_same,
    log::{
        note::VerifierKey,
        policy::{Policy, TrustedCheckpoint},
        receipt::{Receipt, ReceiptError, UncheckedReceipt},
    },
};

/// The format's name.
pub const DISCLOSURE_FORMAT: &str = "counterweight/decision-disclosure/v1";

/// Longest file read: texts of fields are what makes one long.
pub const MOST_DISCLOSURE_BYTES: usize = 1 << 26;

/// Why a disclosure does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DisclosureError {
    /// Not canonical, too long, or not of this form.
    #[error("not a disclosure of a decision")]
    Encoding(#[source] CanonicalError),
    /// Another format or version.
    #[error("the format is \"{got}\", expected \"{DISCLOSURE_FORMAT}\"")]
    Format {
        /// What was found.
        got: String,
    },
    /// The entry is no entry of a decision.
    #[error("the entry is not that of a decision")]
    Entry,
    /// The log does not have the entry, or not under a trusted checkpoint.
    #[error("the log does not have the decision")]
    Proof(#[source] ReceiptError),
    /// The log does not have the profile.
    #[error("the log does not have the profile")]
    ProfileProof(#[source] ReceiptError),
    /// The profile stands behind the decision.
    #[error("the profile is entry {profile}, behind the decision, entry {decision}")]
    ProfileLater {
        /// Place of the profile.
        profile: u64,
        /// Place of the decision.
        decision: u64,
    },
    /// The decision was made under another profile.
    #[error("the decision was made under the profile {expected}, this is {got}")]
    OtherProfile {
        /// What the entry names.
        expected: Sha256Digest,
        /// What came.
        got: Sha256Digest,
    },
    /// The profile is not valid, or the parameters are not its own.
    #[error("the profile")]
    Profile(#[source] ProfileError),
    /// Another number of fields than the profile has.
    #[error("the profile has {expected} fields, the disclosure {got}")]
    FieldCount {
        /// How many there should be.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A field that is neither shown nor a digest, or of another type.
    #[error("field \"{name}\" is neither a value of its type with its salt, nor a digest")]
    Field {
        /// Which one.
        name: String,
    },
    /// The fields do not lead to the entry: one of them was changed.
    #[error("the fields lead to the commitment {got}, the entry has {expected}")]
    Commitment {
        /// What the entry has.
        expected: Sha256Digest,
        /// What the fields lead to.
        got: Sha256Digest,
    },
    /// A contribution is not what the model gives for the inputs.
    #[error("the contribution of \"{name}\" is not what the model's parameters give")]
    Contribution {
        /// Whose.
        name: String,
    },
    /// The parameters are no document of parameters.
    #[error("the parameters of the explanation cannot be read")]
    Parameters,
}

/// Whom to trust for the log.
#[derive(Debug, Clone, Copy)]
pub enum Trust<'a> {
    /// The log's own key: it may show others another history.
    Key(&'a VerifierKey),
    /// A policy, with its witnesses.
    Policy(&'a Policy),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    entry: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explanation: Option<Explained>,
    fields: Vec<Shown>,
    format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameters: Option<String>,
    profile: String,
    profile_proof: String,
    proof: String,
}

/// An explanation that was made later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Explained {
    entry: String,
    fields: Vec<Shown>,
    /// The tree ensemble, as its file has it.
    model: String,
    proof: String,
}

/// A field as a disclosure has it: value and salt, or digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shown {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "present")]
    value: Option<serde_json::Value>,
}

/// A value that is null is shown, and is not one that is left out.
mod present {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(value: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        Value::deserialize(deserializer).map(Some)
    }
}

impl Shown {
    /// Shows the chosen fields of a record, hides the others.
    pub(super) fn of(opened: &Opened, chosen: impl Fn(usize) -> bool) -> Vec<Self> {
        let fields = opened.values.iter().zip(&opened.salts).enumerate();
        fields
            .map(|(place, (value, salt))| {
                if chosen(place) {
                    Self {
                        digest: None,
                        salt: Some(hex::encode(salt)),
                        value: Some(value.to_json()),
                    }
                } else {
                    Self {
                        digest: Some(hex::encode(field_digest(salt, place as u16, value))),
                        salt: None,
                        value: None,
                    }
                }
            })
            .collect()
    }

    /// Its digest, and its value where it is shown; none where it is neither.
    fn read(&self, id: u16, field: &Field) -> Option<([u8; 32], Option<Value>)> {
        match (&self.digest, &self.salt, &self.value) {
            (Some(digest), None, None) => Some((from_hex(digest)?, None)),
            (None, Some(salt), Some(value)) => {
                let salt: [u8; SALT_BYTES] = from_hex(salt)?;
                let value = Value::from_json(value, field.kind)?;
                Some((field_digest(&salt, id, &value), Some(value)))
            }
            _ => None,
        }
    }

    /// Values that are shown, if all fields together lead to a commitment.
    pub(super) fn check(
        shown: &[Self],
        fields: &[Field],
        commitment: Sha256Digest,
    ) -> Result<Vec<Option<Value>>, DisclosureError> {
        if shown.len() != fields.len() {
            return Err(DisclosureError::FieldCount {
                expected: fields.len(),
                got: shown.len(),
            });
        }
        let mut digests = Vec::with_capacity(fields.len());
        let mut values = Vec::with_capacity(fields.len());
        for ((shown, field), id) in shown.iter().zip(fields).zip(0_u16..) {
            let (digest, value) = shown.read(id, field).ok_or_else(|| DisclosureError::Field {
                name: field.name.clone(),
            })?;
            digests.push(digest);
            values.push(value);
        }
        let got = record_commitment(&digests);
        if got != commitment {
            let expected = commitment;
            return Err(DisclosureError::Commitment { expected, got });
        }
        Ok(values)
    }
}

impl DecisionBook {
    /// The file that shows the fields for which `chosen` says yes. With `parameters` the model's parameters go along, so
    /// that whoever reads it can recompute the contributions that are shown.
    ///
    /// # Errors
    /// [`DecisionError::Erased`] where the subject's key was deleted, [`DecisionError::NoDecision`], and those of log and
    /// records.
    pub fn disclose(
        &self,
        index: u64,
        chosen: impl Fn(&Field) -> bool,
        parameters: bool,
    ) -> Result<Vec<u8>, DecisionError> {
        self.disclose_with(index, chosen, parameters, None)
    }

    /// As [`DecisionBook::disclose`], with the explanation that was made of the decision later, and the model it is of:
    /// whoever reads it computes it again from the inputs, all of which should be chosen.
    ///
    /// # Errors
    /// As [`DecisionBook::disclose`]; [`DecisionError::NotExplained`] where the explanation is of another decision or model.
    pub fn disclose_explained(
        &self,
        index: u64,
        chosen: impl Fn(&Field) -> bool,
        explanation: u64,
        model: &str,
    ) -> Result<Vec<u8>, DecisionError> {
        let none = || DecisionError::NotExplained { index };
        let ensemble = TreeEnsemble::read(model).map_err(|_| none())?;
        let opened = self.open_record(explanation)?;
        let fields = explanation_fields(&ensemble);
        let names = opened.profile.explanation() == Some(Explanation::Trees(ensemble.digest()));
        if opened.entry.kind != (EntryKind::Explanation { decision: index })
            || !names
            || opened.values.len() != fields.len()
        {
            return Err(none());
        }
        let (_, proof) = self
            .log()
            .reader()
            .receipt(self.log().checkpoint(), explanation)?;
        let explained = Explained {
            entry: hex::encode(opened.entry.encode()),
            fields: Shown::of(&opened, |place| fields.get(place).is_some_and(&chosen)),
            model: model.to_owned(),
            proof: proof.to_text(),
        };
        self.disclose_with(index, chosen, false, Some(explained))
    }

    fn disclose_with(
        &self,
        index: u64,
        chosen: impl Fn(&Field) -> bool,
        parameters: bool,
        explanation: Option<Explained>,
    ) -> Result<Vec<u8>, DecisionError> {
        let opened = self.open_record(index)?;
        let (_, proof) = self.log().reader().receipt(self.log().checkpoint(), index)?;
        let at = self.profile_index(opened.entry.profile)?;
        let (profile, profile_proof) = self.log().reader().receipt(self.log().checkpoint(), at)?;
        let fields = opened.profile.fields();
        let document = Document {
            entry: hex::encode(opened.entry.encode()),
            explanation,
            fields: Shown::of(&opened, |place| fields.get(place).is_some_and(&chosen)),
            format: DISCLOSURE_FORMAT.to_owned(),
            parameters: match opened.profile.linear().filter(|_| parameters) {
                Some(linear) => {
                    let bytes = linear.encode().map_err(DecisionError::Encoding)?;
                    Some(String::from_utf8_lossy(&bytes).into_owned())
                }
                None => None,
            },
            profile: String::from_utf8_lossy(&profile).into_owned(),
            profile_proof: profile_proof.to_text(),
            proof: proof.to_text(),
        };
        to_canonical_json(&document).map_err(DecisionError::Encoding)
    }

    /// The proof that an entry is in the log, for somebody who has the entry: C2SP tlog-proof.
    ///
    /// # Errors
    /// [`DecisionError::NoDecision`] or [`DecisionError::Read`].
    pub fn prove(&self, index: u64) -> Result<(DecisionEntry, Receipt), DecisionError> {
        let size = self.log().checkpoint().checkpoint().size;
        if index >= size {
            return Err(DecisionError::NoDecision { index });
        }
        let (entry, receipt) = self.log().reader().receipt(self.log().checkpoint(), index)?;
        let entry = DecisionEntry::decode(&entry).ok_or(DecisionError::NoDecision { index })?;
        Ok((entry, receipt))
    }
}

/// A disclosure as it arrived: anyone may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncheckedDisclosure(Document);

impl UncheckedDisclosure {
    /// Reads the file.
    ///
    /// # Errors
    /// [`DisclosureError::Encoding`] or [`DisclosureError::Format`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DisclosureError> {
        let document: Document =
            from_canonical_json(bytes, MOST_DISCLOSURE_BYTES).map_err(DisclosureError::Encoding)?;
        let written = to_canonical_json(&document).map_err(DisclosureError::Encoding)?;
        check_same(bytes, &written).map_err(DisclosureError::Encoding)?;
        if document.format != DISCLOSURE_FORMAT {
            return Err(DisclosureError::Format { got: document.format });
        }
        Ok(Self(document))
    }

    /// Checks everything: log, entry, profile, fields, and contributions where inputs and parameters are shown too.
    ///
    /// # Errors
    /// Every variant of [`DisclosureError`] but the first two.
    pub fn verify(self, trust: Trust<'_>) -> Result<Disclosure, DisclosureError> {
        let document = self.0;
        let bytes = hex::decode(&document.entry).map_err(|_| DisclosureError::Entry)?;
        let entry = DecisionEntry::decode(&bytes).ok_or(DisclosureError::Entry)?;
        if !entry.kind.decides() {
            return Err(DisclosureError::Entry);
        }
        let (receipt, trusted) = included(&document.proof, &bytes, trust).map_err(DisclosureError::Proof)?;
        let (profile_receipt, _) = included(&document.profile_proof, document.profile.as_bytes(), trust)
            .map_err(DisclosureError::ProfileProof)?;
        if profile_receipt.index() >= receipt.index() {
            return Err(DisclosureError::ProfileLater {
                profile: profile_receipt.index(),
                decision: receipt.index(),
            });
        }
        let parameters = match &document.parameters {
            Some(text) => {
                let read = LinearParameters::decode(text.as_bytes()).ok().flatten();
                Some(read.ok_or(DisclosureError::Parameters)?)
            }
            None => None,
        };
        let profile =
            Profile::decode(document.profile.as_bytes(), parameters).map_err(DisclosureError::Profile)?;
        if profile.id() != entry.profile {
            return Err(DisclosureError::OtherProfile {
                expected: entry.profile,
                got: profile.id(),
            });
        }
        let values = Shown::check(&document.fields, profile.fields(), entry.commitment)?;
        let recomputed = profile
            .recompute(&values)
            .map_err(|name| DisclosureError::Contribution { name })?;
        let explanation = match &document.explanation {
            Some(explained) => Some(explained.verify(&receipt, &profile, &values, trust)?),
            None => None,
        };
        Ok(Disclosure {
            entry,
            receipt,
            trusted,
            profile,
            values,
            recomputed,
            explanation,
        })
    }
}

impl Explained {
    /// Checks that the log has the explanation, that it is of this decision, and, where all inputs are shown, that it is what
    /// the model gives for them, bit for bit.
    fn verify(
        &self,
        decision: &Receipt,
        profile: &Profile,
        values: &[Option<Value>],
        trust: Trust<'_>,
    ) -> Result<LaterExplanation, DisclosureError> {
        let bytes = hex::decode(&self.entry).map_err(|_| DisclosureError::Entry)?;
        let entry = DecisionEntry::decode(&bytes).ok_or(DisclosureError::Entry)?;
        let index = decision.index();
        if entry.kind != (EntryKind::Explanation { decision: index }) || entry.profile != profile.id() {
            return Err(DisclosureError::Entry);
        }
        let (receipt, _) = included(&self.proof, &bytes, trust).map_err(DisclosureError::Proof)?;
        let ensemble = TreeEnsemble::read(&self.model).map_err(|_| DisclosureError::Parameters)?;
        if profile.explanation() != Some(Explanation::Trees(ensemble.digest())) {
            return Err(DisclosureError::Parameters);
        }
        let fields = explanation_fields(&ensemble);
        let shown = Shown::check(&self.fields, &fields, entry.commitment)?;
        let expected = explanation_of(profile, &ensemble, values);
        let mut recomputed = 0;
        for ((field, shown), place) in fields.iter().zip(&shown).zip(0..) {
            let (Some(Value::Number(shown)), Some(expected)) = (shown, &expected) else {
                continue;
            };
            let same =
                matches!(expected.get(place), Some(Value::Number(x)) if x.to_bits() == shown.to_bits());
            if !same {
                return Err(DisclosureError::Contribution {
                    name: field.name.clone(),
                });
            }
            recomputed += usize::from(field.role == Role::Contribution);
        }
        // Values that are all shown must add up to the output, if that is shown too.
        let all: Option<Vec<Value>> = shown.iter().cloned().collect();
        let has_output = profile
            .fields()
            .iter()
            .zip(values)
            .any(|(f, v)| f.role == Role::Output && v.is_some());
        if let Some(all) = all
            && has_output
            && !is_explained(profile, &ensemble, values, &all)
        {
            return Err(DisclosureError::Contribution {
                name: "the output".to_owned(),
            });
        }
        Ok(LaterExplanation {
            index: receipt.index(),
            fields,
            values: shown,
            recomputed,
        })
    }
}

/// An explanation that was made after its decision, and holds.
#[derive(Debug)]
struct LaterExplanation {
    index: u64,
    fields: Vec<Field>,
    values: Vec<Option<Value>>,
    recomputed: usize,
}

pub(super) fn included(
    proof: &str,
    entry: &[u8],
    trust: Trust<'_>,
) -> Result<(Receipt, Option<TrustedCheckpoint>), ReceiptError> {
    let receipt = UncheckedReceipt::from_text(proof)?;
    match trust {
        Trust::Key(key) => receipt.verify(entry, key).map(|receipt| (receipt, None)),
        Trust::Policy(policy) => {
            let (receipt, trusted) = receipt.verify_under(entry, policy)?;
            Ok((receipt, Some(trusted)))
        }
    }
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    // Upper case would be a second text for the same bytes.
    (hex::encode(bytes) == text).then_some(bytes)
}

/// A disclosure that holds. Made only by [`UncheckedDisclosure::verify`].
#[derive(Debug)]
pub struct Disclosure {
    entry: DecisionEntry,
    receipt: Receipt,
    trusted: Option<TrustedCheckpoint>,
    profile: Profile,
    values: Vec<Option<Value>>,
    recomputed: usize,
    explanation: Option<LaterExplanation>,
}

impl Disclosure {
    /// The decision's entry.
    #[must_use]
    pub fn entry(&self) -> &DecisionEntry {
        &self.entry
    }

    /// Where it stands in the log, under which checkpoint.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Which witnesses saw the checkpoint; none where only the log's key was trusted.
    #[must_use]
    pub fn trusted(&self) -> Option<&TrustedCheckpoint> {
        self.trusted.as_ref()
    }

    /// The profile it was made under.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The fields that are shown, with their values.
    pub fn shown(&self) -> impl Iterator<Item = (&Field, &Value)> {
        let fields = self.profile.fields().iter().zip(&self.values);
        let later = self
            .explanation
            .iter()
            .flat_map(|later| later.fields.iter().zip(&later.values));
        fields
            .chain(later)
            .filter_map(|(field, value)| Some((field, value.as_ref()?)))
    }

    /// Place of the explanation that was made later, where there is one.
    #[must_use]
    pub fn explanation_index(&self) -> Option<u64> {
        self.explanation.as_ref().map(|later| later.index)
    }

    /// How many fields are hidden.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.values.iter().filter(|value| value.is_none()).count()
    }

    /// How many contributions are shown, and how many of them were recomputed from inputs and parameters, bit for bit.
    #[must_use]
    pub fn contributions(&self) -> (usize, usize) {
        let shown = self
            .shown()
            .filter(|(field, _)| field.role == Role::Contribution)
            .count();
        let later = self.explanation.as_ref().map_or(0, |later| later.recomputed);
        (shown, self.recomputed + later)
    }
}

/// Which fields to show, by name: a name alone means the field of every role that has it; `contribution:age` one of them.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    names: BTreeSet<String>,
}

impl Chosen {
    /// Those of a list.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self {
            names: names.into_iter().collect(),
        }
    }

    /// Whether a field is among them.
    #[must_use]
    pub fn has(&self, field: &Field) -> bool {
        self.names.contains(&field.name) || self.names.contains(&format!("{}:{}", field.role, field.name))
    }

    /// The first name that no field of a profile has.
    #[must_use]
    pub fn unknown(&self, profile: &Profile) -> Option<&str> {
        let known = |name: &String| {
            let one = Self::new([name.clone()]);
            profile.fields().iter().any(|field| one.has(field))
        };
        self.names.iter().find(|name| !known(name)).map(String::as_str)
    }
}
