use counterweight_provenance::signature::MemorySigner;

use super::*;

const NOW: u64 = 1_795_305_600;

fn signer(secret: u8) -> MemorySigner {
    MemorySigner::from_secret(&[secret; 32]).unwrap()
}

fn certificate(secret: u8) -> CertificateDer<'static> {
    Identity::new(&signer(secret), UnixMillis(NOW * 1000))
        .unwrap()
        .certificate
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

#[test]
fn a_certificate_names_the_account_that_made_it_until_it_ends() {
    let made = certificate(1);
    assert_eq!(account_of(&made, at(NOW)).unwrap(), Some(signer(1).address()));
    let until = NOW + LIFETIME.as_secs();
    assert!(account_of(&made, at(until)).unwrap().is_some());
    assert!(matches!(
        account_of(&made, at(until + 1)),
        Err(TlsError::Ended { .. })
    ));
}

/// Whoever changes the key, the end or the signature has another account's certificate or none.
#[test]
fn a_changed_certificate_is_not_that_account_s() {
    let made = certificate(1);
    let account = signer(1).address();
    let body = Certificate::from_der(&made).unwrap().tbs_certificate;
    let other = Certificate::from_der(&certificate(2)).unwrap().tbs_certificate;
    let believed = |change: &dyn Fn(&mut Certificate)| {
        let mut changed = Certificate::from_der(&made).unwrap();
        change(&mut changed);
        let bytes = CertificateDer::from(changed.to_der().unwrap());
        account_of(&bytes, at(NOW)).ok().flatten() == Some(account)
    };
    assert!(believed(&|_| {}));
    assert!(!believed(&|it| {
        it.tbs_certificate.subject_public_key_info = other.subject_public_key_info.clone();
    }));
    assert!(!believed(&|it| {
        it.tbs_certificate.validity.not_after = CertificateTime::try_from(
            std::time::UNIX_EPOCH + Duration::from_secs(NOW + 2 * LIFETIME.as_secs()),
        )
        .unwrap();
    }));
    assert!(!believed(
        &|it| it.tbs_certificate.extensions = other.extensions.clone()
    ));
    assert!(!believed(&|it| it.tbs_certificate.extensions = None));
    assert!(body.extensions.is_some());
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let made = certificate(1).to_vec();
    for cut in [0, 1, 50, made.len() - 1] {
        let bytes = CertificateDer::from(made[..cut].to_vec());
        assert!(matches!(
            account_of(&bytes, at(NOW)),
            Err(TlsError::Certificate { .. })
        ));
    }
    // No byte that changes makes it panic.
    for place in 0..made.len() {
        let mut bytes = made.clone();
        bytes[place] ^= 0x55;
        let _ = account_of(&CertificateDer::from(bytes), at(NOW));
    }
}
