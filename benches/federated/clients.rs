//! Our side of the comparison with Flower: softmax regression on the 8x8 digits, shared out among many clients.
//!
//! Prints one line of JSON a round, as soon as it is done, then a line of results.

use std::{
    env, fs,
    io::{self, Write},
    process::ExitCode,
    time::Instant,
};

use counterweight_federated::{
    architecture::Architecture,
    decimal::Decimal,
    parameters::Parameters,
    server_optimiser::Aggregation,
    simulation::{Settings, Simulation},
    table::Dataset,
    training::{LocalTraining, OptimiserKind, evaluate},
};

type Error = Box<dyn std::error::Error>;

const INPUTS: usize = 64;

fn run(path: &str, clients: usize, rounds: u32) -> Result<(), Error> {
    let mut members = vec![(Vec::new(), Vec::new()); clients];
    for (row, line) in fs::read_to_string(path)?.lines().skip(1).enumerate() {
        let (features, labels): &mut (Vec<f32>, Vec<u32>) = &mut members[row % clients];
        let (values, digit) = line.rsplit_once(',').ok_or("a line without a comma")?;
        for value in values.split(',') {
            features.push(value.parse::<f32>()? / 16.0);
        }
        labels.push(digit.trim().parse::<f32>()? as u32);
    }
    let mut datasets = Vec::with_capacity(clients);
    for (features, labels) in members {
        datasets.push(Dataset::new(INPUTS, features, labels)?);
    }
    let members = datasets;
    let all = Dataset::concat(&members)?;
    let settings = Settings {
        local: LocalTraining {
            steps: None,
            epochs: Some(1),
            batch: 16,
            optimiser: OptimiserKind::Sgd,
            lr: "0.5".parse()?,
            proximal: Decimal::default(),
        },
        aggregation: Aggregation::default(),
        clip: 50.0,
        seed: 42,
    };
    // From zero, as the other side, so that both must arrive at the same place.
    let shape = Architecture::softmax(INPUTS as u32, 10);
    let zeros = vec![0.0; shape.parameters()];
    let start = Parameters::new(shape, zeros)?;
    let mut simulation = Simulation::new(start, settings);
    let mut out = io::stdout().lock();
    for round in 1..=rounds {
        let started = Instant::now();
        simulation.round(&members)?;
        writeln!(
            out,
            "{{\"round\":{round},\"seconds\":{}}}",
            started.elapsed().as_secs_f64()
        )?;
        out.flush()?;
    }
    let metrics = evaluate(simulation.model(), &all)?;
    let digest = simulation.model().digest();
    writeln!(
        out,
        "{{\"accuracy\":{},\"loss\":{},\"model\":\"{digest}\",\"peak_kib\":{}}}",
        metrics.accuracy,
        metrics.loss,
        peak_kib()?
    )?;
    Ok(())
}

/// Most memory this process has had resident. Read here rather than from the parent's resource usage, which starts with
/// what the parent itself had resident when it forked.
fn peak_kib() -> Result<u64, Error> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.ok_or("no VmHWM in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, clients, rounds] = arguments.as_slice() else {
        let _ = writeln!(io::stderr(), "usage: bench-federated DIGITS.CSV CLIENTS ROUNDS");
        return ExitCode::from(2);
    };
    let result = match (clients.parse(), rounds.parse()) {
        (Ok(clients), Ok(rounds)) if clients > 0 => run(path, clients, rounds),
        _ => Err("CLIENTS and ROUNDS must be numbers above 0".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}
