//! A release: an update clipped, rounded and with noise, for a member's privacy or a share of everybody's.
//!
//! In a masked group each member adds a part of the noise, so that the sum alone has all of it: the distributed discrete
//! Gaussian of Kairouz, Liu and Steinke (ICML 2021, arXiv:2102.06387). With one party it is local privacy: the release
//! itself may be seen by anybody.

use rand_core::RngCore;

use super::sampler::{LARGEST_VARIANCE, discrete_gaussian, round_without_bias};
use crate::update::LARGEST_CLIP;

/// How releases are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Release {
    /// Largest norm of what goes in, above 0 and at most 127.
    pub clip: f64,
    /// Standard deviation of the noise in the sum over the sensitivity of the sum to one member.
    pub noise: f64,
    /// Members whose noise adds up: fewest of a group that are honest and stay. 1 for local privacy.
    pub parties: u32,
    /// Coordinates of an update.
    pub coordinates: usize,
    /// Bits after the binary point of what is released, at most 24: a unit is 2^-bits.
    pub bits: u32,
}

/// Why a release cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// A setting is out of range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Given.
        value: f64,
        /// Its range.
        expected: &'static str,
    },
    /// The update has another shape.
    #[error("the update has {got} coordinates, the model has {expected}")]
    ShapeMismatch {
        /// Of the model.
        expected: usize,
        /// Of the update.
        got: usize,
    },
    /// The update holds NaN or an infinity.
    #[error("coordinate {index} is not a finite number")]
    NotFinite {
        /// Counted from 0.
        index: usize,
    },
}

impl Release {
    /// L2 sensitivity of the sum to one member more or less, in units: the clip and what rounding can add, at most one
    /// unit a coordinate. Twice that where a member is replaced by another.
    #[must_use]
    pub fn sensitivity(&self) -> f64 {
        (self.clip * self.units()).ceil() + (self.coordinates as f64).sqrt()
    }

    /// Units in one.
    fn units(&self) -> f64 {
        f64::from(1_u32 << self.bits.min(24))
    }

    /// Standard deviation of the noise that one party adds, in units.
    ///
    /// # Errors
    /// [`ReleaseError::Setting`].
    pub fn deviation(&self) -> Result<f64, ReleaseError> {
        Ok((self.variance()? as f64).sqrt())
    }

    /// Variance of the noise that one party adds, in units squared, rounded up.
    ///
    /// # Errors
    /// [`ReleaseError::Setting`].
    pub fn variance(&self) -> Result<u64, ReleaseError> {
        let refuse = |setting, value, expected| {
            Err(ReleaseError::Setting {
                setting,
                value,
                expected,
            })
        };
        if !(self.clip > 0.0 && self.clip <= LARGEST_CLIP) {
            return refuse("clip", self.clip, "above 0 and at most 127");
        }
        if self.parties == 0 {
            return refuse("parties", 0.0, "at least 1");
        }
        let deviation = self.noise * self.sensitivity();
        let variance = (deviation * deviation / f64::from(self.parties)).ceil();
        if !(self.noise > 0.0 && variance <= LARGEST_VARIANCE as f64) {
            return refuse(
                "noise",
                self.noise,
                "above 0, and at most 16 in each coordinate of a release",
            );
        }
        Ok(variance as u64)
    }

    /// Zero-concentrated privacy ρ of the sum of so many releases, which may be more than the parties whose noise was
    /// counted on, for one member's being there or not: theorem 1 of the paper, which charges a sum of discrete Gaussians
    /// for not quite being one.
    ///
    /// # Errors
    /// [`ReleaseError::Setting`].
    pub fn concentrated(&self, parties: u32) -> Result<f64, ReleaseError> {
        let variance = self.variance()? as f64;
        if parties == 0 {
            return Ok(f64::INFINITY);
        }
        let coordinates = self.coordinates as f64;
        let term = |k: u32| {
            let k = f64::from(k);
            libm::exp(-2.0 * std::f64::consts::PI * std::f64::consts::PI * variance * k / (k + 1.0))
        };
        let tau = 10.0 * (1..parties).map(term).sum::<f64>();
        let parties = f64::from(parties);
        let plain = self.sensitivity() / (parties * variance).sqrt();
        let epsilon_squared =
            (plain * plain + tau * coordinates / 2.0).min((plain + tau * coordinates.sqrt()).powi(2));
        Ok(epsilon_squared / 2.0)
    }

