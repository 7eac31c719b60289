//! A log of decisions on a chain: anchored, bonded, and held to its receipts after it lost an entry.

mod support;

use std::{fs, path::Path};

use serde_json::Value;
use support::{Project, Running};

const DAY: u64 = 86_400;
const ORIGIN: &str = "loans.example/decisions";

/// A service with a log, on a node of its own: `dev-1` owns the log, `dev-2` holds receipts.
struct Service {
    project: Project,
    url: String,
    owner: String,
    _node: Running,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Service {
    fn new() -> Self {
        let project = Project::new();
        let (node, url) = project.start(&["node", "start", "--port", "0", "--in-memory", "--development"]);
        let loans = r#"{"endpoint": "loans.example/score",
            "model": "blake3:4f8e6e2a2f4a1f0e8c7d6b5a493827160f1e2d3c4b5a69788796a5b4c3d2e1f0",
            "inputs": [{"name": "age", "type": "integer"}], "outputs": [{"name": "score", "type": "number"}]}"#;
        fs::write(project.path().join("loans.json"), loans).unwrap();
        let mut service = Self {
            project,
            url,
            owner: String::new(),
            _node: node,
        };
        service.record(&[1, 2], "first.jsonl");
        let key = fs::read_to_string(service.path("decisions/log.pub")).unwrap();
        service.owner = key.lines().nth(1).unwrap().to_owned();
        service
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.project.path().join(name)
    }

    fn words<'a>(&'a self, line: &'a str, key: &'a str) -> Vec<&'a str> {
        let mut words: Vec<_> = line.split_whitespace().collect();
        words.extend(["--network", &self.url, "--key", key]);
        words
    }

    fn json(&self, line: &str, key: &str) -> Value {
        self.project.json(&self.words(line, key))
    }

    fn error(&self, line: &str, key: &str, status: i32) -> Value {
        self.project.error(&self.words(line, key), status)
    }

    /// Records a decision about each age; each receipt goes into a file of its own, by the age.
    fn record(&self, ages: &[u32], receipts: &str) {
        let line = |age| {
            format!(
                "{{\"subject\": \"s{age}\", \"inputs\": {{\"age\": {age}}}, \"outputs\": {{\"score\": 1.0}}}}\n"
            )
        };
        let lines: String = ages.iter().map(line).collect();
        fs::write(self.path("new.jsonl"), lines).unwrap();
        self.json(
            &format!("decision record new.jsonl --log decisions --origin {ORIGIN} --endpoint loans.json --receipts {receipts}"),
            "dev-1",
        );
        let text = fs::read_to_string(self.path(receipts)).unwrap();
        for (receipt, age) in text.lines().zip(ages) {
            fs::write(self.path(&format!("{age}.receipt")), receipt).unwrap();
        }
    }

    fn anchor(&self) -> Value {
        self.json("decision anchor --log decisions", "dev-1")
    }

    fn dispute(&self, what: &str) -> String {
        format!("decision dispute {what} --owner {}", self.owner)
    }
}

