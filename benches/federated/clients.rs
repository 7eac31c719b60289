//! Our side of the comparison with Flower: softmax regression on the 8x8 digits, shared out among many clients.
//!
//! With `streamed` every client's 12 rows are picked when it is its turn, so that any number of clients fits.
//!
//! Prints one line of JSON a round, as soon as it is done, then a line of results.

use std::{
    borrow::Cow,
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

/// Rows of a client that has none of its own.
const STREAMED_ROWS: usize = 12;

fn read(path: &str) -> Result<(Vec<f32>, Vec<u32>), Error> {
    let (mut features, mut labels) = (Vec::new(), Vec::new());
    for line in fs::read_to_string(path)?.lines().skip(1) {
        let (values, digit) = line.rsplit_once(',').ok_or("a line without a comma")?;
        for value in values.split(',') {
            features.push(value.parse::<f32>()? / 16.0);
        }
        labels.push(digit.trim().parse::<f32>()? as u32);
    }
    Ok((features, labels))
}

fn run(path: &str, clients: usize, rounds: u32, streamed: bool) -> Result<(), Error> {
    let (features, labels) = read(path)?;
    let all = Dataset::new(INPUTS, features, labels)?;
    let picked = |rows: &mut dyn Iterator<Item = usize>| {
        let (mut features, mut labels) = (Vec::new(), Vec::new());
        for row in rows {
            features.extend_from_slice(&all.features()[row * INPUTS..(row + 1) * INPUTS]);
            labels.push(all.labels()[row]);
        }
        Dataset::new(INPUTS, features, labels).expect("rows of a table are one")
    };
    let of_client = |client: usize| match streamed {
        false => picked(&mut (client..all.len()).step_by(clients)),
        // A stride that shares no factor with the number of rows reaches all of them.
        true => picked(&mut (0..STREAMED_ROWS).map(|at| (client * 577 + at * 101) % all.len())),
    };
    let members: Vec<Dataset> = match streamed {
        false => (0..clients).map(of_client).collect(),
        true => Vec::new(),
    };
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
        if streamed {
            simulation.round_of(clients, |client| Cow::Owned(of_client(client)))?;
        } else {
            simulation.round(&members)?;
        }
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
    let (path, clients, rounds, streamed) = match arguments.as_slice() {
        [path, clients, rounds] => (path, clients, rounds, false),
        [path, clients, rounds, how] if how == "streamed" => (path, clients, rounds, true),
        _ => {
            let usage = "usage: bench-federated DIGITS.CSV CLIENTS ROUNDS [streamed]";
            let _ = writeln!(io::stderr(), "{usage}");
            return ExitCode::from(2);
        }
    };
    let result = match (clients.parse(), rounds.parse()) {
        (Ok(clients), Ok(rounds)) if clients > 0 => run(path, clients, rounds, streamed),
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
