//! What a command works with: a chain, the contracts on it, keys, blobs.

mod assets;
mod choice;
mod keyring;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use counterweight_chain::{
    deploy::{DeployOptions, Deployment, deploy},
    embedded::{Config, DEVELOPMENT_CHAIN_ID, EmbeddedChain, EmbeddedError, Genesis},
    keys::LocalKey,
    ledger::{ContractLedger, ContractReader, TokenDescription},
    network::Network,
    remote::{RemoteChain, RemoteOptions},
    rpc::{self, RunningServer},
};
use counterweight_primitives::{Address, AssetId};
use counterweight_provenance::{blobs::BlobStore, ledger::AssetReader as _};

pub(crate) use assets::{Asset, Assets};
pub(crate) use choice::{Chosen, choose, known_networks};
pub(crate) use keyring::{Keyring, development_name};

use crate::{
    commands::Context,
    error::{CliError, Code},
    inference::ceremony_tau,
    metrics::StudyMetrics,
    project::{Folders, Project},
};

/// How long a chain is waited for unless `--timeout` says otherwise.
const PATIENCE: Duration = Duration::from_secs(120);

/// A project with a chain under it.
pub(crate) struct Session<'a> {
    /// The project.
    pub(crate) project: &'a Project,
    /// Its folders.
    pub(crate) folders: Folders,
    /// The network, by the name its files go by.
    pub(crate) chosen: Chosen,
    /// The chain.
    pub(crate) network: Arc<dyn Network>,
    /// The chain itself where it runs in this process.
    pub(crate) embedded: Option<EmbeddedChain>,
    /// Content-addressed bytes.
    pub(crate) blobs: Arc<BlobStore>,
    /// Keys that were opened.
    pub(crate) keys: Keyring,
    /// Who watches, where that was asked for.
    pub(crate) metrics: Option<Arc<StudyMetrics>>,
}

/// Contracts, and the token that budgets are in.
pub(crate) struct Contracts {
    /// Reads them.
    pub(crate) reader: ContractReader,
    /// ERC-20 of budgets and bonds.
    pub(crate) token: Address,
    /// What it says of itself.
    pub(crate) money: TokenDescription,
}

impl<'a> Session<'a> {
    /// Opens the project's chain, beginning it where it is the embedded one and there is none yet.
    ///
    /// # Errors
    /// [`Code::ChainSilent`], [`Code::WrongChain`], [`Code::ProjectBusy`], [`Code::ChainDamaged`],
    /// [`Code::UnknownName`].
    pub(crate) fn begin(project: &'a Project, context: &Context) -> Result<Self, CliError> {
        let folders = project.folders();
        folders.create()?;
        Self::connect(project, folders, context)
    }

    /// Opens the project's chain where there is one.
    ///
    /// # Errors
    /// As [`Session::begin`], and [`Code::NothingYet`] where the embedded chain was never begun.
    pub(crate) fn open(project: &'a Project, context: &Context) -> Result<Self, CliError> {
        let folders = project.folders();
        let chosen = choose(&context.global, Some(project))?;
        if chosen.endpoint.is_none() && !folders.chain().exists() {
            return Err(CliError::new(Code::NothingYet, "this project has no chain yet")
                .why("the first training run begins it")
                .fix("cw train"));
        }
        Self::connect(project, folders, context)
    }

    fn connect(project: &'a Project, folders: Folders, context: &Context) -> Result<Self, CliError> {
        let chosen = choose(&context.global, Some(project))?;
        let (network, embedded) = open_chain(&chosen, &folders.chain(), context)?;
        let blobs = BlobStore::open(folders.blobs())?;
        let keys = Keyring::new(network.chain_id());
        Ok(Self {
            project,
            folders,
            chosen,
            network,
            embedded,
            blobs: Arc::new(blobs),
            keys,
            metrics: None,
        })
    }

    /// Where the contracts are, if they are on this network: as configured, as recorded here, or as recorded for
    /// another name of the same chain.
    ///
    /// # Errors
    /// [`Code::NotDeployed`] where the record is of other code, [`Code::FileUnreadable`].
    pub(crate) fn deployment(&self) -> Result<Option<Deployment>, CliError> {
        if let Some(file) = &self.chosen.entry.deployment {
            let deployment = Deployment::load(&self.project.resolve(file))?;
            deployment.check(&*self.network)?;
            return Ok(Some(deployment));
        }
        let own = self.folders.deployment(&self.chosen.name);
        if own.exists() {
            let deployment = Deployment::load(&own)?;
            deployment.check(&*self.network)?;
            return Ok(Some(deployment));
        }
        // A member that reaches the coordinator's embedded chain over JSON-RPC knows it under another name.
        let folder = own.parent().map(PathBuf::from).unwrap_or_default();
        let others = std::fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let mut others: Vec<PathBuf> = others.map(|entry| entry.path()).collect();
        others.sort();
        Ok(others
            .iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter_map(|path| Deployment::load(path).ok())
            .find(|deployment| deployment.check(&*self.network).is_ok()))
    }

    /// The contracts.
    ///
    /// # Errors
    /// [`Code::NothingYet`] where they are not there, and as [`Session::deployment`].
    pub(crate) fn contracts(&self) -> Result<Contracts, CliError> {
        match self.deployment()? {
            Some(deployment) => self.with(deployment),
            None => Err(CliError::new(
                Code::NotDeployed,
                format!("our contracts are not on the network \"{}\"", self.chosen.name),
            )
            .why("no deployment is on record for it")
            .fix(format!(
                "cw train --network {}, which deploys them",
                self.chosen.name
            ))),
        }
    }

