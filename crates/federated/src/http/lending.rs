//! Blobs on their way out. All members ask for the base of a round at once, so those who ask for the same blob share one copy of it,
//! and what is out at once is bounded.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::body::Bytes;
use counterweight_primitives::ContentDigest;
use counterweight_provenance::blobs::BlobError;

use super::traffic::Traffic;
use crate::blobs::Blobs;

/// A blob that is being given out.
struct Lent {
    bytes: Vec<u8>,
    traffic: Arc<Traffic>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.traffic.now().lent_bytes -= self.bytes.len();
    }
}

/// A part in it.
struct Share(Arc<Lent>);

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// Why a blob is not given out.
pub(super) enum NotLent {
    /// So much is out that it must wait.
    Busy,
    /// It cannot be read.
    Blob(BlobError),
}

/// Blobs that are out.
pub(super) struct Lending {
    blobs: Arc<dyn Blobs>,
    blob_bytes_max: u64,
    bytes_max: usize,
    traffic: Arc<Traffic>,
    out: Mutex<BTreeMap<ContentDigest, Weak<Lent>>>,
    /// One is read at a time: who asks for the same waits for it and shares it.
    reading: Mutex<()>,
}

impl Lending {
    pub(super) fn new(
        blobs: Arc<dyn Blobs>,
        blob_bytes_max: u64,
        bytes_max: usize,
        traffic: Arc<Traffic>,
    ) -> Self {
        Self {
            blobs,
            blob_bytes_max,
            bytes_max,
            traffic,
            out: Mutex::default(),
            reading: Mutex::default(),
        }
    }

    /// The bytes of a blob. Reads from the disk: not to be called where nothing may wait.
    ///
    /// # Errors
    /// [`NotLent`].
    pub(super) fn lend(&self, digest: &ContentDigest) -> Result<Bytes, NotLent> {
        if let Some(share) = self.shared(digest) {
            return Ok(share);
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = self.shared(digest) {
            return Ok(share);
        }
        let bytes = self
            .blobs
            .get(digest, self.blob_bytes_max)
            .map_err(NotLent::Blob)?;
        let mut now = self.traffic.now();
        // One alone is given out however long it is.
        if now.lent_bytes > 0 && now.lent_bytes.saturating_add(bytes.len()) > self.bytes_max {
            return Err(NotLent::Busy);
        }
        now.lent_bytes += bytes.len();
        drop(now);
        let traffic = Arc::clone(&self.traffic);
        let lent = Arc::new(Lent { bytes, traffic });
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.retain(|_, lent| lent.strong_count() > 0);
        out.insert(*digest, Arc::downgrade(&lent));
        Ok(Bytes::from_owner(Share(lent)))
    }

    fn shared(&self, digest: &ContentDigest) -> Option<Bytes> {
        let out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let lent = out.get(digest)?.upgrade()?;
        Some(Bytes::from_owner(Share(lent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::MemoryBlobs;

    #[test]
    fn who_asks_for_the_same_shares_it_and_what_is_out_is_bounded() {
        let blobs = MemoryBlobs::default();
        let [one, other] = [1, 2].map(|byte| Blobs::put(&blobs, &[byte; 60]).unwrap());
        let traffic = Arc::new(Traffic::default());
        let lending = Lending::new(Arc::new(blobs), 1_000, 100, Arc::clone(&traffic));
        let lend = |digest| lending.lend(digest).ok();
        let shares = [lend(&one).unwrap(), lend(&one).unwrap()];
        assert_eq!(shares[0], vec![1; 60]);
        assert_eq!(shares[0].as_ptr(), shares[1].as_ptr());
        assert_eq!(traffic.report().lent_bytes, 60);
        assert!(matches!(lending.lend(&other), Err(NotLent::Busy)));
        drop(shares);
        assert_eq!(traffic.report().lent_bytes, 0);
        assert_eq!(lend(&other).unwrap(), vec![2; 60]);
        assert!(matches!(
            lending.lend(&ContentDigest([9; 32])),
            Err(NotLent::Blob(BlobError::Missing { .. }))
        ));
    }
}
