//! Numbers that networks in tests are made of, the same wherever two implementations are compared.

/// `count` int8s that follow from a seed.
#[must_use]
pub fn numbers(seed: u64, count: usize) -> Vec<i8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8 as i8
        })
        .collect()
}

/// Seeds of the networks of one architecture out of `architectures`, so that all of them together have 10,000 layers.
pub fn seeds(case: usize, architectures: usize, layers: usize) -> impl Iterator<Item = u64> {
    let runs = 10_000_usize.div_ceil(architectures * layers);
    (0..runs).map(move |run| (case * 1000 + run) as u64)
}
