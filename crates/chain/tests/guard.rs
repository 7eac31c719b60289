//! The bond behind a masked study's sums is looked after, on every chain.

mod support;

use std::sync::Arc;

use counterweight_chain::guard::{GuardError, GuardLook, GuardStep, SumGuard, Unanswerable};
use counterweight_chain::ledger::{BondFate, ContractLedger};
use counterweight_federated::blobs::MemoryBlobs;
use counterweight_federated::ledger::StudyReader as _;
use counterweight_primitives::{Amount, UnixSeconds};
use counterweight_testkit::{MaskedOpening, MaskedStudy};
use support::{Deployed, TestChain, masked_study};

on_every_chain! {
    demands_are_answered_and_the_bond_comes_back
    what_the_records_do_not_give_is_not_shown_and_costs_the_bond
    a_guard_that_was_killed_and_two_at_once_change_nothing
}

const BOND: Amount = Amount(1_001);
const DISPUTE_SECONDS: u64 = 3_600;

struct Trial {
    deployed: Deployed,
    inner: MaskedStudy,
    blobs: MemoryBlobs,
}

impl Trial {
    fn on(chain: &dyn TestChain) -> (Self, MaskedOpening) {
        let deployed = Deployed::on(chain);
        let inner = masked_study(&deployed, BOND, 1);
        let blobs = MemoryBlobs::default();
        let opening = inner.up_to_sums(&blobs, &|seconds| chain.advance(seconds));
        let trial = Self {
            deployed,
            inner,
            blobs,
        };
        (trial, opening)
    }

    fn guard(&self) -> SumGuard {
        self.guard_with(self.blobs.clone())
    }

    fn guard_with(&self, blobs: MemoryBlobs) -> SumGuard {
        SumGuard::new(self.inner.coordinator.clone(), Arc::new(blobs), self.inner.study)
    }

    /// By the chain's clock.
    fn look(&self, guard: &SumGuard) -> GuardLook {
        guard.look(self.now()).unwrap()
    }

    fn now(&self) -> UnixSeconds {
        self.inner.coordinator.now().unwrap()
    }

    fn challenger(&self) -> ContractLedger {
        let challenger = self.deployed.ledger(6);
        self.inner
            .coordinator
            .mint_development_tokens(challenger.account(), Amount(1_000))
            .unwrap();
        challenger
    }

    fn end(&self, opening: &MaskedOpening) {
        self.inner.close(opening.round);
        self.inner.finish();
    }

    fn balance(&self) -> Amount {
        let coordinator = &self.inner.coordinator;
        let token = self.deployed.deployment.development_token.unwrap();
        coordinator.token_balance(token, coordinator.account()).unwrap()
    }
}

fn demands_are_answered_and_the_bond_comes_back(chain: &dyn TestChain) {
    let (trial, opening) = Trial::on(chain);
    let (study, guard) = (&trial.inner, trial.guard());
    assert_eq!(trial.look(&guard).bond.held_until, None);
    study.post(opening.round, &opening.sum);
    let before = trial.balance();
    let challenger = trial.challenger();
    let record = study.record(opening.round);
    for number in [2, 0] {
        challenger.demand_block(study.study, &record, 0, number).unwrap();
    }
    let looked = trial.look(&guard);
    let shown = |number| GuardStep::Shown {
        round: opening.round,
        group: 0,
        number,
    };
    assert_eq!(looked.steps, [shown(2), shown(0)]);
    assert_eq!((looked.bond.open_demands, looked.bond.fate), (0, BondFate::Held));
    // A hundredth of the bond for each, rounded up.
    assert_eq!(trial.balance(), Amount(before.0 + 2 * 11));
    trial.end(&opening);
    assert_eq!(trial.look(&guard).steps, []);
    // Its own clock may be ahead of the chain's: the refusal is no error.
    let ahead = UnixSeconds(trial.now().0 + 10 * DISPUTE_SECONDS);
    guard.look(ahead).unwrap();
    chain.advance(DISPUTE_SECONDS - 60);
    // A demand at the last moment holds the bond until it is answered, which may be in the same look.
    challenger.demand_block(study.study, &record, 0, 1).unwrap();
    chain.advance(120);
    let looked = trial.look(&guard);
    assert_eq!(looked.steps, [shown(1), GuardStep::Released { amount: BOND }]);
    assert_eq!(looked.bond.fate, BondFate::Released);
    assert_eq!(trial.balance(), Amount(before.0 + 3 * 11 + BOND.0));
    assert_eq!(trial.look(&guard).steps, []);
}

