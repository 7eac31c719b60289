//! The node that other tools are tested on.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// anvil on a free port of this machine, ended when dropped.
///
/// It comes with the contracts' tools. Where it is missing a test fails and says how to install it.
#[derive(Debug)]
pub struct Anvil {
    process: Child,
    endpoint: String,
}

impl Anvil {
    /// Starts it on a free port, with further arguments, and waits until it listens.
    ///
    /// # Panics
    /// If it is not installed or does not start.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(program())
            .args(["--port", "0", "--host", "127.0.0.1"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let mut lines = BufReader::new(process.stdout.take().expect("stdout is piped")).lines();
        let place = lines
            .find_map(|line| line.ok()?.strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil says where it listens");
        // Read on, or anvil stops once the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            process,
            endpoint: format!("http://{}", place.trim()),
        }
    }

    /// Where it answers.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // It may have ended by itself; a test has nothing to do about it here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary lies in the package of this platform, whether or not npm ran install scripts.
fn program() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/node_modules/@foundry-rs");
    let of_this_platform = packages.read_dir().ok().and_then(|entries| {
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("anvil-"))
            .map(|entry| entry.path().join("bin/anvil"))
            .find(|program| program.exists())
    });
    of_this_platform.unwrap_or_else(|| {
        panic!(
            "anvil is not in {}: run `npm ci` in contracts, or `make contracts-tools`",
            packages.display()
        )
    })
}
