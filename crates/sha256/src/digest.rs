//! Messages of any length on an engine of any width.

use crate::{
    BLOCK_BYTES, INITIAL,
    backend::{Backend, Engine, Kind},
    portable::Portable,
};

/// Blocks by which long messages begin one after the other. Files all begin where a page does: read in step, eight or more of them
/// need the same few places of every cache at the same time, and hashing them took a fifth longer.
const APART: usize = 265;

/// A lane waits for a small part of the time that its message takes: one block for so many.
const BLOCKS_TO_WAIT: usize = 128;

/// Digests of many messages, each after the same prefix (RFC 6962 puts a byte before what it hashes). Takes the fastest
/// instructions there are for so many, and others for the last few where those are faster for few.
#[must_use]
pub fn digest_all<M: AsRef<[u8]>>(prefix: &[u8], messages: &[M]) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; messages.len()];
    let bytes = messages
        .iter()
        .fold(0_usize, |sum, message| sum.saturating_add(message.as_ref().len()));
    let blocks = (prefix.len() + bytes / messages.len().max(1)) / BLOCK_BYTES + 1;
    let backend = Backend::detect_for(messages.len(), blocks);
    let waiting =
        (messages.iter().enumerate()).map(|(index, message)| Lane::start(index, message.as_ref(), prefix));
    let mut left = dispatch(backend, prefix, waiting, backend.fewest(), &mut digests);
    while !left.is_empty() {
        let backend = Backend::detect_for(left.len(), usize::MAX);
        left = dispatch(backend, prefix, left.into_iter(), backend.fewest(), &mut digests);
    }
    digests
}

/// As [`digest_all`], with given instructions for all of them.
#[must_use]
pub fn digest_all_with<M: AsRef<[u8]>>(backend: Backend, prefix: &[u8], messages: &[M]) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; messages.len()];
    let waiting =
        (messages.iter().enumerate()).map(|(index, message)| Lane::start(index, message.as_ref(), prefix));
    dispatch(backend, prefix, waiting, 1, &mut digests);
    digests
}

/// Ends a function with a call that takes the engine of a backend.
macro_rules! with_engine {
    ($backend:expr, $engine:ident => $call:expr) => {{
        #[cfg(target_arch = "x86_64")]
        match $backend.0 {
            Kind::Avx512 => {
                if let Some($engine) = crate::lanes::Avx512::new($backend) {
                    return $call;
                }
            }
            Kind::Avx2 => {
                if let Some($engine) = crate::lanes::Avx2::new($backend) {
                    return $call;
                }
            }
            Kind::Woven => {
                if let Some($engine) = crate::woven::Woven::new($backend) {
                    return $call;
                }
            }
            Kind::ShaFour => {
                if let Some($engine) = crate::sha_extensions::ShaFour::new($backend) {
                    return $call;
                }
            }
            Kind::ShaPair => {
                if let Some($engine) = crate::sha_extensions::ShaPair::new($backend) {
                    return $call;
                }
            }
            Kind::Portable => {}
        }
        #[cfg(not(target_arch = "x86_64"))]
        let Kind::Portable = $backend.0;
        let $engine = Portable;
        $call
    }};
}

/// Runs `waiting` until fewer than `fewest` are left, and gives those.
fn dispatch<'a>(
    backend: Backend,
    prefix: &[u8],
    waiting: impl Iterator<Item = Lane<'a>>,
    fewest: usize,
    digests: &mut [[u8; 32]],
) -> Vec<Lane<'a>> {
    with_engine!(backend, engine => run(&engine, prefix, waiting, fewest, digests))
}

/// Digests of messages that their caller padded, each to one block (FIPS 180-4, section 5.1.1): saves the copy of short
/// messages that are put together just to be hashed.
#[must_use]
pub fn digest_blocks(blocks: &[[u8; BLOCK_BYTES]]) -> Vec<[u8; 32]> {
    let backend = Backend::detect_for_single(blocks.len());
    with_engine!(backend, engine => run_blocks(&engine, blocks))
}

fn run_blocks<const LANES: usize, E: Engine<LANES>>(
    engine: &E,
    blocks: &[[u8; BLOCK_BYTES]],
) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; blocks.len()];
    let idle = [0; BLOCK_BYTES];
    for (blocks, digests) in blocks.chunks(LANES).zip(digests.chunks_mut(LANES)) {
        let mut states = engine.start();
        engine.compress(
            &mut states,
            &std::array::from_fn(|lane| std::slice::from_ref(blocks.get(lane).unwrap_or(&idle))),
        );
        for (lane, digest) in digests.iter_mut().enumerate() {
            for (bytes, word) in digest
                .as_chunks_mut::<4>()
                .0
                .iter_mut()
                .zip(engine.state(&states, lane))
            {
                *bytes = word.to_be_bytes();
            }
        }
    }
    digests
}

