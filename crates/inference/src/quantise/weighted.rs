//! Layers with weights: the unit of the weights, the shift and the form of the biases.

use counterweight_primitives::architecture::{
    Bias, Layer, MOST_BIAS_DIGITS, MOST_SHIFT, MOST_SHIFTED, Output, Requantise, Step,
};
use rayon::prelude::*;

use super::{
    rows::Rows,
    search::{Candidate, sums},
};
use crate::{FloatLayer, float::before_relu};

/// Weight units tried, in eighths of an octave around the one with which the largest weight is 127: above, weights are coarser
/// than they need be so that the output meets its unit; below, the largest weights are clamped.
const EIGHTHS: std::ops::RangeInclusive<i32> = -9..=8;
/// Largest bias in units of the accumulators, where weights are made coarser for it: three digits hold twice as much.
const LARGEST_BIAS: f64 = 4_194_304.0;
/// Bits by which a unit of a bias is finer than one of the output, at least.
const BIAS_BITS: u8 = 5;

/// Integer weights, an output unit, and the square error of the output on the rows tried.
struct Trial {
    candidate: Candidate,
    /// Real value of a unit of the accumulators.
    unit: f64,
    error: f64,
}

/// The candidate with the least error; nothing if none keeps the bounds.
pub(super) fn weighted(step: &Step, float: &FloatLayer, rows: &Rows, is_raw: bool) -> Option<Candidate> {
    let (weights, _) = float.operator.parameters()?;
    let work = weights.len() * step.output_shape().plane();
    let sample = rows.sample(work, EIGHTHS.count());
    let trials: Vec<Option<Trial>> = EIGHTHS
        .into_par_iter()
        .map(|eighths| trial(step, float, rows, &sample, is_raw, eighths))
        .collect();
    let mut best = trials
        .into_iter()
        .flatten()
        .reduce(|best, other| if other.error < best.error { other } else { best })?;
    if let Some(corrected) = corrected(step, float, rows, &sample, &best) {
        best = corrected;
    }
    Some(best.candidate)
}

fn trial(
    step: &Step,
    float: &FloatLayer,
    rows: &Rows,
    sample: &[usize],
    is_raw: bool,
    eighths: i32,
) -> Option<Trial> {
    let (weights, biases) = float.operator.parameters()?;
    let largest =
        |values: &[f32]| f64::from(values.iter().fold(0.0_f32, |most, value| most.max(value.abs())));
    let input_unit = rows.input_unit(float, 0);
    // Coarser weights where biases are so much larger that three digits would not hold them.
    let finest = (largest(weights) / 127.0).max(largest(biases) / (input_unit * LARGEST_BIAS));
    // Where all is 0, any unit will do.
    let finest = if finest > 0.0 { finest } else { 1.0 };
    let weight_unit = finest * libm::exp2(f64::from(eighths) / 8.0);
    let unit = weight_unit * input_unit;
    let weights: Vec<i8> = weights
        .iter()
        .map(|weight| {
            (f64::from(*weight) / weight_unit)
                .round_ties_even()
                .clamp(-128.0, 127.0) as i8
        })
        .collect();
    let biases = biases
        .iter()
        .map(|bias| whole(f64::from(*bias) / unit))
        .collect::<Option<Vec<i32>>>()?;
    let mut candidate = Candidate {
        layer: with_form(step.layer(), Bias::default(), Output::Raw)?,
        weights,
        biases,
        weight_unit,
        output_unit: unit,
    };
    let sums: Vec<Vec<i32>> = sample
        .iter()
        .map(|row| {
            let (input, _) = rows.inputs(*row, float);
            sums(step, &candidate, input, &[])
        })
        .collect();
    let mut best: Option<(f64, Output, Bias)> = None;
    for output in outputs(step, float, rows, unit, is_raw) {
        let Some(form) = form(&candidate.biases, step.terms(), output) else {
            continue;
        };
        let error = error(step, rows, sample, &sums, output, unit);
        if best.is_none_or(|(least, ..)| error < least) {
            best = Some((error, output, form));
        }
    }
    let (error, output, form) = best?;
    candidate.layer = with_form(step.layer(), form, output)?;
    candidate.output_unit = unit * scale_of(output);
    candidate.biases = rounded(&candidate.biases, form);
    Some(Trial {
        candidate,
        unit,
        error,
    })
}

/// Outputs worth trying: raw, or the shifts that bring the largest value near the end of int8.
fn outputs(step: &Step, float: &FloatLayer, rows: &Rows, unit: f64, is_raw: bool) -> Vec<Output> {
    if is_raw {
        return vec![Output::Raw];
    }
    let largest = rows.largest(step.index() + 1);
    let rule = |shift| {
        Output::Requantise(Requantise {
            shift,
            relu: float.relu,
        })
    };
    let is_near = |shift: &u8| {
        let reach = 127.0 * unit * f64::from(1_u32 << shift);
        reach >= largest / 16.0 && reach <= largest * 4.0
    };
    // Where the bounds ask for a larger shift than values do, the least one that they allow is the best there is.
    let least = (0..=MOST_SHIFT).find(|shift| is_inside(step.terms(), Bias::default(), rule(*shift)));
    let Some(least) = least else { return Vec::new() };
    let near = (least..=MOST_SHIFT).filter(is_near).map(rule);
    let mut found: Vec<Output> = near.collect();
    // One more than the least leaves room for biases, which the bound counts too.
    found.extend([least, (least + 1).min(MOST_SHIFT)].map(rule));
    found
}

