//! `testdata/zkml-v1.json`, which the Solidity verifier reads too, holds what this prover makes and the verifier accepts.
//!
//! `CW_UPDATE_VECTORS=1 cargo test -p counterweight-zkml vectors` writes it anew: randomness comes from seeds.

use counterweight_primitives::architecture::Architecture;
use counterweight_zkml_verifier::curve::encode_g2;
use counterweight_zkml_verifier::model::{Model, WeightCommitment, encode_rows};
use counterweight_zkml_verifier::opening::Scheme;
use counterweight_zkml_verifier::transcript::keccak256;
use counterweight_zkml_verifier::{
    G2Affine, InputStatement, SrsId, Statement, VerifierSrs, verify_inference, verify_registration,
};
use serde_json::{Value, json};

use super::networks::{Example, examples, measured};
use super::{rng, srs};
use crate::srs::Srs;
use crate::{Input, InputCommitment, SecretModel, default_row_bits};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/zkml-v1.json");
const MEASURED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/zkml-gas-v1.json");

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

fn bytes(values: &[i8]) -> Vec<u8> {
    values.iter().map(|value| value.cast_unsigned()).collect()
}

fn models() -> Vec<Value> {
    let srs = srs();
    let chosen = examples()
        .into_iter()
        .take(6)
        .map(|example| (Scheme::Mercury, example));
    let again = examples()
        .into_iter()
        .take(1)
        .map(|example| (Scheme::HyperKzg, example));
    let tiles = examples()
        .into_iter()
        .filter(|example| example.name.starts_with("pools that tile"))
        .map(|example| (Scheme::Mercury, example));
    chosen
        .chain(again)
        .chain(tiles)
        .map(|(scheme, example)| {
            let is_hidden_too = example.name != "dense";
            model(&srs, scheme, example, is_hidden_too)
        })
        .collect()
}

/// A model with a proof about its input, and another about its input hidden.
fn model(srs: &Srs, scheme: Scheme, Example { name, network, input }: Example, is_hidden_too: bool) -> Value {
    let mut rng = rng(9);
    let secret = SecretModel::commit(network, srs, scheme, &mut rng).unwrap();
    let context = keccak256(name.as_bytes());
    let mut inferences = Vec::new();
    let public = secret
        .prove(srs, Input::Public(&input), context, &mut rng)
        .unwrap();
    inferences.push(json!({
        "kind": "public input",
        "context": hex(&context),
        "input": hex(&bytes(&input)),
        "output": hex(&public.output),
        "proof": hex(&public.proof),
    }));
    if is_hidden_too {
        let architecture = secret.network().architecture();
        let hidden = InputCommitment::commit(srs, architecture, &input, &mut rng).unwrap();
        let private = secret
            .prove(srs, Input::Private(&hidden), context, &mut rng)
            .unwrap();
        inferences.push(json!({
            "kind": "private input",
            "context": hex(&context),
            "input_rows": hex(&encode_rows(hidden.rows())),
            "input_commitment": hex(&hidden.hash()),
            "output": hex(&private.output),
            "proof": hex(&private.proof),
        }));
    }
    let model = &secret.key().model;
    json!({
        "name": format!("{name}, {scheme}"),
        "architecture": hex(&model.architecture.encode()),
        "architecture_hash": hex(&model.architecture.hash().0),
        "commitment": hex(&model.commitment.encode()),
        "commitment_hash": hex(&model.commitment.hash()),
        "model_id": hex(&secret.key().id()),
        "registration": hex(&secret.key().registration),
        "inferences": inferences,
    })
}

fn file(srs: &Srs, models: Vec<Value>) -> Value {
    json!({
        "about": "Proofs under the INSECURE development set-up; docs/spec/zkml.md",
        "srs": {
            "id": hex(&srs.id().0),
            "tau_g2": hex(&encode_g2(srs.verifier().tau_g2())),
            "one_g2": hex(&encode_g2(&<G2Affine as counterweight_zkml_verifier::curve::PrimeCurveAffine>::generator())),
        },
        "models": models,
    })
}

fn stored(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn vectors_are_what_this_prover_makes() {
    let made = file(&srs(), models());
    if std::env::var_os("CW_UPDATE_VECTORS").is_some() {
        std::fs::write(PATH, format!("{made:#}\n")).unwrap();
    }
    let stored = stored(PATH);
    // Compared piece by piece: a difference of one proof is a screen, of the whole file a hundred.
    for (made, stored) in made["models"]
        .as_array()
        .unwrap()
        .iter()
        .zip(stored["models"].as_array().unwrap())
    {
        assert!(made == stored, "{} has changed", stored["name"]);
    }
    assert!(made == stored);
}

/// Larger than the others: made on request only, and checked as they are.
#[test]
fn what_gas_is_measured_on_verifies() {
    if std::env::var_os("CW_UPDATE_VECTORS").is_some() {
        let made = measured()
            .into_iter()
            .map(|example| {
                let row_bits = default_row_bits(example.network.architecture()).unwrap();
                model(
                    &Srs::development(row_bits).unwrap(),
                    Scheme::Mercury,
                    example,
                    false,
                )
            })
            .collect();
        std::fs::write(MEASURED, format!("{:#}\n", file(&srs(), made))).unwrap();
    }
    verify(&stored(MEASURED));
}

#[test]
fn vectors_verify() {
    verify(&stored(PATH));
}

fn verify(stored: &Value) {
    let tau: [u8; 128] = unhex(&stored["srs"]["tau_g2"]).try_into().unwrap();
    let srs = VerifierSrs::decode(&tau).unwrap();
    assert_eq!(srs.id(), SrsId(unhex(&stored["srs"]["id"]).try_into().unwrap()));
    for stored in stored["models"].as_array().unwrap() {
        let architecture = Architecture::decode(&unhex(&stored["architecture"])).unwrap();
        let commitment = WeightCommitment::decode(&architecture, &unhex(&stored["commitment"])).unwrap();
        let model = Model {
            architecture,
            commitment,
        };
        assert_eq!(hex(&model.id(srs.id())), stored["model_id"].as_str().unwrap());
        assert_eq!(
            verify_registration(&srs, &model, &unhex(&stored["registration"])),
            Ok(())
        );
        for inference in stored["inferences"].as_array().unwrap() {
            let (output, proof) = (unhex(&inference["output"]), unhex(&inference["proof"]));
            let values: Vec<i8>;
            let input = if inference["kind"] == "public input" {
                values = unhex(&inference["input"])
                    .into_iter()
                    .map(u8::cast_signed)
                    .collect();
                InputStatement::Public(&values)
            } else {
                InputStatement::Committed(unhex(&inference["input_commitment"]).try_into().unwrap())
            };
            let context = unhex(&inference["context"]).try_into().unwrap();
            let statement = Statement {
                context,
                input,
                output: &output,
            };
            assert_eq!(
                verify_inference(&srs, &model, &statement, &proof),
                Ok(()),
                "{}",
                stored["name"]
            );
        }
    }
}
