//! The groups of a round, from their sums: rows for a rule, or the exact mean of all.

use counterweight_primitives::MemberIndex;

use super::vector::{WordFormat, half_even};
use crate::{
    aggregate::{AggregateError, WeightedSum},
    rules::{Inputs, Row, Rows, Rule, RuleError},
    study::privacy::member::longest,
    update::{FRACTION_BITS, LARGEST_CLIP, rescale},
};

/// What is known of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedGroup {
    /// Its survivors, whose vectors were summed.
    pub members: Vec<MemberIndex>,
    /// Sum of their weights.
    pub weight: u32,
    /// Its mean in units of 2^-24, scaled down to the clip where it is beyond.
    mean: Vec<i32>,
    /// Weight times mean, exact where the mean is within the clip.
    sums: Vec<i64>,
}

/// The groups of a round, in the order they were drawn. Those left out are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedGroups {
    groups: Vec<MaskedGroup>,
    coordinates: usize,
}

impl MaskedGroup {
    /// A group from its sum, the weights' last. Nothing where the weights cannot be those of so many members: the sum
    /// then holds a lie, and the group counts for nothing.
    ///
    /// A mean of updates within a clip is within it, but for their rounding and noise: a longer one holds a lie too, and is
    /// scaled down.
    #[must_use]
    pub fn of_sum(members: Vec<MemberIndex>, sum: &[i32], format: &WordFormat) -> Option<Self> {
        let (weight, words) = sum.split_last()?;
        let count = u32::try_from(members.len()).ok()?;
        let weight = u32::try_from(*weight).ok()?;
        if weight < count || u64::from(weight) > u64::from(count) * u64::from(format.most_examples) {
            return None;
        }
        let WordFormat { bits, clip, .. } = *format;
        let unit = i128::from(format.most_examples) << (FRACTION_BITS - bits);
        let exact = |word: &i32| i128::from(*word) * unit;
        // Below 2^52, as `rescale` asks; no honest mean comes near.
        let most = 1_i128 << 52;
        let mean = |word: &i32| half_even(exact(word), weight.into()).clamp(-most, most) as i64;
        let plain: Vec<i64> = words.iter().map(mean).collect();
        let limit = match &format.release {
            // Each of `count` words was rounded by half a unit of 2^-bits at most.
            None => {
                let rounding =
                    (words.len() as f64).sqrt() * f64::from(count) * f64::from(format.most_examples)
                        / (2.0 * f64::from(weight) * f64::from(1_u32 << bits));
                clip + rounding
            }
            Some(release) => longest(release, count.into()).ok()?,
        };
        let limit = limit.min(LARGEST_CLIP);
        let mean = rescale(plain.iter().copied(), limit);
        let within = mean
            .iter()
            .zip(&plain)
            .all(|(mean, plain)| i64::from(*mean) == *plain);
        let sums = match within {
            // The mean is below 2^31 and the weight below 2^30, so their product and these fit.
            true => words.iter().map(|word| exact(word) as i64).collect(),
            false => mean
                .iter()
                .map(|mean| i64::from(*mean) * i64::from(weight))
                .collect(),
        };
        Some(Self {
            members,
            weight,
            mean,
            sums,
        })
    }
}

impl MaskedGroups {
    /// Groups of a model of so many parameters.
    #[must_use]
    pub fn new(groups: Vec<MaskedGroup>, coordinates: usize) -> Self {
        Self { groups, coordinates }
    }

    /// Them.
    #[must_use]
    pub fn as_slice(&self) -> &[MaskedGroup] {
        &self.groups
    }

    /// Weights of all together.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.groups.iter().map(|group| u64::from(group.weight)).sum()
    }

    /// What all groups give under a rule, or without one by their exact weighted mean: the mean by weight of every
    /// survivor's quantised update.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn combine(&self, rule: Option<&Rule>, inputs: &Inputs<'_>) -> Result<WeightedSum, RuleError> {
        let all: Vec<&MaskedGroup> = self.groups.iter().collect();
        match rule {
            None => self.mean(&all),
            Some(rule) => rule.combine(&rows(&all)?, inputs),
        }
    }

    /// What they give without one, named by its place here; nothing if no other is left.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn combine_without(
        &self,
        left_out: usize,
        rule: Option<&Rule>,
        inputs: &Inputs<'_>,
    ) -> Result<Option<WeightedSum>, RuleError> {
        let others = self.groups.iter().enumerate();
        let others: Vec<_> = others
            .filter_map(|(at, group)| (at != left_out).then_some(group))
            .collect();
        if others.is_empty() {
            return Ok(None);
        }
        match rule {
            None => self.mean(&others).map(Some),
            Some(rule) => rule.combine_few(&rows(&others)?, inputs).map(Some),
        }
    }

    fn mean(&self, groups: &[&MaskedGroup]) -> Result<WeightedSum, RuleError> {
        if groups.is_empty() {
            return Err(AggregateError::Empty.into());
        }
        let mut sum = WeightedSum::new(self.coordinates);
        for (index, group) in groups.iter().enumerate() {
            let part = WeightedSum {
                sums: group.sums.clone(),
                examples: group.weight.into(),
            };
            sum.merge(index, &part)?;
        }
        Ok(sum)
    }
}

