//! A member's own program or server as its trainer: `docs/spec/trainer.md`.
//!
//! Whatever comes back is held against the model before it is used. What was made is kept for the rest of the round, since
//! such a program need not give the same model twice, and a second one could not be committed.

mod answer;
mod program;
mod server;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use counterweight_primitives::ContentDigest;
use serde::Serialize;

use self::{answer::Answer, program::Program, server::Server};
use super::trainer::{Evaluated, Trained, Trainer, TrainerError, TrainingTask};
use crate::{
    parameters::MOST_HEADER_BYTES,
    study::{privacy::Privacy, terms::PublicTerms},
    tensor_file,
    training::LocalTraining,
};

/// Names the contract and its version.
pub const CONTRACT: &str = "counterweight/trainer/v1";

/// Longest line read.
const MOST_LINE_BYTES: usize = 1 << 16;

/// Shortest time given to a trainer: one that is asked at the very end of a round is still heard.
const SHORTEST: Duration = Duration::from_secs(1);

/// Hears each line that a program writes to stderr.
pub type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// Where a trainer is and what it is given.
pub struct OutsideSetup {
    /// A program with its arguments, or an address that starts with `http://`.
    pub trainer: String,
    /// Folder the program runs in.
    pub folder: PathBuf,
    /// The member's own folder for models on their way.
    pub work: PathBuf,
    /// The dataset's file.
    pub data: PathBuf,
    /// Longest time for one answer, where that is less than what is left of the round.
    pub timeout: Option<Duration>,
    /// Hears what a program writes to stderr.
    pub listener: Listener,
}

/// A trainer that is not built in.
pub struct Outside {
    name: String,
    work: PathBuf,
    data: PathBuf,
    timeout: Option<Duration>,
    way: Box<dyn Way>,
}

/// How requests reach a trainer.
trait Way: Send + Sync {
    /// Sends a request about the model in `base`. The answer's line; where the task makes a model, it is in `result`
    /// afterwards. What went wrong comes in words that follow the trainer's name.
    fn ask(
        &self,
        request: Request<'_>,
        base: &Path,
        result: &Path,
        time: Duration,
    ) -> Result<Vec<u8>, String>;
}

/// A request's line.
#[derive(Debug, Clone, Copy, Serialize)]
struct Request<'a> {
    contract: &'static str,
    task: &'static str,
    study: u64,
    round: u32,
    rounds: u32,
    member: u8,
    seed: &'a str,
    seconds: u64,
    model: &'a str,
    local: &'a LocalTraining,
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a str>,
}

impl Request<'_> {
    fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("texts and numbers only");
        line.push(b'\n');
        line
    }
}

impl Outside {
    /// A trainer that is started, or called, when there is something to do.
    ///
    /// # Errors
    /// [`TrainerError::Unfit`] where the words of `trainer` cannot be told apart, or its address is none.
    pub fn new(setup: OutsideSetup) -> Result<Self, TrainerError> {
        let OutsideSetup {
            trainer,
            folder,
            work,
            data,
            timeout,
            listener,
        } = setup;
        let unfit = |problem: String| TrainerError::Unfit {
            problem: format!("the trainer `{trainer}` {problem}"),
        };
        let way: Box<dyn Way> = if trainer.starts_with("http://") {
            Box::new(Server::new(&trainer).map_err(unfit)?)
        } else if trainer.starts_with("https://") {
            return Err(unfit("is not on this machine: write http://".to_owned()));
        } else {
            Box::new(Program::new(&trainer, folder, listener).map_err(unfit)?)
        };
        Ok(Self {
            name: trainer,
            work,
            data,
            timeout,
            way,
        })
    }

    fn outside(&self, problem: impl Into<String>) -> TrainerError {
        TrainerError::Outside {
            trainer: format!("the trainer `{}`", self.name),
            problem: problem.into(),
        }
    }

