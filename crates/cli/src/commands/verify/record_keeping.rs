//! `cw verify record-keeping`: does a profile of decisions keep what Article 12 of the EU AI Act asks for?

use std::path::PathBuf;

use counterweight_federated::audit::Verdict;
use counterweight_provenance::decision::{Profile, ProfileDraft};
use counterweight_standards::record_keeping::article_12;

use super::{Check, answer as summarise};
use crate::{
    error::{CliError, Code, with_causes},
    inference::read_file,
    output::Answer,
};

/// Largest profile.
const PROFILE_BYTES: u64 = 1 << 20;

/// What to go through.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A profile as it is in a log, or a draft of one
    file: PathBuf,
    /// Ask for what remote biometric identification needs, too
    #[arg(long)]
    biometric: bool,
}

/// Goes through the article: a point that the profile keeps is yes, a gap is unknown, since something else may fill it.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::BadValue`] for a file that is no profile.
pub(super) fn run(arguments: &Arguments) -> Result<Answer, CliError> {
    let bytes = read_file(&arguments.file, PROFILE_BYTES)?;
    let profile = Profile::decode(&bytes, None).or_else(|error| {
        let draft = ProfileDraft::read(&bytes).and_then(ProfileDraft::into_profile);
        draft.map_err(|of_draft| {
            CliError::new(
                Code::BadValue,
                format!("{} is no profile of decisions", arguments.file.display()),
            )
            .fact("as a draft", with_causes(&of_draft))
            .why(with_causes(&error))
            .fix("docs/spec/decision.md says what a profile looks like")
        })
    })?;
    let points = article_12(&profile, arguments.biometric);
    let checks: Vec<Check> = points
        .iter()
        .map(|point| {
            let (verdict, sentence) = match &point.kept {
                Some(kept) => (Verdict::Yes, format!("{}: {kept}", point.asks)),
                None => (
                    Verdict::Unknown,
                    format!("{}: missing. {}", point.asks, point.gap),
                ),
            };
            Check::new(point.point, verdict, Code::CheckUnknown, sentence)
        })
        .collect();
    Ok(
        summarise(&format!("record keeping of {}", profile.endpoint()), &checks, &[])
            .json("points", serde_json::json!(points)),
    )
}
