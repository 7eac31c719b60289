//! Sends many ERC-20 transfers to a node over JSON-RPC and waits until every receipt is there.
//!
//! The same bytes go to any node of chain 31337: ten development accounts send in turn, every recipient is new, so each
//! transfer writes a fresh storage slot. Transactions are signed and request bodies built before the clock starts; the
//! clock stops when the last receipt was read. The result is one JSON object on stdout.
//!
//! `rpc_load URL [--transfers N] [--batch N] [--connections N] [--mine]`; with `--mine` each connection asks for a
//! block after each of its batches (`evm_mine`), for nodes that make none by themselves.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U256, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_sol_types::{SolCall, sol};
use counterweight_chain::embedded::{DEVELOPMENT_CHAIN_ID, DevelopmentAccount};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

sol! {
    function mint(address to, uint256 amount) external;
    function transfer(address to, uint256 amount) external returns (bool);
}

/// Other nodes of chain 31337 fund no more accounts than this unless told to.
const SENDERS: usize = 10;

type Failure = Box<dyn Error + Send + Sync>;

/// A connection kept open.
struct Connection {
    reader: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    fn open(url: &str) -> Result<Self, Failure> {
        let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 20, stream),
            host,
        })
    }

    fn post(&mut self, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.reader
            .get_mut()
            .write_all(&[head.as_bytes(), body].concat())?;
        let (mut length, mut line) = (None, String::new());
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err("the node closed the connection".into());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
        let mut answer = vec![0; length.ok_or("an answer without a length")?];
        self.reader.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value, Failure> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut answer: Value = serde_json::from_slice(&self.post(body.as_bytes())?)?;
        match answer.get("error") {
            Some(error) => Err(format!("{method}: {error}").into()),
            None => Ok(answer["result"].take()),
        }
    }
}

