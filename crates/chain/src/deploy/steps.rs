//! The steps of a deployment, each recorded so that none is done twice.

use std::collections::BTreeMap;
use std::path::Path;

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{SolCall, SolValue as _};
use counterweight_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{DEVELOPMENT_SET_UP, DeployError, DeployOptions, Deployment, ask, check_code, load, save};
use crate::address::{from_evm, to_evm};
use crate::contracts::{Contract, IAssetRegistry, IOwnable, IProxy};
use crate::embedded::DEVELOPMENT_CHAIN_ID;
use crate::network::{Call, ChainError, Inclusion, Network, TransactionSigner};

/// How far a deployment got.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Progress {
    chain_id: u64,
    deployer: Address,
    /// Block of the first contract.
    block: Option<u64>,
    /// Contracts that are there, by step.
    done: BTreeMap<String, Address>,
    /// A step whose transaction may have been sent, and the nonce it was sent with.
    sending: Option<Sending>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Sending {
    step: String,
    nonce: u64,
}

struct Run<'a> {
    network: &'a dyn Network,
    signer: &'a dyn TransactionSigner,
    file: &'a Path,
    progress: Progress,
}

/// The contracts of disputes, and those in front of the verifier.
struct Disputes {
    open_models: Address,
    dispute: Address,
    proof_evaluator: Option<Address>,
    optimistic_evaluator: Address,
    erc7992_adapter: Option<Address>,
}

pub(super) fn run(
    network: &dyn Network,
    signer: &dyn TransactionSigner,
    options: &DeployOptions,
    file: &Path,
) -> Result<Deployment, DeployError> {
    let mut run = Run::begin(network, signer, file)?;
    let deployer = signer.address();
    let mut governors: Vec<_> = options.governors.iter().copied().map(to_evm).collect();
    if governors.is_empty() {
        governors.push(deployer);
    }
    let delay = U256::from(options.upgrade_delay_seconds);
    // No administrator: from the start, the timelock changes its own roles through itself.
    let arguments = (
        delay,
        governors.clone(),
        governors,
        alloy_primitives::Address::ZERO,
    );
    let timelock = run.contract("timelock", Contract::Timelock, &arguments.abi_encode_params())?;

    let implementation = "assetRegistryImplementation";
    let asset_registry_implementation = run.contract(implementation, Contract::AssetRegistry, &[])?;
    // The deployer owns it until the registrar is named: the timelock would have to wait for its own delay.
    let asset_registry = run.proxy("assetRegistry", asset_registry_implementation, from_evm(deployer))?;
    let assets = to_evm(asset_registry);

    let implementation = "consentRegistryImplementation";
    let consent_registry_implementation =
        run.contract(implementation, Contract::ConsentRegistry, &assets.abi_encode())?;
    let consent_registry = run.proxy("consentRegistry", consent_registry_implementation, timelock)?;

    let royalty_vault = run.contract("royaltyVault", Contract::RoyaltyVault, &assets.abi_encode())?;
    let registries = (assets, to_evm(consent_registry)).abi_encode_params();
    let training_rounds = run.contract("trainingRounds", Contract::TrainingRounds, &registries)?;
    let log_anchor = run.contract("logAnchor", Contract::LogAnchor, &[])?;
    let development_token = (network.chain_id() == DEVELOPMENT_CHAIN_ID)
        .then(|| run.contract("developmentToken", Contract::DevelopmentToken, &[]))
        .transpose()?;

    let owner = ask(network, asset_registry, "owner", &IOwnable::ownerCall {})?;
    if owner == deployer {
        let registrar = to_evm(training_rounds);
        let named = IAssetRegistry::isRegistrarCall { account: registrar };
        if !ask(network, asset_registry, "isRegistrar", &named)? {
            let call = IAssetRegistry::setRegistrarCall {
                registrar,
                allowed: true,
            };
            run.call("naming the registrar", asset_registry, &call)?;
        }
        let call = IOwnable::transferOwnershipCall {
            newOwner: to_evm(timelock),
        };
        run.call("handing the registry to its timelock", asset_registry, &call)?;
    }

    let (architecture_planner, inference_verifier) = run.inference(options)?;
    let disputes = run.disputes(inference_verifier)?;
    let anchors = to_evm(log_anchor).abi_encode();
    let decision_receipts = run.contract("decisionReceipts", Contract::DecisionReceipts, &anchors)?;

    let rounds = to_evm(training_rounds).abi_encode();
    let masked_rounds = run.contract("maskedRounds", Contract::MaskedRounds, &rounds)?;
    let member_standing = run.contract("memberStanding", Contract::MemberStanding, &rounds)?;

    Ok(Deployment {
        chain_id: network.chain_id(),
        block: run.progress.block.unwrap_or_default(),
        timelock,
        asset_registry,
        asset_registry_implementation,
        consent_registry,
        consent_registry_implementation,
        training_rounds,
        royalty_vault,
        log_anchor,
        architecture_planner,
        inference_verifier,
        open_models: Some(disputes.open_models),
        inference_dispute: Some(disputes.dispute),
        proof_evaluator: disputes.proof_evaluator,
        optimistic_evaluator: Some(disputes.optimistic_evaluator),
        erc7992_adapter: disputes.erc7992_adapter,
        decision_receipts: Some(decision_receipts),
        masked_rounds: Some(masked_rounds),
        member_standing: Some(member_standing),
        development_token,
    })
}

