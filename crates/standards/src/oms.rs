//! Signatures over models that OpenSSF's tools make and check.
//!
//! OpenSSF Model Signing (OMS) v1.0: a detached Sigstore bundle around a DSSE envelope around an in-toto statement that
//! lists the digest of every file. [`sign`] makes one, [`UncheckedSignature::verify`] checks one, and
//! [`SignedFiles::differences`] compares it with a folder. `model-signing` 1.1.1 of PyPI and this module check each other's.
//! Page: `docs/spec/model-signature.md`.
//!
//! # Differences from the text and from the tool
//!
//! - Keys on P-256 only. The tool takes P-384, P-521, certificates and keyless identities too.
//! - Method `files` with SHA-256 or BLAKE3 only. The tool's command checks SHA-256 alone, its library both.
//! - Written in the order of whole names, as the text says; the tool writes in the order of path components. Both are read,
//!   which is why the digest of a signature's subject names no model: two orders give two.
//! - What lies in ignored folders is not looked at, so a symbolic link inside `.git` is no error here.

mod bundle;
mod error;
mod files;
mod key;
mod statement;

pub use bundle::{SIGNATURE_BYTES, UncheckedSignature, sign};
pub use error::OmsError;
pub use files::{FileHash, ModelFiles, Selection};
pub use key::{SigningKey, VerifyingKey};
pub use statement::{Difference, SignedFiles};

/// What the tool leaves out at the top of a folder, and so do we.
pub const IGNORED_BY_DEFAULT: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];
