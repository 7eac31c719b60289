//! JSON-RPC 2.0 messages: requests as borrowed slices of the body, responses as bytes.
//!
//! # Differences from the specification
//!
//! - Parameters by name are refused: Ethereum's methods take them by position.
//! - `jsonrpc` may be missing: some clients leave it out, and nothing hangs on it.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::error::{INVALID_REQUEST, PARSE_ERROR, RpcError};

/// A body that was read.
#[derive(Debug)]
pub(crate) enum Incoming<'a> {
    /// One call.
    Single(Result<Request<'a>, RpcError>),
    /// Several, to be answered together and in order.
    Batch(Vec<Result<Request<'a>, RpcError>>),
}

/// One call.
#[derive(Debug, Deserialize)]
pub(crate) struct Request<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    /// Absent in a notification, which gets no answer; `null` is an id.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) id: Option<&'a RawValue>,
    /// What is asked.
    #[serde(borrow)]
    pub(crate) method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Keeps `"id": null` apart from no id at all.
fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Incoming<'a> {
    /// Reads a body of at most `batch_calls` calls. Cost: one pass to split it and one over each call.
    pub(crate) fn read(body: &'a [u8], batch_calls: usize) -> Result<Self, RpcError> {
        let start = body.iter().position(|byte| !byte.is_ascii_whitespace());
        if start.is_some_and(|start| body[start] == b'[') {
            let mut deserializer = serde_json::Deserializer::from_slice(body);
            let calls = serde::Deserializer::deserialize_seq(&mut deserializer, Calls { limit: batch_calls })
                .map_err(not_json)?;
            deserializer.end().map_err(not_json)?;
            return match calls {
                None => Err(RpcError::limit(format!(
                    "a batch may hold at most {batch_calls} calls"
                ))),
                Some(calls) if calls.is_empty() => Err(RpcError::new(INVALID_REQUEST, "empty batch")),
                Some(calls) => Ok(Self::Batch(calls.into_iter().map(Request::read).collect())),
            };
        }
        let call: &RawValue = serde_json::from_slice(body).map_err(not_json)?;
        Ok(Self::Single(Request::read(call)))
    }
}

impl<'a> Request<'a> {
    fn read(call: &'a RawValue) -> Result<Self, RpcError> {
        let request: Self = serde_json::from_str(call.get())
            .map_err(|error| RpcError::new(INVALID_REQUEST, format!("not a JSON-RPC request: {error}")))?;
        if request.jsonrpc.as_deref().is_some_and(|version| version != "2.0") {
            return Err(RpcError::new(INVALID_REQUEST, "jsonrpc is not \"2.0\""));
        }
        let id_fits = request.id.is_none_or(|id| {
            matches!(
                id.get().as_bytes().first(),
                Some(b'"' | b'n' | b'-' | b'0'..=b'9')
            )
        });
        if !id_fits {
            return Err(RpcError::new(
                INVALID_REQUEST,
                "the id is neither a string, a number nor null",
            ));
        }
        Ok(request)
    }

    /// The parameters, to be taken in order.
    pub(crate) fn params(&self) -> Result<Params<'a>, RpcError> {
        let values = match self.params.map(RawValue::get) {
            None | Some("null") => Vec::new(),
            Some(text) => serde_json::from_str(text)
                .map_err(|_| RpcError::invalid_params("parameters are not a list"))?,
        };
        Ok(Params {
            values: values.into_iter(),
            place: 0,
        })
    }
}

/// Positional parameters.
#[derive(Debug)]
pub(crate) struct Params<'a> {
    values: std::vec::IntoIter<&'a RawValue>,
    place: usize,
}

impl<'a> Params<'a> {
    /// The next parameter.
    pub(crate) fn required<T: Deserialize<'a>>(&mut self, name: &str) -> Result<T, RpcError> {
        match self.raw() {
            Some(raw) => self.read(name, raw),
            None => Err(RpcError::invalid_params(format!(
                "missing value for required argument {}: {name}",
                self.place
            ))),
        }
    }

    /// The next parameter, where it is there and not null.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, RpcError> {
        match self.raw() {
            None => Ok(None),
            Some(raw) if raw.get() == "null" => Ok(None),
            Some(raw) => self.read(name, raw).map(Some),
        }
    }

    /// Fails where parameters are left that the method does not know: ignoring them would answer another question.
    pub(crate) fn end(&mut self) -> Result<(), RpcError> {
        let place = self.place;
        match self.raw() {
            None => Ok(()),
            Some(_) => Err(RpcError::invalid_params(format!(
                "too many arguments, want at most {place}"
            ))),
        }
    }

    fn raw(&mut self) -> Option<&'a RawValue> {
        let raw = self.values.next();
        self.place += usize::from(raw.is_some());
        raw
    }

    fn read<T: Deserialize<'a>>(&self, name: &str, raw: &'a RawValue) -> Result<T, RpcError> {
        serde_json::from_str(raw.get()).map_err(|error| {
            RpcError::invalid_params(format!("invalid argument {}, {name}: {error}", self.place - 1))
        })
    }
}

/// Splits a list into its elements and gives up, without keeping them, once there are more than `limit`.
struct Calls {
    limit: usize,
}

