//! Connections, with and without TLS, and whose they are.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use counterweight_primitives::Address;
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::tls::peer_account;

/// Handshakes at the same time; whoever comes then waits in the system's queue.
const HANDSHAKES_MAX: usize = 64;
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

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, TcpListener>) -> Self {
        Self {
            encrypted: false,
            account: None,
        }
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        *stream.remote_addr()
    }
}

/// A listener that shakes hands with several at once, so that one who is slow holds up nobody.
pub(super) struct TlsListener {
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
}

impl TlsListener {
    /// Takes a listener over. To be called on a runtime.
    pub(super) fn start(listener: TcpListener, config: ServerConfig) -> Self {
        let (sender, accepted) = mpsc::channel(HANDSHAKES_MAX);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        tokio::spawn(async move {
            while let Ok(place) = places.clone().acquire_owned().await {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    let shaken = timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await;
                    drop(place);
                    if let Ok(Ok(stream)) = shaken {
                        let account = peer_account(stream.get_ref().1.peer_certificates());
                        let encrypted = true;
                        // The server is gone if nobody takes it.
                        let _ = sender.send((stream, Peer { encrypted, account })).await;
                    }
                });
            }
        });
        Self { accepted }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // The task above ends with the runtime, and so does this one.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

/// The address of a listener.
pub(super) async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}
