//! Train a model on a member's rows, and judge one.
//!
//! Bit for bit the same on every machine: `f32` and `f64` additions, multiplications, divisions and square roots of
//! IEEE 754, never fused; exponentials and logarithms from `libm`, in Rust; sums in a fixed order, whatever the width
//! of the machine's vectors ([`linear`]); shuffles from ChaCha20.

mod linear;
mod metrics;
mod network;
mod optimiser;
mod private;
mod shuffle;

use serde::{Deserialize, Serialize};

use crate::{
    architecture::{ArchitectureError, Layered},
    decimal::Decimal,
    parameters::Parameters,
    table::Dataset,
};

pub use metrics::{Metrics, evaluate};
pub use private::{PrivateTraining, PrivateTrainingError, train_privately};
pub use shuffle::ShuffleSeed;
pub(crate) use shuffle::shuffle;

use network::Network;
use optimiser::Optimiser;
use shuffle::Batches;

/// What a member does in a round: [`steps`](Self::steps) or [`epochs`](Self::epochs), one of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LocalTraining {
    /// Steps of one batch.
    pub steps: Option<u32>,
    /// Passes over all rows; the last batch of a pass holds what is left.
    pub epochs: Option<u32>,
    /// Rows of a step.
    pub batch: u32,
    /// How a gradient changes the model.
    pub optimiser: OptimiserKind,
    /// Learning rate.
    pub lr: Decimal,
    /// FedProx's mu (Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020, equation 2): adds
    /// mu/2 times the squared distance from the round's base to the loss.
    pub proximal: Decimal,
}

/// The member's optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserKind {
    /// Stochastic gradient descent.
    #[default]
    Sgd,
    /// Adam (Kingma and Ba 2015), beta 0.9 and 0.999, epsilon 1e-8; starts afresh each round, so that a member keeps
    /// nothing between rounds.
    Adam,
}

/// Why training or judging could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// Rows of another width than the model reads.
    #[error("rows have {got} values, the model reads {expected}")]
    InputMismatch {
        /// Inputs of the model.
        expected: usize,
        /// Values in a row.
        got: usize,
    },
    /// A label that the model has no class for.
    #[error("row {row} has class {class}, the model has {classes} classes")]
    ClassMismatch {
        /// Counted from 0.
        row: usize,
        /// Its class, counted from 0.
        class: u32,
        /// Classes of the model.
        classes: u32,
    },
    /// A model that only a member's own program can train.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// No rows.
    #[error("no rows")]
    Empty,
    /// Neither steps nor epochs, or both, or a batch of no rows.
    #[error("one of steps and epochs, and a batch of at least one row, must be given")]
    Settings,
    /// The numbers ran away.
    #[error("training diverged: parameter {index} is not a finite number; lower the learning rate")]
    Diverged {
        /// Counted from 0.
        index: usize,
    },
}

/// Trains from `base` on a member's rows. The same arguments give the same bits on every machine.
///
/// # Errors
/// [`TrainingError`].
pub fn train(
    base: &Parameters,
    rows: &Dataset,
    settings: &LocalTraining,
    seed: ShuffleSeed,
) -> Result<Parameters, TrainingError> {
    let architecture = check_rows(base, rows)?;
    let batch = settings.batch as usize;
    if batch == 0 {
        return Err(TrainingError::Settings);
    }
    let steps = match (settings.steps, settings.epochs) {
        (Some(steps), None) => u64::from(steps),
        (None, Some(epochs)) => u64::from(epochs) * rows.len().div_ceil(batch) as u64,
        _ => return Err(TrainingError::Settings),
    };
    let proximal = settings.proximal.get() as f32;
    let mut values = base.values().to_vec();
    let mut gradient = vec![0.0; values.len()];
    let mut network = Network::new(architecture);
    let mut optimiser = Optimiser::new(settings.optimiser, settings.lr.get() as f32, values.len());
    let mut batches = Batches::new(rows.len(), batch, seed);
    for _ in 0..steps {
        let chosen = batches.next_batch();
        gradient.fill(0.0);
        network.add_gradient(&values, rows, chosen, &mut gradient);
        if proximal > 0.0 {
            for ((slope, value), start) in gradient.iter_mut().zip(&values).zip(base.values()) {
                *slope += proximal * (value - start);
            }
        }
        optimiser.step(&mut values, &gradient);
    }
    // A number that is not finite stays so, hence one look at the end is enough.
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(TrainingError::Diverged { index }),
        None => Ok(Parameters::new(base.architecture().clone(), values)
            .expect("checked: the base's shape and finite numbers")),
    }
}

