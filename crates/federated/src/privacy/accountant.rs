//! What a study has spent.
//!
//! Rényi differential privacy (Mironov 2017, arXiv:1702.07476) at a fixed list of orders, which adds up over rounds,
//! and becomes (ε, δ) by proposition 12 of Canonne, Kamath and Steinke (2020, arXiv:2004.00010). Zero-concentrated
//! privacy (Bun and Steinke 2016) of ρ is ρα at every order α. The orders are those of Google's dp-accounting, whose
//! answers `testdata/privacy-v1.json` holds. Everything runs on `libm`, so that every machine gets the same bits.

use super::renyi::{FixedSize, gaussian, poisson};

/// A mechanism that is run once a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mechanism {
    /// Standard deviation of the noise over the sensitivity to one unit of privacy.
    pub noise: f64,
    /// Who is in it.
    pub sampling: Sampling,
}

/// Who or what takes part in a run of a mechanism. A draw amplifies privacy only if it stays secret.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// All, or a draw that everyone can see.
    All,
    /// Each by its own toss; the sensitivity is to one more or less.
    Poisson {
        /// From 0 to 1.
        probability: f64,
    },
    /// So many of so many, uniformly; the sensitivity is to one replaced by another.
    Fixed {
        /// Drawn.
        sample: u32,
        /// Of all.
        of: u32,
    },
}

/// What may be spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Above 0.
    pub epsilon: f64,
    /// Strictly between 0 and 1.
    pub delta: f64,
}

/// Why a loss cannot be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PrivacyError {
    /// Noise that is not above zero.
    #[error("noise of {noise} times the sensitivity hides nothing: it must be above 0 and finite")]
    Noise {
        /// Given.
        noise: f64,
    },
    /// A part or probability beyond its range.
    #[error("a sampling of {part} is not from 0 to 1")]
    Part {
        /// Given.
        part: f64,
    },
    /// A budget that is none.
    #[error("a budget of ε {epsilon} and δ {delta} is none: ε above 0, δ strictly between 0 and 1")]
    Budget {
        /// Given.
        epsilon: f64,
        /// Given.
        delta: f64,
    },
    /// No noise that is tried keeps the budget.
    #[error("no noise below {most} times the sensitivity keeps ε {epsilon} over {rounds} rounds")]
    OutOfReach {
        /// Largest tried.
        most: f64,
        /// Wanted.
        epsilon: f64,
        /// Rounds.
        rounds: u32,
    },
}

/// Most noise that [`noise_for`] tries.
const MOST_NOISE: f64 = 1e6;

/// 1.1, 1.2, … 10.9, 11, 12, … 63, 128, 256, 512, 1024.
fn orders() -> impl Iterator<Item = f64> + Clone {
    let tenths = (1..100).map(|x| 1.0 + f64::from(x) / 10.0);
    tenths
        .chain((11..64).map(f64::from))
        .chain([128.0, 256.0, 512.0, 1024.0])
}

/// What was spent so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Accountant {
    divergences: Vec<f64>,
}

impl Default for Accountant {
    fn default() -> Self {
        Self::new()
    }
}

impl Accountant {
    /// Nothing spent.
    #[must_use]
    pub fn new() -> Self {
        Self {
            divergences: orders().map(|_| 0.0).collect(),
        }
    }

    /// Spends a mechanism so many times.
    ///
    /// # Errors
    /// [`PrivacyError::Noise`] or [`PrivacyError::Part`]; nothing is spent then.
    pub fn spend(&mut self, mechanism: &Mechanism, times: u32) -> Result<(), PrivacyError> {
        let once = mechanism.divergences()?;
        for (spent, once) in self.divergences.iter_mut().zip(once) {
            *spent += f64::from(times) * once;
        }
        Ok(())
    }

    /// Spends what another accountant has, so many times.
    pub fn add(&mut self, other: &Self, times: u32) {
        for (spent, once) in self.divergences.iter_mut().zip(&other.divergences) {
            *spent += f64::from(times) * once;
        }
    }

    /// Spends a mechanism of zero-concentrated privacy ρ so many times.
    pub fn spend_concentrated(&mut self, rho: f64, times: u32) {
        for (spent, order) in self.divergences.iter_mut().zip(orders()) {
            *spent += f64::from(times) * rho * order;
        }
    }