/// Digests of `prefix ‖ left ‖ right` for pairs of digests that follow each other; a last one without a partner is left
/// out.
#[must_use]
pub fn node_all(prefix: u8, children: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let (pairs, _) = children.as_chunks::<2>();
    let pairs: Vec<&[u8]> = pairs.iter().map(|pair| pair.as_flattened()).collect();
    digest_all(&[prefix], &pairs)
}

/// A message on its way: in a lane, or between two engines.
struct Lane<'a> {
    /// Index of the message; none where there is nothing left to do.
    message: Option<usize>,
    bytes: &'a [u8],
    /// Block that comes next.
    block: usize,
    /// Blocks of the padded message.
    blocks: usize,
    /// Blocks that other lanes go ahead.
    wait: usize,
    /// The state to begin from, while it is in no lane or waits.
    state: [u32; 8],
    /// A block that is not bytes of the message alone.
    buffer: [u8; BLOCK_BYTES],
}

impl<'a> Lane<'a> {
    fn idle() -> Self {
        Self {
            message: None,
            bytes: &[],
            block: 0,
            blocks: 0,
            wait: 0,
            state: INITIAL,
            buffer: [0; BLOCK_BYTES],
        }
    }

    fn start(index: usize, bytes: &'a [u8], prefix: &[u8]) -> Self {
        Self {
            message: Some(index),
            bytes,
            // A byte 0x80 and eight of length follow the message.
            blocks: (prefix.len() + bytes.len() + 9).div_ceil(BLOCK_BYTES),
            ..Self::idle()
        }
    }

    /// The blocks from the next one on that are whole in the message.
    fn inner(&self, prefix: usize) -> &'a [[u8; BLOCK_BYTES]] {
        let start = (self.block * BLOCK_BYTES).checked_sub(prefix);
        let rest = start.and_then(|start| self.bytes.get(start..));
        rest.map_or(&[], |rest| rest.as_chunks().0)
    }

    /// Makes the next block in the buffer.
    fn fill(&mut self, prefix: &[u8]) {
        let start = self.block * BLOCK_BYTES;
        let total = prefix.len() + self.bytes.len();
        self.buffer = [0; BLOCK_BYTES];
        let mut at = 0;
        if let Some(rest) = prefix.get(start..) {
            at = rest.len().min(BLOCK_BYTES);
            self.buffer[..at].copy_from_slice(&rest[..at]);
        }
        let from = (start + at).saturating_sub(prefix.len());
        if let Some(rest) = self.bytes.get(from..) {
            let count = rest.len().min(BLOCK_BYTES - at);
            self.buffer[at..at + count].copy_from_slice(&rest[..count]);
        }
        if let Some(end) = total.checked_sub(start)
            && end < BLOCK_BYTES
        {
            self.buffer[end] = 0x80;
        }
        if self.block + 1 == self.blocks {
            self.buffer[BLOCK_BYTES - 8..].copy_from_slice(&(total as u64 * 8).to_be_bytes());
        }
    }
}

