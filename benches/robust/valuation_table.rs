//! Scores of liars against those of honest members, and what copies earn.

use counterweight_federated::{
    attack::{DataAttack, UpdateAttack},
    rules::{Rows, Rule},
    scoring::{GroupScores, leave_one_group_out, shares},
    training::evaluate,
};
use counterweight_primitives::Ppm;
use rayon::prelude::*;

use crate::{
    Report,
    cohort::{CLIP, Cohort, Failure, Kind},
    digits::{CLASSES, Digits, Split},
};

const MEMBERS: usize = 20;
const ROUNDS: u32 = 20;
const SEEDS: u64 = 10;
/// Scored rounds before a share is paid.
const VESTING: u32 = 10;
const SIZES: [usize; 3] = [1, 2, 4];

const IDLE: Kind = Kind::Update(UpdateAttack::IdleRider);
const DISGUISED: Kind = Kind::Update(UpdateAttack::DisguisedRider { deviation: 1e-4 });
const NOISE: Kind = Kind::Update(UpdateAttack::Noise { deviation: 0.01 });
const FLIP: Kind = Kind::Data(DataAttack::LabelFlip { classes: CLASSES });
const COPY: Kind = Kind::Update(UpdateAttack::Sybil { deviation: 0.0 });

const REPEATING: &str = "disguised-riders";

/// The liars of a case; the other members are honest.
///
/// Who sends the last aggregate again is not told apart from who works, and is not claimed to be: it helps, as momentum
/// would.
const CASES: [(&str, &[Kind]); 4] = [
    ("idle-riders", &[IDLE; 4]),
    (REPEATING, &[DISGUISED; 4]),
    ("label-flip", &[FLIP; 4]),
    ("mixed", &[FLIP, FLIP, IDLE, IDLE, NOISE, NOISE]),
];

/// What one run says: by leaving groups out, and by looking at each group alone.
struct Found {
    scores: GroupScores,
    alone: GroupScores,
}

fn play(digits: &Digits, kinds: Vec<Kind>, split: Split, size: usize, seed: u64) -> Result<Found, Failure> {
    let members = kinds.len();
    let dealt = digits.deal(MEMBERS, split, 100 + seed)?;
    let rule = Rule::ClippedMean {
        norm: CLIP.to_string().parse()?,
    };
    let mut cohort = Cohort::new(kinds, &dealt, rule, size, seed)?;
    let mut found = Found {
        scores: GroupScores::new(members),
        alone: GroupScores::new(members),
    };
    for _ in 0..ROUNDS {
        let drawn = cohort.draw(&digits.holdout)?;
        let inputs = cohort.inputs(&drawn);
        let (_, values) = leave_one_group_out(
            cohort.model(),
            cohort.optimiser(),
            cohort.rule(),
            &inputs,
            &drawn.means,
            &digits.holdout,
        )?;
        found.scores.observe(&drawn.grouping, &values);
        let before = evaluate(cohort.model(), &digits.holdout)?.loss;
        let mut alone = Vec::new();
        for row in drawn.means.rows() {
            let sum = cohort.rule().combine_few(&Rows::new(vec![row])?, &inputs)?;
            let after = evaluate(
                &cohort.optimiser().clone().step(cohort.model(), &sum)?,
                &digits.holdout,
            )?
            .loss;
            alone.push(((before - after) * 1e9) as i64);
        }
        found.alone.observe(&drawn.grouping, &alone);
        cohort.step(&drawn)?;
    }
    Ok(found)
}

