//! The contracts as Rust types: calls, events and errors, made from the Solidity interfaces.

mod artifact;

use alloy_json_abi::InternalType;
use alloy_primitives::U256;
use alloy_sol_types::sol;

pub use artifact::{Artifact, Contract};
pub use asset_metadata::IAssetMetadata;
pub use asset_registry::IAssetRegistry;
pub use consent_registry::IConsentRegistry;
pub use decision_receipts::IDecisionReceipts;
pub use inference_dispute::IInferenceDispute;
pub use inference_verifier::IInferenceVerifier;
pub use log_anchor::ILogAnchor;
pub use masked_rounds::IMaskedRounds;
pub use member_standing::IMemberStanding;
pub use open_models::IOpenModels;
pub use royalty_vault::IRoyaltyVault;
pub use standards::{
    IAnchorUser, IDevelopmentToken, IDisputeUser, IERC20, IERC721, IMaskUser, IOwnable, IPlannerUser, IProxy,
    IRegistryUser,
};
pub use sum_disputes::ISumDisputes;
pub use training_rounds::ITrainingRounds;

/// The name of a value of one of our enumerations.
#[must_use]
pub fn enum_name(ty: &InternalType, value: U256) -> Option<&'static str> {
    let InternalType::Enum { contract, ty } = ty else {
        return None;
    };
    let names: &[&str] = match (contract.as_deref()?, ty.as_str()) {
        ("ITrainingRounds", "Phase") => &[
            "None",
            "Enrolling",
            "Running",
            "Finished",
            "Cancelled",
            "Abandoned",
        ],
        ("IAssetRegistry", "Kind") => &["None", "Dataset", "Model", "Program", "Content", "Collection"],
        ("IInferenceDispute", "Phase") => &[
            "None",
            "Prove",
            "Publish",
            "Name",
            "Split",
            "Pick",
            "Reveal",
            "Point",
            "Sum",
            "Tile",
            "ChallengerWon",
            "ClaimantWon",
            "Returned",
        ],
        ("ISumDisputes", "DemandState") => &["None", "Open", "Answered", "Settled"],
        ("IDecisionReceipts", "State") => &["None", "Open", "Kept", "Broken"],
        ("IInferenceDispute", "Lane") => &["Open", "Sealed", "Private"],
        ("IInferenceDispute", "Status") => &["None", "Pending", "Accepted", "Rejected"],
        _ => return None,
    };
    names.get(usize::try_from(value).ok()?).copied()
}

/// `contracts/src/interfaces/IAssetRegistry.sol`.
#[expect(missing_docs, reason = "made by a macro; the interface holds the text")]
mod asset_registry {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IAssetRegistry.sol"
    );
}

/// `contracts/src/interfaces/IAssetMetadata.sol`.
mod asset_metadata {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IAssetMetadata.sol"
    );
}

/// `contracts/src/interfaces/IConsentRegistry.sol`.
mod consent_registry {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IConsentRegistry.sol"
    );
}

/// `contracts/src/interfaces/ITrainingRounds.sol`.
#[expect(missing_docs, reason = "made by a macro; the interface holds the text")]
mod training_rounds {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/ITrainingRounds.sol"
    );
}

/// `contracts/src/interfaces/IRoyaltyVault.sol`.
mod royalty_vault {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IRoyaltyVault.sol"
    );
}

/// `contracts/src/interfaces/IInferenceVerifier.sol`.
mod inference_verifier {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IInferenceVerifier.sol"
    );
}

/// `contracts/src/interfaces/ILogAnchor.sol`.
mod log_anchor {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/ILogAnchor.sol"
    );
}

/// `contracts/src/interfaces/IDecisionReceipts.sol`.
mod decision_receipts {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IDecisionReceipts.sol"
    );
}

/// `contracts/src/interfaces/IMaskedRounds.sol`.
mod masked_rounds {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IMaskedRounds.sol"
    );
}

/// `contracts/src/interfaces/IMemberStanding.sol`.
mod member_standing {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IMemberStanding.sol"
    );
}

/// `contracts/src/interfaces/ISumDisputes.sol`.
#[expect(missing_docs, reason = "made by a macro; the interface holds the text")]
mod sum_disputes {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/ISumDisputes.sol"
    );
}

/// `contracts/src/interfaces/IInferenceDispute.sol`.
#[expect(missing_docs, reason = "made by a macro; the interface holds the text")]
mod inference_dispute {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IInferenceDispute.sol"
    );
}

/// `contracts/src/interfaces/IOpenModels.sol`.
mod open_models {
    alloy_sol_types::sol!(
        #![sol(abi, extra_derives(Debug, PartialEq, Eq))]
        "../../contracts/src/interfaces/IOpenModels.sol"
    );
}

/// The parts that are used of what others specified, and of the token for development.
mod standards {
    use super::sol;

    sol! {
        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IERC20 {
            event Transfer(address indexed from, address indexed to, uint256 value);
            function symbol() external view returns (string);
            function decimals() external view returns (uint8);
            function balanceOf(address account) external view returns (uint256);
            function allowance(address owner, address spender) external view returns (uint256);
            function transfer(address to, uint256 value) external returns (bool);
            function approve(address spender, uint256 value) external returns (bool);
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IERC721 {
            event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
            function ownerOf(uint256 tokenId) external view returns (address);
            function transferFrom(address from, address to, uint256 tokenId) external;
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IOwnable {
            function owner() external view returns (address);
            function transferOwnership(address newOwner) external;
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IProxy {
            event Upgraded(address indexed implementation);
            function initialize(address initialOwner) external;
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IRegistryUser {
            function assets() external view returns (address);
            function consents() external view returns (address);
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IPlannerUser {
            function planner() external view returns (address);
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IDisputeUser {
            function models() external view returns (address);
            function verifier() external view returns (address);
            function dispute() external view returns (address);
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IAnchorUser {
            function anchors() external view returns (address);
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IMaskUser {
            function rounds() external view returns (address);
            function disputes() external view returns (address);
        }

        #[sol(extra_derives(Debug, PartialEq, Eq))]
        interface IDevelopmentToken {
            function mint(address to, uint256 value) external;
        }
    }
}
