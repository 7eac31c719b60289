//! Layers with public multipliers: average pools and additions.

use counterweight_primitives::architecture::{Layer, MOST_SHIFT, Requantise, Step};

use super::{
    rows::Rows,
    search::{Candidate, sums},
};
use crate::FloatLayer;

/// Output units tried, in quarters of an octave around the one with which the largest value is 127.
const QUARTERS: std::ops::RangeInclusive<i32> = -6..=3;

/// The candidate with the least error; nothing if no multipliers do.
pub(super) fn multiplied(step: &Step, float: &FloatLayer, rows: &Rows) -> Option<Candidate> {
    let sample = rows.sample(step.terms() * step.output_shape().elements(), QUARTERS.count());
    let largest = rows.largest(step.index() + 1);
    let mut best: Option<(f64, Candidate)> = None;
    for quarters in QUARTERS {
        // Where all is 0, any unit will do.
        let largest = if largest > 0.0 {
            largest
        } else {
            127.0 * rows.input_unit(float, 0)
        };
        let wished = largest / 127.0 * libm::exp2(f64::from(quarters) / 4.0);
        let Some(candidate) = candidate(step, float, rows, wished) else {
            continue;
        };
        let error = error(step, float, rows, &sample, &candidate);
        if best.as_ref().is_none_or(|(least, _)| error < *least) {
            best = Some((error, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Multipliers for an output unit, with the largest shift that leaves them a byte: the larger they are, the finer.
fn candidate(step: &Step, float: &FloatLayer, rows: &Rows, wished: f64) -> Option<Candidate> {
    (0..=MOST_SHIFT).rev().find_map(|shift| {
        let unit = wished / f64::from(1_u32 << shift);
        let byte = |ratio: f64| {
            (1.0..=255.0)
                .contains(&ratio.round_ties_even())
                .then_some(ratio.round_ties_even() as u8)
        };
        let rule = Requantise {
            shift,
            relu: float.relu,
        };
        let mut layer = *step.layer();
        let output_unit = match &mut layer {
            Layer::AveragePool {
                window,
                multiplier,
                output,
                ..
            } => {
                let each = rows.input_unit(float, 0) / window.elements() as f64;
                *multiplier = byte(each / unit)?;
                *output = rule;
                each / f64::from(*multiplier) * f64::from(1_u32 << shift)
            }
            Layer::Add {
                left_multiplier,
                right_multiplier,
                output,
                ..
            } => {
                *left_multiplier = byte(rows.input_unit(float, 0) / unit)?;
                *right_multiplier = byte(rows.input_unit(float, 1) / unit)?;
                *output = rule;
                wished
            }
            _ => return None,
        };
        is_inside(step, &layer, rule).then_some(Candidate {
            layer,
            weights: Vec::new(),
            biases: Vec::new(),
            weight_unit: 0.0,
            output_unit,
        })
    })
}

/// Whether the bounds of docs/spec/arithmetic.md hold.
fn is_inside(step: &Step, layer: &Layer, rule: Requantise) -> bool {
    use counterweight_primitives::architecture::MOST_SHIFTED;
    let factor = match *layer {
        Layer::AveragePool { multiplier, .. } => i64::from(multiplier) * step.terms() as i64,
        Layer::Add {
            left_multiplier,
            right_multiplier,
            ..
        } => i64::from(left_multiplier) + i64::from(right_multiplier),
        _ => return false,
    };
    let half = if rule.shift == 0 { 0 } else { 1 << (rule.shift - 1) };
    (128 * factor + half) >> rule.shift <= MOST_SHIFTED
}

fn error(step: &Step, float: &FloatLayer, rows: &Rows, sample: &[usize], candidate: &Candidate) -> f64 {
    let Some(counterweight_primitives::architecture::Output::Requantise(rule)) = candidate.layer.output()
    else {
        return f64::INFINITY;
    };
    let mut error = 0.0;
    for row in sample {
        let (left, right) = rows.inputs(*row, float);
        let targets = &rows.float[*row][step.index() + 1];
        for (sum, target) in sums(step, candidate, left, right).iter().zip(targets) {
            let off = f64::from(rule.apply(*sum)) * candidate.output_unit - f64::from(*target);
            error += off * off;
        }
    }
    error
}
