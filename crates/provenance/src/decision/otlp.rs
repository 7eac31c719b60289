//! Spans of OpenTelemetry's GenAI conventions as decisions: OTLP/HTTP with JSON.
//!
//! A span is one operation of a model (`gen_ai.operation.name`). Its attributes become fields by their own names; those of
//! other conventions are passed over, since a list of fields that grows with what an application happens to send would say
//! something about each decision. Field names follow the semantic conventions 1.37; `gen_ai.system`, which they replaced,
//! is read as `gen_ai.provider.name`.
//!
//! The person a span is about is `enduser.id`, else `user.id`, else the conversation, else the trace: an erasure needs one
//! of these names.

use std::{collections::BTreeMap, sync::Arc};

use counterweight_primitives::UnixMillis;
use serde_json::Value as Json;

use super::{
    entry::Flags,
    profile::{CheckedDecision, Decision, Field, Profile, Role},
    value::{Value, ValueType},
};

/// Most spans of one request.
pub const MOST_SPANS: usize = 4096;

/// Fields that a profile of spans has, by the names of their attributes.
const FIELDS: &[(&str, Role, ValueType)] = &[
    ("gen_ai.operation.name", Role::Input, ValueType::Text),
    ("gen_ai.provider.name", Role::Input, ValueType::Text),
    ("gen_ai.request.model", Role::Input, ValueType::Text),
    ("gen_ai.request.temperature", Role::Input, ValueType::Number),
    ("gen_ai.request.top_p", Role::Input, ValueType::Number),
    ("gen_ai.request.top_k", Role::Input, ValueType::Number),
    ("gen_ai.request.max_tokens", Role::Input, ValueType::Integer),
    ("gen_ai.request.seed", Role::Input, ValueType::Integer),
    ("gen_ai.request.frequency_penalty", Role::Input, ValueType::Number),
    ("gen_ai.request.presence_penalty", Role::Input, ValueType::Number),
    ("gen_ai.request.stop_sequences", Role::Input, ValueType::Text),
    ("gen_ai.system_instructions", Role::Input, ValueType::Text),
    ("gen_ai.input.messages", Role::Input, ValueType::Text),
    ("gen_ai.tool.definitions", Role::Input, ValueType::Text),
    ("gen_ai.conversation.id", Role::Variable, ValueType::Text),
    ("gen_ai.agent.id", Role::Variable, ValueType::Text),
    ("gen_ai.tool.name", Role::Variable, ValueType::Text),
    ("server.address", Role::Variable, ValueType::Text),
    ("service.name", Role::Variable, ValueType::Text),
    ("trace_id", Role::Variable, ValueType::Text),
    ("span_id", Role::Variable, ValueType::Text),
    ("parent_span_id", Role::Variable, ValueType::Text),
    ("duration_ns", Role::Variable, ValueType::Integer),
    ("gen_ai.response.model", Role::Output, ValueType::Text),
    ("gen_ai.response.id", Role::Output, ValueType::Text),
    ("gen_ai.response.finish_reasons", Role::Output, ValueType::Text),
    ("gen_ai.usage.input_tokens", Role::Output, ValueType::Integer),
    ("gen_ai.usage.output_tokens", Role::Output, ValueType::Integer),
    ("gen_ai.output.messages", Role::Output, ValueType::Text),
    ("error.type", Role::Output, ValueType::Text),
];

/// The fields of a profile of spans.
pub(super) fn gen_ai_fields() -> impl Iterator<Item = Field> {
    FIELDS.iter().map(|(name, role, kind)| Field {
        name: (*name).to_owned(),
        role: *role,
        kind: *kind,
    })
}

/// Whether spans can be recorded under a profile.
#[must_use]
pub fn takes_spans(profile: &Profile) -> bool {
    gen_ai_fields().all(|field| profile.given().contains(&field))
}

/// What a request had in it.
#[derive(Debug, Default)]
pub struct Spans {
    /// Decisions, in the order of their spans.
    pub decisions: Vec<CheckedDecision>,
    /// Spans that are no operation of a model.
    pub other: usize,
    /// Spans that do not fit, each with why.
    pub refused: Vec<String>,
}

