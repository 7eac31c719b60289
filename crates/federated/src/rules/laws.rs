//! What every rule must obey, and each against the paper's formula written down plainly.

use proptest::prelude::*;

use super::{GroupMeans, GroupSum, Inputs, Row, Rows, Rule};
use crate::{aggregate::WeightedSum, decimal::Decimal};

const UNITS: f64 = (1 << 24) as f64;

type Vectors = Vec<Vec<i32>>;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Every rule, fit for at least five rows.
fn rules(bucket: u8) -> Vec<Rule> {
    let radius = decimal("0.25");
    let mut rules = vec![
        Rule::Median { bucket },
        Rule::TrimmedMean { trim: 1, bucket },
        Rule::Krum { faulty: 1, bucket },
        Rule::MultiKrum {
            faulty: 1,
            keep: Some(3),
            bucket,
        },
        Rule::GeometricMedian {
            iterations: 32,
            bucket,
        },
        Rule::CentredClipping {
            radius,
            iterations: 3,
            bucket,
        },
        Rule::Fltrust { bucket },
    ];
    if bucket == 1 {
        rules.push(Rule::ClippedMean { norm: radius });
    }
    rules
}

fn combine(rule: Rule, vectors: &[Vec<i32>], order: &[usize]) -> WeightedSum {
    let root = vec![1 << 20; vectors[0].len()];
    let inputs = Inputs {
        centre: None,
        root: Some(&root),
        seed: [7; 32],
    };
    let row = |at: &usize| Row {
        owner: *at as u32,
        weight: 1 + (*at as u32 * 7) % 5,
        coordinates: &vectors[*at],
    };
    let rows = Rows::new(order.iter().map(row).collect()).unwrap();
    rule.combine(&rows, &inputs).unwrap()
}

fn in_order(rule: Rule, vectors: &[Vec<i32>]) -> WeightedSum {
    combine(rule, vectors, &(0..vectors.len()).collect::<Vec<_>>())
}

fn mean(rule: Rule, vectors: &[Vec<i32>]) -> Vec<f64> {
    in_order(rule, vectors).mean().unwrap()
}

fn vectors(count: std::ops::Range<usize>) -> impl Strategy<Value = Vectors> {
    let one = proptest::collection::vec(-(1 << 24)..1 << 24, 4);
    proptest::collection::vec(one, count)
}

fn floats(vectors: &[Vec<i32>]) -> Vec<Vec<f64>> {
    let row = |vector: &Vec<i32>| vector.iter().map(|value| f64::from(*value) / UNITS).collect();
    vectors.iter().map(row).collect()
}

