//! Questions over HTTP: a runtime of its own, retries, and errors told apart.

use std::borrow::Cow;
use std::fmt;
use std::sync::mpsc;
use std::time::Duration;

use alloy_primitives::{Bytes, hex};
use alloy_provider::{Provider as _, ProviderBuilder, RootProvider};
use alloy_transport::{RpcError, TransportError, TransportErrorKind};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};

use super::RemoteOptions;
use crate::network::ChainError;

/// The longest piece of somebody else's text in an error.
const LONGEST_REASON: usize = 300;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Client {
    endpoint: String,
    provider: RootProvider,
    /// Always there until the client is dropped.
    runtime: Option<Runtime>,
    attempts: u32,
    retry_pause: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.endpoint)
    }
}

impl Client {
    pub(super) fn new(endpoint: &str, options: &RemoteOptions) -> Result<Self, ChainError> {
        // Endpoints of providers carry a secret in their path or user part, so what is shown leaves both out.
        let url: reqwest::Url = endpoint.parse().map_err(|_| ChainError::Rejected {
            reason: "the endpoint is no address of the form http://host:port or https://host".to_owned(),
        })?;
        let host = url
            .host_str()
            .filter(|_| matches!(url.scheme(), "http" | "https"));
        let Some(host) = host else {
            let reason = format!(
                "the endpoint's scheme is {:?}, expected http or https",
                url.scheme()
            );
            return Err(ChainError::Rejected { reason });
        };
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        let shown = format!("{}://{host}{port}", url.scheme());
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| ChainError::Unreachable {
            endpoint: shown.clone(),
            source,
        };
        // Only the first call in a process does something; another provider that is installed stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(options.request_timeout)
            .connect_timeout(options.request_timeout.min(Duration::from_secs(10)))
            .build()
            .map_err(|e| unusable(e.into()))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("remote-chain")
            .enable_all()
            .build()
            .map_err(|e| unusable(e.into()))?;
        let provider = {
            let _entered = runtime.enter();
            ProviderBuilder::new()
                .disable_recommended_fillers()
                .connect_reqwest(http, url)
        };
        Ok(Self {
            endpoint: shown,
            provider,
            runtime: Some(runtime),
            attempts: options.attempts.max(1),
            retry_pause: options.retry_pause,
        })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Asks, and asks again while nobody answers. For what changes nothing, or changes it once however often it is
    /// asked.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: Value,
    ) -> Result<T, ChainError> {
        let mut pause = self.retry_pause;
        for _ in 1..self.attempts {
            match self.ask_once(method, parameters.clone()) {
                Err(ChainError::Unreachable { .. }) => std::thread::sleep(pause),
                answer => return answer,
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        self.ask_once(method, parameters)
    }

    pub(super) fn ask_once<T: DeserializeOwned>(
        &self,
        method: &'static str,
        parameters: Value,
    ) -> Result<T, ChainError> {
        let provider = self.provider.clone();
        let (sender, receiver) = mpsc::sync_channel(1);
        let runtime = self
            .runtime
            .as_ref()
            .expect("taken only when the client is dropped");
        // Not `block_on`: the caller may itself be inside a runtime, where that panics.
        runtime.spawn(async move {
            let answer = provider
                .raw_request::<_, Box<RawValue>>(Cow::Borrowed(method), parameters)
                .await;
            // Nobody listens only where the caller's thread is gone.
            let _ = sender.send(answer);
        });
        let answer = receiver.recv().map_err(|e| self.unreachable(e.into()))?;
        let raw = answer.map_err(|error| self.tell(method, error))?;
        serde_json::from_str(raw.get()).map_err(|e| ChainError::Malformed {
            reason: format!("{method}: {e}"),
        })
    }

    fn unreachable(&self, source: Box<dyn std::error::Error + Send + Sync>) -> ChainError {
        ChainError::Unreachable {
            endpoint: self.endpoint.clone(),
            source,
        }
    }

    fn tell(&self, method: &str, error: TransportError) -> ChainError {
        match error {
            RpcError::ErrorResp(payload) => {
                if payload.is_retry_err() {
                    return self.unreachable(shortened(&payload.message).into());
                }
                let revert = payload.code == 3 || payload.message.to_lowercase().contains("revert");
                if revert {
                    let data = payload.as_revert_data().or_else(|| {
                        let text: String = serde_json::from_str(payload.data.as_ref()?.get()).ok()?;
                        hex::decode(text).ok().map(Bytes::from)
                    });
                    return ChainError::Reverted {
                        data: data.unwrap_or_default(),
                    };
                }
                match payload.code {
                    -32_601 => ChainError::Malformed {
                        reason: format!("the node does not know {method}"),
                    },
                    _ => ChainError::Rejected {
                        reason: shortened(&payload.message),
                    },
                }
            }
            RpcError::Transport(TransportErrorKind::HttpError(http))
                if http.status < 500 && http.status != 429 && http.status != 408 =>
            {
                let body = shortened(&http.body);
                ChainError::Rejected {
                    reason: format!("{method}: HTTP status {}: {body}", http.status),
                }
            }
            RpcError::Transport(kind) => self.unreachable(Box::new(without_address(kind))),
            RpcError::DeserError { err, text } => ChainError::Malformed {
                reason: format!("{method}: {err} in {:?}", shortened(&text)),
            },
            RpcError::NullResp => ChainError::Malformed {
                reason: format!("{method}: no answer in the answer"),
            },
            other => ChainError::Malformed {
                reason: format!("{method}: {}", shortened(&other.to_string())),
            },
        }
    }
}

/// HTTP errors name the address that was asked, with the secret it may carry.
fn without_address(kind: TransportErrorKind) -> TransportErrorKind {
    match kind {
        TransportErrorKind::Custom(source) => {
            TransportErrorKind::Custom(match source.downcast::<reqwest::Error>() {
                Ok(error) => Box::new(error.without_url()),
                Err(other) => other,
            })
        }
        other => other,
    }
}

fn shortened(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_REASON)
        .collect()
}

impl Drop for Client {
    fn drop(&mut self) {
        // Dropping a runtime waits for it, which panics inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
