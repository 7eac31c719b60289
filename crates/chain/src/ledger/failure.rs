//! One way to fail inside, told apart as the domain crates want to hear it.

use counterweight_provenance::ledger::LedgerError;

use super::Refusal;
use crate::network::ChainError;

/// Why a contract was not asked, or its answer is of no use.
#[derive(Debug)]
pub(super) enum Failure {
    Chain(ChainError),
    Malformed(String),
}

impl Failure {
    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }
}

impl From<ChainError> for Failure {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl From<Failure> for LedgerError {
    fn from(failure: Failure) -> Self {
        let refused = |name: &str, error: &ChainError| Self::Refused {
            name: name.to_owned(),
            reason: error.to_string(),
        };
        match failure {
            Failure::Malformed(what) => Self::Malformed { what },
            Failure::Chain(ChainError::Reverted { data }) => {
                let Refusal { name, reason } = Refusal::read(&data);
                Self::Refused { name, reason }
            }
            Failure::Chain(error @ ChainError::Rejected { .. }) => refused("TransactionRejected", &error),
            Failure::Chain(error @ ChainError::WrongChain { .. }) => refused("WrongChain", &error),
            Failure::Chain(error) if error.is_retryable() => Self::Unreachable(Box::new(error)),
            Failure::Chain(error) => Self::Malformed {
                what: error.to_string(),
            },
        }
    }
}
