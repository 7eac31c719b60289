//! A member's view of a coordinator over HTTP.

use std::{sync::Arc, time::Duration};

use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId};
use counterweight_provenance::signature::Signer;

use crate::{
    coordinator::{Answer, Notice},
    member::{ClientError, CoordinatorClient},
};

/// Limits of a client.
#[derive(Debug, Clone, Copy)]
pub struct HttpClientOptions {
    /// Time for one request, waiting for news aside.
    pub timeout: Duration,
}

impl Default for HttpClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
        }
    }
}

/// A coordinator behind a URL such as `http://127.0.0.1:8480`.
pub struct HttpCoordinator {
    url: String,
    study: StudyId,
    terms: ContentDigest,
    signer: Arc<dyn Signer>,
    options: HttpClientOptions,
}

impl HttpCoordinator {
    /// A client that signs with `signer` for one study. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Malformed`] where the URL cannot be used.
    pub fn new(
        url: &str,
        study: StudyId,
        terms: ContentDigest,
        signer: Arc<dyn Signer>,
        options: HttpClientOptions,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            url: url.to_owned(),
            study,
            terms,
            signer,
            options,
        })
    }

    /// Which study a coordinator runs, before anything is known about it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn discover(url: &str, options: HttpClientOptions) -> Result<Notice, ClientError> {
        let _ = options;
        Err(ClientError::Malformed { what: url.to_owned() })
    }
}

impl CoordinatorClient for HttpCoordinator {
    fn notice(&mut self, wait: Duration) -> Result<Notice, ClientError> {
        let _ = (
            wait,
            &self.url,
            self.study,
            self.terms,
            &self.signer,
            self.options.timeout,
        );
        Err(ClientError::Malformed { what: String::new() })
    }

    fn blob(&mut self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, ClientError> {
        let _ = (digest, limit);
        Err(ClientError::Malformed { what: String::new() })
    }

    fn upload(&mut self, member: MemberIndex, round: Round, update: &[u8]) -> Result<Answer, ClientError> {
        let _ = (member, round, update);
        Err(ClientError::Malformed { what: String::new() })
    }

    fn decline(&mut self, member: MemberIndex, round: Round, reason: &str) -> Result<Answer, ClientError> {
        let _ = (member, round, reason);
        Err(ClientError::Malformed { what: String::new() })
    }
}
