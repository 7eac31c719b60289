//! Exact explanations of tree ensembles, computed when somebody asks.
//!
//! Path-dependent TreeSHAP: Lundberg, Erion and Lee, "Consistent Individualized Feature Attribution for Tree Ensembles"
//! (arXiv:1802.03888), Algorithm 2. The background is the training data as the model itself recorded it, by the number of
//! rows that passed each node, so that the explanation is a function of model and inputs alone and anybody who has both
//! recomputes it. Everything is IEEE 754 double precision in the order written here, trees in the order of the file, left
//! before right: the same bits everywhere.
//!
//! Models are read from LightGBM's text format and from XGBoost's JSON ([`xgboost`]). Refused are categorical splits, linear leaves, several outputs per row, zero as
//! missing, and objectives other than regression and binary classification.
//!
//! # Differences from LightGBM and `shap`
//!
//! - An input that is missing is refused rather than sent down a default branch.
//! - Sums are in another order than theirs, so values agree to rounding only.

mod xgboost;

use counterweight_primitives::Sha256Digest;

use super::{
    linear::{Link, TOLERANCE, is_accurate_within},
    profile::{Explanation, Field, Profile, Role, as_number},
    value::{Value, ValueType},
};

/// Longest model that is read.
pub const MOST_MODEL: usize = 1 << 26;

/// Deepest tree: the work for a leaf grows with the square of its depth.
const DEEPEST: usize = 64;

/// Why a model cannot be read or explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Not the format, or a part of it that is not supported.
    #[error("line {line}: {reason}")]
    Model {
        /// Line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A tree whose nodes do not form a tree, or whose lists differ in length.
    #[error("tree {tree}: {reason}")]
    Tree {
        /// Which one, counted from 0.
        tree: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Child {
    Node(usize),
    Leaf(usize),
}

#[derive(Debug, Clone, PartialEq)]
struct Node {
    feature: usize,
    threshold: f64,
    left: Child,
    right: Child,
    /// Rows of the training data that passed here.
    count: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Tree {
    nodes: Vec<Node>,
    /// Value and rows of each leaf.
    leaves: Vec<(f64, f64)>,
}

/// A tree ensemble as its explanations need it.
#[derive(Debug, Clone, PartialEq)]
pub struct TreeEnsemble {
    features: Vec<String>,
    trees: Vec<Tree>,
    link: Link,
    digest: Sha256Digest,
    /// What the trees are added to.
    bias: f64,
    /// How far base and contributions may be from an output.
    tolerance: f64,
}

impl TreeEnsemble {
    /// Reads a model that LightGBM saved as text or XGBoost as JSON.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn read(text: &str) -> Result<Self, TreeError> {
        if text.trim_start().starts_with('{') {
            xgboost::read(text)
        } else {
            Self::from_lightgbm(text)
        }
    }

    /// Reads a model that LightGBM saved as text.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn from_lightgbm(text: &str) -> Result<Self, TreeError> {
        let wrong = |line, reason| TreeError::Model { line, reason };
        if text.len() > MOST_MODEL {
            return Err(wrong(1, "the model is longer than 64 MiB"));
        }
        let mut lines = text
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.trim_end()));
        if lines.next().is_none_or(|(_, line)| line != "tree") {
            return Err(wrong(1, "a model of LightGBM begins with \"tree\""));
        }
        let (mut features, mut link, mut trees) = (None, None, Vec::new());
        let mut current: Option<Lists<'_>> = None;
        for (at, line) in lines {
            if line == "end of trees" {
                break;
            }
            let Some((name, value)) = line.split_once('=') else {
                if line == "average_output" {
                    return Err(wrong(at, "random forests are not supported"));
                }
                continue;
            };
            if name == "Tree" {
                if let Some(lists) = current.replace(Lists::default()) {
                    trees.push(lists.build(trees.len())?);
                }
                continue;
            }
            match (&mut current, name) {
                (None, "num_tree_per_iteration") if value != "1" => {
                    return Err(wrong(at, "several outputs per row are not supported"));
                }
                (None, "feature_names") => {
                    features = Some(value.split(' ').map(str::to_owned).collect::<Vec<_>>())
                }
                (None, "objective") => {
                    link = Some(match value {
                        "regression" => Link::Identity,
                        "binary sigmoid:1" => Link::Logistic,
                        _ => return Err(wrong(at, "only regression and binary sigmoid:1 are supported")),
                    });
                }
                (Some(lists), name) => lists.take(name, value, at)?,
                _ => {}
            }
        }
        if let Some(lists) = current {
            trees.push(lists.build(trees.len())?);
        }
        let features = features.ok_or_else(|| wrong(1, "the model names no features"))?;
        let known = |node: &Node| node.feature < features.len();
        if let Some(tree) = trees.iter().position(|tree| !tree.nodes.iter().all(known)) {
            let reason = "a split is on a feature that the model does not name";
            return Err(TreeError::Tree { tree, reason });
        }
        Ok(Self {
            features,
            trees,
            link: link.ok_or_else(|| wrong(1, "the model names no objective"))?,
            digest: Sha256Digest::of(text.as_bytes()),
            bias: 0.0,
            tolerance: TOLERANCE,
        })
    }

    /// What a profile names it by: SHA-256 of the file.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// Names of its features.
    #[must_use]
    pub fn features(&self) -> &[String] {
        &self.features
    }

    /// How the output is made of the sum of the trees.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link
    }

    /// The sum of the trees for a row, before the link; none where the row has another number of features.
    #[must_use]
    pub fn raw(&self, row: &[f64]) -> Option<f64> {
        if row.len() != self.features.len() {
            return None;
        }
        self.trees
            .iter()
            .try_fold(self.bias, |sum, tree| Some(sum + tree.value(row)?))
    }

    /// Base value and the contribution of each feature; none where the row has another number of features, or one that is
    /// not finite. Takes the leaves times the square of their depth.
    #[must_use]
    pub fn explain(&self, row: &[f64]) -> Option<(f64, Vec<f64>)> {
        if row.len() != self.features.len() || !row.iter().all(|x| x.is_finite()) {
            return None;
        }
        let mut contributions = vec![0.0; row.len()];
        let mut base = self.bias;
        for tree in &self.trees {
            base += tree.expected();
            let root = if tree.nodes.is_empty() {
                Child::Leaf(0)
            } else {
                Child::Node(0)
            };
            tree.attribute(root, row, &mut contributions, Vec::new(), Step::root())?;
        }
        Some((base, contributions))
    }

    /// Whether base value and contributions add up to an output of this model, up to the rounding of whoever computed it.
    #[must_use]
    pub fn explains(&self, base: f64, contributions: &[f64], output: f64) -> bool {
        is_accurate_within(
            self.tolerance,
            base,
            contributions.iter().copied(),
            self.link,
            output,
        )
    }
}

