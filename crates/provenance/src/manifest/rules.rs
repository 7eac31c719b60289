//! Rules that several formats share.

use super::ManifestError;
use crate::ledger::Parent;

/// Most parents of an asset, as in the contract.
pub const MOST_PARENTS: usize = 8;

/// Longest name in bytes.
const LONGEST_NAME: usize = 128;

/// Longest text in bytes: a model card.
const LONGEST_TEXT: usize = 64 << 10;

pub(super) fn broken(field: impl Into<String>, rule: impl Into<String>) -> ManifestError {
    ManifestError::Field {
        field: field.into(),
        rule: rule.into(),
    }
}

/// A name is shown in one line and typed into commands.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), ManifestError> {
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Err(broken(
            field,
            format!("must have 1 to {LONGEST_NAME} bytes, not {}", name.len()),
        ));
    }
    if name.trim() != name || name.chars().any(char::is_control) {
        return Err(broken(
            field,
            "must not start or end with a space or hold a control character",
        ));
    }
    Ok(())
}

/// Text for people may be empty and have lines.
pub(super) fn check_text(field: &str, text: &str) -> Result<(), ManifestError> {
    if text.len() > LONGEST_TEXT {
        return Err(broken(
            field,
            format!("must have at most {LONGEST_TEXT} bytes, not {}", text.len()),
        ));
    }
    if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(broken(
            field,
            "must not hold a control character other than newline and tab",
        ));
    }
    Ok(())
}

pub(super) fn check_count(field: &str, got: usize, most: usize) -> Result<(), ManifestError> {
    if got > most {
        return Err(broken(
            field,
            format!("must have at most {most} items, not {got}"),
        ));
    }
    Ok(())
}

/// The rules of `AssetRegistry.register`.
pub(super) fn check_parents(field: &str, parents: &[Parent]) -> Result<(), ManifestError> {
    check_count(field, parents.len(), MOST_PARENTS)?;
    if parents.windows(2).any(|pair| pair[0].asset >= pair[1].asset) {
        return Err(broken(field, "must be in strictly ascending order of asset"));
    }
    let sum: u32 = parents.iter().map(|p| p.share.millionths()).sum();
    if sum > 1_000_000 {
        return Err(broken(
            field,
            format!("must have shares of at most 1000000 together, not {sum}"),
        ));
    }
    Ok(())
}
