//! Profiles: which model decides at which endpoint under which policy, and the fixed list of fields of each decision.
//!
//! A profile is an entry of the log before any decision under it, and decisions name it by its SHA-256. Every decision
//! commits to every field, absent ones as null, so that how many there are says nothing. Page: `docs/spec/decision.md`.

use std::{collections::BTreeSet, fmt, sync::Arc};

use counterweight_primitives::{
    CanonicalError, ContentDigest, Sha256Digest, UnixMillis, from_canonical_json, to_canonical_json,
};
use serde::{Deserialize, Serialize};

use super::{
    entry::Flags,
    linear::{LinearParameters, Link, is_accurate},
    value::{Value, ValueType},
};
use crate::canonical_form::check_same;

/// The format's name.
pub const PROFILE_FORMAT: &str = "counterweight/decision-profile/v1";

/// Most fields of a decision, contributions included.
pub const MOST_FIELDS: usize = 1024;

/// Longest name of a field or an endpoint.
const MOST_NAME: usize = 128;

/// Longest profile: it is an entry of the log.
const MOST_BYTES: usize = 65_535;

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What the model was given.
    Input,
    /// What was known besides, such as a threshold or a session.
    Variable,
    /// What came out.
    Output,
    /// Who reviewed it, and what they said.
    Reviewer,
    /// What the person decided on agreed to.
    Consent,
    /// What the output would be without knowing the inputs.
    Base,
    /// What an input added to the output.
    Contribution,
}

impl Role {
    /// Whether it follows from the other fields, so that nobody gives it and nothing keeps it.
    #[must_use]
    pub fn is_derived(self) -> bool {
        matches!(self, Self::Base | Self::Contribution)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Variable => "variable",
            Self::Output => "output",
            Self::Reviewer => "reviewer",
            Self::Consent => "consent",
            Self::Base => "base",
            Self::Contribution => "contribution",
        })
    }
}

/// A field that every decision under a profile has. Its id is its place in the list, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name. A contribution has the name of its input.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it may hold.
    #[serde(rename = "type")]
    pub kind: ValueType,
}

/// How decisions are explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    tag = "method",
    content = "parameters",
    rename_all = "snake_case"
)]
pub enum Explanation {
    /// With each decision, exactly: [`LinearParameters`] with this digest.
    Linear(Sha256Digest),
    /// When asked for, exactly: a tree ensemble with this digest.
    Trees(Sha256Digest),
}

/// Why a profile is not valid, or a decision does not fit one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Not canonical, too long, or not of this form.
    #[error("not a profile of decisions")]
    Encoding(#[source] CanonicalError),
    /// Another format or version.
    #[error("the format is \"{got}\", expected \"{PROFILE_FORMAT}\"")]
    Format {
        /// What was found.
        got: String,
    },
    /// A list of fields that cannot be.
    #[error("field \"{name}\": {reason}")]
    Field {
        /// Which one.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Too many fields, or none.
    #[error("a profile has 1 to {MOST_FIELDS} fields, this one {got}")]
    FieldCount {
        /// How many.
        got: usize,
    },
    /// An endpoint's name that cannot be.
    #[error("an endpoint's name has 1 to {MOST_NAME} bytes and no control characters")]
    Endpoint,
    /// Parameters of an explanation that are not those the profile names, or fit other fields.
    #[error("the parameters of the explanation: {reason}")]
    Parameters {
        /// What is wrong.
        reason: &'static str,
    },
    /// A decision with another number of values.
    #[error("the profile takes {expected} values, the decision has {got}")]
    ValueCount {
        /// Fields that are given.
        expected: usize,
        /// Values that came.
        got: usize,
    },
    /// A value of another type, not finite, or too long.
    #[error("field \"{name}\" takes {expected} or nothing; the value is {got}")]
    Value {
        /// Which field.
        name: String,
        /// What it takes.
        expected: ValueType,
        /// What came, without the value itself.
        got: &'static str,
    },
    /// An input that the explanation needs is not there.
    #[error("input \"{name}\" is needed for the explanation and is not there")]
    InputMissing {
        /// Which one.
        name: String,
    },
    /// The explanation does not add up to the output.
    #[error(
        "base value and contributions do not add up to \"{name}\": these parameters are of another model"
    )]
    Inaccurate {
        /// The output.
        name: String,
    },
    /// The person decided on is not named.
    #[error("the subject's name has 1 to 1024 bytes, this one {got}")]
    Subject {
        /// Its bytes.
        got: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
    fields: Vec<Field>,
    model: ContentDigest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<ContentDigest>,
}

