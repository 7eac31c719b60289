//! Large bodies in parts, so that what a lost connection had carried need not be sent again.
//!
//! A part is named by its digest; a body is a list of digests. The list comes first and sets the bytes of the whole body aside, so
//! that bodies which have begun can be finished; parts wait in memory for the rest. Each account has one body under way. A server
//! that restarts is sent everything again.

use std::collections::BTreeMap;

use counterweight_primitives::{Address, ContentDigest, UnixMillis};

use super::admission::Reserved;

/// Length of every part but the last.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// Bodies longer than this are sent in parts.
pub(super) const WHOLE_BYTES_MAX: usize = 4 * CHUNK_BYTES;
/// Missing parts named in one answer.
pub(super) const MISSING_MAX: usize = 256;
/// A body that comes slower than this on average, in bytes a second, gives its room up to others.
const SLOWEST: u64 = 16 << 10;
/// Milliseconds before that is looked at.
const GRACE: u64 = 10_000;

/// A body under way.
#[derive(Debug)]
struct Body {
    list: Vec<ContentDigest>,
    parts: BTreeMap<ContentDigest, Vec<u8>>,
    since: UnixMillis,
    came: u64,
    reserved: Reserved,
}

impl Body {
    /// Whether it holds up others.
    fn is_slow(&self, now: UnixMillis) -> bool {
        let passed = now.0.saturating_sub(self.since.0);
        passed > GRACE && self.came < (passed - GRACE).saturating_mul(SLOWEST) / 1_000
    }
}

/// Bodies under way, by who sends them.
#[derive(Debug, Default)]
pub(super) struct Chunks(BTreeMap<Address, Body>);

/// What is to be done with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It is to be read and kept.
    Yes,
    /// It came before.
    Kept,
    /// No list under way names it.
    No,
}

/// Where a body stands when its list comes.
#[derive(Debug)]
pub(super) enum Standing {
    /// No such list is under way: room must be found first.
    Unknown,
    /// These parts have not come.
    Missing(Vec<ContentDigest>),
    /// All have; this is it, and its room.
    Whole(Vec<u8>, Reserved),
}

impl Chunks {
    /// Takes a list up, in the place of what its account had under way.
    pub(super) fn begin(
        &mut self,
        from: Address,
        list: Vec<ContentDigest>,
        reserved: Reserved,
        now: UnixMillis,
    ) {
        let body = Body {
            list,
            parts: BTreeMap::new(),
            since: now,
            came: 0,
            reserved,
        };
        self.0.insert(from, body);
    }

    /// Where the body of a list stands. A whole one is let go of here.
    pub(super) fn standing(&mut self, from: Address, list: &[ContentDigest]) -> Standing {
        let Some(body) = self.0.get(&from).filter(|body| body.list == list) else {
            return Standing::Unknown;
        };
        let missing = list.iter().filter(|digest| !body.parts.contains_key(digest));
        let missing: Vec<ContentDigest> = missing.copied().take(MISSING_MAX).collect();
        if !missing.is_empty() {
            return Standing::Missing(missing);
        }
        match self.0.remove(&from) {
            Some(body) => {
                let (bytes, reserved) = join(body);
                Standing::Whole(bytes, reserved)
            }
            None => Standing::Unknown,
        }
    }

    /// Whether a part is waited for.
    pub(super) fn wants(&self, from: Address, digest: &ContentDigest) -> Wanted {
        match self.0.get(&from) {
            Some(body) if body.parts.contains_key(digest) => Wanted::Kept,
            Some(body) if body.list.contains(digest) => Wanted::Yes,
            _ => Wanted::No,
        }
    }

    /// Keeps a part that is waited for; false where it is not.
    pub(super) fn keep(&mut self, from: Address, digest: ContentDigest, bytes: Vec<u8>) -> bool {
        let wanted = self.wants(from, &digest);
        if let (Wanted::Yes, Some(body)) = (wanted, self.0.get_mut(&from)) {
            body.came += bytes.len() as u64;
            body.parts.insert(digest, bytes);
        }
        wanted != Wanted::No
    }

    /// Lets go of what `from` has under way.
    pub(super) fn drop_of(&mut self, from: Address) {
        self.0.remove(&from);
    }

    /// Lets go of bodies that come too slowly; whether there were any.
    pub(super) fn drop_slow(&mut self, now: UnixMillis) -> bool {
        let before = self.0.len();
        self.0.retain(|_, body| !body.is_slow(now));
        self.0.len() < before
    }

