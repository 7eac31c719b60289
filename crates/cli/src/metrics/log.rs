//! What a process that serves a log says of it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    MetricsAddress,
    catalogue::{BUILD_INFO, LOG_CHECKPOINT_AGE, LOG_ENTRIES, UPTIME},
    said, server,
    text::{Sample, page},
};
use crate::{commands::Context, error::CliError};

/// Serves the metrics of the log in a folder, where that is asked for. They are read from the checkpoint that is served, so they
/// are of whoever writes the log, in this process or another.
///
/// # Errors
/// As [`server::serve`].
pub(crate) fn serve_log_metrics(
    address: MetricsAddress,
    folder: PathBuf,
    context: &Context,
) -> Result<(), CliError> {
    let Some(address) = address.address else {
        return Ok(());
    };
    let started = Instant::now();
    let served = server::serve(address, move || {
        let mut samples = vec![
            BUILD_INFO.is(1.0).with("version", env!("CARGO_PKG_VERSION")),
            UPTIME.is(started.elapsed().as_secs_f64()),
        ];
        samples.extend(checkpoint(&folder.join("checkpoint")).into_iter().flatten());
        page(&samples)
    })?;
    said(served, context);
    Ok(())
}

/// The second line of a checkpoint is the number of entries (C2SP tlog-checkpoint).
fn checkpoint(file: &Path) -> Option<[Sample; 2]> {
    let text = fs::read_to_string(file).ok()?;
    let entries: u64 = text.lines().nth(1)?.parse().ok()?;
    let written = fs::metadata(file).and_then(|data| data.modified()).ok()?;
    let age = written.elapsed().unwrap_or_default();
    Some([
        LOG_ENTRIES.is(entries as f64),
        LOG_CHECKPOINT_AGE.is(age.as_secs_f64()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_of_the_checkpoint_that_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("checkpoint");
        assert!(checkpoint(&file).is_none());
        fs::write(&file, "example.com/log\n42\nhash=\n\n— example.com/log sig\n").unwrap();
        let samples = checkpoint(&file).unwrap();
        assert!(page(&samples).contains("\ncw_log_entries 42\n"));
        fs::write(&file, "spoiled").unwrap();
        assert!(checkpoint(&file).is_none());
    }
}
