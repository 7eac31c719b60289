//! Two messages interleaved on the SHA extensions of x86, whose rounds otherwise wait for each other.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi64x,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
    _mm_storeu_si128,
};

use crate::{
    BLOCK_BYTES, INITIAL, ROUNDS,
    backend::{Backend, Engine, Kind},
};

/// Made only where the processor has the instructions.
pub(crate) struct ShaExtensions(());

impl ShaExtensions {
    pub(crate) fn new(backend: Backend) -> Option<Self> {
        (backend.0 == Kind::ShaExtensions).then_some(Self(()))
    }
}

impl Engine<2> for ShaExtensions {
    type States = [[u32; 8]; 2];

    fn start(&self) -> Self::States {
        [INITIAL; 2]
    }

    fn set(&self, states: &mut Self::States, lane: usize, state: [u32; 8]) {
        states[lane] = state;
    }

    fn compress(&self, states: &mut Self::States, blocks: &[&[[u8; BLOCK_BYTES]]; 2]) {
        let [first, second] = blocks;
        for blocks in first.iter().zip(*second) {
            // SAFETY: a value of this type exists only where `Backend::available` has found `sha`, `ssse3` and
            // `sse4.1`.
            unsafe { compress(states, &blocks.into()) }
        }
    }

    fn state(&self, states: &Self::States, lane: usize) -> [u32; 8] {
        states[lane]
    }
}

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
fn unpack(state: &[u32; 8]) -> [__m128i; 2] {
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
fn pack(state: &mut [u32; 8], [abef, cdgh]: [__m128i; 2]) {
    let feba = _mm_shuffle_epi32::<0x1B>(abef);
    let dchg = _mm_shuffle_epi32::<0xB1>(cdgh);
    let (halves, _) = state.as_chunks_mut::<4>();
    if let [low, high] = halves {
        store(low, _mm_blend_epi16::<0xF0>(feba, dchg));
        store(high, _mm_alignr_epi8::<8>(dchg, feba));
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn compress(states: &mut [[u32; 8]; 2], blocks: &[&[u8; BLOCK_BYTES]; 2]) {
    // Turns the bytes of each word around.
    let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let zero = _mm_set_epi64x(0, 0);
    let mut words = [[zero; 4]; 2];
    let mut state = [[zero; 2]; 2];
    for lane in 0..2 {
        for (word, bytes) in words[lane].iter_mut().zip(blocks[lane].as_chunks::<16>().0) {
            *word = _mm_shuffle_epi8(load_bytes(bytes), swap);
        }
        state[lane] = unpack(&states[lane]);
    }
    let before = state;
    // Four rounds a step; the words of the next four are made in the place of those used four steps before.
    macro_rules! step {
        ($at:literal, $schedule:expr) => {
            for lane in 0..2 {
                let words = &mut words[lane];
                let [abef, cdgh] = &mut state[lane];
                let here = $at % 4;
                if $schedule {
                    let (next, last, older) = (($at + 1) % 4, ($at + 3) % 4, ($at + 2) % 4);
                    let sum = _mm_add_epi32(
                        _mm_sha256msg1_epu32(words[here], words[next]),
                        _mm_alignr_epi8::<4>(words[last], words[older]),
                    );
                    words[here] = _mm_sha256msg2_epu32(sum, words[last]);
                }
                let constants = load(&ROUNDS.as_chunks::<4>().0[$at]);
                let both = _mm_add_epi32(words[here], constants);
                *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, both);
                *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0E>(both));
            }
        };
    }
    step!(0, false);
    step!(1, false);
    step!(2, false);
    step!(3, false);
    step!(4, true);
    step!(5, true);
    step!(6, true);
    step!(7, true);
    step!(8, true);
    step!(9, true);
    step!(10, true);
    step!(11, true);
    step!(12, true);
    step!(13, true);
    step!(14, true);
    step!(15, true);
    for lane in 0..2 {
        let sum = [
            _mm_add_epi32(state[lane][0], before[lane][0]),
            _mm_add_epi32(state[lane][1], before[lane][1]),
        ];
        pack(&mut states[lane], sum);
    }
}
