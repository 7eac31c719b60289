//! Requests signed by a member.
//!
//! What is signed is the BLAKE3 digest of a text that holds everything the request means, in the domain
//! [`DOMAIN`]; so a signature fits one method, path, study, time and body, and no other message of the system.
//! The account is recovered from the signature and never stated.

use std::fmt::Write as _;

use counterweight_primitives::{Address, ContentDigest, StudyId, UnixMillis};
use counterweight_provenance::signature::{Signature, SignatureError, Signer, recover, sign, tagged_message};

/// Domain of a request's signature, and first line of what is signed.
pub const DOMAIN: &str = "counterweight/member-request/v1";

/// Longest value of one header.
const HEADER_MAX: usize = 160;

/// Makes a request differ from every other one of the same account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(pub [u8; 16]);

/// What a request means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFacts {
    /// `PUT` or `POST`.
    pub method: String,
    /// Path without host and query, `/v1/rounds/3/updates/0`.
    pub path: String,
    /// The study.
    pub study: StudyId,
    /// Digest of its terms, which tells apart studies of the same number on two chains.
    pub terms: ContentDigest,
    /// When it was made, by the clock of its sender.
    pub time: UnixMillis,
    /// Used once.
    pub nonce: Nonce,
    /// Digest of the body.
    pub body: ContentDigest,
}

/// A request as it arrived: anyone may have written it.
#[derive(Debug, Clone)]
pub struct UncheckedRequest {
    /// What it says.
    pub facts: RequestFacts,
    /// Its signature.
    pub signature: Signature,
}

/// A request with the account that signed it. Made only by [`UncheckedRequest::verify`].
///
/// Its body is known by digest alone, so that nobody has to read the body of a stranger.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    facts: RequestFacts,
    signer: Address,
}

/// Why a request is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A header is missing.
    #[error("header {name} is missing")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A header cannot be read.
    #[error("header {name} cannot be read: expected {expected}")]
    Unreadable {
        /// Its name.
        name: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// The signature is none.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is meant for another study.
    #[error("the request is for study {got_study} with terms {got_terms}")]
    OtherStudy {
        /// The study it names.
        got_study: StudyId,
        /// The terms it names.
        got_terms: ContentDigest,
    },
    /// The body is not the one that was signed.
    #[error("the body has digest {got}, signed was {expected}")]
    OtherBody {
        /// In the signed text.
        expected: ContentDigest,
        /// Of the body.
        got: ContentDigest,
    },
}

impl RequestFacts {
    /// The text whose digest is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{DOMAIN}\n");
        // Writing to a string cannot fail. Neither method nor path holds a newline: HTTP allows none in either.
        let _ = write!(
            text,
            "method {}\npath {}\nstudy {}\nterms {}\ntime {}\nnonce {}\nbody {}\n",
            self.method,
            self.path,
            self.study,
            self.terms,
            self.time.0,
            hex::encode(self.nonce.0),
            self.body
        );
        text
    }

    /// Signs it; the headers to send.
    ///
    /// # Errors
    /// [`SignatureError::Refused`].
    pub fn sign(&self, signer: &dyn Signer) -> Result<Vec<(&'static str, String)>, SignatureError> {
        let signature = sign(signer, DOMAIN, &ContentDigest::of(self.text().as_bytes()))?;
        Ok(vec![
            ("cw-study", self.study.to_string()),
            ("cw-terms", self.terms.to_string()),
            ("cw-time", self.time.0.to_string()),
            ("cw-nonce", hex::encode(self.nonce.0)),
            ("cw-body", self.body.to_string()),
            ("cw-signature", signature.to_string()),
        ])
    }
}

impl UncheckedRequest {
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// [`RequestError::Missing`] or [`RequestError::Unreadable`].
    pub fn read<'a>(
        method: &str,
        path: &str,
        header: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Result<Self, RequestError> {
        let get = |name| {
            header(name)
                .filter(|text| text.len() <= HEADER_MAX)
                .ok_or(RequestError::Missing { name })
        };
        let number = |name, expected| {
            let text = get(name)?;
            let number: Option<u64> = text.parse().ok();
            // One text for one number, so that a request has one form.
            number
                .filter(|number| number.to_string() == text)
                .ok_or(RequestError::Unreadable { name, expected })
        };
        let digest = |name| {
            let expected = "blake3: and 64 hexadecimal digits";
            get(name)?
                .parse::<ContentDigest>()
                .map_err(|_| RequestError::Unreadable { name, expected })
        };
        let mut nonce = [0; 16];
        hex::decode_to_slice(get("cw-nonce")?, &mut nonce).map_err(|_| RequestError::Unreadable {
            name: "cw-nonce",
            expected: "32 hexadecimal digits",
        })?;
        Ok(Self {
            facts: RequestFacts {
                method: method.to_owned(),
                path: path.to_owned(),
                study: StudyId(number("cw-study", "the number of a study")?),
                terms: digest("cw-terms")?,
                time: UnixMillis(number("cw-time", "milliseconds since 1970")?),
                nonce: Nonce(nonce),
                body: digest("cw-body")?,
            },
            signature: get("cw-signature")?.parse()?,
        })
    }

