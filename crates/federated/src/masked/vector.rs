//! A member's vector: its update times its weight, and the weight itself, in the fixed point of its group.
//!
//! A vector has one word for each parameter and one for the weight w, the member's examples up to the most M that the
//! terms count: word i is w · x_i / M at as many bits after the point as the sum of the largest group leaves. So a
//! group's weighted mean is the sum's words times M over the sum of weights, whoever is in it.
//!
//! Where the terms promise privacy of members, all weigh 1 and each word has its part of the noise. It is added on the
//! grid of the words, before anything is summed: rounding after the noise would undo the bound on the sum of it.

use rand_core::RngCore;

use crate::{
    privacy::noise::{Release, ReleaseError},
    study::masking::Masking,
    update::{CheckedUpdate, FRACTION_BITS},
};

/// How updates become words: fixed by the terms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WordFormat {
    /// Bits after the binary point.
    pub bits: u32,
    /// Examples that count at most.
    pub most_examples: u32,
    /// Largest norm of an update.
    pub clip: f64,
    /// How each member adds noise, if it does.
    pub release: Option<Release>,
}

impl WordFormat {
    /// Of updates without noise.
    #[must_use]
    pub fn plain(masking: &Masking, clip: f64) -> Self {
        Self {
            bits: masking.bits(clip),
            most_examples: masking.most_examples,
            clip,
            release: None,
        }
    }

    /// Of updates with noise.
    #[must_use]
    pub fn noisy(release: Release) -> Self {
        Self {
            bits: release.bits,
            most_examples: 1,
            clip: release.clip,
            release: Some(release),
        }
    }
}

/// What a member masks, where its terms ask for no noise.
#[must_use]
pub fn masked_words(update: &CheckedUpdate, format: &WordFormat) -> Vec<i32> {
    let update = update.get();
    let weight = i64::from(update.examples.min(format.most_examples));
    // At most 2^24 · 2^24: a divisor far from overflow, as is 2^24 · 2^31 above it.
    let divisor = i64::from(format.most_examples) << (FRACTION_BITS - format.bits);
    let word = |coordinate: &i32| half_even(i128::from(weight * i64::from(*coordinate)), divisor) as i32;
    let mut words: Vec<i32> = update.coordinates.iter().map(word).collect();
    words.push(weight as i32);
    words
}

/// What a member masks, with its part of the noise: rounded without bias, and of weight 1. A word that leaves its 32 bits
/// comes back in with the sum, which is of residues.
///
/// # Errors
/// [`ReleaseError`].
pub fn noisy_words(
    update: &CheckedUpdate,
    release: &Release,
    random: &mut dyn RngCore,
) -> Result<Vec<i32>, ReleaseError> {
    let unit = f64::from(1_u32 << FRACTION_BITS);
    let moved: Vec<f64> = update
        .get()
        .coordinates
        .iter()
        .map(|coordinate| f64::from(*coordinate) / unit)
        .collect();
    let released = release.make(&moved, random)?;
    let mut words: Vec<i32> = released.into_iter().map(|word| word as i32).collect();
    words.push(1);
    Ok(words)
}

/// The nearest integer to a quotient, half to even.
pub(super) fn half_even(sum: i128, divisor: i64) -> i128 {
    let divisor = i128::from(divisor.max(1));
    let (low, rest) = (sum.div_euclid(divisor), sum.rem_euclid(divisor));
    match (2 * rest).cmp(&divisor) {
        std::cmp::Ordering::Less => low,
        std::cmp::Ordering::Greater => low + 1,
        std::cmp::Ordering::Equal => low + (low & 1),
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId};

    use super::*;
    use crate::update::{Update, UpdateRules};

    #[test]
    fn the_largest_update_of_the_largest_group_fits_the_sum() {
        let masking = Masking {
            group_size: 16,
            threshold_percent: 66,
            fewest_survivors: 3,
            most_examples: 1 << 24,
            dispute_seconds: 60,
        };
        let clip = 127.0;
        assert_eq!(masking.check(clip), Ok(()));
        let update = Update {
            study: StudyId(1),
            round: Round(1),
            member: MemberIndex(0),
            base: ContentDigest([1; 32]),
            examples: 1 << 26,
            coordinates: vec![127 << 24, 0],
        };
        let rules = UpdateRules {
            study: StudyId(1),
            round: Round(1),
            base: ContentDigest([1; 32]),
            coordinates: 2,
            clip,
            most_examples: 1 << 26,
        };
        let words = masked_words(
            &update.check(&rules, MemberIndex(0)).unwrap(),
            &WordFormat::plain(&masking, clip),
        );
        assert_eq!(words[0], 127 << masking.bits(clip));
        assert_eq!(words[2], 1 << 24);
        let most = i64::from(crate::masking::draw::largest_group(16));
        assert!(
            words
                .iter()
                .all(|word| i32::try_from(i64::from(*word) * most).is_ok())
        );
    }

    #[test]
    fn halves_go_to_the_even_one() {
        assert_eq!([-3, -1, 1, 3, 5].map(|sum| half_even(sum, 2)), [-2, 0, 0, 2, 2]);
    }
}
