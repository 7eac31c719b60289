//! Privacy spent: what the ledger says of it, and what the terms and the survivors give.

use counterweight_primitives::Round;

use super::{
    Audit, Check, CheckKind, Records,
    findings::{Findings, Place, with_causes},
};
use crate::{
    ledger::{LedgerError, masking::MaskRound},
    privacy::MicroEpsilon,
    study::{
        privacy::{Privacy, Spending},
        terms::PublicTerms,
    },
};

impl Audit<'_> {
    /// Whether the privacy that the ledger says is spent is what was; nothing for a study that promises and records none.
    pub(super) fn check_privacy(&self, records: &Records, terms: Option<&PublicTerms>) -> Option<Check> {
        let mut findings = Findings::new(CheckKind::Privacy);
        let nowhere = Place::default();
        let recorded = records.state.epsilon_budget.is_some()
            || records.state.spent_epsilon > MicroEpsilon::ZERO
            || records.rounds.iter().any(|round| {
                round
                    .closed
                    .as_ref()
                    .is_some_and(|closing| closing.spent > MicroEpsilon::ZERO)
            });
        let Some(terms) = terms else {
            return recorded.then(|| {
                findings.unknown(nowhere, "what may be spent is in the terms, which are not known");
                findings.close(|_| String::new())
            });
        };
        let Some(privacy) = &terms.privacy else {
            return recorded.then(|| {
                findings.wrong(
                    nowhere,
                    "the ledger records privacy spent, and the terms promise none",
                );
                findings.close(|_| String::new())
            });
        };
        let mut sentence = String::new();
        match self.masked_rounds(terms) {
            Err(error @ LedgerError::Refused { .. }) => findings.wrong(nowhere, with_causes(&error)),
            Err(error) => findings.unknown(nowhere, with_causes(&error)),
            Ok(masked) => {
                if let Err(error) = spent(records, terms, privacy, &masked, &mut findings, &mut sentence) {
                    findings.wrong(nowhere, error);
                }
            }
        }
        Some(findings.close(|_| sentence))
    }

    fn masked_rounds(&self, terms: &PublicTerms) -> Result<Vec<MaskRound>, LedgerError> {
        match (&terms.masking, self.ledger.mask_reader()) {
            (None, _) => Ok(Vec::new()),
            (Some(_), Some(reader)) => reader.mask_rounds(self.study),
            (Some(_), None) => Err(LedgerError::Malformed {
                what: "it keeps no masked rounds".to_owned(),
            }),
        }
    }
}

/// Counts round by round.
fn spent(
    records: &Records,
    terms: &PublicTerms,
    privacy: &Privacy,
    masked: &[MaskRound],
    findings: &mut Findings,
    sentence: &mut String,
) -> Result<(), crate::study::privacy::PromiseError> {
    let Records {
        state,
        rounds,
        finish,
    } = records;
    let nowhere = Place::default();
    let Some(mut spending) = Spending::new(terms)? else {
        return Ok(());
    };
    let (promised, delta) = (spending.budget().epsilon, spending.budget().delta);
    if terms.epsilon_budget() != state.epsilon_budget {
        let problem = match state.epsilon_budget {
            None => format!("the ledger keeps to no budget, the terms promise an epsilon of {promised}"),
            Some(budget) => {
                format!("the ledger keeps to an epsilon of {budget}, the terms promise {promised}")
            }
        };
        findings.wrong(nowhere, problem);
    }
    if let Err(error) = privacy.check(&terms.privacy_setting(), 1) {
        findings.wrong(nowhere, format!("the noise of the terms is too small: {error}"));
    }
    let record_of = |round: Round| masked.iter().find(|record| record.round == round);
    let beyond = |spending: &Spending<'_>| {
        let epsilon = spending.epsilon();
        let rounds = spending.rounds();
        format!("{rounds} rounds spent an epsilon of {epsilon:.4}, the terms promise {promised}")
    };
    let mut was_within = true;
    for record in rounds {
        let place = Place {
            round: Some(record.round),
            ..nowhere
        };
        let Some(closing) = &record.closed else { continue };
        spending.round(record_of(record.round))?;
        findings.look();
        let got = spending.recorded();
        if closing.spent != got {
            let problem = format!(
                "records that an epsilon of {} was spent by then; by its terms and survivors it is {got}",
                closing.spent
            );
            findings.wrong(place, problem);
        }
        if was_within && !spending.is_within() {
            findings.wrong(place, beyond(&spending));
            was_within = false;
        }
    }
    let closed = spending.rounds();
    // What was seen of a round that did not close is spent as well.
    let next = Round(closed + 1);
    if let Some(record) = record_of(next) {
        spending.openings(record)?;
    }
    let could_go_on = spending.pays_for_another();
    if rounds.iter().any(|record| record.round == next) && !spending.is_shared() {
        spending.round(None)?;
    }
    if was_within && !spending.is_within() {
        findings.wrong(
            Place {
                round: Some(next),
                ..nowhere
            },
            beyond(&spending),
        );
    }
    if finish.is_some() && closed < state.rounds && could_go_on {
        let problem = format!(
            "the study ended after {closed} of {} rounds, and its budget pays for another",
            state.rounds
        );
        findings.wrong(nowhere, problem);
    }
    *sentence = format!(
        "the rounds spent an epsilon of {:.4} of the {promised} promised for each {}, at a delta of {delta}",
        spending.epsilon(),
        privacy.unit()
    );
    Ok(())
}
