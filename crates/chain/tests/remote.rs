//! What a remote chain does when the node or the network in between misbehaves.

#[path = "support/fake_node.rs"]
mod fake_node;
mod support;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256, keccak256};
use counterweight_chain::network::{At, Call, ChainError, LogQuery, Network as _};
use counterweight_chain::remote::{RemoteChain, RemoteOptions};
use fake_node::{FakeNode, Reply};
use serde_json::{Value, json};
use support::{Anvil, TestChain as _, impatient, key};

fn connect(node: &FakeNode, options: RemoteOptions) -> RemoteChain {
    RemoteChain::connect(&node.endpoint, Some(31_337), options).unwrap()
}

fn transfer() -> Call {
    Call {
        to: Some(Address::repeat_byte(7)),
        data: Bytes::new(),
        value: U256::from(1),
    }
}

fn received(node: &FakeNode) -> Vec<Bytes> {
    node.state.lock().unwrap().received.clone()
}

#[test]
fn a_connection_that_drops_while_sending_sends_the_same_bytes_again() {
    let node = FakeNode::start(|state, method, before, parameters| {
        (method == "eth_sendRawTransaction" && before == 0).then(|| {
            // It arrived; only the answer is lost.
            let raw: Bytes = parameters[0].as_str().unwrap().parse().unwrap();
            state.received.push(raw.clone());
            state.include(&raw);
            Reply::Drop
        })
    });
    let inclusion = connect(&node, impatient())
        .transact(&key(0), &transfer())
        .unwrap();
    let received = received(&node);
    assert_eq!(received.len(), 2);
    assert_eq!(received[0], received[1]);
    assert_eq!(inclusion.transaction, keccak256(&received[0]));
    assert_eq!(node.state.lock().unwrap().included.len(), 1);
}

#[test]
fn a_used_nonce_after_a_lost_answer_is_our_own_transaction() {
    let node = FakeNode::start(|state, method, before, parameters| match (method, before) {
        ("eth_sendRawTransaction", 0) => {
            let raw: Bytes = parameters[0].as_str().unwrap().parse().unwrap();
            state.received.push(raw.clone());
            state.include(&raw);
            Some(Reply::Drop)
        }
        ("eth_sendRawTransaction", _) => Some(Reply::Error(-32_000, "nonce too low", Value::Null)),
        _ => None,
    });
    connect(&node, impatient())
        .transact(&key(0), &transfer())
        .unwrap();
    assert_eq!(node.state.lock().unwrap().included.len(), 1);
    assert_eq!(received(&node).len(), 1);
}

#[test]
fn a_nonce_that_somebody_else_used_is_chosen_anew() {
    another_nonce_after("nonce too low: next nonce 5, tx nonce 0");
}

#[test]
fn a_nonce_at_which_somebody_elses_transaction_waits_is_chosen_anew() {
    another_nonce_after("replacement transaction underpriced");
}

fn another_nonce_after(refusal: &'static str) {
    let node = FakeNode::start(move |state, method, before, parameters| {
        (method == "eth_sendRawTransaction" && before == 0).then(|| {
            state
                .received
                .push(parameters[0].as_str().unwrap().parse().unwrap());
            state.nonce = 5;
            Reply::Error(-32_000, refusal, Value::Null)
        })
    });
    connect(&node, impatient())
        .transact(&key(0), &transfer())
        .unwrap();
    let received = received(&node);
    assert_eq!(received.len(), 2);
    assert_ne!(received[0], received[1]);
    assert_eq!(node.state.lock().unwrap().included.len(), 1);
}

#[test]
fn a_slow_receipt_is_waited_for_without_sending_again() {
    let node = FakeNode::start(|state, method, before, parameters| match method {
        "eth_sendRawTransaction" => {
            let raw: Bytes = parameters[0].as_str().unwrap().parse().unwrap();
            let hash = keccak256(&raw);
            state.received.push(raw);
            state.waiting.insert(hash);
            Some(Reply::Result(json!(hash)))
        }
        "eth_getTransactionReceipt" if before == 6 => {
            let raw = state.received[0].clone();
            state.include(&raw);
            None
        }
        // A node that is away for a moment is no reason to give up.
        "eth_getTransactionReceipt" if before == 3 => Some(Reply::Raw(502, "<html>bad gateway</html>")),
        _ => None,
    });
    connect(&node, impatient())
        .transact(&key(0), &transfer())
        .unwrap();
    assert_eq!(received(&node).len(), 1);
}

#[test]
fn a_transaction_that_a_reorganisation_drops_is_handed_over_again_and_counted_once() {
    let node = FakeNode::start(|state, method, before, _| {
        match (method, before) {
            // The block it was in is replaced, and the pool has forgotten it.
            ("eth_getTransactionReceipt", 1) => {
                state.fork = 1;
                state.head = 1;
                state.nonce = 0;
                state.included.clear();
            }
            // Blocks go on.
            ("eth_getTransactionReceipt", 3..) => state.head += 1,
            _ => {}
        }
        None
    });
    let options = RemoteOptions {
        confirmations: 2,
        ..impatient()
    };
    let inclusion = connect(&node, options).transact(&key(0), &transfer()).unwrap();
    let received = received(&node);
    assert_eq!(received.len(), 2);
    assert_eq!(received[0], received[1]);
    assert_eq!(inclusion.block.number, 2);
    let state = node.state.lock().unwrap();
    assert_eq!(inclusion.block.hash, state.block_hash(2));
    assert!(state.head >= 4);
}

