//! One round, as a plain value.
//!
//! The coordinator feeds it what it sees on the ledger and what members upload; [`OpenRound::step`] answers with
//! what to do. The outcome depends on which updates survive and never on the order in which they came: survivors
//! are kept by member, and nothing is summed before the round closes.
//!
//! An update counts when it is the one whose digest its member committed on the ledger, belongs to this study, round,
//! member and base, has the model's shape and stays inside the clip. Whatever else arrives is turned away with a
//! [`Refusal`]. A committed update that breaks the rules cannot be replaced, so its member is out of the round;
//! bytes that are not the committed ones say nothing about the member and may be sent again.

mod refusal;

use std::collections::BTreeMap;

use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId, UnixSeconds};

pub use self::refusal::{Absence, Refusal};
use crate::{member_set::MemberSet, update::UpdateError};

/// What a round was opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTerms {
    /// The study it belongs to.
    pub study: StudyId,
    /// Its number.
    pub round: Round,
    /// Digest of the parameters it starts from.
    pub base: ContentDigest,
    /// Members asked for an update.
    pub asked: MemberSet,
    /// Fewest survivors.
    pub quorum: usize,
    /// Last second for commitments.
    pub commit_by: UnixSeconds,
    /// Last second for uploads of what was committed. Between `commit_by` and `close_by`.
    pub upload_by: UnixSeconds,
    /// Last second to close.
    pub close_by: UnixSeconds,
}

/// Something the coordinator saw.
#[derive(Debug, Clone)]
pub enum Event {
    /// Bytes from a member whose signature held, decoded as far as they could be.
    Arrived {
        /// Who sent them.
        from: MemberIndex,
        /// Digest of the bytes.
        digest: ContentDigest,
        /// Whether they are an update that fits the rules of the round.
        verdict: Result<(), UpdateError>,
    },
    /// A member said that it takes no part.
    Declined {
        /// Who.
        member: MemberIndex,
        /// Its own words.
        reason: String,
    },
    /// Time went by.
    Tick,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Keep the bytes of this update: they count.
    Store {
        /// Its digest.
        update: ContentDigest,
    },
    /// The same bytes came before.
    AlreadyStored {
        /// Their digest.
        update: ContentDigest,
    },
    /// Tell the sender why its update does not count.
    Refuse(Refusal),
}

/// Where a round stands after a step.
#[derive(Debug, Clone)]
pub enum Progress {
    /// It goes on.
    Open(OpenRound),
    /// Aggregate the survivors and close.
    Close(ClosedRound),
    /// Too few came in time: end it on the ledger and open it again.
    Expire(ClosedRound),
}

/// What became of everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedRound {
    /// The round.
    pub terms: RoundTerms,
    /// Digest of each surviving update, in the order of members.
    pub survivors: BTreeMap<MemberIndex, ContentDigest>,
    /// Everybody else, and why.
    pub absent: BTreeMap<MemberIndex, Absence>,
}

impl ClosedRound {
    /// The survivors as the ledger keeps them.
    #[must_use]
    pub fn survivor_set(&self) -> MemberSet {
        self.survivors.keys().copied().collect()
    }
}

/// A step's outcome: where the round stands, and what to do about the event.
#[derive(Debug)]
pub struct Step {
    /// Where the round stands.
    pub progress: Progress,
    /// What to do about the event, if anything.
    pub effect: Option<Effect>,
}

/// A round that takes updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRound {
    terms: RoundTerms,
    committed: BTreeMap<MemberIndex, ContentDigest>,
    arrived: BTreeMap<MemberIndex, ContentDigest>,
    out: BTreeMap<MemberIndex, Absence>,
}

impl OpenRound {
    /// A round nobody has answered yet.
    #[must_use]
    pub fn new(terms: RoundTerms) -> Self {
        Self {
            terms,
            committed: BTreeMap::new(),
            arrived: BTreeMap::new(),
            out: BTreeMap::new(),
        }
    }

    /// What it was opened with.
    #[must_use]
    pub fn terms(&self) -> &RoundTerms {
        &self.terms
    }

    /// Members whose updates arrived and count.
    #[must_use]
    pub fn arrived(&self) -> MemberSet {
        self.arrived.keys().copied().collect()
    }

