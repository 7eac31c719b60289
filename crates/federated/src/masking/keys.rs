//! Keys of a round, what pairs derive from them, and masks.

use curve25519_dalek::{
    Scalar, edwards::EdwardsPoint, montgomery::MontgomeryPoint, scalar::clamp_integer,
    traits::IsIdentity as _,
};
use hmac::{Hmac, Mac as _};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::group::{Group, Place};

/// An X25519 public key (RFC 7748).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Whether it is one that a member may announce: below 2^255 − 19, and not of small order, with which every secret would be
    /// the same.
    #[must_use]
    pub fn is_strong(&self) -> bool {
        // The prime in little-endian bytes; the sign bit is above it.
        let mut prime = [0xff; 32];
        (prime[0], prime[31]) = (0xed, 0x7f);
        let below = self.0.iter().rev().lt(prime.iter().rev());
        below && !(MontgomeryPoint(self.0) * Scalar::from(8_u8)).is_identity()
    }
}

/// An X25519 private key, clamped.
pub(super) struct SecretKey(Zeroizing<[u8; 32]>);

/// What two members know and nobody else.
pub(super) struct PairSecret(Zeroizing<[u8; 32]>);

impl SecretKey {
    pub(super) fn from_random(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(clamp_integer(bytes)))
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey(EdwardsPoint::mul_base_clamped(*self.0).to_montgomery().to_bytes())
    }

    /// The key as the scalar that is dealt: on points of the prime-order group it does the same.
    pub(super) fn to_scalar(&self) -> Zeroizing<Scalar> {
        Zeroizing::new(Scalar::from_bytes_mod_order(*self.0))
    }

    /// Nothing for a key of small order, with which every secret would be the same.
    pub(super) fn agree(&self, with: &PublicKey) -> Option<PairSecret> {
        shared(MontgomeryPoint(with.0).mul_clamped(*self.0))
    }
}

/// The agreement of a recovered key. A clamped key is a multiple of 8 and so ignores what a peer's key may have of small
/// order; the recovered scalar is not, so that part is multiplied away first.
pub(super) fn agree_recovered(key: &Scalar, with: &PublicKey) -> Option<PairSecret> {
    let eight = Scalar::from(8_u8);
    shared(MontgomeryPoint(with.0) * eight * (key * eight.invert()))
}

fn shared(point: MontgomeryPoint) -> Option<PairSecret> {
    (!point.is_identity()).then(|| PairSecret(Zeroizing::new(point.to_bytes())))
}

/// HKDF with SHA-256 (RFC 5869): 32 bytes, one block.
pub(super) fn hkdf(salt: &[u8; 32], secret: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    let extracted = keyed(salt).chain_update(secret).finalize().into_bytes();
    let mut expand = keyed(&extracted);
    for part in info {
        expand.update(part);
    }
    Zeroizing::new(expand.chain_update([1]).finalize().into_bytes().into())
}

impl PairSecret {
    /// Seed of the mask between two places, the same from both sides.
    pub(super) fn mask_seed(&self, group: &Group, one: Place, other: Place) -> Zeroizing<[u8; 32]> {
        let (low, high) = (one.min(other), one.max(other));
        let places = [low.0.to_be_bytes(), high.0.to_be_bytes()].concat();
        hkdf(
            &group.context,
            &*self.0,
            &[b"counterweight/masking/pair/v1", &places],
        )
    }

    /// Key of the one message from a place to another.
    pub(super) fn channel(&self, group: &Group, from: Place, to: Place) -> Zeroizing<[u8; 32]> {
        let places = [from.0.to_be_bytes(), to.0.to_be_bytes()].concat();
        hkdf(
            &group.context,
            &*self.0,
            &[b"counterweight/masking/share/v1", &places],
        )
    }
}

/// Seed of a self-mask. Of a secret and its opposite the even one counts, so that a contract may check a secret against its
/// point by u-coordinates, which leave the sign open.
pub(super) fn self_seed(group: &Group, secret: &Scalar, of: Place) -> Zeroizing<[u8; 32]> {
    let info: [&[u8]; 2] = [b"counterweight/masking/self/v1", &of.0.to_be_bytes()];
    let odd = secret.as_bytes()[0] & 1 == 1;
    let even = Zeroizing::new(if odd { -secret } else { *secret });
    hkdf(&group.context, even.as_bytes(), &info)
}

/// Seed of the weights by which a member checks what was dealt to it.
pub(super) fn check_seed(group: &Group, secret: &Scalar) -> Zeroizing<[u8; 32]> {
    hkdf(
        &group.context,
        secret.as_bytes(),
        &[b"counterweight/masking/check/v1"],
    )
}

/// Adds or takes away the mask of a seed: words of ChaCha20 (nonce 0, counter from 0), little endian.
pub(super) fn apply_mask(vector: &mut [u32], seed: &[u8; 32], add: bool) {
    let mut stream = ChaCha20Rng::from_seed(*seed);
    let mut bytes = Zeroizing::new([0_u8; 4096]);
    for part in vector.chunks_mut(1024) {
        let bytes = &mut bytes[..4 * part.len()];
        stream.fill_bytes(bytes);
        let (words, _) = bytes.as_chunks::<4>();
        for (value, word) in part.iter_mut().zip(words) {
            let word = u32::from_le_bytes(*word);
            *value = if add {
                value.wrapping_add(word)
            } else {
                value.wrapping_sub(word)
            };
        }
    }
}

/// Encrypts or decrypts the one message under a channel's key.
pub(super) fn apply_channel(message: &mut [u8], key: &[u8; 32]) {
    let mut stream = Zeroizing::new(vec![0_u8; message.len()]);
    ChaCha20Rng::from_seed(*key).fill_bytes(&mut stream);
    for (byte, mask) in message.iter_mut().zip(stream.iter()) {
        *byte ^= mask;
    }
}
