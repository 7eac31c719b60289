//! Which rows a member keeps for its own test.

use counterweight_primitives::ContentDigest;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

use crate::training::shuffle;

/// Training and test rows, each in the file's order: of every class the same part, to the nearest row, and never all
/// of it. Classes in order, rows of each shuffled by one generator made from the seed.
pub(super) fn stratified(labels: &[u32], test_fraction: f64, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let mut text = b"counterweight/split/v1".to_vec();
    text.extend_from_slice(&seed.to_le_bytes());
    let mut random = ChaCha20Rng::from_seed(ContentDigest::of(&text).0);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    let mut order: Vec<(u32, u32)> = labels.iter().copied().zip(0..).collect();
    order.sort_unstable();
    for class in order.chunk_by(|a, b| a.0 == b.0) {
        let mut rows: Vec<u32> = class.iter().map(|(_, row)| *row).collect();
        shuffle(&mut rows, &mut random);
        let part = (rows.len() as f64 * test_fraction).round_ties_even() as usize;
        let part = part.min(rows.len() - 1);
        test.extend_from_slice(&rows[..part]);
        train.extend_from_slice(&rows[part..]);
    }
    train.sort_unstable();
    test.sort_unstable();
    (train, test)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_is_in_one_part_and_every_class_in_training(
            labels in proptest::collection::vec(0_u32..4, 1..80),
            fraction in 0.0_f64..0.9,
            seed: u64,
        ) {
            let (train, test) = stratified(&labels, fraction, seed);
            let mut all = [train.clone(), test.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len() as u32).collect::<Vec<_>>());
            for class in 0..4 {
                let count = |rows: &[u32]| rows.iter().filter(|row| labels[**row as usize] == class).count();
                let (kept, tested) = (count(&train), count(&test));
                prop_assert!(kept > 0 || tested == 0);
                let wanted = fraction * (kept + tested) as f64;
                prop_assert!(tested as f64 <= wanted + 0.5);
                prop_assert!(tested as f64 >= wanted - 1.0);
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_split_everywhere() {
        let labels: Vec<u32> = (0..20).map(|row| row % 3).collect();
        assert_eq!(stratified(&labels, 0.25, 42).1, [0, 3, 4, 13, 14, 17]);
    }
}
