//! Proven answers as a person gets them: publish, ask, prove, check, and what is said when something is wrong.

mod support;

use std::{fs, path::Path};

use support::Project;

/// The commands of a guide, in order, without those that were run before.
fn commands(guide: &str) -> Vec<Vec<String>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/guides")
        .join(guide);
    let text = fs::read_to_string(file).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("$ cw "))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

fn published() -> Project {
    let project = Project::new();
    project.json(&["train"]);
    project.json(&["model", "publish", "tumour@1"]);
    project
}

#[test]
fn the_guides_three_commands_prove_an_answer_of_the_trained_model() {
    let project = Project::new();
    project.json(&["train"]);
    let commands = commands("prove-an-answer.md");
    assert_eq!(commands.len(), 3);
    let run = |words: &[String]| project.json(&words.iter().map(String::as_str).collect::<Vec<_>>());

    let published = run(&commands[0]);
    assert!(published["gas"].as_u64().unwrap() > 100_000, "{published}");
    let accuracy = &published["accuracy"];
    let lost = accuracy["float"].as_f64().unwrap() - accuracy["quantised"].as_f64().unwrap();
    assert!(lost.abs() <= 0.02, "{accuracy}");

    let proven = run(&commands[1]);
    assert_eq!(proven["model_id"], published["model_id"]);
    let asked = project.json(&["infer", "tumour@1", "--input", "patient.json"]);
    assert_eq!(
        (&proven["raw"], &proven["label"]),
        (&asked["raw"], &asked["label"])
    );

    let verified = run(&commands[2]);
    assert_eq!(verified["verdict"], "yes", "{verified}");
    let names: Vec<&str> = verified["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["check"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["proof", "model", "contract"]);
    assert!(verified["gas"].as_u64().unwrap() < 800_000, "{verified}");

    // Registered once: publishing again changes nothing.
    let again = run(&commands[0]);
    assert_eq!(
        (&again["model_id"], again["registered"].as_bool()),
        (&published["model_id"], Some(false))
    );
}

#[test]
fn a_private_input_is_nowhere_in_its_proof() {
    let project = published();
    project.json(&[
        "prove",
        "tumour@1",
        "--input",
        "patient.json",
        "--private",
        "-o",
        "private.cwp",
    ]);
    let verified = project.json(&["verify", "proof", "private.cwp", "--on-chain"]);
    assert_eq!(verified["verdict"], "yes", "{verified}");
    project.json(&["prove", "tumour@1", "--input", "patient.json", "-o", "public.cwp"]);
    let (public, private) = (
        fs::read(project.path().join("public.cwp")).unwrap(),
        fs::read(project.path().join("private.cwp")).unwrap(),
    );
    // Magic, set-up, context and architecture come first; then three bytes and the input's length.
    let start = 4 + 32 + 32 + 4 + 64 + 3 + 4;
    let input = &public[start..start + 30];
    assert!(!private.windows(input.len()).any(|window| window == input));
    assert_eq!(
        project.json(&["proof", "show", "private.cwp"])["input"]["kind"],
        "committed"
    );
}

#[test]
fn a_changed_proof_is_refused_offline_and_by_the_contract() {
    let project = published();
    project.json(&["prove", "tumour@1", "--input", "patient.json", "-o", "answer.cwp"]);
    let file = project.path().join("answer.cwp");
    let bytes = fs::read(&file).unwrap();
    // The context, the output and the middle of the proof: none can be told from another.
    let output = 4 + 32 + 32 + 4 + 64 + 3 + 4 + 30 + 4;
    for place in [40, output + 3, bytes.len() / 2, bytes.len() - 1] {
        let mut spoilt = bytes.clone();
        spoilt[place] ^= 1;
        fs::write(&file, &spoilt).unwrap();
        let answer = project
            .run(&["verify", "proof", "answer.cwp", "--on-chain", "--json"])
            .ends(1)
            .json();
        assert_eq!(answer["verdict"], "no", "byte {place}: {answer}");
        assert_eq!(answer["codes"][0], "CW4101", "byte {place}: {answer}");
    }
    fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(
        project.error(&["verify", "proof", "answer.cwp"], 2)["code"],
        "CW4104"
    );
}

#[test]
fn a_proof_of_another_model_is_named_as_such() {
    let project = published();
    project.json(&["prove", "tumour@1", "--input", "patient.json", "-o", "answer.cwp"]);
    let key = project.path().join(".counterweight/inference/tumour@1/model.cwk");
    fs::copy(&key, project.path().join("first.cwk")).unwrap();
    // Committing anew hides the same weights behind another commitment.
    fs::remove_file(&key).unwrap();
    project.json(&["model", "publish", "tumour@1", "--offline"]);
    let answer = project
        .run(&[
            "verify",
            "proof",
            "answer.cwp",
            "--key-file",
            ".counterweight/inference/tumour@1/model.cwk",
            "--json",
        ])
        .ends(1)
        .json();
    assert_eq!(
        (&answer["verdict"], &answer["codes"][0]),
        (&"no".into(), &"CW4102".into()),
        "{answer}"
    );
    let answer = project.json(&["verify", "proof", "answer.cwp", "--key-file", "first.cwk"]);
    assert_eq!(answer["verdict"], "yes");
    // Without any key nobody here knows the model.
    let answer = project
        .run(&["verify", "proof", "answer.cwp", "--json"])
        .ends(1)
        .json();
    assert_eq!(answer["verdict"], "unknown", "{answer}");
}

#[test]
fn what_cannot_be_asked_is_named() {
    let project = Project::new();
    project.json(&["train"]);
    assert_eq!(
        project.error(&["prove", "tumour@1", "--input", "patient.json"], 2)["code"],
        "CW1006"
    );
    project.json(&["model", "publish", "tumour@1", "--offline"]);
    let ask = |row: &str, code: &str| {
        fs::write(project.path().join("row.json"), row).unwrap();
        let error = project.error(&["prove", "tumour@1", "--input", "row.json", "-o", "x.cwp"], 2);
        assert_eq!(error["code"], code, "{error}");
    };
    ask("[1, 2, 3]", "CW4002");
    ask("{\"mean_radius\": 12}", "CW4002");
    ask("not json", "CW4002");
    fs::write(project.path().join("bad.onnx"), b"no network").unwrap();
    fs::write(project.path().join("rows.csv"), "1,2\n3,4\n").unwrap();
    let error = project.error(&["model", "import", "bad.onnx", "--calibrate", "rows.csv"], 2);
    assert_eq!(error["code"], "CW4001", "{error}");
    assert_eq!(
        project.error(&["verify", "proof", "bad.onnx"], 2)["code"],
        "CW4104"
    );
}
