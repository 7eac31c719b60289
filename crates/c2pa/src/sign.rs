//! Putting a manifest into a file.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use c2pa::{BoxedSigner, Builder, Context, Signer, SigningAlg, create_signer, settings::Settings};
use serde_json::{Value, json};
use x509_cert::{
    Certificate,
    der::{Decode as _, asn1::ObjectIdentifier},
};

use crate::{
    Media,
    protocol::{ASSERTION_LABEL, ErrorKind, Failure, ReadRequest, SignRequest, Signed, State},
    read::read,
};

/// IPTC's word for what a trained model made.
pub(crate) const GENERATED: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia";
/// IPTC's word for what was there before and a trained model changed.
pub(crate) const CHANGED: &str =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";

/// Most things a file is made from.
const MOST_INGREDIENTS: usize = 64;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Settings that reach for nothing on the network, whatever a file asks for.
pub(crate) fn offline(trust: Option<&str>) -> Result<Settings, c2pa::Error> {
    let mut settings = json!({
        "verify": {"remote_manifest_fetch": false, "ocsp_fetch": false, "verify_after_sign": false},
        "core": {"allowed_network_hosts": []},
    });
    if let Some(trust) = trust {
        settings["trust"] = json!({"user_anchors": trust});
    }
    Settings::new().with_json(&settings.to_string())
}

pub(crate) fn sign(request: &SignRequest) -> Result<Signed, Failure> {
    let (signer, algorithm) = signer(request)?;
    let (mut source, kind) = Media::open(&request.input)?;
    // Certificates are looked at again when they are used.
    let unsigned = |error: c2pa::Error| {
        let is_credential = matches!(
            error,
            c2pa::Error::CertificateProfileError(_)
                | c2pa::Error::CoseInvalidCert
                | c2pa::Error::CoseSignature
        );
        let kind = if is_credential {
            ErrorKind::Credential
        } else {
            ErrorKind::Media
        };
        Failure::new(
            kind,
            format!("{} is not signed: {error}", request.input.display()),
        )
    };
    let context = offline(None)
        .and_then(|settings| Context::new().with_settings(settings))
        .map_err(|error| Failure::new(ErrorKind::Fault, error.to_string()))?
        .into_shared();
    let mut builder = Builder::from_shared_context(&context)
        .with_definition(definition(request, kind).to_string())
        .map_err(|error| Failure::new(ErrorKind::Request, error.to_string()))?;
    for (path, label, relationship) in ingredients(request)? {
        let (mut stream, kind) = Media::open(path)?;
        let described = json!({"title": title_of(path), "relationship": relationship, "label": label});
        builder
            .add_ingredient_from_stream(described.to_string(), kind.mime(), &mut stream)
            .map_err(|error| {
                let message = format!("{} is not taken as an ingredient: {error}", path.display());
                Failure::new(ErrorKind::Media, message)
            })?;
    }
    let unwritable = |error: std::io::Error| {
        Failure::new(ErrorKind::File, format!("{}: {error}", request.output.display()))
    };
    // Whole or not at all: a file that was begun and looks finished would be sent on.
    let partial = partial(&request.output);
    let mut written = create(&partial).map_err(unwritable)?;
    let manifest = builder
        .sign(&signer, kind.mime(), &mut source, &mut written)
        .map_err(unsigned)
        .and_then(|manifest| {
            written.sync_all().map_err(unwritable)?;
            Ok(manifest)
        });
    let finished = manifest.and_then(|manifest| {
        must_hold(&partial)?;
        let bytes = written.metadata().map_err(unwritable)?.len();
        fs::rename(&partial, &request.output).map_err(unwritable)?;
        Ok((manifest, bytes))
    });
    let (manifest, bytes) = finished.inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })?;
    Ok(Signed {
        format: kind.mime().to_owned(),
        manifest_bytes: manifest.len() as u64,
        bytes,
        algorithm: algorithm.to_string(),
    })
}

/// What was written is read again: a key that is not the certificate's, or a certificate that C2PA does not take, shows here and not
/// at whoever gets the file.
fn must_hold(file: &Path) -> Result<(), Failure> {
    let found = read(&ReadRequest {
        input: file.to_owned(),
        trust: None,
    })?;
    if matches!(found.state, State::Valid | State::Trusted) && found.is_bound {
        return Ok(());
    }
    let codes: Vec<String> = found.failures.into_iter().map(|status| status.code).collect();
    let reason = found.reason.unwrap_or_else(|| codes.join(", "));
    Err(Failure::new(
        ErrorKind::Credential,
        format!("readers of C2PA would refuse the signed file: {reason}"),
    ))
}

