use super::*;
use crate::rpc::dispatch::{Dispatcher, Session};

/// Every method there is, with and without the development ones.
const METHODS: [&str; 42] = [
    "eth_chainId",
    "net_version",
    "web3_clientVersion",
    "eth_syncing",
    "eth_blockNumber",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByNumber",
    "eth_getBlockTransactionCountByHash",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionByHash",
    "eth_getRawTransactionByHash",
    "eth_getTransactionReceipt",
    "eth_sendRawTransaction",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_call",
    "eth_estimateGas",
    "eth_gasPrice",
    "eth_maxPriorityFeePerGas",
    "eth_feeHistory",
    "eth_getLogs",
    "eth_newFilter",
    "eth_newBlockFilter",
    "eth_newPendingTransactionFilter",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_uninstallFilter",
    "eth_subscribe",
    "eth_unsubscribe",
    "eth_accounts",
    "eth_sendTransaction",
    "personal_sign",
    "eth_sign",
    "evm_mine",
    "evm_increaseTime",
    "evm_setNextBlockTimestamp",
    "anvil_mine",
];

#[test]
fn no_method_fails_inside_on_any_parameters() {
    let chain = EmbeddedChain::in_memory(Genesis::development(), Config::default()).unwrap();
    let node = Dispatcher::new(
        chain,
        Options {
            development: true,
            ..Options::default()
        },
    );
    let session = Session::new(4);
    let address = DevelopmentAccount::nth(0).address();
    let junk = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("0x"),
        json!("0x0"),
        json!("0xffffffffffffffff"),
        json!("0x1ffffffffffffffff"),
        json!("latest"),
        json!("logs"),
        json!([]),
        json!({}),
        json!(address),
        json!(B256::ZERO),
        json!({"from": address, "to": address, "value": U256::MAX, "gas": "0xffffffffffffffff"}),
        json!({"from": address, "gasPrice": U256::from(u128::MAX), "data": "0xfe"}),
        json!({"fromBlock": "0xffffffffffffffff", "toBlock": "0xffffffffffffffff", "topics": [[], null, [null]]}),
        json!({"topics": [null, null, null, null, null, null]}),
        json!([[[]]]),
        json!({"blockHash": "latest"}),
        json!([1, 2, 3]),
        json!("\u{0}\u{1F600}"),
    ];
    // The time is set last, since a chain at the end of time makes no more blocks.
    for method in METHODS
        .iter()
        .filter(|method| !method.starts_with("evm_") && !method.starts_with("anvil_"))
    {
        let mut lists = vec![json!([]), json!(null), json!({}), json!("x"), json!(vec![0; 50])];
        for first in &junk {
            lists.push(json!([first]));
            lists.extend(junk.iter().map(|second| json!([first, second])));
            lists.push(json!([first, "latest", first]));
            lists.push(json!([first, "latest", [0, 100]]));
        }
        for params in lists {
            let body = json!({"id": 1, "method": method, "params": params}).to_string();
            let response = node.respond(body.as_bytes(), Some(&session)).unwrap();
            let response: Value = serde_json::from_slice(&response).unwrap();
            assert!(
                response.get("result").is_some() || response["error"]["code"].is_i64(),
                "{response}"
            );
            assert_ne!(response["error"]["code"], -32603, "{body}: {response}");
        }
    }
}

#[test]
fn what_clients_must_see_refused_is_refused() {
    let node = Node::new();
    for method in [
        "eth_fillTransaction",
        "eth_getAccountInfo",
        "anvil_nodeInfo",
        "eth_createAccessList",
        "eth_sendTransaction",
        "eth_sign",
        "personal_sign",
        "eth_signTypedData_v4",
        "evm_mine",
        "evm_increaseTime",
        "evm_setNextBlockTimestamp",
        "anvil_mine",
        "hardhat_mine",
        "anvil_setBalance",
        "debug_traceTransaction",
        "admin_addPeer",
        "",
        "eth_chainID",
    ] {
        let error = node.refusal(method, json!([]));
        assert_eq!(error["code"], -32601, "{method}");
    }
    let long = node.refusal(&"x".repeat(10_000), json!([]));
    assert!(long["message"].as_str().unwrap().len() < 200);
}

#[test]
fn subscriptions_over_http_are_refused() {
    let node = Node::new();
    assert_eq!(node.refusal("eth_subscribe", json!(["newHeads"]))["code"], -32601);
    assert_eq!(node.refusal("eth_unsubscribe", json!(["0x1"]))["code"], -32601);
}

#[test]
fn wrong_parameters_say_which_and_why() {
    let node = Node::new();
    let error = node.refusal("eth_getBalance", json!([]));
    assert_eq!(
        error,
        json!({"code": -32602, "message": "missing value for required argument 0: address"})
    );
    let error = node.refusal("eth_getBalance", json!([node.account(0), "tomorrow"]));
    assert_eq!(error["code"], -32602);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("invalid argument 1, block: "),
        "{error}"
    );
    let error = node.refusal("eth_chainId", json!([1]));
    assert_eq!(error["message"], "too many arguments, want at most 0");
    let error = node.refusal("eth_call", json!([{"data": "0x01", "input": "0x02"}]));
    assert_eq!(error["code"], -32602);
    let error = node.refusal("eth_call", json!([{"blobVersionedHashes": []}]));
    assert_eq!(error["message"], "blob transactions are not supported");
}

#[test]
fn a_call_that_never_ends_is_ended() {
    let node = Node::new();
    // JUMPDEST, PUSH0, JUMP
    let error = node.refusal("eth_call", json!([{"data": "0x5b5f56", "gas": "0xffffffffffff"}]));
    assert!(error["code"] == -32000, "{error}");
}