fn run<'a, const LANES: usize, E: Engine<LANES>>(
    engine: &E,
    prefix: &[u8],
    mut waiting: impl Iterator<Item = Lane<'a>>,
    fewest: usize,
    digests: &mut [[u8; 32]],
) -> Vec<Lane<'a>> {
    let mut states = engine.start();
    let mut lanes: [Lane<'_>; LANES] = std::array::from_fn(|_| Lane::idle());
    let mut busy = 0;
    for (place, lane) in lanes.iter_mut().enumerate() {
        if let Some(next) = waiting.next() {
            engine.set(&mut states, place, next.state);
            *lane = next;
            lane.wait = place * ((lane.blocks - lane.block) / BLOCKS_TO_WAIT).min(APART);
            busy += 1;
        }
    }
    while busy >= fewest {
        let mut whole: [&[[u8; BLOCK_BYTES]]; LANES] = [&[]; LANES];
        for (lane, whole) in lanes.iter().zip(&mut whole) {
            *whole = lane.inner(prefix.len());
        }
        let ready = || {
            lanes
                .iter()
                .zip(&whole)
                .filter(|(lane, _)| lane.message.is_some() && lane.wait == 0)
        };
        let mut shortest = ready()
            .map(|(_, whole)| *whole)
            .min_by_key(|whole| whole.len())
            .unwrap_or(&[]);
        if let Some(wait) = lanes.iter().map(|lane| lane.wait).filter(|wait| *wait > 0).min() {
            shortest = shortest.get(..wait).unwrap_or(shortest);
        }
        let steps = shortest.len().max(1);
        if shortest.is_empty() {
            for (lane, whole) in lanes.iter_mut().zip(&whole) {
                if whole.is_empty() && lane.message.is_some() {
                    lane.fill(prefix);
                }
            }
            // A lane with nothing to do hashes whatever its buffer holds, and nobody looks.
            let blocks =
                std::array::from_fn(|i| std::slice::from_ref(whole[i].first().unwrap_or(&lanes[i].buffer)));
            engine.compress(&mut states, &blocks);
        } else {
            let blocks = std::array::from_fn(|i| whole[i].get(..steps).unwrap_or(shortest));
            engine.compress(&mut states, &blocks);
        }
        for (place, lane) in lanes.iter_mut().enumerate() {
            if lane.wait > 0 {
                lane.wait -= steps;
                engine.set(&mut states, place, lane.state);
                continue;
            }
            lane.block += steps;
            let Some(index) = lane.message.filter(|_| lane.block == lane.blocks) else {
                continue;
            };
            let words = engine.state(&states, place);
            for (bytes, word) in digests[index].as_chunks_mut::<4>().0.iter_mut().zip(words) {
                *bytes = word.to_be_bytes();
            }
            match waiting.next() {
                Some(next) => {
                    engine.set(&mut states, place, next.state);
                    *lane = next;
                }
                None => {
                    *lane = Lane::idle();
                    busy -= 1;
                }
            }
        }
    }
    let left = lanes
        .into_iter()
        .enumerate()
        .filter(|(_, lane)| lane.message.is_some());
    left.map(|(place, lane)| Lane {
        state: engine.state(&states, place),
        wait: 0,
        ..lane
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn expected(prefix: &[u8], message: &[u8]) -> [u8; 32] {
        Sha256::new()
            .chain_update(prefix)
            .chain_update(message)
            .finalize()
            .into()
    }

    fn holds(prefix: &[u8], messages: &[Vec<u8>]) {
        let expected: Vec<_> = messages.iter().map(|message| expected(prefix, message)).collect();
        for backend in Backend::available() {
            assert_eq!(
                digest_all_with(*backend, prefix, messages),
                expected,
                "{backend}, {} messages",
                messages.len()
            );
        }
        assert_eq!(digest_all(prefix, messages), expected);
    }

    /// Every length around the ends of one, two and three blocks, with every prefix that moves them.
    #[test]
    fn every_length_has_the_digest_of_the_standard() {
        for prefix in [&b""[..], &[0], &[1], &[7; 64], &[7; 70], &[7; 130]] {
            let messages: Vec<Vec<u8>> = (0..200_u8)
                .map(|length| (0..length).map(|byte| byte ^ length).collect())
                .collect();
            holds(prefix, &messages);
        }
    }

    #[test]
    fn lanes_take_the_next_message_when_theirs_ends() {
        // The first is the longest: every other lane passes through many messages beside it.
        let messages: Vec<Vec<u8>> = (0..100)
            .map(|i| vec![i as u8; if i == 0 { 20_000 } else { i * 3 }])
            .collect();
        holds(&[0], &messages);
    }

    #[test]
    fn nodes_are_pairs_and_a_lone_one_is_left_out() {
        let children: Vec<[u8; 32]> = (0..33_u8).map(|i| expected(b"", &[i])).collect();
        let nodes = node_all(1, &children);
        assert_eq!(nodes.len(), 16);
        for (node, pair) in nodes.iter().zip(children.as_chunks::<2>().0) {
            assert_eq!(*node, expected(&[1], pair.as_flattened()));
        }
        assert!(node_all(1, &[]).is_empty());
    }

    #[test]
    fn padded_blocks_have_the_digest_of_their_message() {
        let messages: Vec<Vec<u8>> = (0..56_u8).map(|length| vec![length; length.into()]).collect();
        let blocks: Vec<[u8; 64]> = messages
            .iter()
            .map(|message| {
                let mut block = [0; 64];
                block[..message.len()].copy_from_slice(message);
                block[message.len()] = 0x80;
                block[56..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
                block
            })
            .collect();
        for count in [0, 1, 2, 3, 16, 17, 56] {
            let expected: Vec<_> = messages[..count]
                .iter()
                .map(|message| expected(b"", message))
                .collect();
            assert_eq!(digest_blocks(&blocks[..count]), expected);
            assert_eq!(run_blocks(&Portable, &blocks[..count]), expected);
        }
    }

    #[test]
    fn few_messages_go_to_narrow_engines() {
        for blocks in [1, 2, 100, usize::MAX] {
            assert!(Backend::detect_for(1, blocks).lanes() <= 2);
        }
        assert!(Backend::available().contains(&Backend::detect_for(usize::MAX, usize::MAX)));
        assert_eq!(Backend::detect_for(1, usize::MAX).fewest(), 1);
        assert!(Backend::available().contains(&Backend::PORTABLE));
    }

    /// Messages as long as files are handed from the widest engine to narrower ones as they end.
    #[test]
    fn the_last_messages_are_finished_by_other_engines() {
        let messages: Vec<Vec<u8>> = (0..40_u8).map(|i| vec![i; 3000 * usize::from(i)]).collect();
        holds(&[], &messages);
        holds(&[3; 5], &messages);
    }

    proptest! {
        #[test]
        fn every_backend_gives_the_digests_of_sha2(
            prefix in proptest::collection::vec(any::<u8>(), 0..70),
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..40),
        ) {
            holds(&prefix, &messages);
        }
    }
}
