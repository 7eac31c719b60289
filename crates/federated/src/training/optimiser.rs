//! How a gradient changes a member's model.

use super::OptimiserKind;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

pub(super) struct Optimiser {
    kind: OptimiserKind,
    lr: f32,
    mean: Vec<f32>,
    square: Vec<f32>,
    // Running products of the betas: powers by multiplication, so that no library function decides their bits.
    power_1: f32,
    power_2: f32,
}

impl Optimiser {
    pub(super) fn new(kind: OptimiserKind, lr: f32, parameters: usize) -> Self {
        let state = match kind {
            OptimiserKind::Sgd => 0,
            OptimiserKind::Adam => parameters,
        };
        Self {
            kind,
            lr,
            mean: vec![0.0; state],
            square: vec![0.0; state],
            power_1: 1.0,
            power_2: 1.0,
        }
    }

    pub(super) fn step(&mut self, values: &mut [f32], gradient: &[f32]) {
        match self.kind {
            OptimiserKind::Sgd => super::linear::add_scaled(values, -self.lr, gradient),
            OptimiserKind::Adam => self.adam(values, gradient),
        }
    }

    fn adam(&mut self, values: &mut [f32], gradient: &[f32]) {
        self.power_1 *= BETA_1;
        self.power_2 *= BETA_2;
        let (correction_1, correction_2) = (1.0 - self.power_1, 1.0 - self.power_2);
        let state = self.mean.iter_mut().zip(&mut self.square);
        for ((value, slope), (mean, square)) in values.iter_mut().zip(gradient).zip(state) {
            *mean = BETA_1 * *mean + (1.0 - BETA_1) * slope;
            *square = BETA_2 * *square + (1.0 - BETA_2) * slope * slope;
            *value -= self.lr * (*mean / correction_1) / ((*square / correction_2).sqrt() + EPSILON);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the gradient's size, Adam's first step is the learning rate.
    #[test]
    fn the_first_step_of_adam_is_the_learning_rate() {
        let mut optimiser = Optimiser::new(OptimiserKind::Adam, 0.1, 3);
        let mut values = [1.0, 1.0, 1.0];
        optimiser.step(&mut values, &[5.0, -0.001, 300.0]);
        for (value, expected) in values.iter().zip([0.9, 1.1, 0.9]) {
            assert!((value - expected).abs() < 1e-5, "{value}");
        }
    }

    /// Against Kingma and Ba's algorithm 1 in `f64`.
    #[test]
    fn adam_follows_the_paper() {
        let mut optimiser = Optimiser::new(OptimiserKind::Adam, 0.01, 1);
        let mut value = [0.5];
        let (mut plain, mut mean, mut square) = (0.5_f64, 0.0_f64, 0.0_f64);
        for step in 1..=50 {
            let slope = 2.0 * value[0] - 3.0;
            optimiser.step(&mut value, &[slope]);
            let slope = 2.0 * plain - 3.0;
            mean = 0.9 * mean + 0.1 * slope;
            square = 0.999 * square + 0.001 * slope * slope;
            let unbiased = (
                mean / (1.0 - 0.9_f64.powi(step)),
                square / (1.0 - 0.999_f64.powi(step)),
            );
            plain -= 0.01 * unbiased.0 / (unbiased.1.sqrt() + 1e-8);
        }
        assert!((f64::from(value[0]) - plain).abs() < 1e-5);
    }
}
