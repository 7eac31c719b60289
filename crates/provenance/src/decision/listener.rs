//! Connections of a receiver: a bounded number of them, none that says nothing for long, with TLS where there is a certificate.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

/// Longest handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Pause after the system refuses a connection, out of file handles for instance.
const PAUSE: Duration = Duration::from_millis(200);

/// Why a certificate cannot be served with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// No certificates in PEM.
    #[error("the certificates are no PEM")]
    Certificates,
    /// No private key in PEM.
    #[error("the private key is no PEM")]
    Key,
    /// The key is not the certificate's, or of a kind that is not served with.
    #[error("certificates and key do not serve")]
    Unfit(#[source] rustls::Error),
}

/// With what a receiver answers for its name.
#[derive(Debug, Clone)]
pub struct ServerTls(Arc<ServerConfig>);

impl ServerTls {
    /// From a chain of certificates, the server's first, and its private key (PKCS#8, PKCS#1 or SEC1), both in PEM.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::Certificates)?;
        if chain.is_empty() {
            return Err(TlsError::Certificates);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Unfit)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// How many connections there may be, and how long one may say nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most at one time; whoever comes then waits in the system's queue.
    pub(super) clients: usize,
    /// Longest silence, in either direction.
    pub(super) idle: Duration,
}

/// Takes connections, several handshakes at once, so that one who is slow holds up nobody but himself.
pub(super) struct Connections {
    accepted: mpsc::Receiver<(Connection, SocketAddr)>,
    address: SocketAddr,
}

impl Connections {
    /// Takes a listener over. To be called on a runtime.
    pub(super) fn start(
        listener: TcpListener,
        address: SocketAddr,
        bounds: Bounds,
        tls: Option<ServerTls>,
    ) -> Self {
        let (sender, accepted) = mpsc::channel(1);
        let acceptor = tls.map(|ServerTls(config)| TlsAcceptor::from(config));
        let places = Arc::new(Semaphore::new(bounds.clients));
        tokio::spawn(async move {
            while let Ok(place) = places.clone().acquire_owned().await {
                let Ok((stream, from)) = listener.accept().await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    if let Some(stream) = shake(stream, acceptor).await {
                        let connection = Connection::new(stream, bounds.idle, place);
                        // The server is gone if nobody takes it.
                        let _ = sender.send((connection, from)).await;
                    }
                });
            }
        });
        Self { accepted, address }
    }
}

async fn shake(stream: TcpStream, acceptor: Option<TlsAcceptor>) -> Option<Box<dyn Stream>> {
    match acceptor {
        None => Some(Box::new(stream)),
        Some(acceptor) => match timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            _ => None,
        },
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // The task above ends with the runtime, and so does this one.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// Bytes to and fro.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that holds one of the places and ends when nothing moves.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: Box<dyn Stream>, idle: Duration, place: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            idle,
            silence: Box::pin(sleep(idle)),
            _place: place,
        }
    }

    /// Passes on what the stream did, and says that time is up where it does nothing for too long.
    fn watched<T>(&mut self, done: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            let until = Instant::now() + self.idle;
            self.silence.as_mut().reset(until);
            return done;
        }
        match self.silence.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watched(done, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(done, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(done, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watched(done, context)
    }
}
