//! Terms, updates, aggregation and contributions: the computation, done again.

use std::collections::BTreeMap;

use counterweight_primitives::{ContentDigest, MemberIndex, Round};
use counterweight_provenance::purpose::Purpose;

use super::{
    Audit, Check, CheckKind, MemberStanding, Records,
    findings::{Findings, Place, with_causes},
    standing::{check_survivors, standing},
};
use crate::{
    contribution::ContributionReport,
    coordinator::{Replay, ReplayError},
    ledger::{RoundClosing, RoundRecord, StudyState},
    masked::groups::MaskedGroups,
    member_set::MemberSet,
    parameters::Parameters,
    rules::RuleError,
    study::{
        privacy::PromiseError,
        terms::{MOST_BYTES, PublicTerms},
    },
    table::{Dataset, Source, holdout_rows},
    update::{CheckedUpdate, Update, UpdateRules},
};

/// Longest contribution report read.
const REPORT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a model file or an update besides its numbers, rounded up.
const OVERHEAD: u64 = 1 << 16;

impl Audit<'_> {
    pub(super) fn check_terms(&self, state: &StudyState) -> (Check, Option<PublicTerms>) {
        let mut findings = Findings::new(CheckKind::Terms);
        let place = Place {
            digest: Some(state.terms),
            ..Place::default()
        };
        let mut terms = None;
        match self.blobs.get(&state.terms, MOST_BYTES as u64) {
            Err(error) => findings.blob(place, &error),
            Ok(bytes) => match PublicTerms::from_bytes(&bytes) {
                Err(error) => findings.wrong(place, with_causes(&error)),
                Ok(read) => {
                    // Nothing may be sized by terms that describe no model that we build.
                    if let Err(error) = read.architecture.check() {
                        findings.wrong(place, error);
                        return (findings.close(|_| String::new()), None);
                    }
                    if read.rounds != state.rounds {
                        let problem =
                            format!("they plan {} rounds, the ledger {}", read.rounds, state.rounds);
                        findings.wrong(place, problem);
                    }
                    if Purpose::by_name(&read.purpose).ok().map(|purpose| purpose.index)
                        != Some(state.purpose)
                    {
                        let problem =
                            format!("they name {}, the ledger purpose {}", read.purpose, state.purpose);
                        findings.wrong(place, problem);
                    }
                    terms = Some(read);
                }
            },
        }
        (
            findings.close(|_| "the terms are the ones on the ledger".to_owned()),
            terms,
        )
    }

    /// Checks commitments, updates, aggregation, results, contributions and standing; where members stand, if every closed
    /// round could be computed.
    pub(super) fn check_computation(
        &self,
        records: &Records,
        terms: Option<&PublicTerms>,
    ) -> (Vec<Check>, Option<Vec<MemberStanding>>) {
        let Records { state, rounds, .. } = records;
        let mut commitments = Findings::new(CheckKind::Commitments);
        let mut validity = Findings::new(CheckKind::Updates);
        let mut aggregation = Findings::new(CheckKind::Aggregation);
        let mut results = Findings::new(CheckKind::Results);
        let mut contributions = Findings::new(CheckKind::Contributions);

        let holdout = terms.and_then(|terms| self.holdout_rows(terms, &mut contributions));
        let mut masks = self.masks(terms);
        let mut exclusions = self.exclusions(terms, records);
        let asking = terms.map(|terms| self.asking(terms, rounds, &mut aggregation));
        let mut replay = None;
        match terms.map(|terms| Replay::new(self.study, terms, self.blobs, state.members.len())) {
            None => aggregation.unknown(Place::default(), "the terms are not known"),
            Some(Err(error @ ReplayError::NoStart { digest, .. })) => {
                let place = Place {
                    digest: Some(digest),
                    ..Place::default()
                };
                aggregation.unknown(place, with_causes(&error));
            }
            Some(Err(error)) => aggregation.wrong(Place::default(), with_causes(&error)),
            Some(Ok(made)) => replay = Some(made),
        }
        for (place, record) in rounds.iter().enumerate() {
            let Some(closing) = &record.closed else { continue };
            let round = record.round;
            if round.0 as usize != place + 1 {
                aggregation.wrong(
                    round_place(round),
                    format!("round {} is missing before it", place + 1),
                );
                replay = None;
            }
            let known = match (&mut masks, terms) {
                (Some(Ok(masks)), Some(terms)) => {
                    self.check_masked(masks, terms, record, closing, &mut commitments, &mut validity)
                }
                (Some(_), _) => None,
                (None, _) => self
                    .check_updates(terms, record, closing, &mut commitments, &mut validity)
                    .map(Known::Updates),
            };
            if let (Some(terms), Some(asking)) = (terms, &asking) {
                check_survivors(terms, records, asking, record, closing, &mut aggregation);
                if masks.is_none() {
                    self.check_left_out(
                        terms,
                        &asking.asked(terms, state, round),
                        record,
                        closing,
                        &mut exclusions,
                    );
                }
            }
            let last = place + 1 == rounds.len() || rounds[place + 1].closed.is_none();
            self.check_result(terms, record, closing, last, &mut results);
            replay = advance(replay, record, closing, known, holdout.as_ref(), &mut aggregation);
            if let (Some(replay), Some(Ok(exclusions)), Some(asking), true) =
                (&mut replay, &mut exclusions, &asking, holdout.is_some())
            {
                exclusions.judge(replay, asking, record, closing);
            }
        }
        self.check_contributions(
            records,
            terms,
            replay.as_ref(),
            holdout.is_some(),
            &mut contributions,
        );
        let valued = terms.is_some_and(|terms| terms.holdout.is_none()) || holdout.is_some();
        let standing = replay.as_ref().filter(|_| valued).map(standing);
        let excluded = match &exclusions {
            Some(Ok(exclusions)) => exclusions.excluded(),
            _ => 0,
        };
        let exclusions = exclusions.map(|read| match read {
            Ok(exclusions) => exclusions.compare(records),
            Err(findings) => findings,
        });
        let closed = rounds.iter().filter(|record| record.closed.is_some()).count();
        let masking = masks.map(|masks| masks.map_or_else(|findings| findings, |masks| masks.findings));
        let mut checks = vec![
            commitments.close(|updates| format!("each of {updates} updates is the one its member committed")),
            validity.close(|updates| format!("each of {updates} updates fits the rules of its round")),
        ];
        checks.extend(masking.map(|findings| {
            findings.close(|sums| {
                format!("each of {sums} sums of groups is the one that its members' records give")
            })
        }));
        checks.extend([
            aggregation.close(|_| {
                format!("the results of {closed} rounds are the exact aggregates of their updates")
            }),
            results.close(|kept| format!("each of {kept} stored results is the one on the ledger")),
            contributions.close(|_| {
                "the contributions are the ones that the updates and the hold-out give".to_owned()
            }),
        ]);
        checks.extend(exclusions.map(|findings| {
            findings.close(|proposals| {
                format!("each of {proposals} proposed exclusions is the rule's; {excluded} hold or will without an appeal")
            })
        }));
        (checks, standing)
    }

    fn holdout_rows(&self, terms: &PublicTerms, findings: &mut Findings) -> Option<Dataset> {
        let (expected, file) = (terms.holdout?, self.holdout?);
        let got = ContentDigest::of(file.bytes);
        let place = Place {
            digest: Some(expected),
            ..Place::default()
        };
        if got != expected {
            findings.wrong(
                place,
                format!(
                    "the hold-out {} has digest {got}, the terms commit to {expected}",
                    file.name
                ),
            );
            return None;
        }
        let source = Source {
            name: file.name,
            bytes: file.bytes,
            format: file.format,
        };
        match holdout_rows(source, &terms.data) {
            Ok(holdout) => Some(holdout.rows),
            Err(error) => {
                findings.wrong(place, with_causes(&error));
                None
            }
        }
    }

    /// The updates of a round's survivors, if every one of them is there and fits.
    fn check_updates(
        &self,
        terms: Option<&PublicTerms>,
        record: &RoundRecord,
        closing: &RoundClosing,
        commitments: &mut Findings,
        validity: &mut Findings,
    ) -> Option<Vec<CheckedUpdate>> {
        let round = record.round;
        let committed: BTreeMap<_, _> = record.commitments.iter().copied().collect();
        let mut updates = Some(Vec::new());
        for member in MemberSet(closing.survivors).iter() {
            let mut place = Place {
                round: Some(round),
                member: Some(member),
                digest: None,
            };
            let Some(digest) = committed.get(&member) else {
                commitments.wrong(place, "is counted and committed no update");
                updates = None;
                continue;
            };
            place.digest = Some(*digest);
            let limit = size_max(terms);
            let bytes = match self.blobs.get(digest, limit) {
                Ok(bytes) => bytes,
                Err(error) => {
                    commitments.blob(place, &error);
                    updates = None;
                    continue;
                }
            };
            commitments.look();
            let Some(terms) = terms else {
                validity.unknown(place, "the rules are in the terms, which are not known");
                updates = None;
                continue;
            };
            let rules = match self.update_rules(terms, record) {
                Ok(rules) => rules,
                Err(error) => {
                    validity.wrong(place, error);
                    updates = None;
                    continue;
                }
            };
            match Update::decode(&bytes, rules.coordinates).and_then(|update| update.check(&rules, member)) {
                Ok(update) => {
                    validity.look();
                    if let Some(updates) = &mut updates {
                        updates.push(update);
                    }
                }
                Err(error) => {
                    validity.wrong(place, error);
                    updates = None;
                }
            }
        }
        updates
    }

    /// Whoever was asked, committed and handed over an update that fits is counted, where members can be excluded: leaving one
    /// out quietly would be an exclusion that nobody can appeal against.
    fn check_left_out(
        &self,
        terms: &PublicTerms,
        asked: &MemberSet,
        record: &RoundRecord,
        closing: &RoundClosing,
        exclusions: &mut Option<Result<super::standing::Exclusions, Findings>>,
    ) {
        let Some(Ok(exclusions)) = exclusions else { return };
        let survivors = MemberSet(closing.survivors);
        // Of terms whose limits are unknown that is said elsewhere.
        let Ok(rules) = self.update_rules(terms, record) else {
            return;
        };
        for (member, digest) in &record.commitments {
            if survivors.contains(*member) || !asked.contains(*member) {
                continue;
            }
            let Ok(bytes) = self.blobs.get(digest, size_max(Some(terms))) else {
                continue;
            };
            let fits =
                Update::decode(&bytes, rules.coordinates).and_then(|update| update.check(&rules, *member));
            if fits.is_ok() {
                let place = Place {
                    round: Some(record.round),
                    member: Some(*member),
                    digest: Some(*digest),
                };
                let problem = "its update is kept and fits, and it was left out without being excluded";
                exclusions.findings.wrong(place, problem);
            }
        }
    }

    fn update_rules(&self, terms: &PublicTerms, record: &RoundRecord) -> Result<UpdateRules, PromiseError> {
        let (clip, most_examples) = terms.update_limits()?;
        Ok(UpdateRules {
            study: self.study,
            round: record.round,
            base: record.base,
            coordinates: terms.architecture.parameters(),
            clip,
            most_examples,
        })
    }

    /// Whether the parameters kept under a result's digest are intact. Earlier rounds need not be kept at all: they
    /// can be computed.
    fn check_result(
        &self,
        terms: Option<&PublicTerms>,
        record: &RoundRecord,
        closing: &RoundClosing,
        last: bool,
        results: &mut Findings,
    ) {
        use counterweight_provenance::blobs::BlobError;
        let place = Place {
            round: Some(record.round),
            digest: Some(closing.result),
            member: None,
        };
        match self.blobs.get(&closing.result, size_max(terms)) {
            Ok(bytes) => match Parameters::from_safetensors(&bytes) {
                Ok(_) => results.look(),
                Err(error) => results.wrong(place, error),
            },
            Err(BlobError::Missing { .. }) if !last => {}
            Err(error) => results.blob(place, &error),
        }
    }

    fn check_contributions(
        &self,
        records: &Records,
        terms: Option<&PublicTerms>,
        replay: Option<&Replay>,
        holdout_read: bool,
        findings: &mut Findings,
    ) {
        let Records {
            state,
            rounds,
            finish,
        } = records;
        let Some(finish) = finish else {
            findings.unknown(Place::default(), "the study has not finished");
            return;
        };
        let place = Place {
            digest: Some(finish.evidence),
            ..Place::default()
        };
        let last = rounds.iter().rev().find_map(|record| record.closed.as_ref());
        if last.is_none_or(|last| last.result != finish.result) {
            findings.wrong(
                place,
                format!(
                    "the study finished with {}, which is no round's result",
                    finish.result
                ),
            );
        }
        let recorded: Vec<_> = finish.contributions.iter().map(|(share, _)| *share).collect();
        match self.blobs.get(&finish.evidence, REPORT_BYTES_MAX) {
            Err(error) => findings.blob(place, &error),
            Ok(bytes) => match ContributionReport::from_bytes(&bytes) {
                Err(error) => findings.wrong(place, with_causes(&error)),
                Ok(report) => compare(&report.contributions, &recorded, "the report gives", findings),
            },
        }
        let Some(replay) = replay else {
            findings.unknown(place, "the rounds could not all be computed");
            return;
        };
        if terms.is_some_and(|terms| terms.holdout.is_some()) && !holdout_read {
            findings.unknown(place, "the hold-out is not at hand");
            return;
        }
        let report = replay.report(state.member_cap);
        compare(&report.contributions, &recorded, "the updates give", findings);
        match report.to_bytes().map(|bytes| ContentDigest::of(&bytes)) {
            Ok(got) if got == finish.evidence => findings.look(),
            Ok(got) => findings.wrong(place, format!("the report computed has digest {got}")),
            Err(error) => findings.wrong(place, with_causes(&error)),
        }
    }
}