    /// What a party sends, in units: the update scaled down to the clip, rounded without bias, with its noise.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn make(&self, moved: &[f64], random: &mut dyn RngCore) -> Result<Vec<i64>, ReleaseError> {
        if moved.len() != self.coordinates {
            return Err(ReleaseError::ShapeMismatch {
                expected: self.coordinates,
                got: moved.len(),
            });
        }
        if let Some(index) = moved.iter().position(|value| !value.is_finite()) {
            return Err(ReleaseError::NotFinite { index });
        }
        let variance = self.variance()?;
        let largest = moved
            .iter()
            .fold(0.0_f64, |largest, value| largest.max(value.abs()));
        // Divided by the largest first: squares of any finite numbers then stay finite.
        let norm = if largest > 0.0 {
            largest
                * moved
                    .iter()
                    .map(|value| (value / largest).powi(2))
                    .sum::<f64>()
                    .sqrt()
        } else {
            0.0
        };
        let scale = if norm > self.clip { self.clip / norm } else { 1.0 };
        let units = self.units();
        Ok(moved
            .iter()
            .map(|value| {
                round_without_bias(value * scale * units, random) + discrete_gaussian(variance, random)
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::privacy::{Accountant, Mechanism, Sampling};

    fn release(parties: u32) -> Release {
        Release {
            clip: 1.0,
            noise: 2.0,
            parties,
            coordinates: 400,
            bits: 24,
        }
    }

    fn summed(parties: u32) -> Vec<f64> {
        let mut sums = vec![0_i64; 400];
        for party in 0..parties {
            let mut random = ChaCha20Rng::seed_from_u64(party.into());
            let moved = vec![100.0; 400];
            for (sum, part) in sums
                .iter_mut()
                .zip(release(parties).make(&moved, &mut random).unwrap())
            {
                *sum += part;
            }
        }
        sums.iter().map(|sum| *sum as f64 / 16_777_216.0).collect()
    }

    #[test]
    fn parties_together_add_the_noise_of_one() {
        for parties in [1, 4, 16] {
            let sums = summed(parties);
            // Each clipped to 1 over 400 equal coordinates.
            let clipped = f64::from(parties) / 20.0;
            let deviation =
                (sums.iter().map(|sum| (sum - clipped).powi(2)).sum::<f64>() / sums.len() as f64).sqrt();
            assert!((deviation / 2.0 - 1.0).abs() < 0.15, "{parties}: {deviation}");
        }
    }

    #[test]
    fn the_concentrated_loss_is_the_gaussians_at_this_many_units() {
        for parties in [1, 10] {
            let rho = release(parties).concentrated(parties).unwrap();
            assert!(rho <= 1.0 / 8.0 && rho > 0.9999 / 8.0, "{rho}");
            let mut concentrated = Accountant::new();
            concentrated.spend_concentrated(rho, 5);
            let mut gaussian = Accountant::new();
            gaussian
                .spend(
                    &Mechanism {
                        noise: 2.0,
                        sampling: Sampling::All,
                    },
                    5,
                )
                .unwrap();
            let (a, b) = (concentrated.epsilon(1e-5), gaussian.epsilon(1e-5));
            assert!((a / b - 1.0).abs() < 1e-3, "{a} {b}");
        }
    }

    /// With noise of a unit the sum of two is no discrete Gaussian, and the bound says so.
    #[test]
    fn too_little_noise_in_units_costs_more() {
        let fine = Release {
            clip: 1e-7,
            noise: 0.05,
            parties: 2,
            coordinates: 1,
            bits: 24,
        };
        let variance = fine.variance().unwrap() as f64;
        let plain = fine.sensitivity().powi(2) / (2.0 * 2.0 * variance);
        assert!(fine.concentrated(2).unwrap() >= plain);
    }

    #[test]
    fn settings_and_updates_that_do_not_fit_are_refused() {
        let mut random = ChaCha20Rng::seed_from_u64(0);
        let setting = |release: Release| match release.variance() {
            Err(ReleaseError::Setting { setting, .. }) => setting,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            setting(Release {
                clip: 0.0,
                ..release(1)
            }),
            "clip"
        );
        assert_eq!(
            setting(Release {
                noise: 0.0,
                ..release(1)
            }),
            "noise"
        );
        assert_eq!(
            setting(Release {
                noise: 1e6,
                ..release(1)
            }),
            "noise"
        );
        assert_eq!(setting(release(0)), "parties");
        let make = |moved: &[f64], random: &mut ChaCha20Rng| release(1).make(moved, random).unwrap_err();
        assert_eq!(
            make(&[0.0], &mut random),
            ReleaseError::ShapeMismatch {
                expected: 400,
                got: 1
            }
        );
        let mut spoilt = vec![0.0; 400];
        spoilt[7] = f64::NAN;
        assert_eq!(make(&spoilt, &mut random), ReleaseError::NotFinite { index: 7 });
        // The largest finite numbers are clipped like any others.
        let huge = vec![f64::MAX; 400];
        assert!(release(1).make(&huge, &mut random).is_ok());
    }
}
