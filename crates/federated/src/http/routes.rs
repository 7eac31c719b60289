//! What the server answers to each request.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, TrySendError},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Path, RawQuery, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use counterweight_primitives::{Address, ContentDigest, MemberIndex, Round};
use counterweight_provenance::blobs::BlobError;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    chunks::{CHUNK_BYTES, Chunks, read_list},
    listener::Peer,
    server::HttpServerOptions,
};
use crate::{
    blobs::Blobs,
    clock::Clock,
    coordinator::{Answer, Content, Delivery, Notice},
    masked::record::MaskRecord,
    round::Refusal,
    wire::{
        AnswerMessage, DeclineMessage, ErrorMessage, NoticeMessage, ReplayGuard, ReplayGuardError,
        SignedRequest, UncheckedRequest,
    },
};

/// Longest body of a decline.
const DECLINE_BYTES_MAX: usize = 4_096;
/// Longest reason that is passed on.
const REASON_MAX: usize = 1_000;
/// Longest wait for news in one request.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What all requests share.
pub(super) struct Shared {
    options: HttpServerOptions,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    notice: watch::Sender<Option<NoticeMessage>>,
    offered: Mutex<BTreeSet<ContentDigest>>,
    deliveries: SyncSender<Delivery>,
    guard: Mutex<ReplayGuard>,
    /// Accounts whose body is being read: one at a time each, so that memory is bounded by members times update.
    uploading: Mutex<BTreeSet<Address>>,
    chunks: Mutex<Chunks>,
    requests: Semaphore,
}

impl Shared {
    pub(super) fn new(
        options: HttpServerOptions,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
        deliveries: SyncSender<Delivery>,
    ) -> Self {
        Self {
            requests: Semaphore::new(options.requests_max),
            options,
            blobs,
            clock,
            notice: watch::Sender::new(None),
            offered: Mutex::default(),
            deliveries,
            guard: Mutex::default(),
            uploading: Mutex::default(),
            chunks: Mutex::default(),
        }
    }

    pub(super) fn announce(&self, notice: &Notice) {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        offered.insert(notice.terms);
        offered.extend(notice.round.map(|round| round.base));
        drop(offered);
        self.notice.send_if_modified(|current| {
            // Versions start at the clock, so that those of a server before this one are never taken for news of it.
            let version = current
                .as_ref()
                .map_or(self.clock.now().0, |current| current.version + 1);
            let next = NoticeMessage::new(version, notice);
            let same = current.as_ref().is_some_and(|current| {
                NoticeMessage {
                    version,
                    ..current.clone()
                } == next
            });
            let round = |notice: &NoticeMessage| notice.round.as_ref().map(|round| round.round);
            if current.as_ref().and_then(round) != round(&next) {
                self.chunks.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
            if !same {
                *current = Some(next);
            }
            !same
        });
    }

    pub(super) fn offer(&self, digest: &ContentDigest) {
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        offered.insert(*digest);
    }

    fn may_give(&self, digest: &ContentDigest) -> bool {
        self.offered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(digest)
    }
}

/// A request that was not done.
struct Failure {
    status: StatusCode,
    body: Box<ErrorMessage>,
}

impl Failure {
    fn new(status: StatusCode, code: &str, message: impl ToString) -> Self {
        let body = Box::new(ErrorMessage {
            error: code.to_owned(),
            message: message.to_string(),
            refusal: None,
            missing: Vec::new(),
        });
        Self { status, body }
    }

