//! Moves as calls.

use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolCall;
use counterweight_inference::dispute::{CommittedModel, Move, Opening, Target};
use counterweight_primitives::Amount;
use counterweight_provenance::ledger::LedgerError;

use super::{Disputes, Failure, LoggedClaim, words};
use crate::contracts::IInferenceDispute;

/// In the place of a layer where the input is meant.
const INPUT: u8 = u8::MAX;

impl Disputes {
    /// Challenges a claim by naming the first wrong layer, counted from 0, with the claim's bond. Gives the challenge's number.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    pub fn challenge(
        &self,
        claim: &LoggedClaim,
        model: &CommittedModel,
        layer: usize,
    ) -> Result<u64, LedgerError> {
        let call = IInferenceDispute::challengeCall {
            game: game(claim, model),
            layer: small(layer)?,
        };
        self.open(claim, &call)
    }

    /// Challenges a claim by asking for a block of the input or of a layer's weights. Gives the challenge's number.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn demand(
        &self,
        claim: &LoggedClaim,
        model: &CommittedModel,
        target: Target,
        part: usize,
    ) -> Result<u64, LedgerError> {
        let layer = match target {
            Target::Input => INPUT,
            Target::Layer(layer) => small(layer)?,
        };
        let call = IInferenceDispute::demandCall {
            game: game(claim, model),
            layer,
            part: small(part)?,
        };
        self.open(claim, &call)
    }

    /// Makes a player's move in a challenge.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn make(
        &self,
        claim: &LoggedClaim,
        model: &CommittedModel,
        index: u64,
        made: Move,
    ) -> Result<(), LedgerError> {
        let index = U256::from(index);
        let game = || game(claim, model);
        match made {
            Move::Publish { data, siblings } => self.send(&IInferenceDispute::publishCall {
                game: game(),
                index,
                data: data.into(),
                siblings: nodes(&siblings),
            }),
            Move::Name { layer } => self.send(&IInferenceDispute::nameCall {
                game: game(),
                index,
                layer: small(layer)?,
            }),
            Move::Split { tops } => self.send(&IInferenceDispute::splitCall {
                game: game(),
                index,
                tops: nodes(&tops),
            }),
            Move::Pick { part } => self.send(&IInferenceDispute::pickCall {
                game: game(),
                index,
                part: small(part)?,
            }),
            Move::Reveal { data, siblings } => self.send(&IInferenceDispute::revealCall {
                game: game(),
                index,
                data: data.into(),
                siblings: nodes(&siblings),
            }),
            Move::Step {
                element,
                output,
                input,
                other,
            } => self.send(&IInferenceDispute::stepCall {
                game: game(),
                index,
                element: U256::from(element),
                output: opening(output),
                input: opening(input),
                other: opening(other),
            }),
            Move::Point { element } => self.send(&IInferenceDispute::pointCall {
                game: game(),
                index,
                element: U256::from(element),
            }),
            Move::Sum {
                element,
                sums,
                output,
                bias,
            } => self.send(&IInferenceDispute::sumCall {
                game: game(),
                index,
                element: U256::from(element),
                sums,
                output: opening(output),
                bias: opening(bias),
            }),
            Move::Tile {
                element,
                sums,
                tile,
                input,
                weights,
            } => self.send(&IInferenceDispute::stepTileCall {
                game: game(),
                index,
                element: U256::from(element),
                sums,
                tile: U256::from(tile),
                input: opening(input),
                weights: opening(weights),
            }),
            Move::Settle => self.send(&IInferenceDispute::settleCall {
                claim: claim.claim.clone(),
                index,
            }),
        }
    }

    /// Ends a challenge in which somebody was silent, or whose claim was ended by another. Needs no model, so anyone can.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn settle(&self, claim: &LoggedClaim, index: u64) -> Result<(), LedgerError> {
        self.send(&IInferenceDispute::settleCall {
            claim: claim.claim.clone(),
            index: U256::from(index),
        })
    }

    fn send<C: SolCall>(&self, call: &C) -> Result<(), LedgerError> {
        self.ledger.send(self.contracts.dispute, call)?;
        Ok(())
    }

    fn open<C: SolCall>(&self, claim: &LoggedClaim, call: &C) -> Result<u64, LedgerError> {
        let bond = Amount(claim.challenge_bond_wei());
        let inclusion = self.ledger.send_value(self.contracts.dispute, call, bond)?;
        let event: IInferenceDispute::ChallengeOpened = self.logged(&inclusion)?;
        Ok(event.index.saturating_to())
    }
}

fn game(claim: &LoggedClaim, model: &CommittedModel) -> IInferenceDispute::Game {
    IInferenceDispute::Game {
        claim: claim.claim.clone(),
        architecture: model.architecture().to_vec().into(),
        weightRoots: words(&model.weight_roots()),
        roots: words(&claim.roots),
    }
}

fn opening(opening: Opening) -> IInferenceDispute::Opening {
    IInferenceDispute::Opening {
        leaves: Bytes::from(opening.leaves),
        siblings: nodes(&opening.siblings),
    }
}

fn nodes(nodes: &[[u8; 32]]) -> Vec<B256> {
    nodes.iter().copied().map(B256::from).collect()
}

fn small<T: TryFrom<usize>>(number: usize) -> Result<T, Failure> {
    T::try_from(number).map_err(|_| Failure::malformed(format!("{number} is more than a claim can have")))
}