/// What a linear explanation computes from which fields.
#[derive(Debug)]
struct LinearPlan {
    parameters: LinearParameters,
    /// Place of each feature's input among the fields, its weight and its mean.
    terms: Vec<(usize, f64, f64)>,
    base: f64,
    output: usize,
    link: Link,
}

/// A profile whose fields fit together.
#[derive(Debug)]
pub struct Profile {
    document: Document,
    bytes: Vec<u8>,
    id: Sha256Digest,
    endpoint: Sha256Digest,
    /// Fields before the derived ones.
    given: usize,
    linear: Option<LinearPlan>,
}

impl Profile {
    /// A profile of these given fields. Where there is a linear explanation, its base value and contributions are added
    /// as fields.
    ///
    /// # Errors
    /// [`ProfileError`] of fields, endpoint or parameters.
    pub fn new(
        endpoint: impl Into<String>,
        model: ContentDigest,
        policy: Option<ContentDigest>,
        mut fields: Vec<Field>,
        linear: Option<LinearParameters>,
    ) -> Result<Self, ProfileError> {
        let mut explanation = None;
        if let Some(parameters) = &linear {
            explanation = Some(Explanation::Linear(
                parameters.digest().map_err(ProfileError::Encoding)?,
            ));
            let derived = |name: &str, role| Field {
                name: name.to_owned(),
                role,
                kind: ValueType::Number,
            };
            fields.push(derived(&parameters.explains, Role::Base));
            let features = parameters.features.iter();
            fields.extend(features.map(|feature| derived(&feature.input, Role::Contribution)));
        }
        Self::of_document(
            Document {
                format: PROFILE_FORMAT.to_owned(),
                endpoint: endpoint.into(),
                explanation,
                fields,
                model,
                policy,
            },
            linear,
        )
    }

    /// As [`Profile::new`], for a tree ensemble whose explanations are made when asked for.
    ///
    /// # Errors
    /// As [`Profile::new`].
    pub fn of_trees(
        endpoint: impl Into<String>,
        model: ContentDigest,
        policy: Option<ContentDigest>,
        fields: Vec<Field>,
        ensemble: Sha256Digest,
    ) -> Result<Self, ProfileError> {
        Self::of_document(
            Document {
                format: PROFILE_FORMAT.to_owned(),
                endpoint: endpoint.into(),
                explanation: Some(Explanation::Trees(ensemble)),
                fields,
                model,
                policy,
            },
            None,
        )
    }

    /// Reads an entry. Without the parameters of a linear explanation the profile can check openings, and no decision
    /// can be made under it.
    ///
    /// # Errors
    /// [`ProfileError::Encoding`], [`ProfileError::Format`], or as [`Profile::new`].
    pub fn decode(bytes: &[u8], linear: Option<LinearParameters>) -> Result<Self, ProfileError> {
        let document: Document = from_canonical_json(bytes, MOST_BYTES).map_err(ProfileError::Encoding)?;
        if document.format != PROFILE_FORMAT {
            return Err(ProfileError::Format { got: document.format });
        }
        let profile = Self::of_document(document, linear)?;
        check_same(bytes, &profile.bytes).map_err(ProfileError::Encoding)?;
        Ok(profile)
    }

    fn of_document(document: Document, linear: Option<LinearParameters>) -> Result<Self, ProfileError> {
        let bytes = to_canonical_json(&document).map_err(ProfileError::Encoding)?;
        if bytes.len() > MOST_BYTES {
            let (got, limit) = (bytes.len(), MOST_BYTES);
            return Err(ProfileError::Encoding(CanonicalError::TooLong { got, limit }));
        }
        let endpoint = &document.endpoint;
        if endpoint.is_empty() || endpoint.len() > MOST_NAME || endpoint.chars().any(char::is_control) {
            return Err(ProfileError::Endpoint);
        }
        let given = check_fields(&document.fields)?;
        let linear = linear
            .map(|parameters| LinearPlan::new(parameters, &document))
            .transpose()?;
        Ok(Self {
            id: Sha256Digest::of(&bytes),
            endpoint: Sha256Digest::of(endpoint.as_bytes()),
            document,
            bytes,
            given,
            linear,
        })
    }

    /// Its entry in the log.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What decisions name it by: SHA-256 of its entry.
    #[must_use]
    pub fn id(&self) -> Sha256Digest {
        self.id
    }

