//! Where assets came from, where they went, and how a payment would flow between them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use counterweight_primitives::{Amount, AssetId, ContentDigest, Ppm};
use serde::Serialize;

use crate::{
    ledger::{AssetKind, AssetRecord},
    manifest::{MOST_PARENTS, Manifest},
};

/// Why records are no lineage graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineageError {
    /// Two records of one asset.
    #[error("asset {id} is recorded twice")]
    RecordedTwice {
        /// Which.
        id: AssetId,
    },
    /// An arrow that leads nowhere.
    #[error("asset {child} names parent {parent}, which is not recorded")]
    UnknownParent {
        /// Whose parent.
        child: AssetId,
        /// What is missing.
        parent: AssetId,
    },
    /// A parent that is not older than its child, so that the graph might have a cycle.
    #[error("asset {child} names parent {parent}, which is not older")]
    ParentNotOlder {
        /// Whose parent.
        child: AssetId,
        /// The parent.
        parent: AssetId,
    },
    /// A parent twice, too many parents, or more than the whole income.
    #[error("asset {child} has {parents} parents with {millionths} millionths of its income, {reason}")]
    BadParents {
        /// Whose parents.
        child: AssetId,
        /// How many.
        parents: usize,
        /// Their shares together.
        millionths: u64,
        /// Which rule is broken.
        reason: &'static str,
    },
    /// No such asset.
    #[error("asset {id} is not recorded")]
    UnknownAsset {
        /// Which.
        id: AssetId,
    },
}

/// An asset in the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageNode {
    /// As it was registered.
    pub record: AssetRecord,
    /// Its manifest, where the bytes were found and had the registered digest and kind.
    pub manifest: Option<Manifest>,
    /// Assets that name it as a parent, in ascending order.
    pub children: Vec<AssetId>,
}

/// The lineage graph: acyclic, since every parent is older than its child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineageGraph {
    nodes: BTreeMap<AssetId, LineageNode>,
}

/// Which way a tree is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards what an asset came from.
    Ancestors,
    /// Towards what was made of it.
    Descendants,
}

/// A part of the graph drawn as a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineageTree {
    /// The asset.
    pub id: AssetId,
    /// What it is.
    pub kind: AssetKind,
    /// What its manifest calls it.
    pub name: Option<String>,
    /// Its place in the chain of versions.
    pub version: u32,
    /// Part of income on the arrow between it and the asset above.
    pub share: Option<Ppm>,
    /// Whether it is drawn with all that follows further up, and not again here.
    pub repeated: bool,
    /// What follows.
    pub next: Vec<LineageTree>,
}

impl LineageGraph {
    /// Builds the graph. `manifest` gives the bytes of a manifest by its digest; what has another digest, is no
    /// manifest or is one of another kind is left out, as are manifests that cannot be found.
    ///
    /// # Errors
    /// Every variant of [`LineageError`] except [`LineageError::UnknownAsset`].
    pub fn build(
        records: impl IntoIterator<Item = AssetRecord>,
        manifest: impl Fn(&ContentDigest) -> Option<Vec<u8>>,
    ) -> Result<Self, LineageError> {
        let mut nodes = BTreeMap::new();
        for record in records {
            check_parents(&record)?;
            let manifest = manifest(&record.asset.manifest)
                .and_then(|bytes| Manifest::decode_expected(&bytes, &record.asset.manifest).ok())
                .filter(|manifest| manifest.asset_kind() == Some(record.asset.kind));
            let id = record.id;
            let node = LineageNode {
                record,
                manifest,
                children: Vec::new(),
            };
            if nodes.insert(id, node).is_some() {
                return Err(LineageError::RecordedTwice { id });
            }
        }
        let arrows: Vec<(AssetId, AssetId)> = nodes
            .values()
            .flat_map(|node| node.record.parents.iter().map(|p| (node.record.id, p.asset)))
            .collect();
        for (child, parent) in arrows {
            nodes
                .get_mut(&parent)
                .ok_or(LineageError::UnknownParent { child, parent })?
                .children
                .push(child);
        }
        Ok(Self { nodes })
    }