/// The layers of a model that is built in, whose rows fit it.
fn check_rows<'a>(model: &'a Parameters, rows: &Dataset) -> Result<&'a Layered, TrainingError> {
    let architecture = model.architecture().built_in()?;
    let expected = architecture.inputs as usize;
    if rows.inputs() != expected {
        return Err(TrainingError::InputMismatch {
            expected,
            got: rows.inputs(),
        });
    }
    if rows.is_empty() {
        return Err(TrainingError::Empty);
    }
    let classes = architecture.classes();
    match rows.labels().iter().position(|class| *class >= classes) {
        None => Ok(architecture),
        Some(row) => Err(TrainingError::ClassMismatch {
            row,
            class: rows.labels()[row],
            classes,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::{Activation, Architecture};

    fn settings(optimiser: OptimiserKind) -> LocalTraining {
        LocalTraining {
            steps: Some(60),
            epochs: None,
            batch: 4,
            optimiser,
            lr: "0.05".parse().unwrap(),
            proximal: Decimal::default(),
        }
    }

    /// Three clouds on a circle, from a small linear recurrence: real enough to be learnt.
    fn clouds(classes: u32) -> Dataset {
        let mut state = 12345_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 65536.0 - 0.5
        };
        let mut features = Vec::new();
        let mut labels = Vec::new();
        for row in 0..60 {
            let class = row % classes;
            let centre = [[1.0, 0.0, 0.3], [-0.5, 0.9, 0.1], [-0.5, -0.9, -0.4]][class as usize];
            features.extend(centre.map(|c: f32| c + noise()));
            labels.push(class);
        }
        Dataset::new(3, features, labels).unwrap()
    }

    fn shapes() -> [(Architecture, u32); 4] {
        let mlp = |activation, outputs| {
            Architecture::BuiltIn(Layered {
                inputs: 3,
                hidden: vec![9, 5],
                activation,
                outputs,
            })
        };
        [
            (Architecture::logistic(3), 2),
            (Architecture::softmax(3, 3), 3),
            (mlp(Activation::Relu, 1), 2),
            (mlp(Activation::Tanh, 3), 3),
        ]
    }

    #[test]
    fn every_model_and_optimiser_learns() {
        for (shape, classes) in shapes() {
            for optimiser in [OptimiserKind::Sgd, OptimiserKind::Adam] {
                let rows = clouds(classes);
                let mut settings = settings(optimiser);
                settings.steps = Some(600);
                let trained = train(
                    &Parameters::initial(&shape, 1),
                    &rows,
                    &settings,
                    ShuffleSeed([1; 32]),
                )
                .unwrap();
                let accuracy = evaluate(&trained, &rows).unwrap().accuracy;
                assert!(accuracy > 0.9, "{shape:?} {optimiser:?}: {accuracy}");
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_bits_everywhere() {
        let digests: Vec<String> = shapes()
            .iter()
            .zip([OptimiserKind::Sgd, OptimiserKind::Adam].iter().cycle())
            .map(|((shape, classes), optimiser)| {
                let mut settings = settings(*optimiser);
                settings.proximal = "0.1".parse().unwrap();
                train(
                    &Parameters::initial(shape, 42),
                    &clouds(*classes),
                    &settings,
                    ShuffleSeed([7; 32]),
                )
                .unwrap()
                .digest()
                .to_hex()
            })
            .collect();
        assert_eq!(
            digests,
            [
                "af0e9b97d560e0dd3aa497673a072010b31ac67389ebd741c5146fea895ce112",
                "02887f4661133cca3fbe339978638c0eaa0622663955c71f1c0b6db6bfea5e98",
                "b8ad8da84d927794fa6437bb7990f212cd53165f0ffeb9bd83d2c09777a2a0ae",
                "8f343156d370f2a673379a578ad85e8bcc69ddf73449208aee9fa716d3941676",
            ]
        );
    }

    #[test]
    fn an_epoch_is_as_many_steps_as_it_has_batches() {
        let (shape, classes) = &shapes()[0];
        let base = Parameters::initial(shape, 1);
        let by = |steps, epochs| {
            let mut settings = settings(OptimiserKind::Sgd);
            (settings.steps, settings.epochs, settings.batch) = (steps, epochs, 7);
            train(&base, &clouds(*classes), &settings, ShuffleSeed([1; 32])).unwrap()
        };
        assert_eq!(by(Some(18), None), by(None, Some(2)));
    }

    #[test]
    fn the_proximal_term_keeps_a_member_near_the_base() {
        let (shape, classes) = &shapes()[0];
        let base = Parameters::initial(shape, 1);
        let distance = |mu: &str| {
            let mut settings = settings(OptimiserKind::Sgd);
            settings.proximal = mu.parse().unwrap();
            let trained = train(&base, &clouds(*classes), &settings, ShuffleSeed([1; 32])).unwrap();
            trained
                .values()
                .iter()
                .zip(base.values())
                .map(|(a, b)| (a - b).powi(2))
                .sum::<f32>()
        };
        assert!(distance("1") < distance("0.1") && distance("0.1") < distance("0"));
    }

    #[test]
    fn refuses_what_does_not_fit_the_model() {
        let base = Parameters::initial(&Architecture::logistic(3), 1);
        let run =
            |rows: &Dataset, settings: &LocalTraining| train(&base, rows, settings, ShuffleSeed([0; 32]));
        let sgd = settings(OptimiserKind::Sgd);
        let wide = Dataset::new(4, vec![0.0; 8], vec![0, 1]).unwrap();
        assert_eq!(
            run(&wide, &sgd),
            Err(TrainingError::InputMismatch { expected: 3, got: 4 })
        );
        let third = clouds(3);
        let expected = TrainingError::ClassMismatch {
            row: 2,
            class: 2,
            classes: 2,
        };
        assert_eq!(run(&third, &sgd), Err(expected));
        let none = Dataset::new(3, vec![], vec![]).unwrap();
        assert_eq!(run(&none, &sgd), Err(TrainingError::Empty));
        for (steps, epochs, batch) in [(None, None, 4), (Some(1), Some(1), 4), (Some(1), None, 0)] {
            let settings = LocalTraining {
                steps,
                epochs,
                batch,
                ..sgd
            };
            assert_eq!(run(&clouds(2), &settings), Err(TrainingError::Settings));
        }
    }

    #[test]
    fn says_when_training_diverged() {
        let base = Parameters::initial(&Architecture::logistic(1), 1);
        let rows = Dataset::new(1, vec![1e20, -1e20], vec![0, 1]).unwrap();
        let mut settings = settings(OptimiserKind::Sgd);
        settings.lr = "1e30".parse().unwrap();
        assert!(matches!(
            train(&base, &rows, &settings, ShuffleSeed([0; 32])),
            Err(TrainingError::Diverged { .. })
        ));
    }
}
