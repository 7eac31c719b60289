use std::time::Duration;

use counterweight_primitives::UnixMillis;
use reqwest::blocking::{Client, Response};

use super::{
    super::{
        draft, otlp,
        receipt::UncheckedDecisionReceipt,
        tests::{open, signer},
    },
    *,
};
use crate::{
    log::receipt::UncheckedReceipt,
    signature::{MemorySigner, Signer as _},
};

fn owner() -> MemorySigner {
    MemorySigner::from_secret(&[5; 32]).unwrap()
}

fn start(folder: &std::path::Path, queue: usize, delay: Duration) -> DecisionServer {
    start_for(Access::open(), folder, queue, delay)
}

fn start_for(access: Access, folder: &std::path::Path, queue: usize, delay: Duration) -> DecisionServer {
    let listen = Listen::plain("127.0.0.1:0".parse().unwrap());
    start_at(listen, access, folder, queue, delay)
}

fn start_at(
    listen: Listen,
    access: Access,
    folder: &std::path::Path,
    queue: usize,
    delay: Duration,
) -> DecisionServer {
    let mut book = open(folder, 1);
    let profiles: Vec<_> = [draft::tests::profile(), otlp::tests::profile()]
        .into_iter()
        .map(|profile| book.add_profile(Arc::into_inner(profile).unwrap()).unwrap())
        .collect();
    let options = RecorderOptions {
        delay,
        queue,
        signer: Some(Arc::new(owner())),
        merge_delay: 60,
        clock: Arc::new(|| UnixMillis(1_000_000)),
    };
    DecisionServer::start(book, &profiles, options, access, listen).unwrap()
}

fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().unwrap()
}

fn send(
    server: &DecisionServer,
    path: &str,
    kind: &str,
    body: impl Into<reqwest::blocking::Body>,
) -> Response {
    let url = format!("http://{}{path}", server.address());
    client()
        .post(url)
        .header("content-type", kind)
        .body(body)
        .send()
        .unwrap()
}

fn decision() -> Value {
    let mut decision = draft::tests::decision();
    decision["endpoint"] = json!("loans.example/score");
    decision
}

#[test]
fn decisions_are_answered_with_receipts_that_can_be_proven() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), 1000, Duration::from_millis(1));
    let many = json!([decision(), decision(), decision()]);
    let lines = format!("{}\n\n{}\n", decision(), decision());
    let mut answered = Vec::new();
    for (kind, body) in [
        ("application/json", decision().to_string()),
        ("application/json; charset=utf-8", many.to_string()),
        ("application/x-ndjson", lines),
    ] {
        let answer = send(&server, "/v1/decisions", kind, body);
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = serde_json::from_slice(&answer.bytes().unwrap()).unwrap();
        answered.extend(answer["decisions"].as_array().unwrap().clone());
    }
    assert_eq!(answered.len(), 6);
    for answer in &answered {
        let receipt =
            UncheckedDecisionReceipt::decode(answer["receipt"].as_str().unwrap().as_bytes()).unwrap();
        let receipt = receipt.verify(owner().address()).unwrap();
        let url = format!(
            "http://{}/v1/decisions/{}/proof",
            server.address(),
            answer["index"]
        );
        let proof = client().get(url).send().unwrap().text().unwrap();
        let entry = hex::decode(answer["entry"].as_str().unwrap()).unwrap();
        let proof = UncheckedReceipt::from_text(&proof).unwrap();
        assert_eq!(
            proof.verify(&entry, signer().verifier()).unwrap().index(),
            receipt.promise().index
        );
    }
    let checkpoint = client()
        .get(format!("http://{}/log/checkpoint", server.address()))
        .send()
        .unwrap();
    assert!(
        checkpoint
            .text()
            .unwrap()
            .starts_with("example.com/decisions\n8\n")
    );
    let book = server.stop().unwrap();
    assert_eq!(book.next_number("loans.example/score"), 6);
}

#[test]
fn spans_of_models_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), 1000, Duration::from_millis(1));
    let answer = send(
        &server,
        "/v1/traces",
        "application/json",
        otlp::tests::request().to_string(),
    );
    assert_eq!(
        (answer.status(), answer.text().unwrap().as_str()),
        (StatusCode::OK, "{}")
    );
    let request = otlp_protobuf::tests::encode(&otlp::tests::request());
    let answer = send(&server, "/v1/traces", PROTOBUF, request.clone());
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], PROTOBUF);
    assert!(answer.bytes().unwrap().is_empty(), "an empty message");
    let refused = send(&server, "/v1/traces", PROTOBUF, request[1..].to_vec());
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(refused.bytes().unwrap()[..2], [8, 3], "google.rpc.Status");
    let answer = send(&server, "/v1/traces", "text/plain", String::new());
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(server.stop().unwrap().next_number("chat.example"), 2);
}

#[test]
fn without_a_token_nothing_is_taken_and_the_log_is_public() {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::tokens("a-token-of-the-clinic").unwrap();
    let server = start_for(access, folder.path(), 1000, Duration::from_millis(1));
    for path in ["/v1/decisions", "/v1/traces"] {
        let refused = send(&server, path, "application/json", decision().to_string());
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    }
    let url = format!("http://{}", server.address());
    let taken = client()
        .post(format!("{url}/v1/decisions"))
        .bearer_auth("a-token-of-the-clinic")
        .header("content-type", "application/json")
        .body(decision().to_string())
        .send()
        .unwrap();
    assert_eq!(taken.status(), StatusCode::OK);
    let public = client().get(format!("{url}/log/checkpoint")).send().unwrap();
    assert_eq!(public.status(), StatusCode::OK);
    assert_eq!(server.stop().unwrap().next_number("loans.example/score"), 1);
}

