//! What the exclusion of members must have recorded beside `ledger`'s: `IMemberStanding`.
//!
//! The coordinator proposes, the member may appeal, an arbiter decides: `docs/spec/member-standing.md`. Whether a proposal is
//! the one that the study's rule gives, the ledger does not know; whoever reads it recomputes that.

use counterweight_primitives::{Address, ContentDigest, MemberIndex, Round, StudyId, UnixSeconds};

use super::LedgerError;

/// How exclusions of a study are decided: `IMemberStanding.Setting`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingSetting {
    /// Who decides appeals; when it is set, zero for the study's sponsor. Never the coordinator.
    pub arbiter: Address,
    /// Time for an appeal after a proposal, and for the decision after an appeal.
    pub appeal_seconds: u32,
}

/// A proposal to exclude a member, and what came of it, from events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// Whom.
    pub member: MemberIndex,
    /// The closed round after which the rule gave it.
    pub round: Round,
    /// Digest of the values it was given by.
    pub evidence: ContentDigest,
    /// When it was proposed.
    pub proposed_at: UnixSeconds,
    /// The member's appeal, if it made one in time.
    pub appeal: Option<Appeal>,
}

/// An appeal against a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appeal {
    /// Digest of the member's reason.
    pub reason: ContentDigest,
    /// When it was made.
    pub at: UnixSeconds,
    /// What the arbiter decided, if it did in time.
    pub decision: Option<Decision>,
}

/// What the arbiter decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the member stays.
    pub upheld: bool,
    /// When it decided.
    pub at: UnixSeconds,
}

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalState {
    /// The member may appeal until then.
    Open {
        /// Last second for it.
        appeal_by: UnixSeconds,
    },
    /// The arbiter may decide until then; from then on the member stays.
    Appealed {
        /// Last second for it.
        decide_by: UnixSeconds,
    },
    /// The member is excluded.
    Excluded {
        /// From this second on.
        since: UnixSeconds,
    },
    /// The member stays.
    Kept {
        /// From this second on that was settled.
        since: UnixSeconds,
    },
}

impl Proposal {
    /// Where it stands at a time, if nothing else was recorded until then.
    #[must_use]
    pub fn state(&self, setting: &StandingSetting, now: UnixSeconds) -> ProposalState {
        let window = u64::from(setting.appeal_seconds);
        let after = |time: UnixSeconds| UnixSeconds(time.0.saturating_add(window));
        let next = |time: UnixSeconds| UnixSeconds(time.0.saturating_add(1));
        match self.appeal {
            None if now <= after(self.proposed_at) => ProposalState::Open {
                appeal_by: after(self.proposed_at),
            },
            None => ProposalState::Excluded {
                since: next(after(self.proposed_at)),
            },
            Some(Appeal {
                decision: Some(decision),
                ..
            }) => match decision.upheld {
                true => ProposalState::Kept { since: decision.at },
                false => ProposalState::Excluded { since: decision.at },
            },
            Some(appeal) if now <= after(appeal.at) => ProposalState::Appealed {
                decide_by: after(appeal.at),
            },
            Some(appeal) => ProposalState::Kept {
                since: next(after(appeal.at)),
            },
        }
    }

    /// It as it was before a time: what was recorded in that second or later is left out, since nobody can tell what of one
    /// second came first.
    #[must_use]
    pub fn before(&self, time: UnixSeconds) -> Self {
        let appeal = self.appeal.filter(|appeal| appeal.at < time);
        Self {
            appeal: appeal.map(|appeal| Appeal {
                decision: appeal.decision.filter(|decision| decision.at < time),
                ..appeal
            }),
            ..*self
        }
    }

    /// Where it ends as the record is now, whatever the time.
    #[must_use]
    pub fn end(&self, setting: &StandingSetting) -> ProposalState {
        self.state(setting, UnixSeconds(u64::MAX))
    }

    /// From when on the member is excluded, as the record is now.
    #[must_use]
    pub fn excluded_since(&self, setting: &StandingSetting) -> Option<UnixSeconds> {
        match self.end(setting) {
            ProposalState::Excluded { since } => Some(since),
            _ => None,
        }
    }
}

/// Reading who is proposed for exclusion, and excluded.
pub trait StandingReader {
    /// How exclusions of a study are decided, if it has any.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn standing_setting(&self, study: StudyId) -> Result<Option<StandingSetting>, LedgerError>;

    /// Every proposal of a study, in the order in which they were made.
    fn proposals(&self, study: StudyId) -> Result<Vec<Proposal>, LedgerError>;
}

/// Acting on exclusions for one account. Every call returns once it is recorded for good.
pub trait StandingLedger: StandingReader {
    /// Says how exclusions of a study are decided, once, as its coordinator or sponsor and before it starts.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    fn configure_standing(&self, study: StudyId, setting: &StandingSetting) -> Result<(), LedgerError>;
    /// Proposes, as the coordinator, to exclude a member.
    fn propose_exclusion(
        &self,
        study: StudyId,
        member: MemberIndex,
        round: Round,
        evidence: ContentDigest,
    ) -> Result<(), LedgerError>;
    /// Appeals, as the member, against a proposal.
    fn appeal_exclusion(
        &self,
        study: StudyId,
        member: MemberIndex,
        reason: ContentDigest,
    ) -> Result<(), LedgerError>;
    /// Decides an appeal, as the arbiter: whether the member stays.
    fn decide_appeal(&self, study: StudyId, member: MemberIndex, uphold: bool) -> Result<(), LedgerError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: StandingSetting = StandingSetting {
        arbiter: Address([1; 20]),
        appeal_seconds: 10,
    };

    fn proposal(appeal: Option<(u64, Option<(bool, u64)>)>) -> Proposal {
        Proposal {
            member: MemberIndex(3),
            round: Round(2),
            evidence: ContentDigest([1; 32]),
            proposed_at: UnixSeconds(100),
            appeal: appeal.map(|(at, decision)| Appeal {
                reason: ContentDigest([2; 32]),
                at: UnixSeconds(at),
                decision: decision.map(|(upheld, at)| Decision {
                    upheld,
                    at: UnixSeconds(at),
                }),
            }),
        }
    }

    #[test]
    fn without_an_appeal_a_proposal_holds_once_its_time_is_over() {
        let open = ProposalState::Open {
            appeal_by: UnixSeconds(110),
        };
        let excluded = ProposalState::Excluded {
            since: UnixSeconds(111),
        };
        assert_eq!(proposal(None).state(&SETTING, UnixSeconds(110)), open);
        assert_eq!(proposal(None).state(&SETTING, UnixSeconds(111)), excluded);
        assert_eq!(proposal(None).excluded_since(&SETTING), Some(UnixSeconds(111)));
    }

    #[test]
    fn an_appeal_excludes_only_if_it_is_rejected_and_silence_keeps_the_member() {
        let silent = proposal(Some((105, None)));
        let waits = ProposalState::Appealed {
            decide_by: UnixSeconds(115),
        };
        assert_eq!(silent.state(&SETTING, UnixSeconds(115)), waits);
        let kept = ProposalState::Kept {
            since: UnixSeconds(116),
        };
        assert_eq!(silent.end(&SETTING), kept);
        assert_eq!(silent.excluded_since(&SETTING), None);
        let rejected = proposal(Some((105, Some((false, 107)))));
        assert_eq!(rejected.excluded_since(&SETTING), Some(UnixSeconds(107)));
        let upheld = proposal(Some((105, Some((true, 107)))));
        assert_eq!(
            upheld.end(&SETTING),
            ProposalState::Kept {
                since: UnixSeconds(107)
            }
        );
    }
}
