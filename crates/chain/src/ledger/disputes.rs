//! Claims about inferences and games over them, kept by `OpenModels` and `InferenceDispute`.
//!
//! [`Disputes`] is one account's view of both contracts. What happened in a challenge is read from events and told to a
//! [`Player`](counterweight_inference::dispute::Player), whose moves [`Disputes::make`] sends. Format: docs/spec/dispute.md.

mod moves;
mod sealed;

use std::sync::Arc;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_sol_types::SolEvent;
use counterweight_inference::dispute::{
    CommittedModel, CommittedTrace, Event, Phase, Root, Situation, Target,
};
use counterweight_primitives::{Address, Amount, UnixSeconds};
use counterweight_provenance::ledger::LedgerError;

use super::{ContractLedger, Failure, decode, is, topic};
use crate::address::{from_evm, to_evm};
use crate::contracts::{IInferenceDispute, IOpenModels};
use crate::deploy::Deployment;
use crate::network::{EventLog, Inclusion};

pub use sealed::HiddenInput;

/// Where the contracts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisputeContracts {
    /// `OpenModels`.
    pub open_models: Address,
    /// `InferenceDispute`.
    pub dispute: Address,
}

impl DisputeContracts {
    /// Where a deployment has them, if it does.
    #[must_use]
    pub fn of(deployment: &Deployment) -> Option<Self> {
        Some(Self {
            open_models: deployment.open_models?,
            dispute: deployment.inference_dispute?,
        })
    }
}

/// What a claim is staked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Seconds from the claim in which it may be challenged.
    pub window_seconds: u32,
    /// Seconds for each move.
    pub response_seconds: u32,
    /// Millionths of a lost bond that are burnt, from 250,000 to 500,000.
    pub burnt_ppm: u32,
    /// Millionths of claims that must be proven unchallenged; 0 with public weights.
    pub audit_ppm: u32,
    /// Wei the claimant stakes.
    pub claim_bond_wei: u128,
    /// Wei each challenger stakes.
    pub challenge_bond_wei: u128,
}

/// How a claim can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Weights are public: anyone recomputes it, and the contract one element of it.
    Open,
    /// Weights are hidden: challenged, it is proven or lost.
    Sealed,
    /// As [`Lane::Sealed`], and the input is hidden too.
    Private,
}

/// Where a claim stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimStatus {
    /// No such claim.
    Unknown,
    /// It may still be challenged, or is.
    Pending,
    /// It stands.
    Accepted,
    /// It was wrong, or its claimant was silent.
    Rejected,
}

/// A claim as it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedClaim {
    /// Its id.
    pub id: [u8; 32],
    /// Who made it.
    pub claimant: Address,
    /// When.
    pub made_at: UnixSeconds,
    /// What it is made for.
    pub context: [u8; 32],
    /// Root of each node; empty where weights are hidden.
    pub roots: Vec<Root>,
    /// The input's bytes, empty where they were not given.
    pub input: Vec<u8>,
    /// The output's bytes.
    pub output: Vec<u8>,
    claim: IInferenceDispute::Claim,
}

impl LoggedClaim {
    /// Last second in which it may be challenged.
    #[must_use]
    pub fn window_ends(&self) -> UnixSeconds {
        UnixSeconds(self.made_at.0.saturating_add(u64::from(self.claim.terms.window)))
    }

    /// How it can be checked.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self.claim.lane {
            IInferenceDispute::Lane::Sealed => Lane::Sealed,
            IInferenceDispute::Lane::Private => Lane::Private,
            // Values past the last do not decode.
            _ => Lane::Open,
        }
    }

    /// Root of the input's tree; of a private input, the hash of its commitment.
    #[must_use]
    pub fn input_commitment(&self) -> [u8; 32] {
        self.claim.input.0
    }

    /// Millionths of such claims that are audited.
    #[must_use]
    pub fn audit_ppm(&self) -> u32 {
        self.claim.terms.auditPpm
    }

    /// First block in which lots can be drawn over it.
    #[must_use]
    pub fn lots_from(&self) -> u64 {
        self.claim.madeIn.saturating_add(3)
    }

    /// Id of the model it is about.
    #[must_use]
    pub fn model(&self) -> [u8; 32] {
        self.claim.model.0
    }

    /// Wei that its claimant stakes.
    #[must_use]
    pub fn claim_bond_wei(&self) -> u128 {
        self.claim.terms.claimBond.to()
    }

    /// Wei that a challenger stakes.
    #[must_use]
    pub fn challenge_bond_wei(&self) -> u128 {
        self.claim.terms.challengeBond.to()
    }
}

