//! What a coordinator takes at once: memory, rate and time, over HTTP on the loopback.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use counterweight_federated::{
    blobs::{Blobs as _, MemoryBlobs},
    clock::{Clock as _, ManualClock},
    coordinator::{Answer, Content, Members as _, Notice, RoundNotice},
    http::{HttpClientOptions, HttpCoordinator, HttpMembers, HttpServerOptions},
    ledger::Phase,
    member::{ClientError, CoordinatorClient as _},
    wire::{Nonce, RequestFacts},
};
use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId, UnixSeconds};

use crate::support::{COORDINATOR, START, account, key};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Longer than a list, shorter than four.
const MIB: usize = 1 << 20;

fn limits() -> HttpServerOptions {
    HttpServerOptions {
        update_bytes_max: 2 * MIB,
        upload_bytes_max: 4 * MIB,
        ..HttpServerOptions::at(LOOPBACK)
    }
}

/// A server without TLS, with round 1 open for members 0 to 9.
fn serve(options: HttpServerOptions) -> (HttpMembers, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    let blobs = MemoryBlobs::default();
    let base = blobs.put(b"base").unwrap();
    let mut server = HttpMembers::start(options, None, Arc::new(blobs), clock.clone()).unwrap();
    let now = clock.now().seconds();
    server.announce(&Notice {
        study: StudyId(1),
        terms: terms(),
        phase: Phase::Running,
        round: Some(RoundNotice {
            round: Round(1),
            base,
            commit_by: UnixSeconds(now.0 + 60),
            upload_by: UnixSeconds(now.0 + 90),
        }),
        members: (0..10).map(account).collect(),
    });
    (server, clock)
}

fn terms() -> ContentDigest {
    ContentDigest::of(b"terms")
}

fn client(url: &str, number: u8, clock: Arc<ManualClock>) -> HttpCoordinator {
    HttpCoordinator::new(
        url,
        account(COORDINATOR),
        StudyId(1),
        terms(),
        Arc::new(key(number)),
        clock,
        HttpClientOptions::default(),
    )
    .unwrap()
}

fn body(number: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ number).collect()
}

/// Sends until it is taken; how often it was sent away.
fn insist(client: &mut HttpCoordinator, number: u8, body: &[u8]) -> usize {
    let mut sent_away = 0;
    loop {
        match client.upload(MemberIndex(number), Round(1), body) {
            Ok(answer) => {
                assert_eq!(answer, Answer::Stored);
                return sent_away;
            }
            Err(ClientError::Busy { retry_after, .. }) => {
                assert_eq!(retry_after, Some(Duration::from_secs(1)));
                sent_away += 1;
                // Not for as long as it was asked to: the test is of the server.
                thread::sleep(Duration::from_millis(10 + u64::from(number)));
            }
            Err(error) => panic!("member {number}: {error:?}"),
        }
    }
}

#[test]
fn more_than_fits_at_once_all_arrives_and_never_more_than_the_limit_is_in_memory() {
    let options = limits();
    let (mut server, clock) = serve(options);
    let (url, traffic) = (server.url(), server.traffic());
    // Ten members with 1.5 MiB each, and room for two of them.
    let length = MIB * 3 / 2 + 7;
    let sent_away: usize = thread::scope(|scope| {
        let senders: Vec<_> = (0..10)
            .map(|number| {
                let (url, clock) = (url.clone(), clock.clone());
                scope.spawn(move || {
                    let mut client = client(&url, number, clock);
                    insist(&mut client, number, &body(number, length))
                })
            })
            .collect();
        let mut arrived = BTreeSet::new();
        while arrived.len() < 10 {
            let Some(delivery) = server.next(Duration::from_secs(60)) else {
                panic!("only {arrived:?} arrived");
            };
            // A coordinator that takes its time, so that what arrived waits.
            thread::sleep(Duration::from_millis(30));
            let Content::Update(got) = &delivery.content else {
                panic!("no update");
            };
            assert!(*got == body(delivery.member.0, length));
            arrived.insert(delivery.member.0);
            (delivery.answer)(Answer::Stored);
        }
        senders.into_iter().map(|sender| sender.join().unwrap()).sum()
    });
    let report = traffic.report();
    assert!(sent_away > 0, "nobody was sent away");
    assert_eq!(report.refusals["busy"], sent_away as u64);
    // A body takes room in whole parts.
    assert!(report.upload_bytes_peak > length, "{report:?}");
    assert!(report.upload_bytes_peak <= options.upload_bytes_max, "{report:?}");
    assert_eq!((report.uploads, report.upload_bytes), (0, 0));
    // Nothing was carried twice but lists and what was under way when its room went.
    assert!(report.bytes_in < 10 * (length as u64) * 11 / 10, "{report:?}");
}

#[test]
fn no_more_uploads_at_once_than_allowed_however_short() {
    let (mut server, clock) = serve(HttpServerOptions {
        uploads_max: 1,
        ..limits()
    });
    let url = server.url();
    thread::scope(|scope| {
        let (first_url, first_clock) = (url.clone(), clock.clone());
        let first = scope.spawn(move || insist(&mut client(&first_url, 0, first_clock), 0, b"first"));
        let held = server.next(Duration::from_secs(60)).unwrap();
        let busy = client(&url, 1, clock.clone()).upload(MemberIndex(1), Round(1), b"second");
        assert!(matches!(busy, Err(ClientError::Busy { .. })), "{busy:?}");
        (held.answer)(Answer::Stored);
        assert_eq!(first.join().unwrap(), 0);
        let second = scope.spawn(move || insist(&mut client(&url, 1, clock), 1, b"second"));
        (server.next(Duration::from_secs(60)).unwrap().answer)(Answer::Stored);
        second.join().unwrap();
    });
}