#[test]
fn a_receipt_from_a_block_that_is_no_longer_there_does_not_count() {
    let node = FakeNode::start(|state, method, before, _| {
        // The receipt still names the old block for a while.
        if method == "eth_getBlockByNumber" && state.asked.contains_key("eth_getTransactionReceipt") {
            state.fork = u64::from(before < 12);
        } else {
            state.fork = 0;
        }
        None
    });
    let inclusion = connect(&node, impatient())
        .transact(&key(0), &transfer())
        .unwrap();
    assert_eq!(inclusion.block.hash, node.state.lock().unwrap().block_hash(1));
    assert!(node.state.lock().unwrap().asked["eth_getTransactionReceipt"] > 1);
}

#[test]
fn a_transaction_whose_nonce_another_one_took_is_reported() {
    let node = FakeNode::start(|state, method, _, parameters| {
        (method == "eth_sendRawTransaction").then(|| {
            let raw: Bytes = parameters[0].as_str().unwrap().parse().unwrap();
            state.received.push(raw.clone());
            state.nonce = 1;
            Reply::Result(json!(keccak256(&raw)))
        })
    });
    let error = connect(&node, impatient())
        .transact(&key(0), &transfer())
        .unwrap_err();
    assert!(
        matches!(&error, ChainError::Rejected { reason } if reason.contains("took nonce 0")),
        "{error}"
    );
    assert_eq!(received(&node).len(), 1);
}

#[test]
fn a_transaction_that_is_never_included_is_named_when_time_is_up() {
    let node = FakeNode::start(|state, method, _, parameters| {
        (method == "eth_sendRawTransaction").then(|| {
            let raw: Bytes = parameters[0].as_str().unwrap().parse().unwrap();
            let hash = keccak256(&raw);
            state.received.push(raw);
            state.waiting.insert(hash);
            Reply::Result(json!(hash))
        })
    });
    let options = RemoteOptions {
        inclusion_timeout: Duration::from_millis(50),
        ..impatient()
    };
    let error = connect(&node, options)
        .transact(&key(0), &transfer())
        .unwrap_err();
    let hash = keccak256(&received(&node)[0]);
    assert!(matches!(error, ChainError::TimedOut { transaction, .. } if transaction == hash));
    assert!(error.is_retryable());
}

#[test]
fn a_chain_without_a_base_fee_gets_legacy_transactions() {
    let node = FakeNode::start(|state, _, _, _| {
        state.base_fee = false;
        None
    });
    connect(&node, impatient())
        .transact(&key(0), &transfer())
        .unwrap();
    assert!(received(&node)[0][0] >= 0xc0);
}

#[test]
fn a_node_that_does_not_know_fee_markets_gets_legacy_transactions() {
    let node = FakeNode::start(|_, method, before, _| {
        (method == "eth_sendRawTransaction" && before == 0).then_some(Reply::Error(
            -32_000,
            "transaction type not supported",
            Value::Null,
        ))
    });
    connect(&node, impatient())
        .transact(&key(0), &transfer())
        .unwrap();
    assert!(received(&node)[0][0] >= 0xc0);
}

#[test]
fn another_chain_is_refused() {
    let node = FakeNode::start(|_, _, _, _| None);
    let error = RemoteChain::connect(&node.endpoint, Some(1), impatient()).unwrap_err();
    assert!(matches!(
        error,
        ChainError::WrongChain {
            expected: 1,
            got: 31_337
        }
    ));
    assert_eq!(
        RemoteChain::connect(&node.endpoint, None, impatient())
            .unwrap()
            .chain_id(),
        31_337
    );
}

#[test]
fn questions_are_asked_again_while_nobody_answers() {
    let node = FakeNode::start(|_, method, before, _| match (method, before) {
        ("eth_getTransactionCount", 0) => Some(Reply::Drop),
        ("eth_getTransactionCount", 1) => Some(Reply::Raw(503, "")),
        ("eth_getTransactionCount", 2) => Some(Reply::Error(429, "too many requests", Value::Null)),
        _ => None,
    });
    assert_eq!(connect(&node, impatient()).nonce(Address::ZERO).unwrap(), 0);
}

