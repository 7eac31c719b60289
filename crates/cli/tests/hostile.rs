//! A member that breaks the rules, against a running coordinator: every attempt gets its plain code and the study goes on.
//!
//! Requests are written by hand from `docs/spec/member-protocol.md`, so that what is tested is what is on the wire.

mod support;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use counterweight_chain::{
    deploy::Deployment,
    keys::{LocalKey, development_key},
    ledger::ContractLedger,
    remote::{RemoteChain, RemoteOptions},
};
use counterweight_federated::{
    ledger::{StudyLedger as _, StudyReader as _},
    update::Update,
    wire::{Nonce, RequestFacts},
};
use counterweight_primitives::{AssetId, ContentDigest, MemberIndex, Round, StudyId, UnixMillis};
use serde_json::{Value, json};
use support::{Project, Running, free_port};

/// Coordinates of the example's model: a weight for each of 30 columns, and one more.
const COORDINATES: usize = 31;
/// Long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(180);

/// The fourth clinic, with its real key and a will of its own.
struct Hostile {
    key: Arc<LocalKey>,
    ledger: ContractLedger,
    members: String,
    chain: String,
    nonces: u128,
}

/// The open round as a notice has it.
#[derive(Clone, Copy)]
struct Opened {
    study: StudyId,
    terms: ContentDigest,
    round: Round,
    base: ContentDigest,
}

