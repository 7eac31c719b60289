//! Who was asked, proposed for exclusion and excluded, done again from what is public.

use std::collections::{BTreeMap, BTreeSet};

use counterweight_primitives::{ContentDigest, MemberIndex, Round};
use serde::Serialize;

use super::{
    Audit, CheckKind, Records,
    findings::{Findings, Place, with_causes},
};
use crate::{
    asking::Asking,
    coordinator::Replay,
    ledger::{RoundClosing, RoundRecord, standing::ProposalState},
    member_set::MemberSet,
    standing::{Due, StandingRecord},
    study::terms::PublicTerms,
};

/// Where a member stands, as the audit computed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberStanding {
    /// The member.
    pub member: u8,
    /// Rounds in which it was scored.
    pub scored_rounds: u32,
    /// What its contribution would be made from now, in units of 10^-9 of loss.
    pub total_nano: i64,
    /// Its value as it is compared with the others', in the same units; none where it has none.
    pub compared_nano: Option<i64>,
    /// Rounds in a row in which it lay far below the others.
    pub outlying_rounds: u32,
}

/// What the ledger says of a study's exclusions, and what the rule says.
pub(super) struct Exclusions {
    record: StandingRecord,
    due: BTreeMap<(MemberIndex, Round), ContentDigest>,
    judged: BTreeSet<Round>,
    pub(super) findings: Findings,
}

impl Audit<'_> {
    /// What is on record of a study's exclusions; nothing for one that excludes nobody.
    pub(super) fn exclusions(
        &self,
        terms: Option<&PublicTerms>,
        records: &Records,
    ) -> Option<Result<Exclusions, Findings>> {
        let rule = terms?.exclusion()?;
        let mut findings = Findings::new(CheckKind::Standing);
        let place = Place::default();
        let record = match StandingRecord::read(self.ledger, self.study) {
            Ok(Some(record)) => record,
            Ok(None) => {
                findings.wrong(
                    place,
                    "the terms exclude members, and the ledger does not say how",
                );
                return Some(Err(findings));
            }
            Err(error) => {
                findings.unknown(place, with_causes(&error));
                return Some(Err(findings));
            }
        };
        if !rule.agrees_with(&record.setting) {
            findings.wrong(
                place,
                "the ledger decides exclusions otherwise than the terms say",
            );
        }
        if record.setting.arbiter == records.state.coordinator {
            findings.wrong(place, "the coordinator decides appeals against its own proposals");
        }
        Some(Ok(Exclusions {
            record,
            due: BTreeMap::new(),
            judged: BTreeSet::new(),
            findings,
        }))
    }

    /// Who is asked, from the ledger's records.
    pub(super) fn asking(
        &self,
        terms: &PublicTerms,
        rounds: &[RoundRecord],
        findings: &mut Findings,
    ) -> Asking {
        let read = Asking::read(self.ledger, terms, self.study, rounds);
        read.unwrap_or_else(|error| {
            findings.unknown(Place::default(), with_causes(&error));
            Asking::default()
        })
    }
}

impl Exclusions {
    /// Who is due after a round that was computed.
    pub(super) fn judge(
        &mut self,
        replay: &mut Replay,
        asking: &Asking,
        record: &RoundRecord,
        closing: &RoundClosing,
    ) {
        let excluded = asking.excluded(record.round);
        match replay.judge(record.round, excluded, closing.closed_at, &self.record) {
            Err(error) => self.findings.unknown(of_round(record.round), with_causes(&error)),
            Ok(due) => {
                self.judged.insert(record.round);
                let known = |due: Due| ((due.member, due.round), due.digest());
                self.due.extend(due.into_iter().map(known));
            }
        }
    }

    /// Holds the proposals against what the rule gives.
    pub(super) fn compare(mut self, records: &Records) -> Findings {
        let Self {
            record,
            due,
            judged,
            findings,
        } = &mut self;
        for proposal in &record.proposals {
            let (member, round) = (proposal.member, proposal.round);
            let place = Place {
                member: Some(member),
                digest: Some(proposal.evidence),
                ..of_round(round)
            };
            if !judged.contains(&round) {
                findings.unknown(
                    place,
                    "is proposed for exclusion after a round that could not be computed",
                );
                continue;
            }
            match due.get(&(member, round)) {
                None => findings.wrong(
                    place,
                    "is proposed for exclusion, and the rule does not give that",
                ),
                Some(evidence) if *evidence != proposal.evidence => {
                    let problem = format!("is proposed by other values than those computed, {evidence}");
                    findings.wrong(place, problem);
                }
                Some(_) => findings.look(),
            }
        }
        let last = records.rounds.iter().rev().find(|round| round.closed.is_some());
        let last = last.map_or(Round(0), |last| last.round);
        for (member, round) in due.keys() {
            let proposed = record
                .proposals
                .iter()
                .any(|known| (known.member, known.round) == (*member, *round));
            // After the newest round its coordinator may not have come to it yet, or need not any more.
            if !proposed && *round < last {
                let place = Place {
                    member: Some(*member),
                    ..of_round(*round)
                };
                findings.wrong(
                    place,
                    "is to be proposed for exclusion by the rule, and was spared",
                );
            }
        }
        self.findings
    }

    /// How many are excluded as the record is.
    pub(super) fn excluded(&self) -> usize {
        let ended = self
            .record
            .proposals
            .iter()
            .map(|proposal| proposal.end(&self.record.setting));
        ended
            .filter(|state| matches!(state, ProposalState::Excluded { .. }))
            .count()
    }
}

/// Where each member stands after the rounds that were computed.
pub(super) fn standing(replay: &Replay) -> Vec<MemberStanding> {
    let valuation = replay.valuation();
    let window = replay.watch().map_or(usize::MAX, |watch| watch.window());
    let (scored, totals) = (valuation.scored_rounds(), valuation.totals_nano());
    let compared = valuation.compared_nano(window);
    (0_u8..)
        .zip(scored.into_iter().zip(totals).zip(compared))
        .map(
            |(member, ((scored_rounds, total_nano), compared_nano))| MemberStanding {
                member,
                scored_rounds,
                total_nano,
                compared_nano,
                outlying_rounds: replay
                    .watch()
                    .map_or(0, |watch| watch.outlying(MemberIndex(member))),
            },
        )
        .collect()
}

/// Whoever is counted was asked.
pub(super) fn check_survivors(
    terms: &PublicTerms,
    records: &Records,
    asking: &Asking,
    record: &RoundRecord,
    closing: &RoundClosing,
    findings: &mut Findings,
) {
    let survivors = MemberSet(closing.survivors);
    let asked = asking.asked(terms, &records.state, record.round);
    let excluded = asking.excluded(record.round);
    for member in survivors.iter().filter(|member| !asked.contains(*member)) {
        let place = Place {
            member: Some(member),
            ..of_round(record.round)
        };
        let problem = match excluded.contains(member) {
            true => "is counted and was excluded",
            false => "is counted and was not asked",
        };
        findings.wrong(place, problem);
    }
    let quorum = usize::from(terms.quorum.max(records.state.min_members));
    if survivors.len() < quorum {
        let problem = format!("{} updates were counted, the quorum is {quorum}", survivors.len());
        findings.wrong(of_round(record.round), problem);
    }
}

fn of_round(round: Round) -> Place {
    Place {
        round: Some(round),
        ..Place::default()
    }
}