    /// Every asset, in ascending order of id.
    pub fn nodes(&self) -> impl Iterator<Item = &LineageNode> {
        self.nodes.values()
    }

    /// An asset.
    ///
    /// # Errors
    /// [`LineageError::UnknownAsset`].
    pub fn node(&self, id: AssetId) -> Result<&LineageNode, LineageError> {
        self.nodes.get(&id).ok_or(LineageError::UnknownAsset { id })
    }

    /// What an asset came from, directly or not, in ascending order.
    ///
    /// # Errors
    /// [`LineageError::UnknownAsset`].
    pub fn ancestors(&self, id: AssetId) -> Result<BTreeSet<AssetId>, LineageError> {
        self.reach(id, Direction::Ancestors)
    }

    /// What was made of an asset, directly or not, in ascending order.
    ///
    /// # Errors
    /// [`LineageError::UnknownAsset`].
    pub fn descendants(&self, id: AssetId) -> Result<BTreeSet<AssetId>, LineageError> {
        self.reach(id, Direction::Descendants)
    }

    /// What each owner would get of a payment for an asset, with the rounding of `RoyaltyVault` when every asset is
    /// settled once, children first: shares round down and the rest stays with the child's owner. The amounts sum
    /// to the payment.
    ///
    /// # Errors
    /// [`LineageError::UnknownAsset`].
    pub fn income_split(
        &self,
        id: AssetId,
        payment: Amount,
    ) -> Result<BTreeMap<AssetId, Amount>, LineageError> {
        self.node(id)?;
        let mut pending = BTreeMap::from([(id, payment)]);
        let mut kept = BTreeMap::new();
        // A parent is older than its child, so going down the ids settles every child before its parents.
        while let Some((id, income)) = pending.pop_last() {
            let mut rest = income;
            for parent in &self.node(id)?.record.parents {
                // Shares were checked to be at most the whole, and each rounds down: neither sum can leave the range.
                let part = parent.share.of(income);
                rest.0 = rest.0.saturating_sub(part.0);
                let parent_income = pending.entry(parent.asset).or_default();
                parent_income.0 = parent_income.0.saturating_add(part.0);
            }
            kept.insert(id, rest);
        }
        Ok(kept)
    }

    /// Part of an asset's income that each owner keeps, multiplied along every path; each rounds down.
    ///
    /// # Errors
    /// [`LineageError::UnknownAsset`].
    pub fn kept_shares(&self, id: AssetId) -> Result<BTreeMap<AssetId, Ppm>, LineageError> {
        // Large enough that what rounding loses along a path stays far below a millionth.
        const UNITS: u128 = 1_000_000_000_000_000_000_000_000;
        let split = self.income_split(id, Amount(UNITS))?;
        let share = |amount: Amount| {
            let millionths = u32::try_from(amount.0 / (UNITS / 1_000_000)).unwrap_or(u32::MAX);
            Ppm::new(millionths).unwrap_or(Ppm::WHOLE)
        };
        Ok(split
            .into_iter()
            .map(|(id, amount)| (id, share(amount)))
            .collect())
    }

    /// The assets to settle, in this order, so that a payment for `id` reaches every owner: children first.
    ///
    /// # Errors
    /// [`LineageError::UnknownAsset`].
    pub fn settle_path(&self, id: AssetId) -> Result<Vec<AssetId>, LineageError> {
        Ok(self.ancestors(id)?.into_iter().chain([id]).rev().collect())
    }

    /// Draws the graph from one asset as a tree of at most `depth` arrows. An asset that is reached again is drawn
    /// once, so that the tree has at most one line for each arrow.
    ///
    /// # Errors
    /// [`LineageError::UnknownAsset`].
    pub fn tree(&self, id: AssetId, direction: Direction, depth: usize) -> Result<LineageTree, LineageError> {
        self.draw(id, None, direction, depth.min(DEEPEST_TREE), &mut BTreeSet::new())
    }

