//! A masked study as a person runs it: trained in groups, verified from public records, and what was changed is named.

mod support;

use std::fs;

use serde_json::Value;
use support::Project;

const MASKED: &str = "quorum = 3\nmasking = { group-size = 3, most-examples = 200 }";

fn masked() -> Project {
    let project = Project::new();
    project.edit("quorum = 2", MASKED);
    project
}

fn checks(verified: &Value) -> Vec<(&str, &str)> {
    let checks = verified["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            (
                check["check"].as_str().unwrap(),
                check["verdict"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_masked_study_is_trained_and_verified_and_a_changed_record_is_named() {
    let project = masked();
    let trained = project.json(&["train"]);
    assert_eq!(trained["phase"], "finished");
    let earned: Vec<u64> = trained["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["contribution_ppm"].as_u64().unwrap())
        .collect();
    assert!(earned.iter().any(|share| *share > 0), "{trained:#}");

    let verified = project.json(&["verify", "run"]);
    assert_eq!(verified["verdict"], "yes", "{verified:#}");
    assert!(checks(&verified).contains(&("masking", "yes")), "{verified:#}");

    let run = project.json(&["run", "show"]);
    let record = run["round_records"][1]["commitments"][2]["update"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = support::blob_file(&project.path(), &record);
    let bytes = fs::read(&path).unwrap();
    // The magic and the version, then the place, the context and the count: a word of the masked vector.
    assert_eq!(&bytes[..8], b"cwmaskup");
    support::flip(&path);
    let spoiled = project.run(&["verify", "run", "--json"]).ends(1);
    assert!(spoiled.stdout.contains(&record), "{spoiled:?}");
    assert!(
        spoiled.stdout.contains("its upload cannot be read"),
        "{spoiled:?}"
    );
}
