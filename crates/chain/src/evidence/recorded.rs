//! A chain that answers from evidence.

use std::sync::Arc;

use alloy_consensus::{Header, ReceiptEnvelope, TrieAccount, constants::KECCAK_EMPTY};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, BloomInput, Bytes, TxKind, U256, keccak256};
use alloy_rlp::Decodable as _;
use parking_lot::Mutex;
use revm::bytecode::Bytecode;
use revm::context::result::{EVMError, ExecutionResult};
use revm::context::{Context, TxEnv};
use revm::database::CacheDB;
use revm::database_interface::DBErrorMarker;
use revm::state::AccountInfo;
use revm::{DatabaseRef, ExecuteEvm, MainBuilder, MainContext};

use super::trie::{LookupError, lookup};
use super::{Evidence, EvidenceError, MOST_HEADERS, encoding};
use crate::embedded::{call_environment, configuration};
use crate::network::{
    At, BlockRef, Call, ChainError, EventLog, Inclusion, LogQuery, Network, TransactionSigner,
};

/// Gas a call may use: what an embedded chain allows.
const CALL_GAS: u64 = 100_000_000;

/// A [`Network`] whose newest block is fixed and whose answers follow from that block's hash.
pub struct RecordedChain {
    chain_id: u64,
    headers: Vec<(B256, Header)>,
    evidence: Mutex<Evidence>,
    /// Asked for what is missing, while a record is made.
    live: Option<Arc<dyn Network>>,
}

impl RecordedChain {
    /// Begins a record of a live chain, from a block on up to its newest one. Every answer is checked against that block's hash,
    /// so the live chain is trusted for nothing else.
    ///
    /// # Errors
    /// Those of the chain; [`ChainError::Rejected`] where more than [`MOST_HEADERS`] blocks would be kept.
    pub fn begin(live: Arc<dyn Network>, first: u64) -> Result<Self, ChainError> {
        let newest = live.head()?.number;
        let count = newest.saturating_sub(first).saturating_add(1);
        if count > MOST_HEADERS as u64 {
            return Err(ChainError::Rejected {
                reason: format!(
                    "{count} blocks since the contracts were deployed, at most {MOST_HEADERS} are kept"
                ),
            });
        }
        let headers = (first..=newest)
            .map(|number| live.header(number)?.ok_or(ChainError::StateMissing { number }))
            .collect::<Result<Vec<Bytes>, ChainError>>()?;
        let evidence = Evidence {
            headers,
            ..Evidence::default()
        };
        let mut chain = Self::replay(live.chain_id(), evidence).map_err(|error| ChainError::Malformed {
            reason: error.to_string(),
        })?;
        chain.live = Some(live);
        Ok(chain)
    }

