//! The ledgers of the domain crates, kept by the contracts.
//!
//! [`ContractLedger`] implements `federated::ledger` on `TrainingRounds`, `MaskedRounds` and `MemberStanding`, and `provenance::ledger` on
//! `AssetRegistry`, `ConsentRegistry`, `RoyaltyVault` and `LogAnchor`, over any [`Network`]. Histories are read from
//! events alone, so that whoever has the chain's logs can rebuild them.

mod anchors;
mod assets;
mod bond;
mod consent;
pub mod disputes;
mod failure;
mod inference;
mod masking;
mod receipts;
mod refusal;
mod royalties;
mod standing;
mod studies;
mod sums;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{B256, U256};
use alloy_sol_types::{SolCall, SolEvent};
use counterweight_primitives::{Address, Amount, UnixSeconds};

pub use bond::{BondFate, SumBond};
pub use inference::{InferenceCheck, RegisteredModel};
pub use receipts::{LoggedDispute, ReceiptBond, ReceiptDispute, ReceiptState};
pub use refusal::Refusal;
pub use studies::{CollectionPublication, ModelPublication};
pub use sums::{BlockDemand, SumRefuted};
pub use tokens::TokenDescription;

use crate::address::{from_evm, to_evm};
use crate::deploy::Deployment;
use crate::network::{At, Call, ChainError, EventLog, Inclusion, LogQuery, Network, TransactionSigner};
use failure::Failure;

/// In the place of a signer where nothing is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOnly;

/// The contracts of one deployment on one chain, acting for the account of a signer.
#[derive(Clone)]
pub struct ContractLedger<S = Arc<dyn TransactionSigner>> {
    network: Arc<dyn Network>,
    deployment: Deployment,
    signer: S,
}

/// The contracts of one deployment, read by nobody in particular.
pub type ContractReader = ContractLedger<ReadOnly>;

impl ContractReader {
    /// Reads the contracts of `deployment`, which the caller has checked ([`Deployment::check`]).
    #[must_use]
    pub fn read_only(network: Arc<dyn Network>, deployment: Deployment) -> Self {
        Self {
            network,
            deployment,
            signer: ReadOnly,
        }
    }

    /// Reads the assets of a registry that no deployment is on record for: somebody named it, and what it answers is worth as much
    /// as the trust in whoever did. Everything but assets is refused, as nothing answers at address 0.
    #[must_use]
    pub fn of_registry(network: Arc<dyn Network>, registry: Address) -> Self {
        let nowhere = Address([0; 20]);
        let deployment = Deployment {
            chain_id: network.chain_id(),
            block: 0,
            timelock: nowhere,
            asset_registry: registry,
            asset_registry_implementation: nowhere,
            consent_registry: nowhere,
            consent_registry_implementation: nowhere,
            training_rounds: nowhere,
            royalty_vault: nowhere,
            log_anchor: nowhere,
            architecture_planner: None,
            inference_verifier: None,
            open_models: None,
            inference_dispute: None,
            proof_evaluator: None,
            optimistic_evaluator: None,
            erc7992_adapter: None,
            decision_receipts: None,
            masked_rounds: None,
            member_standing: None,
            development_token: None,
        };
        Self::read_only(network, deployment)
    }
}

impl ContractLedger {
    /// Acts for the account of `signer` on `deployment`, which the caller has checked ([`Deployment::check`]).
    #[must_use]
    pub fn new(
        network: Arc<dyn Network>,
        deployment: Deployment,
        signer: Arc<dyn TransactionSigner>,
    ) -> Self {
        Self {
            network,
            deployment,
            signer,
        }
    }

    /// The account it acts for.
    #[must_use]
    pub fn account(&self) -> Address {
        from_evm(self.signer.address())
    }

    /// Sends a call and waits until it is included for good.
    fn send<C: SolCall>(&self, contract: Address, call: &C) -> Result<Inclusion, Failure> {
        self.send_value(contract, call, Amount(0))
    }