/// The fields of an explanation's record: the base value, and the contribution of each feature.
pub(super) fn explanation_fields(ensemble: &TreeEnsemble) -> Vec<Field> {
    let field = |name: &str, role| Field {
        name: name.to_owned(),
        role,
        kind: ValueType::Number,
    };
    let contributions = ensemble
        .features
        .iter()
        .map(|name| field(name, Role::Contribution));
    std::iter::once(field("base", Role::Base))
        .chain(contributions)
        .collect()
}

/// The values of an explanation's record; none where the profile does not name the ensemble, or an input is not shown or
/// no number.
pub(super) fn explanation_of(
    profile: &Profile,
    ensemble: &TreeEnsemble,
    values: &[Option<Value>],
) -> Option<Vec<Value>> {
    if profile.explanation() != Some(Explanation::Trees(ensemble.digest)) {
        return None;
    }
    let of = |name: &String| {
        let mut fields = profile.fields().iter();
        let place = fields.position(|field| field.role == Role::Input && field.name == *name)?;
        as_number(values.get(place)?.as_ref()?)
    };
    let row: Option<Vec<f64>> = ensemble.features.iter().map(of).collect();
    let (base, contributions) = ensemble.explain(&row?)?;
    let numbers = std::iter::once(base).chain(contributions);
    Some(numbers.map(Value::Number).collect())
}

/// Whether an explanation adds up to the decision's one output that is a number.
pub(super) fn is_explained(
    profile: &Profile,
    ensemble: &TreeEnsemble,
    values: &[Option<Value>],
    explanation: &[Value],
) -> bool {
    let outputs = profile.fields().iter().zip(values);
    let mut outputs =
        outputs.filter(|(field, _)| field.role == Role::Output && field.kind == ValueType::Number);
    let (Some((_, Some(output))), None) = (outputs.next(), outputs.next()) else {
        return false;
    };
    let numbers: Option<Vec<f64>> = explanation.iter().map(as_number).collect();
    match (numbers.as_deref(), as_number(output)) {
        (Some([base, contributions @ ..]), Some(output)) => ensemble.explains(*base, contributions, output),
        _ => false,
    }
}

