//! Decisions over HTTP: JSON of our own, and OTLP with GenAI spans. Compiled with the feature `http` only.
//!
//! | Request | Answer |
//! |---|---|
//! | `POST /v1/decisions` | an object, a list, or lines (`application/x-ndjson`); place and receipt of each |
//! | `POST /v1/traces` | an OTLP `ExportTraceServiceRequest`, JSON or protobuf; `partialSuccess` where spans do not fit |
//! | `GET /v1/decisions/INDEX/proof` | C2SP tlog-proof of an entry |
//! | `GET /log/…` | the tiled log |
//!
//! Decisions and spans are taken from whoever [`Access`] allows; others get 401. The log and its proofs are public.
//!
//! An answer of 200 means that the decisions are safe on disk. 400 and 413 will not be taken later either; 429 (the queue is
//! full) and 503 (too many requests at once, or the server is stopping) may be, and say when to try.

use std::{collections::BTreeMap, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

use super::{
    access::Access,
    book::{DecisionBook, Recorded},
    draft::DecisionDraft,
    entry::DecisionEntry,
    listener::{Bounds, Connections},
    otlp::{read_spans, takes_spans},
    otlp_protobuf,
    profile::{CheckedDecision, Profile},
    receipt::DecisionReceipt,
    recorder::{Clock, Recorder, RecorderError, RecorderOptions, RecorderThread},
};
use crate::log::{LogReader, http::resource};

pub use super::listener::{ServerTls, TlsError};

/// Longest body that is read.
pub const MOST_BODY: usize = 4 << 20;

/// Most decisions of a request.
pub const MOST_DECISIONS: usize = 4096;

/// Most requests that are worked on at one time.
const MOST_REQUESTS: usize = 64;

/// Content type of OTLP in protobuf.
const PROTOBUF: &str = "application/x-protobuf";

/// How long requests that are under way may take once the server is told to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most connections at one time, unless said otherwise.
pub const MOST_CLIENTS: usize = 256;

/// How long a connection may say nothing, besides the time that decisions wait for others.
const IDLE: Duration = Duration::from_secs(60);

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Port 0 for any free one.
    pub address: SocketAddr,
    /// Most connections at one time; whoever comes then waits.
    pub clients: usize,
    /// Certificate and key; without them nothing is encrypted.
    pub tls: Option<ServerTls>,
}

impl Listen {
    /// Without TLS, for at most [`MOST_CLIENTS`].
    #[must_use]
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            clients: MOST_CLIENTS,
            tls: None,
        }
    }
}

struct Served {
    recorder: Recorder,
    profiles: BTreeMap<String, Arc<Profile>>,
    spans: Option<Arc<Profile>>,
    receipts: bool,
    clock: Clock,
    reader: LogReader,
    folder: PathBuf,
    requests: Semaphore,
    access: Access,
}

/// A receiver, on threads of its own.
#[derive(Debug)]
pub struct DecisionServer {
    address: SocketAddr,
    runtime: Runtime,
    recorder: Recorder,
    thread: RecorderThread,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl DecisionServer {
    /// Serves a book. Decisions are taken under the given profiles of the book, one for each endpoint.
    ///
    /// # Errors
    /// An I/O error where the address cannot be listened on, or no thread started; [`io::ErrorKind::InvalidInput`] where two
    /// profiles have one endpoint.
    pub fn start(
        book: DecisionBook,
        profiles: &[Arc<Profile>],
        options: RecorderOptions,
        access: Access,
        listen: Listen,
    ) -> io::Result<Self> {
        let mut by_endpoint = BTreeMap::new();
        for profile in profiles {
            let taken = by_endpoint.insert(profile.endpoint().to_owned(), Arc::clone(profile));
            if taken.is_some() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("two profiles have the endpoint {}", profile.endpoint()),
                ));
            }
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("decision-server")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(listen.address))?;
        let address = listener.local_addr()?;
        let bounds = Bounds {
            clients: listen.clients.max(1),
            idle: IDLE.saturating_add(options.delay),
        };
        let reader = book.log().reader();
        let folder = book.folder().join("log");
        let (receipts, clock) = (options.signer.is_some(), Arc::clone(&options.clock));
        let (recorder, thread) = Recorder::start(book, options);
        let state = Served {
            recorder: recorder.clone(),
            spans: profiles.iter().find(|profile| takes_spans(profile)).cloned(),
            profiles: by_endpoint,
            receipts,
            clock,
            reader,
            folder,
            requests: Semaphore::new(MOST_REQUESTS),
            access,
        };
        let service = Router::new()
            .route("/v1/decisions", post(decisions))
            .route("/v1/traces", post(traces))
            .route("/v1/decisions/{index}/proof", get(proof))
            .route("/log/{*path}", get(log))
            .layer(DefaultBodyLimit::max(MOST_BODY))
            .with_state(Arc::new(state));
        let (stop, stopped) = oneshot::channel();
        let served = runtime.spawn(async move {
            let listener = Connections::start(listener, address, bounds, listen.tls);
            // An error would be of one connection, which axum deals with.
            let _ = axum::serve(listener, service)
                .with_graceful_shutdown(async {
                    let _ = stopped.await;
                })
                .await;
        });
        Ok(Self {
            address,
            runtime,
            recorder,
            thread,
            stop,
            served,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for Ctrl-C, or until the system asks the process to end.
    pub fn wait_for_interrupt(&self) {
        self.runtime.block_on(async {
            #[cfg(unix)]
            if let Ok(mut ends) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = ends.recv() => {}
                }
                return;
            }
            let _ = tokio::signal::ctrl_c().await;
        });
    }

    /// Takes no more requests, answers those under way, records what was taken, and gives the book back.
    ///
    /// # Errors
    /// [`RecorderError::Stopped`] where the recorder panicked.
    pub fn stop(self) -> Result<DecisionBook, RecorderError> {
        let _ = self.stop.send(());
        self.recorder.stop();
        self.runtime.block_on(async {
            // A connection that nobody closes must not keep it from ending.
            let _ = tokio::time::timeout(PATIENCE, self.served).await;
        });
        self.runtime.shutdown_background();
        drop(self.recorder);
        self.thread.join()
    }
}