#[test]
fn a_service_that_lost_an_entry_pays_for_every_receipt_it_gave_for_it() {
    let service = Service::new();
    assert_eq!(
        service.json("decision anchor --log decisions --dry-run", "dev-1")["anchored"],
        false
    );
    let anchored = service.anchor();
    assert_eq!(
        (&anchored["size"], &anchored["anchored"]),
        (&3.into(), &true.into())
    );
    assert_eq!(service.anchor()["anchored"], false, "nothing is new");
    assert_eq!(
        service.error("decision anchor --log decisions", "dev-2", 2)["code"],
        "CW1004"
    );
    let bond = service.json("decision bond post 1eth --log decisions", "dev-1");
    assert_eq!(
        (&bond["bond_wei"], &bond["anchored"]),
        (&"1000000000000000000".into(), &3.into())
    );

    // Entries 3 and 4 are acknowledged, then the disk is replaced by a copy from before, and others are recorded.
    copy(&service.path("decisions"), &service.path("backup"));
    service.record(&[3, 4], "lost.jsonl");
    fs::remove_dir_all(service.path("decisions")).unwrap();
    copy(&service.path("backup"), &service.path("decisions"));
    service.record(&[5], "after.jsonl");

    // Two receipts for one place are a fault at once.
    let contradicts = service.dispute("open 3.receipt --contradicts 5.receipt");
    assert_eq!(service.json(&contradicts, "dev-2")["state"], "broken");
    // Before the deadline nothing else can be said of entry 4.
    assert_eq!(
        service.error(&service.dispute("open 4.receipt"), "dev-2", 4)["code"],
        "CW5002"
    );
    service.record(&[6], "later.jsonl");
    assert_eq!(service.anchor()["size"], 5);
    // The log is served, and another entry stands there.
    let opened = service.json(&service.dispute("open 4.receipt --log decisions"), "dev-2");
    assert_eq!(
        (&opened["state"], &opened["done"]),
        (&"broken".into(), &"shown to be another entry".into())
    );
    let left = service.json(
        &format!("decision bond show --owner {} --origin {ORIGIN}", service.owner),
        "dev-2",
    );
    assert_eq!(
        left["bond_wei"], "810000000000000000",
        "a tenth for each, of what was there"
    );
    assert_eq!(
        service.json("decision dispute claim", "dev-2")["wei"],
        "95000000000000000"
    );
    assert_eq!(
        service.error("decision dispute claim", "dev-2", 4)["code"],
        "CW5009"
    );

    // A log that lost what is anchored is not anchored again.
    fs::remove_dir_all(service.path("decisions")).unwrap();
    copy(&service.path("backup"), &service.path("decisions"));
    assert_eq!(
        service.error("decision anchor --log decisions", "dev-1", 1)["code"],
        "CW2108"
    );
}

#[test]
fn a_dispute_is_answered_with_the_proof_or_lost_by_silence() {
    let service = Service::new();
    service.anchor();
    service.json("decision bond post 1eth --log decisions", "dev-1");
    service.record(&[3], "second.jsonl");
    let kept = service
        .project
        .run(&service.words(&service.dispute("open 1.receipt --log decisions"), "dev-2"))
        .ends(1);
    assert!(kept.stdout.contains("kept"), "{kept:?}");
    support::pass(&service.url, DAY + 60);

    // Entry 3 was never anchored, and its deadline passed.
    assert_eq!(
        service.json(&service.dispute("open 3.receipt"), "dev-2")["done"],
        "shown to be absent"
    );

    // Who has no copy of the log asks, and is answered.
    let asked = service.json(&service.dispute("open 1.receipt"), "dev-2");
    assert_eq!(
        (&asked["state"], &asked["deposit_wei"]),
        (&"open".into(), &"9000000000000000".into())
    );
    let open = service.json("decision dispute list --log decisions", "dev-1");
    assert_eq!(
        (&open["disputes"][0]["state"], &open["disputes"][0]["index"]),
        (&"open".into(), &1.into())
    );
    let answered = service.json("decision dispute answer --log decisions", "dev-1");
    assert_eq!(answered["turns"][0]["said"], "answered");
    assert_eq!(
        service.json(&service.dispute("show 1.receipt"), "dev-2")["state"],
        "kept"
    );
    assert_eq!(
        service.json("decision dispute answer --log decisions", "dev-1")["turns"]
            .as_array()
            .unwrap()
            .len(),
        0
    );

    // Silence.
    service.json(&service.dispute("open 2.receipt"), "dev-2");
    assert_eq!(
        service.error(&service.dispute("settle 2.receipt"), "dev-2", 4)["code"],
        "CW5002"
    );
    assert!(service.json("decision bond withdraw --log decisions", "dev-1")["withdrawable_at"].is_string());
    support::pass(&service.url, 8 * DAY);
    assert_eq!(
        service.error("decision bond withdraw --log decisions", "dev-1", 4)["code"],
        "CW5002"
    );
    assert_eq!(
        service.json(&service.dispute("settle 2.receipt"), "dev-2")["state"],
        "broken"
    );
    let emptied = service.json("decision bond withdraw --log decisions", "dev-1");
    assert_eq!(emptied["bond_wei"], "0");
}
