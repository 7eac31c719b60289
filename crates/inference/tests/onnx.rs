//! Imports the networks of `testdata/onnx`, runs them in floating point and in integers, and spoils them.

use std::{collections::BTreeMap, fs, path::PathBuf};

use counterweight_inference::{
    Description, FloatNetwork, Imported, InputScaling, Model, OnnxError, QuantiseOptions, Task, import_onnx,
    onnx_tensors, quantise, reference,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Answered {
    input: Vec<f32>,
    output: Vec<f32>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/onnx")
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(folder().join(format!("{name}.onnx"))).unwrap()
}

fn import(name: &str) -> Imported {
    import_onnx(&bytes(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn answers() -> BTreeMap<String, Answered> {
    serde_json::from_slice(&fs::read(folder().join("answers.json")).unwrap()).unwrap()
}

/// Rows around one that is known to be inside the range of training, the same at each run.
fn rows(network: &FloatNetwork, count: usize) -> Vec<Vec<f64>> {
    let mut state = 7_u64;
    let mut number = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    let elements = network.outline().input().elements();
    (0..count)
        .map(|_| (0..elements).map(|_| number()).collect())
        .collect()
}

#[test]
fn floats_agree_with_onnx_runtime() {
    let answers = answers();
    assert_eq!(answers.len(), 10);
    for (name, answer) in answers {
        let output = import(&name).network.run(&answer.input).unwrap();
        assert_eq!(output.len(), answer.output.len(), "{name}");
        for (got, expected) in output.iter().zip(&answer.output) {
            assert!(
                (got - expected).abs() < 1e-4,
                "{name}: {output:?} for {:?}",
                answer.output
            );
        }
    }
}

#[test]
fn integers_come_near_and_fast_and_plain_agree() {
    for name in answers().keys() {
        let imported = import(name);
        let rows = rows(&imported.network, 64);
        let quantised = quantise(&imported.network, &rows, QuantiseOptions::default()).unwrap();
        let last = quantised.layers.last().unwrap();
        assert!(last.snr_db > 22.0, "{name}: {:#?}", quantised.layers);
        let description = Description {
            name: name.clone(),
            task: if imported.task == Task::Binary {
                Task::Binary
            } else {
                Task::Values
            },
            features: Vec::new(),
            labels: Vec::new(),
        };
        let model = quantised.into_model(description).unwrap();
        assert_eq!(Model::from_bytes(&model.to_bytes()).unwrap(), model);
        for row in rows.iter().take(3) {
            let input = model.card().quantise(row).unwrap().values;
            let trace = model.network().trace(&input).unwrap();
            assert!(reference::is_trace(model.network(), &trace), "{name}");
        }
    }
}

#[test]
fn what_stands_at_the_end_says_what_the_output_means() {
    let task = |name: &str| (import(name).task, import(name).left_off);
    assert_eq!(task("gemm"), (Task::Classes, vec!["Softmax".to_owned()]));
    assert_eq!(
        task("matmul"),
        (Task::Classes, vec!["LogSoftmax".to_owned(), "ArgMax".to_owned()])
    );
    assert_eq!(task("binary"), (Task::Binary, vec!["Sigmoid".to_owned()]));
}

#[test]
fn constants_fold_into_as_few_layers_as_there_can_be() {
    let layers = |name: &str| import(name).network.layers().len();
    assert_eq!(layers("gemm"), 2);
    assert_eq!(layers("matmul"), 2);
    // Two convolutions, two pools, one dense layer: the relu went past the max pool.
    assert_eq!(layers("lenet"), 5);
    // Two convolutions, an addition, a pool, a dense layer: normalisation is in the convolutions.
    assert_eq!(layers("residual"), 5);
    // A window of 5x3 becomes 1x3, 4x1 and 2x1.
    let windows: Vec<String> = import("large-pools").network.layers()[..3]
        .iter()
        .map(|layer| format!("{:?}", layer.operator))
        .collect();
    assert!(
        windows.iter().all(|window| window.starts_with("MaxPool")),
        "{windows:?}"
    );
}

#[test]
fn refusals_name_node_operator_and_reason() {
    let messages = [
        ("lstm", "node \"memory\": operator LSTM is not supported"),
        (
            "group",
            "node \"grouped\" (Conv): attribute group is 2, only 1 is supported",
        ),
        (
            "dilated",
            "node \"wide\" (Conv): attribute dilations is not 1: dilated windows are not supported",
        ),
        (
            "padded-pool",
            "node \"edge\" (MaxPool): attribute pads is not 0: padded pools are not supported",
        ),
        (
            "transposed",
            "node \"flipped\" (Gemm): attribute transA is 1, only 0 is supported",
        ),
        (
            "sigmoid-inside",
            "node \"after\" (Gemm): it follows an operator that may only stand at the end",
        ),
        (
            "computed-weights",
            "node \"squared\" (MatMul): input 1 is computed, expected a constant",
        ),
        (
            "unknown-attribute",
            "node \"odd\" (Relu): attribute slope is not supported",
        ),
        ("two-outputs", "a network has one output, the graph has 2"),
        (
            "two-inputs",
            "a network has one input, of floats; the graph has 2 inputs",
        ),
        (
            "unknown-size",
            "input \"in\" has sides [1, ?]; expected [batch, features] or [batch, channels, height, width], each known but the batch, which is 1 if it is known",
        ),
        (
            "batch",
            "input \"in\" has sides [8, 4]; expected [batch, features] or [batch, channels, height, width], each known but the batch, which is 1 if it is known",
        ),
        ("dead-end", "node \"unread\" does not lead to the output"),
        (
            "missing-value",
            "node \"lost\" reads \"nowhere\", which nothing before it makes",
        ),
        (
            "old-opset",
            "the operators are of version 6, versions 7 to 25 are read",
        ),
        (
            "other-domain",
            "node \"foreign\": operator example.org.Gemm is not supported",
        ),
        (
            "external-data",
            "constant \"w\" lies in another file; save the model as one file",
        ),
        (
            "short-constant",
            "constant \"w\" has 8 elements, which its sides do not make",
        ),
        (
            "huge-constant",
            "constant \"w\" has 8 elements, which its sides do not make",
        ),
    ];
    for (name, expected) in messages {
        let error = import_onnx(&bytes(&format!("refused-{name}"))).unwrap_err();
        assert_eq!(error.to_string(), expected, "{name}");
    }
    let refused = fs::read_dir(folder()).unwrap().filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("refused-")
    });
    assert_eq!(
        refused.count(),
        messages.len(),
        "each refused network has its message here"
    );
}

#[test]
fn spoilt_files_are_read_or_refused() {
    for name in answers().keys() {
        let whole = bytes(name);
        for length in 0..whole.len() {
            let _ = import_onnx(&whole[..length]);
        }
        for at in 0..whole.len() {
            for change in [1, 0x10, 0x80, 0xff] {
                let mut spoilt = whole.clone();
                spoilt[at] ^= change;
                let _ = import_onnx(&spoilt);
                let _ = onnx_tensors(&spoilt);
            }
        }
    }
    assert_eq!(import_onnx(&[]), Err(OnnxError::Malformed));
    assert_eq!(import_onnx(b"no protocol buffers"), Err(OnnxError::Malformed));
}

#[test]
fn calibration_rows_are_checked() {
    let network = import("binary").network;
    let refused = |rows: &[Vec<f64>]| {
        quantise(&network, rows, QuantiseOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused(&[]), "there are no calibration rows");
    assert_eq!(
        refused(&[vec![0.0; 4]]),
        "calibration row 0 has 4 values, the network reads 5"
    );
    assert!(refused(&[vec![0.0; 5], vec![f64::NAN; 5]]).starts_with("calibration row 1 is not finite"));
    let options = QuantiseOptions {
        input: InputScaling::PerFeature,
        ..QuantiseOptions::default()
    };
    let plane = import("conv-defaults").network;
    assert!(
        quantise(&plane, &rows(&plane, 2), options)
            .unwrap_err()
            .to_string()
            .contains("scaled alike")
    );
    // Rows that are all alike, or all zero, still give a network.
    quantise(
        &network,
        &[vec![0.0; 5], vec![0.0; 5]],
        QuantiseOptions::default(),
    )
    .unwrap();
    quantise(&plane, &[vec![0.0; 84]], QuantiseOptions::default()).unwrap();
}