/// How a challenge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeEnd {
    /// The claim was wrong, or its claimant was silent.
    ChallengerWon,
    /// The challenger showed nothing in time.
    ClaimantWon,
    /// Another challenge ended the claim.
    Returned,
}

/// The contracts, as one account uses them.
#[derive(Clone)]
pub struct Disputes<S = Arc<dyn crate::network::TransactionSigner>> {
    ledger: ContractLedger<S>,
    contracts: DisputeContracts,
}

impl<S> Disputes<S> {
    /// Uses the contracts at these addresses.
    #[must_use]
    pub fn new(ledger: ContractLedger<S>, contracts: DisputeContracts) -> Self {
        Self { ledger, contracts }
    }

    /// Whether a model was registered.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    pub fn is_registered(&self, model: [u8; 32]) -> Result<bool, LedgerError> {
        let call = IOpenModels::modelOfCall { model: model.into() };
        Ok(self.ledger.ask(self.contracts.open_models, &call)?.layers != 0)
    }

    /// Where a claim stands.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn status(&self, id: [u8; 32]) -> Result<ClaimStatus, LedgerError> {
        let call = IInferenceDispute::statusOfCall { id: id.into() };
        Ok(match self.ledger.ask(self.contracts.dispute, &call)? {
            IInferenceDispute::Status::Pending => ClaimStatus::Pending,
            IInferenceDispute::Status::Accepted => ClaimStatus::Accepted,
            IInferenceDispute::Status::Rejected => ClaimStatus::Rejected,
            _ => ClaimStatus::Unknown,
        })
    }

    /// Wei that an account may withdraw; all of 2^128 - 1 where it is more.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn credit_wei(&self, account: Address) -> Result<u128, LedgerError> {
        let call = IInferenceDispute::creditOfCall {
            account: to_evm(account),
        };
        Ok(self.ledger.ask(self.contracts.dispute, &call)?.saturating_to())
    }

    /// Wei burnt so far; all of 2^128 - 1 where it is more.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn burnt_wei(&self) -> Result<u128, LedgerError> {
        let call = IInferenceDispute::burntCall {};
        Ok(self.ledger.ask(self.contracts.dispute, &call)?.saturating_to())
    }

    /// Every claim, in order; with `id`, that one.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn claims(&self, id: Option<[u8; 32]>) -> Result<Vec<LoggedClaim>, LedgerError> {
        let signatures = [IInferenceDispute::ClaimMade::SIGNATURE_HASH];
        let logs = self
            .ledger
            .events(self.contracts.dispute, &signatures, id.map(B256::from))?;
        let read = |log: &EventLog| decode(log).map(from_event);
        Ok(logs.iter().map(read).collect::<Result<_, Failure>>()?)
    }

    /// What a claim's challengers were: number and account; nobody for an audit.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn challenges(&self, id: [u8; 32]) -> Result<Vec<(u64, Address)>, LedgerError> {
        let signatures = [IInferenceDispute::ChallengeOpened::SIGNATURE_HASH];
        let logs = self
            .ledger
            .events(self.contracts.dispute, &signatures, Some(id.into()))?;
        let read = |log: &EventLog| {
            let event: IInferenceDispute::ChallengeOpened = decode(log)?;
            Ok((event.index.saturating_to(), from_evm(event.challenger)))
        };
        Ok(logs.iter().map(read).collect::<Result<_, Failure>>()?)
    }

    /// How a challenge ended, if it did.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn end(&self, id: [u8; 32], index: u64) -> Result<Option<ChallengeEnd>, LedgerError> {
        let call = IInferenceDispute::challengeOfCall {
            id: id.into(),
            index: U256::from(index),
        };
        Ok(match self.ledger.ask(self.contracts.dispute, &call)?.phase {
            IInferenceDispute::Phase::ChallengerWon => Some(ChallengeEnd::ChallengerWon),
            IInferenceDispute::Phase::ClaimantWon => Some(ChallengeEnd::ClaimantWon),
            IInferenceDispute::Phase::Returned => Some(ChallengeEnd::Returned),
            _ => None,
        })
    }

    /// Last second of the move that is due in a challenge, or was when it ended.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn deadline(&self, id: [u8; 32], index: u64) -> Result<UnixSeconds, LedgerError> {
        let call = IInferenceDispute::challengeOfCall {
            id: id.into(),
            index: U256::from(index),
        };
        Ok(UnixSeconds(
            self.ledger.ask(self.contracts.dispute, &call)?.deadline,
        ))
    }

    /// What happened in a challenge with public weights, as a player is told it.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn history(&self, id: [u8; 32], index: u64) -> Result<Vec<Event>, LedgerError> {
        let logs = self.ledger.logs(
            self.contracts.dispute,
            vec![
                vec![
                    IInferenceDispute::MoveDue::SIGNATURE_HASH,
                    IInferenceDispute::BytesShown::SIGNATURE_HASH,
                    IInferenceDispute::LayerSplit::SIGNATURE_HASH,
                    IInferenceDispute::ElementPointed::SIGNATURE_HASH,
                    IInferenceDispute::SumsGiven::SIGNATURE_HASH,
                    IInferenceDispute::ChallengeEnded::SIGNATURE_HASH,
                ],
                vec![id.into()],
                vec![topic(index)],
            ],
        )?;
        Ok(logs.iter().map(told).collect::<Result<_, Failure>>()?)
    }
}

