//! A node that follows a script: what it answers, and when it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use alloy_primitives::{B256, Bytes, keccak256};
use serde_json::{Value, json};

/// What the node does with a question.
pub(crate) enum Reply {
    Result(Value),
    Error(i64, &'static str, Value),
    /// Closes the connection without a word.
    Drop,
    /// HTTP status and body as they are.
    Raw(u16, &'static str),
}

/// A chain just real enough: a transaction that arrives is in the next block.
pub(crate) struct State {
    pub(crate) head: u64,
    /// Changed to make every block another one.
    pub(crate) fork: u64,
    pub(crate) base_fee: bool,
    pub(crate) nonce: u64,
    pub(crate) received: Vec<Bytes>,
    /// Block of each included transaction.
    pub(crate) included: BTreeMap<B256, u64>,
    /// In the pool, not included.
    pub(crate) waiting: BTreeSet<B256>,
    /// How often each method was asked before.
    pub(crate) asked: BTreeMap<String, usize>,
}

impl State {
    pub(crate) fn block_hash(&self, number: u64) -> B256 {
        keccak256([number.to_be_bytes(), self.fork.to_be_bytes()].concat())
    }

    pub(crate) fn include(&mut self, raw: &Bytes) {
        self.head += 1;
        self.nonce += 1;
        self.included.insert(keccak256(raw), self.head);
    }

    fn answer(&mut self, method: &str, parameters: &Value) -> Reply {
        let number = |value: &Value| u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok();
        let hash = |value: &Value| value.as_str().and_then(|text| text.parse::<B256>().ok());
        Reply::Result(match method {
            "eth_chainId" => json!("0x7a69"),
            "eth_getTransactionCount" => json!(format!("{:#x}", self.nonce)),
            "eth_estimateGas" => json!("0x5208"),
            "eth_maxPriorityFeePerGas" | "eth_gasPrice" => json!("0x3b9aca00"),
            "eth_getBlockByNumber" => {
                let number = number(&parameters[0]).unwrap_or(self.head);
                if number > self.head {
                    return Reply::Result(Value::Null);
                }
                let mut block = json!({
                    "number": format!("{number:#x}"),
                    "hash": self.block_hash(number),
                    "timestamp": format!("{:#x}", 1_000 + number),
                });
                if self.base_fee {
                    block["baseFeePerGas"] = json!("0x3b9aca00");
                }
                block
            }
            "eth_sendRawTransaction" => {
                let raw: Bytes = parameters[0].as_str().unwrap().parse().unwrap();
                self.received.push(raw.clone());
                if self.included.contains_key(&keccak256(&raw)) {
                    return Reply::Error(-32_000, "already known", Value::Null);
                }
                self.include(&raw);
                json!(keccak256(&raw))
            }
            "eth_getTransactionReceipt" => {
                let hash = hash(&parameters[0]).unwrap();
                self.included.get(&hash).map_or(Value::Null, |block| {
                    json!({
                        "transactionHash": hash,
                        "blockHash": self.block_hash(*block),
                        "blockNumber": format!("{block:#x}"),
                        "gasUsed": "0x5208",
                        "status": "0x1",
                        "contractAddress": null,
                        "logs": [],
                    })
                })
            }
            "eth_getTransactionByHash" => {
                let hash = hash(&parameters[0]).unwrap();
                let known = self.included.contains_key(&hash) || self.waiting.contains(&hash);
                if known {
                    json!({ "hash": hash })
                } else {
                    Value::Null
                }
            }
            _ => return Reply::Error(-32_601, "method not found", Value::Null),
        })
    }
}

/// Answers instead of the chain where it gives something. The number says how often the method was asked before.
type Script = Box<dyn FnMut(&mut State, &str, usize, &Value) -> Option<Reply> + Send>;

pub(crate) struct FakeNode {
    pub(crate) endpoint: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl FakeNode {
    pub(crate) fn start(
        script: impl FnMut(&mut State, &str, usize, &Value) -> Option<Reply> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State {
            head: 0,
            fork: 0,
            base_fee: true,
            nonce: 0,
            received: Vec::new(),
            included: BTreeMap::new(),
            waiting: BTreeSet::new(),
            asked: BTreeMap::new(),
        }));
        let shared = Arc::clone(&state);
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (state, script) = (Arc::clone(&shared), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &state, &script));
            }
        });
        Self { endpoint, state }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>, script: &Mutex<Script>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let question: Value = serde_json::from_slice(&body).ok()?;
    let method = question["method"].as_str()?;
    let reply = {
        let mut state = state.lock().unwrap();
        let count = state.asked.entry(method.to_owned()).or_default();
        let before = *count;
        *count += 1;
        let scripted = (script.lock().unwrap())(&mut state, method, before, &question["params"]);
        scripted.unwrap_or_else(|| state.answer(method, &question["params"]))
    };
    let id = &question["id"];
    let (status, body) = match reply {
        Reply::Result(result) => (
            200,
            json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
        ),
        Reply::Error(code, message, data) => {
            let error = json!({ "code": code, "message": message, "data": data });
            (
                200,
                json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string(),
            )
        }
        Reply::Drop => return None,
        Reply::Raw(status, body) => (status, body.to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()
}
