//! Requests that are not done, as they are told.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{round::Refusal, wire::ErrorMessage};

/// A request that was not done.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    body: Box<ErrorMessage>,
    /// When to come back.
    retry_after: Option<Duration>,
}

/// The code of a failure, beside its response, for whoever counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailureCode(pub(super) &'static str);

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        let body = Box::new(ErrorMessage {
            error: code.to_owned(),
            message: message.to_string(),
            refusal: None,
            missing: Vec::new(),
        });
        Self {
            status,
            code,
            body,
            retry_after: None,
        }
    }

    /// There is no room at present.
    pub(super) fn busy(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).after(Duration::from_secs(1))
    }

    /// Says when to come back.
    pub(super) fn after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// The coordinator does not take what was sent.
    pub(super) fn refused(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Late { .. } | Refusal::WrongRound { .. } | Refusal::NotCommitted { .. } => {
                StatusCode::CONFLICT
            }
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let mut failure = Self::new(status, "refused", &refusal);
        failure.body.refusal = Some(refusal);
        failure
    }

    /// Parts of a body have not come.
    pub(super) fn missing_chunks(missing: Vec<counterweight_primitives::ContentDigest>) -> Self {
        let mut failure = Self::new(StatusCode::CONFLICT, "missing-chunks", "parts have not come");
        failure.body.missing = missing;
        failure
    }

    pub(super) fn too_long(message: impl ToString) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-long", message)
    }

    pub(super) fn unreadable_body(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unreadable-body", message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(*self.body)).into_response();
        response.extensions_mut().insert(FailureCode(self.code));
        if let Some(pause) = self.retry_after {
            // In whole seconds (RFC 9110, 10.2.3), not before it is worth while.
            let seconds = pause.as_millis().div_ceil(1_000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response
    }
}