fn from_event(event: IInferenceDispute::ClaimMade) -> LoggedClaim {
    LoggedClaim {
        id: event.id.0,
        claimant: from_evm(event.claimant),
        made_at: UnixSeconds(event.claim.madeAt),
        context: event.claim.context.0,
        roots: event.roots.iter().map(|root| Root(root.0)).collect(),
        input: event.input.to_vec(),
        output: event.output.to_vec(),
        claim: event.claim,
    }
}

fn told(log: &EventLog) -> Result<Event, Failure> {
    if is::<IInferenceDispute::BytesShown>(log) {
        let event: IInferenceDispute::BytesShown = decode(log)?;
        return Ok(Event::Shown(event.data.to_vec()));
    }
    if is::<IInferenceDispute::LayerSplit>(log) {
        let event: IInferenceDispute::LayerSplit = decode(log)?;
        return Ok(Event::Split(event.tops.iter().map(|top| top.0).collect()));
    }
    if is::<IInferenceDispute::ElementPointed>(log) {
        let event: IInferenceDispute::ElementPointed = decode(log)?;
        return Ok(Event::Pointed(event.element.saturating_to()));
    }
    if is::<IInferenceDispute::SumsGiven>(log) {
        let event: IInferenceDispute::SumsGiven = decode(log)?;
        return Ok(Event::Summed(event.sums));
    }
    if is::<IInferenceDispute::ChallengeEnded>(log) {
        return Ok(Event::Ended);
    }
    let event: IInferenceDispute::MoveDue = decode(log)?;
    let phase = match event.phase {
        IInferenceDispute::Phase::Publish => Phase::Publish,
        IInferenceDispute::Phase::Name => Phase::Name,
        IInferenceDispute::Phase::Split => Phase::Split,
        IInferenceDispute::Phase::Pick => Phase::Pick,
        IInferenceDispute::Phase::Reveal => Phase::Reveal,
        IInferenceDispute::Phase::Point => Phase::Point,
        IInferenceDispute::Phase::Sum => Phase::Sum,
        IInferenceDispute::Phase::Tile => Phase::Tile,
        _ => return Err(Failure::malformed("a move is due that no player makes")),
    };
    let target = match event.layer {
        u8::MAX => Target::Input,
        layer => Target::Layer(usize::from(layer)),
    };
    Ok(Event::Due(Situation {
        phase,
        deadline: UnixSeconds(event.deadline),
        target,
        part: usize::from(event.part),
    }))
}

