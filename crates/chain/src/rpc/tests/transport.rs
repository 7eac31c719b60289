use super::*;

#[test]
fn a_batch_is_answered_in_order_and_its_notifications_are_not() {
    let node = Node::new();
    let answers = node.post_json(&json!([
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "method": "eth_chainId"},
        7,
        {"jsonrpc": "2.0", "id": null, "method": "eth_nothing"},
    ]));
    assert_eq!(answers.as_array().unwrap().len(), 3);
    assert_eq!(
        answers[0],
        json!({"jsonrpc": "2.0", "id": "a", "result": "0x7a69"})
    );
    assert_eq!(answers[1]["error"]["code"], -32600);
    assert_eq!(answers[2]["error"]["code"], -32601);
    let silent = node.post(r#"[{"method":"eth_chainId"}]"#);
    assert_eq!((silent.status, silent.body.as_str()), (204, ""));
    assert_eq!(node.post(r#"{"method":"eth_chainId"}"#).status, 204);
}

#[test]
fn transactions_sent_in_one_batch_share_a_block_and_fail_one_by_one() {
    let node = Node::new();
    let to = TxKind::from(node.account(1));
    let send = |id: u64, raw: Value| json!({"id": id, "method": "eth_sendRawTransaction", "params": [raw]});
    let answers = node.post_json(&json!([
        send(1, json!(node.signed(0, 0, to, 1, Bytes::new()))),
        send(2, json!("0x1234")),
        send(3, json!(7)),
        send(4, json!(node.signed(0, 1, to, 1, Bytes::new()))),
        {"id": 5, "method": "eth_blockNumber"},
        send(6, json!(node.signed(2, 0, to, 1, Bytes::new()))),
    ]));
    assert_eq!(answers[1]["error"]["code"], -32000);
    assert_eq!(answers[2]["error"]["code"], -32602);
    let block = |answer: usize| {
        node.ask("eth_getTransactionReceipt", json!([answers[answer]["result"]]))["blockNumber"].clone()
    };
    assert_eq!(block(0), "0x1");
    assert_eq!(block(3), "0x1");
    assert_eq!(answers[4]["result"], "0x1");
    assert_eq!(block(5), "0x2");
}

#[test]
fn requests_beyond_the_limits_are_refused() {
    let mut options = Options::default();
    options.limits.batch_calls = 2;
    options.limits.request_bytes = 1_000;
    options.limits.response_bytes = 500;
    let node = Node::with(options);
    assert_eq!(node.post_json(&json!([1, 2, 3]))["error"]["code"], -32005);
    let large = node.post(&" ".repeat(2_000));
    assert_eq!(large.status, 413);
    assert!(large.body.contains("-32005"), "{}", large.body);
    // A block with its header is longer than 500 bytes.
    assert_eq!(
        node.refusal("eth_getBlockByNumber", json!(["latest", false]))["code"],
        -32005
    );
    let answers = node.post_json(&json!([
        {"id": 1, "method": "eth_getBlockByNumber", "params": ["latest", false]},
        {"id": 2, "method": "eth_chainId"},
    ]));
    assert_eq!(answers[0]["error"]["code"], -32005);
    assert_eq!(answers[1]["result"], "0x7a69");
}

#[test]
fn a_batch_that_takes_too_long_is_cut() {
    let mut options = Options::default();
    options.limits.batch_time = Duration::ZERO;
    let node = Node::with(options);
    let answers =
        node.post_json(&json!([{"id": 1, "method": "eth_chainId"}, {"id": 2, "method": "eth_chainId"}]));
    assert_eq!(answers[1]["error"]["code"], -32005);
}

#[test]
fn only_known_hosts_are_answered() {
    let node = Node::new();
    let call = r#"{"id":1,"method":"eth_chainId"}"#;
    assert_eq!(node.post_with("Host: 127.0.0.1:8545\r\n", call).status, 200);
    assert_eq!(node.post_with("Host: rebound.example:8545\r\n", call).status, 403);
    let listed = Node::with(Options {
        hosts: vec!["node.example".into()],
        ..Options::default()
    });
    assert_eq!(listed.post_with("Host: node.example\r\n", call).status, 200);
}

#[test]
fn pages_of_this_machine_may_ask_and_others_may_not() {
    let node = Node::new();
    let call = r#"{"id":1,"method":"eth_chainId"}"#;
    let local = node.post_with("Host: localhost\r\nOrigin: http://localhost:3000\r\n", call);
    assert_eq!(local.status, 200);
    assert!(
        local
            .head
            .contains("access-control-allow-origin: http://localhost:3000"),
        "{}",
        local.head
    );
    let foreign = node.post_with("Host: localhost\r\nOrigin: https://evil.example\r\n", call);
    assert_eq!(foreign.status, 403);
    assert!(!foreign.head.contains("access-control"), "{}", foreign.head);
    let preflight = node.exchange(
        b"OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\nConnection: close\r\n\
          Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
    );
    assert_eq!(preflight.status, 204);
    assert!(
        preflight
            .head
            .contains("access-control-allow-headers: content-type"),
        "{}",
        preflight.head
    );
    assert!(
        preflight.head.contains("access-control-allow-methods: post"),
        "{}",
        preflight.head
    );
}

#[test]
fn what_is_not_json_rpc_is_told_so() {
    let node = Node::new();
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("null", -32600),
        ("{}", -32600),
        ("[]", -32600),
    ] {
        let reply: Value = serde_json::from_str(&node.post(body).body).unwrap();
        assert_eq!(reply["error"]["code"], code, "{body}");
        assert_eq!(reply["id"], Value::Null);
    }
    assert_eq!(
        node.exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .status,
        200
    );
    assert_eq!(
        node.exchange(b"PUT / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .status,
        405
    );
}

#[test]
fn a_taken_port_is_said_at_once() {
    let node = Node::new();
    let error = serve(node.chain.clone(), node.server.address(), Options::default()).unwrap_err();
    assert!(
        error.to_string().contains(&node.server.address().to_string()),
        "{error}"
    );
}

#[test]
fn after_a_shutdown_nobody_answers_and_the_port_is_free() {
    let node = Node::new();
    let address = node.server.address();
    let idle = TcpStream::connect(address).unwrap();
    node.server.shutdown();
    drop(idle);
    assert!(TcpStream::connect(address).is_err());
    serve(node.chain, address, Options::default()).unwrap().shutdown();
}
