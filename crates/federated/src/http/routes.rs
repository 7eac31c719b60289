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
    body::{Body, HttpBody as _},
    extract::{Path, RawQuery, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::{get, post, put},
};
use counterweight_primitives::{Address, ContentDigest, MemberIndex, Round};
use counterweight_provenance::blobs::BlobError;
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    admission::{Admission, RequestRate, Reserved},
    chunks::{CHUNK_BYTES, Chunks, Standing, bytes_of, read_list},
    failure::{Failure, FailureCode},
    lending::{Lending, NotLent},
    server::HttpServerOptions,
    signed::{Kind, Taken, take},
    traffic::Traffic,
};
use crate::{
    blobs::Blobs,
    clock::Clock,
    coordinator::{Answer, Content, Delivery, Notice},
    masked::record::MaskRecord,
    wire::{AnswerMessage, DeclineMessage, NoticeMessage, ReplayGuard, SignedRequest},
};

/// Longest body of a decline.
const DECLINE_BYTES_MAX: usize = 4_096;
/// Longest reason that is passed on.
const REASON_MAX: usize = 1_000;
/// Longest wait for news in one request.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What all requests share.
pub(super) struct Shared {
    pub(super) options: HttpServerOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) notice: watch::Sender<Option<NoticeMessage>>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) guard: Mutex<ReplayGuard>,
    pub(super) rate: Mutex<RequestRate>,
    /// Accounts whose body is being read: one at a time each.
    pub(super) uploading: Mutex<BTreeSet<Address>>,
    pub(super) chunks: Mutex<Chunks>,
    pub(super) requests: Semaphore,
    admission: Admission,
    lending: Arc<Lending>,
    offered: Mutex<BTreeSet<ContentDigest>>,
    deliveries: SyncSender<Delivery>,
}

impl Shared {
    pub(super) fn new(
        options: HttpServerOptions,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
        deliveries: SyncSender<Delivery>,
    ) -> Self {
        let traffic = Arc::new(Traffic::default());
        let shared = || Arc::clone(&traffic);
        // Whatever the limit, the longest update fits when it comes alone.
        let whole = options.update_bytes_max.next_multiple_of(CHUNK_BYTES);
        let most = options.upload_bytes_max.max(whole);
        Self {
            requests: Semaphore::new(options.requests_max),
            admission: Admission::new(most, options.uploads_max.max(1), shared()),
            rate: Mutex::new(RequestRate::new(
                options.member_requests_per_second,
                options.member_requests_burst,
            )),
            lending: Arc::new(Lending::new(blobs, options.blob_bytes_max, most, shared())),
            options,
            clock,
            notice: watch::Sender::new(None),
            offered: Mutex::default(),
            deliveries,
            guard: Mutex::default(),
            uploading: Mutex::default(),
            chunks: Mutex::default(),
            traffic,
        }
    }

