//! Who is to be proposed for exclusion from a running study, by the rule of its terms.
//!
//! After each round the members' values are compared ([`Standing`]); whoever has been far below the others for too long is
//! due, unless its exclusion is proposed already. The coordinator proposes who is due; the auditor computes the same and names
//! whoever was proposed and not due, or due and spared. `docs/spec/member-standing.md` has the rule to the letter.
//!
//! What is recorded in the very second in which a round is closed counts from the next round on: neither side can tell
//! which came first.

use std::collections::BTreeSet;

use counterweight_primitives::{
    CanonicalError, ContentDigest, MemberIndex, Round, StudyId, UnixSeconds, to_canonical_json,
};
use serde::Serialize;

use crate::{
    ledger::{
        LedgerError, StudyReader,
        standing::{Proposal, ProposalState, StandingSetting},
    },
    member_set::MemberSet,
    scoring::Standing,
    study::standing::Exclusion,
};

/// Names the form and version of the evidence.
pub const EVIDENCE_SCHEMA: &str = "counterweight/exclusion-evidence/v1";

/// What the ledger says of a study's exclusions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRecord {
    /// How they are decided.
    pub setting: StandingSetting,
    /// Every proposal, in order.
    pub proposals: Vec<Proposal>,
}

impl StandingRecord {
    /// Reads it; nothing where the study excludes nobody, or the ledger keeps no such record.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn read<L: StudyReader + ?Sized>(ledger: &L, study: StudyId) -> Result<Option<Self>, LedgerError> {
        let Some(reader) = ledger.standing_reader() else {
            return Ok(None);
        };
        let Some(setting) = reader.standing_setting(study)? else {
            return Ok(None);
        };
        let proposals = reader.proposals(study)?;
        Ok(Some(Self { setting, proposals }))
    }

    /// The newest proposal against a member.
    #[must_use]
    pub fn newest(&self, member: MemberIndex) -> Option<&Proposal> {
        self.proposals.iter().rfind(|proposal| proposal.member == member)
    }
}

/// Watches a study's values round by round.
#[derive(Debug, Clone)]
pub struct Watch {
    study: StudyId,
    rule: Exclusion,
    standing: Standing,
    /// Proposals that came to nothing and are done with, by member and round.
    done_with: BTreeSet<(MemberIndex, Round)>,
}

/// Values after a round, and when that was.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The round.
    pub round: Round,
    /// Members that were excluded when it was opened.
    pub excluded: MemberSet,
    /// When it was closed.
    pub closed_at: UnixSeconds,
    /// Each member's value over the rounds that are compared; none where it has none.
    pub values: &'a [Option<i64>],
}

/// A member that is to be proposed for exclusion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whom.
    pub member: MemberIndex,
    /// The round after which the rule gives it.
    pub round: Round,
    /// The values it is given by, as they are kept.
    pub evidence: Vec<u8>,
}

impl Due {
    /// Digest of the evidence, as it is recorded.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(&self.evidence)
    }
}

/// The values by which an exclusion is proposed: `docs/spec/member-standing.md`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Evidence<'a> {
    schema: &'static str,
    study: String,
    round: Round,
    member: MemberIndex,
    outlying_rounds: u32,
    values_nano: &'a [Option<i64>],
}

impl Watch {
    /// Before the first round of so many members.
    #[must_use]
    pub fn new(study: StudyId, rule: Exclusion, members: usize) -> Self {
        Self {
            study,
            rule,
            standing: Standing::new(rule.rules(), members),
            done_with: BTreeSet::new(),
        }
    }

    /// Rounds whose values are compared.
    #[must_use]
    pub fn window(&self) -> usize {
        self.rule.patience as usize
    }

    /// Takes in a closed round; who is to be proposed for exclusion after it. The same records give the same answer
    /// whenever they are read.
    ///
    /// # Errors
    /// [`CanonicalError`], which values below 2^53 never give.
    pub fn observe(
        &mut self,
        judged: &Judged<'_>,
        record: &StandingRecord,
    ) -> Result<Vec<Due>, CanonicalError> {
        let Judged {
            round,
            closed_at,
            excluded,
            ..
        } = *judged;
        let mut pending = MemberSet::EMPTY;
        for proposal in record.proposals.iter().filter(|proposal| proposal.round < round) {
            let member = proposal.member;
            // A second after which nothing is recorded that this looks at.
            let before = UnixSeconds(closed_at.0.saturating_sub(1));
            match proposal.before(closed_at).state(&record.setting, before) {
                ProposalState::Kept { .. } => {
                    if self.done_with.insert((member, proposal.round)) {
                        self.standing.count_afresh(usize::from(member.0));
                    }
                }
                _ => pending.insert(member),
            }
        }
        let shown = |(value, member): (&Option<i64>, u8)| {
            let there = !excluded.contains(MemberIndex(member));
            value.filter(|_| there)
        };
        let values: Vec<Option<i64>> = judged.values.iter().zip(0..).map(shown).collect();
        self.standing.observe(&values);
        let due = (0..).take(values.len()).map(MemberIndex).filter(|member| {
            self.standing.is_due(usize::from(member.0))
                && !pending.contains(*member)
                && !excluded.contains(*member)
        });
        due.map(|member| {
            let evidence = to_canonical_json(&Evidence {
                schema: EVIDENCE_SCHEMA,
                study: self.study.0.to_string(),
                round,
                member,
                outlying_rounds: self.outlying(member),
                values_nano: &values,
            })?;
            Ok(Due {
                member,
                round,
                evidence,
            })
        })
        .collect()
    }

