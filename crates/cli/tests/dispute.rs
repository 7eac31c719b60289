//! Claims and challenges from the command line, on a chain whose clock the test moves.

mod support;

use std::{fs, path::Path, sync::Arc};

use counterweight_chain::{
    deploy::Deployment,
    embedded::DEVELOPMENT_CHAIN_ID,
    keys::development_key,
    ledger::{
        ContractLedger,
        disputes::{DisputeContracts, Disputes, Terms},
    },
    remote::{RemoteChain, RemoteOptions},
};
use counterweight_inference::{
    Model,
    dispute::{CommittedModel, CommittedTrace},
};
use counterweight_primitives::architecture::Node;
use serde_json::Value;
use support::{Project, Running};

/// Seconds of the clocks below.
const WINDOW: u64 = 3600;
const RESPONSE: u64 = 900;

/// A project with a published network, on a node of its own.
struct Trial {
    project: Project,
    url: String,
    _node: Running,
}

impl Trial {
    fn new() -> Self {
        let project = Project::new();
        let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/onnx/gemm.onnx");
        fs::copy(onnx, project.path().join("gemm.onnx")).unwrap();
        let row = |seed: i32| (0..9).map(move |place| f64::from((seed * 7 + place * 5) % 13 - 6) / 6.0);
        let rows: Vec<String> = (0..20)
            .map(|seed| {
                let numbers: Vec<String> = row(seed).map(|number| number.to_string()).collect();
                numbers.join(",")
            })
            .collect();
        fs::write(project.path().join("rows.csv"), rows.join("\n")).unwrap();
        let first: Vec<f64> = row(3).collect();
        fs::write(
            project.path().join("row.json"),
            serde_json::to_string(&first).unwrap(),
        )
        .unwrap();
        project.json(&["model", "import", "gemm.onnx", "--calibrate", "rows.csv"]);
        let (node, url) = project.start(&["node", "start", "--port", "0", "--in-memory", "--development"]);
        let trial = Self {
            project,
            url,
            _node: node,
        };
        trial.json(&["model", "publish", "gemm", "--open"], "dev-1");
        trial
    }

    fn json(&self, arguments: &[&str], key: &str) -> Value {
        let network = ["--network", &self.url, "--key", key];
        self.project.json(&[arguments, &network].concat())
    }

    fn error(&self, arguments: &[&str], key: &str, status: i32) -> Value {
        let network = ["--network", &self.url, "--key", key];
        self.project.error(&[arguments, &network].concat(), status)
    }

    fn dispute(&self, verb: &str, claim: &str, key: &str) -> Value {
        self.json(&["dispute", verb, claim], key)
    }

    /// Makes an honest claim.
    fn claim(&self) -> String {
        let made = self.json(
            &[
                "dispute",
                "claim",
                "gemm",
                "--input",
                "row.json",
                "--window",
                "1h",
                "--response",
                "15m",
            ],
            "dev-1",
        );
        made["claim"].as_str().unwrap().to_owned()
    }

    /// Makes a claim in which an element of the first layer is wrong, which the command line would not make.
    fn lie(&self) -> String {
        let chain =
            RemoteChain::connect(&self.url, Some(DEVELOPMENT_CHAIN_ID), RemoteOptions::default()).unwrap();
        let mut files = fs::read_dir(self.project.path().join(".counterweight/deployments")).unwrap();
        let deployment = Deployment::load(&files.next().unwrap().unwrap().path()).unwrap();
        let places = DisputeContracts::of(&deployment).unwrap();
        let signer = Arc::new(development_key(1, DEVELOPMENT_CHAIN_ID).unwrap());
        let party = Disputes::new(ContractLedger::new(Arc::new(chain), deployment, signer), places);
        let file = self
            .project
            .path()
            .join(".counterweight/inference/gemm/network.cwm");
        let model = Model::from_bytes(&fs::read(file).unwrap()).unwrap();
        let model = CommittedModel::new(model.network().clone());
        let honest = model.trace(&[1; 9]).unwrap();
        let count = model.network().architecture().steps().len() as u8;
        let mut nodes: Vec<Vec<u8>> = (0..=count)
            .map(|node| honest.node(Node(node)).unwrap().data().to_vec())
            .collect();
        nodes[1][2] ^= 1;
        let trace = CommittedTrace::from_nodes(nodes).unwrap();
        let terms = Terms {
            window_seconds: WINDOW as u32,
            response_seconds: RESPONSE as u32,
            burnt_ppm: 500_000,
            audit_ppm: 0,
            claim_bond_wei: 1_000_000,
            challenge_bond_wei: 10_000,
        };
        let claim = party.claim(&model, &trace, [0; 32], terms, true).unwrap();
        hex::encode(claim.id)[..16].to_owned()
    }