/// A key on P-256 and a certificate that signs itself for `localhost`, made once with OpenSSL; it holds until 2126.
const CERTIFICATE: &[u8] = include_bytes!("../../../fixtures/localhost.pem");
const KEY: &[u8] = include_bytes!("../../../fixtures/localhost.key.pem");

#[test]
fn with_a_certificate_decisions_are_taken_over_tls_only() {
    let folder = tempfile::tempdir().unwrap();
    let listen = Listen {
        tls: Some(ServerTls::from_pem(CERTIFICATE, KEY).unwrap()),
        ..Listen::plain("127.0.0.1:0".parse().unwrap())
    };
    let server = start_at(
        listen,
        Access::open(),
        folder.path(),
        1000,
        Duration::from_millis(1),
    );
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = reqwest::Certificate::from_pem(CERTIFICATE).unwrap();
    let trusting = Client::builder()
        .no_proxy()
        .tls_certs_only([authority])
        .resolve("localhost", server.address())
        .build()
        .unwrap();
    let url = format!("https://localhost:{}/v1/decisions", server.address().port());
    let request = |client: &Client, url: &str| {
        let request = client.post(url).header("content-type", "application/json");
        request.body(decision().to_string()).send()
    };
    assert_eq!(request(&trusting, &url).unwrap().status(), StatusCode::OK);
    assert!(
        request(&trusting, &url.replace("https", "http")).is_err(),
        "not in the clear"
    );
    assert!(
        request(&client(), &url).is_err(),
        "not by who does not know the certificate"
    );
    assert_eq!(server.stop().unwrap().next_number("loans.example/score"), 1);
}

#[test]
fn what_does_not_serve_is_refused() {
    assert!(matches!(
        ServerTls::from_pem(b"", KEY),
        Err(TlsError::Certificates)
    ));
    assert!(matches!(
        ServerTls::from_pem(CERTIFICATE, b"no key"),
        Err(TlsError::Key)
    ));
    let other = include_bytes!("../../../../standards/fixtures/p256.pkcs8.pem");
    assert!(matches!(
        ServerTls::from_pem(CERTIFICATE, other),
        Err(TlsError::Unfit(_))
    ));
}

#[test]
fn beyond_the_limit_clients_wait_until_one_goes() {
    let folder = tempfile::tempdir().unwrap();
    let listen = Listen {
        clients: 2,
        ..Listen::plain("127.0.0.1:0".parse().unwrap())
    };
    let server = start_at(
        listen,
        Access::open(),
        folder.path(),
        1000,
        Duration::from_millis(1),
    );
    let silent: Vec<_> = (0..2)
        .map(|_| std::net::TcpStream::connect(server.address()).unwrap())
        .collect();
    let address = server.address();
    let (done, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let url = format!("http://{address}/log/checkpoint");
        done.send(client().get(url).send().unwrap().status()).unwrap();
    });
    assert!(
        waiting.recv_timeout(Duration::from_millis(300)).is_err(),
        "both places are taken"
    );
    drop(silent);
    assert_eq!(
        waiting.recv_timeout(Duration::from_secs(30)).unwrap(),
        StatusCode::OK
    );
    drop(server.stop().unwrap());
}

#[test]
fn what_cannot_be_taken_is_refused_by_its_own_status() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), 2, Duration::from_secs(1000));
    let refused = |path: &str, body: String| send(&server, path, "application/json", body).status();
    assert_eq!(refused("/v1/decisions", "{".into()), StatusCode::BAD_REQUEST);
    assert_eq!(
        refused("/v1/decisions", draft::tests::decision().to_string()),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        refused("/v1/decisions", "x".repeat(MOST_BODY + 1)),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let many = json!(vec![decision(); 3]).to_string();
    assert_eq!(refused("/v1/decisions", many), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refused("/v1/traces", "[]".into()), StatusCode::BAD_REQUEST);
    assert_eq!(refused("/v2", String::new()), StatusCode::NOT_FOUND);
    let proof = client()
        .get(format!("http://{}/v1/decisions/0/proof", server.address()))
        .send()
        .unwrap();
    assert_eq!(proof.status(), StatusCode::NOT_FOUND, "entry 0 is a profile");
    // Two wait for a batch that nothing fills; a third is refused, and stopping records the two.
    let address = server.address();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(move || {
                let url = format!("http://{address}/v1/decisions");
                let request = client().post(url).header("content-type", "application/json");
                request.body(decision().to_string()).send().unwrap().status()
            })
        })
        .collect();
    while server.recorder.waiting() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let full = send(
        &server,
        "/v1/decisions",
        "application/json",
        decision().to_string(),
    );
    assert_eq!(full.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(full.headers().contains_key("retry-after"));
    let book = server.stop().unwrap();
    for caller in waiting {
        assert_eq!(caller.join().unwrap(), StatusCode::OK);
    }
    assert_eq!(book.next_number("loans.example/score"), 2);
}
