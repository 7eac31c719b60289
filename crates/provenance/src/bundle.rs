//! One file that holds everything a check needs: an uncompressed tar of which there is only one way to write it.
//!
//! Any `tar` unpacks it. A reader here takes nothing but the one form: `bundle.json` first, then the files it lists, in its order,
//! each header as its name and size make it. So every byte of a bundle is either content under a digest, or follows from the rest.
//! Format: `docs/spec/bundle.md`.

mod archive;

use counterweight_primitives::{
    Address, AssetId, CanonicalError, ContentDigest, from_canonical_json, to_canonical_json,
};
use serde::{Deserialize, Serialize};

use crate::canonical_form::check_same;

/// What `format` says.
pub const BUNDLE_FORMAT: &str = "counterweight/bundle/v1";

/// Name of the list of files, which comes first.
pub const MANIFEST_NAME: &str = "bundle.json";

/// Longest list of files that is read.
const MANIFEST_BYTES: usize = 16 << 20;

/// Most files in a bundle.
const MOST_FILES: usize = 65_536;

/// Why bytes are no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Something stands where the one form has something else.
    #[error("byte {offset} is not what a bundle has there: {what}")]
    Form {
        /// Where.
        offset: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A name that is not allowed: lower-case letters, digits, `-`, `.` and `/`, relative, at most 100 bytes, no empty or dotted part.
    #[error("{name:?} is no name of a file in a bundle")]
    Name {
        /// The name.
        name: String,
    },
    /// A name that does not come after the one before it.
    #[error("{name} is listed twice or out of order")]
    Order {
        /// The name.
        name: String,
    },
    /// Too much.
    #[error("{got} {what}, at most {limit} are taken")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much there is.
        got: u64,
        /// How much is taken.
        limit: u64,
    },
    /// The list of files cannot be read, or is not as it would be written.
    #[error("the list of files cannot be read")]
    Manifest(#[source] CanonicalError),
    /// The list of files has another format.
    #[error("the format is {got:?}, {BUNDLE_FORMAT} was expected")]
    Format {
        /// Given.
        got: String,
    },
    /// A file is not the one that is listed.
    #[error("the file {got} stands where {expected} is listed")]
    Other {
        /// Name in the list; empty for none.
        expected: String,
        /// Name in the archive; empty for none.
        got: String,
    },
    /// A file has other bytes than are listed.
    #[error("{name} has digest {got}, {expected} is listed")]
    Digest {
        /// Its name.
        name: String,
        /// As listed.
        expected: ContentDigest,
        /// As found.
        got: ContentDigest,
    },
}

/// What a bundle is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "lowercase")]
pub enum Subject {
    /// A registered model.
    Model {
        /// Its number.
        asset: AssetId,
    },
    /// A decision: an entry of a log.
    Decision {
        /// Place of the entry, counted from 0.
        index: u64,
        /// The log's origin.
        origin: String,
        /// The account that answers for the log.
        owner: Address,
    },
}

/// The block that everything is checked against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainPoint {
    /// Chain id (EIP-155).
    pub id: u64,
    /// Height of the block.
    pub block: u64,
    /// Its hash: `0x` and 64 lower-case hexadecimal digits.
    pub hash: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    size: u64,
    digest: ContentDigest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chain: Option<ChainPoint>,
    files: Vec<Listed>,
}

/// A bundle: what it is about, and its files by name. One that was read holds the bytes that its list says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What it is about.
    pub subject: Subject,
    /// The block that everything is checked against; none where the bundle has no chain.
    pub chain: Option<ChainPoint>,
    files: Vec<(String, Vec<u8>)>,
}

impl Bundle {
    /// Begins a bundle without files.
    #[must_use]
    pub fn new(subject: Subject, chain: Option<ChainPoint>) -> Self {
        Self {
            subject,
            chain,
            files: Vec::new(),
        }
    }

    /// Puts a file in; one of the same name is replaced.
    ///
    /// # Errors
    /// [`BundleError::Name`].
    pub fn put(&mut self, name: impl Into<String>, bytes: Vec<u8>) -> Result<(), BundleError> {
        let name = name.into();
        if !archive::is_name(&name) || name == MANIFEST_NAME {
            return Err(BundleError::Name { name });
        }
        match self
            .files
            .binary_search_by(|(other, _)| other.as_str().cmp(&name))
        {
            Ok(place) => self.files[place].1 = bytes,
            Err(place) => self.files.insert(place, (name, bytes)),
        }
        Ok(())
    }

