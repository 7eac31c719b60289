//! Twenty members, some of them liars, through rounds of masked groups.

use counterweight_federated::{
    architecture::Architecture,
    attack::{DataAttack, UpdateAttack, View},
    parameters::Parameters,
    rules::{GroupMeans, GroupSum, Inputs, Rows, Rule},
    scoring::{Grouping, draw_groups},
    server_optimiser::{Aggregation, ServerOptimiser},
    table::Dataset,
    training::{LocalTraining, OptimiserKind, ShuffleSeed, train},
    update::{MOST_EXAMPLES, Update, UpdateRules},
};
use counterweight_primitives::{MemberIndex, Round, StudyId};

use crate::digits::{CLASSES, PIXELS};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const UNITS: f64 = (1 << 24) as f64;
/// Beyond any honest update's norm here, so that it hides nothing of what an attack does.
pub(crate) const CLIP: f64 = 8.0;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Honest,
    /// Trains on spoilt rows.
    Data(DataAttack),
    /// Writes its update itself. A sybil copies the first member's.
    Update(UpdateAttack),
}

pub(crate) struct Cohort {
    kinds: Vec<Kind>,
    rows: Vec<Dataset>,
    local: LocalTraining,
    size: usize,
    seed: u64,
    rule: Rule,
    model: Parameters,
    optimiser: ServerOptimiser,
    before: Option<Vec<i32>>,
    rounds: u32,
}

/// A round before its step.
pub(crate) struct Drawn {
    pub(crate) grouping: Grouping,
    pub(crate) means: GroupMeans,
    root: Option<Vec<i32>>,
}

impl Cohort {
    /// Members with their rows, in groups of `size` under a rule.
    pub(crate) fn new(
        kinds: Vec<Kind>,
        rows: &[Dataset],
        rule: Rule,
        size: usize,
        seed: u64,
    ) -> Result<Self, Failure> {
        let rows = rows
            .iter()
            .zip(&kinds)
            .map(|(rows, kind)| match kind {
                Kind::Data(attack) => Ok(attack.spoil(rows)?),
                Kind::Honest | Kind::Update(_) => Ok(rows.clone()),
            })
            .collect::<Result<_, Failure>>()?;
        let model = Parameters::initial(&Architecture::softmax(PIXELS as u32, CLASSES), seed);
        Ok(Self {
            optimiser: ServerOptimiser::new(Aggregation::default(), model.values().len()),
            local: LocalTraining {
                steps: None,
                epochs: Some(1),
                batch: 32,
                optimiser: OptimiserKind::Sgd,
                lr: "0.1".parse()?,
                proximal: "0".parse()?,
            },
            kinds,
            rows,
            size,
            seed,
            rule,
            model,
            before: None,
            rounds: 0,
        })
    }

    pub(crate) fn model(&self) -> &Parameters {
        &self.model
    }

    pub(crate) fn optimiser(&self) -> &ServerOptimiser {
        &self.optimiser
    }

    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }

    pub(crate) fn inputs<'a>(&'a self, drawn: &'a Drawn) -> Inputs<'a> {
        Inputs {
            centre: self.before.as_deref(),
            root: drawn.root.as_deref(),
            seed: [0; 32],
        }
    }

    fn honest(&self, rows: &Dataset, who: &[u8]) -> Result<Vec<i32>, Failure> {
        let rules = UpdateRules {
            study: StudyId(0),
            round: Round(self.rounds + 1),
            base: self.model.digest(),
            coordinates: self.model.values().len(),
            clip: CLIP,
            most_examples: MOST_EXAMPLES,
        };
        let seed = ShuffleSeed::derive(self.seed, self.rounds, who);
        let trained = train(&self.model, rows, &self.local, seed)?;
        let update = Update::of_training(&rules, MemberIndex(0), &self.model, &trained, 1)?;
        Ok(update.into_inner().coordinates)
    }

    /// Everyone's update, the groups of this round and their means.
    pub(crate) fn draw(&self, holdout: &Dataset) -> Result<Drawn, Failure> {
        let mut updates = Vec::with_capacity(self.kinds.len());
        for (member, rows) in self.rows.iter().enumerate() {
            updates.push(self.honest(rows, &member.to_le_bytes())?);
        }
        let ones = |units: &Vec<i32>| {
            units
                .iter()
                .map(|unit| f64::from(*unit) / UNITS)
                .collect::<Vec<f64>>()
        };
        let own: Vec<Vec<f64>> = updates.iter().map(ones).collect();
        let honest = self
            .kinds
            .iter()
            .zip(&own)
            .filter(|(kind, _)| **kind == Kind::Honest);
        let others: Vec<Vec<f64>> = honest.map(|(_, own)| own.clone()).collect();
        let before = self.before.as_ref().map(ones);
        for (member, kind) in self.kinds.iter().enumerate() {
            if let Kind::Update(attack) = kind {
                let copied = matches!(attack, UpdateAttack::Sybil { .. });
                updates[member] = attack.forge(&View {
                    own: if copied { &own[0] } else { &own[member] },
                    others: &others,
                    before: before.as_deref(),
                    clip: CLIP,
                    seed: self.seed ^ (u64::from(self.rounds) << 32 | member as u64),
                })?;
            }
        }
        let members: Vec<u32> = (0..).take(self.kinds.len()).collect();
        let mut beacon = [0; 32];
        beacon[..8].copy_from_slice(&self.seed.to_le_bytes());
        let grouping = draw_groups(&beacon, self.rounds, &members, self.size)?;
        let sums: Vec<GroupSum> = grouping
            .iter()
            .map(|group| {
                let mut sums = vec![0_i64; self.model.values().len()];
                for member in group {
                    let update = &updates[*member as usize];
                    sums.iter_mut()
                        .zip(update)
                        .for_each(|(sum, unit)| *sum += i64::from(*unit));
                }
                let members = group.len() as u32;
                GroupSum { members, sums }
            })
            .collect();
        let root = self.rule.needs_root().then(|| self.honest(holdout, b"hold-out"));
        Ok(Drawn {
            means: GroupMeans::of_sums(&sums, CLIP)?,
            grouping,
            root: root.transpose()?,
        })
    }

    /// The step that ends a round.
    pub(crate) fn step(&mut self, drawn: &Drawn) -> Result<(), Failure> {
        let sum = self
            .rule
            .combine_few(&Rows::new(drawn.means.rows())?, &self.inputs(drawn))?;
        self.before = Some(sum.rounded()?);
        self.model = self.optimiser.step(&self.model, &sum)?;
        self.rounds += 1;
        Ok(())
    }
}
