//! Time of one answer of random networks: `cargo run --release -p counterweight-inference --example bench-executor`

use std::time::{Duration, Instant};

use counterweight_inference::{Network, reference};

mod synthetic;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    eprintln!(
        "{:<28} {:>10} {:>12} {:>12}",
        "network", "weights", "fast", "plain"
    );
    let lenet = synthetic::lenet(1)?;
    let mlp = |widths: &[u16]| synthetic::mlp(widths, 1);
    for (name, (network, input)) in [
        ("784-128-10", mlp(&[784, 128, 10])?),
        ("LeNet-5", lenet),
        ("784-1024-200-10", mlp(&synthetic::MILLION)?),
        ("1024-3072-2048-256-10", mlp(&synthetic::TEN_MILLION)?),
    ] {
        let fast = best(|| drop(std::hint::black_box(network.run(&input))));
        let plain = best(|| drop(std::hint::black_box(reference::run(&network, &input))));
        eprintln!(
            "{name:<28} {:>10} {fast:>12.1?} {plain:>12.1?}",
            network.weights().len()
        );
        check(&network, &input)?;
    }
    Ok(())
}

/// The least of some runs: what else the machine did only adds.
fn best(run: impl Fn()) -> Duration {
    let time = || {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..9).map(|_| time()).min().unwrap_or_default()
}

fn check(network: &Network, input: &[i8]) -> Result<(), Box<dyn std::error::Error>> {
    let fast: Vec<i64> = network.run(input)?.values().into_iter().map(i64::from).collect();
    if reference::run(network, input) == Some(fast) {
        Ok(())
    } else {
        Err("fast and plain differ".into())
    }
}
