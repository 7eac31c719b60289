//! Receipts of decisions are disputed the same way on every chain.

mod support;

use counterweight_chain::ledger::{ContractLedger, ReceiptState};
use counterweight_primitives::{Amount, Sha256Digest, UnixSeconds};
use counterweight_provenance::decision::receipt::{DecisionReceipt, Promise, sign_all};
use counterweight_provenance::ledger::{AnchorLedger as _, LedgerError, LogId};
use counterweight_provenance::log::tree::{leaf_hash, node_hash};
use support::{Deployed, TestChain, key};

on_every_chain! {
    a_missing_entry_costs_the_bond
    another_entry_costs_the_bond
    silence_costs_the_bond
    an_answer_ends_a_dispute
    two_promises_for_one_place_cost_the_bond
}

const ORIGIN: &str = "example.org/decisions";
const BOND: Amount = Amount(1_000_000);

/// Development key 1 keeps a log of three entries, of which two are anchored, and a bond; key 2 holds receipts.
struct Service {
    owner: ContractLedger,
    asker: ContractLedger,
    leaves: [Sha256Digest; 3],
    deadline: u64,
}

impl Service {
    fn start(chain: &dyn TestChain) -> (Self, Deployed) {
        let deployed = Deployed::on(chain);
        let (owner, asker) = (deployed.ledger(1), deployed.ledger(2));
        let log = LogId::of_origin(ORIGIN);
        owner.post_receipt_bond(log, BOND).unwrap();
        let leaves = ["zero", "one", "two"].map(|entry| leaf_hash(entry.as_bytes()));
        owner
            .anchor(log, 2, node_hash(&leaves[0], &leaves[1]), &[])
            .unwrap();
        let head = chain.network().head().unwrap();
        let service = Self {
            owner,
            asker,
            leaves,
            deadline: head.timestamp + 60,
        };
        (service, deployed)
    }

    /// As a service signs them: the receipts of a batch under one signature.
    fn receipts(&self, promises: &[(u64, Sha256Digest)]) -> Vec<DecisionReceipt> {
        let promises: Vec<Promise> = promises
            .iter()
            .map(|(index, leaf)| Promise {
                log: LogId::of_origin(ORIGIN),
                endpoint: Sha256Digest::of(b"triage"),
                counter: *index,
                index: *index,
                leaf: *leaf,
                deadline: UnixSeconds(self.deadline),
            })
            .collect();
        sign_all(ORIGIN, &promises, &key(1)).unwrap()
    }

    fn state(&self, receipt: &DecisionReceipt) -> ReceiptState {
        let account = self.owner.account();
        self.asker
            .receipt_dispute(account, receipt.promise())
            .unwrap()
            .state
    }

    fn bond(&self) -> Amount {
        let log = LogId::of_origin(ORIGIN);
        self.asker.receipt_bond(self.owner.account(), log).unwrap().amount
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> String {
    match result {
        Err(LedgerError::Refused { name, .. }) => name,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn a_missing_entry_costs_the_bond(chain: &dyn TestChain) {
    let (service, _deployed) = Service::start(chain);
    let receipts = service.receipts(&[(1, service.leaves[1]), (2, service.leaves[2])]);
    assert_eq!(
        refused(service.asker.report_absent(&receipts[1])),
        "DeadlineNotPassed"
    );
    chain.advance(61);
    assert_eq!(
        refused(service.asker.report_absent(&receipts[0])),
        "PlaceAnchored"
    );
    service.asker.report_absent(&receipts[1]).unwrap();
    assert_eq!(service.state(&receipts[1]), ReceiptState::Broken);
    assert_eq!(service.bond(), Amount(900_000));
    assert_eq!(
        service.asker.receipt_credit(service.asker.account()).unwrap(),
        Amount(50_000)
    );
    service.asker.claim_receipt_credit().unwrap();
    assert_eq!(
        service.asker.receipt_credit(service.asker.account()).unwrap(),
        Amount(0)
    );
}

fn another_entry_costs_the_bond(chain: &dyn TestChain) {
    let (service, _deployed) = Service::start(chain);
    let receipt = service.receipts(&[(0, leaf_hash(b"promised"))]).remove(0);
    let path = [service.leaves[1]];
    let wrong = [service.leaves[2]];
    let leaf = service.leaves[0];
    assert_eq!(
        refused(service.asker.report_other(&receipt, leaf, &wrong)),
        "NotAnchored"
    );
    service.asker.report_other(&receipt, leaf, &path).unwrap();
    assert_eq!(service.state(&receipt), ReceiptState::Broken);
}

fn silence_costs_the_bond(chain: &dyn TestChain) {
    let (service, _deployed) = Service::start(chain);
    let receipt = service.receipts(&[(0, leaf_hash(b"withheld"))]).remove(0);
    chain.advance(61);
    service.asker.open_dispute(&receipt).unwrap();
    let owner = service.owner.account();
    let open = service
        .owner
        .receipt_disputes(owner, LogId::of_origin(ORIGIN))
        .unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].promise, *receipt.promise());
    assert_eq!(
        refused(service.asker.settle_dispute(owner, receipt.promise())),
        "WrongTime"
    );
    service
        .owner
        .request_receipt_withdrawal(LogId::of_origin(ORIGIN))
        .unwrap();
    chain.advance(8 * 86_400);
    assert_eq!(
        refused(service.owner.withdraw_receipt_bond(LogId::of_origin(ORIGIN))),
        "BondHeld"
    );
    service.asker.settle_dispute(owner, receipt.promise()).unwrap();
    assert_eq!(service.state(&receipt), ReceiptState::Broken);
    // Half of a tenth, and the deposit of a hundredth.
    assert_eq!(
        service.asker.receipt_credit(service.asker.account()).unwrap(),
        Amount(60_000)
    );
    service
        .owner
        .withdraw_receipt_bond(LogId::of_origin(ORIGIN))
        .unwrap();
    assert_eq!(service.owner.receipt_credit(owner).unwrap(), Amount(900_000));
}

fn an_answer_ends_a_dispute(chain: &dyn TestChain) {
    let (service, _deployed) = Service::start(chain);
    let receipt = service.receipts(&[(1, service.leaves[1])]).remove(0);
    chain.advance(61);
    service.asker.open_dispute(&receipt).unwrap();
    let owner = service.owner.account();
    service
        .owner
        .answer_dispute(owner, receipt.promise(), &[service.leaves[0]])
        .unwrap();
    assert_eq!(service.state(&receipt), ReceiptState::Kept);
    assert_eq!(service.bond(), BOND);
    assert_eq!(service.owner.receipt_credit(owner).unwrap(), Amount(10_000));
    assert_eq!(refused(service.asker.open_dispute(&receipt)), "WrongState");
}

fn two_promises_for_one_place_cost_the_bond(chain: &dyn TestChain) {
    let (service, _deployed) = Service::start(chain);
    let one = service.receipts(&[(7, leaf_hash(b"one"))]).remove(0);
    let other = service
        .receipts(&[(7, leaf_hash(b"other")), (8, leaf_hash(b"next"))])
        .remove(0);
    assert!(one.contradicts(&other));
    service.asker.report_contradiction(&one, &other).unwrap();
    assert_eq!(service.state(&one), ReceiptState::Broken);
    assert_eq!(service.state(&other), ReceiptState::Broken);
    assert_eq!(service.bond(), Amount(900_000));
}
