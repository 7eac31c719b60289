//! A member's part in a masked round.
//!
//! Its randomness comes from its secret and the opening, so a member that was killed makes the same messages again; what
//! it recorded on the ledger holds it to them. The survivors it answered for are noted before its shares leave, and
//! another set of the same round is refused for ever: two sums that differ by few members would tell of those.

use std::collections::BTreeSet;

use counterweight_primitives::{ContentDigest, MemberIndex, Round, Sha256Digest, UnixSeconds};
use counterweight_provenance::blobs::BlobError;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use zeroize::Zeroizing;

use super::{
    ClientError, Member, MemberError, PreparedUpdate,
    trainer::Metrics,
    work::{noise_of, of_promise},
};
use crate::{
    journal::Entry,
    ledger::{
        LedgerError,
        masking::{MaskDealing, MaskDomain, MaskLedger},
    },
    masked::{
        recompute::read_dealing,
        record::{MaskRecord, encode_dealing, encode_unmasking, encode_upload},
        turn::{DrawnGroup, MaskView, MemberTurn},
        vector::{masked_words, noisy_words},
    },
    masking::{self, Announcement, Place, PublicKey, Unmasking, key_of, roots},
    member_set::MemberSet,
    study::masking::Masking,
    update::{MOST_EXAMPLES, Update, UpdateRules},
};

/// A member's memory of one opening of a round. It can be lost: the ledger and the member's secret give it again.
#[derive(Default)]
pub struct MaskedOpening {
    opening: Option<(Round, UnixSeconds)>,
    update: Option<Update>,
    sent: BTreeSet<MaskRecord>,
    /// Masked records, once made.
    dealing: Option<Made>,
    upload: Option<Made>,
    unmasking: Option<Made>,
}

type Made = (Vec<u8>, ContentDigest, Sha256Digest);

/// What a member does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaskedMove {
    /// Nothing, until others had their turn.
    Wait,
    /// Nothing more: it has done its part.
    Done,
    /// Nothing more: the round goes on without it.
    Out(String),
    /// Announce a key.
    Announce {
        /// The round.
        round: Round,
        /// Whose.
        member: MemberIndex,
        /// The key.
        key: PublicKey,
    },
    /// Record a digest on the ledger, where that is not done, and hand over its bytes.
    Record {
        /// Which record.
        kind: MaskRecord,
        /// The round.
        round: Round,
        /// Whose.
        member: MemberIndex,
        /// Digest of the bytes.
        digest: ContentDigest,
        /// Its root on the ledger; of no meaning for opened shares.
        root: Sha256Digest,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

impl MaskedOpening {
    /// Whether no look was taken with it yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.opening.is_none()
    }

    /// Takes note that the coordinator has a record.
    pub fn sent(&mut self, kind: MaskRecord) {
        self.sent.insert(kind);
    }
}

/// Fetches the bytes behind a digest, at most so many.
pub type Fetch<'a> = dyn FnMut(&ContentDigest, u64) -> Result<Vec<u8>, ClientError> + 'a;

impl Member {
    /// The time of the ledger.
    pub(super) fn chain_time(&self) -> Result<UnixSeconds, MemberError> {
        let now = self.setup.ledger.now();
        now.map_err(|source| ledger_error("reading the time", source))
    }

    /// How the study masks, if it does.
    #[must_use]
    pub fn masks(&self) -> Option<&Masking> {
        self.setup.terms.masking.as_ref()
    }