/// What is known of a round's survivors.
pub(super) enum Known {
    /// Their updates.
    Updates(Vec<CheckedUpdate>),
    /// The sums of their groups.
    Groups(MaskedGroups),
}

fn round_place(round: Round) -> Place {
    Place {
        round: Some(round),
        ..Place::default()
    }
}

fn size_max(terms: Option<&PublicTerms>) -> u64 {
    let most = crate::architecture::MOST_PARAMETERS;
    let numbers = terms.map_or(most, |terms| terms.architecture.parameters().min(most));
    numbers as u64 * 4 + OVERHEAD
}

/// Computes one more round, as long as all before could be.
fn advance(
    replay: Option<Replay>,
    record: &RoundRecord,
    closing: &RoundClosing,
    known: Option<Known>,
    holdout: Option<&Dataset>,
    findings: &mut Findings,
) -> Option<Replay> {
    let place = round_place(record.round);
    let Some(mut replay) = replay else {
        findings.unknown(place, "the rounds before it could not be computed");
        return None;
    };
    if record.base != replay.digest() {
        findings.wrong(
            place,
            format!(
                "starts from {}, the result before it is {}",
                record.base,
                replay.digest()
            ),
        );
        return None;
    }
    let Some(known) = known else {
        findings.unknown(place, "not every update that was counted is there and valid");
        return None;
    };
    let place = Place {
        digest: Some(closing.result),
        ..place
    };
    let advanced = match &known {
        Known::Updates(updates) => replay.advance(record.round, updates, holdout),
        Known::Groups(groups) => replay.advance_groups(record.round, groups, holdout),
    };
    match advanced {
        Err(
            error @ (ReplayError::Blob { .. }
            | ReplayError::Contribution(_)
            | ReplayError::Rule {
                source: RuleError::NoRoot,
                ..
            }),
        ) => {
            findings.unknown(place, with_causes(&error));
            None
        }
        Err(error) => {
            findings.wrong(place, with_causes(&error));
            None
        }
        Ok(_) if replay.digest() != closing.result => {
            let problem = format!(
                "the updates give {}, recorded is {}",
                replay.digest(),
                closing.result
            );
            findings.wrong(place, problem);
            None
        }
        Ok(_) => Some(replay),
    }
}

fn compare(
    got: &[counterweight_primitives::Ppm],
    recorded: &[counterweight_primitives::Ppm],
    who: &str,
    findings: &mut Findings,
) {
    if got.len() != recorded.len() {
        let problem = format!(
            "{who} {} contributions, recorded are {}",
            got.len(),
            recorded.len()
        );
        findings.wrong(Place::default(), problem);
    }
    for (index, (got, recorded)) in got.iter().zip(recorded).enumerate() {
        if got != recorded {
            let member = u8::try_from(index).ok().map(MemberIndex);
            let place = Place {
                member,
                ..Place::default()
            };
            findings.wrong(
                place,
                format!("{who} a contribution of {got}, recorded is {recorded}"),
            );
        }
    }
}