#[test]
fn answers_that_make_no_sense_are_told_apart_from_silence() {
    let node = FakeNode::start(|_, method, _, _| match method {
        "eth_getTransactionCount" => Some(Reply::Raw(200, "<html>hello\u{1b}[2J</html>")),
        "eth_getBalance" => Some(Reply::Result(json!("many"))),
        "eth_getCode" => Some(Reply::Raw(200, "{\"jsonrpc\":\"2.0\",\"id\":0}")),
        "eth_getBlockByNumber" => Some(Reply::Result(json!({ "number": "0x1" }))),
        "eth_call" => Some(Reply::Error(-32_000, "missing trie node d0", Value::Null)),
        _ => None,
    });
    let chain = connect(&node, impatient());
    for error in [
        chain.nonce(Address::ZERO).unwrap_err(),
        chain.balance(Address::ZERO, At::Latest).unwrap_err(),
        chain.code(Address::ZERO, At::Latest).unwrap_err(),
        chain.head().unwrap_err(),
    ] {
        assert!(matches!(error, ChainError::Malformed { .. }), "{error:?}");
        assert!(!error.is_retryable() && !error.to_string().contains('\u{1b}'));
    }
    let past = chain.call(Address::ZERO, &transfer(), At::Block(3)).unwrap_err();
    assert!(matches!(past, ChainError::StateMissing { number: 3 }));
}

#[test]
fn a_revert_gives_its_data_in_every_form_nodes_use() {
    let node = FakeNode::start(|_, method, before, _| {
        (method == "eth_call").then(|| match before {
            0 => Reply::Error(3, "execution reverted: custom error", json!("0x01020304")),
            1 => Reply::Error(-32_015, "VM execution error: Reverted", json!("0x01020304")),
            2 => Reply::Error(-32_000, "execution reverted", json!({ "data": "0x01020304" })),
            _ => Reply::Error(-32_000, "execution reverted", Value::Null),
        })
    });
    let chain = connect(&node, impatient());
    for expected in [&[1, 2, 3, 4][..], &[1, 2, 3, 4], &[1, 2, 3, 4], &[]] {
        let error = chain.call(Address::ZERO, &transfer(), At::Latest).unwrap_err();
        assert!(
            matches!(&error, ChainError::Reverted { data } if **data == *expected),
            "{error:?}"
        );
    }
}

#[test]
fn nobody_listening_is_unreachable_and_the_secret_of_an_endpoint_stays_one() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "https"] {
        let endpoint = format!("{scheme}://user:password@{free}/v3/secret?key=hidden");
        let error = RemoteChain::connect(&endpoint, None, impatient()).unwrap_err();
        assert!(matches!(error, ChainError::Unreachable { .. }), "{error:?}");
        let all = format!("{error:?}");
        assert!(
            !["password", "secret", "hidden"]
                .iter()
                .any(|word| all.contains(word)),
            "{all}"
        );
    }
    for endpoint in ["ftp://example.org", "127.0.0.1:8545", ""] {
        let error = RemoteChain::connect(endpoint, None, impatient()).unwrap_err();
        assert!(matches!(error, ChainError::Rejected { .. }), "{error:?}");
    }
}

#[test]
fn a_limit_on_event_queries_is_met_with_smaller_ones() {
    let node = FakeNode::start(|state, method, _, parameters| {
        state.head = 100;
        (method == "eth_getLogs").then(|| {
            let bound = |name: &str| {
                let text = parameters[0][name].as_str().unwrap().to_owned();
                u64::from_str_radix(&text[2..], 16).unwrap()
            };
            let (from, to) = (bound("fromBlock"), bound("toBlock"));
            if to - from >= 10 {
                return Reply::Error(-32_005 - 1, "block range is too wide", Value::Null);
            }
            let logs: Vec<_> = (from..=to)
                .map(|number| {
                    json!({
                        "address": Address::ZERO, "topics": [], "data": "0x",
                        "blockNumber": format!("{number:#x}"), "logIndex": "0x0",
                        "transactionHash": keccak256([1]), "removed": number == 50,
                    })
                })
                .collect();
            Reply::Result(json!(logs))
        })
    });
    let logs = connect(&node, impatient())
        .logs(&LogQuery {
            from: 3,
            ..LogQuery::default()
        })
        .unwrap();
    let blocks: Vec<_> = logs.iter().map(|log| log.block).collect();
    assert_eq!(
        blocks,
        (3..=100).filter(|number| *number != 50).collect::<Vec<_>>()
    );
}

#[test]
fn parallel_sends_from_one_account_leave_no_gap() {
    let anvil = Anvil::start();
    let network = anvil.network();
    let hashes: BTreeSet<_> = std::thread::scope(|scope| {
        let sends: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| network.transact(&key(0), &transfer())))
            .collect();
        sends
            .into_iter()
            .map(|send| send.join().unwrap().unwrap().transaction)
            .collect()
    });
    assert_eq!(hashes.len(), 8);
    assert_eq!(
        network
            .nonce(counterweight_chain::address::to_evm(key(0).account()))
            .unwrap(),
        8
    );
}

#[test]
fn calls_work_inside_a_runtime() {
    let node = FakeNode::start(|_, _, _, _| None);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let chain = connect(&node, impatient());
        assert_eq!(chain.head().unwrap().number, 0);
        drop(chain);
    });
}
