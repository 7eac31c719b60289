//! What a study has spent of its privacy, from what everybody can see: its terms, its rounds, and who survived them.

use counterweight_primitives::Round;

use super::{Privacy, PromiseError};
use crate::{
    ledger::masking::MaskRound,
    privacy::{Accountant, Budget, MicroEpsilon},
    study::terms::PublicTerms,
};

/// What the rounds of a study spent so far.
#[derive(Debug, Clone)]
pub struct Spending<'a> {
    terms: &'a PublicTerms,
    privacy: &'a Privacy,
    budget: Budget,
    costliest: Accountant,
    spent: Accountant,
    rounds: u32,
}

impl<'a> Spending<'a> {
    /// Before the first round of a study, where its terms promise anything.
    ///
    /// # Errors
    /// [`PromiseError`] where the terms promise what cannot be accounted for.
    pub fn new(terms: &'a PublicTerms) -> Result<Option<Self>, PromiseError> {
        let Some(privacy) = &terms.privacy else {
            return Ok(None);
        };
        let budget = privacy.budget();
        budget.check()?;
        Ok(Some(Self {
            terms,
            privacy,
            budget,
            costliest: privacy.costliest_round(&terms.privacy_setting())?,
            spent: Accountant::new(),
            rounds: 0,
        }))
    }

    /// After so many rounds of a study, of which `masked` is the record of those that masked.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`PromiseError`] for survivors that leave nothing private.
    pub fn after(
        terms: &'a PublicTerms,
        rounds: u32,
        masked: &[MaskRound],
    ) -> Result<Option<Self>, PromiseError> {
        let Some(mut spending) = Self::new(terms)? else {
            return Ok(None);
        };
        for round in 1..=rounds {
            spending.round(masked.iter().find(|record| record.round.0 == round))?;
        }
        Ok(Some(spending))
    }

    /// What counts before a round is opened, or its survivors fixed: the rounds before, and what earlier openings of it
    /// showed.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn before(
        terms: &'a PublicTerms,
        round: Round,
        masked: &[MaskRound],
    ) -> Result<Option<Self>, PromiseError> {
        let Some(mut spending) = Self::after(terms, round.0.saturating_sub(1), masked)? else {
            return Ok(None);
        };
        if let Some(record) = masked.iter().find(|record| record.round == round) {
            spending.openings(record)?;
        }
        Ok(Some(spending))
    }

    /// Spends another round. Of one that masked, each opening whose survivors were fixed counts, whatever became of it: its
    /// sums may have been seen. Of others a round counts once, since members send the same again.
    ///
    /// # Errors
    /// [`PromiseError`].
    pub fn round(&mut self, masked: Option<&MaskRound>) -> Result<(), PromiseError> {
        self.rounds += 1;
        match masked {
            Some(masked) if self.is_shared() => self.openings(masked)?,
            None if self.is_shared() => {}
            _ => self.spent.add(&self.costliest, 1),
        }
        Ok(())
    }

    /// Whether the noise of what is seen is that of several members.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.privacy, Privacy::Member(_)) && self.terms.masking.is_some()
    }

    /// Spends what the openings of a round showed, whose number need not be complete.
    ///
    /// # Errors
    /// [`PromiseError`].
    pub fn openings(&mut self, masked: &MaskRound) -> Result<(), PromiseError> {
        let (Privacy::Member(member), true) = (self.privacy, self.is_shared()) else {
            return Ok(());
        };
        for groups in masked.fixed_before.iter().cloned().chain(masked.fixed()) {
            // The worst group counts for all: who is in which changes from round to round.
            let Some(fewest) = groups.into_iter().filter(|survivors| *survivors > 0).min() else {
                continue;
            };
            let cost = member.round(&self.terms.privacy_setting(), fewest.into())?;
            self.spent.add(&cost, 1);
        }
        Ok(())
    }

    /// Rounds that were counted.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// What may be spent.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// ε spent, at the δ of the terms.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.spent.epsilon(self.budget.delta)
    }

    /// The same as the ledger keeps it.
    #[must_use]
    pub fn recorded(&self) -> MicroEpsilon {
        MicroEpsilon::at_least(self.epsilon())
    }

    /// ε spent after one more round at its costliest.
    #[must_use]
    pub fn after_another(&self) -> f64 {
        let mut spent = self.spent.clone();
        spent.add(&self.costliest, 1);
        spent.epsilon(self.budget.delta)
    }

    /// Whether the budget pays for another round, whoever survives it.
    #[must_use]
    pub fn pays_for_another(&self) -> bool {
        self.after_another() <= self.budget.epsilon
    }

    /// Whether the budget is kept so far.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.epsilon() <= self.budget.epsilon
    }
}