    /// Lets go of everything: another round takes none of it.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The parts one after the other. Each is let go of once it is copied for the last time, so that body and parts together take
/// hardly more than either.
fn join(mut body: Body) -> (Vec<u8>, Reserved) {
    let mut uses: BTreeMap<ContentDigest, usize> = BTreeMap::new();
    for digest in &body.list {
        *uses.entry(*digest).or_default() += 1;
    }
    let mut bytes = Vec::with_capacity(body.list.len() * CHUNK_BYTES);
    for digest in &body.list {
        if let Some(part) = body.parts.get(digest) {
            bytes.extend_from_slice(part);
        }
        let left = uses.get_mut(digest);
        if left.is_none_or(|left| {
            *left -= 1;
            *left == 0
        }) {
            body.parts.remove(digest);
        }
    }
    (bytes, body.reserved)
}

/// Bytes to set aside for the body of a list: its parts, none of which is longer than [`CHUNK_BYTES`].
pub(super) fn bytes_of(list: &[ContentDigest]) -> usize {
    list.len().saturating_mul(CHUNK_BYTES)
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
    use std::sync::Arc;

    use super::*;
    use crate::http::{admission::Admission, traffic::Traffic};

    const WHO: Address = Address([1; 20]);
    const OTHER: Address = Address([2; 20]);
    const START: UnixMillis = UnixMillis(1_000);

    fn room(bytes: usize) -> Reserved {
        let traffic = Arc::new(Traffic::default());
        Admission::new(bytes, 1, traffic).reserve(bytes).unwrap()
    }

    #[test]
    fn parts_that_came_in_any_order_and_twice_make_the_body() {
        let body: Vec<u8> = (0..3 * CHUNK_BYTES as u32 + 5).map(|at| (at / 7) as u8).collect();
        let list = list_of(&body);
        let part = |at: usize| body.chunks(CHUNK_BYTES).nth(at).unwrap().to_vec();
        let mut chunks = Chunks::default();
        assert!(matches!(chunks.standing(WHO, &list), Standing::Unknown));
        // Before its list, a part is nothing; of another's list neither.
        assert!(!chunks.keep(WHO, list[0], part(0)));
        chunks.begin(WHO, list.clone(), room(bytes_of(&list)), START);
        assert!(!chunks.keep(OTHER, list[0], part(0)));
        assert_eq!(chunks.wants(WHO, &list[3]), Wanted::Yes);
        for at in [3, 1, 1, 0] {
            assert!(chunks.keep(WHO, list[at], part(at)));
        }
        assert_eq!(chunks.wants(WHO, &list[3]), Wanted::Kept);
        assert!(!chunks.keep(WHO, ContentDigest([9; 32]), vec![1]));
        assert!(matches!(chunks.standing(WHO, &list), Standing::Missing(missing) if missing == [list[2]]));
        assert!(chunks.keep(WHO, list[2], part(2)));
        assert!(matches!(chunks.standing(WHO, &list), Standing::Whole(whole, _) if whole == body));
        assert!(matches!(chunks.standing(WHO, &list), Standing::Unknown));
    }

    #[test]
    fn a_part_that_is_there_several_times_comes_once() {
        let body = [
            vec![7; 2 * CHUNK_BYTES],
            vec![8; CHUNK_BYTES],
            vec![7; CHUNK_BYTES],
        ]
        .concat();
        let list = list_of(&body);
        let mut chunks = Chunks::default();
        chunks.begin(WHO, list.clone(), room(bytes_of(&list)), START);
        assert!(chunks.keep(WHO, list[0], vec![7; CHUNK_BYTES]));
        assert!(chunks.keep(WHO, list[2], vec![8; CHUNK_BYTES]));
        assert!(matches!(chunks.standing(WHO, &list), Standing::Whole(whole, _) if whole == body));
    }

    #[test]
    fn another_list_takes_the_place_of_the_first_and_gives_its_room_back() {
        let traffic = Arc::new(Traffic::default());
        let admission = Admission::new(usize::MAX, 9, Arc::clone(&traffic));
        let mut chunks = Chunks::default();
        for count in [3, 2] {
            let list = vec![ContentDigest([count; 32]); usize::from(count)];
            let reserved = admission.reserve(bytes_of(&list)).unwrap();
            chunks.begin(WHO, list, reserved, START);
        }
        assert_eq!(traffic.report().upload_bytes, 2 * CHUNK_BYTES);
        chunks.clear();
        assert_eq!(traffic.report().upload_bytes, 0);
    }

    #[test]
    fn what_comes_too_slowly_makes_room() {
        let mut chunks = Chunks::default();
        let list = |byte| vec![ContentDigest([byte; 32]), ContentDigest([byte + 1; 32])];
        chunks.begin(WHO, list(1), room(1), START);
        chunks.begin(OTHER, list(1), room(1), START);
        let after = |millis| UnixMillis(START.0 + GRACE + millis);
        assert!(!chunks.drop_slow(after(0)));
        assert!(chunks.keep(WHO, ContentDigest([1; 32]), vec![0; CHUNK_BYTES]));
        // Four seconds at the slowest rate are a part.
        assert!(chunks.drop_slow(after(4_000)));
        assert_eq!(chunks.wants(OTHER, &ContentDigest([1; 32])), Wanted::No);
        assert_eq!(chunks.wants(WHO, &ContentDigest([1; 32])), Wanted::Kept);
        assert!(chunks.drop_slow(after(5_000)));
    }

    #[test]
    fn a_list_is_whole_digests() {
        assert_eq!(read_list(&[7; 64]), Some(vec![ContentDigest([7; 32]); 2]));
        assert_eq!((read_list(&[]), read_list(&[7; 63])), (None, None));
    }
}
