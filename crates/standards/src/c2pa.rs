//! What a C2PA manifest of a generated picture, sound or film says of the model behind it.
//!
//! The assertion `org.counterweight.generated` names the model on its chain, and may carry a decision of a log, a commitment to the
//! prompt, and the word of the account that registered the model for the key that signs. Manifests themselves are written and
//! read by another program, whose dependencies are many times ours. Page: `docs/spec/c2pa-assertion.md`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use counterweight_primitives::{
    Address, AssetId, CanonicalError, ContentDigest, Sha256Digest, to_canonical_json,
};
use counterweight_provenance::signature::{self, Signature, SignatureError, Signer};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The assertion's format.
pub const GENERATED_FORMAT: &str = "counterweight/c2pa-generated/v1";

/// The format of what opens a commitment to a prompt.
pub const PROMPT_FORMAT: &str = "counterweight/c2pa-prompt/v1";

/// What accounts sign for a key.
const SIGNER_DOMAIN: &str = "counterweight/c2pa-signer/v1";

/// Longest disclosure that is put into a file.
pub const MOST_DECISION: usize = 256 << 10;

/// Bytes of a salt.
const SALT_BYTES: usize = 32;

/// Why an assertion says nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeneratedError {
    /// Members are missing, unknown or of another type.
    #[error("not an assertion of ours")]
    Encoding(#[source] serde_json::Error),
    /// Another format or version.
    #[error("the format is \"{got}\", expected \"{expected}\"")]
    Format {
        /// What is read here.
        expected: &'static str,
        /// What came.
        got: String,
    },
    /// A number that is not the plain decimal of one.
    #[error("{member} is \"{got}\", expected a decimal number without leading zeros")]
    Number {
        /// Which.
        member: &'static str,
        /// What came.
        got: String,
    },
    /// More than belongs into a file of media.
    #[error("the decision has {got} bytes, at most {MOST_DECISION} are taken")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// It cannot be written canonically.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// The account did not sign this.
    #[error("the account's signature")]
    Signature(#[from] SignatureError),
}

/// Which model, as anybody finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelReference {
    asset: String,
    chain_id: String,
    /// Digest of the model's bytes, as registered.
    pub content: ContentDigest,
    /// `AssetRegistry` on that chain.
    pub registry: Address,
}

impl ModelReference {
    /// A model by its place on a chain.
    #[must_use]
    pub fn new(chain_id: u64, registry: Address, asset: AssetId, content: ContentDigest) -> Self {
        Self {
            asset: asset.to_string(),
            chain_id: chain_id.to_string(),
            content,
            registry,
        }
    }

    /// The chain.
    ///
    /// # Errors
    /// [`GeneratedError::Number`].
    pub fn chain_id(&self) -> Result<u64, GeneratedError> {
        number("chain_id", &self.chain_id)
    }

    /// The asset's number.
    ///
    /// # Errors
    /// [`GeneratedError::Number`].
    pub fn asset(&self) -> Result<AssetId, GeneratedError> {
        number("asset", &self.asset).map(AssetId)
    }
}

/// The file before a manifest was put into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Original {
    bytes: String,
    /// Its digest.
    pub content: ContentDigest,
}

impl Original {
    /// Of a file with this digest and this many bytes.
    #[must_use]
    pub fn new(content: ContentDigest, bytes: u64) -> Self {
        let bytes = bytes.to_string();
        Self { bytes, content }
    }
}

/// The word of an account for the key that signs a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vouched {
    /// Whose word.
    pub account: Address,
    signature: Signature,
}

impl Vouched {
    /// Gives an account's word that the holder of a certificate signs what a model makes.
    ///
    /// # Errors
    /// [`GeneratedError::Signature`] where the account does not sign.
    pub fn new(
        signer: &dyn Signer,
        certificate: &[u8],
        model: &ModelReference,
    ) -> Result<Self, GeneratedError> {
        Ok(Self {
            account: signer.address(),
            signature: signature::sign(signer, SIGNER_DOMAIN, &vouched_for(certificate, model)?)?,
        })
    }

    /// Checks that it is the account's word for this certificate and this model.
    ///
    /// # Errors
    /// [`GeneratedError::Signature`].
    pub fn verify(&self, certificate: &[u8], model: &ModelReference) -> Result<(), GeneratedError> {
        let message = signature::tagged_message(SIGNER_DOMAIN, &vouched_for(certificate, model)?);
        let got = signature::recover(&message, &self.signature)?;
        if got == self.account {
            return Ok(());
        }
        let expected = self.account;
        Err(SignatureError::WrongSigner { expected, got }.into())
    }
}