    /// What this member does now in the open round; the ledger is read and nothing is changed but the member's notes.
    ///
    /// # Errors
    /// [`MemberError`].
    pub fn masked_move(
        &self,
        opening: &mut MaskedOpening,
        round: Round,
        now: UnixSeconds,
        fetch: &mut Fetch<'_>,
    ) -> Result<MaskedMove, MemberError> {
        let Some(assignment) = self.assignment(round)? else {
            return Ok(MaskedMove::Done);
        };
        let (masks, masking) = self.mask_ledger()?;
        let ledger = |source| ledger_error("reading the masked round", source);
        let read = MaskView::read(&*self.setup.ledger, masks, self.setup.study, round);
        let Some((state, view)) = read.map_err(ledger)? else {
            return Err(MemberError::RoundNotOpen { round });
        };
        let parameters = self.setup.terms.architecture.parameters();
        if !masking.agrees_with(&view.setting, parameters) {
            return Err(MemberError::Terms {
                problem: "the ledger masks otherwise than they say".to_owned(),
            });
        }
        if opening.opening != Some((round, state.commit_by)) {
            *opening = MaskedOpening {
                opening: Some((round, state.commit_by)),
                ..MaskedOpening::default()
            };
        }
        let domain = masks.mask_domain().map_err(ledger)?;
        let turn = Turn {
            member: self,
            index: assignment.member,
            view: &view,
            secret: self.opening_secret(&domain, round, state.commit_by),
            drawn: self.drawn(&view, &domain, assignment.member)?,
        };
        let next = view.member_turn(assignment.member, now);
        match next {
            MemberTurn::Announce => Ok(MaskedMove::Announce {
                round,
                member: assignment.member,
                key: key_of(&mut turn.random()),
            }),
            MemberTurn::Out(why) => Ok(MaskedMove::Out(why.to_owned())),
            MemberTurn::Deal => turn.dealing(opening),
            MemberTurn::Unmask => turn.unmasking(opening, fetch),
            // Whoever restarted does not know what arrived, and sends it again.
            MemberTurn::Wait | MemberTurn::Upload
                if view.record.dealt_set().contains(assignment.member)
                    && !opening.sent.contains(&MaskRecord::Dealing) =>
            {
                turn.dealing(opening)
            }
            MemberTurn::Upload => turn.upload(opening, fetch, &assignment),
            MemberTurn::Wait
                if view.record.uploaded_set().contains(assignment.member)
                    && !opening.sent.contains(&MaskRecord::Upload) =>
            {
                turn.upload(opening, fetch, &assignment)
            }
            MemberTurn::Done if !opening.sent.contains(&MaskRecord::Unmasking) => {
                turn.unmasking(opening, fetch)
            }
            MemberTurn::Done => Ok(MaskedMove::Done),
            MemberTurn::Wait => Ok(MaskedMove::Wait),
        }
    }

    /// Records a move on the ledger, unless that is done.
    ///
    /// # Errors
    /// [`MemberError::Ledger`], or [`MemberError::CommittedOther`] where another record is there.
    pub fn record_move(&self, next: &MaskedMove) -> Result<(), MemberError> {
        let study = self.setup.study;
        match next {
            MaskedMove::Wait | MaskedMove::Done | MaskedMove::Out(_) => Ok(()),
            MaskedMove::Announce { round, member, key } => self.once(
                *round,
                "announcing a key",
                |masks| masks.announce_key(study, *round, *member, key),
                |view| view.record.announced.contains(&(*member, *key)),
            ),
            MaskedMove::Record {
                kind,
                round,
                member,
                digest,
                root,
                bytes,
            } => match kind {
                MaskRecord::Dealing => {
                    let dealing = MaskDealing {
                        member: *member,
                        record: *digest,
                        shares_root: *root,
                    };
                    self.once(
                        *round,
                        "recording the dealing",
                        |masks| masks.commit_dealing(study, *round, &dealing),
                        |view| view.record.dealings.contains(&dealing),
                    )
                }
                MaskRecord::Upload => {
                    self.commit(&PreparedUpdate {
                        round: *round,
                        member: *member,
                        digest: *digest,
                        bytes: bytes.clone(),
                        // Part of no message, and not to be told of a masked update.
                        examples: 0,
                        metrics: Metrics::default(),
                    })?;
                    self.once(
                        *round,
                        "recording the root of the masked vector",
                        |masks| masks.commit_upload(study, *round, *member, *root),
                        |view| view.record.uploads.contains(&(*member, *root)),
                    )
                }
                MaskRecord::Unmasking => self.once(
                    *round,
                    "recording the opened shares",
                    |masks| masks.commit_unmasking(study, *round, *member, *digest),
                    |view| view.record.unmaskings.contains(&(*member, *digest)),
                ),
            },
        }
    }