type Headers = Vec<(&'static str, String)>;

impl Hostile {
    /// Publishes the clinics' datasets, starts a coordinator and three honest members, and joins as the fourth.
    fn join(project: &Project) -> (Self, Running, Vec<Running>) {
        project.json(&["dataset", "publish"]);
        let dataset = project.json(&["dataset", "show", "clinic-d"]);
        let (members, chain) = (
            format!("127.0.0.1:{}", free_port()),
            format!("127.0.0.1:{}", free_port()),
        );
        // Without TLS, so that requests can be spoiled byte by byte.
        let listen = [
            "train", "--listen", &members, "--plain", "--rpc", &chain, "--json",
        ];
        let coordinator = project.spawn(&listen);
        let key = Arc::new(development_key(4, 31_337).unwrap());
        let options = RemoteOptions {
            poll_interval: Duration::from_millis(20),
            ..RemoteOptions::default()
        };
        let network = Arc::new(patiently("the chain answers", || {
            RemoteChain::connect(&format!("http://{chain}"), Some(31_337), options.clone()).ok()
        }));
        let deployment =
            Deployment::load(&project.path().join(".counterweight/deployments/local.json")).unwrap();
        let acting_for = |key: &Arc<LocalKey>| {
            ContractLedger::new(
                Arc::clone(&network) as _,
                deployment.clone(),
                Arc::clone(key) as _,
            )
        };
        let ledger = acting_for(&key);
        let hostile = Self {
            key,
            ledger,
            members,
            chain,
            nonces: 0,
        };
        let notice = patiently("the study enrols", || hostile.notice());
        let study = StudyId(notice["study"].as_u64().unwrap());
        let bond = hostile.ledger.study(study).unwrap().bond;
        acting_for(&Arc::new(development_key(0, 31_337).unwrap()))
            .mint_development_tokens(hostile.ledger.account(), bond)
            .unwrap();
        let asset = AssetId(dataset["asset"].as_u64().unwrap());
        let honest = ["clinic-a", "clinic-b", "clinic-c"];
        let honest = honest.map(|clinic| hostile.honest(project, clinic));
        // The last place, so that the study does not begin without the others.
        patiently("the others join", || {
            (hostile.ledger.study(study).unwrap().members.len() == 3).then_some(())
        });
        assert_eq!(hostile.ledger.join(study, asset).unwrap(), MemberIndex(3));
        (hostile, coordinator, honest.into())
    }

    fn honest(&self, project: &Project, clinic: &str) -> Running {
        let (coordinator, chain) = (
            format!("http://{}", self.members),
            format!("http://{}", self.chain),
        );
        let start = [
            "member",
            "start",
            "--coordinator",
            &coordinator,
            "--network",
            &chain,
        ];
        project.spawn(&[&start[..], &["--dataset", clinic, "--json"]].concat())
    }

    fn notice(&self) -> Option<Value> {
        let (status, body) = exchange(&self.members, "GET", "/v1/notice", &Vec::new(), &[])?;
        (status == 200).then_some(body)
    }

    /// Waits until this round is open.
    fn round(&self, round: u32) -> Opened {
        let notice = patiently("the round opens", || {
            let notice = self.notice()?;
            (notice["round"]["round"] == round).then_some(notice)
        });
        let digest = |value: &Value| value.as_str().unwrap().parse().unwrap();
        Opened {
            study: StudyId(notice["study"].as_u64().unwrap()),
            terms: digest(&notice["terms"]),
            round: Round(round),
            base: digest(&notice["round"]["base"]),
        }
    }

    fn commit(&self, open: Opened, update: &[u8]) {
        let digest = ContentDigest::of(update);
        self.ledger
            .commit_update(open.study, open.round, MemberIndex(3), digest)
            .unwrap();
    }

    fn sign(&mut self, open: Opened, path: &str, body: &[u8], key: &LocalKey) -> Headers {
        self.nonces += 1;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let facts = RequestFacts {
            method: "PUT".to_owned(),
            path: path.to_owned(),
            study: open.study,
            terms: open.terms,
            time: UnixMillis(u64::try_from(since.unwrap().as_millis()).unwrap()),
            nonce: Nonce(self.nonces.to_be_bytes()),
            body: ContentDigest::of(body),
        };
        facts.sign(key).unwrap()
    }

    fn put(&self, path: &str, headers: &Headers, body: &[u8]) -> (u16, Value) {
        patiently("the coordinator answers", || {
            exchange(&self.members, "PUT", path, headers, body)
        })
    }

    /// Uploads as its own member, properly signed.
    fn upload(&mut self, open: Opened, update: &[u8]) -> (u16, Value) {
        let path = path_of(open.round.0, 3);
        let key = Arc::clone(&self.key);
        let headers = self.sign(open, &path, update, &key);
        self.put(&path, &headers, update)
    }
}

fn path_of(round: u32, member: u8) -> String {
    format!("/v1/rounds/{round}/updates/{member}")
}

fn update(open: Opened, coordinates: Vec<i32>) -> Vec<u8> {
    Update {
        study: open.study,
        round: open.round,
        member: MemberIndex(3),
        base: open.base,
        examples: 10,
        coordinates,
    }
    .encode()
}

fn patiently<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited for: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// One request on a connection of its own; nothing where there is no connection, or the coordinator is busy.
fn exchange(host: &str, method: &str, path: &str, headers: &Headers, body: &[u8]) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(host).ok()?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    // A coordinator that turns a request away by its headers may not read the body.
    stream.write_all(request.as_bytes()).ok()?;
    stream.write_all(body).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    (status != 503).then_some((status, body))
}