impl<'de> Visitor<'de> for Calls {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a batch of calls")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut calls = Vec::new();
        while let Some(call) = sequence.next_element::<&'de RawValue>()? {
            if calls.len() == self.limit {
                while sequence.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            calls.push(call);
        }
        Ok(Some(calls))
    }
}

fn not_json(error: serde_json::Error) -> RpcError {
    RpcError::new(PARSE_ERROR, format!("parse error: {error}"))
}

/// A serialised result.
pub(crate) type Answer = Result<Vec<u8>, RpcError>;

/// Serialises a method's result.
pub(crate) fn answer<T: Serialize + ?Sized>(result: &T) -> Answer {
    serde_json::to_vec(result)
        .map_err(|error| RpcError::internal(format!("the answer cannot be written: {error}")))
}

/// Appends the response to a call. A call that could not be read has no id.
pub(crate) fn write_response(out: &mut Vec<u8>, id: Option<&RawValue>, answer: &Answer) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.map_or("null", RawValue::get).as_bytes());
    match answer {
        Ok(result) => {
            out.extend_from_slice(br#","result":"#);
            out.extend_from_slice(result);
        }
        Err(error) => {
            out.extend_from_slice(br#","error":"#);
            let written = serde_json::to_vec(error);
            out.extend_from_slice(
                written
                    .as_deref()
                    .unwrap_or(br#"{"code":-32603,"message":"internal error"}"#),
            );
        }
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn single(body: &str) -> Result<Request<'_>, RpcError> {
        match Incoming::read(body.as_bytes(), 3)? {
            Incoming::Single(request) => request,
            Incoming::Batch(_) => panic!("a batch"),
        }
    }

    #[test]
    fn a_call_is_read_without_copying() {
        let mut request =
            single(r#" {"jsonrpc":"2.0","id":7,"method":"eth_call","params":["a",null]}"#).unwrap();
        assert!(matches!(request.method, Cow::Borrowed("eth_call")));
        assert_eq!(request.id.take().unwrap().get(), "7");
        let mut params = request.params().unwrap();
        assert_eq!(params.required::<String>("text").unwrap(), "a");
        assert_eq!(params.optional::<u64>("number").unwrap(), None);
        assert_eq!(params.optional::<u64>("number").unwrap(), None);
        params.end().unwrap();
    }

    #[test]
    fn no_id_and_a_null_id_differ() {
        assert!(single(r#"{"method":"m"}"#).unwrap().id.is_none());
        assert_eq!(
            single(r#"{"method":"m","id":null}"#).unwrap().id.unwrap().get(),
            "null"
        );
    }

    #[test]
    fn what_is_not_a_request_gets_the_code_of_its_kind() {
        for (body, code) in [
            ("", PARSE_ERROR),
            ("{", PARSE_ERROR),
            ("[", PARSE_ERROR),
            ("[1,", PARSE_ERROR),
            ("{} {}", PARSE_ERROR),
            ("[{}] x", PARSE_ERROR),
            ("1", INVALID_REQUEST),
            ("{}", INVALID_REQUEST),
            ("[]", INVALID_REQUEST),
            (r#"{"method":7,"id":1}"#, INVALID_REQUEST),
            (r#"{"method":"m","id":{}}"#, INVALID_REQUEST),
            (r#"{"method":"m","id":true}"#, INVALID_REQUEST),
            (r#"{"method":"m","id":1,"id":2}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","method":"m","id":1}"#, INVALID_REQUEST),
            ("[1,2,3,4]", super::super::error::LIMIT_EXCEEDED),
        ] {
            let error = match Incoming::read(body.as_bytes(), 3) {
                Err(error) | Ok(Incoming::Single(Err(error))) => error,
                other => panic!("{body}: {other:?}"),
            };
            assert_eq!(error.code, code, "{body}: {error}");
        }
    }

    #[test]
    fn one_bad_call_leaves_the_rest_of_its_batch() {
        let Incoming::Batch(calls) = Incoming::read(br#"[1,{"method":"m","id":2}]"#, 3).unwrap() else {
            panic!()
        };
        assert_eq!(calls[0].as_ref().unwrap_err().code, INVALID_REQUEST);
        assert_eq!(calls[1].as_ref().unwrap().method, "m");
    }

    #[test]
    fn parameters_by_name_and_surplus_ones_are_refused() {
        let request = single(r#"{"method":"m","params":{"a":1}}"#).unwrap();
        assert_eq!(
            request.params().unwrap_err().code,
            super::super::error::INVALID_PARAMS
        );
        let request = single(r#"{"method":"m","params":[1,2]}"#).unwrap();
        let mut params = request.params().unwrap();
        params.required::<u64>("number").unwrap();
        assert_eq!(
            params.end().unwrap_err().message,
            "too many arguments, want at most 1"
        );
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_overflow() {
        let body = format!(
            r#"{{"method":"m","params":[{}{}]}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let request = single(&body).unwrap();
        let mut params = request.params().unwrap();
        assert!(params.required::<serde_json::Value>("any").is_err());
    }

    proptest! {
        /// No bytes make the reader panic, and what it accepts stays within the limit.
        #[test]
        fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Incoming::Batch(calls)) = Incoming::read(&body, 3) {
                prop_assert!(calls.len() <= 3);
            }
        }
    }
}
