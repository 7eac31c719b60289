//! A program that reads requests from stdin and answers on stdout.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    Listener, MOST_LINE_BYTES, Request, Way,
    answer::{quoted, words},
};

/// Last lines of stderr that an error tells.
const LAST_LINES: usize = 3;

/// Time for a program that closed stdout to end, before it is killed.
const FAREWELL: Duration = Duration::from_secs(2);

/// A program and its arguments.
pub(super) struct Program {
    words: Vec<String>,
    folder: PathBuf,
    listener: Arc<Listener>,
    running: Mutex<Option<Running>>,
}

/// One that was started and has not ended, as far as is known.
struct Running {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Result<Vec<u8>, String>>,
    last: Arc<Mutex<VecDeque<String>>>,
}

impl Program {
    /// A program that is started when it is first asked.
    pub(super) fn new(command: &str, folder: PathBuf, listener: Listener) -> Result<Self, String> {
        Ok(Self {
            words: split(command)?,
            folder,
            listener: Arc::new(listener),
            running: Mutex::new(None),
        })
    }

    fn start(&self) -> Result<Running, String> {
        let (program, arguments) = self.words.split_first().ok_or("has no words")?;
        // A name with a folder in it is looked up where the program will run, as it would be in a shell there.
        let path = if program.contains('/') {
            self.folder.join(program)
        } else {
            PathBuf::from(program)
        };
        let mut child = Command::new(path)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("has no stdin, stdout and stderr".to_owned());
        };
        let (said, lines) = channel();
        // Threads of their own: a program that says nothing, or a child of it that keeps the pipe, blocks nobody else.
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            loop {
                let mut line = Vec::new();
                let limit = MOST_LINE_BYTES as u64 + 1;
                let read = stdout.by_ref().take(limit).read_until(b'\n', &mut line);
                let line = match read {
                    Ok(0) => return,
                    Ok(_) => Ok(line),
                    Err(error) => Err(format!("cannot be read: {error}")),
                };
                let over = line.as_ref().is_ok_and(|line| line.len() > MOST_LINE_BYTES);
                if said.send(line).is_err() || over {
                    return;
                }
            }
        });
        let last = Arc::new(Mutex::new(VecDeque::new()));
        let (kept, listener) = (Arc::clone(&last), Arc::clone(&self.listener));
        thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while matches!(
                stderr.by_ref().take(1 << 16).read_until(b'\n', &mut line),
                Ok(1..)
            ) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                listener(&text);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == LAST_LINES {
                    kept.pop_front();
                }
                if !text.trim().is_empty() {
                    kept.push_back(words(&text));
                }
                line.clear();
            }
        });
        Ok(Running {
            child,
            stdin,
            lines,
            last,
        })
    }
}

/// Why there is no answer.
enum Silence {
    /// It closed its pipes, so it has ended or soon will.
    Gone,
    /// It takes too long.
    Late,
    /// Its answer cannot be read.
    Unreadable(String),
}

impl Running {
    fn ask(&mut self, line: &[u8], time: Duration) -> Result<Vec<u8>, Silence> {
        // A line fits into the pipe, so that a program which reads nothing does not hold this thread.
        let written = self.stdin.write_all(line).and_then(|()| self.stdin.flush());
        if written.is_err() {
            return Err(Silence::Gone);
        }
        match self.lines.recv_timeout(time) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(problem)) => Err(Silence::Unreadable(problem)),
            Err(RecvTimeoutError::Timeout) => Err(Silence::Late),
            Err(RecvTimeoutError::Disconnected) => Err(Silence::Gone),
        }
    }

    fn told(self, silence: Silence, time: Duration) -> String {
        match silence {
            Silence::Gone => format!("gave no answer: it {}", self.end(FAREWELL)),
            Silence::Late => {
                let seconds = time.as_secs();
                format!("gave no answer in {seconds} s: it {}", self.end(Duration::ZERO))
            }
            Silence::Unreadable(problem) => format!("{problem}: it {}", self.end(FAREWELL)),
        }
    }

    /// Ends it; how it ended, with its last words.
    fn end(mut self, farewell: Duration) -> String {
        drop(self.stdin);
        let until = Instant::now() + farewell;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
                _ => break None,
            }
        };
        let how = match status {
            Some(status) => format!("ended ({status})"),
            None => {
                // One that is gone already needs no killing.
                let _ = self.child.kill();
                let _ = self.child.wait();
                "was killed".to_owned()
            }
        };
        // What it wrote last may still be on its way through the pipe.
        thread::sleep(Duration::from_millis(20));
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<&str> = last.iter().map(String::as_str).collect();
        if said.is_empty() {
            how
        } else {
            format!("{how}; its last words: {}", said.join(" | "))
        }
    }
}

impl Way for Program {
    fn ask(
        &self,
        request: Request<'_>,
        base: &Path,
        result: &Path,
        time: Duration,
    ) -> Result<Vec<u8>, String> {
        let (base, result) = (absolute(base), absolute(result));
        let line = Request {
            parameters: Some(&base),
            result: (request.task == "train").then_some(result.as_str()),
            ..request
        }
        .line();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut earlier) = running.take() {
            if let Ok(stray) = earlier.lines.try_recv() {
                let stray = quoted(&stray.unwrap_or_default());
                earlier.end(Duration::ZERO);
                return Err(format!(
                    "wrote {stray} to stdout without being asked; only answers belong there"
                ));
            }
            match earlier.ask(&line, time) {
                Ok(answer) => {
                    *running = Some(earlier);
                    return Ok(answer);
                }
                // One that ends after its answer may do so at any moment, and is started again.
                Err(Silence::Gone) => drop(earlier.end(FAREWELL)),
                Err(silence) => return Err(earlier.told(silence, time)),
            }
        }
        let mut started = self.start()?;
        match started.ask(&line, time) {
            Ok(answer) => {
                *running = Some(started);
                Ok(answer)
            }
            Err(silence) => Err(started.told(silence, time)),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.take() {
            running.end(FAREWELL);
        }
    }
}

fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.display().to_string()
}

/// The words of a command, as a shell tells them apart, and nothing else of a shell.
fn split(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = command.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = letters.next().ok_or("ends in a backslash")?;
                word.get_or_insert_default().push(next);
            }
            (None, space) if space.is_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    if quote.is_some() {
        return Err("has a quote that is not closed".to_owned());
    }
    words.extend(word);
    if words.is_empty() {
        return Err("has no words".to_owned());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_as_in_a_shell() {
        let words = |command: &str| split(command).unwrap();
        assert_eq!(words(" python3  train.py "), ["python3", "train.py"]);
        assert_eq!(
            words(r#"'a b' "c 'd'" e\ f '' "\"""#),
            ["a b", "c 'd'", "e f", "", "\""]
        );
        assert_eq!(words("$HOME *.py a;b"), ["$HOME", "*.py", "a;b"]);
        for wrong in ["", "  ", "'a", "\"a", "a\\"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
