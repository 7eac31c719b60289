//! What an entry commits to: every field under a salt of its own, so that each can be shown without the others.
//!
//! A field's digest is SHA-256(salt ‖ id ‖ tag ‖ value): one compression for values of at most 36 bytes, and longer ones
//! stand as their own SHA-256. The record's commitment is one hash over the list of digests, as SD-JWT (RFC 9901) has it,
//! rather than a tree: a tree of 36 leaves costs four times the compressions and saves an opening 900 bytes.

use counterweight_primitives::Sha256Digest;
use counterweight_sha256::{digest_all, digest_blocks};
use sha2::{Digest as _, Sha256};

use super::value::Value;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// A salt. Whoever has it can try values against a digest.
pub type Salt = [u8; SALT_BYTES];

/// What the hash over the digests begins with.
const RECORD_DOMAIN: &[u8] = b"counterweight/decision/record/v1\n";

/// Longest value that is hashed as it is.
const MOST_SHORT: usize = 36;

/// In the tag: the value stands as its SHA-256.
const HASHED: u8 = 0x80;

/// Salt, id and tag.
const HEAD_BYTES: usize = SALT_BYTES + 3;

/// Digest of a field.
#[must_use]
pub fn field_digest(salt: &Salt, id: u16, value: &Value) -> [u8; 32] {
    let mut block = [0; 64];
    let length = fill(salt, id, value, &mut block);
    Sha256::digest(block.get(..length).unwrap_or_default()).into()
}

/// What a record commits to, from the digests of all its fields.
#[must_use]
pub fn record_commitment(digests: &[[u8; 32]]) -> Sha256Digest {
    let hash = Sha256::new().chain_update(RECORD_DOMAIN);
    Sha256Digest(hash.chain_update(digests.as_flattened()).finalize().into())
}

/// A field as one padded block of SHA-256.
pub(super) fn field_block(salt: &Salt, id: u16, value: &Value) -> [u8; 64] {
    let mut block = [0; 64];
    let length = fill(salt, id, value, &mut block);
    if let Some(end) = block.get_mut(length) {
        *end = 0x80;
    }
    block[56..].copy_from_slice(&(length as u64 * 8).to_be_bytes());
    block
}

/// Commitments of many records, side by side: `blocks` holds those of all fields, record after record, and `counts` how
/// many each record has.
pub(super) fn commit_all(blocks: &[[u8; 64]], counts: &[usize]) -> Vec<Sha256Digest> {
    let digests = digest_blocks(blocks);
    let mut rest = digests.as_slice();
    let mut lists = Vec::with_capacity(counts.len());
    for count in counts {
        let (list, after) = rest.split_at_checked(*count).unwrap_or((rest, &[]));
        lists.push(list.as_flattened());
        rest = after;
    }
    digest_all(RECORD_DOMAIN, &lists)
        .into_iter()
        .map(Sha256Digest)
        .collect()
}

/// Writes what is hashed, gives its length: at most 55 bytes.
fn fill(salt: &Salt, id: u16, value: &Value, block: &mut [u8; 64]) -> usize {
    block[..SALT_BYTES].copy_from_slice(salt);
    block[SALT_BYTES..SALT_BYTES + 2].copy_from_slice(&id.to_be_bytes());
    let bytes = value.bytes();
    let bytes = bytes.as_slice();
    if bytes.len() <= MOST_SHORT {
        block[HEAD_BYTES - 1] = value.tag();
        block[HEAD_BYTES..HEAD_BYTES + bytes.len()].copy_from_slice(bytes);
        HEAD_BYTES + bytes.len()
    } else {
        block[HEAD_BYTES - 1] = value.tag() | HASHED;
        block[HEAD_BYTES..HEAD_BYTES + 32].copy_from_slice(&Sha256::digest(bytes));
        HEAD_BYTES + 32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::value::tests::value, *};

    proptest! {
        #[test]
        fn lanes_commit_to_what_the_plain_code_does(
            records in proptest::collection::vec(
                proptest::collection::vec((any::<Salt>(), value()), 1..40), 0..20,
            ),
        ) {
            let mut blocks = Vec::new();
            let mut expected = Vec::new();
            for record in &records {
                let mut digests = Vec::new();
                for (id, (salt, (value, _))) in record.iter().enumerate() {
                    blocks.push(field_block(salt, id as u16, value));
                    digests.push(field_digest(salt, id as u16, value));
                }
                expected.push(record_commitment(&digests));
            }
            let counts: Vec<_> = records.iter().map(Vec::len).collect();
            prop_assert_eq!(commit_all(&blocks, &counts), expected);
        }

        /// Another salt, place, type or value is another digest.
        #[test]
        fn fields_that_differ_have_different_digests(
            (one, _) in value(), (other, _) in value(), salt: Salt, id in 0_u16..3, other_id in 0_u16..3,
        ) {
            let mut bytes = (Vec::new(), Vec::new());
            one.write(&mut bytes.0);
            other.write(&mut bytes.1);
            let same = bytes.0 == bytes.1 && id == other_id;
            prop_assert_eq!(field_digest(&salt, id, &one) == field_digest(&salt, other_id, &other), same);
        }
    }

    /// A second implementation in one line each.
    #[test]
    fn digests_are_those_of_the_page() {
        let salt = [7; 16];
        let digest = field_digest(&salt, 258, &Value::Integer(-2));
        let bytes = [&salt[..], &[1, 2, 2], &(-2_i64).to_be_bytes()].concat();
        assert_eq!(digest, <[u8; 32]>::from(Sha256::digest(bytes)));
        for (length, tag) in [(36, 4), (37, 0x84)] {
            let text = "x".repeat(length);
            let value = if tag == 4 {
                text.as_bytes().to_vec()
            } else {
                Sha256::digest(&text).to_vec()
            };
            let bytes = [&salt[..], &[0, 0, tag], &value].concat();
            let expected: [u8; 32] = Sha256::digest(bytes).into();
            assert_eq!(field_digest(&salt, 0, &Value::Text(text)), expected);
        }
    }
}