fn distance(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

fn assert_near(got: &[f64], expected: &[f64], within: f64) -> Result<(), TestCaseError> {
    prop_assert!(distance(got, expected) <= within, "{got:?} {expected:?}");
    Ok(())
}

fn average(rows: &[Vec<f64>]) -> Vec<f64> {
    (0..rows[0].len())
        .map(|at| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64)
        .collect()
}

proptest! {
    #[test]
    fn the_order_of_rows_changes_no_bit(vectors in vectors(9..14), bucket in 1_u8..3, seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..vectors.len()).collect();
        order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1));
        for rule in rules(bucket) {
            prop_assert_eq!(combine(rule, &vectors, &order), in_order(rule, &vectors), "{:?}", rule);
        }
    }

    /// Copies of rows, as sybils send them, are ties everywhere.
    #[test]
    fn ties_are_decided_by_content(vectors in vectors(5..7), seed in any::<u64>()) {
        let doubled: Vectors = vectors.iter().chain(&vectors).cloned().collect();
        let mut order: Vec<usize> = (0..doubled.len()).collect();
        order.sort_by_key(|at| (*at as u64 + 1).wrapping_mul(seed | 1));
        for rule in rules(1) {
            if !matches!(rule, Rule::ClippedMean { .. }) {
                prop_assert_eq!(combine(rule, &doubled, &order), in_order(rule, &doubled), "{:?}", rule);
            }
        }
    }

    #[test]
    fn rows_that_agree_are_the_result(vector in proptest::collection::vec(-(1 << 16)..1 << 16, 4)) {
        let all = vec![vector.clone(); 9];
        let expected = &floats(&[vector])[0];
        for rule in rules(1) {
            if !matches!(rule, Rule::Fltrust { .. }) {
                assert_near(&mean(rule, &all), expected, 1e-6)?;
            }
        }
    }

    #[test]
    fn moving_every_row_moves_the_result(vectors in vectors(7..9), by in proptest::collection::vec(-(1 << 24)..1 << 24, 4)) {
        let moved: Vectors = vectors
            .iter()
            .map(|vector| vector.iter().zip(&by).map(|(value, by)| value + by).collect())
            .collect();
        for rule in rules(1) {
            // The others know a fixed point: zero, the centre, or the trusted update.
            let exact = match rule {
                Rule::Median { .. } | Rule::TrimmedMean { .. } => true,
                // Exact too, unless two rows have equal scores.
                Rule::Krum { .. } | Rule::MultiKrum { .. } => true,
                Rule::GeometricMedian { .. } => false,
                _ => continue,
            };
            let expected: Vec<f64> = mean(rule, &vectors)
                .iter()
                .zip(&by)
                .map(|(value, by)| value + f64::from(*by) / UNITS)
                .collect();
            assert_near(&mean(rule, &moved), &expected, if exact { 1e-12 } else { 1e-6 })?;
        }
    }

    #[test]
    fn scaling_every_row_scales_the_result(vectors in vectors(7..9), factor in 2_i32..9) {
        let scaled: Vectors =
            vectors.iter().map(|vector| vector.iter().map(|value| value * factor).collect()).collect();
        for rule in rules(1) {
            let within = match rule {
                Rule::Median { .. } | Rule::TrimmedMean { .. } | Rule::Krum { .. } | Rule::MultiKrum { .. } => 1e-12,
                Rule::GeometricMedian { .. } => 1e-5,
                // A fixed length is in them.
                _ => continue,
            };
            let expected: Vec<f64> = mean(rule, &vectors).iter().map(|value| value * f64::from(factor)).collect();
            assert_near(&mean(rule, &scaled), &expected, within)?;
        }
    }

    /// Two of seven send what they like; five honest rows lie in a ball of radius 0.02 around a point.
    #[test]
    fn a_minority_of_liars_cannot_pull_the_result_away(
        honest in proptest::collection::vec(proptest::collection::vec(-(1 << 17)..1 << 17, 4), 5),
        middle in proptest::collection::vec(-(1 << 22)..1 << 22, 4),
        lies in proptest::collection::vec(proptest::collection::vec(-(63 << 24)..63 << 24, 4), 2),
    ) {
        let mut all: Vectors = honest
            .iter()
            .map(|vector| vector.iter().zip(&middle).map(|(value, middle)| value + middle).collect())
            .collect();
        all.extend(lies);
        let centre = &floats(&[middle])[0];
        for rule in [
            Rule::Median { bucket: 1 },
            Rule::TrimmedMean { trim: 2, bucket: 1 },
            Rule::Krum { faulty: 2, bucket: 1 },
            Rule::MultiKrum { faulty: 2, keep: Some(3), bucket: 1 },
            Rule::GeometricMedian { iterations: 100, bucket: 1 },
        ] {
            // (2 - 2α)/(1 - 2α) times the radius for the geometric median with α = 2/7, which is the largest bound.
            assert_near(&mean(rule, &all), centre, 0.02 * (10.0 / 3.0) + 1e-3)?;
        }
        let centred = Rule::CentredClipping { radius: decimal("0.1"), iterations: 60, bucket: 1 };
        // Each pass moves at most 2/7 of a radius the wrong way and pulls back by what the honest ones are away.
        assert_near(&mean(centred, &all), centre, 0.02 + 0.1 * 2.0 / 5.0 + 1e-3)?;
    }

    #[test]
    fn the_median_is_the_sorted_middle(vectors in vectors(1..12)) {
        let got = mean(Rule::Median { bucket: 1 }, &vectors);
        for (at, got) in got.iter().enumerate() {
            let mut column: Vec<i64> = vectors.iter().map(|vector| i64::from(vector[at])).collect();
            column.sort_unstable();
            let count = column.len();
            let middle = column[(count - 1) / 2] + column[count / 2];
            prop_assert_eq!(*got, middle as f64 / 2.0 / UNITS);
        }
    }

    #[test]
    fn the_trimmed_mean_leaves_the_ends_out(vectors in vectors(7..12), trim in 0_u8..4) {
        let got = mean(Rule::TrimmedMean { trim, bucket: 1 }, &vectors);
        for (at, got) in got.iter().enumerate() {
            let mut column: Vec<f64> = vectors.iter().map(|vector| f64::from(vector[at]) / UNITS).collect();
            column.sort_by(f64::total_cmp);
            let kept = &column[usize::from(trim)..column.len() - usize::from(trim)];
            prop_assert!((got - kept.iter().sum::<f64>() / kept.len() as f64).abs() < 1e-12);
        }
    }

    #[test]
    fn krum_is_the_papers(vectors in vectors(5..10)) {
        let rows = floats(&vectors);
        let score = |row: &Vec<f64>| {
            let mut squares: Vec<f64> = rows.iter().map(|other| distance(row, other).powi(2)).collect();
            squares.sort_by(f64::total_cmp);
            // The first is the row itself.
            squares[1..1 + rows.len() - 1 - 2].iter().sum::<f64>()
        };
        let mut by_score: Vec<&Vec<f64>> = rows.iter().collect();
        by_score.sort_by(|a, b| score(a).total_cmp(&score(b)));
        let got = mean(Rule::Krum { faulty: 1, bucket: 1 }, &vectors);
        assert_near(&got, by_score[0], 1e-12)?;
        let three: Vec<Vec<f64>> = by_score[..3].iter().map(|row| (*row).clone()).collect();
        let got = mean(Rule::MultiKrum { faulty: 1, keep: Some(3), bucket: 1 }, &vectors);
        assert_near(&got, &average(&three), 1e-12)?;
    }

    #[test]
    fn the_geometric_median_is_weiszfelds_on_vectors(vectors in vectors(3..10)) {
        let rows = floats(&vectors);
        let mut point = average(&rows);
        for _ in 0..32 {
            let weights: Vec<f64> = rows.iter().map(|row| 1.0 / distance(row, &point).max(1.0 / f64::from(1 << 20))).collect();
            let total: f64 = weights.iter().sum();
            point = (0..4)
                .map(|at| rows.iter().zip(&weights).map(|(row, weight)| row[at] * weight).sum::<f64>() / total)
                .collect();
        }
        assert_near(&mean(Rule::GeometricMedian { iterations: 32, bucket: 1 }, &vectors), &point, 1e-5)?;
    }

    #[test]
    fn centred_clipping_is_the_papers(vectors in vectors(3..10), start in proptest::collection::vec(-(1 << 24)..1 << 24, 4)) {
        let rows = floats(&vectors);
        let mut point = floats(std::slice::from_ref(&start))[0].clone();
        for _ in 0..3 {
            let steps: Vec<Vec<f64>> = rows
                .iter()
                .map(|row| {
                    let scale = (0.25 / distance(row, &point)).min(1.0);
                    row.iter().zip(&point).map(|(value, from)| (value - from) * scale).collect()
                })
                .collect();
            let step = average(&steps);
            point = point.iter().zip(step).map(|(value, step)| value + step).collect();
        }
        let rule = Rule::CentredClipping { radius: decimal("0.25"), iterations: 3, bucket: 1 };
        let rows = vectors.iter().map(|coordinates| Row { owner: 0, weight: 1, coordinates }).collect();
        let inputs = Inputs { centre: Some(&start), ..Inputs::default() };
        let got = rule.combine(&Rows::new(rows).unwrap(), &inputs).unwrap().mean().unwrap();
        assert_near(&got, &point, 1e-6)?;
    }

    #[test]
    fn the_clipped_mean_is_by_examples(vectors in vectors(1..10)) {
        let rows = floats(&vectors);
        let weight = |at: usize| (1 + (at * 7) % 5) as f64;
        let total: f64 = (0..rows.len()).map(weight).sum();
        let mut expected = [0.0; 4];
        for (at, row) in rows.iter().enumerate() {
            let scale = (0.25 / distance(row, &[0.0; 4])).min(1.0);
            for (sum, value) in expected.iter_mut().zip(row) {
                *sum += weight(at) / total * scale * value;
            }
        }
        assert_near(&mean(Rule::ClippedMean { norm: decimal("0.25") }, &vectors), &expected, 1e-6)?;
    }

    #[test]
    fn fltrust_is_the_papers(vectors in vectors(1..10)) {
        let (rows, root) = (floats(&vectors), [1.0 / 16.0; 4]);
        let length = |row: &[f64]| distance(row, &[0.0; 4]);
        let mut expected = [0.0; 4];
        let mut total = 0.0;
        for row in &rows {
            let product: f64 = row.iter().zip(root).map(|(a, b)| a * b).sum();
            let trust = (product / (length(row) * length(&root))).max(0.0);
            total += trust;
            for (sum, value) in expected.iter_mut().zip(row) {
                *sum += trust * length(&root) / length(row) * value;
            }
        }
        if total > 1e-6 {
            let expected: Vec<f64> = expected.iter().map(|sum| sum / total).collect();
            assert_near(&mean(Rule::Fltrust { bucket: 1 }, &vectors), &expected, 1e-5)?;
        }
    }

    /// Masked groups of one member each are the members themselves.
    #[test]
    fn groups_of_one_change_nothing(vectors in vectors(5..9)) {
        let sums: Vec<GroupSum> = vectors
            .iter()
            .map(|vector| GroupSum { members: 1, sums: vector.iter().map(|value| i64::from(*value)).collect() })
            .collect();
        let means = GroupMeans::of_sums(&sums, 127.0).unwrap();
        let root = vec![1 << 20; 4];
        for rule in rules(1) {
            let inputs = Inputs { root: Some(&root), ..Inputs::default() };
            let plain = vectors.iter().zip(0..).map(|(coordinates, owner)| Row { owner, weight: 1, coordinates });
            let plain = Rows::new(plain.collect()).unwrap();
            let grouped = Rows::new(means.rows()).unwrap();
            prop_assert_eq!(rule.combine(&grouped, &inputs).unwrap(), rule.combine(&plain, &inputs).unwrap());
        }
    }

    /// The mean of equal buckets is the mean: only a rule that treats rows differently feels bucketing.
    #[test]
    fn bucketing_averages(vectors in proptest::collection::vec(proptest::collection::vec(-(1 << 24)..1 << 24, 4), 6)) {
        let got = mean(Rule::TrimmedMean { trim: 0, bucket: 2 }, &vectors);
        assert_near(&got, &average(&floats(&vectors)), 1e-6)?;
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let vectors: Vectors = (0..9_u32)
        .map(|row| {
            (0..9_000_u32)
                .map(|at| (at.wrapping_mul(2_654_435_761).wrapping_add(row * 997) as i32) >> 12)
                .collect()
        })
        .collect();
    for rule in rules(1).into_iter().chain(rules(2)) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| in_order(rule, &vectors))
        };
        let one = with(1);
        assert_eq!(one, with(2), "{rule:?}");
        assert_eq!(one, with(5), "{rule:?}");
    }
}

