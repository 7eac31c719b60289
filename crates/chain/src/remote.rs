//! A chain somebody else runs, asked over HTTP in Ethereum JSON-RPC.
//!
//! What is sent twice, and what never is:
//!
//! - Questions are repeated with growing pauses while nobody answers.
//! - A signed transaction may be handed over again, byte for byte: a chain includes it at most once.
//! - A transaction is signed anew, with another nonce, only where the node refused it outright and no earlier
//!   attempt could have reached anybody.
//! - An included transaction counts once [`RemoteOptions::confirmations`] blocks lie on top of it and its block is
//!   still part of the chain. Where a reorganisation drops it, it is handed over again.

mod client;
mod send;
mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::network::{
    At, BlockRef, Call, ChainError, EventLog, Inclusion, LogQuery, Network, TransactionSigner,
};
use client::Client;

/// How patient and how careful to be with a remote node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Blocks that must lie on top of a transaction's block before it counts; 0 for "included".
    pub confirmations: u64,
    /// How long to wait for that.
    pub inclusion_timeout: Duration,
    /// How long to wait for one answer.
    pub request_timeout: Duration,
    /// How often to try what is safe to repeat, at least once.
    pub attempts: u32,
    /// Pause before the second attempt; doubled before each one after.
    pub retry_pause: Duration,
    /// Time between two looks for a receipt.
    pub poll_interval: Duration,
    /// Most blocks asked for in one query of events. Fewer are asked for where a node refuses.
    pub log_page_blocks: u64,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            confirmations: 0,
            inclusion_timeout: Duration::from_secs(120),
            request_timeout: Duration::from_secs(20),
            attempts: 4,
            retry_pause: Duration::from_millis(250),
            poll_interval: Duration::from_millis(250),
            log_page_blocks: 10_000,
        }
    }
}

/// A connection to a node. May be used from any thread, inside or outside an asynchronous runtime; calls block.
#[derive(Debug)]
pub struct RemoteChain {
    client: Client,
    chain_id: u64,
    options: RemoteOptions,
    /// Transactions of each account that were handed over and not seen through, by nonce. An account's lock is held
    /// while a nonce is chosen and its transaction handed over, so that parallel sends leave no gap.
    accounts: Mutex<BTreeMap<Address, send::Account>>,
}

impl RemoteChain {
    /// Connects to `endpoint`, `http://…` or `https://…`, and asks which chain it is.
    ///
    /// # Errors
    /// [`ChainError::Unreachable`], and [`ChainError::WrongChain`] where `expected` is another chain.
    pub fn connect(
        endpoint: &str,
        expected: Option<u64>,
        options: RemoteOptions,
    ) -> Result<Self, ChainError> {
        let client = Client::new(endpoint, &options)?;
        let got: u64 = client.ask::<U64>("eth_chainId", json!([]))?.to();
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            return Err(ChainError::WrongChain { expected, got });
        }
        Ok(Self {
            client,
            chain_id: got,
            options,
            accounts: Mutex::default(),
        })
    }

    /// Where the node is.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.client.endpoint()
    }

    /// Asks the node for something this trait has no word for, such as the clock of a development node. Repeated
    /// while nobody answers.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn raw_request(&self, method: &'static str, parameters: Value) -> Result<Value, ChainError> {
        self.client.ask(method, parameters)
    }

    fn header(&self, number: Option<u64>) -> Result<Option<wire::Header>, ChainError> {
        let tag = number.map_or_else(|| json!("latest"), quantity);
        self.client.ask("eth_getBlockByNumber", json!([tag, false]))
    }

    fn newest_header(&self) -> Result<wire::Header, ChainError> {
        self.header(None)?.ok_or_else(|| ChainError::Malformed {
            reason: "there is no newest block".to_owned(),
        })
    }

    fn receipt(&self, transaction: B256) -> Result<Option<wire::Receipt>, ChainError> {
        self.client.ask("eth_getTransactionReceipt", json!([transaction]))
    }

    fn logs_between(&self, query: &LogQuery, from: u64, to: u64) -> Result<Vec<EventLog>, ChainError> {
        let topics: Vec<_> = query
            .topics
            .iter()
            .map(|any| if any.is_empty() { Value::Null } else { json!(any) })
            .collect();
        let mut filter = json!({ "fromBlock": quantity(from), "toBlock": quantity(to), "topics": topics });
        if let Some(address) = query.address {
            filter["address"] = json!(address);
        }
        let logs: Vec<wire::Log> = self.client.ask("eth_getLogs", json!([filter]))?;
        logs.into_iter()
            .filter(|log| !log.removed)
            .map(wire::Log::read)
            .collect()
    }
}

fn quantity(number: u64) -> Value {
    json!(U64::from(number))
}

fn tag(at: At) -> Value {
    match at {
        At::Latest => json!("latest"),
        At::Block(number) => quantity(number),
    }
}

fn request(from: Address, call: &Call) -> Value {
    let mut request = json!({ "from": from, "data": call.data, "value": call.value });
    if let Some(to) = call.to {
        request["to"] = json!(to);
    }
    request
}