/// Reads an `ExportTraceServiceRequest` in JSON; none where it is of another form, or has too many spans.
#[must_use]
pub fn read_spans(request: &Json, profile: &Arc<Profile>) -> Option<Spans> {
    let mut found = Spans::default();
    let mut seen = 0;
    for resource in list(request, "resourceSpans")? {
        let of_resource = attributes(resource.get("resource").unwrap_or(&Json::Null));
        for scope in list(resource, "scopeSpans")? {
            for span in list(scope, "spans")? {
                seen += 1;
                if seen > MOST_SPANS {
                    return None;
                }
                match read_span(span, &of_resource, profile) {
                    Ok(Some(decision)) => found.decisions.push(decision),
                    Ok(None) => found.other += 1,
                    Err(reason) => found.refused.push(reason),
                }
            }
        }
    }
    Some(found)
}

/// A member that is a list; one that is missing is empty, as in protobuf.
fn list<'a>(of: &'a Json, name: &str) -> Option<&'a [Json]> {
    match of.as_object()?.get(name) {
        None | Some(Json::Null) => Some(&[]),
        Some(list) => list.as_array().map(Vec::as_slice),
    }
}

fn read_span(
    span: &Json,
    of_resource: &BTreeMap<&str, &Json>,
    profile: &Arc<Profile>,
) -> Result<Option<CheckedDecision>, String> {
    let own = attributes(span);
    if !own.contains_key("gen_ai.operation.name") {
        return Ok(None);
    }
    let text = |name: &str| {
        span.get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (start, end) = (
        nanoseconds(span, "startTimeUnixNano"),
        nanoseconds(span, "endTimeUnixNano"),
    );
    let (start, end) = start.zip(end).ok_or("a span has no start or no end")?;
    let find = |name: &str| own.get(name).or_else(|| of_resource.get(name)).copied();
    let mut values = Vec::with_capacity(profile.given().len());
    for field in profile.given() {
        let value = match field.name.as_str() {
            "trace_id" => Value::Text(text("traceId")),
            "span_id" => Value::Text(text("spanId")),
            "parent_span_id" => Value::Text(text("parentSpanId")),
            "duration_ns" => i64::try_from(end.saturating_sub(start)).map_or(Value::Null, Value::Integer),
            name => {
                let found = find(name).or_else(|| {
                    find(if name == "gen_ai.provider.name" {
                        "gen_ai.system"
                    } else {
                        name
                    })
                });
                match found {
                    Some(value) => read_value(value, field.kind)
                        .ok_or_else(|| format!("attribute {name} is not of its type"))?,
                    None => Value::Null,
                }
            }
        };
        values.push(match value {
            Value::Text(text) if text.is_empty() => Value::Null,
            value => value,
        });
    }
    let subject = ["enduser.id", "user.id", "gen_ai.conversation.id"]
        .iter()
        .find_map(|name| find(name)?.get("stringValue")?.as_str())
        .filter(|name| !name.is_empty())
        .map_or_else(|| text("traceId"), str::to_owned);
    let decision = Decision {
        subject,
        time: UnixMillis(start / 1_000_000),
        flags: Flags {
            generated: true,
            ..Flags::default()
        },
        values,
    };
    profile
        .check(decision)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// Attributes by their keys, each an `AnyValue`.
fn attributes(of: &Json) -> BTreeMap<&str, &Json> {
    let list = of
        .get("attributes")
        .and_then(Json::as_array)
        .map_or(&[][..], Vec::as_slice);
    list.iter()
        .filter_map(|attribute| Some((attribute.get("key")?.as_str()?, attribute.get("value")?)))
        .collect()
}

/// 64-bit numbers are text in protobuf's JSON, and numbers with some senders.
fn nanoseconds(span: &Json, name: &str) -> Option<u64> {
    let value = span.get(name)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// An `AnyValue`. What has structure (messages, lists of reasons) becomes its JSON.
fn read_value(any: &Json, kind: ValueType) -> Option<Value> {
    let integer = || {
        let value = any.get("intValue")?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    };
    match kind {
        ValueType::Integer => integer().map(Value::Integer),
        ValueType::Number => {
            let double = any.get("doubleValue").and_then(Json::as_f64);
            double.or_else(|| integer().map(|n| n as f64)).map(Value::Number)
        }
        ValueType::Boolean => any.get("boolValue")?.as_bool().map(Value::Boolean),
        ValueType::Text => Some(Value::Text(match any.get("stringValue") {
            Some(text) => text.as_str()?.to_owned(),
            None => plain(any, 8)?.to_string(),
        })),
    }
}

/// An `AnyValue` as plain JSON.
fn plain(any: &Json, depth: usize) -> Option<Json> {
    let (kind, value) = any.as_object()?.iter().next()?;
    let depth = depth.checked_sub(1)?;
    Some(match kind.as_str() {
        "arrayValue" => Json::Array(
            list(value, "values")?
                .iter()
                .map(|v| plain(v, depth))
                .collect::<Option<_>>()?,
        ),
        "kvlistValue" => {
            let members = list(value, "values")?.iter();
            let member =
                |v: &Json| Some((v.get("key")?.as_str()?.to_owned(), plain(v.get("value")?, depth)?));
            Json::Object(members.map(member).collect::<Option<_>>()?)
        }
        "stringValue" | "intValue" | "doubleValue" | "boolValue" | "bytesValue" => value.clone(),
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use counterweight_primitives::ContentDigest;
    use serde_json::json;

    use super::{super::draft::ProfileDraft, *};

    pub(in super::super) fn profile() -> Arc<Profile> {
        let draft = json!({
            "endpoint": "chat.example", "model": ContentDigest([4; 32]).to_string(), "gen_ai": true,
        });
        let draft = ProfileDraft::read(draft.to_string().as_bytes()).unwrap();
        Arc::new(draft.into_profile().unwrap())
    }

    /// As the OpenTelemetry SDKs send them.
    pub(in super::super) fn request() -> Json {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        json!({"resourceSpans": [{
            "resource": {"attributes": [text("service.name", "assistant")]},
            "scopeSpans": [{"scope": {"name": "openai"}, "spans": [
                {
                    "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "chat gpt",
                    "kind": 3, "startTimeUnixNano": "1795305599000000000", "endTimeUnixNano": "1795305599500000000",
                    "attributes": [
                        text("gen_ai.operation.name", "chat"), text("gen_ai.system", "openai"),
                        text("gen_ai.request.model", "gpt"), text("enduser.id", "Ada Lovelace"),
                        text("gen_ai.input.messages", "[{\"role\":\"user\"}]"),
                        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
                        {"key": "gen_ai.request.temperature", "value": {"doubleValue": 0.5}},
                        {"key": "gen_ai.response.finish_reasons",
                         "value": {"arrayValue": {"values": [{"stringValue": "stop"}]}}},
                    ],
                },
                {"traceId": "00", "spanId": "01", "name": "SELECT", "startTimeUnixNano": "1", "endTimeUnixNano": "2"},
            ]}],
        }]})
    }

    #[test]
    fn a_span_becomes_a_decision_and_others_are_passed_over() {
        let profile = profile();
        assert!(takes_spans(&profile));
        let spans = read_spans(&request(), &profile).unwrap();
        assert_eq!(
            (spans.decisions.len(), spans.other, spans.refused.len()),
            (1, 1, 0)
        );
        let decision = &spans.decisions[0];
        assert_eq!(
            (decision.subject.as_str(), decision.time),
            ("Ada Lovelace", UnixMillis(1_795_305_599_000))
        );
        assert!(decision.flags.generated);
        let value = |name: &str| {
            let place = profile
                .fields()
                .iter()
                .position(|field| field.name == name)
                .unwrap();
            decision.values()[place].clone()
        };
        assert_eq!(value("gen_ai.provider.name"), Value::Text("openai".into()));
        assert_eq!(value("gen_ai.usage.input_tokens"), Value::Integer(12));
        assert_eq!(value("gen_ai.request.temperature"), Value::Number(0.5));
        assert_eq!(
            value("gen_ai.response.finish_reasons"),
            Value::Text("[\"stop\"]".into())
        );
        assert_eq!(value("service.name"), Value::Text("assistant".into()));
        assert_eq!(value("duration_ns"), Value::Integer(500_000_000));
        assert_eq!(value("gen_ai.request.seed"), Value::Null);
    }

    #[test]
    fn requests_of_another_form_are_refused_and_spans_that_do_not_fit_are_told() {
        let profile = profile();
        for other in [
            json!([]),
            json!({"resourceSpans": 1}),
            json!({"resourceSpans": [{"scopeSpans": {}}]}),
        ] {
            assert!(read_spans(&other, &profile).is_none(), "{other}");
        }
        assert!(read_spans(&json!({}), &profile).unwrap().decisions.is_empty());
        let mut wrong = request();
        wrong["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"][5]["value"] =
            json!({"stringValue": "12"});
        let spans = read_spans(&wrong, &profile).unwrap();
        assert_eq!(
            spans.refused,
            ["attribute gen_ai.usage.input_tokens is not of its type"]
        );
        let span = json!({"spans": vec![json!({}); MOST_SPANS + 1]});
        let many = json!({"resourceSpans": [{"scopeSpans": [span]}]});
        assert!(read_spans(&many, &profile).is_none());
    }
}
