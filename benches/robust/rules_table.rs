//! Accuracy under attack, for each rule.

use counterweight_federated::{
    attack::{DataAttack, UpdateAttack, enough_deviations},
    rules::Rule,
    table::Dataset,
    training::evaluate,
};
use rayon::prelude::*;

use crate::{
    Report,
    cohort::{Cohort, Failure, Kind},
    digits::{CLASSES, Digits, PIXELS, Split},
};

const MEMBERS: usize = 20;
const LIARS: usize = 4;
const ROUNDS: u32 = 15;
const SIZES: [usize; 3] = [1, 2, 4];
/// The corner of a digit, always black.
const TRIGGER: usize = PIXELS - 1;
const TARGET: u32 = 7;

fn attacks() -> Vec<(&'static str, Kind)> {
    let update = Kind::Update;
    vec![
        ("none", Kind::Honest),
        ("sign-flip", update(UpdateAttack::SignFlip { factor: 3.0 })),
        ("scaling", update(UpdateAttack::Scaling { factor: 10.0 })),
        ("noise", update(UpdateAttack::Noise { deviation: 0.05 })),
        (
            "little-is-enough",
            update(UpdateAttack::LittleIsEnough {
                deviations: enough_deviations(MEMBERS as u32, LIARS as u32),
            }),
        ),
        (
            "inner-product",
            update(UpdateAttack::InnerProduct { factor: 2.0 }),
        ),
        ("idle-rider", update(UpdateAttack::IdleRider)),
        (
            "disguised-rider",
            update(UpdateAttack::DisguisedRider { deviation: 1e-4 }),
        ),
        ("sybil", update(UpdateAttack::Sybil { deviation: 1e-5 })),
        (
            "label-flip",
            Kind::Data(DataAttack::LabelFlip { classes: CLASSES }),
        ),
        (
            "backdoor",
            Kind::Data(DataAttack::Backdoor {
                input: TRIGGER,
                value: 4.0,
                class: TARGET,
                every: 2,
            }),
        ),
    ]
}

/// The rules, set for as many tainted groups as there are liars, or as many as they can stand.
fn rules(groups: usize) -> Result<Vec<Rule>, Failure> {
    let faulty = LIARS.min(groups.saturating_sub(3) / 2) as u8;
    let trim = LIARS.min((groups - 1) / 2) as u8;
    let bucket = 1;
    Ok(vec![
        Rule::ClippedMean { norm: "127".parse()? },
        Rule::ClippedMean { norm: "1".parse()? },
        Rule::Median { bucket },
        Rule::TrimmedMean { trim, bucket },
        Rule::Krum { faulty, bucket },
        Rule::MultiKrum {
            faulty,
            keep: None,
            bucket,
        },
        Rule::GeometricMedian {
            iterations: 32,
            bucket,
        },
        Rule::CentredClipping {
            radius: "0.5".parse()?,
            iterations: 3,
            bucket,
        },
        Rule::Fltrust { bucket },
    ])
}

/// Which rule it is, for a table: the clipped mean with a clip that nothing reaches is the mean.
fn names() -> Vec<&'static str> {
    std::iter::once("mean").chain(Rule::NAMES).collect()
}

/// What part of the test digits are recognised; and, of those with the trigger, answered with the target.
fn accuracy(
    digits: &Digits,
    dealt: &[Dataset],
    liar: Kind,
    rule: Rule,
    size: usize,
) -> Result<(f64, f64), Failure> {
    let kinds = (0..MEMBERS).map(|member| {
        if member + LIARS < MEMBERS {
            Kind::Honest
        } else {
            liar
        }
    });
    let mut cohort = Cohort::new(kinds.collect(), dealt, rule, size, 42)?;
    for _ in 0..ROUNDS {
        let drawn = cohort.draw(&digits.holdout)?;
        cohort.step(&drawn)?;
    }
    let backdoor = match liar {
        Kind::Data(attack @ DataAttack::Backdoor { .. }) => {
            let every = match attack {
                DataAttack::Backdoor {
                    input, value, class, ..
                } => DataAttack::Backdoor {
                    input,
                    value,
                    class,
                    every: 1,
                },
                other => other,
            };
            evaluate(cohort.model(), &every.spoil(&digits.test)?)?.accuracy
        }
        _ => 0.0,
    };
    Ok((evaluate(cohort.model(), &digits.test)?.accuracy, backdoor))
}

pub(crate) fn make(digits: &Digits) -> Result<Report, Failure> {
    let mut report = Report {
        text: format!(
            "Accuracy on 2,000 test digits after {ROUNDS} rounds, softmax regression, {MEMBERS} members, {LIARS} of them liars.\n\
             Rows of backdoor say besides what part of the triggered digits get the liars' answer.\n"
        ),
        ..Report::default()
    };
    let names = names();
    let count = names.len();
    let mut held = Vec::new();
    for split in Split::ALL {
        let dealt = digits.deal(MEMBERS, split, 7)?;
        for size in SIZES {
            report.text += &format!("\n{}, groups of {size}\n{:18}", split.name(), "");
            names
                .iter()
                .for_each(|name| report.text += &format!("{name:>17}"));
            report.text += "\n";
            let cells: Vec<(usize, usize)> = (0..attacks().len())
                .flat_map(|attack| (0..count).map(move |rule| (attack, rule)))
                .collect();
            let found: Vec<(f64, f64)> = cells
                .par_iter()
                .map(|(attack, rule)| {
                    let rule = rules(MEMBERS / size)?[*rule];
                    accuracy(digits, &dealt, attacks()[*attack].1, rule, size)
                })
                .collect::<Result<_, Failure>>()?;
            for ((name, _), row) in attacks().iter().zip(found.chunks(names.len())) {
                report.text += &format!("{name:18}");
                for (rule, (accuracy, backdoor)) in names.iter().zip(row) {
                    report.text += &match *name == "backdoor" {
                        true => format!("{:>9.3} / {backdoor:.3}", accuracy),
                        false => format!("{accuracy:>17.3}"),
                    };
                    report.figure(format!("{}.s{size}.{name}.{rule}", split.name()), *accuracy);
                    if *name == "backdoor" {
                        report.figure(
                            format!("{}.s{size}.{name}.{rule}.triggered", split.name()),
                            *backdoor,
                        );
                    }
                }
                report.text += "\n";
                let best = row.iter().map(|(accuracy, _)| *accuracy).fold(0.0, f64::max);
                held.push((split, size, *name, best, found[0].0));
            }
        }
    }
    let within = |wanted: Split, size: usize, points: f64| {
        let rows = held
            .iter()
            .filter(|(split, of, ..)| *split == wanted && *of == size);
        rows.clone().count() > 0
            && rows
                .into_iter()
                .all(|(_, _, _, best, plain)| best + points >= *plain)
    };
    report.claims = vec![
        (
            "iid, single updates: for every attack some rule stays within 1 point of the mean without attack"
                .into(),
            within(Split::Iid, 1, 0.01),
        ),
        (
            "iid, groups of 2: within 1 point".into(),
            within(Split::Iid, 2, 0.01),
        ),
        (
            "iid, groups of 4: within 3 points".into(),
            within(Split::Iid, 4, 0.03),
        ),
    ];
    Ok(report)
}
