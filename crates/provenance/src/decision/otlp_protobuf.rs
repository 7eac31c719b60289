//! `ExportTraceServiceRequest` of OTLP in protobuf, as the JSON that [`super::otlp`] reads.
//!
//! Written by hand after `opentelemetry/proto/{collector/trace/v1/trace_service,trace/v1/trace,common/v1/common}.proto` 1.7: eight
//! messages, of which a few fields are read. Others are passed over, as the wire format wants.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value as Json, json};

/// Messages of one request, values of attributes among them: two bytes on the wire are a value in memory.
const MOST_MESSAGES: usize = 1 << 18;

/// Values within values.
const DEEPEST: usize = 16;

/// A field's value, by its wire type.
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// Reads a request; none where it is of another form, or beyond the bounds.
#[must_use]
pub(super) fn read_request(bytes: &[u8]) -> Option<Json> {
    let mut reader = Reader { left: MOST_MESSAGES };
    let mut resources = Vec::new();
    each(bytes, |number, wire| {
        if number == 1 {
            resources.push(reader.resource_spans(wire.bytes()?)?);
        }
        Some(())
    })?;
    Some(json!({"resourceSpans": resources}))
}

/// `ExportTraceServiceResponse`.
#[must_use]
pub(super) fn response(rejected: usize, reason: Option<&str>) -> Vec<u8> {
    let Some(reason) = reason else {
        return Vec::new();
    };
    let mut partial = Vec::new();
    put_varint(&mut partial, 1, rejected as u64);
    put_bytes(&mut partial, 2, reason.as_bytes());
    let mut out = Vec::new();
    put_bytes(&mut out, 1, &partial);
    out
}

/// `google.rpc.Status`, which OTLP asks for with every refusal.
#[must_use]
pub(super) fn status(code: u64, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, 1, code);
    put_bytes(&mut out, 2, message.as_bytes());
    out
}

struct Reader {
    /// How many more messages are read.
    left: usize,
}

impl Reader {
    fn count(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        Some(())
    }

    fn resource_spans(&mut self, bytes: &[u8]) -> Option<Json> {
        self.count()?;
        let mut resource = json!({});
        let mut scopes = Vec::new();
        each(bytes, |number, wire| {
            match number {
                1 => resource = json!({"attributes": self.attributes(wire.bytes()?, 1)?}),
                2 => scopes.push(self.scope_spans(wire.bytes()?)?),
                _ => {}
            }
            Some(())
        })?;
        Some(json!({"resource": resource, "scopeSpans": scopes}))
    }

    fn scope_spans(&mut self, bytes: &[u8]) -> Option<Json> {
        self.count()?;
        let mut spans = Vec::new();
        each(bytes, |number, wire| {
            if number == 2 {
                spans.push(self.span(wire.bytes()?)?);
            }
            Some(())
        })?;
        Some(json!({"spans": spans}))
    }

    fn span(&mut self, bytes: &[u8]) -> Option<Json> {
        self.count()?;
        let mut span = Map::new();
        each(bytes, |number, wire| {
            let name = match number {
                1 => "traceId",
                2 => "spanId",
                4 => "parentSpanId",
                7 => "startTimeUnixNano",
                8 => "endTimeUnixNano",
                _ => return Some(()),
            };
            let value = match number {
                7 | 8 => json!(wire.fixed64()?.to_string()),
                _ => json!(hex::encode(wire.bytes()?)),
            };
            span.insert(name.to_owned(), value);
            Some(())
        })?;
        span.insert("attributes".to_owned(), json!(self.attributes(bytes, 9)?));
        Some(Json::Object(span))
    }

    /// The field of a message that is a list of `KeyValue`.
    fn attributes(&mut self, bytes: &[u8], field: u64) -> Option<Vec<Json>> {
        self.key_values(bytes, field, DEEPEST)
    }

    fn key_values(&mut self, bytes: &[u8], field: u64, depth: usize) -> Option<Vec<Json>> {
        let mut found = Vec::new();
        each(bytes, |number, wire| {
            if number == field {
                found.push(self.key_value(wire.bytes()?, depth)?);
            }
            Some(())
        })?;
        Some(found)
    }

