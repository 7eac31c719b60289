//! The scalar field of BN254, and its words on the wire.
//!
//! A scalar is 32 bytes, big endian, less than `r`: the form the EVM reads with one `calldataload`. A word that is
//! not less than `r` is refused, so that each scalar has one encoding.

pub use halo2curves::bn256::Fr;
pub use halo2curves::ff::{Field, PrimeField};

/// A 32-byte big-endian word, as the EVM sees it.
pub type Word = [u8; 32];

/// The order `r` of the scalar field, big endian.
pub const ORDER: Word = [
    0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d, 0x28,
    0x33, 0xe8, 0x48, 0x79, 0xb9, 0x70, 0x91, 0x43, 0xe1, 0xf5, 0x93, 0xf0, 0x00, 0x00, 0x01,
];

/// 2^64, 2^128 and 2^192 in the field: the places of a word's limbs.
const LIMB_PLACES: [Fr; 3] = [
    Fr::from_raw([0, 1, 0, 0]),
    Fr::from_raw([0, 0, 1, 0]),
    Fr::from_raw([0, 0, 0, 1]),
];

/// The word of a scalar.
#[must_use]
pub fn to_word(scalar: &Fr) -> Word {
    let mut word = scalar.to_repr();
    word.as_mut().reverse();
    word.into()
}

/// The scalar of a word, or `None` where the word is not less than `r`.
#[must_use]
pub fn from_word(word: &Word) -> Option<Fr> {
    let mut repr = *word;
    repr.reverse();
    Fr::from_repr(repr.into()).into_option()
}

/// The word taken modulo `r`: how a challenge is made of a hash.
#[must_use]
pub fn from_word_reduced(word: &Word) -> Fr {
    let (limbs, _) = word.as_chunks::<8>();
    let mut value = Fr::ZERO;
    // Limbs come most significant first; places are listed from 2^64 up.
    for (limb, place) in limbs.iter().zip(LIMB_PLACES.iter().rev().chain([&Fr::ONE])) {
        value += Fr::from(u64::from_be_bytes(*limb)) * place;
    }
    value
}

/// A number as a word.
#[must_use]
pub fn word_of_u64(number: u64) -> Word {
    let mut word = [0; 32];
    if let Some((_, low)) = word.split_last_chunk_mut::<8>() {
        *low = number.to_be_bytes();
    }
    word
}

/// The scalar of a signed number: negative numbers count down from `r`.
#[must_use]
pub fn from_i64(number: i64) -> Fr {
    let magnitude = Fr::from(number.unsigned_abs());
    if number < 0 { -magnitude } else { magnitude }
}

/// The multilinear extension of equality, `Π (a_i b_i + (1 - a_i)(1 - b_i))`, over the shorter of both points.
#[must_use]
pub fn eq_at(left: &[Fr], right: &[Fr]) -> Fr {
    left.iter()
        .zip(right)
        .map(|(a, b)| {
            let both = *a * b;
            both + both + Fr::ONE - a - b
        })
        .product()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order_plus(add: u8) -> Word {
        let mut word = ORDER;
        word[31] += add;
        word
    }

    #[test]
    fn a_word_not_less_than_the_order_is_refused() {
        let mut below = ORDER;
        below[31] -= 1;
        assert_eq!(from_word(&below), Some(-Fr::ONE));
        assert_eq!(from_word(&order_plus(0)), None);
        assert_eq!(from_word(&order_plus(1)), None);
        assert_eq!(from_word(&[0xff; 32]), None);
    }

    #[test]
    fn reduction_wraps_at_the_order() {
        assert_eq!(from_word_reduced(&order_plus(0)), Fr::ZERO);
        assert_eq!(from_word_reduced(&order_plus(7)), Fr::from(7));
        let five_times = -(from_word_reduced(&[0xff; 32]) + Fr::ONE) + Fr::from(2).pow([256]);
        assert_eq!(five_times, Fr::ZERO);
    }

    proptest! {
        #[test]
        fn words_and_scalars_match(limbs in any::<[u64; 4]>()) {
            let scalar = Fr::from_raw(limbs);
            let word = to_word(&scalar);
            prop_assert_eq!(from_word(&word), Some(scalar));
            prop_assert_eq!(from_word_reduced(&word), scalar);
        }

        #[test]
        fn signed_numbers_add_as_in_the_field(a in any::<i32>(), b in any::<i32>()) {
            let (a, b) = (i64::from(a), i64::from(b));
            prop_assert_eq!(from_i64(a) + from_i64(b), from_i64(a + b));
        }
    }
}