    /// Takes a record. What it says of blocks and events is checked here, what it says of accounts when it is asked for.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn replay(chain_id: u64, evidence: Evidence) -> Result<Self, EvidenceError> {
        if evidence.headers.len() > MOST_HEADERS {
            return Err(EvidenceError::TooLong {
                got: evidence.headers.len(),
            });
        }
        let mut headers: Vec<(B256, Header)> = Vec::with_capacity(evidence.headers.len());
        for encoded in &evidence.headers {
            let mut rest = encoded.as_ref();
            let header = Header::decode(&mut rest).map_err(encoding("a header"))?;
            if let Some((parent, before)) = headers.last()
                && (header.parent_hash != *parent || before.number.checked_add(1) != Some(header.number))
            {
                return Err(EvidenceError::Unlinked {
                    number: header.number,
                });
            }
            headers.push((keccak256(encoded), header));
        }
        let first = headers.first().ok_or(EvidenceError::Empty)?.1.number;
        let chain = Self {
            chain_id,
            headers,
            evidence: Mutex::default(),
            live: None,
        };
        for (number, receipts) in &evidence.receipts {
            let header = number
                .checked_sub(first)
                .and_then(|place| chain.headers.get(usize::try_from(place).ok()?));
            let Some((_, header)) = header else {
                return Err(EvidenceError::Unlinked { number: *number });
            };
            if alloy_trie::root::ordered_trie_root_encoded(receipts) != header.receipts_root {
                return Err(EvidenceError::Receipts { number: *number });
            }
        }
        *chain.evidence.lock() = evidence;
        Ok(chain)
    }

    /// What was kept so far: enough to answer everything that was asked, again.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence.lock().clone()
    }

    /// Height and hash of the first block of the record: the one before it is not looked at.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.headers.first().map_or(0, |(_, header)| header.number)
    }

    fn newest(&self) -> Result<(B256, &Header), ChainError> {
        // `replay` takes no record without a header.
        self.headers
            .last()
            .map(|(hash, header)| (*hash, header))
            .ok_or(ChainError::StateMissing { number: 0 })
    }

    fn at(&self, number: u64) -> Option<&(B256, Header)> {
        self.headers
            .get(usize::try_from(number.checked_sub(self.first())?).ok()?)
    }

    /// State is there after the newest block alone.
    fn check_at(&self, at: At) -> Result<(), ChainError> {
        let newest = self.newest()?.1.number;
        match at {
            At::Block(number) if number != newest => Err(ChainError::StateMissing { number }),
            _ => Ok(()),
        }
    }

    /// A value of a trie, its nodes asked for where they are missing and somebody can be asked.
    fn value(
        &self,
        root: &B256,
        key: &B256,
        address: Address,
        slots: &[B256],
    ) -> Result<Option<Vec<u8>>, ChainError> {
        let mut evidence = self.evidence.lock();
        let mut found = lookup(&evidence.nodes, root, key);
        if let (Err(LookupError::Missing { .. }), Some(live)) = (&found, &self.live) {
            let nodes = live.prove(address, slots, self.newest()?.1.number)?;
            evidence
                .nodes
                .extend(nodes.into_iter().map(|node| (keccak256(&node), node)));
            found = lookup(&evidence.nodes, root, key);
        }
        found.map_err(|error| ChainError::Malformed {
            reason: error.to_string(),
        })
    }

    fn account(&self, address: Address) -> Result<Option<TrieAccount>, ChainError> {
        let root = self.newest()?.1.state_root;
        let Some(value) = self.value(&root, &keccak256(address), address, &[])? else {
            return Ok(None);
        };
        TrieAccount::decode(&mut value.as_slice())
            .map(Some)
            .map_err(unreadable)
    }

    fn slot(&self, address: Address, slot: U256) -> Result<U256, ChainError> {
        let Some(account) = self.account(address)? else {
            return Ok(U256::ZERO);
        };
        let slot = B256::from(slot);
        match self.value(&account.storage_root, &keccak256(slot), address, &[slot])? {
            None => Ok(U256::ZERO),
            Some(value) => U256::decode(&mut value.as_slice()).map_err(unreadable),
        }
    }

    fn code_of(&self, address: Address, hash: B256) -> Result<Bytes, ChainError> {
        let mut evidence = self.evidence.lock();
        if let Some(code) = evidence.codes.get(&hash) {
            return Ok(code.clone());
        }
        let Some(live) = &self.live else {
            return Err(ChainError::Malformed {
                reason: format!("the code {hash} is not at hand"),
            });
        };
        let code = live.code(address, At::Block(self.newest()?.1.number))?;
        if keccak256(&code) != hash {
            return Err(ChainError::Malformed {
                reason: format!("other code than {hash} was given for {address}"),
            });
        }
        evidence.codes.insert(hash, code.clone());
        Ok(code)
    }

    /// The receipts of a block, which hash to its header's receipts root.
    fn receipts_of(&self, number: u64, header: &Header) -> Result<Vec<Bytes>, ChainError> {
        let mut evidence = self.evidence.lock();
        if let Some(receipts) = evidence.receipts.get(&number) {
            return Ok(receipts.clone());
        }
        let Some(live) = &self.live else {
            return Err(ChainError::Malformed {
                reason: format!("the receipts of block {number} are not at hand"),
            });
        };
        let receipts = live.receipts(number)?;
        if alloy_trie::root::ordered_trie_root_encoded(&receipts) != header.receipts_root {
            return Err(ChainError::Malformed {
                reason: EvidenceError::Receipts { number }.to_string(),
            });
        }
        evidence.receipts.insert(number, receipts.clone());
        Ok(receipts)
    }
}

fn unreadable(error: alloy_rlp::Error) -> ChainError {
    ChainError::Malformed {
        reason: format!("a value of the state cannot be read: {error}"),
    }
}

/// Whether a block may have events that a query asks for. A bloom filter never hides one.
fn may_have(header: &Header, query: &LogQuery) -> bool {
    let has = |bytes: &[u8]| header.logs_bloom.contains_input(BloomInput::Raw(bytes));
    query.address.is_none_or(|address| has(address.as_slice()))
        && query
            .topics
            .iter()
            .all(|values| values.is_empty() || values.iter().any(|value| has(value.as_slice())))
}

fn is_asked_for(log: &EventLog, query: &LogQuery) -> bool {
    query.address.is_none_or(|address| address == log.address)
        && query.topics.iter().enumerate().all(|(place, values)| {
            values.is_empty() || log.topics.get(place).is_some_and(|topic| values.contains(topic))
        })
}

/// The record as revm asks for it.
struct State<'a>(&'a RecordedChain);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct StateError(ChainError);

impl DBErrorMarker for StateError {}

impl DatabaseRef for State<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let Some(account) = self.0.account(address).map_err(StateError)? else {
            return Ok(None);
        };
        let code = if account.code_hash == KECCAK_EMPTY {
            Bytecode::new()
        } else {
            Bytecode::new_raw(self.0.code_of(address, account.code_hash).map_err(StateError)?)
        };
        Ok(Some(AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            code: Some(code),
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.0
            .code_of(Address::ZERO, hash)
            .map(Bytecode::new_raw)
            .map_err(StateError)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.0.slot(address, slot).map_err(StateError)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        let block = self
            .0
            .at(number)
            .ok_or(StateError(ChainError::StateMissing { number }))?;
        Ok(block.0)
    }
}

