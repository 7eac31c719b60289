//! Numbers on one scale.

use super::encode::Encoded;

/// Mean and sample deviation of each input.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl Scaling {
    /// Of the given rows, in their order, in two passes.
    pub(super) fn of(encoded: &Encoded, rows: &[u32]) -> Self {
        let inputs = encoded.inputs;
        let of = |row: &u32| &encoded.features[*row as usize * inputs..][..inputs];
        let mut means = vec![0.0; inputs];
        for row in rows {
            for (mean, value) in means.iter_mut().zip(of(row)) {
                *mean += value;
            }
        }
        let count = rows.len().max(1) as f64;
        for mean in &mut means {
            *mean /= count;
        }
        let mut deviations = vec![0.0; inputs];
        for row in rows {
            for ((square, mean), value) in deviations.iter_mut().zip(&means).zip(of(row)) {
                *square += (value - mean) * (value - mean);
            }
        }
        let freedom = rows.len().saturating_sub(1).max(1) as f64;
        for (deviation, mean) in deviations.iter_mut().zip(&means) {
            *deviation = (*deviation / freedom).sqrt();
            // What rounding leaves of an input that is constant.
            if *deviation <= 1e-12 * mean.abs() {
                *deviation = 0.0;
            }
        }
        Self { means, deviations }
    }

    /// A scaled row. An input that never varied says nothing and becomes 0, also where another row has another value:
    /// dividing by its deviation would make that one value outweigh everything else.
    pub(super) fn apply(&self, values: &[f64]) -> impl Iterator<Item = f32> {
        values
            .iter()
            .zip(self.means.iter().zip(&self.deviations))
            .map(|(value, (mean, deviation))| {
                if *deviation > 0.0 {
                    ((value - mean) / deviation) as f32
                } else {
                    0.0
                }
            })
    }

    /// Mean of each input.
    #[must_use]
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// Sample standard deviation of each input; 0 for one that never varies.
    #[must_use]
    pub fn deviations(&self) -> &[f64] {
        &self.deviations
    }
}
