//! Privacy of whole members: each update clipped as a whole, and noise in all that is seen of it.

use crate::{
    decimal::Decimal,
    masking::draw::largest_group,
    privacy::{Accountant, PrivacyError, Sampling, accountant::noise_for, noise::Release},
    update::{FRACTION_BITS, LARGEST_CLIP},
};

use super::{PromiseError, Setting};

/// Fewest bits after the binary point of a word with noise, as of one without.
const FEWEST_BITS: u32 = 8;
/// A sum leaves its word, and a norm its bound, where noise exceeds so many deviations: with a probability below 2^-100.
const DEVIATIONS: f64 = 12.0;

/// What is promised to each member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemberPrivacy {
    /// ε that all rounds together may spend.
    pub epsilon: Decimal,
    /// δ.
    pub delta: Decimal,
    /// Standard deviation of the noise in what is opened, with the fewest survivors, over its sensitivity to one member.
    pub noise: Decimal,
    /// How many of the fewest survivors are counted on; all if absent.
    pub honest: Option<u8>,
}

impl MemberPrivacy {
    /// Fewest survivors of a group whose sum is opened; 1 where every update is seen.
    pub(super) fn fewest(&self, setting: &Setting<'_>) -> u32 {
        setting
            .masking
            .map_or(1, |masking| u32::from(masking.fewest_survivors))
    }

    /// Of them, those whose noise is counted on.
    fn counted_on(&self, setting: &Setting<'_>) -> Result<u32, PromiseError> {
        let fewest = self.fewest(setting);
        match (self.honest.map(u32::from), setting.masking) {
            (None, _) => Ok(fewest),
            (Some(_), None) => Err(PromiseError::OtherUnit {
                setting: "honest",
                of: "members that mask",
                unit: "member, without masking",
            }),
            (Some(honest), Some(_)) if (1..=fewest).contains(&honest) => Ok(honest),
            (Some(honest), Some(_)) => Err(PromiseError::Setting {
                setting: "honest",
                value: honest.into(),
                expected: "at least 1, and at most fewest-survivors",
            }),
        }
    }

    /// How a member makes its release: with as many bits after the point as the sum of the largest group and its noise
    /// leave.
    ///
    /// # Errors
    /// [`PromiseError`].
    pub fn release(&self, setting: &Setting<'_>) -> Result<Release, PromiseError> {
        let parties = self.counted_on(setting)?;
        let release = |bits: u32| Release {
            clip: setting.clip,
            noise: self.noise.get(),
            parties,
            coordinates: setting.coordinates,
            bits,
        };
        let Some(masking) = setting.masking else {
            let release = release(FRACTION_BITS);
            let (longest, most) = (longest(&release, 1.0)?, LARGEST_CLIP);
            if longest > most {
                return Err(PromiseError::Setting {
                    setting: "noise",
                    value: self.noise.get(),
                    expected: "such that updates with it have a norm of at most 127: less noise or a smaller clip",
                });
            }
            return Ok(release);
        };
        if masking.most_examples != 1 {
            let got = masking.most_examples;
            return Err(PromiseError::Weights { got });
        }
        let members = largest_group(masking.group_size);
        let largest = f64::from(members);
        for bits in (FEWEST_BITS..=FRACTION_BITS).rev() {
            let release = release(bits);
            let deviation = match release.deviation() {
                Ok(deviation) => deviation,
                // Beyond the range of the sampler: fewer bits make for fewer units.
                Err(_) if bits > FEWEST_BITS => continue,
                Err(error) => return Err(error.into()),
            };
            let plain = (setting.clip * f64::from(1_u32 << bits) + 1.0) * largest;
            if plain + DEVIATIONS * largest.sqrt() * deviation < f64::from(i32::MAX) {
                return Ok(release);
            }
        }
        let members = members.into();
        Err(PromiseError::Words { members })
    }

    /// What a round costs in which some group had so many survivors, and none fewer.
    pub(super) fn round(&self, setting: &Setting<'_>, survivors: u32) -> Result<Accountant, PromiseError> {
        let release = self.release(setting)?;
        // Those who are not counted on may have survived all.
        let strangers = self.fewest(setting).saturating_sub(release.parties);
        let mut spent = Accountant::new();
        spent.spend_concentrated(release.concentrated(survivors.saturating_sub(strangers))?, 1);
        Ok(spent)
    }

    /// The same with the least noise, to four digits, that pays for so many rounds with the fewest survivors.
    pub(super) fn with_least_noise(&self, setting: &Setting<'_>, rounds: u32) -> Result<Self, PromiseError> {
        let budget = super::Privacy::Member(*self).budget();
        let noise = noise_for(&budget, Sampling::All, rounds)?;
        let noise = Decimal::new(noise).map_err(|_| PrivacyError::Noise { noise })?;
        let planned = Self { noise, ..*self };
        planned.release(setting)?;
        Ok(planned)
    }
}

