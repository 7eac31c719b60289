//! Claims as this project sees them: with the networks it has, and the account it acts for.

use std::{
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use counterweight_chain::{
    keys::LocalKey,
    ledger::{
        ReadOnly,
        disputes::{DisputeContracts, Disputes, Lane, LoggedClaim},
    },
};
use counterweight_inference::{
    Model,
    dispute::{Action, CommittedModel, CommittedTrace, Event, Player, Side, Situation},
};
use counterweight_primitives::UnixSeconds;
use counterweight_provenance::ledger::LedgerError;

use crate::{
    commands::model::inference_verifier,
    error::{CliError, Code},
    inference::{Store, read_row},
    session::{Contracts, Session},
};

/// A network of this project with the trees over its weights.
pub(super) struct Known {
    /// Its name here.
    pub(super) name: String,
    /// With what its numbers mean.
    pub(super) model: Model,
    /// What claims name.
    pub(super) committed: Arc<CommittedModel>,
}

impl Known {
    /// Commits to a network.
    pub(super) fn new(name: String, model: Model) -> Self {
        let committed = Arc::new(CommittedModel::new(model.network().clone()));
        Self {
            name,
            model,
            committed,
        }
    }
}

/// A claim next to our own run.
pub(super) struct Case<'a> {
    /// As it was made.
    pub(super) claim: &'a LoggedClaim,
    /// The network it is about.
    pub(super) known: &'a Known,
    /// What that network gives.
    pub(super) own: Arc<CommittedTrace>,
}

impl Case<'_> {
    /// The first layer that is not as claimed, counted from 0.
    pub(super) fn first_difference(&self) -> Option<usize> {
        self.own.first_difference(&self.claim.roots)
    }
}

/// The dispute contracts of a network.
pub(super) struct Court {
    contracts: Contracts,
    places: DisputeContracts,
    networks: Vec<Known>,
    /// What this project keeps.
    pub(super) store: Store,
    /// Reads them.
    pub(super) reader: Disputes<ReadOnly>,
}

impl Court {
    /// Opens the contracts, and commits to every network of the project.
    ///
    /// # Errors
    /// [`Code::NotDeployed`], those of the chain.
    pub(super) fn open(session: &Session<'_>) -> Result<Self, CliError> {
        let store = Store::of(session.project);
        let known = |name: String| {
            let model = store.model(&name).ok()?;
            Some(Known::new(name, model))
        };
        let networks = store.names().into_iter().filter_map(known).collect();
        Self::with(session, networks)
    }

    /// Opens the contracts for some networks.
    ///
    /// # Errors
    /// [`Code::NotDeployed`], those of the chain.
    pub(super) fn with(session: &Session<'_>, networks: Vec<Known>) -> Result<Self, CliError> {
        let contracts = session.contracts()?;
        let places = DisputeContracts::of(contracts.reader.deployment()).ok_or_else(|| {
            CliError::new(Code::NotDeployed, "no contract decides disputes on this network")
                .why("it was deployed before there were disputes")
                .fix("choose another with --network; see cw explain CW5005")
        })?;
        let reader = Disputes::new(contracts.reader.clone(), places);
        Ok(Self {
            contracts,
            places,
            networks,
            store: Store::of(session.project),
            reader,
        })
    }

    /// The contracts, acting for a key.
    pub(super) fn acting_for(&self, key: &Arc<LocalKey>) -> Disputes {
        Disputes::new(self.contracts.acting_for(key), self.places)
    }

    /// Number of the newest block.
    ///
    /// # Errors
    /// Those of the chain.
    pub(super) fn block(&self) -> Result<u64, CliError> {
        Ok(self.contracts.reader.network().head()?.number)
    }

    /// Whether the verifier has a model with hidden weights.
    ///
    /// # Errors
    /// [`Code::NotDeployed`], those of the chain.
    pub(super) fn has_hidden_model(&self, id: [u8; 32]) -> Result<bool, CliError> {
        inference_verifier(&self.contracts)?;
        self.contracts.reader.is_inference_model(id).map_err(refused)
    }

    /// The newest block's time.
    ///
    /// # Errors
    /// Those of the chain.
    pub(super) fn head(&self) -> Result<UnixSeconds, CliError> {
        Ok(UnixSeconds(self.contracts.reader.network().head()?.timestamp))
    }

    /// What the next block's time will be, about: a chain on which nothing happens makes no blocks.
    ///
    /// # Errors
    /// Those of the chain.
    pub(super) fn now(&self) -> Result<UnixSeconds, CliError> {
        let machine = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Ok(self.head()?.max(UnixSeconds(machine)))
    }

