//! How real inputs become int8.

use super::QuantiseError;
use crate::{Decimal, FloatNetwork, Scaling, float::Operator};

/// How real inputs become int8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InputScaling {
    /// One by one if only dense layers read the input and its elements have different ranges, else all alike.
    #[default]
    Automatic,
    /// All elements by one factor; a real 0 becomes 0.
    Uniform,
    /// Each element by its own mean and range. The layers that read them take it over, so it costs nothing.
    PerFeature,
}

/// Elements up to which ranges are compared: pictures have more, and a pixel that is never lit has no range of its own.
const MOST_FEATURES: usize = 512;
/// Ratio of ranges from which elements are scaled one by one.
const DIFFERENT: f64 = 2.0;
/// How much further than calibration rows others may reach. It costs a third of a bit; a clamped element costs more.
const HEADROOM: f64 = 1.25;
/// Standard deviations beyond which an element is clamped, so that one outlier does not cost all others their resolution.
const MOST_DEVIATIONS: f64 = 8.0;

/// The network that reads int8 inputs, the scaling, and the real value of a unit of its input.
pub(super) fn scale(
    network: &FloatNetwork,
    rows: &[&[f64]],
    wish: InputScaling,
) -> Result<(FloatNetwork, Scaling, f64), QuantiseError> {
    let elements = network.outline().input().elements();
    let can = network.only_dense_layers_read_the_input();
    if wish == InputScaling::PerFeature && !can {
        return Err(QuantiseError::PerFeature);
    }
    let features: Vec<(f64, f64)> = (0..elements).map(|index| mean_and_reach(rows, index)).collect();
    let differ = || {
        let reach = features
            .iter()
            .map(|(mean, reach)| mean.abs() + reach)
            .filter(|reach| *reach > 0.0);
        let (least, most) = reach.fold((f64::MAX, 0.0_f64), |(least, most), it| {
            (least.min(it), most.max(it))
        });
        most > DIFFERENT * least
    };
    let one_by_one = match wish {
        InputScaling::PerFeature => true,
        InputScaling::Uniform => false,
        InputScaling::Automatic => can && elements <= MOST_FEATURES && differ(),
    };
    if one_by_one {
        per_feature(network, &features)
    } else {
        let most = rows
            .iter()
            .flat_map(|row| row.iter())
            .fold(0.0_f64, |most, value| most.max(value.abs()));
        let factor = if most > 0.0 { 127.0 / most } else { 1.0 };
        let scaling = Scaling::uniform(0.0, factor).ok_or(QuantiseError::NotFinite { row: 0 })?;
        Ok((network.clone(), scaling, 1.0 / factor))
    }
}

/// Mean of an element and how far it goes from there.
fn mean_and_reach(rows: &[&[f64]], index: usize) -> (f64, f64) {
    let count = rows.len() as f64;
    let values = || rows.iter().map(|row| row[index]);
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    let reach = values().fold(0.0_f64, |most, value| most.max((value - mean).abs()));
    (mean, (HEADROOM * reach).min(MOST_DEVIATIONS * variance.sqrt()))
}

fn per_feature(
    network: &FloatNetwork,
    features: &[(f64, f64)],
) -> Result<(FloatNetwork, Scaling, f64), QuantiseError> {
    let not_finite = QuantiseError::NotFinite { row: 0 };
    // An element that never varied is scaled by its size, so that other values of it still count.
    let factor = |(mean, reach): (f64, f64)| {
        let reach = if reach > 0.0 { reach } else { mean.abs() };
        if reach > 0.0 { 127.0 / reach } else { 1.0 }
    };
    let scaling = Scaling {
        offset: features
            .iter()
            .map(|(mean, _)| Decimal::new(*mean))
            .collect::<Option<_>>()
            .ok_or(not_finite.clone())?,
        factor: features
            .iter()
            .map(|feature| Decimal::new(factor(*feature)))
            .collect::<Option<_>>()
            .ok_or(not_finite)?,
    };
    // x = q / factor + offset, so weights are divided by factors and biases take the offsets.
    let mut scaled = network.clone();
    for index in 0..network.layers().len() {
        let Some(layer) = scaled.layer_mut(index).filter(|layer| layer.inputs.contains(&0)) else {
            continue;
        };
        if let Operator::Dense { weights, biases } = &mut layer.operator {
            for (row, bias) in weights.chunks_exact_mut(features.len()).zip(biases) {
                let mut sum = f64::from(*bias);
                for (weight, feature) in row.iter_mut().zip(features) {
                    sum += f64::from(*weight) * feature.0;
                    *weight = (f64::from(*weight) / factor(*feature)) as f32;
                }
                *bias = sum as f32;
            }
        }
    }
    Ok((scaled, scaling, 1.0))
}
