//! `cw doctor`: is everything needed there?
use super::Context;
use crate::{error::CliError, output::Answer};
pub(crate) fn run(_context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}