/// A refusal: status and message.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }

    /// Whether the same request may be taken later.
    fn is_for_now(&self) -> bool {
        matches!(
            self.0,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        )
    }

    fn unless_allowed(served: &Served, headers: &HeaderMap) -> Result<(), Self> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        if served.access.allows(given) {
            return Ok(());
        }
        let message = "a bearer token of this server is needed".to_owned();
        Err(Self(StatusCode::UNAUTHORIZED, message))
    }

    fn busy() -> Self {
        Self(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many requests at once".to_owned(),
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({"error": {"message": self.1}}));
        let later = self.is_for_now();
        if self.0 == StatusCode::UNAUTHORIZED {
            (self.0, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
        } else if later {
            (self.0, [(header::RETRY_AFTER, "1")], body).into_response()
        } else {
            (self.0, body).into_response()
        }
    }
}

impl From<RecorderError> for Refusal {
    fn from(error: RecorderError) -> Self {
        let status = match &error {
            RecorderError::Full { .. } => StatusCode::TOO_MANY_REQUESTS,
            RecorderError::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            RecorderError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

type Answered = Vec<(Recorded, Option<DecisionReceipt>)>;

/// Records, and waits until it is done.
async fn record(served: &Served, decisions: Vec<CheckedDecision>) -> Result<Answered, Refusal> {
    let (send, receive) = oneshot::channel();
    served
        .recorder
        .submit(decisions, served.receipts, move |answer| {
            // Whoever asked may have gone; the decisions are recorded all the same.
            let _ = send.send(answer);
        })?;
    Ok(receive.await.unwrap_or(Err(RecorderError::Stopped))?)
}

/// JSON is read on a thread that may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the request could not be read".into(),
        ))
    })
}

async fn decisions(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    Refusal::unless_allowed(&served, &headers)?;
    let _permit = served.requests.try_acquire().map_err(|_| Refusal::busy())?;
    let lines = content_type(&headers) == "application/x-ndjson";
    let reader = Arc::clone(&served);
    let checked = blocking(move || read_decisions(&reader, &body, lines)).await?;
    let recorded = record(&served, checked).await?;
    let decisions: Result<Vec<_>, _> = recorded
        .iter()
        .map(|(recorded, receipt)| shown(recorded, receipt.as_ref()))
        .collect();
    Ok(Json(json!({"decisions": decisions?})))
}