fn what_the_records_do_not_give_is_not_shown_and_costs_the_bond(chain: &dyn TestChain) {
    let (trial, opening) = Trial::on(chain);
    let (study, guard) = (&trial.inner, trial.guard());
    let mut wrong = opening.sum.clone();
    wrong[3] += 1;
    study.post(opening.round, &wrong);
    let challenger = trial.challenger();
    let record = study.record(opening.round);
    challenger.demand_block(study.study, &record, 0, 1).unwrap();
    let demand = challenger.block_demands(study.study).unwrap().remove(0);
    let not_shown = |why| GuardStep::NotShown {
        demand: demand.clone(),
        why,
    };
    assert_eq!(trial.look(&guard).steps, [not_shown(Unanswerable::OtherSum)]);
    let empty = trial.guard_with(MemoryBlobs::default());
    let looked = trial.look(&empty);
    assert!(
        matches!(&looked.steps[..], [GuardStep::NotShown { why: Unanswerable::NoSum { problem }, .. }]
            if problem.contains("member 0: its dealing cannot be read")),
        "{looked:?}"
    );
    trial.end(&opening);
    chain.advance(DISPUTE_SECONDS + 1);
    // Not even by a clock that is ahead is the bond asked for while a demand waits.
    assert_eq!(trial.look(&guard).bond.open_demands, 1);
    challenger.settle_demand(study.study, &demand).unwrap();
    let looked = trial.look(&guard);
    assert_eq!((looked.bond.fate, looked.bond.amount), (BondFate::Lost, BOND));
    assert_eq!(looked.steps, []);
}

fn a_guard_that_was_killed_and_two_at_once_change_nothing(chain: &dyn TestChain) {
    let (trial, opening) = Trial::on(chain);
    let study = &trial.inner;
    study.post(opening.round, &opening.sum);
    let challenger = trial.challenger();
    let record = study.record(opening.round);
    for number in 0..3 {
        challenger.demand_block(study.study, &record, 0, number).unwrap();
    }
    trial.end(&opening);
    // Two at once, from accounts of their own: each demand is answered once.
    let other = SumGuard::new(
        trial.deployed.ledger(7),
        Arc::new(trial.blobs.clone()),
        study.study,
    );
    let now = trial.now();
    let guard = trial.guard();
    let mut shown = std::thread::scope(|scope| {
        let looks = [&guard, &other].map(|guard| scope.spawn(move || guard.look(now).unwrap().steps));
        let steps = looks.into_iter().flat_map(|look| look.join().unwrap());
        steps
            .map(|step| match step {
                GuardStep::Shown { number, .. } => number,
                step => panic!("{step:?}"),
            })
            .collect::<Vec<_>>()
    });
    shown.sort_unstable();
    assert_eq!(shown, [0, 1, 2]);
    drop(guard);
    chain.advance(DISPUTE_SECONDS + 1);
    let looked = trial.look(&trial.guard());
    assert_eq!(looked.steps, [GuardStep::Released { amount: BOND }]);
    // Whoever is started after that sees that it is done.
    assert_eq!(trial.look(&other).bond.fate, BondFate::Released);
}

#[test]
fn without_a_bond_there_is_nothing_to_look_after() {
    let chain = support::Embedded::start();
    let deployed = Deployed::on(&chain);
    let study = masked_study(&deployed, Amount(0), 1);
    let guard = SumGuard::new(
        study.coordinator.clone(),
        Arc::new(MemoryBlobs::default()),
        study.study,
    );
    let now = study.coordinator.now().unwrap();
    assert!(matches!(guard.look(now), Err(GuardError::NoBond { .. })));
    assert_eq!(study.coordinator.sum_bond(study.study).unwrap(), None);
}
