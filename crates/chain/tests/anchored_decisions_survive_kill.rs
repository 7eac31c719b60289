//! A process that records decisions, erases people and anchors its log is killed at any moment: nothing it acknowledged is lost,
//! what the chain holds is always a beginning of the log, nothing erased comes back, and every receipt can be proven, to the
//! contract too.

mod support;

use std::{io::Write as _, path::Path, sync::Arc, time::Duration};

use counterweight_chain::{
    embedded::{Config, EmbeddedChain, Genesis},
    ledger::ContractLedger,
    network::Network,
    remote::RemoteChain,
    rpc,
};
use counterweight_primitives::{ContentDigest, Sha256Digest, UnixMillis, UnixSeconds};
use counterweight_provenance::{
    decision::{
        Decision, DecisionBook, DecisionError, Field, Profile, Role, SecretKey, Value, ValueType,
        entry::{DecisionEntry, EntryKind, Flags},
        receipt::{DecisionReceipt, UncheckedDecisionReceipt, sign_all},
    },
    ledger::{AnchorLedger as _, AnchorReader as _, AnchoredHead, LogId, anchor_size},
    log::{
        note::NoteSigner,
        tree::{empty_root, leaf_hash},
    },
};
use counterweight_testkit::{Victim, repetitions};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use support::{Deployed, TestChain, impatient, key};

/// The folder, with the address of the node, the contracts and the log's origin in files.
const FOLDER: &str = "CW_TEST_ANCHORED_FOLDER";
const ENDPOINT: &str = "kill.example";
/// People that decisions are about.
const PEOPLE: u64 = 20;

fn open(folder: &Path) -> DecisionBook {
    let signer = NoteSigner::from_secret(&origin(folder), &[7; 32]).unwrap();
    // By the clock: two processes that reused a random number would hide a key that is used twice.
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&now.as_nanos().to_le_bytes());
    let random = Box::new(ChaCha20Rng::from_seed(seed));
    DecisionBook::open(folder.join("decisions"), signer, SecretKey::new([3; 32]), random).unwrap()
}

fn origin(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("origin")).unwrap()
}

struct Node(Arc<RemoteChain>);

impl Node {
    fn at(url: &str) -> Self {
        Self(Arc::new(
            RemoteChain::connect(url, Some(31_337), impatient()).unwrap(),
        ))
    }
}

impl TestChain for Node {
    fn network(&self) -> Arc<dyn Network> {
        Arc::clone(&self.0) as Arc<dyn Network>
    }

    fn advance(&self, _: u64) {
        unreachable!("time is left alone here")
    }
}

fn profile(book: &mut DecisionBook) -> Arc<Profile> {
    let field = |name: &str, role| Field {
        name: name.to_owned(),
        role,
        kind: ValueType::Integer,
    };
    let fields = vec![field("question", Role::Input), field("answer", Role::Output)];
    let profile = Profile::new(ENDPOINT, ContentDigest([1; 32]), None, fields, None).unwrap();
    book.add_profile(profile).unwrap()
}

/// What is recorded at a number of the endpoint.
fn decision(number: u64) -> Decision {
    Decision {
        subject: format!("subject {}", number % PEOPLE),
        time: UnixMillis(number),
        flags: Flags::default(),
        values: vec![Value::Integer(number as i64), Value::Integer(-(number as i64))],
    }
}

