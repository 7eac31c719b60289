//! A credential for tries: an authority that nobody knows, and a signer that it vouches for.
//!
//! C2PA wants more of a signer than a key (section "X.509 Certificates" of its specification): a certificate of version 3 that is no
//! authority's, usage for signatures, an extended usage out of its list, identifiers of both keys; and it refuses one that signs
//! itself. So two certificates are made. The authority's key is dropped: it vouches for this one signer and nobody else, ever.

use std::time::{Duration, UNIX_EPOCH};

use p256::{
    ecdsa::{DerSignature, SigningKey, signature::Signer as _},
    pkcs8::{EncodePrivateKey as _, LineEnding},
};
use rand_core::{OsRng, RngCore as _};
use sha1::{Digest as _, Sha1};
use x509_cert::{
    Certificate, TbsCertificate, Version,
    der::{
        Encode as _, EncodePem as _,
        asn1::{BitString, ObjectIdentifier, OctetString},
        flagset::FlagSet,
        oid::AssociatedOid,
    },
    ext::{
        Extension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
            SubjectKeyIdentifier,
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time, Validity},
};

use crate::protocol::{Credential, CredentialRequest, ErrorKind, Failure};

/// RFC 5758, section 3.2.
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// emailProtection of RFC 5280: the usage that every C2PA reader takes.
const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
/// How long it holds. A file that was signed without a time stamp is refused afterwards.
const LIFETIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// Longest name: RFC 5280 bounds common names.
const MOST_NAME: usize = 64;

/// Makes one.
///
/// # Errors
/// [`ErrorKind::Request`] for a name that is empty, too long or not plain, [`ErrorKind::Fault`].
pub fn make(request: &CredentialRequest) -> Result<Credential, Failure> {
    // A comma, say, would begin another part of the name (RFC 4514).
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " .-_".contains(c);
    let name = request.name.trim();
    if name.is_empty() || name.len() > MOST_NAME || !name.chars().all(is_plain) {
        let message = format!("a name is 1 to {MOST_NAME} letters, digits, spaces, dots and hyphens");
        return Err(Failure::new(ErrorKind::Request, message));
    }
    made(name, Duration::from_secs(request.now)).map_err(|error| {
        Failure::new(
            ErrorKind::Fault,
            format!("a certificate cannot be written: {error}"),
        )
    })
}

type Written<T> = Result<T, Box<dyn std::error::Error>>;

fn made(name: &str, now: Duration) -> Written<Credential> {
    let (authority_key, signer_key) = (SigningKey::random(&mut OsRng), SigningKey::random(&mut OsRng));
    let validity = Validity {
        // Clocks differ.
        not_before: Time::try_from(UNIX_EPOCH + now.saturating_sub(Duration::from_secs(24 * 60 * 60)))?,
        not_after: Time::try_from(UNIX_EPOCH + now + LIFETIME)?,
    };
    let authority_name: Name = "CN=Authority for tries,O=vouched for by nobody".parse()?;
    let signer_name: Name = format!("CN={name},O=for tries").parse()?;
    let (authority_public, authority_id) = public(&authority_key)?;
    let (signer_public, signer_id) = public(&signer_key)?;
    let authority = certificate(
        &authority_key,
        TbsCertificate {
            subject: authority_name.clone(),
            extensions: Some(vec![
                extension(
                    true,
                    &BasicConstraints {
                        ca: true,
                        path_len_constraint: Some(0),
                    },
                )?,
                extension(true, &KeyUsage(FlagSet::from(KeyUsages::KeyCertSign)))?,
                extension(false, &SubjectKeyIdentifier(authority_id.clone()))?,
            ]),
            ..blank(authority_name.clone(), validity, authority_public)
        },
    )?;
    let signer = certificate(
        &authority_key,
        TbsCertificate {
            subject: signer_name,
            extensions: Some(vec![
                extension(
                    true,
                    &BasicConstraints {
                        ca: false,
                        path_len_constraint: None,
                    },
                )?,
                extension(true, &KeyUsage(FlagSet::from(KeyUsages::DigitalSignature)))?,
                extension(false, &ExtendedKeyUsage(vec![EMAIL_PROTECTION]))?,
                extension(false, &SubjectKeyIdentifier(signer_id))?,
                extension(
                    false,
                    &AuthorityKeyIdentifier {
                        key_identifier: Some(authority_id),
                        ..AuthorityKeyIdentifier::default()
                    },
                )?,
            ]),
            ..blank(authority_name, validity, signer_public)
        },
    )?;
    let (authority, signer) = (authority.to_pem(LineEnding::LF)?, signer.to_pem(LineEnding::LF)?);
    Ok(Credential {
        certificates: format!("{signer}{authority}"),
        authority,
        key: signer_key.to_pkcs8_pem(LineEnding::LF)?.to_string(),
    })
}

/// A public key, and the identifier that RFC 5280 (4.2.1.2) proposes for it.
fn public(key: &SigningKey) -> Written<(SubjectPublicKeyInfoOwned, OctetString)> {
    let public = SubjectPublicKeyInfoOwned::from_key(*key.verifying_key())?;
    let id: [u8; 20] = Sha1::digest(public.subject_public_key.raw_bytes()).into();
    Ok((public, OctetString::new(id)?))
}

fn extension<T: AssociatedOid + x509_cert::der::Encode>(critical: bool, value: &T) -> Written<Extension> {
    Ok(Extension {
        extn_id: T::OID,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

fn algorithm() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: ECDSA_WITH_SHA256,
        parameters: None,
    }
}

/// A certificate that names nobody yet.
fn blank(issuer: Name, validity: Validity, key: SubjectPublicKeyInfoOwned) -> TbsCertificate {
    let mut number = [0; 8];
    OsRng.fill_bytes(&mut number);
    TbsCertificate {
        version: Version::V3,
        // Positive, and never zero.
        serial_number: SerialNumber::from((u64::from_be_bytes(number) >> 1).max(1)),
        signature: algorithm(),
        issuer,
        validity,
        subject: Name::default(),
        subject_public_key_info: key,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: None,
    }
}

fn certificate(key: &SigningKey, tbs_certificate: TbsCertificate) -> Written<Certificate> {
    let signed: DerSignature = key.try_sign(&tbs_certificate.to_der()?)?;
    Ok(Certificate {
        tbs_certificate,
        signature_algorithm: algorithm(),
        signature: BitString::from_bytes(&signed.to_bytes())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_say_more_than_a_name_are_refused() {
        for name in ["", "  ", "a,O=Bank", "é", &"x".repeat(65)] {
            let name = name.to_owned();
            let refused = make(&CredentialRequest {
                name,
                now: 1_700_000_000,
            })
            .unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Request);
        }
    }
}
