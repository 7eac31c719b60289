//! The same study over HTTP on the loopback.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use counterweight_federated::{
    blobs::Blobs,
    clock::{Clock as _, ManualClock},
    coordinator::{Answer, Content, Members as _, Notice, RoundNotice, StudyEvent, StudyOutcome},
    http::{HttpClientOptions, HttpCoordinator, HttpMembers, HttpServerOptions},
    journal::MemoryJournal,
    ledger::{Phase, StudyReader as _},
    member::{BuiltIn, ClientError, CoordinatorClient as _, Member, MemberOptions, MemberOutcome},
    round::{Absence, Refusal},
    wire::{Nonce, RequestFacts},
};
use counterweight_primitives::{
    Address, ContentDigest, MemberIndex, Round, StudyId, UnixMillis, UnixSeconds,
};
use counterweight_provenance::{
    blobs::BlobError,
    signature::{MemorySigner, Signer},
};
use reqwest::blocking::{Client, Response};

use crate::{
    faults::{Faults, FaultyBlobs, FaultyJournal, FaultyLedger, When},
    simulation::{Tampered, reference},
    support::{COORDINATOR, HeldClock, START, Shape, World, account, key},
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn held_world() -> (Arc<HeldClock>, World) {
    let clock = Arc::new(HeldClock(ManualClock::at(START)));
    let mut world = World::with_clock(&Shape::default(), clock.clone());
    world.poll = Duration::from_millis(20);
    (clock, world)
}

/// Over TLS: everything that is tried with a whole study is tried so.
fn serve(world: &World, listen: SocketAddr) -> HttpMembers {
    let blobs: Arc<dyn Blobs> = Arc::new(world.blobs.clone());
    loop {
        match HttpMembers::start(
            HttpServerOptions::at(listen),
            Some(&key(COORDINATOR)),
            blobs.clone(),
            world.clock.clone(),
        ) {
            Ok(server) => return server,
            // The server before it may take a moment to let go of the port.
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn client(world: &World, number: u8, address: SocketAddr) -> HttpCoordinator {
    let terms = ContentDigest::of(&world.terms.to_bytes().unwrap());
    let (url, signer) = (format!("https://{address}"), Arc::new(key(number)));
    HttpCoordinator::new(
        &url,
        account(COORDINATOR),
        world.study,
        terms,
        signer,
        world.clock.clone(),
        HttpClientOptions::default(),
    )
    .unwrap()
}

fn options() -> MemberOptions {
    MemberOptions {
        poll: Duration::from_millis(500),
        ..MemberOptions::default()
    }
}

fn spawn(world: &World, number: u8, address: SocketAddr) -> thread::JoinHandle<MemberOutcome> {
    let (member, mut client, clock) = (
        world.member(number),
        client(world, number, address),
        world.clock.clone(),
    );
    thread::spawn(move || {
        member
            .run(&mut client, &options(), clock.as_ref(), &mut |_| ())
            .unwrap()
    })
}

#[test]
fn four_members_over_http_give_the_model_of_the_simulation() {
    let (_, world) = held_world();
    let mut server = serve(&world, LOOPBACK);
    let members: Vec<_> = (0..4)
        .map(|number| spawn(&world, number, server.address()))
        .collect();
    let outcome = world.run(&mut server).unwrap();
    let expected = reference();
    assert_eq!(outcome.result, expected.result);
    for member in members {
        let outcome = member.join().unwrap();
        assert_eq!((outcome.phase, outcome.survived), (Phase::Finished, 3));
        assert_eq!(outcome.result, Some(expected.result));
    }
}

#[test]
fn masked_members_over_http_give_the_model_of_the_simulation() {
    let clock = Arc::new(HeldClock(ManualClock::at(START)));
    let mut world = World::with_clock(&crate::masked::shape(), clock);
    world.poll = Duration::from_millis(20);
    let mut server = serve(&world, LOOPBACK);
    let members: Vec<_> = (0..9)
        .map(|number| spawn(&world, number, server.address()))
        .collect();
    let outcome = world.run(&mut server).unwrap();
    let simulated = World::new(&crate::masked::shape());
    let expected = simulated.run(&mut simulated.in_process(0..9)).unwrap();
    assert_eq!(outcome.result, expected.result);
    for member in members {
        let outcome = member.join().unwrap();
        assert_eq!((outcome.phase, outcome.survived), (Phase::Finished, 2));
    }
}

#[test]
fn a_long_body_is_sent_in_parts_and_arrives_whole() {
    let (_, world) = held_world();
    let mut server = serve(&world, LOOPBACK);
    world.member(0).join().unwrap();
    let state = world.ledger.study(world.study).unwrap();
    let round = RoundNotice {
        round: Round(1),
        base: ContentDigest([1; 32]),
        commit_by: UnixSeconds(1),
        upload_by: UnixSeconds(2),
    };
    server.announce(&Notice {
        study: world.study,
        terms: state.terms,
        phase: Phase::Running,
        round: Some(round),
        members: vec![account(0)],
    });
    let body: Vec<u8> = (0..1_000_003_u32).map(|at| (at % 251) as u8).collect();
    let (mut client, sent) = (client(&world, 0, server.address()), body.clone());
    let sending = thread::spawn(move || client.upload(MemberIndex(0), Round(1), &sent));
    let delivery = server.next(Duration::from_secs(60)).unwrap();
    assert_eq!(delivery.content, Content::Update(body));
    (delivery.answer)(Answer::Stored);
    assert_eq!(sending.join().unwrap().unwrap(), Answer::Stored);
}

/// Takes part in round 1, commits to round 2 if it gets there in time, and is never heard of again.
fn vanish_in_round_two(world: &World, number: u8, address: SocketAddr) -> thread::JoinHandle<()> {
    let (member, mut client) = (world.member(number), client(world, number, address));
    thread::spawn(move || {
        member.join().unwrap();
        for round in [1, 2].map(Round) {
            let base = loop {
                match client.notice(Duration::from_millis(500)) {
                    Ok(Notice {
                        round: Some(open), ..
                    }) if open.round == round => break open.base,
                    Ok(Notice {
                        round: Some(open), ..
                    }) if open.round > round => return,
                    Ok(Notice {
                        phase: Phase::Finished,
                        ..
                    }) => return,
                    _ => thread::sleep(Duration::from_millis(5)),
                }
            };
            let Some(base) = base_of(&mut client, &base, member.model_bytes_max(), round == Round(1)) else {
                return;
            };
            // The others may be through with round 2 before it gets here: it is lost either way.
            let Ok(Some(assignment)) = member.assignment(round) else {
                return;
            };
            let prepared = member.prepare(&assignment, &base).unwrap();
            let committed = member.commit(&prepared);
            if round == Round(1) {
                committed.unwrap();
                // Whether it hears so or not: its update of round 1 is in the coordinator's hands before it goes on.
                let mut ask = || client.upload(assignment.member, round, &prepared.bytes);
                while ask().is_err_and(|error| error.is_retryable()) {
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
    })
}

/// Fetches the base of a round, again while the coordinator is away. One that is back offers nothing before it has taken
/// up a round: of the first round it will, of a later one it may have gone on.
fn base_of(client: &mut HttpCoordinator, base: &ContentDigest, limit: u64, first: bool) -> Option<Vec<u8>> {
    loop {
        match client.blob(base, limit) {
            Ok(bytes) => return Some(bytes),
            Err(ClientError::Blob(BlobError::Missing { .. })) if first => {}
            Err(ClientError::Blob(BlobError::Missing { .. })) => return None,
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The simulation in which clinic 2 commits in rounds 2 and 3 and uploads nothing.
fn reference_without_the_lost_one() -> StudyOutcome {
    let world = World::new(&Shape::default());
    let mut members = Tampered::new(world.in_process(0..4), |delivery| {
        if delivery.from == account(2) && delivery.round > Round(1) {
            Vec::new()
        } else {
            vec![delivery]
        }
    });
    world.run(&mut members).unwrap()
}

#[test]
fn a_lost_member_and_a_killed_coordinator_leave_the_model_of_the_same_survivors() {
    let expected = reference_without_the_lost_one();
    // Somewhere in each round; the number of the call decides where the coordinator dies.
    for call in [9, 14, 20, 24, 30] {
        let (clock, world) = held_world();
        let mut server = serve(&world, LOOPBACK);
        let address = server.address();
        let members: Vec<_> = [0, 1, 3].map(|number| spawn(&world, number, address)).into();
        let lost = vanish_in_round_two(&world, 2, address);
        let journal = Arc::new(Mutex::new(MemoryJournal::default()));
        let stored = Mutex::new((Round(0), 0));
        // Once all who will ever answer have done so, time runs on.
        let mut watch = |event: &StudyEvent| match event {
            StudyEvent::RoundOpened { round, .. } => *stored.lock().unwrap() = (*round, 0),
            StudyEvent::UpdateStored { round, .. } => {
                let mut stored = stored.lock().unwrap();
                stored.1 += 1;
                if *round > Round(1) && *stored == (*round, 3) {
                    clock.0.advance(Duration::from_secs(95));
                }
            }
            _ => {}
        };
        let mut run = |server: &mut HttpMembers, faults: Arc<Faults>| {
            let ledger = FaultyLedger {
                inner: world.ledger.clone(),
                faults: faults.clone(),
            };
            let blobs = FaultyBlobs {
                inner: world.blobs.clone(),
                faults: faults.clone(),
            };
            let mut notes = FaultyJournal::new(journal.clone(), faults);
            world.run_with(server, &ledger, &blobs, &mut notes, &mut watch)
        };
        let killed = run(&mut server, Faults::at(call, When::Before));
        assert!(killed.is_err(), "call {call}");
        drop(server);
        let mut server = serve(&world, address);
        let outcome = run(&mut server, Faults::at(u64::MAX, When::Before)).unwrap();
        assert_eq!(outcome.result, expected.result, "call {call}");
        let lost_index = outcome
            .state
            .members
            .iter()
            .position(|member| member.account == account(2))
            .unwrap();
        let lost_index = MemberIndex(lost_index as u8);
        for round in &outcome.rounds[1..] {
            assert_eq!(round.absent.len(), 1, "call {call}: {:?}", round.absent);
            assert_eq!(round.absent[0].0, lost_index);
        }
        let last = &outcome.rounds[2].absent[0].1;
        assert!(matches!(last, Absence::NeverCommitted), "{last:?}");
        for member in members {
            assert_eq!(member.join().unwrap().survived, 3);
        }
        lost.join().unwrap();
    }
}

/// A server with one open round and members 0 to 3, and somebody who answers like a coordinator.
struct Bare {
    address: SocketAddr,
    terms: ContentDigest,
    base: ContentDigest,
    secret: ContentDigest,
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Bare {
    fn start() -> Self {
        Self::answering_for(None)
    }

    /// Over TLS for an account, or without.
    fn answering_for(signer: Option<MemorySigner>) -> Self {
        let (_, world) = held_world();
        let terms = Blobs::put(&world.blobs, b"terms").unwrap();
        let base = Blobs::put(&world.blobs, b"base").unwrap();
        let secret = Blobs::put(&world.blobs, b"not for everyone").unwrap();
        let limits = HttpServerOptions {
            update_bytes_max: 1_000,
            ..HttpServerOptions::at(LOOPBACK)
        };
        let signer = signer.as_ref().map(|signer| signer as &dyn Signer);
        let blobs = Arc::new(world.blobs.clone());
        let mut server = HttpMembers::start(limits, signer, blobs, world.clock.clone()).unwrap();
        let (now, address) = (world.clock.now().seconds(), server.address());
        server.announce(&Notice {
            study: StudyId(1),
            terms,
            phase: Phase::Running,
            round: Some(RoundNotice {
                round: Round(2),
                base,
                commit_by: UnixSeconds(now.0 + 60),
                upload_by: UnixSeconds(now.0 + 90),
            }),
            members: (0..4).map(account).collect(),
        });
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.try_recv().is_err() {
                if let Some(delivery) = server.next(Duration::from_millis(10)) {
                    let answer = match delivery.round {
                        Round(2) => Answer::Stored,
                        Round(got) => Answer::Refused(Refusal::WrongRound { expected: 2, got }),
                    };
                    (delivery.answer)(answer);
                }
            }
        });
        Self {
            address,
            terms,
            base,
            secret,
            stop,
            thread: Some(thread),
        }
    }

    fn facts(&self, body: &[u8], nonce: u8) -> RequestFacts {
        RequestFacts {
            method: "PUT".to_owned(),
            path: "/v1/rounds/2/updates/0".to_owned(),
            study: StudyId(1),
            terms: self.terms,
            time: START,
            nonce: Nonce([nonce; 16]),
            body: ContentDigest::of(body),
        }
    }

    fn put(&self, path: &str, headers: &[(&'static str, String)], body: &[u8]) -> Response {
        let request = stranger()
            .put(format!("http://{}{path}", self.address))
            .body(body.to_vec());
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, value))
            .send()
            .unwrap()
    }

    fn get(&self, path: &str) -> Response {
        stranger()
            .get(format!("http://{}{path}", self.address))
            .send()
            .unwrap()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A client that knows nothing of accounts, and believes any certificate.
fn stranger() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}

fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: serde_json::Value = serde_json::from_slice(&response.bytes().unwrap()).unwrap();
    (status, body["error"].as_str().unwrap_or("none").to_owned())
}

fn error(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

const UPDATES: &str = "/v1/rounds/2/updates/0";

#[test]
fn a_request_passes_once_and_its_copy_is_refused() {
    let bare = Bare::start();
    let headers = bare.facts(b"update", 1).sign(&key(0)).unwrap();
    assert_eq!(code(bare.put(UPDATES, &headers, b"update")), error(200, "none"));
    assert_eq!(
        code(bare.put(UPDATES, &headers, b"update")),
        error(409, "replayed")
    );
}

#[test]
fn wrong_signatures_are_refused_and_named() {
    let bare = Bare::start();
    let stranger = MemorySigner::from_secret(&[3; 32]).unwrap();
    let headers = bare.facts(b"update", 1).sign(&stranger).unwrap();
    let response = bare.put(UPDATES, &headers, b"update");
    assert_eq!(response.status(), 403);
    assert!(response.text().unwrap().contains(&stranger.address().to_string()));
    let honest = bare.facts(b"update", 2).sign(&key(0)).unwrap();
    assert_eq!(
        code(bare.put(UPDATES, &honest, b"updatf")),
        error(401, "wrong-signature")
    );
    // Another member's place is part of what is signed, so the recovered account is nobody's.
    assert_eq!(
        code(bare.put("/v1/rounds/2/updates/1", &honest, b"update")),
        error(403, "not-a-member")
    );
    let mut flipped = honest.clone();
    flipped[5]
        .1
        .replace_range(10..11, if &honest[5].1[10..11] == "0" { "1" } else { "0" });
    let (status, _) = code(bare.put(UPDATES, &flipped, b"update"));
    assert!((400..=403).contains(&status), "{status}");
    let elsewhere = RequestFacts {
        study: StudyId(2),
        ..bare.facts(b"update", 3)
    }
    .sign(&key(0))
    .unwrap();
    assert_eq!(
        code(bare.put(UPDATES, &elsewhere, b"update")),
        error(401, "wrong-signature")
    );
}

#[test]
fn old_long_and_unreadable_requests_are_refused() {
    let bare = Bare::start();
    let old = RequestFacts {
        time: UnixMillis(START.0 - 400_000),
        ..bare.facts(b"update", 1)
    };
    let headers = old.sign(&key(0)).unwrap();
    assert_eq!(
        code(bare.put(UPDATES, &headers, b"update")),
        error(409, "wrong-time")
    );
    let long = vec![0; 1_001];
    let headers = bare.facts(&long, 2).sign(&key(0)).unwrap();
    assert_eq!(
        code(bare.put(UPDATES, &headers, &long)),
        error(413, "body-too-long")
    );
    assert_eq!(
        code(bare.put(UPDATES, &[], b"update")),
        error(400, "unreadable-headers")
    );
    let path = "/v1/rounds/1/updates/0";
    let late = RequestFacts {
        path: path.to_owned(),
        ..bare.facts(b"update", 3)
    }
    .sign(&key(0))
    .unwrap();
    assert_eq!(code(bare.put(path, &late, b"update")), error(409, "refused"));
    assert_eq!(code(bare.get("/v1/nothing")), error(404, "no-such-path"));
}

#[test]
fn only_what_a_notice_named_is_given_out() {
    let bare = Bare::start();
    let get = |digest: &ContentDigest| bare.get(&format!("/v1/blobs/{digest}"));
    assert_eq!(get(&bare.base).bytes().unwrap().as_ref(), b"base");
    assert_eq!(get(&bare.terms).bytes().unwrap().as_ref(), b"terms");
    for digest in [bare.secret, ContentDigest::of(b"unknown")] {
        assert_eq!(code(get(&digest)), error(404, "no-such-blob"));
    }
    assert_eq!(
        code(bare.get("/v1/blobs/..%2f..%2fetc%2fpasswd")),
        error(404, "no-such-blob")
    );
}

#[test]
fn a_client_finds_the_study_and_waits_for_news() {
    let bare = Bare::start();
    let url = format!("http://{}", bare.address);
    let clock = Arc::new(ManualClock::at(START));
    let found = HttpCoordinator::discover(&url, clock.clone(), HttpClientOptions::default()).unwrap();
    assert_eq!(found.account, None);
    let notice = found.notice;
    assert_eq!((notice.study, notice.terms), (StudyId(1), bare.terms));
    let signer = Arc::new(key(0));
    let mut client = HttpCoordinator::new(
        &url,
        account(COORDINATOR),
        StudyId(1),
        bare.terms,
        signer,
        clock,
        HttpClientOptions::default(),
    )
    .unwrap();
    assert_eq!(client.notice(Duration::ZERO).unwrap(), notice);
    // Nothing new: the same notice comes back after the wait.
    assert_eq!(client.notice(Duration::from_millis(50)).unwrap(), notice);
    assert_eq!(
        client.upload(MemberIndex(0), Round(2), b"update").unwrap(),
        Answer::Stored
    );
    let late = client.upload(MemberIndex(0), Round(1), b"update").unwrap();
    assert_eq!(late, Answer::Refused(Refusal::WrongRound { expected: 2, got: 1 }));
    assert_eq!(
        client
            .decline(MemberIndex(0), Round(2), &"ü".repeat(5_000))
            .unwrap(),
        Answer::Stored
    );
    drop(bare);
    let gone = client.notice(Duration::ZERO).unwrap_err();
    assert!(gone.is_retryable(), "{gone}");
}

fn over_tls(bare: &Bare, number: u8, coordinator: Address) -> HttpCoordinator {
    HttpCoordinator::new(
        &format!("https://{}", bare.address),
        coordinator,
        StudyId(1),
        bare.terms,
        Arc::new(key(number)),
        Arc::new(ManualClock::at(START)),
        HttpClientOptions::default(),
    )
    .unwrap()
}

#[test]
fn over_tls_both_sides_know_whom_they_talk_to() {
    let bare = Bare::answering_for(Some(key(COORDINATOR)));
    let url = format!("https://{}", bare.address);
    let clock = Arc::new(ManualClock::at(START));
    let found = HttpCoordinator::discover(&url, clock, HttpClientOptions::default()).unwrap();
    assert_eq!(found.account, Some(account(COORDINATOR)));
    let mut client = over_tls(&bare, 0, account(COORDINATOR));
    assert_eq!(client.notice(Duration::ZERO).unwrap(), found.notice);
    let stored = client.upload(MemberIndex(0), Round(2), b"update");
    assert_eq!(stored.unwrap(), Answer::Stored);
    assert_eq!(client.blob(&bare.base, 100).unwrap(), b"base");
    // Another account behind the address, and an address without TLS.
    let error = over_tls(&bare, 0, account(9)).notice(Duration::ZERO).unwrap_err();
    let told = format!("{error:?}");
    assert!(told.contains(&account(COORDINATOR).to_string()), "{told}");
    assert!(
        over_tls(&Bare::start(), 0, account(COORDINATOR))
            .notice(Duration::ZERO)
            .is_err()
    );
}

/// A request that was taken off another connection, signature and all.
#[test]
fn over_tls_a_request_of_another_account_than_the_connection_s_is_refused() {
    let bare = Bare::answering_for(Some(key(COORDINATOR)));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let mut request = client
        .put(format!("https://{}{UPDATES}", bare.address))
        .body("update");
    for (name, value) in bare.facts(b"update", 1).sign(&key(0)).unwrap() {
        request = request.header(name, value);
    }
    assert_eq!(code(request.send().unwrap()), error(403, "other-account"));
}

#[test]
fn a_member_with_another_model_shape_is_told_before_it_trains() {
    let world = World::new(&Shape::default());
    let mut setup = world.setup(0);
    let rows = counterweight_federated::table::Dataset::new(2, vec![0.0; 4], vec![0, 1]).unwrap();
    setup.trainer = std::sync::Arc::new(BuiltIn::new(rows));
    let error = Member::new(setup).err().unwrap();
    assert_eq!(error.to_string(), "rows have 2 values, the model reads 3");
    let mut setup = world.setup(0);
    setup.terms.seed += 1;
    let error = Member::new(setup).err().unwrap();
    assert!(error.to_string().starts_with("the terms have digest"), "{error}");
}