/// Runs only in the process that the test below starts.
#[test]
fn record_erase_and_anchor_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let deployment = serde_json::from_str(&read("deployment")).unwrap();
    let ledger = ContractLedger::new(Node::at(&read("url")).network(), deployment, Arc::new(key(1)));
    let origin = origin(folder);
    let id = LogId::of_origin(&origin);
    let mut book = open(folder);
    let profile = profile(&mut book);
    let mut out = std::io::stderr();
    let mut say = |line: String| writeln!(out, "acknowledged {line}").unwrap();
    let mut next = book.next_number(ENDPOINT);
    loop {
        let size = 1 + next * 7 % 30;
        let batch: Vec<_> = (next..next + size)
            .map(|number| profile.check(decision(number)).unwrap())
            .collect();
        say("appending".to_owned());
        let recorded = book.record(&batch).unwrap();
        let promises: Vec<_> = recorded
            .iter()
            .map(|recorded| recorded.promise(id, UnixSeconds(1)))
            .collect();
        for receipt in sign_all(&origin, &promises, &key(1)).unwrap() {
            say(format!(
                "receipt {}",
                String::from_utf8(receipt.encode().unwrap()).unwrap()
            ));
        }
        next += size;
        let person = next % PEOPLE;
        say(format!("erasing {person} {next}"));
        match book.erase(&[&format!("subject {person}")], "test", UnixMillis(next)) {
            Ok(_) => say(format!("erased {person} {next}")),
            Err(DecisionError::UnknownSubject) => {}
            Err(error) => panic!("{error}"),
        }
        let checkpoint = book.log().checkpoint().clone();
        let size = anchor_size(checkpoint.checkpoint().size);
        let head = ledger.anchored_head(ledger.account(), id).unwrap();
        let (before, old_root) = head.map_or((0, empty_root()), |head| (head.size, head.root));
        let (root, proof) = book
            .log()
            .reader()
            .anchor(before, &old_root, size, &checkpoint)
            .unwrap();
        say("anchoring".to_owned());
        // A transaction of the process that was killed before may have gone first: nothing is announced then.
        if ledger.anchor(id, size, root, &proof).is_ok() {
            say(format!("anchored {size} {root}"));
        }
    }
}

/// Kills of one log: each looks at all that came before, so that many logs take less time than a long one.
const KILLS: u64 = 9;

#[test]
fn what_is_anchored_promised_or_erased_stays_so_when_the_process_is_killed() {
    let chain = EmbeddedChain::in_memory(Genesis::development(), Config::default()).unwrap();
    let server = rpc::serve(chain, ([127, 0, 0, 1], 0).into(), rpc::Options::default()).unwrap();
    let deployed = Deployed::on(&Node::at(&server.url()));
    let kills = repetitions(KILLS, 500);
    let mut seen = Seen::default();
    for first in (0..kills).step_by(KILLS as usize) {
        let trial = Trial::begin(&deployed, &server.url(), first);
        for kill in first..kills.min(first + KILLS) {
            seen.add(&trial.kill(kill));
        }
    }
    assert!(
        seen.anchored > 0 && seen.receipts > 0 && seen.erased > 0,
        "{seen:?}"
    );
    writeln!(std::io::stderr(), "{kills} kills: {seen:?}").unwrap();
}

/// What was acknowledged in all, so that a run which saw nothing is no success.
#[derive(Debug, Default)]
struct Seen {
    receipts: usize,
    erased: usize,
    anchored: usize,
}

impl Seen {
    fn add(&mut self, lines: &[String]) {
        let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
        self.receipts += count("receipt ");
        self.erased += count("erased ");
        self.anchored += count("anchored ");
    }
}

/// A log of its own on the chain that all share.
struct Trial {
    folder: tempfile::TempDir,
    ledger: ContractLedger,
    id: LogId,
    known: std::cell::RefCell<Known>,
}

/// What was acknowledged of one log.
#[derive(Default)]
struct Known {
    receipts: Vec<DecisionReceipt>,
    /// Trees that the log had.
    heads: Vec<(u64, Sha256Digest)>,
    /// Trees that the chain has or had.
    anchors: Vec<(u64, Sha256Digest)>,
    /// For each person the number below which what is about them was erased: only begun, and acknowledged.
    begun: [u64; PEOPLE as usize],
    erased: [u64; PEOPLE as usize],
}

