//! A project beside a node whose clock the test moves, and a masked study of five members on it.

use std::sync::Arc;

use counterweight_chain::{
    deploy::{DeployOptions, deploy},
    embedded::DEVELOPMENT_CHAIN_ID,
    keys::development_key,
    ledger::ContractLedger,
    remote::{RemoteChain, RemoteOptions},
};
use counterweight_federated::masking::roots::vector_root;
use counterweight_primitives::{Amount, Sha256Digest};
use counterweight_provenance::blobs::BlobStore;
use counterweight_testkit::{MASKED_MEMBERS, MaskedOpening, MaskedStudy, MaskedStudyOptions};
use serde_json::Value;

use super::{Project, Running, pass};

/// How long demands wait and the bond stays.
pub(crate) const DISPUTE_SECONDS: u64 = 3_600;
/// Bond behind the sums.
pub(crate) const BOND: Amount = Amount(10_000);

/// Key 0 coordinates, keys 1 to 5 are members, key 6 holds tokens.
pub(crate) struct Trial {
    pub(crate) project: Project,
    pub(crate) url: String,
    pub(crate) study: MaskedStudy,
    pub(crate) challenger: ContractLedger,
    _node: Running,
}

impl Trial {
    pub(crate) fn new() -> Self {
        let project = Project::new();
        let (node, url) = project.start(&["node", "start", "--port", "0", "--in-memory", "--development"]);
        let chain = RemoteChain::connect(&url, Some(DEVELOPMENT_CHAIN_ID), RemoteOptions::default()).unwrap();
        let folder = project.path().join(".counterweight/deployments");
        std::fs::create_dir_all(&folder).unwrap();
        let key = |index| Arc::new(development_key(index, DEVELOPMENT_CHAIN_ID).unwrap());
        let steps = project.path().join("deployment-steps");
        let deployment = deploy(&chain, &*key(0), &DeployOptions::default(), &steps).unwrap();
        deployment.save(&folder.join("node.json")).unwrap();
        let chain = Arc::new(chain);
        let ledger = |index| ContractLedger::new(Arc::clone(&chain) as _, deployment.clone(), key(index));
        let (coordinator, challenger) = (ledger(0), ledger(6));
        for account in [&coordinator, &challenger] {
            coordinator
                .mint_development_tokens(account.account(), Amount(1_000_000))
                .unwrap();
        }
        let options = MaskedStudyOptions {
            token: deployment.development_token.unwrap(),
            bond: BOND,
            dispute_seconds: DISPUTE_SECONDS as u32,
            coordinates: 100,
            rounds: 1,
        };
        let members = (1..=MASKED_MEMBERS as u32).map(ledger).collect();
        let study = MaskedStudy::start(coordinator, members, &options);
        Self {
            project,
            url,
            study,
            challenger,
            _node: node,
        }
    }

    /// Where the project keeps records.
    pub(crate) fn blobs(&self) -> BlobStore {
        BlobStore::open(self.project.path().join(".counterweight/blobs")).unwrap()
    }

    /// A round up to its sum, with its records in the project.
    pub(crate) fn round(&self) -> MaskedOpening {
        let blobs = self.blobs();
        self.study.up_to_sums(&blobs, &|seconds| self.pass(seconds))
    }

    /// Closes a round and ends the study.
    pub(crate) fn finish(&self, opening: &MaskedOpening) {
        self.study.close(opening.round);
        self.study.finish();
    }

    /// As somebody else, demands a block of a round's sum.
    pub(crate) fn demand(&self, opening: &MaskedOpening, number: u32) {
        let record = self.study.record(opening.round);
        self.challenger
            .demand_block(self.study.study, &record, 0, number)
            .unwrap();
    }

    /// Moves the chain's clock.
    pub(crate) fn pass(&self, seconds: u64) {
        pass(&self.url, seconds);
    }

    /// A command that acts on it for a key.
    pub(crate) fn arguments<'a>(&'a self, arguments: &[&'a str], key: &'a str) -> Vec<&'a str> {
        [arguments, &["--network", &self.url, "--key", key]].concat()
    }

    pub(crate) fn json(&self, arguments: &[&str], key: &str) -> Value {
        self.project.json(&self.arguments(arguments, key))
    }
}

/// The root that is posted for a sum.
pub(crate) fn root(sum: &[i32]) -> Sha256Digest {
    let words: Vec<u32> = sum.iter().map(|word| *word as u32).collect();
    vector_root(&words)
}
