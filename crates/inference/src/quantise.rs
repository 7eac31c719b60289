//! Post-training quantisation: integers for a network that was trained in floating point.
//!
//! Requantisation is a shift, so a layer's unit is its weights' unit times its input's unit times a power of two: there are no
//! multipliers to absorb what is left. The unit of the weights is therefore searched over an octave and more, for the least mean
//! square error of the layer's output on calibration rows, with inputs that the quantised layers before gave. Biases then take up
//! the mean of what rounding the weights cost ("bias correction": Nagel et al., "Data-Free Quantization Through Weight
//! Equalization and Bias Correction", ICCV 2019, section 4.2, measured rather than computed). Channels are equalised between
//! layers before (section 4.1 there), if that helps on the same rows.

mod equalise;
mod input;
mod multiplied;
mod report;
mod rows;
mod search;
mod weighted;

pub use input::InputScaling;
pub use report::{Comparison, LayerReport, compare};

use counterweight_primitives::architecture::{Architecture, ArchitectureError, Layer};

use crate::{
    Decimal, FORMAT, FloatNetwork, Metadata, Model, ModelError, Network, NetworkError, Scaling, Task,
};
use rows::Rows;
use search::Chosen;

/// Choices that a caller can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantiseOptions {
    /// How real inputs become int8.
    pub input: InputScaling,
    /// Whether to try equalising channels between layers.
    pub equalise: bool,
    /// Whether a last layer with weights gives its accumulators as they are.
    pub raw_output: bool,
    /// Rows used at most; more are passed over evenly.
    pub most_rows: usize,
}

impl Default for QuantiseOptions {
    fn default() -> Self {
        Self {
            input: InputScaling::Automatic,
            equalise: true,
            raw_output: true,
            most_rows: 256,
        }
    }
}

/// A quantised network and what quantising it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// The network.
    pub network: Network,
    /// How real inputs become int8.
    pub scaling: Scaling,
    /// Real value of one unit of the output.
    pub output_unit: f64,
    /// Layer by layer.
    pub layers: Vec<LayerReport>,
    /// Calibration rows used.
    pub rows: usize,
}

/// What a caller knows of a model beside its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The model's name.
    pub name: String,
    /// What its output means: [`Imported::task`](crate::Imported).
    pub task: Task,
    /// Names of the input's elements, or none.
    pub features: Vec<String>,
    /// Names of the classes, or none.
    pub labels: Vec<String>,
}

impl Quantised {
    /// The network as a model that has a file.
    ///
    /// # Errors
    /// [`ModelError`] if the description does not fit, or an output has no unit.
    pub fn into_model(self, description: Description) -> Result<Model, ModelError> {
        let metadata = Metadata {
            format: FORMAT.to_owned(),
            name: description.name,
            input: self.scaling,
            features: description.features,
            task: description.task,
            // A unit that is not finite becomes 0 here, and is refused there.
            output_unit: Decimal::new(self.output_unit).unwrap_or_default(),
            labels: description.labels,
        };
        Model::new(self.network, metadata)
    }
}

/// Why a network could not be quantised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// No calibration rows.
    #[error("there are no calibration rows")]
    NoRows,
    /// A calibration row of another length than the input.
    #[error("calibration row {row} has {got} values, the network reads {expected}")]
    RowLength {
        /// Counted from 0.
        row: usize,
        /// Values the network reads.
        expected: usize,
        /// Values of the row.
        got: usize,
    },
    /// A calibration row with an infinity or NaN, or one on which the network gives such.
    #[error("calibration row {row} is not finite, or the network's values on it are not")]
    NotFinite {
        /// Counted from 0.
        row: usize,
    },
    /// Inputs can be scaled one by one only where dense layers read them.
    #[error("a layer other than a dense one reads the input, so all of it must be scaled alike")]
    PerFeature,
    /// No unit of a layer keeps its values inside the bounds.
    #[error("node \"{name}\": no int8 weights and shift come near its values")]
    NoUnit {
        /// The layer.
        name: String,
    },
    /// The quantised layers break a rule together.
    #[error("the quantised layers are not an architecture")]
    Architecture(#[source] ArchitectureError),
    /// The quantised parameters do not fit the architecture.
    #[error("the quantised parameters do not fit")]
    Network(#[source] NetworkError),
}

/// Quantises a network, calibrated on rows of real inputs.
///
/// # Errors
/// [`QuantiseError`].
pub fn quantise(
    network: &FloatNetwork,
    rows: &[Vec<f64>],
    options: QuantiseOptions,
) -> Result<Quantised, QuantiseError> {
    let rows = pick(network, rows, options.most_rows)?;
    let (scaled, scaling, unit) = input::scale(network, &rows, options.input)?;
    let plain = layers(&scaled, &rows, &scaling, unit, options)?;
    if !options.equalise {
        return Ok(plain);
    }
    let mut best = plain;
    for method in equalise::METHODS {
        let Some(equal) = equalise::equalise(&scaled, &rows, &scaling, unit, method) else {
            continue;
        };
        let candidate = layers(&equal, &rows, &scaling, unit, options)?;
        let snr = |quantised: &Quantised| {
            quantised
                .layers
                .last()
                .map_or(f64::NEG_INFINITY, |layer| layer.snr_db)
        };
        if snr(&candidate) > snr(&best) {
            best = candidate;
        }
    }
    Ok(best)
}

/// At most `most` rows, evenly taken, checked.
fn pick<'a>(
    network: &FloatNetwork,
    rows: &'a [Vec<f64>],
    most: usize,
) -> Result<Vec<&'a [f64]>, QuantiseError> {
    let expected = network.outline().input().elements();
    for (row, values) in rows.iter().enumerate() {
        if values.len() != expected {
            return Err(QuantiseError::RowLength {
                row,
                expected,
                got: values.len(),
            });
        }
        // What is not finite in single precision is of no use to the network either.
        if !values.iter().all(|value| (*value as f32).is_finite()) {
            return Err(QuantiseError::NotFinite { row });
        }
    }
    let count = rows.len().min(most.max(1));
    if count == 0 {
        return Err(QuantiseError::NoRows);
    }
    Ok((0..count)
        .map(|at| rows[at * rows.len() / count].as_slice())
        .collect())
}

/// Quantises layer after layer, each on what the quantised layers before it give.
fn layers(
    network: &FloatNetwork,
    rows: &[&[f64]],
    scaling: &Scaling,
    unit: f64,
    options: QuantiseOptions,
) -> Result<Quantised, QuantiseError> {
    let mut rows = Rows::new(network, rows, scaling, unit)?;
    let (mut weights, mut biases) = (Vec::new(), Vec::new());
    let mut chosen_layers: Vec<Layer> = Vec::new();
    let mut reports = Vec::new();
    for step in network.outline().steps() {
        let Chosen {
            layer,
            weights: own_weights,
            biases: own_biases,
            report,
        } = search::choose(network, step, &mut rows, options.raw_output)?;
        chosen_layers.push(layer);
        weights.extend(own_weights);
        biases.extend(own_biases);
        reports.push(report);
    }
    let architecture =
        Architecture::new(network.outline().input(), chosen_layers).map_err(QuantiseError::Architecture)?;
    let network = Network::new(architecture, weights, biases).map_err(QuantiseError::Network)?;
    Ok(Quantised {
        network,
        scaling: scaling.clone(),
        output_unit: rows.unit(),
        layers: reports,
        rows: rows.len(),
    })
}

#[cfg(test)]
mod tests;
