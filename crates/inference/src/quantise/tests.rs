use counterweight_primitives::architecture::{Padding, Shape, Window};
use proptest::prelude::*;

use super::*;
use crate::{FloatLayer, Operator};

/// Numbers between -1 and 1, the same for each seed.
fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn dense(
    name: &str,
    input: u8,
    inputs: usize,
    outputs: usize,
    relu: bool,
    number: &mut impl FnMut() -> f32,
) -> FloatLayer {
    FloatLayer {
        name: name.to_owned(),
        operator: Operator::Dense {
            weights: (0..inputs * outputs)
                .map(|_| number() / (inputs as f32).sqrt())
                .collect(),
            biases: (0..outputs).map(|_| number()).collect(),
        },
        inputs: vec![input],
        relu,
    }
}

fn conv(name: &str, input: u8, channels: usize, number: &mut impl FnMut() -> f32) -> FloatLayer {
    FloatLayer {
        name: name.to_owned(),
        operator: Operator::Conv {
            window: Window {
                height: 3,
                width: 3,
                stride_y: 1,
                stride_x: 1,
            },
            padding: Padding {
                top: 1,
                left: 1,
                bottom: 1,
                right: 1,
            },
            weights: (0..9 * channels * channels).map(|_| number() / 3.0).collect(),
            biases: (0..channels).map(|_| number()).collect(),
        },
        inputs: vec![input],
        relu: true,
    }
}

/// A residual network with channels of very different size.
fn residual(seed: u64) -> FloatNetwork {
    let mut number = numbers(seed);
    let mut layers = vec![
        conv("first", 0, 3, &mut number),
        conv("second", 1, 3, &mut number),
    ];
    if let Some((weights, biases)) = layers[1].operator.parameters_mut() {
        weights[..27].iter_mut().for_each(|weight| *weight *= 20.0);
        biases[0] *= 20.0;
    }
    layers.push(FloatLayer {
        name: "pool".to_owned(),
        operator: Operator::AveragePool {
            window: Window {
                height: 2,
                width: 2,
                stride_y: 2,
                stride_x: 2,
            },
        },
        inputs: vec![2],
        relu: false,
    });
    layers.push(conv("third", 3, 3, &mut number));
    layers.push(FloatLayer {
        name: "sum".to_owned(),
        operator: Operator::Add,
        inputs: vec![3, 4],
        relu: false,
    });
    layers.push(dense("last", 5, 27, 4, false, &mut number));
    FloatNetwork::new(Shape::new(3, 6, 6).unwrap(), layers).unwrap()
}

fn rows(count: usize, elements: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut number = numbers(seed);
    (0..count)
        .map(|_| (0..elements).map(|_| f64::from(number())).collect())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the scale of weights and inputs, integers come near; the architecture holds, for it was built.
    #[test]
    fn scale_does_not_matter(seed in any::<u64>(), power in -20..20_i32) {
        let mut number = numbers(seed);
        let mut layers = vec![dense("a", 0, 20, 30, true, &mut number), dense("b", 1, 30, 5, false, &mut number)];
        let scale = 2.0_f32.powi(power);
        for layer in &mut layers {
            let (weights, biases) = layer.operator.parameters_mut().unwrap();
            weights.iter_mut().chain(biases).for_each(|value| *value *= scale);
        }
        let network = FloatNetwork::new(Shape::vector(20).unwrap(), layers).unwrap();
        let quantised = quantise(&network, &rows(40, 20, seed), QuantiseOptions::default()).unwrap();
        prop_assert!(quantised.layers[1].snr_db > 20.0, "{:#?}", quantised.layers);
    }
}

#[test]
fn equalising_changes_no_function_and_helps_unequal_channels() {
    let network = residual(5);
    let rows = rows(32, 108, 6);
    let picked: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    let (scaled, scaling, unit) = input::scale(&network, &picked, InputScaling::Uniform).unwrap();
    for method in equalise::METHODS {
        let equal = equalise::equalise(&scaled, &picked, &scaling, unit, method).unwrap();
        assert_ne!(equal, scaled);
        let row: Vec<f32> = rows[0].iter().map(|value| *value as f32).collect();
        let (before, after) = (scaled.run(&row).unwrap(), equal.run(&row).unwrap());
        for (before, after) in before.iter().zip(after) {
            assert!(
                (before - after).abs() < 1e-3 * before.abs().max(1.0),
                "{before} {after}"
            );
        }
    }
    let snr = |equalise| {
        let options = QuantiseOptions {
            equalise,
            ..QuantiseOptions::default()
        };
        quantise(&network, &rows, options)
            .unwrap()
            .layers
            .last()
            .unwrap()
            .snr_db
    };
    assert!(snr(true) >= snr(false));
    assert!(snr(true) > 25.0);
}

#[test]
fn features_of_different_ranges_are_scaled_one_by_one() {
    let mut number = numbers(1);
    let network = FloatNetwork::new(
        Shape::vector(3).unwrap(),
        vec![dense("only", 0, 3, 2, false, &mut number)],
    )
    .unwrap();
    // The first feature is a thousand times as large and far from 0.
    let network = network
        .unstandardised(&[5000.0, 0.0, 0.1], &[0.001, 1.0, 10.0])
        .unwrap();
    let rows: Vec<Vec<f64>> = rows(50, 3, 2)
        .into_iter()
        .map(|row| vec![5000.0 + 1000.0 * row[0], row[1], 0.1 + row[2] / 10.0])
        .collect();
    let snr = |input| {
        let options = QuantiseOptions {
            input,
            ..QuantiseOptions::default()
        };
        let quantised = quantise(&network, &rows, options).unwrap();
        (quantised.scaling.offset.len(), quantised.layers[0].snr_db)
    };
    let (automatic, uniform) = (snr(InputScaling::Automatic), snr(InputScaling::Uniform));
    assert_eq!((automatic.0, uniform.0), (3, 1));
    assert!(
        automatic.1 > 35.0 && automatic.1 > uniform.1 + 10.0,
        "{automatic:?} {uniform:?}"
    );
}

#[test]
fn an_int8_output_and_a_raw_one_name_the_same_classes() {
    let network = residual(9);
    let rows = rows(40, 108, 10);
    let classes = |raw_output| {
        let options = QuantiseOptions {
            raw_output,
            ..QuantiseOptions::default()
        };
        let quantised = quantise(&network, &rows, options).unwrap();
        assert_eq!(quantised.network.architecture().is_raw(), raw_output);
        let inputs = rows
            .iter()
            .map(|row| quantised.scaling.quantise(row, 108).unwrap().values);
        inputs
            .map(|input| quantised.network.run(&input).unwrap().class())
            .collect::<Vec<_>>()
    };
    let same = classes(true)
        .into_iter()
        .zip(classes(false))
        .filter(|(raw, int8)| raw == int8)
        .count();
    assert!(same >= 38, "{same} of 40");
}