    /// A call without an answer may have taken effect, and so may one that the ledger calls a second one.
    fn once(
        &self,
        round: Round,
        doing: &'static str,
        action: impl Fn(&dyn MaskLedger) -> Result<(), LedgerError>,
        done: impl Fn(&MaskView) -> bool,
    ) -> Result<(), MemberError> {
        let (masks, _) = self.mask_ledger()?;
        let is_done = || -> Result<bool, MemberError> {
            let read = MaskView::read(&*self.setup.ledger, masks, self.setup.study, round);
            let read = read.map_err(|source| ledger_error(doing, source))?;
            Ok(read.is_some_and(|(_, view)| done(&view)))
        };
        if is_done()? {
            return Ok(());
        }
        match action(masks) {
            Ok(()) => Ok(()),
            Err(_) if is_done().unwrap_or(false) => Ok(()),
            Err(source) => Err(ledger_error(doing, source)),
        }
    }

    fn mask_ledger(&self) -> Result<(&dyn MaskLedger, &Masking), MemberError> {
        let missing = |problem: &str| MemberError::Terms {
            problem: problem.to_owned(),
        };
        let masking = self.masks().ok_or_else(|| missing("they do not mask"))?;
        let masks = self.setup.ledger.masking();
        let masks = masks.ok_or_else(|| missing("the ledger keeps no masked rounds"))?;
        Ok((masks, masking))
    }

    /// Randomness of one opening, the same after a restart and known to nobody else.
    fn opening_secret(
        &self,
        domain: &MaskDomain,
        round: Round,
        commit_by: UnixSeconds,
    ) -> Zeroizing<[u8; 32]> {
        let mut text = Zeroizing::new(b"counterweight/mask-opening/v1".to_vec());
        text.extend_from_slice(&*self.setup.secret);
        text.extend_from_slice(&domain.chain.to_le_bytes());
        text.extend_from_slice(&domain.contract.0);
        text.extend_from_slice(&self.setup.study.0.to_le_bytes());
        text.extend_from_slice(&round.0.to_le_bytes());
        text.extend_from_slice(&commit_by.0.to_le_bytes());
        // Two members behind one key must not share a mask.
        text.extend_from_slice(&self.setup.dataset.0.to_le_bytes());
        Zeroizing::new(ContentDigest::of(&text).0)
    }

    fn drawn(
        &self,
        view: &MaskView,
        domain: &MaskDomain,
        member: MemberIndex,
    ) -> Result<Option<DrawnGroup>, MemberError> {
        let round = view.record.round;
        let groups = DrawnGroup::of_round(self.setup.study, &view.record, &view.setting, domain);
        let groups = groups.map_err(|error| MemberError::Masked {
            round,
            problem: error.to_string(),
        })?;
        Ok(groups.into_iter().find(|drawn| drawn.members.contains(&member)))
    }

    /// Whether the survivors may be answered for: those of this round that were answered for before, or the first.
    fn note_answer(
        &self,
        view: &MaskView,
        drawn: &DrawnGroup,
        survivors: MemberSet,
    ) -> Result<(), MemberError> {
        let round = view.record.round;
        let Some(notes) = &self.setup.notes else {
            return Err(MemberError::Masked {
                round,
                problem: "no notes are kept here, so that a second answer could not be told from a first"
                    .to_owned(),
            });
        };
        let mut notes = notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let staying = format!("{:x}", survivors.0 & drawn.member_set().0);
        let answered = notes.entries().iter().find_map(|entry| match entry {
            Entry::SurvivorsAnswered {
                study,
                terms,
                round: of,
                survivors,
                ..
            } if *study == self.setup.study && *terms == self.terms_digest() && *of == round => {
                Some(survivors.clone())
            }
            _ => None,
        });
        match answered {
            Some(before) if before == staying => Ok(()),
            Some(before) => Err(MemberError::Masked {
                round,
                problem: format!(
                    "it answered for the survivors {before} before, and {staying} would tell of those that differ"
                ),
            }),
            None => Ok(notes.append(Entry::SurvivorsAnswered {
                study: self.setup.study,
                terms: self.terms_digest(),
                round,
                commit_by: view.record.commit_by,
                survivors: staying,
            })?),
        }
    }

    pub(super) fn terms_digest(&self) -> ContentDigest {
        let bytes = self.setup.terms.to_bytes();
        ContentDigest::of(&bytes.unwrap_or_default())
    }
}

