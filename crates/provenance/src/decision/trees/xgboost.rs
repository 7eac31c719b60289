//! Models that XGBoost saved as JSON: gradient-boosted trees with one output.
//!
//! XGBoost rounds a row to single precision and goes left where it is less than the split's condition. Here that is a threshold in
//! double precision with the same answer for every row, so that explaining needs no rounding of its own: [`last_left`].
//!
//! # Differences from XGBoost
//!
//! - The cover of a node is the sum of the hessians of the leaves below it, added in double precision. XGBoost takes the sum that it
//!   stored, rounded to single precision, and then contributions add up to the output only nearly.
//! - XGBoost adds in single precision: an output counts as explained within what that can lose.

use counterweight_primitives::Sha256Digest;
use serde::Deserialize;

use super::{Child, DEEPEST, Link, MOST_MODEL, Node, Tree, TreeEnsemble, TreeError};

#[derive(Deserialize)]
struct Document {
    learner: Learner,
}

#[derive(Deserialize)]
struct Learner {
    #[serde(default)]
    feature_names: Vec<String>,
    gradient_booster: Booster,
    learner_model_param: Parameters,
    objective: Objective,
}

#[derive(Deserialize)]
struct Objective {
    name: String,
}

#[derive(Deserialize)]
struct Parameters {
    base_score: String,
    num_class: String,
    num_feature: String,
    #[serde(default)]
    num_target: Option<String>,
}

#[derive(Deserialize)]
struct Booster {
    name: String,
    model: Option<Model>,
}

#[derive(Deserialize)]
struct Model {
    trees: Vec<Lists>,
}

/// The lists of one tree: node `i` is a leaf where `left_children[i]` is -1, and its condition is then its value.
#[derive(Deserialize)]
struct Lists {
    left_children: Vec<i64>,
    right_children: Vec<i64>,
    split_conditions: Vec<f32>,
    split_indices: Vec<usize>,
    #[serde(default)]
    split_type: Vec<u8>,
    sum_hessian: Vec<f32>,
    tree_param: TreeParameters,
}

#[derive(Deserialize)]
struct TreeParameters {
    #[serde(default)]
    size_leaf_vector: Option<String>,
}

/// Reads a model.
pub(super) fn read(text: &str) -> Result<TreeEnsemble, TreeError> {
    let wrong = |line, reason| TreeError::Model { line, reason };
    if text.len() > MOST_MODEL {
        return Err(wrong(1, "the model is longer than 64 MiB"));
    }
    let document: Document = serde_json::from_str(text)
        .map_err(|error| wrong(error.line(), "this is no model that XGBoost saved as JSON"))?;
    let learner = document.learner;
    let parameters = &learner.learner_model_param;
    let several = |count: &Option<String>| count.as_ref().is_some_and(|count| count != "1" && count != "0");
    let classes = parameters.num_class.as_str();
    if !matches!(classes, "0" | "1") || several(&parameters.num_target) {
        return Err(wrong(1, "several outputs per row are not supported"));
    }
    let link = match learner.objective.name.as_str() {
        "reg:squarederror" => Link::Identity,
        "binary:logistic" => Link::Logistic,
        _ => {
            return Err(wrong(
                1,
                "only reg:squarederror and binary:logistic are supported",
            ));
        }
    };
    let (name, model) = (learner.gradient_booster.name, learner.gradient_booster.model);
    let Some(model) = model.filter(|_| name == "gbtree") else {
        return Err(wrong(1, "only the booster gbtree is supported"));
    };
    let base = base_margin(&parameters.base_score, link)
        .ok_or_else(|| wrong(1, "base_score is no number that the objective can have"))?;
    let count: usize = parameters
        .num_feature
        .parse()
        .map_err(|_| wrong(1, "num_feature is no number"))?;
    let features = learner.feature_names;
    if features.len() != count {
        return Err(wrong(
            1,
            "the model names no features: give feature_names when it is trained",
        ));
    }
    let mut trees = Vec::with_capacity(model.trees.len());
    for (place, lists) in model.trees.iter().enumerate() {
        let tree = lists
            .build(count)
            .and_then(|tree| tree.check().map(|()| tree))
            .map_err(|reason| TreeError::Tree { tree: place, reason })?;
        trees.push(tree);
    }
    // Adding n numbers in single precision loses at most n units of 2^-24 of what is added.
    let tolerance = (trees.len() + 4) as f64 / f64::from(1 << 23);
    Ok(TreeEnsemble {
        features,
        trees,
        link,
        digest: Sha256Digest::of(text.as_bytes()),
        bias: base,
        tolerance,
    })
}

