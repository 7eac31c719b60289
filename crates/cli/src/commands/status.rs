//! `cw status`: where the project stands.
use super::Context;
use crate::{error::CliError, output::Answer};
pub(crate) fn overview(_context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}
pub(crate) fn run(_context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}
