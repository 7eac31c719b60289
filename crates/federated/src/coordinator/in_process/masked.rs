//! Members of a masked study in the coordinator's own process: each takes a step whenever the coordinator has nothing to
//! do.

use counterweight_primitives::UnixSeconds;
use rayon::prelude::*;

use super::{Content, InProcess, RoundNotice, delivery};
use crate::{
    blobs::Blobs,
    member::{ClientError, MaskedMove, MaskedOpening, Member, MemberError},
};

/// A member's seat in the open round.
#[derive(Default)]
pub(super) struct Seat {
    opening: MaskedOpening,
    /// It did its part, or goes no further.
    over: bool,
}

impl InProcess {
    /// Whether its members mask.
    pub(super) fn masks(&self) -> bool {
        self.members
            .first()
            .is_some_and(|member| member.masks().is_some())
    }

    /// Takes up an opening; where it is one that was taken up before, members that went no further stay where they are.
    pub(super) fn sit_down(&mut self, notice: RoundNotice) {
        self.seats = self.members.iter().map(|_| Seat::default()).collect();
        self.seated = Some(notice);
    }

    /// Lets every member take its next step: they compute in parallel and act on the ledger in their order.
    pub(super) fn step_masked(&mut self) {
        let Some(notice) = self.seated else { return };
        let (blobs, now) = (self.blobs.as_ref(), self.clock.now().seconds());
        let moves: Vec<_> = self
            .members
            .par_iter()
            .zip(self.seats.par_iter_mut())
            .map(|(member, seat)| (!seat.over).then(|| next_move(member, seat, &notice, now, blobs)))
            .collect();
        for ((member, seat), next) in self.members.iter().zip(&mut self.seats).zip(moves) {
            let Some(next) = next else { continue };
            let moved = next.and_then(|next| member.record_move(&next).map(|()| next));
            let content = match moved {
                Ok(MaskedMove::Wait | MaskedMove::Announce { .. }) => continue,
                Ok(MaskedMove::Record { kind, bytes, .. }) => {
                    seat.opening.sent(kind);
                    Content::Masked(kind, bytes)
                }
                Ok(MaskedMove::Done) | Err(MemberError::RoundNotOpen { .. }) => {
                    seat.over = true;
                    continue;
                }
                Ok(MaskedMove::Out(problem)) => {
                    seat.over = true;
                    Content::Decline(problem)
                }
                // It may be gone when it is looked at again.
                Err(error) if error.is_retryable() || error.is_early() => continue,
                Err(error) => {
                    seat.over = true;
                    Content::Decline(error.with_causes())
                }
            };
            let Ok(index) = member.index() else { continue };
            self.deliveries
                .push_back(delivery(member, index, &notice, content));
        }
    }
}

fn next_move(
    member: &Member,
    seat: &mut Seat,
    notice: &RoundNotice,
    now: UnixSeconds,
    blobs: &dyn Blobs,
) -> Result<MaskedMove, MemberError> {
    let mut fetch = |digest: &_, limit| blobs.get(digest, limit).map_err(ClientError::Blob);
    member.masked_move(&mut seat.opening, notice.round, now, &mut fetch)
}
