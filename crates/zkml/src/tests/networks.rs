//! Small networks that together have every kind of layer.

use counterweight_inference::Network;
use counterweight_primitives::architecture::{
    Architecture, Bias, Layer, Node, Output, Padding, Requantise, Shape, Window,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

pub(super) struct Example {
    pub(super) name: &'static str,
    pub(super) network: Network,
    pub(super) input: Vec<i8>,
}

pub(super) fn requantise(shift: u8, relu: bool) -> Output {
    Output::Requantise(Requantise { shift, relu })
}

pub(super) fn dense(input: u8, outputs: u16, output: Output) -> Layer {
    Layer::Dense {
        input: Node(input),
        outputs,
        bias: Bias { digits: 2, shift: 1 },
        output,
    }
}

fn window(height: u8, width: u8, stride_y: u8, stride_x: u8) -> Window {
    Window {
        height,
        width,
        stride_y,
        stride_x,
    }
}

/// A network of these layers with random weights, and a random input.
pub(super) fn random(name: &'static str, input: Shape, layers: Vec<Layer>) -> Example {
    let architecture = Architecture::new(input, layers).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(name.len() as u64);
    let weights = (0..architecture.weights())
        .map(|_| rng.next_u32() as i8)
        .collect();
    let mut biases = vec![0; architecture.biases()];
    for step in architecture.steps() {
        let Some(form) = step.layer().bias() else { continue };
        for bias in &mut biases[step.biases()] {
            let digits: Vec<i8> = (0..form.digits).map(|_| rng.next_u32() as i8).collect();
            *bias = form.from_digits(&digits) as i32;
        }
    }
    let input = (0..input.elements()).map(|_| rng.next_u32() as i8).collect();
    Example {
        name,
        network: Network::new(architecture, weights, biases).unwrap(),
        input,
    }
}

/// A ring, as somebody draws a zero on 28x28 cells: like most pictures, mostly nothing.
fn drawn() -> Vec<i8> {
    (0..28 * 28)
        .map(|cell: i32| {
            let (row, column) = (cell / 28 - 14, cell % 28 - 14);
            let from_ring = row * row + 2 * column * column - 81;
            (127 - 3 * from_ring.abs()).max(0) as i8
        })
        .collect()
}

fn relu_of_five(input: u8, channels: u16, padding: u8, shift: u8) -> Layer {
    Layer::Conv {
        input: Node(input),
        channels,
        window: window(5, 5, 1, 1),
        padding: Padding {
            top: padding,
            left: padding,
            bottom: padding,
            right: padding,
        },
        bias: Bias { digits: 2, shift: 1 },
        output: requantise(shift, true),
    }
}

/// What gas is measured on: a perceptron 784-128-10 and LeNet-5 with max pools, with random weights.
pub(super) fn measured() -> Vec<Example> {
    let pool = |input| Layer::MaxPool {
        input: Node(input),
        window: window(2, 2, 2, 2),
    };
    let perceptron = vec![dense(0, 128, requantise(14, true)), dense(1, 10, Output::Raw)];
    let lenet = vec![
        relu_of_five(0, 6, 2, 10),
        pool(1),
        relu_of_five(2, 16, 0, 12),
        pool(3),
        dense(4, 120, requantise(12, true)),
        dense(5, 84, requantise(11, true)),
        dense(6, 10, Output::Raw),
    ];
    [
        ("784-128-10", Shape::vector(784).unwrap(), perceptron),
        ("LeNet-5", Shape::new(1, 28, 28).unwrap(), lenet),
    ]
    .into_iter()
    .map(|(name, shape, layers)| Example {
        input: drawn(),
        ..random(name, shape, layers)
    })
    .collect()
}

pub(super) fn examples() -> Vec<Example> {
    let vector = |elements| Shape::vector(elements).unwrap();
    let shape = |channels, height, width| Shape::new(channels, height, width).unwrap();
    let conv = |input, channels, window, padding, output| Layer::Conv {
        input: Node(input),
        channels,
        window,
        padding,
        bias: Bias { digits: 1, shift: 3 },
        output,
    };
    vec![
        random("dense", vector(13), vec![dense(0, 5, Output::Raw)]),
        random(
            "dense, requantised",
            vector(4),
            vec![dense(0, 3, requantise(3, true))],
        ),
        random(
            "multilayer perceptron",
            vector(30),
            vec![
                dense(0, 17, requantise(9, true)),
                dense(1, 8, requantise(7, false)),
                dense(2, 3, Output::Raw),
            ],
        ),
        random(
            "convolution and max pool",
            shape(2, 7, 6),
            vec![
                conv(
                    0,
                    3,
                    window(3, 2, 1, 1),
                    Padding {
                        top: 1,
                        left: 1,
                        bottom: 0,
                        right: 1,
                    },
                    requantise(8, true),
                ),
                Layer::MaxPool {
                    input: Node(1),
                    window: window(2, 2, 2, 2),
                },
                conv(
                    2,
                    4,
                    window(2, 2, 1, 1),
                    Padding::default(),
                    requantise(10, false),
                ),
                Layer::MaxPool {
                    input: Node(3),
                    window: window(1, 2, 1, 1),
                },
                dense(4, 4, Output::Raw),
            ],
        ),
        random(
            "average pool and addition",
            shape(1, 6, 6),
            vec![
                conv(
                    0,
                    3,
                    window(3, 3, 1, 1),
                    Padding {
                        top: 1,
                        left: 1,
                        bottom: 1,
                        right: 1,
                    },
                    requantise(7, true),
                ),
                conv(
                    1,
                    3,
                    window(3, 3, 1, 1),
                    Padding {
                        top: 1,
                        left: 1,
                        bottom: 1,
                        right: 1,
                    },
                    requantise(9, false),
                ),
                Layer::Add {
                    left: Node(1),
                    right: Node(2),
                    left_multiplier: 3,
                    right_multiplier: 200,
                    output: Requantise {
                        shift: 8,
                        relu: false,
                    },
                },
                Layer::AveragePool {
                    input: Node(3),
                    window: window(2, 3, 2, 3),
                    multiplier: 43,
                    output: Requantise {
                        shift: 8,
                        relu: false,
                    },
                },
                dense(4, 6, requantise(11, true)),
            ],
        ),
        random(
            "strided convolution to a raw plane",
            shape(3, 9, 8),
            vec![conv(0, 2, window(3, 3, 2, 2), Padding::default(), Output::Raw)],
        ),
        random(
            "without biases",
            shape(2, 5, 5),
            vec![
                Layer::Conv {
                    input: Node(0),
                    channels: 3,
                    window: window(2, 2, 1, 1),
                    padding: Padding::default(),
                    bias: Bias::default(),
                    output: requantise(8, true),
                },
                Layer::Dense {
                    input: Node(1),
                    outputs: 4,
                    bias: Bias::default(),
                    output: Output::Raw,
                },
            ],
        ),
        random(
            "rows of their own",
            vector(300),
            vec![
                dense(0, 19, requantise(11, true)),
                dense(1, 70, requantise(10, true)),
                dense(2, 3, Output::Raw),
            ],
        ),
        random(
            "pools that tile, and leave cells over",
            shape(1, 5, 9),
            vec![
                conv(
                    0,
                    2,
                    window(2, 2, 1, 1),
                    Padding {
                        top: 1,
                        left: 1,
                        bottom: 0,
                        right: 0,
                    },
                    requantise(8, true),
                ),
                Layer::AveragePool {
                    input: Node(1),
                    window: window(2, 2, 2, 2),
                    multiplier: 64,
                    output: Requantise {
                        shift: 8,
                        relu: false,
                    },
                },
                Layer::MaxPool {
                    input: Node(2),
                    window: window(1, 4, 1, 4),
                },
                dense(3, 3, Output::Raw),
            ],
        ),
        random(
            "outputs of several rows",
            vector(2500),
            vec![dense(0, 5, requantise(14, true))],
        ),
    ]
}
