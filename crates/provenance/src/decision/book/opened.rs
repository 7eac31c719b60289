//! Records that are opened again: unsealed, and held against the commitments of their entries.

use std::sync::Arc;

use super::{DecisionBook, DecisionError};
use crate::decision::{
    commitment::{Salt, commit_all, field_block},
    entry::DecisionEntry,
    profile::Profile,
    secret::RecordSecrets,
    value::Value,
};

/// A record that was opened, with its salts.
#[derive(Debug, Clone)]
pub(in crate::decision) struct Opened {
    pub(in crate::decision) entry: DecisionEntry,
    pub(in crate::decision) profile: Arc<Profile>,
    pub(in crate::decision) values: Vec<Value>,
    pub(in crate::decision) salts: Vec<Salt>,
    pub(in crate::decision) slot: u64,
}

impl DecisionBook {
    /// The profile that an entry's decision was made under.
    ///
    /// # Errors
    /// [`DecisionError::NoDecision`], [`DecisionError::UnknownProfile`] or [`DecisionError::Read`].
    pub fn profile_of(&self, index: u64) -> Result<Arc<Profile>, DecisionError> {
        let entry = self.log.reader().entries(self.log.checkpoint(), index, 1)?.pop();
        let entry = entry.and_then(|(_, bytes)| DecisionEntry::decode(&bytes));
        let id = entry.ok_or(DecisionError::NoDecision { index })?.profile;
        self.profiles.get(id).cloned()
    }

    /// Opens the record of an entry and holds it against the commitment.
    pub(in crate::decision) fn open_record(&self, index: u64) -> Result<Opened, DecisionError> {
        let none = DecisionError::NoDecision { index };
        let entry = self.log.reader().entries(self.log.checkpoint(), index, 1)?.pop();
        let Some(entry) = entry.and_then(|(_, bytes)| DecisionEntry::decode(&bytes)) else {
            return Err(none);
        };
        let Some(record) = self.segments.record(index)? else {
            return Err(none);
        };
        let profile = Arc::clone(self.profiles.get(entry.profile)?);
        let key = self
            .keys
            .key(record.slot)
            .ok_or(DecisionError::Erased { index })?;
        let differs = || DecisionError::Differs { index };
        let mut secrets = RecordSecrets::default();
        // The values say how many salts there are, and the key comes before them.
        secrets.derive(key, &record.nonce, index, 0);
        let bytes = secrets.open(&record.sealed).ok_or_else(differs)?;
        let mut values = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (value, after) = Value::read(rest).ok_or_else(differs)?;
            values.push(value);
            rest = after;
        }
        if entry.kind.decides() {
            values = profile.complete(values).map_err(|_| differs())?;
        }
        secrets.derive(key, &record.nonce, index, values.len());
        let fields = secrets.salts().iter().zip(&values).zip(0_u16..);
        let blocks: Vec<_> = fields
            .map(|((salt, value), id)| field_block(salt, id, value))
            .collect();
        if commit_all(&blocks, &[values.len()]).first() != Some(&entry.commitment) {
            return Err(differs());
        }
        Ok(Opened {
            entry,
            profile,
            salts: secrets.salts().to_vec(),
            values,
            slot: record.slot,
        })
    }
}
