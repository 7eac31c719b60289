//! Bonds behind receipts of decisions, and disputes about them, kept by `DecisionReceipts`.
//!
//! Who holds a receipt and finds no entry shows so with [`ContractLedger::report_absent`] or [`ContractLedger::report_other`], or,
//! where the log is not served, asks with [`ContractLedger::open_dispute`]. The owner finds open disputes with
//! [`ContractLedger::receipt_disputes`] and answers them. Format: `docs/spec/decision.md`.

use alloy_sol_types::SolEvent as _;
use counterweight_primitives::{Address, Amount, Sha256Digest, UnixSeconds};
use counterweight_provenance::decision::receipt::{DecisionReceipt, Promise};
use counterweight_provenance::ledger::{LedgerError, LogId};

use super::{ContractLedger, decode};
use crate::address::{from_evm, to_evm};
use crate::contracts::IDecisionReceipts as Contract;

/// What stands behind the receipts of a log: `IDecisionReceipts.Bond`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptBond {
    /// Wei posted.
    pub amount: Amount,
    /// When the owner may take it back, if that was asked for.
    pub withdrawable_at: Option<UnixSeconds>,
    /// Open disputes; while there are any the bond stays.
    pub open: u64,
}

/// How far a dispute about a receipt got: `IDecisionReceipts.State`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    /// Nobody disputed it.
    Undisputed,
    /// The owner has to answer.
    Open,
    /// The owner answered with the proof.
    Kept,
    /// Shown to be broken, or not answered.
    Broken,
}

/// A dispute about a receipt: `IDecisionReceipts.Dispute`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptDispute {
    /// How far it got.
    pub state: ReceiptState,
    /// Who opened it.
    pub challenger: Address,
    /// Last second in which the owner may answer.
    pub answer_by: UnixSeconds,
    /// Wei the challenger put down.
    pub deposit: Amount,
}

/// A dispute as it was logged, however it went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedDispute {
    /// Who has to answer.
    pub owner: Address,
    /// What was promised.
    pub promise: Promise,
    /// Last second in which the owner may answer.
    pub answer_by: UnixSeconds,
}

impl<S> ContractLedger<S> {
    /// The bond behind the receipts of a log.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] where the contract is not deployed; otherwise as the type says. So for all below.
    pub fn receipt_bond(&self, owner: Address, log: LogId) -> Result<ReceiptBond, LedgerError> {
        let call = Contract::bondCall {
            owner: to_evm(owner),
            log: log.0.0.into(),
        };
        let bond = self.ask(self.receipts()?, &call)?;
        Ok(ReceiptBond {
            amount: Amount(bond.amount),
            withdrawable_at: (bond.withdrawableAt != 0).then_some(UnixSeconds(bond.withdrawableAt)),
            open: bond.open,
        })
    }

    /// The wei to put down to dispute a receipt of a log.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn receipt_deposit(&self, owner: Address, log: LogId) -> Result<Amount, LedgerError> {
        let call = Contract::depositOfCall {
            owner: to_evm(owner),
            log: log.0.0.into(),
        };
        self.wei(self.ask(self.receipts()?, &call)?)
    }

    /// How far the dispute about a receipt got.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn receipt_dispute(&self, owner: Address, promise: &Promise) -> Result<ReceiptDispute, LedgerError> {
        let call = Contract::disputeOfCall {
            owner: to_evm(owner),
            receipt: receipt(promise),
        };
        let id = self.ask(self.receipts()?, &call)?;
        let dispute = self.ask(self.receipts()?, &Contract::disputeCall { id })?;
        Ok(ReceiptDispute {
            state: match dispute.state {
                Contract::State::Open => ReceiptState::Open,
                Contract::State::Kept => ReceiptState::Kept,
                Contract::State::Broken => ReceiptState::Broken,
                _ => ReceiptState::Undisputed,
            },
            challenger: from_evm(dispute.challenger),
            answer_by: UnixSeconds(dispute.answerBy),
            deposit: Amount(dispute.deposit),
        })
    }

    /// Every dispute that was ever opened about receipts of a log, in order.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn receipt_disputes(&self, owner: Address, log: LogId) -> Result<Vec<LoggedDispute>, LedgerError> {
        let topics = vec![
            vec![Contract::Disputed::SIGNATURE_HASH],
            Vec::new(),
            vec![log.0.0.into()],
            vec![to_evm(owner).into_word()],
        ];
        let logs = self.logs(self.receipts()?, topics)?;
        logs.iter()
            .map(|log| {
                let event: Contract::Disputed = decode(log)?;
                Ok(LoggedDispute {
                    owner: from_evm(event.owner),
                    promise: promise(&event.receipt),
                    answer_by: UnixSeconds(event.answerBy),
                })
            })
            .collect()
    }

    /// Wei credited to an account for disputes, and not claimed yet.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn receipt_credit(&self, account: Address) -> Result<Amount, LedgerError> {
        let call = Contract::creditOfCall {
            account: to_evm(account),
        };
        self.wei(self.ask(self.receipts()?, &call)?)
    }

    fn wei(&self, amount: alloy_primitives::U256) -> Result<Amount, LedgerError> {
        amount.try_into().map(Amount).map_err(|_| LedgerError::Malformed {
            what: "an amount of wei beyond 2^128".to_owned(),
        })
    }

    fn receipts(&self) -> Result<Address, LedgerError> {
        self.deployment
            .decision_receipts
            .ok_or_else(|| LedgerError::Refused {
                name: "NotDeployed".to_owned(),
                reason: "this deployment has no DecisionReceipts".to_owned(),
            })
    }
}