    /// Room for an upload, if need be in the place of bodies that come too slowly.
    pub(super) fn reserve(&self, bytes: usize) -> Result<Reserved, Failure> {
        loop {
            if let Some(reserved) = self.admission.reserve(bytes) {
                return Ok(reserved);
            }
            let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
            if !chunks.drop_slow(self.clock.now()) {
                return Err(Failure::busy("too much is being sent at once"));
            }
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
        .layer(from_fn_with_state(Arc::clone(&shared), count))
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
    let lending = Arc::clone(&shared.lending);
    let lent = tokio::task::spawn_blocking(move || lending.lend(&digest)).await;
    match lent {
        Ok(Ok(bytes)) => Ok((
            [(header::CONTENT_TYPE, "application/octet-stream")],
            Body::from(bytes),
        )
            .into_response()),
        Ok(Err(NotLent::Busy)) => Err(Failure::busy("too much is being asked for at once")),
        Ok(Err(NotLent::Blob(BlobError::Missing { .. }))) => Err(missing()),
        Ok(Err(NotLent::Blob(error))) => Err(Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "blob-unreadable",
            error,
        )),
        // The store's thread is gone: the server is being shut down.
        Err(_) => Err(Failure::busy("the coordinator is ending")),
    }
}

async fn update(
    State(shared): State<Arc<Shared>>,
    Path((round, member)): Path<(u32, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let taken = take(&shared, request, Kind::Upload(shared.options.update_bytes_max)).await?;
    deliver(&shared, taken, round, member, Content::Update).await
}

async fn update_in_chunks(
    State(shared): State<Arc<Shared>>,
    Path((round, member)): Path<(u32, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let taken = assembled(&shared, request).await?;
    deliver(&shared, taken, round, member, Content::Update).await
}

async fn masked_record(
    State(shared): State<Arc<Shared>>,
    Path((round, record, member)): Path<(u32, String, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let kind = record_kind(&record)?;
    let taken = take(&shared, request, Kind::Upload(shared.options.update_bytes_max)).await?;
    deliver(&shared, taken, round, member, |bytes| {
        Content::Masked(kind, bytes)
    })
    .await
}

async fn masked_record_in_chunks(
    State(shared): State<Arc<Shared>>,
    Path((round, record, member)): Path<(u32, String, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let kind = record_kind(&record)?;
    let taken = assembled(&shared, request).await?;
    deliver(&shared, taken, round, member, |bytes| {
        Content::Masked(kind, bytes)
    })
    .await
}

/// A part of a body, kept until the others are there.
async fn chunk(
    State(shared): State<Arc<Shared>>,
    Path(digest): Path<String>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let digest: ContentDigest = digest.parse().map_err(Failure::unreadable_body)?;
    let Taken { signed, bytes, .. } = take(&shared, request, Kind::Part(digest)).await?;
    let got = ContentDigest::of(&bytes);
    if digest != got {
        return Err(Failure::unreadable_body(format_args!(
            "the part has digest {got}"
        )));
    }
    let mut chunks = shared.chunks.lock().unwrap_or_else(PoisonError::into_inner);
    // Where its list was given up in the meantime, the list is asked for again.
    chunks.keep(signed.signer(), digest, bytes);
    Ok(Json(AnswerMessage {
        answer: "stored".to_owned(),
    }))
}

/// A body from the parts that a list names. The first time a list comes, room is set aside for the whole body.
async fn assembled(shared: &Shared, request: Request) -> Result<Taken, Failure> {
    let limit = shared.options.update_bytes_max;
    let Taken { signed, bytes, .. } =
        take(shared, request, Kind::Small(32 * limit.div_ceil(CHUNK_BYTES))).await?;
    let unreadable = || Failure::unreadable_body("a list is digests of 32 bytes, one after the other");
    let list = read_list(&bytes).ok_or_else(unreadable)?;
    let from = signed.signer();
    let chunks = || shared.chunks.lock().unwrap_or_else(PoisonError::into_inner);
    let mut standing = chunks().standing(from, &list);
    if matches!(standing, Standing::Unknown) {
        chunks().drop_of(from);
        let reserved = shared.reserve(bytes_of(&list))?;
        let mut chunks = chunks();
        chunks.begin(from, list.clone(), reserved, shared.clock.now());
        standing = chunks.standing(from, &list);
    }
    match standing {
        Standing::Whole(bytes, reserved) if bytes.len() <= limit => Ok(Taken {
            signed,
            bytes,
            reserved: Some(reserved),
        }),
        Standing::Whole(..) => Err(Failure::too_long(format_args!(
            "the body is longer than {limit} bytes"
        ))),
        Standing::Missing(missing) => Err(Failure::missing_chunks(missing)),
        // Another request of the account took its place.
        Standing::Unknown => Err(Failure::busy("another body of this member is under way")),
    }
}

fn record_kind(record: &str) -> Result<MaskRecord, Failure> {
    let kind = MaskRecord::ALL.into_iter().find(|kind| kind.name() == record);
    kind.ok_or_else(|| {
        let known = "a record is a dealing, an upload or an unmasking";
        Failure::new(StatusCode::NOT_FOUND, "no-such-path", known)
    })
}

async fn decline(
    State(shared): State<Arc<Shared>>,
    Path((round, member)): Path<(u32, u8)>,
    request: Request,
) -> Result<Json<AnswerMessage>, Failure> {
    let taken = take(&shared, request, Kind::Small(DECLINE_BYTES_MAX)).await?;
    let DeclineMessage { reason } = serde_json::from_slice(&taken.bytes).map_err(Failure::unreadable_body)?;
    if reason.len() > REASON_MAX {
        let message = format!("a reason has at most {REASON_MAX} bytes");
        return Err(Failure::unreadable_body(message));
    }
    deliver(&shared, taken, round, member, |_| Content::Decline(reason)).await
}

/// Hands something to the coordinator and waits for its answer. Its room is given back when the coordinator is through with
/// it, whether anybody still waits or not.
async fn deliver(
    shared: &Shared,
    taken: Taken,
    round: u32,
    member: u8,
    content: impl FnOnce(Vec<u8>) -> Content,
) -> Result<Json<AnswerMessage>, Failure> {
    let Taken {
        signed,
        bytes,
        reserved,
    } = taken;
    let (sender, receiver) = oneshot::channel();
    let delivery = Delivery {
        from: SignedRequest::signer(&signed),
        member: MemberIndex(member),
        round: Round(round),
        content: content(bytes),
        answer: Box::new(move |answer| {
            drop(reserved);
            // A member that hung up will ask again.
            drop(sender.send(answer));
        }),
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
        Answer::Refused(refusal) => Err(Failure::refused(refusal)),
    }
}

/// Counts what was answered.
async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let mut now = shared.traffic.now();
    now.requests += 1;
    now.bytes_out += response.body().size_hint().exact().unwrap_or(0);
    if let Some(FailureCode(code)) = response.extensions().get() {
        *now.refusals.entry(code).or_default() += 1;
    }
    drop(now);
    response
}
