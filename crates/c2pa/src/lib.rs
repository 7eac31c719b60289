//! Put C2PA manifests into generated media, and read them back.

pub mod credential;
mod frame;
mod media;
pub mod protocol;
mod read;
mod sign;

use std::panic::{self, AssertUnwindSafe};

pub use media::Media;
use protocol::{Answer, ErrorKind, Failure, MOST_REQUEST, Request};

/// Answers one request, both as JSON. Never panics: crate `c2pa` parses what strangers wrote.
#[must_use]
pub fn answer(request: &[u8]) -> String {
    let done = if request.len() as u64 > MOST_REQUEST {
        let message = format!("the request has more than {MOST_REQUEST} bytes");
        Err(Failure::new(ErrorKind::Request, message))
    } else {
        serde_json::from_slice(request)
            .map_err(|error| Failure::new(ErrorKind::Request, error.to_string()))
            .and_then(guarded)
    };
    let answer = done.unwrap_or_else(Answer::Error);
    serde_json::to_string(&answer).unwrap_or_else(|_| {
        r#"{"error":{"kind":"fault","message":"the answer cannot be written"}}"#.to_owned()
    })
}

fn guarded(request: Request) -> Result<Answer, Failure> {
    let done = panic::catch_unwind(AssertUnwindSafe(|| match &request {
        Request::Sign(request) => sign::sign(request).map(Answer::Signed),
        Request::Read(request) => read::read(request).map(|found| Answer::Read(Box::new(found))),
        Request::Credential(request) => credential::make(request).map(Answer::Credential),
    }));
    done.unwrap_or_else(|_| {
        Err(Failure::new(
            ErrorKind::Fault,
            "the reader of manifests broke off on this file",
        ))
    })
}
