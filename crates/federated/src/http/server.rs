//! The coordinator's server, on threads of its own.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use axum::serve;
use counterweight_primitives::ContentDigest;
use counterweight_provenance::signature::Signer;
use tokio::runtime::Runtime;

use super::{
    listener::{Peer, TlsListener, bind},
    routes::{Shared, router},
    tls::{Identity, TlsError, server_config},
};
use crate::{
    blobs::Blobs,
    clock::Clock,
    coordinator::{Delivery, Members, Notice},
};

/// Deliveries that wait for the coordinator. A member whose delivery finds no room is told to come back.
const DELIVERIES_MAX: usize = 64;

/// Limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct HttpServerOptions {
    /// Where it listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// Longest update taken, in bytes.
    pub update_bytes_max: usize,
    /// Longest blob given out, in bytes.
    pub blob_bytes_max: u64,
    /// Time for a body to arrive, and then for the coordinator to answer.
    pub timeout: Duration,
    /// Requests worked on at once; more are told to come back.
    pub requests_max: usize,
}

impl HttpServerOptions {
    /// The usual limits at an address: the largest model there is, from 64 members at once.
    #[must_use]
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            update_bytes_max: 65 << 20,
            blob_bytes_max: 65 << 20,
            timeout: Duration::from_secs(60),
            requests_max: 256,
        }
    }
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No thread could be started.
    #[error("the server's threads cannot be started")]
    Runtime(#[source] io::Error),
    /// No certificate for the account could be made.
    #[error("the server cannot answer for its account")]
    Tls(#[from] TlsError),
}

/// Members that reach this process over HTTP. Dropping it ends the server.
pub struct HttpMembers {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    deliveries: Receiver<Delivery>,
    /// Absent only while it is being dropped.
    runtime: Option<Runtime>,
}

impl HttpMembers {
    /// Starts to listen, over TLS for the account of `signer`, or without it. Of `blobs`, it gives out to anyone those
    /// that a notice has named, the terms and the base parameters of rounds, and records of masked rounds. Nothing else in
    /// the store can be asked for.
    ///
    /// # Errors
    /// [`HttpServerError`].
    pub fn start(
        options: HttpServerOptions,
        signer: Option<&dyn Signer>,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpServerError> {
        let config = match signer {
            Some(signer) => Some(server_config(
                &Identity::new(signer, clock.now())?,
                clock.clone(),
            )?),
            None => None,
        };
        let scheme = if config.is_some() { "https" } else { "http" };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http-members")
            .enable_all()
            .build()
            .map_err(HttpServerError::Runtime)?;
        let (listener, address) = runtime.block_on(bind(options.listen)).map_err(|source| {
            let address = options.listen;
            HttpServerError::Listen { address, source }
        })?;
        let (sender, deliveries) = sync_channel(DELIVERIES_MAX);
        let shared = Arc::new(Shared::new(options, blobs, clock, sender));
        let service = router(shared.clone()).into_make_service_with_connect_info::<Peer>();
        // It ends with the runtime; an error before that would be of one connection, which axum deals with.
        runtime.spawn(async move {
            let _ = match config {
                Some(config) => serve(TlsListener::start(listener, config), service).await,
                None => serve(listener, service).await,
            };
        });
        Ok(Self {
            address,
            scheme,
            shared,
            deliveries,
            runtime: Some(runtime),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as members name it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Drop for HttpMembers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not waited for: a member that holds a connection open would hold up the end.
            runtime.shutdown_background();
        }
    }
}

impl Members for HttpMembers {
    fn announce(&mut self, notice: &Notice) {
        self.shared.announce(notice);
    }

    fn offer(&mut self, digest: &ContentDigest) {
        self.shared.offer(digest);
    }

    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        self.deliveries.recv_timeout(wait).ok()
    }
}
