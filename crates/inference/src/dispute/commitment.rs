//! Trees over a model's weights and over every node of a run.

use counterweight_primitives::architecture::{Node, Step};

use super::layout;
use super::tree::{ByteTree, Opening, Root, keccak};
use crate::{InputError, Network, Trace};

/// Id of a model with public weights: commits to architecture and weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenModelId(pub [u8; 32]);

/// A network with the trees over its weights.
#[derive(Debug)]
pub struct CommittedModel {
    network: Network,
    architecture: Vec<u8>,
    weights: Vec<Option<ByteTree>>,
}

/// All nodes of a run, as somebody claims them, with their trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedTrace {
    nodes: Vec<ByteTree>,
}

impl CommittedModel {
    /// Commits to a network. Takes a hash for every 32 weights.
    #[must_use]
    pub fn new(network: Network) -> Self {
        let weights = network
            .architecture()
            .steps()
            .iter()
            .map(|step| ByteTree::new(rows(&network, step)))
            .collect();
        Self {
            architecture: network.architecture().encode(),
            network,
            weights,
        }
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Bytes of its architecture.
    #[must_use]
    pub fn architecture(&self) -> &[u8] {
        &self.architecture
    }

    /// Root of each layer's weights, zero for layers without.
    #[must_use]
    pub fn weight_roots(&self) -> Vec<Root> {
        let root = |tree: &Option<ByteTree>| tree.as_ref().map(ByteTree::root).unwrap_or_default();
        self.weights.iter().map(root).collect()
    }

    /// The tree over a layer's weights.
    #[must_use]
    pub fn weights(&self, layer: usize) -> Option<&ByteTree> {
        self.weights.get(layer)?.as_ref()
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> OpenModelId {
        let roots: Vec<u8> = self.weight_roots().into_iter().flat_map(|root| root.0).collect();
        let domain = keccak(&[b"counterweight/inference/open-model/v1"]);
        OpenModelId(keccak(&[
            &domain,
            &keccak(&[&self.architecture]),
            &keccak(&[&roots]),
        ]))
    }

    /// Runs the network and commits to every node.
    ///
    /// # Errors
    /// [`InputError`] unless the input has the network's length.
    pub fn trace(&self, input: &[i8]) -> Result<CommittedTrace, InputError> {
        Ok(CommittedTrace::of(&self.network, &self.network.trace(input)?))
    }

    pub(super) fn open_row(&self, step: &Step, element: usize, range: std::ops::Range<usize>) -> Opening {
        let leaves = layout::row_leaves(step, element, range);
        self.weights(step.index())
            .map(|tree| tree.open(&leaves))
            .unwrap_or_default()
    }
}

/// The layer's weights as their tree has them.
fn rows(network: &Network, step: &Step) -> Vec<u8> {
    let Some(form) = step.layer().bias() else {
        return Vec::new();
    };
    let length = layout::row_bytes(step);
    let mut bytes = Vec::with_capacity(layout::weight_bytes(step));
    for (channel, row) in network.layer_weights(step).chunks(step.terms()).enumerate() {
        let end = bytes.len() + length;
        bytes.extend(row.iter().map(|weight| weight.cast_unsigned()));
        let bias = network.layer_biases(step).get(channel);
        // A network holds no bias without digits.
        let digits = bias.and_then(|bias| form.digits_of(*bias)).unwrap_or_default();
        bytes.extend(
            digits
                .iter()
                .take(layout::digits(step))
                .map(|digit| digit.cast_unsigned()),
        );
        bytes.resize(end, 0);
    }
    bytes
}

impl CommittedTrace {
    /// Commits to an honest run.
    #[must_use]
    pub fn of(network: &Network, trace: &Trace) -> Self {
        let count = network.architecture().steps().len() as u8;
        let nodes = (0..=count).map(|node| {
            if node == count {
                return trace.answer().to_bytes();
            }
            let elements = trace.activations(Node(node)).iter();
            elements.map(|element| element.cast_unsigned()).collect()
        });
        Self {
            // A checked architecture has no empty tensor.
            nodes: nodes.filter_map(ByteTree::new).collect(),
        }
    }

    /// Commits to whatever somebody says; nothing if a node is empty.
    #[must_use]
    pub fn from_nodes(nodes: Vec<Vec<u8>>) -> Option<Self> {
        let nodes = nodes.into_iter().map(ByteTree::new).collect::<Option<_>>()?;
        Some(Self { nodes })
    }

    /// Root of each node, the input first.
    #[must_use]
    pub fn roots(&self) -> Vec<Root> {
        self.nodes.iter().map(ByteTree::root).collect()
    }

    /// keccak256 of the roots.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let roots: Vec<u8> = self.roots().into_iter().flat_map(|root| root.0).collect();
        keccak(&[&roots])
    }

    /// The tree over a node.
    #[must_use]
    pub fn node(&self, node: Node) -> Option<&ByteTree> {
        self.nodes.get(usize::from(node.0))
    }

    /// Bytes of the output.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.nodes.last().map_or(&[], ByteTree::data)
    }

    /// The first layer that gives something else than `roots` say, from the same input.
    #[must_use]
    pub fn first_difference(&self, roots: &[Root]) -> Option<usize> {
        let mut nodes = self.roots().into_iter().zip(roots).skip(1);
        nodes.position(|(own, claimed)| own != *claimed)
    }
}