    /// Rounds in a row in which a member was an outlier.
    #[must_use]
    pub fn outlying(&self, member: MemberIndex) -> u32 {
        self.standing.outlying(usize::from(member.0))
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::Address;

    use super::*;
    use crate::ledger::standing::{Appeal, Decision};

    const VALUES: [Option<i64>; 5] = [Some(100), Some(110), Some(95), Some(105), Some(-900)];

    fn record(proposals: Vec<Proposal>) -> StandingRecord {
        StandingRecord {
            setting: StandingSetting {
                arbiter: Address([1; 20]),
                appeal_seconds: 15,
            },
            proposals,
        }
    }

    fn proposal(round: u32, at: u64) -> Proposal {
        Proposal {
            member: MemberIndex(4),
            round: Round(round),
            evidence: ContentDigest([1; 32]),
            proposed_at: UnixSeconds(at),
            appeal: None,
        }
    }

    fn upheld(round: u32, at: u64, decided: u64) -> Proposal {
        Proposal {
            appeal: Some(Appeal {
                reason: ContentDigest([2; 32]),
                at: UnixSeconds(at),
                decision: Some(Decision {
                    upheld: true,
                    at: UnixSeconds(decided),
                }),
            }),
            ..proposal(round, at)
        }
    }

    /// Rounds that are closed every ten seconds, in which member 4 lies far below; after which of them it is due.
    fn due(rounds: u32, record: &StandingRecord) -> Vec<u32> {
        let rule = Exclusion {
            outlier: 2.into(),
            patience: 3,
            appeal_seconds: 15,
            arbiter: None,
        };
        let mut watch = Watch::new(StudyId(1), rule, 5);
        let mut found = Vec::new();
        for round in 1..=rounds {
            let judged = Judged {
                round: Round(round),
                excluded: MemberSet::EMPTY,
                closed_at: UnixSeconds(10 * u64::from(round)),
                values: &VALUES,
            };
            let due = watch.observe(&judged, record).unwrap();
            assert!(due.iter().all(|due| due.member == MemberIndex(4)));
            found.extend(due.iter().map(|due| due.round.0));
        }
        found
    }

    #[test]
    fn who_is_proposed_is_not_due_again_until_that_is_settled() {
        assert_eq!(due(6, &record(Vec::new())), [3, 4, 5, 6]);
        assert_eq!(due(9, &record(vec![proposal(3, 30)])), [3]);
    }

    #[test]
    fn an_appeal_that_is_upheld_starts_the_count_afresh() {
        assert_eq!(due(7, &record(vec![upheld(3, 31, 35)])), [3, 6, 7]);
    }

    /// Round 4 is closed in second 40: what is decided in it counts from round 5 on.
    #[test]
    fn what_is_decided_in_the_second_of_a_closing_counts_from_the_next_round_on() {
        assert_eq!(due(6, &record(vec![upheld(3, 31, 39)])), [3, 6]);
        assert_eq!(due(6, &record(vec![upheld(3, 31, 40)])), [3]);
        assert_eq!(due(7, &record(vec![upheld(3, 31, 40)])), [3, 7]);
    }

    #[test]
    fn an_arbiter_that_stays_silent_starts_the_count_afresh_too() {
        let mut silent = upheld(3, 31, 0);
        silent.appeal.as_mut().unwrap().decision = None;
        // The time to decide ends with second 46, so round 5 is the first to be counted.
        assert_eq!(due(7, &record(vec![silent])), [3, 7]);
    }

    #[test]
    fn whoever_is_excluded_is_compared_with_nobody() {
        let rule = Exclusion {
            outlier: 2.into(),
            patience: 1,
            appeal_seconds: 15,
            arbiter: None,
        };
        let mut watch = Watch::new(StudyId(1), rule, 5);
        let mut excluded = MemberSet::EMPTY;
        excluded.insert(MemberIndex(4));
        let judged = Judged {
            round: Round(1),
            excluded,
            closed_at: UnixSeconds(10),
            values: &VALUES,
        };
        assert_eq!(watch.observe(&judged, &record(Vec::new())).unwrap(), []);
        assert_eq!(watch.outlying(MemberIndex(4)), 0);
    }

    #[test]
    fn evidence_is_pinned() {
        let rule = Exclusion {
            outlier: 2.into(),
            patience: 1,
            appeal_seconds: 15,
            arbiter: None,
        };
        let mut watch = Watch::new(StudyId(7), rule, 5);
        let mut values = VALUES;
        values[0] = None;
        let judged = Judged {
            round: Round(9),
            excluded: MemberSet::EMPTY,
            closed_at: UnixSeconds(10),
            values: &values,
        };
        let due = watch.observe(&judged, &record(Vec::new())).unwrap();
        assert_eq!(
            String::from_utf8(due[0].evidence.clone()).unwrap(),
            r#"{"member":4,"outlying-rounds":1,"round":9,"schema":"counterweight/exclusion-evidence/v1","study":"7","values-nano":[null,110,95,105,-900]}"#
        );
    }
}
