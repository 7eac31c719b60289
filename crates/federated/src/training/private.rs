//! Training that tells little of any single row: DP-SGD (Abadi et al., CCS 2016, arXiv:1607.00133, algorithm 1).
//!
//! Each step draws rows by a toss of their own, clips each row's gradient, adds them up and adds noise. What a step spends
//! is the subsampled Gaussian mechanism of [`PrivateTraining::mechanism`], with rows as the unit of privacy and one row
//! more or less as neighbours; the number of rows is not protected.
//!
//! # Differences from the paper
//!
//! - Clipped gradients are rounded to fixed point, and the noise is the discrete Gaussian: what is released is integers,
//!   so no low bit of a float tells what noise was added (Mironov, CCS 2012). Rounding is part of the sensitivity.
//! - The sum is divided by the expected number of rows, not by how many were drawn.

use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use super::{TrainingError, check_rows, network::Network};
use crate::{
    parameters::Parameters,
    privacy::{
        Mechanism, Sampling,
        noise::{Release, ReleaseError},
        sampler::discrete_gaussian,
    },
    table::Dataset,
    update::FRACTION_BITS,
};

const UNITS: f64 = (1_u32 << FRACTION_BITS) as f64;

/// What a member does in a round so that its rows stay private.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrivateTraining {
    /// Steps.
    pub steps: u32,
    /// Chance of each row to be in a step, above 0 and at most 1.
    pub probability: f64,
    /// Largest norm of one row's gradient, above 0 and at most 127.
    pub clip: f64,
    /// Standard deviation of the noise over the sensitivity.
    pub noise: f64,
    /// Learning rate.
    pub lr: f64,
}

/// Why private training could not be done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateTrainingError {
    /// As without privacy.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// A clip or noise out of range.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// A chance that is none.
    #[error("a row's chance of {probability} to be drawn is not above 0 and at most 1")]
    Probability {
        /// Given.
        probability: f64,
    },
}

impl PrivateTraining {
    /// What each step spends.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        let sampling = if self.probability < 1.0 {
            Sampling::Poisson {
                probability: self.probability,
            }
        } else {
            Sampling::All
        };
        Mechanism {
            noise: self.noise,
            sampling,
        }
    }
}