    fn ask(
        &self,
        what: &'static str,
        task: &TrainingTask<'_>,
        result: &Path,
    ) -> Result<Answer, TrainerError> {
        let base = self.work.join("base.safetensors");
        let write = || {
            fs::create_dir_all(&self.work)?;
            fs::write(&base, task.base.to_safetensors())
        };
        write().map_err(|error| {
            self.outside(format!(
                "has no model to start from: {} cannot be written: {error}",
                base.display()
            ))
        })?;
        let time = self
            .timeout
            .map_or(task.time_left, |timeout| timeout.min(task.time_left))
            .max(SHORTEST);
        let seed = hex::encode(task.seed.0);
        let data = self.data.display().to_string();
        let request = Request {
            contract: CONTRACT,
            task: what,
            study: task.study.0,
            round: task.round.0,
            rounds: task.terms.rounds,
            member: task.member.0,
            seed: &seed,
            seconds: time.as_secs(),
            model: &task.terms.model,
            local: &task.terms.local,
            data: &data,
            parameters: None,
            result: None,
        };
        let line = self
            .way
            .ask(request, &base, result, time)
            .map_err(|problem| self.outside(problem))?;
        Answer::read(&line).map_err(|problem| self.outside(problem))
    }

    /// Reads a model that was made for `task` and says how it was made.
    fn made(&self, task: &TrainingTask<'_>, answer: Answer, result: &Path) -> Result<Trained, TrainerError> {
        let bytes = read_file(result, task.base.values().len())
            .map_err(|problem| self.outside(format!("gave a model that cannot be used: {problem}")))?;
        let parameters = tensor_file::read(&bytes, task.base.architecture())
            .map_err(|problem| self.outside(format!("gave a model that cannot be used: {problem}")))?;
        let (examples, metrics) = answer.trained().map_err(|problem| self.outside(problem))?;
        Ok(Trained {
            parameters,
            examples,
            metrics,
        })
    }
}

/// Reads a file of at most so many doubles with the longest header.
fn read_file(path: &Path, numbers: usize) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let limit = (8 + MOST_HEADER_BYTES + 8 * numbers) as u64;
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{} has more than {limit} bytes", path.display()));
    }
    Ok(bytes)
}

impl Trainer for Outside {
    fn check(&self, terms: &PublicTerms) -> Result<(), TrainerError> {
        if matches!(terms.privacy, Some(Privacy::Row(_))) {
            let problem =
                "the study promises privacy of rows, which only the built-in training keeps".to_owned();
            return Err(TrainerError::Unfit { problem });
        }
        Ok(())
    }

    fn train(&self, task: &TrainingTask<'_>) -> Result<Trained, TrainerError> {
        // By round and base: a round that expired and was opened again is the same work.
        let digest = ContentDigest::of(&task.base.to_safetensors());
        let name = format!(
            "study-{}-round-{}-{}",
            task.study,
            task.round,
            &digest.to_hex()[..16]
        );
        let (result, said) = (
            self.work.join(format!("{name}.safetensors")),
            self.work.join(format!("{name}.json")),
        );
        if let Some(answer) = fs::read(&said).ok().and_then(|line| Answer::read(&line).ok())
            && let Ok(kept) = self.made(task, answer, &result)
        {
            return Ok(kept);
        }
        // What earlier rounds made serves nobody any more.
        for old in fs::read_dir(&self.work).into_iter().flatten().flatten() {
            if old.file_name().to_string_lossy().starts_with("study-") {
                let _ = fs::remove_file(old.path());
            }
        }
        let answer = self.ask("train", task, &result)?;
        let line = answer.line();
        let trained = self.made(task, answer, &result)?;
        // Last, so that a model without it is one that was not finished.
        fs::write(&said, line)
            .map_err(|error| self.outside(format!("made a model that cannot be kept: {error}")))?;
        Ok(trained)
    }

    fn evaluate(&self, task: &TrainingTask<'_>) -> Result<Option<Evaluated>, TrainerError> {
        let answer = self.ask("evaluate", task, &self.work.join("none.safetensors"))?;
        answer.evaluated().map_err(|problem| self.outside(problem))
    }
}

#[cfg(test)]
mod tests;