impl Disputes {
    /// The account it acts for.
    #[must_use]
    pub fn account(&self) -> Address {
        self.ledger.account()
    }

    /// Registers a model with public weights; again is without effect.
    ///
    /// # Errors
    /// [`LedgerError`]; so for all below.
    pub fn register(&self, model: &CommittedModel) -> Result<[u8; 32], LedgerError> {
        let call = IOpenModels::registerCall {
            architecture: model.architecture().to_vec().into(),
            weightRoots: words(&model.weight_roots()),
        };
        self.ledger.send(self.contracts.open_models, &call)?;
        Ok(model.id().0)
    }

    /// Claims that a model's run is `trace`, with the bond of the terms. The input's bytes go along if `with_input`.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn claim(
        &self,
        model: &CommittedModel,
        trace: &CommittedTrace,
        context: [u8; 32],
        terms: Terms,
        with_input: bool,
    ) -> Result<LoggedClaim, LedgerError> {
        let input = trace
            .node(counterweight_primitives::architecture::Node(0))
            .filter(|_| with_input)
            .map(|tree| Bytes::copy_from_slice(tree.data()))
            .unwrap_or_default();
        let call = IInferenceDispute::claimOpenCall {
            model: model.id().0.into(),
            context: context.into(),
            terms: to_terms(terms)?,
            roots: words(&trace.roots()),
            input,
            output: trace.output().to_vec().into(),
        };
        let bond = Amount(terms.claim_bond_wei);
        let inclusion = self.ledger.send_value(self.contracts.dispute, &call, bond)?;
        Ok(from_event(self.logged(&inclusion)?))
    }

    /// Accepts a claim whose window has passed.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn finalise(&self, claim: &LoggedClaim) -> Result<(), LedgerError> {
        let call = IInferenceDispute::finaliseCall {
            claim: claim.claim.clone(),
        };
        self.ledger.send(self.contracts.dispute, &call)?;
        Ok(())
    }

    /// Pays what this account is owed, to itself.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn withdraw(&self) -> Result<(), LedgerError> {
        let to = to_evm(self.account());
        self.ledger
            .send(self.contracts.dispute, &IInferenceDispute::withdrawCall { to })?;
        Ok(())
    }

    /// The one event of this kind that the dispute contract logged.
    fn logged<E: SolEvent>(&self, inclusion: &Inclusion) -> Result<E, Failure> {
        let contract = to_evm(self.contracts.dispute);
        let own = |log: &&EventLog| log.address == contract && is::<E>(log);
        let log = inclusion.logs.iter().find(own);
        decode(log.ok_or_else(|| Failure::malformed(format!("no {} was logged", E::SIGNATURE)))?)
    }
}

fn words(roots: &[Root]) -> Vec<B256> {
    roots.iter().map(|root| B256::from(root.0)).collect()
}

fn to_terms(terms: Terms) -> Result<IInferenceDispute::Terms, Failure> {
    let bond = |wei: u128| {
        alloy_primitives::Uint::<96, 2>::try_from(wei)
            .map_err(|_| Failure::malformed(format!("a bond of {wei} wei does not fit 96 bits")))
    };
    Ok(IInferenceDispute::Terms {
        window: terms.window_seconds,
        response: terms.response_seconds,
        burntPpm: terms.burnt_ppm,
        auditPpm: terms.audit_ppm,
        claimBond: bond(terms.claim_bond_wei)?,
        challengeBond: bond(terms.challenge_bond_wei)?,
    })
}

/// What a claim for a job is made for: the same hash as an evaluator's `contextOf`.
#[must_use]
pub fn job_context(chain_id: u64, evaluator: Address, jobs: Address, job: u128) -> [u8; 32] {
    let mut words = Vec::with_capacity(160);
    words.extend_from_slice(&keccak256("counterweight/inference/job/v1").0);
    words.extend_from_slice(&U256::from(chain_id).to_be_bytes::<32>());
    for address in [evaluator, jobs] {
        words.extend_from_slice(&to_evm(address).into_word().0);
    }
    words.extend_from_slice(&U256::from(job).to_be_bytes::<32>());
    keccak256(words).0
}