impl ContractLedger {
    /// Adds wei to the bond behind the receipts of the account's own log.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    pub fn post_receipt_bond(&self, log: LogId, amount: Amount) -> Result<(), LedgerError> {
        let call = Contract::postBondCall { log: log.0.0.into() };
        self.send_value(self.receipts()?, &call, amount)?;
        Ok(())
    }

    /// Asks for that bond back: it can be taken after seven days.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn request_receipt_withdrawal(&self, log: LogId) -> Result<(), LedgerError> {
        let call = Contract::requestWithdrawalCall { log: log.0.0.into() };
        self.send(self.receipts()?, &call)?;
        Ok(())
    }

    /// Credits that bond to the account.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn withdraw_receipt_bond(&self, log: LogId) -> Result<(), LedgerError> {
        let call = Contract::withdrawCall { log: log.0.0.into() };
        self.send(self.receipts()?, &call)?;
        Ok(())
    }

    /// Shows that nothing anchored reaches the place of a receipt after its deadline.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn report_absent(&self, receipt: &DecisionReceipt) -> Result<(), LedgerError> {
        let call = Contract::reportAbsentCall {
            signed: signed(receipt),
        };
        self.send(self.receipts()?, &call)?;
        Ok(())
    }

    /// Shows that another leaf stands at the place of a receipt, by its path in the newest anchored checkpoint.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn report_other(
        &self,
        receipt: &DecisionReceipt,
        leaf: Sha256Digest,
        path: &[Sha256Digest],
    ) -> Result<(), LedgerError> {
        let call = Contract::reportOtherCall {
            signed: signed(receipt),
            leaf: leaf.0.into(),
            path: path.iter().map(|hash| hash.0.into()).collect(),
        };
        self.send(self.receipts()?, &call)?;
        Ok(())
    }

    /// Shows that one owner promised two things that cannot both be true.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn report_contradiction(
        &self,
        one: &DecisionReceipt,
        other: &DecisionReceipt,
    ) -> Result<(), LedgerError> {
        let call = Contract::reportContradictionCall {
            one: signed(one),
            other: signed(other),
        };
        self.send(self.receipts()?, &call)?;
        Ok(())
    }

    /// Asks the owner to show that a promise was kept; puts the deposit down.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open_dispute(&self, receipt: &DecisionReceipt) -> Result<(), LedgerError> {
        let deposit = self.receipt_deposit(receipt.signer(), receipt.promise().log)?;
        let call = Contract::openCall {
            signed: signed(receipt),
        };
        self.send_value(self.receipts()?, &call, deposit)?;
        Ok(())
    }

    /// Shows that a disputed promise was kept, by the path of its leaf in the newest anchored checkpoint.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn answer_dispute(
        &self,
        owner: Address,
        promise: &Promise,
        path: &[Sha256Digest],
    ) -> Result<(), LedgerError> {
        let call = Contract::answerCall {
            owner: to_evm(owner),
            receipt: receipt(promise),
            path: path.iter().map(|hash| hash.0.into()).collect(),
        };
        self.send(self.receipts()?, &call)?;
        Ok(())
    }

    /// Ends a dispute that was not answered in time.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn settle_dispute(&self, owner: Address, promise: &Promise) -> Result<(), LedgerError> {
        let call = Contract::settleCall {
            owner: to_evm(owner),
            receipt: receipt(promise),
        };
        self.send(self.receipts()?, &call)?;
        Ok(())
    }

    /// Pays what is credited to the account.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn claim_receipt_credit(&self) -> Result<(), LedgerError> {
        let call = Contract::claimCall {
            receiver: to_evm(self.account()),
        };
        self.send(self.receipts()?, &call)?;
        Ok(())
    }
}

fn receipt(promise: &Promise) -> Contract::Receipt {
    Contract::Receipt {
        log: promise.log.0.0.into(),
        endpoint: promise.endpoint.0.into(),
        counter: promise.counter,
        index: promise.index,
        leaf: promise.leaf.0.into(),
        deadline: promise.deadline.0,
    }
}

fn promise(receipt: &Contract::Receipt) -> Promise {
    Promise {
        log: LogId(Sha256Digest(receipt.log.0)),
        endpoint: Sha256Digest(receipt.endpoint.0),
        counter: receipt.counter,
        index: receipt.index,
        leaf: Sha256Digest(receipt.leaf.0),
        deadline: UnixSeconds(receipt.deadline),
    }
}

fn signed(document: &DecisionReceipt) -> Contract::SignedReceipt {
    let [numbers @ .., v] = document.signature().0;
    let (halves, _) = numbers.as_chunks::<32>();
    let half = |index: usize| halves.get(index).copied().unwrap_or_default().into();
    Contract::SignedReceipt {
        receipt: receipt(document.promise()),
        path: document.path().iter().map(|hash| (*hash).into()).collect(),
        r: half(0),
        s: half(1),
        v,
    }
}
