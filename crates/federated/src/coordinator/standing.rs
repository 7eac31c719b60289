//! Who is asked, who is proposed for exclusion: what a coordinator does about members' standing.

use counterweight_primitives::Address;

use super::{Coordinator, CoordinatorError, Replay, StudyEvent};
use crate::{
    asking::Asking,
    ledger::{
        LedgerError, Phase, RoundRecord, StudyLedger, StudyState,
        standing::{StandingLedger, StandingSetting},
    },
    member_set::MemberSet,
    standing::{Due, StandingRecord},
};

impl Coordinator<'_> {
    /// Says on the ledger how exclusions are decided, before the study starts.
    pub(super) fn configure_standing(&mut self, state: &StudyState) -> Result<(), CoordinatorError> {
        let Some(rule) = self.plan.terms.exclusion().copied() else {
            return Ok(());
        };
        let study = self.plan.study;
        let doing = "saying how exclusions are decided";
        let setting = StandingSetting {
            arbiter: rule.arbiter.unwrap_or(Address::ZERO),
            appeal_seconds: rule.appeal_seconds,
        };
        if state.phase == Phase::Enrolling {
            self.ask(doing, |ledger| {
                let standing = standing_of(ledger)?;
                if standing.standing_setting(study)?.is_some() {
                    return Ok(());
                }
                match standing.configure_standing(study, &setting) {
                    // A call without an answer may have taken effect, and so may one that is called a second one.
                    Err(error) if standing.standing_setting(study)?.is_none() => Err(error),
                    _ => Ok(()),
                }
            })?;
        }
        match self.ask(doing, |ledger| standing_of(ledger)?.standing_setting(study))? {
            Some(recorded) if rule.agrees_with(&recorded) => Ok(()),
            _ => Err(CoordinatorError::Terms {
                problem: "the ledger does not decide exclusions as they say".to_owned(),
            }),
        }
    }

    /// Who is asked in a round that was opened.
    pub(super) fn asked(
        &mut self,
        state: &StudyState,
        record: &RoundRecord,
    ) -> Result<MemberSet, CoordinatorError> {
        let asking = self.asking()?;
        Ok(asking.asked(&self.plan.terms, state, record.round))
    }

    fn asking(&mut self) -> Result<Asking, CoordinatorError> {
        let (study, terms) = (self.plan.study, self.plan.terms.clone());
        self.ask("reading who is asked", |ledger| {
            let rounds = ledger.rounds(study)?;
            Asking::read(ledger, &terms, study, &rounds)
        })
    }

    /// Judges the members after a closed round, and proposes to exclude whoever the rule gives. What is proposed already is left
    /// alone, so that a coordinator that was killed goes on where it was.
    pub(super) fn judge(
        &mut self,
        replay: &mut Replay,
        record: &RoundRecord,
    ) -> Result<(), CoordinatorError> {
        let Some(closing) = record.closed.as_ref().filter(|_| replay.watch().is_some()) else {
            return Ok(());
        };
        let (study, round) = (self.plan.study, record.round);
        let doing = "reading who is proposed for exclusion";
        let read = self.ask(doing, |ledger| StandingRecord::read(ledger, study))?;
        let Some(read) = read else {
            return Err(CoordinatorError::Terms {
                problem: "the ledger does not decide exclusions as they say".to_owned(),
            });
        };
        let excluded = self.asking()?.excluded(round);
        let due = replay.judge(round, excluded, closing.closed_at, &read)?;
        let state = self.state("reading the study")?;
        // After the last round there is nothing left to be excluded from.
        if state.phase != Phase::Running || round.0 >= state.rounds {
            return Ok(());
        }
        for due in due {
            self.propose(&due)?;
        }
        Ok(())
    }

    fn propose(&mut self, due: &Due) -> Result<(), CoordinatorError> {
        let study = self.plan.study;
        let evidence = self.environment.blobs.put(&due.evidence)?;
        let appeal_seconds = self.ask("proposing an exclusion", |ledger| {
            let standing = standing_of(ledger)?;
            let setting = standing.standing_setting(study)?;
            let is_done = || -> Result<bool, LedgerError> {
                let proposals = standing.proposals(study)?;
                let same = |member, round| member == due.member && round == due.round;
                Ok(proposals.iter().any(|known| same(known.member, known.round)))
            };
            if !is_done()? {
                match standing.propose_exclusion(study, due.member, due.round, evidence) {
                    Err(error) if !is_done()? => return Err(error),
                    _ => {}
                }
            }
            Ok(setting.map_or(0, |setting| setting.appeal_seconds))
        })?;
        self.tell(&StudyEvent::ExclusionProposed {
            round: due.round,
            member: due.member,
            appeal_seconds,
        });
        Ok(())
    }
}

fn standing_of(ledger: &dyn StudyLedger) -> Result<&dyn StandingLedger, LedgerError> {
    ledger.standing().ok_or_else(|| LedgerError::Malformed {
        what: "it keeps no record of exclusions".to_owned(),
    })
}
