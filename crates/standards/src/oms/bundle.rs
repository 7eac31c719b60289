//! The signature file: a Sigstore bundle around a DSSE envelope.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::{ModelFiles, OmsError, SignedFiles, SigningKey, VerifyingKey, statement};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Largest signature file: a million files with long names.
pub const SIGNATURE_BYTES: usize = 512 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKey>,
    /// Always written, empty: the tool's own test vectors call a bundle without it invalid.
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct PublicKey {
    #[serde(default)]
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeSignature {
    sig: String,
    #[serde(default)]
    keyid: String,
}

/// What is signed: the pre-authentication encoding of DSSE v1.
fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The signature file over a model's files.
///
/// # Errors
/// [`OmsError::Json`] where it cannot be written, which no names lead to.
pub fn sign(files: &ModelFiles, key: &SigningKey) -> Result<Vec<u8>, OmsError> {
    let payload = statement::write(files)?;
    let bundle = Bundle {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: Material {
            public_key: Some(PublicKey {
                hint: Some(key.verifying_key().hint()),
            }),
            tlog_entries: Vec::new(),
        },
        dsse_envelope: Envelope {
            payload: BASE64_STANDARD.encode(&payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![EnvelopeSignature {
                sig: BASE64_STANDARD.encode(key.sign(&pre_authentication(&payload))),
                keyid: String::new(),
            }],
        },
    };
    let what = "bundle";
    serde_json::to_vec(&bundle).map_err(|source| OmsError::Json { what, source })
}

/// A signature file as it arrived: anyone may have written it.
#[derive(Debug, Clone)]
pub struct UncheckedSignature {
    hint: Option<String>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl UncheckedSignature {
    /// Reads a signature file.
    ///
    /// # Errors
    /// [`OmsError::TooLong`], [`OmsError::Json`], [`OmsError::Field`], [`OmsError::Unsupported`].
    pub fn read(bytes: &[u8]) -> Result<Self, OmsError> {
        if bytes.len() > SIGNATURE_BYTES {
            let (got, limit) = (bytes.len(), SIGNATURE_BYTES);
            return Err(OmsError::TooLong { got, limit });
        }
        let what = "bundle";
        let bundle: Bundle =
            serde_json::from_slice(bytes).map_err(|source| OmsError::Json { what, source })?;
        let field = |field, expected: &str, got: String| OmsError::Field {
            field,
            expected: expected.to_owned(),
            got,
        };
        // The version says how certificates and log entries are written, and there are none of them here.
        if !bundle
            .media_type
            .starts_with("application/vnd.dev.sigstore.bundle")
        {
            let got: String = bundle.media_type.chars().take(80).collect();
            return Err(field(
                "mediaType",
                "that of a Sigstore bundle",
                format!("{got:?}"),
            ));
        }
        let Some(key) = bundle.verification_material.public_key else {
            return Err(OmsError::Unsupported {
                what: "signatures by certificates and identities",
            });
        };
        let envelope = bundle.dsse_envelope;
        if envelope.payload_type != PAYLOAD_TYPE {
            let got: String = envelope.payload_type.chars().take(80).collect();
            return Err(field("payloadType", PAYLOAD_TYPE, format!("{got:?}")));
        }
        let [signature] = envelope.signatures.as_slice() else {
            let got = format!("{} of them", envelope.signatures.len());
            return Err(field("signatures", "one signature", got));
        };
        let decode = |name, text: &str| {
            let decoded = BASE64_STANDARD.decode(text);
            decoded.map_err(|error| field(name, "base64", error.to_string()))
        };
        Ok(Self {
            hint: key.hint.filter(|hint| !hint.is_empty()),
            payload: decode("payload", &envelope.payload)?,
            signature: decode("sig", &signature.sig)?,
        })
    }

    /// What the file calls the key that signed, where it says.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What was signed, if `key` signed it. Nothing of the statement is read before its signature holds.
    ///
    /// # Errors
    /// [`OmsError::OtherKey`], [`OmsError::SignatureWrong`], then those of the statement: [`OmsError::Json`],
    /// [`OmsError::Field`], [`OmsError::Name`], [`OmsError::Inconsistent`], [`OmsError::Unsupported`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<SignedFiles, OmsError> {
        let expected = key.hint();
        if let Some(got) = self.hint.as_ref().filter(|hint| **hint != expected) {
            let got = got.chars().take(80).collect();
            return Err(OmsError::OtherKey { expected, got });
        }
        key.verify(&pre_authentication(&self.payload), &self.signature)?;
        statement::read(&self.payload)
    }
}

#[cfg(test)]
mod tests;
