//! The executor: a parent's state and ordered transactions in, a block and what it changed out.
//!
//! Everything it depends on is an argument, so every node that is given the same gets the same block, bit for bit.
//! A transaction that cannot be included is skipped and reported, never an error: a consensus engine may order
//! what nobody executed before.

use std::sync::Arc;

use alloy_consensus::{Header, ReceiptEnvelope, Sealable, Sealed};
use alloy_evm::FromRecoveredTx;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use revm::context::TxEnv;
use revm::context::result::{EVMError, ExecutionResult};
use revm::context::{Context, ContextTr};
use revm::database_interface::DBErrorMarker;
use revm::state::{AccountInfo, Bytecode, EvmState};
use revm::{Database, DatabaseCommit, ExecuteEvm, MainBuilder, MainContext, SystemCallEvm};

use super::rules;
use super::simulate::refusal;
use super::state::{Account, ChangeSet, StateCache, StateReader};
use super::store::account_value;
use super::transaction::RecoveredTransaction;
use super::trie::{self, Change, NodeWrites, TrieReader};
use super::{BlockInput, EmbeddedError, SkippedTransaction, StoredBlock, TransactionReceipt};

/// Where the executor takes transactions from, one at a time, because what fits next depends on what was used before.
pub(crate) trait TransactionSource {
    /// The next transaction, given the gas the block has left; `None` ends the block.
    fn next(&mut self, gas_left: u64) -> Option<Arc<RecoveredTransaction>>;
    /// The transaction just given could not be included; `later` where another block may have room for it.
    fn skipped(&mut self, transaction: &Arc<RecoveredTransaction>, reason: &str, later: bool);
}

impl<I: Iterator<Item = Arc<RecoveredTransaction>>> TransactionSource for I {
    fn next(&mut self, _gas_left: u64) -> Option<Arc<RecoveredTransaction>> {
        Iterator::next(self)
    }

    fn skipped(&mut self, _transaction: &Arc<RecoveredTransaction>, _reason: &str, _later: bool) {}
}

/// A block that was executed and is not yet kept.
pub(crate) struct ExecutedBlock {
    pub(crate) block: StoredBlock,
    pub(crate) raws: Vec<Bytes>,
    pub(crate) hashes: Vec<B256>,
    pub(crate) skipped: Vec<SkippedTransaction>,
    pub(crate) changes: ChangeSet,
    pub(crate) nodes: NodeWrites,
}

/// An error of the state, marked as one for revm.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct StateError(pub(super) EmbeddedError);

impl DBErrorMarker for StateError {}

/// The newest state, with what the block has changed so far on top.
struct Overlay<'a, S> {
    state: &'a S,
    cache: &'a mut StateCache,
}

pub(super) fn info_of(account: &Account) -> AccountInfo {
    let mut info = AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        ..AccountInfo::default()
    };
    if account.code_hash != info.code_hash {
        info.code_hash = account.code_hash;
        info.code = None;
    }
    info
}

impl<S: StateReader> Database for Overlay<'_, S> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let account = self.cache.account(self.state, address).map_err(StateError)?;
        Ok(account.now.as_ref().map(info_of))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StateError> {
        if let Some(code) = self.cache.codes.get(&hash) {
            return Ok(code.clone());
        }
        let code = Bytecode::new_raw(self.state.code(&hash).map_err(StateError)?);
        self.cache.codes.insert(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.cache.slot(self.state, address, slot).map_err(StateError)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.state.block_hash(number).map_err(StateError)
    }
}

impl<S: StateReader> DatabaseCommit for Overlay<'_, S> {
    fn commit(&mut self, changes: EvmState) {
        for (address, account) in changes {
            if !account.is_touched() {
                continue;
            }
            if account.is_selfdestructed() {
                // Since EIP-6780 only a contract made in the same transaction goes, so nothing older is stored for it.
                self.cache.clear_slots(address);
                self.cache.set_account(address, None);
                continue;
            }
            if let Some(code) = &account.info.code
                && account.is_created()
                && !code.is_empty()
            {
                self.cache.add_code(account.info.code_hash, code.clone());
            }
            // A delegation (EIP-7702) is code too, of an account that was not created.
            if let Some(code) = &account.info.code
                && code.is_eip7702()
            {
                self.cache.add_code(account.info.code_hash, code.clone());
            }
            for (slot, value) in &account.storage {
                if value.is_changed() {
                    self.cache
                        .set_slot(address, *slot, value.original_value, value.present_value);
                }
            }
            let storage_root = self
                .cache
                .accounts
                .get(&address)
                .and_then(|cached| cached.now.as_ref())
                .map_or(Account::default().storage_root, |account| account.storage_root);
            let after = (!account.info.is_empty()).then_some(Account {
                nonce: account.info.nonce,
                balance: account.info.balance,
                code_hash: account.info.code_hash,
                storage_root,
            });
            self.cache.set_account(address, after);
        }
    }
}

fn evm_failed(error: EVMError<StateError>) -> EmbeddedError {
    match error {
        EVMError::Database(StateError(error)) => error,
        other => EmbeddedError::InvalidBlock {
            what: other.to_string(),
        },
    }
}

