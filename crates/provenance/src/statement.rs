//! Signed statements: somebody says something about bytes.
//!
//! A statement names its subjects by digest, its predicate by type, and its issuer by account; the issuer signs its
//! digest in the domain `counterweight/statement/v1`, and others may sign the same. Page: `docs/spec/statement.md`.
//!
//! # Differences from in-toto and DSSE
//!
//! - The statement travels as canonical JSON inside the envelope rather than as base64, since there is one form of it.
//! - Signatures are by chain accounts. For a signature that other tools verify, use their format and key.

use std::collections::BTreeSet;

use counterweight_primitives::{
    Address, CanonicalError, ContentDigest, Sha256Digest, UnixSeconds, from_canonical_json, to_canonical_json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical_form::check_same;
use crate::signature::{self, Signature, SignatureError, Signer};

/// What is signed begins with this.
pub const STATEMENT_DOMAIN: &str = "counterweight/statement/v1";

/// Most signatures of a statement.
const MOST_SIGNATURES: usize = 64;

/// Most subjects of a statement.
const MOST_SUBJECTS: usize = 1024;

/// Why a statement cannot be made or trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not canonical, too long, an unknown field, or a value of another type.
    #[error("not a signed statement")]
    Encoding(#[source] CanonicalError),
    /// Another format or version.
    #[error("the format is \"{got}\", expected \"{STATEMENT_DOMAIN}\"")]
    Format {
        /// What was found.
        got: String,
    },
    /// No subject, or too many.
    #[error("a statement has 1 to {MOST_SUBJECTS} subjects, this one {got}")]
    Subjects {
        /// How many.
        got: usize,
    },
    /// More signatures than are read.
    #[error("a statement has at most {MOST_SIGNATURES} signatures, this one {got}")]
    TooManySignatures {
        /// How many.
        got: usize,
    },
    /// A signature that does not hold. The whole statement is refused, for somebody changed it.
    #[error("the signature of {signer} does not hold")]
    Signature {
        /// Who should have made it.
        signer: Address,
        /// Why not.
        #[source]
        source: SignatureError,
    },
    /// The same account signed twice.
    #[error("{signer} signed twice")]
    SignedTwice {
        /// Who.
        signer: Address,
    },
    /// The issuer did not sign.
    #[error("{issuer} issued the statement and did not sign it")]
    IssuerMissing {
        /// Who should have.
        issuer: Address,
    },
    /// The key given is not the issuer's.
    #[error("{signer} cannot sign for the issuer {issuer}")]
    NotIssuer {
        /// Who should have.
        issuer: Address,
        /// Whose key was given.
        signer: Address,
    },
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What the issuer calls it.
    pub name: String,
    /// Its content digest.
    pub digest: ContentDigest,
    /// Its SHA-256, for those who look it up elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256Digest>,
}

/// What somebody says about bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// `counterweight/statement/v1`.
    format: String,
    /// What it is about.
    pub subjects: Vec<Subject>,
    /// What kind of thing is said, `counterweight/evaluation/v1`.
    pub predicate_type: String,
    /// What is said: any document without fractions.
    pub predicate: Value,
    /// Who says it.
    pub issuer: Address,
    /// When it was said, by the issuer's clock.
    pub issued_at: UnixSeconds,
}

impl Statement {
    /// A statement, not signed yet.
    #[must_use]
    pub fn new(
        issuer: Address,
        issued_at: UnixSeconds,
        subjects: Vec<Subject>,
        predicate_type: impl Into<String>,
        predicate: Value,
    ) -> Self {
        let (format, predicate_type) = (STATEMENT_DOMAIN.to_owned(), predicate_type.into());
        Self {
            format,
            subjects,
            predicate_type,
            predicate,
            issuer,
            issued_at,
        }
    }

    /// The digest that is signed: of its canonical bytes.
    ///
    /// # Errors
    /// [`StatementError::Encoding`].
    pub fn digest(&self) -> Result<ContentDigest, StatementError> {
        to_canonical_json(self)
            .map(|bytes| ContentDigest::of(&bytes))
            .map_err(StatementError::Encoding)
    }