/// One feature on the way to a node.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// None at the root.
    feature: Option<usize>,
    /// Share of the rows without the feature that go this way.
    zero: f64,
    /// 1 where the row itself goes this way, else 0.
    one: f64,
    /// Weight of the subsets of this size: PWEIGHT of the paper.
    weight: f64,
}

impl Step {
    fn root() -> Self {
        Self {
            feature: None,
            zero: 1.0,
            one: 1.0,
            weight: 0.0,
        }
    }
}

impl Tree {
    fn count(&self, child: Child) -> Option<f64> {
        match child {
            Child::Node(node) => self.nodes.get(node).map(|node| node.count),
            Child::Leaf(leaf) => self.leaves.get(leaf).map(|leaf| leaf.1),
        }
    }

    fn value(&self, row: &[f64]) -> Option<f64> {
        let mut at = if self.nodes.is_empty() {
            Child::Leaf(0)
        } else {
            Child::Node(0)
        };
        loop {
            match at {
                Child::Leaf(leaf) => return self.leaves.get(leaf).map(|leaf| leaf.0),
                Child::Node(node) => {
                    let node = self.nodes.get(node)?;
                    at = if *row.get(node.feature)? <= node.threshold {
                        node.left
                    } else {
                        node.right
                    };
                }
            }
        }
    }

    /// The mean of the leaves over the training data.
    fn expected(&self) -> f64 {
        let (sum, rows) = self
            .leaves
            .iter()
            .fold((0.0, 0.0), |(sum, rows), (value, count)| {
                (sum + value * count, rows + count)
            });
        sum / rows
    }

    /// RECURSE of the paper.
    fn attribute(
        &self,
        at: Child,
        row: &[f64],
        contributions: &mut [f64],
        mut path: Vec<Step>,
        step: Step,
    ) -> Option<()> {
        extend(&mut path, step);
        let node = match at {
            Child::Leaf(leaf) => {
                let value = self.leaves.get(leaf)?.0;
                for place in 1..path.len() {
                    let weight = unwound_sum(&path, place);
                    let step = path[place];
                    if let Some(contribution) =
                        step.feature.and_then(|feature| contributions.get_mut(feature))
                    {
                        *contribution += weight * (step.one - step.zero) * value;
                    }
                }
                return Some(());
            }
            Child::Node(node) => self.nodes.get(node)?,
        };
        let goes_left = *row.get(node.feature)? <= node.threshold;
        // A feature that was met before is taken off the path, and its shares are carried on.
        let (mut zero, mut one) = (1.0, 1.0);
        if let Some(place) = path.iter().position(|step| step.feature == Some(node.feature)) {
            (zero, one) = (path[place].zero, path[place].one);
            unwind(&mut path, place);
        }
        for (child, hot) in [(node.left, goes_left), (node.right, !goes_left)] {
            let step = Step {
                feature: Some(node.feature),
                zero: zero * (self.count(child)? / node.count),
                one: if hot { one } else { 0.0 },
                weight: 0.0,
            };
            self.attribute(child, row, contributions, path.clone(), step)?;
        }
        Some(())
    }
}

/// EXTEND of the paper.
fn extend(path: &mut Vec<Step>, step: Step) {
    let depth = path.len();
    let weight = if depth == 0 { 1.0 } else { 0.0 };
    path.push(Step { weight, ..step });
    for place in (0..depth).rev() {
        let moved = step.one * path[place].weight * (place + 1) as f64 / (depth + 1) as f64;
        path[place + 1].weight += moved;
        path[place].weight = step.zero * path[place].weight * (depth - place) as f64 / (depth + 1) as f64;
    }
}

/// UNWIND of the paper: the path as if the feature at `place` had not been met.
fn unwind(path: &mut Vec<Step>, place: usize) {
    let depth = path.len() - 1;
    let Step { zero, one, .. } = path[place];
    let mut next = path[depth].weight;
    for at in (0..depth).rev() {
        if one != 0.0 {
            let before = path[at].weight;
            path[at].weight = next * (depth + 1) as f64 / ((at + 1) as f64 * one);
            next = before - path[at].weight * zero * (depth - at) as f64 / (depth + 1) as f64;
        } else {
            path[at].weight = path[at].weight * (depth + 1) as f64 / (zero * (depth - at) as f64);
        }
    }
    for at in place..depth {
        let weight = path[at].weight;
        path[at] = Step {
            weight,
            ..path[at + 1]
        };
    }
    path.pop();
}

