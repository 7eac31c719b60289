//! The embedded chain as a [`Network`].

use std::time::Duration;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};

use super::executor::receipt_envelope;
use super::{
    BlockTag, CallOutcome, CallRequest, EmbeddedChain, EmbeddedError, GasEstimate, LogFilter, StoredBlock,
    SubmitError, TransactionPlace,
};
use crate::network::{
    At, BlockRef, Call, ChainError, EventLog, Inclusion, LogQuery, Network, TransactionSigner,
};

/// How long a transaction may take until it is in a block, where blocks are not made at once.
const CONFIRMATION: Duration = Duration::from_secs(60);

/// Wei per unit of gas for whoever makes the block.
const TIP: u128 = 1_000_000_000;

impl From<EmbeddedError> for ChainError {
    fn from(error: EmbeddedError) -> Self {
        match error {
            EmbeddedError::StateMissing { number, .. } => Self::StateMissing { number },
            EmbeddedError::InvalidCall { reason } => Self::Rejected { reason },
            // Smaller questions are answered, so this one is refused.
            error @ EmbeddedError::TooMany { .. } => Self::Rejected {
                reason: error.to_string(),
            },
            other => Self::Storage {
                reason: with_causes(&other),
            },
        }
    }
}

impl From<SubmitError> for ChainError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Chain(error) => error.into(),
            other => Self::Rejected {
                reason: other.to_string(),
            },
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn block_ref(block: &StoredBlock) -> BlockRef {
    BlockRef {
        number: block.number(),
        hash: block.hash(),
        timestamp: block.header.timestamp,
    }
}

fn tag(at: At) -> BlockTag {
    match at {
        At::Latest => BlockTag::Latest,
        At::Block(number) => BlockTag::Number(number),
    }
}

fn request(from: Address, call: &Call) -> CallRequest {
    CallRequest {
        from: Some(from),
        to: call.to,
        value: call.value,
        input: call.data.clone(),
        ..CallRequest::default()
    }
}

fn failure(outcome: CallOutcome) -> ChainError {
    match outcome {
        CallOutcome::Reverted { data } => ChainError::Reverted { data },
        CallOutcome::Halted { reason } => ChainError::Rejected { reason },
        CallOutcome::Success { .. } => ChainError::Malformed {
            reason: "a success where a failure was".to_owned(),
        },
    }
}

fn inclusion(place: &TransactionPlace) -> Inclusion {
    let TransactionPlace { block, index } = place;
    let receipt = &block.receipts[*index];
    let transaction = *block.transactions[*index].tx_hash();
    let first = block.first_log_index(*index);
    Inclusion {
        transaction,
        block: block_ref(block),
        gas_used: receipt.gas_used,
        effective_gas_price: receipt.effective_gas_price,
        created: receipt.created,
        logs: receipt
            .logs
            .iter()
            .zip(first..)
            .map(|(log, index)| EventLog {
                address: log.address,
                topics: log.topics().to_vec(),
                data: log.data.data.clone(),
                block: block.number(),
                index,
                transaction,
            })
            .collect(),
    }
}

impl Network for EmbeddedChain {
    fn chain_id(&self) -> u64 {
        Self::chain_id(self)
    }

    fn head(&self) -> Result<BlockRef, ChainError> {
        Ok(block_ref(&Self::head(self)))
    }

    fn block(&self, number: u64) -> Result<Option<BlockRef>, ChainError> {
        Ok(
            Self::header(self, BlockTag::Number(number))?.map(|header| BlockRef {
                number,
                hash: header.hash(),
                timestamp: header.timestamp,
            }),
        )
    }

    fn call(&self, from: Address, call: &Call, at: At) -> Result<Bytes, ChainError> {
        match self.simulate(&request(from, call), tag(at))?.outcome {
            CallOutcome::Success { output, .. } => Ok(output),
            other => Err(failure(other)),
        }
    }

    fn estimate_gas(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        match Self::estimate_gas(self, &request(from, call), BlockTag::Pending)? {
            GasEstimate::Enough(gas) => Ok(gas),
            GasEstimate::Fails(outcome) => Err(failure(outcome)),
        }
    }

