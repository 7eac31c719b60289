//! Processor time per leaf and per node of a Merkle tree and per KiB of long messages, for each set of instructions here and for the crate `sha2`.
//!
//! Prints one line of JSON: nanoseconds of processor time, not of the clock, so that other load on the machine does not
//! count.

use std::{collections::BTreeMap, fs, io, io::Write as _, time::Instant};

use counterweight_sha256::{Backend, digest_all_with};
use sha2::{Digest as _, Sha256};

const LEAVES: usize = 65_536;
const REPETITIONS: usize = 3;
/// The system counts processor time in steps of milliseconds: this many make one measurement long enough.
const ROUNDS: usize = 128;
/// Bytes of an entry of the decision log.
const ENTRY_BYTES: usize = 92;
/// Messages that are long, and their bytes: 4 MiB together, which no cache near the processor holds.
const LONG: usize = 32;
const LONG_BYTES: usize = 128 << 10;
const KIBIBYTES: f64 = (LONG_BYTES >> 10) as f64;

/// Nanoseconds this process has run; the clock where the system does not say.
fn processor_nanoseconds(started: Instant) -> u128 {
    let said = fs::read_to_string("/proc/self/schedstat").ok();
    let first = said.and_then(|text| text.split(' ').next()?.parse().ok());
    first.unwrap_or_else(|| started.elapsed().as_nanos())
}

/// The fewest nanoseconds for one of `count` things.
fn measure(count: usize, mut work: impl FnMut() -> u8) -> f64 {
    let started = Instant::now();
    let mut best = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let before = processor_nanoseconds(started);
        for _ in 0..ROUNDS {
            std::hint::black_box(work());
        }
        let spent = processor_nanoseconds(started) - before;
        best = best.min(spent as f64 / (count * ROUNDS) as f64);
    }
    best
}

fn plain(prefix: u8, messages: &[&[u8]]) -> u8 {
    messages.iter().fold(0, |sum, message| {
        sum ^ Sha256::new()
            .chain_update([prefix])
            .chain_update(message)
            .finalize()[0]
    })
}

fn main() -> io::Result<()> {
    let bytes: Vec<u8> = (0..LEAVES * ENTRY_BYTES)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let entries: Vec<&[u8]> = bytes.chunks_exact(ENTRY_BYTES).collect();
    let long: Vec<&[u8]> = bytes.chunks_exact(LONG_BYTES).take(LONG).collect();
    let pairs: Vec<&[u8]> = bytes.chunks_exact(64).take(LEAVES).collect();
    let mut table = BTreeMap::new();
    table.insert(
        "sha2".to_owned(),
        [
            measure(LEAVES, || plain(0, &entries)),
            measure(LEAVES, || plain(1, &pairs)),
            measure(LONG, || plain(1, &long)) / KIBIBYTES,
        ],
    );
    for backend in Backend::available() {
        let leaf = measure(LEAVES, || digest_all_with(*backend, &[0], &entries)[0][0]);
        let node = measure(LEAVES, || digest_all_with(*backend, &[1], &pairs)[0][0]);
        let long = measure(LONG, || digest_all_with(*backend, &[1], &long)[0][0]) / KIBIBYTES;
        table.insert(backend.to_string(), [leaf, node, long]);
    }
    let rows: Vec<String> = table
        .iter()
        .map(|(name, [leaf, node, long])| {
            format!("\"{name}\":{{\"leaf_ns\":{leaf:.1},\"node_ns\":{node:.1},\"long_ns_kib\":{long:.1}}}")
        })
        .collect();
    writeln!(io::stdout(), "{{{}}}", rows.join(","))
}
