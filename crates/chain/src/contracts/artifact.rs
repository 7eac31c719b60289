//! What the compiler made of the contracts, as committed in `contracts/artifacts`.

use std::sync::LazyLock;

use alloy_json_abi::{ContractObject, JsonAbi};
use alloy_primitives::Bytes;

/// A contract that can be deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Contract {
    /// The code behind the registry of assets.
    AssetRegistry,
    /// The code behind the registry of consent.
    ConsentRegistry,
    /// Studies.
    TrainingRounds,
    /// Income of assets.
    RoyaltyVault,
    /// Checkpoints of logs.
    LogAnchor,
    /// Checks architectures of integer networks.
    ArchitecturePlanner,
    /// Proofs of inference.
    InferenceVerifier,
    /// Models with public weights.
    OpenModels,
    /// Claims about inferences, and games over them.
    InferenceDispute,
    /// Decides jobs by proofs.
    ProofEvaluator,
    /// Decides jobs by claims.
    OptimisticEvaluator,
    /// ERC-7992 in front of the verifier.
    Erc7992Adapter,
    /// Bonds behind receipts of decisions.
    DecisionReceipts,
    /// Rounds whose updates are masked.
    MaskedRounds,
    /// Disputes of their sums; made by `MaskedRounds`.
    SumDisputes,
    /// Exclusions of members.
    MemberStanding,
    /// Money to play with.
    DevelopmentToken,
    /// OpenZeppelin's proxy in front of both registries.
    Proxy,
    /// OpenZeppelin's owner of both registries.
    Timelock,
}

/// ABI and code of a contract.
#[derive(Debug)]
pub struct Artifact {
    /// What it can be asked, logs and reverts with.
    pub abi: JsonAbi,
    /// Code that makes the contract; constructor arguments follow it.
    pub creation: Bytes,
    /// Code of the contract, with zeros for what its constructor fills in.
    pub runtime: Bytes,
}

impl Contract {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::AssetRegistry,
        Self::ConsentRegistry,
        Self::TrainingRounds,
        Self::RoyaltyVault,
        Self::LogAnchor,
        Self::ArchitecturePlanner,
        Self::InferenceVerifier,
        Self::OpenModels,
        Self::InferenceDispute,
        Self::ProofEvaluator,
        Self::OptimisticEvaluator,
        Self::Erc7992Adapter,
        Self::DecisionReceipts,
        Self::MaskedRounds,
        Self::SumDisputes,
        Self::MemberStanding,
        Self::DevelopmentToken,
        Self::Proxy,
        Self::Timelock,
    ];

    /// Its name in the sources.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AssetRegistry => "AssetRegistry",
            Self::ConsentRegistry => "ConsentRegistry",
            Self::TrainingRounds => "TrainingRounds",
            Self::RoyaltyVault => "RoyaltyVault",
            Self::LogAnchor => "LogAnchor",
            Self::ArchitecturePlanner => "ArchitecturePlanner",
            Self::InferenceVerifier => "InferenceVerifier",
            Self::OpenModels => "OpenModels",
            Self::InferenceDispute => "InferenceDispute",
            Self::ProofEvaluator => "ProofEvaluator",
            Self::OptimisticEvaluator => "OptimisticEvaluator",
            Self::Erc7992Adapter => "ERC7992Adapter",
            Self::DecisionReceipts => "DecisionReceipts",
            Self::MaskedRounds => "MaskedRounds",
            Self::SumDisputes => "SumDisputes",
            Self::MemberStanding => "MemberStanding",
            Self::DevelopmentToken => "DevelopmentToken",
            Self::Proxy => "ERC1967Proxy",
            Self::Timelock => "TimelockController",
        }
    }

    /// What the compiler made of it.
    #[must_use]
    pub fn artifact(self) -> &'static Artifact {
        &ARTIFACTS[self as usize]
    }
}

macro_rules! artifacts {
    ($($contract:ident $file:literal)*) => {
        static ARTIFACTS: LazyLock<[Artifact; 19]> = LazyLock::new(|| [$(read(
            Contract::$contract,
            include_str!(concat!("../../../../contracts/artifacts/", $file, ".json")),
        )),*]);
    };
}