    /// Digest that a member committed.
    #[must_use]
    pub fn commitment(&self, member: MemberIndex) -> Option<ContentDigest> {
        self.committed.get(&member).copied()
    }

    /// Takes note of a commitment on the ledger, which has checked its time.
    pub fn see_commitment(&mut self, member: MemberIndex, update: ContentDigest) {
        // The ledger takes one commitment a round, so the first one seen is the only one.
        if self.is_asked(member) {
            self.committed.entry(member).or_insert(update);
        }
    }

    /// Takes one event at one time. The same events give the same survivors in any order, as long as they come
    /// before the deadlines.
    #[must_use]
    pub fn step(mut self, event: Event, now: UnixSeconds) -> Step {
        let effect = match event {
            Event::Arrived {
                from,
                digest,
                verdict,
            } => Some(self.arrive(from, digest, verdict, now)),
            Event::Declined { member, reason } => {
                // Whoever committed is bound by it: a later change of mind is what the commitment is there to prevent.
                if self.is_asked(member) && !self.committed.contains_key(&member) {
                    self.out.insert(member, Absence::Declined { reason });
                }
                None
            }
            Event::Tick => None,
        };
        Step {
            progress: self.progress(now),
            effect,
        }
    }

    fn is_asked(&self, member: MemberIndex) -> bool {
        self.terms.asked.contains(member)
    }

    fn arrive(
        &mut self,
        from: MemberIndex,
        digest: ContentDigest,
        verdict: Result<(), UpdateError>,
        now: UnixSeconds,
    ) -> Effect {
        if !self.is_asked(from) {
            return Effect::Refuse(Refusal::NotAsked { member: from.0 });
        }
        if self.arrived.get(&from) == Some(&digest) {
            return Effect::AlreadyStored { update: digest };
        }
        if now > self.terms.upload_by {
            let (round, deadline) = (self.terms.round.0, self.terms.upload_by.0);
            return Effect::Refuse(Refusal::Late { round, deadline });
        }
        let committed = self.committed.get(&from).copied();
        // A replay from another round deserves its own name. What the bytes say is believed here only to refuse them.
        if committed != Some(digest)
            && let Err(broken @ (UpdateError::OtherStudy { .. } | UpdateError::OtherRound { .. })) = verdict
        {
            return Effect::Refuse(broken.into());
        }
        let Some(committed) = committed else {
            let refusal = match self.out.contains_key(&from) {
                true => Refusal::Excluded { member: from.0 },
                false => Refusal::NotCommitted { member: from.0 },
            };
            return Effect::Refuse(refusal);
        };
        if committed != digest {
            return Effect::Refuse(Refusal::NotTheCommitted {
                member: from.0,
                expected: committed,
                got: digest,
            });
        }
        match verdict.map_err(Refusal::from) {
            Ok(()) => {
                self.out.remove(&from);
                self.arrived.insert(from, digest);
                Effect::Store { update: digest }
            }
            Err(reason) => {
                self.out.insert(
                    from,
                    Absence::Refused {
                        reason: reason.clone(),
                    },
                );
                Effect::Refuse(reason)
            }
        }
    }

    fn progress(self, now: UnixSeconds) -> Progress {
        let everyone = self.terms.asked.len();
        let settled = self.arrived.len() + self.out.len();
        let committed_settled = self
            .committed
            .keys()
            .all(|member| self.arrived.contains_key(member) || self.out.contains_key(member));
        let enough = self.arrived.len() >= self.terms.quorum;
        let complete = settled == everyone
            || (now > self.terms.commit_by && committed_settled)
            || now > self.terms.upload_by;
        if now > self.terms.close_by {
            Progress::Expire(self.close())
        } else if enough && complete {
            Progress::Close(self.close())
        } else {
            Progress::Open(self)
        }
    }

