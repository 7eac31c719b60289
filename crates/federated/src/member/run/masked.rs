//! A masked round of a member that runs by itself.

use std::time::Duration;

use counterweight_primitives::{MemberIndex, Round};

use super::{PAUSES, Run, unseen};
use crate::{
    coordinator::Answer,
    masked::record::MaskRecord,
    member::{MaskedMove, MaskedOpening, MemberError, MemberEvent},
    round::Refusal,
};

/// Longest pause between two looks at the ledger.
const LOOK_MAX: Duration = Duration::from_secs(2);

impl Run<'_> {
    pub(super) fn masked(&mut self, round: Round) -> Result<(), MemberError> {
        let mut opening = MaskedOpening::default();
        let mut wait = PAUSES.0;
        (self.observer)(&MemberEvent::Training { round });
        loop {
            let doing = "taking part in the masked round";
            let next = self.patiently(doing, |run| {
                let chain = run.member.chain_time()?;
                // A chain without new blocks stands still, and its next block will not.
                let now = chain.max(run.clock.now().seconds());
                let client = &mut *run.client;
                run.member
                    .masked_move(&mut opening, round, now, &mut |digest, limit| {
                        client.blob(digest, limit)
                    })
            });
            let next = match next {
                // Closed in the meantime: with this member in it or not, there is nothing left to do.
                Err(MemberError::RoundNotOpen { .. }) if !opening.is_fresh() => return Ok(()),
                next => next?,
            };
            match self.patiently(doing, |run| run.member.record_move(&next)) {
                Err(error) if error.is_early() => {
                    self.clock.pause(wait);
                    continue;
                }
                recorded => recorded?,
            }
            match next {
                MaskedMove::Done => return Ok(()),
                MaskedMove::Out(problem) => return Err(MemberError::Masked { round, problem }),
                MaskedMove::Wait => {
                    let news = self.client.notice(wait.min(self.options.poll));
                    if news.is_err() || wait > self.options.poll {
                        self.clock.pause(wait);
                    }
                    wait = (wait * 2).min(LOOK_MAX);
                }
                MaskedMove::Announce { .. } => wait = PAUSES.0,
                MaskedMove::Record {
                    kind,
                    member,
                    digest,
                    bytes,
                    ..
                } => {
                    if kind == MaskRecord::Upload {
                        (self.observer)(&MemberEvent::Committed {
                            round,
                            update: digest,
                        });
                    }
                    self.hand_over(member, round, kind, &bytes)?;
                    opening.sent(kind);
                    (self.observer)(&MemberEvent::HandedOver { round, record: kind });
                    wait = PAUSES.0;
                }
            }
        }
    }

    fn hand_over(
        &mut self,
        member: MemberIndex,
        round: Round,
        kind: MaskRecord,
        bytes: &[u8],
    ) -> Result<(), MemberError> {
        self.retry_while_open(
            "handing over a record of the masked round",
            round,
            |run| match run.client.hand_over(member, round, kind, bytes)? {
                Answer::Refused(Refusal::NotCommitted { .. }) => Err(unseen()),
                answer => Ok(answer),
            },
            |_| Ok(false),
        )
    }
}