/// What the trees are added to: `base_score` is an output, before 3.1 a number and since then a list of one.
fn base_margin(text: &str, link: Link) -> Option<f64> {
    let text = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let score = f64::from(text.parse::<f32>().ok()?);
    let margin = match link {
        Link::Identity => score,
        Link::Logistic if score > 0.0 && score < 1.0 => -libm::log(1.0 / score - 1.0),
        Link::Logistic => return None,
    };
    margin.is_finite().then_some(margin)
}

impl Lists {
    /// Nodes that are reached from the root: those that pruning left behind are passed over.
    fn build(&self, features: usize) -> Result<Tree, &'static str> {
        const LENGTHS: &str = "its lists are not of one length";
        let count = self.left_children.len();
        let lengths = [
            self.right_children.len(),
            self.split_conditions.len(),
            self.split_indices.len(),
            self.sum_hessian.len(),
        ];
        if lengths != [count; 4] || count == 0 {
            return Err(LENGTHS);
        }
        if self.split_type.iter().any(|kind| *kind != 0) {
            return Err("categorical splits are not supported");
        }
        if self
            .tree_param
            .size_leaf_vector
            .as_ref()
            .is_some_and(|size| size != "0" && size != "1")
        {
            return Err("several outputs per row are not supported");
        }
        let mut tree = Tree {
            nodes: Vec::new(),
            leaves: Vec::new(),
        };
        self.take(0, 0, features, &mut vec![false; count], &mut tree)?;
        Ok(tree)
    }

    /// Adds a node with all below it; the node, and its cover.
    fn take(
        &self,
        place: usize,
        depth: usize,
        features: usize,
        seen: &mut [bool],
        tree: &mut Tree,
    ) -> Result<(Child, f64), &'static str> {
        if depth > DEEPEST {
            return Err("it is deeper than 64 splits");
        }
        let missing = "a child is not there";
        if std::mem::replace(seen.get_mut(place).ok_or(missing)?, true) {
            return Err("a child has two parents");
        }
        let (left, right) = (
            *self.left_children.get(place).ok_or(missing)?,
            *self.right_children.get(place).ok_or(missing)?,
        );
        let condition = *self.split_conditions.get(place).ok_or(missing)?;
        if !condition.is_finite() {
            return Err("a condition is not finite");
        }
        if left < 0 {
            let cover = f64::from(*self.sum_hessian.get(place).ok_or(missing)?);
            // Whatever is not greater, also what is not a number.
            if !matches!(cover.partial_cmp(&0.0), Some(std::cmp::Ordering::Greater)) || cover.is_infinite() {
                return Err("no row passed a node");
            }
            // A leaf that is alone is expected to be what it is, whatever its cover.
            tree.leaves.push((f64::from(condition), cover));
            return Ok((Child::Leaf(tree.leaves.len() - 1), cover));
        }
        let feature = *self.split_indices.get(place).ok_or(missing)?;
        if feature >= features {
            return Err("a split is on a feature that the model does not name");
        }
        let threshold = last_left(condition).ok_or("a condition is beyond all rows")?;
        let node = tree.nodes.len();
        tree.nodes.push(Node {
            feature,
            threshold,
            left: Child::Node(node),
            right: Child::Node(node),
            count: 0.0,
        });
        let child = |child: i64| usize::try_from(child).map_err(|_| missing);
        let (left, left_cover) = self.take(child(left)?, depth + 1, features, seen, tree)?;
        let (right, right_cover) = self.take(child(right)?, depth + 1, features, seen, tree)?;
        let cover = left_cover + right_cover;
        if let Some(node) = tree.nodes.get_mut(node) {
            (node.left, node.right, node.count) = (left, right, cover);
        }
        Ok((Child::Node(node), cover))
    }
}