#[derive(Deserialize)]
struct Sent {
    id: usize,
    result: Option<B256>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Looked {
    id: usize,
    result: Option<Receipt>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: U64,
    gas_used: U64,
    block_number: U64,
}

struct Arguments {
    url: String,
    transfers: usize,
    batch: usize,
    connections: usize,
    mine: bool,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut given = std::env::args().skip(1);
    let url = given.next().ok_or("the node's URL is missing")?;
    let mut arguments = Arguments {
        url,
        transfers: 20_000,
        batch: 500,
        connections: 2,
        mine: false,
    };
    while let Some(name) = given.next() {
        let mut number =
            || -> Result<usize, Failure> { Ok(given.next().ok_or("a number is missing")?.parse()?) };
        match name.as_str() {
            "--transfers" => arguments.transfers = number()?,
            "--batch" => arguments.batch = number()?,
            "--connections" => arguments.connections = number()?.max(1),
            "--mine" => arguments.mine = true,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(arguments)
}

fn sign(
    account: &DevelopmentAccount,
    nonce: u64,
    gas_limit: u64,
    to: TxKind,
    input: Vec<u8>,
) -> Result<(B256, Bytes), Failure> {
    let transaction = TxEip1559 {
        chain_id: DEVELOPMENT_CHAIN_ID,
        nonce,
        gas_limit,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to,
        input: input.into(),
        ..TxEip1559::default()
    };
    let signature = account.signer.sign_hash_sync(&transaction.signature_hash())?;
    let signed = TxEnvelope::from(transaction.into_signed(signature));
    Ok((*signed.tx_hash(), signed.encoded_2718().into()))
}

/// Deploys the token and gives every account enough of it.
fn prepare(node: &mut Connection, accounts: &[DevelopmentAccount], mine: bool) -> Result<Address, Failure> {
    let artifact =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/artifacts/DevelopmentToken.json");
    let artifact: Value = serde_json::from_str(&fs::read_to_string(artifact)?)?;
    let code: Bytes = serde_json::from_value(artifact["bytecode"].clone())?;
    let deployer = accounts.first().ok_or("no accounts")?;
    let token = deployer.address().create(0);
    let mut last = B256::ZERO;
    let mints = accounts.iter().map(|account| {
        (
            token.into(),
            mintCall {
                to: account.address(),
                amount: U256::from(u64::MAX),
            }
            .abi_encode(),
        )
    });
    for (nonce, (to, input)) in std::iter::once((TxKind::Create, code.to_vec()))
        .chain(mints)
        .enumerate()
    {
        let (hash, raw) = sign(deployer, nonce as u64, 2_500_000, to, input)?;
        node.ask("eth_sendRawTransaction", json!([raw]))?;
        if mine {
            node.ask("evm_mine", json!([]))?;
        }
        last = hash;
    }
    while node.ask("eth_getTransactionReceipt", json!([last]))?.is_null() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(token)
}

/// What one connection sends: bodies of at most `batch` transactions, and the hashes they must get.
struct Load {
    bodies: Vec<Vec<u8>>,
    hashes: Vec<B256>,
}

fn load(transfers: &[(B256, Bytes)], batch: usize) -> Load {
    let bodies = transfers.chunks(batch.max(1)).map(|chunk| {
        let calls: Vec<String> = chunk
            .iter()
            .enumerate()
            .map(|(id, (_, raw))| {
                let raw = hex::encode_prefixed(raw);
                format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_sendRawTransaction","params":["{raw}"]}}"#
                )
            })
            .collect();
        format!("[{}]", calls.join(",")).into_bytes()
    });
    Load {
        bodies: bodies.collect(),
        hashes: transfers.iter().map(|(hash, _)| *hash).collect(),
    }
}

/// Sends everything and waits for the receipts: gas used and blocks seen, and when all was sent.
fn drive(
    url: &str,
    load: &Load,
    batch: usize,
    mine: bool,
    began: Instant,
) -> Result<(u64, BTreeMap<u64, u32>, Duration), Failure> {
    let mut node = Connection::open(url)?;
    for (body, expected) in load.bodies.iter().zip(load.hashes.chunks(batch)) {
        let mut answers: Vec<Sent> = serde_json::from_slice(&node.post(body)?)?;
        answers.sort_by_key(|answer| answer.id);
        for (answer, expected) in answers.iter().zip(expected) {
            if answer.result != Some(*expected) {
                return Err(format!("a transfer was refused: {:?}", answer.error).into());
            }
        }
        if mine {
            node.ask("evm_mine", json!([]))?;
        }
    }
    let sent = began.elapsed();
    let (mut gas, mut blocks) = (0, BTreeMap::new());
    for chunk in load.hashes.chunks(batch) {
        // One question at a time until the last is there: asking for all over and over would cost the node more than
        // the transfers.
        while let Some(last) = chunk.last()
            && node.ask("eth_getTransactionReceipt", json!([last]))?.is_null()
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut missing: Vec<usize> = (0..chunk.len()).collect();
        loop {
            let calls: Vec<String> = missing
                .iter()
                .map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_getTransactionReceipt","params":["{}"]}}"#, chunk[*id]))
                .collect();
            let answers: Vec<Looked> =
                serde_json::from_slice(&node.post(format!("[{}]", calls.join(",")).as_bytes())?)?;
            missing.clear();
            for answer in answers {
                match answer.result {
                    Some(receipt) if receipt.status == U64::ONE => {
                        gas += receipt.gas_used.to::<u64>();
                        *blocks.entry(receipt.block_number.to()).or_default() += 1;
                    }
                    Some(_) => return Err("a transfer failed".into()),
                    None => missing.push(answer.id),
                }
            }
            if missing.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok((gas, blocks, sent))
}

fn main() -> Result<(), Failure> {
    let Arguments {
        url,
        transfers,
        batch,
        connections,
        mine,
    } = arguments()?;
    let accounts = &DevelopmentAccount::all()[..SENDERS];
    let token = prepare(&mut Connection::open(&url)?, accounts, mine)?;
    let signed: Vec<(B256, Bytes)> = (0..transfers)
        .into_par_iter()
        .map(|index| {
            let sender = index % accounts.len();
            // Account 0 has deployed and minted before.
            let first = if sender == 0 { 1 + accounts.len() } else { 0 };
            let to = Address::from_word(keccak256((index as u64).to_be_bytes()));
            let input = transferCall {
                to,
                amount: U256::from(1),
            }
            .abi_encode();
            sign(
                &accounts[sender],
                (first + index / accounts.len()) as u64,
                100_000,
                token.into(),
                input,
            )
        })
        .collect::<Result<_, _>>()?;
    // A sender stays on one connection, so that its nonces arrive in order.
    let mut shares = vec![Vec::new(); connections.min(accounts.len())];
    for (index, one) in signed.into_iter().enumerate() {
        let share = index % accounts.len() % shares.len();
        shares[share].push(one);
    }
    let loads: Vec<Load> = shares.iter().map(|share| load(share, batch)).collect();
    let began = Instant::now();
    let results = std::thread::scope(|scope| {
        let running: Vec<_> = loads
            .iter()
            .map(|load| scope.spawn(|| drive(&url, load, batch, mine, began)))
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| Failure::from("a connection's thread panicked"))?
            })
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let gas: u64 = results.iter().map(|(gas, _, _)| gas).sum();
    let mut blocks = BTreeMap::new();
    for (number, count) in results.iter().flat_map(|(_, blocks, _)| blocks) {
        *blocks.entry(number).or_insert(0) += count;
    }
    let sent = results
        .iter()
        .map(|(_, _, sent)| sent.as_secs_f64())
        .fold(0.0, f64::max);
    let report = json!({
        "transfers": transfers,
        "seconds": seconds,
        "sent_seconds": sent,
        "transfers_per_second": transfers as f64 / seconds,
        "gas_per_transfer": gas / transfers.max(1) as u64,
        "blocks": blocks.len(),
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}
