//! Running calls that nobody signed, and finding out how much gas a transaction needs.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::bytecode::Bytecode;
use revm::context::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, Output};
use revm::context::{BlockEnv, Context, TxEnv};
use revm::database::CacheDB;
use revm::state::AccountInfo;
use revm::{Database, DatabaseRef, ExecuteEvm, MainBuilder, MainContext};

use super::executor::{StateError, info_of};
use super::rules;
use super::state::StateReader;
use super::{CallOutcome, CallRequest, CallResult, EmbeddedError, GasEstimate};
use alloy_primitives::keccak256;

/// A state to call on, with the overrides of one request and everything read so far kept.
pub(crate) struct Simulator<S> {
    database: CacheDB<Read<S>>,
    environment: BlockEnv,
    chain_id: u64,
}

/// A state as revm asks for it.
struct Read<S>(S);

impl<S: StateReader> DatabaseRef for Read<S> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self
            .0
            .account(&keccak256(address))
            .map_err(StateError)?
            .as_ref()
            .map(info_of))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, StateError> {
        self.0.code(&hash).map(Bytecode::new_raw).map_err(StateError)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.0
            .slot(&keccak256(address), &keccak256(slot.to_be_bytes::<32>()))
            .map_err(StateError)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.0.block_hash(number).map_err(StateError)
    }
}

/// How far above the least gas limit an estimate may be, in permille, as geth has it.
const ESTIMATE_ERROR_PERMILLE: u64 = 15;

/// Gas a call with value hands on for free.
const CALL_STIPEND: u64 = 2_300;

impl<S: StateReader> Simulator<S> {
    pub(crate) fn new(
        state: S,
        environment: BlockEnv,
        chain_id: u64,
        request: &CallRequest,
    ) -> Result<Self, EmbeddedError> {
        let mut database = CacheDB::new(Read(state));
        for (address, change) in &request.overrides {
            let mut info = database
                .basic(*address)
                .map_err(|error| error.0)?
                .unwrap_or_default();
            if let Some(balance) = change.balance {
                info.balance = balance;
            }
            if let Some(nonce) = change.nonce {
                info.nonce = nonce;
            }
            if let Some(code) = &change.code {
                info.code_hash = keccak256(code);
                info.code = Some(Bytecode::new_raw(code.clone()));
            }
            database.insert_account_info(*address, info);
            for (slot, value) in &change.storage {
                database
                    .insert_account_storage(*address, (*slot).into(), (*value).into())
                    .map_err(|error| error.0)?;
            }
        }
        Ok(Self {
            database,
            environment,
            chain_id,
        })
    }

    /// Runs the call with at most `gas`.
    pub(crate) fn call(&mut self, request: &CallRequest, gas: u64) -> Result<CallResult, EmbeddedError> {
        let transaction = self.transaction(request)?;
        let gas = self.affordable(&transaction, gas)?;
        match self.run(transaction, gas)? {
            Ok(result) => Ok(CallResult {
                gas_used: result.tx_gas_used(),
                outcome: outcome(result),
            }),
            Err(invalid) => Err(EmbeddedError::InvalidCall {
                reason: refusal(&invalid),
            }),
        }
    }

    /// The least gas limit the call succeeds with, found by bisection as geth does.
    pub(crate) fn estimate(
        &mut self,
        request: &CallRequest,
        limit: u64,
    ) -> Result<GasEstimate, EmbeddedError> {
        let transaction = self.transaction(request)?;
        let mut high = self.affordable(&transaction, limit)?;
        let (used, refunded) = match self.run(transaction.clone(), high)? {
            Err(invalid) => {
                return Err(EmbeddedError::InvalidCall {
                    reason: refusal(&invalid),
                });
            }
            Ok(result) if result.is_success() => (result.tx_gas_used(), result.gas().inner_refunded()),
            Ok(result) => return Ok(GasEstimate::Fails(outcome(result))),
        };
        // Every client expects the exact figure for a plain payment, whatever the error allowed.
        if request.input.is_empty() && self.succeeds(&transaction, rules::PAYMENT_GAS)? {
            return Ok(GasEstimate::Enough(rules::PAYMENT_GAS));
        }
        let mut low = used.saturating_sub(1);
        // A call gets 63/64 of the gas left (EIP-150), so this much is nearly always enough.
        let likely = used
            .saturating_add(refunded)
            .saturating_add(CALL_STIPEND)
            .saturating_mul(64)
            / 63;
        if likely < high {
            if self.succeeds(&transaction, likely)? {
                high = likely;
            } else {
                low = likely;
            }
        }
        while low + 1 < high
            && (high - low).saturating_mul(1000) > high.saturating_mul(ESTIMATE_ERROR_PERMILLE)
        {
            // Most need little more than they use, so the first steps stay low.
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2)).max(low + 1);
            if self.succeeds(&transaction, middle)? {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(GasEstimate::Enough(high))
    }

    fn succeeds(&mut self, transaction: &TxEnv, gas: u64) -> Result<bool, EmbeddedError> {
        Ok(self
            .run(transaction.clone(), gas)?
            .is_ok_and(|result| result.is_success()))
    }

