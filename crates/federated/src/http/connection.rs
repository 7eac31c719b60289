//! Connections, with and without TLS: whose they are, how many there are, and how long the other side may take.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{Extension, Router};
use counterweight_primitives::Address;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{server::HttpServerOptions, tls::peer_account, traffic::Traffic};

/// Longest handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Pause after the system refuses a connection, out of file handles for instance.
const PAUSE: Duration = Duration::from_millis(200);

/// The other side of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Whether the connection is encrypted.
    pub(super) encrypted: bool,
    /// The account that it showed a certificate of.
    pub(super) account: Option<Address>,
}

/// Serves until the runtime ends. Whoever comes when the most connections are open waits in the system's queue.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<ServerConfig>,
    router: Router,
    options: HttpServerOptions,
    traffic: Arc<Traffic>,
) {
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let places = Arc::new(Semaphore::new(options.connections_max.max(1)));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        // Answers are short and waited for. Without it they are only slower.
        let _ = stream.set_nodelay(true);
        let stream = Unstalled::new(stream, options.stall_timeout);
        let (acceptor, router, counted) = (acceptor.clone(), router.clone(), Counted::new(&traffic));
        tokio::spawn(async move {
            let _held = (place, counted);
            // What ends a connection concerns nobody but its other side.
            let _ = connection(stream, acceptor, router, options.head_timeout).await;
        });
    }
}

async fn connection(
    stream: Unstalled<TcpStream>,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    head_timeout: Duration,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Some(acceptor) = acceptor else {
        let peer = Peer {
            encrypted: false,
            account: None,
        };
        return Ok(talk(stream, router, peer, head_timeout).await?);
    };
    let stream = timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await??;
    let peer = Peer {
        encrypted: true,
        account: peer_account(stream.get_ref().1.peer_certificates()),
    };
    Ok(talk(stream, router, peer, head_timeout).await?)
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    peer: Peer,
    head_timeout: Duration,
) -> Result<(), hyper::Error> {
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    http1::Builder::new()
        .timer(TokioTimer::new())
        // Of a connection that waits for its next request too.
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// A connection among those that are open.
struct Counted(Arc<Traffic>);

impl Counted {
    fn new(traffic: &Arc<Traffic>) -> Self {
        traffic.now().connections += 1;
        Self(Arc::clone(traffic))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.now().connections -= 1;
    }
}

/// A stream that fails when the other side takes nothing for so long. How long it may take to send something is limited where
/// it is read, request by request.
struct Unstalled<S> {
    stream: S,
    longest: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Unstalled<S> {
    fn new(stream: S, longest: Duration) -> Self {
        Self {
            stream,
            longest,
            stalled: None,
        }
    }

    /// What a write came to; an error once it has waited for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let longest = self.longest;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(longest)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(context, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wrote = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, wrote)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wrote = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watched(context, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watched(context, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// The address of a listener.
pub(super) async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}
