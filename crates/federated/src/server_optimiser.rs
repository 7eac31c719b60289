//! How the mean update changes the model.
//!
//! FedAvg is algorithm 1 of McMahan et al. (AISTATS 2017), with a server step size and momentum as FedAvgM (Hsu, Qi
//! and Brown 2019, arXiv:1909.06335). FedAdagrad, FedAdam and FedYogi are algorithm 2 of Reddi et al., "Adaptive
//! Federated Optimization" (ICLR 2021, arXiv:2003.00295); `tau` is the paper's degree of adaptivity.
//!
//! # Differences from the paper
//!
//! - The second moment starts at tau squared, as the paper's algorithm says; FLamby and Flower start it at zero.
//! - The mean is weighted by examples. There is no bias correction, as in the paper.
//! - All state is `f64`; the model is rounded to `f32` once a step. Additions, multiplications, divisions and square
//!   roots only, so that every machine gets the same bits.

use serde::{Deserialize, Serialize};

use crate::{
    aggregate::{AggregateError, WeightedSum},
    decimal::Decimal,
    parameters::Parameters,
};

/// A server optimiser with its settings. FedProx is FedAvg here: its term acts on the member's side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "rule", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the symbols of the module's source")]
pub enum Aggregation {
    /// Add the mean, times `lr`, with momentum (FedAvgM) if above zero.
    Fedavg {
        #[serde(default = "settings::one")]
        lr: Decimal,
        #[serde(default)]
        momentum: Decimal,
    },
    /// Adam on the server.
    Fedadam {
        #[serde(default = "settings::hundredth")]
        lr: Decimal,
        #[serde(default = "settings::beta1")]
        beta1: Decimal,
        #[serde(default = "settings::beta2")]
        beta2: Decimal,
        #[serde(default = "settings::tau")]
        tau: Decimal,
    },
    /// Yogi on the server.
    Fedyogi {
        #[serde(default = "settings::hundredth")]
        lr: Decimal,
        #[serde(default = "settings::beta1")]
        beta1: Decimal,
        #[serde(default = "settings::beta2")]
        beta2: Decimal,
        #[serde(default = "settings::tau")]
        tau: Decimal,
    },
    /// Adagrad on the server.
    Fedadagrad {
        #[serde(default = "settings::hundredth")]
        lr: Decimal,
        #[serde(default)]
        beta1: Decimal,
        #[serde(default = "settings::tau")]
        tau: Decimal,
    },
}

impl Default for Aggregation {
    fn default() -> Self {
        Self::Fedavg {
            lr: settings::one(),
            momentum: Decimal::default(),
        }
    }
}

mod settings {
    use crate::decimal::Decimal;

    fn literal(text: &str) -> Decimal {
        text.parse().expect("a decimal literal")
    }
    pub(super) fn one() -> Decimal {
        literal("1")
    }
    pub(super) fn hundredth() -> Decimal {
        literal("0.01")
    }
    pub(super) fn beta1() -> Decimal {
        literal("0.9")
    }
    pub(super) fn beta2() -> Decimal {
        literal("0.99")
    }
    pub(super) fn tau() -> Decimal {
        literal("0.001")
    }
}

/// An optimiser between two rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerOptimiser {
    aggregation: Aggregation,
    momentum: Vec<f64>,
    variance: Vec<f64>,
}

/// Why the server could not make a step.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No mean.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// The sum has another shape than the model, or the model another than the optimiser.
    #[error("the sum has {got} coordinates, the model has {expected}")]
    ShapeMismatch {
        /// Parameters of the model.
        expected: usize,
        /// Coordinates of the sum.
        got: usize,
    },
    /// The step left the range of the numbers.
    #[error("parameter {index} is not a finite number after the step")]
    NotFinite {
        /// Counted from 0.
        index: usize,
    },
    /// Stored state cannot be read.
    #[error("not the state of this optimiser: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
}

/// First bytes of stored state.
const MAGIC: [u8; 8] = *b"cwserver";

