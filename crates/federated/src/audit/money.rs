//! Rewards, consent and lineage: what follows from the records without any model.

use counterweight_primitives::{Amount, MemberIndex, Ppm, UnixSeconds};
use counterweight_provenance::ledger::{ConsentChange, consent_at};

use super::{
    Audit, Check, CheckKind,
    findings::{Findings, Place, with_causes},
};
use crate::{
    ledger::{FinishRecord, Phase, RoundRecord, StudyState},
    member_set::MemberSet,
};

/// Datasets that a model names as parents directly; above that, collections of eight members are between.
const PARENTS_MAX: usize = 8;

fn member(index: usize) -> Place {
    Place {
        member: u8::try_from(index).ok().map(MemberIndex),
        ..Place::default()
    }
}

impl Audit<'_> {
    pub(super) fn check_rewards(
        &self,
        state: &StudyState,
        rounds: &[RoundRecord],
        finish: Option<&FinishRecord>,
    ) -> Check {
        let mut findings = Findings::new(CheckKind::Rewards);
        let mut sum = Some(Amount::ZERO);
        for (index, joined) in state.members.iter().enumerate() {
            findings.look();
            let place = member(index);
            let survived = rounds
                .iter()
                .filter_map(|record| record.closed.as_ref())
                .filter(|closing| {
                    u8::try_from(index).is_ok_and(|i| MemberSet(closing.survivors).contains(MemberIndex(i)))
                })
                .count() as u32;
            if survived != joined.survived {
                let problem = format!("survived {survived} rounds, recorded are {}", joined.survived);
                findings.wrong(place, problem);
            }
            let earned = match (state.phase, finish) {
                (Phase::Finished, Some(finish)) => {
                    let Some(&(contribution, reward)) = finish.contributions.get(index) else {
                        findings.wrong(place, "no contribution is recorded");
                        continue;
                    };
                    if contribution != joined.contribution {
                        let problem = format!(
                            "the event records a contribution of {contribution}, the study {}",
                            joined.contribution
                        );
                        findings.wrong(place, problem);
                    }
                    if reward != joined.reward {
                        let problem = format!(
                            "the event records a reward of {}, the study {}",
                            reward.0, joined.reward.0
                        );
                        findings.wrong(place, problem);
                    }
                    contribution.min(state.member_cap).of(state.budget)
                }
                (Phase::Finished, None) => {
                    findings.wrong(place, "the study is finished and no contributions are recorded");
                    continue;
                }
                (Phase::Abandoned, _) => abandoned_reward(state, survived),
                (Phase::Cancelled, _) => Amount::ZERO,
                (Phase::Enrolling | Phase::Running, _) => {
                    findings.unknown(place, "the study is not over");
                    continue;
                }
            };
            if earned != joined.reward {
                findings.wrong(
                    place,
                    format!("earned {}, recorded are {}", earned.0, joined.reward.0),
                );
            }
            sum = sum.and_then(|sum| sum.checked_add(joined.reward));
        }
        if sum.is_none_or(|sum| sum > state.budget) {
            findings.wrong(Place::default(), "the rewards are more than the budget");
        }
        findings.close(|members| format!("each of {members} members earned what its contribution gives"))
    }

    pub(super) fn check_consent(&self, state: &StudyState, rounds: &[RoundRecord]) -> Check {
        let mut findings = Findings::new(CheckKind::Consent);
        let Some(reader) = self.consent else {
            findings.unknown(Place::default(), "the consent records are not at hand");
            return findings.close(|_| String::new());
        };
        for (index, joined) in state.members.iter().enumerate() {
            let place = member(index);
            let dataset = joined.dataset;
            let history = match reader.consent_history(dataset) {
                Ok(history) => history,
                Err(error) => {
                    let problem = format!("the consent for dataset {dataset}: {}", with_causes(&error));
                    findings.unknown(place, problem);
                    continue;
                }
            };
            findings.look();
            // The grant it joined under, whatever was appended since: a transfer carries the number of the epoch it ends.
            let under = history.iter().position(|entry| {
                entry.epoch == joined.consent_epoch && entry.change != ConsentChange::Transferred
            });
            let past = under.map_or(&[][..], |under| &history[..=under]);
            let joining = consent_at(past, UnixSeconds(u64::MAX), None);
            if joining.epoch != joined.consent_epoch || !joining.purposes.contains(state.purpose) {
                let problem = format!(
                    "it joined under epoch {} of dataset {dataset}, which does not allow the purpose",
                    joined.consent_epoch
                );
                findings.wrong(place, problem);
            }
            for record in rounds {
                let committed = record.commitments.iter().any(|(by, _)| Some(*by) == place.member);
                if !committed {
                    continue;
                }
                findings.look();
                // The record has no time for a commitment; it lies between the opening and the closing.
                let until = record
                    .closed
                    .as_ref()
                    .map_or(u64::MAX, |closing| closing.closed_at.0);
                let changes = history
                    .iter()
                    .map(|epoch| epoch.at)
                    .filter(|at| *at >= record.opened_at && at.0 <= until);
                let mut moments = std::iter::once(record.opened_at).chain(changes);
                // Blocks tell whole seconds: what changed within the second of a moment may have come after it.
                let allowed = moments.any(|time| {
                    let before = history.iter().filter(|entry| entry.at == time);
                    let before = before.map(|entry| Some(entry.epoch.saturating_sub(1)));
                    std::iter::once(None)
                        .chain(before)
                        .any(|last| consent_at(&history, time, last).allows(state.purpose, time))
                });
                if !allowed {
                    let place = Place {
                        round: Some(record.round),
                        ..place
                    };
                    findings.wrong(
                        place,
                        format!("dataset {dataset} did not allow the purpose in this round"),
                    );
                }
            }
        }
        findings.close(|looked| format!("consent held at each of {looked} joinings and commitments"))
    }

    pub(super) fn check_model(&self, state: &StudyState, finish: Option<&FinishRecord>) -> Check {
        let mut findings = Findings::new(CheckKind::Model);
        match (self.model, finish) {
            (_, None) => findings.unknown(Place::default(), "the study has not finished"),
            (None, _) => findings.unknown(Place::default(), "no model has been published"),
            (Some(model), Some(finish)) => {
                let place = Place {
                    digest: Some(model.content),
                    ..Place::default()
                };
                if model.content != finish.result {
                    findings.wrong(
                        place,
                        format!(
                            "its content is {}, the result is {}",
                            model.content, finish.result
                        ),
                    );
                }
                if state.model != Some(model.asset) {
                    let problem = match state.model {
                        Some(other) => format!("the study published asset {other}, this is {}", model.asset),
                        None => format!("the study published no model, this is asset {}", model.asset),
                    };
                    findings.wrong(place, problem);
                }
            }
        }
        findings.close(|_| "the published model is the result of the study".to_owned())
    }

    pub(super) fn check_lineage(&self, state: &StudyState, finish: Option<&FinishRecord>) -> Check {
        let mut findings = Findings::new(CheckKind::Lineage);
        let (Some(model), Some(_)) = (self.model, finish) else {
            findings.unknown(Place::default(), "no model has been published");
            return findings.close(|_| String::new());
        };
        let mut got = model.parents.clone();
        // What a study starts from is a parent without a share: what its owner is due is a matter of licences.
        if let Some(base) = state.base_model {
            match got.iter().position(|parent| *parent == (base, Ppm::ZERO)) {
                Some(place) => drop(got.remove(place)),
                None => findings.wrong(
                    Place::default(),
                    format!("the study starts from model {base}, which is no parent without a share"),
                ),
            }
        }
        got.sort_unstable();
        let contributors: Vec<_> = state
            .members
            .iter()
            .filter(|joined| joined.contribution > Ppm::ZERO)
            .collect();
        let limit = PARENTS_MAX - usize::from(state.base_model.is_some());
        if contributors.len() <= limit {
            let mut expected: Vec<_> = contributors
                .iter()
                .map(|joined| (joined.dataset, part(joined.contribution, state.lineage_share)))
                .collect();
            expected.sort_unstable();
            for pair in &expected {
                findings.look();
                if !got.contains(pair) {
                    let problem = match got.iter().find(|(asset, _)| *asset == pair.0) {
                        Some((asset, share)) => {
                            format!("dataset {asset} has a share of {share}, not {}", pair.1)
                        }
                        None => format!("dataset {} contributed and is no parent", pair.0),
                    };
                    findings.wrong(Place::default(), problem);
                }
            }
            for (asset, share) in got
                .iter()
                .filter(|(asset, _)| expected.iter().all(|(known, _)| known != asset))
            {
                findings.wrong(
                    Place::default(),
                    format!("asset {asset} has a share of {share} and contributed nothing"),
                );
            }
        } else {
            let mut expected: Vec<Ppm> = state
                .members
                .chunks(PARENTS_MAX)
                .map(|group| group.iter().map(|joined| joined.contribution.millionths()).sum())
                .filter(|sum| *sum > 0)
                .filter_map(|sum: u32| Ppm::new(sum).ok())
                .map(|sum| part(sum, state.lineage_share))
                .collect();
            let mut shares: Vec<_> = got.iter().map(|(_, share)| *share).collect();
            expected.sort_unstable();
            shares.sort_unstable();
            if shares == expected {
                findings.unknown(
                    Place::default(),
                    "the shares of the collections are right; what is in them was not checked",
                );
            } else {
                findings.wrong(
                    Place::default(),
                    "the shares of the collections are not what their members contributed",
                );
            }
        }
        findings
            .close(|parents| format!("{parents} datasets are parents with the shares that they contributed"))
    }
}

/// The contract's rounding: down.
fn part(contribution: Ppm, of: Ppm) -> Ppm {
    let product = u64::from(contribution.millionths()) * u64::from(of.millionths()) / 1_000_000;
    u32::try_from(product)
        .ok()
        .and_then(|share| Ppm::new(share).ok())
        .unwrap_or(Ppm::ZERO)
}

fn abandoned_reward(state: &StudyState, survived: u32) -> Amount {
    let parts = (u128::from(state.rounds) * state.members.len() as u128).max(1);
    // `budget * survived / parts` without overflow: the quotient and the rest are each scaled.
    let (whole, rest) = (state.budget.0 / parts, state.budget.0 % parts);
    let survived = u128::from(survived);
    let part = whole
        .saturating_mul(survived)
        .saturating_add(rest * survived / parts);
    Amount(part.min(state.member_cap.of(state.budget).0))
}