impl<'a> Run<'a> {
    fn begin(
        network: &'a dyn Network,
        signer: &'a dyn TransactionSigner,
        file: &'a Path,
    ) -> Result<Self, DeployError> {
        let (chain_id, deployer) = (network.chain_id(), from_evm(signer.address()));
        let new = Progress {
            chain_id,
            deployer,
            block: None,
            done: BTreeMap::new(),
            sending: None,
        };
        let mut run = Self {
            network,
            signer,
            file,
            progress: new,
        };
        if file.exists() {
            let progress: Progress = load(file)?;
            if progress.chain_id != chain_id {
                return Err(DeployError::OtherChain {
                    expected: progress.chain_id,
                    got: chain_id,
                });
            }
            if progress.deployer != deployer {
                return Err(DeployError::OtherDeployer {
                    expected: progress.deployer,
                    got: deployer,
                });
            }
            // A chain that was thrown away and begun again has none of it.
            if run.still_there(&progress)? {
                run.progress = progress;
            }
        }
        Ok(run)
    }

    fn still_there(&self, progress: &Progress) -> Result<bool, DeployError> {
        for address in progress.done.values() {
            let code = self.network.code(to_evm(*address), crate::network::At::Latest);
            if code.map_err(DeployError::Chain)?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The verifier of proofs and what it needs, last of all so that the addresses of the others do not depend on it.
    fn inference(
        &mut self,
        options: &DeployOptions,
    ) -> Result<(Option<Address>, Option<Address>), DeployError> {
        let development = (self.network.chain_id() == DEVELOPMENT_CHAIN_ID).then_some(&DEVELOPMENT_SET_UP);
        let Some(tau) = options.inference_set_up.as_deref().or(development) else {
            return Ok((None, None));
        };
        let planner = self.contract("architecturePlanner", Contract::ArchitecturePlanner, &[])?;
        // An array of four words is its words.
        let arguments = [&to_evm(planner).abi_encode(), tau.as_slice()].concat();
        let verifier = self.contract("inferenceVerifier", Contract::InferenceVerifier, &arguments)?;
        Ok((Some(planner), Some(verifier)))
    }

    /// After all the others, for the same reason.
    fn disputes(&mut self, verifier: Option<Address>) -> Result<Disputes, DeployError> {
        let open_models = self.contract("openModels", Contract::OpenModels, &[])?;
        let verifier_or_none = to_evm(verifier.unwrap_or(Address::ZERO));
        let arguments = (to_evm(open_models), verifier_or_none).abi_encode_params();
        let dispute = self.contract("inferenceDispute", Contract::InferenceDispute, &arguments)?;
        let arguments = verifier_or_none.abi_encode();
        let proof_evaluator = verifier
            .map(|_| self.contract("proofEvaluator", Contract::ProofEvaluator, &arguments))
            .transpose()?;
        let arguments = to_evm(dispute).abi_encode();
        let optimistic_evaluator =
            self.contract("optimisticEvaluator", Contract::OptimisticEvaluator, &arguments)?;
        let arguments = verifier_or_none.abi_encode();
        let erc7992_adapter = verifier
            .map(|_| self.contract("erc7992Adapter", Contract::Erc7992Adapter, &arguments))
            .transpose()?;
        Ok(Disputes {
            open_models,
            dispute,
            proof_evaluator,
            optimistic_evaluator,
            erc7992_adapter,
        })
    }

    fn proxy(
        &mut self,
        step: &'static str,
        implementation: Address,
        owner: Address,
    ) -> Result<Address, DeployError> {
        let initialize = IProxy::initializeCall {
            initialOwner: to_evm(owner),
        };
        let arguments = (to_evm(implementation), Bytes::from(initialize.abi_encode()));
        self.contract(step, Contract::Proxy, &arguments.abi_encode_params())
    }

    /// Deploys a contract, unless it was before.
    fn contract(
        &mut self,
        step: &'static str,
        contract: Contract,
        arguments: &[u8],
    ) -> Result<Address, DeployError> {
        if let Some(address) = self.progress.done.get(step) {
            return Ok(*address);
        }
        if let Some(address) = self.sent_before(step, contract)? {
            return self.record(step, address);
        }
        let nonce = self
            .network
            .nonce(self.signer.address())
            .map_err(DeployError::Chain)?;
        self.progress.sending = Some(Sending {
            step: step.to_owned(),
            nonce,
        });
        if self.progress.block.is_none() {
            self.progress.block = Some(self.network.head().map_err(DeployError::Chain)?.number);
        }
        self.save()?;
        let data = [&contract.artifact().creation, arguments].concat().into();
        let inclusion = self.send(
            step,
            Call {
                to: None,
                data,
                value: U256::ZERO,
            },
        )?;
        let address = inclusion.created.map(from_evm).ok_or_else(|| {
            let reason = format!("transaction {} created no contract", inclusion.transaction);
            DeployError::Chain(ChainError::Malformed { reason })
        })?;
        check_code(self.network, contract, address)?;
        self.record(step, address)
    }

    /// Where a step's contract is if its transaction was sent and this program ended before it was recorded.
    fn sent_before(&self, step: &str, contract: Contract) -> Result<Option<Address>, DeployError> {
        let Some(sending) = self
            .progress
            .sending
            .as_ref()
            .filter(|sending| sending.step == step)
        else {
            return Ok(None);
        };
        let address = from_evm(self.signer.address().create(sending.nonce));
        match check_code(self.network, contract, address) {
            Ok(()) => Ok(Some(address)),
            Err(DeployError::Missing { .. } | DeployError::Differs { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn record(&mut self, step: &str, address: Address) -> Result<Address, DeployError> {
        self.progress.done.insert(step.to_owned(), address);
        self.progress.sending = None;
        self.save()?;
        Ok(address)
    }

    fn save(&self) -> Result<(), DeployError> {
        save(self.file, &self.progress)
    }

    fn call<C: SolCall>(&self, step: &'static str, contract: Address, call: &C) -> Result<(), DeployError> {
        let to = Some(to_evm(contract));
        self.send(
            step,
            Call {
                to,
                data: call.abi_encode().into(),
                value: U256::ZERO,
            },
        )?;
        Ok(())
    }

    fn send(&self, step: &'static str, call: Call) -> Result<Inclusion, DeployError> {
        self.network
            .transact(self.signer, &call)
            .map_err(|e| DeployError::of(step, e))
    }
}
