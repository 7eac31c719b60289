#![allow(dead_code, reason = "each test file uses a part of it")]
//! Runs `cw` in a copy of the example, with a home of its own.

pub(crate) mod masked_trial;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// Looks at what takes a second at most, 50 ms apart, before a test gives up.
pub(crate) const PATIENCE: usize = 600;

/// A project in a temporary folder.
pub(crate) struct Project {
    folder: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit status.
    pub(crate) status: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The JSON document it printed; every document names its schema.
    pub(crate) fn json(&self) -> Value {
        let document: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        assert!(
            document["schema"].as_str().unwrap().starts_with("counterweight/"),
            "{self:?}"
        );
        document
    }

    /// Holds the exit status to a number.
    pub(crate) fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != ".counterweight" {
                copy(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Files whose name is the digest, wherever the store puts them.
pub(crate) fn blob_file(folder: &Path, digest: &str) -> PathBuf {
    let digits = digest.trim_start_matches("blake3:").to_owned();
    let mut folders = vec![folder.join(".counterweight/blobs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = path.display().to_string().replace('/', "");
                if text.ends_with(&digits) || text.ends_with(&digits[2..]) {
                    return path;
                }
            }
        }
    }
    panic!("no blob {digest}");
}

/// Changes one byte of a file, and gives the bytes it had.
pub(crate) fn flip(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut spoiled = bytes.clone();
    let middle = spoiled.len() / 2;
    spoiled[middle] ^= 1;
    if fs::write(path, &spoiled).is_err() {
        // The store keeps its files read-only.
        fs::remove_file(path).unwrap();
        fs::write(path, &spoiled).unwrap();
    }
    assert_eq!(fs::read(path).unwrap(), spoiled);
    bytes
}

impl Project {
    /// A copy of the breast cancer example, with fewer rounds than it has.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer");
        copy(&example, &folder.path().join("study"));
        let project = Self { folder };
        project.edit("rounds = 15", "rounds = 3");
        project
    }

    /// Its folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("study")
    }

    /// Changes its configuration.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        self.edit_file("counterweight.toml", from, to);
    }

    /// Changes a file of it, the first place only.
    pub(crate) fn edit_file(&self, file: &str, from: &str, to: &str) {
        let path = self.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has {from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// A command that acts on it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cw"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CW_")) {
            command.env_remove(name);
        }
        command
            .env("CW_HOME", self.folder.path().join("home"))
            .env_remove("NO_COLOR")
            .current_dir(self.path())
            .stdin(Stdio::null())
            .args(arguments);
        command
    }

    /// Runs a command.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed and gives its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["--json"]].concat()).ends(0).json()
    }

    /// Runs a command that must fail and gives the parts of its error.
    pub(crate) fn error(&self, arguments: &[&str], status: i32) -> Value {
        let error = self.run(&[arguments, &["--json"]].concat()).ends(status).json()["error"].clone();
        assert!(
            error["fix"].as_str().is_some_and(|fix| !fix.is_empty()),
            "{error}"
        );
        error
    }

    /// Starts a command and waits for its first line on standard output.
    pub(crate) fn start(&self, arguments: &[&str]) -> (Running, String) {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        (Running(child), line.trim().to_owned())
    }

    /// Starts a command whose output is read when it ends.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        Running(
            command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }
}

/// A running command; killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ran {
        let stdout = self.0.stdout.take();
        let stderr = self.0.stderr.take();
        let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
            std::thread::spawn(move || {
                let mut text = String::new();
                if let Some(mut pipe) = pipe {
                    let _ = std::io::Read::read_to_string(&mut pipe, &mut text);
                }
                text
            })
        };
        let stdout = read(stdout.map(|pipe| Box::new(pipe) as _));
        let stderr = read(stderr.map(|pipe| Box::new(pipe) as _));
        let status = self.0.wait().unwrap().code().unwrap_or(-1);
        Ran {
            status,
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Moves the clock of a development node and makes a block.
pub(crate) fn pass(url: &str, seconds: u64) {
    for (method, parameters) in [
        ("evm_increaseTime", format!("[{seconds}]")),
        ("evm_mine", "[]".to_owned()),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{parameters}}}"#);
        let host = url.strip_prefix("http://").unwrap().trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"result\""), "{answer}");
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The page of metrics at a port of this machine; nothing while nobody serves it.
fn scrape(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

/// Waits until the page of metrics at a port has a line.
pub(crate) fn wait_for_metric(port: u16, line: &str) {
    let mut last = None;
    for _ in 0..PATIENCE {
        last = scrape(port);
        if last
            .as_ref()
            .is_some_and(|page| page.lines().any(|other| other == line))
        {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("no {line} in {last:?}");
}
