//! The prover's own file of a set-up, so that points and table are made once.
//!
//! | bytes | field |
//! | ---: | --- |
//! | 8 | `cwzksrs1` |
//! | 4 | variables `k`, little endian |
//! | 128 | `[τ]_2` as in `docs/spec/opening.md` |
//! | 64 each | the table's points, coordinates in Montgomery form, little endian |
//! | 32 | BLAKE3 of all before it |
//!
//! It stays on the machine that wrote it. The digest finds damage, not malice: whoever may write here may also replace the
//! program. What came from elsewhere is read as a powers-of-tau file, whose structure is checked.

use std::io::Write as _;
use std::path::Path;

use counterweight_zkml_verifier::G1Affine;
use counterweight_zkml_verifier::curve::G2_BYTES;
use counterweight_zkml_verifier::curve::encode_g2;
use counterweight_zkml_verifier::opening::{MAX_VARIABLES, MIN_VARIABLES};
use counterweight_zkml_verifier::srs::VerifierSrs;
use halo2curves::bn256::Fq;
use halo2curves::serde::SerdeObject as _;
use rayon::prelude::*;

use super::{LoadSrsError, Refusal, Srs};
use crate::msm::Table;

const MAGIC: &[u8; 8] = b"cwzksrs1";

pub(super) fn encode(srs: &Srs) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend((srs.variables as u32).to_le_bytes());
    bytes.extend(encode_g2(srs.verifier.tau_g2()));
    for point in srs.table.points() {
        bytes.extend(point.to_raw_bytes());
    }
    let digest = blake3::hash(&bytes);
    bytes.extend(digest.as_bytes());
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Srs, LoadSrsError> {
    let parts = || {
        let (body, digest) = bytes.split_last_chunk::<32>()?;
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (variables, rest) = rest.split_first_chunk::<4>()?;
        let (tau_g2, points) = rest.split_first_chunk::<G2_BYTES>()?;
        Some((
            body,
            digest,
            magic,
            u32::from_le_bytes(*variables) as usize,
            tau_g2,
            points,
        ))
    };
    let (body, digest, magic, variables, tau_g2, points) = parts().ok_or(Refusal::Damaged)?;
    if magic != MAGIC || blake3::Hasher::new().update_rayon(body).finalize() != *digest {
        return Err(Refusal::Damaged.into());
    }
    if !(MIN_VARIABLES..=MAX_VARIABLES).contains(&variables) {
        return Err(LoadSrsError::Variables { got: variables });
    }
    let (points, rest) = points.as_chunks::<64>();
    let coordinate = |bytes: &[u8]| Fq::from_raw_bytes(bytes);
    let points: Option<Vec<G1Affine>> = points
        .par_iter()
        .with_min_len(1024)
        .map(|bytes| {
            Some(G1Affine {
                x: coordinate(&bytes[..32])?,
                y: coordinate(&bytes[32..])?,
            })
        })
        .collect();
    let table = points
        .filter(|_| rest.is_empty())
        .and_then(|points| Table::from_parts(1 << variables, points));
    let table = table.ok_or(Refusal::Damaged)?;
    Ok(Srs {
        variables,
        table,
        verifier: VerifierSrs::decode(tau_g2)?,
    })
}

/// Writes beside the place and moves there, so that a reader never sees half a file.
pub(super) fn write(srs: &Srs, path: &Path) -> Result<(), LoadSrsError> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = directory.join(name);
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(&encode(srs))?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    Ok(())
}
