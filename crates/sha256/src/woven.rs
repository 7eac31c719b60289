//! Eight messages: their words are made in vectors while the SHA extensions do rounds and nothing else.
//!
//! The unit for rounds can start two of them every cycle. The extensions have instructions for words too, but each is several
//! operations, and these and the moves between sixteen registers are what four messages in [`crate::sha_extensions`] wait for.
//! Here the words of a block are made as in [`crate::lanes`], beside the rounds of the block before, and the processor does both
//! at once. Vectors of 256 bits: wider ones hold the pipe that rounds need for two cycles each.
//!
//! That inner loop is written in assembly, for its order is what it is about: compilers put all words first and then all rounds,
//! or load the words of many rounds at once and take them apart again, and then it is no faster than four messages are.

use std::arch::{
    asm,
    x86_64::{
        __m128i, __m256i, _MM_HINT_T0, _mm_add_epi32, _mm_prefetch, _mm_setzero_si128, _mm256_loadu2_m128i,
        _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_unpackhi_epi32,
        _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    },
};

use crate::{
    BLOCK_BYTES, ROUNDS,
    sha_extensions::{AHEAD, engine, pack, unpack},
};

engine! {
    /// Eight messages. Made only where the processor has the instructions.
    Woven, 8, compress
}

/// For every two rounds the two words they take, constants added, of each message.
#[repr(align(64))]
struct Words([[[u32; 2]; 8]; 32]);

/// A state in the order of the instructions: words A B E F and C D G H.
type Halves = [__m128i; 2];

#[target_feature(enable = "sha,ssse3,sse4.1,avx2,avx512f,avx512vl")]
fn compress(states: &mut [[u32; 8]; 8], blocks: &[&[[u8; BLOCK_BYTES]]; 8]) {
    let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
    if count == 0 {
        return;
    }
    let mut halves = [[_mm_setzero_si128(); 2]; 8];
    for (halves, words) in halves.iter_mut().zip(&*states) {
        *halves = unpack(words);
    }
    let mut words = [const { Words([[[0; 2]; 8]; 32]) }; 2];
    let [mut now, mut next] = words.each_mut();
    // The words of the first block are made beside rounds of nothing, and the rounds of the last beside words that nobody needs.
    let mut nothing = halves;
    weave(&mut nothing, now, next, &all_at(blocks, 0));
    for at in 1..=count {
        (now, next) = (next, now);
        weave(&mut halves, now, next, &all_at(blocks, at.min(count - 1)));
    }
    for (words, halves) in states.iter_mut().zip(halves) {
        pack(words, halves);
    }
}

fn all_at<'a>(blocks: &[&'a [[u8; BLOCK_BYTES]]; 8], at: usize) -> [&'a [u8; BLOCK_BYTES]; 8] {
    blocks.map(|blocks| &blocks[at])
}

/// Rounds with the words of `now`, and beside them the words of `blocks` into `next`.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1,avx2,avx512f,avx512vl")]
fn weave(states: &mut [Halves; 8], now: &Words, next: &mut Words, blocks: &[&[u8; BLOCK_BYTES]; 8]) {
    let mut words = [_mm256_setzero_si256(); 16];
    let (fours, _) = states.as_chunks_mut::<4>();
    let [first, second] = fours else {
        return;
    };
    // Written out with constants, so that words and states stay in registers.
    macro_rules! given {
        ($four:ident: $($pair:literal)*) => {$(
            if $pair % 2 == 0 {
                let at = $pair / 2;
                let [a, b, c, d] = transpose(blocks, at);
                words[4 * at] = a;
                words[4 * at + 1] = b;
                words[4 * at + 2] = c;
                words[4 * at + 3] = d;
            }
            _mm_prefetch::<_MM_HINT_T0>(blocks[$pair].as_ptr().wrapping_add(AHEAD).cast());
            weave_given::<$pair>(&mut $four, now, next, &words);
        )*};
    }
    macro_rules! scheduled {
        ($four:ident from $lane:literal: $($pair:literal)*) => {$(
            weave_scheduled::<$pair, $lane>(&mut $four, now, next, &mut words);
        )*};
    }
    let mut four = *first;
    given!(four: 0 1 2 3 4 5 6 7);
    scheduled!(four from 0: 8 9 10 11 12 13 14 15);
    add_to(first, &four);
    let mut four = *second;
    scheduled!(four from 4: 16 17 18 19 20 21 22 23);
    scheduled!(four from 4: 24 25 26 27 28 29 30 31);
    add_to(second, &four);
}