    fn transaction(&mut self, request: &CallRequest) -> Result<TxEnv, EmbeddedError> {
        let caller = request.from.unwrap_or_default();
        let nonce = match request.nonce {
            Some(nonce) => nonce,
            None => {
                self.database
                    .basic(caller)
                    .map_err(|error| error.0)?
                    .unwrap_or_default()
                    .nonce
            }
        };
        let tip = request.max_priority_fee_per_gas;
        let tx_type = match (tip, request.access_list.is_empty()) {
            (Some(_), _) => 2,
            (None, false) => 1,
            (None, true) => 0,
        };
        Ok(TxEnv {
            tx_type,
            caller,
            gas_price: request.max_fee_per_gas.or(tip).unwrap_or_default(),
            gas_priority_fee: tip,
            kind: request.to.map_or(TxKind::Create, TxKind::Call),
            value: request.value,
            data: request.input.clone(),
            nonce,
            chain_id: Some(self.chain_id),
            access_list: request.access_list.clone(),
            ..TxEnv::default()
        })
    }

    /// Gas the caller can pay for, at most `gas`.
    fn affordable(&mut self, transaction: &TxEnv, gas: u64) -> Result<u64, EmbeddedError> {
        if transaction.gas_price == 0 {
            return Ok(gas);
        }
        let info = self
            .database
            .basic(transaction.caller)
            .map_err(|error| error.0)?
            .unwrap_or_default();
        let Some(left) = info.balance.checked_sub(transaction.value) else {
            return Err(EmbeddedError::InvalidCall {
                reason: "insufficient funds for transfer".to_owned(),
            });
        };
        Ok(gas.min((left / U256::from(transaction.gas_price)).saturating_to()))
    }

    fn run(
        &mut self,
        transaction: TxEnv,
        gas: u64,
    ) -> Result<Result<ExecutionResult, InvalidTransaction>, EmbeddedError> {
        let mut configuration = rules::configuration(self.chain_id);
        configuration.disable_nonce_check = true;
        configuration.disable_eip3607 = true;
        configuration.disable_block_gas_limit = true;
        configuration.disable_base_fee = transaction.gas_price == 0;
        configuration.tx_gas_limit_cap = Some(u64::MAX);
        let mut evm = Context::mainnet()
            .with_cfg(configuration)
            .with_block(self.environment.clone())
            .with_db(&mut self.database)
            .build_mainnet();
        match evm.transact(TxEnv {
            gas_limit: gas,
            ..transaction
        }) {
            Ok(result) => Ok(Ok(result.result)),
            Err(EVMError::Transaction(invalid)) => Ok(Err(invalid)),
            Err(EVMError::Database(error)) => Err(error.0),
            Err(other) => Err(EmbeddedError::InvalidCall {
                reason: other.to_string(),
            }),
        }
    }
}

fn outcome(result: ExecutionResult) -> CallOutcome {
    match result {
        ExecutionResult::Success { output, logs, .. } => {
            let created = match &output {
                Output::Create(_, created) => *created,
                Output::Call(_) => None,
            };
            CallOutcome::Success {
                output: output.into_data(),
                created,
                logs,
            }
        }
        ExecutionResult::Revert { output, .. } => CallOutcome::Reverted { data: output },
        ExecutionResult::Halt { reason, .. } => CallOutcome::Halted {
            reason: halt_words(&reason),
        },
    }
}

/// What ended a call, in geth's words where it has any.
fn halt_words(reason: &HaltReason) -> String {
    match reason {
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound | HaltReason::NotActivated => "invalid opcode",
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached 1024",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection"
        }
        HaltReason::OutOfFunds => "insufficient balance for transfer",
        HaltReason::CallTooDeep => "max call depth exceeded",
        other => return other.to_string(),
    }
    .to_owned()
}

/// Why a transaction cannot begin, in geth's words where it has any.
pub(crate) fn refusal(invalid: &InvalidTransaction) -> String {
    match invalid {
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            format!("insufficient funds for gas * price + value: have {balance} want {fee}")
        }
        InvalidTransaction::NonceTooLow { tx, state } => {
            format!("nonce too low: next nonce {state}, tx nonce {tx}")
        }
        InvalidTransaction::NonceTooHigh { tx, state } => {
            format!("nonce too high: next nonce {state}, tx nonce {tx}")
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit {
            initial_gas,
            gas_limit,
        }
        | InvalidTransaction::GasFloorMoreThanGasLimit {
            gas_floor: initial_gas,
            gas_limit,
        } => {
            format!("intrinsic gas too low: have {gas_limit}, want {initial_gas}")
        }
        InvalidTransaction::GasPriceLessThanBasefee => "max fee per gas less than block base fee".to_owned(),
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
            "max priority fee per gas higher than max fee per gas".to_owned()
        }
        InvalidTransaction::RejectCallerWithCode => "sender not an eoa".to_owned(),
        InvalidTransaction::CreateInitCodeSizeLimit => "max initcode size exceeded".to_owned(),
        other => other.to_string(),
    }
}

/// Returned code of a delegated account and the like is plain bytes.
pub(crate) fn code_of<S: StateReader>(state: &S, address: Address) -> Result<Bytes, EmbeddedError> {
    match state.account(&keccak256(address))? {
        Some(account) if account.code_hash != alloy_consensus::constants::KECCAK_EMPTY => {
            state.code(&account.code_hash)
        }
        _ => Ok(Bytes::new()),
    }
}
