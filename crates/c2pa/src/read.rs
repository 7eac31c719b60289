//! Reading a file's manifest and checking it: what crate `c2pa` says, in fewer words.

use std::{fs::File, io::Seek as _};

use c2pa::{
    Context, Error, Reader,
    jumbf_io::load_jumbf_from_stream,
    validation_results::{StatusCodes, ValidationState},
    validation_status::ValidationStatus,
};
use serde_json::Value;

use crate::{
    Media, frame,
    protocol::{
        ASSERTION_LABEL, Action, ErrorKind, Failure, Found, Ingredient, ReadRequest, Signer, State, Status,
    },
    sign::offline,
};

/// Codes that say that a hash over the file's bytes holds.
const BOUND: &[&str] = &[
    "assertion.dataHash.match",
    "assertion.bmffHash.match",
    "assertion.boxesHash.match",
];

/// Reads and checks.
pub(crate) fn read(request: &ReadRequest) -> Result<Found, Failure> {
    let (stream, kind) = Media::open(&request.input)?;
    let context = offline(request.trust.as_deref())
        .and_then(|settings| Context::new().with_settings(settings))
        .map_err(|error| Failure::new(ErrorKind::Credential, format!("the trusted authorities: {error}")))?;
    match Reader::from_context(context).with_stream(kind.mime(), &stream) {
        Ok(reader) => {
            let mut found = found(&reader, kind);
            if !is_framed(&stream, kind) {
                found.state = State::Invalid;
                found.failures.push(Status {
                    code: "counterweight.frame".to_owned(),
                    explanation: Some("the boxes of the manifest do not fill each other".to_owned()),
                });
            }
            Ok(found)
        }
        Err(error) => Ok(none(kind, &error)),
    }
}

fn is_framed(mut stream: &File, kind: Media) -> bool {
    let store = stream
        .rewind()
        .ok()
        .and_then(|()| load_jumbf_from_stream(kind.mime(), &mut stream).ok());
    store.is_some_and(|store| frame::nests(&store))
}

fn none(kind: Media, error: &Error) -> Found {
    let is_absent = matches!(error, Error::JumbfNotFound | Error::RemoteManifestUrl(_));
    Found {
        format: kind.mime().to_owned(),
        state: if is_absent {
            State::Absent
        } else {
            State::Unreadable
        },
        reason: Some(error.to_string()),
        is_bound: false,
        failures: Vec::new(),
        remarks: Vec::new(),
        signer: None,
        certificates: String::new(),
        actions: Vec::new(),
        assertion: None,
        assertions: 0,
        ingredients: Vec::new(),
        label: None,
        report: Value::Null,
    }
}

fn found(reader: &Reader, kind: Media) -> Found {
    let own = reader
        .validation_results()
        .and_then(|results| results.active_manifest());
    let codes = |list: fn(&StatusCodes) -> &Vec<ValidationStatus>| {
        own.into_iter().flat_map(list).collect::<Vec<&ValidationStatus>>()
    };
    let manifest = reader.active_manifest();
    let info = manifest.and_then(|manifest| manifest.signature_info());
    let assertions: Vec<_> = manifest
        .into_iter()
        .flat_map(|manifest| manifest.assertions())
        .filter(|assertion| is_labelled(assertion.label(), ASSERTION_LABEL))
        .collect();
    let assertion = match assertions.as_slice() {
        [one] => one.value().ok().cloned(),
        _ => None,
    };
    // Failures of ingredients too: what a file was made from is part of what it says.
    let failures = reader.validation_status().unwrap_or_default();
    Found {
        format: kind.mime().to_owned(),
        state: match reader.validation_state() {
            ValidationState::Trusted => State::Trusted,
            ValidationState::Valid => State::Valid,
            ValidationState::Invalid => State::Invalid,
        },
        reason: None,
        is_bound: codes(StatusCodes::success)
            .iter()
            .any(|status| BOUND.contains(&status.code())),
        failures: failures.iter().map(status).collect(),
        remarks: codes(StatusCodes::informational)
            .into_iter()
            .map(status)
            .collect(),
        signer: info.map(|info| Signer {
            organisation: info.issuer.clone(),
            name: info.common_name.clone(),
            algorithm: info.alg.map(|algorithm| algorithm.to_string()),
            time: info.time.clone(),
        }),
        certificates: info.map(|info| info.cert_chain().to_owned()).unwrap_or_default(),
        actions: manifest.map(actions).unwrap_or_default(),
        assertions: assertions.len(),
        assertion,
        ingredients: manifest
            .into_iter()
            .flat_map(|manifest| manifest.ingredients())
            .map(|ingredient| Ingredient {
                title: ingredient.title().map(str::to_owned),
                relationship: word(ingredient.relationship()),
                has_manifest: ingredient.active_manifest().is_some(),
            })
            .collect(),
        label: reader.active_label().map(str::to_owned),
        report: serde_json::from_str(&reader.json()).unwrap_or(Value::Null),
    }
}

/// Several assertions of one kind have labels with `__1`, `__2` behind them.
fn is_labelled(label: &str, wanted: &str) -> bool {
    label
        .strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("__"))
}

fn actions(manifest: &c2pa::Manifest) -> Vec<Action> {
    let all = manifest.assertions().iter().filter(|assertion| {
        is_labelled(assertion.label(), "c2pa.actions") || is_labelled(assertion.label(), "c2pa.actions.v2")
    });
    let all = all.filter_map(|assertion| assertion.value().ok()?.get("actions")?.as_array());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    all.flatten()
        .map(|action| Action {
            action: text(&action["action"]).unwrap_or_default(),
            source: text(&action["digitalSourceType"]),
            // A name in the first version of actions, name and version in the second.
            software: text(&action["softwareAgent"]).or_else(|| text(&action["softwareAgent"]["name"])),
        })
        .collect()
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn status(status: &ValidationStatus) -> Status {
    Status {
        code: status.code().to_owned(),
        explanation: status.explanation().map(str::to_owned),
    }
}
