use proptest::prelude::*;

use super::*;

const RELU: Output = Output::Requantise(Requantise {
    shift: 12,
    relu: true,
});

fn bias() -> Bias {
    Bias { digits: 2, shift: 0 }
}

fn window(side: u8, stride: u8) -> Window {
    Window {
        height: side,
        width: side,
        stride_y: stride,
        stride_x: stride,
    }
}

fn dense(input: u8, outputs: u16, output: Output) -> Layer {
    Layer::Dense {
        input: Node(input),
        outputs,
        bias: bias(),
        output,
    }
}

fn conv(input: u8, channels: u16, side: u8, pad: u8) -> Layer {
    Layer::Conv {
        input: Node(input),
        channels,
        window: window(side, 1),
        padding: Padding {
            top: pad,
            left: pad,
            bottom: pad,
            right: pad,
        },
        bias: bias(),
        output: RELU,
    }
}

fn max_pool(input: u8) -> Layer {
    Layer::MaxPool {
        input: Node(input),
        window: window(2, 2),
    }
}

/// LeNet-5 with a residual addition and an average pool, so that every kind of layer is there.
fn layers() -> Vec<Layer> {
    vec![
        conv(0, 6, 5, 2),
        max_pool(1),
        conv(2, 6, 3, 1),
        Layer::Add {
            left: Node(2),
            right: Node(3),
            left_multiplier: 3,
            right_multiplier: 200,
            output: Requantise {
                shift: 7,
                relu: false,
            },
        },
        Layer::AveragePool {
            input: Node(4),
            window: window(2, 2),
            multiplier: 1,
            output: Requantise {
                shift: 2,
                relu: false,
            },
        },
        dense(5, 84, RELU),
        dense(6, 10, Output::Raw),
    ]
}

fn input() -> Shape {
    Shape::new(1, 28, 28).unwrap()
}

fn network() -> Architecture {
    Architecture::new(input(), layers()).unwrap()
}

