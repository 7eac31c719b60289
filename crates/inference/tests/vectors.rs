//! Held to `testdata/arithmetic-v1.json`, which an implementation in Python wrote.

use counterweight_inference::{Answer, Network, reference};
use counterweight_primitives::architecture::{Architecture, Node, Requantise};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

#[derive(Deserialize)]
struct Vectors {
    layers: usize,
    requantise: Vec<RequantiseCase>,
    networks: Vec<NetworkCase>,
    refused: Refused,
}

#[derive(Deserialize)]
struct RequantiseCase {
    accumulator: i32,
    shift: u8,
    plain: i8,
    relu: i8,
}

#[derive(Deserialize)]
struct NetworkCase {
    architecture: String,
    bounds: Vec<i64>,
    weights: String,
    biases: Vec<i32>,
    nodes: Vec<String>,
    accumulators: Vec<String>,
    runs: u32,
    digest: String,
}

#[derive(Deserialize)]
struct Refused {
    accepted: String,
    cases: Vec<RefusedCase>,
}

#[derive(Deserialize)]
struct RefusedCase {
    name: String,
    architecture: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../testdata/arithmetic-v1.json")).unwrap()
}

fn int8(digits: &str) -> Vec<i8> {
    hex::decode(digits)
        .unwrap()
        .into_iter()
        .map(|byte| byte as i8)
        .collect()
}

fn architecture(digits: &str) -> Architecture {
    let bytes = hex::decode(digits).unwrap();
    let architecture = Architecture::decode(&bytes).unwrap();
    assert_eq!(architecture.encode(), bytes);
    architecture
}

/// Bytes of a run of a case: SHA-256 of the domain and three numbers.
fn stream(case: u32, run: u32) -> impl Iterator<Item = i8> {
    (0_u32..).flat_map(move |block| {
        let mut hash = Sha256::new_with_prefix(b"counterweight/arithmetic/v1");
        for number in [case, run, block] {
            hash.update(number.to_be_bytes());
        }
        <[u8; 32]>::from(hash.finalize()).map(|byte| byte as i8)
    })
}

fn filled(architecture: &Architecture, case: u32, run: u32) -> (Network, Vec<i8>) {
    let mut stream = stream(case, run);
    let weights = stream.by_ref().take(architecture.weights()).collect();
    let mut biases = Vec::new();
    for step in architecture.steps() {
        let form = step.layer().bias().unwrap_or_default();
        for _ in step.biases() {
            let digits: Vec<i8> = stream.by_ref().take(form.digits.into()).collect();
            biases.push(form.from_digits(&digits).try_into().unwrap());
        }
    }
    let input = stream.take(architecture.input().elements()).collect();
    (
        Network::new(architecture.clone(), weights, biases).unwrap(),
        input,
    )
}

fn layer_bytes(network: &Network, input: &[i8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let trace = network.trace(input).unwrap();
    let architecture = network.architecture();
    let last = architecture.steps().len();
    architecture
        .steps()
        .iter()
        .map(|step| {
            let sums = Answer::Raw(trace.accumulators(step.index()).to_vec()).to_bytes();
            let node = if step.index() + 1 == last {
                trace.answer().to_bytes()
            } else {
                Answer::Int8(trace.activations(step.node()).to_vec()).to_bytes()
            };
            (sums, node)
        })
        .collect()
}

#[test]
fn requantises_as_python_does() {
    for case in vectors().requantise {
        let apply = |relu| {
            Requantise {
                shift: case.shift,
                relu,
            }
            .apply(case.accumulator)
        };
        assert_eq!(
            (apply(false), apply(true)),
            (case.plain, case.relu),
            "{} by {}",
            case.accumulator,
            case.shift
        );
    }
}

#[test]
fn every_number_of_the_first_runs_is_the_same() {
    for (index, case) in (0..).zip(vectors().networks) {
        let architecture = architecture(&case.architecture);
        let bounds: Vec<i64> = architecture.steps().iter().map(|step| step.bound()).collect();
        assert_eq!(bounds, case.bounds);
        let (generated, input) = filled(&architecture, index, 0);
        let network = Network::new(architecture, int8(&case.weights), case.biases).unwrap();
        assert_eq!(
            (generated.weights(), generated.biases()),
            (network.weights(), network.biases())
        );
        assert_eq!(input, int8(&case.nodes[0]));
        let found = layer_bytes(&network, &input);
        for ((sums, node), (expected_sums, expected_node)) in
            found.iter().zip(case.accumulators.iter().zip(&case.nodes[1..]))
        {
            assert_eq!(
                (&hex::encode(sums), &hex::encode(node)),
                (expected_sums, expected_node),
                "case {index}"
            );
        }
        let plain: Vec<i64> = reference::run(&network, &input).unwrap();
        let answer: Vec<i64> = network
            .run(&input)
            .unwrap()
            .values()
            .into_iter()
            .map(i64::from)
            .collect();
        assert_eq!(plain, answer);
    }
}

#[test]
fn ten_thousand_random_networks_give_the_same_digests() {
    let vectors = vectors();
    let mut layers = 0;
    for (index, case) in (0..).zip(vectors.networks) {
        let architecture = architecture(&case.architecture);
        let mut digest = Sha256::new();
        for run in 0..case.runs {
            let (network, input) = filled(&architecture, index, run);
            for (sums, node) in layer_bytes(&network, &input) {
                digest.update(sums);
                digest.update(node);
                layers += 1;
            }
        }
        assert_eq!(hex::encode(digest.finalize()), case.digest, "case {index}");
    }
    assert_eq!(layers, vectors.layers);
    assert!(layers >= 10_000);
}

#[test]
fn spoilt_architectures_are_refused() {
    let refused = vectors().refused;
    architecture(&refused.accepted);
    for case in refused.cases {
        let bytes = hex::decode(case.architecture).unwrap();
        assert!(Architecture::decode(&bytes).is_err(), "{}", case.name);
    }
}

#[test]
fn nodes_outside_the_network_are_empty() {
    let case = &vectors().networks[0];
    let architecture = architecture(&case.architecture);
    let (network, input) = filled(&architecture, 0, 0);
    let trace = network.trace(&input).unwrap();
    assert!(trace.activations(Node(200)).is_empty());
    assert!(trace.accumulators(200).is_empty());
}
