//! What a command works with: a chain, the contracts on it, keys, blobs and the log.

/// What a development account is called on the command line.
pub(crate) fn development_name(index: u32) -> String {
    format!("dev-{index}")
}
