//! The weights vector: every layer's weights and bias digits in its block, and the cells that mask the registration.

use std::fmt;

use counterweight_inference::Network;
use counterweight_primitives::architecture::Layer;
use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::plan::{Layout, REGISTRATION_MASKS, WeightBlock, WeightPlan};
use rand_core::RngCore;
use zeroize::Zeroize as _;

use crate::random;

/// The weights, as they are committed to.
pub(crate) struct PackedWeights {
    /// Whole rows. The last [`REGISTRATION_MASKS`] are zero here: those cells hold `masks`.
    pub(crate) cells: Vec<i8>,
    /// What the last cells hold.
    pub(crate) masks: [Fr; REGISTRATION_MASKS],
    /// Cells that a lying prover adds what is no int8 to.
    #[cfg(test)]
    pub(crate) large: Vec<(usize, Fr)>,
}

impl PackedWeights {
    /// Puts a network's weights in their places, and draws the mask cells.
    pub(crate) fn new(plan: &WeightPlan, network: &Network, rng: &mut impl RngCore) -> Self {
        Self::with_masks(plan, network, std::array::from_fn(|_| random::scalar(rng)))
    }

    /// Puts a network's weights in their places, with mask cells that were drawn before.
    pub(crate) fn with_masks(plan: &WeightPlan, network: &Network, masks: [Fr; REGISTRATION_MASKS]) -> Self {
        let mut cells = vec![0_i8; plan.rows << plan.row_bits];
        let steps = network.architecture().steps();
        for block in &plan.blocks {
            let (Some(step), Some(input)) = (steps.get(block.layer), plan.layouts.get(block.input)) else {
                continue;
            };
            let places = input_cells(block, input);
            let rows = network.layer_weights(step).chunks_exact(step.terms().max(1));
            // Without biases there are none to go along with the rows.
            let biases = network.layer_biases(step);
            for (output, row) in rows.enumerate() {
                let start = block.offset + (output << block.joint.bits());
                for (weight, place) in row.iter().zip(&places) {
                    cells[start + place] = *weight;
                }
                let bias = biases.get(output).copied().unwrap_or_default();
                // A network has only biases of its layers' form.
                let digits = block.joint.bias.digits_of(bias).unwrap_or_default();
                for (digit, value) in digits.iter().take(block.joint.digits()).enumerate() {
                    cells[start + block.joint.base + digit] = *value;
                }
            }
        }
        Self {
            cells,
            masks,
            #[cfg(test)]
            large: Vec::new(),
        }
    }

    /// Cells that field elements are added to: the mask cells.
    pub(crate) fn large(&self) -> Vec<(usize, Fr)> {
        let masks = (self.cells.len() - self.masks.len()..).zip(self.masks);
        #[cfg(test)]
        let masks = masks.chain(self.large.iter().copied());
        masks.collect()
    }

    /// One row, without the mask cells.
    pub(crate) fn row(&self, row_bits: usize, row: usize) -> &[i8] {
        self.cells
            .get(row << row_bits..(row + 1) << row_bits)
            .unwrap_or_default()
    }
}

impl Drop for PackedWeights {
    fn drop(&mut self) {
        self.cells.zeroize();
        self.masks = Default::default();
    }
}

impl fmt::Debug for PackedWeights {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PackedWeights")
            .field("cells", &self.cells.len())
            .finish_non_exhaustive()
    }
}

/// The index `j` of each weight of an output, in the network's order.
pub(crate) fn input_cells(block: &WeightBlock, input: &Layout) -> Vec<usize> {
    match block.window {
        None => input.cells().collect(),
        Some((window, _)) => {
            let (height, width) = (usize::from(window.height), usize::from(window.width));
            (0..input.shape().channels())
                .flat_map(|channel| {
                    (0..height).flat_map(move |row| (0..width).map(move |column| [channel, row, column]))
                })
                .map(|indices| block.joint.cell(&indices))
                .collect()
        }
    }
}

/// Multiplier of each input of a layer without weights that has accumulators.
pub(crate) fn multipliers(layer: &Layer) -> [u8; 2] {
    match *layer {
        Layer::AveragePool { multiplier, .. } => [multiplier, 0],
        Layer::Add {
            left_multiplier,
            right_multiplier,
            ..
        } => [left_multiplier, right_multiplier],
        _ => [0; 2],
    }
}
