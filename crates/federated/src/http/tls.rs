//! TLS by the keys that members and coordinator have on the chain, without certificate authorities.
//!
//! Each side makes a key on P-256 for the process and a certificate for it that carries its account's signature over
//! that key; whoever knows the account knows whom it talks to. libp2p's TLS does the same with its peers' keys. Page:
//! `docs/spec/member-protocol.md#tls`.

mod signatures;
mod verifiers;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use counterweight_primitives::{Address, ContentDigest, UnixMillis};
use counterweight_provenance::signature::{self, Signature, SignatureError, Signer};
use p256::{
    ecdsa::{DerSignature, SigningKey, signature::Signer as _},
    pkcs8::EncodePrivateKey as _,
};
use rand_core::{OsRng, TryRngCore as _};
use rustls::{
    CertificateError, ClientConfig, OtherError, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime},
    time_provider::TimeProvider,
};
use x509_cert::{
    Certificate, TbsCertificate, Version,
    der::{
        Decode as _, Encode as _,
        asn1::{BitString, Ia5String, ObjectIdentifier, OctetString},
        oid::AssociatedOid as _,
    },
    ext::{
        Extension,
        pkix::{SubjectAltName, name::GeneralName},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time as CertificateTime, Validity},
};

use self::verifiers::{Coordinator, Members};
use crate::clock::Clock;

/// What the account's signature is for.
const DOMAIN: &str = "counterweight/tls-key/v1";
/// In front of the account's signature, in the certificate's alternative names.
const SCHEME: &str = "counterweight-tls-key:";
/// RFC 5758, section 3.2.
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// A process that serves longer has to be started again.
const LIFETIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Why a certificate was not made or is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The account's signer does not sign, or its signature is none.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It cannot be written or read.
    #[error("the certificate cannot be {doing}: {reason}")]
    Certificate {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        reason: String,
    },
    /// No random bytes.
    #[error("the system gives no random bytes: {reason}")]
    Random {
        /// Why not.
        reason: String,
    },
    /// Past its last second.
    #[error(
        "the certificate ended at {until} s, it is {now} s: start the other side again, or set the clock"
    )]
    Ended {
        /// Its last second since 1970.
        until: u64,
        /// The time.
        now: u64,
    },
    /// Of nobody's account.
    #[error("the certificate names no account")]
    NoAccount,
    /// Of another account.
    #[error("the certificate is that of {got}, expected {expected}")]
    OtherAccount {
        /// Whose it should be.
        expected: Address,
        /// Whose it is.
        got: Address,
    },
    /// The settings contradict each other.
    #[error(transparent)]
    Settings(#[from] rustls::Error),
}

impl From<TlsError> for rustls::Error {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Settings(error) => error,
            error => CertificateError::Other(OtherError(Arc::new(error))).into(),
        }
    }
}

fn written(error: impl ToString) -> TlsError {
    let (doing, reason) = ("written", error.to_string());
    TlsError::Certificate { doing, reason }
}

fn unread(error: impl ToString) -> TlsError {
    let (doing, reason) = ("read", error.to_string());
    TlsError::Certificate { doing, reason }
}

/// A key for this process, and the certificate by which an account answers for it.
pub(super) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// With a fresh key, which never leaves memory.
    ///
    /// # Errors
    /// [`TlsError::Random`], [`TlsError::Signature`] or [`TlsError::Certificate`].
    pub(super) fn new(signer: &dyn Signer, now: UnixMillis) -> Result<Self, TlsError> {
        let key = random_key()?;
        let public = SubjectPublicKeyInfoOwned::from_key(*key.verifying_key()).map_err(written)?;
        let now = Duration::from_secs(now.0 / 1000);
        let until = now + LIFETIME;
        let bound = bound(&public.to_der().map_err(written)?, until.as_secs());
        let signed = signature::sign(signer, DOMAIN, &bound)?;
        let time =
            |since: Duration| CertificateTime::try_from(std::time::UNIX_EPOCH + since).map_err(written);
        let validity = Validity {
            not_before: time(now.saturating_sub(Duration::from_secs(24 * 60 * 60)))?,
            not_after: time(until)?,
        };
        let uri = Ia5String::new(&format!("{SCHEME}{signed}")).map_err(written)?;
        let names = SubjectAltName(vec![GeneralName::UniformResourceIdentifier(uri)]);
        let algorithm = || AlgorithmIdentifierOwned {
            oid: ECDSA_WITH_SHA256,
            parameters: None,
        };
        let tbs_certificate = TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::from(1_u8),
            signature: algorithm(),
            issuer: Name::default(),
            validity,
            subject: Name::default(),
            subject_public_key_info: public,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(vec![Extension {
                extn_id: SubjectAltName::OID,
                // As RFC 5280 (4.2.1.6) wants it where the subject has no name.
                critical: true,
                extn_value: OctetString::new(names.to_der().map_err(written)?).map_err(written)?,
            }]),
        };
        let signed: DerSignature = key.sign(&tbs_certificate.to_der().map_err(written)?);
        let certificate = Certificate {
            tbs_certificate,
            signature_algorithm: algorithm(),
            signature: BitString::from_bytes(&signed.to_bytes()).map_err(written)?,
        };
        let secret = key.to_pkcs8_der().map_err(written)?;
        Ok(Self {
            certificate: certificate.to_der().map_err(written)?.into(),
            key: PrivatePkcs8KeyDer::from(secret.as_bytes().to_vec()).into(),
        })
    }
}

