//! Rounds of which only groups are known.

use counterweight_primitives::Round;

use super::{Replay, ReplayError};
use crate::{
    contribution::RoundValue,
    masked::groups::MaskedGroups,
    parameters::Parameters,
    rules::{Inputs, RuleError},
    table::Dataset,
};

impl Replay {
    /// The parameters after a masked round with these groups; nothing changes here.
    ///
    /// # Errors
    /// [`ReplayError::Rule`], [`ReplayError::Root`] or [`ReplayError::Server`].
    pub fn preview_groups(
        &self,
        round: Round,
        groups: &MaskedGroups,
        holdout: Option<&Dataset>,
    ) -> Result<Parameters, ReplayError> {
        let root = self.root(round, holdout)?;
        let sum = groups
            .combine(self.terms.combination.as_ref(), &self.inputs(root.as_deref()))
            .map_err(|source| ReplayError::Rule { round, source })?;
        self.stepped(round, &sum).map(|(parameters, _)| parameters)
    }

    /// Moves on by a masked round: as [`Replay::advance`], with members valued by their groups.
    ///
    /// # Errors
    /// [`ReplayError`]; nothing changes then.
    pub fn advance_groups(
        &mut self,
        round: Round,
        groups: &MaskedGroups,
        holdout: Option<&Dataset>,
    ) -> Result<Option<RoundValue>, ReplayError> {
        let root = self.root(round, holdout)?;
        let inputs = self.inputs(root.as_deref());
        let rule = self.terms.combination.as_ref();
        let failed = |source: RuleError| ReplayError::Rule { round, source };
        let sum = groups.combine(rule, &inputs).map_err(failed)?;
        let next = self.next(round, &sum)?;
        let members: Vec<_> = groups
            .as_slice()
            .iter()
            .map(|group| group.members.clone())
            .collect();
        let value = match holdout {
            None => {
                // An auditor without the hold-out of a study that has one cannot value its rounds.
                if self.terms.holdout.is_none() {
                    self.valuation.count_members(round, members.into_iter().flatten());
                }
                None
            }
            Some(rows) => {
                let without = |group| groups.combine_without(group, rule, &inputs);
                let (base, optimiser) = (&self.parameters, &self.optimiser);
                let mut valuation = self.valuation.clone();
                let value = valuation
                    .observe_groups(round, base, optimiser, &sum, &members, without, rows)?
                    .clone();
                self.valuation = valuation;
                Some(value)
            }
        };
        self.take(next);
        Ok(value)
    }

    fn inputs<'a>(&'a self, root: Option<&'a [i32]>) -> Inputs<'a> {
        Inputs {
            centre: self.centre.as_deref(),
            root,
            seed: self.digest.0,
        }
    }
}
