//! What a log of decisions keeps of what Article 12 of the EU AI Act (Regulation (EU) 2024/1689) asks for.
//!
//! The profile of an endpoint says which fields each of its decisions has, so what will be kept can be told before the first
//! one is made. [`article_12`] goes through the article and the ones that lean on it, and says for each point what keeps it, or
//! which field is missing. Names of the fields that it looks for: `docs/spec/record-keeping.md`. Whether a system is of
//! high risk, and whether what is kept suffices, is not decided here.

use counterweight_provenance::decision::{Field, Profile, Role};
use serde::Serialize;

/// Variables with the beginning and the end of a use, as Article 12(3)(a) wants for remote biometric identification.
const PERIOD: [&str; 2] = ["use_started_at", "use_ended_at"];
/// The variable that names the database that was searched, Article 12(3)(b).
const REFERENCE: &str = "reference_database";
/// Reviewers of an identification: Article 14(5) wants two persons.
const VERIFIERS: [&str; 2] = ["name", "second_name"];

/// A point of the regulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Where it stands, `12(2)(a)`.
    pub point: &'static str,
    /// What it asks for, in short.
    pub asks: &'static str,
    /// What keeps it; none where something is missing.
    pub kept: Option<String>,
    /// What is missing, or what no log can do.
    pub gap: &'static str,
}

/// Goes through the points; `biometric` adds those for remote biometric identification (Annex III, point 1(a)).
#[must_use]
pub fn article_12(profile: &Profile, biometric: bool) -> Vec<Requirement> {
    let names = |role: Role| -> Vec<&str> {
        let fields = profile
            .fields()
            .iter()
            .filter(|field: &&Field| field.role == role);
        fields.map(|field| field.name.as_str()).collect()
    };
    let (inputs, outputs, reviewers) = (names(Role::Input), names(Role::Output), names(Role::Reviewer));
    let all = |role: Role, wanted: &[&str]| {
        let found = names(role);
        wanted
            .iter()
            .all(|name| found.contains(name))
            .then(|| wanted.join(", "))
    };
    let some = |found: &[&str]| (!found.is_empty()).then(|| found.join(", "));
    let requirement = |point, asks, kept: Option<String>, gap| Requirement {
        point,
        asks,
        kept,
        gap,
    };
    let mut points = vec![
        requirement(
            "12(1)",
            "events are recorded automatically over the lifetime of the system",
            Some("each decision is an entry with a number without gaps, safe on disk before it is acknowledged".to_owned()),
            "Decisions made past the recorder: whoever asks can demand a receipt for each answer.",
        ),
        requirement(
            "12(2)(a)",
            "events that show a risk, or a substantial modification",
            some(&outputs).map(|outputs| format!("outputs ({outputs}); the model {} and its policy in the profile, a new one for each change", profile.model())),
            "A field for the output. Which outputs are a risk is for the provider to say.",
        ),
        requirement(
            "12(2)(b)",
            "events that post-market monitoring needs (Article 72)",
            some(&inputs).filter(|_| !outputs.is_empty()).map(|inputs| format!("inputs ({inputs}) and outputs, sealed, opened selectively")),
            "Fields for inputs and outputs. What happened afterwards is not in the log.",
        ),
        requirement(
            "12(2)(c)",
            "monitoring by the deployer (Article 26(5))",
            some(&reviewers).map(|reviewers| format!("who reviewed ({reviewers}), and flags for reviewed and overridden")),
            "A field for who reviewed.",
        ),
    ];
    if biometric {
        points.extend([
            requirement(
                "12(3)(a)",
                "the period of each use: beginning and end",
                all(Role::Variable, &PERIOD),
                "Variables use_started_at and use_ended_at.",
            ),
            requirement(
                "12(3)(b)",
                "the reference database that was searched",
                all(Role::Variable, &[REFERENCE]),
                "A variable reference_database.",
            ),
            requirement(
                "12(3)(c)",
                "the input for which the search found a match",
                some(&inputs).filter(|_| !outputs.is_empty()),
                "Fields for the input and for the match.",
            ),
            requirement(
                "12(3)(d)",
                "the persons who verified the result (Article 14(5): two)",
                all(Role::Reviewer, &VERIFIERS),
                "Reviewer fields name and second_name.",
            ),
        ]);
    }
    points.extend([
        requirement(
            "19, 26(6)",
            "logs are kept for at least six months",
            None,
            "The log keeps them until somebody erases them; how long, and who watches over the folder, is for provider and deployer to settle.",
        ),
        requirement(
            "86",
            "the person decided on can have the decision explained",
            profile.explanation().map(|_| "the profile names a method; its explanations can be recomputed bit for bit".to_owned()),
            "An explanation in the profile: linear or trees.",
        ),
    ]);
    points
}

#[cfg(test)]
mod tests {
    use counterweight_provenance::decision::ProfileDraft;

    use super::*;

    fn profile(text: &str) -> Profile {
        ProfileDraft::read(text.as_bytes())
            .unwrap()
            .into_profile()
            .unwrap()
    }

    fn gaps(profile: &Profile, biometric: bool) -> Vec<&'static str> {
        let points = article_12(profile, biometric);
        points
            .iter()
            .filter(|point| point.kept.is_none())
            .map(|point| point.point)
            .collect()
    }

    const MODEL: &str = "blake3:0000000000000000000000000000000000000000000000000000000000000000";

    #[test]
    fn a_profile_with_inputs_and_outputs_keeps_all_but_the_term_and_the_explanation() {
        let text = format!(
            r#"{{"endpoint": "e", "model": "{MODEL}", "inputs": [{{"name": "age", "type": "number"}}], "outputs": [{{"name": "score", "type": "number"}}]}}"#
        );
        let profile = profile(&text);
        assert_eq!(gaps(&profile, false), ["19, 26(6)", "86"]);
        assert_eq!(
            gaps(&profile, true),
            ["12(3)(a)", "12(3)(b)", "12(3)(d)", "19, 26(6)", "86"]
        );
    }

    /// What remote biometric identification needs can all be said in a draft.
    #[test]
    fn a_draft_with_two_verifiers_period_and_database_keeps_all_of_12_3() {
        let field = |name: &str| format!(r#"{{"name": "{name}", "type": "text"}}"#);
        let text = format!(
            r#"{{"endpoint": "e", "model": "{MODEL}", "inputs": [{}], "variables": [{}], "outputs": [{}], "reviewers": [{}]}}"#,
            field("frame"),
            [
                field("use_started_at"),
                field("use_ended_at"),
                field("reference_database")
            ]
            .join(", "),
            field("match"),
            field("second_name"),
        );
        assert_eq!(gaps(&profile(&text), true), ["19, 26(6)", "86"]);
    }

    #[test]
    fn a_profile_without_outputs_names_each_gap() {
        let text = format!(
            r#"{{"endpoint": "e", "model": "{MODEL}", "inputs": [{{"name": "age", "type": "number"}}]}}"#
        );
        assert_eq!(
            gaps(&profile(&text), false),
            ["12(2)(a)", "12(2)(b)", "19, 26(6)", "86"]
        );
    }

    #[test]
    fn every_point_says_what_is_missing() {
        let text = format!(
            r#"{{"endpoint": "e", "model": "{MODEL}", "outputs": [{{"name": "score", "type": "number"}}]}}"#
        );
        assert!(
            article_12(&profile(&text), true)
                .iter()
                .all(|point| !point.gap.is_empty() && !point.asks.is_empty())
        );
    }
}