/// Two rounds of one message: what was A B E F is C D G H after them. `at` counts bytes from the words of the first message.
macro_rules! two_rounds {
    ($cdgh:literal $abef:literal $at:literal) => {
        concat!(
            "vmovq xmm0, qword ptr [{now} + {from} + ",
            $at,
            "]\n",
            "sha256rnds2 {",
            $cdgh,
            "}, {",
            $abef,
            "}, xmm0",
        )
    };
}

/// Instructions for four rounds of four messages from `lane` on and for words `2 * pair` and `2 * pair + 1` of the next block, with
/// the operands that all of them have.
macro_rules! weave {
    ($pair:ident, $lane:expr, $four:ident, $now:ident, $next:ident, [$($operand:tt)*], $($line:expr),* $(,)?) => {
        let [[a0, c0], [a1, c1], [a2, c2], [a3, c3]] = $four;
        // SAFETY: reads the words of these rounds and writes those of `pair`, and is called where there are these instructions
        // alone.
        unsafe {
            asm!(
                $($line,)*
                now = in(reg) $now.0.as_ptr(),
                from = const 2 * $pair % 32 * size_of::<[[u32; 2]; 8]>() + $lane * size_of::<[u32; 2]>(),
                next = in(reg) $next.0.as_mut_ptr(),
                to = const $pair * size_of::<[[u32; 2]; 8]>(),
                constants = in(reg) &ROUNDS,
                constant = const $pair * size_of::<[u32; 2]>(),
                a0 = inout(xmm_reg) *a0,
                c0 = inout(xmm_reg) *c0,
                a1 = inout(xmm_reg) *a1,
                c1 = inout(xmm_reg) *c1,
                a2 = inout(xmm_reg) *a2,
                c2 = inout(xmm_reg) *c2,
                a3 = inout(xmm_reg) *a3,
                c3 = inout(xmm_reg) *c3,
                $($operand)*
                x = out(ymm_reg) _,
                y = out(ymm_reg) _,
                z = out(ymm_reg) _,
                out("xmm0") _,
                options(nostack, preserves_flags),
            );
        }
    };
}

/// Four rounds of the first four messages, and beside them two of the words that blocks consist of.
#[inline]
#[target_feature(enable = "sha,avx512f,avx512vl")]
fn weave_given<const PAIR: usize>(
    four: &mut [Halves; 4],
    now: &Words,
    next: &mut Words,
    words: &[__m256i; 16],
) {
    let [even, odd] = [words[2 * PAIR], words[2 * PAIR + 1]];
    weave!(
        PAIR, 0, four, now, next,
        [even = in(zmm_reg) even, odd = in(zmm_reg) odd,],
        two_rounds!("c0" "a0" "0"),
        two_rounds!("c1" "a1" "8"),
        "vpaddd {x:y}, {even:y}, dword ptr [{constants} + {constant}]{{1to8}}",
        two_rounds!("c2" "a2" "16"),
        two_rounds!("c3" "a3" "24"),
        "vpaddd {y:y}, {odd:y}, dword ptr [{constants} + {constant} + 4]{{1to8}}",
        two_rounds!("a0" "c0" "64"),
        two_rounds!("a1" "c1" "72"),
        "vpunpckldq {z:y}, {x:y}, {y:y}",
        "vpunpckhdq {y:y}, {x:y}, {y:y}",
        two_rounds!("a2" "c2" "80"),
        two_rounds!("a3" "c3" "88"),
        "vmovdqa ymmword ptr [{next} + {to}], {z:y}",
        "vmovdqa ymmword ptr [{next} + {to} + 32], {y:y}",
    );
}

