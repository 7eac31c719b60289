//! A server that answers requests over HTTP.

use std::{fs, io::Read as _, path::Path, time::Duration};

use reqwest::{StatusCode, blocking::Client, redirect};

use super::{MOST_LINE_BYTES, Request, Way, answer::quoted};
use crate::parameters::MOST_HEADER_BYTES;

/// Something that listens at an address.
pub(super) struct Server {
    url: reqwest::Url,
    client: Client,
}

impl Server {
    /// A server that is called when there is something to do.
    pub(super) fn new(url: &str) -> Result<Self, String> {
        let url: reqwest::Url = url.parse().map_err(|error| format!("is no address: {error}"))?;
        // reqwest wants one to be there even where nothing is encrypted; another that is installed stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| format!("cannot be called: {error}"))?;
        Ok(Self { url, client })
    }
}

impl Way for Server {
    fn ask(
        &self,
        request: Request<'_>,
        base: &Path,
        result: &Path,
        time: Duration,
    ) -> Result<Vec<u8>, String> {
        let mut body = request.line();
        let model = fs::read(base).map_err(|error| format!("has no model to start from: {error}"))?;
        // Twice the model, since numbers may come in double width.
        let limit = (MOST_LINE_BYTES + 1 + MOST_HEADER_BYTES + 2 * model.len()) as u64;
        body.extend_from_slice(&model);
        let silent = |error: reqwest::Error| {
            if error.is_timeout() {
                format!("gave no answer in {} s", time.as_secs())
            } else {
                format!("does not answer: {}", with_causes(&error))
            }
        };
        let call = self.client.post(self.url.clone()).timeout(time).body(body);
        let response = call.send().map_err(silent)?;
        let status = response.status();
        let mut answer = Vec::new();
        response
            .take(limit + 1)
            .read_to_end(&mut answer)
            .map_err(|error| format!("broke off its answer: {error}"))?;
        if answer.len() as u64 > limit {
            return Err(format!("answered with more than {limit} bytes"));
        }
        let end = answer
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(answer.len());
        if status != StatusCode::OK {
            return Err(format!("answered {status}: {}", quoted(&answer[..end])));
        }
        if request.task == "train" {
            let model = answer.get(end + 1..).unwrap_or_default();
            fs::write(result, model).map_err(|error| format!("made a model that cannot be kept: {error}"))?;
        }
        answer.truncate(end);
        Ok(answer)
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    crate::member::run::chain_of(error)
}
