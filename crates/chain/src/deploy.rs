//! Deploy the contracts, remember where they are, and check that what is there is what we compiled.
//!
//! Contracts are deployed one after another by one account, so their addresses follow from that account and its
//! nonce (EIP-161, `CREATE`): the same key gives the same addresses on every fresh chain. File:
//! `docs/spec/deployment.md`.

mod code;
mod steps;

use std::path::Path;

use alloy_primitives::{U256, hex};
use alloy_sol_types::{SolCall, SolEvent as _};
use counterweight_primitives::Address;
use counterweight_provenance::durable::{Readers, replace_file};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::address::{from_evm, to_evm};
use crate::contracts::{
    Contract, IAnchorUser, IAssetRegistry, IDisputeUser, IMaskUser, IOwnable, IPlannerUser, IProxy,
    IRegistryUser,
};
use crate::ledger::Refusal;
use crate::network::{At, Call, ChainError, LogQuery, Network, TransactionSigner};

/// Where the contracts of one deployment are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Deployment {
    /// Chain the contracts are on.
    pub chain_id: u64,
    /// Height of the block with the first contract: nothing of interest was logged before.
    pub block: u64,
    /// Owner of the registries.
    pub timelock: Address,
    /// `AssetRegistry`, behind its proxy.
    pub asset_registry: Address,
    /// The code behind it.
    pub asset_registry_implementation: Address,
    /// `ConsentRegistry`, behind its proxy.
    pub consent_registry: Address,
    /// The code behind it.
    pub consent_registry_implementation: Address,
    /// `TrainingRounds`.
    pub training_rounds: Address,
    /// `RoyaltyVault`.
    pub royalty_vault: Address,
    /// `LogAnchor`.
    pub log_anchor: Address,
    /// `ArchitecturePlanner`, where the deployment has an inference verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture_planner: Option<Address>,
    /// `InferenceVerifier`; absent where no set-up was chosen, and from deployments older than it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_verifier: Option<Address>,
    /// `OpenModels`; absent from deployments older than it, like those below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_models: Option<Address>,
    /// `InferenceDispute`; without a verifier it has the open lane only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_dispute: Option<Address>,
    /// `ProofEvaluator`, where there is a verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_evaluator: Option<Address>,
    /// `OptimisticEvaluator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimistic_evaluator: Option<Address>,
    /// `ERC7992Adapter`, where there is a verifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erc7992_adapter: Option<Address>,
    /// `DecisionReceipts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_receipts: Option<Address>,
    /// `MaskedRounds`; it makes its `SumDisputes` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_rounds: Option<Address>,
    /// `MemberStanding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_standing: Option<Address>,
    /// `DevelopmentToken`, only on chain 31337.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development_token: Option<Address>,
}

/// What may be chosen in a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeployOptions {
    /// Seconds between the proposal of an upgrade and its execution.
    pub upgrade_delay_seconds: u64,
    /// Who may propose, cancel and execute upgrades; the deployer where empty.
    pub governors: Vec<Address>,
    /// `[tau]_2` of the set-up that proofs of inference rest on, as EIP-197 encodes it. Without it, chain 31337 gets the
    /// INSECURE development set-up, and any other chain no verifier.
    pub inference_set_up: Option<Box<[u8; 128]>>,
}

/// `[tau]_2` of the INSECURE development set-up: docs/spec/opening.md. The contract refuses it on any chain but 31337.
pub const DEVELOPMENT_SET_UP: [u8; 128] = hex!(
    "2b0c863ed2ba7d9b1df95b94c75fa055d23bccfc0251d8e248c0dc99bb4ebd0b"
    "0b271b09ec2c6b85290abacdeb95e5428c1107b64792774b4ed6cb6062ed3fd9"
    "0605f304df5e65325358c92a1fbc11e0b0ab3a5ed863d05df30f4be12f673cc2"
    "18bc1ec5b351ea4aa0d133f79306e162f45710ab57094a766eff6ed8adf31df8"
);

