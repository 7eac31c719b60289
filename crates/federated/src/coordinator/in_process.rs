//! Members in the coordinator's own process, for simulations.

mod masked;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use counterweight_primitives::MemberIndex;
use rayon::prelude::*;

use super::{Content, Delivery, Members, Notice, RoundNotice};
use crate::{
    blobs::Blobs,
    clock::Clock,
    ledger::Phase,
    member::{ClientError, Member, MemberError, PreparedUpdate},
};

/// Members that run in this process. They train in parallel and act on the ledger in the order they were given,
/// so that a simulation leaves the same record every time.
pub struct InProcess {
    members: Vec<Member>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    deliveries: VecDeque<Delivery>,
    refused: Vec<(usize, MemberError)>,
    asked_to_join: bool,
    /// The opening in which members of a masked study have their seats, one each.
    seated: Option<RoundNotice>,
    seats: Vec<masked::Seat>,
    in_turn: bool,
}

impl InProcess {
    /// Members that fetch parameters from `blobs`, the coordinator's store.
    #[must_use]
    pub fn new(members: Vec<Member>, blobs: Arc<dyn Blobs>, clock: Arc<dyn Clock>) -> Self {
        Self {
            members,
            blobs,
            clock,
            deliveries: VecDeque::new(),
            refused: Vec::new(),
            asked_to_join: false,
            seated: None,
            seats: Vec::new(),
            in_turn: false,
        }
    }

    /// Lets members train one after the other on the caller's thread, in the order they were given: for trainers that
    /// share something, such as a generator of random numbers.
    #[must_use]
    pub fn in_turn(self) -> Self {
        Self {
            in_turn: true,
            ..self
        }
    }

    /// Members that could not join, by their place in the list given, and why.
    #[must_use]
    pub fn refused(&self) -> &[(usize, MemberError)] {
        &self.refused
    }

    fn join(&mut self) {
        if !std::mem::replace(&mut self.asked_to_join, true) {
            let joined = self.members.iter().map(Member::join);
            self.refused = joined
                .enumerate()
                .filter_map(|(place, joined)| Some((place, joined.err()?)))
                .collect();
        }
    }

    fn take_part(&mut self, notice: &RoundNotice) {
        // The ledger is left alone while training runs in parallel: the order of its records is part of the result.
        let blobs = self.blobs.as_ref();
        let train = |member| prepare(member, notice, blobs);
        let prepared: Vec<_> = if self.in_turn {
            self.members.iter().map(train).collect()
        } else {
            self.members.par_iter().map(train).collect()
        };
        for (member, prepared) in self.members.iter().zip(prepared) {
            let ready = prepared.and_then(|prepared| {
                let Some(prepared) = prepared else { return Ok(None) };
                member.commit(&prepared).map(|()| Some(prepared))
            });
            let Ok(index) = member.index() else { continue };
            let content = match ready {
                Ok(None) => continue,
                Ok(Some(prepared)) => Content::Update(prepared.bytes),
                Err(error) => Content::Decline(error.with_causes()),
            };
            self.deliveries
                .push_back(delivery(member, index, notice, content));
        }
    }
}

/// The update of a member that is asked in this round.
fn prepare(
    member: &Member,
    notice: &RoundNotice,
    blobs: &dyn Blobs,
) -> Result<Option<PreparedUpdate>, MemberError> {
    let Some(assignment) = member.assignment(notice.round)? else {
        return Ok(None);
    };
    let base = blobs
        .get(&assignment.base, member.model_bytes_max())
        .map_err(ClientError::Blob)?;
    member.prepare(&assignment, &base).map(Some)
}

fn delivery(member: &Member, index: MemberIndex, notice: &RoundNotice, content: Content) -> Delivery {
    // Whatever the answer is, the observer of the coordinator hears it; a simulated member has no choice to make.
    let answer = Box::new(|_| ());
    Delivery {
        from: member.account(),
        member: index,
        round: notice.round,
        content,
        answer,
    }
}

impl Members for InProcess {
    fn announce(&mut self, notice: &Notice) {
        match (notice.phase, &notice.round) {
            (Phase::Enrolling, _) => self.join(),
            (Phase::Running, Some(round)) if self.masks() => self.sit_down(*round),
            (Phase::Running, Some(round)) => self.take_part(round),
            _ => {}
        }
    }

    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        if self.deliveries.is_empty() {
            self.step_masked();
        }
        let next = self.deliveries.pop_front();
        if next.is_none() {
            self.clock.pause(wait);
        }
        next
    }

    fn may_grow(&self) -> bool {
        !self.asked_to_join
    }
}