    fn key_value(&mut self, bytes: &[u8], depth: usize) -> Option<Json> {
        self.count()?;
        let mut key = "";
        let mut value = json!({});
        each(bytes, |number, wire| {
            match number {
                1 => key = std::str::from_utf8(wire.bytes()?).ok()?,
                2 => value = self.any(wire.bytes()?, depth)?,
                _ => {}
            }
            Some(())
        })?;
        Some(json!({"key": key, "value": value}))
    }

    /// An `AnyValue`; of several members the last counts.
    fn any(&mut self, bytes: &[u8], depth: usize) -> Option<Json> {
        self.count()?;
        let depth = depth.checked_sub(1)?;
        let mut any = json!({});
        each(bytes, |number, wire| {
            any = match number {
                1 => json!({"stringValue": std::str::from_utf8(wire.bytes()?).ok()?}),
                2 => json!({"boolValue": wire.varint()? != 0}),
                3 => json!({"intValue": wire.varint()?.cast_signed().to_string()}),
                4 => json!({"doubleValue": f64::from_bits(wire.fixed64()?)}),
                5 => {
                    let mut values = Vec::new();
                    each(wire.bytes()?, |number, wire| {
                        if number == 1 {
                            values.push(self.any(wire.bytes()?, depth)?);
                        }
                        Some(())
                    })?;
                    json!({"arrayValue": {"values": values}})
                }
                6 => json!({"kvlistValue": {"values": self.key_values(wire.bytes()?, 1, depth)?}}),
                7 => json!({"bytesValue": BASE64.encode(wire.bytes()?)}),
                _ => return Some(()),
            };
            Some(())
        })?;
        Some(any)
    }
}

impl<'a> Wire<'a> {
    fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn varint(&self) -> Option<u64> {
        match self {
            Self::Varint(value) => Some(*value),
            _ => None,
        }
    }

    fn fixed64(&self) -> Option<u64> {
        match self {
            Self::Fixed64(value) => Some(*value),
            _ => None,
        }
    }
}