/// The sum of the weights of the unwound path, without making it.
fn unwound_sum(path: &[Step], place: usize) -> f64 {
    let depth = path.len() - 1;
    let Step { zero, one, .. } = path[place];
    let mut next = path[depth].weight;
    let mut total = 0.0;
    for at in (0..depth).rev() {
        if one != 0.0 {
            let weight = next * (depth + 1) as f64 / ((at + 1) as f64 * one);
            total += weight;
            next = path[at].weight - weight * zero * ((depth - at) as f64 / (depth + 1) as f64);
        } else if zero != 0.0 {
            total += path[at].weight / zero / ((depth - at) as f64 / (depth + 1) as f64);
        }
    }
    total
}

/// The lists of one tree as the file has them.
#[derive(Default)]
struct Lists<'a> {
    split_feature: &'a str,
    threshold: &'a str,
    left: &'a str,
    right: &'a str,
    internal_count: &'a str,
    leaf_value: &'a str,
    leaf_count: &'a str,
}

impl<'a> Lists<'a> {
    fn take(&mut self, name: &str, value: &'a str, line: usize) -> Result<(), TreeError> {
        let wrong = |reason| Err(TreeError::Model { line, reason });
        match name {
            "split_feature" => self.split_feature = value,
            "threshold" => self.threshold = value,
            "left_child" => self.left = value,
            "right_child" => self.right = value,
            "internal_count" => self.internal_count = value,
            "leaf_value" => self.leaf_value = value,
            "leaf_count" => self.leaf_count = value,
            "num_cat" if value != "0" => return wrong("categorical splits are not supported"),
            "is_linear" if value != "0" => return wrong("linear leaves are not supported"),
            "decision_type" => {
                // Bit 0: categorical; bits 2 and 3: 1 for zero as missing.
                let kinds = value.split_ascii_whitespace().map(str::parse::<u8>);
                for kind in kinds {
                    match kind {
                        Ok(kind) if kind & 1 == 0 && kind >> 2 & 3 != 1 => {}
                        _ => return wrong("only numerical splits without zero as missing are supported"),
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn build(self, tree: usize) -> Result<Tree, TreeError> {
        let wrong = |reason| TreeError::Tree { tree, reason };
        let numbers = |text: &str| -> Option<Vec<f64>> {
            let parsed = text.split_ascii_whitespace().map(|word| word.parse().ok());
            parsed
                .collect::<Option<Vec<f64>>>()
                .filter(|list| list.iter().all(|x| x.is_finite()))
        };
        let integers = |text: &str| -> Option<Vec<i64>> {
            text.split_ascii_whitespace()
                .map(|word| word.parse().ok())
                .collect()
        };
        let lists = || {
            let features = integers(self.split_feature)?;
            let (left, right) = (integers(self.left)?, integers(self.right)?);
            let (thresholds, counts) = (numbers(self.threshold)?, numbers(self.internal_count)?);
            let values = numbers(self.leaf_value)?;
            let leaf_counts = match self.leaf_count {
                // A model that is one constant has no counts.
                "" if values.len() == 1 => vec![1.0],
                text => numbers(text)?,
            };
            let splits = features.len();
            let same = [left.len(), right.len(), thresholds.len(), counts.len()] == [splits; 4];
            if !same || values.len() != splits + 1 || leaf_counts.len() != splits + 1 {
                return None;
            }
            let child = |child: i64| match usize::try_from(child) {
                Ok(node) => Child::Node(node),
                // A leaf is its complement.
                Err(_) => Child::Leaf(!child as usize),
            };
            let mut nodes = Vec::with_capacity(splits);
            for place in 0..splits {
                nodes.push(Node {
                    feature: usize::try_from(features[place]).ok()?,
                    threshold: thresholds[place],
                    left: child(left[place]),
                    right: child(right[place]),
                    count: counts[place],
                });
            }
            let leaves = values.into_iter().zip(leaf_counts).collect();
            Some(Tree { nodes, leaves })
        };
        let built = lists().ok_or_else(|| wrong("its lists are not of one length, or not numbers"))?;
        built.check().map_err(wrong)?;
        Ok(built)
    }
}

impl Tree {
    /// Every node and leaf is reached once from the root, not too deep, and passed by some row.
    fn check(&self) -> Result<(), &'static str> {
        let mut nodes = vec![false; self.nodes.len()];
        let mut leaves = vec![false; self.leaves.len()];
        let root = if self.nodes.is_empty() {
            Child::Leaf(0)
        } else {
            Child::Node(0)
        };
        let mut open = vec![(root, 0)];
        while let Some((child, depth)) = open.pop() {
            if depth > DEEPEST {
                return Err("it is deeper than 64 splits");
            }
            let seen = match child {
                Child::Node(node) => nodes.get_mut(node),
                Child::Leaf(leaf) => leaves.get_mut(leaf),
            };
            let seen = seen.ok_or("a child is not there")?;
            if std::mem::replace(seen, true) {
                return Err("a child has two parents");
            }
            if self.count(child).is_none_or(|count| count <= 0.0) {
                return Err("no row passed a node");
            }
            if let Child::Node(node) = child
                && let Some(node) = self.nodes.get(node)
            {
                open.extend([(node.left, depth + 1), (node.right, depth + 1)]);
            }
        }
        let reached = nodes.iter().chain(&leaves).all(|seen| *seen);
        reached.then_some(()).ok_or("a node has no parent")
    }
}

#[cfg(test)]
mod vectors;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{
        vectors::{numbers, read},
        *,
    };

    /// A model, rows, and what LightGBM and `shap` say of them: `make_shap.py` beside the file wrote it.
    fn vectors() -> Value {
        read("tree-shap.json")
    }

    #[test]
    fn contributions_are_those_of_lightgbm_and_shap() {
        for case in vectors()["cases"].as_array().unwrap() {
            let ensemble = TreeEnsemble::from_lightgbm(case["model"].as_str().unwrap()).unwrap();
            for row in case["rows"].as_array().unwrap() {
                let x = numbers(&row["x"]);
                let (base, phi) = ensemble.explain(&x).unwrap();
                let raw = ensemble.raw(&x).unwrap();
                for peer in ["lightgbm", "shap"] {
                    let expected = numbers(&row[peer]);
                    for (got, expected) in phi.iter().chain([&base]).zip(&expected) {
                        assert!((got - expected).abs() < 1e-9, "{peer}: {got} {expected}");
                    }
                }
                assert!((raw - row["raw"].as_f64().unwrap()).abs() < 1e-12);
                let sum = phi.iter().fold(base, |sum, phi| sum + phi);
                assert!((sum - raw).abs() < 1e-9 * (1.0 + raw.abs()), "{sum} {raw}");
            }
        }
    }

    /// Bits, as they were when the file was written: on every machine.
    #[test]
    fn contributions_have_the_same_bits_everywhere() {
        let mut hasher = blake3::Hasher::new();
        for case in vectors()["cases"].as_array().unwrap() {
            let ensemble = TreeEnsemble::from_lightgbm(case["model"].as_str().unwrap()).unwrap();
            for row in case["rows"].as_array().unwrap() {
                let (base, phi) = ensemble.explain(&numbers(&row["x"])).unwrap();
                for x in phi.iter().chain([&base]) {
                    hasher.update(&x.to_bits().to_be_bytes());
                }
            }
        }
        assert_eq!(hasher.finalize().to_hex().as_str(), BITS);
    }

    const BITS: &str = "ac7e4c714da8fec6df1464246c449203bfbbbf281c0aee4d1a846d0a06141412";

    #[test]
    fn models_that_cannot_be_explained_are_refused() {
        let vectors = vectors();
        let model = vectors["cases"][0]["model"].as_str().unwrap();
        let told = |from: &str, to: &str| {
            assert!(model.contains(from), "{from}");
            TreeEnsemble::from_lightgbm(&model.replacen(from, to, 1))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            told("tree\n", "bush\n"),
            "line 1: a model of LightGBM begins with \"tree\""
        );
        assert!(told("num_tree_per_iteration=1", "num_tree_per_iteration=3").contains("several outputs"));
        assert!(told("num_cat=0", "num_cat=1").contains("categorical"));
        assert!(told("is_linear=0", "is_linear=1").contains("linear leaves"));
        assert!(told("objective=", "objective=x").contains("only regression"));
        assert!(told("left_child=1 ", "left_child=0 ").starts_with("tree "));
        assert!(told("left_child=1 ", "left_child=999 ").starts_with("tree "));
        assert!(told("leaf_count=", "leaf_count=1 ").starts_with("tree "));
        for cut in (0..model.len()).step_by(101) {
            let _ = TreeEnsemble::from_lightgbm(&model[..cut]);
        }
    }
}
