//! Deployments are the same everywhere, go on where they stopped, and are not believed without a look.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use alloy_primitives::{Address, B256, Bytes, U256};
use counterweight_chain::deploy::{DeployError, DeployOptions, Deployment, deploy};
use counterweight_chain::network::{
    At, BlockRef, Call, ChainError, EventLog, Inclusion, LogQuery, Network, TransactionSigner,
};
use support::{Anvil, Deployed, Embedded, TestChain, key};

#[test]
fn the_same_key_gives_the_same_addresses_on_every_fresh_chain() {
    let embedded = Deployed::on(&Embedded::start()).deployment;
    let anvil = Deployed::on(&Anvil::start()).deployment;
    assert_eq!(
        Deployment { block: 0, ..embedded },
        Deployment { block: 0, ..anvil }
    );
}

#[test]
fn a_second_deployment_finds_the_first() {
    let deployed = Deployed::on(&Embedded::start());
    let file = deployed.directory.path().join("deployment.json");
    let head = deployed.network.head().unwrap();
    let again = deploy(&*deployed.network, &key(0), &DeployOptions::default(), &file).unwrap();
    assert_eq!(again, deployed.deployment);
    assert_eq!(Deployment::load(&file).unwrap(), again);
    assert_eq!(deployed.network.head().unwrap(), head);
}

/// Sends a number of transactions and then fails, before or after the next one is included.
struct Interrupted {
    inner: Arc<dyn Network>,
    left: AtomicU32,
    after: bool,
}

impl Network for Interrupted {
    fn chain_id(&self) -> u64 {
        self.inner.chain_id()
    }
    fn head(&self) -> Result<BlockRef, ChainError> {
        self.inner.head()
    }
    fn block(&self, number: u64) -> Result<Option<BlockRef>, ChainError> {
        self.inner.block(number)
    }
    fn call(&self, from: Address, call: &Call, at: At) -> Result<Bytes, ChainError> {
        self.inner.call(from, call, at)
    }
    fn estimate_gas(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        self.inner.estimate_gas(from, call)
    }
    fn balance(&self, account: Address, at: At) -> Result<U256, ChainError> {
        self.inner.balance(account, at)
    }
    fn nonce(&self, account: Address) -> Result<u64, ChainError> {
        self.inner.nonce(account)
    }
    fn code(&self, account: Address, at: At) -> Result<Bytes, ChainError> {
        self.inner.code(account, at)
    }
    fn transact(&self, signer: &dyn TransactionSigner, call: &Call) -> Result<Inclusion, ChainError> {
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_err() {
            if self.after {
                self.inner.transact(signer, call)?;
            }
            return Err(ChainError::Unreachable {
                endpoint: "nowhere".to_owned(),
                source: "cut".into(),
            });
        }
        self.inner.transact(signer, call)
    }
    fn inclusion(&self, transaction: B256) -> Result<Option<Inclusion>, ChainError> {
        self.inner.inclusion(transaction)
    }
    fn logs(&self, query: &LogQuery) -> Result<Vec<EventLog>, ChainError> {
        self.inner.logs(query)
    }
}

#[test]
fn an_interrupted_deployment_goes_on_without_doing_anything_twice() {
    let whole = Deployed::on(&Embedded::start());
    let transactions = whole
        .network
        .nonce(counterweight_chain::address::to_evm(key(0).account()))
        .unwrap();
    for after in [false, true] {
        let inner = Embedded::start().network();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("deployment.json");
        // One transaction further at each attempt.
        let deployment = loop {
            let network = Interrupted {
                inner: Arc::clone(&inner),
                left: AtomicU32::new(u32::from(!after)),
                after,
            };
            match deploy(&network, &key(0), &DeployOptions::default(), &file) {
                Ok(deployment) => break deployment,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        };
        assert_eq!(
            Deployment {
                block: 0,
                ..deployment
            },
            Deployment {
                block: 0,
                ..whole.deployment.clone()
            }
        );
        let sent = inner
            .nonce(counterweight_chain::address::to_evm(key(0).account()))
            .unwrap();
        assert_eq!(sent, transactions);
        assert!(!directory.path().join("deployment.json.partial").exists());
    }
}

#[test]
fn somebody_else_cannot_go_on_and_a_chain_begun_anew_starts_over() {
    let inner = Embedded::start().network();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("deployment.json");
    let network = Interrupted {
        inner,
        left: AtomicU32::new(3),
        after: false,
    };
    deploy(&network, &key(0), &DeployOptions::default(), &file).unwrap_err();
    let other = deploy(&network, &key(1), &DeployOptions::default(), &file).unwrap_err();
    assert!(matches!(other, DeployError::OtherDeployer { got, .. } if got == key(1).account()));
    let fresh = Embedded::start().network();
    deploy(&*fresh, &key(0), &DeployOptions::default(), &file).unwrap();
}

#[test]
fn each_wrong_address_is_named() {
    let deployed = Deployed::on(&Embedded::start());
    let good = deployed.deployment.clone();
    let nowhere = key(9).account();
    let check = |spoil: &dyn Fn(&mut Deployment)| {
        let mut spoilt = good.clone();
        spoil(&mut spoilt);
        spoilt.check(&*deployed.network).unwrap_err().to_string()
    };
    good.check(&*deployed.network).unwrap();
    assert!(check(&|d| d.training_rounds = nowhere).starts_with("TrainingRounds is not at 0x"));
    assert!(check(&|d| d.royalty_vault = d.log_anchor).starts_with("RoyaltyVault at 0x"));
    assert!(check(&|d| d.asset_registry = d.consent_registry).contains("expected"));
    assert!(check(&|d| d.chain_id = 1).contains("is for chain 1"));
    let second = Deployed::on(&Embedded::start());
    let error = second
        .deployment
        .check(&*Embedded::start().network())
        .unwrap_err();
    assert!(matches!(
        error,
        DeployError::Missing {
            contract: "TimelockController",
            ..
        }
    ));
}

#[test]
fn contracts_of_another_deployment_are_not_mixed_in() {
    let deployed = Deployed::on(&Embedded::start());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("deployment.json");
    let other = deploy(&*deployed.network, &key(1), &DeployOptions::default(), &file).unwrap();
    let mixed = Deployment {
        royalty_vault: other.royalty_vault,
        ..deployed.deployment.clone()
    };
    let error = mixed.check(&*deployed.network).unwrap_err();
    assert!(
        matches!(
            error,
            DeployError::Miswired {
                contract: "RoyaltyVault",
                question: "assets",
                ..
            }
        ),
        "{error}"
    );
    let mixed = Deployment {
        training_rounds: other.training_rounds,
        ..deployed.deployment.clone()
    };
    assert!(matches!(
        mixed.check(&*deployed.network),
        Err(DeployError::Miswired { .. })
    ));
}

#[test]
fn a_file_that_is_no_deployment_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("deployment.json");
    for text in ["", "{}", "[1]"] {
        std::fs::write(&file, text).unwrap();
        assert!(matches!(Deployment::load(&file), Err(DeployError::File { .. })));
    }
}
