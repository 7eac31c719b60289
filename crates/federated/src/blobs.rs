//! Where updates, parameters and reports are kept: bytes under the digest that names them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use counterweight_primitives::ContentDigest;
use counterweight_provenance::blobs::{BlobError, BlobStore};

/// A content-addressed store. A value that comes back has the digest that was asked for.
pub trait Blobs: Send + Sync {
    /// Keeps bytes; they are safe when this returns.
    ///
    /// # Errors
    /// [`BlobError`].
    fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError>;

    /// The bytes of a blob of at most `limit` bytes.
    ///
    /// # Errors
    /// [`BlobError`]; [`BlobError::Missing`] where it was never put.
    fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError>;
}

impl Blobs for BlobStore {
    fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
        Self::put(self, bytes)
    }

    fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
        Self::get(self, digest, limit)
    }
}

impl<B: Blobs + ?Sized> Blobs for &B {
    fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
        (**self).put(bytes)
    }

    fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
        (**self).get(digest, limit)
    }
}

impl<B: Blobs + ?Sized> Blobs for Arc<B> {
    fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
        (**self).put(bytes)
    }

    fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
        (**self).get(digest, limit)
    }
}

/// A store in memory, for simulations and tests. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs(Arc<Mutex<BTreeMap<ContentDigest, Vec<u8>>>>);

impl MemoryBlobs {
    /// Changes what is kept under a digest, as a damaged disk would.
    pub fn spoil(&self, digest: &ContentDigest, change: impl FnOnce(&mut Vec<u8>)) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = kept.get_mut(digest) {
            change(bytes);
        }
    }

    /// Every digest, in ascending order.
    #[must_use]
    pub fn list(&self) -> Vec<ContentDigest> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .copied()
            .collect()
    }
}

impl Blobs for MemoryBlobs {
    fn put(&self, bytes: &[u8]) -> Result<ContentDigest, BlobError> {
        let digest = ContentDigest::of(bytes);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest, bytes.to_vec());
        Ok(digest)
    }

    fn get(&self, digest: &ContentDigest, limit: u64) -> Result<Vec<u8>, BlobError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = kept.get(digest).ok_or(BlobError::Missing { digest: *digest })?;
        if bytes.len() as u64 > limit {
            return Err(BlobError::TooLarge {
                digest: *digest,
                got: bytes.len() as u64,
                limit,
            });
        }
        let got = ContentDigest::of(bytes);
        if got == *digest {
            Ok(bytes.clone())
        } else {
            Err(BlobError::Corrupted {
                digest: *digest,
                got,
                path: "memory".into(),
            })
        }
    }
}