    /// The ε spent at a δ, infinite where none is known.
    #[must_use]
    pub fn epsilon(&self, delta: f64) -> f64 {
        let at = |(order, spent): (f64, &f64)| {
            // The bound by the Kullback and Leibler divergence, which is at most the one of any order above 1.
            if delta * delta + libm::expm1(-spent) > 0.0 {
                return 0.0;
            }
            spent + libm::log1p(-1.0 / order) - libm::log(delta * order) / (order - 1.0)
        };
        orders()
            .zip(&self.divergences)
            .map(at)
            .fold(f64::INFINITY, f64::min)
            .max(0.0)
    }

    /// Whether a budget is kept.
    #[must_use]
    pub fn is_within(&self, budget: &Budget) -> bool {
        self.epsilon(budget.delta) <= budget.epsilon
    }
}

impl Mechanism {
    fn divergences(&self) -> Result<Vec<f64>, PrivacyError> {
        let noise = self.noise;
        if !(noise > 0.0 && noise.is_finite()) {
            return Err(PrivacyError::Noise { noise });
        }
        let part = match self.sampling {
            Sampling::All => 1.0,
            Sampling::Poisson { probability } => probability,
            Sampling::Fixed { sample, of } => f64::from(sample) / f64::from(of),
        };
        if !(0.0..=1.0).contains(&part) {
            return Err(PrivacyError::Part { part });
        }
        if part == 0.0 {
            return Ok(orders().map(|_| 0.0).collect());
        }
        if part == 1.0 {
            return Ok(orders().map(|order| gaussian(noise, order)).collect());
        }
        Ok(match self.sampling {
            Sampling::Fixed { .. } => {
                let fixed = FixedSize::new(part, noise);
                orders().map(|order| fixed.at(order)).collect()
            }
            _ => orders().map(|order| poisson(part, noise, order)).collect(),
        })
    }
}

impl Budget {
    /// Whether it is one.
    ///
    /// # Errors
    /// [`PrivacyError::Budget`].
    pub fn check(&self) -> Result<(), PrivacyError> {
        let Self { epsilon, delta } = *self;
        if epsilon > 0.0 && epsilon.is_finite() && delta > 0.0 && delta < 1.0 {
            return Ok(());
        }
        Err(PrivacyError::Budget { epsilon, delta })
    }