fn read_decisions(served: &Served, body: &[u8], lines: bool) -> Result<Vec<CheckedDecision>, Refusal> {
    let parse = |bytes: &[u8]| {
        serde_json::from_slice::<Value>(bytes).map_err(|e| Refusal::bad(format!("not JSON: {e}")))
    };
    let values = if lines {
        body.split(|byte| *byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .take(MOST_DECISIONS + 1)
            .map(parse)
            .collect::<Result<Vec<_>, _>>()?
    } else {
        match parse(body)? {
            Value::Array(list) => list,
            one => vec![one],
        }
    };
    if values.len() > MOST_DECISIONS {
        let message = format!("at most {MOST_DECISIONS} decisions are taken in one request");
        return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let now = (served.clock)();
    let checked = values.into_iter().enumerate().map(|(place, value)| {
        let wrong = |message: String| Refusal::bad(format!("decision {place}: {message}"));
        let draft = DecisionDraft::from_value(value).map_err(|e| wrong(causes(&e)))?;
        let profile = match &draft.endpoint {
            Some(endpoint) => served.profiles.get(endpoint),
            None if served.profiles.len() == 1 => served.profiles.values().next(),
            None => None,
        };
        let profile = profile.ok_or_else(|| {
            let known: Vec<_> = served.profiles.keys().map(String::as_str).collect();
            wrong(format!("name its endpoint, one of {}", known.join(", ")))
        })?;
        draft.check(profile, now).map_err(|e| wrong(causes(&e)))
    });
    checked.collect()
}

fn shown(recorded: &Recorded, receipt: Option<&DecisionReceipt>) -> Result<Value, Refusal> {
    let failed = |_| {
        Refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the receipt cannot be written".into(),
        )
    };
    let receipt = receipt
        .map(|receipt| {
            receipt
                .encode()
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        })
        .transpose()
        .map_err(failed)?;
    Ok(json!({
        "index": recorded.index,
        "entry": hex::encode(recorded.entry.encode()),
        "leaf": recorded.leaf.to_string(),
        // As text: a receipt is valid in its canonical form only.
        "receipt": receipt,
    }))
}

/// OTLP answers in the encoding that it was asked in, refusals too.
async fn traces(State(served): State<Arc<Served>>, headers: HeaderMap, body: Bytes) -> Response {
    let protobuf = content_type(&headers) == PROTOBUF;
    let taken = take_spans(&served, &headers, protobuf, body).await;
    if !protobuf {
        // What OTLP says of requests that were taken in part.
        let answer = taken.map(|refused| match refused.first() {
            Some(reason) => json!({"partialSuccess": {
                "rejectedSpans": refused.len().to_string(), "errorMessage": reason,
            }}),
            None => json!({}),
        });
        return answer.map(Json).into_response();
    }
    let kind = [(header::CONTENT_TYPE, PROTOBUF)];
    match taken {
        Ok(refused) => {
            let reason = refused.first().map(String::as_str);
            (kind, otlp_protobuf::response(refused.len(), reason)).into_response()
        }
        Err(refusal) => {
            // INVALID_ARGUMENT, or UNAVAILABLE where it may be sent again.
            let code = if refusal.is_for_now() { 14 } else { 3 };
            let body = otlp_protobuf::status(code, &refusal.1);
            let mut response = refusal.into_response();
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = body.into();
            response
        }
    }
}

/// Records what fits, and gives back why the rest does not.
async fn take_spans(
    served: &Served,
    headers: &HeaderMap,
    protobuf: bool,
    body: Bytes,
) -> Result<Vec<String>, Refusal> {
    Refusal::unless_allowed(served, headers)?;
    let _permit = served.requests.try_acquire().map_err(|_| Refusal::busy())?;
    if !protobuf && content_type(headers) != "application/json" {
        let message = format!("spans are taken as application/json and as {PROTOBUF}");
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let Some(profile) = served.spans.clone() else {
        return Err(Refusal(
            StatusCode::NOT_FOUND,
            "no profile here takes spans".into(),
        ));
    };
    let spans = blocking(move || {
        let request = if protobuf {
            otlp_protobuf::read_request(&body)
                .ok_or_else(|| Refusal::bad("not an ExportTraceServiceRequest"))?
        } else {
            serde_json::from_slice(&body).map_err(|e| Refusal::bad(format!("not JSON: {e}")))?
        };
        read_spans(&request, &profile).ok_or_else(|| {
            Refusal::bad("not an ExportTraceServiceRequest, or one with more than 4,096 spans")
        })
    })
    .await?;
    if !spans.decisions.is_empty() {
        record(served, spans.decisions).await?;
    }
    Ok(spans.refused)
}

async fn proof(State(served): State<Arc<Served>>, Path(index): Path<u64>) -> Result<String, Refusal> {
    blocking(move || {
        let unreadable = |_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the log cannot be read".into());
        let none = || Refusal(StatusCode::NOT_FOUND, "there is no such decision".into());
        let checkpoint = served.reader.checkpoint().map_err(unreadable)?;
        if index >= checkpoint.checkpoint().size {
            return Err(none());
        }
        let (entry, receipt) = served.reader.receipt(&checkpoint, index).map_err(unreadable)?;
        DecisionEntry::decode(&entry).ok_or_else(none)?;
        Ok(receipt.to_text())
    })
    .await
}

async fn log(State(served): State<Arc<Served>>, Path(path): Path<String>) -> Result<Response, Refusal> {
    blocking(move || {
        let found = resource(&served.folder, &path)
            .map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the log cannot be read".into()))?;
        let found = found.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, "there is nothing here".into()))?;
        let kind = if found.immutable {
            "application/octet-stream"
        } else {
            "text/plain; charset=utf-8"
        };
        Ok(([(header::CONTENT_TYPE, kind)], found.bytes).into_response())
    })
    .await
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