#[test]
fn fewer_rows_than_a_rule_needs_are_refused_and_told() {
    let vectors = vec![vec![1, 2]; 4];
    let rows = vectors.iter().map(|coordinates| Row {
        owner: 0,
        weight: 1,
        coordinates,
    });
    let rows = Rows::new(rows.collect()).unwrap();
    for (rule, needed) in [
        (Rule::TrimmedMean { trim: 2, bucket: 1 }, 5),
        (Rule::Krum { faulty: 1, bucket: 1 }, 5),
        (
            Rule::MultiKrum {
                faulty: 1,
                keep: Some(7),
                bucket: 1,
            },
            8,
        ),
        (Rule::TrimmedMean { trim: 1, bucket: 2 }, 5),
    ] {
        assert_eq!(rule.fewest_rows(), needed);
        let refused = rule.combine(&rows, &Inputs::default()).unwrap_err();
        assert_eq!(
            refused,
            super::RuleError::TooFew {
                rule: rule.name(),
                needed,
                got: 4
            }
        );
        assert!(rule.combine_few(&rows, &Inputs::default()).is_ok());
    }
}

#[test]
fn rows_of_another_length_too_long_or_none_are_refused() {
    let row = |coordinates| Row {
        owner: 0,
        weight: 1,
        coordinates,
    };
    assert_eq!(Rows::new(Vec::new()).unwrap_err(), super::RuleError::Empty);
    let other = Rows::new(vec![row(&[1, 2]), row(&[1])]).unwrap_err();
    assert_eq!(
        other,
        super::RuleError::ShapeMismatch {
            index: 1,
            expected: 2,
            got: 1
        }
    );
    assert_eq!(
        Rows::new(vec![row(&[i32::MIN])]).unwrap_err(),
        super::RuleError::TooLong { index: 0 }
    );
    let rows = Rows::new(vec![row(&[1, 2])]).unwrap();
    let rule = Rule::Fltrust { bucket: 1 };
    assert_eq!(
        rule.combine(&rows, &Inputs::default()).unwrap_err(),
        super::RuleError::NoRoot
    );
}

#[test]
fn nobody_trusted_is_no_move_at_all() {
    let vectors = vec![vec![-1, -1]; 3];
    assert_eq!(mean(Rule::Fltrust { bucket: 1 }, &vectors), [0.0, 0.0]);
}

/// Results that no machine may change.
#[test]
fn results_are_pinned() {
    let vectors: Vectors = (0..7_u32)
        .map(|row| {
            (0..5_u32)
                .map(|at| ((at * 31 + row * 17 + 3).wrapping_mul(2_654_435_761) as i32) >> 8)
                .collect()
        })
        .collect();
    let mut digest = Vec::new();
    for rule in rules(1).into_iter().chain(rules(2)) {
        if rule.fewest_rows() <= vectors.len() {
            let sum = in_order(rule, &vectors);
            digest.extend(sum.sums.iter().flat_map(|sum| sum.to_le_bytes()));
            digest.extend(sum.examples.to_le_bytes());
        }
    }
    let digest = counterweight_primitives::ContentDigest::of(&digest);
    assert_eq!(
        digest.to_string(),
        "blake3:f35967a4e9f88ed2ac49db34fd3a8aef06323f5013c4a9380986aad238de3f24"
    );
}
