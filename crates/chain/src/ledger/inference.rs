//! Models whose answers can be proven, and the contract that checks the proofs.

use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use counterweight_primitives::Address;
use counterweight_provenance::ledger::LedgerError;

use super::{ContractLedger, Failure};
use crate::address::to_evm;
use crate::contracts::IInferenceVerifier;
use crate::network::Call;

/// What the contract says of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InferenceCheck {
    /// Whether it holds.
    pub holds: bool,
    /// Gas that a transaction which asks the same would need, input and proof included.
    pub gas: u64,
}

/// A model that is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegisteredModel {
    /// Its id: it commits to set-up, architecture and weights.
    pub model: [u8; 32],
    /// Gas it took; `None` where it was registered before.
    pub gas_used: Option<u64>,
}

impl<S> ContractLedger<S> {
    /// The contract that checks proofs of inference, where there is one.
    #[must_use]
    pub fn inference_verifier(&self) -> Option<Address> {
        self.deployment.inference_verifier
    }

    fn verifier(&self) -> Result<Address, LedgerError> {
        self.inference_verifier().ok_or_else(|| LedgerError::Refused {
            name: "NoInferenceVerifier".to_owned(),
            reason: format!("no contract on chain {} checks proofs", self.deployment.chain_id),
        })
    }

    /// Whether a model is registered.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    pub fn is_inference_model(&self, model: [u8; 32]) -> Result<bool, LedgerError> {
        let call = IInferenceVerifier::isRegisteredCall {
            modelId: model.into(),
        };
        Ok(self.ask(self.verifier()?, &call)?)
    }

    /// Asks whether a proof about a public input holds.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] for a model that is not registered.
    pub fn verify_inference(
        &self,
        model: [u8; 32],
        context: [u8; 32],
        input: &[u8],
        output: &[u8],
        proof: &[u8],
    ) -> Result<InferenceCheck, LedgerError> {
        let call = IInferenceVerifier::verifyCall {
            modelId: model.into(),
            context: context.into(),
            input: input.to_vec().into(),
            output: output.to_vec().into(),
            proof: proof.to_vec().into(),
        };
        let holds = self.ask(self.verifier()?, &call)?;
        Ok(InferenceCheck {
            holds,
            gas: self.gas_of(&call)?,
        })
    }

    /// Asks whether a proof about an input that stays behind its commitment holds.
    ///
    /// # Errors
    /// As [`ContractLedger::verify_inference`].
    pub fn verify_committed_inference(
        &self,
        model: [u8; 32],
        context: [u8; 32],
        input: [u8; 32],
        output: &[u8],
        proof: &[u8],
    ) -> Result<InferenceCheck, LedgerError> {
        let call = IInferenceVerifier::verifyCommittedCall {
            modelId: model.into(),
            context: context.into(),
            inputCommitment: input.into(),
            output: output.to_vec().into(),
            proof: proof.to_vec().into(),
        };
        let holds = self.ask(self.verifier()?, &call)?;
        Ok(InferenceCheck {
            holds,
            gas: self.gas_of(&call)?,
        })
    }

    fn gas_of<C: SolCall>(&self, call: &C) -> Result<u64, LedgerError> {
        let request = Call {
            to: Some(to_evm(self.verifier()?)),
            data: call.abi_encode().into(),
            value: U256::ZERO,
        };
        let gas = self
            .network
            .estimate_gas(alloy_primitives::Address::ZERO, &request)
            .map_err(Failure::from)?;
        Ok(gas)
    }
}

impl ContractLedger {
    /// Registers a model whose answers will be proven; does nothing for one that is registered.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] where the contract refuses the architecture, the commitment or the proof.
    pub fn register_inference_model(
        &self,
        architecture: &[u8],
        commitment: &[u8],
        registration: &[u8],
    ) -> Result<RegisteredModel, LedgerError> {
        let verifier = self.verifier()?;
        let call = IInferenceVerifier::registerModelCall {
            architecture: architecture.to_vec().into(),
            commitment: commitment.to_vec().into(),
            proof: registration.to_vec().into(),
        };
        // The call says the id whether or not the model is there already.
        let model: [u8; 32] = self.ask(verifier, &call)?.0;
        if self.is_inference_model(model)? {
            return Ok(RegisteredModel {
                model,
                gas_used: None,
            });
        }
        let inclusion = self.send(verifier, &call)?;
        Ok(RegisteredModel {
            model,
            gas_used: Some(inclusion.gas_used),
        })
    }
}
