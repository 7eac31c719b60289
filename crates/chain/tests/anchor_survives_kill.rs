//! A process that appends to a log and anchors it is killed at any moment: what the chain holds is always a beginning of
//! the log, and nothing acknowledged is lost.

mod support;

use std::{io::Write as _, path::Path, sync::Arc, time::Duration};

use counterweight_chain::{
    embedded::{Config, EmbeddedChain, Genesis},
    ledger::ContractLedger,
    network::Network,
    remote::RemoteChain,
    rpc,
};
use counterweight_primitives::Sha256Digest;
use counterweight_provenance::{
    ledger::{AnchorLedger as _, AnchorReader as _, LogId},
    log::{Log, note::NoteSigner, tree::empty_root},
};
use counterweight_testkit::{Victim, repetitions};
use support::{Deployed, TestChain, impatient, key};

/// The folder, with the address of the node and the contracts in files.
const FOLDER: &str = "CW_TEST_ANCHOR_FOLDER";
const ORIGIN: &str = "example.com/log";

fn open(folder: &Path) -> Log {
    let signer = NoteSigner::from_secret(ORIGIN, &[7; 32]).unwrap();
    Log::open(folder.join("log"), signer).unwrap()
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

/// Runs only in the process that the test below starts.
#[test]
fn append_and_anchor_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let deployment = serde_json::from_str(&read("deployment")).unwrap();
    let ledger = ContractLedger::new(Node::at(&read("url")).network(), deployment, Arc::new(key(1)));
    let id = LogId::of_origin(ORIGIN);
    let mut log = open(folder);
    let mut out = std::io::stderr();
    loop {
        let first = log.checkpoint().checkpoint().size;
        let entries: Vec<_> = (first..first + 1 + first * 7 % 90)
            .map(|i| format!("entry {i}"))
            .collect();
        log.append(&entries).unwrap();
        let tree = log.checkpoint().checkpoint();
        writeln!(out, "acknowledged {} {}", tree.size, tree.root).unwrap();
        let anchored = ledger.anchored_head(ledger.account(), id).unwrap();
        let (size, root) = anchored.map_or((0, empty_root()), |head| (head.size, head.root));
        let proof = log.reader().consistency(size, &root, log.checkpoint()).unwrap();
        // A transaction of the process that was killed before may have gone first: nothing is announced then.
        if ledger.anchor(id, tree.size, tree.root, &proof).is_ok() {
            writeln!(out, "acknowledged {} {}", tree.size, tree.root).unwrap();
        }
    }
}

#[test]
fn the_chain_never_holds_what_the_log_does_not() {
    let chain = EmbeddedChain::in_memory(Genesis::development(), Config::default()).unwrap();
    let server = rpc::serve(chain, ([127, 0, 0, 1], 0).into(), rpc::Options::default()).unwrap();
    let deployed = Deployed::on(&Node::at(&server.url()));
    let ledger = deployed.ledger(1);
    let folder = deployed.directory.path();
    std::fs::write(folder.join("url"), server.url()).unwrap();
    let deployment = serde_json::to_string(&deployed.deployment).unwrap();
    std::fs::write(folder.join("deployment"), deployment).unwrap();

    let mut acknowledged: Vec<(u64, Sha256Digest)> = Vec::new();
    for round in 0..repetitions(4, 250) {
        let victim = Victim::start("append_and_anchor_until_killed", FOLDER, folder, "acknowledged ");
        // An append or a transaction is under way when it dies.
        let announced = victim.kill_after(1 + round as usize % 4, Duration::from_millis(round * 7 % 20));
        acknowledged.extend(announced.iter().map(|line| {
            let (size, root) = line.split_once(' ').unwrap();
            (size.parse().unwrap(), root.parse().unwrap())
        }));
        let log = open(folder);
        let reader = log.reader();
        let checkpoint = reader.audit().unwrap();
        for (size, root) in &acknowledged {
            reader.consistency(*size, root, &checkpoint).unwrap();
        }
        if let Some(head) = ledger
            .anchored_head(ledger.account(), LogId::of_origin(ORIGIN))
            .unwrap()
        {
            reader.consistency(head.size, &head.root, &checkpoint).unwrap();
        }
    }
}
