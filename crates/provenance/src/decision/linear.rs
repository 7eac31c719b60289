//! Exact explanations of linear and logistic models.
//!
//! For f(x) = b + Σ wᵢxᵢ the Shapley values under independent features are φᵢ = wᵢ(xᵢ − μᵢ), with the base value
//! b + Σ wᵢμᵢ: Štrumbelj and Kononenko, "Explaining prediction models and individual predictions with feature
//! contributions" (2014), section 3, and Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions" (2017),
//! Corollary 1. Local accuracy, base + Σφ = f(x), is checked on every decision.
//!
//! Everything is IEEE 754 double precision in the order written here, one rounding per operation, so that an auditor gets
//! the same bits.

use counterweight_primitives::{CanonicalError, Sha256Digest, from_canonical_json, to_canonical_json};
use serde::{Deserialize, Serialize};

use super::decimal::Decimal;

/// Format of the parameters.
const FORMAT: &str = "counterweight/linear-explanation/v1";

/// Longest document read.
const MOST_BYTES: usize = 1 << 20;

/// How the output is made of the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The output is the sum.
    Identity,
    /// The output is 1 / (1 + exp(−sum)); contributions are in log-odds.
    Logistic,
}

/// What a feature weighs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearFeature {
    /// Name of the input field.
    pub input: String,
    /// Its mean over the background data.
    pub mean: Decimal,
    /// Its weight.
    pub weight: Decimal,
}

/// A linear model as its explanations need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearParameters {
    format: String,
    /// The intercept.
    pub bias: Decimal,
    /// Name of the output field that is explained.
    pub explains: String,
    /// The features, in the order in which they are summed.
    pub features: Vec<LinearFeature>,
    /// How the output is made of the sum.
    pub link: Link,
}

impl LinearParameters {
    /// Parameters of a model.
    #[must_use]
    pub fn new(bias: Decimal, explains: impl Into<String>, features: Vec<LinearFeature>, link: Link) -> Self {
        Self {
            format: FORMAT.to_owned(),
            bias,
            explains: explains.into(),
            features,
            link,
        }
    }

    /// Canonical bytes.
    ///
    /// # Errors
    /// As [`to_canonical_json`].
    pub fn encode(&self) -> Result<Vec<u8>, CanonicalError> {
        to_canonical_json(self)
    }

    /// Reads canonical bytes; none where they are another format.
    ///
    /// # Errors
    /// As [`from_canonical_json`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, CanonicalError> {
        let read: Self = from_canonical_json(bytes, MOST_BYTES)?;
        Ok((read.format == FORMAT).then_some(read))
    }

    /// The name that a profile gives them: SHA-256 of the canonical bytes.
    ///
    /// # Errors
    /// As [`LinearParameters::encode`].
    pub fn digest(&self) -> Result<Sha256Digest, CanonicalError> {
        Ok(Sha256Digest::of(&self.encode()?))
    }

    /// b + Σ wᵢμᵢ.
    #[must_use]
    pub fn base(&self) -> f64 {
        self.features.iter().fold(self.bias.get(), |sum, feature| {
            sum + feature.weight.get() * feature.mean.get()
        })
    }
}

/// How far base + Σφ may be from the output: models sum in their own order.
pub(super) const TOLERANCE: f64 = 1e-9;

/// Whether base + Σφ is the output, up to rounding of a sum of such terms.
pub(super) fn is_accurate(
    base: f64,
    contributions: impl IntoIterator<Item = f64>,
    link: Link,
    output: f64,
) -> bool {
    is_accurate_within(TOLERANCE, base, contributions, link, output)
}

/// The same for a model that rounds more coarsely.
pub(super) fn is_accurate_within(
    tolerance: f64,
    base: f64,
    contributions: impl IntoIterator<Item = f64>,
    link: Link,
    output: f64,
) -> bool {
    let (sum, size) = contributions
        .into_iter()
        .fold((base, base.abs()), |(sum, size), phi| {
            (sum + phi, size + phi.abs())
        });
    let expected = match link {
        Link::Identity => sum,
        Link::Logistic => 1.0 / (1.0 + libm::exp(-sum)),
    };
    let scale = match link {
        Link::Identity => size.max(1.0),
        // The slope is at most a quarter.
        Link::Logistic => (size / 4.0).max(1.0),
    };
    // Not a negated comparison: whatever is not a number is not accurate.
    (expected - output).abs() <= tolerance * scale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> LinearParameters {
        let feature = |input: &str, mean: f64, weight: f64| LinearFeature {
            input: input.to_owned(),
            mean: Decimal::new(mean).unwrap(),
            weight: Decimal::new(weight).unwrap(),
        };
        LinearParameters::new(
            Decimal::new(-1.5).unwrap(),
            "score",
            vec![feature("age", 44.25, 0.02), feature("income", 3000.0, -1e-4)],
            Link::Identity,
        )
    }

    #[test]
    fn parameters_read_back_and_have_one_form() {
        let bytes = parameters().encode().unwrap();
        assert_eq!(LinearParameters::decode(&bytes).unwrap().unwrap(), parameters());
        let text = String::from_utf8(bytes).unwrap();
        assert!(LinearParameters::decode(text.replace("0.02", "0.020").as_bytes()).is_err());
        assert_eq!(
            LinearParameters::decode(text.replace("/v1", "/v2").as_bytes()).unwrap(),
            None
        );
    }

    #[test]
    fn contributions_and_base_add_up_to_the_model() {
        let parameters = parameters();
        let row = [61.0, 1200.0];
        let phi: Vec<f64> = parameters
            .features
            .iter()
            .zip(row)
            .map(|(f, x)| f.weight.get() * (x - f.mean.get()))
            .collect();
        let score = -1.5 + 0.02 * 61.0 - 1e-4 * 1200.0;
        assert!(is_accurate(parameters.base(), phi.clone(), Link::Identity, score));
        assert!(!is_accurate(
            parameters.base(),
            phi.clone(),
            Link::Identity,
            score + 1e-6
        ));
        let probability = 1.0 / (1.0 + (-score).exp());
        assert!(is_accurate(
            parameters.base(),
            phi.clone(),
            Link::Logistic,
            probability
        ));
        assert!(!is_accurate(
            parameters.base(),
            phi.clone(),
            Link::Logistic,
            score
        ));
        assert!(!is_accurate(
            parameters.base(),
            phi.clone(),
            Link::Identity,
            f64::NAN
        ));
    }
}