    fn balance(&self, account: Address, at: At) -> Result<U256, ChainError> {
        Ok(Self::balance(self, account, tag(at))?)
    }

    fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        Ok(Self::nonce(self, account, BlockTag::Latest)?)
    }

    fn code(&self, account: Address, at: At) -> Result<Bytes, ChainError> {
        Ok(Self::code(self, account, tag(at))?)
    }

    fn transact(&self, signer: &dyn TransactionSigner, call: &Call) -> Result<Inclusion, ChainError> {
        let from = signer.address();
        let gas_limit = Network::estimate_gas(self, from, call)?;
        let hash = {
            let _sending = self.sequencer.sending.lock();
            let transaction = TxEip1559 {
                chain_id: Self::chain_id(self),
                nonce: Self::nonce(self, from, BlockTag::Pending)?,
                // Other transactions may go first and change what this one costs, so a quarter is added.
                gas_limit: (gas_limit + gas_limit / 4).min(super::rules::TRANSACTION_GAS_CAP),
                // Twice the base fee stays enough for six full blocks in a row.
                max_fee_per_gas: 2 * u128::from(self.next_base_fee()) + TIP,
                max_priority_fee_per_gas: TIP,
                to: call.to.map_or(TxKind::Create, TxKind::Call),
                value: call.value,
                access_list: Default::default(),
                input: call.data.clone(),
            };
            let signature = signer.sign_hash(transaction.signature_hash())?;
            let signed: TxEnvelope = transaction.into_signed(signature).into();
            self.submit(signed.encoded_2718().into())?
        };
        if !self.sequencer.wait_for(&hash, CONFIRMATION)? {
            if let Some(reason) = self.sequencer.pool.lock().refusal(&hash) {
                return Err(ChainError::Rejected {
                    reason: reason.to_owned(),
                });
            }
            return Err(ChainError::TimedOut {
                transaction: hash,
                seconds: CONFIRMATION.as_secs(),
            });
        }
        let place = Self::transaction(self, hash)?.ok_or(ChainError::Malformed {
            reason: "an included transaction is in no block".to_owned(),
        })?;
        if place.block.receipts[place.index].succeeded {
            return Ok(inclusion(&place));
        }
        // Run again where it was, to learn the revert data that a receipt does not hold.
        let before = place.block.number().saturating_sub(1);
        let data = match self
            .simulate(&request(from, call), BlockTag::Number(before))?
            .outcome
        {
            CallOutcome::Reverted { data } => data,
            _ => Bytes::new(),
        };
        Err(ChainError::Reverted { data })
    }

    fn inclusion(&self, transaction: B256) -> Result<Option<Inclusion>, ChainError> {
        Ok(Self::transaction(self, transaction)?.map(|place| inclusion(&place)))
    }

    fn logs(&self, query: &LogQuery) -> Result<Vec<EventLog>, ChainError> {
        let filter = LogFilter {
            from: query.from,
            to: query.to.unwrap_or(u64::MAX),
            addresses: query.address.into_iter().collect(),
            topics: query.topics.clone(),
        };
        Ok(Self::logs(self, &filter)?
            .into_iter()
            .map(|record| EventLog {
                address: record.log.address,
                topics: record.log.topics().to_vec(),
                data: record.log.data.data,
                block: record.block_number,
                index: record.log_index,
                transaction: record.transaction_hash,
            })
            .collect())
    }

    fn header(&self, number: u64) -> Result<Option<Bytes>, ChainError> {
        Ok(Self::header(self, BlockTag::Number(number))?
            .map(|header| alloy_rlp::encode(header.inner()).into()))
    }

    fn receipts(&self, number: u64) -> Result<Vec<Bytes>, ChainError> {
        let block =
            Self::block(self, BlockTag::Number(number))?.ok_or(ChainError::StateMissing { number })?;
        let encoded = |receipt| receipt_envelope(receipt).encoded_2718().into();
        Ok(block.receipts.iter().map(encoded).collect())
    }

    fn prove(&self, account: Address, slots: &[B256], number: u64) -> Result<Vec<Bytes>, ChainError> {
        Ok(Self::prove(self, account, slots, number)?)
    }
}
