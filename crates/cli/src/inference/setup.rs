//! Set-ups: the powers of tau that commitments and proofs rest on.

use counterweight_zkml::srs::Srs;
use counterweight_zkml_verifier::srs::{SrsId, SrsOrigin, VerifierSrs};

use crate::{
    commands::Context,
    error::{CliError, Code, with_causes},
};

/// The set-up to commit and prove with, for rows of `2^row_bits` cells.
///
/// # Errors
/// [`Code::OtherSetup`].
pub(crate) fn load_setup(row_bits: usize) -> Result<Srs, CliError> {
    Srs::development(row_bits).map_err(|error| {
        CliError::new(
            Code::OtherSetup,
            format!("there is no set-up for rows of 2^{row_bits} cells"),
        )
        .why(with_causes(&error))
        .fix("cw proof setup")
    })
}

/// What a verifier needs of the set-up with an id.
///
/// # Errors
/// [`Code::OtherSetup`].
pub(crate) fn verifier_setup(id: SrsId) -> Result<VerifierSrs, CliError> {
    let known = load_setup(counterweight_zkml_verifier::opening::MIN_VARIABLES)?
        .verifier()
        .clone();
    if known.id() == id {
        return Ok(known);
    }
    Err(CliError::new(
        Code::OtherSetup,
        "this proof rests on a set-up that is not known here",
    )
    .fact("the proof's", id.to_string())
    .fact("known", known.id().to_string())
    .why("whoever made a set-up alone can forge proofs under it, so only those that were chosen are believed")
    .fix("cw proof setup --powers-of-tau FILE, with the file that the prover names"))
}

/// Says so where anybody can forge.
pub(crate) fn development_warning(srs: &VerifierSrs, context: &Context) {
    if srs.origin() == SrsOrigin::Development {
        context.console.warn(srs.origin().to_string());
    }
}
