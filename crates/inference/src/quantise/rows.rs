//! Calibration rows on their way through the layers.

use rayon::prelude::*;

use super::QuantiseError;
use crate::{FloatLayer, FloatNetwork, Scaling};

/// Multiply-accumulates spent on one layer's search, at most: rows are left out of it beyond that.
const SEARCH_SUMS: usize = 1 << 31;

/// Calibration rows, in floating point and as integers, as far as layers have been quantised.
pub(super) struct Rows {
    pub(super) float: Vec<Vec<Vec<f32>>>,
    pub(super) integer: Vec<Vec<Vec<i8>>>,
    /// Real value of a unit of each node.
    pub(super) units: Vec<f64>,
}

impl Rows {
    pub(super) fn new(
        network: &FloatNetwork,
        rows: &[&[f64]],
        scaling: &Scaling,
        unit: f64,
    ) -> Result<Self, QuantiseError> {
        let elements = network.outline().input().elements();
        let traced = rows
            .par_iter()
            .enumerate()
            .map(|(row, values)| {
                let not_finite = QuantiseError::NotFinite { row };
                let int8 = scaling
                    .quantise(values, elements)
                    .map_err(|_| not_finite.clone())?
                    .values;
                // What the scaled network reads: the exact value, in units of int8 where features have their own.
                let read: Vec<f32> = values
                    .iter()
                    .enumerate()
                    .map(|(index, value)| {
                        let (offset, factor) = scaling.of(index);
                        ((value - offset) * factor * unit) as f32
                    })
                    .collect();
                let trace = network.trace(&read).map_err(|_| not_finite.clone())?;
                if !trace.iter().flatten().all(|value| value.is_finite()) {
                    return Err(not_finite);
                }
                Ok((trace, vec![int8]))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (float, integer) = traced.into_iter().unzip();
        Ok(Self {
            float,
            integer,
            units: vec![unit],
        })
    }

    pub(super) fn len(&self) -> usize {
        self.float.len()
    }

    /// Real value of a unit of the last node quantised.
    pub(super) fn unit(&self) -> f64 {
        self.units.last().copied().unwrap_or(1.0)
    }

    /// Largest magnitude of each channel of a node.
    pub(super) fn largest_of_channels(&self, node: usize, channels: usize) -> Vec<f32> {
        let mut most = vec![0.0_f32; channels];
        for row in &self.float {
            let each = row[node].len() / channels;
            for (most, channel) in most.iter_mut().zip(row[node].chunks_exact(each)) {
                *most = channel.iter().fold(*most, |most, value| most.max(value.abs()));
            }
        }
        most
    }

    pub(super) fn inputs(&self, row: usize, layer: &FloatLayer) -> (&[i8], &[i8]) {
        let read = |at: usize| {
            let node = layer.inputs.get(at).copied().unwrap_or_default();
            self.integer[row][usize::from(node)].as_slice()
        };
        (read(0), read(1.min(layer.inputs.len() - 1)))
    }

    pub(super) fn input_unit(&self, layer: &FloatLayer, at: usize) -> f64 {
        self.units[usize::from(layer.inputs[at.min(layer.inputs.len() - 1)])]
    }

    /// Rows that a search over `candidates` may run through a layer: evenly taken.
    pub(super) fn sample(&self, sums: usize, candidates: usize) -> Vec<usize> {
        let most = (SEARCH_SUMS / sums.max(1) / candidates).clamp(1, self.len());
        (0..most).map(|at| at * self.len() / most).collect()
    }

    /// Largest magnitude of a node.
    pub(super) fn largest(&self, node: usize) -> f64 {
        let values = self.float.iter().flat_map(|row| row[node].iter());
        f64::from(values.fold(0.0_f32, |most, value| most.max(value.abs())))
    }
}