    fn draw(
        &self,
        id: AssetId,
        share: Option<Ppm>,
        direction: Direction,
        depth: usize,
        drawn: &mut BTreeSet<AssetId>,
    ) -> Result<LineageTree, LineageError> {
        let node = self.node(id)?;
        let arrows = self.arrows(node, direction);
        let repeated = !drawn.insert(id) && !arrows.is_empty();
        let mut next = Vec::new();
        if let Some(depth) = depth.checked_sub(1).filter(|_| !repeated) {
            for (id, share) in arrows {
                next.push(self.draw(id, Some(share), direction, depth, drawn)?);
            }
        }
        Ok(LineageTree {
            id,
            kind: node.record.asset.kind,
            name: node.manifest.as_ref().and_then(Manifest::name).map(str::to_owned),
            version: node.record.asset.version,
            share,
            repeated,
            next,
        })
    }

    fn arrows(&self, node: &LineageNode, direction: Direction) -> Vec<(AssetId, Ppm)> {
        match direction {
            Direction::Ancestors => node.record.parents.iter().map(|p| (p.asset, p.share)).collect(),
            Direction::Descendants => {
                let share = |child: &AssetId| {
                    let parents = &self.nodes.get(child)?.record.parents;
                    parents
                        .iter()
                        .find(|p| p.asset == node.record.id)
                        .map(|p| (*child, p.share))
                };
                node.children.iter().filter_map(share).collect()
            }
        }
    }

    fn reach(&self, id: AssetId, direction: Direction) -> Result<BTreeSet<AssetId>, LineageError> {
        let mut open = vec![self.node(id)?];
        let mut found = BTreeSet::new();
        while let Some(node) = open.pop() {
            for (next, _) in self.arrows(node, direction) {
                if found.insert(next) {
                    open.push(self.node(next)?);
                }
            }
        }
        Ok(found)
    }
}

/// Deepest tree drawn: a longer chain of versions would overflow the stack.
const DEEPEST_TREE: usize = 256;

impl LineageTree {
    /// The tree with one line for each asset, two more spaces for each arrow.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, text: &mut String, indent: usize) {
        let name = self.name.as_deref().unwrap_or("(no manifest)");
        let _ = write!(
            text,
            "{:indent$}{name}@{}  {} {}",
            "",
            self.version,
            self.kind.name(),
            self.id
        );
        if let Some(share) = self.share {
            let _ = write!(text, "  {share}");
        }
        text.push_str(if self.repeated { "  (see above)\n" } else { "\n" });
        for next in &self.next {
            next.write(text, indent + 2);
        }
    }
}

