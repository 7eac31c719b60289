//! Messages interleaved on the SHA extensions of x86: a round waits four cycles for the one before it, and rounds of other
//! messages fill the waiting.
//!
//! Two messages fit sixteen registers. Four need more, which AVX-512 brings; in sixteen their words went through memory and
//! gained little.

use std::arch::x86_64::{
    __m128i, _MM_HINT_T0, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_prefetch,
    _mm_set_epi64x, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32, _mm_storeu_si128,
};

use crate::{BLOCK_BYTES, ROUNDS};

/// Bytes beyond a block that are asked for while it is hashed, whose addresses are then translated in time too: processors fetch
/// ahead by themselves within a page only.
pub(crate) const AHEAD: usize = 16 << 10;

/// An engine whose states are those of its messages one after the other.
macro_rules! engine {
    ($(#[$doc:meta])* $engine:ident, $lanes:literal, $compress:ident) => {
        $(#[$doc])*
        pub(crate) struct $engine(());

        impl $engine {
            pub(crate) fn new(backend: crate::backend::Backend) -> Option<Self> {
                (backend.0 == crate::backend::Kind::$engine).then_some(Self(()))
            }
        }

        impl crate::backend::Engine<$lanes> for $engine {
            type States = [[u32; 8]; $lanes];

            fn start(&self) -> Self::States {
                [crate::INITIAL; $lanes]
            }

            fn set(&self, states: &mut Self::States, lane: usize, state: [u32; 8]) {
                states[lane] = state;
            }

            fn compress(&self, states: &mut Self::States, blocks: &[&[[u8; BLOCK_BYTES]]; $lanes]) {
                // SAFETY: a value of this type exists only where `Backend::available` has found these instructions.
                unsafe { $compress(states, blocks) }
            }

            fn state(&self, states: &Self::States, lane: usize) -> [u32; 8] {
                states[lane]
            }
        }
    };
}

pub(crate) use engine;

macro_rules! interleaved {
    ($compress:ident, $lanes:literal, $feature:literal) => {
        #[target_feature(enable = $feature)]
        fn $compress(states: &mut [[u32; 8]; $lanes], blocks: &[&[[u8; BLOCK_BYTES]]; $lanes]) {
            // Turns the bytes of each word around.
            let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
            let zero = _mm_set_epi64x(0, 0);
            let mut state = [[zero; 2]; $lanes];
            for (halves, words) in state.iter_mut().zip(&*states) {
                *halves = unpack(words);
            }
            let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
            for at in 0..count {
                let before = state;
                let mut words = [[zero; 4]; $lanes];
                for (words, blocks) in words.iter_mut().zip(blocks) {
                    _mm_prefetch::<_MM_HINT_T0>(blocks[at].as_ptr().wrapping_add(AHEAD).cast());
                    for (word, bytes) in words.iter_mut().zip(blocks[at].as_chunks::<16>().0) {
                        *word = _mm_shuffle_epi8(load_bytes(bytes), swap);
                    }
                }
                // Four rounds a step. The words of four steps later are made in the place of those just used, long before they
                // are needed.
                macro_rules! step {
                    ($at:literal, $schedule:expr) => {
                        let constants = load(&ROUNDS.as_chunks::<4>().0[$at]);
                        for (words, [abef, cdgh]) in words.iter_mut().zip(&mut state) {
                            let here = $at % 4;
                            let both = _mm_add_epi32(words[here], constants);
                            *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, both);
                            *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0E>(both));
                            if $schedule {
                                let (next, last, older) = (($at + 1) % 4, ($at + 3) % 4, ($at + 2) % 4);
                                let sum = _mm_add_epi32(
                                    _mm_sha256msg1_epu32(words[here], words[next]),
                                    _mm_alignr_epi8::<4>(words[last], words[older]),
                                );
                                words[here] = _mm_sha256msg2_epu32(sum, words[last]);
                            }
                        }
                    };
                }
                step!(0, true);
                step!(1, true);
                step!(2, true);
                step!(3, true);
                step!(4, true);
                step!(5, true);
                step!(6, true);
                step!(7, true);
                step!(8, true);
                step!(9, true);
                step!(10, true);
                step!(11, true);
                step!(12, false);
                step!(13, false);
                step!(14, false);
                step!(15, false);
                for (halves, before) in state.iter_mut().zip(before) {
                    for (half, before) in halves.iter_mut().zip(before) {
                        *half = _mm_add_epi32(*half, before);
                    }
                }
            }
            for (words, halves) in states.iter_mut().zip(state) {
                pack(words, halves);
            }
        }
    };
}

engine! {
    /// Two messages. Made only where the processor has the instructions.
    ShaPair, 2, compress_pair
}
interleaved!(compress_pair, 2, "sha,ssse3,sse4.1");

engine! {
    /// Four messages. Made only where the processor has the instructions.
    ShaFour, 4, compress_four
}
interleaved!(compress_four, 4, "sha,ssse3,sse4.1,avx512f,avx512vl");

#[inline]
#[target_feature(enable = "sse2")]
fn load(words: &[u32; 4]) -> __m128i {
    // SAFETY: the array has the 16 bytes that are read; the instruction asks for no alignment.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_bytes(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the array has the 16 bytes that are read; the instruction asks for no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn store(words: &mut [u32; 4], value: __m128i) {
    // SAFETY: the array has the 16 bytes that are written; the instruction asks for no alignment.
    unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), value) }
}

/// The two halves of a state in the order of the instructions: words A B E F and C D G H, the highest first.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(crate) fn unpack(state: &[u32; 8]) -> [__m128i; 2] {
    let [a, b, c, d, e, f, g, h] = *state;
    let cdab = _mm_shuffle_epi32::<0xB1>(load(&[a, b, c, d]));
    let efgh = _mm_shuffle_epi32::<0x1B>(load(&[e, f, g, h]));
    [
        _mm_alignr_epi8::<8>(cdab, efgh),
        _mm_blend_epi16::<0xF0>(efgh, cdab),
    ]
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(crate) fn pack(state: &mut [u32; 8], [abef, cdgh]: [__m128i; 2]) {
    let feba = _mm_shuffle_epi32::<0x1B>(abef);
    let dchg = _mm_shuffle_epi32::<0xB1>(cdgh);
    let (halves, _) = state.as_chunks_mut::<4>();
    if let [low, high] = halves {
        store(low, _mm_blend_epi16::<0xF0>(feba, dchg));
        store(high, _mm_alignr_epi8::<8>(dchg, feba));
    }
}
