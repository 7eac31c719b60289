//! `cw verify content`: are these the bytes that a digest names?

use std::path::PathBuf;

use counterweight_federated::audit::Verdict;
use counterweight_primitives::ContentDigest;
use counterweight_provenance::content::{Content, Hashes};

use super::{Check, answer as summarise};
use crate::{
    error::{CliError, Code, with_causes},
    output::Answer,
};

/// What to check.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file or folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The digest it should have, blake3: and 64 digits
    digest: ContentDigest,
}

/// Hashes and compares.
///
/// # Errors
/// [`Code::FileUnreadable`] where there is nothing to hash.
pub(super) fn run(arguments: &Arguments) -> Result<Answer, CliError> {
    let content = Content::read(&arguments.path, Hashes::Content).map_err(|error| {
        CliError::new(Code::FileUnreadable, with_causes(&error))
            .fix("docs/spec/content-digest.md says which files and folders have a digest")
    })?;
    let found = content.digest();
    let (verdict, sentence) = if found == arguments.digest {
        (
            Verdict::Yes,
            format!("{} bytes have the digest {}", content.size(), found.short()),
        )
    } else {
        (Verdict::No, format!("its digest is {found}"))
    };
    let check = Check::new("content", verdict, Code::ContentDiffers, sentence);
    Ok(
        summarise(&format!("content {}", arguments.path.display()), &[check], &[])
            .json("digest", found.to_string()),
    )
}