fn check_parents(record: &AssetRecord) -> Result<(), LineageError> {
    let child = record.id;
    let parents = &record.parents;
    let millionths: u64 = parents.iter().map(|p| u64::from(p.share.millionths())).sum();
    let bad = |reason| {
        Err(LineageError::BadParents {
            child,
            parents: parents.len(),
            millionths,
            reason,
        })
    };
    if let Some(late) = parents.iter().find(|p| p.asset >= child) {
        return Err(LineageError::ParentNotOlder {
            child,
            parent: late.asset,
        });
    }
    if parents.len() > MOST_PARENTS {
        return bad("at most 8 are allowed");
    }
    if parents
        .windows(2)
        .any(|pair| matches!(pair, [a, b] if a.asset >= b.asset))
    {
        return bad("they must be in ascending order");
    }
    if millionths > 1_000_000 {
        return bad("at most 1000000 are there");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::{Address, UnixSeconds};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ledger::{Asset, Parent},
        manifest::CollectionManifest,
    };

    fn record(id: u64, parents: &[(u64, u32)]) -> AssetRecord {
        AssetRecord {
            id: AssetId(id),
            asset: Asset {
                kind: if parents.is_empty() {
                    AssetKind::Dataset
                } else {
                    AssetKind::Model
                },
                content: ContentDigest([1; 32]),
                manifest: ContentDigest([2; 32]),
                previous: None,
                version: 1,
            },
            registered_to: Address::ZERO,
            owner: Address::ZERO,
            registered_at: UnixSeconds(0),
            uri: String::new(),
            parents: parents
                .iter()
                .map(|(id, share)| Parent {
                    asset: AssetId(*id),
                    share: Ppm::new(*share).unwrap(),
                })
                .collect(),
        }
    }

    fn graph(records: Vec<AssetRecord>) -> Result<LineageGraph, LineageError> {
        LineageGraph::build(records, |_| None)
    }

    /// Datasets 1 and 2; model 3 of both; model 4 of model 3 and dataset 1.
    fn diamond() -> LineageGraph {
        graph(vec![
            record(1, &[]),
            record(2, &[]),
            record(3, &[(1, 300_000), (2, 200_000)]),
            record(4, &[(1, 100_000), (3, 500_000)]),
        ])
        .unwrap()
    }

    fn ids(ids: &[u64]) -> BTreeSet<AssetId> {
        ids.iter().copied().map(AssetId).collect()
    }

    #[test]
    fn ancestors_and_descendants_are_found_along_every_path() {
        let graph = diamond();
        assert_eq!(graph.ancestors(AssetId(4)).unwrap(), ids(&[1, 2, 3]));
        assert_eq!(graph.descendants(AssetId(2)).unwrap(), ids(&[3, 4]));
        assert_eq!(graph.ancestors(AssetId(1)).unwrap(), ids(&[]));
        assert_eq!(graph.settle_path(AssetId(4)).unwrap(), [4, 3, 2, 1].map(AssetId));
        assert_eq!(
            graph.ancestors(AssetId(9)),
            Err(LineageError::UnknownAsset { id: AssetId(9) })
        );
    }

    #[test]
    fn shares_multiply_along_paths_and_add_up_where_they_meet() {
        let shares = diamond().kept_shares(AssetId(4)).unwrap();
        let millionths: Vec<_> = shares.values().map(|s| s.millionths()).collect();
        // 1: 10 % direct and 50 % × 30 %; 2: 50 % × 20 %; 3: 50 % × 50 %; 4: the rest.
        assert_eq!(millionths, [250_000, 100_000, 250_000, 400_000]);
    }

    #[test]
    fn the_tree_is_one_line_for_each_arrow() {
        let text = diamond()
            .tree(AssetId(4), Direction::Ancestors, 10)
            .unwrap()
            .to_text();
        assert_eq!(
            text,
            "(no manifest)@1  model 4\n  \
             (no manifest)@1  dataset 1  10.00 %\n  \
             (no manifest)@1  model 3  50.00 %\n    \
             (no manifest)@1  dataset 1  30.00 %\n    \
             (no manifest)@1  dataset 2  20.00 %\n"
        );
        let down = diamond().tree(AssetId(1), Direction::Descendants, 1).unwrap();
        assert_eq!(down.next.iter().map(|t| t.id.0).collect::<Vec<_>>(), [3, 4]);
    }

    /// 8 parents each, 40 layers: 8^40 paths, and still one line for each arrow.
    #[test]
    fn a_wide_and_deep_graph_is_drawn_in_bounded_size() {
        let mut records: Vec<_> = (1..=8).map(|id| record(id, &[])).collect();
        for layer in 1..40_u64 {
            let parents: Vec<_> = (1..=8).map(|i| ((layer - 1) * 8 + i, 125_000)).collect();
            records.extend((1..=8).map(|i| record(layer * 8 + i, &parents)));
        }
        let graph = graph(records).unwrap();
        let text = graph
            .tree(AssetId(320), Direction::Ancestors, usize::MAX)
            .unwrap()
            .to_text();
        assert!(text.lines().count() <= 320 * 8 + 1);
        assert!(text.contains("(see above)"));
        let kept: u128 = graph
            .income_split(AssetId(320), Amount(1_000_003))
            .unwrap()
            .values()
            .map(|a| a.0)
            .sum();
        assert_eq!(kept, 1_000_003);
    }

    #[test]
    fn records_that_are_no_lineage_are_refused() {
        assert_eq!(
            graph(vec![record(2, &[(1, 0)])]),
            Err(LineageError::UnknownParent {
                child: AssetId(2),
                parent: AssetId(1)
            })
        );
        // A cycle needs an arrow to a younger asset, or to itself.
        assert_eq!(
            graph(vec![record(1, &[(2, 0)]), record(2, &[(1, 0)])]),
            Err(LineageError::ParentNotOlder {
                child: AssetId(1),
                parent: AssetId(2)
            })
        );
        assert!(matches!(
            graph(vec![record(1, &[(1, 0)])]),
            Err(LineageError::ParentNotOlder { .. })
        ));
        assert_eq!(
            graph(vec![record(1, &[]), record(1, &[])]),
            Err(LineageError::RecordedTwice { id: AssetId(1) })
        );
        let twice = vec![record(1, &[]), record(2, &[(1, 1), (1, 1)])];
        assert!(matches!(graph(twice), Err(LineageError::BadParents { .. })));
        let above = vec![
            record(1, &[]),
            record(2, &[]),
            record(3, &[(1, 600_000), (2, 400_001)]),
        ];
        assert!(matches!(
            graph(above),
            Err(LineageError::BadParents {
                millionths: 1_000_001,
                ..
            })
        ));
        let parents: Vec<_> = (1..=9).map(|id| (id, 1)).collect();
        let many = (1..=9)
            .map(|id| record(id, &[]))
            .chain([record(10, &parents)])
            .collect();
        assert!(matches!(
            graph(many),
            Err(LineageError::BadParents { parents: 9, .. })
        ));
    }

    #[test]
    fn only_the_registered_manifest_names_an_asset() {
        let parents = vec![Parent {
            asset: AssetId(1),
            share: Ppm::ZERO,
        }];
        let manifest = Manifest::Collection(CollectionManifest {
            name: "pair".to_owned(),
            study: None,
            run: None,
            parents,
        });
        let bytes = manifest.encode().unwrap();
        let mut collection = record(2, &[(1, 0)]);
        collection.asset.manifest = ContentDigest::of(&bytes);
        let name = |kind, bytes: &[u8]| {
            let mut record2 = collection.clone();
            record2.asset.kind = kind;
            let graph = LineageGraph::build(vec![record(1, &[]), record2], |_| Some(bytes.to_vec())).unwrap();
            graph.tree(AssetId(2), Direction::Ancestors, 0).unwrap().name
        };
        assert_eq!(name(AssetKind::Collection, &bytes), Some("pair".to_owned()));
        assert_eq!(name(AssetKind::Model, &bytes), None);
        let mut spoiled = bytes.clone();
        spoiled[20] ^= 1;
        assert_eq!(name(AssetKind::Collection, &spoiled), None);
    }

    proptest! {
        /// Whatever the graph, nothing of a payment is lost or made.
        #[test]
        fn a_payment_is_split_without_loss(
            layers in proptest::collection::vec(proptest::collection::btree_map(0_u64..20, 0_u32..125_000, 0..8), 1..20),
            payment in 0..=u128::MAX,
        ) {
            let records = layers.iter().zip(1..).map(|(parents, id)| {
                let parents: Vec<_> = parents.iter().map(|(p, s)| (p + 1, *s)).filter(|(p, _)| *p < id).collect();
                record(id, &parents)
            });
            let graph = graph(records.collect()).unwrap();
            let last = AssetId(layers.len() as u64);
            let split = graph.income_split(last, Amount(payment)).unwrap();
            let sum = split.values().try_fold(0_u128, |sum, a| sum.checked_add(a.0));
            prop_assert_eq!(sum, Some(payment));
            let mut reached = graph.ancestors(last).unwrap();
            reached.insert(last);
            prop_assert_eq!(split.into_keys().collect::<BTreeSet<_>>(), reached);
        }
    }
}
