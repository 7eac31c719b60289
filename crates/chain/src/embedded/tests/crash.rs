//! Killed at any moment, the chain loses at most the block in progress.

use std::path::Path;
use std::time::Duration;

use alloy_primitives::{B256, TxKind, keccak256};
use counterweight_testkit::{Victim, repetitions};

use super::*;

/// Tells the child that it is one, and where its chain is.
const DIRECTORY: &str = "COUNTERWEIGHT_CRASH_TEST_DIRECTORY";

/// What the child does: it writes blocks of fresh slots and says which are made, until it is killed.
#[test]
fn child_writes_blocks_until_killed() {
    use std::io::Write;
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let chain = open(Path::new(&directory));
    let from = account(0);
    if chain.head().number() == 0 {
        deploy_setter(&chain, &from);
    }
    let setter = from.address().create(0);
    let mut out = std::io::stderr();
    loop {
        let nonce = chain.nonce(from.address(), BlockTag::Latest).unwrap();
        let batch = (nonce..nonce + 20)
            .map(|nonce| sign(&from, template(nonce, TxKind::Call(setter), set(nonce, nonce))))
            .collect();
        assert!(chain.submit_batch(batch).iter().all(Result::is_ok));
        let head = chain.head();
        writeln!(out, "made {} {}", head.number(), head.hash()).unwrap();
    }
}

fn open(directory: &Path) -> EmbeddedChain {
    let config = Config {
        history_blocks: Some(8),
        ..Config::default()
    };
    EmbeddedChain::open(directory, Genesis::development(), config).unwrap()
}

#[test]
fn nothing_announced_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..repetitions(4, 200) {
        let victim = Victim::start(
            "embedded::tests::crash::child_writes_blocks_until_killed",
            DIRECTORY,
            directory.path(),
            "made ",
        );
        // Where it is hit follows from the round: after so many blocks and so many microseconds of the next.
        let seed = keccak256(round.to_be_bytes());
        let delay = Duration::from_micros(u64::from(u16::from_be_bytes([seed[1], seed[2]])) / 16);
        let announced = victim.kill_after(1 + usize::from(seed[0] % 6), delay);
        let (number, hash) = announced.last().unwrap().split_once(' ').unwrap();
        let announced: (u64, B256) = (number.parse().unwrap(), hash.parse().unwrap());
        let chain = open(directory.path());
        let kept = chain.block(BlockTag::Number(announced.0)).unwrap();
        assert_eq!(kept.map(|block| block.hash()), Some(announced.1), "round {round}");
        assert!(chain.head().number() <= announced.0 + 1, "round {round}");
        chain
            .check()
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
}
