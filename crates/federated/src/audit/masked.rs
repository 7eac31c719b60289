//! Masked rounds: draws, records, survivors and sums, done again from what is public.

use counterweight_primitives::Round;

use super::{
    Audit, CheckKind,
    computation::Known,
    findings::{Findings, Place, with_causes},
};
use crate::{
    coordinator::sum_root,
    ledger::{
        RoundClosing, RoundRecord,
        masking::{MaskDomain, MaskRound, MaskSetting},
    },
    masked::{
        recompute::{Fault, GroupOutcome, groups_of, recompute},
        turn::DrawnGroup,
    },
    member_set::MemberSet,
    study::terms::PublicTerms,
};

/// What the ledger says of a masked study.
pub(super) struct Masks {
    setting: MaskSetting,
    domain: MaskDomain,
    pub(super) rounds: Vec<MaskRound>,
    pub(super) findings: Findings,
}

impl Audit<'_> {
    /// What is on record of a study's masking; nothing for one that does not mask.
    pub(super) fn masks(&self, terms: Option<&PublicTerms>) -> Option<Result<Masks, Findings>> {
        let terms = terms?;
        let masking = terms.masking?;
        let mut findings = Findings::new(CheckKind::Masking);
        let place = Place::default();
        let Some(reader) = self.ledger.mask_reader() else {
            findings.unknown(place, "this ledger keeps no masked rounds");
            return Some(Err(findings));
        };
        let read = || {
            let rounds = reader.mask_rounds(self.study)?;
            Ok((reader.mask_setting(self.study)?, reader.mask_domain()?, rounds))
        };
        match read() {
            Err(error @ crate::ledger::LedgerError::Refused { .. }) => {
                findings.wrong(place, with_causes(&error))
            }
            Err(error) => findings.unknown(place, with_causes(&error)),
            Ok((None, ..)) => findings.wrong(place, "the terms mask, and the ledger does not say how"),
            Ok((Some(setting), domain, rounds)) => {
                let parameters = terms.architecture.parameters();
                if !masking.agrees_with(&setting, parameters) {
                    findings.wrong(place, "the ledger masks otherwise than the terms say");
                }
                return Some(Ok(Masks {
                    setting,
                    domain,
                    rounds,
                    findings,
                }));
            }
        }
        Some(Err(findings))
    }

    /// The groups of a closed round, if their sums can be computed; whoever lied is named.
    pub(super) fn check_masked(
        &self,
        masks: &mut Masks,
        terms: &PublicTerms,
        record: &RoundRecord,
        closing: &RoundClosing,
        commitments: &mut Findings,
        validity: &mut Findings,
    ) -> Option<Known> {
        let round = record.round;
        let place = of_round(round);
        let Some(masked) = masks.rounds.iter().find(|masked| masked.round == round).cloned() else {
            masks.findings.wrong(place, "nothing of its masking is on record");
            return None;
        };
        let groups = match DrawnGroup::of_round(self.study, &masked, &masks.setting, &masks.domain) {
            Ok(groups) if !groups.is_empty() => groups,
            Ok(_) => {
                masks.findings.wrong(place, "no groups were drawn");
                return None;
            }
            Err(error) => {
                masks.findings.wrong(place, error);
                return None;
            }
        };
        let survivors = MemberSet(closing.survivors);
        let fixed = masked.survivors.unwrap_or_default();
        check_fixed(masks, &groups, round, survivors, fixed);
        let outcomes = recompute(&groups, &masked, &record.commitments, fixed, self.blobs);
        for outcome in &outcomes {
            check_faults(masks, outcome, round, commitments, validity);
            check_sum(masks, &masked, outcome, round);
        }
        for group in &masked.refuted {
            let problem = format!("group {group}: the coordinator's sum was refuted on the ledger");
            masks.findings.wrong(place, problem);
        }
        let coordinates = terms.architecture.parameters();
        let format = match terms.word_format() {
            Ok(format) => format?,
            Err(error) => {
                masks.findings.wrong(place, error);
                return None;
            }
        };
        let (made, lies) = groups_of(&outcomes, &format, coordinates)?;
        for group in lies {
            let problem = format!(
                "group {group}: the sum of its weights is none of so many members, so it counts for nothing"
            );
            masks.findings.wrong(place, problem);
        }
        Some(Known::Groups(made))
    }
}

fn of_round(round: Round) -> Place {
    Place {
        round: Some(round),
        ..Place::default()
    }
}

/// Those who are counted are those who were fixed, and groups of which too few were left are not among them.
fn check_fixed(
    masks: &mut Masks,
    groups: &[DrawnGroup],
    round: Round,
    survivors: MemberSet,
    fixed: MemberSet,
) {
    for member in MemberSet(survivors.0 ^ fixed.0).iter() {
        let place = Place {
            member: Some(member),
            ..of_round(round)
        };
        let problem = match survivors.contains(member) {
            true => "the coordinator counts it and had not fixed it as a survivor",
            false => "the coordinator fixed it as a survivor and does not count it",
        };
        masks.findings.wrong(place, problem);
    }
    for drawn in groups {
        let staying = MemberSet(drawn.member_set().0 & fixed.0).len();
        let needed = masks.setting.survivors_needed(drawn.members.len());
        if staying != 0 && staying < needed {
            let problem = format!("group {}: {staying} survivors, {needed} are needed", drawn.index);
            masks.findings.wrong(of_round(round), problem);
        }
    }
}

fn check_faults(
    masks: &mut Masks,
    outcome: &GroupOutcome,
    round: Round,
    commitments: &mut Findings,
    validity: &mut Findings,
) {
    for _ in &outcome.survivors {
        commitments.look();
        validity.look();
    }
    for (member, fault) in &outcome.faults {
        let mut place = Place {
            member: Some(*member),
            ..of_round(round)
        };
        match fault {
            Fault::Blob { digest, missing, .. } => {
                place.digest = Some(*digest);
                match missing {
                    true => commitments.unknown(place, fault),
                    false => commitments.wrong(place, fault),
                }
            }
            Fault::NotRecorded { .. } => commitments.wrong(place, fault),
            Fault::Record(_) => validity.wrong(place, fault),
            _ => masks.findings.wrong(place, fault),
        }
    }
}

fn check_sum(masks: &mut Masks, masked: &MaskRound, outcome: &GroupOutcome, round: Round) {
    let (place, group) = (of_round(round), outcome.index);
    let posted = masked
        .sums
        .as_ref()
        .and_then(|roots| roots.get(usize::from(group)));
    match (&outcome.sum, posted) {
        (Ok(sum), Some(posted)) if sum_root(sum) == *posted => masks.findings.look(),
        (Ok(_), Some(_)) => {
            let problem = format!("group {group}: the coordinator posted another sum than the records give");
            masks.findings.wrong(place, problem);
        }
        (Ok(_), None) => masks
            .findings
            .wrong(place, format!("group {group}: the coordinator posted no sum")),
        // Where records are missing, that is said of each.
        (Err(error), _) if outcome.faults.is_empty() => {
            masks.findings.wrong(place, format!("group {group}: {error}"))
        }
        (Err(error), _) => masks.findings.unknown(place, format!("group {group}: {error}")),
    }
}
