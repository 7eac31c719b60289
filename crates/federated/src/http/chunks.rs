//! Large bodies in parts, so that what a lost connection had carried need not be sent again.
//!
//! A part is named by its digest; a body is a list of digests. Parts wait in memory for the list that asks for them: a
//! server that restarts is sent them again.

use std::collections::BTreeMap;

use counterweight_primitives::{Address, ContentDigest};

/// Length of every part but the last.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// Bodies longer than this are sent in parts.
pub(super) const WHOLE_BYTES_MAX: usize = 4 * CHUNK_BYTES;
/// Missing parts named in one answer.
pub(super) const MISSING_MAX: usize = 256;

/// Parts that came and wait for their list, by who sent them.
#[derive(Debug, Default)]
pub(super) struct Chunks(BTreeMap<Address, BTreeMap<ContentDigest, Vec<u8>>>);

impl Chunks {
    /// Keeps a part; false where one account would keep more than `limit` bytes.
    pub(super) fn keep(
        &mut self,
        from: Address,
        digest: ContentDigest,
        bytes: Vec<u8>,
        limit: usize,
    ) -> bool {
        let kept = self.0.entry(from).or_default();
        let others: usize = kept
            .iter()
            .filter(|(other, _)| **other != digest)
            .map(|(_, part)| part.len())
            .sum();
        let fits = others + bytes.len() <= limit;
        if fits {
            kept.insert(digest, bytes);
        }
        fits
    }

    /// The body of a list, whose parts are then let go; else the parts that have not come, or none where it would be
    /// longer than `limit`.
    pub(super) fn assemble(
        &mut self,
        from: Address,
        list: &[ContentDigest],
        limit: usize,
    ) -> Result<Vec<u8>, Vec<ContentDigest>> {
        let kept = self.0.entry(from).or_default();
        let missing = list.iter().filter(|digest| !kept.contains_key(digest));
        let missing: Vec<ContentDigest> = missing.copied().take(MISSING_MAX).collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let parts = || list.iter().filter_map(|digest| kept.get(digest));
        if parts().map(Vec::len).sum::<usize>() > limit {
            return Err(Vec::new());
        }
        let body = parts().flatten().copied().collect();
        self.0.remove(&from);
        Ok(body)
    }

    /// Lets go of all parts: another round takes none of them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The list of a body: the digests of its parts, one after the other.
pub(super) fn list_of(body: &[u8]) -> Vec<ContentDigest> {
    body.chunks(CHUNK_BYTES).map(ContentDigest::of).collect()
}

/// Reads a list; nothing where its length is that of none.
pub(super) fn read_list(bytes: &[u8]) -> Option<Vec<ContentDigest>> {
    let (digests, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && !digests.is_empty())
        .then(|| digests.iter().map(|digest| ContentDigest(*digest)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHO: Address = Address([1; 20]);

    #[test]
    fn parts_that_came_in_any_order_and_twice_make_the_body() {
        let body: Vec<u8> = (0..3 * CHUNK_BYTES as u32 + 5).map(|at| (at / 7) as u8).collect();
        let list = list_of(&body);
        let mut chunks = Chunks::default();
        let limit = body.len();
        assert_eq!(chunks.assemble(WHO, &list, limit), Err(list.clone()));
        for at in [3, 1, 1, 0] {
            let part = body.chunks(CHUNK_BYTES).nth(at).unwrap().to_vec();
            assert!(chunks.keep(WHO, list[at], part, limit));
        }
        assert_eq!(chunks.assemble(WHO, &list, limit), Err(vec![list[2]]));
        assert_eq!(chunks.assemble(Address([2; 20]), &list, limit), Err(list.clone()));
        let part = body.chunks(CHUNK_BYTES).nth(2).unwrap().to_vec();
        assert!(!chunks.keep(WHO, list[2], part.clone(), limit - 1));
        assert!(chunks.keep(WHO, list[2], part, limit));
        assert_eq!(chunks.assemble(WHO, &list, limit - 1), Err(Vec::new()));
        assert_eq!(chunks.assemble(WHO, &list, limit), Ok(body));
        assert!(chunks.assemble(WHO, &list, limit).is_err());
    }

    #[test]
    fn a_list_is_whole_digests() {
        assert_eq!(read_list(&[7; 64]), Some(vec![ContentDigest([7; 32]); 2]));
        assert_eq!((read_list(&[]), read_list(&[7; 63])), (None, None));
    }
}