/// Longest mean of so many releases that rounding and noise explain.
///
/// # Errors
/// [`PromiseError::Release`].
pub(crate) fn longest(release: &Release, members: f64) -> Result<f64, PromiseError> {
    let coordinates = (release.coordinates as f64).sqrt();
    // A vector of d draws has a norm of about √d deviations, and with that probability at most 12 more.
    let noise = release.deviation()? * (coordinates + DEVIATIONS) / members.sqrt();
    Ok(release.clip + (coordinates + noise) / f64::from(1_u32 << release.bits))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{
        study::{
            masking::Masking,
            privacy::{Privacy, PrivacySection, Unit},
        },
        training::{LocalTraining, OptimiserKind},
    };

    fn local() -> LocalTraining {
        LocalTraining {
            steps: None,
            epochs: Some(3),
            batch: 16,
            optimiser: OptimiserKind::Adam,
            lr: Decimal::from(1),
            proximal: Decimal::from(1),
        }
    }

    fn masking(most_examples: u32) -> Masking {
        Masking {
            group_size: 8,
            threshold_percent: 66,
            fewest_survivors: 6,
            most_examples,
            dispute_seconds: 60,
        }
    }

    fn privacy(noise: &str, honest: Option<u8>) -> MemberPrivacy {
        MemberPrivacy {
            epsilon: Decimal::from(4),
            delta: "0.00001".parse().unwrap(),
            noise: noise.parse().unwrap(),
            honest,
        }
    }

    fn with<T>(masking: Option<&Masking>, check: impl FnOnce(&Setting<'_>) -> T) -> T {
        let local = local();
        check(&Setting {
            local: &local,
            clip: 1.0,
            coordinates: 1000,
            masking,
        })
    }

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        sampling: String,
        noise: Option<f64>,
        count: u32,
        epsilons: Vec<Epsilon>,
    }

    #[derive(Deserialize)]
    struct Epsilon {
        delta: f64,
        epsilon: f64,
    }

    /// Rounds of masked groups of the fewest survivors spend what dp-accounting says of as many Gaussian mechanisms.
    #[test]
    fn rounds_spend_what_dp_accounting_says_of_gaussians() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../../../../testdata/privacy-v1.json")).unwrap();
        let mut seen = 0;
        for case in vectors.cases.iter().filter(|case| case.sampling == "all") {
            let member = MemberPrivacy {
                noise: Decimal::new(case.noise.unwrap()).unwrap(),
                ..privacy("1", None)
            };
            let round = with(Some(&masking(1)), |setting| member.round(setting, 6)).unwrap();
            let mut spent = Accountant::new();
            for _ in 0..case.count {
                spent.add(&round, 1);
            }
            for Epsilon { delta, epsilon } in &case.epsilons {
                let got = spent.epsilon(*delta);
                assert!(
                    (got - epsilon).abs() <= 1e-6 * epsilon.max(1e-3),
                    "{got} {epsilon}"
                );
                seen += 1;
            }
        }
        assert_eq!(seen, 54);
    }

    #[test]
    fn more_survivors_spend_less_and_those_not_counted_on_nothing() {
        let spent = |honest, survivors| {
            let round = with(Some(&masking(1)), |setting| {
                privacy("2", honest).round(setting, survivors)
            });
            round.unwrap().epsilon(1e-5)
        };
        assert!(spent(None, 8) < spent(None, 6));
        // Two of six keep nothing private: the four others' noise is all there is, and is as much.
        assert!((spent(Some(4), 6) / spent(None, 6) - 1.0).abs() < 1e-6);
        assert!(spent(Some(4), 8) < spent(Some(4), 6));
        assert_eq!(spent(Some(4), 2), f64::INFINITY);
    }

    #[test]
    fn the_least_noise_pays_for_the_planned_rounds_and_for_few_more() {
        let section = PrivacySection {
            unit: Unit::Member,
            epsilon: Decimal::from(4),
            delta: "0.00001".parse().unwrap(),
            noise: None,
            row_clip: None,
            sample: None,
            honest: Some(5),
        };
        with(Some(&masking(1)), |setting| {
            let planned = section.planned(setting, 20).unwrap();
            assert_eq!(planned.check(setting, 20), Ok(()));
            assert!(matches!(
                planned.check(setting, 21),
                Err(PromiseError::Overspent { .. })
            ));
            let Privacy::Member(member) = planned else {
                panic!("{planned:?}")
            };
            let less = MemberPrivacy {
                noise: Decimal::new(member.noise.get() * 0.999).unwrap(),
                ..member
            };
            assert!(Privacy::Member(less).check(setting, 20).is_err());
        });
    }

    /// Even where all of the largest group survive, and noise adds up.
    #[test]
    fn sums_with_noise_leave_their_words_at_no_honest_draw() {
        for noise in ["0.5", "2", "12"] {
            let release = with(Some(&masking(1)), |setting| privacy(noise, None).release(setting)).unwrap();
            let members = 15.0_f64;
            let longest = members * f64::from(1_u32 << release.bits)
                + 12.0 * (members).sqrt() * release.deviation().unwrap();
            assert!(longest < f64::from(i32::MAX), "{noise}: {longest}");
            assert!(
                release.bits >= 20 && 2.0 * longest + 1000.0 > f64::from(i32::MAX) / 2.0
                    || release.bits == 24,
                "{noise}: {} bits",
                release.bits
            );
        }
        let refused = with(Some(&masking(1)), |setting| {
            privacy("10000000", None).release(setting)
        });
        assert!(matches!(
            refused,
            Err(PromiseError::Words { .. } | PromiseError::Release(_))
        ));
    }

    #[test]
    fn weights_by_rows_and_parties_that_are_not_there_are_refused() {
        let weighed = with(Some(&masking(2)), |setting| privacy("2", None).release(setting));
        assert_eq!(weighed, Err(PromiseError::Weights { got: 2 }));
        let lonely = with(None, |setting| privacy("2", Some(1)).release(setting));
        assert!(matches!(lonely, Err(PromiseError::OtherUnit { .. })));
        for honest in [0, 7] {
            let refused = with(Some(&masking(1)), |setting| {
                privacy("2", Some(honest)).release(setting)
            });
            assert!(matches!(
                refused,
                Err(PromiseError::Setting {
                    setting: "honest",
                    ..
                })
            ));
        }
        // A thousand coordinates of deviation 8 are no update.
        let loud = with(None, |setting| privacy("8", None).release(setting));
        assert!(matches!(
            loud,
            Err(PromiseError::Setting { setting: "noise", .. })
        ));
    }
}
