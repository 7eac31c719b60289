//! What each side asks of the other's certificate.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_platform_verifier::Verifier as AuthorityVerifier;

use super::{Expected, TlsError, account_of, signatures::Signatures};

/// Checks the coordinator's certificate.
#[derive(Debug)]
pub(super) struct Coordinator {
    expected: Expected,
    signatures: Signatures,
}

impl Coordinator {
    pub(super) fn new(expected: Expected, provider: Arc<CryptoProvider>) -> Self {
        let signatures = Signatures(provider);
        Self { expected, signatures }
    }
}

impl ServerCertVerifier for Coordinator {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(got) = account_of(certificate, now)? else {
            // The system's authorities are read for a proxy only: it takes time, and most coordinators have none.
            let authorities = AuthorityVerifier::new(self.signatures.0.clone())?;
            return authorities.verify_server_cert(certificate, intermediates, name, ocsp, now);
        };
        match &self.expected {
            Expected::Account(expected) if *expected != got => {
                let expected = *expected;
                return Err(TlsError::OtherAccount { expected, got }.into());
            }
            Expected::Account(_) => {}
            Expected::Anyone(seen) => {
                // Another one on a later connection of the same client is another coordinator.
                let expected = *seen.get_or_init(|| got);
                if expected != got {
                    return Err(TlsError::OtherAccount { expected, got }.into());
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}

/// Checks what members show: a certificate of any account. Whether that account may do what it asks for is for the
/// request's own signature to say, which must be of the same account.
#[derive(Debug)]
pub(super) struct Members(Signatures);

impl Members {
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(Signatures(provider))
    }
}

impl ClientCertVerifier for Members {
    fn client_auth_mandatory(&self) -> bool {
        // Terms and phase can be read without an account.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        account_of(certificate, now)?.ok_or(TlsError::NoAccount)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.schemes()
    }
}