impl Aggregation {
    /// Whether each setting is in its range; otherwise the setting and the range.
    ///
    /// # Errors
    /// The setting's key and what is expected of it.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let below_one = |value: Decimal| (0.0..1.0).contains(&value.get());
        let (lr, beta1, beta2, tau) = match *self {
            Self::Fedavg { lr, momentum } => {
                if !below_one(momentum) {
                    return Err(("momentum", "at least 0 and below 1"));
                }
                (lr, momentum, momentum, Decimal::from(1))
            }
            Self::Fedadam {
                lr,
                beta1,
                beta2,
                tau,
            }
            | Self::Fedyogi {
                lr,
                beta1,
                beta2,
                tau,
            } => (lr, beta1, beta2, tau),
            Self::Fedadagrad { lr, beta1, tau } => (lr, beta1, beta1, tau),
        };
        if !(lr.get() > 0.0 && lr.get() <= 1e6) {
            return Err(("lr", "above 0 and at most 1000000"));
        }
        if !below_one(beta1) {
            return Err(("beta1", "at least 0 and below 1"));
        }
        if !below_one(beta2) {
            return Err(("beta2", "at least 0 and below 1"));
        }
        // The square must stay a normal number: it is what the first steps divide by.
        if !(tau.get() >= 1e-100 && tau.get() <= 1e6) {
            return Err(("tau", "above 0 and at most 1000000"));
        }
        Ok(())
    }

    /// Whether state is kept of the first and of the second moment.
    fn moments(&self) -> (bool, bool) {
        match self {
            Self::Fedavg { momentum, .. } => (momentum.get() > 0.0, false),
            _ => (true, true),
        }
    }
}

impl ServerOptimiser {
    /// Before the first round.
    #[must_use]
    pub fn new(aggregation: Aggregation, coordinates: usize) -> Self {
        let (first, second) = aggregation.moments();
        let tau = match aggregation {
            Aggregation::Fedavg { .. } => 0.0,
            Aggregation::Fedadam { tau, .. }
            | Aggregation::Fedyogi { tau, .. }
            | Aggregation::Fedadagrad { tau, .. } => tau.get(),
        };
        Self {
            aggregation,
            momentum: vec![0.0; if first { coordinates } else { 0 }],
            variance: vec![tau * tau; if second { coordinates } else { 0 }],
        }
    }

