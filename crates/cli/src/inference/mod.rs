//! Integer networks of this project: where they are kept, what they are made from, how rows reach them.

mod row;
mod setup;
mod store;
mod trained;

pub(crate) use row::read_row;
pub(crate) use setup::{
    ceremonies, ceremony_tau, chosen_setup, development_warning, setup_of, take_ceremony, verifier_setup,
};
pub(crate) use store::{Store, read_file, read_key, write_file, write_secret};
pub(crate) use trained::from_asset;

use counterweight_inference::{
    Comparison, Description, FloatNetwork, Model, QuantiseOptions, Quantised, quantise,
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use serde_json::{Value, json};

use crate::{
    error::{CliError, Code, with_causes},
    output::{Answer, Cell, Table},
};

/// Quantises a network and puts it together with what its numbers mean.
///
/// # Errors
/// [`Code::NetworkUnusable`].
pub(crate) fn quantised_model(
    network: &FloatNetwork,
    rows: &[Vec<f64>],
    description: Description,
) -> Result<(Model, Quantised), CliError> {
    let refused = |error: &dyn std::error::Error| {
        CliError::new(Code::NetworkUnusable, "the network cannot be quantised").why(with_causes(error))
    };
    let quantised = quantise(network, rows, QuantiseOptions::default()).map_err(|error| {
        refused(&error).fix("give rows that are like those the network will be asked about")
    })?;
    let model = quantised
        .clone()
        .into_model(description)
        .map_err(|error| refused(&error).fix("shorten the names, or give as many as the network has"))?;
    Ok((model, quantised))
}

/// What quantising cost, layer by layer and in right answers.
pub(crate) fn report(answer: Answer, quantised: &Quantised, comparison: Option<&Comparison>) -> Answer {
    let mut table = Table::new(["layer", "weights", "shift", "signal to noise", "saturated"]);
    let mut layers: Vec<Value> = Vec::new();
    for (step, layer) in quantised
        .network
        .architecture()
        .steps()
        .iter()
        .zip(&quantised.layers)
    {
        table.push([
            Cell::text(layer.name.clone()),
            Cell::number(step.weights().len()),
            Cell::text(
                layer
                    .shift
                    .map_or_else(|| "-".to_owned(), |shift| shift.to_string()),
            ),
            Cell::text(format!("{:.1} dB", layer.snr_db)),
            Cell::number(layer.clamped),
        ]);
        layers.push(json!({
            "name": layer.name,
            "weights": step.weights().len(),
            "shift": layer.shift,
            "snr_db": layer.snr_db,
            "saturated": layer.clamped,
        }));
    }
    let answer = answer
        .json("calibration_rows", quantised.rows)
        .json("layers", layers)
        .heading(format!("What quantising cost, on {} rows", quantised.rows))
        .table(table);
    let Some(comparison) = comparison.filter(|comparison| comparison.rows > 0) else {
        return answer;
    };
    let percent = |right: usize| 100.0 * right as f64 / comparison.rows as f64;
    answer
        .json(
            "accuracy",
            json!({
                "rows": comparison.rows,
                "float": percent(comparison.float_right) / 100.0,
                "quantised": percent(comparison.quantised_right) / 100.0,
                "agree": percent(comparison.agree) / 100.0,
            }),
        )
        .line(format!(
            "Right on {} labelled rows: {:.2} % in floating point, {:.2} % quantised; the same class on {:.2} %.",
            comparison.rows,
            percent(comparison.float_right),
            percent(comparison.quantised_right),
            percent(comparison.agree),
        ))
}

/// Randomness for blindings and masks: from the operating system. A seed makes it repeat, which gives the secrets away to
/// whoever knows the seed, so it is for development alone.
///
/// # Errors
/// [`Code::Fault`] where the system has no randomness.
pub(crate) fn randomness(seed: Option<u64>) -> Result<ChaCha20Rng, CliError> {
    match seed {
        Some(seed) => Ok(ChaCha20Rng::seed_from_u64(seed)),
        None => ChaCha20Rng::try_from_os_rng()
            .map_err(|error| CliError::fault(format!("the system gives no randomness: {error}"))),
    }
}

/// 32 bytes as `0x…`.
pub(crate) fn hex_word(word: &[u8; 32]) -> String {
    format!("0x{}", hex::encode(word))
}