    fn busy(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(*self.body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/notice", get(notice))
        .route("/v1/blobs/{digest}", get(blob))
        .route("/v1/rounds/{round}/updates/{member}", put(update))
        .route(
            "/v1/rounds/{round}/updates/{member}/chunks",
            put(update_in_chunks),
        )
        .route("/v1/rounds/{round}/masked/{record}/{member}", put(masked_record))
        .route(
            "/v1/rounds/{round}/masked/{record}/{member}/chunks",
            put(masked_record_in_chunks),
        )
        .route("/v1/chunks/{digest}", put(chunk))
        .route("/v1/rounds/{round}/declines/{member}", post(decline))
        .fallback(async || {
            Failure::new(
                StatusCode::NOT_FOUND,
                "no-such-path",
                "there is nothing at this path",
            )
        })
        .with_state(shared)
}

async fn notice(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Result<Json<NoticeMessage>, Failure> {
    let number = |name| number_in(query.as_deref().unwrap_or_default(), name);
    let (seen, wait_ms) = (number("seen"), number("wait_ms"));
    let mut changes = shared.notice.subscribe();
    let news = |notice: &Option<NoticeMessage>| notice.as_ref().is_some_and(|n| n.version != seen);
    let wait = Duration::from_millis(wait_ms).min(WAIT_MAX);
    // After the wait the old notice is as good an answer as a new one.
    let _ = tokio::time::timeout(wait, changes.wait_for(news)).await;
    let notice = changes.borrow().clone();
    notice
        .map(Json)
        .ok_or_else(|| Failure::busy("the coordinator has not taken up the study yet"))
}

/// A number of a query such as `seen=3&wait_ms=500`; 0 where it is absent or none.
fn number_in(query: &str, name: &str) -> u64 {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .find_map(|(_, value)| value.parse().ok())
        .unwrap_or(0)
}

async fn blob(State(shared): State<Arc<Shared>>, Path(digest): Path<String>) -> Result<Response, Failure> {
    let missing = || {
        Failure::new(
            StatusCode::NOT_FOUND,
            "no-such-blob",
            "this study offers no such blob",
        )
    };
    let digest: ContentDigest = digest.parse().map_err(|_| missing())?;
    if !shared.may_give(&digest) {
        return Err(missing());
    }
    let _permit = shared
        .requests
        .try_acquire()
        .map_err(|_| Failure::busy("too many requests at once"))?;
    let (blobs, limit) = (shared.blobs.clone(), shared.options.blob_bytes_max);
    let read = tokio::task::spawn_blocking(move || blobs.get(&digest, limit)).await;
    let broken = |error: &dyn std::fmt::Display| {
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "blob-unreadable", error)
    };
    match read {
        Ok(Ok(bytes)) => Ok((
            [(header::CONTENT_TYPE, "application/octet-stream")],
            Body::from(bytes),
        )
            .into_response()),
        Ok(Err(BlobError::Missing { .. })) => Err(missing()),
        Ok(Err(error)) => Err(broken(&error)),
        // The store's thread is gone: the server is being shut down.
        Err(_) => Err(Failure::busy("the coordinator is ending")),
    }
}

async fn update(
    State(shared): State<Arc<Shared>>,
    Path((round, member)): Path<(u32, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let limit = shared.options.update_bytes_max;
    let (signed, bytes) = signed_body(&shared, request, limit).await?;
    deliver(&shared, &signed, round, member, Content::Update(bytes)).await
}

async fn update_in_chunks(
    State(shared): State<Arc<Shared>>,
    Path((round, member)): Path<(u32, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let (signed, bytes) = assembled(&shared, request).await?;
    deliver(&shared, &signed, round, member, Content::Update(bytes)).await
}

async fn masked_record_in_chunks(
    State(shared): State<Arc<Shared>>,
    Path((round, record, member)): Path<(u32, String, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let kind = record_kind(&record)?;
    let (signed, bytes) = assembled(&shared, request).await?;
    deliver(&shared, &signed, round, member, Content::Masked(kind, bytes)).await
}

/// A part of a body, kept until the list of the body comes.
async fn chunk(
    State(shared): State<Arc<Shared>>,
    Path(digest): Path<String>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    // Sent twice it is the same: parts need no protection from replay, and there are more of them than requests are
    // remembered.
    let (signed, bytes) = signed_request(&shared, request, CHUNK_BYTES, false).await?;
    let got = ContentDigest::of(&bytes);
    if digest != got.to_string() {
        let message = format!("the part has digest {got}");
        return Err(Failure::new(StatusCode::BAD_REQUEST, "unreadable-body", message));
    }
    let mut chunks = shared.chunks.lock().unwrap_or_else(PoisonError::into_inner);
    if !chunks.keep(signed.signer(), got, bytes, shared.options.update_bytes_max) {
        let message = "more parts than the longest update has";
        return Err(Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-long",
            message,
        ));
    }
    Ok(Json(AnswerMessage {
        answer: "stored".to_owned(),
    }))
}

/// A body from the parts that a list names.
async fn assembled(shared: &Shared, request: Request) -> Result<(SignedRequest, Vec<u8>), Failure> {
    let limit = shared.options.update_bytes_max;
    let (signed, bytes) = signed_body(shared, request, 32 * limit.div_ceil(CHUNK_BYTES)).await?;
    let list = read_list(&bytes).ok_or_else(|| {
        let message = "a list is digests of 32 bytes, one after the other";
        Failure::new(StatusCode::BAD_REQUEST, "unreadable-body", message)
    })?;
    let mut chunks = shared.chunks.lock().unwrap_or_else(PoisonError::into_inner);
    match chunks.assemble(signed.signer(), &list, limit) {
        Ok(body) => Ok((signed, body)),
        Err(missing) if missing.is_empty() => {
            let message = format!("the body is longer than {limit} bytes");
            Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-long",
                message,
            ))
        }
        Err(missing) => {
            let mut failure = Failure::new(StatusCode::CONFLICT, "missing-chunks", "parts have not come");
            failure.body.missing = missing;
            Err(failure)
        }
    }
}

fn record_kind(record: &str) -> Result<MaskRecord, Failure> {
    let kind = MaskRecord::ALL.into_iter().find(|kind| kind.name() == record);
    kind.ok_or_else(|| {
        let known = "a record is a dealing, an upload or an unmasking";
        Failure::new(StatusCode::NOT_FOUND, "no-such-path", known)
    })
}

async fn masked_record(
    State(shared): State<Arc<Shared>>,
    Path((round, record, member)): Path<(u32, String, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let kind = record_kind(&record)?;
    let limit = shared.options.update_bytes_max;
    let (signed, bytes) = signed_body(&shared, request, limit).await?;
    deliver(&shared, &signed, round, member, Content::Masked(kind, bytes)).await
}

async fn decline(
    State(shared): State<Arc<Shared>>,
    Path((round, member)): Path<(u32, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let (signed, bytes) = signed_body(&shared, request, DECLINE_BYTES_MAX).await?;
    let unreadable =
        |error: &dyn std::fmt::Display| Failure::new(StatusCode::BAD_REQUEST, "unreadable-body", error);
    let DeclineMessage { reason } = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
    if reason.len() > REASON_MAX {
        return Err(unreadable(&format_args!(
            "a reason has at most {REASON_MAX} bytes"
        )));
    }
    deliver(&shared, &signed, round, member, Content::Decline(reason)).await
}

/// Checks a request in the order of cost: headers, signature, membership, freshness, and only then reads its body.
async fn signed_body(
    shared: &Shared,
    request: Request,
    limit: usize,
) -> Result<(SignedRequest, Vec<u8>), Failure> {
    signed_request(shared, request, limit, true).await
}

/// As [`signed_body`], `once` or as often as it comes.
async fn signed_request(
    shared: &Shared,
    request: Request,
    limit: usize,
    once: bool,
) -> Result<(SignedRequest, Vec<u8>), Failure> {
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
    let (parts, body) = request.into_parts();
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
    if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<Peer>>()
        && peer.encrypted
        && peer.account != Some(signer)
    {
        let connection = peer
            .account
            .map_or("nobody".to_owned(), |account| account.to_string());
        let message = format!("{signer} signed this, and the connection is that of {connection}");
        return Err(Failure::new(StatusCode::FORBIDDEN, "other-account", message));
    }
    if once {
        let facts = signed.facts();
        let admitted = shared.guard.lock().unwrap_or_else(PoisonError::into_inner).admit(
            signer,
            facts.time,
            facts.nonce,
            shared.clock.now(),
        );
        admitted.map_err(|error| match error {
            ReplayGuardError::OutOfWindow { .. } => Failure::new(StatusCode::CONFLICT, "wrong-time", error),
            ReplayGuardError::Repeated => Failure::new(StatusCode::CONFLICT, "replayed", error),
            ReplayGuardError::TooMany => {
                Failure::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", error)
            }
        })?;
    }
    let _turn = Turn::take(&shared.uploading, signer)
        .ok_or_else(|| Failure::busy("another request of this member is being read"))?;
    let bytes = match tokio::time::timeout(shared.options.timeout, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let message = format!("the body was cut off, or is longer than {limit} bytes");
            return Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-long",
                message,
            ));
        }
        Err(_) => {
            return Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                "body-too-slow",
                "the body took too long",
            ));
        }
    };
    signed
        .check_body(&bytes)
        .map_err(|error| Failure::new(StatusCode::UNAUTHORIZED, "wrong-signature", error))?;
    Ok((signed, bytes.into()))
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

/// Hands something to the coordinator and waits for its answer.
async fn deliver(
    shared: &Shared,
    signed: &SignedRequest,
    round: u32,
    member: u8,
    content: Content,
) -> Result<Json<AnswerMessage>, Failure> {
    let (sender, receiver) = oneshot::channel();
    let delivery = Delivery {
        from: signed.signer(),
        member: MemberIndex(member),
        round: Round(round),
        content,
        // A member that hung up will ask again.
        answer: Box::new(|answer| drop(sender.send(answer))),
    };
    shared
        .deliveries
        .try_send(delivery)
        .map_err(|error| match error {
            TrySendError::Full(_) => Failure::busy("too many updates wait for the coordinator"),
            TrySendError::Disconnected(_) => Failure::busy("the coordinator is ending"),
        })?;
    let answer = match tokio::time::timeout(shared.options.timeout, receiver).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Answer::Unavailable,
    };
    let named = |answer: &str| {
        Json(AnswerMessage {
            answer: answer.to_owned(),
        })
    };
    match answer {
        Answer::Stored => Ok(named("stored")),
        Answer::AlreadyStored => Ok(named("already-stored")),
        Answer::Unavailable => Err(Failure::busy("the coordinator cannot answer at present")),
        Answer::Refused(refusal) => {
            let status = match refusal {
                Refusal::Late { .. } | Refusal::WrongRound { .. } | Refusal::NotCommitted { .. } => {
                    StatusCode::CONFLICT
                }
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let message = refusal.to_string();
            let body = Box::new(ErrorMessage {
                error: "refused".to_owned(),
                message,
                refusal: Some(refusal),
                missing: Vec::new(),
            });
            Err(Failure { status, body })
        }
    }
}
