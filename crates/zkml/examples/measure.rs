//! Times a proof phase by phase: `cargo run --release -p counterweight-zkml --example measure -- mlp [ROW_BITS]`.
//!
//! Networks: `mlp` (784-128-10), `lenet`, `1m` and `10m` weights, with random weights. CPU seconds are of all threads.

use std::time::Instant;

use counterweight_inference::Network;
use counterweight_primitives::architecture::{
    Architecture, Bias, Layer, Node, Output, Padding, Requantise, Shape, Window,
};
use counterweight_zkml::srs::Srs;
use counterweight_zkml::{Input, SecretModel, default_row_bits};
use counterweight_zkml_verifier::{InputStatement, Scheme, Statement, verify_inference};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

type Failure = Box<dyn std::error::Error>;

fn relu(shift: u8) -> Output {
    Output::Requantise(Requantise { shift, relu: true })
}

fn dense(input: u8, outputs: u16, output: Output) -> Layer {
    Layer::Dense {
        input: Node(input),
        outputs,
        bias: Bias { digits: 2, shift: 0 },
        output,
    }
}

fn conv(input: u8, channels: u16, pad: u8) -> Layer {
    Layer::Conv {
        input: Node(input),
        channels,
        window: Window {
            height: 5,
            width: 5,
            stride_y: 1,
            stride_x: 1,
        },
        padding: Padding {
            top: pad,
            left: pad,
            bottom: pad,
            right: pad,
        },
        bias: Bias { digits: 2, shift: 0 },
        output: relu(10),
    }
}

fn pool(input: u8) -> Layer {
    Layer::MaxPool {
        input: Node(input),
        window: Window {
            height: 2,
            width: 2,
            stride_y: 2,
            stride_x: 2,
        },
    }
}

fn architecture(name: &str) -> Result<Architecture, Failure> {
    let (input, layers) = match name {
        "mlp" => (
            Shape::vector(784)?,
            vec![dense(0, 128, relu(10)), dense(1, 10, Output::Raw)],
        ),
        "lenet" => (
            Shape::new(1, 28, 28)?,
            vec![
                conv(0, 6, 2),
                pool(1),
                conv(2, 16, 0),
                pool(3),
                dense(4, 120, relu(10)),
                dense(5, 84, relu(10)),
                dense(6, 10, Output::Raw),
            ],
        ),
        "1m" => (
            Shape::vector(784)?,
            vec![
                dense(0, 800, relu(10)),
                dense(1, 480, relu(10)),
                dense(2, 10, Output::Raw),
            ],
        ),
        "10m" => (
            Shape::vector(1024)?,
            vec![
                dense(0, 2600, relu(10)),
                dense(1, 2600, relu(12)),
                dense(2, 256, relu(12)),
                dense(3, 10, Output::Raw),
            ],
        ),
        other => return Err(format!("networks are mlp, lenet, 1m and 10m, not {other}").into()),
    };
    Ok(Architecture::new(input, layers)?)
}

/// User and system seconds of the process, from the kernel's hundredths.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name| {
        status
            .lines()
            .find(|line: &&str| line.starts_with(name))
            .unwrap_or_default()
            .to_owned()
    };
    format!("{} {}", line("VmHWM"), line("VmRSS"))
}

struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    fn new() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    fn report(&mut self, what: &str) {
        let (wall, cpu) = (self.wall.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
        eprintln!("{what:24} wall {wall:8.4} s  cpu {cpu:7.2} s  {}", memory());
        *self = Self::new();
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "mlp".to_owned());
    let architecture = architecture(&name)?;
    let row_bits = match arguments.next() {
        Some(bits) => bits.parse()?,
        None => default_row_bits(&architecture)?,
    };
    let repeats: u32 = arguments.next().map_or(Ok(1), |count| count.parse())?;

    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let weights = (0..architecture.weights())
        .map(|_| rng.next_u32() as i8)
        .collect();
    let biases = (0..architecture.biases())
        .map(|_| i32::from(rng.next_u32() as i16) / 2)
        .collect();
    let input: Vec<i8> = (0..architecture.input().elements())
        .map(|_| (rng.next_u32() as i8) & 127)
        .collect();
    let network = Network::new(architecture, weights, biases)?;

    let mut clock = Clock::new();
    let srs = Srs::development(row_bits)?;
    clock.report("set-up");
    let secret = SecretModel::commit(network, &srs, Scheme::Mercury, &mut rng)?;
    let rows = secret.key().model.commitment.rows.len();
    clock.report("commit and register");
    eprintln!(
        "{rows} rows of 2^{row_bits}, registration {} bytes",
        secret.key().registration.len()
    );
    secret.key().verify(srs.verifier())?;
    clock.report("verify registration");

    let mut whole = Clock::new();
    let mut answer = secret.prove_observed(&srs, Input::Public(&input), [0; 32], &mut rng, &mut |phase| {
        clock.report(phase.name());
    })?;
    for _ in 1..repeats {
        answer = secret.prove(&srs, Input::Public(&input), [0; 32], &mut rng)?;
    }
    whole.report(&format!("prove x {repeats}"));
    eprintln!("{} bytes", answer.proof.len());
    let mut clock = Clock::new();
    let statement = Statement {
        context: [0; 32],
        input: InputStatement::Public(&input),
        output: &answer.output,
    };
    verify_inference(srs.verifier(), &secret.key().model, &statement, &answer.proof)?;
    clock.report("verify");
    Ok(())
}
