//! Signed requests: checked in the order of cost, their bodies read within limits of memory, rate and time.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{StatusCode, header, request::Parts},
};
use counterweight_primitives::{Address, ContentDigest};

use super::{
    admission::Reserved,
    chunks::{CHUNK_BYTES, WHOLE_BYTES_MAX, Wanted},
    connection::Peer,
    failure::Failure,
    routes::Shared,
};
use crate::wire::{ReplayGuardError, SignedRequest, UncheckedRequest};

/// Longest time for a body that is read only to be thrown away.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// What a body is, and so what it costs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// An update or record of at most so many bytes: room is set aside for it before it is read.
    Upload(usize),
    /// A list or a decline of at most so many bytes, short and not counted.
    Small(usize),
    /// A part with this digest, whose room was set aside with its list.
    Part(ContentDigest),
}

/// A request whose body came whole and is what was signed.
pub(super) struct Taken {
    pub(super) signed: SignedRequest,
    pub(super) bytes: Vec<u8>,
    /// Of an upload.
    pub(super) reserved: Option<Reserved>,
}

/// Checks a request: headers, signature, membership, connection, rate, freshness, room, and only then reads its body.
pub(super) async fn take(shared: &Shared, request: Request, kind: Kind) -> Result<Taken, Failure> {
    let (parts, body) = request.into_parts();
    let admitted = match admit(shared, &parts, kind) {
        Ok(admitted) => admitted,
        Err(failure) => {
            // A client that still sends would find the connection reset before it finds the answer.
            discard(body).await;
            return Err(failure);
        }
    };
    let Admitted {
        signed,
        reserved,
        limit,
        _turn,
        _permit,
    } = admitted;
    let bytes = match tokio::time::timeout(shared.options.timeout, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let message = format!("the body was cut off, or is longer than {limit} bytes");
            return Err(Failure::too_long(message));
        }
        Err(_) => {
            return Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                "the body took too long",
            ));
        }
    };
    shared.traffic.now().bytes_in += bytes.len() as u64;
    signed
        .check_body(&bytes)
        .map_err(|error| Failure::new(StatusCode::UNAUTHORIZED, "wrong-signature", error))?;
    Ok(Taken {
        signed,
        bytes: bytes.into(),
        reserved,
    })
}

/// A request whose body may be read.
struct Admitted<'a> {
    signed: SignedRequest,
    reserved: Option<Reserved>,
    limit: usize,
    _turn: Turn<'a>,
    _permit: tokio::sync::SemaphorePermit<'a>,
}

fn admit<'a>(shared: &'a Shared, parts: &Parts, kind: Kind) -> Result<Admitted<'a>, Failure> {
    let _permit = shared
        .requests
        .try_acquire()
        .map_err(|_| Failure::busy("too many requests at once"))?;
    let Some(notice) = shared.notice.borrow().clone() else {
        return Err(Failure::busy("the coordinator has not taken up the study yet"));
    };
    // Nobody listens any more. Told from what is served, before anything is read.
    if !["enrolling", "running"].contains(&notice.phase.as_str()) {
        let message = format!("study {} is {}", notice.study, notice.phase);
        return Err(Failure::new(StatusCode::GONE, "study-over", message));
    }
    let header = |name: &'static str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let signed = UncheckedRequest::read(parts.method.as_str(), parts.uri.path(), header)
        .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, "unreadable-headers", error))?
        .verify(notice.study, &notice.terms)
        .map_err(|error| Failure::new(StatusCode::UNAUTHORIZED, "wrong-signature", error))?;
    let signer = signed.signer();
    if !notice.members.contains(&signer) {
        let message = format!(
            "{signer} signed this and is not a member of study {}",
            notice.study
        );
        return Err(Failure::new(StatusCode::FORBIDDEN, "not-a-member", message));
    }
    if let Some(peer) = parts.extensions.get::<Peer>()
        && peer.encrypted
        && peer.account != Some(signer)
    {
        let connection = peer
            .account
            .map_or("nobody".to_owned(), |account| account.to_string());
        let message = format!("{signer} signed this, and the connection is that of {connection}");
        return Err(Failure::new(StatusCode::FORBIDDEN, "other-account", message));
    }
    let now = shared.clock.now();
    let within_rate = shared
        .rate
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .admit(signer, now);
    within_rate.map_err(|pause| {
        let message = "more requests than a member may make";
        Failure::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", message).after(pause)
    })?;
    // Parts sent twice are the same: they need no protection from replay, and there are more of them than requests are
    // remembered.
    if !matches!(kind, Kind::Part(_)) {
        check_fresh(shared, &signed)?;
    }
    let _turn = Turn::take(&shared.uploading, signer)
        .ok_or_else(|| Failure::busy("another request of this member is being read"))?;
    let (reserved, limit) = room(shared, parts, kind, signer)?;
    Ok(Admitted {
        signed,
        reserved,
        limit,
        _turn,
        _permit,
    })
}

