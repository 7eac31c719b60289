//! Operations on eight 32-bit lanes.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use crate::BLOCK_BYTES;

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn load(words: &[u32; 8]) -> __m256i {
    // SAFETY: the array has the 32 bytes that are read; the instruction asks for no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(bytes: &[u8; BLOCK_BYTES / 2]) -> __m256i {
    // SAFETY: the array has the 32 bytes that are read; the instruction asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn store(words: &mut [u32; 8], value: __m256i) {
    // SAFETY: the array has the 32 bytes that are written; the instruction asks for no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn add(x: __m256i, y: __m256i) -> __m256i {
    _mm256_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn choice(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z)))
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn majority(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_or_si256(
        _mm256_and_si256(x, y),
        _mm256_and_si256(z, _mm256_or_si256(x, y)),
    )
}

/// Rotates right by `RIGHT`, which is 32 less `LEFT`: there is no instruction for it before AVX-512.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const RIGHT: i32, const LEFT: i32>(x: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi32::<RIGHT>(x), _mm256_slli_epi32::<LEFT>(x))
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor(x: __m256i, y: __m256i, z: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(x, y), z)
}

/// Σ0 of FIPS 180-4, section 4.1.2.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn upper_zero(x: __m256i) -> __m256i {
    xor(rotate::<2, 30>(x), rotate::<13, 19>(x), rotate::<22, 10>(x))
}

/// Σ1.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn upper_one(x: __m256i) -> __m256i {
    xor(rotate::<6, 26>(x), rotate::<11, 21>(x), rotate::<25, 7>(x))
}

/// σ0.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn lower_zero(x: __m256i) -> __m256i {
    xor(
        rotate::<7, 25>(x),
        rotate::<18, 14>(x),
        _mm256_srli_epi32::<3>(x),
    )
}

/// σ1.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn lower_one(x: __m256i) -> __m256i {
    xor(
        rotate::<17, 15>(x),
        rotate::<19, 13>(x),
        _mm256_srli_epi32::<10>(x),
    )
}

/// Word `i` of every block in vector `i`, with the bytes of each word turned around.
#[inline]
#[target_feature(enable = "avx2")]
pub(in super::super) fn transpose(blocks: &[&[u8; BLOCK_BYTES]; 8]) -> [__m256i; 16] {
    let swap = _mm256_setr_epi32(
        0x0001_0203,
        0x0405_0607,
        0x0809_0a0b,
        0x0c0d_0e0f,
        0x0001_0203,
        0x0405_0607,
        0x0809_0a0b,
        0x0c0d_0e0f,
    );
    let zero = _mm256_setzero_si256();
    let mut words = [zero; 16];
    for (half, words) in words.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut rows = [zero; 8];
        for (row, block) in rows.iter_mut().zip(blocks) {
            *row = _mm256_shuffle_epi8(load_half(&block.as_chunks().0[half]), swap);
        }
        // Four rows at a time: half `q` of vector `j` then holds word 4q + j of the four.
        let mut quarters = [zero; 8];
        for (from, to) in rows
            .as_chunks::<4>()
            .0
            .iter()
            .zip(quarters.as_chunks_mut::<4>().0)
        {
            let low = [
                _mm256_unpacklo_epi32(from[0], from[1]),
                _mm256_unpacklo_epi32(from[2], from[3]),
            ];
            let high = [
                _mm256_unpackhi_epi32(from[0], from[1]),
                _mm256_unpackhi_epi32(from[2], from[3]),
            ];
            *to = [
                _mm256_unpacklo_epi64(low[0], low[1]),
                _mm256_unpackhi_epi64(low[0], low[1]),
                _mm256_unpacklo_epi64(high[0], high[1]),
                _mm256_unpackhi_epi64(high[0], high[1]),
            ];
        }
        for j in 0..4 {
            words[j] = _mm256_permute2x128_si256::<0x20>(quarters[j], quarters[4 + j]);
            words[4 + j] = _mm256_permute2x128_si256::<0x31>(quarters[j], quarters[4 + j]);
        }
    }
    words
}
