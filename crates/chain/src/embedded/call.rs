//! Calls that are run and forgotten.

use std::collections::BTreeMap;

use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, Bytes, Log, U256};

/// A transaction that nobody signed, to be run and forgotten. What is absent is chosen so that the call can run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallRequest {
    /// Who calls; the zero address if absent.
    pub from: Option<Address>,
    /// Who is called; absent to create a contract.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Calldata or creation code.
    pub input: Bytes,
    /// Gas it may use.
    pub gas: Option<u64>,
    /// Wei per unit of gas. Absent or zero: fees are not looked at.
    pub max_fee_per_gas: Option<u128>,
    /// Wei per unit of gas for whoever makes the block.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Nonce; that of the account if absent.
    pub nonce: Option<u64>,
    /// Accounts and slots warmed beforehand (EIP-2930).
    pub access_list: AccessList,
    /// Accounts changed for this call only.
    pub overrides: BTreeMap<Address, AccountOverride>,
}

/// Changes to an account for one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountOverride {
    /// Wei it holds.
    pub balance: Option<U256>,
    /// Its nonce.
    pub nonce: Option<u64>,
    /// Its code.
    pub code: Option<Bytes>,
    /// Single slots.
    pub storage: BTreeMap<B256, B256>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It ran to its end.
    Success {
        /// What it returned; the code where a contract was created.
        output: Bytes,
        /// The contract it created.
        created: Option<Address>,
        /// What it logged.
        logs: Vec<Log>,
    },
    /// It reverted.
    Reverted {
        /// Revert data.
        data: Bytes,
    },
    /// It ended by an exceptional halt: out of gas, an invalid opcode.
    Halted {
        /// Which, in words.
        reason: String,
    },
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallResult {
    /// How it ended.
    pub outcome: CallOutcome,
    /// Gas it used, after refunds.
    pub gas_used: u64,
}

/// What a transaction needs to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GasEstimate {
    /// The least gas limit with which it succeeds, within 1.5 % above.
    Enough(u64),
    /// It fails with any.
    Fails(CallOutcome),
}
