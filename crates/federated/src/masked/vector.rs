//! A member's vector: its update times its weight, and the weight itself, in the fixed point of its group.
//!
//! A vector has one word for each parameter and one for the weight w, the member's examples up to the most M that the
//! terms count: word i is w · x_i / M at as many bits after the point as the sum of the largest group leaves. So a
//! group's weighted mean is the sum's words times M over the sum of weights, whoever is in it.

use crate::{
    study::masking::Masking,
    update::{CheckedUpdate, FRACTION_BITS},
};

/// What a member masks.
#[must_use]
pub fn masked_words(update: &CheckedUpdate, masking: &Masking, clip: f64) -> Vec<i32> {
    let update = update.get();
    let weight = i64::from(update.examples.min(masking.most_examples));
    // At most 2^24 · 2^24: a divisor far from overflow, as is 2^24 · 2^31 above it.
    let divisor = i64::from(masking.most_examples) << (FRACTION_BITS - masking.bits(clip));
    let word = |coordinate: &i32| half_even(i128::from(weight * i64::from(*coordinate)), divisor) as i32;
    let mut words: Vec<i32> = update.coordinates.iter().map(word).collect();
    words.push(weight as i32);
    words
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
        let words = masked_words(&update.check(&rules, MemberIndex(0)).unwrap(), &masking, clip);
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