/// One look at an open round.
struct Turn<'a> {
    member: &'a Member,
    index: MemberIndex,
    view: &'a MaskView,
    secret: Zeroizing<[u8; 32]>,
    drawn: Option<DrawnGroup>,
}

impl Turn<'_> {
    fn random(&self) -> ChaCha20Rng {
        ChaCha20Rng::from_seed(*self.secret)
    }

    fn broken(&self, problem: impl ToString) -> MemberError {
        MemberError::Masked {
            round: self.view.record.round,
            problem: problem.to_string(),
        }
    }

    fn group(&self) -> Result<(&DrawnGroup, Place), MemberError> {
        let drawn = self.drawn.as_ref();
        let found = drawn.and_then(|drawn| Some((drawn, drawn.place_of(self.index)?)));
        found.ok_or_else(|| self.broken("this member is in no group"))
    }

    /// The member of the protocol after its dealing, from the same randomness each time.
    fn machine(&self) -> Result<(masking::Member, masking::Dealing), MemberError> {
        let (drawn, place) = self.group()?;
        let broken = |error: masking::MaskError| self.broken(error);
        let mut machine = masking::Member::new(&drawn.group, place, &mut self.random()).map_err(broken)?;
        let announced: Vec<Announcement> = self
            .view
            .record
            .announced
            .iter()
            .filter_map(|(member, key)| {
                let from = drawn.place_of(*member)?;
                Some(Announcement { from, key: *key })
            })
            .collect();
        // Bound to the context too: polynomials of two draws must not be the same.
        let mut text = Zeroizing::new(self.secret.to_vec());
        text.extend_from_slice(&drawn.group.context);
        let mut random = ChaCha20Rng::from_seed(ContentDigest::of(&text).0);
        let dealing = machine.share(&announced, &mut random).map_err(broken)?;
        Ok((machine, dealing))
    }

    fn record(&self, kind: MaskRecord, made: &Made) -> MaskedMove {
        let (bytes, digest, root) = made;
        MaskedMove::Record {
            kind,
            round: self.view.record.round,
            member: self.index,
            digest: *digest,
            root: *root,
            bytes: bytes.clone(),
        }
    }

    fn dealing(&self, opening: &mut MaskedOpening) -> Result<MaskedMove, MemberError> {
        if opening.dealing.is_none() {
            let (_, dealing) = self.machine()?;
            let bytes = encode_dealing(&self.group()?.0.group, &dealing);
            let digest = ContentDigest::of(&bytes);
            opening.dealing = Some((bytes, digest, roots::shares_root(dealing.from, &dealing.sharing)));
        }
        let made = opening.dealing.as_ref().expect("just made");
        Ok(self.record(MaskRecord::Dealing, made))
    }

    /// The member after it masked a vector, and that vector masked; nothing where a neighbour's dealing has not come.
    fn masked(
        &self,
        words: &[i32],
        fetch: &mut Fetch<'_>,
    ) -> Result<Option<(masking::Member, Vec<u32>)>, MemberError> {
        let (drawn, _) = self.group()?;
        let (mut machine, own) = self.machine()?;
        let mut dealings = Vec::new();
        let dealt = |member: &&MemberIndex| self.view.record.dealt_set().contains(**member);
        for member in drawn.members.iter().filter(dealt) {
            if *member == self.index {
                dealings.push(own.clone());
                continue;
            }
            let recorded = self
                .view
                .record
                .dealings
                .iter()
                .find(|dealing| dealing.member == *member);
            let Some(recorded) = recorded else { continue };
            let bytes = match fetch(&recorded.record, MaskRecord::Dealing.bytes_max(&drawn.group)) {
                Ok(bytes) => bytes,
                Err(ClientError::Blob(BlobError::Missing { .. })) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let read = read_dealing(drawn, &self.view.record, *member, &bytes);
            dealings.push(read.map_err(|fault| self.broken(format_args!("member {member}: {fault}")))?);
        }
        let masked = machine.mask(words, &dealings).map_err(|error| match error {
            masking::MaskError::WrongDealing { place } => match drawn.members.get(usize::from(place)) {
                Some(member) => self.broken(format_args!("member {member} dealt wrong shares")),
                None => self.broken(error),
            },
            error => self.broken(error),
        })?;
        Ok(Some((machine, masked)))
    }

    fn upload(
        &self,
        opening: &mut MaskedOpening,
        fetch: &mut Fetch<'_>,
        assignment: &super::Assignment,
    ) -> Result<MaskedMove, MemberError> {
        if opening.upload.is_none() {
            let update = match opening.update.take() {
                Some(update) => update,
                None => {
                    let base = match fetch(&assignment.base, self.member.model_bytes_max()) {
                        Ok(base) => base,
                        Err(ClientError::Blob(BlobError::Missing { .. })) => return Ok(MaskedMove::Wait),
                        Err(error) => return Err(error.into()),
                    };
                    self.check_budget()?;
                    self.member.trained_update(assignment, &base)?.0.into_inner()
                }
            };
            let terms = &self.member.setup.terms;
            let (drawn, place) = self.group()?;
            let format = terms.word_format().map_err(of_promise)?;
            let format = format.ok_or_else(|| self.broken("the terms do not mask"))?;
            let rules = UpdateRules {
                study: self.member.setup.study,
                round: assignment.round,
                base: assignment.base,
                coordinates: terms.architecture.parameters(),
                clip: terms.clip.get(),
                most_examples: MOST_EXAMPLES,
            };
            let checked = update.clone().check(&rules, self.index)?;
            let words = match &format.release {
                None => masked_words(&checked, &format),
                // Of this opening alone: each that is fixed is counted as a release of its own.
                Some(release) => noisy_words(&checked, release, &mut noise_of(&self.secret, &update))
                    .map_err(|error| of_promise(error.into()))?,
            };
            opening.update = Some(update);
            let Some((_, masked)) = self.masked(&words, fetch)? else {
                return Ok(MaskedMove::Wait);
            };
            let bytes = encode_upload(&drawn.group, place, &masked);
            let digest = ContentDigest::of(&bytes);
            opening.upload = Some((bytes, digest, roots::vector_root(&masked)));
        }
        let made = opening.upload.as_ref().expect("just made");
        // One mask hides one vector: data that changed since are not sent under it.
        if let Some(committed) = assignment.committed.filter(|committed| *committed != made.1) {
            return Err(MemberError::CommittedOther {
                round: assignment.round,
                committed,
                made: made.1,
            });
        }
        Ok(self.record(MaskRecord::Upload, made))
    }

    fn check_budget(&self) -> Result<(), MemberError> {
        if self.member.setup.terms.privacy.is_none() {
            return Ok(());
        }
        let (masks, _) = self.member.mask_ledger()?;
        let records = masks.mask_rounds(self.member.setup.study);
        let records = records.map_err(|source| ledger_error("reading the masked rounds", source))?;
        self.member.check_budget(self.view.record.round, &records)
    }

    fn unmasking(
        &self,
        opening: &mut MaskedOpening,
        fetch: &mut Fetch<'_>,
    ) -> Result<MaskedMove, MemberError> {
        let (drawn, _) = self.group()?;
        let survivors = self.view.record.survivors.unwrap_or_default();
        if opening.unmasking.is_none() {
            // Shares do not depend on what was masked.
            let words = vec![0; drawn.group.coordinates];
            let Some((mut machine, _)) = self.masked(&words, fetch)? else {
                return Ok(MaskedMove::Wait);
            };
            let staying = survivors
                .iter()
                .filter_map(|member| drawn.place_of(member))
                .collect();
            let unmasking: Unmasking = machine.unmask(&staying).map_err(|error| self.broken(error))?;
            self.member.note_answer(self.view, drawn, survivors)?;
            let bytes = encode_unmasking(&drawn.group, &unmasking);
            let digest = ContentDigest::of(&bytes);
            opening.unmasking = Some((bytes, digest, Sha256Digest([0; 32])));
        }
        let made = opening.unmasking.as_ref().expect("just made");
        Ok(self.record(MaskRecord::Unmasking, made))
    }
}

fn ledger_error(doing: &'static str, source: LedgerError) -> MemberError {
    MemberError::Ledger { doing, source }
}
