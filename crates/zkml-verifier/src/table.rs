//! The lookup table: every fact about a byte that a slot relies on, as tuples `(tag, v1, v2, v3)`.
//!
//! | Indices | Tuple | Says |
//! |---|---|---|
//! | 0 | unused | holds masks |
//! | `2^e + v`, `v < 2^e`, `e <= 7` | `(e + 1, v, 0, 0)` | `v` is below `2^e` |
//! | `256 + v` | `(9, v, 0, 0)` | `v` is a byte |
//! | `512 + v` | `(10, v, [v = 128], s, )` | high byte: inside, or saturated to -128 or 127 |
//! | `768 + v` | `(11, v, [v = 128], s)` | the same after ReLU: 0 or 127 |
//! | `1024 + v` | `(12, v, v - 128, 0)` | low byte: the value inside |
//! | `1280 + v` | `(13, v, max(v - 128, 0), 0)` | the same after ReLU |

use crate::field::{Field, Fr, from_i64};
use crate::multilinear::{eq_index, truncated_eq};

/// Bits of an index into the table.
pub const TABLE_BITS: usize = 11;
/// Entries in use, index 0 included: those from here on are not looked at.
pub const TABLE_USED: usize = 1536;
/// Tag of a byte.
pub const TAG_BYTE: u64 = 9;

/// Tag of a number below `2^bits`, `bits <= 8`.
#[must_use]
pub fn tag_below(bits: u8) -> u64 {
    u64::from(bits) + 1
}

/// Tag of the high byte of a shifted quotient.
#[must_use]
pub fn tag_high(relu: bool) -> u64 {
    if relu { 11 } else { 10 }
}

/// Tag of the low byte of a shifted quotient.
#[must_use]
pub fn tag_low(relu: bool) -> u64 {
    if relu { 13 } else { 12 }
}

/// Tags of the low and the high byte of a remainder below `2^shift`.
#[must_use]
pub fn tags_remainder(shift: u8) -> [u64; 2] {
    [tag_below(shift.min(8)), tag_below(shift.saturating_sub(8))]
}

/// The index of the entry that says a number is below `2^bits`.
#[must_use]
pub fn index_below(bits: u8, value: u8) -> usize {
    (1 << bits) + usize::from(value)
}

/// The tuple of an entry; zeros where there is none.
#[must_use]
pub fn entry(index: usize) -> [i64; 4] {
    let value = (index & 0xff) as i64;
    let inside = i64::from(value == 128);
    let saturated = |low: i64| match value.cmp(&128) {
        std::cmp::Ordering::Less => low,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => 127,
    };
    match index >> 8 {
        0 if index == 0 => [0; 4],
        0 => {
            let bits = index.ilog2();
            [i64::from(bits) + 1, (index - (1 << bits)) as i64, 0, 0]
        }
        1 => [9, value, 0, 0],
        2 => [10, value, inside, saturated(-128)],
        3 => [11, value, inside, saturated(0)],
        4 => [12, value, value - 128, 0],
        5 => [13, value, (value - 128).max(0), 0],
        _ => [0; 4],
    }
}

/// A tuple folded into one field element: `tag + β v1 + β² v2 + β³ v3`.
#[must_use]
pub fn fold(tuple: [Fr; 4], beta: Fr) -> Fr {
    let [tag, first, second, third] = tuple;
    tag + beta * (first + beta * (second + beta * third))
}

/// The folded table's extension at a point of [`TABLE_BITS`] coordinates.
#[must_use]
pub fn table_at(point: &[Fr], beta: Fr) -> Fr {
    let (part, byte) = point.split_at_checked(TABLE_BITS - 8).unwrap_or((&[], point));
    let value = byte.iter().fold(Fr::ZERO, |value, bit| value.double() + bit);
    let top = byte.first().copied().unwrap_or_default();
    let low = value - top * Fr::from(128);
    let inside = eq_index(byte, 128);
    let saturated = |floor: i64| (Fr::ONE - top) * from_i64(floor) + (top - inside) * Fr::from(127);
    let tuples = [
        (1, [Fr::from(9), value, Fr::ZERO, Fr::ZERO]),
        (2, [Fr::from(10), value, inside, saturated(-128)]),
        (3, [Fr::from(11), value, inside, saturated(0)]),
        (4, [Fr::from(12), value, value - Fr::from(128), Fr::ZERO]),
        (5, [Fr::from(13), value, top * low, Fr::ZERO]),
    ];
    let plain: Fr = tuples
        .into_iter()
        .map(|(index, tuple)| eq_index(part, index) * fold(tuple, beta))
        .sum();
    plain + eq_index(part, 0) * ranges_at(byte, beta)
}

/// The extension of the 256 entries that say `v < 2^e`: the leading one of an index is `e`, what follows is `v`.
fn ranges_at(byte: &[Fr], beta: Fr) -> Fr {
    let mut above = Fr::ONE;
    let mut sum = Fr::ZERO;
    for (place, bit) in byte.iter().enumerate() {
        let rest = byte.get(place + 1..).unwrap_or_default();
        let value = rest.iter().fold(Fr::ZERO, |value, bit| value.double() + bit);
        sum += above * bit * (Fr::from(rest.len() as u64 + 1) + beta * value);
        above *= Fr::ONE - bit;
    }
    sum
}

/// The indicator of entries in use, weighted by `eq(tau, ·)`, at a point.
#[must_use]
pub fn used_eq(tau: &[Fr], point: &[Fr]) -> Fr {
    truncated_eq(TABLE_USED, tau, point) - eq_index(tau, 0) * eq_index(point, 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tuples_in_use_differ() {
        let mut tuples: Vec<_> = (1..TABLE_USED).map(entry).collect();
        tuples.sort_unstable();
        tuples.dedup();
        assert_eq!(tuples.len(), TABLE_USED - 1);
    }

    #[test]
    fn ranges_hold_exactly_the_numbers_below() {
        for bits in 0..=8_u8 {
            let tag = tag_below(bits) as i64;
            let mut values: Vec<i64> = (1..TABLE_USED)
                .map(entry)
                .filter(|e| e[0] == tag)
                .map(|e| e[1])
                .collect();
            values.sort_unstable();
            assert_eq!(values, (0..1 << bits).collect::<Vec<_>>());
            for value in 0..1_usize << bits {
                assert_eq!(entry(index_below(bits, value as u8)), [tag, value as i64, 0, 0]);
            }
        }
    }

    #[test]
    fn requantisation_by_bytes_is_requantisation() {
        for quotient in -32_896..=32_639_i64 {
            let shifted = (quotient + 32_896) as usize;
            for relu in [false, true] {
                let [_, _, inside, saturated] = entry((usize::from(relu) + 2) * 256 + (shifted >> 8));
                let [_, _, middle, _] = entry((usize::from(relu) + 4) * 256 + (shifted & 255));
                assert_eq!(
                    inside * middle + saturated,
                    quotient.clamp(if relu { 0 } else { -128 }, 127)
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]

        #[test]
        fn the_extension_is_that_of_the_entries(
            point in proptest::collection::vec(any::<[u64; 4]>().prop_map(Fr::from_raw), TABLE_BITS),
            beta in any::<[u64; 4]>().prop_map(Fr::from_raw),
        ) {
            let slow: Fr = (0..1 << TABLE_BITS)
                .map(|index| eq_index(&point, index) * fold(entry(index).map(from_i64), beta))
                .sum();
            prop_assert_eq!(table_at(&point, beta), slow);
        }
    }
}
