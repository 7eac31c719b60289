//! How well a model does.

use crate::{parameters::Parameters, table::Dataset};

use super::{
    TrainingError, check_rows,
    network::{Network, loss},
};

/// How well a model does on some rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Rows judged.
    pub rows: usize,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Part of rows whose likeliest class is theirs; of equal ones the first counts.
    pub accuracy: f64,
    /// Area under the ROC curve: the chance that a row of class 1 gets a higher logit than one of class 0, ties
    /// counting half. None for more than two classes or where a class has no row.
    pub auc: Option<f64>,
}

/// How a model does on some rows.
///
/// # Errors
/// [`TrainingError`].
pub fn evaluate(model: &Parameters, rows: &Dataset) -> Result<Metrics, TrainingError> {
    let architecture = check_rows(model, rows)?;
    let mut network = Network::new(architecture);
    let mut sum = 0.0;
    let mut right = 0_usize;
    let mut scores = Vec::new();
    for index in 0..rows.len() {
        let (row, class) = rows.row(index);
        let logits = network.logits(model.values(), row);
        sum += loss(logits, class);
        right += usize::from(likeliest(logits) == class);
        match logits {
            [yes] => scores.push((*yes, class == 1)),
            [no, yes] => scores.push((yes - no, class == 1)),
            _ => {}
        }
    }
    Ok(Metrics {
        rows: rows.len(),
        loss: sum / rows.len() as f64,
        accuracy: right as f64 / rows.len() as f64,
        auc: area_under_curve(&mut scores),
    })
}

fn likeliest(logits: &[f32]) -> u32 {
    if let [logit] = logits {
        return u32::from(*logit > 0.0);
    }
    let mut best = (0, f32::NEG_INFINITY);
    for (class, logit) in (0_u32..).zip(logits) {
        if *logit > best.1 {
            best = (class, *logit);
        }
    }
    best.0
}

/// By ranks (Mann and Whitney): counted in halves, so exact.
fn area_under_curve(scores: &mut [(f32, bool)]) -> Option<f64> {
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let yes = scores.iter().filter(|(_, yes)| *yes).count() as u64;
    let no = scores.len() as u64 - yes;
    if yes == 0 || no == 0 {
        return None;
    }
    let (mut below, mut halves) = (0_u64, 0_u64);
    for equal in scores.chunk_by(|a, b| a.0 == b.0) {
        let yes = equal.iter().filter(|(_, yes)| *yes).count() as u64;
        let no = equal.len() as u64 - yes;
        halves += yes * (2 * below + no);
        below += no;
    }
    Some(halves as f64 / (2 * yes * no) as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::architecture::Architecture;

    proptest! {
        #[test]
        fn the_area_is_the_chance_of_the_right_order(scores in proptest::collection::vec((0_u8..6, any::<bool>()), 0..30)) {
            let mut scores: Vec<(f32, bool)> = scores.into_iter().map(|(s, yes)| (f32::from(s), yes)).collect();
            let of = |wanted| scores.iter().filter(move |s| s.1 == wanted).map(|s| s.0);
            let pairs: Vec<f64> = of(true)
                .flat_map(|yes| of(false).map(move |no| if yes > no { 1.0 } else if yes == no { 0.5 } else { 0.0 }))
                .collect();
            let plain = (!pairs.is_empty()).then(|| pairs.iter().sum::<f64>() / pairs.len() as f64);
            prop_assert_eq!(area_under_curve(&mut scores), plain);
        }
    }

    #[test]
    fn counts_the_right_answers() {
        let model = Parameters::new(Architecture::logistic(1), vec![0.0, 1.0]).unwrap();
        let rows = Dataset::new(1, vec![2.0, -1.0, 3.0, -2.0], vec![1, 0, 0, 1]).unwrap();
        let metrics = evaluate(&model, &rows).unwrap();
        assert_eq!(
            (metrics.rows, metrics.accuracy, metrics.auc),
            (4, 0.5, Some(0.25))
        );
    }
}