    /// The parameters after a round.
    ///
    /// # Errors
    /// [`ServerError`]; the optimiser is then unchanged.
    pub fn step(&mut self, base: &Parameters, sum: &WeightedSum) -> Result<Parameters, ServerError> {
        let expected = base.values().len();
        let (first, second) = self.aggregation.moments();
        let fits = |kept: bool, state: &[f64]| !kept || state.len() == expected;
        if sum.coordinates() != expected || !fits(first, &self.momentum) || !fits(second, &self.variance) {
            return Err(ServerError::ShapeMismatch {
                expected,
                got: sum.coordinates(),
            });
        }
        let mean = sum.mean()?;
        let mut next = self.clone();
        let moved: Vec<f64> = mean
            .iter()
            .enumerate()
            .map(|(index, delta)| next.moved(index, *delta))
            .collect();
        let values: Vec<f32> = base
            .values()
            .iter()
            .zip(moved)
            .map(|(value, step)| (f64::from(*value) + step) as f32)
            .collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(ServerError::NotFinite { index });
        }
        let state = next.momentum.iter().chain(&next.variance);
        if let Some(index) = state
            .enumerate()
            .find_map(|(at, value)| (!value.is_finite()).then_some(at))
        {
            return Err(ServerError::NotFinite {
                index: index % expected,
            });
        }
        *self = next;
        Ok(Parameters::new(base.architecture().clone(), values)
            .expect("checked: the base's shape and finite numbers"))
    }

    /// How far one parameter moves.
    fn moved(&mut self, index: usize, delta: f64) -> f64 {
        let square = delta * delta;
        let (lr, beta1, tau) = match self.aggregation {
            Aggregation::Fedavg { lr, momentum } => {
                let Some(velocity) = self.momentum.get_mut(index) else {
                    return lr.get() * delta;
                };
                *velocity = momentum.get() * *velocity + delta;
                return lr.get() * *velocity;
            }
            Aggregation::Fedadam {
                lr,
                beta1,
                beta2,
                tau,
            } => {
                let variance = &mut self.variance[index];
                *variance = beta2.get() * *variance + (1.0 - beta2.get()) * square;
                (lr, beta1, tau)
            }
            Aggregation::Fedyogi {
                lr,
                beta1,
                beta2,
                tau,
            } => {
                let variance = &mut self.variance[index];
                let difference = *variance - square;
                let sign = if difference > 0.0 {
                    1.0
                } else if difference < 0.0 {
                    -1.0
                } else {
                    0.0
                };
                *variance -= (1.0 - beta2.get()) * square * sign;
                (lr, beta1, tau)
            }
            Aggregation::Fedadagrad { lr, beta1, tau } => {
                self.variance[index] += square;
                (lr, beta1, tau)
            }
        };
        let momentum = &mut self.momentum[index];
        *momentum = beta1.get() * *momentum + (1.0 - beta1.get()) * delta;
        lr.get() * *momentum / (self.variance[index].sqrt() + tau.get())
    }

    /// Its state, for a coordinator that resumes: `cwserver`, version, and each moment as a count and its `f64`
    /// values, all little endian. Kept by the coordinator only; the chain never sees it, and anyone can recompute it
    /// from the updates.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(1);
        for state in [&self.momentum, &self.variance] {
            bytes.extend_from_slice(&(state.len() as u64).to_le_bytes());
            for value in state {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads that state.
    ///
    /// # Errors
    /// [`ServerError::Malformed`].
    pub fn from_bytes(
        aggregation: Aggregation,
        coordinates: usize,
        bytes: &[u8],
    ) -> Result<Self, ServerError> {
        let malformed = |what| ServerError::Malformed { what };
        let mut rest = bytes
            .strip_prefix(&MAGIC)
            .and_then(|rest| rest.strip_prefix(&[1]))
            .ok_or(malformed("another start or version"))?;
        let mut read = |kept: bool| {
            let expected = if kept { coordinates } else { 0 };
            let (count, values) = rest.split_first_chunk().ok_or(malformed("it is cut off"))?;
            if u64::from_le_bytes(*count) != expected as u64 {
                return Err(malformed("it is for another model"));
            }
            let values_and_rest = values
                .split_at_checked(8 * expected)
                .ok_or(malformed("it is cut off"))?;
            rest = values_and_rest.1;
            let (values, _) = values_and_rest.0.as_chunks::<8>();
            let values: Vec<f64> = values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
            if values.iter().all(|value| value.is_finite()) {
                Ok(values)
            } else {
                Err(malformed("a number in it is not finite"))
            }
        };
        let (first, second) = aggregation.moments();
        let (momentum, variance) = (read(first)?, read(second)?);
        if !rest.is_empty() {
            return Err(malformed("bytes follow its end"));
        }
        Ok(Self {
            aggregation,
            momentum,
            variance,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::architecture::Architecture;

    fn rules() -> [Aggregation; 5] {
        let d = |text: &str| text.parse().unwrap();
        let (lr, beta1, beta2, tau) = (d("0.1"), d("0.9"), d("0.99"), d("0.001"));
        [
            Aggregation::default(),
            Aggregation::Fedavg { lr, momentum: beta1 },
            Aggregation::Fedadam {
                lr,
                beta1,
                beta2,
                tau,
            },
            Aggregation::Fedyogi {
                lr,
                beta1,
                beta2,
                tau,
            },
            Aggregation::Fedadagrad { lr, beta1, tau },
        ]
    }

    fn model(values: &[f32]) -> Parameters {
        let inputs = u32::try_from(values.len() - 1).unwrap();
        Parameters::new(Architecture::logistic(inputs), values.to_vec()).unwrap()
    }

    fn sum(deltas: &[f64]) -> WeightedSum {
        WeightedSum {
            sums: deltas
                .iter()
                .map(|delta| (delta * f64::from(1 << 24)) as i64)
                .collect(),
            examples: 1,
        }
    }

    /// The papers' algorithms, one coordinate, written down once more.
    fn plain(rule: usize, deltas: &[f64]) -> f64 {
        let (mut value, mut m, mut v, tau) = (0.0_f64, 0.0_f64, 1e-6_f64, 1e-3);
        for delta in deltas {
            match rule {
                0 => value += delta,
                1 => {
                    m = 0.9 * m + delta;
                    value += 0.1 * m;
                }
                _ => {
                    m = 0.9 * m + 0.1 * delta;
                    v = match rule {
                        2 => 0.99 * v + 0.01 * delta.powi(2),
                        3 => v - 0.01 * delta.powi(2) * (v - delta.powi(2)).signum(),
                        _ => v + delta.powi(2),
                    };
                    value += 0.1 * m / (v.sqrt() + tau);
                }
            }
        }
        value
    }

    proptest! {
        #[test]
        fn each_rule_follows_its_paper(deltas in proptest::collection::vec(-1.0_f64..1.0, 1..20)) {
            for (index, rule) in rules().into_iter().enumerate() {
                let mut optimiser = ServerOptimiser::new(rule, 2);
                let mut parameters = model(&[0.0, 0.0]);
                for delta in &deltas {
                    parameters = optimiser.step(&parameters, &sum(&[*delta, 0.0])).unwrap();
                }
                let expected = plain(index, &deltas);
                let got = f64::from(parameters.values()[0]);
                prop_assert!((got - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{rule:?}: {got} {expected}");
                prop_assert_eq!(parameters.values()[1], 0.0);
            }
        }

        #[test]
        fn resumes_where_it_was(deltas in proptest::collection::vec(-1.0_f64..1.0, 2)) {
            for rule in rules() {
                let mut optimiser = ServerOptimiser::new(rule, 2);
                let parameters = optimiser.step(&model(&[0.5, -0.5]), &sum(&deltas)).unwrap();
                let mut resumed = ServerOptimiser::from_bytes(rule, 2, &optimiser.to_bytes()).unwrap();
                prop_assert_eq!(
                    resumed.step(&parameters, &sum(&deltas)).unwrap().digest(),
                    optimiser.step(&parameters, &sum(&deltas)).unwrap().digest()
                );
            }
        }

        #[test]
        fn any_state_is_read_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = ServerOptimiser::from_bytes(rules()[2], 2, &bytes);
            bytes.splice(0..0, *b"cwserver\x01");
            let _ = ServerOptimiser::from_bytes(rules()[2], 2, &bytes);
        }
    }

    #[test]
    fn refuses_another_shape_nothing_and_overflow() {
        let mut optimiser = ServerOptimiser::new(rules()[2], 2);
        let before = optimiser.clone();
        let base = model(&[0.0, f32::MAX]);
        assert_eq!(
            optimiser.step(&base, &sum(&[1.0])),
            Err(ServerError::ShapeMismatch { expected: 2, got: 1 })
        );
        assert_eq!(
            optimiser.step(&base, &WeightedSum::new(2)),
            Err(ServerError::Aggregate(AggregateError::Empty))
        );
        assert_eq!(optimiser, before);
        // Momentum that has run away, as no sequence of clipped updates makes it but a spoiled file might.
        let fedavgm = rules()[1];
        let mut spoiled = ServerOptimiser::new(fedavgm, 2);
        spoiled.momentum = vec![0.0, 1e300];
        assert_eq!(
            spoiled.step(&base, &sum(&[0.0, 0.0])),
            Err(ServerError::NotFinite { index: 1 })
        );
    }

    #[test]
    fn refuses_spoiled_state() {
        let optimiser = ServerOptimiser::new(rules()[2], 2);
        let bytes = optimiser.to_bytes();
        let refused =
            |bytes: &[u8], coordinates| match ServerOptimiser::from_bytes(rules()[2], coordinates, bytes) {
                Err(ServerError::Malformed { what }) => what,
                other => panic!("{other:?}"),
            };
        assert_eq!(refused(&bytes[1..], 2), "another start or version");
        assert_eq!(refused(&bytes[..bytes.len() - 1], 2), "it is cut off");
        assert_eq!(refused(&bytes, 3), "it is for another model");
        assert_eq!(
            refused(&[bytes.as_slice(), &[0]].concat(), 2),
            "bytes follow its end"
        );
        let mut spoiled = bytes.clone();
        spoiled[17..25].copy_from_slice(&f64::NAN.to_le_bytes());
        assert_eq!(refused(&spoiled, 2), "a number in it is not finite");
    }

    #[test]
    fn settings_have_ranges() {
        let d = |text: &str| text.parse::<Decimal>().unwrap();
        for rule in rules() {
            assert_eq!(rule.check(), Ok(()));
        }
        let avg = |lr, momentum| {
            Aggregation::Fedavg {
                lr: d(lr),
                momentum: d(momentum),
            }
            .check()
            .unwrap_err()
            .0
        };
        assert_eq!(avg("0", "0"), "lr");
        assert_eq!(avg("1", "1"), "momentum");
        let adam = |beta1, beta2, tau| {
            let rule = Aggregation::Fedadam {
                lr: d("1"),
                beta1: d(beta1),
                beta2: d(beta2),
                tau: d(tau),
            };
            rule.check().unwrap_err().0
        };
        assert_eq!(adam("1", "0", "1"), "beta1");
        assert_eq!(adam("0", "-0.1", "1"), "beta2");
        assert_eq!(adam("0", "0", "0"), "tau");
    }
}
