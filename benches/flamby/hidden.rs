//! The same hospitals with updates masked, and with each patient's row private.

use std::collections::BTreeMap;

use counterweight_federated::{
    architecture::Architecture,
    masking::{Announcement, Dealing, Group, Member, Place, fraction_bits, recover},
    parameters::Parameters,
    privacy::{
        Budget,
        accountant::{Accountant, noise_for},
    },
    rules::{GroupMeans, GroupSum, Inputs, Rows, Rule},
    server_optimiser::{Aggregation, ServerOptimiser},
    table::Dataset,
    training::{
        LocalTraining, OptimiserKind, PrivateTraining, ShuffleSeed, evaluate, train, train_privately,
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use crate::{Error, INPUTS, RECOMMENDED_LR, ROUNDS, SEEDS, decimal};

/// Beyond any coordinate of an update here.
const LARGEST: f64 = 16.0;

/// How a round's updates reach the server.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Masked,
}

/// Each centre's update, weighted by its part of all training rows and rounded to the fraction bits that a sum of so many
/// has room for.
fn weighted(base: &Parameters, trained: &[Parameters], rows: &[Dataset]) -> Result<Vec<Vec<i32>>, Error> {
    let bits = fraction_bits(LARGEST, u16::try_from(rows.len())?).ok_or("no room for a sum")?;
    let all: usize = rows.iter().map(Dataset::len).sum();
    let vector = |(trained, rows): (&Parameters, &Dataset)| {
        let share = rows.len() as f64 / all as f64 * f64::from(1_u32 << bits);
        let moved = trained.values().iter().zip(base.values());
        let unit = |(after, before): (&f32, &f32)| {
            ((f64::from(*after) - f64::from(*before)) * share).round_ties_even() as i32
        };
        moved.map(unit).collect()
    };
    if bits != 24 {
        return Err(format!("{bits} fraction bits, the server counts in 24").into());
    }
    Ok(trained.iter().zip(rows).map(vector).collect())
}

/// One round of masked summation among the centres, everything through the protocol's own messages.
fn masked_sum(vectors: &[Vec<i32>], seed: u64, round: u32) -> Result<Vec<i32>, Error> {
    let mut context = [0; 32];
    context[..8].copy_from_slice(&seed.to_le_bytes());
    context[8..12].copy_from_slice(&round.to_le_bytes());
    let size = u16::try_from(vectors.len())?;
    let group = Group {
        context,
        size,
        degree: size - 1,
        threshold: 2,
        fewest_survivors: 3,
        coordinates: vectors[0].len(),
    };
    let mut random = ChaCha20Rng::seed_from_u64(seed << 32 | u64::from(round));
    let mut members: Vec<Member> = group
        .places()
        .map(|place| Member::new(&group, place, &mut random))
        .collect::<Result<_, _>>()?;
    let announced: Vec<Announcement> = members.iter().map(Member::announcement).collect();
    let dealings: Vec<Dealing> = members
        .iter_mut()
        .map(|member| member.share(&announced, &mut random))
        .collect::<Result<_, _>>()?;
    let mut masked = BTreeMap::new();
    for ((place, member), vector) in group.places().zip(&mut members).zip(vectors) {
        masked.insert(place, member.mask(vector, &dealings)?);
    }
    let survivors = masked
        .keys()
        .copied()
        .collect::<std::collections::BTreeSet<Place>>();
    let unmaskings = members
        .iter_mut()
        .map(|member| member.unmask(&survivors))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(recover(&group, &announced, &dealings, &masked, &unmaskings)?)
}

/// The sum as anyone would make it who saw the vectors.
fn plain_sum(vectors: &[Vec<i32>]) -> Vec<i32> {
    (0..vectors[0].len())
        .map(|at| vectors.iter().map(|vector| vector[at]).sum())
        .collect()
}

fn step(
    base: &Parameters,
    optimiser: &mut ServerOptimiser,
    vectors: &[Vec<i32>],
    sum: &[i32],
) -> Result<Parameters, Error> {
    if sum != plain_sum(vectors) {
        return Err("the sum is not the plain one to the bit".into());
    }
    let sums = sum.iter().map(|value| i64::from(*value)).collect();
    // Weights are in the vectors already, so the sum is the mean.
    let means = GroupMeans::of_sums(&[GroupSum { members: 1, sums }], LARGEST)?;
    let rule = Rule::ClippedMean {
        norm: decimal(&LARGEST.to_string()),
    };
    let combined = rule.combine(&Rows::new(means.rows())?, &Inputs::default())?;
    Ok(optimiser.step(base, &combined)?)
}

/// Pooled-test accuracy of the recommended method, mean over the seeds.
fn recommended(train_rows: &[Dataset], pooled: &Dataset, way: Way) -> Result<(f64, Vec<Parameters>), Error> {
    let local = LocalTraining {
        steps: Some(100),
        epochs: None,
        batch: 4,
        optimiser: OptimiserKind::Sgd,
        lr: decimal(RECOMMENDED_LR),
        proximal: decimal("0"),
    };
    let mut models = Vec::new();
    for seed in SEEDS {
        let mut model = Parameters::initial(&Architecture::logistic(INPUTS as u32), seed);
        let mut optimiser = ServerOptimiser::new(Aggregation::default(), model.values().len());
        for round in 1..=ROUNDS {
            let trained: Vec<Parameters> = train_rows
                .iter()
                .zip(0_u64..)
                .map(|(rows, member)| {
                    train(
                        &model,
                        rows,
                        &local,
                        ShuffleSeed::derive(seed, round, &member.to_le_bytes()),
                    )
                })
                .collect::<Result<_, _>>()?;
            let vectors = weighted(&model, &trained, train_rows)?;
            let sum = match way {
                Way::Plain => plain_sum(&vectors),
                Way::Masked => masked_sum(&vectors, seed, round)?,
            };
            model = step(&model, &mut optimiser, &vectors, &sum)?;
        }
        models.push(model);
    }
    mean_accuracy(models, pooled)
}

fn mean_accuracy(models: Vec<Parameters>, pooled: &Dataset) -> Result<(f64, Vec<Parameters>), Error> {
    let mut sum = 0.0;
    for model in &models {
        sum += evaluate(model, pooled)?.accuracy;
    }
    Ok((sum / models.len() as f64, models))
}

/// The failure probability of the privacy tables.
pub(crate) const DELTA: f64 = 1e-5;

/// Accuracy where each row is private with a budget, or without noise to speak of; with the noise and what it spent.
fn private(train_rows: &[Dataset], pooled: &Dataset, epsilon: Option<f64>) -> Result<(f64, f64, f64), Error> {
    // Every row in the one step of each round: for so few rows drawing some of them saves less than it costs.
    let mut settings = PrivateTraining {
        steps: 1,
        probability: 1.0,
        clip: 0.5,
        noise: 1e-6,
        lr: 2.0,
    };
    if let Some(epsilon) = epsilon {
        let budget = Budget {
            epsilon,
            delta: DELTA,
        };
        settings.noise = noise_for(&budget, settings.mechanism().sampling, ROUNDS)?;
    }
    let mut spent = Accountant::new();
    let mut models = Vec::new();
    for seed in SEEDS {
        let mut model = Parameters::initial(&Architecture::logistic(INPUTS as u32), seed);
        let mut optimiser = ServerOptimiser::new(Aggregation::default(), model.values().len());
        let mut random = ChaCha20Rng::seed_from_u64(seed);
        for _ in 0..ROUNDS {
            let trained: Vec<Parameters> = train_rows
                .iter()
                .map(|rows| train_privately(&model, rows, &settings, &mut random))
                .collect::<Result<_, _>>()?;
            let vectors = weighted(&model, &trained, train_rows)?;
            let sum = plain_sum(&vectors);
            model = step(&model, &mut optimiser, &vectors, &sum)?;
        }
        models.push(model);
    }
    spent.spend(&settings.mechanism(), ROUNDS * settings.steps)?;
    let (accuracy, _) = mean_accuracy(models, pooled)?;
    Ok((accuracy, settings.noise, spent.epsilon(DELTA)))
}

/// Accuracies of the recommended method plain and masked, and with each row private.
pub(crate) struct Hidden {
    pub(crate) plain: f64,
    pub(crate) masked: f64,
    /// Whether masked models are the plain ones bit for bit.
    pub(crate) same_bits: bool,
    /// Budget, accuracy, noise, what was spent.
    pub(crate) private: Vec<(Option<f64>, f64, f64, f64)>,
}

pub(crate) fn measure(train_rows: &[Dataset], pooled: &Dataset) -> Result<Hidden, Error> {
    let (plain, plain_models) = recommended(train_rows, pooled, Way::Plain)?;
    let (masked, masked_models) = recommended(train_rows, pooled, Way::Masked)?;
    let mut rows = Vec::new();
    for epsilon in [None, Some(4.0), Some(1.0)] {
        let (accuracy, noise, spent) = private(train_rows, pooled, epsilon)?;
        rows.push((epsilon, accuracy, noise, spent));
    }
    Ok(Hidden {
        plain,
        masked,
        same_bits: plain_models == masked_models,
        private: rows,
    })
}