    fn close(self) -> ClosedRound {
        let mut absent = self.out;
        for member in self.terms.asked.iter() {
            if !self.arrived.contains_key(&member) {
                absent
                    .entry(member)
                    .or_insert_with(|| match self.committed.contains_key(&member) {
                        true => Absence::NeverUploaded,
                        false => Absence::NeverCommitted,
                    });
            }
        }
        ClosedRound {
            terms: self.terms,
            survivors: self.arrived,
            absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMIT_BY: u64 = 100;
    const UPLOAD_BY: u64 = 150;
    const CLOSE_BY: u64 = 200;

    fn round(members: usize, quorum: usize) -> OpenRound {
        OpenRound::new(RoundTerms {
            study: StudyId(1),
            round: Round(3),
            base: ContentDigest([1; 32]),
            asked: MemberSet::first(members),
            quorum,
            commit_by: UnixSeconds(COMMIT_BY),
            upload_by: UnixSeconds(UPLOAD_BY),
            close_by: UnixSeconds(CLOSE_BY),
        })
    }

    fn digest(member: u8) -> ContentDigest {
        ContentDigest([100 + member; 32])
    }

    fn arrival(member: u8) -> Event {
        Event::Arrived {
            from: MemberIndex(member),
            digest: digest(member),
            verdict: Ok(()),
        }
    }

    /// Four members, all committed.
    fn committed(quorum: usize) -> OpenRound {
        let mut open = round(4, quorum);
        (0..4).for_each(|member| open.see_commitment(MemberIndex(member), digest(member)));
        open
    }

    fn after(open: OpenRound, event: Event, now: u64) -> (Progress, Option<Effect>) {
        let step = open.step(event, UnixSeconds(now));
        (step.progress, step.effect)
    }

    fn still_open(progress: Progress) -> OpenRound {
        match progress {
            Progress::Open(open) => open,
            ended => panic!("{ended:?}"),
        }
    }

    fn refusal(open: OpenRound, event: Event, now: u64) -> Refusal {
        match after(open, event, now).1 {
            Some(Effect::Refuse(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_round_closes_as_soon_as_everyone_is_settled() {
        let mut open = committed(2);
        for member in 0..3 {
            open = still_open(after(open, arrival(member), 1).0);
        }
        let Progress::Close(closed) = after(open, arrival(3), 1).0 else {
            panic!("open")
        };
        assert_eq!(closed.survivor_set(), MemberSet::first(4));
        assert!(closed.absent.is_empty());
    }

    #[test]
    fn it_waits_for_uploads_of_what_was_committed_and_not_for_those_who_committed_nothing() {
        let mut open = round(4, 2);
        (0..3).for_each(|member| open.see_commitment(MemberIndex(member), digest(member)));
        open = still_open(after(open, arrival(0), 1).0);
        open = still_open(after(open, arrival(1), 1).0);
        open = still_open(after(open, Event::Tick, UPLOAD_BY).0);
        let Progress::Close(closed) = after(open.clone(), Event::Tick, UPLOAD_BY + 1).0 else {
            panic!("open")
        };
        assert_eq!(closed.absent[&MemberIndex(2)], Absence::NeverUploaded);
        assert_eq!(closed.absent[&MemberIndex(3)], Absence::NeverCommitted);
        open = still_open(after(open, Event::Tick, COMMIT_BY).0);
        let Progress::Close(closed) = after(open, arrival(2), COMMIT_BY + 1).0 else {
            panic!("open")
        };
        assert_eq!(closed.survivor_set(), MemberSet::first(3));
    }

    #[test]
    fn without_a_quorum_it_expires_and_not_before_its_time() {
        let mut open = committed(3);
        open = still_open(after(open, arrival(0), 1).0);
        open = still_open(after(open, Event::Tick, CLOSE_BY).0);
        assert!(matches!(
            after(open, Event::Tick, CLOSE_BY + 1).0,
            Progress::Expire(_)
        ));
    }

    #[test]
    fn late_updates_are_refused_and_known_ones_are_known_at_any_time() {
        let open = committed(4);
        let late = Refusal::Late {
            round: 3,
            deadline: UPLOAD_BY,
        };
        assert_eq!(refusal(open.clone(), arrival(0), UPLOAD_BY + 1), late);
        let open = still_open(after(open, arrival(0), UPLOAD_BY).0);
        let again = after(open, arrival(0), UPLOAD_BY + 1).1;
        assert_eq!(again, Some(Effect::AlreadyStored { update: digest(0) }));
    }

    #[test]
    fn what_was_not_committed_is_refused_and_may_be_sent_again() {
        let other = Event::Arrived {
            from: MemberIndex(0),
            digest: digest(9),
            verdict: Ok(()),
        };
        let (progress, effect) = after(committed(2), other, 1);
        let expected = Refusal::NotTheCommitted {
            member: 0,
            expected: digest(0),
            got: digest(9),
        };
        assert_eq!(effect, Some(Effect::Refuse(expected)));
        let stored = after(still_open(progress), arrival(0), 1).1;
        assert_eq!(stored, Some(Effect::Store { update: digest(0) }));
        assert_eq!(
            refusal(round(4, 2), arrival(1), 1),
            Refusal::NotCommitted { member: 1 }
        );
    }

    #[test]
    fn a_committed_update_that_breaks_a_rule_takes_its_member_out() {
        let (expected, got) = (5, 6);
        let broken = [
            (
                UpdateError::ShapeMismatch { expected, got },
                Refusal::WrongShape { expected: 5, got: 6 },
            ),
            (
                UpdateError::BeyondClip { norm: 2.0, clip: 1.0 },
                Refusal::BeyondClip {
                    norm: "2".to_owned(),
                    clip: "1".to_owned(),
                },
            ),
            (
                UpdateError::OtherMember {
                    expected: MemberIndex(0),
                    got: MemberIndex(1),
                },
                Refusal::WrongMember { expected: 0, got: 1 },
            ),
            (
                UpdateError::OtherRound {
                    expected: Round(3),
                    got: Round(2),
                },
                Refusal::WrongRound { expected: 3, got: 2 },
            ),
            (
                UpdateError::Examples { limit: 9, got: 0 },
                Refusal::Examples { limit: 9, got: 0 },
            ),
        ];
        for (error, expected) in broken {
            let event = Event::Arrived {
                from: MemberIndex(0),
                digest: digest(0),
                verdict: Err(error),
            };
            let (progress, effect) = after(committed(2), event, 1);
            assert_eq!(effect, Some(Effect::Refuse(expected.clone())));
            let mut open = still_open(progress);
            for member in 1..3 {
                open = still_open(after(open, arrival(member), 1).0);
            }
            let Progress::Close(closed) = after(open, arrival(3), 1).0 else {
                panic!("open")
            };
            assert_eq!(
                closed.absent[&MemberIndex(0)],
                Absence::Refused { reason: expected }
            );
        }
    }

    #[test]
    fn a_decline_counts_only_before_a_commitment() {
        let decline = |member| Event::Declined {
            member: MemberIndex(member),
            reason: "no power".to_owned(),
        };
        let mut open = round(2, 1);
        open.see_commitment(MemberIndex(0), digest(0));
        open = still_open(after(open, decline(0), 1).0);
        open = still_open(after(open, decline(1), 1).0);
        let Progress::Close(closed) = after(open, arrival(0), 1).0 else {
            panic!("open")
        };
        assert_eq!(closed.survivor_set(), MemberSet::first(1));
        assert_eq!(
            closed.absent[&MemberIndex(1)],
            Absence::Declined {
                reason: "no power".to_owned()
            }
        );
    }

    #[test]
    fn who_was_not_asked_is_told_so() {
        let mut open = round(2, 1);
        open.see_commitment(MemberIndex(5), digest(5));
        assert_eq!(refusal(open, arrival(5), 1), Refusal::NotAsked { member: 5 });
    }

    proptest! {
        /// Whatever the order, and however often each comes, the same members survive.
        #[test]
        fn survivors_do_not_depend_on_the_order(order in Just([0_u8, 1, 2, 0, 1, 2]).prop_shuffle(), extra in 0..6_usize) {
            let mut open = committed(3);
            for (place, member) in order.into_iter().enumerate() {
                if place == extra {
                    let junk = Event::Arrived { from: MemberIndex(3), digest: digest(8), verdict: Ok(()) };
                    open = still_open(after(open, junk, 1).0);
                }
                open = still_open(after(open, arrival(member), 1).0);
            }
            let Progress::Close(closed) = after(open, Event::Tick, UPLOAD_BY + 1).0 else { panic!("open") };
            prop_assert_eq!(closed.survivor_set(), MemberSet::first(3));
        }
    }
}
