//! Wrong sums of masked rounds, disputed from the command line, on a chain whose clock the test moves.

mod support;

use std::collections::BTreeMap;

use counterweight_federated::{ledger::masking::MaskLedger as _, masking::refutation::open_block};
use counterweight_primitives::{Amount, Sha256Digest};
use support::masked_trial::{BOND, DISPUTE_SECONDS, Trial, root};

impl Trial {
    /// The one sum of the run, and what was done about it.
    fn dispute(&self) -> (String, String) {
        let answer = self.json(&["run", "dispute-sums"], "dev-6");
        let text = |name: &str| answer["sums"][0][name].as_str().unwrap().to_owned();
        assert_eq!(answer["sums"].as_array().unwrap().len(), 1);
        (text("sum"), text("done"))
    }
}

#[test]
fn a_lying_coordinator_is_driven_to_the_wrong_block_and_refuted() {
    let trial = Trial::new();
    let (coordinator, study) = (&trial.study.coordinator, trial.study.study);
    let opening = trial.round();
    let mut wrong = opening.sum.clone();
    wrong[50] += 1;
    trial.study.post(opening.round, &wrong);
    let record = trial.study.record(opening.round);
    let mut refuted = None;
    for _ in 0..6 {
        let (verdict, done) = trial.dispute();
        assert_eq!(verdict, "wrong");
        if !done.starts_with("demanded block ") {
            refuted = Some(done);
            break;
        }
        let (_, waits) = trial.dispute();
        assert!(waits.starts_with("waits for block "), "{waits}");
        // The coordinator shows what it posted, hoping that nobody looks further.
        for demand in coordinator.block_demands(study).unwrap() {
            if demand.open {
                let block = open_block(&wrong, demand.number);
                coordinator
                    .answer_block(study, &record, 0, demand.number, &block)
                    .unwrap();
            }
        }
    }
    assert!(refuted.unwrap().starts_with("refuted at block 3, paid "));
    assert_eq!(trial.dispute(), ("wrong".to_owned(), "refuted".to_owned()));
    assert_eq!(coordinator.mask_bond(study).unwrap().1, Amount(0));
}

#[test]
fn a_root_of_nothing_is_refuted_by_silence() {
    let trial = Trial::new();
    let opening = trial.round();
    let nothing = Sha256Digest::of(b"nothing");
    assert_ne!(root(&opening.sum), nothing);
    trial
        .study
        .coordinator
        .post_sums(trial.study.study, opening.round, &[nothing])
        .unwrap();
    let told = trial.json(&["run", "dispute-sums", "--dry-run"], "dev-6");
    assert_eq!(told["sums"][0]["done"], "block 0 is to be demanded");
    assert!(trial.dispute().1.starts_with("demanded block 0 until "));
    let guard = trial.arguments(&["run", "guard", "--once"], "dev-0");
    assert_eq!(trial.project.error(&guard, 3)["code"], "CW3503");
    trial.pass(DISPUTE_SECONDS + 1);
    assert_eq!(trial.dispute().1, "refuted: block 0 was not shown");
    assert_eq!(trial.dispute().1, "refuted");
}

#[test]
fn an_honest_coordinator_answers_and_keeps_its_bond() {
    let trial = Trial::new();
    let (coordinator, study) = (&trial.study.coordinator, trial.study.study);
    let opening = trial.round();
    trial.study.post(opening.round, &opening.sum);
    assert_eq!(trial.dispute(), ("right".to_owned(), "-".to_owned()));
    let record = trial.study.record(opening.round);
    // Without tokens for the deposit, nothing is demanded.
    trial.study.members[0]
        .demand_block(study, &record, 0, 2)
        .unwrap_err();
    trial.demand(&opening, 2);
    let guard = trial.arguments(&["run", "guard", "--once"], "dev-0");
    trial.project.run(&guard).ends(0);
    assert_eq!(coordinator.mask_bond(study).unwrap().1, BOND);
    let shown: BTreeMap<u32, bool> = coordinator
        .block_demands(study)
        .unwrap()
        .iter()
        .map(|demand| (demand.number, demand.shown.is_some()))
        .collect();
    assert_eq!(shown, BTreeMap::from([(2, true)]));
}
