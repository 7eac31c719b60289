//! Set-ups: the powers of tau that commitments and proofs rest on, one file for each row length in the user's folder.

use std::{fs::File, io::BufReader, path::Path, path::PathBuf};

use counterweight_zkml::srs::{FileDigest, Srs};
use counterweight_zkml_verifier::curve::encode_g2;
use counterweight_zkml_verifier::srs::{DEVELOPMENT_SRS_ID, SrsId, SrsOrigin, VerifierSrs};

use crate::{
    commands::Context,
    error::{CliError, Code, with_causes},
    user::UserFolder,
};

/// Shortest rows of the development set-up that a verifier is made from: it needs none of them.
const SHORTEST: usize = counterweight_zkml_verifier::opening::MIN_VARIABLES;

fn folder() -> PathBuf {
    UserFolder::of_environment().path().join("setups")
}

fn ceremony_file(row_bits: usize) -> PathBuf {
    folder().join(format!("ceremony-{row_bits}.srs"))
}

fn unusable(what: String, error: &dyn std::error::Error) -> CliError {
    CliError::new(Code::OtherSetup, what)
        .why(with_causes(error))
        .fix("give a .ptau file of a public ceremony with at least as many powers as a row has cells")
}

/// The set-up to commit with, for rows of `2^row_bits` cells: the ceremony's if one was chosen, else the insecure one for
/// development.
///
/// # Errors
/// [`Code::OtherSetup`].
pub(crate) fn chosen_setup(row_bits: usize) -> Result<Srs, CliError> {
    let file = ceremony_file(row_bits);
    if file.exists() {
        return Srs::load(&file)
            .map_err(|error| unusable(format!("{} cannot be read", file.display()), &error));
    }
    development(row_bits)
}

/// The set-up that a model was committed to under.
///
/// # Errors
/// [`Code::OtherSetup`].
pub(crate) fn setup_of(row_bits: usize, id: SrsId) -> Result<Srs, CliError> {
    if id == DEVELOPMENT_SRS_ID {
        return development(row_bits);
    }
    let file = ceremony_file(row_bits);
    match Srs::load(&file) {
        Ok(srs) if srs.id() == id => Ok(srs),
        _ => Err(unknown(id).fact("rows", format!("2^{row_bits} cells"))),
    }
}

fn development(row_bits: usize) -> Result<Srs, CliError> {
    let file = folder().join(format!("development-{row_bits}.srs"));
    // A folder that cannot be written costs the time to make the set-up again, no more.
    let cached = std::fs::create_dir_all(folder())
        .ok()
        .and_then(|()| Srs::development_cached(row_bits, &file).ok());
    match cached {
        Some(srs) => Ok(srs),
        None => Srs::development(row_bits).map_err(|error| {
            unusable(
                format!("there is no set-up for rows of 2^{row_bits} cells"),
                &error,
            )
        }),
    }
}

/// Takes a set-up from a powers-of-tau file, for rows of `2^row_bits` cells, and chooses it for what is committed to from now on.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::OtherSetup`] for a file that is refused.
pub(crate) fn take_ceremony(file: &Path, row_bits: usize) -> Result<(Srs, FileDigest), CliError> {
    let opened = File::open(file).map_err(|error| {
        CliError::new(Code::FileUnreadable, format!("{} cannot be read", file.display()))
            .fact("system", error.to_string())
            .fix("check the name, and that the file is there and belongs to you")
    })?;
    let (srs, digest) = Srs::from_powers_of_tau(BufReader::new(opened), row_bits)
        .map_err(|error| unusable(format!("{} is refused", file.display()), &error))?;
    let kept = ceremony_file(row_bits);
    std::fs::create_dir_all(folder())
        .map_err(|error| error.to_string())
        .and_then(|()| srs.save(&kept).map_err(|error| with_causes(&error)))
        .map_err(|why| {
            CliError::new(
                Code::FileUnreadable,
                format!("{} cannot be written", kept.display()),
            )
            .fact("system", why)
            .fix("check the folder's permissions and the disk's free space")
        })?;
    Ok((srs, digest))
}

/// What a verifier needs of the set-up with an id: the development one, or one that was taken from a ceremony.
///
/// # Errors
/// [`Code::OtherSetup`].
pub(crate) fn verifier_setup(id: SrsId) -> Result<VerifierSrs, CliError> {
    if id == DEVELOPMENT_SRS_ID {
        return Ok(development(SHORTEST)?.verifier().clone());
    }
    ceremonies()
        .map(|srs| srs.verifier().clone())
        .find(|srs| srs.id() == id)
        .ok_or_else(|| unknown(id))
}

/// The set-ups that were taken from ceremonies, by row length.
pub(crate) fn ceremonies() -> impl Iterator<Item = Srs> {
    let rows =
        counterweight_zkml_verifier::plan::FEWEST_ROW_BITS..=counterweight_zkml_verifier::plan::MOST_ROW_BITS;
    rows.filter_map(|bits| Srs::load(&ceremony_file(bits)).ok())
}

/// `[tau]_2` of the ceremony that was chosen, as EIP-197 encodes it; whatever the row length, it is the same.
pub(crate) fn ceremony_tau() -> Option<[u8; 128]> {
    ceremonies().next().map(|srs| encode_g2(srs.verifier().tau_g2()))
}

fn unknown(id: SrsId) -> CliError {
    CliError::new(Code::OtherSetup, "this rests on a set-up that is not known here")
        .fact("set-up", id.to_string())
        .why("whoever made a set-up alone can forge proofs under it, so only those that were chosen are believed")
        .fix("cw proof setup --powers-of-tau FILE, with the file that the prover names")
}

/// Says so where anybody can forge.
pub(crate) fn development_warning(srs: &VerifierSrs, context: &Context) {
    if srs.origin() == SrsOrigin::Development {
        context.console.warn(srs.origin().to_string());
    }
}
