//! What a contract's error says, in words.
//!
//! A contract reverts with an ABI-encoded error: four bytes that name it, then its values. The names are in the
//! ABI of our contracts and of what they inherit, so `0x93d1…` becomes
//! `ConsentMissing(datasetId: 2, purpose: 0, epoch: 2)`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use alloy_json_abi::{Error as AbiError, InternalType};
use alloy_primitives::{Address, Selector, U256};

use crate::contracts::{self, Contract};

/// An error of a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its name, `ConsentMissing`; `Error` and `Panic` are Solidity's own.
    pub name: String,
    /// With its values, `ConsentMissing(datasetId: 2, purpose: 0, epoch: 2)`.
    pub reason: String,
}

static KNOWN: LazyLock<BTreeMap<Selector, AbiError>> = LazyLock::new(|| {
    Contract::ALL
        .into_iter()
        .flat_map(|contract| contract.artifact().abi.errors())
        .map(|error| (error.selector(), error.clone()))
        .collect()
});

/// Longest text taken over from a contract.
const LONGEST_TEXT: usize = 256;

impl Refusal {
    /// Reads what a contract reverted with. Anything can be in there: what is unknown is shown as hexadecimal.
    #[must_use]
    pub fn read(data: &[u8]) -> Self {
        let named = |name: &str, reason: String| Self {
            name: name.to_owned(),
            reason,
        };
        let Some((selector, values)) = data.split_first_chunk::<4>() else {
            return named("Reverted", "it gives no reason".to_owned());
        };
        match selector {
            // Error(string)
            [0x08, 0xc3, 0x79, 0xa0] => {
                let text = text_at(values, 0).unwrap_or_else(|| hex_text(values));
                return named("Error", text);
            }
            // Panic(uint256)
            [0x4e, 0x48, 0x7b, 0x71] => {
                return named(
                    "Panic",
                    word(values, 0).map_or("unknown", panic_reason).to_owned(),
                );
            }
            _ => {}
        }
        let Some(error) = KNOWN.get(selector.as_slice()) else {
            let name = hex_text(selector);
            return named(&name, format!("{name}({})", hex_text(values)));
        };
        let mut reason = format!("{}(", error.name);
        for (index, input) in error.inputs.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let name = if input.name.is_empty() {
                String::new()
            } else {
                format!("{}: ", input.name)
            };
            let value = value_at(values, index, &input.ty, input.internal_type.as_ref());
            write!(
                reason,
                "{separator}{name}{}",
                value.unwrap_or_else(|| "?".to_owned())
            )
            .expect("writing to a string does not fail");
        }
        reason.push(')');
        named(&error.name, reason)
    }
}

fn word(values: &[u8], index: usize) -> Option<U256> {
    let start = index.checked_mul(32)?;
    values.get(start..start.checked_add(32)?).map(U256::from_be_slice)
}

fn text_at(values: &[u8], index: usize) -> Option<String> {
    bytes_at(values, index).map(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        // A contract may be anybody's: its text must not move the cursor or fill the screen.
        text.chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_TEXT)
            .collect()
    })
}

fn bytes_at(values: &[u8], index: usize) -> Option<&[u8]> {
    let offset: usize = word(values, index)?.try_into().ok()?;
    let tail = values.get(offset..)?;
    let length: usize = word(tail, 0)?.try_into().ok()?;
    tail.get(32..32_usize.checked_add(length)?)
}

fn hex_text(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(LONGEST_TEXT)];
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    format!("0x{}{more}", hex::encode(shown))
}

/// The values that our errors carry are single words, texts and byte strings; others are shown as a word.
fn value_at(values: &[u8], index: usize, ty: &str, internal: Option<&InternalType>) -> Option<String> {
    let number = word(values, index)?;
    Some(match ty {
        "string" => format!("{:?}", text_at(values, index)?),
        "bytes" => hex_text(bytes_at(values, index)?),
        "bool" => (!number.is_zero()).to_string(),
        "address" => Address::from_word(number.into()).to_checksum(None),
        _ if ty.starts_with("uint") => internal
            .and_then(|ty| contracts::enum_name(ty, number))
            .map_or_else(|| number.to_string(), str::to_owned),
        _ if ty.starts_with("bytes") => {
            let size = ty["bytes".len()..].parse().unwrap_or(32).min(32);
            hex_text(&number.to_be_bytes::<32>()[..size])
        }
        _ => hex_text(&number.to_be_bytes::<32>()),
    })
}

fn panic_reason(code: U256) -> &'static str {
    match u8::try_from(code).unwrap_or(u8::MAX) {
        0x01 => "an assertion failed",
        0x11 => "arithmetic went beyond its type",
        0x12 => "division by zero",
        0x21 => "a number is no member of the enumeration",
        0x31 => "an empty array was popped",
        0x32 => "an index is beyond the end of an array",
        0x41 => "too much memory was asked for",
        0x51 => "a function was called that was never set",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use alloy_sol_types::{Revert, SolError as _};
    use proptest::prelude::*;

    use super::*;
    use crate::contracts::{IConsentRegistry, ITrainingRounds};

    #[test]
    fn an_error_is_told_with_its_values() {
        let data = IConsentRegistry::ConsentMissing {
            datasetId: 2,
            purpose: 0,
            epoch: 2,
        }
        .abi_encode();
        let refusal = Refusal::read(&data);
        assert_eq!(refusal.name, "ConsentMissing");
        assert_eq!(
            refusal.reason,
            "ConsentMissing(datasetId: 2, purpose: 0, epoch: 2)"
        );
    }

    #[test]
    fn phases_and_texts_are_told_as_words() {
        let phase = ITrainingRounds::Phase::Finished;
        let data = ITrainingRounds::WrongPhase { study: 7, phase }.abi_encode();
        assert_eq!(
            Refusal::read(&data).reason,
            "WrongPhase(study: 7, phase: Finished)"
        );
        let data = ITrainingRounds::InvalidTerms {
            field: "max\u{1b}[2Jrounds".to_owned(),
        }
        .abi_encode();
        assert_eq!(
            Refusal::read(&data).reason,
            "InvalidTerms(field: \"max[2Jrounds\")"
        );
    }

    #[test]
    fn solidity_s_own_errors_are_told() {
        let data = Revert {
            reason: "no such thing".to_owned(),
        }
        .abi_encode();
        assert_eq!(Refusal::read(&data).reason, "no such thing");
        let data = alloy_sol_types::Panic {
            code: U256::from(0x12),
        }
        .abi_encode();
        assert_eq!(Refusal::read(&data).reason, "division by zero");
    }

    #[test]
    fn what_is_unknown_is_shown_as_it_came() {
        assert_eq!(Refusal::read(&[]).name, "Reverted");
        assert_eq!(Refusal::read(&[1, 2, 3, 4, 5]).reason, "0x01020304(0x05)");
    }

    proptest! {
        #[test]
        fn no_revert_data_panics(selector in 0_usize..100, mut data: Vec<u8>) {
            if let Some(known) = KNOWN.keys().nth(selector) {
                data.splice(..0, known.0);
            }
            let _ = Refusal::read(&data);
        }
    }
}
