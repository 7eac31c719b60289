//! What is signed: an in-toto statement that lists every file with its digest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use counterweight_primitives::Sha256Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{
    FileHash, OmsError,
    files::{ModelFiles, check_name},
};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
const METHOD: &str = "files";

/// The files of a model that somebody signed. Made only from a signature that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedFiles {
    /// What the signer called the model: the folder's name. Nothing depends on it.
    pub name: String,
    /// Digest over the files' digests in the order that the signer listed them. Another order gives another, so it
    /// names no model.
    pub subject: Sha256Digest,
    /// Each file with its digest.
    pub files: BTreeMap<String, [u8; 32]>,
    /// How the signer hashed them.
    pub hash: FileHash,
    /// What the signer left out, besides what is always left out: nothing is said about it.
    pub ignored: BTreeSet<String>,
    /// Whether the signer followed symbolic links.
    pub follow_links: bool,
}

/// How a folder differs from what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Signed and not there.
    Missing {
        /// Its name.
        name: String,
    },
    /// There and not signed.
    Unsigned {
        /// Its name.
        name: String,
    },
    /// Other bytes than were signed.
    Changed {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(f, "{name:?} was signed and is missing"),
            Self::Unsigned { name } => write!(f, "{name:?} is there and was not signed"),
            Self::Changed { name } => write!(f, "{name:?} has other bytes than were signed"),
        }
    }
}

impl SignedFiles {
    /// How files differ from those that were signed, by name; empty where they are the same.
    #[must_use]
    pub fn differences(&self, found: &ModelFiles) -> Vec<Difference> {
        let mut names: BTreeSet<&String> = self.files.keys().collect();
        names.extend(found.files.keys());
        let mut differences = Vec::new();
        for name in names {
            let name = name.clone();
            match (self.files.get(&name), found.files.get(&name)) {
                (Some(_), None) => differences.push(Difference::Missing { name }),
                (None, _) => differences.push(Difference::Unsigned { name }),
                (Some(signed), Some(found)) if signed != found => {
                    differences.push(Difference::Changed { name })
                }
                (Some(_), Some(_)) => {}
            }
        }
        differences
    }
}

#[derive(Serialize, Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    #[serde(default)]
    name: String,
    digest: SubjectDigest,
}

#[derive(Serialize, Deserialize)]
struct SubjectDigest {
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Serialize, Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    allow_symlinks: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    ignore_paths: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    digest: String,
}

fn root<'a>(digests: impl Iterator<Item = &'a [u8; 32]>) -> Sha256Digest {
    let mut hash = Sha256::new();
    digests.for_each(|digest| hash.update(digest));
    Sha256Digest(hash.finalize().into())
}

/// The statement over a model's files, in the order of their names: a map of names is in code-point order, since UTF-8
/// sorts as its code points do.
pub(super) fn write(files: &ModelFiles) -> Result<Vec<u8>, OmsError> {
    let resources = files.files.iter().map(|(name, digest)| Resource {
        name: name.clone(),
        algorithm: files.hash.name().to_owned(),
        digest: hex::encode(digest),
    });
    let predicate = Predicate {
        serialization: Serialization {
            method: METHOD.to_owned(),
            hash_type: files.hash.name().to_owned(),
            allow_symlinks: files.follow_links,
            ignore_paths: files.ignored.clone(),
        },
        resources: resources.collect(),
    };
    let what = "statement";
    let statement = Statement {
        kind: STATEMENT_TYPE.to_owned(),
        subject: vec![Subject {
            name: files.name.clone(),
            digest: SubjectDigest {
                sha256: root(files.files.values()).to_hex(),
            },
        }],
        predicate_type: PREDICATE_TYPE.to_owned(),
        predicate: serde_json::to_value(predicate).map_err(|source| OmsError::Json { what, source })?,
    };
    serde_json::to_vec(&statement).map_err(|source| OmsError::Json { what, source })
}

/// Reads a statement whose signature held. Members that it need not have are passed over, as the text asks.
pub(super) fn read(bytes: &[u8]) -> Result<SignedFiles, OmsError> {
    let what = "statement";
    let json = |source| OmsError::Json { what, source };
    let statement: Statement = serde_json::from_slice(bytes).map_err(json)?;
    expect("_type", STATEMENT_TYPE, &statement.kind)?;
    if statement.predicate_type == "https://model_signing/Digests/v0.1" {
        return Err(OmsError::Unsupported {
            what: "signatures of model-signing 0.x, without a list of files,",
        });
    }
    expect("predicateType", PREDICATE_TYPE, &statement.predicate_type)?;
    let [subject] = statement.subject.as_slice() else {
        return Err(OmsError::Field {
            field: "subject",
            expected: "one model".to_owned(),
            got: format!("{} of them", statement.subject.len()),
        });
    };
    let predicate: Predicate = serde_json::from_value(statement.predicate).map_err(json)?;
    let rules = predicate.serialization;
    expect("serialization.method", METHOD, &rules.method)?;
    let hash = FileHash::named(&rules.hash_type).ok_or_else(|| OmsError::Field {
        field: "serialization.hash_type",
        expected: "\"sha256\" or \"blake3\"".to_owned(),
        got: format!("{:?}", shortened(&rules.hash_type)),
    })?;
    let mut files = BTreeMap::new();
    let mut listed = Vec::with_capacity(predicate.resources.len());
    for resource in predicate.resources {
        expect("resources.algorithm", hash.name(), &resource.algorithm)?;
        let digest = digest("resources.digest", &resource.digest)?;
        listed.push(digest);
        if resource.name != "." {
            check_name(&resource.name)?;
        }
        if files.insert(resource.name.clone(), digest).is_some() {
            return Err(OmsError::Name {
                name: resource.name,
                reason: "it is there twice",
            });
        }
    }
    // In the listed order, whichever it is: the text has one and the tool another.
    let (said, got) = (
        Sha256Digest(digest("subject.digest.sha256", &subject.digest.sha256)?),
        root(listed.iter()),
    );
    if said != got {
        return Err(OmsError::Inconsistent {
            said: said.to_hex(),
            got: got.to_hex(),
        });
    }
    Ok(SignedFiles {
        name: subject.name.clone(),
        subject: said,
        files,
        hash,
        ignored: rules.ignore_paths,
        follow_links: rules.allow_symlinks,
    })
}

fn expect(field: &'static str, expected: &str, got: &str) -> Result<(), OmsError> {
    if got == expected {
        return Ok(());
    }
    Err(OmsError::Field {
        field,
        expected: format!("{expected:?}"),
        got: format!("{:?}", shortened(got)),
    })
}

fn digest(field: &'static str, text: &str) -> Result<[u8; 32], OmsError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| OmsError::Field {
        field,
        expected: "64 hexadecimal digits".to_owned(),
        got: format!("{:?}", shortened(text)),
    })?;
    Ok(bytes)
}

/// As much of a stranger's text as an error message should hold.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
