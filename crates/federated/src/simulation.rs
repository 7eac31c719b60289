//! Many members in one process, without a chain: to try settings and to measure.
//!
//! The same training, quantisation, aggregation and server step as a study's, and so the same model bits for the same
//! shuffles. Updates are summed as they are made, one sum a thread; since sums are exact, neither the number of threads
//! nor their timing changes a bit.

use std::borrow::Cow;

use counterweight_primitives::{MemberIndex, Round, StudyId};
use rayon::prelude::*;

use crate::{
    aggregate::{AggregateError, WeightedSum},
    parameters::Parameters,
    server_optimiser::{Aggregation, ServerError, ServerOptimiser},
    table::Dataset,
    training::{LocalTraining, ShuffleSeed, TrainingError, train},
    update::{MOST_EXAMPLES, Update, UpdateError, UpdateRules},
};

/// What happens in every round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// What a member does.
    pub local: LocalTraining,
    /// What the server does.
    pub aggregation: Aggregation,
    /// Largest norm of an update.
    pub clip: f64,
    /// Of the shuffles.
    pub seed: u64,
}

/// Members that train together, between two rounds.
#[derive(Debug, Clone)]
pub struct Simulation {
    settings: Settings,
    model: Parameters,
    optimiser: ServerOptimiser,
    rounds: u32,
}

/// Why a round could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// A member could not train.
    #[error("member {member} cannot train")]
    Training {
        /// Counted from 0.
        member: usize,
        /// Why.
        #[source]
        source: TrainingError,
    },
    /// A member's update is none.
    #[error("the update of member {member} is refused")]
    Update {
        /// Counted from 0.
        member: usize,
        /// Why.
        #[source]
        source: UpdateError,
    },
    /// The updates have no sum.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// The server cannot step.
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl Simulation {
    /// Before the first round.
    #[must_use]
    pub fn new(model: Parameters, settings: Settings) -> Self {
        Self {
            optimiser: ServerOptimiser::new(settings.aggregation, model.values().len()),
            settings,
            model,
            rounds: 0,
        }
    }

    /// One round with all the given members, in parallel. Memory grows with threads, not with members.
    ///
    /// # Errors
    /// [`SimulationError`]; the simulation is then as before the round.
    pub fn round(&mut self, members: &[Dataset]) -> Result<&Parameters, SimulationError> {
        self.round_of(members.len(), |member| Cow::Borrowed(&members[member]))
    }

    /// One round of so many members, whose rows are made when it is their turn and dropped after it: for more members
    /// than memory would hold.
    ///
    /// # Errors
    /// [`SimulationError`]; the simulation is then as before the round.
    pub fn round_of<'a>(
        &mut self,
        members: usize,
        rows_of: impl Fn(usize) -> Cow<'a, Dataset> + Sync,
    ) -> Result<&Parameters, SimulationError> {
        let number = self.rounds + 1;
        let coordinates = self.model.values().len();
        let rules = UpdateRules {
            study: StudyId(0),
            round: Round(number),
            base: self.model.digest(),
            coordinates,
            clip: self.settings.clip,
            most_examples: MOST_EXAMPLES,
        };
        let sum = (0..members)
            .into_par_iter()
            .try_fold(
                || WeightedSum::new(coordinates),
                |mut sum, member| {
                    let rows = rows_of(member);
                    let seed = self.shuffle_seed(number, member);
                    let trained = train(&self.model, &rows, &self.settings.local, seed)
                        .map_err(|source| SimulationError::Training { member, source })?;
                    // Here the index is a label that no sum depends on, so more members than a study has may share one.
                    let label = MemberIndex((member % 64) as u8);
                    let examples = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                    let update = Update::of_training(&rules, label, &self.model, &trained, examples)
                        .map_err(|source| SimulationError::Update { member, source })?;
                    sum.add(member, &update)?;
                    Ok::<_, SimulationError>(sum)
                },
            )
            .try_reduce(
                || WeightedSum::new(coordinates),
                |mut left, right| {
                    left.merge(0, &right)?;
                    Ok(left)
                },
            )?;
        self.model = self.optimiser.step(&self.model, &sum)?;
        self.rounds = number;
        Ok(&self.model)
    }

    /// The newest model.
    #[must_use]
    pub fn model(&self) -> &Parameters {
        &self.model
    }

    /// Rounds made.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    fn shuffle_seed(&self, round: u32, member: usize) -> ShuffleSeed {
        ShuffleSeed::derive(self.settings.seed, round, &(member as u64).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        architecture::Architecture,
        decimal::Decimal,
        training::{OptimiserKind, evaluate},
    };

    fn members(count: usize) -> Vec<Dataset> {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        let member = |size: usize| {
            let features: Vec<f32> = (0..3 * size).map(|_| noise()).collect();
            let labels = features
                .chunks(3)
                .map(|row| u32::from(row[0] - row[1] > 0.2))
                .collect();
            Dataset::new(3, features, labels).unwrap()
        };
        (1..=count).map(member).collect()
    }

    fn settings() -> Settings {
        Settings {
            local: LocalTraining {
                steps: None,
                epochs: Some(2),
                batch: 4,
                optimiser: OptimiserKind::Sgd,
                lr: "0.5".parse().unwrap(),
                proximal: Decimal::default(),
            },
            aggregation: Aggregation::default(),
            clip: 5.0,
            seed: 42,
        }
    }

    fn run(threads: usize) -> Parameters {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut simulation =
                Simulation::new(Parameters::initial(&Architecture::logistic(3), 42), settings());
            for _ in 0..6 {
                simulation.round(&members(30)).unwrap();
            }
            simulation.model().clone()
        })
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(7));
        let all = Dataset::concat(&members(30)).unwrap();
        assert!(evaluate(&one, &all).unwrap().accuracy > 0.9);
    }

    #[test]
    fn rows_made_on_demand_give_the_same_bits_as_rows_at_hand() {
        let members = members(20);
        let start = || Simulation::new(Parameters::initial(&Architecture::logistic(3), 42), settings());
        let (mut at_hand, mut made) = (start(), start());
        for _ in 0..3 {
            at_hand.round(&members).unwrap();
            made.round_of(20, |member| Cow::Owned(members[member].clone()))
                .unwrap();
        }
        assert_eq!(at_hand.model(), made.model());
    }

    #[test]
    fn a_round_that_fails_names_the_member_and_changes_nothing() {
        let mut simulation = Simulation::new(Parameters::initial(&Architecture::logistic(3), 42), settings());
        let before = simulation.model().clone();
        let mut members = members(3);
        members[2] = Dataset::new(2, vec![0.0; 2], vec![0]).unwrap();
        let error = simulation.round(&members).unwrap_err();
        assert_eq!(error.to_string(), "member 2 cannot train");
        assert!(matches!(
            simulation.round(&[]),
            Err(SimulationError::Server(ServerError::Aggregate(
                AggregateError::Empty
            )))
        ));
        assert_eq!((simulation.model(), simulation.rounds()), (&before, 0));
    }
}