    /// Moves the chain's clock and makes a block.
    fn pass(&self, seconds: u64) {
        support::pass(&self.url, seconds);
    }
}

#[test]
fn a_true_claim_survives_a_lying_challenge_and_pays_its_claimant() {
    let trial = Trial::new();
    let claim = trial.claim();
    let shown = trial.dispute("show", &claim, "dev-3");
    assert_eq!(
        (&shown["holds"], &shown["status"]),
        (&true.into(), &"pending".into())
    );
    assert_eq!(
        trial.error(&["dispute", "open", &claim], "dev-2", 4)["code"],
        "CW4201"
    );
    let opened = trial.json(&["dispute", "open", &claim, "--layer", "0"], "dev-2");
    assert_eq!(opened["challenge"], 0);
    assert_eq!(
        trial.error(&["dispute", "answer", &claim], "dev-2", 4)["code"],
        "CW4204"
    );
    let revealed = trial.dispute("answer", &claim, "dev-1");
    assert_eq!(revealed["turns"][0]["moved"], true);
    let nothing = trial.error(&["dispute", "answer", &claim], "dev-2", 4);
    assert_eq!(nothing["code"], "CW4204", "there is no fault to show");
    assert_eq!(
        trial.error(&["dispute", "settle", &claim], "dev-1", 4)["code"],
        "CW4204"
    );
    trial.pass(RESPONSE + 1);
    let settled = trial.dispute("settle", &claim, "dev-1");
    assert_eq!(settled["status"], "pending");
    assert_eq!(
        settled["withdrawn_wei"], "10000000000000000",
        "half of the challenger's bond"
    );
    trial.pass(WINDOW);
    let settled = trial.dispute("settle", &claim, "dev-1");
    assert_eq!(settled["status"], "accepted");
    assert_eq!(settled["withdrawn_wei"], "100000000000000000", "its own bond");
    let shown = trial.dispute("show", &claim, "dev-3");
    assert_eq!(shown["challenges"][0]["state"], "the claimant won");
    let listed = trial.json(&["dispute", "list"], "dev-3");
    assert_eq!(listed["claims"][0]["status"], "accepted");
}

#[test]
fn a_false_claim_falls_to_who_watches() {
    let trial = Trial::new();
    let claim = trial.lie();
    let watch = |key: &str, answer: &[&str], status: i32| {
        let arguments = [
            &[
                "dispute",
                "watch",
                "--once",
                "--network",
                &trial.url,
                "--key",
                key,
                "--json",
            ],
            answer,
        ];
        let ran = trial.project.run(&arguments.concat()).ends(status);
        let lines = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.collect::<Vec<_>>()
    };
    let seen = watch("dev-3", &[], 1);
    assert_eq!(seen[0]["holds"], false, "{seen:?}");
    assert_eq!(trial.dispute("show", &claim, "dev-3")["first_difference"], 0);
    watch("dev-2", &["--answer"], 1);
    // The liar's own tool finds no true move; he reveals what he claimed with a tool of his own, or is silent.
    assert_eq!(
        trial.error(&["dispute", "answer", &claim], "dev-1", 4)["code"],
        "CW4204"
    );
    trial.pass(RESPONSE + 1);
    let ended = watch("dev-2", &["--answer"], 1);
    assert!(ended.iter().any(|line| line["status"] == "rejected"), "{ended:?}");
    let settled = trial.dispute("settle", &claim, "dev-2");
    assert_eq!(settled["status"], "rejected");
    assert_eq!(
        settled["withdrawn_wei"], "510000",
        "half of the claimant's bond and its own"
    );
}

