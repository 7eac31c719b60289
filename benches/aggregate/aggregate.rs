//! Our side of the comparison: `bench-aggregate FOLDER RULE COUNT COORDINATES`.
//!
//! Reads the updates, times the rule, writes the result beside them and prints CPU seconds and peak memory as JSON.

use std::{fs, path::Path, process::ExitCode};

use counterweight_federated::rules::{Inputs, Row, Rows, Rule};

const UNITS: f64 = (1 << 24) as f64;

/// The coordinates of one update in fixed point, read in pieces so that no second copy is ever whole.
fn read(path: &Path, coordinates: usize) -> Result<Vec<i32>, Box<dyn std::error::Error>> {
    use std::io::Read as _;
    let mut file = fs::File::open(path)?;
    let mut units = Vec::with_capacity(coordinates);
    let mut bytes = vec![0; 1 << 16];
    while units.len() < coordinates {
        let wanted = bytes.len().min(4 * (coordinates - units.len()));
        file.read_exact(&mut bytes[..wanted])?;
        let (values, _) = bytes[..wanted].as_chunks::<4>();
        let unit = |value: &[u8; 4]| (f64::from(f32::from_le_bytes(*value)) * UNITS).round_ties_even() as i32;
        units.extend(values.iter().map(unit));
    }
    Ok(units)
}

/// CPU seconds of this process, all threads.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

fn peak_mib() -> Result<f64, Box<dyn std::error::Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or("0");
    Ok(line.trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [folder, rule, count, coordinates] = arguments else {
        return Err("expected: FOLDER RULE COUNT COORDINATES".into());
    };
    let (count, coordinates): (usize, usize) = (count.parse()?, coordinates.parse()?);
    let settings = match rule.as_str() {
        "krum" => r#"{"rule":"krum","faulty":20}"#,
        "median" => r#"{"rule":"median"}"#,
        "trimmed-mean" => r#"{"rule":"trimmed-mean","trim":20}"#,
        "geometric-median" => r#"{"rule":"geometric-median"}"#,
        "centred-clipping" => r#"{"rule":"centred-clipping","radius":1}"#,
        other => return Err(format!("no such rule: {other}").into()),
    };
    let folder = Path::new(folder);
    let updates: Vec<Vec<i32>> = (0..count)
        .map(|at| read(&folder.join(format!("{at}.f32")), coordinates))
        .collect::<Result<_, _>>()?;
    let before = cpu_seconds()?;
    let settings: Rule = serde_json::from_str(settings)?;
    let rows = updates
        .iter()
        .zip(0..)
        .map(|(coordinates, owner)| Row {
            owner,
            weight: 1,
            coordinates,
        })
        .collect();
    let rows = Rows::new(rows)?;
    let sum = settings.combine(&rows, &Inputs::default())?;
    let seconds = cpu_seconds()? - before;
    let peak = peak_mib()?;
    let mean: Vec<u8> = sum
        .mean()?
        .iter()
        .flat_map(|value| (*value as f32).to_le_bytes())
        .collect();
    fs::write(folder.join(format!("ours-{rule}.f32")), mean)?;
    let line = format!("{{\"cpu_s\": {seconds}, \"peak_mib\": {peak}}}\n");
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