    /// Signs it as its issuer.
    ///
    /// # Errors
    /// [`StatementError::NotIssuer`], [`StatementError::Subjects`], [`StatementError::Encoding`], or
    /// [`StatementError::Signature`] where the signer refuses.
    pub fn sign(self, signer: &dyn Signer) -> Result<SignedStatement, StatementError> {
        if signer.address() != self.issuer {
            return Err(StatementError::NotIssuer {
                issuer: self.issuer,
                signer: signer.address(),
            });
        }
        UncheckedStatement {
            statement: self,
            signatures: Vec::new(),
        }
        .cosign(signer)?
        .verify()
    }
}

/// An account's signature under a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementSignature {
    signer: Address,
    signature: Signature,
}

/// A statement as it arrived: anyone may have written it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UncheckedStatement {
    statement: Statement,
    signatures: Vec<StatementSignature>,
}

impl UncheckedStatement {
    /// Reads canonical bytes, at most `limit` of them.
    ///
    /// # Errors
    /// [`StatementError::Encoding`].
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, StatementError> {
        let unchecked: Self = from_canonical_json(bytes, limit).map_err(StatementError::Encoding)?;
        // Serde reads an absent field and `null` alike: only the one that is written is signed.
        let written = to_canonical_json(&unchecked).map_err(StatementError::Encoding)?;
        check_same(bytes, &written).map_err(StatementError::Encoding)?;
        Ok(unchecked)
    }

    /// Checks the form and every signature; the issuer's must be among them.
    ///
    /// # Errors
    /// Every variant of [`StatementError`] except [`StatementError::NotIssuer`].
    pub fn verify(self) -> Result<SignedStatement, StatementError> {
        let statement = &self.statement;
        if statement.format != STATEMENT_DOMAIN {
            return Err(StatementError::Format {
                got: statement.format.clone(),
            });
        }
        if !(1..=MOST_SUBJECTS).contains(&statement.subjects.len()) {
            return Err(StatementError::Subjects {
                got: statement.subjects.len(),
            });
        }
        if self.signatures.len() > MOST_SIGNATURES {
            return Err(StatementError::TooManySignatures {
                got: self.signatures.len(),
            });
        }
        let digest = statement.digest()?;
        let mut signers = BTreeSet::new();
        for StatementSignature { signer, signature } in &self.signatures {
            signature::verify(*signer, STATEMENT_DOMAIN, &digest, signature).map_err(|source| {
                StatementError::Signature {
                    signer: *signer,
                    source,
                }
            })?;
            if !signers.insert(*signer) {
                return Err(StatementError::SignedTwice { signer: *signer });
            }
        }
        if !signers.contains(&statement.issuer) {
            return Err(StatementError::IssuerMissing {
                issuer: statement.issuer,
            });
        }
        Ok(SignedStatement { inner: self, signers })
    }

    fn cosign(mut self, signer: &dyn Signer) -> Result<Self, StatementError> {
        let address = signer.address();
        let signature =
            signature::sign(signer, STATEMENT_DOMAIN, &self.statement.digest()?).map_err(|source| {
                StatementError::Signature {
                    signer: address,
                    source,
                }
            })?;
        self.signatures.push(StatementSignature {
            signer: address,
            signature,
        });
        Ok(self)
    }
}

/// A statement whose signatures held, the issuer's among them. Made only by [`UncheckedStatement::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedStatement {
    inner: UncheckedStatement,
    signers: BTreeSet<Address>,
}

impl SignedStatement {
    /// What was signed.
    #[must_use]
    pub fn statement(&self) -> &Statement {
        &self.inner.statement
    }

    /// Who signed, in ascending order.
    #[must_use]
    pub fn signers(&self) -> &BTreeSet<Address> {
        &self.signers
    }

    /// Adds a signature.
    ///
    /// # Errors
    /// [`StatementError::SignedTwice`], [`StatementError::TooManySignatures`] or [`StatementError::Signature`].
    pub fn cosign(self, signer: &dyn Signer) -> Result<Self, StatementError> {
        self.inner.cosign(signer)?.verify()
    }

