//! A round's updates under the rule of its study.

use super::{Inputs, Rows, Rule, RuleError};
use crate::{aggregate::WeightedSum, update::CheckedUpdate};

/// How the updates of one round become one.
#[derive(Debug, Clone, Copy)]
pub struct RoundRule<'a> {
    rule: Option<Rule>,
    coordinates: usize,
    inputs: Inputs<'a>,
}

/// The updates of a round and what they gave together.
#[derive(Debug, Clone)]
pub struct Survivors<'a> {
    rule: RoundRule<'a>,
    updates: &'a [CheckedUpdate],
    sum: WeightedSum,
}

impl<'a> RoundRule<'a> {
    /// A rule with what it needs in this round, for a model of so many parameters.
    #[must_use]
    pub fn new(rule: Option<Rule>, coordinates: usize, inputs: Inputs<'a>) -> Self {
        Self {
            rule,
            coordinates,
            inputs,
        }
    }

    /// The exact mean by examples.
    #[must_use]
    pub fn mean(coordinates: usize) -> Self {
        Self::new(None, coordinates, Inputs::default())
    }

    /// Combines the updates of a round.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn combine(&self, updates: &'a [CheckedUpdate]) -> Result<Survivors<'a>, RuleError> {
        let sum = match self.rule {
            None => WeightedSum::of(self.coordinates, updates)?,
            Some(rule) => rule.combine(&self.rows(updates)?, &self.inputs)?,
        };
        Ok(Survivors {
            rule: *self,
            updates,
            sum,
        })
    }

    fn rows<'u>(&self, updates: impl IntoIterator<Item = &'u CheckedUpdate>) -> Result<Rows<'u>, RuleError> {
        let rows = Rows::of_updates(updates)?;
        let (expected, got) = (self.coordinates, rows.coordinates());
        if got == expected {
            return Ok(rows);
        }
        Err(RuleError::ShapeMismatch {
            index: 0,
            expected,
            got,
        })
    }
}

impl Survivors<'_> {
    /// The updates.
    #[must_use]
    pub fn updates(&self) -> &[CheckedUpdate] {
        self.updates
    }

    /// What all updates give.
    #[must_use]
    pub fn sum(&self) -> &WeightedSum {
        &self.sum
    }

    /// What they give without one, which is named by its index; nothing if no other is left. Where the rule asks for
    /// more updates than remain, it cuts, or takes for liars, as many as it can.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn sum_without(&self, index: usize) -> Result<Option<WeightedSum>, RuleError> {
        if self.updates.len() <= 1 {
            return Ok(None);
        }
        let Some(rule) = self.rule.rule else {
            return Ok(Some(self.sum.without(&self.updates[index])));
        };
        let others = self
            .updates
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let rows = self.rule.rows(others.map(|(_, update)| update))?;
        rule.combine_few(&rows, &self.rule.inputs).map(Some)
    }
}
