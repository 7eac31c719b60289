//! Operations on sixteen 32-bit lanes.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_set4_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_srli_epi32, _mm512_storeu_si512,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};

use crate::BLOCK_BYTES;

/// Truth tables of `_mm512_ternarylogic_epi32`.
const XOR: i32 = 0x96;
const CHOICE: i32 = 0xCA;
const MAJORITY: i32 = 0xE8;

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn load(words: &[u32; 16]) -> __m512i {
    // SAFETY: the array has the 64 bytes that are read; the instruction asks for no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_block(block: &[u8; BLOCK_BYTES]) -> __m512i {
    // SAFETY: the array has the 64 bytes that are read; the instruction asks for no alignment.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn store(words: &mut [u32; 16], value: __m512i) {
    // SAFETY: the array has the 64 bytes that are written; the instruction asks for no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn add(x: __m512i, y: __m512i) -> __m512i {
    _mm512_add_epi32(x, y)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn choice(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<CHOICE>(x, y, z)
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn majority(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<MAJORITY>(x, y, z)
}

/// Σ0 of FIPS 180-4, section 4.1.2.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn upper_zero(x: __m512i) -> __m512i {
    let (a, b, c) = (
        _mm512_ror_epi32::<2>(x),
        _mm512_ror_epi32::<13>(x),
        _mm512_ror_epi32::<22>(x),
    );
    _mm512_ternarylogic_epi32::<XOR>(a, b, c)
}

/// Σ1.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn upper_one(x: __m512i) -> __m512i {
    let (a, b, c) = (
        _mm512_ror_epi32::<6>(x),
        _mm512_ror_epi32::<11>(x),
        _mm512_ror_epi32::<25>(x),
    );
    _mm512_ternarylogic_epi32::<XOR>(a, b, c)
}

/// σ0.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn lower_zero(x: __m512i) -> __m512i {
    let (a, b, c) = (
        _mm512_ror_epi32::<7>(x),
        _mm512_ror_epi32::<18>(x),
        _mm512_srli_epi32::<3>(x),
    );
    _mm512_ternarylogic_epi32::<XOR>(a, b, c)
}

/// σ1.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn lower_one(x: __m512i) -> __m512i {
    let (a, b, c) = (
        _mm512_ror_epi32::<17>(x),
        _mm512_ror_epi32::<19>(x),
        _mm512_srli_epi32::<10>(x),
    );
    _mm512_ternarylogic_epi32::<XOR>(a, b, c)
}

/// Word `i` of every block in vector `i`, with the bytes of each word turned around.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(in super::super) fn transpose(blocks: &[&[u8; BLOCK_BYTES]; 16]) -> [__m512i; 16] {
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let zero = _mm512_setzero_si512();
    let mut rows = [zero; 16];
    for (row, block) in rows.iter_mut().zip(blocks) {
        *row = _mm512_shuffle_epi8(load_block(block), swap);
    }
    // Four rows at a time: quarter `q` of vector `j` then holds word 4q + j of the four.
    let mut quarters = [zero; 16];
    for (from, to) in rows
        .as_chunks::<4>()
        .0
        .iter()
        .zip(quarters.as_chunks_mut::<4>().0)
    {
        let low = [
            _mm512_unpacklo_epi32(from[0], from[1]),
            _mm512_unpacklo_epi32(from[2], from[3]),
        ];
        let high = [
            _mm512_unpackhi_epi32(from[0], from[1]),
            _mm512_unpackhi_epi32(from[2], from[3]),
        ];
        *to = [
            _mm512_unpacklo_epi64(low[0], low[1]),
            _mm512_unpackhi_epi64(low[0], low[1]),
            _mm512_unpacklo_epi64(high[0], high[1]),
            _mm512_unpackhi_epi64(high[0], high[1]),
        ];
    }
    let mut words = [zero; 16];
    for j in 0..4 {
        let (a, b, c, d) = (quarters[j], quarters[4 + j], quarters[8 + j], quarters[12 + j]);
        let even = [
            _mm512_shuffle_i32x4::<0x88>(a, b),
            _mm512_shuffle_i32x4::<0x88>(c, d),
        ];
        let odd = [
            _mm512_shuffle_i32x4::<0xDD>(a, b),
            _mm512_shuffle_i32x4::<0xDD>(c, d),
        ];
        words[j] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        words[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        words[8 + j] = _mm512_shuffle_i32x4::<0xDD>(even[0], even[1]);
        words[12 + j] = _mm512_shuffle_i32x4::<0xDD>(odd[0], odd[1]);
    }
    words
}
