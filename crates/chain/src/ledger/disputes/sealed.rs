//! Claims about hidden weights: challenged or audited, they are proven or lost.

use alloy_sol_types::SolEvent;
use counterweight_inference::dispute::ByteTree;
use counterweight_primitives::Amount;
use counterweight_provenance::ledger::LedgerError;

use super::{Disputes, EventLog, Failure, LoggedClaim, Terms, from_event, to_terms};
use crate::contracts::IInferenceDispute;
use crate::ledger::decode;

/// What a claim about hidden weights says of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenInput<'a> {
    /// Its bytes, which a proof makes public: the sealed lane.
    Bytes(&'a [u8]),
    /// The hash of a commitment to it, which is all that anybody sees: the private lane.
    Committed([u8; 32]),
}

impl<S> Disputes<S> {
    /// What lots said of a claim: whether it must be proven. `None` while none were drawn.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    pub fn audit(&self, id: [u8; 32]) -> Result<Option<bool>, LedgerError> {
        let signatures = [IInferenceDispute::AuditDrawn::SIGNATURE_HASH];
        let logs = self
            .ledger
            .events(self.contracts.dispute, &signatures, Some(id.into()))?;
        let read = |log: &EventLog| -> Result<bool, Failure> {
            let event: IInferenceDispute::AuditDrawn = decode(log)?;
            Ok(event.audited)
        };
        Ok(logs.first().map(read).transpose()?)
    }
}

impl Disputes {
    /// Claims that a model of the verifier's gives `output`, with the bond of the terms.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn claim_sealed(
        &self,
        model: [u8; 32],
        input: HiddenInput<'_>,
        output: &[u8],
        context: [u8; 32],
        terms: Terms,
    ) -> Result<LoggedClaim, LedgerError> {
        let (lane, input) = match input {
            HiddenInput::Bytes(bytes) => {
                let tree = ByteTree::new(bytes.to_vec())
                    .ok_or_else(|| Failure::malformed("an input has at least one element"))?;
                (IInferenceDispute::Lane::Sealed, tree.root().0)
            }
            HiddenInput::Committed(commitment) => (IInferenceDispute::Lane::Private, commitment),
        };
        let call = IInferenceDispute::claimSealedCall {
            lane,
            model: model.into(),
            context: context.into(),
            terms: to_terms(terms)?,
            input: input.into(),
            output: output.to_vec().into(),
        };
        let bond = Amount(terms.claim_bond_wei);
        let inclusion = self.ledger.send_value(self.contracts.dispute, &call, bond)?;
        Ok(from_event(self.logged(&inclusion)?))
    }

    /// Asks for a claim's proof, with the claim's bond. One challenge is enough, so there is no second.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn challenge_sealed(&self, claim: &LoggedClaim) -> Result<(), LedgerError> {
        let call = IInferenceDispute::challengeSealedCall {
            claim: claim.claim.clone(),
        };
        let bond = Amount(claim.challenge_bond_wei());
        self.ledger.send_value(self.contracts.dispute, &call, bond)?;
        Ok(())
    }

    /// Draws lots over a claim; whether it must be proven.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn draw(&self, claim: &LoggedClaim) -> Result<bool, LedgerError> {
        let call = IInferenceDispute::drawCall {
            claim: claim.claim.clone(),
        };
        let event: IInferenceDispute::AuditDrawn = self.ledger.send_for(self.contracts.dispute, &call)?;
        Ok(event.audited)
    }

    /// Proves a claim, which accepts it at once. The input's bytes become public; in the private lane there are none.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn prove(&self, claim: &LoggedClaim, input: &[u8], proof: &[u8]) -> Result<(), LedgerError> {
        let call = IInferenceDispute::proveCall {
            claim: claim.claim.clone(),
            input: input.to_vec().into(),
            output: claim.output.clone().into(),
            proof: proof.to_vec().into(),
        };
        self.ledger.send(self.contracts.dispute, &call)?;
        Ok(())
    }
}
