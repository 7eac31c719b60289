//! The boxes around a manifest store (JUMBF, ISO/IEC 19566-5), held to nest exactly.
//!
//! Crate `c2pa` hashes what it understood, and passes over sizes and flags that it does not need. Nothing that a manifest says depends
//! on them; but a file that two readers may take apart in two ways is not one to vouch for.

/// Deepest nesting. A store of C2PA has five levels, and one more for each kind of content.
const MOST_DEPTH: usize = 16;

/// Length and name.
const HEADER: usize = 8;

/// Where a description says which parts follow: behind the UUID.
const TOGGLES: usize = HEADER + 16;

/// The label of a manifest store.
const STORE: &[u8] = b"c2pa\0";

/// Whether `store` is one box of boxes that fill each other, the way C2PA writes them.
pub(crate) fn nests(store: &[u8]) -> bool {
    let Some((b"jumb", content, [])) = first(store) else {
        return false;
    };
    let is_store = content
        .get(TOGGLES + 1..)
        .is_some_and(|label| label.starts_with(STORE));
    is_store && superbox(content, MOST_DEPTH)
}

/// A description, then contents.
fn superbox(content: &[u8], depth: usize) -> bool {
    let Some((b"jumd", _, mut rest)) = first(content) else {
        return false;
    };
    // Asked for by its label, which follows; and a salt perhaps.
    let has_known_parts = matches!(content.get(TOGGLES), Some(0x03 | 0x13));
    while !rest.is_empty() {
        let Some((name, content, behind)) = first(rest) else {
            return false;
        };
        if name == b"jumb" && (depth == 0 || !superbox(content, depth - 1)) {
            return false;
        }
        rest = behind;
    }
    has_known_parts
}

/// Name and content of the first box, and what is behind it.
fn first(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, behind) = bytes.split_first_chunk::<4>()?;
    let name = behind.first_chunk::<4>()?;
    // Lengths of 0 (to the end) and 1 (64 bits follow) are not written for what fits into memory.
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let content = bytes.get(HEADER..length)?;
    Some((name, content, bytes.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = (content.len() + HEADER) as u32;
        [&length.to_be_bytes()[..], name, content].concat()
    }

    fn described(label: &[u8], inside: &[u8]) -> Vec<u8> {
        let description = boxed(b"jumd", &[&[7; 16][..], &[3], label].concat());
        boxed(b"jumb", &[&description, inside].concat())
    }

    #[test]
    fn a_store_of_boxes_that_fill_each_other_nests() {
        let inner = described(b"c2pa.claim\0", &boxed(b"cbor", b"claim"));
        let store = described(STORE, &inner);
        assert!(nests(&store));
        assert!(!nests(&inner), "no store");
        assert!(!nests(&store[..store.len() - 1]) && !nests(&[&store[..], &[0]].concat()));
        assert!(!nests(b"") && !nests(&boxed(b"jumb", b"")));
        for place in 0..store.len() {
            let mut spoilt = store.clone();
            spoilt[place] ^= 0x80;
            // Content, labels, UUIDs and names of content boxes are the manifest's own business.
            let is_frame = [0, 1, 2, 3, 4, 8, 12, 24 + HEADER, 25 + HEADER].contains(&place);
            assert!(!(is_frame && nests(&spoilt)), "byte {place}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let mut store = boxed(b"cbor", b"");
        for _ in 0..MOST_DEPTH + 2 {
            store = described(STORE, &store);
        }
        assert!(!nests(&store));
    }
}