#[test]
fn who_is_silent_loses_and_anybody_settles_it() {
    let trial = Trial::new();
    let claim = trial.claim();
    trial.json(&["dispute", "open", &claim, "--layer", "1"], "dev-2");
    trial.pass(RESPONSE + 1);
    let settled = trial.dispute("settle", &claim, "dev-3");
    assert_eq!(settled["status"], "rejected");
    assert_eq!(settled["withdrawn_wei"], "0");
    assert_eq!(
        trial.error(&["dispute", "open", &claim], "dev-2", 4)["code"],
        "CW4204"
    );
    assert_eq!(
        trial.error(&["dispute", "show", "abc"], "dev-2", 2)["code"],
        "CW1004"
    );
    assert_eq!(
        trial.error(&["dispute", "show", "abcdef"], "dev-2", 2)["code"],
        "CW1006"
    );
}

/// What is hidden cannot be recomputed: it is proven when somebody asks, or when lots do, or it is lost.
#[test]
fn a_claim_about_hidden_weights_is_proven_when_asked_or_lost() {
    let trial = Trial::new();
    trial.json(&["model", "publish", "gemm"], "dev-1");
    let claim = |file: &str, extra: &[&str]| {
        let private: &[&str] = if file == "private.cwp" {
            &["--private"]
        } else {
            &[]
        };
        let prove = ["prove", "gemm", "--input", "row.json", "--output", file];
        trial.json(&[&prove, private].concat(), "dev-1");
        let claim = [
            "dispute",
            "claim",
            "--proof",
            file,
            "--window",
            "1h",
            "--response",
            "15m",
        ];
        let made = trial.json(&[&claim, extra].concat(), "dev-1");
        made["claim"].as_str().unwrap().to_owned()
    };
    let watch = |key: &str| {
        let arguments = [
            "dispute",
            "watch",
            "--once",
            "--answer",
            "--network",
            &trial.url,
            "--key",
            key,
        ];
        trial.project.run(&arguments).ends(0).stdout
    };

    let first = claim("answer.cwp", &[]);
    let shown = trial.dispute("show", &first, "dev-3");
    assert_eq!(
        (&shown["lane"], &shown["holds"]),
        (&"sealed".into(), &Value::Null)
    );
    let unasked = trial.error(&["dispute", "answer", &first], "dev-1", 4);
    assert_eq!(unasked["code"], "CW4204");
    trial.dispute("open", &first, "dev-2");
    let kept = trial.project.path().join(".counterweight/inference/.claims");
    let away = trial.project.path().join("away");
    fs::rename(&kept, &away).unwrap();
    let elsewhere = trial.error(&["dispute", "answer", &first], "dev-1", 2);
    assert_eq!(elsewhere["code"], "CW4205");
    fs::rename(&away, &kept).unwrap();
    let proven = trial.dispute("answer", &first, "dev-1");
    assert_eq!(proven["status"], "accepted");
    let settled = trial.dispute("settle", &first, "dev-1");
    assert_eq!(
        settled["withdrawn_wei"], "110000000000000000",
        "its own bond and half of the challenger's"
    );

    let second = claim("private.cwp", &[]);
    assert_eq!(trial.dispute("show", &second, "dev-3")["lane"], "private");
    let another = trial.error(
        &["dispute", "answer", &second, "--proof", "answer.cwp"],
        "dev-1",
        1,
    );
    assert_eq!(another["code"], "CW4101");
    trial.dispute("open", &second, "dev-2");
    assert!(watch("dev-1").contains("proven"));
    assert_eq!(trial.dispute("show", &second, "dev-3")["status"], "accepted");

    let silent = claim("silent.cwp", &[]);
    trial.dispute("open", &silent, "dev-2");
    trial.pass(RESPONSE + 1);
    assert_eq!(trial.dispute("settle", &silent, "dev-2")["status"], "rejected");

    let audited = claim("audited.cwp", &["--audit", "100"]);
    for _ in 0..3 {
        trial.pass(1);
    }
    let drawn = trial.dispute("settle", &audited, "dev-3");
    assert_eq!(drawn["steps"][0], "drew lots: it must be proven");
    assert!(watch("dev-1").contains("proven"));
    assert_eq!(trial.dispute("show", &audited, "dev-3")["status"], "accepted");
}
