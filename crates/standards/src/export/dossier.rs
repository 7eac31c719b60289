//! What the ledger knows about an asset and what it came from.

use std::collections::BTreeSet;

use counterweight_primitives::{Address, AssetId, ContentDigest};
use counterweight_provenance::{
    ledger::AssetKind,
    lineage::{LineageError, LineageGraph, LineageNode},
    manifest::{DatasetManifest, Manifest, ModelManifest, RunManifest},
};

/// Why something cannot be described in a format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The graph does not have it.
    #[error("the lineage cannot be followed")]
    Lineage(#[from] LineageError),
    /// Its manifest is not at hand, or is one of another kind.
    #[error("asset {id} has no manifest of a {expected} at hand")]
    NoManifest {
        /// Which asset.
        id: AssetId,
        /// What it should be.
        expected: &'static str,
    },
    /// The file that was given is not the one that was registered.
    #[error("the file has digest {got}, {expected} was registered")]
    OtherFile {
        /// What was registered.
        expected: ContentDigest,
        /// What was given.
        got: ContentDigest,
    },
    /// It cannot be written as JSON, which nothing here leads to.
    #[error("the document cannot be written")]
    Json(#[from] serde_json::Error),
}

/// The run that made a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Digest of its manifest.
    pub digest: ContentDigest,
    /// What it says.
    pub manifest: RunManifest,
}

/// Where a log holds what was said about an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// First line of the log's checkpoints.
    pub origin: String,
    /// The entry, counted from 0.
    pub index: u64,
}

/// An asset with all that it came from.
#[derive(Debug, Clone)]
pub struct Dossier<'a> {
    /// Chain id (EIP-155).
    pub chain: u64,
    /// The registry of assets there.
    pub registry: Address,
    /// The asset.
    pub subject: &'a LineageNode,
    /// What it came from, directly or not, in ascending order of id.
    pub ancestors: Vec<&'a LineageNode>,
    /// The run that made it, where it is a model with one at hand.
    pub run: Option<Run>,
    /// Where its publication is logged, if it is.
    pub logged: Option<LogEntry>,
}

impl<'a> Dossier<'a> {
    /// Gathers it from the graph. `run` is used where it is the one that the model's manifest names.
    ///
    /// # Errors
    /// [`ExportError::Lineage`] where the graph has no such asset.
    pub fn gather(
        graph: &'a LineageGraph,
        id: AssetId,
        (chain, registry): (u64, Address),
        run: Option<Run>,
        logged: Option<LogEntry>,
    ) -> Result<Self, ExportError> {
        let subject = graph.node(id)?;
        let ancestors = graph.ancestors(id)?.into_iter();
        let named = match &subject.manifest {
            Some(Manifest::Model(model)) => model.run,
            _ => None,
        };
        Ok(Self {
            chain,
            registry,
            subject,
            ancestors: ancestors.map(|id| graph.node(id)).collect::<Result<_, _>>()?,
            run: run.filter(|run| Some(run.digest) == named),
            logged,
        })
    }

    /// The model's manifest.
    pub(crate) fn model(&self) -> Result<&'a ModelManifest, ExportError> {
        match &self.subject.manifest {
            Some(Manifest::Model(model)) => Ok(model),
            _ => Err(self.no_manifest("model")),
        }
    }

    /// The dataset's manifest.
    pub(crate) fn dataset(&self) -> Result<&'a DatasetManifest, ExportError> {
        match &self.subject.manifest {
            Some(Manifest::Dataset(dataset)) => Ok(dataset),
            _ => Err(self.no_manifest("dataset")),
        }
    }

    fn no_manifest(&self, expected: &'static str) -> ExportError {
        let id = self.subject.record.id;
        ExportError::NoManifest { id, expected }
    }

    /// Datasets among the ancestors, with their manifests where they are at hand.
    pub(crate) fn datasets(
        &self,
    ) -> impl Iterator<Item = (&'a LineageNode, Option<&'a DatasetManifest>)> + '_ {
        let kind = |node: &&&LineageNode| node.record.asset.kind == AssetKind::Dataset;
        self.ancestors
            .iter()
            .filter(kind)
            .map(|node| match &node.manifest {
                Some(Manifest::Dataset(dataset)) => (*node, Some(dataset)),
                _ => (*node, None),
            })
    }

    /// Everything in it, the subject last.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &'a LineageNode> + '_ {
        self.ancestors.iter().copied().chain([self.subject])
    }

    /// Accounts that own or registered something in it.
    pub(crate) fn accounts(&self) -> BTreeSet<Address> {
        let owners = self
            .nodes()
            .flat_map(|node| [node.record.owner, node.record.registered_to]);
        let members = self
            .run
            .iter()
            .flat_map(|run| run.manifest.members.iter().map(|member| member.account));
        owners.chain(members).collect()
    }

    /// What an asset is called everywhere: CAIP-19 inside a URN.
    pub(crate) fn urn(&self, id: AssetId) -> String {
        format!(
            "urn:counterweight:eip155:{}:erc721:{}:{id}",
            self.chain, self.registry
        )
    }

    /// Where an account is called everywhere: CAIP-10 inside a URN.
    pub(crate) fn account_urn(&self, account: Address) -> String {
        format!("urn:counterweight:eip155:{}:{account}", self.chain)
    }
}

/// Name and version of an asset, as commands take it.
pub(crate) fn full_name(node: &LineageNode) -> String {
    let name = node.manifest.as_ref().and_then(Manifest::name);
    let name = name.map_or_else(|| format!("asset-{}", node.record.id), str::to_owned);
    format!("{name}@{}", node.record.asset.version)
}