/// Calls `field` with the number and value of each field of a message.
fn each<'a>(mut rest: &'a [u8], mut field: impl FnMut(u64, Wire<'a>) -> Option<()>) -> Option<()> {
    while !rest.is_empty() {
        let key = take_varint(&mut rest)?;
        let wire = match key & 7 {
            0 => Wire::Varint(take_varint(&mut rest)?),
            1 => {
                let (bytes, after) = rest.split_first_chunk::<8>()?;
                rest = after;
                Wire::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                let (bytes, after) = rest.split_at_checked(length)?;
                rest = after;
                Wire::Bytes(bytes)
            }
            5 => {
                rest = rest.get(4..)?;
                Wire::Fixed32
            }
            // Groups, which nobody writes any more.
            _ => return None,
        };
        field(key >> 3, wire)?;
    }
    Some(())
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_varint(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{
        super::otlp::{read_spans, tests as json_tests},
        *,
    };

    /// A request in JSON as protobuf: the other way round, for fields that tests have.
    pub(in super::super) fn encode(request: &Json) -> Vec<u8> {
        let mut out = Vec::new();
        for resource in request["resourceSpans"].as_array().unwrap() {
            let mut attributes = Vec::new();
            put_attributes(&mut attributes, 1, &resource["resource"]);
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, 1, &attributes);
            for scope in resource["scopeSpans"].as_array().unwrap() {
                let mut spans = Vec::new();
                for span in scope["spans"].as_array().unwrap() {
                    put_bytes(&mut spans, 2, &encode_span(span));
                }
                put_bytes(&mut bytes, 2, &spans);
            }
            put_bytes(&mut out, 1, &bytes);
        }
        out
    }

    fn encode_span(span: &Json) -> Vec<u8> {
        let mut out = Vec::new();
        for (field, name) in [(1, "traceId"), (2, "spanId")] {
            put_bytes(
                &mut out,
                field,
                &hex::decode(span[name].as_str().unwrap()).unwrap(),
            );
        }
        put_bytes(&mut out, 5, span["name"].as_str().unwrap().as_bytes());
        put_varint(&mut out, 6, 3);
        for (field, name) in [(7, "startTimeUnixNano"), (8, "endTimeUnixNano")] {
            varint(&mut out, field << 3 | 1);
            let time: u64 = span[name].as_str().unwrap().parse().unwrap();
            out.extend(time.to_le_bytes());
        }
        put_attributes(&mut out, 9, span);
        // Flags, a field that is passed over.
        varint(&mut out, 16 << 3 | 5);
        out.extend([1, 0, 0, 0]);
        out
    }

    fn put_attributes(out: &mut Vec<u8>, field: u64, of: &Json) {
        for attribute in of["attributes"].as_array().into_iter().flatten() {
            let mut bytes = Vec::new();
            put_bytes(&mut bytes, 1, attribute["key"].as_str().unwrap().as_bytes());
            put_bytes(&mut bytes, 2, &encode_any(&attribute["value"]));
            put_bytes(out, field, &bytes);
        }
    }

    fn encode_any(any: &Json) -> Vec<u8> {
        let mut out = Vec::new();
        let (kind, value) = any.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "stringValue" => put_bytes(&mut out, 1, value.as_str().unwrap().as_bytes()),
            "intValue" => {
                let value: i64 = value.as_str().unwrap().parse().unwrap();
                put_varint(&mut out, 3, value.cast_unsigned());
            }
            "doubleValue" => {
                varint(&mut out, 4 << 3 | 1);
                out.extend(value.as_f64().unwrap().to_le_bytes());
            }
            "arrayValue" => {
                let mut values = Vec::new();
                for value in value["values"].as_array().unwrap() {
                    put_bytes(&mut values, 1, &encode_any(value));
                }
                put_bytes(&mut out, 5, &values);
            }
            other => panic!("{other}"),
        }
        out
    }

    #[test]
    fn protobuf_gives_the_decisions_that_json_gives() {
        let profile = json_tests::profile();
        let request = json_tests::request();
        let read = read_request(&encode(&request)).unwrap();
        let spans = |request: &Json| read_spans(request, &Arc::clone(&profile)).unwrap();
        let (one, other) = (spans(&request), spans(&read));
        assert_eq!((other.other, other.refused.len()), (one.other, 0));
        assert_eq!(one.decisions.len(), other.decisions.len());
        for (one, other) in one.decisions.iter().zip(&other.decisions) {
            assert_eq!((&one.subject, one.time), (&other.subject, other.time));
            assert_eq!(one.values(), other.values());
        }
    }

    #[test]
    fn a_request_that_is_cut_or_too_deep_or_too_many_is_refused() {
        let good = encode(&json_tests::request());
        for length in 1..good.len() {
            // The outermost message is one field, so nothing shorter is whole.
            assert!(read_request(&good[..length]).is_none(), "{length}");
        }
        let mut any = Vec::new();
        for _ in 0..DEEPEST {
            let mut values = Vec::new();
            put_bytes(&mut values, 1, &any);
            any.clear();
            put_bytes(&mut any, 5, &values);
        }
        let mut attribute = Vec::new();
        put_bytes(&mut attribute, 2, &any);
        let wrapped = |resource: &[u8]| {
            let mut spans = Vec::new();
            put_bytes(&mut spans, 1, resource);
            let mut out = Vec::new();
            put_bytes(&mut out, 1, &spans);
            out
        };
        let mut deep = Vec::new();
        put_bytes(&mut deep, 1, &attribute);
        assert!(read_request(&wrapped(&deep)).is_none(), "too deep");
        assert!(read_request(&wrapped(&[])).is_some());
        assert!(read_request(&[0x0a, 0].repeat(MOST_MESSAGES)).is_some());
        assert!(
            read_request(&[0x0a, 0].repeat(MOST_MESSAGES + 1)).is_none(),
            "too many"
        );
        assert!(read_request(&[0x0b]).is_none(), "a group");
        assert!(read_request(&[0xff; 11]).is_none(), "a number without an end");
    }

    #[test]
    fn answers_are_as_the_format_has_them() {
        assert!(response(0, None).is_empty());
        assert_eq!(response(3, Some("no")), [0x0a, 6, 8, 3, 0x12, 2, b'n', b'o']);
        assert_eq!(status(3, "no"), [8, 3, 0x12, 2, b'n', b'o']);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_request(&bytes);
        }

        #[test]
        fn a_changed_byte_is_read_or_refused(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = encode(&json_tests::request());
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Some(request) = read_request(&bytes) {
                let _ = read_spans(&request, &json_tests::profile());
            }
        }
    }
}
