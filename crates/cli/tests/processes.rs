//! Members in processes of their own, a coordinator and a member killed, and the same study on another chain.

mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use counterweight_testkit::Anvil;
use serde_json::Value;
use support::{Project, Running, free_port};

const CLINICS: [&str; 4] = ["clinic-a", "clinic-b", "clinic-c", "clinic-d"];

/// Contributions and rewards, which follow from the model and nothing else.
fn earned(run: &Value) -> Vec<(String, String, String)> {
    let mut earned: Vec<_> = run["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| {
            (
                member["name"].to_string(),
                member["contribution_ppm"].to_string(),
                member["reward"].to_string(),
            )
        })
        .collect();
    earned.sort();
    earned
}

struct Ports {
    members: String,
    chain: String,
}

impl Ports {
    fn free() -> Self {
        Self {
            members: format!("127.0.0.1:{}", free_port()),
            chain: format!("127.0.0.1:{}", free_port()),
        }
    }

    fn coordinator(&self, project: &Project) -> Running {
        project.spawn(&["train", "--listen", &self.members, "--rpc", &self.chain, "--json"])
    }

    fn member(&self, project: &Project, clinic: &str) -> Running {
        let coordinator = format!("https://{}", self.members);
        let chain = format!("http://{}", self.chain);
        project.spawn(&[
            "member",
            "start",
            "--coordinator",
            &coordinator,
            "--network",
            &chain,
            "--dataset",
            clinic,
            "--json",
        ])
    }

    /// All of them.
    fn members(&self, project: &Project) -> Vec<Running> {
        let members = CLINICS.iter().map(|clinic| self.member(project, clinic));
        members.collect()
    }

    /// Waits until so many rounds are closed, while all members go on.
    fn closed_rounds(&self, project: &Project, wanted: u64, members: &mut Vec<Running>) {
        let chain = format!("http://{}", self.chain);
        let started = Instant::now();
        loop {
            let ran = project.run(&["run", "show", "--network", &chain, "--json"]);
            let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
            if document["rounds"]["closed"]
                .as_u64()
                .is_some_and(|closed| closed >= wanted)
            {
                return;
            }
            if let Some(ended) = members.iter_mut().position(Running::has_ended) {
                panic!("a member left: {:?}", members.swap_remove(ended).finish());
            }
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "no round closed: {ran:?}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A study in processes of its own, whose coordinator and one member are killed after the first round and started again, gives the
/// model, contributions and rewards of the simulation with the same changes to the configuration.
fn killed_processes_reach_the_simulations_model(edits: &[(&str, &str)]) -> Project {
    let (simulated, project) = (Project::new(), Project::new());
    for (from, to) in edits {
        simulated.edit(from, to);
        project.edit(from, to);
    }
    let expected = simulated.json(&["train"]);
    let ports = Ports::free();
    let mut coordinator = ports.coordinator(&project);
    let mut members = ports.members(&project);
    ports.closed_rounds(&project, 1, &mut members);
    coordinator.kill();
    members[2].kill();
    let coordinator = ports.coordinator(&project);
    members[2] = ports.member(&project, CLINICS[2]);

    let finished = coordinator.finish().ends(0).json();
    assert_eq!(finished["result"], expected["result"]);
    assert_eq!(earned(&finished), earned(&expected));
    for member in members {
        assert_eq!(member.finish().ends(0).json()["result"], expected["result"]);
    }
    project
}

#[test]
fn processes_reach_the_simulations_model_although_coordinator_and_member_are_killed() {
    let project = killed_processes_reach_the_simulations_model(&[("rounds = 3", "rounds = 12")]);
    project.run(&["verify", "model", "tumour@1"]).ends(0);
}

#[test]
fn masked_members_reach_the_simulations_model_although_coordinator_and_member_are_killed() {
    let masked = "quorum = 3\nmasking = { group-size = 3, most-examples = 200 }";
    let edits = [("quorum = 2", masked), ("rounds = 3", "rounds = 5")];
    let project = killed_processes_reach_the_simulations_model(&edits);
    project.run(&["verify", "run"]).ends(0);
}

#[test]
fn a_member_that_stays_away_is_named_and_the_others_go_on() {
    let project = Project::new();
    project.edit("rounds = 3", "rounds = 4");
    project.edit("round-timeout = \"60s\"", "round-timeout = \"3s\"");
    let ports = Ports::free();
    let coordinator = ports.coordinator(&project);
    let mut members = ports.members(&project);
    ports.closed_rounds(&project, 1, &mut members);
    members[3].kill();
    let ran = coordinator.finish().ends(0);
    let survived: Vec<u64> = ran.json()["members"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|member| member["name"] == "clinic-d")
        .map(|member| member["survived"].as_u64().unwrap())
        .collect();
    assert!(survived[0] < 4, "{ran:?}");
    assert!(ran.stderr.contains("went on without"), "{ran:?}");
    project.run(&["verify", "model", "tumour@1"]).ends(0);
}

#[test]
fn another_chain_gives_the_same_model_contributions_and_payments() {
    let embedded = Project::new();
    let expected = embedded.json(&["train"]);

    let project = Project::new();
    let anvil = Anvil::start(&[]);
    project.edit("http://127.0.0.1:8545", anvil.endpoint());
    let trained = project.json(&["--network", "anvil", "train"]);
    assert_eq!(trained["result"], expected["result"]);
    assert_eq!(earned(&trained), earned(&expected));
    project
        .run(&["--network", "anvil", "verify", "model", "tumour@1"])
        .ends(0);
    let paid = project.json(&["--network", "anvil", "claim", "clinic-a"]);
    assert_eq!(paid["total"], embedded.json(&["claim", "clinic-a"])["total"]);
}
