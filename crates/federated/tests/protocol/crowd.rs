//! Members of a masked study that do what a test tells them to.

use std::{collections::VecDeque, time::Duration};

use counterweight_federated::{
    blobs::Blobs as _,
    coordinator::{Content, Delivery, Members, Notice, RoundNotice},
    ledger::Phase,
    masked::record::MaskRecord,
    member::{ClientError, MaskedMove, MaskedOpening, Member, MemberError},
};
use counterweight_primitives::{MemberIndex, Sha256Digest};

use crate::support::World;

/// What a member makes of a step it should take.
pub(crate) struct Deed {
    /// What it records on the ledger instead; nothing for nothing.
    pub(crate) recorded: Option<MaskedMove>,
    /// What it sends, in order.
    pub(crate) sent: Vec<(MaskRecord, Vec<u8>)>,
    /// Whether it is killed afterwards, and starts again without its memory.
    pub(crate) killed: bool,
    /// Whether it believes that what it sent arrived.
    pub(crate) content: bool,
}

impl Deed {
    /// What an honest member does.
    pub(crate) fn honest(next: &MaskedMove) -> Self {
        let sent = match next {
            MaskedMove::Record { kind, bytes, .. } => vec![(*kind, bytes.clone())],
            _ => Vec::new(),
        };
        Self {
            recorded: Some(next.clone()),
            sent,
            killed: false,
            content: true,
        }
    }

    pub(crate) fn nothing() -> Self {
        Self {
            recorded: None,
            sent: Vec::new(),
            killed: false,
            content: false,
        }
    }

    /// An altered record, with its own digest on the ledger.
    pub(crate) fn altered(next: &MaskedMove, change: impl FnOnce(&mut Vec<u8>, &mut Sha256Digest)) -> Self {
        let mut altered = next.clone();
        if let MaskedMove::Record {
            digest, bytes, root, ..
        } = &mut altered
        {
            change(bytes, root);
            *digest = counterweight_primitives::ContentDigest::of(bytes);
        }
        Self::honest(&altered)
    }
}

/// Says what a member makes of its next step in a round.
type Decide<'a> = dyn FnMut(MemberIndex, u32, &MaskedMove) -> Deed + 'a;

pub(crate) struct Crowd<'a> {
    world: &'a World,
    members: Vec<Member>,
    openings: Vec<MaskedOpening>,
    /// Whether a member said that it goes no further in the open round.
    over: Vec<bool>,
    seated: Option<RoundNotice>,
    queue: VecDeque<Delivery>,
    deed: Box<Decide<'a>>,
    joined: bool,
    /// Why members went no further.
    pub(crate) problems: Vec<(u8, String)>,
}

impl<'a> Crowd<'a> {
    pub(crate) fn new(
        world: &'a World,
        deed: impl FnMut(MemberIndex, u32, &MaskedMove) -> Deed + 'a,
    ) -> Self {
        let count = world.datasets.len() as u8;
        Self {
            world,
            members: (0..count).map(|number| world.member(number)).collect(),
            openings: (0..count).map(|_| MaskedOpening::default()).collect(),
            over: vec![false; usize::from(count)],
            seated: None,
            queue: VecDeque::new(),
            deed: Box::new(deed),
            joined: false,
            problems: Vec::new(),
        }
    }

    fn step(&mut self) {
        let Some(notice) = self.seated else { return };
        for at in 0..self.members.len() {
            if self.over[at] {
                continue;
            }
            let (member, opening) = (&self.members[at], &mut self.openings[at]);
            let now = self.world.clock.now().seconds();
            let blobs = &self.world.blobs;
            let mut fetch = |digest: &_, limit| blobs.get(digest, limit).map_err(ClientError::Blob);
            let next = match member.masked_move(opening, notice.round, now, &mut fetch) {
                Ok(MaskedMove::Wait | MaskedMove::Done) | Err(MemberError::RoundNotOpen { .. }) => continue,
                Ok(MaskedMove::Out(problem)) => {
                    self.over[at] = true;
                    self.problems.push((at as u8, problem));
                    continue;
                }
                Ok(next) => next,
                Err(error) => {
                    self.over[at] = true;
                    self.problems.push((at as u8, error.with_causes()));
                    self.push(at, &notice, Content::Decline(error.with_causes()));
                    continue;
                }
            };
            let deed = (self.deed)(MemberIndex(at as u8), notice.round.0, &next);
            let member = &self.members[at];
            if deed
                .recorded
                .as_ref()
                .is_some_and(|recorded| member.record_move(recorded).is_err())
            {
                continue;
            }
            for (kind, bytes) in deed.sent {
                self.push(at, &notice, Content::Masked(kind, bytes));
                if deed.content {
                    self.openings[at].sent(kind);
                }
            }
            if deed.killed {
                self.openings[at] = MaskedOpening::default();
            }
        }
    }

    fn push(&mut self, at: usize, notice: &RoundNotice, content: Content) {
        let member = &self.members[at];
        let Ok(index) = member.index() else { return };
        self.queue.push_back(Delivery {
            from: member.account(),
            member: index,
            round: notice.round,
            content,
            answer: Box::new(|_| ()),
        });
    }
}

impl Members for Crowd<'_> {
    fn announce(&mut self, notice: &Notice) {
        match (notice.phase, notice.round) {
            (Phase::Enrolling, _) => {
                self.joined = true;
                for member in &self.members {
                    member.join().unwrap();
                }
            }
            (Phase::Running, Some(round)) => {
                if self.seated != Some(round) {
                    self.queue.clear();
                    self.over.fill(false);
                }
                self.seated = Some(round);
            }
            _ => self.seated = None,
        }
    }

    fn next(&mut self, wait: Duration) -> Option<Delivery> {
        if self.queue.is_empty() {
            self.step();
        }
        let next = self.queue.pop_front();
        if next.is_none() {
            self.world.clock.pause(wait);
        }
        next
    }

    fn may_grow(&self) -> bool {
        !self.joined
    }
}