    /// The bytes of a file.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        let place = self
            .files
            .binary_search_by(|(other, _)| other.as_str().cmp(name))
            .ok()?;
        Some(&self.files[place].1)
    }

    /// Names and bytes of all files, in order of name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The one way to write it.
    ///
    /// # Errors
    /// [`BundleError::Manifest`] where a number is beyond 2^53 - 1, [`BundleError::TooMuch`].
    pub fn encode(&self) -> Result<Vec<u8>, BundleError> {
        let manifest = Manifest {
            format: BUNDLE_FORMAT.to_owned(),
            subject: self.subject.clone(),
            chain: self.chain.clone(),
            files: self
                .files
                .iter()
                .map(|(name, bytes)| Listed {
                    name: name.clone(),
                    size: bytes.len() as u64,
                    digest: ContentDigest::of(bytes),
                })
                .collect(),
        };
        let manifest = to_canonical_json(&manifest).map_err(BundleError::Manifest)?;
        let mut out = Vec::new();
        archive::write(&mut out, MANIFEST_NAME, &manifest)?;
        for (name, bytes) in &self.files {
            archive::write(&mut out, name, bytes)?;
        }
        archive::finish(&mut out);
        Ok(out)
    }

    /// Reads a bundle of at most `limit` bytes, and compares every file with its digest.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn decode(bytes: &[u8], limit: usize) -> Result<Self, BundleError> {
        if bytes.len() > limit {
            return Err(BundleError::TooMuch {
                what: "bytes",
                got: bytes.len() as u64,
                limit: limit as u64,
            });
        }
        let mut reader = archive::Reader::new(bytes);
        let other = |expected: &str, got: &str| BundleError::Other {
            expected: expected.to_owned(),
            got: got.to_owned(),
        };
        let (name, list) = reader.next()?.ok_or_else(|| other(MANIFEST_NAME, ""))?;
        if name != MANIFEST_NAME {
            return Err(other(MANIFEST_NAME, name));
        }
        let manifest: Manifest = from_canonical_json(list, MANIFEST_BYTES).map_err(BundleError::Manifest)?;
        let written = to_canonical_json(&manifest).map_err(BundleError::Manifest)?;
        check_same(list, &written).map_err(BundleError::Manifest)?;
        if manifest.format != BUNDLE_FORMAT {
            return Err(BundleError::Format { got: manifest.format });
        }
        if manifest.files.len() > MOST_FILES {
            return Err(BundleError::TooMuch {
                what: "files",
                got: manifest.files.len() as u64,
                limit: MOST_FILES as u64,
            });
        }
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        for listed in manifest.files {
            let (name, found) = reader.next()?.ok_or_else(|| other(&listed.name, ""))?;
            if name != listed.name {
                return Err(other(&listed.name, name));
            }
            if files.last().is_some_and(|(before, _)| *before >= listed.name) || name == MANIFEST_NAME {
                return Err(BundleError::Order { name: listed.name });
            }
            let got = ContentDigest::of(found);
            if got != listed.digest || found.len() as u64 != listed.size {
                return Err(BundleError::Digest {
                    name: listed.name,
                    expected: listed.digest,
                    got,
                });
            }
            files.push((listed.name, found.to_vec()));
        }
        if let Some((name, _)) = reader.next()? {
            return Err(other("", name));
        }
        Ok(Self {
            subject: manifest.subject,
            chain: manifest.chain,
            files,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn sample() -> Bundle {
        let chain = ChainPoint {
            id: 31_337,
            block: 12,
            hash: format!("0x{}", "ab".repeat(32)),
        };
        let mut bundle = Bundle::new(Subject::Model { asset: AssetId(3) }, Some(chain));
        bundle.put("log/proof", b"a proof\n".to_vec()).unwrap();
        bundle.put("blobs/00ff", vec![7; 513]).unwrap();
        bundle.put("empty", Vec::new()).unwrap();
        bundle
    }

    fn refusal(bytes: &[u8]) -> BundleError {
        Bundle::decode(bytes, LIMIT).unwrap_err()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = sample().encode().unwrap();
        let read = Bundle::decode(&bytes, LIMIT).unwrap();
        assert_eq!(read, sample());
        assert_eq!(read.encode().unwrap(), bytes);
        assert_eq!(read.file("log/proof"), Some(&b"a proof\n"[..]));
        assert_eq!(read.file("log/other"), None);
    }

    #[test]
    fn a_bundle_of_a_decision_needs_no_chain() {
        let subject = Subject::Decision {
            index: 7,
            origin: "example.com/decisions".to_owned(),
            owner: Address([9; 20]),
        };
        let bundle = Bundle::new(subject, None);
        let bytes = bundle.encode().unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"\"chain\""));
        assert_eq!(Bundle::decode(&bytes, LIMIT).unwrap(), bundle);
    }

    /// The figure of what it is about is the one thing that a flipped byte can change; which subject a bundle is about is for
    /// the reader to ask, and everything else of it must be found in the files.
    #[test]
    fn every_flipped_byte_is_refused_or_names_another_subject_or_block() {
        let good = sample().encode().unwrap();
        for place in 0..good.len() {
            for bit in [0x01, 0x08, 0x80] {
                let mut bytes = good.clone();
                bytes[place] ^= bit;
                if let Ok(read) = Bundle::decode(&bytes, LIMIT) {
                    assert!(
                        read.subject != sample().subject || read.chain != sample().chain,
                        "byte {place}"
                    );
                    assert!(read.files().eq(sample().files()), "byte {place}");
                }
            }
        }
    }

    #[test]
    fn a_bundle_cut_short_or_longer_is_refused() {
        let good = sample().encode().unwrap();
        for length in 0..good.len() {
            assert!(Bundle::decode(&good[..length], LIMIT).is_err(), "{length} bytes");
        }
        let longer = [good.as_slice(), &[0]].concat();
        assert!(matches!(refusal(&longer), BundleError::Form { .. }));
        assert!(matches!(
            Bundle::decode(&good, good.len() - 1),
            Err(BundleError::TooMuch { .. })
        ));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "",
            "/etc/passwd",
            "../up",
            "a/../b",
            "a//b",
            "a/",
            ".hidden",
            "a/.b",
            "A",
            "a\\b",
            "a b",
            "é",
            "bundle.json",
        ] {
            assert!(
                matches!(sample().put(name, Vec::new()), Err(BundleError::Name { .. })),
                "{name}"
            );
        }
        assert!(sample().put("a".repeat(101), Vec::new()).is_err());
    }

    /// Archives with a name twice, an unlisted file, a file missing, another order.
    #[test]
    fn files_are_those_of_the_list_in_its_order() {
        let list = |names: &[&str]| {
            let files: Vec<Listed> = names
                .iter()
                .map(|name| Listed {
                    name: (*name).to_owned(),
                    size: 1,
                    digest: ContentDigest::of(b"x"),
                })
                .collect();
            let Bundle { subject, chain, .. } = sample();
            let format = BUNDLE_FORMAT.to_owned();
            to_canonical_json(&Manifest {
                format,
                subject,
                chain,
                files,
            })
            .unwrap()
        };
        let made = |listed: &[&str], archived: &[&str]| {
            let mut out = Vec::new();
            archive::write(&mut out, MANIFEST_NAME, &list(listed)).unwrap();
            for name in archived {
                archive::write(&mut out, name, b"x").unwrap();
            }
            archive::finish(&mut out);
            out
        };
        assert!(Bundle::decode(&made(&["a", "b"], &["a", "b"]), LIMIT).is_ok());
        assert!(matches!(
            refusal(&made(&["a", "a"], &["a", "a"])),
            BundleError::Order { .. }
        ));
        assert!(matches!(
            refusal(&made(&["b", "a"], &["b", "a"])),
            BundleError::Order { .. }
        ));
        assert!(matches!(
            refusal(&made(&["a"], &["a", "b"])),
            BundleError::Other { .. }
        ));
        assert!(matches!(
            refusal(&made(&["a", "b"], &["a"])),
            BundleError::Other { .. }
        ));
        assert!(matches!(
            refusal(&made(&["a"], &["b"])),
            BundleError::Other { .. }
        ));
        assert!(matches!(
            refusal(&made(&["bundle.json"], &["bundle.json"])),
            BundleError::Order { .. }
        ));
    }

    /// A size that the archive does not have reserves nothing: content is borrowed, never sized by what is written.
    #[test]
    fn a_size_beyond_the_archive_is_refused() {
        let mut bytes = sample().encode().unwrap();
        bytes[124..135].copy_from_slice(b"77777777777");
        assert!(matches!(refusal(&bytes), BundleError::Form { .. }));
    }

    /// Nested lists as deep as the file allows, in the place of the list of files.
    #[test]
    fn deep_nesting_is_refused() {
        let mut out = Vec::new();
        archive::write(&mut out, MANIFEST_NAME, &b"[".repeat(200_000)).unwrap();
        archive::finish(&mut out);
        assert!(matches!(refusal(&out), BundleError::Manifest(_)));
        let deep = [b"{\"chain\":".repeat(50_000), b"1".to_vec(), b"}".repeat(50_000)].concat();
        let mut out = Vec::new();
        archive::write(&mut out, MANIFEST_NAME, &deep).unwrap();
        archive::finish(&mut out);
        assert!(matches!(refusal(&out), BundleError::Manifest(_)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            Bundle::decode(&bytes, LIMIT).ok();
        }

        #[test]
        fn any_files_are_read_back(files in prop::collection::btree_map(
            "[a-z0-9]{1,8}(/[a-z0-9-]{1,8}){0,2}", prop::collection::vec(any::<u8>(), 0..1100), 0..6,
        )) {
            let Bundle { subject, chain, .. } = sample();
            let mut bundle = Bundle::new(subject, chain);
            for (name, bytes) in files {
                bundle.put(name, bytes).unwrap();
            }
            let bytes = bundle.encode().unwrap();
            prop_assert_eq!(Bundle::decode(&bytes, LIMIT).unwrap(), bundle);
        }
    }
}
