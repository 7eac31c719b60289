//! `training.privacy`: rows whose members promise that little is told of any one of them.

use serde::{Deserialize, Serialize};

use crate::{
    decimal::Decimal,
    privacy::{
        Budget, Mechanism, PrivacyError,
        accountant::{Accountant, noise_for},
    },
    training::{LocalTraining, OptimiserKind, PrivateTraining},
};

/// `[training.privacy]`: the unit is one row of one member.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PrivacySection {
    /// ε that all rounds together may spend.
    pub epsilon: Decimal,
    /// δ, below one over the number of rows.
    #[serde(default = "hundred_thousandth")]
    pub delta: Decimal,
    /// Largest norm of one row's gradient, above 0 to 127.
    pub row_clip: Decimal,
    /// Chance of each row to be in a step.
    #[serde(default = "whole")]
    pub sample: Decimal,
}

fn hundred_thousandth() -> Decimal {
    "0.00001".parse().expect("a literal")
}

fn whole() -> Decimal {
    Decimal::from(1)
}

/// What the terms say of it: the section, and the noise that pays for all planned rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
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

/// Why a promise of privacy cannot be kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RowPrivacyError {
    /// The accountant refuses.
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
    /// Training that clips no rows.
    #[error("rows are private only with local-steps, the optimiser \"sgd\" and no proximal term")]
    Training,
    /// More steps than are counted.
    #[error("{rounds} rounds of {steps} steps are more than can be accounted for")]
    Steps {
        /// Rounds.
        rounds: u32,
        /// Steps of each.
        steps: u32,
    },
    /// The noise is too little.
    #[error("{rounds} rounds spend an epsilon of {spent:.4}, {promised} is promised")]
    Overspent {
        /// Rounds.
        rounds: u32,
        /// What they spend.
        spent: f64,
        /// What the terms promise.
        promised: f64,
    },
    /// A setting out of range.
    #[error("{setting} is {value}, expected {expected}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Given.
        value: f64,
        /// Its range.
        expected: &'static str,
    },
}

impl PrivacySection {
    /// What the terms say, with the least noise that pays for so many rounds.
    ///
    /// # Errors
    /// [`RowPrivacyError`].
    pub fn planned(&self, local: &LocalTraining, rounds: u32) -> Result<RowPrivacy, RowPrivacyError> {
        let mut planned = RowPrivacy {
            epsilon: self.epsilon,
            delta: self.delta,
            row_clip: self.row_clip,
            sample: self.sample,
            noise: whole(),
        };
        let steps = planned.steps(local, rounds)?;
        let training = planned.training(local)?;
        let noise = noise_for(&planned.budget(), training.mechanism().sampling, steps)?;
        planned.noise = Decimal::new(noise).map_err(|_| PrivacyError::Noise { noise })?;
        planned.check(local, rounds)?;
        Ok(planned)
    }
}

impl RowPrivacy {
    fn budget(&self) -> Budget {
        Budget {
            epsilon: self.epsilon.get(),
            delta: self.delta.get(),
        }
    }

    fn steps(&self, local: &LocalTraining, rounds: u32) -> Result<u32, RowPrivacyError> {
        let steps = local.steps.ok_or(RowPrivacyError::Training)?;
        rounds
            .checked_mul(steps)
            .ok_or(RowPrivacyError::Steps { rounds, steps })
    }

    /// What a member does in a round.
    ///
    /// # Errors
    /// [`RowPrivacyError::Training`] or [`RowPrivacyError::Setting`].
    pub fn training(&self, local: &LocalTraining) -> Result<PrivateTraining, RowPrivacyError> {
        let (Some(steps), OptimiserKind::Sgd) = (local.steps, local.optimiser) else {
            return Err(RowPrivacyError::Training);
        };
        if local.proximal.get() != 0.0 {
            return Err(RowPrivacyError::Training);
        }
        let range = |setting, value: Decimal, most: f64, expected| {
            let value = value.get();
            if value > 0.0 && value <= most {
                return Ok(());
            }
            Err(RowPrivacyError::Setting {
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

    /// ε spent at the terms' δ after so many rounds, by a member that was part of all of them.
    ///
    /// # Errors
    /// [`RowPrivacyError`].
    pub fn spent(&self, local: &LocalTraining, rounds: u32) -> Result<f64, RowPrivacyError> {
        self.budget().check()?;
        let mechanism: Mechanism = self.training(local)?.mechanism();
        let mut spent = Accountant::new();
        spent.spend(&mechanism, self.steps(local, rounds)?)?;
        Ok(spent.epsilon(self.delta.get()))
    }

    /// Whether so many rounds keep the promise.
    ///
    /// # Errors
    /// [`RowPrivacyError`].
    pub fn check(&self, local: &LocalTraining, rounds: u32) -> Result<(), RowPrivacyError> {
        let (spent, promised) = (self.spent(local, rounds)?, self.epsilon.get());
        if spent <= promised {
            return Ok(());
        }
        Err(RowPrivacyError::Overspent {
            rounds,
            spent,
            promised,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            epsilon: Decimal::from(2),
            delta: hundred_thousandth(),
            row_clip: "0.5".parse().unwrap(),
            sample: "0.2".parse().unwrap(),
        }
    }

    #[test]
    fn the_noise_pays_for_the_planned_rounds_and_for_few_more() {
        let planned = section().planned(&local(), 10).unwrap();
        assert_eq!(planned.check(&local(), 10), Ok(()));
        assert!(planned.spent(&local(), 5).unwrap() < planned.spent(&local(), 10).unwrap());
        let over = planned.check(&local(), 12);
        assert!(matches!(over, Err(RowPrivacyError::Overspent { rounds: 12, .. })));
        assert!(planned.spent(&local(), 10).unwrap() > 1.9);
    }

    #[test]
    fn less_noise_than_promised_is_noticed() {
        let mut planned = section().planned(&local(), 10).unwrap();
        planned.noise = Decimal::new(planned.noise.get() * 0.9).unwrap();
        assert!(planned.check(&local(), 10).is_err());
    }

    #[test]
    fn training_without_rows_to_clip_and_settings_out_of_range_are_refused() {
        let refused = |change: &dyn Fn(&mut LocalTraining)| {
            let mut local = local();
            change(&mut local);
            section().planned(&local, 10)
        };
        let epochs = |local: &mut LocalTraining| {
            local.steps = None;
            local.epochs = Some(1);
        };
        assert_eq!(refused(&epochs), Err(RowPrivacyError::Training));
        assert_eq!(
            refused(&|local| local.optimiser = OptimiserKind::Adam),
            Err(RowPrivacyError::Training)
        );
        assert_eq!(
            refused(&|local| local.proximal = Decimal::from(1)),
            Err(RowPrivacyError::Training)
        );
        let steps = refused(&|local| local.steps = Some(u32::MAX));
        assert!(matches!(steps, Err(RowPrivacyError::Steps { .. })));
        for wrong in [
            PrivacySection {
                sample: Decimal::from(2),
                ..section()
            },
            PrivacySection {
                row_clip: Decimal::default(),
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
                row_clip: Decimal::from(127),
                ..section()
            },
        ] {
            assert!(wrong.planned(&local(), 10).is_err(), "{wrong:?}");
        }
    }
}