/// Why contracts could not be deployed, found or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The chain.
    #[error(transparent)]
    Chain(ChainError),
    /// A contract refused a step of the deployment, or a question.
    #[error("{step} was refused: {reason}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The contract's error in words.
        reason: String,
    },
    /// The file belongs to another chain.
    #[error("the deployment is for chain {expected}, this is chain {got}")]
    OtherChain {
        /// Chain of the file.
        expected: u64,
        /// Chain that answers.
        got: u64,
    },
    /// Another account began the deployment that is to go on.
    #[error("{expected} began this deployment, {got} cannot go on with it")]
    OtherDeployer {
        /// Who began.
        expected: Address,
        /// Who asks.
        got: Address,
    },
    /// No code at the address.
    #[error("{contract} is not at {address}")]
    Missing {
        /// Name of the contract.
        contract: &'static str,
        /// Where it should be.
        address: Address,
    },
    /// Other code at the address.
    #[error("{contract} at {address} runs other code than this program was built with")]
    Differs {
        /// Name of the contract.
        contract: &'static str,
        /// Where it is.
        address: Address,
    },
    /// The right code, joined to other contracts than the file says.
    #[error("{question} of {contract} at {address} is {got}, expected {expected}")]
    Miswired {
        /// Name of the contract.
        contract: &'static str,
        /// Where it is.
        address: Address,
        /// What was asked: `owner`, `assets`, …
        question: &'static str,
        /// What the file says.
        expected: Address,
        /// What the contract says.
        got: Address,
    },
    /// `TrainingRounds` may not register models.
    #[error("{registrar} may not register assets for others in {address}")]
    NotRegistrar {
        /// The registry.
        address: Address,
        /// Who should be its registrar.
        registrar: Address,
    },
    /// The deployment file could not be read or written.
    #[error("the deployment file {path} cannot be used")]
    File {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl DeployError {
    /// The chain's error, with a contract's reasons in words.
    fn of(step: &'static str, error: ChainError) -> Self {
        match error {
            ChainError::Reverted { data } => Self::Refused {
                step,
                reason: Refusal::read(&data).reason,
            },
            error => Self::Chain(error),
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Chain(error) if error.is_retryable())
    }
}

impl Deployment {
    /// Reads a deployment file.
    ///
    /// # Errors
    /// [`DeployError::File`].
    pub fn load(path: &Path) -> Result<Self, DeployError> {
        load(path)
    }

    /// Writes a deployment file: all of it or nothing, whatever happens meanwhile.
    ///
    /// # Errors
    /// [`DeployError::File`].
    pub fn save(&self, path: &Path) -> Result<(), DeployError> {
        save(path, self)
    }

    /// Compares every contract with what this program was built with, and how they are joined with what this file
    /// says. About twenty questions to the chain.
    ///
    /// # Errors
    /// [`DeployError::OtherChain`], [`DeployError::Missing`], [`DeployError::Differs`], [`DeployError::Miswired`],
    /// [`DeployError::NotRegistrar`] or the chain's.
    pub fn check(&self, network: &dyn Network) -> Result<(), DeployError> {
        if network.chain_id() != self.chain_id {
            return Err(DeployError::OtherChain {
                expected: self.chain_id,
                got: network.chain_id(),
            });
        }
        let mut contracts = vec![
            (Contract::Timelock, self.timelock),
            (Contract::AssetRegistry, self.asset_registry_implementation),
            (Contract::Proxy, self.asset_registry),
            (Contract::ConsentRegistry, self.consent_registry_implementation),
            (Contract::Proxy, self.consent_registry),
            (Contract::RoyaltyVault, self.royalty_vault),
            (Contract::TrainingRounds, self.training_rounds),
            (Contract::LogAnchor, self.log_anchor),
        ];
        contracts.extend(
            self.development_token
                .map(|token| (Contract::DevelopmentToken, token)),
        );
        contracts.extend(
            self.architecture_planner
                .map(|planner| (Contract::ArchitecturePlanner, planner)),
        );
        contracts.extend(
            self.inference_verifier
                .map(|verifier| (Contract::InferenceVerifier, verifier)),
        );
        for (contract, address) in [
            (Contract::OpenModels, self.open_models),
            (Contract::InferenceDispute, self.inference_dispute),
            (Contract::ProofEvaluator, self.proof_evaluator),
            (Contract::OptimisticEvaluator, self.optimistic_evaluator),
            (Contract::Erc7992Adapter, self.erc7992_adapter),
            (Contract::DecisionReceipts, self.decision_receipts),
            (Contract::MaskedRounds, self.masked_rounds),
            (Contract::MemberStanding, self.member_standing),
        ] {
            contracts.extend(address.map(|address| (contract, address)));
        }
        for (contract, address) in contracts {
            check_code(network, contract, address)?;
        }
        for (proxy, implementation) in [
            (self.asset_registry, self.asset_registry_implementation),
            (self.consent_registry, self.consent_registry_implementation),
        ] {
            self.check_implementation(network, proxy, implementation)?;
            let got = ask(network, proxy, "owner", &IOwnable::ownerCall {})?;
            wired(Contract::Proxy, proxy, "owner", self.timelock, got)?;
        }
        // The code at these addresses was compared, so what it says of itself is so.
        for (contract, address) in [
            (Contract::ConsentRegistry, self.consent_registry),
            (Contract::RoyaltyVault, self.royalty_vault),
            (Contract::TrainingRounds, self.training_rounds),
        ] {
            let got = ask(network, address, "assets", &IRegistryUser::assetsCall {})?;
            wired(contract, address, "assets", self.asset_registry, got)?;
        }
        let got = ask(
            network,
            self.training_rounds,
            "consents",
            &IRegistryUser::consentsCall {},
        )?;
        wired(
            Contract::TrainingRounds,
            self.training_rounds,
            "consents",
            self.consent_registry,
            got,
        )?;
        if let Some(verifier) = self.inference_verifier {
            let got = ask(network, verifier, "planner", &IPlannerUser::plannerCall {})?;
            let expected = self.architecture_planner.unwrap_or(Address::ZERO);
            wired(Contract::InferenceVerifier, verifier, "planner", expected, got)?;
        }
        self.check_disputes(network)?;
        if let Some(receipts) = self.decision_receipts {
            let got = ask(network, receipts, "anchors", &IAnchorUser::anchorsCall {})?;
            wired(
                Contract::DecisionReceipts,
                receipts,
                "anchors",
                self.log_anchor,
                got,
            )?;
        }
        self.check_masking(network)?;
        if let Some(standing) = self.member_standing {
            let got = ask(network, standing, "rounds", &IMaskUser::roundsCall {})?;
            wired(
                Contract::MemberStanding,
                standing,
                "rounds",
                self.training_rounds,
                got,
            )?;
        }
        let registrar = self.training_rounds;
        let call = IAssetRegistry::isRegistrarCall {
            account: to_evm(registrar),
        };
        if !ask(network, self.asset_registry, "isRegistrar", &call)? {
            return Err(DeployError::NotRegistrar {
                address: self.asset_registry,
                registrar,
            });
        }
        Ok(())
    }

    /// How the contracts of disputes and those in front of the verifier are joined; a dispute contract without a verifier names nobody.
    fn check_disputes(&self, network: &dyn Network) -> Result<(), DeployError> {
        let none = Address::ZERO;
        let verifier = self.inference_verifier.unwrap_or(none);
        if let Some(address) = self.inference_dispute {
            let got = ask(network, address, "models", &IDisputeUser::modelsCall {})?;
            let expected = self.open_models.unwrap_or(none);
            wired(Contract::InferenceDispute, address, "models", expected, got)?;
            let got = ask(network, address, "verifier", &IDisputeUser::verifierCall {})?;
            wired(Contract::InferenceDispute, address, "verifier", verifier, got)?;
        }
        for (contract, address) in [
            (Contract::ProofEvaluator, self.proof_evaluator),
            (Contract::Erc7992Adapter, self.erc7992_adapter),
        ] {
            if let Some(address) = address {
                let got = ask(network, address, "verifier", &IDisputeUser::verifierCall {})?;
                wired(contract, address, "verifier", verifier, got)?;
            }
        }
        if let Some(address) = self.optimistic_evaluator {
            let got = ask(network, address, "dispute", &IDisputeUser::disputeCall {})?;
            let expected = self.inference_dispute.unwrap_or(none);
            wired(Contract::OptimisticEvaluator, address, "dispute", expected, got)?;
        }
        Ok(())
    }

    /// How masked rounds are joined to studies, and to the disputes of their sums.
    fn check_masking(&self, network: &dyn Network) -> Result<(), DeployError> {
        let Some(masks) = self.masked_rounds else {
            return Ok(());
        };
        let got = ask(network, masks, "rounds", &IMaskUser::roundsCall {})?;
        wired(Contract::MaskedRounds, masks, "rounds", self.training_rounds, got)?;
        let disputes = from_evm(ask(network, masks, "disputes", &IMaskUser::disputesCall {})?);
        check_code(network, Contract::SumDisputes, disputes)?;
        let got = ask(network, disputes, "rounds", &IMaskUser::roundsCall {})?;
        wired(Contract::SumDisputes, disputes, "rounds", masks, got)
    }

    /// The code behind a proxy is in a storage slot; each change of it is logged (ERC-1967).
    fn check_implementation(
        &self,
        network: &dyn Network,
        proxy: Address,
        expected: Address,
    ) -> Result<(), DeployError> {
        let upgrades = network
            .logs(&LogQuery {
                address: Some(to_evm(proxy)),
                topics: vec![vec![IProxy::Upgraded::SIGNATURE_HASH]],
                from: self.block,
                to: None,
            })
            .map_err(DeployError::Chain)?;
        let newest = upgrades.last().and_then(|log| log.topics.get(1));
        let got = newest.map_or(Address::ZERO, |word| {
            from_evm(alloy_primitives::Address::from_word(*word))
        });
        wired(Contract::Proxy, proxy, "implementation", expected, got)
    }
}

fn check_code(network: &dyn Network, contract: Contract, address: Address) -> Result<(), DeployError> {
    let deployed = network
        .code(to_evm(address), At::Latest)
        .map_err(DeployError::Chain)?;
    let contract_name = contract.name();
    if deployed.is_empty() {
        return Err(DeployError::Missing {
            contract: contract_name,
            address,
        });
    }
    if !code::is_deployed_from(&contract.artifact().runtime, &deployed) {
        return Err(DeployError::Differs {
            contract: contract_name,
            address,
        });
    }
    Ok(())
}

fn wired(
    contract: Contract,
    address: Address,
    question: &'static str,
    expected: Address,
    got: impl Into<AnyAddress>,
) -> Result<(), DeployError> {
    let got = got.into().0;
    if got == expected {
        return Ok(());
    }
    Err(DeployError::Miswired {
        contract: contract.name(),
        address,
        question,
        expected,
        got,
    })
}

/// Either kind of address.
struct AnyAddress(Address);

impl From<Address> for AnyAddress {
    fn from(address: Address) -> Self {
        Self(address)
    }
}

impl From<alloy_primitives::Address> for AnyAddress {
    fn from(address: alloy_primitives::Address) -> Self {
        Self(from_evm(address))
    }
}

fn ask<C: SolCall>(
    network: &dyn Network,
    contract: Address,
    question: &'static str,
    call: &C,
) -> Result<C::Return, DeployError> {
    let request = Call {
        to: Some(to_evm(contract)),
        data: call.abi_encode().into(),
        value: U256::ZERO,
    };
    let answer = network
        .call(alloy_primitives::Address::ZERO, &request, At::Latest)
        .map_err(|e| DeployError::of(question, e))?;
    C::abi_decode_returns_validate(&answer).map_err(|e| {
        DeployError::Chain(ChainError::Malformed {
            reason: format!("{question} of {contract}: {e}"),
        })
    })
}

/// Deploys the contracts and writes `file`; where `file` exists, checks what it names instead.
///
/// Each step is recorded in `file` with `.partial` added before the next one starts, so that a deployment that was
/// interrupted goes on where it stopped, without a second copy of any contract.
///
/// # Errors
/// [`DeployError`].
pub fn deploy(
    network: &dyn Network,
    signer: &dyn TransactionSigner,
    options: &DeployOptions,
    file: &Path,
) -> Result<Deployment, DeployError> {
    if file.exists() {
        let deployment = Deployment::load(file)?;
        deployment.check(network)?;
        return Ok(deployment);
    }
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let deployment = steps::run(network, signer, options, partial)?;
    deployment.check(network)?;
    deployment.save(file)?;
    std::fs::remove_file(partial).map_err(|source| file_error(partial, source))?;
    Ok(deployment)
}

fn file_error(path: &Path, source: std::io::Error) -> DeployError {
    DeployError::File {
        path: path.display().to_string(),
        source,
    }
}

fn load<T: DeserializeOwned>(path: &Path) -> Result<T, DeployError> {
    let bytes = std::fs::read(path).map_err(|e| file_error(path, e))?;
    serde_json::from_slice(&bytes).map_err(|e| file_error(path, e.into()))
}

fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), DeployError> {
    let write = || {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        replace_file(path, &text, Readers::Anyone)
    };
    write().map_err(|e| file_error(path, e))
}
