//! Reading a powers-of-tau file, as `snarkjs` and the Perpetual Powers of Tau ceremony write them.
//!
//! The layout, all integers little endian: `ptau`, version 1, the number of sections (each `u32`); then sections of a
//! `u32` id, a `u64` length and their bytes. Section 1 holds the byte length of a field element, the field prime and the power
//! `m`; section 2 the points `[τ^i]_1` for `i < 2^(m+1) - 1`; section 3 `[τ^i]_2` for `i < 2^m`. Coordinates are in Montgomery
//! form. Other sections are skipped.
//!
//! The format's reader in `nova-snark` 0.76 (`src/provider/ptau.rs`, MIT) was read for the layout.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use blake2::{Blake2b512, Digest as _};
use counterweight_zkml_verifier::curve::{PrimeCurveAffine as _, decode_g2, encode_g2};
use counterweight_zkml_verifier::{G1Affine, G2Affine};
use halo2curves::bn256::{Fq, Fq2};
use halo2curves::ff::PrimeField as _;
use halo2curves::serde::SerdeObject as _;

use super::{LoadSrsError, Refusal};

/// More sections than any known file has.
const MAX_SECTIONS: u32 = 64;

/// What a file holds that we need.
pub(super) struct PowersOfTau {
    pub(super) powers: Vec<G1Affine>,
    pub(super) tau_g2: G2Affine,
    pub(super) digest: [u8; 64],
}

/// Reads `count` powers. Checks coordinates, curve equations, subgroup and generators, but not that the powers are
/// powers.
pub(super) fn read(mut file: impl Read + Seek, count: usize) -> Result<PowersOfTau, LoadSrsError> {
    let size = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let digest = digest(&mut file)?;
    file.rewind()?;
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    if &magic != b"ptau" || number(&mut file)? != 1 {
        return Err(Refusal::NotPowersOfTau.into());
    }
    let sections = sections(&mut file, size)?;
    let section = |id: u32| sections.get(&id).copied().ok_or(Refusal::Section { id });

    let (start, length) = section(1)?;
    file.seek(SeekFrom::Start(start))?;
    let mut header = [0; 40];
    if length < header.len() as u64 {
        return Err(Refusal::Section { id: 1 }.into());
    }
    file.read_exact(&mut header)?;
    let mut prime = [0; 32];
    let modulus = (-Fq::one()).to_repr();
    prime.copy_from_slice(modulus.as_ref());
    // The prime is odd, so adding one to p - 1 carries nowhere.
    prime[0] += 1;
    if header[..4] != 32_u32.to_le_bytes() || header[4..36] != prime {
        return Err(Refusal::OtherCurve.into());
    }
    let power = header
        .last_chunk::<4>()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let available = 1_u64
        .checked_shl(power.saturating_add(1))
        .map_or(u64::MAX, |points| points - 1);
    if (count as u64) > available {
        return Err(Refusal::TooShort {
            needed: count as u64,
            got: available,
        }
        .into());
    }

    let (start, length) = section(2)?;
    if length < 64 * count as u64 {
        return Err(Refusal::TooShort {
            needed: count as u64,
            got: length / 64,
        }
        .into());
    }
    file.seek(SeekFrom::Start(start))?;
    let mut powers = Vec::with_capacity(count);
    for index in 0..count {
        let mut bytes = [0; 64];
        file.read_exact(&mut bytes)?;
        let point = G1Affine::from_raw_bytes(&bytes).ok_or(Refusal::Point { group: 1, index })?;
        if bool::from(point.is_identity()) {
            return Err(Refusal::Point { group: 1, index }.into());
        }
        powers.push(point);
    }

    let (start, length) = section(3)?;
    if length < 2 * 128 {
        return Err(Refusal::Section { id: 3 }.into());
    }
    file.seek(SeekFrom::Start(start))?;
    let one = twist_point(&mut file, 0)?;
    let tau_g2 = twist_point(&mut file, 1)?;
    if powers.first() != Some(&G1Affine::generator()) || one != G2Affine::generator() {
        return Err(Refusal::Generators.into());
    }
    Ok(PowersOfTau {
        powers,
        tau_g2,
        digest,
    })
}

/// Where each section starts and how long it is. Each lies inside the file, and none comes twice.
fn sections(file: &mut (impl Read + Seek), size: u64) -> Result<BTreeMap<u32, (u64, u64)>, LoadSrsError> {
    let mut sections = BTreeMap::new();
    let count = number(file)?;
    if count > MAX_SECTIONS {
        return Err(Refusal::NotPowersOfTau.into());
    }
    for _ in 0..count {
        let id = number(file)?;
        let mut length = [0; 8];
        file.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let start = file.stream_position()?;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= size)
            .ok_or(Refusal::Section { id })?;
        if sections.insert(id, (start, length)).is_some() {
            return Err(Refusal::Section { id }.into());
        }
        file.seek(SeekFrom::Start(end))?;
    }
    Ok(sections)
}

fn twist_point(file: &mut impl Read, index: usize) -> Result<G2Affine, LoadSrsError> {
    let refusal = Refusal::Point { group: 2, index };
    let mut parts = [Fq::zero(); 4];
    for part in &mut parts {
        let mut bytes = [0; 32];
        file.read_exact(&mut bytes)?;
        *part = Fq::from_raw_bytes(&bytes).ok_or(refusal)?;
    }
    let [x0, x1, y0, y1] = parts;
    let point = G2Affine {
        x: Fq2::new(x0, x1),
        y: Fq2::new(y0, y1),
    };
    // Decoding is where curve and subgroup are checked.
    decode_g2(&encode_g2(&point)).map_err(|_| refusal.into())
}

fn number(file: &mut impl Read) -> Result<u32, LoadSrsError> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn digest(file: &mut impl Read) -> Result<[u8; 64], LoadSrsError> {
    let mut hash = Blake2b512::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..read]);
    }
}
