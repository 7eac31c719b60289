//! A member's view of a coordinator over HTTP.

use std::{
    collections::BTreeMap,
    io::Read as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use counterweight_primitives::{Address, ContentDigest, MemberIndex, Round, StudyId};
use counterweight_provenance::{blobs::BlobError, signature::Signer};
use reqwest::{
    StatusCode,
    blocking::{Client, RequestBuilder, Response},
};
use serde::de::DeserializeOwned;

use super::{
    chunks::{CHUNK_BYTES, MISSING_MAX, WHOLE_BYTES_MAX, list_of},
    tls::{Expected, Identity, client_config},
};
use crate::{
    clock::Clock,
    coordinator::{Answer, Notice},
    masked::record::MaskRecord,
    member::{ClientError, CoordinatorClient},
    wire::{AnswerMessage, DeclineMessage, ErrorMessage, Nonce, NoticeMessage, RequestFacts},
};

/// Longest JSON answer read.
const JSON_BYTES_MAX: u64 = 1 << 16;
/// Longest reason that a coordinator takes.
const REASON_MAX: usize = 1_000;
/// Longest pause that a coordinator may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Limits of a client.
#[derive(Debug, Clone, Copy)]
pub struct HttpClientOptions {
    /// Time for one request, waiting for news aside.
    pub timeout: Duration,
}

impl Default for HttpClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(90),
        }
    }
}

/// A coordinator behind a URL such as `https://127.0.0.1:8480`.
pub struct HttpCoordinator {
    url: String,
    study: StudyId,
    terms: ContentDigest,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    client: Client,
    options: HttpClientOptions,
    seen: u64,
}

/// What a coordinator says of itself.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// Its study and where that stands.
    pub notice: Notice,
    /// The account that answered for the connection, over TLS.
    pub account: Option<Address>,
}

/// Tells apart requests that one process makes in the same millisecond.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

