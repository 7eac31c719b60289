//! A process that is killed in the middle of its work.
//!
//! A test binary runs itself again, with one test picked out and a variable set. That test works until it dies and
//! prints a line after each thing that is done for good; without the variable it returns at once. The test that
//! started it reads those lines, kills it with SIGKILL and looks at what is left on disk.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// The process, and the lines it prints to stderr.
#[derive(Debug)]
pub struct Victim {
    process: Child,
    output: BufReader<ChildStderr>,
    prefix: String,
}

impl Victim {
    /// Runs `test` of this test binary in a process of its own, with `variable` set to `value`. Lines that start
    /// with `prefix` are what it announces.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(test: &str, variable: &str, value: impl AsRef<OsStr>, prefix: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("a test binary has a path"))
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(variable, value)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the test binary runs again");
        let output = BufReader::new(process.stderr.take().expect("stderr is piped"));
        Self {
            process,
            output,
            prefix: prefix.to_owned(),
        }
    }

    /// Waits for `count` announcements, then for `delay`, kills the process and gives all it announced, without
    /// the prefix. A line cut off by the death is not an announcement.
    ///
    /// # Panics
    /// If it ends by itself before that.
    pub fn kill_after(self, count: usize, delay: Duration) -> Vec<String> {
        self.kill_after_mark("", count, delay)
    }

    /// As [`Victim::kill_after`], where only announcements that start with `mark` are counted: so it dies in a part of its work
    /// that is chosen.
    ///
    /// # Panics
    /// If it ends by itself before that.
    pub fn kill_after_mark(mut self, mark: &str, count: usize, delay: Duration) -> Vec<String> {
        let mut announced: Vec<String> = Vec::new();
        let mut counted = 0;
        while counted < count {
            let line = self.line().expect("the process works until it is killed");
            if let Some(line) = line.strip_prefix(&self.prefix) {
                counted += usize::from(line.starts_with(mark));
                announced.push(line.to_owned());
            }
        }
        sleep(delay);
        self.process.kill().expect("the process is still there");
        self.process.wait().expect("a killed process ends");
        while let Some(line) = self.line() {
            announced.extend(line.strip_prefix(&self.prefix).map(str::to_owned));
        }
        announced
    }

    /// The next line that is whole.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("lines are text");
        line.strip_suffix('\n').map(str::to_owned)
    }
}
