//! Processor seconds of commitments and openings: `cargo run --release -p counterweight-zkml --example opening [k…]`.

use std::time::Instant;

use counterweight_zkml::{commit, opening, random, srs::Srs};
use counterweight_zkml_verifier::field::Field as _;
use counterweight_zkml_verifier::opening::{OpeningClaim, verify};
use counterweight_zkml_verifier::{Fr, Scheme, Transcript};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

/// Seconds that all threads of this process spent on the processor, where the system tells (Linux).
fn processor_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return f64::NAN;
    };
    let nanoseconds = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.flatten().filter_map(nanoseconds).sum::<u64>() as f64 * 1e-9
}

/// Runs something several times and prints the mean.
fn measure<T>(what: &str, times: u32, mut run: impl FnMut() -> T) -> T {
    let (processor, wall) = (processor_seconds(), Instant::now());
    let mut last = run();
    for _ in 1..times {
        last = run();
    }
    let (processor, wall) = (processor_seconds() - processor, wall.elapsed().as_secs_f64());
    let times = f64::from(times);
    eprintln!(
        "{what:44} {:10.3} ms processor {:10.3} ms wall",
        processor / times * 1e3,
        wall / times * 1e3
    );
    last
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes = std::env::args()
        .skip(1)
        .map(|size| size.parse())
        .collect::<Result<Vec<usize>, _>>()?;
    if sizes.is_empty() {
        sizes = vec![11, 13, 15];
    }
    for variables in sizes {
        let length = 1_usize << variables;
        eprintln!("rows of 2^{variables} entries");
        let srs = measure("INSECURE development set-up and its table", 1, || {
            Srs::development(variables)
        })?;
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let row = random::scalars(&mut rng, length);
        let point = random::scalars(&mut rng, variables);
        let small: Vec<i32> = (0..length).map(|_| rng.next_u32() as i32).collect();
        let times = 20;
        let commitment = measure("commit, field elements", times, || {
            commit::row(&srs, &row, &Fr::ZERO)
        });
        for (what, shift) in [
            ("commit, 8 bits, signed", 24),
            ("commit, 16 bits, signed", 16),
            ("commit, 32 bits, signed", 0),
        ] {
            let row: Vec<i32> = small.iter().map(|entry| entry >> shift).collect();
            measure(what, times, || commit::small_row(&srs, &row, &Fr::ZERO));
        }
        let sparse: Vec<i32> = small
            .iter()
            .enumerate()
            .map(|(index, entry)| if index % 16 == 0 { entry >> 24 } else { 0 })
            .collect();
        measure("commit, 8 bits, one entry in 16", times, || {
            commit::small_row(&srs, &sparse, &Fr::ZERO)
        });
        let value = measure("evaluate", times, || opening::evaluate_row(&row, &point));
        for scheme in [Scheme::Mercury, Scheme::HyperKzg] {
            let proof = measure(&format!("{scheme}: open"), times, || {
                let mut transcript = Transcript::new("benchmark");
                opening::open(&srs, scheme, &mut transcript, &commitment, &row, &point, &value)
            })?;
            let terms = [(Fr::ONE, commitment)];
            let claim = OpeningClaim {
                commitment: &terms,
                point: &point,
                value,
            };
            measure(&format!("{scheme}: verify {} bytes", proof.len()), times, || {
                verify(
                    srs.verifier(),
                    scheme,
                    &mut Transcript::new("benchmark"),
                    &claim,
                    &proof,
                )
            })?;
        }
    }
    Ok(())
}
