//! The verifier's part of a structured reference string (SRS).
//!
//! Of the powers `[τ^i]_1` that a prover needs, a verifier keeps `[τ]_2` alone: `[1]_1` and `[1]_2` are the standard
//! generators, and the blinding generator `H` follows from a label. [`SrsId`] names the whole, whatever the number of
//! powers, so a proof can say which set-up it rests on.
//!
//! **Who knows `τ` can forge any proof.** [`SrsOrigin::Development`] marks the set-up whose `τ` follows from a
//! published seed: everybody can forge under it, and it may only ever be used for development and tests.

use std::fmt;

use halo2curves::bn256::Fq;

use crate::curve::{
    G1Affine, G2_BYTES, G2Affine, PointError, PrimeCurveAffine, decode_g2, encode_g1, encode_g2,
};
use crate::field::Word;
use crate::transcript::keccak256;

/// What is hashed, with a counter, to find the blinding generator.
pub const BLINDING_LABEL: &str = "counterweight/zkml/blinding-generator/v1";
/// Domain of [`SrsId`].
pub const SRS_ID_LABEL: &str = "counterweight/zkml/srs/v1";
/// The id of the development set-up, whose secret is public.
pub const DEVELOPMENT_SRS_ID: SrsId = SrsId([
    0x22, 0x31, 0xad, 0x49, 0x95, 0xa7, 0xca, 0xd9, 0x5f, 0xac, 0xb2, 0x5d, 0x16, 0xb9, 0x2e, 0xaf, 0x68,
    0x94, 0xcf, 0x67, 0xa9, 0xac, 0xc9, 0xee, 0xcd, 0xa3, 0xd2, 0xa3, 0x43, 0xf4, 0xbc, 0xba,
]);

/// Name of a set-up: Keccak-256 of a domain, `[1]_1`, `H`, `[1]_2` and `[τ]_2`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SrsId(pub Word);

impl fmt::Display for SrsId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for SrsId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Where a set-up comes from, told by its id alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SrsOrigin {
    /// The published development secret: INSECURE, anybody can forge.
    Development,
    /// Any other: as good as the ceremony that made it.
    Ceremony,
}

impl fmt::Display for SrsOrigin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Development => "INSECURE development set-up: anybody can forge proofs",
            Self::Ceremony => "powers of tau from a ceremony",
        })
    }
}

/// Why a verifier's set-up was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrsError {
    /// `[τ]_2` is no point.
    #[error("[tau]_2 is refused")]
    Point(#[from] PointError),
    /// `τ` is zero or one: anybody can forge.
    #[error("[tau]_2 is infinity or the generator itself")]
    TrivialSecret,
}

/// What a verifier knows of a set-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierSrs {
    tau_g2: G2Affine,
    id: SrsId,
}

impl VerifierSrs {
    /// The set-up with this `[τ]_2`.
    ///
    /// # Errors
    ///
    /// [`SrsError::TrivialSecret`].
    pub fn new(tau_g2: G2Affine) -> Result<Self, SrsError> {
        if bool::from(tau_g2.is_identity()) || tau_g2 == G2Affine::generator() {
            return Err(SrsError::TrivialSecret);
        }
        let mut message = keccak256(SRS_ID_LABEL.as_bytes()).to_vec();
        message.extend(encode_g1(&G1Affine::generator()));
        message.extend(encode_g1(&BLINDING_GENERATOR));
        message.extend(encode_g2(&G2Affine::generator()));
        message.extend(encode_g2(&tau_g2));
        Ok(Self {
            tau_g2,
            id: SrsId(keccak256(&message)),
        })
    }

    /// The set-up with the `[τ]_2` of these bytes.
    ///
    /// # Errors
    ///
    /// Each variant of [`SrsError`].
    pub fn decode(bytes: &[u8; G2_BYTES]) -> Result<Self, SrsError> {
        Self::new(decode_g2(bytes)?)
    }

    /// `[τ]_2`, the whole of what must be stored.
    #[must_use]
    pub fn tau_g2(&self) -> &G2Affine {
        &self.tau_g2
    }

    /// `H`: nobody knows its logarithm to any power of `τ`.
    #[must_use]
    pub fn blinding_generator(&self) -> &'static G1Affine {
        &BLINDING_GENERATOR
    }

    /// The name of the set-up.
    #[must_use]
    pub fn id(&self) -> SrsId {
        self.id
    }

    /// Whether this is the set-up that anybody can forge under.
    #[must_use]
    pub fn origin(&self) -> SrsOrigin {
        if self.id == DEVELOPMENT_SRS_ID {
            SrsOrigin::Development
        } else {
            SrsOrigin::Ceremony
        }
    }
}

/// `H`, by try and increment: for counter 0, 1, … the candidate is `x = keccak256(label || counter)` modulo the field
/// prime, with the counter as four big-endian bytes; the first `x` on the curve, with its even `y`. A test repeats it.
const BLINDING_GENERATOR: G1Affine = G1Affine {
    x: Fq::from_raw([
        0xbdfc_fc32_84a9_ab45,
        0x41a5_9548_e471_3ac1,
        0x662d_c51b_a925_6e5e,
        0x0221_29ec_5e2d_96e5,
    ]),
    y: Fq::from_raw([
        0x06df_d61a_1c07_9aca,
        0x610c_8005_67d8_e08e,
        0xdb2c_01b1_b067_b162,
        0x0669_2f95_7b79_afe3,
    ]),
};

#[cfg(test)]
mod tests {
    use halo2curves::CurveAffine;
    use halo2curves::ff::{Field, PrimeField};

    use super::*;
    use crate::curve::Curve;
    use crate::field::Fr;

    /// A hash as a big-endian number modulo the field prime.
    fn field_element(hash: &Word) -> Fq {
        hash.iter().fold(Fq::ZERO, |value, byte| {
            value * Fq::from(256) + Fq::from(u64::from(*byte))
        })
    }

    #[test]
    fn the_blinding_generator_follows_from_its_label() {
        let found = (0_u32..).find_map(|counter| {
            let x = field_element(&keccak256(
                &[BLINDING_LABEL.as_bytes(), &counter.to_be_bytes()].concat(),
            ));
            let y = (x.square() * x + G1Affine::b()).sqrt().into_option()?;
            Some(G1Affine {
                x,
                y: if bool::from(y.is_odd()) { -y } else { y },
            })
        });
        assert_eq!(found, Some(BLINDING_GENERATOR));
        assert!(bool::from(BLINDING_GENERATOR.is_on_curve()));
    }

    #[test]
    fn a_set_up_whose_secret_is_zero_or_one_is_refused() {
        assert_eq!(
            VerifierSrs::new(G2Affine::identity()),
            Err(SrsError::TrivialSecret)
        );
        assert_eq!(
            VerifierSrs::new(G2Affine::generator()),
            Err(SrsError::TrivialSecret)
        );
        assert_eq!(
            VerifierSrs::decode(&[1; 128]),
            Err(SrsError::Point(PointError::OffCurve))
        );
    }

    #[test]
    fn only_the_development_secret_has_the_development_id() {
        let other = VerifierSrs::new((G2Affine::generator() * Fr::from(5)).to_affine()).unwrap();
        assert_eq!(other.origin(), SrsOrigin::Ceremony);
        assert_ne!(other.id(), DEVELOPMENT_SRS_ID);
        let again = VerifierSrs::decode(&encode_g2(other.tau_g2())).unwrap();
        assert_eq!(again, other);
    }
}
