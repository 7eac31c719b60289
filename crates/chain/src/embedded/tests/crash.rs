//! Killed at any moment, the chain loses at most the block in progress.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use alloy_primitives::{B256, TxKind, keccak256};

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
    let rounds = if std::env::var("CW_TEST_LONG").is_ok_and(|long| long == "1") {
        200u64
    } else {
        4
    };
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "embedded::tests::crash::child_writes_blocks_until_killed",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Where it is hit follows from the round: after so many blocks and so many microseconds of the next.
        let seed = keccak256(round.to_be_bytes());
        let mut announced = (0u64, B256::ZERO);
        let mut read = |line: std::io::Result<String>| {
            let line = line.unwrap();
            if let Some(made) = line.strip_prefix("made ") {
                let (number, hash) = made.split_once(' ').unwrap();
                announced = (number.parse().unwrap(), hash.parse().unwrap());
            }
        };
        for line in lines.by_ref().take(1 + usize::from(seed[0] % 6)) {
            read(line);
        }
        std::thread::sleep(Duration::from_micros(
            u64::from(u16::from_be_bytes([seed[1], seed[2]])) / 16,
        ));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            read(line);
        }
        let chain = open(directory.path());
        let kept = chain.block(BlockTag::Number(announced.0)).unwrap();
        assert_eq!(kept.map(|block| block.hash()), Some(announced.1), "round {round}");
        assert!(chain.head().number() <= announced.0 + 1, "round {round}");
        chain
            .check()
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
}
