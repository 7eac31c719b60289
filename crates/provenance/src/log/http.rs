//! Logs and witnesses over HTTP: the paths of C2SP tlog-tiles and tlog-witness.
//!
//! What is served is decided in [`resource`] and [`Witness`]; this module carries bytes. It is compiled with the feature
//! `http` only.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use counterweight_primitives::{Sha256Digest, UnixSeconds};
use reqwest::blocking::Client;
use tokio::{net::TcpListener, runtime::Runtime};

use super::{
    fsck::LogSource,
    note::{Checkpoint, Note},
    reader::CHECKPOINT,
    tile::TileName,
    witness::{REQUEST_BYTES, Witness, WitnessAnswer, WitnessRefusal, WitnessTransport},
};

/// Longest answer that is read: a full bundle of the longest entries.
const ANSWER_BYTES: usize = 256 * (2 + 65_535);

/// Something that a log serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether it will never change.
    pub immutable: bool,
}

/// What a log serves at a path below its prefix; none where there is nothing.
///
/// Only what the checkpoint commits to is served: tiles of an append that has not ended may still become others, and a
/// client keeps what it got for ever.
///
/// # Errors
/// An I/O error.
pub fn resource(folder: &Path, path: &str) -> io::Result<Option<Resource>> {
    let read = |path: &str| match fs::read(folder.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    if path == CHECKPOINT {
        let found = read(path)?;
        return Ok(found.map(|bytes| Resource {
            bytes,
            immutable: false,
        }));
    }
    // A name has one path, in which there is no way out of the folder.
    let Some(name) = TileName::parse(path) else {
        return Ok(None);
    };
    let note = read(CHECKPOINT)?.and_then(|bytes| String::from_utf8(bytes).ok());
    let tree = note
        .and_then(|note| Note::parse(&note).ok())
        .and_then(|note| Checkpoint::parse(note.text()).ok());
    let width = tree
        .and_then(|tree| TileName::in_log(name.kind, name.index, tree.size))
        .map_or(0, |tile| tile.width);
    if name.width > width {
        return Ok(None);
    }
    Ok(read(path)?.map(|bytes| Resource {
        bytes,
        immutable: true,
    }))
}

/// A server, on threads of its own. Dropping it ends it.
#[derive(Debug)]
pub struct LogServer {
    address: SocketAddr,
    /// Absent only while it is being dropped.
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Served {
    log: Option<PathBuf>,
    witness: Option<Witness>,
}

impl LogServer {
    /// Serves a log's folder, a witness, or both, at the root of an address; port 0 for any free one.
    ///
    /// # Errors
    /// An I/O error where the address cannot be listened on, or no thread started.
    pub fn start(listen: SocketAddr, log: Option<PathBuf>, witness: Option<Witness>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("log-server")
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(listen))?;
        let address = listener.local_addr()?;
        let service = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(REQUEST_BYTES))
            .with_state(Arc::new(Served { log, witness }));
        runtime.spawn(async move {
            // It ends with the runtime; an error before that would be of one connection, which axum deals with.
            let _ = axum::serve(listener, service).await;
        });
        Ok(Self {
            address,
            runtime: Some(runtime),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for LogServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn answer(State(served): State<Arc<Served>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().trim_start_matches('/').to_owned();
    // Files are read and synced: that must not hold up other connections.
    let answered = tokio::task::spawn_blocking(move || match method {
        Method::GET | Method::HEAD => get(&served, &path),
        Method::POST if path == "add-checkpoint" => add_checkpoint(&served, &body),
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    });
    answered
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn get(served: &Served, path: &str) -> Response {
    const TEXT: &str = "text/plain; charset=utf-8";
    if let Some(witness) = &served.witness
        && let Some((hash, CHECKPOINT)) = path.split_once('/')
    {
        let hash: Option<Sha256Digest> = format!("sha256:{hash}").parse().ok();
        return match hash.map(|hash| witness.checkpoint(&hash)) {
            Some(Ok(Some(note))) => ([(header::CONTENT_TYPE, TEXT)], note).into_response(),
            Some(Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        };
    }
    let found = served
        .log
        .as_ref()
        .map_or(Ok(None), |folder| resource(folder, path));
    match found {
        Ok(Some(resource)) => {
            let (kind, keep) = if resource.immutable {
                ("application/octet-stream", "public, max-age=31536000, immutable")
            } else {
                (TEXT, "no-cache")
            };
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)];
            (headers, resource.bytes).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn add_checkpoint(served: &Served, body: &[u8]) -> Response {
    let Some(witness) = &served.witness else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = str::from_utf8(body).map_err(|_| WitnessRefusal::Malformed);
    match text.and_then(|text| witness.add_checkpoint(text, UnixSeconds(now.as_secs()))) {
        Ok(lines) => lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .into_response(),
        Err(WitnessRefusal::Conflict { current }) => (
            StatusCode::CONFLICT,
            [(header::CONTENT_TYPE, "text/x.tlog.size")],
            format!("{current}\n"),
        )
            .into_response(),
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, format!("{refusal}\n")).into_response()
        }
    }
}

/// A log or witness somewhere else, by the prefix of its addresses.
#[derive(Debug, Clone)]
pub struct HttpPeer {
    client: Client,
    prefix: String,
}

impl HttpPeer {
    /// A peer; nothing is sent yet.
    ///
    /// # Errors
    /// An I/O error where no client can be made.
    pub fn new(prefix: &str, timeout: Duration) -> io::Result<Self> {
        // Fails where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // No redirects: what is asked of one server is not answered by another.
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .build()
            .map_err(io::Error::other)?;
        Ok(Self {
            client,
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }

    fn read_answer(response: reqwest::blocking::Response) -> io::Result<Vec<u8>> {
        use io::Read as _;
        let mut bytes = Vec::new();
        response.take(ANSWER_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > ANSWER_BYTES {
            return Err(io::Error::other("the answer is longer than any file of a log"));
        }
        Ok(bytes)
    }
}

impl LogSource for HttpPeer {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let url = format!("{}/{path}", self.prefix);
        let response = self.client.get(&url).send().map_err(io::Error::other)?;
        match response.status().as_u16() {
            200 => Self::read_answer(response).map(Some),
            404 | 410 => Ok(None),
            status => Err(io::Error::other(format!("{url} answered {status}"))),
        }
    }
}

impl WitnessTransport for HttpPeer {
    type Error = io::Error;

    fn add_checkpoint(&self, body: &str) -> io::Result<WitnessAnswer> {
        let url = format!("{}/add-checkpoint", self.prefix);
        let sent = self.client.post(&url).body(body.to_owned()).send();
        let response = sent.map_err(io::Error::other)?;
        let status = response.status().as_u16();
        let body = String::from_utf8(Self::read_answer(response)?).map_err(io::Error::other)?;
        Ok(WitnessAnswer { status, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{
        Log,
        cosignature::Cosigner,
        fsck::fsck,
        note::NoteSigner,
        witness::{WitnessError, request_cosignatures},
    };

    fn signer() -> NoteSigner {
        NoteSigner::from_secret("example.com/log", &[7; 32]).unwrap()
    }

    fn peer(server: &LogServer) -> HttpPeer {
        HttpPeer::new(&format!("http://{}/", server.address()), Duration::from_secs(20)).unwrap()
    }

    fn log(folder: &Path) -> Log {
        let mut log = Log::open(folder, signer()).unwrap();
        let entries: Vec<_> = (0..300).map(|i| format!("entry {i}")).collect();
        log.append(&entries).unwrap();
        log
    }

    #[test]
    fn a_log_is_checked_from_afar_and_gives_out_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(folder.path());
        fs::write(folder.path().join("secret"), "secret").unwrap();
        let loopback = ([127, 0, 0, 1], 0).into();
        let server = LogServer::start(loopback, Some(folder.path().to_owned()), None).unwrap();
        let peer = peer(&server);
        let report = fsck(&peer, signer().verifier()).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(report.files, 6);
        for path in [
            "secret",
            "lock",
            "checkpoint.next",
            "tile/0/000/../../secret",
            "tile/0/%2e%2e/000",
            "tile/0/002",
            "tile/0/001",
            "tile/3/000",
            "",
        ] {
            assert_eq!(peer.read(path).unwrap(), None, "{path}");
        }
        // Tiles beyond the checkpoint are there after a crash; nobody is told of them.
        fs::write(folder.path().join("tile/0/001.p/45"), "leftover").unwrap();
        assert_eq!(peer.read("tile/0/001.p/45").unwrap(), None);
        log.append(&["one more"]).unwrap();
        assert_eq!(peer.read("tile/0/001.p/45").unwrap().unwrap().len(), 45 * 32);
        // An older partial tile stays.
        assert_eq!(peer.read("tile/0/001.p/44").unwrap().unwrap().len(), 44 * 32);
    }

    #[test]
    fn a_witness_is_asked_over_http() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = log(&folder.path().join("log"));
        let cosigner = || Cosigner::ed25519("witness.example", &[1; 32]).unwrap();
        let key = cosigner().key().clone();
        let witness = Witness::open(
            folder.path().join("witness"),
            vec![cosigner()],
            [signer().verifier().clone()],
        );
        let loopback = ([127, 0, 0, 1], 0).into();
        let server = LogServer::start(loopback, None, Some(witness.unwrap())).unwrap();
        let peer = peer(&server);
        let ask = |log: &Log| request_cosignatures(&peer, &key, &log.reader(), log.checkpoint(), 0);
        let lines = ask(&log).unwrap();
        log.add_signatures(&lines).unwrap();
        log.append(&["more"]).unwrap();
        // It is asked from 0, answers 409 with its size, and is asked again.
        ask(&log).unwrap();
        let path = format!("{}/checkpoint", Sha256Digest::of(b"example.com/log").to_hex());
        let kept = String::from_utf8(peer.read(&path).unwrap().unwrap()).unwrap();
        assert!(kept.starts_with("example.com/log\n301\n"));
        let fork = folder.path().join("fork");
        let mut fork = Log::open(fork, signer()).unwrap();
        fork.append(&vec!["other"; 400]).unwrap();
        let error = ask(&fork).unwrap_err();
        assert!(
            matches!(error, WitnessError::Refused { status: 422, .. }),
            "{error}"
        );
        assert_eq!(peer.read("checkpoint").unwrap(), None);
    }
}
