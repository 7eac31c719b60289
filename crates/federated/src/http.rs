//! Members in processes of their own: the protocol of `docs/spec/member-protocol.md` over HTTP.

mod chunks;
mod client;
mod listener;
mod routes;
mod server;
mod tls;

pub use self::{
    client::{Discovered, HttpClientOptions, HttpCoordinator},
    server::{HttpMembers, HttpServerError, HttpServerOptions},
    tls::TlsError,
};