/// The parent first, then everything else.
fn ingredients(request: &SignRequest) -> Result<Vec<(&Path, String, &'static str)>, Failure> {
    if request.inputs.len() > MOST_INGREDIENTS {
        let message = format!("at most {MOST_INGREDIENTS} ingredients are taken");
        return Err(Failure::new(ErrorKind::Request, message));
    }
    let parent = request
        .parent
        .iter()
        .map(|path| (path.as_path(), "parent".to_owned(), "parentOf"));
    let inputs = request.inputs.iter().enumerate();
    let inputs = inputs.map(|(place, path)| (path.as_path(), format!("input-{place}"), "inputTo"));
    Ok(parent.chain(inputs).collect())
}

fn definition(request: &SignRequest, kind: Media) -> Value {
    let inputs: Vec<String> = (0..request.inputs.len())
        .map(|place| format!("input-{place}"))
        .collect();
    let made = |action: &str, source: &str| {
        let mut action = json!({
            "action": action,
            "digitalSourceType": source,
            "softwareAgent": request.software,
        });
        if !inputs.is_empty() {
            action["parameters"] = json!({"ingredientIds": inputs});
        }
        action
    };
    let actions = if request.parent.is_some() {
        json!([
            {"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent"]}},
            made("c2pa.edited", CHANGED),
        ])
    } else {
        json!([made("c2pa.created", GENERATED)])
    };
    json!({
        "title": request.title,
        "format": kind.mime(),
        "claim_generator_info": [request.generator],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}, "created": true},
            {"label": ASSERTION_LABEL, "data": request.assertion, "created": true},
        ],
    })
}

/// A signer that asks for no room for a time stamp: 10,000 bytes of zeros in every file otherwise, which nothing is hashed over.
struct Untimed(BoxedSigner);

/// Room for a signature and what COSE puts around it, certificates aside. A signature has at most 96 bytes here.
const SIGNATURE_ROOM: usize = 512;

impl Signer for Untimed {
    fn sign(&self, data: &[u8]) -> c2pa::Result<Vec<u8>> {
        self.0.sign(data)
    }

    fn alg(&self) -> SigningAlg {
        self.0.alg()
    }

    fn certs(&self) -> c2pa::Result<Vec<Vec<u8>>> {
        self.0.certs()
    }

    fn reserve_size(&self) -> usize {
        let certificates = self.0.certs().unwrap_or_default();
        certificates
            .iter()
            .map(|certificate| certificate.len() + 8)
            .sum::<usize>()
            + SIGNATURE_ROOM
    }
}

/// A signer with the algorithm that its certificate's key is for.
fn signer(request: &SignRequest) -> Result<(Untimed, SigningAlg), Failure> {
    let wrong = |message: String| Failure::new(ErrorKind::Credential, message);
    // The reader below takes it for granted that there is one.
    if !request.certificates.contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong("there is no certificate in PEM".to_owned()));
    }
    let chain = Certificate::load_pem_chain(request.certificates.as_bytes())
        .map_err(|error| wrong(format!("the certificates are no PEM: {error}")))?;
    let own = chain
        .first()
        .ok_or_else(|| wrong("there is no certificate".to_owned()))?;
    let key = &own.tbs_certificate.subject_public_key_info.algorithm;
    let curve = key.parameters.as_ref().and_then(|curve| {
        let bytes = x509_cert::der::Encode::to_der(curve).ok()?;
        ObjectIdentifier::from_der(&bytes).ok()
    });
    let algorithm = match (key.oid, curve) {
        (EC_PUBLIC_KEY, Some(P256)) => SigningAlg::Es256,
        (EC_PUBLIC_KEY, Some(P384)) => SigningAlg::Es384,
        (ED25519, None) => SigningAlg::Ed25519,
        (other, _) => {
            let message =
                format!("the certificate's key is {other}; P-256, P-384 and Ed25519 are signed with");
            return Err(wrong(message));
        }
    };
    if !request.key.contains("-----BEGIN PRIVATE KEY-----") {
        let message =
            "the private key is not PKCS#8 in PEM, unencrypted (openssl pkcs8 -topk8 -nocrypt writes it)";
        return Err(wrong(message.to_owned()));
    }
    let signer = create_signer::from_keys(
        request.certificates.as_bytes(),
        request.key.as_bytes(),
        algorithm,
        None,
    )
    .map_err(|error| wrong(format!("certificates and key make no signer: {error}")))?;
    Ok((Untimed(signer), algorithm))
}

fn title_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn partial(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}", std::process::id()));
    output.with_file_name(name)
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}
