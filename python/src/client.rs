//! A function of Python's as a member's trainer.

use std::sync::{Arc, Mutex, PoisonError};

use counterweight_federated::{
    member::trainer::{Evaluated, Metrics, Trained, Trainer, TrainerError, TrainingTask},
    study::{privacy::Privacy, terms::PublicTerms},
    tensor_file,
};
use pyo3::{prelude::*, types::PyBytes};
use serde_json::json;

/// The first exception of a study: it ends the study and is raised as it is, with its traceback.
pub(crate) type Raised = Arc<Mutex<Option<PyErr>>>;

/// One client.
pub(crate) struct PythonTrainer {
    pub(crate) place: usize,
    pub(crate) call: Py<PyAny>,
    pub(crate) raised: Raised,
}

impl PythonTrainer {
    fn failed(&self, problem: impl Into<String>) -> TrainerError {
        TrainerError::Outside {
            trainer: format!("client {}", self.place),
            problem: problem.into(),
        }
    }

    fn raise(&self, error: PyErr) -> TrainerError {
        let told = self.failed(format!("raised {error}"));
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        raised.get_or_insert(error);
        told
    }

    fn call<T>(
        &self,
        what: &str,
        task: &TrainingTask<'_>,
        read: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> Result<T, TrainerError> {
        let facts = json!({
            "study": task.study.0,
            "round": task.round.0,
            "rounds": task.terms.rounds,
            "member": task.member.0,
            "seed": hex(&task.seed.0),
            "model": task.terms.model,
            "local": task.terms.local,
        });
        let model = task.base.to_safetensors();
        Python::attach(|py| {
            let answer = self
                .call
                .bind(py)
                .call1((what, PyBytes::new(py, &model), facts.to_string()))?;
            read(&answer)
        })
        .map_err(|error| self.raise(error))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn metrics(text: &str) -> PyResult<Metrics> {
    serde_json::from_str(text).map_err(|error| crate::StudyError::new_err(error.to_string()))
}

impl Trainer for PythonTrainer {
    fn check(&self, terms: &PublicTerms) -> Result<(), TrainerError> {
        if matches!(terms.privacy, Some(Privacy::Row(_))) {
            let problem = "privacy of rows can be promised by the built-in training only".to_owned();
            return Err(TrainerError::Unfit { problem });
        }
        Ok(())
    }

    fn train(&self, task: &TrainingTask<'_>) -> Result<Trained, TrainerError> {
        let (model, examples, metrics) = self.call("train", task, |answer| {
            let (model, examples, text): (Vec<u8>, u32, String) = answer.extract()?;
            Ok((model, examples, metrics(&text)?))
        })?;
        let parameters = tensor_file::read(&model, task.base.architecture()).map_err(|problem| {
            let told = format!(
                "client {} gave parameters that cannot be used: {problem}",
                self.place
            );
            self.raise(crate::StudyError::new_err(told))
        })?;
        Ok(Trained {
            parameters,
            examples,
            metrics,
        })
    }

    fn evaluate(&self, task: &TrainingTask<'_>) -> Result<Option<Evaluated>, TrainerError> {
        self.call("evaluate", task, |answer| {
            let answer: Option<(f64, u32, String)> = answer.extract()?;
            let Some((loss, examples, text)) = answer else {
                return Ok(None);
            };
            Ok(Some(Evaluated {
                loss,
                examples,
                metrics: metrics(&text)?,
            }))
        })
    }
}
