//! Members in processes of their own: the protocol of `docs/spec/member-protocol.md` over HTTP.

mod client;
mod routes;
mod server;

pub use self::{
    client::{HttpClientOptions, HttpCoordinator},
    server::{HttpMembers, HttpServerError, HttpServerOptions},
};
