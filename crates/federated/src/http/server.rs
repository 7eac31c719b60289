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

use counterweight_primitives::ContentDigest;
use counterweight_provenance::signature::Signer;
use tokio::runtime::Runtime;

use super::{
    connection::{bind, serve},
    routes::{Shared, router},
    tls::{Identity, TlsError, server_config},
    traffic::Traffic,
};
use crate::{
    blobs::Blobs,
    clock::Clock,
    coordinator::{Delivery, Members, Notice},
    parameters::MODEL_BYTES_MAX,
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
    /// Time for the head of a request to arrive, and between two requests.
    pub head_timeout: Duration,
    /// How long the other side may take nothing of an answer.
    pub stall_timeout: Duration,
    /// Connections open at once; more wait in the system's queue.
    pub connections_max: usize,
    /// Requests worked on at once; more are told to come back.
    pub requests_max: usize,
    /// Updates and records in memory at once; more are told to come back.
    pub uploads_max: usize,
    /// Bytes of those, and of blobs that are being given out; at least one of each is taken however long it is.
    pub upload_bytes_max: usize,
    /// Signed requests of a member in the long run; more are told when to come back.
    pub member_requests_per_second: u32,
    /// Signed requests of a member at once.
    pub member_requests_burst: u32,
}

impl HttpServerOptions {
    /// The usual limits at an address: the largest model there is, four of them in memory at once.
    #[must_use]
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            update_bytes_max: MODEL_BYTES_MAX as usize,
            blob_bytes_max: MODEL_BYTES_MAX,
            timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            connections_max: 1_024,
            requests_max: 256,
            uploads_max: 32,
            upload_bytes_max: 4 * MODEL_BYTES_MAX as usize,
            member_requests_per_second: 256,
            // The longest update in parts, and all else in a round.
            member_requests_burst: 2_048,
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
        let service = router(shared.clone());
        let traffic = Arc::clone(&shared.traffic);
        runtime.spawn(serve(listener, config, service, options, traffic));
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

    /// What it carries and refuses.
    #[must_use]
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.shared.traffic)
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