impl HttpCoordinator {
    /// A client that signs with `signer` for one study, whose coordinator on the ledger is `coordinator`. Over TLS it
    /// talks to nobody else but an authority's proxy, and answers for the signer's account. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Malformed`] where the client cannot be built.
    pub fn new(
        url: &str,
        coordinator: Address,
        study: StudyId,
        terms: ContentDigest,
        signer: Arc<dyn Signer>,
        clock: Arc<dyn Clock>,
        options: HttpClientOptions,
    ) -> Result<Self, ClientError> {
        let identity = Identity::new(signer.as_ref(), clock.now()).map_err(malformed)?;
        let client = client(Some(&identity), Expected::Account(coordinator), clock.clone())?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self {
            url,
            study,
            terms,
            signer,
            clock,
            client,
            options,
            seen: 0,
        })
    }

    /// Which study a coordinator runs, before anything else is known about it. Nothing in it may be believed that was
    /// not compared with the ledger.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn discover(
        url: &str,
        clock: Arc<dyn Clock>,
        options: HttpClientOptions,
    ) -> Result<Discovered, ClientError> {
        let url = url.trim_end_matches('/');
        let seen = Arc::new(OnceLock::new());
        let client = client(None, Expected::Anyone(seen.clone()), clock)?;
        let request = client.get(format!("{url}/v1/notice")).timeout(options.timeout);
        let (_, notice) = read_notice(send(url, request)?)?;
        let account = seen.get().copied();
        Ok(Discovered { notice, account })
    }

    fn signed(
        &self,
        request: RequestBuilder,
        method: &str,
        path: String,
        body: &[u8],
    ) -> Result<RequestBuilder, ClientError> {
        let time = self.clock.now();
        let body = ContentDigest::of(body);
        let facts = RequestFacts {
            method: method.to_owned(),
            path,
            study: self.study,
            terms: self.terms,
            time,
            nonce: self.nonce(&body),
            body,
        };
        let headers = facts.sign(self.signer.as_ref())?;
        Ok(headers
            .into_iter()
            .fold(request, |request, (name, value)| request.header(name, value)))
    }

    /// Need not be secret, only new: process, count and body see to that within a millisecond.
    fn nonce(&self, body: &ContentDigest) -> Nonce {
        let count = REQUESTS.fetch_add(1, Ordering::Relaxed);
        let text = format!("{} {} {count} {body}", std::process::id(), self.clock.now().0);
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&ContentDigest::of(text.as_bytes()).0[..16]);
        Nonce(nonce)
    }

    /// Sends a body, a long one in parts: those that a lost connection had carried are not sent again.
    fn put(&self, path: String, body: &[u8]) -> Result<Answer, ClientError> {
        if body.len() <= WHOLE_BYTES_MAX {
            return self.answered(self.put_request(path, body)?);
        }
        let list = list_of(body);
        let bytes: Vec<u8> = list.iter().flat_map(|digest| digest.0).collect();
        let parts: BTreeMap<_, _> = list.iter().zip(body.chunks(CHUNK_BYTES)).collect();
        let path = format!("{path}/chunks");
        // Each answer names so many missing parts; one more that names any is a server that forgets.
        for _ in 0..=list.len().div_ceil(MISSING_MAX) {
            let request = self.put_request(path.clone(), &bytes)?;
            let missing = match send(&self.url, request.timeout(self.options.timeout)) {
                Ok(response) => return read_answer(response),
                Err(Failed::Refused(error)) if error.error == "missing-chunks" => error.missing,
                Err(failed) => return refused(failed),
            };
            for digest in missing {
                let part = parts
                    .get(&digest)
                    .ok_or_else(|| malformed("it asks for a part of another body"))?;
                let request = self.put_request(format!("/v1/chunks/{digest}"), part)?;
                match send(&self.url, request.timeout(self.options.timeout)) {
                    Ok(_) => {}
                    // It was started again, or gave the room to others: it is told anew what the parts are of.
                    Err(Failed::Refused(error)) if error.error == "no-list" => break,
                    Err(failed) => return refused(failed),
                }
            }
        }
        Err(ClientError::Busy {
            endpoint: self.url.clone(),
            reason: "it does not keep the parts of a body".to_owned(),
            retry_after: None,
        })
    }

    fn put_request(&self, path: String, body: &[u8]) -> Result<RequestBuilder, ClientError> {
        let request = self.client.put(format!("{}{path}", self.url)).body(body.to_vec());
        self.signed(request, "PUT", path, body)
    }

    fn answered(&self, request: RequestBuilder) -> Result<Answer, ClientError> {
        match send(&self.url, request.timeout(self.options.timeout)) {
            Ok(response) => read_answer(response),
            Err(failed) => refused(failed),
        }
    }
}

fn read_answer(response: Response) -> Result<Answer, ClientError> {
    let answer: AnswerMessage = read_json(response)?;
    answer.into_answer().map_err(malformed)
}

/// A refusal of what was sent is an answer; of the request itself it is not.
fn refused(failed: Failed) -> Result<Answer, ClientError> {
    match failed {
        Failed::Refused(error) => match error.refusal {
            Some(refusal) => Ok(Answer::Refused(refusal)),
            None => Err(rejected(*error)),
        },
        failed @ Failed::Other(_) => Err(failed.into()),
    }
}

impl CoordinatorClient for HttpCoordinator {
    fn notice(&mut self, wait: Duration) -> Result<Notice, ClientError> {
        let (seen, wait_ms) = (self.seen, wait.as_millis());
        let request = self
            .client
            .get(format!("{}/v1/notice?seen={seen}&wait_ms={wait_ms}", self.url))
            .timeout(wait + self.options.timeout);
        let (version, notice) = read_notice(send(&self.url, request)?)?;
        self.seen = version;
        Ok(notice)
    }