    /// Name of the endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.document.endpoint
    }

    /// SHA-256 of the endpoint's name, as receipts have it.
    #[must_use]
    pub fn endpoint_id(&self) -> Sha256Digest {
        self.endpoint
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> ContentDigest {
        self.document.model
    }

    /// The policy under which it decides.
    #[must_use]
    pub fn policy(&self) -> Option<ContentDigest> {
        self.document.policy
    }

    /// All fields, derived ones last.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.document.fields
    }

    /// The fields that a decision gives.
    #[must_use]
    pub fn given(&self) -> &[Field] {
        self.document.fields.get(..self.given).unwrap_or_default()
    }

    /// How its decisions are explained.
    #[must_use]
    pub fn explanation(&self) -> Option<Explanation> {
        self.document.explanation
    }

    /// The parameters of its linear explanation, where it has one and they are known.
    #[must_use]
    pub fn linear(&self) -> Option<&LinearParameters> {
        self.linear.as_ref().map(|plan| &plan.parameters)
    }

    /// Checks a decision: its values fit the fields, and its explanation adds up.
    ///
    /// # Errors
    /// [`ProfileError::ValueCount`], [`ProfileError::Value`], [`ProfileError::InputMissing`],
    /// [`ProfileError::Inaccurate`], [`ProfileError::Subject`], or [`ProfileError::Parameters`] where those of a linear
    /// explanation are not known.
    pub fn check(self: &Arc<Self>, decision: Decision) -> Result<CheckedDecision, ProfileError> {
        let Decision {
            subject,
            time,
            flags,
            values,
        } = decision;
        if subject.is_empty() || subject.len() > 1024 {
            return Err(ProfileError::Subject { got: subject.len() });
        }
        let values = self.complete(values)?;
        Ok(CheckedDecision {
            profile: Arc::clone(self),
            subject,
            time,
            flags,
            values,
        })
    }

    /// Given values with the derived ones.
    pub(super) fn complete(&self, mut values: Vec<Value>) -> Result<Vec<Value>, ProfileError> {
        if values.len() != self.given {
            return Err(ProfileError::ValueCount {
                expected: self.given,
                got: values.len(),
            });
        }
        for (field, value) in self.document.fields.iter().zip(&values) {
            if !value.is_of(field.kind) {
                return Err(ProfileError::Value {
                    name: field.name.clone(),
                    expected: field.kind,
                    got: match value {
                        Value::Null => "nothing",
                        Value::Boolean(_) => "a boolean",
                        Value::Integer(_) => "an integer",
                        Value::Number(number) if number.is_finite() => "a number",
                        Value::Number(_) => "a number that is not finite",
                        Value::Text(text) if field.kind == ValueType::Text && !text.is_empty() => {
                            "a text that is too long"
                        }
                        Value::Text(_) => "text",
                    },
                });
            }
        }
        match (&self.linear, self.document.explanation) {
            (Some(plan), _) => plan.extend(&mut values, &self.document.fields)?,
            (None, Some(Explanation::Linear(_))) => {
                let reason = "they are not known, so that nothing can be explained";
                return Err(ProfileError::Parameters { reason });
            }
            (None, _) => {}
        }
        Ok(values)
    }
}

impl Profile {
    /// Holds the contributions that are shown against what the parameters give for the inputs that are; tells how many
    /// that were, or the name of one that is another.
    pub(super) fn recompute(&self, values: &[Option<Value>]) -> Result<usize, String> {
        let Some(plan) = &self.linear else {
            return Ok(0);
        };
        let shown = |place: usize| values.get(place).and_then(Option::as_ref);
        let same = |value: &Value, expected: f64| matches!(value, Value::Number(v) if v.to_bits() == expected.to_bits());
        let name = |place: usize| {
            self.fields()
                .get(place)
                .map(|f| f.name.clone())
                .unwrap_or_default()
        };
        if shown(self.given).is_some_and(|base| !same(base, plan.base)) {
            return Err(name(self.given));
        }
        let mut held = 0;
        for ((input, weight, mean), place) in plan.terms.iter().zip(self.given + 1..) {
            let (Some(contribution), Some(x)) = (shown(place), shown(*input)) else {
                continue;
            };
            let expected = as_number(x).map(|x| weight * (x - mean));
            if !expected.is_some_and(|expected| same(contribution, expected)) {
                return Err(name(place));
            }
            held += 1;
        }
        let contributions: Option<Vec<f64>> = (self.given + 1..values.len())
            .map(|place| shown(place).and_then(as_number))
            .collect();
        if let (Some(contributions), Some(output)) = (contributions, shown(plan.output).and_then(as_number))
            && !is_accurate(plan.base, contributions, plan.link, output)
        {
            return Err(name(plan.output));
        }
        Ok(held)
    }
}

/// What an explanation takes a value for.
pub(super) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(x) => Some(*x),
        Value::Integer(x) => Some(*x as f64),
        Value::Boolean(x) => Some(f64::from(u8::from(*x))),
        Value::Null | Value::Text(_) => None,
    }
}

