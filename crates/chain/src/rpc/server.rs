//! The HTTP side: one port for POSTed requests and WebSockets, on a runtime of its own so that synchronous code can run
//! it.
//!
//! Connections are served by two asynchronous threads that never touch the chain. A request waits there for one of
//! [`Limits::concurrent_requests`](super::Limits) places, and runs on a thread for blocking work.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
    serve::ListenerExt,
};
use tokio::sync::{Semaphore, watch};

use super::{
    Options,
    dispatch::{Dispatcher, Session},
    error::{INVALID_REQUEST, RpcError},
    message, websocket,
};
use crate::embedded::EmbeddedChain;

/// How long a shutdown waits for requests under way.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No threads for the server.
    #[error("cannot start the server's threads")]
    Threads {
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A server that runs until it is shut down or dropped.
#[derive(Debug)]
pub struct RunningServer {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl RunningServer {
    /// Where it listens; the port is the one chosen by the system where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where HTTP clients find it. WebSocket clients write `ws` for `http`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Takes no more connections, answers what is under way (for at most five seconds) and returns.
    pub fn shutdown(mut self) {
        self.stop_and_join();
    }

    fn stop_and_join(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there was already reported, and there is nothing left to stop.
            let _ = thread.join();
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop_and_join();
    }
}

/// Serves `chain` at `address` until the returned server is shut down.
///
/// # Errors
/// [`ServeError::Bind`] where the address is taken or not ours, [`ServeError::Threads`] where the system gives no
/// threads.
pub fn serve(
    chain: EmbeddedChain,
    address: SocketAddr,
    options: Options,
) -> Result<RunningServer, ServeError> {
    let bind = |source| ServeError::Bind { address, source };
    let listener = TcpListener::bind(address).map_err(bind)?;
    listener.set_nonblocking(true).map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("rpc")
        .enable_all()
        .build()
        .map_err(|source| ServeError::Threads { source })?;
    let (stop, stopped) = watch::channel(false);
    let server = Arc::new(Server::new(chain, options, stopped.clone()));
    let thread = std::thread::Builder::new()
        .name("rpc-server".into())
        .spawn(move || {
            runtime.block_on(run(listener, server, stopped));
            runtime.shutdown_timeout(SHUTDOWN_GRACE);
        })
        .map_err(|source| ServeError::Threads { source })?;
    Ok(RunningServer {
        address: bound,
        stop,
        thread: Some(thread),
    })
}

async fn run(listener: TcpListener, server: Arc<Server>, mut stopped: watch::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    // Answers are written whole: waiting for more to send along would only delay them.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let mut stopped_again = stopped.clone();
    let serving = axum::serve(listener, router(server)).with_graceful_shutdown(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    tokio::select! {
        _ = serving => {}
        () = async {
            let _ = stopped_again.wait_for(|stop| *stop).await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        } => {}
    }
}

/// What every connection shares.
pub(crate) struct Server {
    pub(crate) dispatcher: Arc<Dispatcher>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) stopped: watch::Receiver<bool>,
    requests: Arc<Semaphore>,
}

impl Server {
    fn new(chain: EmbeddedChain, options: Options, stopped: watch::Receiver<bool>) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(options.limits.connections)),
            requests: Arc::new(Semaphore::new(options.limits.concurrent_requests.max(1))),
            dispatcher: Arc::new(Dispatcher::new(chain, options)),
            stopped,
        }
    }

    pub(crate) fn options(&self) -> &Options {
        self.dispatcher.options()
    }

    /// Answers a body on a blocking thread, once there is a place.
    pub(crate) async fn answer(&self, body: Bytes, session: Option<Arc<Session>>) -> Option<Vec<u8>> {
        let dispatcher = self.dispatcher.clone();
        self.work(move || dispatcher.respond(&body, session.as_deref()))
            .await
            .unwrap_or_else(|| {
                let mut response = Vec::new();
                message::write_response(&mut response, None, &Err(RpcError::internal("internal error")));
                Some(response)
            })
    }

    /// Runs `work` on a blocking thread, once there is a place. Nothing where it panicked.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = self.requests.clone().acquire_owned().await.ok()?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        })
        .await
        .ok()
    }
}

fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/", post(http).get(upgrade))
        .layer(middleware::from_fn_with_state(server.clone(), admit))
        .with_state(server)
}

/// Refuses hosts and origins that are not allowed, and answers browsers that ask first (CORS).
async fn admit(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let options = server.options();
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    // HTTP/1.1 requires the header; its absence means no browser, and so no page, sent the request.
    if host.is_some_and(|host| !options.allows_host(host)) {
        return (StatusCode::FORBIDDEN, "host not allowed\n").into_response();
    }
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else {
        return next.run(request).await;
    };
    if !origin.to_str().is_ok_and(|origin| options.allows_origin(origin)) {
        return (StatusCode::FORBIDDEN, "origin not allowed\n").into_response();
    }
    let mut response = match *request.method() {
        Method::OPTIONS => preflight(request.headers()),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("POST"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("content-type"),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    // Chromium asks this before it lets a public page reach a private address.
    if asked.contains_key("access-control-request-private-network") {
        headers.insert(
            "access-control-allow-private-network",
            HeaderValue::from_static("true"),
        );
    }
    response
}

async fn http(State(server): State<Arc<Server>>, body: Body) -> Response {
    let limits = &server.options().limits;
    let refused = |status: StatusCode, error: RpcError| {
        let mut response = Vec::new();
        message::write_response(&mut response, None, &Err(error));
        (status, [(header::CONTENT_TYPE, "application/json")], response).into_response()
    };
    let read = axum::body::to_bytes(body, limits.request_bytes);
    let body = match tokio::time::timeout(limits.transfer_timeout, read).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let error = RpcError::limit(format!(
                "a request may have at most {} bytes",
                limits.request_bytes
            ));
            return refused(StatusCode::PAYLOAD_TOO_LARGE, error);
        }
        Err(_) => {
            let error = RpcError::new(INVALID_REQUEST, "the request took too long to arrive");
            return refused(StatusCode::REQUEST_TIMEOUT, error);
        }
    };
    match server.answer(body, None).await {
        Some(response) => ([(header::CONTENT_TYPE, "application/json")], response).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn upgrade(
    State(server): State<Arc<Server>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return (
            StatusCode::OK,
            "Ethereum JSON-RPC: POST a request here, or open a WebSocket\n",
        )
            .into_response();
    };
    let Ok(place) = server.connections.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n").into_response();
    };
    let bytes = server.options().limits.request_bytes;
    upgrade
        .max_message_size(bytes)
        .max_frame_size(bytes)
        .on_upgrade(move |socket| async move {
            websocket::converse(server, socket).await;
            drop(place);
        })
}
