//! Our side of the comparison: `bench-secagg MEMBERS COORDINATES NEIGHBOURS THRESHOLD DROPOUTS`.
//!
//! One round of the masking protocol with every member in this process, checked against the plain sum. Prints CPU
//! seconds, bytes of one member's upload and of all its messages, and peak memory as JSON.

use std::{collections::BTreeMap, fs, process::ExitCode};

use counterweight_federated::masking::{Group, Member, Place, recover};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

/// CPU seconds of this process, all threads.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error>> {
    let mut nanoseconds = 0_u64;
    for task in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let numbers: Vec<usize> = arguments
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let [members, coordinates, neighbours, threshold, dropouts] = numbers[..] else {
        return Err("expected: MEMBERS COORDINATES NEIGHBOURS THRESHOLD DROPOUTS".into());
    };
    let group = Group {
        context: [42; 32],
        size: members.try_into()?,
        degree: neighbours.try_into()?,
        threshold: threshold.try_into()?,
        fewest_survivors: 3,
        coordinates,
    };
    let mut random = ChaCha20Rng::seed_from_u64(42);
    let vectors: Vec<Vec<i32>> = (0..members)
        .map(|_| {
            (0..coordinates)
                .map(|_| (random.next_u32() as i32) >> 9)
                .collect()
        })
        .collect();
    let staying: Vec<Place> = group
        .places()
        .filter(|place| usize::from(place.0) >= dropouts)
        .collect();
    let mut expected = vec![0_i32; coordinates];
    for place in &staying {
        for (sum, value) in expected.iter_mut().zip(&vectors[usize::from(place.0)]) {
            *sum += value;
        }
    }
    let before = cpu_seconds()?;
    let mut parties: Vec<Member> = group
        .places()
        .map(|place| Member::new(&group, place, &mut random))
        .collect::<Result<_, _>>()?;
    let announced: Vec<_> = parties.iter().map(Member::announcement).collect();
    let dealings: Vec<_> = parties
        .iter_mut()
        .map(|member| member.share(&announced, &mut random))
        .collect::<Result<_, _>>()?;
    let mut masked = BTreeMap::new();
    for place in &staying {
        let at = usize::from(place.0);
        masked.insert(*place, parties[at].mask(&vectors[at], &dealings)?);
    }
    let survivors = staying.iter().copied().collect();
    let mut unmaskings = Vec::new();
    for place in &staying {
        unmaskings.push(parties[usize::from(place.0)].unmask(&survivors)?);
    }
    let sum = recover(&group, &announced, &dealings, &masked, &unmaskings)?;
    let seconds = cpu_seconds()? - before;
    if sum != expected {
        return Err("the sum is not the plain one".into());
    }
    let upload = 4 * coordinates;
    let dealing = &dealings[0];
    let sharing = &dealing.sharing;
    let published = 32 * (3 + sharing.combination.len()) + (2 + 3 * 32) * sharing.digests.len();
    let keys = 32 + published + 66 * dealing.shares.len();
    let answer = unmaskings
        .first()
        .map_or(0, |one| 34 * (one.seeds.len() + one.keys.len()));
    let line = format!(
        "{{\"cpu_s\": {seconds}, \"upload_bytes\": {upload}, \"all_bytes\": {}}}\n",
        upload + keys + answer
    );
    std::io::Write::write_all(&mut std::io::stdout(), line.as_bytes())?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