/// The chance that an honest member scores higher than a liar, ties counting half.
fn area(scores: &[i64], liars: usize) -> f64 {
    let (honest, bad) = scores.split_at(scores.len() - liars);
    let wins = honest
        .iter()
        .flat_map(|good| bad.iter().map(move |bad| (good, bad)));
    let won: f64 = wins
        .map(|(good, bad)| match good.cmp(bad) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
        .sum();
    won / (honest.len() * bad.len()) as f64
}

fn areas(digits: &Digits, liars: &[Kind], split: Split, size: usize) -> Result<[f64; 2], Failure> {
    let runs: Vec<[f64; 2]> = (0..SEEDS)
        .into_par_iter()
        .map(|seed| {
            let mut kinds = vec![Kind::Honest; MEMBERS - liars.len()];
            kinds.extend_from_slice(liars);
            let found = play(digits, kinds, split, size, seed)?;
            Ok([&found.scores, &found.alone].map(|scores| area(&scores.totals_nano(), liars.len())))
        })
        .collect::<Result<_, Failure>>()?;
    Ok([0, 1].map(|which: usize| runs.iter().map(|run| run[which]).sum::<f64>() / SEEDS as f64))
}

/// What the first member and its three copies earn together, and what it earns where there are no copies, as parts of all
/// that is paid.
fn copies(digits: &Digits, split: Split, size: usize) -> Result<(f64, f64), Failure> {
    let earned: Vec<(f64, f64)> = (0..SEEDS)
        .into_par_iter()
        .map(|seed| {
            let share = |copies: usize| -> Result<f64, Failure> {
                let mut kinds = vec![Kind::Honest; MEMBERS - 3];
                kinds.extend(vec![COPY; copies]);
                let found = play(digits, kinds, split, size, seed)?;
                let scores = &found.scores;
                let paid = shares(&scores.totals_nano(), &scores.rounds(), VESTING, Ppm::WHOLE);
                let shares: Vec<f64> = paid
                    .iter()
                    .map(|share| f64::from(share.millionths()) / 1e6)
                    .collect();
                let same = |member: &usize| *member == 0 || *member >= MEMBERS - 3;
                Ok((0..shares.len()).filter(same).map(|member| shares[member]).sum())
            };
            Ok((share(3)?, share(0)?))
        })
        .collect::<Result<_, Failure>>()?;
    let mean = |pick: &dyn Fn(&(f64, f64)) -> f64| earned.iter().map(pick).sum::<f64>() / SEEDS as f64;
    Ok((mean(&|both| both.0), mean(&|both| both.1)))
}

pub(crate) fn make(digits: &Digits) -> Result<Report, Failure> {
    let mut report = Report {
        text: format!(
            "Chance that an honest member scores above a liar after {ROUNDS} rounds, {MEMBERS} members, mean of {SEEDS} seeds:\n\
             by what leaving its groups out costs / by what its groups win alone.\n\n{:18}{:16}",
            "", ""
        ),
        ..Report::default()
    };
    SIZES
        .iter()
        .for_each(|size| report.text += &format!("{:>19}", format!("groups of {size}")));
    report.text += "\n";
    let mut pairs = Vec::new();
    for (name, liars) in CASES {
        for split in Split::ALL {
            report.text += &format!("{name:18}{:16}", split.name());
            for size in SIZES {
                let [without, alone] = areas(digits, liars, split, size)?;
                report.text += &format!("{:>19}", format!("{without:.3} / {alone:.3}"));
                let key = format!("{}.s{size}.{name}", split.name());
                report.figure(key.clone(), without);
                report.figure(format!("{key}.alone"), alone);
                if size == 2 && name != REPEATING {
                    pairs.push((split, without));
                }
            }
            report.text += "\n";
        }
    }
    report.text += "\nPart of all pay that one member and three copies of it earn together / that it earns without copies.\n\n";
    let mut no_gain = true;
    for split in Split::ALL {
        report.text += &format!("{:18}{:16}", "four-copies", split.name());
        for size in SIZES {
            let (four, one) = copies(digits, split, size)?;
            report.text += &format!("{:>19}", format!("{four:.3} / {one:.3}"));
            report.figure(format!("{}.s{size}.four-copies", split.name()), four);
            report.figure(format!("{}.s{size}.one", split.name()), one);
            no_gain &= size != 2 || four <= one;
        }
        report.text += "\n";
    }
    report.text += "\n";
    let least = |wanted: Split| {
        let of = pairs.iter().filter(|(split, _)| *split == wanted);
        of.map(|(_, score)| *score).fold(1.0, f64::min)
    };
    report.claims = vec![
        (
            "groups of 2, iid: at least 0.95 in every case but that of disguised riders".into(),
            least(Split::Iid) >= 0.95,
        ),
        (
            "groups of 2, Dirichlet 0.5: at least 0.9 in every case but that of disguised riders".into(),
            least(Split::Dirichlet) >= 0.9,
        ),
        (
            "groups of 2: four copies earn no more than one member".into(),
            no_gain,
        ),
    ];
    Ok(report)
}
