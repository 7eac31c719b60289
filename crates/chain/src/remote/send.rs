//! Sending transactions: nonces, gas, fees, and waiting until they count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use alloy_consensus::transaction::RlpEcdsaEncodableTx;
use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, Signature, TxKind, U64, U128, keccak256};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{At, Call, ChainError, Inclusion, Network, RemoteChain, TransactionSigner, wire};

/// EIP-7825: no transaction may ask for more.
const TRANSACTION_GAS_CAP: u64 = 16_777_216;
/// Looks without a receipt after which a nonce that somebody used was used by somebody else.
const LOOKS_UNTIL_REPLACED: u32 = 5;

/// Nonces of transactions in flight.
pub(super) type Account = Arc<Mutex<BTreeSet<u64>>>;

/// What a transaction offers for its gas.
#[derive(Debug, Clone, Copy)]
enum Fees {
    Dynamic { most: u128, priority: u128 },
    Legacy { price: u128 },
}

/// A transaction that was handed over.
struct Sent {
    raw: Bytes,
    hash: B256,
    nonce: u64,
}

impl RemoteChain {
    pub(super) fn send_and_wait(
        &self,
        signer: &dyn TransactionSigner,
        call: &Call,
    ) -> Result<Inclusion, ChainError> {
        let gas = self.gas_for(signer, call)?;
        let account = Arc::clone(self.accounts.lock().entry(signer.address()).or_default());
        let sent = self.hand_over(signer, call, gas, &account)?;
        let receipt = self.wait(signer, &sent);
        account.lock().remove(&sent.nonce);
        let receipt = receipt?;
        if receipt.status.is_zero() {
            // Receipts do not carry the reason: ask again on the state that the block left behind.
            let at = At::Block(receipt.block_number.to());
            return Err(match self.call(signer.address(), call, at) {
                Err(error @ ChainError::Reverted { .. }) => error,
                _ => ChainError::Reverted { data: Bytes::new() },
            });
        }
        self.read_inclusion(receipt)
    }

    pub(super) fn read_inclusion(&self, receipt: wire::Receipt) -> Result<Inclusion, ChainError> {
        let number = receipt.block_number.to();
        let block = self
            .block(number)?
            .filter(|block| block.hash == receipt.block_hash);
        let block = block.ok_or_else(|| ChainError::Malformed {
            reason: format!("a receipt is from block {number}, and that block is another"),
        })?;
        Ok(Inclusion {
            transaction: receipt.transaction_hash,
            block,
            gas_used: receipt.gas_used.to(),
            effective_gas_price: receipt.effective_gas_price.to(),
            created: receipt.contract_address,
            logs: receipt
                .logs
                .into_iter()
                .map(wire::Log::read)
                .collect::<Result<_, _>>()?,
        })
    }

    /// A fifth more than needed now: the state may change before the transaction runs.
    fn gas_for(&self, signer: &dyn TransactionSigner, call: &Call) -> Result<u64, ChainError> {
        let needed = self.estimate_gas(signer.address(), call)?;
        // Not every chain has the cap: what needs more is sent as it is, and the chain decides.
        Ok(needed
            .saturating_add(needed / 5)
            .min(TRANSACTION_GAS_CAP.max(needed)))
    }

    fn fees(&self) -> Result<Fees, ChainError> {
        let newest = self.newest_header()?;
        let Some(base) = newest.base_fee_per_gas else {
            return Ok(Fees::Legacy {
                price: self.client.ask::<U128>("eth_gasPrice", json!([]))?.to(),
            });
        };
        let base: u128 = base.to();
        let priority = match self.client.ask::<U128>("eth_maxPriorityFeePerGas", json!([])) {
            Ok(priority) => priority.to(),
            // Not every node has an opinion on priority; each has one on the price.
            Err(ChainError::Malformed { .. } | ChainError::Rejected { .. }) => self
                .client
                .ask::<U128>("eth_gasPrice", json!([]))?
                .to::<u128>()
                .saturating_sub(base),
            Err(error) => return Err(error),
        };
        // The base fee doubles within six full blocks at most.
        Ok(Fees::Dynamic {
            most: base.saturating_mul(2).saturating_add(priority),
            priority,
        })
    }

