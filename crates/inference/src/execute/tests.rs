use counterweight_primitives::architecture::{Architecture, Bias, Padding, Shape};
use proptest::prelude::*;

use super::*;
use crate::reference;

fn numbers(seed: u64) -> impl FnMut() -> u8 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    }
}

fn filled(architecture: Architecture, seed: u64) -> (Network, Vec<i8>) {
    let mut number = numbers(seed);
    let weights = (0..architecture.weights()).map(|_| number() as i8).collect();
    let mut biases = vec![0; architecture.biases()];
    for step in architecture.steps() {
        let form = step.layer().bias().unwrap_or_default();
        for bias in &mut biases[step.biases()] {
            let digits = [number() as i8, number() as i8, number() as i8];
            *bias = i32::try_from(form.from_digits(&digits)).unwrap();
        }
    }
    let input = (0..architecture.input().elements())
        .map(|_| number() as i8)
        .collect();
    (Network::new(architecture, weights, biases).unwrap(), input)
}

prop_compose! {
    fn window()(height in 1..4_u8, width in 1..4_u8, stride_y in 1..4_u8, stride_x in 1..4_u8) -> Window {
        Window { height, width, stride_y, stride_x }
    }
}

/// One network with every kind of layer: a convolution, a max pool, a second convolution added to it, an average pool, and
/// two dense layers.
fn network() -> impl Strategy<Value = (Network, Vec<i8>)> {
    let sizes = (1..4_usize, 6..12_usize, 6..12_usize, 1..9_u16, 1..40_u16);
    let forms = (0..=3_u8, 0..=2_u8, any::<bool>(), any::<bool>());
    let windows = (window(), window(), prop::array::uniform4(0..3_u8));
    (sizes, forms, windows, any::<u64>()).prop_filter_map(
        "the windows fit",
        |(sizes, forms, windows, seed)| {
            let (channels, height, width, maps, units) = sizes;
            let (digits, shift, relu, is_raw) = forms;
            let (window, pool, padding) = windows;
            let bias = Bias {
                digits,
                shift: if digits == 0 { 0 } else { shift },
            };
            let rule = |shift| Requantise { shift, relu };
            // Digits reach 2^25: only the largest shift keeps three of them small enough.
            let wide = Output::Requantise(rule(if digits == 3 { 16 } else { 9 }));
            let padding = Padding {
                top: padding[0].min(window.height - 1),
                left: padding[1].min(window.width - 1),
                bottom: padding[2].min(window.height - 1),
                right: padding[3].min(window.width - 1),
            };
            let layers = vec![
                Layer::Conv {
                    input: Node(0),
                    channels: maps,
                    window,
                    padding,
                    bias,
                    output: wide,
                },
                Layer::MaxPool {
                    input: Node(1),
                    window: Window {
                        height: 1,
                        width: 2,
                        ..pool
                    },
                },
                Layer::Conv {
                    input: Node(2),
                    channels: maps,
                    window: Window {
                        height: 3,
                        width: 1,
                        stride_y: 1,
                        stride_x: 1,
                    },
                    padding: Padding {
                        top: 1,
                        bottom: 1,
                        ..Padding::default()
                    },
                    bias,
                    output: wide,
                },
                Layer::Add {
                    left: Node(2),
                    right: Node(3),
                    left_multiplier: 1 + padding.top,
                    right_multiplier: 255,
                    output: rule(8),
                },
                Layer::AveragePool {
                    input: Node(4),
                    window: Window {
                        height: 1,
                        width: 1,
                        ..pool
                    },
                    multiplier: 37,
                    output: rule(5),
                },
                Layer::Dense {
                    input: Node(5),
                    outputs: units,
                    bias,
                    output: wide,
                },
                Layer::Dense {
                    input: Node(6),
                    outputs: 3,
                    bias,
                    output: if is_raw { Output::Raw } else { wide },
                },
            ];
            let input = Shape::new(channels, height, width).ok()?;
            Architecture::new(input, layers)
                .ok()
                .map(|architecture| filled(architecture, seed))
        },
    )
}

proptest! {
    /// Every number of the fast path is that of the plain one.
    #[test]
    fn fast_and_plain_agree((network, input) in network()) {
        let trace = network.trace(&input).unwrap();
        prop_assert!(reference::is_trace(&network, &trace));
        let answer: Vec<i64> = trace.answer().values().into_iter().map(i64::from).collect();
        prop_assert_eq!(Some(answer), reference::run(&network, &input));
        let bytes = trace.answer().to_bytes();
        prop_assert_eq!(&Answer::from_bytes(network.architecture(), &bytes).unwrap(), trace.answer());
        // No accumulator leaves the bound that follows from the architecture alone.
        for step in network.architecture().steps() {
            let all = trace.accumulators(step.index());
            prop_assert!(all.iter().all(|sum| i64::from(*sum).abs() <= step.bound()));
        }
    }
}

#[test]
fn threads_change_nothing() {
    let dense = |input, outputs| Layer::Dense {
        input: Node(input),
        outputs,
        bias: Bias { digits: 2, shift: 0 },
        output: Output::Requantise(Requantise {
            shift: 12,
            relu: true,
        }),
    };
    let architecture =
        Architecture::new(Shape::vector(700).unwrap(), vec![dense(0, 900), dense(1, 5)]).unwrap();
    let (network, input) = filled(architecture, 3);
    let trace = network.trace(&input).unwrap();
    assert!(reference::is_trace(&network, &trace));
    let batch = network.run_batch(&[input.clone(), vec![0; 700], input]).unwrap();
    assert_eq!((&batch[0], &batch[2]), (trace.answer(), trace.answer()));
}

#[test]
fn a_changed_number_is_no_trace() {
    let architecture = Architecture::new(
        Shape::new(1, 4, 4).unwrap(),
        vec![Layer::Dense {
            input: Node(0),
            outputs: 2,
            bias: Bias::default(),
            output: Output::Requantise(Requantise {
                shift: 10,
                relu: false,
            }),
        }],
    )
    .unwrap();
    let (network, input) = filled(architecture, 9);
    let trace = network.trace(&input).unwrap();
    let mut spoilt = trace.clone();
    spoilt.nodes[1][1] ^= 1;
    assert!(!reference::is_trace(&network, &spoilt));
    let mut spoilt = trace;
    spoilt.accumulators[0][0] += 1;
    assert!(!reference::is_trace(&network, &spoilt));
    assert_eq!(
        network.run(&[0; 15]).unwrap_err().to_string(),
        "the network reads 16 elements, the input has 15"
    );
}
