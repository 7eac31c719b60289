//! Chains to test on: the embedded one and anvil.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;
use std::time::Duration;

use counterweight_chain::deploy::{DeployOptions, Deployment, deploy};
use counterweight_chain::embedded::{Config, EmbeddedChain, Genesis};
use counterweight_chain::keys::{LocalKey, development_key};
use counterweight_chain::ledger::ContractLedger;
use counterweight_chain::network::Network;
use counterweight_chain::remote::{RemoteChain, RemoteOptions};
use counterweight_primitives::Amount;
use counterweight_testkit::{MASKED_MEMBERS, MaskedStudy, MaskedStudyOptions};
use serde_json::json;

/// A chain whose clock can be moved.
pub(crate) trait TestChain {
    /// As the code under test sees it.
    fn network(&self) -> Arc<dyn Network>;
    /// Makes a block this many seconds later.
    fn advance(&self, seconds: u64);
}

pub(crate) struct Embedded(Arc<EmbeddedChain>);

impl Embedded {
    pub(crate) fn start() -> Self {
        // Fewer events at once than a study has: histories are read in pieces.
        let config = Config {
            logs_per_query: 5,
            ..Config::default()
        };
        Self(Arc::new(
            EmbeddedChain::in_memory(Genesis::development(), config).unwrap(),
        ))
    }
}

impl TestChain for Embedded {
    fn network(&self) -> Arc<dyn Network> {
        Arc::clone(&self.0) as Arc<dyn Network>
    }

    fn advance(&self, seconds: u64) {
        self.0.increase_time(seconds);
        self.0.mine().unwrap();
    }
}

/// anvil on a free port of this machine, and a connection to it.
pub(crate) struct Anvil {
    node: counterweight_testkit::Anvil,
    chain: Arc<RemoteChain>,
}

pub(crate) fn impatient() -> RemoteOptions {
    RemoteOptions {
        poll_interval: Duration::from_millis(5),
        retry_pause: Duration::from_millis(5),
        inclusion_timeout: Duration::from_secs(30),
        ..RemoteOptions::default()
    }
}

impl Anvil {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let node = counterweight_testkit::Anvil::start(arguments);
        let chain = Arc::new(RemoteChain::connect(node.endpoint(), Some(31_337), impatient()).unwrap());
        Self { node, chain }
    }

    pub(crate) fn chain(&self) -> &RemoteChain {
        &self.chain
    }
}

impl TestChain for Anvil {
    fn network(&self) -> Arc<dyn Network> {
        Arc::clone(&self.chain) as Arc<dyn Network>
    }

    fn advance(&self, seconds: u64) {
        self.chain
            .raw_request("evm_increaseTime", json!([seconds]))
            .unwrap();
        self.chain.raw_request("evm_mine", json!([])).unwrap();
    }
}

pub(crate) fn key(index: u32) -> LocalKey {
    development_key(index, 31_337).unwrap()
}

/// The contracts on a chain, deployed by development key 0.
pub(crate) struct Deployed {
    pub(crate) network: Arc<dyn Network>,
    pub(crate) deployment: Deployment,
    pub(crate) directory: tempfile::TempDir,
}

impl Deployed {
    pub(crate) fn on(chain: &dyn TestChain) -> Self {
        let network = chain.network();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("deployment.json");
        let deployment = deploy(&*network, &key(0), &DeployOptions::default(), &file).unwrap();
        Self {
            network,
            deployment,
            directory,
        }
    }

    /// The ledger of development key `index`.
    pub(crate) fn ledger(&self, index: u32) -> ContractLedger {
        ContractLedger::new(
            Arc::clone(&self.network),
            self.deployment.clone(),
            Arc::new(key(index)),
        )
    }
}

/// A running study of five members that masks; key 0 coordinates, keys 1 to 5 are members.
pub(crate) fn masked_study(deployed: &Deployed, bond: Amount, rounds: u32) -> MaskedStudy {
    let coordinator = deployed.ledger(0);
    let token = deployed.deployment.development_token.unwrap();
    coordinator
        .mint_development_tokens(coordinator.account(), bond)
        .unwrap();
    let members = (1..=MASKED_MEMBERS as u32).map(|index| deployed.ledger(index));
    let options = MaskedStudyOptions {
        token,
        bond,
        dispute_seconds: 3_600,
        coordinates: 37,
        rounds,
    };
    MaskedStudy::start(coordinator, members.collect(), &options)
}

/// Runs each named function, which takes a `&dyn TestChain`, on the embedded chain and on anvil.
#[macro_export]
macro_rules! on_every_chain {
    ($($claim:ident)*) => {
        mod on_the_embedded_chain {
            $(#[test]
            fn $claim() {
                super::$claim(&$crate::support::Embedded::start());
            })*
        }

        mod on_anvil {
            $(#[test]
            fn $claim() {
                super::$claim(&$crate::support::Anvil::start());
            })*
        }
    };
}