/// The largest double that, rounded to single precision, is less than a condition: a row goes left where it is at most this. None
/// where there is none.
fn last_left(condition: f32) -> Option<f64> {
    let below = condition.next_down();
    if !below.is_finite() {
        return None;
    }
    // Both have 24 bits, so their mean is exact; it is rounded to the one whose last bit is 0.
    let middle = f64::midpoint(f64::from(below), f64::from(condition));
    Some(if below.to_bits() & 1 == 0 {
        middle
    } else {
        middle.next_down()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{
        super::vectors::{numbers, read},
        *,
    };

    /// Models, rows, and what XGBoost says of them: `make_xgboost_shap.py` beside the file wrote it.
    fn vectors() -> Value {
        read("xgboost-shap.json")
    }

    #[test]
    fn contributions_are_those_of_xgboost_and_add_up_exactly() {
        for case in vectors()["cases"].as_array().unwrap() {
            let ensemble = TreeEnsemble::read(case["model"].as_str().unwrap()).unwrap();
            assert_eq!(ensemble.features().len(), 6);
            for row in case["rows"].as_array().unwrap() {
                let x = numbers(&row["x"]);
                let (base, phi) = ensemble.explain(&x).unwrap();
                for (got, expected) in phi.iter().chain([&base]).zip(numbers(&row["xgboost"])) {
                    assert!((got - expected).abs() < 2e-6, "{got} {expected}");
                }
                let raw = ensemble.raw(&x).unwrap();
                assert!((raw - row["raw"].as_f64().unwrap()).abs() < 1e-6);
                let sum = phi.iter().fold(base, |sum, phi| sum + phi);
                assert!((sum - raw).abs() < 1e-12, "{sum} {raw}");
            }
        }
    }

    /// What XGBoost answers, rounded as it is, counts as explained; what is farther off does not.
    #[test]
    fn an_output_in_single_precision_is_explained() {
        for case in vectors()["cases"].as_array().unwrap() {
            let ensemble = TreeEnsemble::read(case["model"].as_str().unwrap()).unwrap();
            for row in case["rows"].as_array().unwrap() {
                let (base, phi) = ensemble.explain(&numbers(&row["x"])).unwrap();
                let output = row["output"].as_f64().unwrap();
                assert!(ensemble.explains(base, &phi, output));
                assert!(!ensemble.explains(base, &phi, output + 1e-4));
            }
        }
    }

    #[test]
    fn models_that_cannot_be_explained_are_refused() {
        let vectors = vectors();
        let model = vectors["cases"][1]["model"].as_str().unwrap();
        let told = |from: &str, to: &str| {
            assert!(model.contains(from), "{from}");
            TreeEnsemble::read(&model.replacen(from, to, 1))
                .unwrap_err()
                .to_string()
        };
        assert!(told("binary:logistic", "multi:softprob").contains("only reg:squarederror"));
        assert!(told("\"gbtree\"", "\"dart\"").contains("gbtree"));
        assert!(told("\"num_class\":\"0\"", "\"num_class\":\"3\"").contains("several outputs"));
        assert!(told("\"x5\"", "\"x5\",\"x6\"").contains("names no features"));
        assert!(
            told("\"left_children\":[1", "\"left_children\":[0").starts_with("tree 0"),
            "a loop"
        );
        assert!(
            told("\"left_children\":[1", "\"left_children\":[2").starts_with("tree 0"),
            "two parents"
        );
        assert!(told("\"left_children\":[1", "\"left_children\":[999").starts_with("tree 0"));
        assert!(told("\"split_indices\":[0", "\"split_indices\":[6").starts_with("tree 0"));
        assert!(told("\"split_type\":[0", "\"split_type\":[1").contains("categorical"));
        assert!(told("4.2E-1", "0").contains("base_score"));
        for cut in (1..model.len()).step_by(101) {
            assert!(TreeEnsemble::read(&model[..cut]).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn a_row_goes_left_as_it_does_when_rounded(condition in any::<f32>(), other in any::<f64>(), ulps in -3_i64..4) {
            prop_assume!(condition.is_finite() && condition.next_down().is_finite());
            let threshold = last_left(condition).unwrap();
            let near = f64::from_bits(threshold.to_bits().wrapping_add_signed(ulps));
            for x in [near, other, f64::from(condition), f64::from(condition.next_down())] {
                prop_assume!(x.is_finite());
                prop_assert_eq!(x <= threshold, (x as f32) < condition, "{} {}", x, condition);
            }
        }
    }
}
