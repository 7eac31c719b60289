//! Compare compiled code with deployed code.

const PUSH1: u8 = 0x60;
const PUSH32: u8 = 0x7f;

/// Whether `deployed` is `compiled` with its immutable values filled in.
///
/// The compiler leaves 32 zero bytes after a `PUSH32` wherever the constructor puts an immutable value, and encodes a
/// zero that is meant as one in another way; so those places, and no others, may differ. Which values are there is
/// asked of the contract itself, once its code is known.
pub(super) fn is_deployed_from(compiled: &[u8], deployed: &[u8]) -> bool {
    if compiled.len() != deployed.len() {
        return false;
    }
    let mut at = 0;
    while let Some(&instruction) = compiled.get(at) {
        let pushed = match instruction {
            PUSH1..=PUSH32 => usize::from(instruction - PUSH1) + 1,
            _ => 0,
        };
        let end = (at + 1 + pushed).min(compiled.len());
        let (expected, found) = (&compiled[at..end], &deployed[at..end]);
        let immutable = instruction == PUSH32 && expected.len() == 33 && expected[1..] == [0; 32];
        if found[0] != instruction || (!immutable && expected != found) {
            return false;
        }
        at = end;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::contracts::Contract;

    fn with_immutable(value: u8) -> Vec<u8> {
        let mut code = vec![PUSH1, 0x7f, PUSH32];
        code.extend([value; 32]);
        code.push(0x00);
        code
    }

    #[test]
    fn only_what_a_constructor_fills_in_may_differ() {
        let compiled = with_immutable(0);
        assert!(is_deployed_from(&compiled, &with_immutable(7)));
        assert!(!is_deployed_from(&with_immutable(1), &with_immutable(7)));
        let mut longer = compiled.clone();
        longer.push(0);
        assert!(!is_deployed_from(&compiled, &longer));
    }

    #[test]
    fn a_byte_of_a_pushed_value_is_no_instruction() {
        // PUSH2 7f00 then code: the 0x7f must not hide the 32 bytes that follow.
        let compiled = [&[0x61, 0x7f, 0x00][..], &[0; 33]].concat();
        let mut deployed = compiled.clone();
        deployed[20] = 1;
        assert!(!is_deployed_from(&compiled, &deployed));
    }

    #[test]
    fn code_cut_short_inside_a_push_is_compared_too() {
        assert!(is_deployed_from(&[PUSH32, 0, 0], &[PUSH32, 0, 0]));
        assert!(!is_deployed_from(&[PUSH32, 0, 0], &[PUSH32, 0, 1]));
    }

    proptest! {
        #[test]
        fn any_changed_byte_outside_immutables_is_seen(at in 0_usize..100_000, change in 1_u8..) {
            // No immutables: every byte counts.
            let compiled = &Contract::LogAnchor.artifact().runtime;
            let mut deployed = compiled.to_vec();
            let at = at % deployed.len();
            deployed[at] ^= change;
            prop_assert!(is_deployed_from(compiled, compiled));
            prop_assert!(!is_deployed_from(compiled, &deployed));
        }
    }
}
