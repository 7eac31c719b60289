//! Attacks on updates.

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};

use crate::update::{UpdateError, quantise};

/// An update written by a liar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UpdateAttack {
    /// The member's own honest update times `-factor`.
    SignFlip {
        /// Above zero.
        factor: f64,
    },
    /// The honest update times a factor, to outweigh the others.
    Scaling {
        /// Any.
        factor: f64,
    },
    /// Normal noise instead of an update.
    Noise {
        /// Standard deviation of a coordinate.
        deviation: f64,
    },
    /// The mean of the others less so many of their standard deviations in each coordinate: inside the crowd, and all
    /// to one side. [`enough_deviations`] gives the most that hides among so many.
    LittleIsEnough {
        /// Standard deviations.
        deviations: f64,
    },
    /// The others' mean times `-factor`: short enough to pass, and turned against them.
    InnerProduct {
        /// Above zero.
        factor: f64,
    },
    /// No work: nothing moved.
    IdleRider,
    /// No work: the aggregate of the round before with a little noise, which looks like work.
    DisguisedRider {
        /// Standard deviation of the noise.
        deviation: f64,
    },
    /// The update of another member, so that one piece of work is paid twice; with noise, so that they differ.
    Sybil {
        /// Standard deviation of the noise.
        deviation: f64,
    },
}

/// What a liar knows when it writes its update. Values are in ones, not in units.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What it would honestly send; for a sybil, the update of the member it copies.
    pub own: &'a [f64],
    /// The updates of everyone honest.
    pub others: &'a [Vec<f64>],
    /// The aggregate of the round before, if there was one.
    pub before: Option<&'a [f64]>,
    /// Largest norm of an update.
    pub clip: f64,
    /// Of the noise; another for each liar and round, or all noise is the same.
    pub seed: u64,
}

impl UpdateAttack {
    /// The coordinates it sends, in units of 2^-24 and within the clip.
    ///
    /// # Errors
    /// [`UpdateError::NotFinite`] where the view or the factor is not.
    pub fn forge(&self, view: &View<'_>) -> Result<Vec<i32>, UpdateError> {
        let scaled = |by: f64| view.own.iter().map(|value| value * by).collect();
        let forged: Vec<f64> = match *self {
            Self::SignFlip { factor } => scaled(-factor),
            Self::Scaling { factor } => scaled(factor),
            Self::Noise { deviation } => noisy(&vec![0.0; view.own.len()], deviation, view.seed),
            Self::LittleIsEnough { deviations } => moments(view)
                .into_iter()
                .map(|(mean, deviation)| mean - deviations * deviation)
                .collect(),
            Self::InnerProduct { factor } => moments(view)
                .into_iter()
                .map(|(mean, _)| -factor * mean)
                .collect(),
            Self::IdleRider => vec![0.0; view.own.len()],
            Self::DisguisedRider { deviation } => {
                let zero = vec![0.0; view.own.len()];
                noisy(view.before.unwrap_or(&zero), deviation, view.seed)
            }
            Self::Sybil { deviation } => noisy(view.own, deviation, view.seed),
        };
        quantise(&forged, view.clip)
    }
}

