//! Profiles and decisions as people and programs write them: plain JSON, by the names of fields.

use std::sync::Arc;

use counterweight_primitives::{ContentDigest, UnixMillis};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{
    decimal::Decimal,
    entry::Flags,
    linear::{LinearFeature, LinearParameters, Link},
    otlp::gen_ai_fields,
    profile::{CheckedDecision, Decision, Field, Profile, ProfileError, Role},
    value::{Value, ValueType},
};

/// Why JSON is no profile or no decision.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// Not JSON, a member is missing or unknown, or of another type.
    #[error("not of the form that is read")]
    Json(#[source] serde_json::Error),
    /// A member that no field of the profile has.
    #[error("the profile has no {role} field \"{name}\"")]
    UnknownField {
        /// Its role.
        role: Role,
        /// Its name.
        name: String,
    },
    /// A member whose value is of another type than its field.
    #[error("{role} field \"{name}\" takes {expected} or nothing; the value is {got}")]
    Type {
        /// Its role.
        role: Role,
        /// Its name.
        name: String,
        /// What the field takes.
        expected: ValueType,
        /// What came, without the value itself.
        got: &'static str,
    },
    /// A number that is not finite.
    #[error("a number of the explanation is not finite")]
    NotFinite,
    /// It does not fit together.
    #[error("it does not fit")]
    Profile(#[from] ProfileError),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftField {
    name: String,
    #[serde(rename = "type")]
    kind: ValueType,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftFeature {
    input: String,
    weight: f64,
    mean: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftLinear {
    explains: String,
    bias: f64,
    #[serde(default = "identity")]
    link: Link,
    features: Vec<DraftFeature>,
}

fn identity() -> Link {
    Link::Identity
}

/// A profile before it is one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileDraft {
    endpoint: String,
    model: ContentDigest,
    #[serde(default)]
    policy: Option<ContentDigest>,
    #[serde(default)]
    inputs: Vec<DraftField>,
    #[serde(default)]
    variables: Vec<DraftField>,
    #[serde(default)]
    outputs: Vec<DraftField>,
    /// What reviewers fill in besides `name` and `note`.
    #[serde(default)]
    reviewers: Vec<DraftField>,
    #[serde(default)]
    linear: Option<DraftLinear>,
    #[serde(default)]
    trees: Option<counterweight_primitives::Sha256Digest>,
    /// Spans of OpenTelemetry's GenAI conventions: their attributes are fields too.
    #[serde(default)]
    gen_ai: bool,
}

impl ProfileDraft {
    /// Reads JSON.
    ///
    /// # Errors
    /// [`DraftError::Json`].
    pub fn read(bytes: &[u8]) -> Result<Self, DraftError> {
        serde_json::from_slice(bytes).map_err(DraftError::Json)
    }

    /// The profile. Besides the fields of the draft it has those that every decision may use: who reviewed it, what they
    /// noted, and what the subject agreed to.
    ///
    /// # Errors
    /// [`DraftError::NotFinite`] or [`DraftError::Profile`].
    pub fn into_profile(self) -> Result<Profile, DraftError> {
        let mut fields = Vec::new();
        for (drafts, role) in [
            (self.inputs, Role::Input),
            (self.variables, Role::Variable),
            (self.outputs, Role::Output),
        ] {
            fields.extend(drafts.into_iter().map(|draft| Field {
                name: draft.name,
                role,
                kind: draft.kind,
            }));
        }
        if self.gen_ai {
            fields.extend(gen_ai_fields());
        }
        let text = |name: &str, role| Field {
            name: name.to_owned(),
            role,
            kind: ValueType::Text,
        };
        fields.push(text("name", Role::Reviewer));
        fields.push(text("note", Role::Reviewer));
        fields.extend(self.reviewers.into_iter().map(|draft| Field {
            name: draft.name,
            role: Role::Reviewer,
            kind: draft.kind,
        }));
        fields.push(text("reference", Role::Consent));
        let linear = self.linear.map(read_linear).transpose()?;
        let profile = match self.trees {
            Some(ensemble) if linear.is_none() => {
                Profile::of_trees(self.endpoint, self.model, self.policy, fields, ensemble)
            }
            Some(_) => {
                let reason = "a profile has linear ones or trees, not both";
                return Err(ProfileError::Parameters { reason }.into());
            }
            None => Profile::new(self.endpoint, self.model, self.policy, fields, linear),
        };
        Ok(profile?)
    }
}

fn read_linear(draft: DraftLinear) -> Result<LinearParameters, DraftError> {
    let finite = |number| Decimal::new(number).ok_or(DraftError::NotFinite);
    let features: Result<_, DraftError> = draft
        .features
        .into_iter()
        .map(|feature| {
            Ok(LinearFeature {
                input: feature.input,
                mean: finite(feature.mean)?,
                weight: finite(feature.weight)?,
            })
        })
        .collect();
    Ok(LinearParameters::new(
        finite(draft.bias)?,
        draft.explains,
        features?,
        draft.link,
    ))
}

/// A decision before it is held against a profile.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionDraft {
    /// The endpoint, where there are several.
    #[serde(default)]
    pub endpoint: Option<String>,
    subject: String,
    /// Milliseconds since 1970.
    #[serde(default)]
    time_ms: Option<u64>,
    #[serde(default)]
    inputs: Map<String, Json>,
    #[serde(default)]
    variables: Map<String, Json>,
    #[serde(default)]
    outputs: Map<String, Json>,
    /// `name`, `note`, and those of the draft's `reviewers`.
    #[serde(default)]
    reviewer: Map<String, Json>,
    /// `reference`.
    #[serde(default)]
    consent: Map<String, Json>,
    #[serde(default)]
    overridden: bool,
    #[serde(default)]
    generated: bool,
}

impl DecisionDraft {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// [`DraftError::Json`].
    pub fn read(bytes: &[u8]) -> Result<Self, DraftError> {
        serde_json::from_slice(bytes).map_err(DraftError::Json)
    }

    /// Reads a JSON value.
    ///
    /// # Errors
    /// [`DraftError::Json`].
    pub fn from_value(value: Json) -> Result<Self, DraftError> {
        serde_json::from_value(value).map_err(DraftError::Json)
    }

    /// Holds it against a profile. Without a time of its own it was made `now`; a decision that names a reviewer was
    /// reviewed.
    ///
    /// # Errors
    /// [`DraftError::UnknownField`], [`DraftError::Type`] or [`DraftError::Profile`].
    pub fn check(mut self, profile: &Arc<Profile>, now: UnixMillis) -> Result<CheckedDecision, DraftError> {
        let reviewed = self.reviewer.values().any(|value| !value.is_null());
        let mut values = Vec::with_capacity(profile.fields().len());
        for field in profile.given() {
            let value = self.of_role(field.role).and_then(|map| map.remove(&field.name));
            values.push(read_value(value.unwrap_or(Json::Null), field)?);
        }
        for role in [
            Role::Input,
            Role::Variable,
            Role::Output,
            Role::Reviewer,
            Role::Consent,
        ] {
            if let Some(name) = self.of_role(role).and_then(|map| map.keys().next()) {
                let name = name.clone();
                return Err(DraftError::UnknownField { role, name });
            }
        }
        Ok(profile.check(Decision {
            subject: self.subject,
            time: self.time_ms.map_or(now, UnixMillis),
            flags: Flags {
                reviewed: reviewed || self.overridden,
                overridden: self.overridden,
                generated: self.generated,
            },
            values,
        })?)
    }

    fn of_role(&mut self, role: Role) -> Option<&mut Map<String, Json>> {
        match role {
            Role::Input => Some(&mut self.inputs),
            Role::Variable => Some(&mut self.variables),
            Role::Output => Some(&mut self.outputs),
            Role::Reviewer => Some(&mut self.reviewer),
            Role::Consent => Some(&mut self.consent),
            Role::Base | Role::Contribution => None,
        }
    }
}

fn read_value(json: Json, field: &Field) -> Result<Value, DraftError> {
    let wrong = |got| {
        Err(DraftError::Type {
            role: field.role,
            name: field.name.clone(),
            expected: field.kind,
            got,
        })
    };
    match (json, field.kind) {
        (Json::Null, _) => Ok(Value::Null),
        (Json::Bool(value), ValueType::Boolean) => Ok(Value::Boolean(value)),
        (Json::String(text), ValueType::Text) => Ok(Value::Text(text)),
        (Json::Number(number), ValueType::Integer) => match number.as_i64() {
            Some(number) => Ok(Value::Integer(number)),
            None => wrong("a number with a fraction, or beyond 64 bits"),
        },
        (Json::Number(number), ValueType::Number) => match number.as_f64() {
            Some(number) => Ok(Value::Number(number)),
            None => wrong("a number that is not finite"),
        },
        (Json::Bool(_), _) => wrong("a boolean"),
        (Json::String(_), _) => wrong("text"),
        (Json::Number(_), _) => wrong("a number"),
        (Json::Array(_), _) => wrong("a list"),
        (Json::Object(_), _) => wrong("an object"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A profile as in the guide.
    pub(in super::super) fn profile() -> Arc<Profile> {
        let draft = json!({
            "endpoint": "loans.example/score",
            "model": ContentDigest([4; 32]).to_string(),
            "inputs": [{"name": "age", "type": "integer"}, {"name": "income", "type": "number"}],
            "variables": [{"name": "branch", "type": "text"}],
            "outputs": [{"name": "score", "type": "number"}],
            "linear": {
                "explains": "score", "bias": -1.5,
                "features": [
                    {"input": "age", "weight": 0.02, "mean": 44.25},
                    {"input": "income", "weight": -1e-4, "mean": 3000},
                ],
            },
        });
        let draft = ProfileDraft::read(draft.to_string().as_bytes()).unwrap();
        Arc::new(draft.into_profile().unwrap())
    }

    pub(in super::super) fn decision() -> Json {
        json!({
            "subject": "Ada Lovelace", "inputs": {"age": 50, "income": 2000}, "outputs": {"score": -0.7},
            "reviewer": {"name": "Grace Hopper"},
        })
    }

    #[test]
    fn a_decision_is_read_by_the_names_of_its_fields() {
        let draft = DecisionDraft::read(decision().to_string().as_bytes()).unwrap();
        let checked = draft.check(&profile(), UnixMillis(7)).unwrap();
        assert_eq!((checked.time, checked.flags.reviewed), (UnixMillis(7), true));
        assert_eq!(checked.values()[0], Value::Integer(50));
        assert_eq!(checked.values()[1], Value::Number(2000.0));
        assert_eq!(checked.values()[2], Value::Null);
        assert_eq!(checked.values()[4], Value::Text("Grace Hopper".into()));
        assert_eq!(checked.values()[8], Value::Number(0.02 * (50.0 - 44.25)));
    }

    #[test]
    fn what_is_misspelt_or_of_another_type_is_told_without_its_value() {
        let error = |change: &dyn Fn(&mut Json)| {
            let mut decision = decision();
            change(&mut decision);
            let draft = DecisionDraft::from_value(decision)?;
            draft.check(&profile(), UnixMillis(7)).map(drop)
        };
        let told = |change: &dyn Fn(&mut Json)| error(change).unwrap_err().to_string();
        assert_eq!(
            told(&|d| d["inputs"]["aeg"] = json!(1)),
            "the profile has no input field \"aeg\""
        );
        assert_eq!(
            told(&|d| d["inputs"]["age"] = json!(1.25)),
            "input field \"age\" takes integer or nothing; the value is a number with a fraction, or beyond 64 bits"
        );
        assert_eq!(
            told(&|d| d["outputs"]["score"] = json!("secret")),
            "output field \"score\" takes number or nothing; the value is text"
        );
        assert!(matches!(
            error(&|d| d["more"] = json!(1)),
            Err(DraftError::Json(_))
        ));
        assert!(matches!(
            error(&|d| d["outputs"]["score"] = json!(0.5)),
            Err(DraftError::Profile(_))
        ));
    }
}
