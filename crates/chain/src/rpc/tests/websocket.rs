use tungstenite::{Message, WebSocket, client::client};

use super::*;

/// A client that keeps what it was told while it waited for an answer.
struct Client {
    socket: WebSocket<TcpStream>,
    told: Vec<Value>,
}

impl Client {
    fn new(node: &Node) -> Self {
        let stream = TcpStream::connect(node.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (socket, _) = client(format!("ws://{}/", node.server.address()), stream).unwrap();
        Self {
            socket,
            told: Vec::new(),
        }
    }

    fn read(&mut self) -> Value {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(_) => panic!("closed"),
                _ => {}
            }
        }
    }

    fn respond(&mut self, body: &Value) -> Value {
        self.socket.send(Message::text(body.to_string())).unwrap();
        loop {
            let message = self.read();
            if message.get("method").is_none() {
                return message;
            }
            self.told.push(message);
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let mut response =
            self.respond(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].take()
    }

    /// The next notification of a subscription.
    fn news(&mut self, subscription: &Value) -> Value {
        loop {
            if let Some(place) = self
                .told
                .iter()
                .position(|told| told["params"]["subscription"] == *subscription)
            {
                let told = self.told.remove(place);
                assert_eq!(told["method"], "eth_subscription");
                return told["params"]["result"].clone();
            }
            let message = self.read();
            self.told.push(message);
        }
    }
}

#[test]
fn requests_and_batches_are_answered() {
    let node = Node::new();
    let mut client = Client::new(&node);
    assert_eq!(client.ask("eth_chainId", json!([])), "0x7a69");
    let batch =
        client.respond(&json!([{"id": 1, "method": "eth_chainId"}, {"id": 2, "method": "eth_nothing"}]));
    assert_eq!(batch[1]["error"]["code"], -32601);
    client.socket.send(Message::text("{")).unwrap();
    assert_eq!(client.read()["error"]["code"], -32700);
}

#[test]
fn subscribers_are_told_of_heads_logs_and_pending_transactions() {
    let node = Node::new();
    let token = node.token();
    let mut client = Client::new(&node);
    let heads = client.ask("eth_subscribe", json!(["newHeads"]));
    let logs = client.ask("eth_subscribe", json!(["logs", {"address": token}]));
    let others = client.ask("eth_subscribe", json!(["logs", {"address": node.account(0)}]));
    let pending = client.ask("eth_subscribe", json!(["newPendingTransactions"]));
    let whole = client.ask("eth_subscribe", json!(["newPendingTransactions", true]));
    for number in 2..5_u64 {
        let hash = node.mint(token, node.account(1), number);
        let head = client.news(&heads);
        assert_eq!(quantity(&head["number"]), number);
        assert_eq!(head["hash"], node.receipt(hash)["blockHash"]);
        assert_eq!(client.news(&logs)["transactionHash"], json!(hash));
        assert_eq!(client.news(&pending), json!(hash));
        assert_eq!(client.news(&whole)["hash"], json!(hash));
    }
    assert!(
        client
            .told
            .iter()
            .all(|told| told["params"]["subscription"] != others)
    );
}

#[test]
fn who_unsubscribes_is_told_no_more() {
    let node = Node::new();
    let mut client = Client::new(&node);
    let first = client.ask("eth_subscribe", json!(["newHeads"]));
    let second = client.ask("eth_subscribe", json!(["newHeads"]));
    assert_ne!(first, second);
    assert_eq!(client.ask("eth_unsubscribe", json!([first])), true);
    assert_eq!(client.ask("eth_unsubscribe", json!([first])), false);
    node.send(0, node.account(1).into(), 1, Bytes::new());
    client.news(&second);
    assert!(client.told.is_empty());
    // Another connection's subscriptions are not ours to end.
    assert_eq!(Client::new(&node).ask("eth_unsubscribe", json!([second])), false);
}

#[test]
fn a_subscriber_that_was_busy_misses_no_block() {
    let node = Node::new();
    let mut client = Client::new(&node);
    let heads = client.ask("eth_subscribe", json!(["newHeads"]));
    for _ in 0..1_500 {
        node.chain.mine().unwrap();
    }
    for number in 1..=1_500_u64 {
        assert_eq!(quantity(&client.news(&heads)["number"]), number);
    }
}

#[test]
fn subscriptions_and_connections_are_limited_and_unknown_kinds_refused() {
    let mut options = Options::default();
    options.limits.subscriptions = 1;
    options.limits.connections = 1;
    let node = Node::with(options);
    let mut client = Client::new(&node);
    client.ask("eth_subscribe", json!(["newHeads"]));
    let refused = client.respond(&json!({"id": 1, "method": "eth_subscribe", "params": ["newHeads"]}));
    assert_eq!(refused["error"]["code"], -32005);
    let refused = client.respond(&json!({"id": 1, "method": "eth_subscribe", "params": ["syncing"]}));
    assert_eq!(refused["error"]["code"], -32601);
    let stream = TcpStream::connect(node.server.address()).unwrap();
    assert!(tungstenite::client::client(format!("ws://{}/", node.server.address()), stream).is_err());
}

#[test]
fn pages_of_other_sites_cannot_open_a_socket() {
    let node = Node::new();
    let open = |origin: &str| {
        let request = tungstenite::http::Request::builder()
            .uri(format!("ws://{}/", node.server.address()))
            .header("Host", "localhost")
            .header("Origin", origin)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header(
                "Sec-WebSocket-Key",
                tungstenite::handshake::client::generate_key(),
            )
            .body(())
            .unwrap();
        client(request, TcpStream::connect(node.server.address()).unwrap()).is_ok()
    };
    assert!(open("http://localhost:3000"));
    assert!(!open("https://evil.example"));
}

#[test]
fn a_shutdown_closes_sockets() {
    let node = Node::new();
    let mut client = Client::new(&node);
    client.ask("eth_chainId", json!([]));
    node.server.shutdown();
    loop {
        match client.socket.read() {
            Ok(Message::Close(_)) | Err(_) => break,
            Ok(_) => {}
        }
    }
}
