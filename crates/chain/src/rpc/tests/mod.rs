//! The server from outside, over HTTP and WebSocket, on a chain in memory.

mod development;
mod hostile;
mod logs;
mod state;
mod transport;
mod websocket;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TypedTransaction};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_sol_types::{SolCall, sol};
use serde_json::{Value, json};

use super::{Options, RunningServer, serve};
use crate::embedded::{Config, DevelopmentAccount, EmbeddedChain, Genesis};

sol! {
    function mint(address to, uint256 amount) external;
    function transfer(address to, uint256 amount) external returns (bool);
    function balanceOf(address account) external view returns (uint256);
    error NotMinter(address caller);
    event Transfer(address indexed from, address indexed to, uint256 value);
}

/// A running server and the accounts that pay.
struct Node {
    chain: EmbeddedChain,
    server: RunningServer,
    accounts: Vec<DevelopmentAccount>,
}

/// An HTTP response.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Node {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let chain = EmbeddedChain::in_memory(Genesis::development(), Config::default()).unwrap();
        let server = serve(chain.clone(), SocketAddr::from(([127, 0, 0, 1], 0)), options).unwrap();
        Self {
            chain,
            server,
            accounts: DevelopmentAccount::all().to_vec(),
        }
    }

    fn account(&self, index: usize) -> Address {
        self.accounts[index].address()
    }

    /// Sends bytes as they are and reads until the server closes.
    fn exchange(&self, request: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The server may refuse, and close, before it has read everything.
        let _ = stream.write_all(request);
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_default();
        Reply {
            status,
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn post_with(&self, headers: &str, body: &str) -> Reply {
        let length = body.len();
        self.exchange(
            format!(
                "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
            )
            .as_bytes(),
        )
    }

    fn post(&self, body: &str) -> Reply {
        self.post_with("Host: localhost\r\n", body)
    }

    fn post_json(&self, body: &Value) -> Value {
        serde_json::from_str(&self.post(&body.to_string()).body).unwrap()
    }

    fn respond(&self, method: &str, params: Value) -> Value {
        self.post_json(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }

    fn ask(&self, method: &str, params: Value) -> Value {
        let mut response = self.respond(method, params);
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].take()
    }

    fn refusal(&self, method: &str, params: Value) -> Value {
        let mut response = self.respond(method, params);
        assert!(response.get("result").is_none(), "{method}: {response}");
        response["error"].take()
    }

    /// Signs a transaction of an account with a given nonce.
    fn signed(&self, account: usize, nonce: u64, to: TxKind, value: u64, input: Bytes) -> Bytes {
        let transaction = TypedTransaction::Eip1559(TxEip1559 {
            chain_id: 31_337,
            nonce,
            gas_limit: 3_000_000,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to,
            value: U256::from(value),
            input,
            ..TxEip1559::default()
        });
        let signature = self.accounts[account]
            .signer
            .sign_hash_sync(&transaction.signature_hash())
            .unwrap();
        TxEnvelope::from(transaction.into_signed(signature))
            .encoded_2718()
            .into()
    }

    /// Sends from an account with its next nonce.
    fn send(&self, account: usize, to: TxKind, value: u64, input: impl Into<Bytes>) -> B256 {
        let nonce = self.ask(
            "eth_getTransactionCount",
            json!([self.account(account), "pending"]),
        );
        let nonce = quantity(&nonce);
        let raw = self.signed(account, nonce, to, value, input.into());
        serde_json::from_value(self.ask("eth_sendRawTransaction", json!([raw]))).unwrap()
    }

    fn receipt(&self, hash: B256) -> Value {
        self.ask("eth_getTransactionReceipt", json!([hash]))
    }

    /// Deploys the development token from account 0.
    fn token(&self) -> Address {
        let artifact: Value = serde_json::from_str(include_str!(
            "../../../../../contracts/artifacts/DevelopmentToken.json"
        ))
        .unwrap();
        let code: Bytes = serde_json::from_value(artifact["bytecode"].clone()).unwrap();
        let hash = self.send(0, TxKind::Create, 0, code);
        serde_json::from_value(self.receipt(hash)["contractAddress"].clone()).unwrap()
    }

    fn mint(&self, token: Address, to: Address, amount: u64) -> B256 {
        self.send(
            0,
            token.into(),
            0,
            mintCall {
                to,
                amount: U256::from(amount),
            }
            .abi_encode(),
        )
    }
}

fn quantity(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no quantity"));
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

fn balance_of(account: Address) -> Bytes {
    balanceOfCall { account }.abi_encode().into()
}