impl LinearPlan {
    fn new(parameters: LinearParameters, document: &Document) -> Result<Self, ProfileError> {
        let wrong = |reason| ProfileError::Parameters { reason };
        let digest = parameters.digest().map_err(ProfileError::Encoding)?;
        if document.explanation != Some(Explanation::Linear(digest)) {
            return Err(wrong("the profile names others"));
        }
        let fields = &document.fields;
        let find = |name: &str, role| {
            fields
                .iter()
                .position(|field| field.name == name && field.role == role)
        };
        let output = find(&parameters.explains, Role::Output)
            .filter(|place| fields.get(*place).is_some_and(|f| f.kind == ValueType::Number))
            .ok_or_else(|| wrong("what they explain is no output that is a number"))?;
        let mut terms = Vec::with_capacity(parameters.features.len());
        for feature in &parameters.features {
            let input = find(&feature.input, Role::Input)
                .filter(|place| fields.get(*place).is_some_and(|f| f.kind != ValueType::Text))
                .ok_or_else(|| wrong("a feature is no input, or one that is text"))?;
            terms.push((input, feature.weight.get(), feature.mean.get()));
        }
        let derived = fields.iter().filter(|field| field.role.is_derived());
        let expected = std::iter::once((parameters.explains.as_str(), Role::Base)).chain(
            parameters
                .features
                .iter()
                .map(|f| (f.input.as_str(), Role::Contribution)),
        );
        if !derived
            .map(|field| (field.name.as_str(), field.role))
            .eq(expected)
        {
            return Err(wrong(
                "the contributions are not those of its features, in its order",
            ));
        }
        Ok(Self {
            base: parameters.base(),
            output,
            link: parameters.link,
            terms,
            parameters,
        })
    }

    fn extend(&self, values: &mut Vec<Value>, fields: &[Field]) -> Result<(), ProfileError> {
        let name = |place: usize| fields.get(place).map(|f| f.name.clone()).unwrap_or_default();
        values.reserve_exact(1 + self.terms.len());
        values.push(Value::Number(self.base));
        let first = values.len();
        for (input, weight, mean) in &self.terms {
            let x = values.get(*input).and_then(as_number);
            let x = x.ok_or_else(|| ProfileError::InputMissing { name: name(*input) })?;
            values.push(Value::Number(weight * (x - mean)));
        }
        let contributions = values
            .get(first..)
            .unwrap_or_default()
            .iter()
            .map(|value| match value {
                Value::Number(phi) => *phi,
                _ => f64::NAN,
            });
        let Some(Value::Number(output)) = values.get(self.output) else {
            return Err(ProfileError::InputMissing {
                name: name(self.output),
            });
        };
        if !is_accurate(self.base, contributions, self.link, *output) {
            return Err(ProfileError::Inaccurate {
                name: name(self.output),
            });
        }
        Ok(())
    }
}

/// Checks names, roles and order; gives how many fields are not derived.
fn check_fields(fields: &[Field]) -> Result<usize, ProfileError> {
    if fields.is_empty() || fields.len() > MOST_FIELDS {
        return Err(ProfileError::FieldCount { got: fields.len() });
    }
    let wrong = |field: &Field, reason| {
        Err(ProfileError::Field {
            name: field.name.clone(),
            reason,
        })
    };
    let mut seen = BTreeSet::new();
    let mut given = 0;
    let mut derived = false;
    for field in fields {
        if field.name.is_empty() || field.name.len() > MOST_NAME || field.name.chars().any(char::is_control) {
            return wrong(field, "a name has 1 to 128 bytes and no control characters");
        }
        if !seen.insert((field.role as u8, field.name.as_str())) {
            return wrong(field, "two fields of one role have this name");
        }
        if field.role.is_derived() {
            derived = true;
            if field.kind != ValueType::Number {
                return wrong(field, "base values and contributions are numbers");
            }
        } else if derived {
            return wrong(field, "it stands after derived fields");
        } else {
            given += 1;
        }
    }
    Ok(given)
}

/// A decision as it was made: anyone may have put it together.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Whom it is about, by whatever name the operator has for them. It is kept nowhere.
    pub subject: String,
    /// When it was made.
    pub time: UnixMillis,
    /// What is told in public.
    pub flags: Flags,
    /// Values of the given fields, in their order.
    pub values: Vec<Value>,
}

/// A decision that fits its profile, with its explanation. Made only by [`Profile::check`].
#[derive(Debug, Clone)]
pub struct CheckedDecision {
    pub(super) profile: Arc<Profile>,
    pub(super) subject: String,
    pub(super) time: UnixMillis,
    pub(super) flags: Flags,
    pub(super) values: Vec<Value>,
}

impl CheckedDecision {
    /// The profile it fits.
    #[must_use]
    pub fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// Values of all fields, derived ones last.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }
}

#[cfg(test)]
pub(super) mod tests;