impl Network for RecordedChain {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn head(&self) -> Result<BlockRef, ChainError> {
        let (hash, header) = self.newest()?;
        Ok(BlockRef {
            number: header.number,
            hash,
            timestamp: header.timestamp,
        })
    }

    fn block(&self, number: u64) -> Result<Option<BlockRef>, ChainError> {
        if number < self.first() {
            return Err(ChainError::StateMissing { number });
        }
        Ok(self.at(number).map(|(hash, header)| BlockRef {
            number,
            hash: *hash,
            timestamp: header.timestamp,
        }))
    }

    /// Runs on the state after the newest block, under the rules of the embedded chain: those of Ethereum's newest fork, whatever
    /// fork the recorded chain was on.
    fn call(&self, from: Address, call: &Call, at: At) -> Result<Bytes, ChainError> {
        self.check_at(at)?;
        let mut configuration = configuration(self.chain_id);
        configuration.disable_nonce_check = true;
        configuration.disable_eip3607 = true;
        configuration.disable_block_gas_limit = true;
        configuration.disable_base_fee = true;
        configuration.tx_gas_limit_cap = Some(u64::MAX);
        let mut database = CacheDB::new(State(self));
        let mut evm = Context::mainnet()
            .with_cfg(configuration)
            .with_block(call_environment(self.newest()?.1))
            .with_db(&mut database)
            .build_mainnet();
        let result = evm.transact(TxEnv {
            caller: from,
            kind: call.to.map_or(TxKind::Create, TxKind::Call),
            value: call.value,
            data: call.data.clone(),
            chain_id: Some(self.chain_id),
            gas_limit: CALL_GAS,
            ..TxEnv::default()
        });
        match result.map(|outcome| outcome.result) {
            Ok(ExecutionResult::Success { output, .. }) => Ok(output.into_data()),
            Ok(ExecutionResult::Revert { output, .. }) => Err(ChainError::Reverted { data: output }),
            Ok(ExecutionResult::Halt { reason, .. }) => Err(ChainError::Rejected {
                reason: reason.to_string(),
            }),
            Err(EVMError::Database(StateError(error))) => Err(error),
            Err(other) => Err(ChainError::Rejected {
                reason: other.to_string(),
            }),
        }
    }

    fn estimate_gas(&self, _from: Address, _call: &Call) -> Result<u64, ChainError> {
        Err(past())
    }

    fn balance(&self, account: Address, at: At) -> Result<U256, ChainError> {
        self.check_at(at)?;
        Ok(self
            .account(account)?
            .map_or(U256::ZERO, |account| account.balance))
    }

    fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        Ok(self.account(account)?.map_or(0, |account| account.nonce))
    }

    fn code(&self, account: Address, at: At) -> Result<Bytes, ChainError> {
        self.check_at(at)?;
        match self.account(account)? {
            Some(found) if found.code_hash != KECCAK_EMPTY => self.code_of(account, found.code_hash),
            _ => Ok(Bytes::new()),
        }
    }

    fn transact(&self, _signer: &dyn TransactionSigner, _call: &Call) -> Result<Inclusion, ChainError> {
        Err(past())
    }

    fn inclusion(&self, _transaction: B256) -> Result<Option<Inclusion>, ChainError> {
        Err(past())
    }

    /// Every event that was asked for, from the first block of the record on: a block whose receipts are not looked at has none,
    /// by its header's bloom filter. Transactions are not kept, so their hashes are zero.
    fn logs(&self, query: &LogQuery) -> Result<Vec<EventLog>, ChainError> {
        if query.from < self.first() {
            return Err(ChainError::StateMissing { number: query.from });
        }
        let last = query.to.unwrap_or(u64::MAX);
        let mut logs = Vec::new();
        for (_, header) in &self.headers {
            let block = header.number;
            if block < query.from || block > last || !may_have(header, query) {
                continue;
            }
            let mut index = 0;
            for receipt in self.receipts_of(block, header)? {
                let receipt =
                    ReceiptEnvelope::decode_2718_exact(&receipt).map_err(|error| ChainError::Malformed {
                        reason: format!("a receipt of block {block} cannot be read: {error}"),
                    })?;
                for log in receipt.logs() {
                    let log = EventLog {
                        address: log.address,
                        topics: log.topics().to_vec(),
                        data: log.data.data.clone(),
                        block,
                        index,
                        transaction: B256::ZERO,
                    };
                    index += 1;
                    if is_asked_for(&log, query) {
                        logs.push(log);
                    }
                }
            }
        }
        Ok(logs)
    }
}

fn past() -> ChainError {
    ChainError::Rejected {
        reason: "a record of a chain takes no transactions".to_owned(),
    }
}
