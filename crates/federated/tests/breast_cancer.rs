//! The engine on the example's real data: four clinics, from files to a model and its contributions.

use std::{fs, path::Path};

use counterweight_federated::{
    parameters::Parameters,
    simulation::{Settings, Simulation},
    study::{FileFormat, StudyConfig},
    table::{Dataset, Source, holdout_rows, member_rows},
    training::{ShuffleSeed, evaluate, train},
};

const CLINICS: [&str; 4] = ["clinic-a", "clinic-b", "clinic-c", "clinic-d"];

fn read(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer/data");
    fs::read(folder.join(format!("{name}.csv"))).unwrap()
}

fn csv<'a>(name: &'a str, bytes: &'a [u8]) -> Source<'a> {
    Source {
        name,
        bytes,
        format: FileFormat::Csv,
    }
}

fn study(columns: &[&str]) -> StudyConfig {
    let columns: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let text = format!(
        r#"
        [study]
        name = "breast-cancer"
        purpose = "health-research"
        [model]
        name = "biopsy"
        architecture = "logistic"
        [training]
        rounds = 15
        quorum = 3
        local-epochs = 1
        batch = 16
        lr = 0.05
        seed = 42
        [data]
        columns = [{}]
        label = "diagnosis = malignant"
        test-fraction = 0.25
        standardise = "holdout"
        [holdout]
        path = "data/holdout.csv"
        "#,
        columns.join(", ")
    );
    let study: StudyConfig = toml::from_str(&text).unwrap();
    study.check().unwrap();
    study
}

#[test]
fn four_clinics_train_a_model_that_holds_on_rows_nobody_trained_on() {
    let holdout = read("holdout");
    let header = String::from_utf8(holdout.split(|byte| *byte == b'\n').next().unwrap().to_vec()).unwrap();
    let columns: Vec<&str> = header.split(',').filter(|name| *name != "diagnosis").collect();
    assert_eq!(columns.len(), 30);
    let study = study(&columns);
    // Clinics that see mostly cases, or hardly any, would scale by themselves what tells cases apart out of their numbers.
    let judged = holdout_rows(csv("holdout", &holdout), &study.data).unwrap();
    let mut train_rows = Vec::new();
    let mut test_rows = Vec::new();
    for clinic in CLINICS {
        let rows = member_rows(
            csv(clinic, &read(clinic)),
            &study.data,
            Some(&judged),
            study.training.seed,
        )
        .unwrap();
        assert_eq!(rows.dropped, 0);
        train_rows.push(rows.train);
        test_rows.push(rows.test);
    }
    let judged = judged.rows;
    let settings = Settings {
        local: study.local_training(),
        aggregation: study.training.aggregation.server,
        clip: study.training.clip.get(),
        seed: study.training.seed,
    };
    let start = Parameters::initial(&study.architecture().unwrap(), study.training.seed);
    let mut simulation = Simulation::new(start.clone(), settings);
    for _ in 0..study.training.rounds {
        simulation.round(&train_rows).unwrap();
    }
    let metrics = evaluate(simulation.model(), &judged).unwrap();
    assert!(
        metrics.accuracy >= 0.93 && metrics.auc.unwrap() >= 0.98,
        "{metrics:?}"
    );
    // The smallest clinic alone, with as many passes, does worse.
    let mut alone = study.local_training();
    alone.epochs = Some(15);
    let alone = train(&start, &train_rows[3], &alone, ShuffleSeed([0; 32])).unwrap();
    assert!(evaluate(&alone, &judged).unwrap().loss > metrics.loss);
    let pooled_test = Dataset::concat(&test_rows).unwrap();
    let pooled = evaluate(simulation.model(), &pooled_test).unwrap();
    assert!(pooled.accuracy >= 0.95, "{pooled:?}");
    // The bits of the model, on every machine.
    assert_eq!(
        simulation.model().digest().to_string(),
        "blake3:3cf01d2975b48fc98cfc28c8ec8783e845c5f18e0de57663cd247ec1d0470913"
    );
}