    fn blob(&mut self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, ClientError> {
        get_blob(&self.client, &self.url, digest, limit, self.options)
    }

    fn upload(&mut self, member: MemberIndex, round: Round, update: &[u8]) -> Result<Answer, ClientError> {
        self.put(format!("/v1/rounds/{round}/updates/{member}"), update)
    }

    fn hand_over(
        &mut self,
        member: MemberIndex,
        round: Round,
        record: MaskRecord,
        bytes: &[u8],
    ) -> Result<Answer, ClientError> {
        self.put(
            format!("/v1/rounds/{round}/masked/{}/{member}", record.name()),
            bytes,
        )
    }

    fn decline(&mut self, member: MemberIndex, round: Round, reason: &str) -> Result<Answer, ClientError> {
        let path = format!("/v1/rounds/{round}/declines/{member}");
        let mut end = reason.len().min(REASON_MAX);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let body = serde_json::to_vec(&DeclineMessage {
            reason: reason[..end].to_owned(),
        })
        .map_err(malformed)?;
        let request = self.client.post(format!("{}{path}", self.url)).body(body.clone());
        self.answered(self.signed(request, "POST", path, &body)?)
    }
}

/// Why a request brought no answer.
enum Failed {
    /// The coordinator says why.
    Refused(Box<ErrorMessage>),
    Other(ClientError),
}

impl From<Failed> for ClientError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(error) => rejected(*error),
            Failed::Other(error) => error,
        }
    }
}

fn rejected(error: ErrorMessage) -> ClientError {
    ClientError::Rejected {
        code: error.error,
        reason: error.message,
    }
}

fn malformed(error: impl ToString) -> ClientError {
    ClientError::Malformed {
        what: error.to_string(),
    }
}

fn client(
    identity: Option<&Identity>,
    expected: Expected,
    clock: Arc<dyn Clock>,
) -> Result<Client, ClientError> {
    // No redirects: a signed body goes to the coordinator and to nobody it points at. No proxy from the
    // environment: studies often run on a loopback or a private network.
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .tls_backend_preconfigured(client_config(identity, expected, clock).map_err(malformed)?)
        .build()
        .map_err(malformed)
}

fn send(endpoint: &str, request: RequestBuilder) -> Result<Response, Failed> {
    let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| {
        Failed::Other(ClientError::Unreachable {
            endpoint: endpoint.to_owned(),
            source,
        })
    };
    let response = request.send().map_err(|error| {
        if error.is_builder() {
            Failed::Other(malformed(error))
        } else {
            unreachable(error.into())
        }
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = retry_after(&response);
    let error = read_json::<ErrorMessage>(response);
    let reason = || match &error {
        Ok(error) => error.message.clone(),
        Err(_) => status.to_string(),
    };
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            Err(Failed::Other(ClientError::Busy {
                endpoint: endpoint.to_owned(),
                reason: reason(),
                retry_after,
            }))
        }
        // Whoever stands in front of a coordinator that is down answers with one of these.
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Err(unreachable(reason().into())),
        _ => match error {
            Ok(error) => Err(Failed::Refused(Box::new(error))),
            Err(_) => Err(Failed::Other(malformed(format_args!("status {status}")))),
        },
    }
}

/// How long an answer asks to wait, at most as long as is sensible: whoever answers is not believed in everything.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(reqwest::header::RETRY_AFTER)?;
    let seconds: u64 = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

fn read_limited(response: Response, limit: u64) -> Result<Vec<u8>, ClientError> {
    let endpoint = response.url().to_string();
    let mut bytes = Vec::new();
    let read = response.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|source| ClientError::Unreachable {
        endpoint,
        source: source.into(),
    })?;
    if bytes.len() as u64 > limit {
        return Err(malformed(format_args!("more than {limit} bytes")));
    }
    Ok(bytes)
}

fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
    serde_json::from_slice(&read_limited(response, JSON_BYTES_MAX)?).map_err(malformed)
}

fn read_notice(response: Response) -> Result<(u64, Notice), ClientError> {
    let message: NoticeMessage = read_json(response)?;
    Ok((message.version, message.into_notice().map_err(malformed)?))
}

fn get_blob(
    client: &Client,
    url: &str,
    digest: &ContentDigest,
    limit: u64,
    options: HttpClientOptions,
) -> Result<Vec<u8>, ClientError> {
    let request = client
        .get(format!("{url}/v1/blobs/{digest}"))
        .timeout(options.timeout);
    let response = send(url, request).map_err(|failed| match failed {
        Failed::Refused(error) if error.error == "no-such-blob" => {
            ClientError::Blob(BlobError::Missing { digest: *digest })
        }
        failed => failed.into(),
    })?;
    let bytes = read_limited(response, limit)?;
    let got = ContentDigest::of(&bytes);
    if got == *digest {
        Ok(bytes)
    } else {
        Err(malformed(format_args!("asked for {digest}, got {got}")))
    }
}