fn rows<'a>(groups: &[&'a MaskedGroup]) -> Result<Rows<'a>, RuleError> {
    let row = |(owner, group): (u32, &&'a MaskedGroup)| Row {
        owner,
        weight: group.weight,
        coordinates: &group.mean,
    };
    Rows::new((0..).zip(groups).map(row).collect())
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::{ContentDigest, Round, StudyId};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        masked::vector::masked_words,
        study::masking::Masking,
        update::{CheckedUpdate, Update, UpdateRules},
    };

    const CLIP: f64 = 2.0;

    fn masking(most_examples: u32) -> Masking {
        Masking {
            group_size: 3,
            threshold_percent: 66,
            fewest_survivors: 3,
            most_examples,
            dispute_seconds: 0,
        }
    }

    fn update(member: u8, examples: u32, coordinates: Vec<i32>) -> CheckedUpdate {
        let rules = UpdateRules {
            study: StudyId(1),
            round: Round(1),
            base: ContentDigest([1; 32]),
            coordinates: coordinates.len(),
            clip: CLIP,
            most_examples: 1 << 26,
        };
        let update = Update {
            study: StudyId(1),
            round: Round(1),
            member: MemberIndex(member),
            base: ContentDigest([1; 32]),
            examples,
            coordinates,
        };
        update.check(&rules, MemberIndex(member)).unwrap()
    }

    fn group(updates: &[CheckedUpdate], masking: &Masking) -> (Vec<i32>, Option<MaskedGroup>) {
        let mut sum = vec![0_i32; updates[0].get().coordinates.len() + 1];
        for update in updates {
            for (sum, word) in sum
                .iter_mut()
                .zip(masked_words(update, &WordFormat::plain(masking, CLIP)))
            {
                *sum += word;
            }
        }
        let members = updates.iter().map(|update| update.get().member).collect();
        let made = MaskedGroup::of_sum(members, &sum, &WordFormat::plain(masking, CLIP));
        (sum, made)
    }

    proptest! {
        /// However members are grouped, the mean is the one of all their quantised updates, to the bit.
        #[test]
        fn the_mean_over_groups_is_the_mean_over_members(
            rows in proptest::collection::vec((1_u32..4000, -(1_i32 << 23)..1 << 23, -(1_i32 << 23)..1 << 23), 3..20),
            most in 1_u32..5000,
        ) {
            let masking = masking(most);
            let updates: Vec<_> = rows.iter().zip(0..).map(|((n, a, b), i)| update(i, *n, vec![*a, *b])).collect();
            let together = |size: usize| {
                let groups = updates.chunks(size).map(|part| group(part, &masking).1.unwrap()).collect();
                MaskedGroups::new(groups, 2).combine(None, &Inputs::default()).unwrap()
            };
            let unit = i64::from(most) << (24 - masking.bits(CLIP));
            let mut expected = WeightedSum::new(2);
            for update in &updates {
                let words = masked_words(update, &WordFormat::plain(&masking, CLIP));
                let part = WeightedSum {
                    sums: words[..2].iter().map(|word| i64::from(*word) * unit).collect(),
                    examples: words[2] as u64,
                };
                expected.merge(0, &part).unwrap();
            }
            for size in [3, 4, 5] {
                prop_assert_eq!(&together(size), &expected);
            }
            // And it is the plain mean but for the rounding of words.
            let plain = WeightedSum::of(2, &updates).unwrap().mean().unwrap();
            if rows.iter().all(|(n, ..)| *n <= most) {
                let error = f64::from(most) / f64::from(1_u32 << masking.bits(CLIP));
                for (got, plain) in expected.mean().unwrap().iter().zip(plain) {
                    prop_assert!((got - plain).abs() <= error, "{got} {plain}");
                }
            }
        }
    }

    #[test]
    fn weights_that_no_members_have_take_the_group_out() {
        let masking = masking(100);
        let updates: Vec<_> = (0..3).map(|i| update(i, 50, vec![1 << 20, 0])).collect();
        let (mut sum, made) = group(&updates, &masking);
        assert!(made.is_some());
        for weight in [2, 301, -1, i32::MIN] {
            *sum.last_mut().unwrap() = weight;
            assert_eq!(
                MaskedGroup::of_sum(vec![MemberIndex(0); 3], &sum, &WordFormat::plain(&masking, CLIP)),
                None
            );
        }
    }

    #[test]
    fn a_mean_beyond_the_clip_is_scaled_down() {
        let masking = masking(100);
        let updates: Vec<_> = (0..3).map(|i| update(i, 50, vec![2 << 24, 0])).collect();
        let (mut sum, made) = group(&updates, &masking);
        assert_eq!(made.unwrap().mean, [2 << 24, 0]);
        sum[0] = i32::MAX;
        sum[1] = i32::MIN;
        let made =
            MaskedGroup::of_sum(vec![MemberIndex(0); 3], &sum, &WordFormat::plain(&masking, CLIP)).unwrap();
        let norm = made
            .mean
            .iter()
            .map(|x| f64::from(*x).powi(2))
            .sum::<f64>()
            .sqrt()
            / 16_777_216.0;
        assert!(norm <= CLIP + 1e-3 && norm > CLIP - 1e-3, "{norm}");
        let sums = MaskedGroups::new(vec![made], 2);
        let mean = sums.combine(None, &Inputs::default()).unwrap().mean().unwrap();
        assert!((mean[0].hypot(mean[1]) - norm).abs() < 1e-9);
    }
}