/// Executes a block on the state after its parent.
///
/// `cache` holds what was read of that state before, and may be empty. When this fails it must be cleared, and when
/// the block is kept, settled.
pub(crate) fn execute<S: StateReader + TrieReader>(
    chain_id: u64,
    parent: &Sealed<Header>,
    state: &S,
    cache: &mut StateCache,
    input: &BlockInput,
    source: &mut dyn TransactionSource,
) -> Result<ExecutedBlock, EmbeddedError> {
    let mut header = rules::begin_header(parent, parent.hash(), input)?;
    let base_fee = header.base_fee_per_gas;
    let mut evm = Context::mainnet()
        .with_cfg(rules::configuration(chain_id))
        .with_block(rules::environment(&header))
        .with_db(Overlay {
            state,
            cache: &mut *cache,
        })
        .build_mainnet();
    for (contract, argument) in [
        (
            alloy_eips::eip4788::BEACON_ROOTS_ADDRESS,
            input.parent_beacon_block_root,
        ),
        (alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS, parent.hash()),
    ] {
        let result = evm
            .system_call_with_caller(rules::SYSTEM_ADDRESS, contract, argument.0.into())
            .map_err(evm_failed)?;
        evm.ctx.db_mut().commit(result.state);
    }

    let mut transactions = Vec::new();
    let mut receipts: Vec<TransactionReceipt> = Vec::new();
    let mut skipped = Vec::new();
    let mut gas_used = 0;
    let mut bytes = 0;
    while let Some(transaction) = source.next(header.gas_limit - gas_used) {
        let refused = if transaction.gas_limit() > header.gas_limit - gas_used {
            Some(("gas limit reached".to_owned(), true))
        } else if bytes + transaction.raw().len() > rules::BLOCK_TRANSACTION_BYTES {
            Some(("block size reached".to_owned(), true))
        } else {
            match evm.transact(TxEnv::from_recovered_tx(
                transaction.envelope(),
                transaction.sender(),
            )) {
                Ok(result) => {
                    evm.ctx.db_mut().commit(result.state);
                    let used_before = gas_used;
                    gas_used += result.result.tx_gas_used();
                    bytes += transaction.raw().len();
                    receipts.push(super::store::receipt(
                        transaction.envelope(),
                        transaction.sender(),
                        result.result.is_success(),
                        used_before,
                        gas_used,
                        kept_logs(result.result),
                        base_fee,
                    ));
                    None
                }
                Err(EVMError::Transaction(invalid)) => Some((refusal(&invalid), false)),
                Err(other) => return Err(evm_failed(other)),
            }
        };
        match refused {
            None => transactions.push(transaction),
            Some((reason, later)) => {
                source.skipped(&transaction, &reason, later);
                skipped.push(SkippedTransaction {
                    hash: transaction.hash(),
                    reason,
                });
            }
        }
    }
    drop(evm);

    let raws: Vec<Bytes> = transactions
        .iter()
        .map(|transaction| transaction.raw().clone())
        .collect();
    let mut changes = cache.changes();
    let mut nodes = NodeWrites::new();
    header.state_root = update_tries(state, &mut changes, &mut nodes)?;
    header.gas_used = gas_used;
    header.logs_bloom = receipts
        .iter()
        .fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.logs_bloom);
    header.transactions_root =
        alloy_trie::root::ordered_trie_root_with_encoder(&raws, |raw, out| out.extend_from_slice(raw));
    header.receipts_root = alloy_consensus::proofs::calculate_receipt_root(
        &receipts.iter().map(receipt_envelope).collect::<Vec<_>>(),
    );
    Ok(ExecutedBlock {
        block: StoredBlock {
            header: header.seal_slow(),
            transactions: transactions
                .iter()
                .map(|transaction| transaction.envelope().clone())
                .collect(),
            senders: transactions
                .iter()
                .map(|transaction| transaction.sender())
                .collect(),
            receipts,
        },
        hashes: transactions
            .iter()
            .map(|transaction| transaction.hash())
            .collect(),
        raws,
        skipped,
        changes,
        nodes,
    })
}

/// Logs that stay: those of a transaction that failed are gone.
fn kept_logs(result: ExecutionResult) -> Vec<alloy_primitives::Log> {
    if result.is_success() {
        result.into_logs()
    } else {
        Vec::new()
    }
}

pub(super) fn receipt_envelope(receipt: &TransactionReceipt) -> ReceiptEnvelope {
    let inner = alloy_consensus::Receipt {
        status: receipt.succeeded.into(),
        cumulative_gas_used: receipt.cumulative_gas_used,
        logs: receipt.logs.clone(),
    };
    ReceiptEnvelope::from_typed(
        receipt.tx_type,
        alloy_consensus::ReceiptWithBloom {
            receipt: inner,
            logs_bloom: receipt.logs_bloom,
        },
    )
}

/// Brings the tries up to date, puts the new storage roots into the changes, and gives the state root.
pub(super) fn update_tries<R: TrieReader>(
    reader: &R,
    changes: &mut ChangeSet,
    nodes: &mut NodeWrites,
) -> Result<B256, EmbeddedError> {
    for change in &mut changes.accounts {
        let Some(after) = &mut change.after else { continue };
        if change.slots.is_empty() {
            continue;
        }
        let slots: Vec<Change> = change
            .slots
            .iter()
            .map(|(slot, value)| (*slot, (!value.is_zero()).then(|| alloy_rlp::encode(value))))
            .collect();
        after.storage_root = trie::update(reader, &change.address, &slots, nodes)?;
    }
    let accounts: Vec<Change> = changes
        .accounts
        .iter()
        .map(|change| (change.address, change.after.as_ref().map(account_value)))
        .collect();
    trie::update(reader, &B256::ZERO, &accounts, nodes)
}