fn error(step: &Step, rows: &Rows, sample: &[usize], sums: &[Vec<i32>], output: Output, unit: f64) -> f64 {
    let unit = unit * scale_of(output);
    let value = |sum: i32| match output {
        Output::Raw => f64::from(sum),
        Output::Requantise(rule) => f64::from(rule.apply(sum)),
    };
    let mut error = 0.0;
    for (row, sums) in sample.iter().zip(sums) {
        let targets = &rows.float[*row][step.index() + 1];
        for (sum, target) in sums.iter().zip(targets) {
            let off = value(*sum) * unit - f64::from(*target);
            error += off * off;
        }
    }
    error
}

/// The candidate with biases that take up the mean error of each channel's accumulators; nothing if that is no better.
fn corrected(step: &Step, float: &FloatLayer, rows: &Rows, sample: &[usize], best: &Trial) -> Option<Trial> {
    let output = best.candidate.layer.output()?;
    let (channels, plane) = (step.output_shape().channels(), step.output_shape().plane());
    let mut accumulators: Vec<Vec<i32>> = Vec::with_capacity(sample.len());
    let mut off = vec![0.0_f64; channels];
    for row in sample {
        let (input, _) = rows.inputs(*row, float);
        let sums = sums(step, &best.candidate, input, &[]);
        let targets = before_relu(step, float, &rows.float[*row]);
        for (off, (sums, targets)) in off
            .iter_mut()
            .zip(sums.chunks_exact(plane).zip(targets.chunks_exact(plane)))
        {
            *off += sums
                .iter()
                .zip(targets)
                .map(|(sum, target)| f64::from(*target) / best.unit - f64::from(*sum))
                .sum::<f64>();
        }
        accumulators.push(sums);
    }
    let count = (sample.len() * plane) as f64;
    let old: Vec<i32> = if best.candidate.biases.is_empty() {
        vec![0; channels]
    } else {
        best.candidate.biases.clone()
    };
    let wished = old
        .iter()
        .zip(&off)
        .map(|(bias, off)| whole(f64::from(*bias) + off / count))
        .collect::<Option<Vec<i32>>>()?;
    let form = form(&wished, step.terms(), output)?;
    let biases = rounded(&wished, form);
    for sums in &mut accumulators {
        for (channel, sums) in sums.chunks_exact_mut(plane).enumerate() {
            let more = biases.get(channel).copied().unwrap_or_default() - old[channel];
            sums.iter_mut().for_each(|sum| *sum = sum.saturating_add(more));
        }
    }
    let error = error(step, rows, sample, &accumulators, output, best.unit);
    (error < best.error).then_some(Trial {
        candidate: Candidate {
            layer: with_form(step.layer(), form, output)?,
            weights: best.candidate.weights.clone(),
            biases,
            weight_unit: best.candidate.weight_unit,
            output_unit: best.candidate.output_unit,
        },
        unit: best.unit,
        error,
    })
}

fn scale_of(output: Output) -> f64 {
    match output {
        Output::Raw => 1.0,
        Output::Requantise(rule) => f64::from(1_u32 << rule.shift),
    }
}

/// The nearest integer, if a bias may be as large.
fn whole(value: f64) -> Option<i32> {
    let rounded = value.round_ties_even();
    (rounded.abs() < f64::from(1 << 30)).then_some(rounded as i32)
}

/// The fewest digits that hold all biases finely enough; else those that hold them as finely as there is room.
fn form(biases: &[i32], terms: usize, output: Output) -> Option<Bias> {
    if biases.iter().all(|bias| *bias == 0) {
        let none = Bias::default();
        return is_inside(terms, none, output).then_some(none);
    }
    let coarsest = match output {
        Output::Raw => 0,
        Output::Requantise(rule) => rule.shift.saturating_sub(BIAS_BITS),
    };
    let holding = (1..=MOST_BIAS_DIGITS).filter_map(|digits| {
        (0..24).map(|shift| Bias { digits, shift }).find(|form| {
            biases
                .iter()
                .all(|bias| form.digits_of(near(*bias, *form)).is_some())
        })
    });
    let holding: Vec<Bias> = holding.filter(|form| is_inside(terms, *form, output)).collect();
    let fine = holding.iter().find(|form| form.shift <= coarsest);
    fine.or_else(|| holding.iter().min_by_key(|form| form.shift))
        .copied()
}

/// The bias rounded to a multiple of the form's unit.
fn near(bias: i32, form: Bias) -> i32 {
    let unit = f64::from(1_u32 << form.shift);
    ((f64::from(bias) / unit).round_ties_even() * unit) as i32
}

fn rounded(biases: &[i32], form: Bias) -> Vec<i32> {
    if form.digits == 0 {
        return Vec::new();
    }
    biases.iter().map(|bias| near(*bias, form)).collect()
}

/// Whether the bounds of docs/spec/arithmetic.md hold.
fn is_inside(terms: usize, form: Bias, output: Output) -> bool {
    let digits: i64 = (0..form.digits)
        .map(|digit| 1_i64 << (form.shift + 8 * digit))
        .sum();
    let bound = ((terms as i64) << 14) + 128 * digits;
    let shifted = match output {
        Output::Raw => 0,
        Output::Requantise(Requantise { shift: 0, .. }) => bound,
        Output::Requantise(rule) => (bound + (1 << (rule.shift - 1))) >> rule.shift,
    };
    bound < 1 << 31 && shifted <= MOST_SHIFTED
}

fn with_form(layer: &Layer, form: Bias, rule: Output) -> Option<Layer> {
    let mut layer = *layer;
    match &mut layer {
        Layer::Dense { bias, output, .. } | Layer::Conv { bias, output, .. } => {
            *bias = form;
            *output = rule;
        }
        _ => return None,
    }
    Some(layer)
}