    fn sign(
        &self,
        signer: &dyn TransactionSigner,
        call: &Call,
        gas_limit: u64,
        fees: Fees,
        nonce: u64,
    ) -> Result<Sent, ChainError> {
        let to = call.to.map_or(TxKind::Create, TxKind::Call);
        let (chain_id, value, input) = (self.chain_id, call.value, call.data.clone());
        let raw = match fees {
            Fees::Dynamic {
                most: max_fee_per_gas,
                priority: max_priority_fee_per_gas,
            } => encode(
                TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list: Default::default(),
                    input,
                },
                signer,
            )?,
            Fees::Legacy { price: gas_price } => {
                let chain_id = Some(chain_id);
                encode(
                    TxLegacy {
                        chain_id,
                        nonce,
                        gas_price,
                        gas_limit,
                        to,
                        value,
                        input,
                    },
                    signer,
                )?
            }
        };
        Ok(Sent {
            hash: keccak256(&raw),
            raw,
            nonce,
        })
    }

    /// Chooses a nonce, signs and hands over, one transaction of an account at a time.
    fn hand_over(
        &self,
        signer: &dyn TransactionSigner,
        call: &Call,
        gas: u64,
        account: &Account,
    ) -> Result<Sent, ChainError> {
        let mut fees = self.fees()?;
        let mut in_flight = account.lock();
        let mut refusals = 0;
        loop {
            let pending: u64 = self
                .client
                .ask::<U64>("eth_getTransactionCount", json!([signer.address(), "pending"]))?
                .to();
            // The node may not count what we just handed over; and where nothing of ours is in flight, what it counts
            // is right, so that a transaction which was lost leaves no gap that blocks the account for good.
            let nonce = in_flight.last().map_or(pending, |last| pending.max(last + 1));
            let sent = self.sign(signer, call, gas, fees, nonce)?;
            match self.submit(&sent, true) {
                Ok(()) => {
                    in_flight.insert(nonce);
                    return Ok(sent);
                }
                Err(Refused::NonceUsed { reason }) if refusals < self.options.attempts => {
                    // Somebody else sends for this account. The node refused the only attempt: nothing is out there.
                    refusals += 1;
                    if refusals == self.options.attempts {
                        return Err(ChainError::Rejected { reason });
                    }
                    std::thread::sleep(self.options.retry_pause);
                }
                Err(Refused::TypeUnknown) if matches!(fees, Fees::Dynamic { .. }) => {
                    fees = Fees::Legacy {
                        price: self.client.ask::<U128>("eth_gasPrice", json!([]))?.to(),
                    };
                }
                Err(refused) => return Err(refused.into()),
            }
        }
    }

    /// Hands a signed transaction over, again while nobody answers. `Ok` as well where it may or may not have
    /// arrived: then its receipt will tell.
    fn submit(&self, sent: &Sent, first: bool) -> Result<(), Refused> {
        let mut maybe_arrived = !first;
        let mut pause = self.options.retry_pause;
        let mut attempt = 1;
        loop {
            let answer: Result<Value, _> = self.client.ask_once("eth_sendRawTransaction", json!([sent.raw]));
            let error = match answer {
                Ok(_) => return Ok(()),
                Err(error @ ChainError::Unreachable { .. }) => {
                    // Refused connections reached nobody; everything else may have.
                    maybe_arrived |= !is_refused_connection(&error);
                    if attempt < self.options.attempts {
                        attempt += 1;
                        std::thread::sleep(pause);
                        pause *= 2;
                        continue;
                    }
                    return if maybe_arrived {
                        Ok(())
                    } else {
                        Err(Refused::Other(error))
                    };
                }
                Err(error) => error,
            };
            return match error {
                // An answer nobody can read came from somebody who read the question.
                ChainError::Malformed { .. } => Ok(()),
                ChainError::Rejected { reason } => match Words::of(&reason) {
                    Words::AlreadyKnown => Ok(()),
                    _ if maybe_arrived => Ok(()),
                    Words::NonceUsed => Err(Refused::NonceUsed { reason }),
                    Words::TypeUnknown => Err(Refused::TypeUnknown),
                    Words::Other => Err(Refused::Other(ChainError::Rejected { reason })),
                },
                error => Err(Refused::Other(error)),
            };
        }
    }

    /// Waits until a transaction is in the chain as deep as configured.
    fn wait(&self, signer: &dyn TransactionSigner, sent: &Sent) -> Result<wire::Receipt, ChainError> {
        let started = Instant::now();
        let mut looks_without = 0;
        loop {
            match self.receipt(sent.hash) {
                Ok(Some(receipt)) => {
                    looks_without = 0;
                    if self.counts(&receipt)? {
                        return Ok(receipt);
                    }
                }
                Ok(None) => {
                    looks_without += 1;
                    self.recover(signer, sent, &mut looks_without)?;
                }
                // Patience with a node that is away for a while: the transaction is out there.
                Err(ChainError::Unreachable { .. }) => {}
                Err(error) => return Err(error),
            }
            if started.elapsed() >= self.options.inclusion_timeout {
                let seconds = self.options.inclusion_timeout.as_secs();
                return Err(ChainError::TimedOut {
                    transaction: sent.hash,
                    seconds,
                });
            }
            std::thread::sleep(self.options.poll_interval);
        }
    }

    /// Whether a receipt's block is part of the chain and deep enough in it.
    fn counts(&self, receipt: &wire::Receipt) -> Result<bool, ChainError> {
        let number: u64 = receipt.block_number.to();
        let deep = match self.head() {
            Ok(head) => head.number >= number.saturating_add(self.options.confirmations),
            Err(ChainError::Unreachable { .. }) => false,
            Err(error) => return Err(error),
        };
        if !deep {
            return Ok(false);
        }
        match self.block(number) {
            Ok(block) => Ok(block.is_some_and(|block| block.hash == receipt.block_hash)),
            Err(ChainError::Unreachable { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// No receipt: the transaction waits, or was lost, or another one took its place.
    fn recover(
        &self,
        signer: &dyn TransactionSigner,
        sent: &Sent,
        looks_without: &mut u32,
    ) -> Result<(), ChainError> {
        let known: Option<Value> = match self.client.ask("eth_getTransactionByHash", json!([sent.hash])) {
            Err(ChainError::Unreachable { .. }) => return Ok(()),
            known => known?,
        };
        if known.is_some() {
            *looks_without = 0;
            return Ok(());
        }
        let used = match self.nonce(signer.address()) {
            Err(ChainError::Unreachable { .. }) => return Ok(()),
            used => used? > sent.nonce,
        };
        if used {
            if *looks_without >= LOOKS_UNTIL_REPLACED {
                let reason = format!("another transaction of this account took nonce {}", sent.nonce);
                return Err(ChainError::Rejected { reason });
            }
            return Ok(());
        }
        // The same bytes: were the lost one found again, the chain would still include only one.
        self.submit(sent, false).map_err(ChainError::from)
    }
}

fn encode<T>(transaction: T, signer: &dyn TransactionSigner) -> Result<Bytes, ChainError>
where
    T: SignableTransaction<Signature> + RlpEcdsaEncodableTx,
    alloy_consensus::Signed<T>: Encodable2718,
{
    let signature = signer.sign_hash(transaction.signature_hash())?;
    Ok(transaction.into_signed(signature).encoded_2718().into())
}

/// Why a transaction was not taken.
enum Refused {
    NonceUsed { reason: String },
    TypeUnknown,
    Other(ChainError),
}

impl From<Refused> for ChainError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NonceUsed { reason } => Self::Rejected { reason },
            Refused::TypeUnknown => Self::Rejected {
                reason: "transaction type not supported".to_owned(),
            },
            Refused::Other(error) => error,
        }
    }
}

/// What a node's refusal means. There is no standard: these are the words of geth, Erigon, Nethermind, Besu, reth and
/// anvil.
enum Words {
    AlreadyKnown,
    NonceUsed,
    TypeUnknown,
    Other,
}

impl Words {
    fn of(reason: &str) -> Self {
        let reason = reason.to_lowercase();
        let says = |any: &[&str]| any.iter().any(|words| reason.contains(words));
        if says(&[
            "already known",
            "known transaction",
            "alreadyknown",
            "already imported",
            "already exists",
        ]) {
            Self::AlreadyKnown
        } else if says(&[
            "nonce too low",
            "oldnonce",
            "nonce is too low",
            "nonce_too_low",
            "invalid nonce",
            // Another transaction waits at this nonce. Ours are never replaced, so it is somebody else's.
            "replacement transaction underpriced",
        ]) {
            Self::NonceUsed
        } else if says(&[
            "type not supported",
            "invalid transaction type",
            "unsupported transaction type",
        ]) {
            Self::TypeUnknown
        } else {
            Self::Other
        }
    }
}

/// Whether nobody listened: then nobody has heard either.
fn is_refused_connection(error: &ChainError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return io.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    false
}