/// Four rounds of four messages from `LANE` on, and beside them words `t` and `t + 1` made of earlier ones (FIPS 180-4, section
/// 6.2.2): of `t - 16` to `t - 14`, of `t - 7` and `t - 6`, and of `t - 2` and `t - 1`.
#[inline]
#[target_feature(enable = "sha,avx512f,avx512vl")]
fn weave_scheduled<const PAIR: usize, const LANE: usize>(
    four: &mut [Halves; 4],
    now: &Words,
    next: &mut Words,
    words: &mut [__m256i; 16],
) {
    let at = 2 * PAIR;
    let [mut even, mut odd, third] = [words[at % 16], words[at % 16 + 1], words[(at + 2) % 16]];
    let [ninth, tenth] = [words[(at + 9) % 16], words[(at + 10) % 16]];
    let [second_last, last] = [words[(at + 14) % 16], words[(at + 15) % 16]];
    weave!(
        PAIR, LANE, four, now, next,
        [
            even = inout(zmm_reg) even,
            odd = inout(zmm_reg) odd,
            third = in(zmm_reg) third,
            ninth = in(zmm_reg) ninth,
            tenth = in(zmm_reg) tenth,
            second_last = in(zmm_reg) second_last,
            last = in(zmm_reg) last,
        ],
        two_rounds!("c0" "a0" "0"),
        "vpaddd {even:y}, {even:y}, {ninth:y}",
        "vprord {x:y}, {odd:y}, 7",
        "vprord {y:y}, {odd:y}, 18",
        two_rounds!("c1" "a1" "8"),
        "vpsrld {z:y}, {odd:y}, 3",
        "vpternlogd {z:y}, {y:y}, {x:y}, 0x96",
        "vpaddd {even:y}, {even:y}, {z:y}",
        "vpaddd {odd:y}, {odd:y}, {tenth:y}",
        two_rounds!("c2" "a2" "16"),
        "vprord {x:y}, {third:y}, 7",
        "vprord {y:y}, {third:y}, 18",
        "vpsrld {z:y}, {third:y}, 3",
        two_rounds!("c3" "a3" "24"),
        "vpternlogd {z:y}, {y:y}, {x:y}, 0x96",
        "vpaddd {odd:y}, {odd:y}, {z:y}",
        "vprord {x:y}, {second_last:y}, 17",
        "vprord {y:y}, {second_last:y}, 19",
        two_rounds!("a0" "c0" "64"),
        "vpsrld {z:y}, {second_last:y}, 10",
        "vpternlogd {z:y}, {y:y}, {x:y}, 0x96",
        "vpaddd {even:y}, {even:y}, {z:y}",
        two_rounds!("a1" "c1" "72"),
        "vprord {x:y}, {last:y}, 17",
        "vprord {y:y}, {last:y}, 19",
        "vpsrld {z:y}, {last:y}, 10",
        "vpternlogd {z:y}, {y:y}, {x:y}, 0x96",
        two_rounds!("a2" "c2" "80"),
        "vpaddd {odd:y}, {odd:y}, {z:y}",
        "vpaddd {x:y}, {even:y}, dword ptr [{constants} + {constant}]{{1to8}}",
        "vpaddd {y:y}, {odd:y}, dword ptr [{constants} + {constant} + 4]{{1to8}}",
        two_rounds!("a3" "c3" "88"),
        "vpunpckldq {z:y}, {x:y}, {y:y}",
        "vpunpckhdq {y:y}, {x:y}, {y:y}",
        "vmovdqa ymmword ptr [{next} + {to}], {z:y}",
        "vmovdqa ymmword ptr [{next} + {to} + 32], {y:y}",
    );
    [words[at % 16], words[at % 16 + 1]] = [even, odd];
}

#[inline]
#[target_feature(enable = "sse2")]
fn add_to(before: &mut [Halves; 4], after: &[Halves; 4]) {
    for (before, after) in before.as_flattened_mut().iter_mut().zip(after.as_flattened()) {
        *before = _mm_add_epi32(*before, *after);
    }
}

/// Words `4 * at` to `4 * at + 3` of every block, with the bytes of each turned around; in an order from which
/// unpacking makes that of the messages.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(blocks: &[&[u8; BLOCK_BYTES]; 8], at: usize) -> [__m256i; 4] {
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
    let row = |low: usize, high: usize| {
        let [low, high] = [low, high].map(|lane| &blocks[lane].as_chunks::<16>().0[at]);
        // SAFETY: the arrays have the 16 bytes each that are read; the instructions ask for no alignment.
        let both = unsafe { _mm256_loadu2_m128i(high.as_ptr().cast(), low.as_ptr().cast()) };
        _mm256_shuffle_epi8(both, swap)
    };
    let (a, b, c, d) = (row(0, 2), row(1, 3), row(4, 6), row(5, 7));
    let low = [_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d)];
    let high = [_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d)];
    [
        _mm256_unpacklo_epi64(low[0], low[1]),
        _mm256_unpackhi_epi64(low[0], low[1]),
        _mm256_unpacklo_epi64(high[0], high[1]),
        _mm256_unpackhi_epi64(high[0], high[1]),
    ]
}