    /// Its canonical bytes, as they're stored and sent.
    ///
    /// # Errors
    /// [`StatementError::Encoding`].
    pub fn encode(&self) -> Result<Vec<u8>, StatementError> {
        to_canonical_json(&self.inner).map_err(StatementError::Encoding)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::signature::MemorySigner;

    const LIMIT: usize = 1 << 16;

    fn signer(byte: u8) -> MemorySigner {
        MemorySigner::from_secret(&[byte; 32]).unwrap()
    }

    fn signed() -> SignedStatement {
        let subject = Subject {
            name: "model".to_owned(),
            digest: ContentDigest::of(b"model"),
            sha256: None,
        };
        let issuer = signer(1);
        let predicate = json!({"accuracy": "0.95", "rows": 100});
        Statement::new(
            issuer.address(),
            UnixSeconds(1),
            vec![subject],
            "counterweight/evaluation/v1",
            predicate,
        )
        .sign(&issuer)
        .unwrap()
    }

    fn spoil(change: impl FnOnce(&mut UncheckedStatement)) -> StatementError {
        let mut unchecked = signed().cosign(&signer(2)).unwrap().inner;
        change(&mut unchecked);
        let bytes = to_canonical_json(&unchecked).unwrap();
        UncheckedStatement::decode(&bytes, LIMIT)
            .unwrap()
            .verify()
            .unwrap_err()
    }

    #[test]
    fn a_signed_statement_reads_back_with_its_signers() {
        let statement = signed().cosign(&signer(2)).unwrap();
        let bytes = statement.encode().unwrap();
        let read = UncheckedStatement::decode(&bytes, LIMIT)
            .unwrap()
            .verify()
            .unwrap();
        assert_eq!(read, statement);
        assert_eq!(*read.signers(), [signer(1).address(), signer(2).address()].into());
    }

    /// The stored form: if this changes, statements signed before can no longer be read.
    #[test]
    fn the_stored_form_is_pinned() {
        let text = String::from_utf8(signed().encode().unwrap()).unwrap();
        let page = include_str!("../../../docs/spec/statement.md");
        assert!(page.contains(&text), "{text}");
    }

    #[test]
    fn every_spoiled_part_is_refused() {
        let signature = |e: &StatementError| matches!(e, StatementError::Signature { .. });
        assert!(signature(&spoil(|s| s.statement.predicate["rows"] = json!(101))));
        assert!(signature(&spoil(|s| s.statement.subjects[0].digest.0[0] ^= 1)));
        assert!(signature(&spoil(|s| s.statement.issued_at.0 += 1)));
        assert!(signature(&spoil(|s| s.statement.predicate_type.push('2'))));
        assert!(signature(&spoil(|s| s.statement.issuer = signer(2).address())));
        assert!(signature(&spoil(|s| s.signatures[1].signature.0[40] ^= 1)));
        assert!(signature(
            &spoil(|s| s.signatures[1].signer = signer(3).address())
        ));
        let error = spoil(|s| s.statement.format = "counterweight/statement/v2".to_owned());
        assert!(matches!(error, StatementError::Format { .. }));
        let error = spoil(|s| s.statement.subjects.clear());
        assert!(matches!(error, StatementError::Subjects { got: 0 }));
        let error = spoil(|s| {
            s.signatures
                .retain(|signature| signature.signer != s.statement.issuer)
        });
        assert!(matches!(error, StatementError::IssuerMissing { .. }));
        let error = spoil(|s| s.signatures.push(s.signatures[0].clone()));
        assert!(matches!(error, StatementError::SignedTwice { .. }));
        let error = spoil(|s| s.signatures = vec![s.signatures[0].clone(); MOST_SIGNATURES + 1]);
        assert!(matches!(error, StatementError::TooManySignatures { got: 65 }));
    }

    #[test]
    fn nobody_signs_for_another_issuer() {
        let statement = signed().inner.statement;
        assert!(matches!(
            statement.sign(&signer(2)),
            Err(StatementError::NotIssuer { .. })
        ));
    }

    #[test]
    fn unknown_fields_and_length_are_refused() {
        let mut value = serde_json::to_value(&signed().inner).unwrap();
        value["extra"] = json!(1);
        let bytes = to_canonical_json(&value).unwrap();
        assert!(matches!(
            UncheckedStatement::decode(&bytes, LIMIT),
            Err(StatementError::Encoding(_))
        ));
        let mut value = serde_json::to_value(&signed().inner).unwrap();
        value["statement"]["subjects"][0]["sha256"] = Value::Null;
        let bytes = to_canonical_json(&value).unwrap();
        assert!(matches!(
            UncheckedStatement::decode(&bytes, LIMIT),
            Err(StatementError::Encoding(_))
        ));
        let bytes = signed().encode().unwrap();
        assert!(UncheckedStatement::decode(&bytes, bytes.len() - 1).is_err());
    }
}
