//! What quantising cost.

use crate::{FloatNetwork, Model};

/// What quantising one layer cost, on the calibration rows.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerReport {
    /// The layer's name.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// Requantising shift; nothing for a raw output and a max pool.
    pub shift: Option<u8>,
    /// Real value of one unit of its weights; 0 for a layer without.
    pub weight_unit: f64,
    /// Real value of one unit of its output.
    pub output_unit: f64,
    /// Power of the output over power of its error, in decibels: errors of all layers up to here. Infinite without error.
    pub snr_db: f64,
    /// Output elements that were clamped (to 0 by relu not counted).
    pub clamped: u64,
    /// Output elements in all.
    pub elements: u64,
}

/// A quantised model beside the network it was made from, on rows of real inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Rows compared.
    pub rows: usize,
    /// Rows on which both name the same class.
    pub agree: usize,
    /// Rows on which the network in floating point names the right class.
    pub float_right: usize,
    /// Rows on which the quantised model does.
    pub quantised_right: usize,
    /// Input elements that were clamped.
    pub clamped: usize,
}

/// Compares classes on labelled rows. Rows that neither can read are passed over.
#[must_use]
pub fn compare(network: &FloatNetwork, model: &Model, rows: &[Vec<f64>], labels: &[usize]) -> Comparison {
    let mut found = Comparison {
        rows: 0,
        agree: 0,
        float_right: 0,
        quantised_right: 0,
        clamped: 0,
    };
    for (row, label) in rows.iter().zip(labels) {
        let single: Vec<f32> = row.iter().map(|value| *value as f32).collect();
        let Ok(input) = model.card().quantise(row) else {
            continue;
        };
        let (Ok(float), Ok(answer)) = (network.run(&single), model.network().run(&input.values)) else {
            continue;
        };
        let (float, quantised) = (float_class(&float), answer.class());
        found.rows += 1;
        found.clamped += input.clamped;
        found.agree += usize::from(float == quantised);
        found.float_right += usize::from(float == *label);
        found.quantised_right += usize::from(quantised == *label);
    }
    found
}

fn float_class(logits: &[f32]) -> usize {
    if let [logit] = logits {
        return usize::from(*logit > 0.0);
    }
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    best
}
