//! What a server allows, and to whom.
//!
//! # Who may ask
//!
//! A page on any web site can make its visitor's browser send requests to the visitor's own machine. Two checks stand
//! against that, both on by default:
//!
//! - `Host` must be an IP address, `localhost` or a name listed in [`Options::hosts`]. A page that had its own name
//!   re-resolved to 127.0.0.1 (DNS rebinding) still sends its own name there.
//! - `Origin`, which browsers add and programs do not, must be a page served from this machine, a browser extension
//!   (wallets) or be listed in [`Options::origins`]. Others are refused before anything runs, since a plain POST runs
//!   even where the answer is withheld from the page, and WebSockets know no such withholding at all.
//!
//! Neither keeps out programs on a network that can reach the port: bind to 127.0.0.1, or put a proxy that knows its
//! users in front.

use std::{net::IpAddr, time::Duration};

/// How a server behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Switches on the methods of development nodes (`evm_*`, `anvil_*`, `eth_sendTransaction`, `eth_accounts` with
    /// its accounts, signing with development keys): anyone who reaches the port can then move time and money.
    pub development: bool,
    /// Names, besides IP addresses and `localhost`, under which the server may be addressed; `*` for any.
    pub hosts: Vec<String>,
    /// Origins of web pages that may ask, such as `https://app.example.org`; `*` for any.
    pub origins: Vec<String>,
    /// How much may be asked at once.
    pub limits: Limits,
}

/// How much may be asked at once. Whoever asks for more gets an error that says what the limit is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one request body or WebSocket message.
    pub request_bytes: usize,
    /// Calls in one batch.
    pub batch_calls: usize,
    /// How long the calls of one batch may take together; those left over are refused.
    pub batch_time: Duration,
    /// Bytes of one answer, all calls of a batch together.
    pub response_bytes: usize,
    /// Requests worked on at the same time; others wait.
    pub concurrent_requests: usize,
    /// How long a request's body may take to arrive, and a WebSocket message to be taken.
    pub transfer_timeout: Duration,
    /// Blocks one log query may span.
    pub log_blocks: u64,
    /// Logs one query may return.
    pub logs: usize,
    /// Addresses, and values for each topic, one log query may name.
    pub log_alternatives: usize,
    /// Blocks in one fee history.
    pub fee_history_blocks: u64,
    /// Filters installed at the same time.
    pub filters: usize,
    /// How long a filter lives unasked.
    pub filter_idle: Duration,
    /// WebSocket connections open at the same time.
    pub connections: usize,
    /// Subscriptions of one WebSocket connection.
    pub subscriptions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 8 << 20,
            batch_calls: 1_000,
            batch_time: Duration::from_secs(30),
            response_bytes: 64 << 20,
            concurrent_requests: 16,
            transfer_timeout: Duration::from_secs(30),
            log_blocks: 100_000,
            logs: 20_000,
            log_alternatives: 1_000,
            fee_history_blocks: 1_024,
            filters: 1_000,
            filter_idle: Duration::from_secs(300),
            connections: 256,
            subscriptions: 64,
        }
    }
}

impl Options {
    /// Whether a request addressed to `host` (the `Host` header, with or without a port) may be answered.
    pub(crate) fn allows_host(&self, host: &str) -> bool {
        let name = host_name(host);
        is_local_name(name)
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || self
                .hosts
                .iter()
                .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(name))
    }

    /// Whether a page from `origin` (the `Origin` header) may ask.
    pub(crate) fn allows_origin(&self, origin: &str) -> bool {
        if self
            .origins
            .iter()
            .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
        {
            return true;
        }
        match origin.split_once("://") {
            Some(("http" | "https", host)) => {
                let name = host_name(host).trim_matches(['[', ']']);
                is_local_name(name) || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
            }
            Some(("chrome-extension" | "moz-extension" | "safari-web-extension", _)) => true,
            _ => false,
        }
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // Browsers resolve every name under .localhost to this machine (RFC 6761, 6.3).
    name == "localhost" || name.ends_with(".localhost")
}

/// `host` without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_hosts_and_other_names_are_not() {
        let options = Options::default();
        for host in [
            "127.0.0.1:8545",
            "localhost",
            "LOCALHOST:1",
            "[::1]:8545",
            "[::1]",
            "192.168.1.7:80",
            "a.localhost:3",
        ] {
            assert!(options.allows_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8545",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "",
        ] {
            assert!(!options.allows_host(host), "{host}");
        }
        let listed = Options {
            hosts: vec!["node.example".into()],
            ..Options::default()
        };
        assert!(listed.allows_host("node.example:8545"));
        assert!(!listed.allows_host("other.example"));
    }

    #[test]
    fn local_pages_and_extensions_are_origins_and_the_rest_of_the_web_is_not() {
        let options = Options::default();
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1:5173",
            "https://[::1]:1",
            "chrome-extension://abc",
        ] {
            assert!(options.allows_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://192.168.1.7",
            "http://localhost.evil.example",
            "file://",
            "",
        ] {
            assert!(!options.allows_origin(origin), "{origin}");
        }
        let listed = Options {
            origins: vec!["https://app.example".into()],
            ..Options::default()
        };
        assert!(listed.allows_origin("https://app.example"));
        assert!(!listed.allows_origin("https://app.example.evil"));
    }
}