artifacts! {
    AssetRegistry "AssetRegistry"
    ConsentRegistry "ConsentRegistry"
    TrainingRounds "TrainingRounds"
    RoyaltyVault "RoyaltyVault"
    LogAnchor "LogAnchor"
    ArchitecturePlanner "ArchitecturePlanner"
    InferenceVerifier "InferenceVerifier"
    OpenModels "OpenModels"
    InferenceDispute "InferenceDispute"
    ProofEvaluator "ProofEvaluator"
    OptimisticEvaluator "OptimisticEvaluator"
    Erc7992Adapter "ERC7992Adapter"
    DecisionReceipts "DecisionReceipts"
    MaskedRounds "MaskedRounds"
    SumDisputes "SumDisputes"
    MemberStanding "MemberStanding"
    DevelopmentToken "DevelopmentToken"
    Proxy "ERC1967Proxy"
    Timelock "TimelockController"
}

fn read(contract: Contract, json: &str) -> Artifact {
    let valid = "a test reads every artifact this program is built with";
    let object = ContractObject::from_json(json).expect(valid);
    assert!(
        json.contains(&format!("\"contractName\": \"{}\"", contract.name())),
        "{valid}"
    );
    Artifact {
        abi: object.abi.expect(valid),
        creation: object.bytecode.expect(valid),
        runtime: object.deployed_bytecode.expect(valid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::{
        IAssetRegistry, IConsentRegistry, IDecisionReceipts, IInferenceDispute, IInferenceVerifier,
        ILogAnchor, IMaskedRounds, IMemberStanding, IOpenModels, IRoyaltyVault, ISumDisputes,
        ITrainingRounds,
    };

    #[test]
    fn every_artifact_is_read_under_its_own_name() {
        for contract in Contract::ALL {
            let artifact = contract.artifact();
            assert!(
                !artifact.creation.is_empty() && !artifact.runtime.is_empty(),
                "{contract:?}"
            );
        }
    }

    /// The types of this crate come from the interfaces, the code from the artifacts: they must be of one age.
    #[test]
    fn the_artifacts_keep_what_the_interfaces_promise() {
        for (contract, interface) in [
            (Contract::AssetRegistry, IAssetRegistry::abi::contract()),
            (Contract::ConsentRegistry, IConsentRegistry::abi::contract()),
            (Contract::TrainingRounds, ITrainingRounds::abi::contract()),
            (Contract::RoyaltyVault, IRoyaltyVault::abi::contract()),
            (Contract::LogAnchor, ILogAnchor::abi::contract()),
            (Contract::InferenceVerifier, IInferenceVerifier::abi::contract()),
            (Contract::OpenModels, IOpenModels::abi::contract()),
            (Contract::InferenceDispute, IInferenceDispute::abi::contract()),
            (Contract::DecisionReceipts, IDecisionReceipts::abi::contract()),
            (Contract::MaskedRounds, IMaskedRounds::abi::contract()),
            (Contract::SumDisputes, ISumDisputes::abi::contract()),
            (Contract::MemberStanding, IMemberStanding::abi::contract()),
        ] {
            let artifact = &contract.artifact().abi;
            for function in interface.functions() {
                let found = artifact.functions().find(|f| f.selector() == function.selector());
                let found = found.unwrap_or_else(|| panic!("{contract:?} lacks {}", function.signature()));
                assert_eq!(found.signature_with_outputs(), function.signature_with_outputs());
            }
            for event in interface.events() {
                let found = artifact.events().find(|e| e.selector() == event.selector());
                let found = found.unwrap_or_else(|| panic!("{contract:?} lacks {}", event.signature()));
                let indexed =
                    |e: &alloy_json_abi::Event| e.inputs.iter().map(|i| i.indexed).collect::<Vec<_>>();
                assert_eq!(indexed(found), indexed(event), "{}", event.signature());
            }
        }
    }
}
