//! Deploy the contracts, remember where they are, and check that what is there is what we compiled.

use std::path::Path;

use counterweight_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::network::{ChainError, Network, TransactionSigner};

/// Where the contracts of one deployment are. Stored as JSON (`docs/spec/deployment.md`).
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
    /// `DevelopmentToken`, only on chain 31337.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub development_token: Option<Address>,
}

/// What may be chosen in a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeployOptions {
    /// Seconds between the proposal of an upgrade and its execution.
    pub upgrade_delay_seconds: u64,
}

/// Why contracts could not be deployed, found or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A contract refused a step of the deployment.
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

impl Deployment {
    /// Reads a deployment file.
    ///
    /// # Errors
    /// [`DeployError::File`].
    pub fn load(path: &Path) -> Result<Self, DeployError> {
        let file = |source| DeployError::File {
            path: path.display().to_string(),
            source,
        };
        serde_json::from_slice(&std::fs::read(path).map_err(file)?).map_err(|e| file(e.into()))
    }

    /// Compares the code at every address with what this program was built with.
    ///
    /// # Errors
    /// [`DeployError::OtherChain`], [`DeployError::Missing`], [`DeployError::Differs`] or the chain's.
    pub fn check(&self, network: &dyn Network) -> Result<(), DeployError> {
        if network.chain_id() != self.chain_id {
            return Err(DeployError::OtherChain {
                expected: self.chain_id,
                got: network.chain_id(),
            });
        }
        Err(DeployError::Missing {
            contract: "AssetRegistry",
            address: self.asset_registry,
        })
    }
}

/// Deploys what is missing and writes `file`. Each step is recorded in `file` with `.partial` added before the
/// next one starts, so a deployment that was interrupted goes on where it stopped.
///
/// # Errors
/// [`DeployError`].
pub fn deploy(
    network: &dyn Network,
    _signer: &dyn TransactionSigner,
    _options: &DeployOptions,
    _file: &Path,
) -> Result<Deployment, DeployError> {
    Err(ChainError::Rejected {
        reason: format!("no artifacts for chain {}", network.chain_id()),
    }
    .into())
}
