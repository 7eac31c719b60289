//! A signed transaction whose signer is known.

use alloy_consensus::crypto::RecoveryError;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes};

use super::SubmitError;

/// A signed transaction whose signer is known. Made only by [`RecoveredTransaction::decode`].
#[derive(Debug, Clone)]
pub(crate) struct RecoveredTransaction {
    raw: Bytes,
    envelope: TxEnvelope,
    hash: B256,
    sender: Address,
}

impl RecoveredTransaction {
    /// Decodes a transaction and recovers its signer, which costs some 50 µs.
    pub(crate) fn decode(raw: Bytes, limit: usize) -> Result<Self, SubmitError> {
        if raw.len() > limit {
            return Err(SubmitError::Oversized {
                got: raw.len(),
                limit,
            });
        }
        if raw.first() == Some(&3) {
            return Err(SubmitError::TypeNotSupported {
                what: "blob transactions (EIP-4844)",
            });
        }
        let envelope = TxEnvelope::decode_2718_exact(&raw).map_err(|error| SubmitError::Undecodable {
            reason: error.to_string(),
        })?;
        let sender = envelope
            .recover_signer()
            .map_err(|_: RecoveryError| SubmitError::InvalidSender)?;
        let hash = *envelope.tx_hash();
        Ok(Self {
            raw,
            envelope,
            hash,
            sender,
        })
    }

    pub(crate) fn raw(&self) -> &Bytes {
        &self.raw
    }

    pub(crate) fn envelope(&self) -> &TxEnvelope {
        &self.envelope
    }

    pub(crate) fn hash(&self) -> B256 {
        self.hash
    }

    pub(crate) fn sender(&self) -> Address {
        self.sender
    }

    pub(crate) fn nonce(&self) -> u64 {
        self.envelope.nonce()
    }

    pub(crate) fn gas_limit(&self) -> u64 {
        self.envelope.gas_limit()
    }
}