    /// Rounds of a mechanism that it pays for, at most `most`: where a study stops.
    ///
    /// # Errors
    /// [`PrivacyError`].
    pub fn rounds(&self, mechanism: &Mechanism, most: u32) -> Result<u32, PrivacyError> {
        self.check()?;
        let once = mechanism.divergences()?;
        let fits = |rounds: u32| {
            let divergences = once.iter().map(|once| f64::from(rounds) * once).collect();
            Accountant { divergences }.is_within(self)
        };
        // The loss grows with the rounds.
        let (mut paid, mut beyond) = (0, most.saturating_add(1));
        while beyond - paid > 1 {
            let middle = paid + (beyond - paid) / 2;
            if fits(middle) {
                paid = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(paid)
    }
}

/// The least noise, to four digits and rounded up, at which so many rounds keep a budget.
///
/// # Errors
/// [`PrivacyError`].
pub fn noise_for(budget: &Budget, sampling: Sampling, rounds: u32) -> Result<f64, PrivacyError> {
    budget.check()?;
    let fits = |noise: f64| -> Result<bool, PrivacyError> {
        let mut spent = Accountant::new();
        spent.spend(&Mechanism { noise, sampling }, rounds)?;
        Ok(spent.is_within(budget))
    };
    if !fits(MOST_NOISE)? {
        return Err(PrivacyError::OutOfReach {
            most: MOST_NOISE,
            epsilon: budget.epsilon,
            rounds,
        });
    }
    let (mut little, mut enough) = (0.05, MOST_NOISE);
    if fits(little)? {
        return Ok(little);
    }
    while enough / little > 1.00001 {
        let middle = (enough * little).sqrt();
        if fits(middle)? {
            enough = middle;
        } else {
            little = middle;
        }
    }
    let digits = 1e4 / libm::pow(10.0, libm::floor(libm::log10(enough)) + 1.0);
    Ok((enough * digits).ceil() / digits)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        sampling: String,
        noise: Option<f64>,
        probability: Option<f64>,
        sample: Option<u32>,
        of: Option<u32>,
        rho: Option<f64>,
        count: u32,
        epsilons: Vec<Epsilon>,
    }

    #[derive(Deserialize)]
    struct Epsilon {
        delta: f64,
        epsilon: f64,
    }

    #[test]
    fn every_mechanism_spends_what_dp_accounting_says() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../../../testdata/privacy-v1.json")).unwrap();
        assert!(vectors.cases.len() > 150);
        let mut wrong = Vec::new();
        for case in &vectors.cases {
            let mut accountant = Accountant::new();
            let mechanism = |sampling| Mechanism {
                noise: case.noise.unwrap(),
                sampling,
            };
            let name = format!(
                "{} {:?} {:?} {:?} {}",
                case.sampling, case.noise, case.probability, case.sample, case.count
            );
            match case.sampling.as_str() {
                "zcdp" => accountant.spend_concentrated(case.rho.unwrap(), case.count),
                kind => {
                    let sampling = match kind {
                        "all" => Sampling::All,
                        "poisson" => Sampling::Poisson {
                            probability: case.probability.unwrap(),
                        },
                        _ => Sampling::Fixed {
                            sample: case.sample.unwrap(),
                            of: case.of.unwrap(),
                        },
                    };
                    accountant.spend(&mechanism(sampling), case.count).unwrap();
                }
            }
            for Epsilon { delta, epsilon } in &case.epsilons {
                let got = accountant.epsilon(*delta);
                let apart = (got - epsilon).abs() / epsilon.max(1e-3);
                if apart > 1e-7 {
                    wrong.push(format!("{name} δ {delta}: {got}, not {epsilon}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn more_noise_fewer_rounds_and_smaller_samples_spend_less() {
        let spent = |noise, sampling, times| {
            let mut accountant = Accountant::new();
            accountant.spend(&Mechanism { noise, sampling }, times).unwrap();
            accountant.epsilon(1e-5)
        };
        let poisson = |probability| Sampling::Poisson { probability };
        assert!(spent(2.0, Sampling::All, 10) < spent(1.0, Sampling::All, 10));
        assert!(spent(1.0, Sampling::All, 9) < spent(1.0, Sampling::All, 10));
        assert!(spent(1.0, poisson(0.01), 10) < spent(1.0, poisson(0.1), 10));
        assert!(spent(1.0, poisson(0.1), 10) < spent(1.0, Sampling::All, 10));
        assert_eq!(spent(1.0, poisson(0.0), 10), 0.0);
        assert_eq!(spent(1.0, poisson(1.0), 10), spent(1.0, Sampling::All, 10));
    }

    #[test]
    fn a_budget_pays_for_the_rounds_it_was_made_for_and_not_many_more() {
        let budget = Budget {
            epsilon: 2.0,
            delta: 1e-5,
        };
        for sampling in [
            Sampling::All,
            Sampling::Poisson { probability: 0.05 },
            Sampling::Fixed { sample: 2, of: 60 },
        ] {
            let noise = noise_for(&budget, sampling, 40).unwrap();
            let mechanism = Mechanism { noise, sampling };
            assert_eq!(budget.rounds(&mechanism, 40), Ok(40));
            let more = budget.rounds(&mechanism, 1000).unwrap();
            assert!((40..=41).contains(&more), "{sampling:?}: {noise} {more}");
            let short = Mechanism {
                noise: noise * 0.99,
                sampling,
            };
            assert!(budget.rounds(&short, 40).unwrap() < 40);
        }
    }

    #[test]
    fn what_is_no_noise_no_sampling_and_no_budget_is_refused() {
        let spend = |noise, sampling| Accountant::new().spend(&Mechanism { noise, sampling }, 1);
        assert_eq!(spend(0.0, Sampling::All), Err(PrivacyError::Noise { noise: 0.0 }));
        assert!(matches!(
            spend(f64::NAN, Sampling::All),
            Err(PrivacyError::Noise { .. })
        ));
        let over = Sampling::Fixed { sample: 3, of: 2 };
        assert_eq!(spend(1.0, over), Err(PrivacyError::Part { part: 1.5 }));
        let none = Sampling::Fixed { sample: 0, of: 0 };
        assert!(matches!(spend(1.0, none), Err(PrivacyError::Part { .. })));
        for (epsilon, delta) in [(0.0, 0.5), (1.0, 0.0), (1.0, 1.0), (f64::INFINITY, 0.5)] {
            let budget = Budget { epsilon, delta };
            assert_eq!(budget.check(), Err(PrivacyError::Budget { epsilon, delta }));
        }
        let tight = Budget {
            epsilon: 1e-9,
            delta: 1e-9,
        };
        assert!(matches!(
            noise_for(&tight, Sampling::All, 100_000),
            Err(PrivacyError::OutOfReach { .. })
        ));
    }
}
