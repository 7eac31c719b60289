use alloy_sol_types::SolEvent;

use super::*;

fn topic(address: Address) -> B256 {
    address.into_word()
}

#[test]
fn logs_are_selected_by_contract_topics_and_range() {
    let node = Node::new();
    let (token, other) = (node.token(), node.token());
    let (a, b) = (node.account(1), node.account(2));
    node.mint(token, a, 1); // block 3
    node.mint(token, b, 2);
    node.mint(other, a, 3);
    let count = |filter: Value| node.ask("eth_getLogs", json!([filter])).as_array().unwrap().len();
    assert_eq!(count(json!({"fromBlock": "earliest"})), 3);
    assert_eq!(count(json!({})), 1, "without a range it is the newest block");
    assert_eq!(
        count(json!({"fromBlock": "0x0", "toBlock": "latest", "address": token})),
        2
    );
    assert_eq!(count(json!({"fromBlock": "0x0", "address": [token, other]})), 3);
    assert_eq!(count(json!({"fromBlock": "0x0", "toBlock": "0x3"})), 1);
    assert_eq!(
        count(json!({"fromBlock": "0x0", "topics": [null, null, topic(a)]})),
        2
    );
    assert_eq!(
        count(json!({"fromBlock": "0x0", "topics": [Transfer::SIGNATURE_HASH, [], [topic(a), topic(b)]]})),
        3
    );
    assert_eq!(count(json!({"fromBlock": "0x0", "topics": [[topic(a)]]})), 0);
    assert_eq!(
        count(json!({"fromBlock": "0x0", "topics": [null, null, null, topic(a)]})),
        0
    );
    assert_eq!(
        count(json!({"fromBlock": "0x99"})),
        0,
        "nothing happened there yet"
    );
    let block = node.ask("eth_getBlockByNumber", json!(["0x4", false]));
    let logs = node.ask("eth_getLogs", json!([{"blockHash": block["hash"]}]));
    assert_eq!(logs[0]["topics"][2], json!(topic(b)));
    assert_eq!(logs[0]["blockTimestamp"], block["timestamp"]);
}

#[test]
fn a_query_that_makes_no_sense_is_refused() {
    let node = Node::new();
    node.mint(node.token(), node.account(1), 1);
    assert_eq!(
        node.refusal("eth_getLogs", json!([{"fromBlock": "0x2", "toBlock": "0x1"}]))["code"],
        -32602
    );
    assert_eq!(
        node.refusal("eth_getLogs", json!([{"blockHash": B256::repeat_byte(3)}]))["code"],
        -32001
    );
    let both = json!([{"blockHash": B256::repeat_byte(3), "fromBlock": "0x1"}]);
    assert_eq!(node.refusal("eth_getLogs", both)["code"], -32602);
    assert_eq!(
        node.refusal("eth_getLogs", json!([{"address": "nobody"}]))["code"],
        -32602
    );
}

#[test]
fn a_query_beyond_the_limits_is_refused() {
    let mut options = Options::default();
    options.limits.log_blocks = 2;
    options.limits.logs = 1;
    options.limits.log_alternatives = 1;
    let node = Node::with(options);
    let token = node.token();
    let first = node.signed(
        0,
        1,
        token.into(),
        0,
        mintCall {
            to: token,
            amount: U256::from(1),
        }
        .abi_encode()
        .into(),
    );
    let second = node.signed(
        0,
        2,
        token.into(),
        0,
        mintCall {
            to: token,
            amount: U256::from(1),
        }
        .abi_encode()
        .into(),
    );
    node.post_json(&json!([
        {"id": 1, "method": "eth_sendRawTransaction", "params": [first]},
        {"id": 2, "method": "eth_sendRawTransaction", "params": [second]},
    ]));
    for filter in [
        json!({"fromBlock": "0x0"}),
        json!({"fromBlock": "latest"}),
        json!({"address": [node.account(0), node.account(1)]}),
        json!({"topics": [[topic(token), topic(node.account(1))]]}),
    ] {
        assert_eq!(
            node.refusal("eth_getLogs", json!([filter]))["code"],
            -32005,
            "{filter}"
        );
    }
}

#[test]
fn a_log_filter_tells_each_log_once() {
    let node = Node::new();
    let token = node.token();
    node.mint(token, node.account(1), 1);
    let id = node.ask("eth_newFilter", json!([{"address": token, "fromBlock": "0x0"}]));
    assert_eq!(
        node.ask("eth_getFilterChanges", json!([id])),
        json!([]),
        "what was before is no news"
    );
    let hash = node.mint(token, node.account(1), 2);
    let news = node.ask("eth_getFilterChanges", json!([id]));
    assert_eq!(news.as_array().unwrap().len(), 1);
    assert_eq!(news[0]["transactionHash"], json!(hash));
    assert_eq!(node.ask("eth_getFilterChanges", json!([id])), json!([]));
    assert_eq!(
        node.ask("eth_getFilterLogs", json!([id]))
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(node.ask("eth_uninstallFilter", json!([id])), true);
    assert_eq!(node.ask("eth_uninstallFilter", json!([id])), false);
    assert_eq!(
        node.refusal("eth_getFilterChanges", json!([id]))["message"],
        "filter not found"
    );
}

#[test]
fn block_and_pending_filters_tell_hashes() {
    let node = Node::new();
    let blocks = node.ask("eth_newBlockFilter", json!([]));
    let pending = node.ask("eth_newPendingTransactionFilter", json!([]));
    let hash = node.send(0, node.account(1).into(), 1, Bytes::new());
    let block = node.ask("eth_getBlockByNumber", json!(["latest", false]));
    assert_eq!(
        node.ask("eth_getFilterChanges", json!([blocks])),
        json!([block["hash"]])
    );
    assert_eq!(node.ask("eth_getFilterChanges", json!([pending])), json!([hash]));
    assert_eq!(node.ask("eth_getFilterChanges", json!([blocks])), json!([]));
    assert_eq!(node.ask("eth_getFilterChanges", json!([pending])), json!([]));
    assert_eq!(node.refusal("eth_getFilterLogs", json!([blocks]))["code"], -32602);
}

#[test]
fn filters_are_limited() {
    let mut options = Options::default();
    options.limits.filters = 1;
    let node = Node::with(options);
    let id = node.ask("eth_newBlockFilter", json!([]));
    assert_eq!(node.refusal("eth_newBlockFilter", json!([]))["code"], -32005);
    node.ask("eth_uninstallFilter", json!([id]));
    node.ask("eth_newBlockFilter", json!([]));
}