fn refused(index: usize, layer: Layer) -> Problem {
    let mut layers = layers();
    layers[index] = layer;
    match Architecture::new(input(), layers).unwrap_err() {
        ArchitectureError::Layer { index: at, problem } if at == index => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn says_what_follows_from_the_layers() {
    let network = network();
    let shapes: Vec<String> = network
        .steps()
        .iter()
        .map(|step| step.output_shape().to_string())
        .collect();
    assert_eq!(
        shapes,
        [
            "6x28x28", "6x14x14", "6x14x14", "6x14x14", "6x7x7", "84x1x1", "10x1x1"
        ]
    );
    let terms: Vec<usize> = network.steps().iter().map(Step::terms).collect();
    assert_eq!(terms, [25, 4, 54, 2, 4, 294, 84]);
    assert_eq!(network.weights(), 150 + 324 + 84 * 294 + 840);
    assert_eq!(network.biases(), 6 + 6 + 84 + 10);
    assert_eq!(network.steps()[5].weights(), 474..474 + 84 * 294);
    assert_eq!(network.steps()[6].biases(), 96..106);
    assert_eq!(network.steps()[0].bound(), 25 * 16_384 + 128 * 257);
    assert_eq!(network.steps()[3].bound(), 128 * 203);
    assert_eq!(network.steps()[3].input_shapes().len(), 2);
    assert_eq!(network.steps()[6].node(), Node(7));
    assert_eq!(network.shape(Node(0)), Some(input()));
    assert_eq!(network.shape(Node(7)), Some(network.output()));
    assert_eq!(network.shape(Node(8)), None);
    assert!(network.is_raw());
}

#[test]
fn its_bytes_are_pinned() {
    let mlp = Architecture::new(
        Shape::vector(784).unwrap(),
        vec![dense(0, 128, RELU), dense(1, 10, Output::Raw)],
    )
    .unwrap();
    assert_eq!(
        hex::encode(mlp.encode()),
        "4357413102000000000000000000000000000000000000000000031000010001\
         0100 0003 0c00 02000000000000000000000000000000000000000080 00010001\
         0101 0001 0000 02000000000000000000000000000000000000000 00a 00010001"
            .replace(' ', "")
    );
    assert_eq!(
        mlp.hash().to_string(),
        "0x1bc28dd1767a118f10b08b934b3b07fb402fba2844765f07bec790fe9381a510"
    );
}

#[test]
fn reads_back_what_it_writes() {
    let bytes = network().encode();
    assert_eq!(bytes.len(), 8 * RECORD_BYTES);
    assert_eq!(Architecture::decode(&bytes).unwrap(), network());
}

#[test]
fn any_changed_byte_is_another_architecture_or_none() {
    let bytes = network().encode();
    for at in 0..bytes.len() {
        for change in 1..=255_u8 {
            let mut spoilt = bytes.clone();
            spoilt[at] ^= change;
            if let Ok(read) = Architecture::decode(&spoilt) {
                assert_ne!(read, network());
                assert_eq!(read.encode(), spoilt, "byte {at}");
            }
        }
    }
}

#[test]
fn refuses_truncated_and_padded_bytes() {
    let bytes = network().encode();
    for length in 0..bytes.len() {
        Architecture::decode(&bytes[..length]).unwrap_err();
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(
        Architecture::decode(&longer),
        Err(ArchitectureError::Length {
            layers: 7,
            expected: 256,
            got: 257
        })
    );
    longer.extend_from_slice(&[0; 31]);
    Architecture::decode(&longer).unwrap_err();
}

#[test]
fn refuses_a_shape_that_the_layer_does_not_have() {
    let mut bytes = network().encode();
    bytes[2 * RECORD_BYTES + 29] = 15;
    assert_eq!(
        Architecture::decode(&bytes).unwrap_err().to_string(),
        "layer 1: the record says that the output is 6x15x14, the layer gives 6x14x14"
    );
}

#[test]
fn refuses_layers_that_break_a_rule() {
    let requantise = |shift| Requantise { shift, relu: false };
    assert_eq!(refused(1, max_pool(2)), Problem::Order { node: 2, limit: 2 });
    assert_eq!(refused(5, dense(5, 84, Output::Raw)), Problem::Raw);
    assert_eq!(
        refused(5, dense(5, 0, RELU)),
        Problem::Shape {
            channels: 0,
            height: 1,
            width: 1
        }
    );
    assert_eq!(refused(0, conv(0, 6, 5, 5)), Problem::Padding);
    assert!(matches!(
        refused(0, conv(0, 6, 29, 0)),
        Problem::Window { rows: 28, .. }
    ));
    assert!(matches!(refused(0, conv(0, 6, 0, 0)), Problem::EmptyWindow));
    assert!(matches!(refused(0, conv(0, 65_535, 5, 2)), Problem::Shape { .. }));
    let pool = |window, multiplier, shift| Layer::AveragePool {
        input: Node(4),
        window,
        multiplier,
        output: requantise(shift),
    };
    assert_eq!(refused(4, pool(window(2, 2), 0, 2)), Problem::Multiplier);
    assert_eq!(refused(4, pool(window(2, 2), 1, 17)), Problem::Shift { got: 17 });
    assert_eq!(
        refused(4, pool(window(2, 2), 255, 1)),
        Problem::Shifted {
            bound: 130_560,
            shifted: 65_280,
            shift: 1
        }
    );
    assert_eq!(
        refused(
            1,
            Layer::MaxPool {
                input: Node(1),
                window: window(3, 2)
            }
        ),
        Problem::Pooled { got: 9 }
    );
    let add = Layer::Add {
        left: Node(1),
        right: Node(3),
        left_multiplier: 1,
        right_multiplier: 1,
        output: requantise(1),
    };
    assert!(matches!(refused(3, add), Problem::Summands { .. }));
    for wrong in [
        Bias { digits: 4, shift: 0 },
        Bias { digits: 0, shift: 1 },
        Bias { digits: 1, shift: 31 },
    ] {
        let layer = Layer::Dense {
            input: Node(5),
            outputs: 84,
            bias: wrong,
            output: RELU,
        };
        assert!(matches!(refused(5, layer), Problem::Bias { .. }));
    }
    let huge = Layer::Dense {
        input: Node(6),
        outputs: 10,
        bias: Bias { digits: 3, shift: 10 },
        output: Output::Raw,
    };
    assert!(matches!(refused(6, huge), Problem::Accumulator { .. }));
}

#[test]
fn refuses_networks_that_are_empty_deep_large_or_have_loose_ends() {
    assert_eq!(
        Architecture::new(input(), vec![]),
        Err(ArchitectureError::Layers { got: 0 })
    );
    let deep = |count| {
        let mut layers = vec![dense(0, 16, RELU)];
        layers.extend((1..count).map(|at| dense(at, 16, RELU)));
        Architecture::new(input(), layers)
    };
    deep(64).unwrap();
    assert_eq!(deep(65), Err(ArchitectureError::Layers { got: 65 }));
    assert_eq!(
        Architecture::new(input(), vec![max_pool(0)]),
        Err(ArchitectureError::NoWeights)
    );
    assert_eq!(
        Architecture::new(input(), vec![dense(0, 5, RELU), dense(0, 5, RELU)]),
        Err(ArchitectureError::Unused { node: 1 })
    );
    let wide = vec![dense(
        0,
        60_000,
        Output::Requantise(Requantise {
            shift: 16,
            relu: true,
        }),
    )];
    assert_eq!(
        Architecture::new(Shape::vector(60_000).unwrap(), wide),
        Err(ArchitectureError::Layer {
            index: 0,
            problem: Problem::Weights { got: 3_600_000_000 }
        })
    );
    Shape::new(1 << 10, 1 << 10, 1).unwrap();
    Shape::new((1 << 10) + 1, 1 << 10, 1).unwrap_err();
    Shape::new(65_536, 1, 1).unwrap_err();
}

#[test]
fn rounds_halves_up_and_clamps() {
    let apply = |shift, relu, accumulator| Requantise { shift, relu }.apply(accumulator);
    for (accumulator, expected) in [
        (0, 0),
        (1, 1),
        (2, 1),
        (3, 2),
        (-1, 0),
        (-2, -1),
        (-3, -1),
        (-4, -2),
    ] {
        assert_eq!(apply(1, false, accumulator), expected, "{accumulator} / 2");
    }
    assert_eq!(apply(0, false, 127), 127);
    assert_eq!(apply(0, false, 128), 127);
    assert_eq!(apply(0, false, -129), -128);
    assert_eq!(apply(0, true, -1), 0);
    assert_eq!(apply(16, false, i32::MAX), 127);
    assert_eq!(apply(16, false, i32::MIN), -128);
    assert_eq!(apply(8, true, 127), 0);
    assert_eq!(apply(8, true, 128), 1);
    assert_eq!(apply(8, false, -128), 0);
    assert_eq!(apply(8, false, -129), -1);
}

proptest! {
    /// A bias has digits exactly if it is a multiple of the unit inside the range, and they make it again.
    #[test]
    fn digits_make_the_bias_again(digits in 0..=3_u8, shift in 0..=7_u8, bias in any::<i32>()) {
        let shift = if digits == 0 { 0 } else { shift };
        let form = Bias { digits, shift };
        let fits = form.range().contains(&i64::from(bias)) && i64::from(bias) % (1 << shift) == 0;
        match form.digits_of(bias) {
            Some(found) => {
                prop_assert!(fits);
                prop_assert_eq!(form.from_digits(&found), i64::from(bias));
            }
            None => prop_assert!(!fits),
        }
    }

    /// Digits that were chosen freely are found again.
    #[test]
    fn a_bias_has_one_row_of_digits(digits in 1..=3_u8, shift in 0..=6_u8, chosen in any::<[i8; 3]>()) {
        let form = Bias { digits, shift };
        let mut chosen = chosen;
        chosen[usize::from(digits)..].fill(0);
        let bias = i32::try_from(form.from_digits(&chosen)).unwrap();
        prop_assert_eq!(form.digits_of(bias), Some(chosen));
    }

    /// Whatever the bytes are, the answer is an architecture or an error.
    #[test]
    fn hostile_records_are_refused_or_read(
        records in proptest::collection::vec(proptest::array::uniform32(0..8_u8), 0..5),
        shape in proptest::array::uniform3(1..20_u8),
    ) {
        let mut bytes = b"CWA1".to_vec();
        bytes.push(records.len() as u8);
        bytes.resize(26, 0);
        bytes.extend([0, shape[0], 0, shape[1], 0, shape[2]]);
        for record in &records {
            bytes.extend(record);
        }
        if let Ok(read) = Architecture::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}
