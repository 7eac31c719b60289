//! Networks of a wished size with random weights: what matters to a prover's or executor's time is their shape.

use counterweight_inference::Network;
use counterweight_primitives::architecture::{
    Architecture, Bias, Layer, Node, Output, Padding, Requantise, Shape, Window,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

/// Widths of an MLP of about a million weights.
pub(crate) const MILLION: [u16; 4] = [784, 1024, 200, 10];
/// Widths of an MLP of about ten million weights.
pub(crate) const TEN_MILLION: [u16; 5] = [1024, 3072, 2048, 256, 10];

/// An MLP of these widths and an input for it, the same for each seed. Activations fill their range as those of trained networks
/// do: each shift brings the largest sums near its end.
pub(crate) fn mlp(widths: &[u16], seed: u64) -> Result<(Network, Vec<i8>), Box<dyn std::error::Error>> {
    let last = widths
        .len()
        .checked_sub(2)
        .ok_or("an MLP has at least two widths")?;
    let layers = widths
        .windows(2)
        .enumerate()
        .map(|(index, pair)| Layer::Dense {
            input: Node(index as u8),
            outputs: pair[1],
            bias: Bias { digits: 2, shift: 0 },
            output: if index == last {
                Output::Raw
            } else {
                // The least that the bound allows: sums of n products of int8 reach 2^14 n, of which 2^15 must be left.
                let shift = u32::from(pair[0]).next_power_of_two().ilog2() as u8;
                Output::Requantise(Requantise { shift, relu: true })
            },
        })
        .collect();
    fill(
        Architecture::new(Shape::vector(usize::from(widths[0]))?, layers)?,
        seed,
    )
}

/// LeNet-5 with max pools, on pictures of 28x28.
pub(crate) fn lenet(seed: u64) -> Result<(Network, Vec<i8>), Box<dyn std::error::Error>> {
    let bias = Bias { digits: 2, shift: 0 };
    let relu = |shift| Output::Requantise(Requantise { shift, relu: true });
    let window = |side, stride| Window {
        height: side,
        width: side,
        stride_y: stride,
        stride_x: stride,
    };
    let conv = |input, channels, padding, shift| Layer::Conv {
        input: Node(input),
        channels,
        window: window(5, 1),
        padding: Padding {
            top: padding,
            left: padding,
            bottom: padding,
            right: padding,
        },
        bias,
        output: relu(shift),
    };
    let pool = |input| Layer::MaxPool {
        input: Node(input),
        window: window(2, 2),
    };
    let dense = |input, outputs, output| Layer::Dense {
        input: Node(input),
        outputs,
        bias,
        output,
    };
    let layers = vec![
        conv(0, 6, 2, 9),
        pool(1),
        conv(2, 16, 0, 10),
        pool(3),
        dense(4, 120, relu(10)),
        dense(5, 84, relu(9)),
        dense(6, 10, Output::Raw),
    ];
    fill(Architecture::new(Shape::new(1, 28, 28)?, layers)?, seed)
}

fn fill(architecture: Architecture, seed: u64) -> Result<(Network, Vec<i8>), Box<dyn std::error::Error>> {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let mut bytes = vec![0_u8; architecture.weights()];
    random.fill_bytes(&mut bytes);
    let weights = bytes.into_iter().map(|byte| byte as i8).collect();
    let biases = (0..architecture.biases())
        .map(|_| i32::from(random.next_u32() as i16) / 2)
        .collect();
    let mut input = vec![0_u8; architecture.input().elements()];
    random.fill_bytes(&mut input);
    let input = input.into_iter().map(|byte| byte as i8).collect();
    Ok((Network::new(architecture, weights, biases)?, input))
}