fn random_key() -> Result<SigningKey, TlsError> {
    loop {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        OsRng
            .try_fill_bytes(&mut *bytes)
            .map_err(|error| TlsError::Random {
                reason: error.to_string(),
            })?;
        // One in 2^32 draws is no scalar of the curve.
        if let Ok(key) = SigningKey::from_slice(&*bytes) {
            return Ok(key);
        }
    }
}

/// What an account signs: the key as the certificate has it, and the last second it answers for it.
fn bound(public: &[u8], until: u64) -> ContentDigest {
    ContentDigest::of(&[public, &until.to_le_bytes()].concat())
}

/// The account that answers for a certificate's key; nothing for a certificate that speaks of no account.
///
/// # Errors
/// [`TlsError::Certificate`], [`TlsError::Signature`] or [`TlsError::Ended`].
fn account_of(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<Option<Address>, TlsError> {
    let certificate = Certificate::from_der(certificate).map_err(unread)?;
    let content = &certificate.tbs_certificate;
    let Some((_, names)) = content.get::<SubjectAltName>().map_err(unread)? else {
        return Ok(None);
    };
    let signed = names.0.iter().find_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => uri.as_str().strip_prefix(SCHEME),
        _ => None,
    });
    let Some(signed) = signed else {
        return Ok(None);
    };
    let until = content.validity.not_after.to_unix_duration().as_secs();
    if now.as_secs() > until {
        let now = now.as_secs();
        return Err(TlsError::Ended { until, now });
    }
    let public = content.subject_public_key_info.to_der().map_err(unread)?;
    let message = signature::tagged_message(DOMAIN, &bound(&public, until));
    let signed: Signature = signed.parse()?;
    Ok(Some(signature::recover(&message, &signed)?))
}

/// The account of a connection's other side, if it showed one. The handshake has checked it, at its time.
pub(super) fn peer_account(certificates: Option<&[CertificateDer<'_>]>) -> Option<Address> {
    let start = UnixTime::since_unix_epoch(Duration::ZERO);
    account_of(certificates?.first()?, start).ok().flatten()
}

/// Tells `rustls` the time.
struct Time(Arc<dyn Clock>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().0)))
    }
}

/// Settings of a server that answers for an account, and asks members for theirs.
///
/// # Errors
/// [`TlsError::Settings`].
pub(super) fn server_config(identity: &Identity, clock: Arc<dyn Clock>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let members = Arc::new(Members::new(provider.clone()));
    Ok(
        ServerConfig::builder_with_details(provider, Arc::new(Time(clock)))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(members)
            .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())?,
    )
}

/// Whom a member expects behind a URL.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    /// Whoever it is; told once it is known.
    Anyone(Arc<OnceLock<Address>>),
    /// This account.
    Account(Address),
}

/// Settings of a client. A certificate that speaks of no account must be one that the system's authorities answer for:
/// a proxy stands in front of the coordinator then.
///
/// # Errors
/// [`TlsError::Settings`].
pub(super) fn client_config(
    identity: Option<&Identity>,
    expected: Expected,
    clock: Arc<dyn Clock>,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Coordinator::new(expected, provider.clone()));
    let builder = ClientConfig::builder_with_details(provider, Arc::new(Time(clock)))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match identity {
        Some(Identity { certificate, key }) => {
            builder.with_client_auth_cert(vec![certificate.clone()], key.clone_key())?
        }
        None => builder.with_no_client_auth(),
    })
}

#[cfg(test)]
mod tests;
