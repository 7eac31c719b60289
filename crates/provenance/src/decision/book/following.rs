//! Entries that follow an earlier one: explanations on demand, and corrections.

use counterweight_primitives::{Sha256Digest, UnixMillis};

use super::{DecisionBook, DecisionError, MOST_BATCH, Recorded, Subject, Unsealed};
use crate::decision::{
    entry::{DecisionEntry, EntryKind, Flags},
    profile::CheckedDecision,
    trees::{TreeEnsemble, explanation_of, is_explained},
};

impl DecisionBook {
    /// Explains a decision of a tree ensemble, and appends the explanation as an entry of its own that points to it. It is
    /// sealed under the key of the same subject, so that an erasure takes it along.
    ///
    /// # Errors
    /// [`DecisionError::NotExplained`] where the decision's profile does not name this ensemble, or its inputs are not all
    /// there; [`DecisionError::Inaccurate`] where the explanation does not add up to the output; and as
    /// [`DecisionBook::record`].
    pub fn explain(
        &mut self,
        index: u64,
        ensemble: &TreeEnsemble,
        now: UnixMillis,
    ) -> Result<Recorded, DecisionError> {
        let opened = self.open_record(index)?;
        if !opened.entry.kind.decides() {
            return Err(DecisionError::NoDecision { index });
        }
        let shown: Vec<_> = opened.values.into_iter().map(Some).collect();
        let values =
            explanation_of(&opened.profile, ensemble, &shown).ok_or(DecisionError::NotExplained { index })?;
        if !is_explained(&opened.profile, ensemble, &shown, &values) {
            return Err(DecisionError::Inaccurate { index });
        }
        let entry = DecisionEntry {
            kind: EntryKind::Explanation { decision: index },
            flags: Flags::default(),
            time: now,
            profile: opened.profile.id(),
            commitment: Sha256Digest([0; 32]),
        };
        let record = Unsealed {
            subject: Subject::Slot(opened.slot),
            values: &values,
            kept: values.len(),
        };
        let endpoint = opened.profile.endpoint_id();
        let recorded = self.write_one(record, entry, endpoint)?;
        recorded.ok_or(DecisionError::NotExplained { index })
    }

    /// Appends a decision that replaces an earlier one about the same subject at the same endpoint. The earlier one stays, with its
    /// proofs; [`DecisionBook::replaced_by`] leads from it to this. An erasure takes both along.
    ///
    /// # Errors
    /// [`DecisionError::NotCorrected`], [`DecisionError::NoDecision`], and as [`DecisionBook::record`].
    pub fn correct(&mut self, index: u64, decision: &CheckedDecision) -> Result<Recorded, DecisionError> {
        let (profile, endpoint) = (decision.profile.id(), decision.profile.endpoint_id());
        self.profiles.get(profile)?;
        let earlier = self.profile_of(index)?.endpoint_id();
        let none = DecisionError::NoDecision { index };
        let slot = self.segments.record(index)?.ok_or(none)?.slot;
        let newer = self.replaced_by(index)?;
        if newer.is_some() || earlier != endpoint || self.keys.find(&decision.subject) != Some(slot) {
            return Err(DecisionError::NotCorrected { index, newer });
        }
        let entry = DecisionEntry {
            kind: EntryKind::Correction { replaces: index },
            flags: decision.flags,
            time: decision.time,
            profile,
            commitment: Sha256Digest([0; 32]),
        };
        let record = Unsealed {
            subject: Subject::Slot(slot),
            values: &decision.values,
            kept: decision.profile.given().len(),
        };
        let recorded = self.write_one(record, entry, endpoint)?;
        recorded.ok_or(DecisionError::NoDecision { index })
    }

    fn write_one(
        &mut self,
        record: Unsealed<'_>,
        entry: DecisionEntry,
        endpoint: Sha256Digest,
    ) -> Result<Option<Recorded>, DecisionError> {
        let recorded = self.write([record].into_iter(), vec![entry], &[endpoint], Vec::new())?;
        Ok(recorded.into_iter().next())
    }

    /// The correction of an entry, if there is one. Reads every later entry.
    ///
    /// # Errors
    /// [`DecisionError::NoDecision`] where the entry decides nothing, [`DecisionError::Read`].
    pub fn replaced_by(&self, index: u64) -> Result<Option<u64>, DecisionError> {
        let reader = self.log.reader();
        let entry = reader.entries(self.log.checkpoint(), index, 1)?.pop();
        entry
            .and_then(|(_, bytes)| DecisionEntry::decode(&bytes))
            .filter(|entry| entry.kind.decides())
            .ok_or(DecisionError::NoDecision { index })?;
        let size = self.log.checkpoint().checkpoint().size;
        for first in (index + 1..size).step_by(MOST_BATCH) {
            for (place, bytes) in reader.entries(self.log.checkpoint(), first, MOST_BATCH as u64)? {
                let kind = DecisionEntry::decode(&bytes).map(|entry| entry.kind);
                if kind == Some(EntryKind::Correction { replaces: index }) {
                    return Ok(Some(place));
                }
            }
        }
        Ok(None)
    }
}