    /// The claim that is meant: six or more of its first digits, or all, with or without `claim:`.
    ///
    /// # Errors
    /// [`Code::BadValue`], [`Code::UnknownName`], [`Code::Ambiguous`].
    pub(super) fn find(&self, text: &str) -> Result<LoggedClaim, CliError> {
        let digits = text.strip_prefix("claim:").unwrap_or(text);
        let digits = digits.strip_prefix("0x").unwrap_or(digits).to_ascii_lowercase();
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || !(6..=64).contains(&digits.len()) {
            return Err(
                CliError::new(Code::BadValue, format!("\"{text}\" names no claim"))
                    .why("a claim is named by six or more hexadecimal digits of its id")
                    .fix("cw dispute list"),
            );
        }
        let mut fitting = self.reader.claims(None).map_err(refused)?;
        fitting.retain(|claim| hex::encode(claim.id).starts_with(&digits));
        match fitting.pop() {
            None => Err(
                CliError::new(Code::UnknownName, format!("there is no claim {text}")).fix("cw dispute list"),
            ),
            Some(claim) if fitting.is_empty() => Ok(claim),
            Some(claim) => {
                fitting.push(claim);
                let fits: Vec<String> = fitting.iter().map(claim_name).collect();
                Err(
                    CliError::new(Code::Ambiguous, format!("{text} fits several claims"))
                        .fact("fits", fits.join(", "))
                        .fix("give more digits"),
                )
            }
        }
    }

    /// The network a claim is about.
    ///
    /// # Errors
    /// [`Code::NetworkMissing`].
    pub(super) fn network_of(&self, claim: &LoggedClaim) -> Result<&Known, CliError> {
        if claim.lane() != Lane::Open {
            return Err(CliError::new(
                Code::NetworkMissing,
                format!("the weights of {} are hidden", claim_name(claim)),
            )
            .why("nobody but its claimant can recompute it; challenged, it is proven or lost")
            .fix(format!(
                "cw dispute open {} asks for the proof",
                claim_name(claim)
            )));
        }
        let about = claim.model();
        let mut networks = self.networks.iter();
        networks
            .find(|known| known.committed.id().0 == about)
            .ok_or_else(|| {
                CliError::new(
                    Code::NetworkMissing,
                    format!("the network of {} is not in this project", claim_name(claim)),
                )
                .fact("open model", model_name(&about))
                .fix("get it from the claimant, see cw explain CW4202")
            })
    }

    /// Runs a claim's network on its input.
    ///
    /// # Errors
    /// [`Code::NetworkMissing`], [`Code::InputMissing`], [`Code::InputUnfit`].
    pub(super) fn recompute<'a>(
        &'a self,
        claim: &'a LoggedClaim,
        row: Option<&Path>,
    ) -> Result<Case<'a>, CliError> {
        let known = self.network_of(claim)?;
        let input: Vec<i8> = match row {
            Some(file) => read_row(file, known.model.card())?.values,
            None if claim.input.is_empty() => {
                return Err(CliError::new(
                    Code::InputMissing,
                    format!("the input of {} is not on the chain", claim_name(claim)),
                )
                .fix("add --input FILE with the row"));
            }
            None => claim.input.iter().map(|byte| byte.cast_signed()).collect(),
        };
        let unfit = |why: String| {
            CliError::new(
                Code::InputUnfit,
                format!("this is not the row of {}", claim_name(claim)),
            )
            .why(why)
            .fix("give the row that the claimant answered")
        };
        let own = known
            .committed
            .trace(&input)
            .map_err(|error| unfit(error.to_string()))?;
        if own.roots().first() != claim.roots.first() {
            return Err(unfit(
                "its bytes have another root than the claim's input".to_owned(),
            ));
        }
        Ok(Case {
            claim,
            known,
            own: Arc::new(own),
        })
    }

    /// Where a challenge stands, and what one side does now.
    ///
    /// # Errors
    /// Those of the chain.
    pub(super) fn action(
        &self,
        case: &Case<'_>,
        side: Side,
        index: u64,
        now: UnixSeconds,
    ) -> Result<(Option<Situation>, Action), CliError> {
        let mut player = Player::new(
            side,
            Arc::clone(&case.known.committed),
            Arc::clone(&case.own),
            case.claim.roots.clone(),
        );
        let (mut situation, mut action) = (None, Action::Done);
        for event in self.reader.history(case.claim.id, index).map_err(refused)? {
            if let Event::Due(due) = &event {
                situation = Some(*due);
            }
            (player, action) = player.step(event, now);
        }
        Ok((situation, action))
    }
}

/// A claim as it is printed: its first digits, which can be pasted back.
pub(super) fn claim_name(claim: &LoggedClaim) -> String {
    format!("claim:{}", &hex::encode(claim.id)[..12])
}

/// A claim's whole id. The name in front keeps it from looking like a private key.
pub(super) fn claim_id(claim: &LoggedClaim) -> String {
    format!("claim:{}", hex::encode(claim.id))
}

/// A model's id.
pub(super) fn model_name(id: &[u8; 32]) -> String {
    format!("0x{}", hex::encode(id))
}

/// What the contract refused, in the words of a dispute.
pub(super) fn refused(error: LedgerError) -> CliError {
    match &error {
        LedgerError::Refused { name, reason } if name == "TooLate" => {
            CliError::new(Code::TooLate, "the clock of this move has run out")
                .fact("contract", reason)
                .why("deadlines go by the chain's clock")
                .fix("cw dispute show CLAIM says where it stands")
        }
        LedgerError::Refused { name, reason } => {
            CliError::new(Code::ContractRefuses, format!("the contract refuses: {name}"))
                .fact("contract", reason)
                .fix("cw dispute show CLAIM says where it stands")
        }
        _ => error.into(),
    }
}
