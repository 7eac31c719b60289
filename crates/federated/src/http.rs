//! Members in processes of their own: the protocol of `docs/spec/member-protocol.md` over HTTP.

mod admission;
mod chunks;
mod client;
mod connection;
mod failure;
mod lending;
mod routes;
mod server;
mod signed;
mod tls;
mod traffic;

pub use self::{
    client::{Discovered, HttpClientOptions, HttpCoordinator},
    server::{HttpMembers, HttpServerError, HttpServerOptions},
    tls::TlsError,
    traffic::{Traffic, TrafficReport},
};
