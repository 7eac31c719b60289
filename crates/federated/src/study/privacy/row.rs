//! Privacy of rows: each row's gradient clipped, and noise in each step of a member's training.

use crate::{
    decimal::Decimal,
    privacy::{Accountant, PrivacyError, accountant::noise_for},
    training::{LocalTraining, OptimiserKind, PrivateTraining},
};

use super::{PromiseError, Setting};

/// What is promised to each row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowPrivacy {
    /// ε that all rounds together may spend.
    pub epsilon: Decimal,
    /// δ.
    pub delta: Decimal,
    /// Largest norm of one row's gradient.
    pub row_clip: Decimal,
    /// Chance of each row to be in a step.
    pub sample: Decimal,
    /// Standard deviation of a step's noise over its sensitivity.
    pub noise: Decimal,
}

impl RowPrivacy {
    fn steps(local: &LocalTraining, rounds: u32) -> Result<u32, PromiseError> {
        let steps = local.steps.ok_or(PromiseError::Training)?;
        rounds
            .checked_mul(steps)
            .ok_or(PromiseError::Steps { rounds, steps })
    }

    /// What a member does in a round.
    ///
    /// # Errors
    /// [`PromiseError::Training`] or [`PromiseError::Setting`].
    pub fn training(&self, local: &LocalTraining) -> Result<PrivateTraining, PromiseError> {
        let (Some(steps), OptimiserKind::Sgd) = (local.steps, local.optimiser) else {
            return Err(PromiseError::Training);
        };
        if local.proximal.get() != 0.0 {
            return Err(PromiseError::Training);
        }
        let range = |setting, value: Decimal, most: f64, expected| {
            let value = value.get();
            if value > 0.0 && value <= most {
                return Ok(());
            }
            Err(PromiseError::Setting {
                setting,
                value,
                expected,
            })
        };
        range("sample", self.sample, 1.0, "above 0 and at most 1")?;
        range(
            "row-clip",
            self.row_clip,
            crate::update::LARGEST_CLIP,
            "above 0 and at most 127",
        )?;
        // Beyond it the noise of a step leaves the range of its sampler.
        let most = 16.0 / self.row_clip.get() - 0.01;
        range("noise", self.noise, most, "above 0 and, times row-clip, below 16")?;
        Ok(PrivateTraining {
            steps,
            probability: self.sample.get(),
            clip: self.row_clip.get(),
            noise: self.noise.get(),
            lr: local.lr.get(),
        })
    }

    /// What a round costs a member that is part of it.
    pub(super) fn round(&self, setting: &Setting<'_>) -> Result<Accountant, PromiseError> {
        let mut spent = Accountant::new();
        let mechanism = self.training(setting.local)?.mechanism();
        spent.spend(&mechanism, Self::steps(setting.local, 1)?)?;
        Ok(spent)
    }

    /// The same with the least noise, to four digits, that pays for so many rounds.
    pub(super) fn with_least_noise(&self, setting: &Setting<'_>, rounds: u32) -> Result<Self, PromiseError> {
        let steps = Self::steps(setting.local, rounds)?;
        let sampling = self.training(setting.local)?.mechanism().sampling;
        let noise = noise_for(&super::Privacy::Row(*self).budget(), sampling, steps)?;
        let noise = Decimal::new(noise).map_err(|_| PrivacyError::Noise { noise })?;
        Ok(Self { noise, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::privacy::{Privacy, PrivacySection, Unit};

    fn local() -> LocalTraining {
        LocalTraining {
            steps: Some(2),
            epochs: None,
            batch: 16,
            optimiser: OptimiserKind::Sgd,
            lr: Decimal::from(1),
            proximal: Decimal::default(),
        }
    }

    fn section() -> PrivacySection {
        PrivacySection {
            unit: Unit::Row,
            epsilon: Decimal::from(2),
            delta: "0.00001".parse().unwrap(),
            noise: None,
            row_clip: Some("0.5".parse().unwrap()),
            sample: Some("0.2".parse().unwrap()),
            honest: None,
        }
    }

    fn setting(local: &LocalTraining) -> Setting<'_> {
        Setting {
            local,
            clip: 10.0,
            coordinates: 4,
            masking: None,
        }
    }

    fn planned(section: &PrivacySection) -> Result<Privacy, PromiseError> {
        section.planned(&setting(&local()), 10)
    }

    #[test]
    fn the_noise_pays_for_the_planned_rounds_and_for_few_more() {
        let planned = planned(&section()).unwrap();
        let local = local();
        let setting = setting(&local);
        assert_eq!(planned.check(&setting, 10), Ok(()));
        let spent = |rounds| planned.spent_at_most(&setting, rounds).unwrap();
        assert!(spent(5) < spent(10));
        let over = planned.check(&setting, 12);
        assert!(matches!(over, Err(PromiseError::Overspent { rounds: 12, .. })));
        assert!(spent(10) > 1.9);
    }

    #[test]
    fn noise_that_is_given_pays_for_fewer_rounds_and_for_one_at_least() {
        let enough = |noise: &str| {
            planned(&PrivacySection {
                noise: Some(noise.parse().unwrap()),
                ..section()
            })
        };
        assert!(enough("1.5").is_ok());
        assert!(matches!(
            enough("0.3"),
            Err(PromiseError::Overspent { rounds: 1, .. })
        ));
    }

    #[test]
    fn training_without_rows_to_clip_and_settings_out_of_range_are_refused() {
        let refused = |change: &dyn Fn(&mut LocalTraining)| {
            let mut local = local();
            change(&mut local);
            section().planned(&setting(&local), 10)
        };
        let epochs = |local: &mut LocalTraining| {
            local.steps = None;
            local.epochs = Some(1);
        };
        assert_eq!(refused(&epochs), Err(PromiseError::Training));
        assert_eq!(
            refused(&|local| local.optimiser = OptimiserKind::Adam),
            Err(PromiseError::Training)
        );
        assert_eq!(
            refused(&|local| local.proximal = Decimal::from(1)),
            Err(PromiseError::Training)
        );
        let steps = refused(&|local| local.steps = Some(u32::MAX));
        assert!(matches!(steps, Err(PromiseError::Steps { .. })));
        for wrong in [
            PrivacySection {
                sample: Some(Decimal::from(2)),
                ..section()
            },
            PrivacySection {
                row_clip: Some(Decimal::default()),
                ..section()
            },
            PrivacySection {
                row_clip: None,
                ..section()
            },
            PrivacySection {
                honest: Some(2),
                ..section()
            },
            PrivacySection {
                epsilon: Decimal::default(),
                ..section()
            },
            PrivacySection {
                delta: Decimal::from(1),
                ..section()
            },
            PrivacySection {
                row_clip: Some(Decimal::from(127)),
                ..section()
            },
        ] {
            assert!(planned(&wrong).is_err(), "{wrong:?}");
        }
    }
}
