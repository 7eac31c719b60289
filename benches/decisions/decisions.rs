//! Our side of the comparison: `bench-decisions FOLDER DECISIONS FIELDS RECEIPTS`.
//!
//! Makes decisions of a linear model, records them in batches of 65,536, each safe on disk before the next, and prints CPU
//! seconds as JSON. Making the numbers of the inputs is not timed; checking, explaining, committing, sealing, hashing,
//! writing and syncing are.

use std::{error::Error, fs, io::Write as _, path::Path, sync::Arc, time::Instant};

use counterweight_primitives::{ContentDigest, UnixMillis, UnixSeconds};
use counterweight_provenance::{
    decision::{
        Decimal, Decision, DecisionBook, Field, LinearFeature, LinearParameters, Link, MOST_BATCH, Profile,
        Role, SecretKey, Value, ValueType, entry::Flags, receipt::sign_all,
    },
    ledger::LogId,
    log::note::NoteSigner,
    signature::MemorySigner,
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};

const SUBJECTS: usize = 1024;
const ORIGIN: &str = "bench.example/decisions";

/// CPU seconds of this process, all threads.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

fn bytes_below(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() {
            bytes_below(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(sum)
}

/// A model of so many inputs: with output, two variables, reviewer, base value and contributions, twice that and five.
struct Model {
    weights: Vec<f64>,
    means: Vec<f64>,
    bias: f64,
}

impl Model {
    fn new(inputs: usize) -> Self {
        let numbers = |scale: f64| {
            (0..inputs)
                .map(|i| ((i * 37 % 19) as f64 - 9.0) * scale)
                .collect()
        };
        Self {
            weights: numbers(0.03125),
            means: numbers(0.5),
            bias: -0.75,
        }
    }

    fn profile(&self) -> Result<Profile, Box<dyn Error>> {
        let field = |name: String, role, kind| Field { name, role, kind };
        let inputs = 0..self.weights.len();
        let mut fields: Vec<_> = inputs
            .map(|i| field(format!("input {i}"), Role::Input, ValueType::Number))
            .collect();
        fields.push(field("threshold".into(), Role::Variable, ValueType::Number));
        fields.push(field("score".into(), Role::Output, ValueType::Number));
        fields.push(field("name".into(), Role::Reviewer, ValueType::Text));
        let decimal = |x| Decimal::new(x).ok_or("not finite");
        let terms = self.weights.iter().zip(&self.means).enumerate();
        let features: Result<Vec<_>, &str> = terms
            .map(|(i, (weight, mean))| {
                Ok(LinearFeature {
                    input: format!("input {i}"),
                    mean: decimal(*mean)?,
                    weight: decimal(*weight)?,
                })
            })
            .collect();
        let linear = LinearParameters::new(decimal(self.bias)?, "score", features?, Link::Identity);
        Ok(Profile::new(
            "bench.example/score",
            ContentDigest([1; 32]),
            None,
            fields,
            Some(linear),
        )?)
    }

    fn decide(&self, row: &[f64], subject: &str, time: u64) -> Decision {
        let score = row
            .iter()
            .zip(&self.weights)
            .fold(self.bias, |sum, (x, w)| sum + w * x);
        let mut values = Vec::with_capacity(2 * row.len() + 4);
        values.extend(row.iter().copied().map(Value::Number));
        values.extend([Value::Number(0.5), Value::Number(score), Value::Null]);
        Decision {
            subject: subject.to_owned(),
            time: UnixMillis(time),
            flags: Flags::default(),
            values,
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [folder, count, inputs, receipts] = arguments else {
        return Err("expected: FOLDER DECISIONS INPUTS RECEIPTS".into());
    };
    let (folder, count, inputs) = (
        Path::new(folder),
        count.parse::<usize>()?,
        inputs.parse::<usize>()?,
    );
    let model = Model::new(inputs);
    let subjects: Vec<_> = (0..SUBJECTS).map(|i| format!("subject {i}")).collect();
    let mut random = ChaCha20Rng::seed_from_u64(42);
    let rows: Vec<f64> = (0..MOST_BATCH * inputs)
        .map(|_| random.next_u32() as f64 / f64::from(u32::MAX) * 10.0 - 5.0)
        .collect();
    let owner = MemorySigner::from_secret(&[5; 32])?;
    let mut book = DecisionBook::open(
        folder,
        NoteSigner::from_secret(ORIGIN, &[7; 32])?,
        SecretKey::new([3; 32]),
        Box::new(random),
    )?;
    let profile = book.add_profile(model.profile()?)?;
    let fields = profile.fields().len();
    let started = (cpu_seconds()?, Instant::now());
    let mut signed = 0;
    let mut done = 0;
    while done < count {
        let size = MOST_BATCH.min(count - done);
        let rows = rows
            .chunks_exact(inputs)
            .take(size)
            .zip(subjects.iter().cycle())
            .zip(done..);
        let batch: Result<Vec<_>, _> = rows
            .map(|((row, subject), at)| Arc::clone(&profile).check(model.decide(row, subject, at as u64)))
            .collect();
        let recorded = book.record(&batch?)?;
        if receipts == "receipts" {
            let log = LogId::of_origin(ORIGIN);
            let promises: Vec<_> = recorded.iter().map(|r| r.promise(log, UnixSeconds(60))).collect();
            signed += sign_all(ORIGIN, &promises, &owner)?.len();
        }
        done += size;
    }
    let (cpu, wall) = (cpu_seconds()? - started.0, started.1.elapsed().as_secs_f64());
    book.disclose(1 + count as u64 / 2, |_| true, true)?;
    let report = serde_json::json!({
        "decisions": count, "fields": fields, "cpu_s": cpu, "wall_s": wall, "bytes": bytes_below(folder)?,
        "receipts": signed,
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