    /// Recovers who signed it, and checks that it is meant for this study.
    ///
    /// # Errors
    /// [`RequestError::OtherStudy`] or [`RequestError::Signature`].
    pub fn verify(self, study: StudyId, terms: &ContentDigest) -> Result<SignedRequest, RequestError> {
        let facts = self.facts;
        if facts.study != study || facts.terms != *terms {
            return Err(RequestError::OtherStudy {
                got_study: facts.study,
                got_terms: facts.terms,
            });
        }
        let digest = ContentDigest::of(facts.text().as_bytes());
        let signer = recover(&tagged_message(DOMAIN, &digest), &self.signature)?;
        Ok(SignedRequest { facts, signer })
    }
}

impl SignedRequest {
    /// Who signed it.
    #[must_use]
    pub fn signer(&self) -> Address {
        self.signer
    }

    /// What it means.
    #[must_use]
    pub fn facts(&self) -> &RequestFacts {
        &self.facts
    }

    /// Checks that a body is the one that was signed.
    ///
    /// # Errors
    /// [`RequestError::OtherBody`].
    pub fn check_body(&self, body: &[u8]) -> Result<(), RequestError> {
        let (expected, got) = (self.facts.body, ContentDigest::of(body));
        if got == expected {
            Ok(())
        } else {
            Err(RequestError::OtherBody { expected, got })
        }
    }
}

#[cfg(test)]
mod tests {
    use counterweight_provenance::signature::MemorySigner;

    use super::*;

    const TERMS: ContentDigest = ContentDigest([7; 32]);

    fn signer() -> MemorySigner {
        MemorySigner::from_secret(&[1; 32]).unwrap()
    }

    fn facts() -> RequestFacts {
        RequestFacts {
            method: "PUT".to_owned(),
            path: "/v1/rounds/3/updates/0".to_owned(),
            study: StudyId(2),
            terms: TERMS,
            time: UnixMillis(1_795_305_599_123),
            nonce: Nonce([9; 16]),
            body: ContentDigest::of(b"update"),
        }
    }

    fn read(
        method: &str,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<UncheckedRequest, RequestError> {
        UncheckedRequest::read(method, path, |name| {
            headers
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.as_str())
        })
    }

    fn signed_by(
        method: &str,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Address, RequestError> {
        Ok(read(method, path, headers)?.verify(StudyId(2), &TERMS)?.signer())
    }

    #[test]
    fn the_account_is_recovered_from_the_signature() {
        let headers = facts().sign(&signer()).unwrap();
        assert_eq!(
            signed_by("PUT", "/v1/rounds/3/updates/0", &headers).unwrap(),
            signer().address()
        );
    }

    /// The form is public: another implementation signs exactly this.
    #[test]
    fn what_is_signed_is_the_text_of_the_specification() {
        let body = ContentDigest::of(b"update");
        assert_eq!(
            facts().text(),
            format!(
                "counterweight/member-request/v1\n\
                 method PUT\n\
                 path /v1/rounds/3/updates/0\n\
                 study 2\n\
                 terms blake3:0707070707070707070707070707070707070707070707070707070707070707\n\
                 time 1795305599123\n\
                 nonce 09090909090909090909090909090909\n\
                 body {body}\n"
            )
        );
    }

    #[test]
    fn a_signature_fits_no_other_request() {
        let headers = facts().sign(&signer()).unwrap();
        let honest = signer().address();
        assert_ne!(
            signed_by("POST", "/v1/rounds/3/updates/0", &headers).ok(),
            Some(honest)
        );
        assert_ne!(
            signed_by("PUT", "/v1/rounds/4/updates/0", &headers).ok(),
            Some(honest)
        );
        for (place, other) in [(2, "1795305599124"), (3, &"0a".repeat(16))] {
            let mut changed = headers.clone();
            changed[place].1 = other.to_owned();
            assert_ne!(
                signed_by("PUT", "/v1/rounds/3/updates/0", &changed).ok(),
                Some(honest)
            );
        }
        let mut changed = headers.clone();
        changed[4].1 = ContentDigest::of(b"other").to_string();
        assert_ne!(
            signed_by("PUT", "/v1/rounds/3/updates/0", &changed).ok(),
            Some(honest)
        );
        let elsewhere = read("PUT", "/v1/rounds/3/updates/0", &headers).unwrap();
        assert!(matches!(
            elsewhere.clone().verify(StudyId(3), &TERMS),
            Err(RequestError::OtherStudy { .. })
        ));
        assert!(matches!(
            elsewhere.verify(StudyId(2), &ContentDigest([8; 32])),
            Err(RequestError::OtherStudy { .. })
        ));
    }

    #[test]
    fn another_body_is_refused() {
        let headers = facts().sign(&signer()).unwrap();
        let request = read("PUT", "/v1/rounds/3/updates/0", &headers)
            .unwrap()
            .verify(StudyId(2), &TERMS)
            .unwrap();
        request.check_body(b"update").unwrap();
        assert!(matches!(
            request.check_body(b"updatf"),
            Err(RequestError::OtherBody { .. })
        ));
    }

    #[test]
    fn missing_and_unreadable_headers_are_named() {
        let headers = facts().sign(&signer()).unwrap();
        for place in 0..headers.len() {
            let mut fewer = headers.clone();
            let (name, _) = fewer.remove(place);
            let missing = read("PUT", "/", &fewer);
            assert!(
                matches!(missing, Err(RequestError::Missing { name: n }) if n == name),
                "{name}"
            );
            for bad in ["", "x", "-1", "01", " 2", &"f".repeat(1000)] {
                let mut changed = headers.clone();
                changed[place].1 = bad.to_owned();
                assert!(read("PUT", "/", &changed).is_err(), "{name}: {bad}");
            }
        }
    }
}
