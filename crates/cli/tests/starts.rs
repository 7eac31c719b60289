//! Training that goes on from a model: a registered one, or a file.

mod support;

use std::fs;

use counterweight_federated::parameters::Parameters;
use serde_json::Value;
use support::Project;

/// Trains and gives the run's document.
fn trained(project: &Project, run: &str) -> Value {
    project.run(&["train"]).ends(0);
    project.json(&["run", "show", run])
}

fn base_of_round_1(run: &Value) -> &str {
    run["round_records"][0]["base"].as_str().unwrap()
}

fn checks(project: &Project, run: &str) -> Vec<(String, String)> {
    let verified = project.run(&["verify", "run", run, "--json"]).ends(0).json();
    let checks = verified["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            let text = |name: &str| check[name].as_str().unwrap().to_owned();
            (text("check"), text("verdict"))
        })
        .collect()
}

#[test]
fn a_model_is_trained_on_from_a_registered_one_and_becomes_its_child() {
    let project = Project::new();
    let first = trained(&project, "1");
    let model = project.json(&["model", "show", "tumour@1"]);
    let content = model["content"].as_str().unwrap();

    // A project's next model of the same name: its second version.
    project.edit(
        "architecture = \"logistic\"",
        "architecture = \"logistic\"\nbase = \"tumour@1\"",
    );
    assert!(project.json(&["train", "--dry-run"])["terms"].is_null());
    let second = trained(&project, "2");
    assert_eq!(base_of_round_1(&second), content);
    assert_ne!(base_of_round_1(&first), content);
    assert_eq!(second["start"], content);
    for (check, verdict) in checks(&project, "2") {
        assert_eq!(verdict, "yes", "{check}");
    }
    let child = project.json(&["model", "show", "tumour@2"]);
    let parents = child["card"]["parents"].as_array().unwrap();
    let base: Vec<&Value> = parents
        .iter()
        .filter(|parent| parent["asset"] == model["asset"])
        .collect();
    assert_eq!(base.len(), 1, "{parents:?}");
    assert_eq!(base[0]["share"], 0);
    assert_eq!(child["parents"].as_array().unwrap().len(), parents.len());

    // An owner's file beside the name is held to what was published.
    project
        .run(&["model", "export", "tumour@2", "--output", "other.safetensors"])
        .ends(0);
    project.edit(
        "base = \"tumour@1\"",
        "base = \"tumour@1\"\nstart = \"other.safetensors\"",
    );
    assert_eq!(project.error(&["train"], 4)["code"], "CW3006");
    project
        .run(&[
            "model",
            "export",
            "tumour@1",
            "--output",
            "other.safetensors",
            "--yes",
        ])
        .ends(0);
    let third = trained(&project, "3");
    assert_eq!(base_of_round_1(&third), content);
}

#[test]
fn a_model_is_trained_on_from_files_of_others() {
    let project = Project::new();
    trained(&project, "1");
    let model = project.json(&["model", "show", "tumour@1"]);
    let content = model["content"].as_str().unwrap();
    project
        .run(&[
            "model",
            "export",
            "tumour",
            "--format",
            "onnx",
            "--output",
            "mine.onnx",
        ])
        .ends(0);
    project.edit(
        "architecture = \"logistic\"",
        "architecture = \"logistic\"\nstart = \"mine.onnx\"",
    );
    let planned = project.json(&["train", "--dry-run"]);
    let run = trained(&project, "2");
    // The same numbers, so the same bytes: out and in again.
    assert_eq!(base_of_round_1(&run), content);
    assert_eq!(run["terms"], planned["terms"]);
    for (check, verdict) in checks(&project, "2") {
        assert_eq!(verdict, "yes", "{check}");
    }
    // Only the file was used, so nothing is said of whose model it is.
    let child = project.json(&["model", "show", "tumour@2"]);
    let parents = child["card"]["parents"].as_array().unwrap();
    assert!(parents.iter().all(|parent| parent["asset"] != model["asset"]));

    // As NumPy or PyTorch write it: another order, double precision.
    let exported = project.path().join("tumour.safetensors");
    project
        .run(&["model", "export", "tumour@1", "--output", "tumour.safetensors"])
        .ends(0);
    let values = Parameters::from_safetensors(&fs::read(exported).unwrap()).unwrap();
    let (bias, weights) = values.values().split_at(1);
    let doubles = |values: &[f32]| -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| f64::from(*value).to_le_bytes())
            .collect()
    };
    let header = r#"{"layers.0.weight":{"dtype":"F64","shape":[1,30],"data_offsets":[0,240]},"layers.0.bias":{"dtype":"F64","shape":[1],"data_offsets":[240,248]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend(doubles(weights));
    bytes.extend(doubles(bias));
    fs::write(project.path().join("numpy.safetensors"), &bytes).unwrap();
    project.edit("mine.onnx", "numpy.safetensors");
    assert_eq!(base_of_round_1(&trained(&project, "3")), content);

    for (spoiled, why) in [
        (&bytes[..100], "cut off"),
        (&bytes[..bytes.len() - 1], "outside of the file"),
        (&b"not a model"[..], "longer than"),
    ] {
        fs::write(project.path().join("numpy.safetensors"), spoiled).unwrap();
        let error = project.error(&["train"], 4);
        assert_eq!(error["code"], "CW3006");
        assert!(error["why"].as_str().unwrap().contains(why), "{error}");
    }
    project.edit("start = \"numpy.safetensors\"", "start = \"nowhere.onnx\"");
    assert_eq!(project.error(&["train"], 3)["code"], "CW1012");
    project.edit("start = \"nowhere.onnx\"", "base = \"tumor\"");
    let error = project.error(&["train"], 2);
    assert_eq!(error["code"], "CW1006");
    assert_eq!(error["facts"]["nearest"], "tumour");
}