/// The assertion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generated {
    /// A disclosure of the decision that made the file, word for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    format: String,
    /// The model.
    pub model: ModelReference,
    /// The file as it came from the model.
    pub original: Original,
    /// Commitment to the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Sha256Digest>,
    /// Who answers for the signing key on the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched: Option<Vouched>,
}

impl Generated {
    /// That a model made these bytes, and nothing more.
    #[must_use]
    pub fn new(model: ModelReference, original: Original) -> Self {
        Self {
            decision: None,
            format: GENERATED_FORMAT.to_owned(),
            model,
            original,
            prompt: None,
            vouched: None,
        }
    }

    /// As it stands in a manifest.
    ///
    /// # Errors
    /// [`GeneratedError::TooLong`], [`GeneratedError::Encoding`].
    pub fn to_value(&self) -> Result<Value, GeneratedError> {
        self.bounded()?;
        serde_json::to_value(self).map_err(GeneratedError::Encoding)
    }

    /// Reads one from a manifest.
    ///
    /// # Errors
    /// [`GeneratedError`].
    pub fn from_value(value: Value) -> Result<Self, GeneratedError> {
        let read: Self = serde_json::from_value(value).map_err(GeneratedError::Encoding)?;
        expect(GENERATED_FORMAT, &read.format)?;
        read.bounded()?;
        read.model.chain_id()?;
        read.model.asset()?;
        number("bytes", &read.original.bytes)?;
        Ok(read)
    }

    fn bounded(&self) -> Result<(), GeneratedError> {
        let got = self.decision.as_ref().map_or(0, String::len);
        if got > MOST_DECISION {
            return Err(GeneratedError::TooLong { got });
        }
        Ok(())
    }
}

/// What opens a commitment to a prompt. Whoever has it knows the prompt; without it nobody can try prompts against the commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptOpening {
    format: String,
    /// As it was given.
    pub prompt: String,
    salt: String,
}

impl PromptOpening {
    /// Under a salt, which has to be random and used once.
    #[must_use]
    pub fn new(prompt: String, salt: [u8; SALT_BYTES]) -> Self {
        Self {
            format: PROMPT_FORMAT.to_owned(),
            prompt,
            salt: hex::encode(salt),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`GeneratedError`].
    pub fn read(bytes: &[u8]) -> Result<Self, GeneratedError> {
        let read: Self = serde_json::from_slice(bytes).map_err(GeneratedError::Encoding)?;
        expect(PROMPT_FORMAT, &read.format)?;
        Ok(read)
    }

    /// What it opens: SHA-256 over a domain, the salt and the prompt.
    ///
    /// # Errors
    /// [`GeneratedError::Number`] where the salt is not 64 hexadecimal digits.
    pub fn commitment(&self) -> Result<Sha256Digest, GeneratedError> {
        let mut salt = [0; SALT_BYTES];
        hex::decode_to_slice(&self.salt, &mut salt).map_err(|_| GeneratedError::Number {
            member: "salt",
            got: self.salt.clone(),
        })?;
        let hash = Sha256::new()
            .chain_update(PROMPT_FORMAT)
            .chain_update(b"\n")
            .chain_update(salt)
            .chain_update(&self.prompt);
        Ok(Sha256Digest(hash.finalize().into()))
    }
}

/// The first certificate of a chain in PEM, as its bytes.
#[must_use]
pub fn first_certificate(chain: &str) -> Option<Vec<u8>> {
    let (_, rest) = chain.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let joined: String = body.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(joined).ok()
}

fn expect(expected: &'static str, got: &str) -> Result<(), GeneratedError> {
    if got == expected {
        return Ok(());
    }
    let got = got.to_owned();
    Err(GeneratedError::Format { expected, got })
}

/// Numbers are texts: CBOR has floats where JSON has numbers, and not every reader keeps 64 bits.
fn number(member: &'static str, text: &str) -> Result<u64, GeneratedError> {
    let parsed = text.parse::<u64>().ok();
    parsed
        .filter(|number| number.to_string() == text)
        .ok_or_else(|| GeneratedError::Number {
            member,
            got: text.to_owned(),
        })
}

/// What an account signs: the certificate by its SHA-256, and the model, as canonical JSON.
fn vouched_for(certificate: &[u8], model: &ModelReference) -> Result<ContentDigest, GeneratedError> {
    #[derive(Serialize)]
    struct Message<'a> {
        certificate: Sha256Digest,
        model: &'a ModelReference,
    }
    let certificate = Sha256Digest::of(certificate);
    Ok(ContentDigest::of(&to_canonical_json(&Message {
        certificate,
        model,
    })?))
}

