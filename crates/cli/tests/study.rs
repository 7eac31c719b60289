//! The main job as a person runs it: train, verify, tamper, withdraw, claim, train again.

mod support;

use std::{fs, sync::Arc};

use counterweight_chain::{
    deploy::Deployment,
    embedded::{Config, EmbeddedChain, Genesis},
    keys::development_key,
    ledger::ContractLedger,
};
use counterweight_primitives::Amount;
use counterweight_provenance::ledger::{AssetKind, AssetReader as _, RoyaltyLedger as _};
use serde_json::Value;
use support::{Project, blob_file, flip};

fn members(run: &Value) -> Vec<&str> {
    run["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["name"].as_str().unwrap())
        .collect()
}

/// Contributions and rewards, which follow from the model and nothing else.
fn earned(run: &Value) -> Vec<(String, String)> {
    let members = run["members"].as_array().unwrap().iter();
    members
        .map(|member| {
            (
                member["contribution_ppm"].to_string(),
                member["reward"].to_string(),
            )
        })
        .collect()
}

#[test]
fn a_study_is_trained_verified_and_any_flipped_byte_is_named() {
    let project = Project::new();
    let trained = project.json(&["train"]);
    assert_eq!(trained["phase"], "finished");
    assert_eq!(trained["model"], "tumour@1");
    assert_eq!(
        members(&trained),
        ["clinic-a", "clinic-b", "clinic-c", "clinic-d"]
    );
    assert_eq!(trained["accuracy"].as_array().unwrap().len(), 6);

    let verified = project.json(&["verify", "model", "tumour@1"]);
    assert_eq!(verified["verdict"], "yes", "{verified:#}");
    assert_eq!(project.json(&["verify", "log"])["verdict"], "yes");
    assert_eq!(project.json(&["verify", "dataset", "clinic-a"])["verdict"], "yes");

    let run = project.json(&["run", "show"]);
    let rounds = run["round_records"].as_array().unwrap();
    assert_eq!(rounds.len(), 3);
    let update = rounds[1]["commitments"][2]["update"].as_str().unwrap().to_owned();
    let model = project.json(&["model", "show", "tumour"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dataset = project.json(&["dataset", "show", "clinic-b"]);
    let store = |digest: &str| blob_file(&project.path(), digest);
    for (what, path, named) in [
        ("an update", store(&update), update.clone()),
        (
            "the model's manifest",
            store(&text(&model["manifest"])),
            text(&model["manifest"]),
        ),
        (
            "a dataset's manifest",
            store(&text(&dataset["manifest"])),
            text(&dataset["manifest"]),
        ),
        (
            "the model",
            store(&text(&model["content"])),
            text(&model["content"]),
        ),
        (
            "a round's result",
            store(&text(&rounds[1]["result"])),
            text(&rounds[1]["result"]),
        ),
        ("the terms", store(&text(&run["terms"])), text(&run["terms"])),
        (
            "the evidence",
            store(&text(&trained["evidence"])),
            text(&trained["evidence"]),
        ),
        (
            "a dataset",
            project.path().join("data/clinic-c.csv"),
            "clinic-c.csv".to_owned(),
        ),
        (
            "the hold-out",
            project.path().join("data/holdout.csv"),
            "data/holdout.csv".to_owned(),
        ),
    ] {
        let bytes = flip(&path);
        let target = if what == "the model's manifest" {
            text(&model["content"])
        } else {
            "tumour@1".to_owned()
        };
        let told = project
            .run(&["verify", "model", &target, "--json"])
            .ends(1)
            .json();
        assert_eq!(told["verdict"], "no", "{what}: {told:#}");
        let digits = named.trim_start_matches("blake3:");
        assert!(told.to_string().contains(digits), "{what} is named: {told:#}");
        fs::write(&path, bytes).unwrap();
    }
    project.run(&["verify", "model", "tumour@1"]).ends(0);
    assert_eq!(project.run(&["doctor"]).ends(0).status, 0);
}

#[test]
fn withdrawn_consent_keeps_a_clinic_out_until_it_is_granted_again() {
    let project = Project::new();
    let first = project.json(&["train"]);
    project.run(&["consent", "revoke", "clinic-c"]).ends(0);

    let second = project.json(&["train"]);
    assert_eq!(second["model"], "tumour@2");
    assert_eq!(members(&second), ["clinic-a", "clinic-b", "clinic-d"]);
    let left_out = second["left_out"].as_array().unwrap();
    assert_eq!(left_out[0]["name"], "clinic-c");
    assert!(
        left_out[0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("ConsentMissing("),
        "{second:#}"
    );
    assert_ne!(first["result"], second["result"]);
    // The past keeps its answer.
    project.run(&["verify", "model", "tumour@1"]).ends(0);
    project.run(&["verify", "model", "tumour@2"]).ends(0);

    project.run(&["consent", "grant", "clinic-c"]).ends(0);
    let third = project.json(&["train"]);
    assert_eq!(third["model"], "tumour@3");
    assert_eq!(third["result"], first["result"]);
    assert_eq!(earned(&third), earned(&first));
    assert_eq!(
        project.run(&["model", "list", "-q"]).ends(0).stdout,
        "tumour@1\ntumour@2\ntumour@3\n"
    );
}

#[test]
fn without_enough_consent_nothing_is_opened() {
    let project = Project::new();
    project.json(&["dataset", "publish"]);
    for clinic in ["clinic-a", "clinic-b", "clinic-c"] {
        project.run(&["consent", "revoke", clinic]).ends(0);
    }
    let error = project.error(&["train"], 4);
    assert_eq!(error["code"], "CW3011");
    assert_eq!(project.json(&["run", "list"])["runs"], Value::Array(Vec::new()));
}

#[test]
fn what_was_earned_is_paid_once() {
    let project = Project::new();
    let trained = project.json(&["train"]);
    let planned = project.json(&["claim", "clinic-a", "--dry-run"]);
    let paid = project.json(&["claim", "clinic-a"]);
    assert_eq!(planned["total"], paid["total"]);
    let reward: u128 = trained["members"][0]["reward"].as_str().unwrap().parse().unwrap();
    let bond: u128 = trained["bond"].as_str().unwrap().parse().unwrap();
    assert_eq!(paid["total"], (reward + bond).to_string());
    assert_eq!(project.error(&["claim", "clinic-a"], 4)["code"], "CW5009");
    project.json(&["claim"]);
    assert_eq!(project.error(&["claim"], 4)["code"], "CW5009");
    project.run(&["verify", "model", "tumour"]).ends(0);
}

/// Someone pays for the model's use; the sponsor keeps its part and each clinic gets what it contributed of the rest.
#[test]
fn income_of_a_model_climbs_to_the_clinics_and_is_paid_out() {
    let project = Project::new();
    project.json(&["train"]);
    project.json(&["claim"]);
    pay_for_use(&project, Amount(1_000_000));
    let claims = project.json(&["claim"]);
    let paid = |name: &str| {
        let claims = claims["claims"].as_array().unwrap();
        let claim = claims.iter().find(|claim| claim["to"] == name);
        claim.map_or(0, |claim| {
            claim["amount"].as_str().unwrap().parse::<u128>().unwrap()
        })
    };
    assert_eq!(claims["total"], "1000000");
    let run = project.json(&["run", "show"]);
    let mut to_clinics = 0;
    for member in run["members"].as_array().unwrap() {
        let share = member["contribution_ppm"].as_u64().unwrap();
        // `lineage-share = 0.4`; each hop rounds down by less than one unit.
        let expected = u128::from(share) * 400_000 / 1_000_000;
        let got = paid(member["name"].as_str().unwrap());
        assert!(got <= expected && expected - got <= 1, "{member} {claims}");
        to_clinics += got;
    }
    assert!(to_clinics > 0, "{claims}");
    assert_eq!(paid("tumour"), 1_000_000 - to_clinics);
    assert_eq!(project.error(&["claim"], 4)["code"], "CW5009");
}

fn pay_for_use(project: &Project, amount: Amount) {
    let state = project.path().join(".counterweight");
    let chain = EmbeddedChain::open(&state.join("chain"), Genesis::development(), Config::default()).unwrap();
    let deployment = Deployment::load(&state.join("deployments/local.json")).unwrap();
    let token = deployment.development_token.unwrap();
    let deployer = Arc::new(development_key(0, 31_337).unwrap());
    let payer = ContractLedger::new(Arc::new(chain), deployment, deployer);
    let mut assets = payer.asset_records().unwrap().into_iter();
    let model = assets
        .rfind(|record| record.asset.kind == AssetKind::Model)
        .unwrap();
    payer.mint_development_tokens(payer.account(), amount).unwrap();
    payer.pay(model.id, token, amount, [0; 32]).unwrap();
}

#[test]
fn a_model_is_exported_as_registered() {
    let project = Project::new();
    project.json(&["train"]);
    let exported = project.json(&["model", "export", "tumour"]);
    let bytes = fs::read(project.path().join(exported["file"].as_str().unwrap())).unwrap();
    let digest = counterweight_primitives::ContentDigest::of(&bytes).to_string();
    assert_eq!(exported["content"], digest);
    assert_eq!(project.error(&["model", "export", "tumour"], 2)["code"], "CW1010");
}

#[test]
fn rows_are_private_within_a_budget_that_anyone_reads() {
    let project = Project::new();
    let promise = "privacy = { epsilon = 4, row-clip = 1, sample = 0.5 }";
    project.edit("local-epochs = 1", &format!("local-epochs = 1\n{promise}"));
    let refused = project.run(&["train"]).ends(2);
    assert!(refused.stderr.contains("training.privacy"), "{}", refused.stderr);
    project.edit("local-epochs = 1", "local-steps = 2");
    project.json(&["train"]);
    let verified = project.run(&["verify", "model", "tumour@1"]).ends(0);
    assert!(
        verified.stdout.contains("spent an epsilon of 3.99"),
        "{}",
        verified.stdout
    );
    assert!(
        verified.stdout.contains("of the 4 promised for each row"),
        "{}",
        verified.stdout
    );
    let shown = project.run(&["run", "show"]).ends(0);
    assert!(
        shown.stdout.contains("of 4 spent, for each row"),
        "{}",
        shown.stdout
    );
}

#[test]
fn a_masked_study_of_members_stops_at_its_budget_and_is_finished() {
    let project = Project::new();
    project.edit("clip = 10", "clip = 1");
    let promise = "quorum = 3\nmasking = { group-size = 3, most-examples = 1 }\n\
                   privacy = { unit = \"member\", epsilon = 11, noise = 0.7 }";
    project.edit("quorum = 2", promise);
    let run = project.run(&["train"]).ends(0);
    assert!(
        run.stderr.contains("Stopped") && run.stderr.contains("of 11 promised"),
        "{}",
        run.stderr
    );
    let shown = project.json(&["run", "show"]);
    assert_eq!(shown["phase"], "finished");
    assert_eq!(shown["privacy"]["unit"], "member");
    let closed = shown["rounds"]["closed"].as_u64().unwrap();
    assert!(
        closed >= 1 && closed < shown["rounds"]["planned"].as_u64().unwrap(),
        "{shown}"
    );
    let spent = shown["privacy"]["spent_micro_epsilon"].as_u64().unwrap();
    assert!(spent > 0 && spent <= 11_000_000, "{spent}");
    let verified = project.run(&["verify", "model", "tumour@1"]).ends(0);
    assert!(
        verified.stdout.contains("of the 11 promised for each member"),
        "{}",
        verified.stdout
    );
}

#[test]
fn runs_are_put_side_by_side_with_what_they_did_differently() {
    let project = Project::new();
    project.json(&["train"]);
    project.edit("lr = 0.3", "lr = 0.03");
    project.json(&["train"]);
    let shown = project.json(&["run", "show", "1"]);
    let losses: Vec<f64> = shown["round_records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|round| round["holdout"]["loss"].as_f64().unwrap())
        .collect();
    assert_eq!(losses.len(), 3);
    assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
    let compared = project.json(&["run", "compare", "1", "2"]);
    let curve = |run: usize| compared["runs"][run]["curve"][2]["loss"].as_f64().unwrap();
    assert!((curve(0) - losses[2]).abs() < 1e-12 && curve(1) > curve(0));
    let expected = serde_json::json!([{"setting": "local.lr", "values": ["0.3", "0.03"]}]);
    assert_eq!(compared["differences"], expected);
    let watched = project.run(&["run", "watch", "2"]).ends(0).stdout;
    assert!(
        watched.contains("finished") && watched.contains("after round 3: loss"),
        "{watched}"
    );
    assert!(
        project
            .run(&["run", "show", "1"])
            .stdout
            .contains("loss on the hold-out")
    );
    project.run(&["run", "compare", "1"]).ends(2);
    project.run(&["run", "compare", "1", "9"]).ends(2);
}