/// Status and code, and what was refused if it was an update that was.
fn code((status, body): &(u16, Value)) -> (u16, String) {
    assert!(
        body["message"].as_str().is_some_and(|said| !said.is_empty()),
        "{body}"
    );
    let error = body["error"].as_str().unwrap();
    let refusal = body["refusal"]["refusal"].as_str();
    (
        *status,
        refusal.map_or_else(|| error.to_owned(), |refusal| format!("{error}: {refusal}")),
    )
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Rounds in which each clinic's update counted, in the order of their names.
fn survived(run: &Value) -> Vec<(String, u64)> {
    let members = run["members"].as_array().unwrap().iter();
    let mut survived: Vec<_> = members
        .map(|member| {
            let name = member["name"].as_str().unwrap().to_owned();
            (name, member["survived"].as_u64().unwrap())
        })
        .collect();
    survived.sort();
    survived
}

#[test]
fn hostile_updates_get_plain_codes_and_the_study_goes_on() {
    let project = Project::new();
    let (mut hostile, coordinator, mut members) = Hostile::join(&project);
    let key = Arc::clone(&hostile.key);

    let open = hostile.round(1);
    let (path, honest) = (path_of(1, 3), update(open, vec![1; COORDINATES]));
    let signed = hostile.sign(open, &path, &honest, &key);
    let other_body = update(open, vec![2; COORDINATES]);
    let told = hostile.put(&path, &signed, &other_body);
    assert_eq!(code(&told), is(401, "wrong-signature"), "{told:?}");
    let stranger = development_key(9, 31_337).unwrap();
    let by_stranger = hostile.sign(open, &path, &honest, &stranger);
    let told = hostile.put(&path, &by_stranger, &honest);
    assert_eq!(code(&told), is(403, "not-a-member"), "{told:?}");
    let in_anothers_place = path_of(1, 0);
    let headers = hostile.sign(open, &in_anothers_place, &honest, &key);
    let told = hostile.put(&in_anothers_place, &headers, &honest);
    assert_eq!(code(&told), is(422, "refused: not-a-member"), "{told:?}");

    let fresh = hostile.sign(open, &path, &honest, &key);
    let told = hostile.put(&path, &fresh, &honest);
    assert_eq!(code(&told), is(409, "refused: not-committed"), "{told:?}");
    let told = hostile.put(&path, &fresh, &honest);
    assert_eq!(code(&told), is(409, "replayed"), "{told:?}");

    let short = update(open, vec![1; COORDINATES - 1]);
    hostile.commit(open, &short);
    let told = hostile.upload(open, &honest);
    assert_eq!(code(&told), is(422, "refused: not-the-committed"), "{told:?}");
    let told = hostile.upload(open, &short);
    assert_eq!(code(&told), is(422, "refused: wrong-shape"), "{told:?}");
    let shape = json!({"refusal": "wrong-shape", "expected": COORDINATES, "got": COORDINATES - 1});
    assert_eq!(told.1["refusal"], shape);

    let open = hostile.round(2);
    let told = hostile.upload(open, &honest);
    assert_eq!(code(&told), is(409, "refused: wrong-round"), "{told:?}");
    // `clip = 10`, and one unit is 2^-24.
    let mut large = vec![0; COORDINATES];
    large[0] = 11 << 24;
    let large = update(open, large);
    hostile.commit(open, &large);
    let told = hostile.upload(open, &large);
    assert_eq!(code(&told), is(422, "refused: beyond-clip"), "{told:?}");

    // It mends its ways, and nothing is held against it.
    hostile.round(3);
    members.push(hostile.honest(&project, "clinic-d"));
    let finished = coordinator.finish().ends(0).json();
    let expected = [("clinic-a", 3), ("clinic-b", 3), ("clinic-c", 3), ("clinic-d", 1)];
    assert_eq!(
        survived(&finished),
        expected.map(|(name, rounds)| (name.to_owned(), rounds))
    );
    for member in members {
        assert_eq!(member.finish().ends(0).json()["result"], finished["result"]);
    }
    project.run(&["verify", "model", "tumour@1"]).ends(0);
}

#[test]
fn an_update_after_the_deadline_is_late_and_its_member_may_come_back() {
    let simulated = Project::new();
    simulated.edit("rounds = 3", "rounds = 1");
    let expected = simulated.json(&["train"]);

    let project = Project::new();
    project.edit("rounds = 3", "rounds = 1");
    // Nothing closes without the fourth, so the round stays open beyond its deadline until its time is over.
    project.edit("quorum = 2", "quorum = 4");
    project.edit("round-timeout = \"60s\"", "round-timeout = \"5s\"");
    project.edit("close-timeout = \"60s\"", "close-timeout = \"8s\"");
    let (mut hostile, coordinator, mut members) = Hostile::join(&project);
    let open = hostile.round(1);
    let late = update(open, vec![1; COORDINATES]);
    let told = patiently("the deadline passes", || {
        let told = hostile.upload(open, &late);
        (code(&told) != is(409, "refused: not-committed")).then_some(told)
    });
    assert_eq!(code(&told), is(409, "refused: late"), "{told:?}");

    members.push(hostile.honest(&project, "clinic-d"));
    let finished = coordinator.finish().ends(0).json();
    assert_eq!(finished["result"], expected["result"]);
    for member in members {
        assert_eq!(member.finish().ends(0).json()["result"], expected["result"]);
    }
}
