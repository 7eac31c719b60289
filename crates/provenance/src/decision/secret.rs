//! What is secret of a record: its salts, and the key its values are sealed under, both from the key of its subject.
//!
//! Who has the subject's key has everything; who loses it has nothing, since neither salts nor record keys are kept. Both
//! are the output of BLAKE3 in keyed mode over the nonce of the record's batch and its place in the log. The nonce is
//! random, so that a place that was promised before a crash and given again after it never reuses a key.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroize as _;

use super::commitment::{SALT_BYTES, Salt};

/// What the derivation hashes first.
const DOMAIN: &[u8] = b"counterweight/decision/secrets/v1";

/// 32 secret bytes, cleared when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(pub(super) [u8; 32]);

impl SecretKey {
    /// From the bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for RecordSecrets {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

/// Salts and record key of one record, in memory that is used again for the next.
#[derive(Default)]
pub(super) struct RecordSecrets(Vec<u8>);

impl RecordSecrets {
    /// Those of the record at `index` in the batch with `nonce`.
    pub(super) fn derive(&mut self, subject: &SecretKey, nonce: &[u8; 16], index: u64, fields: usize) {
        self.0.resize(32 + SALT_BYTES * fields, 0);
        let mut hasher = blake3::Hasher::new_keyed(&subject.0);
        let mut message = [0; DOMAIN.len() + 24];
        let (domain, rest) = message.split_at_mut(DOMAIN.len());
        domain.copy_from_slice(DOMAIN);
        rest[..16].copy_from_slice(nonce);
        rest[16..].copy_from_slice(&index.to_be_bytes());
        hasher.update(&message).finalize_xof().fill(&mut self.0);
    }

    /// One for each field.
    pub(super) fn salts(&self) -> &[Salt] {
        self.0.get(32..).unwrap_or_default().as_chunks().0
    }

    /// Seals `values[from..]` in place, and appends the tag.
    pub(super) fn seal(&self, values: &mut Vec<u8>, from: usize) {
        let plain = values.get_mut(from..).unwrap_or_default();
        let tag = self.key().and_then(|key| {
            key.seal_in_place_separate_tag(zero_nonce(), Aad::empty(), plain)
                .ok()
        });
        match tag {
            Some(tag) => values.extend(tag.as_ref()),
            // Only beyond 256 GiB. Nothing unsealed may leave: an empty record opens as damaged.
            None => {
                plain.zeroize();
                values.truncate(from);
            }
        }
    }

    /// Opens what [`RecordSecrets::seal`] made; none where it is not that.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = sealed.to_vec();
        let length = self
            .key()?
            .open_in_place(zero_nonce(), Aad::empty(), &mut bytes)
            .ok()?
            .len();
        bytes.truncate(length);
        Some(bytes)
    }

    fn key(&self) -> Option<LessSafeKey> {
        aead_key(self.0.first_chunk()?)
    }
}

/// A record's key seals one record.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// A key for the AEAD; none never, since 32 bytes are what it takes.
fn aead_key(bytes: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, bytes)
        .ok()
        .map(LessSafeKey::new)
}

/// Seals 32 bytes under a key, with a nonce that the key sees once and data that must be the same to open it.
pub(super) fn wrap(
    key: &SecretKey,
    nonce: [u8; NONCE_LEN],
    data: &[u8],
    secret: &SecretKey,
) -> Option<[u8; 48]> {
    let mut sealed = [0; 48];
    let (plain, tag) = sealed.split_at_mut(32);
    plain.copy_from_slice(&secret.0);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let made = aead_key(&key.0)?
        .seal_in_place_separate_tag(nonce, Aad::from(data), plain)
        .ok()?;
    tag.copy_from_slice(made.as_ref());
    Some(sealed)
}

/// Opens what [`wrap`] made; none where key, nonce or data are others, or a bit changed.
pub(super) fn unwrap(
    key: &SecretKey,
    nonce: [u8; NONCE_LEN],
    data: &[u8],
    sealed: &[u8; 48],
) -> Option<SecretKey> {
    let mut bytes = *sealed;
    let nonce = Nonce::assume_unique_for_key(nonce);
    let opened = aead_key(&key.0)?
        .open_in_place(nonce, Aad::from(data), &mut bytes)
        .ok()
        .and_then(|plain| plain.first_chunk().copied())
        .map(SecretKey);
    bytes.zeroize();
    opened
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(key: u8, nonce: u8, index: u64) -> RecordSecrets {
        let mut secrets = RecordSecrets::default();
        secrets.derive(&SecretKey([key; 32]), &[nonce; 16], index, 3);
        secrets
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_nonce_and_place_only() {
        let mut bytes = b"before".to_vec();
        bytes.extend(b"secret");
        secrets(1, 2, 3).seal(&mut bytes, 6);
        assert_eq!(bytes.len(), 12 + 16);
        let (before, sealed) = bytes.split_at(6);
        assert_eq!(before, b"before");
        assert_eq!(secrets(1, 2, 3).open(sealed).unwrap(), b"secret");
        for other in [secrets(0, 2, 3), secrets(1, 0, 3), secrets(1, 2, 0)] {
            assert_eq!(other.open(sealed), None);
            assert_ne!(other.salts(), secrets(1, 2, 3).salts());
        }
        for place in 0..sealed.len() {
            let mut spoiled = sealed.to_vec();
            spoiled[place] ^= 1;
            assert_eq!(secrets(1, 2, 3).open(&spoiled), None);
        }
        assert_eq!(secrets(1, 2, 3).open(b"short"), None);
        assert_eq!(secrets(1, 2, 3).salts().len(), 3);
    }

    #[test]
    fn a_wrapped_key_opens_under_its_own_terms_only() {
        let (key, secret) = (SecretKey([1; 32]), SecretKey([2; 32]));
        let sealed = wrap(&key, [3; 12], b"slot 7", &secret).unwrap();
        assert_eq!(unwrap(&key, [3; 12], b"slot 7", &sealed), Some(secret.clone()));
        assert_eq!(unwrap(&key, [3; 12], b"slot 8", &sealed), None);
        assert_eq!(unwrap(&key, [4; 12], b"slot 7", &sealed), None);
        assert_eq!(unwrap(&secret, [3; 12], b"slot 7", &sealed), None);
        assert_eq!(format!("{key:?}"), "SecretKey");
    }
}