impl Trial {
    fn begin(deployed: &Deployed, url: &str, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = format!("example.com/decisions-{seed}");
        let deployment = serde_json::to_string(&deployed.deployment).unwrap();
        for (name, text) in [
            ("url", url),
            ("deployment", deployment.as_str()),
            ("origin", origin.as_str()),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self {
            folder,
            ledger: deployed.ledger(1),
            id: LogId::of_origin(&origin),
            known: std::cell::RefCell::default(),
        }
    }

    /// Kills once, in a part of the work that the seed chooses, and looks at what is left.
    fn kill(&self, seed: u64) -> Vec<String> {
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        let (mark, longest) =
            [("appending", 4_000), ("erasing", 3_000), ("anchoring", 12_000)][seed as usize % 3];
        let count = 1 + random.next_u64() as usize % 3;
        let delay = Duration::from_micros(random.next_u64() % longest);
        let victim = Victim::start(
            "record_erase_and_anchor_until_killed",
            FOLDER,
            self.folder.path(),
            "acknowledged ",
        );
        let lines = victim.kill_after_mark(mark, count, delay);
        let mut known = self.known.borrow_mut();
        known.read(&lines);
        self.check(&mut known, seed);
        lines
    }

    fn check(&self, known: &mut Known, seed: u64) {
        let book = open(self.folder.path());
        let reader = book.log().reader();
        let checkpoint = book.check().unwrap();
        let tree = checkpoint.checkpoint();
        let head = self.ledger.anchored_head(self.ledger.account(), self.id).unwrap();
        for (size, root) in known.heads.iter().chain(&known.anchors) {
            reader.consistency(*size, root, &checkpoint).unwrap();
        }
        let anchored = head.map_or((0, empty_root()), |head| (head.size, head.root));
        reader.consistency(anchored.0, &anchored.1, &checkpoint).unwrap();
        let largest = known
            .anchors
            .iter()
            .map(|(size, _)| *size)
            .max()
            .unwrap_or_default();
        assert!(anchored.0 >= largest, "seed {seed}: an anchor was lost");
        known.anchors.push(anchored);
        known.heads.push((tree.size, tree.root));
        // Every number once, in the order of the log.
        let entries = reader.entries(&checkpoint, 0, tree.size).unwrap();
        let numbers = entries
            .iter()
            .filter_map(|(_, bytes)| match DecisionEntry::decode(bytes)?.kind {
                EntryKind::Decision { counter } => Some(counter),
                EntryKind::Explanation { .. } | EntryKind::Correction { .. } => None,
            });
        assert!(numbers.eq(0..book.next_number(ENDPOINT)), "seed {seed}");
        for (place, receipt) in known.receipts.iter().enumerate() {
            self.check_receipt(&book, receipt, known);
            // To the contract a few: each is a call.
            if place % 41 == seed as usize % 41 {
                self.check_anchored(&book, receipt);
            }
        }
    }

    /// The receipt's leaf is under the root that the chain has. That may still change: a transaction of the killed process can be
    /// on its way to the block, and the contract knows its newest root only.
    fn check_anchored(&self, book: &DecisionBook, receipt: &DecisionReceipt) {
        let owner = self.ledger.account();
        let index = receipt.promise().index;
        let mut head = self.ledger.anchored_head(owner, self.id).unwrap();
        while let Some(AnchoredHead { size, .. }) = head
            && size > index
        {
            let log = book.log();
            let inclusion = log.reader().inclusion_at(index, size, log.checkpoint());
            let (leaf, path) = inclusion.unwrap();
            if self
                .ledger
                .is_anchored(owner, self.id, index, leaf, &path)
                .unwrap()
            {
                return;
            }
            let newer = self.ledger.anchored_head(owner, self.id).unwrap();
            assert_ne!(newer, head, "entry {index} is not under the anchored root");
            head = newer;
        }
    }

    /// The receipt is kept: its leaf is at its place, and its decision opens unless it was erased.
    fn check_receipt(&self, book: &DecisionBook, receipt: &DecisionReceipt, known: &Known) {
        let promise = receipt.promise();
        let (entry, _) = book.prove(promise.index).unwrap();
        assert_eq!(leaf_hash(&entry.encode()), promise.leaf);
        let counter = promise.counter;
        assert_eq!(entry.kind, EntryKind::Decision { counter });
        let person = (counter % PEOPLE) as usize;
        match book.disclose(promise.index, |_| true, false) {
            Ok(_) => assert!(counter >= known.erased[person], "number {counter} was erased"),
            // An erasure that was under way when the process died may have happened without being acknowledged.
            Err(DecisionError::Erased { .. }) => {
                assert!(counter < known.begun[person], "number {counter} was not erased");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

impl Known {
    fn read(&mut self, lines: &[String]) {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |place: usize| words[place].parse::<u64>().unwrap();
            match words[0] {
                "receipt" => {
                    let receipt = UncheckedDecisionReceipt::decode(words[1].as_bytes()).unwrap();
                    self.receipts.push(receipt.verify(key(1).account()).unwrap());
                }
                "erasing" => self.begun[number(1) as usize] = number(2),
                "erased" => self.erased[number(1) as usize] = number(2),
                "anchored" => self.anchors.push((number(1), words[2].parse().unwrap())),
                _ => {}
            }
        }
    }
}