/// Trains from `base` on a member's rows. Randomness must be the member's secret: who knows it takes the noise away.
///
/// # Errors
/// [`PrivateTrainingError`].
pub fn train_privately<R: RngCore + CryptoRng>(
    base: &Parameters,
    rows: &Dataset,
    settings: &PrivateTraining,
    random: &mut R,
) -> Result<Parameters, PrivateTrainingError> {
    let architecture = check_rows(base, rows)?;
    let PrivateTraining {
        steps,
        probability,
        clip,
        noise,
        lr,
    } = *settings;
    if !(probability > 0.0 && probability <= 1.0) {
        return Err(PrivateTrainingError::Probability { probability });
    }
    let coordinates = base.values().len();
    let variance = Release {
        clip,
        noise,
        parties: 1,
        coordinates,
        bits: FRACTION_BITS,
    }
    .variance()?;
    // Exact: a threshold of 2^53 always draws.
    let threshold = (probability * (1_u64 << 53) as f64) as u64;
    let scale = lr / (probability * rows.len() as f64) / UNITS;
    let mut values = base.values().to_vec();
    let mut network = Network::new(architecture);
    let mut gradient = Zeroizing::new(vec![0.0_f32; coordinates]);
    let mut sum = Zeroizing::new(vec![0_i64; coordinates]);
    for _ in 0..steps {
        sum.fill(0);
        for row in 0..rows.len() {
            if random.next_u64() >> 11 >= threshold {
                continue;
            }
            gradient.fill(0.0);
            network.add_gradient(&values, rows, &[row as u32], &mut gradient);
            let squares = gradient.iter().map(|slope| f64::from(*slope) * f64::from(*slope));
            let norm = squares.sum::<f64>().sqrt();
            if !norm.is_finite() {
                let index = gradient.iter().position(|slope| !slope.is_finite()).unwrap_or(0);
                return Err(TrainingError::Diverged { index }.into());
            }
            let units = UNITS * if norm > clip { clip / norm } else { 1.0 };
            for (sum, slope) in sum.iter_mut().zip(gradient.iter()) {
                // Towards zero, so that no rounded gradient is longer than the clip.
                *sum += (f64::from(*slope) * units) as i64;
            }
        }
        for (value, sum) in values.iter_mut().zip(sum.iter()) {
            let noisy = sum + discrete_gaussian(variance, random);
            *value -= (scale * noisy as f64) as f32;
        }
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(TrainingError::Diverged { index }.into()),
        None => Ok(Parameters::new(base.architecture().clone(), values)
            .expect("checked: the base's shape and finite numbers")),
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    use super::*;
    use crate::{architecture::Architecture, training::evaluate};

    fn rows() -> Dataset {
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let mut value = || (random.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0;
        let features: Vec<f32> = (0..3 * 400).map(|_| value()).collect();
        let labels = features
            .chunks(3)
            .map(|row| u32::from(row[0] - row[1] > 0.1))
            .collect();
        Dataset::new(3, features, labels).unwrap()
    }

    fn settings() -> PrivateTraining {
        PrivateTraining {
            steps: 60,
            probability: 0.25,
            clip: 1.0,
            noise: 1.0,
            lr: 2.0,
        }
    }

    fn trained(settings: &PrivateTraining, seed: u64) -> Result<Parameters, PrivateTrainingError> {
        let base = Parameters::initial(&Architecture::logistic(3), 42);
        train_privately(&base, &rows(), settings, &mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[test]
    fn learns_in_spite_of_the_noise_and_repeats_with_the_same_randomness() {
        let model = trained(&settings(), 1).unwrap();
        assert!(evaluate(&model, &rows()).unwrap().accuracy > 0.85);
        assert_eq!(trained(&settings(), 1).unwrap(), model);
        assert_ne!(trained(&settings(), 2).unwrap(), model);
    }

    /// One row whose gradient is a million times longer than the clip moves the model no more than the clip lets it.
    #[test]
    fn one_row_moves_a_step_by_at_most_the_clip() {
        let step = PrivateTraining {
            steps: 1,
            probability: 1.0,
            noise: 1e-6,
            lr: 401.0,
            ..settings()
        };
        let base = Parameters::initial(&Architecture::logistic(3), 42);
        let quiet = Dataset::new(3, vec![0.0; 3 * 400], [0, 1].repeat(200)).unwrap();
        let loud = Dataset::new(3, vec![1e6, -1e6, 1e6], vec![1]).unwrap();
        let with = Dataset::concat(&[quiet.clone(), loud]).unwrap();
        let moved = |rows: &Dataset, lr: f64| {
            let step = PrivateTraining { lr, ..step };
            train_privately(&base, rows, &step, &mut ChaCha20Rng::seed_from_u64(3)).unwrap()
        };
        // Learning rates that divide out the numbers of rows.
        let (one, other) = (moved(&with, 401.0), moved(&quiet, 400.0));
        let distance = one
            .values()
            .iter()
            .zip(other.values())
            .map(|(a, b)| f64::from(a - b).powi(2));
        let distance = distance.sum::<f64>().sqrt();
        assert!(distance > 0.5 && distance < 1.001, "{distance}");
    }

    #[test]
    fn the_noise_of_a_step_has_the_deviation_that_is_accounted_for() {
        let step = PrivateTraining {
            steps: 1,
            probability: 1.0,
            noise: 3.0,
            lr: 400.0,
            clip: 2.0,
        };
        let still = PrivateTraining { noise: 1e-6, ..step };
        let centre = trained(&still, 1).unwrap();
        let mut squares = 0.0;
        for seed in 0..500 {
            let model = trained(&step, seed).unwrap();
            let moved = model.values().iter().zip(centre.values());
            squares += moved.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        }
        let deviation = (squares / 2000.0).sqrt();
        assert!((deviation / 6.0 - 1.0).abs() < 0.08, "{deviation}");
    }

    #[test]
    fn a_mechanism_says_what_a_step_is() {
        let poisson = Sampling::Poisson { probability: 0.25 };
        assert_eq!(
            settings().mechanism(),
            Mechanism {
                noise: 1.0,
                sampling: poisson
            }
        );
        let all = PrivateTraining {
            probability: 1.0,
            ..settings()
        };
        assert_eq!(all.mechanism().sampling, Sampling::All);
    }

    #[test]
    fn settings_out_of_range_and_rows_of_another_width_are_refused() {
        for probability in [0.0, 1.5, f64::NAN] {
            let wrong = PrivateTraining {
                probability,
                ..settings()
            };
            assert!(matches!(
                trained(&wrong, 1),
                Err(PrivateTrainingError::Probability { .. })
            ));
        }
        for wrong in [
            PrivateTraining {
                clip: 0.0,
                ..settings()
            },
            PrivateTraining {
                clip: 200.0,
                ..settings()
            },
            PrivateTraining {
                noise: 0.0,
                ..settings()
            },
        ] {
            assert!(matches!(
                trained(&wrong, 1),
                Err(PrivateTrainingError::Release(_))
            ));
        }
        let base = Parameters::initial(&Architecture::logistic(4), 42);
        let refused = train_privately(&base, &rows(), &settings(), &mut ChaCha20Rng::seed_from_u64(1));
        assert!(matches!(
            refused,
            Err(PrivateTrainingError::Training(
                TrainingError::InputMismatch { .. }
            ))
        ));
    }
}
