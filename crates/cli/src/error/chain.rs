//! What the chain, its contracts and its keys answer, in our words.

use counterweight_chain::{deploy::DeployError, guard::GuardError, keys::KeyError, network::ChainError};
use counterweight_federated::ledger::LedgerError;

use super::{CliError, Code, with_causes};

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> Self {
        let told = |code| Self::new(code, error.to_string());
        match &error {
            KeyError::NotASecret => told(Code::BadValue)
                .why("what was read is not repeated here")
                .fix("give 64 hexadecimal digits, with or without 0x"),
            KeyError::DevelopmentOnly { .. } => told(Code::DevelopmentKey)
                .why("everybody knows the development keys, so what they hold on another chain can be taken")
                .fix("cw key new NAME, fund its account, then use --key NAME"),
            KeyError::NotFound { .. } | KeyError::NoSuchDevelopmentKey { .. } => {
                told(Code::UnknownName).fix("cw key list")
            }
            KeyError::Exists { .. } => told(Code::AlreadyThere)
                .why("replacing a key would lose what its account holds")
                .fix("choose another name, or see cw key list"),
            KeyError::BadName { .. } => told(Code::BadValue).fix("choose a name of letters, digits, - and _"),
            KeyError::WrongPassword { .. } => told(Code::KeyLocked)
                .fix("try again; the password is asked for, or read from CW_PASSWORD or --password-file"),
            KeyError::Malformed { .. } => told(Code::FileUnreadable).fix("restore the key file from a copy"),
            KeyError::File { source, .. } => told(Code::FileUnreadable)
                .fact("system", source.to_string())
                .fix("check the folder's permissions and the disk's free space"),
            _ => told(Code::Fault),
        }
    }
}

impl From<ChainError> for CliError {
    fn from(error: ChainError) -> Self {
        let told = |code| Self::new(code, error.to_string());
        match &error {
            ChainError::Unreachable { source, .. } => told(Code::ChainSilent)
                .why(with_causes(source.as_ref()))
                .fix("start the node, or choose another network with --network"),
            ChainError::TimedOut { .. } => told(Code::NotConfirmed)
                .why("it was sent and may still be included")
                .fix("run the command again; raise --timeout on a slow network"),
            ChainError::WrongChain { .. } => told(Code::WrongChain)
                .why("the network's configuration names another chain than the one that answers")
                .fix("correct chain-id or rpc of the network; see cw network list"),
            ChainError::Reverted { .. } => told(Code::ContractRefuses).fix("see cw status"),
            ChainError::Rejected { .. } => told(Code::TransactionRejected)
                .fix("fund the account, or choose another with --key; see cw key list"),
            ChainError::Storage { .. } => told(Code::ChainDamaged)
                .fix("check the disk's free space and permissions; see cw explain CW5008"),
            ChainError::Malformed { .. } | ChainError::StateMissing { .. } => {
                told(Code::ChainSilent).fix("check that the address is that of a JSON-RPC node")
            }
            _ => told(Code::Fault),
        }
    }
}

/// What a contract refused, by the name of its error.
fn refused(name: &str, reason: &str) -> CliError {
    match name {
        "ConsentMissing" => CliError::new(
            Code::NoConsent,
            "the dataset's consent does not cover the study's purpose",
        )
        .fact("contract", reason)
        .why("its steward has not allowed the purpose, withdrew it, or it expired")
        .fix("cw consent grant DATASET, by the dataset's steward"),
        "NothingToClaim" | "AlreadyClaimed" => {
            CliError::new(Code::NothingToClaim, "there is nothing to claim")
                .fact("contract", reason)
                .fix("cw run show")
        }
        "TooFewMembers" => CliError::new(Code::TooFewMembers, "too few members take part")
            .fact("contract", reason)
            .fix("cw status shows which members are ready and why others are not"),
        "TooLate" => CliError::new(Code::TooLate, "it came after the deadline")
            .fact("contract", reason)
            .why("deadlines go by the chain's clock")
            .fix("raise round-timeout in the study's configuration"),
        _ => CliError::new(Code::ContractRefuses, format!("the contract refuses: {name}"))
            .fact("contract", reason)
            .fix("see cw status and cw run show"),
    }
}

fn unreachable_ledger(source: &(dyn std::error::Error + 'static)) -> CliError {
    // The ledger boxes what the chain said; its own variant tells more than its text.
    match source.downcast_ref::<ChainError>() {
        Some(ChainError::TimedOut { .. }) => CliError::new(Code::NotConfirmed, source.to_string())
            .why("it was sent and may still be included")
            .fix("run the command again; raise --timeout on a slow network"),
        _ => CliError::new(Code::ChainSilent, source.to_string())
            .why(
                source
                    .source()
                    .map_or_else(|| "nobody answers".to_owned(), with_causes),
            )
            .fix("start the node, or choose another network with --network"),
    }
}

impl From<LedgerError> for CliError {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Refused { name, reason } => refused(name, reason),
            LedgerError::Unreachable(source) => unreachable_ledger(source.as_ref()),
            LedgerError::Malformed { .. } => malformed(&error),
            _ => Self::new(Code::Fault, with_causes(&error)),
        }
    }
}

impl From<GuardError> for CliError {
    fn from(error: GuardError) -> Self {
        match error {
            GuardError::NoBond { study } => Self::new(Code::NoBond, format!("run {study} has no bond"))
                .why("it masks nothing, or its terms ask for no bond")
                .fix(format!("cw run show {study}")),
            GuardError::Ledger(error) => error.into(),
            _ => Self::new(Code::Fault, with_causes(&error)),
        }
    }
}

fn malformed(error: &dyn std::error::Error) -> CliError {
    CliError::new(Code::NotDeployed, with_causes(error))
        .why("what is at the contracts' addresses does not answer as our contracts do")
        .fix("cw doctor")
}

impl From<DeployError> for CliError {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Chain(error) => error.into(),
            DeployError::Refused { step, ref reason } => Self::new(Code::ContractRefuses, error.to_string())
                .fact("step", step)
                .fact("contract", reason),
            DeployError::OtherChain { .. } => Self::new(Code::WrongChain, error.to_string())
                .why("the deployment on record belongs to another chain")
                .fix("check the network's address; see cw network list"),
            DeployError::Missing { .. } | DeployError::Differs { .. } => Self::new(
                Code::NotDeployed,
                error.to_string(),
            )
            .why("this version of cw trusts only the contracts it was built with")
            .fix("cw doctor; a chain that was reset needs its file in .counterweight/deployments moved away"),
            DeployError::File { ref source, .. } => Self::new(Code::FileUnreadable, error.to_string())
                .fact("system", source.to_string())
                .fix("check the file's permissions"),
            _ => Self::new(Code::Fault, with_causes(&error)),
        }
    }
}