/// The most standard deviations by which `liars` of `members` may agree to be off, so that enough honest members are
/// further out and a majority seems to agree with the liars.
#[must_use]
pub fn enough_deviations(members: u32, liars: u32) -> f64 {
    let honest = members.saturating_sub(liars).max(1);
    let supporters = (members / 2 + 1).saturating_sub(liars);
    let share = f64::from(honest.saturating_sub(supporters)) / f64::from(honest);
    // The normal quantile by bisection: an attack needs no more digits.
    let below = |z: f64| libm::erfc(-z / std::f64::consts::SQRT_2) / 2.0;
    let (mut low, mut high) = (0.0, 8.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if below(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Mean and standard deviation of the others' coordinates; of the own update where there is no other.
fn moments(view: &View<'_>) -> Vec<(f64, f64)> {
    if view.others.is_empty() {
        return view.own.iter().map(|value| (*value, 0.0)).collect();
    }
    let count = view.others.len() as f64;
    (0..view.own.len())
        .map(|at| {
            let values = view
                .others
                .iter()
                .map(|other| other.get(at).copied().unwrap_or(f64::NAN));
            let mean = values.clone().sum::<f64>() / count;
            let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            (mean, variance.sqrt())
        })
        .collect()
}

fn noisy(around: &[f64], deviation: f64, seed: u64) -> Vec<f64> {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    around
        .iter()
        .map(|value| value + deviation * normal(&mut random))
        .collect()
}

/// Box and Muller's transformation, one of its two values.
fn normal(random: &mut ChaCha20Rng) -> f64 {
    let mut uniform = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - uniform()));
    radius * libm::cos(std::f64::consts::TAU * uniform())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Inputs, Row, Rows, Rule};

    const UNITS: f64 = (1 << 24) as f64;

    fn honest() -> Vec<Vec<f64>> {
        (0..8).map(|at| noisy(&[0.5, -0.25, 0.125], 0.02, at)).collect()
    }

    fn view<'a>(others: &'a [Vec<f64>], clip: f64) -> View<'a> {
        View {
            own: &others[0],
            others,
            before: Some(&[0.4, -0.2, 0.1]),
            clip,
            seed: 77,
        }
    }

    fn all() -> Vec<UpdateAttack> {
        vec![
            UpdateAttack::SignFlip { factor: 3.0 },
            UpdateAttack::Scaling { factor: 10.0 },
            UpdateAttack::Noise { deviation: 1.0 },
            UpdateAttack::LittleIsEnough {
                deviations: enough_deviations(11, 3),
            },
            UpdateAttack::InnerProduct { factor: 0.5 },
            UpdateAttack::IdleRider,
            UpdateAttack::DisguisedRider { deviation: 0.01 },
            UpdateAttack::Sybil { deviation: 0.001 },
        ]
    }

    fn floats(units: &[i32]) -> Vec<f64> {
        units.iter().map(|value| f64::from(*value) / UNITS).collect()
    }

    #[test]
    fn every_forged_update_fits_the_clip_and_repeats() {
        let others = honest();
        for attack in all() {
            for clip in [0.1, 1.0, 100.0] {
                let forged = attack.forge(&view(&others, clip)).unwrap();
                let norm = floats(&forged)
                    .iter()
                    .map(|value| value * value)
                    .sum::<f64>()
                    .sqrt();
                assert!(norm <= clip, "{attack:?}: {norm}");
                assert_eq!(attack.forge(&view(&others, clip)).unwrap(), forged);
            }
        }
    }

    #[test]
    fn each_does_what_its_name_says() {
        let others = honest();
        let forged = |attack: UpdateAttack| floats(&attack.forge(&view(&others, 100.0)).unwrap());
        let mean: Vec<f64> = (0..3)
            .map(|at| others.iter().map(|row| row[at]).sum::<f64>() / 8.0)
            .collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        assert!(dot(&forged(all()[0]), &others[0]) < 0.0);
        assert!((dot(&forged(all()[1]), &others[0]) / dot(&others[0], &others[0]) - 10.0).abs() < 1e-4);
        // Within two standard deviations of the mean, and below it everywhere.
        let little = forged(all()[3]);
        assert!(
            little
                .iter()
                .zip(&mean)
                .all(|(value, mean)| value < mean && mean - value < 0.05)
        );
        assert!(dot(&forged(all()[4]), &mean) < 0.0);
        assert_eq!(forged(UpdateAttack::IdleRider), [0.0; 3]);
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.05);
        assert!(near(&forged(all()[6]), &[0.4, -0.2, 0.1]));
        assert!(near(&forged(all()[7]), &others[0]) && forged(all()[7]) != others[0]);
    }

    /// The table of the paper: 50 members, 24 liars give 0.0 < z; more liars may be bolder.
    #[test]
    fn more_liars_may_be_bolder() {
        let z: Vec<f64> = [5, 10, 20]
            .into_iter()
            .map(|liars| enough_deviations(50, liars))
            .collect();
        assert!(z.windows(2).all(|pair| pair[0] < pair[1]), "{z:?}");
        assert!((enough_deviations(50, 24) - 1.4).abs() < 0.4);
    }

    /// Three liars of eleven: what the mean falls for, the robust rules hold.
    #[test]
    fn robust_rules_hold_where_the_mean_does_not() {
        let others = honest();
        let truth = [0.5, -0.25, 0.125];
        let away = |values: &[f64]| -> f64 {
            values
                .iter()
                .zip(truth)
                .map(|(value, truth)| (value - truth).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        for attack in [all()[0], all()[1], UpdateAttack::Noise { deviation: 3.0 }] {
            let honest_units = others.iter().map(|row| quantise(row, 100.0).unwrap());
            let forged = (0..3).map(|seed| {
                attack
                    .forge(&View {
                        seed,
                        ..view(&others, 100.0)
                    })
                    .unwrap()
            });
            let vectors: Vec<Vec<i32>> = honest_units.chain(forged).collect();
            let row = |(coordinates, owner)| Row {
                owner,
                weight: 1,
                coordinates,
            };
            let rows = Rows::new(vectors.iter().map(Vec::as_slice).zip(0..).map(row).collect()).unwrap();
            let mean: Vec<f64> = (0..3)
                .map(|at| vectors.iter().map(|row| f64::from(row[at])).sum::<f64>() / 11.0 / UNITS)
                .collect();
            assert!(away(&mean) > 0.1, "{attack:?}: {}", away(&mean));
            for rule in [
                Rule::Median { bucket: 1 },
                Rule::TrimmedMean { trim: 3, bucket: 1 },
                Rule::Krum { faulty: 3, bucket: 1 },
                Rule::MultiKrum {
                    faulty: 3,
                    keep: None,
                    bucket: 1,
                },
                Rule::GeometricMedian {
                    iterations: 64,
                    bucket: 1,
                },
            ] {
                let got = rule.combine(&rows, &Inputs::default()).unwrap().mean().unwrap();
                assert!(away(&got) < 0.06, "{attack:?} {rule:?}: {}", away(&got));
            }
        }
    }
}