/// Nodes tell in many ways that they have thrown a state away.
fn about_state(error: ChainError, at: At) -> ChainError {
    const WAYS: [&str; 7] = [
        "missing trie node",
        "header not found",
        "not available",
        "unknown block",
        "block not found",
        "pruned",
        "outofrange",
    ];
    match (&error, at) {
        (ChainError::Rejected { reason }, At::Block(number))
            if WAYS.iter().any(|way| reason.to_lowercase().contains(way)) =>
        {
            ChainError::StateMissing { number }
        }
        _ => error,
    }
}

impl Network for RemoteChain {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn head(&self) -> Result<BlockRef, ChainError> {
        Ok(self.newest_header()?.block_ref())
    }

    fn block(&self, number: u64) -> Result<Option<BlockRef>, ChainError> {
        Ok(self.header(Some(number))?.map(|header| header.block_ref()))
    }

    fn call(&self, from: Address, call: &Call, at: At) -> Result<Bytes, ChainError> {
        let answer = self.client.ask("eth_call", json!([request(from, call), tag(at)]));
        answer.map_err(|error| about_state(error, at))
    }

    fn estimate_gas(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        Ok(self
            .client
            .ask::<U64>("eth_estimateGas", json!([request(from, call)]))?
            .to())
    }

    fn balance(&self, account: Address, at: At) -> Result<U256, ChainError> {
        let answer = self.client.ask("eth_getBalance", json!([account, tag(at)]));
        answer.map_err(|error| about_state(error, at))
    }

    fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        Ok(self
            .client
            .ask::<U64>("eth_getTransactionCount", json!([account, "latest"]))?
            .to())
    }

    fn code(&self, account: Address, at: At) -> Result<Bytes, ChainError> {
        let answer = self.client.ask("eth_getCode", json!([account, tag(at)]));
        answer.map_err(|error| about_state(error, at))
    }

    fn transact(&self, signer: &dyn TransactionSigner, call: &Call) -> Result<Inclusion, ChainError> {
        self.send_and_wait(signer, call)
    }

    fn inclusion(&self, transaction: B256) -> Result<Option<Inclusion>, ChainError> {
        self.receipt(transaction)?
            .map(|receipt| self.read_inclusion(receipt))
            .transpose()
    }

    fn logs(&self, query: &LogQuery) -> Result<Vec<EventLog>, ChainError> {
        let last = match query.to {
            Some(to) => to,
            None => self.head()?.number,
        };
        let most = self.options.log_page_blocks.max(1);
        let (mut from, mut page) = (query.from, most);
        let mut logs = Vec::new();
        while from <= last {
            let to = last.min(from.saturating_add(page - 1));
            match self.logs_between(query, from, to) {
                Ok(more) => {
                    logs.extend(more);
                    page = most.min(page.saturating_mul(2));
                    match to.checked_add(1) {
                        Some(next) => from = next,
                        None => break,
                    }
                }
                // Nodes limit how many blocks or events they give at once, and each says so in its own words.
                Err(ChainError::Rejected { .. }) if to > from => page = (to - from).div_ceil(2),
                Err(error) => return Err(error),
            }
        }
        logs.sort_by_key(|log| (log.block, log.index));
        Ok(logs)
    }

    fn header(&self, number: u64) -> Result<Option<Bytes>, ChainError> {
        let block: Option<alloy_rpc_types_eth::Header> = self
            .client
            .ask("eth_getBlockByNumber", json!([quantity(number), false]))?;
        let Some(header) = block else { return Ok(None) };
        let encoded: Bytes = alloy_rlp::encode(&header.inner).into();
        if alloy_primitives::keccak256(&encoded) != header.hash {
            // Some networks have members in their headers that Ethereum does not.
            return Err(ChainError::Malformed {
                reason: format!(
                    "the members of block {number} do not have its hash {}",
                    header.hash
                ),
            });
        }
        Ok(Some(encoded))
    }

    fn receipts(&self, number: u64) -> Result<Vec<Bytes>, ChainError> {
        let receipts: Option<Vec<alloy_rpc_types_eth::TransactionReceipt>> = self
            .client
            .ask("eth_getBlockReceipts", json!([quantity(number)]))?;
        let receipts = receipts.ok_or(ChainError::StateMissing { number })?;
        let encoded = |receipt: alloy_rpc_types_eth::TransactionReceipt| {
            receipt.into_primitives_receipt().inner.encoded_2718().into()
        };
        Ok(receipts.into_iter().map(encoded).collect())
    }

    fn prove(&self, account: Address, slots: &[B256], number: u64) -> Result<Vec<Bytes>, ChainError> {
        let answer: Result<wire::Proof, _> = self
            .client
            .ask("eth_getProof", json!([account, slots, quantity(number)]));
        let proof = answer.map_err(|error| about_state(error, At::Block(number)))?;
        let storage = proof.storage_proof.into_iter().flat_map(|slot| slot.proof);
        Ok(proof.account_proof.into_iter().chain(storage).collect())
    }
}