    /// Sends a call and wei with it.
    fn send_value<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        value: Amount,
    ) -> Result<Inclusion, Failure> {
        let call = Call {
            to: Some(to_evm(contract)),
            data: call.abi_encode().into(),
            value: U256::from(value.0),
        };
        Ok(self.network.transact(&*self.signer, &call)?)
    }

    /// Sends a call that must log `E`, and gives the event.
    fn send_for<C: SolCall, E: SolEvent>(&self, contract: Address, call: &C) -> Result<E, Failure> {
        let inclusion = self.send(contract, call)?;
        let log = inclusion
            .logs
            .iter()
            .find(|log| log.address == to_evm(contract) && log.topics.first() == Some(&E::SIGNATURE_HASH))
            .ok_or_else(|| Failure::malformed(format!("{} logged no {}", C::SIGNATURE, E::SIGNATURE)))?;
        decode(log)
    }
}

impl<S> ContractLedger<S> {
    /// The chain.
    #[must_use]
    pub fn network(&self) -> &Arc<dyn Network> {
        &self.network
    }

    /// Where the contracts are.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The same contracts, acting for another account.
    #[must_use]
    pub fn acting_for(&self, signer: Arc<dyn TransactionSigner>) -> ContractLedger {
        ContractLedger::new(Arc::clone(&self.network), self.deployment.clone(), signer)
    }

    /// Asks a contract about the newest state.
    fn ask<C: SolCall>(&self, contract: Address, call: &C) -> Result<C::Return, Failure> {
        let request = Call {
            to: Some(to_evm(contract)),
            data: call.abi_encode().into(),
            value: U256::ZERO,
        };
        let answer = self
            .network
            .call(alloy_primitives::Address::ZERO, &request, At::Latest)?;
        // A call to an account without code succeeds and returns nothing.
        if answer.is_empty() {
            return Err(Failure::malformed(format!(
                "no contract at {contract} answers {}",
                C::SIGNATURE
            )));
        }
        C::abi_decode_returns_validate(&answer)
            .map_err(|e| Failure::malformed(format!("answer to {}: {e}", C::SIGNATURE)))
    }

    /// Events of a contract since it was deployed: any of `signatures`, with `subject` as first indexed value.
    fn events(
        &self,
        contract: Address,
        signatures: &[B256],
        subject: Option<B256>,
    ) -> Result<Vec<EventLog>, Failure> {
        let mut topics = vec![signatures.to_vec()];
        topics.extend(subject.map(|value| vec![value]));
        self.logs(contract, topics)
    }

    /// Events since the deployment, asked for in halves where a chain says there are too many.
    fn logs(&self, contract: Address, topics: Vec<Vec<B256>>) -> Result<Vec<EventLog>, Failure> {
        let address = Some(to_evm(contract));
        let newest = self.network.head()?.number;
        let mut logs = Vec::new();
        let mut ranges = vec![(self.deployment.block, newest)];
        while let Some((from, to)) = ranges.pop() {
            let query = LogQuery {
                address,
                topics: topics.clone(),
                from,
                to: Some(to),
            };
            match self.network.logs(&query) {
                Ok(more) => logs.extend(more),
                Err(ChainError::Rejected { .. }) if from < to => {
                    let middle = from + (to - from) / 2;
                    ranges.push((middle + 1, to));
                    ranges.push((from, middle));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(logs)
    }

    fn times(&self) -> BlockTimes<'_> {
        BlockTimes {
            network: &*self.network,
            known: BTreeMap::new(),
        }
    }
}

/// Times of blocks, each asked for once.
struct BlockTimes<'a> {
    network: &'a dyn Network,
    known: BTreeMap<u64, UnixSeconds>,
}

impl BlockTimes<'_> {
    fn of(&mut self, log: &EventLog) -> Result<UnixSeconds, Failure> {
        if let Some(time) = self.known.get(&log.block) {
            return Ok(*time);
        }
        let block = self
            .network
            .block(log.block)?
            .ok_or_else(|| Failure::malformed(format!("block {} has events and is not there", log.block)))?;
        let time = UnixSeconds(block.timestamp);
        self.known.insert(log.block, time);
        Ok(time)
    }
}

fn is<E: SolEvent>(log: &EventLog) -> bool {
    log.topics.first() == Some(&E::SIGNATURE_HASH)
}

fn decode<E: SolEvent>(log: &EventLog) -> Result<E, Failure> {
    E::decode_raw_log_validate(log.topics.iter().copied(), &log.data)
        .map_err(|e| Failure::malformed(format!("event {} in block {}: {e}", E::SIGNATURE, log.block)))
}

fn topic(number: u64) -> B256 {
    U256::from(number).into()
}
