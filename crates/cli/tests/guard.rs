//! The coordinator's bond behind masked sums, guarded and taken back from the command line, on a chain whose clock the test
//! moves.

mod support;

use std::{fs, thread::sleep, time::Duration};

use counterweight_chain::ledger::BondFate;
use support::{
    PATIENCE, Ran, Running,
    masked_trial::{DISPUTE_SECONDS, Trial},
};

impl Trial {
    fn guard(&self) -> Running {
        self.project
            .spawn(&self.arguments(&["run", "guard", "--every", "50ms", "--json"], "dev-0"))
    }

    fn answered(&self, number: u32) -> bool {
        let demands = self.challenger.block_demands(self.study.study).unwrap();
        demands
            .iter()
            .any(|demand| demand.number == number && demand.shown.is_some())
    }

    fn wait_for_answer(&self, number: u32) {
        for _ in 0..PATIENCE {
            if self.answered(number) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("block {number} was not shown");
    }

    fn fate(&self) -> BondFate {
        let bond = self.challenger.sum_bond(self.study.study).unwrap();
        bond.unwrap().fate
    }
}

/// The last document that a guard printed.
fn last_word(ran: &Ran) -> serde_json::Value {
    // One document a line, and the last one over several.
    let start = ran.stdout.rfind("\n{").map_or(0, |at| at + 1);
    serde_json::from_str(&ran.stdout[start..]).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
}

#[test]
fn a_guard_answers_demands_is_killed_goes_on_and_takes_the_bond_back() {
    let trial = Trial::new();
    let opening = trial.round();
    trial.study.post(opening.round, &opening.sum);
    let mut guard = trial.guard();
    trial.demand(&opening, 1);
    trial.wait_for_answer(1);
    // Killed while the study still runs; what is demanded meanwhile is answered by the next one.
    guard.kill();
    trial.demand(&opening, 4);
    sleep(Duration::from_millis(300));
    assert!(!trial.answered(4));
    let mut guard = trial.guard();
    trial.wait_for_answer(4);
    trial.finish(&opening);
    guard.kill();
    assert_eq!(trial.fate(), BondFate::Held);
    trial.pass(DISPUTE_SECONDS + 1);
    let ran = trial.guard().finish().ends(0);
    assert_eq!(last_word(&ran)["bond"], "released");
    assert_eq!(trial.fate(), BondFate::Released);
    // Started once more, it sees that nothing is left to do.
    let ran = trial.guard().finish().ends(0);
    assert_eq!(last_word(&ran)["bond"], "released");
}

#[test]
fn a_bond_is_not_released_before_its_time_and_the_refusal_says_how_long() {
    let trial = Trial::new();
    let release = trial.arguments(&["run", "release-bond"], "dev-0");
    let error = trial.project.error(&release, 3);
    assert_eq!(error["code"], "CW3501");
    assert!(
        error["why"].as_str().unwrap().starts_with("the study runs"),
        "{error}"
    );
    let opening = trial.round();
    trial.study.post(opening.round, &opening.sum);
    trial.demand(&opening, 0);
    trial.finish(&opening);
    let error = trial.project.error(&release, 3);
    assert_eq!(error["facts"]["open demands"], "1");
    let once = trial.arguments(&["run", "guard", "--once", "--json"], "dev-0");
    let once = last_word(&trial.project.run(&once).ends(0));
    assert_eq!(
        (&once["bond"], &once["open_demands"]),
        (&"held".into(), &0.into())
    );
    let error = trial.project.error(&release, 3);
    let left = error["facts"]["time left"].as_str().unwrap();
    assert!(left.contains("min"), "{error}");
    trial.pass(DISPUTE_SECONDS + 1);
    let planned = trial.json(&["run", "release-bond", "--dry-run"], "dev-0");
    assert_eq!(
        (planned["bond"].as_str(), trial.fate()),
        (Some("held"), BondFate::Held)
    );
    for _ in 0..2 {
        let released = trial.json(&["run", "release-bond"], "dev-0");
        assert_eq!(released["bond"], "released");
    }
    assert_eq!(trial.fate(), BondFate::Released);
}

#[test]
fn a_guard_without_the_records_says_so_and_a_lost_bond_ends_it() {
    let trial = Trial::new();
    let opening = trial.round();
    trial.study.post(opening.round, &opening.sum);
    trial.demand(&opening, 3);
    let blobs = trial.project.path().join(".counterweight/blobs");
    fs::rename(&blobs, trial.project.path().join("elsewhere")).unwrap();
    let once = trial.arguments(&["run", "guard", "--once"], "dev-0");
    let error = trial.project.error(&once, 3);
    assert_eq!(error["code"], "CW3503");
    assert!(error["message"].as_str().unwrap().contains("block 3"), "{error}");
    trial.finish(&opening);
    trial.pass(DISPUTE_SECONDS + 1);
    let demand = trial
        .challenger
        .block_demands(trial.study.study)
        .unwrap()
        .remove(0);
    trial
        .challenger
        .settle_demand(trial.study.study, &demand)
        .unwrap();
    let guard = trial.arguments(&["run", "guard"], "dev-0");
    assert_eq!(trial.project.error(&guard, 4)["code"], "CW3502");
    let release = trial.arguments(&["run", "release-bond"], "dev-0");
    assert_eq!(trial.project.error(&release, 4)["code"], "CW3502");
}

#[test]
fn a_guard_s_metrics_say_what_it_sees_and_does() {
    let trial = Trial::new();
    let opening = trial.round();
    trial.study.post(opening.round, &opening.sum);
    let port = support::free_port();
    let address = format!("127.0.0.1:{port}");
    let guard = ["run", "guard", "--every", "50ms", "--metrics", &address];
    let _guard = trial.project.spawn(&trial.arguments(&guard, "dev-0"));
    support::wait_for_metric(port, "cw_bond_held 1");
    trial.demand(&opening, 2);
    support::wait_for_metric(port, "cw_demands_answered_total 1");
    support::wait_for_metric(port, "cw_demands_open 0");
    support::wait_for_metric(port, "cw_chain_calls_total{call=\"send\",outcome=\"answered\"} 1");
    let others = ["run", "guard", "--metrics", "0.0.0.0:9480"];
    let error = trial.project.error(&trial.arguments(&others, "dev-0"), 2);
    assert_eq!(error["code"], "CW1004");
}