#[test]
fn a_member_that_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let (mut server, clock) = serve(HttpServerOptions {
        member_requests_per_second: 1,
        member_requests_burst: 2,
        ..limits()
    });
    let (url, traffic) = (server.url(), server.traffic());
    let send = |number| {
        let (url, clock) = (url.clone(), clock.clone());
        thread::spawn(move || client(&url, number, clock).upload(MemberIndex(number), Round(1), b"update"))
    };
    let taken = |server: &mut HttpMembers, number| {
        let sending = send(number);
        (server.next(Duration::from_secs(60)).unwrap().answer)(Answer::Stored);
        assert_eq!(sending.join().unwrap().unwrap(), Answer::Stored);
    };
    taken(&mut server, 0);
    taken(&mut server, 0);
    let refused = send(0).join().unwrap();
    let Err(ClientError::Busy { retry_after, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(retry_after, Some(Duration::from_secs(1)));
    taken(&mut server, 1);
    clock.advance(Duration::from_secs(1));
    taken(&mut server, 0);
    assert_eq!(traffic.report().refusals["too-many-requests"], 1);
}

/// What the server sends until it ends the connection, and how long that took.
fn until_the_end(stream: &mut TcpStream) -> (String, Duration) {
    let started = Instant::now();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut got = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut got);
    (String::from_utf8_lossy(&got).into_owned(), started.elapsed())
}

#[test]
fn a_head_that_does_not_end_is_not_waited_for() {
    let (server, _) = serve(HttpServerOptions {
        head_timeout: Duration::from_millis(200),
        ..limits()
    });
    let traffic = server.traffic();
    let mut slow = TcpStream::connect(server.address()).unwrap();
    slow.write_all(b"GET /v1/notice HTTP/1.1\r\nHost: x\r\nX-")
        .unwrap();
    let mut silent = TcpStream::connect(server.address()).unwrap();
    for stream in [&mut slow, &mut silent] {
        let (got, took) = until_the_end(stream);
        assert!(!got.contains("200 OK"), "{got}");
        assert!(took < Duration::from_secs(50), "{took:?}");
    }
    // And those connections are gone.
    for _ in 0..500 {
        if traffic.report().connections == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{:?}", traffic.report());
}

fn request(head: &str, facts: &RequestFacts) -> String {
    let mut text = format!("{head}\r\nHost: x\r\n");
    for (name, value) in facts.sign(&key(0)).unwrap() {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text
}

fn facts(nonce: u8, body: &[u8]) -> RequestFacts {
    RequestFacts {
        method: "PUT".to_owned(),
        path: "/v1/rounds/1/updates/0".to_owned(),
        study: StudyId(1),
        terms: terms(),
        time: START,
        nonce: Nonce([nonce; 16]),
        body: ContentDigest::of(body),
    }
}

#[test]
fn a_body_that_does_not_come_is_given_up_and_its_room_is_free_again() {
    let (server, _) = serve(HttpServerOptions {
        timeout: Duration::from_millis(300),
        ..limits()
    });
    let traffic = server.traffic();
    let head = "PUT /v1/rounds/1/updates/0 HTTP/1.1";
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let text = request(head, &facts(1, b"never sent")) + "Content-Length: 1000000\r\n\r\nsome";
    stream.write_all(text.as_bytes()).unwrap();
    let (got, _) = until_the_end(&mut stream);
    assert!(got.starts_with("HTTP/1.1 408"), "{got}");
    assert!(got.contains("body-too-slow"), "{got}");
    let report = traffic.report();
    assert_eq!((report.uploads, report.upload_bytes), (0, 0));
    assert_eq!(report.upload_bytes_peak, 1_000_000);
    // A body that does not say how long it is could be of any length.
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let text =
        request(head, &facts(2, b"")) + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n";
    stream.write_all(text.as_bytes()).unwrap();
    let (got, _) = until_the_end(&mut stream);
    assert!(got.starts_with("HTTP/1.1 411"), "{got}");
}

#[test]
fn who_takes_no_answer_is_not_waited_for() {
    let clock = Arc::new(ManualClock::at(START));
    let blobs = MemoryBlobs::default();
    // More than the buffers of a connection hold.
    let large = blobs.put(&vec![7; 32 * MIB]).unwrap();
    let options = HttpServerOptions {
        stall_timeout: Duration::from_millis(300),
        ..HttpServerOptions::at(LOOPBACK)
    };
    let mut server = HttpMembers::start(options, None, Arc::new(blobs), clock).unwrap();
    server.offer(&large);
    let traffic = server.traffic();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "GET /v1/blobs/{large} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut lent = false;
    for _ in 0..3_000 {
        let report = traffic.report();
        lent |= report.lent_bytes == 32 * MIB;
        if lent && report.lent_bytes == 0 && report.connections == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{lent} {:?}", traffic.report());
}
