//! Dot products of int8 vectors.
//!
//! The loop is plain Rust that the compiler turns into vector instructions; which ones it may use is chosen at run time. All
//! give the same sums: a checked architecture keeps every partial sum inside 32 bits, and integer addition is associative.

/// Elements to which vectors are padded so that the loop has no rest.
pub(super) const LANES: usize = 32;

/// Dot products of `vector` with each row of `rows`, added to `sums`. Rows are as long as the vector.
pub(super) fn add_rows(rows: &[i8], vector: &[i8], sums: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    #[expect(
        unsafe_code,
        reason = "calling safe code that was compiled for newer processors"
    )]
    {
        if has_avx512() {
            // SAFETY: the processor has every instruction that the function was compiled for.
            unsafe { add_rows_avx512(rows, vector, sums) };
            return;
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            unsafe { add_rows_avx2(rows, vector, sums) };
            return;
        }
    }
    add_rows_plain(rows, vector, sums);
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && std::arch::is_x86_feature_detected!("avx512vnni")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn add_rows_avx512(rows: &[i8], vector: &[i8], sums: &mut [i32]) {
    add_rows_plain(rows, vector, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_rows_avx2(rows: &[i8], vector: &[i8], sums: &mut [i32]) {
    add_rows_plain(rows, vector, sums);
}

// Always inlined, so that the functions above compile it for their instructions.
#[inline(always)]
fn add_rows_plain(rows: &[i8], vector: &[i8], sums: &mut [i32]) {
    if vector.is_empty() {
        return;
    }
    for (row, sum) in rows.chunks_exact(vector.len()).zip(sums) {
        *sum = sum.wrapping_add(dot(row, vector));
    }
}

#[inline(always)]
fn dot(row: &[i8], vector: &[i8]) -> i32 {
    let (row_blocks, row_rest) = row.as_chunks::<LANES>();
    let (vector_blocks, vector_rest) = vector.as_chunks::<LANES>();
    let mut sum = 0_i32;
    for (left, right) in row_blocks.iter().zip(vector_blocks) {
        for lane in 0..LANES {
            // Nothing wraps: see above. Saying so spares builds with overflow checks a branch for each term.
            sum = sum.wrapping_add(i32::from(left[lane]).wrapping_mul(i32::from(right[lane])));
        }
    }
    for (left, right) in row_rest.iter().zip(vector_rest) {
        sum = sum.wrapping_add(i32::from(*left).wrapping_mul(i32::from(*right)));
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Every processor gives the plain sum.
        #[test]
        fn chosen_instructions_give_the_plain_sums(
            vector in proptest::collection::vec(any::<i8>(), 1..300),
            seed in any::<u64>(),
            rows in 1..6_usize,
        ) {
            let mut state = seed;
            let matrix: Vec<i8> = (0..rows * vector.len())
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8 as i8
                })
                .collect();
            let expected: Vec<i32> = matrix
                .chunks(vector.len())
                .map(|row| 7 + row.iter().zip(&vector).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>())
                .collect();
            let mut sums = vec![7; rows];
            add_rows(&matrix, &vector, &mut sums);
            prop_assert_eq!(&sums, &expected);
            let mut plain = vec![7; rows];
            add_rows_plain(&matrix, &vector, &mut plain);
            prop_assert_eq!(plain, expected);
        }
    }

    #[test]
    fn extreme_values_do_not_saturate() {
        for length in [1, 31, 32, 33, 64, 784] {
            let extreme = vec![-128_i8; length];
            let mut sums = vec![0];
            add_rows(&extreme, &extreme, &mut sums);
            assert_eq!(sums, [16_384 * length as i32]);
        }
    }
}