fn check_fresh(shared: &Shared, signed: &SignedRequest) -> Result<(), Failure> {
    let facts = signed.facts();
    let admitted = shared.guard.lock().unwrap_or_else(PoisonError::into_inner).admit(
        signed.signer(),
        facts.time,
        facts.nonce,
        shared.clock.now(),
    );
    admitted.map_err(|error| match error {
        ReplayGuardError::OutOfWindow { .. } => Failure::new(StatusCode::CONFLICT, "wrong-time", error),
        ReplayGuardError::Repeated => Failure::new(StatusCode::CONFLICT, "replayed", error),
        ReplayGuardError::TooMany => Failure::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", error)
            .after(Duration::from_secs(60)),
    })
}

/// Room for a body, and how long it may be.
fn room(
    shared: &Shared,
    parts: &Parts,
    kind: Kind,
    signer: Address,
) -> Result<(Option<Reserved>, usize), Failure> {
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let limit = match kind {
        Kind::Upload(limit) | Kind::Small(limit) => limit,
        Kind::Part(_) => CHUNK_BYTES,
    };
    let length = length.ok_or_else(|| {
        let message = "a body says how long it is (Content-Length)";
        Failure::new(StatusCode::LENGTH_REQUIRED, "length-required", message)
    })?;
    if length > limit {
        return Err(Failure::too_long(format!(
            "the body has {length} bytes, at most {limit} are taken"
        )));
    }
    match kind {
        Kind::Small(_) => Ok((None, length)),
        Kind::Upload(_) => Ok((Some(shared.reserve(length)?), length)),
        Kind::Part(digest) => {
            let chunks = shared.chunks.lock().unwrap_or_else(PoisonError::into_inner);
            match chunks.wants(signer, &digest) {
                Wanted::Yes | Wanted::Kept => Ok((None, length)),
                Wanted::No => {
                    let message = "no list that is under way names this part: send the list first";
                    Err(Failure::new(StatusCode::CONFLICT, "no-list", message))
                }
            }
        }
    }
}

/// Reads a body that nobody wants, as far as one of our clients sends at once, and for a moment at most.
async fn discard(body: Body) {
    let _ = tokio::time::timeout(DISCARD_TIME, async {
        use http_body_util::BodyExt as _;
        let (mut body, mut read) = (body, 0);
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, |data| data.len());
            if read > WHOLE_BYTES_MAX {
                break;
            }
        }
    })
    .await;
}

/// An account's turn to have its body read.
struct Turn<'a> {
    taken: &'a Mutex<BTreeSet<Address>>,
    account: Address,
}

impl<'a> Turn<'a> {
    fn take(taken: &'a Mutex<BTreeSet<Address>>, account: Address) -> Option<Self> {
        let mut accounts = taken.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.insert(account).then_some(Self { taken, account })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.account);
    }
}
