//! Chooses units, shifts and multipliers, one layer after the other.

use counterweight_primitives::architecture::{Layer, Output, Step};
use rayon::prelude::*;

use super::{LayerReport, QuantiseError, multiplied::multiplied, rows::Rows, weighted::weighted};
use crate::{
    FloatLayer, FloatNetwork,
    execute::{accumulate, max_pool, requantise},
    float::Operator,
};

/// What was chosen for a layer.
pub(super) struct Chosen {
    pub(super) layer: Layer,
    pub(super) weights: Vec<i8>,
    pub(super) biases: Vec<i32>,
    pub(super) report: LayerReport,
}

/// A layer's weights in integers, with what follows.
pub(super) struct Candidate {
    pub(super) layer: Layer,
    pub(super) weights: Vec<i8>,
    pub(super) biases: Vec<i32>,
    pub(super) weight_unit: f64,
    pub(super) output_unit: f64,
}

/// Quantises a layer and takes the rows through it.
pub(super) fn choose(
    network: &FloatNetwork,
    step: &Step,
    rows: &mut Rows,
    raw_output: bool,
) -> Result<Chosen, QuantiseError> {
    let float = &network.layers()[step.index()];
    let is_last = step.index() + 1 == network.layers().len();
    let no_unit = || QuantiseError::NoUnit {
        name: float.name.clone(),
    };
    let chosen = match float.operator {
        Operator::MaxPool { .. } => Candidate {
            layer: *step.layer(),
            weights: Vec::new(),
            biases: Vec::new(),
            weight_unit: 0.0,
            output_unit: rows.input_unit(float, 0),
        },
        Operator::AveragePool { .. } | Operator::Add => multiplied(step, float, rows).ok_or_else(no_unit)?,
        Operator::Dense { .. } | Operator::Conv { .. } => {
            let is_raw = is_last && raw_output && !float.relu;
            weighted(step, float, rows, is_raw).ok_or_else(no_unit)?
        }
    };
    Ok(advance(step, float, rows, chosen))
}

/// Runs the chosen layer on every row and reports on it.
fn advance(step: &Step, float: &FloatLayer, rows: &mut Rows, chosen: Candidate) -> Chosen {
    let node = step.index() + 1;
    let rule = match chosen.layer.output() {
        Some(Output::Requantise(rule)) => Some(rule),
        _ => None,
    };
    let results: Vec<(Vec<i8>, Vec<i32>)> = (0..rows.len())
        .into_par_iter()
        .map(|row| {
            let (left, right) = rows.inputs(row, float);
            if let Layer::MaxPool { window, .. } = chosen.layer {
                return (max_pool(step, window, left), Vec::new());
            }
            let sums = sums(step, &chosen, left, right);
            (rule.map_or_else(Vec::new, |rule| requantise(rule, &sums)), sums)
        })
        .collect();
    let (mut power, mut noise, mut clamped, mut elements) = (0.0, 0.0, 0_u64, 0_u64);
    for (row, (int8, sums)) in results.into_iter().enumerate() {
        let target = &rows.float[row][node];
        elements += target.len() as u64;
        let values: Vec<f64> = match rule {
            None if int8.is_empty() => sums.iter().map(|sum| f64::from(*sum)).collect(),
            _ => int8.iter().map(|value| f64::from(*value)).collect(),
        };
        for (value, target) in values.iter().zip(target) {
            let target = f64::from(*target);
            power += target * target;
            noise += (target - value * chosen.output_unit).powi(2);
        }
        if let Some(rule) = rule {
            let low = if rule.relu { i64::MIN } else { -128 };
            clamped += sums
                .iter()
                .filter(|sum| !(low..=127).contains(&rule.quotient(**sum)))
                .count() as u64;
        }
        rows.integer[row].push(int8);
    }
    rows.units.push(chosen.output_unit);
    let report = LayerReport {
        name: float.name.clone(),
        kind: chosen.layer.kind(),
        shift: rule.map(|rule| rule.shift),
        weight_unit: chosen.weight_unit,
        output_unit: chosen.output_unit,
        snr_db: if noise > 0.0 {
            10.0 * libm::log10(power / noise)
        } else {
            f64::INFINITY
        },
        clamped,
        elements,
    };
    Chosen {
        layer: chosen.layer,
        weights: chosen.weights,
        biases: chosen.biases,
        report,
    }
}

/// Accumulators of a candidate, whose layer has the shapes of the step but its own multipliers.
pub(super) fn sums(step: &Step, candidate: &Candidate, left: &[i8], right: &[i8]) -> Vec<i32> {
    accumulate(
        step,
        &candidate.layer,
        &candidate.weights,
        &candidate.biases,
        left,
        right,
    )
}