#[cfg(test)]
mod tests {
    use counterweight_provenance::signature::MemorySigner;
    use serde_json::json;

    use super::*;

    fn model() -> ModelReference {
        ModelReference::new(31_337, Address([7; 20]), AssetId(3), ContentDigest::of(b"model"))
    }

    fn full() -> Generated {
        let signer = MemorySigner::from_secret(&[5; 32]).unwrap();
        let mut generated = Generated::new(model(), Original::new(ContentDigest::of(b"picture"), 7));
        generated.decision = Some("{}".to_owned());
        generated.prompt = Some(
            PromptOpening::new("a heron".into(), [1; 32])
                .commitment()
                .unwrap(),
        );
        generated.vouched = Some(Vouched::new(&signer, b"certificate", &model()).unwrap());
        generated
    }

    #[test]
    fn what_is_written_is_read() {
        for generated in [
            Generated::new(model(), Original::new(ContentDigest::of(b"picture"), 7)),
            full(),
        ] {
            let read = Generated::from_value(generated.to_value().unwrap()).unwrap();
            assert_eq!(read, generated);
            assert_eq!(
                (read.model.chain_id().unwrap(), read.model.asset().unwrap()),
                (31_337, AssetId(3))
            );
        }
    }

    #[test]
    fn one_thing_spoilt_is_refused() {
        let whole = full().to_value().unwrap();
        assert!(Generated::from_value(whole.clone()).is_ok());
        for (pointer, spoilt) in [
            ("/format", json!("counterweight/c2pa-generated/v2")),
            ("/model/asset", json!("03")),
            ("/model/asset", json!(3)),
            ("/model/chain_id", json!("-1")),
            ("/model/registry", json!("0x07")),
            ("/model/content", json!("sha256:00")),
            ("/original/bytes", json!("+7")),
            ("/prompt", json!("heron")),
            ("/vouched/signature", json!("0x")),
            ("/decision", json!("x".repeat(MOST_DECISION + 1))),
        ] {
            let mut value = whole.clone();
            *value.pointer_mut(pointer).unwrap() = spoilt;
            assert!(Generated::from_value(value).is_err(), "{pointer}");
        }
        let mut value = whole;
        value["trained_by"] = json!("nobody");
        assert!(Generated::from_value(value).is_err(), "an unknown member");
    }

    #[test]
    fn an_accounts_word_is_for_one_certificate_and_one_model() {
        let vouched = full().vouched.unwrap();
        vouched.verify(b"certificate", &model()).unwrap();
        assert!(vouched.verify(b"another", &model()).is_err());
        let other = ModelReference::new(1, Address([7; 20]), AssetId(3), ContentDigest::of(b"model"));
        assert!(vouched.verify(b"certificate", &other).is_err());
        let mut claimed = vouched;
        claimed.account = Address([9; 20]);
        assert!(claimed.verify(b"certificate", &model()).is_err());
    }

    #[test]
    fn the_first_certificate_of_a_chain_is_found() {
        let chain = "a remark\n-----BEGIN CERTIFICATE-----\nAQID\nBA==\n-----END CERTIFICATE-----\n\
                     -----BEGIN CERTIFICATE-----\nBQ==\n-----END CERTIFICATE-----\n";
        assert_eq!(first_certificate(chain), Some(vec![1, 2, 3, 4]));
        assert_eq!(first_certificate("-----BEGIN CERTIFICATE-----\nAQID"), None);
        assert_eq!(first_certificate(""), None);
    }

    #[test]
    fn a_prompt_is_opened_by_its_own_salt_only() {
        let opening = PromptOpening::new("a heron".into(), [1; 32]);
        let read = PromptOpening::read(&serde_json::to_vec(&opening).unwrap()).unwrap();
        assert_eq!(read.commitment().unwrap(), opening.commitment().unwrap());
        let other = PromptOpening::new("a heron".into(), [2; 32]);
        assert_ne!(other.commitment().unwrap(), opening.commitment().unwrap());
        let mut short = opening;
        short.salt.pop();
        assert!(short.commitment().is_err());
    }
}