    /// The contracts, deployed first where they are missing: by `signer`, or the first account of a development
    /// chain.
    ///
    /// # Errors
    /// Those of the chain and the contracts.
    pub(crate) fn deploy(&self, signer: &LocalKey) -> Result<Contracts, CliError> {
        if let Some(deployment) = self.deployment()? {
            return self.with(deployment);
        }
        let file = self.folders.deployment(&self.chosen.name);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                CliError::new(
                    Code::FileUnreadable,
                    format!("{} cannot be made", folder.display()),
                )
                .fact("system", error.to_string())
                .fix("check the folder's permissions and the disk's free space")
            })?;
        }
        let first = if self.is_development() {
            Some(self.keys.development(0)?)
        } else {
            None
        };
        let signer = first.as_deref().unwrap_or(signer);
        let mut options = DeployOptions::default();
        if !self.is_development() {
            // The contract checks proofs under one set-up: the one that was chosen here.
            options.inference_set_up = ceremony_tau().map(Box::new);
        }
        let deployment = deploy(&*self.network, signer, &options, &file)?;
        self.with(deployment)
    }

    fn with(&self, deployment: Deployment) -> Result<Contracts, CliError> {
        let token = self
            .chosen
            .entry
            .token
            .or(deployment.development_token)
            .ok_or_else(|| {
                CliError::new(
                    Code::BadValue,
                    format!("the network \"{}\" names no token", self.chosen.name),
                )
                .why("only development chains have a token of their own")
                .fix(format!("add token = \"0x…\" to [network.{}]", self.chosen.name))
            })?;
        let reader = ContractReader::read_only(Arc::clone(&self.network), deployment);
        let money = reader.token(token)?;
        Ok(Contracts { reader, token, money })
    }

    /// Whether this is a development chain, where the development accounts and tokens may be used.
    pub(crate) fn is_development(&self) -> bool {
        self.network.chain_id() == DEVELOPMENT_CHAIN_ID
    }

    /// Serves the embedded chain over JSON-RPC; nothing where the chain is elsewhere already.
    ///
    /// # Errors
    /// [`Code::PortTaken`].
    pub(crate) fn serve(&self, address: SocketAddr) -> Result<Option<RunningServer>, CliError> {
        self.embedded
            .clone()
            .map(|chain| serve_chain(chain, address, false))
            .transpose()
    }
}

impl Contracts {
    /// Whether a newer version of an asset is registered.
    ///
    /// # Errors
    /// Those of the chain.
    pub(crate) fn replaced(&self, asset: AssetId) -> Result<bool, CliError> {
        Ok(self.reader.replaced_by(asset)?.is_some())
    }

    /// The contracts, acting for a key.
    pub(crate) fn acting_for(&self, key: &Arc<LocalKey>) -> ContractLedger {
        self.reader.acting_for(Arc::clone(key) as _)
    }
}

/// Opens a chain: the embedded one in `folder`, or a node.
///
/// # Errors
/// As [`Session::begin`].
pub(crate) fn open_chain(
    chosen: &Chosen,
    folder: &std::path::Path,
    context: &Context,
) -> Result<(Arc<dyn Network>, Option<EmbeddedChain>), CliError> {
    let Some(endpoint) = &chosen.endpoint else {
        let chain = EmbeddedChain::open(folder, Genesis::development(), Config::default())?;
        return Ok((Arc::new(chain.clone()), Some(chain)));
    };
    let patience = context.global.timeout.map_or(PATIENCE, |timeout| timeout.0);
    let defaults = RemoteOptions::default();
    let options = RemoteOptions {
        confirmations: chosen.entry.confirmations,
        inclusion_timeout: patience,
        request_timeout: patience.min(defaults.request_timeout),
        // A development chain answers at once; a public one would only be bothered.
        poll_interval: if chosen.entry.chain_id == Some(DEVELOPMENT_CHAIN_ID) || chosen.is_on_this_machine() {
            Duration::from_millis(10)
        } else {
            defaults.poll_interval
        },
        ..defaults
    };
    let chain = RemoteChain::connect(endpoint, chosen.entry.chain_id, options).map_err(|error| {
        let told = CliError::from(error);
        if told.code() == Code::ChainSilent {
            told.fact("network", chosen.describe())
        } else {
            told
        }
    })?;
    Ok((Arc::new(chain), None))
}

/// Serves a chain over JSON-RPC.
///
/// # Errors
/// [`Code::PortTaken`].
pub(crate) fn serve_chain(
    chain: EmbeddedChain,
    address: SocketAddr,
    development: bool,
) -> Result<RunningServer, CliError> {
    let mut options = rpc::Options::default();
    options.development = development;
    rpc::serve(chain, address, options).map_err(|error| {
        CliError::new(Code::PortTaken, format!("nothing can be served at {address}"))
            .why(crate::error::with_causes(&error))
            .fix("choose another port, or stop the program that holds it")
    })
}

impl From<EmbeddedError> for CliError {
    fn from(error: EmbeddedError) -> Self {
        match &error {
            EmbeddedError::Locked { .. } => Self::new(
                Code::ProjectBusy,
                "another program is using this project's chain",
            )
            .why(error.to_string())
            .fix("wait for it or stop it; to work while a node runs, use --network with the node's address"),
            _ => Self::new(Code::ChainDamaged, "the embedded chain cannot be opened")
                .why(crate::error::with_causes(&error))
                .fix("restore .counterweight/chain from a copy; see cw explain CW5008"),
        }
    }
}
