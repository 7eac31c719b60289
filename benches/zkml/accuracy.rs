//! What quantising costs: `cargo run --release -p counterweight-inference --example bench-accuracy -- NET.onnx CALIBRATE.csv TEST.csv`

use std::{fs::File, time::Instant};

use counterweight_inference::{Description, QuantiseOptions, Table, compare, import_onnx, quantise};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [net, calibrate, test] = paths.as_slice() else {
        return Err("expected NET.onnx CALIBRATE.csv TEST.csv".into());
    };
    let start = Instant::now();
    let imported = import_onnx(&std::fs::read(net)?)?;
    let calibrate = Table::read(File::open(calibrate)?, None)?;
    let test = Table::read(File::open(test)?, None)?;
    eprintln!("read after {:.2?}", start.elapsed());
    let start = Instant::now();
    let quantised = quantise(&imported.network, &calibrate.rows, QuantiseOptions::default())?;
    eprintln!("quantised on {} rows in {:.2?}", quantised.rows, start.elapsed());
    for layer in &quantised.layers {
        eprintln!(
            "{:<12} {:<14} shift {:>4}  SNR {:>6.2} dB  clamped {:>8} of {}",
            layer.name,
            layer.kind,
            layer.shift.map_or("-".to_owned(), |shift| shift.to_string()),
            layer.snr_db,
            layer.clamped,
            layer.elements
        );
    }
    let model = quantised.into_model(Description {
        name: "bench".to_owned(),
        task: imported.task,
        features: Vec::new(),
        labels: Vec::new(),
    })?;
    let labels = test.classes(&[]).ok_or("the test rows need a column label")?;
    let start = Instant::now();
    let found = compare(&imported.network, &model, &test.rows, &labels);
    eprintln!("compared {} rows in {:.2?}", found.rows, start.elapsed());
    let percent = |count: usize| 100.0 * count as f64 / found.rows.max(1) as f64;
    eprintln!(
        "float {:.2} %, quantised {:.2} %, same class on {:.2} %",
        percent(found.float_right),
        percent(found.quantised_right),
        percent(found.agree)
    );
    let inputs: Vec<Vec<i8>> = test
        .rows
        .iter()
        .map(|row| model.card().quantise(row).map(|row| row.values))
        .collect::<Result<_, _>>()?;
    let start = Instant::now();
    for input in &inputs {
        std::hint::black_box(model.network().run(input)?);
    }
    let each = start.elapsed() / inputs.len() as u32;
    let start = Instant::now();
    std::hint::black_box(model.network().run_batch(&inputs)?);
    eprintln!(
        "one at a time {each:.2?} each, in a batch {:.2?} each",
        start.elapsed() / inputs.len() as u32
    );
    Ok(())
}
