//! The compression function in plain code: FIPS 180-4, section 6.2.2.

use crate::{BLOCK_BYTES, INITIAL, ROUNDS, backend::Engine};

/// One message at a time, on any processor.
pub(crate) struct Portable;

impl Engine<1> for Portable {
    type States = [u32; 8];

    fn start(&self) -> [u32; 8] {
        INITIAL
    }

    fn set(&self, state: &mut [u32; 8], _: usize, to: [u32; 8]) {
        *state = to;
    }

    fn compress(&self, state: &mut [u32; 8], [blocks]: &[&[[u8; BLOCK_BYTES]]; 1]) {
        blocks.iter().for_each(|block| compress(state, block));
    }

    fn state(&self, state: &[u32; 8], _: usize) -> [u32; 8] {
        *state
    }
}

fn compress(state: &mut [u32; 8], block: &[u8; BLOCK_BYTES]) {
    let mut words = [0_u32; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (round, constant) in ROUNDS.iter().enumerate() {
        let at = |offset: usize| words[(round + offset) % 16];
        if round >= 16 {
            let (near, far) = (at(1), at(14));
            let low = near.rotate_right(7) ^ near.rotate_right(18) ^ (near >> 3);
            let high = far.rotate_right(17) ^ far.rotate_right(19) ^ (far >> 10);
            words[round % 16] = at(0).wrapping_add(low).wrapping_add(at(9)).wrapping_add(high);
        }
        let choice = g ^ (e & (f ^ g));
        let majority = (a & b) | (c & (a | b));
        let first = h
            .wrapping_add(e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25))
            .wrapping_add(choice)
            .wrapping_add(*constant)
            .wrapping_add(words[round % 16]);
        let second = (a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22)).wrapping_add(majority);
        (h, g, f, e) = (g, f, e, d.wrapping_add(first));
        (d, c, b, a) = (c, b, a, first.wrapping_add(second));
    }
    for (word, after) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(after);
    }
}
