//! Which rows each step takes.

use counterweight_primitives::ContentDigest;
use rand_chacha::{ChaCha20Rng, rand_core::RngCore, rand_core::SeedableRng};

/// Where a member's shuffles in one round start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShuffleSeed(pub [u8; 32]);

impl ShuffleSeed {
    /// Of a study's seed, a round and whose shuffle it is: `who` is any bytes that stay the same wherever the member
    /// runs, such as its dataset's name.
    #[must_use]
    pub fn derive(seed: u64, round: u32, who: &[u8]) -> Self {
        let mut bytes = b"counterweight/shuffle/v1".to_vec();
        bytes.extend_from_slice(&seed.to_le_bytes());
        bytes.extend_from_slice(&round.to_le_bytes());
        bytes.extend_from_slice(who);
        Self(ContentDigest::of(&bytes).0)
    }
}

/// Batches without replacement; every pass over the rows is a new shuffle.
pub(super) struct Batches {
    order: Vec<u32>,
    next: usize,
    batch: usize,
    random: ChaCha20Rng,
}

impl Batches {
    pub(super) fn new(rows: usize, batch: usize, seed: ShuffleSeed) -> Self {
        let rows = u32::try_from(rows).expect("a dataset holds fewer than 2^32 rows");
        Self {
            order: (0..rows).collect(),
            next: rows as usize,
            batch,
            random: ChaCha20Rng::from_seed(seed.0),
        }
    }

    pub(super) fn next_batch(&mut self) -> &[u32] {
        if self.next >= self.order.len() {
            shuffle(&mut self.order, &mut self.random);
            self.next = 0;
        }
        let start = self.next;
        self.next = self.order.len().min(start + self.batch);
        &self.order[start..self.next]
    }
}

/// Fisher and Yates, from the end; indices by the multiply-and-shift of Lemire (2019) with rejection, so that each is
/// equally likely.
pub(crate) fn shuffle(items: &mut [u32], random: &mut ChaCha20Rng) {
    for last in (1..items.len()).rev() {
        let bound = u32::try_from(last + 1).expect("a dataset holds fewer than 2^32 rows");
        items.swap(last, below(bound, random) as usize);
    }
}

fn below(bound: u32, random: &mut ChaCha20Rng) -> u32 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(random.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pass_takes_every_row_once() {
        let mut batches = Batches::new(10, 4, ShuffleSeed([3; 32]));
        for _ in 0..5 {
            let sizes: Vec<usize> = (0..2).map(|_| batches.next_batch().len()).collect();
            assert_eq!(sizes, [4, 4]);
            assert_eq!(batches.next_batch().len(), 2);
            let mut order = batches.order.clone();
            order.sort_unstable();
            assert_eq!(order, (0..10).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn rounds_and_members_shuffle_differently() {
        let seed = ShuffleSeed::derive(1, 1, b"a");
        assert_ne!(seed, ShuffleSeed::derive(1, 2, b"a"));
        assert_ne!(seed, ShuffleSeed::derive(1, 1, b"b"));
        assert_ne!(seed, ShuffleSeed::derive(2, 1, b"a"));
    }
}
